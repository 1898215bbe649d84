/* second.c -- every number of a network as an affine function of x and a rest.
 *
 * Perturbation form. Split each curved operator at centres of its operands,
 *
 *     phi(z) = grad.z + offset + r(z),       r = 1/2 (z - c)'H (z - c) + third order,
 *
 * grad, c any numbers: then exactly, with P the coefficients that planes of slope grad on
 * both sides move back,
 *
 *     z_i(x) = base_i + J_i.d + sum_k P_ik r_k,     x = x0 + d.
 *
 * Numbers are visited operands first: rows +e_i swept on these planes give base_i, J_i and
 * P_i; r_k lies in middle_k +- radius_k, the better of the quadratic and of the planes of
 * linear relaxation on the operands' boxes, and middle_k goes into the offset. So
 * |z_i - base_i - J_i.d| <= rest_i = sum_k |P_ik| radius_k + loss_i, with the sweep's own
 * account of rounding, and centres are the bases. docs/theory/orders.md 4.
 */
#include "bound/order/second.h"

#include <string.h>

static bool is_root(const rob_cell *c) { return c->live && c->kind != ROB_CELL_VIEW; }

/* ---- ranges of what is left over --------------------------------------------------- */

/* An operand of element e: where it is centred, and how far it goes on the ball. */
typedef struct operand { double centre, reach, rest, most; const double *j; } operand;

static operand operand_at(const rob_second *s, const rob_link *in, int64_t e)
{
    const rob_work *w = s->w;
    const rob_cell *z = &w->net->cell[in->cell];
    const rob_range r = rob_priv_cell_range(w, in->cell);
    if (!z->live) {
        const double c = r.lo[e] == r.up[e] ? r.lo[e] : 0.5 * r.lo[e] + 0.5 * r.up[e];
        const double far = fp_max(fp_up(c - r.lo[e]), fp_up(r.up[e] - c));
        const double most = r.lo[e] == r.up[e] ? 0 : far;
        return (operand){ c, 0, most, most, NULL };
    }
    const int64_t k = s->slot[z->root] + (z->kind == ROB_CELL_VIEW ? z->first : 0) + e;
    const double c = s->centre[k];
    const double box = fp_max(fp_up(c - r.lo[e]), fp_up(r.up[e] - c));
    const double form = fp_add_up(s->reach[k], s->rest[k]);
    return (operand){ c, s->reach[k], s->rest[k], fp_max(fp_min(box, form), 0),
                      s->j + k * s->inputs };
}

rob_way rob_priv_second_way(const rob_second *s, const rob_link *in, int64_t e)
{
    const operand z = operand_at(s, in, e);
    const int64_t slot = z.j == NULL ? -1 : (z.j - s->j) / s->inputs;
    return (rob_way){ slot, z.reach, z.rest, z.centre };
}

/* Place of H_ij in the upper triangle of k operands. */
int rob_priv_second_hess(int32_t k, int i, int j)
{
    return k == 1 ? 0 : k == 2 ? i + j : (int[]){ 0, 1, 2, 1, 3, 4, 2, 4, 5 }[3 * i + j];
}

/* 1/2 z'H z -+ (1/2 sum rho z^2 + slack) on |z_i| <= most_i */
static void range_by_curve(const rob_second *s, const rob_cell *c, int64_t at,
                           const operand *z, double *lo, double *up)
{
    double low = -s->slack[at], high = s->slack[at];
    for (int i = 0; i < c->ins; i++) {
        const double h = s->hess[rob_priv_second_hess(c->ins, i, i)][at], rho = s->rho[i][at];
        const double half = fp_up(0.5 * fp_mul_up(z[i].most, z[i].most));
        low = fp_add_lo(low, -fp_mul_up(half, fp_max(fp_up(rho - h), 0)));
        high = fp_add_up(high, fp_mul_up(half, fp_max(fp_up(rho + h), 0)));
        for (int j = i + 1; j < c->ins; j++) {
            const double cross = fp_mul_up(fabs(s->hess[rob_priv_second_hess(c->ins, i, j)][at]),
                                           fp_mul_up(z[i].most, z[j].most));
            low = fp_add_lo(low, -cross);
            high = fp_add_up(high, cross);
        }
    }
    *lo = fp_or_lo(low);
    *up = fp_or_up(high);
}

