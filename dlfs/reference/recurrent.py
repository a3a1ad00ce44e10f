"""RNN and LSTM: a sequence, step by step, each step with the state that the one before it left.

``z`` is the contribution of the inputs of all steps, multiplied by their weights and with their
bias: one matrix product for the whole sequence, made before. Here follows what must be done in
order. Forward keeps the gates for backward. The weight gradient is one product over all steps.
Arrays that only backward reads have the time axis first, so that a step is one piece of memory.

``h_last_grad`` and ``c_last_grad`` are the gradient of the final state, from steps that come after;
they are zeros where the sequence ends here. Backpropagation through time: Werbos, 1990.
"""

import numpy as np
from scipy.special import expit

from dlfs.reference.kernel import kernel
from dlfs.types import Array

SEQUENCE, STATE, GATES = "batch time hidden", "batch hidden", "time batch 4*hidden"


@kernel(W_h="hidden hidden", z=SEQUENCE, h0=STATE)
def rnn(z: Array, h0: Array, W_h: Array) -> Array:
    """Run a plain recurrent network: ``h_t = tanh(z_t + h_(t-1) @ W_h)``.

    z (batch, time, hidden), h0 (batch, hidden), W_h (hidden, hidden) -> h (batch, time, hidden)

    >>> rnn(np.zeros((1, 2, 1)), np.array([[1.0]]), np.array([[0.5]])).round(3)
    array([[[0.462],
            [0.227]]])
    """
    steps = by_time(z)
    h = np.empty(steps.shape, dtype=z.dtype)
    last = h0
    for t, z_t in enumerate(steps):
        last = np.tanh(z_t + last @ W_h, out=h[t])
    return h.transpose(1, 0, 2)


@kernel(W_h="hidden hidden", h=SEQUENCE, last_grad=STATE, h0=STATE, h_grad=SEQUENCE)
def rnn_grad(
    h_grad: Array, last_grad: Array, h: Array, h0: Array, W_h: Array
) -> tuple[Array, Array, Array]:
    """Gradient of ``rnn``: ``z_grad_t = (h_grad_t + z_grad_(t+1) @ W_h.T) * (1 - h_t**2)``.

    h_grad, h (batch, time, hidden), last_grad, h0 (batch, hidden), W_h (hidden, hidden)
    -> z_grad (batch, time, hidden), h0_grad (batch, hidden), W_h_grad (hidden, hidden)

    ``W_h_grad`` is the sum of ``h_(t-1).T @ z_grad_t``.

    >>> h = np.array([[[0.5], [0.0]]])
    >>> ones = np.ones((1, 1))
    >>> [grad.ravel().tolist() for grad in rnn_grad(np.ones((1, 2, 1)), 0 * ones, h, ones, ones)]
    [[1.5, 1.0], [1.5], [2.0]]
    """
    dh_steps, h_steps = by_time(h_grad), by_time(h)
    dz = np.empty(h_steps.shape, dtype=h.dtype)
    dh = last_grad
    for t in reversed(range(len(dz))):
        dz[t] = (dh_steps[t] + dh) * (1 - h_steps[t] * h_steps[t])
        dh = dz[t] @ W_h.T
    return dz.transpose(1, 0, 2), np.array(dh), product(shifted(h0, h_steps), dz)


@kernel(W_h="hidden 4*hidden", z="batch time 4*hidden", h0=STATE, c0=STATE)
def lstm(z: Array, h0: Array, c0: Array, W_h: Array) -> tuple[Array, Array, Array]:
    """Run a long short-term memory: ``c_t = f * c_(t-1) + i * c_bar``, ``h_t = o * tanh(c_t)``.

    z (batch, time, 4 * hidden), h0, c0 (batch, hidden), W_h (hidden, 4 * hidden)
    -> h, c (batch, time, hidden), gates (time, batch, 4 * hidden)

    ``a = z_t + h_(t-1) @ W_h`` holds the gates side by side in the book's order: forget, input,
    candidate, output (PyTorch's is input, forget, candidate, output). Of its four parts
    ``f, i, o = sigmoid(a_f), sigmoid(a_i), sigmoid(a_o)`` and ``c_bar = tanh(a_c)``, which are kept
    in ``gates``.

    >>> zero = np.zeros((1, 1))
    >>> h, c, gates = lstm(np.zeros((1, 1, 4)), zero, zero + 1, np.zeros((1, 4)))
    >>> c.item(), round(h.item(), 3), gates.ravel().tolist()
    (0.5, 0.231, [0.5, 0.5, 0.0, 0.5])
    """
    steps, n = by_time(z), h0.shape[1]
    gates = np.empty(steps.shape, dtype=z.dtype)
    h = np.empty((*steps.shape[:2], n), dtype=z.dtype)
    c = np.empty_like(h)
    h_last, c_last = h0, c0
    for t, z_t in enumerate(steps):
        gate = np.add(z_t, h_last @ W_h, out=gates[t])
        f, i, c_bar, o = cut(gate, n, 4)
        expit(gate[:, : 2 * n], out=gate[:, : 2 * n])
        np.tanh(c_bar, out=c_bar)
        expit(o, out=o)
        c_last = np.add(f * c_last, i * c_bar, out=c[t])
        h_last = np.multiply(o, np.tanh(c_last), out=h[t])
    return h.transpose(1, 0, 2), c.transpose(1, 0, 2), gates


