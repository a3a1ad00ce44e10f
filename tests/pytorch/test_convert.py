"""Networks to PyTorch and back: the same predictions and gradients, or an error that says why."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="dlfs.pytorch needs the extra torch")

from torch import nn  # noqa: E402

from dlfs import activations, layers, pooling, reshape  # noqa: E402
from dlfs.backend import available_backends, use_backend  # noqa: E402
from dlfs.base import Operation  # noqa: E402
from dlfs.dropout import Dropout  # noqa: E402
from dlfs.layers import (  # noqa: E402
    BatchNorm,
    Bidirectional,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Embedding,
    FeedForward,
    GroupNorm,
    GRULayer,
    LayerBlock,
    LayerNorm,
    LSTMLayer,
    Parallel,
    PositionEmbedding,
    PReLU,
    Residual,
    RMSNorm,
    RNNLayer,
    SelfAttention,
    TransformerBlock,
)
from dlfs.losses import SoftmaxCrossEntropy  # noqa: E402
from dlfs.network import NeuralNetwork  # noqa: E402
from dlfs.normalization import BatchNorm_Op, GroupNorm_Op, LayerNorm_Op, RMSNorm_Op  # noqa: E402
from dlfs.pooling import (  # noqa: E402
    AvgPool1D,
    AvgPool2D,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    MaxPool1D,
    MaxPool2D,
)
from dlfs.pytorch import (  # noqa: E402
    ConvLayer,
    DeconvLayer,
    DenseLayer,
    PyTorchModel,
    assert_dim,
    from_torch,
    to_torch,
)
from dlfs.pytorch import LSTMLayer as BookLSTM  # noqa: E402
from dlfs.reshape import Flatten, Reshape  # noqa: E402
from dlfs.text.book import RNNModel  # noqa: E402
from tests.support.subjects_classes import ACTIVATIONS  # noqa: E402

ROW, STEPS, SEQUENCE, IMAGE = (5,), (4, 3), (4, 9), (4, 7, 6)
OPTIONS = {"LeakyReLU": {"slope": 0.3}, "ELU": {"alpha": 0.7}}

Make = Callable[[], list[Any]]
CASES: dict[str, tuple[Make, tuple[int, ...]]] = {
    "dense": (lambda: [Dense(7, activation=activations.Tanh()), Dense(2)], ROW),
    "dense on sequences": (lambda: [Dense(7, dropout=0.8)], STEPS),
    "dense on images": (lambda: [Dense(3, conv_in=True)], IMAGE),
    **{
        f"activation {name}": (
            lambda name=name: [Dense(6), getattr(activations, name)(**OPTIONS.get(name, {}))],
            ROW,
        )
        for name in ACTIVATIONS
    },
    "an activation alone": (lambda: [activations.Linear()], ROW),
    "dropout": (lambda: [Dropout(0.9), Dense(3)], ROW),
    "flatten": (lambda: [Flatten()], IMAGE),
    "reshape": (lambda: [Dense(12), Reshape((3, -1, 2))], ROW),
    "reshape of images": (lambda: [Reshape((6, 7, -1))], IMAGE),
    "conv 1d": (lambda: [Conv1D(6, 3, activation=activations.ReLU())], SEQUENCE),
    "conv 1d, all options": (
        lambda: [Conv1D(6, 4, stride=2, padding="same", dilation=2, groups=2, bias=False)],
        SEQUENCE,
    ),
    "conv 2d": (lambda: [Conv2D(3, (3, 5), activation=activations.Sigmoid())], IMAGE),
    "conv 2d, uneven same": (lambda: [Conv2D(4, (2, 4), stride=(1, 2), groups=4)], IMAGE),
    "conv 2d, uneven padding": (
        lambda: [Conv2D(2, 3, padding=((1, 0), (0, 2)), dilation=(1, 2), flatten=True)],
        IMAGE,
    ),
    "conv 2d, no bias": (lambda: [Conv2D(2, 3, padding="valid", bias=False)], IMAGE),
    "transposed": (lambda: [ConvTranspose2D(6, 3, activation=activations.Tanh())], IMAGE),
    "transposed, groups": (
        lambda: [ConvTranspose2D(6, (3, 4), stride=2, padding=1, output_padding=1, groups=2)],
        IMAGE,
    ),
    "transposed, uneven": (
        lambda: [ConvTranspose2D(2, (2, 4), stride=(1, 3), dilation=2, dropout=0.5)],
        IMAGE,
    ),
    "max pool": (lambda: [MaxPool2D(2)], IMAGE),
    "max pool, uneven": (lambda: [MaxPool2D(2, stride=1, padding="same")], IMAGE),
    "max pool, padded": (lambda: [MaxPool2D((3, 2), stride=(2, 1), padding=1)], IMAGE),
    "average pool": (lambda: [AvgPool2D(3, stride=2, padding=1)], IMAGE),
    "average pool, padding not counted": (
        lambda: [AvgPool2D(3, stride=2, padding=1, count_include_pad=False)],
        IMAGE,
    ),
    "average pool, uneven": (lambda: [AvgPool2D(2, stride=1, padding="same")], IMAGE),
    "max pool, dilated": (lambda: [MaxPool2D(2, 2, 1, dilation=(2, 1), ceil_mode=True)], IMAGE),
    "average pool, rounded up": (
        lambda: [
            AvgPool2D(2, stride=2, padding=1, ceil_mode=True),
            AvgPool2D(2, padding=1, count_include_pad=False, ceil_mode=True),
        ],
        IMAGE,
    ),
    "pooling of sequences": (
        lambda: [MaxPool1D(2, 1, 1, dilation=2), AvgPool1D(3, 2, 1, ceil_mode=True)],
        SEQUENCE,
    ),
    "global maximum": (lambda: [GlobalMaxPool2D(), Dense(2)], IMAGE),
    "global average": (lambda: [GlobalAvgPool2D(), Dense(2)], IMAGE),
    "batch norm": (lambda: [BatchNorm(momentum=0.3, eps=1e-3)], ROW),
    "batch norm of images": (lambda: [Conv2D(3, 2), BatchNorm()], IMAGE),
    "batch norm of sequences": (lambda: [Conv1D(3, 2), BatchNorm()], SEQUENCE),
    "batch norm of volumes": (lambda: [BatchNorm()], (3, 2, 2, 2)),
    "batch norm without scale": (lambda: [BatchNorm_Op(eps=1e-3)], ROW),
    "layer norm": (lambda: [LayerNorm(eps=1e-3)], STEPS),
    "layer norm without scale": (lambda: [LayerNorm_Op(eps=1e-3)], ROW),
    "activations": (
        lambda: [
            *(Dense(6, activations.SELU()), activations.Mish(), activations.HardSwish()),
            *(PReLU(0.1), PReLU(shared=True), activations.LogSoftmax()),
        ],
        ROW,
    ),
    "learned slopes of channels": (lambda: [Conv2D(3, 2), PReLU()], IMAGE),
    "gelu with tanh": (lambda: [Dense(6, activations.GELU(tanh=True))], ROW),
    "rms norm": (lambda: [RMSNorm(eps=1e-3), RMSNorm_Op()], STEPS),
    "group norm": (lambda: [GroupNorm(2, 1e-3), GroupNorm_Op(4)], IMAGE),
    "group norm of rows": (lambda: [Dense(6), GroupNorm(2)], ROW),
    "positions": (lambda: [PositionEmbedding(6), PositionEmbedding(4, sinusoidal=True)], STEPS),
    "attention": (lambda: [SelfAttention(3), SelfAttention(1, causal=True)], STEPS),
    "rotary attention": (lambda: [Dense(8), SelfAttention(2, rotary=True), Dense(2)], STEPS),
    "transformer": (lambda: [Dense(4), TransformerBlock(2, 3, 0.9), LayerNorm()], STEPS),
    "feed-forward": (lambda: [FeedForward(2)], STEPS),
    "gated transformer": (
        lambda: [Dense(4), TransformerBlock(1, activation=activations.SwiGLU(), causal=False)],
        STEPS,
    ),
    "rnn": (lambda: [RNNLayer(5)], STEPS),
    "both directions": (
        lambda: [
            *(Bidirectional(RNNLayer(3)), Bidirectional(GRULayer(2, reset="after"))),
            *(Bidirectional(LSTMLayer(2), last=True), Dense(2)),
        ],
        STEPS,
    ),
    "last step": (lambda: [LSTMLayer(3), reshape.Reverse(), reshape.LastStep(), Dense(2)], STEPS),
    "larger images": (lambda: [reshape.Upsample2D((2, 3)), Conv2D(2, 3)], IMAGE),
    "lstm": (lambda: [LSTMLayer(5, output_size=2), LSTMLayer(3)], STEPS),
    "gru": (lambda: [GRULayer(5, output_size=2, reset="after")], STEPS),
    "embedding": (lambda: [Embedding(8, 3), LSTMLayer(5)], (4,)),
    "block": (lambda: [LayerBlock([Dense(4), activations.Tanh()]), Dense(2)], ROW),
    "residual": (lambda: [Residual([Dense(5, activations.Tanh()), BatchNorm()])], ROW),
    "sum": (lambda: [Parallel([[Dense(4)], [Dense(3), Dense(4)], [Dense(4)]])], ROW),
    "sum of one": (lambda: [Parallel([[Dense(4)]]), Parallel([[], []])], ROW),
    "concatenation": (
        lambda: [Parallel([[Conv2D(2, 3)], [], [MaxPool2D(3, 1, "same")]], "concat")],
        IMAGE,
    ),
    "whole numbers": (lambda: [RNNLayer(5, output_size=8, vocabulary_size=8)], (4,)),
}


def observations(net: NeuralNetwork, shape: tuple[int, ...], rng: Any) -> np.ndarray:
    if net.layers[0].takes_integers:
        return rng.integers(0, 8, size=(3, *shape))
    return rng.standard_normal((3, *shape)).astype(net.dtype)


def prepared(make: Make, shape: tuple[int, ...], dtype: str = "float64") -> NeuralNetwork:
    """Return a trained network: all biases and running statistics have changed."""
    net = NeuralNetwork(make(), seed=3, dtype=dtype)
    net.build(shape)
    rng = np.random.default_rng(4)
    for param in net.params():
        param += 0.2 * rng.standard_normal(param.shape)
    for _ in range(3):
        net.forward(observations(net, shape, rng))
    return net


def tolerance(net: NeuralNetwork, *arrays: np.ndarray) -> float:
    """Bound the rounding of sums whose terms number at most as many as the network has parts.

    No output is a sum of more products than there are parameters and pixels, once in each step of a
    sequence; each rounds by half an eps of the largest number, in both libraries.
    """
    terms = net.parameter_count() + sum(np.prod(layer.input_.shape[1:]) for layer in net)
    largest = max(1.0, *(float(np.max(np.abs(a), initial=0)) for a in arrays))
    return float(np.finfo(net.dtype).eps * terms * largest)


def tensor(x: np.ndarray) -> Any:
    return torch.from_numpy(x.copy())


def agree(ours: np.ndarray, theirs: Any, limit: float) -> None:
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    assert np.max(np.abs(ours - theirs), initial=0) <= limit


def same(net: NeuralNetwork, module: Any, X: np.ndarray) -> None:
    """Compare predictions, and the gradients that go back from them."""
    ours = net.forward(X, inference=True)
    limit = tolerance(net, X, ours)
    x = tensor(X)
    real = x.dtype.is_floating_point
    theirs = module(x.requires_grad_() if real else x)
    agree(ours, theirs, limit)
    if not theirs.requires_grad:
        return
    module.zero_grad()
    output_grad = np.random.default_rng(5).standard_normal(ours.shape).astype(ours.dtype)
    theirs.backward(tensor(output_grad))
    input_grad = net.backward(output_grad)
    theirs_grads = parameter_grads(module)
    limit = tolerance(net, X, ours, output_grad, theirs_grads) * len(X)
    if real:
        agree(input_grad, x.grad, limit)
    # Both libraries have the same numbers in a different order: compare them sorted.
    ours_grads = [np.zeros(0), *(grad.ravel() for grad in net.param_grads())]
    difference = np.sort(np.concatenate(ours_grads)) - np.sort(theirs_grads)
    assert np.max(np.abs(difference), initial=0) <= limit


def parameter_grads(module: Any) -> np.ndarray:
    """Return all gradients in a row, without the second bias that RNN and LSTM have in PyTorch."""
    left_out = {
        id(bias)
        for part in module.modules()
        if isinstance(part, nn.RNN | nn.LSTM)
        for name, bias in part.named_parameters()
        if name.startswith("bias_hh_l0")
    }
    grads = [p.grad.ravel() for p in module.parameters() if id(p) not in left_out]
    return torch.cat([torch.zeros(0), *grads]).numpy()


@pytest.mark.parametrize("backend", [b for b in ("fast", "reference") if b in available_backends()])
@pytest.mark.parametrize("name", CASES)
def test_there_and_back_the_predictions_stay(name: str, backend: str) -> None:
    make, shape = CASES[name]
    with use_backend(backend):
        net = prepared(make, shape)
        before = [param.copy() for param in net.params()]
        X = observations(net, shape, np.random.default_rng(6))
        module = to_torch(net)
        same(net, module, X)
        holds_numbers = bool(module.state_dict())
        again = from_torch(module, input_shape=shape)
        assert again.built
        assert again.dtype == (net.dtype if holds_numbers else np.float32)
        same(again, module, X.astype(again.dtype) if X.dtype.kind == "f" else X)
        same(net, to_torch(again), X)
        for param, old in zip(net.params(), before, strict=True):
            assert np.array_equal(param, old)


@pytest.mark.parametrize(
    "name", ["dense", "conv 2d, uneven same", "lstm", "whole numbers", "batch norm without scale"]
)
def test_float32_stays_float32(name: str) -> None:
    make, shape = CASES[name]
    net = prepared(make, shape, "float32")
    X = observations(net, shape, np.random.default_rng(6))
    module = to_torch(net)
    same(net, module, X)
    same(from_torch(module), module, X)


def test_every_layer_and_operation_has_a_case() -> None:
    """One without a counterpart needs a row in the test of errors below, and its name here."""
    used = set()
    for make, _ in CASES.values():
        for part in make():
            used.add(type(part).__name__)
    known = {
        name
        for module in (activations, layers, pooling, reshape)
        for name, thing in vars(module).items()
        if isinstance(thing, type)
        and issubclass(thing, layers.Layer | Operation)
        and thing.__module__.startswith("dlfs.")
    }
    # These are base classes; tied weights make a warning, which test_attention.py expects.
    other = {"Layer", "OperationLayer", "Operation", "ParamOperation", "TiedEmbedding", "PReLU_Op"}
    missing = {name for name in known - used - other if not name.startswith("_")}
    assert not missing, f"add a case to CASES for {sorted(missing)}"


def test_running_statistics_go_on_alike() -> None:
    net = prepared(lambda: [BatchNorm(momentum=0.3, eps=1e-3)], ROW)
    module = to_torch(net).train()
    again = from_torch(module)
    X = observations(net, ROW, np.random.default_rng(11))
    for trained in (net, again):
        trained.forward(X)
    module(tensor(X))
    ours, limit = net.predict(X), tolerance(net, X)
    agree(ours, module.eval()(tensor(X)), limit)
    agree(ours, torch.from_numpy(again.predict(X)), limit)


def test_rows_are_not_taken_for_sequences() -> None:
    net = from_torch(nn.BatchNorm1d(4))
    with pytest.raises(ValueError, match=r"X must be \(batch, 4\), got shape \(2, 4, 9\)"):
        net.predict(np.zeros((2, 4, 9)))


@given(data=st.data())
def test_any_convolution(data: Any) -> None:
    draw = data.draw
    small = st.integers(1, 3)
    groups = draw(st.integers(1, 2))
    shape = (2 * groups, draw(st.integers(1, 7)), draw(st.integers(1, 7)))
    end = st.integers(0, 3)
    pads = st.tuples(st.tuples(end, end), st.tuples(end, end))
    options: dict[str, Any] = {
        "param_size": draw(st.tuples(small, small)),
        "stride": draw(st.tuples(small, small)),
        "dilation": draw(st.tuples(small, small)),
        "padding": draw(st.one_of(st.sampled_from(["same", "valid"]), end, pads)),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    kind = draw(st.sampled_from([Conv2D, ConvTranspose2D]))
    if kind is ConvTranspose2D:
        extra = [draw(st.integers(0, stride - 1)) for stride in options["stride"]]
        options["output_padding"] = tuple(extra)
    try:
        net = prepared(lambda: [kind(3 * groups, **options)], shape)
    except ValueError:
        # The window does not fit.
        assume(False)
    X = observations(net, shape, np.random.default_rng(7))
    module = to_torch(net)
    same(net, module, X)
    same(from_torch(module), module, X)


def test_a_network_that_is_asked_for_a_module_stays_as_it_is() -> None:
    net = prepared(lambda: [Dense(4), BatchNorm(), Dropout(0.5)], ROW)
    X = observations(net, ROW, np.random.default_rng(0))
    other = prepared(lambda: [Dense(4), BatchNorm(), Dropout(0.5)], ROW)
    state = torch.random.get_rng_state()
    module = to_torch(net)
    assert torch.equal(state, torch.random.get_rng_state())
    assert not module.training
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        module.train()(tensor(X))
    assert np.array_equal(net.forward(X), other.forward(X))


def test_dropout_keeps_with_one_library_what_it_drops_with_the_other() -> None:
    module = to_torch(prepared(lambda: [Dropout(0.9)], ROW))
    assert module[0].p == 0.1
    (layer,) = from_torch(nn.Dropout(0.25))
    assert layer.operations[0].keep_prob == 0.75


def test_dropout_from_pytorch_is_seeded() -> None:
    made = [from_torch(nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))) for _ in range(2)]
    first, second = (net.forward(np.ones((2, 50))) for net in made)
    assert np.array_equal(first, second)
    masks = [layer.operations[0].mask for layer in made[0]]
    assert not np.array_equal(*masks)


class Book(PyTorchModel):
    """A model as the book writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = ConvLayer(1, 3, 3, activation=nn.Tanh(), flatten=True, dropout=0.8)
        self.dense = DenseLayer(3 * 6 * 6, 2)

    def forward(self, x: Any, inference: bool = False) -> Any:
        assert_dim(x, 4)
        x = self.conv(x, inference)
        return self.dense(x, inference), x


