/* Largest and mean pixel of each window, plane by plane (a plane is one channel of one image).
 *
 * Windows of 2x2 side by side, the usual ones, are read where they lie. All others read a copy of
 * the plane, grown by its padding, so that no loop has to ask where the image ends. */

#include "shuffle.h"

#define pool_grow NAME(pool_grow)
#define pool_get NAME(pool_get)
#define pool_max_row NAME(pool_max_row)
#define pool_max_grad_row NAME(pool_max_grad_row)
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
#define pool_counts NAME(pool_counts)
#define pool_crop NAME(pool_crop)

static size_t NAME(pool_scratch)(const pool_window *w)
{
    return (size_t)(pool_rows(w) * pool_pitch(w) + w->out_width + 2 * POOL_SLACK) * sizeof(real)
           + (size_t)(w->kernel_h * w->kernel_w) * sizeof(ptrdiff_t);
}

/* 2x2 side by side without padding; of the image at most an odd last row or column is in no window. */
DLFS_INLINE int pool_is_2x2(const pool_window *w)
{
    return w->kernel_h == 2 && w->kernel_w == 2 && w->stride_h == 2 && w->stride_w == 2
           && w->top == 0 && w->left == 0 && w->out_height == w->height / 2
           && w->out_width == w->width / 2;
}

/* n, at least 0, at most VLEN */
DLFS_INLINE int pool_few(ptrdiff_t n) { return n < 0 ? 0 : n < VLEN ? (int)n : VLEN; }

/* The planes lie one behind the other, and results are written in the order in which they lie. So
 * the last vector of a row may read and write beyond its n numbers, into the next row, which is
 * still to be written; only at the very end, where fewer than a vector are `left`, it may not. That
 * saves masked stores, which cost some processors dearly. */

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

/* Copies a plane into the middle of its grown form, whose border is `border`. */
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

/* n numbers of a row, or VLEN if so many are left; see pool_pair. */
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

/* The first n positions, as uint8 or (wide) int32. With AVX-512 there are instructions for it; what
 * the compilers make of __builtin_convertvector is slower than a loop over the lanes. */
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

/* A row of 2x2 windows; `safe`, a constant: whole vectors may be read and written at its end. */
DLFS_INLINE void pool_max_row(const real *x, ptrdiff_t width, real *out, uint8_t *positions,
                              ptrdiff_t n, const int safe)
{
    for (ptrdiff_t q = 0; q < n; q += VLEN) {
        int few = pool_few(n - q);
        ptrdiff_t left = safe ? 2 * VLEN : 0;
        vec best, second, third, fourth;
        ivec position = viset1(0);
        pool_pair(x + 2 * q, few, left, &best, &second);
        pool_pair(x + width + 2 * q, few, left, &third, &fourth);
        pool_take(second, 1, &best, &position);
        pool_take(third, 2, &best, &position);
        pool_take(fourth, 3, &best, &position);
        pool_put(out + q, best, few, left);
        pool_put_positions(positions, q, position, few, left, 0);
    }
}

/* Its gradient, for row k / 2 of the windows. */
DLFS_INLINE void pool_max_grad_row(const real *grad, const uint8_t *positions, real *out,
                                   ptrdiff_t n, inte k, const int safe)
{
    for (ptrdiff_t q = 0; q < n; q += VLEN) {
        int few = pool_few(n - q);
        ptrdiff_t left = safe ? 2 * VLEN : 0;
        vec g = pool_get(grad + q, few, left);
        ivec position = pool_get_positions(positions + q, few, left);
        pool_put_pair(out + 2 * q, few, left, pool_chosen(position, k, g),
                      pool_chosen(position, k + 1, g));
    }
}

