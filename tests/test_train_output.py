"""The output of a training: none, lines, or a progress bar; and how Ctrl-C ends it."""

import io
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

import dlfs
from dlfs.activations import Linear
from dlfs.layers import BatchNorm, Dense
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGD, SGDMomentum
from dlfs.train import Trainer
from dlfs.train.callbacks import Callback
from tests.support.training import classification, classifier, regression, regressor, same, weights


class InterruptIn(Callback):
    """Raises KeyboardInterrupt in a certain batch or at the end of a certain epoch."""

    def __init__(self, epoch, batch=None):
        self.epoch, self.batch = epoch, batch

    def on_batch_end(self, trainer, epoch, batch, loss):
        if (epoch + 1, batch) == (self.epoch, self.batch):
            raise KeyboardInterrupt

    def on_epoch_end(self, trainer, row):
        if self.batch is None and row["epoch"] == self.epoch:
            raise KeyboardInterrupt


def test_verbose_0_is_silent(capfd):
    Trainer(regressor(), SGD(0.1)).fit(
        *regression(), epochs=3, eval_every=1, conv_testing=True, verbose=0
    )
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_verbose_0_is_silent_when_it_is_interrupted(capfd):
    Trainer(regressor(), SGD(0.1)).fit(*regression(), callbacks=[InterruptIn(1)], verbose=0)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_verbose_2_prints_a_line_for_each_evaluation_and_no_bar(capfd):
    history = Trainer(classifier(), SGD(0.01)).fit(
        *classification(), epochs=4, eval_every=2, early_stopping=False, verbose=2
    )
    captured = capfd.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert len(lines) == 2
    for epoch, line in zip((2, 4), lines, strict=True):
        row = history.rows[epoch - 1]
        assert f"{epoch} epochs" in line
        assert f"{row['test_loss']:.4f}" in line
        assert f"accuracy {row['accuracy']:.4f}" in line


BAR = {"epochs": 3, "eval_every": 3, "batch_size": 5, "verbose": 1}


class Terminal(io.StringIO):
    """Records the output of a terminal."""

    def isatty(self):
        return True


