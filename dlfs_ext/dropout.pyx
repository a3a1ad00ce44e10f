"""Dropout's multiplication; the formula is in dlfs.reference.dropout."""

cimport numpy as cnp

import importlib

from dlfs_ext.fallback import take_over

from dlfs_ext.arrays cimport is_float, same_shape
from dlfs_ext.elementwise cimport CHEAP, elementwise
from dlfs_ext.threads cimport kernel

cnp.import_array()

cdef extern from "elementwise/lookup.h" nogil:
    kernel dropout_kernel

# The module: the package's attribute of the same name is the function.
reference = importlib.import_module("dlfs.reference.dropout")


def dropout(x, mask, keep_prob):
    cdef double keep = keep_prob if type(keep_prob) is float else 0
    if not (is_float(x) and cnp.PyArray_Check(mask) and cnp.PyArray_TYPE(mask) == cnp.NPY_BOOL
            and same_shape(x, mask) and 0 < keep <= 1):
        return take_over(reference.dropout, x, mask, keep_prob)
    return elementwise(&dropout_kernel, x, mask, 1 / keep, CHEAP)
