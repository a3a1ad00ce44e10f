"""The content of checkpoints: everything that fit accepts, every finished epoch; more epochs."""

import functools
import math
import signal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGD, Adam
from dlfs.saving.format import read_file
from dlfs.train import Trainer
from dlfs.train.callbacks import Callback
from dlfs.train.checkpoint import Checkpoint, Standing
from dlfs.train.history import LONGEST, STOPPED, History, Row
from tests.support.files import rows_in
from tests.support.training import classification, classifier, same, weights, without_seconds

OPTIONS = {"epochs": 4, "eval_every": 1, "batch_size": 16, "early_stopping": False, "verbose": 0}


def training(path):
    """Return what a checkpoint that is not fit's holds of its training."""
    tensors, metadata = read_file(path)
    return metadata["training"] | {"rows": rows_in(tensors)}


def equal(first, second):
    """Say whether two values are of one type, and the same; nan is nan."""
    return type(first) is type(second) and (
        first == second or (first != first and second != second)
    )


# --- what is accepted can be written, and what is written read ---

integers = st.integers(-(2**63), 2**64 - 1)
numbers = st.one_of(integers, st.floats())
scalars = st.one_of(
    st.floats(width=32).map(np.float32),
    st.floats(width=16).map(np.float16),
    st.floats().map(np.float64),
    st.floats().map(np.array),
    st.integers(-(2**31), 2**31 - 1).map(np.int32),
    st.integers(0, 2**64 - 1).map(np.uint64),
    st.booleans().map(np.bool_),
    st.text(max_size=5).map(np.str_),
)
texts = st.one_of(st.text(), st.just("x" * LONGEST), st.just("\ud800 <b>\0"))
entries = st.one_of(numbers, scalars, texts, st.booleans(), st.none())
junk = st.one_of(
    st.sampled_from(
        [
            *(2**64, -(2**63) - 1, 10**400, 1j, b"bytes", [1.0], (), {}, {1}, object(), int),
            *(np.ones(2), np.ones((1, 1)), np.datetime64("2020"), np.complex64(1), len),
            "x" * (LONGEST + 1),
        ]
    ),
    st.lists(integers, max_size=2),
)
names = ["note", "lr", "test_loss", "epoch", "x" * (LONGEST + 1), 3, None, 1.5, b"x", ("a",)]
columns = st.one_of(st.text(max_size=8), st.sampled_from(names))


def put(row, column, value, how):
    """Put an entry into a row in one of the ways that a dict has."""
    if how == "item":
        row[column] = value
    elif how == "update":
        row.update({column: value})
    elif how == "or":
        row |= {column: value}
    else:
        row.setdefault(column, value)


@pytest.fixture(scope="module")
def ready():
    """Return a network and an optimizer with something to write down."""
    net, optim = classifier(), Adam(0.01)
    Trainer(net, optim).fit(*classification(), **OPTIONS | {"epochs": 1})
    return net, optim


@given(
    st.lists(
        st.lists(
            st.tuples(
                columns,
                st.one_of(entries, junk),
                st.sampled_from(["item", "update", "or", "setdefault"]),
            ),
            max_size=4,
        ),
        max_size=4,
    ),
    st.sampled_from(STOPPED),
    st.integers(0, 9),
    st.dictionaries(st.sampled_from("abcd"), st.one_of(st.text(), integers, st.none())),
)
def test_what_a_row_takes_is_written_and_read_again(
    ready, tmp_path_factory, changes, stopped, waited, settings
):
    path = tmp_path_factory.mktemp("drawn") / "c"
    history = History()
    for epoch, changed in enumerate(changes, start=1):
        row = Row({"epoch": epoch, "lr": 0.1, "train_loss": 1.0, "seconds": 0.5})
        history.append(row)
        for column, value, how in changed:
            try:
                put(row, column, value, how)
            except (TypeError, ValueError) as error:
                message = str(error)  # refused when it is put in, by a line that says why
            else:
                continue
            assert " must " in message
            assert len(message) < 400
    history.stopped = stopped
    file = Checkpoint(path, settings | {"epochs": 9}, *ready)
    file.write(*ready, Standing(history, None, math.inf, waited))
    read = Checkpoint(path, settings | {"epochs": 9}, *ready).read(*ready)
    assert (read.history.stopped, read.waited) == (stopped, waited)
    assert len(read.history) == len(history)
    for before, after in zip(history, read.history, strict=True):
        assert before.keys() == after.keys()
        assert all(equal(before[column], after[column]) for column in before)
    assert repr(read.history) == repr(history)
    assert read.history._repr_html_()


