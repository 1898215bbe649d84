/* data.h -- labelled sequences: read, prepared, simulated, added, split, saved.
 *
 * A data set is a list of series x (T, D), time-major; lengths T may differ, features D
 * may not. A label is a class 0 .. C-1, or -1: none. What a file calls its classes is
 * kept: classes ascend by the file's values (-1 and 1 become 0 and 1) unless the text
 * option "labels" fixes their order, and files read one after the other share one table
 * of classes, so TRAIN and TEST agree. A label not yet seen extends the table and moves
 * the classes above it along.
 *
 * Units. Every series has a time axis and remembers how its values were scaled:
 * shift[f] + scale[f] x[k, f] is the value in the data set's units. shift and scale are
 * statistics of the series as it was read, frozen: whoever perturbs x does not change
 * them, and a distance r in x is scale r in those units (one feature). rob_data_about
 * gives them, rob_data_about_text names the units.
 *
 * Options that are numbers (rob_data_set), with defaults:
 *   features 1     values per step in rows of text and of NPY and IDX matrices
 *   frames 0       a series' values, in order, are this many steps; 0: the steps are
 *                  those of the file. Images of 28 x 28: 28 steps of 28 without it,
 *                  4 steps of 196 with frames = 4
 *   gaps 0.25      largest share of a series that may be missing (NaN, "?", an empty
 *                  field); inside, it becomes linear in time, at the ends constant;
 *                  counted. More is an error. 0: none may
 *   start 0, dt 1  time of step k is start + dt k; with a time axis c read before
 *                  (role time), start + dt c_k
 *   detrend 0      width in time of the running median taken out; 0: nothing. Flux
 *                  (normalize median or ppm) is divided by it, else it is subtracted;
 *                  points in transit are left out of it where the duration is known
 *   coverage 0.5   a folded series with a point in fewer of its bins is left out
 *   window 64, horizon 1, history 250, stride 1   prices, all in days with a price
 *   steps 128, noise 300 ppm, red 0.3, depth 20000 ppm, classes 2 (or 3)
 *                  simulated transits
 * Options that are texts (rob_data_set_text), with defaults, at most 127 characters:
 *   role auto      what files hold; see rob_data_read
 *   layout steps   channels: each of the file's D channels is a step and each of its T
 *                  steps a feature, x (T, D) becomes (D, T)
 *   labels ""      the file's labels in the order of the classes: "1,-1", or words,
 *                  "FALSE POSITIVE,CANDIDATE"; without it words have the order a
 *                  header declares (.ts, .arff), those of later files behind
 *   label ""       name of the label's column in a table with a header; "": the first
 *   columns ""     (or column) names of the columns with values, commas between; "":
 *                  all others.
 *                  Role prices: the price. Role meta: period=NAME,epoch=NAME,...
 *   time ""        name of the column with the time; "": date, time, or the first
 *   split ""       role meta: only rows whose column split is this
 *   fold ""        "period=P epoch=E [duration=W] [bins=201] [width=K]" or, each series
 *                  by its own row of the table read with role=meta, "meta [bins=201]
 *                  [width=K]". Medians in bins of phase: the whole period from -1/4 to
 *                  3/4, transit at 0; with width K transit durations, mid-transit in
 *                  the middle
 *   normalize ""   words with commas between. Before folding: median (x/m - 1), ppm
 *                  (10^6 (x/m - 1)), m the median. At the end: zscore (mean, standard
 *                  deviation), mad (median, 1.4826 median deviation). Prices: past (by
 *                  the root mean square return of the history; the default), none
 *   inputs return  prices: features, of return, size, range, volume
 *   target direction   prices: direction, volatility, forecast, none
 *   from "", until ""  prices: windows that end on this day or later; whose target ends
 *                  before this day
 *   units "", time_units ""   what the file's values and times are in
 *   quality default   FITS: the flags of SAP_QUALITY or QUALITY that make a value
 *                  missing: default (src/data/light.c lists them), none, or their sum as
 *                  one number
 *
 * What holds for all functions. A data set belongs to one thread at a time and keeps
 * the allocator of the ctx it was made with. ctx, handle, array or name NULL where one
 * is needed: ROB_EARGUMENT. No memory: ROB_EMEMORY. On error the data set is as it was,
 * a constructor's *out is NULL, and rob_ctx_error(ctx) says in one line what was wrong.
 * ctx is the caller's thread's context. docs/theory/data.md has the formulas.
 */
