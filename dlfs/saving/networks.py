"""Save and load: weights in a safetensors file, the architecture as JSON in its header.

Nothing is pickled: a file can name classes of dlfs (and those passed to ``load``), and numbers for
their arguments, and nothing else.
"""

import functools
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlfs import (
    activations,
    attention,
    dropout,
    embedding,
    layers,
    losses,
    normalization,
    pooling,
    reshape,
)
from dlfs.base import Operation, ParamOperation
from dlfs.checks import check_int, shortened, shown
from dlfs.labels import classes_from_file
from dlfs.layers import Layer, LayerBlock
from dlfs.losses import Loss
from dlfs.network import NeuralNetwork
from dlfs.saving.config import (
    check_methods,
    check_restorable,
    class_name,
    class_names,
    from_config,
    to_config,
)
from dlfs.saving.format import read_file, write_file
from dlfs.types import Array, Shape

MOST_LAYERS = 10_000
"""A file with more layers is refused, and so is saving a network that has more."""

MODULES = (
    *(activations, attention, dropout, embedding, layers),
    *(losses, normalization, pooling, reshape),
)
LARGEST_OBSERVATION = 2**27
"""Largest activation, in numbers, that a file may ask for; larger ones are refused."""

LARGEST_WINDOW = 2**20
"""Largest pooling window, in pixels: each of them costs time, even with no images."""

LARGEST_SEQUENCE = 2**17
"""Longest sequence for a recurrent layer, for the same reason."""


def save(net: NeuralNetwork, path: str | Path) -> None:
    """Save a network: layers, what is frozen, parameters, statistics, classes and notes.

    Parameters
    ----------
    net : NeuralNetwork
        It must be set up, that is, have seen data or been built.
    path : path
        The file, usually ``*.safetensors``. The save is atomic: a crash leaves the old file or the
        new one. A link is written through, and a file that is there keeps its mode.

    Raises
    ------
    TypeError
        If net is not a NeuralNetwork.
    ValueError
        If the network is not set up, or could not be restored exactly: an argument of a layer
        cannot be written down, or is not kept under its own name, or a subclass of NeuralNetwork
        has its own constructor and changes what a NeuralNetwork does. (A function for weight_init
        can be saved: it has done its work, and ``load`` puts the default in its place.)
    OSError
        If the file cannot be written, or the path is a folder, a pipe or a device.

    Notes
    -----
    Random numbers still to come (dropout's) and the optimizer are not saved; a checkpoint of
    Trainer.fit has them too.

    Examples
    --------
    >>> import tempfile
    >>> net = NeuralNetwork([layers.Dense(1)])
    >>> net.build((13,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(net, f"{folder}/net.safetensors")
    ...     print(len(load(f"{folder}/net.safetensors")))
    1
    """
    if not isinstance(net, NeuralNetwork):
        raise TypeError(f"save: net must be a NeuralNetwork, got {type(net).__name__}")
    write_file(path, network_tensors(net), network_metadata(net))


def load(path: str | Path, custom: Mapping[str, type] | None = None) -> NeuralNetwork:
    """Load a network that ``save`` (or a checkpoint) wrote.

    Parameters
    ----------
    path : path
    custom : mapping, optional
        Layers, Operations, losses and subclasses of NeuralNetwork of your own: the class by its
        name (``{"Swish": Swish}``), or by module and name (``{"__main__.Swish": Swish}``). Classes
        of dlfs need not, and cannot, be given.

    Returns
    -------
    NeuralNetwork
        Its predictions are equal, to the bit, to those of the network that was saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If custom is not a mapping from names to classes.
    ValueError
        If it is another kind of file, damaged, from a newer version, or names a class that is
        not known.

    Examples
    --------
    >>> import tempfile
    >>> net = NeuralNetwork([layers.Dense(1)])
    >>> net.build((3,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(net, f"{folder}/net.safetensors")
    ...     print(list(load(f"{folder}/net.safetensors")))
    [Dense(1, activation=Linear())]
    """
    custom = check_custom(custom)
    return network_from_file(path, *read_file(path, custom), custom)


