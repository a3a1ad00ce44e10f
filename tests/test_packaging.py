"""The installed package: a silent, fast import, and a complete wheel."""

import importlib
import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

import dlfs
from dlfs.base import Operation
from dlfs.layers import Layer
from dlfs.losses import Loss
from dlfs.optimizers import Optimizer

ROOT = Path(__file__).parents[1]
SOURCES = ["pyproject.toml", "setup.py", "MANIFEST.in", "LICENSE", "README.md"]
SOURCES += ["dlfs", "dlfs_ext", "notebooks"]

HEAVY = ["matplotlib", "pandas", "sklearn", "torch", "IPython", "tqdm.notebook", "hypothesis"]


def run(
    *command: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """Run a command and return what it printed; show all of it where it fails."""
    result = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{command}:\n{result.stdout}\n{result.stderr}"
    return result.stdout + result.stderr


def copy_sources(target: Path) -> None:
    """Copy the sources of a distribution, without build products."""
    target.mkdir(exist_ok=True)
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            built = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")
            shutil.copytree(path, target / name, ignore=built)
        elif path.exists():
            shutil.copy(path, target / name)


def python(code: str, **options) -> str:
    return run(sys.executable, "-W", "error", "-c", code, **options)


# --- the import ---


def test_import_is_silent() -> None:
    assert python("import dlfs", cwd=ROOT) == ""


def test_import_loads_nothing_heavy() -> None:
    loaded = python("import sys, dlfs; print('\\n'.join(sys.modules))", cwd=ROOT).split()
    assert "numpy" in loaded
    assert [name for name in HEAVY if name in loaded] == []
    late = inspect.getclosurevars(dlfs.__getattr__).nonlocals["known"]
    assert [name for name in late if f"dlfs.{name}" in loaded] == []


def test_import_reads_no_data() -> None:
    # An audit hook sees every file that Python code opens.
    code = """
import sys
import tomllib
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import dlfs, dlfs.datasets, dlfs.utils.mnist
wrong = [name for name in opened if name.endswith((".gz", ".csv", ".txt"))]
assert not wrong, wrong
dlfs.datasets.sonnets()
assert any(name.endswith("sonnets.txt") for name in opened), "the hook sees nothing"
"""
    python(code, cwd=ROOT)


def test_import_leaves_the_global_random_state_alone() -> None:
    code = """
import numpy as np
np.random.seed(3)
import dlfs
assert np.random.random_sample() == np.random.RandomState(3).random_sample()
"""
    python(code, cwd=ROOT)


@pytest.mark.parametrize("variable", ["-O", "-OO"])
def test_bad_input_is_refused_without_asserts_and_docstrings_too(variable: str) -> None:
    code = """
import numpy as np
from dlfs.utils import np_utils
try:
    np_utils.assert_same_shape(np.zeros(2), np.zeros(3))
except ValueError:
    print("refused")
"""
    assert run(sys.executable, variable, "-c", code, cwd=ROOT).strip() == "refused"


# --- modules imported on first use ---

INTERNAL = {"__main__", "commands"}


def test_every_module_is_an_attribute_of_the_package() -> None:
    code = """
import pkgutil, dlfs, dlfs.utils
for package in (dlfs, dlfs.utils):
    for module in pkgutil.iter_modules(package.__path__):
        try:
            shown = getattr(package, module.name).__name__ == f"{package.__name__}.{module.name}"
        except AttributeError as error:
            shown = "needs" in str(error)  # an extra is not installed: the message names it
        print(module.name, shown and module.name in dir(package))
"""
    answers = dict(line.split() for line in python(code, cwd=ROOT).splitlines())
    missing = {name for name, shown in answers.items() if shown != "True"}
    assert missing == INTERNAL


@pytest.mark.parametrize("package", [dlfs, dlfs.utils])  # type: ignore[attr-defined]
def test_late_modules_are_the_same_for_python_and_for_type_checkers(package) -> None:
    source = Path(package.__file__).read_text("utf-8")
    typed = re.findall(r"^    from [\w.]+ import (\w+) as \1$", source, re.MULTILINE)
    late = inspect.getclosurevars(package.__getattr__).nonlocals["known"]
    assert sorted(typed) == sorted(late)


EXPORTED = {
    **dict.fromkeys(("activations", "dropout", "pooling", "reshape"), Operation),
    "layers": Layer,
    "losses": Loss,
    "optimizers": Optimizer,
}
NOT_EXPORTED = {
    "KernelLoss": "the base of those losses that one kernel computes",
    "OperationLayer": "a network makes it of an Operation",
    "PReLU_Op": "the layer PReLU makes it",
    "Weighted": "a Trainer makes it",
}


@pytest.mark.parametrize("area", EXPORTED)
def test_every_class_is_exported(area: str) -> None:
    package = importlib.import_module(f"dlfs.{area}")
    inside = pkgutil.iter_modules(getattr(package, "__path__", ()), f"dlfs.{area}.")
    classes = {
        name
        for module in (package, *(importlib.import_module(info.name) for info in inside))
        for name, thing in vars(module).items()
        if inspect.isclass(thing) and issubclass(thing, EXPORTED[area])
        if thing.__module__ == module.__name__ and not name.startswith("_")
    }
    assert classes
    classes -= set(NOT_EXPORTED)
    missing = sorted(classes - set(dlfs.__all__))
    assert not missing, f"export {missing} from dlfs/__init__.py"
    hidden = sorted(name for name in classes if not hasattr(package, name))
    assert not hidden, f"export {hidden} from dlfs/{area}/__init__.py"


PAGES = ["README.md", "docs/index.md", "docs/start.md", "docs/guide/index.md", "docs/guide/data.md"]


@pytest.mark.source_tree
def test_every_name_of_the_first_pages_is_there_after_import_dlfs() -> None:
    names = set()
    for page in PAGES:
        text = (ROOT / page).read_text("utf-8") if (ROOT / page).exists() else ""
        for block in re.findall(r"```(?:python|pycon)\n(.*?)```", text, re.DOTALL):
            for line in re.findall(r"from dlfs import ([\w, ]+)", block):
                names |= {name.strip() for name in line.split(",")}
            names |= set(re.findall(r"\bdlfs\.(\w+)", block)) - {"base"}
    assert len(names) >= 10
    code = f"""
import dlfs
missing = [name for name in {sorted(names)} if name not in dir(dlfs) or not hasattr(dlfs, name)]
assert not missing, missing
"""
    python(code, cwd=ROOT)


@pytest.mark.parametrize(
    "name", ["datasets", "metrics", "plots", "gradcheck", "callbacks", "text", "find_lr", "Batches"]
)
def test_what_a_beginner_needs_comes_with_the_package(name: str) -> None:
    python(
        f"import dlfs; dlfs.{name}; from dlfs import {name}; assert name in dir(dlfs)".replace(
            "assert name", f"assert {name!r}"
        ),
        cwd=ROOT,
    )


def test_an_attribute_that_is_missing_is_named() -> None:
    with pytest.raises(AttributeError, match="module 'dlfs' has no attribute 'nonsense'"):
        dlfs.nonsense  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'nonsense' from 'dlfs'"):
        from dlfs import nonsense  # type: ignore[attr-defined]  # noqa: F401


def test_a_late_module_whose_extra_is_missing_says_which() -> None:
    code = """
import sys
sys.modules["torch"] = None
import dlfs
assert not hasattr(dlfs, "pytorch")
try:
    dlfs.pytorch
except AttributeError as error:
    assert "pip install 'dlfs[torch]'" in str(error), error
try:
    from dlfs import pytorch
except ImportError as error:
    assert "pip install 'dlfs[torch]'" in str(error), error
"""
    python(code, cwd=ROOT)


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("onnx", "onnx", "onnx"),
        ("estimators", "sklearn.base", "sklearn"),
    ],
)
def test_a_module_whose_extra_is_missing_says_how_to_get_it(
    module, package, extra, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"dlfs.{module}", raising=False)
    monkeypatch.delattr(dlfs, module, raising=False)
    with pytest.raises(AttributeError, match=rf"pip install 'dlfs\[{extra}\]'"):
        getattr(dlfs, module)


