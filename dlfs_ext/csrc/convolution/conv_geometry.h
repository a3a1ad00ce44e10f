/* The layout of a convolution's working memory; the same for every dtype.
 *
 * No im2col matrix is built. For each channel a few copies are made, one for each kernel column.
 * They are shifted so that the pixels of one kernel position ("tap"), for all output pixels of a
 * band of rows, are contiguous: row after row, without gaps, out_width pixels per row. The copies
 * also remove strides and dilation. Then every convolution is
 *
 *     output[o][pixel] = sum over taps of weight[o][tap] * copies[offset[tap] + pixel]
 *
 * Kernel rows share the rows of one copy where that needs less memory ("shared"): then tap (i, j)
 * is copy j, some rows further down. With a stride of s rows, the rows are sorted into s classes,
 * so that the rows of one tap are neighbours. Where sharing needs more (few output rows, large
 * dilation) every tap has its own rows; then several small images can be put side by side, so that
 * even a 1-pixel output fills a vector. */
#ifndef DLFS_CONV_GEOMETRY_H
#define DLFS_CONV_GEOMETRY_H

#include <stddef.h>

typedef struct {
    ptrdiff_t channels, height, width; /* of the input images, in one group */
    ptrdiff_t out_height, out_width;
    ptrdiff_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    ptrdiff_t top, left; /* zeros before the image; negative: pixels that are not read */
} conv_window;

typedef struct {
    conv_window window;
    ptrdiff_t band, bands;    /* output rows at a time, and how many times */
    ptrdiff_t images, blocks; /* images at a time (above 1 only with bands == 1), how many times */
    ptrdiff_t batch;
    ptrdiff_t rows;   /* rows of a channel that a band needs */
    ptrdiff_t pitch;  /* length of a row with its zeros */
    ptrdiff_t copy;   /* length of one copy */
    ptrdiff_t taps;   /* channels * kernel_h * kernel_w */
    ptrdiff_t pixels; /* of a band, of all its images */
    int shared;
    ptrdiff_t *source; /* [rows] which padded row, counted from the band's first */
    ptrdiff_t *target; /* [rows] where in a copy */
    ptrdiff_t *offset; /* [taps] by channel, kernel column, kernel row */
} conv_layout;

/* The number of reals that may be read, and are ignored, after the last pixel of the copies. */
#define CONV_SLACK 32

