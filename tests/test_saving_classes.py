"""The classes that a file names, and networks that could not be restored exactly."""

import json
import sys
from types import ModuleType

import numpy as np
import pytest

import dlfs
from dlfs.base import Operation
from dlfs.layers import Dense, Layer, LayerBlock
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGD
from dlfs.saving import known_classes
from dlfs.saving.config import class_name
from dlfs.saving.format import read_file, write_file
from dlfs.text import Vocabulary, load_writer, save_writer
from dlfs.train import Trainer
from tests.support.files import read, write
from tests.support.training import same

ROWS = np.random.default_rng(3).normal(size=(6, 4))
HERE = __name__


class Smooth(Operation):
    """Represents a user's class."""

    def __init__(self, rate=1.0):
        self.rate = rate

    def _output(self):
        return self.input_ / (1 + np.exp(-self.rate * self.input_))

    def _input_grad(self, output_grad):
        return output_grad  # not asked for here


class ReLU(Smooth):
    """Has the name of a class of the library, but is a different one."""


class Outer:
    class Inner(Smooth):
        pass


class Other(ModuleType):
    """A module with a class of the same name."""


class Plain(NeuralNetwork):
    """Only combines its layers."""

    def __init__(self, hidden=3):
        super().__init__([Dense(hidden, dlfs.Tanh()), Dense(2)], seed=4)
        self.hidden = hidden

    def describe(self):
        return f"{self.hidden} neurons"


class Doubled(NeuralNetwork):
    def forward(self, X_batch, inference=False):
        return 2 * super().forward(X_batch, inference)


class DoubledWithItsOwnConstructor(Doubled):
    def __init__(self, hidden):
        super().__init__([Dense(hidden)])


def built(*layers, kind=NeuralNetwork):
    net = kind(list(layers), seed=2)
    net.build((4,))
    return net


def test_classes_of_the_library_have_public_names_wherever_they_are():
    for name, kind in known_classes().items():
        assert name == f"dlfs.{kind.__name__}" == class_name(kind)
    for name in dlfs.__all__:
        kind = getattr(dlfs, name)
        if isinstance(kind, type) and issubclass(kind, Layer | Operation | dlfs.Loss):
            assert class_name(kind) == f"dlfs.{name}"


def test_a_file_names_the_classes_of_the_library_and_of_the_user(tmp_path):
    dlfs.save(built(Dense(3, ReLU()), Outer.Inner(), dlfs.ReLU()), tmp_path / "net")
    text = read(tmp_path / "net")[0]["network"]
    for name in ("dlfs.Dense", f"{HERE}.ReLU", f"{HERE}.Outer.Inner", "dlfs.ReLU"):
        assert f'"class": "{name}"' in text
    assert read(tmp_path / "net")[0]["format"] == "dlfs 2"


@pytest.mark.parametrize("key", ["ReLU", f"{HERE}.ReLU"])
def test_ones_own_relu_is_never_taken_for_the_librarys(key, tmp_path):
    net = built(Dense(3, ReLU(0.5)), dlfs.ReLU())
    path = tmp_path / "net"
    dlfs.save(net, path)
    with pytest.raises(ValueError, match=rf"unknown class '{HERE}\.ReLU'.*custom"):
        dlfs.load(path)
    loaded = dlfs.load(path, custom={key: ReLU})
    assert same([loaded.predict(ROWS)], [net.predict(ROWS)])
    assert type(loaded.layers[0].activation) is ReLU  # type: ignore[attr-defined]
    assert type(loaded.layers[1].operation) is dlfs.ReLU  # type: ignore[attr-defined]


def test_custom_does_not_change_what_the_librarys_names_mean(tmp_path):
    net = built(Dense(3, dlfs.ReLU()))
    dlfs.save(net, tmp_path / "net")
    loaded = dlfs.load(tmp_path / "net", custom={"ReLU": ReLU, "dlfs.ReLU": ReLU})
    assert type(loaded.layers[0].activation) is dlfs.ReLU  # type: ignore[attr-defined]


