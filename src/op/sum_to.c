/* sum_to.c -- sums over the dims a broadcast would repeat: the adjoint of expand.
 *
 * y_j = sum of x_i over all i that expand would copy from j. Attributes: the target,
 * i[0] = rank, i[1..4] = dims. Sums run in index order, a row's sum first in vectors
 * and then over their lanes by halves, so the bits do not depend on strides. */
#ifdef ROB_KERNEL
#include "op/row.h"

/* rank 4, ones in front */
static void padded_dims(const rob_shape *s, int64_t dim[4])
{
    for (int32_t k = 0; k < 4; k++)
        dim[k] = k < 4 - s->rank ? 1 : s->dim[k - 4 + s->rank];
}

static void add_row(real *y, const real *x, int64_t count)
{
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vec_store(y + i, vec_load(y + i) + vec_load(x + i));
    for (; i < count; i++) y[i] += x[i];
}

void R(op_sum_to)(const rob_node *n, const rob_shape *shape, const rob_view *in,
                  const rob_view *out);
void R(op_sum_to)(const rob_node *n, const rob_shape *shape, const rob_view *in,
                  const rob_view *out)
{
    int64_t s[4], d[4], r = 0;
    real *y = out->at;
    padded_dims(shape, s);
    padded_dims(&n->shape, d);
    for (int64_t j = 0; j < out->rows; j++)
        memset(y + j * out->ld, 0, (size_t)out->cols * sizeof *y);
    for (int64_t i = 0; i < s[0] * s[1] * s[2]; i++, r++) {
        int64_t i2 = i % s[2], i1 = i / s[2] % s[1], i0 = i / s[2] / s[1];
        int64_t j = ((d[0] > 1 ? i0 : 0) * d[1] + (d[1] > 1 ? i1 : 0)) * d[2]
                    + (d[2] > 1 ? i2 : 0);
        const real *x = (const real *)in->at + r * in->ld;
        if (d[3] == s[3]) add_row(y + j * out->ld, x, s[3]);
        else y[j * out->ld] += row_total(x, s[3]);
    }
}

#else
#include "op/plane.h"
#include "op/rule.h"

static bool shape(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr,
                  rob_shape *out)
{
    rob_shape from = rob_priv_shape(g, in[0]), both;
    (void)ins;
    if (!rob_priv_shape_of_attr(g, "sum_to", attr, out)) return false;
    if (rob_priv_shape_broadcast(&from, out, &both)
        && rob_priv_shape_equal(&both, &from))
        return true;
    rob_priv_graph_fail(g, ROB_ESHAPE,
                        "sum_to: the shape asked for does not broadcast to "
                        "the value's (rank %d, %lld elements)",
                        (int)from.rank, (long long)rob_priv_shape_size(&from));
    return false;
}

/* Sums of copies are multiples; a sum of scaled numbers is a scaled sum. */
static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    rob_shape from = rob_priv_shape(g, in[0]);
    rob_shape to = rob_priv_shape_make((int32_t)attr->i[0], attr->i + 1);
    double times = (double)(rob_priv_shape_size(&from) / rob_priv_shape_size(&to)), v;
    rob_id inner;
    (void)ins;
    if (rob_priv_shape_equal(&from, &to)) return in[0];
    if (rob_priv_is_fill(g, in[0], &v)) return rob_priv_fill(g, to, v * times);
    if (times == 1) return g_reshape(g, in[0], to);
    if (rob_priv_is(g, in[0], &rob_priv_op_sum_to))
        return g_sum_to(g, rob_priv_input_of(g, in[0], 0), to);
    if (rob_priv_is_scaled(g, in[0], &v, &inner))
        return g_affine(g, g_sum_to(g, inner, to), v, 0);
    if (rob_priv_is(g, in[0], &rob_priv_op_expand)) {
        rob_id copied = rob_priv_input_of(g, in[0], 0);
        rob_shape s = rob_priv_shape(g, copied);
        if (rob_priv_shape_equal(&s, &to)) return g_affine(g, copied, times, 0);
    }
    return ROB_NONE;
}

static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)
{
    dx[0] = g_expand(g, dy[0], rob_priv_shape(g, rob_priv_input_of(g, y, 0)));
}

static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)
{
    dy[0] = dx[0] == ROB_NONE ? ROB_NONE : g_sum_to(g, dx[0], rob_priv_shape(g, y));
}

/* the sum that element e of the input goes to */
static int64_t target(const rob_node *n, const void *user, int64_t e)
{
    return rob_priv_broadcast_source(user, &n->shape, e);
}

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)k;
    int64_t size = rob_priv_shape_size(&out->shape);
    int64_t from = rob_priv_shape_size(&in[0].shape);
    for (int64_t j = 0; j < size; j++)
        out->lo[j] = out->up[j] = 0;
    for (int64_t e = 0; e < from; e++) {
        int64_t j = target(n, &in[0].shape, e);
        out->lo[j] = fp_add_lo(out->lo[j], in[0].lo[e]);
        out->up[j] = fp_add_up(out->up[j], in[0].up[e]);
    }
    for (int64_t j = 0; j < size; j++)
        rob_priv_range_put(out, j, out->lo[j], out->up[j]);
}

static void pull(const rob_node *n, const rob_range *value, int32_t k,
                 const rob_rows *out, int32_t i, rob_rows *in, double *base,
                 double *loss)
{
    (void)k, (void)base;
    rob_priv_pull_gather(out, in, &value[i], loss, n, target, &value[i].shape);
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    rob_priv_enclose_rising(g, y, lo, up, ylo, yup);
}

const rob_op rob_priv_op_sum_to = {
    .name = "sum_to", .id = ROB_OP_sum_to, .ins = 1,
    .kind = ROB_OP_AFFINE | ROB_OP_SMOOTH,
    .shape = shape, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .pull = pull,
    .enclose = enclose,
};
#endif
