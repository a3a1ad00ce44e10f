"""Networks in ONNX: other runtimes predict the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

onnx = pytest.importorskip("onnx", reason="dlfs.onnx needs the extra onnx")
runtime = pytest.importorskip("onnxruntime", reason="predictions are compared with onnxruntime's")

from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnxruntime.capi.onnxruntime_pybind11_state import (  # noqa: E402
    NotImplemented as NotImplemented_,
)
from onnxruntime.capi.onnxruntime_pybind11_state import (  # noqa: E402
    RuntimeException,
)

import dlfs.onnx  # noqa: E402
from dlfs.activations import ReLU, Tanh  # noqa: E402
from dlfs.base import Operation  # noqa: E402
from dlfs.commands.cli import main  # noqa: E402
from dlfs.commands.recipes import gpt, writer  # noqa: E402
from dlfs.gradcheck.cases import RECIPES, RandomChooser  # noqa: E402
from dlfs.layers import (  # noqa: E402
    BatchNorm,
    Conv2D,
    Dense,
    Layer,
    Parallel,
    Residual,
    RNNLayer,
)
from dlfs.losses import SoftmaxCrossEntropy  # noqa: E402
from dlfs.network import NeuralNetwork  # noqa: E402
from dlfs.onnx import to_onnx  # noqa: E402
from dlfs.pooling import AvgPool2D, GlobalAvgPool2D, MaxPool2D  # noqa: E402
from dlfs.recurrent import GRU_Op, LSTM_Op, RNN_Op  # noqa: E402
from dlfs.saving import load, save  # noqa: E402
from tests.support.nested import nested_networks  # noqa: E402

FORWARD = [
    (name, dtype)
    for name, recipe in RECIPES.items()
    for dtype in ("float32", "float64")
    # In float64 onnxruntime has no transposed convolution, and ONNX's reference is wrong for
    # groups.
    if recipe.kind != "Loss" and not (dtype == "float64" and name.startswith("ConvTranspose2D"))
]


class Holder(Layer):
    """A layer of one Operation, with its parameter."""

    def __init__(self, operation: Operation, takes_integers: bool) -> None:
        super().__init__()
        self.operation = operation
        self.takes_integers = takes_integers

    def _setup_layer(self, input_: np.ndarray) -> None:
        self.operations = [self.operation]


def network_of(case: Any, dtype: str) -> NeuralNetwork:
    target = case.target
    if isinstance(target, NeuralNetwork):
        return target
    if isinstance(target, Operation):
        target = Holder(target, case.x.dtype.kind in "iu")
    return NeuralNetwork([target], dtype=dtype)


def run(model: Any, X: np.ndarray) -> np.ndarray:
    """Predict with onnxruntime; with ONNX's own reference where that lacks a kernel for float64."""
    try:
        session = runtime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        return session.run(None, {"input": X})[0]
    except (NotImplemented_, RuntimeException):  # the second from recurrent kernels
        if X.dtype == np.float32:
            raise
    return ReferenceEvaluator(model).run(None, {"input": X})[0]


def assert_same_predictions(net: NeuralNetwork, X: np.ndarray, dtype: str) -> None:
    model = to_onnx(net)
    predicted = run(model, np.ascontiguousarray(net.as_input(X)))
    wanted = net.predict(X)
    assert predicted.dtype == wanted.dtype == np.dtype(dtype)
    assert predicted.shape == wanted.shape
    # Both runtimes compute the error function of GELU in float32.
    kind = "float32" if any(node.op_type == "Gelu" for node in model.graph.node) else dtype
    # Sums in another order, over some hundreds of terms in a few layers.
    allowed = 1000 * np.finfo(kind).eps * max(1.0, np.abs(wanted).max(initial=0))
    np.testing.assert_allclose(predicted, wanted, rtol=0, atol=allowed)