def test_two_classes_of_one_name_need_their_whole_names(tmp_path, monkeypatch):
    other = type("ReLU", (Smooth,), {"__module__": "other"})
    monkeypatch.setitem(sys.modules, "other", ModuleType("other"))
    net = built(Dense(3, ReLU(0.5)), other(2.0))
    path = tmp_path / "net"
    dlfs.save(net, path)
    with pytest.raises(ValueError, match="give each of them by its whole name"):
        dlfs.load(path, custom={"ReLU": ReLU})
    for custom in (
        {f"{HERE}.ReLU": ReLU, "other.ReLU": other},
        {f"{HERE}.ReLU": ReLU, "ReLU": other},
    ):
        loaded = dlfs.load(path, custom=custom)
        assert same([loaded.predict(ROWS)], [net.predict(ROWS)])
        assert type(loaded.layers[1].operation) is other  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["Inner", f"{HERE}.Outer.Inner"])
def test_a_class_inside_another_or_inside_a_function_can_be_named(name, tmp_path):
    class Local(Smooth):
        pass

    net = built(Outer.Inner(2.0), Local(3.0), Dense(1))
    dlfs.save(net, tmp_path / "net")
    loaded = dlfs.load(tmp_path / "net", custom={name: Outer.Inner, "Local": Local})
    assert same([loaded.predict(ROWS)], [net.predict(ROWS)])


@pytest.mark.parametrize(
    "custom",
    [
        *([ReLU], "ReLU", ReLU, {"ReLU": ReLU()}, {"ReLU": "ReLU"}, {"ReLU": int}, {3: ReLU}),
        {"SGD": SGD},
    ],
    ids=str,
)
def test_custom_must_map_names_to_classes(custom, tmp_path):
    dlfs.save(built(Dense(3)), tmp_path / "net")
    for load in (dlfs.load, load_writer):
        with pytest.raises(TypeError, match="custom must"):
            load(tmp_path / "net", custom)


def test_writers_and_checkpoints_name_classes_alike(tmp_path):
    net = NeuralNetwork([dlfs.Embedding(2, 3), ReLU(0.5), Dense(2)])
    net.build((5,))
    save_writer(net, Vocabulary("ab"), tmp_path / "writer")
    loaded, vocabulary = load_writer(tmp_path / "writer", custom={"ReLU": ReLU})
    X = np.array([[0, 1, 1, 0, 0]])
    assert same([loaded.predict(X)], [net.predict(X)])
    assert vocabulary.characters == "ab"
    with pytest.raises(ValueError, match="unknown class"):
        load_writer(tmp_path / "writer")
    net = built(Dense(3, ReLU(0.5)))
    Trainer(net, SGD(1e-3)).fit(
        ROWS, np.ones((6, 3)), epochs=1, verbose=0, checkpoint=tmp_path / "checkpoint"
    )
    loaded = dlfs.load(tmp_path / "checkpoint", custom={"ReLU": ReLU})
    assert same([loaded.predict(ROWS)], [net.predict(ROWS)])


class Keeps(Smooth):
    def __init__(self, rate, **options):
        super().__init__(rate)
        self.options = options


class Takes(Smooth):
    def __init__(self, *rates):
        super().__init__(rates[0])


class Renames(Smooth):
    def __init__(self, factor=1.0):
        super().__init__(factor)


class Doubles(Smooth):
    def __init__(self, rate):
        super().__init__(2 * rate)


class ByPosition(Smooth):
    def __init__(self, rate, /):
        super().__init__(rate)


class Few(Smooth):
    def __init__(self, rate):
        if rate > 2:
            raise ValueError("rate must be at most 2")
        super().__init__(rate)


def set_afterwards():
    operation = Few(2.0)
    operation.rate = 3.0
    return operation


