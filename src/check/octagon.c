/* octagon.c -- what a certificate knows of a gate's two inputs together.
 *
 * With x and y the inputs (of the blend z and h - n), STRIP claims
 *     lo_k <= y - m_k x <= up_k,   k = 0, 1,   and of the blend   lo <= h - n <= up.
 * Each is a straight function of the gate's operands; rows +e_i and -e_i on the gate, moved
 * back with that function in the place of its planes, prove the ends that the operands'
 * ranges do not give.
 */
#include "check/claims.h"

#include <string.h>

enum { OF_BLEND = ROB_CHECK_STRIPS };

/* The function of claim f: slopes for each operand, element by element. */
static void write_slopes(const rob_check_value *v, const rob_claim *c, double *slope)
{
    const int64_t n = v->size;
    const bool blend = v->of.op->id == ROB_OP_blend;
    for (int64_t e = 0; e < n; e++) {
        slope[e] = c->row == OF_BLEND ? 0 : -c->at[e];
        slope[n + e] = blend ? -1 : 1;
        if (blend) slope[2 * n + e] = 1;
    }
}

/* lo, up: what the operands' ranges say of it */
static void image_of(rob_check_work *w, const rob_check_value *v, const rob_claim *c,
                     double *lo, double *up)
{
    const rob_range *in = rob_priv_check_operands(w, v);
    for (int64_t e = 0; e < v->size; e++) {
        const rob_check_joint *j = &v->joint[e];
        const double m = c->row == OF_BLEND ? 0 : c->at[e];
        const double a = m >= 0 ? in[0].up[e] : in[0].lo[e], b = m >= 0 ? in[0].lo[e] : in[0].up[e];
        lo[e] = fp_add_lo(j->second.lo, m == 0 ? 0 : -fp_mul_up(m, a));
        up[e] = fp_add_up(j->second.up, m == 0 ? 0 : -fp_mul_lo(m, b));
    }
}

static void store(rob_check_value *v, const rob_claim *c, const double *lo, const double *up)
{
    for (int64_t e = 0; e < v->size; e++) {
        rob_check_joint *j = &v->joint[e];
        const rob_check_box b = { fp_max(c->at[c->count + e], lo[e]),
                                  fp_min(c->at[2 * c->count + e], up[e]) };
        if (c->row == OF_BLEND) {
            j->second = b;
        } else {
            j->m[c->row] = c->at[e];
            j->rest[c->row] = b;
        }
    }
}

static rob_status prove(rob_check_work *w, int32_t value, const rob_claim *c, double *room)
{
    rob_check_value *v = &w->net->value[value];
    const int64_t n = v->size;
    double *slope = room, *zero = room + 3 * n, *lo = room + 4 * n, *up = room + 5 * n;
    write_slopes(v, c, slope);
    image_of(w, v, c, lo, up);
    for (int side = 0; side < 2; side++) {
        for (int32_t k = 0; k < v->ins; k++) v->plane.slope[side][k] = slope + k * n;
        v->plane.offset[side] = zero;
    }
    if (!rob_priv_check_weigh(w, value, &v->plane)) return rob_priv_no_memory(w->ctx);
    rob_claim ends = *c;
    ends.at = c->at + n;
    rob_status status = rob_priv_check_prove_ends(w, value, &ends, lo, up);
    if (status == ROB_OK) store(v, c, lo, up);
    v->plane = (rob_check_plane){ .weight = NULL };
    return status;
}

static bool is_gate(const rob_check_work *w, const rob_check_value *v)
{
    const int32_t op = v->of.op->id;
    if (v->kind != ROB_CHECK_CURVE
        || (op != ROB_OP_sigtanh && op != ROB_OP_sigmul && op != ROB_OP_blend))
        return false;
    for (int32_t i = 0; i < v->ins; i++)
        if (!w->net->value[w->net->link[v->link + i].value].live) return false;
    return true;
}

/* Nothing is known yet but the box. */
static bool begin(rob_check_work *w, rob_check_value *v)
{
    v->joint = rob_priv_check_own(w->net, v->size, (int64_t)sizeof *v->joint);
    if (v->joint == NULL) return false;
    const rob_range *in = rob_priv_check_operands(w, v);
    for (int64_t e = 0; e < v->size; e++) {
        rob_check_box second = { in[1].lo[e], in[1].up[e] };
        if (v->of.op->id == ROB_OP_blend)
            second = (rob_check_box){ fp_add_lo(in[2].lo[e], -in[1].up[e]),
                                      fp_add_up(in[2].up[e], -in[1].lo[e]) };
        v->joint[e] = (rob_check_joint){ .second = second };
    }
    return true;
}

rob_status rob_priv_check_prove_strips(rob_check_work *w, int32_t value,
                                       const rob_claim *const strip[ROB_CHECK_STRIPS + 1])
{
    static const int order[] = { OF_BLEND, 0, 1 };
    rob_check_value *v = &w->net->value[value];
    rob_status status = ROB_OK;
    const rob_claim *any = strip[0] ? strip[0] : strip[1] ? strip[1] : strip[2];
    if (any == NULL) return ROB_OK;
    if (!is_gate(w, v) || (strip[OF_BLEND] && v->of.op->id != ROB_OP_blend))
        return rob_priv_check_refuse(w, any, "a strip of what is no gate");
    double *room = rob_priv_check_own(w->net, 6 * v->size, (int64_t)sizeof *room);
    if (room == NULL || !begin(w, v)) return rob_priv_no_memory(w->ctx);
    for (int i = 0; i < COUNT_OF(order) && status == ROB_OK; i++)
        if (strip[order[i]] != NULL) status = prove(w, value, strip[order[i]], room);
    return status;
}
