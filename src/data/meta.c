/* meta.c -- a table about the series read next, a row for each of them in order.
 *
 * Columns are known by name: those of option "columns" (period=NAME,epoch=NAME,
 * duration=NAME,label=NAME,split=NAME,name=NAME), else the first that is there of
 *     period    period, koi_period, pl_orbper
 *     epoch     epoch, t0, koi_time0bk
 *     duration  duration, koi_duration_h, koi_duration
 *     label     label, class
 *     split     split
 *     name      name, kepid, id
 * A duration whose column is koi_duration or ends in _h is in hours, hence /24. With
 * option split = S the rows whose split is not S leave their series out.
 */
#include "data/parts.h"

#include <math.h>
#include <string.h>

enum { PERIOD, EPOCH, DURATION, LABEL, SPLIT, NAME, KINDS };

static const struct kind {
    const char *name, *usual;
} KIND[KINDS] = {
    { "period", "period,koi_period,pl_orbper" },
    { "epoch", "epoch,t0,koi_time0bk" },
    { "duration", "duration,koi_duration_h,koi_duration" },
    { "label", "label,class" },
    { "split", "split" },
    { "name", "name,kepid,id" },
};

typedef struct table {
    rob_csv csv;
    int64_t at[KINDS]; /* columns; -1: none */
    bool hours;
} table;

/* The column option "columns" names for this kind; 1: found, 0: not named, -1: named,
 * and not there. */
static int find_wished(const table *t, const char *wish, const char *kind, int64_t *at)
{
    const char *word;
    int64_t prefix = (int64_t)strlen(kind);
    for (int64_t k = 0, n; (n = rob_priv_list_word(wish, k, &word)) >= 0; k++) {
        if (n <= prefix || memcmp(word, kind, (size_t)prefix) != 0
            || word[prefix] != '=')
            continue;
        *at = rob_priv_columns_find(&t->csv, word + prefix + 1, n - prefix - 1);
        return *at >= 0 ? 1 : -1;
    }
    return 0;
}

static void find_usual(const table *t, const char *usual, int64_t *at)
{
    const char *word;
    *at = -1;
    for (int64_t k = 0, n; (n = rob_priv_list_word(usual, k, &word)) >= 0 && *at < 0;
         k++)
        *at = rob_priv_columns_find(&t->csv, word, n);
}

static bool is_in_hours(const rob_field *f)
{
    return rob_priv_field_is(f, "koi_duration")
           || (f->count > 2 && memcmp(f->at + f->count - 2, "_h", 2) == 0);
}

static rob_status find_columns(rob_reading *r, table *t)
{
    rob_status status = ROB_OK;
    const char *wish = r->d->text[ROB_DATA_COLUMNS];
    for (int k = 0; k < KINDS; k++) {
        int found = find_wished(t, wish, KIND[k].name, &t->at[k]);
        CHECK(found >= 0, r->ctx, ROB_EFORMAT,
              "'%.200s' has no such column: option columns=%.100s", r->path, wish);
        if (found == 0) find_usual(t, KIND[k].usual, &t->at[k]);
    }
    CHECK(t->at[SPLIT] >= 0 || r->d->text[ROB_DATA_SPLIT][0] == 0, r->ctx, ROB_EFORMAT,
          "'%.200s' has no column split; option split=%.60s needs one", r->path,
          r->d->text[ROB_DATA_SPLIT]);
    t->hours = t->at[DURATION] >= 0 && is_in_hours(&t->csv.field[t->at[DURATION]]);
done:
    return status;
}

static rob_status take(rob_reading *r, const table *t, int kind, double *out)
{
    *out = NAN;
    if (t->at[kind] < 0 || t->at[kind] >= t->csv.fields) return ROB_OK;
    if (kind == LABEL)
        return rob_priv_reading_label(r, &t->csv.field[t->at[kind]], t->csv.line, out);
    if (rob_priv_field_number(&t->csv.field[t->at[kind]], out)) return ROB_OK;
    return rob_priv_fail(r->ctx, ROB_EFORMAT, "'%.200s' line %lld: %s is no number",
                         r->path, (long long)t->csv.line, KIND[kind].name);
}

static rob_status add_row(rob_reading *r, const table *t)
{
    rob_status status = ROB_OK;
    rob_data *d = r->d;
    rob_meta m = { .left_out = false };
    if (d->metas == d->meta_room) {
        int64_t room = 2 * d->meta_room + 64;
        rob_meta *grown =
            rob_priv_grow(&d->memory, d->meta, d->metas, room, (int64_t)sizeof *grown);
        if (grown == NULL) return rob_priv_no_memory(r->ctx);
        d->meta = grown;
        d->meta_room = room;
    }
    TRY(take(r, t, PERIOD, &m.period));
    TRY(take(r, t, EPOCH, &m.epoch));
    TRY(take(r, t, DURATION, &m.duration));
    TRY(take(r, t, LABEL, &m.label));
    if (t->hours) m.duration /= 24.0;
    if (t->at[SPLIT] >= 0 && t->at[SPLIT] < t->csv.fields && d->text[ROB_DATA_SPLIT][0])
        m.left_out =
            !rob_priv_field_is(&t->csv.field[t->at[SPLIT]], d->text[ROB_DATA_SPLIT]);
    if (t->at[NAME] >= 0 && t->at[NAME] < t->csv.fields) {
        const rob_field *f = &t->csv.field[t->at[NAME]];
        memcpy(m.name, f->at,
               (size_t)f->count < sizeof m.name ? (size_t)f->count : sizeof m.name - 1);
    }
    d->meta[d->metas++] = m;
done:
    return status;
}

rob_status rob_priv_meta_read(rob_reading *r, const uint8_t *bytes, int64_t count)
{
    rob_status status = ROB_OK;
    table t = { .hours = false };
    const int64_t before = r->d->metas;
    TRY(rob_priv_csv_open(r->ctx, bytes, count, r->path, &t.csv));
    TRY(rob_priv_csv_next(r->ctx, &t.csv));
    TRY(find_columns(r, &t));
    for (;;) {
        TRY(rob_priv_csv_next(r->ctx, &t.csv));
        if (t.csv.fields == 0) break;
        TRY(add_row(r, &t));
    }
    CHECK(r->d->metas > before, r->ctx, ROB_EFORMAT, "'%.200s' has no row", r->path);
done:
    if (status < ROB_OK) r->d->metas = before;
    rob_priv_csv_clear(&t.csv);
    return status;
}
