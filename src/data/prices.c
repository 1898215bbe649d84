/* prices.c -- a table of daily prices into log returns, and those into windows.
 *
 * Columns are known by name: the date by option "time" (else date, time, else the
 * first), the price by option "columns" (else adj close, adjclose, close, price, else
 * the first behind the date); high, low and volume where an input needs them. A day on
 * which one of them is missing or not positive is passed over and counted: the next
 * return spans the gap. Filling it in between its neighbours would look into the
 * future. Dates ascend; descending files are turned round, anything else is refused.
 */
#include "data/parts.h"

#include <math.h>
#include <string.h>

enum { PRICE, HIGH, LOW, VOLUME, KINDS };

typedef struct table {
    rob_csv csv;
    int64_t date, at[KINDS]; /* columns; -1: not needed */
    double *day, *value[KINDS];
    int64_t days, room, dropped;
} table;

/* ---- columns --------------------------------------------------------------------- */

static int64_t first_of(const rob_csv *header, const char *names)
{
    const char *word;
    int64_t at = -1;
    for (int64_t k = 0, n; (n = rob_priv_list_word(names, k, &word)) >= 0 && at < 0;
         k++)
        at = rob_priv_columns_find(header, word, n);
    return at;
}

static rob_status find_columns(rob_reading *r, table *t)
{
    rob_status status = ROB_OK;
    const char *time = r->d->text[ROB_DATA_TIME];
    const char *price = r->d->text[ROB_DATA_COLUMNS];
    const char *inputs = r->d->text[ROB_DATA_INPUTS];
    bool range = rob_priv_list_has(inputs, "range");
    t->date = first_of(&t->csv, *time ? time : "date,time");
    if (t->date < 0 && *time == 0) t->date = 0;
    t->at[PRICE] = first_of(&t->csv, *price ? price : "adj close,adjclose,close,price");
    if (t->at[PRICE] < 0 && *price == 0 && t->csv.fields > 1)
        t->at[PRICE] = t->date == 0 ? 1 : 0;
    t->at[HIGH] = range ? first_of(&t->csv, "high") : -1;
    t->at[LOW] = range ? first_of(&t->csv, "low") : -1;
    t->at[VOLUME] =
        rob_priv_list_has(inputs, "volume") ? first_of(&t->csv, "volume") : -1;
    CHECK(t->date >= 0, r->ctx, ROB_EFORMAT,
          "'%.200s' names no column '%.60s' (option time)", r->path, time);
    CHECK(t->at[PRICE] >= 0, r->ctx, ROB_EFORMAT,
          "'%.200s' names no column '%.60s' (option columns)", r->path, price);
    CHECK(!range || (t->at[HIGH] >= 0 && t->at[LOW] >= 0), r->ctx, ROB_EFORMAT,
          "'%.200s' has no columns high and low, which inputs=range needs", r->path);
done:
    return status;
}

/* ---- rows ------------------------------------------------------------------------ */

static rob_status grow(rob_reading *r, table *t)
{
    const rob_memory *m = &r->ctx->memory;
    int64_t room = 2 * t->room + 512;
    if (t->days < t->room) return ROB_OK;
    for (int k = -1; k < KINDS; k++) {
        double **at = k < 0 ? &t->day : &t->value[k];
        double *grown = rob_priv_grow(m, *at, t->days, room, (int64_t)sizeof *grown);
        if (grown == NULL) return rob_priv_no_memory(r->ctx);
        *at = grown;
    }
    t->room = room;
    return ROB_OK;
}

/* 1 where the column is not needed; NaN where nothing positive stands. */
static rob_status take(rob_reading *r, const table *t, int kind, double *out)
{
    rob_status status = ROB_OK;
    *out = 1.0;
    if (t->at[kind] < 0) return ROB_OK;
    *out = NAN;
    if (t->at[kind] >= t->csv.fields) return ROB_OK;
    const rob_field *f = &t->csv.field[t->at[kind]];
    CHECK(rob_priv_field_number(f, out), r->ctx, ROB_EFORMAT,
          "'%.200s' line %lld, field %lld: '%.*s' is no finite number", r->path,
          (long long)t->csv.line, (long long)t->at[kind] + 1,
          (int)(f->count < 40 ? f->count : 40), f->at);
    if (!(*out > 0)) *out = NAN;
done:
    return status;
}

