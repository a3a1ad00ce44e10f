"""Work that is shared out among threads: the same bits for any number of them."""

import numpy as np
import pytest

import dlfs_ext

pytestmark = pytest.mark.usefixtures("isa")

# Large enough for three threads, and odd: the last thread's share is smaller, and ends within a
# vector.
ROWS, FEATURES = 1201, 347
IMAGES = (37, 13, 29, 31)


def activation(name):
    def call(x, g):
        kernel, gradient = getattr(dlfs_ext, name), getattr(dlfs_ext, f"{name}_grad")
        y = kernel(x)
        return y, gradient(g, y if name in ("sigmoid", "tanh") else x)

    return call


def update(name, memories, **options):
    def call(x, g):
        arrays = [x.copy(), *(np.abs(x) + i + 1 for i in range(memories))]
        getattr(dlfs_ext, name)(arrays[0], g, *arrays[1:], **options)
        return arrays

    return call


def batch_norm(x, g):
    output, mean, var, inv_std = dlfs_ext.batch_norm(x)
    affine = dlfs_ext.batch_norm_affine(x, inv_std, mean)
    return (
        *(output, mean, var, inv_std, *affine),
        *dlfs_ext.batch_norm_affine_grad(g, x, inv_std, affine[1], affine[3]),
        dlfs_ext.batch_norm_grad(g, output, inv_std),
        dlfs_ext.batch_norm_inference(x, mean, var),
        dlfs_ext.batch_norm_inference_grad(g, var),
    )


def layer_norm(x, g):
    output, inv_std = dlfs_ext.layer_norm(x)
    gamma = np.ascontiguousarray(g.reshape(-1, g.shape[-1])[:1])
    affine = dlfs_ext.layer_norm_affine(x, gamma, gamma)
    return (
        *(output, inv_std, dlfs_ext.layer_norm_grad(g, output, inv_std), *affine),
        *dlfs_ext.layer_norm_affine_grad(g, x, gamma, *affine[1:]),
    )


def rms_norm(x, g):
    output, inverse = dlfs_ext.rms_norm(x)
    return output, inverse, dlfs_ext.rms_norm_grad(g, output, inverse)


def per_feature(x, g):
    b = np.ascontiguousarray(g[:1].reshape(1, g.shape[1], -1)[:, :, :1])
    b = b.reshape(1, g.shape[1], *[1] * (g.ndim - 2))
    y = dlfs_ext.bias_activation(x, b, "tanh")
    return (
        *(y, *dlfs_ext.bias_activation_grad(g, y, "tanh")),
        *(dlfs_ext.bias_add(x, b), dlfs_ext.bias_add_param_grad(g)),
        *(dlfs_ext.scale_multiply(x, b), dlfs_ext.scale_multiply_param_grad(g, x)),
    )


KERNELS = {
    **{name: activation(name) for name in ("sigmoid", "tanh", "relu", "gelu", "silu")},
    "softmax": lambda x, g: (dlfs_ext.softmax(x), dlfs_ext.softmax_grad(g, dlfs_ext.softmax(x))),
    "dropout": lambda x, g: (dlfs_ext.dropout(x, g > 0, 0.75),),
    "sgd": update("sgd_update", 0, lr=0.1, weight_decay=0.3),
    "momentum": update("sgd_momentum_update", 1, lr=0.1),
    "adam": update("adam_update", 2, t=3, lr=0.1),
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "per_feature": per_feature,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("shape", [(ROWS, FEATURES), IMAGES])
def test_any_number_of_threads_gives_the_same_bits(name, dtype, shape):
    generator = np.random.default_rng(3)
    x, g = (generator.standard_normal(shape).astype(dtype) for _ in range(2))
    before, results = dlfs_ext.get_num_threads(), []
    try:
        for threads in (3, 2, 1):
            dlfs_ext.set_num_threads(threads)
            results.append(KERNELS[name](x, g))
    finally:
        dlfs_ext.set_num_threads(before)
    for others in results[:-1]:
        for one, other in zip(others, results[-1], strict=True):
            np.testing.assert_array_equal(one, other)
