/* table.c -- the series, one row each, with the sandwich as a small bar.
 *
 * The bar's axis is the distance, from 0 to the 90 % quantile of U: solid up to L
 * (proved safe), light up to U (not known), a mark at U (seen to fail). Rows go from
 * the most fragile to the safest, so that what matters comes first.
 */
#include "report/report.h"

#include <math.h>

enum { BAR = 120 };

static double value(const rob_page *p, int32_t column, int64_t i)
{
    return rob_priv_finding(p->f, column, i);
}

static double clamp(double x) { return fmax(0, fmin(BAR - 6, x)); }

/* Inline, so that the page shows the sandwich without a plotter too. */
static void write_bar(rob_page *p, double lower, double upper, double scale)
{
    double from = clamp(lower / scale * (BAR - 10));
    double to = isfinite(upper) ? clamp(upper / scale * (BAR - 10)) : BAR;
    if (isnan(lower)) from = 0;
    rob_priv_page_print(p,
                        "<svg class=\"bar\" viewBox=\"0 0 %d 16\" "
                        "preserveAspectRatio=\"none\" aria-hidden=\"true\">",
                        BAR);
    rob_priv_page_print(p,
                        "<rect x=\"0\" y=\"4\" width=\"%.1f\" height=\"8\" "
                        "fill=\"#cfe6f5\"/>",
                        to);
    rob_priv_page_print(p,
                        "<rect x=\"0\" y=\"4\" width=\"%.1f\" height=\"8\" "
                        "fill=\"#0072b2\"/>",
                        from);
    if (isfinite(upper))
        rob_priv_page_print(p, "<path d=\"M%.1f 14l4-12 4 12z\" fill=\"#d55e00\"/>",
                            fmax(0, to - 4));
    rob_priv_page_add(p, "</svg>");
}

static void number_cell(rob_page *p, double v)
{
    rob_priv_page_add(p, "<td>");
    rob_priv_page_number(p, v);
    rob_priv_page_add(p, "</td>");
}

static void upper_cell(rob_page *p, double upper)
{
    if (!isinf(upper)) {
        number_cell(p, upper);
        return;
    }
    rob_priv_page_add(p, "<td><span class=\"no\">no failing point found</span></td>");
}

static void lower_cell(rob_page *p, int64_t i)
{
    double lower = value(p, ROB_C_LOWER, i);
    if (lower == 0 && value(p, ROB_C_WRONG, i) != 1)
        rob_priv_page_add(p, "<td><span class=\"no\">nothing proved</span></td>");
    else number_cell(p, lower);
}

static void interval_cell(rob_page *p, double middle, double low, double high,
                          void (*write)(rob_page *p, double v))
{
    rob_priv_page_add(p, "<td>");
    if (!isnan(middle)) {
        write(p, middle);
        rob_priv_page_add(p, " ");
    }
    rob_priv_page_add(p, "<small>");
    if (isnan(low) && isnan(high)) rob_priv_page_add(p, isnan(middle) ? "–" : "");
    else {
        rob_priv_page_add(p, "[");
        write(p, low);
        rob_priv_page_add(p, ", ");
        write(p, high);
        rob_priv_page_add(p, "]");
    }
    rob_priv_page_add(p, "</small></td>");
}

static bool any_known(const rob_findings *f, int32_t column)
{
    for (int64_t i = 0; i < f->count; i++)
        if (!isnan(rob_priv_finding(f, column, i))) return true;
    return false;
}

static void class_cells(rob_page *p, int64_t i)
{
    double label = value(p, ROB_C_LABEL, i), prediction = value(p, ROB_C_PREDICTION, i);
    if (p->f->labelled > 0) {
        rob_priv_page_add(p, "<td class=\"text\">");
        rob_priv_page_class(p, label);
        rob_priv_page_add(p, "</td>");
    }
    rob_priv_page_add(p, "<td class=\"text\">");
    rob_priv_page_class(p, prediction);
    if (label >= 0 && label != prediction && !isnan(prediction))
        rob_priv_page_add(p, " <b>✗ mistaken</b>");
    rob_priv_page_add(p, "</td>");
}

