"""The book's base classes for models and preprocessors."""

from typing import Any

from torch import Tensor, nn

from dlfs.pytorch.helpers import assert_dim


class PyTorchModel(nn.Module):
    """A model: a subclass creates its layers in ``__init__`` and defines ``forward``.

    ``forward`` returns the prediction, or a tuple that begins with it. Autograd computes the
    backward pass.

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
            If the subclass does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, inference=False)")


class PyTorchPreprocessor:
    """Prepares data for a model: a subclass defines ``transform``.

    Notes
    -----
    Book, chapter 7.

    Examples
    --------
    >>> import torch
    >>> class Halve(PyTorchPreprocessor):
    ...     def transform(self, x):
    ...         return x / 2
    >>> Halve().transform(torch.ones(3))
    tensor([0.5000, 0.5000, 0.5000])
    """

    def transform(self, x: Tensor) -> Tensor:
        """Return the data in the form that the model expects.

        Raises
        ------
        NotImplementedError
            If the subclass does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} must define transform(x)")


class ConvNetPreprocessor(PyTorchPreprocessor):
    """Move the channels of images before height and width, as PyTorch requires.

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
            If x is not a tensor of four dimensions.
        """
        assert_dim(x, 4)
        return x.permute(0, 3, 1, 2)
