"""Files of many layers and long texts: bounded memory and work, and short messages."""

import json
import os
import subprocess
import sys
import textwrap
import traceback
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dlfs
from dlfs.layers import BatchNorm, Dense
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGD
from dlfs.saving.format import LARGEST_HEADER, read_file, write_file
from dlfs.saving.networks import MOST_LAYERS, network_config, network_from, network_tensors
from dlfs.text import load_writer
from dlfs.train import Trainer
from tests.support.files import put_rows, read, rows_in, write


def layer(name, **arguments):
    return {"class": f"dlfs.{name}", "arguments": arguments}


def config(*layers, **other):
    return {
        "class": "dlfs.NeuralNetwork",
        "layers": list(layers),
        "loss": layer("MeanSquaredError"),
        "seed": 1,
        "dtype": "float64",
        "input_shape": [1],
    } | other


class Counted(dict):
    """Counts how many of its entries are gone through."""

    seen = 0

    def __iter__(self):
        for key in super().__iter__():
            Counted.seen += 1
            yield key

    def items(self):
        for item in super().items():
            Counted.seen += 1
            yield item

    def values(self):
        for value in super().values():
            Counted.seen += 1
            yield value


def test_the_work_grows_with_the_number_of_layers_not_with_its_square():
    net = NeuralNetwork([BatchNorm() for _ in range(30)])
    net.build((1,))
    tensors = network_tensors(net)
    Counted.seen = 0
    network_from(Counted(tensors), network_config(net), {})
    assert Counted.seen <= 2 * len(tensors)


