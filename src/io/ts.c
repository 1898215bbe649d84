/* ts.c -- series in sktime's text format: several channels, unequal lengths, missing
 * values, time stamps, classes or real-valued targets.
 *
 *     file    = ("#" or "%" comment | "@" key value)* "@data" case*
 *     case    = channel (":" channel)* [":" label]           one line
 *     channel = value ("," value)*     or, with "@timestamps true",
 *               "(" stamp "," value ")" ("," "(" stamp "," value ")")*
 *
 * Channel d of a case is x[., d]. The channels of one case must have one length and one
 * time axis: a shorter one is refused, never padded. Keys are known in either case of
 * letters; those that only describe the data are passed over. A reader of its own for
 * the reasons in table.c. Reference: Loening et al. 2019, sktime, and the format
 * description at timeseriesclassification.com.
 */
#include "io/formats.h"

#include <math.h>
#include <string.h>

/* ---- the header ------------------------------------------------------------------ */

static const char *const KEYS[] = {
    "@problemname", "@timestamps",   "@missing",    "@univariate",
    "@equallength", "@dimension",    "@dimensions", "@classlabel",
    "@targetlabel", "@serieslength", "@data",
};

bool rob_priv_ts_is(const uint8_t *bytes, int64_t count)
{
    rob_lines lines = rob_priv_lines(bytes, count);
    rob_field line;
    if (!rob_priv_lines_telling(&lines, &line) || *line.at != '@') return false;
    rob_field word = rob_priv_field_word(&line);
    for (int64_t k = 0; k < COUNT_OF(KEYS); k++)
        if (rob_priv_field_is(&word, KEYS[k])) return true;
    return false;
}

/* "true" or "false" behind a key; *rest is what follows. */
static rob_status take_truth(rob_ctx *ctx, const rob_ts *ts, rob_field *rest, bool *out)
{
    rob_field word = rob_priv_field_word(rest);
    *out = rob_priv_field_is(&word, "true");
    if (*out || rob_priv_field_is(&word, "false")) return ROB_OK;
    return rob_priv_fail(
        ctx, ROB_EFORMAT, "'%.200s' line %lld: '%.*s' stands where true or false must",
        ts->path, (long long)ts->lines.line, rob_priv_field_show(&word), word.at);
}

static rob_status read_key(rob_ctx *ctx, rob_ts *ts, rob_field line)
{
    rob_status status = ROB_OK;
    rob_field key = rob_priv_field_word(&line);
    double number;
    if (rob_priv_field_is(&key, "@timestamps"))
        TRY(take_truth(ctx, ts, &line, &ts->stamps));
    else if (rob_priv_field_is(&key, "@targetlabel"))
        TRY(take_truth(ctx, ts, &line, &ts->aimed));
    else if (rob_priv_field_is(&key, "@classlabel")) {
        TRY(take_truth(ctx, ts, &line, &ts->labelled));
        ts->labels = line;
    } else if (rob_priv_field_is(&key, "@dimensions")
               || rob_priv_field_is(&key, "@dimension")) {
        CHECK(rob_priv_field_number(&line, &number) && number >= 1
                  && number <= ROB_TS_FEATURES && number == floor(number),
              ctx, ROB_EFORMAT, "'%.200s' line %lld: dimensions must be 1 to %d",
              ts->path, (long long)ts->lines.line, (int)ROB_TS_FEATURES);
        ts->features = (int64_t)number;
    }
done:
    return status;
}

rob_status rob_priv_ts_open(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                            const char *path, rob_ts *out)
{
    rob_status status = ROB_OK;
    rob_field line, word = { 0 };
    *out = (rob_ts){ .memory = ctx->memory,
                     .path = path,
                     .lines = rob_priv_lines(bytes, count) };
    while (rob_priv_lines_telling(&out->lines, &line)) {
        word = line;
        CHECK(*line.at == '@', ctx, ROB_EFORMAT,
              "'%.200s' line %lld stands before @data and is no @key", path,
              (long long)out->lines.line);
        word = rob_priv_field_word(&word);
        if (rob_priv_field_is(&word, "@data")) break;
        TRY(read_key(ctx, out, line));
    }
    CHECK(rob_priv_field_is(&word, "@data"), ctx, ROB_EFORMAT, "'%.200s' has no @data",
          path);
    CHECK(!out->labelled || !out->aimed, ctx, ROB_EFORMAT,
          "'%.200s' has both @classlabel and @targetlabel", path);
done:
    return status;
}

void rob_priv_ts_clear(rob_ts *ts)
{
    if (ts->memory.release == NULL) return;
    rob_priv_release(&ts->memory, ts->x);
    rob_priv_release(&ts->memory, ts->column);
    rob_priv_release(&ts->memory, ts->time);
    ts->x = ts->column = ts->time = NULL;
}

/* ---- one case -------------------------------------------------------------------- */

/* No case has more values than marks + 1. */
static rob_status make_room(rob_ctx *ctx, rob_ts *ts, const rob_field *line)
{
    int64_t most = 1;
    const rob_memory *m = &ts->memory;
    for (int64_t k = 0; k < line->count; k++)
        most += line->at[k] == ',' || line->at[k] == ':';
    if (most <= ts->room) return ROB_OK;
    rob_priv_ts_clear(ts);
    ts->room = 0;
    ts->x = rob_priv_allocate(m, most, (int64_t)sizeof *ts->x);
    ts->column = rob_priv_allocate(m, most, (int64_t)sizeof *ts->column);
    if (ts->stamps) ts->time = rob_priv_allocate(m, most, (int64_t)sizeof *ts->time);
    if (ts->x == NULL || ts->column == NULL || (ts->stamps && ts->time == NULL))
        return rob_priv_no_memory(ctx);
    ts->room = most;
    return ROB_OK;
}

