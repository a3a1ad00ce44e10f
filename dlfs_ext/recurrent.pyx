"""RNN and LSTM, a whole sequence per call; the formulas are in dlfs.reference.recurrent.

The output of forward has the batch axis first in memory, so that the next layer multiplies all
steps at once without a copy.
"""

cimport numpy as cnp

from dlfs.named_axes import check_arrays
from dlfs.reference.recurrent import GATES, SEQUENCE, STATE

from dlfs_ext.arrays cimport c_array, is_double
from dlfs_ext.instructions cimport isa_level
from dlfs_ext.pool cimport Block, empty_2d
from dlfs_ext.steps cimport (
    address,
    empty_3d,
    pack_panels_t,
    packed,
    run_sequences,
    sequences,
    sum_weight_grad,
)
from dlfs_ext.threads cimport kernel

cnp.import_array()

cdef extern from "recurrent/recurrent.h" nogil:
    pack_panels_t pack_panels_table[3][2]
    kernel weight_grad_kernel, rnn_kernel, rnn_grad_kernel, lstm_kernel, lstm_grad_kernel


def rnn(z, h0, W_h):
    check_arrays("rnn", W_h=(W_h, "hidden hidden"), z=(z, SEQUENCE), h0=(h0, STATE))
    cdef cnp.ndarray z_ = c_array(z), h0_ = c_array(h0), W = c_array(W_h)
    cdef int typenum = cnp.PyArray_TYPE(z_), double_ = is_double(z_)
    cdef ptrdiff_t n = cnp.PyArray_DIM(W, 0), size = cnp.PyArray_ITEMSIZE(z_)
    cdef sequences s
    s.batch, s.time, s.hidden = cnp.PyArray_DIM(z_, 0), cnp.PyArray_DIM(z_, 1), n
    cdef cnp.ndarray h = empty_3d(s.batch, s.time, n, typenum)
    cdef Block weights = packed(pack_panels_table[isa_level][double_], n, n, address(W), n, 1,
                                size)
    s.z, s.h0, s.h, s.weights = address(z_), address(h0_), address(h), weights.data
    run_sequences(&rnn_kernel, &s, 1, 1, size)
    return h


def rnn_grad(h_grad, last_grad, h, h0, W_h):
    check_arrays("rnn_grad", W_h=(W_h, "hidden hidden"), h=(h, SEQUENCE),
                 last_grad=(last_grad, STATE), h0=(h0, STATE), h_grad=(h_grad, SEQUENCE))
    cdef cnp.ndarray dh = c_array(h_grad), last = c_array(last_grad), h_ = c_array(h)
    cdef cnp.ndarray h0_ = c_array(h0), W = c_array(W_h)
    cdef int typenum = cnp.PyArray_TYPE(h_), double_ = is_double(h_)
    cdef ptrdiff_t n = cnp.PyArray_DIM(W, 0), size = cnp.PyArray_ITEMSIZE(h_)
    cdef sequences s
    s.batch, s.time, s.hidden = cnp.PyArray_DIM(h_, 0), cnp.PyArray_DIM(h_, 1), n
    cdef cnp.ndarray z_grad = empty_3d(s.batch, s.time, n, typenum)
    cdef cnp.ndarray h0_grad = empty_2d(s.batch, n, typenum)
    cdef cnp.ndarray W_grad = empty_2d(n, n, typenum)
    cdef Block weights = packed(pack_panels_table[isa_level][double_], n, n, address(W), 1, n,
                                size)
    s.h_grad, s.h_last_grad, s.h, s.h0 = address(dh), address(last), address(h_), address(h0_)
    s.z_grad, s.h0_grad, s.weights = address(z_grad), address(h0_grad), weights.data
    run_sequences(&rnn_grad_kernel, &s, 1, 1, size)
    sum_weight_grad(&weight_grad_kernel, &s, NULL, address(z_grad), n, n,
                    address(W_grad), n, NULL, size)
    return z_grad, h0_grad, W_grad


