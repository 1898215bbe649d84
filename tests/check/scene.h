/* scene.h -- a small query and its report, for the suites of reports. */
#ifndef ROB_TEST_SCENE_H
#define ROB_TEST_SCENE_H

#include "check/harness.h"
#include "report/report.h"

#include "check/json.h"
#include "check/models.h"

#include <robust.h>

#include <math.h>

enum { T = 6, D = 1, N = 6, MOST = 65536 };

static rob_ctx *ctx;
static rob_model *model;
static rob_query *query;
static rob_report *report;
static char *page;

static inline void start(void)
{
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    model = NULL;
    query = NULL;
    report = NULL;
    page = NULL;
}

static inline void stop(void)
{
    free(page);
    rob_report_free(report);
    rob_query_free(query);
    rob_model_free(model);
    rob_ctx_free(ctx);
}

static inline void ask(rob_model *m, int64_t count)
{
    double x[T * D];
    model = m;
    ck_assert_int_eq(rob_query_create(ctx, model, &query), ROB_OK);
    for (int64_t i = 0; i < count; i++) {
        test_series(x, T * D, (uint64_t)i + 1);
        for (int k = 0; k < T * D; k++) x[k] *= 1 + (double)i;
        ck_assert_int_eq(rob_query_add(ctx, query, x, T, i % 2), ROB_OK);
    }
}

/* Without biases f(0) = 0, so the boundary is never farther than 0. */
static inline rob_model *small_lstm(void)
{
    static const int BIAS[] = { B_IH, B_HH, HEAD_B };
    rob_model *m =
        test_model(ctx, ROB_KIND_LSTM, D, 3, 2, ROB_READOUT_LAST, ROB_F32, 1);
    for (int k = 0; k < 3; k++) {
        rob_tensor *t = m->parameter[BIAS[k]].tensor;
        memset(t->data, 0, (size_t)rob_priv_shape_size(&t->shape) * sizeof(float));
    }
    return m;
}

static inline void set(const char *name, double value)
{
    ck_assert_int_eq(rob_report_set(ctx, report, name, value), ROB_OK);
}

static inline void make_report(void)
{
    ck_assert_int_eq(rob_report_create(ctx, query, &report), ROB_OK);
    set("samples", 200);
    set("slices", 5);
    set("calls", 60);
}

static inline void run(void)
{
    make_report();
    ck_assert_int_eq(rob_report_run(ctx, report), ROB_OK);
}

/* A column into room for MOST numbers; how many there are. */
static inline int64_t get(const char *column, double *out)
{
    int64_t n = -1;
    ck_assert_int_eq(rob_report_get(ctx, report, column, out, MOST, &n), ROB_OK);
    return n;
}

static inline double one(const char *column)
{
    double out[MOST];
    ck_assert_int_eq(get(column, out), 1);
    return out[0];
}

static inline const char *written(const char *ending)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/robust-report-%d%s", (int)getpid(), ending);
    ck_assert_int_eq(rob_report_save(ctx, report, path), ROB_OK);
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    free(page);
    page = malloc((size_t)size + 1);
    ck_assert_int_eq(fread(page, 1, (size_t)size, file), size);
    page[size] = 0;
    fclose(file);
    remove(path);
    ck_assert_int_eq(strlen(page), size);
    return page;
}

#endif
