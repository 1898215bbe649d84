/* figure.h -- pieces of gnuplot scripts, shared by the files that write figures. */
#ifndef ROB_REPORT_FIGURE_H
#define ROB_REPORT_FIGURE_H

#include "report/report.h"

double rob_priv_plot_value(const rob_page *p, int32_t column, int64_t k);
void rob_priv_plot_begin(rob_page *p, bool narrow, int wide_height, int narrow_height);
void rob_priv_plot_number(rob_page *p, double v); /* " NaN" when it is not finite */
void rob_priv_plot_log(rob_page *p, char axis, double low, double high);
void rob_priv_plot_tics(rob_page *p, char axis, double span, int parts);
bool rob_priv_plot_any(const rob_findings *f, int32_t column); /* a finite number */
/* least and largest positive finite number, into what is there */
void rob_priv_plot_span(const rob_findings *f, int32_t column, double *low,
                        double *high);

/* portrait.c: figures of the shown series, and of condition numbers */
bool rob_priv_has_twin(const rob_findings *f);
void rob_priv_twin_script(rob_page *p, bool narrow);
void rob_priv_twin_caption(rob_page *p);
bool rob_priv_has_slice(const rob_findings *f);
void rob_priv_slice_script(rob_page *p, bool narrow);
void rob_priv_slice_caption(rob_page *p);
bool rob_priv_has_curvature(const rob_findings *f);
void rob_priv_curvature_script(rob_page *p, bool narrow);
void rob_priv_curvature_caption(rob_page *p);
bool rob_priv_has_tail(const rob_findings *f);
void rob_priv_tail_script(rob_page *p, bool narrow);
void rob_priv_tail_caption(rob_page *p);

/* common.c: one change for all series */
bool rob_priv_has_universal(const rob_findings *f);
void rob_priv_universal_script(rob_page *p, bool narrow);
void rob_priv_universal_caption(rob_page *p);

#endif
