"""Data of one's own in files and frames: tables, folders of images, IDX files; augmentation."""

import gzip
import struct
import sys

import numpy as np
import pytest

import dlfs
from dlfs import datasets
from dlfs.datasets import TableLayout, augment, image_folder, mnist, read_idx, table
from dlfs.datasets.files import DamagedDataError
from dlfs.layers import Dense
from dlfs.losses import SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGD
from dlfs.train import Trainer

CSV = """size,town,garden,price
50,Ulm,true,200.5
80,"Bonn, Rhine",false,320
65,Ulm,FALSE,260
"""


def written(folder, text, name="table.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


# --- tables ---


def test_a_csv_file_becomes_arrays(tmp_path):
    X, y, names, layout = table(written(tmp_path, CSV), target="price")
    assert names == ("size", "town=Bonn, Rhine", "town=Ulm", "garden")
    assert X.tolist() == [[50, 0, 1, 1], [80, 1, 0, 0], [65, 0, 1, 0]]
    assert y.tolist() == [200.5, 320, 260]
    assert X.dtype == y.dtype == np.float64
    again = layout.transform(written(tmp_path, "garden,town,size\ntrue,Ulm,1\n", "other.csv"))
    assert again.tolist() == [[1, 0, 1, 1]]


@pytest.mark.parametrize("target", ["town", "garden", "price"])
def test_a_target_keeps_its_kind(target, tmp_path):
    expected = {
        "town": ["Ulm", "Bonn, Rhine", "Ulm"],
        "garden": [True, False, False],
        "price": [200.5, 320.0, 260.0],
    }
    assert table(written(tmp_path, CSV), target).y.tolist() == expected[target]


@pytest.mark.parametrize("library", ["pandas", "polars", "dict"])
def test_frames_give_what_a_file_gives(library, tmp_path):
    path = written(tmp_path, CSV)
    if library == "dict":
        frame = {"size": [50, 80, 65], "town": ["Ulm", "Bonn, Rhine", "Ulm"]}
        frame |= {"garden": [True, False, False], "price": np.array([200.5, 320, 260])}
    else:
        frame = pytest.importorskip(library).read_csv(path)
    X, y, names, layout = table(frame, "price")
    expected = table(path, "price")
    assert np.array_equal(X, expected.X)
    assert np.array_equal(y, expected.y)
    assert names == expected.names
    assert np.array_equal(layout.transform(path), X)
    assert np.array_equal(expected.layout.transform(frame), X)


HOLES = "age,town,y\n1,Ulm,1\n,Bonn,2\n3,NA,3\n8,Ulm,\n"


def test_missing_values_are_named_dropped_or_filled(tmp_path):
    path = written(tmp_path, HOLES)
    with pytest.raises(ValueError, match=r"column 'age' lacks 1 value \(row 2\); missing='drop'"):
        table(path, "y")
    assert table(path, "y", missing="drop").X.tolist() == [[1, 1]]
    X, y, names, layout = table(path, "y", missing="fill")
    assert names == ("age", "town=Bonn", "town=Ulm", "town=missing")
    assert X.tolist() == [[1, 0, 1, 0], [2, 1, 0, 0], [3, 0, 0, 1]]
    assert y.tolist() == [1, 2, 3]
    # In later tables as well, and also after a file.
    layout = TableLayout.from_notes(layout.as_notes())
    assert layout.transform({"age": [None, 4], "town": ["Bonn", None]}).tolist() == [
        [2, 1, 0, 0],
        [4, 0, 0, 1],
    ]


def test_another_table_with_its_target():
    layout = table({"size": [1, 2, 3], "y": ["a", "b", "a"]}, "y").layout
    X, y = layout.labelled({"y": ["b", "a"], "size": [5, 6]})
    assert X.tolist() == [[5], [6]]
    assert y.tolist() == ["b", "a"]
    for columns, message in (
        ({"size": [5]}, "the table must have the target's column 'y', it has ['size']"),
        ({"size": [5, 6], "y": ["a", None]}, "column 'y' lacks 1 value (row 2)"),
        ({"y": ["a"]}, "the table must have the column 'size', as in training; it has ['y']"),
    ):
        with pytest.raises(ValueError, match=r"^TableLayout\.labelled: ") as caught:
            layout.labelled(columns)
        assert str(caught.value).startswith(f"TableLayout.labelled: {message}")


def test_a_number_that_is_nan_is_missing_and_a_mark_of_the_encoding_is_no_name(tmp_path):
    with pytest.raises(ValueError, match=r"column 'a' lacks 1 value \(row 2\)") as caught:
        table({"a": np.array([1, np.nan]), "y": [1, 2]}, "y")
    assert str(caught.value).endswith("missing='fill' puts in the median, or a category of its own")
    path = tmp_path / "marked.csv"
    path.write_bytes(b"\xef\xbb\xbfage,y\n1,2\n3,4\n")
    layout = table(path, "y").layout
    assert table(path, "y").names == ("age",)
    with pytest.raises(ValueError, match=r"^TableLayout\.transform: the table must have the col"):
        layout.transform({"town": [1]})


def test_truths_in_an_array_are_a_target_as_they_are():
    y = np.array([True, False])
    assert table({"a": [1.0, 2.0], "y": y}, "y").y.tolist() == [True, False]


def test_what_is_neither_equal_nor_unequal_to_itself_is_missing():
    class Unknown:  # as pandas.NA
        __hash__ = None

        def __ne__(self, other):
            return self

        def __bool__(self):
            raise TypeError("neither true nor false")

    columns = {"a": np.array([1.5, Unknown(), 2.5], dtype=object), "y": [1, 2, 3]}
    with pytest.raises(ValueError, match=r"column 'a' lacks 1 value \(row 2\)"):
        table(columns, "y")


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_missing_values_of_frames(library):
    frames = pytest.importorskip(library)
    frame = frames.DataFrame({"a": [1.5, None, 2.5], "b": ["x", None, "y"], "y": [1, 2, 3]})
    with pytest.raises(ValueError, match=r"column 'a' lacks 1 value \(row 2\)"):
        table(frame, "y")
    assert table(frame, "y", missing="fill").X.tolist() == [
        [1.5, 0, 1, 0],
        [2.0, 1, 0, 0],
        [2.5, 0, 0, 1],
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have a first row with the names"),
        ("a,price\n", "rows of values, got 0"),
        ("a,b\n1,2\n", r"target must be one of the columns, \['a', 'b'\], got 'price'"),
        ("price\n1\n", "must have a column besides the target"),
        ("a,a,price\n1,2,3\n", "must have different names"),
        ("a,,price\n1,2,3\n", "must have different names"),
        ("a,price\n1,2\n3\n", "row 2 of .* must have 2 values.*got 1"),
        ("a,price\n1,2,3\n", "row 1 of .* must have 2 values.*got 3"),
        ("a,price\n,2\n?,3\n", r"column 'a' lacks 2 values \(row 1, 2\)"),
        ("a,price\ninf,2\n", "column 'a' must hold finite numbers"),
        ('a,price\n"x,2\n', "must be a CSV file"),
    ],
)
def test_a_file_that_is_not_such_a_table_is_explained(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        table(written(tmp_path, text), "price")


def test_other_mistakes_with_tables_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        table(tmp_path / "none.csv", "price")
    (tmp_path / "bytes.csv").write_bytes(b"a,price\n\xff\xfe,1\n")
    with pytest.raises(ValueError, match="must be a CSV file in UTF-8"):
        table(tmp_path / "bytes.csv", "price")
    with pytest.raises(TypeError, match="data must be the path of a CSV file, a data frame"):
        table(3, "price")
    with pytest.raises(ValueError, match="missing must be one of"):
        table({"a": [1], "y": [1]}, "y", missing="guess")
    with pytest.raises(ValueError, match="column 'b' must be one row of as many values"):
        table({"a": [1, 2], "b": [1]}, "a")
    for kind in ("datetime64[D]", "timedelta64[D]"):
        with pytest.raises(TypeError, match=f"must hold numbers or texts, got {kind[:8]}"):
            table({"a": np.array([1], kind), "y": [1]}, "y")
    with pytest.raises(TypeError, match=r"^table: target must be"):
        table({"a": [1], "y": [1]}, 3)
    layout = table({"a": [1], "y": [1]}, "y").layout
    with pytest.raises(TypeError, match="names of columns must be texts, got 0"):
        table({0: [1], "y": [1]}, "y")
    for nothing in ({}, {"a": [], "y": []}):
        with pytest.raises(ValueError, match="the table must have at least one row, got none"):
            table(nothing, "y")
    for missing in ("fill", "error"):
        with pytest.raises(ValueError, match=r"column 'a' (must have values|lacks 2 values)"):
            table({"a": [None, None], "y": [1, 2]}, "y", missing=missing)
    with pytest.raises(FileNotFoundError, match=r"^TableLayout\.transform: there is no file"):
        layout.transform(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="at most 1000 different texts"):
        table({"a": [f"n{i}" for i in range(1001)], "y": range(1001)}, "y")
    with pytest.raises(ValueError, match="no row is left"):
        table({"a": [None, 1.0], "y": [1.0, None]}, "y", missing="drop")
    layout = table(written(tmp_path, CSV), "price").layout
    with pytest.raises(ValueError, match="must have the column 'town', as in training"):
        layout.transform({"size": [1]})
    with pytest.raises(ValueError, match="must hold categories that were there in training"):
        layout.transform({"size": [1], "town": ["Kiel"], "garden": [True]})
    with pytest.raises(ValueError, match="column 'size' must hold numbers"):
        layout.transform({"size": ["large"], "town": ["Ulm"], "garden": [True]})
    with pytest.raises(ValueError, match="column 'size' lacks 1 value"):
        layout.transform({"size": [None], "town": ["Ulm"], "garden": [True]})
    column = {"name": "a", "categories": None, "fill": None}
    for notes in (
        None, {}, {"columns": [3], "target": "y"}, {"columns": [], "target": 3},
        {"columns": [{**column, "name": 3}], "target": "y"},
        {"columns": [{**column, "categories": ["x", 3]}], "target": "y"},
        {"columns": [{**column, "fill": [0.5]}], "target": "y"},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="malformed"):
            TableLayout.from_notes(notes)


def test_labels_of_a_table_train_a_classifier():
    rng = np.random.default_rng(0)
    kinds = np.array(["ant", "bee"])[rng.integers(0, 2, 80)]
    frame = {"length": (kinds == "bee") * 2 + rng.normal(size=80), "kind": kinds}
    X, y, _, _ = table(frame, "kind")
    net = NeuralNetwork([Dense(2)], SoftmaxCrossEntropy())
    Trainer(net, SGD(lr=0.1)).fit(X, y, epochs=30, verbose=0)
    assert np.mean(net.predict_classes(X) == y) > 0.75


# --- folders of images ---


@pytest.fixture
def pictures(tmp_path):
    """Return a folder with pictures of two classes, and what makes further ones."""
    image = pytest.importorskip("PIL.Image")

    def draw(name, size=(4, 3), grey=255, mode="L"):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.new(mode, size, grey).save(path)

    draw("cat/a.png", grey=0)
    draw("cat/b.JPG")
    draw("dog/c.png", grey=51)
    (tmp_path / "pictures" / "cat" / "notes.txt").write_text("not an image")
    return tmp_path / "pictures", draw


def test_images_are_read_with_their_folder_as_class(pictures):
    X, y, classes = image_folder(pictures[0])
    assert X.shape == (3, 1, 3, 4)
    assert X.dtype == np.float32
    np.testing.assert_allclose(X[:, 0, 0, 0], [0, 1, 0.2], atol=1e-7)
    assert (y.tolist(), classes) == ([0, 0, 1], ("cat", "dog"))
    assert image_folder(pictures[0], size=6, colour=True, dtype="float64").X.shape == (3, 3, 6, 6)


def test_channels_of_colours_come_first(pictures):
    folder, draw = pictures
    draw("dog/red.png", grey=(255, 0, 0), mode="RGB")
    X = image_folder(folder, colour=True).X
    assert X[3, :, 1, 1].tolist() == [1, 0, 0]


def test_sizes_that_differ_are_named_or_scaled(pictures):
    folder, draw = pictures
    draw("dog/wide.png", size=(9, 3))
    with pytest.raises(ValueError, match=r"a\.png has 4 x 3 pixels .*wide\.png has 9 x 3; size="):
        image_folder(folder)
    assert image_folder(folder, size=(3, 4)).X.shape == (4, 1, 3, 4)


def test_folders_that_hold_no_images_are_explained(pictures, tmp_path):
    folder, _ = pictures
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        image_folder(tmp_path / "nowhere")
    with pytest.raises(NotADirectoryError, match="path must be a folder"):
        image_folder(folder / "cat" / "a.png")
    with pytest.raises(ValueError, match="must have a folder for each class"):
        image_folder(folder / "cat")
    (folder / "empty").mkdir()
    endings = r"\.bmp, \.gif, \.jpeg, \.jpg, \.png, \.ppm, \.tif, \.tiff, \.webp"
    with pytest.raises(
        ValueError, match=rf"empty must have images \(names that end in {endings}\)"
    ):
        image_folder(folder)
    (folder / "empty" / "x.png").write_text("text")
    with pytest.raises(ValueError, match=r"x\.png must be an image that Pillow can read"):
        image_folder(folder)
    for size in (0, (3,), (3, -1), "large"):
        with pytest.raises((TypeError, ValueError), match="image_folder: size must be"):
            image_folder(folder, size=size)


def test_the_whole_message_about_a_folder(pictures):
    folder, draw = pictures
    said = []
    draw("dog/wide.png", size=(9, 3))
    for path in (folder, folder / "none", folder / "cat", folder / "cat" / "a.png"):
        with pytest.raises((ValueError, OSError)) as caught:
            image_folder(path)
        said.append(str(caught.value))
    assert said == [
        (
            f"image_folder: all images must have the same size, but {folder / 'cat' / 'a.png'} has "
            f"4 x 3 pixels (width x height), and {folder / 'dog' / 'wide.png'} has 9 x 3; "
            "size=(3, 4), for example, scales all of them"
        ),
        f"image_folder: there is no folder {folder / 'none'}",
        (
            f"image_folder: {folder / 'cat'} must have a folder for each class, with its images; "
            "there is no folder in it"
        ),
        f"image_folder: path must be a folder, got the file {folder / 'cat' / 'a.png'}",
    ]
    for size in ((3,), (1, 2, 3)):
        with pytest.raises((TypeError, ValueError)) as caught:
            image_folder(folder, size=size)
        assert str(caught.value) == (
            f"image_folder: size must be a number or (height, width), got {size!r}"
        )
    with pytest.raises(TypeError, match=r"^image_folder: colour must be True or False"):
        image_folder(folder, colour="grey")
    assert image_folder(folder, size=(2, 2**14)).X.shape[2:] == (2, 2**14)
    with pytest.raises(ValueError, match=r"image_folder: size must be .*16384"):
        image_folder(folder, size=(2, 2**14 + 1))


def test_an_image_that_is_too_large_to_unpack_is_named(pictures, monkeypatch):
    folder, _ = pictures
    monkeypatch.setattr(pytest.importorskip("PIL.Image"), "MAX_IMAGE_PIXELS", 5)
    with pytest.raises(ValueError, match=r"image_folder: .*a\.png is too large: Image size \(12"):
        image_folder(folder)


def test_without_pillow_the_extra_is_named(pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"extra images: pip install 'dlfs\[images\]'"):
        image_folder(pictures[0])


# --- IDX files in the form of MNIST ---


def idx(array):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def fashion(folder, **changes):
    """Write four files as those of Fashion-MNIST, of a few small images."""
    rng = np.random.default_rng(0)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (6, 5, 4)),
        "train-labels-idx1-ubyte": np.array([0, 1, 2, 3, 4, 11]),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (2, 5, 4)),
        "t10k-labels-idx1-ubyte": np.array([1, 4]),
    } | changes
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        if array is not None:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    return folder, arrays


