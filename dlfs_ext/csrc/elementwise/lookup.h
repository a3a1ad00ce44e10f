/* Dropout and embedding, compiled for every target and dtype. */
#ifndef DLFS_LOOKUP_H
#define DLFS_LOOKUP_H

#include "jobs.h"
#include "simd/simd.h"
#define DLFS_TILE "elementwise/lookup_tile.h"
#include "simd/targets.h"

typedef void scatter_add_fn(const void *rows, const int64_t *indices, void *table, ptrdiff_t count,
                            ptrdiff_t n);

DLFS_KERNEL(dropout)
DLFS_TABLE(scatter_add)

#endif
