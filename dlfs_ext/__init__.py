"""The kernels of `dlfs.reference`, compiled: the same functions, one .pyx for each module.

The package is optional; `dlfs.use_backend("fast")` selects it. `isa()` returns the instruction set
in use (`DLFS_ISA` forces a lower one). `set_num_threads()` sets the number of threads (default:
`DLFS_NUM_THREADS`, else `OMP_NUM_THREADS`, else all processors).
"""

from dlfs_ext.waiting import short_waiting

try:
    # The first compiled module loads OpenMP's library.
    with short_waiting():
        import dlfs_ext.runtime  # noqa: F401
    from dlfs_ext.activations import sigmoid, sigmoid_grad, softmax, softmax_grad, tanh, tanh_grad
    from dlfs_ext.conv import (
        conv1d,
        conv1d_input_grad,
        conv1d_param_grad,
        conv2d,
        conv2d_input_grad,
        conv2d_param_grad,
    )
    from dlfs_ext.conv_fused import conv2d_bias_activation, conv2d_bias_activation_param_grad
    from dlfs_ext.conv_transpose import (
        conv_transpose2d,
        conv_transpose2d_input_grad,
        conv_transpose2d_param_grad,
    )
    from dlfs_ext.dense import (
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
    from dlfs_ext.dropout import dropout
    from dlfs_ext.embedding import embedding, embedding_param_grad
    from dlfs_ext.gru import gru, gru_grad
    from dlfs_ext.losses import (
        binary_cross_entropy,
        huber,
        mean_absolute_error,
        mean_squared_error,
        softmax_cross_entropy,
    )
    from dlfs_ext.normalization import (
        batch_norm,
        batch_norm_grad,
        batch_norm_inference,
        batch_norm_inference_grad,
        layer_norm,
        layer_norm_grad,
    )
    from dlfs_ext.optimizers import (
        adagrad_update,
        adam_update,
        rmsprop_update,
        sgd_momentum_update,
        sgd_update,
    )
    from dlfs_ext.pooling import (
        avg_pool2d,
        avg_pool2d_grad,
        global_avg_pool2d,
        global_avg_pool2d_grad,
        max_pool2d,
        max_pool2d_grad,
    )
    from dlfs_ext.rectifiers import (
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
    from dlfs_ext.recurrent import lstm, lstm_grad, rnn, rnn_grad
    from dlfs_ext.runtime import (
        available_isas,
        get_num_threads,
        isa,
        set_isa,
        set_num_threads,
    )
except ImportError as error:
    raise ImportError(f"dlfs_ext was not compiled ({error})") from error

FUSES = True
"""Weight multiply, bias and activation run faster in one call; used by `dlfs.layers.fusion`."""

__all__ = [
    "FUSES",
    "adagrad_update",
    "adam_update",
    "available_isas",
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
    "get_num_threads",
    "global_avg_pool2d",
    "global_avg_pool2d_grad",
    "gru",
    "gru_grad",
    "huber",
    "isa",
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
    "set_isa",
    "set_num_threads",
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
