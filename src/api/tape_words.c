/* tape_words.c -- the names a tape understands, each a formula over the operator table.
 *
 *     neg x = -x        div = x (1/y)      mean = sum / n        dot = sum x y
 * and for products  (..., K) (K, N): leading dimensions become rows of one product.
 */
#include "api/tape_words.h"

#include <math.h>
#include <string.h>

typedef struct call {
    const rob_id *in;
    int32_t ins;
    const double *number;
    int32_t numbers;
} call;

typedef struct word {
    const char *name;
    int32_t ins;         /* -1: one or more */
    int32_t least, most; /* numbers */
    rob_id (*build)(rob_graph *g, const call *c);
} word;

static int64_t whole(const call *c, int32_t k) { return (int64_t)c->number[k]; }

static rob_shape dims_of(const call *c)
{
    rob_shape s = { .rank = c->numbers };
    for (int32_t k = 0; k < c->numbers; k++) s.dim[k] = whole(c, k);
    return s;
}

static bool axis_fits(rob_graph *g, rob_id a, int64_t axis)
{
    int32_t rank = rob_priv_shape(g, a).rank;
    if (axis >= 0 && axis < rank) return true;
    rob_priv_graph_fail(g, ROB_EARGUMENT,
                        "axis %lld of a variable of rank %d; axes count "
                        "from 0",
                        (long long)axis, (int)rank);
    return false;
}

static rob_id word_add(rob_graph *g, const call *c)
{
    return g_add(g, c->in[0], c->in[1]);
}
static rob_id word_sub(rob_graph *g, const call *c)
{
    return g_sub(g, c->in[0], c->in[1]);
}
static rob_id word_mul(rob_graph *g, const call *c)
{
    return g_mul(g, c->in[0], c->in[1]);
}
static rob_id word_max(rob_graph *g, const call *c)
{
    return g_max(g, c->in[0], c->in[1]);
}
static rob_id word_div(rob_graph *g, const call *c)
{
    return g_div(g, c->in[0], c->in[1]);
}
static rob_id word_neg(rob_graph *g, const call *c) { return g_neg(g, c->in[0]); }

static rob_id word_affine(rob_graph *g, const call *c)
{
    return g_affine(g, c->in[0], c->number[0], c->number[1]);
}

static rob_id word_where(rob_graph *g, const call *c)
{
    return g_where(g, c->in[0], c->in[1], c->in[2]);
}

static rob_id word_sigtanh(rob_graph *g, const call *c)
{
    return g_sigtanh(g, c->in[0], c->in[1]);
}

static rob_id word_sigmul(rob_graph *g, const call *c)
{
    return g_sigmul(g, c->in[0], c->in[1]);
}

static rob_id word_blend(rob_graph *g, const call *c)
{
    rob_shape s = rob_priv_shape(g, c->in[0]), b;
    for (int32_t i = 1; i < 3; i++) {
        b = rob_priv_shape(g, c->in[i]);
        if (!rob_priv_shape_broadcast(&s, &b, &s))
            return rob_priv_graph_fail(g, ROB_ESHAPE, "blend: shapes do not broadcast");
    }
    return g_blend(g, g_expand(g, c->in[0], s), g_expand(g, c->in[1], s),
                   g_expand(g, c->in[2], s));
}

/* shape of the sum: rank 0, or `axis` of size 1 */
static rob_id word_sum(rob_graph *g, const call *c)
{
    rob_shape s = rob_priv_shape(g, c->in[0]);
    if (c->numbers == 0) return g_sum(g, c->in[0]);
    if (!axis_fits(g, c->in[0], whole(c, 0))) return ROB_NONE;
    s.dim[whole(c, 0)] = 1;
    return g_sum_to(g, c->in[0], s);
}

static rob_id word_mean(rob_graph *g, const call *c)
{
    rob_id sum = word_sum(g, c);
    rob_shape all = rob_priv_shape(g, c->in[0]), some = rob_priv_shape(g, sum);
    double ratio =
        (double)rob_priv_shape_size(&some) / (double)rob_priv_shape_size(&all);
    return sum == ROB_NONE ? ROB_NONE : g_affine(g, sum, ratio, 0);
}

