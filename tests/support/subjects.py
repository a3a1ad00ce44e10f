"""Every public function and class, with arguments that are right and what each of them must be.

A subject is called with right arguments, then with one of them replaced by something wrong, or with
all of them replaced by anything. The tables here are all that the tests of bad input know.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.support.junk import Wanted


@dataclass(frozen=True)
class Subject:
    """Something to call.

    Attributes
    ----------
    name : str
        ``module.name`` below dlfs, followed by what is done with it, if that is not just calling.
    call : callable
        Takes the arguments by name.
    valid : callable
        Returns new arguments that are right.
    wanted : dict
        What each argument must be. One without an entry is left right.
    owner : str
        Who must be named by a complaint.
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
