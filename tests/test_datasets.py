"""The included data equals the original, has the documented form, and is checked for damage."""

import gzip
import hashlib
import io
import math
import re
import shutil
import struct
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dlfs import datasets
from dlfs.datasets import files
from dlfs.datasets.idx import parse_idx

DATA = Path(datasets.__file__).parent / "data"

READERS = {
    "mnist/train-images-idx3-ubyte.gz": datasets.mnist,
    "mnist/train-labels-idx1-ubyte.gz": datasets.mnist,
    "mnist/t10k-images-idx3-ubyte.gz": datasets.mnist,
    "mnist/t10k-labels-idx1-ubyte.gz": datasets.mnist,
    "boston_house_prices.csv": datasets.boston,
    "shakespeare_sonnets.txt": datasets.sonnets,
}


@pytest.fixture(scope="module")
def raw() -> datasets.MNIST:
    return datasets.mnist(scaling="none")


# --- MNIST ---


@pytest.mark.parametrize(
    ("name", "md5"),
    [
        ("train-images-idx3-ubyte.gz", "6bbc9ace898e44ae57da46a324031adb"),
        ("train-labels-idx1-ubyte.gz", "a25bea736e30d166cdddb491f175f624"),
        ("t10k-images-idx3-ubyte.gz", "2646ac647ad5339dbf082846283269ea"),
        ("t10k-labels-idx1-ubyte.gz", "27ae3e4e09519cfbb04c329615203637"),
    ],
)
def test_mnist_files_are_those_of_the_original_distribution(name: str, md5: str) -> None:
    content = gzip.decompress((DATA / "mnist" / name).read_bytes())
    assert hashlib.md5(content, usedforsecurity=False).hexdigest() == md5


def test_mnist_raw_has_the_stored_pixels_and_labels(raw: datasets.MNIST) -> None:
    assert raw.X_train.shape == (60000, 1, 28, 28)
    assert raw.X_test.shape == (10000, 1, 28, 28)
    assert raw.X_train.dtype == raw.X_test.dtype == np.uint8
    assert raw.y_train.dtype == raw.y_test.dtype == np.int64
    pixels = gzip.decompress((DATA / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    assert raw.X_test.tobytes() == pixels
    labels = gzip.decompress((DATA / "mnist" / "train-labels-idx1-ubyte.gz").read_bytes())[8:]
    assert raw.y_train.tolist() == list(labels)


@pytest.mark.parametrize("dtype", [None, "float32", np.float64])
def test_mnist_unit_scaling_is_exactly_pixel_over_255(raw: datasets.MNIST, dtype: object) -> None:
    scaled = datasets.mnist(dtype=dtype)
    expected_dtype = np.dtype(dtype or np.float32)
    for name in ("X_train", "X_test"):
        got = getattr(scaled, name)
        assert got.dtype == expected_dtype
        assert np.array_equal(got, (getattr(raw, name) / 255.0).astype(expected_dtype))


def test_mnist_without_scaling_has_the_stored_pixels(raw: datasets.MNIST) -> None:
    same = datasets.mnist(scaling="none", dtype="float32")
    assert same.X_test.dtype == np.float32
    assert np.array_equal(same.X_test, raw.X_test)


def test_mnist_standard_scaling_uses_the_training_pixels_for_both_sets(
    raw: datasets.MNIST,
) -> None:
    scaled = datasets.mnist(scaling="standard", flatten=True, dtype=np.float64)
    n = raw.X_train.size
    # Sums of whole numbers are exact, so these two are right to the last digit or so.
    total = int(raw.X_train.sum(dtype=np.int64))
    squares = int(np.square(raw.X_train, dtype=np.int64).sum())
    mean, std = total / n, math.sqrt(squares * n - total**2) / n
    eps = np.finfo(np.float64).eps
    for name in ("X_train", "X_test"):
        pixels, got = getattr(raw, name)[:10000], getattr(scaled, name)[:10000]
        # difference, variance (a sum of 256 terms) and quotient each round
        np.testing.assert_allclose(
            got, (pixels.reshape(-1, 784) - mean) / std, rtol=300 * eps, atol=300 * eps
        )


def test_mnist_rows_are_the_images_flattened_and_one_hot_rows_the_labels(
    raw: datasets.MNIST,
) -> None:
    flat = datasets.mnist(flatten=True, scaling="none", one_hot=True)
    assert np.array_equal(flat.X_test, raw.X_test.reshape(10000, 784))
    for name in ("y_train", "y_test"):
        rows, labels = getattr(flat, name), getattr(raw, name)
        assert rows.shape == (len(labels), 10)
        assert rows.dtype == np.float32
        assert np.array_equal(np.argmax(rows, axis=1), labels)
        assert np.array_equal(rows.sum(axis=1), np.ones(len(labels)))


def test_mnist_gives_new_writable_arrays_each_time(raw: datasets.MNIST) -> None:
    first = datasets.mnist(scaling="none")
    first.X_test[...] = 7
    first.y_test[...] = 7
    again = datasets.mnist(scaling="none")
    assert np.array_equal(again.X_test, raw.X_test)
    assert np.array_equal(again.y_test, raw.y_test)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"scaling": "minmax"}, ValueError, "scaling must be one of 'unit', 'standard', 'none'"),
        ({"scaling": None}, ValueError, "scaling"),
        ({"flatten": "yes"}, TypeError, "flatten must be True or False, got 'yes'"),
        ({"one_hot": 1}, TypeError, "one_hot must be True or False"),
        ({"dtype": np.int32}, TypeError, "dtype must be float32 or float64, got int32"),
        ({"dtype": np.float16}, TypeError, "dtype must be float32 or float64, got float16"),
        ({"dtype": "no such type"}, TypeError, "dtype must be float32 or float64"),
    ],
)
def test_mnist_refuses_bad_arguments(
    arguments: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=f"^mnist: .*{words}"):
        datasets.mnist(**arguments)


