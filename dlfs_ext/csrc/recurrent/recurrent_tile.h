/* The plain recurrent layer and the LSTM (included by recurrent_tiles.h); see steps_tile.h.
 *
 * The formulas are those of dlfs.reference.recurrent. b is a sequence, t a step, i a unit. */

#define rnn_unit NAME(rnn_unit)
DLFS_INLINE void rnn_unit(ptrdiff_t i, int lanes, ptrdiff_t next, const real *z, const real *sums,
                          real *h, real *state)
{
    DLFS_PREFETCH(z + next + i);
    DLFS_PREFETCH_TO_WRITE(h + next + i);
    vec y = vtanh(load_part(z + i, lanes) + vload(sums + i));
    store_part(h + i, y, lanes);
    vstore(state + i, y);
}

/* Sequences `first` to `last`, at most DLFS_SEQUENCES. */
#define rnn_block NAME(rnn_block)
static void rnn_block(const sequences *s, ptrdiff_t first, ptrdiff_t last, real *own)
{
    const ptrdiff_t n = s->hidden, row = dlfs_row(n), count = last - first;
    real *state = own, *sums = state + count * row;
    copy_rows(count, n, (const real *)s->h0 + first * n, n, state, row);
    for (ptrdiff_t t = 0; t < s->time; t++) {
        multiply_packed(count, n, n, state, row, s->weights, n, 0, sums, row, 0, NULL);
        for (ptrdiff_t b = 0; b < count; b++) {
            ptrdiff_t step = ((first + b) * s->time + t) * n;
            FOR_UNITS(n, rnn_unit, s->time * n, (const real *)s->z + step, sums + b * row,
                      (real *)s->h + step, state + b * row);
        }
    }
}

#define rnn_grad_unit NAME(rnn_grad_unit)
DLFS_INLINE void rnn_grad_unit(ptrdiff_t i, int lanes, ptrdiff_t next, const real *h_grad,
                               const real *carried, const real *h, real *z_grad, real *dz)
{
    DLFS_PREFETCH(h_grad + next + i);
    DLFS_PREFETCH(h + next + i);
    DLFS_PREFETCH_TO_WRITE(z_grad + next + i);
    vec y = load_part(h + i, lanes);
    vec grad = (load_part(h_grad + i, lanes) + vload(carried + i)) * (1 - y * y);
    store_part(z_grad + i, grad, lanes);
    vstore(dz + i, grad);
}

#define rnn_grad_block NAME(rnn_grad_block)
static void rnn_grad_block(const sequences *s, ptrdiff_t first, ptrdiff_t last, real *own)
{
    const ptrdiff_t n = s->hidden, row = dlfs_row(n), count = last - first;
    real *carried = own, *dz = carried + count * row;
    copy_rows(count, n, (const real *)s->h_last_grad + first * n, n, carried, row);
    for (ptrdiff_t t = s->time - 1; t >= 0; t--) {
        for (ptrdiff_t b = 0; b < count; b++) {
            ptrdiff_t r = (first + b) * s->time + t;
            const real *h = (const real *)s->h + r * n;
            FOR_UNITS(n, rnn_grad_unit, s->time * n, (const real *)s->h_grad + r * n,
                      carried + b * row, h, (real *)s->z_grad + r * n, dz + b * row);
        }
        multiply_packed(count, n, n, dz, row, s->weights, n, 0, carried, row, 0, NULL);
    }
    copy_rows(count, n, carried, row, (real *)s->h0_grad + first * n, n);
}

#define lstm_unit NAME(lstm_unit)
DLFS_INLINE void lstm_unit(ptrdiff_t i, int lanes, ptrdiff_t n, ptrdiff_t next, const real *z,
                           const real *sums, const real *c_before, real *gates, real *c, real *h,
                           real *state)
{
    DLFS_UNROLL
    for (int gate = 0; gate < 4; gate++)
        DLFS_PREFETCH(z + 4 * next + gate * n + i);
    DLFS_PREFETCH_TO_WRITE(c + next + i);
    DLFS_PREFETCH_TO_WRITE(h + next + i);
    vec f = vsigmoid(load_part(z + i, lanes) + load_part(sums + i, lanes));
    vec in = vsigmoid(load_part(z + n + i, lanes) + load_part(sums + n + i, lanes));
    vec c_bar = vtanh(load_part(z + 2 * n + i, lanes) + load_part(sums + 2 * n + i, lanes));
    vec o = vsigmoid(load_part(z + 3 * n + i, lanes) + load_part(sums + 3 * n + i, lanes));
    vec cell = f * load_part(c_before + i, lanes) + in * c_bar;
    vec y = o * vtanh(cell);
    store_part(gates + i, f, lanes);
    store_part(gates + n + i, in, lanes);
    store_part(gates + 2 * n + i, c_bar, lanes);
    store_part(gates + 3 * n + i, o, lanes);
    store_part(c + i, cell, lanes);
    store_part(h + i, y, lanes);
    vstore(state + i, y);
}

