"""History: the record of a training, as columns, a table and a picture."""

import numpy as np
import pytest

from dlfs.optimizers import SGD
from dlfs.train import Trainer
from dlfs.train.history import History
from tests.support.training import classification, classifier, regression, regressor


@pytest.fixture(scope="module")
def history():
    return Trainer(classifier(), SGD(0.05, final_lr=0.01, decay_type="linear")).fit(
        *classification(), epochs=5, eval_every=2, early_stopping=False, verbose=0
    )


def test_a_row_for_each_epoch_and_entries_where_there_was_an_evaluation(history):
    assert history.columns == ["epoch", "lr", "train_loss", "test_loss", "accuracy", "seconds"]
    assert len(history) == len(list(history)) == 5
    assert history["epoch"] == [1, 2, 3, 4, 5]
    assert history["lr"] == pytest.approx([0.05, 0.04, 0.03, 0.02, 0.01])
    assert len(history["test_loss"]) == len(history["accuracy"]) == 3
    assert all(seconds > 0 for seconds in history["seconds"])
    assert history.stopped is None


def test_everything_in_it_is_a_plain_number(history):
    for row in history:
        assert type(row["epoch"]) is int
        assert all(type(value) in (int, float) for value in row.values())


def test_a_column_that_is_not_there_is_named_with_those_that_are(history):
    with pytest.raises(KeyError, match=r"'acuracy'.*accuracy"):
        history["acuracy"]
    with pytest.raises(KeyError, match="none"):
        History()["epoch"]


def test_the_table_shows_each_number_in_its_column(history):
    header, *lines = repr(history).splitlines()
    assert header.split() == history.columns
    assert len(lines) == 5
    assert len({len(line) for line in (header, *lines)}) == 1
    first, second = lines[0].split(), lines[1].split()
    assert first[:3] == ["1", "0.05", f"{history['train_loss'][0]:.4f}"]
    assert len(first) == 4
    assert second[3:5] == [f"{history[c][0]:.4f}" for c in ("test_loss", "accuracy")]


def test_a_long_table_is_cut_in_the_middle():
    history = History()
    for epoch in range(1, 101):
        history.append({"epoch": epoch, "lr": 0.1, "train_loss": 1 / epoch, "seconds": 0.1})
    lines = repr(history).splitlines()
    assert len(lines) == 26
    assert lines[13].split() == ["..."] * 4
    assert [int(line.split()[0]) for line in lines[1:13] + lines[14:]] == [
        *range(1, 13),
        *range(89, 101),
    ]


def test_an_empty_history_says_so():
    assert "no epochs" in repr(History())
    assert History().best_epoch is None
    assert History()._repr_html_()


def test_small_rates_and_seconds_in_a_table_and_a_file(tmp_path):
    history = History()
    history.append({"epoch": 1, "train_loss": 0.5, "lr": 1e-5, "seconds": 2.345})
    assert repr(history).split("\n")[1].split() == ["1", "1e-05", "0.5000", "2.35"]
    history.to_csv(tmp_path / "run.csv")
    assert (tmp_path / "run.csv").read_bytes().endswith(b"\n1,1e-05,0.5,2.345\n")


def test_the_notebooks_table_has_all_cells(history):
    html = history._repr_html_()
    assert html.count("<tr>") == 6
    assert html.count("<td>") == 5 * 6
    assert f"<td>{history['accuracy'][-1]:.4f}</td>" in html


def test_the_best_epoch_is_the_first_smallest_of_those_evaluated():
    history = History()
    assert history.best_epoch is None
    for epoch, loss in enumerate([3.0, None, 1.0, np.nan, 1.0, 2.0], start=1):
        history.append({"epoch": epoch} | ({} if loss is None else {"test_loss": loss}))
    assert history.best_epoch == 3


def test_a_picture_of_losses_and_metrics(history, tmp_path):
    path = tmp_path / "curve.png"
    figure = history.plot(str(path))
    assert path.read_bytes().startswith(b"\x89PNG")
    losses, metrics = figure.axes
    training, test = losses.lines
    np.testing.assert_array_equal(training.get_xdata(), history["epoch"])
    np.testing.assert_array_equal(training.get_ydata(), history["train_loss"])
    np.testing.assert_array_equal(test.get_xdata(), [2, 4, 5])
    np.testing.assert_array_equal(test.get_ydata(), history["test_loss"])
    np.testing.assert_array_equal(metrics.lines[0].get_ydata(), history["accuracy"])


def test_a_picture_without_evaluations():
    X, y, _, _ = regression()
    history = Trainer(regressor(), SGD(0.05)).fit(X, y, epochs=3, verbose=0)
    (axes,) = history.plot().axes
    assert len(axes.lines) == 1
    with pytest.raises(ValueError, match="at least one epoch"):
        History().plot()
