/* option.c -- the options of a data set, by name. */
#include "data/parts.h"

#include <stdio.h>
#include <string.h>

static const rob_option TABLE[] = {
    { "features", 1, 1, 1 << 20, "",
      "values per step in rows of text and of NPY matrices" },
    { "frames", 0, 0, 1 << 20, "steps",
      "a series' values in order are this many steps; 0: as the file has them" },
    { "gaps", 0.25, 0, 1, "",
      "largest share of a series' values that may be missing; they are interpolated" },
    { "start", 0, -1e9, 1e9, "time units", "time of step 0" },
    { "dt", 1, 1e-9, 1e9, "time units", "from one step to the next" },
    { "detrend", 0, 0, 1e9, "time units",
      "width of the running median taken out; 0: nothing" },
    { "coverage", 0.5, 0, 1, "",
      "share of a folded view's bins that must hold a point" },
    { "window", 64, 1, 4096, "days", "prices: steps of a series" },
    { "horizon", 1, 1, 512, "days", "prices: how far the target looks ahead" },
    { "history", 250, 20, 4096, "days", "prices: days that set the scale" },
    { "stride", 1, 1, 4096, "days", "prices: from one window to the next" },
    { "steps", 128, 16, 1024, "points", "simulated series: bins of the folded curve" },
    { "noise", 300, 0, 1e5, "ppm", "simulated series: typical noise of one exposure" },
    { "red", 0.3, 0, 0.95, "",
      "simulated series: share of the noise variance that is correlated" },
    { "depth", 20000, 2000, 1e5, "ppm", "simulated series: deepest planetary transit" },
    { "classes", 2, 2, 3, "",
      "simulated series: 2 (planet or not) or 3 (star, planet, binary)" },
};

static const char *const COUNTS[] = { "features", "frames", "steps",   "classes", "window",
                                      "horizon",  "history", "stride" };

/* In the order of the enumeration; allowed: the words there are, NULL: any text. */
static const struct text_option {
    const char *name, *value, *allowed;
} TEXTS[ROB_DATA_TEXTS] = {
    { "role", "auto", "auto,series,label,target,table,columns,prices,meta,time" },
    { "labels", "", NULL },
    { "label", "", NULL },
    { "columns", "", NULL },
    { "time", "", NULL },
    { "split", "", NULL },
    { "fold", "", NULL },
    { "normalize", "", "none,median,ppm,zscore,mad,past" },
    { "inputs", "return", "return,size,range,volume" },
    { "target", "direction", "direction,volatility,forecast,none" },
    { "from", "", NULL },
    { "until", "", NULL },
    { "units", "", NULL },
    { "time_units", "", NULL },
    { "layout", "steps", "steps,channels" },
    { "quality", "default", NULL },
};

int64_t rob_priv_data_options(void) { return COUNT_OF(TABLE); }

void rob_priv_data_defaults(rob_data *d)
{
    for (int64_t k = 0; k < COUNT_OF(TABLE); k++) d->option[k] = TABLE[k].value;
    for (int64_t k = 0; k < ROB_DATA_TEXTS; k++) strcpy(d->text[k], TEXTS[k].value);
}

double rob_priv_data_value(const rob_data *d, const char *name)
{
    return rob_priv_option_get(TABLE, COUNT_OF(TABLE), d->option, name);
}

/* Counts must be whole numbers. */
static bool is_count(const char *name)
{
    for (int64_t k = 0; k < COUNT_OF(COUNTS); k++)
        if (strcmp(name, COUNTS[k]) == 0) return true;
    return false;
}

rob_status rob_priv_data_option(rob_ctx *ctx, rob_data *d, const char *name,
                                double value)
{
    if (is_count(name) && value >= 0 && value < 1e9 && value != (double)(int64_t)value)
        return rob_priv_fail(ctx, ROB_EDOMAIN,
                             "option '%s' is %g; it must be an integer", name, value);
    return rob_priv_option_set(ctx, TABLE, COUNT_OF(TABLE), d->option, name, value);
}

/* ---- texts ----------------------------------------------------------------------- */

