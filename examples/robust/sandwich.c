/* sandwich.c -- attack and certify: broken at, safe within. */
#include "robust.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rob_status set_attack(void *h, const char *n, double v) { return rob_attack_set(ctx, h, n, v); }
static rob_status set_bound(void *h, const char *n, double v) { return rob_bound_set(ctx, h, n, v); }

/* Code of a norm; -1 and a line where there is none. */
static int32_t norm_of(const arguments *a)
{
    static const char *const NORM[] = {"l0", "l1", "l2", "linf"};
    static const int32_t CODE[] = {ROB_NORM_L0, ROB_NORM_L1, ROB_NORM_L2, ROB_NORM_LINF};
    int k = 0;
    while (k < 4 && strcmp(a->norm, NORM[k]) != 0) k++;
    if (k == 4) return complain("--norm is l0, l1, l2 or linf, not '%s'", a->norm), -1;
    return CODE[k];
}

rob_status ask_radius(const arguments *a, rob_query *q, double radius)
{
    return rob_query_set_ball(ctx, q, norm_of(a), radius);
}

rob_status ask(const arguments *a, const rob_model *model, const rob_data *data,
               rob_query **query)
{
    rob_status status;
    int64_t n = rob_data_count(data), first = (int64_t)a->first;
    int64_t count = a->count > 0 ? (int64_t)a->count : 16;
    const int32_t norm = norm_of(a);
    if (norm < 0) return -1;
    if (first < 0 || first >= n)
        return complain("--first: there are %" PRId64 " series", n), -1;
    TRY(rob_query_create(ctx, model, query));
    TRY(rob_query_add_data(ctx, *query, data, first, first + count > n ? n - first : count));
    TRY(rob_query_set_units(ctx, *query, strcmp(a->units, "model") == 0 ? ROB_UNITS_MODEL
                                                                        : ROB_UNITS_DATA));
    TRY(rob_query_set_ball(ctx, *query, norm, a->radius));
    TRY(rob_query_set_reference(ctx, *query, strcmp(a->reference, "label") == 0
                                                 ? ROB_REFERENCE_LABEL
                                                 : ROB_REFERENCE_PREDICTION));
    if (is_forecast(model)) TRY(ask_deviation(a, *query));
done:
    return status;
}

/* What a column of numbers means. */
enum { DISTANCES, MARGINS, DEVIATIONS };

static int question(const arguments *a, const rob_model *model)
{
    if (isinf(a->radius)) return DISTANCES;
    return is_forecast(model) ? DEVIATIONS : MARGINS;
}

/* What a stopped run never came to is no answer: NAN, not 0 and not "nothing found". empty: what
 * a series it was at may still say. */
static rob_status forget_unrun(rob_status (*get)(const void *handle, double *calls, int64_t n,
                                                 int64_t *count),
                               const void *handle, double empty, double *value, int64_t n)
{
    int64_t count = 0;
    double *calls = calloc((size_t)n + 1, sizeof *calls);
    rob_status status = calls == NULL ? ROB_EMEMORY : get(handle, NULL, 0, &count);
    if (status == ROB_OK && count == n) status = get(handle, calls, n, NULL);
    for (int64_t i = 0; status == ROB_OK && i < n; i++)
        if (count != n || calls[i] == 0 || value[i] == empty) value[i] = NAN;
    free(calls);
    return status;
}

static rob_status attack_calls(const void *handle, double *calls, int64_t n, int64_t *count)
{
    return rob_attack_get(ctx, handle, "calls", -1, calls, n, count);
}

static rob_status bound_calls(const void *handle, double *calls, int64_t n, int64_t *count)
{
    return rob_bound_get(ctx, handle, "calls", -1, calls, n, count);
}

static rob_status run_attack(const arguments *a, const char *method, rob_query *q, int asked,
                             double *upper, int64_t n)
{
    rob_status status;
    rob_attack *attack = NULL;
    TRY(rob_attack_create(ctx, method, &attack));
    TRY(apply_sets(a, "attack.", set_attack, attack));
    if (asked == DISTANCES) TRY(rob_attack_distance(ctx, attack, q, upper, n));
    else TRY(rob_attack_margin(ctx, attack, q, upper, n));
    rob_status end = status;
    if (asked == DEVIATIONS)
        TRY(rob_attack_get(ctx, attack, "deviation", -1, upper, n, NULL));
    if (end == ROB_STOPPED) TRY(forget_unrun(attack_calls, attack, NAN, upper, n));
    status = end;
done:
    rob_attack_free(attack);
    return status;
}