static void NAME(max_pool)(const pool_window *w, const void *x_, void *out_, void *positions,
                           ptrdiff_t planes, void *scratch)
{
    const real *x = x_;
    real *out = out_;
    ptrdiff_t at = 0, pitch = pool_pitch(w);
    const real *end = x + planes * w->height * w->width;
    ptrdiff_t total = planes * w->out_height * w->out_width;
    int is_2x2 = pool_is_2x2(w);
    for (ptrdiff_t plane = 0; plane < planes; plane++, x += w->height * w->width) {
        if (!is_2x2)
            pool_grow(w, x, scratch, -INFINITY);
        for (ptrdiff_t p = 0; p < w->out_height; p++, at += w->out_width) {
            if (is_2x2) {
                const real *row = x + 2 * p * w->width;
                if (end - row >= 2 * w->width + 2 * VLEN && total - at >= w->out_width + VLEN)
                    pool_max_row(row, w->width, out + at, (uint8_t *)positions + at, w->out_width,
                                 1);
                else
                    pool_max_row(row, w->width, out + at, (uint8_t *)positions + at, w->out_width,
                                 0);
                continue;
            }
            for (ptrdiff_t q = 0; q < w->out_width; q += VLEN) {
                int n = pool_few(w->out_width - q);
                ivec position = viset1(0);
                vec best = vset1(-INFINITY);
                const real *row = (const real *)scratch + p * w->stride_h * pitch
                                  + q * w->stride_w;
                ptrdiff_t step = n == VLEN || w->stride_w <= 2 ? w->stride_w : 0;
                inte k = 0;
                for (ptrdiff_t i = 0; i < w->kernel_h; i++, row += pitch)
                    for (ptrdiff_t j = 0; j < w->kernel_w; j++, k++) {
                        vec pixels;
                        if (step) {
                            pixels = pool_pixels(row + j, step);
                        } else {
                            real lanes[VLEN];
                            for (int lane = 0; lane < VLEN; lane++)
                                lanes[lane] = lane < n ? row[j + lane * w->stride_w] : 0;
                            pixels = vload(lanes);
                        }
                        pool_take(pixels, k, &best, &position);
                    }
                ptrdiff_t left = total - at - q;
                pool_put(out + at + q, best, n, left);
                pool_put_positions(positions, at + q, position, n, left, w->wide);
            }
        }
    }
}

/* Writes the middle of a grown plane. */
DLFS_INLINE void pool_crop(const pool_window *w, const real *grown, real *out)
{
    ptrdiff_t pitch = pool_pitch(w), rows = pool_rows(w), columns = pitch;
    ptrdiff_t count = columns - w->left < w->width ? columns - w->left : w->width;
    for (ptrdiff_t y = 0; y < w->height; y++, out += w->width) {
        if (y + w->top >= rows) {
            memset(out, 0, (size_t)w->width * sizeof(real));
            continue;
        }
        memcpy(out, grown + (y + w->top) * pitch + w->left, (size_t)count * sizeof(real));
        memset(out + count, 0, (size_t)(w->width - count) * sizeof(real));
    }
}

/* The positions are known to lie in the window. */
static void NAME(max_pool_grad)(const pool_window *w, const void *grad_, const void *positions,
                                void *out_, ptrdiff_t planes, void *scratch)
{
    const real *grad = grad_;
    real *out = out_, *grown = scratch;
    ptrdiff_t at = 0, pitch = pool_pitch(w), window = w->kernel_h * w->kernel_w;
    ptrdiff_t total = planes * w->out_height * w->out_width;
    ptrdiff_t *offset = (ptrdiff_t *)(grown + (pool_rows(w) * pitch + POOL_SLACK) / 2 * 2);
    real *end = out + planes * w->height * w->width;
    int is_2x2 = pool_is_2x2(w);
    for (ptrdiff_t k = 0; k < window && !is_2x2; k++)
        offset[k] = k / w->kernel_w * pitch + k % w->kernel_w;
    for (ptrdiff_t plane = 0; plane < planes; plane++, out += w->height * w->width) {
        if (is_2x2) {
            real *row = out;
            for (ptrdiff_t p = 0; p < w->out_height; p++, at += w->out_width) {
                int safe = total - at >= w->out_width + VLEN
                           && end - row >= 2 * w->width + 2 * VLEN;
                const uint8_t *k = (const uint8_t *)positions + at;
                for (inte i = 0; i < 4; i += 2, row += w->width) {
                    if (safe)
                        pool_max_grad_row(grad + at, k, row, w->out_width, i, 1);
                    else
                        pool_max_grad_row(grad + at, k, row, w->out_width, i, 0);
                    if (w->width > 2 * w->out_width)
                        row[w->width - 1] = 0;
                }
            }
            if (w->height > 2 * w->out_height)
                memset(row, 0, (size_t)w->width * sizeof(real));
            continue;
        }
        memset(grown, 0, (size_t)(pool_rows(w) * pitch) * sizeof(real));
        for (ptrdiff_t p = 0; p < w->out_height; p++) {
            real *row = grown + p * w->stride_h * pitch;
            if (w->wide)
                for (ptrdiff_t q = 0; q < w->out_width; q++, at++)
                    row[q * w->stride_w + offset[((const int32_t *)positions)[at]]] += grad[at];
            else
                for (ptrdiff_t q = 0; q < w->out_width; q++, at++)
                    row[q * w->stride_w + offset[((const uint8_t *)positions)[at]]] += grad[at];
        }
        pool_crop(w, grown, out);
    }
}

