/* Planes of operators over rows (softmax, logsumexp, rmsnorm) against MPFR, without
 * tolerance: at corners, at random points, and at corners an attack walks to along the
 * edges where plane and function come nearest. Boxes from 1e-9 wide to far saturation,
 * tied, shifted by 1e6, one number each. An offset moved by 1e-9 of the gap is seen. */
#include "check/harness.h"
#include "check/precise.h"
#include "fp/fp.h"
#include "op/plane.h"

enum { MOST = 12 };

typedef struct subject { const rob_op *op; bool one; } subject;

static const subject SUBJECTS[] = {
    { &rob_priv_op_softmax, false },
    { &rob_priv_op_logsumexp, true },
    { &rob_priv_op_rmsnorm, false },
};

typedef struct trial {
    const subject *s;
    int64_t n, m;                 /* numbers in, out */
    double lo[MOST], up[MOST], ylo[MOST], yup[MOST], theta[2 * MOST];
    double slope[2][MOST], left[2][MOST], right[2][MOST], offset[2][MOST];
    rob_node node;
    rob_range in;
} trial;

/* ---- boxes ----------------------------------------------------------------------- */

enum { KINDS = 10 };

static void draw_box(trial *t, int kind, rob_random *r)
{
    static const double width[KINDS] = { 1e-9, 1e-6, 1e-3, 0.1, 1, 5, 30, 1, 1e3, 0 };
    double w = width[kind];
    double shift = kind == 7 ? 1e6 : 0, size = kind == 8 ? 200 : kind == 3 ? 0 : 2;
    for (int64_t j = 0; j < t->n; j++) {
        double c = shift + size * rob_priv_normal(r);
        double d = w * (rob_priv_uniform(r) < 0.2 ? 0 : rob_priv_uniform(r));
        t->lo[j] = c - d;
        t->up[j] = c + d;
        if (kind == 5 && j == 0) t->lo[j] = t->up[j] = c;
    }
}

static void make(trial *t, const subject *s, int kind, bool free, rob_random *r)
{
    t->s = s;
    t->n = 1 + (int64_t)rob_priv_below(r, MOST);
    if (s->op != &rob_priv_op_rmsnorm && t->n < 2) t->n = 2;
    t->m = s->one ? 1 : t->n;
    t->node = (rob_node){ .op = s->op, .shape = rob_priv_shape1(t->m), .ins = 1,
                          .outs = 1 };
    t->node.attr.x[0] = rob_priv_uniform(r) < 0.5 ? 1e-5 : 1e-12;
    draw_box(t, kind, r);
    for (int k = 0; k < 2 * MOST; k++)
        t->theta[k] = kind % 2 ? rob_priv_uniform(r)
                               : (double)rob_priv_below(r, 3) / 2;
    t->in = (rob_range){ rob_priv_shape1(t->n), t->lo, t->up };
    double touch[2][MOST];
    rob_planes p[2];
    for (int k = 0; k < 2; k++)
        p[k] = (rob_planes){ .count = t->m, .slope = { t->slope[k] },
                             .offset = t->offset[k], .touch = { touch[k] },
                             .left = t->left[k], .right = t->right[k] };
    rob_fp_state fp = rob_priv_fp_enter();
    s->op->relax(&t->node, &t->in, free ? t->theta : NULL, &p[0], &p[1]);
    rob_range y = { t->node.shape, t->ylo, t->yup };
    s->op->interval(&t->node, &t->in, 0, &y);
    rob_priv_fp_leave(fp);
}

/* ---- points ---------------------------------------------------------------------- */

static void evaluate(const trial *t, const double *x, mpfr_t *y)
{
    mpfr_t *z = exact_vector(t->n);
    for (int64_t j = 0; j < t->n; j++) mpfr_set_d(z[j], x[j], MPFR_RNDN);
    if (t->s->op == &rob_priv_op_rmsnorm)
        precise_norm(ROB_OP_rmsnorm, t->node.attr.x[0], t->n, t->n, z, y);
    else
        precise_rows(t->s->op->id, t->n, t->n, z, y);
    exact_free(z, t->n);
}

/* plane e of one side at x; exact but for 200 bits */
static void plane_at(const trial *t, int side, int64_t e, const double *x, mpfr_t sum)
{
    mpfr_t p;
    mpfr_init2(p, 4 * EXACT_BITS);
    mpfr_set_zero(sum, 1);
    for (int64_t j = 0; j < t->n; j++) {
        mpfr_set_d(p, x[j], MPFR_RNDN);
        mpfr_mul_d(p, p, -t->right[side][j], MPFR_RNDN);
        mpfr_add(sum, sum, p, MPFR_RNDN);
    }
    mpfr_mul_d(sum, sum, t->left[side][e], MPFR_RNDN);
    if (!t->s->one) {
        mpfr_set_d(p, x[e], MPFR_RNDN);
        mpfr_mul_d(p, p, t->slope[side][e], MPFR_RNDN);
        mpfr_add(sum, sum, p, MPFR_RNDN);
    }
    mpfr_add_d(sum, sum, t->offset[side][e], MPFR_RNDN);
    mpfr_clear(p);
}

