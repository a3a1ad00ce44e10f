"""Where a sliding window lies: stride, padding and dilation, resolved and checked.

A window of ``kernel`` positions, ``dilation`` apart, covers ``dilation * (kernel - 1) + 1`` pixels.
It moves ``stride`` pixels at a time over an axis of ``size`` pixels with ``before`` and ``after``
zeros added at its ends, and so stops at

    output = (size + before + after - dilation * (kernel - 1) - 1) // stride + 1

places. Both backends resolve their options here, so they agree on every shape and every error.
The results are cached, because every batch of a training has the same ones.

The compiled kernels compute with 64 bits and do not check for overflow. So everything is computed
here first, with Python's integers, and bounded by `LARGEST`, `LARGEST_PADDED` and, for all images
together, `dlfs.checks.LARGEST_ARRAY`. Kernels take their windows from the last four functions
alone.
"""

from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from dlfs.checks import LARGEST_ARRAY, check_int
from dlfs.types import Padding, Padding1D, Pair, Shape

Ends: TypeAlias = tuple[int, int]

LARGEST = 2**31 - 1
"""The largest option; the largest length of an axis, padded; the most positions of a kernel."""

LARGEST_PADDED = 2**28
"""The most pixels of a padded image's channel, unless its own pixels are a quarter of them."""


