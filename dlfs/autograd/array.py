"""ArrayWithGrad: a NumPy array that remembers how it was computed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, NoReturn, Self, cast

import numpy as np

from dlfs.autograd.drawing import Drawable
from dlfs.autograd.elementwise import Pull, Ruled
from dlfs.autograd.graph import (
    CONSTANT,
    Copyable,
    backpropagate,
    changed_in_place,
    topological_order,
)
from dlfs.autograd.operators import Operators
from dlfs.checks import as_float_array
from dlfs.types import Array, Shape


class ArrayWithGrad(Copyable, Operators, Drawable):
    """A NumPy array that records how it was computed, and can propagate a gradient back.

    The idea of NumberWithGrad, on arrays. In the forward pass, arithmetic records what each result
    depends on and how to propagate a gradient through it; ``backward()`` visits this graph in
    topological order. Then every array of the graph has a ``grad`` of its own shape and dtype.

    Parameters
    ----------
    array : array_like
        float32 and float64 arrays are kept without a copy; integers become float64.

    Attributes
    ----------
    array : ndarray
        An optimizer may change it in place after ``backward``. After a change between a computation
        and its ``backward``, ``backward`` raises RuntimeError.
    grad : ndarray or None
        None until ``backward`` is called. A second call adds to it; ``zero_grad`` removes it.
    depends_on : list of ArrayWithGrad
        The arrays that it was computed from.
    creation_op : str
        The operation: "add", "matmul", ...; "" for a variable, and "constant" for a plain array or
        number in a computation, which gets no gradient.

    Raises
    ------
    TypeError, ValueError
        If array is not an array of real numbers, or is an ArrayWithGrad.

    Notes
    -----
    Operators broadcast as in NumPy; the gradient of a repeated entry is the sum over its uses.
    Plain arrays and numbers are converted to the dtype of the ArrayWithGrad; two of those must have
    the same dtype. NumPy's functions raise TypeError for an ArrayWithGrad, because they would lose
    the gradient: write ``x.exp()`` for ``np.exp(x)``. Book, chapter 6, has the idea for numbers.

    Examples
    --------
    >>> W = ArrayWithGrad([[1.0], [2.0]])
    >>> x = np.array([[3.0, 4.0], [5.0, 6.0]])
    >>> loss = (x @ W - 1.0).sum()
    >>> loss.backward()
    >>> W.grad
    array([[ 8.],
           [10.]])
    """

    # With this, NumPy calls __radd__ for `array + x` instead of adding x to each entry.
    __array_ufunc__: ClassVar[None] = None
    # As with NumPy's arrays, == compares the entries.
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, array: object) -> None:
        if isinstance(array, ArrayWithGrad):
            raise TypeError(
                "ArrayWithGrad: array must be an array of numbers, got an ArrayWithGrad"
            )
        self.array: Array = as_float_array(array, "ArrayWithGrad", "array")
        self.grad: Array | None = None
        self.depends_on: list[ArrayWithGrad] = []
        self.creation_op = ""
        self._pulls: tuple[Pull, ...] = ()
        self._used: list[tuple[Array, int]] = []

    def __array_function__(
        self, function: Callable[..., Any], types: object, args: object, kwargs: object
    ) -> NoReturn:
        raise TypeError(
            f"ArrayWithGrad: np.{function.__name__} would lose the gradient; use a method "
            "(a.sum(), a.exp(), a.reshape(...)), a function of dlfs.autograd, or a.array"
        )

    # --- backward ---

    def backward(self, backward_grad: object = None) -> None:
        """Propagate a gradient to everything that this array was computed from.

        Parameters
        ----------
        backward_grad : array_like, optional
            The gradient of the final result with respect to this array, of the same shape. Default
            1: this array is the final result, one number such as a loss.

        Raises
        ------
        TypeError, ValueError
            If backward_grad does not have the shape of the array, or is missing for an array of
            more than one number.
        RuntimeError
            If an array that was used has been changed in place since, as by ``x.array += 1``.

        Examples
        --------
        >>> x = ArrayWithGrad([1.0, 2.0])
        >>> y = x * x
        >>> y.backward([1.0, 10.0])
        >>> x.grad
        array([ 2., 40.])
        """
        if backward_grad is None:
            if self.array.size != 1:
                raise ValueError(
                    "ArrayWithGrad.backward: backward_grad must be given for an array of more "
                    f"than one number, got shape {self.shape}"
                )
            grad = np.ones_like(self.array)
        else:
            grad = as_float_array(
                backward_grad, "ArrayWithGrad.backward", "backward_grad", self.dtype
            )
            if grad.shape != self.shape:
                raise ValueError(
                    f"ArrayWithGrad.backward: backward_grad must have the shape of the array, "
                    f"{self.shape}, got {grad.shape}"
                )
        backpropagate(self, grad)

    def zero_grad(self) -> None:
        """Remove the gradients of this array and of everything it was computed from.

        Examples
        --------
        >>> x = ArrayWithGrad([1.0, 2.0])
        >>> y = x.sum()
        >>> y.backward()
        >>> y.zero_grad()
        >>> x.grad is None
        True
        """
        for node in topological_order(self):
            node.grad = None

    def collect(self, grad: Array) -> None:
        """Add to the gradient of this array."""
        # A copy: several nodes may get the same array, and clipping works in place.
        self.grad = np.array(grad) if self.grad is None else self.grad + grad

    def pull_back(self, grad: Array) -> "Iterable[tuple[ArrayWithGrad, Array]]":
        """Return each operand with its share of the gradient (chain rule)."""
        for node, pull in zip(self.depends_on, self._pulls, strict=True):
            if node.creation_op != CONSTANT:
                share = np.asarray(pull(grad), dtype=node.dtype)
                if share.shape != node.shape:
                    raise ValueError(
                        f"{self.creation_op}: the gradient of an operand must have its shape, "
                        f"{node.shape}, got {share.shape}"
                    )
                yield node, share

    def check_unchanged(self) -> None:
        """Raise RuntimeError if this array, or one that it was computed from, has changed."""
        for place, (array, fingerprint) in enumerate(self._used):
            if _fingerprint(array) != fingerprint:
                what = f"operand {place} (counted from 1)" if place else "the result"
                raise changed_in_place("ArrayWithGrad", self.creation_op, what)

    def shared(self) -> tuple[str, ...]:
        """Name the attributes that deep copies share: the arrays needed by gradients."""
        return ("array", "_pulls", "_used") if self.depends_on else ()

    # --- what it is ---

    @property
    def shape(self) -> Shape:
        """The size of each axis."""
        return self.array.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    @property
    def size(self) -> int:
        """The number of entries."""
        return self.array.size

    @property
    def dtype(self) -> "np.dtype[Any]":
        """float32 or float64."""
        return self.array.dtype

    def item(self) -> float:
        """Return the single number of this array, without its graph."""
        if self.size != 1:
            raise ValueError(
                f"ArrayWithGrad.item: the array must hold a single number, got shape {self.shape}"
            )
        return float(self.array.item())

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("ArrayWithGrad: an array without axes has no length")
        return len(self.array)

    def __bool__(self) -> bool:
        return bool(self.array)

    def __array__(self, dtype: object = None, copy: object = None) -> NoReturn:
        raise TypeError(
            "ArrayWithGrad: conversion to a NumPy array would lose the gradient; use .array"
        )

    # --- arithmetic: the operators and methods are in Operators ---

    def _apply(self, rule: Callable[..., Ruled], *operands: object, **options: Any) -> Self:
        return cast(Self, apply(rule, *operands, **options))

    def _is_array(self, value: object) -> bool:
        return isinstance(value, ArrayWithGrad)

    def _compare(self, comparison: Callable[..., Any], other: object) -> Array:
        plain = other.array if isinstance(other, ArrayWithGrad) else other
        plain = as_float_array(plain, "ArrayWithGrad", "an operand")
        try:
            return np.asarray(comparison(self.array, plain))
        except ValueError as error:
            raise ValueError(f"ArrayWithGrad: {comparison.__name__}: {error}") from error

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    # --- display ---

    def __repr__(self) -> str:
        how = f", creation_op={self.creation_op!r}" if self.creation_op else ""
        array = np.array2string(self.array, separator=", ", prefix="ArrayWithGrad(")
        dtype = "" if self.dtype == np.float64 else f", dtype={self.dtype}"
        return f"ArrayWithGrad({array}{dtype}{how})"

    def describe(self) -> list[str]:
        """Return the lines of text that a drawing shows for this array."""
        if self.size == 1:
            lines = [f"{self.array.item():.5g}"]
            return lines if self.grad is None else [*lines, f"grad = {self.grad.item():.5g}"]
        return [" × ".join(map(str, self.shape)), str(self.dtype)]


def apply(rule: Callable[..., Ruled], *operands: object, **options: Any) -> ArrayWithGrad:
    """Apply a rule and record it in the graph; every operation of ArrayWithGrad calls this.

    Parameters
    ----------
    rule : callable
        Takes the operands as NumPy arrays of one dtype, and the options. Returns the value and,
        for each operand, a function from the value's gradient to the operand's. The name of the
        rule becomes ``creation_op``.
    *operands : ArrayWithGrad, array_like or number
        Plain arrays and numbers are constants.
    **options
        Arguments without a gradient.

    Returns
    -------
    ArrayWithGrad

    Raises
    ------
    TypeError, ValueError
        If rule is not a named function or does not return a value and one function per operand; if
        operands are missing or not arrays of real numbers, or their dtypes or shapes do not match.

    Examples
    --------
    A new function:

    >>> def sine(x):
    ...     return np.sin(x), (lambda g: g * np.cos(x),)
    >>> x = ArrayWithGrad(0.0)
    >>> y = apply(sine, x)
    >>> y.backward()
    >>> x.grad
    array(1.)
    """
    if not callable(rule) or not hasattr(rule, "__name__"):
        raise TypeError(f"apply: rule must be a function with a name, got {type(rule).__name__}")
    name = rule.__name__.rstrip("_")
    if not operands:
        raise ValueError(f"{name}: must have at least one operand, got none")
    nodes = _as_nodes(name, operands)
    try:
        ruled = rule(*(node.array for node in nodes), **options)
    except ValueError as error:
        if str(error).startswith(name):
            raise
        raise ValueError(f"{name}: {error}") from error
    value, pulls = _checked(ruled, name, len(nodes))
    result = ArrayWithGrad(np.asarray(value))
    result.depends_on, result.creation_op, result._pulls = nodes, name, pulls
    result._used = [_use(result), *map(_use, nodes)]
    return result


def _use(node: ArrayWithGrad) -> tuple[Array, int]:
    """Return an array and its fingerprint; that of a result is computed once, with the result."""
    return node._used[0] if node._used else (node.array, _fingerprint(node.array))


def _fingerprint(array: Array) -> int:
    # NumPy does not count changes of an array, as PyTorch does for tensors: compare the content.
    return hash(array.tobytes())


def _checked(ruled: object, name: str, operands: int) -> Ruled:
    if not isinstance(ruled, tuple) or len(ruled) != 2:
        raise TypeError(
            f"{name}: must return a value and a tuple of functions, one for each operand; "
            f"got {type(ruled).__name__}"
        )
    value, pulls = ruled
    pulls = tuple(pulls) if isinstance(pulls, Sequence) else (pulls,)
    if len(pulls) != operands or not all(map(callable, pulls)):
        raise TypeError(
            f"{name}: the second return value must be a tuple of {operands} functions, "
            f"one for each operand; got {len(pulls)} of {[type(pull).__name__ for pull in pulls]}"
        )
    return value, pulls


def _as_nodes(name: str, operands: Sequence[object]) -> list[ArrayWithGrad]:
    dtypes = {node.dtype for node in operands if isinstance(node, ArrayWithGrad)}
    if len(dtypes) > 1:
        raise TypeError(f"{name}: all operands must have one dtype, got float32 and float64")
    dtype = dtypes.pop() if dtypes else None
    nodes = []
    for operand in operands:
        if isinstance(operand, ArrayWithGrad):
            nodes.append(operand)
            continue
        node = ArrayWithGrad(as_float_array(operand, name, "an operand", dtype))
        node.creation_op = CONSTANT
        nodes.append(node)
    return nodes
