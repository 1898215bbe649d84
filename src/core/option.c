/* option.c -- options by name out of one table {name, default, min, max, unit, doc}. */
#include "core/core.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int64_t find_option(const rob_option *table, int64_t count, const char *name)
{
    for (int64_t i = 0; i < count; i++)
        if (strcmp(table[i].name, name) == 0) return i;
    return -1;
}

static void list_names(const rob_option *table, int64_t count, char *out,
                       size_t capacity)
{
    size_t used = 0;
    out[0] = '\0';
    for (int64_t i = 0; i < count && used < capacity; i++)
        used += (size_t)snprintf(out + used, capacity - used, "%s%s", i ? ", " : "",
                                 table[i].name);
}

rob_status rob_priv_option_set(rob_ctx *ctx, const rob_option *table, int64_t count,
                               double *values, const char *name, double value)
{
    char known[400];
    if (!name) return rob_priv_fail(ctx, ROB_EARGUMENT, "option name is NULL");
    int64_t k = find_option(table, count, name);
    if (k < 0) {
        list_names(table, count, known, sizeof known);
        return rob_priv_fail(ctx, ROB_EARGUMENT, "no option '%.60s'; there are: %s",
                             name, known);
    }
    bool has_unit = table[k].unit && *table[k].unit;
    if (!(value >= table[k].min && value <= table[k].max))
        return rob_priv_fail(ctx, ROB_EDOMAIN,
                             "option '%s' is %.9g; allowed is %.9g to %.9g%s%s", name,
                             value, table[k].min, table[k].max, has_unit ? " " : "",
                             has_unit ? table[k].unit : "");
    values[k] = value;
    return ROB_OK;
}

double rob_priv_option_get(const rob_option *table, int64_t count, const double *values,
                           const char *name)
{
    int64_t k = find_option(table, count, name);
    return k < 0 ? NAN : values[k];
}
