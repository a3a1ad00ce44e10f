"""Hints: the likely causes of a wrong gradient.

Each hint comes from an experiment: it computes the gradient that a classic mistake would give. The
hint is reported only if that gradient equals the wrong one to six digits.
"""

from dlfs.gradcheck.hints.find import find_hints

__all__ = ["find_hints"]
