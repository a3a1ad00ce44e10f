"""From PyTorch's attention and transformer layers to those of dlfs."""

from typing import Any

import numpy as np
from torch import nn

from dlfs.activations import GELU, ReLU
from dlfs.attention import Attention_Op, RotaryPositions
from dlfs.base import Operation
from dlfs.dropout import Dropout
from dlfs.embedding import SinusoidAdd
from dlfs.layers import Dense, Layer, LayerNorm, PositionEmbedding, Residual, SelfAttention
from dlfs.pytorch import attention as modular
from dlfs.pytorch.helpers import complement
from dlfs.pytorch.inward_parts import (
    ACTIVATIONS,
    Axes,
    Found,
    Modules,
    Rule,
    alone,
    array,
    bias_of,
    built,
    demand,
    none,
)
from dlfs.pytorch.outward import NoCounterpart


def _multihead(modules: Modules, axes: Axes) -> Found:
    return [_self_attention(modules[0])], 1


def _self_attention(module: Any) -> Layer:
    demand(module, batch_first=True, bias_k=None, bias_v=None, add_zero_attn=False)
    features = module.embed_dim
    if module.in_proj_weight is None:
        raise NoCounterpart("its queries, keys and values must have the same number of features")
    packed = module.in_proj_bias
    bias = np.zeros(3 * features) if packed is None else array(packed)
    params = [
        array(module.in_proj_weight).T,
        bias,
        array(module.out_proj.weight).T,
        bias_of(module.out_proj, features),
    ]
    layer = SelfAttention(module.num_heads, dropout=complement(module.dropout))
    return built(layer, none(1, features), params)


def _norm(module: Any) -> Layer:
    features = module.normalized_shape[0]
    params = [array(module.weight), bias_of(module, features)]
    return built(LayerNorm(module.eps), none(features), params)


def _dense(module: Any, activation: Operation | None) -> Layer:
    params = [array(module.weight).T, bias_of(module, module.out_features)]
    return built(Dense(module.out_features, activation), none(module.in_features), params)


def _activation(module: Any) -> Operation:
    """Return the activation, which PyTorch keeps as a function with a number, or as a module."""
    if module.activation_relu_or_gelu:
        return ReLU() if module.activation_relu_or_gelu == 1 else GELU()
    make = ACTIVATIONS.get(type(module.activation))
    if make is None:
        raise NoCounterpart(f"dlfs has no such activation: {module.activation!r:.90}")
    return make(module.activation, 3)


def _dropped(module: Any) -> list[Layer]:
    return [alone(Dropout(complement(module.p)))] if module.p > 0 else []


def _encoder_layer(modules: Modules, axes: Axes) -> Found:
    """Return two residuals; normalization stands in them, or behind each."""
    module = modules[0]
    attention = [_self_attention(module.self_attn), *_dropped(module.dropout1)]
    forward = [
        _dense(module.linear1, _activation(module)),
        *_dropped(module.dropout),
        _dense(module.linear2, None),
        *_dropped(module.dropout2),
    ]
    first, second = _norm(module.norm1), _norm(module.norm2)
    if module.norm_first:
        return [Residual([first, *attention]), Residual([second, *forward])], 1
    return [Residual(attention), first, Residual(forward), second], 1


def _encoder(modules: Modules, axes: Axes) -> Found:
    module = modules[0]
    layers = [layer for part in module.layers for layer in _encoder_layer([part], axes)[0]]
    return [*layers, *([] if module.norm is None else [_norm(module.norm)])], 1


def _attention(modules: Modules, axes: Axes) -> Found:
    module = modules[0]
    dropout = complement(module.dropout)
    return [alone(Attention_Op(module.heads, module.causal, dropout))], 1


def _positions(modules: Modules, axes: Axes) -> Found:
    length, features = modules[0].weight.shape
    layer = PositionEmbedding(length)
    return [built(layer, none(1, features), [array(modules[0].weight)])], 1


RULES: dict[type, Rule] = {
    nn.MultiheadAttention: _multihead,
    nn.TransformerEncoderLayer: _encoder_layer,
    nn.TransformerEncoder: _encoder,
    modular.Attention: _attention,
    modular.RotaryPositions: lambda m, axes: ([alone(RotaryPositions(m[0].heads))], 1),
    modular.PositionAdd: _positions,
    modular.SinusoidAdd: lambda m, axes: ([alone(SinusoidAdd(m[0].length))], 1),
}
