"""Sweeps for non-verbal vocal emotion recognition; see README.md."""
