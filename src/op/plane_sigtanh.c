/* plane_sigtanh.c -- a rigorous minimum of sigmoid(x) tanh(y) - a x - b y over a box.
 *
 * With s = sigmoid(x), eliminate y:  M(s) = min over y of  s tanh(y) - b y. As a
 * minimum of functions affine in s it is CONCAVE in s, so on a cell [s1, s2] it lies
 * above its chord,
 *
 *     M(s) >= c + k s,   k = (M(s2) - M(s1)) / (s2 - s1),
 *
 * where c is chosen so that the line is below both ends (k may then be any number). What is left
 * is  min over the cell of  c + k sigmoid(x) - a x,  a problem in one variable with a
 * rigorous answer (plane_gate.c). Cells are split where the bound is least until it
 * meets the least value seen, within a share of the plane's mean height. The error of a
 * cell is |M''| (s2 - s1)^2 / 8, so wide boxes, where s saturates, need no more cells;
 * at a corner of the box the chord is exact and so is the offset. No quartic, no root
 * to miss.
 *
 * M(s) itself: tanh is concave on y > 0 (ends), convex on y < 0 (tangent at the
 * solution of s (1 - t^2) = b, which is t = -sqrt(1 - b/s)). M at points, and cells, are
 * computed for many problems together (kernel_gate.c). docs/theory/relax.md 3.3.
 */
#include "la/la.h"
#include "op/gate.h"
#include "op/plane.h"

enum { CELLS = 40, TASKS = 16, MOST = 2 * TASKS };

typedef struct point { double x, slo, sup, m, y; } point;
typedef struct cell { int left, right; double bound, split; } cell;
typedef struct sample { double value, x, y; } sample;
typedef struct task {
    const rob_gate_problem *p;
    point point[CELLS + 2];
    cell cell[CELLS + 1];
    int points, cells, worst;
    double middle;                /* the function at the middle of the box */
    sample least;
} task;
typedef struct item { task *t; int i; } item;
typedef struct batch { item point[MOST], cell[MOST]; int points, cells; } batch;

/* ---- points and cells, many at a time --------------------------------------------- */

static void see(task *t, const point *p)
{
    double value = p->m - t->p->a * p->x;
    if (value < t->least.value) t->least = (sample){ value, p->x, p->y };
}

/* M at sigmoid(x), bounded below */
static void compute_points(const batch *r)
{
    double x[MOST], b[MOST], l[MOST], u[MOST], m[MOST], y[MOST], slo[MOST], sup[MOST],
        glo[MOST], gup[MOST];
    for (int i = 0; i < r->points; i++) {
        const task *t = r->point[i].t;
        x[i] = t->point[r->point[i].i].x;
        b[i] = t->p->b;
        l[i] = t->p->y.lo;
        u[i] = t->p->y.up;
    }
    rob_gate_edges all = { r->points, x, b, l, u, m, y, slo, sup, glo, gup };
    rob_priv_gate(rob_priv_isa_best())->edges(&all, true);
    for (int i = 0; i < r->points; i++) {
        task *t = r->point[i].t;
        point *p = &t->point[r->point[i].i];
        *p = (point){ x[i], slo[i], sup[i], fp_or_lo(m[i]), y[i] };
        see(t, p);
    }
}

static void compute_cells(const batch *r)
{
    double a[MOST], x1[MOST], x2[MOST], m1[MOST], m2[MOST], slo1[MOST], sup1[MOST],
        slo2[MOST], sup2[MOST], bound[MOST], at[MOST], split[MOST];
    for (int i = 0; i < r->cells; i++) {
        const task *t = r->cell[i].t;
        const cell *c = &t->cell[r->cell[i].i];
        const point *p = &t->point[c->left], *q = &t->point[c->right];
        a[i] = t->p->a;
        x1[i] = p->x, m1[i] = p->m, slo1[i] = p->slo, sup1[i] = p->sup;
        x2[i] = q->x, m2[i] = q->m, slo2[i] = q->slo, sup2[i] = q->sup;
    }
    rob_gate_chords all = { r->cells, a, x1, x2, m1, m2, slo1, sup1, slo2, sup2,
                            bound, at, split };
    rob_priv_gate(rob_priv_isa_best())->chords(&all);
    for (int i = 0; i < r->cells; i++) {
        cell *c = &r->cell[i].t->cell[r->cell[i].i];
        c->bound = fp_or_lo(bound[i]);
        c->split = split[i];
    }
}

