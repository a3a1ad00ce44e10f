"""What turns a user's files into inputs, and predictions into answers; saved with the network.

``dlfs train`` keeps it in ``net.notes``; ``dlfs predict`` and ``dlfs evaluate`` prepare data in the
same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from dlfs.checks import check_finite, shown
from dlfs.datasets import Standardizer, TableLayout, image_folder
from dlfs.datasets.folder import checked_size, image_files, read_images
from dlfs.datasets.tables import target_of
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGD
from dlfs.train import Trainer
from dlfs.train.metrics import METRICS
from dlfs.types import Array

OWN = "a CSV file, a folder of images or a text file (.txt)"


def kind_of(path: Path, argument: str, others: str = "") -> str:
    """Return what a path holds: "table", "images" or "text".

    Parameters
    ----------
    path : path
    argument, others : str
        What an error names, and what the argument may be besides a path.

    Raises
    ------
    ValueError
        If it holds none of these.
    """
    if path.is_dir():
        return "images"
    kinds = {".csv": "table", ".txt": "text"}
    if path.suffix.lower() not in kinds or not path.exists():
        missing = "" if path.exists() else ", which does not exist"
        raise ValueError(f"{argument} must be {others}{OWN}, got {str(path)!r:.200}{missing}")
    return kinds[path.suffix.lower()]


def read_text(path: Path) -> str:
    """Return the text in a file.

    Raises
    ------
    ValueError
        If it is not in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be a text in UTF-8: {error}") from error


@dataclass(frozen=True)
class Scaling:
    """The shift and scale of numbers, see ``Standardizer``."""

    scaler: Standardizer

    def as_notes(self) -> dict[str, list[float]]:
        """Return values of JSON."""
        return {"mean": self.scaler.mean.tolist(), "scale": self.scaler.scale.tolist()}

    @classmethod
    def from_notes(cls, notes: Any, count: int) -> Self:
        """Return what ``as_notes`` returned, checked: it comes from a file."""
        try:
            arrays = [np.array(notes[name], dtype=np.float64) for name in ("mean", "scale")]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the scaling in the file is malformed: {shown(notes)}") from error
        for array in arrays:
            if array.shape != (count,):
                raise ValueError(
                    f"the scaling in the file must have {count} numbers, got {shown(notes)}"
                )
            check_finite(array, "the file", "scaling")
        if not (arrays[1] > 0).all():
            raise ValueError(f"the scales in the file must be above 0, got {shown(notes)}")
        return cls(Standardizer(*arrays))


@dataclass(frozen=True)
class TablePreparation:
    """Prepares tables: categories to columns, numbers to mean 0 and variance 1.

    Parameters
    ----------
    layout : TableLayout
    inputs : Scaling
    target : Scaling, optional
        Of a target of numbers; None for classes.
    """

    layout: TableLayout
    inputs: Scaling
    target: Scaling | None

    def unlabelled(self, path: Path) -> tuple[Array, list[str]]:
        """Return inputs to predict for, and nothing that names them."""
        return self.inputs.scaler.transform(self.layout.transform(path)), []

    def labelled(self, path: Path, classes: Array | None) -> tuple[Array, Array]:
        """Return inputs and targets to evaluate with, the targets of the kind that they have."""
        X, y = self.layout.labelled(path)
        if classes is not None:
            y = as_classes(y, classes, self.layout.target)
        return self.inputs.scaler.transform(X), y

    @property
    def names(self) -> tuple[list[str], str]:
        """The names of what names a row, and of the answers."""
        return [], self.layout.target

    def as_notes(self) -> dict[str, Any]:
        """Return values of JSON."""
        return {
            "kind": "table",
            "layout": self.layout.as_notes(),
            "inputs": self.inputs.as_notes(),
            "target": None if self.target is None else self.target.as_notes(),
        }

    @classmethod
    def from_notes(cls, notes: dict[str, Any]) -> Self:
        """Return what ``as_notes`` returned."""
        layout = TableLayout.from_notes(notes.get("layout"))
        target = notes.get("target")
        return cls(
            layout,
            Scaling.from_notes(notes.get("inputs"), len(layout.names)),
            None if target is None else Scaling.from_notes(target, 1),
        )


