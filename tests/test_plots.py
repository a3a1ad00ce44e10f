"""What the plots show, read back from matplotlib's objects: places, order, labels, colours."""

import base64
import re
import sys

import numpy as np
import pytest

from dlfs import plots
from dlfs.activations import Sigmoid
from dlfs.layers import Dense
from dlfs.losses import MeanSquaredError

pytest.importorskip("matplotlib")

from matplotlib.colors import same_color, to_rgba

ROWS = [
    {"epoch": 1, "lr": 0.3, "train_loss": 4.0, "seconds": 9.0},
    {"epoch": 2, "lr": 0.2, "train_loss": 3.0, "seconds": 8.0, "test_loss": 5.0, "accuracy": 0.25},
    {"epoch": 3, "lr": 0.1, "train_loss": 2.0, "seconds": 7.0, "test_loss": 2.5, "accuracy": 0.75},
]


def curves(ax):
    """Return the lines of a plot by their labels: x, y and colour."""
    return {
        line.get_label(): (list(line.get_xdata()), list(line.get_ydata()), line.get_color())
        for line in ax.get_lines()
        if not line.get_label().startswith("_")
    }


def legend(ax):
    """Return the colour that the legend shows for each label."""
    handles, texts = ax.get_legend().legend_handles, ax.get_legend().get_texts()
    return {
        text.get_text(): handle.get_color() for text, handle in zip(texts, handles, strict=True)
    }


def texts(ax):
    """Return the texts of a plot, with their places."""
    return {
        (*map(float, text.get_position()), text.get_text()) for text in ax.texts if text.get_text()
    }


# --- the history ---


def test_the_losses_are_over_the_epochs_and_the_metrics_beside_them():
    losses, metrics = plots.plot_history(ROWS).axes
    assert curves(losses) == {
        "training": ([1, 2, 3], [4.0, 3.0, 2.0], plots.BLUE),
        "test": ([2, 3], [5.0, 2.5], plots.ORANGE),
    }
    assert legend(losses) == {"training": plots.BLUE, "test": plots.ORANGE}
    assert (losses.get_xlabel(), losses.get_ylabel()) == ("epoch", "loss")
    ((label, (x, y, colour)),) = curves(metrics).items()
    assert (x, y) == ([2, 3], [0.25, 0.75])
    assert label == "accuracy, at last 75.00%"
    assert legend(metrics) == {label: colour}
    assert (metrics.get_xlabel(), metrics.get_ylabel()) == ("epoch", "accuracy")
    assert losses.get_position().x0 < metrics.get_position().x0
    assert losses.get_title() == metrics.get_title() == ""
    assert losses.get_yscale() == "linear"


def test_two_metrics_share_a_plot_and_are_told_apart():
    rows = [{**row, "mae": 10.0 * row["epoch"]} for row in ROWS]
    _, metrics = plots.plot_history(rows).axes
    assert metrics.get_ylabel() == "mae, accuracy"
    shown = curves(metrics)
    assert list(shown) == ["mae, at last 30", "accuracy, at last 75.00%"]
    assert shown["mae, at last 30"][:2] == ([1, 2, 3], [10.0, 20.0, 30.0])
    assert len({colour for *_, colour in shown.values()}) == 2
    assert legend(metrics) == {label: colour for label, (*_, colour) in shown.items()}


def test_a_single_evaluation_is_a_title():
    (losses,) = plots.plot_history(ROWS[:2]).axes
    assert losses.get_title() == "test accuracy 25.00%"
    assert curves(losses)["test"] == ([2], [5.0], plots.ORANGE)


def test_without_evaluations_there_is_only_the_training():
    (losses,) = plots.plot_history(ROWS[:1]).axes
    assert curves(losses) == {"training": ([1], [4.0], plots.BLUE)}
    assert losses.get_title() == ""


def test_the_losses_of_batches_end_where_their_epochs_end():
    batch_losses = np.geomspace(8.0, 1.0, 150)
    axes = plots.plot_history(ROWS, batch_losses=batch_losses).axes
    faint = axes[0].get_lines()[0]
    # 50 batches an epoch; the first ends at 1/50.
    np.testing.assert_allclose(faint.get_xdata(), np.arange(1, 151) / 50, rtol=1e-15)
    np.testing.assert_array_equal(faint.get_ydata(), batch_losses)
    assert faint.get_alpha() < 0.5
    x, mean, colour = curves(axes[0])["training"]
    assert colour == faint.get_color() == plots.BLUE
    # A mean of the last 3 batches.
    np.testing.assert_allclose(x, np.arange(3, 151) / 50, rtol=1e-15)
    expected = [batch_losses[i - 3 : i].mean() for i in range(3, 151)]
    np.testing.assert_allclose(mean, expected, rtol=1e-14)
    assert curves(axes[0])["test"][:2] == ([2, 3], [5.0, 2.5])
    assert axes[0].get_yscale() == "log"
    low, high = axes[0].get_ylim()
    assert high == pytest.approx(max(expected) * 1.5)
    assert low == pytest.approx(np.quantile(batch_losses, 0.01) / 2)


