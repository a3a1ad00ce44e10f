/* exp, tanh and their relatives on vectors (included by tile headers; see simd.h).
 *
 * Error below 2 units in the last place for exp, below 4 for the others, over the whole range; nan
 * stays nan, infinities give the limits, results too small for the dtype are denormal, then 0.
 *
 * All of them reduce to one polynomial: with x = n ln 2 + r, n whole and |r| <= ln(2)/2,
 *     exp(x) = 2^n (1 + p(r)),    p(r) = r + r^2 q(r).
 * The polynomials interpolate at Chebyshev points; their own error is below a fourth of a unit.
 */

#define vpoly NAME(vpoly)
#define vreduce NAME(vreduce)
#define vpow2 NAME(vpow2)
#define vscale NAME(vscale)
#define vexp NAME(vexp)
#define vexp_neg NAME(vexp_neg)
#define vexpm1_neg NAME(vexpm1_neg)
#define vexpm1_pos NAME(vexpm1_pos)
#define vtanh NAME(vtanh)
#define vsigmoid NAME(vsigmoid)
#define vlog1p01 NAME(vlog1p01)
#define vsoftplus NAME(vsoftplus)
#define vnormal NAME(vnormal)
#define vgelu NAME(vgelu)
#define vgelu_slope NAME(vgelu_slope)
#define vgelu_tanh NAME(vgelu_tanh)
#define vgelu_tanh_slope NAME(vgelu_tanh_slope)
#define vsilu_slope NAME(vsilu_slope)
#define vcopysign NAME(vcopysign)

#undef MANTISSA
#undef EXPONENT_BIAS
#undef ROUNDER
#undef LN2_HI
#undef LN2_LO
#undef EXP_MIN
#undef EXP_MAX
#undef EXPM1_MIN
#undef TANH_MAX
#undef ERFCX_CENTRE
#undef CDF_MAX
#undef LOW_HALF

#define exp_q NAME(exp_q)
#define log_r NAME(log_r)
#define erfcx_p NAME(erfcx_p)

/* Highest power first. erfcx_p: exp(z^2) erfc(z) (1 + 2 z) in t = (z - CENTRE) / (z + CENTRE). */
// clang-format off
#if DLFS_F64
static const real exp_q[11] = {
    2.0914686968086877e-9, 2.5105217004720745e-8, 2.7557273643110295e-7, 2.7557255400206424e-6,
    2.4801587325547741e-5, 0.00019841269874820625, 0.0013888888888883748, 0.0083333333333261351,
    0.04166666666666667, 0.16666666666666671, 0.5};
static const real log_r[7] = {
    0.14617807153417325, 0.15331611722055008, 0.18182892432536871, 0.22222211089379496,
    0.28571428626253838, 0.39999999999898891, 0.66666666666666697};
static const real erfcx_p[23] = {
    -1.8206098680308683e-9, -1.3670989863347382e-8, -7.7154186144178301e-9,
    1.1534943745754157e-7, 6.2707271571983109e-8, -8.3516196886968471e-7, 3.0135049944875395e-7,
    5.7178872846321852e-6, -1.1224789135154701e-5, -2.4403169244974075e-5,
    0.00015062224394830299, -0.00019925550755614952, -0.00075777334141333004,
    0.0050319697558954261, -0.016197734059115007, 0.037167515562492866, -0.066330365811529384,
    0.093732834996794116, -0.10103906603635213, 0.068097054254737324, 0.015379652102620741,
    -0.13962111684056289, 1.2329951186255525};
#define ERFCX_CENTRE 4.0
#define MANTISSA 52
#define EXPONENT_BIAS 1023
#define ROUNDER 0x1.8p52 /* adding it rounds to a whole number, left in the lowest bits */
#define LN2_HI 6.93147180369123816490e-01 /* n LN2_HI is exact for every n that occurs */
#define LN2_LO 1.90821492927058770002e-10
#define EXP_MIN -746.0 /* exp is 0 below it, infinite above EXP_MAX */
#define EXP_MAX 710.0
#define EXPM1_MIN -40.0 /* below it exp(x) - 1 is -1 */
#define TANH_MAX 20.0   /* tanh is 1 above it */
#define CDF_MAX 39.0    /* the normal distribution has no mass beyond it */
#define LOW_HALF 0x7ffffff
#else
static const real exp_q[6] = {0.000198909908f, 0.001393365f, 0.00833331093f,
                              0.0416664649f,   0.166666667f, 0.500000001f};
