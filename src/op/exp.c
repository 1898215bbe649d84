/* exp.c -- y = exp x. y' = y. */
#ifdef ROB_KERNEL
#include "op/each.h"

static inline vec value(const rob_node *n, vec x)
{
    (void)n;
    return vm_exp(x);
}
ROB_EACH1(exp)

#else
#include "op/plane.h"
#include "op/rule.h"

static rob_id partial(rob_graph *g, rob_id y, int32_t i)
{
    (void)g, (void)i;
    return y;
}
ROB_EACH_RULES

static void interval(const rob_node *n, const rob_range *in, int32_t k, rob_range *out)
{
    (void)n, (void)k;
    rob_priv_uni_interval(&rob_priv_uni_exp, &in[0], out);
}

static void relax(const rob_node *n, const rob_range *in, const double *theta,
                  rob_planes *below, rob_planes *above)
{
    (void)n;
    rob_priv_uni_relax(&rob_priv_uni_exp, &in[0], theta, below, above);
}

static void enclose(rob_graph *g, rob_id y, const rob_id *lo, const rob_id *up, rob_id *ylo,
                    rob_id *yup)
{
    rob_priv_enclose_rising(g, y, lo, up, ylo, yup);
}

static void steep(const rob_node *n, const rob_range *in, int32_t i, rob_range *out)
{
    (void)n, (void)i;
    rob_priv_steep_one(&rob_priv_uni_exp, &in[0], out);
}

const rob_op rob_priv_op_exp = {
    .name = "exp", .id = ROB_OP_exp, .ins = 1, .kind = ROB_SMOOTH_EACH,
    .shape = rob_priv_shape_each, .vjp = vjp, .jvp = jvp,
    .interval = interval, .relax = relax, .parameters = 2,
    .enclose = enclose,
    .steep = steep,
};
#endif