static rob_status not_understood(rob_ctx *ctx, const rob_ts *ts, const rob_field *f,
                                 const char *what)
{
    return rob_priv_fail(ctx, ROB_EFORMAT, "'%.200s' line %lld: '%.*s' is no %s",
                         ts->path, (long long)ts->lines.line, rob_priv_field_show(f),
                         f->at, what);
}

/* Where the item at *at ends: at a ',', ':' or the end; in brackets behind the ')'. */
static const char *end_of_item(const rob_ts *ts, const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t')) at++;
    if (ts->stamps && at < end && *at == '(')
        while (at < end && *at != ')') at++;
    while (at < end && *at != ',' && *at != ':') at++;
    return at;
}

/* "(stamp,value)" becomes its value; the stamp goes to time or must be there already.
 */
static rob_status open_brackets(rob_ctx *ctx, rob_ts *ts, rob_field *item, int64_t step,
                                bool first)
{
    rob_status status = ROB_OK;
    const char *at = item->at, *end = at + item->count, *comma;
    double stamp = NAN;
    if (item->count < 2 || *at != '(' || end[-1] != ')')
        return not_understood(ctx, ts, item, "(stamp,value)");
    comma = memchr(at, ',', (size_t)item->count);
    if (comma == NULL) return not_understood(ctx, ts, item, "(stamp,value)");
    rob_field when = rob_priv_field_trim(at + 1, comma);
    if ((!rob_priv_field_date(&when, &stamp) && !rob_priv_field_number(&when, &stamp))
        || isnan(stamp))
        return not_understood(ctx, ts, &when, "date or number");
    if (first) ts->time[step] = stamp;
    CHECK(step < ts->steps || first, ctx, ROB_EFORMAT,
          "'%.200s' line %lld: its channels have different lengths", ts->path,
          (long long)ts->lines.line);
    CHECK(ts->time[step] == stamp, ctx, ROB_EFORMAT,
          "'%.200s' line %lld: its channels have different time stamps", ts->path,
          (long long)ts->lines.line);
    *item = rob_priv_field_trim(comma + 1, end - 1);
done:
    return status;
}

/* One channel from *at on, which moves to the ':' or end behind it. */
static rob_status read_channel(rob_ctx *ctx, rob_ts *ts, const char **at,
                               const char *end, int64_t channel)
{
    rob_status status = ROB_OK;
    int64_t n = 0;
    double *to = ts->column + channel * ts->steps;
    for (;; ++*at) {
        const char *stop = end_of_item(ts, *at, end);
        rob_field item = rob_priv_field_trim(*at, stop);
        if (ts->stamps) TRY(open_brackets(ctx, ts, &item, n, channel == 0));
        if (!rob_priv_field_number(&item, &to[n]))
            return not_understood(ctx, ts, &item, "finite number");
        n++;
        *at = stop;
        if (stop == end || *stop == ':') break;
    }
    if (channel == 0) ts->steps = n;
    CHECK(n == ts->steps, ctx, ROB_EFORMAT,
          "'%.200s' line %lld: channel %lld has %lld values, the first has %lld",
          ts->path, (long long)ts->lines.line, (long long)channel + 1, (long long)n,
          (long long)ts->steps);
done:
    return status;
}

/* Channels of the case: its ':' outside brackets, less the one before its label. */
static int64_t count_channels(const rob_ts *ts, const char *at, const char *end)
{
    int64_t marks = 0;
    for (; (at = end_of_item(ts, at, end)) < end; at++) marks += *at == ':';
    return marks + 1 - (ts->labelled || ts->aimed);
}

static rob_status read_case(rob_ctx *ctx, rob_ts *ts, const rob_field *line)
{
    rob_status status = ROB_OK;
    const char *at = line->at, *end = at + line->count;
    int64_t channels = count_channels(ts, at, end);
    if (ts->features == 0) ts->features = channels;
    CHECK(channels == ts->features && channels > 0, ctx, ROB_EFORMAT,
          "'%.200s' line %lld has %lld channels%s; %lld are expected", ts->path,
          (long long)ts->lines.line, (long long)channels,
          ts->labelled || ts->aimed ? " and a label" : "", (long long)ts->features);
    for (int64_t d = 0; d < channels; d++, at += at < end)
        TRY(read_channel(ctx, ts, &at, end, d));
    ts->last = rob_priv_field_trim(at, end);
    for (int64_t t = 0; t < ts->steps; t++)
        for (int64_t d = 0; d < channels; d++)
            ts->x[t * channels + d] = ts->column[d * ts->steps + t];
done:
    return status;
}

rob_status rob_priv_ts_next(rob_ctx *ctx, rob_ts *ts)
{
    rob_status status = ROB_OK;
    rob_field line = { 0 };
    ts->steps = 0;
    if (!rob_priv_lines_telling(&ts->lines, &line)) return ROB_OK;
    TRY(make_room(ctx, ts, &line));
    TRY(read_case(ctx, ts, &line));
done:
    return status;
}
