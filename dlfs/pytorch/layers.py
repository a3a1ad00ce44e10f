"""The book's layers, each a chain of a few of PyTorch's modules."""

import torch
from torch import Tensor, nn

from dlfs.checks import check_flag, check_int, check_real
from dlfs.pytorch.helpers import assert_dim, complement, evaluating


class PyTorchLayer(nn.Module):
    """A layer of a PyTorchModel.

    Parameters
    ----------
    *modules : torch.nn.Module
        The modules that the layer applies in order. A subclass that computes something else
        overrides ``_compute``.

    Notes
    -----
    Book, chapter 7. After ``forward(inference=True)`` the book's layer stays in that mode;
    here the mode ends with the call.

    Examples
    --------
    >>> PyTorchLayer(nn.Linear(3, 2), nn.ReLU())(torch.zeros(4, 3)).shape
    torch.Size([4, 2])
    """

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self.modules_in_order = nn.ModuleList(modules)

    def forward(self, x: Tensor, inference: bool = False) -> Tensor:
        """Compute the layer's output for a batch.

        Parameters
        ----------
        x : Tensor, batch axis first
        inference : bool
            Whether to predict in this call (no dropout), as ``eval()`` does for all later calls.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            If x has the wrong type or shape.
        """
        if inference:
            with evaluating(self):
                return self._compute(x)
        return self._compute(x)

    def chain(self) -> list[nn.Module]:
        """Return the modules that the layer applies in order."""
        return list(self.modules_in_order)

    def _compute(self, x: Tensor) -> Tensor:
        for module in self.modules_in_order:
            x = module(x)
        return x


def _others(
    owner: str, activation: nn.Module | None, flatten: bool, dropout: float
) -> list[nn.Module]:
    """Return the modules after the weights."""
    if activation is not None and not isinstance(activation, nn.Module):
        raise TypeError(
            f"{owner}: activation must be a module such as torch.nn.Tanh(), got {activation!r:.60}"
        )
    dropout = check_real(dropout, owner, "dropout", 0.0, 1.0, low_open=True)
    modules = [] if activation is None else [activation]
    if check_flag(flatten, owner, "flatten"):
        modules.append(nn.Flatten())
    return [*modules, nn.Dropout(complement(dropout))] if dropout < 1 else modules


def _filter(owner: str, size: int) -> int:
    size = check_int(size, owner, "filter_size", 1)
    if size % 2 == 0:
        raise ValueError(f"{owner}: filter_size must be odd, to keep the image's size, got {size}")
    return size


class DenseLayer(PyTorchLayer):
    """A fully connected layer: weights, activation, dropout.

    Parameters
    ----------
    input_size, neurons : int
        The numbers of input and output features.
    dropout : float
        The probability that an output is kept, as everywhere in dlfs; the argument of PyTorch's
        Dropout is the probability that it is dropped.
    activation : torch.nn.Module, optional

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value.

    Notes
    -----
    Book, chapter 7.

    Examples
    --------
    >>> DenseLayer(13, 8, activation=nn.Sigmoid())(torch.zeros(4, 13)).shape
    torch.Size([4, 8])
    """

    def __init__(
        self,
        input_size: int,
        neurons: int,
        dropout: float = 1.0,
        activation: nn.Module | None = None,
    ) -> None:
        check_int(input_size, "DenseLayer", "input_size", 1)
        check_int(neurons, "DenseLayer", "neurons", 1)
        rest = _others("DenseLayer", activation, False, dropout)
        super().__init__(nn.Linear(input_size, neurons), *rest)


