/* graph.c -- nodes in a growing array, hash-consed.
 *
 * Identity of a node is (operator, attributes, inputs, tensor). A table of ids by the hash
 * of that identity (open addressing, load <= 1/2) makes the constructor return the id that
 * exists; so common subexpressions never exist twice, to any order of derivative. Nodes
 * with a life of their own (input, scan) are left out of the table.
 * Hash: FNV-1a over 64-bit words with a final avalanche (Fowler, Noll, Vo).
 */
#include "graph/graph.h"
#include "graph/operator.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 1024 };

/* Input lists live in chunks that never move, so rob_node.in stays valid. */
typedef struct id_chunk { struct id_chunk *next; int32_t used; rob_id id[CHUNK]; } id_chunk;

struct rob_graph {
    rob_memory memory;
    rob_node *node;
    int32_t count, capacity;
    id_chunk *chunk;
    rob_id *table;            /* ids + 1; 0 is empty */
    int64_t slots;
    rob_status status;
    char error[256];
};

/* ---- life ------------------------------------------------------------------------- */

static void free_scan(const rob_memory *m, rob_scan *s)
{
    if (s == NULL) return;
    rob_priv_graph_free(s->body);
    rob_priv_release(m, s->in);
    rob_priv_release(m, s->out);
    rob_priv_release(m, s);
}

rob_status rob_priv_graph_create(rob_ctx *ctx, rob_graph **out)
{
    *out = NULL;
    rob_graph *g = rob_priv_allocate(&ctx->memory, 1, (int64_t)sizeof *g);
    if (g == NULL) return rob_priv_no_memory(ctx);
    g->memory = ctx->memory;
    *out = g;
    return ROB_OK;
}

void rob_priv_graph_free(rob_graph *g)
{
    if (g == NULL) return;
    rob_memory m = g->memory;
    for (int32_t i = 0; i < g->count; i++) {
        rob_priv_tensor_free(g->node[i].tensor);
        free_scan(&m, g->node[i].scan);
    }
    for (id_chunk *c = g->chunk, *next; c != NULL; c = next) {
        next = c->next;
        rob_priv_release(&m, c);
    }
    rob_priv_release(&m, g->node);
    rob_priv_release(&m, g->table);
    rob_priv_release(&m, g);
}

rob_status rob_priv_graph_status(rob_ctx *ctx, const rob_graph *g)
{
    if (g->status == ROB_OK) return ROB_OK;
    return rob_priv_fail(ctx, g->status, "%s", g->error);
}

void rob_priv_graph_forgive(rob_graph *g) { g->status = ROB_OK; }

rob_id rob_priv_graph_fail(rob_graph *g, rob_status code, const char *format, ...)
{
    if (g->status != ROB_OK) return ROB_NONE;
    va_list list;
    va_start(list, format);
    vsnprintf(g->error, sizeof g->error, format, list);
    va_end(list);
    g->status = code;
    return ROB_NONE;
}

bool rob_priv_graph_failed(const rob_graph *g) { return g->status != ROB_OK; }
const rob_memory *rob_priv_graph_memory(const rob_graph *g) { return &g->memory; }
int32_t rob_priv_graph_count(const rob_graph *g) { return g->count; }
rob_node rob_priv_node(const rob_graph *g, rob_id id) { return g->node[id]; }

rob_shape rob_priv_shape(const rob_graph *g, rob_id id)
{
    return id >= 0 && id < g->count ? g->node[id].shape : (rob_shape){0};
}

/* ---- identity --------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t word) { return (h ^ word) * 0x100000001b3u; }

static uint64_t hash_of(const rob_node *n)
{
    uint64_t h = 0xcbf29ce484222325u, word;
    h = mix(h, (uint64_t)(uintptr_t)n->op);
    h = mix(h, (uint64_t)(uintptr_t)n->tensor);
    for (int32_t i = 0; i < n->ins; i++) h = mix(h, (uint64_t)n->in[i]);
    for (int32_t i = 0; i < 6; i++) h = mix(h, (uint64_t)n->attr.i[i]);
    for (int32_t i = 0; i < 2; i++) {
        memcpy(&word, &n->attr.x[i], sizeof word);
        h = mix(h, word);
    }
    h ^= h >> 31;
    h *= 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

static bool same_identity(const rob_node *a, const rob_node *b)
{
    return a->op == b->op && a->ins == b->ins && a->tensor == b->tensor
           && memcmp(&a->attr, &b->attr, sizeof a->attr) == 0
           && (a->ins == 0 || memcmp(a->in, b->in, (size_t)a->ins * sizeof *a->in) == 0);
}

/* Slot where the node is, or the empty one where it would go. */
static int64_t slot_of(const rob_graph *g, const rob_node *n)
{
    int64_t i = (int64_t)(hash_of(n) & (uint64_t)(g->slots - 1));
    while (g->table[i] != 0 && !same_identity(&g->node[g->table[i] - 1], n))
        i = (i + 1) & (g->slots - 1);
    return i;
}

