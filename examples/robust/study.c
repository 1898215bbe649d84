/* study.c -- study penalties: the same data, splits and seeds, five ways to train.
 *
 * plain, Jacobian penalty, Hessian penalty, adversarial and certified training; for each
 * seed a split into fitted, validation and test series, a start and a training. What is asked of the
 * test series afterwards is asked of all models alike.
 */
#include "robust.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

enum { SEEDS = 3, WAYS = 5, MOST_SERIES = 1000 };
enum {
    ACCURACY,
    ATTACKED,
    CERTIFIED,
    DISTANCE,
    GRADIENT,
    CURVATURE,
    CONDITION,
    LOGP,
    TIME,
    COLUMNS
};

static const char *const COLUMN[COLUMNS] = { "accuracy",  "attacked", "certified",
                                             "distance",  "gradient", "curvature",
                                             "condition", "log10_P",  "seconds" };
static const struct way {
    const char *name, *option;
    double value;
} WAY[WAYS] = {
    { "plain", NULL, 0 },
    { "jacobian", "jacobian", 0.05 },
    { "hessian", "hessian", 0.05 },
    { "adversarial", "adversarial", 0.3 },
    { "certified", "certified", 0.02 },
};

/* One data set's answers. */
typedef struct study {
    const char *name;
    int64_t tested;
    double radius, rho, majority[SEEDS], value[WAYS][SEEDS][COLUMNS];
    double distance[WAYS][SEEDS][MOST_SERIES]; /* 0: wrong */
} study;

static rob_status set_trainer(void *h, const char *n, double v)
{
    return rob_trainer_set(ctx, h, n, v);
}

/* ---- numbers --------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median of the numbers v with keep > 0 (keep NULL: all); NAN of none. */
static double median(const double *v, const double *keep, int64_t n)
{
    double kept[MOST_SERIES];
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(v[i]) && (keep == NULL || keep[i] > 0)) kept[k++] = v[i];
    if (k == 0) return NAN;
    qsort(kept, (size_t)k, sizeof *kept, ascending);
    return (kept[(k - 1) / 2] + kept[k / 2]) / 2;
}

static double share_above(const double *v, double least, int64_t n)
{
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++) k += v[i] > least;
    return (double)k / (double)n;
}

/* ---- what is asked of a model ---------------------------------------------------- */

static rob_status ask_distance(rob_query *q, study *s, int way, int seed)
{
    rob_status status;
    rob_attack *attack = NULL;
    double *out = s->distance[way][seed];
    TRY(rob_query_set_ball(ctx, q, ROB_NORM_L2, INFINITY));
    TRY(rob_attack_create(ctx, "auto", &attack));
    TRY(rob_attack_set(ctx, attack, "calls", 150));
    TRY(rob_attack_distance(ctx, attack, q, out, MOST_SERIES));
    if (status == ROB_STOPPED) goto done;
    s->value[way][seed][ATTACKED] = share_above(out, s->radius, s->tested);
    s->value[way][seed][DISTANCE] = median(out, out, s->tested);
done:
    rob_attack_free(attack);
    return status;
}

static rob_status ask_certified(rob_query *q, const study *s, double *value)
{
    rob_status status;
    rob_bound *bound = NULL;
    double lower[MOST_SERIES];
    TRY(rob_query_set_ball(ctx, q, ROB_NORM_L2, s->radius));
    TRY(rob_bound_create(ctx, "crown", &bound));
    TRY(rob_bound_margin(ctx, bound, q, lower, MOST_SERIES));
    if (status == ROB_STOPPED) goto done;
    value[CERTIFIED] = share_above(lower, 0, s->tested);
done:
    rob_bound_free(bound);
    return status;
}

/* Of the margin at the series: gradient = condition x margin / size, curvature =
 * largest magnitude of an eigenvalue of its Hessian. */
