/* The optimizers' updates: one pass over memory for each parameter (included by optimizers.h).
 *
 * Every array is read and written once, from its end to its beginning: the end of the gradient was
 * written last, and the next forward pass reads the beginning of the parameter first, so both are
 * in the cache: momentum on the dense network's weights takes 10 µs, the cost of reading three
 * arrays and writing two. The constants are doubles, because 1 - 0.999 is a different number in
 * float. */

#define tame NAME(tame)
#define MOST ((real)(DLFS_F64 ? DBL_MAX : FLT_MAX))

/* The gradient, limited to the largest number that can be squared; infinity and nan are kept. */
DLFS_INLINE vec tame(vec g)
{
    const real most = (real)(DLFS_F64 ? 0x1p511 : 0x1p63);
    return vselect(vabs(g) <= MOST, vmax(vset1(-most), vmin(vset1(most), g)), g);
}

/* p is the parameter, g its gradient, s and t the optimizer's memory. */
#undef UPDATE
#define UPDATE(name, settings, body)                                                      \
    DLFS_INLINE void NAME(name##_step)(vec *p_, vec g, vec *s_, vec *t_, const double *c) \
    {                                                                                     \
        vec p = *p_, s = *s_, t = *t_;                                                    \
        settings body *p_ = p, *s_ = s, *t_ = t;                                          \
    }                                                                                     \
    KERNEL(name)                                                                          \
    {                                                                                     \
        const update_job *job = job_;                                                     \
        const double *c = job->constants;                                                 \
        real *param = job->param, *first = job->first, *second = job->second;             \
        const real *grad = job->grad;                                                     \
        vec p, s = vset1(0), t = vset1(0);                                                \
        ptrdiff_t whole = begin + (end - begin) / VLEN * VLEN;                            \
        if (whole < end) {                                                                \
            int rest = (int)(end - whole);                                                \
            p = vload_n(param + whole, rest);                                             \
            if (first)                                                                    \
                s = vload_n(first + whole, rest);                                         \
            if (second)                                                                   \
                t = vload_n(second + whole, rest);                                        \
            NAME(name##_step)(&p, vload_n(grad + whole, rest), &s, &t, c);                \
            vstore_n(param + whole, p, rest);                                             \
            if (first)                                                                    \
                vstore_n(first + whole, s, rest);                                         \
            if (second)                                                                   \
                vstore_n(second + whole, t, rest);                                        \
        }                                                                                 \
        for (ptrdiff_t i = whole - VLEN; i >= begin; i -= VLEN) {                         \
            p = vload(param + i);                                                         \
            if (first)                                                                    \
                s = vload(first + i);                                                     \
            if (second)                                                                   \
                t = vload(second + i);                                                    \
            NAME(name##_step)(&p, vload(grad + i), &s, &t, c);                            \
            vstore(param + i, p);                                                         \
            if (first)                                                                    \
                vstore(first + i, s);                                                     \
            if (second)                                                                   \
                vstore(second + i, t);                                                    \
        }                                                                                 \
    }

UPDATE(sgd, real lr = (real)c[0]; real decay = (real)c[1];,
       p -= lr * (g + decay * p);)

UPDATE(momentum, real lr = (real)c[0]; real share = (real)c[1];,
       s = share * s + lr * g;
       p -= s;)

UPDATE(nesterov, real lr = (real)c[0]; real share = (real)c[1];,
       vec step = lr * g;
       s = share * s + step;
       p -= share * s + step;)

UPDATE(adagrad, real lr = (real)c[0]; real eps = (real)c[1];,
       g = tame(g);
       s = vmin(vset1(MOST), s + (eps + g * g));
       p -= lr * g / vsqrt(s);)

UPDATE(rmsprop, real lr = (real)c[0]; real decay = (real)c[1]; real rest = (real)c[2];
       real eps = (real)c[3];,
       g = tame(g);
       s = decay * s + rest * g * g;
       p -= lr * g / (vsqrt(s) + eps);)

/* c[3] and c[5] are 1 - beta, c[6] and c[7] the corrections 1 / (1 - beta^t): factors, because
 * with three divisions for each number a step in float64 took 1.7 times as long. */
UPDATE(adam, real lr = (real)c[0]; real eps = (real)c[1]; real beta1 = (real)c[2];
       real rest1 = (real)c[3]; real beta2 = (real)c[4]; real rest2 = (real)c[5];
       real start1 = (real)c[6]; real start2 = (real)c[7]; real decay = (real)c[8];,
       g = tame(g);
       s = beta1 * s + rest1 * g;
       t = beta2 * t + rest2 * g * g;
       p -= lr * (s * start1 / (vsqrt(t * start2) + eps) + decay * p);)
