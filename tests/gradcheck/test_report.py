"""What a report says, to the word, of results that are given to it."""

import dataclasses
import textwrap

import numpy as np
import pytest

from dlfs.gradcheck import Finding, GradientError, GradientReport, GradientResult, Hint

A = np.array([[1.0, -2.0, 3.0], [0.25, 5.0, 6.0]])
RIGHT = GradientResult("input_", "passed", A, A + 1e-12 * (A == 5), np.full((2, 3), 4e-12), 6, 0)
OFF = np.array([[0.0, 0.0, 0.5], [0.0, 0.0, 0.0]])
WRONG = dataclasses.replace(RIGHT, verdict="wrong", numeric=A + OFF)
TWO_WRONG = dataclasses.replace(WRONG, numeric=A + OFF - 2e-11 * (A == 5))
NOWHERE = np.full((2, 3), np.nan)


def report(**options: object) -> GradientReport:
    given = {"results": {}, "findings": [], "hints": [], "facts": [], **options}
    given = {"kind": "operation", "backend": "reference", "dtype": "float64", **given}
    return GradientReport("Thing", **given)


def text_of(**options: object) -> str:
    return str(report(**options))


def lines_of(**changes: object) -> list[str]:
    """Return the lines about one result, without its name."""
    result = dataclasses.replace(RIGHT, **changes)
    text = text_of(results={"input_": result})
    return textwrap.dedent(text.split("\n\n")[1].replace("input_", "      ")).splitlines()


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, ["passed  all 6 entries; worst error 1e-12, allowed 4e-12"]),
        (
            {"checked": 4, "skipped": 2, "places": (1, 5)},
            [
                "passed  4 entries; worst error 1e-12, allowed 4e-12",
                "2 skipped, too close to a kink: [0, 1], [1, 2]",
            ],
        ),
        (
            {"directions": 4, "checked": 3},
            [
                (
                    "passed  all 6 entries along 4 random directions, 3 of them singly; worst "
                    "error 1e-12, allowed 4e-12"
                )
            ],
        ),
        (
            {"directions": 4, "checked": 2, "skipped": 1, "places": (0,)},
            [
                (
                    "passed  5 entries along 4 random directions, 2 of them singly; worst error "
                    "1e-12, allowed 4e-12"
                ),
                "1 skipped, too close to a kink: [0, 0]",
            ],
        ),
        ({"numeric": NOWHERE}, ["passed  all 6 entries"]),
        (
            {"verdict": "empty"},
            ["UNDECIDED  there are no entries to compare: give at least one row"],
        ),
        (
            {"verdict": "skipped", "checked": 1, "skipped": 5, "places": (0, 1, 2, 3, 4)},
            [
                "UNDECIDED  5 of 6 are too close to a kink",
                "or to the end of forward's domain (at most 75% may be):",
                "[0, 0], [0, 1], [0, 2], [1, 0], ....",
                "Choose other values there, for example x + 0.1 * random numbers.",
            ],
        ),
        (
            {"verdict": "rough", "places": (0, 1, 2, 3)},
            [
                "UNDECIDED  differences are too imprecise at [0, 0], [0, 1], [0, 2], [1, 0].",
                (
                    "Choose values where forward is less steep (further from the end of its "
                    "domain), or in"
                ),
                "float64. Does forward compute in a lower precision, or with random numbers?",
            ],
        ),
        (
            {"verdict": "wrong", "shared": (4.0, 2.0, 2.0), "places": (0, 5)},
            [
                "FAILED  entries in a tie (such as equal numbers in a maximum): [0, 0], [1, 2]",
                "together get 4 from backward; by differences it is 2.",
                "Give the gradient to one of them, or share it.",
            ],
        ),
        (
            {"verdict": "wrong", "shared": (4.1234567, -2.0, 2.1234567), "places": (0,)},
            [
                "FAILED  entries in a tie (such as equal numbers in a maximum): [0, 0]",
                "together get 4.12346 from backward; by differences it is from -2 to 2.12346.",
                "Give the gradient to one of them, or share it.",
            ],
        ),
        (
            {"verdict": "wrong", "numeric": A + OFF},
            [
                "FAILED  1 of 6 entries is wrong",
                "worst at [0, 2]: backward says     +3",
                "                 differences say   +3.5",
                "                 off by            0.5, where rounding explains 4e-12",
            ],
        ),
        (
            {"verdict": "wrong", "numeric": -A, "on_kink": True},
            [
                "FAILED  6 of 6 entries are wrong",
                "worst at [1, 2]: backward says     +6",
                "                 differences say   -6",
                "                 off by            12, where rounding explains 4e-12",
                "the function has a kink there, and backward gives neither of its slopes",
            ],
        ),
        (
            {
                "verdict": "wrong",
                "numeric": A + OFF,
                "checked": 4,
                "skipped": 2,
                "places": (1, 5),
                "directions": 0,
            },
            [
                "FAILED  1 of 4 entries is wrong",
                "worst at [0, 2]: backward says     +3",
                "                 differences say   +3.5",
                "                 off by            0.5, where rounding explains 4e-12",
                "2 skipped, too close to a kink: [0, 1], [1, 2]",
            ],
        ),
        (
            {"verdict": "wrong", "numeric": A + OFF, "directions": 2, "checked": 5},
            [
                "FAILED  1 of the 5 compared singly is wrong (6 in all)",
                "worst at [0, 2]: backward says     +3",
                "                 differences say   +3.5",
                "                 off by            0.5, where rounding explains 4e-12",
            ],
        ),
        (
            {"verdict": "wrong", "numeric": -A, "directions": 2, "checked": 5},
            [
                "FAILED  6 of the 5 compared singly are wrong (6 in all)",
                "worst at [1, 2]: backward says     +6",
                "                 differences say   -6",
                "                 off by            12, where rounding explains 4e-12",
            ],
        ),
        ({"verdict": "wrong", "numeric": NOWHERE}, ["FAILED  0 of 6 entries are wrong"]),
    ],
)
def test_what_is_said_of_one_gradient(changes: dict[str, object], lines: list[str]) -> None:
    assert lines_of(**changes) == lines


