/* page.c -- a report as one HTML file that needs nothing else: no script, no network.
 *
 * Order: what was found in a sentence; whether the model is better than a guess; then
 * the pictures, each with what it teaches; then tables. A model whose accuracy is not
 * shown to exceed the share of the commonest class is never called robust: its headline
 * says that first. What is missing is said in a sentence, not left out.
 */
#include "report/report.h"

#include <math.h>

static double one(const rob_page *p, int32_t column)
{
    return rob_priv_finding(p->f, column, 0);
}

static double quantile_of(rob_page *p, int32_t column, double share)
{
    int64_t n = p->f->size[column];
    double q = NAN;
    double *sorted = rob_priv_allocate(&p->ctx->memory, n + 1, (int64_t)sizeof *sorted);
    p->t.failed = p->t.failed || !sorted;
    if (sorted && n > 0)
        q = rob_priv_quantile(sorted, rob_priv_sorted(p->f->value[column], n, sorted),
                              share);
    rob_priv_release(&p->ctx->memory, sorted);
    return q;
}

static double median_of(rob_page *p, int32_t column)
{
    return quantile_of(p, column, 0.5);
}

/* ---- the head -------------------------------------------------------------------- */

static void write_head(rob_page *p)
{
    const char *title = rob_priv_page_text(p, ROB_REPORT_TITLE, "Robustness report");
    rob_priv_page_add(p, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
                         "<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
                         "content=\"width=device-width, initial-scale=1\">\n<title>");
    rob_priv_page_html(p, title);
    rob_priv_page_add(p, "</title>\n<style>\n");
    rob_priv_page_add(p, rob_priv_page_style);
    rob_priv_page_add(p, "</style>\n</head>\n<body>\n<main>\n<h1>");
    rob_priv_page_html(p, title);
    rob_priv_page_add(p, "</h1>\n<p class=\"about\">");
    if (p->report->text[ROB_REPORT_MODEL]) {
        rob_priv_page_add(p, "Model ");
        rob_priv_page_html(p, p->report->text[ROB_REPORT_MODEL]);
        rob_priv_page_add(p, " · ");
    }
    if (p->report->text[ROB_REPORT_DATA]) {
        rob_priv_page_add(p, "data ");
        rob_priv_page_html(p, p->report->text[ROB_REPORT_DATA]);
        rob_priv_page_add(p, " · ");
    }
    rob_priv_page_print(p, "%lld series · lengths of changes: %s</p>\n",
                        (long long)p->f->count, rob_priv_length_unit(p->f));
}

static void write_partial(rob_page *p)
{
    if (!p->f->stopped) return;
    rob_priv_page_add(p,
                      "<p class=\"warn\" role=\"alert\"><b>Partial report.</b> The run "
                      "was stopped in the stage “");
    rob_priv_page_html(p, p->f->stopped);
    rob_priv_page_add(p,
                      "”. Every number below is valid as far as it goes; what was not "
                      "reached is shown as a dash or as not found.</p>\n");
}

static void write_warnings(rob_page *p)
{
    if (p->f->warnings == 0) return;
    rob_priv_page_add(p, "<div class=\"warn\" role=\"alert\"><b>Gradients may be masked.</b> "
                         "Attacks by gradients can mislead on this model; distances “broken "
                         "at” may be far too large.<ul>");
    for (int64_t k = 0; k < p->f->warnings; k++) {
        rob_priv_page_add(p, "<li>");
        rob_priv_page_html(p, p->f->warning[k]);
        rob_priv_page_add(p, "</li>");
    }
    rob_priv_page_add(p, "</ul></div>\n");
}