def network_from_file(
    path: str | Path,
    tensors: Mapping[str, Array],
    metadata: Mapping[str, Any],
    custom: Mapping[str, type],
) -> NeuralNetwork:
    """Make the network of what ``read_file`` read; an error names the file.

    Examples
    --------
    >>> net = NeuralNetwork([layers.Dense(1)])
    >>> net.build((13,))
    >>> again = network_from_file("a file", network_tensors(net), network_metadata(net), {})
    >>> again.parameter_count()
    14
    """
    try:
        net = network_from(tensors, metadata.get("network"), custom)
        # A file of 0.1.0 does not say it.
        epochs = metadata.get("epochs_trained", 0)
        net.epochs_trained = check_int(epochs, "the file", "epochs_trained", 0)
        if metadata.get("classes") is not None:
            net.classes = classes_from_file(metadata["classes"])
        notes = metadata.get("notes", {})
        if not isinstance(notes, dict):
            raise ValueError(f"notes must be a dictionary, got {shown(notes)}")
        net.notes = notes
        return net
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        said = str(error)
        reason = shortened(f"{type(error).__name__}: {said}", 500)
        raise ValueError(f"{path}: no network can be made of this file: {reason}") from (
            # A long message repeats what the file holds: it is not shown as the cause, either.
            error if len(said) <= 500 else None
        )


def network_metadata(net: NeuralNetwork) -> dict[str, Any]:
    """Return what a file says of a network besides its numbers.

    Examples
    --------
    >>> net = NeuralNetwork([layers.Dense(1)])
    >>> net.build((13,))
    >>> sorted(network_metadata(net))
    ['epochs_trained', 'network']
    """
    return {"network": network_config(net), **network_remarks(net)}


def network_remarks(net: NeuralNetwork) -> dict[str, Any]:
    """Return what a file says of a network besides its architecture.

    Raises
    ------
    TypeError, ValueError
        If its notes cannot be written down.

    Examples
    --------
    >>> net = NeuralNetwork([layers.Dense(1)])
    >>> net.build((13,))
    >>> network_remarks(net)
    {'epochs_trained': 0}
    """
    remarks: dict[str, Any] = {"epochs_trained": net.epochs_trained}
    if net.classes is not None:
        remarks["classes"] = net.classes.tolist()
    if net.notes:
        try:
            same = json.loads(json.dumps(net.notes, allow_nan=False)) == net.notes
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"save: net.notes must hold values of JSON only: {error}") from error
        if not same:
            raise ValueError("save: net.notes must hold values of JSON only (keys are texts)")
        remarks["notes"] = net.notes
    return remarks


def known_classes() -> dict[str, type]:
    """Return the classes that a file may name: every Layer, Loss and parameter-free Operation.

    Examples
    --------
    >>> known_classes()["dlfs.Tanh"].__name__
    'Tanh'
    """
    return {
        class_name(thing): thing
        for module in MODULES
        for name, thing in vars(module).items()
        if isinstance(thing, type)
        and issubclass(thing, Layer | Loss | Operation)
        and not issubclass(thing, ParamOperation)
        and thing not in (Layer, Loss, Operation)
        and not name.startswith("_")
    }


def network_config(net: NeuralNetwork) -> dict[str, Any]:
    """Return the architecture, fit for JSON.

    Raises
    ------
    ValueError
        If the network is not set up, or could not be restored exactly.

    Examples
    --------
    >>> net = NeuralNetwork([layers.Dense(1)])
    >>> net.build((13,))
    >>> config = network_config(net)
    >>> config["dtype"], len(config["layers"])
    ('float64', 1)
    """
    if not net.built:
        raise ValueError("save: the network is not set up; train it, or call build(input_shape)")
    if net.input_shape is None:
        raise ValueError(
            "save: the network has weights, but has seen no observation yet, and a file says the "
            "shape of one; call build(input_shape), which keeps the weights"
        )
    count = sum(1 for _ in net.walk()) - 1
    if count > MOST_LAYERS:
        raise ValueError(f"save: at most {MOST_LAYERS} layers can be saved, got {count}")
    known = known_classes()
    for part in (*net.layers, net.loss):
        check_restorable(part, known)
    for _, layer in net.walk():
        _check_inner_layers(layer)
    tied = {name: owner for name, (_, owner) in _parameters(net).items() if owner != name}
    frozen = [path for path, layer in net.walk() if not layer.trainable]
    return {
        **({"tied": tied} if tied else {}),
        **({"frozen": frozen} if frozen else {}),
        "class": _network_class(net),
        "layers": [to_config(layer) for layer in net.layers],
        "loss": to_config(net.loss),
        "seed": net.seed,
        "dtype": net.dtype.name,
        "input_shape": list(net.input_shape),
    }


