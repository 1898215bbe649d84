/* recorded.c -- a network of one's own, as a program: then attacked and certified like any model */
#include <robust.h>
#include <math.h>
#include <stdio.h>

#define TRY(call) do { if ((status = (call)) < ROB_OK) goto done; } while (0)
enum { T = 24, K = 5, C = 4 };   /* steps, taps of the filters, filters */

int main(void)
{
    rob_status  status;
    rob_ctx    *ctx = NULL;    rob_tape   *t = NULL;       rob_model *model = NULL;
    rob_query  *query = NULL;  rob_attack *attack = NULL;  rob_bound *bound = NULL;
    rob_var     x, w, v, u, z[K], sum, y;
    double      taps[K * C], head[C * 2], series[T], upper, lower;
    const double by[2] = { 0, 1 };

    for (int k = 0; k < K * C; k++) taps[k] = sin(2.0 + 5 * k);
    for (int k = 0; k < C * 2; k++) head[k] = (k < C ? 1 : -1) * cos(1.0 + 3 * (k % C));
    for (int k = 0; k < T; k++) series[k] = sin(0.5 * k);

    /* (T, 1) -> windows (T - K + 1, K) -> filters, relu -> mean over time -> two logits */
    TRY(rob_ctx_create(&ctx));
    TRY(rob_tape_create(ctx, ROB_F64, &t));
    TRY(rob_tape_input(ctx, t, (int64_t[]){ T, 1 }, 2, &x));
    TRY(rob_tape_constant(ctx, t, taps, (int64_t[]){ C, K }, 2, &w));
    TRY(rob_tape_constant(ctx, t, head, (int64_t[]){ 2, C }, 2, &v));
    for (int k = 0; k < K; k++)
        TRY(rob_tape_apply_with(ctx, t, "slice", &x, 1, (double[]){ 0, k, T - K + 1 }, 3, &z[k]));
    TRY(rob_tape_apply_with(ctx, t, "concat", z, K, (double[]){ 1 }, 1, &u));
    TRY(rob_tape_apply_with(ctx, t, "matmul", (rob_var[]){ u, w }, 2, by, 2, &u));
    TRY(rob_tape_apply(ctx, t, "relu", &u, 1, &u));
    TRY(rob_tape_apply_with(ctx, t, "mean", &u, 1, (double[]){ 0 }, 1, &sum));
    TRY(rob_tape_apply_with(ctx, t, "matmul", (rob_var[]){ sum, v }, 2, by, 2, &y));
    TRY(rob_model_from_tape(ctx, t, x, y, &model));

    TRY(rob_query_create(ctx, model, &query));
    TRY(rob_query_add(ctx, query, series, T, -1));
    TRY(rob_query_set_ball(ctx, query, ROB_NORM_LINF, INFINITY));
    TRY(rob_attack_create(ctx, "auto", &attack));
    TRY(rob_attack_distance(ctx, attack, query, &upper, 1));
    TRY(rob_bound_create(ctx, "auto", &bound));
    TRY(rob_bound_radius(ctx, bound, query, &lower, 1));
    printf("safe within %.4f, broken at %.4f\n", lower, upper);
done:
    if (status < ROB_OK)
        fprintf(stderr, "%s: %s\n", rob_status_string(status), rob_ctx_error(ctx));
    rob_bound_free(bound); rob_attack_free(attack); rob_query_free(query);
    rob_model_free(model); rob_tape_free(t); rob_ctx_free(ctx);
    return status < ROB_OK;
}
