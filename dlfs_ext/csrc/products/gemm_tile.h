/* C = A B for matrices that fit in the caches, as in dense and recurrent layers.
 * Included by tile headers; see simd.h.
 *
 * The inner loop keeps a tile of C, MR rows by NV vectors, in registers. For each p it loads NV
 * vectors of row p of B, and multiplies them by MR numbers of column p of A: MR NV multiply-adds
 * for MR + NV loads. A is read in place, with any strides, and so is a B whose rows are contiguous;
 * any other B (a transposed one) is copied, NV vectors of columns at a time, into a "panel" of
 * contiguous rows.
 *
 * An element of C is one chain of multiply-adds in the order of p, at any place in a tile: so it is
 * the same number however rows and columns are split among threads.
 *
 * The products of the book's dense network reach 93 to 95 % of the machine's peak. */

#include "simd/shuffle.h"

#undef MR
#undef NV
#if VREGS == 32
#define MR 8
#define NV 3
#elif DLFS_LEVEL == DLFS_AVX2
#define MR 6
#define NV 2
#else
#define MR 4
#define NV 2
#endif
#define NR (NV * VLEN)
/* Rows of a panel: NR columns of this many rows stay in the second-level cache. */
#undef KC
#define KC 1024

#define gemm_tile NAME(gemm_tile)
#define gemm_rows NAME(gemm_rows)
#define gemm_pack NAME(gemm_pack)
#define gemm_panel NAME(gemm_panel)
#define transpose NAME(transpose)

/* mr rows by nv vectors (constants after inlining), the last vector only `lanes` wide. */
DLFS_INLINE void gemm_tile(const int mr, const int nv, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                           ptrdiff_t a_column, const real *b, ptrdiff_t b_row, real *c,
                           ptrdiff_t c_row, int lanes, int add, const real *bias)
{
    vec sum[MR][NV];
    const real *row[MR];
    DLFS_UNROLL
    for (int i = 0; i < mr; i++) {
        row[i] = a + i * a_row;
        DLFS_UNROLL
        for (int j = 0; j < nv; j++) {
            sum[i][j] = vset1(0);
            /* Prefetch the place of the next panel's sums: with a short k they would wait for
             * memory. */
            DLFS_PREFETCH_TO_WRITE(c + i * c_row + (nv + j) * VLEN);
        }
    }
    for (ptrdiff_t p = 0, offset = 0; p < k; p++, offset += a_column, b += b_row) {
        vec columns[NV];
        DLFS_UNROLL
        for (int j = 0; j < nv - 1; j++)
            columns[j] = vload(b + j * VLEN);
        /* With masks a narrow load costs nothing; without, B is packed and padded. */
#if DLFS_LEVEL == DLFS_AVX512
        columns[nv - 1] = vload_n(b + (nv - 1) * VLEN, lanes);
#else
        columns[nv - 1] = vload(b + (nv - 1) * VLEN);
#endif
        DLFS_UNROLL
        for (int i = 0; i < mr; i++) {
            vec one = vset1(row[i][offset]);
            DLFS_UNROLL
            for (int j = 0; j < nv; j++)
                sum[i][j] += one * columns[j];
        }
    }
    DLFS_UNROLL
    for (int j = 0; j < nv; j++) {
        int n = j == nv - 1 ? lanes : VLEN;
        vec shift = bias ? vload_n(bias + j * VLEN, n) : vset1(0);
        DLFS_UNROLL
        for (int i = 0; i < mr; i++) {
            real *target = c + i * c_row + j * VLEN;
            vec result = sum[i][j];
            if (add)
                result += vload_n(target, n);
            if (bias)
                result += shift;
            vstore_n(target, result, n);
        }
    }
}

/* All rows of one panel. */
#undef ROWS_CASE
#define ROWS_CASE(mr)                                                                   \
    case mr:                                                                            \
        gemm_tile(mr, nv, k, a, a_row, a_column, b, b_row, c, c_row, lanes, add, bias); \
        break;

DLFS_INLINE void gemm_rows(const int nv, ptrdiff_t m, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                           ptrdiff_t a_column, const real *b, ptrdiff_t b_row, real *c,
                           ptrdiff_t c_row, int lanes, int add, const real *bias)
{
    for (; m >= MR; m -= MR, a += MR * a_row, c += MR * c_row)
        gemm_tile(MR, nv, k, a, a_row, a_column, b, b_row, c, c_row, lanes, add, bias);
    switch (m) {
        ROWS_CASE(1)
        ROWS_CASE(2)
        ROWS_CASE(3)
#if MR > 4
        ROWS_CASE(4)
        ROWS_CASE(5)
#endif
#if MR > 6
        ROWS_CASE(6)
        ROWS_CASE(7)
#endif
    }
}

#undef GEMM_ROWS
#define GEMM_ROWS(nv)                                                                             \
    static void NAME(gemm_rows_##nv)(ptrdiff_t m, ptrdiff_t k, const real *a, ptrdiff_t a_row,    \
                                     ptrdiff_t a_column, const real *b, ptrdiff_t b_row, real *c, \
                                     ptrdiff_t c_row, int lanes, int add, const real *bias)       \
    {                                                                                             \
        gemm_rows(nv, m, k, a, a_row, a_column, b, b_row, c, c_row, lanes, add, bias);            \
    }
