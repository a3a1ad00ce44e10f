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
    add(
        "--top-k",
        type=integer_option(1),
        default=None,
        help="draw only from this many characters, the likeliest (all)",
    )
    add(
        "--top-p",
        type=real_option(0.0, 1.0, low_open=True),
        default=1.0,
        help="draw only from the likeliest characters that together have this probability (1: all)",
    )
    add(
        "--no-cache",
        action="store_true",
        help="compute the whole text again for each character: the same text, but slower",
    )
    add("--seed", type=integer_option(0), default=1, help="one seed gives one text")


def run(arguments: argparse.Namespace) -> int:
    """Load, write."""
    net, vocabulary = load_writer(arguments.network)
    written = sample(
        net,
        vocabulary,
        arguments.length,
        arguments.prompt,
        arguments.temperature,
        arguments.seed,
        cache=not arguments.no_cache,
        top_k=arguments.top_k,
        top_p=arguments.top_p,
    )
    print((arguments.prompt + written).lstrip("\n"))
    return 0


def _prompt(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("must hold at least one character")
    return text
