"""``dlfs sample``: write text with a network saved by ``dlfs train --data sonnets``."""

import argparse
from pathlib import Path

from dlfs.text import load_writer, sample
from dlfs.utils.options import integer_option, real_option

HELP = "write text with a trained network"
DESCRIPTION = (
    "Load a network saved by 'dlfs train --data sonnets --save FILE', and write text with it."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("network", type=Path, help="the file")
    add("--length", type=integer_option(0), default=500, help="number of characters")
    add(
        "--prompt",
        type=_prompt,
        default="\n",
        help="the text to continue",
    )
    temperature = real_option(0.0)
    add(
        "--temperature",
        type=temperature,
        default=0.8,
        help="lower: more likely characters; higher: more surprising ones",
    )
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
