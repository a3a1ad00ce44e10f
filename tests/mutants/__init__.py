"""Classic mistakes in backpropagation, each of which the gradient checker must find."""

from tests.mutants import (
    activations,
    attention,
    convolution,
    dense,
    losses,
    plumbing,
    pooling,
    recurrent,
)
from tests.mutants.catalogue import MUTANTS, Mutant

__all__ = [
    "MUTANTS",
    "Mutant",
    "activations",
    "attention",
    "convolution",
    "dense",
    "losses",
    "plumbing",
    "pooling",
    "recurrent",
]