# --- the editable installation, of a clone named dlfs ---


@pytest.fixture(scope="module")
def editable(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the folder that such a clone is in, and the interpreter where it is installed."""
    parent = tmp_path_factory.mktemp("parent")
    copy_sources(parent / "dlfs")
    wheels = tmp_path_factory.mktemp("wheels")
    code = f"from setuptools import build_meta; build_meta.build_editable({str(wheels)!r})"
    run(sys.executable, "-c", code, cwd=parent / "dlfs", environment={"DLFS_NO_EXT": "1"})
    (wheel,) = wheels.glob("dlfs-*.whl")
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, symlinks=os.name != "nt")
    interpreter = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(run(interpreter, "-c", code).strip())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    # The requirements of dlfs come from here, but not dlfs.
    others = [name for name in sys.path if Path(name).is_dir() and Path(name).resolve() != ROOT]
    (packages / "others.pth").write_text("\n".join(others))
    return parent, interpreter


SCRIPT = """
import dlfs
import dlfs.utils

print(dlfs.__file__)
print(dlfs.Dense.__name__, dlfs.datasets.boston().X.shape)
"""


@pytest.mark.source_tree
@pytest.mark.parametrize("folder", ["", "dlfs", "elsewhere"])
def test_scripts_find_an_editable_dlfs_from_everywhere(
    folder: str, editable: tuple[Path, Path]
) -> None:
    parent, interpreter = editable
    place = parent / folder
    place.mkdir(exist_ok=True)
    (place / "script.py").write_text(SCRIPT)
    environment = {"PYTHONPATH": ""}
    said = run(interpreter, place / "script.py", cwd=place, environment=environment).splitlines()
    assert Path(said[0]) == parent / "dlfs" / "dlfs" / "__init__.py"
    assert said[1] == "Dense (506, 13)"
    assert "dlfs" in run(interpreter, "-m", "dlfs", "--version", cwd=place, environment=environment)


@pytest.mark.source_tree
def test_type_checkers_find_an_editable_dlfs_and_its_late_modules(
    editable: tuple[Path, Path], tmp_path: Path
) -> None:
    pytest.importorskip("mypy")
    parent, interpreter = editable
    reveal = "reveal_type(dlfs.datasets.sonnets())\nreveal_type(dlfs.datasets.prepare.one_hot)\n"
    (parent / "typed.py").write_text(f"{SCRIPT}{reveal}dlfs.Dnse(3)\n")
    result = subprocess.run(
        [interpreter, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", "typed.py"],
        cwd=parent,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'Revealed type is "str"' in result.stdout, result.stdout + result.stderr
    assert "def (labels: " in result.stdout
    assert 'error: Module has no attribute "Dnse"' in result.stdout
    assert "Found 1 error" in result.stdout


# --- the wheel, built where there is no compiler ---


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources, with a compiler that always fails."""
    sources = tmp_path_factory.mktemp("sources")
    copy_sources(sources)
    target = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", target, sources,
        environment={"CC": "/bin/false", "CXX": "/bin/false"},
    )  # fmt: skip
    (path,) = target.glob("dlfs-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an empty folder, without touching this environment."""
    target = tmp_path_factory.mktemp("installed")
    run(
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--no-index", "--target", target, wheel,
    )  # fmt: skip
    return target


def python_on(path: Path, code: str, cwd: Path) -> str:
    """Run code that finds dlfs in ``path`` only, not in this repository."""
    # An editable installation would lend its compiled package to the wheel that has none.
    header = f"""
import sys
sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in getattr(f, "__module__", "")]
sys.path[:] = [{str(path)!r}, *(place for place in sys.path if place != {str(ROOT)!r})]
import dlfs
"""
    header += f"assert dlfs.__file__.startswith({str(path)!r}), dlfs.__file__\n"
    return python(header + code, cwd=cwd, environment={"PYTHONPATH": ""})


@pytest.mark.source_tree
def test_wheel_holds_data_notices_and_types_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = {Path(name).name: name for name in names if ".dist-info/" in name}
        text = archive.read(metadata["METADATA"]).decode()
        scripts = archive.read(metadata["entry_points.txt"]).decode()
    assert "dlfs/py.typed" in names
    assert "dlfs/datasets/data/NOTICE.md" in names
    data = ROOT / "dlfs" / "datasets" / "data"
    shipped = {str(path.relative_to(ROOT)) for path in data.rglob("*") if path.is_file()}
    assert len(shipped) == 7
    assert shipped <= names
    assert {"LICENSE", "NOTICE.md"} <= set(metadata)
    assert "dlfs = dlfs.commands.cli:main" in scripts
    assert "Requires-Python: >=3.11" in text
    assert "License-Expression: MIT" in text
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "dlfs").rglob("*.py")}
    assert modules <= names
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops <= {"dlfs", "dlfs_ext"}, "a stray top-level package would be installed too"
    assert not [name for name in names if name.endswith((".so", ".pyd"))]


