"""Automatic differentiation: values that record how they were computed (book, chapter 6).

``NumberWithGrad`` shows the idea on single numbers. ``ArrayWithGrad`` does the same for NumPy
arrays, enough to train the book's networks without a hand-written backward pass:

>>> from dlfs.autograd import ArrayWithGrad, NumberWithGrad
>>> a = NumberWithGrad(3)
>>> b = a * a + a
>>> b.backward()
>>> a.grad
7
"""

from dlfs.autograd.array import ArrayWithGrad, apply
from dlfs.autograd.functions import (
    concatenate,
    conv2d,
    log_softmax,
    max_pool2d,
    maximum,
    softmax,
    softmax_cross_entropy,
)
from dlfs.autograd.number import NumberWithGrad, ensure_number

__all__ = [
    "ArrayWithGrad",
    "NumberWithGrad",
    "apply",
    "concatenate",
    "conv2d",
    "ensure_number",
    "log_softmax",
    "max_pool2d",
    "maximum",
    "softmax",
    "softmax_cross_entropy",
]
