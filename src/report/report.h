/* report.h -- what a report knows, and how it is written down.
 *
 * A run fills a table of columns, every number of it a double: NaN where nothing is
 * known, INFINITY where a search found nothing. The writers (JSON, page, figures) read
 * that table and compute nothing. The report is a client of the public interface: each
 * stage makes a method, runs it on the query and copies its answers.
 */
#ifndef ROB_REPORT_H
#define ROB_REPORT_H

#include "io/io.h"
#include "query/query.h"
#include <robust/report.h>

/* ---- columns --------------------------------------------------------------------- */

/* How many numbers a column has: 1; one a series, a radius, a radius of each series;
 * a correlation's four; as many as the shown series or the slice has. */
enum { ROB_ONE, ROB_SERIES, ROB_RADII, ROB_CELLS, ROB_FOUR, ROB_FREE };

/* Whose units: none, lengths of perturbations, values of the series. */
enum { ROB_PLAIN, ROB_LENGTH, ROB_PER_LENGTH, ROB_VALUE, ROB_SHARE, ROB_LOG10 };

#define ROB_REPORT_COLUMNS(C)                                                          \
    C(COUNT, "series", ROB_ONE, ROB_PLAIN)                                             \
    C(ACCURACY, "accuracy", ROB_ONE, ROB_SHARE)                                        \
    C(ACCURACY_LOWER, "accuracy_lower", ROB_ONE, ROB_SHARE)                            \
    C(ACCURACY_UPPER, "accuracy_upper", ROB_ONE, ROB_SHARE)                            \
    C(TESTED, "tested", ROB_ONE, ROB_PLAIN)                                            \
    C(MAJORITY, "majority", ROB_ONE, ROB_SHARE)                                        \
    C(BEATS, "beats_majority", ROB_ONE, ROB_PLAIN)                                     \
    C(PARTIAL, "partial", ROB_ONE, ROB_PLAIN)                                          \
    C(STEPS, "steps", ROB_SERIES, ROB_PLAIN)                                           \
    C(LABEL, "label", ROB_SERIES, ROB_PLAIN)                                           \
    C(PREDICTION, "prediction", ROB_SERIES, ROB_PLAIN)                                 \
    C(REFERENCE, "reference", ROB_SERIES, ROB_PLAIN)                                   \
    C(WRONG, "wrong", ROB_SERIES, ROB_PLAIN)                                           \
    C(MARGIN, "margin", ROB_SERIES, ROB_PLAIN)                                         \
    C(NORM, "norm", ROB_SERIES, ROB_LENGTH)                                            \
    C(LOWER, "lower", ROB_SERIES, ROB_LENGTH)                                          \
    C(UPPER, "upper", ROB_SERIES, ROB_LENGTH)                                          \
    C(RATIO, "ratio", ROB_SERIES, ROB_PLAIN)                                           \
    C(NEAREST, "nearest", ROB_SERIES, ROB_LENGTH)                                      \
    C(RESIDUAL, "residual", ROB_SERIES, ROB_PLAIN)                                     \
    C(ESTIMATE1, "estimate1", ROB_SERIES, ROB_LENGTH)                                  \
    C(ESTIMATE2, "estimate2", ROB_SERIES, ROB_LENGTH)                                  \
    C(CONDITION, "condition", ROB_SERIES, ROB_PLAIN)                                   \
    C(CONDITION_LOWER, "condition_lower", ROB_SERIES, ROB_PLAIN)                       \
    C(CONDITION_UPPER, "condition_upper", ROB_SERIES, ROB_PLAIN)                       \
    C(COMPONENTWISE, "condition_componentwise", ROB_SERIES, ROB_PLAIN)                 \
    C(WEIGHTS, "condition_weights", ROB_SERIES, ROB_PLAIN)                             \
    C(CURVATURE, "curvature", ROB_SERIES, ROB_PER_LENGTH)                              \
    C(CURVATURE_MIN, "curvature_min", ROB_SERIES, ROB_PER_LENGTH)                      \
    C(CURVATURE_MEAN, "curvature_mean", ROB_SERIES, ROB_PER_LENGTH)                    \
    C(CURVATURE_MAX, "curvature_max", ROB_SERIES, ROB_PER_LENGTH)                      \
    C(PROJECTION, "projection", ROB_SERIES, ROB_PLAIN)                                 \
    C(HESSIAN_LOWEST, "hessian_lowest", ROB_SERIES, ROB_PLAIN)                         \
    C(HESSIAN_HIGHEST, "hessian_highest", ROB_SERIES, ROB_PLAIN)                       \
    C(PROBABILITY_RADIUS, "probability_radius", ROB_ONE, ROB_LENGTH)                   \
    C(PROBABILITY, "probability", ROB_SERIES, ROB_SHARE)                               \
    C(PROBABILITY_LOWER, "probability_lower", ROB_SERIES, ROB_SHARE)                   \
    C(PROBABILITY_UPPER, "probability_upper", ROB_SERIES, ROB_SHARE)                   \
    C(RADIUS_GRID, "radius_grid", ROB_RADII, ROB_LENGTH)                               \
    C(CERTIFIED, "certified_accuracy", ROB_RADII, ROB_SHARE)                           \
    C(ATTACKED, "attacked_accuracy", ROB_RADII, ROB_SHARE)                             \
    C(RANDOM, "random_accuracy", ROB_RADII, ROB_SHARE)                                 \
    C(CURVE, "curve", ROB_CELLS, ROB_LOG10)                                            \
    C(CURVE_LOWER, "curve_lower", ROB_CELLS, ROB_LOG10)                                \
    C(CURVE_UPPER, "curve_upper", ROB_CELLS, ROB_LOG10)                                \
    C(SPEARMAN_CURVATURE, "spearman_curvature", ROB_FOUR, ROB_PLAIN)                   \
    C(SPEARMAN_CONDITION, "spearman_condition", ROB_FOUR, ROB_PLAIN)                   \
    C(SPEARMAN_PROBABILITY, "spearman_probability", ROB_FOUR, ROB_PLAIN)               \
    C(SHOWN, "shown", ROB_ONE, ROB_PLAIN)                                              \
    C(SHOWN_X, "shown_x", ROB_FREE, ROB_VALUE)                                         \
    C(SHOWN_TWIN, "shown_twin", ROB_FREE, ROB_VALUE)                                   \
    C(SHOWN_CONDITION, "shown_condition", ROB_FREE, ROB_PLAIN)                         \
    C(SHOWN_CURVATURES, "shown_curvatures", ROB_FREE, ROB_PER_LENGTH)                  \
    C(SLICE_AXIS, "slice_axis", ROB_FREE, ROB_LENGTH)                                  \
    C(SLICE_MARGIN, "slice_margin", ROB_FREE, ROB_PLAIN)                               \
    C(SLICE_DIRECTION, "slice_direction", ROB_FREE, ROB_PLAIN)                          \
    C(SIGNS, "signs", ROB_FREE, ROB_SHARE)                                             \
    C(UNIVERSAL, "universal", ROB_FREE, ROB_VALUE)                                     \
    C(UNIVERSAL_RADIUS, "universal_radius", ROB_FREE, ROB_LENGTH)                      \
    C(UNIVERSAL_OWN, "universal_own", ROB_FREE, ROB_PLAIN)                             \
    C(UNIVERSAL_FOOLED, "universal_fooled", ROB_FREE, ROB_PLAIN)                       \
    C(UNIVERSAL_RANDOM, "universal_random", ROB_FREE, ROB_PLAIN)