def test_a_folder_of_four_files_is_read_with_one_call(tmp_path):
    folder, arrays = fashion(tmp_path / "fashion")
    for found, expected in zip(read_idx(folder), arrays.values(), strict=True):
        assert np.array_equal(found, expected)
        assert found.dtype == np.uint8
    data = mnist(folder=folder)
    assert data.X_train.shape == (6, 1, 5, 4)
    assert np.array_equal(
        data.X_train[:, 0], (arrays["train-images-idx3-ubyte"] / 255).astype("f4")
    )
    assert data.y_test.tolist() == [1, 4]
    numbers = {"train-images-idx3-ubyte": np.arange(6), "t10k-images-idx3-ubyte": np.arange(2)}
    assert read_idx(fashion(tmp_path / "numbers", **numbers)[0])[0].tolist() == [0, 1, 2, 3, 4, 5]
    assert mnist(folder=folder, one_hot=True, flatten=True).y_test.shape == (2, 12)
    later = fashion(tmp_path / "later", **{"t10k-labels-idx1-ubyte": np.array([1, 14])})[0]
    assert mnist(folder=later, one_hot=True).y_train.shape == (6, 15)
    assert mnist(folder=folder, scaling="standard", dtype="float64").X_train.mean() == (
        pytest.approx(0, abs=1e-12)
    )


