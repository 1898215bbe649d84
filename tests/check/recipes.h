/* recipes.h -- recurrent nets of all kinds, a series, and their rows at 200 bits. */
#ifndef ROB_TEST_RECIPES_H
#define ROB_TEST_RECIPES_H

#include "bound/solve.h"
#include "check/precise.h"

#include <check.h>
#include "check/harness.h"

enum { T = 4, D = 2, N = T * D, L = 3 };

static const char *const RECIPES[] = {
    "rnn nonlinearity=tanh readout=last hidden=5",
    "rnn nonlinearity=relu readout=mean hidden=5",
    "lstm readout=last hidden=3",
    "gru readout=last hidden=4",
    "lstm readout=mean layers=2 hidden=3",
    "gru readout=last bidirectional=yes hidden=3",
    "rnn nonlinearity=tanh readout=max bidirectional=yes layers=2 hidden=3",
    "gru readout=state hidden=3 mlp=4 activation=relu",
    "lstm readout=every steps=4 hidden=3 bias=no",
};

/* ROBUST_LONG: sixty times as many nets, of weights from small to saturating. */
static inline int long_run(void)
{
    return rob_long() ? 60 : 1;
}

static inline double size_of_weights(int i)
{
    static const double SIZE[] = { 0.8, 0.3, 1.5, 3, 0.8 };
    return SIZE[i / 9 % 5];
}

typedef struct bench {
    rob_ctx *ctx;
    rob_model *model;
    rob_query *query;
    rob_graph *graph;
    rob_id in, out;
    int64_t logits;
    double x[N];
} bench;

static inline void fine(rob_ctx *ctx, rob_status status)
{
    ck_assert_msg(status == ROB_OK, "%s", rob_ctx_error(ctx));
}

static inline void set_weights(rob_model *m, double size, uint64_t seed)
{
    rob_random random = rob_priv_random(seed, 3);
    for (int32_t k = 0; k < m->parameters; k++) {
        rob_tensor *t = m->parameter[k].tensor;
        float *v = t->data;
        int64_t n = rob_priv_shape_size(&t->shape);
        for (int64_t i = 0; i < n; i++)
            v[i] = (float)(size * (2 * rob_priv_uniform(&random) - 1));
    }
}

static inline bench bench_open(const char *recipe, double size, uint64_t seed)
{
    bench b = { 0 };
    char text[200];
    ck_assert_int_eq(rob_ctx_create(&b.ctx), ROB_OK);
    const bool every = strstr(recipe, "every") != NULL;
    snprintf(text, sizeof text, "%s features=%d outputs=%d", recipe, D, every ? L * T : L);
    fine(b.ctx, rob_model_create(b.ctx, text, &b.model));
    set_weights(b.model, size, seed);
    rob_random r = rob_priv_random(seed, 9);
    for (int64_t i = 0; i < N; i++) b.x[i] = rob_priv_normal(&r);
    fine(b.ctx, rob_query_create(b.ctx, b.model, &b.query));
    fine(b.ctx, rob_query_add(b.ctx, b.query, b.x, T, -1));
    fine(b.ctx, rob_priv_query_prepare(b.ctx, b.query));
    fine(b.ctx, rob_priv_graph_create(b.ctx, &b.graph));
    b.in = rob_priv_input(b.graph, rob_priv_shape3(T, 1, D));
    b.out = rob_priv_model_emit(b.model, b.graph, b.in, ROB_NONE, NULL);
    rob_shape shape = rob_priv_shape(b.graph, b.out);
    b.logits = rob_priv_shape_size(&shape);
    return b;
}

static inline void bench_close(bench *b)
{
    rob_priv_graph_free(b->graph);
    rob_query_free(b->query);
    rob_model_free(b->model);
    rob_ctx_free(b->ctx);
}

/* ---- truth ----------------------------------------------------------------------- */

/* row r of the specification at x, without its constant */
static inline void row_at(const bench *b, int64_t r, const double *x, mpfr_t y)
{
    const rob_spec *s = &b->query->cases[0].spec;
    mpfr_t *v = exact_vector(N), t;
    mpfr_t **input = calloc((size_t)rob_priv_graph_count(b->graph) + 1, sizeof *input);
    for (int64_t i = 0; i < N; i++) mpfr_set_d(v[i], x[i], MPFR_RNDN);
    input[b->in] = v;
    precise p = precise_eval(b->graph, input);
    mpfr_init2(t, EXACT_BITS);
    mpfr_set_zero(y, 1);
    for (int64_t j = 0; j < b->logits; j++) {
        mpfr_mul_d(t, p.value[b->out][j], s->c[r * s->outputs + j], MPFR_RNDN);
        mpfr_add(y, y, t, MPFR_RNDN);
    }
    mpfr_clear(t);
    precise_free(&p);
    exact_free(v, N);
    free(input);
}

/* ---- points ---------------------------------------------------------------------- */

static inline double length(int32_t norm, const double *d)
{
    double sum = 0;
    for (int64_t i = 0; i < N; i++) {
        if (norm == ROB_NORM_L2) sum += d[i] * d[i];
        else if (norm == ROB_NORM_L1) sum += fabs(d[i]);
        else sum = fmax(sum, fabs(d[i]));
    }
    return norm == ROB_NORM_L2 ? sqrt(sum) : sum;
}

/* x + d scaled into the ball; a factor 1 - 2^-30 inside pays for every rounding here */
static inline void put_inside(const bench *b, int32_t norm, double eps, const double *d, double *p)
{
    const double far = length(norm, d), most = eps * (1 - 0x1p-30);
    const double scale = far > most ? most / far : 1;
    for (int64_t i = 0; i < N; i++) p[i] = b->x[i] + scale * d[i];
}

static inline void random_step(rob_random *r, int32_t norm, double size, bool corner, double *d)
{
    for (int64_t i = 0; i < N; i++) {
        d[i] = rob_priv_normal(r);
        if (corner) d[i] = d[i] < 0 ? -1 : 1;
    }
    const double scale = size / length(norm, d);
    for (int64_t i = 0; i < N; i++) d[i] *= scale;
}

#endif
