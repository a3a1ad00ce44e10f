/* Pooling, compiled for every target and dtype; pooling.pyx chooses among the copies. */
#ifndef DLFS_POOLING_H
#define DLFS_POOLING_H

#include "simd/simd.h"

typedef struct {
    ptrdiff_t height, width, out_height, out_width;
    ptrdiff_t kernel_h, kernel_w, stride_h, stride_w, top, left;
    int wide;        /* positions are int32, not uint8 */
    int include_pad; /* mean: padding counts as zeros */
} pool_window;

/* Rows of a padded plane are read in whole vectors, two at a time for a stride of 2; reals after a
 * row's last pixel are read and ignored. This many must follow the plane. */
#define POOL_SLACK 64

static ptrdiff_t pool_rows(const pool_window *w)
{
    return (w->out_height - 1) * w->stride_h + w->kernel_h;
}
static ptrdiff_t pool_pitch(const pool_window *w)
{
    return (w->out_width - 1) * w->stride_w + w->kernel_w;
}

/* A task is a plane: one channel of one image. */
typedef struct {
    pool_window window;
    const void *x; /* gradients: of the output */
    void *out;
    void *positions; /* of the largest pixels: the gradient reads them */
} pool_job;

#define DLFS_TILE "pooling/pooling_tile.h"
#include "simd/targets.h"

DLFS_KERNEL_WITH(max_pool, pool_scratch)
DLFS_KERNEL_WITH(max_pool_grad, pool_scratch)
DLFS_KERNEL_WITH(avg_pool, pool_scratch)
DLFS_KERNEL_WITH(avg_pool_grad, pool_scratch)
DLFS_KERNEL(plane_mean)
DLFS_KERNEL(plane_spread)

#endif
