/* quickstart.c -- how robust is this model on these series?  usage: quickstart MODEL DATA */
#include <robust.h>
#include <math.h>
#include <stdio.h>

#define TRY(call) do { if ((status = (call)) < ROB_OK) goto done; } while (0)
enum { N = 16 };

int main(int argc, char **argv)
{
    if (argc != 3) return fprintf(stderr, "usage: %s MODEL DATA\n", argv[0]), 2;
    rob_status  status;
    rob_ctx    *ctx = NULL;    rob_model  *model  = NULL;  rob_data  *data  = NULL;
    rob_query  *query = NULL;  rob_attack *attack = NULL;  rob_bound *bound = NULL;
    double      upper[N], lower[N];
    int64_t     count;

    TRY(rob_ctx_create(&ctx));                           /* errors, seed, threads, cancel */
    TRY(rob_model_load(ctx, argv[1], NULL, &model));     /* safetensors with its recipe   */
    TRY(rob_data_create(ctx, &data));
    TRY(rob_data_read(ctx, data, argv[2]));              /* UCR .tsv or NPY               */
    count = rob_data_count(data) < N ? rob_data_count(data) : N;

    TRY(rob_query_create(ctx, model, &query));
    TRY(rob_query_add_data(ctx, query, data, 0, count)); /* the first series              */
    TRY(rob_query_set_ball(ctx, query, ROB_NORM_L2, INFINITY));  /* search without a cap  */

    TRY(rob_attack_create(ctx, "auto", &attack));
    TRY(rob_attack_set(ctx, attack, "calls", 300));
    TRY(rob_attack_distance(ctx, attack, query, upper, N));   /* a failing point so near  */

    TRY(rob_bound_create(ctx, "auto", &bound));
    TRY(rob_bound_radius(ctx, bound, query, lower, N));       /* none is nearer: proved   */

    for (int64_t i = 0; i < count; i++)
        printf("series %2d: safe within %.4f, broken at %.4f\n", (int)i, lower[i], upper[i]);
done:
    if (status < ROB_OK)
        fprintf(stderr, "%s: %s\n", rob_status_string(status), rob_ctx_error(ctx));
    rob_bound_free(bound); rob_attack_free(attack); rob_query_free(query);
    rob_data_free(data);   rob_model_free(model);   rob_ctx_free(ctx);
    return status < ROB_OK;
}