# --- filters ---


def test_filters_are_in_rows_in_their_order_with_one_scale():
    W = np.random.default_rng(1).standard_normal((2, 5, 3, 4))
    W[1] *= 100  # the second input channel is not shown
    figure = plots.plot_filters(W, columns=3)
    figure.draw_without_rendering()
    shown = [ax for ax in figure.axes if ax.images]
    limit = np.abs(W[0]).max()
    for number, ax in enumerate(shown):
        (image,) = ax.images
        np.testing.assert_array_equal(image.get_array(), W[0, number])
        assert ax.get_title() == str(number)
        assert image.get_clim() == (-limit, limit)
        assert image.origin == "upper"
    assert len(shown) == 5
    places = [(-round(ax.get_position().y0, 3), ax.get_position().x0) for ax in shown]
    assert places == sorted(places)
    assert [len({place[0] for place in places[:3]}), len({place[0] for place in places})] == [1, 2]
    red, white, blue = (image.cmap(image.norm(value)) for value in (limit, 0.0, -limit))
    assert red[0] > 2 * red[2]
    assert blue[2] > 2 * blue[0]
    assert min(white) > 0.9
    # The sixth place is empty; the scale is beside all.
    (bar,) = (ax for ax in figure.axes if ax.get_ylabel())
    assert bar.get_ylabel() == "weight"
    assert bar.get_ylim() == (-limit, limit)


# --- confusion ---


def test_rows_of_a_confusion_matrix_are_true_and_columns_predicted_classes():
    matrix = np.array([[7, 2, 0], [1, 9, 5], [0, 0, 4]])
    (ax,) = plots.plot_confusion(matrix, ["ape", "bee", "cat"]).axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    for ticks, labels in (
        (ax.get_xticks(), ax.get_xticklabels()),
        (ax.get_yticks(), ax.get_yticklabels()),
    ):
        assert list(ticks) == [0, 1, 2]
        assert [label.get_text() for label in labels] == ["ape", "bee", "cat"]
    # x is the column, y the row, and row 0 is on top.
    assert texts(ax) == {
        (column, row, str(matrix[row, column]))
        for row, column in np.ndindex(3, 3)
        if matrix[row, column]
    }
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array(), [[0, 2, 0], [1, 0, 5], [0, 0, 0]])
    assert image.get_clim() == (0, 5)
    assert image.origin == "upper"
    assert ax.get_ylim() == (2.5, -0.5)
    # Only mistakes are coloured; numbers on dark cells are white.
    colours = {text.get_text(): text.get_color() for text in ax.texts}
    assert colours == {
        "7": plots.GREY, "9": plots.GREY, "4": plots.GREY, "2": "black", "1": "black", "5": "white",
    }  # fmt: skip


def test_classes_without_names_are_numbers():
    (ax,) = plots.plot_confusion(np.diag([3, 4])).axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "1"]
    assert ax.images[0].get_clim() == (0, 1)


# --- a chain ---


def arrows(ax):
    """Return where each arrow starts and ends, and its colour."""
    return [
        (*map(float, arrow.xyann), *map(float, arrow.xy), arrow.arrowprops["color"])
        for arrow in ax.texts
        if getattr(arrow, "arrowprops", None)
    ]


