"""The lines of ``dlfs_ext/csrc`` that the tests of ``tests/ext`` reach: ``make coverage-kernels``.

The C code is compiled once for each instruction set and dtype, and into several modules. A line
counts as reached if it is in one of these copies; lines that are reached in some copies only are
listed with the others. Run it where the kernels were compiled with gcc's ``--coverage``, after the
tests.
"""

import gzip
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

COPIES = [
    f"{target}_{dtype}" for target in ("generic", "avx2", "avx512") for dtype in ("f32", "f64")
]


def main() -> int:
    """Print the share of each file, and the lines that are not reached."""
    counts: dict[str, dict[int, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    notes = sorted(str(path.absolute()) for path in Path("build").rglob("*.gcda"))
    if not notes:
        sys.exit("no module was compiled with --coverage and run: make coverage-kernels")
    with tempfile.TemporaryDirectory() as folder:
        command = ["gcov", "--json-format", "--preserve-paths", *notes]
        subprocess.run(command, check=True, cwd=folder, capture_output=True)
        for report in Path(folder).glob("*.gcov.json.gz"):
            for source in json.loads(gzip.decompress(report.read_bytes()))["files"]:
                if "dlfs_ext/csrc/" in source["file"]:
                    lines = counts[Path(source["file"]).name]
                    for line in source["lines"]:
                        name = line.get("function_name", "")
                        copy = next((copy for copy in COPIES if name.endswith(copy)), "all")
                        seen = lines[line["line_number"]]
                        seen[copy] = seen.get(copy, 0) + line["count"]
    reached, every = 0, 0
    for name, lines in sorted(counts.items()):
        some = [number for number, seen in lines.items() if any(seen.values())]
        never = sorted(lines.keys() - set(some))
        partly = {
            number: [copy for copy, count in sorted(lines[number].items()) if not count]
            for number in sorted(some)
            if not all(lines[number].values())
        }
        print(f"{len(some):5} of {len(lines):5}  {name}")
        if never:
            print(f"      not reached: {', '.join(map(str, never))}")
        for number, copies in partly.items():
            print(f"      line {number}: not in {', '.join(copies)}")
        reached, every = reached + len(some), every + len(lines)
    print(f"{reached:5} of {every:5}  lines reached, {100 * reached / every:.1f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
