"""Let clang read the C of all kernels, with its warnings as errors: ``make lint-clang``.

Each module has all instruction sets and both dtypes; they are read once as compiled, and once
without vector extensions. Nothing is compiled. If no clang is on the PATH, the one inside the
package ziglang is used.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

PACKAGE = Path("dlfs_ext")
# Cython's functions have the parameters that Python demands.
FLAGS = ["-fsyntax-only", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"]


def clang() -> list[str]:
    """Return the command that runs clang."""
    if found := shutil.which("clang"):
        return [found]
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        sys.exit("neither clang nor the package ziglang is installed: make lint-clang")
    folder = Path(spec.origin).parent
    return [str(folder / "zig"), "clang", "-isystem", str(folder / "lib/include")]


def main() -> int:
    """Translate the Cython files, check each module, and print what clang says."""
    # setup.py translates all Cython files, whatever it is asked to do.
    subprocess.run([sys.executable, "setup.py", "-q", "--name"], check=True, capture_output=True)
    command = [*clang(), *FLAGS, f"-I{PACKAGE / 'csrc'}"]
    for folder in (np.get_include(), sysconfig.get_path("include")):
        command += ["-isystem", folder]
    sources = sorted(map(str, PACKAGE.rglob("*.c")))
    jobs = [[*command, *more, path] for path in sources for more in ([], ["-DDLFS_SCALAR"])]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        codes = list(pool.map(lambda job: subprocess.run(job, check=False).returncode, jobs))
    faults = sum(map(bool, codes))
    print(f"{command[0]}: {len(sources)} modules, {faults} of {len(jobs)} checks failed")
    return int(any(codes) or not sources)


if __name__ == "__main__":
    sys.exit(main())
