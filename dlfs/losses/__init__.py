"""Losses: one number that says how wrong a batch of predictions is, and its gradient.

Every loss is a sum over the features (or classes) of one observation and a mean over the batch.
Weights of observations, ``sample_weight``, multiply the terms of the sum; the mean is still over
the number of observations.
"""

from dlfs.loss_weights import Weighted
from dlfs.losses.base import Loss
from dlfs.losses.classes import BinaryCrossEntropy, NegativeLogLikelihood, SoftmaxCrossEntropy
from dlfs.losses.regression import Huber, MeanAbsoluteError, MeanSquaredError

__all__ = [
    "BinaryCrossEntropy",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "NegativeLogLikelihood",
    "SoftmaxCrossEntropy",
    "Weighted",
]
