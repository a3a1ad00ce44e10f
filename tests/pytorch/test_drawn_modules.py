"""Modules drawn at random: the predictions of ``eval()`` within rounding, or the path and reason.

Modules drawn from the features that dlfs has must be converted; modules with other options, hooks
and unusual forwards may be refused. Every converted network is also converted back to PyTorch.
"""

import copy
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="dlfs.pytorch needs the extra torch")

from torch import nn  # noqa: E402
from torch.nn.utils import parametrizations, prune  # noqa: E402

from dlfs.pytorch import PyTorchLayer, Recurrence, from_torch, to_torch  # noqa: E402

WORDS = 7
BATCH = 4

SHAPES = st.one_of(
    st.tuples(st.integers(1, 5)),
    st.tuples(st.integers(1, 3), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(3, 6), st.integers(3, 6)),
)

ACTIVATIONS: list[Callable[[], Any]] = [
    nn.Identity,
    nn.ReLU,
    lambda: nn.ReLU(inplace=True),
    nn.Sigmoid,
    nn.Tanh,
    lambda: nn.LeakyReLU(0.3),
    lambda: nn.ELU(0.7),
    nn.GELU,
    lambda: nn.GELU(approximate="tanh"),
    nn.SiLU,
    nn.SELU,
    nn.Mish,
    nn.Hardswish,
    nn.PReLU,
    lambda: nn.LogSoftmax(dim=-1),
    # From 37 on that is the logarithm, in float64 too.
    lambda: nn.Softplus(threshold=50),
    lambda: nn.Softmax(dim=-1),
    lambda: nn.Dropout(0.4),
    lambda: nn.Dropout(0.4, inplace=True),
]

ODD: list[Callable[[], Any]] = [
    lambda: nn.Softplus(beta=2.0),
    lambda: nn.Softplus(threshold=0.5),
    lambda: nn.Softmax(dim=0),
    lambda: nn.Softmax(dim=1),
    lambda: nn.Dropout(1.0),
    lambda: nn.LeakyReLU(-0.5),
    lambda: nn.ELU(-1.0),
    nn.Hardtanh,
    lambda: nn.Softmax(dim=2),
]


