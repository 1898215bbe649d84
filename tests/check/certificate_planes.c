/* certificate_planes.c -- the checker's verdict on planes, both ways.
 *
 * What it takes holds at random points, at corners and at the least point that a descent
 * finds; what the operators' own rules offer, a little lowered, it takes; what is lifted
 * above a point seen, it does not. Boxes from 1e-9 to 80 wide, gates saturated or not.
 */
#include "check/check.h"
#include "op/plane.h"

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

/* ---- gates on octagons ------------------------------------------------------------ */

static const char *const GATES[] = { "sigtanh", "sigmul", "blend" };
enum { GATE_COUNT = 3, CLOUD = 40 };

/* A box, strips about a slanted cloud of points of it; y of the blend is h - n. */
typedef struct octagon { rob_check_box box[3]; rob_check_joint j; rob_joint of; } octagon;

static octagon draw_octagon(int gate, rob_random *r)
{
    octagon o = { .j = { .m = { 0 } } };
    const double wide = exp(-6 + 8 * rob_priv_uniform(r)), ratio = exp(rob_priv_normal(r));
    const double x = 2 * rob_priv_normal(r), y = 2 * rob_priv_normal(r), n = rob_priv_normal(r);
    const double thin = 0.05 + rob_priv_uniform(r);
    o.box[0] = (rob_check_box){ x - wide, x + wide };
    o.j.second = (rob_check_box){ y - wide * ratio, y + wide * ratio };
    o.box[1] = gate < 2 ? o.j.second : (rob_check_box){ n - wide, n + wide };
    o.box[2] = (rob_check_box){ y + n - wide, y + n + wide };
    for (int k = 0; k < 2; k++) {
        const double m = k ? -ratio : ratio, about = y - m * x;
        const double half = (k ? 1.9 : 2 * thin) * wide * ratio;
        o.j.m[k] = m;
        o.j.rest[k] = (rob_check_box){ about - half, about + half };
    }
    o.of = (rob_joint){ 2, { o.j.m[0], o.j.m[1] },
                        { { o.j.rest[0].lo, o.j.rest[0].up }, { o.j.rest[1].lo, o.j.rest[1].up } } };
    return o;
}

/* A point of the octagon; near its edges where `edge`. */
static bool draw_point(const octagon *o, int gate, bool edge, rob_random *r, double *z)
{
    z[0] = within(&o->box[0], r, (int)rob_priv_below(r, 6));
    double lo = o->j.second.lo, up = o->j.second.up;
    for (int k = 0; k < 2; k++) {
        lo = fmax(lo, o->j.m[k] * z[0] + o->j.rest[k].lo);
        up = fmin(up, o->j.m[k] * z[0] + o->j.rest[k].up);
    }
    if (lo > up) return false;
    double t = edge ? (double)rob_priv_below(r, 2) : rob_priv_uniform(r), y = lo + t * (up - lo);
    if (gate < 2) z[1] = y;
    else z[1] = within(&o->box[1], r, (int)rob_priv_below(r, 3)), z[2] = z[1] + y;
    return true;
}

static double least_on_octagon(const octagon *o, int gate, const plane *p, double sign,
                               rob_random *r)
{
    const int op = gate == 0 ? 3 : gate == 1 ? 4 : 5;
    double least = INFINITY, z[3] = { 0 };
    for (int k = 0; k < 10 * CLOUD; k++)
        if (draw_point(o, gate, k % 3, r, z))
            least = fmin(least, sign * gap(op, gate == 2 ? 3 : 2, p, z));
    return least;
}

/* What the search offers on octagons, a little lowered, is taken; what is taken holds at all
 * points seen; lifted above one it is refused. Any other slopes: raised to the last taken. */
START_TEST(planes_on_octagons)
{
    int64_t trials = rob_long() ? 20000 : 300, taken = 0;
    const rob_op *op = rob_priv_op_by_name(GATES[_i]);
    rob_node n = { .op = op, .shape = rob_priv_shape1(1), .ins = op->ins, .outs = 1 };
    for (int64_t t = 0; t < trials; t++) {
        rob_random r = rob_priv_random((uint64_t)t, 500 + (uint64_t)_i);
        octagon o = draw_octagon(_i, &r);
        rob_range in[3];
        rob_strip s = { .lo = -INFINITY, .up = INFINITY };
        const rob_interval second = { o.j.second.lo, o.j.second.up };
        const int64_t which = 0;
        bool fine = false;
        for (int i = 0; i < 3; i++)
            in[i] = (rob_range){ rob_priv_shape1(1), &o.box[i].lo, &o.box[i].up };
        rob_priv_strips(&n, in, &which, 1, &s, &fine);
        if (fine) rob_priv_strips_joint(&n, in, &which, 1, &second, &o.of, &s, &fine);
        if (!fine) continue;
        const bool above = t % 2;
        const double sign = above ? -1 : 1;
        plane p = { { s.slope[0], s.slope[1], s.slope[2] }, above ? s.up : s.lo };
        const double size = size_of(n.ins, o.box, &p) + 1;
        const bool own = t % 3 != 0;
        p.offset -= sign * 0x1p-20 * size;
        if (own) {
            ck_assert_msg(rob_priv_check_joint(&n, o.box, &o.j, p.slope, p.offset, above),
                          "%s, trial %d: its own strip is refused", GATES[_i], (int)t);
        } else {
            for (int i = 0; i < n.ins; i++) p.slope[i] += 0.1 * rob_priv_normal(&r);
            p.offset = sign * (least_on_octagon(&o, _i, &(plane){ { p.slope[0], p.slope[1], p.slope[2] }, 0 },
                                                sign, &r) - 1e-3 * size);
            if (!rob_priv_check_joint(&n, o.box, &o.j, p.slope, p.offset, above)) continue;
        }
        taken++;
        const double noise = 64 * 0x1p-52 * size, seen = least_on_octagon(&o, _i, &p, sign, &r);
        ck_assert_msg(seen >= -noise, "%s, trial %d: %g below", GATES[_i], (int)t, seen);
        p.offset += sign * (fmax(seen, 0) + 4 * noise);
        ck_assert_msg(!rob_priv_check_joint(&n, o.box, &o.j, p.slope, p.offset, above),
                      "%s, trial %d: a lifted plane is taken", GATES[_i], (int)t);
    }
    ck_assert_int_gt(taken, trials / 2);
}
END_TEST

START_TEST(hostile_octagons_are_refused)
{
    static const double bad[] = { NAN, INFINITY, -INFINITY, 1e300 };
    const rob_op *op = rob_priv_op_by_name(GATES[_i]);
    rob_node n = { .op = op, .shape = rob_priv_shape1(1), .ins = op->ins, .outs = 1 };
    for (int b = 0; b < 4; b++)
        for (int part = 0; part < 7; part++) {
            rob_random r = rob_priv_random(3, 3);
            octagon o = draw_octagon(_i, &r);
            double slope[3] = { 0.1, 0.1, 0.1 };
            double *at[] = { &o.j.m[0], &o.j.rest[0].up, &o.j.rest[1].lo, &o.j.second.lo,
                             &o.box[0].up, &slope[0], &slope[1] };
            *at[part] = bad[b];
            ck_assert(!rob_priv_check_joint(&n, o.box, &o.j, slope, -50, false));
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
    tcase_add_loop_test(t, planes_on_octagons, 0, GATE_COUNT);
    tcase_add_loop_test(t, hostile_octagons_are_refused, 0, GATE_COUNT);
    suite_add_tcase(s, t);
    return rob_run_suite(s);
}