/* Ends of the plane (slope, offset) less (grad, value at the centre) on the box. */
static double plane_end(const operand *z, int32_t ins, const double *slope, double offset,
                        const double *grad, double value, bool above)
{
    double sum = above ? fp_add_up(offset, -value) : fp_add_lo(offset, -value);
    for (int i = 0; i < ins; i++) {
        const double turn = slope[i] - grad[i];
        const double off = 2 * ROB_U * (fabs(slope[i]) + fabs(grad[i]));
        const double far = fp_mul_up(fp_up(fabs(turn) + off), z[i].most);
        const double at = slope[i] * z[i].centre;
        sum = above ? fp_add_up(fp_add_up(sum, fp_up(at)), far)
                    : fp_add_lo(fp_add_lo(sum, fp_lo(at)), -far);
    }
    return sum;
}

static void range_by_planes(const rob_second *s, const rob_cell *c, int64_t e,
                            const operand *z, const double *grad, double value, double *lo,
                            double *up)
{
    const double *p = s->others + c->plane;
    double below[ROB_MAX_INS] = { 0 }, above[ROB_MAX_INS] = { 0 };
    const int64_t n = c->size;
    for (int i = 0; i < c->ins; i++) {
        /* known operands are in the plane's offset, at their worse ends */
        if (z[i].j == NULL) continue;
        below[i] = p[2 * i * n + e];
        above[i] = p[(2 * i + 1) * n + e];
    }
    operand live[ROB_MAX_INS];
    double share = 0, slack = 0;
    for (int i = 0; i < c->ins; i++) {
        live[i] = z[i];
        if (z[i].j != NULL) continue;
        /* grad.z of a known operand is grad.centre, and its way */
        live[i].centre = live[i].most = 0;
        share += fp_mul_up(fabs(grad[i]), z[i].most);
        slack += fp_mul_up(ROB_U, fabs(grad[i]) * fabs(z[i].centre));
    }
    const double more = fp_up(2 * (share + slack));
    double low = plane_end(live, c->ins, below, p[2 * ROB_MAX_INS * n + e], grad, value, false);
    double high =
        plane_end(live, c->ins, above, p[(2 * ROB_MAX_INS + 1) * n + e], grad, value, true);
    *lo = fp_max(*lo, fp_or_lo(fp_lo(low - more)));
    *up = fp_min(*up, fp_or_up(fp_up(high + more)));
}

/* ---- centre models ----------------------------------------------------------------- */

/* Without a model of second order: a strip's slopes, no quadratic. */
static bool model_by_strip(rob_second *s, const rob_cell *c, const rob_range *in, int64_t e,
                           const operand *z, double *grad, double *value, double *lo,
                           double *up)
{
    rob_strip strip = { { 0 }, 0, 0 };
    if (!rob_priv_strip(&c->node, in, e, &strip)) return false;
    *value = 0.5 * strip.lo + 0.5 * strip.up;
    *lo = fp_add_lo(strip.lo, -*value);
    *up = fp_add_up(strip.up, -*value);
    for (int i = 0; i < c->ins; i++) {
        grad[i] = strip.slope[i];
        *value += grad[i] * z[i].centre;
        s->rho[i][c->at + e] = INFINITY;
    }
    for (int k = 0; k < 6; k++) s->hess[k][c->at + e] = 0;
    s->slack[c->at + e] = INFINITY;
    return true;
}

/* Is a strip's half height less than what a quadratic leaves unknown: its third order, and
 * what the rests of its operands make of it? */
