"""Vocabulary: characters as integers, and a text cut into batches of sequences."""

from collections.abc import Sequence

import numpy as np

from dlfs.checks import as_array, check_int, shown
from dlfs.types import IntArray


class Vocabulary:
    """The characters of a text, numbered.

    Parameters
    ----------
    characters : str
        Each once. ``Vocabulary.of(text)`` finds those of a text.

    Raises
    ------
    TypeError, ValueError
        If it is not a string, is empty, or holds a character twice.

    Examples
    --------
    >>> vocabulary = Vocabulary.of("to be or not to be")
    >>> len(vocabulary), vocabulary.characters
    (7, ' benort')
    >>> vocabulary.encode("note")
    array([3, 4, 6, 2])
    >>> vocabulary.decode([6, 4, 5, 3])
    'torn'
    """

    def __init__(self, characters: str) -> None:
        check_text(characters, "Vocabulary", "characters")
        if not characters:
            raise ValueError("Vocabulary: characters must hold at least one, got ''")
        self.characters = characters
        self._index = {character: number for number, character in enumerate(characters)}
        if len(self._index) < len(characters):
            # The index holds a character's last place.
            twice = next(c for i, c in enumerate(characters) if self._index[c] > i)
            raise ValueError(f"Vocabulary: characters must differ, got {twice!r} more than once")

    @classmethod
    def of(cls, text: str) -> "Vocabulary":
        """Return the vocabulary of a text: its characters, sorted.

        Raises
        ------
        TypeError, ValueError
            If text is not a string, or is empty.
        """
        check_text(text, "Vocabulary.of", "text")
        if not text:
            raise ValueError("Vocabulary.of: text must hold at least one character, got ''")
        return cls("".join(sorted(set(text))))

    def encode(self, text: str) -> IntArray:
        """Return the numbers of the characters.

        Raises
        ------
        TypeError, ValueError
            If text is not a string, or holds a character that is not in the vocabulary.
        """
        check_text(text, "Vocabulary.encode", "text")
        try:
            numbers = [self._index[character] for character in text]
        except KeyError as error:
            place = text.index(error.args[0])
            raise ValueError(
                f"Vocabulary.encode: text has the character {error.args[0]!r} at index {place}, "
                f"which is not among the {len(self)} known ones: {shown(self.characters, 200)}"
            ) from None
        return np.array(numbers, dtype=np.int64)

    def decode(self, indices: Sequence[int] | IntArray) -> str:
        """Return the text that the numbers stand for.

        Raises
        ------
        TypeError, ValueError
            If they are not a row of integers below the vocabulary's size.
        """
        row = _as_row(indices, "Vocabulary.decode", "indices")
        if row.size and not 0 <= row.min() <= row.max() < len(self):
            raise ValueError(
                f"Vocabulary.decode: indices must lie in 0..{len(self) - 1}, "
                f"got {row.min()}..{row.max()}"
            )
        return "".join(self.characters[number] for number in row)

    def __len__(self) -> int:
        return len(self.characters)

    def __repr__(self) -> str:
        return f"Vocabulary({self.characters!r})"


def streams(
    indices: Sequence[int] | IntArray, streams: int = 16, length: int = 64
) -> tuple[IntArray, IntArray]:
    """Cut a text into streams that are read side by side, piece by piece.

    The text is cut into ``streams`` equal parts, and each part into pieces of ``length``. Batches
    of ``streams`` rows, taken in order, then hold one piece of each part, and the next batch goes
    on where it ended: right for recurrent layers with ``carry=True`` and
    ``Trainer.fit(..., batch_size=streams, shuffle=False)``.

    Parameters
    ----------
    indices : sequence of int
        The text, as ``Vocabulary.encode`` gives it.
    streams : int, default 16
        How many parts.
    length : int, default 64
        Of a piece: gradients go back no further (truncated backpropagation through time).

    Returns
    -------
    X, y : ndarray of integers, shape (pieces * streams, length)
        The characters, and for each the one that follows it. What is left at the end, less than
        one piece for each stream and the one character that has no successor, is left out.

    Raises
    ------
    TypeError, ValueError
        If the text is shorter than ``streams * length + 1``.

    Examples
    --------
    >>> X, y = streams(range(13), streams=2, length=3)
    >>> X.tolist()
    [[0, 1, 2], [6, 7, 8], [3, 4, 5], [9, 10, 11]]
    >>> y[0].tolist()
    [1, 2, 3]
    """
    count = check_int(streams, "streams", "streams", 1)
    length = check_int(length, "streams", "length", 1)
    row = _as_row(indices, "streams", "indices")
    pieces = (len(row) - 1) // (count * length)
    if pieces < 1:
        raise ValueError(
            f"streams: {count} streams of length {length} need a text of at least "
            f"{count * length + 1} characters, got {len(row)}"
        )
    used = count * pieces * length

    def arranged(start: int) -> IntArray:
        parts = row[start : start + used].reshape(count, pieces, length)
        return parts.transpose(1, 0, 2).reshape(pieces * count, length)

    return arranged(0), arranged(1)


def windows(indices: Sequence[int] | IntArray, length: int = 25) -> tuple[IntArray, IntArray]:
    """Cut a text into all its overlapping pieces: at each place one begins, as in the book.

    Parameters
    ----------
    indices : sequence of int
        The text, as ``Vocabulary.encode`` gives it.
    length : int, default 25
        Of a piece.

    Returns
    -------
    X, y : ndarray of integers, shape (len(indices) - length, length)
        The characters, and for each the one that follows it: views, which cost no memory.

    Raises
    ------
    TypeError, ValueError
        If the text is not longer than a piece.

    Notes
    -----
    Book, chapter 6.

    Examples
    --------
    >>> X, y = windows([5, 6, 7, 8], length=2)
    >>> X.tolist(), y.tolist()
    ([[5, 6], [6, 7]], [[6, 7], [7, 8]])
    """
    length = check_int(length, "windows", "length", 1)
    row = _as_row(indices, "windows", "indices")
    if len(row) <= length:
        raise ValueError(
            f"windows: pieces of length {length} need a text of at least {length + 1} characters, "
            f"got {len(row)}"
        )
    pieces = np.lib.stride_tricks.sliding_window_view(row, length)
    return pieces[:-1], pieces[1:]


def check_text(text: object, owner: str, name: str) -> None:
    """Demand a string."""
    if not isinstance(text, str):
        raise TypeError(f"{owner}: {name} must be a string, got {type(text).__name__}")


def _as_row(indices: object, owner: str, name: str) -> IntArray:
    row = as_array(indices, owner, name)
    if row.ndim == 1 and not row.size and row.dtype.kind in "iuf":
        row = row.astype(np.int64)
    if row.dtype.kind not in "iu":
        raise TypeError(f"{owner}: {name} must be integers, got {row.dtype}")
    if row.ndim != 1:
        raise ValueError(f"{owner}: {name} must be one row, got shape {row.shape}")
    return row
