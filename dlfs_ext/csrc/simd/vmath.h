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
#define vwhole NAME(vwhole)
#define vexpm1_near NAME(vexpm1_near)
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

#define SQRT_HALF (real)0.70710678118654752440

#define exp_q NAME(exp_q)
#define log_r NAME(log_r)
#define erfcx_p NAME(erfcx_p)

/* Highest power first. erfcx_p: exp(z^2) erfc(z) (z + CENTRE) / 2 in
 * t = (z - CENTRE) / (z + CENTRE). */
// clang-format off
#if DLFS_F64
static const real exp_q[11] = {
    2.0914686968086877e-9, 2.5105217004720745e-8, 2.7557273643110295e-7, 2.7557255400206424e-6,
    2.4801587325547741e-5, 0.00019841269874820625, 0.0013888888888883748, 0.0083333333333261351,
    0.04166666666666667, 0.16666666666666671, 0.5};
static const real log_r[7] = {
    0.14617807153417325, 0.15331611722055008, 0.18182892432536871, 0.22222211089379496,
    0.28571428626253838, 0.39999999999898891, 0.66666666666666697};
static const real erfcx_p[24] = {
    9.4951723524853892e-10, 3.5312624887202022e-9, -8.9744927703504193e-10,
    -2.3400003472891869e-8, -2.9361697341926656e-8, 6.6578632327241395e-8, 2.1877925274704497e-7,
    -1.8173848809839708e-9, -9.7834658945514514e-7, -1.1664421122729111e-6, 3.3761060191570394e-6,
    9.1222010202913587e-6, -9.7658957242305617e-6, -5.6302401769793738e-5, 2.9153879095335901e-5,
    0.00035134685748491394, -0.00021960413203948353, -0.0024093927610425506,
    0.0041965221511707695, 0.014180775065964587, -0.08562557262302171, 0.22695705832404871,
    -0.40232592471957445, 0.52701591015285895};
#define ERFCX_CENTRE 2.5
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
static const real erfcx_p[10] = {
    -0.000112055405f, -0.000198944635f, 0.000540822535f, 0.00171981225f, -0.00146320159f,
    -0.0113480895f, 0.00811099882f, 0.0896738197f, -0.303528568f, 0.498701412f};
#define ERFCX_CENTRE 1.75f
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

/* n, of which x is n ln 2 + r. */
DLFS_INLINE vec vwhole(vec x) { return (x * (real)1.4426950408889634 + ROUNDER) - ROUNDER; }

/* p(r) = exp(r) - 1. */
DLFS_INLINE vec vexpm1_near(vec r)
{
    return r + (r * r) * vpoly(r, exp_q, sizeof exp_q / sizeof *exp_q);
}

/* The same for the reduced x; *whole is n. */
DLFS_INLINE vec vreduce(vec x, vec *whole)
{
    vec n = vwhole(x);
    *whole = n;
    return vexpm1_near((x - n * LN2_HI) - n * LN2_LO);
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

/* The tail of a standard normal Z, P(Z > |x|), and the density at x, both with a small relative
 * error however far out.
 * The tail is exp(-x^2/2) erfcx(|x|/sqrt(2)) / 2; x^2 is taken in two parts, because an error in
 * the exponent would be multiplied by its size. One division serves erfcx and its argument t, and
 * one polynomial both parts of the square: GELU takes 0.7 of the time that it took with two of
 * each. The centre is where the error is least. */
DLFS_INLINE vec vnormal(vec x, vec *density)
{
    vec a = vmin(vset1(CDF_MAX), vabs(x));
    vec head = vfrombits(vbits(a) & viset1(~(inte)LOW_HALF)), minus_half = head * (real)-0.5;
    vec exponent = head * minus_half, rest = (a - head) * (a * (real)-0.5 + minus_half);
    vec n = vwhole(exponent + rest);
    vec e = 1 + vexpm1_near((exponent - n * LN2_HI) - n * LN2_LO + rest);
    vec inverse = 1 / (a * SQRT_HALF + ERFCX_CENTRE);
    vec t = (a * SQRT_HALF - ERFCX_CENTRE) * inverse;
    vec erfcx = vpoly(t, erfcx_p, sizeof erfcx_p / sizeof *erfcx_p) * inverse; /* half of it */
    *density = vscale((real)0.39894228040143267794 * e, n);
    return vscale(e * erfcx, n);
}

/* x P(Z <= x), which is x - |x| tail for positive x, and -|x| tail for negative ones; nan at
 * -infinity, as in the reference. */
DLFS_INLINE vec vgelu(vec x)
{
    vec density, tail = vnormal(x, &density);
    return vmax(vset1(0), x) - vabs(vmin(vset1(CDF_MAX), x)) * tail;
}

DLFS_INLINE vec vgelu_slope(vec x)
{
    vec density, tail = vnormal(x, &density);
    return vselect(x < 0, tail, 1 - tail) + x * density;
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
