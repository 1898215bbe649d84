/* curve.c -- one light curve: gaps, running median, folding at a period.
 *
 * Phase. With period P, epoch E (a time of mid-transit) and duration W of the transit,
 *     whole view   q = (t - E)/P,  q - floor(q + 1/4) in [-1/4, 3/4)
 *     near view    u = (t - E - P round((t - E)/P)) / W  in [-width/2, width/2)
 * and a bin of either view has the median of its points: a cosmic ray does not move it.
 * The running median keeps the window's values sorted; a step costs a search and a move
 * of at most a window. Points within 3/4 of a duration of mid-transit are left out of
 * it (where 3/2 W < P), so that a transit is not taken for the star's own change; a
 * trend without points is then linear between its neighbours.
 * Reference: Shallue and Vanderburg 2018, AJ 155, 94, section 3 (the two views).
 */
#include "data/parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what option fold says ------------------------------------------------------- */

static bool take_word(const char **p, const char *word)
{
    size_t n = strlen(word);
    if (strncmp(*p, word, n) != 0) return false;
    *p += n;
    return true;
}

static bool take_setting(const char **p, rob_fold *fold, double *bins)
{
    static const char *const name[] = { "period=", "epoch=", "duration=", "width=",
                                        "bins=" };
    double *const into[] = { &fold->period, &fold->epoch, &fold->duration, &fold->width,
                             bins };
    for (int k = 0; k < 5; k++) {
        if (!take_word(p, name[k])) continue;
        return rob_priv_parse_double(p, *p + strlen(*p), into[k]) && isfinite(*into[k]);
    }
    return false;
}

bool rob_priv_fold_parse(const char *text, rob_fold *out)
{
    double bins = 201.0;
    rob_fold fold = { .period = NAN, .epoch = NAN, .duration = NAN };
    *out = fold;
    if (*text == 0) return true;
    while (*text == ' ') text++;
    fold.from_meta = take_word(&text, "meta") && (*text == 0 || *text == ' ');
    while (*text) {
        while (*text == ' ') text++;
        if (*text && !take_setting(&text, &fold, &bins)) return false;
        if (*text && *text != ' ') return false;
    }
    bool known = fold.period > 0 && isfinite(fold.epoch);
    if (known == fold.from_meta || !(bins >= 4 && bins <= 65536)) return false;
    if (fold.duration <= 0 || fold.width < 0) return false;
    if (fold.width > 0 && !fold.from_meta && isnan(fold.duration)) return false;
    fold.bins = (int64_t)bins;
    *out = fold;
    return (double)fold.bins == bins;
}

/* ---- medians --------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double middle(const double *sorted, int64_t n)
{
    return n > 0 ? 0.5 * sorted[(n - 1) / 2] + 0.5 * sorted[n / 2] : NAN;
}

double rob_priv_curve_median(const double *x, int64_t n, double *work)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(x[i])) work[kept++] = x[i];
    if (kept > 0) qsort(work, (size_t)kept, sizeof *work, ascending);
    return middle(work, kept);
}

static int64_t place_in(const double *sorted, int64_t n, double x)
{
    int64_t low = 0;
    while (low < n) {
        int64_t half = low + (n - low) / 2;
        if (sorted[half] < x) low = half + 1;
        else n = half;
    }
    return low;
}

static void insert(double *sorted, int64_t *n, double x)
{
    int64_t k = place_in(sorted, *n, x);
    memmove(sorted + k + 1, sorted + k, (size_t)(*n - k) * sizeof *sorted);
    sorted[k] = x;
    ++*n;
}

static void take_out(double *sorted, int64_t *n, double x)
{
    int64_t k = place_in(sorted, *n, x);
    --*n;
    memmove(sorted + k, sorted + k + 1, (size_t)(*n - k) * sizeof *sorted);
}

/* From the middle of the nearest transit. */
static double from_transit(const rob_fold *f, double t)
{
    double since = t - f->epoch;
    return since - f->period * floor(since / f->period + 0.5);
}

static bool is_usable(const rob_fold *mask, double t, double x)
{
    if (!isfinite(x)) return false;
    if (!(mask->period > 0 && 1.5 * mask->duration < mask->period)) return true;
    return fabs(from_transit(mask, t)) > 0.75 * mask->duration;
}

void rob_priv_curve_trend(const double *time, const double *x, int64_t n, double width,
                          const rob_fold *mask, double *trend, double *work)
{
    int64_t from = 0, to = 0, kept = 0;
    for (int64_t i = 0; i < n; i++) {
        for (; to < n && time[to] <= time[i] + 0.5 * width; to++)
            if (is_usable(mask, time[to], x[to])) insert(work, &kept, x[to]);
        for (; time[from] < time[i] - 0.5 * width; from++)
            if (is_usable(mask, time[from], x[from])) take_out(work, &kept, x[from]);
        trend[i] = middle(work, kept);
    }
}

/* ---- gaps and phases ------------------------------------------------------------- */

int64_t rob_priv_curve_fill(const double *time, double *x, int64_t n)
{
    int64_t missing = 0, last = -1;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(x[i])) {
            missing++;
            continue;
        }
        for (int64_t k = last + 1; k < i; k++) {
            double share =
                last < 0 ? 1.0 : (time[k] - time[last]) / (time[i] - time[last]);
            x[k] = last < 0 ? x[i] : x[last] + share * (x[i] - x[last]);
        }
        last = i;
    }
    for (int64_t k = last + 1; k < n && last >= 0; k++) x[k] = x[last];
    return last < 0 ? -1 : missing;
}

void rob_priv_curve_axis(const rob_fold *fold, double *start, double *dt)
{
    double span = fold->width > 0 ? fold->width : 1.0;
    *start = fold->width > 0 ? -0.5 * span : -0.25;
    *dt = span / (double)fold->bins;
}

static int64_t bin_of(const rob_fold *fold, double t)
{
    double start, dt, at = (t - fold->epoch) / fold->period;
    rob_priv_curve_axis(fold, &start, &dt);
    if (fold->width > 0) at = from_transit(fold, t) / fold->duration;
    else at -= floor(at + 0.25);
    double bin = floor((at - start) / dt);
    return bin >= 0 && bin < (double)fold->bins ? (int64_t)bin : -1;
}

void rob_priv_curve_fold(const double *time, const double *x, int64_t n,
                         const rob_fold *fold, int64_t *place, double *work,
                         double *out)
{
    int64_t *last = place, *before = place + fold->bins; /* lists of points by bin */
    for (int64_t b = 0; b < fold->bins; b++) last[b] = -1;
    for (int64_t i = 0; i < n; i++) {
        int64_t b = isfinite(x[i]) ? bin_of(fold, time[i]) : -1;
        if (b < 0) continue;
        before[i] = last[b];
        last[b] = i;
    }
    for (int64_t b = 0; b < fold->bins; b++) {
        int64_t kept = 0;
        for (int64_t i = last[b]; i >= 0; i = before[i]) work[kept++] = x[i];
        if (kept > 0) qsort(work, (size_t)kept, sizeof *work, ascending);
        out[b] = middle(work, kept);
    }
}
