/* The vector type of one target and dtype, and the operations that C's operators lack.
 *
 * + - * / and the comparisons work on vec directly, elementwise; a*b + c becomes one fused
 * multiply-add if the target has one. With VLEN 1 (no vector extensions) vec is plain real. */

#if VBYTES
#define VLEN ((int)(VBYTES / sizeof(real)))
typedef real vec __attribute__((vector_size(VBYTES)));
typedef inte ivec __attribute__((vector_size(VBYTES)));
/* NumPy aligns to 16 bytes at most, and views to less. */
#define vecu NAME(vecu)
typedef real vecu __attribute__((vector_size(VBYTES), aligned(sizeof(real)), may_alias));
#else
#define VLEN 1
typedef real vec;
typedef inte ivec;
#endif

#define vload NAME(vload)
#define vstore NAME(vstore)
#define vset1 NAME(vset1)
#define viset1 NAME(viset1)
#define vfirst NAME(vfirst)
#define lane_numbers NAME(lane_numbers)
#define vload_n NAME(vload_n)
#define vstore_n NAME(vstore_n)
#define vload_fill NAME(vload_fill)
#define vbits NAME(vbits)
#define vfrombits NAME(vfrombits)
#define vselect NAME(vselect)
#define vmax NAME(vmax)
#define vmin NAME(vmin)
#define vsqrt NAME(vsqrt)
#define vabs NAME(vabs)
#define vsum NAME(vsum)
#define vhmax NAME(vhmax)

#if VBYTES

DLFS_INLINE vec vload(const real *p) { return *(const vecu *)p; }
DLFS_INLINE void vstore(real *p, vec v) { *(vecu *)p = v; }
DLFS_INLINE vec vset1(real x) { return x - (vec){0}; }
DLFS_INLINE ivec viset1(inte x) { return x - (ivec){0}; }
/* The same bits as integers, and the reverse. */
DLFS_INLINE ivec vbits(vec v) { return (ivec)v; }
DLFS_INLINE vec vfrombits(ivec v) { return (vec)v; }
/* Elementwise mask ? a : b, mask being the result of a comparison. */
DLFS_INLINE vec vselect(ivec mask, vec a, vec b)
{
#if DLFS_LEVEL == DLFS_AVX512 && DLFS_F64
    return (vec)_mm512_mask_blend_pd(_mm512_movepi64_mask((__m512i)mask), (__m512d)b, (__m512d)a);
#elif DLFS_LEVEL == DLFS_AVX512
    return (vec)_mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)mask), (__m512)b, (__m512)a);
#else
    return (vec)((mask & (ivec)a) | (~mask & (ivec)b));
#endif
}

#else

DLFS_INLINE vec vload(const real *p) { return *p; }
DLFS_INLINE void vstore(real *p, vec v) { *p = v; }
DLFS_INLINE vec vset1(real x) { return x; }
DLFS_INLINE ivec viset1(inte x) { return x; }
DLFS_INLINE ivec vbits(vec v)
{
    ivec i;
    memcpy(&i, &v, sizeof v);
    return i;
}
DLFS_INLINE vec vfrombits(ivec i)
{
    vec v;
    memcpy(&v, &i, sizeof v);
    return v;
}
DLFS_INLINE vec vselect(ivec mask, vec a, vec b) { return mask ? a : b; }

#endif

/* The mask of the first n lanes. */
static const inte lane_numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
DLFS_INLINE ivec vfirst(int n)
{
    ivec lanes;
    memcpy(&lanes, lane_numbers, sizeof lanes);
    return lanes < viset1(n);
}

/* The first n reals (0 <= n <= VLEN); nothing after them is accessed, the other lanes are 0. */
#if DLFS_LEVEL == DLFS_AVX512 && DLFS_F64

DLFS_INLINE vec vload_n(const real *p, int n)
{
    return (vec)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
}
DLFS_INLINE void vstore_n(real *p, vec v, int n)
{
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
}
DLFS_INLINE vec vsqrt(vec v) { return (vec)_mm512_sqrt_pd((__m512d)v); }

#elif DLFS_LEVEL == DLFS_AVX512

