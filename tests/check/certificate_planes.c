/* certificate_planes.c -- the checker's verdict on planes, both ways.
 *
 * What it takes holds at random points, at corners and at the least point that a descent
 * finds; what the operators' own rules offer, a little lowered, it takes; what is lifted
 * above a point seen, it does not. Boxes from 1e-9 to 80 wide, gates saturated or not.
 */
#include "check/row.h"

#include <check.h>
#include "check/harness.h"

static const char *const OPS[] = { "tanh", "sigmoid", "relu", "sigtanh", "sigmul", "blend",
                                   "mul", "gelu", "gelu", "max" };
enum { OP_COUNT = 10, POINTS = 60 };

static double sigma(double x) { return 1 / (1 + exp(-x)); }

static double value(int op, const double *z)
{
    switch (op) {
    case 0: return tanh(z[0]);
    case 1: return sigma(z[0]);
    case 2: return z[0] > 0 ? z[0] : 0;
    case 3: return sigma(z[0]) * tanh(z[1]);
    case 4: return sigma(z[0]) * z[1];
    case 5: return z[1] + sigma(z[0]) * (z[2] - z[1]);
    case 6: return z[0] * z[1];
    case 7: return z[0] * 0.5 * erfc(-z[0] * 0.70710678118654752);
    case 9: return fmax(z[0], z[1]);
    default: return z[0] * sigma(0x1.9884533d43651p+0 * z[0] * (1 + 0.044715 * z[0] * z[0]));
    }
}

typedef struct plane { double slope[3], offset; } plane;

static double gap(int op, int32_t ins, const plane *p, const double *z)
{
    double v = value(op, z) - p->offset;
    for (int32_t i = 0; i < ins; i++) v -= p->slope[i] * z[i];
    return v;
}

static double within(const rob_check_box *b, rob_random *r, int corner)
{
    double u = corner == 0 ? 0 : corner == 1 ? 1 : rob_priv_uniform(r);
    return b->lo + u * (b->up - b->lo);
}

/* The least gap seen (times sign): corners, random points, and a descent from the best. */
static double least_gap(int op, int32_t ins, const rob_check_box *b, const plane *p,
                        double sign, rob_random *r)
{
    double least = INFINITY, best[3] = { 0 }, z[3] = { 0 };
    for (int k = 0; k < POINTS; k++) {
        for (int32_t i = 0; i < ins; i++)
            z[i] = within(&b[i], r, k < 8 ? k >> i & 1 : (int)rob_priv_below(r, 4));
        double v = sign * gap(op, ins, p, z);
        if (v < least) least = v, memcpy(best, z, sizeof z);
    }
    for (double step = 0.25; step > 1e-4; step /= 2)
        for (int k = 0; k < 2 * ins; k++) {
            memcpy(z, best, sizeof z);
            double *at = &z[k / 2], width = b[k / 2].up - b[k / 2].lo;
            *at = fmin(fmax(*at + (k & 1 ? step : -step) * width, b[k / 2].lo), b[k / 2].up);
            double v = sign * gap(op, ins, p, z);
            if (v < least) least = v, memcpy(best, z, sizeof z);
        }
    return least;
}

/* Rounding of a gap in doubles: a handful of operations on its terms. */
static double blur(int32_t ins, const rob_check_box *b, const plane *p)
{
    double size = 1 + fabs(p->offset);
    for (int32_t i = 0; i < ins; i++) {
        double most = fmax(fabs(b[i].lo), fabs(b[i].up));
        size += most * (fabs(p->slope[i]) + 1) + most;
    }
    if (ins == 2) size += fmax(fabs(b[0].lo), fabs(b[0].up)) * fmax(fabs(b[1].lo), fabs(b[1].up));
    return 16 * 0x1p-52 * size;
}

static void draw_box(rob_check_box *b, int32_t ins, rob_random *r)
{
    for (int32_t i = 0; i < ins; i++) {
        double width = exp(-20 + 24.4 * rob_priv_uniform(r));
        double middle = rob_priv_normal(r) * exp(3 * rob_priv_uniform(r) - 1);
        b[i] = (rob_check_box){ middle - width / 2, middle + width / 2 };
    }
}

/* The operator's own plane. */
static plane own_plane(const rob_node *n, const rob_check_box *b, bool above)
{
    double lo[3], up[3], number[2][7];
    rob_range in[3];
    rob_planes p[2];
    for (int i = 0; i < 3; i++) {
        lo[i] = b[i].lo, up[i] = b[i].up;
        in[i] = (rob_range){ rob_priv_shape1(1), &lo[i], &up[i] };
    }
    for (int k = 0; k < 2; k++) {
        p[k] = (rob_planes){ .count = 1, .offset = &number[k][6] };
        for (int i = 0; i < 3; i++)
            p[k].slope[i] = &number[k][i], p[k].touch[i] = &number[k][3 + i];
    }
    n->op->relax(n, in, NULL, &p[0], &p[1]);
    plane q = { .offset = number[above][6] };
    for (int32_t i = 0; i < n->ins; i++) q.slope[i] = number[above][i];
    return q;
}

static rob_node node_of(int op)
{
    const rob_op *of = rob_priv_op_by_name(OPS[op]);
    rob_node n = { .op = of, .shape = rob_priv_shape1(1), .ins = of->ins, .outs = 1 };
    n.attr.i[0] = op == 8;
    return n;
}

