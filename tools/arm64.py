"""Test the kernels on 64-bit ARM: ``python -m tools.arm64 [PYTEST ARGUMENT ...]``.

A cross compiler builds them by setup.py, and an emulator runs their tests, except those of threads
and memory. Debian's Python for ARM and the requirements' wheels are downloaded once, into
build/arm64. It also counts, for the hot loops of the convolutions, the multiply-adds and the
vectors that the compiler moved to the stack and back.

It needs Debian 12 (apt-get, dpkg), its packages qemu-user and gcc-aarch64-linux-gnu, and Python
3.11. CC chooses another compiler: ``CC="clang --target=aarch64-linux-gnu"``.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORK = ROOT / "build" / "arm64"
SYSTEM, WHEELS, SOURCES = WORK / "system", WORK / "wheels", WORK / "sources"
TRIPLE = "aarch64-linux-gnu"
SYSCONFIG = f"_sysconfigdata__{TRIPLE}"
DEBIAN = ("python3.11", "libpython3.11-dev", "libstdc++6", "libgomp1", "libomp5", "zlib1g")
REQUIREMENTS = ("numpy", "scipy", "tqdm", "safetensors", "hypothesis", "pytest", "threadpoolctl")
LEFT_OUT = ("test_threads.py", "test_memory.py", "test_waiting.py", "test_training.py")


def run(*command: str | Path, **options: object) -> str:
    """Run a command that must succeed; return what it prints."""
    line = list(map(str, command))
    done = subprocess.run(line, check=False, stdout=subprocess.PIPE, text=True, **options)
    if done.returncode:
        sys.exit(f"{done.stdout}\narm64: exit status {done.returncode} of {' '.join(line)}")
    return str(done.stdout)


def unpack_system() -> None:
    """Unpack Debian's packages for ARM, which are not installed."""
    lists, cache = WORK / "apt" / "lists", WORK / "apt" / "cache"
    for folder in (lists / "partial", cache / "archives" / "partial", SYSTEM / "usr"):
        folder.mkdir(parents=True, exist_ok=True)
    status = WORK / "apt" / "status"
    status.touch()
    for folder in ("bin", "sbin", "lib"):
        (SYSTEM / "usr" / folder).mkdir(exist_ok=True)
        (SYSTEM / folder).symlink_to(f"usr/{folder}")
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",
        "Dir::State::lists": lists,
        "Dir::State::status": status,
        "Dir::Cache": cache,
    }
    apt = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in settings.items())]
    run(*apt, "update")
    run(*apt, "install", "-y", "--download-only", "--no-install-recommends", *DEBIAN)
    for package in (cache / "archives").glob("*.deb"):
        run("dpkg", "-x", package, SYSTEM)


def unpack_wheels() -> None:
    """Unpack the requirements' wheels for ARM."""
    platforms = ("manylinux_2_28_aarch64", "manylinux2014_aarch64", "manylinux_2_17_aarch64")
    command = [sys.executable, "-m", "pip", "download", "-q", "-d", WHEELS / "files"]
    command += ["--only-binary=:all:", "--python-version", "311", "--implementation", "cp"]
    run(*command, *(f"--platform={platform}" for platform in platforms), *REQUIREMENTS)
    for wheel in (WHEELS / "files").glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(WHEELS / "site")


def build() -> None:
    """Compile the kernels. Debian's settings for ARM make setuptools use the cross compiler."""
    shutil.rmtree(SOURCES, ignore_errors=True)
    built = shutil.ignore_patterns("*.so", "*.c", "__pycache__")
    for folder in ("dlfs", "dlfs_ext", "tests", "tools"):
        shutil.copytree(ROOT / folder, SOURCES / folder, ignore=built)
    for file in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, SOURCES)
    (settings,) = (SYSTEM / "usr" / "lib").glob(f"python3*/{SYSCONFIG}.py")
    (WORK / "settings").mkdir(exist_ok=True)
    shutil.copy(settings, WORK / "settings")
    compiler, include = os.environ.get("CC", f"{TRIPLE}-gcc"), SYSTEM / "usr" / "include"
    headers = f"-I{include}/python3.11 -idirafter {include} -I{WHEELS}/site/numpy/_core/include"
    environment = {
        **os.environ,
        "PYTHONPATH": str(WORK / "settings"),
        "_PYTHON_HOST_PLATFORM": "linux-aarch64",
        "_PYTHON_SYSCONFIGDATA_NAME": SYSCONFIG,
        "DLFS_REQUIRE_EXT": "1",
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared",
        "CFLAGS": f"-Wall -DNDEBUG -fwrapv {headers}",
    }
    command = (sys.executable, "setup.py", "-q", "build_ext", "--inplace")
    said = run(*command, cwd=SOURCES, env=environment, stderr=subprocess.STDOUT)
    print(said, f"arm64: {said.count('warning:')} warnings", sep="", flush=True)