static bool has_own_life(const rob_node *n)
{
    return (n->op->kind & ROB_OP_UNIQUE) != 0;
}

static rob_status grow_table(rob_graph *g)
{
    int64_t slots = g->slots > 0 ? 2 * g->slots : 256;
    rob_id *table = rob_priv_allocate(&g->memory, slots, (int64_t)sizeof *table);
    if (table == NULL) return ROB_EMEMORY;
    rob_priv_release(&g->memory, g->table);
    g->table = table;
    g->slots = slots;
    for (int32_t i = 0; i < g->count; i++)
        if (!has_own_life(&g->node[i])) g->table[slot_of(g, &g->node[i])] = i + 1;
    return ROB_OK;
}

/* ---- growth ----------------------------------------------------------------------- */

static rob_status make_room(rob_graph *g)
{
    if (g->count == INT32_MAX / 2) return ROB_ESHAPE;
    if (g->count == g->capacity) {
        int32_t capacity = g->capacity > 0 ? 2 * g->capacity : 128;
        rob_node *node = rob_priv_grow(&g->memory, g->node, g->count, capacity,
                                       (int64_t)sizeof *node);
        if (node == NULL) return ROB_EMEMORY;
        g->node = node;
        g->capacity = capacity;
    }
    if (2 * (int64_t)g->count >= g->slots) return grow_table(g);
    return ROB_OK;
}

static rob_id *room_for_ids(rob_graph *g, int32_t n)
{
    if (n > CHUNK) return NULL;
    if (g->chunk == NULL || g->chunk->used + n > CHUNK) {
        id_chunk *c = rob_priv_allocate(&g->memory, 1, (int64_t)sizeof *c);
        if (c == NULL) return NULL;
        c->next = g->chunk;
        g->chunk = c;
    }
    rob_id *ids = g->chunk->id + g->chunk->used;
    g->chunk->used += n;
    return ids;
}

static rob_id append(rob_graph *g, const rob_node *n)
{
    rob_id *in = room_for_ids(g, n->ins);
    if (in == NULL) return rob_priv_graph_fail(g, ROB_EMEMORY, "out of memory for a graph");
    if (n->ins > 0) memcpy(in, n->in, (size_t)n->ins * sizeof *in);
    g->node[g->count] = *n;
    g->node[g->count].in = in;
    rob_priv_tensor_keep(n->tensor);
    return g->count++;
}

static rob_id add(rob_graph *g, const rob_node *n)
{
    if (g->status != ROB_OK) return ROB_NONE;
    rob_status status = make_room(g);
    if (status < ROB_OK) return rob_priv_graph_fail(g, status, "out of memory for a graph");
    if (has_own_life(n)) return append(g, n);
    int64_t slot = slot_of(g, n);
    if (g->table[slot] != 0) return g->table[slot] - 1;
    rob_id id = append(g, n);
    if (id != ROB_NONE) g->table[slot] = id + 1;
    return id;
}

rob_id rob_priv_graph_add(rob_graph *g, const rob_node *n)
{
    rob_id id = add(g, n);
    if (id == ROB_NONE) free_scan(&g->memory, n->scan);
    return id;
}

static bool inputs_exist(rob_graph *g, const rob_op *op, const rob_id *in, int32_t ins)
{
    if (op->ins >= 0 && ins != op->ins) {
        rob_priv_graph_fail(g, ROB_EARGUMENT, "operator %s takes %d inputs, not %d",
                            op->name, (int)op->ins, (int)ins);
        return false;
    }
    for (int32_t i = 0; i < ins; i++) {
        if (in[i] >= 0 && in[i] < g->count) continue;
        rob_priv_graph_fail(g, ROB_EARGUMENT, "input %d of operator %s is no node: %d",
                            (int)i, op->name, (int)in[i]);
        return false;
    }
    return true;
}

rob_id rob_priv_apply(rob_graph *g, const rob_op *op, const rob_id *in, int32_t ins,
                      rob_attr attr)
{
    if (g->status != ROB_OK || !inputs_exist(g, op, in, ins)) return ROB_NONE;
    rob_node n = {.op = op, .ins = ins, .outs = 1, .in = in, .attr = attr};
    if (!op->shape(g, in, ins, &attr, &n.shape)) return ROB_NONE;
    if (op->outs != NULL) n.outs = op->outs(&attr);
    if (op->fold != NULL) {
        rob_id simpler = op->fold(g, in, ins, &attr);
        if (simpler != ROB_NONE || g->status != ROB_OK) return simpler;
    }
    return rob_priv_graph_add(g, &n);
}

void rob_priv_graph_set_outs(rob_graph *g, rob_id id, int32_t outs) { g->node[id].outs = outs; }
