/* Loops of dense and normalization layers with one number per feature (or channel).
 *
 * An array of shape (batch, features, ...) is seen as (outer, features, inner), C-contiguous. With
 * inner 1 the features are side by side, one per lane; otherwise each (outer, feature) pair is a
 * row of inner numbers that share the feature's parameters. */

#include "jobs.h"
#include "simd/vmath.h"

/* out = result(x, y, p, q, r): x and y are arrays, p, q and r parameters. Unused ones may be NULL.
 * A task is a row: of outer if inner is 1, else of outer * features. */
#define FEATURE_MAP(name, result)                                                                 \
    DLFS_INLINE vec NAME(name##_of)(vec x, vec y, vec p, vec q, vec r)                            \
    {                                                                                             \
        (void)y, (void)q, (void)r;                                                                \
        return result;                                                                            \
    }                                                                                             \
    KERNEL(name)                                                                                  \
    {                                                                                             \
        const features_job *job = job_;                                                           \
        const real *p = job->p, *q = job->q ? job->q : p, *r = job->r ? job->r : p;               \
        ptrdiff_t features = job->features, inner = job->inner;                                   \
        ptrdiff_t n = inner == 1 ? features : inner;                                              \
        for (ptrdiff_t row = begin; row < end; row++) {                                           \
            const real *x = (const real *)job->x + row * n;                                       \
            const real *y = job->y ? (const real *)job->y + row * n : x;                          \
            real *out = (real *)job->out + row * n;                                               \
            ptrdiff_t f = inner == 1 ? 0 : row % features, i = 0;                                 \
            vec pv = vset1(p[f]), qv = vset1(q[f]), rv = vset1(r[f]);                             \
            if (inner == 1) {                                                                     \
                for (; i + VLEN <= n; i += VLEN)                                                  \
                    vstore(out + i, NAME(name##_of)(vload(x + i), vload(y + i), vload(p + i),     \
                                                    vload(q + i), vload(r + i)));                 \
                if (i < n) {                                                                      \
                    int rest = (int)(n - i);                                                      \
                    vstore_n(out + i,                                                             \
                             NAME(name##_of)(vload_n(x + i, rest), vload_n(y + i, rest),          \
                                             vload_n(p + i, rest), vload_n(q + i, rest),          \
                                             vload_n(r + i, rest)),                               \
                             rest);                                                               \
                }                                                                                 \
                continue;                                                                         \
            }                                                                                     \
            for (; i + VLEN <= n; i += VLEN)                                                      \
                vstore(out + i, NAME(name##_of)(vload(x + i), vload(y + i), pv, qv, rv));         \
            if (i < n) {                                                                          \
                int rest = (int)(n - i);                                                          \
                vstore_n(out + i,                                                                 \
                         NAME(name##_of)(vload_n(x + i, rest), vload_n(y + i, rest), pv, qv, rv), \
                         rest);                                                                   \
            }                                                                                     \
        }                                                                                         \
    }

/* sums[f] = the sum of term(x, y, p[f]) over outer and inner; out, if it is not NULL, gets the
 * terms. A task is a feature. The order of summation depends only on the shape: it cycles through
 * four partial sums, or the lanes. */
/* Vectors of features side by side: more would not fit in the registers, with four sums of each. */
#define SUM_VECTORS (VREGS == 32 ? 4 : 2)
#define FEATURE_SUM(name, term)                                                                    \
    DLFS_INLINE vec NAME(name##_of)(vec x, vec y, vec p)                                           \
    {                                                                                              \
        (void)y, (void)p;                                                                          \
        return term;                                                                               \
    }                                                                                              \
    DLFS_INLINE void NAME(name##_columns)(const int wide, const real *x, const real *y,            \
                                          const real *p, real *out, real *sums, ptrdiff_t outer,   \
                                          ptrdiff_t features, int n)                               \
    {                                                                                              \
        vec parts[4][SUM_VECTORS], pv[SUM_VECTORS];                                                \
        DLFS_UNROLL                                                                                \
        for (int v = 0; v < wide; v++) {                                                           \
            pv[v] = vload_n(p + v * VLEN, n);                                                      \
            parts[0][v] = parts[1][v] = parts[2][v] = parts[3][v] = vset1(0);                      \
        }                                                                                          \
        ptrdiff_t row = 0;                                                                         \
        for (; row + 4 <= outer; row += 4) {                                                       \
            DLFS_UNROLL                                                                            \
            for (int part = 0; part < 4; part++) {                                                 \
                DLFS_UNROLL                                                                        \
                for (int v = 0; v < wide; v++) {                                                   \
                    ptrdiff_t i = (row + part) * features + v * VLEN;                              \
                    vec value = NAME(name##_of)(vload_n(x + i, n), vload_n(y + i, n), pv[v]);      \
                    if (out)                                                                       \
                        vstore_n(out + i, value, n);                                               \
                    parts[part][v] += value;                                                       \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        for (; row < outer; row++) {                                                               \
            DLFS_UNROLL                                                                            \
            for (int v = 0; v < wide; v++) {                                                       \
                ptrdiff_t i = row * features + v * VLEN;                                           \
                vec value = NAME(name##_of)(vload_n(x + i, n), vload_n(y + i, n), pv[v]);          \
                if (out)                                                                           \
                    vstore_n(out + i, value, n);                                                   \
                parts[0][v] += value;                                                              \
            }                                                                                      \
        }                                                                                          \
        DLFS_UNROLL                                                                                \
        for (int v = 0; v < wide; v++)                                                             \
            vstore_n(sums + v * VLEN, (parts[0][v] + parts[1][v]) + (parts[2][v] + parts[3][v]),   \
                     n);                                                                           \
    }                                                                                              \
    DLFS_INLINE void NAME(name##_features)(const real *x, const real *y, const real *p, real *out, \
                                           real *sums, ptrdiff_t outer, ptrdiff_t features,        \
                                           ptrdiff_t f, ptrdiff_t end)                             \
    {                                                                                              \
        for (; f + SUM_VECTORS * VLEN <= end; f += SUM_VECTORS * VLEN)                             \
            NAME(name##_columns)(SUM_VECTORS, x + f, y + f, p + f, out ? out + f : NULL, sums + f, \
                                 outer, features, VLEN);                                           \
        for (; f < end; f += VLEN)                                                                 \
            NAME(name##_columns)(1, x + f, y + f, p + f, out ? out + f : NULL, sums + f, outer,    \
                                 features, (int)(end - f < VLEN ? end - f : VLEN));                \
    }                                                                                              \
    KERNEL(name)                                                                                   \
    {                                                                                              \
        const features_job *job = job_;                                                            \
        ptrdiff_t outer = job->outer, features = job->features, inner = job->inner;                \
        const real *x = job->x, *y = job->y ? job->y : x;                                          \
        real *out = job->out, *sums = job->sums;                                                   \
        const real *p = job->p ? job->p : sums; /* then its value is not used */                   \
        if (inner == 1) {                                                                          \
            /* Two copies: rounding before the sum must not depend on f. */                        \
            if (out)                                                                               \
                NAME(name##_features)(x, y, p, out, sums, outer, features, begin, end);            \
            else                                                                                   \
                NAME(name##_features)(x, y, p, NULL, sums, outer, features, begin, end);           \
            return;                                                                                \
        }                                                                                          \
        for (ptrdiff_t f = begin; f < end; f++) {                                                  \
            vec total = vset1(0), pv = vset1(p[f]);                                                \
            for (ptrdiff_t row = 0; row < outer; row++) {                                          \
                ptrdiff_t i = (row * features + f) * inner, stop = i + inner;                      \
                vec sum = vset1(0);                                                                \
                for (; i + VLEN <= stop; i += VLEN) {                                              \
                    vec value = NAME(name##_of)(vload(x + i), vload(y + i), pv);                   \
                    if (out)                                                                       \
                        vstore(out + i, value);                                                    \
                    sum += value;                                                                  \
                }                                                                                  \
                if (i < stop) {                                                                    \
                    int rest = (int)(stop - i);                                                    \
                    vec value = NAME(name##_of)(vload_n(x + i, rest), vload_n(y + i, rest), pv);   \
                    real lanes[VLEN] = {0};                                                        \
                    if (out)                                                                       \
                        vstore_n(out + i, value, rest);                                            \
                    vstore_n(lanes, value, rest); /* the other lanes do not count */               \
                    sum += vload(lanes);                                                           \
                }                                                                                  \
                total += sum;                                                                      \
            }                                                                                      \
            sums[f] = vsum(total);                                                                 \
        }                                                                                          \
    }
