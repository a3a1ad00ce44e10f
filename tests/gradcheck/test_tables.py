"""The suite's results as a table: every cell, and what the last line sums up."""

import dataclasses

import numpy as np
import pytest

from dlfs.activations import Tanh
from dlfs.gradcheck import check_gradients
from dlfs.gradcheck.suite import Row
from dlfs.gradcheck.tables import as_html, as_text, summary

GOOD = Row("Tanh", "Operation", {"fast": "passed", "parity": "passed"}, 40, 0.123, 1.4, [])
FAILED = Row("Dense<3>", "Layer", {"fast": "FAILED", "parity": "passed"}, 2, 1e9, 2.2, ["a < b"])
OPEN = Row("ReLU", "Operation", {"fast": "UNDECIDED", "parity": "passed"}, 4, 0.0, 0.1, ["odd"])


def test_the_table_of_a_terminal() -> None:
    assert as_text([GOOD, FAILED, OPEN]).splitlines() == [
        "            cases  worst error       fast     parity",
        "                 (1 = allowed)",
        "Tanh           40         0.12     passed     passed",
        "Dense<3>        2        1e+09     FAILED     passed",
        "ReLU            4            0  UNDECIDED     passed",
        "",
        "3 classes, 46 cases, 4 s: 1 FAILED (Dense<3>)",
    ]


def test_a_table_of_nothing() -> None:
    assert as_text([]).splitlines() == [
        "        cases  worst error",
        "             (1 = allowed)",
        "",
        "0 classes, 0 cases, 0 s: every gradient is correct",
    ]
    assert "<th></th><th>cases</th><th>worst error</th></tr></table></html>" in as_html([], {})


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([GOOD], "1 class, 40 cases, 1 s: every gradient is correct"),
        ([GOOD, GOOD], "2 classes, 80 cases, 3 s: every gradient is correct"),
        (
            [GOOD, OPEN, OPEN],
            "3 classes, 48 cases, 2 s: 2 UNDECIDED (ReLU, ReLU), the others are correct",
        ),
        (
            [FAILED, OPEN, FAILED],
            "3 classes, 8 cases, 4 s: 2 FAILED (Dense<3>, Dense<3>)",
        ),
    ],
)
def test_the_last_line(rows: list[Row], text: str) -> None:
    assert summary(rows) == text


def test_the_page() -> None:
    report = check_gradients(Tanh(), np.ones((1, 2)), backend="reference")
    failing = dataclasses.replace(FAILED, failures=["a < b", "2", "3", "4"])
    page = as_html([GOOD, failing], {"Tanh": report})
    start, rest = page.split("<style>")
    assert start == (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Gradient check</title>"
    )
    style, rest = rest.split("</style>")
    assert [rule for rule in style.split("}") if rule] == [
        "body{font-family:sans-serif;margin:2em auto;max-width:60em",
        "td,th{padding:0 .8em;text-align:right",
        "td:first-child{text-align:left",
        ".good{color:#1a7f37",
        ".bad{color:#b3261e;font-weight:bold",
        "pre{background:#f4f4f4;padding:1em;overflow:auto",
    ]
    assert rest == (
        "<h1>Gradient check</h1><p>2 classes, 42 cases, 4 s: 1 FAILED (Dense&lt;3&gt;)</p>"
        "<p>The worst error is given in units of its tolerance: above 1 is wrong.</p>"
        "<table><tr><th></th><th>cases</th><th>worst error</th><th>fast</th><th>parity</th></tr>"
        "<tr><td><a href='#Tanh'>Tanh</a></td><td>40</td><td>0.12</td>"
        "<td class='good'>passed</td><td class='good'>passed</td></tr>"
        "<tr><td><a href='#Dense&lt;3&gt;'>Dense&lt;3&gt;</a></td><td>2</td><td>1e+09</td>"
        "<td class='bad'>FAILED</td><td class='good'>passed</td></tr></table>"
        f"<h2 id='Tanh'>Tanh</h2>{report._repr_html_()}"
        "<h2 id='Dense&lt;3&gt;'>Dense&lt;3&gt;</h2>"
        "<pre>a &lt; b</pre><pre>2</pre><pre>3</pre></html>\n"
    )
