"""Weight multiply, bias and scale, and the chain of them fused, compiled.

All products use the gemm (general matrix multiplication) of csrc/products/gemm_tile.h. It reads any
strides, so a transposed or sliced matrix is not copied here.
"""

cimport numpy as cnp

from dlfs.checks import check_choice
from dlfs.named_axes import check_arrays
from dlfs.reference.dense import FEATURES, PER_FEATURE
from dlfs.reference.fused import FUSED_ACTIVATIONS

from dlfs_ext.arrays cimport (
    c_array, data, input_t, is_double, is_float, is_float_nd, output_t, same_shape, same_type,
)
from dlfs_ext.features cimport map_features, sum_features
from dlfs_ext.memory cimport Block, empty_like, empty_nd, new_block
from dlfs_ext.threads cimport kernel, run, threads_for

cnp.import_array()

cdef extern from "products/dense.h" nogil:
    enum:
        DLFS_LINEAR
        DLFS_SIGMOID
        DLFS_TANH
        DLFS_RELU
    ctypedef struct product_job:
        ptrdiff_t m, n, k, a_row, a_column, b_row, b_column
        input_t a, b, bias
        output_t c
        int activation, by_columns
    kernel product_kernel, scale_kernel, grad_product_kernel
    kernel pointwise_kernel, pointwise_grad_kernel, pointwise_reduce_kernel
    # By an activation's number.
    kernel bias_kernels[4]
    kernel grad_kernels[4]


def weight_multiply(x, W):
    if not axes_match(x, 1, W, 0):
        check_arrays("weight_multiply", W=(W, "features neurons"), x=(x, "batch features"))
    return product(strided(x), False, strided(W), False, None, DLFS_LINEAR)


def weight_multiply_input_grad(output_grad, W):
    if not axes_match(output_grad, 1, W, 1):
        check_arrays("weight_multiply_input_grad", W=(W, "features neurons"),
                     output_grad=(output_grad, "batch neurons"))
    return product(strided(output_grad), False, strided(W), True, None, DLFS_LINEAR)


def weight_multiply_param_grad(output_grad, x):
    if not axes_match(output_grad, 0, x, 0):
        check_arrays("weight_multiply_param_grad", x=(x, "batch features"),
                     output_grad=(output_grad, "batch neurons"))
    return product(strided(x), True, strided(output_grad), False, None, DLFS_LINEAR)


def bias_add(x, b):
    check_per_feature(x, b, "bias_add", "b")
    return map_features(&bias_kernels[DLFS_LINEAR], c_array(x), None, c_array(b), None, None, 1)


def bias_add_param_grad(output_grad):
    if not (is_float(output_grad) and cnp.PyArray_NDIM(output_grad) >= 2):
        check_arrays("bias_add_param_grad", output_grad=(output_grad, FEATURES))
    return sum_features(&grad_kernels[DLFS_LINEAR], c_array(output_grad), None, None, None, 1)


def scale_multiply(x, gamma):
    check_per_feature(x, gamma, "scale_multiply", "gamma")
    return map_features(&scale_kernel, c_array(x), None, c_array(gamma), None, None, 1)


def scale_multiply_param_grad(output_grad, x):
    check_pair(output_grad, x, "scale_multiply_param_grad", "x")
    return sum_features(&grad_product_kernel, c_array(output_grad), c_array(x), None, None, 2)


def dense(x, W, b, activation="linear"):
    cdef int code = activation_code(activation)
    if not (code >= 0 and axes_match(x, 1, W, 0) and axes_match(W, 1, b, 1)
            and cnp.PyArray_DIM(b, 0) == 1):
        check_arrays("dense", W=(W, "features neurons"), x=(x, "batch features"),
                     b=(b, "1 neurons"))
        check_choice(activation, FUSED_ACTIVATIONS, "dense", "activation")
    return product(strided(x), False, strided(W), False, c_array(b), code)


def bias_activation(x, b, activation="linear"):
    cdef int code = activation_code(activation)
    check_per_feature(x, b, "bias_activation", "b")
    if code < 0:
        check_choice(activation, FUSED_ACTIVATIONS, "bias_activation", "activation")
    cdef int cost = 12 if code in (DLFS_SIGMOID, DLFS_TANH) else 1
    return map_features(&bias_kernels[code], c_array(x), None, c_array(b), None, None, cost)


def bias_activation_grad(output_grad, output, activation="linear"):
    cdef int code = activation_code(activation)
    check_pair(output_grad, output, "bias_activation_grad", "output")
    if code < 0:
        check_choice(activation, FUSED_ACTIVATIONS, "bias_activation_grad", "activation")
    cdef cnp.ndarray x_grad = empty_like(output)
    return x_grad, sum_features(
        &grad_kernels[code], c_array(output_grad), c_array(output), None, x_grad, 3)


cdef dict _codes = {"linear": DLFS_LINEAR, "sigmoid": DLFS_SIGMOID, "tanh": DLFS_TANH,
                    "relu": DLFS_RELU}


