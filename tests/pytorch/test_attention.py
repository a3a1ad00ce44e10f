"""Attention and what stands around it against PyTorch, weights copied over, in float64."""

import numpy as np
import pytest

from dlfs.attention import Attention_Op
from dlfs.backend import available_backends, use_backend
from dlfs.layers import (
    LayerNorm,
    PositionEmbedding,
    Residual,
    SelfAttention,
    TiedEmbedding,
    TransformerBlock,
)
from dlfs.losses import SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork

torch = pytest.importorskip("torch", reason="the comparison needs the extra torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from dlfs.pytorch import from_torch, to_torch  # noqa: E402

TOLERANCE = 1e-10
BACKENDS = [name for name in available_backends() if name in ("fast", "reference")]


@pytest.fixture(params=BACKENDS)
def backend(request):
    with use_backend(request.param):
        yield request.param


def agree(found: np.ndarray, theirs) -> None:
    assert np.abs(found - theirs.detach().numpy()).max() <= TOLERANCE


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("batch", "time"), [(3, 20), (1, 600)])
def test_attention_and_its_gradient_agree(batch, time, causal, backend) -> None:
    heads, width = 4, 8
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, time, 3 * heads * width))
    grad = rng.standard_normal((batch, time, heads * width))
    operation = Attention_Op(heads, causal)
    output, input_grad = operation.forward(x), operation.backward(grad)

    theirs = torch.from_numpy(x).requires_grad_()
    q, k, v = (
        part.reshape(batch, time, heads, width).transpose(1, 2) for part in theirs.chunk(3, dim=2)
    )
    found = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
    found = found.transpose(1, 2).reshape(batch, time, heads * width)
    found.backward(torch.from_numpy(grad))
    agree(output, found)
    agree(input_grad, theirs.grad)


@pytest.mark.parametrize("causal", [False, True])
def test_a_layer_agrees_with_multihead_attention(causal, backend) -> None:
    batch, time, features, heads = 3, 11, 12, 3
    rng = np.random.default_rng(1)
    x, grad = rng.standard_normal((2, batch, time, features))
    layer = SelfAttention(heads, causal)
    layer.set_up(x)
    for param in layer.params:
        param[...] = rng.standard_normal(param.shape)
    module = nn.MultiheadAttention(features, heads, batch_first=True, dtype=torch.float64)
    W_in, B_in, W_out, B_out = (torch.from_numpy(param) for param in layer.params)
    with torch.no_grad():
        module.in_proj_weight.copy_(W_in.T)
        module.in_proj_bias.copy_(B_in[0])
        module.out_proj.weight.copy_(W_out.T)
        module.out_proj.bias.copy_(B_out[0])
    output, input_grad = layer.forward(x), layer.backward(grad)

    theirs = torch.from_numpy(x).requires_grad_()
    mask = torch.triu(torch.ones(time, time, dtype=torch.bool), 1) if causal else None
    found, _ = module(theirs, theirs, theirs, attn_mask=mask, need_weights=False)
    found.backward(torch.from_numpy(grad))
    agree(output, found)
    agree(input_grad, theirs.grad)
    for param_grad, other in zip(
        layer.param_grads,
        (
            module.in_proj_weight.grad.T,
            module.in_proj_bias.grad[None],
            module.out_proj.weight.grad.T,
            module.out_proj.bias.grad[None],
        ),
        strict=True,
    ):
        agree(param_grad, other)


@pytest.mark.parametrize("causal", [False, True])
def test_dropout_of_the_weights_agrees(causal, backend) -> None:
    """PyTorch draws other masks, so its side is written with the mask that dlfs has drawn."""
    batch, time, heads, width, keep = 3, 70, 2, 5, 0.7
    rng = np.random.default_rng(5)
    x = rng.standard_normal((batch, time, 3 * heads * width))
    grad = rng.standard_normal((batch, time, heads * width))
    operation = Attention_Op(heads, causal, keep, seed=1)
    output, input_grad = operation.forward(x), operation.backward(grad)
    assert operation.mask is not None
    assert abs(operation.mask.mean() - keep) < 0.05

    theirs = torch.from_numpy(x).requires_grad_()
    q, k, v = (
        part.reshape(batch, time, heads, width).transpose(1, 2) for part in theirs.chunk(3, dim=2)
    )
    scores = q @ k.transpose(2, 3) / width**0.5
    if causal:
        later = torch.triu(torch.ones(time, time, dtype=torch.bool), 1)
        scores = scores.masked_fill(later, -torch.inf)
    weights = scores.softmax(3) * torch.from_numpy(operation.mask) / keep
    found = (weights @ v).transpose(1, 2).reshape(batch, time, heads * width)
    found.backward(torch.from_numpy(grad))
    agree(output, found)
    agree(input_grad, theirs.grad)