static void write_not_learnt(rob_page *p)
{
    bool above = one(p, ROB_C_ACCURACY) > one(p, ROB_C_MAJORITY);
    rob_priv_page_add(
        p, above ? "<b>Not shown to beat its baseline.</b> The model is "
                   "right on "
                 : "<b>Does not beat its baseline.</b> The model is right on ");
    rob_priv_page_percent(p, one(p, ROB_C_ACCURACY));
    rob_priv_page_print(
        p,
        " of %lld series; always answering the commonest class is right "
        "on ",
        (long long)one(p, ROB_C_TESTED));
    rob_priv_page_percent(p, one(p, ROB_C_MAJORITY));
    rob_priv_page_add(p,
                      ". Distances below describe a classifier that has not been shown "
                      "to do its task: a constant answer would be safest of all, so "
                      "nothing here speaks for the model. ");
}

static void write_learnt(rob_page *p)
{
    rob_priv_page_add(p, "The model is right on <b>");
    rob_priv_page_percent(p, one(p, ROB_C_ACCURACY));
    rob_priv_page_print(p, "</b> of %lld series (commonest class alone: ",
                        (long long)one(p, ROB_C_TESTED));
    rob_priv_page_percent(p, one(p, ROB_C_MAJORITY));
    rob_priv_page_add(p, "). ");
}

static void write_typical(rob_page *p)
{
    double lower = median_of(p, ROB_C_LOWER), upper = median_of(p, ROB_C_UPPER);
    double norm = median_of(p, ROB_C_NORM);
    if (lower > 0) {
        rob_priv_page_add(p,
                          "For half of the series it is <b>proved</b> that no change "
                          "shorter than <b>");
        rob_priv_page_number(p, lower);
        rob_priv_page_add(p, "</b> alters the answer");
    } else rob_priv_page_add(p, "For half of the series nothing could be proved");
    if (isfinite(upper)) {
        rob_priv_page_add(p, "; for half, a change as short as <b>");
        rob_priv_page_number(p, upper);
        rob_priv_page_add(p, "</b> was <b>found</b> that does");
        if (norm > 0) {
            rob_priv_page_add(p, ", ");
            if (upper > norm) rob_priv_page_number(p, upper / norm);
            else rob_priv_page_percent(p, upper / norm);
            rob_priv_page_add(p, upper > norm ? " times the length of a typical series"
                                              : " of the length of a typical series");
        }
    } else if (!isnan(upper))
        rob_priv_page_add(p, "; for half no failing point was found");
    rob_priv_page_add(p, ".");
}

static void write_chance(rob_page *p)
{
    double chance = median_of(p, ROB_C_PROBABILITY),
           rho = one(p, ROB_C_PROBABILITY_RADIUS);
    if (isnan(chance)) return;
    rob_priv_page_add(p, rho > median_of(p, ROB_C_UPPER)
                             ? " Chance is milder: a random change "
                               "of length "
                             : " A random change of length ");
    rob_priv_page_number(p, rho);
    if (chance == 0)
        rob_priv_page_print(p,
                            " was not seen to alter the typical answer in %.0f draws.",
                            p->report->option[ROB_REPORT_SAMPLES]);
    else {
        rob_priv_page_add(p, " alters the typical answer in ");
        rob_priv_page_percent(p, chance);
        rob_priv_page_add(p, " of the draws.");
    }
}

static void write_headline(rob_page *p)
{
    rob_priv_page_add(p, "<p class=\"lead\">");
    if (p->f->count == 0)
        rob_priv_page_add(p,
                          "The query holds no series, so there is nothing to report.");
    else {
        if (p->f->labelled == 0 && isnan(one(p, ROB_C_ACCURACY)))
            rob_priv_page_add(
                p, "The series carry no labels, so whether the model is right "
                   "is not known; what follows says how firmly it answers. ");
        else if (isnan(one(p, ROB_C_ACCURACY)))
            rob_priv_page_add(p, "The model was not evaluated. ");
        else if (one(p, ROB_C_BEATS) == 1) write_learnt(p);
        else write_not_learnt(p);
        write_typical(p);
        write_chance(p);
    }
    rob_priv_page_add(p, "</p>\n");
}

