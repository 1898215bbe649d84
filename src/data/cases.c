/* cases.c -- the cases of .ts and .arff files, one series each: channels are features,
 * the label is a class or a real-valued target, time stamps are the series' own axis.
 */
#include "data/parts.h"

#include <math.h>
#include <string.h>

static rob_status check_role(rob_reading *r, const char *what)
{
    rob_status status = ROB_OK;
    CHECK(rob_priv_reading_is(r, "auto") || rob_priv_reading_is(r, "table")
              || rob_priv_reading_is(r, "series"),
          r->ctx, ROB_EFORMAT, "'%.200s' is a %s file; role=%s does not go with it",
          r->path, what, r->role);
    r->role = "table";
done:
    return status;
}

static rob_status check_stamps(rob_reading *r, const rob_ts *ts)
{
    rob_status status = ROB_OK;
    for (int64_t k = 1; k < ts->steps; k++)
        CHECK(ts->time[k] > ts->time[k - 1], r->ctx, ROB_EFORMAT,
              "'%.200s' line %lld: time stamp %lld is not above the one before it",
              r->path, (long long)ts->lines.line, (long long)k + 1);
done:
    return status;
}

/* The last field of the case: a class, a target, or nothing. */
static rob_status take_last(rob_reading *r, const rob_ts *ts, double *label,
                            double *target)
{
    rob_status status = ROB_OK;
    *label = NAN;
    r->target = NULL;
    if (ts->labelled)
        return rob_priv_reading_label(r, &ts->last, ts->lines.line, label);
    if (!ts->aimed) return ROB_OK;
    CHECK(rob_priv_field_number(&ts->last, target), r->ctx, ROB_EFORMAT,
          "'%.200s' line %lld: target '%.*s' is no finite number", r->path,
          (long long)ts->lines.line, rob_priv_field_show(&ts->last), ts->last.at);
    if (isnan(*target)) return ROB_OK;
    r->target = target;
    r->targets = 1;
done:
    return status;
}

static rob_status keep_case(rob_reading *r, rob_ts *ts, int64_t number)
{
    rob_status status = ROB_OK;
    double label, target;
    const double start = rob_priv_data_value(r->d, "start");
    const double dt = rob_priv_data_value(r->d, "dt");
    TRY(take_last(r, ts, &label, &target));
    if (ts->stamps) {
        TRY(check_stamps(r, ts));
        for (int64_t k = 0; k < ts->steps; k++) ts->time[k] = start + dt * ts->time[k];
        r->clock = ts->time;
        r->ticks = ts->steps;
    }
    TRY(rob_priv_reading_series(r, ts->x, ts->steps * ts->features, ts->features,
                                number, label));
done:
    r->clock = NULL;
    r->target = NULL;
    return status;
}

rob_status rob_priv_read_ts(rob_reading *r, const uint8_t *bytes, int64_t count)
{
    rob_status status = ROB_OK;
    rob_ts ts = { 0 };
    int64_t cases = 0;
    TRY(check_role(r, ".ts"));
    TRY(rob_priv_ts_open(r->ctx, bytes, count, r->path, &ts));
    if (ts.labelled) TRY(rob_priv_reading_declare(r, &ts.labels, ' '));
    for (;; cases++) {
        TRY(rob_priv_ts_next(r->ctx, &ts));
        if (ts.steps == 0) break;
        TRY(keep_case(r, &ts, cases + 1));
    }
    CHECK(cases > 0, r->ctx, ROB_EFORMAT, "'%.200s' has no case behind @data", r->path);
done:
    rob_priv_ts_clear(&ts);
    return status;
}

/* A relational attribute says how many channels there are, else option "features". */
rob_status rob_priv_read_arff(rob_reading *r, const uint8_t *bytes, int64_t count)
{
    rob_status status = ROB_OK;
    rob_arff a = { 0 };
    int64_t cases = 0;
    double label = NAN;
    const int64_t features = (int64_t)rob_priv_data_value(r->d, "features");
    TRY(check_role(r, ".arff"));
    TRY(rob_priv_arff_open(r->ctx, bytes, count, r->path, &a));
    if (a.labelled) TRY(rob_priv_reading_declare(r, &a.labels, ','));
    for (;; cases++) {
        TRY(rob_priv_arff_next(r->ctx, &a));
        if (a.values == 0) break;
        if (a.labelled) TRY(rob_priv_reading_label(r, &a.last, a.lines.line, &label));
        TRY(rob_priv_reading_series(
            r, a.x, a.values, a.relational ? a.channels : features, cases + 1, label));
    }
    CHECK(cases > 0, r->ctx, ROB_EFORMAT, "'%.200s' has no case behind @data", r->path);
done:
    rob_priv_arff_clear(&a);
    return status;
}