static rob_status add_day(rob_reading *r, table *t)
{
    rob_status status = ROB_OK;
    bool whole = true;
    TRY(grow(r, t));
    CHECK(t->date < t->csv.fields, r->ctx, ROB_EFORMAT,
          "'%.200s' line %lld has no date", r->path, (long long)t->csv.line);
    t->day[t->days] = rob_priv_columns_moment(&t->csv.field[t->date]);
    CHECK(isfinite(t->day[t->days]), r->ctx, ROB_EFORMAT,
          "'%.200s' line %lld: its date is not understood; write 2015-01-31, 1/31/2015 "
          "or "
          "a number",
          r->path, (long long)t->csv.line);
    for (int k = 0; k < KINDS; k++) {
        TRY(take(r, t, k, &t->value[k][t->days]));
        whole = whole && isfinite(t->value[k][t->days]);
    }
    if (whole) t->days++;
    else t->dropped++;
done:
    return status;
}

static void swap(double *a, double *b)
{
    double x = *a;
    *a = *b;
    *b = x;
}

static rob_status put_in_order(rob_reading *r, table *t)
{
    rob_status status = ROB_OK;
    const int64_t n = t->days;
    CHECK(n >= 2, r->ctx, ROB_EFORMAT, "'%.200s' has %lld days with a price", r->path,
          (long long)n);
    bool descends = t->day[0] > t->day[n - 1];
    for (int64_t i = 0; i < n / 2 && descends; i++) {
        swap(&t->day[i], &t->day[n - 1 - i]);
        for (int k = 0; k < KINDS; k++) swap(&t->value[k][i], &t->value[k][n - 1 - i]);
    }
    for (int64_t i = 1; i < n; i++)
        CHECK(t->day[i] > t->day[i - 1], r->ctx, ROB_EFORMAT,
              "'%.200s': the dates of days %lld and %lld with a price do not ascend",
              r->path, (long long)i, (long long)i + 1);
done:
    return status;
}

/* In place: price becomes the return, high the range, volume its change. */
static void returns_of(table *t)
{
    for (int64_t i = t->days - 1; i >= 0; i--) {
        double *p = t->value[PRICE], *v = t->value[VOLUME];
        t->value[HIGH][i] = log(t->value[HIGH][i] / t->value[LOW][i]);
        p[i] = i > 0 ? log(p[i] / p[i - 1]) : 0.0;
        v[i] = i > 0 ? log(v[i] / v[i - 1]) : 0.0;
    }
}

static rob_status cut(rob_reading *r, const table *t)
{
    rob_status status = ROB_OK;
    const char *slash = strrchr(r->path, '/');
    int64_t added, back, forward;
    rob_market m = { .days = t->days,
                     .gaps = t->dropped,
                     .day = t->day,
                     .r = t->value[PRICE],
                     .range = t->at[HIGH] >= 0 ? t->value[HIGH] : NULL,
                     .volume = t->at[VOLUME] >= 0 ? t->value[VOLUME] : NULL,
                     .name = slash != NULL ? slash + 1 : r->path };
    rob_priv_windows_reach(r->d, &back, &forward);
    TRY(rob_priv_windows(r->ctx, r->d, &m, false, &added));
    CHECK(
        added > 0, r->ctx, ROB_EFORMAT,
        "'%.200s' has %lld days with a price and gives no window: one takes %lld days, "
        "between options from and until",
        r->path, (long long)t->days, (long long)(back + forward + 1));
    r->d->dropped += t->dropped;
    strcpy(r->d->units, "log return");
    strcpy(r->d->time_units, "days since 1970-01-01");
done:
    return status;
}

rob_status rob_priv_prices_read(rob_reading *r, const uint8_t *bytes, int64_t count)
{
    rob_status status = ROB_OK;
    table t = { .days = 0 };
    TRY(rob_priv_csv_open(r->ctx, bytes, count, r->path, &t.csv));
    TRY(rob_priv_csv_next(r->ctx, &t.csv));
    TRY(find_columns(r, &t));
    for (;;) {
        TRY(rob_priv_csv_next(r->ctx, &t.csv));
        if (t.csv.fields == 0) break;
        TRY(add_day(r, &t));
    }
    TRY(put_in_order(r, &t));
    returns_of(&t);
    TRY(cut(r, &t));
done:
    rob_priv_csv_clear(&t.csv);
    rob_priv_release(&r->ctx->memory, t.day);
    for (int k = 0; k < KINDS; k++) rob_priv_release(&r->ctx->memory, t.value[k]);
    return status;
}
