"""Settings of all tests: hypothesis profiles, no window, no changed files or global state."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

# before the first import of matplotlib, whose font cache must not go into the home folder
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("MPLCONFIGDIR", str(Path(tempfile.gettempdir()) / "dlfs-tests-matplotlib"))

import hypothesis
import numpy as np
import pytest

from tests.support import guard

# A deadline would make a slow machine look like a bug.
hypothesis.settings.register_profile("default", deadline=None, max_examples=25, print_blob=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=500, print_blob=True)
hypothesis.settings.register_profile("short", deadline=None, max_examples=2, print_blob=True)
# For `make mutate`: the same cases for each mutant, without shrinking. A busy machine must not fail
# a test, because that would count as detected.
hypothesis.settings.register_profile(
    "mutate",
    deadline=None,
    max_examples=20,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


# `make test-wheel` runs a copy of this folder beside an installed wheel. Tests of the project's own
# files are then left out, and the report names them.
IN_SOURCE_TREE = (Path(__file__).parents[1] / "setup.py").exists()
# These cannot be collected.
IMPORT_TOOLS = ["test_english.py", "test_notebooks.py", "test_support.py"]
collect_ignore = [] if IN_SOURCE_TREE else IMPORT_TOOLS


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:
    if not IN_SOURCE_TREE:
        left_out = f"{', '.join(IMPORT_TOOLS)}, tests marked source_tree"
        terminalreporter.write_line(f"No source tree. Left out: {left_out}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not IN_SOURCE_TREE:
        for item in items:
            if item.get_closest_marker("source_tree"):
                item.add_marker(pytest.mark.skip(reason="needs the source tree"))


def pytest_configure(config: pytest.Config) -> None:
    base = config.getoption("basetemp", None)
    guard.start(*([Path(base)] if base else []))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    guard.stop()  # pytest writes its cache after the tests


@pytest.fixture(autouse=True)
def _nothing_is_written_outside_temporary_folders() -> Iterator[None]:
    """Fail a test that wrote outside, even if the code under test caught the guard's error."""
    guard.violations.clear()
    yield
    if guard.violations:
        pytest.fail(f"a test may only write into temporary folders: {guard.violations}")


def _global_random_state() -> tuple[object, ...]:
    kind, key, *rest = np.random.get_state(legacy=True)
    return kind, key.tobytes(), *rest


@pytest.fixture(autouse=True)
def _global_random_state_is_left_alone() -> Iterator[None]:
    """Fail a test that draws from or seeds NumPy's global generator.

    Within ``@given`` hypothesis saves and restores that state, so a property that tests this must
    compare the state before and after in its own body.
    """
    before = _global_random_state()
    yield
    if _global_random_state() != before:
        pytest.fail("NumPy's global random state was changed; use a numpy.random.Generator")