/* ---- cards ----------------------------------------------------------------------- */

static void open_card(rob_page *p, const char *name)
{
    rob_priv_page_print(p, "<div class=\"card\"><span class=\"name\">%s</span><b>",
                        name);
}

static void close_card(rob_page *p, const char *note)
{
    rob_priv_page_print(p, "</b><span>%s</span></div>\n", note);
}

static void accuracy_cards(rob_page *p)
{
    if (isnan(one(p, ROB_C_ACCURACY))) return;
    open_card(p, "Accuracy");
    rob_priv_page_percent(p, one(p, ROB_C_ACCURACY));
    rob_priv_page_add(p, "</b><span>between ");
    rob_priv_page_percent(p, one(p, ROB_C_ACCURACY_LOWER));
    rob_priv_page_add(p, " and ");
    rob_priv_page_percent(p, one(p, ROB_C_ACCURACY_UPPER));
    rob_priv_page_print(p, " (%g %% confidence)</span></div>\n",
                        100 * p->f->confidence);
    open_card(p, "Baseline");
    rob_priv_page_percent(p, one(p, ROB_C_MAJORITY));
    close_card(p,
               one(p, ROB_C_BEATS) == 1
                   ? "always the commonest class; the model is better"
                   : "always the commonest class; the model is not shown to be better");
}

static void write_cards(rob_page *p)
{
    rob_priv_page_add(p, "<div class=\"cards\">\n");
    accuracy_cards(p);
    open_card(p, "Proved safe, L");
    rob_priv_page_number(p, median_of(p, ROB_C_LOWER));
    close_card(p, "median over the series");
    open_card(p, "Broken at, U");
    rob_priv_page_number(p, median_of(p, ROB_C_UPPER));
    close_card(p, "median over the series; a point seen to fail");
    open_card(p, "Gap U / L");
    rob_priv_page_number(p, median_of(p, ROB_C_RATIO));
    close_card(p, "median; 1 would be the exact distance");
    open_card(p, "Condition number ≥");
    rob_priv_page_number(p, median_of(p, ROB_C_CONDITION_LOWER));
    close_card(p, "median of ‖x‖ / U");
    if (!isnan(one(p, ROB_C_PROBABILITY_RADIUS)) && p->f->size[ROB_C_CURVE] > 0) {
        open_card(p, "Random failure");
        rob_priv_page_percent(p, median_of(p, ROB_C_PROBABILITY));
        rob_priv_page_add(p, "</b><span>median P at length ");
        rob_priv_page_number(p, one(p, ROB_C_PROBABILITY_RADIUS));
        rob_priv_page_add(p, "</span></div>\n");
    }
    if (!isnan(median_of(p, ROB_C_CURVATURE))) {
        open_card(p, "Curvature");
        rob_priv_page_number(p, median_of(p, ROB_C_CURVATURE));
        close_card(p, "of the boundary, 1/length: median of the largest");
    }
    rob_priv_page_add(p, "</div>\n");
}

/* ---- tables of sums -------------------------------------------------------------- */

static void distribution_row(rob_page *p, const char *name, int32_t column)
{
    static const double SHARE[] = { 0, 0.1, 0.25, 0.5, 0.75, 0.9, 1 };
    int64_t known = 0;
    for (int64_t i = 0; i < p->f->size[column]; i++)
        known += !isnan(p->f->value[column][i]);
    if (known == 0) return;
    rob_priv_page_print(p, "<tr><th scope=\"row\">%s</th><td>%lld</td>", name,
                        (long long)known);
    for (int64_t k = 0; k < COUNT_OF(SHARE); k++) {
        rob_priv_page_add(p, "<td>");
        rob_priv_page_number(p, quantile_of(p, column, SHARE[k]));
        rob_priv_page_add(p, "</td>");
    }
    rob_priv_page_add(p, "</tr>\n");
}