static const real log_r[4] = {0.233316145f, 0.285507786f, 0.400001222f, 0.666666666f};
static const real erfcx_p[11] = {
    -0.000273595999f, -0.000788120753f, 0.00200177123f, 0.00257685652f, -0.0237946645f,
    0.0682930291f, -0.119271919f, 0.129646715f, -0.0475623182f, -0.135621149f, 1.25300806f};
#define ERFCX_CENTRE 3.0f
#define MANTISSA 23
#define EXPONENT_BIAS 127
#define ROUNDER 0x1.8p23f
#define LN2_HI 0.693359375f
#define LN2_LO -2.12194440e-4f
#define EXP_MIN -104.0f
#define EXP_MAX 89.0f
#define EXPM1_MIN -20.0f
#define TANH_MAX 10.0f
#define CDF_MAX 14.5f
#define LOW_HALF 0xfff
#endif
// clang-format on

DLFS_INLINE vec vpoly(vec x, const real *coefficients, const int n)
{
    vec p = vset1(coefficients[0]);
    DLFS_UNROLL
    for (int i = 1; i < n; i++)
        p = p * x + coefficients[i];
    return p;
}

/* p(r) = exp(r) - 1 for the reduced x; *whole is n. */
DLFS_INLINE vec vreduce(vec x, vec *whole)
{
    vec n = (x * (real)1.4426950408889634 + ROUNDER) - ROUNDER;
    vec r = (x - n * LN2_HI) - n * LN2_LO;
    *whole = n;
    return r + (r * r) * vpoly(r, exp_q, sizeof exp_q / sizeof *exp_q);
}

/* 2^n for a whole n of a normal result. */
DLFS_INLINE vec vpow2(vec n)
{
    ivec k = vbits(n + (real)(ROUNDER + EXPONENT_BIAS));
    return vfrombits(k << MANTISSA);
}

/* x 2^n for any n: in two steps, each of them representable. */
DLFS_INLINE vec vscale(vec x, vec n)
{
#if DLFS_LEVEL == DLFS_AVX512 && DLFS_F64
    return (vec)_mm512_scalef_pd((__m512d)x, (__m512d)n);
#elif DLFS_LEVEL == DLFS_AVX512
    return (vec)_mm512_scalef_ps((__m512)x, (__m512)n);
#else
    vec half = (n * (real)0.5 + ROUNDER) - ROUNDER;
    return x * vpow2(half) * vpow2(n - half);
#endif
}

DLFS_INLINE vec vexp(vec x)
{
    vec n, p = vreduce(vmax(vset1(EXP_MIN), vmin(vset1(EXP_MAX), x)), &n);
    return vscale(p + 1, n);
}

/* The same for x <= 0, which cannot overflow. */
DLFS_INLINE vec vexp_neg(vec x)
{
    vec n, p = vreduce(vmax(vset1(EXP_MIN), x), &n);
    return vscale(p + 1, n);
}

/* exp(x) - 1 without cancellation, for x <= 0. */
DLFS_INLINE vec vexpm1_neg(vec x)
{
    vec n, p = vreduce(vmax(vset1(EXPM1_MIN), x), &n);
    vec power = vpow2(n);
    return power * p + (power - 1);
}

/* The same for 0 <= x <= 2 TANH_MAX. */
DLFS_INLINE vec vexpm1_pos(vec x)
{
    vec n, p = vreduce(x, &n);
    vec power = vpow2(n);
    return power * p + (power - 1);
}

/* The magnitude of x (which must not be negative) with the sign of y. */
DLFS_INLINE vec vcopysign(vec x, vec y)
{
    ivec sign = viset1((inte)((uint64_t)1 << (8 * sizeof(real) - 1)));
    return vfrombits(vbits(x) | (vbits(y) & sign));
}

/* (e - 1) / (e + 1) with e = exp(2 |x|), computed from e - 1 to avoid cancellation. */
DLFS_INLINE vec vtanh(vec x)
{
    vec magnitude = vmin(vset1(TANH_MAX), vabs(x));
    vec m = vexpm1_pos(magnitude + magnitude);
    return vcopysign(m / (m + 2), x);
}

