/* onnx_rows.c -- ONNX's operators that draw an axis together: reductions, softmax, norms.
 *
 *     LayerNormalization  g (x - mean x) / sqrt(var x + eps) + b, var with 1/n, over the
 *                         axes from `axis` on; RMSNormalization  g x / sqrt(mean x^2 + eps)
 *     BatchNormalization  x a + b - mean a, a = scale / sqrt(var + eps), by channel
 * A maximum over n is a tree of maxima of two.
 * Reference: ONNX operators; Ba, Kiros and Hinton 2016; Ioffe and Szegedy 2015.
 */
#include "model/onnx.h"

#include <math.h>
#include <string.h>

/* ---- reductions ------------------------------------------------------------------ */

/* The axes to reduce; false: none, the value is kept. */
static bool reduced_axes(rob_machine *m, const rob_value *in, uint8_t *use)
{
    int64_t axis[ROB_ONNX_RANK];
    int64_t count = o_ints(m, "axes", &in[1], axis, ROB_ONNX_RANK);
    bool all = count <= 0;
    memset(use, 0, ROB_ONNX_RANK);
    if (all && o_int(m, "noop_with_empty_axes", 0) != 0) return false;
    for (int64_t k = 0; k < count && !o_failed(m); k++) {
        int32_t at;
        if (o_axis(m, axis[k], in[0].rank, &at)) use[at] = 1;
    }
    for (int32_t k = 0; all && k < in[0].rank; k++) use[k] = 1;
    return true;
}

/* log(sum exp) of the used axes: they go to the end, as one row. */
static rob_value logsumexp(rob_machine *m, const rob_value *v, const uint8_t *use)
{
    int32_t order[ROB_ONNX_RANK], n = 0;
    int64_t dim[ROB_ONNX_RANK], kept = 1;
    for (int32_t pass = 0; pass < 2; pass++)
        for (int32_t k = 0; k < v->rank; k++)
            if (use[k] == pass) order[n++] = k;
    for (int32_t k = 0; k < v->rank; k++) {
        dim[k] = use[k] ? 1 : v->dim[k];
        kept *= dim[k];
    }
    rob_value row = o_permute(m, v, order);
    row = o_reshape(m, &row, 2, (int64_t[]){ kept, kept > 0 ? v->size / kept : 0 });
    rob_id x = o_id(m, &row);
    if (o_failed(m)) return o_none();
    return o_of(m, g_logsumexp(m->g, x), v->dtype, v->rank, dim);
}

enum { SUM, MOST, LEAST, ROWS };
static const struct {
    const char *name, *before, *after; /* operators around the sum */
    int32_t by;
    bool mean;
} REDUCTIONS[] = {
    { "ReduceSum", NULL, NULL, SUM, false },
    { "ReduceMean", NULL, NULL, SUM, true },
    { "ReduceSumSquare", "square", NULL, SUM, false },
    { "ReduceL1", "abs", NULL, SUM, false },
    { "ReduceL2", "square", "sqrt", SUM, false },
    { "ReduceLogSum", NULL, "log", SUM, false },
    { "ReduceMax", NULL, NULL, MOST, false },
    { "ReduceMin", NULL, NULL, LEAST, false },
    { "ReduceLogSumExp", NULL, NULL, ROWS, false },
};

static rob_value reduce(rob_machine *m, int64_t kind, rob_value y, const uint8_t *use)
{
    double count = 1;
    if (REDUCTIONS[kind].by == ROWS) return logsumexp(m, &y, use);
    if (REDUCTIONS[kind].before) y = o_apply(m, REDUCTIONS[kind].before, &y);
    if (REDUCTIONS[kind].by == LEAST) y = o_affine(m, &y, -1, 0);
    for (int32_t k = 0; k < y.rank && !o_failed(m); k++) {
        if (!use[k]) continue;
        count *= (double)y.dim[k];
        y = REDUCTIONS[kind].by == SUM ? o_sum(m, &y, k) : o_most(m, &y, k);
    }
    if (REDUCTIONS[kind].by == LEAST) y = o_affine(m, &y, -1, 0);
    if (REDUCTIONS[kind].after) y = o_apply(m, REDUCTIONS[kind].after, &y);
    return REDUCTIONS[kind].mean ? o_affine(m, &y, 1 / count, 0) : y;
}

