"""Networks of dlfs to PyTorch and back: the same parameters, the same predictions."""

from typing import Any

import numpy as np
import torch
from torch import nn

from dlfs.checks import check_input_shape, check_instance
from dlfs.losses import Loss
from dlfs.network import NeuralNetwork
from dlfs.pytorch.chain import Part, chain_of, dtype_of, named
from dlfs.pytorch.inward import axes_after, keeps_shape, layers_of, row_shape
from dlfs.pytorch.outward import NoCounterpart, modules_of, own
from dlfs.types import Shape


def to_torch(net: NeuralNetwork, input_shape: Shape | None = None) -> nn.Sequential:
    """Make a module of a network: a copy that gives the same predictions.

    Parameters
    ----------
    net : NeuralNetwork
        It must be set up, that is, have seen data or been built. It stays as it is.
    input_shape : tuple, optional
        The shape of one observation, without the batch axis; that of the data it has seen unless
        given. "same" padding becomes a number of pixels, worked out for images of this size.

    Returns
    -------
    torch.nn.Sequential
        Of the network's dtype, set to predict (``eval()``). Parameters and running statistics are
        copies.

    Raises
    ------
    TypeError
        If net is no NeuralNetwork.
    ValueError
        If it is not set up, or has a ``forward`` of its own, or a layer has no counterpart in
        PyTorch: one that you have written, a GRULayer whose reset gate comes before the product,
        or a recurrent layer that carries its state. (An LSTMLayer with output_size that carries
        the mean becomes the book's LSTMLayer.)

    Notes
    -----
    Weights are laid out anew: Dense (in, out) becomes Linear (out, in), kernels (in, out, height,
    width) become (out, in, height, width), the LSTM's gates f, i, c, o become i, f, c, o. Dropout
    changes from the probability of keeping to that of dropping.

    Examples
    --------
    >>> from dlfs.activations import Tanh
    >>> from dlfs.layers import Dense
    >>> net = NeuralNetwork([Dense(8, activation=Tanh()), Dense(1)])
    >>> net.build((13,))
    >>> module = to_torch(net)
    >>> module
    Sequential(
      (0): Linear(in_features=13, out_features=8, bias=True)
      (1): Tanh()
      (2): Linear(in_features=8, out_features=1, bias=True)
    )
    >>> X = np.random.default_rng(0).standard_normal((4, 13))
    >>> bool(np.allclose(module(torch.from_numpy(X)).detach().numpy(), net.predict(X)))
    True
    """
    owner = "to_torch"
    check_instance(net, NeuralNetwork, owner, "net")
    for name in ("forward", "predict", "as_input"):
        if own(net, name, NeuralNetwork):
            raise ValueError(
                f"{owner}: {type(net).__name__} has a {name} of its own, which has no counterpart "
                "in PyTorch; only what its layers compute, one after the other, can be converted"
            )
    if input_shape is None:
        input_shape = net.input_shape
    if not net.built:
        raise ValueError(
            f"{owner}: the network net is not set up; train it, or call build(input_shape)"
        )
    if input_shape is None:
        raise ValueError(
            f"{owner}: the network net has weights, but has seen no observation yet; pass "
            "input_shape, the shape of one"
        )
    shape = check_input_shape(input_shape, owner)
    takes_integers = net.layers[0].takes_integers
    batch = np.zeros((0, *shape), dtype=np.int64 if takes_integers else net.dtype)
    modules: list[nn.Module] = []
    # New modules draw their weights, which are then replaced: no draw is to be missed elsewhere.
    with torch.random.fork_rng(devices=[]):
        for number, layer in enumerate(net.layers):
            try:
                found, batch = modules_of(layer, batch)
            except NoCounterpart as error:
                raise ValueError(
                    f"{owner}: layer {number}, {layer!r}, has no counterpart in PyTorch: {error}"
                ) from error
            modules += found
    return nn.Sequential(*modules).eval()


