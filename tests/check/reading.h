/* reading.h -- what the suites of file formats share: one context, one data set, files
 * made of bytes, published files where ROBUST_DATA has them.
 */
#ifndef ROB_TEST_READING_H
#define ROB_TEST_READING_H

#include "check/harness.h"
#include "check/poor.h"
#include "data/parts.h"
#include <robust/model.h>

#include <locale.h>
#include <math.h>
#include <stdint.h>

static rob_ctx *ctx;
static rob_data *d;

static inline void set_up(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    ck_assert_int_eq(rob_data_create(ctx, &d), ROB_OK);
}

static inline void tear_down(void)
{
    rob_data_free(d);
    rob_ctx_free(ctx);
}

#define GOOD(call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error(ctx))
#define SAYS(word)                                                                     \
    ck_assert_msg(strstr(rob_ctx_error(ctx), word) != NULL, "%s", rob_ctx_error(ctx))

static inline rob_status read_into(rob_ctx *c, rob_data *set, const void *bytes,
                                   int64_t count)
{
    char path[] = "/tmp/robust-format-XXXXXX";
    rob_write_file(path, bytes, (size_t)count);
    rob_status status = rob_data_read(c, set, path);
    unlink(path);
    return status;
}

static inline rob_status read_bytes(const void *bytes, int64_t count)
{
    return read_into(ctx, d, bytes, count);
}

static inline rob_status read_text(const char *text)
{
    return read_bytes(text, (int64_t)strlen(text));
}

/* Refused, with `word` in the error line, and the data set as it was. */
static inline void refuses(const void *bytes, int64_t count, rob_status code,
                           const char *word)
{
    const int64_t series = d->count, classes = d->classes, features = d->features;
    const char *labels = d->labels;
    rob_status status = read_bytes(bytes, count);
    ck_assert_msg(status == code, "%d: %s", (int)status,
                  status < ROB_OK ? rob_ctx_error(ctx) : word);
    SAYS(word);
    ck_assert_int_eq(d->count, series);
    ck_assert_int_eq(d->classes, classes);
    ck_assert_int_eq(d->features, features);
    ck_assert_ptr_eq(d->labels, labels);
}

static inline void refuses_text(const char *text, const char *word)
{
    refuses(text, (int64_t)strlen(text), ROB_EFORMAT, word);
}

/* Series i is exactly this. */
static inline void series_is(int64_t i, int64_t steps, int64_t features,
                             const double *x, int64_t label)
{
    ck_assert_int_lt(i, d->count);
    ck_assert_int_eq(d->features, features);
    ck_assert_int_eq(d->series[i].steps, steps);
    ck_assert_int_eq(d->series[i].label, label);
    for (int64_t k = 0; k < steps * features; k++)
        ck_assert_msg(d->series[i].x[k] == x[k], "series %d, number %d: %g, not %g",
                      (int)i, (int)k, d->series[i].x[k], x[k]);
}

static inline double known(int64_t i, const char *name, int64_t k)
{
    double out[64];
    int64_t count;
    GOOD(rob_data_about(ctx, d, i, name, out, 64, &count));
    ck_assert_int_lt(k, count);
    return out[k];
}

static inline bool read_published(const char *relative)
{
    char path[512];
    if (!rob_data_path(relative, path, sizeof path)) {
        rob_skip("ROBUST_DATA is not set");
        return false;
    }
    GOOD(rob_data_read(ctx, d, path));
    return true;
}

/* Of the series with a label, how many the published model gets right. */
static inline int64_t hits_of(const char *relative, const char *recipe)
{
    char path[512];
    double y[64];
    rob_model *model;
    int64_t hits = 0, outputs;
    rob_data_path(relative, path, sizeof path);
    GOOD(rob_model_load(ctx, path, recipe, &model));
    GOOD(rob_model_shape(ctx, model, NULL, NULL, &outputs));
    for (int64_t i = 0; i < d->count; i++) {
        int64_t best = 0;
        GOOD(rob_model_predict(ctx, model, d->series[i].x, d->series[i].steps, y, 64));
        for (int64_t k = 1; k < outputs; k++)
            if (y[k] > y[best]) best = k;
        hits += d->series[i].label == best;
    }
    rob_model_free(model);
    return hits;
}

static inline bool german(void)
{
    return setlocale(LC_ALL, "de_DE.UTF-8") || setlocale(LC_ALL, "de_DE.utf8");
}

#endif
