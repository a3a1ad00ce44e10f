"""The book's small helpers for tensors and modules."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def assert_dim(t: Tensor, dim: int) -> None:
    """Check the number of dimensions of a tensor.

    Parameters
    ----------
    t : Tensor
    dim : int

    Raises
    ------
    TypeError
        If t is not a tensor.
    ValueError
        If it has another number of dimensions.

    Notes
    -----
    Book, chapter 7, where it is an ``assert``.

    Examples
    --------
    >>> assert_dim(torch.zeros(2, 3), 2)
    """
    if isinstance(t, torch.fx.Proxy):
        # ``from_torch`` follows what a model does with a stand-in, which has no shape.
        return
    if not isinstance(t, Tensor):
        raise TypeError(f"assert_dim: t must be a tensor, got {type(t).__name__}")
    if t.ndim != dim:
        raise ValueError(
            f"assert_dim: the tensor must have {dim} dimensions, got {t.ndim}: {tuple(t.shape)}"
        )


def permute_data(
    X: Tensor, y: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Return observations and targets in the same random order.

    Parameters
    ----------
    X, y : Tensor, batch axis first
    generator : torch.Generator, optional
        The source of the order. Default: PyTorch's own generator.

    Returns
    -------
    tuple of Tensor

    Raises
    ------
    ValueError
        If the numbers of observations and targets differ.

    Notes
    -----
    Book, chapter 7.

    Examples
    --------
    >>> X = torch.arange(4.0)
    >>> a, b = permute_data(X, 10 * X, torch.Generator().manual_seed(0))
    >>> bool((b == 10 * a).all())
    True
    """
    check_lengths("permute_data", X, y)
    order = torch.randperm(len(X), generator=generator)
    return X[order], y[order]


def inference_mode(m: nn.Module) -> None:
    """Set a module to predict: no dropout, running statistics. ``m.train()`` undoes it.

    Parameters
    ----------
    m : torch.nn.Module

    Notes
    -----
    Book, chapter 7. PyTorch's ``torch.inference_mode`` is different: it forbids gradients.

    Examples
    --------
    >>> dropout = nn.Dropout(0.5)
    >>> inference_mode(dropout)
    >>> dropout(torch.ones(3))
    tensor([1., 1., 1.])
    """
    m.eval()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Set a module to predict within a block; afterwards restore the mode of each of its parts.

    Parameters
    ----------
    module : torch.nn.Module

    Examples
    --------
    >>> dropout = nn.Dropout(0.5)
    >>> with evaluating(dropout):
    ...     dropout(torch.ones(3))
    tensor([1., 1., 1.])
    >>> dropout.training
    True
    """
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def check_lengths(owner: str, X: Tensor, y: Tensor) -> None:
    """Check that two tensors have batch axes of the same length."""
    for name, tensor in (("X", X), ("y", y)):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{owner}: {name} must be a tensor, got {type(tensor).__name__}")
        if tensor.ndim < 1:
            raise ValueError(f"{owner}: {name} must have a batch axis, got a single number")
    if len(X) != len(y):
        raise ValueError(f"{owner}: X and y must have the same length, got {len(X)} and {len(y)}")


def complement(share: float) -> float:
    """Convert the probability of keeping to that of dropping, or back.

    ``1 - 0.8`` is not exactly 0.2, but a printed module should show 0.2.
    """
    return round(1 - share, 15)
