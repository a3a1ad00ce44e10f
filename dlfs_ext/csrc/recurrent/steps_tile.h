/* The steps of all recurrent layers (included by the tile headers of the kinds).
 *
 * Sequences are independent: a thread runs some of them through all steps, without waiting. The
 * weights are read at every step, and packed once per call: split into panels of NR columns, which
 * the gemm reads from first to last. A step's results stay in a small memory of the thread, for the
 * next step. */

#include "simd/vmath.h"
#include "products/gemm_tile.h"

#define load_part NAME(load_part)
#define store_part NAME(store_part)
#define multiply_packed NAME(multiply_packed)
#define copy_rows NAME(copy_rows)

/* lanes is VLEN except at the end of a row. */
DLFS_INLINE vec load_part(const real *p, int lanes)
{
    return lanes == VLEN ? vload(p) : vload_n(p, lanes);
}
DLFS_INLINE void store_part(real *p, vec v, int lanes)
{
    if (lanes == VLEN)
        vstore(p, v);
    else
        vstore_n(p, v, lanes);
}

/* unit(i, lanes, ...) for all units of a row: whole vectors, and the rest. The row of the next
 * sequence is `next` steps further on; a unit prefetches it. */
#define FOR_UNITS(n, unit, ...)                     \
    do {                                            \
        ptrdiff_t i_ = 0;                           \
        for (; i_ + VLEN <= (n); i_ += VLEN)        \
            unit(i_, VLEN, __VA_ARGS__);            \
        if (i_ < (n))                               \
            unit(i_, (int)((n) - i_), __VA_ARGS__); \
    } while (0)

/* C = A B + bias, or C += A B + bias: B is rows `first` to `first + k` of a packed matrix that has
 * packed_rows. */
static void multiply_packed(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                            const real *packed, ptrdiff_t packed_rows, ptrdiff_t first, real *c,
                            ptrdiff_t c_row, int add, const real *bias)
{
    for (ptrdiff_t j = 0; j < n; j += NR) {
        int columns = (int)(n - j < NR ? n - j : NR), nv = (columns + VLEN - 1) / VLEN;
        int lanes = columns - (nv - 1) * VLEN;
        const real *b = packed + j * packed_rows + first * nv * VLEN;
        BY_WIDTH(nv, m, k, a, a_row, 1, b, nv * VLEN, c + j, c_row, lanes, add,
                 bias ? bias + j : NULL);
    }
}

/* Rows between a thread's own memory and an array. */
static void copy_rows(ptrdiff_t m, ptrdiff_t n, const real *from, ptrdiff_t from_row, real *to,
                      ptrdiff_t to_row)
{
    for (ptrdiff_t i = 0; i < m; i++)
        memcpy(to + i * to_row, from + i * from_row, (size_t)n * sizeof(real));
}

/* The states before steps `first` to `first + count`, one sequence after another. */
#define states_before NAME(states_before)
static void states_before(const sequences *s, ptrdiff_t first, ptrdiff_t count, real *to)
{
    const ptrdiff_t n = s->hidden;
    for (ptrdiff_t r = first; r < first + count; r++, to += dlfs_row(n)) {
        const real *state = r % s->time ? (const real *)s->h + (r - 1) * n
                                        : (const real *)s->h0 + r / s->time * n;
        memcpy(to, state, (size_t)n * sizeof(real));
    }
}

/* Adds sums over the rows of a panel. */
#define add_rows NAME(add_rows)
static void add_rows(ptrdiff_t rows, int columns, int nv, const real *panel, real *sums)
{
    for (int v = 0; v < nv; v++) {
        int lanes = columns - v * VLEN < VLEN ? columns - v * VLEN : VLEN;
        vec total = load_part(sums + v * VLEN, lanes);
        for (ptrdiff_t r = 0; r < rows; r++)
            total += vload(panel + (r * nv + v) * VLEN);
        store_part(sums + v * VLEN, total, lanes);
    }
}

SCRATCH(weight_grad)
{
    const sequences *s = ((const weight_grad_job *)job_)->s;
    return (size_t)(DLFS_SUM_ROWS * (DLFS_WIDEST + dlfs_row(s->hidden))) * sizeof(real);
}

KERNEL(weight_grad)
{
    const weight_grad_job *job = job_;
    const sequences *s = job->s;
    const ptrdiff_t rows = s->batch * s->time, m = s->hidden, row = dlfs_row(m);
    const ptrdiff_t b_row = job->b_row;
    const real *b = job->b;
    real *c = job->c, *sums = job->sums, *panel = scratch;
    real *states = panel + DLFS_SUM_ROWS * NR;
    if (sums)
        memset(sums + begin, 0, (size_t)(end - begin) * sizeof(real));
    for (ptrdiff_t from = begin; from < end; from += DLFS_SUM_COLUMNS) {
        ptrdiff_t to = from + DLFS_SUM_COLUMNS < end ? from + DLFS_SUM_COLUMNS : end, p = 0;
        do { /* at least once: an empty sum is 0 */
            ptrdiff_t part = rows - p < DLFS_SUM_ROWS ? rows - p : DLFS_SUM_ROWS;
            const real *a = job->a ? (const real *)job->a + p * row : states;
            if (!job->a)
                states_before(s, p, part, states);
            for (ptrdiff_t j = from; j < to; j += NR) {
                int columns = (int)(to - j < NR ? to - j : NR), nv = (columns + VLEN - 1) / VLEN;
                NAME(pack_panels)(part, columns, b + p * b_row + j, b_row, 1, panel);
                BY_WIDTH(nv, m, part, a, 1, row, panel, nv * VLEN, c + j, job->c_row,
                         columns - (nv - 1) * VLEN, p > 0, NULL);
                if (sums)
                    add_rows(part, columns, nv, panel, sums + j);
            }
            p += DLFS_SUM_ROWS;
        } while (p < rows);
    }
}

/* A task is a sequence; they are done in blocks whose data stay in the cache. The scratch memory
 * holds, for each sequence of a block, `states` rows of one number a unit and one of `gates`. */
#define BY_BLOCKS(kind, gates, states)                                                           \
    SCRATCH(kind)                                                                                \
    {                                                                                            \
        const sequences *s = job_;                                                               \
        ptrdiff_t count = s->batch < DLFS_SEQUENCES ? s->batch : DLFS_SEQUENCES;                 \
        ptrdiff_t own = states * dlfs_row(s->hidden) + dlfs_row(gates * s->hidden);              \
        return (size_t)(count * own) * sizeof(real);                                             \
    }                                                                                            \
    KERNEL(kind)                                                                                 \
    {                                                                                            \
        for (ptrdiff_t b = begin; b < end; b += DLFS_SEQUENCES)                                  \
            kind##_block(job_, b, b + DLFS_SEQUENCES < end ? b + DLFS_SEQUENCES : end, scratch); \
    }
