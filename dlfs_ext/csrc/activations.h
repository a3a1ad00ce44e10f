/* The activations, compiled for every target and dtype. */
#ifndef DLFS_ACTIVATIONS_H
#define DLFS_ACTIVATIONS_H

#include "simd.h"
#define DLFS_TILE "activations_tile.h"
#include "targets.h"

typedef void unary_fn(const void *x, void *out, ptrdiff_t n, double parameter);
typedef void binary_fn(const void *g, const void *y, void *out, ptrdiff_t n, double parameter);
typedef void softmax_fn(const void *x, void *out, ptrdiff_t rows, ptrdiff_t n);
typedef void softmax_grad_fn(const void *g, const void *y, void *out, ptrdiff_t rows, ptrdiff_t n);

DLFS_TABLE_OF(unary_fn, sigmoid)
DLFS_TABLE_OF(unary_fn, tanh)
DLFS_TABLE_OF(unary_fn, relu)
DLFS_TABLE_OF(unary_fn, leaky_relu)
DLFS_TABLE_OF(unary_fn, elu)
DLFS_TABLE_OF(unary_fn, gelu)
DLFS_TABLE_OF(unary_fn, gelu_tanh)
DLFS_TABLE_OF(unary_fn, silu)
DLFS_TABLE_OF(unary_fn, softplus)
DLFS_TABLE_OF(unary_fn, exp)
DLFS_TABLE_OF(binary_fn, sigmoid_grad)
DLFS_TABLE_OF(binary_fn, tanh_grad)
DLFS_TABLE_OF(binary_fn, relu_grad)
DLFS_TABLE_OF(binary_fn, leaky_relu_grad)
DLFS_TABLE_OF(binary_fn, elu_grad)
DLFS_TABLE_OF(binary_fn, gelu_grad)
DLFS_TABLE_OF(binary_fn, gelu_tanh_grad)
DLFS_TABLE_OF(binary_fn, silu_grad)
DLFS_TABLE_OF(binary_fn, softplus_grad)
DLFS_TABLE(softmax)
DLFS_TABLE(softmax_grad)

#endif
