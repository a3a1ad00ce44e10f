/* Batch and layer normalization (included by normalization.h). */

#include "elementwise/features_tile.h"
#include "elementwise/affine_tile.h"

FEATURE_SUM(sum_first, x)
FEATURE_SUM(sum_products, x * y)
FEATURE_SUM(sum_squares, (x - p) * (x - p))

FEATURE_MAP(normalize, (x - p) * q)
/* x: output gradient; y: output; p: its mean; q: mean of its product with y; r: 1 / deviation */
FEATURE_MAP(normalize_grad, r * (x - p - y * q))
FEATURE_MAP(rescale, x * p)

/* means = sums / count. */
static void NAME(divide)(void *sums_, ptrdiff_t n, double count)
{
    real *sums = sums_;
    for (ptrdiff_t i = 0; i < n; i++)
        sums[i] /= (real)count;
}

KERNEL(inverse_deviation)
{
    const elements_job *job = job_;
    const real *var = job->x;
    real *out = job->out;
    for (ptrdiff_t i = begin; i < end; i++) {
        real sum = var[i] + (real)job->parameter;
        out[i] = 1 / (real)sqrt((double)sum);
    }
}

/* Sums over a row: of the last, incomplete vector only the valid lanes count. */
#undef ROW_SUM
#define ROW_SUM(total, term)                                     \
    do {                                                         \
        vec lanes_ = vset1(0);                                   \
        ptrdiff_t i = 0;                                         \
        for (; i + VLEN <= n; i += VLEN)                         \
            lanes_ += term(i, VLEN);                             \
        if (i < n)                                               \
            lanes_ += only(term(i, (int)(n - i)), (int)(n - i)); \
        total = vsum(lanes_);                                    \
    } while (0)

#undef X
#undef SQUARE
#undef CENTRED_SQUARE
#undef G
#undef GY
#define X(i, k) vload_n(x + i, k)
#define CENTRED_SQUARE(i, k) ((vload_n(x + i, k) - mean) * (vload_n(x + i, k) - mean))
#define SQUARE(i, k) (vload_n(x + i, k) * vload_n(x + i, k))
#define G(i, k) vload_n(g + i, k)
#define GY(i, k) (vload_n(g + i, k) * vload_n(y + i, k))

KERNEL(layer_norm)
{
    const rows_job *job = job_;
    ptrdiff_t n = job->n;
    for (ptrdiff_t row = begin; row < end; row++) {
        const real *x = (const real *)job->x + row * n;
        real *out = (real *)job->out + row * n, mean, var;
        ROW_SUM(mean, X);
        mean /= (real)n;
        ROW_SUM(var, CENTRED_SQUARE);
        var = var / (real)n + (real)job->eps;
        real inverse = 1 / (real)sqrt((double)var);
        ((real *)job->inverse)[row] = inverse;
        for (ptrdiff_t i = 0; i < n; i += VLEN) {
            int k = (int)(n - i < VLEN ? n - i : VLEN);
            vstore_n(out + i, (vload_n(x + i, k) - mean) * inverse, k);
        }
    }
}

KERNEL(layer_norm_grad)
{
    const rows_job *job = job_;
    ptrdiff_t n = job->n;
    for (ptrdiff_t row = begin; row < end; row++) {
        const real *g = (const real *)job->x + row * n, *y = (const real *)job->y + row * n;
        real *out = (real *)job->out + row * n, mean, product;
        real inverse = ((const real *)job->inverse)[row];
        ROW_SUM(mean, G);
        mean /= (real)n;
        ROW_SUM(product, GY);
        product /= (real)n;
        for (ptrdiff_t i = 0; i < n; i += VLEN) {
            int k = (int)(n - i < VLEN ? n - i : VLEN);
            vec value = inverse * (vload_n(g + i, k) - mean - vload_n(y + i, k) * product);
            vstore_n(out + i, value, k);
        }
    }
}

KERNEL(rms_norm)
{
    const rows_job *job = job_;
    ptrdiff_t n = job->n;
    for (ptrdiff_t row = begin; row < end; row++) {
        const real *x = (const real *)job->x + row * n;
        real *out = (real *)job->out + row * n, square;
        ROW_SUM(square, SQUARE);
        square = square / (real)n + (real)job->eps;
        real inverse = 1 / (real)sqrt((double)square);
        ((real *)job->inverse)[row] = inverse;
        for (ptrdiff_t i = 0; i < n; i += VLEN) {
            int k = (int)(n - i < VLEN ? n - i : VLEN);
            vstore_n(out + i, vload_n(x + i, k) * inverse, k);
        }
    }
}

KERNEL(rms_norm_grad)
{
    const rows_job *job = job_;
    ptrdiff_t n = job->n;
    for (ptrdiff_t row = begin; row < end; row++) {
        const real *g = (const real *)job->x + row * n, *y = (const real *)job->y + row * n;
        real *out = (real *)job->out + row * n, product;
        real inverse = ((const real *)job->inverse)[row];
        ROW_SUM(product, GY);
        product /= (real)n;
        for (ptrdiff_t i = 0; i < n; i += VLEN) {
            int k = (int)(n - i < VLEN ? n - i : VLEN);
            vec value = inverse * (vload_n(g + i, k) - vload_n(y + i, k) * product);
            vstore_n(out + i, value, k);
        }
    }
}