cdef int activation_code(object activation) except -2:
    # Other objects may have no hash.
    return _codes.get(activation, -1) if isinstance(activation, str) else -1


cdef bint axes_match(object a, int a_axis, object b, int b_axis) noexcept:
    """Whether these are two matrices of one dtype, and of one length along these axes."""
    return (is_float_nd(a, 2) and is_float_nd(b, 2) and same_type(a, b)
            and cnp.PyArray_DIM(a, a_axis) == cnp.PyArray_DIM(b, b_axis))


cdef int check_per_feature(object x, object param, str owner, str name) except -1:
    # As many numbers as features: then the other axes of param are 1.
    if not (is_float(x) and is_float(param) and same_type(x, param) and cnp.PyArray_NDIM(x) >= 2
            and cnp.PyArray_NDIM(x) == cnp.PyArray_NDIM(param)
            and 0 < cnp.PyArray_SIZE(param) == cnp.PyArray_DIM(param, 1) == cnp.PyArray_DIM(x, 1)):
        check_arrays(owner, **{"x": (x, FEATURES), name: (param, PER_FEATURE)})
    return 0


cdef int check_pair(object output_grad, object other, str owner, str name) except -1:
    if not (is_float(output_grad) and is_float(other) and same_type(output_grad, other)
            and same_shape(output_grad, other) and cnp.PyArray_NDIM(other) >= 2):
        check_arrays(owner, **{name: (other, FEATURES), "output_grad": (output_grad, FEATURES)})
    return 0


cdef cnp.ndarray strided(object a):
    """a itself if its strides are multiples of the item size, as the gemm requires; else a copy."""
    cdef ptrdiff_t size = cnp.PyArray_ITEMSIZE(a)
    if (cnp.PyArray_ISALIGNED(a) and cnp.PyArray_STRIDE(a, 0) % size == 0
            and cnp.PyArray_STRIDE(a, 1) % size == 0):
        return <cnp.ndarray>a
    return c_array(a)


# Threads get columns or rows in groups: whole tiles.
cdef enum:
    COLUMN_GROUP = 48
    ROW_GROUP = 8
    MANY_ROWS = 128


cdef cnp.ndarray product(cnp.ndarray a, bint a_turned, cnp.ndarray b, bint b_turned, object bias,
                         int activation):
    """activation(a @ b + bias), with a or b transposed if it is "turned"."""
    cdef ptrdiff_t size = cnp.PyArray_ITEMSIZE(a)
    cdef int a0 = 1 if a_turned else 0, b0 = 1 if b_turned else 0
    cdef product_job job
    job.m, job.k = cnp.PyArray_DIM(a, a0), cnp.PyArray_DIM(a, 1 - a0)
    job.n = cnp.PyArray_DIM(b, 1 - b0)
    job.a_row = cnp.PyArray_STRIDE(a, a0) // size
    job.a_column = cnp.PyArray_STRIDE(a, 1 - a0) // size
    job.b_row = cnp.PyArray_STRIDE(b, b0) // size
    job.b_column = cnp.PyArray_STRIDE(b, 1 - b0) // size
    cdef cnp.ndarray c = empty_nd(2, [job.m, job.n], cnp.PyArray_TYPE(a))
    job.a, job.b, job.c, job.bias = data(a), data(b), data(c), data(bias)
    job.activation = activation
    # Split columns if that is even, so that each panel is copied once. Otherwise, or with many
    # rows, split rows: two threads that write to the same row compete for its lines of the cache.
    # Never split k: each number of the result is one sum in one order.
    cdef double cost = <double>job.m * job.n * job.k
    cdef int threads = threads_for(cost)
    cdef ptrdiff_t groups = (job.n + COLUMN_GROUP - 1) // COLUMN_GROUP
    job.by_columns = (threads > 1 and (groups % threads == 0 or groups >= 4 * threads)
                      and job.m < MANY_ROWS * threads)
    run(&product_kernel, is_double(a), &job, job.n if job.by_columns else job.m, cost,
        COLUMN_GROUP if job.by_columns else ROW_GROUP)
    return c


cdef int pointwise(pointwise_job *job, int wide, double cost) except -1:
    cdef ptrdiff_t planes = job.batch * job.groups
    cdef ptrdiff_t ranges = (threads_for(cost) + planes - 1) // planes
    # Whole cache lines of pixels.
    job.range = ((job.area + ranges - 1) // ranges + 15) // 16 * 16
    job.ranges = (job.area + job.range - 1) // job.range
    return run(&pointwise_kernel, wide, job, planes * job.ranges, cost)


cdef int pointwise_weights(pointwise_job *job, int wide, double cost) except -1:
    cdef ptrdiff_t size = job.groups * point_sums(job) * (8 if wide else 4)
    job.chunks = chunks_of(min(job.batch, job.batch * job.area // 512), size)
    cdef Block sums = new_block(job.chunks * size)
    job.sums = sums.data
    run(&pointwise_grad_kernel, wide, job, job.chunks * job.groups, cost)
    return run(&pointwise_reduce_kernel, wide, job, job.groups * job.channels,
               <double>job.chunks * size / 8)
