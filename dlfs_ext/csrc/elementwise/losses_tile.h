/* Losses and their gradients, in one pass (included by losses.h).
 *
 * The value of a loss is a long sum: it is taken in double for every dtype. */

#include "simd/vmath.h"

#define dvec NAME(dvec)
#define to_double NAME(to_double)
#define dsum NAME(dsum)

#if VBYTES && !DLFS_F64
typedef double dvec __attribute__((vector_size(2 * VBYTES)));
DLFS_INLINE dvec to_double(vec v) { return __builtin_convertvector(v, dvec); }
#elif VBYTES
typedef vec dvec;
DLFS_INLINE dvec to_double(vec v) { return v; }
#else
typedef double dvec;
DLFS_INLINE dvec to_double(vec v) { return v; }
#endif

DLFS_INLINE double dsum(const dvec *v)
{
    double lanes[VLEN], sum = 0;
    memcpy(lanes, v, sizeof lanes);
    for (int i = 0; i < VLEN; i++)
        sum += lanes[i];
    return sum;
}

/* Returns the sum of value(x, t) over n numbers, and writes gradient(x, t) * factor; both times
 * their weight, unless weights is NULL. `extra` is the loss's parameter. If valid() is false the
 * result is nan; 0 must be valid with value 0, because the last vector is padded with it. */
