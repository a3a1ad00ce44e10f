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
from dlfs.activations import ReLU
from dlfs.gradcheck.cases import RECIPES, Case, RandomChooser, Sketch
from dlfs.gradcheck.parity import disagreement
from dlfs.gradcheck.suite import add_arguments, check_all, choose, main
from dlfs.gradcheck.tables import as_html


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


def test_every_option_says_what_it_is_for() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert all(action.help for action in parser._actions)


def test_every_backend_is_compared_with_the_last(second_backend: Callable[..., None]) -> None:
    second_backend(tanh=lambda x: np.tanh(x) + 1e-3)
    case = RECIPES["Tanh"].draw(RandomChooser(np.random.default_rng(0)))
    assert disagreement(case, ["reference", "reference", "reference"]) == ""
    assert "fast and reference" in disagreement(case, ["reference", "fast", "reference"])
