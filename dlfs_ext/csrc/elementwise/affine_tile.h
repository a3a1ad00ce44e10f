/* Normalization with its scale and shift (included by normalization_tile.h).
 *
 * With x_hat = (x - mean) / deviation, forward is gamma x_hat + beta. Backward, with g the gradient
 * of that, beta's gradient is the sum of g, gamma's is the sum of g x_hat, and x gets
 *     (d - mean(d) - x_hat mean(d x_hat)) / deviation,    d = gamma g.
 *
 * x_hat is not stored: backward computes it again from x, which the layer before keeps. It is
 * (x / 2 - mean / 2) (2 / deviation), because x - mean may overflow. */

#define half_off NAME(half_off)
DLFS_INLINE vec half_off(vec x, vec half_mean) { return x * (real)0.5 - half_mean; }

/* Do `body` for the numbers i to i + k - 1 of n: whole vectors, then what is left. */
#define FOR_VECTORS(n, body)                 \
    do {                                     \
        ptrdiff_t i = 0;                     \
        for (; i + VLEN <= (n); i += VLEN) { \
            const int k = VLEN;              \
            body                             \
        }                                    \
        if (i < (n)) {                       \
            const int k = (int)((n) - i);    \
            body                             \
        }                                    \
    } while (0)

/* k is VLEN, which the compiler knows, or less. `only` sets the other lanes to 0. */
#define get NAME(get)
#define put NAME(put)
#define only NAME(only)
DLFS_INLINE vec get(const real *p, int k) { return k == VLEN ? vload(p) : vload_n(p, k); }
DLFS_INLINE vec only(vec v, int k) { return k == VLEN ? v : vselect(vfirst(k), v, vset1(0)); }
DLFS_INLINE void put(real *p, vec v, int k)
{
    if (k == VLEN)
        vstore(p, v);
    else
        vstore_n(p, v, k);
}

/* Batch normalization. A task is a feature: its numbers come into the cache once, for all passes.
 * For 32x64x16x16 that takes 0.36 to 0.39 of the time of the chain's passes over all, forward and
 * backward, and a step of the VGG-like network with batch norm 0.8 of it. If inner is 1, VLEN
 * features are side by side, one per lane; else all lanes have the same. */
#define FOR_FEATURE(body)                                        \
    for (ptrdiff_t row_ = 0; row_ < job->outer; row_++) {        \
        ptrdiff_t at_ = (row_ * job->features + f) * job->inner; \
        FOR_VECTORS(n, ptrdiff_t at = at_ + i; body);            \
    }

#define total_of NAME(total_of)
#define of_feature NAME(of_feature)
DLFS_INLINE vec total_of(vec lanes, ptrdiff_t inner)
{
    return inner == 1 ? lanes : vset1(vsum(lanes));
}
DLFS_INLINE vec of_feature(const real *p, int lanes, ptrdiff_t inner)
{
    return inner == 1 ? vload_n(p, lanes) : vset1(*p);
}

KERNEL(batch_norm_affine)
{
    const affine_job *job = job_;
    const real *x = job->x;
    real *out = job->out, count = (real)(job->outer * job->inner);
    ptrdiff_t inner = job->inner, side = inner == 1 ? VLEN : 1;
    for (ptrdiff_t f = begin; f < end; f += side) {
        int lanes = (int)(end - f < side ? end - f : side);
        ptrdiff_t n = inner == 1 ? lanes : inner;
        vec sum = vset1(0), squares = vset1(0);
        FOR_FEATURE(sum += get(x + at, k););
        vec mean = total_of(sum, inner) / count;
        FOR_FEATURE(vec off = only(get(x + at, k) - mean, k); squares += off * off;);
        vec var = total_of(squares, inner) / count;
        vec inverse = 1 / vsqrt(var + (real)job->eps);
        vec scale = inverse * of_feature((const real *)job->gamma + f, lanes, inner);
        vec shift = of_feature((const real *)job->beta + f, lanes, inner);
        FOR_FEATURE(put(out + at, (get(x + at, k) - mean) * scale + shift, k););
        vstore_n((real *)job->mean + f, mean, lanes);
        vstore_n((real *)job->var + f, var, lanes);
        vstore_n((real *)job->inverse + f, inverse, lanes);
    }
}

