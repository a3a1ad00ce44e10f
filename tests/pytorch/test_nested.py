"""Layers within layers to PyTorch and back: the same predictions, gradients and frozen layers."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="dlfs.pytorch needs the extra torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from dlfs.activations import Tanh  # noqa: E402
from dlfs.dense import WeightMultiply  # noqa: E402
from dlfs.layers import (  # noqa: E402
    BatchNorm,
    Dense,
    Layer,
    LayerBlock,
    LayerNorm,
    Parallel,
    Residual,
)
from dlfs.network import NeuralNetwork  # noqa: E402
from dlfs.pytorch import Parallel as ParallelModule  # noqa: E402
from dlfs.pytorch import Residual as ResidualModule  # noqa: E402
from dlfs.pytorch import from_torch, to_torch  # noqa: E402
from tests.support.nested import nested_networks  # noqa: E402

# --- drawn networks of dlfs ---


def gradients(module: nn.Module, X: np.ndarray, output_grad: np.ndarray) -> list[np.ndarray]:
    """Return predictions and all gradients of a module, laid out as dlfs has them."""
    x = torch.from_numpy(X.copy()).requires_grad_()
    output = module(x)
    output.backward(torch.from_numpy(output_grad))
    grads = copy.deepcopy(module)
    with torch.no_grad():
        for grad, parameter in zip(grads.parameters(), module.parameters(), strict=True):
            grad.copy_(parameter.grad)
    # The gradients take the way of the parameters.
    return [output.detach().numpy(), x.grad.numpy(), *from_torch(grads).params()]


def gradients_of(net: NeuralNetwork, X: np.ndarray, output_grad: np.ndarray) -> list[np.ndarray]:
    output = net.forward(X, inference=True)
    return [output, net.backward(output_grad), *net.param_grads()]


def limits(net: NeuralNetwork, X: np.ndarray, output_grad: np.ndarray) -> list[float]:
    """Bound the rounding: as many relative errors of eps as numbers meet in a sum, in each layer.

    How far a relative error of parameters and input goes is measured with errors of 1e-7. An error
    inside a normalization is divided by the standard deviation besides, where numbers cancel.
    """
    exact, size, rng = gradients_of(net, X, output_grad), 1e-7, np.random.default_rng(0)
    reach = [float(np.max(np.abs(part), initial=1.0)) for part in exact]
    for _ in range(5):
        near = copy.deepcopy(net)
        for param in near.params():
            param *= 1 + size * rng.standard_normal(param.shape)
        moved = gradients_of(near, X * (1 + size * rng.standard_normal(X.shape)), output_grad)
        for number, (a, b) in enumerate(zip(exact, moved, strict=True)):
            reach[number] = max(reach[number], float(np.max(np.abs(a - b), initial=0)) / size)
    terms = net.parameter_count() + X.size * sum(1 for _ in net.walk())
    eps = float(np.finfo(np.float64).eps) * steepest(net)
    return [eps * terms * each for each in reach]


def steepest(net: NeuralNetwork) -> float:
    """Return the largest of all 1 / standard deviation."""
    slopes = [1.0]
    for _, layer in net.walk():
        if isinstance(layer, LayerNorm | BatchNorm):
            op: Any = layer.operations[0]
            rows = isinstance(layer, LayerNorm)
            var = layer.input_.var(axis=-1) if rows else op.running_var
            slopes.append(float(np.max(1 / np.sqrt(var + op.eps))))
    return max(slopes)


@given(drawn=nested_networks(), seed=st.integers(0, 99))
def test_nested_networks_go_there_and_back(
    drawn: tuple[NeuralNetwork, np.ndarray, np.ndarray], seed: int
) -> None:
    net, X, y = drawn
    rng = np.random.default_rng(seed)
    for param in net.params():
        param += 0.2 * rng.standard_normal(param.shape)
    net.forward(X)
    module = to_torch(net)
    back = from_torch(module, input_shape=X.shape[1:])
    wanted, bounds = gradients_of(net, X, y), limits(net, X, y)
    for found in (
        gradients(module, X, y),
        gradients_of(back, X, y),
        gradients(to_torch(back), X, y),
    ):
        for ours, theirs, bound in zip(wanted, found, bounds, strict=True):
            assert ours.shape == theirs.shape
            assert np.max(np.abs(ours - theirs), initial=0) <= bound


def test_the_modules_can_be_read() -> None:
    net = NeuralNetwork(
        [
            Residual([Dense(4, Tanh()), Residual([Dense(4)])]),
            LayerBlock([Parallel([[Dense(2)], []], "concat"), Parallel([[Dense(3)], [Dense(3)]])]),
        ]
    )
    net.build((4,))
    module = to_torch(net)
    assert isinstance(module[0], ResidualModule)
    assert [type(part) for part in module[0].block] == [nn.Linear, nn.Tanh, ResidualModule]
    assert isinstance(module[1], nn.Sequential)
    assert [part.merge for part in module[1] if isinstance(part, ParallelModule)] == [
        "concat",
        "add",
    ]
    back = from_torch(module)
    assert [path for path, _ in back.walk()] == [
        "",
        "layers.0",
        "layers.0.layers.0",
        "layers.0.layers.1",
        "layers.0.layers.1.layers.0",
        *(f"layers.1{inner}" for inner in ("", ".layers.0", ".layers.0.layers.0")),
        *(f"layers.1.layers.1{inner}" for inner in ("", ".layers.0")),
        *(f"layers.2{inner}" for inner in ("", ".layers.0", ".layers.0.layers.0")),
        *(f"layers.2.layers.1{inner}" for inner in ("", ".layers.0")),
    ]


class Pair(Layer):
    """A layer of a user's own, made of layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [Dense(3, Tanh()), Dense(3)]