/* Uses only exp of a negative number, which cannot overflow. */
DLFS_INLINE vec vsigmoid(vec x)
{
    vec e = vexp_neg(-vabs(x));
    return vselect(x < 0, e, vset1(1)) / (1 + e);
}

/* log(1 + u) for 0 <= u <= 1: above sqrt(2), one halving. */
DLFS_INLINE vec vlog1p01(vec u)
{
    ivec large = u > (real)0.41421356;
    vec f = vselect(large, (u - 1) * (real)0.5, u);
    vec s = f / (2 + f);
    vec z = s * s;
    vec odd = s * z * vpoly(z, log_r, sizeof log_r / sizeof *log_r);
    vec one = vselect(large, vset1(1), vset1(0));
    return one * LN2_HI + ((s + s) + (odd + one * LN2_LO));
}

DLFS_INLINE vec vsoftplus(vec x) { return vmax(vset1(0), x) + vlog1p01(vexp_neg(-vabs(x))); }

/* The derivative of x s, s = sigmoid(x): s + x s (1 - s). 1 - s is sigmoid(-x), of which nothing
 * cancels; one of the two is `likely`, the other `unlikely`. */
DLFS_INLINE vec vsilu_slope(vec x)
{
    vec e = vexp_neg(-vabs(x)), likely = 1 / (1 + e), unlikely = e * likely;
    return vselect(x < 0, unlikely, likely) + x * (likely * unlikely);
}

/* P(Z <= x) for a standard normal Z, with a small relative error in the left tail too; and the
 * density there, with one as small.
 * The tail is exp(-x^2/2) erfcx(|x|/sqrt(2)) / 2; x^2 is taken in two parts, because an error in
 * the exponent would be multiplied by its size. */
DLFS_INLINE vec vnormal(vec x, vec *density)
{
    vec a = vmin(vset1(CDF_MAX), vabs(x));
    vec head = vfrombits(vbits(a) & viset1(~(inte)LOW_HALF));
    vec rest = (a - head) * (a + head) * (real)-0.5;
    vec n, p = vreduce(head * head * (real)-0.5, &n);
    vec correction = rest + rest * rest * vpoly(rest, exp_q, sizeof exp_q / sizeof *exp_q);
    vec e = p + 1;
    e = e + e * correction;
    vec z = a * (real)0.70710678118654752440;
    vec t = (z - ERFCX_CENTRE) / (z + ERFCX_CENTRE);
    vec erfcx = vpoly(t, erfcx_p, sizeof erfcx_p / sizeof *erfcx_p) / (1 + (z + z));
    vec tail = vscale((real)0.5 * e * erfcx, n);
    *density = vscale((real)0.39894228040143267794 * e, n);
    return vselect(x < 0, tail, 1 - tail);
}

DLFS_INLINE vec vgelu(vec x)
{
    vec density;
    return x * vnormal(x, &density);
}

DLFS_INLINE vec vgelu_slope(vec x)
{
    vec density, below = vnormal(x, &density);
    return below + x * density;
}

/* x sigmoid(z), z = x (a + b x^2), which is x (1 + tanh(z / 2)) / 2; beyond 40 the sigmoid is 0 or
 * 1, and the square could overflow. */
#undef GELU_LINEAR
#undef GELU_CUBIC
#undef GELU_NEAR
#define GELU_LINEAR (real)1.5957691216057308
#define GELU_CUBIC (real)0.071354816272600253
#define GELU_NEAR 40

DLFS_INLINE vec vgelu_tanh(vec x)
{
    vec near = vmax(vset1(-GELU_NEAR), vmin(vset1(GELU_NEAR), x));
    return x * vsigmoid(near * (GELU_LINEAR + GELU_CUBIC * (near * near)));
}

DLFS_INLINE vec vgelu_tanh_slope(vec x)
{
    vec near = vmax(vset1(-GELU_NEAR), vmin(vset1(GELU_NEAR), x));
    vec squared = near * near, z = near * (GELU_LINEAR + GELU_CUBIC * squared);
    vec e = vexp_neg(-vabs(z)), likely = 1 / (1 + e), unlikely = e * likely;
    vec slope = GELU_LINEAR + 3 * GELU_CUBIC * squared;
    return vselect(z < 0, unlikely, likely) + near * (likely * unlikely) * slope;
}