def test_a_report_lines_up_its_results() -> None:
    assert text_of(results={"input_": RIGHT, "p": WRONG}, backend="fast", dtype="float32") == (
        "Gradient check of Thing (fast backend, float32): FAILED\n"
        "\n"
        "  input_  passed  all 6 entries; worst error 1e-12, allowed 4e-12\n"
        "  p       FAILED  1 of 6 entries is wrong\n"
        "          worst at [0, 2]: backward says     +3\n"
        "                           differences say   +3.5\n"
        "                           off by            0.5, where rounding explains 4e-12\n"
        "\n"
        "Next: correct backward where it is wrong, and check again."
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {},
            (
                "Gradient check of Thing (reference backend, float64): passed\n"
                "\n"
                "  nothing to check: no floating-point input and no parameters"
            ),
        ),
        (
            {"kind": "functions", "results": {"x": RIGHT}},
            (
                "Gradient check of Thing (float64): passed\n"
                "\n"
                "  x  passed  all 6 entries; worst error 1e-12, allowed 4e-12"
            ),
        ),
        (
            {"results": {"x": dataclasses.replace(RIGHT, verdict="empty")}},
            (
                "Gradient check of Thing (reference backend, float64): UNDECIDED\n"
                "\n"
                "  x  UNDECIDED  there are no entries to compare: give at least one row\n"
                "\n"
                "Next: check again with other values; nothing is known to be wrong."
            ),
        ),
        (
            {"findings": [Finding("finite", "it is NaN.")]},
            (
                "Gradient check of Thing (reference backend, float64): FAILED\n"
                "\n"
                "Found: it is NaN.\n"
                "\n"
                "Next: correct forward, or check with values for which it is finite."
            ),
        ),
        (
            {"findings": [Finding("finite", "it is NaN.")], "results": {"x": RIGHT}},
            (
                "Gradient check of Thing (reference backend, float64): FAILED\n"
                "\n"
                "  x  passed  all 6 entries; worst error 1e-12, allowed 4e-12\n"
                "\n"
                "Found: it is NaN.\n"
                "\n"
                "Next: correct backward where it is wrong, and check again."
            ),
        ),
        (
            {
                "findings": [Finding("writes", "it writes."), Finding("stale", "word " * 30)],
                "hints": [Hint("sign", "it has the wrong sign.", "x")],
                "facts": [Hint("factor", "a factor."), Hint("factor", "another " * 20)],
            },
            (
                "Gradient check of Thing (reference backend, float64): FAILED\n"
                "\n"
                "Found: it writes.\n"
                "\n"
                "Found: word word word word word word word word word word word word word word word "
                "word word\n"
                "  word word word word word word word word word word word word word\n"
                "\n"
                "Likely causes\n"
                "  1. x: it has the wrong sign.\n"
                "\n"
                "What is known\n"
                "  - a factor.\n"
                "  - another another another another another another another another another "
                "another another\n"
                "    another another another another another another another another another\n"
                "\n"
                "Next: correct backward where it is wrong, and check again."
            ),
        ),
        (
            {
                "findings": [Finding("writes", "it writes.")],
                "hints": [Hint("sign", "a sign."), Hint("zero", "nothing " * 20, "p")],
            },
            (
                "Gradient check of Thing (reference backend, float64): FAILED\n"
                "\n"
                "Found: it writes.\n"
                "\n"
                "Likely causes, the most likely first\n"
                "  1. a sign.\n"
                "  2. p: nothing nothing nothing nothing nothing nothing nothing nothing nothing "
                "nothing nothing\n"
                "     nothing nothing nothing nothing nothing nothing nothing nothing nothing\n"
                "\n"
                "Next: correct backward where it is wrong, and check again."
            ),
        ),
    ],
    ids=["nothing", "functions", "empty", "infinite", "finite and more", "facts", "two causes"],
)
def test_what_a_report_says(options: dict[str, object], text: str) -> None:
    assert text_of(**options) == text


