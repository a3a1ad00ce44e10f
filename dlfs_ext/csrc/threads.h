/* The used part of OpenMP's interface, with replacements for builds without OpenMP. */
#ifndef DLFS_THREADS_H
#define DLFS_THREADS_H

#ifdef _OPENMP
#include <omp.h>
#define DLFS_OPENMP 1
static inline int dlfs_max_threads(void) { return omp_get_max_threads(); }
static inline int dlfs_in_parallel(void) { return omp_in_parallel(); }
static inline int dlfs_processors(void) { return omp_get_num_procs(); }
static inline double dlfs_seconds(void) { return omp_get_wtime(); }
#else
#define DLFS_OPENMP 0
static inline int dlfs_max_threads(void) { return 1; }
static inline int dlfs_in_parallel(void) { return 0; }
static inline int dlfs_processors(void) { return 1; }
static inline double dlfs_seconds(void) { return 0; }
#endif

#endif
