/* Input gradient where the strides are 1. For tile headers.
 *
 * Kernel position (i, j) moves a pixel's gradient by i rows and j columns. Moving by rows only
 * changes where vectors are read; moving by columns also changes lanes. So for each kernel column
 * the sums over output channels and kernel rows are taken first, in registers, and only the sums
 * are moved sideways and added: out_channels * kernel_h multiply-adds for each addition. Gradients
 * are neither copied nor padded: rows of pixels near the edge have fewer terms.
 *
 * With few input channels this reaches 75 to 84 % of the machine's peak. Adding the shares of
 * single kernel positions one by one reached 42 %; tiles of neighbouring rows were not better. */

#define columns_at_once NAME(conv_columns_at_once)
#define columns_band NAME(conv_columns_band)
#define columns_rows NAME(conv_columns_rows)
#define columns_shares NAME(conv_columns_shares)

/* The number of remaining columns (of all channels) for the next tile: tiles are about equal. */
DLFS_INLINE int columns_at_once(ptrdiff_t left)
{
    const int most = VREGS >= 32 ? 8 : 4;
    return (int)conv_ceil(left, conv_ceil(left, most));
}

/* Weights in the order in which strips() reads them here: for each tile of columns, kernel row by
 * kernel row, output channel by output channel. job->parts ranges of channels follow each other. */
static void NAME(conv_columns_pack)(const conv_job *job, const void *weights_, void *packed_)
{
    const conv_window *w = &job->layout.window;
    const real *weights = weights_;
    real *packed = packed_;
    ptrdiff_t out_channels = job->out_channels, kernel_w = w->kernel_w;
    for (ptrdiff_t group = 0; group < job->groups; group++)
        for (ptrdiff_t part = 0; part < job->parts; part++) {
            ptrdiff_t column = w->channels * part / job->parts * kernel_w;
            ptrdiff_t last = w->channels * (part + 1) / job->parts * kernel_w;
            while (column < last) {
                int mr = columns_at_once(last - column);
                for (ptrdiff_t i = 0; i < w->kernel_h; i++)
                    for (ptrdiff_t o = 0; o < out_channels; o++)
                        for (int r = 0; r < mr; r++) {
                            ptrdiff_t c = (column + r) / kernel_w, j = (column + r) % kernel_w;
                            ptrdiff_t row = (c * job->groups + group) * out_channels + o;
                            *packed++ = weights[(row * w->kernel_h + i) * kernel_w + j];
                        }
                column += mr;
            }
        }
}

/* Rows of pixels at a time: the sums of a tile of 8 columns fill half of a first-level cache. */
DLFS_INLINE ptrdiff_t columns_rows(const conv_window *w)
{
    ptrdiff_t rows = 16384 / (8 * (ptrdiff_t)sizeof(real) * w->out_width);
    return conv_most(1, conv_least(rows, w->height));
}

/* Reals from the sums of one column to those of the next. */
DLFS_INLINE ptrdiff_t columns_shares(const conv_window *w)
{
    return conv_round(columns_rows(w) * w->out_width) + CONV_SLACK;
}

SCRATCH(conv_columns)
{
    const conv_job *job = job_;
    const conv_window *w = &job->layout.window;
    ptrdiff_t taps = conv_round(w->kernel_h * job->out_channels);
    return (size_t)(8 * columns_shares(w) + taps * VLEN + CONV_SLACK) * sizeof(real)
           + (size_t)taps * 2 * sizeof(ptrdiff_t);
}

/* A task: one image, one group, the channels c0 to c1. */
typedef struct {
    const conv_job *job;
    const real *grad, *weights; /* of the group */
    real *out;                  /* of channel c0 */
    ptrdiff_t c0, c1;
    int last; /* less than a vector may be read after these gradients */
    ptrdiff_t *offset, *tail_offset;
    real *shares, *tail;
} NAME(conv_columns_task);

