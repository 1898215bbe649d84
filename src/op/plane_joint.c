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
 * where the bound is least; the domain's corners are ends of cells.
 *
 * Rounding: on a cell any ONE line below the domain may be L, so a misplaced corner is
 * loose, never false; a line is known by its values at both ends, rounded outward.
 *
 * Reference: docs/theory/relax.md 8.
 */
#include "op/plane.h"

enum { CELLS = 24, LINES = ROB_JOINT_LINES + 1, CORNERS = LINES * (LINES - 1) + 2 };

typedef struct line { double slope, at; } line;
typedef struct domain {
    double a, b;
    bool tanh;
    rob_interval x;
    line low[LINES], high[LINES];
    int lines;
} domain;
/* one end of a cell: phi there, and y's range */
typedef struct edge { double x, phi, y, slo, sup; rob_interval range; } edge;
typedef struct cell { edge left, right; line low, high; double bound, at; } cell;

static double low_at(const line *l, double x)
{
    return l->slope == 0 ? l->at : fp_add_lo(fp_mul_lo(l->slope, x), l->at);
}

static double high_at(const line *l, double x)
{
    return l->slope == 0 ? l->at : fp_add_up(fp_mul_up(l->slope, x), l->at);
}

/* ---- phi ------------------------------------------------------------------------- */

/* min over y in r of  s y - b y;  s >= 0 */
static double least_affine(const edge *p, double b, rob_interval r, double *at)
{
    double end[2] = { r.lo, r.up }, best = INFINITY;
    for (int i = 0; i < 2; i++) {
        double y = end[i];
        double v = fp_add_lo(fp_mul_lo(y < 0 ? p->sup : p->slo, y), -fp_mul_up(b, y));
        if (v < best) best = v, *at = y;
    }
    return fp_or_lo(best);
}

static edge edge_at(const domain *d, const line *low, const line *high, double x)
{
    edge p = { .x = x, .slo = fp_sigmoid_lo(x), .sup = fp_sigmoid_up(x) };
    double l = low_at(low, x), u = high_at(high, x);
    p.range = (rob_interval){ fp_min(l, u), fp_max(l, u) };
    double v = d->tanh ? rob_priv_min_tanh(p.slo, p.sup, d->b, p.range, &p.y)
                       : least_affine(&p, d->b, p.range, &p.y);
    p.phi = fp_or_lo(fp_add_lo(v, -fp_mul_up(d->a, x)));
    return p;
}

/* ---- the second derivative ------------------------------------------------------- */

/* v (1 - v) (sigmoid: v in [0, 1]) or 1 - v^2 (tanh), v in an interval */
static rob_interval first_of(bool tanh, rob_interval v)
{
    double l = tanh ? (1 - v.lo) * (1 + v.lo) : v.lo * (1 - v.lo);
    double u = tanh ? (1 - v.up) * (1 + v.up) : v.up * (1 - v.up);
    double peak = tanh ? 0 : 0.5, top = tanh ? 1 : 0.25;
    bool over = v.lo <= peak && v.up >= peak;
    return (rob_interval){ fp_min(l, u), over ? top : fp_max(l, u) };
}

/* C: each term has fewer than 16 roundings, its magnitude times 32 u is added */
static double second_up(const domain *d, const cell *c)
{
    rob_interval s = { c->left.slo, c->right.sup }, one = { 1, 1 }, g1 = one, g2 = { 0, 0 };
    rob_interval y = { fp_min(c->left.range.lo, c->right.range.lo),
                       fp_max(c->left.range.up, c->right.range.up) }, g = y;
    rob_interval m = { fp_min(c->low.slope, c->high.slope),
                       fp_max(c->low.slope, c->high.slope) };
    rob_interval s1 = first_of(false, s), turn = { 1 - 2 * s.up, 1 - 2 * s.lo };
    if (d->tanh) {
        g = (rob_interval){ fp_tanh_lo(y.lo), fp_tanh_up(y.up) };
        g1 = first_of(true, g);
        g2 = rob_priv_range_product((rob_interval){ -2 * g.up, -2 * g.lo }, g1);
    }
    rob_interval mm = rob_priv_range_product(m, m);
    rob_interval term[3] = {
        rob_priv_range_product(rob_priv_range_product(s1, turn), g),
        rob_priv_range_product((rob_interval){ 2 * m.lo, 2 * m.up },
                               rob_priv_range_product(s1, g1)),
        rob_priv_range_product((rob_interval){ fp_max(mm.lo, 0), mm.up },
                               rob_priv_range_product(s, g2)),
    };
    double sum = 0, size = 0;
    for (int i = 0; i < 3; i++) {
        sum += term[i].up;
        size += fp_max(fabs(term[i].lo), fabs(term[i].up));
    }
    return fp_max(sum + 48 * ROB_U * size + ROB_TINY, 0);
}

/* ---- cells ----------------------------------------------------------------------- */

/* min over the cell of chord - C/2 (x - x1)(x2 - x): with q = C h^2 and D the difference
 * of the ends, the lower end where |D| >= q/2, else mean - q/8 - D^2/(2 q); it falls as q
 * grows, so q may be rounded up. */
