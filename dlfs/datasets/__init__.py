"""The book's data, inside the package: no download, and nothing is read before a call.

Chapters 2 and 3 train on ``boston()``, chapters 4 and 5 on ``mnist()``, chapter 6 on
``sonnets()``. Each file is compared with a stored checksum. ``data/NOTICE.md`` names the sources
and licences.
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
