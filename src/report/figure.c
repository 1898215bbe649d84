/* figure.c -- the pictures: gnuplot scripts from numbers alone, and their captions.
 *
 * No foreign text enters a script: titles of axes are ours, numbers are printed in the
 * C locale, data stand in here-documents, the picture goes to standard output. Every
 * figure is drawn twice, for a wide and for a narrow screen, and the page chooses.
 */
#include "report/figure.h"

#include <math.h>

/* ---- pieces of scripts ----------------------------------------------------------- */

double rob_priv_plot_value(const rob_page *p, int32_t column, int64_t k)
{
    return rob_priv_finding(p->f, column, k);
}

void rob_priv_plot_begin(rob_page *p, bool narrow, int wide_height, int narrow_height)
{
    rob_priv_page_print(p,
                        "set terminal svg size %d,%d font 'sans-serif,%d' noenhanced "
                        "background '#ffffff' linewidth 1\n",
                        narrow ? 420 : 900, narrow ? narrow_height : wide_height,
                        narrow ? 14 : 15);
    rob_priv_page_add(
        p, "set encoding utf8\nset border 3 lc rgb '#57606a'\n"
           "set tics nomirror out scale 0.6 textcolor rgb '#1b1f24'\n"
           "set grid back lc rgb '#e8ebef' lw 1 dt 1\n"
           "set key above left Left reverse samplen 2.2 spacing 1.15 textcolor rgb "
           "'#1b1f24'\nset style fill solid 1 noborder\n");
}

void rob_priv_plot_number(rob_page *p, double v)
{
    if (!isfinite(v)) rob_priv_page_add(p, " NaN");
    else rob_priv_page_print(p, " %.9g", v);
}

/* A logarithmic axis labelled at powers of ten, or at 1, 2, 5 when it is short. */
void rob_priv_plot_log(rob_page *p, char axis, double low, double high)
{
    rob_priv_page_print(
        p, "set logscale %c\nset %crange [%.9g:%.9g]\nset format %c '%%g'\n", axis,
        axis, low, high, axis);
    if (high / low < 300) {
        const char *comma = "";
        rob_priv_page_print(p, "set %ctics (", axis);
        for (int e = (int)floor(log10(low)); e <= (int)ceil(log10(high)); e++)
            for (int m = 1; m <= 5; m += m == 1 ? 1 : 3) {
                rob_priv_page_print(p, "%s%ge%d", comma, (double)m, e);
                comma = ", ";
            }
        rob_priv_page_add(p, ")\n");
    }
}

/* About `parts` steps of 1, 2 or 5 times a power of ten over the axis. */
void rob_priv_plot_tics(rob_page *p, char axis, double span, int parts)
{
    if (!(span > 0) || !isfinite(span)) return;
    double power = pow(10, floor(log10(span / parts))), rest = span / parts / power;
    double step = power * (rest < 1.5 ? 1 : rest < 3.5 ? 2 : rest < 7.5 ? 5 : 10);
    rob_priv_page_print(p, "set %ctics %.9g\n", axis, step);
}

bool rob_priv_plot_any(const rob_findings *f, int32_t column)
{
    for (int64_t k = 0; k < f->size[column]; k++)
        if (isfinite(f->value[column][k])) return true;
    return false;
}

void rob_priv_plot_span(const rob_findings *f, int32_t column, double *low,
                        double *high)
{
    for (int64_t k = 0; k < f->size[column]; k++) {
        double v = f->value[column][k];
        if (!isfinite(v) || v <= 0) continue;
        *low = fmin(*low, v);
        *high = fmax(*high, v);
    }
}

/* ---- sandwich -------------------------------------------------------------------- */

static bool has_sandwich(const rob_findings *f)
{
    return rob_priv_plot_any(f, ROB_C_UPPER) || rob_priv_plot_any(f, ROB_C_LOWER);
}

