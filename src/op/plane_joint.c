/* plane_joint.c -- offsets of planes over the joint domain of a gate's two inputs.
 *
 * The domain is the box of (x, y) cut by strips  p_k <= y - m_k x <= q_k  (with m = +-1
 * the octagon of Mine, Higher-Order and Symbolic Computation 19, 2006). For
 *
 *     f(x, y) = sigmoid(x) g(y) - a x - b y,    g tanh or the identity,
 *
 * y is eliminated first: between two neighbouring corners the domain is L(x) <= y <= U(x)
 * with L and U affine, and
 *
 *     phi(x) = min over L <= y <= U of f = min over t in [0, 1] of f(x, L + t (U - L)),
 *
 * where for every t the second derivative along x,
 *
 *     sigmoid'' g + 2 m sigmoid' g' + m^2 sigmoid g'',   m = L' + t (U' - L'),
 *
 * is at most some C on the cell. So phi - C x^2/2 is a minimum of concave functions, is
 * concave, and phi lies above its chord less C/2 (x - x1)(x2 - x). phi at the ends is
 * exact to rounding (the interior minimum over y of plane_sigtanh.c). Cells are split
 * where the bound is least; the domain's corners are ends of cells, and two cells share
 * what is known at the end between them. Ends and cells of many problems are computed
 * together (kernel_gate.c).
 *
 * Rounding: on a cell any ONE line below the domain may be L, so a misplaced corner is
 * loose, never false; a line is known by its values at both ends, rounded outward.
 *
 * Reference: docs/theory/relax.md 8.
 */
#include "la/la.h"
#include "op/gate.h"
#include "op/plane.h"

enum {
    CELLS = 24,
    LINES = ROB_JOINT_LINES + 1,
    CORNERS = LINES * (LINES - 1) + 2,
    EDGES = CELLS + CORNERS,
    TASKS = 8,                     /* problems at a time */
    MOST = TASKS * CORNERS
};

typedef struct line { double slope, at; } line;
typedef struct domain { rob_interval x; line low[LINES], high[LINES]; int lines; } domain;
/* one end of a cell: phi there, y's range, sigmoid(x) and g(y) */
typedef struct edge { double x, phi, lo, up, slo, sup, glo, gup; } edge;
typedef struct cell { int left, right; line low, high; double bound, at; } cell;
typedef struct task {
    const rob_gate_problem *p;
    domain d;
    edge edge[EDGES];
    cell cell[EDGES];
    int edges, cells, worst;
    double least;
} task;
/* What is to be computed next. */
typedef struct item { task *t; int i; } item;
typedef struct batch { item edge[MOST], cell[MOST]; int edges, cells; } batch;

static double low_at(const line *l, double x)
{
    return l->slope == 0 ? l->at : fp_add_lo(fp_mul_lo(l->slope, x), l->at);
}

static double high_at(const line *l, double x)
{
    return l->slope == 0 ? l->at : fp_add_up(fp_mul_up(l->slope, x), l->at);
}

/* ---- ends and cells, many at a time ----------------------------------------------- */

/* y's range at x, between these two lines, joins the edge's. */
static void widen(edge *e, const line *low, const line *high)
{
    double l = low_at(low, e->x), u = high_at(high, e->x);
    e->lo = fp_min(e->lo, fp_min(l, u));
    e->up = fp_max(e->up, fp_max(l, u));
}

static void compute_edges(const batch *r, bool of_tanh)
{
    double x[MOST], b[MOST], l[MOST], u[MOST], m[MOST], y[MOST], slo[MOST], sup[MOST],
        glo[MOST], gup[MOST];
    for (int i = 0; i < r->edges; i++) {
        const edge *e = &r->edge[i].t->edge[r->edge[i].i];
        x[i] = e->x;
        b[i] = r->edge[i].t->p->b;
        l[i] = e->lo;
        u[i] = e->up;
    }
    rob_gate_edges all = { r->edges, x, b, l, u, m, y, slo, sup, glo, gup };
    rob_priv_gate(rob_priv_isa_best())->edges(&all, of_tanh);
    for (int i = 0; i < r->edges; i++) {
        task *t = r->edge[i].t;
        edge *e = &t->edge[r->edge[i].i];
        e->phi = fp_or_lo(fp_add_lo(m[i], -fp_mul_up(t->p->a, e->x)));
        e->slo = slo[i];
        e->sup = sup[i];
        e->glo = glo[i];
        e->gup = gup[i];
        t->least = fp_min(t->least, e->phi);
    }
}

