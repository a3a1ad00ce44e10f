"""PyTorch's networks in JAX: a whole training step as one compiled function.

``apply`` goes through the modules that ``to_torch`` makes, with their weights. Images have their
channels last inside, which is faster here.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import torch
from jax import lax
from torch import nn

from dlfs.pytorch import attention as attending
from dlfs.pytorch import modules as modular

jax.config.update("jax_enable_x64", True)  # otherwise float64 becomes float32

RANDOM = "rbg"
"""The fastest of JAX's generators here."""

Params = dict[str, jax.Array]
Rule = Callable[[Any, Params, jax.Array, jax.Array], jax.Array]


def apply(module: nn.Module, params: Params, x: jax.Array, key: jax.Array) -> jax.Array:
    """Run one module; params are its own, by PyTorch's names."""
    return RULES[type(module)](module, params, x, key)


def part(params: Params, name: str) -> Params:
    return {k.removeprefix(f"{name}."): v for k, v in params.items() if k.startswith(f"{name}.")}


def chain(module: nn.Module, params: Params, x: jax.Array, key: jax.Array) -> jax.Array:
    for number, (name, inner) in enumerate(module.named_children()):
        x = apply(inner, part(params, name), x, jax.random.fold_in(key, number))
    return x


def convolution(m: Any, p: Params, x: jax.Array, _: jax.Array) -> jax.Array:
    if x.ndim == 3:  # sequences are images of height 1
        weight, strides, pads = p["weight"][:, :, None], (1, *m.stride), (0, *m.padding)
    else:
        weight, strides, pads = p["weight"], m.stride, m.padding
    flat, x = x.ndim == 3, x[:, None] if x.ndim == 3 else x
    out = lax.conv_general_dilated(
        x, weight, strides, [(n, n) for n in pads], dimension_numbers=("NHWC", "OIHW", "NHWC"),
        feature_group_count=m.groups,
    ) + p["bias"]  # fmt: skip
    return out[:, 0] if flat else out


def transposed(m: Any, p: Params, x: jax.Array, _: jax.Array) -> jax.Array:
    pads = [(k - 1 - n, k - 1 - n) for k, n in zip(m.kernel_size, m.padding, strict=True)]
    weight = jnp.flip(p["weight"], (2, 3))
    return lax.conv_general_dilated(
        x, weight, (1, 1), pads, lhs_dilation=m.stride, dimension_numbers=("NHWC", "IOHW", "NHWC")
    ) + p["bias"]  # fmt: skip


def max_pool(m: Any, p: Params, x: jax.Array, _: jax.Array) -> jax.Array:
    size = m.kernel_size if isinstance(m.kernel_size, tuple) else (m.kernel_size,) * (x.ndim - 2)
    window = (1, *size, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")


def normalize(x: jax.Array, axes: tuple[int, ...], m: Any, p: Params) -> jax.Array:
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) * lax.rsqrt(var + m.eps) * p["weight"] + p["bias"]


def dropout(m: Any, p: Params, x: jax.Array, key: jax.Array) -> jax.Array:
    return jnp.where(jax.random.bernoulli(key, 1 - m.p, x.shape), x / (1 - m.p), 0)


