/* The activations that other kernels compute in passing, by number. */
#ifndef DLFS_FUSED_H
#define DLFS_FUSED_H

enum { DLFS_LINEAR, DLFS_SIGMOID, DLFS_TANH, DLFS_RELU };

#endif
