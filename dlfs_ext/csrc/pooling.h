/* Pooling, compiled for every target and dtype; pooling.pyx chooses among the copies. */
#ifndef DLFS_POOLING_H
#define DLFS_POOLING_H

#include "simd.h"

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

#define DLFS_TILE "pooling_tile.h"
#include "targets.h"

typedef size_t pool_size_fn(const pool_window *w);
typedef void max_pool_fn(const pool_window *w, const void *x, void *out, void *positions,
                         ptrdiff_t planes, void *scratch);
typedef void max_pool_grad_fn(const pool_window *w, const void *grad, const void *positions,
                              void *out, ptrdiff_t planes, void *scratch);
typedef void avg_pool_fn(const pool_window *w, const void *x, void *out, ptrdiff_t planes,
                         void *scratch);
typedef void plane_fn(const void *x, void *out, ptrdiff_t area, ptrdiff_t planes);

DLFS_TABLE_OF(pool_size_fn, pool_scratch)
DLFS_TABLE(max_pool)
DLFS_TABLE(max_pool_grad)
DLFS_TABLE(avg_pool)
DLFS_TABLE_OF(avg_pool_fn, avg_pool_grad)
DLFS_TABLE_OF(plane_fn, plane_mean)
DLFS_TABLE_OF(plane_fn, plane_spread)

#endif