static void enclose(const domain *d, cell *c)
{
    double h = fp_up(c->right.x - c->left.x), q = fp_mul_up(second_up(d, c), fp_mul_up(h, h));
    double gap = c->right.phi - c->left.phi, most = fp_up(fabs(gap));
    c->bound = fp_min(c->left.phi, c->right.phi);
    c->at = 0.5 * c->left.x + 0.5 * c->right.x;
    if (fp_lo(fabs(gap)) >= q / 2 && isfinite(q)) return;
    double mean = fp_add_lo(0.5 * c->left.phi, 0.5 * c->right.phi);
    double drop = fp_add_up(fp_up(q / 8), fp_up(fp_mul_up(most, most) / fp_lo(2 * q)));
    c->bound = fp_or_lo(fp_min(c->bound, fp_add_lo(mean, -drop)));
    c->at -= gap / q * h;
}

static cell cell_of(const domain *d, line low, line high, edge left, edge right)
{
    cell c = { .left = left, .right = right, .low = low, .high = high };
    enclose(d, &c);
    return c;
}

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

/* ---- corners --------------------------------------------------------------------- */

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

/* Where lines of one side cross. */
static int crossings(const domain *d, const line *l, double *at, int count)
{
    for (int i = 0; i < d->lines; i++)
        for (int k = 0; k < i; k++) {
            double x = (l[k].at - l[i].at) / (l[i].slope - l[k].slope);
            if (x > d->x.lo && x < d->x.up) count = insert(at, count, x);
        }
    return count;
}

static int corners_of(const domain *d, double *at)
{
    int count = crossings(d, d->high, at, crossings(d, d->low, at, 0));
    count = insert(at, count, d->x.lo);
    return insert(at, count, d->x.up);
}

static bool set_domain(domain *d, rob_interval y, const rob_joint *j)
{
    d->low[0] = (line){ 0, y.lo };
    d->high[0] = (line){ 0, y.up };
    d->lines = 1;
    for (int k = 0; k < j->lines; k++) {
        if (j->slope[k] == 0 || !isfinite(j->rest[k].lo) || !isfinite(j->rest[k].up)) continue;
        d->low[d->lines] = (line){ j->slope[k], j->rest[k].lo };
        d->high[d->lines++] = (line){ j->slope[k], j->rest[k].up };
    }
    for (int i = 0; i < d->lines; i++)
        for (int k = 0; k < d->lines; k++) trim_by(&d->x, &d->low[i], &d->high[k]);
    return d->x.lo <= d->x.up;
}

static int lowest(const cell *c, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++) best = c[i].bound < c[best].bound ? i : best;
    return best;
}

static int first_cells(const domain *d, cell *cells)
{
    double at[CORNERS];
    int count = corners_of(d, at), used = 0;
    for (int i = 0; i + 1 < count; i++) {
        if (i + 2 < count && at[i + 1] - at[i] < 1e-6 * (d->x.up - d->x.lo)) {
            at[i + 1] = at[i];
            continue;
        }
        double middle = 0.5 * at[i] + 0.5 * at[i + 1];
        line low = highest_below(d, middle), high = lowest_above(d, middle);
        cells[used++] = cell_of(d, low, high, edge_at(d, &low, &high, at[i]),
                                edge_at(d, &low, &high, at[i + 1]));
    }
    return used;
}

static double least_seen(const cell *c, int count)
{
    double best = INFINITY;
    for (int i = 0; i < count; i++)
        best = fp_min(best, fp_min(c[i].left.phi, c[i].right.phi));
    return best;
}

/* Kept away from the ends. */
static double split_point(const cell *c)
{
    double l = c->left.x, h = c->right.x - l;
    if (c->at > l + 0.1 * h && c->at < l + 0.9 * h) return c->at;
    return 0.5 * c->left.x + 0.5 * c->right.x;
}

double rob_priv_min_joint(bool of_tanh, double a, double b, rob_interval x,
                          rob_interval y, const rob_joint *joint, double enough)
{
    domain d = { .a = a, .b = b, .tanh = of_tanh, .x = x };
    cell cells[CELLS + CORNERS];
    if (!(isfinite(x.up - x.lo) && isfinite(y.up - y.lo))) return -INFINITY;
    if (!set_domain(&d, y, joint)) return -INFINITY;
    int count = first_cells(&d, cells);
    if (count < 1) return -INFINITY;
    int worst = lowest(cells, count);
    double least = least_seen(cells, count);
    while (count < CELLS && cells[worst].bound < least - enough) {
        cell c = cells[worst];
        double split = split_point(&c);
        if (!(split > c.left.x && split < c.right.x)) break;
        edge middle = edge_at(&d, &c.low, &c.high, split);
        least = fp_min(least, middle.phi);
        cells[worst] = cell_of(&d, c.low, c.high, c.left, middle);
        cells[count++] = cell_of(&d, c.low, c.high, middle, c.right);
        worst = lowest(cells, count);
    }
    return cells[worst].bound;
}
