/* C = A B where the columns of C do not fill the vectors: for a layer with ten outputs the tiles of
 * gemm_tile.h would compute sixteen. Here the other axes fill the vectors. Included by tile
 * headers, after gemm_blocks.h. Products with ten columns reach 70 to 77 % of the machine's peak;
 * tiles of sixteen could not pass 62 %. */

/* Rows and columns of a tile of dot products, each a vector of partial sums; together with the
 * columns' numbers they fit in the registers. */
#define DOT_ROWS (VREGS == 32 ? 4 : 2)
#define DOT_COLUMNS 5
#define DOT_SUMS ((DOT_ROWS * DOT_COLUMNS + VLEN - 1) / VLEN * VLEN)
/* The longest part of a row of A that is read again for the next columns. */
#define DOT_DEPTH 2048

#define dot_tile NAME(dot_tile)
#define dot_rows NAME(dot_rows)
#define gemm_dots NAME(gemm_dots)
#define gemm_turned NAME(gemm_turned)

/* c[i, j] (+)= the sum over p of a[i, p] b[j, p], + bias[j]; mr and nr are constants. */
DLFS_INLINE void dot_tile(const int mr, const int nr, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                          const real *b, ptrdiff_t b_row, real *c, ptrdiff_t c_row, int add,
                          const real *bias)
{
    vec sum[DOT_SUMS];
    DLFS_UNROLL
    for (int i = 0; i < DOT_SUMS; i++)
        sum[i] = vset1(0);
    ptrdiff_t p = 0;
    for (; p + VLEN <= k; p += VLEN) {
        vec columns[DOT_COLUMNS];
        DLFS_UNROLL
        for (int j = 0; j < nr; j++)
            columns[j] = vload(b + j * b_row + p);
        DLFS_UNROLL
        for (int i = 0; i < mr; i++) {
            vec row = vload(a + i * a_row + p);
            DLFS_UNROLL
            for (int j = 0; j < nr; j++)
                sum[i * nr + j] += row * columns[j];
        }
    }
    if (p < k) {
        int rest = (int)(k - p);
        for (int i = 0; i < mr; i++)
            for (int j = 0; j < nr; j++)
                sum[i * nr + j] += vload_n(a + i * a_row + p, rest)
                                   * vload_n(b + j * b_row + p, rest);
    }
    real totals[DOT_SUMS];
    for (int i = 0; i < DOT_SUMS; i += VLEN)
        vstore(totals + i, vsums(sum + i));
    for (int i = 0; i < mr; i++)
        for (int j = 0; j < nr; j++) {
            real *target = c + i * c_row + j;
            real result = add ? *target + totals[i * nr + j] : totals[i * nr + j];
            *target = bias ? result + bias[j] : result;
        }
}

/* All rows, for nr columns. */
DLFS_INLINE void dot_rows(const int nr, ptrdiff_t m, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                          const real *b, ptrdiff_t b_row, real *c, ptrdiff_t c_row, int add,
                          const real *bias)
{
    for (; m >= DOT_ROWS; m -= DOT_ROWS, a += DOT_ROWS * a_row, c += DOT_ROWS * c_row)
        dot_tile(DOT_ROWS, nr, k, a, a_row, b, b_row, c, c_row, add, bias);
    for (; m > 0; m--, a += a_row, c += c_row)
        dot_tile(1, nr, k, a, a_row, b, b_row, c, c_row, add, bias);
}

#define DOTS_CASE(nr)                                                                        \
    case nr:                                                                                 \
        dot_rows(nr, m, deep, a + p, a_row, b_part, part_row, c + j, c_row, p > 0, b_shift); \
        break;

/* As gemm, by dot products along the rows of A, which must be contiguous (a_column 1); n is at
 * most NR. An element is the sum of VLEN partial sums, in an order that depends only on k. */
static void gemm_dots(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                      const real *b, ptrdiff_t b_row, ptrdiff_t b_column, real *c, ptrdiff_t c_row,
                      const real *bias, real *panel)
{
    ptrdiff_t depth = 1024 * NR / n / VLEN * VLEN;
    if (depth > DOT_DEPTH)
        depth = DOT_DEPTH;
    for (ptrdiff_t p = 0; p < k; p += depth) {
        ptrdiff_t deep = k - p < depth ? k - p : depth;
        const real *part = b + p * b_row, *shift = p + deep == k ? bias : NULL;
        ptrdiff_t part_row = b_column;
        if (b_row != 1) {
            if (b_column == 1)
                transpose(deep, n, part, b_row, panel, depth, 1);
            else
                for (ptrdiff_t j = 0; j < n; j++)
                    for (ptrdiff_t q = 0; q < deep; q++)
                        panel[j * depth + q] = part[q * b_row + j * b_column];
            part = panel;
            part_row = depth;
        }
        for (ptrdiff_t j = 0; j < n; j += DOT_COLUMNS) {
            const real *b_part = part + j * part_row, *b_shift = shift ? shift + j : NULL;
            switch (n - j < DOT_COLUMNS ? n - j : DOT_COLUMNS) {
                DOTS_CASE(1)
                DOTS_CASE(2)
                DOTS_CASE(3)
                DOTS_CASE(4)
                DOTS_CASE(5)
            }
        }
    }
}

/* As gemm, for n < VLEN, where the columns of A are contiguous (a_row 1): C's transpose is
 * computed, whose rows are long. The same sums in the same order, so the same bits. */
static void gemm_turned(ptrdiff_t m, int n, ptrdiff_t k, const real *a, ptrdiff_t a_column,
                        const real *b, ptrdiff_t b_row, ptrdiff_t b_column, real *c,
                        ptrdiff_t c_row, const real *bias, real *panel)
{
    real turned[VLEN * NR];
    for (ptrdiff_t i = 0; i < m; i += NR) {
        int rows = (int)(m - i < NR ? m - i : NR);
        gemm(n, rows, k, b, b_column, b_row, a + i, a_column, 1, turned, NR, 0, NULL, panel);
        if (bias)
            for (int j = 0; j < n; j++)
                for (int r = 0; r < rows; r++)
                    turned[j * NR + r] += bias[j];
        transpose(n, rows, turned, NR, c + i * c_row, c_row, 0);
    }
}