class Remembers(Smooth):
    def __init__(self, rate):
        super().__init__([rate])

    def arguments(self):
        return {}


def replaced():
    operation = Smooth()
    operation._output = lambda: operation.input_ * 2
    return operation


UNRESTORABLE = {
    "**": (lambda: Keeps(2.0, slow=True), r"Keeps.*\*\*options"),
    "*": (lambda: Takes(2.0), r"Takes.*\*rates"),
    "another name": (lambda: Renames(2.0), r"Renames.*factor would be lost"),
    "another value": (lambda: Doubles(2.0), r"Doubles.*made with rate=4.0, it keeps rate=8.0"),
    "a value refused": (set_afterwards, r"Few.* does not take .* kept: rate must be at most 2"),
    "position": (lambda: ByPosition(2.0), r"ByPosition.*by position only"),
    "arguments() without one": (lambda: Remembers(2.0), r"Remembers.*rate would be lost"),
    "a method replaced": (replaced, r"Smooth.*method _output was replaced"),
    "a function": (lambda: Smooth(np.exp), r"Smooth.*rate=.*cannot be saved"),
    "an array": (lambda: Smooth(np.ones(3)), r"Smooth.*rate=.*cannot be saved"),
    "a long text": (lambda: Smooth({"x": "x" * 10**6}), r"Smooth.*rate=.*cannot be saved"),
}


@pytest.mark.parametrize("place", ["layer", "activation"])
@pytest.mark.parametrize("what", UNRESTORABLE)
def test_what_could_not_be_restored_is_refused_with_the_reason(what, place, tmp_path):
    make, match = UNRESTORABLE[what]
    net = built(Dense(3))
    operation = make()
    if place == "layer":
        net.layers.append(dlfs.layers.OperationLayer(operation))
        net.layers[-1].set_up(np.zeros((1, 3)))
    else:
        net.layers[0].activation = operation
    with pytest.raises(ValueError, match=match) as caught:
        dlfs.save(net, tmp_path / "net")
    assert len(str(caught.value)) < 500
    assert list(tmp_path.iterdir()) == []


class Positive(Smooth):
    def __init__(self, *ignored, **options):
        super().__init__(options.get("rate", 2.0))

    def arguments(self):
        return {}


@pytest.mark.parametrize("rate", [np.float32(0.25), np.array(0.25)])
def test_a_number_of_numpys_is_saved_as_a_number(rate, tmp_path):
    net = built(Dense(3, Smooth(rate)))
    dlfs.save(net, tmp_path / "net")
    loaded = dlfs.load(tmp_path / "net", custom={"Smooth": Smooth})
    assert repr(loaded.layers[0].activation.rate) == "0.25"  # type: ignore[attr-defined]


def test_a_class_that_keeps_its_arguments_in_a_way_of_its_own_may_take_any(tmp_path):
    net = built(Dense(3, Positive()))
    dlfs.save(net, tmp_path / "net")
    loaded = dlfs.load(tmp_path / "net", custom={"Positive": Positive})
    assert same([loaded.predict(ROWS)], [net.predict(ROWS)])


def test_an_argument_that_was_changed_afterwards_is_saved_as_it_is(tmp_path):
    net = built(Dense(3, Smooth(1.0)))
    net.layers[0].activation.rate = 0.25
    dlfs.save(net, tmp_path / "net")
    loaded = dlfs.load(tmp_path / "net", custom={"Smooth": Smooth})
    assert same([loaded.predict(ROWS)], [net.predict(ROWS)])


def test_a_network_that_only_puts_its_layers_together_comes_back_as_a_network(tmp_path):
    net = Plain(5)
    net.build((4,))
    dlfs.save(net, tmp_path / "net")
    loaded = dlfs.load(tmp_path / "net")
    assert type(loaded) is NeuralNetwork
    assert same([loaded.predict(ROWS)], [net.predict(ROWS)])


