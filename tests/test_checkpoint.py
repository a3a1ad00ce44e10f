"""Checkpoints: a resumed training ends like one without interruption."""

import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dlfs
from dlfs.layers import Conv2D, Dense
from dlfs.losses import SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGD, AdaGrad, Adam, AdamW, NAdam, RMSProp, SGDMomentum
from dlfs.train import Trainer
from dlfs.train.callbacks import Callback
from tests.support.files import put_rows, read, rows_in, write
from tests.support.training import (
    classification,
    classifier,
    memory,
    regression,
    regressor,
    same,
    weights,
    without_seconds,
)

OPTIONS = {"epochs": 6, "eval_every": 2, "batch_size": 16, "early_stopping": 2, "verbose": 0}


class Crash(Exception):
    """Represents anything that ends a process."""


class CrashAfter(Callback):
    """Ends the training abruptly: after an epoch's checkpoint, or in a batch."""

    def __init__(self, epoch, batch=0):
        self.at = (epoch, batch)

    def on_batch_end(self, trainer, epoch, batch, loss):
        if (epoch, batch) == self.at:
            raise Crash


def optimizers():
    decay = {"final_lr": 0.001, "decay_type": "exponential"}
    return {
        "SGD": lambda: SGD(0.05, **decay),
        "SGDMomentum": lambda: SGDMomentum(0.05, nesterov=True, clip_norm=1.0, **decay),
        "AdaGrad": lambda: AdaGrad(0.05, final_lr_linear=0.01),
        "NAdam": lambda: NAdam(0.01, weight_decay=0.1),
        "RMSProp": lambda: RMSProp(0.01, final_lr=1e-4, decay_type="cosine", decay_each="batch"),
        "Adam": lambda: Adam(0.02, warmup=2, **decay),
        "AdamW": lambda: AdamW(0.02, final_lr=1e-4, decay_type="linear"),
    }


def everything(trainer, history):
    """Return everything that must not depend on an interruption."""
    return weights(trainer.net), memory(trainer.optim), trainer.optim.t, without_seconds(history)


def assert_same(first, second):
    assert same(first[0], second[0])
    assert same(first[1], second[1])
    assert first[2:] == second[2:]


def fit(net, optim, data, **options):
    trainer = Trainer(net, optim)
    return everything(trainer, trainer.fit(*data, **OPTIONS | options))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", optimizers())
def test_it_goes_on_as_if_nothing_had_happened(optimizer, dtype, tmp_path):
    make, data = optimizers()[optimizer], classification()
    expected = fit(classifier(dtype=dtype), make(), data)
    for epoch in range(1, len(expected[3])):
        path = tmp_path / f"{epoch}"
        with pytest.raises(Crash):
            fit(
                *(classifier(dtype=dtype), make(), data),
                checkpoint=path,
                callbacks=[CrashAfter(epoch, 1)],
            )
        # As in another process, everything is created again.
        resumed = fit(classifier(dtype=dtype), make(), data, checkpoint=path, resume=True)
        assert_same(resumed, expected)


