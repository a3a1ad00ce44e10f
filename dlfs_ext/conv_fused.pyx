"""A convolution with its bias and activation; the formulas are in dlfs.reference.fused.

The convolution of conv.pyx adds the bias and applies the activation to each piece of its output
while it is in the cache (csrc/convolution/conv_epilogue.h). Backward, the gradient of the
activation's input is computed row by row just before it is used, and never stored as a whole.
"""

cimport numpy as cnp

from dlfs.reference import fused as reference
from dlfs_ext.fallback import take_over

from dlfs_ext.arrays cimport is_float_nd, same_shape, same_type
from dlfs_ext.conv cimport convolve, resolve, weight_gradient
from dlfs_ext.dense cimport activation_code
from dlfs_ext.features cimport per_feature
from dlfs_ext.options cimport is_shape

cnp.import_array()


def conv2d_bias_activation(x, W, b, activation="linear", stride=1, padding=0, dilation=1, groups=1):
    owner = "conv2d_bias_activation"
    cdef int code = activation_code(activation)
    if not (code >= 0 and is_float_nd(x, 4) and is_float_nd(W, 4) and is_float_nd(b, 4)
            and same_type(x, W) and same_type(x, b)
            and 0 < cnp.PyArray_SIZE(b) == cnp.PyArray_DIM(b, 1) == cnp.PyArray_DIM(W, 1)):
        return take_over(reference.conv2d_bias_activation, x, W, b, activation, stride, padding,
                         dilation, groups)
    groups, resolved = resolve(x.shape, W.shape, stride, padding, dilation, groups, owner)
    return convolve(x, W, groups, resolved, b, code)


def conv2d_bias_activation_param_grad(output_grad, output, x, param_shape, activation="linear",
                                      stride=1, padding=0, dilation=1, groups=1):
    owner = "conv2d_bias_activation_param_grad"
    cdef int code = activation_code(activation)
    cdef bint good = (code >= 0 and is_float_nd(output_grad, 4) and is_float_nd(output, 4)
                      and is_float_nd(x, 4) and same_type(output_grad, output)
                      and same_type(output_grad, x) and same_shape(output_grad, output)
                      and is_shape(param_shape, 4))
    if good:
        groups, resolved = resolve(
            x.shape, param_shape, stride, padding, dilation, groups, owner)
        good = (cnp.PyArray_DIM(output, 0) == cnp.PyArray_DIM(x, 0)
                and cnp.PyArray_DIM(output, 1) == param_shape[1]
                and cnp.PyArray_DIM(output, 2) == resolved.output[0]
                and cnp.PyArray_DIM(output, 3) == resolved.output[1])
    if not good:
        return take_over(reference.conv2d_bias_activation_param_grad, output_grad, output, x,
                         param_shape, activation, stride, padding, dilation, groups)
    cdef cnp.ndarray b_grad = per_feature(output)
    W_grad = weight_gradient(
        output_grad, x, param_shape, groups, resolved, output, b_grad, code)
    return W_grad, b_grad
