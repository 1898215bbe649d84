/* parts.h -- the pieces of a data set shared by the files of this module. */
#ifndef ROB_DATA_PARTS_H
#define ROB_DATA_PARTS_H

#include "data/data.h"
#include "io/formats.h"

enum { ROB_CLASSES_CAP = 4096 };

/* ---- data.c ---------------------------------------------------------------------- */

rob_status rob_priv_data_make(rob_ctx *ctx, rob_data **out);
/* Forget the series from `count` on. */
void rob_priv_data_cut(rob_data *d, int64_t count);
/* A copy of *s, its arrays included; shift, scale, time and target may be NULL. */
rob_status rob_priv_data_keep(rob_ctx *ctx, rob_data *d, const rob_series *s,
                              int64_t features);
/* Nothing but values: shift 0, scale 1, level 1, times not known. */
rob_series rob_priv_series(double *x, int64_t steps, int64_t label);
/* Time of step k. */
double rob_priv_series_time(const rob_series *s, int64_t k);

/* Labels of the series from `first` on become classes: value[k] is the file's label of
 * series first + k (NaN: none). The table grows or is the one of option "labels";
 * labels of earlier series are mapped along. On failure nothing has changed. */
rob_status rob_priv_data_classify(rob_ctx *ctx, rob_data *d, int64_t first,
                                  const double *value, const char *path);

/* Series i has these targets instead of its own. */
rob_status rob_priv_data_target(rob_ctx *ctx, rob_data *d, int64_t i,
                                const double *target, int64_t count);
/* Series without targets get `each` of value[0..count) in order; all of them or none. */
rob_status rob_priv_data_aim(rob_ctx *ctx, rob_data *d, double *value, int64_t count,
                             int64_t each, const char *path);

/* ---- labels.c -------------------------------------------------------------------- */

/* The labels in the order of their classes: option "labels", else what files declared,
 * else "". */
const char *rob_priv_data_labels(const rob_data *d);
/* The next of comma-separated words from *list on; its length, -1 behind the last. */
int64_t rob_priv_list_next(const char **list, const char **word);
/* Words of a list by which files call their classes, none of them a number. */
bool rob_priv_labels_are_words(const char *list, int64_t least);

/* ---- option.c -------------------------------------------------------------------- */

rob_status rob_priv_data_option(rob_ctx *ctx, rob_data *d, const char *name,
                                double value);
rob_status rob_priv_data_option_text(rob_ctx *ctx, rob_data *d, const char *name,
                                     const char *value);
double rob_priv_data_value(const rob_data *d, const char *name);
int64_t rob_priv_data_options(void);
void rob_priv_data_defaults(rob_data *d);
/* `word` is one of the comma-separated words of `list`. */
bool rob_priv_list_has(const char *list, const char *word);
/* Word k of the list; its length, -1 behind the last. */
int64_t rob_priv_list_word(const char *list, int64_t k, const char **word);

/* ---- read.c ---------------------------------------------------------------------- */

/* One reading: series are appended, their labels kept aside until all is well. */
typedef struct rob_reading {
    rob_ctx *ctx;
    rob_data *d;
    const char *path, *role;
    int64_t first; /* series there before */
    double *value; /* labels of the series read so far */
    int64_t values, room;
    const double *clock; /* times of the next series; or NULL */
    double *target;      /* its targets; or NULL */
    int64_t ticks, targets;
    char *labels; /* declared before this file; or NULL */
    bool declared;
    const char *name;        /* of the next series, when its file has one */
    int64_t missing, masked; /* of a light curve with such a name */
} rob_reading;

/* `count` values of one row with their label (NaN: none), which may come from a table
 * about the series; prepared, then appended, or left out. */
rob_status rob_priv_reading_series(rob_reading *r, double *x, int64_t count,
                                   int64_t features, int64_t row, double label);
/* `count` numbers of a row, in the role that is asked for. */
rob_status rob_priv_reading_row(rob_reading *r, double *row, int64_t count, int64_t at);
rob_status rob_priv_reading_clock(rob_reading *r, const double *at, int64_t count);
bool rob_priv_reading_is(const rob_reading *r, const char *role);
/* Series that wait for a label. */
int64_t rob_priv_data_waiting(const rob_data *d);
/* The words of `list`, separated by `mark`, are labels: classes of their own, also when
 * no series has them. */
rob_status rob_priv_reading_declare(rob_reading *r, const rob_field *list, char mark);
/* What a label field says: a number, or a word of the labels there are. */
rob_status rob_priv_reading_label(rob_reading *r, const rob_field *f, int64_t line,
                                  double *out);
rob_status rob_priv_data_read(rob_ctx *ctx, rob_data *d, const uint8_t *bytes,
                              int64_t count, const char *path);

/* ---- arrays.c, cases.c, light.c ----------------------------------------------------------- */

