"""Attention in blocks of scores, which are never stored whole; see csrc/products/attention_tile.h.

The formulas are in dlfs.reference.attention. Threads share the heads of all sequences: each head is
computed by one thread.
"""

cimport numpy as cnp
from libc.string cimport memchr

import importlib

from dlfs.named_axes import check_arrays
from dlfs.reference.attention import PACKED, check_attention
from dlfs_ext.fallback import take_over

from dlfs_ext.arrays cimport c_array, data, input_t, is_double, output_t
from dlfs_ext.memory cimport Block, empty_like, empty_nd, new_block
from dlfs_ext.threads cimport kernel, run

cnp.import_array()

cdef extern from "products/attention.h" nogil:
    ctypedef struct attention_task:
        input_t qkv, output_grad
        output_t output, qkv_grad
        ptrdiff_t heads, time, width
        int causal
        const unsigned char *mask
        double kept
        unsigned char *finite
    kernel attention_heads_kernel


# The module: the package's attribute of the same name is the function.
reference = importlib.import_module("dlfs.reference.attention")


def attention(qkv, heads, causal=False, mask=None, keep_prob=1.0):
    check_attention("attention", qkv, heads, causal, mask, keep_prob)
    cdef cnp.ndarray packed = c_array(qkv)
    cdef cnp.ndarray output = empty_nd(
        3, [packed.shape[0], packed.shape[1], packed.shape[2] // 3], cnp.PyArray_TYPE(packed))
    cdef attention_task task
    task.output, task.output_grad, task.qkv_grad = data(output), NULL, NULL
    if not run_heads(&task, packed, heads, causal, mask, keep_prob, 2):
        return take_over(reference.attention, qkv, heads, causal, mask, keep_prob)
    return output


def attention_grad(output_grad, qkv, output, heads, causal=False, mask=None, keep_prob=1.0):
    owner = "attention_grad"
    check_attention(owner, qkv, heads, causal, mask, keep_prob)
    axes = ("batch", "time", qkv.shape[2] // 3)
    check_arrays(owner, qkv=(qkv, PACKED), output=(output, axes), output_grad=(output_grad, axes))
    cdef cnp.ndarray packed = c_array(qkv), y = c_array(output), g = c_array(output_grad)
    cdef cnp.ndarray qkv_grad = empty_like(packed)
    cdef attention_task task
    task.output, task.output_grad, task.qkv_grad = data(y), data(g), data(qkv_grad)
    if not run_heads(&task, packed, heads, causal, mask, keep_prob, 5):
        return take_over(reference.attention_grad, output_grad, qkv, output, heads, causal, mask,
                         keep_prob)
    return qkv_grad


cdef bint run_heads(attention_task *task, cnp.ndarray packed, ptrdiff_t heads, bint causal,
                    object mask, double keep_prob, int products) except -1:
    """Compute all heads; return whether all results are finite."""
    cdef ptrdiff_t units = cnp.PyArray_DIM(packed, 0) * heads
    task.qkv, task.heads, task.causal = data(packed), heads, causal
    task.time, task.width = packed.shape[1], packed.shape[2] // (3 * heads)
    cdef object plain_mask = None if mask is None else c_array(mask)
    task.mask, task.kept = <const unsigned char *>data(plain_mask), 1 / keep_prob
    if cnp.PyArray_SIZE(packed) == 0:
        return True
    cdef Block finite = new_block(units)
    task.finite = <unsigned char *>finite.data
    cdef double seen = <double>task.time * task.time / (2 if causal else 1)
    # A number of the scores costs about as much as 32 multiply-adds, for its exponential.
    run(&attention_heads_kernel, is_double(packed), task, units,
        units * seen * (task.width * products + 32))
    return memchr(task.finite, 0, units) == NULL
