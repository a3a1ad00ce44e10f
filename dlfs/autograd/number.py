"""NumberWithGrad: a number that records how it was computed."""

import numbers
from collections.abc import Iterable, Sequence
from typing import ClassVar, NoReturn

import numpy as np

from dlfs.autograd.drawing import Drawable
from dlfs.autograd.graph import (
    CONSTANT,
    Copyable,
    backpropagate,
    changed_in_place,
    topological_order,
)
from dlfs.autograd.number_rules import RULES, Number


class NumberWithGrad(Copyable, Drawable):
    """A number that records how it was computed, and can propagate a gradient back.

    In the forward pass, arithmetic records what each result depends on. ``backward()`` visits this
    graph in reverse and multiplies derivatives (chain rule). Then ``grad`` of every number in the
    graph is the derivative of the result with respect to it.

    Parameters
    ----------
    num : int or float
        An int stays an int.
    depends_on : sequence of NumberWithGrad, optional
        The numbers that it was computed from; set by arithmetic.
    creation_op : str, default ""
        The operation: "add", "sub", "mul", "div", "pow", "neg", "abs", "exp", "log", "tanh",
        "sigmoid" or "relu"; "" for a variable, and "constant" for a plain number in a computation,
        which gets no gradient.

    Attributes
    ----------
    num, depends_on, creation_op
    grad : number or None
        None until ``backward`` is called. A second call adds to it; ``zero_grad`` removes it.

    Raises
    ------
    TypeError
        If num is an array or not a real number.
    ValueError
        If creation_op is unknown or has the wrong number of operands, or the result is undefined:
        division by 0, the logarithm of a number that is not positive, a negative number to a
        fractional power, a result too large for a float.

    Notes
    -----
    Book, chapter 6; the operators other than ``+`` and ``*`` are ours. A number that is used twice
    gets the sum of the gradients of both uses: ``backward`` visits the graph in topological order,
    so that each gradient is complete before it is propagated. The book's recursion propagates too
    much. With ``b = a * 1; c = b + b`` it visits b twice: first b has the gradient 1 and adds 1 to
    a, then it has 2 and adds 2, so that a gets 3 instead of 2.

    ``**`` takes numbers on both sides; ``relu`` and ``abs`` have the derivative 0 at their kink.
    Comparisons compare ``num``. Conversion to float raises TypeError, because ``math.exp(a)`` would
    silently lose the gradient; write ``a.exp()``. A NumberWithGrad cannot be hashed, because two
    different variables may be equal.

    Examples
    --------
    >>> a = NumberWithGrad(3)
    >>> b = a * 4
    >>> c = b + 3
    >>> d = a + 2
    >>> e = c * d
    >>> e.backward()
    >>> a.grad
    35

    A number that is used twice:

    >>> a = NumberWithGrad(3)
    >>> b = a * 1
    >>> c = b + b
    >>> c.backward()
    >>> a.grad
    2
    """

    # With this, NumPy calls __rmul__ for `np.float64(2) * a` instead of making an object array.
    __array_ufunc__: ClassVar[None] = None
    # Equal numbers may be different variables, and a set would merge them.
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        num: Number,
        depends_on: "Sequence[NumberWithGrad] | None" = None,
        creation_op: str = "",
    ) -> None:
        self.num = _checked(num, "num")
        self.grad: Number | None = None
        if depends_on is not None and not isinstance(depends_on, Sequence):
            raise TypeError(
                f"NumberWithGrad: depends_on must be a list of NumberWithGrad, "
                f"got {type(depends_on).__name__}"
            )
        self.depends_on = [] if depends_on is None else list(depends_on)
        self.creation_op = creation_op
        self._check_creation()
        self._computed_from = [self.num, *(node.num for node in self.depends_on)]

    def _check_creation(self) -> None:
        rule = RULES.get(self.creation_op) if isinstance(self.creation_op, str) else None
        if rule is None and self.creation_op not in ("", CONSTANT):
            known = ", ".join(repr(name) for name in RULES)
            raise ValueError(
                f"NumberWithGrad: creation_op must be '' or one of {known}; "
                f"got {self.creation_op!r}"
            )
        needed = len(rule.slopes) if rule else 0
        if len(self.depends_on) != needed:
            raise ValueError(
                f"NumberWithGrad: depends_on must hold {needed} numbers for creation_op "
                f"{self.creation_op!r}, got {len(self.depends_on)}"
            )
        for node in self.depends_on:
            if not isinstance(node, NumberWithGrad):
                raise TypeError(
                    f"NumberWithGrad: depends_on must hold NumberWithGrad, "
                    f"got {type(node).__name__}"
                )

    # --- backward ---

    def backward(self, backward_grad: Number = None) -> None:
        """Propagate a gradient to everything that this number was computed from.

        Parameters
        ----------
        backward_grad : number, optional
            The derivative of the final result with respect to this number. Default 1: this number
            is the final result.

        Raises
        ------
        TypeError
            If backward_grad is not a real number.
        RuntimeError
            If ``num`` of a result or of an operand was changed since the computation.

        Examples
        --------
        >>> a = NumberWithGrad(2.0)
        >>> b = a**3
        >>> b.backward()
        >>> a.grad
        12.0
        """
        grad = 1 if backward_grad is None else _checked(backward_grad, "backward_grad")
        backpropagate(self, grad)

    def zero_grad(self) -> None:
        """Remove the gradients of this number and of everything it was computed from.

        Examples
        --------
        >>> a = NumberWithGrad(2.0)
        >>> b = a * a
        >>> b.backward()
        >>> b.zero_grad()
        >>> a.grad is None
        True
        """
        for node in topological_order(self):
            node.grad = None

    def collect(self, grad: Number) -> None:
        """Add to the gradient of this number."""
        self.grad = grad if self.grad is None else self.grad + grad

    def pull_back(self, grad: Number) -> "Iterable[tuple[NumberWithGrad, Number]]":
        """Return each operand with its share of the gradient (chain rule)."""
        if not self.depends_on:
            return
        operands = [node.num for node in self.depends_on]
        slopes = RULES[self.creation_op].slopes
        for node, slope in zip(self.depends_on, slopes, strict=True):
            if node.creation_op != CONSTANT:
                yield node, grad * slope(*operands, self.num)

    def check_unchanged(self) -> None:
        """Raise RuntimeError if this number, or one that it was computed from, has changed."""
        if not self.depends_on:
            return
        now = [self.num, *(node.num for node in self.depends_on)]
        for place, (new, old) in enumerate(zip(now, self._computed_from, strict=True)):
            if new is not old and new != old:
                what = f"operand {place}" if place else "the result"
                raise changed_in_place("NumberWithGrad", self.creation_op, what)

    # --- arithmetic ---

    def __add__(self, other: object) -> "NumberWithGrad":
        return _apply("add", self, other)

    def __radd__(self, other: object) -> "NumberWithGrad":
        return _apply("add", other, self)

    def __sub__(self, other: object) -> "NumberWithGrad":
        return _apply("sub", self, other)

    def __rsub__(self, other: object) -> "NumberWithGrad":
        return _apply("sub", other, self)

    def __mul__(self, other: object) -> "NumberWithGrad":
        return _apply("mul", self, other)

    def __rmul__(self, other: object) -> "NumberWithGrad":
        return _apply("mul", other, self)

    def __truediv__(self, other: object) -> "NumberWithGrad":
        return _apply("div", self, other)

    def __rtruediv__(self, other: object) -> "NumberWithGrad":
        return _apply("div", other, self)

    def __pow__(self, other: object) -> "NumberWithGrad":
        return _apply("pow", self, other)

    def __rpow__(self, other: object) -> "NumberWithGrad":
        return _apply("pow", other, self)

    def __neg__(self) -> "NumberWithGrad":
        return _apply("neg", self)

    def __pos__(self) -> "NumberWithGrad":
        return self

    def __abs__(self) -> "NumberWithGrad":
        return _apply("abs", self)

    def exp(self) -> "NumberWithGrad":
        """Return e to the power of this number; the derivative is the same value."""
        return _apply("exp", self)

    def log(self) -> "NumberWithGrad":
        """Return the natural logarithm; the derivative is ``1 / num``."""
        return _apply("log", self)

    def tanh(self) -> "NumberWithGrad":
        """Return the hyperbolic tangent t; the derivative is ``1 - t**2``."""
        return _apply("tanh", self)

    def sigmoid(self) -> "NumberWithGrad":
        """Return ``s = 1 / (1 + exp(-num))``; the derivative is ``s * (1 - s)``."""
        return _apply("sigmoid", self)

    def relu(self) -> "NumberWithGrad":
        """Return ``max(num, 0)``; the derivative is 1 above 0, else 0."""
        return _apply("relu", self)

    # --- comparison ---

    def __eq__(self, other: object) -> bool:
        if isinstance(other, NumberWithGrad):
            return bool(self.num == other.num)
        return bool(self.num == other) if isinstance(other, numbers.Real) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return bool(self.num < _operand("<", other).num)

    def __le__(self, other: object) -> bool:
        return bool(self.num <= _operand("<=", other).num)

    def __gt__(self, other: object) -> bool:
        return bool(self.num > _operand(">", other).num)

    def __ge__(self, other: object) -> bool:
        return bool(self.num >= _operand(">=", other).num)

    def __bool__(self) -> bool:
        return bool(self.num)

    # --- display ---

    def __repr__(self) -> str:
        how = f", creation_op={self.creation_op!r}" if self.creation_op else ""
        return f"NumberWithGrad({self.num!r}{how}, grad={self.grad!r})"

    def describe(self) -> list[str]:
        """Return the lines of text that a drawing shows for this number."""
        lines = [f"num = {_short(self.num)}"]
        return lines if self.grad is None else [*lines, f"grad = {_short(self.grad)}"]