#define ROB_COLUMN_ID(id, name, shape, unit) ROB_C_##id,
enum { ROB_REPORT_COLUMNS(ROB_COLUMN_ID) ROB_COLUMN_COUNT };
#undef ROB_COLUMN_ID

typedef struct rob_column {
    const char *name;
    int32_t shape, unit;
} rob_column;
extern const rob_column rob_priv_column[ROB_COLUMN_COUNT];

/* ---- options --------------------------------------------------------------------- */

enum {
    ROB_REPORT_CONFIDENCE,
    ROB_REPORT_RADII,
    ROB_REPORT_SMALLEST,
    ROB_REPORT_LARGEST,
    ROB_REPORT_RHO,
    ROB_REPORT_SAMPLES,
    ROB_REPORT_BUDGET,
    ROB_REPORT_CALLS,
    ROB_REPORT_DIAGNOSE,
    ROB_REPORT_TOLERANCE,
    ROB_REPORT_STEPS,
    ROB_REPORT_COST,
    ROB_REPORT_DENSE,
    ROB_REPORT_SLICES,
    ROB_REPORT_SHOW,
    ROB_REPORT_ROWS,
    ROB_REPORT_TESTED,
    ROB_REPORT_RIGHT,
    ROB_REPORT_COMMONEST,
    ROB_REPORT_OPTIONS
};
extern const rob_option rob_priv_report_option[ROB_REPORT_OPTIONS];