static bool strip_is_better(const rob_second *s, const rob_cell *c, const rob_range *in,
                            int64_t e, const operand *z)
{
    const int64_t at = c->at + e;
    rob_strip strip = { { 0 }, 0, 0 };
    double unknown = s->slack[at];
    for (int i = 0; i < c->ins; i++) {
        unknown += 0.5 * s->rho[i][at] * z[i].most * z[i].most;
        for (int j = 0; j < c->ins; j++)
            unknown += (fabs(s->hess[rob_priv_second_hess(c->ins, i, j)][at])
                        + (i == j ? s->rho[i][at] : 0))
                       * (z[i].reach + 0.5 * z[i].rest) * z[j].rest;
    }
    return rob_priv_strip(&c->node, in, e, &strip)
           && 0.5 * (strip.up - strip.lo) < unknown;
}

/* Element e: slopes, offset and what is left over. False: nothing finite. */
static bool model_element(rob_second *s, const rob_cell *c, const rob_range *in, int64_t e)
{
    const rob_link *link = &s->w->net->link[c->link];
    const int64_t at = c->at + e, n = c->size;
    double *p = s->plane + c->plane, grad[ROB_MAX_INS] = { 0 }, value = s->value[e];
    double lo = -INFINITY, up = INFINITY;
    operand z[ROB_MAX_INS];
    for (int i = 0; i < c->ins; i++) {
        z[i] = operand_at(s, &link[i], e);
        grad[i] = s->grad[i][e];
    }
    const bool bends = c->node.op->curve != NULL && !strip_is_better(s, c, in, e, z);
    if (bends) range_by_curve(s, c, at, z, &lo, &up);
    else if (!model_by_strip(s, c, in, e, z, grad, &value, &lo, &up)) return false;
    range_by_planes(s, c, e, z, grad, value, &lo, &up);
    if (!isfinite(lo) || !isfinite(up)) return false;
    const double middle = 0.5 * lo + 0.5 * up;
    double offset = value + middle, size = fabs(value) + fabs(middle), known = 0;
    for (int i = 0; i < c->ins; i++) {
        offset -= grad[i] * z[i].centre;
        size += fabs(grad[i] * z[i].centre);
        if (z[i].j == NULL) known += fp_mul_up(fabs(grad[i]), z[i].most);
        /* a known operand stays in the offset */
        if (z[i].j == NULL) offset += grad[i] * z[i].centre;
        p[2 * i * n + e] = p[(2 * i + 1) * n + e] = grad[i];
    }
    p[2 * ROB_MAX_INS * n + e] = p[(2 * ROB_MAX_INS + 1) * n + e] = offset;
    s->middle[at] = middle;
    s->slack[at] = fp_up(s->slack[at] + fp_up(32 * ROB_U * size + known));
    s->radius[at] = fp_up(fp_max(fp_up(up - middle), fp_up(middle - lo))
                          + fp_up(32 * ROB_U * size + known));
    return isfinite(offset) && isfinite(s->radius[at]);
}

/* The operator's models at the centres, in arrays of the cell. */
static void curve_cell(rob_second *s, const rob_cell *c, const rob_range *in)
{
    const rob_link *link = &s->w->net->link[c->link];
    const double *centre[ROB_MAX_INS] = { 0 };
    rob_curve out = { .count = c->size, .value = s->value, .slack = s->slack + c->at };
    for (int k = 0; k < 6; k++) out.hess[k] = s->hess[k] + c->at;
    for (int i = 0; i < ROB_MAX_INS; i++) {
        out.grad[i] = s->grad[i];
        out.rho[i] = s->rho[i] + c->at;
    }
    for (int i = 0; i < c->ins; i++) {
        double *v = s->known + i * s->w->net->widest;
        for (int64_t e = 0; e < c->size; e++) v[e] = operand_at(s, &link[i], e).centre;
        centre[i] = v;
    }
    c->node.op->curve(&c->node, in, centre, &out);
    for (int i = 0; i < c->ins; i++)
        for (int64_t e = 0; e < c->size; e++) out.rho[i][e] *= 1 - s->w->steep_fault;
}

