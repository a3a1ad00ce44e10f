"""Converts networks of dlfs to PyTorch and back, with the same parameters and predictions."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from dlfs.activations import Linear
from dlfs.checks import check_input_shape, check_instance
from dlfs.layers import Layer, Parallel, Residual
from dlfs.losses import Loss
from dlfs.network import NeuralNetwork
from dlfs.pytorch.chain import chain_of, dtype_of
from dlfs.pytorch.inward import axes_after, keeps_shape, layers_of, row_shape
from dlfs.pytorch.inward_parts import Axes, alone
from dlfs.pytorch.outward import NoCounterpart, modules_of, own
from dlfs.pytorch.trace import Chain, Fork, Leaf, named
from dlfs.types import Array, Shape


def to_torch(net: NeuralNetwork, input_shape: Shape | None = None) -> nn.Sequential:
    """Convert a network to a module, a copy with the same predictions.

    Parameters
    ----------
    net : NeuralNetwork
        It must be set up: trained or built. It is not changed.
    input_shape : tuple, optional
        The shape of one observation, without the batch axis. Default: that of earlier data. "same"
        padding becomes a number of pixels, computed for images of this size.

    Returns
    -------
    torch.nn.Sequential
        Of the network's dtype, set to predict (``eval()``). Parameters and running statistics are
        copies. A Residual or Parallel becomes a module of that name (dlfs.pytorch), another layer
        made of layers a ``Sequential``. Parameters of frozen layers have ``requires_grad=False``.

    Raises
    ------
    TypeError
        If net is not a NeuralNetwork.
    ValueError
        If it is not set up, overrides ``forward``, or has a layer without counterpart in PyTorch:
        your own layer, a GRULayer whose reset gate comes before the product, or a recurrent layer
        that carries its state. (An LSTMLayer with output_size that carries the mean becomes the
        book's LSTMLayer.)

    Warns
    -----
    UserWarning
        If weights are tied: the module has a parameter of its own in each place. Predictions are
        the same until it is trained.

    Notes
    -----
    The layout of weights changes: Dense (in, out) becomes Linear (out, in), kernels (in, out,
    height, width) become (out, in, height, width), the LSTM's gates f, i, c, o become i, f, c, o.
    Dropout changes from the probability of keeping to that of dropping.

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
    uses = sum(operation.trains for operation in net.all_operations())
    if uses > len(net.param_holders()):
        warnings.warn(
            f"{owner}: the network has tied weights; the module has a parameter of its own in each "
            "place. To train them as one, assign it again: module[2].weight = module[0].weight",
            UserWarning,
            stacklevel=2,
        )
    takes_integers = net.layers[0].takes_integers
    batch = np.zeros((0, *shape), dtype=np.int64 if takes_integers else net.dtype)
    modules: list[nn.Module] = []
    # New modules draw weights, which are then replaced: restore PyTorch's generator.
    with torch.random.fork_rng(devices=[]):
        for number, layer in enumerate(net.layers):
            try:
                found, batch = modules_of(layer, batch)
            except NoCounterpart as error:
                raise ValueError(
                    f"{owner}: layer {number}, {layer!r}, has no counterpart in PyTorch: {error}"
                ) from error
            modules += found
    module = nn.Sequential(*modules).eval()
    return module if net.trainable else module.requires_grad_(False)


def from_torch(
    module: nn.Module, loss: Loss | None = None, input_shape: Shape | None = None
) -> NeuralNetwork:
    """Convert a module to a network, a copy with the predictions of ``module.eval()``.

    Parameters
    ----------
    module : torch.nn.Module
        One of PyTorch's layers, a ``Sequential``, a module of dlfs.pytorch, or a module whose
        ``forward`` sends its input through such. There it may use functions for activations,
        pooling, flattening and dropout (``torch.relu(h)``, ``h.relu()``, ``F.max_pool2d(h, 2)``),
        sums (``x + f(x)``) and ``torch.cat([...], dim=1)``. If it returns a tuple, the first is
        the prediction. The module is not changed.
    loss : Loss, optional
        Default: MeanSquaredError().
    input_shape : tuple, optional
        The shape of one observation, without the batch axis. Default: (features,) if the first
        layer takes rows, such as a Linear. Otherwise it is set by the first predicted batch or by
        ``build(input_shape)``, which keeps the weights; before that the network cannot be saved.

    Returns
    -------
    NeuralNetwork
        Of the module's dtype (PyTorch's default dtype if it holds no numbers), set up with copies
        of its parameters and running statistics. An activation right after a Linear or a
        convolution becomes part of the layer. ``x + f(x)`` becomes a Residual, other sums and
        ``torch.cat`` become a Parallel. A layer whose parameters have ``requires_grad=False`` is
        frozen (``layer.trainable = False``).

    Raises
    ------
    TypeError
        If module is not a Module, loss not a Loss, or input_shape not a tuple of integers.
    ValueError
        If a module, or one of its options, has no counterpart in dlfs; if ``forward`` does anything
        other than the above, if its branches do not all meet again in one sum or ``torch.cat``, or
        if it changes a tensor in place that is also used elsewhere; if hooks, parametrizations,
        pruning or a ``forward`` set on an instance change the computation; if modules share
        parameters, or one of them is partly frozen; if not all tensors are float32, or all float64;
        or if observations of this shape do not fit. The error names the module's path and the
        reason.

    Notes
    -----
    The two agree up to rounding, with one exception: PyTorch's Softplus returns x above its
    threshold, by default 20, where the logarithm is 2e-9 larger. A BatchNorm1d is converted for
    rows, unless input_shape, a Conv1d or a recurrent layer requires another form. A Linear without
    bias gets a zero bias, which further training changes.

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

    A skip connection in a forward becomes a Residual:

    >>> class Skip(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.fc = nn.Linear(3, 3)
    ...
    ...     def forward(self, x):
    ...         return torch.relu(x + self.fc(x))
    >>> list(from_torch(Skip()))
    [Residual([Dense(3, activation=Linear())]), ReLU()]
    """
    owner = "from_torch"
    check_instance(module, nn.Module, owner, "module")
    shape = None if input_shape is None else check_input_shape(input_shape, owner)
    chain = chain_of(module)
    if not chain:
        raise ValueError(f"{owner}: the module holds no modules to make layers of: {module!r:.80}")
    if shape is None:
        part = _first_that_shapes(chain)
        shape = row_shape(part.module) if isinstance(part, Leaf) else None
    dtype = dtype_of(module)
    batch = None if shape is None else np.zeros((0, *shape), dtype=dtype)
    axes = None if batch is None else batch.ndim
    layers, _ = _layers(chain, _Place(shape, axes, batch, door=True))
    net = NeuralNetwork(layers, loss, dtype=dtype)
    net.input_shape = shape
    for _, layer in net.walk():
        # They were set up before the network set their seeds.
        layer.rng = np.random.default_rng(layer.seed)
        for operation in layer.operations:
            if hasattr(operation, "rng"):
                operation.rng = layer.rng
    return net


@dataclass
class _Place:
    """The known properties of the data at one place between modules."""

    shape: Shape | None
    """The shape of one observation of the data."""
    axes: Axes
    """The number of axes of a batch here, with the batch axis."""
    batch: Array | None
    """An empty batch with the shape of this place, if it is known."""
    door: bool
    """Whether this is the network's input: integers, if the first layer takes them."""

    def after(self, layer: Layer, where: str) -> "_Place":
        """Compute a layer's output for the batch."""
        if self.batch is None:
            return replace(self, door=False)
        integers = self.door and layer.takes_integers
        try:
            output = layer.forward(self.batch.astype(np.int64) if integers else self.batch, True)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"from_torch: observations of shape {self.shape} do not go through "
                f"{where}: {error}; if the data have another shape, pass it as input_shape"
            ) from error
        return replace(self, axes=output.ndim, batch=output, door=False)


