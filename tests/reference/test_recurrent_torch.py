"""Our recurrent layers against PyTorch's, weights copied over, in float64."""

import numpy as np
import pytest

from dlfs.backend import available_backends, use_backend
from dlfs.layers import GRULayer, LSTMLayer, RNNLayer

torch = pytest.importorskip("torch", reason="the comparison needs the extra torch")

# Where PyTorch's gates stand among ours: its LSTM has input before forget.
ORDER = {"rnn": [0], "lstm": [1, 0, 2, 3], "gru": [0, 1, 2]}
TOLERANCE = 1e-10


def rearranged(ours: np.ndarray, kind: str) -> np.ndarray:
    """Return weights (rows, gates * hidden) as PyTorch has them: transposed, in its order."""
    parts = np.split(ours, len(ORDER[kind]), axis=1)
    return np.concatenate([parts[k] for k in ORDER[kind]], axis=1).T.copy()


BACKENDS = [name for name in available_backends() if name in ("fast", "reference")]


@pytest.fixture(params=BACKENDS)
def backend(request):
    with use_backend(request.param):
        yield request.param


def agree(pairs) -> None:
    for name, a, b in pairs:
        difference = np.max(np.abs(a - b.numpy()))
        assert difference <= TOLERANCE, f"{name} differs by {difference}"


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("time", [1, 25])
def test_outputs_and_all_gradients_agree(kind: str, time: int, backend: str) -> None:
    batch, features, hidden = 4, 7, 12
    rng = np.random.default_rng(5)
    layer = {
        "rnn": RNNLayer(hidden),
        "lstm": LSTMLayer(hidden),
        "gru": GRULayer(hidden, reset="after"),
    }[kind]
    layer.seed = 1
    x = rng.standard_normal((batch, time, features))
    layer.set_up(x)
    for param in layer.params:
        param += 0.2 * rng.standard_normal(param.shape)
    recurrence = layer.operations[-1]
    states = tuple(rng.standard_normal((batch, hidden)) for _ in recurrence.state_names)
    recurrence.given = states  # type: ignore[attr-defined]
    W_x, B, W_h = layer.params
    module = getattr(torch.nn, kind.upper())(
        features, hidden, batch_first=True, dtype=torch.float64
    )
    W_h_own = W_h[:hidden]
    b_hh = W_h[hidden:] if kind == "gru" else np.zeros_like(B)
    with torch.no_grad():
        for name, ours in (("weight_ih_l0", W_x), ("weight_hh_l0", W_h_own)):
            getattr(module, name).copy_(torch.from_numpy(rearranged(ours, kind)))
        for name, ours in (("bias_ih_l0", B), ("bias_hh_l0", b_hh)):
            getattr(module, name).copy_(torch.from_numpy(rearranged(ours, kind)[:, 0]))

    theirs_x = torch.from_numpy(x.copy()).requires_grad_()
    theirs_states = [torch.from_numpy(s.copy()[np.newaxis]).requires_grad_() for s in states]
    given = tuple(theirs_states) if kind == "lstm" else theirs_states[0]
    theirs, _ = module(theirs_x, given)
    output_grad = rng.standard_normal((batch, time, hidden))
    theirs.backward(torch.from_numpy(output_grad))

    ours = layer.forward(x)
    input_grad = layer.backward(output_grad)
    W_x_grad, B_grad, W_h_grad = layer.param_grads
    pairs = [
        ("output", ours, theirs.detach()),
        ("input", input_grad, theirs_x.grad),
        ("W_x", rearranged(W_x_grad, kind), module.weight_ih_l0.grad),
        ("W_h", rearranged(W_h_grad[:hidden], kind), module.weight_hh_l0.grad),
        ("B", rearranged(B_grad, kind)[:, 0], module.bias_ih_l0.grad),
    ]
    if kind == "gru":
        pairs.append(("b_hh", rearranged(W_h_grad[hidden:], kind)[:, 0], module.bias_hh_l0.grad))
    for k, state in enumerate(theirs_states):
        pairs.append((f"state {k}", recurrence.initial_grad[k], state.grad[0]))
    agree(pairs)


@pytest.mark.parametrize("time", [1, 25])
def test_the_book_gru_agrees_with_pytorch_automatic_differentiation(
    time: int, backend: str
) -> None:
    """PyTorch's layer has no reset gate before the product: its tensors, step by step, do."""
    batch, features, hidden = 4, 7, 12
    rng = np.random.default_rng(6)
    layer = GRULayer(hidden)
    layer.seed = 1
    x = rng.standard_normal((batch, time, features))
    layer.set_up(x)
    for param in layer.params:
        param += 0.2 * rng.standard_normal(param.shape)
    layer.operations[-1].given = (rng.standard_normal((batch, hidden)),)  # type: ignore[attr-defined]
    output_grad = rng.standard_normal((batch, time, hidden))
    ours = layer.forward(x)
    input_grad = layer.backward(output_grad)

    arrays = [x, *layer.params, layer.operations[-1].given[0]]
    leaves = [torch.from_numpy(array.copy()).requires_grad_() for array in arrays]
    theirs_x, W_x, B, W_h, state = leaves
    h, steps = state, []
    for t in range(time):
        z_r, z_u, z_h = (theirs_x[:, t] @ W_x + B).split(hidden, dim=1)
        W_r, W_u, W_c = W_h.split(hidden, dim=1)
        r, u = torch.sigmoid(z_r + h @ W_r), torch.sigmoid(z_u + h @ W_u)
        h = u * h + (1 - u) * torch.tanh(z_h + (r * h) @ W_c)
        steps.append(h)
    theirs = torch.stack(steps, dim=1)
    theirs.backward(torch.from_numpy(output_grad))
    grads = [input_grad, *layer.param_grads, layer.operations[-1].initial_grad[0]]
    names = ("x", "W_x", "B", "W_h", "state")
    pairs = [(n, a, leaf.grad) for n, a, leaf in zip(names, grads, leaves, strict=True)]
    agree([("output", ours, theirs.detach()), *pairs])
