"""Checks after every kernel, and the instruction sets."""

import numpy as np
import pytest

import dlfs_ext
from dlfs_ext import fallback


@pytest.fixture(autouse=True)
def registers_of_long_double_are_free():
    """Compilers may move numbers through registers that x87 arithmetic then finds occupied.

    If they are not freed, the next long double computations of the process give nan.
    """
    yield
    assert np.longdouble(1) + np.longdouble(1) == 2


@pytest.fixture(autouse=True)
def the_compiled_path_runs(request, monkeypatch):
    """Make a kernel that leaves its work to the reference fail: it would be compared with itself.

    Tests of just that are marked ``falls_back``, and assert that it happens.
    """
    if request.node.get_closest_marker("falls_back") is None:
        monkeypatch.setattr(fallback, "forbidden", True)


@pytest.fixture(params=dlfs_ext.available_isas())
def isa(request):
    """Run a test on every instruction set that this processor has."""
    before = dlfs_ext.isa()
    dlfs_ext.set_isa(request.param)
    yield request.param
    dlfs_ext.set_isa(before)
