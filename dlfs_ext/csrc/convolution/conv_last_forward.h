/* Forward pass and input gradient with the channels last. For tile headers.
 *
 *     output[point][o] = sum over taps and channels of x[point + tap][c] * W[tap][c][o]
 *
 * The tile is LAST_ROWS points by a strip of output channels: for each tap and channel, a number of
 * each point is multiplied by the vectors of weights. With Winograd's algorithm there are 16 such
 * products, one for each element, with one tap.
 *
 * The input gradient for a stride s consists of s * s such sums ("phases"), one for each of the
 * positions that pixels have between the strides: only kernel positions i with
 * (y + top - i * dilation) % s == 0 reach row y. So nothing is multiplied by zero and nothing is
 * scattered.
 *
 * With 64 to 256 channels in float32 it takes 0.45 of the time of shifted copies for images of 4x4
 * pixels, 0.65 for 8x8, and the same for 16x16; Winograd's algorithm 0.6 of that. With stride 2 the
 * input gradient takes 0.45 to 0.65 of the time of scattering. */

#define last_tile NAME(last_tile)
#define last_products NAME(last_products)
#define patches_out NAME(last_patches_out)
#define kernel_elements NAME(last_kernel_elements)
#define last_taps NAME(last_taps)
#define phase_out NAME(last_phase_out)

/* NV: a constant, after inlining. */
DLFS_INLINE void last_tile(const int NV, const real *src, const ptrdiff_t *offset,
                           const ptrdiff_t *tap, ptrdiff_t taps, ptrdiff_t channels,
                           const real *weights, real *out, int add)
{
    vec sum[LAST_ROWS][LAST_WIDE];
    const real *row[LAST_ROWS];
    DLFS_UNROLL
    for (int r = 0; r < LAST_ROWS; r++) {
        row[r] = src + offset[r];
        DLFS_UNROLL
        for (int v = 0; v < NV; v++)
            sum[r][v] = vset1(0);
    }
    for (ptrdiff_t t = 0; t < taps; t++) {
        ptrdiff_t at = tap[t], end = at + channels;
        for (; at < end; at++, weights += NV * VLEN) {
            vec x[LAST_WIDE];
            DLFS_UNROLL
            for (int v = 0; v < NV; v++)
                x[v] = vload(weights + v * VLEN);
            DLFS_UNROLL
            for (int r = 0; r < LAST_ROWS; r++) {
                vec one = vset1(row[r][at]);
                DLFS_UNROLL
                for (int v = 0; v < NV; v++)
                    sum[r][v] += one * x[v];
            }
        }
    }
    DLFS_UNROLL
    for (int r = 0; r < LAST_ROWS; r++) {
        DLFS_UNROLL
        for (int v = 0; v < NV; v++) {
            real *to = out + (r * NV + v) * VLEN;
            vstore(to, add ? vload(to) + sum[r][v] : sum[r][v]);
        }
    }
}

/* All points; `offset` goes on with the last point's, and `out` with room, to whole tiles. Weights
 * are used LAST_DEPTH rows at a time, which stay in the first-level cache for all points. */
#define LAST_DEPTH (24576 / LAST_WIDE / (VLEN * (ptrdiff_t)sizeof(real)))
static void last_products(int nv, const real *src, const ptrdiff_t *offset, ptrdiff_t points,
                          const ptrdiff_t *tap, ptrdiff_t taps, ptrdiff_t channels,
                          const real *weights, real *out)
{
    if (taps == 0) { /* a phase that no kernel position reaches */
        clear(out, points * nv * VLEN);
        return;
    }
    ptrdiff_t parts = conv_ceil(channels, LAST_DEPTH);
    ptrdiff_t together = conv_most(1, LAST_DEPTH / channels);
    for (ptrdiff_t t = 0; t < taps; t += together)
        for (ptrdiff_t part = 0; part < parts; part++) {
            ptrdiff_t c = channels * part / parts, n = channels * (part + 1) / parts - c;
            ptrdiff_t some = conv_least(together, taps - t), p = 0;
            const real *from = weights + (t * channels + c) * nv * VLEN;
            int add = t > 0 || part > 0;
#define TILES(NV)                      \
    for (; p < points; p += LAST_ROWS) \
        last_tile(NV, src + c, offset + p, tap + t, some, n, from, out + p * NV * VLEN, add);
            if (nv == 3) {
                TILES(3)
            } else if (nv == 2) {
                TILES(2)
            } else {
                TILES(1)
            }
        }
}

