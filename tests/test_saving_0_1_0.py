"""Files written by dlfs 0.1.0 still load, with the same predictions.

``tests/data/0.1.0`` holds files written by that version, and the predictions of its networks.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

import dlfs
from dlfs.base import Operation
from dlfs.optimizers import Adam
from dlfs.saving import known_classes
from dlfs.saving.format import CLASSES_OF_VERSION_1
from dlfs.text import load_writer
from dlfs.train import Trainer
from tests.support.files import read, write

FOLDER = Path(__file__).parent / "data" / "0.1.0"
KNOWN = dict(np.load(FOLDER / "predictions.npz"))


def close(found, expected):
    """Compare the predictions of two machines: sums of about ten products, in another order."""
    eps = np.finfo(expected.dtype).eps
    return np.allclose(found, expected, rtol=200 * eps, atol=200 * eps)


@pytest.mark.parametrize("name", ["dense", "cnn", "lstm", "writer", "checkpoint"])
def test_an_old_network_predicts_what_it_did(name, tmp_path):
    path = FOLDER / f"{name}.safetensors"
    assert read(path)[0]["format"] == "dlfs 1"
    net = dlfs.load(path)
    expected = KNOWN[f"{name}.prediction"]
    found = net.predict(KNOWN[f"{name}.X"])
    assert found.dtype == expected.dtype
    assert close(found, expected)
    # saved again, it is a file of the present format
    dlfs.save(net, tmp_path / "again")
    assert read(tmp_path / "again")[0]["format"] == "dlfs 2"
    again = dlfs.load(tmp_path / "again")
    assert np.array_equal(again.predict(KNOWN[f"{name}.X"]), found)


def test_an_old_writer_brings_its_vocabulary():
    net, vocabulary = load_writer(FOLDER / "writer.safetensors")
    assert vocabulary.characters == KNOWN["writer.vocabulary"]
    assert close(net.predict(KNOWN["writer.X"]), KNOWN["writer.prediction"])


def test_an_old_training_cannot_be_resumed_without_a_fingerprint_of_its_data(tmp_path):
    path = shutil.copy(FOLDER / "checkpoint.safetensors", tmp_path)
    X, y = KNOWN["checkpoint.X"], KNOWN["checkpoint.y"]
    layers = [
        dlfs.Dense(4, dlfs.Tanh(), dropout=0.9, weight_init="standard"),
        dlfs.BatchNorm(),
        dlfs.Dense(2, weight_init="standard"),
    ]
    net = dlfs.NeuralNetwork(layers, seed=3)
    options = {"epochs": 4, "eval_every": 1, "batch_size": 4, "early_stopping": 50, "verbose": 0}
    # its network and its optimizer are recognised, by their present names
    with pytest.raises(ValueError, match="another training: its settings were"):
        Trainer(net, Adam(0.01)).fit(X, y, X, y, **options, checkpoint=path, resume=True)


def test_the_old_names_are_still_the_librarys():
    optimizers = {"AdaGrad", "Adam", "AdamW", "RMSProp", "RegularizedSGD", "SGD", "SGDMomentum"}
    assert {f"dlfs.{name}" for name in CLASSES_OF_VERSION_1 - optimizers} <= set(known_classes())


class ReLU(Operation):
    """What a user of 0.1.0 may have called so."""

    def _output(self):
        return -self.input_


def test_in_an_old_file_custom_says_whose_class_it_is(tmp_path):
    names = {"loss": "MeanSquaredError", "layer": "ReLU"}
    config = {
        "layers": [
            {
                "class": "OperationLayer",
                "arguments": {"operation": {"class": names["layer"], "arguments": {}}},
            }
        ],
        "loss": {"class": names["loss"], "arguments": {}},
        "seed": 1,
        "dtype": "float64",
        "input_shape": [1],
    }
    path = tmp_path / "net"
    write(path, config, {}, format="dlfs 1", vocabulary='"ab"')
    for load in (dlfs.load, lambda *args, **options: load_writer(*args, **options)[0]):
        assert load(path).predict([[-3.0]]) == 0
        assert load(path, custom={"ReLU": ReLU}).predict([[-3.0]]) == 3