/* ---- one problem ------------------------------------------------------------------ */

static int lowest(const cell *c, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++) best = c[i].bound < c[best].bound ? i : best;
    return best;
}

static double at_middle(const rob_gate_problem *q)
{
    double x = 0.5 * q->x.lo + 0.5 * q->x.up, y = 0.5 * q->y.lo + 0.5 * q->y.up;
    return fp_sigmoid(x) * fp_tanh(y) - q->a * x - q->b * y;
}

/* what the bound may miss: a share of the plane's height at the middle */
static double tolerance(const task *t)
{
    double least = t->least.value;
    return 3e-4 * fabs(t->middle - least) + 1e-9 * fabs(least) + 1e-15;
}

static bool is_moderate(const rob_gate_problem *p)
{
    double most = fp_max(fp_max(fabs(p->x.lo), fabs(p->x.up)), fp_max(fabs(p->y.lo), fabs(p->y.up)));
    return most <= ROB_GATE_MOST && fabs(p->a) <= ROB_GATE_MOST && fabs(p->b) <= ROB_GATE_MOST;
}

static int point_at(task *t, double x, batch *r)
{
    t->point[t->points] = (point){ .x = x };
    r->point[r->points++] = (item){ t, t->points };
    return t->points++;
}

static void cell_at(task *t, int i, int left, int right, batch *r)
{
    t->cell[i] = (cell){ .left = left, .right = right };
    r->cell[r->cells++] = (item){ t, i };
}

static void start(task *t, const rob_gate_problem *p, batch *r)
{
    t->p = p;
    t->least = (sample){ INFINITY, p->x.lo, p->y.lo };
    t->points = t->cells = t->worst = 0;
    if (!is_moderate(p)) return;
    t->middle = at_middle(p);
    int left = point_at(t, p->x.lo, r), right = point_at(t, p->x.up, r);
    cell_at(t, t->cells++, left, right, r);
}

/* The worst cell in two, unless it is good enough. */
static void refine(task *t, batch *r)
{
    if (t->cells == 0) return;
    t->worst = lowest(t->cell, t->cells);
    const cell c = t->cell[t->worst];
    if (t->cells >= CELLS || !(c.bound < t->least.value - tolerance(t))) return;
    if (!(c.split > t->point[c.left].x && c.split < t->point[c.right].x)) return;
    int middle = point_at(t, c.split, r);
    cell_at(t, t->worst, c.left, middle, r);
    cell_at(t, t->cells++, middle, c.right, r);
}

void rob_priv_min_sigtanhs(int64_t n, const rob_gate_problem *p, double *bound,
                           double (*at)[2])
{
    task all[TASKS];
    for (int64_t first = 0; first < n; first += TASKS) {
        const int count = (int)(n - first < TASKS ? n - first : TASKS);
        batch r = { .points = 0, .cells = 0 };
        for (int i = 0; i < count; i++) start(&all[i], &p[first + i], &r);
        while (r.cells > 0) {
            compute_points(&r);
            compute_cells(&r);
            r.points = r.cells = 0;
            for (int i = 0; i < count; i++) refine(&all[i], &r);
        }
        for (int i = 0; i < count; i++) {
            bound[first + i] = all[i].cells > 0 ? all[i].cell[all[i].worst].bound : -INFINITY;
            at[first + i][0] = all[i].least.x;
            at[first + i][1] = all[i].least.y;
        }
    }
}