static rob_status ask_local(rob_query *q, const study *s, const double *right,
                            double *value)
{
    rob_status status;
    rob_condition *condition = NULL;
    rob_spectrum *spectrum = NULL;
    double relative[MOST_SERIES], size[MOST_SERIES], margin[MOST_SERIES];
    double ends[2 * MOST_SERIES], most[MOST_SERIES], slope[MOST_SERIES];
    TRY(rob_query_set_ball(ctx, q, ROB_NORM_L2, INFINITY));
    TRY(rob_condition_create(ctx, &condition));
    TRY(rob_condition_set(ctx, condition, "order", 1));
    TRY(rob_condition_set(ctx, condition, "projection", 0));
    TRY(rob_condition_set(ctx, condition, "weights", 0));
    TRY(rob_condition_compute(ctx, condition, q));
    if (status == ROB_STOPPED) goto done;
    TRY(rob_condition_get(ctx, condition, "relative", -1, relative, MOST_SERIES, NULL));
    TRY(rob_condition_get(ctx, condition, "size", -1, size, MOST_SERIES, NULL));
    TRY(rob_query_get(ctx, q, "margin", -1, margin, MOST_SERIES, NULL));
    TRY(rob_spectrum_create(ctx, &spectrum));
    TRY(rob_spectrum_set(ctx, spectrum, "margin", 1));
    TRY(rob_spectrum_extremes(ctx, spectrum, q, ends, 2 * MOST_SERIES));
    if (status == ROB_STOPPED) goto done;
    for (int64_t i = 0; i < s->tested; i++) {
        slope[i] = relative[i] * margin[i] / size[i];
        most[i] = fmax(fabs(ends[2 * i]), fabs(ends[2 * i + 1]));
    }
    value[GRADIENT] = median(slope, right, s->tested);
    value[CURVATURE] = median(most, right, s->tested);
    value[CONDITION] = median(relative, right, s->tested);
done:
    rob_condition_free(condition);
    rob_spectrum_free(spectrum);
    return status;
}

static rob_status ask_probability(rob_query *q, const study *s, const double *right,
                                  double *value)
{
    rob_status status;
    rob_sampler *sampler = NULL;
    double *logp = calloc(3 * MOST_SERIES, sizeof *logp), middle[MOST_SERIES];
    TRY(rob_sampler_create(ctx, "auto", &sampler));
    TRY(rob_sampler_set(ctx, sampler, "samples", 2000));
    TRY(rob_sampler_set(ctx, sampler, "particles", 64));
    TRY(rob_sampler_set(ctx, sampler, "budget", 30000));
    TRY(rob_sampler_curve(ctx, sampler, q, &s->rho, 1, logp, 3 * MOST_SERIES));
    if (status == ROB_STOPPED) goto done;
    for (int64_t i = 0; i < s->tested; i++) middle[i] = logp[3 * i] / log(10);
    value[LOGP] = median(middle, right, s->tested);
done:
    free(logp);
    rob_sampler_free(sampler);
    return status;
}

static rob_status ask_model(const rob_model *model, const rob_data *test, study *s,
                            int way, int seed)
{
    rob_status status;
    rob_query *q = NULL;
    double *value = s->value[way][seed], margin[MOST_SERIES];
    TRY(rob_query_create(ctx, model, &q));
    TRY(rob_query_add_data(ctx, q, test, 0, s->tested));
    TRY(rob_query_set_reference(ctx, q, ROB_REFERENCE_LABEL));
    TRY(rob_query_get(ctx, q, "margin", -1, margin, MOST_SERIES, NULL));
    value[ACCURACY] = share_above(margin, 0, s->tested);
    TRY(ask_distance(q, s, way, seed));
    if (status == ROB_STOPPED) goto done;
    TRY(ask_certified(q, s, value));
    if (status == ROB_STOPPED) goto done;
    TRY(ask_local(q, s, margin, value));
    if (status == ROB_STOPPED) goto done;
    TRY(ask_probability(q, s, margin, value));
done:
    rob_query_free(q);
    return status;
}

/* ---- training -------------------------------------------------------------------- */

static rob_status fit(const arguments *a, const rob_data *train, const rob_data *valid,
                      int way, rob_model **out)
{
    rob_status status;
    rob_model *start = NULL;
    rob_trainer *trainer = NULL;
    char recipe[1024];
    int64_t features;
    TRY(rob_data_get(ctx, train, 0, NULL, 0, NULL, &features, NULL));
    snprintf(recipe, sizeof recipe, "%s features=%" PRId64 " outputs=%" PRId64,
             a->recipe ? a->recipe : "lstm hidden=16 readout=mean", features,
             rob_data_classes(train));
    TRY(rob_model_create(ctx, recipe, &start));
    TRY(rob_trainer_create(ctx, &trainer));
    TRY(rob_trainer_set(ctx, trainer, "adversarial_steps", 5));
    if (WAY[way].option)
        TRY(rob_trainer_set(ctx, trainer, WAY[way].option, WAY[way].value));
    TRY(apply_sets(a, WAY[way].name, set_trainer, trainer));
    TRY(apply_sets(a, "trainer.", set_trainer, trainer));
    TRY(rob_trainer_run(ctx, trainer, start, train, valid, out));
done:
    rob_model_free(start);
    rob_trainer_free(trainer);
    return status;
}

