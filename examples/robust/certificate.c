/* certificate.c -- proofs written to files, and proved again. */
#include "robust.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 12, PATH_SIZE = 4096 };

/* At the ball's radius, or as near to the proved one as a certificate reaches: each try
 * takes a little more away. NULL in *out: none could be written. */
static rob_status make(const arguments *a, const rob_bound *bound, rob_query *q, int64_t i,
                       double lower, rob_certificate **out)
{
    const bool given = isfinite(a->radius);
    double radius = given ? a->radius : lower, step = 1e-6;
    rob_status status = ROB_EDOMAIN;
    *out = NULL;
    for (int k = 0; k < (given ? 1 : TRIES) && status == ROB_EDOMAIN; k++, step *= 3) {
        status = rob_certificate_create(ctx, bound, q, i, radius, out);
        radius = fmax(lower * (1 - step), 0);
    }
    return status == ROB_EDOMAIN ? ROB_OK : status;
}

static double number(const rob_certificate *c, const char *what)
{
    double v = NAN;
    rob_certificate_get(ctx, c, what, &v, 1, NULL);
    return v;
}

rob_status write_certificates(const arguments *a, const rob_bound *bound, rob_query *q,
                              const double *lower, int64_t n)
{
    rob_status status = ROB_OK;
    rob_certificate *c = NULL;
    char path[PATH_SIZE];
    for (int64_t i = 0; i < n && status == ROB_OK; i++) {
        int64_t name = i + (int64_t)a->first;
        if (!(lower[i] > 0)) continue;
        if (snprintf(path, sizeof path, "%s%" PRId64 ".cert", a->certificates, name) >= PATH_SIZE)
            return complain("--certificates: the name is too long"), ROB_EARGUMENT;
        TRY(make(a, bound, q, i, lower[i], &c));
        if (c == NULL) {
            fprintf(stderr, "series %" PRId64 ": %s\n", name, rob_ctx_error(ctx));
            continue;
        }
        TRY(rob_certificate_save(ctx, c, path));
        if (!a->json)
            printf("series %3" PRId64 ": certificate for radius %.9g in %s\n", name,
                   number(c, "radius"), path);
        rob_certificate_free(c);
        c = NULL;
    }
done:
    rob_certificate_free(c);
    return status;
}

/* ---- proved again ----------------------------------------------------------------- */

static const char *norm_name(double norm)
{
    return norm == ROB_NORM_L1 ? "L1" : norm == ROB_NORM_L2 ? "L2" : "Linf";
}

/* Which class the rows single out against all others; -1: they say something else. */
static int64_t class_of(const double *c, int64_t rows, int64_t outputs)
{
    int64_t own = -1;
    if (rows != outputs - 1) return -1;
    for (int64_t k = 0; k < outputs && own < 0; k++)
        if (c[k] == 1) own = k;
    for (int64_t r = 0; r < rows && own >= 0; r++)
        for (int64_t k = 0; k < outputs; k++) {
            int64_t other = r < own ? r : r + 1;
            double wanted = k == own ? 1 : k == other ? -1 : 0;
            if (c[r * outputs + k] != wanted) return -1;
        }
    return own;
}

/* Rows that are 0 at b and in groups of their own. */
static bool rows_are_plain(const rob_certificate *c, int64_t rows, double *room)
{
    rob_certificate_get(ctx, c, "constants", room, rows, NULL);
    for (int64_t r = 0; r < rows; r++)
        if (room[r] != 0) return false;
    rob_certificate_get(ctx, c, "groups", room, rows, NULL);
    for (int64_t r = 1; r < rows; r++)
        if (room[r] == room[r - 1]) return false;
    return true;
}

static void print_statement(const rob_certificate *c, int64_t rows, int64_t outputs,
                            double *room)
{
    bool plain = rows_are_plain(c, rows, room);
    rob_certificate_get(ctx, c, "coefficients", room, rows * outputs, NULL);
    int64_t own = plain ? class_of(room, rows, outputs) : -1;
    if (own >= 0) printf("says: class %" PRId64 " stays first", own);
    else printf("says: %" PRId64 " rows of its own stay positive", rows);
    printf(" within %.9g (%s) of the series in it, margin at least %.6g\n",
           number(c, "radius"), norm_name(number(c, "norm")), number(c, "margin"));
}

/* The series of the data set that is the certificate's, bit for bit; -1: none. */
static int64_t series_of(const rob_data *data, const double *x, int64_t steps, int64_t features)
{
    const int64_t n = steps * features;
    int64_t found = -1, t, d;
    double *own = calloc((size_t)n, sizeof *own);
    for (int64_t i = 0; own != NULL && found < 0 && i < rob_data_count(data); i++) {
        if (rob_data_get(ctx, data, i, NULL, 0, &t, &d, NULL) != ROB_OK || t != steps || d != features
            || rob_data_get(ctx, data, i, own, n, NULL, NULL, NULL) != ROB_OK)
            continue;
        if (memcmp(own, x, (size_t)n * sizeof *x) == 0) found = i;
    }
    free(own);
    return found;
}

static rob_status print_series(const arguments *a, const rob_certificate *c, double *room)
{
    rob_status status = ROB_OK;
    rob_data *data = NULL;
    int64_t steps = (int64_t)number(c, "steps"), features = (int64_t)number(c, "features");
    TRY(open_data(a, a->file[2], &data));
    TRY(rob_certificate_get(ctx, c, "series", room, steps * features, NULL));
    int64_t i = series_of(data, room, steps, features);
    if (i >= 0) printf("the series is number %" PRId64 " of %s\n", i, a->file[2]);
    else status = ROB_EDOMAIN, complain("refused: the series is none of %s", a->file[2]);
done:
    rob_data_free(data);
    return status;
}

rob_status check_certificate(const arguments *a)
{
    rob_status status;
    rob_model *model = NULL;
    rob_certificate *c = NULL;
    double *room = NULL;
    TRY(rob_model_load(ctx, a->file[0], a->recipe, &model));
    TRY(rob_certificate_load(ctx, a->file[1], &c));
    int64_t rows = (int64_t)number(c, "rows"), outputs = (int64_t)number(c, "outputs");
    int64_t n = (int64_t)(number(c, "steps") * number(c, "features"));
    room = calloc((size_t)(rows * outputs + rows + n), sizeof *room);
    if (room == NULL) TRY(ROB_EMEMORY);
    print_statement(c, rows, outputs, room);
    TRY(rob_certificate_check(ctx, c, model));
    if (status != ROB_OK) goto done;
    if (a->files == 3) TRY(print_series(a, c, room));
    printf("proved: margin at least %.6g; %.0f planes, %.0f ranges, %.0f rows, %.2f s\n",
           number(c, "proved"), number(c, "planes"), number(c, "ranges"), number(c, "swept"),
           number(c, "seconds"));
done:
    free(room);
    rob_certificate_free(c);
    rob_model_free(model);
    return status;
}
