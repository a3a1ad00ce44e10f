"""Forwards written by hand: skips, branches and functions become layers, or are refused by name."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="dlfs.pytorch needs the extra torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from dlfs.activations import ReLU  # noqa: E402
from dlfs.pytorch import Parallel as ParallelModule  # noqa: E402
from dlfs.pytorch import PyTorchLayer, from_torch, to_torch  # noqa: E402
from dlfs.pytorch import Residual as ResidualModule  # noqa: E402


def agree(ours: np.ndarray, theirs: Any, limit: float) -> None:
    assert ours.shape == tuple(theirs.shape)
    assert np.max(np.abs(ours - theirs.detach().numpy()), initial=0) <= limit


# --- drawn programs: whatever a forward does with numbers that it has ---

WIDTH = 3

UNARY: list[Callable[[Any, Any], Any]] = [
    lambda self, x: self.fc(0)(x),
    lambda self, x: self.fc(1)(x),
    lambda self, x: self.fc(2)(x),
    lambda self, x: self.inplace(x),
    lambda self, x: self.drop(x),
    lambda self, x: self.identity(x),
    lambda self, x: torch.relu(x),
    lambda self, x: torch.relu_(x),
    lambda self, x: x.sigmoid(),
    lambda self, x: x.tanh_(),
    lambda self, x: torch.tanh(x),
    lambda self, x: functional.gelu(x),
    lambda self, x: functional.silu(x, inplace=True),
    lambda self, x: functional.leaky_relu(x, 0.3),
    lambda self, x: functional.elu(x, alpha=0.5),
    lambda self, x: functional.softplus(x, threshold=50),
    lambda self, x: functional.softmax(x, -1),
    lambda self, x: functional.dropout(x, 0.4, self.training),
    lambda self, x: torch.flatten(x, 1),
    lambda self, x: x.view(x.size(0), -1),
    lambda self, x: self.layer(x),
    lambda self, x: self.skip(x),
    lambda self, x: functional.gelu(x, approximate="tanh"),
]


def plus_in_place(self: Any, x: Any, y: Any) -> Any:
    x += y
    return x


SUMS: list[Callable[[Any, Any, Any], Any]] = [
    lambda self, x, y: x + y,
    lambda self, x, y: torch.add(x, y),
    lambda self, x, y: torch.add(input=x, other=y),
    lambda self, x, y: x.add(y),
    lambda self, x, y: sum([x, y]),
    plus_in_place,
    lambda self, x, y: x.add_(y),
    lambda self, x, y: self.fc(3)(torch.cat([x, y], dim=1)),
    lambda self, x, y: self.fc(3)(torch.concat((x, y), -1)),
    lambda self, x, y: self.fc(4)(torch.cat([x, y, x], 1)),
]


class Program(nn.Module):
    """Computes what it is given; where ``fresh``, no linear module is called twice."""

    def __init__(self, call: Callable[[Any, Any], Any], fresh: bool = False) -> None:
        super().__init__()
        self.call, self.fresh, self.called = call, fresh, 0
        sizes = [WIDTH] * 3 + [2 * WIDTH, 3 * WIDTH]
        copies = 8 if fresh else 1
        self.linear = nn.ModuleList([nn.Linear(size, WIDTH) for size in sizes * copies])
        self.inplace, self.drop, self.identity = nn.ReLU(True), nn.Dropout(0.5), nn.Identity()
        self.layer = PyTorchLayer(nn.ReLU(inplace=True), nn.Dropout(0.5))
        self.skip = ResidualModule(nn.Tanh())

    def fc(self, number: int) -> nn.Module:
        self.called += 1
        return self.linear[number + (5 * self.called if self.fresh else 0)]

    def forward(self, x: Any) -> Any:
        self.called = -1
        return self.call(self, x)


def run(lines: list[tuple[Any, ...]]) -> Callable[[Any, Any], Any]:
    """Return what makes one number after another, each of numbers that were made before."""

    def call(self: Any, x: Any) -> Any:
        made = [x]
        for step, *places in lines:
            made.append(step(self, *(made[place] for place in places)))
        return made[-1]

    return call


@st.composite
def programs(draw: Any) -> list[tuple[Any, ...]]:
    lines: list[tuple[Any, ...]] = []
    for number in range(draw(st.integers(1, 6))):
        # Most lines take what was made last.
        place = st.sampled_from([number, number, *range(number + 1)])
        if draw(st.booleans()):
            lines.append((draw(st.sampled_from(SUMS)), draw(place), draw(place)))
        else:
            lines.append((draw(st.sampled_from(UNARY)), draw(place)))
    return lines


@given(lines=programs(), seed=st.integers(0, 99))
def test_a_program_is_converted_rightly_or_refused(lines: list[tuple[Any, ...]], seed: int) -> None:
    torch.manual_seed(seed)
    module = Program(run(lines)).double()
    x = torch.randn(4, WIDTH, dtype=torch.float64)
    try:
        expected = copy.deepcopy(module).eval()(x.clone()).detach()
    except RuntimeError:
        assume(False)
    try:
        net = from_torch(module, input_shape=(WIDTH,))
    except ValueError:
        event("refused")
        return
    event("converted")
    limit = 1e-12 * max(1.0, float(expected.abs().max()))
    agree(net.predict(x.numpy()), expected, limit)
    agree(net.predict(x.numpy()), to_torch(net)(x.clone()), limit)


# --- drawn trees: what must be converted ---


@st.composite
def trees(draw: Any, depth: int = 2) -> Callable[[Any, Any], Any]:
    """Draw a function of (module, x) made of chains, skips and branches that write nothing."""
    written = (3, 7, 9, 12, 20)
    plain = st.sampled_from([call for k, call in enumerate(UNARY) if k not in written])
    kind = draw(st.sampled_from(["plain"] if depth == 0 else ["plain", "chain", "skip", "sum"]))
    if kind == "plain":
        return draw(plain)
    first, second = draw(trees(depth - 1)), draw(trees(depth - 1))
    if kind == "chain":
        return lambda self, x: second(self, first(self, x))
    merge = draw(st.sampled_from(SUMS[:5] + SUMS[7:9]))
    if kind == "sum":
        return lambda self, x: merge(self, first(self, x), second(self, x))
    if draw(st.booleans()):
        return lambda self, x: merge(self, x, first(self, x))
    return lambda self, x: merge(self, first(self, x), x)


@given(call=trees(), seed=st.integers(0, 99))
def test_a_tree_is_converted(call: Callable[[Any, Any], Any], seed: int) -> None:
    torch.manual_seed(seed)
    module = Program(call, fresh=True).double()
    x = torch.randn(4, WIDTH, dtype=torch.float64)
    expected = module.eval()(x.clone()).detach()
    net = from_torch(module.train(), input_shape=(WIDTH,))
    limit = 1e-12 * max(1.0, float(expected.abs().max()))
    agree(net.predict(x.numpy()), expected, limit)
    agree(net.predict(x.numpy()), to_torch(net)(x.clone()), limit)


# --- what is refused, and how ---


def own(forward: Callable[..., Any]) -> nn.Module:
    return type("Own", (Program,), {"forward": forward})(forward)


def crossing(self: Any, x: Any) -> Any:
    a, b = self.linear[0](x), self.linear[1](x)
    return torch.tanh(a + b) + a


def written_input(self: Any, x: Any) -> Any:
    return self.linear[0](torch.relu_(x)) + x


def written_view(self: Any, x: Any) -> Any:
    """Dropout passes the numbers themselves on."""
    h = torch.tanh(x)
    view = self.drop(h)
    view += x
    return view + h


def in_place_sum(self: Any, x: Any) -> Any:
    h = torch.tanh(x)
    g = self.linear[0](h)
    h += x
    return g + h


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: own(crossing), "Own.forward: the result of linear_0 .* several branches"),
        (lambda: own(written_input), "relu_.* changes the result of x in place"),
        (lambda: own(written_view), "iadd.* changes the result of tanh in place"),
        (
            lambda: own(in_place_sum),
            r"iadd.* changes the result of tanh in place.* write it without inplace=True or \+=$",
        ),
        (lambda: ResidualModule(nn.ReLU(inplace=True)), "changes the result of x in place"),
        (lambda: own(lambda self, x: functional.dropout(x)), "nothing else.*dropout"),
        (lambda: own(lambda self, x: torch.cat([x, x])), "the module: torch.cat .* got dim=0"),
        (lambda: own(lambda self, x: torch.cat([x, x], -1)), "got dim=-1.* pass input_shape"),
        (lambda: own(lambda self, x: torch.add(x, x, alpha=2)), "nothing else.*add"),
        (lambda: own(lambda self, x: x + 1), "nothing else.*add"),
        (lambda: own(lambda self, x: x.view(-1, 3)), "nothing else.*view"),
        (lambda: own(lambda self, x: x.view(x.size(1), -1)), "nothing else.*view"),
        (lambda: own(lambda self, x: torch.flatten(x)), "Flatten.*start_dim"),
        (lambda: own(lambda self, x: torch.softmax(x, -1, torch.float64)), "nothing else.*softm"),
        (lambda: own(lambda self, x: torch.log_softmax(x, -1, torch.float64)), "nothing .*log_s"),
        (lambda: own(lambda self, x: functional.hardtanh(x)), "nothing else.*hardtanh"),
        (lambda: own(lambda self, x: x + self.linear[0].weight), "nothing else.*weight"),
        (lambda: own(lambda self, x: x.chunk(2, 1)[0]), "nothing else.*getitem"),
        (
            lambda: nn.Sequential(
                nn.Tanh(), own(lambda self, x: functional.avg_pool2d(x, 2, divisor_override=3))
            ),
            "module 1, AvgPool2d.*divisor_override=None",
        ),
        (lambda: nn.Sequential(ResidualModule(nn.Bilinear(1, 1, 1))), "module 0.block.0, Bilinear"),
    ],
)
def test_what_layers_within_layers_cannot_say_is_named(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"(?s)^from_torch: .*{words}"):
        from_torch(make())


def test_a_sum_of_unequal_shapes_is_named() -> None:
    """PyTorch would repeat the column."""
    module = ResidualModule(nn.Linear(3, 1))
    with pytest.raises(ValueError, match=r"\(3,\) do not go through the branches of the module"):
        from_torch(module)


def test_the_rows_of_branches_are_found_out() -> None:
    assert from_torch(ResidualModule(nn.Tanh(), nn.Linear(3, 3))).input_shape == (3,)
    tanh = ParallelModule([nn.Tanh(), nn.Identity()], "concat")
    assert from_torch(nn.Sequential(tanh, nn.Linear(6, 2))).input_shape is None
    net = from_torch(nn.Sequential(tanh, nn.Linear(6, 2)), input_shape=(3,))
    assert net.predict(np.zeros((2, 3), dtype=np.float32)).shape == (2, 2)


@pytest.mark.parametrize("keep", [False, True])
def test_a_mean_over_pixels_keeps_its_axes_where_it_is_told_to(keep: bool) -> None:
    module = own(lambda self, x: torch.tanh(x).mean((2, 3), keepdim=keep))
    x = torch.randn(2, 3, 4, 5)
    net = from_torch(module, input_shape=(3, 4, 5))
    agree(net.predict(x.numpy()), module(x), 1e-6)


def test_embeddings_in_branches_take_integers() -> None:
    module = ParallelModule([nn.Embedding(5, 3), nn.Embedding(5, 3)])
    x = torch.randint(0, 5, (2, 4))
    for net in (from_torch(module, input_shape=(4,)), from_torch(module)):
        agree(net.predict(x.numpy()), module(x), 1e-6)
        agree(net.predict(x.numpy()), to_torch(net)(x), 1e-6)


def test_activations_in_a_forward_join_their_layer() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 4)

        def forward(self, x: Any) -> Any:
            return functional.relu(self.fc(x))

    (layer,) = from_torch(Net())
    assert type(layer.activation) is ReLU  # type: ignore[attr-defined]