# --- Boston and the sonnets ---


def test_boston_is_the_table_of_the_study() -> None:
    X, y, names = data = datasets.boston()
    assert X.shape == (506, 13)
    assert y.shape == (506,)
    assert X.dtype == y.dtype == np.float64
    assert names == (
        "CRIM", "ZN", "INDUS", "CHAS", "NOX", "RM", "AGE", "DIS", "RAD", "TAX", "PTRATIO", "B",
        "LSTAT",
    )  # fmt: skip
    assert X[0].tolist() == [
        0.00632, 18, 2.31, 0, 0.538, 6.575, 65.2, 4.09, 1, 296, 15.3, 396.9, 4.98,
    ]  # fmt: skip
    assert y[:3].tolist() == [24, 21.6, 34.7]
    assert y.max() == 50
    assert math.fsum(y) == pytest.approx(11401.6, rel=506 * np.finfo(float).eps)
    assert data.data is X
    assert data.target is y
    assert X.flags.writeable
    assert X.flags.c_contiguous


def test_boston_warns_its_reader_of_the_column_that_encodes_race() -> None:
    text = datasets.boston.__doc__
    assert text is not None
    assert "B encodes race" in text


def test_sonnets_are_the_text_of_chapter_6() -> None:
    text = datasets.sonnets()
    assert len(text) == 95_728
    assert len(set(text)) == 62
    assert "\r" not in text
    assert "Shall I compare thee to a summer's day?" in text


# --- files that are missing or damaged ---


