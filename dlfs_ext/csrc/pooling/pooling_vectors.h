/* How pooling reads and writes pixels and positions, a vector at a time. For tile headers. */

#define pool_grow NAME(pool_grow)
#define pool_get NAME(pool_get)
#define pool_chosen NAME(pool_chosen)
#define pool_put NAME(pool_put)
#define pool_pixels NAME(pool_pixels)
#define pool_take NAME(pool_take)
#define pool_put_positions NAME(pool_put_positions)
#define pool_get_positions NAME(pool_get_positions)
#define pool_is_2x2 NAME(pool_is_2x2)
#define pool_pair NAME(pool_pair)
#define pool_put_pair NAME(pool_put_pair)
#define pool_few NAME(pool_few)

SCRATCH(pool)
{
    const pool_window *w = &((const pool_job *)job_)->window;
    return (size_t)(pool_rows(w) * pool_pitch(w) + w->out_width + 2 * POOL_SLACK) * sizeof(real)
           + (size_t)(w->kernel_h * w->kernel_w) * sizeof(ptrdiff_t);
}

/* 2x2 side by side without padding; at most an odd last row or column is in no window. */
DLFS_INLINE int pool_is_2x2(const pool_window *w)
{
    return w->kernel_h == 2 && w->kernel_w == 2 && w->stride_h == 2 && w->stride_w == 2
           && w->top == 0 && w->left == 0 && w->out_height == w->height / 2
           && w->out_width == w->width / 2;
}

/* n, at least 0, at most VLEN */
DLFS_INLINE int pool_few(ptrdiff_t n) { return n < 0 ? 0 : n < VLEN ? (int)n : VLEN; }

/* The planes follow each other in memory, and results are written in this order. So the last vector
 * of a row may read and write past its n numbers, into the next row, which is written later; but
 * not at the very end, where fewer than a vector are `left`. This avoids masked stores, which are
 * slow on some processors. */

/* Even and odd pixels of the 2 n that begin at `row`. */
DLFS_INLINE void pool_pair(const real *row, ptrdiff_t n, ptrdiff_t left, vec *even, vec *odd)
{
    vec low, high;
    if (left >= 2 * VLEN) {
        low = vload(row);
        high = vload(row + VLEN);
    } else {
        low = vload_n(row, pool_few(2 * n));
        high = vload_n(row + VLEN, pool_few(2 * n - VLEN));
    }
#if VBYTES
    *even = vevens(low, high);
    *odd = vodds(low, high);
#else
    *even = low;
    *odd = high;
#endif
}

/* The reverse: writes 2 n pixels. */
DLFS_INLINE void pool_put_pair(real *row, ptrdiff_t n, ptrdiff_t left, vec even, vec odd)
{
#if VBYTES
    vec low = vzip_low(even, odd), high = vzip_high(even, odd);
#else
    vec low = even, high = odd;
#endif
    if (left >= 2 * VLEN) {
        vstore(row, low);
        vstore(row + VLEN, high);
    } else {
        vstore_n(row, low, pool_few(2 * n));
        vstore_n(row + VLEN, high, pool_few(2 * n - VLEN));
    }
}

/* Copies a plane into the middle of its padded form, filled with `border` outside. */
DLFS_INLINE void pool_grow(const pool_window *w, const real *x, real *grown, real border)
{
    ptrdiff_t pitch = pool_pitch(w), rows = pool_rows(w), columns = pitch;
    ptrdiff_t last = w->left + w->width < columns ? w->left + w->width : columns;
    for (ptrdiff_t r = 0; r < rows; r++, grown += pitch) {
        ptrdiff_t y = r - w->top;
        int inside = y >= 0 && y < w->height;
        for (ptrdiff_t c = 0; c < (inside ? w->left : columns); c++)
            grown[c] = border;
        if (!inside)
            continue;
        memcpy(grown + w->left, x + y * w->width, (size_t)(last - w->left) * sizeof(real));
        for (ptrdiff_t c = last; c < columns; c++)
            grown[c] = border;
    }
}

/* n numbers of a row, or VLEN if that many are left; see pool_pair. */
DLFS_INLINE vec pool_get(const real *at, int n, ptrdiff_t left)
{
    return left >= VLEN ? vload(at) : vload_n(at, n);
}
DLFS_INLINE void pool_put(real *at, vec v, int n, ptrdiff_t left)
{
    if (left >= VLEN)
        vstore(at, v);
    else
        vstore_n(at, v, n);
}

