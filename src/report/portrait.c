/* portrait.c -- figures of one series: its twin, its condition by step, the boundary
 * near it; and the tail of the condition numbers over the data.
 *
 * Shown is the series whose failing distance is the median of those answered right, or
 * the one asked for. The tail is P(condition >= s) over the data; for a smooth boundary
 * it falls like 1/s in general (Demmel, Math. Comp. 50, 1988).
 */
#include "report/figure.h"

#include <math.h>

/* ---- twin ------------------------------------------------------------------------ */

bool rob_priv_has_twin(const rob_findings *f)
{
    return f->size[ROB_C_SHOWN_X] > 0 && f->size[ROB_C_SHOWN_TWIN] > 0;
}

static void twin_data(rob_page *p)
{
    int64_t d = p->f->features, steps = p->f->size[ROB_C_SHOWN_X] / d;
    rob_priv_page_add(p, "$d << EOD\n");
    for (int64_t t = 0; t < steps; t++) {
        rob_priv_page_print(p, "%lld", (long long)t);
        rob_priv_plot_number(p, rob_priv_plot_value(p, ROB_C_SHOWN_CONDITION, t));
        for (int64_t j = 0; j < d && j < 3; j++) {
            double x = rob_priv_plot_value(p, ROB_C_SHOWN_X, t * d + j);
            double z = rob_priv_plot_value(p, ROB_C_SHOWN_TWIN, t * d + j);
            rob_priv_plot_number(p, x);
            rob_priv_plot_number(p, z);
            rob_priv_plot_number(p, z - x);
        }
        rob_priv_page_add(p, "\n");
    }
    rob_priv_page_add(p, "EOD\n");
}

/* Tics of the two lower panels: the span of the change, of the condition numbers. */
static double span_of_change(const rob_page *p)
{
    double low = 0, high = 0;
    for (int64_t k = 0; k < p->f->size[ROB_C_SHOWN_X]; k++) {
        double v = p->f->value[ROB_C_SHOWN_TWIN][k] - p->f->value[ROB_C_SHOWN_X][k];
        low = fmin(low, v);
        high = fmax(high, v);
    }
    return high - low;
}

static double span_of_condition(const rob_page *p)
{
    double low = INFINITY, high = 0;
    rob_priv_plot_span(p->f, ROB_C_SHOWN_CONDITION, &low, &high);
    return high;
}

/* panel number k of n, from the top */
static void panel(rob_page *p, bool narrow, int k, int n)
{
    double top = narrow ? 0.89 : 0.92, bottom = narrow ? 0.125 : 0.135, gap = 0.05;
    double first = n == 3 ? 0.46 : 0.58, rest = (top - bottom) * (1 - first) / (n - 1);
    double high = k == 0 ? top : top - (top - bottom) * first - (k - 1) * rest - gap;
    double low =
        k == 0 ? top - (top - bottom) * first : top - (top - bottom) * first - k * rest;
    rob_priv_page_print(p,
                        "set tmargin at screen %.4f\nset bmargin at screen %.4f\n"
                        "set lmargin at screen %.3f\nset rmargin at screen 0.98\n",
                        high, low, narrow ? 0.19 : 0.11);
    rob_priv_page_add(p, k + 1 == n ? "set format x '%g'\nset xlabel 'time step'\n"
                                    : "set format x ''\nunset xlabel\n");
}

