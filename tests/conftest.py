"""What holds for every test: hypothesis profiles, no window, an untouched global random state."""

import os
from collections.abc import Iterator

# before anything imports matplotlib
os.environ["MPLBACKEND"] = "Agg"

import hypothesis
import numpy as np
import pytest

# A deadline would make a slow machine look like a bug.
hypothesis.settings.register_profile("default", deadline=None, max_examples=25, print_blob=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=500, print_blob=True)
hypothesis.settings.register_profile("short", deadline=None, max_examples=2, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def _global_random_state() -> tuple[object, ...]:
    kind, key, *rest = np.random.get_state()
    return kind, key.tobytes(), *rest


@pytest.fixture(autouse=True)
def _global_random_state_is_left_alone() -> Iterator[None]:
    """Fail a test during which somebody drew from, or seeded, NumPy's global generator.

    Within ``@given`` hypothesis saves and restores that state by itself, so a property that is to
    show this compares the state before and after in its own body.
    """
    before = _global_random_state()
    yield
    if _global_random_state() != before:
        pytest.fail("NumPy's global random state was changed; use a numpy.random.Generator")