def loops(listing: str) -> dict[str, tuple[int, int, int]]:
    """Innermost loops, their multiply-adds, and vectors moved to the stack or back, by function."""
    found: dict[str, tuple[int, int, int]] = {}
    for part in re.split(r"\n(?=[0-9a-f]+ <)", listing):
        head = re.match(r"[0-9a-f]+ <(\w+)", part)
        lines = re.findall(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)", part, re.MULTILINE)
        at = {address: i for i, (address, _, _) in enumerate(lines)}
        for i, (_, name, rest) in enumerate(lines):
            target = re.search(r"([0-9a-f]+) <", rest) if name[0] in "bct" else None
            start = at.get(target[1], i + 1) if target else i + 1
            body = lines[start : i + 1]
            jumps = [
                name for _, name, _ in body[:-1] if re.match(r"b$|b\.|bl|[ct]bn?z$|ret$", name)
            ]
            sums = sum(name == "fmla" for _, name, _ in body)
            if head and not jumps and sums > 3:
                spills = sum("[sp" in rest and rest[0] in "qdsv" for _, _, rest in body)
                one, two, three = found.get(head[1], (0, 0, 0))
                found[head[1]] = one + 1, two + sums, three + spills
    return found


def main(pytest_arguments: list[str]) -> None:
    """Build, count, test."""
    if sys.version_info[:2] != (3, 11):
        sys.exit("arm64: this needs Python 3.11, that of Debian 12")
    for program in ("apt-get", "dpkg", "qemu-aarch64", f"{TRIPLE}-gcc"):
        if shutil.which(program) is None:
            sys.exit(f"arm64: {program} is missing; see `python -m tools.arm64`'s source")
    for ready, unpack in ((SYSTEM, unpack_system), (WHEELS, unpack_wheels)):
        if not (ready / "ready").exists():
            shutil.rmtree(ready, ignore_errors=True)
            ready.mkdir(parents=True)
            unpack()
            (ready / "ready").touch()
    build()
    for module in ("conv", "dense"):
        (library,) = (SOURCES / "dlfs_ext").glob(f"{module}.*aarch64*.so")
        listing = run(f"{TRIPLE}-objdump", "-d", "--no-show-raw-insn", library)
        for name, (count, sums, spills) in sorted(loops(listing).items()):
            print(f"arm64: {name:40} {count:3} loops {sums:5} multiply-adds {spills:4} spills")

    # The tests start other processes by sys.executable, which must be the emulator.
    python = WORK / "python"
    system = ("-L", SYSTEM, "-E", f"LD_LIBRARY_PATH=/usr/lib/{TRIPLE}")
    line = " ".join(map(str, ("qemu-aarch64", *system, SYSTEM / "usr" / "bin" / "python3.11")))
    paths = ":".join(map(str, (SOURCES, WORK / "start", WHEELS / "site")))
    python.write_text(
        f"#!/bin/sh\nexport PYTHONPATH={paths} PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8\n"
        f'export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1\nexec {line} "$@"\n'
    )
    python.chmod(0o755)
    (WORK / "start").mkdir(exist_ok=True)
    (WORK / "start" / "sitecustomize.py").write_text(f"import sys\nsys.executable = '{python}'\n")
    print(run(python, "-m", "dlfs", "info", cwd=SOURCES), flush=True)
    tests = sorted((SOURCES / "tests" / "ext").glob("test_*.py"))
    chosen = [str(path) for path in tests if path.name not in LEFT_OUT]
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-k", "not memory", *(pytest_arguments or chosen)]
    environment = {"HYPOTHESIS_PROFILE": "short", **os.environ}
    sys.exit(subprocess.run(command, cwd=SOURCES, env=environment, check=False).returncode)


if __name__ == "__main__":
    main(sys.argv[1:])
