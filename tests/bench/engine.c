/* engine.c -- how long values, gradients and Hessian-vector products of an LSTM take.
 *
 * One layer, H = 64, T = 140, D = 1, 2 classes, weights constant, one thread. A batch
 * of 256 is 8 tiles of 32, as every caller of the library runs it. Prints milliseconds
 * (the best of several repetitions), the GFLOP/s of the recurrent products, the arena,
 * and the packed product alone. Usage: engine [isa: generic, avx2 or avx512] [f64]
 */
#include "diff/diff.h"
#include "la/la.h"
#include "run/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 140, HIDDEN = 64, CLASSES = 2 };

typedef struct net {
    rob_graph *g;
    rob_id x, v, logits, gradient, hvp;
} net;

static rob_random noise;

static rob_id weights(rob_ctx *ctx, rob_graph *g, rob_shape shape, int32_t dtype)
{
    rob_tensor *t;
    if (rob_priv_tensor_create(&ctx->memory, dtype, shape, &t) < ROB_OK) exit(1);
    for (int64_t i = 0; i < rob_priv_shape_size(&shape); i++) {
        const double w = (rob_priv_uniform(&noise) - 0.5) / 4;
        if (dtype == ROB_F64) ((double *)t->data)[i] = w;
        else ((float *)t->data)[i] = (float)w;
    }
    const rob_id id = rob_priv_constant(g, t);
    rob_priv_tensor_free(t);
    return id;
}

/* h_T (B, H) of x (T, B, 1) */
static rob_id recur(rob_ctx *ctx, rob_graph *g, rob_id x, int64_t batch, int32_t dtype)
{
    const int64_t gates[4] = { HIDDEN, HIDDEN, HIDDEN, HIDDEN };
    rob_graph *b;
    rob_id gate[4], out[2];
    const rob_id flat = g_reshape(g, x, rob_priv_shape2(STEPS * batch, 1));
    const rob_id w = weights(ctx, g, rob_priv_shape2(4 * HIDDEN, 1), dtype);
    const rob_id u = weights(ctx, g, rob_priv_shape2(4 * HIDDEN, HIDDEN), dtype);
    const rob_id bias = weights(ctx, g, rob_priv_shape1(4 * HIDDEN), dtype);
    const rob_id p = g_reshape(g, g_add(g, g_matmul(g, flat, w, 0, 1), bias),
                               rob_priv_shape3(STEPS, batch, 4 * HIDDEN));
    const rob_id zero = rob_priv_fill(g, rob_priv_shape2(batch, HIDDEN), 0);

    if (rob_priv_graph_create(ctx, &b) < ROB_OK) exit(1);
    const rob_id in[4] = { rob_priv_input(b, rob_priv_shape2(batch, HIDDEN)),
                           rob_priv_input(b, rob_priv_shape2(batch, HIDDEN)),
                           rob_priv_input(b, rob_priv_shape2(batch, 4 * HIDDEN)),
                           rob_priv_input(b, rob_priv_shape2(4 * HIDDEN, HIDDEN)) };
    g_split(b, g_add(b, in[2], g_matmul(b, in[0], in[3], 0, 1)), 1, gates, 4, gate);
    out[1] = g_add(b, g_sigmul(b, gate[1], in[1]), g_sigtanh(b, gate[0], gate[2]));
    out[0] = g_sigtanh(b, gate[3], out[1]);
    return g_pick(g,
                  rob_priv_scan(g, b, 2, 1, 1, 0, in, out, STEPS, 0,
                                (rob_id[]){ zero, zero, p, u }),
                  0);
}

static net make_net(rob_ctx *ctx, int64_t batch, int32_t dtype)
{
    net n;
    rob_id part[CLASSES];
    if (rob_priv_graph_create(ctx, &n.g) < ROB_OK) exit(1);
    n.x = rob_priv_input(n.g, rob_priv_shape3(STEPS, batch, 1));
    n.v = rob_priv_input(n.g, rob_priv_shape3(STEPS, batch, 1));
    const rob_id h = recur(ctx, n.g, n.x, batch, dtype);
    const rob_id w = weights(ctx, n.g, rob_priv_shape2(CLASSES, HIDDEN), dtype);
    n.logits = g_matmul(n.g, h, w, 0, 1);
    g_split(n.g, n.logits, 1, (int64_t[]){ 1, 1 }, CLASSES, part);
    n.gradient = rob_priv_gradient(n.g, g_sum(n.g, g_sub(n.g, part[0], part[1])), n.x);
    rob_priv_jvp(n.g, &n.x, &n.v, 1, &n.gradient, 1, &n.hvp);
    if (rob_priv_graph_status(ctx, n.g) < ROB_OK) {
        fprintf(stderr, "%s\n", rob_ctx_error(ctx));
        exit(1);
    }
    return n;
}

