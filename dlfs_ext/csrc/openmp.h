/* The used part of OpenMP's interface, with replacements for builds without OpenMP. */
#ifndef DLFS_OPENMP_H
#define DLFS_OPENMP_H

#ifdef _OPENMP
#include <omp.h>
#define DLFS_OPENMP 1
static inline int dlfs_in_parallel(void) { return omp_in_parallel(); }
static inline int dlfs_processors(void) { return omp_get_num_procs(); }
#else
#define DLFS_OPENMP 0
static inline int dlfs_in_parallel(void) { return 0; }
static inline int dlfs_processors(void) { return 1; }
#endif

#endif
