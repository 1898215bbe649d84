/* encoder.c -- how long values, gradients and Hessian-vector products of a transformer
 * encoder take.
 *
 * Width 64, 4 heads, 128 in between, 2 layers, T = 100, D = 1, 2 classes, mean read-out,
 * norms behind the sums (torch.nn.TransformerEncoder's default), relu, weights constant,
 * one thread. A batch of 32 is 32 tiles of one row, as callers of the library run it
 * (with `whole`: one tile). Prints milliseconds (the best of several repetitions), GFLOP/s of the
 * products of the forward pass, and the arena.
 * Usage: encoder [isa: generic, avx2 or avx512] [f64] [whole] [steps N]
 */
#include "diff/diff.h"
#include "la/la.h"
#include "model/transformer.h"
#include "run/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct net {
    rob_graph *g;
    rob_id x, v, logits, gradient, weights, hvp;
} net;

static const rob_encoder OPTIONS = {
    .layers = 2, .pool = ROB_POOL_MEAN, .divide = 1, .eps = 1e-5, .features = 1,
    .width = 64, .heads = 4, .inner = 64, .feedforward = 128,
    .positions = ROB_POSITIONS_SINUSOID,
    .has = 1u << ROB_ROLE_EMBED_W | 1u << ROB_ROLE_EMBED_B | 1u << ROB_ROLE_QKV_W
           | 1u << ROB_ROLE_QKV_B | 1u << ROB_ROLE_OUT_W | 1u << ROB_ROLE_OUT_B
           | 1u << ROB_ROLE_NORM1_W | 1u << ROB_ROLE_NORM1_B | 1u << ROB_ROLE_FF1_W
           | 1u << ROB_ROLE_FF1_B | 1u << ROB_ROLE_FF2_W | 1u << ROB_ROLE_FF2_B
           | 1u << ROB_ROLE_NORM2_W | 1u << ROB_ROLE_NORM2_B,
};

static void fail(const rob_ctx *ctx)
{
    fprintf(stderr, "%s\n", rob_ctx_error(ctx));
    exit(1);
}

static rob_id weights(rob_ctx *ctx, rob_graph *g, rob_shape shape, int32_t dtype,
                      rob_random *noise)
{
    rob_tensor *t;
    if (rob_priv_tensor_create(&ctx->memory, dtype, shape, &t) < ROB_OK) exit(1);
    for (int64_t i = 0; i < rob_priv_shape_size(&shape); i++) {
        const double w = (rob_priv_uniform(noise) - 0.5) / 4 + (shape.rank == 1);
        if (dtype == ROB_F64) ((double *)t->data)[i] = w;
        else ((float *)t->data)[i] = (float)w;
    }
    const rob_id id = rob_priv_constant(g, t);
    rob_priv_tensor_free(t);
    return id;
}

static net make_net(rob_ctx *ctx, int64_t steps, int64_t batch, int32_t dtype)
{
    net n;
    rob_id part[2], tensor[ROB_ENCODER_TENSORS];
    rob_random noise = rob_priv_random(1, 1);
    int32_t layer;
    if (rob_priv_graph_create(ctx, &n.g) < ROB_OK) fail(ctx);
    n.x = rob_priv_input(n.g, rob_priv_shape3(steps, batch, 1));
    n.v = rob_priv_input(n.g, rob_priv_shape3(steps, batch, 1));
    for (int32_t k = 0; k < rob_priv_encoder_tensors(&OPTIONS); k++) {
        rob_role role = rob_priv_encoder_role(&OPTIONS, k, &layer);
        tensor[k] = weights(ctx, n.g, rob_priv_encoder_shape(&OPTIONS, role), dtype,
                            &noise);
    }
    rob_id head = weights(ctx, n.g, rob_priv_shape2(2, OPTIONS.width), dtype, &noise);
    rob_id bias = weights(ctx, n.g, rob_priv_shape1(2), dtype, &noise);
    n.logits = rob_priv_block_linear(
        n.g, rob_priv_encoder_emit(&OPTIONS, n.g, n.x, ROB_NONE, tensor), head, bias);
    g_split(n.g, n.logits, 1, (int64_t[]){ 1, 1 }, 2, part);
    n.gradient = rob_priv_gradient(n.g, g_sum(n.g, g_sub(n.g, part[0], part[1])), n.x);
    rob_priv_jvp(n.g, &n.x, &n.v, 1, &n.gradient, 1, &n.hvp);
    if (rob_priv_graph_status(ctx, n.g) < ROB_OK) fail(ctx);
    return n;
}

