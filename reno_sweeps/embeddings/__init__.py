"""Clips become vectors, computed once."""
