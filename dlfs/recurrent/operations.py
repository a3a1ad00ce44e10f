"""The Operations of recurrent layers: what remains when the inputs are already weighed.

A recurrent layer is a chain like a dense layer: a WeightMultiply and a BiasAdd weigh the inputs of
all time steps at once (an Embedding_Op does, where they are whole numbers); then comes one of the
Operations here, which goes through the steps. So each has one parameter, as everywhere.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from dlfs.backend import kernels
from dlfs.base import ParamOperation
from dlfs.checks import check_choice, check_float_array, check_same_dtype
from dlfs.reference.gru import GRU_RESETS
from dlfs.types import Array

CARRIES = (False, True, "mean")
"""What becomes of the final state: forgotten, kept for the next batch, or its mean kept."""


class _Recurrence(ParamOperation):
    """What the three have in common: where a sequence starts, and what becomes of its end.

    A subclass calls its kernels in ``_run(initial)`` and ``_run_back(output_grad, last_grads)``.
    """

    columns: ClassVar[int] = 1
    state_names: ClassVar[tuple[str, ...]] = ("h0",)

    def __init__(self, W_h: Array, given: tuple[Array | None, ...], carry: bool | str) -> None:
        owner = type(self).__name__
        check_float_array(W_h, owner, "W_h", 2)
        super().__init__(W_h)
        self.hidden_size = W_h.shape[1] // self.columns
        if self.hidden_size < 1 or W_h.shape != self._weight_shape():
            raise ValueError(
                f"{owner}: W_h must have {self._rows_text()} rows and {self.columns} * hidden "
                f"columns, got shape {W_h.shape}"
            )
        for name, state in zip(self.state_names, given, strict=True):
            if state is not None:
                check_float_array(state, owner, name, 2)
                check_same_dtype(owner, **{"W_h": W_h, name: state})
                if state.shape[1] != self.hidden_size:
                    raise ValueError(
                        f"{owner}: {name} must have shape (batch, {self.hidden_size}) or "
                        f"(1, {self.hidden_size}), got {state.shape}"
                    )
        self.carry = check_choice(carry, CARRIES, owner, "carry")
        self.given = given
        self.carried: tuple[Array, ...] | None = None
        self.final: tuple[Array, ...] = ()
        self.initial_grad: tuple[Array, ...] = ()

    def reset_state(self) -> None:
        """Let the next batch start as the first one did."""
        self.carried = None

    def backward(self, output_grad: Array, input_grad: bool = True) -> Any:
        """Go back through all steps: the gradient of the weights needs that of every gate."""
        return super().backward(output_grad)

    def _weight_shape(self) -> tuple[int, int]:
        return (self.hidden_size, self.columns * self.hidden_size)

    def _rows_text(self) -> str:
        return "hidden"

    def _check_input(self, input_: Array) -> None:
        super()._check_input(input_)
        owner, width = type(self).__name__, self.columns * self.hidden_size
        if input_.ndim != 3 or input_.shape[2] != width:
            raise ValueError(
                f"{owner}: the input must be (batch, time, {width}), got shape {input_.shape}"
            )
        check_same_dtype(owner, input_=input_, W_h=self.param)

    def _output(self) -> Array:
        batch = self.input_.shape[0]
        self._initial = self._start(batch)
        output, self.final = self._run(self._initial)
        # A batch of no sequences only asks for shapes.
        if self.carry is not False and batch:
            mean = self.carry == "mean"
            self.carried = tuple(
                state.mean(axis=0, keepdims=True) if mean else state.copy() for state in self.final
            )
        return output

    def _start(self, batch: int) -> tuple[Array, ...]:
        start = []
        for k, name in enumerate(self.state_names):
            state = self.given[k] if self.carried is None else self.carried[k]
            shape = (batch, self.hidden_size)
            if state is None or not batch:
                start.append(np.zeros(shape, dtype=self.param.dtype))
            elif state.shape[0] in (1, batch):
                start.append(np.array(np.broadcast_to(state, shape)))
            else:
                what = name if self.carried is None else "the state carried from the last batch"
                raise ValueError(
                    f"{type(self).__name__}: {what} is for {state.shape[0]} sequences, but the "
                    f"batch has {batch}; reset_state() makes a new start"
                )
        return tuple(start)

    def _input_grad(self, output_grad: Array) -> Array:
        # What comes after this batch is cut off: truncated backpropagation through time.
        ends = tuple(np.zeros_like(state) for state in self._initial)
        input_grad, self.initial_grad, self._W_h_grad = self._run_back(output_grad, ends)
        return input_grad

    def _param_grad(self, output_grad: Array) -> Array:
        return self._W_h_grad

    def _run(self, initial: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        raise NotImplementedError

    def _run_back(
        self, output_grad: Array, ends: tuple[Array, ...]
    ) -> tuple[Array, tuple[Array, ...], Array]:
        raise NotImplementedError

    def _last(self, steps: Array, initial: Array) -> Array:
        return steps[:, -1] if steps.shape[1] else initial


class RNN_Op(_Recurrence):
    """Plain recurrence.

    Forward: ``h_t = tanh(input_t + h_(t-1) @ W_h)``. Backward, from the last step to the first:
    ``input_grad_t = (output_grad_t + input_grad_(t+1) @ W_h.T) * (1 - h_t**2)``, and ``param_grad``
    is the sum of ``h_(t-1).T @ input_grad_t``.

    Book, chapter 6; Elman, 1990.

    Parameters
    ----------
    W_h : ndarray, shape (hidden, hidden)
    h0 : ndarray, shape (batch, hidden) or (1, hidden), optional
        The state that the first batch starts from, and without carry every batch; zeros if None.
    carry : {False, True, "mean"}, default False
        Whether a batch starts where the one before it ended: each sequence goes on from its own
        state, or all from the mean of the states, as in the book. No gradient goes back over that
        border.

    Attributes
    ----------
    final : tuple of ndarray, shape (batch, hidden)
        The state after the last step.
    initial_grad : tuple of ndarray, shape (batch, hidden)
        The gradient of the state that the last batch started from.
    carried : tuple of ndarray or None
        Where the next batch will start.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input is not (batch, time, hidden), or the
        carried state belongs to another number of sequences.

    Examples
    --------
    >>> recurrence = RNN_Op(np.array([[0.5]]), h0=np.array([[1.0]]))
    >>> recurrence.forward(np.zeros((1, 2, 1))).round(3)
    array([[[0.462],
            [0.227]]])
    """

    def __init__(self, W_h: Array, h0: Array | None = None, carry: bool | str = False) -> None:
        super().__init__(W_h, (h0,), carry)

    def _run(self, initial: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        h = kernels.rnn(self.input_, initial[0], self.param)
        return h, (self._last(h, initial[0]),)

    def _run_back(
        self, output_grad: Array, ends: tuple[Array, ...]
    ) -> tuple[Array, tuple[Array, ...], Array]:
        z_grad, h0_grad, W_h_grad = kernels.rnn_grad(
            output_grad, ends[0], self.output, self._initial[0], self.param
        )
        return z_grad, (h0_grad,), W_h_grad


class LSTM_Op(_Recurrence):
    """Long short-term memory: gates control what a cell keeps, adds and outputs.

    Forward, for each step, with ``input_t + h_(t-1) @ W_h`` cut into four, in the order f, i, c_bar
    and o: ``c_t = f * c_(t-1) + i * c_bar`` and ``h_t = o * tanh(c_t)``, where the gates f, i and o
    went through a sigmoid and the candidate c_bar through tanh. Backward: see
    ``dlfs.reference.lstm_grad``.

    Book, chapter 6; Hochreiter and Schmidhuber, 1997; Gers et al., 2000.

    Parameters
    ----------
    W_h : ndarray, shape (hidden, 4 * hidden)
    h0, c0 : ndarray, shape (batch, hidden) or (1, hidden), optional
        The state that the first batch starts from, and without carry every batch; zeros if None.
    carry : {False, True, "mean"}, default False
        As in RNN_Op.

    Attributes
    ----------
    final, initial_grad, carried
        As in RNN_Op, but of two arrays: h and c.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input is not (batch, time, 4 * hidden), or
        the carried state belongs to another number of sequences.

    Examples
    --------
    >>> memory = LSTM_Op(np.zeros((1, 4)), c0=np.array([[1.0]]))
    >>> memory.forward(np.zeros((1, 1, 4))).round(3), memory.final[1]
    (array([[[0.231]]]), array([[0.5]]))
    """

    columns = 4
    state_names = ("h0", "c0")

    def __init__(
        self,
        W_h: Array,
        h0: Array | None = None,
        c0: Array | None = None,
        carry: bool | str = False,
    ) -> None:
        super().__init__(W_h, (h0, c0), carry)

    def _run(self, initial: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        h, self._c, self._gates = kernels.lstm(self.input_, initial[0], initial[1], self.param)
        return h, (self._last(h, initial[0]), self._last(self._c, initial[1]))

    def _run_back(
        self, output_grad: Array, ends: tuple[Array, ...]
    ) -> tuple[Array, tuple[Array, ...], Array]:
        h0, c0 = self._initial
        z_grad, h0_grad, c0_grad, W_h_grad = kernels.lstm_grad(
            output_grad, ends[0], ends[1], self.output, self._c, self._gates, h0, c0, self.param
        )
        return z_grad, (h0_grad, c0_grad), W_h_grad


class GRU_Op(_Recurrence):
    """Gated recurrent units: one gate resets the state, one decides how much of it stays.

    Forward, for each step: ``h_t = u * h_(t-1) + (1 - u) * h_bar``, from the gates r and u and the
    candidate h_bar; see ``dlfs.reference.gru`` for the two ways in which r enters. Backward: see
    ``dlfs.reference.gru_grad``.

    Parameters
    ----------
    W_h : ndarray, shape (hidden, 3 * hidden), or with reset="after" (hidden + 1, 3 * hidden)
        For r, u and h_bar. With "after" the last row is a bias.
    h0 : ndarray, shape (batch, hidden) or (1, hidden), optional
        The state that the first batch starts from, and without carry every batch; zeros if None.
    carry : {False, True, "mean"}, default False
        As in RNN_Op.
    reset : {"before", "after"}, default "before"
        Whether the reset gate multiplies the state, as in the book, or, as in cuDNN and PyTorch,
        the product of state and weights.

    Attributes
    ----------
    final, initial_grad, carried
        As in RNN_Op.

    Raises
    ------
    TypeError, ValueError
        In ``forward``, if the input is not (batch, time, 3 * hidden), or
        the carried state belongs to another number of sequences.

    Notes
    -----
    Cho et al., 2014; book, chapter 6. The book's code makes two mistakes that are not made here: it
    computes the update gate from the reset gate's sums, so that the two are always equal, and its
    backward pass drops a part of the gradient of the state.

    Examples
    --------
    >>> GRU_Op(np.zeros((1, 3)), h0=np.array([[1.0]])).forward(np.zeros((1, 2, 3)))
    array([[[0.5 ],
            [0.25]]])
    """

    columns = 3

    def __init__(
        self,
        W_h: Array,
        h0: Array | None = None,
        carry: bool | str = False,
        reset: str = "before",
    ) -> None:
        self.reset = check_choice(reset, GRU_RESETS, "GRU_Op", "reset")
        super().__init__(W_h, (h0,), carry)

    def _weight_shape(self) -> tuple[int, int]:
        return (self.hidden_size + (self.reset == "after"), 3 * self.hidden_size)

    def _rows_text(self) -> str:
        return "hidden + 1 (reset='after')" if self.reset == "after" else "hidden"

    def _run(self, initial: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        h, self._gates = kernels.gru(self.input_, initial[0], self.param, self.reset)
        return h, (self._last(h, initial[0]),)

    def _run_back(
        self, output_grad: Array, ends: tuple[Array, ...]
    ) -> tuple[Array, tuple[Array, ...], Array]:
        h0 = self._initial[0]
        z_grad, h0_grad, W_h_grad = kernels.gru_grad(
            output_grad, ends[0], self.output, self._gates, h0, self.param, self.reset
        )
        return z_grad, (h0_grad,), W_h_grad


@contextmanager
def begun_afresh(operations: Iterable[Any], carry: bool | str | None) -> Iterator[None]:
    """Within the block no state is carried over; see ``LayerTree.fresh_start``."""
    if carry is not None:
        check_choice(carry, CARRIES, "fresh_start", "carry")
    found = [op for op in operations if "carried" in vars(op) or hasattr(type(op), "carried")]
    kept = [(operation.carry, operation.carried) for operation in found]
    for operation in found:
        operation.carry = operation.carry if carry is None else carry
        operation.carried = None
    try:
        yield
    finally:
        for operation, (mode, carried) in zip(found, kept, strict=True):
            operation.carry, operation.carried = mode, carried


def reads_streams(net: Any) -> bool:
    """Say whether a layer lets each row of a batch go on where that row of the last one ended.

    Examples
    --------
    >>> from dlfs import Dense, LSTMLayer
    >>> reads_streams(LSTMLayer(4, carry=True)), reads_streams(Dense(4))
    (True, False)
    """
    return any(getattr(layer, "carry", False) is True for _, layer in net.walk())


def check_streams(owner: str, batch_size: int, cure: str, **data: Array | None) -> None:
    """Demand as many sequences in each batch: each goes on from its own state.

    Examples
    --------
    >>> check_streams("fit", 2, "drop the last row", X_train=np.zeros((6, 7)))
    """
    for name, X in data.items():
        if X is not None and len(X) > batch_size and len(X) % batch_size:
            raise ValueError(
                f"{owner}: with state carried from batch to batch, the rows of {name} must be a "
                f"multiple of batch_size={batch_size}, got {len(X)}; {cure}"
            )
