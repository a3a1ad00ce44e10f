"""dlfs: deep learning from scratch."""
