/* Includes DLFS_TILE once for each target and dtype; see simd.h for how that is used.
 * dtypes.h includes it for the two dtypes of one target. */
#ifdef DLFS_TARGETS_H
#error "targets.h can be included only once in a C file: include all tile headers in one"
#endif
#define DLFS_TARGETS_H

#define DLFS_TARGET generic
#define DLFS_LEVEL DLFS_GENERIC
#if DLFS_VECTORS
#define VBYTES 16 /* available on every 64-bit x86 (SSE2) and ARM (NEON) */
#else
#define VBYTES 0
#endif
#if defined(__aarch64__)
#define VREGS 32
#else
#define VREGS 16
#endif
#include "simd/dtypes.h"

#if DLFS_X86

#define DLFS_TARGET avx2
#define DLFS_LEVEL DLFS_AVX2
#define VBYTES 32
#define VREGS 16
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#include "simd/dtypes.h"
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#define DLFS_TARGET avx512
#define DLFS_LEVEL DLFS_AVX512
#define VBYTES 64
#define VREGS 32
#ifdef __clang__
#pragma clang attribute push( \
    __attribute__((target("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl,prefer-vector-width=512")
#endif
#include "simd/dtypes.h"
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
