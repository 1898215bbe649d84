/* recurrent.c -- derivatives of small Elman and LSTM classifiers.
 *
 * The same classifier written with a scan and unrolled must have equal derivatives up
 * to rounding; and both must agree with committed numbers
 * (tests/data/make_derivatives.py) of the logits' Jacobian, the loss' gradient,
 * Hessian, Hessian-vector product H u, and the gradients of the loss and of |H u|^2 by
 * every weight: relative to each object's norm 1e-12 in float64 and 1e-5 in float32.
 */
#include "program.h"

enum { WEIGHTS = 5, RECORDS = 64, WANTS = 16 };
static const char *const weight_names[WEIGHTS] = { "weight_ih", "weight_hh", "bias",
                                                   "head", "head_bias" };

/* ---- fixtures -------------------------------------------------------------------- */

typedef struct record {
    char name[40];
    rob_shape shape;
    double *value;
} record;
typedef struct fixture {
    record record[RECORDS];
    int32_t count;
} fixture;

static fixture fixture_read(const char *kind, int steps)
{
    char path[256];
    fixture f = { .count = 0 };
    snprintf(path, sizeof path, "tests/data/derivatives_%s_%d.txt", kind, steps);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s is missing; run from the top of the tree", path);
    while (f.count < RECORDS && fscanf(file, "%39s", f.record[f.count].name) == 1) {
        record *r = &f.record[f.count++];
        int rank = 0;
        long long dim = 0;
        ck_assert(fscanf(file, "%d", &rank) == 1 && rank >= 0 && rank <= ROB_MAX_RANK);
        r->shape.rank = rank;
        for (int k = 0; k < rank; k++) {
            ck_assert(fscanf(file, "%lld", &dim) == 1);
            r->shape.dim[k] = dim;
        }
        int64_t n = rob_priv_shape_size(&r->shape);
        r->value = calloc((size_t)n, sizeof *r->value);
        for (int64_t i = 0; i < n; i++)
            ck_assert(fscanf(file, "%lf", &r->value[i]) == 1);
    }
    fclose(file);
    return f;
}

static const record *find(const fixture *f, const char *name)
{
    for (int32_t k = 0; k < f->count; k++)
        if (strcmp(f->record[k].name, name) == 0) return &f->record[k];
    ck_abort_msg("no record %s", name);
    return NULL;
}

static void fixture_free(fixture *f)
{
    for (int32_t k = 0; k < f->count; k++) free(f->record[k].value);
}

/* ---- the classifier -------------------------------------------------------------- */

typedef struct classifier {
    rob_ctx *ctx;
    rob_graph *g;
    bool lstm;
    int64_t T, D, H, L;
    rob_id x, u, w[WEIGHTS], logits, loss;
} classifier;

/* One step from pre-activations z (1, gates H): new h in state[0], c in state[1]. */
static void cell(const classifier *m, rob_graph *g, rob_id z, rob_id *state)
{
    const int64_t sizes[4] = { m->H, m->H, m->H, m->H };
    rob_id gate[4];
    if (!m->lstm) {
        state[0] = g_unary(g, "tanh", z);
        return;
    }
    g_split(g, z, 1, sizes, 4, gate);
    state[1] = g_add(g, g_sigmul(g, gate[1], state[1]), g_sigtanh(g, gate[0], gate[2]));
    state[0] = g_sigtanh(g, gate[3], state[1]);
}

static rob_id unrolled(const classifier *m, rob_id projected, rob_id recurrent)
{
    rob_graph *g = m->g;
    rob_shape row = rob_priv_shape2(1, m->H), z1 = rob_priv_shape(g, projected);
    rob_id state[2] = { rob_priv_fill(g, row, 0), rob_priv_fill(g, row, 0) };
    for (int64_t t = 0; t < m->T; t++) {
        rob_id z = g_slice(g, projected, 0, t, 1);
        z = g_reshape(g, z, rob_priv_shape2(1, z1.dim[2]));
        cell(m, g, g_add(g, z, g_matmul(g, state[0], recurrent, 0, 1)), state);
    }
    return state[0];
}