@pytest.fixture
def copied_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the package read a copy of its data, which a test may damage."""
    shutil.copytree(DATA, tmp_path / "data")
    monkeypatch.setattr(files, "resources", SimpleNamespace(files=lambda package: tmp_path))
    return tmp_path / "data"


def test_every_file_has_a_reader_here() -> None:
    assert READERS.keys() == files.FILES.keys()


@pytest.mark.parametrize("name", READERS)
def test_missing_file_is_named_with_the_cure(copied_data: Path, name: str) -> None:
    (copied_data / name).unlink()
    with pytest.raises(FileNotFoundError) as caught:
        READERS[name]()
    assert isinstance(caught.value, datasets.MissingDataError)
    assert str(copied_data / name) in str(caught.value)
    assert "reinstall dlfs" in str(caught.value)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("damage", ["truncated", "empty", "one bit", "longer"])
def test_damaged_file_is_named_with_the_cure(copied_data: Path, name: str, damage: str) -> None:
    content = bytearray((copied_data / name).read_bytes())
    if damage == "truncated":
        del content[-1:]
    elif damage == "empty":
        content.clear()
    elif damage == "longer":
        content += b"\n"
    else:
        content[len(content) // 2] ^= 1
    (copied_data / name).write_bytes(content)
    with pytest.raises(ValueError, match="is damaged") as caught:
        READERS[name]()
    assert isinstance(caught.value, datasets.DamagedDataError)
    if damage != "one bit":
        size = files.FILES[name].size
        assert f"it must have {size} bytes, got {len(content)}" in str(caught.value)
    assert str(copied_data / name) in str(caught.value)
    assert "reinstall dlfs" in str(caught.value)


# --- the IDX format ---

IDX_TYPES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def to_idx(array: np.ndarray) -> bytes:
    """Write the format as its description says, independently of the reader."""
    header = struct.pack(">HBB", 0, IDX_TYPES[array.dtype.str[1:]], array.ndim)
    lengths = b"".join(struct.pack(">I", length) for length in array.shape)
    return header + lengths + array.astype(array.dtype.newbyteorder(">")).tobytes()


idx_arrays = st.sampled_from(sorted(IDX_TYPES)).flatmap(
    lambda code: hnp.arrays(
        np.dtype(code), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    )
)


@given(array=idx_arrays, zipped=st.booleans())
def test_read_idx_gives_back_what_was_written(array: np.ndarray, zipped: bool) -> None:
    content = to_idx(array)
    got = parse_idx(gzip.compress(content) if zipped else content, "array")
    assert got.dtype == array.dtype
    assert got.dtype.isnative
    assert got.shape == array.shape
    assert got.tobytes() == array.tobytes()
    assert got.flags.writeable


def test_read_idx_reads_a_file(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    path = tmp_path / "six-idx2-ubyte.gz"
    path.write_bytes(gzip.compress(to_idx(array)))
    assert np.array_equal(datasets.read_idx(path), array)
    assert np.array_equal(datasets.read_idx(str(path)), array)
    with pytest.raises(FileNotFoundError, match="no-such-file"):
        datasets.read_idx(tmp_path / "no-such-file")


@given(array=idx_arrays, data=st.data())
def test_read_idx_refuses_every_truncation_and_every_extra_byte(
    array: np.ndarray, data: st.DataObject
) -> None:
    content = to_idx(array)
    cut = data.draw(st.integers(0, len(content) - 1), label="cut")
    with pytest.raises(datasets.DamagedDataError, match="array"):
        parse_idx(content[:cut], "array")
    with pytest.raises(datasets.DamagedDataError, match="array"):
        parse_idx(content + b"\0", "array")
    zipped = gzip.compress(content)
    cut = data.draw(st.integers(2, len(zipped) - 1), label="cut of the gzip file")
    with pytest.raises(datasets.DamagedDataError, match="array is a damaged gzip file"):
        parse_idx(zipped[:cut], "array")


@given(prefix=st.sampled_from([b"", b"\x1f\x8b", b"\0\0\x08"]), rest=st.binary(max_size=300))
def test_read_idx_of_anything_else_raises_nothing_but_its_own_error(
    prefix: bytes, rest: bytes
) -> None:
    try:
        array = parse_idx(prefix + rest, "noise")
    except datasets.DamagedDataError:
        return
    assert to_idx(array) == prefix + rest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0\x08", "read_idx: array must begin with 4 bytes of header, got 3 bytes"),
        (
            b"\0\1\x08\1",
            (
                "read_idx: array is not an IDX file: it must begin with 00 00 and one of 08, 09, "
                "0b, 0c, 0d, 0e, got 00 01 08 01"
            ),
        ),
        (
            b"\0\0\x0a\1",
            (
                "read_idx: array is not an IDX file: it must begin with 00 00 and one of 08, 09, "
                "0b, 0c, 0d, 0e, got 00 00 0a 01"
            ),
        ),
        (
            b"\0\0\x08\2\0\0\0\1\0",
            (
                "read_idx: array ends within its header: the header of an array with 2 axes must "
                "have 12 bytes, got 9"
            ),
        ),
        (
            b"\0\0\x0b\1\0\0\0\2\0\0\0",
            "read_idx: array must have 12 bytes for its header (shape (2,), int16), got 11 bytes",
        ),
        (
            b"\0\0\x0b\1\0\0\0\1\0\0\0",
            "read_idx: array must have 10 bytes for its header (shape (1,), int16), got more bytes",
        ),
    ],
)
def test_read_idx_says_what_is_wrong(content: bytes, message: str) -> None:
    for packed in (content, gzip.compress(content)):
        with pytest.raises(datasets.DamagedDataError, match=f"^{re.escape(message)}$"):
            parse_idx(packed, "array")


def test_read_idx_refuses_a_header_that_no_array_can_have() -> None:
    # 255 axes, one of them of length 0: no value is missing, but NumPy knows no such array
    with pytest.raises(datasets.DamagedDataError, match="possible array"):
        parse_idx(bytes([0, 0, 8, 255]) + bytes(4 * 255), "axes")
    # lengths whose product is beyond any memory
    with pytest.raises(datasets.DamagedDataError, match="must"):
        parse_idx(bytes([0, 0, 14, 8]) + b"\xff" * 32, "huge")


def gzipped_zeros(size: int) -> bytes:
    """Return a gzip file of ``count`` zeros, without storing them."""
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb", compresslevel=1) as file:
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return made.getvalue()


@pytest.mark.parametrize(
    "header",
    [
        bytes([0, 0, 8, 1, 0, 0, 0, 5]),
        bytes([0, 0, 8, 0]),
        bytes([0, 0, 8, 255]) + bytes(4 * 255),
        b"some text",
        b"",
    ],
    ids=["five bytes", "one byte", "255 axes", "no header", "zeros"],
)
def test_read_idx_unpacks_no_more_than_the_header_asks_for(header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    # two members, which gzip unpacks one after the other
    path.write_bytes(gzip.compress(header) + gzipped_zeros(32 << 20))
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(datasets.DamagedDataError) as caught:
            datasets.read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 500 + len(str(path))


def test_read_idx_reads_no_more_of_a_file_than_its_header_asks_for(tmp_path: Path) -> None:
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.write(bytes([0, 0, 8, 1, 0, 0, 0, 5]))
        file.truncate(1 << 36)  # a hole, which takes no room on the disk
    with pytest.raises(datasets.DamagedDataError, match="got more bytes"):
        datasets.read_idx(path)


def test_read_idx_takes_no_memory_for_what_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "short"
    content = bytes([0, 0, 14, 3, 0, 0, 255, 255, 0, 0, 255, 255, 0, 0, 0, 1]) + bytes(100)
    for written in (content, gzip.compress(content)):
        path.write_bytes(written)
        tracemalloc.start()
        try:
            with pytest.raises(datasets.DamagedDataError, match=r"must have 34\d+"):
                datasets.read_idx(path)
            assert tracemalloc.get_traced_memory()[1] < 4 << 20
        finally:
            tracemalloc.stop()
