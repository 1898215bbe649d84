/* certificate.c -- what is written down is proved again.
 *
 * Certificates of random networks of every kind pass and claim no more than arithmetic
 * at 200 bits finds. Files, arguments and memory may be as bad as they like.
 */
#include "check/certified.h"

/* Through a file and back. */
static rob_certificate *reread(scene *s, rob_certificate *c)
{
    char path[] = "/tmp/robust_certificate_XXXXXX";
    rob_certificate *again = NULL;
    rob_write_file(path, "", 0);
    fine(s->ctx, rob_certificate_save(s->ctx, c, path));
    fine(s->ctx, rob_certificate_load(s->ctx, path, &again));
    unlink(path);
    rob_certificate_free(c);
    return again;
}

/* The least exact margin at x and at some corners of the ball. */
static double least_margin(const scene *s, int32_t norm, double eps)
{
    double p[64], least = exact_margin(s->model, s->x, s->T, s->query->cases[0].reference);
    const int64_t n = s->T * D;
    for (uint64_t k = 0; k < 6; k++) {
        rob_random r = rob_priv_random(k, 3);
        double each = norm == ROB_NORM_LINF ? eps : eps / sqrt((double)n);
        for (int64_t i = 0; i < n; i++)
            p[i] = s->x[i] + (rob_priv_uniform(&r) < 0.5 ? -1 : 1) * each * (1 - 0x1p-40);
        least = fmin(least, exact_margin(s->model, p, s->T, s->query->cases[0].reference));
    }
    return least;
}

/* ---- true ones pass -------------------------------------------------------------- */

START_TEST(certificates_pass)
{
    static const int32_t norms[] = { ROB_NORM_L2, ROB_NORM_LINF };
    static const int64_t lengths[] = { 1, 2, 5, 9 };
    const int32_t kind = KINDS[_i % KIND_COUNT], layers = 1 + _i / KIND_COUNT % 2;
    for (uint64_t seed = 0; seed < 4; seed++) {
        int32_t norm = norms[seed % 2];
        double radius;
        scene s = open_scene(kind, layers, seed == 3 ? ROB_READOUT_MEAN : ROB_READOUT_LAST,
                             lengths[seed], 3 + 5 * (int64_t)(seed % 2), seed);
        rob_certificate *c = reread(&s, certificate_of(&s, norm, &radius));
        for (int32_t isa = 0, best = s.ctx->isa; isa <= best; isa++) {
            s.ctx->isa = isa;
            fine(s.ctx, rob_certificate_check(s.ctx, c, s.model));
            double proved = number(&s, c, "proved");
            ck_assert(proved >= number(&s, c, "margin") && proved > 0);
            ck_assert(proved <= least_margin(&s, norm, radius));
        }
        ck_assert(number(&s, c, "radius") == radius);
        rob_certificate_free(c);
        close_scene(&s);
    }
}
END_TEST

/* Both directions, every way to read out, an input map, weights in float64. */
START_TEST(recipes_pass)
{
    static const char *const recipes[] = {
        "lstm hidden=4 outputs=3 features=2 bidirectional=yes readout=mean",
        "gru hidden=4 outputs=2 features=2 layers=2 bidirectional=yes readout=state",
        "rnn nonlinearity=tanh hidden=5 outputs=3 features=2 readout=max",
        ("lstm hidden=4 outputs=3 features=2 readout=last mlp=6 activation=relu "
         "input=(x-0.1)/0.5"),
    };
    scene s = open_scene(KINDS[0], 1, ROB_READOUT_LAST, 6, 4, 1);
    rob_model *m;
    rob_query *q;
    rob_certificate *c;
    rob_status made = rob_model_create(s.ctx, recipes[_i], &m);
    fine(s.ctx, made);
    fine(s.ctx, rob_query_create(s.ctx, m, &q));
    fine(s.ctx, rob_query_add(s.ctx, q, s.x, s.T, -1));
    fine(s.ctx, rob_query_set_ball(s.ctx, q, ROB_NORM_LINF, 1e-3));
    fine(s.ctx, rob_certificate_create(s.ctx, s.bound, q, 0, 1e-4, &c));
    fine(s.ctx, rob_certificate_check(s.ctx, c, m));
    rob_certificate_free(c);
    rob_query_free(q);
    rob_model_free(m);
    close_scene(&s);
}
END_TEST

static const char *const ENCODERS[] = {
    "activation=gelu norm=first readout=mean",
    "activation=relu norm=last readout=last layers=2",
    "activation=gelu_tanh norm=last readout=cls positions=sinusoid",
    "activation=relu norm=first layernorm=centred readout=max mlp=4 head_activation=relu",
};
enum { ENCODER_COUNT = 4 };

