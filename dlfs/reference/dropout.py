"""Dropout's multiplication (book, chapter 4); the mask is drawn above, one for both backends."""

import numpy as np

from dlfs.checks import check_kind, check_real, check_shape
from dlfs.reference.kernel import kernel
from dlfs.types import Array, Shape


@kernel(x="...")
def dropout(x: Array, mask: Array, keep_prob: float) -> Array:
    """Keep x where the mask is true, and scale up what is kept: ``x * mask / keep_prob``.

    x (...), mask (...) of bool -> (...)

    keep_prob is the probability with which the mask was drawn, 0 < keep_prob <= 1. Backward is the
    same multiplication, of the output gradient. This is "inverted" dropout: it scales in training,
    so that inference need not.

    >>> dropout(np.array([[1.0, 2.0]]), np.array([[True, False]]), 0.5)
    array([[2., 0.]])
    """
    check_mask("dropout", mask, x.shape)
    keep_prob = check_keep_prob("dropout", keep_prob)
    return x * kept(mask) * (1 / keep_prob)


def check_mask(owner: str, mask: Array, shape: Shape) -> None:
    """Check the dtype and the shape of a mask."""
    check_kind(mask, "b", "an array of bool", owner, "mask")
    check_shape(mask, shape, owner, "mask")


def check_keep_prob(owner: str, keep_prob: float) -> float:
    """Check a probability, and return it as a float."""
    return check_real(keep_prob, owner, "keep_prob", 0.0, 1.0, low_open=True)


def kept(mask: Array) -> Array:
    """Return the mask; one made by a view of bytes may hold other numbers than 0 and 1."""
    return mask.view(np.uint8) != 0
