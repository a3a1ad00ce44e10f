"""Checks the mutants with three gradient checkers: those of dlfs, PyTorch and JAX.

Run ``make bench-gradients``, or ``python -m benchmarks.gradient_checkers`` from the root of the
project where PyTorch and JAX are installed (``pip install torch jax``). Each mutant becomes a
torch.autograd.Function and a jax.custom_vjp. All checkers get the same cases in turn; verdicts and
times are recorded. The other two run twice: as their documentation shows, and with the outputs
summed first, which means an output gradient of ones.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import torch
from tqdm import tqdm

from benchmarks.gradient_wrappers import CHECKERS
from dlfs.activations import ReLU, Sigmoid, Tanh
from dlfs.backend import use_backend
from dlfs.gradcheck.cases import RECIPES, Case, Chooser, RandomChooser
from dlfs.losses import MeanSquaredError
from tests.mutants import MUTANTS, Mutant

CASES = 8
SINGLE_CASES = 3
PLAIN = ("dlfs", "torch", "jax")

_HEAD = """# Gradient checkers compared

Each mutant of tests/mutants in {cases} random cases in float64, checked with dlfs, with
`torch.autograd.gradcheck` of PyTorch {torch} and with `jax.test_util.check_grads` of JAX {jax}
(`order=1, modes=["rev"]`), each with its defaults; *all ones* sums the outputs first. Written by
`make bench-gradients`.
"""

_BETWEEN = """
Disagreements, and in how many of the {cases} cases each checker failed the mutant (a mistake may
need an option, such as a stride, that not every case has):
"""

_SINGLE = """
In float32, in {cases} cases each. PyTorch's documentation requires float64, and its checker warns
otherwise. A checker that also fails correct gradients catches mutants for the wrong reason.
"""

_SPECIAL = """
Cases chosen by hand, all in float64. Only the correct ones should pass.
"""

_FOOT = """
## Conclusions

- PyTorch's checker compares whole Jacobians, one output at a time, with fixed tolerances
  (`atol=1e-5, rtol=1e-3`). It finds every wrong number whose error is above one part in a
  thousand, unless the number is small. A mean over a large batch makes gradients small.
- JAX's checker compares one random direction for one random output gradient, with fixed
tolerances for each dtype. It needs few evaluations, however large the array, and works in
float32. Most of its time here is compilation for every new shape; a test with constant shapes
runs faster.
- Both use one step length. Close to a kink, or with very large numbers, it does not fit, and a
  correct gradient fails the check.
- With summed outputs (the scalar that `grad` requires) both miss some mistakes completely.
- Neither could detect state left by earlier calls or arrays changed in place: as both require,
  each forward pass got its own memory. Mutants of the embedding, whose inputs are integers, and of
  layers are left out.
- They can check second derivatives, forward mode, complex numbers, and any function that they can
  differentiate; dlfs cannot.
"""


class AlmostTanh(Tanh):
    """A gradient with a relative error of 1e-4."""

    def _input_grad(self, output_grad):
        return super()._input_grad(output_grad) * (1 + 1e-4)


class SquaredErrorTwice(MeanSquaredError):
    """A gradient twice too large."""

    def _input_grad(self):
        return 2 * super()._input_grad()


class SigmoidTwice(Sigmoid):
    """A gradient twice too large."""

    def _input_grad(self, output_grad):
        return 2 * super()._input_grad(output_grad)


def special() -> list[tuple[str, Case]]:
    """Return cases chosen by hand, with descriptions."""
    rng = np.random.default_rng(0)
    near = rng.standard_normal((3, 4))
    near[1, 2] = 2e-7
    prediction = rng.standard_normal((1000, 1))
    close = prediction + 1e-3 * rng.standard_normal((1000, 1))
    dear = 1e8 * rng.uniform(1.0, 2.0, (5, 1))
    far = rng.uniform(13.0, 15.0, (3, 4))
    return [
        ("correct: ReLU, one input at 2e-7", Case(ReLU(), near, None, False, "")),
        (
            "correct: squared error of prices about 1e8",
            Case(MeanSquaredError(), dear, dear * 1.001, False, ""),
        ),
        (
            "wrong: squared error, gradient twice too large, 1000 observations, errors of 1e-3",
            Case(SquaredErrorTwice(), prediction, close, False, ""),
        ),
        (
            "wrong: sigmoid, gradient twice too large, inputs about 14",
            Case(SigmoidTwice(), far, None, False, ""),
        ),
        (
            "wrong: tanh, relative error 1e-4",
            Case(AlmostTanh(), rng.standard_normal((3, 4)), None, False, ""),
        ),
    ]


Draw = Callable[[Chooser, str], Case]


def drawer(draw: Draw, what: str, dtype: str) -> Callable[[int], Case]:
    """Return a function that draws the n-th usable case."""

    def numbered(number: int) -> Case:
        for attempt in range(100):
            case = draw(RandomChooser(np.random.default_rng([number, attempt])), dtype)
            if case.x.dtype == dtype and case.x.size > 0:
                return case
        raise ValueError(f"no usable case of {what}")

    return numbered


def judge(
    draw: Callable[[int], Case], cases: int, checkers: tuple[str, ...]
) -> tuple[dict[str, int], dict[str, list[float]]]:
    """Return for each checker the number of failed cases and the seconds of each case."""
    failed = dict.fromkeys(checkers, 0)
    seconds: dict[str, list[float]] = {name: [] for name in checkers}
    for number in range(cases):
        for name in checkers:
            case = draw(number)
            start = time.perf_counter()
            failed[name] += not CHECKERS[name](case)
            seconds[name].append(time.perf_counter() - start)
    return failed, seconds


def row(first: str, cells: list[str]) -> str:
    """Return a line of a table."""
    return "| " + " | ".join([first, *cells]) + " |"


def head(names: tuple[str, ...], first: str = "") -> list[str]:
    """Return a table's first two lines."""
    return [row(first, list(names)), "|---|" + "---|" * len(names)]


