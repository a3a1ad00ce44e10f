"""Layers: Operations, chained, with their parameters."""

from dlfs.layers.activations import PReLU
from dlfs.layers.attention import SelfAttention
from dlfs.layers.base import Dense, Layer
from dlfs.layers.blocks import Bidirectional, LayerBlock, OperationLayer, Parallel, Residual
from dlfs.layers.conv import Conv1D, Conv2D, ConvTranspose2D
from dlfs.layers.embedding import Embedding, PositionEmbedding
from dlfs.layers.normalization import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from dlfs.layers.recurrent import GRULayer, LSTMLayer, RNNLayer
from dlfs.layers.tied import TiedEmbedding
from dlfs.layers.transformer import FeedForward, TransformerBlock

__all__ = [
    "BatchNorm",
    "Bidirectional",
    "Conv1D",
    "Conv2D",
    "ConvTranspose2D",
    "Dense",
    "Embedding",
    "FeedForward",
    "GRULayer",
    "GroupNorm",
    "LSTMLayer",
    "Layer",
    "LayerBlock",
    "LayerNorm",
    "OperationLayer",
    "PReLU",
    "Parallel",
    "PositionEmbedding",
    "RMSNorm",
    "RNNLayer",
    "Residual",
    "SelfAttention",
    "TiedEmbedding",
    "TransformerBlock",
]
