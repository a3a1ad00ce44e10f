"""The file format: a safetensors file with numbers, and JSON in its header."""

import json
import os
from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np

from dlfs.checks import shortened, shown
from dlfs.types import Array
from dlfs.utils.files import write_atomically

FORMAT, VERSION = "dlfs", 2
"""A file says ``dlfs 2``. Version 1 (dlfs 0.1.0) named classes without saying whose they are."""

LARGEST_HEADER = 2**24
"""A file with a header (names, shapes, architecture, history) of more bytes is refused."""

CLASSES_OF_VERSION_1 = frozenset(
    {
        "AdaGrad",
        "Adam",
        "AdamW",
        "AvgPool2D",
        "BatchNorm",
        "BatchNorm_Op",
        "BinaryCrossEntropy",
        "Conv1D",
        "Conv2D",
        "ConvTranspose2D",
        "Dense",
        "Dropout",
        "ELU",
        "Embedding",
        "Flatten",
        "GELU",
        "GRULayer",
        "GlobalAvgPool2D",
        "Huber",
        "LSTMLayer",
        "LayerNorm",
        "LayerNorm_Op",
        "LeakyReLU",
        "Linear",
        "MaxPool2D",
        "MeanAbsoluteError",
        "MeanSquaredError",
        "OperationLayer",
        "RMSProp",
        "RNNLayer",
        "ReLU",
        "RegularizedSGD",
        "Reshape",
        "SGD",
        "SGDMomentum",
        "SiLU",
        "Sigmoid",
        "Softmax",
        "SoftmaxCrossEntropy",
        "Softplus",
        "Tanh",
    }
)
"""The classes of dlfs 0.1.0 that a file could name. Later ones are not among them: in a file of
that version their names would be a user's."""


def write_file(path: str | Path, tensors: dict[str, Array], metadata: dict[str, Any]) -> None:
    """Write a safetensors file, all of it or nothing.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If ``read_file`` would refuse it: its header would be larger than LARGEST_HEADER.
    """
    from safetensors.numpy import save as to_bytes  # noqa: PLC0415 - only needed here

    header = {"format": f"{FORMAT} {VERSION}"}
    header |= {key: json.dumps(value) for key, value in metadata.items()}
    content = to_bytes({name: np.ascontiguousarray(t) for name, t in tensors.items()}, header)
    length = int.from_bytes(content[:8], "little")
    if length > LARGEST_HEADER:
        raise ValueError(
            f"{path} cannot be written: its header (architecture, history) would have {length} "
            f"bytes, at most {LARGEST_HEADER} can be read again"
        )
    write_atomically(path, content)


def read_file(
    path: str | Path, own: Container[str] = ()
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read a file that ``write_file`` wrote: its tensors, and its metadata as from JSON.

    What dlfs 0.1.0 wrote comes back in the present form: classes of dlfs by their public names,
    but for those names that are the user's ``own``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is another kind of file, or damaged, or from a newer version.
    """
    from safetensors import SafetensorError  # noqa: PLC0415 - only needed here
    from safetensors.numpy import load as from_bytes  # noqa: PLC0415

    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        content, header = _read_bytes(path)
        version = _version(header)
        tensors: dict[str, Array] = from_bytes(content)
        metadata = {key: json.loads(text) for key, text in header.items() if key != "format"}
    except (
        SafetensorError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        MemoryError,
        RecursionError,
    ) as error:
        # Without the error as its cause: that may repeat what the file holds, at any length.
        raise ValueError(
            f"{path} is not a file that dlfs saved, or damaged: {shortened(str(error), 200)}"
        ) from None
    if version > VERSION:
        raise ValueError(
            f"{path} was saved by a newer dlfs, in format {version}; this one reads formats up to "
            f"{VERSION}: install a newer dlfs"
        )
    if version == 1:
        _update(metadata, own)
    return tensors, metadata


def _read_bytes(path: str | Path) -> tuple[bytes, dict[str, Any]]:
    """Return a file's content, as long as its header says, and the metadata in its header.

    The bytes are read, not mapped: another process may write into the file meanwhile.
    """
    with Path(path).open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8:
            raise ValueError(f"it has only {len(start)} bytes")
        if length > LARGEST_HEADER:
            raise ValueError(f"a header of {length} bytes, at most {LARGEST_HEADER} are read")
        text = file.read(length)
        header = json.loads(text)
        metadata = header.pop("__metadata__", None) or {}
        size = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
        if os.fstat(file.fileno()).st_size != 8 + length + size:
            raise ValueError("the file does not have the size that its header says")
        return start + text + file.read(size), metadata


def _version(header: dict[str, Any]) -> int:
    """Return the number of the format."""
    name, _, number = str(header.get("format")).partition(" ")
    if name != FORMAT or not number.isascii() or not number.isdigit() or len(number) > 9:
        raise ValueError(
            f"its format must be '{FORMAT} {VERSION}', got {shown(header.get('format'))}"
        )
    return int(number)


def _update(metadata: dict[str, Any], own: Container[str]) -> None:
    """Bring what dlfs 0.1.0 wrote into the present form, in place."""
    waiting: list[Any] = [metadata]
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, dict):
            name = thing.get("class")
            if isinstance(name, str) and name in CLASSES_OF_VERSION_1 and name not in own:
                thing["class"] = f"dlfs.{name}"
            waiting.extend(thing.values())
        elif isinstance(thing, list):
            waiting.extend(thing)
    if isinstance(metadata.get("network"), dict):
        metadata["network"]["class"] = "dlfs.NeuralNetwork"
