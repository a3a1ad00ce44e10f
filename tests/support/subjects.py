"""Every public function and class, with valid arguments and what each of them must be.

A subject is called with valid arguments, then with one of them replaced by a wrong one, or with all
of them replaced at random. The tests of bad input use only these tables.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.support.junk import Wanted


@dataclass(frozen=True)
class Subject:
    """A call to test.

    Attributes
    ----------
    name : str
        ``module.name`` below dlfs, followed by the action if it is not a plain call.
    call : callable
        Takes the arguments by name.
    valid : callable
        Returns new valid arguments.
    wanted : dict
        What each argument must be. Arguments without an entry stay valid.
    owner : str
        The name with which an error message must begin.
    """

    name: str
    call: Callable[..., Any]
    valid: Callable[[], dict[str, Any]]
    wanted: dict[str, Wanted]
    owner: str = field(default="")

    @property
    def who(self) -> str:
        return self.owner or self.name.split()[0].split(".")[-1]


def ones(*sizes: int, dtype: Any = np.float64) -> np.ndarray:
    return np.ones(sizes, dtype=dtype)


def error_of(subject: Subject, arguments: dict) -> BaseException | None:
    """Return the error of a call."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # NumPy's warnings about junk do not matter here
            warnings.simplefilter("ignore")
            subject.call(**arguments)
    except Exception as error:  # noqa: BLE001 - the test asks which
        return error
    return None
