/* Gated recurrent units (included by recurrent_tiles.h); see steps_tile.h.
 *
 * The formulas are those of dlfs.reference.gru. With the reset gate applied "after" the product, a
 * step is one product; "before" it, the candidate's product must wait for the gate. */

/* u h_(t-1) + (1 - u) h_bar, stored with the gates. */
#define gru_end NAME(gru_end)
DLFS_INLINE void gru_end(ptrdiff_t i, int lanes, ptrdiff_t n, vec u, vec h_bar, vec inner,
                         real *gates, real *h, real *state)
{
    vec y = u * vload(state + i) + (1 - u) * h_bar;
    store_part(gates + n + i, u, lanes);
    store_part(gates + 2 * n + i, h_bar, lanes);
    store_part(gates + 3 * n + i, inner, lanes);
    store_part(h + i, y, lanes);
    vstore(state + i, y);
}

#define after_unit NAME(after_unit)
DLFS_INLINE void after_unit(ptrdiff_t i, int lanes, ptrdiff_t n, ptrdiff_t next, const real *z,
                            const real *sums, real *gates, real *h, real *state)
{
    DLFS_UNROLL
    for (int gate = 0; gate < 3; gate++)
        DLFS_PREFETCH(z + 3 * next + gate * n + i);
    DLFS_PREFETCH_TO_WRITE(h + next + i);
    vec r = vsigmoid(load_part(z + i, lanes) + load_part(sums + i, lanes));
    vec u = vsigmoid(load_part(z + n + i, lanes) + load_part(sums + n + i, lanes));
    vec inner = load_part(sums + 2 * n + i, lanes);
    vec h_bar = vtanh(load_part(z + 2 * n + i, lanes) + r * inner);
    store_part(gates + i, r, lanes);
    gru_end(i, lanes, n, u, h_bar, inner, gates, h, state);
}

#define reset_unit NAME(reset_unit)
DLFS_INLINE void reset_unit(ptrdiff_t i, int lanes, const real *z, const real *sums,
                            const real *state, real *gates, real *reset)
{
    vec r = vsigmoid(load_part(z + i, lanes) + load_part(sums + i, lanes));
    store_part(gates + i, r, lanes);
    vstore(reset + i, r * vload(state + i));
}

#define before_unit NAME(before_unit)
DLFS_INLINE void before_unit(ptrdiff_t i, int lanes, ptrdiff_t n, const real *z, const real *sums,
                             real *gates, real *h, real *state)
{
    vec u = vsigmoid(load_part(z + n + i, lanes) + load_part(sums + n + i, lanes));
    vec h_bar = vtanh(load_part(z + 2 * n + i, lanes) + load_part(sums + 2 * n + i, lanes));
    gru_end(i, lanes, n, u, h_bar, vload(state + i), gates, h, state);
}

#define gru_block NAME(gru_block)
static void gru_block(const sequences *s, ptrdiff_t first, ptrdiff_t last, real *own)
{
    const ptrdiff_t n = s->hidden, row = dlfs_row(n), wide = dlfs_row(3 * n);
    const ptrdiff_t count = last - first;
    real *state = own, *reset = state + count * row, *sums = reset + count * row;
    copy_rows(count, n, (const real *)s->h0 + first * n, n, state, row);
    for (ptrdiff_t t = 0; t < s->time; t++) {
        const real *z = (const real *)s->z + (first * s->time + t) * 3 * n;
        const ptrdiff_t z_row = s->time * 3 * n;
        real *gates = (real *)s->gates + (t * s->batch + first) * 4 * n;
        real *h = (real *)s->h + (first * s->time + t) * n;
        if (s->after) {
            multiply_packed(count, 3 * n, n, state, row, s->weights, n, 0, sums, wide, 0, s->bias);
            for (ptrdiff_t b = 0; b < count; b++)
                FOR_UNITS(n, after_unit, n, s->time * n, z + b * z_row, sums + b * wide,
                          gates + b * 4 * n, h + b * s->time * n, state + b * row);
        } else {
            multiply_packed(count, 2 * n, n, state, row, s->weights, n, 0, sums, wide, 0, NULL);
            for (ptrdiff_t b = 0; b < count; b++)
                FOR_UNITS(n, reset_unit, z + b * z_row, sums + b * wide, state + b * row,
                          gates + b * 4 * n, reset + b * row);
            multiply_packed(count, n, n, reset, row, s->candidate, n, 0, sums + 2 * n, wide, 0,
                            NULL);
            for (ptrdiff_t b = 0; b < count; b++)
                FOR_UNITS(n, before_unit, n, z + b * z_row, sums + b * wide, gates + b * 4 * n,
                          h + b * s->time * n, state + b * row);
        }
    }
}

