"""IDX, the file format of MNIST: an array's type and shape, then its values."""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from dlfs.datasets.files import DamagedDataError
from dlfs.types import Array, Shape

GZIP_MAGIC = b"\x1f\x8b"

DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}


def read_idx(path: str | os.PathLike[str]) -> Array:
    """Read an array from an IDX file, gzipped or not.

    The four files of MNIST have this format, and so have those of data sets made to replace it,
    such as Fashion-MNIST.

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    ndarray
        The array, in the machine's byte order, writable.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    DamagedDataError
        The file is no IDX file, is truncated, or goes on after its last value (a ``ValueError``).

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
    return parse_idx(Path(path).read_bytes(), str(path))


def parse_idx(content: bytes, name: str) -> Array:
    """Read an array from the bytes of an IDX file; ``name`` is what error messages call it."""
    if content[:2] == GZIP_MAGIC:
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise DamagedDataError(f"read_idx: {name} is a damaged gzip file: {error}") from error

    if len(content) < 4:
        raise DamagedDataError(
            f"read_idx: {name} has {len(content)} bytes, an IDX file begins with 4 bytes of header"
        )
    zeros, code, ndim = struct.unpack_from(">HBB", content)
    if zeros != 0 or code not in DTYPES:
        raise DamagedDataError(
            f"read_idx: {name} is not an IDX file: it begins with {content[:4].hex(' ')}, "
            f"it needs 00 00, then one of {', '.join(f'{known:02x}' for known in DTYPES)}"
        )
    start = 4 + 4 * ndim
    if len(content) < start:
        raise DamagedDataError(
            f"read_idx: {name} ends within its header: it has {len(content)} bytes, "
            f"the header of an array with {ndim} axes has {start}"
        )
    shape: Shape = struct.unpack_from(f">{ndim}I", content, 4)
    dtype = DTYPES[code]
    # Python's integers, which no forged header can make overflow
    needed = start + math.prod(shape) * dtype.itemsize
    if len(content) != needed:
        raise DamagedDataError(
            f"read_idx: {name} has {len(content)} bytes, its header (shape {shape}, "
            f"{dtype.name}) needs {needed}"
        )
    values = np.frombuffer(content, dtype=dtype, offset=start)
    try:
        values = values.reshape(shape)
    except ValueError as error:
        raise DamagedDataError(
            f"read_idx: the header of {name} describes no possible array: shape {shape}: {error}"
        ) from error
    return values.astype(dtype.newbyteorder("="))
