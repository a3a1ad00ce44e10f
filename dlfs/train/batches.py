"""Where the batches of a training come from: arrays that are cut, or batches made elsewhere.

The loop of a training asks a ``Source`` for the number of batches, and for those of one epoch.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from dlfs.checks import as_array, check_flag, check_int, shown
from dlfs.losses import Weighted
from dlfs.train.fingerprint import fingerprint
from dlfs.types import Array, IntArray

Pair: TypeAlias = tuple[Array, Array]
"""A batch: inputs and targets."""

Place: TypeAlias = IntArray | int
"""Where a batch is from: the numbers of its rows, or its own number in the epoch."""

Drawn: TypeAlias = Generator[tuple[Array, Array, Place], None, None]
"""Batches with their places: inputs as the network takes them, targets as they were given."""

Transform: TypeAlias = Callable[[Array, np.random.Generator], Array]
"""Changes the inputs of a batch, at random: augmentation."""


class Batches:
    """Batches that are made while a training runs, for data that no array holds.

    Pass them to ``Trainer.fit`` in the place of ``X_train``, without ``y_train``.

    Parameters
    ----------
    source : callable, or iterable of pairs (X, y)
        A function makes the batches of one epoch: it takes a ``numpy.random.Generator``, seeded by
        the training's seed and the number of the epoch, and returns an iterable of pairs. So the
        order may be random, and a training that is resumed has the order of one that was not
        interrupted. An iterable is gone through once for each epoch, as a list or a loader of data
        can be; if it shuffles, a resumed training sees another order.
    length : int, optional
        The number of batches in an epoch. By default ``len(source)``; a source without a length is
        gone through once, to count.
    prefetch : bool, default False
        Whether a thread makes the next batch, and transforms it, while the network learns from this
        one. It pays where the source waits for files, or computes outside of Python as NumPy and
        Pillow do. The result is the same unless the source depends on what the network has learned.

    Raises
    ------
    TypeError, ValueError
        If the source is not what it must be, or gives no batches.

    Examples
    --------
    >>> from dlfs import SGD, Dense, NeuralNetwork, Trainer
    >>> def source(rng):
    ...     for _ in range(10):
    ...         X = rng.uniform(-1, 1, (32, 2))
    ...         yield X, X.sum(axis=1)
    >>> batches = Batches(source, length=10)
    >>> trainer = Trainer(NeuralNetwork([Dense(1)]), SGD(lr=0.1))
    >>> history = trainer.fit(batches, epochs=5, verbose=0)
    >>> history["train_loss"][-1] < 0.01
    True
    """

    def __init__(
        self,
        source: Callable[[np.random.Generator], Iterable[Any]] | Iterable[Any],
        length: int | None = None,
        prefetch: bool = False,
    ) -> None:
        if isinstance(source, np.ndarray | str) or not (
            callable(source) or isinstance(source, Iterable) or hasattr(source, "__getitem__")
        ):
            raise TypeError(
                "Batches: source must be an iterable of pairs (X, y), or a function that returns "
                f"one, got {type(source).__name__}"
            )
        if isinstance(source, Iterator):
            raise TypeError(
                f"Batches: source must give its batches again in each epoch, but a "
                f"{type(source).__name__} can be gone through only once; pass a function that "
                "makes a new one from a random generator"
            )
        self.source = source
        if length is None and isinstance(source, Sized):
            length = len(source)
        if length is None:
            length = sum(1 for _ in self.epoch(np.random.default_rng((0, 0))))
        self.length = check_int(length, "Batches", "length", 1)
        self.prefetch = check_flag(prefetch, "Batches", "prefetch")

    def __len__(self) -> int:
        return self.length

    def epoch(self, rng: np.random.Generator) -> Iterator[Any]:
        """Return the batches of one epoch, as the source gives them."""
        made: Any = self.source(rng) if callable(self.source) else self.source
        return iter(made)

    def __repr__(self) -> str:
        prefetch = ", prefetch=True" if self.prefetch else ""
        return f"Batches({shown(self.source)}, length={self.length}{prefetch})"


class Preparation(Protocol):
    """Checks and converts one batch, in two parts: ``inputs`` may run in another thread."""

    def inputs(self, X: Array, y: Array, place: Any) -> Array:
        """Return the inputs as the network takes them."""

    def targets(self, X: Array, y: Array, place: Any) -> Array:
        """Return the targets as the loss uses them, for inputs that are ready."""


@dataclass(frozen=True)
class Source(ABC):
    """The batches of a training.

    Parameters
    ----------
    prepare : Preparation, optional
        None if everything is checked and converted already.
    """

    prepare: Preparation | None

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of batches in an epoch."""

    @abstractmethod
    def draw(self, seed: int, number: int) -> Drawn:
        """Yield the batches of an epoch, numbered from 0 over the network's life."""

    @abstractmethod
    def prints(self) -> dict[str, Any]:
        """Return what tells these data from others, for a checkpoint: values of JSON."""

    @abstractmethod
    def works_ahead(self, transform: Transform | None) -> bool:
        """Return whether a training prepares the next batch while it learns from this one."""

    def epoch(
        self, seed: int, number: int, transform: Transform | None = None, ahead: bool = False
    ) -> Generator[Pair, None, None]:
        """Yield the batches of an epoch as the network and the loss take them.

        Parameters
        ----------
        seed, number : int
        transform : callable, optional
            Changes the inputs.
        ahead : bool, default False
            Whether a thread prepares the next batch while this one is in use.
        """
        drawn = self.draw(seed, number)
        if transform is not None:
            drawn = transformed(drawn, transform, seed, number)
        with closing(prepared_ahead(drawn) if ahead else drawn) as batches:
            for X, y, place in batches:
                yield X, y if self.prepare is None else self.prepare.targets(X, y, place)


