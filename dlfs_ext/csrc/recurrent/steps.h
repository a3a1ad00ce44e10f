/* The arguments of the recurrent kernels; see steps_tile.h. */
#ifndef DLFS_STEPS_H
#define DLFS_STEPS_H

#include <stddef.h>

/* The widest tile, in numbers. */
enum { DLFS_WIDEST = 48 };
/* Sequences at a time: their state and gates stay in the second-level cache. */
enum { DLFS_SEQUENCES = 32 };
/* Steps at a time, and columns at a time, of the weight gradient: the states and the sums stay in
 * the second-level cache, and a panel of gradients in the first. */
enum { DLFS_SUM_ROWS = 128, DLFS_SUM_COLUMNS = 576 };

/* The arrays of one call, all C-contiguous. Each kind of layer uses some of them; h, c and z are
 * (batch, time, ...), gates are (time, batch, ...). */
typedef struct {
    ptrdiff_t batch, time, hidden;
    int after; /* GRU: where the reset gate applies */
    const void *z, *h0, *c0;
    const void *weights;   /* packed; backward: the transposed ones */
    const void *candidate; /* GRU, "before": the candidate's, packed separately */
    const void *bias;      /* GRU, "after": the last row of the weights */
    void *h, *c, *gates;   /* forward writes them, backward reads them */
    const void *h_grad, *h_last_grad, *c_last_grad;
    void *z_grad, *h0_grad, *c0_grad;
    /* For the weight gradient, (batch * time, hidden) with dlfs_row(hidden) numbers per row: */
    void *reset_before; /* GRU, "before": the state before the step, times the reset gate */
    void *inner_grad;   /* GRU, "after": the gradient of what the reset gate multiplies */
} sequences;

/* The distance of the rows of a thread's own memory, in numbers. Not a power of two, or a tile's
 * rows would use the same places of the cache. */
static inline ptrdiff_t dlfs_row(ptrdiff_t n) { return (n + 15) / 16 * 16 + 16; }

typedef void pack_panels_fn(ptrdiff_t k, ptrdiff_t n, const void *b, ptrdiff_t b_row,
                            ptrdiff_t b_column, void *packed);

/* C = A.T B: the contributions of all steps of all sequences to the weights. A has one row per
 * step; NULL means the states before the steps. B has as many. sums, unless it is NULL, gets the
 * sums of B's columns. A task is a column. */
typedef struct {
    const sequences *s;
    const void *a, *b;
    void *c, *sums;
    ptrdiff_t b_row, c_row;
} weight_grad_job;

#endif
