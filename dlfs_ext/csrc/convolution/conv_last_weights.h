/* Weight gradient with the channels last. For tile headers.
 *
 *     W_grad[tap][o][c] = sum over points of grad[point][o] * x[point + tap][c]
 *
 * The tile is LAST_ROWS output channels by a strip of channels: for each point, a number of each
 * output channel is multiplied by the vectors of channels. With Winograd's algorithm there are 16
 * such sums, one for each element, of 4 times fewer terms (conv_last.h).
 *
 * For images of 4x4 and 8x8 pixels in float32 it takes 0.35 to 0.5 of the time of dots() in
 * conv_direct.h, whose sums over a few pixels are too short for adding lanes at their end; for
 * 16x16 0.7, and with few channels, or doubles in large images, more time. Winograd's algorithm
 * takes 0.6 of it, or 0.8 with 16 channels. */

#define outer_tile NAME(last_outer_tile)
#define outer_sums NAME(last_outer_sums)
#define turn_gradients NAME(last_turn_gradients)
#define last_group NAME(last_group)
#define outs_of NAME(last_outs_of)
#define elements_of NAME(last_elements_of)
#define weights_of NAME(last_weights_of)
#define reduce_vector NAME(last_reduce_vector)

/* Output channels with those of the last tile. */
DLFS_INLINE ptrdiff_t outs_of(const conv_job *job) { return conv_round(job->out_channels); }
DLFS_INLINE ptrdiff_t elements_of(const conv_job *job)
{
    return job->winograd ? 16 : job->layout.window.kernel_h * job->layout.window.kernel_w;
}

/* sums[r][v] += the sum over k of grad[k * pitch + r] * src[offset[k] + v]; NV is a constant. */
DLFS_INLINE void outer_tile(const int NV, const real *src, const ptrdiff_t *DLFS_RESTRICT offset,
                            ptrdiff_t points, const real *DLFS_RESTRICT grad, ptrdiff_t pitch,
                            real *sums)
{
    vec sum[LAST_ROWS][LAST_WIDE];
    DLFS_UNROLL
    for (int r = 0; r < LAST_ROWS; r++) {
        DLFS_UNROLL
        for (int v = 0; v < NV; v++)
            sum[r][v] = vset1(0);
    }
    for (ptrdiff_t k = 0; k < points; k++, grad += pitch) {
        const real *at = src + offset[k];
        vec x[LAST_WIDE];
        DLFS_UNROLL
        for (int v = 0; v < NV; v++)
            x[v] = vload(at + v * VLEN);
        DLFS_UNROLL
        for (int r = 0; r < LAST_ROWS; r++) {
            vec one = vset1(grad[r]);
            DLFS_UNROLL
            for (int v = 0; v < NV; v++)
                sum[r][v] += one * x[v];
        }
    }
    DLFS_UNROLL
    for (int r = 0; r < LAST_ROWS; r++) {
        DLFS_UNROLL
        for (int v = 0; v < NV; v++) {
            real *to = sums + (r * NV + v) * VLEN;
            vstore(to, vload(to) + sum[r][v]);
        }
    }
}

/* Output channels 0 to outs, a multiple of LAST_ROWS. */
static void outer_sums(int nv, const real *src, const ptrdiff_t *offset, ptrdiff_t points,
                       const real *grad, ptrdiff_t pitch, ptrdiff_t outs, real *sums)
{
#define OUTER_TILES(NV)                             \
    for (ptrdiff_t o = 0; o < outs; o += LAST_ROWS) \
        outer_tile(NV, src, offset, points, grad + o, pitch, sums + o * NV * VLEN);
    if (nv == 3) {
        OUTER_TILES(3)
    } else if (nv == 2) {
        OUTER_TILES(2)
    } else {
        OUTER_TILES(1)
    }
}

/* Sums of one group: [strip][element][output channel][channel of the strip], then the bias's. */
DLFS_INLINE ptrdiff_t last_group(const conv_job *job)
{
    ptrdiff_t all = elements_of(job) * outs_of(job) * vectors_of(job->layout.window.channels)
                    * VLEN;
    return all + (job->values ? outs_of(job) : 0);
}
static size_t NAME(last_sums)(const conv_job *job)
{
    return (size_t)(job->groups * last_group(job)) * sizeof(real);
}

typedef struct {
    ptrdiff_t points, pixels;   /* of a block; of the gradients of one image of it */
    ptrdiff_t image, turned;    /* pixels read, of an image; reals for a strip of them */
    ptrdiff_t pitch, gradients; /* from point to point; from element to element */
    ptrdiff_t patches, square, lines;
} NAME(outer_size);