@pytest.mark.source_tree
def test_wheel_without_compiled_kernels_works(installed: Path, tmp_path: Path) -> None:
    code = """
import numpy as np
from dlfs import datasets
from dlfs.utils import mnist, np_utils
assert mnist.load()[0].shape == (60000, 784)
assert datasets.boston().X.shape == (506, 13)
assert len(datasets.sonnets()) == 95728
print(dlfs.backend_name(), dlfs.available_backends())
"""
    assert python_on(installed, code, tmp_path).split()[0] == "reference"


@pytest.mark.source_tree
def test_package_reads_its_data_from_a_zip_archive_too(wheel: Path, tmp_path: Path) -> None:
    code = "from dlfs import datasets; print(datasets.boston().y.shape, len(datasets.sonnets()))"
    assert python_on(wheel, code, tmp_path).strip() == "(506,) 95728"


@pytest.mark.source_tree
def test_every_module_imports_from_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    code = """
import importlib, pkgutil
for module in pkgutil.walk_packages(dlfs.__path__, "dlfs."):
    extras = ("dlfs.pytorch", "dlfs.onnx", "dlfs.estimators")
    if not module.name.startswith(extras) and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        print(module.name)
"""
    assert "dlfs.utils.np_utils" in python_on(installed, code, tmp_path)