class ConvLayer(PyTorchLayer):
    """A convolutional layer that keeps the image's size: kernels, activation, flatten, dropout.

    Parameters
    ----------
    in_channels, out_channels : int
    filter_size : int
        Odd; the padding is half of it.
    activation : torch.nn.Module, optional
    dropout : float
        The probability that an output is kept.
    flatten : bool
        Whether to flatten the output, for a DenseLayer.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value; in ``forward``, if the input is not (batch,
        channels, height, width).

    Notes
    -----
    Book, chapter 7.

    Examples
    --------
    >>> ConvLayer(1, 6, 5, activation=nn.Tanh())(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 6, 28, 28])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        filter_size: int,
        activation: nn.Module | None = None,
        dropout: float = 1.0,
        flatten: bool = False,
    ) -> None:
        owner = type(self).__name__
        check_int(in_channels, owner, "in_channels", 1)
        check_int(out_channels, owner, "out_channels", 1)
        size = _filter(owner, filter_size)
        rest = _others(owner, activation, flatten, dropout)
        super().__init__(self._convolution(in_channels, out_channels, size), *rest)

    def _convolution(self, in_channels: int, out_channels: int, size: int) -> nn.Module:
        return nn.Conv2d(in_channels, out_channels, size, padding=size // 2)

    def _compute(self, x: Tensor) -> Tensor:
        assert_dim(x, 4)
        return super()._compute(x)


class DeconvLayer(ConvLayer):
    """A layer of transposed convolution that keeps the image's size, for decoders.

    Parameters
    ----------
    in_channels, out_channels, filter_size, activation, dropout, flatten
        As in ConvLayer.

    Raises
    ------
    TypeError, ValueError
        As in ConvLayer.

    Notes
    -----
    Book, chapter 7; Zeiler et al., 2010.

    Examples
    --------
    >>> DeconvLayer(7, 1, 5, activation=nn.Tanh())(torch.zeros(2, 7, 28, 28)).shape
    torch.Size([2, 1, 28, 28])
    """

    def _convolution(self, in_channels: int, out_channels: int, size: int) -> nn.Module:
        return nn.ConvTranspose2d(in_channels, out_channels, size, padding=size // 2)


class LSTMLayer(PyTorchLayer):
    """Long short-term memory, then a dense layer on every step.

    The state is carried from batch to batch as in the book: all sequences of a batch start from the
    mean of the final states of the previous batch.

    Parameters
    ----------
    sequence_length : int
        As in the book; the layer accepts any length.
    input_size, hidden_size, output_size : int
    dropout : float
        The probability that an output is kept.

    Attributes
    ----------
    h_init, c_init : Tensor, shape (1, hidden_size)
        The initial state of the next batch. ``reset_state()`` resets it.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value; in ``forward``, if the input is not (batch,
        time, features).

    Notes
    -----
    Book, chapter 7; Hochreiter and Schmidhuber, 1997.

    Examples
    --------
    >>> layer = LSTMLayer(25, 62, 16, 62)
    >>> layer(torch.zeros(2, 25, 62)).shape
    torch.Size([2, 25, 62])
    """

    h_init: Tensor
    c_init: Tensor

    def __init__(
        self,
        sequence_length: int,
        input_size: int,
        hidden_size: int,
        output_size: int,
        dropout: float = 1.0,
    ) -> None:
        super().__init__()
        owner = "LSTMLayer"
        self.sequence_length = check_int(sequence_length, owner, "sequence_length", 1)
        check_int(input_size, owner, "input_size", 1)
        self.hidden_size = check_int(hidden_size, owner, "hidden_size", 1)
        self.lstm = nn.LSTM(input_size, hidden_size, batch_first=True)
        self.fc = DenseLayer(hidden_size, output_size, dropout=dropout)
        self.register_buffer("h_init", torch.zeros(1, hidden_size))
        self.register_buffer("c_init", torch.zeros(1, hidden_size))

    def reset_state(self) -> None:
        """Reset the state to zeros."""
        self.h_init.zero_()
        self.c_init.zero_()

    def chain(self) -> list[nn.Module]:
        """Return the dense layer's modules; the recurrent module before them is ``lstm``."""
        return self.fc.chain()

    def _compute(self, x: Tensor) -> Tensor:
        assert_dim(x, 3)
        shape = (1, len(x), self.hidden_size)
        states = (self.h_init.expand(shape).contiguous(), self.c_init.expand(shape).contiguous())
        out, (h, c) = self.lstm(x, states)
        if len(x):
            # Detached: gradients stop at the start of a batch.
            self.h_init = h.detach().mean(dim=1)
            self.c_init = c.detach().mean(dim=1)
        result: Tensor = self.fc(out)
        return result
