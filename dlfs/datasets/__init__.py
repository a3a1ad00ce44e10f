"""Data: the book's, inside the package, and what reads and changes your own.

Chapters 2 and 3 train on ``boston()``, chapters 4 and 5 on ``mnist()``, chapter 6 on
``sonnets()``. Nothing is downloaded, and nothing is read before a call. Each file is compared with
a stored checksum. ``data/NOTICE.md`` names the sources and licences.

``table`` reads CSV files and data frames, ``image_folder`` images, ``read_idx`` the format of
MNIST; ``dlfs.datasets.augment`` changes images at random.
"""

from typing import TYPE_CHECKING

from dlfs import lazy
from dlfs.datasets.digits import mnist
from dlfs.datasets.files import DamagedDataError, MissingDataError
from dlfs.datasets.folder import Images, image_folder
from dlfs.datasets.housing import Boston, boston
from dlfs.datasets.idx import MNIST, read_idx
from dlfs.datasets.prepare import Standardizer, one_hot, standardize, train_test_split
from dlfs.datasets.shakespeare import sonnets
from dlfs.datasets.tables import Table, TableLayout, table

if TYPE_CHECKING:
    from dlfs.datasets import augment as augment
else:
    # It needs SciPy's interpolation, which takes time to import.
    __getattr__, __dir__ = lazy.submodules(__name__, ("augment",))

__all__ = [
    "MNIST",
    "Boston",
    "DamagedDataError",
    "Images",
    "MissingDataError",
    "Standardizer",
    "Table",
    "TableLayout",
    "boston",
    "image_folder",
    "mnist",
    "one_hot",
    "read_idx",
    "sonnets",
    "standardize",
    "table",
    "train_test_split",
]
