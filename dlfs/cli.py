"""The command line: ``dlfs`` and ``python -m dlfs``."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from dlfs.commands import bench, info, notebooks, sample, train
from dlfs.gradcheck import suite

COMMANDS: dict[str, Any] = {
    "train": train,
    "sample": sample,
    "bench": bench,
    "info": info,
    "gradcheck": suite,
    "notebooks": notebooks,
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(
        prog="dlfs",
        description="Deep learning from scratch: train a network on the data inside the package.",
        epilog="'dlfs COMMAND --help' explains a command. Start with: dlfs train --model cnn",
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=module.HELP,
            description=module.DESCRIPTION,
            formatter_class=_HelpFormatter,
        )
        module.add_arguments(sub)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit status.

    Mistakes of the user's end in one line, without a traceback.
    """
    parsed = parser().parse_args(arguments)
    try:
        status: int = COMMANDS[parsed.command].run(parsed)
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError) as error:
        print(f"dlfs {parsed.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"dlfs {parsed.command}: interrupted", file=sys.stderr)
        return 130
    return status


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults, where there are any."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)


if __name__ == "__main__":
    sys.exit(main())
