"""Mistakes that an experiment must name: what the hints say of each stands in ``told.txt``.

There is a file for each kind; ``lines`` has those whose code can be read. Each is a target with its
input, and for a loss its targets. ``test_told.py`` checks them as if their code could not be read,
so that no changed expression takes the place of the experiment.
"""

from typing import Any

from tests.gradcheck.mistakes import (
    attention,
    axes,
    factors,
    leftovers,
    losses,
    masks,
    networks,
    normalizations,
    sums,
    tables,
    windows,
)

MISTAKES: dict[str, tuple[Any, ...]] = {}
for kind in (
    masks,
    normalizations,
    losses,
    sums,
    axes,
    factors,
    leftovers,
    windows,
    attention,
    tables,
    networks,
):
    MISTAKES |= kind.MISTAKES
