"""The Operations of attention."""

from typing import Any

import numpy as np

from dlfs.backend import kernels
from dlfs.base import Operation
from dlfs.checks import check_flag, check_int, check_real, optional
from dlfs.dropout import draw_mask
from dlfs.embedding import position_angles, positions_of
from dlfs.types import Array


class Seen:
    """The keys and values of the positions so far, for the queries of those that follow.

    Parameters
    ----------
    qkv : ndarray, shape (batch, time, 3 * features)
        The first positions.
    heads : int

    Attributes
    ----------
    time : int
        How many positions there are.
    """

    def __init__(self, qkv: Array, heads: int) -> None:
        batch, time, packed = qkv.shape
        self.heads, self.time = heads, 0
        # There is room for as many again; when it is full, for twice as many.
        shape = (2, batch, heads, 2 * max(time, 16), packed // (3 * heads))
        self._kept = np.empty(shape, dtype=qkv.dtype)
        self._append(qkv)

    def attend(self, qkv: Array) -> Array:
        """Add positions, and return the attention of their queries to all so far."""
        if len(qkv) != self._kept.shape[1]:
            raise ValueError(
                f"Attention_Op: {len(qkv)} sequences cannot go on with {self._kept.shape[1]}"
            )
        before = self.time
        q = self._append(qkv)
        keys, values = self._kept[:, :, :, : self.time]
        scores = q @ keys.swapaxes(2, 3) / np.sqrt(q.shape[3]).astype(q.dtype)
        seen = np.tri(qkv.shape[1], self.time, before, dtype=bool)
        weights = kernels.softmax(np.where(seen, scores, -np.inf).astype(q.dtype))
        return (weights @ values).transpose(0, 2, 1, 3).reshape(*qkv.shape[:2], -1)

    def _append(self, qkv: Array) -> Array:
        """Keep the keys and values, and return the queries, all by heads."""
        batch, time, _ = qkv.shape
        q, *new = qkv.reshape(batch, time, 3, self.heads, -1).transpose(2, 0, 3, 1, 4)
        end = self.time + time
        if end > self._kept.shape[3]:
            self._kept = np.concatenate([self._kept, np.empty_like(self._kept)], axis=3)
            return self._append(qkv)
        for kept, part in zip(self._kept, new, strict=True):
            kept[:, :, self.time : end] = part
        self.time = end
        return q


class Attention_Op(Operation):
    """Give each position of a sequence a weighted mean of the values of all positions.

    The input holds queries Q, keys K and values V, one after the other along the features. Forward:
    ``output = softmax(Q @ K.T / sqrt(width)) @ V`` for each head, whose ``width`` is features /
    heads. Backward, with the weights P and G the output_grad: ``V_grad = P.T @ G``, and through the
    softmax ``S_grad = P * (G @ V.T - sum(G * output))``, ``Q_grad = S_grad @ K / sqrt(width)`` and
    ``K_grad = S_grad.T @ Q / sqrt(width)``.

    In inference within ``fresh_start(carry=True)`` the keys and values are kept, and the queries of
    the next input see them too: so a text is continued without computing it again (a "KV cache").

    With ``dropout`` below 1, training multiplies the weights by ``mask / dropout`` before they meet
    the values, with a new random mask each time; in backward it takes part as in Dropout. The mask
    has a number for each weight, so memory grows with the square of the length.

    Vaswani et al., "Attention is all you need", 2017.

    Parameters
    ----------
    heads : int
        How many parts of the features attend on their own. Each part lies in one piece.
    causal : bool, default False
        Whether a position sees only itself and those before it, as a text is written.
    dropout : float, default 1.0
        The probability that a weight is kept; 1 keeps all.
    seed : int, optional
        For use on its own; in a network the random numbers come from the network's seed.

    Attributes
    ----------
    rng : numpy.random.Generator
        Where the masks come from.
    mask : ndarray of bool, shape (batch, heads, time, time), or None
        The last one.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input is not (batch, time, 3 * features), or heads do not divide the
        features.

    Examples
    --------
    >>> qkv = np.array([[[0.0, 0.0, 2.0], [0.0, 0.0, 4.0]]])
    >>> Attention_Op(heads=1).forward(qkv).ravel()
    array([3., 3.])
    >>> Attention_Op(heads=1, causal=True).forward(qkv).ravel()
    array([2., 3.])
    """

    carry: bool | str = False
    carried: "Seen | None" = None
    mask: Array | None = None
    ranks: Any = None  # set while several processes share a batch: see dlfs.ranks

    def __init__(
        self, heads: int, causal: bool = False, dropout: float = 1.0, seed: int | None = None
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.heads = check_int(heads, name, "heads", 1)
        self.causal = check_flag(causal, name, "causal")
        self.dropout = check_real(dropout, name, "dropout", 0.0, 1.0, low_open=True)
        self.seed = optional(check_int, seed, name, "seed", 0)
        self.rng = np.random.default_rng(self.seed)

    def _output(self) -> Array:
        self.mask = None
        # The kernel refuses an input with other axes.
        if self.dropout < 1.0 and not self.inference and self.input_.ndim == 3:
            batch, time, _ = self.input_.shape
            self.mask = draw_mask(self, (batch, self.heads, time, time), self.dropout)
        if not (self.inference and self.carry is True):
            return kernels.attention(self.input_, *self._options())
        if not self.causal:
            raise ValueError(
                f"{type(self).__name__}: to go on with a sequence, causal must be True: otherwise "
                "earlier positions would see the later ones"
            )
        if self.carried is None:
            output = kernels.attention(self.input_, self.heads, True)
            self.carried = Seen(self.input_, self.heads)
            return output
        return self.carried.attend(self.input_)

    def reset_state(self) -> None:
        """Forget the keys and values of earlier inputs."""
        self.carried = None

    def _input_grad(self, output_grad: Array) -> Array:
        if self.inference and self.carried is not None:
            raise ValueError(
                f"{type(self).__name__}: backward needs the whole sequence in one input; this one "
                "goes on with an earlier one (carry=True)"
            )
        return kernels.attention_grad(output_grad, self.input_, self.output, *self._options())

    def _options(self) -> tuple[Any, ...]:
        return self.heads, self.causal, self.mask, 1.0 if self.mask is None else self.dropout


class RotaryPositions(Operation):
    """Turn queries and keys by angles that grow with the position, before attention.

    The input holds queries, keys and values, as for Attention_Op. In each head, features 2 i and 2
    i + 1 of a query or key at position t are turned by ``t / 10000**(2 i / width)``; the values
    stay. Then the product of a query and a key depends on the distance of their positions, not on
    the positions. Forward: ``output = (a cos - b sin, a sin + b cos)`` for each pair (a, b).
    Backward: the same for output_grad, turned back. In inference within ``fresh_start(carry=True)``
    the positions go on where the last input ended.

    Su et al., "RoFormer", 2021.

    Parameters
    ----------
    heads : int

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input is not (batch, time, 3 * features), or a head has an odd number
        of features.

    Examples
    --------
    >>> qkv = np.ones((1, 2, 6))
    >>> RotaryPositions(heads=1).forward(qkv).round(3)
    array([[[ 1.   ,  1.   ,  1.   ,  1.   ,  1.   ,  1.   ],
            [-0.301,  1.382, -0.301,  1.382,  1.   ,  1.   ]]])
    """

    carry: bool | str = False
    carried: int | None = None

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = check_int(heads, type(self).__name__, "heads", 1)

    def _check_input(self, input_: Array) -> None:
        super()._check_input(input_)
        if input_.ndim != 3 or input_.shape[2] < 1 or input_.shape[2] % (6 * self.heads):
            raise ValueError(
                f"RotaryPositions: the input must be (batch, time, 3 * features), with features a "
                f"multiple of 2 * heads ({2 * self.heads}), got shape {input_.shape}"
            )

    def _output(self) -> Array:
        self._positions = positions_of(self)
        return self._turned(self.input_, 1)

    def reset_state(self) -> None:
        """Begin at the first position again."""
        self.carried = None

    def _input_grad(self, output_grad: Array) -> Array:
        return self._turned(output_grad, -1)

    def _turned(self, packed: Array, sign: int) -> Array:
        batch, time, length = packed.shape
        pairs = length // (6 * self.heads)
        angles = sign * position_angles(*self._positions, pairs, pairs)
        angles = angles[:, np.newaxis, np.newaxis]
        cos, sin = np.cos(angles).astype(packed.dtype), np.sin(angles).astype(packed.dtype)
        result = np.array(packed, order="C")
        split = result.reshape(batch, time, 3, self.heads, pairs, 2)
        a, b = split[:, :, :2, :, :, 0].copy(), split[:, :, :2, :, :, 1].copy()
        split[:, :, :2, :, :, 0] = a * cos - b * sin
        split[:, :, :2, :, :, 1] = a * sin + b * cos
        return result
