# Shared by recurrent.pyx and gru.pyx: memory for a call, and its threads; the steps are in
# csrc/recurrent/steps_tile.h.
cimport numpy as cnp

from dlfs_ext.arrays cimport c_array
from dlfs_ext.pool cimport Block, empty_nd, new_block
from dlfs_ext.threads cimport kernel, run

cdef extern from "recurrent/steps.h" nogil:
    enum:
        DLFS_WIDEST
        DLFS_SEQUENCES
        DLFS_SUM_ROWS
    ctypedef struct sequences:
        ptrdiff_t batch, time, hidden
        int after
        const void *z
        const void *h0
        const void *c0
        const void *weights
        const void *candidate
        const void *bias
        void *h
        void *c
        void *gates
        const void *h_grad
        const void *h_last_grad
        const void *c_last_grad
        void *z_grad
        void *h0_grad
        void *c0_grad
        void *reset_before
        void *inner_grad
    ctypedef struct weight_grad_job:
        const sequences *s
        const void *a
        const void *b
        void *c
        void *sums
        ptrdiff_t b_row, c_row
    ptrdiff_t dlfs_row(ptrdiff_t n)

ctypedef void (*pack_panels_t)(ptrdiff_t k, ptrdiff_t n, const void *b, ptrdiff_t b_row,
                               ptrdiff_t b_column, void *packed) noexcept nogil


cdef inline cnp.ndarray empty_3d(cnp.npy_intp a, cnp.npy_intp b, cnp.npy_intp c, int typenum):
    cdef cnp.npy_intp[3] shape
    shape[0] = a
    shape[1] = b
    shape[2] = c
    return empty_nd(3, shape, typenum)


cdef inline void *address(cnp.ndarray array) noexcept:
    return cnp.PyArray_DATA(array)


cdef inline Block numbers(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t size):
    """Memory for a matrix."""
    return new_block(<size_t>rows * <size_t>columns * <size_t>size)


cdef inline Block packed(pack_panels_t pack, ptrdiff_t k, ptrdiff_t n, const void *b,
                         ptrdiff_t b_row, ptrdiff_t b_column, ptrdiff_t size):
    """A k x n matrix, cut into panels."""
    cdef Block block = numbers(k, n + DLFS_WIDEST, size)
    with nogil:
        pack(k, n, b, b_row, b_column, block.data)
    return block


cdef inline int run_sequences(const kernel *which, const sequences *s, ptrdiff_t gates,
                              ptrdiff_t states, ptrdiff_t size) except -1:
    """Run all sequences.

    A thread's own memory holds, for each of its sequences, `states` rows of one number a unit and
    one row of all gates.
    """
    if s.batch == 0:
        return 0
    cdef ptrdiff_t own = states * dlfs_row(s.hidden) + dlfs_row(gates * s.hidden)
    return run(which, size == 8, s, s.batch,
               <double>s.batch * s.time * s.hidden * s.hidden * gates, 1,
               min(s.batch, DLFS_SEQUENCES) * own * size)


cdef inline int sum_weight_grad(const kernel *which, const sequences *s, const void *a,
                                const void *b, ptrdiff_t b_row, ptrdiff_t n, void *c,
                                ptrdiff_t c_row, void *sums, ptrdiff_t size) except -1:
    """The first n columns of C = A.T B; sums are never split."""
    cdef weight_grad_job job
    job.s, job.a, job.b, job.b_row = s, a, b, b_row
    job.c, job.c_row, job.sums = c, c_row, sums
    return run(which, size == 8, &job, n, <double>s.batch * s.time * s.hidden * n, DLFS_WIDEST,
               DLFS_SUM_ROWS * (DLFS_WIDEST + dlfs_row(s.hidden)) * size)