/* seconds of one run, the best of several */
static double best_time(rob_work *w, int64_t tiles)
{
    double best = INFINITY;
    const double end = rob_priv_clock() + 0.4;
    for (int r = 0; r < 5 || rob_priv_clock() < end; r++) {
        const double begin = rob_priv_clock();
        for (int64_t i = 0; i < tiles; i++) rob_priv_run(w, 0);
        best = fmin(best, rob_priv_clock() - begin);
    }
    return best;
}

static void measure(rob_ctx *ctx, const net *n, rob_id want, const char *what,
                    int64_t batch, int64_t tiles, double products, int32_t dtype)
{
    rob_plan *plan;
    rob_work *work;
    const int64_t size = STEPS * batch;
    double *x = calloc((size_t)size, sizeof *x);

    if (!x || rob_priv_plan_create(ctx, n->g, dtype, &want, NULL, 1, &plan) < ROB_OK
        || rob_priv_work_create(ctx, plan, &work) < ROB_OK) {
        fprintf(stderr, "%s\n", rob_ctx_error(ctx));
        exit(1);
    }
    for (int64_t i = 0; i < size; i++) x[i] = sin(0.1 * (double)i);
    rob_priv_work_set(work, n->x, x);
    rob_priv_work_set(work, n->v, x);
    const double t = best_time(work, tiles);
    const double flop =
        products * 2.0 * STEPS * HIDDEN * 4 * HIDDEN * (double)(batch * tiles);
    printf("%-9s B %4lld %9.3f ms %7.1f GFLOP/s in products  %9.1f KB\n", what,
           (long long)(batch * tiles), t * 1e3, flop / t * 1e-9,
           (double)rob_priv_plan_bytes(plan) / 1024);
    free(x);
    rob_priv_work_free(work);
    rob_priv_plan_free(plan);
}

static void measure_product(int32_t dtype, int32_t isa, int64_t m, int64_t n, int64_t k)
{
    const rob_la *la = rob_priv_la(dtype, isa);
    const size_t e = dtype ? 8 : 4;
    void *a = calloc((size_t)(m * k), e), *b = calloc((size_t)(k * n), e);
    void *c = calloc((size_t)(m * n), e), *p = malloc((size_t)la->packed_bytes(k, n));
    const double flop = 2.0 * (double)(m * n * k);
    const int64_t times = (int64_t)(2e7 / flop) + 1;
    double best = INFINITY;

    if (!a || !b || !c || !p) exit(1);
    la->pack(k, n, b, n, 1, p);
    for (int r = 0; r < 20; r++) {
        const double begin = rob_priv_clock();
        for (int64_t i = 0; i < times; i++) la->product(m, n, k, a, k, 1, p, c, n, 0);
        best = fmin(best, (rob_priv_clock() - begin) / (double)times);
    }
    printf("product %s (%lld x %lld)(%lld x %lld) %9.2f us %7.1f GFLOP/s\n",
           dtype ? "f64" : "f32", (long long)m, (long long)k, (long long)k,
           (long long)n, best * 1e6, flop / best * 1e-9);
    free(a);
    free(b);
    free(c);
    free(p);
}

static void measure_net(rob_ctx *ctx, int64_t batch, int64_t tiles, int32_t dtype)
{
    const net n = make_net(ctx, batch, dtype);
    measure(ctx, &n, n.logits, "forward", batch, tiles, 1, dtype);
    measure(ctx, &n, n.gradient, "gradient", batch, tiles, 2, dtype);
    measure(ctx, &n, n.hvp, "hvp", batch, tiles, 4, dtype);
    rob_priv_graph_free(n.g);
}

int main(int argc, char **argv)
{
    rob_ctx *ctx;
    int32_t dtype = ROB_F32;
    if (rob_ctx_create(&ctx) < ROB_OK) return 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "f64") == 0) dtype = ROB_F64;
        for (int32_t isa = 0; isa <= rob_priv_isa_best(); isa++)
            if (strcmp(argv[i], rob_priv_isa_name(isa)) == 0) ctx->isa = isa;
    }
    noise = rob_priv_random(1, 1);
    printf("LSTM H %d T %d, %s, %s\n", HIDDEN, STEPS, dtype == ROB_F64 ? "f64" : "f32",
           rob_priv_isa_name(ctx->isa));
    measure_net(ctx, 1, 1, dtype);
    measure_net(ctx, 32, 1, dtype);
    measure_net(ctx, 32, 8, dtype);
    for (int32_t d = 0; d < 2; d++) {
        measure_product(d, ctx->isa, 1, 256, 64);
        measure_product(d, ctx->isa, 32, 256, 64);
        measure_product(d, ctx->isa, 640, 64, 256);
    }
    rob_ctx_free(ctx);
    return 0;
}
