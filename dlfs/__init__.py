"""dlfs: deep learning from scratch.

A reference to read, in NumPy, and a fast twin of it, in Cython. The modules have the names of the
book "Deep Learning From Scratch" (Seth Weidman, O'Reilly 2019); what is used most is here:

>>> import dlfs
>>> net = dlfs.NeuralNetwork([dlfs.Dense(13, activation=dlfs.Sigmoid()), dlfs.Dense(1)])

The examples in docstrings assume ``import numpy as np``.
"""

from typing import TYPE_CHECKING

from dlfs import lazy, moved
from dlfs.activations import (
    ELU,
    GELU,
    SELU,
    HardSwish,
    LeakyReLU,
    Linear,
    LogSoftmax,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    SwiGLU,
    Tanh,
)
from dlfs.backend import (
    available_backends,
    backend_name,
    get_num_threads,
    set_num_threads,
    use_backend,
)
from dlfs.base import Operation, ParamOperation
from dlfs.dropout import Dropout
from dlfs.layers import (
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
    Layer,
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
    TiedEmbedding,
    TransformerBlock,
)
from dlfs.losses import (
    BinaryCrossEntropy,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    NegativeLogLikelihood,
    SoftmaxCrossEntropy,
)
from dlfs.network import NeuralNetwork
from dlfs.optimizers import (
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    NAdam,
    Optimizer,
    RegularizedSGD,
    RMSProp,
    SGDMomentum,
)
from dlfs.pooling import (
    AvgPool1D,
    AvgPool2D,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    MaxPool1D,
    MaxPool2D,
)
from dlfs.reshape import Flatten, LastStep, Reshape, Reverse, Upsample2D
from dlfs.saving import load, save
from dlfs.train import Batches, NonFiniteLossError, Trainer, find_lr
from dlfs.train import callbacks as callbacks
from dlfs.train import metrics as metrics
from dlfs.train.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from dlfs.train.history import History

if TYPE_CHECKING:
    from dlfs import autograd as autograd
    from dlfs import classroom as classroom
    from dlfs import datasets as datasets
    from dlfs import estimators as estimators
    from dlfs import exercises as exercises
    from dlfs import gradcheck as gradcheck
    from dlfs import onnx as onnx
    from dlfs import plots as plots
    from dlfs import pytorch as pytorch
    from dlfs import testing as testing
    from dlfs import text as text
else:
    __getattr__, __dir__ = lazy.submodules(
        __name__,
        (
            "autograd",
            "classroom",
            "datasets",
            "estimators",
            "exercises",
            "gradcheck",
            "onnx",
            "plots",
            "pytorch",
            "testing",
            "text",
        ),
    )

__version__ = "0.2.0.dev0"

moved.install()

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "AvgPool1D",
    "AvgPool2D",
    "BatchNorm",
    "Batches",
    "Bidirectional",
    "BinaryCrossEntropy",
    "CSVLogger",
    "Callback",
    "Conv1D",
    "Conv2D",
    "ConvTranspose2D",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "FeedForward",
    "Flatten",
    "GRULayer",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GroupNorm",
    "HardSwish",
    "History",
    "Huber",
    "LSTMLayer",
    "LambdaCallback",
    "LastStep",
    "Layer",
    "LayerBlock",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Loss",
    "MaxPool1D",
    "MaxPool2D",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Mish",
    "ModelCheckpoint",
    "NAdam",
    "NegativeLogLikelihood",
    "NeuralNetwork",
    "NonFiniteLossError",
    "Operation",
    "Optimizer",
    "PReLU",
    "Parallel",
    "ParamOperation",
    "PositionEmbedding",
    "RMSNorm",
    "RMSProp",
    "RNNLayer",
    "ReLU",
    "ReduceLROnPlateau",
    "RegularizedSGD",
    "Reshape",
    "Residual",
    "Reverse",
    "SGDMomentum",
    "SelfAttention",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Softplus",
    "SwiGLU",
    "Tanh",
    "TiedEmbedding",
    "Trainer",
    "TransformerBlock",
    "Upsample2D",
    "available_backends",
    "backend_name",
    "find_lr",
    "get_num_threads",
    "load",
    "save",
    "set_num_threads",
    "use_backend",
]
