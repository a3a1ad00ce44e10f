"""The operators and methods of ArrayWithGrad; each applies a rule to its operands."""

from collections.abc import Callable, Sequence
from typing import Any, Self, TypeAlias

import numpy as np

from dlfs.autograd import axes, elementwise
from dlfs.autograd.elementwise import Ruled
from dlfs.types import Array

Axis: TypeAlias = int | Sequence[int] | None


class Operators:
    """The operators and methods of NumPy arrays; ArrayWithGrad defines how a rule is applied."""

    # As with NumPy's arrays, == compares the entries.
    __hash__ = None  # type: ignore[assignment]

    def _apply(self, rule: Callable[..., Ruled], *operands: object, **options: Any) -> Self:
        raise NotImplementedError

    def _is_array(self, value: object) -> bool:
        raise NotImplementedError

    def _compare(self, comparison: Callable[..., Any], other: object) -> Array:
        raise NotImplementedError

    # --- arithmetic ---

    def __add__(self, other: object) -> Self:
        return self._apply(elementwise.add, self, other)

    def __radd__(self, other: object) -> Self:
        return self._apply(elementwise.add, other, self)

    def __sub__(self, other: object) -> Self:
        return self._apply(elementwise.sub, self, other)

    def __rsub__(self, other: object) -> Self:
        return self._apply(elementwise.sub, other, self)

    def __mul__(self, other: object) -> Self:
        return self._apply(elementwise.mul, self, other)

    def __rmul__(self, other: object) -> Self:
        return self._apply(elementwise.mul, other, self)

    def __truediv__(self, other: object) -> Self:
        return self._apply(elementwise.div, self, other)

    def __rtruediv__(self, other: object) -> Self:
        return self._apply(elementwise.div, other, self)

    def __pow__(self, other: object) -> Self:
        return self._apply(elementwise.pow_, self, other)

    def __rpow__(self, other: object) -> Self:
        return self._apply(elementwise.pow_, other, self)

    def __matmul__(self, other: object) -> Self:
        return self._apply(elementwise.matmul, self, other)

    def __rmatmul__(self, other: object) -> Self:
        return self._apply(elementwise.matmul, other, self)

    def __neg__(self) -> Self:
        return self._apply(elementwise.neg, self)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return self._apply(elementwise.abs_, self)

    def exp(self) -> Self:
        """Return e to the power of each entry."""
        return self._apply(elementwise.exp, self)

    def log(self) -> Self:
        """Return the natural logarithm of each entry."""
        return self._apply(elementwise.log, self)

    def tanh(self) -> Self:
        """Return the hyperbolic tangent of each entry."""
        return self._apply(elementwise.tanh, self)

    def sigmoid(self) -> Self:
        """Return ``1 / (1 + exp(-x))`` for each entry."""
        return self._apply(elementwise.sigmoid, self)

    def relu(self) -> Self:
        """Return ``max(x, 0)`` for each entry; the derivative is 1 above 0, else 0."""
        return self._apply(elementwise.relu, self)

    # --- over axes ---

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Self:
        """Return the sum over one axis, several, or all."""
        return self._apply(axes.sum_, self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Self:
        """Return the mean over one axis, several, or all."""
        return self._apply(axes.mean, self, axis=axis, keepdims=keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Self:
        """Return the maximum over one axis, several, or all; equal entries share the gradient."""
        return self._apply(axes.max_, self, axis=axis, keepdims=keepdims)

    # --- choosing and moving ---

    def __getitem__(self, key: Any) -> Self:
        parts = key if isinstance(key, tuple) else (key,)
        if any(self._is_array(part) for part in parts):
            raise TypeError(
                "ArrayWithGrad: an index must consist of integers, got an ArrayWithGrad"
            )
        return self._apply(axes.index, self, key=key)

    def reshape(self, *shape: Any) -> Self:
        """Return the same entries in another shape; one size may be -1."""
        given = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        return self._apply(axes.reshape, self, shape=tuple(given))

    def transpose(self, *order: Any) -> Self:
        """Return the array with its axes in another order. Default: reversed."""
        given = order[0] if len(order) == 1 and isinstance(order[0], tuple | list) else order
        return self._apply(axes.transpose, self, axes=given or None)

    @property
    def T(self) -> Self:
        """The array with its axes in reverse order."""
        return self.transpose()

    # --- comparison: entry by entry, and without a gradient ---

    def __eq__(self, other: object) -> Array:  # type: ignore[override]
        return self._compare(np.equal, other)

    def __ne__(self, other: object) -> Array:  # type: ignore[override]
        return self._compare(np.not_equal, other)

    def __lt__(self, other: object) -> Array:
        return self._compare(np.less, other)

    def __le__(self, other: object) -> Array:
        return self._compare(np.less_equal, other)

    def __gt__(self, other: object) -> Array:
        return self._compare(np.greater, other)

    def __ge__(self, other: object) -> Array:
        return self._compare(np.greater_equal, other)
