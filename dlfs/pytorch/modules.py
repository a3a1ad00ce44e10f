"""Two modules that PyTorch does not have in one piece, for networks that come from dlfs."""

from torch import Tensor, nn
from torch.nn import functional


class OneHot(nn.Module):
    """Turn whole numbers into rows of zeros with a one.

    Forward: ``output[..., k] = 1`` where ``input == k``, else 0. Numbers have no gradient.

    Parameters
    ----------
    size : int
        The numbers go from 0 to size - 1.
    like : Tensor, optional
        The output has its dtype, and follows it when the module moves; PyTorch's own dtype unless
        given.

    Notes
    -----
    Before a recurrent layer this is what ``vocabulary_size`` is in dlfs.

    Examples
    --------
    >>> import torch
    >>> OneHot(3)(torch.tensor([[2, 0]]))
    tensor([[[0., 0., 1.],
             [1., 0., 0.]]])
    """

    like: Tensor

    def __init__(self, size: int, like: Tensor | None = None) -> None:
        super().__init__()
        self.size = size
        kept = Tensor() if like is None else like.detach().new_empty(0)
        self.register_buffer("like", kept, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the rows, one for each number."""
        return functional.one_hot(x, self.size).to(self.like.dtype)

    def extra_repr(self) -> str:
        """Return what stands between the parentheses."""
        return str(self.size)


class Recurrence(nn.Module):
    """One of PyTorch's recurrent layers, without the final state that it returns besides.

    Parameters
    ----------
    memory : torch.nn.RNN, LSTM or GRU

    Notes
    -----
    So it can stand in an ``nn.Sequential``. Every batch starts from zeros.

    Examples
    --------
    >>> import torch
    >>> Recurrence(nn.GRU(3, 8, batch_first=True))(torch.zeros(2, 5, 3)).shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, memory: nn.RNNBase) -> None:
        super().__init__()
        self.memory = memory

    def forward(self, x: Tensor) -> Tensor:
        """Return the states of all steps."""
        steps: Tensor = self.memory(x)[0]
        return steps