def test_folders_that_are_not_such_are_explained(tmp_path):
    with pytest.raises(FileNotFoundError, match="begins with t10k-labels"):
        read_idx(fashion(tmp_path / "a", **{"t10k-labels-idx1-ubyte": None})[0])
    with pytest.raises(DamagedDataError, match="images and the labels of train must have the same"):
        read_idx(fashion(tmp_path / "b", **{"train-labels-idx1-ubyte": np.arange(5)})[0])
    with pytest.raises(ValueError, match="training and test images of one size"):
        mnist(folder=fashion(tmp_path / "c", **{"t10k-images-idx3-ubyte": np.ones((2, 5, 5))})[0])
    flat = {"train-images-idx3-ubyte": np.ones((6, 20))}
    with pytest.raises(ValueError, match="must have images"):
        mnist(folder=fashion(tmp_path / "d", **flat)[0])


# --- augmentation ---

ALL = [augment.Shift(1.5), augment.Flip(), augment.Crop(2), augment.Rotate(20.0)]


@pytest.mark.parametrize("change", ALL, ids=repr)
def test_augmentation_changes_images_and_not_its_input(change):
    X = np.random.default_rng(0).uniform(size=(8, 2, 6, 7)).astype(np.float32)
    before = X.copy()
    changed = change(X, np.random.default_rng(1))
    assert np.array_equal(X, before)
    assert changed.shape == X.shape
    assert changed.dtype == X.dtype
    assert not np.array_equal(changed, X)
    assert np.array_equal(changed, change(X, np.random.default_rng(1)))
    # Each image in its own way, all channels of an image in the same.
    twice = change(np.stack([X[:, 0], X[:, 0]], axis=1), np.random.default_rng(1))
    assert np.array_equal(twice[:, 0], twice[:, 1])
    alike = change(np.repeat(X[:1], 8, axis=0), np.random.default_rng(1))
    assert len(np.unique(alike.reshape(8, -1), axis=0)) > 1