def test_the_verdict_of_a_report_is_the_worst_of_its_results() -> None:
    empty = dataclasses.replace(RIGHT, verdict="empty")
    assert report(results={"a": RIGHT}).verdict == "right"
    assert report(results={"a": RIGHT, "b": empty}).verdict == "undecided"
    assert report(results={"a": RIGHT, "b": empty, "c": WRONG}).verdict == "wrong"
    assert report(results={"a": RIGHT}, findings=[Finding("dtype", "")]).verdict == "wrong"
    assert [bool(report(results={"a": result})) for result in (RIGHT, empty, WRONG)] == [
        *(True, False, False)
    ]


def test_the_worst_error_is_in_units_of_its_tolerance() -> None:
    assert report().worst_ratio == 0
    assert report(results={"a": RIGHT}).worst_ratio == pytest.approx(0.25, rel=1e-3)
    nowhere = dataclasses.replace(RIGHT, numeric=NOWHERE)
    both = report(results={"a": RIGHT, "b": WRONG, "c": nowhere})
    assert both.worst_ratio == pytest.approx(0.5 / 4e-12)


def test_an_error_is_raised_unless_the_check_passed() -> None:
    report(results={"a": RIGHT}).raise_if_failed()
    failed = report(results={"a": dataclasses.replace(RIGHT, verdict="empty")})
    with pytest.raises(GradientError) as caught:
        failed.raise_if_failed()
    assert str(caught.value) == f"\n{failed}"


def test_where_a_result_is_wrong_and_worst() -> None:
    np.testing.assert_array_equal(TWO_WRONG.wrong, OFF + (A == 5) > 0)
    assert TWO_WRONG.worst == (0, 2)
    assert dataclasses.replace(RIGHT, numeric=NOWHERE).worst is None
    assert not dataclasses.replace(RIGHT, numeric=NOWHERE).wrong.any()
    # The worst error is the one that is furthest from being explained.
    uneven = np.where(A == 5, 1e-13, 4e-12)
    assert dataclasses.replace(RIGHT, tolerance=uneven).worst == (1, 1)
    exact = dataclasses.replace(RIGHT, tolerance=np.zeros((2, 3)), numeric=A)
    assert exact.ratio.max() == 0
    assert not exact.wrong.any()
    assert np.all(dataclasses.replace(exact, numeric=A + 1).ratio > 1e300)
    assert WRONG.shape == (2, 3)
    assert not WRONG.passed


# --- in a notebook ---