def test_a_history_of_many_epochs_is_written_and_read_again(ready, tmp_path):
    row = {"lr": 0.1, "train_loss": 1.0, "seconds": 0.5, "note": "x" * LONGEST}
    history = History.of([{"epoch": epoch} | row for epoch in range(1, 20_001)], None)
    file = Checkpoint(tmp_path / "c", {"epochs": 30_000}, *ready)
    file.write(*ready, Standing(history))
    assert file.read(*ready).history.rows == history.rows


@pytest.mark.parametrize(
    "harm",
    [
        lambda row: row.update(epoch=9),
        lambda row: row.pop("epoch"),
        lambda row: row.pop("lr"),
        lambda row: row.__delitem__("train_loss"),
        lambda row: row.clear(),
        lambda row: row.popitem(),
        lambda row: row.update(train_loss="low"),
        lambda row: row.update(lr=None),
        lambda row: row.update({3: 4}),
        lambda row: row.update(weights=np.ones(3)),
    ],
)
def test_what_a_checkpoint_cannot_hold_is_refused_where_a_callback_puts_it(harm, tmp_path):
    class Harm(Callback):
        def on_epoch_end(self, trainer, row):
            before = dict(row)
            with pytest.raises((TypeError, ValueError), match="must"):
                harm(row)
            assert row == before

    trainer = Trainer(classifier(), Adam(0.01))
    trainer.fit(*classification(), **OPTIONS, callbacks=[Harm()], checkpoint=tmp_path / "c")
    assert len(training(tmp_path / "c")["rows"]) == 4


def test_a_callbacks_own_entries_come_back(tmp_path):
    class Note(Callback):
        def on_epoch_end(self, trainer, row):
            row["note"] = f"epoch {row['epoch']}"
            row["norm"] = np.float32(row["epoch"])
            row["nothing"] = math.nan
            row["extra"] = 1
            del row["extra"]

    def fit(**options):
        trainer = Trainer(classifier(), Adam(0.01))
        options = OPTIONS | {"checkpoint": tmp_path / "c", "callbacks": [Note()]} | options
        return trainer.fit(*classification(), **options)

    fit(epochs=2)
    history = fit(resume=True)
    assert history["note"] == ["epoch 1", "epoch 2", "epoch 3", "epoch 4"]
    assert history["norm"] == [1.0, 2.0, 3.0, 4.0]
    assert len(history["nothing"]) == 4
    assert "extra" not in history.columns
    assert "epoch 4" in repr(history)
    assert history.plot()


def test_a_history_that_callbacks_lengthen_is_refused(tmp_path):
    class Append(Callback):
        def on_epoch_end(self, trainer, row):
            trainer.history.append(dict(row))

    trainer = Trainer(classifier(), Adam(0.01))
    with pytest.raises(ValueError, match="row 2 must be"):
        trainer.fit(*classification(), **OPTIONS, callbacks=[Append()], checkpoint=tmp_path / "c")
    assert not (tmp_path / "c").exists()


ARGUMENTS = {
    "epochs": st.integers(1, 3),
    "eval_every": st.integers(1, 3),
    "batch_size": st.integers(15, 70),
    "seed": st.integers(0, 2**31 - 1),
    "early_stopping": st.one_of(st.booleans(), st.integers(1, 3)),
    "shuffle": st.booleans(),
    "verbose": st.just(0),
}
NUMPY = [np.int64, np.int32, np.uint32]


