/* C = A B for matrices of any size. Included by tile headers, after gemm_tile.h.
 *
 * What a loop reads again must still be in a cache, so the product is cut into blocks: KC terms of
 * each sum at a time, for NC columns, for MC rows. The block of A, and the panels of B, stay in the
 * second-level cache. Lines a power of two apart compete for few places of the caches; so where
 * rows of B are a page apart, or serve several blocks, they are copied to panels, and a transposed
 * A (the data, in the gradient of a layer's weights) to tiles of MR rows. Copying pays from a
 * certain number of rows on. 1024 x 1024 by 1024 x 1024, with rows of 4096 bytes, reaches 75 to 80
 * % of the peak in float32 and 70 % in float64; read in place, 31 % and 28 %. */

/* The scratch memory: 240 columns of B and 96 rows of A, this many bytes deep. */
#define DLFS_DEEP_BYTES 2048
#define DLFS_PANEL_BYTES ((240 + 96) * DLFS_DEEP_BYTES + 96 * 2 * 8)

/* Terms, rows and columns of a block; MC is a multiple of every MR, NC of every NR. */
#define KC (DLFS_DEEP_BYTES / (ptrdiff_t)sizeof(real))
#define MC 96
#define NC 240

#define copy_tiles NAME(copy_tiles)
#define is_far NAME(is_far)
#define gemm_row NAME(gemm_row)
#define gemm NAME(gemm_typed)

/* `deep` columns of m rows of A (a_row is 1) to tiles of MR rows. Two columns are left between
 * them: tiles a power of two apart would compete for places of the first-level cache. */
static void copy_tiles(ptrdiff_t m, ptrdiff_t deep, const real *a, ptrdiff_t a_column, real *tiles)
{
    for (ptrdiff_t p = 0; p < deep; p++, a += a_column) {
        ptrdiff_t i = 0;
        for (; i + MR <= m; i += MR)
            memcpy(tiles + i * (deep + 2) + p * MR, a + i, MR * sizeof(real));
        for (ptrdiff_t r = 0; i + r < m; r++)
            tiles[i * (deep + 2) + p * MR + r] = a[i + r];
    }
}

/* Whether A is copied: its columns are contiguous and used for several panels, and the k of them
 * compete for places of the first-level cache (64, of 8 lines or more), or lie on many pages. With
 * 60 columns of 784 numbers, which do not, copying took a fifth of the time. */
DLFS_INLINE int is_far(ptrdiff_t n, ptrdiff_t k, ptrdiff_t a_row, ptrdiff_t a_column)
{
    ptrdiff_t bytes = a_column * (ptrdiff_t)sizeof(real), power = bytes & -bytes;
    ptrdiff_t places = power <= 64 ? 64 : power >= 4096 ? 1 : 4096 / power;
    return a_row == 1 && bytes >= 1024 && n > NR && (k > 8 * places || k > 128);
}

/* A product of one row waits for B: reading WIDE vectors of its rows at a time, as they lie in
 * memory, takes 0.8 to 0.85 of the time that panels of NV vectors do. */
static void gemm_row(ptrdiff_t k, const real *a, ptrdiff_t a_column, const real *b, ptrdiff_t b_row,
                     real *c, int add, const real *bias)
{
    gemm_tile(1, WIDE, k, a, 0, a_column, b, b_row, c, 0, VLEN, add, bias);
}

/* The m x n part of C = A B + bias that starts at the pointers; bias may be NULL. With `add` the
 * product is added to C.
 * Strides are in numbers, not bytes. panel holds DLFS_PANEL_BYTES. */
static void gemm(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                 ptrdiff_t a_column, const real *b, ptrdiff_t b_row, ptrdiff_t b_column, real *c,
                 ptrdiff_t c_row, int add, const real *bias, real *panel)
{
    real *tiles = panel + NC * KC;
    int copies_a = is_far(n, k, a_row, a_column);
    ptrdiff_t bytes = b_row * (ptrdiff_t)sizeof(real);
    /* B's rows are pages apart, and served more often than copying costs: 16 rows of A by 2048 x
     * 2048 numbers take 0.3 of the time in float32, 0.5 in float64. */
    int pages = b_column == 1 && bytes >= 4096 && m * bytes > 8 * 4096;
    int copies_b = b_column != 1 || m > MC || pages;
    /* The depth depends on k alone, so that sums do not depend on how C is split. */
    ptrdiff_t parts = k > KC ? (k + KC - 1) / KC : 1, depth = (k + parts - 1) / parts, p = 0;
    ptrdiff_t wide = m > MC || pages ? NC : NR;
    do { /* at least once: an empty product is 0 */
        ptrdiff_t deep = k - p < depth ? k - p : depth;
        ptrdiff_t left = 0;
        if (m == 1 && b_column == 1)
            for (; left + WIDE * VLEN <= n; left += WIDE * VLEN)
                gemm_row(deep, a + p * a_column, a_column, b + p * b_row + left, b_row, c + left,
                         add || p > 0, bias && p + deep == k ? bias + left : NULL);
        for (; left < n; left += wide) {
            ptrdiff_t right = n - left < wide ? n : left + wide;
            if (copies_b)
                NAME(pack_panels)(deep, right - left, b + p * b_row + left * b_column, b_row,
                                  b_column, panel);
            for (ptrdiff_t top = 0; top < m; top += MC) {
                ptrdiff_t rows = m - top < MC ? m - top : MC;
                if (copies_a && (left == 0 || m > MC))
                    copy_tiles(rows, deep, a + top + p * a_column, a_column, tiles);
                for (ptrdiff_t j = left; j < right; j += NR) {
                    int columns = (int)(right - j < NR ? right - j : NR);
                    int nv = (columns + VLEN - 1) / VLEN, lanes = columns - (nv - 1) * VLEN;
                    const real *part = b + p * b_row + j * b_column;
                    const real *shift = bias && p + deep == k ? bias + j : NULL;
                    real *target = c + top * c_row + j;
                    ptrdiff_t part_row = b_row;
                    if (copies_b) {
                        part = panel + (j - left) * deep;
                        part_row = nv * VLEN;
                    } else if (DLFS_LEVEL != DLFS_AVX512 && lanes < VLEN) {
                        NAME(pack_panels)(deep, columns, part, b_row, 1, panel);
                        part = panel;
                        part_row = nv * VLEN;
                    }
                    if (!copies_a)
                        BY_WIDTH(nv, rows, deep, a + top * a_row + p * a_column, a_row, a_column,
                                 part, part_row, target, c_row, lanes, add || p > 0, shift);
                    else
                        for (ptrdiff_t i = 0; i < rows; i += MR)
                            BY_WIDTH(nv, rows - i < MR ? rows - i : MR, deep,
                                     tiles + i * (deep + 2), 1, MR, part, part_row,
                                     target + i * c_row, c_row, lanes, add || p > 0, shift);
                }
            }
        }
        p += depth;
    } while (p < k);
}
