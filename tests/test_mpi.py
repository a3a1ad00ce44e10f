"""Training on the ranks of a real MPI, in processes of their own, each with a limit of time."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import run
from tests.support.ranks import environment, mpiexec
from tests.support.ranks_faults import EPOCHS, train
from tests.support.ranks_trainings import TRAININGS, same

pytest.importorskip("mpi4py", reason="training on several processes needs the extra mpi")
ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.source_tree


@pytest.fixture(scope="module")
def alone() -> dict:
    return {name: training(None) for name, training in TRAININGS.items()}


def results(path: Path) -> dict[str, dict]:
    found: dict[str, dict] = {}
    with np.load(path) as arrays:
        for key in arrays.files:
            name, _, part = key.partition(".")
            found.setdefault(name, {})[part] = arrays[key]
    return found


def finish(job: "subprocess.Popen[str]", seconds: float = 60) -> tuple[int, str]:
    """Wait for a job, and return its status and what it wrote to stderr."""
    try:
        _, errors = job.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        job.terminate()
        job.communicate()
        pytest.fail(f"the ranks did not end within {seconds} s")
    return job.returncode, errors


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_ranks_train_as_one_process(size: int, alone: dict, tmp_path: Path) -> None:
    program = ROOT / "tests" / "support" / "ranks_trainings.py"
    status, errors = finish(mpiexec(size, program, tmp_path / "a.npz"))
    assert status == 0, errors
    found = results(tmp_path / "a.npz")
    for name, expected in alone.items():
        same(found[name], expected)
    if size == 3:
        status, errors = finish(mpiexec(size, program, tmp_path / "b.npz"))
        assert status == 0, errors
        again = results(tmp_path / "b.npz")
        for name, arrays in found.items():
            for part, array in arrays.items():
                np.testing.assert_array_equal(again[name][part], array, err_msg=f"{name} {part}")


FAULTS = ROOT / "tests" / "support" / "ranks_faults.py"


@pytest.fixture(scope="module")
def undisturbed() -> np.ndarray:
    params, _ = train(None, None)
    return params


@pytest.mark.parametrize("what", ["error", "SIGKILL", "SIGTERM", "SIGINT"])
def test_a_fault_on_one_rank_ends_all(what: str, undisturbed: np.ndarray, tmp_path: Path) -> None:
    checkpoint, result = tmp_path / "checkpoint", tmp_path / "result.npz"
    status, errors = finish(mpiexec(2, FAULTS, what, checkpoint, result))
    if what == "SIGINT":  # all ranks end after the same step, and say so
        assert status == 0, errors
        assert np.load(result)["stopped"] == "interrupted"
    else:
        assert status != 0
        assert not result.exists()
    if what == "error":
        assert "because rank 1 failed (ZeroDivisionError: rank 1 has a reason)" in errors
        assert f"resume=True goes on from {checkpoint}" in errors
    status, errors = finish(mpiexec(3, FAULTS, "nothing", checkpoint, result))
    assert status == 0, errors
    with np.load(result) as found:
        assert found["epochs"] == EPOCHS
        close(found["params"], undisturbed)


def close(params: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(params, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def test_a_rank_that_is_killed_at_any_moment(undisturbed: np.ndarray, tmp_path: Path) -> None:
    """`make kills` does it more often: RANKS_KILLS=20."""
    moments = random.Random(0)
    status, errors = finish(mpiexec(2, FAULTS, "nothing", tmp_path / "w", tmp_path / "w.npz"))
    assert status == 0, errors
    whole = np.load(tmp_path / "w.npz")["params"]
    for number in range(int(os.environ.get("RANKS_KILLS", "2"))):
        checkpoint, result = tmp_path / f"{number}", tmp_path / f"{number}.npz"
        job = mpiexec(2, FAULTS, "nothing", checkpoint, result)
        ended = time.monotonic() + 60
        while not checkpoint.exists() and time.monotonic() < ended:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.5))
        victim = int(Path(f"{checkpoint}.{moments.randrange(2)}.pid").read_text())
        if job.poll() is None:
            os.kill(victim, signal.SIGKILL)
        finish(job, seconds=10 if "RANKS_KILLS" in os.environ else 60)
        for size in (3, 2) if number % 2 else (2,):
            copy = tmp_path / f"{number}.copy"
            copy.write_bytes(checkpoint.read_bytes())
            status, errors = finish(mpiexec(size, FAULTS, "nothing", copy, result))
            assert status == 0, errors
            close(np.load(result)["params"], undisturbed)
        np.testing.assert_array_equal(np.load(result)["params"], whole)


# The command line.


def test_the_command_starts_its_ranks(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = ["a,b,y", *(f"{a:.3f},{b:.3f},{a - b:.3f}" for a, b in rng.normal(size=(60, 2)))]
    (tmp_path / "table.csv").write_text("\n".join(rows))

    def last_line(*options: str) -> str:
        words = ["--data", "table.csv", "--target", "y", "--epochs", "3", "--dtype", "float64"]
        done = subprocess.run(
            [sys.executable, "-m", "dlfs", "train", *words, "--quiet", *options],
            check=False,
            capture_output=True,
            text=True,
            env=environment(),
            timeout=60,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("Training took") == 1
        return done.stdout.splitlines()[-1]

    saved = last_line("--ranks", "2", "--save", "network")
    assert saved == "Saved to network"
    assert (tmp_path / "network").exists()
    assert last_line("--ranks", "2") == last_line()


def test_a_mistake_is_told_once() -> None:
    job = mpiexec(2, "-m", "dlfs", "train", "--ranks", "2", "--data", "no-such.csv")
    status, errors = finish(job)
    assert status == 2
    assert errors.count("dlfs train: ") == 1
    assert "no-such.csv" in errors


def test_another_number_of_ranks_than_the_job_has_is_refused() -> None:
    status, errors = finish(mpiexec(2, "-m", "dlfs", "train", "--ranks", "3"))
    assert status == 2
    assert "--ranks must be the size of the MPI job, 2, got 3" in errors


def test_without_mpi_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path: None)
    assert run("train", "--ranks", 2) == 2
    assert "pip install 'dlfs[mpi]'" in capsys.readouterr().err


def test_one_rank_needs_no_mpi() -> None:
    program = (
        "import sys\nfrom dlfs.commands import cli\n"
        "cli.main(['train', '--ranks', '1', '--data', 'no-such.csv'])\n"
        "import dlfs.train\nassert 'mpi4py' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=environment(), timeout=60)
