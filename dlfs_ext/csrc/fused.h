/* The numbers of the activations that are fused into other kernels. */
#ifndef DLFS_FUSED_H
#define DLFS_FUSED_H

enum { DLFS_LINEAR, DLFS_SIGMOID, DLFS_TANH, DLFS_RELU };

#endif