static void op_reduce(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                      int32_t outs)
{
    (void)ins, (void)outs;
    uint8_t use[ROB_ONNX_RANK];
    int64_t kind = 0, dim[ROB_ONNX_RANK];
    int32_t rank = 0;
    while (strcmp(REDUCTIONS[kind].name, m->node->op) != 0) kind++;
    out[0] = in[0];
    if (!reduced_axes(m, in, use) || o_failed(m)) return;
    if (in[0].size == 0) {
        o_fail(m, ROB_EUNSUPPORTED, "of a value without elements");
        return;
    }
    rob_value y = reduce(m, kind, in[0], use);
    for (int32_t k = 0; k < y.rank; k++)
        if (!use[k] || o_int(m, "keepdims", 1)) dim[rank++] = y.dim[k];
    if (!o_failed(m)) out[0] = o_reshape(m, &y, rank, dim);
}

static void op_global_pool(rob_machine *m, const rob_value *in, int32_t ins,
                           rob_value *out, int32_t outs)
{
    (void)ins, (void)outs;
    int64_t dim[ROB_ONNX_RANK] = { 0 }, n = 1;
    bool mean = strcmp(m->node->op, "GlobalAveragePool") == 0;
    if (in[0].rank < 3 || in[0].size == 0) {
        o_fail(m, ROB_EFORMAT, "of a value of %d dimensions", (int)in[0].rank);
        return;
    }
    for (int32_t k = 0; k < in[0].rank; k++) {
        dim[k] = k < 2 ? in[0].dim[k] : 1;
        n *= k < 2 ? 1 : in[0].dim[k];
    }
    rob_value y = o_reshape(m, &in[0], 3, (int64_t[]){ dim[0], dim[1], n });
    y = mean ? o_sum(m, &y, 2) : o_most(m, &y, 2);
    if (mean) y = o_affine(m, &y, 1.0 / (double)n, 0);
    if (!o_failed(m)) out[0] = o_reshape(m, &y, in[0].rank, dim);
}

/* ---- softmax --------------------------------------------------------------------- */

static rob_value softmax_rows(rob_machine *m, const rob_value *v, bool log)
{
    rob_id x = o_id(m, v);
    if (o_failed(m)) return o_none();
    rob_id y = log ? g_sub(m->g, x, g_logsumexp(m->g, x)) : g_softmax(m->g, x);
    return o_like(m, y, v);
}

/* Before opset 13 all axes from `axis` on are one row. */
static void op_softmax(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                       int32_t outs)
{
    (void)ins, (void)outs;
    bool log = strcmp(m->node->op, "LogSoftmax") == 0, old = o_opset(m) < 13;
    int64_t rows = 1;
    int32_t axis;
    if (!o_axis(m, o_int(m, "axis", old ? 1 : -1), in[0].rank, &axis)) return;
    if (in[0].size == 0) {
        o_fail(m, ROB_EUNSUPPORTED, "of a value without elements");
        return;
    }
    rob_value y = in[0];
    if (old) {
        for (int32_t k = 0; k < axis; k++) rows *= in[0].dim[k];
        y = o_reshape(m, &y, 2, (int64_t[]){ rows, in[0].size / rows });
        y = softmax_rows(m, &y, log);
        out[0] = o_reshape(m, &y, in[0].rank, in[0].dim);
        return;
    }
    y = o_axis_last(m, &y, axis);
    y = softmax_rows(m, &y, log);
    out[0] = y.there ? o_axis_back(m, &y, axis) : y;
}

/* ---- norms ----------------------------------------------------------------------- */

/* v with the axes from `axis` on as one row: (rows, n) */
static rob_value as_rows(rob_machine *m, const rob_value *v, int32_t axis)
{
    int64_t dim[2] = { 1, 1 };
    for (int32_t k = 0; k < v->rank; k++) dim[k >= axis] *= v->dim[k];
    return o_reshape(m, v, 2, dim);
}

static rob_value normed(rob_machine *m, const rob_value *rows, double eps, bool centred)
{
    rob_id x = o_id(m, rows);
    if (o_failed(m)) return o_none();
    if (centred) x = g_centre(m->g, x);
    return o_like(m, g_rmsnorm(m->g, x, eps), rows);
}

/* The second and third outputs of LayerNormalization: mean, 1 / sqrt(var + eps) */
static void moments(rob_machine *m, const rob_value *v, int32_t axis, double eps,
                    rob_value *out, int32_t outs)
{
    int64_t dim[ROB_ONNX_RANK];
    rob_value rows = as_rows(m, v, axis), mean = o_sum(m, &rows, 1);
    double n = (double)rows.dim[1];
    for (int32_t k = 0; k < v->rank; k++) dim[k] = k < axis ? v->dim[k] : 1;
    mean = o_affine(m, &mean, 1 / n, 0);
    out[1] = o_reshape(m, &mean, v->rank, dim);
    if (outs < 3 || o_failed(m)) return;
    rob_value c = o_like(m, g_centre(m->g, o_id(m, &rows)), &rows);
    c = o_apply(m, "square", &c);
    c = o_sum(m, &c, 1);
    c = o_affine(m, &c, 1 / n, eps);
    c = o_apply(m, "rsqrt", &c);
    out[2] = o_reshape(m, &c, v->rank, dim);
}

