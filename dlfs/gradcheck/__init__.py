"""The gradient checker: it compares a backward pass with differences of the forward pass."""

from dlfs.gradcheck.behaviour import Finding
from dlfs.gradcheck.check import check_gradients
from dlfs.gradcheck.compare import GradientResult
from dlfs.gradcheck.report import GradientError, GradientReport, Hint

__all__ = [
    "Finding",
    "GradientError",
    "GradientReport",
    "GradientResult",
    "Hint",
    "check_gradients",
]
