"""Training on data of one's own: files, batches that are made, labels, augmentation."""

import itertools
import json
import re
import resource
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

import dlfs
from dlfs import Batches
from dlfs.layers import Dense
from dlfs.losses import BinaryCrossEntropy, SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGD, SGDMomentum
from dlfs.saving import network_metadata, network_tensors
from dlfs.saving.format import write_file
from dlfs.train import Trainer
from dlfs.train.callbacks import Callback
from dlfs.train.fingerprint import fingerprint
from tests.support.files import read
from tests.support.training import (
    classification,
    classifier,
    regression,
    regressor,
    same,
    weights,
    without_seconds,
)

QUIET = {"early_stopping": False, "verbose": 0}


def stored(folder: Path, array: np.ndarray, name: str = "array") -> np.memmap:
    """Return an array in a file."""
    file = np.memmap(folder / name, array.dtype, "w+", shape=array.shape)
    file[...] = array
    return file


def fit(X, y=None, net=None, **options):
    net = regressor() if net is None else net
    history = Trainer(net, SGD(lr=0.05)).fit(X, y, **{"epochs": 3, **QUIET, **options})
    return net, history


# --- arrays in files ---


@pytest.mark.parametrize("dtype", ["float64", "float32", "int16"])
def test_an_array_in_a_file_trains_as_the_array_does(dtype, tmp_path):
    X, y, _, _ = regression()
    X, y = (8 * X).astype(dtype), (8 * y).astype(dtype)
    expected, _ = fit(X, y)
    trained, _ = fit(stored(tmp_path, X), stored(tmp_path, y, "targets"))
    assert same(weights(trained), weights(expected))


@pytest.mark.parametrize("part", ["X", "y"])
def test_a_number_that_is_not_finite_is_named_when_its_batch_is_read(part, tmp_path):
    X, y, _, _ = regression(rows=200)
    (X if part == "X" else y)[150, 0] = np.nan
    files = stored(tmp_path, X), stored(tmp_path, y, "targets")
    with pytest.raises(ValueError, match=f"{part}_train must be finite, got nan in row 150"):
        fit(*files)


def test_rows_that_do_not_fit_are_named(tmp_path):
    X, y, _, _ = regression()
    with pytest.raises(ValueError, match="same number of rows"):
        fit(stored(tmp_path, X), stored(tmp_path, y[:-1], "targets"))
    with pytest.raises(ValueError, match="X_train has no observations"):
        fit(stored(tmp_path, X)[:0], y[:0])
    with pytest.raises(ValueError, match="y_train must have the shape"):
        fit(stored(tmp_path, X), stored(tmp_path, np.hstack([y, y]), "targets"))