/* What was proved of evaluation in float32, where --set float32=1 asked for it. */
static void print_single(const arguments *a, const rob_bound *bound, int64_t n)
{
    double single, margin;
    for (int64_t i = 0; i < n && !a->json; i++)
        if (rob_bound_get(ctx, bound, "float32", i, &single, 1, NULL) == ROB_OK
            && rob_bound_get(ctx, bound, "margin", i, &margin, 1, NULL) == ROB_OK
            && isfinite(single))
            printf("series %3" PRId64 ": margin in float32 at least %.6g, %.2g of it lost to rounding\n",
                   i + (int64_t)a->first, single, margin - single);
}

/* One perturbation for all series: at most how many fail. */
static double universal[3] = {-1};

static rob_status margins(const arguments *a, rob_bound *bound, rob_query *q, double *lower,
                          int64_t n)
{
    if (!a->universal) return rob_bound_margin(ctx, bound, q, lower, n);
    rob_status status, end;
    TRY(rob_bound_universal(ctx, bound, q, NULL));
    end = status;
    TRY(rob_bound_get(ctx, bound, "universal", -1, universal, 3, NULL));
    TRY(rob_bound_get(ctx, bound, "margin", -1, lower, n, NULL));
    status = end;
done:
    return status;
}

static void print_universal(const arguments *a)
{
    if (universal[0] < 0) return;
    if (a->json)
        printf(",\n  \"universal\": {\"most\": %.0f, \"held\": %.0f, \"not_proved\": %.0f}",
               universal[0], universal[1], universal[2]);
    else
        printf("one perturbation for all: at most %.0f of %.0f series fail (%.0f are not proved one by "
               "one)\n", universal[0], universal[1], universal[2]);
}

static rob_status run_bound(const arguments *a, rob_query *q, int asked, double *lower,
                            int64_t n)
{
    rob_status status;
    rob_bound *bound = NULL;
    TRY(rob_bound_create(ctx, a->method, &bound));
    TRY(apply_sets(a, "bound.", set_bound, bound));
    if (asked == DISTANCES) TRY(rob_bound_radius(ctx, bound, q, lower, n));
    else TRY(margins(a, bound, q, lower, n));
    print_single(a, bound, n);
    if (a->certificates && status == ROB_OK) TRY(write_certificates(a, bound, q, lower, n));
    rob_status end = status;
    if (asked == DEVIATIONS) TRY(rob_bound_get(ctx, bound, "deviation", -1, lower, n, NULL));
    if (end == ROB_STOPPED)
        TRY(forget_unrun(bound_calls, bound, asked == DISTANCES ? 0 : -INFINITY, lower, n));
    status = end;
done:
    rob_bound_free(bound);
    return status;
}

static void print_number(double v)
{
    if (isfinite(v)) printf("%.9g", v);
    else fputs("null", stdout);
}

/* Both distances once more, in the units the series had before they were scaled. */
static void print_own(const arguments *a, const rob_data *data, int64_t i, const double *lower,
                      const double *upper)
{
    char unit[32];
    double scale;
    if (!isinf(a->radius) || strcmp(a->units, "data") != 0
        || !own_unit(data, i + (int64_t)a->first, &scale, unit))
        return;
    if ((lower && isnan(*lower)) || (upper && isnan(*upper))) return;
    fputs(" (", stdout);
    if (lower) printf("%.4g", *lower * scale);
    if (lower && upper) fputs(", ", stdout);
    if (upper) printf("%.4g", *upper * scale);
    printf(" %s)", unit);
}

static void print_json(int64_t series, int asked, const double *lower, const double *upper,
                       bool last)
{
    static const char *const LOWER[] = {"lower", "margin_lower", "deviation_proved"};
    static const char *const UPPER[] = {"upper", "margin_upper", "deviation_found"};
    printf("    {\"series\": %" PRId64, series);
    if (lower) printf(", \"%s\": ", LOWER[asked]), print_number(*lower);
    if (upper) printf(", \"%s\": ", UPPER[asked]), print_number(*upper);
    if ((lower && isnan(*lower)) || (upper && isnan(*upper))) fputs(", \"run\": false", stdout);
    printf("}%s\n", last ? "" : ",");
}

