"""Options of windows that backward leaves out."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dlfs.conv import Conv1D_Op, Conv2D_Op, ConvTranspose2D_Op
from dlfs.pooling import AvgPool2D
from tests.gradcheck.mistakes.making import normal
from tests.mutants import convolution


def with_options(**options: Any) -> Callable[..., Any]:
    """Return an input gradient that is computed as if options were others."""

    def grad(self: Any, g: np.ndarray) -> np.ndarray:
        right = {name: getattr(self, name) for name in options}
        plain = {name: value for name, value in options.items() if right[name] != value}
        vars(self).update(plain)
        try:
            found = type(self).__base__._input_grad(self, g)
        except ValueError:
            found = np.ones_like(self.input_)
        vars(self).update(right)
        return found

    return grad


def with_kernel(*axes: int) -> Callable[..., Any]:
    """Return an input gradient with a kernel flipped along some axes."""

    def grad(self: Any, g: np.ndarray) -> np.ndarray:
        right, self.param = self.param, np.flip(self.param, axes)
        found = type(self).__base__._input_grad(self, g)
        self.param = right
        return found

    return grad


def window(base: Any, input_grad: Any, *shape: int, **options: Any) -> Any:
    return type("Wrong", (base,), {"_input_grad": input_grad})(normal(*shape, seed=6), **options)


IMAGE, LINE = normal(2, 2, 3, 4), normal(2, 2, 5)
MISTAKES: dict[str, tuple[Any, ...]] = {
    "convolution: flipped": (window(Conv2D_Op, with_kernel(2, 3), 2, 1, 2, 2), IMAGE),
    "convolution: flipped along axis 2": (window(Conv2D_Op, with_kernel(2), 2, 1, 2, 2), IMAGE),
    "convolution: flipped along axis 3": (window(Conv2D_Op, with_kernel(3), 2, 1, 2, 2), IMAGE),
    "convolution of lines: flipped": (window(Conv1D_Op, with_kernel(2), 2, 1, 3), LINE),
    "convolution: without its stride": (
        window(Conv2D_Op, with_options(stride=(1, 1)), 2, 1, 2, 2, stride=(2, 1)),
        IMAGE,
    ),
    "convolution: without its padding": (
        window(Conv2D_Op, with_options(padding=(0, 0)), 2, 1, 3, 3, padding=(1, 1)),
        IMAGE,
    ),
    "convolution: without its dilation": (
        window(Conv2D_Op, with_options(dilation=(1, 1)), 2, 1, 2, 2, dilation=(2, 1)),
        IMAGE,
    ),
    "convolution: without its padding, of an image smaller than the kernel": (
        window(
            *(Conv2D_Op, with_options(padding=(0, 0)), 2, 1, 3, 2),
            padding=(2, 1),
            dilation=(2, 1),
        ),
        normal(2, 2, 2, 3),
    ),
    "transposed convolution: without its padding": (
        window(ConvTranspose2D_Op, with_options(padding=(0, 0)), 2, 1, 3, 3, padding=(1, 1)),
        normal(2, 2, 2, 3),
    ),
    "convolution: without its groups": (
        type("Wrong", (convolution.GroupsIgnored,), {})(normal(1, 2, 2, 2), groups=2),
        normal(2, 2, 3, 3),
    ),
    "average pooling: without its padding": (
        type("Wrong", (AvgPool2D,), {"_input_grad": with_options(padding=(0, 0))})(
            (3, 2), stride=(1, 1), padding=(1, 1)
        ),
        normal(2, 1, 2, 3),
    ),
    "convolution of lines: without its stride": (
        window(Conv1D_Op, with_options(stride=1), 2, 1, 2, stride=2),
        LINE,
    ),
    "convolution of lines: without its padding": (
        window(Conv1D_Op, with_options(padding=0), 2, 1, 3, padding=1),
        LINE,
    ),
}