static double size_of(int32_t ins, const rob_check_box *b, const plane *p)
{
    double size = fabs(p->offset);
    for (int32_t i = 0; i < ins; i++)
        size += fabs(p->slope[i]) * fmax(fabs(b[i].lo), fabs(b[i].up));
    return size;
}

START_TEST(own_planes_pass_and_lifted_ones_do_not)
{
    rob_node n = node_of(_i);
    int64_t trials = rob_long() ? 200000 : 1500;
    for (int64_t k = 0; k < trials; k++) {
        rob_random r = rob_priv_random((uint64_t)k, (uint64_t)_i);
        rob_check_box b[3] = { 0 };
        bool above = k % 2;
        double sign = above ? -1 : 1;
        draw_box(b, n.ins, &r);
        plane p = own_plane(&n, b, above), q = p;
        q.offset -= sign * (0x1p-24 * size_of(n.ins, b, &p) + 0x1p-900);
        ck_assert_msg(rob_priv_check_plane(&n, b, q.slope, q.offset, above),
                      "%s, trial %d: its own plane is refused", OPS[_i], (int)k);
        double seen = least_gap(_i, n.ins, b, &q, sign, &r), noise = blur(n.ins, b, &q);
        ck_assert_msg(seen >= -noise, "%s, trial %d: %g below", OPS[_i], (int)k, seen);
        q.offset += sign * (fmax(seen, 0) + 4 * noise);
        ck_assert_msg(!rob_priv_check_plane(&n, b, q.slope, q.offset, above),
                      "%s, trial %d: a lifted plane is taken", OPS[_i], (int)k);
    }
}
END_TEST

/* Any slopes, at the offset that bisection finds to be the last one taken: nothing seen
 * is below. */
START_TEST(what_is_taken_holds)
{
    rob_node n = node_of(_i);
    int64_t trials = rob_long() ? 20000 : 150;
    for (int64_t k = 0; k < trials; k++) {
        rob_random r = rob_priv_random((uint64_t)k, 100 + (uint64_t)_i);
        rob_check_box b[3] = { 0 };
        plane p = { { 0 }, 0 };
        bool above = k % 2;
        double sign = above ? -1 : 1;
        draw_box(b, n.ins, &r);
        for (int32_t i = 0; i < n.ins; i++)
            p.slope[i] = rob_priv_normal(&r) * exp(2 * rob_priv_normal(&r) - 2);
        double least = INFINITY;
        for (int t = 0; t < (rob_long() ? 100 : 8); t++)
            least = fmin(least, least_gap(_i, n.ins, b, &p, sign, &r));
        const double first = sign * least;
        double size = fabs(first) + size_of(n.ins, b, &p) + 1, far = size, near = -size;
        for (int t = 0; t < 45; t++) {
            double middle = near / 2 + far / 2;
            if (rob_priv_check_plane(&n, b, p.slope, first - sign * middle, above)) far = middle;
            else near = middle;
        }
        p.offset = first - sign * far;
        double seen = least_gap(_i, n.ins, b, &p, sign, &r);
        ck_assert_msg(seen >= -blur(n.ins, b, &p), "%s, trial %d: %g below", OPS[_i],
                      (int)k, seen);
        /* the point that `first` was seen at is `far` above */
        ck_assert_msg(fmin(seen, far) <= 1e-2 * size, "%s, trial %d: refused till %g",
                      OPS[_i], (int)k, seen);
    }
}
END_TEST

/* Numbers that are none, infinite or huge are refused, not believed. */
START_TEST(hostile_numbers_are_refused)
{
    static const double bad[] = { NAN, INFINITY, -INFINITY };
    rob_node n = node_of(_i);
    rob_check_box b[3] = { { -1, 1 }, { -1, 1 }, { -1, 1 } };
    for (int k = 0; k < 3; k++)
        for (int above = 0; above < 2; above++) {
            double slope[3] = { 0 };
            ck_assert(!rob_priv_check_plane(&n, b, slope, bad[k], above));
            slope[0] = bad[k];
            ck_assert(!rob_priv_check_plane(&n, b, slope, above ? 9 : -9, above));
            slope[0] = (above ? -1 : 1) * 1.7e308;
            ck_assert(!rob_priv_check_plane(&n, b, slope, 0, above));
            rob_check_box wide[3] = { { bad[k], 1 }, { bad[k], 1 }, { bad[k], 1 } };
            slope[0] = 0;
            ck_assert(!rob_priv_check_plane(&n, wide, slope, above ? 9 : -9, above));
        }
    ck_assert(!rob_priv_check_plane(&(rob_node){ .op = rob_priv_op_by_name("exp"), .ins = 1 },
                                    b, (double[]){ 0 }, -1, false));
}
END_TEST

/* ---- rows ------------------------------------------------------------------------ */

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
    Suite *s = suite_create("certificate_planes");
    TCase *t = tcase_create("certificate_planes");
    tcase_add_loop_test(t, own_planes_pass_and_lifted_ones_do_not, 0, OP_COUNT);
    tcase_add_loop_test(t, what_is_taken_holds, 0, OP_COUNT);
    tcase_add_loop_test(t, hostile_numbers_are_refused, 0, OP_COUNT);
    tcase_add_loop_test(t, planes_of_rows, 0, ROW_COUNT);
    tcase_add_loop_test(t, any_planes_of_rows_that_are_taken_hold, 0, ROW_COUNT);
    tcase_add_loop_test(t, hostile_rows_are_refused, 0, ROW_COUNT);
    suite_add_tcase(s, t);
    return rob_run_suite(s);
}
