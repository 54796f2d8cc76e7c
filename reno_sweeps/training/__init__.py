"""Cohorts of models, trained."""
