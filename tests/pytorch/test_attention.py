"""Attention and what stands around it against PyTorch, weights copied over, in float64."""

import numpy as np
import pytest

from dlfs.attention import Attention_Op
from dlfs.backend import available_backends, use_backend
from dlfs.layers import SelfAttention

torch = pytest.importorskip("torch", reason="the comparison needs the extra torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

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