#ifndef ROBUST_DATA_H
#define ROBUST_DATA_H
#include <robust/ctx.h>
#ifdef __cplusplus
extern "C" {
#endif

/** A data set; opaque. */
typedef struct rob_data rob_data;

/**
 * Make an empty data set.
 *
 * @param ctx context
 * @param out receives the data set; NULL on error
 * Cost: two allocations. Since 0.1.
 */
ROB_API rob_status rob_data_create(rob_ctx *ctx, rob_data **out);

/**
 * Set an option that is a number; it holds for later reads and simulations.
 *
 * @param ctx   context
 * @param data  data set
 * @param name  option; see the top of this header
 * @param value its value
 * @return ROB_EARGUMENT: no such option (the line lists them). ROB_EDOMAIN: out of
 *         range, or not an integer where one is needed
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_data_set(rob_ctx *ctx, rob_data *data, const char *name,
                                double value);

/**
 * Set an option that is a text; it holds for later reads and simulations.
 *
 * @param ctx   context
 * @param data  data set
 * @param name  option; see the top of this header
 * @param value its value, at most 127 characters
 * @return ROB_EARGUMENT: no such option or value
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_data_set_text(rob_ctx *ctx, rob_data *data, const char *name,
                                     const char *value);

/**
 * Read a file and append what it holds; all of it or nothing.
 *
 * Known by content, never by name: NPY (versions 1 to 3; f4 f8 i1 i2 i4 i8 u1 u2 u4 u8
 * b1, either byte order, either array order); IDX (the format of MNIST: u1 i1 i2 i4 f4
 * f8, up to 3 dimensions); .ts (sktime: channels, unequal lengths, missing values, time
 * stamps, classes or real-valued targets; the channels of one series have one length);
 * .arff (numeric attributes and a nominal one, the class; relational: channels); NPZ
 * (arrays x, y, target and time, or those option columns names: "x=NAME,y=NAME"); any of
 * these compressed by gzip; FITS light curves (Kepler, TESS), by cfitsio on bytes in
 * memory. What is compressed becomes at most 64 MiB and 64 times its
 * own size. Anything else is text, with tabs, semicolons, commas or blanks between the
 * fields, quoted or not, with or without a header. Numbers have a
 * decimal point, whatever the host's locale. A row shorter than others, or ended by
 * missing values, is a shorter series. With features = D > 1 a row of T D values is T
 * steps. By option role the file holds
 *   table    a row for each series, its label first (or in column `label`)
 *   series   the same without labels; NPY and IDX (T), (n, T) or (n, T, D)
 *   label    one label for each series that has none
 *   target   real-valued targets for the series without any: a row of k numbers each, or
 *            NPY (n) or (n, k)
 *   columns  one series, a column for each feature, times in column `time`. FITS has
 *            this role by itself: columns of the first binary table with a column TIME,
 *            PDCSAP_FLUX without option columns. Missing and flagged values are counted
 *            and become gaps, the name is OBJECT, units are those of the file
 *   prices   a row for each day: date (yyyy-mm-dd, m/d/yyyy or a number, ascending or
 *            descending) and price. Log returns, cut into windows of `window` days, one
 *            for every `stride` days t. A window and its scale use days up to t; its
 *            target uses days t+1 to t+horizon: direction (class 1: the price rises),
 *            volatility (class 1: above the median of the history), forecast (no class;
 *            the returns, in the units of x). Days without a price are dropped, not filled
 *   meta     a row for each series read next, with a header: period, epoch, duration,
 *            label, split, name, known by their usual names (those of the KOI table
 *            among them) or by option columns. A duration in hours (koi_duration, or
 *            a name that ends in _h) becomes days
 *   time     the time axis of the series read next; NPY of rank 1
 *   auto     table for text, series for NPY, NPZ and IDX of rank 2 and 3, label for 1;
 *            so images first, then their labels
 * @param ctx  context
 * @param data data set
 * @param path the file
 * @return ROB_EIO: cannot be read. ROB_EFORMAT: not understood; the line names row and
 *         field. ROB_ESHAPE: other features than the series there; not as many labels
 *         or rows of role meta as series; a time axis that is too short. ROB_EDOMAIN: a
 *         flux whose median is not above 0. ROB_EARGUMENT: option labels is no list, or
 *         frames and layout with a time axis. ROB_EUNSUPPORTED: gzip, or NPZ
 *         that is packed, without zlib; FITS without cfitsio
 * Cost: the file and its series are in memory together; folding n log n. Reference: Dau
 * et al. 2019, The UCR time series archive; Loening et al. 2019, sktime; Hall et
 * al. 2009, WEKA; NumPy Enhancement Proposal 1; RFC 4180;
 * Shallue and Vanderburg 2018, AJ 155, 94. Since 0.1.
 */
ROB_API rob_status rob_data_read(rob_ctx *ctx, rob_data *data, const char *path);

/**
 * Simulate series and append them.
 *
 * "transits": folded light curves of stars. Class 1 are transiting planets (quadratic
 * limb darkening, circular orbits, depths of 500 ppm to option depth), class 0
 * eclipsing binaries, half of them diluted to a planet's depth, and plain stars, in
 * white and correlated noise; with option classes = 3 plain stars, planets and binaries
 * are classes 0, 1, 2. Each series: `steps` bins of phase -1/4 to 3/4, transit at one
 * quarter; x = (f / median f - 1) / rms(f / median f - 1). Classes alternate.
 *
 * "prices": windows of markets with two regimes and clustered volatility, cut and
 * labelled as role prices does. The sign of a return is a fair coin, so nothing beats
 * one half on the target direction; rob_data_about "truth" has the regime and the
 * standard deviation of the first day of the target.
 *
 * Series i depends on ctx's seed, i and the options only.
 * @param ctx   context; its seed is used
 * @param data  data set; option noise is the typical error of one of 2880 exposures
 * @param what  "transits" or "prices"
 * @param count how many, >= 0
 * @return ROB_STOPPED: cancelled; the series so far are there. ROB_EARGUMENT: another
 *         `what`. ROB_ESHAPE: the series there have other features
 * Cost: about 0.5 ms a series. Reference: Mandel and Agol 2002, ApJ 580, L171;
 * Bollerslev 1986, J. Econometrics 31, 307; src/data/simulate.c and market.c say what
 * is drawn. Since 0.1.
 */
ROB_API rob_status rob_data_simulate(rob_ctx *ctx, rob_data *data, const char *what,
                                     int64_t count);

/**
 * Append one series.
 *
 * @param ctx      context
 * @param data     data set
 * @param x        (steps, features) numbers, time-major; finite
 * @param steps    T >= 1
 * @param features D >= 1; that of the series there
 * @param label    class 0 .. 4095, or -1: none; a new class extends the table
 * @return ROB_ESHAPE: sizes. ROB_EDOMAIN: a number is not finite. ROB_EARGUMENT: label
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_data_add(rob_ctx *ctx, rob_data *data, const double *x,
                                int64_t steps, int64_t features, int64_t label);

/**
 * Give a series real-valued targets, what a forecast is fitted to.
 *
 * They take the place of those it has; the label stays.
 * @param ctx    context
 * @param data   data set
 * @param i      which series, from 0
 * @param target (count) numbers, in the units the model shall answer in; finite
 * @param count  as many as the model has outputs; 0: none
 * @return ROB_EARGUMENT: no series i. ROB_ESHAPE: count. ROB_EDOMAIN: a number is not
 *         finite
 * Cost: a copy of the series. Since 0.1.
 */
ROB_API rob_status rob_data_set_target(rob_ctx *ctx, rob_data *data, int64_t i,
                                       const double *target, int64_t count);

/**
 * Move a share of every class into a new data set.
 *
 * Of n series of a class floor(share n + 1/2) move, drawn without replacement from
 * ctx's seed; order is kept on both sides, and both know all classes.
 * @param ctx   context; its seed is used
 * @param data  data set; keeps the rest
 * @param share between 0 and 1, both excluded
 * @param out   receives the new data set; NULL on error
 * @return ROB_EDOMAIN: share
 * Cost: no series is copied. Since 0.1.
 */
ROB_API rob_status rob_data_split(rob_ctx *ctx, rob_data *data, double share,
                                  rob_data **out);

/**
 * Move the latest share of windows of prices into a new data set.
 *
 * With m = floor(share n + 1/2) and q the m-th latest day on which a window ends, all
 * windows that end on day q or later move; of the others, those whose target reaches
 * behind q are removed ("purged"), so that no day decides targets on both sides.
 * @param ctx   context
 * @param data  data set; keeps the rest
 * @param share between 0 and 1, both excluded
 * @param out   receives the new data set; NULL on error
 * @return ROB_EDOMAIN: share. ROB_EARGUMENT: a series without a date
 * Cost: no series is copied. Since 0.1.
 */
ROB_API rob_status rob_data_split_time(rob_ctx *ctx, rob_data *data, double share,
                                       rob_data **out);

/**
 * Scale every feature by the mean and standard deviation it has in a training set.
 *
 * x <- (x - m_f) / s_f, m_f and s_f over all steps of all series of `like`, or those
 * `like` itself was scaled by; s_f = 0 counts as 1. shift and scale follow, and splits
 * inherit it; series added or read afterwards are not scaled.
 * @param ctx  context
 * @param data data set; changed
 * @param like training set; NULL: data itself
 * @return ROB_ESHAPE: no series, or other features. ROB_EARGUMENT: data was scaled
 *         before. ROB_EDOMAIN: values too large for a mean
 * Cost: three passes over the values. Since 0.1.
 */
ROB_API rob_status rob_data_normalize(rob_ctx *ctx, rob_data *data,
                                      const rob_data *like);

/**
 * Save as UCR text: a row for each series, the file's own label first, tabs between,
 * shorter series filled with NaN, no label as "?"; 17 digits, so reading gives the same
 * bits.
 *
 * @param ctx  context
 * @param data data set with one feature
 * @param path where; an existing file is replaced only when the new one is whole
 * @return ROB_EIO: cannot be written. ROB_ESHAPE: no series. ROB_EUNSUPPORTED: more
 *         than one feature
 * Cost: the text is in memory once. Since 0.1.
 */
ROB_API rob_status rob_data_save(rob_ctx *ctx, const rob_data *data, const char *path);

/**
 * Count the series.
 *
 * @param data data set, or NULL: 0
 * Cost: none. Since 0.1.
 */
ROB_API int64_t rob_data_count(const rob_data *data);

/**
 * Count the classes: 1 + the largest label that can occur.
 *
 * @param data data set, or NULL: 0
 * Cost: none. Since 0.1.
 */
ROB_API int64_t rob_data_classes(const rob_data *data);

/**
 * Copy one series out.
 *
 * @param ctx      context
 * @param data     data set
 * @param i        which, from 0
 * @param x        receives (steps, features) numbers; NULL only asks
 * @param capacity numbers x has room for
 * @param steps    receives T; or NULL
 * @param features receives D; or NULL
 * @param label    receives the class, -1: none; or NULL
 * @return ROB_EARGUMENT: no series i. ROB_ESHAPE: capacity is too small
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_data_get(rob_ctx *ctx, const rob_data *data, int64_t i,
                                double *x, int64_t capacity, int64_t *steps,
                                int64_t *features, int64_t *label);

/**
 * Copy out what is known about a series, or about the whole set, beside its values.
 *
 * Of a series: "time" (T); "shift", "scale" (D), see the top; "level": what a flux was
 * divided by; "gaps": values interpolated; "missing": values the file
 * leaves out; "masked": values that quality flags forbid; "target": the
 * real-valued targets (direction: the log return over the horizon; volatility: that of
 * the horizon over its median; forecast: the returns over the scale of x); "when",
 * "until": last day of a window and of its target;
 * "period", "epoch", "duration" of a folded curve, in the file's time; "truth": of a
 * simulated market, its regime (0 calm, 1 wild) and standard deviation. What is not
 * known has 0 numbers. Of the set (i = -1): "gaps" of all series; "skipped": series
 * left out for lack of points; "dropped": days without a price; "purged": windows
 * removed by a split by time; "classes": the file's value of every class;
 * "normalisation" (2, D): means and deviations of rob_data_normalize.
 * @param ctx      context
 * @param data     data set
 * @param i        which series, from 0; -1: the whole set
 * @param name     what
 * @param out      receives the numbers; NULL only asks
 * @param capacity numbers out has room for
 * @param count    receives how many there are; or NULL
 * @return ROB_EARGUMENT: no series i, or nothing of that name. ROB_ESHAPE: capacity is
 *         too small
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_data_about(rob_ctx *ctx, const rob_data *data, int64_t i,
                                  const char *name, double *out, int64_t capacity,
                                  int64_t *count);

/**
 * Copy out a text about a series, or about the whole set.
 *
 * "units": what shift + scale x is in (ppm, relative, log return, or option units);
 * "time_units": of the time axis (periods, durations, days since 1970-01-01, or option
 * time_units). Of a series also "name" (its row, its name in the table of role meta, or
 * the file of prices) and "class" (the word of option labels, else the file's value; ""
 * without a label).
 * @param ctx      context
 * @param data     data set
 * @param i        which series, from 0; -1: the whole set
 * @param name     what
 * @param text     receives the text with a final zero; NULL only asks
 * @param capacity characters text has room for
 * @param count    receives how many there are, final zero included; or NULL
 * @return ROB_EARGUMENT: no series i, or no such text. ROB_ESHAPE: capacity
 * Cost: a copy. Since 0.1.
 */
ROB_API rob_status rob_data_about_text(rob_ctx *ctx, const rob_data *data, int64_t i,
                                       const char *name, char *text, int64_t capacity,
                                       int64_t *count);

/**
 * Free a data set.
 *
 * @param data data set, or NULL: nothing happens
 * Any thread, no lock. Cost: one release a series. Since 0.1.
 */
ROB_API void rob_data_free(rob_data *data);

#ifdef __cplusplus
}
#endif
#endif