def test_too_many_layers_are_refused_and_cannot_be_saved(tmp_path):
    path = tmp_path / "net"
    relu = layer("OperationLayer", operation=layer("ReLU"))
    write(path, config(*[relu] * (MOST_LAYERS + 1)), {})
    with pytest.raises(ValueError, match=f"a list of at most {MOST_LAYERS}"):
        dlfs.load(path)
    net = NeuralNetwork([Dense(1)])
    net.build((1,))
    net.layers *= MOST_LAYERS + 1
    with pytest.raises(ValueError, match=f"at most {MOST_LAYERS} layers"):
        dlfs.save(net, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_header_that_is_too_large_is_refused_and_cannot_be_written(tmp_path):
    path = tmp_path / "net"
    write(path, "[" + "1," * (LARGEST_HEADER // 2) + "1]", {})
    with pytest.raises(ValueError, match=f"at most {LARGEST_HEADER} are read"):
        dlfs.load(path)
    with pytest.raises(ValueError, match=f"at most {LARGEST_HEADER} can be read again"):
        write_file(tmp_path / "new", {}, {"rows": "x" * LARGEST_HEADER})
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="limits and measures memory as Linux does")
def test_the_largest_files_that_are_read_cost_bounded_memory(tmp_path):
    relu = layer("OperationLayer", operation=layer("ReLU"))
    norm = layer("BatchNorm", momentum=0.1, eps=1e-5)
    names = ["layers.{}.params.0", "layers.{}.params.1"]
    names += ["layers.{}.operations.0.running_mean", "layers.{}.operations.0.running_var"]
    ones = {name.format(i): np.ones((1, 1)) for i in range(MOST_LAYERS) for name in names}
    write(tmp_path / "norms", config(*[norm] * MOST_LAYERS), ones)
    write(tmp_path / "relus", config(*[relu] * MOST_LAYERS), {})
    write(tmp_path / "refused: lists", "[" + "[]," * (LARGEST_HEADER // 3 - 100) + "1]", {})
    write(tmp_path / "refused: text", json.dumps("x" * (LARGEST_HEADER - 1000)), {})
    with (tmp_path / "refused: hole").open("wb") as file:
        file.write((2).to_bytes(8, "little") + b"{}")
        file.truncate(1 << 36)
    script = textwrap.dedent(
        """
        import pathlib, resource, sys
        import dlfs

        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

        resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
        before = peak()
        for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
            try:
                dlfs.load(path)
            except ValueError as error:
                assert path.name.startswith("refused"), error
                assert str(path) in str(error)
            else:
                assert path.name in ("norms", "relus"), path
        if peak() > before + 600:
            print(f"took {peak() - before:.0f} MiB")
        """
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(tmp_path)],
        capture_output=True,
        check=False,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(dlfs.__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def said(call, *arguments):
    """Return everything that an error prints, including its causes."""
    try:
        call(*arguments)
    except ValueError as error:
        return "".join(
            part
            for part in traceback.TracebackException.from_exception(error).format(chain=True)
            if not part.startswith('  File "')
        )
    return ""


def paths_in(thing, path=()):
    yield path
    if isinstance(thing, dict | list):
        for key, value in thing.items() if isinstance(thing, dict) else enumerate(thing):
            yield from paths_in(value, (*path, key))


LONG = "<long text> " * 20_000
LONG_VALUES = [
    LONG,
    [LONG],
    {LONG: LONG},
    {"class": LONG, "arguments": {}},
    {"class": f"dlfs.{LONG}", "arguments": {LONG: LONG}},
    {"class": "dlfs.Dense", "arguments": {LONG: 1}},
    {"class": "dlfs.Dense", "arguments": {"neurons": LONG}},
    {"class": "dlfs.Reshape", "arguments": {"shape": [1] * 60_000}},
    {"class": "dlfs.MaxPool2D", "arguments": {"kernel_size": [[1] * 60_000]}},
    {"class": "dlfs.Huber", "arguments": {"delta": int("9" * 4000)}},
    [1] * 60_000,
    int("9" * 4000),
]


@given(st.data())
def test_messages_are_short_whatever_a_file_holds(tmp_path_factory, data):
    layers = [
        layer("Conv2D", out_channels=2, param_size=3, padding="same", activation=layer("Tanh")),
        layer("OperationLayer", operation=layer("MaxPool2D", kernel_size=2, padding=0)),
        layer("OperationLayer", operation=layer("Reshape", shape=[-1])),
        layer("Dense", neurons=2, weight_init="he", conv_in=False),
        layer("RNNLayer", hidden_size=2, carry=False),
    ]
    changed = config(*layers, input_shape=[1, 6, 6])
    place = data.draw(st.sampled_from([path for path in paths_in(changed) if path]))
    at = changed
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = data.draw(st.sampled_from(LONG_VALUES))
    path = tmp_path_factory.mktemp("long") / "net"
    write(path, changed, {})
    assert len(said(dlfs.load, path)) < 5000


@pytest.mark.parametrize("name", [LONG, "\u0000" * 1000, "'" * 100_000], ids=["a", "b", "c"])
def test_messages_are_short_whatever_names_and_versions_a_file_has(name, tmp_path):
    path = tmp_path / "net"
    for metadata in (
        {"format": name},
        {"format": f"dlfs {name}"},
        {"format": "dlfs " + "9" * 5000},
        {"vocabulary": json.dumps(name)},
        {"training": name},
        {name: name},
    ):
        write(path, config(layer("Dense", neurons=2)), {name: np.ones(3)}, **metadata)
        for call in (dlfs.load, load_writer, read_file):
            assert len(said(call, path)) < 5000
    path.write_bytes(len(name).to_bytes(8, "little") + name.encode())
    assert 0 < len(said(dlfs.load, path)) < 5000


@pytest.mark.parametrize("value", [10**400, "<b>" * 100_000, [1], {}, None, float("nan"), -1])
@pytest.mark.parametrize("column", ["epoch", "lr", "train_loss", "seconds", "accuracy", LONG])
def test_rows_that_nobody_should_believe_are_refused_or_shown(column, value, tmp_path):
    X = np.ones((4, 1))
    path = tmp_path / "checkpoint"

    def fit(**options):
        net = NeuralNetwork([Dense(1)])
        return Trainer(net, SGD(0.1)).fit(X, X, epochs=1, verbose=0, checkpoint=path, **options)

    fit()
    metadata, tensors = read(path)
    rows = rows_in(tensors)
    rows[0][column] = value
    put_rows(tensors, rows)
    write(path, metadata["network"], tensors, training=metadata["training"])
    message = said(lambda: fit(resume=True))
    assert len(message) < 5000
    if not message:
        history = fit(resume=True)
        assert len(repr(history)) < 2000
        assert "<b>" not in history._repr_html_()
    if value == 10**400:
        assert message


def test_a_file_that_is_written_in_place_meanwhile_is_not_mapped(tmp_path):
    """Arrays that lay in a mapped file would change, or end the process, with the file."""
    path = tmp_path / "net"
    tensors = {"numbers": np.arange(1000.0)}
    write_file(path, tensors, {})
    found, _ = read_file(path)
    with path.open("r+b") as file:
        file.truncate(0)
    assert np.array_equal(found["numbers"], tensors["numbers"])
    assert found["numbers"].flags.writeable
