"""Save and load: weights in a safetensors file, the architecture as JSON in its header.

Nothing is pickled: a file can name classes of dlfs (and those passed to ``load``), and numbers for
their arguments, and nothing else.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlfs import activations, dropout, layers, losses, normalization, pooling, reshape
from dlfs.base import Operation, ParamOperation
from dlfs.configuration import from_config, to_config
from dlfs.layers import Layer
from dlfs.losses import Loss
from dlfs.network import NeuralNetwork
from dlfs.snapshot import network_states
from dlfs.types import Array, Shape
from dlfs.utils.files import write_atomically

FORMAT = "dlfs 1"
MODULES = (activations, dropout, layers, losses, normalization, pooling, reshape)
LARGEST_OBSERVATION = 2**27
"""So many numbers may stand between two layers for one observation, or a file is not believed."""

LARGEST_WINDOW = 2**20
"""The same for the pixels of a pooling window: each of them costs time, even with no images."""

LARGEST_SEQUENCE = 2**17
"""The same for the steps that a recurrent layer takes, for the same reason."""


def save(net: NeuralNetwork, path: str | Path) -> None:
    """Save a network: architecture, parameters, and the running statistics of normalization.

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
        If net is no NeuralNetwork.
    ValueError
        If the network is not set up, or an argument of a layer cannot be written down. (A function
        for weight_init can: it has done its work, and ``load`` puts the default in its place.)
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
    write_file(path, network_tensors(net), {"network": network_config(net)})


def load(path: str | Path, custom: Mapping[str, type] | None = None) -> NeuralNetwork:
    """Load a network that ``save`` (or a checkpoint) wrote.

    Parameters
    ----------
    path : path
    custom : mapping, optional
        Layers, Operations and losses of your own, by class name.

    Returns
    -------
    NeuralNetwork
        Its predictions are equal, to the bit, to those of the network that was saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such file, or damaged, or names a class that is not known.
    """
    tensors, metadata = read_file(path)
    try:
        return network_from(tensors, metadata.get("network"), custom or {})
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(f"{path}: no network can be made of this file: {error!r:.500}") from error


def known_classes() -> dict[str, type]:
    """Return the classes that a file may name: every Layer, Loss and parameter-free Operation."""
    return {
        name: thing
        for module in MODULES
        for name, thing in vars(module).items()
        if isinstance(thing, type)
        and issubclass(thing, Layer | Loss | Operation)
        and not issubclass(thing, ParamOperation)
        and thing not in (Layer, Loss, Operation)
        and not name.startswith("_")
    }


def network_config(net: NeuralNetwork) -> dict[str, Any]:
    """Return the architecture, fit for JSON."""
    if not net.built:
        raise ValueError("save: the network is not set up; train it, or call build(input_shape)")
    if net.input_shape is None:
        raise ValueError(
            "save: the network has weights, but has seen no observation yet, and a file says the "
            "shape of one; call build(input_shape), which keeps the weights"
        )
    return {
        "layers": [to_config(layer) for layer in net.layers],
        "loss": to_config(net.loss),
        "seed": net.seed,
        "dtype": net.dtype.name,
        "input_shape": list(net.input_shape),
    }


def network_tensors(net: NeuralNetwork) -> dict[str, Array]:
    """Return parameters and state by name."""
    params = {
        f"layers.{i}.params.{j}": param
        for i, layer in enumerate(net.layers)
        for j, param in enumerate(layer.params)
    }
    return {**params, **network_states(net)}


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
    classes = {**known_classes(), **custom}
    made = [from_config(layer, classes) for layer in config["layers"]]
    loss = from_config(config["loss"], classes)
    net = NeuralNetwork(made, loss, config["seed"], config["dtype"])
    input_shape = tuple(config["input_shape"])
    takes_integers = net.layers[0].takes_integers
    output = np.zeros((0, *input_shape), dtype=np.int64 if takes_integers else net.dtype)
    undrawn = _Undrawn(np.random.PCG64(0))
    undrawn.dtype = net.dtype
    for i, layer in enumerate(net.layers):
        _check_size(output.shape, layer, tensors, i)
        layer.build(output, undrawn)
        _fill(layer, tensors, i)
        # Now that the parameters are the file's, their sizes are known to be true.
        output = layer.forward(output, inference=True)
        layer.rng = np.random.default_rng(layer.seed)
        for operation in layer.operations:
            if hasattr(operation, "rng"):
                operation.rng = layer.rng
    for name, array in network_states(net).items():
        np.copyto(array, _tensor(tensors, name, array))
    net.input_shape = input_shape
    return net


def _check_size(
    input_shape: Shape, layer: Layer, tensors: Mapping[str, Array], number: int
) -> None:
    """Refuse what would cost memory that the file does not account for."""
    count = math.prod(input_shape[1:])
    if count > LARGEST_OBSERVATION:
        raise ValueError(f"an observation of {count} numbers, before layer {number}, is too large")
    kind = getattr(layer, "operation", layer)
    if isinstance(kind, pooling.MaxPool2D | pooling.AvgPool2D):
        pixels = math.prod(kind.kernel_size)
        if pixels > LARGEST_WINDOW:
            raise ValueError(f"layer {number} pools over {pixels} pixels, too many to believe")
    if isinstance(kind, _RECURRENT) and input_shape[1:] and input_shape[1] > LARGEST_SEQUENCE:
        raise ValueError(f"layer {number} goes through {input_shape[1]} steps, too many to believe")
    if isinstance(kind, _NORMALIZATIONS):
        # These fill memory with ones and zeros, for each feature, before they can be compared.
        held = sum(t.size for name, t in tensors.items() if name.startswith(f"layers.{number}."))
        features = input_shape[-1 if isinstance(kind, layers.LayerNorm) else 1 :][:1]
        if features and features[0] > held:
            raise ValueError(f"layer {number}, {layer!r}, needs {features[0]} numbers, got {held}")


_RECURRENT = (layers.RNNLayer, layers.LSTMLayer, layers.GRULayer)
_NORMALIZATIONS = (layers.BatchNorm, layers.LayerNorm, normalization.BatchNorm_Op)


def _fill(layer: Layer, tensors: Mapping[str, Array], number: int) -> None:
    """Put the file's parameters into a layer."""
    operations = [op for op in layer.operations if isinstance(op, ParamOperation)]
    saved = [
        _tensor(tensors, f"layers.{number}.params.{j}", param)
        for j, param in enumerate(layer.params)
    ]
    if len(operations) == len(saved):
        for operation, array in zip(operations, saved, strict=True):
            operation.param = array
    layer.params = saved


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


def write_file(path: str | Path, tensors: dict[str, Array], metadata: dict[str, Any]) -> None:
    """Write a safetensors file, all of it or nothing."""
    from safetensors.numpy import save as to_bytes  # noqa: PLC0415 - only needed here

    header = {"format": FORMAT} | {key: json.dumps(value) for key, value in metadata.items()}
    content = to_bytes({name: np.ascontiguousarray(t) for name, t in tensors.items()}, header)
    write_atomically(path, content)


def read_file(path: str | Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read a file that ``write_file`` wrote: its tensors, and its metadata as from JSON."""
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - only needed here

    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with safe_open(str(path), framework="numpy") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise ValueError(f"the format is {header.get('format')!r:.40}, not {FORMAT!r}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = {key: json.loads(text) for key, text in header.items() if key != "format"}
    except (
        SafetensorError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        MemoryError,
        RecursionError,
    ) as error:
        raise ValueError(f"{path} is not a file that dlfs saved, or damaged: {error}") from error
    return tensors, metadata
