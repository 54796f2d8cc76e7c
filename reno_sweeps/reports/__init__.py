"""Stored results become tables, figures and one page."""
