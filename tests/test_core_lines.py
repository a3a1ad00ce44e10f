"""How much there is to read."""

import pytest

from dlfs.backend import available_backends
from tools.calls import calls
from tools.core_lines import ADDED, DENSE, PACKAGE, core_files, count, lines_of, parts

pytestmark = pytest.mark.source_tree


def test_one_dense_layer_is_read_in_four_files_and_600_lines():
    lines, _ = count("One Dense layer", DENSE)
    assert len(DENSE) <= 4
    assert lines <= 600


def test_each_line_counts_in_the_core_or_in_what_came_later():
    core, later = count("Core", core_files()), count("Later", core_files(), added=True)
    assert core[0] > core[1] > later[0] > later[1] > 0
    assert core[0] + later[0] == sum(len(parts(name)[0]) for name in core_files())


@pytest.mark.parametrize("name", ADDED)
def test_what_came_later_is_there(name):
    source = (PACKAGE / name).read_text()
    assert name in core_files()
    for added in ADDED[name]:
        assert lines_of(source, [added]), added


@pytest.mark.skipif("fast" not in available_backends(), reason="dlfs_ext is not compiled")
def test_a_fast_training_step_makes_few_python_calls():
    assert len(calls("fast")) <= 60
