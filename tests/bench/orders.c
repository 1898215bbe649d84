/* orders.c -- where which order of bound wins, on nets trained here.
 *
 * Elman (tanh), LSTM and GRU classifiers of a clean sine against the same sine in noise. For
 * each of N test series, L2 balls on the whole sequence: radii proved by intervals (order 0),
 * by linear relaxations (order 1), by the integral of certified gradients, and with quadratic
 * bounds (order 2); the certified norm of the gradient over its norm at the series, at shares
 * of the radius of order 1; what an attack breaks. slack.5: at half the radius of order 1, how
 * far order 1 is below what an attack finds, over how far order 2 is. C: certified norm of the
 * Hessian, up to 10 steps. With the word alpha: radius and seconds of alpha, and of alpha with
 * order 2.
 * usage: orders N T H [KIND [alpha]], or orders N MODEL DATA [RECIPE]; a line a net: medians over series.
 */
#define WAVE_PROGRAM "orders"
#include "waves.h"

#include <stdbool.h>
#include <string.h>

enum { MOST = 200, SHARES = 3, COLUMNS = 17 };
static const double SHARE[SHARES] = {0.01, 0.1, 0.5};

static bool by_alpha;

static double number(rob_bound *b, const char *what)
{
    double v = NAN;
    must(rob_bound_get(ctx, b, what, 0, &v, 1, NULL));
    return v;
}

static double radius_by(rob_query *q, const char *method, int order, double *seconds)
{
    rob_bound *b;
    double r;
    must(rob_query_set_ball(ctx, q, ROB_NORM_L2, INFINITY));
    must(rob_bound_create(ctx, method, &b));
    must(rob_bound_set(ctx, b, "order", order));
    must(rob_bound_set(ctx, b, "rounds", strcmp(method, "alpha") == 0 ? order : 0));
    must(rob_bound_radius(ctx, b, q, &r, 1));
    *seconds = number(b, "seconds");
    rob_bound_free(b);
    return r;
}

/* the margin proved; order 0: the least an attack finds */
static double margin_by(rob_query *q, double radius, int order)
{
    double m;
    must(rob_query_set_ball(ctx, q, ROB_NORM_L2, radius));
    if (order == 0) {
        rob_attack *a;
        must(rob_attack_create(ctx, "apgd", &a));
        must(rob_attack_margin(ctx, a, q, &m, 1));
        rob_attack_free(a);
        return m;
    }
    rob_bound *b;
    must(rob_bound_create(ctx, "crown", &b));
    must(rob_bound_set(ctx, b, "order", order));
    must(rob_bound_set(ctx, b, "rounds", 0));
    must(rob_bound_set(ctx, b, "enough", 1e300));
    must(rob_bound_margin(ctx, b, q, &m, 1));
    rob_bound_free(b);
    return m;
}

/* K on a ball; the radius by rings */
static double steepness(rob_query *q, double radius, int rings, double *smooth, double *seconds)
{
    rob_bound *b;
    double k;
    must(rob_query_set_ball(ctx, q, ROB_NORM_L2, radius));
    must(rob_bound_create(ctx, "crown", &b));
    must(rob_bound_set(ctx, b, "rings", rings));
    must(rob_bound_lipschitz(ctx, b, q, &k, 1));
    *smooth = number(b, "smooth");
    *seconds = number(b, "seconds");
    rob_bound_free(b);
    return k;
}

/* >= the norms of Hessians on a ball */
static double bent(rob_query *q, double radius)
{
    rob_bound *b;
    must(rob_query_set_ball(ctx, q, ROB_NORM_L2, radius));
    must(rob_bound_create(ctx, "crown", &b));
    must(rob_bound_set(ctx, b, "rings", 1));
    must(rob_bound_set(ctx, b, "curvature", 1));
    must(rob_bound_lipschitz(ctx, b, q, NULL, 0));
    const double c = number(b, "curvature");
    rob_bound_free(b);
    return c;
}