void rob_priv_twin_script(rob_page *p, bool narrow)
{
    bool condition = rob_priv_plot_any(p->f, ROB_C_SHOWN_CONDITION);
    int panels = condition ? 3 : 2;
    int64_t d = p->f->features, steps = p->f->size[ROB_C_SHOWN_X] / d;
    rob_priv_plot_begin(p, narrow, 560, 540);
    twin_data(p);
    rob_priv_page_print(p, "set multiplot\nset xrange [-0.5:%.1f]\n",
                        (double)steps - 0.5);
    panel(p, narrow, 0, panels);
    rob_priv_page_add(p, "set key at screen 0.5,0.995 center top horizontal\n"
                         "set ylabel 'value'\nplot ");
    for (int64_t j = 0; j < d && j < 3; j++)
        rob_priv_page_print(
            p,
            "%s'$d' using 1:%d with lines lw 2.2 lc rgb '#0072b2' %s, '' "
            "using 1:%d with lines lw 1.8 dt 2 lc rgb '#d55e00' %s",
            j ? ", " : "", (int)(3 + 3 * j), j ? "notitle" : "title 'series'",
            (int)(4 + 3 * j), j ? "notitle" : "title 'twin with another answer'");
    rob_priv_page_add(p, "\nunset key\nset ylabel 'change'\nset yrange [*:*]\n");
    rob_priv_plot_tics(p, 'y', span_of_change(p), 3);
    panel(p, narrow, 1, panels);
    rob_priv_page_add(p, "plot ");
    for (int64_t j = 0; j < d && j < 3; j++)
        rob_priv_page_print(p, "%s'$d' using 1:%d with impulses lw 2 lc rgb '%s'",
                            j ? ", " : "", (int)(5 + 3 * j),
                            j == 0   ? "#d55e00"
                            : j == 1 ? "#cc79a7"
                                     : "#e69f00");
    rob_priv_page_add(p, "\n");
    if (condition) {
        panel(p, narrow, 2, panels);
        rob_priv_plot_tics(p, 'y', span_of_condition(p), 3);
        rob_priv_page_add(p,
                          "set ylabel 'condition'\nset yrange [0:*]\nset boxwidth 0.8\n"
                          "plot '$d' using 1:2 with boxes lc rgb '#0072b2'\n");
    }
    rob_priv_page_add(p, "unset multiplot\n");
}

void rob_priv_twin_caption(rob_page *p)
{
    int64_t i = p->f->shown;
    if (!rob_priv_has_twin(p->f)) {
        rob_priv_page_add(
            p, "There is no twin to show: no failing point was found for the "
               "series chosen, or it already fails as it is.");
        return;
    }
    rob_priv_page_print(p, "Series %lld, ", (long long)i);
    if (rob_priv_plot_value(p, ROB_C_LABEL, i) >= 0) {
        rob_priv_page_add(p, "labelled ");
        rob_priv_page_class(p, rob_priv_plot_value(p, ROB_C_LABEL, i));
        rob_priv_page_add(p, ", ");
    }
    rob_priv_page_add(p, "answered ");
    rob_priv_page_class(p, rob_priv_plot_value(p, ROB_C_PREDICTION, i));
    rob_priv_page_add(p, ", and the nearest series found that gets another answer, at "
                         "distance ");
    rob_priv_page_number(p, rob_priv_plot_value(p, ROB_C_UPPER, i));
    rob_priv_page_add(p, " (the series itself has length ");
    rob_priv_page_number(p, rob_priv_plot_value(p, ROB_C_NORM, i));
    rob_priv_page_add(p, "). Beneath: what was changed");
    rob_priv_page_add(
        p, rob_priv_plot_any(p->f, ROB_C_SHOWN_CONDITION)
               ? ", on its own scale, and the condition number of each step: "
                 "which steps carry the fragility."
               : ", on its own scale.");
    if (p->f->features > 3)
        rob_priv_page_print(p, " The first 3 of %lld features are drawn.",
                            (long long)p->f->features);
}

/* ---- slice ----------------------------------------------------------------------- */

bool rob_priv_has_slice(const rob_findings *f)
{
    return rob_priv_plot_any(f, ROB_C_SLICE_MARGIN);
}

static void slice_data(rob_page *p)
{
    int64_t side = p->f->size[ROB_C_SLICE_AXIS];
    rob_priv_page_add(p, "$d << EOD\n");
    for (int64_t i = 0; i < side; i++) {
        for (int64_t j = 0; j < side; j++) {
            rob_priv_plot_number(p, rob_priv_plot_value(p, ROB_C_SLICE_AXIS, j));
            rob_priv_plot_number(p, rob_priv_plot_value(p, ROB_C_SLICE_AXIS, i));
            rob_priv_plot_number(
                p, rob_priv_plot_value(p, ROB_C_SLICE_MARGIN, i * side + j));
            rob_priv_page_add(p, "\n");
        }
        rob_priv_page_add(p, "\n");
    }
    rob_priv_page_add(p, "EOD\n");
}

