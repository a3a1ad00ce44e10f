"""The suite: checks every gradient of the library, on every backend, in both dtypes."""

import argparse
import json
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from dlfs.backend import PACKAGES, available_backends
from dlfs.checks import check_choice, check_int
from dlfs.gradcheck.cases import RECIPES, Case, RandomChooser, Recipe
from dlfs.gradcheck.check import check_gradients
from dlfs.gradcheck.parity import disagreement
from dlfs.gradcheck.report import GradientReport
from dlfs.gradcheck.tables import as_html, as_text
from dlfs.train.output import progress_bar
from dlfs.utils.files import check_writable, write_atomically
from dlfs.utils.options import integer_option

HELP = "check every gradient of the library against differences"
DESCRIPTION = (
    "Check the backward pass of every Operation, layer, loss and of a few networks against "
    "differences of its forward pass, with random shapes and options, on each backend and in "
    "float64 and float32; with several backends, also compare their results. The exit status is 1 "
    "if anything is wrong."
)

DTYPES = ("float64", "float32")


@dataclass
class Row:
    """The results for one class.

    Attributes
    ----------
    name, kind : str
        As in its recipe.
    verdicts : dict of str to str
        For each backend "passed", "UNDECIDED" or "FAILED"; "parity" too if there are several.
    cases : int
        The number of cases checked on each backend.
    worst : float
        The largest error, in units of its tolerance.
    seconds : float
    failures : list of str
        Reports of the cases that did not pass, with the code that builds them.
    """

    name: str
    kind: str
    verdicts: dict[str, str]
    cases: int
    worst: float
    seconds: float
    failures: list[str]

    @property
    def passed(self) -> bool:
        """Whether nothing is known to be wrong."""
        return "FAILED" not in self.verdicts.values()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the suite's options to a parser."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="classes to check, by a part of their names; default: all",
    )
    parser.add_argument(
        "--backend",
        action="append",
        choices=list(PACKAGES),
        metavar="BACKEND",
        help="backend to check (repeatable); default: all",
    )
    examples, seed = integer_option(1), integer_option(0)
    parser.add_argument(
        "--examples", type=examples, help="cases of each class and dtype", default=20
    )
    parser.add_argument("--seed", type=seed, help="seed of the random numbers", default=0)
    parser.add_argument("--fast", action="store_true", help="3 cases each: under a minute")
    parser.add_argument("--json", metavar="FILE", help="write the results as JSON")
    parser.add_argument("--html", metavar="FILE", help="write the results as a page with pictures")
    parser.add_argument("--list", action="store_true", help="only list what can be checked")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite from a command line, and return its exit status."""
    parser = argparse.ArgumentParser(prog="dlfs gradcheck", description=DESCRIPTION)
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Run the suite, and return 1 if anything is wrong, else 0.

    Raises
    ------
    ValueError, TypeError
        If a name or an option is not valid.
    ImportError
        If a requested backend is not installed.
    """
    recipes = choose(arguments.names)
    if arguments.list:
        print("\n".join(f"{recipe.kind:<11}{recipe.name}" for recipe in recipes))
        return 0
    # The reference is last: the others are compared with it.
    backends = sorted(arguments.backend or available_backends(), key="reference".__eq__)
    # Tested before the checks, which may take minutes.
    for path in (arguments.json, arguments.html):
        if path is not None:
            check_writable(path)
    examples = 3 if arguments.fast else arguments.examples
    rows, pictures = check_all(recipes, backends, examples, arguments.seed)
    failed = [row for row in rows if not row.passed]
    for row in rows:
        if row.failures:
            print(f"\n{row.failures[0]}")
    print(f"\n{as_text(rows)}")
    if arguments.json:
        content = {"backends": backends, "examples": examples, "seed": arguments.seed}
        content["rows"] = [{**asdict(row), "passed": row.passed} for row in rows]
        write_atomically(arguments.json, json.dumps(content, indent=1))
    if arguments.html:
        write_atomically(arguments.html, as_html(rows, pictures))
    return 1 if failed else 0