def test_a_shift_moves_between_pixels_and_a_rotation_about_the_centre():
    """Against interpolation written out, with the moves that the generator draws."""
    X = np.random.default_rng(2).uniform(size=(5, 2, 6, 7))
    moves = np.random.default_rng(3).uniform(-1.5, 1.5, (5, 2))
    padded = np.pad(X, ((0, 0), (0, 0), (3, 3), (3, 3)), constant_values=0.25)
    found = augment.Shift(1.5, fill=0.25)(X, np.random.default_rng(3))
    for image, moved, move in zip(padded, found, moves, strict=True):
        rows, columns = np.arange(6) + 3 - move[0], np.arange(7) + 3 - move[1]
        top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
        down, right = (rows - top)[:, None], columns - left
        wanted = sum(
            image[:, top + i][:, :, left + j]
            * (down if i else 1 - down)
            * (right if j else 1 - right)
            for i in (0, 1)
            for j in (0, 1)
        )
        # Only where all four neighbours are in the image is nothing left to a convention.
        inside = ((rows >= 3) & (rows <= 8))[:, None] & ((columns >= 3) & (columns <= 9))
        np.testing.assert_allclose(moved[:, inside], wanted[:, inside], atol=1e-12)
    square = np.random.default_rng(4).uniform(size=(3, 1, 5, 5))
    angles = np.random.default_rng(5).uniform(-90, 90, 3)
    turned = augment.Rotate(90.0, fill=0.5)(square, np.random.default_rng(5))
    np.testing.assert_allclose(turned[..., 2, 2], square[..., 2, 2], atol=1e-12)
    assert (np.abs(angles) > 1).all()
    # The corner comes from outside, or from the neighbours of a place inside.
    assert turned.min() >= 0
    assert turned.max() <= 1


