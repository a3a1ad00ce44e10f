"""Nodes: one time step of a recurrent layer, gate by gate, as the book's chapter 6 has them.

Layers do not run these: their kernels go through a whole sequence in one call. A node is for
reading, and for building a recurrence by hand; a test shows that nodes, one after the other, give
what a layer gives.

Parameters come as in the book, in a dictionary of dictionaries: ``params["W_h"]["value"]``, and
``params["W_h"]["deriv"]``, to which ``backward`` adds. ``layer.params_dict()`` makes one. The names
are ``W_x``, ``W_h`` and ``B``, with the gates side by side where the book has a matrix for each,
and, where the layer has an output_size, ``W_v`` and ``B_v``.
"""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from scipy.special import expit as sigmoid

from dlfs.checks import check_choice, check_float_array, check_instance, check_shape
from dlfs.reference.gru import GRU_RESETS
from dlfs.types import Array

Params: TypeAlias = Mapping[str, dict[str, Array]]


class _Node:
    """What the three have in common: checks, and the way from the state to the output."""

    gates = 1

    def _check(self, params_dict: Params, X_in: Array, **states: Array) -> None:
        owner = type(self).__name__
        check_instance(params_dict, Mapping, owner, "params_dict")  # type: ignore[type-abstract]
        for name in ("W_x", "W_h", "B"):
            if name not in params_dict:
                raise ValueError(f"{owner}: params_dict needs {name!r}, got {sorted(params_dict)}")
        width = params_dict["W_h"]["value"].shape[1]
        check_float_array(X_in, owner, "X_in", 2)
        check_shape(X_in, (len(X_in), len(params_dict["W_x"]["value"])), owner, "X_in")
        for name, state in states.items():
            check_float_array(state, owner, name, 2)
            check_shape(state, (len(X_in), width // self.gates), owner, name)

    def _check_backward(self, X_out_grad: Array, **grads: Array) -> None:
        owner = type(self).__name__
        if not hasattr(self, "X_out"):
            raise RuntimeError(f"{owner}: backward was called before forward")
        check_float_array(X_out_grad, owner, "X_out_grad")
        check_shape(X_out_grad, self.X_out.shape, owner, "X_out_grad")
        for name, grad in grads.items():
            check_float_array(grad, owner, name)
            check_shape(grad, self.H_out.shape, owner, name)

    def _output(self, params_dict: Params) -> Array:
        self.X_out = self.H_out
        if "W_v" in params_dict:
            self.X_out = self.H_out @ params_dict["W_v"]["value"] + params_dict["B_v"]["value"]
        return self.X_out

    def _output_grad(self, X_out_grad: Array, params_dict: Params) -> Array:
        if "W_v" not in params_dict:
            return X_out_grad
        params_dict["B_v"]["deriv"] += X_out_grad.sum(axis=0)
        params_dict["W_v"]["deriv"] += self.H_out.T @ X_out_grad
        return X_out_grad @ params_dict["W_v"]["value"].T

    X_in: Array
    H_in: Array
    H_out: Array
    X_out: Array


class RNNNode(_Node):
    """One step of a plain recurrent layer.

    Forward: ``H_out = tanh(X_in @ W_x + H_in @ W_h + B)``. Backward, with the gradient ``dH`` of
    H_out: ``dA = dH * (1 - H_out**2)``, from which ``dA @ W_x.T`` and ``dA @ W_h.T``.

    Book, chapter 6.

    Examples
    --------
    >>> from dlfs.layers import RNNLayer
    >>> layer = RNNLayer(hidden_size=4)
    >>> out = layer.forward(np.ones((2, 1, 3)))
    >>> X_out, H_out = RNNNode().forward(np.ones((2, 3)), np.zeros((2, 4)), layer.params_dict())
    >>> bool(np.allclose(X_out, out[:, 0]))
    True
    """

    def forward(self, X_in: Array, H_in: Array, params_dict: Params) -> tuple[Array, Array]:
        """Return what goes out of the layer at this step, and the state for the next.

        Parameters
        ----------
        X_in : ndarray, shape (batch, features)
        H_in : ndarray, shape (batch, hidden)
        params_dict : dict of dict
        """
        self._check(params_dict, X_in, H_in=H_in)
        self.X_in, self.H_in = X_in, H_in
        W_x, W_h, B = (params_dict[name]["value"] for name in ("W_x", "W_h", "B"))
        self.H_out = np.tanh(X_in @ W_x + H_in @ W_h + B)
        return self._output(params_dict), self.H_out

    def backward(
        self, X_out_grad: Array, H_out_grad: Array, params_dict: Params
    ) -> tuple[Array, Array]:
        """Return the gradients of X_in and H_in; those of the parameters are added up.

        Parameters
        ----------
        X_out_grad, H_out_grad : ndarray
            From the loss at this step, and from the next step.
        params_dict : dict of dict
        """
        self._check_backward(X_out_grad, H_out_grad=H_out_grad)
        dH = self._output_grad(X_out_grad, params_dict) + H_out_grad
        dA = dH * (1 - self.H_out**2)
        return _back_to_inputs(dA, self.X_in, self.H_in, params_dict)


class LSTMNode(_Node):
    """One step of a long short-term memory.

    Forward: ``X_in @ W_x + H_in @ W_h + B``, cut into four: forget gate f, input gate i, candidate
    C_bar, output gate o; ``C_out = f * C_in + i * C_bar`` and ``H_out = o * tanh(C_out)``.
    Backward: the chain rule, line by line in the other direction.

    Book, chapter 6.

    Examples
    --------
    >>> from dlfs.layers import LSTMLayer
    >>> layer = LSTMLayer(hidden_size=4)
    >>> out = layer.forward(np.ones((2, 1, 3)))
    >>> zero = np.zeros((2, 4))
    >>> X_out, H_out, C_out = LSTMNode().forward(np.ones((2, 3)), zero, zero, layer.params_dict())
    >>> bool(np.allclose(X_out, out[:, 0]))
    True
    """

    gates = 4

    def forward(
        self, X_in: Array, H_in: Array, C_in: Array, params_dict: Params
    ) -> tuple[Array, Array, Array]:
        """Return what goes out of the layer at this step, and the state (H, C) for the next.

        Parameters
        ----------
        X_in : ndarray, shape (batch, features)
        H_in, C_in : ndarray, shape (batch, hidden)
        params_dict : dict of dict
        """
        self._check(params_dict, X_in, H_in=H_in, C_in=C_in)
        self.X_in, self.H_in, self.C_in = X_in, H_in, C_in
        W_x, W_h, B = (params_dict[name]["value"] for name in ("W_x", "W_h", "B"))
        f_int, i_int, C_bar_int, o_int = np.split(X_in @ W_x + H_in @ W_h + B, 4, axis=1)
        self.f, self.i, self.o = sigmoid(f_int), sigmoid(i_int), sigmoid(o_int)
        self.C_bar = np.tanh(C_bar_int)
        self.C_out = self.f * C_in + self.i * self.C_bar
        self.H_out = self.o * np.tanh(self.C_out)
        return self._output(params_dict), self.H_out, self.C_out

    def backward(
        self, X_out_grad: Array, H_out_grad: Array, C_out_grad: Array, params_dict: Params
    ) -> tuple[Array, Array, Array]:
        """Return the gradients of X_in, H_in and C_in; those of the parameters are added up.

        Parameters
        ----------
        X_out_grad, H_out_grad, C_out_grad : ndarray
            From the loss at this step, and from the next step.
        params_dict : dict of dict
        """
        self._check_backward(X_out_grad, H_out_grad=H_out_grad, C_out_grad=C_out_grad)
        dH = self._output_grad(X_out_grad, params_dict) + H_out_grad
        squashed = np.tanh(self.C_out)
        do_int = dH * squashed * self.o * (1 - self.o)
        dC = C_out_grad + dH * self.o * (1 - squashed**2)
        df_int = dC * self.C_in * self.f * (1 - self.f)
        di_int = dC * self.C_bar * self.i * (1 - self.i)
        dC_bar_int = dC * self.i * (1 - self.C_bar**2)
        dA = np.concatenate([df_int, di_int, dC_bar_int, do_int], axis=1)
        X_in_grad, H_in_grad = _back_to_inputs(dA, self.X_in, self.H_in, params_dict)
        return X_in_grad, H_in_grad, dC * self.f


class GRUNode(_Node):
    """One step of a gated recurrent unit.

    Forward, for the reset gate r, the update gate u and the candidate h_bar, each with its part of
    W_x, W_h and B: ``r = sigmoid(X_in @ W_xr + H_in @ W_hr + B_r)``, u likewise,
    ``h_bar = tanh(X_in @ W_xh + (r * H_in) @ W_hh + B_h)``, and
    ``H_out = u * H_in + (1 - u) * h_bar``. Backward: H_in is used four times, and its gradient is
    the sum of four terms.

    Parameters
    ----------
    reset : {"before", "after"}, default "before"
        As in GRULayer: "after" has ``r * (H_in @ W_hh + b_h)``, with a row more in W_h.

    Notes
    -----
    Book, chapter 6. The book's node computes ``u`` from the sums of ``r``, so that the two gates
    are always equal and the update gate's weights have no effect forward; and its ``backward``
    drops a part of the gradient of H_in. Both are done right here.

    Examples
    --------
    >>> from dlfs.layers import GRULayer
    >>> layer = GRULayer(hidden_size=4)
    >>> out = layer.forward(np.ones((2, 1, 3)))
    >>> X_out, H_out = GRUNode().forward(np.ones((2, 3)), np.zeros((2, 4)), layer.params_dict())
    >>> bool(np.allclose(X_out, out[:, 0]))
    True
    """

    gates = 3

    def __init__(self, reset: str = "before") -> None:
        check_choice(reset, GRU_RESETS, "GRUNode", "reset")
        self.reset = reset

    def forward(self, X_in: Array, H_in: Array, params_dict: Params) -> tuple[Array, Array]:
        """Return what goes out of the layer at this step, and the state for the next.

        Parameters
        ----------
        X_in : ndarray, shape (batch, features)
        H_in : ndarray, shape (batch, hidden)
        params_dict : dict of dict
        """
        self._check(params_dict, X_in, H_in=H_in)
        self.X_in, self.H_in = X_in, H_in
        W_x, W_h, B = (params_dict[name]["value"] for name in ("W_x", "W_h", "B"))
        n = H_in.shape[1]
        W_hr, W_hu, W_hh = np.split(W_h[:n], 3, axis=1)
        X_r, X_u, X_h = np.split(X_in @ W_x + B, 3, axis=1)
        b_r, b_u, b_h = np.split(W_h[n:], 3, axis=1) if self.reset == "after" else (0.0, 0.0, 0.0)
        self.r = sigmoid(X_r + H_in @ W_hr + b_r)
        self.u = sigmoid(X_u + H_in @ W_hu + b_u)
        if self.reset == "after":
            self.inner = H_in @ W_hh + b_h
            self.h_bar = np.tanh(X_h + self.r * self.inner)
        else:
            self.h_bar = np.tanh(X_h + (self.r * H_in) @ W_hh)
        self.H_out = self.u * H_in + (1 - self.u) * self.h_bar
        return self._output(params_dict), self.H_out

    def backward(
        self, X_out_grad: Array, H_out_grad: Array, params_dict: Params
    ) -> tuple[Array, Array]:
        """Return the gradients of X_in and H_in; those of the parameters are added up.

        Parameters
        ----------
        X_out_grad, H_out_grad : ndarray
            From the loss at this step, and from the next step.
        params_dict : dict of dict
        """
        self._check_backward(X_out_grad, H_out_grad=H_out_grad)
        dH = self._output_grad(X_out_grad, params_dict) + H_out_grad
        H_in, n = self.H_in, self.H_in.shape[1]
        W_x, W_h = params_dict["W_x"], params_dict["W_h"]
        W_hr, W_hu, W_hh = np.split(W_h["value"][:n], 3, axis=1)
        dh_int = dH * (1 - self.u) * (1 - self.h_bar**2)
        du_int = dH * (H_in - self.h_bar) * self.u * (1 - self.u)
        if self.reset == "after":
            dr_int = dh_int * self.inner * self.r * (1 - self.r)
            dinner = dh_int * self.r
            through_h_bar = dinner @ W_hh.T
            W_h["deriv"][n] += np.concatenate([dr_int, du_int, dinner], axis=1).sum(axis=0)
            W_h["deriv"][:n, 2 * n :] += H_in.T @ dinner
        else:
            dr_int = (dh_int @ W_hh.T) * H_in * self.r * (1 - self.r)
            through_h_bar = (dh_int @ W_hh.T) * self.r
            W_h["deriv"][:, 2 * n :] += (self.r * H_in).T @ dh_int
        W_h["deriv"][:n, :n] += H_in.T @ dr_int
        W_h["deriv"][:n, n : 2 * n] += H_in.T @ du_int
        dA = np.concatenate([dr_int, du_int, dh_int], axis=1)
        W_x["deriv"] += self.X_in.T @ dA
        params_dict["B"]["deriv"] += dA.sum(axis=0)
        H_in_grad = dH * self.u + through_h_bar + dr_int @ W_hr.T + du_int @ W_hu.T
        return dA @ W_x["value"].T, H_in_grad


def _back_to_inputs(
    dA: Array, X_in: Array, H_in: Array, params_dict: Params
) -> tuple[Array, Array]:
    """Go back through ``X_in @ W_x + H_in @ W_h + B``."""
    W_x, W_h = params_dict["W_x"], params_dict["W_h"]
    W_x["deriv"] += X_in.T @ dA
    W_h["deriv"] += H_in.T @ dA
    params_dict["B"]["deriv"] += dA.sum(axis=0)
    return dA @ W_x["value"].T, dA @ W_h["value"].T
