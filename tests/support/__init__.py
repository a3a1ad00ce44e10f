"""What several tests need: arrays in every memory layout, definitions to compare with."""
