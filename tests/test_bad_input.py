"""Wrong input gives ValueError or TypeError, and the message names who complains of what.

``tests/support/subjects*.py`` holds the tables: for every public function and class, arguments
that are right and what each must be. Here each argument in turn is something else.
"""

import traceback
import warnings
from pathlib import Path

import numpy as np
import pytest

import dlfs
from tests.support.subjects import Subject
from tests.support.subjects_kernels import KERNELS

SUBJECTS = KERNELS
PACKAGE = Path(dlfs.__file__).parent


def complaint(subject: Subject, arguments: dict) -> BaseException | None:
    """Return what a call raised."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # what NumPy warns of while it looks at junk is not the question here
            warnings.simplefilter("ignore")
            subject.call(**arguments)
    except Exception as error:  # noqa: BLE001 - the test asks which
        return error
    return None


def innermost_file(error: BaseException) -> Path:
    return Path(traceback.extract_tb(error.__traceback__)[-1].filename)


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_right_arguments_are_right(subject: Subject) -> None:
    """Else the tests below would show nothing."""
    subject.call(**subject.valid())


CASES = [(subject, name) for subject in SUBJECTS for name in subject.wanted]


@pytest.mark.parametrize(
    ("subject", "name"), CASES, ids=[f"{subject.name}-{name}" for subject, name in CASES]
)
def test_a_wrong_argument_is_named(subject: Subject, name: str) -> None:
    wanted = subject.wanted[name]
    for value in wanted.bad(subject.valid().get(name)):
        error = complaint(subject, {**subject.valid(), name: value})
        what = f"{subject.name}({name}={value!r:.60})"
        assert error is not None, f"{what} was taken"
        assert type(error) in (ValueError, TypeError), f"{what} raised {error!r}"
        message = str(error)
        assert subject.who in message, f"{what}: nobody is named by {message!r}"
        assert any(word in message for word in (name, *wanted.names)), f"{what}: {message!r}"
        assert PACKAGE in innermost_file(error).parents, f"{what} came from the depths: {message!r}"