def test_a_checkpoint_changes_nothing_in_a_training(tmp_path):
    data = classification()
    expected = fit(classifier(), Adam(0.01), data)
    assert_same(fit(classifier(), Adam(0.01), data, checkpoint=tmp_path / "c"), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_training_that_goes_on_from_another_can_be_resumed(tmp_path):
    data, path = classification(), tmp_path / "c"
    results = []
    for interrupted in (False, True):
        net, optim = classifier(), Adam(0.01)
        fit(net, optim, data, early_stopping=False)
        if interrupted:
            with pytest.raises(Crash):
                fit(net, optim, data, restart=False, checkpoint=path, callbacks=[CrashAfter(2)])
            net, optim = classifier(), Adam(0.01)
        options = {"restart": False, "checkpoint": path, "resume": interrupted}
        results.append((fit(net, optim, data, **options), net.epochs_trained))
    assert_same(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


def test_many_interruptions_are_like_none(tmp_path):
    data, path = classification(), tmp_path / "c"
    expected = fit(classifier(), Adam(0.01), data, early_stopping=False)
    for epoch in (0, 1, 1, 3, 4):
        with pytest.raises(Crash):
            fit(
                *(classifier(), Adam(0.01), data),
                checkpoint=path,
                resume=True,
                early_stopping=False,
                callbacks=[CrashAfter(epoch)],
            )
    resumed = fit(
        classifier(), Adam(0.01), data, checkpoint=path, resume=True, early_stopping=False
    )
    assert_same(resumed, expected)


def test_the_process_that_crashed_can_resume_with_what_it_has(tmp_path):
    data, path = classification(), tmp_path / "c"
    expected = fit(classifier(), Adam(0.01), data)
    trainer = Trainer(classifier(), Adam(0.01))
    with pytest.raises(Crash):
        trainer.fit(*data, **OPTIONS, checkpoint=path, callbacks=[CrashAfter(2)])
    history = trainer.fit(*data, **OPTIONS, checkpoint=path, resume=True)
    assert_same(everything(trainer, history), expected)


def test_ctrl_c_can_be_resumed(tmp_path):
    class Interrupt(Callback):
        def on_batch_end(self, trainer, epoch, batch, loss):
            if (epoch, batch) == (3, 2):
                raise KeyboardInterrupt

    data, path = classification(), tmp_path / "c"
    expected = fit(classifier(), Adam(0.01), data)
    trainer = Trainer(classifier(), Adam(0.01))
    history = trainer.fit(*data, **OPTIONS, checkpoint=path, callbacks=[Interrupt()])
    assert history.stopped == "interrupted"
    history = trainer.fit(*data, **OPTIONS, checkpoint=path, resume=True)
    assert history.stopped is None or history.stopped == "early"
    assert_same(everything(trainer, history), expected)


def test_a_wish_to_stop_can_be_resumed(tmp_path):
    class Stop(Callback):
        def on_epoch_end(self, trainer, row):
            trainer.stop = row["epoch"] == 3

    data, path = classification(), tmp_path / "c"
    expected = fit(classifier(), Adam(0.01), data)
    fit(classifier(), Adam(0.01), data, checkpoint=path, callbacks=[Stop()])
    assert_same(fit(classifier(), Adam(0.01), data, checkpoint=path, resume=True), expected)


def overfitting():
    """Return data and a network whose test loss soon rises."""
    X, y, X_test, y_test = regression(rows=12)
    return regressor(), SGDMomentum(0.3), (X, y, X_test, -y_test)


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_early_stopping_counts_on_over_an_interruption(patience, tmp_path):
    options = {"epochs": 20, "eval_every": 1, "early_stopping": patience}
    expected = fit(*overfitting(), **options)
    epochs = len(expected[3])
    assert patience < epochs < 20
    for epoch in range(1, epochs):
        path = tmp_path / str(epoch)
        with pytest.raises(Crash):
            fit(*overfitting(), **options, checkpoint=path, callbacks=[CrashAfter(epoch)])
        assert_same(fit(*overfitting(), **options, checkpoint=path, resume=True), expected)


@pytest.mark.parametrize("early", [True, False])
def test_a_training_that_has_ended_does_not_go_on(early, tmp_path):
    net, optim, data = overfitting()
    options = {"epochs": 20, "eval_every": 1, "early_stopping": early, "checkpoint": tmp_path / "c"}
    expected = fit(net, optim, data, **options)
    before = (tmp_path / "c").read_bytes()
    net, optim, data = overfitting()
    trainer = Trainer(net, optim)
    history = trainer.fit(*data, **OPTIONS | options, resume=True)
    assert_same(everything(trainer, history), expected)
    assert history.stopped == ("early" if early else None)
    assert (tmp_path / "c").read_bytes() == before


def test_without_a_file_it_starts_afresh(tmp_path):
    data = classification()
    expected = fit(classifier(), Adam(0.01), data)
    path = tmp_path / "c"
    assert_same(fit(classifier(), Adam(0.01), data, checkpoint=path, resume=True), expected)
    assert path.is_file()


def test_without_resume_an_old_file_is_written_over(tmp_path):
    data, path = classification(), tmp_path / "c"
    fit(classifier(), Adam(0.5), data, checkpoint=path)
    expected = fit(classifier(), Adam(0.01), data)
    assert_same(fit(classifier(), Adam(0.01), data, checkpoint=path), expected)


def test_a_folder_that_is_not_there_is_named_before_an_epoch_is_lost(tmp_path):
    optim = SGD()
    for path, error in (
        (tmp_path / "nowhere" / "c", FileNotFoundError),
        (tmp_path, IsADirectoryError),
        (tmp_path / ("c" * 245), OSError),
    ):
        with pytest.raises(error, match=re.escape(str(path))):
            fit(classifier(), optim, classification(), checkpoint=path)
    assert optim.t == 0


def test_the_network_of_a_checkpoint_can_be_loaded(tmp_path):
    data, path = classification(), tmp_path / "c"
    net = classifier()
    fit(net, Adam(0.01), data, checkpoint=path, early_stopping=False)
    loaded = dlfs.load(path)
    assert same([loaded.predict(data[2])], [net.predict(data[2])])
    assert loaded.epochs_trained == net.epochs_trained > 0


def test_images_dropout_and_callbacks(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 1, 6, 5)), rng.integers(0, 3, size=40)
    data = (X[:30], y[:30], X[30:], y[30:])

    def make():
        layers = [Conv2D(4, 3, activation=dlfs.Tanh(), dropout=0.6, flatten=True), Dense(3)]
        layers += [dlfs.Dropout(0.8)]
        return NeuralNetwork(layers, SoftmaxCrossEntropy(), seed=4)

    expected = fit(make(), SGDMomentum(0.01), data, seed=9)
    with pytest.raises(Crash):
        fit(
            *(make(), SGDMomentum(0.01), data),
            seed=9,
            checkpoint=tmp_path / "c",
            callbacks=[CrashAfter(3)],
        )
    resumed = fit(make(), SGDMomentum(0.01), data, seed=9, checkpoint=tmp_path / "c", resume=True)
    assert_same(resumed, expected)


@pytest.fixture(scope="module")
def checkpoint_of_three_epochs(tmp_path_factory):
    """Return the path of a checkpoint after three epochs of ``OPTIONS``."""
    path = tmp_path_factory.mktemp("stored") / "c"
    with pytest.raises(Crash):
        fit(
            *(classifier(), Adam(0.01), classification()),
            checkpoint=path,
            callbacks=[CrashAfter(3)],
        )
    return path


@pytest.fixture
def stored(checkpoint_of_three_epochs, tmp_path):
    """Return the path of a copy of it."""
    return shutil.copy(checkpoint_of_three_epochs, tmp_path / "c")


def paths_in(thing, path=()):
    """Go through all places in what JSON can hold."""
    yield path
    if isinstance(thing, dict | list):
        for key, value in thing.items() if isinstance(thing, dict) else enumerate(thing):
            yield from paths_in(value, (*path, key))


def frozen() -> NeuralNetwork:
    net = classifier()
    net.layers[0].trainable = False
    return net


PARTS = {"net", "optim", "data"}
OTHERS = {
    "fewer epochs": {"epochs": 5},
    "eval_every": {"eval_every": 1},
    "batch_size": {"batch_size": 10},
    "seed": {"seed": 2},
    "patience": {"early_stopping": True},
    "observations": {"data": classification(rows=59)},
    "data": {"data": classification(seed=1)},
    "test data": {"data": (*classification()[:2], *classification(seed=1)[2:])},
    "no test data": {"data": classification()[:2]},
    "metrics": {"metrics": ["accuracy", "rmse"]},
    "shuffle": {"shuffle": False},
    "lr": {"optim": Adam(0.02)},
    "decay": {"optim": Adam(0.01, final_lr=0.001, decay_type="linear")},
    "clipping": {"optim": Adam(0.01, clip_norm=1.0)},
    "optimizer": {"optim": AdamW(0.01)},
    "dtype": {"net": classifier(dtype="float32")},
    "frozen layers": {"net": frozen()},
    "network's seed": {"net": classifier(seed=8)},
    "loss": {"net": NeuralNetwork(classifier().layers, SoftmaxCrossEntropy(label_smoothing=0.1))},
    "layers": {"net": NeuralNetwork([Dense(3)], SoftmaxCrossEntropy(), seed=7)},
}


@pytest.mark.parametrize("what", OTHERS)
def test_the_checkpoint_of_another_training_is_refused(what, stored):
    parts = {"net": classifier(), "optim": Adam(0.01), "data": classification()} | OTHERS[what]
    options = {
        name: parts.pop(name) for name in list(parts) if name not in {"net", "optim", "data"}
    }
    before = stored.read_bytes()
    with pytest.raises(ValueError, match=r"another training: its (network|optimizer|settings)"):
        fit(parts["net"], parts["optim"], parts["data"], checkpoint=stored, resume=True, **options)
    assert stored.read_bytes() == before


def test_arguments_that_classes_got_later_have_their_defaults(stored):
    metadata, tensors = read(stored)
    network, training = json.loads(metadata["network"]), json.loads(metadata["training"])
    assert training["optimizer"]["arguments"].pop("weight_decay") == 0
    assert network["loss"]["arguments"].pop("class_weight") is None
    metadata |= {"network": json.dumps(network), "training": json.dumps(training)}
    write(stored, metadata.pop("network"), tensors, **metadata)
    options = {"checkpoint": stored, "resume": True}
    for weight_decay in (0.1, 0.0):
        optim = Adam(0.01, weight_decay=weight_decay)
        if weight_decay:
            with pytest.raises(ValueError, match="its optimizer was"):
                fit(classifier(), optim, classification(), **options)
        else:
            fit(classifier(), optim, classification(), **options)


def test_a_saved_network_is_no_checkpoint(tmp_path):
    net = classifier()
    net.build((4,))
    path = tmp_path / "net"
    dlfs.save(net, path)
    with pytest.raises(ValueError, match="no training to resume"):
        fit(classifier(), Adam(0.01), classification(), checkpoint=path, resume=True)


def test_a_damaged_checkpoint_is_refused(stored):
    content = stored.read_bytes()
    for length in (0, 7, 100, len(content) // 2, len(content) - 1):
        stored.write_bytes(content[:length])
        with pytest.raises(ValueError, match="damaged"):
            fit(classifier(), Adam(0.01), classification(), checkpoint=stored, resume=True)
    stored.write_bytes(b"some text")
    with pytest.raises(ValueError, match="damaged"):
        fit(classifier(), Adam(0.01), classification(), checkpoint=stored, resume=True)


def changed_checkpoint(stored, path, change):
    """Write a checkpoint again with something else in it."""
    metadata, tensors = read(stored)
    training = json.loads(metadata["training"]) | {"rows": rows_in(tensors)}
    change(training, tensors)
    put_rows(tensors, training.pop("rows", None))
    del metadata["format"]
    config = metadata.pop("network")
    write(path, config, tensors, training=json.dumps(training))


@pytest.mark.parametrize("content", [b"[" * 10**6, b"\xff", b"", b"{", b"null"])
def test_rows_that_are_no_rows_are_refused(content, stored, tmp_path):
    path = tmp_path / "changed"
    metadata, tensors = read(stored)
    tensors["history.rows"] = np.frombuffer(content, dtype=np.uint8)
    del metadata["format"]
    write(path, metadata.pop("network"), tensors, **metadata)
    with pytest.raises(ValueError, match="not a checkpoint, or is damaged"):
        fit(classifier(), Adam(0.01), classification(), checkpoint=path, resume=True)


@pytest.mark.parametrize("rngs", [{}, [], "none"])
def test_a_checkpoint_has_a_random_state_for_each_layer(rngs, stored, tmp_path):
    path = tmp_path / "changed"
    changed_checkpoint(stored, path, lambda training, tensors: training.update(rngs=rngs))
    with pytest.raises(ValueError, match="it needs one random state for each layer"):
        fit(classifier(), Adam(0.01), classification(), checkpoint=path, resume=True)


def test_the_tensors_of_a_checkpoint_must_fit(stored, tmp_path):
    names = [
        *("layers.0.params.0", "optimizer.means.1", "layers.1.operations.0.running_var"),
        *("best.params.0", "best.optimizer.means.1", "best.layers.1.operations.0.running_var"),
    ]
    for name in names:
        for change in (lambda a: a[:1, :1].copy(), lambda a: a.astype(np.float32), None):

            def apply(training, tensors, name=name, change=change):
                array = tensors.pop(name)
                if change is not None:
                    tensors[name] = change(array)

            path = tmp_path / "changed"
            changed_checkpoint(stored, path, apply)
            net, optim = classifier(), Adam(0.01)
            with pytest.raises(ValueError, match="checkpoint"):
                fit(net, optim, classification(), checkpoint=path, resume=True)
            # Nothing of it was used.
            fresh = classifier()
            fresh.build((4,))
            assert same(weights(net), weights(fresh))
            assert optim.t == 0


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 7),
    st.integers(),
    st.sampled_from([2**63, 2**64, 2**128]),
    st.floats(),
    st.text(max_size=4),
    st.lists(st.integers(0, 3), max_size=3),
    st.dictionaries(st.sampled_from(["epoch", "lr", "state"]), st.integers(0, 9), max_size=2),
)


