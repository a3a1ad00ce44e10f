"""Training on several processes: each computes a share of every batch, and MPI adds the gradients.

A process is called a rank, by its number in an MPI communicator (mpi4py). All ranks have the same
network and the same data. A loss is a mean over the rows of a batch, so its gradient is a sum over
the ranks:

    gradient = sum over ranks of (rows of the rank / rows of the batch) * (gradient of its mean)

What is not a sum over rows is told here, too: BatchNorm takes its statistics from the whole batch,
Dropout draws the mask of the whole batch, and predictions are gathered before they are measured.

``Alone`` is one process; ``Ranks`` has the same methods for several. A Trainer calls them, and does
not ask which of the two it has.
"""

import functools
import hashlib
import importlib.util
import math
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from dlfs.backend import get_num_threads, kernels, set_num_threads
from dlfs.base import Operation
from dlfs.network import NeuralNetwork
from dlfs.normalization import statistics_shape
from dlfs.saving import network_tensors
from dlfs.train.failure import NonFiniteLossError
from dlfs.types import Array, IntArray, Shape


class RanksError(ValueError):
    """The ranks differ where they must be the same, or one of them failed; all ranks raise it.

    Examples
    --------
    >>> try:
    ...     raise RanksError("rank 1: the network differs from that of rank 0")
    ... except ValueError as error:
    ...     print(error)
    rank 1: the network differs from that of rank 0
    """


class Communicator(Protocol):
    """What is used of an mpi4py communicator."""

    rank: int
    size: int

    def Allreduce(self, sendbuf: Any, recvbuf: Any) -> None:
        """Put the sum of all ranks' arrays into recvbuf."""

    def Abort(self, errorcode: int) -> Any:
        """End all ranks."""

    def allgather(self, sendobj: Any) -> list[Any]:
        """Return the objects of all ranks."""

    def bcast(self, obj: Any) -> Any:
        """Return rank 0's object."""


