/* diagnose.c -- attack --diagnose: signs that gradients are masked. */
#include "robust.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static const char *const SIGN[] = {"units", "gradients", "loss", "descent", "steps",
                                   "restarts", "black"};
enum { SIGNS = sizeof SIGN / sizeof *SIGN };

static rob_status set_diagnosis(void *h, const char *n, double v)
{
    return rob_diagnosis_set(ctx, h, n, v);
}

static rob_status print_json(const rob_diagnosis *d)
{
    rob_status status = ROB_OK;
    fputs(",\n  \"signs\": {", stdout);
    for (int k = 0; k < SIGNS; k++) {
        char name[32];
        double v;
        snprintf(name, sizeof name, "share_%s", SIGN[k]);
        TRY(rob_diagnosis_get(ctx, d, name, 0, &v, 1, NULL));
        printf(isnan(v) ? "%s\"%s\": null" : "%s\"%s\": %.6g", k ? ", " : "", SIGN[k], v);
    }
    fputs("},\n  \"warnings\": [", stdout);
    for (int64_t k = 0; rob_diagnosis_warning(d, k) != NULL; k++)
        printf("%s\n    \"%s\"", k ? "," : "", rob_diagnosis_warning(d, k));
    fputs("]", stdout);
done:
    return status;
}

static rob_status print_text(const rob_diagnosis *d)
{
    rob_status status = ROB_OK;
    fputs("signs of masked gradients, share of the series:", stdout);
    for (int k = 0; k < SIGNS; k++) {
        char name[32];
        double v;
        snprintf(name, sizeof name, "share_%s", SIGN[k]);
        TRY(rob_diagnosis_get(ctx, d, name, 0, &v, 1, NULL));
        if (!isnan(v)) printf(" %s %.2f", SIGN[k], v);
    }
    puts("");
    for (int64_t k = 0; rob_diagnosis_warning(d, k) != NULL; k++)
        printf("warning: %s\n", rob_diagnosis_warning(d, k));
    if (rob_diagnosis_warning(d, 0) == NULL)
        puts("no warning: nothing says that attacks by gradients mislead");
done:
    return status;
}

rob_status diagnose(const arguments *a, rob_query *q)
{
    rob_status status;
    rob_diagnosis *d = NULL;
    TRY(rob_diagnosis_create(ctx, &d));
    /* what the attack just found is the white box */
    if (isinf(a->radius)) TRY(rob_diagnosis_set_text(ctx, d, "white", "none"));
    TRY(apply_sets(a, "diagnosis.", set_diagnosis, d));
    TRY(rob_diagnosis_run(ctx, d, q));
    rob_status end = status;
    TRY(a->json ? print_json(d) : print_text(d));
    status = end;
done:
    rob_diagnosis_free(d);
    return status;
}
