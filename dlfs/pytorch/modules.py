"""Modules that PyTorch lacks, for networks converted from dlfs."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlfs.checks import check_choice


class OneHot(nn.Module):
    """Convert integers to one-hot rows.

    Forward: ``output[..., k] = 1`` where ``input == k``, else 0. Integers have no gradient.

    Parameters
    ----------
    size : int
        The integers are from 0 to size - 1.
    like : Tensor, optional
        The output has its dtype, also after the module is moved. Default: PyTorch's default dtype.

    Notes
    -----
    Before a recurrent layer it corresponds to ``vocabulary_size`` in dlfs.

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
        """Return one row for each integer."""
        return functional.one_hot(x, self.size).to(self.like.dtype)

    def extra_repr(self) -> str:
        """Return what stands between the parentheses."""
        return str(self.size)


class Recurrence(nn.Module):
    """One of PyTorch's recurrent layers, without the final state in its output.

    Parameters
    ----------
    memory : torch.nn.RNN, LSTM or GRU

    Notes
    -----
    This allows its use in an ``nn.Sequential``. Every batch starts from zeros.

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


class LastStep(nn.Module):
    """Keep the last time step: the counterpart of ``dlfs.LastStep``.

    Examples
    --------
    >>> LastStep()(torch.zeros(2, 5, 3)).shape
    torch.Size([2, 3])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the last step."""
        return x[:, -1]


class LastSteps(nn.Module):
    """Keep the final states of both directions of a recurrent layer.

    Examples
    --------
    >>> LastSteps()(torch.zeros(2, 5, 6)).shape
    torch.Size([2, 6])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the first half of the last step, and the second half of the first."""
        half = x.shape[2] // 2
        return torch.cat([x[:, -1, :half], x[:, 0, half:]], dim=1)


class Reverse(nn.Module):
    """Turn the order of time steps round: the counterpart of ``dlfs.Reverse``.

    Examples
    --------
    >>> Reverse()(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 2., 1.]])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the steps from the last to the first."""
        return x.flip(1)


class Residual(nn.Module):
    """A skip connection: the input is added to the output of a block.

    Forward: ``output = x + block(x)``.

    Parameters
    ----------
    *modules : torch.nn.Module
        The modules of the block, in order. Its output must have the shape of its input.

    Notes
    -----
    The counterpart of ``dlfs.Residual``.

    Examples
    --------
    >>> Residual(nn.Linear(3, 3), nn.Tanh())(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self.block = nn.Sequential(*modules)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of the input and the block's output."""
        output: Tensor = x + self.block(x)
        return output


class Parallel(nn.Module):
    """Branches with the same input; their outputs are added or concatenated.

    Forward: the sum of all ``branch(x)``, or ``torch.cat([branch(x), ...], dim=1)``.

    Parameters
    ----------
    branches : sequence of torch.nn.Module
    merge : {"add", "concat"}

    Raises
    ------
    ValueError
        If merge is something else, or there are no branches.

    Notes
    -----
    The counterpart of ``dlfs.Parallel``.

    Examples
    --------
    >>> Parallel([nn.Linear(3, 2), nn.Identity()], merge="concat")(torch.zeros(4, 3)).shape
    torch.Size([4, 5])
    """

    def __init__(self, branches: Sequence[nn.Module], merge: str = "add") -> None:
        super().__init__()
        check_choice(merge, ("add", "concat"), "Parallel", "merge")
        if not branches:
            raise ValueError("Parallel: at least one branch is needed")
        self.branches = nn.ModuleList(branches)
        self.merge = merge

    def forward(self, x: Tensor) -> Tensor:
        """Compute every branch, and merge the outputs."""
        outputs = [branch(x) for branch in self.branches]
        if self.merge == "concat":
            return torch.cat(outputs, dim=1)
        total: Tensor = outputs[0]
        for output in outputs[1:]:
            # Not +=, which would change the first branch's output in place.
            total = total + output
        return total

    def extra_repr(self) -> str:
        """Return what stands between the parentheses."""
        return f"merge={self.merge!r}"