void rob_priv_slice_script(rob_page *p, bool narrow)
{
    int64_t side = p->f->size[ROB_C_SLICE_AXIS];
    double half = rob_priv_plot_value(p, ROB_C_SLICE_AXIS, side - 1), most = 0;
    double upper = half / 2;
    double lower = rob_priv_plot_value(p, ROB_C_LOWER, p->f->shown);
    for (int64_t k = 0; k < side * side; k++)
        most = fmax(most, fabs(rob_priv_plot_value(p, ROB_C_SLICE_MARGIN, k)));
    if (!(most > 0)) most = 1;
    rob_priv_plot_begin(p, narrow, 560, 430);
    slice_data(p);
    rob_priv_page_print(p,
                        "set size ratio -1\nset xrange [%.9g:%.9g]\nset yrange "
                        "[%.9g:%.9g]\nset cbrange [%.9g:%.9g]\n"
                        "set palette defined (-1 '#d55e00', -0.001 '#fbe3d0', 0.001 "
                        "'#deeffa', 1 '#0072b2')\n"
                        "set xlabel 'towards the twin'\nset ylabel '%s' offset 0.5\n"
                        "set cblabel 'margin'\n"
                        "set style line 1 lc rgb '#000000' lw 2.4\n"
                        "set contour base\nset cntrparam levels discrete 0\n"
                        "set table $zero\nunset surface\nsplot '$d' using 1:2:3\nunset "
                        "table\nset surface\nunset contour\n",
                        -half, half, -half, half, -most, most,
                        rob_priv_plot_any(p->f, ROB_C_SLICE_DIRECTION)
                            ? "where it bends most to the series"
                            : "a random direction");
    rob_priv_page_print(p, "set parametric\nset trange [0:2*pi]\nL = %.9g\nU = %.9g\n",
                        lower > 0 ? lower : (double)NAN, upper);
    rob_priv_page_add(p, "set key outside above center horizontal\n"
                         "plot '$d' using 1:2:3 with image notitle, '$zero' using 1:2 "
                         "with lines lw 2.6 lc "
                         "rgb '#000000' title 'boundary', U*cos(t),U*sin(t) with lines "
                         "lw 1.8 dt 2 lc rgb "
                         "'#8c3d00' title 'U', ");
    if (lower > 0)
        rob_priv_page_add(
            p, "L*cos(t),L*sin(t) with lines lw 2.2 lc rgb '#003f63' title 'L, "
               "proved', ");
    rob_priv_page_add(
        p,
        "'+' using (0):(0) every ::0::0 with points pt 7 ps 1 lc rgb '#000000' title "
        "'series', '+' using (U):(0) every ::0::0 with points pt 9 ps 1.2 lc rgb "
        "'#8c3d00' title 'twin'\n");
}

void rob_priv_slice_caption(rob_page *p)
{
    if (!rob_priv_has_slice(p->f)) {
        rob_priv_page_add(
            p, "No slice: there is no failing point to look towards, or it was "
               "switched off (option slices).");
        return;
    }
    rob_priv_page_print(
        p,
        "The margin on a plane through series %lld. Blue keeps the answer, "
        "orange loses it, the black line is the boundary; inside the solid "
        "circle safety is proved, the dashed circle touches the failing "
        "point. Lengths: %s.",
        (long long)p->f->shown, rob_priv_length_unit(p->f));
}

/* ---- curvature ------------------------------------------------------------------- */

bool rob_priv_has_curvature(const rob_findings *f)
{
    return rob_priv_plot_any(f, ROB_C_SHOWN_CURVATURES);
}

void rob_priv_curvature_script(rob_page *p, bool narrow)
{
    rob_priv_plot_begin(p, narrow, 360, 340);
    rob_priv_page_add(p, "$d << EOD\n");
    for (int64_t k = 0; k < p->f->size[ROB_C_SHOWN_CURVATURES]; k++) {
        rob_priv_page_print(p, "%lld", (long long)k + 1);
        rob_priv_plot_number(p, p->f->value[ROB_C_SHOWN_CURVATURES][k]);
        rob_priv_page_add(p, "\n");
    }
    rob_priv_page_add(
        p, "EOD\nset xzeroaxis lt 1 lc rgb '#57606a'\nunset key\n"
           "set xlabel 'principal direction, ascending'\n"
           "set ylabel 'curvature, 1/length' offset 0.5\n"
           "plot '$d' using 1:2 with impulses lw 2 lc rgb '#56b4e9', '' using "
           "1:2 with points pt 7 ps 0.45 lc rgb '#0072b2'\n");
}

