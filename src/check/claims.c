/* claims.c -- one claim of a certificate after the other, about a value whose operands have
 * their ranges.
 *
 *     RANGE     each end by a row +e_i or -e_i, where the operator's rule gives less
 *     PLANES    element by element on the box of the operands' ranges (planes.c), of gates
 *               also where STRIPS hold (octagon.c, joint.c)
 *     ROWS      planes of softmax and the like, row by row (row.c)
 *     SQUARES   the mean square of a row, from that of x and a row <rho, x>: what is left,
 *               sum x (x / n - rho), has its range on the box; rho is any
 */
#include "check/claims.h"
#include "check/row.h"
#include "core/text.h"

#include <stdarg.h>
#include <string.h>

__attribute__((format(printf, 3, 4))) rob_status
rob_priv_check_refuse(const rob_check_work *w, const rob_claim *c, const char *format, ...)
{
    char what[256];
    va_list list;
    va_start(list, format);
    rob_priv_format(what, sizeof what, format, list);
    va_end(list);
    if (c->loop < 0)
        return rob_priv_fail(w->ctx, ROB_EDOMAIN, "%s: refused: %s, node %d", w->path,
                             what, (int)c->node);
    return rob_priv_fail(w->ctx, ROB_EDOMAIN,
                         "%s: refused: %s, node %d in turn %d of loop %d", w->path, what,
                         (int)c->node, (int)c->step, (int)c->loop);
}

/* ---- ranges ---------------------------------------------------------------------- */

/* The rows a claim needs, up to a tile of them, from number *next on. */
static int64_t some_units(const rob_claim *c, const double *lo, const double *up,
                          int64_t *next, int64_t most, rob_check_unit *unit)
{
    int64_t count = 0;
    for (; *next < c->count && count + 2 <= most; (*next)++) {
        if (c->at[*next] > lo[*next]) unit[count++] = (rob_check_unit){ *next, 1 };
        if (c->at[c->count + *next] < up[*next])
            unit[count++] = (rob_check_unit){ *next, -1 };
    }
    return count;
}

rob_status rob_priv_check_prove_ends(rob_check_work *w, int32_t value, const rob_claim *c,
                                     const double *lo, const double *up)
{
    rob_check_unit unit[ROB_CHECK_MOST_ROWS];
    for (int64_t next = 0; next < c->count;) {
        int64_t count = some_units(c, lo, up, &next, w->tile, unit);
        if (count == 0) continue;
        if (!rob_priv_check_units(w, value, unit, count, c->depth))
            return rob_priv_no_memory(w->ctx);
        for (int64_t r = 0; r < count; r++) {
            bool low = unit[r].sign > 0;
            double claimed = c->at[(low ? 0 : c->count) + unit[r].e];
            double found = low ? w->value[r] : -w->value[r];
            if (low ? found >= claimed : found <= claimed) continue;
            return rob_priv_check_refuse(w, c, "%s %.17g is claimed, %.17g follows: number %lld",
                                         low ? "at least" : "at most", claimed, found,
                                         (long long)unit[r].e);
        }
    }
    w->ranges += c->count;
    return ROB_OK;
}

rob_status rob_priv_check_prove_range(rob_check_work *w, int32_t value, const rob_claim *c)
{
    rob_check_value *v = &w->net->value[value];
    rob_status status = rob_priv_check_prove_ends(w, value, c, v->lo, v->up);
    for (int64_t e = 0; e < c->count && status == ROB_OK; e++) {
        v->lo[e] = fp_max(c->at[e], v->lo[e]);
        v->up[e] = fp_min(c->at[c->count + e], v->up[e]);
    }
    return status;
}

/* ---- planes ---------------------------------------------------------------------- */

static int32_t live_operands(const rob_check_work *w, const rob_check_value *v)
{
    int32_t live = 0;
    for (int32_t i = 0; i < v->ins; i++)
        live += w->net->value[w->net->link[v->link + i].value].live;
    return live;
}

