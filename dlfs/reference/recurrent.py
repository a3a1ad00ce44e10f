"""RNN and LSTM: a sequence, step by step, each step with what the one before it left.

``z`` is what the inputs of all steps, multiplied by their weights and with their bias, contribute
to the gates: one matrix product for the whole sequence, made before. Here remains what must happen
in order. Forward keeps the gates, which is all that backward needs. What steps share (the weight
gradient) is one product again, over all steps at once. Arrays that only backward looks at have the
time axis first: a step is then one piece of memory.
"""

import numpy as np
from scipy.special import expit

from dlfs.checks import check_float_array, check_same_dtype, check_shape
from dlfs.reference.time_steps import by_time, check_backward, check_forward, cut, product, shifted
from dlfs.types import Array


def rnn(z: Array, h0: Array, W_h: Array) -> Array:
    """Run a plain recurrent network: ``h_t = tanh(z_t + h_(t-1) @ W_h)``.

    Parameters
    ----------
    z : ndarray, shape (batch, time, hidden)
        The inputs' contribution, bias included.
    h0 : ndarray, shape (batch, hidden)
    W_h : ndarray, shape (hidden, hidden)

    Returns
    -------
    ndarray, shape (batch, time, hidden)
        All ``h_t``; the last is the final state.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or they differ.
    ValueError
        If a shape does not fit.

    Notes
    -----
    Book, chapter 6; Elman, 1990. Backward: ``rnn_grad``.

    Examples
    --------
    >>> rnn(np.zeros((1, 2, 1)), np.array([[1.0]]), np.array([[0.5]])).round(3)
    array([[[0.462],
            [0.227]]])
    """
    check_forward("rnn", 1, z, W_h, h0=h0)
    steps = by_time(z)
    h = np.empty(steps.shape, dtype=z.dtype)
    last = h0
    for t, z_t in enumerate(steps):
        last = np.tanh(z_t + last @ W_h, out=h[t])
    return h.transpose(1, 0, 2)


def rnn_grad(
    h_grad: Array, last_grad: Array, h: Array, h0: Array, W_h: Array
) -> tuple[Array, Array, Array]:
    """Carry a gradient back through ``rnn``, from the last step to the first.

    Parameters
    ----------
    h_grad : ndarray, shape (batch, time, hidden)
    last_grad : ndarray, shape (batch, hidden)
        What the final state contributes besides, to steps that come after; zeros where backward
        ends here.
    h : ndarray, shape (batch, time, hidden)
        What ``rnn`` returned.
    h0 : ndarray, shape (batch, hidden)
    W_h : ndarray, shape (hidden, hidden)

    Returns
    -------
    z_grad : ndarray, shape (batch, time, hidden)
        With ``d_t = h_grad_t + z_grad_(t+1) @ W_h.T``: ``z_grad_t = d_t * (1 - h_t**2)``.
    h0_grad : ndarray, shape (batch, hidden)
    W_h_grad : ndarray, shape (hidden, hidden)
        The sum of ``h_(t-1).T @ z_grad_t`` over all steps.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or they differ.
    ValueError
        If a shape does not fit.

    Notes
    -----
    Backpropagation through time: Werbos, 1990; book, chapter 6.

    Examples
    --------
    >>> h = np.array([[[0.5], [0.0]]])
    >>> ones = np.ones((1, 1))
    >>> [grad.ravel().tolist() for grad in rnn_grad(np.ones((1, 2, 1)), 0 * ones, h, ones, ones)]
    [[1.5, 1.0], [1.5], [2.0]]
    """
    owner = "rnn_grad"
    check_backward(owner, h_grad, h, W_h, 1, {"last_grad": last_grad, "h0": h0})
    dh_steps, h_steps = by_time(h_grad), by_time(h)
    dz = np.empty(h_steps.shape, dtype=h.dtype)
    dh = last_grad
    for t in reversed(range(len(dz))):
        dz[t] = (dh_steps[t] + dh) * (1 - h_steps[t] * h_steps[t])
        dh = dz[t] @ W_h.T
    before = shifted(h0, h_steps)
    return dz.transpose(1, 0, 2), np.array(dh), product(before, dz)