def lstm(z, h0, c0, W_h):
    check_arrays("lstm", W_h=(W_h, "hidden 4*hidden"), z=(z, "batch time 4*hidden"),
                 h0=(h0, STATE), c0=(c0, STATE))
    cdef cnp.ndarray z_ = c_array(z), h0_ = c_array(h0), c0_ = c_array(c0), W = c_array(W_h)
    cdef int typenum = cnp.PyArray_TYPE(z_), double_ = is_double(z_)
    cdef ptrdiff_t n = cnp.PyArray_DIM(W, 0), size = cnp.PyArray_ITEMSIZE(z_)
    cdef sequences s
    s.batch, s.time, s.hidden = cnp.PyArray_DIM(z_, 0), cnp.PyArray_DIM(z_, 1), n
    cdef cnp.ndarray h = empty_3d(s.batch, s.time, n, typenum)
    cdef cnp.ndarray c = empty_3d(s.batch, s.time, n, typenum)
    cdef cnp.ndarray gates = empty_3d(s.time, s.batch, 4 * n, typenum)
    cdef Block weights = packed(pack_panels_table[isa_level][double_], n, 4 * n, address(W),
                                4 * n, 1, size)
    s.z, s.h0, s.c0, s.weights = address(z_), address(h0_), address(c0_), weights.data
    s.h, s.c, s.gates = address(h), address(c), address(gates)
    run_sequences(&lstm_kernel, &s, 4, 1, size)
    return h, c, gates


def lstm_grad(h_grad, h_last_grad, c_last_grad, h, c, gates, h0, c0, W_h):
    check_arrays("lstm_grad", W_h=(W_h, "hidden 4*hidden"), h=(h, SEQUENCE), c=(c, SEQUENCE),
                 gates=(gates, GATES), h_last_grad=(h_last_grad, STATE),
                 c_last_grad=(c_last_grad, STATE), h0=(h0, STATE), c0=(c0, STATE),
                 h_grad=(h_grad, SEQUENCE))
    cdef cnp.ndarray dh = c_array(h_grad), h_last = c_array(h_last_grad)
    cdef cnp.ndarray c_last = c_array(c_last_grad), h_ = c_array(h), c_ = c_array(c)
    cdef cnp.ndarray gates_ = c_array(gates), h0_ = c_array(h0), c0_ = c_array(c0)
    cdef cnp.ndarray W = c_array(W_h)
    cdef int typenum = cnp.PyArray_TYPE(h_), double_ = is_double(h_)
    cdef ptrdiff_t n = cnp.PyArray_DIM(W, 0), size = cnp.PyArray_ITEMSIZE(h_)
    cdef sequences s
    s.batch, s.time, s.hidden = cnp.PyArray_DIM(h_, 0), cnp.PyArray_DIM(h_, 1), n
    cdef cnp.ndarray z_grad = empty_3d(s.batch, s.time, 4 * n, typenum)
    cdef cnp.ndarray h0_grad = empty_2d(s.batch, n, typenum)
    cdef cnp.ndarray c0_grad = empty_2d(s.batch, n, typenum)
    cdef cnp.ndarray W_grad = empty_2d(n, 4 * n, typenum)
    cdef Block weights = packed(pack_panels_table[isa_level][double_], 4 * n, n, address(W), 1,
                                4 * n, size)
    s.h_grad, s.h_last_grad, s.c_last_grad = address(dh), address(h_last), address(c_last)
    s.h, s.c, s.gates, s.h0, s.c0 = (
        address(h_), address(c_), address(gates_), address(h0_), address(c0_))
    s.z_grad, s.h0_grad, s.c0_grad = address(z_grad), address(h0_grad), address(c0_grad)
    s.weights = weights.data
    run_sequences(&lstm_grad_kernel, &s, 4, 2, size)
    sum_weight_grad(&weight_grad_kernel, &s, NULL, address(z_grad), 4 * n, 4 * n,
                    address(W_grad), 4 * n, NULL, size)
    return z_grad, h0_grad, c0_grad, W_grad
