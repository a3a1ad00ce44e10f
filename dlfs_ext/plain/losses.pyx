"""Softmax and cross-entropy, row by row: `dlfs.reference.losses`.

Class labels without smoothing and weights have a loop; the rest comes from the reference.
"""

from libc.math cimport exp, log1p

from dlfs_ext.plain.loops cimport aligned, real

import numpy as np

from dlfs.reference import KERNELS


def softmax_cross_entropy(prediction, target, label_smoothing=0.0, weights=None):
    result = KERNELS["softmax_cross_entropy"](prediction, target, label_smoothing, weights)
    if target.ndim != 1 or label_smoothing or weights is not None:
        return result
    grad = np.empty(prediction.shape, prediction.dtype)
    labels = target.astype(np.int64)
    return cross_entropy(aligned(prediction), labels, grad) / len(target), grad


def cross_entropy(const real[:, :] prediction, const long long[:] labels, real[:, :] grad):
    """Return the sum of -log(softmax(prediction)[label]) over the rows."""
    cdef Py_ssize_t row, i, largest, batch = prediction.shape[0], classes = prediction.shape[1]
    cdef double total = 0, rest
    with nogil:
        for row in range(batch):
            largest = 0
            for i in range(1, classes):
                if prediction[row, i] > prediction[row, largest]:
                    largest = i
            # The sum of exp(p - largest p), without the largest's own 1.
            rest = 0
            for i in range(classes):
                if i != largest:
                    rest += exp(<double>prediction[row, i] - prediction[row, largest])
            total += (log1p(rest) + prediction[row, largest]
                      - <double>prediction[row, labels[row]])
            for i in range(classes):
                grad[row, i] = <real>((exp(<double>prediction[row, i] - prediction[row, largest])
                                       / (1 + rest) - (i == labels[row])) / batch)
    return total
