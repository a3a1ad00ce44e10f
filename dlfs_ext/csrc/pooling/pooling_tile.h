/* Largest and mean pixel of each window, plane by plane (a plane is one channel of one image).
 *
 * Windows of 2x2 side by side, the usual ones, are read in place. All others read a padded copy of
 * the plane, so that no loop has to test for the edge of the image. */

#include "simd/shuffle.h"
#include "pooling/pooling_vectors.h"

#define pool_max_row NAME(pool_max_row)
#define pool_max_grad_rows NAME(pool_max_grad_rows)
#define pool_max_grad_any NAME(pool_max_grad_any)
#define pool_counts NAME(pool_counts)
#define pool_crop NAME(pool_crop)

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

/* Its gradient: both rows of pixels under a row of windows, PAIRS vectors of them (constant). A
 * row's last vector may reach into the next row, so the second is written after the first. */
DLFS_INLINE void pool_max_grad_rows(const int PAIRS, const real *grad, const uint8_t *positions,
                                    real *out, ptrdiff_t width, ptrdiff_t n, ptrdiff_t left)
{
    vec g[2];
    ivec position[2];
    DLFS_UNROLL
    for (int v = 0; v < PAIRS; v++) {
        int few = pool_few(n - v * VLEN);
        g[v] = pool_get(grad + v * VLEN, few, left);
        position[v] = pool_get_positions(positions + v * VLEN, few, left);
    }
    DLFS_UNROLL
    for (int k = 0; k < 4; k += 2, out += width) {
        DLFS_UNROLL
        for (int v = 0; v < PAIRS; v++)
            pool_put_pair(out + 2 * v * VLEN, pool_few(n - v * VLEN), left,
                          pool_chosen(position[v], k, g[v]), pool_chosen(position[v], k + 1, g[v]));
    }
}

/* The same for rows of any width; `safe` as above. */
DLFS_INLINE void pool_max_grad_any(const real *grad, const uint8_t *positions, real *out,
                                   ptrdiff_t width, ptrdiff_t n, const int safe)
{
    ptrdiff_t left = safe ? 2 * VLEN : 0;
    if (n <= VLEN) {
        pool_max_grad_rows(1, grad, positions, out, width, n, left);
    } else if (n <= 2 * VLEN) {
        pool_max_grad_rows(2, grad, positions, out, width, n, left);
    } else {
        for (inte k = 0; k < 4; k += 2, out += width)
            for (ptrdiff_t q = 0; q < n; q += VLEN) {
                int few = pool_few(n - q);
                vec g = pool_get(grad + q, few, left);
                ivec position = pool_get_positions(positions + q, few, left);
                pool_put_pair(out + 2 * q, few, left, pool_chosen(position, k, g),
                              pool_chosen(position, k + 1, g));
            }
    }
}