#define outer_sizes NAME(last_outer_sizes)
DLFS_INLINE NAME(outer_size) outer_sizes(const conv_job *job)
{
    const conv_layout *l = &job->layout;
    NAME(outer_size) s;
    ptrdiff_t blocks = conv_ceil(outs_of(job) / 16, job->out_blocks);
    int winograd = job->winograd;
    s.points = conv_ceil(l->images * l->band * l->window.out_width, LAST_ROWS) * LAST_ROWS;
    s.pixels = l->band * l->window.out_width * (winograd ? 4 : 1);
    s.image = conv_rows_read(&l->window, l->band) * conv_columns_read(&l->window);
    s.turned = conv_round(l->images * s.image * VLEN * (winograd ? 1 : LAST_WIDE)) + CONV_SLACK;
    /* An odd number of cache lines: the rows of a tile are in different places of a cache. */
    s.pitch = blocks * 16 + 16 * (blocks * 16 * (ptrdiff_t)sizeof(real) / 64 % 2 == 0);
    s.gradients = last_plane(s.points, s.pitch);
    s.patches = winograd ? last_plane(s.points, LAST_WIDE * VLEN) : 0;
    s.square = winograd ? s.pixels * VLEN : 0;
    s.lines = job->values ? s.pixels * VLEN : 0;
    return s;
}

SCRATCH(last_outer)
{
    const conv_job *job = job_;
    NAME(outer_size) s = outer_sizes(job);
    const conv_window *w = &job->layout.window;
    ptrdiff_t reals = s.turned + 16 * s.patches + (job->winograd ? 16 : 1) * s.gradients
                      + conv_round(s.square) + conv_round(s.lines);
    return (size_t)reals * sizeof(real)
           + (size_t)(s.points + s.pixels + w->height * w->width) * sizeof(ptrdiff_t);
}

/* Z = A g A^T of the patches of an image, for one vector of output channels. */
#define gradient_patches NAME(last_gradient_patches)
static void gradient_patches(const real *g, ptrdiff_t high, ptrdiff_t wide, real *to,
                             ptrdiff_t pitch, ptrdiff_t plane)
{
    ptrdiff_t row = 2 * wide * VLEN;
    for (ptrdiff_t y = 0; y < high; y++, g += row)
        for (ptrdiff_t x = 0; x < wide; x++, to += pitch, g += 2 * VLEN) {
            vec half[4][2];
            DLFS_UNROLL
            for (int j = 0; j < 2; j++) {
                vec g0 = vload(g + j * VLEN), g1 = vload(g + row + j * VLEN);
                half[0][j] = g0;
                half[1][j] = g0 + g1;
                half[2][j] = g0 - g1;
                half[3][j] = -g1;
            }
            DLFS_UNROLL
            for (int i = 0; i < 4; i++) {
                real *out = to + 4 * i * plane;
                vstore(out, half[i][0]);
                vstore(out + plane, half[i][0] + half[i][1]);
                vstore(out + 2 * plane, half[i][0] - half[i][1]);
                vstore(out + 3 * plane, -half[i][1]);
            }
        }
}

/* The gradients of output channels o to o + outs, of the rows of points `first` to first + height
 * of `images` images, times the activation's derivative: to[element][point][output channel]. */
static void turn_gradients(const conv_job *job, const NAME(outer_size) *s, ptrdiff_t begin,
                           ptrdiff_t first, ptrdiff_t height, ptrdiff_t images, ptrdiff_t o,
                           ptrdiff_t outs, real *to, real *bias_sums, ptrdiff_t *place,
                           real *square, real *lines)
{
    const conv_window *w = &job->layout.window;
    ptrdiff_t area = job->height * job->width, step = job->winograd ? 2 : 1, y0 = first * step;
    ptrdiff_t rows = conv_least(height * step, job->height - y0), n = rows * job->width;
    for (ptrdiff_t y = 0, p = 0; y < rows; y++)
        for (ptrdiff_t x = 0; x < job->width; x++, p++)
            place[p] = job->winograd ? (y * 2 * w->out_width + x) * VLEN : p * s->pitch;
    for (ptrdiff_t image = 0; image < images; image++)
        for (ptrdiff_t v = 0; v < outs; v += VLEN) {
            ptrdiff_t some = conv_most(0, conv_least(VLEN, job->out_channels - o - v));
            ptrdiff_t at = begin + (image * job->groups * job->out_channels + v) * area
                           + y0 * job->width,
                      row = area;
            const real *from = (const real *)job->grad + at;
            if (job->values) {
                for (ptrdiff_t r = 0; r < some; r++) {
                    real sum = grad_line(from + r * area, (const real *)job->values + at + r * area,
                                         lines + r * n, n, job->activation);
                    if (bias_sums)
                        bias_sums[o + v + r] += sum;
                }
                from = lines;
                row = n;
            }
            real *target = to + image * height * w->out_width * s->pitch + v;
            if (!job->winograd) {
                turn(some, n, from, row, target, place);
                continue;
            }
            if (job->height % 2 || job->width % 2)
                clear(square, s->square);
            turn(some, n, from, row, square, place);
            gradient_patches(square, height, w->out_width, target, s->pitch, s->gradients);
        }
}