static void compute_cells(const batch *r, bool of_tanh)
{
    double x1[MOST], x2[MOST], p1[MOST], p2[MOST], slo[MOST], sup[MOST], glo[MOST],
        gup[MOST], dlo[MOST], dup[MOST], bound[MOST], at[MOST];
    for (int i = 0; i < r->cells; i++) {
        const task *t = r->cell[i].t;
        const cell *c = &t->cell[r->cell[i].i];
        const edge *p = &t->edge[c->left], *q = &t->edge[c->right];
        x1[i] = p->x;
        x2[i] = q->x;
        p1[i] = p->phi;
        p2[i] = q->phi;
        slo[i] = p->slo;
        sup[i] = q->sup;
        glo[i] = fp_min(p->glo, q->glo);
        gup[i] = fp_max(p->gup, q->gup);
        dlo[i] = fp_min(c->low.slope, c->high.slope);
        dup[i] = fp_max(c->low.slope, c->high.slope);
    }
    rob_gate_cells all = { r->cells, x1, x2, p1, p2, slo, sup, glo, gup, dlo, dup, bound, at };
    rob_priv_gate(rob_priv_isa_best())->cells(&all, of_tanh);
    for (int i = 0; i < r->cells; i++) {
        cell *c = &r->cell[i].t->cell[r->cell[i].i];
        c->bound = fp_or_lo(bound[i]);
        c->at = at[i];
    }
}

static void compute(batch *r, bool of_tanh)
{
    if (r->edges > 0) compute_edges(r, of_tanh);
    if (r->cells > 0) compute_cells(r, of_tanh);
    r->edges = r->cells = 0;
}

/* ---- corners ---------------------------------------------------------------------- */

/* Which lines bound the domain about x. */
static line lowest_above(const domain *d, double x)
{
    int best = 0;
    for (int i = 1; i < d->lines; i++)
        if (high_at(&d->high[i], x) < high_at(&d->high[best], x)) best = i;
    return d->high[best];
}

static line highest_below(const domain *d, double x)
{
    int best = 0;
    for (int i = 1; i < d->lines; i++)
        if (low_at(&d->low[i], x) > low_at(&d->low[best], x)) best = i;
    return d->low[best];
}

/* Where a line below meets one above, x cannot go on: num/den rounded outward. */
static void trim_by(rob_interval *x, const line *low, const line *high)
{
    double den = low->slope - high->slope, num = fp_add_up(high->at, -low->at);
    if (den == 0) return;
    double lo = fp_lo(fabs(den)), up = fp_up(fabs(den));
    double far = fp_up(num / (num > 0 ? lo : up));
    if (den > 0) x->up = fp_min(x->up, far);
    else x->lo = fp_max(x->lo, -far);
}

static int insert(double *at, int count, double x)
{
    int i = count;
    for (; i > 0 && at[i - 1] > x; i--) at[i] = at[i - 1];
    at[i] = x;
    return count + 1;
}

/* Is the crossing of two lines of one side (below: side = 1, above: -1) on the domain's
 * edge? About: a corner that is missed makes a cell loose, not false. */
static bool is_corner(const domain *d, const line *l, double x, double y, double side)
{
    const double slack = 1e-9 * (d->high[0].at - d->low[0].at);
    for (int i = 0; i < d->lines; i++)
        if (side * (l[i].slope * x + l[i].at - y) > slack) return false;
    return true;
}

/* Where lines of one side cross. */
static int crossings(const domain *d, const line *l, double side, double *at, int count)
{
    for (int i = 0; i < d->lines; i++)
        for (int k = 0; k < i; k++) {
            double x = (l[k].at - l[i].at) / (l[i].slope - l[k].slope);
            if (!(x > d->x.lo && x < d->x.up)) continue;
            if (is_corner(d, l, x, l[i].slope * x + l[i].at, side)) count = insert(at, count, x);
        }
    return count;
}

static int corners_of(const domain *d, double *at)
{
    int count = crossings(d, d->high, -1, at, crossings(d, d->low, 1, at, 0));
    count = insert(at, count, d->x.lo);
    return insert(at, count, d->x.up);
}

static bool is_moderate(double x) { return fabs(x) <= ROB_GATE_MOST; }

