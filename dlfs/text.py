"""Text: characters as whole numbers, sequences of them in batches, and writing anew.

A network that has read a text predicts, after each character, how likely each other one comes next.
``sample`` draws from these probabilities, character by character, and so writes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.special import softmax

from dlfs.checks import as_array, check_instance, check_int, check_real, shown
from dlfs.fileformat import read_file, write_file
from dlfs.network import NeuralNetwork
from dlfs.saving import check_custom, network_from_file, network_metadata, network_tensors
from dlfs.types import Array, IntArray


class Vocabulary:
    """The characters that a network knows, numbered.

    Parameters
    ----------
    characters : str
        Each once. ``Vocabulary.of(text)`` finds those of a text.

    Raises
    ------
    TypeError, ValueError
        If it is no string, empty, or holds a character twice.

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
        _check_text(characters, "Vocabulary", "characters")
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
            If text is no string, or empty.
        """
        _check_text(text, "Vocabulary.of", "text")
        if not text:
            raise ValueError("Vocabulary.of: text must hold at least one character, got ''")
        return cls("".join(sorted(set(text))))

    def encode(self, text: str) -> IntArray:
        """Return the numbers of the characters.

        Raises
        ------
        TypeError, ValueError
            If text is no string, or holds a character that is not in the vocabulary.
        """
        _check_text(text, "Vocabulary.encode", "text")
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
            If they are no row of integers below the vocabulary's size.
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
    streams : int
        How many parts.
    length : int
        Of a piece: gradients go back no further (truncated backpropagation through time).

    Returns
    -------
    X, y : ndarray of integers, shape (pieces * streams, length)
        The characters, and for each the one that follows it. What is left at the end, less than
        one piece for each stream and the one character that has no successor, is left out.

    Raises
    ------
    TypeError, ValueError
        If an argument is unfit, or the text shorter than ``streams * length + 1``.

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
    length : int
        Of a piece.

    Returns
    -------
    X, y : ndarray of integers, shape (len(indices) - length, length)
        The characters, and for each the one that follows it: views, which cost no memory.

    Raises
    ------
    TypeError, ValueError
        If an argument is unfit, or the text not longer than a piece.

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


def sample(
    net: NeuralNetwork,
    vocabulary: Vocabulary,
    length: int = 200,
    prompt: str = "\n",
    temperature: float = 1.0,
    seed: int | None = None,
) -> str:
    """Let a network write.

    Parameters
    ----------
    net : NeuralNetwork
        Takes integers (batch, time), gives logits (batch, time, characters). It is left as it was,
        the state that its layers carry included.
    vocabulary : Vocabulary
        The one that it was trained with.
    length : int
        How many characters to write.
    prompt : str
        What the network reads before it writes; not part of the result.
    temperature : float
        The logits are divided by it. Below 1 the likely becomes likelier; at 0 the likeliest
        character is always taken; above 1 the writing becomes wilder.
    seed : int, optional
        One seed gives one text; None: different every time.

    Returns
    -------
    str

    Raises
    ------
    TypeError, ValueError
        If an argument is unfit, the prompt empty or with an unknown character, or the network's
        output does not suit the vocabulary.

    Notes
    -----
    ``p = softmax(logits / temperature)``. Recurrent layers carry their state from character to
    character meanwhile. Book, chapter 6.

    Examples
    --------
    >>> from dlfs.layers import GRULayer
    >>> vocabulary = Vocabulary("ab")
    >>> net = NeuralNetwork([GRULayer(4, output_size=2, vocabulary_size=2)])
    >>> text = sample(net, vocabulary, length=6, prompt="ab", seed=1)
    >>> len(text), set(text) <= set("ab")
    (6, True)
    """
    check_instance(net, NeuralNetwork, "sample", "net")
    check_instance(vocabulary, Vocabulary, "sample", "vocabulary")
    check_int(length, "sample", "length", 0)
    temperature = check_real(temperature, "sample", "temperature", 0.0)
    rng = np.random.default_rng(None if seed is None else check_int(seed, "sample", "seed", 0))
    _check_text(prompt, "sample", "prompt")
    read = vocabulary.encode(prompt)
    if not len(read):
        raise ValueError("sample: prompt must hold at least one character, got ''")
    if not net.built:
        net.build((len(read),))
    written: list[int] = []
    with net.fresh_start(carry=True):
        while len(written) < length:
            logits = net.forward(read[np.newaxis], inference=True)
            if logits.ndim != 3 or logits.shape[-1] != len(vocabulary):
                raise ValueError(
                    f"sample: net must give logits (batch, time, {len(vocabulary)}), one for each "
                    f"character of the vocabulary, got shape {logits.shape}"
                )
            written.append(_draw(logits[0, -1], temperature, rng))
            read = np.array(written[-1:])
    return vocabulary.decode(written)


def save_writer(net: NeuralNetwork, vocabulary: Vocabulary, path: str | Path) -> None:
    """Save a network with the vocabulary that it was trained with.

    Parameters
    ----------
    net : NeuralNetwork
        It must be set up, that is, have seen data or been built.
    vocabulary : Vocabulary
    path : path
        As in ``dlfs.save``, of which this is the same file and a line more: ``dlfs.load`` reads it,
        too.

    Raises
    ------
    TypeError, ValueError
        If an argument is unfit, or the network not set up.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from dlfs.layers import GRULayer
    >>> net = NeuralNetwork([GRULayer(4, output_size=2, vocabulary_size=2)])
    >>> net.build((5,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_writer(net, Vocabulary("ab"), f"{folder}/net.safetensors")
    ...     _, vocabulary = load_writer(f"{folder}/net.safetensors")
    >>> vocabulary
    Vocabulary('ab')
    """
    check_instance(net, NeuralNetwork, "save_writer", "net")
    check_instance(vocabulary, Vocabulary, "save_writer", "vocabulary")
    metadata = {**network_metadata(net), "vocabulary": vocabulary.characters}
    write_file(path, network_tensors(net), metadata)


def load_writer(
    path: str | Path, custom: Mapping[str, type] | None = None
) -> tuple[NeuralNetwork, Vocabulary]:
    """Load what ``save_writer`` saved.

    Parameters
    ----------
    path : path
    custom : mapping, optional
        Classes of your own, as in ``dlfs.load``.

    Returns
    -------
    net : NeuralNetwork
    vocabulary : Vocabulary

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such file, or damaged, or holds a network without a vocabulary.
    """
    custom = check_custom(custom)
    tensors, metadata = read_file(path, custom)
    characters = metadata.get("vocabulary")
    if not isinstance(characters, str):
        raise ValueError(
            f"{path} holds no vocabulary: only a network that was saved with one can write"
        )
    try:
        vocabulary = Vocabulary(characters)
    except ValueError as error:
        raise ValueError(f"{path} holds no possible vocabulary: {error}") from error
    return network_from_file(path, tensors, metadata, custom), vocabulary


def _draw(logits: Array, temperature: float, rng: np.random.Generator) -> int:
    if temperature == 0:
        return int(logits.argmax())
    # The largest becomes 0 first: divided by a tiny temperature, the others go to minus infinity.
    with np.errstate(over="ignore"):
        scaled = (logits.astype(np.float64) - logits.max()) / temperature
    return int(rng.choice(len(logits), p=softmax(scaled)))


def _check_text(text: object, owner: str, name: str) -> None:
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
