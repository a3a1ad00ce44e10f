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
from dlfs_ext.memory cimport Block, empty_nd, new_block
from dlfs_ext.threads cimport kernel, run

cnp.import_array()

cdef extern from "recurrent/recurrent.h" nogil:
    enum:
        DLFS_WIDEST
        DLFS_SEQUENCES
        DLFS_SUM_ROWS
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
    cdef cnp.ndarray z_ = c_array(z), h0_ = c_array(h0), W = c_array(W_h)
    cdef ptrdiff_t n = W.shape[0]
    cdef sequences s
    s.batch, s.time, s.hidden = z_.shape[0], z_.shape[1], n
    cdef cnp.ndarray h = empty_nd(3, [s.batch, s.time, n], cnp.PyArray_TYPE(z_))
    cdef Block weights = packed(n, n, data(W), n, 1, is_double(W))
    s.z, s.h0, s.h, s.weights = data(z_), data(h0_), data(h), weights.data
    run_sequences(&rnn_kernel, &s, 1, 1, is_double(z_))
    return h


def rnn_grad(h_grad, last_grad, h, h0, W_h):
    check_arrays("rnn_grad", W_h=(W_h, "hidden hidden"), h=(h, SEQUENCE),
                 last_grad=(last_grad, STATE), h0=(h0, STATE), h_grad=(h_grad, SEQUENCE))
    cdef cnp.ndarray dh = c_array(h_grad), last = c_array(last_grad), h_ = c_array(h)
    cdef cnp.ndarray h0_ = c_array(h0), W = c_array(W_h)
    cdef int typenum = cnp.PyArray_TYPE(h_), wide = is_double(h_)
    cdef ptrdiff_t n = W.shape[0]
    cdef sequences s
    s.batch, s.time, s.hidden = h_.shape[0], h_.shape[1], n
    cdef cnp.ndarray z_grad = empty_nd(3, [s.batch, s.time, n], typenum)
    cdef cnp.ndarray h0_grad = empty_nd(2, [s.batch, n], typenum)
    cdef cnp.ndarray W_grad = empty_nd(2, [n, n], typenum)
    cdef Block weights = packed(n, n, data(W), 1, n, wide)
    s.h_grad, s.h_last_grad, s.h, s.h0 = data(dh), data(last), data(h_), data(h0_)
    s.z_grad, s.h0_grad, s.weights = data(z_grad), data(h0_grad), weights.data
    run_sequences(&rnn_grad_kernel, &s, 1, 1, wide)
    sum_weight_grad(&s, NULL, data(z_grad), n, n, data(W_grad), n, NULL, wide)
    return z_grad, h0_grad, W_grad