@given(st.data())
def test_any_value_in_any_place_resumes_or_gives_a_clear_error(
    checkpoint_of_three_epochs, tmp_path_factory, data
):
    def apply(training, tensors):
        places = [place for place in paths_in(training) if place]
        *parents, last = data.draw(st.sampled_from(places))
        holder = training
        for key in parents:
            holder = holder[key]
        if isinstance(holder, dict) and data.draw(st.booleans()):
            del holder[last]
        else:
            holder[last] = copy.deepcopy(data.draw(values))

    path = tmp_path_factory.mktemp("fuzz") / "c"
    changed_checkpoint(checkpoint_of_three_epochs, path, apply)
    try:
        history = Trainer(classifier(), Adam(0.01)).fit(
            *classification(), **OPTIONS, checkpoint=path, resume=True
        )
    except ValueError as error:
        message = str(error)
    else:
        assert repr(history)
        return
    assert str(path) in message


def test_resume_needs_a_checkpoint():
    with pytest.raises(ValueError, match="resume=True needs a checkpoint"):
        fit(classifier(), Adam(0.01), classification(), resume=True)


def test_what_more_epochs_mean_for_the_learning_rate_is_said(tmp_path, capsys):
    for epochs in (2, 5):
        Trainer(classifier(), SGD(0.1, final_lr=0.01, decay_type="linear")).fit(
            *classification(), epochs=epochs, checkpoint=tmp_path / "file", resume=True
        )
    assert (
        "Resumed with 5 epochs instead of 2: from epoch 3 on the learning rate follows the linear "
        "decay over 5 epochs" in capsys.readouterr().out
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_training_that_is_killed_again_and_again_ends_as_if_it_had_not_been(tmp_path):
    script = textwrap.dedent(
        """
        import sys
        import numpy as np
        import dlfs
        from tests.support.training import classification, classifier, weights
        from dlfs.train.callbacks import Callback

        class Report(Callback):
            def on_batch_end(self, trainer, epoch, batch, loss):
                print(epoch, flush=True)
                sys.stdin.readline()

        net = classifier()
        dlfs.Trainer(net, dlfs.Adam(0.01, final_lr=1e-4, decay_type="linear")).fit(
            *classification(), epochs=40, eval_every=3, batch_size=8, early_stopping=100,
            callbacks=[Report()], checkpoint=sys.argv[1], resume=True, verbose=0,
        )
        np.savez(sys.argv[2], *weights(net))
        """
    )
    environment = os.environ | {"PYTHONPATH": str(Path(dlfs.__file__).parents[1])}

    def run(checkpoint, result, kill_after):
        arguments = [sys.executable, "-c", script, str(checkpoint), str(result)]
        with subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        ) as child:
            for number, line in enumerate(child.stdout):
                if number == kill_after:
                    child.send_signal(signal.SIGKILL)
                    return int(line)
                child.stdin.write("go on\n")
                child.stdin.flush()
        assert child.returncode == 0
        return None

    checkpoint = tmp_path / "c"
    reached = [run(checkpoint, tmp_path / "killed", kill_after) for kill_after in (2, 33, 71, 90)]
    assert reached == sorted(set(reached))
    assert run(checkpoint, tmp_path / "killed.npz", None) is None
    assert run(tmp_path / "other", tmp_path / "whole.npz", None) is None
    with np.load(tmp_path / "killed.npz") as killed, np.load(tmp_path / "whole.npz") as whole:
        assert same(list(killed.values()), list(whole.values()))
