"""Hints: what a wrong gradient looks like.

Each hint comes from an experiment: the gradient that a classic mistake would give is computed, and
compared with the one at hand. Only where the two are equal, to six digits, is the hint offered.
"""

from dlfs.gradcheck.hints.find import find_hints

__all__ = ["find_hints"]