def compare(dtype: str, cases: int, names: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Judge all mutants and all correct classes; return the table, and one of the differences."""
    left_out = {"EmbeddingOverwrites", "ActivationLeftOut", "GradientsOfLastPass"}
    mutants = [mutant for mutant in MUTANTS if mutant.name not in left_out]
    caught, alarms = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    times: dict[str, list[float]] = {name: [] for name in names}
    apart, checked = head(names, "mistake"), 0
    for mutant in tqdm(mutants, desc=f"mutants, {dtype}"):
        failed, seconds = judge(mutant_drawer(mutant, dtype), cases, names)
        for name in names:
            caught[name] += failed[name] > 0
            times[name] += seconds[name]
        if len(set(map(bool, failed.values()))) > 1:
            apart.append(row(mutant.mistake, [str(failed[name]) for name in names]))
    for name, recipe in tqdm(RECIPES.items(), desc=f"correct classes, {dtype}"):
        if recipe.kind in ("Layer", "network") or name == "Embedding_Op":
            continue
        failed, seconds = judge(drawer(recipe.draw, name, dtype), cases, names)
        checked += cases
        for checker in names:
            alarms[checker] += failed[checker]
            times[checker] += seconds[checker]
    milliseconds = {
        "median": [f"{1e3 * statistics.median(times[name]):.1f}" for name in names],
        "mean": [f"{1e3 * statistics.fmean(times[name]):.1f}" for name in names],
    }
    table = head(names)
    table.append(row(f"mutants caught, of {len(mutants)}", [str(caught[n]) for n in names]))
    table.append(row(f"false alarms in {checked} correct cases", [str(alarms[n]) for n in names]))
    table += [row(f"milliseconds per case, {what}", each) for what, each in milliseconds.items()]
    return table, apart


def mutant_drawer(mutant: Mutant, dtype: str) -> Callable[[int], Case]:
    """Return a function that draws the n-th usable case of a mutant."""
    return drawer(mutant.draw, mutant.name, dtype)


def main() -> None:
    """Judge all, and write benchmarks/gradient_checkers.md."""
    everyone = tuple(CHECKERS)
    table, apart = compare("float64", CASES, everyone)
    single, _ = compare("float32", SINGLE_CASES, PLAIN)
    chosen = head(PLAIN, "case")
    for what, case in special():
        says = ["passed" if CHECKERS[name](case) else "failed" for name in PLAIN]
        chosen.append(row(what, says))
    text = "\n".join(
        [
            _HEAD.format(torch=torch.__version__, jax=jax.__version__, cases=CASES),
            *table,
            _BETWEEN.format(cases=CASES),
            *apart,
            _SINGLE.format(cases=SINGLE_CASES),
            *single,
            _SPECIAL,
            *chosen,
            _FOOT,
        ]
    )
    Path("benchmarks/gradient_checkers.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    with use_backend("reference"):
        main()
