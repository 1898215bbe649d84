/* concat.c -- operands of a concat are computed where the concat wants them.
 *
 * Backwards over the program, so that a concat inside a concat knows its own place
 * first. An operand goes into its part when it has memory of its own, no other place
 * already, a kernel that writes rows with a stride, and the part is at most two loops.
 */
#include "run/plan.h"

static bool may_go_anywhere(const run_build *b, rob_id id)
{
    const rob_op *op = rob_priv_node(b->g, id).op;
    const bool strided = (op->kind & ROB_OP_ELEMENTWISE) || op->id == ROB_OP_matmul
                         || op->id == ROB_OP_concat;
    return strided && rob_priv_run_owns(b, id) && b->preset[id].root < 0
           && b->fused[id] < 0;
}

static bool is_rows_and_columns(const rob_shape *s, const run_place *p)
{
    int64_t dim[ROB_MAX_RANK], step[1][ROB_MAX_RANK];
    const int32_t loops = rob_priv_run_loops(s, &p, 1, dim, step);
    return loops < 2 || (loops == 2 && step[0][1] == 1);
}

static void place_operands(run_build *b, rob_id id)
{
    const rob_node n = rob_priv_node(b->g, id);
    const int64_t axis = n.attr.i[0];
    run_place part = b->preset[id];
    for (int32_t i = 0; i < n.ins; i++) {
        const rob_shape s = rob_priv_shape(b->g, n.in[i]);
        if (may_go_anywhere(b, n.in[i]) && is_rows_and_columns(&s, &part))
            b->preset[n.in[i]] = part;
        part.offset += s.dim[axis] * part.stride[axis];
    }
}

void rob_priv_run_place_concats(run_build *b)
{
    for (rob_id id = b->count - 1; id >= 0 && b->maker->status == ROB_OK; id--) {
        if (b->stage[id] < 0 || rob_priv_node(b->g, id).op->id != ROB_OP_concat)
            continue;
        b->preset[id] = rob_priv_run_own(b, id, false);
        place_operands(b, id);
    }
}
