/* Attention, one head of one sequence at a time (included by attention.h; see simd.h).
 *
 * The formulas are in dlfs.reference.attention. Scores are computed for a block of QUERIES rows and
 * KEYS columns, and used at once, while they are in the second-level cache. Where a row has several
 * blocks, it keeps the maximum of the scores so far and the sum of exp(score - maximum); when a
 * larger score comes, both the sum and the output so far are multiplied by exp(old - new maximum)
 * (Dao et al., "FlashAttention", 2022). The gradient computes the scores again, block by block.
 *
 * K and V are transposed once for each head, so that every product reads rows of its right factor.
 * A head is computed by one thread, in one order. */

#include "products/gemm_tile.h"
#include "simd/vmath.h"

#define QUERIES DLFS_QUERIES
#define KEYS DLFS_KEYS
/* The most rows of B that are copied at once. */
#define DEPTH 1024

#define head_part NAME(head_part)
#define blocks_of NAME(blocks_of)
#define gemm_onto NAME(gemm_onto)
#define exponentials NAME(exponentials)
#define largest_score NAME(largest_score)
#define finite_rows NAME(finite_rows)
#define scores_of NAME(scores_of)
#define drop_out NAME(drop_out)
#define query_block NAME(query_block)
#define grad_block NAME(grad_block)

/* One head of one sequence, and a thread's scratch memory. Rows of qkv are `row` numbers apart,
 * those of the output and its gradient `features`. */
#define attention_head NAME(attention_head)
typedef struct {
    const real *q, *k, *v, *g, *out;
    real *result, *q_grad, *k_grad, *v_grad;
    real *k_turned, *v_turned, *scores, *scores_grad, *rows, *maximum, *sum, *panel;
    ptrdiff_t time, width, row, features, turned_row, scores_row;
    real scale, kept;
    int causal;
    const unsigned char *mask;
} attention_head;

/* C = A B, or C += A B with `add`; the rows of B are contiguous. */
static void gemm_onto(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                      ptrdiff_t a_column, const real *b, ptrdiff_t b_row, real *c, ptrdiff_t c_row,
                      int add, real *panel)
{
    for (ptrdiff_t j = 0; j < n; j += NR) {
        int columns = (int)(n - j < NR ? n - j : NR);
        int nv = (columns + VLEN - 1) / VLEN, lanes = columns - (nv - 1) * VLEN;
        int direct = lanes == VLEN || DLFS_LEVEL == DLFS_AVX512;
        for (ptrdiff_t p = 0; p < k; p += DEPTH) {
            ptrdiff_t deep = k - p < DEPTH ? k - p : DEPTH, part_row = b_row;
            const real *part = b + p * b_row + j;
            if (!direct) {
                NAME(pack_panels)(deep, columns, part, b_row, 1, panel);
                part = panel;
                part_row = nv * VLEN;
            }
            BY_WIDTH(nv, m, deep, a + p * a_column, a_row, a_column, part, part_row, c + j, c_row,
                     lanes, add || p > 0, NULL);
        }
    }
}

/* x = exp(scale (x - maximum)) for the first n numbers, then zeros up to `row`; returns the sum. */
DLFS_INLINE real exponentials(real *x, ptrdiff_t n, ptrdiff_t row, real maximum, real scale)
{
    vec total = vset1(0);
    ptrdiff_t i = 0;
    for (; i + VLEN <= n; i += VLEN) {
        vec power = vexp_neg((vload(x + i) - maximum) * scale);
        vstore(x + i, power);
        total += power;
    }
    if (i < n) {
        int rest = (int)(n - i);
        vec power = vexp_neg((vload_n(x + i, rest) - maximum) * scale);
        power = vselect(vfirst(rest), power, vset1(0));
        vstore(x + i, power); /* a row of scores is a whole number of vectors */
        total += power;
        i += VLEN;
    }
    for (; i < row; i += VLEN)
        vstore(x + i, vset1(0));
    return vsum(total);
}

DLFS_INLINE real largest_score(const real *x, ptrdiff_t n, real before)
{
    vec most = vset1(before);
    ptrdiff_t i = 0;
    for (; i + VLEN <= n; i += VLEN)
        most = vmax(most, vload(x + i));
    if (i < n)
        most = vmax(most, vload_fill(x + i, (int)(n - i), before));
    return vhmax(most);
}

/* Whether all numbers of a matrix are finite. */
DLFS_INLINE int finite_rows(const real *x, ptrdiff_t rows, ptrdiff_t n, ptrdiff_t row)
{
    vec bad = vset1(0);
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t i = 0; i < n; i += VLEN) {
            vec some = vload_n(x + r * row + i, (int)(n - i < VLEN ? n - i : VLEN));
            bad += some - some; /* 0, or nan */
        }
    return vsum(bad) == 0;
}

/* The scores of some queries with the keys from `key` on, before the scale; returns how many
 * columns they have. */
