"""Mistakes in convolutions."""

import numpy as np

from dlfs.conv import Conv1D_Op, Conv2D_Op, ConvTranspose2D_Op
from dlfs.reference import conv2d_input_grad, conv2d_param_grad
from dlfs.windows import window_2d
from tests.mutants.catalogue import mutant


def _window(op):
    size, kernel = op.input_.shape[2:], op.param.shape[2:]
    return window_2d(size, kernel, op.stride, op.padding, op.dilation)


def _seen(padded, top, left, window):
    (stride_h, stride_w), (height, width) = window.stride, window.output
    rows = slice(top, top + stride_h * (height - 1) + 1, stride_h)
    return padded[:, :, rows, left : left + stride_w * (width - 1) + 1 : stride_w]


class _Loops(Conv2D_Op):
    """The weight gradient in loops, with handles to turn."""

    def shift(self, i, j, window):
        return i * window.dilation[0], j * window.dilation[1]

    def group_of_input(self, group):
        return group

    def _param_grad(self, output_grad):
        window = _window(self)
        padded = np.pad(self.input_, ((0, 0), (0, 0), *window.padding))
        grad = np.zeros_like(self.param)
        n_in, n_out = self.param.shape[0], self.param.shape[1] // self.groups
        for i in range(window.kernel[0]):
            for j in range(window.kernel[1]):
                pixels = _seen(padded, *self.shift(i, j, window), window)
                for group in range(self.groups):
                    first = self.group_of_input(group) * n_in
                    outputs = slice(group * n_out, (group + 1) * n_out)
                    grad[:, outputs, i, j] = np.einsum(
                        "nchw,nohw->co", pixels[:, first : first + n_in], output_grad[:, outputs]
                    )
        return grad


@mutant("convolution: kernel not flipped in the input gradient", "kernel_flipped")
class KernelNotFlipped(Conv2D_Op):
    def _input_grad(self, output_grad):
        right, self.param = self.param, self.param[:, :, ::-1, ::-1]
        grad = super()._input_grad(output_grad)
        self.param = right
        return grad


@mutant("convolution: weight gradient flipped", "kernel_flipped")
class WeightGradientFlipped(Conv2D_Op):
    def _param_grad(self, output_grad):
        return super()._param_grad(output_grad)[:, :, ::-1, ::-1]


@mutant("convolution: batch and pixel axes mixed in the weight gradient", "axes_mixed")
class BatchAndPixelsMixed(Conv2D_Op):
    def _param_grad(self, output_grad):
        batch, channels, height, width = output_grad.shape
        rows = output_grad.transpose(1, 2, 3, 0).reshape(channels, batch, height, width)
        return super()._param_grad(rows.transpose(1, 0, 2, 3))


@mutant("convolution: batch and channel axes mixed in the weight gradient", "axes_mixed")
class BatchAndChannelsMixed(Conv2D_Op):
    def _param_grad(self, output_grad):
        batch, channels, height, width = output_grad.shape
        rows = output_grad.reshape(channels, batch, height, width)
        return super()._param_grad(rows.transpose(1, 0, 2, 3))


@mutant("convolution: weight gradient of the last image only", "not_summed")
class LastImageOnly(Conv2D_Op):
    def _param_grad(self, output_grad):
        if not len(output_grad):
            return np.zeros_like(self.param)
        kept, self.input_ = self.input_, self.input_[-1:]
        grad = super()._param_grad(output_grad[-1:])
        self.input_ = kept
        return grad


@mutant("convolution: overlapping windows overwrite each other", "overwritten")
class WindowsOverwrite(Conv2D_Op):
    def _input_grad(self, output_grad):
        if self.groups > 1:
            return super()._input_grad(output_grad)
        window = _window(self)
        grad = np.pad(np.zeros_like(self.input_), ((0, 0), (0, 0), *window.padding))
        for i in range(window.kernel[0]):
            for j in range(window.kernel[1]):
                places = _seen(grad, i * window.dilation[0], j * window.dilation[1], window)
                places[...] = np.einsum("nohw,co->nchw", output_grad, self.param[:, :, i, j])
        (top, _), (left, _) = window.padding
        height, width = self.input_.shape[2:]
        return grad[:, :, top : top + height, left : left + width]


