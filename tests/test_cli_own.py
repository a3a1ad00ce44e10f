"""The command line on files of one's own: train, predict, evaluate; what is wrong is named."""

import csv
import io
import sys

import numpy as np
import pytest

import dlfs
from dlfs import backend
from dlfs.commands import train_text
from tests.support.commands import run, use_few_images, use_short_text


@pytest.fixture(autouse=True)
def same_backend():
    before = backend.backend_name()
    yield
    backend.use_backend(before)


@pytest.fixture
def houses(tmp_path):
    """Return a table with numbers, texts, and targets of each kind."""
    rng = np.random.default_rng(0)
    path = tmp_path / "houses.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "town", "rooms", "garden", "price"])
        for _ in range(120):
            size, town = rng.uniform(40, 120), ["Ulm", "Bonn"][rng.integers(2)]
            price = 1000 * (3 * size + 80 * (town == "Bonn"))
            rooms = 2 + (size > 80)
            writer.writerow([f"{size:.2f}", town, rooms, size > 100, f"{price:.0f}"])
    return path


def trained(path, data, capsys, *options):
    assert run("train", "--data", data, "--quiet", "--save", path, *options) == 0
    return capsys.readouterr().out


def table_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def failed(capsys, *arguments):
    """Run a command that must fail in one line, and return the line."""
    capsys.readouterr()
    assert run(*arguments) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert "Traceback" not in line
    return line


# --- tables ---