def lstm(z, h0, c0, W_h):
    check_arrays("lstm", W_h=(W_h, "hidden 4*hidden"), z=(z, "batch time 4*hidden"),
                 h0=(h0, STATE), c0=(c0, STATE))
    cdef cnp.ndarray z_ = c_array(z), h0_ = c_array(h0), c0_ = c_array(c0), W = c_array(W_h)
    cdef int typenum = cnp.PyArray_TYPE(z_)
    cdef ptrdiff_t n = W.shape[0]
    cdef sequences s
    s.batch, s.time, s.hidden = z_.shape[0], z_.shape[1], n
    cdef cnp.ndarray h = empty_nd(3, [s.batch, s.time, n], typenum)
    cdef cnp.ndarray c = empty_nd(3, [s.batch, s.time, n], typenum)
    cdef cnp.ndarray gates = empty_nd(3, [s.time, s.batch, 4 * n], typenum)
    cdef Block weights = packed(n, 4 * n, data(W), 4 * n, 1, is_double(W))
    s.z, s.h0, s.c0, s.weights = data(z_), data(h0_), data(c0_), weights.data
    s.h, s.c, s.gates = data(h), data(c), data(gates)
    run_sequences(&lstm_kernel, &s, 4, 1, is_double(z_))
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
    cdef int typenum = cnp.PyArray_TYPE(h_), wide = is_double(h_)
    cdef ptrdiff_t n = W.shape[0]
    cdef sequences s
    s.batch, s.time, s.hidden = h_.shape[0], h_.shape[1], n
    cdef cnp.ndarray z_grad = empty_nd(3, [s.batch, s.time, 4 * n], typenum)
    cdef cnp.ndarray h0_grad = empty_nd(2, [s.batch, n], typenum)
    cdef cnp.ndarray c0_grad = empty_nd(2, [s.batch, n], typenum)
    cdef cnp.ndarray W_grad = empty_nd(2, [n, 4 * n], typenum)
    cdef Block weights = packed(4 * n, n, data(W), 1, 4 * n, wide)
    s.h_grad, s.h_last_grad, s.c_last_grad = data(dh), data(h_last), data(c_last)
    s.h, s.c, s.gates, s.h0, s.c0 = data(h_), data(c_), data(gates_), data(h0_), data(c0_)
    s.z_grad, s.h0_grad, s.c0_grad = data(z_grad), data(h0_grad), data(c0_grad)
    s.weights = weights.data
    run_sequences(&lstm_grad_kernel, &s, 4, 2, wide)
    sum_weight_grad(&s, NULL, data(z_grad), 4 * n, 4 * n, data(W_grad), 4 * n, NULL, wide)
    return z_grad, h0_grad, c0_grad, W_grad


def gru(z, h0, W_h, reset="before"):
    check_choice(reset, GRU_RESETS, "gru", "reset")
    cdef bint after = reset == "after"
    check_arrays("gru", W_h=(W_h, GRU_WEIGHTS[reset]), z=(z, "batch time 3*hidden"), h0=(h0, STATE))
    cdef cnp.ndarray z_ = c_array(z), h0_ = c_array(h0), W = c_array(W_h)
    cdef int typenum = cnp.PyArray_TYPE(z_), wide = is_double(z_)
    cdef ptrdiff_t n = h0_.shape[1], size = cnp.PyArray_ITEMSIZE(z_)
    cdef sequences s
    s.batch, s.time, s.hidden, s.after = z_.shape[0], z_.shape[1], n, after
    cdef cnp.ndarray h = empty_nd(3, [s.batch, s.time, n], typenum)
    cdef cnp.ndarray gates = empty_nd(3, [s.time, s.batch, 4 * n], typenum)
    cdef char *w = <char *>data(W)
    cdef Block weights = packed(n, 3 * n if after else 2 * n, w, 3 * n, 1, wide)
    cdef Block candidate
    if after:
        s.bias = w + n * 3 * n * size
    else:
        candidate = packed(n, n, w + 2 * n * size, 3 * n, 1, wide)
        s.candidate = candidate.data
    s.z, s.h0, s.weights = data(z_), data(h0_), weights.data
    s.h, s.gates = data(h), data(gates)
    run_sequences(&gru_kernel, &s, 3, 2, wide)
    return h, gates


