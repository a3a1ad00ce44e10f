"""``python -m benchmarks``."""

import sys

from benchmarks.memory import start_again_tuned

if __name__ == "__main__":
    # before any large import
    start_again_tuned()
    from benchmarks.cli import main

    sys.exit(main())
