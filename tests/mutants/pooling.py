"""Mistakes in pooling and flattening."""

import numpy as np

from dlfs.pooling import AvgPool2D, GlobalAvgPool2D, MaxPool2D
from dlfs.reshape import Flatten
from dlfs.windows import window_2d
from tests.mutants.catalogue import mutant


def _places(op):
    """Go through the windows of a pooling, and the padded pixels that each covers."""
    window = window_2d(op.input_.shape[2:], op.kernel_size, op.stride, op.padding)
    for p in range(window.output[0]):
        for q in range(window.output[1]):
            top, left = p * window.stride[0], q * window.stride[1]
            rows = slice(top, top + window.kernel[0])
            yield p, q, (slice(None), slice(None), rows, slice(left, left + window.kernel[1]))


def _padded(op, value):
    window = window_2d(op.input_.shape[2:], op.kernel_size, op.stride, op.padding)
    padding = ((0, 0), (0, 0), *window.padding)
    (top, _), (left, _) = window.padding
    height, width = op.input_.shape[2:]
    inside = (slice(None), slice(None), slice(top, top + height), slice(left, left + width))
    return np.pad(op.input_, padding, constant_values=value), inside


@mutant("max pool: a pixel of two windows keeps one gradient", "overwritten")
class MaxPoolOverwrites(MaxPool2D):
    def _input_grad(self, output_grad):
        padded, inside = _padded(self, -np.inf)
        grad = np.zeros_like(padded)
        for p, q, place in _places(self):
            seen = padded[place]
            largest = seen == seen.max(axis=(2, 3), keepdims=True, initial=-np.inf)
            np.copyto(grad[place], output_grad[:, :, p, q][..., None, None], where=largest)
        return grad[inside]


@mutant("max pool: gradient to the first pixel of the window", "other_array")
class MaxPoolFirstPixel(MaxPool2D):
    def _input_grad(self, output_grad):
        self._positions = np.zeros_like(self._positions)
        return super()._input_grad(output_grad)


@mutant("max pool: gradient shared by the whole window")
class MaxPoolShared(MaxPool2D):
    def _input_grad(self, output_grad):
        padded, inside = _padded(self, 0)
        grad = np.zeros_like(padded)
        for p, q, place in _places(self):
            grad[place] += output_grad[:, :, p, q][..., None, None] / grad.dtype.type(
                np.prod(self.kernel_size)
            )
        return grad[inside]


@mutant("average pool: not divided by the window's size", "constant_factor", "factor")
class AvgPoolNotDivided(AvgPool2D):
    def _input_grad(self, output_grad):
        size = output_grad.dtype.type(np.prod(self.kernel_size))
        return super()._input_grad(output_grad) * size


@mutant("average pool: overlapping windows overwrite each other", "overwritten")
class AvgPoolOverwrites(AvgPool2D):
    def _input_grad(self, output_grad):
        if not self.count_include_pad:
            return super()._input_grad(output_grad)
        padded, inside = _padded(self, 0)
        grad = np.zeros_like(padded)
        for p, q, place in _places(self):
            grad[place] = output_grad[:, :, p, q][..., None, None] / grad.dtype.type(
                np.prod(self.kernel_size)
            )
        return grad[inside]


@mutant("average pool: padding counted in backward only", "padding_ignored", "other_order")
class AvgPoolOtherCount(AvgPool2D):
    def _input_grad(self, output_grad):
        kept, self.count_include_pad = self.count_include_pad, True
        grad = super()._input_grad(output_grad)
        self.count_include_pad = kept
        return grad


@mutant("global average pool: not divided by the pixels", "constant_factor", "factor")
class GlobalPoolNotDivided(GlobalAvgPool2D):
    def _input_grad(self, output_grad):
        pixels = output_grad.dtype.type(np.prod(self.input_.shape[2:]))
        return super()._input_grad(output_grad) * pixels


@mutant(
    "global average pool: divided by height squared", "constant_factor", "factor", "other_array"
)
class GlobalPoolHeightSquared(GlobalAvgPool2D):
    def _input_grad(self, output_grad):
        height, width = self.input_.shape[2:]
        return super()._input_grad(output_grad) * output_grad.dtype.type(width / height)


@mutant("flatten: axes in another order on the way back", "wrong_places", "transposed")
class FlattenOtherOrder(Flatten):
    def _input_grad(self, output_grad):
        return output_grad.reshape(self.input_.shape, order="F")
