"""A recurrent network, step by step: `dlfs.reference.recurrent`."""

from libc.math cimport tanh as c_tanh

from dlfs_ext.plain.loops cimport aligned, real

import numpy as np

from dlfs.named_axes import check_arrays
from dlfs.reference.recurrent import SEQUENCE, STATE


def rnn(z, h0, W_h):
    check_arrays("rnn", W_h=(W_h, "hidden hidden"), z=(z, SEQUENCE), h0=(h0, STATE))
    h = np.empty(z.shape, z.dtype)
    steps(aligned(z), aligned(h0), aligned(W_h), h)
    return h


def steps(const real[:, :, :] z, const real[:, :] h0, const real[:, :] W_h, real[:, :, :] h):
    """h_t = tanh(z_t + h_(t-1) W_h)."""
    cdef Py_ssize_t row, t, i, j
    cdef real total
    with nogil:
        for row in range(z.shape[0]):
            for t in range(z.shape[1]):
                for j in range(z.shape[2]):
                    total = z[row, t, j]
                    for i in range(z.shape[2]):
                        total += (h[row, t - 1, i] if t > 0 else h0[row, i]) * W_h[i, j]
                    h[row, t, j] = <real>c_tanh(total)


def rnn_grad(h_grad, last_grad, h, h0, W_h):
    check_arrays("rnn_grad", W_h=(W_h, "hidden hidden"), h=(h, SEQUENCE),
                 last_grad=(last_grad, STATE), h0=(h0, STATE), h_grad=(h_grad, SEQUENCE))
    z_grad, W_h_grad = np.empty(h.shape, h.dtype), np.zeros(W_h.shape, h.dtype)
    h0_grad = np.array(last_grad)
    back(*map(aligned, (h_grad, h, h0, W_h)), h0_grad, z_grad, W_h_grad)
    return z_grad, h0_grad, W_h_grad


def back(const real[:, :, :] h_grad, const real[:, :, :] h, const real[:, :] h0,
         const real[:, :] W_h, real[:, :] state_grad, real[:, :, :] z_grad, real[:, :] W_h_grad):
    """z_grad_t = (h_grad_t + z_grad_(t+1) W_h^T) (1 - h_t^2); W_h_grad += h_(t-1)^T z_grad_t.

    ``state_grad`` is the gradient of h_t from the steps after t: at first that of the final state.
    """
    cdef Py_ssize_t row, t, i, j, hidden = h.shape[2]
    cdef real total
    with nogil:
        for row in range(h.shape[0]):
            for t in range(h.shape[1] - 1, -1, -1):
                for j in range(hidden):
                    total = h_grad[row, t, j] + state_grad[row, j]
                    z_grad[row, t, j] = total * (1 - h[row, t, j] * h[row, t, j])
                for i in range(hidden):
                    total = 0
                    for j in range(hidden):
                        total += z_grad[row, t, j] * W_h[i, j]
                        W_h_grad[i, j] += ((h[row, t - 1, i] if t > 0 else h0[row, i])
                                           * z_grad[row, t, j])
                    state_grad[row, i] = total
