"""What is known about a wrong gradient whose cause is not: a factor, and the wrong places."""

from collections.abc import Iterator

import numpy as np

from dlfs.gradcheck.hints.evidence import Evidence
from dlfs.gradcheck.hints.factors import factor_between, factor_names
from dlfs.gradcheck.report import Hint


def facts(evidence: Evidence) -> Iterator[Hint]:
    """Yield the facts; none of them names a cause."""
    factor = factor_between(evidence.analytic, evidence.numeric, evidence.known)
    if factor is not None and np.count_nonzero(evidence.numeric[evidence.known]) > 1:
        names = factor_names(evidence, factor)
        maybe = f" It may be {' or '.join(names)}." if names else ""
        yield evidence.hint("factor", f"every entry is {factor:.6g} times the right one.{maybe}")
        return
    known = evidence.known
    one, other = np.sort(evidence.analytic[known]), np.sort(evidence.numeric[known])
    if one.size > 3 and np.max(np.abs(one - other)) <= 1e-6 * evidence.scale:
        yield evidence.hint("wrong_places", "the numbers are right, but in the wrong places.")
        return
    yield from _where(evidence)


def _where(evidence: Evidence) -> Iterator[Hint]:
    """Say where the wrong entries are, if all lie in one block and its neighbours are correct."""
    apart = np.abs(evidence.analytic - evidence.numeric) > 1e-9 * evidence.scale
    for axis in range(apart.ndim):
        size = apart.shape[axis]
        others = tuple(other for other in range(apart.ndim) if other != axis)
        wrong = np.flatnonzero(apart.any(axis=others))
        if not (wrong.size and 2 * wrong.size <= size > 2 and np.all(np.diff(wrong) == 1)):
            continue
        first, last = int(wrong[0]), int(wrong[-1])
        which = f"index {first}" if first == last else f"indices {first} to {last}"
        edge = ", the first" if first == 0 else ", the last" if last == size - 1 else ""
        yield evidence.hint(
            "one_slice",
            f"all wrong entries have {which} of {size} on axis {axis}{edge}; the others are "
            "correct.",
        )
        return