def choose(names: Sequence[str]) -> list[Recipe]:
    """Return the recipes whose name contains one of these; all if none is given.

    Raises
    ------
    ValueError
        If no recipe's name contains one of them.
    """
    for name in names:
        if not any(name.lower() in known.lower() for known in RECIPES):
            raise ValueError(f"NAME must be part of one of {', '.join(RECIPES)}; got {name!r}")
    return [
        recipe
        for known, recipe in RECIPES.items()
        if not names or any(name.lower() in known.lower() for name in names)
    ]


def check_all(
    recipes: Sequence[Recipe],
    backends: Sequence[str],
    examples: int = 20,
    seed: int = 0,
    *,
    progress: bool = True,
) -> tuple[list[Row], dict[str, GradientReport]]:
    """Check random cases of each recipe.

    Parameters
    ----------
    recipes : sequence of Recipe
    backends : sequence of str
    examples : int
        Cases of each recipe and dtype.
    seed : int
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    rows : list of Row
    reports : dict of str to GradientReport
        One for each name: the first that failed, else the one with the most numbers.
    """
    check_int(examples, "gradcheck", "examples", 1)
    check_int(seed, "gradcheck", "seed", 0)
    for backend in backends:
        check_choice(backend, PACKAGES, "gradcheck", "backend")
    rows: list[Row] = []
    pictures: dict[str, GradientReport] = {}
    with progress_bar(len(recipes), not progress, unit="class") as bar:
        bar.set_description("gradcheck")
        for recipe in recipes:
            bar.set_postfix_str(recipe.name)
            row, report = _check_recipe(recipe, backends, examples, seed)
            rows.append(row)
            if report is not None:
                pictures[recipe.name] = report
            bar.update()
    return rows, pictures


def _check_recipe(
    recipe: Recipe, backends: Sequence[str], examples: int, seed: int
) -> tuple[Row, GradientReport | None]:
    start = time.perf_counter()
    verdicts = dict.fromkeys(backends, "passed")
    if len(backends) > 1:
        verdicts["parity"] = "passed"
    row = Row(recipe.name, recipe.kind, verdicts, 0, 0.0, 0.0, [])
    undecided: list[str] = []
    shown: GradientReport | None = None
    case: Case | None = None
    key = [seed, *recipe.name.encode()]
    for number in range(examples):
        for dtype in DTYPES:
            row.cases += 1
            for backend in backends:
                case = recipe.draw(
                    RandomChooser(np.random.default_rng([*key, number])), dtype, backend
                )
                try:
                    report = _check(case, recipe, backend)
                except Exception:  # noqa: BLE001 - a crash in one class must not hide the others
                    row.verdicts[backend] = "FAILED"
                    row.failures.append(f"{traceback.format_exc()}\n{case.code}")
                    continue
                row.worst = max(row.worst, report.worst_ratio)
                # An empty batch shows only that the passes accept it.
                text = f"{report}\n\nAs code:\n\n{case.code}"
                if report.verdict == "wrong":
                    row.verdicts[backend] = "FAILED"
                    row.failures.append(text)
                elif report.verdict == "undecided" and case.x.size:
                    if row.verdicts[backend] == "passed":
                        row.verdicts[backend] = "UNDECIDED"
                    undecided.append(text)
                if shown is None or (shown.verdict != "wrong" and _tells_more(report, shown)):
                    shown = report
            if len(backends) > 1 and case is not None:
                _compare(row, case, backends)
    row.failures += undecided
    row.seconds = time.perf_counter() - start
    return row, shown


def _tells_more(report: GradientReport, other: GradientReport) -> bool:
    """Say whether a report failed, or else has more numbers than another that did not."""
    sizes = [
        sum(result.analytic.size for result in each.results.values()) for each in (report, other)
    ]
    return report.verdict == "wrong" or sizes[0] > sizes[1]


def _check(case: Case, recipe: Recipe, backend: str) -> GradientReport:
    return check_gradients(
        case.target,
        case.x,
        y=case.y,
        inference=case.inference,
        backend=backend,
        max_entries=10 if recipe.kind == "network" else 40,
    )


def _compare(row: Row, case: Case, backends: Sequence[str]) -> None:
    try:
        apart = disagreement(case, backends)
    except Exception:  # noqa: BLE001
        apart = traceback.format_exc()
    if apart:
        row.verdicts["parity"] = "FAILED"
        row.failures.append(f"{row.name}: {apart}\n\nAs code:\n\n{case.code}")
