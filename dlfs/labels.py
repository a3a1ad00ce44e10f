"""Labels: the names of classes, and what a network's numbers say about them.

A classifier computes with class numbers from 0. Labels come in as they are: texts, any integers,
True and False. ``NeuralNetwork.classes`` has the label of each number, and leads back.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlfs.checks import as_array, optional, shown
from dlfs.types import Array, IntArray

MOST_CLASSES = 2**20
"""The largest number of classes with names."""

LONGEST = 1000
"""The largest number of characters of a class's name."""


class Labelled:
    """A network that knows the label of each class number."""

    _classes: Array | None = None
    _classes_were_found = False

    @property
    def classes(self) -> Array | None:
        """The label of each class number; None where targets are class numbers, or no classes.

        A Trainer finds them in ``y_train``. Set them to fix their order, or where ``y_train`` does
        not have all of them.

        Raises
        ------
        TypeError, ValueError
            If they are set to anything but different texts, integers or booleans.
        """
        return self._classes

    @classes.setter
    def classes(self, classes: Sequence[Any] | Array | None) -> None:
        self._classes = optional(checked_classes, classes, "NeuralNetwork")
        self._classes_were_found = False

    def as_class_numbers(self, labels: Array, outputs: int, owner: str, find: bool) -> Array:
        """Return labels as class numbers, see ``dlfs.labels``; a Trainer calls it.

        ``outputs`` is how many numbers the network gives for one observation. With ``find``, the
        classes are found in these labels if they are not known. An error names ``owner``.
        """
        numbers, found = class_numbers(labels, self._classes, max(outputs, 2), owner, find)
        if find and found is not self._classes:
            self._classes, self._classes_were_found = found, True
        return numbers

    def forget_found_classes(self) -> None:
        """Forget the classes, unless the user has set them."""
        if self._classes_were_found:
            self.classes = None


def as_labels(values: object, owner: str, name: str) -> Array:
    """Return labels as an array of texts, integers or booleans; other arrays unchanged.

    A column of a data frame often holds Python objects: it becomes what they are.

    Raises
    ------
    TypeError
        If there are several kinds, as where a label is missing.

    Examples
    --------
    >>> as_labels(np.array(["cat", "dog"], dtype=object), "f", "y")
    array(['cat', 'dog'], dtype='<U3')
    """
    array = as_array(values, owner, name)
    if array.dtype.kind == "T":  # NumPy's strings of varying length
        array = array.astype(object)
    if array.dtype.kind != "O":
        return array
    entries = array.ravel().tolist()
    kinds = {type(entry) for entry in entries}
    if kinds not in ({str}, {int}, {bool}):
        return array
    return np.array(entries).reshape(array.shape)


def checked_classes(classes: object, owner: str) -> Array:
    """Return the labels of all classes as an array, in their order.

    Parameters
    ----------
    classes : sequence of str, of int or of bool
        All different.
    owner : str
        Whom an error names.

    Examples
    --------
    >>> checked_classes(["cat", "dog"], "f")
    array(['cat', 'dog'], dtype='<U3')
    """
    if isinstance(classes, str | bytes) or not isinstance(classes, Sequence | np.ndarray):
        raise TypeError(f"{owner}: classes must be a list of labels, got {shown(classes)}")
    if len(classes) > MOST_CLASSES:
        raise ValueError(f"{owner}: classes must be at most {MOST_CLASSES}, got {len(classes)}")
    kinds = {type(label) for label in classes}
    array = as_labels(classes, owner, "classes")
    if array.ndim != 1 or array.dtype.kind not in "Uiub" or (str in kinds and kinds != {str}):
        raise TypeError(
            f"{owner}: classes must be one row of texts, integers or booleans, got {shown(classes)}"
        )
    if len(array) < 2 or len(np.unique(array)) < len(array):
        raise ValueError(
            f"{owner}: classes must be at least 2 labels, all different, got {shown(classes)}"
        )
    if array.dtype.kind == "U" and array.itemsize > 4 * LONGEST:
        raise ValueError(f"{owner}: each of classes must have at most {LONGEST} characters")
    return array.copy()


def class_numbers(
    labels: Array, classes: Array | None, count: int, owner: str, find: bool
) -> tuple[Array, Array | None]:
    """Return labels as class numbers, and the classes.

    Integers from 0 to ``count - 1`` are class numbers already, unless the known classes are
    integers themselves.

    Parameters
    ----------
    labels : ndarray
        Texts, integers or booleans; others are returned as they are.
    classes : ndarray or None
        The known ones.
    count : int
        How many classes the network tells apart.
    owner : str
        Whom an error names.
    find : bool
        Whether to find the classes in these labels where they are not known.

    Raises
    ------
    ValueError
        If a label is not known, or there are more or fewer different ones than ``count``.

    Examples
    --------
    >>> numbers, classes = class_numbers(np.array(["no", "yes", "no"]), None, 2, "f", True)
    >>> numbers.tolist(), classes.tolist()
    ([0, 1, 0], ['no', 'yes'])
    """
    kind = labels.dtype.kind
    if kind not in "Uiub" or not labels.size:
        return labels, classes
    if classes is not None and len(classes) != count:
        raise ValueError(
            f"{owner} must be labels of {count} classes, as many as the network tells apart, but "
            f"net.classes has {len(classes)}"
        )
    if classes is not None and (kind == "U") == (classes.dtype.kind == "U"):
        order = np.argsort(classes)
        places = np.minimum(np.searchsorted(classes, labels, sorter=order), len(classes) - 1)
        numbers = order[places]
        if np.array_equal(classes[numbers], labels):
            return numbers, classes
    names_are_integers = classes is not None and classes.dtype.kind in "iu"
    if kind in "iu" and not names_are_integers and 0 <= labels.min() <= labels.max() < count:
        return labels, classes
    if classes is not None:
        unknown = labels.ravel()[~np.isin(labels.ravel(), classes)]
        raise ValueError(
            f"{owner} must hold labels from net.classes, {shown(classes.tolist())}, "
            f"got {shown(unknown[:1].tolist()[0])}"
        )
    if kind == "b" and count == 2:
        return labels.astype(np.int64), np.array([False, True])
    found, numbers = np.unique(labels, return_inverse=True)
    if len(found) != count:
        if kind in "iu":  # the loss refuses them, and names their range
            return labels, None
        raise ValueError(
            f"{owner} must have as many different labels as the network tells classes apart, "
            f"{count}, got {len(found)}: {shown(found.tolist())}; where some do not occur, set "
            "net.classes to all of them"
        )
    if not find:
        raise ValueError(
            f"{owner} must hold class numbers from 0 to {count - 1}, because no training has found "
            f"labels (net.classes is None), got {shown(found[:1].tolist()[0])}"
        )
    return numbers.reshape(labels.shape), found


def names_of(numbers: IntArray, classes: Array | None, count: int) -> Array:
    """Return the labels of class numbers; the numbers themselves where there are no labels.

    The network tells ``count`` classes apart.
    """
    if classes is not None and len(classes) != count:
        raise ValueError(
            f"NeuralNetwork: classes must be {count} labels, as many as the network tells apart, "
            f"got {len(classes)}"
        )
    return numbers if classes is None else classes[numbers]


def classes_from_file(value: Any) -> Array:
    """Return the classes that a file says, checked."""
    if not isinstance(value, list):
        raise ValueError(f"classes must be a list, got {shown(value)}")
    return checked_classes(value, "the file")