def attention(m: Any, p: Params, x: jax.Array, _: jax.Array) -> jax.Array:
    batch, time, width = x.shape
    packed = x.reshape(batch, time, 3, m.heads, width // 3 // m.heads)
    q, k, v = (packed[:, :, i] for i in range(3))
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[-1])
    if m.causal:
        scores = jnp.where(jnp.tril(jnp.ones((time, time), bool)), scores, -jnp.inf)
    out = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)
    return out.reshape(batch, time, width // 3)


def recurrence(m: Any, p: Params, x: jax.Array, _: jax.Array) -> jax.Array:
    """Run a recurrent layer over (time, batch, features)."""
    memory, p = m.memory, part(p, "memory")
    W, b_h = p["weight_hh_l0"].T, p["bias_hh_l0"]
    start = jnp.zeros((x.shape[1], memory.hidden_size), x.dtype)

    def rnn(h: jax.Array, z: jax.Array) -> Any:
        h = jnp.tanh(z + h @ W + b_h)
        return h, h

    def gru(h: jax.Array, z: jax.Array) -> Any:
        inputs, states = jnp.split(z, 3, -1), jnp.split(h @ W + b_h, 3, -1)
        r, u = (jax.nn.sigmoid(inputs[i] + states[i]) for i in (0, 1))
        h = (1 - u) * jnp.tanh(inputs[2] + r * states[2]) + u * h
        return h, h

    def lstm(state: Any, z: jax.Array) -> Any:
        h, c = state
        i, f, g, o = jnp.split(z + h @ W + b_h, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    step = {nn.RNN: rnn, nn.GRU: gru, nn.LSTM: lstm}[type(memory)]
    state = (start, start) if step is lstm else start
    return lax.scan(step, state, x @ p["weight_ih_l0"].T + p["bias_ih_l0"])[1]


def flatten(m: Any, p: Params, x: jax.Array, _: jax.Array) -> jax.Array:
    """Flatten with the channels first, as the weights that follow expect."""
    return jnp.moveaxis(x, -1, 1).reshape(len(x), -1)


def function(f: Callable[[jax.Array], jax.Array]) -> Rule:
    return lambda m, p, x, key: f(x)


RULES: dict[type, Rule] = {
    nn.Sequential: chain,
    nn.Linear: lambda m, p, x, key: x @ p["weight"].T + p["bias"],
    nn.Conv2d: convolution,
    nn.Conv1d: convolution,
    nn.ConvTranspose2d: transposed,
    nn.MaxPool2d: max_pool,
    nn.MaxPool1d: max_pool,
    nn.BatchNorm2d: lambda m, p, x, key: normalize(x, (0, 1, 2), m, p),
    nn.LayerNorm: lambda m, p, x, key: normalize(x, (-1,), m, p),
    nn.Flatten: flatten,
    nn.Embedding: lambda m, p, x, key: p["weight"][x],
    nn.Dropout: dropout,
    nn.ReLU: function(jax.nn.relu),
    nn.Sigmoid: function(jax.nn.sigmoid),
    nn.Tanh: function(jnp.tanh),
    nn.GELU: function(partial(jax.nn.gelu, approximate=False)),
    attending.Attention: attention,
    attending.PositionAdd: lambda m, p, x, key: x + p["weight"][: x.shape[1]],
    modular.Residual: lambda m, p, x, key: x + chain(m.block, part(p, "block"), x, key),
    modular.Recurrence: recurrence,
    modular.OneHot: lambda m, p, x, key: jax.nn.one_hot(x, m.size, dtype=m.like.numpy().dtype),
}


def momentum(p: Any, g: Any, v: Any, w: Any, t: Any, lr: float) -> Any:
    v = 0.9 * v + g
    return p - lr * v, v, w


def adagrad(p: Any, g: Any, v: Any, w: Any, t: Any, lr: float) -> Any:
    v = v + g * g
    return p - lr * g / (jnp.sqrt(v) + 1e-10), v, w


def adam(p: Any, g: Any, v: Any, w: Any, t: Any, lr: float, decay: float = 0.0) -> Any:
    v, w = 0.9 * v + 0.1 * g, 0.999 * w + 0.001 * g * g
    t = t.astype(p.dtype)
    step = v / (1 - 0.9**t) / (jnp.sqrt(w / (1 - 0.999**t)) + 1e-8)
    return p - lr * (step + decay * p), v, w


UPDATES: dict[str, Callable[..., Any]] = {
    "SGDMomentum": momentum,
    "AdaGrad": adagrad,
    "Adam": adam,
    "AdamW": partial(adam, decay=0.01),
}


def training_step(
    net: nn.Module, optimizer: str, lr: float, X: torch.Tensor, y: torch.Tensor, copy: bool
) -> Callable[[], jax.Array]:
    """Return a call that runs one step of the compiled function, and waits for it."""
    params = {name: jnp.asarray(value.detach().numpy()) for name, value in net.named_parameters()}
    data, target = (jnp.asarray(part.numpy()) for part in (X, y))
    if data.ndim == 4 or (data.ndim == 3 and not copy):
        data = jnp.moveaxis(data, 1, -1)
        target = data if copy else target
    if not copy:
        target = target.astype(jnp.int32)
    data = data.astype(jnp.int32) if jnp.issubdtype(data.dtype, jnp.integer) else data

    def loss_of(params: Params, data: jax.Array, target: jax.Array, key: jax.Array) -> jax.Array:
        output = apply(net, params, data, key)
        if copy:
            return jnp.sum((output - target) ** 2) / len(data)
        logs = jax.nn.log_softmax(output)
        return -jnp.take_along_axis(logs, target[..., None], -1).mean()

    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, data: jax.Array, target: jax.Array) -> Any:
        params, v, w, t, key = state
        key, now = jax.random.split(key)
        loss, grads = jax.value_and_grad(loss_of)(params, data, target, now)
        t = t + 1
        new = {k: UPDATES[optimizer](params[k], grads[k], v[k], w[k], t, lr) for k in params}
        params, v, w = ({k: triple[i] for k, triple in new.items()} for i in range(3))
        return (params, v, w, t, key), loss

    def zeros() -> Params:
        return {name: jnp.zeros_like(value) for name, value in params.items()}

    state = (params, zeros(), zeros(), jnp.int32(0), jax.random.key(0, impl=RANDOM))

    def run() -> jax.Array:
        nonlocal state
        state, loss = step(state, data, target)
        return loss.block_until_ready()

    return run
