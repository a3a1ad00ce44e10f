"""``python -m benchmarks``."""

import sys

from benchmarks.environment import start_again

if __name__ == "__main__":
    # before any large import
    start_again()
    from benchmarks.cli import main

    sys.exit(main())
