"""The data files inside the package, checked before they are parsed."""

import hashlib
from importlib import resources
from typing import NamedTuple

CURE = (
    "reinstall dlfs (pip install --force-reinstall dlfs), or in a clone of the repository "
    "restore the file (git checkout -- dlfs/datasets/data)"
)


class MissingDataError(FileNotFoundError):
    """A data file of the package is missing.

    Examples
    --------
    >>> issubclass(MissingDataError, FileNotFoundError)
    True
    """


class DamagedDataError(ValueError):
    """A data file is truncated, altered, or has the wrong format.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from dlfs.datasets import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "digits"
    ...     _ = path.write_bytes(b"no such format")
    ...     try:
    ...         read_idx(path)
    ...     except DamagedDataError:
    ...         print("damaged")
    damaged
    """


class Expected(NamedTuple):
    """Size in bytes and SHA-256 of a file as it ships."""

    size: int
    sha256: str


FILES = {
    "mnist/train-images-idx3-ubyte.gz": Expected(
        9630610, "7ff28fd295f802eefc6d40e461175dfe4b969b1842b2abc8c6dc8c20711cf79f"
    ),
    "mnist/train-labels-idx1-ubyte.gz": Expected(
        28878, "81a978ae83d39ffdba0db3ce2fcaf80a8921e9629e874428996a2b03242d4b2a"
    ),
    "mnist/t10k-images-idx3-ubyte.gz": Expected(
        1602050, "197e111ae341b0770be9011ac5e622d0e6cd1c640b32eb0de5dc1dd26cc6e182"
    ),
    "mnist/t10k-labels-idx1-ubyte.gz": Expected(
        4517, "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b"
    ),
    "boston_house_prices.csv": Expected(
        35230, "04ea3ed0aa63691cfedf388349eafc1213e91e00f8e4d31747534692c0f1ce02"
    ),
    "shakespeare_sonnets.txt": Expected(
        95728, "edb826e5a801c955ab21026b3660306838fbf29ec29ea01886b2854c6d639b55"
    ),
}


def read(name: str) -> bytes:
    """Return the content of the data file ``name``, complete and unaltered.

    Parameters
    ----------
    name : str
        A key of ``FILES``: the path below the package's data folder.

    Raises
    ------
    MissingDataError
        The file is not there (a ``FileNotFoundError``).
    DamagedDataError
        Its size or its SHA-256 differs from the original (a ``ValueError``).
    """
    # files() also works where the package is imported from a zip archive
    source = resources.files("dlfs.datasets").joinpath("data", *name.split("/"))
    try:
        content = source.read_bytes()
    except FileNotFoundError as error:
        raise MissingDataError(f"dlfs.datasets: {source} is missing; {CURE}") from error
    expected = FILES[name]
    if len(content) != expected.size:
        raise DamagedDataError(
            f"dlfs.datasets: {source} is damaged: it must have {expected.size} bytes, "
            f"got {len(content)}; {CURE}"
        )
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected.sha256:
        raise DamagedDataError(
            f"dlfs.datasets: {source} is damaged: its SHA-256 must be {expected.sha256}, "
            f"got {digest}; {CURE}"
        )
    return content
