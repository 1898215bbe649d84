/* gradients.c -- certify --lipschitz R: by how much the margin can change inside a ball. */
#include "robust.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static rob_status set_bound(void *h, const char *n, double v)
{
    return rob_bound_set(ctx, h, n, v);
}

static void print_series(const arguments *a, int64_t i, double constant, double smooth,
                         bool last)
{
    const int64_t series = i + (int64_t)a->first;
    if (a->json) {
        printf("    {\"series\": %" PRId64 ", \"lipschitz\": ", series);
        if (isfinite(constant)) printf("%.9g", constant);
        else fputs("null", stdout);
        printf(", \"smooth\": %.9g}%s\n", smooth, last ? "" : ",");
    } else if (isfinite(constant)) {
        printf("series %3" PRId64 ": margin changes by at most %.6g for each unit within %.6g; "
               "safe within %.6g by that alone\n", series, constant, a->lipschitz, smooth);
    } else {
        printf("series %3" PRId64 ": nothing proved of the margin's gradient within %.6g\n",
               series, a->lipschitz);
    }
}

rob_status certify_gradients(const arguments *a, rob_query *q)
{
    rob_status status;
    rob_bound *bound = NULL;
    const int64_t n = rob_query_count(q);
    TRY(ask_radius(a, q, a->lipschitz));
    TRY(rob_bound_create(ctx, a->method, &bound));
    TRY(apply_sets(a, "bound.", set_bound, bound));
    TRY(rob_bound_lipschitz(ctx, bound, q, NULL, 0));
    const rob_status end = status;
    if (a->json) fputs(",\n  \"gradients\": [\n", stdout);
    for (int64_t i = 0; i < n; i++) {
        double constant, smooth;
        TRY(rob_bound_get(ctx, bound, "lipschitz", i, &constant, 1, NULL));
        TRY(rob_bound_get(ctx, bound, "smooth", i, &smooth, 1, NULL));
        print_series(a, i, constant, smooth, i + 1 == n);
    }
    if (a->json) fputs("  ]", stdout);
    status = end;
done:
    rob_bound_free(bound);
    return status;
}
