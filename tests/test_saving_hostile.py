"""Malicious files: each gives a clear error, at little cost, and runs no code."""

import copy
import json
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

import dlfs
from dlfs.layers import BatchNorm, Conv2D, Dense
from dlfs.network import NeuralNetwork
from tests.support.files import read, write
from tests.support.training import same, weights


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Return a file, its architecture, its tensors and its network."""
    layers = [
        Conv2D(3, 3, activation=dlfs.Tanh(), dropout=0.9),
        BatchNorm(),
        dlfs.MaxPool2D(2),
        dlfs.Flatten(),
        Dense(2, weight_init="glorot"),
    ]
    net = NeuralNetwork(layers, dlfs.SoftmaxCrossEntropy(), seed=1)
    net.forward(np.random.default_rng(0).normal(size=(5, 2, 6, 6)))
    path = tmp_path_factory.mktemp("good") / "net.safetensors"
    dlfs.save(net, path)
    metadata, tensors = read(path)
    return path, json.loads(metadata["network"]), tensors, net


def refused(path, match=None):
    """Check that a ValueError names the file."""
    with pytest.raises(ValueError, match=match) as caught:
        dlfs.load(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 2000


def at(config, path):
    """Return the value in one place."""
    for key in path:
        config = config[key]
    return config


def put(config, path, value):
    """Return a copy with another value in one place."""
    changed = copy.deepcopy(config)
    at(changed, path[:-1])[path[-1]] = value
    return changed


def load_or_refuse(path):
    """Load a file, or check that the error names it: nothing else may happen."""
    try:
        return dlfs.load(path)
    except ValueError as error:
        message = str(error)
    assert str(path) in message
    return None


def test_the_file_is_good(good, tmp_path):
    path, config, tensors, net = good
    write(tmp_path / "net", config, tensors)
    assert same(weights(dlfs.load(tmp_path / "net")), weights(dlfs.load(path)))
    assert same(weights(dlfs.load(path)), weights(net))


def test_a_truncated_file_is_refused_wherever_it_ends(good, tmp_path):
    content = good[0].read_bytes()
    path = tmp_path / "net"
    lengths = {*range(64), *range(64, len(content), 37), len(content) - 1}
    for length in sorted(lengths):
        path.write_bytes(content[:length])
        refused(path, "damaged")


def test_a_file_that_goes_on_too_long_is_refused(good, tmp_path):
    path = tmp_path / "net"
    path.write_bytes(good[0].read_bytes() + b"x")
    refused(path, "damaged")


@given(st.data())
def test_flipped_bits_never_do_worse_than_an_error(good, tmp_path_factory, data):
    content = bytearray(good[0].read_bytes())
    header = int.from_bytes(content[:8], "little") + 8
    for _ in range(data.draw(st.integers(1, 4))):
        # Numbers with a flipped bit are still numbers: only the header can be detected as wrong.
        content[data.draw(st.integers(0, header - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path_factory.mktemp("flipped") / "net"
    path.write_bytes(content)
    assert isinstance(load_or_refuse(path), NeuralNetwork | None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello, I am a text\n" * 10,
        b"\x00" * 100,
        b"\xff" * 100,
        b"PK\x03\x04" + b"\x00" * 60,
        b"\x89PNG\r\n\x1a\n" + b"\x00" * 60,
        (10**12).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (26).to_bytes(8, "little") + b'{"__metadata__": "hello"} ',
    ],
    ids=repr,
)
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    refused(path, "dlfs")


def test_files_of_other_libraries_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"weight": np.ones(3)}, path)
    refused(path, "None")
    save_file({"weight": np.ones(3)}, path, {"format": "pt"})
    refused(path, "pt")
    for version in (1, 2):
        save_file({"weight": np.ones(3)}, path, {"format": f"dlfs {version}"})
        refused(path, "architecture")
    with (tmp_path / "arrays.npz").open("wb") as file:
        np.savez(file, weight=np.ones(3))
    refused(tmp_path / "arrays.npz", "dlfs")


def test_what_is_no_file_is_not_found(tmp_path):
    for path in (tmp_path / "nothing", tmp_path, tmp_path / "nothing" / "net", Path()):
        with pytest.raises(FileNotFoundError, match="no file"):
            dlfs.load(path)


class Payload:
    def __reduce__(self):
        return (Path.touch, (Path(self.path),))  # type: ignore[attr-defined]


def test_a_pickle_is_not_run(tmp_path):
    payload = Payload()
    payload.path = str(tmp_path / "was run")  # type: ignore[attr-defined]
    path = tmp_path / "net"
    path.write_bytes(pickle.dumps(payload))
    refused(path)
    with path.open("wb") as file:
        np.savez(file, weight=np.array([payload], dtype=object))
    refused(path)
    assert not (tmp_path / "was run").exists()
    pickle.loads(pickle.dumps(payload))  # noqa: S301 - to see that it is dangerous
    assert (tmp_path / "was run").exists(), "the payload would have worked"


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "system",
        "eval",
        "exec",
        "open",
        "__import__",
        "NeuralNetwork",
        "dlfs.NeuralNetwork",
        "dlfs.Operation",
        "dlfs.ParamOperation",
        "dlfs.WeightMultiply",
        "dlfs.SGD",
        "dlfs.layers.Dense",
        "dlfs.layers.dense.Dense",
        "dlfs.",
        "Dense",
        "Tanh",
        "Operation",
        "Layer",
        "Loss",
        "WeightMultiply",
        "ParamOperation",
        "_ConvLayer",
        "SGD",
        "Path",
        "load",
        "np",
        "dense",
        "",
        "Dense\x00",
        None,
        3,
        ["Dense"],
        {"class": "Dense", "arguments": {}},
        True,
    ],
    ids=repr,
)
@pytest.mark.parametrize("place", ["layer", "activation", "loss", "argument", "operation"])
def test_only_classes_of_the_library_are_made(good, name, place, tmp_path):
    _, config, tensors, _ = good
    config = copy.deepcopy(config)
    thing = {"class": name, "arguments": {}}
    if place == "layer":
        config["layers"][4] = thing
    elif place == "loss":
        config["loss"] = thing
    elif place == "operation":
        config["layers"][4] = {"class": "dlfs.OperationLayer", "arguments": {"operation": thing}}
    else:
        key = {"activation": "activation", "argument": "neurons"}[place]
        config["layers"][4]["arguments"][key] = thing
    write(tmp_path / "net", config, tensors)
    refused(tmp_path / "net")


def test_the_methods_and_modules_behind_a_name_are_out_of_reach(good, tmp_path, monkeypatch):
    _, config, tensors, _ = good
    called = []
    monkeypatch.setattr(os, "system", called.append)
    for name in ("dlfs.saving.os.system", "saving.os.system", "Dense.__init__", "Dense.build"):
        changed = copy.deepcopy(config)
        changed["layers"][0] = {"class": name, "arguments": {"command": "true"}}
        write(tmp_path / "net", changed, tensors)
        refused(tmp_path / "net", "unknown class")
    changed["layers"][0]["class"] = "dlfs.Unknown"
    write(tmp_path / "net", changed, tensors)
    refused(tmp_path / "net", "unknown class 'dlfs.Unknown'$")  # and not how to name one's own
    assert called == []


def tensors_changed(tensors):
    first = "layers.0.params.0"
    array = tensors[first]
    without = dict(tensors)
    del without[first]
    yield "missing", without
    yield "none", {}
    yield "other name", without | {"layers.00.params.0": array}
    yield "more channels", tensors | {first: np.concatenate([array, array])}
    yield "transposed", tensors | {first: array.transpose(1, 0, 2, 3).copy()}
    yield "flat", tensors | {first: array.ravel()}
    yield "one number", tensors | {first: array[:1, :1, :1, :1].copy()}
    yield "no numbers", tensors | {first: array[:0].copy()}
    for dtype in (np.float32, np.float16, np.int64, np.uint8, np.bool_):
        yield np.dtype(dtype).name, tensors | {first: array.astype(dtype)}
    mean = "layers.1.operations.0.running_mean"
    yield "one mean", tensors | {mean: tensors[mean][:, :1].copy()}
    yield "mean as float32", tensors | {mean: tensors[mean].astype(np.float32)}
    yield "no mean", {name: array for name, array in tensors.items() if name != mean}


def test_tensors_that_do_not_fit_are_named(good, tmp_path):
    _, config, tensors, _ = good
    for what, changed in tensors_changed(tensors):
        write(tmp_path / what, config, changed)
        refused(tmp_path / what, r"layers\.(0\.params\.0|1\.operations\.0\.running_mean)")


def nested(depth, left, right):
    return left * depth + right * depth


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "3",
        '"text"',
        "NaN",
        "{}",
        nested(100_000, "[", "]"),
        nested(100_000, '{"a":', "}").replace(":}", ":1}"),
        nested(2_000, '{"class": "dlfs.OperationLayer", "arguments": {"operation": ', "}}"),
        '{"layers": ' + nested(50_000, "[", "]") + "}",
        '{"layers": [' + "1" * 10_000 + "]}",
        "\\ud800",
        '{"layers": null, "layers": []}',
    ],
    ids=lambda text: text[:20] or "empty",
)
def test_an_architecture_that_is_none_is_refused(good, text, tmp_path):
    write(tmp_path / "net", text, good[2])
    refused(tmp_path / "net")


def test_configurations_nested_deep_are_refused(good, tmp_path):
    _, config, tensors, _ = good
    thing = {"class": "dlfs.Tanh", "arguments": {}}
    for _ in range(300):
        thing = {"class": "dlfs.OperationLayer", "arguments": {"operation": thing}}
    config = copy.deepcopy(config)
    config["layers"].append(thing)
    write(tmp_path / "net", config, tensors)
    refused(tmp_path / "net")


def paths_in(thing, path=()):
    """Go through all places in a configuration."""
    yield path
    if isinstance(thing, dict | list):
        for key, value in thing.items() if isinstance(thing, dict) else enumerate(thing):
            yield from paths_in(value, (*path, key))


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 20),
    st.integers(-(10**30), 10**30),
    st.sampled_from([2**31, 2**32, 2**33, 2**62, 2**63, 2**64, 10**9, 10**12, 10**18]),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["float32", "float64", "int64", "O", "same", "valid", "glorot", "dlfs.Dense"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["class", "arguments", "a", "self"]), inner, max_size=3),
        st.fixed_dictionaries(
            {
                "class": st.sampled_from(
                    [f"dlfs.{name}" for name in ("Dense", "Tanh", "Dropout", "MaxPool2D", "Huber")]
                ),
                "arguments": st.dictionaries(
                    st.sampled_from(["neurons", "keep_prob", "kernel_size", "padding", "self"]),
                    inner,
                    max_size=2,
                ),
            }
        ),
    ),
    max_leaves=6,
)


@given(st.data())
def test_any_value_in_any_place_loads_or_gives_a_clear_error(good, tmp_path_factory, data):
    _, config, tensors, _ = good
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.sampled_from(list(paths_in(config))[1:]))
        config = put(config, place, data.draw(values))
    path = tmp_path_factory.mktemp("fuzz") / "net"
    write(path, config, tensors)
    loaded = load_or_refuse(path)
    assert loaded is None or (loaded.built and repr(loaded))


@given(st.data())
def test_missing_and_additional_entries_load_or_give_a_clear_error(good, tmp_path_factory, data):
    _, config, tensors, _ = good
    config = copy.deepcopy(config)
    holders = [path for path in paths_in(config) if isinstance(at(config, path), dict)]
    parent = at(config, data.draw(st.sampled_from(holders)))
    if parent and data.draw(st.booleans()):
        del parent[data.draw(st.sampled_from(sorted(parent)))]
    else:
        parent[data.draw(st.text(max_size=6))] = data.draw(values)
    path = tmp_path_factory.mktemp("fuzz") / "net"
    write(path, config, tensors)
    load_or_refuse(path)


def layer(name, **arguments):
    return {"class": f"dlfs.{name}", "arguments": arguments}


HUGE = {
    "neurons": ([layer("Dense", neurons=10**12)], [3]),
    "neurons that fit into memory": ([layer("Dense", neurons=2 * 10**8)], [3]),
    "neurons twice": ([layer("Dense", neurons=10**5), layer("Dense", neurons=10**5)], [3]),
    "features": ([layer("Dense", neurons=3)], [10**9]),
    "features of a billion neurons": ([layer("Dense", neurons=10**9)], [10**9]),
    "features that overflow": ([layer("Dense", neurons=2**32)], [2**32]),
    "images": ([layer("Conv2D", out_channels=8, param_size=3)], [3, 10**5, 10**5]),
    "kernel": ([layer("Conv2D", out_channels=8, param_size=10**5)], [3, 10, 10]),
    "kernel that overflows": ([layer("Conv2D", out_channels=8, param_size=2**32)], [3, 10, 10]),
    "kernel that overflows, glorot": (
        [layer("Conv2D", out_channels=8, param_size=2**32, weight_init="glorot")],
        [3, 10, 10],
    ),
    "channels": ([layer("Conv2D", out_channels=10**10, param_size=3)], [3, 10, 10]),
    "padding": ([layer("Conv2D", out_channels=8, param_size=3, padding=10**9)], [3, 10, 10]),
    "stride": ([layer("ConvTranspose2D", out_channels=8, param_size=3, stride=10**9)], [3, 9, 9]),
    "vocabulary": ([layer("Embedding", vocabulary_size=10**11, neurons=10)], [5]),
    "vocabulary that fits": ([layer("Embedding", vocabulary_size=10**7, neurons=30)], [5]),
    "batch norm": ([layer("BatchNorm")], [10**8]),
    "batch norm of images": ([layer("BatchNorm")], [10**8, 1, 1]),
    "batch norm operation": ([layer("BatchNorm_Op")], [10**8]),
    "layer norm": ([layer("LayerNorm")], [10**8]),
    "attention": ([layer("SelfAttention", heads=1)], [1, 10**8]),
    "layer norm after it": ([layer("Reshape", shape=[10**8]), layer("LayerNorm")], [10**4, 10**4]),
    "pooling": ([layer("AvgPool2D", kernel_size=10**9, padding="same")], [1, 4, 4]),
    "pooling of a huge image": ([layer("AvgPool2D", kernel_size=2)], [1, 10**6, 10**6]),
    "reshape": ([layer("Reshape", shape=[10**18, 10**18])], [4]),
    "nothing but size": ([layer("Tanh")], [10**12]),
    "many axes": ([layer("Tanh")], [1] * 100),
}


@pytest.mark.skipif(sys.platform != "linux", reason="limits and measures memory as Linux does")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sizes_that_the_file_does_not_hold_cost_no_memory(dtype, tmp_path):
    """Each in a process of its own would be better, and slower: the peak is of all together."""
    for name, (layers, shape) in HUGE.items():
        config = {
            "class": "dlfs.NeuralNetwork",
            "layers": layers,
            "loss": layer("MeanSquaredError"),
            "seed": 1,
            "dtype": dtype,
            "input_shape": shape,
        }
        write(tmp_path / name, config, {"layers.0.params.0": np.zeros((3, 3), dtype=dtype)})
    script = textwrap.dedent(
        """
        import pathlib, resource, sys, time
        import dlfs

        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

        resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, 6 * 2**30))
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
        before = peak()
        for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
            started = time.process_time()
            try:
                dlfs.load(path)
            except ValueError as error:
                assert str(path) in str(error)
            else:
                print("loaded:", path.name)
            if time.process_time() > 5 + started:
                print(f"{path.name} took {time.process_time() - started:.0f} s")
            if peak() > before + 100:
                print(f"{path.name} took {peak() - before:.0f} MiB")
                before = peak()
        """
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(tmp_path)],
        capture_output=True,
        check=False,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(dlfs.__file__).parents[1])},
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


MOST = 2**27
OVER = f"an observation of {MOST + 1} numbers, before layers.0, is too large"
RELU = layer("OperationLayer", operation=layer("ReLU"))
# A layer, the largest observation that a file may ask for with it, a larger one, and what is said.
LIMITS = {
    "numbers": (RELU, [MOST], [MOST + 1], OVER),
    "numbers in all": (RELU, [2**13, 2**14], [MOST + 1, 1], OVER),
    "steps": (
        layer("RNNLayer", hidden_size=1),
        [4, 2],
        [5, 2],
        "layers.0 goes through 5 steps; a file may ask for 4",
    ),
    "steps of integers": (
        layer("RNNLayer", hidden_size=1, vocabulary_size=3),
        [4],
        [5],
        "layers.0 goes through 5 steps; a file may ask for 4",
    ),
    "a feature's numbers": (
        layer("BatchNorm"),
        [6],
        [7],
        "layers.0, BatchNorm(), needs 7 numbers, got 6",
    ),
    "a channel's numbers": (
        layer("BatchNorm"),
        [6, 9, 9],
        [7, 1, 1],
        "layers.0, BatchNorm(), needs 7 numbers, got 6",
    ),
    "the last axis's numbers": (
        layer("LayerNorm"),
        [9, 6],
        [1, 7],
        "layers.0, LayerNorm(), needs 7 numbers, got 6",
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_how_large_a_layer_a_file_may_ask_for(name, tmp_path, monkeypatch):
    asked, largest, larger, words = LIMITS[name]
    monkeypatch.setattr("dlfs.saving.networks.LARGEST_SEQUENCE", 4)
    tensors = {"layers.0.params.0": np.zeros((2, 3))}
    config = {"class": "dlfs.NeuralNetwork", "layers": [asked], "loss": layer("MeanSquaredError")}
    config |= {"seed": 1, "dtype": "float64"}
    path = tmp_path / "net"
    for shape, expected in ((largest, None), (larger, words)):
        write(path, {**config, "input_shape": shape}, tensors)
        said = None
        try:
            dlfs.load(path)
        except ValueError as error:
            said = str(error)
        if expected is None:
            # The numbers of the file are others than the layer's, which is found out afterwards.
            assert said is None or "the tensor layers.0" in said, said
        else:
            assert said == f"{path}: no network can be made of this file: ValueError: {expected}"


def test_how_large_a_window_a_file_may_ask_for(tmp_path, monkeypatch):
    net = NeuralNetwork([dlfs.MaxPool2D((2, 3))])
    net.build((1, 4, 4))
    dlfs.save(net, tmp_path / "net")
    monkeypatch.setattr("dlfs.saving.networks.LARGEST_WINDOW", 6)
    assert len(dlfs.load(tmp_path / "net")) == 1
    monkeypatch.setattr("dlfs.saving.networks.LARGEST_WINDOW", 5)
    refused(tmp_path / "net", "layers.0 pools over 6 pixels; a file may ask for 5")


@pytest.mark.parametrize("epochs", ["-1", "1.5", '"3"', "null", "[1]", "true"])
def test_a_file_says_for_how_many_epochs_as_a_count(epochs, good, tmp_path):
    _, config, tensors, _ = good
    write(tmp_path / "net", config, tensors, epochs_trained="3")
    assert dlfs.load(tmp_path / "net").epochs_trained == 3
    write(tmp_path / "net", config, tensors, epochs_trained=epochs)
    with pytest.raises(ValueError, match="the file: epochs_trained must be"):
        dlfs.load(tmp_path / "net")


def test_layers_that_are_no_list_or_too_many_are_refused(good, tmp_path):
    _, config, tensors, _ = good
    many = config["layers"][:1] * 40_000
    for layers in ({}, "layers", 3, many):
        write(tmp_path / "net", {**config, "layers": layers}, tensors)
        refused(tmp_path / "net")


def test_tied_parameters_are_a_dictionary(good, tmp_path):
    _, config, tensors, _ = good
    for tied in ([], "layers.0.params.0", 1):
        write(tmp_path / "net", {**config, "tied": tied}, tensors)
        refused(tmp_path / "net", "tied must be a dictionary, got ")