@pytest.mark.parametrize("key", ["Doubled", f"{HERE}.Doubled"])
def test_a_network_with_its_own_forward_comes_back_as_itself_or_not_at_all(key, tmp_path):
    net = built(Dense(2), kind=Doubled)
    path = tmp_path / "net"
    dlfs.save(net, path)
    for custom in (None, {"Doubled": ReLU}):
        with pytest.raises(ValueError, match=r"Doubled'.*must be passed in custom="):
            dlfs.load(path, custom)
    loaded = dlfs.load(path, custom={key: Doubled})
    assert type(loaded) is Doubled
    assert same([loaded.predict(ROWS)], [net.predict(ROWS)])


class Hasty(LayerBlock):
    """Leaves its last layer out."""

    def forward(self, input_, inference=False):
        for layer in self.layers[:-1]:
            input_ = layer.forward(input_, inference)
        return input_


def test_a_file_whose_network_never_reaches_a_layer_is_refused(tmp_path):
    dlfs.save(built(LayerBlock([Dense(3), Dense(2)])), tmp_path / "net")
    metadata, tensors = read(tmp_path / "net")
    config = json.loads(metadata["network"])
    config["layers"][0]["class"] = f"{HERE}.Hasty"
    write(tmp_path / "net", config, tensors)
    with pytest.raises(ValueError, match=r"layers\.0\.layers\.1, Dense\(2.*, is never reached"):
        dlfs.load(tmp_path / "net", custom={"Hasty": Hasty})


def test_a_network_that_could_not_be_restored_is_refused_with_the_reason(tmp_path):
    own = DoubledWithItsOwnConstructor(2)
    own.build((4,))
    with pytest.raises(ValueError, match=r"changes forward .* own constructor"):
        dlfs.save(own, tmp_path / "net")
    more = built(Dense(2), kind=Doubled)
    more.factor = 3
    with pytest.raises(ValueError, match="attribute factor would be lost"):
        dlfs.save(more, tmp_path / "net")
    replaced = built(Dense(2))
    replaced.predict = lambda X: X
    with pytest.raises(ValueError, match="method predict was replaced"):
        dlfs.save(replaced, tmp_path / "net")
    replaced = built(Dense(2))
    replaced.layers[0].forward = lambda X, inference=False: X
    with pytest.raises(ValueError, match=r"Dense.*method forward was replaced"):
        dlfs.save(replaced, tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


def test_a_class_that_only_pretends_to_be_the_librarys_is_refused(tmp_path):
    pretender = type("Nothing", (Smooth,), {"__module__": "dlfs.activations"})
    with pytest.raises(ValueError, match=r"Nothing cannot be saved: dlfs\.activations has no"):
        dlfs.save(built(Dense(2, pretender())), tmp_path / "net")
    pretender = type("ReLU", (Smooth,), {"__module__": "dlfs.activations"})
    with pytest.raises(ValueError, match=r"ReLU cannot be saved: dlfs\.activations has no"):
        dlfs.save(built(Dense(2, pretender())), tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", ["3", "12", "999999999"])
def test_a_newer_format_is_refused_as_newer(number, tmp_path, monkeypatch):
    path = tmp_path / "net"
    monkeypatch.setattr("dlfs.saving.format.VERSION", number)
    write_file(path, {}, {"network": {}})
    monkeypatch.undo()
    for load in (dlfs.load, load_writer, read_file):
        with pytest.raises(ValueError, match=f"saved by a newer dlfs, in format {number}"):
            load(path)


@pytest.mark.parametrize(
    "text", ["dlfs", "dlfs ", "dlfs x", "dlfs -1", "dlfs 2.0", "dlfs ²", "dlfs 1000000000", "pt"]
)
def test_what_is_no_version_is_refused(text, tmp_path):
    from safetensors.numpy import save_file

    save_file({}, tmp_path / "net", {"format": text})
    with pytest.raises(ValueError, match="format must be 'dlfs 2'"):
        dlfs.load(tmp_path / "net")