/* How many columns of each window count. */
DLFS_INLINE void pool_counts(const pool_window *w, real *counts)
{
    for (ptrdiff_t q = 0; q < w->out_width; q++) {
        ptrdiff_t first = q * w->stride_w - w->left, last = first + w->kernel_w;
        if (!w->include_pad) {
            first = first > 0 ? first : 0;
            last = last < w->width ? last : w->width;
        }
        counts[q] = (real)(last - first);
    }
}

DLFS_INLINE real NAME(pool_row_count)(const pool_window *w, ptrdiff_t p)
{
    ptrdiff_t first = p * w->stride_h - w->top, last = first + w->kernel_h;
    if (!w->include_pad) {
        first = first > 0 ? first : 0;
        last = last < w->height ? last : w->height;
    }
    return (real)(last - first);
}

static void NAME(avg_pool)(const pool_window *w, const void *x_, void *out_, ptrdiff_t planes,
                           void *scratch)
{
    const real *x = x_;
    real *out = out_, *counts = scratch, *grown = counts + w->out_width + POOL_SLACK;
    const real *end = x + planes * w->height * w->width;
    real *out_end = out + planes * w->out_height * w->out_width;
    ptrdiff_t pitch = pool_pitch(w);
    int is_2x2 = pool_is_2x2(w);
    pool_counts(w, counts);
    for (ptrdiff_t plane = 0; plane < planes; plane++, x += w->height * w->width) {
        if (!is_2x2)
            pool_grow(w, x, grown, 0);
        for (ptrdiff_t p = 0; p < w->out_height; p++, out += w->out_width) {
            real row_count = NAME(pool_row_count)(w, p);
            for (ptrdiff_t q = 0; q < w->out_width; q += VLEN) {
                int n = pool_few(w->out_width - q);
                vec total;
                if (is_2x2) {
                    const real *row = x + 2 * p * w->width + 2 * q;
                    vec first, second, third, fourth;
                    pool_pair(row, n, end - row, &first, &second);
                    row += w->width;
                    pool_pair(row, n, end - row, &third, &fourth);
                    total = (first + second + third + fourth) * (real)0.25;
                } else {
                    const real *row = grown + p * w->stride_h * pitch + q * w->stride_w;
                    ptrdiff_t step = n == VLEN || w->stride_w <= 2 ? w->stride_w : 0;
                    total = vset1(0);
                    for (ptrdiff_t i = 0; i < w->kernel_h; i++, row += pitch)
                        for (ptrdiff_t j = 0; j < w->kernel_w; j++) {
                            if (step) {
                                total += pool_pixels(row + j, step);
                            } else {
                                real lanes[VLEN];
                                for (int lane = 0; lane < VLEN; lane++)
                                    lanes[lane] = lane < n ? row[j + lane * w->stride_w] : 0;
                                total += vload(lanes);
                            }
                        }
                    total /= row_count * vload_n(counts + q, n);
                }
                pool_put(out + q, total, n, out_end - out - q);
            }
        }
    }
}

