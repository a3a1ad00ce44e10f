"""What holds for every test: hypothesis profiles, no window, no file or global state changed."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

# before anything imports matplotlib, whose cache of fonts must not go into the home folder
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
# For `make mutate`: the same cases for each mutant, and nothing shrunk that nobody looks at. A busy
# machine must not fail a test either: that would count as noticed.
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


# Beside an installed wheel there is only this folder: `make test-wheel` runs it there. Tests that
# ask about the project's own files are left out, and the report names them.
IN_SOURCE_TREE = (Path(__file__).parents[1] / "setup.py").exists()
IMPORT_TOOLS = ["test_notebooks.py"]  # these cannot even be collected
collect_ignore = [] if IN_SOURCE_TREE else IMPORT_TOOLS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not IN_SOURCE_TREE:
        left_out = f"{', '.join(IMPORT_TOOLS)}, tests marked source_tree"
        terminalreporter.write_line(f"No source tree here. Left out: {left_out}")


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
    guard.stop()  # pytest's own cache comes after the tests


@pytest.fixture(autouse=True)
def _nothing_is_written_outside_temporary_folders() -> Iterator[None]:
    """Fail a test that tried to, even where the code under test caught the guard's refusal."""
    guard.violations.clear()
    yield
    if guard.violations:
        pytest.fail(f"a test may only write into temporary folders: {guard.violations}")


def _global_random_state() -> tuple[object, ...]:
    kind, key, *rest = np.random.get_state(legacy=True)
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