static ptrdiff_t conv_least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static ptrdiff_t conv_most(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
static ptrdiff_t conv_ceil(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; }

/* A number of reals, rounded up to whole cache lines. */
static ptrdiff_t conv_round(ptrdiff_t n) { return conv_ceil(n, 16) * 16; }

/* Rows and columns of pixels that `band` rows of output read, with the zeros around them. */
static ptrdiff_t conv_rows_read(const conv_window *w, ptrdiff_t band)
{
    return (band - 1) * w->stride_h + (w->kernel_h - 1) * w->dilation_h + 1;
}
static ptrdiff_t conv_columns_read(const conv_window *w)
{
    return (w->out_width - 1) * w->stride_w + (w->kernel_w - 1) * w->dilation_w + 1;
}

/* The period of the kernel rows' classes: stride / gcd(stride, dilation). */
static ptrdiff_t conv_period(const conv_window *w)
{
    ptrdiff_t a = w->stride_h, b = w->dilation_h % w->stride_h;
    while (b) {
        ptrdiff_t rest = a % b;
        a = b;
        b = rest;
    }
    return w->stride_h / a;
}

/* The number of classes of rows that the kernel reads. Class k is that of kernel row k, and of
 * every `period`-th row after it. If the stride is larger than the kernel, the unread classes are
 * left out. */
static ptrdiff_t conv_classes(const conv_window *w, ptrdiff_t period)
{
    return conv_least(w->kernel_h, period);
}

/* Rows that the taps of class k span beyond the band. */
static ptrdiff_t conv_span(const conv_window *w, ptrdiff_t k, ptrdiff_t period, ptrdiff_t *first)
{
    ptrdiff_t last = k + (w->kernel_h - 1 - k) / period * period;
    *first = k * w->dilation_h / w->stride_h;
    return last * w->dilation_h / w->stride_h - *first;
}

/* Sets the sizes for bands of `band` rows and blocks of `images` images. */
static void conv_measure(conv_layout *l, ptrdiff_t band, ptrdiff_t images)
{
    const conv_window *w = &l->window;
    ptrdiff_t first, shared_rows = 0, period = conv_period(w);
    for (ptrdiff_t k = 0; k < conv_classes(w, period); k++)
        shared_rows += band + conv_span(w, k, period, &first);
    l->band = band;
    l->bands = conv_ceil(w->out_height, band);
    l->images = images;
    l->blocks = conv_ceil(l->batch, images);
    l->shared = images == 1 && shared_rows < w->kernel_h * band;
    l->rows = l->shared ? shared_rows : w->kernel_h * band;
    l->copy = l->rows * w->out_width * images;
    l->pixels = band * w->out_width * images;
    l->taps = w->channels * w->kernel_h * w->kernel_w;
    /* Room for vectors that begin at its last pixel, also with a stride of 2. */
    l->pitch = conv_columns_read(w) + 2 * CONV_SLACK;
}

/* Chooses bands whose copies take about `budget` bytes, at least `least_bands` of them, or blocks
 * of small images, side by side. */
static void conv_plan(conv_layout *l, ptrdiff_t itemsize, ptrdiff_t budget, ptrdiff_t least_bands)
{
    const conv_window *w = &l->window;
    ptrdiff_t small = 2048 / itemsize / 4; /* 128 floats, 64 doubles: a few registers' worth */
    ptrdiff_t area = w->out_height * w->out_width;
    if (area * 2 <= small && l->batch > 1) {
        conv_measure(l, w->out_height, 1);
        ptrdiff_t fits = budget / (l->taps * area * itemsize);
        ptrdiff_t images = conv_least(conv_least(l->batch, conv_ceil(small, area)), fits);
        if (images > 1) {
            conv_measure(l, w->out_height, images);
            return;
        }
    }
    conv_measure(l, w->out_height, 1);
    ptrdiff_t bytes = l->copy * w->channels * w->kernel_w * itemsize;
    ptrdiff_t bands = conv_most(conv_ceil(bytes, budget), least_bands);
    bands = conv_most(1, conv_least(bands, w->out_height));
    conv_measure(l, conv_ceil(w->out_height, bands), 1);
}

/* The first of `n` items in part number `t`, when they are distributed evenly over `parts`: 25 give
 * 5 parts of 5, not 4 of 6 and one of 1. */
static ptrdiff_t conv_part(ptrdiff_t n, ptrdiff_t parts, ptrdiff_t t)
{
    return n / parts * t + conv_least(t, n % parts);
}

/* Fills source, target and offset, which must hold rows, rows and taps numbers. */
static void conv_fill(conv_layout *l)
{
    const conv_window *w = &l->window;
    ptrdiff_t row = 0, first, period = conv_period(w);
    ptrdiff_t tap = 0, block = l->band * w->out_width;
    if (l->shared) {
        for (ptrdiff_t k = 0; k < conv_classes(w, period); k++) {
            ptrdiff_t span = conv_span(w, k, period, &first), start = row;
            ptrdiff_t phase = k * w->dilation_h % w->stride_h;
            for (ptrdiff_t r = 0; r < l->band + span; r++, row++) {
                l->source[row] = phase + (first + r) * w->stride_h;
                l->target[row] = row * w->out_width;
            }
            for (ptrdiff_t i = k; i < w->kernel_h; i += period)
                l->offset[i] = (start + i * w->dilation_h / w->stride_h - first) * w->out_width;
        }
    } else {
        for (ptrdiff_t i = 0; i < w->kernel_h; i++) {
            for (ptrdiff_t r = 0; r < l->band; r++, row++) {
                l->source[row] = i * w->dilation_h + r * w->stride_h;
                l->target[row] = i * l->images * block + r * w->out_width;
            }
            l->offset[i] = i * l->images * block;
        }
    }
    /* The kernel rows have the same layout in every copy. */
    for (ptrdiff_t copy = 0; copy < w->channels * w->kernel_w; copy++)
        for (ptrdiff_t i = 0; i < w->kernel_h; i++, tap++)
            l->offset[tap] = l->offset[i] + copy * l->copy;
}

#endif
