"""Networks of dlfs to PyTorch and back: the same parameters, the same predictions."""

import operator
from typing import Any

import numpy as np
import torch
from torch import nn

from dlfs.checks import check_input_shape, check_instance
from dlfs.losses import Loss
from dlfs.network import NeuralNetwork
from dlfs.pytorch.inward import RULES, axes_after, layers_of
from dlfs.pytorch.layers import ConvLayer, LSTMLayer, PyTorchLayer
from dlfs.pytorch.outward import NoCounterpart, modules_of
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
        If it is not set up, or a layer has no counterpart in PyTorch: one that you have written, a
        GRULayer whose reset gate comes before the product, or a recurrent layer that carries its
        state. (An LSTMLayer with output_size that carries the mean becomes the book's LSTMLayer.)

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
    if input_shape is None:
        input_shape = net.input_shape
    if not net.built or input_shape is None:
        raise ValueError(
            f"{owner}: the network net is not set up; train it, or call build(input_shape)"
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


def from_torch(module: nn.Module, loss: Loss | None = None) -> NeuralNetwork:
    """Make a network of a module: a copy that gives the same predictions.

    Parameters
    ----------
    module : torch.nn.Module
        A chain: one of PyTorch's layers, a ``Sequential``, a layer of dlfs.pytorch, or a module
        whose ``forward`` sends its input through such, one after the other. Where it returns a
        tuple, the first is the prediction.
    loss : Loss, optional
        MeanSquaredError() unless given.

    Returns
    -------
    NeuralNetwork
        Of the module's dtype, set up with copies of its parameters and running statistics. An
        activation right behind a Linear or a convolution becomes part of the layer.

    Raises
    ------
    TypeError
        If module is no module, or loss no Loss.
    ValueError
        If a module, or one of its options, has no counterpart in dlfs, if ``forward`` does
        something else than to call modules, or if not all tensors are float32, or all float64.

    Notes
    -----
    The two agree as far as rounding lets them, with one exception: PyTorch's Softplus takes x
    itself above its threshold, by default 20, where the logarithm is 2e-9 larger. A BatchNorm1d is
    taken to be for rows, unless a Conv1d or a recurrent layer comes before it.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> module = nn.Sequential(nn.Linear(13, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))
    >>> net = from_torch(module)
    >>> [type(layer).__name__ for layer in net], net.dtype.name
    (['Dense', 'OperationLayer', 'Dense'], 'float32')
    >>> X = torch.randn(4, 13)
    >>> bool(np.allclose(net.predict(X), module.eval()(X).detach().numpy(), atol=1e-6))
    True
    """
    owner = "from_torch"
    check_instance(module, nn.Module, owner, "module")
    dtype = _dtype(module)
    todo = _chain(module)
    if not todo:
        raise ValueError(f"{owner}: the module holds no modules to make layers of: {module!r:.80}")
    layers: list[Any] = []
    axes = 2
    while todo:
        try:
            found, count = layers_of(todo, axes)
        except (NoCounterpart, TypeError, ValueError) as error:
            raise ValueError(f"{owner}: {todo[0]!r:.200} has no counterpart: {error}") from error
        layers += found
        for part in todo[:count]:
            axes = axes_after(part, axes)
        del todo[:count]
    net = NeuralNetwork(layers, loss, dtype=dtype)
    for layer in net:
        # They were set up before they had the seeds that the network gives them.
        layer.rng = np.random.default_rng(layer.seed)
        for operation in layer.operations:
            if hasattr(operation, "rng"):
                operation.rng = layer.rng
    return net


def _dtype(module: nn.Module) -> str:
    tensors = [*module.parameters(), *module.buffers()]
    found = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
    names = {torch.float32: "float32", torch.float64: "float64"}
    if not found:
        return "float64"
    if len(found) > 1 or not found <= set(names):
        listed = ", ".join(sorted(str(dtype) for dtype in found))
        raise ValueError(
            f"from_torch: the module's tensors must all be float32 or all float64, got {listed}"
        )
    return names[found.pop()]


def _chain(module: nn.Module) -> list[nn.Module]:
    """Return the modules that a module sends its input through, one after the other."""
    if isinstance(module, PyTorchLayer) and not isinstance(module, LSTMLayer):
        if type(module)._compute not in (PyTorchLayer._compute, ConvLayer._compute):
            raise ValueError(f"from_torch: {type(module).__name__} writes its own _compute")
        parts = module.chain()
    elif type(module) is nn.Sequential:
        parts = list(module)
    elif type(module) in RULES or _Tracer().is_leaf_module(module, ""):
        return [module]
    else:
        parts = _followed(module)
    return [inner for part in parts for inner in _chain(part)]


class _Tracer(torch.fx.Tracer):
    """Writes down which modules a forward calls, without looking into those that we know."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = type(m) in RULES or isinstance(m, PyTorchLayer)
        return known or bool(super().is_leaf_module(m, module_qualified_name))


def _followed(module: nn.Module) -> list[nn.Module]:
    """Return the modules that a forward written by hand calls, from the last to the first."""
    owner = f"from_torch: {type(module).__name__}.forward"
    try:
        graph = _Tracer().trace(module)
    except Exception as error:
        raise ValueError(f"{owner} cannot be followed: {error}") from error
    node = next(node for node in graph.nodes if node.op == "output").args[0]
    if isinstance(node, tuple) and node:
        node = node[0]
    inputs = [each for each in graph.nodes if each.op == "placeholder"]
    found: list[nn.Module] = []
    while node is not (inputs[0] if inputs else None):
        if getattr(node, "op", "") == "call_function" and node.target is operator.getitem:
            # A recurrent layer returns its final state besides.
            source = node.args[0]
            if node.args[1] == 0 and source.op == "call_module":
                node = source
        if getattr(node, "op", "") != "call_module":
            raise ValueError(
                f"{owner} must send its input through modules, one after the other, and nothing "
                f"else; it also does: {getattr(node, 'target', node)!r:.80}"
            )
        found.insert(0, module.get_submodule(node.target))
        node = node.args[0]
    return found
