"""Operations beyond their kernels: stored arrays, inference, random masks, running statistics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dlfs import SGD, Dense, NeuralNetwork, Trainer, activations
from dlfs.attention import Attention_Op, RotaryPositions
from dlfs.backend import available_backends, use_backend
from dlfs.base import Operation, ParamOperation
from dlfs.conv import Conv2D_Op, ConvTranspose2D_Op
from dlfs.dense import BiasAdd, WeightMultiply
from dlfs.dropout import Dropout
from dlfs.embedding import Embedding_Op, PositionAdd, SinusoidAdd, TableMultiply
from dlfs.normalization import BatchNorm_Op, GroupNorm_Op, LayerNorm_Op, RMSNorm_Op, ScaleMultiply
from dlfs.pooling import (
    AvgPool1D,
    AvgPool2D,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    MaxPool1D,
    MaxPool2D,
)
from dlfs.recurrent import RNN_Op
from dlfs.reshape import Flatten, LastStep, Reshape, Reverse, Upsample2D
from tests.support.subjects_classes import ACTIVATIONS

ALL = {
    **{name: (getattr(activations, name), (4, 6)) for name in ACTIVATIONS},
    "PReLU_Op": (lambda: activations.PReLU_Op(np.ones((1, 3))), (4, 3)),
    "WeightMultiply": (lambda: WeightMultiply(np.ones((3, 2))), (4, 3)),
    "BiasAdd": (lambda: BiasAdd(np.ones((1, 3))), (4, 3)),
    "Conv2D_Op": (lambda: Conv2D_Op(np.ones((2, 3, 2, 2))), (3, 2, 4, 5)),
    "ConvTranspose2D_Op": (lambda: ConvTranspose2D_Op(np.ones((2, 3, 2, 2))), (3, 2, 4, 5)),
    "Attention_Op": (lambda: Attention_Op(2, causal=True), (3, 5, 12)),
    "RotaryPositions": (lambda: RotaryPositions(2), (3, 5, 24)),
    "PositionAdd": (lambda: PositionAdd(np.ones((6, 4))), (3, 5, 4)),
    "SinusoidAdd": (lambda: SinusoidAdd(6), (3, 5, 4)),
    "TableMultiply": (lambda: TableMultiply(np.ones((6, 3))), (4, 3)),
    "RMSNorm_Op": (RMSNorm_Op, (4, 3)),
    "GroupNorm_Op": (lambda: GroupNorm_Op(2), (3, 4, 2, 3)),
    "Dropout": (lambda: Dropout(0.5, seed=1), (4, 3)),
    "BatchNorm_Op": (BatchNorm_Op, (4, 3)),
    "LayerNorm_Op": (LayerNorm_Op, (4, 3)),
    "ScaleMultiply": (lambda: ScaleMultiply(np.ones((1, 3))), (4, 3)),
    "MaxPool2D": (lambda: MaxPool2D(2), (3, 2, 4, 5)),
    "AvgPool2D": (lambda: AvgPool2D(2), (3, 2, 4, 5)),
    "LastStep": (LastStep, (3, 2, 5)),
    "Reverse": (Reverse, (3, 2, 5)),
    "Upsample2D": (Upsample2D, (3, 2, 4, 5)),
    "MaxPool1D": (lambda: MaxPool1D(2), (3, 2, 5)),
    "AvgPool1D": (lambda: AvgPool1D(2), (3, 2, 5)),
    "GlobalMaxPool2D": (GlobalMaxPool2D, (3, 2, 4, 5)),
    "GlobalAvgPool2D": (GlobalAvgPool2D, (3, 2, 4, 5)),
    "Flatten": (Flatten, (3, 2, 4)),
    "Reshape": (lambda: Reshape((4, -1)), (3, 2, 4)),
}


@pytest.mark.parametrize("name", ALL)
def test_forward_and_backward_are_remembered_and_leave_their_input_alone(name: str) -> None:
    make, shape = ALL[name]
    rng = np.random.default_rng(0)
    operation, x = make(), rng.standard_normal(shape)
    kept = x.copy()
    x.flags.writeable = False
    output = operation.forward(x)
    assert operation.input_ is x
    assert operation.output is output
    grad = rng.standard_normal(output.shape)
    grad_kept = grad.copy()
    grad.flags.writeable = False
    input_grad = operation.backward(grad)
    assert operation.input_grad is input_grad
    assert input_grad.shape == shape
    assert np.array_equal(x, kept)
    assert np.array_equal(grad, grad_kept)
    if hasattr(operation, "param"):
        assert operation.param_grad.shape == operation.param.shape
        before = operation.param_grad
        operation.backward(grad, input_grad=False)
        assert np.array_equal(operation.param_grad, before)


@pytest.mark.parametrize("name", [name for name in ALL if name != "BatchNorm_Op"])
def test_an_empty_batch_goes_both_ways(name: str) -> None:
    make, shape = ALL[name]
    operation = make()
    output = operation.forward(np.zeros((0, *shape[1:])))
    assert output.shape[0] == 0
    assert operation.backward(output.copy()).shape == (0, *shape[1:])
    if hasattr(operation, "param"):
        assert not operation.param_grad.any()


@pytest.mark.parametrize("name", ALL)
def test_backward_takes_the_gradient_of_the_last_forward(name: str) -> None:
    """Two forward passes of different batch sizes: the second is the one that counts."""
    make, shape = ALL[name]
    operation = make()
    operation.forward(np.ones((2 * shape[0], *shape[1:])))
    output = operation.forward(np.random.default_rng(0).standard_normal(shape))
    assert operation.backward(np.ones_like(output)).shape == shape


def test_operations_show_their_arguments() -> None:
    assert repr(activations.LeakyReLU(0.2)) == "LeakyReLU(slope=0.2)"
    assert repr(activations.LeakyReLU()) == "LeakyReLU()"
    assert repr(MaxPool2D((2, 3))) == "MaxPool2D((2, 3), stride=(2, 3))"
    assert repr(Dropout(0.5, seed=3)) == "Dropout(keep_prob=0.5, seed=3)"
    assert repr(WeightMultiply(np.ones((3, 2)))) == "WeightMultiply(3x2)"
    assert repr(Reshape((1, 28, -1))) == "Reshape((1, 28, -1))"


# --- sequences ---


def test_weights_and_bias_are_shared_by_the_steps_of_a_sequence() -> None:
    rng = np.random.default_rng(0)
    x, grad = rng.integers(-3, 4, (2, 5, 3)).astype(float), rng.integers(-3, 4, (2, 5, 4)) * 1.0
    W, B = rng.integers(-3, 4, (3, 4)).astype(float), rng.integers(-3, 4, (1, 4)).astype(float)
    multiply, add, scale = WeightMultiply(W), BiasAdd(B), ScaleMultiply(B)
    out = scale.forward(add.forward(multiply.forward(x)))
    assert np.array_equal(out, (np.einsum("ntf,fo->nto", x, W) + B) * B)
    back = add.backward(scale.backward(grad))
    assert np.array_equal(back, grad * B)
    assert np.array_equal(scale.param_grad, np.einsum("nto,nto->o", grad, add.output)[None])
    assert np.array_equal(add.param_grad, (grad * B).sum(axis=(0, 1))[None])
    assert np.array_equal(multiply.backward(back), np.einsum("nto,fo->ntf", back, W))
    assert np.array_equal(multiply.param_grad, np.einsum("ntf,nto->fo", x, back))


# --- dropout ---


@given(st.floats(0.05, 0.95), st.integers(0, 2**32))
def test_dropout_keeps_about_the_share_that_it_should(keep_prob: float, seed: int) -> None:
    dropout = Dropout(keep_prob, seed=seed)
    output = dropout.forward(np.ones((100, 100)))
    kept = dropout.mask.sum()
    # six standard deviations of a binomial
    assert abs(kept - 1e4 * keep_prob) < 6 * (1e4 * keep_prob * (1 - keep_prob)) ** 0.5
    np.testing.assert_allclose(output[dropout.mask], 1 / keep_prob, rtol=1e-14)
    assert not output[~dropout.mask].any()


def test_dropout_passes_back_what_it_let_through() -> None:
    dropout = Dropout(0.5, seed=1)
    output = dropout.forward(np.ones((5, 5)))
    assert np.array_equal(dropout.backward(np.ones((5, 5))), output)
    again = dropout.forward(np.ones((5, 5)))
    assert not np.array_equal(again, output), "each pass has a mask of its own"


def test_dropout_does_nothing_in_inference() -> None:
    dropout, x = Dropout(0.5, seed=1), np.random.default_rng(0).standard_normal((5, 5))
    assert np.array_equal(dropout.forward(x, inference=True), x)
    assert np.array_equal(dropout.backward(x), x)
    state = dropout.rng.bit_generator.state
    dropout.forward(x, inference=True)
    assert dropout.rng.bit_generator.state == state, "inference draws nothing"


def test_one_seed_gives_one_series_of_masks_in_either_dtype() -> None:
    def masks(dtype: type) -> list[np.ndarray]:
        dropout = Dropout(0.7, seed=5)
        found = []
        for _ in range(3):
            dropout.forward(np.ones((4, 4), dtype=dtype))
            found.append(dropout.mask)
        return found

    assert np.array_equal(masks(np.float64), masks(np.float64))
    assert np.array_equal(masks(np.float64), masks(np.float32))


def test_keeping_all_changes_nothing() -> None:
    x = np.random.default_rng(0).standard_normal((5, 5))
    assert np.array_equal(Dropout(1.0, seed=0).forward(x), x)


# --- batch normalization ---


@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 4, 5)])
def test_running_statistics_are_exponential_averages_and_used_in_inference(shape) -> None:
    rng = np.random.default_rng(0)
    norm = BatchNorm_Op(momentum=0.3, eps=1e-3)
    axes = (0, *range(2, len(shape)))
    mean, var = np.zeros(3), np.ones(3)
    for _ in range(4):
        x = 2 + 3 * rng.standard_normal(shape)
        norm.forward(x)
        mean = 0.7 * mean + 0.3 * x.mean(axis=axes)
        var = 0.7 * var + 0.3 * x.var(axis=axes, ddof=1)
    np.testing.assert_allclose(norm.running_mean.ravel(), mean, rtol=1e-12)
    np.testing.assert_allclose(norm.running_var.ravel(), var, rtol=1e-12)
    assert set(norm.state()) == {"running_mean", "running_var"}
    before = {name: array.copy() for name, array in norm.state().items()}
    one = rng.standard_normal((1, *shape[1:]))
    output = norm.forward(one, inference=True)
    per_feature = (1, 3) + (1,) * (len(shape) - 2)
    expected = (one - mean.reshape(per_feature)) / np.sqrt(var.reshape(per_feature) + 1e-3)
    np.testing.assert_allclose(output, expected, rtol=1e-12)
    grad = rng.standard_normal(one.shape)
    np.testing.assert_allclose(
        norm.backward(grad), grad / np.sqrt(var.reshape(per_feature) + 1e-3), rtol=1e-12
    )
    for name, array in norm.state().items():
        assert np.array_equal(array, before[name]), "inference changes no statistic"


@pytest.mark.parametrize("backend", available_backends())
@pytest.mark.parametrize("pixels", [(), (1,), (1, 1), (2, 3)])
@given(counts=st.lists(st.integers(1, 5), min_size=1, max_size=8), seed=st.integers(0, 2**32))
def test_only_batches_of_several_numbers_move_the_running_variance(
    backend: str, pixels: tuple[int, ...], counts: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    axes = (0, *range(2, 2 + len(pixels)))
    mean, var = np.zeros(2), np.ones(2)
    norm = BatchNorm_Op(momentum=0.2)
    with use_backend(backend):
        for count in counts:
            x = rng.standard_normal((count, 2, *pixels)) + 3
            norm.forward(x)
            mean = 0.8 * mean + 0.2 * x.mean(axis=axes)
            if x.size // 2 > 1:
                var = 0.8 * var + 0.2 * x.var(axis=axes, ddof=1)
    np.testing.assert_allclose(norm.running_mean.ravel(), mean, rtol=1e-12)
    np.testing.assert_allclose(norm.running_var.ravel(), var, rtol=1e-12)


def test_a_last_batch_of_one_row_leaves_the_variance_near_the_truth() -> None:
    X = np.random.default_rng(0).standard_normal((41, 3)) * 5
    net = NeuralNetwork([BatchNorm_Op(), Dense(1)], seed=1)
    Trainer(net, SGD(1e-3)).fit(X, X[:, :1], epochs=60, batch_size=20, verbose=0)
    (norm,) = net.layers[0].operations
    ratio = norm.running_var.ravel() / X.var(axis=0, ddof=1)
    assert np.all(np.abs(ratio - 1) < 0.15), ratio


def test_batch_normalization_refuses_another_number_of_features() -> None:
    norm = BatchNorm_Op()
    norm.forward(np.ones((4, 3)))
    with pytest.raises(ValueError, match="must have 3 features and 2 dimensions as before"):
        norm.forward(np.ones((4, 2)))
    with pytest.raises(ValueError, match="must have 3 features and 2 dimensions as before"):
        norm.forward(np.ones((4, 3, 5, 5)))


# --- embedding ---


def test_embedding_has_a_gradient_for_its_table_and_none_for_integers() -> None:
    look_up = Embedding_Op(np.arange(6.0).reshape(3, 2))
    indices = np.array([[0, 2], [2, 2]])
    assert look_up.forward(indices).tolist() == [[[0, 1], [4, 5]], [[4, 5], [4, 5]]]
    assert not look_up.backward(np.ones((2, 2, 2))).any()
    assert look_up.param_grad.tolist() == [[1, 1], [0, 0], [3, 3]]
    assert look_up.backward(np.ones((2, 2, 2), dtype=np.float32)).dtype == np.float32


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_one_row_of_a_first_state_serves_every_sequence(batch: int) -> None:
    rng = np.random.default_rng(0)
    W_h, h0, z = (rng.standard_normal(shape) for shape in ((2, 2), (1, 2), (batch, 4, 2)))
    shared, each = RNN_Op(W_h, h0), RNN_Op(W_h, np.repeat(h0, batch, axis=0))
    np.testing.assert_array_equal(shared.forward(z), each.forward(z))


# --- reshape ---


@given(hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=3))
def test_flatten_and_reshape_are_each_others_inverse(shape: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(float)
    flatten = Flatten()
    flat = flatten.forward(x)
    assert flat.shape == (shape[0], int(np.prod(shape[1:])))
    assert np.array_equal(flatten.backward(flat), x)
    if 0 not in shape[1:]:
        back = Reshape(shape[1:])
        assert np.array_equal(back.forward(flat), x)
        assert np.array_equal(back.backward(x), flat)


def test_one_size_is_worked_out_even_for_an_empty_batch() -> None:
    assert Reshape((2, -1)).forward(np.zeros((0, 6))).shape == (0, 2, 3)


# --- kinks ---


def test_smooth_operations_have_no_kink_and_others_say_how_far_it_is() -> None:
    x = np.array([[-2.0, 0.5, 0.0]])
    assert np.isinf(activations.Tanh().distance_to_kink(x)).all()
    for kinked in (activations.ReLU(), activations.LeakyReLU(), activations.ELU(2.0)):
        assert kinked.distance_to_kink(x).tolist() == [[2.0, 0.5, 0.0]]


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_a_pool_chooses_the_same_pixels_within_the_distance_to_its_kink(
    seed: int, kernel: int, stride: int, padded: bool
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 2, 5, 4))
    pool = MaxPool2D(kernel, stride, padding=kernel // 2 if padded else 0)
    pool.forward(x)
    chosen = pool._positions.copy()
    distance = np.minimum(pool.distance_to_kink(x), 10.0)
    assert distance.shape == x.shape
    for _ in range(5):
        pool.forward(x + 0.999 * distance * rng.uniform(-1, 1, x.shape))
        assert np.array_equal(pool._positions, chosen)


def test_a_base_operation_is_smooth_and_has_no_state() -> None:
    assert np.isinf(Operation().distance_to_kink(np.ones((2, 2)))).all()
    assert Operation().state() == {}


def test_a_method_that_nobody_wrote_is_named() -> None:
    class Bare(Operation):
        pass

    class Forward(ParamOperation):
        def _output(self) -> np.ndarray:
            return self.input_

    class NoParam(Forward):
        def _input_grad(self, output_grad: np.ndarray) -> np.ndarray:
            return output_grad

    one = np.ones((1, 1))
    with pytest.raises(NotImplementedError, match=r"^Bare must define _output\(\)"):
        Bare().forward(one)
    for operation, method in ((Forward(one), "_input_grad"), (NoParam(one), "_param_grad")):
        operation.forward(one)
        words = rf"^{type(operation).__name__} must define {method}\(output_grad\)"
        with pytest.raises(NotImplementedError, match=words):
            operation.backward(one)


def test_a_recurrence_refuses_another_dtype_than_that_of_its_weights() -> None:
    W_h, h0 = np.zeros((2, 2)), np.zeros((1, 2), dtype=np.float32)
    words = "all arrays must have the same dtype, got W_h float64, h0 float32"
    with pytest.raises(TypeError, match=f"^RNN_Op: {words}"):
        RNN_Op(W_h, h0)
    words = "all arrays must have the same dtype, got input_ float32, W_h float64"
    with pytest.raises(TypeError, match=f"^RNN_Op: {words}"):
        RNN_Op(W_h).forward(np.zeros((1, 3, 2), dtype=np.float32))


def test_running_statistics_are_none_before_the_first_batch() -> None:
    assert BatchNorm_Op().state() == {}


@pytest.mark.parametrize("name", ALL)
def test_the_dtype_is_kept(name: str) -> None:
    """Parameters are converted to float32, as in a network of that dtype."""
    make, shape = ALL[name]
    operation = make()
    if hasattr(operation, "param"):
        operation.param = operation.param.astype(np.float32)
    with use_backend("reference"):
        output = operation.forward(np.ones(shape, dtype=np.float32))
        assert output.dtype == np.float32
        assert operation.backward(np.ones_like(output)).dtype == np.float32
        inference = operation.forward(np.ones(shape, dtype=np.float32), inference=True)
        assert inference.dtype == np.float32
    for array in operation.state().values():
        assert array.dtype == np.float32