static rob_id word_dot(rob_graph *g, const call *c)
{
    rob_shape a = rob_priv_shape(g, c->in[0]), b = rob_priv_shape(g, c->in[1]);
    if (!rob_priv_shape_equal(&a, &b))
        return rob_priv_graph_fail(g, ROB_ESHAPE,
                                   "dot: the operands have %lld and %lld "
                                   "elements; their shapes must be equal",
                                   (long long)rob_priv_shape_size(&a),
                                   (long long)rob_priv_shape_size(&b));
    return g_sum(g, g_mul(g, c->in[0], c->in[1]));
}

/* (..., K) (K, N) as (rows, K) (K, N) */
static rob_id product_by_rows(rob_graph *g, rob_id a, rob_id b, int tb)
{
    rob_shape s = rob_priv_shape(g, a);
    rob_id rows = g_reshape(
        g, a, rob_priv_shape2(rob_priv_shape_rows(&s), rob_priv_shape_cols(&s)));
    rob_id y = g_matmul(g, rows, b, 0, tb);
    rob_shape flat = rob_priv_shape(g, y);
    s.dim[s.rank - 1] = rob_priv_shape_cols(&flat);
    return y == ROB_NONE ? ROB_NONE : g_reshape(g, y, s);
}

static rob_id word_matmul(rob_graph *g, const call *c)
{
    int ta = c->numbers > 0 && c->number[0] != 0,
        tb = c->numbers > 1 && c->number[1] != 0;
    rob_id a = c->in[0], b = c->in[1];
    rob_shape sa = rob_priv_shape(g, a), sb = rob_priv_shape(g, b);
    if (sa.rank >= 2 && sb.rank == 1) {
        rob_id column = g_reshape(g, b, rob_priv_shape2(sb.dim[0], 1));
        rob_id y = ta ? g_matmul(g, a, column, 1, 0) : product_by_rows(g, a, column, 0);
        rob_shape s = rob_priv_shape(g, y);
        s.rank--;
        return y == ROB_NONE ? ROB_NONE : g_reshape(g, y, s);
    }
    if (sa.rank > 2 && sb.rank == 2 && !ta) return product_by_rows(g, a, b, tb);
    return g_matmul(g, a, b, ta, tb);
}

static rob_id word_softmax(rob_graph *g, const call *c)
{
    return g_softmax(g, c->in[0]);
}
static rob_id word_logsumexp(rob_graph *g, const call *c)
{
    return g_logsumexp(g, c->in[0]);
}
static rob_id word_centre(rob_graph *g, const call *c) { return g_centre(g, c->in[0]); }
static rob_id word_rmsnorm(rob_graph *g, const call *c)
{
    return g_rmsnorm(g, c->in[0], c->number[0]);
}
static rob_id word_gelu(rob_graph *g, const call *c)
{
    return g_gelu(g, c->in[0], c->numbers > 0 && c->number[0] != 0);
}
static rob_id word_transpose(rob_graph *g, const call *c)
{
    return g_transpose(g, c->in[0]);
}

static rob_id word_reshape(rob_graph *g, const call *c)
{
    return g_reshape(g, c->in[0], dims_of(c));
}

static rob_id word_expand(rob_graph *g, const call *c)
{
    return g_expand(g, c->in[0], dims_of(c));
}

static rob_id word_sum_to(rob_graph *g, const call *c)
{
    return g_sum_to(g, c->in[0], dims_of(c));
}

static rob_id word_permute(rob_graph *g, const call *c)
{
    int32_t order[ROB_MAX_RANK] = { 0 }, rank = rob_priv_shape(g, c->in[0]).rank;
    if (c->numbers != rank)
        return rob_priv_graph_fail(g, ROB_EARGUMENT,
                                   "permute: %d axes for a variable of "
                                   "rank %d",
                                   (int)c->numbers, (int)rank);
    for (int32_t k = 0; k < rank; k++) order[k] = (int32_t)whole(c, k);
    return g_permute(g, c->in[0], order);
}

static rob_id word_slice(rob_graph *g, const call *c)
{
    int64_t axis = whole(c, 0), first = whole(c, 1), count = whole(c, 2);
    if (!axis_fits(g, c->in[0], axis)) return ROB_NONE;
    int64_t size = rob_priv_shape(g, c->in[0]).dim[axis];
    if (first < 0 || count < 1 || first > size - count)
        return rob_priv_graph_fail(g, ROB_EARGUMENT,
                                   "slice: %lld elements from %lld on of "
                                   "an axis of %lld",
                                   (long long)count, (long long)first, (long long)size);
    return g_slice(g, c->in[0], (int32_t)axis, first, count);
}

