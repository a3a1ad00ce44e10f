"""Test the installed package: ``python -m tools.wheel [PYTEST ARGUMENT ...]``, `make test-wheel`.

It builds the source distribution, and the wheel only from that. It installs the wheel with its
extra "test" into an empty environment. Outside this folder it unpacks only ``tests/`` and
``pyproject.toml``, and runs the tests there; from an empty folder it runs
``dlfs gradcheck --fast``. Tests marked ``source_tree`` are left out (tests/conftest.py).
"""

import os
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path) -> None:
    """Run a command that must succeed, in an environment that does not reveal the source tree."""
    hidden = {"PYTHONPATH", "VIRTUAL_ENV"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    print("+", *command, flush=True)
    line = list(map(str, command))
    if status := subprocess.run(line, cwd=cwd, env=environment, check=False).returncode:
        sys.exit(f"wheel: exit status {status} of {' '.join(line)}")


def missing(wheel: Path) -> list[str]:
    """Return the modules and data of the source tree that the wheel does not contain."""
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    paths = list((ROOT / "dlfs").rglob("*.py"))
    paths += [path for path in (ROOT / "dlfs" / "datasets" / "data").rglob("*") if path.is_file()]
    return sorted({path.relative_to(ROOT).as_posix() for path in paths} - held)


def unpack_tests(sdist: Path, folder: Path) -> None:
    """Unpack the source distribution's tests, and pytest's settings, into a folder."""
    with tarfile.open(sdist) as archive:
        for member in archive.getmembers():
            member.name = member.name.partition("/")[2]
            if member.name.startswith("tests/") or member.name == "pyproject.toml":
                archive.extract(member, folder, filter="data")


def main(pytest_arguments: list[str]) -> None:
    """Build, install, test."""
    with tempfile.TemporaryDirectory(prefix="dlfs-wheel-") as name:
        place = Path(name)
        dist, outside, empty = place / "dist", place / "outside", place / "empty"
        run(sys.executable, "-m", "build", "--outdir", dist, ROOT, cwd=ROOT)
        (sdist,), (wheel,) = dist.glob("dlfs-*.tar.gz"), dist.glob("dlfs-*.whl")
        if absent := missing(wheel):
            sys.exit(f"wheel: {wheel.name} lacks {', '.join(absent)}")

        venv.create(place / "environment", with_pip=True)
        scripts = place / "environment" / ("Scripts" if os.name == "nt" else "bin")
        python = scripts / "python"
        quiet = ("--quiet", "--disable-pip-version-check")
        run(python, "-m", "pip", "install", *quiet, f"{wheel}[test]", cwd=place)

        empty.mkdir()
        run(scripts / "dlfs", "info", cwd=empty)
        run(scripts / "dlfs", "gradcheck", "--fast", cwd=empty)
        unpack_tests(sdist, outside)
        run(python, "-m", "pytest", "-q", *pytest_arguments, cwd=outside)


if __name__ == "__main__":
    main(sys.argv[1:])
