"""RNN, LSTM and GRU, a whole sequence per call; the steps are in csrc/recurrent/steps_tile.h.

The formulas are in dlfs.reference.recurrent and dlfs.reference.gru. The output of forward has the
batch axis first in memory, so that the next layer multiplies all steps at once without a copy.
"""

cimport numpy as cnp

from dlfs.checks import check_choice
from dlfs.named_axes import check_arrays
from dlfs.reference.gru import GRU_RESETS, GRU_WEIGHTS
from dlfs.reference.recurrent import GATES, SEQUENCE, STATE

from dlfs_ext.arrays cimport c_array, data, input_t, is_double, output_t
from dlfs_ext.instructions cimport isa_level
from dlfs_ext.memory cimport Block, empty_like, empty_nd, new_block
from dlfs_ext.threads cimport kernel, run

cnp.import_array()

cdef extern from "recurrent/recurrent.h" nogil:
    enum:
        DLFS_WIDEST
    ctypedef struct sequences:
        ptrdiff_t batch, time, hidden
        int after
        input_t z, h0, c0, weights, candidate, bias
        output_t h, c, gates
        input_t h_grad, h_last_grad, c_last_grad
        output_t z_grad, h0_grad, c0_grad, reset_before, inner_grad
    ctypedef struct weight_grad_job:
        const sequences *s
        input_t a, b
        output_t c, sums
        ptrdiff_t b_row, c_row
    ctypedef void pack_panels_fn(ptrdiff_t k, ptrdiff_t n, const void *b, ptrdiff_t b_row,
                                 ptrdiff_t b_column, void *packed) noexcept
    ptrdiff_t dlfs_row(ptrdiff_t n)
    pack_panels_fn *pack_panels_table[3][2]
    kernel weight_grad_kernel, rnn_kernel, rnn_grad_kernel, lstm_kernel, lstm_grad_kernel
    kernel gru_kernel, gru_grad_kernel


def rnn(z, h0, W_h):
    check_arrays("rnn", W_h=(W_h, "hidden hidden"), z=(z, SEQUENCE), h0=(h0, STATE))
    z, h0, W_h = c_array(z), c_array(h0), c_array(W_h)
    cdef cnp.ndarray h = empty_like(z)
    cdef ptrdiff_t n = h.shape[2]
    cdef Block weights = packed(n, n, data(W_h), n, 1, is_double(h))
    cdef sequences s
    s.batch, s.time, s.hidden = h.shape[0], h.shape[1], n
    s.z, s.h0, s.h, s.weights = data(z), data(h0), data(h), weights.data
    run_sequences(&rnn_kernel, &s, 1, is_double(h))
    return h


def rnn_grad(h_grad, last_grad, h, h0, W_h):
    check_arrays("rnn_grad", W_h=(W_h, "hidden hidden"), h=(h, SEQUENCE),
                 last_grad=(last_grad, STATE), h0=(h0, STATE), h_grad=(h_grad, SEQUENCE))
    h_grad, last_grad = c_array(h_grad), c_array(last_grad)
    h, h0, W_h = c_array(h), c_array(h0), c_array(W_h)
    cdef cnp.ndarray z_grad = empty_like(h), h0_grad = empty_like(h0), W_grad = empty_like(W_h)
    cdef int wide = is_double(h)
    cdef ptrdiff_t n = z_grad.shape[2]
    cdef Block weights = packed(n, n, data(W_h), 1, n, wide)
    cdef sequences s
    s.batch, s.time, s.hidden = z_grad.shape[0], z_grad.shape[1], n
    s.h_grad, s.h_last_grad, s.h, s.h0 = data(h_grad), data(last_grad), data(h), data(h0)
    s.z_grad, s.h0_grad, s.weights = data(z_grad), data(h0_grad), weights.data
    run_sequences(&rnn_grad_kernel, &s, 1, wide)
    sum_weight_grad(&s, NULL, data(z_grad), n, n, data(W_grad), n, NULL, wide)
    return z_grad, h0_grad, W_grad