/* y - plane below, plane above - y; the least over elements of one side in *gap */
static bool holds(const trial *t, const double *x, int64_t only, int side, double *gap)
{
    mpfr_t *y = exact_vector(t->n), sum;
    bool fine = true;
    mpfr_init2(sum, 4 * EXACT_BITS);
    evaluate(t, x, y);
    *gap = INFINITY;
    for (int64_t e = 0; e < t->m; e++) {
        for (int k = 0; k < 2; k++) {
            plane_at(t, k, e, x, sum);
            if (k) mpfr_sub(sum, sum, y[e], MPFR_RNDN);
            else mpfr_sub(sum, y[e], sum, MPFR_RNDN);
            fine = fine && mpfr_sgn(sum) >= 0;
            if (e == only && k == side) *gap = mpfr_get_d(sum, MPFR_RNDN);
        }
        fine = fine && mpfr_cmp_d(y[e], t->ylo[e]) >= 0
               && mpfr_cmp_d(y[e], t->yup[e]) <= 0;
    }
    mpfr_clear(sum);
    exact_free(y, t->n);
    return fine;
}

static void draw_point(const trial *t, int64_t k, rob_random *r, double *x)
{
    for (int64_t j = 0; j < t->n; j++) {
        double u = rob_priv_uniform(r);
        x[j] = k % 3 == 0 ? t->lo[j] + u * (t->up[j] - t->lo[j])
                          : u < 0.5 ? t->lo[j] : t->up[j];
        if (k == 3) x[j] = 0.5 * t->lo[j] + 0.5 * t->up[j];
        if (!(x[j] >= t->lo[j])) x[j] = t->lo[j];
        if (x[j] > t->up[j]) x[j] = t->up[j];
    }
}

/* From x along coordinates, each to the end or the middle that brings plane and function
 * nearest. */
static bool attack(const trial *t, double *x, int64_t e, int side, double *gap)
{
    bool fine = holds(t, x, e, side, gap);
    for (int64_t j = 0; fine && j < t->n; j++)
        for (int k = 0; fine && k < 3; k++) {
            double old = x[j], now;
            x[j] = k == 0 ? t->lo[j] : k == 1 ? t->up[j]
                                              : 0.5 * t->lo[j] + 0.5 * t->up[j];
            fine = holds(t, x, e, side, &now);
            if (now < *gap) *gap = now;
            else if (fine) x[j] = old;
        }
    return fine;
}

static bool look(const trial *t, rob_random *r, int64_t points, double *least)
{
    double x[MOST], gap;
    bool fine = true;
    *least = INFINITY;
    for (int64_t k = 0; fine && k < points; k++) {
        draw_point(t, k, r, x);
        int64_t e = (int64_t)rob_priv_below(r, (uint64_t)t->m);
        fine = k % 4 == 3 ? attack(t, x, e, (int)(k / 4 % 2), &gap)
                          : holds(t, x, e, 0, &gap);
        *least = fmin(gap, *least);
    }
    return fine;
}

START_TEST(planes_hold)
{
    rob_random r = rob_priv_random(5, (uint64_t)_i);
    for (int k = 0; k < (rob_long() ? 20000 : 200); k++) {
        trial t;
        double least;
        make(&t, &SUBJECTS[_i], k % KINDS, k % 3 == 1, &r);
        ck_assert_msg(look(&t, &r, 24, &least), "%s, kind %d, trial %d",
                      t.s->op->name, k % KINDS, k);
    }
}
END_TEST

/* Offsets moved over the function at the point nearest to it: seen nearly always. */
START_TEST(wrong_offsets_are_seen)
{
    rob_random r = rob_priv_random(6, (uint64_t)_i);
    int seen = 0, all = 0;
    for (int k = 0; k < 120; k++) {
        trial t;
        double least, size = 0;
        make(&t, &SUBJECTS[_i], k % 6, false, &r);
        for (int64_t e = 0; e < t.m; e++)
            size = fmax(size, fabs(t.yup[e] - t.ylo[e]));
        if (!(size > 0)) continue;
        for (int64_t e = 0; e < t.m; e++) {
            if (k % 2) t.offset[0][e] += size;
            else t.offset[1][e] -= size;
        }
        all++;
        seen += !look(&t, &r, 24, &least);
    }
    ck_assert_msg(seen > all * 9 / 10, "%d of %d", seen, all);
}
END_TEST

