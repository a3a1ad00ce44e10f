/* Rearranges the lanes of vectors. For tile headers, as vec.h. */

#define vevens NAME(vevens)
#define vodds NAME(vodds)
#define vzip_low NAME(vzip_low)
#define vzip_high NAME(vzip_high)
#define vsums NAME(vsums)
#define vturn NAME(vturn)

/* Numbers below VLEN are lanes of a, the others of b. The compilers' function requires literal lane
 * numbers, so there is one list for each possible VLEN. */
#undef DLFS_LANES
#if DLFS_VECTORS && VBYTES && (defined(__clang__) || __GNUC__ >= 12)
#define DLFS_LANES 1
#else
#define DLFS_LANES 0
#endif

#if !DLFS_LANES

DLFS_INLINE vec vevens(vec a, vec b)
{
    real from[2 * VLEN], to[VLEN];
    vstore(from, a);
    vstore(from + VLEN, b);
    for (int i = 0; i < VLEN; i++)
        to[i] = from[2 * i];
    return vload(to);
}
DLFS_INLINE vec vodds(vec a, vec b)
{
    real from[2 * VLEN], to[VLEN];
    vstore(from, a);
    vstore(from + VLEN, b);
    for (int i = 0; i < VLEN; i++)
        to[i] = from[2 * i + 1];
    return vload(to);
}
DLFS_INLINE vec vzip_low(vec a, vec b)
{
    real first[VLEN], second[VLEN], to[2 * VLEN];
    vstore(first, a);
    vstore(second, b);
    for (int i = 0; i < VLEN; i++) {
        to[2 * i] = first[i];
        to[2 * i + 1] = second[i];
    }
    return vload(to);
}
DLFS_INLINE vec vzip_high(vec a, vec b)
{
    real first[VLEN], second[VLEN], to[2 * VLEN];
    vstore(first, a);
    vstore(second, b);
    for (int i = 0; i < VLEN; i++) {
        to[2 * i] = first[i];
        to[2 * i + 1] = second[i];
    }
    return vload(to + VLEN);
}

#else

#undef EVENS
#undef ODDS
#undef LOW
#undef HIGH
#if VBYTES == 64 && !DLFS_F64
#define EVENS 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODDS 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif VBYTES == 64 || (VBYTES == 32 && !DLFS_F64)
#define EVENS 0, 2, 4, 6, 8, 10, 12, 14
#define ODDS 1, 3, 5, 7, 9, 11, 13, 15
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#elif VBYTES == 32 || (VBYTES == 16 && !DLFS_F64)
#define EVENS 0, 2, 4, 6
#define ODDS 1, 3, 5, 7
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#else
#define EVENS 0, 2
#define ODDS 1, 3
#define LOW 0, 2
#define HIGH 1, 3
#endif

/* Every second of the 2 VLEN lanes of a and b, from lane 0 or from lane 1. */
DLFS_INLINE vec vevens(vec a, vec b) { return __builtin_shufflevector(a, b, EVENS); }
DLFS_INLINE vec vodds(vec a, vec b) { return __builtin_shufflevector(a, b, ODDS); }
/* a[0], b[0], a[1], b[1], ...: the first and the second VLEN lanes of that. */
DLFS_INLINE vec vzip_low(vec a, vec b) { return __builtin_shufflevector(a, b, LOW); }
DLFS_INLINE vec vzip_high(vec a, vec b) { return __builtin_shufflevector(a, b, HIGH); }

#endif

/* Lane i of the result is the sum of the lanes of v[i], for VLEN vectors; v is overwritten.
 * Neighbouring lanes are added, log2(VLEN) times, always in the same order. */
DLFS_INLINE vec vsums(vec *v)
{
    DLFS_UNROLL
    for (int n = VLEN / 2; n > 0; n /= 2) {
        DLFS_UNROLL
        for (int i = 0; i < n; i++)
            v[i] = vevens(v[2 * i], v[2 * i + 1]) + vodds(v[2 * i], v[2 * i + 1]);
    }
    return v[0];
}

/* Transposes VLEN vectors, by log2(VLEN) perfect shuffles. */
DLFS_INLINE void vturn(vec *block)
{
    vec next[VLEN];
    DLFS_UNROLL
    for (int stage = 1; stage < VLEN; stage *= 2) {
        DLFS_UNROLL
        for (int i = 0; i < VLEN / 2; i++) {
            next[2 * i] = vzip_low(block[i], block[i + VLEN / 2]);
            next[2 * i + 1] = vzip_high(block[i], block[i + VLEN / 2]);
        }
        DLFS_UNROLL
        for (int i = 0; i < VLEN; i++)
            block[i] = next[i];
    }
}
