/* The optimizers' updates, compiled for every target and dtype. */
#ifndef DLFS_OPTIMIZERS_H
#define DLFS_OPTIMIZERS_H

#include <float.h>

#include "simd.h"
#define DLFS_TILE "optimizers_tile.h"
#include "targets.h"

typedef void update_fn(void *param, const void *grad, void *first, void *second, ptrdiff_t n,
                       const double *constants);

DLFS_TABLE_OF(update_fn, sgd)
DLFS_TABLE_OF(update_fn, momentum)
DLFS_TABLE_OF(update_fn, nesterov)
DLFS_TABLE_OF(update_fn, adagrad)
DLFS_TABLE_OF(update_fn, rmsprop)
DLFS_TABLE_OF(update_fn, adam)

#endif
