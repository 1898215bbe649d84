/* option.c -- the options of a data set, by name. */
#include "data/parts.h"

#include <stdio.h>
#include <string.h>

static const rob_option TABLE[] = {
    { "features", 1, 1, 1 << 20, "",
      "values per step in rows of text and of NPY matrices" },
    { "steps", 128, 16, 1024, "points", "simulated series: bins of the folded curve" },
    { "noise", 300, 0, 1e5, "ppm", "simulated series: typical noise of one exposure" },
    { "red", 0.3, 0, 0.95, "",
      "simulated series: share of the noise variance that is correlated" },
    { "depth", 20000, 2000, 1e5, "ppm", "simulated series: deepest planetary transit" },
    { "classes", 2, 2, 3, "",
      "simulated series: 2 (planet or not) or 3 (star, planet, binary)" },
};

int64_t rob_priv_data_options(void) { return COUNT_OF(TABLE); }

void rob_priv_data_defaults(double *values)
{
    for (int64_t k = 0; k < COUNT_OF(TABLE); k++) values[k] = TABLE[k].value;
}

double rob_priv_data_value(const rob_data *d, const char *name)
{
    return rob_priv_option_get(TABLE, COUNT_OF(TABLE), d->option, name);
}

/* Counts must be whole numbers. */
static bool is_count(const char *name)
{
    return strcmp(name, "features") == 0 || strcmp(name, "steps") == 0
           || strcmp(name, "classes") == 0;
}

rob_status rob_priv_data_option(rob_ctx *ctx, rob_data *d, const char *name,
                                double value)
{
    if (is_count(name) && value >= 0 && value < 1e9 && value != (double)(int64_t)value)
        return rob_priv_fail(ctx, ROB_EDOMAIN,
                             "option '%s' is %g; it must be an integer", name, value);
    return rob_priv_option_set(ctx, TABLE, COUNT_OF(TABLE), d->option, name, value);
}

static bool is_role(const char *value)
{
    return strcmp(value, "auto") == 0 || strcmp(value, "series") == 0
           || strcmp(value, "label") == 0 || strcmp(value, "table") == 0;
}

rob_status rob_priv_data_option_text(rob_ctx *ctx, rob_data *d, const char *name,
                                     const char *value)
{
    rob_status status = ROB_OK;
    bool role = strcmp(name, "role") == 0;
    CHECK(role || strcmp(name, "labels") == 0, ctx, ROB_EARGUMENT,
          "no text option '%.60s'; there are: role, labels", name);
    if (role && strcmp(value, "labels") == 0) value = "label";
    CHECK(!role || is_role(value), ctx, ROB_EARGUMENT,
          "option 'role' is '%.60s'; allowed "
          "are auto, series, label, table",
          value);
    char *at = d->text[role ? ROB_DATA_ROLE : ROB_DATA_LABELS];
    CHECK(strlen(value) < sizeof d->text[0], ctx, ROB_EARGUMENT,
          "option '%s' has %lld "
          "characters; at most %lld are allowed",
          name, (long long)strlen(value), (long long)sizeof d->text[0] - 1);
    memcpy(at, value, strlen(value) + 1);
done:
    return status;
}