def test_the_page_of_a_report() -> None:
    page = report(
        results={"input_": WRONG, "p<": RIGHT},
        findings=[Finding("writes", "a < b.")],
        hints=[Hint("sign", "x > y.", "input_")],
        facts=[Hint("factor", "twice.")],
    )._repr_html_()
    assert page.startswith(
        "<div style='font-family:sans-serif'>"
        "<b style='color:#b3261e'>Thing: gradient check failed</b> (reference backend, float64)"
        "<p>a &lt; b.</p>"
        "<p>Likely causes:</p><ol><li>input_: x &gt; y.</li><li>twice.</li></ol>"
        "<p><b style='color:#b3261e'>input_</b> FAILED 1 of 6 entries is wrong<br>"
        "worst at [0, 2]: backward says +3<br>differences say +3.5<br>"
        "off by 0.5, where rounding explains 4e-12</p>"
        "<table><tr>"
        "<td style='vertical-align:top;padding-right:1em'><small>analytic (backward)</small>"
        "<table style='border-collapse:collapse;border:1px solid #ddd'><tr><td title='1' "
        "style='width:10px;height:10px;padding:0;background:rgb(212,212,255)'></td>"
        "<td title='-2' style='width:10px;height:10px;padding:0;background:rgb(255,170,170)'>"
    )
    assert "<p><b style='color:#1a7f37'>input_</b> passed all 6 entries; worst error" in page
    assert page.endswith("</table></td></tr></table></div>")
    good = report(results={"input_": RIGHT})._repr_html_()
    assert good.startswith(
        "<div style='font-family:sans-serif'>"
        "<b style='color:#1a7f37'>Thing: gradient check passed</b> (reference backend, float64)<p>"
    )
    assert "Likely causes" not in good


def pictures(result: GradientResult) -> dict[str, list[list[tuple[str, str]]]]:
    """Return title and colour of each entry of each picture."""
    page = report(results={"p": result})._repr_html_()
    found = {}
    for part in page.split("<small>")[1:]:
        title, _, table = part.partition("</small>")
        rows = table.split("</table>")[0].split("<tr>")[1:]
        cells = [[cell.split("'") for cell in row.split("<td title=")[1:]] for row in rows]
        found[title] = [
            [(cell[1], cell[3].partition("background:")[2]) for cell in row] for row in cells
        ]
    return found


def test_the_pictures_have_the_numbers_and_one_scale() -> None:
    found = pictures(dataclasses.replace(WRONG, numeric=np.where(A == 5, np.nan, A + 2 * OFF)))
    assert [*found] == [
        "analytic (backward)",
        "numeric (differences)",
        "difference",
        "red where rounding does not explain it",
    ]
    assert found["analytic (backward)"][1] == [
        ("0.25", "rgb(244,244,255)"),
        ("5", "rgb(42,42,255)"),
        ("6", "rgb(0,0,255)"),
    ]
    assert found["numeric (differences)"] == [
        [("1", "rgb(212,212,255)"), ("-2", "rgb(255,170,170)"), ("4", "rgb(85,85,255)")],
        [("0.25", "rgb(244,244,255)"), ("nan", "#ddd"), ("6", "rgb(0,0,255)")],
    ]
    assert found["difference"] == [
        [("0", "rgb(255,255,255)"), ("0", "rgb(255,255,255)"), ("-1", "rgb(255,212,212)")],
        [("0", "rgb(255,255,255)"), ("nan", "#ddd"), ("0", "rgb(255,255,255)")],
    ]
    assert found["red where rounding does not explain it"] == [
        [("0", "#d7f0dc"), ("0", "#d7f0dc"), ("2.5e+11", "#b3261e")],
        [("0", "#d7f0dc"), ("nan", "#ddd"), ("0", "#d7f0dc")],
    ]


def test_the_scale_is_that_of_the_larger_of_both() -> None:
    found = pictures(dataclasses.replace(RIGHT, analytic=A / 100, numeric=-A))
    assert found["analytic (backward)"][1][2] == ("0.06", "rgb(252,252,255)")
    assert found["numeric (differences)"][1][2] == ("-6", "rgb(255,0,0)")
    assert found["difference"][1][2] == ("6.06", "rgb(0,0,255)")
    zero = dataclasses.replace(RIGHT, analytic=0 * A, numeric=0 * A)
    assert pictures(zero)["numeric (differences)"][0][0] == ("0", "rgb(255,255,255)")
    at_the_limit = dataclasses.replace(RIGHT, numeric=A - 4.0, tolerance=np.full((2, 3), 4.0))
    assert pictures(at_the_limit)["red where rounding does not explain it"][0][0] == (
        "1",
        "#d7f0dc",
    )


