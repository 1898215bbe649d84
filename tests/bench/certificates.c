/* certificates.c -- how much of what a bound answers can be written down and proved again.
 *
 * Nets trained here as in tightness.c (rnn, lstm, gru), and encoders; for N series each
 * the radius a bound reports, the largest one a certificate is written for (bisection to a
 * thousandth), their ratio, and of that certificate bytes, seconds to write, to check.
 * KIND: rnn, lstm, gru, or the words of a recipe but hidden, features and outputs
 * usage: certificates KIND T H [N [METHOD [l2|linf [OPTION=VALUE ...]]]]
 */
#define WAVE_PROGRAM "certificates"
#include "waves.h"

#include <robust/certificate.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *method = "crown";
static int norm = ROB_NORM_L2;
static char **option;

static double now(void) /* of the processor: the machine may be busy */
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static rob_bound *bound_of(void)
{
    rob_bound *b;
    char name[64];
    double value;
    must(rob_bound_create(ctx, method, &b));
    for (char **o = option; *o != NULL; o++)
        if (sscanf(*o, "%63[^=]=%lf", name, &value) == 2) must(rob_bound_set(ctx, b, name, value));
    return b;
}

/* The largest radius below `most` with a certificate. */
static rob_certificate *largest(rob_bound *b, rob_query *q, double most, double *radius,
                                double *seconds)
{
    rob_certificate *best = NULL;
    double lo = 0, up = most;
    for (int k = 0; k < 14 && up - lo > 1e-3 * up; k++) {
        rob_certificate *c = NULL;
        double r = k == 0 ? most * (1 - 1e-4) : lo == 0 ? up * 0.7 : 0.5 * lo + 0.5 * up;
        double begun = now();
        if (rob_certificate_create(ctx, b, q, 0, r, &c) == ROB_OK) {
            rob_certificate_free(best);
            best = c;
            lo = r;
            *seconds = now() - begun;
        } else up = r;
        if (lo >= most * (1 - 2e-4)) break;
    }
    while (best != NULL && lo >= most * (1 - 2e-4) && lo < 4 * most) {
        rob_certificate *c = NULL;      /* parts may prove more than the bound did */
        double begun = now();
        if (rob_certificate_create(ctx, b, q, 0, most * 1.1, &c) != ROB_OK) break;
        *seconds = now() - begun;
        rob_certificate_free(best);
        best = c;
        lo = most *= 1.1;
    }
    *radius = lo;
    return best;
}

/* The ratio of radii. */
static double measure(const rob_model *model, const double *x, int64_t steps)
{
    rob_bound *b = bound_of();
    rob_query *q;
    double radius, proved, written = 0, begun = now();
    must(rob_query_create(ctx, model, &q));
    must(rob_query_add(ctx, q, x, steps, -1));
    must(rob_query_set_ball(ctx, q, norm, INFINITY));
    must(rob_bound_radius(ctx, b, q, &radius, 1));
    double searched = now() - begun;
    rob_certificate *c = largest(b, q, radius, &proved, &written);
    rob_query_free(q);
    rob_bound_free(b);
    if (c == NULL) return 0;
    char path[] = "/tmp/certificates_XXXXXX";
    struct stat file;
    int made = mkstemp(path);
    must(rob_certificate_save(ctx, c, path));
    fstat(made, &file);
    if (stat(path, &file) != 0) exit(1);
    double parts;
    begun = now();
    must(rob_certificate_check(ctx, c, model));
    double checked = now() - begun;
    must(rob_certificate_get(ctx, c, "parts", &parts, 1, NULL));
    printf("bound %.5f (%.2f s)  certificate %.5f  ratio %.4f  parts %.0f  %lld bytes  written "
           "%.2f s  checked %.2f s\n", radius, searched, proved, proved / radius, parts,
           (long long)file.st_size, written, checked);
    fflush(stdout);
    close(made);
    unlink(path);
    rob_certificate_free(c);
    return proved / radius;
}

static rob_model *model_of(const char *kind, int steps, int hidden)
{
    char recipe[256];
    for (int k = 0; k < KINDS; k++)
        if (strcmp(kind, KIND[k]) == 0) return fitted(k, steps, hidden);
    snprintf(recipe, sizeof recipe, "%s hidden=%d features=1 outputs=2", kind, hidden);
    return trained(recipe, steps);
}

int main(int argc, char **argv)
{
    char *none[] = { NULL };
    if (argc < 4) {
        fprintf(stderr, "usage: certificates KIND T H [N [METHOD [l2|linf [OPTION=VALUE ...]]]]\n");
        return 2;
    }
    int steps = atoi(argv[2]), count = argc > 4 ? atoi(argv[4]) : 8, some = 0;
    if (argc > 5) method = argv[5];
    if (argc > 6) norm = strcmp(argv[6], "linf") == 0 ? ROB_NORM_LINF : ROB_NORM_L2;
    option = argc > 7 ? argv + 7 : none;
    must(rob_ctx_create(&ctx));
    rob_model *model = model_of(argv[1], steps, atoi(argv[3]));
    rob_data *data = waves(steps, count, 99);
    double sum = 0;
    for (int i = 0; i < count; i++) {
        double x[256];
        int64_t t, d, label;
        must(rob_data_get(ctx, data, i, x, 256, &t, &d, &label));
        double ratio = measure(model, x, t);
        if (ratio > 0) sum += log(ratio), some++;
    }
    printf("%s T %d H %d %s: %d certificates of %d, geometric mean of ratios %.4f\n", argv[1],
           steps, atoi(argv[3]), method, some, count, exp(sum / (some > 0 ? some : 1)));
    rob_data_free(data);
    rob_model_free(model);
    rob_ctx_free(ctx);
    return 0;
}