DLFS_INLINE ptrdiff_t scores_of(const attention_head *head, ptrdiff_t query, ptrdiff_t queries,
                                ptrdiff_t key, ptrdiff_t keys)
{
    ptrdiff_t columns = (keys + VLEN - 1) / VLEN * VLEN; /* the others are products with zeros */
    gemm_onto(queries, columns, head->width, head->q + query * head->row, head->row, 1,
              head->k_turned + key, head->turned_row, head->scores, head->scores_row, 0,
              head->panel);
    return columns;
}

/* Multiply numbers of a row of weights, or of their gradient, by the mask over keep_prob. */
DLFS_INLINE void drop_out(const attention_head *head, real *x, ptrdiff_t query, ptrdiff_t key,
                          ptrdiff_t keys)
{
    const unsigned char *mask = head->mask + query * head->time + key;
    for (ptrdiff_t j = 0; j < keys; j++)
        x[j] *= mask[j] ? head->kept : 0;
}

/* The output of some queries. */
static int query_block(const attention_head *head, ptrdiff_t query, ptrdiff_t queries)
{
    ptrdiff_t end = head->causal ? query + queries : head->time, width = head->width;
    for (ptrdiff_t key = 0; key < end; key += KEYS) {
        ptrdiff_t keys = end - key < KEYS ? end - key : KEYS;
        ptrdiff_t columns = scores_of(head, query, queries, key, keys);
        for (ptrdiff_t i = 0; i < queries; i++) {
            real *scores = head->scores + i * head->scores_row;
            ptrdiff_t seen = head->causal ? query + i + 1 - key : keys;
            seen = seen < keys ? seen : keys;
            real before = key ? head->maximum[i] : -(real)INFINITY;
            real now = largest_score(scores, seen, before);
            real sum = exponentials(scores, seen, columns, now, head->scale);
            if (head->mask)
                drop_out(head, scores, query + i, key, keys);
            head->maximum[i] = now;
            if (key == 0)
                head->sum[i] = sum;
            else {
                real shrink = (real)exp((double)(before - now) * (double)head->scale);
                head->sum[i] = head->sum[i] * shrink + sum;
                if (now > before)
                    for (ptrdiff_t c = 0; c < width; c++)
                        head->rows[i * width + c] *= shrink;
            }
        }
        gemm_onto(queries, width, keys, head->scores, head->scores_row, 1,
                  head->v + key * head->row, head->row, head->rows, width, key > 0, head->panel);
    }
    real *result = head->result + query * head->features;
    for (ptrdiff_t i = 0; i < queries; i++) {
        real inverse = 1 / head->sum[i];
        for (ptrdiff_t c = 0; c < width; c += VLEN) {
            int n = (int)(width - c < VLEN ? width - c : VLEN);
            vec value = vload_n(head->rows + i * width + c, n) * inverse;
            vstore_n(result + i * head->features + c, value, n);
        }
    }
    return finite_rows(result, queries, width, head->features);
}

/* The gradient of some queries, and their part of the gradients of keys and values. */
static void grad_block(const attention_head *head, ptrdiff_t query, ptrdiff_t queries)
{
    ptrdiff_t end = head->causal ? query + queries : head->time, width = head->width;
    ptrdiff_t several = end > KEYS;
    /* With several blocks, maximum and sum over all of them come first. */
    for (ptrdiff_t key = 0; several && key < end; key += KEYS) {
        ptrdiff_t keys = end - key < KEYS ? end - key : KEYS;
        ptrdiff_t columns = scores_of(head, query, queries, key, keys);
        for (ptrdiff_t i = 0; i < queries; i++) {
            real *scores = head->scores + i * head->scores_row;
            ptrdiff_t seen = head->causal ? query + i + 1 - key : keys;
            seen = seen < keys ? seen : keys;
            real before = key ? head->maximum[i] : -(real)INFINITY;
            real now = largest_score(scores, seen, before);
            real sum = exponentials(scores, seen, columns, now, head->scale);
            real shrink = (real)exp((double)(before - now) * (double)head->scale);
            head->sum[i] = key ? head->sum[i] * shrink + sum : sum;
            head->maximum[i] = now;
        }
    }
    for (ptrdiff_t key = 0; key < end; key += KEYS) {
        ptrdiff_t keys = end - key < KEYS ? end - key : KEYS;
        ptrdiff_t columns = scores_of(head, query, queries, key, keys);
        for (ptrdiff_t i = 0; i < queries; i++) {
            real *scores = head->scores + i * head->scores_row;
            ptrdiff_t seen = head->causal ? query + i + 1 - key : keys;
            seen = seen < keys ? seen : keys;
            if (!several)
                head->maximum[i] = largest_score(scores, seen, -(real)INFINITY);
            real sum = exponentials(scores, seen, columns, head->maximum[i], head->scale);
            if (!several)
                head->sum[i] = sum;
        }
        if (key == 0) {
            /* G divided by the sums, in `rows`, serves both products with it: the weights are not
             * divided. `maximum` stays, and `sum` is replaced by the sum of G * output. */
            for (ptrdiff_t i = 0; i < queries; i++) {
                const real *g = head->g + (query + i) * head->features;
                const real *out = head->out + (query + i) * head->features;
                real inverse = 1 / head->sum[i];
                vec total = vset1(0);
                for (ptrdiff_t c = 0; c < width; c += VLEN) {
                    int n = (int)(width - c < VLEN ? width - c : VLEN);
                    vec scaled = vload_n(g + c, n) * inverse;
                    vstore_n(head->rows + i * width + c, scaled, n);
                    total += scaled * vload_n(out + c, n);
                }
                head->sum[i] = vsum(total);
            }
        }
        gemm_onto(queries, columns, width, head->rows, width, 1, head->v_turned + key,
                  head->turned_row, head->scores_grad, head->scores_row, 0, head->panel);
        for (ptrdiff_t i = 0; i < queries; i++) {
            real *power = head->scores + i * head->scores_row;
            real *grad = head->scores_grad + i * head->scores_row;
            real shift = head->sum[i];
            if (head->mask)
                drop_out(head, grad, query + i, key, keys);
            for (ptrdiff_t j = 0; j < columns; j += VLEN)
                vstore(grad + j, vload(power + j) * ((vload(grad + j) - shift) * head->scale));
            if (head->mask)
                drop_out(head, power, query + i, key, keys);
        }
        gemm_onto(keys, width, queries, head->scores, 1, head->scores_row, head->rows, width,
                  head->v_grad + key * head->row, head->row, 1, head->panel);
        gemm_onto(queries, width, keys, head->scores_grad, head->scores_row, 1,
                  head->k + key * head->row, head->row, head->q_grad + query * head->row, head->row,
                  key > 0, head->panel);
        gemm_onto(keys, width, queries, head->scores_grad, 1, head->scores_row,
                  head->q + query * head->row, head->row, head->k_grad + key * head->row, head->row,
                  1, head->panel);
    }
}

