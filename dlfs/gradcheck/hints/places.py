"""Wrong places: the gradient goes to the wrong pixel of a window, or not back through time."""

from collections.abc import Iterator

import numpy as np

from dlfs.gradcheck.hints.evidence import Evidence
from dlfs.gradcheck.report import Hint
from dlfs.types import Array
from dlfs.windows import window_2d


def places(evidence: Evidence) -> Iterator[Hint]:
    """Try pooling without the positions of its maxima, and time steps without their connection."""
    yield from _in_the_window(evidence)
    yield from _through_time(evidence)


def _in_the_window(evidence: Evidence) -> Iterator[Hint]:
    target, grad = evidence.subject.target, evidence.output_grad
    if not hasattr(target, "kernel_size") or grad.ndim != 4 or not np.any(evidence.analytic):
        return
    window = window_2d(evidence.x.shape[2:], target.kernel_size, target.stride, target.padding)
    height, width = window.kernel
    if window.output != grad.shape[2:] or height * width < 2:
        return
    each = {
        (i, j): _to_pixel(evidence.x, grad, window.padding, window.stride, (i, j))
        for i in range(height)
        for j in range(width)
    }
    for (i, j), gradient in each.items():
        if evidence.explains(gradient):
            first = ", the first," if i == j == 0 else ""
            yield evidence.hint(
                "window_place",
                f"each output's gradient goes to pixel ({i}, {j}){first} of its window, whatever "
                "forward took the output from: store that position, and send the gradient there.",
            )
            return
    everywhere: Array = sum(each.values(), np.zeros_like(grad, shape=evidence.x.shape))
    if np.count_nonzero(evidence.numeric) >= np.count_nonzero(everywhere):
        return  # forward uses every pixel: a mean
    for factor, what in ((1.0, "the whole gradient"), (1 / (height * width), "an equal share")):
        if evidence.explains(factor * everywhere):
            yield evidence.hint(
                "window_place",
                f"each pixel of a window gets {what}, as if forward took the "
                "mean. But forward takes one pixel, and only that one gets a gradient.",
            )
            return


def _to_pixel(
    x: Array,
    grad: Array,
    padding: tuple[tuple[int, int], tuple[int, int]],
    stride: tuple[int, int],
    pixel: tuple[int, int],
) -> Array:
    """Send every output's gradient to the same pixel of its window; drop the padding's share."""
    (top, _), (left, _) = padding
    sent = np.zeros(x.shape)
    for p in range(grad.shape[2]):
        for q in range(grad.shape[3]):
            row = p * stride[0] + pixel[0] - top
            column = q * stride[1] + pixel[1] - left
            if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                sent[:, :, row, column] += grad[:, :, p, q]
    return sent


def _through_time(evidence: Evidence) -> Iterator[Hint]:
    contributions, grad = evidence.contributions(), evidence.output_grad
    shape = evidence.variable.shape
    if contributions is None or grad.ndim != 3 or len(shape) != 3 or grad.shape[:2] != shape[:2]:
        return
    steps = np.arange(shape[1])
    same = (steps[:, None] == steps).astype(np.float64)
    terms = contributions.reshape(*grad.shape, *shape)
    if evidence.explains(np.einsum("btfmsg,ts->msg", terms, same)):
        yield evidence.hint(
            "not_through_time",
            "each step gets only the gradient of its own output: the gradient of the state is not "
            "carried back to the earlier steps.",
        )