rob_status rob_priv_read_npy(rob_reading *r, const uint8_t *bytes, int64_t count);
rob_status rob_priv_read_idx(rob_reading *r, const uint8_t *bytes, int64_t count);
rob_status rob_priv_read_npz(rob_reading *r, const uint8_t *bytes, int64_t count);
rob_status rob_priv_read_fits(rob_reading *r, const uint8_t *bytes, int64_t count);
rob_status rob_priv_read_ts(rob_reading *r, const uint8_t *bytes, int64_t count);
rob_status rob_priv_read_arff(rob_reading *r, const uint8_t *bytes, int64_t count);

/* ---- columns.c, meta.c, prices.c: tables with a header --------------------------- */

/* Is the first row of the text no row of numbers, or separated by semicolons? */
bool rob_priv_columns_wanted(rob_ctx *ctx, const uint8_t *bytes, int64_t count);
/* Rows with a label column (role table, series). */
rob_status rob_priv_columns_rows(rob_reading *r, const uint8_t *bytes, int64_t count);
/* A column for each feature, one series (role columns). */
rob_status rob_priv_columns_series(rob_reading *r, const uint8_t *bytes, int64_t count);
/* Place of the column called `name` in the header row; -1: none. */
int64_t rob_priv_columns_find(const rob_csv *header, const char *name, int64_t length);
/* A date, else a number, else NaN. */
double rob_priv_columns_moment(const rob_field *f);
rob_status rob_priv_meta_read(rob_reading *r, const uint8_t *bytes, int64_t count);
rob_status rob_priv_prices_read(rob_reading *r, const uint8_t *bytes, int64_t count);

/* ---- prepare.c, curve.c ---------------------------------------------------------- */

/* Gaps, level, detrending, folding, scaling, as the options say. *s has values with
 * NaN for missing ones and room for `room` of them; false in *fits: too few points. */
rob_status rob_priv_prepare(rob_ctx *ctx, rob_data *d, rob_series *s, int64_t features,
                            const char *path, int64_t row, bool *fits);

/* How a curve is folded: option "fold". bins 0: it is not. */
typedef struct rob_fold {
    double period, epoch, duration, width;
    int64_t bins;
    bool from_meta;
} rob_fold;

/* False: not understood. */
bool rob_priv_fold_parse(const char *text, rob_fold *out);
/* NaN inside x[0..n) becomes linear in time between its neighbours, constant at the
 * ends; how many there were, -1: nothing but NaN. */
int64_t rob_priv_curve_fill(const double *time, double *x, int64_t n);
/* trend[i] = median of x[j], |time[j] - time[i]| <= width/2, over points that are
 * finite and not within the eclipse; NaN where there are none. work has n numbers. */
void rob_priv_curve_trend(const double *time, const double *x, int64_t n, double width,
                          const rob_fold *mask, double *trend, double *work);
/* Medians in bins of phase, NaN in empty ones. place (n + bins), work (n). */
void rob_priv_curve_fold(const double *time, const double *x, int64_t n,
                         const rob_fold *fold, int64_t *place, double *work,
                         double *out);
/* Left edge and width of a bin, in periods or, with width > 0, in durations. */
void rob_priv_curve_axis(const rob_fold *fold, double *start, double *dt);
/* Median of the finite ones among x[0..n); work (n); NaN when there is none. */
double rob_priv_curve_median(const double *x, int64_t n, double *work);

/* ---- market.c, windows.c --------------------------------------------------------- */

/* Day t = 0 .. days-1; r[t] = log p[t] - log p[t-1], r[0] not used. */
typedef struct rob_market {
    int64_t days, gaps;
    double *day, *r, *range, *volume; /* range, volume: or NULL */
    const char *name;
} rob_market;

/* All windows of the market, or only the last one with a target. */
rob_status rob_priv_windows(rob_ctx *ctx, rob_data *d, const rob_market *m, bool last,
                            int64_t *added);
/* Days a window looks back at most, and forward. */
void rob_priv_windows_reach(const rob_data *d, int64_t *back, int64_t *forward);

rob_status rob_priv_data_market(rob_ctx *ctx, rob_data *d, int64_t count);
/* Relative flux of a limb-darkened star behind an opaque disc. */
double rob_priv_transit_flux(double z, double p, double u1, double u2);
rob_status rob_priv_data_transits(rob_ctx *ctx, rob_data *d, int64_t count);

/* ---- split.c, fit.c, about.c ----------------------------------------------------- */

rob_status rob_priv_data_write(rob_ctx *ctx, const rob_data *d, const char *path);
rob_status rob_priv_data_part(rob_ctx *ctx, rob_data *d, double share, rob_data **out);
rob_status rob_priv_data_part_time(rob_ctx *ctx, rob_data *d, double share,
                                   rob_data **out);
rob_status rob_priv_data_fit(rob_ctx *ctx, rob_data *d, const rob_data *like);
rob_status rob_priv_data_about(rob_ctx *ctx, const rob_data *d, int64_t i,
                               const char *name, double *out, int64_t capacity,
                               int64_t *count);
rob_status rob_priv_data_about_text(rob_ctx *ctx, const rob_data *d, int64_t i,
                                    const char *name, char *out, int64_t capacity,
                                    int64_t *count);

#endif
