/* Forward pass and weight gradient on the shifted copies. For tile headers.
 *
 * A task is one block of images, one group, one band of rows. Tasks write to separate memory, and
 * their results do not depend on the thread, so results are bit-identical for any number of
 * threads. With 64 channels it reaches 86 to 92 % of the machine's peak; half of the rest is making
 * the copies. */

#define dots_of NAME(conv_dots_of)
#define gradient_rows NAME(conv_gradient_rows)
#define copies_of NAME(conv_copies_of)
#define group_sums NAME(conv_group_sums)

/* Weights in the order in which strips() reads them: for each tile of output channels, tap by tap.
 * The weight from channel c to channel o at position (i, j) is at
 * c * step[0] + o * step[1] + i * step[2] + j * step[3]; steps may be negative. */
static void NAME(conv_pack)(const conv_job *job, const void *weights_, void *packed,
                            const ptrdiff_t *step)
{
    const conv_window *w = &job->layout.window;
    const real *weights = weights_;
    real *out = packed;
    for (ptrdiff_t o = 0; o < job->out_channels;) {
        int mr = channels_at_once(job->out_channels - o);
        for (ptrdiff_t c = 0; c < w->channels; c++)
            for (ptrdiff_t j = 0; j < w->kernel_w; j++)
                for (ptrdiff_t i = 0; i < w->kernel_h; i++)
                    for (int r = 0; r < mr; r++)
                        *out++ =
                            weights[c * step[0] + (o + r) * step[1] + i * step[2] + j * step[3]];
        o += mr;
    }
}

/* Makes the copies of a task's images; `group_images` begins at the group's first channel. */
static void copies_of(const conv_layout *l, const real *group_images, ptrdiff_t all_channels,
                      ptrdiff_t block, ptrdiff_t first, real *padded, real *copies)
{
    const conv_window *w = &l->window;
    ptrdiff_t area = w->height * w->width;
    ptrdiff_t images = conv_least(l->images, l->batch - block * l->images);
    for (ptrdiff_t image = 0; image < images; image++) {
        const real *at = group_images + (block * l->images + image) * all_channels * area;
        for (ptrdiff_t c = 0; c < w->channels; c++)
            copy_channel(l, at + c * area, first, image, padded,
                         copies + c * w->kernel_w * l->copy);
    }
}

/* Scratch: padded rows, copies, and (for blocks of images) the outputs of one tile. */
SCRATCH(conv_forward)
{
    const conv_job *job = job_;
    const conv_layout *l = &job->layout;
    ptrdiff_t copies = l->window.channels * l->window.kernel_w * l->copy;
    return (size_t)(conv_round(l->rows * l->pitch) + conv_round(copies) + 9 * CONV_SLACK
                    + (l->images > 1 ? 8 * l->pixels : 0))
           * sizeof(real);
}

KERNEL(conv_forward)
{
    const conv_job *job = job_;
    const conv_layout *l = &job->layout;
    const conv_window *w = &l->window;
    ptrdiff_t used = w->channels * w->kernel_w * l->copy;
    real *padded = scratch, *copies = padded + conv_round(l->rows * l->pitch);
    real *lines = copies + conv_round(used) + 9 * CONV_SLACK;
    ptrdiff_t area = w->out_height * w->out_width, width = w->out_width;
    ptrdiff_t out_channels = job->out_channels; /* of one group */
    clear(padded, l->rows * l->pitch);
    clear(copies + used, 9 * CONV_SLACK);
    for (ptrdiff_t task = begin; task < end; task++) {
        ptrdiff_t band = task % l->bands, group = task / l->bands % job->groups;
        ptrdiff_t block = task / l->bands / job->groups;
        ptrdiff_t first = band * l->band;
        ptrdiff_t height = conv_least(l->band, w->out_height - first);
        copies_of(l, (const real *)job->input + group * w->channels * w->height * w->width,
                  job->groups * w->channels, block, first, padded, copies);
        const real *weights = (const real *)job->packed + group * out_channels * l->taps;
        const real *bias = job->bias ? (const real *)job->bias + group * out_channels : NULL;
        for (ptrdiff_t o = 0; o < out_channels;) {
            int mr = channels_at_once(out_channels - o);
            ptrdiff_t images = conv_least(l->images, l->batch - block * l->images);
            real *out = (real *)job->output
                        + ((block * l->images * job->groups + group) * out_channels + o) * area
                        + first * width;
            if (l->images == 1) {
                strips(mr, copies, l->offset, l->taps, weights, out, area, height * width);
                if (job->bias)
                    finish(out, area, mr, height * width, bias + o, job->activation);
            } else {
                strips(mr, copies, l->offset, l->taps, weights, lines, l->pixels, images * area);
                if (job->bias)
                    finish(lines, l->pixels, mr, images * area, bias + o, job->activation);
                for (ptrdiff_t i = 0; i < images; i++)
                    for (int r = 0; r < mr; r++)
                        memcpy(out + (i * job->groups * out_channels + r) * area,
                               lines + r * l->pixels + i * area, (size_t)area * sizeof(real));
            }
            weights += mr * l->taps;
            o += mr;
        }
    }
}

