"""Several ranks train as one process does. Threads stand for the ranks; for MPI: test_mpi.py."""

from typing import Any

import pytest

from tests.support.ranks import on_threads
from tests.support.ranks_trainings import TRAININGS, bits, same


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return {name: training(None) for name, training in TRAININGS.items()}


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("size", [2, 3, 4])
def test_ranks_train_as_one_process(name: str, size: int, alone: dict[str, Any]) -> None:
    results = on_threads(size, TRAININGS[name])
    same(results[0], alone[name])
    assert len({bits(result) for result in results}) == 1


@pytest.mark.parametrize("name", TRAININGS)
def test_one_rank_is_one_process(name: str, alone: dict[str, Any]) -> None:
    assert bits(on_threads(1, TRAININGS[name])[0]) == bits(alone[name])
