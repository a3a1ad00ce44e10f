/* Winograd's F(2x2, 3x3): 3x3 kernels, stride 1, with 16 multiplications for 4 output pixels
 * instead of 36 (Lavin and Gray, 2016). For tile headers.
 *
 * The image is cut into patches of 4x4 pixels, 2 apart. With d a patch, g a kernel and
 *
 *     V = B^T d B    U = G g G^T    M = sum over channels of U * V (elementwise)    Y = A^T M A
 *
 * Y holds the 2x2 output pixels of the patch. For each of the 16 elements strips() computes the sum
 * over channels, with channels as taps and patches as pixels. One element of all patches in a row
 * of the image is a tap of a 4x4 kernel with stride 2 (see conv_geometry.h), so the patches come
 * from the same copies as in the direct algorithm, and the transforms are sums of contiguous
 * vectors. B and A hold only 0 and +-1, G only halves, so little rounding is added.
 *
 * In float32 it takes as long as the direct sums at the machine's peak with 16 channels, where the
 * transforms are a third of the time, and two thirds of that with 64. */

#define patch_rows NAME(conv_patch_rows)
#define row_out NAME(conv_row_out)

/* U[tile of output channels][element][channel][output channel of the tile] */
static void NAME(winograd_pack)(const void *weights_, void *out_, ptrdiff_t in,
                                ptrdiff_t out_channels, const ptrdiff_t *step)
{
    const real *weights = weights_;
    real *out = out_;
    for (ptrdiff_t o = 0; o < out_channels;) {
        int mr = channels_at_once(out_channels - o);
        for (ptrdiff_t c = 0; c < in; c++) {
            for (int r = 0; r < mr; r++) {
                const real *g = weights + c * step[0] + (o + r) * step[1];
                real half[4][3];
                for (int j = 0; j < 3; j++) {
                    real g0 = g[j * step[3]], g1 = g[step[2] + j * step[3]];
                    real g2 = g[2 * step[2] + j * step[3]];
                    half[0][j] = g0;
                    half[1][j] = (g0 + g1 + g2) / 2;
                    half[2][j] = (g0 - g1 + g2) / 2;
                    half[3][j] = g2;
                }
                for (int i = 0; i < 4; i++) {
                    real *to = out + 4 * i * in * mr + c * mr + r;
                    to[0] = half[i][0];
                    to[in * mr] = (half[i][0] + half[i][1] + half[i][2]) / 2;
                    to[2 * in * mr] = (half[i][0] - half[i][1] + half[i][2]) / 2;
                    to[3 * in * mr] = half[i][2];
                }
            }
        }
        out += 16 * in * mr;
        o += mr;
    }
}

/* Patches of a block: images are side by side, each as long as a whole band. */
#define block_pitch NAME(winograd_pitch)
DLFS_INLINE ptrdiff_t block_pitch(const conv_job *job)
{
    ptrdiff_t patches = job->together * job->layout.band * job->layout.window.out_width;
    return (patches + 2 * VLEN - 1) / VLEN * VLEN;
}
/* The distance of elements: not a power of two, or all 16 would use the same set of the cache. */
#define element_pitch NAME(winograd_element_pitch)
DLFS_INLINE ptrdiff_t element_pitch(ptrdiff_t rows, ptrdiff_t pitch)
{
    return conv_round(rows * pitch) / 128 * 128 + 144;
}

static size_t NAME(winograd_scratch)(const conv_job *job)
{
    const conv_layout *l = &job->layout;
    ptrdiff_t pitch = block_pitch(job);
    return (size_t)(conv_round(l->rows * l->pitch) + conv_round(4 * l->copy) + 9 * CONV_SLACK
                    + 16 * element_pitch(l->window.channels, pitch) + 16 * element_pitch(8, pitch))
               * sizeof(real)
           + (size_t)conv_round(l->window.channels) * sizeof(ptrdiff_t);
}

/* V of one channel of one image: B^T d B for all its patches. */
DLFS_INLINE void patch_rows(const real *copies, const ptrdiff_t *offset, ptrdiff_t patches,
                            real *out, ptrdiff_t stride)
{
    for (ptrdiff_t t = 0; t < patches; t += VLEN) {
        vec half[4][4];
        DLFS_UNROLL
        for (int j = 0; j < 4; j++) {
            const real *at = copies + t;
            vec d0 = vload(at + offset[4 * j]), d1 = vload(at + offset[4 * j + 1]);
            vec d2 = vload(at + offset[4 * j + 2]), d3 = vload(at + offset[4 * j + 3]);
            half[0][j] = d0 - d2;
            half[1][j] = d1 + d2;
            half[2][j] = d2 - d1;
            half[3][j] = d1 - d3;
        }
        DLFS_UNROLL
        for (int i = 0; i < 4; i++) {
            real *to = out + 4 * i * stride + t;
            vstore(to, half[i][0] - half[i][2]);
            vstore(to + stride, half[i][1] + half[i][2]);
            vstore(to + 2 * stride, half[i][2] - half[i][1]);
            vstore(to + 3 * stride, half[i][1] - half[i][3]);
        }
    }
}

