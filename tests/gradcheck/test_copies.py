"""Copies of a target, in its precision and in float64, and what is reset after each pass."""

from types import SimpleNamespace

import numpy as np
import pytest

from dlfs.gradcheck.copies import Frozen, float64_copy, own_copy, states, walk


def test_a_copy_in_float64_converts_every_float32_array_once() -> None:
    single = np.array([1.5, 2.5], dtype=np.float32)
    thing = SimpleNamespace(
        a=single,
        list=[single, (single, {"deep": single})],
        other=np.float32([3]),
        half=np.float16([1]),
        whole=np.array([1, 2], dtype=np.int32),
        double=np.array([0.1]),
    )
    copied = float64_copy(thing)
    assert copied.a.dtype == np.float64
    np.testing.assert_array_equal(copied.a, [1.5, 2.5])
    assert copied.list[0] is copied.a
    assert copied.list[1][0] is copied.a
    assert copied.list[1][1]["deep"] is copied.a
    assert copied.other is not copied.a
    assert [copied.half.dtype, copied.whole.dtype, copied.double.dtype] == [
        *(np.float16, np.int32, np.float64)
    ]
    assert copied.double is not thing.double
    assert thing.a is single
    assert single.dtype == np.float32


@pytest.mark.parametrize(
    ("kind", "now"),
    [
        ("float32", "float64"),
        (np.float32, np.float64),
        (np.dtype(np.float32), np.dtype(np.float64)),
        ("float64", "float64"),
        (np.int32, np.int32),
        (None, None),
        ("no dtype", "no dtype"),
        (3, 3),
    ],
)
def test_a_copy_in_float64_computes_in_float64(kind, now) -> None:
    inner = SimpleNamespace(dtype=kind)
    copied = float64_copy(SimpleNamespace(inner=[inner])).inner[0]
    assert copied.dtype == now
    assert type(copied.dtype) is type(now)
    assert inner.dtype is kind


def test_a_copy_shares_nothing() -> None:
    thing = SimpleNamespace(a=np.ones(2), b=[np.zeros(3)])
    copied = own_copy(thing)
    assert not np.shares_memory(thing.a, copied.a)
    assert not np.shares_memory(thing.b[0], copied.b[0])


def test_what_cannot_be_copied_is_named() -> None:
    with pytest.raises(TypeError) as caught:
        own_copy([iter([]), (number for number in ())])
    assert str(caught.value).startswith(
        "list cannot be checked: the check needs a copy, and copying fails with TypeError: "
    )
    assert isinstance(caught.value.__cause__, TypeError)


def test_what_is_found_in_an_object() -> None:
    array, inner = np.ones(2), SimpleNamespace(x=1.5, text="t", none=None, kind=int)
    thing = {"a": [array, inner], "b": {array.dtype, 3}, 4: (inner, frozenset([2j]), b"", len)}
    thing["method"] = inner.__init__
    thing["module"] = np
    thing["scalar"] = np.float64(2)
    found = [*walk(thing)]
    assert found[0] is thing
    kinds = [type(each).__name__ for each in found]
    assert kinds == [
        *("dict", "list", "ndarray", "SimpleNamespace", "set", "tuple", "frozenset"),
        *(["method-wrapper"] if "method-wrapper" in kinds else []),
    ]


class Carries:
    """Like a layer that carries its state, and a normalization."""

    def __init__(self) -> None:
        self.carried = [np.ones(2)]
        self.rng = np.random.default_rng(3)
        self.mean = np.zeros(2)
        self.free = np.zeros(2)

    def state(self):
        return {"mean": self.mean, "count": 3}

    def run(self) -> float:
        self.carried = [self.carried[0] + 1]
        self.mean += 1
        self.free += 1
        return float(self.rng.random())


def test_what_a_pass_changes_is_reset() -> None:
    thing = Carries()
    inside = SimpleNamespace(list=[thing], state=lambda: [1], other=SimpleNamespace(state=3))
    frozen = Frozen(inside)
    carried = thing.carried
    first = thing.run()
    frozen.restore()
    assert thing.carried is carried
    np.testing.assert_array_equal(thing.mean, [0, 0])
    np.testing.assert_array_equal(thing.free, [1, 1])
    assert thing.run() == first
    assert thing.run() != first
    frozen.restore()
    assert thing.run() == first


def test_states_are_those_that_objects_carry() -> None:
    thing, none = Carries(), SimpleNamespace(carried=None)
    found = states([thing, none, SimpleNamespace(other=1)])
    assert [each for each, _ in found] == [thing, none]
    assert found[0][1] is thing.carried
    assert found[1][1] is None
