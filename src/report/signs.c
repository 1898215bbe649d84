/* signs.c -- may the attack be believed? A diagnosis of a few of the report's series.
 *
 * White box is what the query knows when the stage begins, black box HopSkipJump; what the
 * battery finds nearer is kept. A report that needed no attack has no diagnosis either. The warnings are copied, their shares are a column.
 * (docs/theory/attack.md, section 11.)
 */
#include "report/report.h"

#include <robust/diagnosis.h>

#include <math.h>
#include <stdio.h>

static const char *const SIGN[] = { "share_units",   "share_gradients", "share_loss",
                                    "share_descent", "share_steps",     "share_restarts",
                                    "share_black" };

static rob_status keep_signs(rob_ctx *ctx, const rob_diagnosis *d, rob_findings *f)
{
    rob_status status = ROB_OK;
    TRY(rob_priv_findings_make(ctx, f, ROB_C_SIGNS, COUNT_OF(SIGN)));
    for (int64_t k = 0; k < COUNT_OF(SIGN); k++)
        TRY(rob_diagnosis_get(ctx, d, SIGN[k], 0, f->value[ROB_C_SIGNS] + k, 1, NULL));
    for (int64_t k = 0; k < ROB_WARNINGS && rob_diagnosis_warning(d, k); k++)
        snprintf(f->warning[f->warnings++], sizeof f->warning[0], "%s",
                 rob_diagnosis_warning(d, k));
done:
    return status;
}

rob_status rob_priv_report_signs(rob_ctx *ctx, rob_report *r, rob_findings *f)
{
    rob_status status = ROB_OK, end = ROB_OK;
    rob_diagnosis *d = NULL;
    double count = r->option[ROB_REPORT_DIAGNOSE];
    if (count < 1 || !f->attacked || f->norm == ROB_NORM_L0) return ROB_OK;
    TRY(rob_diagnosis_create(ctx, &d));
    TRY(rob_diagnosis_set(ctx, d, "count", count));
    TRY(rob_diagnosis_set_text(ctx, d, "white", "none"));
    TRY(end = rob_diagnosis_run(ctx, d, r->query));
    TRY(keep_signs(ctx, d, f));
    TRY(rob_query_get(ctx, r->query, "best", -1, f->value[ROB_C_UPPER], f->count, NULL));
    for (int64_t i = 0; i < f->count; i++)
        if (f->value[ROB_C_WRONG][i] == 1) f->value[ROB_C_UPPER][i] = 0;
    status = end;
done:
    rob_diagnosis_free(d);
    return status;
}
