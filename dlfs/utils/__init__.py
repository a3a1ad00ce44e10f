"""The book's modules ``np_utils`` and ``mnist``; file writing; options of commands."""

from typing import TYPE_CHECKING

from dlfs import lazy

if TYPE_CHECKING:
    from dlfs.utils import mnist as mnist
    from dlfs.utils import np_utils as np_utils
    from dlfs.utils import options as options
else:
    __getattr__, __dir__ = lazy.submodules(__name__, ("mnist", "np_utils", "options"))
