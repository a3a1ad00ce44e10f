"""GRU, a whole sequence per call, as in recurrent.pyx; the formulas are in dlfs.reference.gru."""

cimport numpy as cnp

from dlfs.checks import check_choice
from dlfs.named_axes import check_arrays
from dlfs.reference.gru import GRU_RESETS, GRU_WEIGHTS
from dlfs.reference.recurrent import GATES, SEQUENCE, STATE

from dlfs_ext.arrays cimport c_array, is_double
from dlfs_ext.instructions cimport isa_level
from dlfs_ext.pool cimport Block, empty_2d
from dlfs_ext.steps cimport (
    dlfs_row,
    address,
    empty_3d,
    numbers,
    pack_panels_t,
    packed,
    run_sequences,
    sequences,
    sum_weight_grad,
)
from dlfs_ext.threads cimport kernel

cnp.import_array()

cdef extern from "recurrent/gru.h" nogil:
    pack_panels_t pack_panels_table[3][2]
    kernel weight_grad_kernel, gru_kernel, gru_grad_kernel


def gru(z, h0, W_h, reset="before"):
    check_choice(reset, GRU_RESETS, "gru", "reset")
    cdef bint after = reset == "after"
    check_arrays("gru", W_h=(W_h, GRU_WEIGHTS[reset]), z=(z, "batch time 3*hidden"), h0=(h0, STATE))
    cdef cnp.ndarray z_ = c_array(z), h0_ = c_array(h0), W = c_array(W_h)
    cdef int typenum = cnp.PyArray_TYPE(z_), double_ = is_double(z_)
    cdef ptrdiff_t n = cnp.PyArray_DIM(h0_, 1), size = cnp.PyArray_ITEMSIZE(z_)
    cdef sequences s
    s.batch, s.time, s.hidden = cnp.PyArray_DIM(z_, 0), cnp.PyArray_DIM(z_, 1), n
    s.after = after
    cdef cnp.ndarray h = empty_3d(s.batch, s.time, n, typenum)
    cdef cnp.ndarray gates = empty_3d(s.time, s.batch, 4 * n, typenum)
    cdef char *w = <char *>address(W)
    cdef pack_panels_t pack = pack_panels_table[isa_level][double_]
    cdef Block weights = packed(pack, n, 3 * n if after else 2 * n, w, 3 * n, 1, size)
    cdef Block candidate
    if after:
        s.bias = w + n * 3 * n * size
    else:
        candidate = packed(pack, n, n, w + 2 * n * size, 3 * n, 1, size)
        s.candidate = candidate.data
    s.z, s.h0, s.weights = address(z_), address(h0_), weights.data
    s.h, s.gates = address(h), address(gates)
    run_sequences(&gru_kernel, &s, 3, 2, size)
    return h, gates


def gru_grad(h_grad, last_grad, h, gates, h0, W_h, reset="before"):
    owner = "gru_grad"
    check_choice(reset, GRU_RESETS, owner, "reset")
    cdef bint after = reset == "after"
    check_arrays(owner, W_h=(W_h, GRU_WEIGHTS[reset]), h=(h, SEQUENCE), gates=(gates, GATES),
                 last_grad=(last_grad, STATE), h0=(h0, STATE), h_grad=(h_grad, SEQUENCE))
    cdef cnp.ndarray dh = c_array(h_grad), last = c_array(last_grad), h_ = c_array(h)
    cdef cnp.ndarray gates_ = c_array(gates), h0_ = c_array(h0), W = c_array(W_h)
    cdef int typenum = cnp.PyArray_TYPE(h_), double_ = is_double(h_)
    cdef ptrdiff_t n = cnp.PyArray_DIM(h0_, 1), size = cnp.PyArray_ITEMSIZE(h_)
    cdef sequences s
    s.batch, s.time, s.hidden = cnp.PyArray_DIM(h_, 0), cnp.PyArray_DIM(h_, 1), n
    s.after = after
    cdef cnp.ndarray z_grad = empty_3d(s.batch, s.time, 3 * n, typenum)
    cdef cnp.ndarray h0_grad = empty_2d(s.batch, n, typenum)
    cdef cnp.ndarray W_grad = empty_2d(n + after, 3 * n, typenum)
    cdef Block weights = packed(pack_panels_table[isa_level][double_], 3 * n, n, address(W), 1,
                                3 * n, size)
    # The candidate's columns: with "after" the product's gradient, with "before" the factor that
    # the candidate's weights multiplied.
    cdef Block other = numbers(s.batch * s.time, dlfs_row(n), size)
    s.h_grad, s.h_last_grad, s.h, s.h0 = address(dh), address(last), address(h_), address(h0_)
    s.gates, s.z_grad, s.h0_grad = address(gates_), address(z_grad), address(h0_grad)
    s.weights, s.inner_grad, s.reset_before = weights.data, other.data, other.data
    run_sequences(&gru_grad_kernel, &s, 3, 2, size)
    cdef const kernel *fn = &weight_grad_kernel
    cdef char *dz = <char *>address(z_grad)
    cdef char *dw = <char *>address(W_grad)
    cdef ptrdiff_t gates_width = 2 * n * size, bias = n * 3 * n * size
    if after:
        sum_weight_grad(fn, &s, NULL, dz, 3 * n, 2 * n, dw, 3 * n, dw + bias, size)
        sum_weight_grad(fn, &s, NULL, other.data, dlfs_row(n), n, dw + gates_width, 3 * n,
                        dw + bias + gates_width, size)
    else:
        sum_weight_grad(fn, &s, NULL, dz, 3 * n, 2 * n, dw, 3 * n, NULL, size)
        sum_weight_grad(fn, &s, other.data, dz + gates_width, 3 * n, n, dw + gates_width, 3 * n,
                        NULL, size)
    return z_grad, h0_grad, W_grad
