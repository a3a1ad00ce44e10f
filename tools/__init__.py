"""Tools for the project's developers; not installed."""
