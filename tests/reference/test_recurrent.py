"""The recurrent kernels: against nodes step by step, and against finite differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlfs import reference as kernels
from dlfs.gradcheck import check_gradients
from dlfs.layers import GRULayer, LSTMLayer, RNNLayer
from dlfs.recurrent.cells import GRUNode, LSTMNode, RNNNode
from tests.support.arrays import assert_within, drawn, dtypes, layouts, seeds, watched

KINDS = ("rnn", "lstm", "gru before", "gru after")
COLUMNS = {"rnn": 1, "lstm": 4, "gru before": 3, "gru after": 3}


def states_of(kind: str) -> int:
    return 2 if kind == "lstm" else 1


def forward(kind: str, z, *states_and_weights):
    """Return all that the kernel returns, the output first."""
    if kind.startswith("gru"):
        return kernels.gru(z, *states_and_weights, kind.split()[1])
    result = getattr(kernels, kind)(z, *states_and_weights)
    return result if isinstance(result, tuple) else (result,)


def backward(kind: str, output_grad, ends, kept, states, W_h):
    if kind.startswith("gru"):
        return kernels.gru_grad(output_grad, *ends, *kept, *states, W_h, kind.split()[1])
    return getattr(kernels, f"{kind}_grad")(output_grad, *ends, *kept, *states, W_h)


def weight_shape(kind: str, hidden: int) -> tuple[int, int]:
    return (hidden + (kind == "gru after"), COLUMNS[kind] * hidden)


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(0, 3), st.integers(0, 5), st.integers(1, 3), seeds, dtypes, layouts)
def test_kernels_keep_their_hands_off_and_their_dtype(
    kind: str, batch: int, time: int, hidden: int, seed: int, dtype, layout: str
) -> None:
    rng = np.random.default_rng(seed)
    z = drawn(rng, (batch, time, COLUMNS[kind] * hidden), dtype, layout)
    states = [drawn(rng, (batch, hidden), dtype, layout) for _ in range(states_of(kind))]
    ends = [drawn(rng, (batch, hidden), dtype, layout) for _ in range(states_of(kind))]
    W_h = drawn(rng, weight_shape(kind, hidden), dtype, layout)
    kept = watched(lambda *arrays: forward(kind, *arrays), z, *states, W_h)
    grad = drawn(rng, (batch, time, hidden), dtype, layout)
    grads = backward(kind, grad, ends, kept, states, W_h)
    assert kept[0].shape == grad.shape
    wanted = [z.shape, *(state.shape for state in states), W_h.shape]
    assert [g.shape for g in grads] == wanted
    assert all(g.dtype == dtype for g in grads)


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(0, 99))
def test_gradients_of_input_states_and_weights(
    kind: str, batch: int, time: int, hidden: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((batch, time, COLUMNS[kind] * hidden))
    states = [rng.standard_normal((batch, hidden)) for _ in range(states_of(kind))]
    W_h = rng.standard_normal(weight_shape(kind, hidden))
    ends_at = [rng.standard_normal((batch, hidden)) for _ in states]

    def run(z, *rest):
        return forward(kind, z, *rest)[0]

    def back(output_grad, z, *rest):
        *states, W_h = rest
        ends = [np.zeros_like(state) for state in states]
        return backward(kind, output_grad, ends, forward(kind, z, *rest), states, W_h)

    check_gradients((run, back), (z, *states, W_h), max_entries=20).raise_if_failed()

    # The final state matters as well: later steps may depend on it.
    def end(z, *rest):
        kept = forward(kind, z, *rest)
        final = [steps[:, -1] for steps in kept[: len(ends_at)]]
        return np.asarray(sum(np.sum(a * b) for a, b in zip(ends_at, final, strict=True)))

    def end_back(output_grad, z, *rest):
        *states, W_h = rest
        kept = forward(kind, z, *rest)
        ends = [output_grad * grad for grad in ends_at]
        return backward(kind, np.zeros_like(kept[0]), ends, kept, states, W_h)

    check_gradients((end, end_back), (z, *states, W_h), max_entries=20).raise_if_failed()


def make_layer(kind: str, **options):
    if kind.startswith("gru"):
        return GRULayer(reset=kind.split()[1], **options)
    return {"rnn": RNNLayer, "lstm": LSTMLayer}[kind](**options)


def make_node(kind: str):
    if kind.startswith("gru"):
        return GRUNode(kind.split()[1])
    return {"rnn": RNNNode, "lstm": LSTMNode}[kind]()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("output_size", [None, 3])
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), seeds)
def test_nodes_one_after_the_other_are_the_layer(
    kind: str, output_size: int | None, batch: int, time: int, hidden: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    layer = make_layer(kind, hidden_size=hidden, output_size=output_size, weight_scale=0.7)
    layer.seed = seed
    x = rng.standard_normal((batch, time, 2))
    output = layer.forward(x)
    for param in layer.params:  # biases too
        param += 0.1 * rng.standard_normal(param.shape)
    output = layer.forward(x)
    output_grad = rng.standard_normal(output.shape)
    input_grad = layer.backward(output_grad)

    params = layer.params_dict()
    nodes = [make_node(kind) for _ in range(time)]
    state = [np.zeros((batch, hidden)) for _ in range(states_of(kind))]
    for t, node in enumerate(nodes):
        out, *state = node.forward(x[:, t], *state, params)
        np.testing.assert_allclose(out, output[:, t], rtol=1e-12, atol=1e-13)
    grads = [np.zeros((batch, hidden)) for _ in range(states_of(kind))]
    for t in reversed(range(time)):
        x_grad, *grads = nodes[t].backward(output_grad[:, t], *grads, params)
        np.testing.assert_allclose(x_grad, input_grad[:, t], rtol=1e-11, atol=1e-12)
    names = ["W_x", "B", "W_h", "W_v", "B_v"][: len(layer.params)]
    for name, grad in zip(names, layer.param_grads, strict=True):
        np.testing.assert_allclose(params[name]["deriv"], grad, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_sequence_is_two_short_ones(kind: str) -> None:
    rng = np.random.default_rng(3)
    z = rng.standard_normal((2, 7, COLUMNS[kind] * 3))
    states = [rng.standard_normal((2, 3)) for _ in range(states_of(kind))]
    W_h = rng.standard_normal(weight_shape(kind, 3))
    whole = forward(kind, z, *states, W_h)
    first = forward(kind, z[:, :4], *states, W_h)
    between = [first[0][:, -1], first[1][:, -1]] if kind == "lstm" else [first[0][:, -1]]
    second = forward(kind, z[:, 4:], *between, W_h)
    eps = float(np.finfo(np.float64).eps)
    joined = np.concatenate([first[0], second[0]], axis=1)
    assert_within(joined, whole[0], 7 * 4 * eps)


@pytest.mark.parametrize("kind", KINDS)
def test_huge_inputs_saturate_without_a_warning(kind: str) -> None:
    z = np.full((1, 2, COLUMNS[kind]), 1e4)
    states = [np.zeros((1, 1)) for _ in range(states_of(kind))]
    W_h = np.full(weight_shape(kind, 1), -1e4)
    with np.errstate(all="raise"):
        output = forward(kind, z, *states, W_h)[0]
    assert np.isfinite(output).all()


def test_the_update_gate_has_weights_of_its_own() -> None:
    """In the book's code it is computed from the reset gate's sums."""
    z = np.zeros((1, 1, 3))
    z[..., 1] = 2.0
    _, gates = kernels.gru(z, np.ones((1, 1)), np.zeros((1, 3)))
    reset, update = gates[0, 0, 0], gates[0, 0, 1]
    assert reset == 0.5
    assert update > 0.8


def test_wrong_shapes_are_named() -> None:
    W, z, h = np.zeros((2, 8)), np.zeros((3, 4, 8)), np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"lstm: h0 must have shape \(3, 2\), got \(2, 2\)"):
        kernels.lstm(z, h[:2], h, W)
    with pytest.raises(ValueError, match=r"lstm: z must have shape \(batch, time, 8\), got"):
        kernels.lstm(z[:, :, :7], h, h, W)
    with pytest.raises(ValueError, match="lstm: W_h must have shape"):
        kernels.lstm(z, h, h, W[:1])
    with pytest.raises(ValueError, match=r"gru: W_h must have shape \(hidden \+ 1, 3 \* hidden\)"):
        kernels.gru(np.zeros((3, 4, 6)), h, np.zeros((2, 6)), "after")
    with pytest.raises(ValueError, match="gru: reset must be one of 'before', 'after'"):
        kernels.gru(np.zeros((3, 4, 6)), h, np.zeros((2, 6)), "between")
    with pytest.raises(TypeError, match="rnn: all arrays must have the same dtype"):
        kernels.rnn(z, np.zeros((3, 8), dtype=np.float32), np.zeros((8, 8)))
    with pytest.raises(ValueError, match="lstm_grad: gates must have shape"):
        kernels.lstm_grad(z[..., :2], h, h, z[..., :2], z[..., :2], z, h, h, W)
