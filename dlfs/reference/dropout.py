"""Dropout's multiplication (book, chapter 4); the mask is drawn above, one for both backends."""

import numpy as np

from dlfs.checks import check_real, check_shape
from dlfs.reference.kernel import kernel
from dlfs.types import Array


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
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        got = getattr(mask, "dtype", type(mask).__name__)
        raise TypeError(f"dropout: mask must be an array of bool, got {got}")
    check_shape(mask, x.shape, "dropout", "mask")
    keep_prob = check_real(keep_prob, "dropout", "keep_prob", 0.0, 1.0, low_open=True)
    # A mask made by a view of bytes may hold other numbers than 0 and 1.
    kept = mask.view(np.uint8) != 0
    return x * kept * (1 / keep_prob)