#define lstm_block NAME(lstm_block)
static void lstm_block(const sequences *s, ptrdiff_t first, ptrdiff_t last, real *own)
{
    const ptrdiff_t n = s->hidden, row = dlfs_row(n), wide = dlfs_row(4 * n);
    const ptrdiff_t count = last - first;
    real *state = own, *sums = state + count * row;
    copy_rows(count, n, (const real *)s->h0 + first * n, n, state, row);
    for (ptrdiff_t t = 0; t < s->time; t++) {
        multiply_packed(count, 4 * n, n, state, row, s->weights, n, 0, sums, wide, 0, NULL);
        for (ptrdiff_t b = 0; b < count; b++) {
            ptrdiff_t r = (first + b) * s->time + t;
            real *c = (real *)s->c + r * n;
            const real *c0 = (const real *)s->c0 + (first + b) * n;
            FOR_UNITS(n, lstm_unit, n, s->time * n, (const real *)s->z + 4 * n * r, sums + b * wide,
                      t ? c - n : c0, (real *)s->gates + (t * s->batch + first + b) * 4 * n, c,
                      (real *)s->h + r * n, state + b * row);
        }
    }
}

#define lstm_grad_unit NAME(lstm_grad_unit)
DLFS_INLINE void lstm_grad_unit(ptrdiff_t i, int lanes, ptrdiff_t n, const real *h_grad,
                                const real *carried, const real *gates, const real *c,
                                const real *c_before, real *c_grad, real *z_grad, real *dz)
{
    vec f = load_part(gates + i, lanes), in = load_part(gates + n + i, lanes);
    vec c_bar = load_part(gates + 2 * n + i, lanes), o = load_part(gates + 3 * n + i, lanes);
    vec squashed = vtanh(load_part(c + i, lanes));
    vec dh = load_part(h_grad + i, lanes) + vload(carried + i);
    vec dc = vload(c_grad + i) + dh * o * (1 - squashed * squashed);
    vec df = dc * load_part(c_before + i, lanes) * f * (1 - f);
    vec di = dc * c_bar * in * (1 - in);
    vec dc_bar = dc * in * (1 - c_bar * c_bar);
    vec d_o = dh * squashed * o * (1 - o);
    vstore(c_grad + i, dc * f);
    store_part(z_grad + i, df, lanes);
    store_part(z_grad + n + i, di, lanes);
    store_part(z_grad + 2 * n + i, dc_bar, lanes);
    store_part(z_grad + 3 * n + i, d_o, lanes);
    store_part(dz + i, df, lanes);
    store_part(dz + n + i, di, lanes);
    store_part(dz + 2 * n + i, dc_bar, lanes);
    store_part(dz + 3 * n + i, d_o, lanes);
}

#define lstm_grad_block NAME(lstm_grad_block)
static void lstm_grad_block(const sequences *s, ptrdiff_t first, ptrdiff_t last, real *own)
{
    const ptrdiff_t n = s->hidden, row = dlfs_row(n), wide = dlfs_row(4 * n);
    const ptrdiff_t count = last - first;
    real *carried = own, *c_grad = carried + count * row, *dz = c_grad + count * row;
    copy_rows(count, n, (const real *)s->h_last_grad + first * n, n, carried, row);
    copy_rows(count, n, (const real *)s->c_last_grad + first * n, n, c_grad, row);
    for (ptrdiff_t t = s->time - 1; t >= 0; t--) {
        for (ptrdiff_t b = 0; b < count; b++) {
            ptrdiff_t r = (first + b) * s->time + t;
            const real *c = (const real *)s->c + r * n;
            const real *c0 = (const real *)s->c0 + (first + b) * n;
            FOR_UNITS(n, lstm_grad_unit, n, (const real *)s->h_grad + r * n, carried + b * row,
                      (const real *)s->gates + (t * s->batch + first + b) * 4 * n, c,
                      t ? c - n : c0, c_grad + b * row, (real *)s->z_grad + 4 * n * r,
                      dz + b * wide);
        }
        multiply_packed(count, n, 4 * n, dz, wide, s->weights, 4 * n, 0, carried, row, 0, NULL);
    }
    copy_rows(count, n, carried, row, (real *)s->h0_grad + first * n, n);
    copy_rows(count, n, c_grad, row, (real *)s->c0_grad + first * n, n);
}

BY_BLOCKS(rnn, 1, 1)
BY_BLOCKS(rnn_grad, 1, 1)
BY_BLOCKS(lstm, 4, 1)
BY_BLOCKS(lstm_grad, 4, 2)