static void visit_curved(rob_second *s, int32_t cell)
{
    rob_work *w = s->w;
    const rob_cell *c = &w->net->cell[cell];
    const rob_range *in = rob_priv_operands(w, c);
    memset(s->plane + c->plane, 0,
           (size_t)((2 * ROB_MAX_INS + 3) * c->size + 1) * sizeof *s->plane);
    if (c->node.op->curve != NULL) curve_cell(s, c, in);
    for (int64_t e = 0; e < c->size && s->usable; e++)
        s->usable = model_element(s, c, in, e);
    w->plane = s->plane;
    rob_priv_plane_weigh(w, cell);
    w->plane = s->others;
}

/* ---- rows on the centre's planes ---------------------------------------------------- */

static void meet(void *user, int32_t cell, int64_t rows, const double *a)
{
    rob_second *s = user;
    rob_work *w = s->w;
    const rob_cell *c = &w->net->cell[cell];
    for (int64_t r = 0; c->kind == ROB_CELL_INPUT && r < rows; r++)
        for (int64_t e = 0; e < c->size; e++)
            if (s->column[c->first + e] >= 0)
                s->jrow[r * s->inputs + s->column[c->first + e]] = a[r * c->size + e];
    if (c->kind == ROB_CELL_CURVED) {
        w->net->kernel->cost(rows, c->size, a, c->size, s->radius + c->at, w->cost);
        for (int64_t r = 0; r < rows; r++) s->sum[r] += w->cost[r];
        for (int64_t r = 0; s->batch && !s->keeps && r < rows; r++)
            memcpy(s->coefficient + r * s->units + s->unit[cell], a + r * c->size,
                   (size_t)c->size * sizeof *a);
    }
    for (int64_t r = 0; s->keeps && r < rows; r++)
        memcpy(s->row + r * s->numbers + c->at, a + r * c->size,
               (size_t)c->size * sizeof *a);
}

rob_status rob_priv_second_sweep(rob_second *s, int32_t cell, int64_t rows, const double *a,
                                 int64_t lda, const double *base, double *plane,
                                 bool keeps)
{
    rob_work *w = s->w;
    const int64_t depth = w->depth;
    const bool plain = w->plain;
    memset(s->jrow, 0, (size_t)(rows * s->inputs) * sizeof *s->jrow);
    memset(s->sum, 0, (size_t)rows * sizeof *s->sum);
    if (s->batch && !keeps)
        memset(s->coefficient, 0, (size_t)(rows * s->units) * sizeof *s->coefficient);
    if (keeps) memset(s->row, 0, (size_t)(rows * s->numbers) * sizeof *s->row);
    s->keeps = keeps;
    w->plane = plane;
    w->look = meet;
    w->look_user = s;
    w->depth = 0;
    w->plain = true;
    rob_status status = rob_priv_sweep(w, cell, rows, a, lda, base);
    w->plane = s->others;
    w->look = NULL;
    w->depth = depth;
    w->plain = plain;
    for (int64_t r = 0; r < rows; r++) {
        s->sum[r] *= 1 + ((double)s->numbers + 16) * ROB_U;
        s->sum[r] += (double)s->numbers * ROB_TINY;
        w->loss[r] = fp_mul_up(w->loss[r], fp_up(1 + w->ops * ROB_U));
    }
    return status;
}

/* >= |J.d| on the ball */
static double reach_of(const rob_second *s, const double *j)
{
    const rob_ball *b = &s->w->ball;
    double norm = 0;
    if (b->norm == ROB_NORM_L2) norm = fp_norm2_up(j, s->inputs);
    if (b->norm == ROB_NORM_LINF) norm = fp_norm1_up(j, s->inputs);
    for (int64_t i = 0; b->norm == ROB_NORM_L1 && i < s->inputs; i++)
        norm = fp_max(fabs(j[i]), norm);
    return fp_mul_up(b->eps, norm);
}

