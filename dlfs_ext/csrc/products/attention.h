/* Attention, compiled for every target and dtype. */
#ifndef DLFS_ATTENTION_H
#define DLFS_ATTENTION_H

#include "simd/simd.h"

/* A block of scores: 64 or 128 KB, and as much for its gradient. KEYS is a multiple of QUERIES. */
#define DLFS_QUERIES 32
#define DLFS_KEYS 512

/* The length of a row of n numbers: a whole, odd number of the widest vectors. Rows a power of two
 * apart would compete for the same few places of the first-level cache. */
#define DLFS_PADDED(n) ((((n) + 15) / 16 | 1) * 16)
/* DEPTH rows of the widest tile: see attention_tile.h. */
#define DLFS_PANEL_NUMBERS (1024 * 3 * 16)

/* Arrays and sizes of a call; without output_grad it computes the output. A task is a head. With a
 * mask of bytes (batch, heads, time, time) the weights are multiplied by `kept` where it is not 0,
 * else by 0. */
typedef struct {
    const void *qkv, *output_grad;
    void *output, *qkv_grad;
    ptrdiff_t heads, time, width;
    int causal;
    const unsigned char *mask;
    double kept;
    unsigned char *finite; /* of each head: whether all results are */
} attention_task;

#define DLFS_TILE "products/attention_tile.h"
#include "simd/targets.h"

DLFS_KERNEL_WITH(attention_heads, attention_heads_scratch)

#endif
