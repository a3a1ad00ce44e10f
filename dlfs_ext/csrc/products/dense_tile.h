/* The dense layer: matrix products, bias and activation (included by dense.h). */

#include "elementwise/features_tile.h"
#include "products/gemm_tile.h"
#include "products/gemm_blocks.h"
#include "products/gemm_narrow.h"
#include "convolution/conv_epilogue.h"
#include "products/pointwise_tile.h"

FEATURE_MAP(bias_linear, x + p)
FEATURE_MAP(bias_sigmoid, vsigmoid(x + p))
FEATURE_MAP(bias_tanh, vtanh(x + p))
FEATURE_MAP(bias_relu, vmax(vset1(0), x + p))
FEATURE_MAP(scale, x * p)

/* Here x is the output gradient and y the output. */
FEATURE_SUM(grad_linear, x)
FEATURE_SUM(grad_sigmoid, x * y * (1 - y))
FEATURE_SUM(grad_tanh, x * (1 - y * y))
FEATURE_SUM(grad_relu, x * vselect(y > 0, vset1(1), vset1(0)))
FEATURE_SUM(grad_product, x * y)

#define ACTIVATE(result)                           \
    do {                                           \
        ptrdiff_t i = 0;                           \
        for (; i + VLEN <= n; i += VLEN) {         \
            vec x = vload(z + i);                  \
            vstore(z + i, result);                 \
        }                                          \
        if (i < n) {                               \
            vec x = vload_n(z + i, (int)(n - i));  \
            vstore_n(z + i, result, (int)(n - i)); \
        }                                          \
    } while (0)

#define activate NAME(activate)
static void activate(real *z, ptrdiff_t n, int activation)
{
    if (activation == DLFS_SIGMOID)
        ACTIVATE(vsigmoid(x));
    else if (activation == DLFS_TANH)
        ACTIVATE(vtanh(x));
    else if (activation == DLFS_RELU)
        ACTIVATE(vmax(vset1(0), x));
}

/* A B + bias, for a part of C, by the method that wastes the fewest lanes. The order of a sum must
 * not depend on how C is split among threads. Dot products have their own order: they are used for
 * narrow C (n is c_row), whose columns are not split, and for the last vector of a row of C,
 * wherever that row is split. */
#define product_of NAME(product_of)
static void product_of(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                       ptrdiff_t a_column, const real *b, ptrdiff_t b_row, ptrdiff_t b_column,
                       real *c, ptrdiff_t c_row, const real *bias, real *panel)
{
    ptrdiff_t whole = n / VLEN * VLEN, vectors = (n + VLEN - 1) / VLEN;
    int rest = (int)(n - whole);
    /* Adding the partial sums, or transposing, takes as long as about ten multiply-adds. */
    if (a_column == 1 && 0 < n && n == c_row && n < 2 * VLEN && 4 * n <= 3 * vectors * VLEN
        && k >= 16 * VLEN) {
        gemm_dots(m, n, k, a, a_row, b, b_row, b_column, c, c_row, bias, panel);
        return;
    }
    int dots = a_column == 1 && 8 * rest <= 5 * VLEN && k >= 16 * VLEN;
    int turned = a_row == 1 && !is_far(n, k, a_row, a_column) && m >= VLEN
                 && k * (VLEN - rest) >= 8 * VLEN;
    if (rest == 0 || !(dots || turned))
        whole = n;
    gemm(m, whole, k, a, a_row, a_column, b, b_row, b_column, c, c_row, 0, bias, panel);
    if (whole == n)
        return;
    b += whole * b_column;
    bias = bias ? bias + whole : NULL;
    if (dots)
        gemm_dots(m, rest, k, a, a_row, b, b_row, b_column, c + whole, c_row, bias, panel);
    else
        gemm_turned(m, rest, k, a, a_column, b, b_row, b_column, c + whole, c_row, bias, panel);
}

SCRATCH(product)
{
    (void)job_;
    return DLFS_PANEL_BYTES;
}

KERNEL(product)
{
    const product_job *job = job_;
    const real *a = job->a, *b = job->b, *bias = job->bias;
    real *c = job->c;
    ptrdiff_t m = job->m, n = job->n;
    if (job->by_columns) {
        b += begin * job->b_column, c += begin, n = end - begin;
        bias = bias ? bias + begin : NULL;
    } else {
        a += begin * job->a_row, c += begin * job->n, m = end - begin;
    }
    product_of(m, n, job->k, a, job->a_row, job->a_column, b, job->b_row, job->b_column, c, job->n,
               bias, scratch);
    /* Here, while C is in the first-level cache. */
    if (job->activation == DLFS_LINEAR)
        return;
    if (n == job->n)
        activate(c, m * n, job->activation);
    else
        for (ptrdiff_t i = 0; i < m; i++)
            activate(c + i * job->n, n, job->activation);
}