@given(st.data())
def test_arguments_may_be_numpys_own_numbers(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("drawn") / "c"
    plain = {name: data.draw(values, label=name) for name, values in ARGUMENTS.items()}
    other = {
        name: np.bool_(value) if type(value) is bool else data.draw(st.sampled_from(NUMPY))(value)
        for name, value in plain.items()
    }
    results = []
    for arguments in (other, plain):
        trainer = Trainer(classifier(), Adam(0.01, final_lr=0.001, decay_type="linear"))
        history = trainer.fit(*classification(), **arguments, checkpoint=path, resume=True)
        assert all(type(value) in (int, float) for row in history for value in row.values())
        results.append((weights(trainer.net), list(history)))
    assert same(results[0][0], results[1][0])
    assert results[0][1] == results[1][1], "the second has only read what the first has written"


def test_an_optimizer_that_cannot_be_written_is_named_before_an_epoch_is_lost(tmp_path):
    class Scheduled(SGD):
        def __init__(self, lr=0.01, rule=None):
            super().__init__(lr)
            self.rule = rule

    optim = Scheduled(rule=lambda epoch: 0.1)
    with pytest.raises(ValueError, match="rule"):
        Trainer(classifier(), optim).fit(*classification(), **OPTIONS, checkpoint=tmp_path / "c")
    assert optim.t == 0


def test_a_number_that_cannot_be_written_is_refused_before_an_epoch_is_lost(tmp_path):
    optim = Adam(0.01)
    options = OPTIONS | {"seed": 10**5000, "checkpoint": tmp_path / "c"}
    with pytest.raises(ValueError, match="cannot hold these settings"):
        Trainer(classifier(), optim).fit(*classification(), **options)
    assert optim.t == 0


class Share:
    """A metric without a name."""

    def __call__(self, y_true, y_pred):
        return (y_true == y_pred.argmax(axis=1)).mean()


def weighted(y_true, y_pred, weights):
    return weights.mean()


def test_metrics_without_a_name_can_be_resumed(tmp_path):
    def fit(epochs, **options):
        # other objects, at other addresses, as in another process
        metrics = [Share(), Share(), functools.partial(weighted, weights=np.ones(9000))]
        metrics += [functools.partial(weighted, weights=np.zeros(3))]
        trainer = Trainer(classifier(), Adam(0.01))
        options = OPTIONS | options | {"epochs": epochs, "metrics": metrics}
        alive.append(metrics)
        return trainer.fit(*classification(), **options, checkpoint=tmp_path / "c")

    alive = []
    fit(2)
    history = fit(4, resume=True)
    names = [name for name in history.columns if "Share" in name or "partial" in name]
    assert len(names) == 4
    assert all(len(history[name]) == 4 for name in names)
    assert all(len(name) <= 80 and "0x" not in name for name in names)


# --- the epoch at whose end a training stops ---


class StopIn(Callback):
    """Ends the training in an epoch, by request or by Ctrl-C, at its end or in a batch."""

    def __init__(self, epoch, batch=None, interrupt=False):
        self.at, self.interrupt = (epoch, batch), interrupt

    def _stop(self, trainer):
        if self.interrupt:
            raise KeyboardInterrupt
        trainer.stop = True

    def on_batch_end(self, trainer, epoch, batch, loss):
        if (epoch + 1, batch) == self.at:
            self._stop(trainer)

    def on_epoch_end(self, trainer, row):
        if (row["epoch"], None) == self.at:
            self._stop(trainer)


@pytest.mark.parametrize(
    ("stop", "epochs"),
    [
        (StopIn(2), 2),
        (StopIn(2, interrupt=True), 2),
        (StopIn(1), 1),
        (StopIn(4), 4),
        (StopIn(4, interrupt=True), 4),
        (StopIn(2, batch=3), 2),  # the last batch: the epoch is complete
        (StopIn(2, batch=1), 1),
        (StopIn(3, batch=0, interrupt=True), 2),
    ],
)
def test_the_epoch_at_whose_end_a_training_stops_is_in_the_checkpoint(stop, epochs, tmp_path):
    data, path = classification(), tmp_path / "c"
    stopped = Trainer(classifier(), Adam(0.01))
    stopped.fit(*data, **OPTIONS, checkpoint=path, callbacks=[stop])
    assert [row["epoch"] for row in training(path)["rows"]] == [*range(1, epochs + 1)]

    expected = Trainer(classifier(), Adam(0.01))
    history = expected.fit(*data, **OPTIONS)
    resumed = Trainer(classifier(), Adam(0.01))
    again = resumed.fit(*data, **OPTIONS, checkpoint=path, resume=True)
    assert same(weights(resumed.net), weights(expected.net))
    assert without_seconds(again) == without_seconds(history)
    assert again.stopped is None


@pytest.fixture
def ctrl_c():
    """Return a function that does what Ctrl-C in a terminal does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("name", "call", "epochs"),
    [("train_batch", 4, 1), ("train_batch", 8, 2), ("train_batch", 6, 1), ("predict", 2, 2)],
)
def test_ctrl_c_in_the_last_step_or_the_evaluation_lets_the_epoch_end(
    name, call, epochs, ctrl_c, tmp_path, monkeypatch
):
    real, calls = getattr(NeuralNetwork, name), []

    def interrupted(self, *arguments, **options):
        calls.append(name)
        if len(calls) == call:
            ctrl_c()
        return real(self, *arguments, **options)

    data, path = classification(), tmp_path / "c"
    expected = Trainer(classifier(), Adam(0.01))
    expected.fit(*data, **OPTIONS)
    with monkeypatch.context() as patch:
        patch.setattr(NeuralNetwork, name, interrupted)
        history = Trainer(classifier(), Adam(0.01)).fit(*data, **OPTIONS, checkpoint=path)
    assert history.stopped == "interrupted"
    assert len(history) == len(training(path)["rows"]) == epochs
    assert "test_loss" in training(path)["rows"][-1]
    resumed = Trainer(classifier(), Adam(0.01))
    resumed.fit(*data, **OPTIONS, checkpoint=path, resume=True)
    assert same(weights(resumed.net), weights(expected.net))


def test_ctrl_c_while_the_checkpoint_is_written_loses_no_epoch(tmp_path, monkeypatch):
    real, calls = Checkpoint.write, []

    def write(self, *arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(self, *arguments)

    monkeypatch.setattr(Checkpoint, "write", write)
    trainer = Trainer(classifier(), Adam(0.01))
    history = trainer.fit(*classification(), **OPTIONS, checkpoint=tmp_path / "c")
    assert history.stopped == "interrupted"
    assert len(history) == len(training(tmp_path / "c")["rows"]) == 2


def test_a_stop_in_the_epoch_that_early_stopping_ends_is_written_too(tmp_path):
    X, y, X_test, y_test = classification()
    data = (X, y, X_test, (y_test + 1) % 3)
    options = OPTIONS | {"epochs": 30, "early_stopping": True}
    ended = Trainer(classifier(), Adam(0.05)).fit(*data, **options)
    assert ended.stopped == "early"
    path = tmp_path / "c"
    stop = StopIn(len(ended))
    again = Trainer(classifier(), Adam(0.05)).fit(
        *data, **options, checkpoint=path, callbacks=[stop]
    )
    assert again.stopped == training(path)["stopped"] == "early"
    assert len(training(path)["rows"]) == len(ended)


# --- more epochs ---


@pytest.mark.parametrize("epochs", [2, 4])
def test_a_resumed_network_knows_how_long_it_was_trained(epochs, tmp_path):
    nets = []
    for resume in (False, True):
        trainer = Trainer(classifier(), Adam(0.01))
        first = OPTIONS | {"epochs": epochs, "checkpoint": tmp_path / "c"}
        trainer.fit(*classification(), **first, resume=resume)
        assert trainer.net.epochs_trained == epochs
        trainer.fit(*classification(), **OPTIONS, restart=False)
        nets.append(weights(trainer.net))
    assert same(*nets), "what comes after is shuffled as if the training had never been resumed"


def fit(epochs, optim=None, **options):
    trainer = Trainer(classifier(), Adam(0.01) if optim is None else optim)
    history = trainer.fit(*classification(), **OPTIONS | {"epochs": epochs} | options)
    return weights(trainer.net), history


@pytest.mark.parametrize("first", [1, 2, 4])
def test_more_epochs_go_on_as_if_there_had_been_so_many_from_the_start(first, tmp_path):
    expected, history = fit(6)
    fit(first, checkpoint=tmp_path / "c")
    fit(first + 1, checkpoint=tmp_path / "c", resume=True)
    resumed, again = fit(6, checkpoint=tmp_path / "c", resume=True)
    assert same(resumed, expected)
    assert without_seconds(again) == without_seconds(history)
    with pytest.raises(ValueError, match=r"epochs=6, now 4.*more, not fewer"):
        fit(4, checkpoint=tmp_path / "c", resume=True)


def test_a_schedule_over_the_epochs_is_that_of_the_new_number_from_there_on(tmp_path, capsys):
    def decaying():
        return SGD(0.1, final_lr=0.001, decay_type="exponential")

    _, short = fit(3, decaying(), checkpoint=tmp_path / "c")
    _, long = fit(6, decaying())
    capsys.readouterr()
    _, resumed = fit(6, decaying(), checkpoint=tmp_path / "c", resume=True, verbose=2)
    assert resumed["lr"] == short["lr"] + long["lr"][3:]
    said = capsys.readouterr().out
    assert "6 epochs instead of 3" in said
    assert "from epoch 4 on" in said
    fit(6, decaying(), checkpoint=tmp_path / "c", resume=True, verbose=2)
    assert "instead" not in capsys.readouterr().out


def test_what_early_stopping_ended_does_not_go_on_with_more_epochs(tmp_path):
    X, y, X_test, y_test = classification()
    data = (X, y, X_test, (y_test + 1) % 3)
    options = OPTIONS | {"early_stopping": True, "checkpoint": tmp_path / "c"}
    first = Trainer(classifier(), Adam(0.05))
    history = first.fit(*data, **options | {"epochs": 30})
    again = Trainer(classifier(), Adam(0.05))
    assert len(again.fit(*data, **options | {"epochs": 40}, resume=True)) == len(history) < 30
    assert again.net.epochs_trained == first.net.epochs_trained == history.best_epoch
    assert same(weights(first.net), weights(again.net))
