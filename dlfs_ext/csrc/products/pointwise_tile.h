/* Convolutions with kernels of one pixel and stride 1: products of matrices. For dense_tile.h.
 *
 *     output[o][pixel] = sum over c of weight[c][o] * x[c][pixel], of each image
 *     W_grad[c][o] = sum over images and pixels of x[c][pixel] * grad[o][pixel]
 *
 * The gemm copies what it reads again, a few hundred pixels at a time, to contiguous panels. The
 * direct sums once did this work, and read the pixels in place, from rows as far apart as the
 * images are large: with 64 and 128 channels of 28x28 in float64 they took 1.1 (forward), 1.7
 * (input gradient) and 1.5 (weight gradient) times as long. */

/* Pixels at a time of the weight gradient. */
#define POINT_PIXELS (2 * KC)
#define some_pixels NAME(some_pixels)
DLFS_INLINE ptrdiff_t some_pixels(ptrdiff_t most, ptrdiff_t left)
{
    return left < most ? left : most;
}

SCRATCH(pointwise)
{
    (void)job_;
    return DLFS_PANEL_BYTES;
}

/* A task is one image, one group, a range of pixels; an input gradient reads the gradients. */
KERNEL(pointwise)
{
    const pointwise_job *job = job_;
    ptrdiff_t area = job->area, channels = job->channels, out_channels = job->out_channels;
    for (ptrdiff_t task = begin; task < end; task++) {
        ptrdiff_t plane = task / job->ranges, group = plane % job->groups;
        ptrdiff_t first = task % job->ranges * job->range,
                  n = some_pixels(job->range, area - first);
        const real *input = (const real *)job->input + plane * channels * area + first;
        real *out = (real *)job->output + plane * out_channels * area + first;
        gemm(out_channels, n, channels, (const real *)job->weights + group * job->group, job->row,
             job->column, input, area, 1, out, area, 0, NULL, scratch);
        if (job->bias)
            finish(out, area, (int)out_channels, n, (const real *)job->bias + group * out_channels,
                   job->activation);
    }
}

/* The panels, and the gradients times the activation's derivative. */
SCRATCH(pointwise_grad)
{
    const pointwise_job *job = job_;
    return DLFS_PANEL_BYTES
           + (job->values ? (size_t)(job->out_channels * some_pixels(POINT_PIXELS, job->area))
                                * sizeof(real)
                          : 0);
}

/* A task is one chunk of the batch, one group. The number of chunks depends on shapes alone. */
KERNEL(pointwise_grad)
{
    const pointwise_job *job = job_;
    ptrdiff_t area = job->area, channels = job->channels, out_channels = job->out_channels;
    real *lines = (real *)((char *)scratch + DLFS_PANEL_BYTES);
    for (ptrdiff_t task = begin; task < end; task++) {
        ptrdiff_t group = task % job->groups, chunk = task / job->groups;
        ptrdiff_t image = job->batch * chunk / job->chunks;
        ptrdiff_t last = job->batch * (chunk + 1) / job->chunks;
        real *sums = (real *)job->sums + task * point_sums(job);
        real *bias_sums = sums + channels * out_channels;
        int add = 0;
        for (ptrdiff_t o = 0; job->values && o < out_channels; o++)
            bias_sums[o] = 0;
        for (; image < last; image++) {
            ptrdiff_t plane = image * job->groups + group;
            const real *input = (const real *)job->input + plane * channels * area;
            ptrdiff_t at = plane * out_channels * area;
            for (ptrdiff_t p = 0; p < area; p += POINT_PIXELS, add = 1) {
                ptrdiff_t n = some_pixels(POINT_PIXELS, area - p), line = area;
                const real *grad = (const real *)job->grad + at + p;
                if (job->values) {
                    const real *values = (const real *)job->values + at + p;
                    for (ptrdiff_t o = 0; o < out_channels; o++)
                        bias_sums[o] += grad_line(grad + o * area, values + o * area, lines + o * n,
                                                  n, job->activation);
                    grad = lines;
                    line = n;
                }
                gemm(channels, out_channels, n, input + p, area, 1, grad, 1, line, sums,
                     out_channels, add, NULL, scratch);
            }
        }
    }
}

/* Adds the chunks' sums, first to last; a task is a group's row of weights, one input channel. */
KERNEL(pointwise_reduce)
{
    const pointwise_job *job = job_;
    ptrdiff_t channels = job->channels, out_channels = job->out_channels;
    ptrdiff_t stride = job->groups * point_sums(job); /* from chunk to chunk */
    for (ptrdiff_t task = begin; task < end; task++) {
        ptrdiff_t group = task / channels, c = task % channels;
        const real *sums = (const real *)job->sums + group * point_sums(job);
        const real *row = sums + c * out_channels;
        const real *bias_sums = sums + channels * out_channels;
        real *out = (real *)job->output + (c * job->groups + group) * out_channels;
        for (ptrdiff_t o = 0; o < out_channels; o++) {
            real total = 0, bias_total = 0;
            for (ptrdiff_t chunk = 0; chunk < job->chunks; chunk++)
                total += row[chunk * stride + o];
            out[o] = total;
            if (!job->values || c > 0)
                continue;
            for (ptrdiff_t chunk = 0; chunk < job->chunks; chunk++)
                bias_total += bias_sums[chunk * stride + o];
            ((real *)job->bias_grad)[group * out_channels + o] = bias_total;
        }
    }
}
