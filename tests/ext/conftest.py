"""What must hold after every kernel."""

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def registers_of_long_double_are_free():
    """Compilers may move numbers through registers that x87 arithmetic then finds occupied.

    Where nobody frees them, the next long double computations of the process give nan.
    """
    yield
    assert np.longdouble(1) + np.longdouble(1) == 2
