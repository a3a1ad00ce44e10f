/* The shifted copies of conv_geometry.h. For tile headers. */

#define copy_row NAME(conv_copy_row)
#define copy_channel NAME(conv_copy_channel)
#define clear NAME(conv_clear)

DLFS_INLINE void clear(real *at, ptrdiff_t n) { memset(at, 0, (size_t)n * sizeof(real)); }

/* to[p] = from[p * step] for p < n. Writes whole vectors, and so up to VLEN - 1 reals more, unless
 * `exact`; reads whole vectors always. */
DLFS_INLINE void copy_row(const real *from, real *to, ptrdiff_t n, ptrdiff_t step, int exact)
{
    if (step > 2 || (step == 2 && VLEN == 1)) {
        for (ptrdiff_t p = 0; p < n; p++)
            to[p] = from[p * step];
        return;
    }
    for (ptrdiff_t p = 0; p < n; p += VLEN) {
        vec v = step == 1 ? vload(from + p)
                          : vevens(vload(from + 2 * p), vload(from + 2 * p + VLEN));
        if (exact && n - p < VLEN)
            vstore_n(to + p, v, (int)(n - p));
        else
            vstore(to + p, v);
    }
}

/* Copies one channel of one image, for the band that begins at output row `first`.
 * `padded` holds l->rows rows of l->pitch reals, whose ends are already zero; `copies` is the start
 * of the channel's first copy, for image number `image` of the block. */
static void copy_channel(const conv_layout *l, const real *pixels, ptrdiff_t first, ptrdiff_t image,
                         real *padded, real *copies)
{
    const conv_window *w = &l->window;
    ptrdiff_t skip = conv_most(0, -w->left), begin = conv_most(0, w->left);
    ptrdiff_t room = l->pitch - 2 * CONV_SLACK;
    ptrdiff_t count = conv_least(w->width - skip, room - begin);
    for (ptrdiff_t r = 0; r < l->rows; r++) {
        ptrdiff_t row = l->source[r] + first * w->stride_h - w->top;
        real *to = padded + r * l->pitch;
        if (row < 0 || row >= w->height) {
            clear(to, l->pitch);
            continue;
        }
        const real *from = pixels + row * w->width + skip;
        ptrdiff_t p = 0;
        for (; p + VLEN <= count; p += VLEN) {
            /* Prefetch the next channel while this one is copied. */
            DLFS_PREFETCH(from + p + w->height * w->width);
            vstore(to + begin + p, vload(from + p));
        }
        if (p < count) { /* the other lanes are zero, as the end of the row must be */
            DLFS_PREFETCH(from + p + w->height * w->width);
            vstore(to + begin + p, vload_n(from + p, (int)(count - p)));
        }
    }
    copies += image * l->band * w->out_width;
    int exact = l->images > 1; /* the next image's copy may already be there */
    for (ptrdiff_t j = 0; j < w->kernel_w; j++, copies += l->copy) {
        const real *from = padded + j * w->dilation_w;
        for (ptrdiff_t r = 0; r < l->rows; r++, from += l->pitch) {
            real *to = copies + l->target[r];
            if (exact)
                copy_row(from, to, w->out_width, w->stride_w, 1);
            else if (w->stride_w == 1)
                copy_row(from, to, w->out_width, 1, 0);
            else
                copy_row(from, to, w->out_width, w->stride_w, 0);
        }
    }
}
