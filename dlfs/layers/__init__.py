"""Layers: Operations, chained, with their parameters."""

from dlfs.layers.attention import SelfAttention
from dlfs.layers.base import Dense, Layer
from dlfs.layers.blocks import LayerBlock, OperationLayer, Parallel, Residual
from dlfs.layers.conv import Conv1D, Conv2D, ConvTranspose2D
from dlfs.layers.embedding import Embedding
from dlfs.layers.normalization import BatchNorm, LayerNorm
from dlfs.layers.recurrent import GRULayer, LSTMLayer, RNNLayer

__all__ = [
    "BatchNorm",
    "Conv1D",
    "Conv2D",
    "ConvTranspose2D",
    "Dense",
    "Embedding",
    "GRULayer",
    "LSTMLayer",
    "Layer",
    "LayerBlock",
    "LayerNorm",
    "OperationLayer",
    "Parallel",
    "RNNLayer",
    "Residual",
    "SelfAttention",
]
