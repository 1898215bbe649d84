/* product.c -- coefficients moved through products with weights and through permutations.
 *
 * Y (rows, N) = Z (rows, K) op(W): each of `count` rows of coefficients is a matrix L
 * (rows, N) and moves to L op(W)', so all are one product with count x rows lines. Where
 * few lines hold anything (a score reads two steps of a sequence), they are gathered,
 * multiplied, and put back.
 */
#include "bound/bound.h"

#include <string.h>

static bool is_zero(const double *l, int64_t n)
{
    for (int64_t e = 0; e < n; e++)
        if (l[e] != 0) return false;
    return true;
}

/* Line q of count x rows: row q / rows of coefficients. */
typedef struct lines {
    const double *a;
    double *to;
    int64_t count, rows, n, k, ld;
} lines;

static const double *line_of(const lines *s, int64_t q) { return s->a + q * s->n; }

static double *place_of(const lines *s, int64_t q)
{
    return s->to + q / s->rows * s->ld + q % s->rows * s->k;
}

static int64_t lines_with_numbers(const lines *s)
{
    int64_t used = 0;
    for (int64_t q = 0; q < s->count * s->rows; q++)
        used += !is_zero(line_of(s, q), s->n);
    return used;
}

enum { BATCH = 48 };

/* Lines from *q on that hold something, at most BATCH: copied, noted; lines that hold
 * nothing give zeros. */
static int64_t gather(const lines *s, int64_t *q, bool start, double *from,
                      int64_t *which)
{
    int64_t used = 0;
    for (; *q < s->count * s->rows && used < BATCH; (*q)++) {
        const double *l = line_of(s, *q);
        if (is_zero(l, s->n)) {
            if (start) memset(place_of(s, *q), 0, (size_t)s->k * sizeof *from);
            continue;
        }
        memcpy(from + used * s->n, l, (size_t)s->n * sizeof *from);
        which[used++] = *q;
    }
    return used;
}

/* scratch: BATCH (n + k) numbers */
static void sparse(const rob_la *la, const lines *s, const void *packed, bool start,
                   double *scratch)
{
    int64_t which[BATCH];
    double *from = scratch, *to = scratch + BATCH * s->n;
    for (int64_t q = 0; q < s->count * s->rows;) {
        int64_t used = gather(s, &q, start, from, which);
        for (int64_t i = 0; i < used && !start; i++)
            memcpy(to + i * s->k, place_of(s, which[i]), (size_t)s->k * sizeof *to);
        if (used > 0) la->product(used, s->k, s->n, from, s->n, 1, packed, to, s->k, !start);
        for (int64_t i = 0; i < used; i++)
            memcpy(place_of(s, which[i]), to + i * s->k, (size_t)s->k * sizeof *to);
    }
}

static void dense(const rob_la *la, const lines *s, const void *packed, bool start)
{
    if (s->rows == 1 || s->ld == s->rows * s->k) {
        int64_t all = s->count * s->rows, ld = s->rows == 1 ? s->ld : s->k;
        la->product(all, s->k, s->n, s->a, s->n, 1, packed, s->to, ld, !start);
        return;
    }
    for (int64_t r = 0; r < s->count; r++)
        la->product(s->rows, s->k, s->n, s->a + r * s->rows * s->n, s->n, 1, packed,
                    s->to + r * s->ld, s->k, !start);
}

int64_t rob_priv_product_scratch(int64_t n, int64_t k) { return BATCH * (n + k); }

void rob_priv_product_move(const rob_network *net, int64_t count, int64_t rows, int64_t n,
                           int64_t k, const double *a, const void *packed, double *to,
                           int64_t ld, bool start, double *scratch)
{
    const lines s = { a, to, count, rows, n, k, ld };
    bool few = scratch != NULL && lines_with_numbers(&s) * 4 < count * rows * 3;
    if (few) sparse(net->la, &s, packed, start, scratch);
    else dense(net->la, &s, packed, start);
}

/* ---- permutations ---------------------------------------------------------------- */

/* Number of the input that output e reads. */
static int32_t *permutation(rob_network *net, const rob_node *n, const rob_shape *in)
{
    const int64_t size = rob_priv_shape_size(&n->shape);
    int32_t *from = rob_priv_network_own(net, size, (int64_t)sizeof *from);
    int64_t step[ROB_MAX_RANK];
    for (int64_t d = in->rank - 1, s = 1; d >= 0; s *= in->dim[d--]) step[d] = s;
    for (int64_t e = 0; from != NULL && e < size; e++) {
        int64_t at = 0, rest = e;
        for (int32_t d = n->shape.rank - 1; d >= 0; rest /= n->shape.dim[d--])
            at += rest % n->shape.dim[d] * step[n->attr.i[1 + d]];
        from[e] = (int32_t)at;
    }
    return from;
}

bool rob_priv_permute_prepare(rob_network *net, rob_cell *c, const rob_link *in)
{
    if (c->kind != ROB_CELL_LINEAR || c->node.op->id != ROB_OP_permute
        || c->size > INT32_MAX)
        return true;
    c->packed = permutation(net, &c->node, &in[0].shape);
    return c->packed != NULL;
}

void rob_priv_permute_move(const rob_cell *c, int64_t count, const double *a, double *to,
                           int64_t ld)
{
    const int32_t *from = c->packed;
    for (int64_t r = 0; r < count; r++, a += c->size, to += ld)
        for (int64_t e = 0; e < c->size; e++) to[from[e]] += a[e];
}