/* A task is one chunk of the blocks, one group, some output channels, some strips of channels.
 * The number of chunks depends on shapes alone, and each has its own sums. */
KERNEL(last_outer)
{
    const conv_job *job = job_;
    const conv_layout *l = &job->layout;
    const conv_window *w = &l->window;
    NAME(outer_size) s = outer_sizes(job);
    ptrdiff_t channels = w->channels, columns = conv_columns_read(w), elements = elements_of(job);
    ptrdiff_t all = outs_of(job), parts = l->blocks * l->bands;
    real *turned = scratch, *patches = turned + s.turned, *gradients = patches + 16 * s.patches;
    real *square = gradients + (job->winograd ? 16 : 1) * s.gradients;
    real *lines = square + conv_round(s.square);
    ptrdiff_t *offset = (ptrdiff_t *)(lines + conv_round(s.lines));
    ptrdiff_t *places = offset + s.points, *place = places + s.pixels;
    for (ptrdiff_t task = begin; task < end; task++) {
        ptrdiff_t in_block = task % job->in_blocks, rest = task / job->in_blocks;
        ptrdiff_t out_block = rest % job->out_blocks, group = rest / job->out_blocks % job->groups;
        ptrdiff_t chunk = rest / job->out_blocks / job->groups;
        ptrdiff_t o = all / 16 * out_block / job->out_blocks * 16;
        ptrdiff_t outs = all / 16 * (out_block + 1) / job->out_blocks * 16 - o;
        ptrdiff_t strip0 = strips_of(channels) * in_block / job->in_blocks;
        ptrdiff_t strip1 = strips_of(channels) * (in_block + 1) / job->in_blocks;
        real *sums = (real *)job->sums + (chunk * job->groups + group) * last_group(job);
        real *bias_sums = NULL;
        if (job->values && in_block == 0) {
            bias_sums = sums + elements * all * vectors_of(channels) * VLEN;
            clear(bias_sums + o, outs);
        }
        for (ptrdiff_t strip = strip0; strip < strip1; strip++) {
            ptrdiff_t c = strip_at(channels, strip) * VLEN;
            ptrdiff_t wide = strip_at(channels, strip + 1) * VLEN - c;
            for (ptrdiff_t e = 0; e < elements; e++)
                clear(sums + c * elements * all + (e * all + o) * wide, outs * wide);
        }
        for (ptrdiff_t part = parts * chunk / job->chunks; part < parts * (chunk + 1) / job->chunks;
             part++) {
            ptrdiff_t first_image = part / l->bands * l->images, first = part % l->bands * l->band;
            ptrdiff_t height = conv_least(l->band, w->out_height - first), start;
            ptrdiff_t images = conv_least(l->images, l->batch - first_image);
            ptrdiff_t per_image = height * w->out_width, points = images * per_image;
            turn_gradients(job, &s,
                           ((first_image * job->groups + group) * job->out_channels + o)
                               * job->height * job->width,
                           first, height, images, o, outs, gradients, bias_sums, places, square,
                           lines);
            for (ptrdiff_t strip = strip0; strip < strip1; strip++) {
                ptrdiff_t c = strip_at(channels, strip) * VLEN;
                ptrdiff_t wide = strip_at(channels, strip + 1) * VLEN - c;
                const real *input = (const real *)job->input
                                    + ((first_image * job->groups + group) * channels + c)
                                          * w->height * w->width;
                real *to = sums + c * elements * all + o * wide;
                ptrdiff_t one = job->winograd ? VLEN : wide;
                ptrdiff_t count = last_places(l, first, one, place, &start);
                point_offsets(job, images, height, wide, offset);
                if (job->winograd) {
                    for (ptrdiff_t v = 0; v < wide; v += VLEN) {
                        turn_images(job, input + v * w->height * w->width, channels - c - v, 1,
                                    images, place, start, count, turned);
                        for (ptrdiff_t image = 0; image < images; image++)
                            patches_in(turned + image * s.image * VLEN, columns * VLEN, VLEN,
                                       height, w->out_width, patches + image * per_image * wide + v,
                                       wide, s.patches);
                    }
                    for (int e = 0; e < 16; e++)
                        outer_sums((int)(wide / VLEN), patches + e * s.patches, offset, points,
                                   gradients + e * s.gradients, s.pitch, outs, to + e * all * wide);
                    continue;
                }
                turn_images(job, input, channels - c, wide / VLEN, images, place, start, count,
                            turned);
                for (ptrdiff_t i = 0; i < w->kernel_h; i++)
                    for (ptrdiff_t j = 0; j < w->kernel_w; j++)
                        outer_sums((int)(wide / VLEN),
                                   turned
                                       + (i * w->dilation_h * columns + j * w->dilation_w) * wide,
                                   offset, points, gradients, s.pitch, outs,
                                   to + (i * w->kernel_w + j) * all * wide);
            }
        }
    }
}