/* Sums of one chunk and group: CONV_SLACK reals for each tile, tiles of one output row together;
 * then those for the bias. */
DLFS_INLINE ptrdiff_t group_sums(const conv_job *job)
{
    ptrdiff_t tiles = conv_ceil(job->layout.taps, DOTS_B) * conv_ceil(job->out_channels, DOTS_A);
    return tiles * CONV_SLACK + (job->values ? conv_round(job->out_channels) : 0);
}

static size_t NAME(conv_param_grad_sums)(const conv_job *job)
{
    return (size_t)(job->groups * group_sums(job)) * sizeof(real);
}

SCRATCH(conv_param_grad)
{
    const conv_job *job = job_;
    const conv_layout *l = &job->layout;
    ptrdiff_t copies = l->window.channels * l->window.kernel_w * l->copy;
    return (size_t)(conv_round(l->rows * l->pitch) + conv_round(copies) + 9 * CONV_SLACK
                    + (l->images > 1 || job->values ? DOTS_A * conv_round(l->pixels) : 0))
           * sizeof(real);
}

/* Rows of gradients to multiply, n pixels each: in place, or in `lines`, with images side by side
 * and multiplied by the activation's derivative. */
DLFS_INLINE void gradient_rows(const conv_job *job, const real *grad, const real *values, int rows,
                               ptrdiff_t n, ptrdiff_t images, real *lines, real *bias_sums,
                               const real **a)
{
    const conv_layout *l = &job->layout;
    ptrdiff_t area = l->window.out_height * l->window.out_width, line = conv_round(l->pixels);
    ptrdiff_t length = l->images > 1 ? area : n;
    for (int r = 0; r < rows; r++) {
        a[r] = grad + r * area;
        if (l->images == 1 && !values)
            continue;
        a[r] = lines + r * line;
        for (ptrdiff_t i = 0; i < images; i++) {
            ptrdiff_t at = (i * job->groups * job->out_channels + r) * area;
            real *to = lines + r * line + i * area;
            if (values)
                bias_sums[r] += grad_line(grad + at, values + at, to, length, job->activation);
            else
                memcpy(to, grad + at, (size_t)length * sizeof(real));
        }
    }
}

/* Adds the contributions of the pixels p to p + n of a part to all sums of one group. */
DLFS_INLINE void dots_of(const conv_job *job, const real *grad, const real *values,
                         const real *copies, ptrdiff_t p, ptrdiff_t n, ptrdiff_t images,
                         real *lines, real *sums)
{
    const conv_layout *l = &job->layout;
    ptrdiff_t area = l->window.out_height * l->window.out_width, out_channels = job->out_channels;
    ptrdiff_t columns = conv_ceil(l->taps, DOTS_B);
    real *bias_sums = sums + conv_ceil(out_channels, DOTS_A) * columns * CONV_SLACK;
    for (ptrdiff_t o = 0; o < out_channels; o += DOTS_A) {
        const real *a[DOTS_A], *b[DOTS_B];
        int rows = (int)conv_least(DOTS_A, out_channels - o);
        ptrdiff_t at = o * area + p; /* with images side by side, p is 0 */
        gradient_rows(job, grad + at, values ? values + at : NULL, rows, n, images, lines,
                      bias_sums + o, a);
        /* Prefetch the next rows of gradients, a part at a time. */
        const real *next = grad + at + DOTS_A * area;
        const real *next_values = values ? values + at + DOTS_A * area : next;
        ptrdiff_t share = conv_ceil(DOTS_A * n, columns);
        for (ptrdiff_t t = 0; t < columns; t++, sums += CONV_SLACK) {
            for (ptrdiff_t i = 0; i < share; i += 64 / (ptrdiff_t)sizeof(real)) {
                DLFS_PREFETCH_L2(next + t * share + i);
                if (values)
                    DLFS_PREFETCH_L2(next_values + t * share + i);
            }
            ptrdiff_t tap = conv_part(l->taps, columns, t);
            int count = (int)(conv_part(l->taps, columns, t + 1) - tap);
            for (int j = 0; j < DOTS_B; j++)
                b[j] = copies + l->offset[tap + conv_least(j, count - 1)] + p;
            dots_run(rows, count, a, b, n, sums);
        }
    }
}

/* Here a task is one chunk of the batch (of blocks and bands), one group. The number of chunks is
 * fixed by the shapes, and each has its own sums, because the order of additions must not
 * depend on the number of threads. */
