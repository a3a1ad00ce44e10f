"""GRU: a recurrence with a reset gate and an update gate; its conventions are those of the LSTM."""

import numpy as np
from scipy.special import expit

from dlfs.checks import check_choice
from dlfs.named_axes import check_arrays
from dlfs.reference.kernel import kernel
from dlfs.reference.recurrent import GATES, SEQUENCE, STATE, by_time, cut, product, shifted
from dlfs.types import Array

GRU_RESETS = ("before", "after")
GRU_WEIGHTS = {"before": "hidden 3*hidden", "after": "hidden+1 3*hidden"}


@kernel()
def gru(z: Array, h0: Array, W_h: Array, reset: str = "before") -> tuple[Array, Array]:
    """Run gated recurrent units: ``h_t = u * h_(t-1) + (1 - u) * h_bar``.

    z (batch, time, 3 * hidden), h0 (batch, hidden), W_h (hidden, 3 * hidden)
    -> h (batch, time, hidden), gates (time, batch, 4 * hidden)

    The gates stand in the order reset, update, candidate. ``reset`` says what the reset gate
    multiplies: the state, as in the book ("before"), or its product with the weights, as cuDNN and
    PyTorch do to save time ("after"). W_h is ``W_r``, ``W_u`` and ``W_c`` side by side; with
    "after" it has one more row, the biases of these products, of which ``b_c`` cannot be part of z:

        r, u = sigmoid(z_r + h_(t-1) @ W_r), sigmoid(z_u + h_(t-1) @ W_u)
        h_bar = tanh(z_h + (r * h_(t-1)) @ W_c)          reset="before"
        h_bar = tanh(z_h + r * (h_(t-1) @ W_c + b_c))    reset="after"

    ``gates`` holds r, u, h_bar, and what the reset gate multiplies.

    >>> h, gates = gru(np.zeros((1, 1, 3)), np.ones((1, 1)), np.zeros((1, 3)))
    >>> h.item(), gates.ravel().tolist()
    (0.5, [0.5, 0.5, 0.0, 1.0])
    """
    check_choice(reset, GRU_RESETS, "gru", "reset")
    after = reset == "after"
    check_arrays("gru", W_h=(W_h, GRU_WEIGHTS[reset]), z=(z, "batch time 3*hidden"), h0=(h0, STATE))
    steps, n = by_time(z), h0.shape[1]
    W_ru, W_c = W_h[:n, : 2 * n], W_h[:n, 2 * n :]
    bias = W_h[n] if after else np.zeros(3 * n, dtype=z.dtype)
    gates = np.empty((*steps.shape[:2], 4 * n), dtype=z.dtype)
    h = np.empty((*steps.shape[:2], n), dtype=z.dtype)
    last = h0
    for t, z_t in enumerate(steps):
        r, u, h_bar, inner = cut(gates[t], n, 4)
        expit(z_t[:, : 2 * n] + (last @ W_ru + bias[: 2 * n]), out=gates[t][:, : 2 * n])
        inner[...] = last @ W_c + bias[2 * n :] if after else last
        np.tanh(z_t[:, 2 * n :] + (r * inner if after else (r * inner) @ W_c), out=h_bar)
        last = np.add(u * last, (1 - u) * h_bar, out=h[t])
    return h.transpose(1, 0, 2), gates


@kernel()
def gru_grad(
    h_grad: Array,
    last_grad: Array,
    h: Array,
    gates: Array,
    h0: Array,
    W_h: Array,
    reset: str = "before",
) -> tuple[Array, Array, Array]:
    """Gradient of ``gru``, from the last step to the first.

    h_grad, h (batch, time, hidden), last_grad, h0 (batch, hidden), gates and W_h as in ``gru``
    -> z_grad (batch, time, 3 * hidden), h0_grad (batch, hidden), W_h_grad as W_h

    With dh from step t+1 plus ``h_grad_t``, z_grad_t is
    for h_bar ``dc = dh * (1 - u) * (1 - h_bar**2)``;
    for u ``dh * (h_(t-1) - h_bar) * u * (1 - u)``;
    for r ``(dc @ W_c.T) * h_(t-1) * r * (1 - r)`` with "before", and with "after"
    ``dc * (h_(t-1) @ W_c + b_c) * r * (1 - r)``.
    The state of step t-1 is used in four places and gets four terms: ``dh * u``, those through r
    and u, and that through h_bar, ``(dc @ W_c.T) * r`` or ``(dc * r) @ W_c.T``. The book's code
    leaves one of the four out.

    >>> zero, z, W_h = np.zeros((1, 1)), np.zeros((1, 1, 3)), np.zeros((1, 3))
    >>> h, gates = gru(z, zero + 1, W_h)
    >>> grads = gru_grad(np.ones((1, 1, 1)), zero, h, gates, zero + 1, W_h)
    >>> [grad.ravel().tolist() for grad in grads]
    [[0.0, 0.25, 0.5], [0.5], [0.0, 0.25, 0.25]]
    """
    owner = "gru_grad"
    check_choice(reset, GRU_RESETS, owner, "reset")
    after = reset == "after"
    check_arrays(
        owner,
        W_h=(W_h, GRU_WEIGHTS[reset]),
        h=(h, SEQUENCE),
        gates=(gates, GATES),
        last_grad=(last_grad, STATE),
        h0=(h0, STATE),
        h_grad=(h_grad, SEQUENCE),
    )
    dh_steps, n = by_time(h_grad), h0.shape[1]
    before = shifted(h0, by_time(h))
    W_ru, W_c = W_h[:n, : 2 * n], W_h[:n, 2 * n :]
    dz = np.empty((*dh_steps.shape[:2], 3 * n), dtype=h.dtype)
    dh = last_grad
    for t in reversed(range(len(dz))):
        r, u, h_bar, inner = cut(gates[t], n, 4)
        r_grad, u_grad, h_bar_grad = cut(dz[t], n, 3)
        dh = dh + dh_steps[t]
        h_bar_grad[...] = dh * (1 - u) * (1 - h_bar * h_bar)
        u_grad[...] = dh * (before[t] - h_bar) * u * (1 - u)
        # r times this is a part of the candidate's sum, with "before" after a product with W_c.
        reset_from = inner if after else before[t]
        product_grad = h_bar_grad if after else h_bar_grad @ W_c.T
        r_grad[...] = product_grad * reset_from * r * (1 - r)
        inner_grad = product_grad * r
        dh = dh * u + (inner_grad @ W_c.T if after else inner_grad) + dz[t][:, : 2 * n] @ W_ru.T
    r, ru_grad, c_grad = gates[:, :, :n], dz[:, :, : 2 * n], dz[:, :, 2 * n :]
    W_h_grad = np.empty(W_h.shape, dtype=h.dtype)
    W_h_grad[:n, : 2 * n] = product(before, ru_grad)
    W_h_grad[:n, 2 * n :] = product(before, r * c_grad) if after else product(r * before, c_grad)
    if after:
        W_h_grad[n] = np.concatenate([ru_grad, r * c_grad], axis=2).sum(axis=(0, 1))
    return dz.transpose(1, 0, 2), np.array(dh), W_h_grad