_SAYS_NOTHING = {"__init__", "__doc__", "__module__", "__annotations__"}
"""What a subclass may define without changing what a network does once it is made."""


def _network_class(net: NeuralNetwork) -> str:
    """Return the name of the class that ``load`` is to make.

    A subclass that only adds to NeuralNetwork (a constructor that puts the layers together, say)
    comes back as a NeuralNetwork. One that changes it must come back as itself.
    """
    check_methods(net)
    kind = type(net)
    before = kind.__mro__[: kind.__mro__.index(NeuralNetwork)]
    known = {name for base in NeuralNetwork.__mro__ for name in vars(base)} - _SAYS_NOTHING
    changed = sorted({name for base in before for name in vars(base)} & known)
    if not changed:
        return class_name(NeuralNetwork)
    owner, plain = kind.__name__, NeuralNetwork([layers.Dense(1)])
    plain.build((1,))
    if any("__init__" in vars(base) for base in before):
        raise ValueError(
            f"save: {owner} changes {changed[0]} of NeuralNetwork and has its own constructor, so "
            f"it could not be restored; give it NeuralNetwork's constructor, or save a "
            "NeuralNetwork of its layers"
        )
    lost = sorted(set(vars(net)) - set(vars(plain)) - {"trainable"})
    if lost:
        raise ValueError(
            f"save: {owner} changes {changed[0]} of NeuralNetwork, and its attribute {lost[0]} "
            "would be lost"
        )
    return class_name(kind)


def network_tensors(net: NeuralNetwork) -> dict[str, Array]:
    """Return parameters and state by name.

    Examples
    --------
    >>> net = NeuralNetwork([layers.Dense(1)])
    >>> net.build((13,))
    >>> {name: array.shape for name, array in network_tensors(net).items()}
    {'layers.0.params.0': (13, 1), 'layers.0.params.1': (1, 1)}
    """
    params = {name: param for name, (param, owner) in _parameters(net).items() if name == owner}
    return {**params, **network_states(net)}


def network_states(net: NeuralNetwork) -> dict[str, Array]:
    """Return the arrays of every Operation's ``state()``, by a name that says whose they are.

    Examples
    --------
    >>> net = NeuralNetwork([layers.Dense(2), layers.BatchNorm()])
    >>> net.build((13,))
    >>> len(network_states(net))
    2
    """
    return {
        f"{path}.operations.{j}.{name}": array
        for path, layer in net.walk()
        for j, operation in enumerate(layer.operations)
        for name, array in operation.state().items()
    }


def _parameters(net: NeuralNetwork) -> dict[str, tuple[Array, str]]:
    """Return each layer's parameters by name, each with the name that its array has first."""
    found: dict[str, tuple[Array, str]] = {}
    owners: dict[int, str] = {}
    for path, layer in net.walk():
        if not layer.layers:
            for number, param in enumerate(layer.params):
                name = f"{path}.params.{number}"
                found[name] = param, owners.setdefault(id(param), name)
    return found


def _check_inner_layers(layer: Layer) -> None:
    """Refuse a layer that keeps another one where ``walk`` does not find it."""
    listed = {id(inner) for _, inner in layer.walk()}
    for name, held in vars(layer).items():
        for thing in held if isinstance(held, list | tuple) else [held]:
            if isinstance(thing, Layer) and id(thing) not in listed:
                owner = type(layer).__name__
                raise ValueError(
                    f"{owner} cannot be saved: the weights of its layer {name} would be lost; "
                    f"list inner layers in self.layers"
                )


