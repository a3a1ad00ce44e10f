"""Names and numbers that come from a file or a user never become markup, and are always shown."""

import math
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import dlfs
from dlfs import plots
from dlfs.autograd import NumberWithGrad
from dlfs.base import Operation
from dlfs.gradcheck import check_gradients
from dlfs.gradcheck.suite import Row
from dlfs.gradcheck.tables import as_html
from dlfs.layers import Dense, OperationLayer
from dlfs.train.history import History
from tests.test_saving_classes import Smooth

HOSTILE = [
    "<script>alert(1)</script>",
    "</td></table><img src=x onerror=alert(1)>",
    "'\" onmouseover='alert(1)",
    "&lt;b&gt; &amp;",
    "<!-- ",
    "]]>",
    "\x1b[2J\x1b[31m",
    "\x00",
    "\ud800",
    "a\nb",
    "\u202e",
    "",
    "x" * 900,
]
names = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=20))
ODD = [10**400, -(10**400), math.nan, math.inf, "<b>", None, True, [1], {"a": "<b>"}, 1j, b"x"]


class Tags(HTMLParser):
    """Collects what a page is made of, and what it says."""

    def __init__(self, page):
        super().__init__()
        self.found, self.attributes, self.text = set(), set(), []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.add(tag)
        self.attributes.update(name for name, _ in attributes)

    def handle_comment(self, data):
        self.found.add("comment")

    handle_decl = handle_pi = unknown_decl = handle_comment

    def handle_data(self, data):
        self.text.append(data)


def harmless(page, like):
    """Say whether a page has no tags and attributes but those of another."""
    page.encode("utf-8")
    found, allowed = Tags(page), Tags(like)
    return found.found <= allowed.found and found.attributes <= allowed.attributes


def printable(text):
    return all(c.isprintable() for line in text.split("\n") for c in line)


def history(name, text="said"):
    made = History()
    for epoch in (1, 2):
        row = {"epoch": epoch, "lr": 0.1, "train_loss": 2.0, "seconds": 0.1}
        made.append({name: text, **row})
    return made


@given(names, names)
@example("<script>", "<script>")
def test_a_history_shows_any_name_and_text(name, text):
    made = history(name, text)
    assert harmless(made._repr_html_(), history("note")._repr_html_())
    assert printable(repr(made))
    assert len(repr(made)) < 2000


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize(
    "column", ["epoch", "lr", "train_loss", "test_loss", "accuracy", "seconds"]
)
def test_a_history_shows_any_value_that_was_put_in_unchecked(value, column):
    made = History()
    made.rows = [{"epoch": 1, column: value}, {"epoch": 2, "test_loss": 2.0}]
    made.stopped = "early"
    assert len(repr(made)) < 1000
    assert harmless(made._repr_html_(), history("note")._repr_html_())
    assert made.best_epoch in (1, 2)


def operation(name):
    return type(name.replace("\x00", "").replace("\ud800", "") or "_", (Smooth,), {})


@given(names)
def test_a_network_shows_any_name(name):
    new = dlfs.NeuralNetwork([Dense(2), operation(name)(name)])
    built, plain = (dlfs.NeuralNetwork([Dense(2), kind()]) for kind in (operation(name), Smooth))
    for each in (built, plain):
        each.build((3,))
    for net in (new, built):
        assert harmless(net._repr_html_(), plain._repr_html_())
        assert printable(repr(net))


@given(names)
def test_a_gradient_report_shows_any_name(name):
    # its gradient is wrong, so the report has all parts
    report = check_gradients(operation(name)(), np.ones((1, 2)), backend="reference")
    plain = check_gradients(Smooth(), np.ones((1, 2)), backend="reference")
    assert harmless(report._repr_html_(), plain._repr_html_())
    pages = [
        as_html([Row(title, title, {title: title}, 1, 2.0, 0.1, [title])], {title: found})
        for title, found in ((name, report), ("name", plain))
    ]
    without_surrogates = pages[0].encode("utf-8", "replace").decode()
    assert harmless(without_surrogates, pages[1])


@given(names)
def test_a_drawing_shows_any_name(name):
    a = NumberWithGrad(2.0)
    svg = (a * 3).draw(names={name: a})
    root = ET.fromstring(svg)
    plain = ET.fromstring((a * 3).draw(names={"a": a}))
    assert [each.tag for each in root.iter()] == [each.tag for each in plain.iter()]


@pytest.mark.parametrize("name", ["$", "$\\frac{$", "$x$ and $y$", "\\n", "<b>", "\x07 bell"])
def test_pictures_take_names_for_text(name, tmp_path):
    made = History()
    for epoch in (1, 2):
        made.append({"epoch": epoch, "lr": 0.1, "train_loss": 2.0, "seconds": 0.1, name: 1.0})
    made.plot(tmp_path / "history.svg")
    plots.plot_confusion(np.eye(2, dtype=int), [name, "b"], tmp_path / "confusion.svg")
    step = operation(name)()
    step.forward(np.ones((1, 2)))
    plots.plot_chain([step], tmp_path / "chain.svg")
    report = check_gradients(operation(name)(), np.ones((1, 2)), backend="reference")
    report.plot().savefig(tmp_path / "report.svg")
    assert len(list(tmp_path.iterdir())) == 4


def test_a_layer_is_shown_on_one_line_whatever_its_arguments_hold():
    net = dlfs.NeuralNetwork([OperationLayer(Smooth("\x1b[2J\n<b>"))])
    assert printable(repr(net))
    assert "<b>" not in net._repr_html_()


def test_the_names_are_really_dangerous():
    """The test above can fail."""
    assert not harmless("<table><script></script></table>", "<table></table>")
    assert not harmless("<td onerror='x'></td>", "<td></td>")
    assert not printable("\x1b[2J")
    assert issubclass(operation("<b>"), Operation)
