/* Depthwise convolutions, where each group has one channel in and one out. For tile headers.
 *
 * There is nothing to share among channels, so no copies are made for kernel positions. A plane
 * (one channel of one image) is copied once, with zeros around it, into the first-level cache:
 *
 *     output[y][x]   = sum over i, j of W[i][j] * plane[y * stride + i * dilation][...]
 *     W_grad[i][j]   = sum over images, y, x of grad[y][x] * plane[y * stride + i * dilation][...]
 *
 * The input gradient is the forward pass over the gradients, with the kernel turned; where the
 * stride is s, s - 1 zeros are put between the gradients. That multiplies by zeros, and still takes
 * a third of the time of scattering. Kernels of 3x3 and 5x5 on 14x14 pixels take 0.3 to 0.6 of the
 * time of the algorithms for all groups. */

#define depthwise_plane NAME(depthwise_plane)
#define depthwise_load NAME(depthwise_load)
#define depthwise_rows NAME(depthwise_rows)
#define depthwise_dot NAME(depthwise_dot)
#define depthwise_dots NAME(depthwise_dots)
#define depthwise_pitch NAME(depthwise_pitch)
#define depthwise_size NAME(depthwise_size)

/* Output rows at a time. */
#define DEPTHWISE_ROWS 4
/* Positions of a kernel row at a time, for the weight gradient. */
#define DEPTHWISE_TAPS 5

/* The length of a row of a plane, where vectors may begin at the last column; and its size. */
DLFS_INLINE ptrdiff_t depthwise_pitch(const conv_window *w)
{
    return conv_round(conv_columns_read(w) + 2 * VLEN * conv_most(1, w->stride_w));
}
DLFS_INLINE ptrdiff_t depthwise_size(const conv_window *w)
{
    return conv_rows_read(w, w->out_height) * depthwise_pitch(w);
}

/* Scratch: a plane; for the weight gradient one sum for each tap, and gradients. */
SCRATCH(depthwise)
{
    const conv_job *job = job_;
    const conv_window *w = &job->layout.window;
    return (size_t)(depthwise_size(w) + w->kernel_h * w->kernel_w * VLEN
                    + conv_round(w->out_height * w->out_width))
           * sizeof(real);
}

/* Copies the pixels into the plane, apart_h rows and apart_w columns from each other; the zeros
 * between and around are there. */
static void depthwise_plane(const conv_job *job, const real *pixels, real *plane)
{
    const conv_window *w = &job->layout.window;
    ptrdiff_t pitch = depthwise_pitch(w), rows = conv_rows_read(w, w->out_height);
    ptrdiff_t apart = job->apart_w, used = conv_columns_read(w) - w->left;
    ptrdiff_t skip = w->left < 0 ? conv_ceil(-w->left, apart) : 0;
    ptrdiff_t last = used > 0 ? conv_least(w->width, conv_ceil(used, apart)) : 0;
    for (ptrdiff_t y = 0; y < w->height; y++) {
        ptrdiff_t row = y * job->apart_h + w->top;
        if (row < 0 || row >= rows)
            continue;
        const real *from = pixels + y * w->width;
        real *to = plane + row * pitch + w->left;
        ptrdiff_t x = skip;
        for (; apart == 1 && x + VLEN <= last; x += VLEN)
            vstore(to + x, vload(from + x));
        if (apart == 1 && x < last)
            vstore_n(to + x, vload_n(from + x, (int)(last - x)), (int)(last - x));
        for (; apart > 1 && x < last; x++)
            to[x * apart] = from[x];
    }
}

/* VLEN pixels, `step` apart. */
DLFS_INLINE vec depthwise_load(const real *at, ptrdiff_t step)
{
    if (step == 1)
        return vload(at);
    if (step == 2 && VLEN > 1)
        return vevens(vload(at), vload(at + VLEN));
    real lanes[VLEN];
    for (int i = 0; i < VLEN; i++)
        lanes[i] = at[i * step];
    return vload(lanes);
}

/* out[r][x] for `rows` rows, `plane` being that of the first; R and, if 1 or 2, `step`: constants.
 */
DLFS_INLINE void depthwise_rows(const int R, ptrdiff_t step, const conv_window *w,
                                const real *plane, ptrdiff_t pitch, const real *weights, real *out)
{
    for (ptrdiff_t x = 0; x < w->out_width; x += VLEN) {
        int n = (int)conv_least(VLEN, w->out_width - x);
        vec sum[DEPTHWISE_ROWS];
        DLFS_UNROLL
        for (int r = 0; r < R; r++)
            sum[r] = vset1(0);
        const real *weight = weights;
        for (ptrdiff_t i = 0; i < w->kernel_h; i++)
            for (ptrdiff_t j = 0; j < w->kernel_w; j++) {
                const real *at = plane + i * w->dilation_h * pitch + j * w->dilation_w + x * step;
                vec factor = vset1(*weight++);
                DLFS_UNROLL
                for (int r = 0; r < R; r++)
                    sum[r] += factor * depthwise_load(at + r * w->stride_h * pitch, step);
            }
        DLFS_UNROLL
        for (int r = 0; r < R; r++) {
            if (n == VLEN)
                vstore(out + r * w->out_width + x, sum[r]);
            else
                vstore_n(out + r * w->out_width + x, sum[r], n);
        }
    }
}

