/* table.c -- probability, geometry, condition: one method, one table. */
#include "robust.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RADII = 64 };

static rob_status set_sampler(void *h, const char *n, double v)
{
    return rob_sampler_set(ctx, h, n, v);
}
static rob_status set_boundary(void *h, const char *n, double v)
{
    return rob_boundary_set(ctx, h, n, v);
}
static rob_status set_condition(void *h, const char *n, double v)
{
    return rob_condition_set(ctx, h, n, v);
}

/* ---- printing -------------------------------------------------------------------- */

static void print_cell(const arguments *a, const char *name, double v, bool first)
{
    if (a->json) printf("%s\"%s\": ", first ? "" : ", ", name);
    if (isfinite(v)) printf(a->json ? "%.9g" : " %16.6g", v);
    else if (a->json) fputs("null", stdout);
    else printf(" %16s", isnan(v) ? "-" : v > 0 ? "none found" : "-inf");
}

static void print_head(const arguments *a, const char *const *name, int columns)
{
    if (a->json) {
        puts("{\n  \"series\": [");
        return;
    }
    printf("%-6s", "series");
    for (int c = 0; c < columns; c++) printf(" %16s", name[c]);
    fputc('\n', stdout);
}

static void print_rows(const arguments *a, const char *const *name, int columns,
                       double *const *column, int64_t n)
{
    print_head(a, name, columns);
    for (int64_t i = 0; i < n; i++) {
        printf(a->json ? "    {\"series\": %" PRId64 ", " : "%-6" PRId64,
               i + (int64_t)a->first);
        for (int c = 0; c < columns; c++) print_cell(a, name[c], column[c][i], c == 0);
        fputs(a->json ? i + 1 < n ? "},\n" : "}\n" : "\n", stdout);
    }
    if (a->json) puts("  ]\n}");
    else printf("lengths: %s ball, %s units\n", a->norm, a->units);
}

typedef rob_status get_column(const void *handle, const char *what, double *out,
                              int64_t n);

static rob_status print_columns(const arguments *a, const void *handle, get_column *get,
                                const char *const *name, int columns, int64_t n)
{
    rob_status status = ROB_OK;
    double *column[16] = { NULL };
    for (int c = 0; c < columns; c++) {
        column[c] = calloc((size_t)n + 1, sizeof **column);
        if (column[c] == NULL) TRY(ROB_EMEMORY);
        TRY(get(handle, name[c], column[c], n));
    }
    print_rows(a, name, columns, column, n);
done:
    for (int c = 0; c < columns; c++) free(column[c]);
    return status;
}

/* ---- geometry, condition --------------------------------------------------------- */

static rob_status get_boundary(const void *h, const char *what, double *out, int64_t n)
{
    return rob_boundary_get(ctx, h, what, -1, out, n, NULL);
}

static rob_status get_condition(const void *h, const char *what, double *out, int64_t n)
{
    return rob_condition_get(ctx, h, what, -1, out, n, NULL);
}

static rob_status print_geometry(const arguments *a, rob_query *q)
{
    static const char *const NAME[] = { "distance",  "residual",       "estimate1",
                                        "estimate2", "mean_curvature", "projection" };
    rob_status status, end = ROB_OK;
    rob_boundary *b = NULL;
    TRY(rob_boundary_create(ctx, &b));
    TRY(apply_sets(a, "boundary.", set_boundary, b));
    TRY(end = rob_boundary_find(ctx, b, q, NULL, 0));
    TRY(print_columns(a, b, get_boundary, NAME, 6, rob_query_count(q)));
    status = end;
done:
    rob_boundary_free(b);
    return status;
}

static rob_status print_condition(const arguments *a, rob_query *q)
{
    static const char *const NAME[] = { "relative",      "relative2",  "relative_lower",
                                        "componentwise", "projection", "output" };
    rob_status status, end = ROB_OK;
    rob_condition *c = NULL;
    TRY(rob_condition_create(ctx, &c));
    TRY(apply_sets(a, "condition.", set_condition, c));
    TRY(end = rob_condition_compute(ctx, c, q));
    TRY(print_columns(a, c, get_condition, NAME, 6, rob_query_count(q)));
    status = end;
done:
    rob_condition_free(c);
    return status;
}

/* ---- probability ----------------------------------------------------------------- */

/* Numbers with commas between; how many, 0 when it is no such list. */
static int read_radii(const char *text, double *out)
{
    int n = 0;
    for (char *end; n < MOST_RADII; text = end + 1) {
        out[n] = strtod(text, &end);
        if (end == text || !(out[n] >= 0) || isinf(out[n])) return 0;
        n++;
        if (*end != ',') return *end == 0 ? n : 0;
    }
    return 0;
}

static void print_curve(const arguments *a, int64_t i, const double *radius, int radii,
                        const double *logp)
{
    for (int k = 0; k < radii; k++) {
        double p = exp(logp[3 * k]), low = exp(logp[3 * k + 1]),
               high = exp(logp[3 * k + 2]);
        if (!a->json) {
            printf("%-6" PRId64 " %12.6g %12.4g   [%.4g, %.4g]\n",
                   i + (int64_t)a->first, radius[k], p, low, high);
            continue;
        }
        printf("    {\"series\": %" PRId64 ", ", i + (int64_t)a->first);
        print_cell(a, "radius", radius[k], true);
        print_cell(a, "probability", p, false);
        print_cell(a, "lower", low, false);
        print_cell(a, "upper", high, false);
        fputc('}', stdout);
        if (k + 1 < radii) puts(",");
    }
}

static rob_status print_probability(const arguments *a, rob_query *q)
{
    rob_status status, end = ROB_OK;
    rob_sampler *s = NULL;
    double radius[MOST_RADII], *logp = NULL;
    int64_t n = rob_query_count(q);
    int radii = read_radii(a->radii, radius);
    if (radii == 0)
        return complain("--radii takes numbers with commas between, not '%s'",
                        a->radii),
               -1;
    logp = calloc((size_t)(3 * radii * n) + 1, sizeof *logp);
    if (logp == NULL) return ROB_EMEMORY;
    TRY(rob_sampler_create(ctx, strcmp(a->method, "auto") == 0 ? "mc" : a->method, &s));
    TRY(apply_sets(a, "sampler.", set_sampler, s));
    TRY(end = rob_sampler_curve(ctx, s, q, radius, radii, logp, 3 * radii * n));
    if (a->json) puts("{\n  \"cells\": [");
    else printf("%-6s %12s %12s   interval\n", "series", "radius", "P(fail)");
    for (int64_t i = 0; i < n; i++) {
        print_curve(a, i, radius, radii, logp + 3 * radii * i);
        if (a->json) puts(i + 1 < n ? "," : "");
    }
    if (a->json) puts("  ]\n}");
    status = end;
done:
    rob_sampler_free(s);
    free(logp);
    return status;
}

rob_status table(const arguments *a)
{
    rob_status status;
    rob_model *model = NULL;
    rob_data *data = NULL;
    rob_query *query = NULL;
    TRY(rob_model_load(ctx, a->file[0], a->recipe, &model));
    TRY(open_data_for(a, a->file[1], model, &data));
    TRY(ask(a, model, data, &query));
    if (strcmp(a->command, "probability") == 0) status = print_probability(a, query);
    else if (strcmp(a->command, "geometry") == 0) status = print_geometry(a, query);
    else status = print_condition(a, query);
done:
    rob_query_free(query);
    rob_data_free(data);
    rob_model_free(model);
    return status;
}
