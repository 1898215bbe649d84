/* logsumexp.c -- y = m + log sum_j exp(x_j - m), m = max x: (..., C) -> (..., 1).
 *
 * Its gradient is softmax x, so no derivative of it overflows. A row of -inf gives
 * -inf. */
#ifdef ROB_KERNEL
#include "op/each.h"
#include "op/row.h"

void R(op_logsumexp)(const rob_node *n, const rob_shape *shape, const rob_view *in,
                     const rob_view *out);
void R(op_logsumexp)(const rob_node *n, const rob_shape *shape, const rob_view *in,
                     const rob_view *out)
{
    (void)n, (void)shape;
    for (int64_t r = 0; r < in->rows; r++) {
        const real *x = (const real *)in->at + r * in->ld;
        real most = row_most(x, in->cols);
        real total = row_exp(x, most, in->cols, NULL);
        ((real *)out->at)[r * out->ld] = most + vm_log(vec_all(total))[0];
    }
}

#else
#include "op/plane.h"
#include "op/rule.h"

static bool shape(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr,
                  rob_shape *out)
{
    (void)ins, (void)attr;
    *out = rob_priv_shape(g, in[0]);
    if (out->rank >= 1) {
        out->dim[out->rank - 1] = 1;
        return true;
    }
    rob_priv_graph_fail(g, ROB_ESHAPE, "logsumexp: a scalar has no last axis");
    return false;
}

static rob_id fold(rob_graph *g, const rob_id *in, int32_t ins, const rob_attr *attr)
{
    rob_shape s = rob_priv_shape(g, in[0]);
    (void)ins, (void)attr;
    return rob_priv_shape_cols(&s) == 1 ? in[0] : ROB_NONE;
}

static void vjp(rob_graph *g, rob_id y, const rob_id *dy, rob_id *dx)
{
    dx[0] = g_mul(g, dy[0], g_softmax(g, rob_priv_input_of(g, y, 0)));
}

static void jvp(rob_graph *g, rob_id y, const rob_id *dx, rob_id *dy)
{
    rob_id weight = g_softmax(g, rob_priv_input_of(g, y, 0));
    if (dx[0] == ROB_NONE) dy[0] = ROB_NONE;
    else dy[0] = g_sum_to(g, g_mul(g, dx[0], weight), rob_priv_shape(g, y));
}

/* m + log sum exp(x_j - m), rising in every x_j; any m will do, the largest is best */
static double rounded_down(const double *x, int64_t count)
{
    double m = x[0], sum = 0;
    for (int64_t j = 1; j < count; j++)
        m = fp_max(m, x[j]);
    for (int64_t j = 0; j < count; j++)
        sum = fp_add_lo(sum, fp_exp_lo(fp_add_lo(x[j], -m)));
    return fp_max(m, fp_or_lo(fp_add_lo(m, fp_log_lo(fp_max(0, sum)))));
}

static double rounded_up(const double *x, int64_t count)
{
    double m = x[0], sum = 0;
    for (int64_t j = 1; j < count; j++)
        m = fp_max(m, x[j]);
    for (int64_t j = 0; j < count; j++)
        sum = fp_add_up(sum, fp_exp_up(fp_add_up(x[j], -m)));
    return fp_or_up(fp_add_up(m, fp_log_up(sum)));
}

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    int64_t rows = rob_priv_shape_rows(&in[0].shape),
            cols = rob_priv_shape_cols(&in[0].shape);
    for (int64_t r = 0; r < rows; r++)
        rob_priv_range_put(out, r, rounded_down(in[0].lo + r * cols, cols),
                           rounded_up(in[0].up + r * cols, cols));
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up,
                    rob_id *ylo, rob_id *yup)
{
    rob_priv_enclose_rising(g, y, lo, up, ylo, yup);
}

const rob_op rob_priv_op_logsumexp = {
    .name = "logsumexp", .id = ROB_OP_logsumexp, .ins = 1, .kind = ROB_OP_SMOOTH,
    .shape = shape, .fold = fold, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = rob_priv_logsumexp_relax, .parameters = 2,
    .enclose = enclose,
};
#endif
