/* Images with the channels last: what the forward pass and the weight gradient share. For tile
 * headers.
 *
 * Vectors hold neighbouring channels of one pixel, not neighbouring pixels of one channel. So no
 * lane is lost where rows are short (images of 4x4 pixels, strides, dilation), and Winograd's
 * transforms add whole vectors. The price is that images are turned on the way in and results on
 * the way out: VLEN channels of VLEN pixels at a time, by log2(VLEN) perfect shuffles.
 *
 * Work is done for blocks of "points": output pixels or, in Winograd's algorithm, patches. A block
 * is a band of rows of points of one image, or several small images. Channels are divided into
 * strips of at most LAST_WIDE vectors. A tile of LAST_ROWS rows by one strip is summed in
 * registers.
 *
 * Winograd's F(2x2, 3x3) is for 3x3 kernels with stride 1: 16 multiplications for 4 output pixels
 * instead of 36 (Lavin and Gray, 2016). The image is cut into patches of 4x4 pixels, 2 apart: the
 * layout's window is that of the patches, 4x4 with stride 2. With d a patch and g a kernel
 *
 *     V = B^T d B    U = G g G^T    M = sum over channels of U * V (elementwise)    Y = A^T M A
 *
 * Y holds the 2x2 output pixels of the patch. For the weight gradient everything goes backward,
 * with y the 2x2 gradients of a patch:
 *
 *     Z = A y A^T    M = sum over patches of Z * V (elementwise)    W_grad = G^T M G
 *
 * B and A hold only 0 and +-1, G only halves, so little rounding is added: the root of the mean
 * square error, divided by that of the results, is 1.4 to 3.3 units of the dtype's epsilon for all
 * three passes with 16 to 256 channels, and that of direct sums 1.3 to 3.6. */

#define turn NAME(last_turn)
#define unturn NAME(last_unturn)
#define turn_images NAME(last_turn_images)
#define last_places NAME(last_places)
#define strips_of NAME(last_strips_of)
#define strip_at NAME(last_strip_at)
#define vectors_of NAME(last_vectors_of)
#define last_plane NAME(last_plane)

#define LAST_WIDE 3
#define LAST_ROWS (VREGS >= 32 ? 8 : 4)

DLFS_INLINE ptrdiff_t vectors_of(ptrdiff_t channels) { return conv_ceil(channels, VLEN); }
DLFS_INLINE ptrdiff_t strips_of(ptrdiff_t channels)
{
    return conv_ceil(vectors_of(channels), LAST_WIDE);
}
/* The first vector of a strip; strips are about equal. */
DLFS_INLINE ptrdiff_t strip_at(ptrdiff_t channels, ptrdiff_t strip)
{
    return vectors_of(channels) * strip / strips_of(channels);
}

/* to[place[p] + c] = from[c * from_row + p] for c < channels <= VLEN and p < pixels; other lanes of
 * a vector become 0. A negative place: the pixel is left out. */
static void turn(ptrdiff_t channels, ptrdiff_t pixels, const real *from, ptrdiff_t from_row,
                 real *to, const ptrdiff_t *place)
{
    for (ptrdiff_t p = 0; p < pixels; p += VLEN) {
        int wide = (int)conv_least(pixels - p, VLEN);
        vec block[VLEN];
        if (channels == VLEN && wide == VLEN) {
            DLFS_UNROLL
            for (int i = 0; i < VLEN; i++)
                block[i] = vload(from + i * from_row + p);
        } else {
            DLFS_UNROLL
            for (int i = 0; i < VLEN; i++)
                block[i] = i < channels ? vload_n(from + i * from_row + p, wide) : vset1(0);
        }
        vturn(block);
        DLFS_UNROLL
        for (int i = 0; i < VLEN; i++)
            if (i < wide && place[p + i] >= 0)
                vstore(to + place[p + i], block[i]);
    }
}

/* The reverse: to[c * to_row + p] = from[p * pitch + c]. */
static void unturn(ptrdiff_t channels, ptrdiff_t pixels, const real *from, ptrdiff_t pitch,
                   real *to, ptrdiff_t to_row)
{
    for (ptrdiff_t p = 0; p < pixels; p += VLEN) {
        int wide = (int)conv_least(pixels - p, VLEN);
        vec block[VLEN];
        DLFS_UNROLL
        for (int i = 0; i < VLEN; i++)
            block[i] = i < wide ? vload(from + (p + i) * pitch) : vset1(0);
        vturn(block);
        if (channels >= VLEN && wide == VLEN) {
            DLFS_UNROLL
            for (int i = 0; i < VLEN; i++)
                vstore(to + i * to_row + p, block[i]);
        } else {
            DLFS_UNROLL
            for (int i = 0; i < VLEN; i++)
                if (i < channels)
                    vstore_n(to + i * to_row + p, block[i], wide);
        }
    }
}

