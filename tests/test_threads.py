"""The number of threads, with and without compiled kernels, and messages about speed."""

import sys

import pytest

import dlfs
from dlfs.commands.cli import main


@pytest.fixture
def without_kernels(monkeypatch):
    """As without a compiler: the package cannot be imported."""
    monkeypatch.setitem(sys.modules, "dlfs_ext", None)


def test_number_of_threads_is_kept():
    if "fast" not in dlfs.available_backends():
        pytest.skip("needs the compiled kernels")
    before = dlfs.get_num_threads()
    try:
        dlfs.set_num_threads(3)
        assert dlfs.get_num_threads() == 3
    finally:
        dlfs.set_num_threads(before)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2", True, None])
def test_wrong_number_is_refused(wrong):
    with pytest.raises((TypeError, ValueError), match="set_num_threads: n "):
        dlfs.set_num_threads(wrong)


def test_without_kernels_one_thread_runs_and_more_are_not_promised(without_kernels):
    assert dlfs.get_num_threads() == 1
    dlfs.set_num_threads(1)
    with pytest.warns(UserWarning, match="the fast backend was not compiled"):
        dlfs.set_num_threads(4)
    assert dlfs.get_num_threads() == 1


def test_bench_compares_the_backends(capsys):
    before = dlfs.get_num_threads()
    assert main(["bench", "--seconds", "0.001", "--threads", "1"]) == 0
    shown = capsys.readouterr().out
    assert "reference" in shown
    if "fast" in dlfs.available_backends():
        assert "fast" in shown
    assert "training step" in shown
    assert dlfs.get_num_threads() == before


def test_bench_refuses_a_senseless_time(capsys):
    with pytest.raises(SystemExit) as end:
        main(["bench", "--seconds", "-1"])
    assert end.value.code == 2
    assert "--seconds" in capsys.readouterr().err