/* The margin at a point in double precision; its rounding is far below the slack wanted. */
static double margin_at(scene *s, const double *p)
{
    double f[3], least = INFINITY;
    const int64_t own = s->query->cases[0].reference;
    fine(s->ctx, rob_model_predict(s->ctx, s->model, p, s->T, f, 3));
    for (int64_t k = 0; k < 3; k++)
        if (k != own) least = fmin(least, f[own] - f[k]);
    return least;
}

/* No point that a walk from corner to corner finds has less than what is proved. */
static double walked_margin(scene *s, int32_t norm, double eps, uint64_t seed)
{
    const int64_t n = s->T * D;
    double p[64], least = margin_at(s, s->x);
    rob_random r = rob_priv_random(seed, 5);
    const double each = norm == ROB_NORM_LINF ? eps : eps / sqrt((double)n);
    for (int64_t i = 0; i < n; i++) p[i] = s->x[i] + (i % 2 ? each : -each);
    for (int64_t t = 0; t < 4 * n; t++) {
        int64_t i = (int64_t)rob_priv_below(&r, (uint32_t)n);
        double was = p[i], now;
        p[i] = 2 * s->x[i] - was;
        now = margin_at(s, p);
        if (now < least) least = now;
        else p[i] = was;
    }
    return least;
}

START_TEST(encoders_pass)
{
    static const int64_t lengths[] = { 1, 3, 6 };
    for (uint64_t seed = 0; seed < 3; seed++) {
        int32_t norm = seed % 2 ? ROB_NORM_LINF : ROB_NORM_L2;
        double radius, whole;
        scene s = open_encoder(ENCODERS[_i], lengths[seed], 8, seed);
        fine(s.ctx, rob_query_set_ball(s.ctx, s.query, norm, INFINITY));
        fine(s.ctx, rob_bound_radius(s.ctx, s.bound, s.query, &whole, 1));
        rob_certificate *c = reread(&s, certificate_of(&s, norm, &radius));
        ck_assert_msg(radius >= 0.89 * fmin(whole, 4), "%g of %g", radius, whole);
        for (int32_t isa = 0, best = s.ctx->isa; isa <= best; isa++) {
            s.ctx->isa = isa;
            fine(s.ctx, rob_certificate_check(s.ctx, c, s.model));
            double proved = number(&s, c, "proved");
            ck_assert(proved >= number(&s, c, "margin") && proved > 0);
            ck_assert(proved <= walked_margin(&s, norm, radius, seed) + 1e-6);
        }
        rob_certificate_free(c);
        close_scene(&s);
    }
}
END_TEST

START_TEST(parts_pass)
{
    int written = 0;
    for (uint64_t seed = 0; seed < 4; seed++) {
        const int32_t norm = seed % 2 ? ROB_NORM_L2 : ROB_NORM_LINF;
        double radius;
        scene s = open_scene(KINDS[_i], 1, ROB_READOUT_LAST, 3, 4, seed);
        rob_certificate *c = in_parts(&s, norm, &radius);
        if (c != NULL) {
            c = reread(&s, c);
            fine(s.ctx, rob_certificate_check(s.ctx, c, s.model));
            double proved = number(&s, c, "proved");
            ck_assert(proved >= number(&s, c, "margin") && proved > 0);
            ck_assert(proved <= least_margin(&s, norm, radius));
            written += number(&s, c, "parts") > 1;
        }
        rob_certificate_free(c);
        close_scene(&s);
    }
    ck_assert_int_gt(written, 0);
}
END_TEST

/* Walls, scales and masks, and a part that a wall leaves nothing of. */
static void bend_region(scene *s)
{
    const int64_t n = s->T * D;
    double scale[64], low[64], high[64];
    uint8_t mask[64];
    for (int64_t k = 0; k < n; k++) {
        mask[k] = k != 2;
        scale[k] = 0.5 + (double)(k % 3);
        low[k] = s->x[k] - (k % 4 == 0 ? 0 : 9);
        high[k] = s->x[k] + (k % 4 == 1 ? 0 : 9);
    }
    fine(s->ctx, rob_query_set_mask(s->ctx, s->query, 0, mask, n));
    fine(s->ctx, rob_query_set_scale(s->ctx, s->query, 0, scale, n));
    fine(s->ctx, rob_query_set_box(s->ctx, s->query, 0, low, high, n));
}

START_TEST(parts_of_regions_pass)
{
    int64_t written = 0;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        double radius;
        scene s = open_scene(KINDS[_i], 1, ROB_READOUT_LAST, 3, 4, seed);
        bend_region(&s);
        rob_certificate *c = in_parts(&s, ROB_NORM_LINF, &radius);
        if (c != NULL) fine(s.ctx, rob_certificate_check(s.ctx, c, s.model));
        written += c != NULL;
        rob_certificate_free(c);
        close_scene(&s);
    }
    ck_assert_int_gt(written, 0);
}
END_TEST

