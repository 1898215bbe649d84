/* common.c -- figure of one change for all series, and what it breaks.
 *
 * Above: the change delta, step by step. Beneath: the share of series held out that
 * delta breaks and that a random change of its length breaks, with the exact intervals
 * of Clopper and Pearson.
 */
#include "report/figure.h"

#include <math.h>

bool rob_priv_has_universal(const rob_findings *f)
{
    return f->size[ROB_C_UNIVERSAL] > 0
           && rob_priv_finding(f, ROB_C_UNIVERSAL_FOOLED, 1) > 0;
}

static void change_data(rob_page *p)
{
    int64_t d = p->f->features, steps = p->f->size[ROB_C_UNIVERSAL] / d;
    rob_priv_page_add(p, "$d << EOD\n");
    for (int64_t t = 0; t < steps; t++) {
        rob_priv_page_print(p, "%lld", (long long)t);
        for (int64_t j = 0; j < d && j < 3; j++)
            rob_priv_plot_number(p,
                                 rob_priv_plot_value(p, ROB_C_UNIVERSAL, t * d + j));
        rob_priv_page_add(p, "\n");
    }
    rob_priv_page_add(p, "EOD\n");
}

static void share_data(rob_page *p)
{
    static const int32_t COLUMN[] = { ROB_C_UNIVERSAL_RANDOM, ROB_C_UNIVERSAL_FOOLED };
    rob_priv_page_add(p, "$s << EOD\n");
    for (int k = 0; k < 2; k++) {
        rob_priv_page_print(p, "%d", k);
        for (int64_t i = 2; i < 5; i++)
            rob_priv_plot_number(p, 100 * rob_priv_plot_value(p, COLUMN[k], i));
        rob_priv_page_add(p, "\n");
    }
    rob_priv_page_add(p, "EOD\n");
}

void rob_priv_universal_script(rob_page *p, bool narrow)
{
    static const char *const COLOUR[] = { "#d55e00", "#cc79a7", "#e69f00" };
    int64_t d = p->f->features, steps = p->f->size[ROB_C_UNIVERSAL] / d;
    double left = narrow ? 0.23 : 0.16;
    rob_priv_plot_begin(p, narrow, 420, 420);
    change_data(p);
    share_data(p);
    rob_priv_page_print(p,
                        "set multiplot\nunset key\nset lmargin at screen %.2f\n"
                        "set rmargin at screen 0.97\nset tmargin at screen 0.97\n"
                        "set bmargin at screen 0.50\nset xrange [-0.5:%.1f]\n"
                        "set ylabel 'the change'\nset xlabel 'time step'\nplot ",
                        left, (double)steps - 0.5);
    for (int64_t j = 0; j < d && j < 3; j++)
        rob_priv_page_print(p, "%s'$d' using 1:%d with impulses lw 2 lc rgb '%s'",
                            j ? ", " : "", (int)(2 + j), COLOUR[j]);
    rob_priv_page_add(
        p, "\nset tmargin at screen 0.34\nset bmargin at screen 0.14\n"
           "set xrange [0:100]\nset yrange [-0.6:1.6]\nunset ylabel\n"
           "set xtics 20\nset format x '%g %%'\nset xlabel 'series held out that break'\n"
           "set ytics ('random' 0, 'this change' 1)\nset grid noytics\n"
           "plot '$s' using 2:1:3:4 with xerrorbars lw 3 pt 7 ps 1.2 lc rgb '#0072b2'\n"
           "unset multiplot\n");
}

void rob_priv_universal_caption(rob_page *p)
{
    if (!rob_priv_has_universal(p->f)) {
        rob_priv_page_add(p, "No single change for all series was looked for.");
        return;
    }
    rob_priv_page_add(p, "One change of length at most ");
    rob_priv_page_number(p, rob_priv_plot_value(p, ROB_C_UNIVERSAL_RADIUS, 0));
    rob_priv_page_print(
        p, ", the same for every series, found on %.0f of them. Of %.0f others that "
           "were right it breaks ",
        rob_priv_plot_value(p, ROB_C_UNIVERSAL_OWN, 1),
        rob_priv_plot_value(p, ROB_C_UNIVERSAL_FOOLED, 1));
    rob_priv_page_percent(p, rob_priv_plot_value(p, ROB_C_UNIVERSAL_FOOLED, 2));
    rob_priv_page_add(p, " (between ");
    rob_priv_page_percent(p, rob_priv_plot_value(p, ROB_C_UNIVERSAL_FOOLED, 3));
    rob_priv_page_add(p, " and ");
    rob_priv_page_percent(p, rob_priv_plot_value(p, ROB_C_UNIVERSAL_FOOLED, 4));
    rob_priv_page_print(p, " with %g %% confidence, exact); a random change of that "
                           "length breaks ",
                        100 * p->f->confidence);
    rob_priv_page_percent(p, rob_priv_plot_value(p, ROB_C_UNIVERSAL_RANDOM, 2));
    rob_priv_page_add(p, ".");
    if (p->f->features > 3)
        rob_priv_page_print(p, " The first 3 of %lld features are drawn.",
                            (long long)p->f->features);
}
