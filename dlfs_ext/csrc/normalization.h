/* Normalization, compiled for every target and dtype. */
#ifndef DLFS_NORMALIZATION_H
#define DLFS_NORMALIZATION_H

#include "simd.h"
#define DLFS_TILE "normalization_tile.h"
#include "targets.h"

typedef void feature_map_fn(const void *x, const void *y, const void *p, const void *q,
                            const void *r, void *out, ptrdiff_t first, ptrdiff_t last,
                            ptrdiff_t features, ptrdiff_t inner);
typedef void feature_sum_fn(const void *x, const void *y, const void *p, void *out, void *sums,
                            ptrdiff_t first, ptrdiff_t last, ptrdiff_t outer, ptrdiff_t features,
                            ptrdiff_t inner);
typedef void divide_fn(void *sums, ptrdiff_t n, double count);
typedef void inverse_deviation_fn(const void *var, void *out, ptrdiff_t n, double eps);
typedef void layer_norm_fn(const void *x, void *out, void *inverse, ptrdiff_t rows, ptrdiff_t n,
                           double eps);
typedef void layer_norm_grad_fn(const void *g, const void *y, const void *inverse, void *out,
                                ptrdiff_t rows, ptrdiff_t n);

DLFS_TABLE_OF(feature_sum_fn, sum_first)
DLFS_TABLE_OF(feature_sum_fn, sum_products)
DLFS_TABLE_OF(feature_sum_fn, sum_squares)
DLFS_TABLE_OF(feature_map_fn, normalize)
DLFS_TABLE_OF(feature_map_fn, normalize_grad)
DLFS_TABLE_OF(feature_map_fn, rescale)
DLFS_TABLE(divide)
DLFS_TABLE(inverse_deviation)
DLFS_TABLE(layer_norm)
DLFS_TABLE(layer_norm_grad)
DLFS_TABLE_OF(layer_norm_fn, rms_norm)
DLFS_TABLE_OF(layer_norm_grad_fn, rms_norm_grad)

#endif
