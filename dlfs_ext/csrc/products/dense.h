/* The dense layer's loops, compiled for every target and dtype. */
#ifndef DLFS_DENSE_H
#define DLFS_DENSE_H

#include "fused.h"
#include "products/pointwise.h"
#include "simd/simd.h"

/* C = activation(A B + bias), A being m x k and B k x n. A task is a column of C, or a row. */
typedef struct {
    ptrdiff_t m, n, k, a_row, a_column, b_row, b_column;
    const void *a, *b, *bias;
    void *c;
    int activation, by_columns;
} product_job;

#define DLFS_TILE "products/dense_tile.h"
#include "simd/targets.h"

DLFS_KERNEL_WITH(product, product_scratch)
DLFS_KERNEL(scale)
DLFS_KERNEL(grad_product)
DLFS_KERNEL_WITH(pointwise, pointwise_scratch)
DLFS_KERNEL_WITH(pointwise_grad, pointwise_grad_scratch)
DLFS_KERNEL(pointwise_reduce)

/* By an activation's number in fused.h. */
static const kernel bias_kernels[4] = {
    {.copies = DLFS_COPIES(bias_linear)},
    {.copies = DLFS_COPIES(bias_sigmoid)},
    {.copies = DLFS_COPIES(bias_tanh)},
    {.copies = DLFS_COPIES(bias_relu)},
};
static const kernel grad_kernels[4] = {
    {.copies = DLFS_COPIES(grad_linear)},
    {.copies = DLFS_COPIES(grad_sigmoid)},
    {.copies = DLFS_COPIES(grad_tanh)},
    {.copies = DLFS_COPIES(grad_relu)},
};

#endif
