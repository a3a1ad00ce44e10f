"""The book's data, inside the package: no download, and nothing read before it is asked for.

``mnist()`` is what chapters 4 and 5 train on, ``boston()`` chapters 2 and 3, ``sonnets()``
chapter 6. Each file is checked against the checksum that it shipped with. Where the data is from,
and under which licences, stands in ``data/NOTICE.md`` beside it.
"""

from dlfs.datasets.digits import MNIST, mnist
from dlfs.datasets.files import DamagedDataError, MissingDataError
from dlfs.datasets.housing import Boston, boston
from dlfs.datasets.idx import read_idx
from dlfs.datasets.shakespeare import sonnets

__all__ = [
    "MNIST",
    "Boston",
    "DamagedDataError",
    "MissingDataError",
    "boston",
    "mnist",
    "read_idx",
    "sonnets",
]