@mutant("convolution: stride ignored in the input gradient", "stride_ignored")
class StrideIgnored(Conv2D_Op):
    def _input_grad(self, output_grad):
        dense = window_2d(
            self.input_.shape[2:],
            self.param.shape[2:],
            1,
            _window(self).padding,
            self.dilation,
        )
        close = np.zeros((*output_grad.shape[:2], *dense.output), dtype=output_grad.dtype)
        close[:, :, : output_grad.shape[2], : output_grad.shape[3]] = output_grad
        return conv2d_input_grad(
            close, self.param, self.input_.shape, 1, dense.padding, self.dilation, self.groups
        )


@mutant("convolution: padding cut off at the wrong end", "padding_ignored", "shifted")
class PaddingCutWrongly(Conv2D_Op):
    def _input_grad(self, output_grad):
        (top, bottom), (left, right) = _window(self).padding
        height, width = self.input_.shape[2:]
        padded = (*self.input_.shape[:2], height + top + bottom, width + left + right)
        grad = conv2d_input_grad(
            output_grad, self.param, padded, self.stride, 0, self.dilation, self.groups
        )
        return grad[:, :, :height, :width]


@mutant("convolution: dilation ignored in the weight gradient", "dilation_ignored")
class DilationIgnored(_Loops):
    def shift(self, i, j, window):
        return i, j


@mutant("convolution: every group reads the first group's channels", "groups_ignored")
class GroupsIgnored(_Loops):
    def group_of_input(self, group):
        return 0


@mutant("convolution: pixels counted with the height where the width belongs", "other_array")
class HeightForWidth(Conv2D_Op):
    def _param_grad(self, output_grad):
        *_, height, width = output_grad.shape
        rows, columns = np.mgrid[:height, :width]
        flat = output_grad.reshape(*output_grad.shape[:2], -1)
        places = (rows * height + columns) % (height * width)
        return super()._param_grad(np.ascontiguousarray(flat[:, :, places]))


@mutant("convolution: input channels summed in the weight gradient", "other_array")
class ChannelsSummed(Conv2D_Op):
    def _param_grad(self, output_grad):
        total = self.input_.sum(axis=1, keepdims=True) + np.zeros_like(self.input_)
        return conv2d_param_grad(
            output_grad,
            total,
            self.param.shape,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )


@mutant("convolution: weight gradient without the output gradient", "output_grad_forgotten")
class ConvolutionWithoutOutputGradient(Conv2D_Op):
    def _param_grad(self, output_grad):
        return super()._param_grad(np.ones_like(output_grad))


@mutant("convolution: kernel rows and columns swapped in the gradient", "transposed")
class KernelTransposed(Conv2D_Op):
    def _param_grad(self, output_grad):
        right = super()._param_grad(output_grad)
        return right.swapaxes(2, 3) if right.shape[2] == right.shape[3] else right


@mutant("1D convolution: kernel not flipped in the input gradient", "kernel_flipped")
class KernelNotFlipped1D(Conv1D_Op):
    def _input_grad(self, output_grad):
        right, self.param = self.param, self.param[:, :, ::-1]
        grad = super()._input_grad(output_grad)
        self.param = right
        return grad


@mutant("transposed convolution: kernel flipped in the input gradient", "kernel_flipped")
class TransposedKernelFlipped(ConvTranspose2D_Op):
    def _input_grad(self, output_grad):
        right, self.param = self.param, self.param[:, :, ::-1, ::-1]
        grad = super()._input_grad(output_grad)
        self.param = right
        return grad


@mutant("transposed convolution: weight gradient averaged over the batch", "batch_factor")
class TransposedAveraged(ConvTranspose2D_Op):
    def _param_grad(self, output_grad):
        return super()._param_grad(output_grad) / max(len(output_grad), 1)
