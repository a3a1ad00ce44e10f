"""Images in folders: one folder for each class."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dlfs import checks
from dlfs.types import Array, IntArray

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""How the names of images end, in small letters; other files are not read."""


class Images(NamedTuple):
    """Images, the number of the class of each, and the classes' names, sorted.

    Examples
    --------
    >>> images = Images(np.zeros((2, 1, 3, 4)), np.array([0, 1]), ("cat", "dog"))
    >>> images.X.shape, images.classes
    ((2, 1, 3, 4), ('cat', 'dog'))
    """

    X: Array
    y: IntArray
    classes: tuple[str, ...]


def image_folder(
    path: str | os.PathLike[str],
    size: int | tuple[int, int] | None = None,
    colour: bool = False,
    dtype: npt.DTypeLike = np.float32,
) -> Images:
    """Read images, one folder for each class: ``path/cat/1.png``, ``path/dog/7.jpg``.

    Parameters
    ----------
    path : path
        The folder of the folders. Needs Pillow, the extra ``images``.
    size : int or (height, width), optional
        The size to which each image is scaled. By default they stay as they are, and must all have
        one size.
    colour : bool, default False
        False gives grey, one channel; True gives red, green and blue, three channels.
    dtype : dtype, default float32
        float32 or float64.

    Returns
    -------
    Images
        A named tuple ``(X, y, classes)``: images (batch, channels, height, width) from 0 to 1,
        integers (batch,), and the names of the folders, sorted. Give them to a network
        (``net.classes = images.classes``), and it predicts names.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder.
    ValueError
        If there are no folders or no images in them, an image cannot be read, or sizes differ.
    ImportError
        If Pillow is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat", "dog"):
    ...         Path(folder, name).mkdir()
    ...         Image.new("L", (4, 3), 255).save(Path(folder, name, "1.png"))
    ...     X, y, classes = image_folder(folder)
    >>> X.shape, y.tolist(), classes
    ((2, 1, 3, 4), [0, 1], ('cat', 'dog'))
    """
    owner, root = "image_folder", Path(path)
    wanted, colour = checked_size(size, owner), checks.check_flag(colour, owner, "colour")
    float_dtype = checks.check_float_dtype(dtype, owner)
    if not root.exists():
        raise FileNotFoundError(f"{owner}: there is no folder {root}")
    if not root.is_dir():
        raise NotADirectoryError(f"{owner}: path must be a folder, got the file {root}")
    folders = sorted(f for f in root.iterdir() if f.is_dir() and not f.name.startswith("."))
    if not folders:
        raise ValueError(
            f"{owner}: {root} must have a folder for each class, with its images; there is no "
            "folder in it"
        )
    files = [image_files(folder) for folder in folders]
    for folder, found in zip(folders, files, strict=True):
        if not found:
            raise ValueError(
                f"{owner}: {folder} must have images (names that end in {', '.join(ENDINGS)}), "
                "it has none"
            )
    X = read_images([file for found in files for file in found], wanted, colour, float_dtype)
    y = np.repeat(np.arange(len(folders)), [len(found) for found in files])
    return Images(X, y, tuple(folder.name for folder in folders))


def image_files(folder: Path) -> list[Path]:
    """Return the images in a folder, sorted by name."""
    return sorted(f for f in folder.iterdir() if f.is_file() and f.suffix.lower() in ENDINGS)


def checked_size(size: object, owner: str) -> tuple[int, int] | None:
    """Return height and width; None stays None."""
    if size is None:
        return None
    sizes = size if isinstance(size, tuple | list) else (size, size)
    if len(sizes) != 2:
        raise ValueError(f"{owner}: size must be a number or (height, width), got {size!r:.80}")
    height, width = (checks.check_int(s, owner, "size", 1, 2**14) for s in sizes)
    return height, width


def read_images(
    paths: list[Path], size: tuple[int, int] | None, colour: bool, dtype: "np.dtype[Any]"
) -> Array:
    """Return images from files, (batch, channels, height, width), from 0 to 1.

    Raises
    ------
    ValueError
        If one cannot be read, or sizes differ and no ``size`` is given.
    ImportError
        If Pillow is not installed.
    """
    images: list[Array] = []
    for path in paths:
        image = _read(path, size, colour)
        if images and image.shape != images[0].shape:
            (h, w), (first_h, first_w) = image.shape[1:], images[0].shape[1:]
            raise ValueError(
                f"image_folder: all images must have the same size, but {paths[0]} has {first_w} x "
                f"{first_h} pixels (width x height), and {path} has {w} x {h}; size=({first_h}, "
                f"{first_w}), for example, scales all of them"
            )
        images.append(image)
    return np.stack(images).astype(dtype) / dtype.type(255)


def _read(path: Path, size: tuple[int, int] | None, colour: bool) -> Array:
    """Return one image as integers, channels first."""
    try:
        from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ImportError(
            "dlfs.datasets.image_folder needs the extra images: pip install 'dlfs[images]'"
        ) from error
    try:
        with Image.open(path) as file:
            image = file.convert("RGB" if colour else "L")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        told = f"image_folder: {path} must be an image that Pillow can read: {error}"
        raise ValueError(told) from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"image_folder: {path} is too large: {error}") from error
    if size is not None and (image.height, image.width) != size:
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels.transpose(2, 0, 1) if colour else pixels[np.newaxis]