/* Rows y to y + count, which kernel rows i0 to i1 reach. */
static void columns_band(const NAME(conv_columns_task) *t, ptrdiff_t y, ptrdiff_t count,
                         ptrdiff_t i0, ptrdiff_t i1)
{
    const conv_window *w = &t->job->layout.window;
    ptrdiff_t out_channels = t->job->out_channels, taps = w->kernel_h * out_channels;
    ptrdiff_t area = w->out_height * w->out_width, pitch = columns_shares(w);
    ptrdiff_t pixels = count * w->out_width, whole = pixels, some = (i1 - i0) * out_channels;
    ptrdiff_t row = y + w->top, columns = (t->c1 - t->c0) * w->kernel_w;
    const real *at = t->grad + row * w->out_width, *weights = t->weights;
    const ptrdiff_t *offset = t->offset + i0 * out_channels;
    /* The last row of gradients read; the array may end with its vectors. */
    ptrdiff_t end = (row + count - i0 * w->dilation_h) * w->out_width;
    if (t->last && end + VLEN > area) {
        whole = pixels / VLEN * VLEN;
        for (ptrdiff_t k = 0; k < some; k++)
            vstore(t->tail + k * VLEN, vload_n(at + offset[k] + whole, (int)(pixels - whole)));
    }
    for (ptrdiff_t column = 0; column < columns;) {
        int mr = columns_at_once(columns - column);
        /* Prefetch the same rows of the next image, a part at a time. */
        ptrdiff_t o = out_channels * column / columns;
        for (; !t->last && o < out_channels * (column + mr) / columns; o++) {
            const real *next = t->grad + (t->job->groups * out_channels + o) * area
                               + y * w->out_width;
            for (ptrdiff_t p = 0; p < pixels; p += 64 / (ptrdiff_t)sizeof(real))
                DLFS_PREFETCH_L2(next + p);
        }
        strips(mr, at, offset, some, weights + i0 * out_channels * mr, t->shares, pitch, whole);
        if (whole < pixels)
            strips(mr, t->tail, t->tail_offset, some, weights + i0 * out_channels * mr,
                   t->shares + whole, pitch, pixels - whole);
        for (int r = 0; r < mr; r++) {
            ptrdiff_t c = (column + r) / w->kernel_w, j = (column + r) % w->kernel_w;
            real *to = t->out + (c * w->height + y) * w->width;
            if (j == 0)
                clear(to, count * w->width);
            ptrdiff_t shift = j * w->dilation_w - w->left, skip = conv_most(0, -shift);
            ptrdiff_t n = conv_least(w->out_width, w->width - shift) - skip;
            for (ptrdiff_t k = 0; k < count; k++)
                scatter_add(t->shares + r * pitch + k * w->out_width + skip,
                            to + k * w->width + shift + skip, n);
        }
        weights += mr * taps;
        column += mr;
    }
}

KERNEL(conv_columns)
{
    const conv_job *job = job_;
    const conv_window *w = &job->layout.window;
    ptrdiff_t out_channels = job->out_channels, area = w->out_height * w->out_width;
    ptrdiff_t taps = w->kernel_h * out_channels, most = columns_rows(w);
    NAME(conv_columns_task) t = {.job = job};
    t.offset = scratch;
    t.tail_offset = t.offset + conv_round(taps);
    t.tail = (real *)(t.tail_offset + conv_round(taps));
    t.shares = t.tail + conv_round(taps) * VLEN;
    for (ptrdiff_t k = 0; k < taps; k++) {
        t.offset[k] = k % out_channels * area - k / out_channels * w->dilation_h * w->out_width;
        t.tail_offset[k] = k * VLEN;
    }
    for (ptrdiff_t task = begin; task < end; task++) {
        ptrdiff_t part = task % job->parts, group = task / job->parts % job->groups;
        ptrdiff_t image = task / job->parts / job->groups;
        t.c0 = w->channels * part / job->parts;
        t.c1 = w->channels * (part + 1) / job->parts;
        t.grad = (const real *)job->grad + (image * job->groups + group) * out_channels * area;
        ptrdiff_t behind = (job->layout.batch - image) * job->groups - group - 1;
        t.last = behind * out_channels * area < VLEN;
        t.weights = (const real *)job->packed + (group * w->channels + t.c0) * w->kernel_w * taps;
        t.out = (real *)job->output
                + ((image * job->groups + group) * w->channels + t.c0) * w->height * w->width;
        ptrdiff_t from = 0, i0 = 0, i1 = 0;
        for (ptrdiff_t y = 0; y <= w->height; y++) {
            ptrdiff_t row = y + w->top, above = row - (w->out_height - 1);
            ptrdiff_t low = above > 0 ? conv_ceil(above, w->dilation_h) : 0;
            ptrdiff_t high = conv_least(w->kernel_h, row / w->dilation_h + 1);
            if (y > from && (y == w->height || y - from == most || low != i0 || high != i1)) {
                if (i0 < i1)
                    columns_band(&t, from, y - from, i0, i1);
                else
                    for (ptrdiff_t c = 0; c < t.c1 - t.c0; c++)
                        clear(t.out + (c * w->height + from) * w->width, (y - from) * w->width);
                from = y;
            }
            i0 = low;
            i1 = high;
        }
    }
}