KERNEL(conv_param_grad)
{
    const conv_job *job = job_;
    const conv_layout *l = &job->layout;
    const conv_window *w = &l->window;
    ptrdiff_t used = w->channels * w->kernel_w * l->copy;
    real *padded = scratch, *copies = padded + conv_round(l->rows * l->pitch);
    real *lines = copies + conv_round(used) + 9 * CONV_SLACK;
    ptrdiff_t area = w->out_height * w->out_width, out_channels = job->out_channels;
    ptrdiff_t parts = l->blocks * l->bands;
    clear(padded, l->rows * l->pitch);
    for (ptrdiff_t task = begin; task < end; task++) {
        ptrdiff_t group = task % job->groups, chunk = task / job->groups;
        real *sums = (real *)job->sums + task * group_sums(job);
        clear(sums, group_sums(job));
        for (ptrdiff_t part = parts * chunk / job->chunks; part < parts * (chunk + 1) / job->chunks;
             part++) {
            ptrdiff_t block = part / l->bands, first = part % l->bands * l->band;
            ptrdiff_t height = conv_least(l->band, w->out_height - first);
            ptrdiff_t images = conv_least(l->images, l->batch - block * l->images);
            copies_of(l, (const real *)job->input + group * w->channels * w->height * w->width,
                      job->groups * w->channels, block, first, padded, copies);
            ptrdiff_t at = (block * l->images * job->groups + group) * out_channels * area
                           + first * w->out_width;
            const real *grad = (const real *)job->grad + at;
            const real *values = job->values ? (const real *)job->values + at : NULL;
            ptrdiff_t n = l->images > 1 ? images * area : height * w->out_width;
            /* 4 rows of gradients and 2 or 3 copies are read together, repeatedly. 64 KB of them
             * measured best: shorter runs lose more by adding lanes than the first-level cache
             * gains. */
            ptrdiff_t some = conv_ceil(n, conv_ceil(n, 65536 / 6 / (ptrdiff_t)sizeof(real)));
            some = l->images > 1 ? n : conv_ceil(some, VLEN) * VLEN;
            for (ptrdiff_t p = 0; p < n; p += some)
                dots_of(job, grad, values, copies, p, conv_least(some, n - p), images, lines, sums);
        }
    }
}

/* Adds the chunks' sums, first to last, and writes tasks' weights: a task is one group, one row of
 * tiles. out is (in_channels, out_channels of all groups, kernel_h, kernel_w). */
KERNEL(conv_param_grad_reduce)
{
    const conv_job *job = job_;
    const conv_layout *l = &job->layout;
    ptrdiff_t out_channels = job->out_channels, kernel_h = l->window.kernel_h;
    ptrdiff_t kernel_w = l->window.kernel_w;
    ptrdiff_t columns = conv_ceil(l->taps, DOTS_B), rows = conv_ceil(out_channels, DOTS_A);
    ptrdiff_t stride = job->groups * group_sums(job); /* from chunk to chunk */
    for (ptrdiff_t task = begin; task < end; task++) {
        ptrdiff_t group = task / rows, row = task % rows;
        const real *group_start = (const real *)job->sums + group * group_sums(job);
        const real *sums = group_start + row * columns * CONV_SLACK;
        ptrdiff_t channels = conv_least(DOTS_A, out_channels - row * DOTS_A);
        for (ptrdiff_t r = 0; job->values && r < channels; r++) {
            ptrdiff_t o = row * DOTS_A + r;
            real total = 0;
            for (ptrdiff_t chunk = 0; chunk < job->chunks; chunk++)
                total += group_start[rows * columns * CONV_SLACK + chunk * stride + o];
            ((real *)job->bias_grad)[group * out_channels + o] = total;
        }
        for (ptrdiff_t t = 0; t < columns; t++, sums += CONV_SLACK) {
            real total[CONV_SLACK] = {0};
            for (ptrdiff_t chunk = 0; chunk < job->chunks; chunk++)
                for (int i = 0; i < CONV_SLACK; i++)
                    total[i] += sums[chunk * stride + i];
            ptrdiff_t tap = conv_part(l->taps, columns, t);
            ptrdiff_t last = conv_part(l->taps, columns, t + 1);
            for (ptrdiff_t k = tap; k < last; k++) {
                ptrdiff_t i = k % kernel_h, j = k / kernel_h % kernel_w;
                ptrdiff_t c = k / kernel_h / kernel_w * job->groups;
                for (ptrdiff_t r = 0; r < channels; r++) {
                    ptrdiff_t o = group * out_channels + row * DOTS_A + r;
                    ptrdiff_t at = ((c * out_channels + o) * kernel_h + i) * kernel_w + j;
                    ((real *)job->output)[at] = total[r * DOTS_B + k - tap];
                }
            }
        }
    }
}