/* Files joined by + are one data set. */
static rob_status open_joined(const arguments *a, const char *names, rob_data **out)
{
    rob_status status;
    char path[1024];
    TRY(rob_data_create(ctx, out));
    if (a->classes != NULL) TRY(rob_data_set_text(ctx, *out, "labels", a->classes));
    while (*names != 0) {
        size_t length = strcspn(names, "+");
        snprintf(path, sizeof path, "%.*s", (int)length, names);
        TRY(rob_data_read(ctx, *out, path));
        names += length + (names[length] == '+');
    }
done:
    return status;
}

static rob_status run_seed(const arguments *a, study *s, int seed)
{
    rob_status status;
    rob_data *data = NULL, *test = NULL, *valid = NULL;
    rob_model *model = NULL;
    TRY(open_joined(a, s->name, &data));
    TRY(rob_ctx_set_seed(ctx, (uint64_t)a->seed + (uint64_t)seed));
    TRY(rob_data_split(ctx, data, 0.3, &test));
    TRY(rob_data_split(ctx, data, 0.2, &valid));
    s->majority[seed] = majority_share(test);
    s->tested = rob_data_count(test);
    if (a->count > 0 && s->tested > (int64_t)a->count) s->tested = (int64_t)a->count;
    if (s->tested > MOST_SERIES) s->tested = MOST_SERIES;
    for (int way = 0; way < WAYS; way++) {
        double begun = seconds();
        TRY(fit(a, data, valid, way, &model));
        if (status == ROB_STOPPED) goto done;
        s->value[way][seed][TIME] = seconds() - begun;
        TRY(ask_model(model, test, s, way, seed));
        if (status == ROB_STOPPED) goto done;
        rob_model_free(model);
        model = NULL;
    }
done:
    rob_model_free(model);
    rob_data_free(data);
    rob_data_free(test);
    rob_data_free(valid);
    return status;
}

/* ---- the table ------------------------------------------------------------------- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void print_table(FILE *f, const study *s)
{
    fprintf(f,
            "%s: %" PRId64 " test series a seed, %d seeds: median (least .. most)\n"
            "always the commonest class: %.3f; radius %g, rho %g\n%-12s",
            base_name(s->name), s->tested, SEEDS, median(s->majority, NULL, SEEDS),
            s->radius, s->rho, "");
    for (int c = 0; c < COLUMNS; c++) fprintf(f, " %24s", COLUMN[c]);
    for (int w = 0; w < WAYS; w++) {
        fprintf(f, "\n%-12s", WAY[w].name);
        for (int c = 0; c < COLUMNS; c++) {
            double v[SEEDS], middle;
            for (int k = 0; k < SEEDS; k++) v[k] = s->value[w][k][c];
            qsort(v, SEEDS, sizeof *v, ascending);
            middle = median(v, NULL, SEEDS);
            fprintf(f, " %8.3g (%5.3g ..%6.3g)", middle, v[0], v[SEEDS - 1]);
        }
    }
    fputs("\n\n", f);
}

static void write_number(FILE *f, double v)
{
    if (isfinite(v)) fprintf(f, "%.9g", v);
    else fputs("null", f);
}

static void write_json(FILE *f, const study *s, bool last)
{
    fprintf(f,
            "  {\"data\": \"%s\", \"tested\": %" PRId64
            ", \"radius\": %.9g, \"rho\": %.9g, \"rows\": [",
            base_name(s->name), s->tested, s->radius, s->rho);
    for (int w = 0; w < WAYS; w++)
        for (int k = 0; k < SEEDS; k++) {
            fprintf(f, "%s\n    {\"training\": \"%s\", \"seed\": %d", w + k ? "," : "",
                    WAY[w].name, k);
            for (int c = 0; c < COLUMNS; c++) {
                fprintf(f, ", \"%s\": ", COLUMN[c]);
                write_number(f, s->value[w][k][c]);
            }
            fputc('}', f);
        }
    fprintf(f, "]}%s\n", last ? "" : ",");
}

/* ---- the figure ------------------------------------------------------------------ */

/* Share of the test series of all seeds that are right and hold to r, 60 radii. */
static void write_curves(FILE *f, const study *s, int number)
{
    double most = 0;
    for (int w = 0; w < WAYS; w++)
        for (int k = 0; k < SEEDS; k++)
            for (int64_t i = 0; i < s->tested; i++)
                if (isfinite(s->distance[w][k][i]))
                    most = fmax(most, s->distance[w][k][i]);
    fprintf(f, "$curves%d << END\n", number);
    for (int step = 0; step < 60; step++) {
        double r = fmin(most, 20 * s->radius) * step / 59;
        fprintf(f, "%g", r);
        for (int w = 0; w < WAYS; w++) {
            double sum = 0;
            for (int k = 0; k < SEEDS; k++)
                sum += share_above(s->distance[w][k], r, s->tested);
            fprintf(f, " %g", sum / SEEDS);
        }
        fputc('\n', f);
    }
    fprintf(f, "END\n$proved%d << END\n", number);
    for (int w = 0; w < WAYS; w++)
        for (int k = 0; k < SEEDS; k++)
            fprintf(f, "%g %g %d\n", s->radius, s->value[w][k][CERTIFIED], w + 1);
    fputs("END\n", f);
}

