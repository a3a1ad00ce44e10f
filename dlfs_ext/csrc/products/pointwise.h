/* A convolution with kernels of one pixel and stride 1; see pointwise_tile.h. */
#ifndef DLFS_POINTWISE_H
#define DLFS_POINTWISE_H

#include <stddef.h>

typedef struct {
    ptrdiff_t batch, groups, area;
    ptrdiff_t channels, out_channels; /* of one group; an input gradient exchanges them */
    ptrdiff_t row, column, group;     /* steps in the weights: channels out, in, groups */
    ptrdiff_t range, ranges;          /* pixels of a task; how often in an image */
    ptrdiff_t chunks;                 /* weight gradient: number of separate sums */
    const void *input, *weights, *grad;
    const void *bias;   /* added, then the activation; NULL: neither */
    const void *values; /* weight gradient: output of the activation; or NULL */
    void *output, *sums, *bias_grad;
    int activation;
} pointwise_job;

/* Weight gradient: numbers in the sums of one chunk and group. First [channel][output channel],
 * then those for the bias. */
static inline ptrdiff_t point_sums(const pointwise_job *job)
{
    ptrdiff_t numbers = (job->channels + (job->values != NULL)) * job->out_channels;
    return (numbers + 15) / 16 * 16; /* whole cache lines */
}

#endif