def from_torch(
    module: nn.Module, loss: Loss | None = None, input_shape: Shape | None = None
) -> NeuralNetwork:
    """Make a network of a module: a copy that gives the predictions of ``module.eval()``.

    Parameters
    ----------
    module : torch.nn.Module
        A chain: one of PyTorch's layers, a ``Sequential``, a layer of dlfs.pytorch, or a module
        whose ``forward`` sends its input through such, one after the other. Where it returns a
        tuple, the first is the prediction. It stays as it is.
    loss : Loss, optional
        MeanSquaredError() unless given.
    input_shape : tuple, optional
        The shape of one observation, without the batch axis. Where the first layer takes rows
        (a Linear, say) that is (features,) unless given. Otherwise, unless given, the first batch
        that the network predicts shows it, or ``build(input_shape)`` says it, which keeps the
        weights; until then the network cannot be saved.

    Returns
    -------
    NeuralNetwork
        Of the module's dtype (PyTorch's default dtype if it holds no numbers), set up with copies
        of its parameters and running statistics. An activation right behind a Linear or a
        convolution becomes part of the layer.

    Raises
    ------
    TypeError
        If module is no module, loss no Loss, or input_shape no tuple of integers.
    ValueError
        If a module, or one of its options, has no counterpart in dlfs; if ``forward`` does
        something else than to call modules; if something besides its modules changes what it
        computes (hooks, parametrizations, pruning, a ``forward`` put on an instance); if modules
        share parameters; if not all tensors are float32, or all float64; or if observations of
        this shape do not go through. The error names the module's path and the reason.

    Notes
    -----
    The two agree as far as rounding lets them, with one exception: PyTorch's Softplus takes x
    itself above its threshold, by default 20, where the logarithm is 2e-9 larger. A BatchNorm1d is
    taken to be for rows, unless input_shape, a Conv1d or a recurrent layer says otherwise.

    Training goes on with all parameters, those with ``requires_grad=False`` too, and where a layer
    has no bias, with one that is zero so far.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> module = nn.Sequential(nn.Linear(13, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))
    >>> net = from_torch(module)
    >>> [type(layer).__name__ for layer in net], net.dtype.name, net.input_shape
    (['Dense', 'OperationLayer', 'Dense'], 'float32', (13,))
    >>> X = torch.randn(4, 13)
    >>> bool(np.allclose(net.predict(X), module.eval()(X).detach().numpy(), atol=1e-6))
    True
    """
    owner = "from_torch"
    check_instance(module, nn.Module, owner, "module")
    shape = None if input_shape is None else check_input_shape(input_shape, owner)
    todo = chain_of(module)
    if not todo:
        raise ValueError(f"{owner}: the module holds no modules to make layers of: {module!r:.80}")
    if shape is None:
        shape = row_shape(next((part for _, part in todo if not keeps_shape(part)), todo[0][1]))
    dtype = dtype_of(module)
    net = NeuralNetwork(_layers(todo, shape, dtype), loss, dtype=dtype)
    net.input_shape = shape
    for layer in net:
        # They were set up before they had the seeds that the network gives them.
        layer.rng = np.random.default_rng(layer.seed)
        for operation in layer.operations:
            if hasattr(operation, "rng"):
                operation.rng = layer.rng
    return net


def _layers(todo: list[Part], shape: Shape | None, dtype: str) -> list[Any]:
    """Return the layers that stand for all these modules, after a batch of nothing was sent on."""
    layers: list[Any] = []
    axes = None if shape is None else 1 + len(shape)
    batch = None if shape is None else np.zeros((0, *shape), dtype=dtype)
    while todo:
        path, part = todo[0]
        where = f"{named(path)}, {part!r:.200}"
        try:
            found, count = layers_of([each for _, each in todo], axes)
        except (NoCounterpart, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(f"from_torch: {where}, has no counterpart: {error}") from error
        for _, each in todo[:count]:
            axes = axes_after(each, axes)
        if batch is not None:
            batch = batch.astype(np.int64) if not layers and found[0].takes_integers else batch
            try:
                for layer in found:
                    batch = layer.forward(batch, True)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"from_torch: observations of shape {shape} do not go through {where}: "
                    f"{error}; if they have another shape, pass it as input_shape"
                ) from error
            axes = batch.ndim
        layers += found
        del todo[:count]
    return layers