def test_numbers_of_a_table_are_learned_predicted_and_measured(houses, tmp_path, capsys):
    net = tmp_path / "net"
    out = trained(net, houses, capsys, "--target", "price", "--epochs", 60)
    assert "24 rows, in the units of the target" in out
    assert run("predict", net, houses) == 0
    rows = table_of(capsys.readouterr().out)
    prices = np.array([float(row["price"]) for row in table_of(houses.read_text())])
    predicted = np.array([float(row["price"]) for row in rows])
    assert len(predicted) == 120
    assert np.abs(predicted - prices).mean() < 0.1 * prices.std()
    assert run("evaluate", net, houses, "--metrics", "mae", "r2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "120 rows"
    assert float(lines[1].removeprefix("mae: ")) == pytest.approx(
        np.abs(predicted - prices).mean(), rel=1e-4
    )
    assert float(lines[2].removeprefix("r2: ")) > 0.95
    # Without the target, and with the columns in another order.
    few = tmp_path / "few.csv"
    few.write_text("rooms,garden,town,size\n3,True,Bonn,110\n2,False,Ulm,50\n")
    assert run("predict", net, few, "--output", tmp_path / "out.csv") == 0
    assert "Wrote 2 predictions" in capsys.readouterr().out
    answers = [float(row["price"]) for row in table_of((tmp_path / "out.csv").read_text())]
    assert answers == pytest.approx([410_000, 150_000], rel=0.2)


@pytest.mark.parametrize(
    ("target", "options", "labels"),
    [
        ("town", [], {"Bonn", "Ulm"}),
        ("garden", [], {"False", "True"}),
        ("rooms", ["--classify"], {"2", "3"}),
    ],
)
def test_classes_of_a_table_come_back_as_they_were(
    target, options, labels, houses, tmp_path, capsys
):
    net = tmp_path / "net"
    out = trained(net, houses, capsys, "--target", target, *options)
    assert "% on 24 rows" in out
    assert run("predict", net, houses, "--proba") == 0
    rows = table_of(capsys.readouterr().out)
    truth = [row[target] for row in table_of(houses.read_text())]
    right = np.mean([row[target] == true for row, true in zip(rows, truth, strict=True)])
    assert right > 0.8
    assert {row[target] for row in rows} == labels
    assert list(rows[0]) == [target, *(f"p({label})" for label in sorted(labels))]
    assert sum(float(rows[0][f"p({label})"]) for label in labels) == pytest.approx(1, abs=1e-4)
    assert run("evaluate", net, houses) == 0
    measured = capsys.readouterr().out
    assert float(measured.split("accuracy: ")[1]) == pytest.approx(right, rel=1e-4)


def test_missing_values_are_an_error_dropped_or_filled(houses, tmp_path, capsys):
    holes = tmp_path / "holes.csv"
    holes.write_text(houses.read_text() + ",Ulm,2,False,1000\n50,,2,False,1000\n")
    options = ["--target", "price", "--epochs", 1]
    line = failed(capsys, "train", "--data", holes, *options)
    assert "column 'size' lacks 1 value (row 121)" in line
    assert ", 97 rows" in trained(tmp_path / "a", holes, capsys, *options, "--missing", "fill")
    assert ", 96 rows" in trained(tmp_path / "b", holes, capsys, *options, "--missing", "drop")
    assert run("predict", tmp_path / "a", holes) == 0
    assert "column 'size' lacks 1 value" in failed(capsys, "predict", tmp_path / "b", holes)


def test_mistakes_with_tables_are_named(houses, tmp_path, capsys):
    line = failed(capsys, "train", "--data", houses)
    assert "--data of a CSV file needs --target" in line
    line = failed(capsys, "train", "--data", houses, "--target", "prize")
    assert "target must be one of the columns, ['size', 'town'," in line
    line = failed(capsys, "train", "--data", houses, "--target", "size", "--classify")
    assert "--classify needs whole numbers as classes" in line
    line = failed(capsys, "train", "--data", houses, "--target", "price", "--model", "cnn")
    assert "--model cnn needs --data mnist or a folder of images" in line
    one = tmp_path / "one.csv"
    one.write_text("size,town\n" + "50,Ulm\n" * 8)
    line = failed(capsys, "train", "--data", one, "--target", "town")
    assert "--target: town must have at least 2 different labels, got 1" in line
    line = failed(capsys, "train", "--target", "price")
    assert "--target needs --data a CSV file, got mnist" in line
    line = failed(capsys, "train", "--data", tmp_path / "none.csv")
    assert "--data must be mnist, sonnets, a CSV file," in line
    assert "which does not exist" in line
    net = tmp_path / "net"
    trained(net, houses, capsys, "--target", "price", "--epochs", 1)
    few = tmp_path / "few.csv"
    few.write_text("rooms,town,size,price\n3,Bonn,110,5\n")
    assert "must have the column 'garden', as in training" in failed(capsys, "predict", net, few)
    few.write_text("rooms,garden,town,size\n3,True,Kiel,110\n")
    assert "['Bonn', 'Ulm'], got 'Kiel'" in failed(capsys, "predict", net, few)
    assert "must have the target's column 'price'" in failed(capsys, "evaluate", net, few)
    cheap = tmp_path / "cheap.csv"
    cheap.write_text(houses.read_text().split("\n")[0] + "\n50,Ulm,2,False,cheap\n")
    line = failed(capsys, "evaluate", net, cheap)
    assert "the target must be numbers, as in training, got 'cheap'" in line
    trained(tmp_path / "rooms", houses, capsys, "--target", "rooms", "--classify", "--epochs", 1)
    cheap.write_text("size,town,rooms,garden,price\n50,Ulm,two,False,100\n")
    line = failed(capsys, "evaluate", tmp_path / "rooms", cheap)
    assert "column 'rooms' must hold labels as in training, [2, 3], got 'two'" in line
    line = failed(capsys, "evaluate", net, houses, "--metrics", "accuracy")
    assert "must be mae, rmse or r2, got 'accuracy'" in line
    assert "data must be a table, as in training" in failed(capsys, "evaluate", net, tmp_path)
    line = failed(capsys, "predict", net, houses, "--proba")
    assert "predictions must be logits" in line
    assert "there is no file" in failed(capsys, "predict", net, tmp_path / "none.csv")


def test_what_a_file_says_of_its_data_is_checked(houses, tmp_path, capsys):
    path = tmp_path / "net"
    trained(path, houses, capsys, "--target", "price", "--epochs", 1)
    net = dlfs.load(path)
    right = net.notes["data"]
    for wrong in (
        {"kind": "tables"},
        {**right, "layout": None},
        {**right, "inputs": {"mean": [0.0], "scale": [1.0]}},
        {**right, "inputs": {"mean": "text", "scale": [1.0]}},
        {**right, "target": {"mean": [0.0], "scale": [0.0]}},
        {"kind": "images", "size": [3], "colour": True},
        {"kind": "images", "size": [3, 3], "colour": 1},
    ):
        net.notes = {"data": wrong}
        dlfs.save(net, path)
        assert failed(capsys, "predict", path, houses).startswith("dlfs predict: ")


# --- images ---


@pytest.fixture
def stripes(tmp_path):
    """Return a folder of pictures: stripes that lie, and stripes that stand."""
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for name in ("lying", "standing"):
        folder = tmp_path / "stripes" / name
        folder.mkdir(parents=True)
        for number in range(30):
            pixels = rng.integers(0, 100, (12, 10), dtype=np.uint8)
            pixels[(slice(number % 3, None, 4), slice(None))[:: 1 if name == "lying" else -1]] += (
                150
            )
            image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "stripes"


def test_images_are_learned_predicted_and_measured(stripes, tmp_path, capsys):
    net = tmp_path / "net"
    out = trained(net, stripes, capsys, "--epochs", 12)
    assert "48 images" in out
    assert "Test accuracy: " in out
    assert run("predict", net, stripes / "lying") == 0
    rows = table_of(capsys.readouterr().out)
    assert rows[0]["file"] == str(stripes / "lying" / "0.png")
    assert np.mean([row["class"] == "lying" for row in rows]) > 0.8
    assert run("predict", net, stripes / "standing" / "7.png") == 0
    assert capsys.readouterr().out.endswith("7.png,standing\n")
    assert run("evaluate", net, stripes, "--metrics", "accuracy", "f1_macro") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "60 images"
    assert float(dict(line.split(": ") for line in lines[1:])["f1_macro"]) > 0.8


def test_images_for_the_test_may_have_a_folder_of_their_own(stripes, tmp_path, capsys):
    split = tmp_path / "split"
    for part in ("train", "test"):
        for name in ("lying", "standing"):
            (split / part / name).mkdir(parents=True)
    for number, path in enumerate(sorted(stripes.rglob("*.png"))):
        part = "test" if number % 4 == 0 else "train"
        (split / part / path.parent.name / path.name).write_bytes(path.read_bytes())
    net = tmp_path / "net"
    out = trained(net, split, capsys, "--size", 14, "--colour", "--model", "mlp", "--epochs", 2)
    assert ", 45 images" in out
    assert "on 15 images" in out
    assert dlfs.load(net).input_shape == (3, 14, 14)
    assert run("evaluate", net, split / "test") == 0
    (split / "test" / "leaning").mkdir()
    (split / "test" / "leaning" / "a.png").write_bytes(path.read_bytes())
    assert "must have the class 'leaning'" in failed(capsys, "train", "--data", split)


def test_mistakes_with_images_are_named(stripes, tmp_path, capsys, monkeypatch):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "empty").mkdir()
    line = failed(capsys, "train", "--data", tmp_path / "empty")
    assert "must have a folder for each class" in line
    (tmp_path / "empty" / "one").mkdir()
    assert "must have images" in failed(capsys, "train", "--data", tmp_path / "empty")
    image.new("L", (12, 12)).save(tmp_path / "empty" / "one" / "a.png")
    image.new("L", (12, 12)).save(tmp_path / "empty" / "one" / "b.png")
    line = failed(capsys, "train", "--data", tmp_path / "empty")
    assert "must have a folder for each of 2 classes or more, got 1" in line
    image.new("L", (30, 12)).save(stripes / "lying" / "wide.png")
    line = failed(capsys, "train", "--data", stripes)
    assert "all images must have the same size" in line
    assert "--size needs --data a folder of images" in failed(capsys, "train", "--size", 12)
    trained(tmp_path / "net", stripes, capsys, "--size", 12, "--epochs", 1)
    assert "must have images in it" in failed(capsys, "predict", tmp_path / "net", tmp_path)
    monkeypatch.setitem(sys.modules, "PIL", None)
    line = failed(capsys, "train", "--data", stripes)
    assert "needs the extra images: pip install 'dlfs[images]'" in line