static bool set_domain(domain *d, const rob_gate_problem *p)
{
    const rob_joint *j = &p->joint;
    if (!is_moderate(p->x.lo) || !is_moderate(p->x.up) || !is_moderate(p->a)) return false;
    if (!is_moderate(p->y.lo) || !is_moderate(p->y.up) || !is_moderate(p->b)) return false;
    *d = (domain){ .x = p->x, .lines = 1 };
    d->low[0] = (line){ 0, p->y.lo };
    d->high[0] = (line){ 0, p->y.up };
    for (int k = 0; k < j->lines; k++) {
        if (j->slope[k] == 0 || !is_moderate(j->slope[k])) continue;
        if (!is_moderate(j->rest[k].lo) || !is_moderate(j->rest[k].up)) continue;
        d->low[d->lines] = (line){ j->slope[k], j->rest[k].lo };
        d->high[d->lines++] = (line){ j->slope[k], j->rest[k].up };
    }
    for (int i = 0; i < d->lines; i++)
        for (int k = 0; k < d->lines; k++) trim_by(&d->x, &d->low[i], &d->high[k]);
    return d->x.lo <= d->x.up;
}

/* ---- one problem ------------------------------------------------------------------ */

static int lowest(const cell *c, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++) best = c[i].bound < c[best].bound ? i : best;
    return best;
}

static int edge_at(task *t, double x)
{
    t->edge[t->edges] = (edge){ .x = x, .lo = INFINITY, .up = -INFINITY };
    return t->edges++;
}

static void add_cell(task *t, int left, int right)
{
    double middle = 0.5 * t->edge[left].x + 0.5 * t->edge[right].x;
    cell *c = &t->cell[t->cells++];
    *c = (cell){ .left = left, .right = right, .low = highest_below(&t->d, middle),
                 .high = lowest_above(&t->d, middle) };
    widen(&t->edge[left], &c->low, &c->high);
    widen(&t->edge[right], &c->low, &c->high);
}

static void start(task *t, const rob_gate_problem *p, batch *r)
{
    double at[CORNERS];
    t->p = p;
    t->least = INFINITY;
    t->edges = t->cells = t->worst = 0;
    if (!set_domain(&t->d, p)) return;
    int count = corners_of(&t->d, at), left = edge_at(t, at[0]);
    for (int i = 0; i + 1 < count; i++) {
        bool near = at[i + 1] - t->edge[left].x < 1e-6 * (t->d.x.up - t->d.x.lo);
        if (near && i + 2 < count) continue;
        int right = edge_at(t, at[i + 1]);
        add_cell(t, left, right);
        left = right;
    }
    for (int i = 0; i < t->edges; i++) r->edge[r->edges++] = (item){ t, i };
    for (int i = 0; i < t->cells; i++) r->cell[r->cells++] = (item){ t, i };
}

/* Kept away from the ends. */
static double split_point(const task *t, const cell *c)
{
    double l = t->edge[c->left].x, u = t->edge[c->right].x, h = u - l;
    return c->at > l + 0.1 * h && c->at < l + 0.9 * h ? c->at : 0.5 * l + 0.5 * u;
}

/* The worst cell in two, unless it is good enough. */
static void refine(task *t, batch *r)
{
    const rob_gate_problem *p = t->p;
    if (t->cells == 0) return;
    t->worst = lowest(t->cell, t->cells);
    cell *c = &t->cell[t->worst];
    if (t->cells >= CELLS || !(c->bound < t->least - p->enough)) return;
    if (t->least < p->known + 0.1 * p->enough) return;
    double x = split_point(t, c);
    if (!(x > t->edge[c->left].x && x < t->edge[c->right].x)) return;
    int middle = edge_at(t, x);
    widen(&t->edge[middle], &c->low, &c->high);
    t->cell[t->cells] = (cell){ .left = middle, .right = c->right, .low = c->low, .high = c->high };
    c->right = middle;
    r->edge[r->edges++] = (item){ t, middle };
    r->cell[r->cells++] = (item){ t, t->worst };
    r->cell[r->cells++] = (item){ t, t->cells++ };
}

void rob_priv_min_joints(bool of_tanh, int64_t n, const rob_gate_problem *p, double *bound)
{
    task all[TASKS];
    batch r = { .edges = 0, .cells = 0 };
    for (int64_t first = 0; first < n; first += TASKS) {
        const int count = (int)(n - first < TASKS ? n - first : TASKS);
        for (int i = 0; i < count; i++) start(&all[i], &p[first + i], &r);
        while (r.cells > 0) {
            compute(&r, of_tanh);
            for (int i = 0; i < count; i++) refine(&all[i], &r);
        }
        for (int i = 0; i < count; i++)
            bound[first + i] = all[i].cells > 0 ? all[i].cell[all[i].worst].bound : -INFINITY;
    }
}

double rob_priv_min_joint(bool of_tanh, double a, double b, rob_interval x,
                          rob_interval y, const rob_joint *joint, double enough)
{
    const rob_gate_problem p = { a, b, x, y, *joint, enough, -INFINITY };
    double bound;
    rob_priv_min_joints(of_tanh, 1, &p, &bound);
    return bound;
}