class _Undrawn(np.random.Generator):
    """Stands for random weights that are about to be replaced, without memory for them.

    A file may claim any size: only what it really holds may cost memory.
    """

    dtype: "np.dtype[Any]"

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        return np.broadcast_to(np.zeros((), dtype=self.dtype), size)


def network_from(
    tensors: Mapping[str, Array], config: Any, custom: Mapping[str, type]
) -> NeuralNetwork:
    """Make the network again."""
    if not isinstance(config, dict):
        raise ValueError("the header holds no architecture")
    names = class_names(config)
    if not isinstance(config["layers"], list) or len(names) > 3 * MOST_LAYERS:
        raise ValueError(f"layers must be a list of at most {MOST_LAYERS}")
    classes = {**known_classes(), **_own_classes(set(names), custom)}
    kind: type = NeuralNetwork
    if config["class"] != class_name(NeuralNetwork):
        kind = classes.get(config["class"], object)
        if not issubclass(kind, NeuralNetwork):
            raise ValueError(
                f"the network is of the class {shown(config['class'])}, a subclass of "
                "NeuralNetwork that must be passed in custom="
            )
    made = [from_config(layer, classes) for layer in config["layers"]]
    loss = from_config(config["loss"], classes)
    net: NeuralNetwork = kind(made, loss, config["seed"], config["dtype"])
    if sum(1 for _ in net.walk()) > MOST_LAYERS + 1:
        raise ValueError(f"layers must be a list of at most {MOST_LAYERS}")
    restorer = _Restorer(net, tensors, config.get("tied", {}))
    input_shape = tuple(config["input_shape"])
    dtype = np.dtype(np.int64) if net.takes_integers else net.dtype
    LayerBlock.forward(net, np.zeros((0, *input_shape), dtype=dtype), inference=True)
    restorer.finish()
    net.input_shape = input_shape
    _freeze(net, config.get("frozen", []))
    return net


def _freeze(net: NeuralNetwork, frozen: Any) -> None:
    places = dict(net.walk())
    if not isinstance(frozen, list) or not all(
        isinstance(path, str) and path in places for path in frozen
    ):
        raise ValueError(f"frozen must be a list of the network's layers, got {shown(frozen)}")
    for path in frozen:
        places[path].trainable = False


class _Restorer:
    """Puts a file's parameters into layers, each when it is set up, before anything passes it.

    Parameters
    ----------
    net : NeuralNetwork
        A new one: a batch of no observations goes through it next.
    tensors : mapping
    tied : mapping
        For a parameter that stands in several places, the name that it has in the file.
    """

    def __init__(self, net: NeuralNetwork, tensors: Mapping[str, Array], tied: Any) -> None:
        if not isinstance(tied, dict):
            raise ValueError(f"tied must be a dictionary, got {shown(tied)}")
        self._net = net
        self._tensors = {**tensors, **{name: tensors[owner] for name, owner in tied.items()}}
        self._undrawn = _Undrawn(np.random.PCG64(0))
        self._undrawn.dtype = net.dtype
        self._held = _numbers_held(self._tensors)
        self._layers = net.leaves()
        for path, layer in self._layers:
            # Found before the class's method, and taken away at the first call.
            vars(layer)["set_up"] = functools.partial(self._set_up, layer, path)

    def finish(self) -> None:
        """Put in what layers keep besides parameters, and begin their random numbers."""
        for path, layer in self._layers:
            if "set_up" in vars(layer):
                raise ValueError(f"{path}, {shown(layer)}, is never reached")
        for name, array in network_states(self._net).items():
            np.copyto(array, _tensor(self._tensors, name, array))
        for _, layer in self._layers:
            layer.rng = np.random.default_rng(layer.seed)
            for operation in layer.operations:
                if hasattr(operation, "rng"):
                    operation.rng = layer.rng

    def _set_up(self, layer: Layer, path: str, input_: Array) -> None:
        del vars(layer)["set_up"]
        _check_size(input_.shape, layer, self._held.get(path, 0), path)
        layer.set_up(input_, self._undrawn)
        # From now on the parameters are the file's, and their sizes are known to be true.
        layer.params = [
            _tensor(self._tensors, f"{path}.params.{number}", param)
            for number, param in enumerate(layer.params)
        ]