#define LOSS(name, valid, value, gradient)                                                       \
    DLFS_INLINE dvec NAME(name##_of)(vec x, vec t, real extra, real factor, vec *grad, ivec *ok) \
    {                                                                                            \
        vec e = x - t;                                                                           \
        (void)extra, (void)e;                                                                    \
        *ok &= (valid);                                                                          \
        *grad = (gradient) * factor;                                                             \
        return to_double(value);                                                                 \
    }                                                                                            \
    static double NAME(name)(const void *x_, const void *t_, const void *weights_, void *grad_,  \
                             ptrdiff_t n, double extra, double factor)                           \
    {                                                                                            \
        const real *x = x_, *t = t_, *weights = weights_;                                        \
        real *grad = grad_;                                                                      \
        dvec sum = to_double(vset1(0)), values;                                                  \
        ivec ok = viset1(-1);                                                                    \
        vec g, w;                                                                                \
        ptrdiff_t i = 0;                                                                         \
        for (; i + VLEN <= n; i += VLEN) {                                                       \
            values = NAME(name##_of)(vload(x + i), vload(t + i), (real)extra, (real)factor, &g,  \
                                     &ok);                                                       \
            if (weights) {                                                                       \
                w = vload(weights + i);                                                          \
                g *= w, values *= to_double(w);                                                  \
            }                                                                                    \
            sum += values;                                                                       \
            vstore(grad + i, g);                                                                 \
        }                                                                                        \
        double total = dsum(&sum);                                                               \
        if (i < n) {                                                                             \
            int rest = (int)(n - i);                                                             \
            double last[VLEN];                                                                   \
            values = NAME(name##_of)(vload_n(x + i, rest), vload_n(t + i, rest), (real)extra,    \
                                     (real)factor, &g, &ok);                                     \
            if (weights) {                                                                       \
                w = vload_n(weights + i, rest);                                                  \
                g *= w, values *= to_double(w);                                                  \
            }                                                                                    \
            memcpy(last, &values, sizeof last);                                                  \
            for (int lane = 0; lane < rest; lane++)                                              \
                total += last[lane];                                                             \
            vstore_n(grad + i, g, rest);                                                         \
        }                                                                                        \
        return all_true(ok) ? total : (double)NAN;                                               \
    }

#define all_true NAME(all_true)
DLFS_INLINE int all_true(ivec mask)
{
    inte lanes[VLEN], all = -1;
    memcpy(lanes, &mask, sizeof lanes);
    for (int i = 0; i < VLEN; i++)
        all &= lanes[i];
    return all != 0;
}

#define vclip NAME(vclip)
DLFS_INLINE vec vclip(vec x, real bound) { return vmax(vset1(-bound), vmin(vset1(bound), x)); }
#define vsign NAME(vsign)
DLFS_INLINE vec vsign(vec x)
{
    /* x itself where it is neither above nor below 0: nan stays nan */
    return vselect(x > 0, vset1(1), vselect(x < 0, vset1(-1), x));
}

LOSS(squared, viset1(-1), e * e, e)
LOSS(absolute, viset1(-1), vabs(e), vsign(e))
LOSS(huber, viset1(-1), vclip(e, extra) * (e - vclip(e, extra) * (real)0.5), vclip(e, extra))
/* As in the reference: the probability of the less likely answer, times how much less likely. */
LOSS(binary, (t >= 0) & (t <= 1),
     vlog1p01(vexp_neg(-vabs(x))) + vselect(x > 0, 1 - t, t) * vabs(x), vsigmoid(x) - t)

/* The target of class j, smoothed. */
#define TARGET(t) ((t) * keep + spread)

/* Softmax and cross-entropy of `rows` rows of n classes. The target is either rows of
 * probabilities or, if it is NULL, integer labels. Each row counts with its weight, or with 1 where
 * weights is NULL. Returns nan if a label is out of range or a row of probabilities is not valid;
 * then grad is undefined. */
static double NAME(softmax_cross_entropy)(const void *x_, const void *t_, const int64_t *labels,
                                          const void *weights_, void *grad_, ptrdiff_t rows,
                                          ptrdiff_t n, double smoothing)
{
    const real keep = (real)(1 - smoothing), spread = (real)(smoothing / (double)n);
    const real *weights = weights_;
    const double slack = 4 * (double)n * (DLFS_F64 ? 2.220446049250313e-16 : 1.1920929e-7);
    double loss = 0;
    for (ptrdiff_t row = 0; row < rows; row++) {
        const real *x = (const real *)x_ + row * n;
        const real *t = t_ ? (const real *)t_ + row * n : NULL;
        real *grad = (real *)grad_ + row * n;
        const double weight = weights ? (double)weights[row] : 1;
        const real factor = (real)(weight / (double)rows);
        ptrdiff_t i, full = n - n % VLEN;
        int rest = (int)(n - full);

        /* Padding is -infinity, which is never the maximum and whose exp is 0. */
        vec last = vload_fill(x + full, rest, -INFINITY), best_lanes = last;
        for (i = 0; i < full; i += VLEN)
            best_lanes = vmax(best_lanes, vload(x + i));
        const real best = vhmax(best_lanes);
        vec last_exp = vexp_neg(last - best), sum_lanes = last_exp;
        for (i = 0; i < full; i += VLEN) {
            vec e = vexp_neg(vload(x + i) - best);
            vstore(grad + i, e);
            sum_lanes += e;
        }
        const real sum = vsum(sum_lanes), share = 1 / sum;
        real log_sum;
        if (sum < 2) {
            /* Only the largest logit's exp is 1. The others may add so little that the sum is 1,
             * whose logarithm is 0. */
            vec others = vselect(last_exp < 1, last_exp, vset1(0));
            for (i = 0; i < full; i += VLEN) {
                vec e = vload(grad + i);
                others += vselect(e < 1, e, vset1(0));
            }
            log_sum = (real)log1p((double)vsum(others));
        } else {
            log_sum = (real)log((double)sum);
        }

        if (!t) {
            const int64_t label = labels[row];
            if (label < 0 || label >= n)
                return (double)NAN;
            for (i = 0; i < full; i += VLEN)
                vstore(grad + i, (vload(grad + i) * share - spread) * factor);
            vstore_n(grad + full, (last_exp * share - spread) * factor, rest);
            grad[label] -= keep * factor;
            loss += weight * (double)(keep * (log_sum - (x[label] - best)));
            if (smoothing != 0)
                for (i = 0; i < n; i++)
                    loss += weight * (double)(spread * (log_sum - (x[i] - best)));
            continue;
        }
        vec target = vload_n(t + full, rest), smooth = TARGET(target);
        ivec ok = target >= 0;
        dvec mass = to_double(target);
        /* What is never asked for costs nothing, even if it is impossible: a logit of -infinity. */
        vec value = smooth * (log_sum - (last - best));
        ivec counts = vfirst(rest) & (smooth > 0);
        dvec cost = to_double(vselect(counts, value, vset1(0)));
        vstore_n(grad + full, (last_exp * share - smooth) * factor, rest);
        for (i = 0; i < full; i += VLEN) {
            target = vload(t + i);
            smooth = TARGET(target);
            ok &= target >= 0;
            mass += to_double(target);
            value = smooth * (log_sum - (vload(x + i) - best));
            cost += to_double(vselect(smooth > 0, value, vset1(0)));
            vstore(grad + i, (vload(grad + i) * share - smooth) * factor);
        }
        if (!all_true(ok) || !(fabs(dsum(&mass) - 1) <= slack))
            return (double)NAN;
        loss += weight * dsum(&cost);
    }
    return loss;
}
