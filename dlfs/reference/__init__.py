"""The kernels in plain NumPy: what every hot loop of dlfs means.

A kernel is a plain function of arrays and hyperparameters. It never writes into its inputs (but for
an optimizer's update, whose whole purpose that is), takes any memory layout, and returns the dtype
it was given: float32 or float64. ``dlfs_ext`` has the same functions in Cython.
"""

import sys

from dlfs.reference import quiet
from dlfs.reference.activations import (
    sigmoid,
    sigmoid_grad,
    softmax,
    softmax_grad,
    tanh,
    tanh_grad,
)
from dlfs.reference.conv import (
    conv1d,
    conv1d_input_grad,
    conv1d_param_grad,
    conv2d,
    conv2d_input_grad,
    conv2d_param_grad,
)
from dlfs.reference.conv_fused import (
    conv2d_bias_activation,
    conv2d_bias_activation_param_grad,
)
from dlfs.reference.conv_transpose import (
    conv_transpose2d,
    conv_transpose2d_input_grad,
    conv_transpose2d_param_grad,
)
from dlfs.reference.dense import (
    bias_activation,
    bias_activation_grad,
    bias_add,
    bias_add_param_grad,
    dense,
    scale_multiply,
    scale_multiply_param_grad,
    weight_multiply,
    weight_multiply_input_grad,
    weight_multiply_param_grad,
)
from dlfs.reference.dropout import dropout
from dlfs.reference.embedding import embedding, embedding_param_grad
from dlfs.reference.gru import gru, gru_grad
from dlfs.reference.losses import (
    binary_cross_entropy,
    huber,
    mean_absolute_error,
    mean_squared_error,
    softmax_cross_entropy,
)
from dlfs.reference.normalization import (
    batch_norm,
    batch_norm_grad,
    batch_norm_inference,
    batch_norm_inference_grad,
    layer_norm,
    layer_norm_grad,
)
from dlfs.reference.optimizers import (
    adagrad_update,
    adam_update,
    rmsprop_update,
    sgd_momentum_update,
    sgd_update,
)
from dlfs.reference.pooling import (
    avg_pool2d,
    avg_pool2d_grad,
    global_avg_pool2d,
    global_avg_pool2d_grad,
    max_pool2d,
    max_pool2d_grad,
)
from dlfs.reference.rectifiers import (
    elu,
    elu_grad,
    gelu,
    gelu_grad,
    leaky_relu,
    leaky_relu_grad,
    relu,
    relu_grad,
    silu,
    silu_grad,
    softplus,
    softplus_grad,
)
from dlfs.reference.recurrent import lstm, lstm_grad, rnn, rnn_grad

__all__ = [
    "adagrad_update",
    "adam_update",
    "avg_pool2d",
    "avg_pool2d_grad",
    "batch_norm",
    "batch_norm_grad",
    "batch_norm_inference",
    "batch_norm_inference_grad",
    "bias_activation",
    "bias_activation_grad",
    "bias_add",
    "bias_add_param_grad",
    "binary_cross_entropy",
    "conv1d",
    "conv1d_input_grad",
    "conv1d_param_grad",
    "conv2d",
    "conv2d_bias_activation",
    "conv2d_bias_activation_param_grad",
    "conv2d_input_grad",
    "conv2d_param_grad",
    "conv_transpose2d",
    "conv_transpose2d_input_grad",
    "conv_transpose2d_param_grad",
    "dense",
    "dropout",
    "elu",
    "elu_grad",
    "embedding",
    "embedding_param_grad",
    "gelu",
    "gelu_grad",
    "global_avg_pool2d",
    "global_avg_pool2d_grad",
    "gru",
    "gru_grad",
    "huber",
    "layer_norm",
    "layer_norm_grad",
    "leaky_relu",
    "leaky_relu_grad",
    "lstm",
    "lstm_grad",
    "max_pool2d",
    "max_pool2d_grad",
    "mean_absolute_error",
    "mean_squared_error",
    "relu",
    "relu_grad",
    "rmsprop_update",
    "rnn",
    "rnn_grad",
    "scale_multiply",
    "scale_multiply_param_grad",
    "sgd_momentum_update",
    "sgd_update",
    "sigmoid",
    "sigmoid_grad",
    "silu",
    "silu_grad",
    "softmax",
    "softmax_cross_entropy",
    "softmax_grad",
    "softplus",
    "softplus_grad",
    "tanh",
    "tanh_grad",
    "weight_multiply",
    "weight_multiply_input_grad",
    "weight_multiply_param_grad",
]

# In their own modules, too: the compiled kernels leave what is unusual to those.
for _name in __all__:
    _kernel = quiet.quiet(globals()[_name])
    globals()[_name] = _kernel
    setattr(sys.modules[_kernel.__module__], _name, _kernel)
del _name, _kernel