GEMM_ROWS(1)
GEMM_ROWS(2)
#if NV > 2
GEMM_ROWS(3)
#endif

/* target[c, r] = source[r, c] for rows x columns numbers, VLEN x VLEN of them at a time by
 * log2(VLEN) perfect shuffles. With `padded` a row of the target goes on with zeros to a whole
 * number of vectors. */
static void transpose(ptrdiff_t rows, ptrdiff_t columns, const real *source, ptrdiff_t source_row,
                      real *target, ptrdiff_t target_row, int padded)
{
    for (ptrdiff_t r = 0; r < rows; r += VLEN)
        for (ptrdiff_t c = 0; c < columns; c += VLEN) {
            int high = (int)(rows - r < VLEN ? rows - r : VLEN);
            int wide = (int)(columns - c < VLEN ? columns - c : VLEN);
            const real *from = source + r * source_row + c;
            real *to = target + c * target_row + r;
            vec block[VLEN], next[VLEN];
            DLFS_UNROLL
            for (int i = 0; i < VLEN; i++)
                block[i] = i < high ? vload_n(from + i * source_row, wide) : vset1(0);
            DLFS_UNROLL
            for (int stage = 1; stage < VLEN; stage *= 2) {
                DLFS_UNROLL
                for (int i = 0; i < VLEN / 2; i++) {
                    next[2 * i] = vzip_low(block[i], block[i + VLEN / 2]);
                    next[2 * i + 1] = vzip_high(block[i], block[i + VLEN / 2]);
                }
                DLFS_UNROLL
                for (int i = 0; i < VLEN; i++)
                    block[i] = next[i];
            }
            DLFS_UNROLL
            for (int i = 0; i < VLEN; i++)
                if (i < wide)
                    vstore_n(to + i * target_row, block[i], padded ? VLEN : high);
        }
}

/* k rows of `columns` columns of B (any strides) to rows of nv vectors, padded with zeros. */
static void gemm_pack(ptrdiff_t k, int columns, const real *b, ptrdiff_t b_row, ptrdiff_t b_column,
                      int nv, real *panel)
{
    int width = nv * VLEN;
    if (b_row == 1) {
        transpose(columns, k, b, b_column, panel, width, 1);
        return;
    }
    for (ptrdiff_t p = 0; p < k; p++) {
        for (int i = 0; i < columns; i++)
            panel[p * width + i] = b[p * b_row + i * b_column];
        for (int i = columns; i < width; i++)
            panel[p * width + i] = 0;
    }
}

/* gemm, below, for as many columns as one panel has: 1 <= columns <= NR. */
static void gemm_panel(ptrdiff_t m, int columns, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                       ptrdiff_t a_column, const real *b, ptrdiff_t b_row, ptrdiff_t b_column,
                       real *c, ptrdiff_t c_row, const real *bias, real *panel)
{
    int nv = (columns + VLEN - 1) / VLEN;
    int lanes = columns - (nv - 1) * VLEN;
    int direct = b_column == 1 && (lanes == VLEN || DLFS_LEVEL == DLFS_AVX512);
    ptrdiff_t p = 0;
    do { /* at least once: an empty product is 0 */
        ptrdiff_t rows = k - p < KC ? k - p : KC;
        const real *part = b + p * b_row;
        ptrdiff_t part_row = b_row;
        if (!direct) {
            gemm_pack(rows, columns, part, b_row, b_column, nv, panel);
            part = panel;
            part_row = nv * VLEN;
        }
        const real *shift = p + rows == k ? bias : NULL;
        if (nv == 1)
            NAME(gemm_rows_1)(m, rows, a + p * a_column, a_row, a_column, part, part_row, c, c_row,
                              lanes, p > 0, shift);
        else if (nv == 2)
            NAME(gemm_rows_2)(m, rows, a + p * a_column, a_row, a_column, part, part_row, c, c_row,
                              lanes, p > 0, shift);
#if NV > 2
        else
            NAME(gemm_rows_3)(m, rows, a + p * a_column, a_row, a_column, part, part_row, c, c_row,
                              lanes, p > 0, shift);
#endif
        p += KC;
    } while (p < k);
}

/* The m x n part of C = A B + bias that starts at the pointers; bias may be NULL.
 * Strides are in numbers, not bytes. panel holds KC * NR numbers. */
#define gemm NAME(gemm_typed)
DLFS_UNUSED static void gemm(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                             ptrdiff_t a_column, const real *b, ptrdiff_t b_row, ptrdiff_t b_column,
                             real *c, ptrdiff_t c_row, const real *bias, real *panel)
{
    for (ptrdiff_t j = 0; j < n; j += NR)
        gemm_panel(m, (int)(n - j < NR ? n - j : NR), k, a, a_row, a_column, b + j * b_column,
                   b_row, b_column, c + j, c_row, bias ? bias + j : NULL, panel);
}