static void write_row(rob_page *p, int64_t i, double scale)
{
    double lower = value(p, ROB_C_LOWER, i), upper = value(p, ROB_C_UPPER, i);
    bool wrong = value(p, ROB_C_WRONG, i) == 1;
    rob_priv_page_print(p, "<tr%s><th scope=\"row\">%lld</th>",
                        wrong ? " class=\"wrong\"" : "", (long long)i);
    class_cells(p, i);
    rob_priv_page_add(p, "<td>");
    write_bar(p, lower, upper, scale);
    rob_priv_page_add(p, "</td>");
    lower_cell(p, i);
    upper_cell(p, upper);
    number_cell(p, value(p, ROB_C_RATIO, i));
    for (int32_t k = ROB_C_NEAREST; k <= ROB_C_ESTIMATE2; k++)
        if (k != ROB_C_RESIDUAL && any_known(p->f, k)) number_cell(p, value(p, k, i));
    interval_cell(p, value(p, ROB_C_CONDITION, i), value(p, ROB_C_CONDITION_LOWER, i),
                  value(p, ROB_C_CONDITION_UPPER, i), rob_priv_page_number);
    if (any_known(p->f, ROB_C_CURVATURE)) number_cell(p, value(p, ROB_C_CURVATURE, i));
    if (any_known(p->f, ROB_C_PROBABILITY))
        interval_cell(p, value(p, ROB_C_PROBABILITY, i),
                      value(p, ROB_C_PROBABILITY_LOWER, i),
                      value(p, ROB_C_PROBABILITY_UPPER, i), rob_priv_page_percent);
    rob_priv_page_add(p, "</tr>\n");
}

static void write_heads(rob_page *p)
{
    static const struct head {
        int32_t column;
        const char *text;
    } LOCAL[] = {
        { ROB_C_NEAREST, "<th>boundary<small>polished</small></th>" },
        { ROB_C_ESTIMATE1, "<th>order 1<small>estimate</small></th>" },
        { ROB_C_ESTIMATE2, "<th>order 2<small>estimate</small></th>" },
    };
    rob_priv_page_add(p, "<thead><tr><th scope=\"col\">series</th>");
    if (p->f->labelled > 0) rob_priv_page_add(p, "<th class=\"text\">label</th>");
    rob_priv_page_add(p, "<th class=\"text\">answer</th><th class=\"text\">distance"
                         "<small>safe · open · broken</small></th><th>L<small>proved "
                         "safe</small></th><th>U<small>broken at</small></th>"
                         "<th>U / L</th>");
    for (int64_t k = 0; k < COUNT_OF(LOCAL); k++)
        if (any_known(p->f, LOCAL[k].column)) rob_priv_page_add(p, LOCAL[k].text);
    rob_priv_page_add(p,
                      "<th>condition<small>estimate, proved [low, high]</small></th>");
    if (any_known(p->f, ROB_C_CURVATURE))
        rob_priv_page_add(p, "<th>curvature<small>largest</small></th>");
    if (any_known(p->f, ROB_C_PROBABILITY)) {
        rob_priv_page_add(p, "<th>P(fail)<small>random, length ");
        rob_priv_page_number(p, value(p, ROB_C_PROBABILITY_RADIUS, 0));
        rob_priv_page_add(p, "</small></th>");
    }
    rob_priv_page_add(p, "</tr></thead>\n<tbody>\n");
}

static double scale_of(rob_page *p, double *scratch)
{
    int64_t n = 0;
    for (int64_t i = 0; i < p->f->count; i++)
        if (isfinite(value(p, ROB_C_UPPER, i))) scratch[n++] = value(p, ROB_C_UPPER, i);
    n = rob_priv_sorted(scratch, n, scratch);
    double scale = rob_priv_quantile(scratch, n, 0.9);
    return scale > 0 ? scale : 1;
}

void rob_priv_write_table(rob_page *p)
{
    int64_t n = p->f->count, rows = (int64_t)p->report->option[ROB_REPORT_ROWS];
    const rob_memory *m = &p->ctx->memory;
    double *scratch = rob_priv_allocate(m, n + 1, (int64_t)sizeof *scratch);
    int64_t *order = rob_priv_allocate(m, n + 1, (int64_t)sizeof *order);
    p->t.failed = p->t.failed || !scratch || !order;
    if (!p->t.failed && n > 0) {
        double scale = scale_of(p, scratch);
        rob_priv_order(p->f->value[ROB_C_UPPER], n, order);
        rob_priv_page_add(p, "<div class=\"scroll\"><table>\n");
        write_heads(p);
        for (int64_t k = 0; k < n && k < rows; k++) write_row(p, order[k], scale);
        rob_priv_page_add(p, "</tbody></table></div>\n");
        if (rows < n)
            rob_priv_page_print(
                p,
                "<p class=\"note\">The %lld most fragile of %lld series "
                "are listed; the JSON file has all of them.</p>\n",
                (long long)rows, (long long)n);
    }
    rob_priv_release(m, scratch);
    rob_priv_release(m, order);
}