/* The gradients of u and h_bar; carried is the state's direct share. */
#define gru_grad_unit NAME(gru_grad_unit)
DLFS_INLINE void gru_grad_unit(ptrdiff_t i, int lanes, ptrdiff_t n, const real *h_grad,
                               const real *gates, const real *before, real *carried, real *z_grad,
                               real *dz)
{
    vec u = load_part(gates + n + i, lanes), h_bar = load_part(gates + 2 * n + i, lanes);
    vec dh = load_part(h_grad + i, lanes) + vload(carried + i);
    vec dh_bar = dh * (1 - u) * (1 - h_bar * h_bar);
    vec du = dh * (load_part(before + i, lanes) - h_bar) * u * (1 - u);
    vstore(carried + i, dh * u);
    store_part(z_grad + n + i, du, lanes);
    store_part(z_grad + 2 * n + i, dh_bar, lanes);
    store_part(dz + n + i, du, lanes);
    store_part(dz + 2 * n + i, dh_bar, lanes);
}

#define after_grad_unit NAME(after_grad_unit)
DLFS_INLINE void after_grad_unit(ptrdiff_t i, int lanes, ptrdiff_t n, const real *gates,
                                 real *z_grad, real *dz, real *inner_grad)
{
    vec r = load_part(gates + i, lanes), inner = load_part(gates + 3 * n + i, lanes);
    vec dh_bar = load_part(dz + 2 * n + i, lanes);
    vec dr = dh_bar * inner * r * (1 - r);
    vec dinner = dh_bar * r;
    store_part(z_grad + i, dr, lanes);
    store_part(dz + i, dr, lanes);
    store_part(dz + 2 * n + i, dinner, lanes);
    store_part(inner_grad + i, dinner, lanes);
}

/* reset_grad is the gradient of r * h_(t-1), and becomes r * h_(t-1) itself. */
#define before_grad_unit NAME(before_grad_unit)
DLFS_INLINE void before_grad_unit(ptrdiff_t i, int lanes, const real *gates, const real *before,
                                  real *reset_grad, real *carried, real *z_grad, real *dz)
{
    vec r = load_part(gates + i, lanes), h = load_part(before + i, lanes);
    vec grad = vload(reset_grad + i);
    vec dr = grad * h * r * (1 - r);
    vstore(carried + i, vload(carried + i) + grad * r);
    store_part(z_grad + i, dr, lanes);
    store_part(dz + i, dr, lanes);
    vstore(reset_grad + i, r * h);
}

#define gru_grad_block NAME(gru_grad_block)
static void gru_grad_block(const sequences *s, ptrdiff_t first, ptrdiff_t last, real *own)
{
    const ptrdiff_t n = s->hidden, row = dlfs_row(n), wide = dlfs_row(3 * n);
    const ptrdiff_t count = last - first;
    real *carried = own, *reset = carried + count * row, *dz = reset + count * row;
    copy_rows(count, n, (const real *)s->h_last_grad + first * n, n, carried, row);
    for (ptrdiff_t t = s->time - 1; t >= 0; t--) {
        const real *gates = (const real *)s->gates + (t * s->batch + first) * 4 * n;
        for (ptrdiff_t b = 0; b < count; b++) {
            ptrdiff_t r = (first + b) * s->time + t;
            const real *h = (const real *)s->h + r * n;
            const real *before = t ? h - n : (const real *)s->h0 + (first + b) * n;
            real *z_grad = (real *)s->z_grad + 3 * n * r;
            FOR_UNITS(n, gru_grad_unit, n, (const real *)s->h_grad + r * n, gates + b * 4 * n,
                      before, carried + b * row, z_grad, dz + b * wide);
            if (s->after)
                FOR_UNITS(n, after_grad_unit, n, gates + b * 4 * n, z_grad, dz + b * wide,
                          (real *)s->inner_grad + r * row);
        }
        if (s->after) {
            multiply_packed(count, n, 3 * n, dz, wide, s->weights, 3 * n, 0, carried, row, 1, NULL);
            continue;
        }
        multiply_packed(count, n, n, dz + 2 * n, wide, s->weights, 3 * n, 2 * n, reset, row, 0,
                        NULL);
        for (ptrdiff_t b = 0; b < count; b++) {
            ptrdiff_t r = (first + b) * s->time + t;
            const real *h = (const real *)s->h + r * n;
            const real *before = t ? h - n : (const real *)s->h0 + (first + b) * n;
            FOR_UNITS(n, before_grad_unit, gates + b * 4 * n, before, reset + b * row,
                      carried + b * row, (real *)s->z_grad + 3 * n * r, dz + b * wide);
            memcpy((real *)s->reset_before + r * row, reset + b * row, (size_t)n * sizeof(real));
        }
        multiply_packed(count, n, 2 * n, dz, wide, s->weights, 3 * n, 0, carried, row, 1, NULL);
    }
    copy_rows(count, n, carried, row, (real *)s->h0_grad + first * n, n);
}

BY_BLOCKS(gru, 3, 2)
BY_BLOCKS(gru_grad, 3, 2)