LARGE = """
import resource, sys
import numpy as np
from dlfs import SGD, Callback, Dense, NeuralNetwork, SoftmaxCrossEntropy, Trainer

class Stop(Callback):
    def on_batch_end(self, trainer, epoch, batch, loss):
        trainer.stop = batch == 2

X = np.memmap(sys.argv[1], "uint8", "w+", shape=(2**21, 1024))
y = np.zeros(len(X), dtype=np.int64)
net = NeuralNetwork([Dense(10)], SoftmaxCrossEntropy(), dtype="float32")
trainer = Trainer(net, SGD())
net.build((1024,))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
trainer.fit(X, y, verbose=0, epochs=1, callbacks=[Stop()])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss, and sparse files")
def test_two_gigabytes_in_a_file_cost_little_memory(tmp_path):
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    command = [sys.executable, "-c", LARGE, str(tmp_path / "large")]
    more = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert more < 200 * 1024  # kilobytes


# --- batches ---


def drawn(rng):
    """Make the batches of an epoch from a generator of random numbers."""
    X, y, _, _ = regression()
    for rows in np.array_split(rng.permutation(len(X)), 5):
        yield X[rows], y[rows]


def test_batches_made_by_a_function_train_as_those_of_arrays_do():
    X, y, _, _ = regression()

    def source(rng):
        order = rng.permutation(len(X))
        return [(X[order[i : i + 32]], y[order[i : i + 32]]) for i in range(0, len(X), 32)]

    expected, past = fit(X, y)
    trained, history = fit(Batches(source))
    assert same(weights(trained), weights(expected))
    assert without_seconds(history) == without_seconds(past)


def test_a_loader_is_gone_through_in_each_epoch_and_may_be_passed_as_it_is():
    class Loader:
        gone_through = 0

        def __len__(self):
            return 5

        def __iter__(self):
            self.gone_through += 1
            return drawn(np.random.default_rng(self.gone_through))

    loader = Loader()
    _, history = fit(loader, epochs=4)
    assert loader.gone_through == 5  # once for the shapes
    assert history["train_loss"][-1] < history["train_loss"][0]
    assert fit(list(drawn(np.random.default_rng(0))))[1]["epoch"] == [1, 2, 3]


class Crash(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, trainer, epoch, batch, loss):
        if (epoch, batch) == (self.epoch, 2):
            raise RuntimeError("crash")


def test_a_training_on_batches_resumes_to_the_bit(tmp_path):
    def train(net, callbacks=(), **options):
        optim = SGDMomentum(lr=0.05, final_lr=0.01, decay_type="linear", decay_each="batch")
        options = {"epochs": 6, "seed": 4, "callbacks": callbacks, **QUIET, **options}
        return Trainer(net, optim).fit(Batches(drawn), transform=noisy, **options)

    def noisy(X, rng):
        return X + 0.1 * rng.normal(size=X.shape)

    whole, parts = regressor(), regressor()
    history = train(whole)
    path = tmp_path / "checkpoint"
    with pytest.raises(RuntimeError, match="crash"):
        train(regressor(), [Crash(3)], checkpoint=path)
    resumed = train(parts, checkpoint=path, resume=True)
    assert same(weights(parts), weights(whole))
    assert without_seconds(resumed) == without_seconds(history)


def test_other_batches_and_another_transform_are_not_resumed(tmp_path):
    path = tmp_path / "checkpoint"
    fit(Batches(drawn), checkpoint=path)
    settings = json.loads(read(path)[0]["training"])["settings"]
    X, y = next(drawn(np.random.default_rng((0, 0))))
    assert settings["X_train"] == fingerprint(X.astype(np.float64))
    assert settings["y_train"] == fingerprint(y)

    def doubled(rng):
        return ((2 * X, y) for X, y in drawn(rng))

    def same_inputs(X, rng):
        return X

    for batches, options in ((doubled, {}), (drawn, {"transform": same_inputs})):
        with pytest.raises(ValueError, match="belongs to another training"):
            fit(Batches(batches), checkpoint=path, resume=True, epochs=4, **options)
    assert len(fit(Batches(drawn), checkpoint=path, resume=True, epochs=4)[1]) == 4


def test_of_a_list_of_batches_the_number_and_the_shapes_must_be_those_before(tmp_path):
    path = tmp_path / "checkpoint"
    batches = list(drawn(np.random.default_rng(0)))
    fit(batches, checkpoint=path)
    settings = json.loads(read(path)[0]["training"])["settings"]
    X, y = batches[0]
    shapes = list(X.shape[1:]), list(y.shape[1:])
    assert (settings["batches"], settings["X_train"], settings["y_train"]) == (5, *shapes)
    with pytest.raises(ValueError, match="batches"):
        fit(batches[:4], checkpoint=path, resume=True, epochs=4)
    assert len(fit(batches[::-1], checkpoint=path, resume=True, epochs=4)[1]) == 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Batches(drawn(np.random.default_rng())),
            (
                "can be gone through only once; pass a function that makes a new one from a random "
                "generator$"
            ),
        ),
        (lambda: Batches([(1, 2)], prefetch="yes"), "^Batches: prefetch must be True or False"),
        (lambda: Batches(3), "must be an iterable of pairs"),
        (lambda: Batches(np.zeros((3, 2))), "must be an iterable of pairs"),
        (lambda: Batches([]), "length must be at least 1"),
        (lambda: Batches([1, 2]), r"batch 0 must be a pair \(X, y\), got int 1"),
        (lambda: Batches([(np.zeros((2, 3)), np.zeros(3))]), "of batch 0 must have the same num"),
        (lambda: Batches(drawn, length=4), "must give 4 batches in each epoch.*more than 4"),
        (lambda: Batches(drawn, length=6), "must give 6 batches in each epoch.*got 5"),
        (lambda: Batches([(np.full((2, 3), np.nan), np.zeros(2))]), "must be finite"),
        (lambda: Batches([*drawn(np.random.default_rng(0)), (np.ones((2, 4)), np.ones(2))]), "3"),
    ],
)
def test_batches_that_no_training_can_use_are_named(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fit(make())


def test_targets_belong_to_arrays_and_not_to_batches():
    X, y, _, _ = regression()
    with pytest.raises(TypeError, match="y_train must be left out"):
        fit(Batches(drawn), y)
    with pytest.raises(TypeError, match="X_train and y_train go together"):
        fit(X)


def test_batches_for_the_test_must_be_there():
    X, y, _, _ = regression()
    with pytest.raises(ValueError, match="Batches: source must give at least one batch, got none"):
        fit(X, y, X_test=Batches(lambda rng: [], length=1), eval_every=1)


def test_weights_of_observations_belong_to_arrays(tmp_path):
    X, y, _, _ = regression()
    with pytest.raises(TypeError, match="sample_weight needs X_train and y_train as arrays in mem"):
        fit(stored(tmp_path, X), y, sample_weight=np.ones(len(X)))


def test_batches_are_shown_in_a_line():
    batches = Batches(drawn, length=5, prefetch=True)
    assert re.fullmatch(
        r"Batches\(<function drawn at 0x\w+>, length=5, prefetch=True\)", repr(batches)
    )
    assert repr(Batches([(1, 2)])) == "Batches([(1, 2)], length=1)"


def test_batches_are_evaluated_as_arrays_are():
    X, y, X_test, y_test = regression()
    test = Batches([(X_test[:30], y_test[:30]), (X_test[30:], y_test[30:])])
    net, history = fit(X, y, X_test=test, eval_every=1, metrics=["mae"])
    _, expected = fit(X, y, X_test=X_test, y_test=y_test, eval_every=1, metrics=["mae"])
    assert without_seconds(history) == without_seconds(expected)
    trainer = Trainer(net, SGD())
    assert trainer.evaluate(test, metrics=["mae"]) == trainer.evaluate(X_test, y_test, ["mae"])


# --- augmentation ---


def test_a_transform_is_drawn_from_the_seed_and_the_epoch():
    X, y, X_test, _ = regression()
    seen = []

    def watched(X, rng):
        seen.append(float(rng.random()))
        return X + 1

    first, _ = fit(X, y, transform=watched, seed=3)
    fit(X, y, transform=[watched], seed=3)
    half = len(seen) // 2
    assert seen[:half] == seen[half:]
    assert len(set(seen[:half])) == half
    moved, _ = fit(X + 1, y, seed=3)
    assert same(weights(first), weights(moved))
    assert not np.allclose(first.predict(X_test), first.predict(X_test + 1))


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (3, "transform must be a function"),
        ([], "transform must be a function"),
        (lambda X, rng: X[:-1], "must return an array of 32 rows"),
        (lambda X, rng: None, "must return an array of 32 rows.*NoneType"),
    ],
)
def test_a_transform_that_cannot_be_used_is_named(transform, message):
    X, y, _, _ = regression()
    with pytest.raises((TypeError, ValueError), match=message):
        fit(X, y, transform=transform)


# --- batches that a thread prepares ahead ---


def helpers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("dlfs-batches")]


class Ahead(Callback):
    """Waits in the first step until the second batch is on its way; ends the training then."""

    def __init__(self, error: type[BaseException] | None = None) -> None:
        self.error, self.started, self.met = error, threading.Event(), False

    def on_batch_end(self, trainer, epoch, batch, loss):
        self.met = self.started.wait(timeout=60)
        trainer.stop = True
        if self.error is not None:
            raise self.error("stop")

    def count(self, number):
        if number == 1:
            self.started.set()


def counted(ahead):
    """Return a transform that counts its batches."""
    numbers = itertools.count()

    def transform(X, rng):
        ahead.count(next(numbers))
        return X

    return transform


def source_of(ahead):
    """Return a source that counts its batches."""

    def source(rng):
        for number, batch in enumerate(drawn(rng)):
            ahead.count(number)
            yield batch

    return Batches(source, length=5, prefetch=True)


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("kind", ["transform", "source", "file"])
def test_the_next_batch_is_prepared_while_the_network_learns(kind, error, tmp_path):
    ahead = Ahead(error)
    X, y, _, _ = regression(rows=200)
    data = {"source": (source_of(ahead),), "file": (stored(tmp_path, X), y)}.get(kind, (X, y))
    transform = None if kind == "source" else counted(ahead)
    outcome = pytest.raises(error) if error is RuntimeError else nullcontext()
    with outcome:
        fit(*data, transform=transform, callbacks=[ahead])
    assert ahead.met
    assert not helpers()  # however the training ended


def test_a_source_works_in_the_thread_of_the_training_unless_it_may_run_ahead():
    def source(rng):
        for batch in drawn(rng):
            threads.append(threading.current_thread())
            yield batch

    for prefetch in (False, True):
        threads: list[threading.Thread] = []
        fit(Batches(source, length=5, prefetch=prefetch), epochs=2)
        elsewhere = {thread for thread in threads if thread is not threading.main_thread()}
        assert len(elsewhere) == 2 * prefetch  # one for each epoch


@pytest.mark.parametrize("prefetch", [False, True])
def test_batches_drawn_ahead_are_the_same_and_resume_to_the_bit(prefetch, tmp_path):
    def noisy(X, rng):
        return X + 0.1 * rng.normal(size=X.shape)

    expected, past = fit(Batches(drawn), transform=noisy, epochs=5)
    batches, path = Batches(drawn, prefetch=prefetch), tmp_path / "checkpoint"
    options = {"transform": noisy, "checkpoint": path, "epochs": 5}
    with pytest.raises(RuntimeError, match="crash"):
        fit(batches, callbacks=[Crash(3)], **options)
    trained, history = fit(batches, resume=True, **options)
    assert same(weights(trained), weights(expected))
    assert without_seconds(history) == without_seconds(past)


def test_an_error_of_a_batch_prepared_ahead_comes_when_its_turn_comes():
    def transform(X, rng):
        if next(numbers) == 3:
            raise OSError("the file is gone")
        return X

    class Count(Callback):
        steps = 0

        def on_batch_end(self, trainer, epoch, batch, loss):
            self.steps += 1

    numbers, count = itertools.count(), Count()
    X, y, _, _ = regression(rows=200)
    with pytest.raises(OSError, match="the file is gone"):
        fit(X, y, transform=transform, callbacks=[count])
    assert count.steps == 3
    assert not helpers()


def test_the_thread_sees_the_numpy_settings_of_the_training():
    def overflowing(X, rng):
        return np.exp(1000 * np.abs(X) + 1000) * 0 + X

    X, y, _, _ = regression()
    with np.errstate(over="raise"), pytest.raises(FloatingPointError, match="overflow"):
        fit(X, y, transform=overflowing)


# --- gradient accumulation ---


@pytest.mark.parametrize("parts", [2, 3, 100])
def test_parts_of_a_batch_give_the_gradient_of_the_batch(parts):
    X, y, _, _ = regression()
    expected, history = fit(X, y, batch_size=20)
    net, accumulated = fit(X, y, batch_size=20, accumulate=parts)
    for a, b in zip(weights(net), weights(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)
    assert accumulated["train_loss"] == pytest.approx(history["train_loss"], rel=1e-12)


def test_a_layer_that_carries_its_state_reads_a_batch_at_once():
    net = NeuralNetwork([dlfs.RNNLayer(3, vocabulary_size=4, output_size=4, carry=True)])
    with pytest.raises(ValueError, match="accumulate must be 1"):
        fit(np.zeros((4, 3), dtype=int), np.zeros((4, 3, 4)), net, shuffle=False, accumulate=2)


@pytest.mark.parametrize(
    "options", [{"class_weight": [1, 3]}, {"ignore_index": 1}, {"reduction": "sum"}]
)
def test_a_loss_that_divides_by_something_else_is_not_accumulated(options) -> None:
    net = NeuralNetwork([Dense(2)], SoftmaxCrossEntropy(**options))
    with pytest.raises(ValueError, match="accumulate must be 1 for a loss"):
        Trainer(net, SGD()).fit(np.ones((4, 3)), np.array([0, 1, 0, 1]), accumulate=2)


# --- labels ---

NAMES = np.array(["frog", "ant", "cow"])


@pytest.mark.parametrize(
    "names",
    [
        NAMES,
        NAMES.astype(object),
        np.array([-7, 100, 3]),
        np.array([1, 2, 3], dtype=np.uint8),
    ],
)
@pytest.mark.parametrize("as_list", [False, True])
def test_labels_of_any_kind_come_back_as_they_came_in(names, as_list):
    X, numbers, X_test, numbers_test = classification()
    order = np.argsort(names)
    ranks = np.argsort(order)
    expected, history = fit(
        X, ranks[numbers], classifier(), X_test=X_test, y_test=ranks[numbers_test]
    )
    y, y_test = (list(names[n]) if as_list else names[n] for n in (numbers, numbers_test))
    net, other = fit(X, y, classifier(), X_test=X_test, y_test=y_test)
    assert same(weights(net), weights(expected))
    assert without_seconds(other) == without_seconds(history)
    assert net.classes.tolist() == sorted(names.tolist())
    predicted = net.predict_classes(X_test)
    assert np.array_equal(predicted, names[order][expected.predict_classes(X_test)])
    assert expected.classes is None
    assert Trainer(net, SGD()).evaluate(X_test, y_test, ["accuracy"])["accuracy"] == np.mean(
        predicted == np.array(y_test)
    )


@pytest.mark.parametrize("loss", [BinaryCrossEntropy, SoftmaxCrossEntropy])
@pytest.mark.parametrize("names", [["no", "yes"], [False, True], [-1, 1]])
def test_one_output_tells_two_labels_apart(loss, names):
    X, y, _, _ = classification(classes=2)
    net, _ = fit(X, np.array(names)[y], NeuralNetwork([Dense(1)], loss()), epochs=20)
    assert net.classes.tolist() == names
    predicted = net.predict_classes(X)
    assert predicted.shape == (len(X),)
    assert set(predicted.tolist()) <= set(names)
    proba = net.predict_proba(X)
    assert proba.shape == (len(X), 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert np.array_equal(np.array(names)[proba.argmax(axis=1)], predicted)
    assert np.mean(predicted == np.array(names)[y]) > 0.8


def test_names_can_be_given_to_class_numbers():
    X, y, _, _ = classification()
    net = classifier()
    net.classes = NAMES
    fit(X, y, net)
    assert net.classes.tolist() == NAMES.tolist()
    assert set(net.predict_classes(X)) <= set(NAMES)
    # Labels in the order that was given, also where one does not occur.
    two = y < 2
    fit(X[two], NAMES[y[two]], net)
    assert net.classes.tolist() == NAMES.tolist()


def test_a_new_training_finds_its_own_classes_and_a_longer_one_keeps_them():
    X, y, _, _ = classification()
    net, _ = fit(X, NAMES[y], classifier())
    with pytest.raises(ValueError, match=r"labels from net.classes, \['ant', 'cow', 'frog'\], got"):
        fit(X, np.array(["ant", "bee", "cow"])[y], net, restart=False)
    fit(X, np.array(["ant", "bee", "cow"])[y], net)
    assert net.classes.tolist() == ["ant", "bee", "cow"]
    fit(X, y, net)
    assert net.classes is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "b"], r"as many different labels.*, 3, got 2: \['a', 'b'\]"),
        (["a", "b", "c", "d"], r"3, got 4"),
        (["a", None, "b"], "real numbers, got object"),
        ([True, False], "3, got 2"),
        ([5, 6], r"labels must lie in 0\.\.2, got 5\.\.6"),
    ],
)
def test_labels_that_are_not_the_networks_are_named(labels, message):
    X, _, _, _ = classification()
    names = np.array([labels[i % len(labels)] for i in range(len(X))], dtype=object)
    with pytest.raises((TypeError, ValueError), match=message):
        fit(X, names, classifier())


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("abc", "must be a list of labels"),
        (3, "must be a list of labels"),
        (["a", 1], "must be one row of texts, integers or booleans"),
        ([1.5, 2.5], "must be one row of texts"),
        (["a", "a"], "all different"),
        (["a"], "at least 2"),
        (["a" * 1001, "b"], "at most 1000 characters"),
        (range(2**20 + 1), "classes must be at most 1048576, got 1048577"),
    ],
)
def test_classes_that_are_none_are_refused(classes, message):
    net = classifier()
    with pytest.raises((TypeError, ValueError), match=message):
        net.classes = classes


def test_strings_of_varying_length_are_labels():
    X, y, _, _ = classification()
    kind = np.dtypes.StringDType()
    net = classifier()
    fit(X, np.array(["ant", "bee", "cow"], dtype=kind)[y], net)
    assert net.classes.tolist() == ["ant", "bee", "cow"]


def test_classes_and_notes_are_saved(tmp_path):
    X, y, _, _ = classification()
    net, _ = fit(X, NAMES[y], classifier(), checkpoint=tmp_path / "checkpoint")
    net.notes = {"scale": [1.0, 2.5], "unit": "metre"}
    dlfs.save(net, tmp_path / "net")
    again = dlfs.load(tmp_path / "net")
    assert again.notes == net.notes
    assert dlfs.load(tmp_path / "checkpoint").classes.tolist() == net.classes.tolist()
    assert np.array_equal(again.predict_classes(X), net.predict_classes(X))
    for notes in ({"a": {1, 2}}, {"a": float("nan")}, {"a": (1, 2)}, {1: 2}):
        net.notes = notes
        with pytest.raises(ValueError, match=r"net\.notes must hold values of JSON only"):
            dlfs.save(net, tmp_path / "net")


def test_probabilities_need_a_loss_of_logits():
    X, y, _, _ = regression()
    net, _ = fit(X, y)
    with pytest.raises(ValueError, match="MeanSquaredError: predictions must be logits"):
        net.predict_proba(X)
    many = NeuralNetwork([Dense(3)], BinaryCrossEntropy())
    assert many.predict_proba(X).shape == (len(X), 3)
    assert set(many.predict_classes(X).ravel().tolist()) <= {0, 1}


def test_labels_in_a_file_and_in_batches(tmp_path):
    X, y, _, _ = classification()
    net, _ = fit(stored(tmp_path, X), NAMES[y], classifier())
    assert net.classes.tolist() == sorted(NAMES)
    batches = Batches([(X[:30], NAMES[y[:30]]), (X[30:], NAMES[y[30:]])])
    with pytest.raises(ValueError, match=r"net\.classes"):
        fit(batches, net=classifier())
    named = classifier()
    named.classes = NAMES
    fit(batches, net=named)
    assert set(named.predict_classes(X)) <= set(NAMES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", "abc"),
        ("classes", [1.5, 2.5]),
        ("classes", ["a", "a", "b"]),
        ("classes", [["a"], ["b"]]),
        ("classes", {"a": 1}),
        ("classes", ["x" * 2000, "b", "c"]),
        ("classes", [2**70, 1, 2]),
        ("notes", [1]),
        ("notes", "text"),
        ("notes", None),
    ],
)
def test_classes_and_notes_that_a_file_cannot_have_are_refused(name, value, tmp_path):
    X, y, _, _ = classification()
    net, _ = fit(X, y, classifier())
    remarks = {**network_metadata(net), name: value}
    write_file(tmp_path / "net", network_tensors(net), remarks)
    with pytest.raises(ValueError, match="no network can be made of this file"):
        dlfs.load(tmp_path / "net")


def test_more_or_fewer_classes_than_outputs_are_named():
    X, y, _, _ = classification()
    net, _ = fit(X, y, classifier())
    net.classes = ["a", "b"]
    with pytest.raises(ValueError, match="classes must be 3 labels, as many as the network tells"):
        net.predict_classes(X)
    with pytest.raises(ValueError, match=r"labels of 3 classes.* but net\.classes has 2"):
        Trainer(net, SGD()).evaluate(X, np.array(["a", "b"])[y % 2])