@kernel(
    W_h="hidden 4*hidden",
    h=SEQUENCE,
    c=SEQUENCE,
    gates=GATES,
    h_last_grad=STATE,
    c_last_grad=STATE,
    h0=STATE,
    c0=STATE,
    h_grad=SEQUENCE,
)
def lstm_grad(
    h_grad: Array,
    h_last_grad: Array,
    c_last_grad: Array,
    h: Array,
    c: Array,
    gates: Array,
    h0: Array,
    c0: Array,
    W_h: Array,
) -> tuple[Array, Array, Array, Array]:
    """Gradient of ``lstm``, from the last step to the first.

    h_grad, h, c (batch, time, hidden), h_last_grad, c_last_grad, h0, c0 (batch, hidden),
    gates (time, batch, 4 * hidden), W_h (hidden, 4 * hidden)
    -> z_grad (batch, time, 4 * hidden), h0_grad, c0_grad (batch, hidden), W_h_grad as W_h

    With dh and dc from step t+1, ``dh += h_grad_t`` and ``dc += dh * o * (1 - tanh(c_t)**2)``. Then
    z_grad_t is ``dc * c_(t-1) * f * (1 - f)`` for f, ``dc * c_bar * i * (1 - i)`` for i,
    ``dc * i * (1 - c_bar**2)`` for c_bar, and ``dh * tanh(c_t) * o * (1 - o)`` for o. Step t-1 gets
    ``z_grad_t @ W_h.T`` and ``dc * f``; W_h_grad is the sum of ``h_(t-1).T @ z_grad_t``.

    >>> zero, z, W_h = np.zeros((1, 1)), np.zeros((1, 1, 4)), np.zeros((1, 4))
    >>> h, c, gates = lstm(z, zero, zero, W_h)
    >>> grads = lstm_grad(np.ones((1, 1, 1)), zero, zero, h, c, gates, zero, zero, W_h)
    >>> grads[0].ravel().tolist(), grads[2].item()
    ([0.0, 0.0, 0.25, 0.0], 0.25)
    """
    dh_steps, c_steps, n = by_time(h_grad), by_time(c), h0.shape[1]
    c_before = shifted(c0, c_steps)
    dz = np.empty(gates.shape, dtype=h.dtype)
    dh, dc = h_last_grad, c_last_grad
    for t in reversed(range(len(dz))):
        f, i, c_bar, o = cut(gates[t], n, 4)
        f_grad, i_grad, c_bar_grad, o_grad = cut(dz[t], n, 4)
        squashed = np.tanh(c_steps[t])
        dh = dh + dh_steps[t]
        dc = dc + dh * o * (1 - squashed * squashed)
        f_grad[...] = dc * c_before[t] * f * (1 - f)
        i_grad[...] = dc * c_bar * i * (1 - i)
        c_bar_grad[...] = dc * i * (1 - c_bar * c_bar)
        o_grad[...] = dh * squashed * o * (1 - o)
        dh = dz[t] @ W_h.T
        dc = dc * f
    W_h_grad = product(shifted(h0, by_time(h)), dz)
    return dz.transpose(1, 0, 2), np.array(dh), np.array(dc), W_h_grad


def by_time(x: Array) -> Array:
    """Return (batch, time, ...) as (time, batch, ...), without a copy."""
    return x.transpose(1, 0, 2)


def cut(gates: Array, n: int, count: int) -> list[Array]:
    """Return views of ``count`` gates that lie side by side, each ``n`` wide."""
    return [gates[:, k * n : (k + 1) * n] for k in range(count)]


def shifted(first: Array, steps: Array) -> Array:
    """Return the state before each step: ``first``, then the state after the step before it."""
    return np.concatenate([first[np.newaxis], steps])[: len(steps)]


def product(before: Array, dz: Array) -> Array:
    """Return the sum of ``before_t.T @ dz_t`` over all steps, as one product."""
    count = dz.shape[0] * dz.shape[1]
    return before.reshape(count, before.shape[2]).T @ dz.reshape(count, dz.shape[2])
