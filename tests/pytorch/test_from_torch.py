"""Modules with hidden computations: the predictions of ``module.eval()``, or an error."""

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="dlfs.pytorch needs the extra torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.nn.utils import parametrizations, parametrize, prune  # noqa: E402

import dlfs  # noqa: E402
from dlfs import activations, layers  # noqa: E402
from dlfs.network import NeuralNetwork  # noqa: E402
from dlfs.pytorch import DenseLayer, Recurrence, from_torch, to_torch  # noqa: E402
from dlfs.pytorch import LSTMLayer as BookLSTM  # noqa: E402


class Model(nn.Module):
    """Three modules for a forward to use."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.act = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.scale = nn.Buffer(torch.tensor(2.0), persistent=False)


def model(forward: Callable[..., Any], **attributes: Any) -> nn.Module:
    """Return a Model with this forward, and other attributes of the class."""
    return type("Own", (Model,), {"forward": forward, **attributes})()


def branch(self: Any, x: Any) -> Any:
    if self.training:
        return self.drop(self.fc(x))
    return self.act(self.fc(x))


def remembers(self: Any, x: Any) -> Any:
    self.last = self.fc(x)
    return self.last


def in_autocast(self: Any, x: Any) -> Any:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return self.fc(x)


def aside(self: Any, x: Any) -> Any:
    h = self.fc(x)
    self.act(h)
    return h


def adds_aside(self: Any, x: Any) -> Any:
    h = self.fc(x)
    g = h
    g += 1
    return h


def writes_aside(self: Any, x: Any) -> Any:
    h = self.fc(x)
    h.mul_(2)
    return h


def relu_aside(self: Any, x: Any) -> Any:
    h = self.fc(x)
    functional.relu(h, inplace=True)
    return h


def merges_its_scale(self: Any, mode: bool = True) -> Any:
    """As adapters do: eval() multiplies a factor into the weights."""
    if not mode and self.training:
        self.fc.weight.data *= self.scale
    return nn.Module.train(self, mode)


def drops_always(self: Any, mode: bool = True) -> Any:
    nn.Module.train(self, mode)
    self.drop.train()
    return self


def first_only(self: Any, x: Any) -> Any:
    return self.fc(x)[0]


def with_state(self: Any, x: Any) -> Any:
    return self.lstm(x, self.state)[0]


class Stateful(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 3, batch_first=True)
        self.state = (torch.ones(1, 3, 3), torch.ones(1, 3, 3))

    forward = with_state


def hooked(register: str, part: str = "0") -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.ReLU()))
    getattr(module.get_submodule(part), register)(lambda *given: None)
    return module


def pruned() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    prune.random_unstructured(module[1], "weight", amount=0.5)
    return module


def weight_normed() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 3))
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(module[0])
    return module


def replaced_forward() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 3))
    module[0].forward = lambda x: 2 * x
    return module


def replaced_weight() -> nn.Module:
    module = nn.Linear(3, 2)
    module.weight = nn.Parameter(torch.ones(3, 2))
    return module


def tied() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    module[1].weight = module[0].weight
    return module


def twice() -> nn.Module:
    fc = nn.Linear(3, 3)
    return nn.Sequential(fc, nn.Tanh(), fc)


def other_memory() -> nn.Module:
    class Memory(nn.LSTM):
        pass

    return Recurrence(Memory(3, 3, batch_first=True))


def other_fc() -> nn.Module:
    module = BookLSTM(4, 3, 5, 2)
    module.fc = DenseLayer(5, 2, activation=nn.Tanh())
    return module


class OwnForward(DenseLayer):
    def forward(self, x: Any, inference: bool = False) -> Any:
        return 2 * super().forward(x, inference)


def twice_parametrized() -> nn.Module:
    module = parametrizations.spectral_norm(nn.Linear(3, 3))
    return parametrize.register_parametrization(module, "bias", nn.Tanh())


class OwnCall(nn.Sequential):
    def __call__(self, x: Any) -> Any:
        return 2 * super().__call__(x)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: hooked("register_forward_hook"), r"module 0, Linear: it has forward hooks \(<lam"),
        (lambda: hooked("register_forward_pre_hook", "1.0"), r"module 1\.0, ReLU: it has forward"),
        (lambda: hooked("register_forward_hook", "1"), r"module 1, Sequential: it has forward"),
        (lambda: hooked("register_forward_hook", ""), r"the module, Sequential: it has forward"),
        (pruned, r"module 1, Linear: .*\(RandomUnstructured\).*prune\.remove"),
        (weight_normed, r"module 0, Linear: .*\(WeightNorm\).*remove_weight_norm"),
        (
            lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(3, 3))),
            r"module 0, ParametrizedLinear: parametrizations compute .*\(weight\)",
        ),
        (twice_parametrized, r"parametrizations compute its parameters \(weight, bias\); make"),
        (replaced_forward, "module 0, Linear: its forward was replaced"),
        (replaced_weight, r"must have shape \(3, 2\) for its options, got \(2, 3\)"),
        (lambda: OwnCall(nn.Linear(3, 3)), "OwnCall: its class writes its own __call__"),
        (lambda: OwnForward(3, 3), "OwnForward writes its own forward"),
        (lambda: nn.Sequential(nn.LazyLinear(3)), "module 0, LazyLinear: .*no shape yet"),
        (lambda: nn.Linear(3, 3, device="meta"), "the module, Linear: .*'meta'"),
        (
            lambda: nn.Linear(3, 3, dtype=torch.complex64),
            r"torch\.complex64 \(weight",
        ),
        (lambda: nn.Sequential(nn.Linear(3, 3, dtype=torch.bfloat16)), r"bfloat16 \(0\.weight"),
        (tied, r"1\.weight is also 0\.weight"),
        (twice, r"2\.weight is also 0\.weight"),
        (other_memory, "module.*Recurrence.*memory must be an RNN, LSTM or GRU, got Memory"),
        (other_fc, "its fc must be a Linear"),
        (Stateful, "Stateful.forward must give lstm its input alone, got 2"),
        (lambda: model(first_only), "Own.forward must send .*getitem"),
        (lambda: model(in_autocast), "Own.forward cannot be followed: .*autocast"),
        (lambda: model(aside), "Own.forward calls 'act' without using"),
        (lambda: model(adds_aside), "Own.forward calls .*add.* without using"),
        (lambda: model(writes_aside), "Own.forward calls 'mul_' without using"),
        (lambda: model(relu_aside), "Own.forward calls .*relu.* without using"),
        (lambda: model(lambda self, x: self.fc(x) * self.scale), "Own.forward must send .*mul"),
        (lambda: model(lambda self: None), "Own.forward cannot be followed"),
        (
            lambda: model(lambda self, x: self.drop(self.fc(x)), train=drops_always),
            "module drop stays in training mode",
        ),
        (lambda: nn.Embedding(3, 3, padding_idx=0), r"never trains row 0 \(padding_idx\)"),
        (lambda: nn.Embedding(3, 3, scale_grad_by_freq=True), "scale_grad_by_freq"),
        (lambda: nn.LSTM(3, 3, batch_first=True, proj_size=2), "proj_size"),
        (lambda: nn.Sequential(nn.ConstantPad1d(1, -np.inf), nn.MaxPool2d(2)), "must be followed"),
        (
            lambda: nn.Sequential(nn.Linear(3, 3), nn.Softmax(dim=0)),
            r"module 1, Soft.*last of 2",
        ),
        (
            lambda: nn.Sequential(nn.Conv2d(3, 3, 1), nn.Softmax(dim=1)),
            r"module 1, Softmax\(dim=1\).*last of 4 axes",
        ),
        (lambda: nn.Softmax(dim=1), "depends on the input; pass input_shape"),
    ],
)
def test_what_the_modules_do_not_show_is_named(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"(?s)^from_torch: .*{words}"):
        from_torch(make())


def test_hooks_on_all_modules_are_named() -> None:
    handle = nn.modules.module.register_module_forward_hook(lambda *given: None)
    try:
        with pytest.raises(ValueError, match="forward hooks on all modules"):
            from_torch(nn.Linear(3, 3))
    finally:
        handle.remove()


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: model(branch), (3,)),
        (lambda: model(remembers), (3,)),
        (lambda: model(lambda self, x: self.fc(x), train=merges_its_scale), (3,)),
        (lambda: model(lambda self, x: self.act(self.fc(input=x))), (3,)),
        (lambda: model(lambda self, x: (self.fc(x), torch.flatten(x, 1), self.drop(x))), (3,)),
        (lambda: model(lambda self, x, twice=False: self.act(x) if twice else self.fc(x)), (3,)),
        (lambda: nn.Sequential(nn.BatchNorm1d(3, bias=False)), (3,)),
        (lambda: nn.Sequential(nn.BatchNorm1d(3, affine=False)), (3,)),
        (lambda: nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(5)), (5, 3)),
        (lambda: nn.Sequential(nn.Linear(3, 3), nn.Softmax(dim=1)), (3,)),
        (lambda: nn.Sequential(nn.Linear(3, 3), nn.Softmax(dim=2)), (5, 3)),
        (lambda: nn.Sequential(nn.Flatten(), nn.Softmax(dim=1)), (5, 3)),
        (
            lambda: nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True), nn.Dropout(0.5, True)),
            (3,),
        ),
        (lambda: Recurrence(nn.GRU(3, 3, num_layers=2, batch_first=True, dropout=0.5)), (5, 3)),
        (nn.Identity, (3,)),
    ],
)
def test_the_predictions_are_those_of_eval(make: Callable[[], Any], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    module = make()
    for buffer in module.buffers():
        if buffer.ndim:
            buffer += 0.5
    net = from_torch(module, input_shape=shape)
    x = torch.randn(4, *shape)
    theirs = copy.deepcopy(module).eval()(x)
    theirs = (theirs[0] if isinstance(theirs, tuple) else theirs).detach().numpy()
    ours = net.predict(x.numpy())
    assert ours.dtype == theirs.dtype == np.float32
    # Sums of at most 3 * 3 numbers, in at most 10 layers or steps.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=9 * 10 * np.finfo(np.float32).eps)


def test_a_module_stays_as_it_is() -> None:
    module = model(remembers, train=merges_its_scale)
    before, attributes = copy.deepcopy(module.state_dict()), set(vars(module))
    from_torch(module)
    assert set(vars(module)) == attributes
    assert module.training
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_module_without_numbers_has_pytorchs_default_dtype(dtype: Any) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        assert from_torch(nn.Sequential(nn.Tanh())).dtype == str(dtype).removeprefix("torch.")
    finally:
        torch.set_default_dtype(before)


# --- the shape of an observation ---


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Linear(3, 2), (3,)),
        (lambda: nn.Sequential(nn.Dropout(0.5), nn.Tanh(), nn.Linear(3, 2)), (3,)),
        (lambda: nn.BatchNorm1d(3), (3,)),
        (lambda: nn.LayerNorm(3), (3,)),
        (lambda: nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 1, 1)), (4,)),
        (lambda: nn.Conv2d(1, 1, 1), None),
        (lambda: nn.GRU(3, 2, batch_first=True), None),
        (lambda: nn.Embedding(3, 2), None),
        (nn.Tanh, None),
    ],
)
def test_rows_are_found_out(
    make: Callable[[], Any], shape: tuple[int, ...] | None, tmp_path: Any
) -> None:
    net = from_torch(make())
    assert net.input_shape == shape
    assert net.built
    if shape is not None:
        dlfs.save(net, tmp_path / "net")
        x = np.ones((2, *shape), dtype=net.dtype)
        assert np.array_equal(dlfs.load(tmp_path / "net").predict(x), net.predict(x))


def by_argument(module: Any, x: np.ndarray) -> NeuralNetwork:
    return from_torch(module, input_shape=x.shape[1:])


def by_build(module: Any, x: np.ndarray) -> NeuralNetwork:
    net = from_torch(module)
    net.build(x.shape[1:])
    return net


def by_a_batch(module: Any, x: np.ndarray) -> NeuralNetwork:
    net = from_torch(module)
    net.predict(x)
    return net


@pytest.mark.parametrize("shown", [by_argument, by_build, by_a_batch])
def test_an_image_size_can_be_shown_in_three_ways(
    shown: Callable[[Any, np.ndarray], NeuralNetwork], tmp_path: Any
) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 4 * 5, 2))
    x = np.random.default_rng(0).standard_normal((4, 2, 6, 7)).astype(np.float32)
    net = from_torch(module)
    with pytest.raises(ValueError, match=r"save: .*build\(input_shape\), which keeps the weights"):
        dlfs.save(net, tmp_path / "net")
    with pytest.raises(ValueError, match=r"to_torch: .*pass input_shape"):
        to_torch(net)
    net = shown(module, x)
    dlfs.save(net, tmp_path / "net")
    ours = dlfs.load(tmp_path / "net").predict(x)
    theirs = to_torch(net)(torch.from_numpy(x)).detach().numpy()
    expected = module.eval()(torch.from_numpy(x)).detach().numpy()
    atol = 3 * 4 * 5 * 18 * np.finfo(np.float32).eps
    np.testing.assert_allclose(ours, expected, rtol=0, atol=atol)
    np.testing.assert_allclose(theirs, expected, rtol=0, atol=atol)


def test_a_shape_that_does_not_go_through_is_named() -> None:
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(ValueError, match=r"shape \(2, 5, 5\) do not go through module 2, Linear"):
        from_torch(module, input_shape=(2, 5, 5))
    for wrong, error in ((3, TypeError), ((2, -1, 4), ValueError), ("abc", TypeError)):
        with pytest.raises(error, match="from_torch: input_shape"):
            from_torch(module, input_shape=wrong)
    with pytest.raises(ValueError, match="pass it as input_shape"):
        from_torch(nn.Sequential(nn.Linear(3, 3), nn.Conv1d(5, 2, 1)))


# --- modules made by dlfs ---


class Doubled(NeuralNetwork):
    def forward(self, X_batch: np.ndarray, inference: bool = False) -> np.ndarray:
        return 2 * super().forward(X_batch, inference)


class Chosen(NeuralNetwork):
    def predict(self, X: np.ndarray, batch_size: int = 1000) -> np.ndarray:
        return super().predict(X, batch_size) > 0


class ForwardInDense(layers.Dense):
    def forward(self, input_: np.ndarray, inference: bool = False) -> np.ndarray:
        return 2 * super().forward(input_, inference)


class BackwardInDense(layers.Dense):
    def backward(self, output_grad: np.ndarray) -> np.ndarray:
        return -super().backward(output_grad)


class Capped(activations.ReLU):
    def _output(self) -> np.ndarray:
        return np.minimum(super()._output(), 1)


class Reversed(activations.Linear):
    def _input_grad(self, output_grad: np.ndarray) -> np.ndarray:
        return -output_grad


class OwnSetup(layers.LSTMLayer):
    def _setup_layer(self, input_: np.ndarray) -> None:
        super()._setup_layer(input_)
        self.operations.append(Capped())


def patched() -> NeuralNetwork:
    net = NeuralNetwork([layers.Dense(3)])
    net.layers[0].forward = lambda input_, inference=False: input_
    net.layers[0].first = False
    return net


def patched_operation(name: str) -> NeuralNetwork:
    net = NeuralNetwork([layers.Dense(3)])
    net.build((4, 3))
    vars(net.layers[0].operations[0])[name] = lambda *arguments: None
    return net


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Doubled([layers.Dense(3)]), "Doubled has a forward of its own"),
        (lambda: Chosen([layers.Dense(3)]), "Chosen has a predict of its own"),
        (lambda: NeuralNetwork([ForwardInDense(3)]), "layer 0, ForwardInDense.*forward of its own"),
        (
            lambda: NeuralNetwork([BackwardInDense(3)]),
            "layer 0, BackwardInDense.*backward of its own",
        ),
        (lambda: NeuralNetwork([layers.Dense(3), Capped()]), "layer 1, Capped.*not known"),
        (lambda: NeuralNetwork([layers.Dense(3, activation=Reversed())]), "Reversed.*not known"),
        (lambda: NeuralNetwork([OwnSetup(3, carry="mean", output_size=3)]), "layer 0, OwnSetup"),
        (patched, "layer 0, Dense.*forward of its own"),
        *(
            (
                functools.partial(patched_operation, name),
                f"layer 0, Dense.* has a {name} of its own",
            )
            for name in ("forward", "_output", "backward", "_input_grad")
        ),
    ],
)
def test_what_a_user_has_written_is_not_taken_for_its_parent(
    make: Callable[[], NeuralNetwork], words: str
) -> None:
    net = make()
    if not net.built:
        net.build((4, 3))
    with pytest.raises(ValueError, match=f"to_torch: .*{words}"):
        to_torch(net, (4, 3))


def test_layers_after_the_lstm_of_the_book_are_converted_in_its_dtype() -> None:
    net = NeuralNetwork(
        [layers.LSTMLayer(3, carry="mean", output_size=3), layers.LayerNorm(), layers.Dense(2)],
        dtype="float32",
    )
    net.build((4, 3))
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    found = to_torch(net).eval()(torch.from_numpy(x))
    np.testing.assert_allclose(found.detach().numpy(), net.predict(x), rtol=1e-5, atol=1e-6)


def test_a_subclass_that_computes_alike_is_converted() -> None:
    class Plain(NeuralNetwork):
        def name(self) -> str:
            return "plain"

    class WideDense(layers.Dense):
        """Its Operations are Dense's, and it overrides no computation."""

    net = Plain([WideDense(3)])
    net.build((2,))
    x = np.ones((4, 2))
    np.testing.assert_allclose(
        to_torch(net)(torch.from_numpy(x)).detach().numpy(), net.predict(x), rtol=1e-14
    )