class Drawn:
    """Draws one module after another, and keeps the output shape."""

    def __init__(self, data: Any, x: Any, odd: bool) -> None:
        self.data, self.x, self.odd = data, x, odd
        self.parts: list[nn.Module] = []

    def one_of(self, *values: Any) -> Any:
        return self.data.draw(st.sampled_from(values))

    def option(self, usual: Any, *odd: Any) -> Any:
        """Return the usual value, or, if modules may be refused, one of the others."""
        return self.one_of(usual, usual, *odd) if self.odd else usual

    def flag(self) -> bool:
        return self.one_of(True, False)

    def add(self, *modules: nn.Module) -> None:
        """Use them, unless PyTorch refuses one of them here."""
        x = self.x
        for module in modules:
            x = module.eval()(x)
        self.parts += modules
        self.x = x

    def step(self) -> None:
        kinds = {2: [self.rows], 3: [self.rows, self.steps], 4: [self.images]}[self.x.ndim]
        self.one_of(self.alone, *kinds, *kinds)()

    def alone(self) -> None:
        odd = [*ODD, self.softmax] if self.odd else [self.softmax]
        self.add(self.one_of(*ACTIVATIONS, *odd)())

    def softmax(self) -> nn.Module:
        return nn.Softmax(dim=self.x.ndim - 1)

    def rows(self) -> None:
        features = self.x.shape[-1]
        self.add(
            self.one_of(
                lambda: nn.Linear(features, self.one_of(1, 2, 5), bias=self.flag()),
                lambda: nn.LayerNorm(features, 1e-2, self.flag(), self.flag()),
                lambda: nn.BatchNorm1d(self.x.shape[1], 1e-2, **self.batch_norm()),
                lambda: self.one_of(nn.Flatten(), nn.Flatten(start_dim=self.option(1, -1))),
            )()
        )

    def batch_norm(self) -> dict[str, Any]:
        return {
            "momentum": self.option(0.3, None),
            "affine": self.flag(),
            "bias": self.flag(),
            "track_running_stats": self.option(True, False),
        }

    def steps(self) -> None:
        steps, features = self.x.shape[1:]
        if self.flag():
            kind = self.one_of(nn.RNN, nn.LSTM, nn.GRU)
            options = {"nonlinearity": self.option("tanh", "relu")} if kind is nn.RNN else {}
            if kind is nn.LSTM:
                options = {"proj_size": self.option(0, 1)}
            memory = kind(
                features,
                self.one_of(2, 3),
                num_layers=self.one_of(1, 2),
                bias=self.flag(),
                batch_first=self.option(True, False),
                bidirectional=self.option(False, True),
                **options,
            )
            self.add(Recurrence(memory))
        else:
            size = self.one_of(*range(1, features + 1))
            self.add(
                *([nn.ConstantPad1d((0, 1), self.option(0.0, 1.0))] if self.flag() else []),
                nn.Conv1d(
                    steps,
                    self.one_of(1, 2) * steps,
                    size,
                    padding=self.one_of(0, 1),
                    groups=self.one_of(1, steps),
                    bias=self.flag(),
                    padding_mode=self.option("zeros", "circular"),
                ),
            )

    def images(self) -> None:
        channels, height, width = self.x.shape[1:]
        assume(min(height, width) >= 2)
        window = self.one_of((1, 2), (2, 2), (2, 1))
        stride, ceil = self.one_of(1, 2), self.option(False, True)
        padding = self.one_of(0, tuple(size // 2 for size in window))
        self.one_of(
            self.convolve,
            self.transpose,
            lambda: self.add(nn.MaxPool2d(window, stride, padding, ceil_mode=ceil)),
            lambda: self.add(nn.AvgPool2d(window, stride, padding, ceil, self.flag())),
            lambda: self.add(nn.AdaptiveAvgPool2d(self.option(1, 2))),
            lambda: self.add(nn.BatchNorm2d(channels, 1e-2, **self.batch_norm())),
            lambda: self.add(nn.Flatten()),
            lambda: self.add(nn.Flatten(), nn.Unflatten(1, (1, channels, height * width))),
        )()

    def convolve(self) -> None:
        channels = self.x.shape[1]
        pads = [nn.ZeroPad2d((0, 1, 1, 0))] if self.flag() else []
        if self.odd and self.flag():
            pads = [nn.ReflectionPad2d(1)]
        self.add(
            *pads,
            nn.Conv2d(
                channels,
                self.one_of(1, 2) * channels,
                self.one_of(1, 2, (1, 2)),
                stride=self.one_of(1, (1, 2)),
                padding=self.one_of(0, 1, (1, 0)),
                groups=self.one_of(1, channels),
                bias=self.flag(),
                padding_mode=self.option("zeros", "reflect"),
            ),
        )

    def transpose(self) -> None:
        channels = self.x.shape[1]
        self.add(
            nn.ConvTranspose2d(
                channels,
                self.one_of(1, 2) * channels,
                self.one_of(2, (3, 2)),
                stride=2,
                padding=self.one_of(0, 1),
                output_padding=self.one_of(0, (0, 1)),
                groups=self.one_of(1, channels),
                bias=self.flag(),
            )
        )


class ByHand(nn.Module):
    """A forward that calls its modules; in training it would stop after the first."""

    def __init__(self, parts: list[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Any, everything: bool = True) -> Any:
        for part in self.parts:
            x = part(x)
            if self.training or not everything:
                return x
        return x, self.parts


class Plus(ByHand):
    def forward(self, x: Any, everything: bool = True) -> Any:
        return super().forward(x, everything)[0] + 1


class Aside(ByHand):
    def forward(self, x: Any, everything: bool = True) -> Any:
        x = super().forward(x, everything)[0]
        x.add_(1)
        return x


def twice(module: nn.Module, given: Any) -> Any:
    return given[0] * 2 if isinstance(given, tuple) else given * 2


def disturb(draw: Any, module: nn.Module) -> None:
    """Change what a module computes, without a trace among its modules."""
    part = draw(st.sampled_from(list(module.modules())))
    kind = draw(st.sampled_from(["after", "before", "forward", "prune", "norm", "tie"]))
    if kind == "after":
        part.register_forward_hook(lambda module, given, output: twice(module, output))
    elif kind == "before":
        part.register_forward_pre_hook(twice)
    elif kind == "forward":
        inner = part.forward
        part.forward = lambda *given: twice(part, inner(*given))
    elif isinstance(getattr(part, "weight", None), nn.Parameter):
        if kind == "prune":
            prune.ln_structured(part, "weight", 0.5, 1, 0) if part.weight.ndim > 1 else None
        elif kind == "norm" and part.weight.ndim > 1:
            parametrizations.spectral_norm(part)
        elif kind == "tie":
            for other in module.modules():
                weight = getattr(other, "weight", None)
                if weight is not None and weight.shape == part.weight.shape:
                    other.weight = part.weight


def randomize(module: nn.Module, generator: Any) -> None:
    """Give every parameter and running statistic a value that affects the output."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
        for name, buffer in module.named_buffers():
            if name.endswith(("mean", "var")):
                buffer += torch.rand(buffer.shape, generator=generator)


# --- how far two correct computations may be apart ---


def rows_sum(weight: Any, *axes: int) -> float:
    """Return the largest sum of absolute weights in one output."""
    return float(weight.detach().abs().sum(axes).max()) if weight.numel() else 0.0


def largest(*tensors: Any) -> float:
    finite = [t.detach()[t.detach().isfinite()] for t in tensors if t is not None]
    return max((float(t.abs().max()) for t in finite if t.numel()), default=0.0)


def error_after(part: Any, x: Any, y: Any, error: float, eps: float) -> float:
    """Bound the error of an output, where the input already has one.

    A sum of n products rounds by at most n * eps * (the sum of their absolute values), and
    multiplies the input's error by the absolute weights. All other slopes are known.
    """
    kind, size = type(part), largest(x)
    if kind in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d):
        transposed = kind is nn.ConvTranspose2d
        slope = rows_sum(part.weight, *((0, 2, 3) if transposed else range(1, part.weight.ndim)))
        terms = part.weight.numel() + 2
        return slope * error + eps * terms * (slope * size + largest(part.bias))
    if kind in (nn.BatchNorm1d, nn.BatchNorm2d):
        scale = largest(1 / torch.sqrt(part.running_var + part.eps))
        scale *= 1 if part.weight is None else largest(part.weight)
        return scale * error + 6 * eps * (scale * (size + largest(part.running_mean)) + largest(y))
    if kind is nn.LayerNorm:
        terms = x.shape[-1]
        deviation = float(torch.sqrt(x.detach().var(-1, unbiased=False) + part.eps).min())
        scale = 1 if part.weight is None else largest(part.weight)
        moved = error + eps * (terms + 2) * size
        return scale * (terms + 2) / deviation * moved + 6 * eps * (terms * scale + largest(y))
    if kind is nn.AvgPool2d or kind is nn.AdaptiveAvgPool2d:
        return error + eps * (x[0, 0].numel() + 2) * size
    if kind is Recurrence:
        return error_after_steps(part.memory, x, error, eps)
    if kind is nn.Softmax:
        return error + eps * (x.shape[-1] + 4 + 4 * size)
    if kind in (nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout, nn.MaxPool2d, nn.Embedding):
        return error
    return 1.2 * error + 8 * eps * max(1.0, size, largest(y))


def error_after_steps(memory: Any, x: Any, error: float, eps: float) -> float:
    """Bound the error of a state: a gate's slope is at most 1/4, that of tanh 1."""
    steps, size = x.shape[1], largest(x)
    for layer in range(memory.num_layers):
        W_x, W_h = (getattr(memory, f"weight_{kind}_l{layer}") for kind in ("ih", "hh"))
        biases = [getattr(memory, f"bias_{kind}_l{layer}", None) for kind in ("ih", "hh")]
        a, b, bias = rows_sum(W_x, 1), rows_sum(W_h, 1), 2 * largest(*biases)
        rounding = eps * (W_x.shape[1] + W_h.shape[1] + 8) * (a * size + b + bias + 1)
        state = cell = worst = 0.0
        for _ in range(steps):
            change = a * error + b * state + rounding
            if isinstance(memory, nn.LSTM):
                # No cell is larger than the number of steps.
                cell += (steps / 4 + 1.25) * change
                state = change / 4 + cell
            elif isinstance(memory, nn.GRU):
                state += (1.5 + (b + bias) / 4) * change
            else:
                state = change
            worst = max(worst, state)
        error, size = worst, 1.0
    return error


def first(output: Any) -> Any:
    return output[0] if isinstance(output, tuple) else output


def agree(ours: np.ndarray, theirs: Any, limit: float) -> None:
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    assert np.max(np.abs(ours - theirs), initial=0) <= limit


def drawn_parts(data: Any, odd: bool) -> tuple[list[nn.Module], Any]:
    """Draw a chain that PyTorch can compute, and a batch for it."""
    words = data.draw(st.booleans(), label="words")
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    if words:
        x = torch.randint(0, WORDS, (BATCH, 3), generator=generator)
    else:
        x = torch.randn((BATCH, *data.draw(SHAPES)), generator=generator)
    drawn = Drawn(data, x, odd)
    # The parts use only shapes; an activation must not write into the batch.
    drawn.x = x.clone()
    with torch.no_grad():
        if words:
            options = {"padding_idx": drawn.option(None, 2), "max_norm": drawn.option(None, 0.5)}
            drawn.add(nn.Embedding(WORDS, 3, **options))
        for _ in range(data.draw(st.integers(0 if words else 1, 5))):
            try:
                drawn.step()
            except (RuntimeError, ValueError, IndexError):
                break
    assume(drawn.parts)
    for part in drawn.parts:
        randomize(part, generator)
    return drawn.parts, x


def wrapped(data: Any, parts: list[nn.Module], odd: bool) -> nn.Module:
    ways: list[Callable[[], nn.Module]] = [
        lambda: nn.Sequential(*parts),
        lambda: nn.Sequential(nn.Sequential(*parts[:1]), nn.Sequential(*parts[1:])),
        lambda: PyTorchLayer(*parts),
        lambda: ByHand(parts),
        lambda: nn.Sequential(PyTorchLayer(*parts[:1]), *parts[1:]),
    ]
    if odd:
        ways += [
            lambda: Plus(parts),
            lambda: Aside(parts),
            lambda: nn.Sequential(*parts, parts[-1]),
        ]
    return data.draw(st.sampled_from(ways))()


def limit_of(parts: list[nn.Module], x: Any, eps: float) -> float:
    error = 0.0
    with torch.no_grad():
        for part in parts:
            y = part.eval()(x.clone())
            error = error_after(part, x, y, error, eps)
            x = y
    # Both libraries may be wrong by that.
    return 2 * error


@given(data=st.data(), double=st.booleans())
@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_what_dlfs_has_is_converted(data: Any, double: bool) -> None:
    parts, x = drawn_parts(data, odd=False)
    module = wrapped(data, parts, odd=False)
    dtype = torch.float64 if double and module.state_dict() else torch.float32
    module = module.to(dtype)
    x = x.to(dtype) if x.is_floating_point() else x
    expected = first(copy.deepcopy(module).eval()(x.clone()))
    assume(bool(expected.isfinite().all()))
    limit = limit_of(copy.deepcopy(parts), x, torch.finfo(dtype).eps)
    assume(limit < 1e-2)
    net = from_torch(module, input_shape=tuple(x.shape[1:]))
    agree(net.predict(x.numpy()), expected, limit)
    back = to_torch(net)
    agree(net.predict(x.numpy()), back(x.clone()), limit)
    agree(from_torch(back, input_shape=net.input_shape).predict(x.numpy()), expected, limit)


def refusal(call: Callable[[], Any]) -> tuple[Any, str]:
    """Return the result of a call, or its error message."""
    try:
        return call(), ""
    except (TypeError, ValueError) as error:
        return None, str(error)


def names_a_part(message: str, module: nn.Module) -> bool:
    """Say whether an error names a module, or one of its tensors, by its path."""
    goes = "observations of shape .* do not go through "
    found = re.match(rf"from_torch: (?:{goes})?(?:module ([\w.]+)|the module|([\w.]+) is)", message)
    kinds = (module.named_modules, module.named_parameters, module.named_buffers)
    names = {name for kind in kinds for name, _ in kind(remove_duplicate=False)}
    return found is not None and (found[1] or found[2] or "") in names


@given(data=st.data(), given_shape=st.booleans())
@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch gives some only once
def test_what_is_converted_predicts_alike_and_the_rest_is_named(
    data: Any, given_shape: bool
) -> None:
    parts, x = drawn_parts(data, odd=True)
    module = wrapped(data, parts, odd=True)
    if data.draw(st.booleans(), label="disturbed"):
        disturb(data.draw, module)
    try:
        expected = first(copy.deepcopy(module).eval()(x.clone()))
    except (IndexError, RuntimeError, TypeError):
        assume(False)
    assume(isinstance(expected, torch.Tensor) and bool(expected.isfinite().all()))
    shape = tuple(x.shape[1:])
    net, reason = refusal(lambda: from_torch(module, input_shape=shape if given_shape else None))
    if net is None:
        event("refused")
        assert names_a_part(reason, module), reason
        return
    event("converted")
    ours, reason = refusal(lambda: net.predict(x.numpy()))
    if ours is None:
        # Without a shape, the first module gets rows.
        assert not given_shape
        assert "must be" in reason
        return
    limit = limit_of(copy.deepcopy(parts), x, torch.finfo(torch.float32).eps)
    assume(limit < 1e-2)
    agree(ours, expected, limit)
    agree(ours, to_torch(net, shape)(x.clone()), limit)
