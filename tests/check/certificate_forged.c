/* certificate_forged.c -- what is false is refused.
 *
 * One slope, offset, range, radius, number of x, row or weight changed, or planes made
 * wrong on purpose by the bound itself: a forged file gets its digest right, only the
 * proof can tell.
 */
#include "check/certified.h"

/* ---- false ones do not ----------------------------------------------------------- */

static rob_status check_forged(scene *s, const rob_cert *k, const rob_model *model)
{
    rob_bytes bytes;
    rob_cert again;
    rob_check_result result;
    fine(s->ctx, rob_priv_cert_print(s->ctx, k, &bytes));
    rob_status status =
        rob_priv_cert_parse(s->ctx, bytes.at, bytes.count, "forged", &again);
    if (status == ROB_OK) status = rob_priv_check(s->ctx, model, &again, "forged", &result);
    rob_priv_cert_clear(&again);
    rob_priv_release(&s->ctx->memory, bytes.at);
    return status;
}

static void is_refused(scene *s, const rob_cert *k, const char *what)
{
    rob_status status = check_forged(s, k, s->model);
    ck_assert_msg(status == ROB_EDOMAIN, "%s: passed", what);
    ck_assert_msg(strstr(rob_ctx_error(s->ctx), "forged: refused: ") != NULL, "%s: %s",
                  what, rob_ctx_error(s->ctx));
}

/* Each number of a claim moved by `by` of its size in the direction that says more. */
static void forge_ranges(scene *s, rob_cert *k, double by)
{
    for (int64_t i = 0; i < k->claims; i++) {
        rob_claim *c = &k->claim[i];
        if (c->kind != ROB_CLAIM_RANGE && c->kind != ROB_CLAIM_STRIP) continue;
        double *at = c->kind == ROB_CLAIM_STRIP ? c->at + c->count : c->at;
        for (int64_t e = 0; e < 2 * c->count; e++) {
            double was = at[e], width = at[c->count + e % c->count] - at[e % c->count];
            if (by * width < 1e-8 * fabs(was)) continue;   /* what is given away, nearly */
            at[e] += (e < c->count ? by : -by) * width;
            is_refused(s, k, "range");
            at[e] = was;
        }
    }
}

static void forge_offsets(scene *s, rob_cert *k, double by)
{
    for (int64_t i = 0; i < k->claims; i++) {
        rob_claim *c = &k->claim[i];
        if (c->kind != ROB_CLAIM_PLANES) continue;
        const int64_t side = (c->ins + 1) * c->count, offset = c->ins * c->count;
        for (int64_t e = 0; e < 2 * c->count; e++) {
            double *at = &c->at[e / c->count * side + offset + e % c->count], was = *at;
            *at += e < c->count ? by : -by;
            is_refused(s, k, "offset");
            *at = was;
        }
    }
}

/* Planes of rows: the offsets lifted by more than the operator's whole range, a mean square
 * narrowed, rho exchanged, shares below 0. */
static void forge_rows(scene *s, rob_cert *k)
{
    for (int64_t i = 0; i < k->claims; i++) {
        rob_claim *c = &k->claim[i];
        for (int64_t e = 0; c->kind == ROB_CLAIM_ROWS && e < 2 * c->count; e++) {
            const int64_t side = e / c->count, at = side * (3 + c->ins) * c->count + 2 * c->count;
            double *offset = &c->at[at + e % c->count], was = *offset;
            *offset += side ? -8 : 8;
            is_refused(s, k, "offset of a row");
            *offset = was;
        }
        for (int64_t g = 0; c->kind == ROB_CLAIM_SQUARES && g < 2 * c->count; g++) {
            double was = c->at[g], width = c->at[c->count + g % c->count] - c->at[g % c->count];
            c->at[g] += (g < c->count ? 0.5 : -0.5) * width;  /* the box may say a little */
            is_refused(s, k, "mean square");
            c->at[g] = was;
            c->at[2 * c->count + g % c->count * c->ins] += 10;
            is_refused(s, k, "rho");
            c->at[2 * c->count + g % c->count * c->ins] -= 10;
        }
    }
}

/* A slope turned either way leaves the operator on one side of the box, or leaves a
 * later range without its proof; if not, the statement is still true. */
static void forge_slopes(scene *s, rob_cert *k, int64_t *refused, int64_t *tried)
{
    for (int64_t i = 0; i < k->claims; i++) {
        rob_claim *c = &k->claim[i];
        if (c->kind != ROB_CLAIM_PLANES) continue;
        for (int64_t e = 0; e < c->ins * c->count; e++) {
            double was = c->at[e];
            c->at[e] = was * 1.1 + 0.01;
            *refused += check_forged(s, k, s->model) == ROB_EDOMAIN;
            c->at[e] = was;
            ++*tried;
        }
    }
}