def test_what_is_known_of_each_change():
    X = np.arange(24.0).reshape(2, 1, 3, 4)
    rng = np.random.default_rng(0)
    assert np.array_equal(augment.Flip(1.0)(X, rng), X[..., ::-1])
    assert np.array_equal(augment.Flip(1.0, vertical=True)(X, rng), X[..., ::-1, ::-1])
    for nothing in (augment.Flip(0.0), augment.Shift(0.0), augment.Crop(0), augment.Rotate(0.0)):
        np.testing.assert_allclose(nothing(X, rng), X, atol=1e-12)
    # A cut of an image that is padded by one pixel is the image, moved by at most one.
    moved = augment.Crop(1, fill=-1.0)(X, rng)
    padded = np.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-1.0)
    for image, of in zip(moved[:, 0], padded[:, 0], strict=True):
        cuts = [of[i : i + 3, j : j + 4] for i in range(3) for j in range(3)]
        assert any(np.array_equal(image, cut) for cut in cuts)
    # A shift of a constant image has the fill at one edge or the other.
    shifted = augment.Shift(1.0, fill=5.0)(np.ones((4, 1, 6, 6)), rng)
    assert shifted.min() >= 1
    assert (shifted.reshape(4, -1).max(axis=1) > 1).all()
    # A square turned by a quarter is a square.
    square = np.zeros((1, 1, 9, 9))
    square[..., 3:6, 3:6] = 1
    assert abs(augment.Rotate(180.0)(square, rng).sum() - 9) < 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: augment.Shift(-1), "Shift: pixels must be"),
        (lambda: augment.Flip(2), "Flip: probability must be"),
        (lambda: augment.Crop(1.5), "Crop: padding must be an integer"),
        (lambda: augment.Rotate(270), "Rotate: degrees must be"),
        (lambda: augment.Shift(fill="0"), "^Shift: fill must be"),
        (lambda: augment.Crop(fill="0"), "^Crop: fill must be"),
        (lambda: augment.Rotate(fill="0"), "^Rotate: fill must be"),
        *(
            (
                lambda change=change: change("images", np.random.default_rng()),
                f"^{type(change).__name__}: X must",
            )
            for change in ALL
        ),
        *(
            (
                lambda change=change: change(np.ones((3, 4)), np.random.default_rng()),
                (
                    f"^{type(change).__name__}: X must be images \\(batch, channels, height, "
                    "width\\), got shape \\(3, 4\\)$"
                ),
            )
            for change in ALL
        ),
    ],
)
def test_mistakes_with_augmentation_are_named(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_training_with_augmentation_resumes(tmp_path):
    X, y = np.random.default_rng(0).uniform(size=(40, 1, 6, 6)), np.arange(40) % 3

    def train(epochs, transform=ALL, **options):
        net = NeuralNetwork([dlfs.Flatten(), Dense(3)], SoftmaxCrossEntropy())
        Trainer(net, SGD()).fit(X, y, epochs=epochs, transform=transform, verbose=0, **options)
        return net.predict(X)

    path = tmp_path / "checkpoint"
    train(2, checkpoint=path)
    assert np.array_equal(train(4, checkpoint=path, resume=True), train(4))
    with pytest.raises(ValueError, match="transform"):
        train(4, ALL[:3], checkpoint=path, resume=True)


def test_what_prepares_data_is_beside_the_data():
    for name in datasets.__all__:
        assert hasattr(datasets, name)
    assert datasets.augment is augment
