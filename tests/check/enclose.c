/* Ranges as nodes against the rigorous ranges: enclose promises nothing about rounding, so
 * its ends agree with those of `interval` up to a few dozen roundings of numbers of size
 * below 100: 1e-11 is taken. A rule with swapped or missing ends is off by the width. */
#include "check/harness.h"
#include "fp/fp.h"
#include "op/op.h"
#include "run/run.h"

#include <math.h>

enum { MOST = 64 };

typedef struct subject {
    const char *name;
    const rob_op *op;
    rob_attr attr;
    int ins;
    rob_shape in[3];
    double from;       /* inputs start here */
    int constant;      /* input that is one number; -1 */
} subject;

#define V {.rank = 1, .dim = {8}}
#define M34 {.rank = 2, .dim = {3, 4}}
#define M45 {.rank = 2, .dim = {4, 5}}
#define R3 {.rank = 3, .dim = {2, 3, 4}}

static const subject SUBJECTS[] = {
    {"tanh", &rob_priv_op_tanh, {.i = {0}}, 1, {V}, -3, -1},
    {"sigmoid", &rob_priv_op_sigmoid, {.i = {0}}, 1, {V}, -3, -1},
    {"erf", &rob_priv_op_erf, {.i = {0}}, 1, {V}, -3, -1},
    {"exp", &rob_priv_op_exp, {.i = {0}}, 1, {V}, -3, -1},
    {"softplus", &rob_priv_op_softplus, {.i = {0}}, 1, {V}, -3, -1},
    {"log", &rob_priv_op_log, {.i = {0}}, 1, {V}, 0.1, -1},
    {"sqrt", &rob_priv_op_sqrt, {.i = {0}}, 1, {V}, 0.1, -1},
    {"rsqrt", &rob_priv_op_rsqrt, {.i = {0}}, 1, {V}, 0.1, -1},
    {"reciprocal", &rob_priv_op_reciprocal, {.i = {0}}, 1, {V}, 0.1, -1},
    {"square", &rob_priv_op_square, {.i = {0}}, 1, {V}, -3, -1},
    {"abs", &rob_priv_op_abs, {.i = {0}}, 1, {V}, -3, -1},
    {"relu", &rob_priv_op_relu, {.i = {0}}, 1, {V}, -3, -1},
    {"step", &rob_priv_op_step, {.i = {0}}, 1, {V}, -3, -1},
    {"sign", &rob_priv_op_sign, {.i = {0}}, 1, {V}, -3, -1},
    {"add", &rob_priv_op_add, {.i = {0}}, 2, {V, V}, -3, -1},
    {"sub", &rob_priv_op_sub, {.i = {0}}, 2, {V, V}, -3, -1},
    {"affine", &rob_priv_op_affine, {.x = {-2, 3}}, 1, {V}, -3, -1},
    {"mul", &rob_priv_op_mul, {.i = {0}}, 2, {V, V}, -3, -1},
    {"sigtanh", &rob_priv_op_sigtanh, {.i = {0}}, 2, {V, V}, -3, -1},
    {"sigmul", &rob_priv_op_sigmul, {.i = {0}}, 2, {V, V}, -3, -1},
    {"blend", &rob_priv_op_blend, {.i = {0}}, 3, {V, V, V}, -3, -1},
    {"where", &rob_priv_op_where, {.i = {0}}, 3, {V, V, V}, -3, 0},
    {"matmul a", &rob_priv_op_matmul, {.i = {0}}, 2, {M34, M45}, -3, 1},
    {"matmul b", &rob_priv_op_matmul, {.i = {0}}, 2, {M34, M45}, -3, 0},
    {"sum_to", &rob_priv_op_sum_to, {.i = {2, 3, 1}}, 1, {R3}, -3, -1},
    {"expand", &rob_priv_op_expand, {.i = {3, 2, 3, 4}}, 1, {M34}, -3, -1},
    {"permute", &rob_priv_op_permute, {.i = {3, 2, 0, 1}}, 1, {R3}, -3, -1},
    {"reshape", &rob_priv_op_reshape, {.i = {2, 6, 4}}, 1, {R3}, -3, -1},
    {"split", &rob_priv_op_split, {.i = {1, 2, 1, 2}}, 1, {R3}, -3, -1},
    {"concat", &rob_priv_op_concat, {.i = {0}}, 2, {M34, M34}, -3, -1},
    {"softmax", &rob_priv_op_softmax, {.i = {0}}, 1, {M34}, -3, -1},
    {"logsumexp", &rob_priv_op_logsumexp, {.i = {0}}, 1, {M34}, -3, -1},
    {"max", &rob_priv_op_max, {.i = {0}}, 2, {V, V}, -3, -1},
    {"rmsnorm", &rob_priv_op_rmsnorm, {.x = {1e-5}}, 1, {M34}, -3, -1},
    {"centre", &rob_priv_op_centre, {.i = {0}}, 1, {M34}, -3, -1},
    {"gelu", &rob_priv_op_gelu, {.i = {0}}, 1, {V}, -3, -1},
    {"gelu tanh", &rob_priv_op_gelu, {.i = {1}}, 1, {V}, -3, -1},
};
enum { SUBJECT_COUNT = (int)(sizeof SUBJECTS / sizeof *SUBJECTS) };

