/* Bias and activation, applied to rows of pixels while they are in the cache. For tile headers. */

#define finish NAME(conv_finish)
#define grad_line NAME(conv_grad_line)

#define EACH_PIXEL(result)                              \
    for (int r = 0; r < rows; r++, out += pitch) {      \
        vec b = vset1(bias[r]);                         \
        ptrdiff_t i = 0;                                \
        for (; i + VLEN <= n; i += VLEN) {              \
            vec x = vload(out + i) + b;                 \
            vstore(out + i, result);                    \
        }                                               \
        if (i < n) {                                    \
            vec x = vload_n(out + i, (int)(n - i)) + b; \
            vstore_n(out + i, result, (int)(n - i));    \
        }                                               \
    }

/* activation(out + bias[r]) in place, for `rows` rows of n pixels, `pitch` apart. */
static void finish(real *out, ptrdiff_t pitch, int rows, ptrdiff_t n, const real *bias,
                   int activation)
{
    if (activation == DLFS_SIGMOID)
        EACH_PIXEL(vsigmoid(x))
    else if (activation == DLFS_TANH)
        EACH_PIXEL(vtanh(x))
    else if (activation == DLFS_RELU)
        EACH_PIXEL(vmax(vset1(0), x))
    else
        EACH_PIXEL(x)
}

#define EACH_GRADIENT(result)                                                     \
    {                                                                             \
        ptrdiff_t i = 0;                                                          \
        for (; i + VLEN <= n; i += VLEN) {                                        \
            vec g = vload(grad + i), y = vload(values + i), product = result;     \
            (void)y;                                                              \
            vstore(out + i, product);                                             \
            sum += product;                                                       \
        }                                                                         \
        if (i < n) {                                                              \
            int rest = (int)(n - i); /* the other lanes of g are 0, and stay 0 */ \
            vec g = vload_n(grad + i, rest), y = vload_n(values + i, rest);       \
            vec product = result;                                                 \
            (void)y;                                                              \
            vstore_n(out + i, product, rest);                                     \
            sum += product;                                                       \
        }                                                                         \
    }

/* out = grad * activation', computed from the activation's values; returns the sum of out. */
static real grad_line(const real *grad, const real *values, real *out, ptrdiff_t n, int activation)
{
    vec sum = vset1(0);
    if (activation == DLFS_SIGMOID)
        EACH_GRADIENT(g * y * (1 - y))
    else if (activation == DLFS_TANH)
        EACH_GRADIENT(g * (1 - y * y))
    else if (activation == DLFS_RELU)
        EACH_GRADIENT(g * vselect(y > 0, vset1(1), vset1(0)))
    else
        EACH_GRADIENT(g)
    return vsum(sum);
}
