"""One file per family of encoders."""