def _own_classes(names: set[str], custom: Mapping[str, type]) -> dict[str, type]:
    """Return the user's classes by the names that a file has for them."""
    own: dict[str, type] = {}
    short: dict[str, str] = {}
    for name in sorted(names):
        last = name.rpartition(".")[2]
        if name.startswith("dlfs."):
            continue
        if name in custom:
            own[name] = custom[name]
        elif last in custom:
            if last in short:
                raise ValueError(
                    f"custom={{{shown(last)}: ...}} could be {shown(short[last])} or "
                    f"{shown(name)}: give each of them by its whole name"
                )
            own[name], short[last] = custom[last], name
    return own


def _numbers_held(tensors: Mapping[str, Array]) -> dict[str, int]:
    """Return for each layer, by its place, how many numbers a file holds for it."""
    held: dict[str, int] = {}
    for name, tensor in tensors.items():
        path = name.rpartition(".params.")[0] or name.rpartition(".operations.")[0]
        held[path] = held.get(path, 0) + tensor.size
    return held


def _check_size(input_shape: Shape, layer: Layer, held: int, path: str) -> None:
    """Refuse what would cost memory that the file does not account for."""
    count = math.prod(input_shape[1:])
    if count > LARGEST_OBSERVATION:
        raise ValueError(f"an observation of {count} numbers, before {path}, is too large")
    kind = getattr(layer, "operation", layer)
    if isinstance(kind, pooling.MaxPool2D | pooling.AvgPool2D):
        pixels = math.prod(kind.kernel_size)
        if pixels > LARGEST_WINDOW:
            raise ValueError(
                f"{path} pools over {pixels} pixels; a file may ask for {LARGEST_WINDOW}"
            )
    if isinstance(kind, _RECURRENT) and input_shape[1:] and input_shape[1] > LARGEST_SEQUENCE:
        raise ValueError(
            f"{path} goes through {input_shape[1]} steps; a file may ask for {LARGEST_SEQUENCE}"
        )
    if isinstance(kind, _FILLING):
        # These fill memory with ones and zeros, for each feature, before they can be compared.
        features = input_shape[-1 if isinstance(kind, _ROWS) else 1 :][:1]
        if features and features[0] > held:
            raise ValueError(f"{path}, {shown(layer)}, needs {features[0]} numbers, got {held}")


_RECURRENT = (layers.RNNLayer, layers.LSTMLayer, layers.GRULayer)
_ROWS = (layers.LayerNorm, layers.RMSNorm, layers.SelfAttention)
_FILLING = (layers.BatchNorm, layers.GroupNorm, normalization.BatchNorm_Op, *_ROWS)


def _tensor(tensors: Mapping[str, Array], name: str, like: Array) -> Array:
    if name not in tensors:
        raise ValueError(f"the tensor {name} is missing")
    array = tensors[name]
    if array.shape != like.shape or array.dtype != like.dtype:
        raise ValueError(
            f"the tensor {name} must be {like.dtype} of shape {like.shape}, "
            f"got {array.dtype} of shape {array.shape}"
        )
    return array


def check_custom(custom: object) -> Mapping[str, type]:
    """Demand classes that a file may name, by name.

    Examples
    --------
    >>> class Own(Operation):
    ...     pass
    >>> check_custom({"Own": Own})["Own"] is Own
    True
    """
    kinds = Layer | Loss | Operation | NeuralNetwork
    if custom is None:
        return {}
    if not isinstance(custom, Mapping):
        raise TypeError(f"load: custom must be a mapping of names to classes, got {shown(custom)}")
    for name, kind in custom.items():
        if not isinstance(name, str) or not isinstance(kind, type) or not issubclass(kind, kinds):
            raise TypeError(
                "load: custom must map names to Layers, Operations, losses or networks (classes), "
                f"got {shown(name)}: {shown(kind)}"
            )
    return custom
