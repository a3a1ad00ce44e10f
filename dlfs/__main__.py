"""``python -m dlfs``: the command line."""

import sys

from dlfs.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