def lstm(z: Array, h0: Array, c0: Array, W_h: Array) -> tuple[Array, Array, Array]:
    """Run a long short-term memory.

    The gates stand in the book's order, forget, input, candidate, output, each ``hidden`` wide.
    With ``a = z_t + h_(t-1) @ W_h``, cut into four:

        f, i, o = sigmoid(a_f), sigmoid(a_i), sigmoid(a_o)
        c_bar = tanh(a_c)
        c_t = f * c_(t-1) + i * c_bar
        h_t = o * tanh(c_t)

    Parameters
    ----------
    z : ndarray, shape (batch, time, 4 * hidden)
        The inputs' contribution, bias included.
    h0, c0 : ndarray, shape (batch, hidden)
    W_h : ndarray, shape (hidden, 4 * hidden)

    Returns
    -------
    h : ndarray, shape (batch, time, hidden)
    c : ndarray, shape (batch, time, hidden)
        The last steps of the two are the final state.
    gates : ndarray, shape (time, batch, 4 * hidden)
        f, i, c_bar, o of all steps, for ``lstm_grad``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or they differ.
    ValueError
        If a shape does not fit.

    Notes
    -----
    Hochreiter and Schmidhuber, 1997; forget gate: Gers et al., 2000; book, chapter 6. PyTorch's
    order is input, forget, candidate, output.

    Examples
    --------
    >>> zero = np.zeros((1, 1))
    >>> h, c, gates = lstm(np.zeros((1, 1, 4)), zero, zero + 1, np.zeros((1, 4)))
    >>> c.item(), round(h.item(), 3), gates.ravel().tolist()
    (0.5, 0.231, [0.5, 0.5, 0.0, 0.5])
    """
    check_forward("lstm", 4, z, W_h, h0=h0, c0=c0)
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
    """Carry a gradient back through ``lstm``, from the last step to the first.

    Parameters
    ----------
    h_grad : ndarray, shape (batch, time, hidden)
    h_last_grad, c_last_grad : ndarray, shape (batch, hidden)
        What the final state contributes besides; zeros where backward ends here.
    h, c, gates : ndarray
        What ``lstm`` returned.
    h0, c0 : ndarray, shape (batch, hidden)
    W_h : ndarray, shape (hidden, 4 * hidden)

    Returns
    -------
    z_grad : ndarray, shape (batch, time, 4 * hidden)
        With ``dh`` and ``dc`` that step t+1 hands on, ``dh += h_grad_t`` and
        ``dc += dh * o * (1 - tanh(c_t)**2)``, for f, i, c_bar, o: ``dc * c_(t-1) * f * (1 - f)``,
        ``dc * c_bar * i * (1 - i)``, ``dc * i * (1 - c_bar**2)``,
        ``dh * tanh(c_t) * o * (1 - o)``. Step t-1 gets ``z_grad_t @ W_h.T`` and ``dc * f``.
    h0_grad, c0_grad : ndarray, shape (batch, hidden)
    W_h_grad : ndarray, shape (hidden, 4 * hidden)
        The sum of ``h_(t-1).T @ z_grad_t`` over all steps.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or they differ.
    ValueError
        If a shape does not fit.

    Notes
    -----
    Book, chapter 6.

    Examples
    --------
    >>> zero, z, W_h = np.zeros((1, 1)), np.zeros((1, 1, 4)), np.zeros((1, 4))
    >>> h, c, gates = lstm(z, zero, zero, W_h)
    >>> grads = lstm_grad(np.ones((1, 1, 1)), zero, zero, h, c, gates, zero, zero, W_h)
    >>> grads[0].ravel().tolist(), grads[2].item()
    ([0.0, 0.0, 0.25, 0.0], 0.25)
    """
    owner = "lstm_grad"
    states = {"h_last_grad": h_last_grad, "c_last_grad": c_last_grad, "h0": h0, "c0": c0}
    check_backward(owner, h_grad, h, W_h, 4, states, gates)
    check_float_array(c, owner, "c", 3)
    check_same_dtype(owner, h=h, c=c)
    check_shape(c, h.shape, owner, "c")
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
