/* Input gradient for strides other than 1. For tile headers.
 *
 * strips() computes all shares of a band of output pixels, one kernel position after another (the
 * reference's matrix product). They are added to the image while they are in the first-level cache.
 * The padded image is stored with the columns of one class (column modulo stride) side by side, so
 * that the additions are contiguous for every stride. */

#define scatter_sizes NAME(conv_scatter_sizes)
#define scatter_add NAME(conv_scatter_add)
#define scatter_crop NAME(conv_scatter_crop)

typedef struct {
    ptrdiff_t classes, segment; /* of columns, and the length of one class in a row */
    ptrdiff_t rows, pitch;      /* of one padded channel */
    ptrdiff_t band, shares;     /* output rows at a time, and reals for their shares of one tap */
} NAME(conv_scatter_size);

DLFS_INLINE NAME(conv_scatter_size) scatter_sizes(const conv_window *w)
{
    NAME(conv_scatter_size) s;
    s.classes = conv_least(w->stride_w, (w->kernel_w - 1) * w->dilation_w + 1);
    s.segment = w->out_width + (w->kernel_w - 1) * w->dilation_w / w->stride_w;
    s.rows = (w->out_height - 1) * w->stride_h + (w->kernel_h - 1) * w->dilation_h + 1;
    s.pitch = s.classes * s.segment + CONV_SLACK;
    /* The shares of a tile of 8 taps fill half of a first-level cache of 32 KB. */
    s.band = 16384 / (8 * (ptrdiff_t)sizeof(real) * w->out_width);
    s.band = conv_most(1, conv_least(s.band, w->out_height));
    s.band = conv_ceil(w->out_height, conv_ceil(w->out_height, s.band)); /* of equal size */
    s.shares = conv_round(s.band * w->out_width) + CONV_SLACK;
    return s;
}

/* Weights in the order in which strips() reads them here: for each tile of taps (channel, i, j),
 * output channel by output channel. job->parts ranges of channels are packed one after another. */
static void NAME(conv_scatter_pack)(const conv_job *job, const void *weights_, void *packed_)
{
    const conv_window *w = &job->layout.window;
    const real *weights = weights_;
    real *packed = packed_;
    ptrdiff_t kernel = w->kernel_h * w->kernel_w, out_channels = job->out_channels;
    for (ptrdiff_t group = 0; group < job->groups; group++) {
        for (ptrdiff_t part = 0; part < job->parts; part++) {
            ptrdiff_t tap = w->channels * part / job->parts * kernel;
            ptrdiff_t last = w->channels * (part + 1) / job->parts * kernel;
            while (tap < last) {
                int mr = channels_at_once(last - tap);
                for (ptrdiff_t o = 0; o < out_channels; o++)
                    for (int r = 0; r < mr; r++) {
                        ptrdiff_t c = (tap + r) / kernel, k = (tap + r) % kernel;
                        *packed++ =
                            weights[((c * job->groups + group) * out_channels + o) * kernel + k];
                    }
                tap += mr;
            }
        }
    }
}

SCRATCH(conv_scatter)
{
    const conv_job *job = job_;
    NAME(conv_scatter_size) s = scatter_sizes(&job->layout.window);
    ptrdiff_t most = conv_ceil(job->layout.window.channels, job->parts);
    return (size_t)(conv_round(most * s.rows * s.pitch) + 8 * s.shares
                    + (job->out_channels + 1) * CONV_SLACK)
               * sizeof(real)
           + (size_t)conv_round(job->out_channels) * 2 * sizeof(ptrdiff_t);
}

/* to += from, exactly n reals: the next ones may belong to another thread. */
DLFS_INLINE void scatter_add(const real *from, real *to, ptrdiff_t n)
{
    ptrdiff_t p = 0;
    for (; p + VLEN <= n; p += VLEN)
        vstore(to + p, vload(to + p) + vload(from + p));
    if (p < n) {
        int rest = (int)(n - p);
        vstore_n(to + p, vload_n(to + p, rest) + vload_n(from + p, rest), rest);
    }
}

DLFS_INLINE void scatter_crop(const conv_window *w, NAME(conv_scatter_size) s, const real *grown,
                              real *out)
{
    for (ptrdiff_t y = 0; y < w->height; y++, out += w->width) {
        const real *row = grown + (y + w->top) * s.pitch;
        if (y + w->top >= s.rows) {
            clear(out, w->width);
            continue;
        }
        if (w->stride_w == 1) {
            ptrdiff_t count = conv_most(0, conv_least(w->width, s.segment - w->left));
            memcpy(out, row + w->left, (size_t)count * sizeof(real));
            clear(out + count, w->width - count);
            continue;
        }
        ptrdiff_t column = w->left % w->stride_w, at = w->left / w->stride_w;
        for (ptrdiff_t x = 0; x < w->width; x++) {
            out[x] = column < s.classes && at < s.segment ? row[column * s.segment + at] : 0;
            if (++column == w->stride_w) {
                column = 0;
                at++;
            }
        }
    }
}

