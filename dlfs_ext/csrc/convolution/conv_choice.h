/* Which algorithm computes a convolution, and how those with the channels last divide their work;
 * by shape and dtype alone. conv.pyx says what each algorithm is. */
#ifndef DLFS_CONV_CHOICE_H
#define DLFS_CONV_CHOICE_H

#include "convolution/conv_geometry.h"

enum {
    CONV_DIRECT,
    CONV_CHANNELS_LAST,
    CONV_WINOGRAD,
    CONV_DEPTHWISE,
    CONV_COLUMNS,
    CONV_SCATTERING,
    CONV_POINTWISE
};

/* Measured: with fewer channels the transforms take longer than they save. */
static int conv_winograd_pays(const conv_window *w, ptrdiff_t channels, ptrdiff_t out_channels,
                              ptrdiff_t out_height, ptrdiff_t out_width)
{
    return w->kernel_h == 3 && w->kernel_w == 3 && w->stride_h == 1 && w->stride_w == 1
           && w->dilation_h == 1 && w->dilation_w == 1 && channels >= 16 && out_channels >= 16
           && out_height >= 4 && out_width >= 4;
}

/* Whether strides and dilation leave out few pixels, so that turning all of them pays. */
static int conv_reads_most_pixels(const conv_window *w)
{
    double pixels = (double)conv_rows_read(w, w->out_height) * (double)conv_columns_read(w);
    return pixels
           <= 4.0 * (double)(w->kernel_h * w->kernel_w) * (double)(w->out_height * w->out_width);
}

/* Whether each group has one channel in and one out, and its padded plane fits in the cache. */
static int conv_is_depthwise(const conv_window *w, ptrdiff_t out_channels, ptrdiff_t groups,
                             int wide)
{
    ptrdiff_t top = w->top < 0 ? -w->top : w->top, left = w->left < 0 ? -w->left : w->left;
    ptrdiff_t rows = w->height + top + w->kernel_h * w->dilation_h;
    ptrdiff_t columns = w->width + left + w->kernel_w * w->dilation_w;
    return groups > 1 && w->channels == 1 && out_channels == 1
           && rows * columns * (wide ? 8 : 4) <= 1 << 18;
}

/* Whether the kernel is one pixel: a product of matrices. */
static int conv_is_pointwise(const conv_window *w)
{
    return w->kernel_h == 1 && w->kernel_w == 1 && w->stride_h == 1 && w->stride_w == 1
           && w->out_height == w->height && w->out_width == w->width && w->top == 0 && w->left == 0;
}

/* For sums over `channels`; the window is that of the forward pass. */
static int conv_choose_correlation(const conv_window *w, ptrdiff_t channels, ptrdiff_t out_channels,
                                   ptrdiff_t out_height, ptrdiff_t out_width)
{
    if (conv_winograd_pays(w, channels, out_channels, out_height, out_width))
        return CONV_WINOGRAD;
    /* Measured: turning the images pays where rows of pixels do not fill the vectors. */
    int pointwise = conv_is_pointwise(w);
    ptrdiff_t area = pointwise ? 16 : channels >= 64 ? 256 : 100;
    if (channels >= 16 && out_channels >= 16 && out_height * out_width <= area
        && (pointwise || w->kernel_h * w->kernel_w > 1) && conv_reads_most_pixels(w))
        return CONV_CHANNELS_LAST;
    return pointwise ? CONV_POINTWISE : CONV_DIRECT;
}

static int conv_choose_forward(const conv_window *w, ptrdiff_t out_channels, ptrdiff_t groups,
                               int wide)
{
    if (conv_is_depthwise(w, out_channels, groups, wide))
        return CONV_DEPTHWISE;
    return conv_choose_correlation(w, w->channels, out_channels, w->out_height, w->out_width);
}

static int conv_choose_input_grad(const conv_window *w, ptrdiff_t out_channels, ptrdiff_t groups,
                                  int wide)
{
    if (conv_is_depthwise(w, out_channels, groups, wide))
        return CONV_DEPTHWISE;
    if (w->stride_h != 1 || w->stride_w != 1)
        return w->channels >= 16 && out_channels >= 16 && w->stride_h <= 4 && w->stride_w <= 4
                   ? CONV_CHANNELS_LAST
                   : CONV_SCATTERING;
    int algorithm = conv_choose_correlation(w, out_channels, w->channels, w->height, w->width);
    if (algorithm == CONV_CHANNELS_LAST || algorithm == CONV_POINTWISE)
        return algorithm;
    /* Estimated cycles per vector. With one result, the unaligned load for each multiply-add
     * dominates the time. */
    double taps = (double)(w->kernel_h * w->kernel_w), channels = (double)w->channels;
    double sums = channels + (w->channels == 1 ? 2 : 0), out = (double)out_channels;
    if (algorithm == CONV_WINOGRAD)
        sums *= 0.6;
    /* Measured: 7.5 cycles to copy a vector; 14 to store and add one of a column's sums, half of
     * which long sums hide. */
    double adding = out_channels * w->kernel_h < 150 ? 14 : 7, kernel_w = (double)w->kernel_w;
    double copies = out * (taps * sums + 7.5 * kernel_w) * (double)w->width;
    double columns = channels * (taps * out + adding * kernel_w) * (double)w->out_width;
    return copies < columns ? algorithm : CONV_COLUMNS;
}