static void write_distributions(rob_page *p)
{
    static const struct row {
        const char *name;
        int32_t column;
    } ROW[] = {
        { "L, proved safe", ROB_C_LOWER },
        { "U, broken at", ROB_C_UPPER },
        { "U / L", ROB_C_RATIO },
        { "polished distance", ROB_C_NEAREST },
        { "order 1 estimate", ROB_C_ESTIMATE1 },
        { "order 2 estimate", ROB_C_ESTIMATE2 },
        { "condition, order 1", ROB_C_CONDITION },
        { "condition, at least", ROB_C_CONDITION_LOWER },
        { "condition, at most", ROB_C_CONDITION_UPPER },
        { "condition, componentwise", ROB_C_COMPONENTWISE },
        { "condition, of weights", ROB_C_WEIGHTS },
        { "loss Hessian, lowest", ROB_C_HESSIAN_LOWEST },
        { "loss Hessian, highest", ROB_C_HESSIAN_HIGHEST },
        { "largest |curvature|", ROB_C_CURVATURE },
        { "curvature, least", ROB_C_CURVATURE_MIN },
        { "curvature, largest", ROB_C_CURVATURE_MAX },
        { "mean curvature", ROB_C_CURVATURE_MEAN },
        { "P(fail) at one length", ROB_C_PROBABILITY },
        { "condition of the nearest point", ROB_C_PROJECTION },
        { "margin at x", ROB_C_MARGIN },
        { "norm ‖x‖", ROB_C_NORM },
    };
    rob_priv_page_add(
        p, "<h2>Distributions</h2>\n<div class=\"scroll\"><table>\n<thead><tr>"
           "<th scope=\"col\">quantity</th><th>known</th><th>least</th>"
           "<th>10 %</th><th>25 %</th><th>median</th><th>75 %</th>"
           "<th>90 %</th><th>largest</th></tr></thead>\n<tbody>\n");
    for (int64_t k = 0; k < COUNT_OF(ROW); k++)
        distribution_row(p, ROW[k].name, ROW[k].column);
    rob_priv_page_print(
        p,
        "</tbody></table></div>\n<p class=\"note\">Lengths in %s; ∞ in the "
        "row of U: no failing point was found.</p>\n",
        rob_priv_length_unit(p->f));
}

static void correlation_row(rob_page *p, const char *name, int32_t column,
                            const char *expected)
{
    double rho = rob_priv_finding(p->f, column, 0);
    double low = rob_priv_finding(p->f, column, 1);
    double high = rob_priv_finding(p->f, column, 2);
    double n = rob_priv_finding(p->f, column, 3);
    rob_priv_page_print(p, "<tr><th scope=\"row\">%s</th>", name);
    if (isnan(rho)) rob_priv_page_add(p, "<td>–</td><td>–</td>");
    else {
        rob_priv_page_print(p, "<td>%s%.2f</td>", rho < 0 ? "−" : "+", fabs(rho));
        if (isnan(low)) rob_priv_page_add(p, "<td>–</td>");
        else
            rob_priv_page_print(p, "<td>%s%.2f to %s%.2f</td>", low < 0 ? "−" : "+",
                                fabs(low), high < 0 ? "−" : "+", fabs(high));
    }
    rob_priv_page_print(p, "<td>%lld</td><td class=\"text\">",
                        isnan(n) ? 0 : (long long)n);
    if (isnan(rho)) rob_priv_page_add(p, "not computed, or the same for all series");
    else if (isnan(low)) rob_priv_page_add(p, "too few series for an interval");
    else if (low <= 0 && high >= 0) rob_priv_page_add(p, "no relation is shown");
    else
        rob_priv_page_print(p, "%s%s",
                            rho > 0 ? "rise together" : "one rises as the other falls",
                            expected);
    rob_priv_page_add(p, "</td></tr>\n");
}

