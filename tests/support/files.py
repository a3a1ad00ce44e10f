"""Files as dlfs writes them, and as nobody should."""

import json
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file


def write(path: Any, config: Any, tensors: dict[str, np.ndarray], **metadata: str) -> None:
    """Write a file of dlfs' form with any architecture, as an object or as text."""
    text = config if isinstance(config, str) else json.dumps(config)
    save_file(tensors, path, {"format": "dlfs 1", "network": text} | metadata)


def read(path: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return a file's metadata, each entry still as text, and its tensors."""
    with safe_open(str(path), framework="numpy") as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