/* Y = A^T M A for the patches of an image, one vector of channels: `rows` x `width` pixels. */
static void patches_out(const real *m, ptrdiff_t pitch, ptrdiff_t plane, ptrdiff_t rows,
                        ptrdiff_t width, real *out)
{
    for (ptrdiff_t y = 0; y < rows; y += 2)
        for (ptrdiff_t x = 0; x < width; x += 2, m += pitch) {
            vec top[4], bottom[4];
            DLFS_UNROLL
            for (int j = 0; j < 4; j++) {
                const real *at = m + j * plane;
                vec m0 = vload(at), m1 = vload(at + 4 * plane), m2 = vload(at + 8 * plane);
                vec m3 = vload(at + 12 * plane);
                top[j] = m0 + m1 + m2;
                bottom[j] = m1 - m2 - m3;
            }
            real *to = out + (y * width + x) * pitch;
            vstore(to, top[0] + top[1] + top[2]);
            if (x + 1 < width)
                vstore(to + pitch, top[1] - top[2] - top[3]);
            if (y + 1 < rows) {
                to += width * pitch;
                vstore(to, bottom[0] + bottom[1] + bottom[2]);
                if (x + 1 < width)
                    vstore(to + pitch, bottom[1] - bottom[2] - bottom[3]);
            }
        }
}

/* U = G g G^T of one channel and a vector of output channels. */
static void kernel_elements(const real *kernel, real *to, ptrdiff_t plane)
{
    vec half[4][3];
    for (int j = 0; j < 3; j++) {
        vec g0 = vload(kernel + j * VLEN), g1 = vload(kernel + (3 + j) * VLEN);
        vec g2 = vload(kernel + (6 + j) * VLEN);
        half[0][j] = g0;
        half[1][j] = (g0 + g1 + g2) * (real)0.5;
        half[2][j] = (g0 - g1 + g2) * (real)0.5;
        half[3][j] = g2;
    }
    for (int i = 0; i < 4; i++, to += 4 * plane) {
        vec *h = half[i];
        vstore(to, h[0]);
        vstore(to + plane, (h[0] + h[1] + h[2]) * (real)0.5);
        vstore(to + 2 * plane, (h[0] - h[1] + h[2]) * (real)0.5);
        vstore(to + 3 * plane, h[2]);
    }
}

/* Lists the taps phase by phase: the kernel position and the place of the pixel that it reads, by
 * which offsets grow, for pixels of `pitch` reals in rows of `columns`. first[phase] is the phase's
 * first tap, and first[phases] their number. Any table may be NULL. */
static void last_taps(const conv_job *job, ptrdiff_t columns, ptrdiff_t pitch, ptrdiff_t *position,
                      ptrdiff_t *offset, ptrdiff_t *first)
{
    const conv_window *w = &job->layout.window;
    ptrdiff_t phases = job->apart_h * job->apart_w, count = 0;
    for (ptrdiff_t phase = 0; phase < phases; phase++) {
        if (first)
            first[phase] = count;
        for (ptrdiff_t t = 0; t < job->kernel_size; t++) {
            ptrdiff_t i = t / job->kernel_w, j = t % job->kernel_w;
            ptrdiff_t row = i * w->dilation_h, column = j * w->dilation_w;
            if (job->phases) {
                row = phase / job->apart_w + job->top - i * job->dilation_h;
                column = phase % job->apart_w + job->left - j * job->dilation_w;
                if (row % job->apart_h || column % job->apart_w)
                    continue;
                row = row / job->apart_h + w->top;
                column = column / job->apart_w + w->left;
            }
            if (position)
                position[t] = count;
            if (offset)
                offset[count] = (row * columns + column) * pitch;
            count++;
        }
    }
    if (first)
        first[phases] = count;
}

/* Weights as last_tile() reads them: [strip][tap or element][channel][output channel of the strip],
 * zeros where a vector has no channel. The weight from channel c to o at tap t is at
 * c * step[0] + o * step[1] + t; the taps are in reverse if step[3] is negative. */
