"""Callbacks: what else to do while a Trainer works."""

from dlfs.train.callbacks.base import BatchLosses, Callback, ConvTesting, LambdaCallback, Training
from dlfs.train.callbacks.logs import CSVLogger
from dlfs.train.callbacks.monitors import (
    EarlyStopping,
    ModelCheckpoint,
    Monitor,
    ReduceLROnPlateau,
)

__all__ = [
    "BatchLosses",
    "CSVLogger",
    "Callback",
    "ConvTesting",
    "EarlyStopping",
    "LambdaCallback",
    "ModelCheckpoint",
    "Monitor",
    "ReduceLROnPlateau",
    "Training",
]