static void sandwich_data(rob_page *p, double bottom, double top)
{
    const rob_memory *m = &p->ctx->memory;
    int64_t n = p->f->count, rank = 0;
    int64_t *order = rob_priv_allocate(m, n + 1, (int64_t)sizeof *order);
    p->t.failed = p->t.failed || !order;
    if (order) rob_priv_order(p->f->value[ROB_C_UPPER], n, order);
    rob_priv_page_add(p, "$d << EOD\n");
    for (int64_t k = 0; order && k < n; k++) {
        int64_t i = order[k];
        double low = rob_priv_plot_value(p, ROB_C_LOWER, i);
        double high = rob_priv_plot_value(p, ROB_C_UPPER, i);
        if (rob_priv_plot_value(p, ROB_C_WRONG, i) == 1) continue;
        rob_priv_page_print(p, "%lld", (long long)++rank);
        rob_priv_plot_number(p, low > bottom ? low : bottom);
        rob_priv_plot_number(p, isfinite(high) ? high : top);
        rob_priv_plot_number(p, low > 0 ? low : (double)NAN);
        rob_priv_plot_number(p, high);
        rob_priv_plot_number(p, rob_priv_plot_value(p, ROB_C_ESTIMATE1, i));
        rob_priv_plot_number(p, rob_priv_plot_value(p, ROB_C_ESTIMATE2, i));
        rob_priv_page_print(p, " %lld\n", (long long)i);
    }
    rob_priv_page_add(p, "EOD\n");
    rob_priv_page_print(p, "set xrange [0.2:%.1f]\n", (double)rank + 0.8);
    rob_priv_release(m, order);
}

static void sandwich_script(rob_page *p, bool narrow)
{
    double low = INFINITY, high = 0;
    for (int32_t k = ROB_C_LOWER; k <= ROB_C_UPPER; k++)
        rob_priv_plot_span(p->f, k, &low, &high);
    if (!(high > 0)) low = 0.1, high = 1;
    low = fmax(low, 1e-5 * high); /* what is proved below says little */
    rob_priv_plot_begin(p, narrow, 400, 380);
    rob_priv_plot_log(p, 'y', low / 1.5, high * 1.5);
    sandwich_data(p, low / 1.5, high * 1.5);
    bool few = p->f->count <= (narrow ? 20 : 60);
    rob_priv_page_print(
        p,
        "set xlabel 'series, from the most fragile to the safest'\n"
        "set ylabel 'length of the change' offset 0.5\nunset xtics\n"
        "set style fill solid 1 noborder\n"
        "plot '$d' using 1:2:($1-0.32):($1+0.32):(%.9g):2 with "
        "boxxyerrorbars lc rgb '#0072b2' title 'proved safe', "
        "'' using 1:2:($1-0.32):($1+0.32):2:3 with boxxyerrorbars lc rgb "
        "'#cfe6f5' title 'not known'",
        low / 1.5);
    rob_priv_page_print(p,
                        ", '' using 1:5 with points pt 9 ps %g lc rgb '#d55e00' title "
                        "'broken here'",
                        few ? 1.0 : 0.65);
    if (rob_priv_plot_any(p->f, ROB_C_ESTIMATE1))
        rob_priv_page_print(p,
                            ", '' using 1:6 with points pt 2 ps %g lw 1.6 lc rgb "
                            "'#000000' title 'estimate, order 1'",
                            few ? 0.7 : 0.5);
    if (rob_priv_plot_any(p->f, ROB_C_ESTIMATE2))
        rob_priv_page_print(p,
                            ", '' using 1:7 with points pt 6 ps %g lw 1.6 lc rgb "
                            "'#009e73' title 'order 2'",
                            few ? 0.8 : 0.5);
    rob_priv_page_add(p, "\n");
}

static void sandwich_caption(rob_page *p)
{
    if (!has_sandwich(p->f)) {
        rob_priv_page_add(
            p, "Neither a proof nor a failing point is there to be drawn: the "
               "run was stopped, or every series already fails as it is.");
        return;
    }
    rob_priv_page_print(
        p,
        "The distance to the nearest series with another answer lies in "
        "the light part of each bar: below it safety is proved, at the "
        "triangle a failing series was seen. Logarithmic axis; %s.",
        rob_priv_length_unit(p->f));
    int64_t wrong = 0;
    for (int64_t i = 0; i < p->f->count; i++)
        wrong += rob_priv_plot_value(p, ROB_C_WRONG, i) == 1;
    if (wrong > 0)
        rob_priv_page_print(
            p, " %lld series fail as they are (distance 0) and are left out.",
            (long long)wrong);
}