static void NAME(avg_pool_grad)(const pool_window *w, const void *grad_, void *out_,
                                ptrdiff_t planes, void *scratch)
{
    const real *grad = grad_;
    real *out = out_, *counts = scratch, *grown = counts + w->out_width + POOL_SLACK;
    const real *grad_end = grad + planes * w->out_height * w->out_width;
    real *end = out + planes * w->height * w->width;
    ptrdiff_t pitch = pool_pitch(w);
    int is_2x2 = pool_is_2x2(w);
    pool_counts(w, counts);
    for (ptrdiff_t plane = 0; plane < planes; plane++, out += w->height * w->width) {
        if (is_2x2) {
            real *row = out;
            for (ptrdiff_t p = 0; p < w->out_height; p++, grad += w->out_width) {
                for (int i = 0; i < 2; i++, row += w->width) {
                    for (ptrdiff_t q = 0; q < w->out_width; q += VLEN) {
                        int n = pool_few(w->out_width - q);
                        vec share = pool_get(grad + q, n, grad_end - grad - q) * (real)0.25;
                        pool_put_pair(row + 2 * q, n, end - row - 2 * q, share, share);
                    }
                    if (w->width > 2 * w->out_width)
                        row[w->width - 1] = 0;
                }
            }
            if (w->height > 2 * w->out_height)
                memset(row, 0, (size_t)w->width * sizeof(real));
            continue;
        }
        memset(grown, 0, (size_t)(pool_rows(w) * pitch) * sizeof(real));
        for (ptrdiff_t p = 0; p < w->out_height; p++, grad += w->out_width) {
            real row_count = NAME(pool_row_count)(w, p);
            for (ptrdiff_t q = 0; q < w->out_width; q += VLEN) {
                int n = pool_few(w->out_width - q);
                real share[VLEN];
                vstore_n(share, vload_n(grad + q, n) / (row_count * vload_n(counts + q, n)), n);
                real *row = grown + p * w->stride_h * pitch + q * w->stride_w;
                for (ptrdiff_t i = 0; i < w->kernel_h; i++, row += pitch)
                    for (ptrdiff_t j = 0; j < w->kernel_w; j++) {
                        if (w->stride_w == 1) {
                            vec v = vload(row + j) + vload_n(share, n);
                            vstore(row + j, v);
                        } else {
                            for (int lane = 0; lane < n; lane++)
                                row[j + lane * w->stride_w] += share[lane];
                        }
                    }
            }
        }
        pool_crop(w, grown, out);
    }
}

/* One number for each plane, and back. Four sums, because an addition takes four cycles. */
static void NAME(plane_mean)(const void *x_, void *out, ptrdiff_t area, ptrdiff_t planes)
{
    const real *x = x_;
    for (ptrdiff_t plane = 0; plane < planes; plane++, x += area) {
        vec sum[4] = {vset1(0), vset1(0), vset1(0), vset1(0)};
        ptrdiff_t p = 0;
        for (; p + 4 * VLEN <= area; p += 4 * VLEN) {
            DLFS_UNROLL
            for (int i = 0; i < 4; i++)
                sum[i] += vload(x + p + i * VLEN);
        }
        for (; p < area; p += VLEN)
            sum[0] += vload_n(x + p, pool_few(area - p));
        ((real *)out)[plane] = vsum((sum[0] + sum[1]) + (sum[2] + sum[3])) / (real)area;
    }
}

static void NAME(plane_spread)(const void *grad, void *out_, ptrdiff_t area, ptrdiff_t planes)
{
    real *out = out_;
    for (ptrdiff_t plane = 0; plane < planes; plane++, out += area) {
        real share = ((const real *)grad)[plane] / (real)area;
        for (ptrdiff_t p = 0; p < area; p++)
            out[p] = share;
    }
}