static rob_id scanned(const classifier *m, rob_id projected, rob_id recurrent)
{
    rob_graph *g = m->g, *body;
    int32_t carries = m->lstm ? 2 : 1;
    rob_shape row = rob_priv_shape2(1, m->H), z1 = rob_priv_shape(g, projected);
    rob_id in[4], state[2] = { ROB_NONE, ROB_NONE }, feed[4];
    must(m->ctx, rob_priv_graph_create(m->ctx, &body));
    for (int32_t k = 0; k < carries; k++) {
        in[k] = state[k] = rob_priv_input(body, row);
        feed[k] = rob_priv_fill(g, row, 0);
    }
    in[carries] = rob_priv_input(body, rob_priv_shape2(1, z1.dim[2]));
    in[carries + 1] = rob_priv_input(body, rob_priv_shape(g, recurrent));
    feed[carries] = projected;
    feed[carries + 1] = recurrent;
    cell(m, body,
         g_add(body, in[carries], g_matmul(body, state[0], in[carries + 1], 0, 1)),
         state);
    rob_id node = rob_priv_scan(g, body, carries, 1, 1, 0, in, state, m->T, 0, feed);
    return g_pick(g, node, 0);
}

static void classifier_make(classifier *m, const fixture *f, bool lstm, bool scan)
{
    const rob_shape *x = &find(f, "x")->shape, *head = &find(f, "head")->shape;
    *m = (classifier){ .lstm = lstm,
                       .T = x->dim[0],
                       .D = x->dim[1],
                       .H = head->dim[1],
                       .L = head->dim[0] };
    must(NULL, rob_ctx_create(&m->ctx));
    must(m->ctx, rob_priv_graph_create(m->ctx, &m->g));
    rob_graph *g = m->g;
    m->x = rob_priv_input(g, *x);
    m->u = rob_priv_input(g, find(f, "u")->shape);
    for (int32_t k = 0; k < WEIGHTS; k++)
        m->w[k] = rob_priv_input(g, find(f, weight_names[k])->shape);
    rob_id z = g_add(g, g_matmul(g, m->x, m->w[0], 0, 1), m->w[2]);
    z = g_reshape(g, z, rob_priv_shape3(m->T, 1, rob_priv_shape(g, z).dim[1]));
    rob_id h = scan ? scanned(m, z, m->w[1]) : unrolled(m, z, m->w[1]);
    m->logits = g_add(g, g_matmul(g, h, m->w[3], 0, 1), m->w[4]);
    int64_t label = (int64_t)find(f, "label")->value[0];
    m->loss = g_sum(
        g, g_sub(g, g_logsumexp(g, m->logits), g_slice(g, m->logits, 1, label, 1)));
    must(m->ctx, rob_priv_graph_status(m->ctx, g));
}

static void classifier_free(classifier *m)
{
    rob_priv_graph_free(m->g);
    rob_ctx_free(m->ctx);
}

/* ---- derivatives ----------------------------------------------------------------- */

typedef struct wants {
    rob_id id[WANTS];
    char name[WANTS][48];
    int32_t count;
} wants;

static void want(wants *w, rob_id id, const char *prefix, const char *name)
{
    ck_assert(w->count < WANTS);
    snprintf(w->name[w->count], sizeof w->name[0], "%s%s", prefix, name);
    w->id[w->count++] = id;
}

static rob_id hessian_times(classifier *m, rob_id gradient, rob_id u)
{
    rob_id hv = ROB_NONE, v = g_reshape(m->g, u, rob_priv_shape(m->g, m->x));
    rob_priv_jvp(m->g, &m->x, &v, 1, &gradient, 1, &hv);
    return or_zeros(m->g, hv, m->x);
}

