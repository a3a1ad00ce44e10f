"""Runs the recipe for a room without a network, as docs/teaching.md states it: ``make test-room``.

The commands in the page's blocks are run in a copy of the sources; the second block, and what
follows, without a network where the system can take it away (``unshare``).
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "teaching.md"
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis",
    "my-notebooks", "mutants", "*.so",
)  # fmt: skip

AFTERWARDS = """
room/bin/python -m jupyterlab --version
room/bin/dlfs notebooks slides --slides
mkdir -p my-class/submitted/ada && cp my-class/source/03_dlfs/*.ipynb my-class/submitted/ada
rm -r my-class/source/0[124-9]*
room/bin/dlfs class grade my-class
grep -c ',1,right' my-class/grades.csv
"""
"""Run in the room, to see that it works."""


def recipe() -> list[str]:
    """Return the commands of the page: those with a network, and those without."""
    section = PAGE.read_text(encoding="utf-8").partition("## A room without a network")[2]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    if len(blocks) != 2:
        raise ValueError(f"{PAGE.name} must have two blocks of commands, got {len(blocks)}")
    return blocks


def main() -> int:
    """Run the recipe; return its status."""
    outside, inside = recipe()
    hidden = {"PYTHONPATH", "VIRTUAL_ENV"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    without = ["unshare", "--net"] if os.name == "posix" and shutil.which("unshare") else []
    if without and subprocess.run([*without, "true"], check=False).returncode:
        without = []
    print("network in the room:", "none" if without else "not taken away (no unshare)")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "dlfs"
        shutil.copytree(ROOT, place, ignore=LEFT_OUT)
        for block, before in ((outside, []), (inside + AFTERWARDS, without)):
            command = [*before, "bash", "-euxc", block]
            if subprocess.run(command, cwd=place, env=environment, check=False).returncode:
                return 1
    print("The recipe works.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
