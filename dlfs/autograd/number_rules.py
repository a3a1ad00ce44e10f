"""The operations of NumberWithGrad: their values and derivatives."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

Number: TypeAlias = Any
"""An int, a float or a NumPy number; the type is kept."""


class Rule(NamedTuple):
    """One operation: its value, and its derivative with respect to each operand.

    ``slopes`` has one function for each operand; its arguments are the operands and the value.
    """

    value: Callable[..., Number]
    slopes: tuple[Callable[..., Number], ...]


def _power_slope(x: Number, y: Number, _: Number) -> Number:
    if y == 0:
        return 0
    if x == 0 and y < 1:
        return math.inf
    return y * x ** (y - 1)


def _exponent_slope(x: Number, y: Number, out: Number) -> Number:
    if x > 0:
        return out * math.log(x)
    # 0**y is 0 for y > 0; for y < 0, and for x < 0, x**y is not a function of real y.
    return 0 if x == 0 and y > 0 else math.nan


def _sigmoid(x: Number) -> float:
    # exp never gets a positive argument, so it never overflows
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _relu(x: Number) -> Number:
    # x <= 0, so that NaN stays NaN; and 0 of the same type, so that an int stays an int
    return type(x)(0) if x <= 0 else x


RULES: dict[str, Rule] = {
    "add": Rule(lambda x, y: x + y, (lambda x, y, out: 1, lambda x, y, out: 1)),
    "sub": Rule(lambda x, y: x - y, (lambda x, y, out: 1, lambda x, y, out: -1)),
    "mul": Rule(lambda x, y: x * y, (lambda x, y, out: y, lambda x, y, out: x)),
    "div": Rule(lambda x, y: x / y, (lambda x, y, out: 1 / y, lambda x, y, out: -out / y)),
    "pow": Rule(lambda x, y: x**y, (_power_slope, _exponent_slope)),
    "neg": Rule(lambda x: -x, (lambda x, out: -1,)),
    "abs": Rule(abs, (lambda x, out: (x > 0) - (x < 0),)),
    "exp": Rule(math.exp, (lambda x, out: out,)),
    "log": Rule(math.log, (lambda x, out: 1 / x,)),
    "tanh": Rule(math.tanh, (lambda x, out: 1 - out * out,)),
    "sigmoid": Rule(_sigmoid, (lambda x, out: out * (1 - out),)),
    "relu": Rule(_relu, (lambda x, out: 1 if x > 0 else 0,)),
}
"""Every operation by its ``creation_op``: forward and backward, side by side."""
