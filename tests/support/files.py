"""Files as dlfs writes them, and malformed ones."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

_scratch = tempfile.TemporaryDirectory(prefix="dlfs-tests-")


def scratch_file() -> str:
    """Return a path that may be written to, for a table that has no ``tmp_path``."""
    return str(Path(_scratch.name) / "scratch")


def write(path: Any, config: Any, tensors: dict[str, np.ndarray], **metadata: str) -> None:
    """Write a file of dlfs' form with any architecture, as an object or as text."""
    text = config if isinstance(config, str) else json.dumps(config)
    save_file(tensors, path, {"format": "dlfs 2", "network": text} | metadata)


def read(path: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return a file's metadata, each entry still as text, and its tensors."""
    with safe_open(str(path), framework="numpy") as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def rows_in(tensors: dict[str, np.ndarray]) -> Any:
    """Return the history's rows, which a checkpoint holds as bytes of JSON."""
    return json.loads(tensors["history.rows"].tobytes())


def put_rows(tensors: dict[str, np.ndarray], rows: Any) -> None:
    """Put other rows into the tensors of a checkpoint."""
    tensors["history.rows"] = np.frombuffer(json.dumps(rows).encode(), dtype=np.uint8)