class Doubled(Residual):
    def forward(self, input_: np.ndarray, inference: bool = False) -> np.ndarray:
        return 2 * super().forward(input_, inference)


def test_a_chain_of_ones_own_is_a_sequential() -> None:
    net = NeuralNetwork([Residual([Pair()])])
    net.build((3,))
    X = np.random.default_rng(0).standard_normal((4, 3))
    theirs = to_torch(net)(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_allclose(net.predict(X), theirs, rtol=0, atol=1e-14)
    other = NeuralNetwork([LayerBlock([Dense(3), Doubled([Dense(3)])])])
    other.build((3,))
    with pytest.raises(ValueError, match=r"layer 0, .* of Doubled.* inside it: it has a forward"):
        to_torch(other)


# --- frozen layers ---


def test_frozen_layers_need_no_gradient() -> None:
    frozen = Residual([Dense(3), BatchNorm()])
    frozen.trainable = False
    net = NeuralNetwork([frozen, Dense(3), Dense(2)])
    net.layers[2].trainable = False
    net.build((3,))
    module = to_torch(net)
    flags = [parameter.requires_grad for parameter in module.parameters()]
    assert flags == [False] * 4 + [True] * 2 + [False] * 2
    back = from_torch(module)
    assert [layer.trainable for layer in back.layers[0].layers] == [False, False]
    assert [layer.trainable for layer in back.layers[1:]] == [True, False]
    assert [p.requires_grad for p in to_torch(back).parameters()] == flags
    net.trainable = False
    assert not any(p.requires_grad for p in to_torch(net).parameters())


def test_half_a_frozen_layer_is_named() -> None:
    module = nn.Sequential(nn.Tanh(), nn.Linear(3, 3))
    module[1].bias.requires_grad_(False)
    with pytest.raises(ValueError, match=r"module 1, Linear.*some of its parameters .*freezes"):
        from_torch(module)
    module[1].weight.requires_grad_(False)
    assert [layer.trainable for layer in from_torch(module)] == [True, False]


# --- what everybody writes ---


class BasicBlock(nn.Module):
    """The block of a ResNet, as torchvision has it."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != out:
            convolution = nn.Conv2d(channels, out, 1, stride, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(out))

    def forward(self, x: Any) -> Any:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.layer1 = nn.Sequential(BasicBlock(4, 4), BasicBlock(4, 8, 2))
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        x = functional.max_pool2d(functional.relu(self.stem(x)), 2)
        x = self.layer1(x)
        x = functional.dropout(functional.adaptive_avg_pool2d(x, (1, 1)), 0.2, self.training)
        return self.fc(torch.flatten(x, 1))


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(1, 3, 1)
        self.five = nn.ModuleList([nn.Conv2d(1, 2, 1), nn.Conv2d(2, 4, 5, padding=2)])
        self.three = nn.ModuleList([nn.Conv2d(1, 2, (1, 3), padding=(0, 1)), nn.Conv2d(1, 2, 1)])
        self.pooled = nn.Conv2d(1, 2, 1)

    def forward(self, x: Any) -> Any:
        five = torch.relu(self.five[1](self.five[0](x).relu()))
        h = torch.tanh(x)
        three = torch.cat([branch(h) for branch in self.three], 1)
        pooled = self.pooled(functional.avg_pool2d(x, kernel_size=3, stride=1, padding=1))
        return torch.cat([self.one(x), five, three, pooled], dim=1)


class Older(nn.Module):
    """As networks were written before nn.Flatten."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.fc = nn.Linear(2 * 6 * 6, 5)

    def forward(self, x: Any) -> Any:
        x = functional.leaky_relu(self.conv(x), 0.2)
        x = x.view(x.size(0), -1)
        return functional.softmax(self.fc(x.reshape(x.shape[0], -1)), dim=-1)


def sum_of_modules(parts: Any, x: Any) -> Any:
    return sum(part(x) for part in parts)


class Fractal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([nn.Conv2d(1, 1, 1) for _ in range(3)])

    def forward(self, x: Any) -> Any:
        return (x + sum_of_modules(self.parts, x)).mean((2, 3))


@pytest.mark.parametrize(
    ("make", "kinds"),
    [
        (
            lambda: BasicBlock(1, 1),
            ["Residual", "OperationLayer"],
        ),
        (lambda: BasicBlock(1, 4, 2), ["Parallel", "OperationLayer"]),
        (
            ResNet,
            ["Conv2D", "OperationLayer", "Residual", "OperationLayer", "Parallel"]
            + ["OperationLayer"] * 5
            + ["Dense"],
        ),
        (Inception, ["Parallel"]),
        (Older, ["Conv2D", "OperationLayer", "OperationLayer", "Dense"]),
        (Fractal, ["Residual", "OperationLayer"]),
    ],
)
def test_what_everybody_writes_is_converted(make: Callable[[], Any], kinds: list[str]) -> None:
    torch.manual_seed(0)
    module = make().double()
    module(torch.randn(8, 1, 8, 8, dtype=torch.float64))
    net = from_torch(module, input_shape=(1, 8, 8))
    found = [type(layer).__name__ for layer in net]
    assert found == kinds
    x = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    agree(net.predict(x.numpy()), module.eval()(x), 1e-12)
    agree(net.predict(x.numpy()), to_torch(net)(x), 1e-12)
    unshaped = from_torch(module)
    agree(unshaped.predict(x.numpy()), module(x), 1e-12)


def agree(ours: np.ndarray, theirs: Any, limit: float) -> None:
    assert ours.shape == tuple(theirs.shape)
    assert np.max(np.abs(ours - theirs.detach().numpy()), initial=0) <= limit


def test_a_resnet_trains_alike() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(BasicBlock(2, 3), BasicBlock(3, 3), nn.Flatten()).double().train()
    net = from_torch(module, input_shape=(2, 4, 4))
    x = torch.randn(5, 2, 4, 4, dtype=torch.float64)
    output = module(x)
    output_grad = torch.randn(output.shape, dtype=torch.float64)
    output.backward(output_grad)
    agree(net.forward(x.numpy()), output, 1e-12)
    net.backward(output_grad.numpy())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(parameter.grad)
    theirs = from_torch(module, input_shape=(2, 4, 4)).params()
    for ours, expected in zip(net.param_grads(), theirs, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-11)


class TwiceInARow(Layer):
    """One weight matrix in two Operations."""

    def _setup_layer(self, input_: np.ndarray) -> None:
        W = self.rng.normal(size=(input_.shape[1], input_.shape[1]))
        self.operations = [WeightMultiply(W), Tanh(), WeightMultiply(W)]


def test_tied_weights_become_two_parameters_and_a_warning_says_so() -> None:
    net, X = NeuralNetwork([TwiceInARow(), Dense(1)], seed=1), np.ones((2, 3))
    net.build((3,))
    with pytest.warns(UserWarning, match=r"tied weights.*module\[2\]\.weight"):
        module = to_torch(net)
    np.testing.assert_allclose(module(torch.from_numpy(X)).detach().numpy(), net.predict(X))
    assert len(list(module.parameters())) == len(net.params) + 1
