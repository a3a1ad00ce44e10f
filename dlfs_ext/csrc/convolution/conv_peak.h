/* The machine's peak speed, for comparison. For tile headers. */

/* 24 independent chains of multiply-adds on registers only (12 with 16 registers). */
static double NAME(multiply_adds)(ptrdiff_t rounds)
{
    enum { CHAINS = VREGS >= 32 ? 24 : 12 };
    vec sum[CHAINS];
    vec x = vset1((real)1e-3), y = vset1((real)1e-3);
    DLFS_UNROLL
    for (int i = 0; i < CHAINS; i++)
        sum[i] = vset1((real)i);
    for (ptrdiff_t n = 0; n < rounds; n++) {
        DLFS_UNROLL
        for (int i = 0; i < CHAINS; i++)
            sum[i] += x * y;
        /* Otherwise the compiler moves the product out of the loop. */
#if DLFS_X86
        __asm__ volatile("" : "+x"(x), "+x"(y));
#elif DLFS_VECTORS && defined(__aarch64__)
        __asm__ volatile("" : "+w"(x), "+w"(y));
#endif
    }
    vec total = vset1(0);
    for (int i = 0; i < CHAINS; i++)
        total += sum[i];
    return (double)vsum(total) * 0 + 2.0 * CHAINS * VLEN * (double)rounds;
}
