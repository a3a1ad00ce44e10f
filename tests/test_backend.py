"""Choosing a backend: by a call, for a block, by the environment; and one that is missing."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dlfs import activations, backend, reference

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _choice_is_put_back() -> Iterator[None]:
    kept = backend._default
    yield
    backend._default = kept


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter, in which nothing has been chosen yet."""
    inherited = {key: value for key, value in os.environ.items() if key != "DLFS_BACKEND"}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_reference_is_always_there() -> None:
    assert "reference" in backend.available_backends()


def test_the_default_is_the_first_that_is_available() -> None:
    result = run("import dlfs; print(dlfs.backend_name(), dlfs.available_backends()[0])")
    assert result.returncode == 0, result.stderr
    chosen, first = result.stdout.split()
    assert chosen == first


def test_without_the_compiled_package_the_reference_runs() -> None:
    code = """
import sys
sys.modules["dlfs_ext"] = None
import dlfs, numpy as np
assert dlfs.available_backends() == ["reference"]
assert dlfs.backend_name() == "reference"
print(dlfs.Sigmoid().forward(np.zeros((1, 1))).item())
"""
    assert run(code).stdout.strip() == "0.5"


def test_asking_for_what_is_missing_says_why_and_what_to_do() -> None:
    code = """
import sys
sys.modules["dlfs_ext"] = None
import dlfs
try:
    dlfs.use_backend("fast")
except ImportError as error:
    print(error)
print(dlfs.backend_name())
"""
    said, name = run(code).stdout.strip().splitlines()
    assert "the fast backend is not available" in said
    assert "C compiler" in said
    assert "use_backend('reference')" in said
    assert name == "reference", "a failed choice changes nothing"


def test_the_environment_chooses() -> None:
    result = run("import dlfs; print(dlfs.backend_name())", DLFS_BACKEND="reference")
    assert result.stdout.strip() == "reference", result.stderr
    # a call takes precedence
    code = "import dlfs; dlfs.use_backend('reference'); print(dlfs.backend_name())"
    assert run(code, DLFS_BACKEND="nonsense").stdout.strip() == "reference"


def test_an_environment_that_names_no_backend_is_named() -> None:
    result = run("import dlfs; dlfs.backend_name()", DLFS_BACKEND="quick")
    assert result.returncode == 1
    assert (
        "ValueError: environment variable DLFS_BACKEND: backend name must be one of"
        in result.stderr
    )


def test_an_environment_that_asks_for_what_is_missing_says_so() -> None:
    code = "import sys; sys.modules['dlfs_ext'] = None; import dlfs; dlfs.backend_name()"
    result = run(code, DLFS_BACKEND="fast")
    assert result.returncode == 1
    assert "ImportError: the fast backend is not available" in result.stderr


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> str:
    """A second backend to switch to: its sigmoid is 7."""

    class Sevens:
        FUSES = False

        @staticmethod
        def sigmoid(x: np.ndarray) -> np.ndarray:
            return np.full_like(x, 7)

    monkeypatch.setitem(backend.PACKAGES, "sevens", "nowhere")
    monkeypatch.setitem(backend._loaded, "sevens", Sevens)
    return "sevens"


def sigmoid_of_zero() -> float:
    return float(activations.Sigmoid().forward(np.zeros((1, 1))).item())


def test_a_call_holds_until_the_next(other: str) -> None:
    backend.use_backend(other)
    assert backend.backend_name() == other
    assert sigmoid_of_zero() == 7
    backend.use_backend("reference")
    assert sigmoid_of_zero() == 0.5


def test_a_block_ends_even_by_an_error_and_blocks_nest(other: str) -> None:
    backend.use_backend("reference")
    with backend.use_backend(other):
        assert sigmoid_of_zero() == 7
        with backend.use_backend("reference"):
            assert sigmoid_of_zero() == 0.5
        assert sigmoid_of_zero() == 7
    assert sigmoid_of_zero() == 0.5
    with contextlib.suppress(ZeroDivisionError), backend.use_backend(other):
        1 / 0  # noqa: B018
    assert backend.backend_name() == "reference"


def test_a_block_holds_for_its_own_thread_and_a_call_for_all(other: str) -> None:
    seen: list[str] = []

    def look() -> None:
        seen.append(backend.backend_name())

    def in_thread() -> None:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    backend.use_backend("reference")
    with backend.use_backend(other):
        in_thread()
    backend.use_backend(other)
    in_thread()
    assert seen == ["reference", other]


def test_the_choice_has_a_repr() -> None:
    assert repr(backend.use_backend("reference")) == "use_backend('reference')"


@pytest.mark.parametrize("name", reference.KERNELS)
def test_every_kernel_of_the_reference_is_found_through_the_backend(name: str) -> None:
    with backend.use_backend("reference"):
        assert getattr(backend.kernels, name) is getattr(reference, name)


def test_the_package_lists_exactly_its_public_kernels() -> None:
    functions = {
        name
        for name, thing in vars(reference).items()
        if callable(thing) and not name.startswith("_")
    }
    assert functions == set(reference.KERNELS)
