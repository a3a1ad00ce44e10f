"""Training: the Trainer and its loop, what is measured, written down and called meanwhile."""

from dlfs.train.batches import Batches
from dlfs.train.loop import NonFiniteLossError
from dlfs.train.rates import RateSearch, find_lr
from dlfs.train.trainer import Trainer

__all__ = ["Batches", "NonFiniteLossError", "RateSearch", "Trainer", "find_lr"]
