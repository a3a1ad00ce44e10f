/* C = A B for X.T @ G with many rows, as in the gradient of a dense layer's weights.
 * Included by tile headers, after gemm_tile.h.
 *
 * The columns of A and the rows of B are contiguous, but far apart. Read in place, lines that are a
 * power of two apart would compete for few places of the caches. So a block of both is copied: MC
 * rows of A by COPIED_DEPTH columns as tiles of MR rows, and as many rows of one panel of B. */

/* A multiple of every MR. Both blocks stay in the second-level cache. */
#undef MC
#define MC (DLFS_COPIED_BYTES / COPIED_DEPTH / (ptrdiff_t)sizeof(real))
#undef COPIED_DEPTH
#define COPIED_DEPTH 256

#define copy_tiles NAME(copy_tiles)
#define copy_panel NAME(copy_panel)
#define gemm_copied NAME(gemm_copied)

/* `deep` columns of m rows of A (a_row is 1) to tiles of MR rows. */
static void copy_tiles(ptrdiff_t m, ptrdiff_t deep, const real *a, ptrdiff_t a_column, real *tiles)
{
    for (ptrdiff_t p = 0; p < deep; p++, a += a_column) {
        ptrdiff_t i = 0;
        for (; i + MR <= m; i += MR)
            memcpy(tiles + i * deep + p * MR, a + i, MR * sizeof(real));
        for (ptrdiff_t r = 0; i + r < m; r++)
            tiles[i * deep + p * MR + r] = a[i + r];
    }
}

/* `deep` rows of B to rows of nv vectors, the last one only `lanes` wide, padded with zeros. */
static void copy_panel(ptrdiff_t deep, int nv, int lanes, const real *b, ptrdiff_t b_row,
                       real *panel)
{
    for (ptrdiff_t p = 0; p < deep; p++, b += b_row, panel += nv * VLEN) {
        int v = 0;
        for (; v < nv - 1; v++)
            vstore(panel + v * VLEN, vload(b + v * VLEN));
        vstore(panel + v * VLEN, vload_n(b + v * VLEN, lanes));
    }
}

/* As gemm, where a_row and b_column are 1; panel holds COPIED_DEPTH * (MC + NR) numbers. */
static void gemm_copied(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const real *a, ptrdiff_t a_column,
                        const real *b, ptrdiff_t b_row, real *c, ptrdiff_t c_row, real *panel)
{
    real *tiles = panel + COPIED_DEPTH * NR;
    for (ptrdiff_t p = 0; p < k; p += COPIED_DEPTH)
        for (ptrdiff_t first = 0; first < m; first += MC) {
            ptrdiff_t deep = k - p < COPIED_DEPTH ? k - p : COPIED_DEPTH;
            ptrdiff_t rows = m - first < MC ? m - first : MC;
            copy_tiles(rows, deep, a + p * a_column + first, a_column, tiles);
            for (ptrdiff_t j = 0; j < n; j += NR) {
                int columns = (int)(n - j < NR ? n - j : NR);
                int nv = (columns + VLEN - 1) / VLEN, lanes = columns - (nv - 1) * VLEN;
                copy_panel(deep, nv, lanes, b + p * b_row + j, b_row, panel);
                for (ptrdiff_t i = 0; i < rows; i += MR) {
                    ptrdiff_t high = rows - i < MR ? rows - i : MR;
                    const real *tile = tiles + i * deep;
                    real *part = c + (first + i) * c_row + j;
                    if (nv == 1)
                        NAME(gemm_rows_1)(high, deep, tile, 1, MR, panel, nv * VLEN, part, c_row,
                                          lanes, p > 0, NULL);
                    else if (nv == 2)
                        NAME(gemm_rows_2)(high, deep, tile, 1, MR, panel, nv * VLEN, part, c_row,
                                          lanes, p > 0, NULL);
#if NV > 2
                    else
                        NAME(gemm_rows_3)(high, deep, tile, 1, MR, panel, nv * VLEN, part, c_row,
                                          lanes, p > 0, NULL);
#endif
                }
            }
        }
}