static void keep_slots(rob_second *s, int32_t cell, int64_t first, int64_t count)
{
    for (int64_t r = 0; r < count; r++) {
        const int64_t k = s->slot[cell] + first + r;
        memcpy(s->j + k * s->inputs, s->jrow + r * s->inputs,
               (size_t)s->inputs * sizeof *s->j);
        s->centre[k] = s->w->base[r];
        s->rest[k] = fp_add_up(s->sum[r], s->w->loss[r]) * (1 - s->w->steep_fault);
        s->reach[k] = reach_of(s, s->jrow + r * s->inputs);
        s->furthest = fp_max(s->reach[k], s->furthest);
        s->usable = s->usable && isfinite(s->centre[k]) && isfinite(s->reach[k])
                    && isfinite(s->rest[k]);
    }
}

static rob_status visit_slots(rob_second *s, int32_t cell)
{
    rob_work *w = s->w;
    const rob_cell *c = &w->net->cell[cell];
    rob_status status = ROB_OK;
    for (int64_t first = 0; first < c->size && status == ROB_OK; first += w->tile) {
        const int64_t left = c->size - first, count = left < w->tile ? left : w->tile;
        memset(w->unit, 0, (size_t)(count * c->size) * sizeof *w->unit);
        for (int64_t k = 0; k < count; k++) w->unit[k * c->size + first + k] = 1;
        status = rob_priv_second_sweep(s, cell, count, w->unit, c->size, NULL,
                                       s->plane, false);
        if (status == ROB_OK) keep_slots(s, cell, first, count);
        if (status == ROB_OK && s->usable)
            status = rob_priv_second_tighten(s, cell, first, count);
    }
    return status;
}

/* ---- the whole network --------------------------------------------------------------- */

static int64_t find_columns(rob_second *s)
{
    const rob_ball *b = &s->w->ball;
    int64_t count = 0;
    for (int64_t k = 0; k < s->w->net->steps * s->w->net->features; k++)
        s->column[k] = b->mask == NULL || b->mask[k] ? count++ : -1;
    return count;
}

bool rob_priv_second_knows(const rob_ball *ball)
{
    return ball->region == NULL && ball->norm != ROB_NORM_L1 && isfinite(ball->eps);
}

void rob_priv_second_begin(rob_second *s)
{
    rob_work *w = s->w;
    const double eps = 1 + w->ball.eps;
    s->others = w->plane;
    s->inputs = s->trust.n = find_columns(s);
    s->usable = s->inputs > 0 && rob_priv_second_knows(&w->ball);
    s->pairs = s->inputs * (s->inputs + 1) / 2;
    s->units_done = s->units_packed = 0;
    s->furthest = 0;
    s->tiny = 4 * ROB_TINY * (double)(s->slots + s->units) * (double)(s->inputs + 1)
              * (double)(s->inputs + 1) * eps * eps;
    if (s->batch)
        memset(s->coefficient, 0,
               (size_t)(s->w->tile * s->units) * sizeof *s->coefficient);
}

rob_status rob_priv_second_visit(rob_second *s, int32_t cell)
{
    rob_work *w = s->w;
    const rob_cell *c = &w->net->cell[cell];
    if (!s->usable || w->broken || !is_root(c)) return ROB_OK;
    if (c->kind == ROB_CELL_PRODUCT) {
        w->plane = s->plane;
        rob_priv_plane_prepare(w, cell);
        w->plane = s->others;
    }
    if (c->kind == ROB_CELL_CURVED) {
        visit_curved(s, cell);
        if (s->usable) rob_priv_second_units(s, cell);
    }
    if (s->slot[cell] < 0 || !s->usable) return ROB_OK;
    rob_priv_second_pack(s);
    return visit_slots(s, cell);
}

void rob_priv_second_end(rob_second *s)
{
    if (s->usable)
        s->w->net->la->pack(s->slots, s->inputs, s->j, s->inputs, 1, s->packed);
}
