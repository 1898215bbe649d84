/* report.c -- the public side of reports: arguments checked, then src/report. */
#include "report/report.h"

#include <math.h>
#include <string.h>

rob_status rob_report_create(rob_ctx *ctx, rob_query *q, rob_report **out)
{
    rob_status status = ROB_OK;
    CHECK(out, ctx, ROB_EARGUMENT, "out is NULL");
    *out = NULL;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(q, ctx, ROB_EARGUMENT, "query is NULL");
    rob_report *r = rob_priv_allocate(&ctx->memory, 1, (int64_t)sizeof *r);
    CHECK(r, ctx, ROB_EMEMORY, "out of memory for a report");
    r->memory = ctx->memory;
    r->query = q;
    for (int32_t k = 0; k < ROB_REPORT_OPTIONS; k++)
        r->option[k] = rob_priv_report_option[k].value;
    *out = r;
done:
    return status;
}

rob_status rob_report_set(rob_ctx *ctx, rob_report *r, const char *name, double value)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(r && name, ctx, ROB_EARGUMENT, "%s is NULL", r ? "name" : "report");
    TRY(rob_priv_option_set(ctx, rob_priv_report_option, ROB_REPORT_OPTIONS, r->option,
                            name, value));
done:
    return status;
}

rob_status rob_report_set_text(rob_ctx *ctx, rob_report *r, const char *name,
                               const char *value)
{
    rob_status status = ROB_OK;
    int32_t k = 0;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(r && name, ctx, ROB_EARGUMENT, "%s is NULL", r ? "name" : "report");
    while (k < ROB_REPORT_TEXTS && strcmp(rob_priv_report_text[k], name) != 0) k++;
    CHECK(k < ROB_REPORT_TEXTS, ctx, ROB_EARGUMENT,
          "no text option '%.40s'; there are title, model, data, value, time, plot, "
          "attack, bound, sampler",
          name);
    char *copy = rob_priv_copy_text(&r->memory, value);
    CHECK(copy || !value, ctx, ROB_EMEMORY, "out of memory for '%.40s'", name);
    rob_priv_release(&r->memory, r->text[k]);
    r->text[k] = copy;
done:
    return status;
}

rob_status rob_report_run(rob_ctx *ctx, rob_report *r)
{
    rob_status status = ROB_OK;
    rob_findings found;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(r, ctx, ROB_EARGUMENT, "report is NULL");
    TRY(rob_priv_report_run(ctx, r, &found));
    rob_priv_findings_free(&r->findings);
    r->findings = found;
    r->ran = true;
done:
    return rob_priv_leave(ctx, status);
}

rob_status rob_report_add_universal(rob_ctx *ctx, rob_report *r, rob_query *search,
                                    rob_query *held)
{
    rob_status status = ROB_OK;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(r && search && held, ctx, ROB_EARGUMENT, "%s is NULL",
          !r ? "report" : search ? "held" : "search");
    CHECK(r->ran, ctx, ROB_EARGUMENT, "the report has not run (rob_report_run)");
    CHECK(search != held, ctx, ROB_EARGUMENT,
          "search and held are one query; series that served the search cannot judge");
    TRY(rob_priv_report_universal(ctx, r, search, held));
done:
    return rob_priv_leave(ctx, status);
}

const char *rob_report_column(const rob_report *r, int64_t k)
{
    return r && k >= 0 && k < ROB_COLUMN_COUNT ? rob_priv_column[k].name : NULL;
}

rob_status rob_report_get(rob_ctx *ctx, const rob_report *r, const char *column,
                          double *out, int64_t capacity, int64_t *count)
{
    rob_status status = ROB_OK;
    int32_t k = 0;
    if (!ctx) return ROB_EARGUMENT;
    CHECK(r && column, ctx, ROB_EARGUMENT, "%s is NULL", r ? "column" : "report");
    while (k < ROB_COLUMN_COUNT && strcmp(rob_priv_column[k].name, column) != 0) k++;
    CHECK(k < ROB_COLUMN_COUNT, ctx, ROB_EARGUMENT,
          "no column '%.40s'; rob_report_column lists them, from '%s' to '%s'", column,
          rob_priv_column[0].name, rob_priv_column[ROB_COLUMN_COUNT - 1].name);
    CHECK(r->ran, ctx, ROB_EARGUMENT, "the report has not run (rob_report_run)");
    int64_t size = r->findings.size[k];
    CHECK(!out || capacity >= size, ctx, ROB_ESHAPE,
          "capacity is %lld; '%.40s' has %lld", (long long)capacity, column,
          (long long)size);
    if (out && size > 0) memcpy(out, r->findings.value[k], (size_t)size * sizeof *out);
    if (count) *count = size;
done:
    return status;
}

static bool ends_with(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    return n > m && strcmp(path + n - m, ending) == 0;
}

rob_status rob_report_save(rob_ctx *ctx, const rob_report *r, const char *path)
{
    rob_status status = ROB_OK;
    rob_page page = { .ctx = ctx, .report = r };
    if (!ctx) return ROB_EARGUMENT;
    CHECK(r && path, ctx, ROB_EARGUMENT, "%s is NULL", r ? "path" : "report");
    bool json = ends_with(path, ".json");
    CHECK(json || ends_with(path, ".html"), ctx, ROB_EARGUMENT,
          "path is '%.200s'; it must end in .json or .html", path);
    CHECK(r->ran, ctx, ROB_EARGUMENT, "the report has not run (rob_report_run)");
    page.f = &r->findings;
    if (json) rob_priv_write_json(&page);
    else rob_priv_write_html(&page);
    CHECK(!page.t.failed, ctx, ROB_EMEMORY, "out of memory for the page");
    rob_bytes whole = { (uint8_t *)page.t.at, page.t.count };
    TRY(rob_priv_io_write(ctx, path, &whole, 1));
done:
    rob_priv_release(&ctx->memory, page.t.at);
    return rob_priv_leave(ctx, status);
}

void rob_report_free(rob_report *r)
{
    if (!r) return;
    rob_memory memory = r->memory;
    rob_priv_findings_free(&r->findings);
    for (int32_t k = 0; k < ROB_REPORT_TEXTS; k++)
        rob_priv_release(&memory, r->text[k]);
    rob_priv_release(&memory, r);
}
