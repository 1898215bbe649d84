/* bound.c -- how long a certified bound of an LSTM takes, and what it proves.
 *
 * One layer, one feature, two classes, weights PyTorch's uniform start times 2, the
 * series x_t = sin(0.37 t), an L2 ball of the whole sequence, one thread. Prints a line
 * of JSON for each size; seconds: processor time of a call, the best of ten below T = 50. With a folder as argument the models are saved there as
 * T_H.safetensors, for peers/lirpa.py to bound the same; a second argument is the
 * largest T to try.
 */
#include <robust.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static const struct size { int64_t steps, hidden; double eps; } sizes[] = {
    {5, 16, 0.1}, {10, 32, 0.1}, {28, 32, 0.1}, {50, 64, 0.05}, {140, 64, 0.01},
};

static rob_ctx *ctx;

static void must(rob_status status)
{
    if (status >= ROB_OK) return;
    fprintf(stderr, "bound: %s\n", rob_ctx_error(ctx));
    exit(1);
}

/* every tensor times 2 */
static rob_model *doubled(rob_model *m)
{
    static const char *const names[] = {
        "lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.bias_ih_l0", "lstm.bias_hh_l0",
        "fc.weight", "fc.bias",
    };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        rob_model *next;
        int64_t n;
        must(rob_model_get(ctx, m, names[k], NULL, 0, &n));
        double *v = malloc((size_t)n * sizeof *v);
        must(rob_model_get(ctx, m, names[k], v, n, &n));
        for (int64_t i = 0; i < n; i++) v[i] *= 2;
        must(rob_model_with(ctx, m, names[k], v, n, &next));
        rob_model_free(m);
        m = next;
        free(v);
    }
    return m;
}

static double number(const rob_bound *b, const char *what)
{
    double v;
    int64_t n;
    must(rob_bound_get(ctx, b, what, 0, &v, 1, &n));
    return v;
}

static void bench(const struct size *s, const char *folder)
{
    char recipe[128], path[512];
    rob_model *m;
    rob_query *q;
    rob_bound *b;
    double *x = malloc((size_t)s->steps * sizeof *x), margin, radius, clean;
    int64_t n;
    snprintf(recipe, sizeof recipe, "lstm features=1 hidden=%d outputs=2 readout=last",
             (int)s->hidden);
    must(rob_model_create(ctx, recipe, &m));
    m = doubled(m);
    for (int64_t t = 0; t < s->steps; t++) x[t] = sin(0.37 * (double)t);
    if (folder != NULL) {
        snprintf(path, sizeof path, "%s/%d_%d.safetensors", folder, (int)s->steps,
                 (int)s->hidden);
        must(rob_model_save(ctx, m, path));
    }
    must(rob_query_create(ctx, m, &q));
    must(rob_query_add(ctx, q, x, s->steps, -1));
    must(rob_query_get(ctx, q, "margin", 0, &clean, 1, &n));
    must(rob_bound_create(ctx, "crown", &b));
    must(rob_query_set_ball(ctx, q, ROB_NORM_L2, s->eps));
    double seconds = INFINITY;
    for (int k = 0; k < (s->steps < 50 ? 10 : 1); k++) {
        clock_t begun = clock();
        must(rob_bound_margin(ctx, b, q, &margin, 1));
        seconds = fmin(seconds, (double)(clock() - begun) / CLOCKS_PER_SEC);
    }
    must(rob_query_set_ball(ctx, q, ROB_NORM_L2, INFINITY));
    if (s->steps <= 50) must(rob_bound_radius(ctx, b, q, &radius, 1));
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("{\"tool\": \"robust\", \"T\": %d, \"H\": %d, \"eps\": %g, \"clean\": %.9g, "
           "\"margin\": %.9g, \"seconds\": %.4f, \"MB\": %ld", (int)s->steps,
           (int)s->hidden, s->eps, clean, margin, seconds, use.ru_maxrss / 1024);
    if (s->steps <= 50)
        printf(", \"radius\": %.6g, \"calls\": %g, \"radius_seconds\": %.3f", radius,
               number(b, "calls"), number(b, "seconds"));
    printf("}\n");
    fflush(stdout);
    rob_bound_free(b);
    rob_query_free(q);
    rob_model_free(m);
    free(x);
}

int main(int argc, char **argv)
{
    int64_t longest = argc > 2 ? atoll(argv[2]) : INT64_MAX;
    must(rob_ctx_create(&ctx));
    must(rob_ctx_set_seed(ctx, 1));
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        if (sizes[k].steps <= longest) bench(&sizes[k], argc > 1 ? argv[1] : NULL);
    rob_ctx_free(ctx);
    return 0;
}