typedef struct program {
    rob_graph *g;
    rob_id y, lo[3], up[3], ylo[4], yup[4];
    int outs;
} program;

static void write_program(rob_ctx *ctx, const subject *s, program *p)
{
    rob_id x[3];
    ck_assert_int_eq(rob_priv_graph_create(ctx, &p->g), ROB_OK);
    for (int i = 0; i < s->ins; i++) {
        x[i] = rob_priv_input(p->g, s->in[i]);
        p->lo[i] = rob_priv_input(p->g, s->in[i]);
        p->up[i] = i == s->constant ? p->lo[i] : rob_priv_input(p->g, s->in[i]);
    }
    p->y = rob_priv_apply(p->g, s->op, x, s->ins, s->attr);
    p->outs = rob_priv_node(p->g, p->y).outs;
    s->op->enclose(p->g, p->y, p->lo, p->up, p->ylo, p->yup);
    ck_assert_msg(rob_priv_graph_status(ctx, p->g) == ROB_OK, "%s", s->name);
}

static void set_ranges(const subject *s, const program *p, rob_work *w, rob_range *in,
                       double lo[3][MOST], double up[3][MOST], rob_random *r)
{
    for (int i = 0; i < s->ins; i++) {
        in[i] = (rob_range){s->in[i], lo[i], up[i]};
        for (int64_t e = 0; e < rob_priv_shape_size(&s->in[i]); e++) {
            bool mask = s->op == &rob_priv_op_where && i == 0;
            lo[i][e] = mask ? (double)(e % 2) : s->from + 5 * rob_priv_uniform(r);
            up[i][e] = lo[i][e] + (i == s->constant ? 0 : 2 * rob_priv_uniform(r));
        }
        rob_priv_work_set(w, p->lo[i], lo[i]);
        if (i != s->constant) rob_priv_work_set(w, p->up[i], up[i]);
    }
}

static void compare(const subject *s, const program *p, rob_work *w, const rob_range *in,
                    int k)
{
    double lo[MOST], up[MOST], nlo[MOST], nup[MOST];
    rob_shape shape = rob_priv_shape(p->g, p->ylo[k]);
    rob_range out = {shape, lo, up};
    rob_node n = rob_priv_node(p->g, p->y);
    s->op->interval(&n, in, k, &out);
    rob_priv_work_get(w, p->ylo[k], nlo);
    rob_priv_work_get(w, p->yup[k], nup);
    for (int64_t e = 0; e < rob_priv_shape_size(&shape); e++)
        ck_assert_msg(fabs(nlo[e] - lo[e]) <= 1e-11 * (1 + fabs(lo[e]))
                          && fabs(nup[e] - up[e]) <= 1e-11 * (1 + fabs(up[e])),
                      "%s: [%.17g, %.17g] for [%.17g, %.17g]", s->name, nlo[e], nup[e],
                      lo[e], up[e]);
}

START_TEST(test_agrees_with_interval)
{
    const subject *s = &SUBJECTS[_i];
    rob_random r = rob_priv_random(41, (uint64_t)_i);
    rob_ctx *ctx = NULL;
    rob_plan *plan = NULL;
    rob_work *work = NULL;
    program p;
    rob_id want[8];
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    write_program(ctx, s, &p);
    for (int k = 0; k < p.outs; k++) {
        want[2 * k] = p.ylo[k];
        want[2 * k + 1] = p.yup[k];
    }
    ck_assert_int_eq(
        rob_priv_plan_create(ctx, p.g, ROB_F64, want, NULL, 2 * p.outs, &plan), ROB_OK);
    ck_assert_int_eq(rob_priv_work_create(ctx, plan, &work), ROB_OK);
    for (int trial = 0; trial < 20; trial++) {
        double lo[3][MOST], up[3][MOST];
        rob_range in[3];
        set_ranges(s, &p, work, in, lo, up, &r);
        rob_priv_run(work, 0);
        for (int k = 0; k < p.outs; k++) compare(s, &p, work, in, k);
    }
    rob_priv_work_free(work);
    rob_priv_plan_free(plan);
    rob_priv_graph_free(p.g);
    rob_ctx_free(ctx);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("enclose");
    TCase *c = tcase_create("enclose");
    tcase_add_loop_test(c, test_agrees_with_interval, 0, SUBJECT_COUNT);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
