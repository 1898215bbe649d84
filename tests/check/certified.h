/* certified.h -- a random network, a series, and a certificate of it. */
#ifndef ROB_TEST_CERTIFIED_H
#define ROB_TEST_CERTIFIED_H

#include "bound/solve.h"
#include "check/check.h"
#include "check/multiple.h"

#include <check.h>
#include "check/harness.h"
#include "check/poor.h"
#include <robust/certificate.h>

static const int32_t KINDS[] = { ROB_KIND_RNN_TANH, ROB_KIND_RNN_RELU, ROB_KIND_LSTM,
                                 ROB_KIND_GRU };
enum { KIND_COUNT = 4, D = 2 };

typedef struct scene {
    rob_ctx *ctx;
    rob_model *model;
    rob_query *query;
    rob_bound *bound;
    int64_t T;
    double x[64];
} scene;

static inline void fine(rob_ctx *ctx, rob_status status)
{
    ck_assert_msg(status == ROB_OK, "%s", rob_ctx_error(ctx));
}

static inline scene open_scene(int32_t kind, int32_t layers, int32_t readout, int64_t T,
                        int64_t H, uint64_t seed)
{
    scene s = { .T = T };
    ck_assert_int_eq(rob_ctx_create(&s.ctx), ROB_OK);
    s.model = random_model(s.ctx, kind, layers, readout, D, H, 3, 0.7, seed, false);
    rob_random r = rob_priv_random(seed, 9);
    for (int64_t i = 0; i < T * D; i++) s.x[i] = rob_priv_normal(&r);
    fine(s.ctx, rob_query_create(s.ctx, s.model, &s.query));
    fine(s.ctx, rob_query_add(s.ctx, s.query, s.x, T, -1));
    fine(s.ctx, rob_bound_create(s.ctx, "crown", &s.bound));
    return s;
}

/* An encoder of `width` in two heads, with words of a recipe; weights drawn, biases too. */
static inline scene open_encoder(const char *words, int64_t T, int32_t width, uint64_t seed)
{
    scene s = { .T = T };
    char recipe[200];
    snprintf(recipe, sizeof recipe, "transformer heads=2 hidden=%d features=%d outputs=3 %s",
             (int)width, D, words);
    ck_assert_int_eq(rob_ctx_create(&s.ctx), ROB_OK);
    fine(s.ctx, rob_model_create(s.ctx, recipe, &s.model));
    rob_random r = rob_priv_random(seed, 11);
    for (int32_t p = 0; p < s.model->parameters; p++) {
        rob_tensor *t = s.model->parameter[p].tensor;
        float *v = t->data;
        for (int64_t i = 0; i < rob_priv_shape_size(&t->shape); i++)
            v[i] += (float)(0.2 * rob_priv_normal(&r));
    }
    for (int64_t i = 0; i < T * D; i++) s.x[i] = rob_priv_normal(&r);
    fine(s.ctx, rob_query_create(s.ctx, s.model, &s.query));
    fine(s.ctx, rob_query_add(s.ctx, s.query, s.x, T, -1));
    fine(s.ctx, rob_bound_create(s.ctx, "crown", &s.bound));
    return s;
}

static inline void close_scene(scene *s)
{
    rob_bound_free(s->bound);
    rob_query_free(s->query);
    rob_model_free(s->model);
    rob_ctx_free(s->ctx);
}

/* The largest radius a bound proves, and its certificate a little within. */
static inline rob_certificate *certificate_of(scene *s, int32_t norm, double *radius)
{
    rob_certificate *c = NULL;
    fine(s->ctx, rob_query_set_ball(s->ctx, s->query, norm, INFINITY));
    fine(s->ctx, rob_bound_radius(s->ctx, s->bound, s->query, radius, 1));
    /* what only affine forms prove is not written */
    for (*radius = fmin(0.9 * *radius, 4); c == NULL && *radius > 1e-9; *radius *= 0.7)
        if (rob_certificate_create(s->ctx, s->bound, s->query, 0, *radius, &c) == ROB_OK)
            break;
    ck_assert_msg(c != NULL, "%s", rob_ctx_error(s->ctx));
    return c;
}

static inline double number(const scene *s, const rob_certificate *c, const char *what)
{
    double v = NAN;
    fine(s->ctx, rob_certificate_get(s->ctx, c, what, &v, 1, NULL));
    return v;
}

/* A file that main makes and unlinks. */
static char file[] = "/tmp/robust_certificate_XXXXXX";

static inline int run_with_file(Suite *s)
{
    int made = mkstemp(file);
    if (made < 0) return 1;
    close(made);
    int code = rob_run_suite(s);
    unlink(file);
    return code;
}

/* Where the whole region has no certificate, its parts may have; NULL: they have none. */
static inline rob_certificate *in_parts(scene *s, int32_t norm, double *radius)
{
    rob_certificate *c = NULL;
    rob_bound *crown = s->bound;
    int grown = 0;
    rob_certificate_free(certificate_of(s, norm, radius));
    while (grown++ < 100
           && rob_certificate_create(s->ctx, crown, s->query, 0, *radius, &c) == ROB_OK) {
        rob_certificate_free(c);
        *radius *= 1.01;
    }
    fine(s->ctx, rob_bound_create(s->ctx, "branch", &s->bound));
    fine(s->ctx, rob_bound_set(s->ctx, s->bound, "seconds", 5));
    fine(s->ctx, rob_bound_set(s->ctx, s->bound, "branches", 60));
    if (rob_certificate_create(s->ctx, s->bound, s->query, 0, *radius, &c) < ROB_OK) c = NULL;
    rob_bound_free(crown);
    return c;
}

/* The certificate as it stands in memory; what was written by a forger. */
static inline rob_cert as_written(scene *s, rob_certificate *c)
{
    rob_bytes bytes;
    rob_cert k;
    fine(s->ctx, rob_certificate_check(s->ctx, c, s->model));
    fine(s->ctx, rob_certificate_save(s->ctx, c, file));
    fine(s->ctx, rob_priv_io_read(s->ctx, file, 1 << 24, &bytes));
    fine(s->ctx, rob_priv_cert_parse(s->ctx, bytes.at, bytes.count, file, &k));
    rob_priv_io_release(&s->ctx->memory, &bytes);
    rob_certificate_free(c);
    return k;
}

static inline rob_cert opened(scene *s, double *radius)
{
    return as_written(s, certificate_of(s, ROB_NORM_L2, radius));
}


#endif