/* Files of the format before claims of rows, strips and parts. */
START_TEST(older_files_are_read)
{
    static const char *const files[] = { "lstm_walls", "gru_budget", "rnn_point" };
    rob_ctx *ctx;
    ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK);
    for (int k = 0; k < 3; k++) {
        char path[80];
        rob_certificate *c;
        double parts, claims;
        snprintf(path, sizeof path, "tests/fuzz/corpus/certificate/%s", files[k]);
        fine(ctx, rob_certificate_load(ctx, path, &c));
        fine(ctx, rob_certificate_get(ctx, c, "parts", &parts, 1, NULL));
        fine(ctx, rob_certificate_get(ctx, c, "claims", &claims, 1, NULL));
        ck_assert(parts == 1 && claims > 0);
        rob_certificate_free(c);
    }
    rob_ctx_free(ctx);
}
END_TEST

/* Masks, scales, walls and budgets are stated and heeded. */
START_TEST(regions_pass)
{
    scene s = open_scene(KINDS[_i % KIND_COUNT], 1, ROB_READOUT_LAST, 5, 6, 2);
    const int64_t n = s.T * D;
    double scale[64], low[64], high[64], budget[5], radius;
    uint8_t mask[64];
    for (int64_t k = 0; k < n; k++) {
        mask[k] = k % 3 != 0;
        scale[k] = 0.5 + (double)(k % 4);
        low[k] = s.x[k] - (k % 4 == 0 ? 0 : 0.02);
        high[k] = s.x[k] + (k % 4 == 1 ? 0 : 0.02);
    }
    for (int64_t t = 0; t < s.T; t++) budget[t] = 0.01 * (double)(t + 1);
    fine(s.ctx, rob_query_set_mask(s.ctx, s.query, 0, mask, n));
    fine(s.ctx, rob_query_set_scale(s.ctx, s.query, 0, scale, n));
    if (_i / KIND_COUNT % 2) fine(s.ctx, rob_query_set_box(s.ctx, s.query, 0, low, high, n));
    if (_i / KIND_COUNT >= 2)
        fine(s.ctx, rob_query_set_budget(s.ctx, s.query, 0, budget, s.T));
    fine(s.ctx, rob_query_set_ball(s.ctx, s.query, ROB_NORM_L2, 0.05));
    fine(s.ctx, rob_bound_radius(s.ctx, s.bound, s.query, &radius, 1));
    rob_certificate *c;
    fine(s.ctx, rob_certificate_create(s.ctx, s.bound, s.query, 0, radius * 0.9, &c));
    c = reread(&s, c);
    fine(s.ctx, rob_certificate_check(s.ctx, c, s.model));
    rob_certificate_free(c);
    close_scene(&s);
}
END_TEST

/* ---- files, arguments, memory ---------------------------------------------------- */

START_TEST(damaged_files_are_refused)
{
    scene s = open_scene(KINDS[2], 1, ROB_READOUT_LAST, 2, 2, 6);
    double radius;
    rob_bytes bytes;
    rob_cert k = opened(&s, &radius), again;
    fine(s.ctx, rob_priv_cert_print(s.ctx, &k, &bytes));
    for (int64_t cut = 0; cut < bytes.count; cut += 8)
        ck_assert_int_eq(rob_priv_cert_parse(s.ctx, bytes.at, cut, "cut", &again),
                         ROB_EFORMAT);
    for (int64_t i = 0; i < bytes.count; i++) {
        bytes.at[i] ^= 1;
        ck_assert_int_eq(rob_priv_cert_parse(s.ctx, bytes.at, bytes.count, "bit", &again),
                         ROB_EFORMAT);
        bytes.at[i] ^= 1;
    }
    rob_priv_release(&s.ctx->memory, bytes.at);
    rob_priv_cert_clear(&k);
    close_scene(&s);
}
END_TEST