START_TEST(forged_claims_are_refused)
{
    scene s = open_scene(KINDS[_i], 1, ROB_READOUT_LAST, 3, 3, 6);
    double radius;
    int64_t refused = 0, tried = 0;
    rob_cert k = opened(&s, &radius);
    ck_assert_int_eq(check_forged(&s, &k, s.model), ROB_OK);
    forge_ranges(&s, &k, 1e-6);
    forge_offsets(&s, &k, 1e-2);
    forge_slopes(&s, &k, &refused, &tried);
    ck_assert_msg(10 * refused >= 8 * tried, "%d slopes of %d refused", (int)refused,
                  (int)tried);
    rob_priv_cert_clear(&k);
    close_scene(&s);
}
END_TEST

static const char *const ENCODERS[] = {
    "activation=gelu norm=first readout=mean",
    "activation=relu norm=last readout=last",
    "activation=gelu_tanh norm=last readout=cls positions=sinusoid",
};
enum { ENCODER_COUNT = 3 };

START_TEST(forged_claims_of_encoders_are_refused)
{
    scene s = open_encoder(ENCODERS[_i], 3, 4, 6);
    double radius;
    rob_cert k = opened(&s, &radius);
    ck_assert_int_eq(check_forged(&s, &k, s.model), ROB_OK);
    forge_ranges(&s, &k, 1e-5);
    forge_offsets(&s, &k, 1e-2);
    forge_rows(&s, &k);
    k.eps *= 1.001;
    is_refused(&s, &k, "radius");
    rob_priv_cert_clear(&k);
    close_scene(&s);
}
END_TEST

START_TEST(forged_statements_are_refused)
{
    scene s = open_scene(KINDS[_i], 1, ROB_READOUT_LAST, 4, 4, 6);
    double radius, was;
    rob_cert k = opened(&s, &radius);
    k.eps *= 1.001;
    is_refused(&s, &k, "radius");
    k.eps = radius;
    k.norm = ROB_NORM_LINF;
    is_refused(&s, &k, "norm");
    k.norm = ROB_NORM_L2;
    k.margin *= 1 + 1e-3;
    is_refused(&s, &k, "margin");
    k.margin = -1e-9;
    is_refused(&s, &k, "margin below 0");
    k.margin = 1e-300;
    for (int64_t i = 0; i < s.T * D; i++) {
        was = k.x[i];
        k.x[i] += 0.1 * radius;
        is_refused(&s, &k, "centre");
        k.x[i] = was;
    }
    for (int64_t i = 0; i < k.rows * k.outputs; i++) k.c[i] = -k.c[i];
    is_refused(&s, &k, "rows");
    rob_priv_cert_clear(&k);
    close_scene(&s);
}
END_TEST

/* Any weight, by one bit. */
START_TEST(other_models_are_refused)
{
    scene s = open_scene(KINDS[_i], 1, ROB_READOUT_LAST, 4, 4, 6);
    double radius;
    rob_cert k = opened(&s, &radius);
    for (int32_t p = 0; p < s.model->parameters; p++) {
        rob_tensor *t = s.model->parameter[p].tensor;
        float *v = t->data, was = *v;
        *v = nextafterf(*v, INFINITY);
        ck_assert_int_eq(check_forged(&s, &k, s.model), ROB_EDOMAIN);
        ck_assert(strstr(rob_ctx_error(s.ctx), "another network") != NULL);
        *v = was;
    }
    scene other = open_scene(KINDS[_i], 1, ROB_READOUT_LAST, 4, 5, 6);
    ck_assert_int_eq(check_forged(&s, &k, other.model), ROB_EDOMAIN);
    close_scene(&other);
    rob_priv_cert_clear(&k);
    close_scene(&s);
}
END_TEST

/* ---- faults of the search -------------------------------------------------------- */

static void lift_below(rob_bend *b)
{
    for (int64_t e = 0; e < b->n; e++) ((double *)b->lo_offset)[e] += 1e-5;
}

static void drop_above(rob_bend *b)
{
    for (int64_t e = 0; e < b->n; e++) ((double *)b->up_offset)[e] -= 1e-5;
}

static void tilt_below(rob_bend *b)
{
    for (int32_t i = 0; i < b->ins; i++)
        for (int64_t e = 0; e < b->n; e++) ((double *)b->lo[i])[e] *= 1.001;
}

