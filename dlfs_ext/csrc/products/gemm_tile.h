/* C = A B for matrices that fit in the caches, as in dense and recurrent layers.
 * Included by tile headers; see simd.h.
 *
 * The inner loop keeps a tile of C, MR rows by NV vectors, in registers. For each p it loads NV
 * vectors of row p of B, and multiplies them by MR numbers of column p of A: MR NV multiply-adds
 * for MR + NV loads. A is read with any strides; the rows of B are contiguous. Where they are not,
 * or are far apart, B is copied first: NV vectors of columns at a time, into a "panel".
 *
 * An element of C is one chain of multiply-adds in the order of p, at any place in a tile: so it is
 * the same number however rows and columns are split among threads.
 *
 * The products of the book's dense network reach 93 to 95 % of the machine's peak. */

#include "simd/shuffle.h"

#define MR (VREGS == 32 ? 8 : DLFS_LEVEL == DLFS_AVX2 ? 6 : 4)
#define NV (VREGS == 32 ? 3 : 2)
#define NR (NV * VLEN)
/* Vectors of a tile that is one row high; at most MR NV. */
#define WIDE (VREGS == 32 ? 16 : 8)

#define gemm_tile NAME(gemm_tile)
#define gemm_rows NAME(gemm_rows)
#define transpose NAME(transpose)

/* mr rows by nv vectors (constants after inlining), the last vector only `lanes` wide. */
DLFS_INLINE void gemm_tile(const int mr, const int nv, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                           ptrdiff_t a_column, const real *b, ptrdiff_t b_row, real *c,
                           ptrdiff_t c_row, int lanes, int add, const real *bias)
{
    vec sum[MR * NV];
    const real *row[MR];
    DLFS_UNROLL
    for (int i = 0; i < mr; i++) {
        row[i] = a + i * a_row;
        DLFS_UNROLL
        for (int j = 0; j < nv; j++) {
            sum[i * nv + j] = vset1(0);
            /* Prefetch the place of the next panel's sums: with a short k they would wait for
             * memory. */
            DLFS_PREFETCH_TO_WRITE(c + i * c_row + (nv + j) * VLEN);
        }
    }
    for (ptrdiff_t p = 0, offset = 0; p < k; p++, offset += a_column, b += b_row) {
        vec columns[WIDE];
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
                sum[i * nv + j] += one * columns[j];
        }
    }
    DLFS_UNROLL
    for (int j = 0; j < nv; j++) {
        int n = j == nv - 1 ? lanes : VLEN;
        vec shift = bias ? vload_n(bias + j * VLEN, n) : vset1(0);
        DLFS_UNROLL
        for (int i = 0; i < mr; i++) {
            real *target = c + i * c_row + j * VLEN;
            vec result = sum[i * nv + j];
            if (add)
                result += vload_n(target, n);
            if (bias)
                result += shift;
            vstore_n(target, result, n);
        }
    }
}

/* All rows of one panel. */
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
            vec block[VLEN];
            DLFS_UNROLL
            for (int i = 0; i < VLEN; i++)
                block[i] = i < high ? vload_n(from + i * source_row, wide) : vset1(0);
            vturn(block);
            DLFS_UNROLL
            for (int i = 0; i < VLEN; i++)
                if (i < wide)
                    vstore_n(to + i * target_row, block[i], padded ? VLEN : high);
        }
}

/* gemm_rows for 1 to NV vectors. */
#undef BY_WIDTH
#if NV > 2
#define BY_WIDTH(nv, ...)                         \
    ((nv) == 1   ? NAME(gemm_rows_1)(__VA_ARGS__) \
     : (nv) == 2 ? NAME(gemm_rows_2)(__VA_ARGS__) \
                 : NAME(gemm_rows_3)(__VA_ARGS__))
#else
#define BY_WIDTH(nv, ...) \
    ((nv) == 1 ? NAME(gemm_rows_1)(__VA_ARGS__) : NAME(gemm_rows_2)(__VA_ARGS__))
#endif

/* k rows and n columns of B (any strides) to panels of NR columns. The panel that begins with
 * column j is at panels + j * k; the last one is a whole number of vectors wide, padded with zeros.
 */
static void NAME(pack_panels)(ptrdiff_t k, ptrdiff_t n, const void *b_, ptrdiff_t b_row,
                              ptrdiff_t b_column, void *panels_)
{
    const real *b = b_;
    real *panels = panels_;
    ptrdiff_t whole = n / NR * NR, rest = n - whole, last = (rest + VLEN - 1) / VLEN * VLEN;
    if (b_row == 1) {
        for (ptrdiff_t j = 0; j < n; j += NR)
            transpose(j < whole ? NR : rest, k, b + j * b_column, b_column, panels + j * k,
                      j < whole ? NR : last, 1);
        return;
    }
    /* Row by row: processors fetch the rest of a row before it is read. */
    for (ptrdiff_t p = 0; p < k; p++, b += b_row) {
        real *to = panels + p * NR;
        for (ptrdiff_t j = 0; j < whole; j += NR, to += k * NR)
            for (int i = 0; i < NR; i += VLEN)
                if (b_column == 1)
                    vstore(to + i, vload(b + j + i));
                else
                    for (int lane = 0; lane < VLEN; lane++)
                        to[i + lane] = b[(j + i + lane) * b_column];
        to = panels + whole * k + p * last;
        for (ptrdiff_t i = 0; i < last; i += VLEN)
            if (b_column == 1 && rest - i >= VLEN)
                vstore(to + i, vload(b + whole + i));
            else if (b_column == 1)
                vstore(to + i, vload_n(b + whole + i, (int)(rest - i)));
            else
                for (ptrdiff_t lane = i; lane < i + VLEN; lane++)
                    to[lane] = lane < rest ? b[(whole + lane) * b_column] : 0;
    }
}
