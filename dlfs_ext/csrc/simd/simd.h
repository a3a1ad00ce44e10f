/* One source, several instruction sets.
 *
 * A hot loop is written once, in a "tile header", in terms of the types and functions below, and
 * is compiled once for each target (generic, AVX2 with FMA, AVX-512) and each dtype (float,
 * double). The copy to run is chosen at run time from the processor's features, so a wheel runs on
 * every machine of its platform and is fast on new ones.
 *
 * How to add a tile header:
 *
 * 1. Write csrc/mytile.h without include guard: it is included several times. In it
 *        real              float or double
 *        vec, VLEN         a vector of VLEN reals (VLEN is a power of two; 1 if the compiler
 *                          has no vector extensions, so never assume it is more)
 *        ivec              a vector of VLEN integers of the same size: the result of a comparison
 *        VREGS             the number of vector registers (16 or 32)
 *        NAME(f)           f with target and dtype appended: f_avx2_f32. Use it for every function:
 *                              #define dot NAME(dot)
 *                              DLFS_INLINE vec dot(vec a, vec b) { return a * b; }
 *        vload, vstore, vset1, ...   see vec.h
 *    The function that Cython calls is a kernel, KERNEL(scale): from job, a struct of the call's
 *    arrays and sizes, it does the tasks begin to end - 1, for one thread.
 * 2. Write csrc/my.h, with include guard, that compiles it for everything:
 *        #include "simd/simd.h"
 *        typedef struct { const void *x; void *y; } scale_job;
 *        #define DLFS_TILE "mytile.h"
 *        #include "simd/targets.h"
 *        DLFS_KERNEL(scale)
 *    targets.h can be included only once in a C file: a .pyx that needs two tile headers includes a
 *    third that includes both.
 * 3. In the .pyx:
 *        from dlfs_ext.threads cimport kernel, run
 *        cdef extern from "my.h" nogil:
 *            ctypedef struct scale_job:
 *                const void *x
 *                void *y
 *            kernel scale_kernel
 *    and call run(&scale_kernel, is_double(x), &job, tasks, multiply_adds).
 *
 * A macro of the same text for all targets, as VREGS >= 32 ? 8 : 4, needs no #undef.
 *
 * Bounds of loops over registers must be compile-time constants, with DLFS_UNROLL before the loop,
 * or the array of accumulators is kept in memory instead of registers.
 */
#ifndef DLFS_SIMD_H
#define DLFS_SIMD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The order matters: a processor that has one level has all the levels below. */
#define DLFS_GENERIC 0
#define DLFS_AVX2 1
#define DLFS_AVX512 2

/* -DDLFS_SCALAR compiles the version for compilers without vector extensions. */
#if defined(__GNUC__) && !defined(DLFS_SCALAR)
#define DLFS_VECTORS 1
#else
#define DLFS_VECTORS 0
#endif

#if defined(__GNUC__)
#define DLFS_UNUSED __attribute__((unused))
#define DLFS_INLINE static inline __attribute__((always_inline, unused))
#define DLFS_RESTRICT __restrict__
#define DLFS_PRAGMA(x) _Pragma(#x)
#ifdef __clang__ /* before version 19 it heeds GCC's pragma too late: sums would stay in memory */
#define DLFS_UNROLL DLFS_PRAGMA(clang loop unroll(full))
#else
#define DLFS_UNROLL DLFS_PRAGMA(GCC unroll 64)
#endif
#define DLFS_PREFETCH(address) __builtin_prefetch(address)
#define DLFS_PREFETCH_L2(address) __builtin_prefetch(address, 0, 2)
#define DLFS_PREFETCH_TO_WRITE(address) __builtin_prefetch(address, 1)
#else
#define DLFS_UNUSED
#define DLFS_INLINE static __inline
#define DLFS_RESTRICT __restrict
#define DLFS_UNROLL
#define DLFS_PREFETCH(address) ((void)(address))
#define DLFS_PREFETCH_L2(address) ((void)(address))
#define DLFS_PREFETCH_TO_WRITE(address) ((void)(address))
#endif

#if DLFS_VECTORS && defined(__x86_64__)
#define DLFS_X86 1
#include <immintrin.h>
#else
#define DLFS_X86 0
#endif

#define DLFS_JOIN_(a, b, c) a##_##b##_##c
#define DLFS_JOIN(a, b, c) DLFS_JOIN_(a, b, c)
#define NAME(f) DLFS_JOIN(f, DLFS_TARGET, DLFS_DTYPE)

/* A kernel: its copies by level and by whether the dtype is double. Each thread calls one of them
 * with its range of the tasks and its own scratch memory. How many bytes that is, a function
 * SCRATCH(name) says, which DLFS_KERNEL_WITH enters; with DLFS_KERNEL there is none. */
typedef void range_fn(const void *job, ptrdiff_t begin, ptrdiff_t end, void *scratch);
typedef size_t bytes_fn(const void *job);
typedef struct {
    range_fn *copies[3][2];
    bytes_fn *scratch[3][2];
} kernel;
#define KERNEL(name) \
    static void NAME(name)(const void *job_, ptrdiff_t begin, ptrdiff_t end, void *scratch)
#define SCRATCH(name) static size_t NAME(name##_scratch)(const void *job_)
#define DLFS_KERNEL(name) \
    DLFS_UNUSED static const kernel name##_kernel = {.copies = DLFS_COPIES(name)};
#define DLFS_KERNEL_WITH(name, scratch_) \
    DLFS_UNUSED static const kernel name##_kernel = {DLFS_COPIES(name), DLFS_COPIES(scratch_)};

/* name_table[level][is_double]: the copies of another function; type is the type of all of them. */
#define DLFS_TABLE(name) DLFS_TABLE_OF(name##_fn, name)
#define DLFS_TABLE_OF(type, name) \
    DLFS_UNUSED static type *const name##_table[3][2] = DLFS_COPIES(name);
#if DLFS_X86
#define DLFS_COPIES(name)                         \
    {                                             \
        {name##_generic_f32, name##_generic_f64}, \
        {name##_avx2_f32, name##_avx2_f64},       \
        {name##_avx512_f32, name##_avx512_f64},   \
    }
#else
#define DLFS_COPIES(name)                         \
    {                                             \
        {name##_generic_f32, name##_generic_f64}, \
        {name##_generic_f32, name##_generic_f64}, \
        {name##_generic_f32, name##_generic_f64}, \
    }
#endif

/* The best level of this processor and operating system. */
DLFS_UNUSED static int dlfs_best_level(void)
{
#if DLFS_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return DLFS_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return DLFS_AVX2;
#endif
    return DLFS_GENERIC;
}

#endif