static int conv_choose_param_grad(const conv_window *w, ptrdiff_t out_channels, ptrdiff_t groups,
                                  int wide)
{
    if (conv_is_depthwise(w, out_channels, groups, wide))
        return CONV_DEPTHWISE;
    if (conv_winograd_pays(w, w->channels, out_channels, w->out_height, w->out_width))
        return CONV_WINOGRAD;
    /* Measured: long sums over pixels are as fast, because they need no turning. */
    int pointwise = conv_is_pointwise(w);
    int small = w->out_height * w->out_width <= (pointwise ? 16 : 256);
    if (w->channels >= 16 && out_channels >= 16 && conv_reads_most_pixels(w)
        && (small || (w->channels >= 32 && !wide && !pointwise)))
        return CONV_CHANNELS_LAST;
    return pointwise ? CONV_POINTWISE : CONV_DIRECT;
}

/* Channels last: divides the images into blocks of about `points` points (see conv_last.h). */
static void conv_plan_last(conv_job *job, ptrdiff_t points, ptrdiff_t least_tasks)
{
    conv_layout *l = &job->layout;
    conv_window *w = &l->window;
    job->height = w->out_height;
    job->width = w->out_width;
    job->kernel_size = w->kernel_h * w->kernel_w;
    job->kernel_w = w->kernel_w;
    job->apart_h = job->apart_w = 1;
    if (job->winograd) {
        w->kernel_h = w->kernel_w = 4;
        w->stride_h = w->stride_w = 2;
        w->out_height = conv_ceil(job->height, 2);
        w->out_width = conv_ceil(job->width, 2);
    }
    ptrdiff_t area = w->out_height * w->out_width;
    ptrdiff_t least = conv_ceil(least_tasks, l->batch * job->groups);
    ptrdiff_t bands = conv_least(w->out_height, conv_most(least, conv_ceil(area, points)));
    l->band = conv_ceil(w->out_height, bands);
    l->bands = conv_ceil(w->out_height, l->band);
    l->images = 1;
    if (l->bands == 1) {
        ptrdiff_t fits = conv_least(points / area, l->batch * job->groups / least_tasks);
        l->images = conv_most(1, conv_least(l->batch, fits));
        /* Blocks of equal size. */
        l->images = conv_ceil(l->batch, conv_ceil(l->batch, l->images));
    }
    l->blocks = conv_ceil(l->batch, l->images);
}

/* Along one axis: gradients that a point reads before its place; returns how many in all. */
static ptrdiff_t conv_reach(ptrdiff_t stride, ptrdiff_t dilation, ptrdiff_t positions,
                            ptrdiff_t before, ptrdiff_t *read_before)
{
    ptrdiff_t least = 0, most = 0;
    int found = 0;
    for (ptrdiff_t phase = 0; phase < stride; phase++)
        for (ptrdiff_t i = 0; i < positions; i++) {
            ptrdiff_t at = phase + before - i * dilation;
            if (at % stride) /* exact for a negative number as well */
                continue;
            least = found ? conv_least(least, at / stride) : at / stride;
            most = found ? conv_most(most, at / stride) : at / stride;
            found = 1;
        }
    *read_before = -least;
    return most - least + 1;
}

/* Channels last: plans the input gradient of a convolution with strides. A point is one pixel of
 * each phase; it reads the gradients from `top` before its own place on. */
static void conv_plan_phases(conv_job *job, const conv_window *forward, ptrdiff_t points,
                             ptrdiff_t least_tasks)
{
    conv_window *w = &job->layout.window;
    w->height = forward->out_height;
    w->width = forward->out_width;
    w->out_height = conv_ceil(forward->height, forward->stride_h);
    w->out_width = conv_ceil(forward->width, forward->stride_w);
    w->stride_h = w->stride_w = w->dilation_h = w->dilation_w = 1;
    w->kernel_h = conv_reach(forward->stride_h, forward->dilation_h, forward->kernel_h,
                             forward->top, &w->top);
    w->kernel_w = conv_reach(forward->stride_w, forward->dilation_w, forward->kernel_w,
                             forward->left, &w->left);
    conv_plan_last(job, points, least_tasks);
    job->phases = 1;
    job->apart_h = forward->stride_h;
    job->apart_w = forward->stride_w;
    job->top = forward->top;
    job->left = forward->left;
    job->dilation_h = forward->dilation_h;
    job->dilation_w = forward->dilation_w;
    job->kernel_size = forward->kernel_h * forward->kernel_w;
    job->kernel_w = forward->kernel_w;
    job->height = forward->height;
    job->width = forward->width;
}

#endif