@pytest.mark.parametrize(
    ("shape", "rows", "columns", "second"),
    [((), 1, 1, None), ((4,), 1, 4, 1), ((2, 3), 2, 3, 1), ((2, 3, 4), 6, 4, 1)],
)
def test_how_an_array_is_laid_out(shape, rows, columns, second) -> None:
    numbers = np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape)
    table = pictures(
        dataclasses.replace(RIGHT, analytic=numbers, numeric=numbers, tolerance=numbers + 1)
    )["analytic (backward)"]
    assert (len(table), {len(row) for row in table}) == (rows, {columns})
    if second is not None:
        assert table[0][1][0] == str(second)


def test_images_lie_beside_each_other_and_below() -> None:
    numbers = np.arange(24.0).reshape(2, 3, 2, 2)
    table = pictures(
        dataclasses.replace(RIGHT, analytic=numbers, numeric=numbers, tolerance=numbers + 1)
    )["analytic (backward)"]
    assert [[int(cell[0]) for cell in row] for row in table] == [
        [0, 1, 4, 5, 8, 9],
        [2, 3, 6, 7, 10, 11],
        [12, 13, 16, 17, 20, 21],
        [14, 15, 18, 19, 22, 23],
    ]


@pytest.mark.parametrize(("size", "shown"), [(0, False), (400, True), (401, False)])
def test_only_arrays_of_some_size_are_shown(size: int, shown: bool) -> None:
    numbers = np.zeros(size)
    result = dataclasses.replace(
        RIGHT, analytic=numbers, numeric=numbers, tolerance=numbers, verdict="passed"
    )
    page = report(results={"p": result})._repr_html_()
    assert ("<table" in page) == shown
    assert ("<p><small>Too large to show here; report.plot() draws it.</small></p>" in page) == (
        size > 400
    )


def test_a_figure_has_a_row_of_four_pictures_for_each_variable() -> None:
    nothing = np.zeros((0, 3))
    empty = dataclasses.replace(RIGHT, analytic=nothing, numeric=nothing, tolerance=nothing)
    other = dataclasses.replace(WRONG, name="p_$")
    figure = report(results={"input_": RIGHT, "p": other, "empty": empty}).plot()
    assert figure.get_suptitle() == "Thing (reference, float64): FAILED"
    assert tuple(figure.get_size_inches()) == (12, 5.2)
    axes = [each for each in figure.axes if each.images]
    assert [each.get_title() for each in axes] == [
        *("input_: analytic", "input_: numeric", "input_: difference", "log10(error / tolerance)"),
        *(r"p_\$: analytic", r"p_\$: numeric", r"p_\$: difference", "log10(error / tolerance)"),
    ]
    assert len(figure.axes) == 16
    for each in axes:
        assert each.get_title() == "" or each.title.get_fontsize() == 9
        assert not each.get_xticks().size
        assert not each.get_yticks().size
        assert each.images[0].get_cmap().name == (
            "RdYlGn_r" if "log10" in each.get_title() else "RdBu"
        )
        assert each.get_aspect() == "auto"
        limits = (-3, 3) if "log10" in each.get_title() else (-6, 6)
        assert each.images[0].get_clim() == limits
    np.testing.assert_array_equal(axes[4].images[0].get_array(), A)
    np.testing.assert_array_equal(axes[5].images[0].get_array(), A + OFF)
    np.testing.assert_array_equal(axes[6].images[0].get_array(), -OFF)
    np.testing.assert_allclose(
        axes[7].images[0].get_array(), np.where(OFF, np.log10(0.5 / 4e-12), -6)
    )


def test_a_figure_of_nothing_has_its_title_alone() -> None:
    figure = report().plot()
    assert figure.get_suptitle() == "Thing (reference, float64): passed"
    assert not figure.axes
    assert tuple(figure.get_size_inches()) == (12, 2.6)
