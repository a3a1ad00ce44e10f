"""Batch, layer and root-mean-square normalization: dlfs.reference.normalization, compiled."""

cimport numpy as cnp
from libc.math cimport INFINITY
from libc.string cimport memcpy

from dlfs import reference
from dlfs.checks import check_real
from dlfs.named_axes import check_arrays
from dlfs.reference.dense import FEATURES, PER_FEATURE
from dlfs.reference.normalization import ROWS
from dlfs_ext.fallback import take_over

from dlfs_ext.arrays cimport c_array, data, input_t, is_double, output_t
from dlfs_ext.elementwise cimport DEAR, by_rows, elementwise
from dlfs_ext.features cimport (
    by_feature, inner_size, map_features, per_feature, sum_features,
)
from dlfs_ext.instructions cimport isa_level
from dlfs_ext.memory cimport empty_like, empty_nd
from dlfs_ext.threads cimport kernel, run

cnp.import_array()

cdef extern from "elementwise/normalization.h" nogil:
    enum:
        DLFS_ROWS_TOGETHER
    ctypedef struct affine_job:
        input_t x, grad, gamma, beta
        output_t out, mean, var, inverse, gamma_grad, beta_grad
        ptrdiff_t outer, features, inner
        double eps
    ctypedef void divide_fn(void *sums, ptrdiff_t n, double count) noexcept
    divide_fn *divide_table[3][2]
    kernel sum_first_kernel, sum_products_kernel, sum_squares_kernel
    kernel inverse_deviation_kernel, normalize_kernel, normalize_grad_kernel, rescale_kernel
    kernel layer_norm_kernel, layer_norm_grad_kernel, rms_norm_kernel, rms_norm_grad_kernel
    kernel batch_norm_affine_kernel, batch_norm_affine_grad_kernel
    kernel layer_norm_affine_kernel, layer_norm_affine_grad_kernel


def batch_norm(x, eps=1e-5):
    check_arrays("batch_norm", x=(x, FEATURES))
    eps = checked_eps(eps, "batch_norm")
    cdef cnp.ndarray source = c_array(x)
    if cnp.PyArray_DIM(source, 0) * inner_size(source) == 0:
        raise nothing_to_average("batch_norm", x)
    cdef cnp.ndarray mean = mean_of(&sum_first_kernel, source, None, None, 1)
    cdef cnp.ndarray var = mean_of(&sum_squares_kernel, source, None, mean, 2)
    cdef cnp.ndarray inv_std = inverse_deviation(var, eps)
    if not all_positive(inv_std):
        return take_over(reference.batch_norm, x, eps)
    out = map_features(&normalize_kernel, source, None, mean, inv_std, None, 2)
    return out, mean, var, inv_std


def batch_norm_grad(output_grad, output, inv_std):
    check_arrays("batch_norm_grad", output=(output, FEATURES), inv_std=(inv_std, PER_FEATURE),
                 output_grad=(output_grad, FEATURES))
    cdef cnp.ndarray g = c_array(output_grad), y = c_array(output)
    mean = mean_of(&sum_first_kernel, g, None, None, 1)
    product = mean_of(&sum_products_kernel, g, y, None, 2)
    return map_features(&normalize_grad_kernel, g, y, mean, product, c_array(inv_std), 3)


cdef cnp.ndarray mean_of(const kernel *which, cnp.ndarray x, object y, object p, int cost):
    """The mean of the terms over all axes but the second."""
    cdef cnp.ndarray sums = sum_features(which, x, y, p, None, cost)
    divide_table[isa_level][is_double(x)](
        cnp.PyArray_DATA(sums), x.shape[1], x.shape[0] * inner_size(x))
    return sums


def batch_norm_inference(x, mean, var, eps=1e-5):
    check_arrays("batch_norm_inference", x=(x, FEATURES), mean=(mean, PER_FEATURE),
                 var=(var, PER_FEATURE))
    eps = checked_eps(eps, "batch_norm_inference")
    return map_features(&normalize_kernel, c_array(x), None, c_array(mean),
                        inverse_deviation(var, eps), None, 2)


def batch_norm_inference_grad(output_grad, var, eps=1e-5):
    check_arrays("batch_norm_inference_grad", output_grad=(output_grad, FEATURES),
                 var=(var, PER_FEATURE))
    eps = checked_eps(eps, "batch_norm_inference_grad")
    return map_features(&rescale_kernel, c_array(output_grad), None, inverse_deviation(var, eps),
                        None, None, 1)


