/* The innermost loops: sums kept in registers. For tile headers.
 *
 * strips() computes output pixels: a tile of a few output channels by a few vectors of pixels stays
 * in registers while the loop runs over the taps. 8 x 3 sums need 3 loads and 8 broadcasts for 24
 * multiply-adds, and 24 sums hide the latency of the multiply-add. dots() computes weight
 * gradients: 4 x 6 dot products over the same pixels, with vectors of partial sums that are added
 * across lanes only at the end. With 16 registers the tiles are 4 x 3. */

#define tile NAME(conv_tile)
#define strips NAME(conv_strips)
#define channels_at_once NAME(conv_channels_at_once)
#define dots NAME(conv_dots)
#define dots_run NAME(conv_dots_run)

#define DOTS_A 4
#define DOTS_B (VREGS >= 32 ? 6 : 3)

/* MR, NV: constants, after inlining. */
DLFS_INLINE void tile(const int MR, const int NV, const real *src,
                      const ptrdiff_t *DLFS_RESTRICT offset, ptrdiff_t taps,
                      const real *DLFS_RESTRICT weights, real *out, ptrdiff_t pitch,
                      ptrdiff_t pixels)
{
    vec sum[8][8]; /* not [MR][NV], which would be a variable-length array, kept in memory */
    DLFS_UNROLL
    for (int r = 0; r < MR; r++) {
        DLFS_UNROLL
        for (int v = 0; v < NV; v++)
            sum[r][v] = vset1(0);
    }
    for (ptrdiff_t k = 0; k < taps; k++, weights += MR) {
        const real *at = src + offset[k];
        vec x[8];
        DLFS_UNROLL
        for (int v = 0; v < NV; v++)
            x[v] = vload(at + v * VLEN);
        DLFS_UNROLL
        for (int r = 0; r < MR; r++) {
            DLFS_UNROLL
            for (int v = 0; v < NV; v++)
                sum[r][v] += weights[r] * x[v];
        }
    }
    if (pixels >= NV * VLEN) {
        DLFS_UNROLL
        for (int r = 0; r < MR; r++) {
            DLFS_UNROLL
            for (int v = 0; v < NV; v++)
                vstore(out + r * pitch + v * VLEN, sum[r][v]);
        }
    } else {
        DLFS_UNROLL
        for (int r = 0; r < MR; r++) {
            DLFS_UNROLL
            for (int v = 0; v < NV; v++) {
                ptrdiff_t rest = pixels - v * VLEN;
                if (rest > 0)
                    vstore_n(out + r * pitch + v * VLEN, sum[r][v],
                             (int)(rest < VLEN ? rest : VLEN));
            }
        }
    }
}

/* The number of remaining output channels for the next tile: the largest tile that is filled
 * completely. */
DLFS_INLINE int channels_at_once(ptrdiff_t left)
{
#if VREGS >= 32
    if (left >= 8)
        return 8;
#endif
    return left >= 4 ? 4 : (int)left;
}

/* out[r][p] = sum over k of weights[k][r] * src[offset[k] + p] for r < mr and p < pixels.
 * Reads fewer than VLEN reals after the last pixel, and none if pixels is a multiple of VLEN. */
static void strips(int mr, const real *src, const ptrdiff_t *offset, ptrdiff_t taps,
                   const real *weights, real *out, ptrdiff_t pitch, ptrdiff_t pixels)
{
    ptrdiff_t p = 0;
#define STRIPS(MR, NV)                                       \
    for (; p + ((NV) - 1) * VLEN < pixels; p += (NV) * VLEN) \
        tile(MR, NV, src + p, offset, taps, weights, out + p, pitch, pixels - p);
    // clang-format off
    switch (mr) {
#if VREGS >= 32
    case 8:
        STRIPS(8, 3) STRIPS(8, 2) STRIPS(8, 1)
        break;
    case 7:
        STRIPS(7, 3) STRIPS(7, 2) STRIPS(7, 1)
        break;
    case 6:
        STRIPS(6, 4) STRIPS(6, 2) STRIPS(6, 1)
        break;
    case 5:
        STRIPS(5, 4) STRIPS(5, 2) STRIPS(5, 1)
        break;
    case 4:
        STRIPS(4, 6) STRIPS(4, 3) STRIPS(4, 1)
        break;
    case 3:
        STRIPS(3, 8) STRIPS(3, 4) STRIPS(3, 1)
        break;
    case 2:
        STRIPS(2, 8) STRIPS(2, 4) STRIPS(2, 1)
        break;
#else
    case 4:
        STRIPS(4, 3) STRIPS(4, 1)
        break;
    case 3:
        STRIPS(3, 4) STRIPS(3, 1)
        break;
    case 2:
        STRIPS(2, 5) STRIPS(2, 1)
        break;
#endif
    default:
        STRIPS(1, 8) STRIPS(1, 4) STRIPS(1, 1)
    }
    // clang-format on
}

/* sum[i * DOTS_B + j] += a[i] . b[j] over n reals each; A, B: constants. */
DLFS_INLINE void dots(const int A, const int B, const real *const *a, const real *const *b,
                      ptrdiff_t n, real *sums)
{
    enum { COUNT = (DOTS_A * DOTS_B + VLEN - 1) / VLEN * VLEN };
    vec sum[COUNT];
    const real *pa[DOTS_A], *pb[DOTS_B];
    DLFS_UNROLL
    for (int i = 0; i < COUNT; i++)
        sum[i] = vset1(0);
    DLFS_UNROLL
    for (int i = 0; i < A; i++)
        pa[i] = a[i];
    DLFS_UNROLL
    for (int j = 0; j < B; j++)
        pb[j] = b[j];
#define STEP(LOAD)                               \
    {                                            \
        vec x[DOTS_A];                           \
        DLFS_UNROLL                              \
        for (int i = 0; i < A; i++)              \
            x[i] = LOAD(pa[i] + p);              \
        DLFS_UNROLL                              \
        for (int j = 0; j < B; j++) {            \
            vec y = LOAD(pb[j] + p);             \
            DLFS_UNROLL                          \
            for (int i = 0; i < A; i++)          \
                sum[i * DOTS_B + j] += x[i] * y; \
        }                                        \
    }
    ptrdiff_t p = 0;
    for (; p + VLEN <= n; p += VLEN)
        STEP(vload)
    if (p < n) {
        int rest = (int)(n - p);
#define FEW(at) vload_n(at, rest) /* both factors: 0 times an unread number could be nan */
        STEP(FEW)
    }
    DLFS_UNROLL
    for (int i = 0; i < DOTS_A * DOTS_B; i += VLEN)
        vstore(sums + i, vload(sums + i) + vsums(sum + i));
}

/* sums holds CONV_SLACK reals; only the first `a_count` rows and `b_count` columns are
 * meaningful. */
static void dots_run(int a_count, int b_count, const real *const *a, const real *const *b,
                     ptrdiff_t n, real *sums)
{
#define CASE(A, B)                      \
    if (a_count == A && b_count <= B) { \
        dots(A, B, a, b, n, sums);      \
        return;                         \
    }
    // clang-format off
#if VREGS >= 32
    CASE(4, 4) CASE(4, 5) CASE(4, 6)
    CASE(3, 6) CASE(2, 6)
    dots(1, 6, a, b, n, sums);
#else
    CASE(4, 3) CASE(3, 3) CASE(2, 3)
    dots(1, 3, a, b, n, sums);
#endif
    // clang-format on
}
