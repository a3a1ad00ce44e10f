/* Dropout and embedding: mostly memory access (included by lookup.h). */

/* A plain loop: compilers vectorize the conversion of the mask well. */
KERNEL(dropout)
{
    const elements_job *job = job_;
    const unsigned char *mask = job->y;
    const real *DLFS_RESTRICT x = job->x, scale = (real)job->parameter;
    real *DLFS_RESTRICT out = job->out;
    for (ptrdiff_t i = begin; i < end; i++)
        out[i] = x[i] * (real)(mask[i] != 0) * scale; /* NumPy's True may be any byte except 0 */
}

/* table[index] += row, one row after another: sums are taken in the order of the batch. */
static void NAME(scatter_add)(const void *rows_, const int64_t *indices, void *table_,
                              ptrdiff_t count, ptrdiff_t n)
{
    for (ptrdiff_t row = 0; row < count; row++) {
        const real *source = (const real *)rows_ + row * n;
        real *target = (real *)table_ + indices[row] * n;
        ptrdiff_t i = 0;
        for (; i + VLEN <= n; i += VLEN)
            vstore(target + i, vload(target + i) + vload(source + i));
        for (; i < n; i++)
            target[i] += source[i];
    }
}
