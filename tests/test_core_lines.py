"""How much there is to read."""

import pytest

from dlfs.backend import available_backends
from tools.calls import calls
from tools.core_lines import CHAPTER_10, DENSE, core_files, count

pytestmark = pytest.mark.source_tree


def test_one_dense_layer_is_read_in_four_files_and_600_lines():
    lines, _ = count("One Dense layer", DENSE)
    assert len(DENSE) <= 4
    assert lines <= 600


def test_the_core_and_what_came_with_chapter_10_are_counted_apart():
    core, chapter_10 = count("Core", core_files()), count("Chapter 10", CHAPTER_10)
    assert core[0] > core[1] > chapter_10[0] > chapter_10[1] > 0
    assert not set(core_files()) & set(CHAPTER_10)


@pytest.mark.skipif("fast" not in available_backends(), reason="dlfs_ext is not compiled")
def test_a_fast_training_step_makes_few_python_calls():
    assert len(calls("fast")) <= 60
