/* universal.c -- one change for all series, and how many of others it fools.
 *
 *     delta = argmax over ||delta|| <= rho of #{i : F_i(x_i + delta) <= 0},  i in search
 *     fooled(delta) = #{j : F_j(x_j + delta) <= 0} / n,                      j in held
 *
 * delta is rob_attack_universal's, found on one query and judged on another that had no
 * part in the search, so that the count is binomial and its interval exact. Beside it
 * stands a random change of the same length, which says what length alone does.
 */
#include "report/report.h"

#include <robust/attack.h>

#include <math.h>

enum { UNIVERSAL_STREAM = 0x756e6976, COUNTS = 5 };

/* d (n): where delta moves, normal numbers; scaled to the length of delta, just short. */
static void draw_alike(const rob_ctx *ctx, int32_t norm, const double *delta, int64_t n,
                       double *d)
{
    rob_random random = rob_priv_random(ctx->seed, UNIVERSAL_STREAM);
    for (int64_t k = 0; k < n; k++) {
        double z = rob_priv_normal(&random);
        d[k] = delta[k] == 0 ? 0 : norm == ROB_NORM_LINF ? copysign(1, z) : z;
    }
    double length = rob_priv_norm(norm, d, n), want = rob_priv_norm(norm, delta, n);
    double scale = length > 0 ? want / length * (1 - 1e-12) : 0;
    for (int64_t k = 0; k < n; k++) d[k] *= scale;
}

static rob_status judge(rob_ctx *ctx, rob_attack *a, rob_query *held,
                        const double *delta, int64_t n, rob_findings *f, int32_t column)
{
    rob_status status = ROB_OK;
    TRY(rob_attack_transfer(ctx, a, held, delta, n));
    TRY(rob_priv_findings_make(ctx, f, column, COUNTS));
    TRY(rob_attack_get(ctx, a, "fooled", -1, f->value[column], COUNTS, NULL));
done:
    return status;
}

static void forget(rob_findings *f, int32_t column)
{
    rob_priv_release(&f->memory, f->value[column]);
    f->value[column] = NULL;
    f->size[column] = 0;
}

/* The columns of `from`, which are whole, in the place of those of `to`. */
static void move_columns(rob_findings *from, rob_findings *to)
{
    for (int32_t c = ROB_C_UNIVERSAL; c <= ROB_C_UNIVERSAL_RANDOM; c++) {
        if (to->value[c]) forget(to, c);
        to->value[c] = from->value[c];
        to->size[c] = from->size[c];
        from->value[c] = NULL;
        from->size[c] = 0;
    }
}

static rob_status find(rob_ctx *ctx, rob_query *search, rob_query *held,
                       rob_findings *f)
{
    rob_status status = ROB_OK, end = ROB_OK;
    rob_attack *a = NULL;
    double *alike = NULL;
    int64_t n;
    TRY(rob_attack_create(ctx, "universal", &a));
    TRY(rob_attack_set(ctx, a, "confidence", f->confidence));
    TRY(end = rob_attack_universal(ctx, a, search, NULL, 0, &n));
    TRY(rob_priv_findings_make(ctx, f, ROB_C_UNIVERSAL, n));
    TRY(rob_priv_findings_make(ctx, f, ROB_C_UNIVERSAL_OWN, COUNTS));
    TRY(rob_priv_findings_make(ctx, f, ROB_C_UNIVERSAL_RADIUS, 1));
    f->value[ROB_C_UNIVERSAL_RADIUS][0] = search->radius;
    TRY(rob_attack_get(ctx, a, "fooled", -1, f->value[ROB_C_UNIVERSAL_OWN], COUNTS,
                       NULL));
    TRY(rob_attack_get(ctx, a, "universal", -1, f->value[ROB_C_UNIVERSAL], n, NULL));
    TRY(judge(ctx, a, held, f->value[ROB_C_UNIVERSAL], n, f, ROB_C_UNIVERSAL_FOOLED));
    alike = rob_priv_allocate(&ctx->memory, n, sizeof *alike);
    CHECK(alike, ctx, ROB_EMEMORY, "out of memory for a random change");
    draw_alike(ctx, search->norm, f->value[ROB_C_UNIVERSAL], n, alike);
    TRY(judge(ctx, a, held, alike, n, f, ROB_C_UNIVERSAL_RANDOM));
    status = end;
done:
    rob_priv_release(&ctx->memory, alike);
    rob_attack_free(a);
    return status;
}

rob_status rob_priv_report_universal(rob_ctx *ctx, rob_report *r, rob_query *search,
                                     rob_query *held)
{
    rob_status status = ROB_OK;
    rob_findings f = { .memory = r->memory, .confidence = r->findings.confidence };
    CHECK(search->norm == held->norm && search->units == held->units
              && search->radius == held->radius,
          ctx, ROB_EARGUMENT,
          "search and held have different balls; one perturbation is judged in one");
    TRY(find(ctx, search, held, &f));
    move_columns(&f, &r->findings);
done:
    rob_priv_findings_free(&f);
    return status;
}