KERNEL(batch_norm_affine_grad)
{
    const affine_job *job = job_;
    const real *x = job->x, *grad = job->grad;
    real *out = job->out, count = (real)(job->outer * job->inner);
    ptrdiff_t inner = job->inner, side = inner == 1 ? VLEN : 1;
    for (ptrdiff_t f = begin; f < end; f += side) {
        int lanes = (int)(end - f < side ? end - f : side);
        ptrdiff_t n = inner == 1 ? lanes : inner;
        vec inverse = of_feature((const real *)job->inverse + f, lanes, inner), twice = 2 * inverse;
        vec half_mean = (real)0.5 * of_feature((const real *)job->mean + f, lanes, inner);
        vec scale = inverse * of_feature((const real *)job->gamma + f, lanes, inner);
        vec sum = vset1(0), products = vset1(0);
        FOR_FEATURE(vec g = get(grad + at, k); sum += g;
                    products += g * (half_off(get(x + at, k), half_mean) * twice););
        sum = total_of(sum, inner), products = total_of(products, inner);
        vec mean_grad = sum / count, mean_product = products / count;
        FOR_FEATURE(
            vec x_hat = half_off(get(x + at, k), half_mean) * twice;
            put(out + at, scale * (get(grad + at, k) - mean_grad - x_hat * mean_product), k););
        vstore_n((real *)job->gamma_grad + f, products, lanes);
        vstore_n((real *)job->beta_grad + f, sum, lanes);
    }
}

/* Layer normalization; a task is a row. */
KERNEL(layer_norm_affine)
{
    const affine_job *job = job_;
    const real *gamma = job->gamma, *beta = job->beta;
    ptrdiff_t n = job->features;
    for (ptrdiff_t row = begin; row < end; row++) {
        const real *x = (const real *)job->x + row * n;
        real *out = (real *)job->out + row * n;
        vec sum = vset1(0), squares = vset1(0);
        FOR_VECTORS(n, sum += get(x + i, k););
        real mean = vsum(sum) / (real)n;
        FOR_VECTORS(n, vec off = only(get(x + i, k) - mean, k); squares += off * off;);
        real var = vsum(squares) / (real)n + (real)job->eps;
        real inverse = 1 / (real)sqrt((double)var);
        FOR_VECTORS(n, vec x_hat = (get(x + i, k) - mean) * inverse;
                    put(out + i, x_hat * get(gamma + i, k) + get(beta + i, k), k););
        ((real *)job->mean)[row] = mean;
        ((real *)job->inverse)[row] = inverse;
    }
}

/* A task is DLFS_ROWS_TOGETHER rows (the last has the rest), which sum their shares of gamma's and
 * beta's gradients into a row of gamma_grad and beta_grad. So the order of the sums does not
 * depend on the number of threads, and x and g are read from memory once. 2,048x128 take 0.4 to
 * 0.5 of the time of the chain's passes, and a GPT's step 0.94 of it. */
KERNEL(layer_norm_affine_grad)
{
    const affine_job *job = job_;
    const real *gamma = job->gamma;
    ptrdiff_t n = job->features;
    for (ptrdiff_t task = begin; task < end; task++) {
        real *gammas = (real *)job->gamma_grad + task * n;
        real *betas = (real *)job->beta_grad + task * n;
        ptrdiff_t row = task * DLFS_ROWS_TOGETHER, stop = row + DLFS_ROWS_TOGETHER;
        memset(gammas, 0, (size_t)n * sizeof(real));
        memset(betas, 0, (size_t)n * sizeof(real));
        for (stop = stop < job->outer ? stop : job->outer; row < stop; row++) {
            const real *x = (const real *)job->x + row * n;
            const real *grad = (const real *)job->grad + row * n;
            real *out = (real *)job->out + row * n;
            real inverse = ((const real *)job->inverse)[row];
            vec half_mean = vset1((real)0.5 * ((const real *)job->mean)[row]);
            vec twice = vset1(2 * inverse), sum = vset1(0), products = vset1(0);
            FOR_VECTORS(n, vec d = get(grad + i, k) * get(gamma + i, k); sum += d;
                        products += d * (half_off(get(x + i, k), half_mean) * twice););
            real mean = vsum(sum) / (real)n, product = vsum(products) / (real)n;
            FOR_VECTORS(n, vec x_hat = half_off(get(x + i, k), half_mean) * twice;
                        vec g = get(grad + i, k);
                        put(out + i, inverse * (g * get(gamma + i, k) - mean - x_hat * product), k);
                        put(gammas + i, get(gammas + i, k) + g * x_hat, k);
                        put(betas + i, get(betas + i, k) + g, k););
        }
    }
}
