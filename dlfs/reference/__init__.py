"""The kernels in plain NumPy: the meaning of every hot loop of dlfs.

A kernel is a plain function of arrays and hyperparameters. ``dlfs_ext`` has the same functions in
Cython and C. What follows holds for every kernel, in both packages.

- **Dtypes.** Arrays are float32 or float64, all of one dtype, which the results have too; indices,
  labels, positions and masks are integers or booleans, where that is said.
- **Layouts.** Any: strided, in Fortran's order, with negative strides, read-only, empty. A kernel
  never writes into its arguments (but for an optimizer's update, which exists for that), and its
  results share no memory with them.
- **Shapes** are in the docstring: in ``x (batch, features), W (features, neurons) -> (batch,
  neurons)`` axes of one name have one length. ``...`` is any number of further axes, the same
  everywhere, ``1...`` a 1 for each of them.
- **Errors.** A wrong dtype raises TypeError, a wrong shape or number ValueError, in the same words
  in both packages: "dense: x must have shape (batch, 4), got (2, 3)". Every kernel checks its
  arguments before it computes; a compiled one may call the reference to raise the error.
- **Numbers.** Overflow, underflow and NaN raise no warning, whatever ``np.seterr`` says. NaN and
  infinity go through as the formula says.
- **The same bits** come from the same call on the same machine, for any number of threads. The two
  packages agree to within rounding.

A gradient has the name of its function with ``_grad``, ``_input_grad`` or ``_param_grad``. It takes
the gradient of the loss with respect to the function's output, ``output_grad``, and returns that
with respect to an argument, ``x_grad``.
"""

from typing import TYPE_CHECKING

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
from dlfs.reference.kernel import KERNELS
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

if not TYPE_CHECKING:  # type checkers take every name that is imported above
    __all__ = list(KERNELS)
