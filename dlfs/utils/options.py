"""Numeric options of the command line, checked when the line is parsed."""

import argparse
import math
from collections.abc import Callable

from dlfs.checks import check_int, check_real


def integer_option(minimum: int) -> Callable[[str], int]:
    """Return a ``type`` for argparse: an integer, at least ``minimum``.

    Examples
    --------
    >>> integer_option(1)("12")
    12
    """

    def convert(text: str) -> int:
        try:
            return check_int(int(text), "", "", minimum)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"must be an integer, at least {minimum}, got {text!r:.80}"
            ) from None

    return convert


def real_option(
    low: float, high: float = math.inf, *, low_open: bool = False
) -> Callable[[str], float]:
    """Return a ``type`` for argparse: a finite number in a range, open at its lower end if asked.

    Examples
    --------
    >>> real_option(0.0, low_open=True)("0.5")
    0.5
    """
    least = f"more than {low:g}" if low_open else f"at least {low:g}"
    most = "" if high == math.inf else f" and at most {high:g}"

    def convert(text: str) -> float:
        try:
            return check_real(float(text), "", "", low, high, low_open=low_open)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"must be a finite number, {least}{most}, got {text!r:.80}"
            ) from None

    return convert
