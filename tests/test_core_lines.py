"""How much there is to read."""

import pytest

from dlfs.backend import available_backends
from tools.calls import calls
from tools.core_lines import DENSE, count

pytestmark = pytest.mark.source_tree


def test_one_dense_layer_is_read_in_four_files_and_600_lines():
    lines, _ = count(DENSE)
    assert len(DENSE) <= 4
    assert lines <= 600


@pytest.mark.skipif("fast" not in available_backends(), reason="dlfs_ext is not compiled")
def test_a_fast_training_step_makes_few_python_calls():
    assert len(calls("fast")) <= 60