static double attacked(rob_query *q)
{
    rob_attack *a;
    double d;
    must(rob_query_set_ball(ctx, q, ROB_NORM_L2, INFINITY));
    must(rob_attack_create(ctx, "auto", &a));
    must(rob_attack_distance(ctx, a, q, &d, 1));
    rob_attack_free(a);
    return d;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v, int count)
{
    qsort(v, (size_t)count, sizeof *v, by_size);
    return count == 0 ? NAN : count % 2 ? v[count / 2] : 0.5 * (v[count / 2 - 1] + v[count / 2]);
}

static void study(const char *name, const rob_model *model, const rob_data *test, int count)
{
    static double column[COLUMNS][MOST];
    int n = 0;
    for (int i = 0; i < count; i++) {
        double x[256], none, seconds;
        int64_t length, features, label;
        rob_query *q;
        must(rob_data_get(ctx, test, i, x, 256, &length, &features, &label));
        must(rob_query_create(ctx, model, &q));
        must(rob_query_add(ctx, q, x, length, -1));
        const double crown = radius_by(q, "crown", 1, &column[9][n]);
        column[0][n] = attacked(q) / crown;
        column[1][n] = crown;
        column[2][n] = radius_by(q, "interval", 1, &none) / crown;
        const double slope = steepness(q, 1e-9, 1, &none, &seconds);
        for (int k = 0; k < SHARES; k++)
            column[3 + k][n] = steepness(q, SHARE[k] * crown, 1, &none, &seconds) / slope;
        steepness(q, crown, 10, &column[6][n], &seconds);
        column[6][n] /= crown;
        column[7][n] = radius_by(q, "crown", 2, &column[10][n]) / crown;
        const double seen = margin_by(q, 0.5 * crown, 0);
        column[8][n] = (seen - margin_by(q, 0.5 * crown, 1))
                       / (seen - margin_by(q, 0.5 * crown, 2));
        for (int k = 0; k < 2 && length <= 10; k++)
            column[11 + k][n] = bent(q, SHARE[k] * crown) / bent(q, 1e-9);
        for (int order = 1; order <= 2 && by_alpha; order++)
            column[11 + 2 * order][n] =
                radius_by(q, "alpha", order, &column[12 + 2 * order][n]) / crown;
        n++;
        rob_query_free(q);
    }
    printf("%-10s ", name);
    for (int c = 0; c < (by_alpha ? 17 : 13); c++) printf(" %8.4g", median(column[c], n));
    printf("\n");
    fflush(stdout);
}

static void study_trained(int kind, int steps, int hidden, int count)
{
    char name[64];
    rob_model *model = fitted(kind, steps, hidden);
    rob_data *test = waves(steps, count, 3);
    snprintf(name, sizeof name, "%s %d %d", KIND[kind], steps, hidden);
    study(name, model, test, count);
    rob_model_free(model);
    rob_data_free(test);
}

static void study_files(const char *path, const char *series, const char *recipe, int count)
{
    rob_model *model;
    rob_data *data;
    must(rob_model_load(ctx, path, recipe, &model));
    must(rob_data_create(ctx, &data));
    must(rob_data_read(ctx, data, series));
    study("published", model, data, count);
    rob_model_free(model);
    rob_data_free(data);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return fputs("usage: orders N T H [KIND [alpha]], orders N MODEL DATA [RECIPE]   "
                     "(with less: nothing to do)\n", stderr), 0;
    const int count = atoi(argv[1]), steps = atoi(argv[2]), hidden = atoi(argv[3]);
    const char *word = argc > 4 ? argv[4] : NULL;
    by_alpha = argc > 5;
    if (count < 1 || count > MOST || steps > 256) return 2;
    must(rob_ctx_create(&ctx));
    printf("net         attack/1  radius1      0/1  K.01/|J|  K.1/|J|  K.5/|J|  rings/1"
           "      2/1  slack.5      s 1      s 2  C.01/|H| C.1/|H|\n");
    if (steps < 1 || hidden < 1) study_files(argv[2], argv[3], word, count);
    for (int kind = 0; kind < 3 && steps > 0 && hidden > 0; kind++)
        if (word == NULL || strcmp(word, KIND[kind]) == 0)
            study_trained(kind, steps, hidden, count);
    rob_ctx_free(ctx);
    return 0;
}