int64_t rob_priv_list_word(const char *list, int64_t k, const char **word)
{
    if (*list == 0) return -1;
    for (; k > 0; k--) {
        list = strchr(list, ',');
        if (list == NULL) return -1;
        list++;
    }
    *word = list;
    return (int64_t)strcspn(list, ",");
}

static bool list_holds(const char *list, const char *word, int64_t length)
{
    const char *at;
    for (int64_t k = 0, n; (n = rob_priv_list_word(list, k, &at)) >= 0; k++)
        if (n == length && memcmp(at, word, (size_t)n) == 0) return true;
    return false;
}

bool rob_priv_list_has(const char *list, const char *word)
{
    return list_holds(list, word, (int64_t)strlen(word));
}

/* Several words for "normalize" and "inputs", one for the others. */
static bool is_allowed(int64_t k, const char *value)
{
    const char *at, *allowed = TEXTS[k].allowed;
    bool many = k == ROB_DATA_NORMALIZE || k == ROB_DATA_INPUTS;
    if (allowed == NULL || (*value == 0 && k == ROB_DATA_NORMALIZE)) return true;
    if (!many) return *value && list_holds(allowed, value, (int64_t)strlen(value));
    for (int64_t w = 0, n; (n = rob_priv_list_word(value, w, &at)) >= 0; w++)
        if (!list_holds(allowed, at, n)) return false;
    return *value != 0;
}

static bool is_moment(const char *value)
{
    rob_field field = { .at = value, .count = (int64_t)strlen(value) };
    double moment;
    return *value == 0 || rob_priv_field_date(&field, &moment)
           || (rob_priv_field_number(&field, &moment) && moment == moment);
}

static bool is_mask(const char *value)
{
    const char *at = value, *end = value + strlen(value);
    double number;
    if (strcmp(value, "default") == 0 || strcmp(value, "none") == 0) return true;
    return rob_priv_parse_double(&at, end, &number) && at == end && number >= 0
           && number < 9e15 && number == (double)(int64_t)number;
}

rob_status rob_priv_data_option_text(rob_ctx *ctx, rob_data *d, const char *name,
                                     const char *value)
{
    rob_status status = ROB_OK;
    rob_fold fold;
    int64_t k = 0;
    if (strcmp(name, "column") == 0) name = "columns";
    while (k < ROB_DATA_TEXTS && strcmp(name, TEXTS[k].name) != 0) k++;
    CHECK(
        k < ROB_DATA_TEXTS, ctx, ROB_EARGUMENT,
        "no text option '%.60s'; there are: role, labels, label, columns, time, split, "
        "fold, normalize, inputs, target, from, until, units, time_units, layout, "
        "quality",
        name);
    if (k == ROB_DATA_ROLE && strcmp(value, "labels") == 0) value = "label";
    CHECK(strlen(value) < sizeof d->text[0], ctx, ROB_EARGUMENT,
          "option '%s' has %lld characters; at most %lld are allowed", name,
          (long long)strlen(value), (long long)sizeof d->text[0] - 1);
    CHECK(is_allowed(k, value), ctx, ROB_EARGUMENT,
          "option '%s' is '%.60s'; allowed: %s", name, value, TEXTS[k].allowed);
    CHECK((k != ROB_DATA_FROM && k != ROB_DATA_UNTIL) || is_moment(value), ctx,
          ROB_EARGUMENT, "option '%s' is '%.60s'; it must be a date such as 2015-01-31",
          name, value);
    CHECK(k != ROB_DATA_QUALITY || is_mask(value), ctx, ROB_EARGUMENT,
          "option 'quality' is '%.60s'; it must be default, none, or the flags that "
          "matter as one number",
          value);
    CHECK(k != ROB_DATA_FOLD || rob_priv_fold_parse(value, &fold), ctx, ROB_EARGUMENT,
          "option 'fold' is '%.100s'; write period=P epoch=T [duration=W] [bins=B] "
          "[width=K], or meta [bins=B] [width=K]",
          value);
    memcpy(d->text[k], value, strlen(value) + 1);
done:
    return status;
}