def _layers(chain: Chain, place: _Place) -> tuple[list[Layer], _Place]:
    """Return the layers that replace a chain of modules, and the properties after them."""
    layers: list[Layer] = []
    todo = list(chain)
    while todo:
        where, found, count, axes = _first(todo, place)
        place = replace(place, axes=axes)
        for layer in found:
            place = place.after(layer, where)
        layers += found
        del todo[:count]
    return layers, place


def _first(todo: Chain, place: _Place) -> tuple[str, list[Layer], int, Axes]:
    """Convert the first part of a chain, or the first few."""
    if isinstance(todo[0], Fork):
        layer, axes = _forked(todo[0], place)
        return f"the branches of {named(todo[0].path)}", [layer], 1, axes
    modules: list[nn.Module] = []
    for part in todo:
        if isinstance(part, Fork):
            break
        modules.append(part.module)
    where = f"{named(todo[0].path)}, {modules[0]!r:.200}"
    try:
        found, count = layers_of(modules, place.axes)
    except (NoCounterpart, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"from_torch: {where}, has no counterpart: {error}") from error
    for layer in found:
        layer.trainable = _trains(modules[:count], where)
    axes = place.axes
    for module in modules[:count]:
        axes = axes_after(module, axes)
    return where, found, count, axes


def _forked(fork: Fork, place: _Place) -> tuple[Layer, Axes]:
    """Return the layer of the branches, and the number of axes of its output."""
    done = [_layers(branch, place) for branch in fork.branches]
    axes = next((end.axes for _, end in done if end.axes is not None), None)
    blocks = [layers for layers, _ in done]
    if fork.dim is not None and fork.dim != 1 and (axes is None or fork.dim != 1 - axes):
        known = "" if axes is not None else ", or pass input_shape, the shape of one observation"
        raise ValueError(
            f"from_torch: {named(fork.path)}: torch.cat must be along axis 1, got dim={fork.dim}; "
            f"write dim=1{known}"
        )
    if fork.dim is None and len(blocks) == 2 and sum(map(bool, blocks)) == 1:
        return Residual(blocks[0] or blocks[1]), axes
    merge = "add" if fork.dim is None else "concat"
    return Parallel([block or [alone(Linear())] for block in blocks], merge), axes


def _trains(modules: list[nn.Module], where: str) -> bool:
    """Say whether the parameters of modules that become one layer are trainable."""
    flags = {param.requires_grad for module in modules for param in module.parameters()}
    if len(flags) > 1:
        raise ValueError(
            f"from_torch: {where}: some of its parameters have requires_grad=False and some not, "
            "and dlfs freezes whole layers (layer.trainable = False); set all alike"
        )
    return flags != {False}


def _first_that_shapes(chain: Chain) -> Leaf | Fork | None:
    """Return the first part that is not elementwise."""
    for part in chain:
        if isinstance(part, Leaf):
            if not keeps_shape(part.module):
                return part
            continue
        for branch in part.branches:
            found = _first_that_shapes(branch)
            if found is not None:
                return found
        if part.dim is not None:
            return part
    return None
