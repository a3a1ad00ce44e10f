/* The convolutions, compiled for every target and dtype; conv.pyx chooses among them. */
#ifndef DLFS_CONV_H
#define DLFS_CONV_H

#include "simd/simd.h"
#include "convolution/conv_geometry.h"
#include "fused.h"

typedef struct {
    conv_layout layout;
    ptrdiff_t groups;
    ptrdiff_t out_channels;          /* of one group */
    ptrdiff_t chunks;                /* weight gradient: number of separate sums */
    ptrdiff_t parts;                 /* scattering, columns: ranges of input channels */
    ptrdiff_t height, width;         /* channels last: of the output */
    ptrdiff_t in_blocks, out_blocks; /* channels last, weight gradient: parts of the channels */
    ptrdiff_t kernel_size;           /* channels last: positions of the kernel */
    ptrdiff_t apart_h, apart_w;      /* input gradient: the strides of the forward pass, or 1 */
    ptrdiff_t top, left, dilation_h, dilation_w; /* and its window, with kernel_w columns */
    ptrdiff_t kernel_w;
    ptrdiff_t *tables; /* channels last: `kernel_size` numbers, for packing weights */
    int phases;        /* channels last: an input gradient with strides */
    int winograd;      /* channels last: with Winograd's algorithm */
    int activation;
    const void *input, *grad, *packed;
    const void *bias;   /* forward: added, then the activation; NULL: neither */
    const void *values; /* weight gradient: output of the activation; or NULL */
    void *output, *sums, *bias_grad;
} conv_job;

#include "convolution/conv_choice.h"
#define DLFS_TILE "convolution/conv_tiles.h"
#include "simd/targets.h"

typedef void conv_pack_fn(const conv_job *job, const void *weights, void *packed,
                          const ptrdiff_t *step);
typedef void conv_scatter_pack_fn(const conv_job *job, const void *weights, void *packed);
typedef size_t conv_size_fn(const conv_job *job);
typedef double peak_fn(ptrdiff_t rounds);

DLFS_TABLE(conv_pack)
DLFS_TABLE_OF(conv_pack_fn, last_pack)
DLFS_TABLE(conv_scatter_pack)
DLFS_TABLE_OF(conv_scatter_pack_fn, conv_columns_pack)
DLFS_TABLE_OF(conv_size_fn, conv_param_grad_sums)
DLFS_TABLE_OF(conv_size_fn, last_packed)
DLFS_TABLE_OF(conv_size_fn, last_sums)
DLFS_KERNEL_WITH(last_forward, last_forward_scratch)
DLFS_KERNEL_WITH(last_outer, last_outer_scratch)
DLFS_KERNEL_WITH(last_reduce, last_reduce_scratch)
DLFS_KERNEL_WITH(conv_forward, conv_forward_scratch)
DLFS_KERNEL_WITH(conv_param_grad, conv_param_grad_scratch)
DLFS_KERNEL_WITH(conv_scatter, conv_scatter_scratch)
DLFS_KERNEL_WITH(conv_columns, conv_columns_scratch)
DLFS_KERNEL_WITH(depthwise, depthwise_scratch)
DLFS_KERNEL_WITH(depthwise_grad, depthwise_scratch)
DLFS_KERNEL(conv_param_grad_reduce)
DLFS_TABLE_OF(peak_fn, multiply_adds)

#endif
