/* mark.c -- which values a program needs, in which stage, and how often they are read.
 *
 * Backwards over the topological order: the operands of a needed value are needed, at
 * the latest in its stage. Of a scan only the outputs that are read count: its carries
 * needed are the least set that holds those read outside and those their step depends
 * on.
 */
#include "run/plan.h"

#include <string.h>

run_build *rob_priv_run_build(run_maker *m, run_build *parent, const rob_graph *g)
{
    run_build *b = rob_priv_run_scratch(m, 1, sizeof *b);
    if (!b) return NULL;
    const int32_t n = rob_priv_graph_count(g);
    *b = (run_build){ .maker = m, .parent = parent, .g = g, .count = n };
    b->stage = rob_priv_run_scratch(m, n, sizeof *b->stage);
    b->uses = rob_priv_run_scratch(m, n, sizeof *b->uses);
    b->fused = rob_priv_run_scratch(m, n, sizeof *b->fused);
    b->at = rob_priv_run_scratch(m, n, sizeof *b->at);
    b->preset = rob_priv_run_scratch(m, n, sizeof *b->preset);
    b->plain = rob_priv_run_scratch(m, n, sizeof *b->plain);
    b->plainness = rob_priv_run_scratch(m, n, 1);
    b->outs = rob_priv_run_scratch(m, n, sizeof *b->outs);
    b->wanted = rob_priv_run_scratch(m, n, sizeof *b->wanted);
    b->body = rob_priv_run_scratch(m, n, sizeof *b->body);
    b->sunk = rob_priv_run_scratch(m, n, sizeof *b->sunk);
    if (m->status != ROB_OK) return NULL;
    for (int32_t i = 0; i < n; i++) {
        b->stage[i] = b->fused[i] = -1;
        b->at[i].root = b->preset[i].root = -1;
    }
    return b;
}

void rob_priv_run_need(run_build *b, rob_id id, int32_t stage)
{
    if (b->stage[id] < 0 || stage < b->stage[id]) b->stage[id] = stage;
    b->uses[id]++;
}

bool rob_priv_run_owns(const run_build *b, rob_id id)
{
    switch (rob_priv_node(b->g, id).op->id) {
    case ROB_OP_input:
    case ROB_OP_constant:
    case ROB_OP_fill:
    case ROB_OP_split:
    case ROB_OP_pick:
    case ROB_OP_reshape:
    case ROB_OP_expand:
    case ROB_OP_permute:
    case ROB_OP_scan:
        return false;
    default:
        return true;
    }
}

/* the scan's outputs read: noted by pick, before the scan itself is met */
static void want_output(run_build *b, rob_id scan, int64_t k, const rob_scan *s)
{
    if (!b->wanted[scan])
        b->wanted[scan] = rob_priv_run_scratch(b->maker, s->carries + s->ys, 1);
    if (b->wanted[scan]) b->wanted[scan][k] = 1;
}

static void forget(run_build *body)
{
    for (int32_t i = 0; i < body->count; i++) {
        body->stage[i] = -1;
        body->uses[i] = 0;
        body->wanted[i] = NULL;
    }
}

/* seeds of the body for the outputs wanted; then one sweep; true: more carries needed
 */
static bool sweep_body(run_build *body, const rob_scan *s, uint8_t *wanted)
{
    bool grew = false;
    forget(body);
    for (int32_t k = 0; k < s->carries + s->ys; k++)
        if (wanted[k]) rob_priv_run_need(body, s->out[k], 0);
    rob_priv_run_mark(body);
    for (int32_t i = 0; i < s->carries; i++)
        if (!wanted[i] && body->stage[s->in[i]] >= 0) wanted[i] = grew = true;
    return grew;
}

void rob_priv_run_mark_scan(run_build *b, rob_id id)
{
    const rob_node n = rob_priv_node(b->g, id);
    const rob_scan *s = n.scan;
    run_build *body = b->body[id];
    if (!body) body = b->body[id] = rob_priv_run_build(b->maker, b, s->body);
    uint8_t *wanted = rob_priv_run_scratch(b->maker, s->carries + s->ys, 1);
    if (b->maker->status != ROB_OK) return;
    if (b->wanted[id]) memcpy(wanted, b->wanted[id], (size_t)(s->carries + s->ys));
    while (sweep_body(body, s, wanted) && b->maker->status == ROB_OK)
        ;
    b->wanted[id] = wanted;
    for (int32_t i = 0; i < n.ins; i++)
        if (body->stage[s->in[i]] >= 0) rob_priv_run_need(b, n.in[i], b->stage[id]);
}

void rob_priv_run_mark(run_build *b)
{
    for (rob_id id = b->count - 1; id >= 0 && b->maker->status == ROB_OK; id--) {
        if (b->stage[id] < 0) continue;
        const rob_node n = rob_priv_node(b->g, id);
        if (n.op->id == ROB_OP_scan) {
            rob_priv_run_mark_scan(b, id);
            continue;
        }
        for (int32_t i = 0; i < n.ins; i++) rob_priv_run_need(b, n.in[i], b->stage[id]);
        if (n.op->id == ROB_OP_pick) {
            const rob_node from = rob_priv_node(b->g, n.in[0]);
            if (from.scan) want_output(b, n.in[0], n.attr.i[0], from.scan);
        }
    }
}
