/* Elementwise activations and their gradients over n contiguous numbers.
 *
 * The last, incomplete vector uses the same instructions as the others, so a result does not
 * depend on its position in the array, nor on how threads split it. */

#include "simd/vmath.h"

#undef UNARY
#undef BINARY
#define UNARY(name, result)                                                    \
    DLFS_INLINE vec NAME(name##_of)(vec x, real a)                             \
    {                                                                          \
        (void)a;                                                               \
        return result;                                                         \
    }                                                                          \
    KERNEL(name)                                                               \
    {                                                                          \
        const elements_job *job = job_;                                        \
        const real *x = job->x;                                                \
        real *out = job->out, a = (real)job->parameter;                        \
        ptrdiff_t i = begin;                                                   \
        for (; i + VLEN <= end; i += VLEN)                                     \
            vstore(out + i, NAME(name##_of)(vload(x + i), a));                 \
        if (i < end) {                                                         \
            int rest = (int)(end - i);                                         \
            vstore_n(out + i, NAME(name##_of)(vload_n(x + i, rest), a), rest); \
        }                                                                      \
    }

/* g is the output gradient; y is the output or the input, as in the reference. */
#define BINARY(name, result)                                                            \
    DLFS_INLINE vec NAME(name##_of)(vec g, vec y, real a)                               \
    {                                                                                   \
        (void)a;                                                                        \
        return result;                                                                  \
    }                                                                                   \
    KERNEL(name)                                                                        \
    {                                                                                   \
        const elements_job *job = job_;                                                 \
        const real *g = job->x, *y = job->y;                                            \
        real *out = job->out, a = (real)job->parameter;                                 \
        ptrdiff_t i = begin;                                                            \
        for (; i + VLEN <= end; i += VLEN)                                              \
            vstore(out + i, NAME(name##_of)(vload(g + i), vload(y + i), a));            \
        if (i < end) {                                                                  \
            int rest = (int)(end - i);                                                  \
            vec value = NAME(name##_of)(vload_n(g + i, rest), vload_n(y + i, rest), a); \
            vstore_n(out + i, value, rest);                                             \
        }                                                                               \
    }

UNARY(sigmoid, vsigmoid(x))
UNARY(tanh, vtanh(x))
UNARY(relu, vmax(vset1(0), x)) /* a nan stays */
UNARY(leaky_relu, vselect(x > 0, x, a * x))
UNARY(elu, vselect(x > 0, x, a * vexpm1_neg(vmin(vset1(0), x))))
UNARY(gelu, vgelu(x))
UNARY(gelu_tanh, vgelu_tanh(x))
UNARY(silu, x * vsigmoid(x))
UNARY(softplus, vsoftplus(x))
UNARY(exp, vexp(x)) /* for the tests of vmath.h */

BINARY(sigmoid_grad, g * y * (1 - y))
BINARY(tanh_grad, g * (1 - y * y))
BINARY(relu_grad, g * vselect(y > 0, vset1(1), vset1(0)))
BINARY(leaky_relu_grad, vselect(y > 0, g, a * g))
BINARY(elu_grad, g * vselect(y > 0, vset1(1), a * vexp(vmin(vset1(0), y))))
BINARY(gelu_grad, g * vgelu_slope(y))
BINARY(gelu_tanh_grad, g * vgelu_tanh_slope(y))
BINARY(silu_grad, g * vsilu_slope(y))
BINARY(softplus_grad, g * vsigmoid(y))

/* Rows of n numbers each: softmax and its gradient. Two chains of maxima, because one would wait
 * for each maximum in turn; and one division for a row, not for each number. With 256 numbers a row
 * takes 0.45 of the time in float32, 0.6 in float64. */
#define softmax_row NAME(softmax_row)
DLFS_INLINE void softmax_row(const real *x, real *out, ptrdiff_t n)
{
    /* The last vector is padded with -infinity, which is never the maximum and whose exp is 0. */
    ptrdiff_t i = 0, full = (n - 1) / VLEN * VLEN;
    int rest = (int)(n - full);
    vec last = vload_fill(x + full, rest, -INFINITY), best_lanes = last, others = last;
    for (; i + 2 * VLEN <= full; i += 2 * VLEN) {
        best_lanes = vmax(best_lanes, vload(x + i));
        others = vmax(others, vload(x + i + VLEN));
    }
    if (i < full)
        best_lanes = vmax(best_lanes, vload(x + i));
    best_lanes = vmax(best_lanes, others);
    real best = vhmax(best_lanes);
    last = vexp_neg(last - best);
    vec sum_lanes = last;
    for (i = 0; i < full; i += VLEN) {
        vec e = vexp_neg(vload(x + i) - best);
        vstore(out + i, e);
        sum_lanes += e;
    }
    real share = 1 / vsum(sum_lanes);
    for (i = 0; i < full; i += VLEN)
        vstore(out + i, vload(out + i) * share);
    vstore_n(out + full, last * share, rest);
}

KERNEL(softmax)
{
    const rows_job *job = job_;
    for (ptrdiff_t row = begin; row < end; row++)
        softmax_row((const real *)job->x + row * job->n, (real *)job->out + row * job->n, job->n);
}

KERNEL(softmax_grad)
{
    const rows_job *job = job_;
    ptrdiff_t n = job->n;
    for (ptrdiff_t row = begin; row < end; row++) {
        const real *g = (const real *)job->x + row * n, *y = (const real *)job->y + row * n;
        real *out = (real *)job->out + row * n;
        vec lanes = vset1(0);
        ptrdiff_t i = 0;
        for (; i + VLEN <= n; i += VLEN)
            lanes += vload(g + i) * vload(y + i);
        if (i < n)
            lanes += vload_n(g + i, (int)(n - i)) * vload_n(y + i, (int)(n - i));
        real dot = vsum(lanes);
        for (i = 0; i + VLEN <= n; i += VLEN)
            vstore(out + i, vload(y + i) * (vload(g + i) - dot));
        if (i < n) {
            int rest = (int)(n - i);
            vstore_n(out + i, vload_n(y + i, rest) * (vload_n(g + i, rest) - dot), rest);
        }
    }
}