class Alone:
    """One process, which computes all rows.

    Examples
    --------
    >>> Alone().share(np.arange(5))
    array([0, 1, 2, 3, 4])
    """

    rank = 0
    size = 1

    def share(self, rows: IntArray) -> IntArray:
        """Return this rank's part of the rows: consecutive ones, as many as the others or one more.

        With fewer rows than ranks, some ranks have none.
        """
        count = len(rows)
        return rows[self.rank * count // self.size : (self.rank + 1) * count // self.size]

    def train_batch(self, net: NeuralNetwork, X: Array, y: Array) -> float:
        """Return this rank's part of a batch's loss, and compute its part of the gradients."""
        return net.train_batch(X, y)

    def add_up(self, net: NeuralNetwork, loss: float, interrupt: Any) -> float:
        """Return the loss of the whole batch, and leave its gradients in the network.

        Parameters
        ----------
        net : NeuralNetwork
        loss : float
            The part of this rank, whose part of the gradients is in the network.
        interrupt : PatientInterrupt
            Where a Ctrl-C in this process is noted. Afterwards it is known to all ranks.
        """
        return loss

    def predict(self, net: NeuralNetwork, X: Array, batch_size: int | None = None) -> Array:
        """Return the predictions of all rows, as ``net.predict`` does."""
        return net.predict(X, batch_size)

    def of_first(self, value: Any) -> Any:
        """Return rank 0's value."""
        return value

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Within the block an error of one rank becomes an error of all."""
        yield

    def same_error(self, error: Exception, mine: bool) -> Exception:
        """Return the error of the first rank whose own it is; all have found that there is one."""
        return error

    def compare(self, values: dict[str, Any]) -> None:
        """Raise an error on all ranks if a value differs from rank 0's."""

    def end_epoch(self, epoch: int, net: NeuralNetwork, X_batch: Array, interrupt: Any) -> None:
        """Check that all ranks have the same network and last batch; tell all of a Ctrl-C.

        Raises
        ------
        RanksError
            If they differ, on all ranks; the message names the first array that does.
        """

    @contextmanager
    def ending_together(self, checkpoint: object = None) -> Iterator[None]:
        """Within the block an error that this rank alone has met ends all ranks."""
        yield


class Ranks(Alone):
    """Several processes that train one network, each on its share of every batch.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        Such as ``MPI.COMM_WORLD``. From here on each rank uses its share of its machine's
        processors, in the kernels, and in BLAS if threadpoolctl is installed.

    Attributes
    ----------
    rank, size : int
        The number of this process, from 0, and of all.

    Examples
    --------
    >>> Ranks.of(None).size
    1
    """

    def __init__(self, comm: Communicator) -> None:
        self.comm = comm
        self.rank, self.size = comm.rank, comm.size
        # Of the batch that is being computed: its rows, and those before and in this rank's share.
        self.rows = self.before = self.mine = 0
        self._sent = self._sums = np.zeros(0)
        self._share_processors()

    @staticmethod
    def of(comm: Any) -> Alone:
        """Return the ranks of a communicator, or Alone for None and for a single rank.

        Raises
        ------
        TypeError
            If comm is something else.
        """
        if comm is None:
            return Alone()
        methods = ("Allreduce", "Abort", "allgather", "bcast")
        if isinstance(comm, type) or not all(callable(getattr(comm, name, 0)) for name in methods):
            raise TypeError(
                "Trainer: ranks must be an mpi4py communicator such as MPI.COMM_WORLD, "
                f"got {comm!r:.80}"
            )
        return Ranks(comm) if comm.size > 1 else Alone()

    def train_batch(self, net: NeuralNetwork, X: Array, y: Array) -> float:
        """Return this rank's part of a batch's loss, and compute its part of the gradients."""
        places = self.share(np.arange(len(X)))
        with self.sharing([op for _, layer in net.walk() for op in layer.operations], X, places):
            if len(places):
                return net.train_batch(X[places], y[places], weight=len(places) / len(X))
            # No gradients, but the others may wait in a layer for this rank.
            net.backward(np.zeros_like(net.forward(X[:0])), input_grad=False)
            return 0.0

    @contextmanager
    def sharing(
        self, operations: Sequence[Operation], rows: Sized, places: IntArray
    ) -> Iterator[None]:
        """Within the block a pass is of this rank's places in a batch, those without a gap."""
        self.rows, self.mine = len(rows), len(places)
        self.before = int(places[0]) if len(places) else 0
        joining: list[Any] = [op for op in operations if hasattr(op, "ranks")]
        try:
            for operation in joining:
                operation.ranks = self
            yield
        finally:
            for operation in joining:
                operation.ranks = None

    def add_up(self, net: NeuralNetwork, loss: float, interrupt: Any) -> float:
        """Replace the gradients by their sums over all ranks; the loss is in the same message."""
        numbers = [loss, float(interrupt.noted)]
        holders = [holder for holder in net.param_holders() if holder.trains]
        grads = [holder.param_grad for holder in holders]
        count = sum(grad.size for grad in grads) + len(numbers)
        if self._sent.shape != (count,) or self._sent.dtype != net.dtype:
            self._sent, self._sums = np.empty(count, net.dtype), np.empty(count, net.dtype)
        np.concatenate([*(grad.ravel() for grad in grads), numbers], out=self._sent)
        self.comm.Allreduce(self._sent, self._sums)
        start = 0
        for holder, grad in zip(holders, grads, strict=True):
            holder.param_grad = self._sums[start : start + grad.size].reshape(grad.shape)
            start += grad.size
        interrupt.agreed = bool(self._sums[-1] > 0)
        return float(self._sums[-2])

    def predict(self, net: NeuralNetwork, X: Array, batch_size: int | None = None) -> Array:
        """Return the predictions of all rows; each rank computes a share of every batch."""
        size = max(len(X), 1) if batch_size is None else batch_size
        starts = range(0, len(X), size)
        batches = [np.arange(start, min(start + size, len(X))) for start in starts]
        rows = np.concatenate([self.share(batch) for batch in batches])
        # Where state is carried, a row goes on where the same row of the batch before ended.
        per_batch = None if batch_size is None else max(len(self.share(batches[0])), 1)
        mine = (rows, net.predict(X[rows], per_batch)) if len(rows) else None
        parts = [part for part in self.comm.allgather(mine) if part is not None]
        _, first = parts[0]
        prediction = np.empty((len(X), *first.shape[1:]), dtype=first.dtype)
        for theirs, part in parts:
            prediction[theirs] = part
        return prediction

    def batch_norm(self, x: Array, eps: float) -> tuple[Array, Array, Array, Array, int]:
        """Normalize by the mean and variance of the whole batch.

        Returns
        -------
        output, mean, var, inv_std : ndarray
            As ``dlfs.reference.batch_norm`` returns them.
        count : int
            How many numbers of the whole batch each mean is made of.
        """
        shape = statistics_shape(x.shape)
        mean, var = np.zeros(shape), np.zeros(shape)
        if x.size:
            _, mean, var, _ = kernels.batch_norm(x, eps)
        parts = self.comm.allgather((x.size // mean.size, mean, var))
        count, mean, var = combined_moments(parts)
        mean, var = mean.astype(x.dtype, copy=False), var.astype(x.dtype, copy=False)
        output = kernels.batch_norm_inference(x, mean, var, eps)
        return output, mean, var, 1 / np.sqrt(var + eps), count

    def batch_norm_grad(
        self, output_grad: Array, output: Array, inv_std: Array, count: int
    ) -> Array:
        """Gradient of ``batch_norm``: both of its means are over the whole batch."""
        axes = (0, *range(2, output.ndim))
        mine = np.stack(
            [array.sum(axis=axes, keepdims=True) for array in (output_grad, output_grad * output)]
        )
        sums = np.empty_like(mine)
        self.comm.Allreduce(mine, sums)
        grad: Array = inv_std * (output_grad - sums[0] / count - output * (sums[1] / count))
        return grad

    def random(self, rng: np.random.Generator, shape: Shape) -> Array:
        """Draw float32 numbers for this rank's rows, as if all rows of the batch were drawn.

        Afterwards the generator stands where it would stand after that, on every rank.
        """
        # For each row of the batch there may be several of the array.
        each = math.prod(shape[1:]) * (shape[0] // self.mine if self.mine else 1)
        skip_float32(rng, self.before * each)
        drawn = rng.random(shape, dtype=np.float32)
        skip_float32(rng, (self.rows - self.before - self.mine) * each)
        return drawn

    def of_first(self, value: Any) -> Any:
        """Return rank 0's value."""
        return self.comm.bcast(value)

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Within the block an error of one rank becomes an error of all."""
        mine: Exception | None = None
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised below, when the others know of it
            mine = error
        texts = self.comm.allgather(None if mine is None else f"{type(mine).__name__}: {mine}")
        if mine is not None:
            raise mine
        for rank, text in enumerate(texts):
            if text is not None:
                raise RanksError(f"rank {rank} of {self.size} cannot train: {text}")

    def same_error(self, error: Exception, mine: bool) -> Exception:
        """Return the error of the first rank whose own it is; all have found that there is one."""
        texts = self.comm.allgather(str(error) if mine else None)
        found = [(rank, text) for rank, text in enumerate(texts) if text is not None]
        rank, text = found[0] if found else (0, str(error))
        return type(error)(f"{text} (on rank {rank} of {self.size})")

    def compare(self, values: dict[str, Any]) -> None:
        """Raise an error on all ranks if a value differs from rank 0's."""
        everyone = self.comm.allgather(values)
        for rank, theirs in enumerate(everyone):
            for name, value in everyone[0].items():
                if theirs[name] != value:
                    raise RanksError(
                        f"all ranks must train alike, but {name} is {value!s:.300} on rank 0 and "
                        f"{theirs[name]!s:.300} on rank {rank}"
                    )

    def end_epoch(self, epoch: int, net: NeuralNetwork, X_batch: Array, interrupt: Any) -> None:
        """Check that all ranks have the same network and last batch; tell all of a Ctrl-C."""
        arrays = {"the last batch": X_batch, **network_tensors(net)}
        digests = {
            name: hashlib.blake2b(array.tobytes(), digest_size=16).hexdigest()
            for name, array in arrays.items()
        }
        whole = hashlib.blake2b("".join(digests.values()).encode()).hexdigest()
        everyone = self.comm.allgather((whole, interrupt.noted))
        interrupt.agreed = any(noted for _, noted in everyone)
        if all(theirs == whole for theirs, _ in everyone):
            return
        first, *others = self.comm.allgather(digests)
        names = [name for name in first if any(theirs[name] != first[name] for theirs in others)]
        raise RanksError(
            f"after epoch {epoch} the ranks have drifted apart: {names[0]} is not the same on all "
            f"{self.size}, nor are {len(names) - 1} other arrays. Callbacks run on rank 0 alone: "
            "they may stop the training and set optim.lr, but must not change the network"
        )

    @contextmanager
    def ending_together(self, checkpoint: object = None) -> Iterator[None]:
        """Within the block an error that this rank alone has met ends all ranks."""
        try:
            yield
        except (NonFiniteLossError, RanksError):  # all ranks raise it
            raise
        except BaseException as error:
            # The others would wait for this rank.
            what = f"{type(error).__name__}: {error}"
            said = f"dlfs: the training ends on all ranks, because rank {self.rank} failed"
            where = "".join(traceback.format_exception(error))
            advice = f"; resume=True goes on from {checkpoint}" if checkpoint else ""
            print(f"{where}{said} ({what}){advice}", file=sys.stderr, flush=True)
            # Abort also ends those who carry these lines to the terminal.
            time.sleep(0.5)
            self.comm.Abort(1)
            raise

    def _share_processors(self) -> None:
        here = self.comm.allgather(platform.node()).count(platform.node())
        threads = max((os.cpu_count() or 1) // here, 1)
        if get_num_threads() > threads:
            set_num_threads(threads)
        if importlib.util.find_spec("threadpoolctl") is not None:
            from threadpoolctl import threadpool_limits  # noqa: PLC0415 - an extra

            threadpool_limits(threads, user_api="blas")


def combined_moments(parts: list[tuple[int, Array, Array]]) -> tuple[int, Array, Array]:
    """Return the count, mean and variance of all numbers, from those of their parts.

    ``mean = sum(n_r * mean_r) / n`` and ``var = sum(n_r * (var_r + (mean_r - mean)**2)) / n``, in
    float64 (Chan, Golub and LeVeque, 1979). Unlike a difference of squares it does not cancel.

    Examples
    --------
    >>> low, high = np.array([1.0, 3.0]), np.array([5.0, 7.0, 9.0])
    >>> parts = [(len(part), part.mean(), part.var()) for part in (low, high)]
    >>> count, mean, var = combined_moments(parts)
    >>> count, mean.round(6), var.round(6), np.var([1.0, 3.0, 5.0, 7.0, 9.0])
    (5, np.float64(5.0), np.float64(8.0), np.float64(8.0))
    """
    whole = sum(count for count, _, _ in parts)
    shares = [(count / whole, np.asarray(mean, float), var) for count, mean, var in parts if count]
    mean = functools.reduce(np.add, [share * mean for share, mean, _ in shares])
    var = functools.reduce(np.add, [s * (v + np.square(m - mean)) for s, m, v in shares])
    return whole, mean, var


def skip_float32(rng: np.random.Generator, count: int) -> None:
    """Move a generator on as if it had drawn ``count`` float32 numbers, without drawing them.

    Examples
    --------
    >>> one, other = np.random.default_rng(7), np.random.default_rng(7)
    >>> drawn = one.random(1_000_001, dtype=np.float32)
    >>> skip_float32(other, 1_000_001)
    >>> one.random() == other.random()
    True
    """
    bits = rng.bit_generator
    if not isinstance(bits, np.random.PCG64 | np.random.PCG64DXSM) or count < 2:
        rng.random(count, dtype=np.float32)
        return
    # A step of the generator has 64 bits, enough for two numbers; the second half waits in it.
    if bits.state["has_uint32"]:
        rng.random(dtype=np.float32)
        count -= 1
    bits.advance(count // 2)
    rng.random(count % 2, dtype=np.float32)