cdef cnp.ndarray inverse_deviation(object var, double eps):
    return elementwise(&inverse_deviation_kernel, var, None, eps, DEAR)


def batch_norm_affine(x, gamma, beta, eps=1e-5):
    owner = "batch_norm_affine"
    check_arrays(owner, x=(x, FEATURES), gamma=(gamma, PER_FEATURE), beta=(beta, PER_FEATURE))
    eps = checked_eps(eps, owner)
    cdef cnp.ndarray source = c_array(x), scale = c_array(gamma), shift = c_array(beta)
    cdef cnp.ndarray out = empty_like(source), mean = per_feature(source)
    cdef cnp.ndarray var = per_feature(source), inv_std = per_feature(source)
    cdef affine_job job
    job.x, job.gamma, job.beta, job.eps = data(source), data(scale), data(shift), eps
    job.out, job.mean, job.var, job.inverse = data(out), data(mean), data(var), data(inv_std)
    job.outer, job.features, job.inner = source.shape[0], source.shape[1], inner_size(source)
    if job.outer * job.inner == 0:
        raise nothing_to_average(owner, x)
    by_feature(&batch_norm_affine_kernel, source, &job, 5)
    if not all_positive(inv_std):
        return take_over(reference.batch_norm_affine, x, gamma, beta, eps)
    return out, mean, var, inv_std


def batch_norm_affine_grad(output_grad, x, gamma, mean, inv_std):
    check_arrays("batch_norm_affine_grad", x=(x, FEATURES), gamma=(gamma, PER_FEATURE),
                 mean=(mean, PER_FEATURE), inv_std=(inv_std, PER_FEATURE),
                 output_grad=(output_grad, FEATURES))
    cdef cnp.ndarray g = c_array(output_grad), source = c_array(x), scale = c_array(gamma)
    cdef cnp.ndarray centre = c_array(mean), inverse = c_array(inv_std), out = empty_like(source)
    cdef cnp.ndarray gamma_grad = per_feature(source), beta_grad = per_feature(source)
    cdef affine_job job
    job.x, job.grad, job.gamma, job.out = data(source), data(g), data(scale), data(out)
    job.mean, job.inverse = data(centre), data(inverse)
    job.gamma_grad, job.beta_grad = data(gamma_grad), data(beta_grad)
    job.outer, job.features, job.inner = source.shape[0], source.shape[1], inner_size(source)
    by_feature(&batch_norm_affine_grad_kernel, source, &job, 6)
    return out, gamma_grad, beta_grad


def layer_norm(x, eps=1e-5):
    return normalized(&layer_norm_kernel, x, eps, reference.layer_norm)


def layer_norm_grad(output_grad, output, inv_std):
    check_arrays("layer_norm_grad", output=(output, ROWS), inv_std=(inv_std, "batch ... 1"),
                 output_grad=(output_grad, ROWS))
    return normalized_grad(&layer_norm_grad_kernel, output_grad, output, inv_std)


def layer_norm_affine(x, gamma, beta, eps=1e-5):
    owner = "layer_norm_affine"
    check_arrays(owner, x=(x, ROWS), gamma=(gamma, "1 features"), beta=(beta, "1 features"))
    eps = checked_eps(eps, owner)
    cdef cnp.ndarray source = c_array(x), scale = c_array(gamma), shift = c_array(beta)
    if cnp.PyArray_SIZE(scale) == 0:
        raise nothing_to_average(owner, x)
    cdef cnp.ndarray out = empty_like(source), mean = per_row(source), inv_std = per_row(source)
    cdef affine_job job
    job.x, job.gamma, job.beta, job.eps = data(source), data(scale), data(shift), eps
    job.out, job.mean, job.inverse = data(out), data(mean), data(inv_std)
    job.outer, job.features = cnp.PyArray_SIZE(mean), cnp.PyArray_SIZE(scale)
    run(&layer_norm_affine_kernel, is_double(source), &job, job.outer,
        <double>cnp.PyArray_SIZE(source) * 5)
    if not all_positive(inv_std):
        return take_over(reference.layer_norm_affine, x, gamma, beta, eps)
    return out, mean, inv_std


