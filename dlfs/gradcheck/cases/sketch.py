"""A sketch: a case under construction, kept both as objects and as code."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from dlfs.initializers import seed_layers
from dlfs.layers import Layer
from dlfs.network import NeuralNetwork
from dlfs.types import Array

T = TypeVar("T")

LAYOUTS = ("contiguous", "fortran", "strided", "reversed", "read-only")


class Chooser(ABC):
    """Makes a recipe's decisions."""

    @abstractmethod
    def integer(self, low: int, high: int) -> int:
        """Return an integer from low to high; smaller is simpler."""

    @abstractmethod
    def choice(self, options: Sequence[T]) -> T:
        """Return one of the options; earlier is simpler."""


class RandomChooser(Chooser):
    """Decides at random.

    Parameters
    ----------
    rng : numpy.random.Generator
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def integer(self, low: int, high: int) -> int:
        """Return an integer from low to high."""
        return int(self.rng.integers(low, high + 1))

    def choice(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[int(self.rng.integers(len(options)))]


@dataclass(frozen=True)
class Case:
    """Something to check.

    Attributes
    ----------
    target, x, y, inference
        The arguments of ``check_gradients``.
    code : str
        A program that builds the same case and checks it.
    """

    target: Any
    x: Any
    y: Any
    inference: bool
    code: str

    def __repr__(self) -> str:
        return f"<case>\n{self.code}"


class Sketch:
    """Draws the arrays of a case and records the code that draws them.

    Parameters
    ----------
    choose : Chooser
    dtype : {"float64", "float32"}
    backend : str
        The backend named in the code.
    """

    def __init__(self, choose: Chooser, dtype: str, backend: str) -> None:
        self.choose = choose
        self.dtype = dtype
        self.backend = backend
        self.arrays: dict[str, Any] = {}
        self.seed = choose.integer(0, 9999)
        self._rng = np.random.default_rng(self.seed)
        self._lines = [f"rng = np.random.default_rng({self.seed})"]
        self._imports: set[tuple[str, str]] = set()

    # --- decisions ---

    def sizes(self, count: int, low: int, high: int) -> tuple[int, ...]:
        """Draw several sizes."""
        return tuple(self.choose.integer(low, high) for _ in range(count))

    def batch(self) -> int:
        """Draw the size of a batch; occasionally it is 0."""
        return self.choose.choice((2, 1, 3, 2, 3, 0))

    # --- arrays ---

    def normal(self, name: str, *shape: int, scale: float = 1.0) -> Array:
        """Draw normally distributed numbers."""
        drawn = self._rng.standard_normal(shape)
        text = f"rng.standard_normal({shape})"
        if scale != 1.0:
            drawn, text = drawn * scale, f"{scale:g} * {text}"
        return self._keep(name, drawn, text)

    def uniform(self, name: str, low: float, high: float, *shape: int) -> Array:
        """Draw uniformly distributed numbers from low to high."""
        drawn = self._rng.uniform(low, high, shape)
        return self._keep(name, drawn, f"rng.uniform({low:g}, {high:g}, {shape})")

    def integers(self, name: str, high: int, *shape: int) -> Array:
        """Draw integers from 0 to high - 1."""
        drawn = self._rng.integers(0, high, shape)
        self._lines.append(f"{name} = rng.integers(0, {high}, {shape})")
        self.arrays[name] = drawn
        return drawn

    def simplex(self, name: str, *shape: int) -> Array:
        """Draw rows of probabilities, in float64 whatever the dtype."""
        drawn = self._rng.dirichlet(np.ones(shape[-1]), shape[:-1])
        self._lines.append(f"{name} = rng.dirichlet(np.ones({shape[-1]}), {shape[:-1]})")
        self.arrays[name] = drawn
        return drawn

    def any_layout(self, name: str) -> None:
        """Keep an array's numbers, and change their layout in memory."""
        layout = self.choose.choice(LAYOUTS)
        array = self.arrays[name]
        if layout == "fortran":
            array, text = np.asfortranarray(array), f"np.asfortranarray({name})"
        elif layout == "strided":
            array, text = (
                np.repeat(array, 2, axis=-1)[..., ::2],
                (f"np.repeat({name}, 2, axis=-1)[..., ::2]"),
            )
        elif layout == "reversed":
            array, text = array[::-1].copy()[::-1], f"{name}[::-1].copy()[::-1]"
        elif layout == "read-only":
            array = array.copy()
            array.flags.writeable = False
            self._lines.append(f"{name}.flags.writeable = False")
        if layout in ("fortran", "strided", "reversed"):
            self._lines.append(f"{name} = {text}")
        self.arrays[name] = array

    # --- the case ---

    def case(self, make: Any, *names: str, inference: bool = False, **options: Any) -> Case:
        """Build a target of a class from named arrays and options, for the input ``x``."""
        for value in (make, *options.values()):
            self._import(value)
        given = [*names, *(f"{key}={value!r}" for key, value in options.items())]
        target = make(*(self.arrays[name] for name in names), **options)
        return self.finish(target, f"{make.__name__}({', '.join(given)})", inference)

    def network(self, make: Any, layers: list[Any], **options: Any) -> Case:
        """Build a network of layers for the input ``x``."""
        for value in (make, *layers, *options.values()):
            self._import(value)
        given = [repr(layers), *(f"{key}={value!r}" for key, value in options.items())]
        text = f"{make.__name__}({', '.join(given)})"
        return self.finish(make(layers, **options), text, False)

    def finish(self, target: Any, text: str, inference: bool) -> Case:
        """Assemble the code."""
        self._import(target)
        lines = [*self._lines, f"target = {text}"]
        if isinstance(target, Layer) and not isinstance(target, NeuralNetwork):
            # A network seeds its layers.
            seed_layers([target], self.seed)
            lines.append(f"seed_layers([target], {self.seed})")
            self._imports.add(("dlfs.initializers", "seed_layers"))
        given = ["target", "x"]
        if "y" in self.arrays:
            given.append("y=y")
        if inference:
            given.append("inference=True")
        given.append(f"backend={self.backend!r}")
        self._imports.add(("dlfs.gradcheck", "check_gradients"))
        modules = sorted({module for module, _ in self._imports})
        names = {
            module: ", ".join(sorted(name for place, name in self._imports if place == module))
            for module in modules
        }
        code = [
            "import numpy as np",
            "",
            *(f"from {module} import {names[module]}" for module in modules),
            "",
            *lines,
            f"print(check_gradients({', '.join(given)}))",
        ]
        return Case(
            target, self.arrays["x"], self.arrays.get("y"), inference, "\n".join(code) + "\n"
        )

    def _keep(self, name: str, drawn: Array, text: str) -> Array:
        if self.dtype == "float32":
            drawn = drawn.astype(np.float32)
            text = f"({text})" if "*" in text else text
            text += '.astype("float32")'
        self._lines.append(f"{name} = {text}")
        self.arrays[name] = drawn
        return drawn

    def _import(self, value: Any) -> None:
        for item in value if isinstance(value, list | tuple) else ():
            self._import(item)
        kind = value if isinstance(value, type) else type(value)
        if kind.__module__.startswith("dlfs"):
            self._imports.add((kind.__module__, kind.__name__))
            for inner in getattr(value, "arguments", dict)().values() if value is not kind else ():
                self._import(inner)
