"""dlfs against PyTorch and against its own reference: ``python -m benchmarks``."""