@pytest.mark.parametrize(("name", "dtype"), FORWARD)
def test_every_case_of_the_gradient_suite_predicts_the_same(name: str, dtype: str) -> None:
    compared = 0
    for seed in range(6):
        case = RECIPES[name].draw(RandomChooser(np.random.default_rng(seed)), dtype)
        net, X = network_of(case, dtype), np.asarray(case.x)
        net.forward(X)
        net.reset_state()
        try:
            to_onnx(net)
        except ValueError as error:
            assert "starts from the states of" in str(error), error  # noqa: PT017
            continue
        if X.size:  # onnxruntime ends the process at sequences of no steps
            assert_same_predictions(net, X, dtype)
            compared += 1
    assert compared or name.endswith("_Op"), "no case was compared"


@given(nested_networks())
def test_nested_networks_predict_the_same(drawn: Any) -> None:
    net, X, _ = drawn
    net.forward(X)
    assert_same_predictions(net, X, "float64")


@pytest.mark.parametrize("size", [(9, 9), (9, 10), (10, 9)])
@pytest.mark.parametrize("padding", [0, ((1, 0), (2, 1))])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_every_option_of_a_pooling_counts(size: Any, padding: Any, ceil_mode: bool) -> None:
    """The last windows of ceil_mode lack pixels in no direction, in one, or in both."""
    X = np.random.default_rng(0).normal(size=(2, 2, *size))
    options = {"stride": (2, 4), "padding": padding, "ceil_mode": ceil_mode}
    for layer in (
        MaxPool2D((3, 5), **options),
        AvgPool2D((3, 5), **options, count_include_pad=True),
        AvgPool2D((3, 5), **options, count_include_pad=False),
    ):
        net = NeuralNetwork([layer], dtype="float32")
        net.forward(X)
        assert_same_predictions(net, X, "float32")


@pytest.mark.parametrize("merge", ["add", "concat"])
def test_branches_are_merged(merge: str) -> None:
    net = NeuralNetwork([Parallel([[Dense(3)], [Dense(3, Tanh())]], merge=merge)], dtype="float32")
    X = np.random.default_rng(0).normal(size=(4, 2))
    net.forward(X)
    assert_same_predictions(net, X, "float32")


@pytest.mark.parametrize("rows", [1, 7])
def test_a_resnet_takes_any_number_of_images(rows: int) -> None:
    block = Residual([Conv2D(4, 3), BatchNorm(), ReLU(), Conv2D(4, 3), BatchNorm()])
    net = NeuralNetwork(
        [Conv2D(4, 3), block, ReLU(), MaxPool2D(2), GlobalAvgPool2D(), Dense(10)],
        SoftmaxCrossEntropy(),
        dtype="float32",
    )
    rng = np.random.default_rng(0)
    net.forward(rng.normal(size=(8, 1, 8, 8)))
    assert_same_predictions(net, rng.normal(size=(rows, 1, 8, 8)), "float32")


@pytest.mark.parametrize("kind", ["gpt", "rnn", "lstm", "gru"])
def test_the_networks_of_the_command_line_that_read_text(kind: str, tmp_path: Path) -> None:
    net = gpt(7, 12, blocks=2) if kind == "gpt" else writer(kind, characters=7, hidden=5)
    rng = np.random.default_rng(0)
    net.forward(rng.integers(0, 7, (2, 12)))
    save(net, tmp_path / "net.safetensors")
    for rows in (1, 5):
        # The state that the last batch left is not in the model, nor in what predict(X) returns.
        X = rng.integers(0, 7, (rows, 12))
        assert_same_predictions(load(tmp_path / "net.safetensors"), X, str(net.dtype))
        assert_same_predictions(net, X, str(net.dtype))


@pytest.mark.parametrize("kind", [RNN_Op, GRU_Op, LSTM_Op])
def test_a_state_for_all_sequences_is_where_they_start(kind: Any) -> None:
    rng = np.random.default_rng(0)
    W_h, state = rng.normal(size=(3, kind.columns * 3)), rng.normal(size=(1, 3))
    for settings in ({"h0": state}, {"c0": state}) if kind is LSTM_Op else ({"h0": state},):
        net = NeuralNetwork([Holder(kind(W_h, **settings), False)])
        X = rng.normal(size=(4, 5, kind.columns * 3))
        net.forward(X)
        assert_same_predictions(net, X, "float64")
    net = NeuralNetwork([Holder(kind(W_h, h0=rng.normal(size=(4, 3))), False)])
    net.forward(X)
    with pytest.raises(ValueError, match=r"layer 0, .*starts from the states of 4 sequences"):
        to_onnx(net)


