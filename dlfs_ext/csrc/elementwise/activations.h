/* The activations, compiled for every target and dtype. */
#ifndef DLFS_ACTIVATIONS_H
#define DLFS_ACTIVATIONS_H

#include "jobs.h"
#include "simd/simd.h"
#define DLFS_TILE "elementwise/activations_tile.h"
#include "simd/targets.h"

DLFS_KERNEL(sigmoid)
DLFS_KERNEL(tanh)
DLFS_KERNEL(relu)
DLFS_KERNEL(leaky_relu)
DLFS_KERNEL(elu)
DLFS_KERNEL(gelu)
DLFS_KERNEL(gelu_tanh)
DLFS_KERNEL(silu)
DLFS_KERNEL(softplus)
DLFS_KERNEL(exp)
DLFS_KERNEL(sigmoid_grad)
DLFS_KERNEL(tanh_grad)
DLFS_KERNEL(relu_grad)
DLFS_KERNEL(leaky_relu_grad)
DLFS_KERNEL(elu_grad)
DLFS_KERNEL(gelu_grad)
DLFS_KERNEL(gelu_tanh_grad)
DLFS_KERNEL(silu_grad)
DLFS_KERNEL(softplus_grad)
DLFS_KERNEL(softmax)
DLFS_KERNEL(softmax_grad)

#endif