static wants derivatives(classifier *m)
{
    rob_graph *g = m->g;
    wants w = { .count = 0 };
    rob_id gradient = rob_priv_gradient(g, m->loss, m->x);
    rob_id hu = hessian_times(m, gradient, m->u);
    rob_id penalty = g_sum(g, g_unary(g, "square", hu));
    want(&w, m->logits, "", "logits");
    want(&w, m->loss, "", "loss");
    want(&w, gradient, "", "gradient");
    want(&w, hu, "", "hessian_u");
    for (int32_t k = 0; k < WEIGHTS; k++) {
        want(&w, rob_priv_gradient(g, m->loss, m->w[k]), "grad_", weight_names[k]);
        want(&w, rob_priv_gradient(g, penalty, m->w[k]), "penalty_", weight_names[k]);
    }
    must(m->ctx, rob_priv_graph_status(m->ctx, g));
    return w;
}

static void run_at(classifier *m, const fixture *f, int32_t dtype, const wants *w,
                   double *const *out)
{
    given in[2 + WEIGHTS] = { { m->x, find(f, "x")->value },
                              { m->u, find(f, "u")->value } };
    for (int32_t k = 0; k < WEIGHTS; k++)
        in[2 + k] = (given){ m->w[k], find(f, weight_names[k])->value };
    evaluate(m->ctx, m->g, dtype, in, 2 + WEIGHTS, w->id, w->count, out);
}

static void check_against(const record *r, const double *got, double tolerance)
{
    int64_t n = rob_priv_shape_size(&r->shape);
    double error = distance_of(got, r->value, n), norm = norm_of(r->value, n);
    ck_assert_msg(error <= tolerance * norm, "%s: error %.3g of norm %.3g", r->name,
                  error, norm);
}

static const struct {
    const char *kind;
    int steps;
    bool scan;
} model_cases[] = { { "elman", 5, true }, { "elman", 12, true }, { "lstm", 5, true },
                    { "lstm", 12, true }, { "elman", 5, false }, { "elman", 12, false },
                    { "lstm", 5, false }, { "lstm", 12, false } };

START_TEST(first_and_second_order_agree_with_the_reference)
{
    fixture f = fixture_read(model_cases[_i].kind, model_cases[_i].steps);
    classifier m;
    classifier_make(&m, &f, model_cases[_i].kind[0] == 'l', model_cases[_i].scan);
    wants w = derivatives(&m);
    double *out[WANTS];
    for (int32_t k = 0; k < w.count; k++)
        out[k] = calloc((size_t)size_of(m.g, w.id[k]), sizeof(double));
    for (int32_t precision = 0; precision < 2; precision++) {
        run_at(&m, &f, precision == 0 ? ROB_F64 : ROB_F32, &w, out);
        for (int32_t k = 0; k < w.count; k++)
            check_against(find(&f, w.name[k]), out[k], precision == 0 ? 1e-12 : 1e-5);
    }
    for (int32_t k = 0; k < w.count; k++) free(out[k]);
    classifier_free(&m);
    fixture_free(&f);
}
END_TEST

/* Row by row: Jacobian by vjp with unit weights, Hessian by jvp along unit directions.
 * */