/* A task is one image, one group, one range of input channels. */
KERNEL(conv_scatter)
{
    const conv_job *job = job_;
    const conv_window *w = &job->layout.window;
    NAME(conv_scatter_size) s = scatter_sizes(w);
    ptrdiff_t out_channels = job->out_channels, kernel = w->kernel_h * w->kernel_w;
    ptrdiff_t area = w->out_height * w->out_width, plane = s.rows * s.pitch;
    ptrdiff_t most = conv_ceil(w->channels, job->parts);
    ptrdiff_t *offset = scratch, *tail_offset = offset + conv_round(out_channels);
    real *grown = (real *)(tail_offset + conv_round(out_channels));
    real *shares = grown + conv_round(most * plane) + CONV_SLACK, *tail = shares + 8 * s.shares;
    for (ptrdiff_t o = 0; o < out_channels; o++) {
        offset[o] = o * area;
        tail_offset[o] = o * VLEN;
    }
    for (ptrdiff_t task = begin; task < end; task++) {
        ptrdiff_t part = task % job->parts, group = task / job->parts % job->groups;
        ptrdiff_t image = task / job->parts / job->groups;
        ptrdiff_t c0 = w->channels * part / job->parts, c1 = w->channels * (part + 1) / job->parts;
        const real *grad = (const real *)job->grad
                           + (image * job->groups + group) * out_channels * area;
        clear(grown, (c1 - c0) * plane);
        for (ptrdiff_t first = 0; first < w->out_height; first += s.band) {
            ptrdiff_t height = conv_least(s.band, w->out_height - first);
            ptrdiff_t pixels = height * w->out_width, start = first * w->out_width, whole = pixels;
            if (start + conv_ceil(pixels, VLEN) * VLEN > area) {
                /* The last vector would read past the array: it reads a copy. */
                whole = pixels / VLEN * VLEN;
                for (ptrdiff_t o = 0; o < out_channels; o++)
                    vstore(tail + o * VLEN,
                           vload_n(grad + o * area + start + whole, (int)(pixels - whole)));
            }
            const real *weights = (const real *)job->packed
                                  + (group * w->channels + c0) * kernel * out_channels;
            for (ptrdiff_t tap = 0; tap < (c1 - c0) * kernel;) {
                int mr = channels_at_once((c1 - c0) * kernel - tap);
                /* Prefetch the same band of the next image, a part at a time. */
                ptrdiff_t share = conv_ceil(out_channels * pixels * mr, (c1 - c0) * kernel);
                const real *next = grad + job->groups * out_channels * area;
                for (ptrdiff_t i = 0; i < share; i += 64 / (ptrdiff_t)sizeof(real)) {
                    ptrdiff_t at = tap * share / mr + i;
                    DLFS_PREFETCH_L2(next + at / pixels * area + start + at % pixels);
                }
                strips(mr, grad + start, offset, out_channels, weights, shares, s.shares, whole);
                if (whole < pixels)
                    strips(mr, tail, tail_offset, out_channels, weights, shares + whole, s.shares,
                           pixels - whole);
                for (int r = 0; r < mr; r++) {
                    ptrdiff_t c = (tap + r) / kernel, k = (tap + r) % kernel;
                    ptrdiff_t i = k / w->kernel_w * w->dilation_h;
                    ptrdiff_t j = k % w->kernel_w * w->dilation_w;
                    real *to = grown + c * plane + (first * w->stride_h + i) * s.pitch
                               + j % w->stride_w * s.segment + j / w->stride_w;
                    const real *from = shares + r * s.shares;
                    for (ptrdiff_t y = 0; y < height; y++)
                        scatter_add(from + y * w->out_width, to + y * w->stride_h * s.pitch,
                                    w->out_width);
                }
                weights += mr * out_channels;
                tap += mr;
            }
        }
        real *out = (real *)job->output
                    + ((image * job->groups + group) * w->channels + c0) * w->height * w->width;
        for (ptrdiff_t c = 0; c < c1 - c0; c++)
            scatter_crop(w, s, grown + c * plane, out + c * w->height * w->width);
    }
}