static void write_figure(FILE *f, const study *s, int studies, const char *out)
{
    fprintf(f,
            "set terminal svg size 480,%d font 'sans,13' background 'white'\n"
            "set output '%s/penalties.svg'\n",
            360 * studies, out);
    for (int i = 0; i < studies; i++) write_curves(f, &s[i], i);
    fprintf(f,
            "set multiplot layout %d,1\nset yrange [0:1]\nset xlabel 'L2 radius'\n"
            "set ylabel 'right and unbroken; marks: proved'\nset key below\n",
            studies);
    for (int i = 0; i < studies; i++) {
        fprintf(f, "set title '%s' noenhanced\nplot ", base_name(s[i].name));
        for (int w = 0; w < WAYS; w++)
            fprintf(
                f,
                "$curves%d using 1:%d with lines lw 2 lt %d dt %d title '%s', \\\n  ",
                i, w + 2, w + 1, w + 1, WAY[w].name);
        for (int w = 0; w < WAYS; w++)
            fprintf(f,
                    "$proved%d using ($3==%d?$1:NaN):2 with points pt %d lt %d "
                    "notitle%s",
                    i, w + 1, 2 * w + 1, w + 1, w + 1 < WAYS ? ", \\\n  " : "\n");
    }
    fputs("unset multiplot\n", f);
}

static void plot(const char *script)
{
    char *argv[] = { "gnuplot", (char *)script, NULL };
    pid_t child;
    int end = 0;
    if (posix_spawnp(&child, argv[0], NULL, NULL, argv, environ) != 0
        || waitpid(child, &end, 0) != child || end != 0)
        printf("no gnuplot: %s is the script of the figure\n", script);
}

static FILE *open_out(const arguments *a, const char *name, char *path, size_t capacity)
{
    snprintf(path, capacity, "%s/%s", a->out, name);
    FILE *f = fopen(path, "w");
    if (f == NULL) complain("%s: %s", path, strerror(errno));
    return f;
}

static rob_status write_all(const arguments *a, const study *s, int studies)
{
    char path[1024];
    FILE *f;
    mkdir(a->out, 0777);
    if ((f = open_out(a, "penalties.txt", path, sizeof path)) == NULL) return ROB_EIO;
    for (int i = 0; i < studies; i++) print_table(f, &s[i]), print_table(stdout, &s[i]);
    fclose(f);
    if ((f = open_out(a, "penalties.json", path, sizeof path)) == NULL) return ROB_EIO;
    fputs("[\n", f);
    for (int i = 0; i < studies; i++) write_json(f, &s[i], i + 1 == studies);
    fputs("]\n", f);
    fclose(f);
    if ((f = open_out(a, "penalties.gp", path, sizeof path)) == NULL) return ROB_EIO;
    write_figure(f, s, studies, a->out);
    fclose(f);
    plot(path);
    return ROB_OK;
}

/* Nothing is known: NAN in the table, null in the JSON. */
static void forget(study *s)
{
    for (int w = 0; w < WAYS; w++)
        for (int k = 0; k < SEEDS; k++)
            for (int c = 0; c < COLUMNS; c++) s->value[w][k][c] = NAN;
    for (int k = 0; k < SEEDS; k++) s->majority[k] = NAN;
}

rob_status run_study(const arguments *a)
{
    rob_status status = ROB_OK;
    if (a->files < 2 || strcmp(a->file[0], "penalties") != 0 || a->out == NULL)
        return complain("usage: robust study penalties DATA... --out DIR"),
               ROB_EARGUMENT;
    int studies = a->files - 1;
    study *s = calloc((size_t)studies, sizeof *s);
    if (s == NULL) return ROB_EMEMORY;
    for (int i = 0; i < studies; i++) {
        s[i].name = a->file[i + 1];
        s[i].radius = isfinite(a->radius) ? a->radius : 0.1;
        s[i].rho = 20 * s[i].radius;
        forget(&s[i]);
    }
    for (int k = 0; k < SEEDS * studies && status == ROB_OK; k++)
        TRY(run_seed(a, &s[k / SEEDS], k % SEEDS));
    rob_status ended = status; /* an interrupted study writes what it has */
    TRY(write_all(a, s, studies));
    status = ended;
done:
    free(s);
    return status;
}
