"""``dlfs sample``: let a network that ``dlfs train --data sonnets`` saved write."""

import argparse
from pathlib import Path

from dlfs.text import load_writer, sample
from dlfs.utils.options import integer_option, real_option

HELP = "let a trained network write"
DESCRIPTION = "Load a network that 'dlfs train --data sonnets --save FILE' saved, and let it write."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("network", type=Path, help="the file")
    add("--length", type=integer_option(0), default=500, help="how many characters")
    add(
        "--prompt",
        type=_prompt,
        default="\n",
        help="what the network reads first, and goes on from",
    )
    temperature = real_option(0.0)
    add("--temperature", type=temperature, default=0.8, help="lower is safer, higher is wilder")
    add("--seed", type=integer_option(0), default=1, help="one seed gives one text")


def run(arguments: argparse.Namespace) -> int:
    """Load, write."""
    net, vocabulary = load_writer(arguments.network)
    options = (arguments.length, arguments.prompt, arguments.temperature, arguments.seed)
    print((arguments.prompt + sample(net, vocabulary, *options)).lstrip("\n"))
    return 0


def _prompt(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("must hold at least one character")
    return text