def lstm(z, h0, c0, W_h):
    check_arrays("lstm", W_h=(W_h, "hidden 4*hidden"), z=(z, "batch time 4*hidden"),
                 h0=(h0, STATE), c0=(c0, STATE))
    z, h0, c0, W_h = c_array(z), c_array(h0), c_array(c0), c_array(W_h)
    cdef int typenum = cnp.PyArray_TYPE(z)
    cdef ptrdiff_t n = cnp.PyArray_DIM(h0, 1)
    cdef sequences s
    s.batch, s.time, s.hidden = cnp.PyArray_DIM(z, 0), cnp.PyArray_DIM(z, 1), n
    cdef cnp.ndarray h = empty_nd(3, [s.batch, s.time, n], typenum), c = empty_like(h)
    cdef cnp.ndarray gates = empty_nd(3, [s.time, s.batch, 4 * n], typenum)
    cdef Block weights = packed(n, 4 * n, data(W_h), 4 * n, 1, is_double(h))
    s.z, s.h0, s.c0, s.weights = data(z), data(h0), data(c0), weights.data
    s.h, s.c, s.gates = data(h), data(c), data(gates)
    run_sequences(&lstm_kernel, &s, 4, is_double(h))
    return h, c, gates


def lstm_grad(h_grad, h_last_grad, c_last_grad, h, c, gates, h0, c0, W_h):
    check_arrays("lstm_grad", W_h=(W_h, "hidden 4*hidden"), h=(h, SEQUENCE), c=(c, SEQUENCE),
                 gates=(gates, GATES), h_last_grad=(h_last_grad, STATE),
                 c_last_grad=(c_last_grad, STATE), h0=(h0, STATE), c0=(c0, STATE),
                 h_grad=(h_grad, SEQUENCE))
    h_grad, h_last_grad = c_array(h_grad), c_array(h_last_grad)
    c_last_grad, gates, W_h = c_array(c_last_grad), c_array(gates), c_array(W_h)
    h, c, h0, c0 = c_array(h), c_array(c), c_array(h0), c_array(c0)
    cdef int wide = is_double(h)
    cdef ptrdiff_t n = cnp.PyArray_DIM(h, 2)
    cdef sequences s
    s.batch, s.time, s.hidden = cnp.PyArray_DIM(h, 0), cnp.PyArray_DIM(h, 1), n
    cdef cnp.ndarray z_grad = empty_nd(3, [s.batch, s.time, 4 * n], cnp.PyArray_TYPE(h))
    cdef cnp.ndarray h0_grad = empty_like(h0), c0_grad = empty_like(c0), W_grad = empty_like(W_h)
    cdef Block weights = packed(4 * n, n, data(W_h), 1, 4 * n, wide)
    s.h_grad, s.h_last_grad, s.c_last_grad = data(h_grad), data(h_last_grad), data(c_last_grad)
    s.h, s.c, s.gates, s.h0, s.c0 = data(h), data(c), data(gates), data(h0), data(c0)
    s.z_grad, s.h0_grad, s.c0_grad = data(z_grad), data(h0_grad), data(c0_grad)
    s.weights = weights.data
    run_sequences(&lstm_grad_kernel, &s, 4, wide)
    sum_weight_grad(&s, NULL, data(z_grad), 4 * n, 4 * n, data(W_grad), 4 * n, NULL, wide)
    return z_grad, h0_grad, c0_grad, W_grad


def gru(z, h0, W_h, reset="before"):
    check_choice(reset, GRU_RESETS, "gru", "reset")
    check_arrays("gru", W_h=(W_h, GRU_WEIGHTS[reset]), z=(z, "batch time 3*hidden"), h0=(h0, STATE))
    z, h0, W_h = c_array(z), c_array(h0), c_array(W_h)
    cdef bint after = reset == "after"
    cdef int typenum = cnp.PyArray_TYPE(z), wide = is_double(z)
    cdef ptrdiff_t n = cnp.PyArray_DIM(h0, 1), size = cnp.PyArray_ITEMSIZE(z)
    cdef sequences s
    s.batch, s.time, s.hidden = cnp.PyArray_DIM(z, 0), cnp.PyArray_DIM(z, 1), n
    cdef cnp.ndarray h = empty_nd(3, [s.batch, s.time, n], typenum)
    cdef cnp.ndarray gates = empty_nd(3, [s.time, s.batch, 4 * n], typenum)
    cdef char *w = <char *>data(W_h)
    cdef Block weights = packed(n, 3 * n if after else 2 * n, w, 3 * n, 1, wide), candidate
    if after:
        s.bias = w + n * 3 * n * size
    else:
        candidate = packed(n, n, w + 2 * n * size, 3 * n, 1, wide)
        s.candidate = candidate.data
    s.z, s.h0, s.weights, s.after = data(z), data(h0), weights.data, after
    s.h, s.gates = data(h), data(gates)
    run_sequences(&gru_kernel, &s, 3, wide)
    return h, gates


