/* certificate_rows.c -- the checker's verdict on planes of softmax, log-sum-exp and rmsnorm,
 * both ways: as certificate_planes.c, for numbers in a row.
 */
#include "check/row.h"

#include <check.h>
#include "check/harness.h"

enum { WIDE = 6, NUMBERS = 3 * WIDE + WIDE };
static const char *const ROWS[] = { "softmax", "logsumexp", "rmsnorm" };
enum { ROW_COUNT = 3 };
static const double EPS = 1e-5;

/* A row in a box, planes of all its outputs. */
typedef struct drawn {
    int64_t n, per;
    double lo[WIDE], up[WIDE], slope[2][WIDE], left[2][WIDE], offset[2][WIDE], right[2][WIDE];
    double limit[2][WIDE];
} drawn;

static double row_value(int op, int64_t n, const double *z, int64_t k)
{
    double most = z[0], sum = 0, square = 0;
    for (int64_t j = 0; j < n; j++) most = fmax(most, z[j]), square += z[j] * z[j];
    for (int64_t j = 0; j < n; j++) sum += exp(z[j] - most);
    if (op == 0) return exp(z[k] - most) / sum;
    return op == 1 ? most + log(sum) : z[k] / sqrt(square / (double)n + EPS);
}

static rob_node row_node(int op, int64_t n)
{
    rob_node node = { .op = rob_priv_op_by_name(ROWS[op]), .ins = 1, .outs = 1,
                      .shape = rob_priv_shape1(op == 1 ? 1 : n) };
    node.attr.x[0] = EPS;
    return node;
}

static drawn draw_row(int op, rob_random *r)
{
    drawn d = { .n = 2 + (int64_t)rob_priv_below(r, WIDE - 1) };
    double touch[2][3 * WIDE], width = exp(-12 + 14 * rob_priv_uniform(r));
    const double about = exp(3 * rob_priv_uniform(r) - 1);
    d.per = op == 1 ? 1 : d.n;
    for (int64_t j = 0; j < d.n; j++) {
        double middle = rob_priv_normal(r) * about, w = width * rob_priv_uniform(r);
        d.lo[j] = middle - w;
        d.up[j] = rob_priv_below(r, 8) == 0 ? d.lo[j] : middle + w;
    }
    rob_node n = row_node(op, d.n);
    rob_range in = { rob_priv_shape1(d.n), d.lo, d.up };
    rob_range own = { n.shape, d.limit[0], d.limit[1] };
    rob_planes p[2];
    for (int k = 0; k < 2; k++)
        p[k] = (rob_planes){ .count = d.per, .slope = { d.slope[k] }, .offset = d.offset[k],
                             .touch = { touch[k] }, .left = d.left[k], .right = d.right[k] };
    n.op->interval(&n, &in, 0, &own);
    n.op->relax(&n, &in, NULL, &p[0], &p[1]);
    for (int k = 0; k < 2; k++)     /* no slope is stored where outputs are not inputs */
        for (int64_t e = 0; e < WIDE; e++)
            if (op == 1) d.slope[k][e] = 0;
    return d;
}

static int64_t fault_of(int op, drawn *d, int side)
{
    double room[6 * WIDE];
    rob_check_row r = { .n = d->n, .per = d->per, .lo = d->lo, .up = d->up, .slope = d->slope[side],
                        .left = d->left[side], .offset = d->offset[side], .right = d->right[side],
                        .limit = d->limit[side], .eps = EPS, .room = room, .above = side == 1 };
    r.mean = rob_priv_check_squares(d->n, d->lo, d->up);
    return rob_priv_check_row_fault(rob_priv_op_by_name(ROWS[op])->id, &r);
}

static double row_gap(int op, const drawn *d, int side, int64_t k, const double *z)
{
    double v = row_value(op, d->n, z, k) - d->offset[side][k];
    if (op != 1) v -= d->slope[side][k] * z[k];
    for (int64_t j = 0; j < d->n; j++) v += d->left[side][k] * d->right[side][j] * z[j];
    return side ? -v : v;
}

/* Corners, random points, and a walk along the edges from the best. */
static double least_row_gap(int op, const drawn *d, int side, int64_t k, rob_random *r)
{
    double z[WIDE], best[WIDE], least = INFINITY;
    for (int t = 0; t < 100; t++) {
        for (int64_t j = 0; j < d->n; j++) {
            double u = t < 64 ? t >> j & 1 : rob_priv_uniform(r);
            z[j] = d->lo[j] + u * (d->up[j] - d->lo[j]);
        }
        double v = row_gap(op, d, side, k, z);
        if (v < least) least = v, memcpy(best, z, sizeof z);
    }
    for (double step = 0.3; step > 1e-3; step /= 2)
        for (int64_t i = 0; i < 2 * d->n; i++) {
            int64_t j = i / 2;
            memcpy(z, best, sizeof z);
            z[j] += (i & 1 ? step : -step) * (d->up[j] - d->lo[j]);
            z[j] = fmin(fmax(z[j], d->lo[j]), d->up[j]);
            double v = row_gap(op, d, side, k, z);
            if (v < least) least = v, memcpy(best, z, sizeof z);
        }
    return least;
}