def ensure_number(num: object) -> NumberWithGrad:
    """Return a NumberWithGrad unchanged, and a plain number as a constant.

    Parameters
    ----------
    num : NumberWithGrad or number

    Raises
    ------
    TypeError
        If it is neither.

    Examples
    --------
    >>> ensure_number(4)
    NumberWithGrad(4, creation_op='constant', grad=None)
    """
    if isinstance(num, NumberWithGrad):
        return num
    return NumberWithGrad(num, creation_op=CONSTANT)


def _short(num: Number) -> str:
    if isinstance(num, int | np.integer) and -(10**12) < num < 10**12:
        return str(int(num))
    try:
        return f"{float(num):.5g}"
    except OverflowError:
        return "> 1e308" if num > 0 else "< -1e308"


def _operand(name: str, num: object) -> NumberWithGrad:
    try:
        return ensure_number(num)
    except TypeError:
        advice = "; use ArrayWithGrad for arrays" if hasattr(num, "shape") else ""
        raise TypeError(
            f"NumberWithGrad: {name}: the operand must be a number or a NumberWithGrad, "
            f"got {type(num).__name__}{advice}"
        ) from None


def _apply(name: str, *operands: object) -> NumberWithGrad:
    nodes = [_operand(name, operand) for operand in operands]
    nums = [node.num for node in nodes]
    try:
        with np.errstate(divide="raise", invalid="raise", over="raise"):
            num = RULES[name].value(*nums)
    except (ArithmeticError, ValueError) as error:
        _refuse(name, nums, error)
    if isinstance(num, complex):
        _refuse(name, nums, None)
    return NumberWithGrad(num, nodes, name)


def _refuse(name: str, nums: list[Number], error: Exception | None) -> NoReturn:
    given = ", ".join(f"{num!r}" for num in nums)
    why = "the result is not a real number" if error is None else str(error)
    raise ValueError(f"NumberWithGrad: {name} is not defined for {given}: {why}") from error


def _checked(num: object, name: str) -> Number:
    if isinstance(num, bool | np.bool_) or not isinstance(num, numbers.Real):
        raise TypeError(
            f"NumberWithGrad: {name} must be a real number, got {num!r:.60}"
            + ("; use ArrayWithGrad for arrays" if isinstance(num, np.ndarray) else "")
        )
    return num