/* ---- accuracy against the radius ------------------------------------------------- */

static bool has_radii(const rob_findings *f)
{
    return rob_priv_plot_any(f, ROB_C_RADIUS_GRID)
           && (rob_priv_plot_any(f, ROB_C_CERTIFIED)
               || rob_priv_plot_any(f, ROB_C_ATTACKED));
}

static void accuracy_script(rob_page *p, bool narrow)
{
    const double *grid = p->f->value[ROB_C_RADIUS_GRID];
    rob_priv_plot_begin(p, narrow, 400, 380);
    rob_priv_page_add(p, "$d << EOD\n");
    for (int64_t k = 0; k < p->f->radii; k++) {
        rob_priv_plot_number(p, grid[k]);
        for (int32_t c = ROB_C_CERTIFIED; c <= ROB_C_RANDOM; c++)
            rob_priv_plot_number(p, 100 * p->f->value[c][k]);
        rob_priv_page_add(p, "\n");
    }
    rob_priv_page_add(p, "EOD\n");
    rob_priv_plot_log(p, 'x', grid[0], grid[p->f->radii - 1]);
    double base = 100 * rob_priv_plot_value(p, ROB_C_MAJORITY, 0);
    rob_priv_page_print(p,
                        "set yrange [0:104]\nset xlabel 'length of the change'\n"
                        "set ylabel '%s' offset 0.5\n",
                        p->f->labelled > 0 ? "answered right, % of the series"
                                           : "same answer, % of the series");
    rob_priv_page_add(
        p,
        "plot '$d' using 1:2 with linespoints lw 2.6 pt 5 ps 0.6 lc rgb '#0072b2' "
        "title "
        "'certified: under every change', '' using 1:3 with linespoints lw 2.6 pt 9 ps "
        "0.8 dt 2 lc rgb '#d55e00' title 'attacked: under the worst found'");
    if (isfinite(base))
        rob_priv_page_print(p,
                            ", %.6g with lines lw 1.6 dt 3 lc rgb '#57606a' title "
                            "'always the commonest class'",
                            base);
    if (rob_priv_plot_any(p->f, ROB_C_RANDOM))
        rob_priv_page_add(
            p, ", '' using 1:4 with linespoints lw 2.6 pt 7 ps 0.6 dt 4 lc rgb "
               "'#009e73' title 'random: under a chance change'");
    rob_priv_page_add(p, "\n");
}

static void accuracy_caption(rob_page *p)
{
    if (!has_radii(p->f)) {
        rob_priv_page_add(
            p, "No radius to count at: nothing was proved and no failing point "
               "was found.");
        return;
    }
    rob_priv_page_add(
        p, "How many series are still answered as they should be. The truth for "
           "the worst change lies between the square and the triangle; the "
           "distance to the circles is how much rarer a failure is by chance "
           "than by intent. ");
    rob_priv_page_print(p, "%s.", rob_priv_length_unit(p->f));
}

/* ---- P(rho) ---------------------------------------------------------------------- */

enum { DECADES = 12 };

static bool has_curves(const rob_findings *f)
{
    return rob_priv_plot_any(f, ROB_C_CURVE) && f->radii > 1;
}

/* the power of ten below every probability drawn, at most DECADES down */
static int lowest_decade(const rob_findings *f)
{
    double least = 0;
    for (int64_t c = 0; c < f->size[ROB_C_CURVE]; c++)
        if (isfinite(f->value[ROB_C_CURVE][c]))
            least = fmin(least, f->value[ROB_C_CURVE][c]);
    return (int)fmax(-DECADES, fmin(-2, floor(least - 0.7)));
}

static void curve_block(rob_page *p, int64_t i, int floor_at)
{
    rob_priv_page_print(p, "$c%lld << EOD\n", (long long)i);
    for (int64_t k = 0; k < p->f->radii; k++) {
        int64_t cell = i * p->f->radii + k;
        rob_priv_plot_number(p, p->f->value[ROB_C_RADIUS_GRID][k]);
        for (int32_t c = ROB_C_CURVE; c <= ROB_C_CURVE_UPPER; c++) {
            double v = rob_priv_plot_value(p, c, cell);
            bool edge = c != ROB_C_CURVE && v < floor_at;
            rob_priv_plot_number(p, edge ? floor_at : v);
        }
        rob_priv_page_add(p, "\n");
    }
    rob_priv_page_add(p, "EOD\n");
}

