"""Every option of every command changes what it says it changes, and nothing else."""

import argparse
import re
from typing import Any

import numpy as np
import pytest

from dlfs import backend, text
from dlfs.commands import bench, cli, sample, train, train_text
from dlfs.gradcheck import suite
from dlfs.gradcheck.cases import RECIPES
from dlfs.train import Trainer
from dlfs.train.callbacks import Callback
from tests.support.commands import run, use_few_images, use_short_text

CHANGED = object()
"""Stands for any value but that without the option."""


@pytest.fixture(autouse=True)
def same_backend():
    before = backend.backend_name()
    yield
    backend.use_backend(before)


class Watch(Callback):
    """Records what a training does."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.targets: list[np.ndarray] = []
        self.rates: list[float] = []

    def on_train_begin(self, trainer):
        net = trainer.net
        self.facts["network"] = [repr(layer) for layer in net.layers]
        self.facts["start"] = [param.astype(np.float32).tobytes() for param in net.params()]
        self.facts["dtype"] = {param.dtype.name for param in net.params()}
        self.facts["optimizer"] = type(trainer.optim).__name__
        self.facts["backend"] = backend.backend_name()

    def on_batch_end(self, trainer, epoch, batch, loss):
        if epoch == 0:
            self.targets.append(trainer.net.loss.target.copy())
        self.rates.append(trainer.optim.lr)

    def on_epoch_end(self, trainer, row):
        self.facts["epochs"] = row["epoch"]

    def on_train_end(self, trainer):
        self.facts["batch"] = len(self.targets[0])
        self.facts["order"] = np.concatenate(self.targets).tobytes()
        self.facts["rates"] = (self.rates[0], pytest.approx(self.rates[-1], rel=1e-12))
        self.facts["result"] = [param.tobytes() for param in trainer.net.params()]


@pytest.fixture
def facts(monkeypatch, capfd, tmp_path):
    """Return a function that runs ``dlfs train``, and returns what it did."""
    fit = Trainer.fit

    def trained(*options) -> dict[str, Any]:
        watch = Watch()
        before = set(tmp_path.rglob("*.*"))

        def watched(self, *data, callbacks, **others):
            return fit(self, *data, callbacks=[*callbacks, watch], **others)

        monkeypatch.setattr(Trainer, "fit", watched)
        assert run("train", *options) == 0
        written = sorted(path.name for path in set(tmp_path.rglob("*.*")) - before)
        return {**watch.facts, "progress": capfd.readouterr().err != "", "files": written}

    return trained


def check(facts, base: list[Any], options: list[Any], expected: dict[str, Any]) -> None:
    without, with_option = facts(*base), facts(*base, *options)
    for name, value in without.items():
        if name not in expected:
            assert with_option[name] == value, f"{options} changed {name}"
        elif expected[name] is CHANGED:
            assert with_option[name] != value, f"{options} did not change {name}"
        else:
            assert value != expected[name] == with_option[name], name


LEARNED = {"result": CHANGED}
IMAGES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "model": (["--model", "cnn"], {"network": CHANGED, "start": CHANGED, **LEARNED}),
    "data": (["--data", "mnist"], {}),
    "epochs": (["--epochs", 3], {"epochs": 3, **LEARNED}),
    "batch_size": (["--batch-size", 50], {"batch": 50, **LEARNED}),
    "optimizer": (
        ["--optimizer", "adam"],
        {"optimizer": "Adam", "rates": (0.001, 0.00002), **LEARNED},
    ),
    "lr": (["--lr", 0.02], {"rates": (0.02, 0.0004), **LEARNED}),
    "final_lr": (["--final-lr", 0.01], {"rates": (0.05, 0.01), **LEARNED}),
    "dtype": (["--dtype", "float64"], {"dtype": {"float64"}, **LEARNED}),
    "seed": (["--seed", 2], {"start": CHANGED, "order": CHANGED, **LEARNED}),
    "plots": (["--plots", "PLACE"], {"files": ["curve.png"]}),
    "save": (["--save", "PLACE/net.x"], {"files": ["net.x"]}),
    "log": (["--log", "PLACE/run.csv"], {"files": ["run.csv"]}),
    "quiet": (["--quiet"], {"progress": False}),
}
TEXT: dict[str, tuple[list[Any], dict[str, Any]]] = {
    **IMAGES,
    "model": (["--model", "gru"], {"network": CHANGED, "start": CHANGED, **LEARNED}),
    "data": (["--data", "sonnets"], {}),
    "batch_size": (["--batch-size", 3], {"batch": 3, "order": CHANGED, **LEARNED}),
    "optimizer": (
        ["--optimizer", "sgd"],
        {"optimizer": "SGD", "rates": (1.0, 0.0001), **LEARNED},
    ),
    "lr": (["--lr", 0.02], {"rates": (0.02, 0.000002), **LEARNED}),
    "final_lr": (["--final-lr", 0.001], {"rates": (0.004, 0.001), **LEARNED}),
    # Text is read in its order.
    "seed": (["--seed", 2], {"start": CHANGED, **LEARNED}),
}


TRANSFORMER: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "epochs": TEXT["epochs"],
    "dtype": TEXT["dtype"],
    "batch_size": (["--batch-size", 3], {"batch": 3, "rates": CHANGED, **LEARNED}),
    "optimizer": (
        ["--optimizer", "sgd"],
        {"optimizer": "SGD", "rates": CHANGED, **LEARNED},
    ),
    "lr": (["--lr", 0.02], {"rates": CHANGED, **LEARNED}),
    "final_lr": (["--final-lr", 0.001], {"rates": CHANGED, **LEARNED}),
    # Its pieces are shuffled.
    "seed": (["--seed", 2], {"start": CHANGED, "order": CHANGED, **LEARNED}),
}


@pytest.mark.parametrize("option", IMAGES)
def test_of_a_training_on_images(option, facts, monkeypatch, tmp_path):
    use_few_images(monkeypatch)
    options, expected = IMAGES[option]
    options = [str(value).replace("PLACE", str(tmp_path / "new")) for value in options]
    check(facts, ["--model", "mlp"], options, expected)


@pytest.mark.parametrize("option", TEXT)
def test_of_a_training_on_text(option, facts, monkeypatch, tmp_path):
    use_short_text(monkeypatch)
    options, expected = TEXT[option]
    options = [str(value).replace("PLACE", str(tmp_path / "new")) for value in options]
    check(facts, ["--model", "rnn"], options, expected)


@pytest.mark.parametrize("option", TRANSFORMER)
def test_of_a_training_of_a_transformer(option, facts, monkeypatch):
    use_short_text(monkeypatch)
    options, expected = TRANSFORMER[option]
    check(facts, ["--model", "gpt"], options, expected)


def test_the_rate_of_a_transformer_rises_and_falls(monkeypatch, capsys):
    use_short_text(monkeypatch)
    rates = []
    monkeypatch.setattr(Trainer, "fit", _recorded(rates))
    assert run("train", "--model", "gpt", "--quiet", "--epochs", 3) == 0
    peak = np.argmax(rates)
    assert max(rates) == train_text.GPT.rates["adamw"]
    assert peak == len(rates) // 3
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()
    assert rates[-1] == pytest.approx(max(rates) / 100, rel=1e-12)


def _recorded(rates):
    fit = Trainer.fit

    def recorded(self, *data, callbacks, **others):
        watch = Watch()
        history = fit(self, *data, callbacks=[*callbacks, watch], **others)
        rates.extend(watch.rates)
        return history

    return recorded


@pytest.mark.parametrize("model", ["mlp", "rnn"])
def test_of_the_backend_of_a_training(model, facts, monkeypatch):
    """The weights may differ in their last digits."""
    use_few_images(monkeypatch)
    use_short_text(monkeypatch)
    # "plain" is slow, and one model is enough for it
    names = [name for name in backend.available_backends() if (model, name) != ("rnn", "plain")]
    for name in names:
        assert facts("--model", model, "--backend", name)["backend"] == name


def test_the_documented_numbers_of_a_training_are_used(facts, monkeypatch, capfd):
    assert run("train", "--help") == 0
    said = " ".join(capfd.readouterr().out.split())
    pattern = r"training data \((\d+); text: (\d+); gpt: (\d+); own images and tables: (\d+)\)"
    epochs, *epochs_text, own = re.search(pattern, said).groups()
    assert train.OWN_EPOCHS == int(own)
    pattern = r"per step \((\d+); text: (\d+) streams; gpt: (\d+)\)"
    batch, *batches_text = re.search(pattern, said).groups()
    fall, fall_gpt = re.search(r"--lr / (\d+); .* gpt: --lr / (\d+)", said).groups()
    recipes = (train_text.RECURRENT, train_text.GPT)
    assert [recipe.epochs for recipe in recipes] == [int(number) for number in epochs_text]
    assert [recipe.batch_size for recipe in recipes] == [int(number) for number in batches_text]
    assert train_text.GPT.fall == int(fall_gpt)
    use_few_images(monkeypatch)
    use_short_text(monkeypatch)
    images, letters = facts("--model", "mlp"), facts("--model", "rnn")
    assert (images["epochs"], images["batch"]) == (int(epochs), int(batch))
    first = train.RATES["momentum"]
    assert images["rates"] == (first, first / int(fall))
    assert (images["optimizer"], letters["optimizer"]) == ("SGDMomentum", "Adam")
    assert "the optimizer (momentum; text, own images and tables: adam; gpt: adamw)" in said
    # what short_text puts in the place of the constants
    assert (letters["epochs"], letters["batch"]) == (2, 2)


@pytest.mark.parametrize(("model", "data"), [("mlp", "sonnets"), ("rnn", "mnist")])
def test_of_data_that_the_model_cannot_read(model, data, capsys):
    assert run("train", "--model", model, "--data", data) == 2
    assert f"--model {model} needs --data" in capsys.readouterr().err


def test_the_sample_is_of_the_trained_network_and_the_seed(monkeypatch, capsys, tmp_path):
    use_short_text(monkeypatch)
    path = tmp_path / "net"
    # Hardly trained, so that the seed decides.
    options = ["--model", "rnn", "--lr", 1e-6, "--quiet", "--save", path]
    assert run("train", *options, "--seed", 5) == 0
    net, vocabulary = text.load_writer(path)
    written = text.sample(net, vocabulary, 400, temperature=0.8, seed=5)
    assert f"A sample:\n{written}\n" in capsys.readouterr().out


SAMPLE: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "length": (["--length", 30], {"length": 30}),
    "prompt": (["--prompt", "not"], {"prompt": "not"}),
    "temperature": (["--temperature", 3], {"temperature": 3.0}),
    "seed": (["--seed", 2], {"seed": 2}),
    "top_k": (["--top-k", 2], {"top_k": 2}),
    "top_p": (["--top-p", 0.5], {"top_p": 0.5}),
}


def test_of_writing(monkeypatch, capsys, tmp_path):
    use_short_text(monkeypatch)
    path = tmp_path / "net"
    # Hardly trained, so that every option decides.
    assert run("train", "--model", "rnn", "--lr", 1e-6, "--quiet", "--save", path) == 0
    net, vocabulary = text.load_writer(path)
    usual = {"length": 500, "prompt": "\n", "temperature": 0.8, "seed": 1}
    capsys.readouterr()
    written = set()
    for options, changed in [([], {}), *SAMPLE.values()]:
        assert run("sample", path, *options) == 0
        arguments = usual | changed
        expected = arguments["prompt"] + text.sample(net, vocabulary, **arguments)
        written.add(capsys.readouterr().out)
        assert expected.lstrip("\n") + "\n" in written
    assert len(written) == 1 + len(SAMPLE)


def test_of_writing_without_the_cache(monkeypatch, capsys, tmp_path):
    use_short_text(monkeypatch)
    path = tmp_path / "net"
    assert run("train", "--model", "rnn", "--quiet", "--save", path) == 0
    capsys.readouterr()
    asked, texts = [], []

    def watched(*args, cache, **options):
        asked.append(cache)
        return text.sample(*args, cache=cache, **options)

    monkeypatch.setattr(sample, "sample", watched)
    for options in ([], ["--no-cache"]):
        assert run("sample", path, *options) == 0
        texts.append(capsys.readouterr().out)
    assert asked == [True, False]
    assert texts[0] == texts[1]


BENCH: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "seconds": (["--seconds", 0.25], {"seconds": 0.25}),
    "dtype": (["--dtype", "float64"], {"dtype": "float64"}),
    "threads": (["--threads", 1], {"threads": 1}),
}


def test_of_timing(monkeypatch, capsys):
    seen = []

    def make(dtype):
        seen.append({"dtype": dtype})
        return lambda: None

    def interleaved(calls, seconds, threads):
        seen[-1] |= {"seconds": seconds, "threads": threads}
        assert threads == backend.get_num_threads()
        return dict.fromkeys(calls, 1.0)

    monkeypatch.setattr(bench, "WORK", {"nothing": make})
    monkeypatch.setattr(bench, "interleaved", interleaved)
    before = backend.get_num_threads()
    backend.set_num_threads(2)
    try:
        for options, changed in [([], {}), *BENCH.values()]:
            assert run("bench", *options) == 0
            usual = {"dtype": "float32", "seconds": 1.0, "threads": backend.get_num_threads()}
            assert seen[-1] == usual | changed
            assert seen[-1]["dtype"] in capsys.readouterr().out
    finally:
        backend.set_num_threads(before)


GRADCHECK: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "names": (["relu", "mean"], {"names": [n for n in RECIPES if "ReLU" in n or "Mean" in n]}),
    "backend": (["--backend", "plain"], {"backends": ["plain"]}),
    "examples": (["--examples", 7], {"examples": 7}),
    "seed": (["--seed", 5], {"seed": 5}),
    "fast": (["--fast"], {"examples": 3}),
    "json": (["--json", "PLACE"], {"written": True}),
    "html": (["--html", "PLACE"], {"written": True}),
}


@pytest.mark.parametrize("option", GRADCHECK)
def test_of_checking_gradients(option, monkeypatch, capsys, tmp_path):
    seen = []

    def check_all(recipes, backends, examples, seed):
        names = [recipe.name for recipe in recipes]
        seen.append({"names": names, "backends": backends, "examples": examples, "seed": seed})
        return [], {}

    monkeypatch.setattr(suite, "check_all", check_all)
    backends = sorted(backend.available_backends(), key="reference".__eq__)
    usual = {"names": list(RECIPES), "backends": backends, "examples": 20, "seed": 0}
    options, changed = GRADCHECK[option]
    path = tmp_path / "written"
    for extra, now in [([], {}), (options, changed)]:
        assert run("gradcheck", *(path if value == "PLACE" else value for value in extra)) == 0
        assert {"written": False, **usual, **now} == {**seen[-1], "written": path.exists()}


OPTIONS = {
    # of one's own files, and the following two: tests/test_cli_own.py; ranks: tests/test_mpi.py
    "train": {"backend", "ranks", "target", "missing", "classify", "size", "colour", *IMAGES},
    "predict": {"network", "data", "output", "proba"},
    "evaluate": {"network", "data", "metrics"},
    "sample": {"network", "no_cache", *SAMPLE},
    "export": {"network", "model"},  # tests/test_onnx.py
    "bench": set(BENCH),
    "info": set(),
    "gradcheck": {"list", *GRADCHECK},  # list: tests/gradcheck/test_suite.py
    "notebooks": {"folder", "keep", "force", "slides"},  # tests/test_cli.py
    "class": {"action", "folder", "chapters", "nbgrader", "force"},  # tests/classroom
}


def test_every_option_of_every_command_is_tested():
    assert OPTIONS.keys() == cli.COMMANDS.keys()
    for command, module in cli.COMMANDS.items():
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        needed = ["x"] * {"sample": 1, "notebooks": 1}.get(command, 0)
        needed = needed or ["x"] * 2 * (command in ("export", "predict", "evaluate"))
        needed = ["export", "x"] if command == "class" else needed
        assert set(vars(parser.parse_args(needed))) == OPTIONS[command]
    assert TEXT.keys() == IMAGES.keys()


def test_without_compiled_kernels_the_reference_is_timed_alone(monkeypatch, capsys):
    monkeypatch.setattr("dlfs.backend.available_backends", lambda: ["reference", "plain"])
    monkeypatch.setattr(bench, "WORK", {"nothing": lambda dtype: lambda: None})
    monkeypatch.setattr(bench, "interleaved", lambda calls, *_: dict.fromkeys(calls, 1e-3))
    assert run("bench") == 0
    _, heading, row, last = capsys.readouterr().out.splitlines()
    assert heading.split() == ["reference"]
    assert row.split()[:2] == ["nothing", "1"]
    assert last.startswith("Only the reference is installed: with a C compiler")
