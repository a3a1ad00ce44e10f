/* The dense layer's loops, compiled for every target and dtype. */
#ifndef DLFS_DENSE_H
#define DLFS_DENSE_H

#include "fused.h"
#include "simd.h"

/* Bytes of the copied block of A in gemm_copied.h: 192 numbers of 4 bytes, 96 of 8, 256 deep. */
#define DLFS_COPIED_BYTES (256 * 192 * 4)
/* Bytes of scratch memory for one thread: KC rows of the widest tile, or that block and 256. */
#define DLFS_PANEL_BYTES (1024 * 3 * 64 + DLFS_COPIED_BYTES)

#define DLFS_TILE "dense_tile.h"
#include "targets.h"

typedef void product_fn(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const void *a, ptrdiff_t a_row,
                        ptrdiff_t a_column, const void *b, ptrdiff_t b_row, ptrdiff_t b_column,
                        void *c, ptrdiff_t c_row, const void *bias, int activation, void *panel);
typedef void feature_map_fn(const void *x, const void *y, const void *p, const void *q,
                            const void *r, void *out, ptrdiff_t first, ptrdiff_t last,
                            ptrdiff_t features, ptrdiff_t inner);
typedef void feature_sum_fn(const void *x, const void *y, const void *p, void *out, void *sums,
                            ptrdiff_t first, ptrdiff_t last, ptrdiff_t outer, ptrdiff_t features,
                            ptrdiff_t inner);

DLFS_TABLE(product)
DLFS_TABLE_OF(feature_map_fn, bias_linear)
DLFS_TABLE_OF(feature_map_fn, bias_sigmoid)
DLFS_TABLE_OF(feature_map_fn, bias_tanh)
DLFS_TABLE_OF(feature_map_fn, bias_relu)
DLFS_TABLE_OF(feature_map_fn, scale)
DLFS_TABLE_OF(feature_sum_fn, grad_linear)
DLFS_TABLE_OF(feature_sum_fn, grad_sigmoid)
DLFS_TABLE_OF(feature_sum_fn, grad_tanh)
DLFS_TABLE_OF(feature_sum_fn, grad_relu)
DLFS_TABLE_OF(feature_sum_fn, grad_product)

#endif