static rob_id word_concat(rob_graph *g, const call *c)
{
    if (!axis_fits(g, c->in[0], whole(c, 0))) return ROB_NONE;
    return g_concat(g, c->in, c->ins, (int32_t)whole(c, 0));
}

static const word words[] = {
    { "add", 2, 0, 0, word_add },
    { "sub", 2, 0, 0, word_sub },
    { "mul", 2, 0, 0, word_mul },
    { "div", 2, 0, 0, word_div },
    { "max", 2, 0, 0, word_max },
    { "neg", 1, 0, 0, word_neg },
    { "affine", 1, 2, 2, word_affine },
    { "where", 3, 0, 0, word_where },
    { "sigtanh", 2, 0, 0, word_sigtanh },
    { "sigmul", 2, 0, 0, word_sigmul },
    { "blend", 3, 0, 0, word_blend },
    { "sum", 1, 0, 1, word_sum },
    { "mean", 1, 0, 1, word_mean },
    { "dot", 2, 0, 0, word_dot },
    { "matmul", 2, 0, 2, word_matmul },
    { "softmax", 1, 0, 0, word_softmax },
    { "logsumexp", 1, 0, 0, word_logsumexp },
    { "centre", 1, 0, 0, word_centre },
    { "rmsnorm", 1, 1, 1, word_rmsnorm },
    { "gelu", 1, 0, 1, word_gelu },
    { "transpose", 1, 0, 0, word_transpose },
    { "reshape", 1, 0, 4, word_reshape },
    { "expand", 1, 0, 4, word_expand },
    { "sum_to", 1, 0, 4, word_sum_to },
    { "permute", 1, 1, 4, word_permute },
    { "slice", 1, 3, 3, word_slice },
    { "split", 1, 3, 3, word_slice },
    { "concat", -1, 1, 1, word_concat },
};

static bool counts_fit(rob_graph *g, const word *w, const call *c)
{
    bool ins = w->ins < 0 ? c->ins >= 1 : c->ins == w->ins;
    if (!ins)
        rob_priv_graph_fail(g, ROB_EARGUMENT, "operator %s takes %d operands, not %d",
                            w->name, (int)(w->ins < 0 ? 1 : w->ins), (int)c->ins);
    else if (c->numbers < w->least || c->numbers > w->most)
        rob_priv_graph_fail(g, ROB_EARGUMENT,
                            "operator %s takes %d to %d numbers, not %d", w->name,
                            (int)w->least, (int)w->most, (int)c->numbers);
    return ins && c->numbers >= w->least && c->numbers <= w->most;
}

/* All numbers but those of affine and rmsnorm are dims, axes or flags. */
static bool numbers_fit(rob_graph *g, const word *w, const call *c)
{
    for (int32_t k = 0; k < c->numbers; k++) {
        double v = c->number[k];
        bool fits =
            w->build == word_affine || w->build == word_rmsnorm
                ? isfinite(v)
                : v == floor(v) && fabs(v) < 0x1p31;
        if (fits) continue;
        rob_priv_graph_fail(
            g, ROB_EARGUMENT, "number %d of operator %s is %g, must be %s", (int)k,
            w->name, v, w->build == word_affine ? "finite" : "whole and below 2^31");
        return false;
    }
    return true;
}

rob_id rob_priv_tape_word(rob_graph *g, const char *name, const rob_id *in, int32_t ins,
                          const double *number, int32_t numbers)
{
    const call c = { in, ins, number, numbers };
    for (int64_t i = 0; i < COUNT_OF(words); i++)
        if (strcmp(words[i].name, name) == 0)
            return counts_fit(g, &words[i], &c) && numbers_fit(g, &words[i], &c)
                       ? words[i].build(g, &c)
                       : ROB_NONE;
    const rob_op *op = rob_priv_op_by_name(name);
    if (op == NULL || op->ins != 1 || !(op->kind & ROB_OP_ELEMENTWISE))
        return rob_priv_graph_fail(g, ROB_EARGUMENT,
                                   "no operator is called \"%.40s\"; see "
                                   "the list in robust/tape.h",
                                   name);
    const word unary = { name, 1, 0, 0, NULL };
    return counts_fit(g, &unary, &c) ? g_unary(g, name, in[0]) : ROB_NONE;
}
