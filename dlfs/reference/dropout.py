"""Dropout's multiplication; the mask is drawn above, so that both backends see the same one."""

import numpy as np

from dlfs.checks import check_float_array, check_real, check_shape
from dlfs.types import Array


def dropout(x: Array, mask: Array, keep_prob: float) -> Array:
    """Keep where the mask says so, and scale up what is kept: ``x * mask / keep_prob``.

    Parameters
    ----------
    x : ndarray, any shape
        In the backward pass, the output gradient: the derivative is the same multiplication.
    mask : ndarray of bool, the same shape
    keep_prob : float
        The probability with which the mask was drawn; 0 < keep_prob <= 1.

    Returns
    -------
    ndarray, the shape of x

    Raises
    ------
    TypeError
        If x is not float32 or float64, or the mask is not boolean.
    ValueError
        If the shapes differ or keep_prob is out of range.

    Notes
    -----
    Book, chapter 4; "inverted" dropout: it scales in training, so that inference need not.

    Examples
    --------
    >>> dropout(np.array([[1.0, 2.0]]), np.array([[True, False]]), 0.5)
    array([[2., 0.]])
    """
    check_float_array(x, "dropout", "x")
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        got = getattr(mask, "dtype", type(mask).__name__)
        raise TypeError(f"dropout: mask must be an array of bool, got {got}")
    check_shape(mask, x.shape, "dropout", "mask")
    keep_prob = check_real(keep_prob, "dropout", "keep_prob", 0.0, 1.0, low_open=True)
    # A mask made by a view of bytes may hold other numbers than 0 and 1.
    kept = mask.view(np.uint8) != 0
    output: Array = x * kept * (1 / keep_prob)
    return output
