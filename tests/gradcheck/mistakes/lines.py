"""Mistakes of one line each, which can be read and changed."""

import linecache
from typing import Any

import numpy as np

from dlfs.base import Operation
from tests.gradcheck.mistakes.making import normal

READ: dict[str, tuple[str, str, tuple[int, ...]]] = {
    "0 for 1": ("np.sin(self.input_)", "output_grad * np.cos(self.input_ + 1)", (2, 3)),
    "-1 for 4": ("1 / self.input_", "output_grad * 4 * self.input_**-2", (2, 3)),
    "0.5 for 4": ("np.sin(self.input_ / 2)", "4 * output_grad * np.cos(self.input_ / 2)", (2, 3)),
    "3 for 7": (
        "self.input_ * self.input_ * self.input_",
        "output_grad * 7 * self.input_ * self.input_",
        (2, 3),
    ),
    "a third power": ("self.input_**4", "4 * output_grad * self.input_**5", (2, 3)),
    "half": ("np.sin(self.input_ / 2)", "output_grad * np.cos(self.input_ / 2)", (2, 3)),
    "twice": ("np.sin(2 * self.input_)", "output_grad * np.cos(self.input_ + self.input_)", (2, 3)),
    "tanh without its derivative": ("np.tanh(self.input_)", "output_grad + 0", (2, 3)),
    "sigmoid without its derivative": ("1 / (1 + np.exp(-self.input_))", "output_grad / 1", (2, 3)),
    "not divided by the columns": (
        "np.sin(self.input_) / self.input_.shape[1]",
        "output_grad * np.cos(self.input_)",
        (2, 3),
    ),
    "not divided by the size": (
        "np.sin(self.input_) / self.input_.size",
        "output_grad * np.cos(self.input_)",
        (2, 5),
    ),
    "not divided by the third size": (
        "np.sin(self.input_) / self.input_.shape[2]",
        "output_grad * np.cos(self.input_)",
        (2, 2, 3),
    ),
    "not divided by a row": (
        "np.sin(self.input_).mean(axis=(1, 2), keepdims=True) + 0 * self.input_",
        "output_grad.sum(axis=(1, 2), keepdims=True) * np.cos(self.input_)",
        (2, 2, 3),
    ),
    "not divided by the pixels": (
        "np.sin(self.input_).mean(axis=(2, 3), keepdims=True) + 0 * self.input_",
        "output_grad.sum(axis=(2, 3), keepdims=True) * np.cos(self.input_)",
        (2, 2, 3, 2),
    ),
    "not divided by the root of the columns": (
        "np.sin(self.input_) / np.sqrt(len(self.input_[0]))",
        "output_grad * np.cos(self.input_)",
        (2, 3),
    ),
    "not masked": (
        "np.where(self.input_ > 0.25, self.input_, 0.0) ** 2",
        "2 * output_grad * self.input_",
        (3, 4),
    ),
    "not masked above": (
        "np.where(self.input_ < 0.25, self.input_, 0.0) ** 2",
        "2 * output_grad * self.input_",
        (3, 4),
    ),
    "a transpose": ("np.sin(self.input_.T)", "output_grad * np.cos(self.input_)", (3, 3)),
    "an axis everywhere": (
        "self.input_ - self.input_.sum(axis=1, keepdims=True) ** 2",
        (
            "output_grad"
            " - 2 * self.input_.sum(axis=0, keepdims=True) * output_grad.sum(axis=0, keepdims=True)"
        ),
        (3, 3),
    ),
    "an array everywhere": (
        "np.tanh(self.input_)",
        "output_grad * (1 - self.input_ * self.input_)",
        (2, 3),
    ),
    "a long line": (
        "np.sin(self.input_) + np.cos(self.input_) + np.exp(self.input_)",
        "output_grad * (np.cos(self.input_) - np.sin(self.input_) + np.exp(self.input_) + 1)",
        (2, 3),
    ),
    "a part of forward": (
        "self.input_ * np.sin(self.input_)",
        "output_grad * np.sin(self.input_)",
        (2, 3),
    ),
    "a long part of forward": (
        "self.input_ * (np.sin(self.input_) + np.cos(3 * self.input_) + np.exp(self.input_) + 1)",
        "output_grad * (np.sin(self.input_) + np.cos(3 * self.input_) + np.exp(self.input_) + 1)",
        (2, 3),
    ),
    "nothing that can be mended": (
        "np.sin(self.input_)",
        "output_grad * np.abs(np.round(7 * self.input_)) / 11",
        (2, 3),
    ),
}


def read(name: str) -> tuple[Operation, np.ndarray]:
    """Return an Operation whose source can be read, and its input."""
    forward, backward, shape = READ[name]
    lines = [
        "class Wrong(Operation):",
        "    def _output(self):",
        f"        return {forward}",
        "    def _input_grad(self, output_grad):",
        f"        return {backward}",
    ]
    file, text = f"<{name}>", "\n".join(lines) + "\n"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names: dict[str, Any] = {"np": np, "Operation": Operation, "__name__": "student"}
    exec(compile(text, file, "exec"), names)
    return names["Wrong"](), normal(*shape)