static double best_time(rob_work *w, int64_t tiles)
{
    double best = INFINITY;
    const double end = rob_priv_clock() + 0.6;
    for (int r = 0; r < 5 || rob_priv_clock() < end; r++) {
        const double begin = rob_priv_clock();
        for (int64_t i = 0; i < tiles; i++) rob_priv_run(w, 0);
        best = fmin(best, rob_priv_clock() - begin);
    }
    return best;
}

static double flop(int64_t steps)
{
    const double F = 64, G = 128, T = (double)steps;
    return 2 * 2 * (T * (4 * F * F + 2 * F * G) + 2 * T * T * F);
}

static void measure(rob_ctx *ctx, const net *n, rob_id want, const char *what,
                    int64_t steps, int64_t batch, int64_t tiles, int32_t dtype)
{
    rob_plan *plan;
    rob_work *work;
    const int64_t size = steps * batch;
    double *x = calloc((size_t)size, sizeof *x);
    if (!x || rob_priv_plan_create(ctx, n->g, dtype, &want, NULL, 1, &plan) < ROB_OK
        || rob_priv_work_create(ctx, plan, &work) < ROB_OK)
        fail(ctx);
    for (int64_t i = 0; i < size; i++) x[i] = sin(0.1 * (double)i);
    rob_priv_work_set(work, n->x, x);
    rob_priv_work_set(work, n->v, x);
    const double t = best_time(work, tiles);
    printf("%-9s B %4lld %9.3f ms %7.1f GFLOP/s of the forward pass %9.1f KB\n", what,
           (long long)(batch * tiles), t * 1e3,
           flop(steps) * (double)(batch * tiles) / t * 1e-9,
           (double)rob_priv_plan_bytes(plan) / 1024);
    free(x);
    rob_priv_work_free(work);
    rob_priv_plan_free(plan);
}

static void measure_net(rob_ctx *ctx, int64_t steps, int64_t batch, int64_t tiles,
                        int32_t dtype)
{
    const net n = make_net(ctx, steps, batch, dtype);
    measure(ctx, &n, n.logits, "forward", steps, batch, tiles, dtype);
    measure(ctx, &n, n.gradient, "gradient", steps, batch, tiles, dtype);
    measure(ctx, &n, n.hvp, "hvp", steps, batch, tiles, dtype);
    rob_priv_graph_free(n.g);
}

int main(int argc, char **argv)
{
    rob_ctx *ctx;
    int32_t dtype = ROB_F32;
    int64_t steps = 100, rows = 1;
    if (rob_ctx_create(&ctx) < ROB_OK) return 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "f64") == 0) dtype = ROB_F64;
        if (strcmp(argv[i], "whole") == 0) rows = 32;
        if (strcmp(argv[i], "steps") == 0 && i + 1 < argc) steps = atoi(argv[i + 1]);
        for (int32_t isa = 0; isa <= rob_priv_isa_best(); isa++)
            if (strcmp(argv[i], rob_priv_isa_name(isa)) == 0) ctx->isa = isa;
    }
    printf("encoder T %lld, %s, %s\n", (long long)steps,
           dtype == ROB_F64 ? "f64" : "f32", rob_priv_isa_name(ctx->isa));
    measure_net(ctx, steps, 1, 1, dtype);
    measure_net(ctx, steps, rows, 32 / rows, dtype);
    rob_ctx_free(ctx);
    return 0;
}
