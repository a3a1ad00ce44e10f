"""The command line: ``dlfs`` and ``python -m dlfs``."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from dlfs import __version__
from dlfs.commands import (
    bench,
    classroom,
    evaluate,
    export,
    info,
    notebooks,
    predict,
    sample,
    train,
)
from dlfs.gradcheck import suite
from dlfs.train.output import write_line

COMMANDS: dict[str, Any] = {
    "train": train,
    "predict": predict,
    "evaluate": evaluate,
    "sample": sample,
    "export": export,
    "bench": bench,
    "info": info,
    "gradcheck": suite,
    "notebooks": notebooks,
    "class": classroom,
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(
        prog="dlfs",
        description="Deep learning from scratch: train networks on your data, or on the package's.",
        epilog="'dlfs COMMAND --help' explains a command. Start with: dlfs train --model cnn",
    )
    top.add_argument("--version", action="version", version=f"dlfs {__version__}")
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

    The user's mistakes and Ctrl-C end in one line, without a traceback. If the reader of a pipe
    closes it (``dlfs train | head``), the command ends without a message.
    """
    try:
        try:
            parsed = parser().parse_args(arguments)
            parsed.line = list(sys.argv[1:] if arguments is None else arguments)
            return _run(parsed)
        finally:
            # Write errors must occur now, not when Python exits.
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        _throw_away_the_rest()
        return 141  # the exit status that a shell reports for SIGPIPE


def _run(parsed: argparse.Namespace) -> int:
    try:
        status: int = COMMANDS[parsed.command].run(parsed)
    except BrokenPipeError:
        raise
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError) as error:
        write_line(sys.stderr, f"dlfs {parsed.command}: {error}")
        return 2
    except KeyboardInterrupt:
        write_line(sys.stderr, f"dlfs {parsed.command}: interrupted")
        return 130
    return status


def _throw_away_the_rest() -> None:
    """Redirect both streams to the null device, because Python flushes them at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())
        except (AttributeError, OSError, ValueError):
            continue  # the stream is missing or closed
    os.close(nowhere)


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults, where there are any."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)


if __name__ == "__main__":
    sys.exit(main())