def test_dropout_of_the_weights_is_converted() -> None:
    module = nn.MultiheadAttention(12, 3, dropout=0.3, batch_first=True, dtype=torch.float64)
    net = from_torch(module, input_shape=(7, 12))
    assert repr(list(net)) == "[SelfAttention(3, dropout=0.7)]"
    back = to_torch(net)
    assert "Attention(heads=3, causal=False, dropout=0.3)" in repr(back)
    again = from_torch(back, input_shape=(7, 12))
    assert "dropout=0.7" in repr(list(again))
    x = np.random.default_rng(3).standard_normal((4, 7, 12))
    theirs = torch.from_numpy(x)
    agree(net.predict(x), module.eval()(theirs, theirs, theirs)[0])
    agree(net.predict(x), back.eval()(theirs))
    back.train()
    assert not torch.equal(back(theirs), back(theirs))


@pytest.mark.parametrize("sinusoidal", [False, True])
@pytest.mark.parametrize("rotary", [False, True])
def test_a_whole_gpt_agrees(sinusoidal, rotary, backend) -> None:
    """Loss and all gradients, the tied table's too: to_torch gives it two places, tied again."""
    rng = np.random.default_rng(2)
    X, y = rng.integers(0, 11, (2, 3, 8))
    inside = [
        PositionEmbedding(9, sinusoidal),
        *(TransformerBlock(2, rotary=rotary) for _ in range(2)),
        LayerNorm(),
    ]
    net = NeuralNetwork([TiedEmbedding(11, 8, inside)], SoftmaxCrossEntropy(), seed=1)
    net.build(X.shape[1:])
    for param in net.params:
        param += 0.3 * rng.standard_normal(param.shape)
    loss = net.train_batch(X, y)
    with pytest.warns(UserWarning, match="tied"):
        module = to_torch(net)
    parts = module[0]
    parts[-1].weight = parts[0].weight
    scores = module(torch.from_numpy(X))
    agree(net.predict(X), scores)
    theirs = functional.cross_entropy(scores.flatten(0, 1), torch.from_numpy(y.ravel()))
    assert float(loss) == pytest.approx(float(theirs.detach()), abs=TOLERANCE)
    theirs.backward()
    table_grad = parts[0].weight.grad
    agree(net.param_grads[0], table_grad)
    # Both have the same numbers in a different order: compare them sorted.
    grads = torch.cat([parameter.grad.ravel() for parameter in module.parameters()]).numpy()
    ours = np.concatenate([grad.ravel() for grad in net.param_grads])
    assert np.abs(np.sort(ours) - np.sort(grads)).max() <= TOLERANCE


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu", nn.Tanh()])
def test_pytorchs_encoder_layers_are_converted(norm_first, activation, backend) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        *(12, 3, 20, 0.1),
        activation=activation,
        batch_first=True,
        norm_first=norm_first,
        dtype=torch.float64,
    )
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, dtype=torch.float64))
    encoder = nn.TransformerEncoder(
        layer, 2, nn.LayerNorm(12, dtype=torch.float64), enable_nested_tensor=False
    )
    for module in (layer, encoder):
        net = from_torch(module, input_shape=(7, 12))
        assert any(isinstance(part, Residual) for part in net)
        x, grad = np.random.default_rng(3).standard_normal((2, 4, 7, 12))
        theirs = torch.from_numpy(x).requires_grad_()
        found = module.eval()(theirs)
        agree(net.forward(x, inference=True), found)
        found.backward(torch.from_numpy(grad))
        agree(net.backward(grad), theirs.grad)


@pytest.mark.parametrize("norm_first", [False, True])
def test_what_follows_an_encoder_layer_is_converted_too(norm_first) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, norm_first=norm_first)
    module = nn.Sequential(layer, nn.Tanh(), nn.Linear(8, 3)).double().eval()
    x = np.random.default_rng(3).standard_normal((2, 5, 8))
    agree(from_torch(module, input_shape=(5, 8)).predict(x), module(torch.from_numpy(x)))


def test_multihead_attention_becomes_a_layer_and_comes_back_as_modules() -> None:
    module = nn.MultiheadAttention(12, 3, bias=False, batch_first=True, dtype=torch.float64)
    net = from_torch(module, input_shape=(7, 12))
    assert repr(list(net)) == "[SelfAttention(3)]"
    x = np.random.default_rng(3).standard_normal((4, 7, 12))
    theirs = torch.from_numpy(x)
    agree(net.predict(x), module(theirs, theirs, theirs)[0])
    back = to_torch(net)
    agree(net.predict(x), back(theirs))
    np.testing.assert_array_equal(from_torch(back, input_shape=(7, 12)).predict(x), net.predict(x))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.MultiheadAttention(4, 2), "batch_first"),
        (lambda: nn.MultiheadAttention(4, 2, batch_first=True, add_bias_kv=True), "bias_k"),
        (lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=3, batch_first=True), "same number"),
        (lambda: nn.RMSNorm(4), "must have an eps"),
        (lambda: nn.RMSNorm((2, 4), eps=1e-5), "last axis"),
        (
            lambda: nn.GroupNorm(2, 4),
            ": how many axes its input has is not known; pass input_shape, the shape of one obs",
        ),
    ],
)
def test_what_dlfs_does_not_have_is_named(make, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_torch(make())
