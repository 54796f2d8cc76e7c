"""Everything that knows MLflow, and nothing that knows training."""