/* A task is one plane. */
KERNEL(depthwise)
{
    const conv_job *job = job_;
    const conv_window *w = &job->layout.window;
    ptrdiff_t taps = w->kernel_h * w->kernel_w, area = w->out_height * w->out_width;
    ptrdiff_t pitch = depthwise_pitch(w);
    real *plane = scratch;
    clear(plane, depthwise_size(w));
    for (ptrdiff_t task = begin; task < end; task++) {
        ptrdiff_t group = task % job->groups, y = 0;
        const real *weights = (const real *)job->packed + group * taps;
        real *out = (real *)job->output + task * area;
        depthwise_plane(job, (const real *)job->input + task * w->height * w->width, plane);
#define ROWS(R, step)                                                               \
    for (; y + (R) <= w->out_height; y += (R))                                      \
        depthwise_rows(R, step, w, plane + y * w->stride_h * pitch, pitch, weights, \
                       out + y * w->out_width);
        if (w->stride_w == 1) {
            ROWS(DEPTHWISE_ROWS, 1)
            ROWS(1, 1)
        } else if (w->stride_w == 2) {
            ROWS(DEPTHWISE_ROWS, 2)
            ROWS(1, 2)
        } else {
            ROWS(1, w->stride_w)
        }
        if (job->bias)
            finish(out, area, 1, area, (const real *)job->bias + group, job->activation);
    }
}

/* sums[j] += the sum over y and x of grad[y][x] * plane[y * stride][x * step + j * dilation], for J
 * neighbouring kernel positions; J and, if 1 or 2, `step`: constants. */
DLFS_INLINE void depthwise_dot(const int J, ptrdiff_t step, const conv_window *w, const real *plane,
                               ptrdiff_t pitch, const real *grad, real *sums)
{
    vec sum[DEPTHWISE_TAPS];
    ptrdiff_t whole = w->out_width / VLEN * VLEN;
    int rest = (int)(w->out_width - whole);
    ivec used = vfirst(rest);
    DLFS_UNROLL
    for (int j = 0; j < J; j++)
        sum[j] = vload(sums + j * VLEN);
    for (ptrdiff_t y = 0; y < w->out_height; y++, grad += w->out_width) {
        const real *at = plane + y * w->stride_h * pitch;
        for (ptrdiff_t x = 0; x < whole; x += VLEN) {
            vec g = vload(grad + x);
            DLFS_UNROLL
            for (int j = 0; j < J; j++)
                sum[j] += g * depthwise_load(at + x * step + j * w->dilation_w, step);
        }
        if (rest) { /* both factors: 0 times an unread number could be nan */
            vec g = vload_n(grad + whole, rest);
            DLFS_UNROLL
            for (int j = 0; j < J; j++)
                sum[j] += g
                          * vselect(used,
                                    depthwise_load(at + whole * step + j * w->dilation_w, step),
                                    vset1(0));
        }
    }
    DLFS_UNROLL
    for (int j = 0; j < J; j++)
        vstore(sums + j * VLEN, sum[j]);
}

/* All positions of one row of the kernel. */
DLFS_INLINE void depthwise_dots(ptrdiff_t step, const conv_window *w, const real *plane,
                                ptrdiff_t pitch, const real *grad, real *sums)
{
    ptrdiff_t j = 0;
#define TAPS(J)                              \
    for (; j + (J) <= w->kernel_w; j += (J)) \
        depthwise_dot(J, step, w, plane + j * w->dilation_w, pitch, grad, sums + j * VLEN);
    TAPS(DEPTHWISE_TAPS)
    TAPS(3)
    TAPS(1)
}

/* A task is one channel, over all images. */
KERNEL(depthwise_grad)
{
    const conv_job *job = job_;
    const conv_window *w = &job->layout.window;
    ptrdiff_t taps = w->kernel_h * w->kernel_w, area = w->out_height * w->out_width;
    ptrdiff_t pitch = depthwise_pitch(w);
    real *plane = scratch, *sums = plane + depthwise_size(w);
    real *line = sums + taps * VLEN;
    clear(plane, depthwise_size(w));
    for (ptrdiff_t group = begin; group < end; group++) {
        real bias = 0;
        clear(sums, taps * VLEN);
        for (ptrdiff_t image = 0; image < job->layout.batch; image++) {
            ptrdiff_t channel = image * job->groups + group;
            const real *grad = (const real *)job->grad + channel * area;
            if (job->values) {
                bias += grad_line(grad, (const real *)job->values + channel * area, line, area,
                                  job->activation);
                grad = line;
            }
            depthwise_plane(job, (const real *)job->input + channel * w->height * w->width, plane);
            for (ptrdiff_t i = 0; i < w->kernel_h; i++) {
                const real *at = plane + i * w->dilation_h * pitch;
                real *to = sums + i * w->kernel_w * VLEN;
                if (w->stride_w == 1)
                    depthwise_dots(1, w, at, pitch, grad, to);
                else if (w->stride_w == 2)
                    depthwise_dots(2, w, at, pitch, grad, to);
                else
                    depthwise_dots(w->stride_w, w, at, pitch, grad, to);
            }
        }
        for (ptrdiff_t t = 0; t < taps; t++)
            ((real *)job->output)[group * taps + t] = vsum(vload(sums + t * VLEN));
        if (job->values)
            ((real *)job->bias_grad)[group] = bias;
    }
}
