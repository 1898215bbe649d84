/* callback.c -- any inference engine: give the library two functions, or only the first.
 * The "engine" here is a matched filter: how much of two templates is in the series? In
 * its place stands whatever you call ONNX Runtime, TFLite or your own firmware through. */
#include <robust.h>
#include <math.h>
#include <stdio.h>

#define TRY(call) do { if ((status = (call)) < ROB_OK) goto done; } while (0)
enum { T = 48, CLASSES = 2 };

typedef struct engine { double template[CLASSES][T]; long asked; } engine;

static int32_t logits(void *user, const double *x, int64_t rows, int64_t steps, double *out)
{
    engine *e = user;
    if (steps != T) return 1;                               /* not 0: the call ends in an error */
    e->asked += rows;
    for (int64_t r = 0; r < rows; r++)
        for (int k = 0; k < CLASSES; k++) {
            double sum = 0;
            for (int t = 0; t < T; t++) sum += e->template[k][t] * x[r * T + t];
            out[r * CLASSES + k] = sum;
        }
    return 0;
}

static int32_t pullback(void *user, const double *x, const double *seed, int64_t rows,
                        int64_t steps, double *grad)
{
    const engine *e = user;
    (void)x;
    for (int64_t r = 0; r < rows; r++)
        for (int t = 0; t < steps; t++) {
            grad[r * T + t] = 0;
            for (int k = 0; k < CLASSES; k++)
                grad[r * T + t] += seed[r * CLASSES + k] * e->template[k][t];
        }
    return 0;
}

static int nearest(rob_ctx *ctx, const char *method, rob_query *query, engine *e)
{
    rob_status status;
    rob_attack *attack = NULL;
    double upper;
    e->asked = 0;
    TRY(rob_attack_create(ctx, method, &attack));
    TRY(rob_attack_distance(ctx, attack, query, &upper, 1));
    printf("%-12s answers another class at distance %.4f (%ld series evaluated)\n", method,
           upper, e->asked);
done:
    rob_attack_free(attack);
    return status;
}

int main(void)
{
    rob_status status;
    rob_ctx *ctx = NULL;
    rob_model *model = NULL;
    rob_query *query = NULL;
    engine e = { .asked = 0 };
    double x[T];
    for (int t = 0; t < T; t++) {
        e.template[0][t] = sin(6.283185307179586 * t / T);
        e.template[1][t] = cos(6.283185307179586 * t / T);
        x[t] = e.template[0][t] + 0.3 * e.template[1][t];
    }
    TRY(rob_ctx_create(&ctx));
    TRY(rob_model_from_callback(ctx, 1, CLASSES, logits, pullback, &e, &model));
    TRY(rob_query_create(ctx, model, &query));
    TRY(rob_query_add(ctx, query, x, T, 0));
    TRY(rob_query_set_ball(ctx, query, ROB_NORM_L2, INFINITY));
    TRY(nearest(ctx, "auto", query, &e));           /* by gradients                       */
    TRY(nearest(ctx, "hopskipjump", query, &e));    /* by the answers alone               */
    TRY(rob_query_set_band_limit(ctx, query, 3));   /* slow changes only: three cosines   */
    TRY(nearest(ctx, "hopskipjump", query, &e));
done:
    if (status < ROB_OK) fprintf(stderr, "%s: %s\n", rob_status_string(status), rob_ctx_error(ctx));
    rob_query_free(query); rob_model_free(model); rob_ctx_free(ctx);
    return status < ROB_OK;
}