static void curves_script(rob_page *p, bool narrow)
{
    const double *grid = p->f->value[ROB_C_RADIUS_GRID];
    int64_t most = p->f->count < 200 ? p->f->count : 200, first = p->f->radii;
    int bottom = lowest_decade(p->f);
    rob_priv_plot_begin(p, narrow, 420, 400);
    for (int64_t i = 0; i < most; i++) curve_block(p, i, bottom);
    if (p->f->shown >= most) curve_block(p, p->f->shown, bottom);
    for (int64_t c = 0; c < p->f->size[ROB_C_CURVE]; c++)
        if (p->f->value[ROB_C_CURVE][c] > -DECADES && c % p->f->radii < first)
            first = c % p->f->radii;
    if (first > 0 && first < p->f->radii) first--;
    if (first > p->f->radii - 2) first = 0;
    rob_priv_plot_log(p, 'x', grid[first], grid[p->f->radii - 1]);
    rob_priv_page_print(
        p,
        "set yrange [%d:0.15]\nset format y '1e%%g'\nset ytics %d,%d,-1\n"
        "set ytics add ('1' 0)\nset xlabel 'length of the random change'\n"
        "set ylabel 'probability of another answer' offset 0.5\nplot ",
        bottom, bottom, bottom < -6 ? 3 : 1);
    if (p->f->shown >= 0)
        rob_priv_page_print(
            p,
            "'$c%lld' using 1:3:4 with filledcurves lc rgb '#f7dcc6' title "
            "'interval of the shown series', ",
            (long long)p->f->shown);
    for (int64_t i = 0; i < most; i++)
        rob_priv_page_print(
            p, "%s'$c%lld' using 1:2 with lines lw 1.2 lc rgb '#56b4e9' %s",
            i ? ", " : "", (long long)i, i ? "notitle" : "title 'every series'");
    if (p->f->shown >= 0)
        rob_priv_page_print(
            p,
            ", '$c%lld' using 1:2 with linespoints lw 2.6 pt 7 ps 0.6 lc rgb "
            "'#d55e00' title 'the shown series'",
            (long long)p->f->shown);
    rob_priv_page_add(p, "\n");
}

static void curves_caption(rob_page *p)
{
    if (p->f->norm != ROB_NORM_L2)
        rob_priv_page_add(
            p, "Probabilities are for changes uniform on the Euclidean sphere; "
               "this query measures another norm.");
    else if (!has_curves(p->f))
        rob_priv_page_add(
            p, "No random change was seen to alter an answer at the radii looked "
               "at, or none were drawn (option samples).");
    else
        rob_priv_page_print(
            p,
            "P(ρ): how probable it is that a random change of length ρ alters "
            "the answer. Lines begin where the first such change was drawn; "
            "the shaded band is the %g %% interval, which says how probable "
            "failure may still be where none was seen. Where safety is "
            "proved it is zero.",
            100 * p->f->confidence);
}

/* ---- the list -------------------------------------------------------------------- */

const rob_figure rob_priv_figure[ROB_FIGURES] = {
    { "sandwich", "Safe, open, broken", has_sandwich, sandwich_script,
      sandwich_caption },
    { "accuracy", "Accuracy against the radius", has_radii, accuracy_script,
      accuracy_caption },
    { "probability", "Failure by chance", has_curves, curves_script, curves_caption },
    { "twin", "A series and its adversarial twin", rob_priv_has_twin,
      rob_priv_twin_script, rob_priv_twin_caption },
    { "slice", "The boundary nearby", rob_priv_has_slice, rob_priv_slice_script,
      rob_priv_slice_caption },
    { "curvature", "How the boundary bends", rob_priv_has_curvature,
      rob_priv_curvature_script, rob_priv_curvature_caption },
    { "universal", "One change for all series", rob_priv_has_universal,
      rob_priv_universal_script, rob_priv_universal_caption },
    { "tail", "Condition numbers over the data", rob_priv_has_tail,
      rob_priv_tail_script, rob_priv_tail_caption },
};