static void tilt_above(rob_bend *b)
{
    for (int32_t i = 0; i < b->ins; i++)
        for (int64_t e = 0; e < b->n; e++) ((double *)b->up[i])[e] *= 0.999;
}

START_TEST(faults_of_the_search_are_refused)
{
    static void (*const faults[])(rob_bend *) = { lift_below, drop_above, tilt_below,
                                                  tilt_above };
    int written = 0;
    for (uint64_t seed = 0; seed < 5; seed++) {
        scene s = open_scene(KINDS[_i % KIND_COUNT], 1, ROB_READOUT_LAST, 4, 5, seed);
        rob_certificate *c = NULL;
        s.bound->fault = faults[_i / KIND_COUNT];
        fine(s.ctx, rob_query_set_ball(s.ctx, s.query, ROB_NORM_L2, 1e-2));
        if (rob_certificate_create(s.ctx, s.bound, s.query, 0, 1e-2, &c) == ROB_OK) {
            written++;
            ck_assert_int_eq(rob_certificate_check(s.ctx, c, s.model), ROB_EDOMAIN);
            ck_assert(strstr(rob_ctx_error(s.ctx), "does not hold") != NULL);
            int64_t count = -1;
            fine(s.ctx, rob_certificate_get(s.ctx, c, "proved", NULL, 0, &count));
            ck_assert_int_eq(count, 0);
        }
        rob_certificate_free(c);
        close_scene(&s);
    }
    ck_assert_int_gt(written, 0);
}
END_TEST

static void lift_rows(rob_bend *b)
{
    for (int64_t e = 0; b->ins == 0 && e < b->n; e++) ((double *)b->lo_offset)[e] += 1e-6;
}

static void drop_rows(rob_bend *b)
{
    for (int64_t e = 0; b->ins == 0 && e < b->n; e++) ((double *)b->up_offset)[e] -= 1e-6;
}

/* Planes of rows and products are those without slopes of their own here. Not for the
 * encoder with a token of its own: products with it are exact, and lifted ones leave no range. */
START_TEST(faults_of_planes_of_rows_are_refused)
{
    static void (*const faults[])(rob_bend *) = { lift_rows, drop_rows };
    scene s = open_encoder(ENCODERS[_i / 2], 3, 4, 6);
    double radius;
    rob_certificate *c = certificate_of(&s, ROB_NORM_L2, &radius);
    rob_certificate_free(c);
    s.bound->fault = faults[_i % 2];
    fine(s.ctx, rob_certificate_create(s.ctx, s.bound, s.query, 0, 0.8 * radius, &c));
    ck_assert_int_eq(rob_certificate_check(s.ctx, c, s.model), ROB_EDOMAIN);
    rob_certificate_free(c);
    close_scene(&s);
}
END_TEST

static void narrow_strip(rob_strip *s)
{
    const double height = s->up - s->lo;
    s->lo += 0.02 * height;
    s->up -= 0.02 * height;
}

/* Planes on octagons, a fiftieth of their height too near. */
START_TEST(faults_of_strips_are_refused)
{
    int written = 0;
    for (uint64_t seed = 0; seed < 4; seed++) {
        scene s = open_scene(_i ? ROB_KIND_LSTM : ROB_KIND_GRU, 1, ROB_READOUT_LAST, 5, 5, seed);
        rob_certificate *c = NULL;
        double radius;
        rob_certificate_free(certificate_of(&s, ROB_NORM_LINF, &radius));
        s.bound->fault_strip = narrow_strip;
        if (rob_certificate_create(s.ctx, s.bound, s.query, 0, radius, &c) == ROB_OK) {
            written++;
            ck_assert_int_eq(rob_certificate_check(s.ctx, c, s.model), ROB_EDOMAIN);
            ck_assert(strstr(rob_ctx_error(s.ctx), "does not hold") != NULL);
        }
        rob_certificate_free(c);
        close_scene(&s);
    }
    ck_assert_int_gt(written, 0);
}
END_TEST