class Text(nn.Module):
    """Two LSTMs in one module, unpacked by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 5, num_layers=2, batch_first=True, dropout=0.5)
        self.fc = nn.Linear(5, 2)

    def forward(self, x: Any) -> Any:
        out, _ = self.lstm(x)
        return self.fc(out)


def first(output: Any) -> Any:
    return output[0] if isinstance(output, tuple) else output


MODULES: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "a model of the book": (Book, (1, 6, 6)),
    "unpacked": (Text, STEPS),
    "a layer of the book": (lambda: DeconvLayer(1, 2, 3, activation=nn.Tanh()), (1, 6, 6)),
    "no biases": (
        lambda: nn.Sequential(nn.Linear(5, 4, bias=False), nn.LayerNorm(4, bias=False)),
        ROW,
    ),
    "a GRU without biases": (lambda: nn.GRU(3, 5, bias=False, batch_first=True), STEPS),
    "same by name": (lambda: nn.Conv2d(4, 2, (2, 3), padding="same"), IMAGE),
    "padded twice": (
        lambda: nn.Sequential(nn.ZeroPad2d((1, 0, 2, 1)), nn.Conv2d(4, 2, 3, padding=1)),
        IMAGE,
    ),
    "a mean kept as an image": (
        lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 2, 1), nn.Flatten()),
        IMAGE,
    ),
    "zeros that count": (
        lambda: nn.Sequential(nn.ZeroPad2d((0, 1, 1, 0)), nn.AvgPool2d(2, count_include_pad=False)),
        IMAGE,
    ),
    "nothing": (nn.Identity, ROW),
}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_modules_that_are_not_ours(name: str) -> None:
    make, shape = MODULES[name]
    torch.manual_seed(0)
    module = make().double().eval()
    net = from_torch(module, SoftmaxCrossEntropy())
    X = np.random.default_rng(8).standard_normal((3, *shape)).astype(net.dtype)
    ours = net.predict(X)
    agree(ours, first(module(tensor(X))), tolerance(net, X, ours))
    assert isinstance(net.loss, SoftmaxCrossEntropy)


def test_the_lstm_of_the_book_carries_its_state_both_ways() -> None:
    torch.manual_seed(0)
    module = BookLSTM(4, 3, 5, 2, dropout=0.5).double().eval()
    X = np.random.default_rng(9).standard_normal((4, 2, 4, 3))
    module(tensor(X[0]))
    net = from_torch(module)
    back = to_torch(net, (4, 3))
    for batch in X[1:]:
        ours = net.forward(batch, inference=True)
        limit = tolerance(net, batch) * len(X)
        agree(ours, module(tensor(batch)), limit)
        agree(ours, back(tensor(batch)), limit)
    module.reset_state()
    agree(net.predict(X[0]), module(tensor(X[0])), tolerance(net, X[0]))


def test_a_model_that_reads_a_text_goes_both_ways() -> None:
    """Its input is integers, and it carries the mean state."""
    net = RNNModel([LSTMLayer(5, output_size=8)], sequence_length=4, vocab_size=8)
    numbers = np.random.default_rng(10).integers(0, 8, size=(3, 2, 4))
    net.forward(numbers[0])
    module = to_torch(net)
    back = from_torch(module)
    for batch in numbers:
        ours = net.forward(batch, inference=True)
        agree(ours, module(tensor(batch)), tolerance(net, ours) * 4)
        agree(ours, torch.from_numpy(back.forward(batch, inference=True)), tolerance(net, ours) * 4)


class Cube(Operation):
    def _output(self) -> np.ndarray:
        return self.input_**3

    def _input_grad(self, output_grad: np.ndarray) -> np.ndarray:
        return output_grad * 3 * self.input_**2


class Twice(Dense):
    def forward(self, input_: np.ndarray, inference: bool = False) -> np.ndarray:
        return super().forward(2 * input_, inference)


@pytest.mark.parametrize(
    ("make", "shape", "words"),
    [
        (lambda: [Dense(3), GRULayer(3)], STEPS, r"layer 1, GRULayer\(3\).*reset='before'"),
        (lambda: [LSTMLayer(3, carry=True)], STEPS, r"layer 0, LSTMLayer.*carry=True"),
        (lambda: [RNNLayer(3, carry="mean")], STEPS, r"layer 0, RNNLayer.*carry='mean'"),
        (lambda: [Dense(3), Cube()], ROW, r"layer 1, Cube\(\).*Cube is not known"),
        (lambda: [Twice(3)], ROW, r"layer 0, Twice.*forward of its own"),
        (
            lambda: [AvgPool2D(2, stride=1, padding="same", count_include_pad=False)],
            IMAGE,
            r"layer 0, AvgPool2D.*uneven",
        ),
    ],
)
def test_what_pytorch_does_not_have_is_named(
    make: Make, shape: tuple[int, ...], words: str
) -> None:
    with pytest.raises(ValueError, match=f"to_torch: {words}"):
        to_torch(prepared(make, shape))


class Multiplies(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, x: Any) -> Any:
        return self.fc(x) * x


class Asks(nn.Module):
    def forward(self, x: Any) -> Any:
        return x if x.sum() > 0 else -x


class OwnLayer(DenseLayer):
    def _compute(self, x: Any) -> Any:
        return 2 * super()._compute(x)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Bilinear(1, 1, 1), "Bilinear"),
        (lambda: nn.Sequential(nn.Linear(1, 1), nn.Hardtanh()), "Hardtanh"),
        (lambda: nn.LSTM(1, 1), "batch_first"),
        (lambda: nn.RNN(1, 1, batch_first=True, nonlinearity="relu"), "nonlinearity"),
        (lambda: nn.Conv2d(1, 1, 1, padding_mode="circular"), "padding_mode"),
        (lambda: nn.ZeroPad2d(1), "must be followed"),
        (lambda: nn.AvgPool2d(2, divisor_override=3), "divisor_override"),
        (lambda: nn.AdaptiveAvgPool2d(2), "output_size"),
        (lambda: nn.BatchNorm1d(2, momentum=None), "momentum"),
        (lambda: nn.BatchNorm1d(2, track_running_stats=False), "running statistics"),
        (lambda: nn.LayerNorm((2, 2)), "last axis"),
        (lambda: nn.Embedding(2, 2, max_norm=1.0), "max_norm"),
        (lambda: nn.Softplus(beta=2), "beta"),
        (lambda: nn.Softplus(threshold=19.9), "no threshold, and 19.9 changes the result$"),
        (lambda: nn.Softmax(dim=1), "dim"),
        (lambda: nn.LeakyReLU(-1.0), "slope"),
        (lambda: nn.Dropout(1.0), "keep_prob"),
        (lambda: nn.Flatten(0), "start_dim"),
        (lambda: nn.Unflatten(2, (1, 1)), "flat"),
        (nn.Sequential, "no modules"),
        (lambda: nn.Linear(1, 1).half(), "float16"),
        (lambda: nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1).double()), "float64"),
        (Multiplies, "Multiplies.forward.*nothing else.*mul"),
        (Asks, "Asks.forward cannot be followed"),
        (lambda: OwnLayer(1, 1), "OwnLayer writes its own"),
    ],
)
def test_what_dlfs_does_not_have_is_named(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"from_torch: .*{words}"):
        from_torch(make())


def test_pytorchs_usual_softplus_is_converted() -> None:
    x = np.linspace(-30, 30, 60, dtype=np.float32).reshape(6, 10)
    net = from_torch(nn.Softplus(), input_shape=(10,))
    # 2e-9 are left out above the threshold, which float32 does not hold.
    np.testing.assert_allclose(net.predict(x), nn.Softplus()(torch.from_numpy(x)), rtol=1e-6)


class Squashed(layers.Layer):
    """An Operation, and tanh after it, in one layer."""

    def __init__(self, operation: Operation) -> None:
        super().__init__()
        self.operation = operation

    def _setup_layer(self, input_: Any) -> None:
        self.operations = [self.operation, activations.Tanh()]


POOLINGS = [MaxPool2D(2), AvgPool2D(2), GlobalMaxPool2D(), GlobalAvgPool2D(), reshape.Flatten()]


@pytest.mark.parametrize("operation", [*POOLINGS, reshape.Upsample2D(2), Dropout(0.5)], ids=repr)
def test_what_follows_in_the_same_layer_is_converted_too(operation: Operation) -> None:
    net = NeuralNetwork([Squashed(operation)])
    net.build((2, 4, 6))
    x = np.random.default_rng(0).normal(size=(3, 2, 4, 6))
    theirs = to_torch(net).eval()(torch.from_numpy(x))
    np.testing.assert_allclose(net.predict(x), theirs.detach().numpy(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (TypeError, "to_torch: net", lambda: to_torch(nn.Linear(1, 1))),
        (TypeError, "from_torch: module", lambda: from_torch(NeuralNetwork([Dense(1)]))),
        (TypeError, "from_torch: module", lambda: from_torch(nn.Linear)),
        (TypeError, "loss", lambda: from_torch(nn.Linear(1, 1), nn.MSELoss())),
        (
            ValueError,
            "to_torch: the network net is not",
            lambda: to_torch(NeuralNetwork([Dense(1)])),
        ),
        (ValueError, "to_torch: .*input_shape", lambda: to_torch(from_torch(nn.Conv2d(1, 1, 1)))),
        (TypeError, "to_torch: input_shape", lambda: to_torch(from_torch(nn.Linear(1, 1)), 3)),
        (ValueError, "WeightMultiply|weight", lambda: to_torch(from_torch(nn.Linear(1, 1)), (3,))),
    ],
)
def test_bad_input(error: type[Exception], words: str, call: Callable[[], Any]) -> None:
    with pytest.raises(error, match=words):
        call()
