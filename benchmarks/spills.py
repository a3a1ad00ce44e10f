"""Counts vectors that the compiler keeps on the stack in inner loops of the kernels: spills.

    python -m benchmarks.spills [module ...]

A spill costs a store and a load where the algorithm has none; in a loop that keeps its sums in
registers there should be none. Every loop without another loop inside is counted, in the copies of
all instruction sets and dtypes, by reading the machine code of the installed modules (objdump).
Arrays that a kernel has on the stack count as well. This needs no quiet machine, and not the
processor that the code is for.
"""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import dlfs_ext

FOLDER = Path(dlfs_ext.__file__).parent
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
LINE = re.compile(r"^ *([0-9a-f]+):\t(.+)$")
JUMP = re.compile(r"^(?:j\w+|b\.?\w*|cbn?z|tbn?z)\s.*?\b([0-9a-f]+) <")
KERNEL = re.compile(r"_(generic|avx2|avx512)_f(32|64)\b")
# An instruction with a vector register and a place on the stack: x86-64, then 64-bit ARM. Above
# %rbp are a function's arguments.
STACK = re.compile(r"^v?\w+ (?=.*%[xyz]mm).*(?:\(%rsp\)|-0x\w+\(%rbp\))|^(?:ld|st)[rp]\s+q.*\[sp")


def functions(path: Path) -> dict[str, list[tuple[int, str]]]:
    """Addresses and instructions of each function in a module."""
    command = ["objdump", "-d", "--no-show-raw-insn", str(path)]
    found: dict[str, list[tuple[int, str]]] = {}
    lines: list[tuple[int, str]] = []
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for text in output.splitlines():
        if start := FUNCTION.match(text):
            lines = found.setdefault(start[1], [])
        elif line := LINE.match(text):
            lines.append((int(line[1], 16), line[2]))
    return found


def spills(lines: list[tuple[int, str]]) -> int:
    """Count the instructions with a vector and the stack in the innermost loops."""
    jumps = [(int(jump[1], 16), at) for at, text in lines if (jump := JUMP.match(text))]
    loops = {(to, at) for to, at in jumps if lines[0][0] <= to < at}
    inner = [
        (to, at)
        for to, at in loops
        if not any(to <= a and b <= at and (a, b) != (to, at) for a, b in loops)
    ]
    moves = [at for at, text in lines if STACK.match(text)]
    return sum(any(to <= at <= end for to, end in inner) for at in moves)


def main() -> None:
    """Print the functions with spills, and the sum of each module."""
    for path in sorted(FOLDER.glob("*.so")):
        module = path.name.split(".")[0]
        if sys.argv[1:] and module not in sys.argv[1:]:
            continue
        found = functions(path).items()
        counts = Counter({name: spills(lines) for name, lines in found if KERNEL.search(name)})
        print(f"{sum(counts.values()):5}  {module}")
        for name, count in counts.most_common():
            if count:
                print(f"{count:11}  {name}")


if __name__ == "__main__":
    main()
