/* The arguments of kernels that several tile headers share: the arrays and sizes of one call. */
#ifndef DLFS_JOBS_H
#define DLFS_JOBS_H

#include <stddef.h>

/* Elementwise kernels; a task is one number. */
typedef struct {
    const void *x, *y; /* gradients: of the output; then the output or the input */
    void *out;
    double parameter;
} elements_job;

/* Kernels on rows of n numbers; a task is one row. */
typedef struct {
    const void *x, *y;   /* gradients: of the output; then the output */
    void *out, *inverse; /* normalization: what each row is multiplied by */
    ptrdiff_t n;
    double eps;
} rows_job;

/* Kernels with one number per feature: see features_tile.h. */
typedef struct {
    const void *x, *y, *p, *q, *r;
    void *out, *sums;
    ptrdiff_t outer, features, inner;
} features_job;

#endif
