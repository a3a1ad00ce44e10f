"""The suite that users run: choosing, verdicts, exit status, files."""

import argparse
import dataclasses
import json
import re
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dlfs import backend, reference
from dlfs.activations import ReLU, Tanh
from dlfs.base import Operation
from dlfs.dropout import Dropout
from dlfs.gradcheck.cases import RECIPES, Case, RandomChooser, Recipe, Sketch
from dlfs.gradcheck.parity import disagreement
from dlfs.gradcheck.suite import DESCRIPTION, add_arguments, check_all, choose, main
from dlfs.gradcheck.tables import as_html
from dlfs.losses import MeanSquaredError


@pytest.fixture
def second_backend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that puts a copy of the reference kernels, with changes, in as "fast"."""

    def put(**changes: Callable[..., object]) -> None:
        module = types.ModuleType("other_kernels")
        vars(module).update({name: getattr(reference, name) for name in reference.KERNELS})
        vars(module).update(changes)
        monkeypatch.setitem(backend._loaded, "fast", module)

    return put


def wrong_tanh_grad(output_grad, output):
    return output_grad * (1 - output)


def test_everything_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    json_file, html_file = tmp_path / "r.json", tmp_path / "r.html"
    files = ["--json", str(json_file), "--html", str(html_file)]
    status = main(["tanh", "WeightMultiply", "--backend", "reference", "--examples", "2", *files])
    assert status == 0
    printed = capsys.readouterr().out
    assert "2 classes, 8 cases" in printed
    assert "every gradient is correct" in printed
    found = json.loads(json_file.read_text())
    assert [row["name"] for row in found["rows"]] == ["Tanh", "WeightMultiply"]
    assert all(row["passed"] for row in found["rows"])
    page = html_file.read_text()
    assert page.startswith("<!doctype html>")
    assert "WeightMultiply" in page


def test_a_wrong_kernel_is_found_and_the_guilty_path_named(
    second_backend: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second_backend(tanh_grad=wrong_tanh_grad)
    json_file, html_file = tmp_path / "r.json", tmp_path / "r.html"
    files = ["--json", str(json_file), "--html", str(html_file)]
    status = main(
        [
            *["tanh", "sigmoid", "--examples", "2", "--backend", "fast", "--backend", "reference"],
            *files,
        ]
    )
    assert status == 1
    rows = {row["name"]: row for row in json.loads(json_file.read_text())["rows"]}
    assert rows["Tanh"]["verdicts"] == {
        "fast": "FAILED",
        "reference": "passed",
        "parity": "FAILED",
    }
    assert set(rows["Sigmoid"]["verdicts"].values()) == {"passed"}
    assert "from dlfs.activations import Tanh" in rows["Tanh"]["failures"][0]
    printed = capsys.readouterr().out
    assert "1 FAILED (Tanh)" in printed
    assert "FAILED" in html_file.read_text()


def test_a_case_that_decides_nothing_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    relu = RECIPES["ReLU"]

    def at_the_kink(sketch: Sketch) -> Case:
        case = relu.function(sketch)
        return dataclasses.replace(case, target=ReLU(), x=np.zeros((2, 3), sketch.dtype))

    monkeypatch.setitem(RECIPES, "ReLU", dataclasses.replace(relu, function=at_the_kink))
    status = main(["ReLU", "Sigmoid", "--examples", "1", "--backend", "reference"])
    printed = capsys.readouterr().out
    assert status == 0
    assert "1 UNDECIDED (ReLU), the others are correct" in printed
    assert "FAILED" not in printed
    assert "every gradient is correct" not in printed


def test_parity_sees_what_differences_cannot(second_backend: Callable[..., None]) -> None:
    # Its gradient is correct for its own function, but the function is a different one.
    second_backend(
        tanh=lambda x: np.tanh(x) / 2, tanh_grad=lambda grad, out: grad * (0.5 - 2 * out * out)
    )
    rows, _ = check_all(choose(["Tanh"]), ["fast", "reference"], 3, progress=False)
    assert rows[0].verdicts == {"fast": "passed", "reference": "passed", "parity": "FAILED"}
    assert "outputs of fast and reference differ" in rows[0].failures[0]


def test_a_crash_in_one_class_does_not_hide_the_others(
    second_backend: Callable[..., None],
) -> None:
    def crash(output_grad, output):
        raise MemoryError("no more")

    second_backend(sigmoid_grad=crash, sigmoid=lambda x: 1 / 0)
    rows, _ = check_all(choose(["Sigmoid", "Tanh"]), ["fast"], 1, progress=False)
    verdicts = {row.name: row.passed for row in rows}
    assert verdicts == {"Sigmoid": False, "Tanh": True}
    assert "ZeroDivisionError" in rows[0].failures[0]


@pytest.mark.parametrize("name", RECIPES)
def test_a_backend_agrees_with_itself(name: str) -> None:
    for dtype in ("float64", "float32"):
        case = RECIPES[name].draw(RandomChooser(np.random.default_rng(1)), dtype)
        assert disagreement(case, ["reference", "reference"]) == ""


def test_the_same_seed_draws_the_same_cases() -> None:
    first, _ = check_all(choose(["Conv1D_Op"]), ["reference"], 2, seed=3, progress=False)
    again, _ = check_all(choose(["Conv1D_Op"]), ["reference"], 2, seed=3, progress=False)
    other, _ = check_all(choose(["Conv1D_Op"]), ["reference"], 2, seed=4, progress=False)
    assert first[0].worst == again[0].worst != other[0].worst


def test_list_says_what_could_be_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in RECIPES)


def test_bad_arguments_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"NAME must be part of .*; got 'Tahn'"):
        choose(["Tahn"])
    with pytest.raises(ValueError, match=r"^gradcheck: examples must be"):
        check_all(choose(["Tanh"]), ["reference"], 0)
    with pytest.raises(ValueError, match=r"^gradcheck: backend must be"):
        check_all(choose(["Tanh"]), ["slow"], 1)
    with pytest.raises(ValueError, match=r"^gradcheck: seed must be"):
        check_all(choose(["Tanh"]), ["reference"], 1, seed=-1)
    for option, value in (("--examples", "0"), ("--seed", "-1"), ("--backend", "slow")):
        with pytest.raises(SystemExit):
            main(["tanh", option, value])
        assert f"argument {option}: " in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_results_that_cannot_be_written_are_refused_before_the_checks(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist"):
        main(["tanh", option, str(tmp_path / "nowhere" / "r")])
    with pytest.raises(IsADirectoryError, match="must be a file, got a folder"):
        main(["tanh", option, str(tmp_path)])
    assert "Tanh" not in capsys.readouterr().out


def test_the_page_shows_the_case_with_the_most_to_see() -> None:
    _, few = check_all(choose(["Tanh"]), ["reference"], 1, progress=False)
    _, many = check_all(choose(["Tanh"]), ["reference"], 20, progress=False)
    sizes = [reports["Tanh"].results["input_"].analytic.size for reports in (few, many)]
    assert sizes[0] <= sizes[1]
    assert sizes[1] >= 20


def test_the_page_marks_what_is_wrong() -> None:
    rows, _ = check_all(choose(["Tanh"]), ["reference"], 1, progress=False)
    rows = [*rows, dataclasses.replace(rows[0], name="Other", verdicts={"reference": "FAILED"})]
    page = as_html(rows, {})
    assert page.count("<td class='good'>passed</td>") == 1
    assert page.count("<td class='bad'>FAILED</td>") == 1
    styles = re.search("<style>(.*)</style>", page)[1]
    assert [rule.partition("{")[0] for rule in styles.split("}") if rule] == [
        *("body", "td,th", "td:first-child", ".good", ".bad", "pre")
    ]


def test_the_options_and_what_they_are_for() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    assert [
        (*action.option_strings, action.metavar, action.default, action.help)
        for action in parser._actions
    ] == [
        ("NAME", None, "classes to check, by a part of their names; default: all"),
        ("--backend", "BACKEND", None, "backend to check (repeatable); default: all"),
        ("--examples", None, 20, "cases of each class and dtype"),
        ("--seed", None, 0, "seed of the random numbers"),
        ("--fast", None, False, "3 cases each: under a minute"),
        ("--json", "FILE", None, "write the results as JSON"),
        ("--html", "FILE", None, "write the results as a page with pictures"),
        ("--list", None, False, "only list what can be checked"),
    ]
    given = parser.parse_args(
        ["a", "b", "--backend", "fast", "--backend", "reference", "--fast", "--seed", "0"]
    )
    assert (given.names, given.backend, given.fast) == (["a", "b"], ["fast", "reference"], True)
    assert parser.parse_args([]).names == []


def test_the_help_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.startswith("usage: dlfs gradcheck [-h]")
    assert DESCRIPTION in printed


def test_a_list_has_the_kind_and_the_name_of_each_class(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--list", "logsoftmax", "Huber", "digits", "PReLU"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Operation  PReLU_Op",
        "Operation  LogSoftmax",
        "Layer      PReLU",
        "Loss       Huber",
        "network    network for digits",
    ]


@pytest.mark.parametrize(
    ("options", "examples", "seed"),
    [(["--fast"], 3, 0), (["--examples", "2", "--seed", "5"], 2, 5), (["--examples", "1"], 1, 0)],
)
def test_the_file_of_results(options: list[str], examples: int, seed: int, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    assert main(["Sigmoid", *options, "--backend", "reference", "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    rows, _ = check_all(choose(["Sigmoid"]), ["reference"], examples, seed, progress=False)
    assert rows[0].seconds > 0
    row = dataclasses.asdict(dataclasses.replace(rows[0], seconds=0.0))
    found["rows"][0]["seconds"] = 0.0
    assert found == {
        "backends": ["reference"],
        "examples": examples,
        "seed": seed,
        "rows": [{**row, "passed": True}],
    }
    assert row == {
        "name": "Sigmoid",
        "kind": "Operation",
        "verdicts": {"reference": "passed"},
        "cases": 2 * examples,
        "worst": row["worst"],
        "seconds": 0.0,
        "failures": [],
    }
    assert 0 < row["worst"] < 1
    assert file.read_text().startswith('{\n "backends"')


def recipe(*cases: Case, kind: str = "Operation") -> Recipe:
    """Return a recipe that draws given cases, one after the other."""
    given = iter(cases)
    return Recipe("Given", kind, lambda sketch: next(given))


def case(target: Operation, x: np.ndarray) -> Case:
    return Case(target, x, None, False, "the code")


class Doubled(ReLU):
    def _input_grad(self, output_grad):
        return 2 * super()._input_grad(output_grad)


RIGHT, OPEN = case(ReLU(), np.ones((2, 3))), case(ReLU(), np.zeros((2, 3)))
WRONG = case(Doubled(), np.ones((2, 3)))
EMPTY = case(ReLU(), np.ones((0, 3)))


@pytest.mark.parametrize(
    ("cases", "verdict", "failures"),
    [
        ([RIGHT, RIGHT], "passed", []),
        ([RIGHT, EMPTY], "passed", []),
        ([RIGHT, OPEN], "UNDECIDED", ["UNDECIDED"]),
        ([OPEN, WRONG], "FAILED", ["FAILED", "UNDECIDED"]),
        ([WRONG, OPEN], "FAILED", ["FAILED", "UNDECIDED"]),
        ([WRONG, WRONG], "FAILED", ["FAILED", "FAILED"]),
    ],
)
def test_the_verdict_on_a_class_and_its_failures(cases, verdict, failures) -> None:
    (row,), _ = check_all([recipe(*cases)], ["reference"], 1, progress=False)
    assert row.verdicts == {"reference": verdict}
    assert (row.name, row.kind, row.cases) == ("Given", "Operation", 2)
    assert row.passed == (verdict != "FAILED")
    assert [text.partition("float64): ")[2].partition("\n")[0] for text in row.failures] == failures
    assert all(text.endswith("\n\nAs code:\n\nthe code") for text in row.failures)


def test_the_report_that_is_shown_failed_first_or_has_the_most_numbers() -> None:
    large, larger = case(ReLU(), np.ones((2, 4))), case(ReLU(), np.ones((2, 5)))
    also_wrong = case(Doubled(), np.ones((3, 5)))
    for cases, shape in (
        ([RIGHT, large, larger, RIGHT], (2, 5)),
        ([RIGHT, case(ReLU(), np.ones((3, 2))), EMPTY, EMPTY], (2, 3)),
        ([larger, WRONG, also_wrong, large], (2, 3)),
    ):
        _, reports = check_all([recipe(*cases)], ["reference"], 2, progress=False)
        assert reports["Given"].results["input_"].shape == shape


def test_a_class_that_crashes_has_the_traceback_and_the_code() -> None:
    class Crashes(ReLU):
        def _output(self):
            raise MemoryError("no more")

    crash = case(Crashes(), np.ones((2, 3)))
    (row,), reports = check_all([recipe(crash, RIGHT)], ["reference"], 1, progress=False)
    assert row.verdicts == {"reference": "FAILED"}
    assert row.failures[0].startswith("Traceback")
    assert row.failures[0].endswith("MemoryError: no more\n\nthe code")
    assert reports["Given"].passed


@pytest.mark.parametrize(("kind", "checked"), [("network", 10), ("Layer", 40), ("Loss", 40)])
def test_fewer_entries_of_a_network_are_compared(kind: str, checked: int) -> None:
    many = case(ReLU(), np.ones((7, 6)))
    wrong = case(Doubled(), np.ones((7, 6)))
    _, reports = check_all([recipe(many, wrong, kind=kind)], ["reference"], 1, progress=False)
    result = reports["Given"].results["input_"]
    assert checked <= result.checked <= checked + 16


def test_backends_that_cannot_be_compared_differ(
    second_backend: Callable[..., None],
) -> None:
    calls = []

    def sometimes(x):
        calls.append(x)
        if len(calls) > 60:
            raise MemoryError("no more")
        return np.tanh(x)

    second_backend(tanh=sometimes)
    (row,), _ = check_all(choose(["Tanh"]), ["fast", "reference"], 4, progress=False)
    assert row.verdicts["parity"] == "FAILED"
    parity = [text for text in row.failures if text.startswith("Tanh: ")]
    assert parity
    assert "MemoryError: no more\n" in parity[0]
    assert "\n\nAs code:\n\nimport numpy as np\n" in parity[0]


def test_targets_and_inference_are_those_of_the_case() -> None:
    pair = Case(MeanSquaredError(), np.ones((2, 3)), np.zeros((2, 3)), False, "")
    dropout = Case(Dropout(0.1, seed=0), np.ones((4, 5)), None, True, "")
    rows, reports = check_all(
        [recipe(pair, pair), dataclasses.replace(recipe(dropout, dropout), name="Dropout")],
        ["reference"],
        1,
        progress=False,
    )
    assert all(row.passed for row in rows)
    np.testing.assert_allclose(reports["Given"].results["input_"].analytic, 1.0)
    assert reports["Dropout"].results["input_"].analytic.all()


def test_one_backend_has_no_parity() -> None:
    (row,), _ = check_all([recipe(RIGHT, RIGHT)], ["reference"], 1, progress=False)
    assert list(row.verdicts) == ["reference"]


def test_a_progress_bar_counts_the_classes(capsys: pytest.CaptureFixture[str]) -> None:
    check_all([recipe(RIGHT, RIGHT)], ["reference"], 1, progress=False)
    assert capsys.readouterr().err == ""


def test_the_first_failure_of_each_class_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(RECIPES, "Given", recipe(WRONG, OPEN))
    assert main(["given", "--examples", "1", "--backend", "reference"]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("\nGradient check of Doubled (reference backend, float64): FAILED\n")
    assert printed.count("As code:") == 1
    assert printed.endswith("\n\n1 class, 2 cases, 0 s: 1 FAILED (Given)\n")


def test_every_backend_is_compared_with_the_last(second_backend: Callable[..., None]) -> None:
    second_backend(tanh=lambda x: np.tanh(x) + 1e-3)
    case = RECIPES["Tanh"].draw(RandomChooser(np.random.default_rng(0)))
    assert disagreement(case, ["reference", "reference", "reference"]) == ""
    assert "fast and reference" in disagreement(case, ["reference", "fast", "reference"])


def changed(function: Callable[..., np.ndarray], by: float) -> Callable[..., np.ndarray]:
    """Return a function with the number in the second row and third column changed."""

    def other(*arrays: np.ndarray) -> np.ndarray:
        result = np.array(function(*arrays))
        result[1, 2] += by
        return result

    return other


TANH = Case(Tanh(), np.array([[0.5, -1.0, 2.0], [3.0, 0.25, -0.5]]), None, False, "")


def test_backends_that_agree_up_to_rounding(second_backend: Callable[..., None]) -> None:
    for function, bound in ((reference.tanh, 256 * np.finfo(float).eps),):
        for share, agrees in ((0.99, True), (-0.99, True), (1.01, False), (-1.01, False)):
            second_backend(tanh=changed(function, share * bound))
            said = disagreement(TANH, ["fast", "reference"])
            assert ("outputs" not in said) == agrees


def test_where_outputs_differ(second_backend: Callable[..., None]) -> None:
    second_backend(tanh=changed(reference.tanh, 1.0))
    assert disagreement(TANH, ["fast", "reference"]) == (
        "the outputs of fast and reference differ at [1, 2]: 0.537882843 and -0.462117157"
    )


def test_where_gradients_differ(second_backend: Callable[..., None]) -> None:
    second_backend(tanh_grad=changed(reference.tanh_grad, 1.0))
    said = disagreement(TANH, ["fast", "reference"])
    assert said.startswith("the gradients of input_ of fast and reference differ at [1, 2]: ")
    one, other = map(float, said.partition("]: ")[2].split(" and "))
    assert one - other == pytest.approx(1.0, abs=1e-8)


def test_results_of_another_dtype_differ(second_backend: Callable[..., None]) -> None:
    second_backend(
        tanh=lambda x: np.tanh(x).astype(np.float64),
        tanh_grad=lambda grad, output: (grad * (1 - output**2)).astype(grad.dtype),
    )
    single = dataclasses.replace(TANH, x=TANH.x.astype(np.float32))
    assert disagreement(single, ["fast", "reference"]) == (
        "the outputs of fast and reference differ in shape or dtype: float64(2, 3) and "
        "float32(2, 3)"
    )


def test_losses_that_differ(second_backend: Callable[..., None]) -> None:
    def larger(*arguments):
        value, *grads = reference.mean_squared_error(*arguments)
        return (value + 1.0, *grads)

    second_backend(mean_squared_error=larger)
    pair = Case(MeanSquaredError(), np.ones((2, 3)), np.zeros((2, 3)), False, "")
    assert disagreement(pair, ["fast", "reference"]) == (
        "the outputs of fast and reference differ in value: 4 and 3"
    )
