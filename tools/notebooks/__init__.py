"""The notebooks: made from their sources, executed, and checked. ``python -m tools.notebooks``."""