@dataclass(frozen=True)
class ImagePreparation:
    """Prepares images: their size, grey or colour, from 0 to 1.

    Parameters
    ----------
    size : (height, width)
    colour : bool
    """

    size: tuple[int, int]
    colour: bool
    target: None = None

    def unlabelled(self, path: Path) -> tuple[Array, list[str]]:
        """Return the images in a folder, or the one that is a file, and their names."""
        files = image_files(path) if path.is_dir() else [path]
        if not files:
            raise ValueError(f"{path} must have images in it, it has none")
        X = read_images(files, self.size, self.colour, np.dtype(np.float32))
        return X, [str(file) for file in files]

    def labelled(self, path: Path, classes: Array | None) -> tuple[Array, Array]:
        """Return images, and the names of their folders."""
        images = image_folder(path, self.size, self.colour)
        y = np.array(images.classes)[images.y]
        # Digits are named by numbers: their network has no other labels.
        numbered = classes is None and all(name.isdigit() for name in images.classes)
        return images.X, y.astype(np.int64) if numbered else y

    @property
    def names(self) -> tuple[list[str], str]:
        """The names of what names a row, and of the answers."""
        return ["file"], "class"

    def as_notes(self) -> dict[str, Any]:
        """Return values of JSON."""
        return {"kind": "images", "size": list(self.size), "colour": self.colour}

    @classmethod
    def from_notes(cls, notes: dict[str, Any]) -> Self:
        """Return what ``as_notes`` returned."""
        size = checked_size(notes.get("size"), "the file")
        if size is None or not isinstance(notes.get("colour"), bool):
            raise ValueError(f"the preparation of images is malformed: {shown(notes)}")
        return cls(size, notes["colour"])


def as_classes(values: Array, classes: Array, name: str) -> Array:
    """Return a target as labels of the kind that the classes are: texts, integers, booleans."""
    if classes.dtype.kind == "U":
        return values.astype(str)
    found = target_of(values)
    if classes.dtype.kind in "iu" and found.dtype.kind == "f" and (found == np.round(found)).all():
        return found.astype(np.int64)
    if found.dtype.kind != classes.dtype.kind:
        raise ValueError(
            f"column {name!r:.80} must hold labels as in training, {shown(classes.tolist())}, "
            f"got {shown(found[:1].tolist()[0])}"
        )
    return found


Preparation = TablePreparation | ImagePreparation

KINDS: dict[str, type[TablePreparation] | type[ImagePreparation]] = {
    "table": TablePreparation,
    "images": ImagePreparation,
}


def preparation_of(net: NeuralNetwork, path: Path) -> Preparation:
    """Return what a network's notes say of the preparation of its data.

    Raises
    ------
    ValueError
        If they say nothing.
    """
    notes = net.notes.get("data")
    kind = notes.get("kind") if isinstance(notes, dict) else None
    if not isinstance(notes, dict) or not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(
            f"{path} must be a network that 'dlfs train' saved after a table or images; the file "
            "does not say how to prepare data"
        )
    return KINDS[kind].from_notes(notes)


def measured(
    net: NeuralNetwork, preparation: Preparation, X: Array, y: Array, names: Sequence[str]
) -> dict[str, float]:
    """Return metrics by name; those of numbers in the units of the target.

    Parameters
    ----------
    X : ndarray
        Prepared.
    y : ndarray
        As it is: labels, or numbers in their units.
    """
    if preparation.target is None:
        return Trainer(net, SGD()).evaluate(X, y, names)
    y = target_of(y)
    if y.dtype.kind != "f":
        raise ValueError(
            f"the target must be numbers, as in training, got {shown(y[:1].tolist()[0])}"
        )
    prediction = preparation.target.scaler.inverse(net.predict(X))
    for name in names:
        if name not in ("mae", "rmse", "r2"):
            raise ValueError(f"the metric of numbers must be mae, rmse or r2, got {name!r}")
    return {name: METRICS[name](y.reshape(-1, 1), prediction) for name in names}
