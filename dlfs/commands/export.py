"""``dlfs export``: convert a saved network to ONNX."""

import argparse
from pathlib import Path

from dlfs.saving import load

HELP = "convert a saved network to ONNX"
DESCRIPTION = (
    "Load a network saved by 'dlfs train --save FILE' or dlfs.save, and write it as a model of "
    "ONNX, which other runtimes read. Needs the extra onnx: pip install 'dlfs[onnx]'."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("network", type=Path, help="the file of the network")
    parser.add_argument("model", type=Path, help="the file to write, for example net.onnx")


def run(arguments: argparse.Namespace) -> int:
    """Load, convert, write."""
    from dlfs.onnx import OPSET, to_onnx  # noqa: PLC0415 - an extra

    net = load(arguments.network)
    if arguments.model.exists() and arguments.model.samefile(arguments.network):
        raise ValueError(f"the model must be another file than the network, {arguments.network}")
    to_onnx(net, arguments.model)
    print(f"{arguments.model}: {net.parameter_count():,} parameters, ONNX operators {OPSET}")
    return 0