/* The planes are near: on small boxes the gap in the middle is of second order. */
START_TEST(planes_are_near)
{
    rob_random r = rob_priv_random(7, (uint64_t)_i);
    for (int k = 0; k < 60; k++) {
        trial t;
        double x[MOST], gap, width = 0;
        make(&t, &SUBJECTS[_i], 2, false, &r);
        for (int64_t j = 0; j < t.n; j++) {
            x[j] = 0.5 * t.lo[j] + 0.5 * t.up[j];
            width = fmax(width, t.up[j] - t.lo[j]);
        }
        bool norm = t.s->op == &rob_priv_op_rmsnorm;
        double size = 0, part = norm ? 16 : 8;
        for (int64_t j = 0; j < t.n; j++) size += x[j] * x[j] / (double)t.n;
        if (norm) width /= sqrt(size + 1e-5);
        for (int64_t e = 0; e < t.m; e++)
            for (int side = 0; side < 2; side++) {
                ck_assert(holds(&t, x, e, side, &gap));
                ck_assert_msg(gap <= part * width * width + 1e-10,
                              "%s: gap %g, width %g", t.s->op->name, gap, width);
            }
    }
}
END_TEST

/* ---- gelu, one variable ---------------------------------------------------------- */

typedef struct line { double slope[2], offset[2], touch[2]; } line;

static void lines_of(bool by_tanh, rob_interval x, const double *theta, line *l)
{
    rob_node n = { .op = &rob_priv_op_gelu, .shape = rob_priv_shape1(1), .ins = 1,
                   .outs = 1 };
    rob_range in = { n.shape, &x.lo, &x.up };
    rob_planes p[2];
    n.attr.i[0] = by_tanh;
    for (int k = 0; k < 2; k++)
        p[k] = (rob_planes){ .count = 1, .slope = { &l->slope[k] },
                             .offset = &l->offset[k], .touch = { &l->touch[k] } };
    rob_fp_state fp = rob_priv_fp_enter();
    rob_priv_op_gelu.relax(&n, &in, theta, &p[0], &p[1]);
    rob_priv_fp_leave(fp);
}

/* *gap: the least distance seen of each side */
static bool line_holds(const line *l, bool by_tanh, double x, double gap[2])
{
    mpfr_t z, y, sum;
    bool fine = true;
    mpfr_inits2(4 * EXACT_BITS, z, y, sum, (mpfr_ptr)0);
    mpfr_set_d(z, x, MPFR_RNDN);
    precise_gelu(by_tanh, y, z);
    for (int k = 0; k < 2; k++) {
        mpfr_mul_d(sum, z, l->slope[k], MPFR_RNDN);
        mpfr_add_d(sum, sum, l->offset[k], MPFR_RNDN);
        mpfr_sub(sum, k ? sum : y, k ? y : sum, MPFR_RNDN);
        fine = fine && mpfr_sgn(sum) >= 0;
        gap[k] = fmin(gap[k], mpfr_get_d(sum, MPFR_RNDN));
    }
    mpfr_clears(z, y, sum, (mpfr_ptr)0);
    return fine;
}

/* Ends, touching points and a grid; lines that do not come near somewhere are too far. */
START_TEST(gelu_lies_between_its_lines)
{
    rob_random r = rob_priv_random(8, (uint64_t)_i);
    for (int k = 0; k < (rob_long() ? 20000 : 400); k++) {
        static const double width[] = { 1e-9, 1e-3, 0.1, 1, 4, 10 };
        double c = 4 * (2 * rob_priv_uniform(&r) - 1), w = width[k % 6];
        double theta[2] = { rob_priv_uniform(&r), rob_priv_uniform(&r) };
        rob_interval x = { c - w * rob_priv_uniform(&r), c + w * rob_priv_uniform(&r) };
        double gap[2] = { INFINITY, INFINITY };
        line l;
        lines_of(_i == 1, x, k % 2 ? theta : NULL, &l);
        for (int i = 0; i <= 42; i++) {
            double p = i < 41 ? x.lo + (x.up - x.lo) * i / 40 : l.touch[i - 41];
            p = fmin(fmax(p, x.lo), x.up);
            ck_assert_msg(line_holds(&l, _i == 1, p, gap), "[%a, %a] at %a", x.lo, x.up,
                          p);
        }
        for (int side = 0; side < 2; side++)
            ck_assert_msg(gap[side] <= 1e-3 * (x.up - x.lo) * fmin(x.up - x.lo, 1) + 1e-12,
                          "[%g, %g]: gap %g", x.lo, x.up, gap[side]);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("relax_rows");
    TCase *c = tcase_create("planes");
    tcase_add_loop_test(c, planes_hold, 0, (int)COUNT_OF(SUBJECTS));
    tcase_add_loop_test(c, wrong_offsets_are_seen, 0, (int)COUNT_OF(SUBJECTS));
    tcase_add_loop_test(c, planes_are_near, 0, (int)COUNT_OF(SUBJECTS));
    tcase_add_loop_test(c, gelu_lies_between_its_lines, 0, 2);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