def gru_grad(h_grad, last_grad, h, gates, h0, W_h, reset="before"):
    check_choice(reset, GRU_RESETS, "gru_grad", "reset")
    check_arrays("gru_grad", W_h=(W_h, GRU_WEIGHTS[reset]), h=(h, SEQUENCE), gates=(gates, GATES),
                 last_grad=(last_grad, STATE), h0=(h0, STATE), h_grad=(h_grad, SEQUENCE))
    h_grad, last_grad, h = c_array(h_grad), c_array(last_grad), c_array(h)
    gates, h0, W_h = c_array(gates), c_array(h0), c_array(W_h)
    cdef bint after = reset == "after"
    cdef int wide = is_double(h)
    cdef ptrdiff_t n = cnp.PyArray_DIM(h, 2), size = cnp.PyArray_ITEMSIZE(h)
    cdef sequences s
    s.batch, s.time, s.hidden = cnp.PyArray_DIM(h, 0), cnp.PyArray_DIM(h, 1), n
    cdef cnp.ndarray z_grad = empty_nd(3, [s.batch, s.time, 3 * n], cnp.PyArray_TYPE(h))
    cdef cnp.ndarray h0_grad = empty_like(h0), W_grad = empty_like(W_h)
    cdef Block weights = packed(3 * n, n, data(W_h), 1, 3 * n, wide)
    # The candidate's columns: with "after" the product's gradient, with "before" the factor that
    # the candidate's weights multiplied.
    cdef Block other = new_block(<size_t>(s.batch * s.time * dlfs_row(n) * size))
    s.h_grad, s.h_last_grad, s.h, s.h0 = data(h_grad), data(last_grad), data(h), data(h0)
    s.gates, s.z_grad, s.h0_grad, s.after = data(gates), data(z_grad), data(h0_grad), after
    s.weights, s.inner_grad, s.reset_before = weights.data, other.data, other.data
    run_sequences(&gru_grad_kernel, &s, 3, wide)
    cdef char *dz = <char *>data(z_grad)
    cdef char *dw = <char *>data(W_grad)
    cdef char *db = dw + n * 3 * n * size if after else NULL
    cdef ptrdiff_t gates_width = 2 * n * size
    sum_weight_grad(&s, NULL, dz, 3 * n, 2 * n, dw, 3 * n, db, wide)
    dw += gates_width
    if after:
        sum_weight_grad(&s, NULL, other.data, dlfs_row(n), n, dw, 3 * n, db + gates_width, wide)
    else:
        sum_weight_grad(&s, other.data, dz + gates_width, 3 * n, n, dw, 3 * n, NULL, wide)
    return z_grad, h0_grad, W_grad


cdef Block packed(ptrdiff_t k, ptrdiff_t n, const void *b, ptrdiff_t b_row, ptrdiff_t b_column,
                  int wide):
    """A k x n matrix, cut into panels."""
    cdef Block block = new_block(<size_t>(k * (n + DLFS_WIDEST) * (8 if wide else 4)))
    with nogil:
        pack_panels_table[isa_level][wide](k, n, b, b_row, b_column, block.data)
    return block


cdef int run_sequences(const kernel *which, const sequences *s, int gates, int wide) except -1:
    return run(which, wide, s, s.batch, <double>s.batch * s.time * s.hidden * s.hidden * gates)


cdef int sum_weight_grad(const sequences *s, const void *a, const void *b, ptrdiff_t b_row,
                         ptrdiff_t n, void *c, ptrdiff_t c_row, void *sums, int wide) except -1:
    """The first n columns of C = A.T B; sums are never split."""
    cdef weight_grad_job job
    job.s, job.a, job.b, job.b_row, job.c, job.c_row, job.sums = s, a, b, b_row, c, c_row, sums
    return run(&weight_grad_kernel, wide, &job, n, <double>s.batch * s.time * s.hidden * n,
               DLFS_WIDEST)