START_TEST(jacobian_and_hessian_agree_with_the_reference)
{
    fixture f = fixture_read(model_cases[_i].kind, model_cases[_i].steps);
    classifier m;
    classifier_make(&m, &f, model_cases[_i].kind[0] == 'l', model_cases[_i].scan);
    int64_t n = m.T * m.D;
    rob_id weight = rob_priv_input(m.g, rob_priv_shape(m.g, m.logits)), row = ROB_NONE;
    rob_priv_vjp(m.g, &m.logits, &weight, 1, &m.x, 1, &row);
    rob_id column = hessian_times(&m, rob_priv_gradient(m.g, m.loss, m.x), m.u);
    given in[3 + WEIGHTS] = { { m.x, find(&f, "x")->value } };
    for (int32_t k = 0; k < WEIGHTS; k++)
        in[1 + k] = (given){ m.w[k], find(&f, weight_names[k])->value };
    double *unit = calloc((size_t)n, sizeof *unit);
    double *jacobian = calloc((size_t)(m.L * n), sizeof *jacobian);
    double *hessian = calloc((size_t)(n * n), sizeof *hessian);
    for (int32_t precision = 0; precision < 2; precision++) {
        int32_t dtype = precision == 0 ? ROB_F64 : ROB_F32;
        for (int64_t i = 0; i < m.L + n; i++) {
            bool first = i < m.L;
            int64_t k = first ? i : i - m.L;
            double *to = first ? jacobian + k * n : hessian + k * n;
            unit[k] = 1;
            in[1 + WEIGHTS] = (given){ first ? weight : m.u, unit };
            evaluate(m.ctx, m.g, dtype, in, 2 + WEIGHTS, first ? &row : &column, 1,
                     &to);
            unit[k] = 0;
        }
        check_against(find(&f, "jacobian"), jacobian, precision == 0 ? 1e-12 : 1e-5);
        check_against(find(&f, "hessian"), hessian, precision == 0 ? 1e-12 : 1e-5);
        /* symmetric to the same accuracy, not by construction */
        double skew = 0;
        for (int64_t i = 0; i < n * n; i++)
            skew = fmax(skew, fabs(hessian[i] - hessian[i % n * n + i / n]));
        ck_assert(skew <= (precision == 0 ? 1e-12 : 1e-5) * norm_of(hessian, n * n));
    }
    free(unit);
    free(jacobian);
    free(hessian);
    classifier_free(&m);
    fixture_free(&f);
}
END_TEST

/* Third order has no fixture: scan against unrolled, T(u, u, .) = jvp of H u along u.
 * Both do the same operations but for the order of sums over steps and gates: some T H
 * terms, each the end of a chain of 20 T roundings; 4000 eps for T = 12, H = 6. */
START_TEST(third_order_of_scan_is_that_of_the_unrolled)
{
    bool lstm = _i == 1;
    fixture f = fixture_read(lstm ? "lstm" : "elman", 12);
    double *out[2];
    int64_t n = 0;
    for (int32_t way = 0; way < 2; way++) {
        classifier m;
        classifier_make(&m, &f, lstm, way == 0);
        wants w = { .count = 0 };
        rob_id hu = hessian_times(&m, rob_priv_gradient(m.g, m.loss, m.x), m.u);
        want(&w, hessian_times(&m, hu, m.u), "", "third");
        n = size_of(m.g, w.id[0]);
        out[way] = calloc((size_t)n, sizeof(double));
        run_at(&m, &f, ROB_F64, &w, &out[way]);
        classifier_free(&m);
    }
    ck_assert(norm_of(out[0], n) > 0);
    ck_assert(distance_of(out[0], out[1], n) <= 4000 * 0x1p-52 * norm_of(out[0], n));
    free(out[0]);
    free(out[1]);
    fixture_free(&f);
}
END_TEST

/* The number of nodes of any derivative of a scan does not depend on T. */
START_TEST(derivatives_of_scans_do_not_grow_with_steps)
{
    int32_t count[2];
    for (int32_t k = 0; k < 2; k++) {
        fixture f = fixture_read("lstm", 5);
        classifier m;
        for (int32_t i = 0; i < f.count && k == 1; i++) { /* the same with 700 steps */
            if (strcmp(f.record[i].name, "x") == 0) f.record[i].shape.dim[0] = 700;
            if (strcmp(f.record[i].name, "u") == 0) f.record[i].shape.dim[0] = 1400;
        }
        classifier_make(&m, &f, true, true);
        derivatives(&m);
        count[k] = rob_priv_graph_count(m.g);
        classifier_free(&m);
        fixture_free(&f);
    }
    ck_assert_int_eq(count[0], count[1]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("recurrent");
    TCase *t = tcase_create("classifiers");
    tcase_add_loop_test(t, first_and_second_order_agree_with_the_reference, 0,
                        (int)COUNT_OF(model_cases));
    tcase_add_loop_test(t, jacobian_and_hessian_agree_with_the_reference, 0,
                        (int)COUNT_OF(model_cases));
    tcase_add_loop_test(t, third_order_of_scan_is_that_of_the_unrolled, 0, 2);
    tcase_add_test(t, derivatives_of_scans_do_not_grow_with_steps);
    suite_add_tcase(s, t);
    return rob_run_suite(s);
}
