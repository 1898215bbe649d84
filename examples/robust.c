/* robust.c -- the command line: simulate, train, predict, attack, certify.
 *
 *   robust simulate --out transits.tsv --count 1000
 *   robust train transits.tsv --recipe "lstm hidden=32" --out model.safetensors
 *   robust predict model.safetensors test.tsv
 *   robust certify model.safetensors test.tsv --norm l2 --attack auto
 *
 * Every option of the library is reached by --set name=value. Bad options and bad files
 * get one line and exit code 2; an interrupted run prints what it has and exits with 1.
 */
#include <robust.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRY(call) do { if ((status = (call)) < ROB_OK) goto done; } while (0)
enum { MOST_SETS = 32, MOST_FILES = 8, EXIT_BAD = 2 };

static rob_ctx *ctx;
static void interrupt(int signo) { (void)signo; rob_ctx_cancel(ctx); }

typedef struct arguments {
    const char *command, *file[MOST_FILES], *set[MOST_SETS];
    int files, sets;
    const char *out, *recipe, *norm, *method, *attack, *classes, *valid, *reference, *units;
    double radius, seed, threads, count, first, steps, share;
    bool json, quiet, timed;
} arguments;

/* ---- what each command takes --------------------------------------------------------- */

typedef struct option { const char *name, *unit, *doc, *commands; size_t text, number, flag; } option;
#define TEXT(field) offsetof(arguments, field), 0, 0
#define NUMBER(field) 0, offsetof(arguments, field), 0
#define FLAG(field) 0, 0, offsetof(arguments, field)
#define ALL "simulate train predict attack certify"

static const option OPTIONS[] = {
    {"--out", "FILE", "where to write", "simulate train", TEXT(out)},
    {"--count", "N", "how many series (default: simulate 1000, attack and certify 16)",
     "simulate attack certify", NUMBER(count)},
    {"--first", "I", "first series, from 0", "attack certify", NUMBER(first)},
    {"--steps", "T", "points of a simulated series (default 128)", "simulate", NUMBER(steps)},
    {"--share", "P", "share held out for testing; written to OUT with .test before the ending",
     "simulate", NUMBER(share)},
    {"--recipe", "TEXT", "architecture, where the file does not carry it (docs/recipe.md)",
     "train predict attack certify", TEXT(recipe)},
    {"--classes", "A,B", "label values in the order of the model's outputs",
     "train predict attack certify", TEXT(classes)},
    {"--valid", "FILE", "series for early stopping (default: a fifth of the data)", "train",
     TEXT(valid)},
    {"--norm", "NAME", "l1, l2 or linf (default l2)", "attack certify", TEXT(norm)},
    {"--radius", "R", "size of the ball: margins at R; without it distances", "attack certify",
     NUMBER(radius)},
    {"--units", "NAME", "data or model: what a radius is measured in (default data)",
     "attack certify", TEXT(units)},
    {"--reference", "NAME", "prediction or label (default prediction)", "attack certify",
     TEXT(reference)},
    {"--method", "NAME", "attack: fgsm pgd deepfool auto; certify: interval crown auto",
     "attack certify", TEXT(method)},
    {"--attack", "NAME", "attack as well and print the sandwich", "certify", TEXT(attack)},
    {"--seed", "N", "seed of every random number (default 1)", ALL, NUMBER(seed)},
    {"--threads", "N", "worker threads (default 2)", ALL, NUMBER(threads)},
    {"--json", NULL, "print JSON instead of text", "predict attack certify", FLAG(json)},
    {"--quiet", NULL, "no progress on the terminal", ALL, FLAG(quiet)},
};
enum { OPTION_COUNT = sizeof OPTIONS / sizeof *OPTIONS };

static int complain(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("robust: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    return EXIT_BAD;
}

static bool is_word_of(const char *word, const char *list)
{
    size_t n = strlen(word);
    for (const char *p = list; (p = strstr(p, word)) != NULL; p += n)
        if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == 0)) return true;
    return false;
}