class Window(NamedTuple):
    """A window on both image axes, everything resolved to numbers."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[Ends, Ends]
    dilation: tuple[int, int]
    output: tuple[int, int]

    @property
    def options(self) -> tuple[Pair, Padding, Pair]:
        """Stride, padding and dilation, as a convolution takes them."""
        return self.stride, self.padding, self.dilation


def pair(value: Pair, owner: str, name: str, minimum: int = 1) -> tuple[int, int]:
    """Return ``value`` as (height, width)."""
    if isinstance(value, tuple | list):
        if len(value) != 2:
            raise ValueError(f"{owner}: {name} must be an integer or a pair, got {value!r}")
        height, width = value
        return (
            check_int(height, owner, name, minimum, LARGEST),
            check_int(width, owner, name, minimum, LARGEST),
        )
    number = check_int(value, owner, name, minimum, LARGEST)
    return number, number


def per_axis(value: Pair, owner: str, name: str, axes: int) -> Any:
    """Return ``value`` as (height, width) for images, as one number for sequences."""
    return pair(value, owner, name) if axes == 2 else check_int(value, owner, name, 1)


def ends(value: object, owner: str) -> Ends:
    """Return the padding of one axis as (before, after)."""
    if isinstance(value, tuple | list):
        if len(value) != 2:
            raise ValueError(f"{owner}: padding of an axis is (before, after), got {value!r}")
        return (
            check_int(value[0], owner, "padding", 0, LARGEST),
            check_int(value[1], owner, "padding", 0, LARGEST),
        )
    number = check_int(value, owner, "padding", 0, LARGEST)
    return number, number


def check_padding(padding: Any, owner: str, axes: int = 2) -> Any:
    """Demand a well-formed padding, when the size of the images is not known yet; return it."""
    if isinstance(padding, str):
        _padding_word(padding, owner)
    elif axes == 1:
        ends(padding, owner)
    else:
        axis_paddings(padding, (1, 1), (1, 1), (1, 1), (1, 1), owner)
    return padding


def _padding_word(padding: str, owner: str) -> None:
    if padding not in ("same", "valid"):
        raise ValueError(
            f"{owner}: padding must be made of integers, or 'same' or 'valid'; got {padding!r}"
        )


def same_ends(size: int, kernel: int, stride: int, dilation: int) -> Ends:
    """Return the padding that makes the output ``ceil(size / stride)`` long.

    An odd number of zeros puts the extra one at the end.
    """
    output = -(-size // stride)
    total = max((output - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def axis_paddings(
    padding: Padding,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    owner: str,
) -> tuple[Ends, Ends]:
    """Return ((top, bottom), (left, right)) for any way to write a padding."""
    if isinstance(padding, str):
        _padding_word(padding, owner)
        if padding == "valid":
            return (0, 0), (0, 0)
        return (
            same_ends(size[0], kernel[0], stride[0], dilation[0]),
            same_ends(size[1], kernel[1], stride[1], dilation[1]),
        )
    if isinstance(padding, tuple | list):
        if len(padding) != 2:
            raise ValueError(f"{owner}: padding must be an integer or a pair, got {padding!r}")
        return ends(padding[0], owner), ends(padding[1], owner)
    both = ends(padding, owner)
    return both, both


@lru_cache(maxsize=4096)
def _window(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    owner: str,
) -> Window:
    strides = pair(stride, owner, "stride")
    dilations = pair(dilation, owner, "dilation")
    paddings = axis_paddings(padding, size, kernel, strides, dilations, owner)
    output = []
    for axis, name in enumerate(("height", "width")):
        covered = dilations[axis] * (kernel[axis] - 1) + 1
        padded = size[axis] + sum(paddings[axis])
        if size[axis] < 1 or covered > padded:
            raise ValueError(
                f"{owner}: the window covers {covered} pixels of the {name}, "
                f"but the image has {size[axis]} ({padded} with its padding)"
            )
        output.append((padded - covered) // strides[axis] + 1)
    window = Window(kernel, strides, paddings, dilations, (output[0], output[1]))
    _check_sizes(window, size, owner)
    return window


def _check_sizes(window: Window, size: tuple[int, int], owner: str) -> None:
    """Refuse a window that is too large, or pads images of ``size`` too much."""
    (height, width), paddings = size, window.padding
    padded = height + sum(paddings[0]), width + sum(paddings[1])
    if max(padded) > LARGEST:
        raise ValueError(f"{owner}: the padded image must have at most {LARGEST} rows and columns")
    if window.kernel[0] * window.kernel[1] > LARGEST:
        raise ValueError(f"{owner}: the kernel must have at most {LARGEST} positions")
    if padded[0] * padded[1] > max(LARGEST_PADDED, 4 * height * width):
        raise ValueError(
            f"{owner}: the padded image would have {padded[0]} x {padded[1]} pixels; more than "
            f"{LARGEST_PADDED} must be at most four times the {height} x {width} of the image"
        )


def check_total(window: Window, size: Shape, planes: int, owner: str) -> None:
    """Refuse a window that means too much work on ``planes`` channels of images of ``size``.

    Counted are the padded images and, for every output, the pixels that its window covers.
    """
    (height, width), paddings = size, window.padding
    padded = (height + sum(paddings[0])) * (width + sum(paddings[1]))
    met = window.kernel[0] * window.kernel[1] * window.output[0] * window.output[1]
    if max(planes, 1) * max(padded, met) > LARGEST_ARRAY:
        raise ValueError(
            f"{owner}: images and windows must have at most {LARGEST_ARRAY} pixels together"
        )


def _hashable(value: object) -> object:
    """Return an option with lists as tuples, so that it can be the key of a cache."""
    if isinstance(value, list | tuple):
        return tuple(_hashable(item) for item in value)
    return value


def window_2d(
    size: Shape,
    kernel: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    owner: str = "window_2d",
) -> Window:
    """Resolve a window over images of ``size`` (height, width).

    Raises
    ------
    TypeError
        If an option is not an integer, a pair of integers or (padding only) a known word.
    ValueError
        If an option is too small or too large, if the window does not fit into the padded image, or
        if that image is too large.

    Examples
    --------
    >>> window_2d((28, 28), 5, padding="same").output
    (28, 28)
    >>> window_2d((28, 30), (3, 5), stride=2, padding=1).output
    (14, 14)
    """
    kernels = pair(_hashable(kernel), owner, "kernel size")  # type: ignore[arg-type]
    options = (_hashable(stride), _hashable(padding), _hashable(dilation))
    for option, name in zip(options, ("stride", "padding", "dilation"), strict=True):
        # True and 1.0 equal 1: without this they would get the cached result for 1.
        _refuse_lookalikes(option, owner, name)
    return _window((size[0], size[1]), kernels, *options, owner)


def _refuse_lookalikes(option: object, owner: str, name: str) -> None:
    if isinstance(option, tuple):
        for item in option:
            _refuse_lookalikes(item, owner, name)
    elif not isinstance(option, str):
        check_int(option, owner, name, maximum=LARGEST)


def window_1d(
    size: int,
    kernel: int,
    stride: int = 1,
    padding: Padding1D = 0,
    dilation: int = 1,
    owner: str = "window_1d",
) -> Window:
    """Resolve a window over sequences of ``size``, as a window over images of height 1."""
    kernel = check_int(kernel, owner, "kernel size", 1, LARGEST)
    stride = check_int(stride, owner, "stride", 1, LARGEST)
    dilation = check_int(dilation, owner, "dilation", 1, LARGEST)
    if isinstance(padding, str):
        _padding_word(padding, owner)
        same = padding == "same"
        width = same_ends(size, kernel, stride, dilation) if same else (0, 0)
    else:
        width = ends(padding, owner)
    return window_2d((1, size), (1, kernel), (1, stride), ((0, 0), width), (1, dilation), owner)


def transposed_window_2d(
    size: Shape,
    kernel: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    output_padding: Pair = 0,
    dilation: Pair = 1,
    owner: str = "transposed_window_2d",
) -> Window:
    """Resolve the window of the convolution that a transposed convolution turns round.

    ``size`` is that of the images that the transposed convolution reads; the window's ``output`` is
    the size of those that it writes:

        output = (size - 1) * stride - before - after + dilation * (kernel - 1) + 1 + output_padding

    ``"same"`` makes the output ``size * stride`` pixels long (plus the output padding), provided
    the window covers at least one stride.
    """
    kernels = pair(kernel, owner, "kernel size")
    strides = pair(stride, owner, "stride")
    dilations = pair(dilation, owner, "dilation")
    extra = pair(output_padding, owner, "output_padding", minimum=0)
    enlarged = (size[0] * strides[0], size[1] * strides[1])
    paddings = axis_paddings(padding, enlarged, kernels, strides, dilations, owner)
    output = []
    for axis, name in enumerate(("height", "width")):
        if extra[axis] >= strides[axis]:
            raise ValueError(
                f"{owner}: output_padding must be smaller than the stride, got {extra[axis]} "
                f"for the {name} with stride {strides[axis]}"
            )
        length = (
            (size[axis] - 1) * strides[axis]
            - sum(paddings[axis])
            + dilations[axis] * (kernels[axis] - 1)
            + 1
            + extra[axis]
        )
        if size[axis] < 1 or length < 1:
            raise ValueError(
                f"{owner}: the output's {name} would be {length} pixels for an input of "
                f"{size[axis]}; it must be at least 1"
            )
        output.append(length)
    window = Window(kernels, strides, paddings, dilations, (output[0], output[1]))
    if output[0] * output[1] > LARGEST:
        raise ValueError(
            f"{owner}: the output would have {output[0]} x {output[1]} pixels; it must have at "
            f"most {LARGEST}"
        )
    _check_sizes(window, window.output, owner)
    return window


def ceil_rest(size: Shape, window: Window) -> tuple[int, int]:
    """Return how many rows and columns lack for one window more, where pixels are left over.

    A window that would begin behind the last pixel is left out.

    Examples
    --------
    >>> ceil_rest((4, 5), window_2d((4, 5), 3, stride=2))
    (1, 0)
    """
    lacking = []
    for axis in range(2):
        before, after = window.padding[axis]
        start = window.output[axis] * window.stride[axis]
        covered = window.dilation[axis] * (window.kernel[axis] - 1) + 1
        left_over = size[axis] + before + after > start - window.stride[axis] + covered
        more = left_over and start < size[axis] + before
        lacking.append(start + covered - size[axis] - before - after if more else 0)
    return lacking[0], lacking[1]


def check_channels(input_shape: Shape, param_shape: Shape, groups: int, owner: str) -> int:
    """Demand images and weights whose channels fit each other and can be split into ``groups``."""
    groups = check_int(groups, owner, "groups", 1)
    in_channels, out_channels = input_shape[1], param_shape[1]
    if in_channels < 1 or out_channels < 1:
        raise ValueError(
            f"{owner}: the input and the output must have at least one channel, "
            f"got {in_channels} and {out_channels}"
        )
    if in_channels % groups or out_channels % groups:
        raise ValueError(
            f"{owner}: groups={groups} must divide the input channels ({in_channels}) "
            f"and the output channels ({out_channels})"
        )
    if in_channels != param_shape[0] * groups:
        raise ValueError(
            f"{owner}: the input has {in_channels} channels (shape {input_shape}), but the weights "
            f"read {param_shape[0]} in each of {groups} groups (shape {param_shape})"
        )
    return groups


# --- the windows of the kernels ---

_SIMPLE = frozenset((int, str))


def _simple(option: object) -> bool:
    """Say whether an option is made of ints and words: True and 1.0 equal 1 as keys of a cache."""
    if type(option) is not tuple:
        return type(option) in _SIMPLE
    return _SIMPLE.issuperset(map(type, option)) or all(map(_simple, option))


def conv2d_window(
    input_shape: Shape,
    param_shape: Shape,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    owner: str,
) -> tuple[int, Window]:
    """Return the groups and the window of a convolution, whose channels must fit."""
    simple = _simple(stride) and _simple(padding) and _simple(dilation) and type(groups) is int
    resolve = _conv2d_window if simple else _conv2d_window.__wrapped__
    return resolve(input_shape, param_shape, stride, padding, dilation, groups, owner)


@lru_cache(maxsize=4096)
def _conv2d_window(
    input_shape: Shape,
    param_shape: Shape,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    owner: str,
) -> tuple[int, Window]:
    groups = check_channels(input_shape, param_shape, groups, owner)
    kernel = (param_shape[2], param_shape[3])
    window = window_2d(input_shape[2:], kernel, stride, padding, dilation, owner)
    planes = input_shape[0] * max(input_shape[1], param_shape[1])
    check_total(window, input_shape[2:], planes, owner)
    return groups, window


def conv1d_window(
    input_shape: Shape,
    param_shape: Shape,
    stride: int,
    padding: Padding1D,
    dilation: int,
    groups: int,
    owner: str,
) -> Window:
    """Return the window of a convolution of sequences, over images of height 1."""
    check_channels(input_shape, param_shape, groups, owner)
    window = window_1d(input_shape[2], param_shape[2], stride, padding, dilation, owner)
    planes = input_shape[0] * max(input_shape[1], param_shape[1])
    check_total(window, (1, input_shape[2]), planes, owner)
    return window


def conv_transpose2d_window(
    input_shape: Shape,
    param_shape: Shape,
    stride: Pair,
    padding: Padding,
    output_padding: Pair,
    dilation: Pair,
    groups: int,
    owner: str,
) -> Window:
    """Return the window of a transposed convolution, whose channels must fit."""
    check_channels(input_shape, param_shape, groups, owner)
    size, kernel = (input_shape[2], input_shape[3]), (param_shape[2], param_shape[3])
    window = transposed_window_2d(size, kernel, stride, padding, output_padding, dilation, owner)
    # The convolution that it turns round reads its output, and writes its input.
    turned = window._replace(output=size)
    planes = input_shape[0] * max(input_shape[1], param_shape[1])
    check_total(turned, window.output, planes, owner)
    return window


def pooling_window(
    input_shape: Shape,
    kernel_size: Pair,
    stride: Pair | None,
    padding: Padding,
    owner: str,
    dilation: Pair = 1,
) -> Window:
    """Return the window of a pooling; its stride is its size unless given."""
    stride = kernel_size if stride is None else stride
    window = window_2d(input_shape[2:], kernel_size, stride, padding, dilation, owner)
    for axis in range(2):
        covered = window.dilation[axis] * (window.kernel[axis] - 1) + 1
        if max(window.padding[axis]) > covered // 2:
            raise ValueError(
                f"{owner}: padding must be at most half the kernel {window.kernel}, "
                f"got {window.padding}"
            )
    check_total(window, input_shape[2:], input_shape[0] * input_shape[1], owner)
    return window
