/* The optimizers' updates, compiled for every target and dtype. */
#ifndef DLFS_OPTIMIZERS_H
#define DLFS_OPTIMIZERS_H

#include <float.h>

#include "simd/simd.h"

/* The parameter, its gradient, and the optimizer's memory (or NULL). A task is one number. */
typedef struct {
    void *param, *first, *second;
    const void *grad;
    double constants[9];
} update_job;

#define DLFS_TILE "elementwise/optimizers_tile.h"
#include "simd/targets.h"

DLFS_KERNEL(sgd)
DLFS_KERNEL(momentum)
DLFS_KERNEL(nesterov)
DLFS_KERNEL(adagrad)
DLFS_KERNEL(rmsprop)
DLFS_KERNEL(adam)

#endif