@pytest.mark.source_tree
def test_gradients_are_checked_from_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    code = """
import sys
from dlfs.commands.cli import main
sys.modules["hypothesis"] = None
sys.exit(main(["gradcheck", "GRULayer", "Huber", "--fast", "--html", "report.html"]))
"""
    assert "2 classes, 12 cases" in python_on(installed, code, tmp_path)
    assert "GRULayer" in (tmp_path / "report.html").read_text()


@pytest.mark.source_tree
def test_notebooks_come_out_of_the_wheel(wheel: Path, installed: Path, tmp_path: Path) -> None:
    folder = ROOT / "notebooks"
    notebooks = {path.relative_to(folder).as_posix() for path in folder.glob("*/*.ipynb")}
    wanted = notebooks | {"README.md", "ERRATA.md"}
    for number, place in enumerate((installed, wheel)):
        code = f"from dlfs.commands.cli import main; print(main(['notebooks', 'new/{number}']))"
        out = python_on(place, code, tmp_path)
        assert f"Copied {len(notebooks)} notebooks to " in out
        copied = tmp_path / "new" / str(number)
        names = {p.relative_to(copied).as_posix() for p in copied.rglob("*") if p.is_file()}
        assert wanted <= names
        assert not [name for name in names if name.endswith(".py") or "/." in f"/{name}"]
        for name in wanted:
            assert (copied / name).read_bytes() == (folder / name).read_bytes()


def test_version_is_the_one_of_the_distribution() -> None:
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert dlfs.__version__ == metadata["project"]["version"]


@pytest.mark.source_tree
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("target", "command"), [("wheels", "-m tools.wheels"), ("bench-gradients", "-m benchmarks")]
)
def test_make_knows_how_to_build_what_a_release_has(target: str, command: str) -> None:
    assert command in run("make", "-n", target, cwd=ROOT)
