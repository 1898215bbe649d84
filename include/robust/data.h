/* data.h -- labelled sequences: read, simulated, added, split, saved.
 *
 * A data set is a list of series x (T, D), time-major; lengths T may differ, features D
 * may not. A label is a class 0 .. C-1, or -1: none. What a file calls its classes is
 * kept: classes ascend by the file's values (-1 and 1 become 0 and 1) unless the text
 * option "labels" fixes their order, and files read one after the other share one table
 * of classes, so TRAIN and TEST agree. A label not yet seen extends the table and moves
 * the classes above it along.
 *
 * Options. rob_data_set: features (1; values per step in rows of text and NPY
 * matrices); for simulations steps (128), noise (300 ppm), red (0.3), depth (20000
 * ppm), classes (2 or 3). rob_data_set_text: role (auto, series, label, table), labels
 * ("1,-1": the file's values in the order of the classes).
 *
 * What holds for all functions. A data set belongs to one thread at a time and keeps
 * the allocator of the ctx it was made with. ctx, handle, array or name NULL where one
 * is needed: ROB_EARGUMENT. No memory: ROB_EMEMORY. On error the data set is as it was,
 * a constructor's *out is NULL, and rob_ctx_error(ctx) says in one line what was wrong.
 * ctx is the caller's thread's context.
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
 * Set an option that is a text; it holds for later reads.
 *
 * @param ctx   context
 * @param data  data set
 * @param name  "role": what files hold. table: rows of a label and values; series:
 *              values only; label: one label for each series that has none; auto: table
 *              for text, series for NPY of rank 2 and 3, label for NPY of rank 1.
 *              "labels": the file's label values in the order of the classes, or ""
 * @param value its value, at most 127 characters
 * @return ROB_EARGUMENT: no such option or value
 * Cost: none. Since 0.1.
 */
ROB_API rob_status rob_data_set_text(rob_ctx *ctx, rob_data *data, const char *name,
                                     const char *value);

/**
 * Read a file and append what it holds; all of it or nothing.
 *
 * Known by content: NPY (versions 1 to 3; f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1, either byte
 * order, either array order), (T), (n, T) or (n, T, D); anything else is text: rows of
 * numbers with tabs, commas or blanks between, as in the UCR archive. A row shorter
 * than others, or ended by NaN, "?" or empty fields, is a shorter series; a value
 * missing inside one is an error. With option features = D > 1, a row of T D values is
 * T steps.
 * @param ctx  context
 * @param data data set
 * @param path the file
 * @return ROB_EIO: cannot be read. ROB_EFORMAT: not understood; the line names row and
 *         field. ROB_ESHAPE: other features than the series there, or not as many
 *         labels as series without one. ROB_EARGUMENT: option labels is no list of
 *         numbers
 * Cost: the file and its series are in memory together. Reference: Dau et al. 2019, The
 * UCR time series archive; NumPy Enhancement Proposal 1. Since 0.1.
 */
ROB_API rob_status rob_data_read(rob_ctx *ctx, rob_data *data, const char *path);

/**
 * Simulate series and append them. "transits": folded light curves of stars.
 *
 * Class 1 are transiting planets (quadratic limb darkening, circular orbits, depths of
 * 500 ppm to option depth), class 0 eclipsing binaries, half of them diluted to a
 * planet's depth, and plain stars, in white and correlated noise; with option classes =
 * 3 plain stars, planets and binaries are classes 0, 1, 2. Each series: `steps` bins of
 * phase -1/4 to 3/4, transit at one quarter; x = (f / median f - 1) / rms(f / median f
 * - 1). Classes alternate. Series i depends on ctx's seed, i and the options only.
 * @param ctx   context; its seed is used
 * @param data  data set; option noise is the typical error of one of 2880 exposures
 * @param what  "transits"
 * @param count how many, >= 0
 * @return ROB_STOPPED: cancelled; the series so far are there. ROB_EARGUMENT: another
 *         `what`. ROB_ESHAPE: the series there have more than one feature
 * Cost: about 0.5 ms a series. Reference: Mandel and Agol 2002, ApJ 580, L171;
 * src/data/simulate.c says what is drawn. Since 0.1.
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
