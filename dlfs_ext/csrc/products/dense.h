/* The dense layer's loops, compiled for every target and dtype. */
#ifndef DLFS_DENSE_H
#define DLFS_DENSE_H

#include "fused.h"
#include "simd/simd.h"

/* Bytes of the copied block of A in gemm_copied.h: 192 numbers of 4 bytes, 96 of 8, 256 deep. */
#define DLFS_COPIED_BYTES (256 * 192 * 4)
/* Bytes of scratch memory for one thread: KC rows of the widest tile, or that block and 256. */
#define DLFS_PANEL_BYTES (1024 * 3 * 64 + DLFS_COPIED_BYTES)

/* C = activation(A B + bias), A being m x k and B k x n. A task is a column of C, or a row. */
typedef struct {
    ptrdiff_t m, n, k, a_row, a_column, b_row, b_column;
    const void *a, *b, *bias;
    void *c;
    int activation, by_columns;
} product_job;

#define DLFS_TILE "products/dense_tile.h"
#include "simd/targets.h"

DLFS_KERNEL(product)
DLFS_KERNEL(bias_linear)
DLFS_KERNEL(bias_sigmoid)
DLFS_KERNEL(bias_tanh)
DLFS_KERNEL(bias_relu)
DLFS_KERNEL(scale)
DLFS_KERNEL(grad_linear)
DLFS_KERNEL(grad_sigmoid)
DLFS_KERNEL(grad_tanh)
DLFS_KERNEL(grad_relu)
DLFS_KERNEL(grad_product)

#endif