START_TEST(bad_calls_get_one_line)
{
    scene s = open_scene(KINDS[2], 1, ROB_READOUT_LAST, 4, 4, 6);
    rob_certificate *c = NULL;
    rob_bound *forms;
    fine(s.ctx, rob_query_set_ball(s.ctx, s.query, ROB_NORM_L2, 1));
    ck_assert_int_eq(rob_certificate_create(s.ctx, s.bound, s.query, 1, 1, &c),
                     ROB_EARGUMENT);
    ck_assert_int_eq(rob_certificate_create(s.ctx, s.bound, s.query, 0, INFINITY, &c),
                     ROB_EDOMAIN);
    ck_assert_int_eq(rob_certificate_create(s.ctx, s.bound, s.query, 0, 1e3, &c),
                     ROB_EDOMAIN);
    ck_assert(strstr(rob_ctx_error(s.ctx), "no positive margin") && c == NULL);
    fine(s.ctx, rob_bound_create(s.ctx, "zonotope", &forms));
    ck_assert_int_eq(rob_certificate_create(s.ctx, forms, s.query, 0, 1e-3, &c),
                     ROB_EUNSUPPORTED);
    rob_bound_free(forms);
    ck_assert_int_eq(rob_certificate_load(s.ctx, "/nowhere/to/be", &c), ROB_EIO);
    ck_assert_int_eq(rob_certificate_check(s.ctx, NULL, s.model), ROB_EARGUMENT);
    double radius;
    c = certificate_of(&s, ROB_NORM_L2, &radius);
    ck_assert_int_eq(rob_certificate_get(s.ctx, c, "colour", NULL, 0, NULL), ROB_EARGUMENT);
    ck_assert_int_eq(rob_certificate_get(s.ctx, c, "series", &radius, 1, NULL), ROB_ESHAPE);
    ck_assert_int_eq(rob_certificate_save(s.ctx, c, "/nowhere/to/be"), ROB_EIO);
    rob_certificate_free(c);
    close_scene(&s);
}
END_TEST

static rob_status live_with(rob_ctx *ctx, const char *recipe, const char *method,
                            double radius)
{
    rob_query *q = NULL;
    rob_bound *b = NULL;
    rob_certificate *c = NULL, *again = NULL;
    rob_model *m = NULL;
    const double x[] = { 0.3, -0.2, 0.5, 1 };
    rob_status status = rob_model_create(ctx, recipe, &m);
    if (status == ROB_OK) status = rob_query_create(ctx, m, &q);
    if (status == ROB_OK) status = rob_query_add(ctx, q, x, 2, -1);
    if (status == ROB_OK) status = rob_bound_create(ctx, method, &b);
    if (status == ROB_OK) status = rob_certificate_create(ctx, b, q, 0, radius, &c);
    if (status == ROB_OK) status = rob_certificate_save(ctx, c, file);
    if (status == ROB_OK) status = rob_certificate_load(ctx, file, &again);
    if (status == ROB_OK) status = rob_certificate_check(ctx, again, m);
    rob_certificate_free(c);
    rob_certificate_free(again);
    rob_bound_free(b);
    rob_query_free(q);
    rob_model_free(m);
    return status;
}

static rob_status live(rob_ctx *ctx)
{
    return live_with(ctx, "lstm hidden=2 outputs=2 features=2 readout=last", "crown",
                     1e-4);
}

static rob_status live_with_attention(rob_ctx *ctx)
{
    return live_with(ctx, "transformer heads=1 hidden=2 outputs=2 features=2 readout=mean "
                          "activation=gelu norm=first", "crown", 1e-4);
}

START_TEST(memory_may_end_anywhere) { rob_live_poorly(_i ? live_with_attention : live); }
END_TEST

/* FIPS 180-4's own examples */
START_TEST(digests_are_those_of_the_standard)
{
    static const uint8_t abc[4] = { 0xba, 0x78, 0x16, 0xbf };
    static const uint8_t million[4] = { 0xcd, 0xc7, 0x6e, 0x5c };
    uint8_t digest[ROB_CERT_DIGEST];
    rob_sha256 s;
    rob_priv_sha256_begin(&s);
    rob_priv_sha256_add(&s, "abc", 3);
    rob_priv_sha256_end(&s, digest);
    ck_assert_mem_eq(digest, abc, 4);
    rob_priv_sha256_begin(&s);
    for (int i = 0; i < 1000000; i++) rob_priv_sha256_add(&s, "a", 1);
    rob_priv_sha256_end(&s, digest);
    ck_assert_mem_eq(digest, million, 4);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("certificate");
    TCase *t = tcase_create("certificate");
    tcase_add_loop_test(t, certificates_pass, 0, 2 * KIND_COUNT);
    tcase_add_loop_test(t, recipes_pass, 0, 4);
    tcase_add_loop_test(t, encoders_pass, 0, ENCODER_COUNT);
    tcase_add_loop_test(t, parts_pass, 0, KIND_COUNT);
    tcase_add_loop_test(t, parts_of_regions_pass, 0, KIND_COUNT);
    tcase_add_test(t, older_files_are_read);
    tcase_add_loop_test(t, regions_pass, 0, 4 * KIND_COUNT);
    tcase_add_test(t, damaged_files_are_refused);
    tcase_add_test(t, bad_calls_get_one_line);
    tcase_add_loop_test(t, memory_may_end_anywhere, 0, 2);
    tcase_add_test(t, digests_are_those_of_the_standard);
    suite_add_tcase(s, t);
    return run_with_file(s);
}
