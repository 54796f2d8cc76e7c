"""The edge: what a human may write, checked and turned into records."""