/* VLEN pixels, `step` apart. */
DLFS_INLINE vec pool_pixels(const real *at, ptrdiff_t step)
{
    if (step == 1)
        return vload(at);
#if VBYTES
    if (step == 2)
        return vevens(vload(at), vload(at + VLEN));
#endif
    real lanes[VLEN];
    for (int i = 0; i < VLEN; i++)
        lanes[i] = at[i * step];
    return vload(lanes);
}

/* Where x is larger than best (nan being larger than any number), best is x and position is k. */
DLFS_INLINE void pool_take(vec x, inte k, vec *best, ivec *position)
{
#if DLFS_LEVEL == DLFS_AVX512 && DLFS_F64
    __mmask8 larger = _mm512_cmp_pd_mask((__m512d)x, (__m512d)*best, _CMP_NLE_UQ);
    larger = _mm512_mask_cmp_pd_mask(larger, (__m512d)*best, (__m512d)*best, _CMP_ORD_Q);
    *best = (vec)_mm512_mask_mov_pd((__m512d)*best, larger, (__m512d)x);
    *position = (ivec)_mm512_mask_mov_epi64((__m512i)*position, larger, _mm512_set1_epi64(k));
#elif DLFS_LEVEL == DLFS_AVX512
    __mmask16 larger = _mm512_cmp_ps_mask((__m512)x, (__m512)*best, _CMP_NLE_UQ);
    larger = _mm512_mask_cmp_ps_mask(larger, (__m512)*best, (__m512)*best, _CMP_ORD_Q);
    *best = (vec)_mm512_mask_mov_ps((__m512)*best, larger, (__m512)x);
    *position = (ivec)_mm512_mask_mov_epi32((__m512i)*position, larger, _mm512_set1_epi32(k));
#elif VBYTES
    ivec larger = (x > *best) | ((x != x) & (*best == *best));
    *best = vselect(larger, x, *best);
    *position = (larger & viset1(k)) | (~larger & *position);
#else
    if (x > *best || (x != x && *best == *best)) {
        *best = x;
        *position = k;
    }
#endif
}

/* The first n positions, as uint8 or (wide) int32. AVX-512 has instructions for this; the code that
 * compilers make for __builtin_convertvector is slower than a loop over the lanes. */
DLFS_INLINE void pool_put_positions(void *positions, ptrdiff_t at, ivec v, int n, ptrdiff_t left,
                                    int wide)
{
    uint8_t *bytes = (uint8_t *)positions + at;
    int32_t *ints = (int32_t *)positions + at;
#if DLFS_LEVEL == DLFS_AVX512
    if (left >= VLEN && !wide) {
#if DLFS_F64
        _mm_storel_epi64((__m128i *)bytes, _mm512_cvtepi64_epi8((__m512i)v));
#else
        _mm_storeu_si128((__m128i *)bytes, _mm512_cvtepi32_epi8((__m512i)v));
#endif
        return;
    }
#endif
    inte lanes[VLEN];
    memcpy(lanes, &v, sizeof v);
    (void)left;
    for (int i = 0; i < n; i++) {
        if (wide)
            ints[i] = (int32_t)lanes[i];
        else
            bytes[i] = (uint8_t)lanes[i];
    }
}

/* n positions that are uint8. */
DLFS_INLINE ivec pool_get_positions(const uint8_t *positions, int n, ptrdiff_t left)
{
#if DLFS_LEVEL >= DLFS_AVX2
    if (left >= VLEN) {
#if DLFS_LEVEL == DLFS_AVX512 && !DLFS_F64
        return (ivec)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)positions));
#elif DLFS_LEVEL == DLFS_AVX512
        return (ivec)_mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)positions));
#elif !DLFS_F64
        return (ivec)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)positions));
#else
        int four;
        memcpy(&four, positions, sizeof four);
        return (ivec)_mm256_cvtepu8_epi64(_mm_cvtsi32_si128(four));
#endif
    }
#endif
    inte lanes[VLEN] = {0};
    ivec v;
    (void)left;
    for (int i = 0; i < n; i++)
        lanes[i] = positions[i];
    memcpy(&v, lanes, sizeof v);
    return v;
}

/* g where the position is k, else 0 */
DLFS_INLINE vec pool_chosen(ivec positions, inte k, vec g)
{
#if DLFS_LEVEL == DLFS_AVX512 && DLFS_F64
    return (vec)_mm512_maskz_mov_pd(
        _mm512_cmpeq_epi64_mask((__m512i)positions, _mm512_set1_epi64(k)), (__m512d)g);
#elif DLFS_LEVEL == DLFS_AVX512
    return (vec)_mm512_maskz_mov_ps(
        _mm512_cmpeq_epi32_mask((__m512i)positions, _mm512_set1_epi32(k)), (__m512)g);
#else
    return vselect(positions == viset1(k), g, vset1(0));
#endif
}
