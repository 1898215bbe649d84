/* lean.c -- products in double with weights that stay as they are.
 *
 *     y_ij = s_ij + sum_k a_ik b_kj,     b_kj = first[k rb + j cb], float32 or float64,
 * b in the model's own tensor. A packed copy in double is four times float32 weights,
 * which is right for a plan that runs often and wrong for a witness of a large file.
 * Float32 is exact in double; sums are of four strands, so an element errs by at most
 * (K/4 + 3) eps sum_k |a_ik b_kj|.
 */
#include "run/plan.h"

bool rob_priv_run_is_raw(const run_maker *m, int32_t root)
{
    return m->status == ROB_OK && m->plan->root[root].raw != NULL;
}

/* ---- the product ----------------------------------------------------------------- */

/* sum_k a[k ca] b[k rb] */
#define STRAND(type)                                                                   \
    static double dot_##type(int64_t n, const double *a, int64_t ca, const void *at,   \
                             int64_t rb)                                               \
    {                                                                                  \
        const type *b = at;                                                            \
        double s[4] = { 0 };                                                           \
        int64_t k = 0;                                                                 \
        for (; k + 4 <= n; k += 4)                                                     \
            for (int64_t l = 0; l < 4; l++)                                            \
                s[l] += a[(k + l) * ca] * (double)b[(k + l) * rb];                     \
        for (; k < n; k++) s[0] += a[k * ca] * (double)b[k * rb];                      \
        return (s[0] + s[1]) + (s[2] + s[3]);                                          \
    }
STRAND(float)
STRAND(double)

static double dot(const run_step *s, const double *a, int64_t at)
{
    const bool narrow = s->raw->dtype == ROB_F32;
    const char *b = (const char *)s->raw->data + at * (narrow ? 4 : 8);
    /* one stride known at compile time is what makes this fast */
    if (s->ca == 1 && s->rb == 1)
        return narrow ? dot_float(s->k, a, 1, b, 1) : dot_double(s->k, a, 1, b, 1);
    return narrow ? dot_float(s->k, a, s->ca, b, s->rb)
                  : dot_double(s->k, a, s->ca, b, s->rb);
}

void rob_priv_run_lean_product(const run_step *s)
{
    const double *a = s->in[0].at, *start = s->in[2].at;
    double *y = s->out.at;
    for (int64_t l = 0; l < s->batch; l++)
        for (int64_t j = 0; j < s->n; j++)
            for (int64_t i = 0; i < s->m; i++) {
                const double *row = a + l * s->jump[0] + i * s->ra;
                double from = start ? start[i * s->lds + j] : 0;
                y[l * s->jump[RUN_OUT] + i * s->out.ld + j] =
                    from + dot(s, row, s->first + l * s->jump[1] + j * s->cb);
            }
}

/* ---- planning -------------------------------------------------------------------- */

void rob_priv_run_emit_lean(run_build *b, bool once, const run_factors *f,
                            const run_place *start)
{
    const run_root *root = &b->maker->plan->root[f->b.root];
    const rob_tensor *raw = root->raw;
    run_step *s = rob_priv_run_step(b, once, RUN_LEAN);
    s->ins = 3;
    s->m = f->m, s->n = f->n, s->k = f->k, s->ra = f->ra, s->ca = f->ca;
    s->raw = raw;
    s->first = f->b.offset, s->rb = f->rb, s->cb = f->cb;
    s->lds = start->root >= 0 ? start->stride[0] : 0;
    s->batch = f->batch;
    s->jump[0] = f->ja;
    s->jump[1] = f->jb;
    s->jump[RUN_OUT] = f->jy;
    s->ref[0] = (run_ref){ f->a.root, f->a.offset };
    s->ref[2] = (run_ref){ start->root, start->offset };
    s->ref[RUN_OUT] = (run_ref){ f->y.root, f->y.offset };
    s->in[2] = (rob_view){ .rows = f->m, .cols = f->n, .ld = s->lds };
    s->out = (rob_view){ .rows = f->m, .cols = f->n, .ld = f->ry };
}

static void settle(run_maker *m, int32_t root)
{
    if (m->status != ROB_OK || root < 0) return;
    run_root *r = &m->plan->root[root];
    if (r->raw != NULL && r->data == NULL) r->data = rob_priv_run_converted(m, r->raw);
}

static void settle_list(run_maker *m, const run_list *l)
{
    for (int32_t i = 0; i < l->count; i++)
        for (int32_t o = 0; o < RUN_OPERANDS; o++) settle(m, l->step[i].ref[o].root);
}

void rob_priv_run_settle(run_maker *m)
{
    for (int32_t k = 0; m->lean && k < m->plan->programs; k++) {
        const run_program *p = &m->plan->program[k];
        settle_list(m, &p->list[0]);
        settle_list(m, &p->list[1]);
        for (int32_t i = 0; i < p->moves; i++) settle(m, p->move[i].base.root);
    }
}
