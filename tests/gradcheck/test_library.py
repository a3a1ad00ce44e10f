"""Every Operation, layer and loss of the library, and whole networks, against differences."""

import sys
import types

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from dlfs.activations import Tanh
from dlfs.backend import available_backends
from dlfs.gradcheck import check_gradients
from dlfs.gradcheck.cases import RECIPES, RandomChooser, unregistered
from dlfs.gradcheck.cases.find import gradient_classes
from dlfs.losses import Loss
from dlfs.testing import library_cases


@pytest.mark.parametrize("backend", available_backends())
@pytest.mark.parametrize("name", RECIPES)
@given(data=st.data())
def test_gradients(name: str, backend: str, data: st.DataObject) -> None:
    case = data.draw(library_cases(name, backend))
    note(case.code)
    report = check_gradients(
        case.target,
        case.x,
        y=case.y,
        inference=case.inference,
        backend=backend,
        max_entries=10 if RECIPES[name].kind == "network" else 25,
        hints=False,
    )
    if case.x.size or report.verdict == "wrong":
        report.raise_if_failed()


@pytest.mark.parametrize("name", ["MaxPool1D", "MaxPool2D", "AvgPool1D", "AvgPool2D"])
def test_every_window_of_a_drawn_pooling_covers_a_pixel(name: str) -> None:
    """A dilated window can skip a small image: then its maximum is minus infinity."""
    chooser = RandomChooser(np.random.default_rng(0))
    for _ in range(500):
        case = RECIPES[name].draw(chooser)
        assert np.isfinite(case.target.forward(case.x)).all(), case.code


def test_every_class_has_a_recipe() -> None:
    assert unregistered() == [], "add them to RECIPES in dlfs/gradcheck/cases"


def test_a_new_operation_without_a_recipe_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("dlfs.activations")
    vars(module).update(vars(sys.modules["dlfs.activations"]))
    module.Bent = type("Bent", (Tanh,), {"__module__": "dlfs.activations"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dlfs.activations", module)
    assert unregistered() == ["Bent"]


def test_recipes_make_what_they_are_named_after() -> None:
    classes = gradient_classes()
    for name, recipe in RECIPES.items():
        case = recipe.draw(RandomChooser(np.random.default_rng(0)))
        if recipe.kind != "network":
            assert type(case.target) is classes[name]


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_code_of_a_case_makes_the_same_case(
    name: str, dtype: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(1 if RECIPES[name].kind == "network" else 3):
        case = RECIPES[name].draw(RandomChooser(np.random.default_rng(seed)), dtype, "reference")
        names: dict[str, object] = {}
        exec(case.code, names)
        assert ("passed" if case.x.size else "UNDECIDED") in capsys.readouterr().out
        np.testing.assert_array_equal(names["x"], case.x)
        assert names["x"].dtype == case.x.dtype  # type: ignore[attr-defined]
        if case.y is not None:
            np.testing.assert_array_equal(names["y"], case.y)
        assert repr(names["target"]) == repr(case.target)
        if not isinstance(case.target, Loss):
            # The weights are the same too.
            outputs = [
                target.forward(case.x, inference=True) for target in (names["target"], case.target)
            ]
            np.testing.assert_array_equal(*outputs)