enum {
    ROB_REPORT_TITLE,
    ROB_REPORT_MODEL,
    ROB_REPORT_DATA,
    ROB_REPORT_VALUE,
    ROB_REPORT_TIME,
    ROB_REPORT_PLOT,
    ROB_REPORT_ATTACK,
    ROB_REPORT_BOUND,
    ROB_REPORT_SAMPLER,
    ROB_REPORT_TEXTS
};
extern const char *const rob_priv_report_text[ROB_REPORT_TEXTS];

/* ---- the report ------------------------------------------------------------------ */

enum { ROB_WARNINGS = 8 };

/* What one run found. */
typedef struct rob_findings {
    rob_memory memory;
    double *value[ROB_COLUMN_COUNT]; /* NULL: never computed; then size 0 */
    int64_t size[ROB_COLUMN_COUNT];
    int64_t count, radii, labelled, features, shown; /* shown -1: none */
    int64_t dimension; /* most numbers of a series that may move */
    int32_t norm, units, reference;
    double cap;        /* of the query's ball, in its units */
    bool own_rows;     /* a specification of the user's own */
    char warning[ROB_WARNINGS][320]; /* of the diagnosis */
    int64_t warnings;
    bool attacked; /* the run had to attack */
    const char *stopped; /* stage that was cut short; NULL: none */
    char recipe[768], classes[512];
    double confidence;
} rob_findings;

struct rob_report {
    rob_memory memory;
    rob_query *query; /* the caller's */
    double option[ROB_REPORT_OPTIONS];
    char *text[ROB_REPORT_TEXTS]; /* NULL: not set */
    rob_findings findings;
    bool ran;
};

/* Everything of a run; ROB_STOPPED: what was done is there. */
rob_status rob_priv_report_run(rob_ctx *ctx, rob_report *r, rob_findings *out);
void rob_priv_findings_free(rob_findings *f);
/* Room for `size` numbers of a column, all NaN. */
rob_status rob_priv_findings_make(rob_ctx *ctx, rob_findings *f, int32_t column,
                                  int64_t size);
/* number k of a column; NaN where there is none */
double rob_priv_finding(const rob_findings *f, int32_t column, int64_t k);
/* one word for what is known of series i: wrong, bracketed, proved, broken, open */
const char *rob_priv_verdict(const rob_findings *f, int64_t i);