@pytest.mark.parametrize("backward", [True, False])
def test_a_chain_goes_from_left_to_right_and_its_gradients_back(backward):
    x = np.ones((2, 3))
    dense, sigmoid, loss = Dense(4), Sigmoid(), MeanSquaredError()
    loss.forward(sigmoid.forward(dense.forward(x)), np.zeros((2, 4)))
    (ax,) = plots.plot_chain([dense, sigmoid, loss], backward=backward).axes
    at = {text: (x, y) for x, y, text in texts(ax) if text != "gradient"}
    # Each part is in its box, in order.
    boxes = [box.get_path().vertices for box in ax.patches]
    centres = [(box[:, 0].min() + box[:, 0].max()) / 2 for box in boxes]
    assert centres == pytest.approx([0, 2, 4])
    assert [at[name][0] for name in ("Dense", "Sigmoid", "MeanSquaredError")] == [0, 2, 4]
    # What flows between: the input, two outputs of one shape, the loss.
    flowing = sorted((x, y, text) for x, y, text in texts(ax) if 0 < y < 1 and x not in (0, 2, 4))
    assert [text for *_, text in flowing] == ["2 x 3", "2 x 4", "2 x 4", f"{loss.output:.4g}"]
    for i, (x, *_) in enumerate(flowing):
        assert i == 0 or x > centres[i - 1] + 0.5
        assert i == 3 or x < centres[i] - 0.5
    # The parameters are above their layer.
    assert at["3 x 4\n1 x 4"] == (0, pytest.approx(1.2))
    forward = [arrow for arrow in arrows(ax) if arrow[4] == plots.BLUE]
    back = [arrow for arrow in arrows(ax) if arrow[4] == plots.ORANGE]
    across, down = forward[:4], forward[4:]
    assert all(start < end and y0 == y1 for start, y0, end, y1, _ in across)
    assert [start for start, *_ in across] == sorted(start for start, *_ in across)
    assert len(down) == 1
    assert down[0][1] > down[0][3]
    labels = [text for text in ax.texts if text.get_text() == "gradient"]
    assert len(labels) == (4 if backward else 0)
    # The way back: each arrow the other way round, below; and up to the parameters.
    pairs = zip(across, back[:4], strict=True) if backward else []
    for (start, above, end, _, _), (from_, below, to, _, _) in pairs:
        assert (from_, to) == (end, start)
        assert below < 0 < above
    assert [arrow[1] < arrow[3] for arrow in back[4:]] == ([True] if backward else [])
    left, right = ax.get_xlim()
    assert left < min(start for start, *_ in across)
    assert right > max(end for _, _, end, *_ in across)


def test_colours_are_what_they_are_called():
    blue, orange, grey = (
        np.array(to_rgba(colour)[:3]) for colour in (plots.BLUE, plots.ORANGE, plots.GREY)
    )
    assert blue.argmax() == 2
    assert orange.argmax() == 0
    assert np.ptp(grey) < 0.1
    assert not same_color(plots.BLUE, plots.ORANGE)
    assert all(re.fullmatch("#[0-9a-f]{6}", c) for c in (plots.BLUE, plots.ORANGE, plots.GREY))


# --- handles ---


def power(exponent=2, sign="+"):
    W = np.arange(1.0, 5.0).reshape(1, 1, 2, 2) ** exponent
    return plots.plot_filters(W if sign == "+" else -W)


def test_without_widgets_there_is_the_figure_of_the_defaults():
    figure = plots.with_handles(power, exponent=[1, 2, 3], sign="+-")
    assert figure.axes[0].images[0].get_array()[1, 1] == 16


def test_a_handle_changes_the_picture(monkeypatch):
    monkeypatch.setattr(plots, "in_notebook", lambda: True)
    drawn = []
    monkeypatch.setattr(plots, "_png", lambda figure: drawn.append(figure) or bytes([len(drawn)]))
    shown = plots.with_handles(power, exponent=[1, 2, 3], sign="+-")
    exponent, sign, picture = shown.box.children
    assert (exponent.description, exponent.value, sign.value) == ("exponent", 2, "+")
    exponent.value = 3
    sign.value = "-"
    assert picture.value == bytes([3])
    corners = [figure.axes[0].images[0].get_array()[1, 1] for figure in drawn]
    assert corners == [16, 64, -64]


def test_handles_are_a_picture_where_there_are_no_widgets(monkeypatch):
    monkeypatch.setattr(plots, "in_notebook", lambda: True)
    shown = plots.with_handles(power, exponent=[1, 2, 3])._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert base64.b64decode(shown["image/png"]).startswith(b"\x89PNG")
    assert "0x" not in shown["text/plain"]


def test_a_figure_of_pyplot_is_not_shown_a_second_time():
    import matplotlib.pyplot as plt

    plots.with_handles(lambda size=1: plt.figure(figsize=(size, size)), size=[1, 2])
    assert plt.get_fignums() == []


def test_without_matplotlib_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"plots need matplotlib: pip install 'dlfs\[plots\]'"):
        plots.plot_filters(np.ones((1, 2, 3, 3)))
