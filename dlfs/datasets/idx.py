"""IDX, the file format of MNIST: an array's type and shape, then its values."""

import gzip
import io
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from dlfs.checks import shown
from dlfs.datasets.files import DamagedDataError
from dlfs.types import Array, Shape

GZIP_MAGIC = b"\x1f\x8b"

PIECE = 1 << 20
"""The number of bytes read at a time."""

DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}


class MNIST(NamedTuple):
    """The four arrays of MNIST, in the book's order: ``X_train, y_train, X_test, y_test``.

    Examples
    --------
    >>> from dlfs.datasets import mnist
    >>> digits = mnist()
    >>> digits.X_train.shape, digits.y_test.shape
    ((60000, 1, 28, 28), (10000,))
    """

    X_train: Array
    y_train: Array
    X_test: Array
    y_test: Array


PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
"""How the names of the four files begin, in the order of MNIST."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_idx(path: str | os.PathLike[str]) -> Any:
    """Read an array from an IDX file, gzipped or not, or the four arrays of a folder.

    The four files of MNIST have this format, and so have those of data sets made to replace it,
    such as Fashion-MNIST. ``mnist(folder=...)`` also scales and shapes them.

    Parameters
    ----------
    path : str or os.PathLike
        The file; or a folder with four files whose names begin with train-images, train-labels,
        t10k-images and t10k-labels.

    Returns
    -------
    ndarray, or MNIST
        The array, in the machine's byte order, writable; of a folder the named tuple
        ``(X_train, y_train, X_test, y_test)`` of them.

    Raises
    ------
    FileNotFoundError
        The file does not exist, or a folder does not have the four.
    DamagedDataError
        The file is not an IDX file, is truncated, or continues after its last value (a
        ``ValueError``). At most one byte more than the header announces is read, also if gzipped.

    Notes
    -----
    The format, most significant byte first: two zero bytes, one byte for the type (8: uint8,
    9: int8, 11: int16, 12: int32, 13: float32, 14: float64), one byte for the number of axes, four
    bytes for the length of each axis, and the values, the last axis fastest.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from dlfs.datasets import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "digits-idx1-ubyte"
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3]) + bytes([5, 0, 4]))
    ...     read_idx(path)
    array([5, 0, 4], dtype=uint8)
    """
    if Path(path).is_dir():
        return _read_folder(Path(path))
    with Path(path).open("rb") as file:
        return _read(file, str(path))


def _read_folder(folder: Path) -> MNIST:
    arrays = []
    for part in PARTS:
        found = sorted(f for f in folder.iterdir() if f.is_file() and f.name.startswith(part))
        if not found:
            raise FileNotFoundError(
                f"read_idx: {folder} must have a file whose name begins with {part}, it has none"
            )
        # A file beside its unpacked copy is the same array.
        arrays.append(read_idx(found[0]))
    data = MNIST(*arrays)
    for images, labels, part in ((data[0], data[1], "train"), (data[2], data[3], "t10k")):
        if labels.ndim != 1 or images.ndim < 1 or len(images) != len(labels):
            raise DamagedDataError(
                f"read_idx: in {folder} the images and the labels of {part} must have the same "
                f"number of entries, got shapes {images.shape} and {labels.shape}"
            )
    return data


def parse_idx(content: bytes, name: str) -> Array:
    """Read an array from the bytes of an IDX file; ``name`` is its name in error messages."""
    return _read(io.BufferedReader(io.BytesIO(content)), name)


def _read(file: io.BufferedReader, name: str) -> Array:
    """Read at most one byte more than the header announces: a gzip file may expand without end."""
    if not file.peek(2).startswith(GZIP_MAGIC):
        return _parse(file, name)
    try:
        with gzip.open(file) as unpacked:
            return _parse(unpacked, name)
    except (EOFError, OSError, zlib.error) as error:
        raise DamagedDataError(f"read_idx: {name} is a damaged gzip file: {error}") from error


def _parse(file: _Readable, name: str) -> Array:
    start = _up_to(file, 4)
    if len(start) < 4:
        raise DamagedDataError(
            f"read_idx: {name} must begin with 4 bytes of header, got {len(start)} bytes"
        )
    zeros, code, ndim = struct.unpack(">HBB", start)
    if zeros != 0 or code not in DTYPES:
        raise DamagedDataError(
            f"read_idx: {name} is not an IDX file: it must begin with 00 00 and one of "
            f"{', '.join(f'{known:02x}' for known in DTYPES)}, got {start.hex(' ')}"
        )
    sizes = _up_to(file, 4 * ndim)
    if len(sizes) < 4 * ndim:
        raise DamagedDataError(
            f"read_idx: {name} ends within its header: the header of an array with {ndim} axes "
            f"must have {4 + 4 * ndim} bytes, got {4 + len(sizes)}"
        )
    shape: Shape = struct.unpack(f">{ndim}I", sizes)
    dtype = DTYPES[code]
    # Python's integers: a forged header cannot make them overflow
    needed = math.prod(shape) * dtype.itemsize
    values = _up_to(file, needed + 1)
    if len(values) != needed:
        header = 4 + 4 * ndim
        got = f"{header + len(values)} bytes" if len(values) < needed else "more bytes"
        raise DamagedDataError(
            f"read_idx: {name} must have {header + needed} bytes for its header (shape "
            f"{shown(shape)}, {dtype.name}), got {got}"
        )
    try:
        array = np.frombuffer(values, dtype=dtype).reshape(shape)
    except ValueError as error:
        raise DamagedDataError(
            f"read_idx: the header of {name} must describe a possible array, got shape "
            f"{shown(shape)}: {error}"
        ) from error
    return array.astype(dtype.newbyteorder("="))


def _up_to(file: _Readable, count: int) -> bytearray:
    """Read at most ``count`` bytes; the memory used grows with the file, not with ``count``."""
    content = bytearray()
    while len(content) < count:
        part = file.read(min(count - len(content), PIECE))
        if not part:
            break
        content += part
    return content