void rob_priv_curvature_caption(rob_page *p)
{
    if (!rob_priv_has_curvature(p->f)) {
        rob_priv_page_add(p,
                          "No curvatures: they need a boundary point with one smooth "
                          "boundary through it, in the Euclidean norm.");
        return;
    }
    rob_priv_page_print(
        p,
        "Principal curvatures of the boundary at the point nearest to series "
        "%lld. Positive: it bends away from the series, and random failures "
        "are rarer than beside a flat boundary; negative: it bends around "
        "the series, and they are commoner.",
        (long long)p->f->shown);
}

/* ---- tail of condition numbers --------------------------------------------------- */

bool rob_priv_has_tail(const rob_findings *f)
{
    return f->count >= 4 && rob_priv_plot_any(f, ROB_C_CONDITION_LOWER);
}

static void tail_block(rob_page *p, const char *name, int32_t column, double *scratch)
{
    int64_t n = rob_priv_sorted(p->f->value[column], p->f->count, scratch);
    rob_priv_page_print(p, "$%s << EOD\n", name);
    for (int64_t k = 0; k < n; k++) {
        if (!isfinite(scratch[k]) || scratch[k] <= 0) continue;
        rob_priv_plot_number(p, scratch[k]);
        rob_priv_plot_number(p, (double)(n - k) / (double)n);
        rob_priv_page_add(p, "\n");
    }
    rob_priv_page_add(p, "EOD\n");
}

void rob_priv_tail_script(rob_page *p, bool narrow)
{
    double low = INFINITY, high = 0;
    const rob_memory *m = &p->ctx->memory;
    double *scratch = rob_priv_allocate(m, p->f->count + 1, (int64_t)sizeof *scratch);
    p->t.failed = p->t.failed || !scratch;
    if (!scratch) return;
    for (int32_t k = ROB_C_CONDITION; k <= ROB_C_CONDITION_UPPER; k++)
        rob_priv_plot_span(p->f, k, &low, &high);
    rob_priv_plot_begin(p, narrow, 360, 340);
    tail_block(p, "low", ROB_C_CONDITION_LOWER, scratch);
    tail_block(p, "high", ROB_C_CONDITION_UPPER, scratch);
    tail_block(p, "first", ROB_C_CONDITION, scratch);
    rob_priv_release(m, scratch);
    rob_priv_plot_log(p, 'x', low / 1.2, high * 1.2);
    rob_priv_plot_log(p, 'y', 0.7 / (double)p->f->count, 1.3);
    rob_priv_page_add(
        p, "set xlabel 'condition number s'\nset ylabel 'share with at least s' "
           "offset 0.5\nplot '$low' using 1:2 with steps lw 2.6 dt 2 lc rgb "
           "'#d55e00' title 'at least (from U)'");
    if (rob_priv_plot_any(p->f, ROB_C_CONDITION_UPPER))
        rob_priv_page_add(
            p, ", '$high' using 1:2 with steps lw 2.6 lc rgb '#0072b2' title "
               "'at most (from L)'");
    if (rob_priv_plot_any(p->f, ROB_C_CONDITION))
        rob_priv_page_add(p,
                          ", '$first' using 1:2 with points pt 2 ps 0.7 lw 1.6 lc rgb "
                          "'#000000' title 'order 1'");
    rob_priv_page_add(p, "\n");
}

void rob_priv_tail_caption(rob_page *p)
{
    if (!rob_priv_has_tail(p->f)) {
        rob_priv_page_add(p,
                          "Too few series with a known distance for a distribution.");
        return;
    }
    rob_priv_page_add(
        p, "Share of the series whose condition number ‖x‖/distance is at least "
           "s. The true curve lies between the two; in general its tail falls "
           "like 1/s.");
}