/* The heads of all sequences. */
SCRATCH(attention_heads)
{
    const attention_task *task = job_;
    ptrdiff_t time = task->time, keys = time < DLFS_KEYS ? time : DLFS_KEYS, width = task->width;
    return (size_t)(DLFS_PANEL_NUMBERS + 2 * DLFS_QUERIES * DLFS_PADDED(keys)
                    + 2 * width * DLFS_PADDED(time) + DLFS_QUERIES * (width + 2) + 16)
           * sizeof(real);
}

KERNEL(attention_heads)
{
    const attention_task *task = job_;
    ptrdiff_t features = task->heads * task->width, time = task->time, width = task->width;
    attention_head head = {.time = time,
                           .width = width,
                           .row = 3 * features,
                           .features = features,
                           .causal = task->causal,
                           .kept = (real)task->kept,
                           .turned_row = DLFS_PADDED(time),
                           .scores_row = DLFS_PADDED(time < KEYS ? time : KEYS),
                           .scale = (real)(1 / sqrt((double)width))};
    head.panel = scratch;
    head.scores = head.panel + DLFS_PANEL_NUMBERS;
    head.scores_grad = head.scores + QUERIES * head.scores_row;
    head.k_turned = head.scores_grad + QUERIES * head.scores_row;
    head.v_turned = head.k_turned + width * head.turned_row;
    head.maximum = head.v_turned + width * head.turned_row;
    head.sum = head.maximum + QUERIES;
    head.rows = head.sum + QUERIES;
    for (ptrdiff_t unit = begin; unit < end; unit++) {
        int finite = 1;
        ptrdiff_t sequence = unit / task->heads, place = unit % task->heads * width;
        ptrdiff_t packed = sequence * time * head.row + place;
        ptrdiff_t plain = sequence * time * features + place;
        head.q = (const real *)task->qkv + packed;
        head.k = head.q + features;
        head.v = head.k + features;
        head.mask = task->mask ? task->mask + unit * time * time : NULL;
        transpose(time, width, head.k, head.row, head.k_turned, head.turned_row, 1);
        if (task->output_grad == NULL) {
            head.result = (real *)task->output + plain;
            for (ptrdiff_t query = 0; query < time; query += QUERIES)
                finite &= query_block(&head, query,
                                      time - query < QUERIES ? time - query : QUERIES);
            task->finite[unit] = (unsigned char)finite;
            continue;
        }
        transpose(time, width, head.v, head.row, head.v_turned, head.turned_row, 1);
        head.g = (const real *)task->output_grad + plain;
        head.out = (const real *)task->output + plain;
        head.q_grad = (real *)task->qkv_grad + packed;
        head.k_grad = head.q_grad + features;
        head.v_grad = head.k_grad + features;
        for (ptrdiff_t t = 0; t < time; t++)
            for (ptrdiff_t c = 0; c < width; c++)
                head.k_grad[t * head.row + c] = head.v_grad[t * head.row + c] = 0;
        for (ptrdiff_t query = 0; query < time; query += QUERIES)
            grad_block(&head, query, time - query < QUERIES ? time - query : QUERIES);
        finite &= finite_rows(head.q_grad, time, width, head.row)
                  & finite_rows(head.k_grad, time, width, head.row)
                  & finite_rows(head.v_grad, time, width, head.row);
        task->finite[unit] = (unsigned char)finite;
    }
}