static int help(const char *command)
{
    static const char *const USAGE[][2] = {
        {"simulate", "simulate --out FILE: transit light curves with labels (UCR .tsv)"},
        {"train", "train DATA --recipe TEXT --out MODEL: fit a model"},
        {"predict", "predict MODEL DATA: classes and accuracy beside the majority baseline"},
        {"attack", "attack MODEL DATA: how near is a misclassified series"},
        {"certify", "certify MODEL DATA: within which radius is none, proved"},
    };
    if (command == NULL) puts("robust " "-- how robust is this sequence model?\n");
    for (size_t i = 0; i < sizeof USAGE / sizeof *USAGE; i++)
        if (command == NULL || strcmp(command, USAGE[i][0]) == 0)
            printf("  robust %s\n", USAGE[i][1]);
    if (command == NULL) return puts("\n  robust help COMMAND lists a command's options"), 0;
    if (!is_word_of(command, ALL))
        return complain("no command '%s'; there are: %s", command, ALL);
    for (int i = 0; i < OPTION_COUNT; i++)
        if (is_word_of(command, OPTIONS[i].commands))
            printf("    %-12s %-5s %s\n", OPTIONS[i].name,
                   OPTIONS[i].unit ? OPTIONS[i].unit : "", OPTIONS[i].doc);
    puts("    --set NAME=VALUE   any option of the library, may be repeated");
    return 0;
}

/* ---- reading the command line -------------------------------------------------------- */

static int read_number(const char *name, const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    if (end == text || *end != 0 || isnan(*out))
        return complain("%s takes a number, not '%s'", name, text);
    return 0;
}

static int read_option(arguments *a, const char *name, const char *value, int *used)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const option *o = &OPTIONS[i];
        if (strcmp(o->name, name) != 0) continue;
        if (!is_word_of(a->command, o->commands))
            return complain("%s is no option of %s; see: robust help %s", name, a->command,
                            a->command);
        *used = o->flag == 0;
        if (o->flag != 0) return *(bool *)((char *)a + o->flag) = true, 0;
        if (value == NULL) return complain("%s takes a value (%s)", name, o->unit);
        if (o->text != 0) return *(const char **)((char *)a + o->text) = value, 0;
        return read_number(name, value, (double *)((char *)a + o->number));
    }
    return complain("no option '%s'; see: robust help %s", name, a->command);
}

static int read_set(arguments *a, const char *value)
{
    if (value == NULL || strchr(value, '=') == NULL)
        return complain("--set takes name=value");
    if (a->sets == MOST_SETS) return complain("at most %d --set", MOST_SETS);
    a->set[a->sets++] = value;
    return 0;
}

static int read_arguments(arguments *a, int argc, char **argv)
{
    *a = (arguments){.command = argv[1], .radius = INFINITY, .seed = 1, .threads = 2,
                     .steps = 128, .norm = "l2", .method = "auto", .reference = "prediction",
                     .units = "data"};
    if (!is_word_of(a->command, ALL))
        return complain("no command '%s'; there are: %s help", a->command, ALL);
    for (int i = 2, used; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        int bad = 0;
        used = 0;
        if (strcmp(argv[i], "--set") == 0) bad = read_set(a, next), used = 1;
        else if (argv[i][0] == '-' && argv[i][1] == '-') bad = read_option(a, argv[i], next, &used);
        else if (a->files == MOST_FILES) bad = complain("too many files");
        else a->file[a->files++] = argv[i];
        if (bad != 0) return bad;
        i += used;
    }
    return 0;
}

/* ---- pieces the commands share ------------------------------------------------------- */

static int32_t show_progress(void *user, const char *stage, int64_t done, int64_t total)
{
    (void)user;
    fprintf(stderr, "\r%-24s %3d %%", stage, total > 0 ? (int)(100 * done / total) : 0);
    if (done >= total) fputs("\r                              \r", stderr);
    return 0;
}