static double row_size(const drawn *d, int side, int64_t k)
{
    double size = fabs(d->offset[side][k]) + 1;
    for (int64_t j = 0; j < d->n; j++) {
        double most = fmax(fabs(d->lo[j]), fabs(d->up[j]));
        size += (fabs(d->left[side][k] * d->right[side][j]) + (j == k ? fabs(d->slope[side][k]) : 0)) * most;
    }
    return size;
}

START_TEST(planes_of_rows)
{
    int64_t trials = rob_long() ? 30000 : 1500;
    for (int64_t t = 0; t < trials; t++) {
        rob_random r = rob_priv_random((uint64_t)t, 300 + (uint64_t)_i);
        drawn d = draw_row(_i, &r);
        for (int side = 0; side < 2; side++) {
            const double sign = side ? -1 : 1;
            for (int64_t k = 0; k < d.per; k++)
                d.offset[side][k] -= sign * 0x1p-30 * row_size(&d, side, k);
            int64_t fault = fault_of(_i, &d, side);
            ck_assert_msg(fault < 0, "%s, trial %d, side %d, number %d: its own plane is refused",
                          ROWS[_i], (int)t, side, (int)fault);
            for (int64_t k = 0; k < d.per; k++) {
                double noise = 64 * 0x1p-52 * row_size(&d, side, k), was = d.offset[side][k];
                double seen = least_row_gap(_i, &d, side, k, &r);
                ck_assert_msg(seen >= -noise, "%s, trial %d: %g below", ROWS[_i], (int)t, seen);
                d.offset[side][k] += sign * (fmax(seen, 0) + 4 * noise);
                ck_assert_msg(fault_of(_i, &d, side) == k, "%s, trial %d: a lifted plane is taken",
                              ROWS[_i], (int)t);
                d.offset[side][k] = was;
            }
        }
    }
}
END_TEST

/* Any slopes, lefts and rights, the offset raised to the last that is taken. */
START_TEST(any_planes_of_rows_that_are_taken_hold)
{
    int64_t trials = rob_long() ? 5000 : 300, taken = 0;
    for (int64_t t = 0; t < trials; t++) {
        rob_random r = rob_priv_random((uint64_t)t, 400 + (uint64_t)_i);
        drawn d = draw_row(_i, &r);
        const int side = (int)(t & 1);
        const double sign = side ? -1 : 1, twist = 0.5 * rob_priv_uniform(&r);
        for (int64_t j = 0; j < d.n; j++) {
            if (_i != 1) d.slope[side][j] *= 1 + twist * rob_priv_normal(&r);
            d.left[side][j] *= 1 + twist * rob_priv_normal(&r);
            d.right[side][j] *= 1 + twist * rob_priv_uniform(&r);
        }
        const int64_t k = (int64_t)rob_priv_below(&r, (uint32_t)d.per);
        double least = least_row_gap(_i, &d, side, k, &r), far = 1 + row_size(&d, side, k), near = -1;
        const double first = d.offset[side][k] + sign * least;
        for (int64_t e = 0; e < d.per; e++)
            if (e != k) d.slope[side][e] = d.left[side][e] = 0, d.offset[side][e] = -sign * 1e300;
        for (int i = 0; i < 45; i++) {
            double middle = 0.5 * near + 0.5 * far;
            d.offset[side][k] = first - sign * middle;
            if (fault_of(_i, &d, side) < 0) far = middle;
            else near = middle;
        }
        d.offset[side][k] = first - sign * far;
        if (fault_of(_i, &d, side) >= 0) continue;
        taken++;
        double seen = least_row_gap(_i, &d, side, k, &r);
        ck_assert_msg(seen >= -64 * 0x1p-52 * row_size(&d, side, k), "%s, trial %d: %g below",
                      ROWS[_i], (int)t, seen);
    }
    ck_assert_int_gt(taken, trials / 2);
}
END_TEST

START_TEST(hostile_rows_are_refused)
{
    static const double bad[] = { NAN, INFINITY, -INFINITY, 1.7e308, -1.7e308 };
    for (int b = 0; b < 5; b++)
        for (int part = 0; part < 5; part++)
            for (int side = 0; side < 2; side++) {
                rob_random r = rob_priv_random(7, 7);
                drawn d = draw_row(_i, &r);
                double *at[] = { d.slope[side], d.left[side], d.offset[side], d.right[side],
                                 side ? d.up : d.lo };
                at[part][0] = bad[b];
                /* an offset further out, and a range a NaN's side cannot narrow, say less */
                bool less = part == 2 && (side ? bad[b] > 0 : bad[b] < 0);
                if (!less) ck_assert_msg(fault_of(_i, &d, side) >= 0 || (part == 3 && _i == 2),
                                         "%s %d %d %d", ROWS[_i], b, part, side);
            }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("certificate_rows");
    TCase *t = tcase_create("certificate_rows");
    tcase_add_loop_test(t, planes_of_rows, 0, ROW_COUNT);
    tcase_add_loop_test(t, any_planes_of_rows_that_are_taken_hold, 0, ROW_COUNT);
    tcase_add_loop_test(t, hostile_rows_are_refused, 0, ROW_COUNT);
    suite_add_tcase(s, t);
    return rob_run_suite(s);
}
