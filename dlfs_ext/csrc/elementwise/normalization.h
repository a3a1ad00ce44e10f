/* Normalization, compiled for every target and dtype. */
#ifndef DLFS_NORMALIZATION_H
#define DLFS_NORMALIZATION_H

#include "jobs.h"
#include "simd/simd.h"

/* Normalization, scale and shift: see affine_tile.h. Batch normalization sees its arrays as (outer,
 * features, inner), as features_job does; layer normalization has outer rows, and no inner. */
typedef struct {
    const void *x, *grad, *gamma, *beta;
    void *out, *mean, *var, *inverse, *gamma_grad, *beta_grad;
    ptrdiff_t outer, features, inner;
    double eps;
} affine_job;

enum { DLFS_ROWS_TOGETHER = 32 }; /* whose shares of the parameters' gradients are one sum */

#define DLFS_TILE "elementwise/normalization_tile.h"
#include "simd/targets.h"

typedef void divide_fn(void *sums, ptrdiff_t n, double count);

DLFS_TABLE(divide)
DLFS_KERNEL(inverse_deviation)
DLFS_KERNEL(sum_first)
DLFS_KERNEL(sum_products)
DLFS_KERNEL(sum_squares)
DLFS_KERNEL(normalize)
DLFS_KERNEL(normalize_grad)
DLFS_KERNEL(rescale)
DLFS_KERNEL(layer_norm)
DLFS_KERNEL(layer_norm_grad)
DLFS_KERNEL(rms_norm)
DLFS_KERNEL(rms_norm_grad)
DLFS_KERNEL(batch_norm_affine)
DLFS_KERNEL(batch_norm_affine_grad)
DLFS_KERNEL(layer_norm_affine)
DLFS_KERNEL(layer_norm_affine_grad)

#endif
