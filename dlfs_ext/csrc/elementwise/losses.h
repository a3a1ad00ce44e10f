/* The losses, compiled for every target and dtype. */
#ifndef DLFS_LOSSES_H
#define DLFS_LOSSES_H

#include "simd/simd.h"
#define DLFS_TILE "elementwise/losses_tile.h"
#include "simd/targets.h"

typedef double loss_fn(const void *x, const void *t, const void *weights, void *grad, ptrdiff_t n,
                       double extra, double factor);
typedef double softmax_cross_entropy_fn(const void *x, const void *t, const int64_t *labels,
                                        const void *weights, void *grad, ptrdiff_t rows,
                                        ptrdiff_t n, double smoothing);

DLFS_TABLE_OF(loss_fn, squared)
DLFS_TABLE_OF(loss_fn, absolute)
DLFS_TABLE_OF(loss_fn, huber)
DLFS_TABLE_OF(loss_fn, binary)
DLFS_TABLE(softmax_cross_entropy)

#endif
