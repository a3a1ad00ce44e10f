"""How a mutant is judged: is it caught, and what do the hints say first?"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from dlfs.gradcheck import GradientReport, check_gradients
from dlfs.gradcheck.cases import Case, RandomChooser
from tests.mutants.catalogue import Mutant

# A mistake that only shows with an unusual option may take some cases to show at all.
_MOST_CASES = 60
_FAILURES = 5


@dataclass(frozen=True)
class Judgement:
    """What became of one mutant.

    Attributes
    ----------
    cases : int
        How many random cases were drawn until the first that failed; 0 if none did.
    hints : Counter
        The first hint of each failing case.
    """

    cases: int
    hints: Counter[str]

    @property
    def caught(self) -> bool:
        return self.cases > 0

    @property
    def first_hint(self) -> str:
        """The hint that comes first most often; empty where there never was one."""
        return self.hints.most_common(1)[0][0] if self.hints else ""


def check(case: Case, backend: str, hints: bool = True, entries: int = 100) -> GradientReport:
    """Check one case."""
    return check_gradients(
        case.target,
        case.x,
        y=case.y,
        inference=case.inference,
        backend=backend,
        hints=hints,
        max_entries=entries,
    )


def judge(mutant: Mutant, backend: str, failures: int = _FAILURES) -> Judgement:
    """Draw cases of a mutant until some have failed."""
    hints: Counter[str] = Counter()
    first = found = 0
    for number in range(_MOST_CASES):
        # Now and then in float32, in which some mistakes show alone.
        dtype = "float32" if number % 4 == 3 else "float64"
        case = mutant.draw(RandomChooser(np.random.default_rng(number)), dtype, backend)
        report = check(case, backend)
        if report.verdict != "wrong":
            continue
        for hint in report.hints:
            assert hint.message.endswith((".", "?", ".)")), hint
        first = first or number + 1
        found += 1
        if report.hints:
            hints[report.hints[0].kind] += 1
        if found == failures:
            break
    return Judgement(first, hints)