def test_verbose_1_shows_a_bar_that_reaches_its_end_in_a_terminal(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    history = Trainer(regressor(), SGD(0.01)).fit(*regression(rows=20), **BAR)
    shown = terminal.getvalue()
    assert "\r" in shown
    assert "12/12" in shown
    assert "100%" in shown
    assert "epoch 3/3" in shown
    assert re.search(r"loss \d+\.\d{4}", shown)
    assert f"{history['test_loss'][0]:.4f}" in capsys.readouterr().out


@pytest.mark.parametrize("epochs", [1, 3, 10, 25, 100, 1000])
def test_a_log_gets_lines_and_no_bar(epochs, capfd):
    options = BAR | {"epochs": epochs, "early_stopping": False, "batch_size": 1}
    Trainer(regressor(), SGD(0.001)).fit(*regression(rows=20), **options)
    err = capfd.readouterr().err
    assert "\r" not in err
    assert "\x1b" not in err
    lines = err.splitlines()
    assert len(lines) == min(max(epochs, 10), 100)
    form = rf"epoch (\d+)/{epochs}, batch (\d+)/{20 * epochs}, loss \d+\.\d{{4}}"
    found = [re.fullmatch(form, line) for line in lines]
    assert all(found), lines
    batches = [int(match[2]) for match in found]
    assert batches == sorted(set(batches))
    assert batches[-1] == 20 * epochs
    assert all(int(match[1]) == -(-int(match[2]) // 20) for match in found)
    if 10 <= epochs <= 100:
        assert batches == [20 * epoch for epoch in range(1, epochs + 1)], "one after each epoch"


class OnlyWrites:
    """Has only the required methods of a file."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("verbose", [0, 1, 2])
@pytest.mark.parametrize("make", [lambda: None, OnlyWrites, closed], ids=["None", "bare", "closed"])
@pytest.mark.parametrize("name", ["stderr", "stdout"])
def test_streams_that_are_missing_or_bare_are_no_obstacle(name, make, verbose, monkeypatch):
    stream = make()
    monkeypatch.setattr(sys, name, stream)
    history = Trainer(regressor(), SGD(0.01)).fit(
        *regression(rows=20), **BAR | {"verbose": verbose}
    )
    assert len(history) == 3
    if isinstance(stream, OnlyWrites):
        shows = {"stderr": verbose == 1, "stdout": verbose > 0}
        assert bool(stream.text) == shows[name]


def test_conv_testing_reports_within_an_epoch_as_the_book_does(capsys):
    X, y, X_test, y_test = classification(rows=202)
    Trainer(classifier(), SGD(0.001)).fit(
        X, y, X_test, y_test, epochs=1, batch_size=2, conv_testing=True, verbose=2
    )
    out = capsys.readouterr().out
    assert [
        int(n) for n in re.findall(r"^batch (\d+) loss \d+\.\d{4}$", out, re.MULTILINE)
    ] == list(range(0, 101, 10))
    assert re.findall(r"accuracy after (\d+) batches is \d+\.\d\d%", out) == ["100"]


def test_conv_testing_changes_nothing_but_what_is_shown():
    results = []
    for conv_testing in (False, True):
        net = classifier()
        Trainer(net, SGD(0.01)).fit(
            *classification(rows=202), epochs=1, batch_size=2, conv_testing=conv_testing, verbose=0
        )
        results.append(weights(net))
    assert same(*results)


def test_conv_testing_needs_no_test_data(capsys):
    X, y, _, _ = classification(rows=202)
    Trainer(classifier(), SGD(0.01)).fit(X, y, epochs=1, batch_size=2, conv_testing=True, verbose=2)
    assert "accuracy" not in capsys.readouterr().out


def test_a_callback_can_say_something_only_while_training_and_not_when_silent(capsys):
    class Say(Callback):
        def on_epoch_end(self, trainer, row):
            trainer.say("hello")

    trainer = Trainer(regressor(), SGD(0.01))
    trainer.fit(*regression()[:2], epochs=2, callbacks=[Say()], verbose=1)
    trainer.fit(*regression()[:2], epochs=2, callbacks=[Say()], verbose=0)
    trainer.say("without a training")
    assert capsys.readouterr().out.splitlines() == ["hello", "hello"]


@pytest.mark.parametrize("batch", [None, 0, 1])
def test_ctrl_c_keeps_what_was_learned(batch):
    data = regression(rows=20)
    optim = SGDMomentum(0.05, final_lr=0.01, decay_type="linear")
    net, calls = regressor(), []

    class End(Callback):
        def on_train_end(self, trainer):
            calls.append(trainer.optim.lr)

    options = {"batch_size": 10, "eval_every": 1, "early_stopping": False, "verbose": 0}
    history = Trainer(net, optim).fit(
        *data, epochs=6, callbacks=[End(), InterruptIn(3, batch)], **options
    )
    assert history.stopped == "interrupted"
    assert "interrupted" in repr(history)
    assert len(history) == (3 if batch is None else 2)
    steps = {None: 6, 0: 5, 1: 6}[batch]
    assert optim.t == steps
    assert optim.lr == 0.05
    assert calls == [0.05]

    class Stop(Callback):
        def on_batch_end(self, trainer, epoch, batch, loss):
            trainer.stop = trainer.optim.t == steps

    expected = regressor()
    Trainer(expected, SGDMomentum(0.05, final_lr=0.01, decay_type="linear")).fit(
        *data, epochs=6, callbacks=[Stop()], **options
    )
    assert same(weights(net), weights(expected))


def test_after_ctrl_c_training_can_go_on():
    data = regression()
    trainer = Trainer(regressor(), SGD(0.05))
    trainer.fit(*data, epochs=9, callbacks=[InterruptIn(2)], verbose=0)
    before = weights(trainer.net)
    history = trainer.fit(*data, epochs=1, restart=False, verbose=0)
    assert len(history) == 1
    assert history.stopped is None
    assert not same(before, weights(trainer.net))


def test_ctrl_c_tells_the_user(capsys):
    Trainer(regressor(), SGD(0.1)).fit(*regression(), callbacks=[InterruptIn(1)], verbose=2)
    assert "Interrupted" in capsys.readouterr().out


@pytest.fixture
def _ctrl_c_interrupts():
    """A shell that starts a job in the background has it ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


class InterruptedLayer(Linear):
    """Ctrl-C occurs during a certain batch."""

    def __init__(self, batch, times=1):
        super().__init__()
        self.left, self.times = batch, times

    def _output(self):
        if not self.inference:
            self.left -= 1
            if self.left == 0:
                for _ in range(self.times):
                    signal.raise_signal(signal.SIGINT)
        return super()._output()


class InterruptedStep(SGDMomentum):
    """Ctrl-C occurs within the fifth step, when one of four parameters has changed."""

    def _update_rule(self, **values):
        super()._update_rule(**values)
        if self.t == 5 and values["param"].shape == (3, 5):
            signal.raise_signal(signal.SIGINT)


def fitted(net, optim, **options):
    history = Trainer(net, optim).fit(
        *regression(rows=20),
        **{"epochs": 4, "batch_size": 10, "early_stopping": False, "verbose": 0} | options,
    )
    return net, optim, history


class StopAfterSteps(Callback):
    def __init__(self, steps):
        self.steps = steps

    def on_batch_end(self, trainer, epoch, batch, loss):
        trainer.stop = trainer.optim.t == self.steps


@pytest.mark.usefixtures("_ctrl_c_interrupts")
def test_ctrl_c_waits_until_a_step_is_finished():
    net, optim, history = fitted(regressor(), InterruptedStep(0.05))
    assert history.stopped == "interrupted"
    assert optim.t == 5
    expected, _, _ = fitted(regressor(), SGDMomentum(0.05), callbacks=[StopAfterSteps(5)])
    assert same(weights(net), weights(expected))


@pytest.mark.usefixtures("_ctrl_c_interrupts")
def test_ctrl_c_within_a_batch_leaves_running_statistics_where_the_parameters_are():
    def make(middle):
        return NeuralNetwork([Dense(4), BatchNorm(), middle, Dense(1)], seed=1)

    net, _, history = fitted(make(InterruptedLayer(5)), SGD(0.05))
    assert history.stopped == "interrupted"
    expected, _, _ = fitted(make(Linear()), SGD(0.05), callbacks=[StopAfterSteps(5)])
    assert same(weights(net), weights(expected))


@pytest.mark.usefixtures("_ctrl_c_interrupts")
def test_a_second_ctrl_c_does_not_wait():
    net = NeuralNetwork([Dense(4), InterruptedLayer(5, times=2), Dense(1)], seed=1)
    _, optim, history = fitted(net, SGD(0.05))
    assert history.stopped == "interrupted"
    assert optim.t == 4


@pytest.mark.usefixtures("_ctrl_c_interrupts")
def test_ctrl_c_in_an_evaluation_stops_after_its_epoch():
    class Interrupt(Callback):
        def on_epoch_end(self, trainer, row):
            signal.raise_signal(signal.SIGINT)

    _, _, history = fitted(regressor(), SGD(0.05), callbacks=[Interrupt()])
    assert history.stopped == "interrupted"
    assert len(history) == 1


@pytest.mark.usefixtures("_ctrl_c_interrupts")
def test_ctrl_c_after_a_training_is_what_it_was():
    fitted(regressor(), SGD(0.05))
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_handler_of_ones_own_stays_in_charge():
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        _, optim, history = fitted(
            NeuralNetwork([Dense(4), InterruptedLayer(5), Dense(1)], seed=1), SGD(0.05)
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [1]
    assert history.stopped is None
    assert optim.t == 8


def test_a_thread_can_train():
    results = []
    thread = threading.Thread(target=lambda: results.append(fitted(regressor(), SGD(0.05))))
    thread.start()
    thread.join()
    assert same(weights(results[0][0]), weights(fitted(regressor(), SGD(0.05))[0]))


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or sys.platform == "win32", reason="POSIX signal")
def test_a_real_interrupt_from_outside(tmp_path):
    """Ctrl-C in a terminal: the process continues after fit, with a trained network to save."""
    script = textwrap.dedent(
        """
        import signal, sys
        import numpy as np
        import dlfs
        from dlfs.train.callbacks import Callback

        # A shell that starts a job in the background has it ignore SIGINT.
        signal.signal(signal.SIGINT, signal.default_int_handler)

        class Ready(Callback):
            def on_batch_end(self, trainer, epoch, batch, loss):
                if epoch == 3 and batch == 0:
                    print("ready", flush=True)

        X = np.linspace(-1, 1, 64).reshape(-1, 1)
        net = dlfs.NeuralNetwork([dlfs.Dense(1)])
        optim = dlfs.SGD(0.1, final_lr=0.01, decay_type="linear")
        history = dlfs.Trainer(net, optim).fit(
            X, 3 * X + 1, X, 3 * X + 1, epochs=10**7, early_stopping=False, callbacks=[Ready()],
            verbose=0,
        )
        assert optim.lr == 0.1
        dlfs.save(net, sys.argv[1])
        print(history.stopped, len(history), flush=True)
        """
    )
    path = tmp_path / "net.safetensors"
    environment = os.environ | {"PYTHONPATH": str(Path(dlfs.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as child:
        try:
            assert child.stdout.readline() == "ready\n"
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=60)
        finally:
            child.kill()
    assert child.returncode == 0, err
    stopped, epochs = out.split()
    assert stopped == "interrupted"
    assert int(epochs) >= 3
    assert np.isfinite(dlfs.load(path).predict(np.ones((1, 1)))).all()
