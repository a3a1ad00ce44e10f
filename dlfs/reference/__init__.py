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
  everywhere, ``1...`` a 1 for each of them. Where none are given, the kernel is elementwise: all
  arrays, and the result, have one shape.
- **Errors.** A wrong dtype raises TypeError, a wrong shape or number ValueError, in the same words
  in both packages: "dense: x must have shape (batch, 4), got (2, 3)". Every kernel checks its
  arguments before it computes; a compiled one may call the reference to raise the error.
- **Numbers.** Overflow, underflow and NaN raise no warning, whatever ``np.seterr`` says. NaN and
  infinity go through as the formula says.
- **The same bits** come from the same call on the same machine, for any number of threads. The two
  packages agree to within rounding.

A gradient has the name of its function with ``_grad``, ``_input_grad`` or ``_param_grad``. It takes
the gradient of the loss with respect to the function's output, ``output_grad``, and returns that
with respect to an argument, ``x_grad``. Sources: in the classes that call the kernels, or here.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING

from dlfs.reference.kernel import KERNELS

if TYPE_CHECKING:
    from dlfs.reference.activations import *
    from dlfs.reference.attention import *
    from dlfs.reference.conv import *
    from dlfs.reference.conv_transpose import *
    from dlfs.reference.dense import *
    from dlfs.reference.dropout import *
    from dlfs.reference.embedding import *
    from dlfs.reference.fused import *
    from dlfs.reference.gru import *
    from dlfs.reference.losses import *
    from dlfs.reference.normalization import *
    from dlfs.reference.optimizers import *
    from dlfs.reference.pooling import *
    from dlfs.reference.rectifiers import *
    from dlfs.reference.recurrent import *
else:
    for _module in pkgutil.iter_modules(__path__):  # noqa: F405
        importlib.import_module(f"{__name__}.{_module.name}")
    globals().update(KERNELS)
    __all__ = list(KERNELS)