/* Y = A^T M A for a row of patches: two output rows, the second only if `two`. */
DLFS_INLINE void row_out(const real *m, ptrdiff_t stride, real *out, ptrdiff_t width, int two)
{
    for (ptrdiff_t t = 0; 2 * t < width; t += VLEN) {
        vec top[4], bottom[4];
        DLFS_UNROLL
        for (int j = 0; j < 4; j++) {
            const real *at = m + j * stride + t;
            vec m0 = vload(at), m1 = vload(at + 4 * stride), m2 = vload(at + 8 * stride);
            vec m3 = vload(at + 12 * stride);
            top[j] = m0 + m1 + m2;
            bottom[j] = m1 - m2 - m3;
        }
        vec left = top[0] + top[1] + top[2], right = top[1] - top[2] - top[3];
        for (int row = 0; row <= two; row++) {
            real *to = out + row * width + 2 * t;
            ptrdiff_t rest = width - 2 * t;
            vec low = vzip_low(left, right), high = vzip_high(left, right);
            if (rest >= VLEN)
                vstore(to, low);
            else
                vstore_n(to, low, (int)rest);
            if (rest >= 2 * VLEN)
                vstore(to + VLEN, high);
            else if (rest > VLEN)
                vstore_n(to + VLEN, high, (int)(rest - VLEN));
            left = bottom[0] + bottom[1] + bottom[2];
            right = bottom[1] - bottom[2] - bottom[3];
        }
    }
}

/* The layout's window is that of the patches (4x4, stride 2); job->height and job->width are the
 * output's. A task is job->together images (bands == 1) or one, one group, one band. */
KERNEL(winograd)
{
    const conv_job *job = job_;
    const conv_layout *l = &job->layout;
    const conv_window *w = &l->window;
    ptrdiff_t channels = w->channels, out_channels = job->out_channels, pitch = block_pitch(job);
    ptrdiff_t per_image = l->band * w->out_width;
    ptrdiff_t *offset = scratch;
    real *padded = (real *)(offset + conv_round(channels));
    real *copies = padded + conv_round(l->rows * l->pitch);
    real *patches = copies + conv_round(4 * l->copy) + 9 * CONV_SLACK;
    ptrdiff_t plane = element_pitch(channels, pitch);
    real *sums = patches + 16 * plane;
    for (ptrdiff_t c = 0; c < channels; c++)
        offset[c] = c * pitch;
    clear(padded, l->rows * l->pitch);
    for (ptrdiff_t task = begin; task < end; task++) {
        ptrdiff_t band = task % l->bands, group = task / l->bands % job->groups;
        ptrdiff_t first_image = task / l->bands / job->groups * job->together;
        ptrdiff_t first = band * l->band, height = conv_least(l->band, w->out_height - first);
        ptrdiff_t images = conv_least(job->together, l->batch - first_image);
        for (ptrdiff_t image = 0; image < images; image++) {
            const real *input = (const real *)job->input
                                + ((first_image + image) * job->groups + group) * channels
                                      * w->height * w->width;
            for (ptrdiff_t c = 0; c < channels; c++) {
                copy_channel(l, input + c * w->height * w->width, first, 0, padded, copies);
                patch_rows(copies, l->offset, height * w->out_width,
                           patches + c * pitch + image * per_image, plane);
            }
        }
        const real *weights = (const real *)job->packed + group * 16 * channels * out_channels;
        for (ptrdiff_t o = 0; o < out_channels;) {
            int mr = channels_at_once(out_channels - o);
            ptrdiff_t sums_plane = element_pitch(mr, pitch);
            for (int element = 0; element < 16; element++, weights += mr * channels)
                strips(mr, patches + element * plane, offset, channels, weights,
                       sums + element * sums_plane, pitch,
                       (images - 1) * per_image + height * w->out_width);
            for (ptrdiff_t image = 0; image < images; image++) {
                real *out = (real *)job->output
                            + (((first_image + image) * job->groups + group) * out_channels + o)
                                  * job->height * job->width
                            + 2 * first * job->width;
                for (int r = 0; r < mr; r++, out += job->height * job->width)
                    for (ptrdiff_t y = 0; y < height; y++)
                        row_out(sums + r * pitch + image * per_image + y * w->out_width, sums_plane,
                                out + 2 * y * job->width, job->width,
                                2 * (first + y) + 1 < job->height);
                ptrdiff_t end_row = conv_least(2 * (first + height), job->height);
                if (job->bias)
                    finish(out - mr * job->height * job->width, job->height * job->width, mr,
                           (end_row - 2 * first) * job->width,
                           (const real *)job->bias + group * out_channels + o, job->activation);
            }
            o += mr;
        }
    }
}