static bool element_holds(const rob_check_work *w, const rob_check_value *v,
                          const rob_range *in, const rob_check_plane *p, int64_t e)
{
    rob_check_box box[ROB_MAX_INS];
    for (int side = 0; side < 2; side++) {
        double slope[ROB_MAX_INS] = { 0 }, offset = p->offset[side][e];
        bool flat = true;
        for (int32_t i = 0, k = 0; i < v->ins; i++) {
            box[i] = (rob_check_box){ in[i].lo[e], in[i].up[e] };
            if (w->net->value[w->net->link[v->link + i].value].live)
                slope[i] = p->slope[side][k++][e];
            flat = flat && slope[i] == 0;
        }
        if (flat && (side == 0 ? offset <= v->lo[e] : offset >= v->up[e])) continue;
        if (!rob_priv_check_plane(&v->of, box, slope, offset, side == 1)
            && !(v->joint != NULL
                 && rob_priv_check_joint(&v->of, box, &v->joint[e], slope, offset, side == 1)))
            return false;
    }
    return true;
}

rob_status rob_priv_check_prove_planes(rob_check_work *w, int32_t value,
                                      const rob_claim *c, rob_check_plane *p)
{
    rob_check_value *v = &w->net->value[value];
    const rob_range *in = rob_priv_check_operands(w, v);
    const double *at = c->at;
    if (c->ins != live_operands(w, v))
        return rob_priv_check_refuse(w, c, "%d slopes are claimed", (int)c->ins);
    for (int side = 0; side < 2; side++) {
        for (int32_t k = 0; k < c->ins; k++, at += c->count) p->slope[side][k] = at;
        p->offset[side] = at;
        at += c->count;
    }
    for (int64_t e = 0; e < v->size; e++) {
        if (element_holds(w, v, in, p, e)) continue;
        return rob_priv_check_refuse(w, c, "a plane of %s does not hold: number %lld", v->of.op->name,
                      (long long)e);
    }
    w->planes += 2 * v->size;
    return rob_priv_check_weigh(w, value, p) ? ROB_OK : rob_priv_no_memory(w->ctx);
}

/* ---- planes of rows -------------------------------------------------------------- */

/* What is known of every row's mean square, from the box; (groups) each. */
static void squares_of(rob_check_work *w, const rob_check_value *v, int64_t n, double *lo,
                       double *up)
{
    const rob_range *z = rob_priv_check_operands(w, v);
    for (int64_t g = 0; g * n < v->size; g++) {
        rob_check_box b = rob_priv_check_squares(n, z->lo + g * n, z->up + g * n);
        lo[g] = b.lo;
        up[g] = b.up;
    }
}

/* Group g: rows +rho and -rho on the operand. */
static rob_status prove_square(rob_check_work *w, const rob_check_value *v,
                               const rob_claim *c, int64_t g, rob_check_box box,
                               double *room)
{
    const rob_check_link *in = &w->net->link[v->link];
    const int64_t n = c->ins, size = w->net->value[in->value].size;
    const double *rho = c->at + 2 * c->count + g * n;
    memset(room, 0, (size_t)(2 * size) * sizeof *room);
    for (int64_t j = 0; j < n; j++) {
        room[g * n + j] = rho[j];
        room[size + g * n + j] = -rho[j];
    }
    if (!rob_priv_check_rows(w, in->value, room, 2, c->depth)) return rob_priv_no_memory(w->ctx);
    const rob_range *z = rob_priv_check_operands(w, v);
    rob_check_box rest =
        rob_priv_check_squares_rest(n, z->lo + g * n, z->up + g * n, rho);
    double lo = fp_max(fp_add_lo(w->value[0], rest.lo), box.lo);
    double up = fp_min(fp_add_up(-w->value[1], rest.up), box.up);
    if (lo >= c->at[g] && up <= c->at[c->count + g]) return ROB_OK;
    return rob_priv_check_refuse(w, c, "a mean square in [%.17g, %.17g] is claimed, [%.17g, "
                                 "%.17g] follows: row %lld", c->at[g],
                                 c->at[c->count + g], lo, up, (long long)g);
}

