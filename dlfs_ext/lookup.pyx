"""Embedding and dropout; formulas: dlfs.reference.embedding and dlfs.reference.dropout."""

cimport numpy as cnp
from libc.stdint cimport int64_t
from libc.string cimport memset

import importlib

from dlfs.checks import check_int
from dlfs.named_axes import check_arrays
from dlfs.reference.embedding import check_indices
from dlfs_ext.fallback import take_over

from dlfs_ext.arrays cimport c_array, is_double, is_float, same_shape
from dlfs_ext.elementwise cimport CHEAP, elementwise
from dlfs_ext.instructions cimport isa_level
from dlfs_ext.memory cimport empty_nd
from dlfs_ext.threads cimport kernel

cnp.import_array()

cdef extern from "elementwise/lookup.h" nogil:
    ctypedef void scatter_add_fn(const void *rows, const int64_t *indices, void *table,
                                 ptrdiff_t count, ptrdiff_t n) noexcept
    scatter_add_fn *scatter_add_table[3][2]
    kernel dropout_kernel

# The module: the package's attribute of the same name is the function.
reference = importlib.import_module("dlfs.reference.dropout")


def dropout(x, mask, keep_prob):
    cdef double keep = keep_prob if type(keep_prob) is float else 0
    if not (is_float(x) and cnp.PyArray_Check(mask) and cnp.PyArray_TYPE(mask) == cnp.NPY_BOOL
            and same_shape(x, mask) and 0 < keep <= 1):
        return take_over(reference.dropout, x, mask, keep_prob)
    return elementwise(&dropout_kernel, x, mask, 1 / keep, CHEAP)


def embedding(indices, table):
    check_arrays("embedding", table=(table, "rows features"))
    cdef cnp.ndarray numbers = checked(indices, table.shape[0], "embedding")
    cdef cnp.ndarray source = c_array(table)
    cdef cnp.npy_intp[65] shape
    cdef int ndim = cnp.PyArray_NDIM(numbers), axis
    for axis in range(ndim):
        shape[axis] = cnp.PyArray_DIM(numbers, axis)
    shape[ndim] = cnp.PyArray_DIM(source, 1)
    cdef cnp.ndarray out = empty_nd(ndim + 1, shape, cnp.PyArray_TYPE(source))
    cnp.PyArray_TakeFrom(source, numbers, 0, out, cnp.NPY_CLIP)
    return out


def embedding_param_grad(output_grad, indices, rows):
    owner = "embedding_param_grad"
    rows = check_int(rows, owner, "rows", 1)
    cdef cnp.ndarray numbers = checked(indices, rows, owner)
    check_arrays(owner, output_grad=(output_grad, (*indices.shape, "features")))
    cdef cnp.ndarray g = c_array(output_grad)
    cdef ptrdiff_t n = cnp.PyArray_DIM(g, cnp.PyArray_NDIM(g) - 1)
    cdef cnp.ndarray out = empty_nd(2, [rows, n], cnp.PyArray_TYPE(g))
    cdef ptrdiff_t count = cnp.PyArray_SIZE(numbers)
    cdef scatter_add_fn *fn = scatter_add_table[isa_level][is_double(g)]
    with nogil:
        memset(cnp.PyArray_DATA(out), 0, cnp.PyArray_NBYTES(out))
        fn(cnp.PyArray_DATA(g), <const int64_t *>cnp.PyArray_DATA(numbers), cnp.PyArray_DATA(out),
           count, n)
    return out


cdef cnp.ndarray checked(object indices, ptrdiff_t rows, str owner):
    """The indices as C-contiguous int64, all of them below `rows`."""
    if not (cnp.PyArray_Check(indices) and cnp.PyArray_ISINTEGER(indices)):
        check_indices(indices, rows, owner)
    # A larger unsigned number becomes negative, and is refused as such.
    cdef cnp.ndarray numbers = cnp.PyArray_FROM_OTF(
        indices, cnp.NPY_INT64, cnp.NPY_ARRAY_IN_ARRAY | cnp.NPY_ARRAY_FORCECAST)
    cdef const int64_t *index = <const int64_t *>cnp.PyArray_DATA(numbers)
    cdef ptrdiff_t count = cnp.PyArray_SIZE(numbers), i
    cdef bint outside = False
    with nogil:
        for i in range(count):
            outside |= index[i] < 0 or index[i] >= rows
    if outside:
        check_indices(indices, rows, owner)
    return numbers
