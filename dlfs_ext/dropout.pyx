"""Dropout's multiplication; the formula is in dlfs.reference.dropout."""

cimport numpy as cnp
from cython.parallel cimport prange

import importlib

from dlfs_ext.docstrings import share_docstrings
from dlfs_ext.fallback import take_over

from dlfs_ext.arrays cimport c_array, is_double, is_float, same_shape
from dlfs_ext.instructions cimport isa_level
from dlfs_ext.pool cimport empty_like
from dlfs_ext.threads cimport threads_for

cnp.import_array()

cdef extern from "lookup.h" nogil:
    ctypedef void dropout_fn(const void *x, const unsigned char *mask, void *out, ptrdiff_t n,
                             double scale) noexcept
    dropout_fn *dropout_table[3][2]

# The module: the package's attribute of the same name is the function.
reference = importlib.import_module("dlfs.reference.dropout")


def dropout(x, mask, keep_prob):
    cdef double keep = keep_prob if type(keep_prob) is float else 0
    if not (is_float(x) and cnp.PyArray_Check(mask) and cnp.PyArray_TYPE(mask) == cnp.NPY_BOOL
            and same_shape(x, mask) and 0 < keep <= 1):
        return take_over(reference.dropout, x, mask, keep_prob)
    cdef cnp.ndarray source = c_array(x), kept = c_array(mask)
    cdef cnp.ndarray out = empty_like(source)
    cdef dropout_fn *fn = dropout_table[isa_level][is_double(source)]
    cdef ptrdiff_t n = cnp.PyArray_SIZE(source), size = cnp.PyArray_ITEMSIZE(source), start, chunk
    cdef const char *xd = <const char *>cnp.PyArray_DATA(source)
    cdef const unsigned char *md = <const unsigned char *>cnp.PyArray_DATA(kept)
    cdef char *od = <char *>cnp.PyArray_DATA(out)
    cdef int threads = threads_for(<double>n * 3), i
    with nogil:
        if threads == 1:
            fn(xd, md, od, n, 1 / keep)
        else:
            chunk = (n + threads - 1) // threads
            chunk = (chunk + 1023) // 1024 * 1024
            for i in prange(threads, num_threads=threads, schedule="static"):
                start = i * chunk
                if start < n:
                    fn(xd + start * size, md + start, od + start * size, min(chunk, n - start),
                       1 / keep)
    return out


share_docstrings(globals())
