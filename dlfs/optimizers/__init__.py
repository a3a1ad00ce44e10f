"""Optimizers: how a gradient becomes a step, and how the learning rate falls."""

from dlfs.clipping import global_norm
from dlfs.optimizers.adaptive import AdaGrad, Adam, AdamW, NAdam, RMSProp
from dlfs.optimizers.base import Optimizer
from dlfs.optimizers.gradient_descent import SGD, RegularizedSGD, SGDMomentum
from dlfs.optimizers.schedule import DECAY_TYPES

__all__ = [
    "DECAY_TYPES",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "NAdam",
    "Optimizer",
    "RMSProp",
    "RegularizedSGD",
    "SGDMomentum",
    "global_norm",
]
