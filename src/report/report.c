/* report.c -- columns and options by name, and the life of findings.
 *
 * The table is n series by named columns, with columns of other shapes beside: one
 * number, one a radius, one a radius of each series. What was not computed is NaN.
 */
#include "report/report.h"

#include <math.h>

#define ROB_COLUMN_ROW(id, name, shape, unit) { name, shape, unit },
const rob_column rob_priv_column[ROB_COLUMN_COUNT] = { ROB_REPORT_COLUMNS(
    ROB_COLUMN_ROW) };

const rob_option rob_priv_report_option[ROB_REPORT_OPTIONS] = {
    { "confidence", 0.95, 0.5, 0.999999, "", "of every interval" },
    { "radii", 16, 2, 1000, "", "radii of the grid" },
    { "smallest", 0, 0, 1e300, "query's units", "radius of the grid; 0: chosen" },
    { "largest", 0, 0, 1e300, "query's units", "radius of the grid; 0: chosen" },
    { "rho", 0, 0, 1e300, "query's units",
      "radius of the column probability; 0: chosen" },
    { "samples", 1000, 0, 1e9, "", "random directions a radius; 0: no probabilities" },
    { "budget", 200000, 0, 1e12, "forward passes",
      "of the sampler auto or split, a series and radius; 0: no limit" },
    { "calls", 300, 1, 1e6, "gradients", "of the attack, a series" },
    { "diagnose", 4, 0, 1e9, "series",
      "on which it is asked whether gradients are masked; 0: none" },
    { "tolerance", 1e-2, 1e-9, 1, "", "relative width of the certified radius" },
    { "steps", 0, 0, 1e9, "steps", "depth of the bound; 0: its own default" },
    { "cost", 5e11, 1, 1e300, "multiply-adds", "what a bound may spend with auto" },
    { "dense", 512, 0, 1e5, "",
      "numbers up to which Hessians are whole; 0: no geometry" },
    { "slices", 41, 0, 401, "", "points a side of the decision slice; 0: none" },
    { "show", -1, -1, 1e15, "", "series to show; -1: the most typical" },
    { "rows", 200, 0, 1e6, "", "series listed in the page's table" },
    { "tested", 0, 0, 1e15, "", "series of a larger test; 0: those of the query" },
    { "right", 0, 0, 1e15, "", "series of that test answered right" },
    { "commonest", 0, 0, 1e15, "", "series of that test with the commonest label" },
};

const char *const rob_priv_report_text[ROB_REPORT_TEXTS] = {
    "title", "model", "data", "value", "time", "plot", "attack", "bound", "sampler",
};

rob_status rob_priv_findings_make(rob_ctx *ctx, rob_findings *f, int32_t column,
                                  int64_t size)
{
    if (f->value[column] || size == 0) return ROB_OK;
    double *v = rob_priv_allocate(&f->memory, size, (int64_t)sizeof *v);
    if (!v) return rob_priv_no_memory(ctx);
    for (int64_t k = 0; k < size; k++) v[k] = NAN;
    f->value[column] = v;
    f->size[column] = size;
    return ROB_OK;
}

void rob_priv_findings_free(rob_findings *f)
{
    for (int32_t k = 0; k < ROB_COLUMN_COUNT; k++)
        if (f->value[k]) rob_priv_release(&f->memory, f->value[k]);
    *f = (rob_findings){ 0 };
}

double rob_priv_finding(const rob_findings *f, int32_t column, int64_t k)
{
    return k >= 0 && k < f->size[column] ? f->value[column][k] : (double)NAN;
}

const char *rob_priv_verdict(const rob_findings *f, int64_t i)
{
    double lower = rob_priv_finding(f, ROB_C_LOWER, i);
    double upper = rob_priv_finding(f, ROB_C_UPPER, i);
    if (rob_priv_finding(f, ROB_C_WRONG, i) == 1) return "wrong";
    if (lower > 0) return isfinite(upper) ? "bracketed" : "proved";
    return isfinite(upper) ? "broken" : "open";
}