/* ---- stages (odds.c, local.c, slice.c, universal.c) ------------------------------ */
/* radii to look at: set, or from the distances found */
void rob_priv_report_grid(const rob_report *r, rob_findings *f);
rob_status rob_priv_report_odds(rob_ctx *ctx, rob_report *r, rob_findings *f);
/* boundary points, estimates, curvatures, condition numbers */
rob_status rob_priv_report_local(rob_ctx *ctx, rob_report *r, rob_findings *f);
rob_status rob_priv_report_condition(rob_ctx *ctx, rob_report *r, rob_findings *f);
rob_status rob_priv_report_spectrum(rob_ctx *ctx, rob_report *r, rob_findings *f);
/* the margin on the plane of the failing point and one direction more */
rob_status rob_priv_report_slice(rob_ctx *ctx, rob_report *r, rob_findings *f);
/* signs of masked gradients, and warnings (signs.c) */
rob_status rob_priv_report_signs(rob_ctx *ctx, rob_report *r, rob_findings *f);
/* one change for all, found on `search` and judged on `held`; after a run */
rob_status rob_priv_report_universal(rob_ctx *ctx, rob_report *r, rob_query *search,
                                     rob_query *held);

/* ---- order statistics (rank.c) --------------------------------------------------- */

/* x (n) in ascending order, NaN taken out; how many are left */
int64_t rob_priv_sorted(const double *x, int64_t n, double *out);
/* linear between order statistics (type 7 of Hyndman & Fan 1996); NaN for n = 0 */
double rob_priv_quantile(const double *sorted, int64_t n, double share);
/* order (n): indices by ascending key; ties and NaN (last) by index */
void rob_priv_order(const double *key, int64_t n, int64_t *order);
/* Spearman's rank correlation of the pairs without NaN, its interval, their number;
 * NaN where there is none. ROB_EMEMORY */
rob_status rob_priv_spearman(rob_ctx *ctx, const double *x, const double *y, int64_t n,
                             double confidence, double out[4]);

/* ---- writing (write.c, json.c, page.c, table.c, embed.c, draw.c) ----------------- */

typedef struct rob_page {
    rob_ctx *ctx;
    const rob_report *report;
    const rob_findings *f;
    rob_text t;
} rob_page;

/* The C locale's printf; of texts only the library's own. At most 2000 characters. */
void rob_priv_page_print(rob_page *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void rob_priv_page_add(rob_page *p, const char *text);
/* Foreign text, made harmless; bytes that are no UTF-8 become U+FFFD. */
void rob_priv_page_html(rob_page *p, const char *text);
void rob_priv_page_json(rob_page *p, const char *text); /* with its quotes */
/* Three significant digits; NaN: a dash; INFINITY: its sign */
void rob_priv_page_number(rob_page *p, double value);
void rob_priv_page_percent(rob_page *p, double share);
/* the name of a class out of the recipe, or its number */
void rob_priv_page_class(rob_page *p, double class);
/* "L2"; the unit of lengths, in words */
const char *rob_priv_norm_name(const rob_findings *f);
const char *rob_priv_length_unit(const rob_findings *f);
const char *rob_priv_unit_word(const rob_findings *f, int32_t unit);
const char *rob_priv_page_text(const rob_page *p, int32_t which, const char *otherwise);

void rob_priv_write_json(rob_page *p);
void rob_priv_write_html(rob_page *p);
void rob_priv_write_table(rob_page *p);
extern const char rob_priv_page_style[];

/* A figure: a gnuplot script from the findings alone, without foreign text. */
typedef struct rob_figure {
    const char *id, *title;
    bool (*has)(const rob_findings *f);
    void (*script)(rob_page *p, bool narrow);
    void (*caption)(rob_page *p); /* what to see; also says why there is none */
} rob_figure;
enum { ROB_FIGURES = 8 };
extern const rob_figure rob_priv_figure[ROB_FIGURES];
/* The figure with its caption, drawn when there is a plotter. */
void rob_priv_write_figure(rob_page *p, const rob_figure *figure);

/* Run the plotter: script on its standard input, SVG from its standard output into
 * *svg (ctx's memory). false: it could not; *why says so. */
bool rob_priv_draw(rob_ctx *ctx, const char *plotter, const rob_text *script,
                   rob_bytes *svg, const char **why);

#endif