static void NAME(last_pack)(const conv_job *job, const void *weights_, void *packed_,
                            const ptrdiff_t *step)
{
    const real *weights = weights_;
    ptrdiff_t in = job->layout.window.channels, out_channels = job->out_channels;
    ptrdiff_t taps = job->kernel_size, *position = (ptrdiff_t *)job->tables;
    if (step[3] < 0)
        weights -= taps - 1;
    last_taps(job, 0, 0, position, NULL, NULL);
    for (ptrdiff_t strip = 0; strip < strips_of(out_channels); strip++) {
        ptrdiff_t first = strip_at(out_channels, strip);
        ptrdiff_t wide = (strip_at(out_channels, strip + 1) - first) * VLEN;
        real *packed = (real *)packed_ + first * VLEN * in * (job->winograd ? 16 : taps);
        for (ptrdiff_t c = 0; c < in; c++)
            for (ptrdiff_t o = 0; o < wide; o += VLEN) {
                const real *from = weights + c * step[0] + (first * VLEN + o) * step[1];
                int count = (int)conv_least(VLEN, out_channels - first * VLEN - o);
                real *to = packed + c * wide + o;
                ptrdiff_t place[16];
                real kernel[9 * VLEN];
                if (taps == 1 && step[1] == 1) {
                    vstore(to, vload_n(from, count));
                    continue;
                }
                for (ptrdiff_t t = 0; t < taps; t += 16) {
                    int some = (int)conv_least(16, taps - t);
                    for (int k = 0; k < some; k++) {
                        ptrdiff_t tap = position[step[3] < 0 ? taps - 1 - t - k : t + k];
                        place[k] = job->winograd ? tap * VLEN : tap * in * wide;
                    }
                    turn(count, some, from + t, step[1], job->winograd ? kernel : to, place);
                }
                if (job->winograd)
                    kernel_elements(kernel, to, in * wide);
            }
    }
}

static size_t NAME(last_packed)(const conv_job *job)
{
    ptrdiff_t taps = job->winograd ? 16 : job->kernel_size;
    return (size_t)(job->layout.window.channels * taps * vectors_of(job->out_channels) * VLEN)
           * sizeof(real);
}

/* The pixels of one phase, a vector of channels each, to their places among all pixels. */
static void phase_out(const real *sums, ptrdiff_t pitch, ptrdiff_t high, ptrdiff_t wide,
                      const conv_job *job, ptrdiff_t phase, ptrdiff_t rows, real *pixels)
{
    for (ptrdiff_t p = 0; p < high * wide; p++, sums += pitch) {
        ptrdiff_t y = p / wide * job->apart_h + phase / job->apart_w;
        ptrdiff_t x = p % wide * job->apart_w + phase % job->apart_w;
        if (y < rows && x < job->width)
            memcpy(pixels + (y * job->width + x) * pitch, sums, (size_t)pitch * sizeof(real));
    }
}

/* Sizes of a block, in reals but for the tables. A point is a pixel, a patch of 2x2 pixels, or
 * apart_h x apart_w pixels, one of each phase. */
typedef struct {
    ptrdiff_t points, taps, phases, image, turned, plane, sums, pixels;
} NAME(last_size);

#define last_sizes NAME(last_sizes)
DLFS_INLINE NAME(last_size) last_sizes(const conv_job *job)
{
    const conv_layout *l = &job->layout;
    const conv_window *w = &l->window;
    NAME(last_size) s;
    ptrdiff_t pitch = vectors_of(w->channels) * VLEN, wide = LAST_WIDE * VLEN;
    ptrdiff_t of_point = job->winograd ? 4 : job->phases ? job->apart_h * job->apart_w : 0;
    s.points = conv_ceil(l->images * l->band * w->out_width, LAST_ROWS) * LAST_ROWS;
    s.taps = job->winograd ? 1 : job->kernel_size;
    s.phases = job->phases ? of_point : 1;
    s.image = conv_rows_read(w, l->band) * conv_columns_read(w);
    s.turned = conv_round(l->images * s.image * (job->winograd ? VLEN : pitch)) + CONV_SLACK;
    s.plane = job->winograd ? last_plane(s.points, pitch) : 0;
    s.sums = job->winograd ? last_plane(s.points, wide) : s.points * wide;
    s.pixels = l->images * l->band * w->out_width * of_point * wide;
    return s;
}

SCRATCH(last_forward)
{
    const conv_job *job = job_;
    NAME(last_size) s = last_sizes(job);
    const conv_window *w = &job->layout.window;
    ptrdiff_t elements = job->winograd ? 16 : 1;
    return (size_t)(s.turned + 16 * s.plane + elements * s.sums + s.pixels) * sizeof(real)
           + (size_t)(s.points + s.taps + s.phases + 1 + w->height * w->width) * sizeof(ptrdiff_t);
}