def gru_grad(h_grad, last_grad, h, gates, h0, W_h, reset="before"):
    owner = "gru_grad"
    check_choice(reset, GRU_RESETS, owner, "reset")
    cdef bint after = reset == "after"
    check_arrays(owner, W_h=(W_h, GRU_WEIGHTS[reset]), h=(h, SEQUENCE), gates=(gates, GATES),
                 last_grad=(last_grad, STATE), h0=(h0, STATE), h_grad=(h_grad, SEQUENCE))
    cdef cnp.ndarray dh = c_array(h_grad), last = c_array(last_grad), h_ = c_array(h)
    cdef cnp.ndarray gates_ = c_array(gates), h0_ = c_array(h0), W = c_array(W_h)
    cdef int typenum = cnp.PyArray_TYPE(h_), wide = is_double(h_)
    cdef ptrdiff_t n = h0_.shape[1], size = cnp.PyArray_ITEMSIZE(h_)
    cdef sequences s
    s.batch, s.time, s.hidden, s.after = h_.shape[0], h_.shape[1], n, after
    cdef cnp.ndarray z_grad = empty_nd(3, [s.batch, s.time, 3 * n], typenum)
    cdef cnp.ndarray h0_grad = empty_nd(2, [s.batch, n], typenum)
    cdef cnp.ndarray W_grad = empty_nd(2, [n + after, 3 * n], typenum)
    cdef Block weights = packed(3 * n, n, data(W), 1, 3 * n, wide)
    # The candidate's columns: with "after" the product's gradient, with "before" the factor that
    # the candidate's weights multiplied.
    cdef Block other = new_block(<size_t>(s.batch * s.time * dlfs_row(n) * size))
    s.h_grad, s.h_last_grad, s.h, s.h0 = data(dh), data(last), data(h_), data(h0_)
    s.gates, s.z_grad, s.h0_grad = data(gates_), data(z_grad), data(h0_grad)
    s.weights, s.inner_grad, s.reset_before = weights.data, other.data, other.data
    run_sequences(&gru_grad_kernel, &s, 3, 2, wide)
    cdef char *dz = <char *>data(z_grad)
    cdef char *dw = <char *>data(W_grad)
    cdef ptrdiff_t gates_width = 2 * n * size, bias = n * 3 * n * size
    if after:
        sum_weight_grad(&s, NULL, dz, 3 * n, 2 * n, dw, 3 * n, dw + bias, wide)
        sum_weight_grad(&s, NULL, other.data, dlfs_row(n), n, dw + gates_width, 3 * n,
                        dw + bias + gates_width, wide)
    else:
        sum_weight_grad(&s, NULL, dz, 3 * n, 2 * n, dw, 3 * n, NULL, wide)
        sum_weight_grad(&s, other.data, dz + gates_width, 3 * n, n, dw + gates_width, 3 * n, NULL,
                        wide)
    return z_grad, h0_grad, W_grad


cdef Block packed(ptrdiff_t k, ptrdiff_t n, const void *b, ptrdiff_t b_row, ptrdiff_t b_column,
                  int wide):
    """A k x n matrix, cut into panels."""
    cdef Block block = new_block(<size_t>(k * (n + DLFS_WIDEST) * (8 if wide else 4)))
    with nogil:
        pack_panels_table[isa_level][wide](k, n, b, b_row, b_column, block.data)
    return block


cdef int run_sequences(const kernel *which, const sequences *s, ptrdiff_t gates, ptrdiff_t states,
                       int wide) except -1:
    """Run all sequences.

    A thread's own memory holds, for each of its sequences, `states` rows of one number a unit and
    one row of all gates.
    """
    if s.batch == 0:
        return 0
    cdef ptrdiff_t own = states * dlfs_row(s.hidden) + dlfs_row(gates * s.hidden)
    return run(which, wide, s, s.batch, <double>s.batch * s.time * s.hidden * s.hidden * gates, 1,
               min(s.batch, DLFS_SEQUENCES) * own * (8 if wide else 4))


cdef int sum_weight_grad(const sequences *s, const void *a, const void *b, ptrdiff_t b_row,
                         ptrdiff_t n, void *c, ptrdiff_t c_row, void *sums, int wide) except -1:
    """The first n columns of C = A.T B; sums are never split."""
    cdef weight_grad_job job
    job.s, job.a, job.b, job.b_row, job.c, job.c_row, job.sums = s, a, b, b_row, c, c_row, sums
    return run(&weight_grad_kernel, wide, &job, n, <double>s.batch * s.time * s.hidden * n,
               DLFS_WIDEST, DLFS_SUM_ROWS * (DLFS_WIDEST + dlfs_row(s.hidden)) * (8 if wide else 4))
