"""Kinks: where a derivative jumps, a difference across the jump is neither slope."""

from typing import Any

import numpy as np

from dlfs.gradcheck.copies import walk
from dlfs.gradcheck.subjects import Subject
from dlfs.types import Array


class KinkWatch:
    """Observes every Operation of a subject, and detects steps that cross a kink.

    At the point of the check each Operation gives the distance of each entry of its input to the
    next kink. A step is allowed if no entry, in any layer, moves that far.
    """

    def __init__(self, subject: Subject) -> None:
        holders = [thing for thing in walk(subject.target) if _declares_kinks(thing)]
        subject.output()
        self._inputs: list[tuple[Any, str, Array, Array]] = []
        for holder in holders:
            for name in ("input_", "prediction"):
                if isinstance(getattr(holder, name, None), np.ndarray):
                    value = np.array(getattr(holder, name))
                    distance = _distance(holder, name, value)
                    if np.any(np.isfinite(distance)):
                        self._inputs.append((holder, name, value, distance))

    def crossed(self) -> bool:
        """Say whether the last forward pass was on the other side of any kink."""
        for holder, name, value, distance in self._inputs:
            now = getattr(holder, name)
            if now.shape != value.shape:
                continue
            moved = np.abs(now - value)
            if np.any((moved != 0) & (moved >= distance)):
                return True
        return False


def _declares_kinks(thing: object) -> bool:
    return callable(getattr(thing, "distance_to_kink", None))


def _distance(holder: Any, name: str, value: Array) -> Array:
    # A loss's kinks lie where its target is.
    given = (value, holder.target) if name == "prediction" else (value,)
    return holder.distance_to_kink(*given)
