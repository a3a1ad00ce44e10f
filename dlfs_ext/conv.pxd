# The functions of conv.pyx that conv_fused.pyx uses; they do not check arguments.
cimport numpy as cnp

cdef object resolve(object input_shape, object param_shape, object stride, object padding,
                    object dilation, object groups, str owner)
cdef cnp.ndarray convolve(object x, object W, ptrdiff_t groups, object resolved, object bias,
                          int activation)
cdef cnp.ndarray weight_gradient(object output_grad, object x, object shape, ptrdiff_t groups,
                                 object resolved, object output, object bias_grad, int activation)
