"""dlfs.testing: strategies, and an assertion whose failing case is runnable code."""

import os
from collections.abc import Callable, Iterator

import hypothesis
import numpy as np
import pytest
from hypothesis import find, given
from hypothesis import strategies as st

from dlfs.activations import Tanh
from dlfs.conv import Conv2D_Op
from dlfs.dense import WeightMultiply
from dlfs.gradcheck import GradientError
from dlfs.losses import SoftmaxCrossEntropy
from dlfs.testing import (
    arrays_NCHW,
    arrays_NCT,
    arrays_NF,
    arrays_NTF,
    assert_gradients,
    conv2d_cases,
    dense_cases,
    labels_N,
    layouts,
)
from dlfs.testing.assertion import as_code


class LastRowOnly(WeightMultiply):
    def _param_grad(self, output_grad):
        return self.input_[-1:].T @ output_grad[-1:]


def test_right_operations_pass() -> None:
    assert_gradients(Tanh, layouts(arrays_NCHW()), examples=10)
    assert_gradients(WeightMultiply, dense_cases("float32"), examples=10)
    assert_gradients(Conv2D_Op, conv2d_cases(), examples=10)


def test_losses_take_targets() -> None:
    cases = st.integers(1, 3).flatmap(
        lambda batch: st.fixed_dictionaries(
            {
                "x": st.just(np.random.default_rng(0).standard_normal((batch, 3))),
                "y": labels_N(batch, 3),
            }
        )
    )
    assert_gradients(SoftmaxCrossEntropy, cases, examples=10)


def test_what_fails_is_the_smallest_case_as_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GradientError) as raised:
        assert_gradients(LastRowOnly, dense_cases())
    message = str(raised.value)
    assert "only the last observation of the batch" in message
    code = message[message.index("import numpy") :]
    names = {"LastRowOnly": LastRowOnly}
    exec(code, names)
    assert "FAILED" in capsys.readouterr().out
    # A single row leaves nothing to leave out.
    assert names["x"].shape == (2, 1)  # type: ignore[attr-defined]
    assert names["W"].shape == (1, 1)  # type: ignore[attr-defined]


def test_a_failure_is_reported_without_running_many_more_cases() -> None:
    made = []

    class Wrong(Tanh):
        def __init__(self):
            super().__init__()
            made.append(self)

        def _input_grad(self, output_grad):
            return output_grad

    with pytest.raises(GradientError) as caught:
        assert_gradients(Wrong, arrays_NF(), examples=10)
    assert len(made) < 60
    assert not any("check.py" in note for note in getattr(caught.value, "__notes__", []))


@pytest.fixture
def no_database() -> Iterator[None]:
    """Leave out hypothesis's database, which replays the smallest case of an earlier run."""
    name = os.environ.get("HYPOTHESIS_PROFILE", "default")  # as in conftest
    current = hypothesis.settings.get_profile(name)
    hypothesis.settings.register_profile("no database", current, database=None)
    hypothesis.settings.load_profile("no database")
    yield
    hypothesis.settings.load_profile(name)


@pytest.mark.usefixtures("no_database")
def test_what_only_a_larger_case_can_say_is_said() -> None:
    class Doubles(Tanh):
        def __init__(self):
            self.factor = 2.0

    # Its code cannot be read, and a single number has too little evidence.
    exec("def grad(self, g): return g * (1 - self.output**2) * self.factor", names := {})
    Doubles._input_grad = names["grad"]
    with pytest.raises(GradientError) as caught:
        assert_gradients(Doubles, arrays_NF())
    report = str(caught.value).split("The smallest failing case")[0]
    # Two single numbers always differ by a factor.
    assert "1 of 1 entries" in report
    assert "Likely causes" not in report
    assert "From a larger failing case" in report
    assert "every entry is 2 times the right one" in report
    assert max(map(len, report.splitlines())) <= 100


def test_the_code_of_a_case_names_the_backend_and_keeps_empty_arrays() -> None:
    x = np.zeros((0, 3), dtype=np.float32)
    code = as_code(Tanh, x, None, {}, "reference")
    assert 'x = np.zeros((0, 3), dtype="float32")' in code
    assert 'check_gradients(target, x, backend="reference")'.replace('"', "'") in code
    with pytest.raises(GradientError, match=r"check_gradients\(target, x, backend='reference'\)"):
        assert_gradients(LastRowOnly, dense_cases(), backend="reference")


@given(st.data())
def test_shapes(data: st.DataObject) -> None:
    for strategy, rank in ((arrays_NF, 2), (arrays_NTF, 3), (arrays_NCT, 3), (arrays_NCHW, 4)):
        array = data.draw(strategy("float32"))
        assert array.ndim == rank
        assert array.dtype == np.float32
        assert 1 <= array.shape[0] <= 3


@pytest.mark.parametrize(
    "wanted",
    [
        lambda x: x.flags.f_contiguous and not x.flags.c_contiguous and x.flags.writeable,
        lambda x: not x.flags.c_contiguous and not x.flags.f_contiguous,
        lambda x: not x.flags.writeable,
        lambda x: any(stride < 0 for stride in x.strides),
    ],
    ids=["Fortran", "strided", "read-only", "reversed"],
)
def test_every_layout_is_drawn(wanted: Callable[[np.ndarray], bool]) -> None:
    assert wanted(find(layouts(arrays_NF(most=4)), wanted))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((Tanh(), arrays_NF()), {}, TypeError, "got an instance of Tanh"),
        ((Tanh, np.ones((2, 3))), {}, TypeError, "cases must be a SearchStrategy, got ndarray"),
        ((Tanh, arrays_NF()), {"examples": 0}, ValueError, "examples must be at least 1"),
    ],
)
def test_bad_arguments_are_named(arguments, options, error, message) -> None:
    with pytest.raises(error, match=message):
        assert_gradients(*arguments, **options)
