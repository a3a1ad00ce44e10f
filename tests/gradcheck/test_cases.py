"""What each recipe draws: the sizes, dtypes and layouts of arrays, and the values of options.

``cases.txt`` lists them for 60 cases of each class. If it changes, read it: everything that a class
can do should be there. Write it again with ``python -m tests.gradcheck.test_cases``.
"""

import inspect
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlfs.configured import Configured
from dlfs.gradcheck.cases import RECIPES, Case, Chooser, RandomChooser

PAGE = Path(__file__).with_name("cases.txt")
CASES = 60
_MOST_LISTED = 8


def layout(array: np.ndarray) -> str:
    """Return how the numbers of an array lie in memory."""
    if not array.flags.writeable:
        return "read-only"
    if any(stride < 0 for stride in array.strides):
        return "reversed"
    if array.flags.c_contiguous:
        return "contiguous"
    return "Fortran" if array.flags.f_contiguous else "strided"


def facts(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Go through a value, and through what it was made of; yield a path and what is there."""
    if isinstance(value, Configured):
        yield path, type(value).__name__
        parameters = inspect.signature(type(value)).parameters
        for name, inner in value.arguments().items():
            inside = f"{path}.{type(value).__name__}.{name}"
            yield f"{inside}, default", repr(parameters[name].default)
            yield from facts(inner, inside)
    elif isinstance(value, np.ndarray):
        yield f"{path} of {value.dtype.kind}{value.ndim}", value.shape
        yield f"{path}, layout", layout(value)
        if value.size and value.dtype.kind in "iu":
            yield f"{path}, least", int(value.min())
    elif isinstance(value, list):
        for inner in value:
            yield from facts(inner, f"{path}[]")
    elif not path.endswith("seed"):
        yield path, value


def cases(name: str) -> Iterator[Case]:
    for number in range(CASES):
        chooser = RandomChooser(np.random.default_rng(number))
        yield RECIPES[name].draw(chooser, ("float64", "float32")[number % 2])


class Ends(Chooser):
    """Chooses the smallest or largest number, and the first or last option."""

    def __init__(self, large: bool, last: bool) -> None:
        self.large, self.last = large, last

    def integer(self, low: int, high: int) -> int:
        return high if self.large else low

    def choice(self, options: Any) -> Any:
        return options[-1 if self.last else 0]


def ends(name: str) -> Iterator[str]:
    """Iterate over the lines about the ends of what is drawn; the simplest comes first."""
    for large, last in itertools.product((False, True), repeat=2):
        case = RECIPES[name].draw(Ends(large, last))
        which = f"{'large' if large else 'small'} numbers, {'last' if last else 'first'} options"
        shapes = " and ".join(str(a.shape) for a in (case.x, case.y) if a is not None)
        made = re.search(r"^target = (.*)$", case.code, re.MULTILINE)
        assert made
        yield f"{name} | {which} | {made[1]} of {shapes}"


def drawn(name: str) -> Iterator[str]:
    """Iterate over the lines of the page about one recipe."""
    seen: dict[str, set[Any]] = defaultdict(set)
    squares: list[np.ndarray] = []
    for case in cases(name):
        for label in ("x", "y", "inference", "target"):
            for path, value in facts(getattr(case, label), label):
                seen[path].add(value)
        for path, value in facts(getattr(case.target, "param", None), "param"):
            seen[path].add(value)
        made = re.search(r"^target = \w+\((\w+(?:, \w+)*)?", case.code, re.MULTILINE)
        assert made
        seen["made from"].add(made[1])
        if case.x.dtype.kind == "f":
            squares.append(case.x.ravel().astype(float) ** 2)
    yield f"{name} | kind | {RECIPES[name].kind}"
    yield from ends(name)
    for path, values in sorted(seen.items()):
        usual = seen.get(f"{path}, default", {"False" if path == "inference" else "None"})
        if not path.endswith(", default") and {*map(repr, values)} != usual:
            yield f"{name} | {path} | {listed(values)}"
    if squares:
        # The exact value is luck.
        spread = round(2 * float(np.sqrt(np.mean(np.concatenate(squares))))) / 2
        yield f"{name} | x, about how far from 0 | {spread}"


def listed(values: set[Any]) -> str:
    if all(isinstance(value, tuple) and value for value in values) and len(values) > _MOST_LISTED:
        lengths = {len(value) for value in values}
        if len(lengths) == 1 and all(isinstance(v, int) for value in values for v in value):
            axes = zip(*values, strict=True)
            return " x ".join(f"{min(axis)} to {max(axis)}" for axis in axes)
    if all(type(value) is int for value in values) and len(values) > 2:
        return f"{min(values)} to {max(values)}, {len(values)} of them"
    return ", ".join(sorted(map(repr, values)))


@pytest.mark.parametrize("name", RECIPES)
def test_what_a_recipe_draws(name: str) -> None:
    page = PAGE.read_text("utf-8").splitlines()
    assert [*drawn(name)] == [line for line in page if line.startswith(f"{name} | ")]


@pytest.mark.parametrize(
    ("name", "dtype", "code"),
    [
        (
            "BinaryCrossEntropy",
            "float32",
            """import numpy as np

from dlfs.gradcheck import check_gradients
from dlfs.losses.classes import BinaryCrossEntropy

rng = np.random.default_rng(0)
x = (2 * rng.standard_normal((1, 1))).astype("float32")
y = rng.integers(0, 2, (1, 1))
target = BinaryCrossEntropy(pos_weight=None)
print(check_gradients(target, x, y=y, backend='plain'))
""",
        ),
        (
            "Residual",
            "float64",
            """import numpy as np

from dlfs.activations import Linear
from dlfs.gradcheck import check_gradients
from dlfs.initializers import seed_layers
from dlfs.layers.base import Dense
from dlfs.layers.blocks import Residual

rng = np.random.default_rng(0)
x = rng.standard_normal((2, 1))
target = Residual(layers=[Dense(1, activation=Linear())])
seed_layers([target], 0)
print(check_gradients(target, x, backend='plain'))
""",
        ),
    ],
)
def test_the_program_of_a_case(name: str, dtype: str, code: str) -> None:
    assert RECIPES[name].draw(Ends(large=False, last=False), dtype, "plain").code == code


def test_the_program_of_a_case_in_inference_and_in_another_layout() -> None:
    code = RECIPES["Dropout"].draw(Ends(large=True, last=True), "float32").code
    assert code.splitlines()[-5:] == [
        "rng = np.random.default_rng(9999)",
        'x = (1.5 * rng.standard_normal((0, 4, 4, 4))).astype("float32")',
        "x.flags.writeable = False",
        "target = Dropout(keep_prob=0.25, seed=99)",
        "print(check_gradients(target, x, inference=True, backend='reference'))",
    ]


def test_a_recipe_draws_float64_for_the_reference_unless_it_is_told() -> None:
    case = RECIPES["Tanh"].draw(Ends(large=False, last=False))
    assert case.x.dtype == np.float64
    assert case.code.endswith("backend='reference'))\n")
    assert repr(case) == f"<case>\n{case.code}"


if __name__ == "__main__":
    PAGE.write_text("".join(f"{line}\n" for name in RECIPES for line in drawn(name)), "utf-8")
