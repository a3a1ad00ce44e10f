"""Makes the notebooks from their sources, runs and checks them: ``python -m tools.notebooks``."""