SCRATCH(last_reduce)
{
    const conv_job *job = job_;
    return (size_t)(16 * job->kernel_size * VLEN) * sizeof(real);
}

/* W_grad = G^T M G for one output channel and a vector of channels. */
static void weights_of(const vec *m, real *to)
{
    vec half[3][4];
    for (int j = 0; j < 4; j++) {
        vec sum = (m[4 + j] + m[8 + j]) * (real)0.5;
        half[0][j] = m[j] + sum;
        half[1][j] = (m[4 + j] - m[8 + j]) * (real)0.5;
        half[2][j] = sum + m[12 + j];
    }
    for (int i = 0; i < 3; i++, to += 3 * VLEN) {
        vec *h = half[i], sum = (h[1] + h[2]) * (real)0.5;
        vstore(to, h[0] + sum);
        vstore(to + VLEN, (h[1] - h[2]) * (real)0.5);
        vstore(to + 2 * VLEN, sum + h[3]);
    }
}

/* Adds the chunks' sums of vector v of a group's channels, first to last, and writes the weights:
 * out is (in_channels, out_channels of all groups, kernel_h, kernel_w). */
static void reduce_vector(const conv_job *job, ptrdiff_t group, ptrdiff_t v, real *kernels)
{
    ptrdiff_t channels = job->layout.window.channels, elements = elements_of(job);
    ptrdiff_t all = outs_of(job), taps = job->kernel_size, strip = 0;
    ptrdiff_t out_row = job->groups * job->out_channels * taps;
    while (strip_at(channels, strip + 1) <= v)
        strip++;
    ptrdiff_t first = strip_at(channels, strip);
    ptrdiff_t wide = (strip_at(channels, strip + 1) - first) * VLEN;
    const real *sums = (const real *)job->sums + group * last_group(job)
                       + first * VLEN * elements * all + (v - first) * VLEN;
    for (ptrdiff_t o = 0; o < job->out_channels; o += 16) {
        ptrdiff_t some = conv_least(16, job->out_channels - o);
        for (ptrdiff_t r = 0; r < some; r++) {
            vec m[16];
            for (ptrdiff_t e = 0; e < elements; e++) {
                const real *at = sums + (e * all + o + r) * wide;
                vec total = vload(at);
                for (ptrdiff_t chunk = 1; chunk < job->chunks; chunk++)
                    total += vload(at + chunk * job->groups * last_group(job));
                if (job->winograd)
                    m[e] = total;
                else
                    vstore(kernels + (r * taps + e) * VLEN, total);
            }
            if (job->winograd)
                weights_of(m, kernels + r * taps * VLEN);
        }
        unturn(conv_least(VLEN, channels - v * VLEN), some * taps, kernels, VLEN,
               (real *)job->output + v * VLEN * out_row + (group * job->out_channels + o) * taps,
               out_row);
    }
}

/* A task is one group, 16 channels. */
KERNEL(last_reduce)
{
    const conv_job *job = job_;
    ptrdiff_t vectors = vectors_of(job->layout.window.channels);
    ptrdiff_t tasks = conv_ceil(job->layout.window.channels, 16);
    for (ptrdiff_t task = begin; task < end; task++) {
        ptrdiff_t group = task / tasks, v = task % tasks * (16 / VLEN);
        for (ptrdiff_t i = v; i < conv_least(v + 16 / VLEN, vectors); i++)
            reduce_vector(job, group, i, scratch);
        for (ptrdiff_t o = 0; job->values && v == 0 && o < job->out_channels; o++) {
            const real *at = (const real *)job->sums + group * last_group(job)
                             + elements_of(job) * outs_of(job) * vectors * VLEN + o;
            real total = 0;
            for (ptrdiff_t chunk = 0; chunk < job->chunks; chunk++)
                total += at[chunk * job->groups * last_group(job)];
            ((real *)job->bias_grad)[group * job->out_channels + o] = total;
        }
    }
}
