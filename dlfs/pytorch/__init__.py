"""PyTorch by the book's names (chapter 7).

This package needs the extra ``torch``; ``import dlfs`` alone does not load PyTorch.

>>> import torch
>>> from dlfs.pytorch import DenseLayer
>>> DenseLayer(3, 4, activation=torch.nn.Tanh())(torch.zeros(2, 3)).shape
torch.Size([2, 4])
"""

try:
    import torch  # noqa: F401 - imported here for a helpful message if it is missing
except ImportError as error:
    raise ImportError("dlfs.pytorch needs PyTorch: pip install 'dlfs[torch]'") from error

from dlfs.pytorch.convert import from_torch, to_torch
from dlfs.pytorch.helpers import assert_dim, evaluating, inference_mode, permute_data
from dlfs.pytorch.layers import ConvLayer, DeconvLayer, DenseLayer, LSTMLayer, PyTorchLayer
from dlfs.pytorch.model import ConvNetPreprocessor, PyTorchModel, PyTorchPreprocessor
from dlfs.pytorch.modules import OneHot, Parallel, Recurrence, Residual
from dlfs.pytorch.trainer import PyTorchTrainer

__all__ = [
    "ConvLayer",
    "ConvNetPreprocessor",
    "DeconvLayer",
    "DenseLayer",
    "LSTMLayer",
    "OneHot",
    "Parallel",
    "PyTorchLayer",
    "PyTorchModel",
    "PyTorchPreprocessor",
    "PyTorchTrainer",
    "Recurrence",
    "Residual",
    "assert_dim",
    "evaluating",
    "from_torch",
    "inference_mode",
    "permute_data",
    "to_torch",
]