def layer_norm_affine_grad(output_grad, x, gamma, mean, inv_std):
    check_arrays("layer_norm_affine_grad", x=(x, ROWS), gamma=(gamma, "1 features"),
                 mean=(mean, "batch ... 1"), inv_std=(inv_std, "batch ... 1"),
                 output_grad=(output_grad, ROWS))
    cdef cnp.ndarray g = c_array(output_grad), source = c_array(x), scale = c_array(gamma)
    cdef cnp.ndarray centre = c_array(mean), inverse = c_array(inv_std), out = empty_like(source)
    cdef ptrdiff_t rows = cnp.PyArray_SIZE(centre), features = cnp.PyArray_SIZE(scale)
    cdef ptrdiff_t tasks = (rows + DLFS_ROWS_TOGETHER - 1) // DLFS_ROWS_TOGETHER
    cdef cnp.ndarray gammas = empty_nd(2, [tasks, features], cnp.PyArray_TYPE(source))
    cdef cnp.ndarray betas = empty_like(gammas)
    cdef affine_job job
    job.x, job.grad, job.gamma, job.out = data(source), data(g), data(scale), data(out)
    job.mean, job.inverse = data(centre), data(inverse)
    job.gamma_grad, job.beta_grad = data(gammas), data(betas)
    job.outer, job.features = rows, features
    run(&layer_norm_affine_grad_kernel, is_double(source), &job, tasks,
        <double>cnp.PyArray_SIZE(source) * 6)
    return (out, sum_features(&sum_first_kernel, gammas, None, None, None, 1),
            sum_features(&sum_first_kernel, betas, None, None, None, 1))


def rms_norm(x, eps=1e-6):
    return normalized(&rms_norm_kernel, x, eps, reference.rms_norm)


def rms_norm_grad(output_grad, output, inv_rms):
    check_arrays("rms_norm_grad", output=(output, ROWS), inv_rms=(inv_rms, "batch ... 1"),
                 output_grad=(output_grad, ROWS))
    return normalized_grad(&rms_norm_grad_kernel, output_grad, output, inv_rms)


cdef tuple normalized(const kernel *which, object x, object eps, object function):
    """Normalize each row; return the output and what each row was multiplied by."""
    owner = function.__name__
    check_arrays(owner, x=(x, ROWS))
    eps = checked_eps(eps, owner)
    if cnp.PyArray_DIM(x, cnp.PyArray_NDIM(x) - 1) == 0:
        raise nothing_to_average(owner, x)
    cdef cnp.ndarray inverse = per_row(x), out = by_rows(which, x, None, inverse, eps, 5)
    return (out, inverse) if all_positive(inverse) else take_over(function, x, eps)


cdef cnp.ndarray normalized_grad(const kernel *which, object output_grad, object output,
                                 object inverse):
    if cnp.PyArray_SIZE(output) == 0:
        return empty_like(output)
    return by_rows(which, output_grad, output, c_array(inverse), 0, 5)


cdef double checked_eps(object eps, str owner) except -1:
    if type(eps) is float and 0 < <double>eps < INFINITY:
        return eps
    return check_real(eps, owner, "eps", 0.0, low_open=True)


cdef object nothing_to_average(str owner, object x):
    return ValueError(f"{owner}: there is nothing to average over (shape {x.shape})")


cdef bint all_positive(cnp.ndarray inv_std) noexcept:
    """False if a variance overflowed (1 / inf) or is nan; then the reference computes it again."""
    cdef ptrdiff_t i, n = cnp.PyArray_SIZE(inv_std)
    cdef const float *narrow = <const float *>cnp.PyArray_DATA(inv_std)
    cdef const double *wide = <const double *>cnp.PyArray_DATA(inv_std)
    cdef bint good = True
    if is_double(inv_std):
        for i in range(n):
            good = good & (wide[i] > 0)
    else:
        for i in range(n):
            good = good & (narrow[i] > 0)
    return good


cdef cnp.ndarray per_row(cnp.ndarray x):
    """An array of shape (batch, ..., 1)."""
    cdef cnp.npy_intp[64] shape
    cdef int ndim = cnp.PyArray_NDIM(x)
    memcpy(shape, cnp.PyArray_DIMS(x), ndim * sizeof(cnp.npy_intp))
    shape[ndim - 1] = 1
    return empty_nd(ndim, shape, cnp.PyArray_TYPE(x))
