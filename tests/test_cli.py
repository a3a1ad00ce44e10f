"""The command line, as a new user sees it."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import dlfs
from dlfs import backend, datasets
from dlfs.commands import cli, train, train_text
from dlfs.train.history import History
from tests.support.commands import run, use_few_images, use_short_text

ROOT = Path(dlfs.__file__).parents[1]


@pytest.fixture(autouse=True)
def same_backend():
    before = backend.backend_name()
    yield
    backend.use_backend(before)


@pytest.fixture
def few_images(monkeypatch):
    use_few_images(monkeypatch)


def test_info_names_versions_backends_threads_and_data(capsys):
    assert run("info") == 0
    out = capsys.readouterr().out
    assert re.search(rf"^dlfs +{re.escape(dlfs.__version__)}$", out, re.MULTILINE)
    assert re.search(rf"^numpy +{re.escape(np.__version__)}$", out, re.MULTILINE)
    assert f"{backend.backend_name()} (in use)" in out
    assert "reference: available" in out
    assert re.search(r"^threads +.*\d+ processors", out, re.MULTILINE)
    assert re.search(r"^data +\d+ files, all whole$", out, re.MULTILINE)


def test_info_says_which_extras_are_there_and_how_to_get_the_others(capsys, monkeypatch):
    from dlfs.commands import info

    monkeypatch.setitem(info.EXTRAS, "flying", "no-such-package")
    assert run("info") == 0
    out = capsys.readouterr().out
    assert re.search(r"^extras +plots: matplotlib \d", out, re.MULTILINE)
    assert re.search(r"^ +flying: missing; pip install 'dlfs\[flying\]'$", out, re.MULTILINE)


@pytest.mark.source_tree
def test_info_knows_every_extra():
    from dlfs.commands import info

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    stated = project["optional-dependencies"]
    assert set(info.EXTRAS) == set(stated) - {"test", "docs", "dev"}
    for extra, package in info.EXTRAS.items():
        assert any(line.startswith(f"{package}>=") for line in stated[extra])


def test_info_says_why_a_backend_is_missing(capsys, monkeypatch):
    def use(name):
        raise ImportError(f"the {name} backend is not available: no compiler")

    monkeypatch.setattr(backend, "use_backend", use)
    assert run("info") == 0
    assert "fast: the fast backend is not available: no compiler" in capsys.readouterr().out


def test_pictures_without_matplotlib_are_refused_before_the_training(
    few_images, tmp_path, capsys, monkeypatch
):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    assert run("train", "--plots", tmp_path / "plots") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "dlfs train: --plots needs matplotlib: pip install 'dlfs[plots]'"


def test_info_leaves_the_backend_as_it_is(capsys):
    before = backend.backend_name()
    run("info")
    assert backend.backend_name() == before


def test_info_says_which_data_is_damaged(capsys, monkeypatch):
    from dlfs.datasets import files

    def read(name):
        raise files.DamagedDataError(f"{name} is damaged")

    monkeypatch.setattr(files, "read", read)
    assert run("info") == 0
    assert "boston_house_prices.csv is damaged" in capsys.readouterr().out


def test_the_version(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"dlfs {dlfs.__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["info", "--help"]])
def test_help_explains_itself(arguments, capsys):
    assert run(*arguments) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: dlfs")
    assert "default: None" not in out
    assert "default: False" not in out
    assert "SUPPRESS" not in out


def test_help_of_train_explains_every_option(capsys):
    run("train", "--help")
    out = re.sub(r"\s+", " ", capsys.readouterr().out)
    options = (
        "model data target missing classify size colour epochs batch-size optimizer lr final-lr "
        "backend dtype seed save log plots quiet"
    )
    for option in options.split():
        # The option, perhaps its value, and then its help.
        assert re.search(rf" --{option} (?:[A-Z_]+ |\{{[^}}]*\}} )?[a-z]+ [a-z]+", out), option
    assert "(images: cnn; tables: mlp; text: gru)" in out
    assert "(default: float32)" in out


def test_help_of_all_names_the_commands_and_a_first_step(capsys):
    run("--help")
    out = capsys.readouterr().out
    assert re.search(r"train +train a network", out)
    assert re.search(r"info +show", out)
    assert "dlfs train --model cnn" in out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "COMMAND"),
        (["fly"], "fly"),
        (["train", "--model", "transformer"], "transformer"),
        (["train", "--data", "cifar"], "cifar"),
        (["train", "--epochs", "many"], "many"),
        (["train", "--epochs", "1.5"], "1.5"),
        (["train", "--epochs", "0"], "--epochs: must be an integer, at least 1, got '0'"),
        (["train", "--epochs", "-1"], "--epochs"),
        (["train", "--epochs", "9" * 5000], "--epochs"),
        (["train", "--batch-size", "0"], "--batch-size"),
        (["train", "--optimizer", "magic"], "magic"),
        (["train", "--lr", "0"], "--lr: must be a finite number, more than 0, got '0'"),
        (["train", "--lr", "nan"], "--lr"),
        (["train", "--lr", "1e999"], "--lr"),
        (["train", "--lr", "fast"], "fast"),
        (["train", "--lr", "-0.1"], "--lr"),
        (["train", "--final-lr", "-1"], "--final-lr"),
        (["train", "--seed", "-3"], "--seed"),
        (["train", "--model", "lstm", "--data", "mnist"], "--model lstm needs --data sonnets"),
        (["train", "--model", "cnn", "--data", "sonnets"], "--model cnn needs --data mnist"),
        (["train", "--model", "lstm", "--epochs", "0"], "--epochs"),
        (["train", "--model", "lstm", "--batch-size", "0"], "--batch-size"),
        (["train", "--model", "lstm", "--lr", "nan"], "--lr"),
        (["train", "--model", "lstm", "--seed", "-1"], "--seed"),
        (["sample", "nowhere", "--temperature", "-1"], "--temperature"),
        (["sample", "nowhere", "--length", "-1"], "--length"),
        (["sample", "nowhere", "--top-k", "0"], "--top-k"),
        (["sample", "nowhere", "--top-p", "0"], "--top-p"),
        (["sample", "nowhere", "--top-p", "1.5"], "--top-p"),
        (["sample", "nowhere", "--seed", "-1"], "--seed"),
        (["sample", "nowhere", "--prompt", ""], "--prompt: must hold at least one character"),
        (["bench", "--seconds", "0"], "--seconds"),
        (["bench", "--seconds", "9999"], "at most 3600"),
        (["bench", "--threads", "0"], "--threads"),
        (["gradcheck", "--examples", "0"], "--examples"),
        (["gradcheck", "--seed", "-1"], "--seed"),
        (["gradcheck", "--backend", "quantum"], "quantum"),
        (["train", "--dtype", "float16"], "float16"),
        (["train", "--backend", "quantum"], "quantum"),
        (["train", "--sav", "x", "--unknown"], "unknown"),
        (["info", "--verbose"], "verbose"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_a_mistake_ends_in_one_clear_line_before_data_are_read(
    arguments, named, capsys, monkeypatch
):
    monkeypatch.setattr(datasets, "mnist", None)
    monkeypatch.setattr(datasets, "sonnets", None)
    monkeypatch.setattr(cli.sample, "load_writer", None)  # type: ignore[attr-defined]
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    *usage, message = err.strip().splitlines()
    assert named in message
    assert message.startswith("dlfs")
    assert all(line.startswith(("usage:", " ")) for line in usage)


@pytest.mark.skipif("fast" in dlfs.available_backends(), reason="the compiled kernels are here")
def test_a_backend_that_is_not_installed_is_explained(few_images, capsys):
    assert run("train", "--backend", "fast") == 2
    assert "fast" in capsys.readouterr().err


def accuracy_in(out):
    return float(re.search(r"^Test accuracy: (\d+\.\d\d)% on 100 images$", out, re.MULTILINE)[1])


@pytest.mark.parametrize("model", ["cnn", "mlp"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_prints_its_accuracy_and_saves_what_it_trained(
    model, dtype, few_images, tmp_path, capsys
):
    path = tmp_path / "new" / "folder" / "net.safetensors"
    options = ["--model", model, "--dtype", dtype, "--epochs", 6, "--batch-size", 20]
    assert run("train", *options, "--save", path, "--quiet") == 0
    captured = capsys.readouterr()
    accuracy = accuracy_in(captured.out)
    assert accuracy > 80
    assert captured.err == ""
    net = dlfs.load(path)
    assert net.dtype == dtype
    data = datasets.mnist(dtype=dtype)
    predicted = net.predict(data.X_test).argmax(axis=1)
    assert 100 * np.mean(predicted == data.y_test) == pytest.approx(accuracy, abs=0.005)


def test_one_seed_gives_one_network(few_images, tmp_path, capsys):
    def saved(name, seed):
        assert run("train", "--model", "mlp", "--seed", seed, "--save", tmp_path / name) == 0
        return [param.tobytes() for param in dlfs.load(tmp_path / name).params()]

    assert saved("a", 1) == saved("b", 1)
    assert saved("a", 1) != saved("c", 2)


@pytest.mark.parametrize("optimizer", sorted(train.OPTIMIZERS))  # type: ignore[attr-defined]
def test_every_optimizer_learns_with_its_own_rate(optimizer, few_images, capsys):
    options = ["--model", "mlp", "--epochs", 15, "--batch-size", 10, "--quiet"]
    assert run("train", "--optimizer", optimizer, *options) == 0
    out = capsys.readouterr().out
    assert accuracy_in(out) > 80
    assert type(train.OPTIMIZERS[optimizer](0.1)).__name__ in out  # type: ignore[attr-defined]


def test_rates_are_those_that_were_asked_for(few_images, capsys):
    options = ["--lr", 0.02, "--final-lr", 0.004, "--epochs", 2, "--optimizer", "sgd", "--quiet"]
    assert run("train", "--model", "mlp", *options) == 0
    out = capsys.readouterr().out
    assert "SGD(lr=0.02, final_lr=0.004, decay_type='linear')" in out
    rows = [line.split() for line in out.splitlines() if re.match(r" +\d+ ", line)]
    assert float(rows[0][1]) == 0.02
    assert 0.004 < float(rows[1][1]) < 0.02


def test_the_progress_unless_quiet(few_images, capfd):
    assert run("train", "--model", "mlp", "--batch-size", 20) == 0
    assert "batch 10/10" in capfd.readouterr().err
    assert run("train", "--model", "mlp", "--batch-size", 20, "--quiet") == 0
    assert capfd.readouterr().err == ""


def test_plots_are_drawn_into_a_new_folder(few_images, tmp_path, capsys):
    folder = tmp_path / "new" / "plots"
    assert run("train", "--plots", folder, "--quiet") == 0
    assert sorted(path.name for path in folder.iterdir()) == ["curve.png", "filters.png"]
    out = capsys.readouterr().out
    for path in folder.iterdir():
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG")
        width, height = (int.from_bytes(content[i : i + 4], "big") for i in (16, 20))
        assert width > 400
        assert height > 150
        assert str(path) in out


def test_a_network_without_filters_has_only_a_curve(few_images, tmp_path, capsys):
    assert run("train", "--model", "mlp", "--plots", tmp_path, "--quiet") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]


def test_places_that_cannot_be_written_are_named_before_the_training(
    few_images, tmp_path, capsys, monkeypatch
):
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setattr(train.Trainer, "fit", None)  # type: ignore[attr-defined]
    for arguments in (
        ["--save", tmp_path],
        ["--save", file / "net"],
        ["--save", tmp_path / ("n" * 245)],
        ["--plots", file],
        ["--plots", file / "folder"],
    ):
        assert run("train", *arguments) == 2
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1
        assert str(arguments[1]) in err or str(file) in err


def interrupt_in(monkeypatch, name, on_call=1):
    calls = []
    real = getattr(dlfs.NeuralNetwork, name)

    def method(self, *arguments, **options):
        calls.append(name)
        if len(calls) == on_call:
            raise KeyboardInterrupt
        return real(self, *arguments, **options)

    monkeypatch.setattr(dlfs.NeuralNetwork, name, method)


@pytest.mark.parametrize(
    ("name", "call"), [("train_batch", 3), ("train_batch", 13), ("predict", 1)]
)
def test_ctrl_c_keeps_and_saves_what_was_learned(
    name, call, few_images, tmp_path, capsys, monkeypatch
):
    interrupt_in(monkeypatch, name, call)
    options = ["--model", "mlp", "--epochs", 3, "--batch-size", 20, "--quiet"]
    places = ["--save", tmp_path / "net", "--plots", tmp_path / "plots"]
    assert run("train", *options, *places) == 130
    captured = capsys.readouterr()
    assert "Interrupted" in captured.out
    assert "Traceback" not in captured.err
    assert len(dlfs.load(tmp_path / "net")) == 3


def test_ctrl_c_before_the_training_has_no_traceback(few_images, capsys, monkeypatch):
    interrupt_in(monkeypatch, "build")
    assert run("train") == 130
    assert capsys.readouterr().err.splitlines() == ["dlfs train: interrupted"]


def test_a_training_that_diverges_says_so_in_one_line(few_images, capsys):
    with np.errstate(all="ignore"):
        assert run("train", "--model", "mlp", "--lr", 1e39, "--quiet") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "loss became" in line
    assert "Dense" in line


@pytest.fixture
def short_text(monkeypatch):
    use_short_text(monkeypatch)


def test_a_network_that_writes_is_trained_saved_and_writes_again(short_text, tmp_path, capsys):
    net, plots = tmp_path / "new" / "net.safetensors", tmp_path / "plots"
    arguments = ["--data", "sonnets", "--quiet", "--save", net, "--plots", plots]
    assert run("train", "--model", "gru", "--epochs", 6, *arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert float(re.search(r"^Test loss: (\d\.\d{4}) nats", captured.out, re.MULTILINE)[1]) < 1
    assert re.search(r"^ +6 ", captured.out, re.MULTILINE)
    assert [path.name for path in plots.iterdir()] == ["curve.png"]

    def written(*options):
        assert run("sample", net, "--length", 40, *options) == 0
        return capsys.readouterr().out

    wild = ("--temperature", 9, "--seed")
    assert written(*wild, 1) == written(*wild, 1) != written(*wild, 2)
    assert written("--temperature", 0, "--seed", 1) == written("--temperature", 0, "--seed", 2)
    assert written("--prompt", "not", "--temperature", 0).startswith("not to be")
    assert len(written("--prompt", "not")) == len("not") + 40 + 1


def test_ctrl_c_in_the_first_epoch_leaves_a_network_that_writes(
    short_text, tmp_path, capsys, monkeypatch
):
    interrupt_in(monkeypatch, "train_batch", 2)
    options = ["--model", "rnn", "--batch-size", 4, "--quiet"]
    assert run("train", *options, "--save", tmp_path / "net", "--plots", tmp_path / "plots") == 130
    out = capsys.readouterr().out
    assert "Interrupted" in out
    assert "A sample:" in out
    assert "test loss" not in out
    assert not list((tmp_path / "plots").iterdir())
    assert run("sample", tmp_path / "net") == 0


def test_a_test_loss_that_was_lower_before_is_told() -> None:
    history = History()
    for epoch, loss in enumerate([2.0, 1.5], 1):
        history.append({"epoch": epoch, "test_loss": loss})
    assert train_text.said_of_loss(history) == "Test loss: 1.5000 nats per character"
    history.append({"epoch": 3, "test_loss": 1.625})
    assert train_text.said_of_loss(history) == (
        "Test loss: 1.6250 nats per character (the lowest was 1.5000, after epoch 2)"
    )


def test_every_option_matters_for_text(short_text, capsys):
    def trained(*options):
        assert run("train", "--model", "rnn", "--quiet", *options) == 0
        out = capsys.readouterr().out
        return re.sub(r" +\d+\.\d\d$|took .*", "", out, flags=re.MULTILINE)

    usual = trained()
    assert usual == trained("--data", "sonnets", "--optimizer", "adam", "--lr", 0.004)
    assert re.search(r"^ +2 ", usual, re.MULTILINE)
    for options in (
        ["--epochs", 1],
        ["--batch-size", 3],
        ["--optimizer", "adagrad"],
        ["--lr", 0.002],
        ["--final-lr", 0.001],
        ["--backend", "reference"],
        ["--dtype", "float64"],
        ["--seed", 2],
    ):
        assert trained(*options) != usual, options
    assert "AdaGrad(lr=0.02, " in trained("--optimizer", "adagrad")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["train", "--model", "gpt", "--data", "mnist"], "--model gpt needs --data sonnets"),
        (["train", "--model", "lstm", "--batch-size", "99"], "99 streams of length 16 need"),
        (["sample", "nowhere"], "there is no file nowhere"),
        (["sample", __file__], "not a file that dlfs saved"),
    ],
    ids=str,
)
def test_a_mistake_with_text_ends_in_one_clear_line(arguments, named, short_text, capsys):
    assert run(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line


def test_what_cannot_be_sampled_is_explained(short_text, tmp_path, capsys):
    net = tmp_path / "net"
    assert run("train", "--model", "rnn", "--epochs", 1, "--quiet", "--save", net) == 0
    capsys.readouterr()
    for options, words in (
        (["--prompt", "xyz"], "the character 'x' at index 0"),
        (["--prompt", "To"], "the character 'T' at index 0"),
    ):
        assert run("sample", net, *options) == 2
        assert words in capsys.readouterr().err
    dlfs.save(dlfs.load(net), net)
    assert run("sample", net) == 2
    assert "holds no vocabulary" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["dlfs", "dlfs.commands.cli"])
def test_python_m(module):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", module, "info"],
        capture_output=True,
        check=False,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("dlfs")
    assert done.stderr == ""


def test_python_m_returns_the_status_of_a_mistake():
    done = subprocess.run(
        [sys.executable, "-m", "dlfs", "train", "--epochs", "none"],
        capture_output=True,
        check=False,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


CHILD = {
    "text": True,
    "env": os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""},
}


@pytest.mark.skipif(sys.platform == "win32", reason="broken pipes differ on Windows")
@pytest.mark.parametrize(
    ("arguments", "lines", "streams"),
    [
        ("train --model mlp --quiet", 1, {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}),
        ("train --model mlp", 8, {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}),
        ("train --model mlp", 0, {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}),
        ("train --help", 0, {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}),
        ("info", 0, {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}),
        ("gradcheck --list", 0, {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}),
    ],
)
def test_a_reader_that_has_seen_enough_ends_it_without_a_word(arguments, lines, streams, tmp_path):
    log = tmp_path / "log"
    with log.open("w") as other:
        taken = {name: other if to == subprocess.DEVNULL else to for name, to in streams.items()}
        command = [sys.executable, "-m", "dlfs", *arguments.split()]
        with subprocess.Popen(command, **taken, **CHILD) as child:
            reader = child.stdout or child.stderr
            for _ in range(lines):
                assert reader.readline()
            reader.close()
            assert child.wait() == 141
    assert not re.search("Errno|Error|Traceback|ignored", log.read_text())


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-"])
def test_closed_streams_are_no_obstacle(closed):
    for arguments, status in (("gradcheck ReLU --fast", 0), ("sample nowhere", 2)):
        script = f'"$0" -m dlfs {arguments} {closed}'
        command = ["sh", "-c", script, sys.executable]
        done = subprocess.run(command, capture_output=True, check=False, **CHILD)
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stdout + done.stderr


def test_the_command_that_is_installed_is_this_one():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"dlfs": "dlfs.commands.cli:main"}


def test_notebooks_are_copied_and_never_overwritten_unasked(tmp_path, capsys):
    folder = tmp_path / "to" / "work in"
    assert run("notebooks", folder) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert str(folder) in captured.out
    first = folder / "01_foundations" / "Code.ipynb"
    assert str(first) in captured.out
    assert json.loads(first.read_text())["cells"]
    assert (folder / "README.md").exists()
    assert not list(folder.rglob("*.py"))
    # again, with nothing changed, and with something changed
    (folder / "README.md").unlink()
    first.write_text("my work")
    assert run("notebooks", folder) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"dlfs notebooks: {first} would be overwritten")
    assert len(err.splitlines()) == 1
    assert first.read_text() == "my work"
    assert not (folder / "README.md").exists(), "all or nothing"
    assert run("notebooks", folder, "--force") == 0
    assert json.loads(first.read_text())["cells"]
    assert run("notebooks", folder) == 0


def test_notebooks_that_are_there_can_be_kept(tmp_path, capsys):
    folder = tmp_path / "mine"
    assert run("notebooks", folder, "--keep") == 0
    every = {path for path in folder.rglob("*") if path.is_file()}
    assert f"{len(every)} files copied to {folder}; 0 existing files" in capsys.readouterr().out
    mine, lost = folder / "01_foundations" / "Code.ipynb", folder / "ERRATA.md"
    mine.write_text("my work")
    lost.unlink()
    assert run("notebooks", folder, "--keep") == 0
    assert f"1 files copied to {folder}; {len(every) - 1} existing" in capsys.readouterr().out
    assert mine.read_text() == "my work"
    assert lost.exists()
    assert run("notebooks", folder, "--keep", "--force") == 2


@pytest.mark.source_tree
def test_make_notebooks_opens_a_copy_that_git_ignores():
    text = (ROOT / "Makefile").read_text()
    folder = re.search(r"^MY_NOTEBOOKS \?= (.+)$", text, re.MULTILINE)[1]
    assert f"/{folder}/" in (ROOT / ".gitignore").read_text().splitlines()
    recipe = re.search(r"^notebooks:.*\n((?:\t.*\n)+)", text, re.MULTILINE)[1]
    assert "-m dlfs notebooks --keep '$(MY_NOTEBOOKS)'" in recipe
    assert "--ServerApp.root_dir='$(MY_NOTEBOOKS)'" in recipe
    cleaning = re.search(r"^clean:.*\n((?:\t.*\n)+)", text, re.MULTILINE)[1]
    assert "NOTEBOOKS" not in cleaning, "the user's work is not removed"


def test_notebooks_need_a_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert run("notebooks", tmp_path / "file") == 2
    assert run("notebooks", tmp_path / "file" / "below") == 2
    assert capsys.readouterr().err.count("is not a folder") == 2