/* Claimed ends are proved where the box does not give them; (groups) lo, up. */
static rob_status prove_squares(rob_check_work *w, const rob_check_value *v,
                                const rob_claim *c, double *lo, double *up)
{
    rob_status status = ROB_OK;
    const int64_t size = w->net->value[w->net->link[v->link].value].size;
    double *room = rob_priv_allocate(&w->ctx->memory, 2 * size, (int64_t)sizeof *room);
    if (room == NULL) return rob_priv_no_memory(w->ctx);
    for (int64_t g = 0; g < c->count; g++) {
        if (c->at[g] > lo[g] || c->at[c->count + g] < up[g])
            TRY(prove_square(w, v, c, g, (rob_check_box){ lo[g], up[g] }, room));
        lo[g] = fp_max(c->at[g], lo[g]);
        up[g] = fp_min(c->at[c->count + g], up[g]);
    }
done:
    rob_priv_release(&w->ctx->memory, room);
    return status;
}

/* One side of one row: outputs from `first`, inputs from `from` on. */
static int64_t fault_of(const rob_check_value *v, const rob_check_row *row, int64_t g,
                        int side)
{
    rob_check_row r = *row;
    const int64_t first = g * r.per, from = g * r.n;
    r.above = side == 1;
    r.lo += from;
    r.up += from;
    r.slope = v->plane.slope[side][0] + first;
    r.left = v->plane.left[side] + first;
    r.offset = v->plane.offset[side] + first;
    r.right = v->plane.right[side] + from;
    r.limit = (side ? v->up : v->lo) + first;
    int64_t fault = rob_priv_check_row_fault(v->of.op->id, &r);
    return fault < 0 ? fault : fault + first;
}

static void read_planes(rob_check_plane *p, const rob_claim *c)
{
    const double *at = c->at;
    for (int side = 0; side < 2; side++) {
        p->slope[side][0] = at;
        p->left[side] = at + c->count;
        p->offset[side] = at + 2 * c->count;
        p->right[side] = at + 3 * c->count;
        at += (3 + c->ins) * c->count;
    }
}

/* room: 6 numbers of a row, mean squares of all */
static rob_status prove_sides(rob_check_work *w, int32_t value, const rob_claim *c,
                              double *room, const double *lo, const double *up)
{
    const rob_check_value *v = &w->net->value[value];
    const rob_range *z = rob_priv_check_operands(w, v);
    rob_check_row r = { .n = rob_priv_shape_cols(&z->shape), .lo = z->lo, .up = z->up,
                        .eps = v->of.attr.x[0], .room = room };
    const int64_t groups = rob_priv_shape_size(&z->shape) / r.n;
    r.per = v->size / groups;
    for (int64_t g = 0; g < groups; g++)
        for (int side = 0; side < 2; side++) {
            if (lo != NULL) r.mean = (rob_check_box){ lo[g], up[g] };
            int64_t fault = fault_of(v, &r, g, side);
            if (fault >= 0)
                return rob_priv_check_refuse(w, c, "a plane of %s does not hold: number %lld",
                                             v->of.op->name, (long long)fault);
        }
    w->planes += 2 * v->size;
    return ROB_OK;
}

rob_status rob_priv_check_prove_rows(rob_check_work *w, int32_t value, const rob_claim *c,
                                     const rob_claim *mean)
{
    rob_status status = ROB_OK;
    rob_check_value *v = &w->net->value[value];
    const rob_check_link *in = &w->net->link[v->link];
    const int64_t m = rob_priv_shape_size(&in->shape), n = rob_priv_shape_cols(&in->shape);
    const bool norm = v->of.op->id == ROB_OP_rmsnorm;
    if (c->ins * c->count != m || (mean != NULL && (!norm || mean->ins != n)))
        return rob_priv_check_refuse(w, c, "planes of rows of %lld numbers are claimed",
                                     (long long)c->ins);
    double *room = rob_priv_allocate(&w->ctx->memory, 6 * n + 2 * (m / n), (int64_t)sizeof *room);
    if (room == NULL) return rob_priv_no_memory(w->ctx);
    double *lo = room + 6 * n, *up = lo + m / n;
    read_planes(&v->plane, c);
    if (norm) squares_of(w, v, n, lo, up);
    if (mean != NULL) TRY(prove_squares(w, v, mean, lo, up));
    TRY(prove_sides(w, value, c, room, norm ? lo : NULL, norm ? up : NULL));
    if (!rob_priv_check_couple(w, value)) status = rob_priv_no_memory(w->ctx);
done:
    rob_priv_release(&w->ctx->memory, room);
    return status;
}