DLFS_INLINE vec vload_n(const real *p, int n)
{
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
DLFS_INLINE void vstore_n(real *p, vec v, int n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
DLFS_INLINE vec vsqrt(vec v) { return (vec)_mm512_sqrt_ps((__m512)v); }

#elif DLFS_LEVEL == DLFS_AVX2 && DLFS_F64

DLFS_INLINE vec vload_n(const real *p, int n)
{
    return (vec)_mm256_maskload_pd(p, (__m256i)vfirst(n));
}
DLFS_INLINE void vstore_n(real *p, vec v, int n)
{
    _mm256_maskstore_pd(p, (__m256i)vfirst(n), (__m256d)v);
}
DLFS_INLINE vec vsqrt(vec v) { return (vec)_mm256_sqrt_pd((__m256d)v); }

#elif DLFS_LEVEL == DLFS_AVX2

DLFS_INLINE vec vload_n(const real *p, int n)
{
    return (vec)_mm256_maskload_ps(p, (__m256i)vfirst(n));
}
DLFS_INLINE void vstore_n(real *p, vec v, int n)
{
    _mm256_maskstore_ps(p, (__m256i)vfirst(n), (__m256)v);
}
DLFS_INLINE vec vsqrt(vec v) { return (vec)_mm256_sqrt_ps((__m256)v); }

#else

/* Loops of constant length, with a condition: shorter ones would become calls of memcpy, around
 * which compilers keep sums in memory. */
DLFS_INLINE vec vload_n(const real *p, int n)
{
    real lanes[VLEN] = {0};
    DLFS_UNROLL
    for (int i = 0; i < VLEN; i++)
        if (i < n)
            lanes[i] = p[i];
    return vload(lanes);
}
DLFS_INLINE void vstore_n(real *p, vec v, int n)
{
    real lanes[VLEN];
    vstore(lanes, v);
    DLFS_UNROLL
    for (int i = 0; i < VLEN; i++)
        if (i < n)
            p[i] = lanes[i];
}
DLFS_INLINE vec vsqrt(vec v)
{
    real lanes[VLEN];
    vstore(lanes, v);
    for (int i = 0; i < VLEN; i++)
        lanes[i] = DLFS_F64 ? (real)sqrt((double)lanes[i]) : (real)sqrtf((float)lanes[i]);
    return vload(lanes);
}

#endif

/* a < b ? a : b, elementwise, so a nan gives b: pass a value that may be nan as b. Processors have
 * an instruction with this rule, which compilers do not use by themselves. */
#undef MIN_MAX
#define MIN_MAX(width, suffix, type)                             \
    DLFS_INLINE vec vmax(vec a, vec b)                           \
    {                                                            \
        return (vec)_mm##width##_max_##suffix((type)a, (type)b); \
    }                                                            \
    DLFS_INLINE vec vmin(vec a, vec b) { return (vec)_mm##width##_min_##suffix((type)a, (type)b); }
#if DLFS_LEVEL == DLFS_AVX512 && DLFS_F64
MIN_MAX(512, pd, __m512d)
#elif DLFS_LEVEL == DLFS_AVX512
MIN_MAX(512, ps, __m512)
#elif DLFS_LEVEL == DLFS_AVX2 && DLFS_F64
MIN_MAX(256, pd, __m256d)
#elif DLFS_LEVEL == DLFS_AVX2
MIN_MAX(256, ps, __m256)
#else
DLFS_INLINE vec vmax(vec a, vec b) { return vselect(a > b, a, b); }
DLFS_INLINE vec vmin(vec a, vec b) { return vselect(a < b, a, b); }
#endif

/* As vload_n, with `fill` in the other lanes. */
DLFS_INLINE vec vload_fill(const real *p, int n, real fill)
{
#if DLFS_LEVEL == DLFS_AVX512 && DLFS_F64
    return (vec)_mm512_mask_loadu_pd((__m512d)vset1(fill), (__mmask8)((1u << n) - 1), p);
#elif DLFS_LEVEL == DLFS_AVX512
    return (vec)_mm512_mask_loadu_ps((__m512)vset1(fill), (__mmask16)((1u << n) - 1), p);
#else
    real lanes[VLEN];
    vstore(lanes, vset1(fill));
    DLFS_UNROLL
    for (int i = 0; i < VLEN; i++)
        if (i < n)
            lanes[i] = p[i];
    return vload(lanes);
#endif
}

DLFS_INLINE vec vabs(vec v)
{
    return vfrombits(vbits(v) & viset1((inte)(((uint64_t)1 << (8 * sizeof(real) - 1)) - 1)));
}

/* The sum of the lanes, always in the same order (halves are added to halves). */
DLFS_INLINE real vsum(vec v)
{
    real lanes[VLEN];
    vstore(lanes, v);
    DLFS_UNROLL
    for (int width = VLEN / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            lanes[i] += lanes[i + width];
    return lanes[0];
}

DLFS_INLINE real vhmax(vec v)
{
    real lanes[VLEN];
    vstore(lanes, v);
    DLFS_UNROLL
    for (int width = VLEN / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            lanes[i] = lanes[i + width] > lanes[i] ? lanes[i + width] : lanes[i];
    return lanes[0];
}
