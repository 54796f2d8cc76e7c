"""The search: its truth, its proposals, its dispatch."""
