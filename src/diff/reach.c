/* reach.c -- which values depend on given ones: reach[id] = 1 for every id in x and every
 * node with an input so marked. Ids are a topological order, so one pass suffices. */
#include "diff/reach.h"

#include "op/op.h"

bool rob_priv_diff_reaches(const uint8_t *reach, const rob_node *n)
{
    for (int32_t i = 0; i < n->ins; i++)
        if (reach[n->in[i]]) return true;
    return false;
}

uint8_t *rob_priv_diff_reach(rob_graph *g, const rob_id *x, int32_t xs, int32_t count)
{
    uint8_t *reach = rob_priv_allocate(rob_priv_graph_memory(g), count + 1, 1);
    if (reach == NULL) {
        rob_priv_graph_fail(g, ROB_EMEMORY, "out of memory for a derivative");
        return NULL;
    }
    for (int32_t j = 0; j < xs; j++)
        if (x[j] != ROB_NONE) reach[x[j]] = 1;
    for (rob_id id = 0; id < count; id++) {
        rob_node n = rob_priv_node(g, id);
        if (!reach[id]) reach[id] = rob_priv_diff_reaches(reach, &n);
    }
    return reach;
}

/* ---- one derivative value per output of every node ----------------------------------- */

bool rob_priv_slots_make(rob_graph *g, int32_t count, rob_slots *out)
{
    const rob_memory *m = rob_priv_graph_memory(g);
    int64_t total = 0;
    *out = (rob_slots){.first = rob_priv_allocate(m, count + 1, sizeof(int64_t))};
    if (out->first == NULL) goto failed;
    for (rob_id id = 0; id < count; id++) {
        out->first[id] = total;
        total += rob_priv_node(g, id).outs;
    }
    out->first[count] = total;
    out->value = rob_priv_allocate(m, total + 1, sizeof(rob_id));
    if (out->value == NULL) goto failed;
    for (int64_t i = 0; i <= total; i++) out->value[i] = ROB_NONE;
    return true;
failed:
    rob_priv_slots_free(g, out);
    rob_priv_graph_fail(g, ROB_EMEMORY, "out of memory for a derivative");
    return false;
}

void rob_priv_slots_free(rob_graph *g, rob_slots *s)
{
    rob_priv_release(rob_priv_graph_memory(g), s->first);
    rob_priv_release(rob_priv_graph_memory(g), s->value);
    *s = (rob_slots){0};
}

rob_id *rob_priv_slot(const rob_slots *s, rob_id id) { return s->value + s->first[id]; }
