/* use.c -- the smallest program a stranger writes, valid C11 and C++17: build a model,
 * ask one question from both sides. Built against the installed library only. */
#include <robust.h>

#include <stdio.h>
#include <string.h>

static rob_status ask(rob_ctx *ctx, double *upper, double *lower)
{
    static const double x[8] = { 0.1, 0.4, -0.3, 0.2, 0.9, -0.5, 0.3, 0.0 };
    rob_model *model = NULL;
    rob_query *query = NULL;
    rob_attack *attack = NULL;
    rob_bound *bound = NULL;
    rob_status status = rob_model_create(
        ctx, "lstm features=1 hidden=4 outputs=2 readout=last", &model);
    if (status == ROB_OK) status = rob_query_create(ctx, model, &query);
    if (status == ROB_OK) status = rob_query_add(ctx, query, x, 8, -1);
    if (status == ROB_OK) status = rob_query_set_ball(ctx, query, ROB_NORM_L2, 100);
    if (status == ROB_OK) status = rob_attack_create(ctx, "auto", &attack);
    if (status == ROB_OK) status = rob_attack_distance(ctx, attack, query, upper, 1);
    if (status == ROB_OK) status = rob_bound_create(ctx, "auto", &bound);
    if (status == ROB_OK) status = rob_bound_radius(ctx, bound, query, lower, 1);
    rob_bound_free(bound);
    rob_attack_free(attack);
    rob_query_free(query);
    rob_model_free(model);
    return status;
}

int main(void)
{
    double upper = -1, lower = -1;
    rob_ctx *ctx = NULL;
    rob_status status = rob_ctx_create(&ctx);
    if (status == ROB_OK) status = ask(ctx, &upper, &lower);
    if (status != ROB_OK)
        printf("%s: %s\n", rob_status_string(status), rob_ctx_error(ctx));
    else
        printf("librobust %s: safe within %g, broken at %g\n", rob_version(), lower,
               upper);
    rob_ctx_free(ctx);
    return !(status == ROB_OK && lower >= 0 && lower <= upper);
}
