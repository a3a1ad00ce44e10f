"""Sigmoid, tanh and softmax; the formulas are in dlfs.reference.activations."""

cimport numpy as cnp
from cython.parallel cimport prange

from dlfs.named_axes import check_arrays
from dlfs.reference.activations import check_classes
from dlfs_ext.docstrings import share_docstrings

from dlfs_ext.arrays cimport c_array, is_double, is_float, same_shape, same_type
from dlfs_ext.elementwise cimport DEAR, CHEAP, binary, binary_fn, unary, unary_fn
from dlfs_ext.instructions cimport isa_level
from dlfs_ext.pool cimport empty_like
from dlfs_ext.threads cimport threads_for

cnp.import_array()

cdef extern from "activations.h" nogil:
    ctypedef void softmax_fn(const void *x, void *out, ptrdiff_t rows, ptrdiff_t n) noexcept
    ctypedef void softmax_grad_fn(const void *g, const void *y, void *out, ptrdiff_t rows,
                                  ptrdiff_t n) noexcept
    unary_fn *sigmoid_table[3][2]
    unary_fn *tanh_table[3][2]
    unary_fn *exp_table[3][2]
    binary_fn *sigmoid_grad_table[3][2]
    binary_fn *tanh_grad_table[3][2]
    softmax_fn *softmax_table[3][2]
    softmax_grad_fn *softmax_grad_table[3][2]


def sigmoid(x):
    if not is_float(x):
        check_arrays("sigmoid", x=(x, "..."))
    return unary(sigmoid_table[isa_level][is_double(x)], x, 0, DEAR)


def sigmoid_grad(output_grad, output):
    check_pair(output_grad, output, "sigmoid_grad", "output")
    return binary(sigmoid_grad_table[isa_level][is_double(output)], output_grad, output, 0, CHEAP)


def tanh(x):
    if not is_float(x):
        check_arrays("tanh", x=(x, "..."))
    return unary(tanh_table[isa_level][is_double(x)], x, 0, DEAR)


def tanh_grad(output_grad, output):
    check_pair(output_grad, output, "tanh_grad", "output")
    return binary(tanh_grad_table[isa_level][is_double(output)], output_grad, output, 0, CHEAP)


def softmax(x):
    if not is_float(x):
        check_arrays("softmax", x=(x, "..."))
    check_classes(x, "softmax")
    cdef cnp.ndarray source = c_array(x)
    cdef cnp.ndarray out = empty_like(source)
    cdef ptrdiff_t n = source.shape[source.ndim - 1]
    cdef ptrdiff_t rows = cnp.PyArray_SIZE(source) // n, chunk
    cdef ptrdiff_t step = n * cnp.PyArray_ITEMSIZE(source)
    cdef const char *first = <const char *>cnp.PyArray_DATA(source)
    cdef char *target = <char *>cnp.PyArray_DATA(out)
    cdef softmax_fn *fn = softmax_table[isa_level][is_double(source)]
    cdef int threads = threads_for(<double>rows * n * DEAR), i
    with nogil:
        if threads == 1:
            fn(first, target, rows, n)
        else:
            chunk = (rows + threads - 1) // threads
            for i in prange(threads, num_threads=threads, schedule="static"):
                if i * chunk < rows:
                    fn(first + i * chunk * step, target + i * chunk * step,
                       min(chunk, rows - i * chunk), n)
    return out


def softmax_grad(output_grad, output):
    check_pair(output_grad, output, "softmax_grad", "output")
    check_classes(output, "softmax_grad")
    cdef cnp.ndarray g = c_array(output_grad), y = c_array(output)
    cdef cnp.ndarray out = empty_like(y)
    cdef ptrdiff_t n = y.shape[y.ndim - 1]
    cdef softmax_grad_fn *fn = softmax_grad_table[isa_level][is_double(y)]
    cdef ptrdiff_t rows = cnp.PyArray_SIZE(y) // n
    with nogil:
        fn(cnp.PyArray_DATA(g), cnp.PyArray_DATA(y), cnp.PyArray_DATA(out), rows, n)
    return out


def _exp(x):
    """exp, elementwise; for the tests of csrc/vmath.h."""
    return unary(exp_table[isa_level][is_double(x)], x, 0, DEAR)


cdef int check_pair(object output_grad, object other, str owner, str name) except -1:
    if not (is_float(output_grad) and is_float(other) and same_type(output_grad, other)
            and same_shape(output_grad, other)):
        check_arrays(owner, **{name: (other, "..."), "output_grad": (output_grad, "...")})
    return 0


share_docstrings(globals())
