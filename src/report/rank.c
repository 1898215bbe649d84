/* rank.c -- quantiles, ranks and Spearman's rank correlation with its interval.
 *
 * Ranks are averaged over ties; rho is Pearson's correlation of the ranks. With
 * zeta = artanh(rho), the interval is tanh(zeta -+ z sqrt((1 + rho^2/2)/(n - 3))):
 * Fisher's transformation with the variance of Bonett & Wright (Psychometrika 65,
 * 2000). INFINITY ranks above every number, so "no failing point found" counts as
 * farthest.
 */
#include "report/report.h"
#include "sample/closed.h"

#include <math.h>
#include <stdlib.h>

typedef struct item {
    double key;
    int64_t index;
} item;

static int by_key(const void *a, const void *b)
{
    const item *x = a, *y = b;
    if (isnan(x->key) != isnan(y->key)) return isnan(x->key) ? 1 : -1;
    if (x->key != y->key && !isnan(x->key)) return x->key < y->key ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int64_t rob_priv_sorted(const double *x, int64_t n, double *out)
{
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(x[i])) out[k++] = x[i];
    if (k > 0) qsort(out, (size_t)k, sizeof *out, by_value);
    return k;
}

double rob_priv_quantile(const double *sorted, int64_t n, double share)
{
    if (n == 0) return NAN;
    double place = share * (double)(n - 1);
    int64_t k = (int64_t)place;
    double rest = place - (double)k;
    if (rest == 0 || k + 1 >= n) return sorted[k];
    if (isinf(sorted[k + 1])) return INFINITY;
    return sorted[k] + rest * (sorted[k + 1] - sorted[k]);
}

/* heap sort of indices: no allocation, and order is total, so the result is unique */
static bool before(const double *key, int64_t a, int64_t b)
{
    item x = { key[a], a }, y = { key[b], b };
    return by_key(&x, &y) < 0;
}

static void sift(const double *key, int64_t *order, int64_t root, int64_t n)
{
    for (int64_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && before(key, order[child], order[child + 1])) child++;
        if (!before(key, order[root], order[child])) return;
        int64_t swap = order[root];
        order[root] = order[child];
        order[child] = swap;
    }
}

void rob_priv_order(const double *key, int64_t n, int64_t *order)
{
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (int64_t root = n / 2 - 1; root >= 0; root--) sift(key, order, root, n);
    for (int64_t end = n - 1; end > 0; end--) {
        int64_t swap = order[0];
        order[0] = order[end];
        order[end] = swap;
        sift(key, order, 0, end);
    }
}

/* ranks 1 .. n of the keys, in place of them by index; ties share their mean */
static void rank_items(item *items, int64_t n, double *rank)
{
    qsort(items, (size_t)n, sizeof *items, by_key);
    for (int64_t k = 0, end; k < n; k = end) {
        for (end = k + 1; end < n && items[end].key == items[k].key;) end++;
        for (int64_t j = k; j < end; j++)
            rank[items[j].index] = 0.5 * (double)(k + 1 + end);
    }
}

static double correlation(const double *x, const double *y, int64_t n)
{
    double mean = 0.5 * (double)(n + 1), xx = 0, yy = 0, xy = 0;
    for (int64_t i = 0; i < n; i++) {
        xx += (x[i] - mean) * (x[i] - mean);
        yy += (y[i] - mean) * (y[i] - mean);
        xy += (x[i] - mean) * (y[i] - mean);
    }
    if (xx == 0 || yy == 0) return NAN;
    double rho = xy / sqrt(xx * yy);
    return fmax(-1, fmin(1, rho));
}

rob_status rob_priv_spearman(rob_ctx *ctx, const double *x, const double *y, int64_t n,
                             double confidence, double out[4])
{
    rob_status status = ROB_OK;
    int64_t pairs = 0;
    item *items = rob_priv_allocate(&ctx->memory, 2 * n + 1, (int64_t)sizeof *items);
    double *rank = rob_priv_allocate(&ctx->memory, 2 * n + 1, (int64_t)sizeof *rank);
    CHECK(items && rank, ctx, ROB_EMEMORY, "out of memory for ranks");
    for (int64_t i = 0; i < n; i++) {
        if (isnan(x[i]) || isnan(y[i])) continue;
        items[pairs] = (item){ x[i], pairs };
        items[n + pairs] = (item){ y[i], pairs };
        pairs++;
    }
    out[0] = out[1] = out[2] = NAN;
    out[3] = (double)pairs;
    if (pairs < 2) goto done;
    rank_items(items, pairs, rank);
    rank_items(items + n, pairs, rank + n);
    double rho = out[0] = correlation(rank, rank + n, pairs);
    if (pairs < 4 || isnan(rho)) goto done;
    double wide = rob_priv_normal_width(confidence)
                  * sqrt((1 + rho * rho / 2) / (double)(pairs - 3));
    out[1] = fabs(rho) == 1 ? rho : tanh(atanh(rho) - wide);
    out[2] = fabs(rho) == 1 ? rho : tanh(atanh(rho) + wide);
done:
    rob_priv_release(&ctx->memory, items);
    rob_priv_release(&ctx->memory, rank);
    return status;
}