/* place[q]: where pixel *start + q of an image belongs among the pixels that the band beginning at
 * row `first` of points reads, `pitch` reals for each. Returns the number of pixels. */
static ptrdiff_t last_places(const conv_layout *l, ptrdiff_t first, ptrdiff_t pitch,
                             ptrdiff_t *place, ptrdiff_t *start)
{
    const conv_window *w = &l->window;
    ptrdiff_t columns = conv_columns_read(w), top = first * w->stride_h - w->top;
    ptrdiff_t from = conv_most(0, top),
              to = conv_least(w->height, top + conv_rows_read(w, l->band));
    *start = from * w->width;
    for (ptrdiff_t y = from; y < to; y++)
        for (ptrdiff_t x = 0; x < w->width; x++) {
            ptrdiff_t column = x + w->left;
            int used = column >= 0 && column < columns;
            *place++ = used ? ((y - top) * columns + column) * pitch : -1;
        }
    return conv_most(0, to - from) * w->width;
}

/* Turns `vectors` vectors of channels, of `images` images; `input` begins at the first channel, of
 * which `channels` are left. to[image][row][column][channel], with zeros around. */
static void turn_images(const conv_job *job, const real *input, ptrdiff_t channels,
                        ptrdiff_t vectors, ptrdiff_t images, const ptrdiff_t *place,
                        ptrdiff_t start, ptrdiff_t count, real *to)
{
    const conv_layout *l = &job->layout;
    const conv_window *w = &l->window;
    ptrdiff_t area = w->height * w->width;
    ptrdiff_t size = conv_rows_read(w, l->band) * conv_columns_read(w) * vectors * VLEN;
    clear(to, images * size);
    for (ptrdiff_t image = 0; image < images; image++)
        for (ptrdiff_t v = 0; v < vectors; v++)
            turn(conv_least(VLEN, channels - v * VLEN), count,
                 input + (image * job->groups * w->channels + v * VLEN) * area + start, area,
                 to + image * size + v * VLEN, place);
}

/* The distance of Winograd's elements: not a power of two, or all 16 would compete for the same
 * places of a cache. */
DLFS_INLINE ptrdiff_t last_plane(ptrdiff_t points, ptrdiff_t pitch)
{
    return conv_round(points * pitch) / 128 * 128 + 144;
}

/* V = B^T d B of all patches of an image, for one vector of channels.
 * d[row][column][pitch of a pixel], V[element][patch]. */
#define patches_in NAME(last_patches_in)
static void patches_in(const real *d, ptrdiff_t row, ptrdiff_t pixel, ptrdiff_t high,
                       ptrdiff_t wide, real *to, ptrdiff_t pitch, ptrdiff_t plane)
{
    for (ptrdiff_t y = 0; y < high; y++)
        for (ptrdiff_t x = 0; x < wide; x++, to += pitch) {
            const real *at = d + 2 * y * row + 2 * x * pixel;
            vec half[4][4];
            DLFS_UNROLL
            for (int j = 0; j < 4; j++, at += pixel) {
                vec d0 = vload(at), d1 = vload(at + row), d2 = vload(at + 2 * row);
                vec d3 = vload(at + 3 * row);
                half[0][j] = d0 - d2;
                half[1][j] = d1 + d2;
                half[2][j] = d2 - d1;
                half[3][j] = d1 - d3;
            }
            DLFS_UNROLL
            for (int i = 0; i < 4; i++) {
                real *out = to + 4 * i * plane;
                vstore(out, half[i][0] - half[i][2]);
                vstore(out + plane, half[i][1] + half[i][2]);
                vstore(out + 2 * plane, half[i][2] - half[i][1]);
                vstore(out + 3 * plane, half[i][1] - half[i][3]);
            }
        }
}

/* offset[p]: where the first pixel that a point reads is among the pixels of turn_images(), or the
 * place of a patch; repeated to a whole number of tiles. */
#define point_offsets NAME(last_point_offsets)
static void point_offsets(const conv_job *job, ptrdiff_t images, ptrdiff_t height, ptrdiff_t pitch,
                          ptrdiff_t *offset)
{
    const conv_window *w = &job->layout.window;
    ptrdiff_t columns = conv_columns_read(w), rows = conv_rows_read(w, job->layout.band);
    ptrdiff_t points = images * height * w->out_width, p = 0;
    if (job->winograd)
        for (; p < points; p++)
            offset[p] = p * pitch;
    for (ptrdiff_t image = 0; p < points; image++)
        for (ptrdiff_t y = 0; y < height; y++)
            for (ptrdiff_t x = 0; x < w->out_width; x++)
                offset[p++] = ((image * rows + y * w->stride_h) * columns + x * w->stride_w)
                              * pitch;
    for (; p % LAST_ROWS; p++)
        offset[p] = offset[points - 1];
}
