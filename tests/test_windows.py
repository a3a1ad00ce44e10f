"""Windows that are too large are refused with a message, before memory is allocated or C called."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dlfs import NeuralNetwork, layers, load, pooling, save
from dlfs.activations import Tanh
from dlfs.backend import available_backends, kernels, use_backend
from dlfs.checks import LARGEST_ARRAY, check_input_shape
from dlfs.losses import MeanSquaredError
from dlfs.windows import LARGEST, LARGEST_PADDED, transposed_window_2d, window_1d, window_2d
from tests.support.huge_windows import HUGE

TOO_LARGE = [number for number in HUGE if number > LARGEST]
OPTIONS = ["kernel", "stride", "padding", "dilation"]
RIGHT = {"kernel": 2, "stride": 1, "padding": 0, "dilation": 1}


@pytest.fixture(params=available_backends())
def backend(request):
    with use_backend(request.param):
        yield request.param


@pytest.mark.parametrize(
    "number", TOO_LARGE, ids=lambda number: f"{number:.4g}" if number < 2**70 else "huge"
)
@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_has_a_bound(option, number):
    message = f"at most {LARGEST}"
    with pytest.raises(ValueError, match=message):
        window_2d((8, 8), **{**RIGHT, option: number})
    with pytest.raises(ValueError, match=message):
        window_2d((8, 8), **{**RIGHT, option: (1, number)})
    with pytest.raises(ValueError, match=message):
        window_1d(8, **{**RIGHT, option: number})
    with pytest.raises(ValueError, match=message):
        transposed_window_2d((8, 8), **{**RIGHT, option: number})


def test_the_bound_itself_is_allowed():
    window = window_2d((8, 8), 1, stride=LARGEST, dilation=LARGEST)
    assert window.output == (1, 1)
    assert window_1d(8, 2, padding=(0, 2**27), dilation=2**27).output == (1, 8)


@pytest.mark.parametrize(
    ("size", "options", "words"),
    [
        ((8, 8), {"kernel": 2**30, "padding": "same"}, "positions"),
        ((8, 8), {"kernel": 2**31 - 1, "stride": 3, "padding": "same"}, "padded image"),
        ((8, 8), {"kernel": 3, "padding": "same", "dilation": 2**30}, "padded image"),
        ((8, 8), {"kernel": 3, "padding": 2**30}, "padded image"),
        ((1, 8), {"kernel": 1, "padding": ((0, 0), (LARGEST, 0))}, "padded image"),
        ((2**16, 2**16), {"kernel": 2**16 - 1}, "positions"),
    ],
)
def test_what_options_make_together_has_a_bound(size, options, words):
    with pytest.raises(ValueError, match=words):
        window_2d(size, **options)


@example(2**12, 2**12, 2**12, 2**12)  # exactly fourfold
@example(2**13, 2**13, 2**13, 2**13 + 1)  # a column more
@given(st.integers(1, 2**15), st.integers(1, 2**15), st.integers(0, 2**16), st.integers(0, 2**16))
def test_padding_may_enlarge_an_image_to_the_bound_or_fourfold(height, width, tall, wide):
    padded = (height + tall) * (width + wide)
    fits = padded <= max(LARGEST_PADDED, 4 * height * width)
    padding = ((tall, 0), (0, wide))
    if fits:
        assert window_2d((height, width), 1, padding=padding).output == (
            height + tall,
            width + wide,
        )
    else:
        with pytest.raises(ValueError, match="four times"):
            window_2d((height, width), 1, padding=padding)


def test_images_and_windows_have_a_bound_together(backend):
    image = np.lib.stride_tricks.as_strided(np.ones(1), (2**30, 2**8, 2**7, 2**7), (0, 0, 0, 0))
    with pytest.raises(ValueError, match="together"):
        kernels.conv2d(image, np.ones((2**8, 1, 64, 64)))
    with pytest.raises(ValueError, match="together"):
        kernels.max_pool2d(image, 64, 1)


@pytest.mark.parametrize("shape", [(1, 2**57), (2**63,), (0, 2**40, 2**40), (10**400,)], ids=len)
def test_a_shape_that_is_only_told_has_a_bound(shape):
    with pytest.raises(ValueError, match=f"at most {LARGEST_ARRAY}"):
        check_input_shape(shape, "owner")


def test_a_told_shape_with_nothing_in_it(backend):
    with pytest.raises(ValueError, match="at most"):
        kernels.global_avg_pool2d_grad(np.ones((0, 1)), (0, 1, 2**40, 2**40))
    with pytest.raises(ValueError, match="at most"):
        kernels.global_avg_pool2d_grad(np.ones((1, 1)), (1, 1, 2**63, 2**63))


LAYERS = [
    lambda: layers.Conv2D(2, 3, padding="same", dilation=2**60),
    lambda: layers.Conv2D(2, 3, stride=2**57, padding=2**60),
    lambda: layers.Conv2D(2, 2**62),
    lambda: layers.Conv2D(2, 2**30, padding="same"),
    lambda: layers.Conv2D(2**62, 3),
    lambda: layers.ConvTranspose2D(2, 3, stride=2**60),
    lambda: layers.ConvTranspose2D(2, 3, stride=2**30),
    lambda: layers.Conv2D(2, 3, activation=pooling.MaxPool2D(2**62, stride=1, padding="same")),
    lambda: pooling.MaxPool2D(2**62, stride=1, padding="same"),
    lambda: pooling.AvgPool2D(2**31 - 1, stride=3, padding="same"),
    lambda: layers.Conv2D(2, 3, activation=pooling.AvgPool2D(2**30, stride=3, padding="same")),
]


@pytest.mark.parametrize("make", LAYERS)
def test_layers(backend, make):
    with pytest.raises(ValueError, match="at most"):
        NeuralNetwork([make()], MeanSquaredError()).predict(np.ones((1, 1, 8, 8)))


@pytest.mark.parametrize("options", [{"dilation": 2**63}, {"dilation": 2**30, "padding": "same"}])
def test_sequences(backend, options):
    with pytest.raises(ValueError, match="at most"):
        NeuralNetwork([layers.Conv1D(2, 3, **options)], MeanSquaredError()).predict(
            np.ones((1, 1, 8))
        )


@pytest.mark.parametrize("option", ["stride", "padding", "dilation"])
@pytest.mark.parametrize("number", [2**31, 2**60, 2**64])
@pytest.mark.parametrize("hidden", [False, True])
def test_files(tmp_path, backend, option, number, hidden):
    """A number that the file allows is replaced by one that it does not."""
    marker = 1_234_567
    net = NeuralNetwork([layers.Conv2D(2, 3, activation=Tanh())], MeanSquaredError())
    net.predict(np.ones((1, 1, 8, 8)))
    target = net.layers[0]
    if hidden:
        target.activation = pooling.MaxPool2D(3, stride=1, padding="same")  # type: ignore[attr-defined]
        target.operations[-1] = target.activation  # type: ignore[attr-defined]
        target = target.activation  # type: ignore[attr-defined]
        option = "kernel_size" if option == "dilation" else option
    setattr(target, option, marker if option == "padding" else (marker, marker))
    path = tmp_path / "net"
    save(net, path)
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = content[8:end].replace(str(marker).encode(), str(number).encode())
    assert header != content[8:end]
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[end:])
    with pytest.raises(ValueError, match="at most"):
        load(path)


@pytest.mark.parametrize("seed", range(3))
def test_joint_huge_options_in_a_child_process(seed):
    program = [sys.executable, "-m", "tests.support.huge_windows", str(seed), "400"]
    child = subprocess.run(program, capture_output=True, text=True, timeout=300, check=False)
    assert child.returncode == 0, child.stderr[-3000:]