static void op_layer_norm(rob_machine *m, const rob_value *in, int32_t ins,
                          rob_value *out, int32_t outs)
{
    (void)ins;
    bool centred = strcmp(m->node->op, "LayerNormalization") == 0;
    double eps = o_float(m, "epsilon", 1e-5f);
    int32_t axis;
    if (!o_axis(m, o_int(m, "axis", -1), in[0].rank, &axis)) return;
    if (in[0].size == 0) {
        o_fail(m, ROB_EUNSUPPORTED, "of a value without elements");
        return;
    }
    rob_value rows = as_rows(m, &in[0], axis), y = normed(m, &rows, eps, centred);
    y = o_reshape(m, &y, in[0].rank, in[0].dim);
    if (in[1].there) y = o_mul(m, &y, &in[1]);
    if (in[2].there) y = o_add(m, &y, &in[2]);
    out[0] = y;
    if (outs > 1 && centred && !o_failed(m)) moments(m, &in[0], axis, eps, out, outs);
}

/* A vector (C) against (N, C, ...) */
static rob_value by_channel(rob_machine *m, const rob_value *v, int32_t rank)
{
    int64_t dim[ROB_ONNX_RANK] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    dim[0] = v->size;
    return o_reshape(m, v, rank > 1 ? rank - 1 : 1, dim);
}

static void op_batch_norm(rob_machine *m, const rob_value *in, int32_t ins,
                          rob_value *out, int32_t outs)
{
    (void)ins, (void)outs;
    double eps = o_float(m, "epsilon", 1e-5f);
    if (o_int(m, "training_mode", 0) != 0 || o_int(m, "spatial", 1) != 1) {
        o_fail(m, ROB_EUNSUPPORTED, "training_mode, or spatial=0");
        return;
    }
    bool known = true;
    for (int32_t k = 1; k < 5; k++) known = known && o_known(&in[k]);
    rob_folding fold = { m->g };
    if (known) fold = o_fold(m);
    rob_value a[2];
    a[0] = o_affine(m, &in[4], 1, eps);
    a[0] = o_apply(m, "rsqrt", &a[0]);
    a[0] = o_mul(m, &a[0], &in[1]);
    a[1] = o_mul(m, &in[3], &a[0]);
    a[1] = o_both(m, g_sub, &in[2], &a[1]);
    o_unfold(m, fold, a, 2);
    if (o_failed(m)) return;
    for (int32_t k = 0; k < 2; k++) a[k] = by_channel(m, &a[k], in[0].rank);
    rob_value y = o_mul(m, &in[0], &a[0]);
    out[0] = o_add(m, &y, &a[1]);
}

static void op_instance_norm(rob_machine *m, const rob_value *in, int32_t ins,
                             rob_value *out, int32_t outs)
{
    (void)ins, (void)outs;
    if (in[0].rank < 3 || in[0].size == 0) {
        o_fail(m, ROB_EFORMAT, "of a value of %d dimensions", (int)in[0].rank);
        return;
    }
    rob_value rows = as_rows(m, &in[0], 2);
    rob_value y = normed(m, &rows, o_float(m, "epsilon", 1e-5f), true);
    rob_value scale = by_channel(m, &in[1], in[0].rank);
    rob_value shift = by_channel(m, &in[2], in[0].rank);
    y = o_reshape(m, &y, in[0].rank, in[0].dim);
    y = o_mul(m, &y, &scale);
    out[0] = o_add(m, &y, &shift);
}

const rob_onnx_entry rob_priv_onnx_rows[] = {
    { "ReduceSum", 1, 2, op_reduce },
    { "ReduceMean", 1, 2, op_reduce },
    { "ReduceSumSquare", 1, 2, op_reduce },
    { "ReduceL1", 1, 2, op_reduce },
    { "ReduceL2", 1, 2, op_reduce },
    { "ReduceLogSum", 1, 2, op_reduce },
    { "ReduceMax", 1, 2, op_reduce },
    { "ReduceMin", 1, 2, op_reduce },
    { "ReduceLogSumExp", 1, 2, op_reduce },
    { "GlobalAveragePool", 1, 1, op_global_pool },
    { "GlobalMaxPool", 1, 1, op_global_pool },
    { "Softmax", 1, 1, op_softmax },
    { "LogSoftmax", 1, 1, op_softmax },
    { "LayerNormalization", 2, 3, op_layer_norm },
    { "RMSNormalization", 2, 2, op_layer_norm },
    { "BatchNormalization", 5, 5, op_batch_norm },
    { "InstanceNormalization", 3, 3, op_instance_norm },
    { NULL, 0, 0, NULL },
};