/* Each kernel's thread reads and writes only its own planes, also past the end of a row. */
KERNEL(max_pool)
{
    const pool_job *job = job_;
    const pool_window *w = &job->window;
    ptrdiff_t area = w->height * w->width, out_area = w->out_height * w->out_width;
    const real *x = (const real *)job->x + begin * area, *x_end = (const real *)job->x + end * area;
    real *out = job->out;
    void *positions = job->positions;
    ptrdiff_t at = begin * out_area, total = end * out_area, pitch = pool_pitch(w);
    int is_2x2 = pool_is_2x2(w);
    for (; x < x_end; x += area) {
        if (!is_2x2)
            pool_grow(w, x, scratch, -INFINITY);
        for (ptrdiff_t p = 0; p < w->out_height; p++, at += w->out_width) {
            if (is_2x2) {
                const real *row = x + 2 * p * w->width;
                if (x_end - row >= 2 * w->width + 2 * VLEN && total - at >= w->out_width + VLEN)
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
                const real *row = (const real *)scratch + p * w->stride_h * pitch + q * w->stride_w;
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

/* Writes the middle of a padded plane. */
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

/* The positions are known to be in the window. */
KERNEL(max_pool_grad)
{
    const pool_job *job = job_;
    const pool_window *w = &job->window;
    ptrdiff_t area = w->height * w->width, out_area = w->out_height * w->out_width;
    const real *grad = job->x;
    const void *positions = job->positions;
    real *out = (real *)job->out + begin * area, *out_end = (real *)job->out + end * area;
    real *grown = scratch;
    ptrdiff_t at = begin * out_area, total = end * out_area;
    ptrdiff_t pitch = pool_pitch(w), window = w->kernel_h * w->kernel_w;
    ptrdiff_t *offset = (ptrdiff_t *)(grown + (pool_rows(w) * pitch + POOL_SLACK) / 2 * 2);
    int is_2x2 = pool_is_2x2(w);
    for (ptrdiff_t k = 0; k < window && !is_2x2; k++)
        offset[k] = k / w->kernel_w * pitch + k % w->kernel_w;
    for (; out < out_end; out += area) {
        if (is_2x2) {
            real *row = out;
            for (ptrdiff_t p = 0; p < w->out_height; p++, at += w->out_width) {
                int safe = total - at >= w->out_width + VLEN
                           && out_end - row >= 2 * w->width + 2 * VLEN;
                const uint8_t *k = (const uint8_t *)positions + at;
                if (safe)
                    pool_max_grad_any(grad + at, k, row, w->width, w->out_width, 1);
                else
                    pool_max_grad_any(grad + at, k, row, w->width, w->out_width, 0);
                for (int i = 0; i < 2; i++, row += w->width)
                    if (w->width > 2 * w->out_width)
                        row[w->width - 1] = 0;
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

/* The number of columns of each window that count. */
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

KERNEL(avg_pool)
{
    const pool_job *job = job_;
    const pool_window *w = &job->window;
    ptrdiff_t area = w->height * w->width, out_area = w->out_height * w->out_width;
    const real *x = (const real *)job->x + begin * area, *x_end = (const real *)job->x + end * area;
    real *out = (real *)job->out + begin * out_area, *out_end = (real *)job->out + end * out_area;
    real *counts = scratch, *grown = counts + w->out_width + POOL_SLACK;
    ptrdiff_t pitch = pool_pitch(w);
    int is_2x2 = pool_is_2x2(w);
    pool_counts(w, counts);
    for (; x < x_end; x += area) {
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
                    pool_pair(row, n, x_end - row, &first, &second);
                    row += w->width;
                    pool_pair(row, n, x_end - row, &third, &fourth);
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

KERNEL(avg_pool_grad)
{
    const pool_job *job = job_;
    const pool_window *w = &job->window;
    ptrdiff_t area = w->height * w->width, out_area = w->out_height * w->out_width;
    const real *grad = (const real *)job->x + begin * out_area;
    const real *grad_end = (const real *)job->x + end * out_area;
    real *out = (real *)job->out + begin * area, *out_end = (real *)job->out + end * area;
    real *counts = scratch, *grown = counts + w->out_width + POOL_SLACK;
    ptrdiff_t pitch = pool_pitch(w);
    int is_2x2 = pool_is_2x2(w);
    pool_counts(w, counts);
    for (; out < out_end; out += area) {
        if (is_2x2) {
            real *row = out;
            for (ptrdiff_t p = 0; p < w->out_height; p++, grad += w->out_width) {
                for (int i = 0; i < 2; i++, row += w->width) {
                    for (ptrdiff_t q = 0; q < w->out_width; q += VLEN) {
                        int n = pool_few(w->out_width - q);
                        vec share = pool_get(grad + q, n, grad_end - grad - q) * (real)0.25;
                        pool_put_pair(row + 2 * q, n, out_end - row - 2 * q, share, share);
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
                real share[VLEN] = {0};
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

/* One number per plane, and the reverse. Four sums, because an addition takes four cycles. */
KERNEL(plane_mean)
{
    const pool_job *job = job_;
    ptrdiff_t area = job->window.height * job->window.width;
    for (ptrdiff_t plane = begin; plane < end; plane++) {
        const real *x = (const real *)job->x + plane * area;
        vec sum[4] = {vset1(0), vset1(0), vset1(0), vset1(0)};
        ptrdiff_t p = 0;
        for (; p + 4 * VLEN <= area; p += 4 * VLEN) {
            DLFS_UNROLL
            for (int i = 0; i < 4; i++)
                sum[i] += vload(x + p + i * VLEN);
        }
        for (; p < area; p += VLEN)
            sum[0] += vload_n(x + p, pool_few(area - p));
        ((real *)job->out)[plane] = vsum((sum[0] + sum[1]) + (sum[2] + sum[3])) / (real)area;
    }
}

KERNEL(plane_spread)
{
    const pool_job *job = job_;
    ptrdiff_t area = job->window.height * job->window.width;
    for (ptrdiff_t plane = begin; plane < end; plane++) {
        real *out = (real *)job->out + plane * area, share;
        share = ((const real *)job->x)[plane] / (real)area;
        for (ptrdiff_t p = 0; p < area; p++)
            out[p] = share;
    }
}