def test_the_model_is_described_and_written(tmp_path: Path) -> None:
    net = NeuralNetwork([Dense(3, Tanh()), Dense(1)], dtype="float32")
    net.build((2,))
    model = to_onnx(net, tmp_path / "net.onnx")
    assert onnx.load(tmp_path / "net.onnx") == model
    assert model.opset_import[0].version == dlfs.onnx.OPSET
    assert model.ir_version == dlfs.onnx.IR_VERSION
    (entry,), (end,) = model.graph.input, model.graph.output
    assert [d.dim_param or d.dim_value for d in entry.type.tensor_type.shape.dim] == ["batch", 2]
    assert [d.dim_param or d.dim_value for d in end.type.tensor_type.shape.dim] == ["batch", 1]
    assert model.graph.node[0].name == "layers.0.Dense.MatMul.0"


def test_the_command_exports_a_saved_network(tmp_path: Path, capsys: Any) -> None:
    net = NeuralNetwork([Dense(3, Tanh()), Dense(1)], dtype="float32")
    net.build((2,))
    save(net, tmp_path / "net.safetensors")
    files = [str(tmp_path / "net.safetensors"), str(tmp_path / "net.onnx")]
    assert main(["export", *files]) == 0
    assert "13 parameters" in capsys.readouterr().out
    X = np.ones((4, 2), np.float32)
    np.testing.assert_allclose(run(onnx.load(files[1]), X), net.predict(X), rtol=1e-6)
    before = (tmp_path / "net.safetensors").read_bytes()
    capsys.readouterr()
    assert main(["export", files[0], files[0]]) == 2
    assert "must be another file" in capsys.readouterr().err
    assert (tmp_path / "net.safetensors").read_bytes() == before
    assert main(["export", str(tmp_path / "none"), files[1]]) == 2
    assert capsys.readouterr().err.startswith("dlfs export: ")


class Squared(Operation):
    def _output(self) -> np.ndarray:
        return self.input_**2


class Doubled(Dense):
    def forward(self, input_: np.ndarray, inference: bool = False) -> np.ndarray:
        return 2 * super().forward(input_, inference)


@pytest.mark.parametrize(
    ("layers", "shape", "words"),
    [
        ([Dense(2), Squared()], (3,), "layer 1, .*Squared.* is not known to ONNX"),
        ([Doubled(2)], (3,), "layer 0, .*Doubled has a forward of its own"),
        ([Residual([Squared()])], (3,), "layer 0, .*Squared is not known"),
    ],
)
def test_what_cannot_be_expressed_is_refused(layers: Any, shape: Any, words: str) -> None:
    net = NeuralNetwork(layers)
    net.build(shape)
    with pytest.raises(ValueError, match=f"^to_onnx: {words}"):
        to_onnx(net)


class Twice(NeuralNetwork):
    def predict(self, X: np.ndarray, batch_size: int | None = None) -> np.ndarray:
        return 2 * super().predict(X, batch_size)


def test_a_network_that_predicts_in_its_own_way_is_refused() -> None:
    net = Twice([Dense(1)])
    net.build((2,))
    with pytest.raises(ValueError, match=r"^to_onnx: the network: Twice has a predict of its own"):
        to_onnx(net)


def test_a_network_that_is_not_set_up_is_refused() -> None:
    with pytest.raises(ValueError, match="not set up"):
        to_onnx(NeuralNetwork([RNNLayer(2)]))
    with pytest.raises(TypeError, match="net must be a NeuralNetwork"):
        to_onnx(Dense(1))


def test_a_network_that_saw_no_observation_needs_a_shape() -> None:
    """An old file can hold one."""
    net = NeuralNetwork([Dense(1)])
    net.build((2,))
    net.input_shape = None
    with pytest.raises(
        ValueError, match=r"^to_onnx: net has seen no observation yet; pass input_s"
    ):
        to_onnx(net)
    assert to_onnx(net, input_shape=(2,)).graph.node[0].op_type == "MatMul"