/* A task is a block of images, one group, one band of rows of points. */
KERNEL(last_forward)
{
    const conv_job *job = job_;
    const conv_layout *l = &job->layout;
    const conv_window *w = &l->window;
    NAME(last_size) s = last_sizes(job);
    int winograd = job->winograd, elements = winograd ? 16 : 1;
    ptrdiff_t channels = w->channels, vectors = vectors_of(channels), pitch = vectors * VLEN;
    ptrdiff_t columns = conv_columns_read(w), out_channels = job->out_channels;
    ptrdiff_t area = job->height * job->width;
    ptrdiff_t step = winograd ? 2 : job->apart_h; /* rows of output pixels for one of points */
    real *turned = scratch, *patches = turned + s.turned, *sums = patches + 16 * s.plane;
    real *pixels = s.pixels ? sums + elements * s.sums : sums;
    ptrdiff_t *offset = (ptrdiff_t *)(sums + elements * s.sums + s.pixels);
    ptrdiff_t *tap = offset + s.points, *first_tap = tap + s.taps;
    ptrdiff_t *place = first_tap + s.phases + 1;
    if (winograd)
        tap[0] = 0, first_tap[0] = 0, first_tap[1] = 1;
    else
        last_taps(job, columns, pitch, NULL, tap, first_tap);
    for (ptrdiff_t task = begin; task < end; task++) {
        ptrdiff_t band = task % l->bands, group = task / l->bands % job->groups;
        ptrdiff_t first_image = task / l->bands / job->groups * l->images;
        ptrdiff_t first = band * l->band, height = conv_least(l->band, w->out_height - first);
        ptrdiff_t images = conv_least(l->images, l->batch - first_image), start;
        ptrdiff_t per_image = height * w->out_width, points = images * per_image;
        const real *input = (const real *)job->input
                            + (first_image * job->groups + group) * channels * w->height * w->width;
        ptrdiff_t count = last_places(l, first, winograd ? VLEN : pitch, place, &start);
        for (ptrdiff_t v = 0; winograd && v < vectors; v++) {
            turn_images(job, input + v * VLEN * w->height * w->width, channels - v * VLEN, 1,
                        images, place, start, count, turned);
            for (ptrdiff_t image = 0; image < images; image++)
                patches_in(turned + image * s.image * VLEN, columns * VLEN, VLEN, height,
                           w->out_width, patches + image * per_image * pitch + v * VLEN, pitch,
                           s.plane);
        }
        if (!winograd)
            turn_images(job, input, channels, vectors, images, place, start, count, turned);
        point_offsets(job, images, height, pitch, offset);
        const real *weights = (const real *)job->packed
                              + group * (ptrdiff_t)(NAME(last_packed)(job) / sizeof(real));
        ptrdiff_t y0 = first * step, rows = conv_least(height * step, job->height - y0);
        ptrdiff_t n = rows * job->width;
        for (ptrdiff_t strip = 0; strip < strips_of(out_channels); strip++) {
            ptrdiff_t o = strip_at(out_channels, strip) * VLEN;
            ptrdiff_t wide = strip_at(out_channels, strip + 1) * VLEN - o;
            ptrdiff_t some = conv_least(wide, out_channels - o);
            int nv = (int)(wide / VLEN);
            for (int e = 0; winograd && e < 16; e++, weights += channels * wide)
                last_products(nv, patches + e * s.plane, offset, points, tap, 1, channels, weights,
                              sums + e * s.sums);
            for (ptrdiff_t phase = 0; !winograd && phase < s.phases; phase++) {
                ptrdiff_t taps = first_tap[phase + 1] - first_tap[phase];
                last_products(nv, turned, offset, points, tap + first_tap[phase], taps, channels,
                              weights, sums);
                weights += taps * channels * wide;
                for (ptrdiff_t image = 0; job->phases && image < images; image++)
                    phase_out(sums + image * per_image * wide, wide, height, w->out_width, job,
                              phase, rows, pixels + image * n * wide);
            }
            for (ptrdiff_t image = 0; image < images; image++) {
                real *out = (real *)job->output
                            + (((first_image + image) * job->groups + group) * out_channels + o)
                                  * area
                            + y0 * job->width;
                real *done = pixels + image * n * wide;
                for (ptrdiff_t v = 0; v < wide; v += VLEN) {
                    if (winograd)
                        patches_out(sums + image * per_image * wide + v, wide, s.sums, rows,
                                    job->width, done + v);
                    unturn(some - v, n, done + v, wide, out + v * area, area);
                }
                if (job->bias)
                    finish(out, area, (int)some, n,
                           (const real *)job->bias + group * out_channels + o, job->activation);
            }
        }
    }
}
