"""The next activation behind each layer of a chain. The layer's first weights should suit it."""

from collections.abc import Sequence
from typing import Any

from dlfs.activations import Linear
from dlfs.base import Operation
from dlfs.dropout import Dropout
from dlfs.layers.normalization import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from dlfs.normalization import BatchNorm_Op, GroupNorm_Op, LayerNorm_Op, RMSNorm_Op
from dlfs.pooling import AvgPool2D, GlobalAvgPool2D, MaxPool2D
from dlfs.reshape import Flatten, Reshape

_LOOKED_PAST = (
    *(Linear, Dropout, Flatten, Reshape, MaxPool2D, AvgPool2D, GlobalAvgPool2D),
    *(BatchNorm_Op, LayerNorm_Op, GroupNorm_Op, RMSNorm_Op),
    *(BatchNorm, LayerNorm, GroupNorm, RMSNorm),
)
"""What may stand between a layer and its activation."""


def tell_what_follows(layers: Sequence[Any]) -> None:
    """Tell each layer of a chain which activation stands behind it."""
    following: Operation | None = None
    for layer in reversed(layers):
        layer.following = following
        operation = getattr(layer, "operation", None)
        if not isinstance(layer if operation is None else operation, _LOOKED_PAST):
            following = operation
