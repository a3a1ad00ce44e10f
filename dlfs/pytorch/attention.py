"""Modules for the Operations of a transformer, for networks converted from dlfs."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Attention on packed queries, keys and values; the counterpart of ``dlfs`` Attention_Op.

    Parameters
    ----------
    heads : int
    causal : bool
    dropout : float, default 0.0
        The probability that a weight is dropped in training.

    Examples
    --------
    >>> import torch
    >>> Attention(heads=2)(torch.zeros(4, 5, 12)).shape
    torch.Size([4, 5, 4])
    """

    def __init__(self, heads: int, causal: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, time, features) for (batch, time, 3 * features)."""
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in x.chunk(3, 2))
        output = functional.scaled_dot_product_attention(
            *(q, k, v), dropout_p=self.dropout if self.training else 0.0, is_causal=self.causal
        )
        return output.transpose(1, 2).flatten(2)

    def extra_repr(self) -> str:
        """Return what stands between the parentheses."""
        dropped = f", dropout={self.dropout}" if self.dropout else ""
        return f"heads={self.heads}, causal={self.causal}{dropped}"


class RotaryPositions(nn.Module):
    """Turn packed queries and keys by angles that grow with the position.

    Parameters
    ----------
    heads : int

    Notes
    -----
    The counterpart of the Operation of this name in dlfs: features 2 i and 2 i + 1 are a pair.

    Examples
    --------
    >>> import torch
    >>> RotaryPositions(heads=2)(torch.zeros(4, 5, 12)).shape
    torch.Size([4, 5, 12])
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape; the values stay."""
        pairs = x.shape[2] // (6 * self.heads)
        split = x.unflatten(2, (3, self.heads, pairs, 2))
        angles = _angles(x.shape[1], pairs, pairs)[:, None, None]
        cos, sin = torch.cos(angles).to(x), torch.sin(angles).to(x)
        a, b = split[:, :, :2, :, :, 0], split[:, :, :2, :, :, 1]
        turned = torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1)
        return torch.cat([turned, split[:, :, 2:]], dim=2).flatten(2)

    def extra_repr(self) -> str:
        """Return what stands between the parentheses."""
        return f"heads={self.heads}"


class PositionAdd(nn.Module):
    """Add a learned vector for each position.

    Parameters
    ----------
    length, features : int
    dtype : torch.dtype, optional

    Notes
    -----
    The counterpart of PositionEmbedding in dlfs.

    Examples
    --------
    >>> import torch
    >>> PositionAdd(10, 3)(torch.zeros(4, 5, 3)).shape
    torch.Size([4, 5, 3])
    """

    def __init__(self, length: int, features: int, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(length, features, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        return x + self.weight[: x.shape[1]]

    def extra_repr(self) -> str:
        """Return what stands between the parentheses."""
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"


class SinusoidAdd(nn.Module):
    """Add sines and cosines of many wavelengths, which tell the position.

    Parameters
    ----------
    length : int
        The longest sequence.

    Notes
    -----
    The counterpart of PositionEmbedding(sinusoidal=True) in dlfs.

    Examples
    --------
    >>> import torch
    >>> SinusoidAdd(10)(torch.zeros(1, 1, 4))
    tensor([[[0., 1., 0., 1.]]])
    """

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        _, time, features = x.shape
        angles = _angles(time, features - features // 2, features / 2)
        waves = torch.stack([torch.sin(angles), torch.cos(angles)], dim=2).flatten(1)
        return x + waves[:, :features].to(x)

    def extra_repr(self) -> str:
        """Return what stands between the parentheses."""
        return str(self.length)


class SwiGLU(nn.Module):
    """A gated linear unit: silu of the first half of the features, times the second half.

    Examples
    --------
    >>> import torch
    >>> SwiGLU()(torch.tensor([[1000.0, 2.0]]))
    tensor([[2000.]])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return half as many features."""
        a, b = x.chunk(2, dim=-1)
        return functional.silu(a) * b


def _angles(time: int, count: int, half: float) -> Tensor:
    """Return ``t / 10000**(i / half)``, in float64."""
    rates = 10000.0 ** (torch.arange(count, dtype=torch.float64) / half)
    return torch.arange(time, dtype=torch.float64)[:, None] / rates