static double seconds(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef rob_status set_number(void *handle, const char *name, double value);
static rob_status set_data(void *h, const char *n, double v) { return rob_data_set(ctx, h, n, v); }
static rob_status set_trainer(void *h, const char *n, double v) { return rob_trainer_set(ctx, h, n, v); }
static rob_status set_attack(void *h, const char *n, double v) { return rob_attack_set(ctx, h, n, v); }
static rob_status set_bound(void *h, const char *n, double v) { return rob_bound_set(ctx, h, n, v); }

/* Give every --set to a handle; a prefix "attack." or "bound." names one of two. */
static rob_status apply_sets(const arguments *a, const char *prefix, set_number *set, void *handle)
{
    rob_status status = ROB_OK;
    for (int i = 0; i < a->sets && status == ROB_OK; i++) {
        const char *text = a->set[i], *dot = strchr(text, '.');
        const char *equals = strchr(text, '=');
        char name[64];
        if (dot != NULL && dot < equals) {
            if (strncmp(text, prefix, strlen(prefix)) != 0) continue;
            text = dot + 1;
        } else if (a->attack != NULL && strcmp(prefix, "attack.") == 0) {
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
        status = set(handle, name, strtod(equals + 1, NULL));
    }
    return status;
}

static rob_status open_data(const arguments *a, const char *path, rob_data **out)
{
    rob_status status;
    TRY(rob_data_create(ctx, out));
    if (a->classes != NULL) TRY(rob_data_set_text(ctx, *out, "classes", a->classes));
    TRY(rob_data_read(ctx, *out, path));
done:
    return status;
}

static double majority_share(const rob_data *data)
{
    int64_t n = rob_data_count(data), most = 0, label;
    for (int64_t c = 0; c < rob_data_classes(data); c++) {
        int64_t here = 0;
        for (int64_t i = 0; i < n; i++)
            if (rob_data_get(ctx, data, i, NULL, 0, NULL, NULL, &label) == ROB_OK) here += label == c;
        most = here > most ? here : most;
    }
    return n > 0 ? (double)most / (double)n : 0;
}

/* Predictions of every series through a query: the same numbers every method sees. */
static rob_status predict_all(const rob_model *model, const rob_data *data, int64_t *right)
{
    rob_status status;
    rob_query *query = NULL;
    double prediction;
    int64_t label, count;
    *right = 0;
    TRY(rob_query_create(ctx, model, &query));
    TRY(rob_query_add_data(ctx, query, data, 0, rob_data_count(data)));
    for (int64_t i = 0; i < rob_data_count(data); i++) {
        TRY(rob_query_get(ctx, query, "prediction", i, &prediction, 1, &count));
        TRY(rob_data_get(ctx, data, i, NULL, 0, NULL, NULL, &label));
        *right += (int64_t)prediction == label;
    }
done:
    rob_query_free(query);
    return status;
}

static rob_status print_accuracy(const char *what, const rob_model *model, const rob_data *data)
{
    int64_t right, n = rob_data_count(data);
    rob_status status = predict_all(model, data, &right);
    if (status == ROB_OK)
        printf("%s: accuracy %.4f on %" PRId64 " series (always the commonest class: %.4f)\n",
               what, (double)right / (double)n, n, majority_share(data));
    return status;
}

/* ---- simulate, train, predict -------------------------------------------------------- */

static void name_of_test(const char *path, char *out, size_t capacity)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    if (dot == NULL || (slash != NULL && dot < slash)) dot = path + strlen(path);
    snprintf(out, capacity, "%.*s.test%s", (int)(dot - path), path, dot);
}

static rob_status simulate(const arguments *a)
{
    rob_status status;
    rob_data *data = NULL, *test = NULL;
    char path[1024];
    TRY(rob_data_create(ctx, &data));
    TRY(rob_data_set(ctx, data, "steps", a->steps));
    TRY(apply_sets(a, "data.", set_data, data));
    TRY(rob_data_simulate(ctx, data, "transits", a->count > 0 ? (int64_t)a->count : 1000));
    if (a->share > 0) {
        name_of_test(a->out, path, sizeof path);
        TRY(rob_data_split(ctx, data, a->share, &test));
        TRY(rob_data_save(ctx, test, path));
        printf("wrote %" PRId64 " series to %s\n", rob_data_count(test), path);
    }
    TRY(rob_data_save(ctx, data, a->out));
    printf("wrote %" PRId64 " series to %s\n", rob_data_count(data), a->out);
done:
    rob_data_free(data);
    rob_data_free(test);
    return status;
}

static rob_status start_model(const arguments *a, const rob_data *data, rob_model **out)
{
    char recipe[1024];
    int64_t features = 1;
    rob_status status = rob_data_get(ctx, data, 0, NULL, 0, NULL, &features, NULL);
    if (status < ROB_OK) return status;
    snprintf(recipe, sizeof recipe, "%s features=%" PRId64 " outputs=%" PRId64,
             a->recipe ? a->recipe : "lstm hidden=32", features, rob_data_classes(data));
    return rob_model_create(ctx, recipe, out);
}

static rob_status train(const arguments *a)
{
    rob_status status;
    rob_data *data = NULL, *valid = NULL;
    rob_model *start = NULL, *model = NULL;
    rob_trainer *trainer = NULL;
    double begun = seconds();
    TRY(open_data(a, a->file[0], &data));
    TRY(start_model(a, data, &start));
    if (a->valid != NULL) TRY(open_data(a, a->valid, &valid));
    else TRY(rob_data_split(ctx, data, 0.2, &valid));
    TRY(rob_trainer_create(ctx, &trainer));
    TRY(apply_sets(a, "trainer.", set_trainer, trainer));
    TRY(rob_trainer_run(ctx, trainer, start, data, valid, &model));
    TRY(rob_model_save(ctx, model, a->out));
    printf("trained in %.1f s, model saved to %s\n", seconds() - begun, a->out);
    TRY(print_accuracy("fitted series", model, data));
    TRY(print_accuracy("held-out series", model, valid));
done:
    rob_trainer_free(trainer);
    rob_model_free(start);
    rob_model_free(model);
    rob_data_free(data);
    rob_data_free(valid);
    return status;
}

static rob_status predict(const arguments *a)
{
    rob_status status;
    rob_model *model = NULL;
    rob_data *data = NULL;
    int64_t right, n;
    TRY(rob_model_load(ctx, a->file[0], a->recipe, &model));
    TRY(open_data(a, a->file[1], &data));
    n = rob_data_count(data);
    TRY(predict_all(model, data, &right));
    if (a->json)
        printf("{\"series\": %" PRId64 ", \"accuracy\": %.6f, \"majority\": %.6f}\n", n,
               (double)right / (double)n, majority_share(data));
    else TRY(print_accuracy(a->file[1], model, data));
done:
    rob_model_free(model);
    rob_data_free(data);
    return status;
}

/* ---- attack, certify ------------------------------------------------------------------- */

static rob_status ask(const arguments *a, const rob_model *model, const rob_data *data,
                      rob_query **query)
{
    static const char *const NORM[] = {"l1", "l2", "linf"};
    static const int32_t CODE[] = {ROB_NORM_L1, ROB_NORM_L2, ROB_NORM_LINF};
    rob_status status;
    int64_t n = rob_data_count(data), first = (int64_t)a->first;
    int64_t count = a->count > 0 ? (int64_t)a->count : 16;
    int k = 0;
    while (k < 3 && strcmp(a->norm, NORM[k]) != 0) k++;
    if (k == 3) return complain("--norm is l1, l2 or linf, not '%s'", a->norm), -1;
    if (first < 0 || first >= n)
        return complain("--first: there are %" PRId64 " series", n), -1;
    TRY(rob_query_create(ctx, model, query));
    TRY(rob_query_add_data(ctx, *query, data, first, first + count > n ? n - first : count));
    TRY(rob_query_set_units(ctx, *query, strcmp(a->units, "model") == 0 ? ROB_UNITS_MODEL
                                                                        : ROB_UNITS_DATA));
    TRY(rob_query_set_ball(ctx, *query, CODE[k], a->radius));
    TRY(rob_query_set_reference(ctx, *query, strcmp(a->reference, "label") == 0
                                                 ? ROB_REFERENCE_LABEL
                                                 : ROB_REFERENCE_PREDICTION));
done:
    return status;
}

static rob_status run_attack(const arguments *a, const char *method, rob_query *q, double *upper,
                             int64_t n)
{
    rob_status status;
    rob_attack *attack = NULL;
    TRY(rob_attack_create(ctx, method, &attack));
    TRY(apply_sets(a, "attack.", set_attack, attack));
    if (isinf(a->radius)) TRY(rob_attack_distance(ctx, attack, q, upper, n));
    else TRY(rob_attack_margin(ctx, attack, q, upper, n));
done:
    rob_attack_free(attack);
    return status;
}

static rob_status run_bound(const arguments *a, rob_query *q, double *lower, int64_t n)
{
    rob_status status;
    rob_bound *bound = NULL;
    TRY(rob_bound_create(ctx, a->method, &bound));
    TRY(apply_sets(a, "bound.", set_bound, bound));
    if (isinf(a->radius)) TRY(rob_bound_radius(ctx, bound, q, lower, n));
    else TRY(rob_bound_margin(ctx, bound, q, lower, n));
done:
    rob_bound_free(bound);
    return status;
}

static void print_number(double v)
{
    if (isfinite(v)) printf("%.9g", v);
    else fputs("null", stdout);
}

static void print_row(const arguments *a, int64_t i, const double *lower, const double *upper,
                      bool last)
{
    bool distance = isinf(a->radius);
    if (a->json) {
        printf("    {\"series\": %" PRId64, i + (int64_t)a->first);
        if (lower) fputs(distance ? ", \"lower\": " : ", \"margin_lower\": ", stdout), print_number(*lower);
        if (upper) fputs(distance ? ", \"upper\": " : ", \"margin_upper\": ", stdout), print_number(*upper);
        printf("}%s\n", last ? "" : ",");
        return;
    }
    printf("series %3" PRId64 ":", i + (int64_t)a->first);
    if (lower) printf(distance ? " safe within %.6g" : " margin at least %.6g", *lower);
    if (lower && upper) fputc(',', stdout);
    if (upper && distance && isinf(*upper)) fputs(" no way to break it found", stdout);
    else if (upper) printf(distance ? " broken at %.6g" : " margin as low as %.6g", *upper);
    if (!distance && upper && *upper <= 0) fputs(" (broken)", stdout);
    if (!distance && lower && *lower > 0) fputs(" (proved)", stdout);
    fputc('\n', stdout);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median of U/L over the series that have both. */
static void print_ratio(const double *lower, const double *upper, int64_t n)
{
    double ratio[4096];
    int64_t k = 0;
    for (int64_t i = 0; i < n && k < 4096; i++)
        if (lower[i] > 0 && isfinite(upper[i])) ratio[k++] = upper[i] / lower[i];
    if (k == 0) return;
    qsort(ratio, (size_t)k, sizeof *ratio, by_size);
    printf("broken / safe: median %.3g over %" PRId64 " series\n", ratio[k / 2], k);
}

static void print_results(const arguments *a, const double *lower, const double *upper, int64_t n,
                          double took)
{
    if (a->json) printf("{\n  \"seconds\": %.3f,\n  \"series\": [\n", took);
    for (int64_t i = 0; i < n; i++)
        print_row(a, i, lower ? lower + i : NULL, upper ? upper + i : NULL, i + 1 == n);
    if (a->json) puts("  ]\n}");
    if (a->json) return;
    if (lower && upper && isinf(a->radius)) print_ratio(lower, upper, n);
    printf("%" PRId64 " series, %s ball, %s units, %.1f s\n", n, a->norm, a->units, took);
}

static rob_status attack_or_certify(const arguments *a)
{
    rob_status status;
    rob_model *model = NULL;
    rob_data *data = NULL;
    rob_query *query = NULL;
    double *lower = NULL, *upper = NULL, begun = seconds();
    bool certifies = strcmp(a->command, "certify") == 0;
    const char *attack = certifies ? a->attack : a->method;
    TRY(rob_model_load(ctx, a->file[0], a->recipe, &model));
    TRY(open_data(a, a->file[1], &data));
    if (!a->json) TRY(print_accuracy(a->file[1], model, data));
    TRY(ask(a, model, data, &query));
    int64_t n = rob_query_count(query);
    if (certifies) lower = calloc((size_t)n, sizeof *lower);
    if (attack != NULL) upper = calloc((size_t)n, sizeof *upper);
    if (upper) TRY(run_attack(a, attack, query, upper, n));
    if (lower && status == ROB_OK) TRY(run_bound(a, query, lower, n));
    print_results(a, lower, upper, n, seconds() - begun);
done:
    free(lower);
    free(upper);
    rob_query_free(query);
    rob_data_free(data);
    rob_model_free(model);
    return status;
}

/* ---- main ------------------------------------------------------------------------------- */

static int check_files(const arguments *a)
{
    static const char *const NEEDS[][2] = {{"train", "DATA"}, {"predict", "MODEL DATA"},
                                           {"attack", "MODEL DATA"}, {"certify", "MODEL DATA"}};
    bool writes = strcmp(a->command, "simulate") == 0 || strcmp(a->command, "train") == 0;
    if (writes && a->out == NULL) return complain("%s needs --out FILE", a->command);
    for (size_t i = 0; i < sizeof NEEDS / sizeof *NEEDS; i++) {
        if (strcmp(a->command, NEEDS[i][0]) != 0) continue;
        int needed = strchr(NEEDS[i][1], ' ') ? 2 : 1;
        if (a->files != needed)
            return complain("usage: robust %s %s; see: robust help %s", a->command, NEEDS[i][1],
                            a->command);
    }
    return 0;
}

static rob_status run(const arguments *a)
{
    if (strcmp(a->command, "simulate") == 0) return simulate(a);
    if (strcmp(a->command, "train") == 0) return train(a);
    if (strcmp(a->command, "predict") == 0) return predict(a);
    return attack_or_certify(a);
}

int main(int argc, char **argv)
{
    arguments a;
    if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    if (strcmp(argv[1], "--version") == 0)
        return printf("robust %s\n%s\n", rob_version(), rob_build_info()), 0;
    int bad = read_arguments(&a, argc, argv);
    if (bad == 0) bad = check_files(&a);
    if (bad != 0) return bad;
    rob_status status = rob_ctx_create(&ctx);
    if (status < ROB_OK) return complain("%s", rob_status_string(status));
    signal(SIGINT, interrupt);
    if (!a.quiet) rob_ctx_set_progress(ctx, show_progress, NULL);
    rob_ctx_set_seed(ctx, (uint64_t)a.seed);
    status = rob_ctx_set_threads(ctx, (int32_t)a.threads);
    if (status == ROB_OK) status = run(&a);
    if (status < ROB_OK && rob_ctx_error(ctx)[0] != 0)
        complain("%s: %s", rob_status_string(status), rob_ctx_error(ctx));
    if (status == ROB_STOPPED) fputs("stopped: what was done is above\n", stderr);
    rob_ctx_free(ctx);
    return status < ROB_OK ? EXIT_BAD : status;
}