def test_a_network_of_the_packages_digits_reads_images(tmp_path, capsys, monkeypatch):
    image = pytest.importorskip("PIL.Image")
    use_few_images(monkeypatch)
    net = tmp_path / "net"
    assert run("train", "--model", "mlp", "--quiet", "--save", net) == 0
    pixels = np.zeros((50, 50), dtype=np.uint8)
    image.fromarray(pixels).save(tmp_path / "digit.png")
    capsys.readouterr()
    assert run("predict", net, tmp_path / "digit.png") == 0
    assert int(table_of(capsys.readouterr().out)[0]["class"]) in range(10)
    assert run("evaluate", net, "mnist") == 0
    assert "accuracy: " in capsys.readouterr().out


# --- texts ---


def test_a_text_is_learned_continued_and_measured(tmp_path, capsys, monkeypatch):
    use_short_text(monkeypatch)
    path, net = tmp_path / "text.txt", tmp_path / "net"
    path.write_text("so viele Häuser, \n" * 60, encoding="utf-8")
    out = trained(net, path, capsys, "--epochs", 8)
    assert "GRULayer" in out
    assert run("sample", net, "--prompt", "so viele H", "--temperature", 0, "--length", 5) == 0
    assert capsys.readouterr().out == "so viele Häuser\n"
    assert run("evaluate", net, path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("characters")
    assert float(lines[1].removeprefix("loss: ").split()[0]) < 1
    assert "holds no vocabulary" not in failed(capsys, "evaluate", net, path, "--metrics", "f1")


def test_mistakes_with_texts_are_named(tmp_path, capsys, monkeypatch, houses):
    use_short_text(monkeypatch)
    path, net = tmp_path / "text.txt", tmp_path / "net"
    path.write_text("to be or not to be, \n" * 10, encoding="utf-8")
    line = failed(capsys, "train", "--data", path)
    assert "2 streams of length 16 need a text of at least 330 characters" in line
    path.write_bytes(b"\xff\xfe\xff" * 1000)
    assert "must be a text in UTF-8" in failed(capsys, "train", "--data", path)
    line = failed(capsys, "train", "--data", path, "--model", "cnn")
    assert "--model cnn needs --data mnist or a folder of images" in line
    trained(net, houses, capsys, "--target", "price", "--epochs", 1)
    path.write_text("x" * 400)
    assert "holds no vocabulary" in failed(capsys, "evaluate", net, path)
    path.write_text("to be or not to be, \n" * 50)
    trained(net, path, capsys, "--epochs", 1)
    assert "'dlfs train' saved after a table" in failed(capsys, "predict", net, houses)
    path.write_text("to be or maybe not\n" * 50)
    assert "the character" in failed(capsys, "evaluate", net, path)


# --- arrays, and the log ---


def test_any_network_predicts_for_arrays(tmp_path, capsys):
    X = np.random.default_rng(0).normal(size=(5, 3))
    np.save(tmp_path / "X.npy", X)
    for layers, loss, names in (
        ([dlfs.Dense(2)], None, ["output0", "output1"]),
        ([dlfs.Dense(2)], dlfs.SoftmaxCrossEntropy(), ["prediction"]),
    ):
        net = dlfs.NeuralNetwork(layers, loss)
        net.build((3,))
        dlfs.save(net, tmp_path / "net")
        assert run("predict", tmp_path / "net", tmp_path / "X.npy") == 0
        rows = table_of(capsys.readouterr().out)
        assert list(rows[0]) == names
        found = np.array([[float(row[name]) for name in names] for row in rows])
        expected = net.predict(X) if loss is None else net.predict_classes(X)[:, np.newaxis]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.save(tmp_path / "X.npy", np.array([{}]), allow_pickle=True)
    assert "objects" in failed(capsys, "predict", tmp_path / "net", tmp_path / "X.npy")


@pytest.mark.parametrize("model", ["mlp", "rnn"])
def test_the_log_has_a_row_for_each_epoch(model, tmp_path, capsys, monkeypatch):
    use_few_images(monkeypatch)
    use_short_text(monkeypatch)
    log = tmp_path / "new" / "run.csv"
    assert run("train", "--model", model, "--epochs", 3, "--quiet", "--log", log) == 0
    rows = table_of(log.read_text())
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert {"lr", "train_loss", "test_loss"} <= rows[0].keys()
    assert "folder" in failed(capsys, "train", "--model", model, "--log", tmp_path)
    assert train_text.LENGTH == 16