@dataclass(frozen=True)
class Rows(Source):
    """Arrays, cut into batches.

    Parameters
    ----------
    prepare : Preparation, optional
        Is given the numbers of the rows.
    X : ndarray, batch axis first
    y : ndarray or Weighted
    size : int
    shuffle : bool
    """

    X: Array
    y: Any
    size: int
    shuffle: bool

    def __len__(self) -> int:
        return math.ceil(len(self.X) / self.size)

    def draw(self, seed: int, number: int) -> Drawn:
        """Cut the arrays, in an order that is drawn for the epoch."""
        order = np.arange(len(self.X))
        if self.shuffle:
            # A stream for each epoch of the network's life: a resumed training, and one that goes
            # on from the last, shuffle as the whole one would.
            order = np.random.default_rng((seed, number)).permutation(order)
        for start in range(0, len(order), self.size):
            rows = order[start : start + self.size]
            X, y = self.X[rows], self.y[rows]
            yield X if self.prepare is None else self.prepare.inputs(X, y, rows), y, rows

    def prints(self) -> dict[str, Any]:
        """Return the fingerprints of both arrays."""
        prints = {"X_train": fingerprint(self.X)}
        if isinstance(self.y, Weighted):
            prints["sample_weight"] = fingerprint(self.y.weights)
            return {**prints, "y_train": fingerprint(self.y.target)}
        return {**prints, "y_train": fingerprint(self.y)}

    def works_ahead(self, transform: Transform | None) -> bool:
        """Cutting arrays is quick; reading a file and augmentation are not."""
        return transform is not None or self.prepare is not None


@dataclass(frozen=True)
class Made(Source):
    """Batches made elsewhere, each checked and converted when it comes.

    Parameters
    ----------
    prepare : Preparation
        Is given the number of the batch in its epoch.
    batches : Batches
    """

    prepare: Preparation
    batches: Batches

    def __len__(self) -> int:
        return len(self.batches)

    def draw(self, seed: int, number: int) -> Drawn:
        """Take the batches one after the other."""
        count, expected = 0, len(self.batches)
        for batch in self.batches.epoch(np.random.default_rng((seed, number))):
            if count == expected:
                count += 1
                break
            X, y = pair_of(batch, count)
            yield self.prepare.inputs(X, y, count), y, count
            count += 1
        if count != expected:
            got = f"more than {expected}" if count > expected else count
            raise ValueError(
                f"Batches: source must give {expected} batches in each epoch, its length, got {got}"
            )

    def prints(self) -> dict[str, Any]:
        """Return the length, and the first batch: its numbers only if the seed decides them."""
        X, y = next(self.epoch(0, 0))
        if callable(self.batches.source):
            return {"batches": len(self), "X_train": fingerprint(X), "y_train": fingerprint(y)}
        return {"batches": len(self), "X_train": list(X.shape[1:]), "y_train": list(y.shape[1:])}

    def works_ahead(self, transform: Transform | None) -> bool:
        """Only by wish: the source may be bound to a thread, or to what the network has learned."""
        return self.batches.prefetch


def pair_of(batch: Any, number: int) -> Pair:
    """Return the inputs and the targets of a batch as arrays."""
    if not isinstance(batch, Sequence) or isinstance(batch, str) or len(batch) != 2:
        raise TypeError(
            f"Batches: batch {number} must be a pair (X, y), got {type(batch).__name__} "
            f"{shown(batch, 60)}"
        )
    X, y = (as_array(part, "Batches", name) for part, name in zip(batch, "Xy", strict=True))
    if not X.ndim or not y.ndim or len(X) != len(y) or not len(X):
        raise ValueError(
            f"Batches: X and y of batch {number} must have the same number of rows, at least 1, "
            f"got shapes {X.shape} and {y.shape}"
        )
    return X, y


def transformed(drawn: Drawn, transform: Transform, seed: int, number: int) -> Drawn:
    """Change the inputs of each batch; one stream of random numbers for each epoch."""
    rng = np.random.default_rng((seed, number, 1))
    for X, y, place in drawn:
        changed = transform(X, rng)
        if not isinstance(changed, np.ndarray) or len(changed) != len(X):
            got = getattr(changed, "shape", type(changed).__name__)
            raise ValueError(
                f"Trainer.fit: transform must return an array of {len(X)} rows, as many as it "
                f"takes, got {got}"
            )
        yield changed.astype(X.dtype, copy=False), y, place


def prepared_ahead(drawn: Drawn) -> Drawn:
    """Draw each batch in a thread, while the one before is in use.

    What the thread raises is raised here, when the turn of its batch comes. The thread ends with
    this generator. It sees the context of this one: ``numpy.errstate`` is a part of it.
    """
    context = copy_context()

    def draw() -> tuple[Array, Array, Place] | None:
        return context.run(lambda: next(drawn, None))

    with ThreadPoolExecutor(1, thread_name_prefix="dlfs-batches") as thread:
        coming = thread.submit(draw)
        while (batch := coming.result()) is not None:
            coming = thread.submit(draw)
            yield batch
