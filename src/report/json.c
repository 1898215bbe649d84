/* json.c -- a report as JSON: every column that was computed, with shape and unit.
 *
 * {"format": "robust.report", ..., "columns": {NAME: {"shape", "unit", "values"}}}.
 * A number is written with 17 digits, so it is read back to the same bits; what is not
 * finite is null, and "verdict" says for each series why a distance is missing.
 * docs/theory/report.md lists the keys.
 */
#include "report/report.h"

#include <math.h>

static void key(rob_page *p, const char *name)
{
    rob_priv_page_print(p, ",\n  \"%s\": ", name);
}

static void number(rob_page *p, double v)
{
    char digits[40];
    rob_priv_page_add(
        p, isfinite(v) ? rob_priv_print_double(digits, sizeof digits, v, 17) : "null");
}

static void text_or_null(rob_page *p, const char *text)
{
    if (text) rob_priv_page_json(p, text);
    else rob_priv_page_add(p, "null");
}

static void write_options(rob_page *p)
{
    key(p, "options");
    rob_priv_page_add(p, "{");
    for (int32_t k = 0; k < ROB_REPORT_OPTIONS; k++) {
        rob_priv_page_print(p, "%s\"%s\": ", k ? ", " : "",
                            rob_priv_report_option[k].name);
        number(p, p->report->option[k]);
    }
    rob_priv_page_add(p, "}");
}

static const char *shape_word(int32_t shape)
{
    static const char *const WORD[] = { "one",   "series", "radii",
                                        "cells", "four",   "free" };
    return WORD[shape];
}

static void write_columns(rob_page *p)
{
    bool first = true;
    key(p, "columns");
    rob_priv_page_add(p, "{");
    for (int32_t k = 0; k < ROB_COLUMN_COUNT; k++) {
        const rob_column *c = &rob_priv_column[k];
        if (p->f->size[k] == 0) continue;
        rob_priv_page_print(p,
                            "%s\n    \"%s\": {\"shape\": \"%s\", \"unit\": \"%s\", "
                            "\"values\": [",
                            first ? "" : ",", c->name, shape_word(c->shape),
                            rob_priv_unit_word(p->f, c->unit));
        for (int64_t i = 0; i < p->f->size[k]; i++) {
            if (i > 0) rob_priv_page_add(p, ", ");
            number(p, p->f->value[k][i]);
        }
        rob_priv_page_add(p, "]}");
        first = false;
    }
    rob_priv_page_add(p, "\n  }");
}

static void write_warnings(rob_page *p)
{
    key(p, "warnings");
    rob_priv_page_add(p, "[");
    for (int64_t k = 0; k < p->f->warnings; k++) {
        if (k > 0) rob_priv_page_add(p, ", ");
        rob_priv_page_json(p, p->f->warning[k]);
    }
    rob_priv_page_add(p, "]");
}

static void write_verdicts(rob_page *p)
{
    key(p, "verdict");
    rob_priv_page_add(p, "[");
    for (int64_t i = 0; i < p->f->count; i++)
        rob_priv_page_print(p, "%s\"%s\"", i ? ", " : "", rob_priv_verdict(p->f, i));
    rob_priv_page_add(p, "]");
}

void rob_priv_write_json(rob_page *p)
{
    rob_priv_page_add(p, "{\n  \"format\": \"robust.report\",\n  \"version\": 1");
    key(p, "library");
    rob_priv_page_json(p, rob_version());
    key(p, "title");
    text_or_null(p, p->report->text[ROB_REPORT_TITLE]);
    key(p, "model");
    text_or_null(p, p->report->text[ROB_REPORT_MODEL]);
    key(p, "data");
    text_or_null(p, p->report->text[ROB_REPORT_DATA]);
    key(p, "recipe");
    rob_priv_page_json(p, p->f->recipe);
    key(p, "norm");
    rob_priv_page_json(p, rob_priv_norm_name(p->f));
    key(p, "units");
    rob_priv_page_add(p, p->f->units == ROB_UNITS_MODEL ? "\"model\"" : "\"data\"");
    key(p, "measured_from");
    rob_priv_page_add(p, p->f->reference == ROB_REFERENCE_LABEL ? "\"label\""
                                                                : "\"prediction\"");
    key(p, "stopped_in");
    text_or_null(p, p->f->stopped);
    write_options(p);
    write_warnings(p);
    write_verdicts(p);
    write_columns(p);
    rob_priv_page_add(p, "\n}\n");
}