/* Parts exchanged, moved, cut elsewhere, or one missing. */
START_TEST(forged_parts_are_refused)
{
    scene s = open_scene(_i ? ROB_KIND_LSTM : ROB_KIND_GRU, 1, ROB_READOUT_LAST, 3, 4, 1);
    double radius;
    rob_certificate *c = in_parts(&s, ROB_NORM_LINF, &radius);
    ck_assert(c != NULL && number(&s, c, "parts") > 1);
    rob_cert k = as_written(&s, c);
    ck_assert_int_eq(check_forged(&s, &k, s.model), ROB_OK);
    k.eps *= 1.05;
    is_refused(&s, &k, "radius");
    k.eps /= 1.05;
    for (int64_t i = 0; i < k.claims; i++) k.claim[i].part = (int32_t)(k.parts - 1 - k.claim[i].part);
    is_refused(&s, &k, "parts exchanged");
    for (int64_t i = 0; i < k.claims; i++) k.claim[i].part = (int32_t)(k.parts - 1 - k.claim[i].part);
    for (int64_t i = 0; i < k.cuts; i++) {
        const rob_cut was = k.cut[i];
        if (was.at < 0) continue;
        k.cut[i].where += 0.2 * radius;
        is_refused(&s, &k, "a cut moved up");
        k.cut[i].where -= 0.4 * radius;
        is_refused(&s, &k, "a cut moved down");
        k.cut[i] = was;
        k.cut[i].at = (was.at + 1) % (s.T * D);
        is_refused(&s, &k, "another number cut");
        k.cut[i] = was;
    }
    const rob_cut last = k.cut[k.cuts - 1];
    k.cuts--;
    k.parts--;
    ck_assert_int_eq(check_forged(&s, &k, s.model), ROB_EFORMAT);
    k.cut[k.cuts++] = last;
    k.parts++;
    ck_assert_int_eq(check_forged(&s, &k, s.model), ROB_OK);
    rob_priv_cert_clear(&k);
    close_scene(&s);
}
END_TEST

/* Any word of the file (of later claims each third) replaced by any of these, the digest made right again: nothing
 * breaks, and what passes claims no more than before about the same series. */
START_TEST(hostile_words_do_no_harm)
{
    static const uint64_t words[] = { 0, 1, UINT64_MAX, 1ull << 62, 0x7ff0000000000000ull,
                                      0x7fefffffffffffffull, 0xffefffffffffffffull,
                                      0x7ff8000000000000ull, 3, 1ull << 31 };
    scene s = _i < KIND_COUNT ? open_scene(KINDS[_i], 1, ROB_READOUT_LAST, 2, 2, 6)
                              : open_encoder("activation=gelu norm=first readout=mean", 2, 2, 6);
    double radius;
    rob_bytes bytes;
    rob_cert k = opened(&s, &radius), again;
    rob_check_result result;
    fine(s.ctx, rob_priv_cert_print(s.ctx, &k, &bytes));
    for (int64_t at = 40; at < bytes.count - 32; at += at < 600 ? 8 : 24)
        for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
            uint8_t was[8];
            rob_sha256 sha;
            memcpy(was, bytes.at + at, 8);
            memcpy(bytes.at + at, &words[w], 8);
            rob_priv_sha256_begin(&sha);
            rob_priv_sha256_add(&sha, bytes.at, bytes.count - 32);
            rob_priv_sha256_end(&sha, bytes.at + bytes.count - 32);
            if (rob_priv_cert_parse(s.ctx, bytes.at, bytes.count, "lie", &again) == ROB_OK
                && rob_priv_check(s.ctx, s.model, &again, "lie", &result) == ROB_OK) {
                bool same = memcmp(again.x, s.x, sizeof(double) * 4) == 0
                            && memcmp(again.c, k.c, sizeof(double) * 6) == 0
                            && memcmp(again.b, k.b, sizeof(double) * 2) == 0;
                ck_assert(!same || again.eps <= radius);
                ck_assert(again.margin > 0 && result.margin >= again.margin);
            }
            rob_priv_cert_clear(&again);
            memcpy(bytes.at + at, was, 8);
        }
    rob_priv_release(&s.ctx->memory, bytes.at);
    rob_priv_cert_clear(&k);
    close_scene(&s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("certificate_forged");
    TCase *t = tcase_create("certificate_forged");
    tcase_add_loop_test(t, forged_claims_are_refused, 0, KIND_COUNT);
    tcase_add_loop_test(t, forged_claims_of_encoders_are_refused, 0, ENCODER_COUNT);
    tcase_add_loop_test(t, forged_statements_are_refused, 0, KIND_COUNT);
    tcase_add_loop_test(t, other_models_are_refused, 0, KIND_COUNT);
    tcase_add_loop_test(t, faults_of_the_search_are_refused, 0, 4 * KIND_COUNT);
    tcase_add_loop_test(t, faults_of_planes_of_rows_are_refused, 0, 4);
    tcase_add_loop_test(t, faults_of_strips_are_refused, 0, 2);
    tcase_add_loop_test(t, forged_parts_are_refused, 0, 2);
    tcase_add_loop_test(t, hostile_words_do_no_harm, 0, KIND_COUNT + 1);
    suite_add_tcase(s, t);
    return run_with_file(s);
}