static void write_correlations(rob_page *p)
{
    rob_priv_page_print(p,
                        "<h2>What goes with a small distance?</h2>\n<p>Spearman’s rank "
                        "correlation with U over the series, with %g %% intervals "
                        "(Fisher’s z). It says whether two quantities order the series "
                        "alike, not why.</p>\n",
                        100 * p->f->confidence);
    rob_priv_page_add(
        p, "<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">with the "
           "distance</th><th>ρ</th><th>interval</th><th>series</th>"
           "<th class=\"text\">reading</th></tr></thead>\n<tbody>\n");
    correlation_row(p, "largest |curvature|", ROB_C_SPEARMAN_CURVATURE, "");
    correlation_row(p, "condition, order 1", ROB_C_SPEARMAN_CONDITION, "");
    correlation_row(p, "P(fail) at one length", ROB_C_SPEARMAN_PROBABILITY, "");
    rob_priv_page_add(p, "</tbody></table></div>\n");
}

/* ---- the foot -------------------------------------------------------------------- */

static void write_glossary(rob_page *p)
{
    rob_priv_page_add(
        p,
        "<h2>How to read this</h2>\n<dl>\n"
        "<dt>L, proved safe</dt><dd>No change of this length or shorter alters the "
        "answer: a proof in real arithmetic, with its own rounding paid for.</dd>\n"
        "<dt>U, broken at</dt><dd>A changed series of this distance was evaluated and "
        "gets another answer. The true distance lies between L and U.</dd>\n"
        "<dt>Estimates</dt><dd>Order 1 and 2 replace the model by its line and its "
        "parabola at x. They are not certificates.</dd>\n"
        "<dt>Condition number</dt><dd>‖x‖ over the distance: how much a relative error "
        "of the series is magnified on the way to another answer. Between ‖x‖/U and "
        "‖x‖/L, proved.</dd>\n"
        "<dt>P(fail)</dt><dd>How probable it is that a random change of that length "
        "alters the answer; bracketed numbers are its interval.</dd>\n"
        "<dt>∞ and –</dt><dd>∞ or “no failing point found”: the search came back "
        "empty, "
        "which proves nothing. A dash: not computed.</dd>\n</dl>\n");
}

static void write_foot(rob_page *p)
{
    rob_priv_page_add(p, "<footer>");
    rob_priv_page_print(
        p, "librobust %s · measured from the %s · recipe: ", rob_version(),
        p->f->reference == ROB_REFERENCE_LABEL ? "label" : "prediction");
    rob_priv_page_html(p, p->f->recipe);
    rob_priv_page_add(p, " · options:");
    for (int32_t k = 0; k < ROB_REPORT_OPTIONS; k++)
        rob_priv_page_print(p, " %s=%.12g", rob_priv_report_option[k].name,
                            p->report->option[k]);
    rob_priv_page_add(p, "</footer>\n</main>\n</body>\n</html>\n");
}

static void write_figures(rob_page *p)
{
    for (int k = 0; k < ROB_FIGURES; k++) rob_priv_write_figure(p, &rob_priv_figure[k]);
    if (!p->report->text[ROB_REPORT_PLOT])
        rob_priv_page_add(
            p, "<p class=\"empty\">No plotter was named, so this page has no "
               "plots, only tables. Set the text option “plot” to the path of "
               "gnuplot (the command <code>robust report</code> finds it by "
               "itself) to get them.</p>\n");
}

void rob_priv_write_html(rob_page *p)
{
    write_head(p);
    write_partial(p);
    write_warnings(p);
    write_headline(p);
    if (p->f->count > 0) {
        write_cards(p);
        write_figures(p);
        write_correlations(p);
        write_distributions(p);
        rob_priv_page_add(p, "<h2>Every series</h2>\n<p>From the most fragile to the "
                             "safest.</p>\n");
        rob_priv_write_table(p);
        write_glossary(p);
    }
    write_foot(p);
}
