"""Shared by several tests: arrays in every memory layout, definitions to compare with."""