static void print_row(const arguments *a, const rob_data *data, int64_t i, int asked,
                      const double *lower, const double *upper)
{
    bool distance = asked == DISTANCES;
    printf("series %3" PRId64 ":", i + (int64_t)a->first);
    if ((!lower || isnan(*lower)) && (!upper || isnan(*upper))) {
        puts(" not run");
        return;
    }
    if (upper && isnan(*upper)) fputs(" attack not run", stdout), upper = NULL;
    else if (asked == DEVIATIONS && upper) printf(" the forecast moves by %.6g", *upper);
    if (asked == DEVIATIONS) {
        if (lower && upper) fputc(',', stdout);
        if (lower && isnan(*lower)) fputs(" proof not run", stdout);
        else if (lower) printf(" by no more than %.6g (proved)", *lower);
        fputc('\n', stdout);
        return;
    }
    if (lower && isnan(*lower)) fputs(" proof not run", stdout);
    else if (lower) printf(distance ? " safe within %.6g" : " margin at least %.6g", *lower);
    if (lower && upper) fputc(',', stdout);
    if (upper && distance && isinf(*upper)) fputs(" no way to break it found", stdout);
    else if (upper) printf(distance ? " broken at %.6g" : " margin as low as %.6g", *upper);
    if (!distance && upper && *upper <= 0) fputs(" (broken)", stdout);
    if (!distance && lower && *lower > 0) fputs(" (proved)", stdout);
    print_own(a, data, i, lower, upper);
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

static void print_results(const arguments *a, const rob_data *data, int asked,
                          const double *lower, const double *upper, int64_t n, double took)
{
    if (a->json) printf("{\n  \"seconds\": %.3f,\n  \"series\": [\n", took);
    for (int64_t i = 0; i < n; i++) {
        const double *l = lower ? lower + i : NULL, *u = upper ? upper + i : NULL;
        if (a->json) print_json(i + (int64_t)a->first, asked, l, u, i + 1 == n);
        else print_row(a, data, i, asked, l, u);
    }
    if (a->json) fputs("  ]", stdout);
    if (a->json) return;
    if (lower && upper && asked == DISTANCES) print_ratio(lower, upper, n);
    printf("%" PRId64 " series, %s ball, %s units, %.1f s\n", n, a->norm, a->units, took);
}

rob_status attack_or_certify(const arguments *a)
{
    rob_status status;
    rob_model *model = NULL;
    rob_data *data = NULL;
    rob_query *query = NULL;
    double *lower = NULL, *upper = NULL, begun = seconds();
    bool certifies = strcmp(a->command, "certify") == 0;
    const char *attack = certifies ? a->attack : a->method;
    if (!(a->lipschitz >= 0) || isinf(a->lipschitz))
        return complain("--lipschitz needs a radius above 0, not %g", a->lipschitz), -1;
    TRY(rob_model_load(ctx, a->file[0], a->recipe, &model));
    TRY(open_data_for(a, a->file[1], model, &data));
    int asked = question(a, model);
    if (a->universal && asked == DISTANCES) {
        complain("--universal needs --radius");
        status = ROB_EARGUMENT;
        goto done;
    }
    if (!a->json) TRY(print_score(a->file[1], model, data));
    TRY(ask(a, model, data, &query));
    int64_t n = rob_query_count(query);
    if (certifies) lower = calloc((size_t)n, sizeof *lower);
    if (attack != NULL) upper = calloc((size_t)n, sizeof *upper);
    if (upper) TRY(run_attack(a, attack, query, asked, upper, n));
    for (int64_t i = 0; lower && i < n; i++) lower[i] = NAN;
    if (lower && status == ROB_OK) TRY(run_bound(a, query, asked, lower, n));
    print_results(a, data, asked, lower, upper, n, seconds() - begun);
    print_universal(a);
    if (a->diagnose && status == ROB_OK) status = diagnose(a, query);
    if (certifies && a->lipschitz != 0 && status == ROB_OK) status = certify_gradients(a, query);
    if (a->json) puts("\n}");
done:
    free(lower);
    free(upper);
    rob_query_free(query);
    rob_data_free(data);
    rob_model_free(model);
    return status;
}
