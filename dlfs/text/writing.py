"""Writing: a network that has read a text draws one character after the other.

A network that has read a text predicts, after each character, how likely each other one comes next.
``sample`` draws from these probabilities, character by character, and so writes.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.special import softmax

from dlfs.checks import check_flag, check_instance, check_int, check_real
from dlfs.layers import PositionEmbedding
from dlfs.network import NeuralNetwork
from dlfs.saving import check_custom, network_from_file, network_metadata, network_tensors
from dlfs.saving.format import read_file, write_file
from dlfs.text.vocabulary import Vocabulary, check_text
from dlfs.types import Array


def sample(
    net: NeuralNetwork,
    vocabulary: Vocabulary,
    length: int = 200,
    prompt: str = "\n",
    temperature: float = 1.0,
    seed: int | None = None,
    cache: bool = True,
    top_k: int | None = None,
    top_p: float = 1.0,
) -> str:
    r"""Let a network write.

    Parameters
    ----------
    net : NeuralNetwork
        Takes integers (batch, time), gives logits (batch, time, characters). It is left as it was,
        the state that its layers carry included.
    vocabulary : Vocabulary
        The one that it was trained with.
    length : int, default 200
        How many characters to write.
    prompt : str, default "\n"
        What the network reads before it writes; not part of the result.
    temperature : float, default 1.0
        The logits are divided by it. Below 1 the likely becomes likelier; at 0 the likeliest
        character is always taken; above 1 the writing becomes wilder.
    seed : int, optional
        One seed gives one text; None: different every time.
    cache : bool, default True
        Whether layers keep what they computed for the text so far: the state of a recurrent layer,
        the keys and values of attention. Otherwise all is computed again for each character, which
        gives the same text, much more slowly.
    top_k : int, optional
        Only this many characters, the likeliest, are drawn from; all unless given.
    top_p : float, default 1.0
        Of these, only the likeliest whose probabilities together reach it are drawn from; more than
        0, and 1 for all. Where the network is sure they are few, where it is not they are many.

    Returns
    -------
    str

    Raises
    ------
    TypeError, ValueError
        If the prompt is empty or has an unknown character, or the network's
        output does not suit the vocabulary.

    Notes
    -----
    ``p = softmax(logits / temperature)``; then top_k and top_p set the smallest probabilities to 0,
    and the others are divided by their sum. Recurrent layers carry their state from character to
    character meanwhile. Book, chapter 6; Holtzman et al., "The curious case of neural text
    degeneration", 2020, for top_p.

    A PositionEmbedding has a longest sequence, the context. When the text would be longer, the
    last half of the context is read again, as the beginning of a new sequence.

    Examples
    --------
    >>> from dlfs.layers import GRULayer
    >>> vocabulary = Vocabulary("ab")
    >>> net = NeuralNetwork([GRULayer(4, output_size=2, vocabulary_size=2)])
    >>> text = sample(net, vocabulary, length=6, prompt="ab", seed=1)
    >>> len(text), set(text) <= set("ab")
    (6, True)
    >>> sample(net, vocabulary, 6, "ab", seed=1, top_k=1) == sample(net, vocabulary, 6, "ab", 0.0)
    True
    """
    check_instance(net, NeuralNetwork, "sample", "net")
    check_instance(vocabulary, Vocabulary, "sample", "vocabulary")
    check_int(length, "sample", "length", 0)
    temperature = check_real(temperature, "sample", "temperature", 0.0)
    rng = np.random.default_rng(None if seed is None else check_int(seed, "sample", "seed", 0))
    check_text(prompt, "sample", "prompt")
    read = vocabulary.encode(prompt)
    if not len(read):
        raise ValueError("sample: prompt must hold at least one character, got ''")
    if not net.built:
        net.build((len(read),))
    check_flag(cache, "sample", "cache")
    if top_k is not None:
        top_k = check_int(top_k, "sample", "top_k", 1)
    top_p = check_real(top_p, "sample", "top_p", 0.0, 1.0, low_open=True)
    written: list[int] = []
    context = _context(net)
    text, unread = list(read), len(read)
    with net.fresh_start(carry=cache):
        while len(written) < length:
            if len(text) > context:
                net.reset_state()
                text = text[-max(1, context // 2) :]
                unread = len(text)
            read = np.array(text[-unread:] if cache else text)
            logits = net.forward(read[np.newaxis], inference=True)
            if logits.ndim != 3 or logits.shape[-1] != len(vocabulary):
                raise ValueError(
                    f"sample: net must give logits (batch, time, {len(vocabulary)}), one for each "
                    f"character of the vocabulary, got shape {logits.shape}"
                )
            p = _probabilities(logits[0, -1], temperature, top_k, top_p)
            written.append(int(rng.choice(len(p), p=p)))
            text.append(written[-1])
            unread = 1
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
        If the network is not set up.
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
        If it is another kind of file, or damaged, or holds a network without a vocabulary.

    Examples
    --------
    >>> import tempfile
    >>> from dlfs.layers import GRULayer
    >>> net = NeuralNetwork([GRULayer(4, output_size=2, vocabulary_size=2)])
    >>> net.build((5,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_writer(net, Vocabulary("ab"), f"{folder}/net.safetensors")
    ...     net, vocabulary = load_writer(f"{folder}/net.safetensors")
    >>> len(sample(net, vocabulary, length=3, prompt="a", seed=1))
    3
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


def _context(net: NeuralNetwork) -> int:
    """Return how many characters a network can read as one sequence."""
    lengths = [layer.length for _, layer in net.walk() if isinstance(layer, PositionEmbedding)]
    return min(lengths, default=sys.maxsize)


def _probabilities(logits: Array, temperature: float, top_k: int | None, top_p: float) -> Array:
    """Return the probabilities of the characters that may follow."""
    if temperature == 0:
        top_k, temperature = 1, 1.0
    # The largest becomes 0 first: divided by a tiny temperature, the others go to minus infinity.
    with np.errstate(over="ignore"):
        scaled = (logits.astype(np.float64) - logits.max()) / temperature
    likeliest = np.argsort(-scaled, kind="stable")
    if top_k is not None:
        scaled[likeliest[top_k:]] = -np.inf
    p: Array = softmax(scaled)
    if top_p < 1:
        before = np.cumsum(p[likeliest]) - p[likeliest]
        p[likeliest[before >= top_p]] = 0
        p /= p.sum()
    return p
