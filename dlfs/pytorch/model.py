"""The book's base classes for models and for what is done to data before."""

from typing import Any

from torch import Tensor, nn

from dlfs.pytorch.helpers import assert_dim


class PyTorchModel(nn.Module):
    """A model: a subclass makes its layers in ``__init__`` and writes ``forward``.

    ``forward`` returns the prediction, or a tuple that begins with it. Autograd does the rest:
    there is no backward to be written.

    Notes
    -----
    Book, chapter 7.

    Examples
    --------
    >>> import torch
    >>> from dlfs.pytorch import DenseLayer
    >>> class HousePricesModel(PyTorchModel):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.dense1 = DenseLayer(13, 13, activation=nn.Sigmoid())
    ...         self.dense2 = DenseLayer(13, 1)
    ...
    ...     def forward(self, x, inference=False):
    ...         return self.dense2(self.dense1(x, inference), inference)
    >>> HousePricesModel()(torch.zeros(4, 13)).shape
    torch.Size([4, 1])
    """

    def forward(self, x: Tensor, inference: bool = False) -> Any:
        """Return the prediction, or a tuple that begins with it.

        Parameters
        ----------
        x : Tensor, batch axis first
        inference : bool
            Whether to predict, without dropout, in this call.

        Raises
        ------
        NotImplementedError
            A model says itself what it computes.
        """
        raise NotImplementedError(f"{type(self).__name__} must write forward(x, inference=False)")


class PyTorchPreprocessor:
    """What is done to data before a model sees it: a subclass writes ``transform``.

    Notes
    -----
    Book, chapter 7.
    """

    def transform(self, x: Tensor) -> Tensor:
        """Return the data as the model takes it.

        Raises
        ------
        NotImplementedError
            A preprocessor says itself what it does.
        """
        raise NotImplementedError(f"{type(self).__name__} must write transform(x)")


class ConvNetPreprocessor(PyTorchPreprocessor):
    """Put the channels of images in front of height and width, where PyTorch wants them.

    Notes
    -----
    Book, chapter 7.

    Examples
    --------
    >>> import torch
    >>> ConvNetPreprocessor().transform(torch.zeros(2, 28, 30, 3)).shape
    torch.Size([2, 3, 28, 30])
    """

    def transform(self, x: Tensor) -> Tensor:
        """Return images (batch, height, width, channels) as (batch, channels, height, width).

        Raises
        ------
        TypeError, ValueError
            If x is no tensor of four dimensions.
        """
        assert_dim(x, 4)
        return x.permute(0, 3, 1, 2)
