/* extract.c -- cut the derivative part of a scan's body into a body of its own.
 *
 * The scratch body holds the forward step (ids < forward) and the nodes a sweep emitted
 * behind it. Emitted nodes are copied. A forward value they need comes
 *   - as the same sequence or constant, where it is an input of the step;
 *   - recomputed, where it is a view or cheap arithmetic of values already at hand;
 *   - else from a stash: the forward scan stacks it over all steps (it gains an output),
 *     and the new scan reads the stack as a sequence.
 * So nothing expensive is computed twice, and memory is what backpropagation needs. */
#include "diff/extract.h"

#include <string.h>

/* ---- life ------------------------------------------------------------------------- */

bool rob_priv_cut_make(rob_cut *c, rob_graph *g, rob_id scan)
{
    *c = (rob_cut){.g = g, .scan = scan, .of = rob_priv_node(g, scan).scan};
    if (rob_priv_graph_clone(NULL, c->of->body, &c->scratch) < ROB_OK) {
        rob_priv_graph_fail(g, ROB_EMEMORY, "out of memory for a derivative");
        return false;
    }
    c->forward = rob_priv_graph_count(c->scratch);
    return true;
}

void rob_priv_cut_free(rob_cut *c)
{
    const rob_memory *m = rob_priv_graph_memory(c->g);
    rob_priv_graph_free(c->scratch);
    rob_priv_graph_free(c->body);
    rob_priv_release(m, c->map);
    rob_priv_release(m, c->carry);
    rob_priv_release(m, c->sequence);
    rob_priv_release(m, c->constant);
    rob_priv_release(m, c->out);
    *c = (rob_cut){0};
}

static void out_of_memory(rob_cut *c)
{
    rob_priv_graph_fail(c->g, ROB_EMEMORY, "out of memory for a derivative");
}

/* Append to a list that grows by doubling at powers of two. */
static void push(rob_cut *c, rob_feed **list, int32_t *n, rob_feed item)
{
    if ((*n & (*n - 1)) == 0) {
        rob_feed *more = rob_priv_grow(rob_priv_graph_memory(c->g), *list, *n,
                                       *n > 0 ? 2 * *n : 1, (int64_t)sizeof **list);
        if (more == NULL) {
            out_of_memory(c);
            return;
        }
        *list = more;
    }
    (*list)[(*n)++] = item;
}

/* ---- seeds ------------------------------------------------------------------------ */

rob_id rob_priv_cut_carry(rob_cut *c, rob_shape shape, rob_id outer)
{
    if (outer == ROB_NONE) outer = rob_priv_fill(c->g, shape, 0);
    rob_id id = rob_priv_input(c->scratch, shape);
    push(c, &c->carry, &c->carries, (rob_feed){id, ROB_NONE, outer});
    return id;
}

rob_id rob_priv_cut_sequence(rob_cut *c, rob_shape shape, rob_id outer)
{
    rob_id id = rob_priv_input(c->scratch, shape);
    push(c, &c->sequence, &c->sequences, (rob_feed){id, ROB_NONE, outer});
    return id;
}

rob_id rob_priv_cut_constant(rob_cut *c, rob_shape shape, rob_id outer)
{
    rob_id id = rob_priv_input(c->scratch, shape);
    push(c, &c->constant, &c->constants, (rob_feed){id, ROB_NONE, outer});
    return id;
}

/* ---- the new body ----------------------------------------------------------------- */

static void seed_inputs(rob_cut *c, rob_feed *list, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        list[i].inner = rob_priv_input(c->body, rob_priv_shape(c->scratch, list[i].scratch));
        c->map[list[i].scratch] = list[i].inner;
    }
}

bool rob_priv_cut_begin(rob_cut *c)
{
    const rob_memory *m = rob_priv_graph_memory(c->g);
    rob_ctx plain = {.memory = *m};
    if (rob_priv_graph_failed(c->scratch)) {
        rob_status status = rob_priv_graph_status(&plain, c->scratch);
        rob_priv_graph_fail(c->g, status, "%s", plain.error);
    }
    if (rob_priv_graph_failed(c->g)) return false;
    c->mapped = rob_priv_graph_count(c->scratch);
    c->map = rob_priv_allocate(m, c->mapped + 1, (int64_t)sizeof *c->map);
    if (c->map == NULL || rob_priv_graph_create(&plain, &c->body) < ROB_OK) {
        out_of_memory(c);
        return false;
    }
    for (int32_t i = 0; i < c->mapped; i++) c->map[i] = ROB_NONE;
    seed_inputs(c, c->carry, c->carries);
    seed_inputs(c, c->sequence, c->sequences);
    seed_inputs(c, c->constant, c->constants);
    return true;
}

static rob_id feed_sequence(rob_cut *c, rob_id scratch, rob_id outer)
{
    rob_id inner = rob_priv_input(c->body, rob_priv_shape(c->scratch, scratch));
    push(c, &c->sequence, &c->sequences, (rob_feed){scratch, inner, outer});
    return inner;
}

/* Read forward value v of every step from the forward scan. */
static rob_id stash(rob_cut *c, rob_id v)
{
    int32_t k = rob_priv_scan_stack(c->g, c->scan, v);
    return k < 0 ? ROB_NONE : feed_sequence(c, v, g_pick(c->g, c->scan, k));
}

/* Position of v among the step's inputs, or -1. */
static int32_t input_position(const rob_scan *s, rob_id v)
{
    for (int32_t i = 0; i < s->carries + s->sequences + s->constants; i++)
        if (s->in[i] == v) return i;
    return -1;
}

static rob_id import_input(rob_cut *c, rob_id v, int32_t position)
{
    rob_id outer = rob_priv_node(c->g, c->scan).in[position];
    if (position < c->of->carries) return stash(c, v);
    if (position < c->of->carries + c->of->sequences) return feed_sequence(c, v, outer);
    rob_id inner = rob_priv_input(c->body, rob_priv_shape(c->scratch, v));
    push(c, &c->constant, &c->constants, (rob_feed){v, inner, outer});
    return inner;
}

/* Forward value that costs no stash: mapped already, input-free, or not a carry input. */
static bool is_at_hand(const rob_cut *c, rob_id v)
{
    if (c->map[v] != ROB_NONE) return true;
    int32_t position = input_position(c->of, v);
    if (position >= 0) return position >= c->of->carries;
    return rob_priv_node(c->scratch, v).ins == 0;
}

static bool is_recomputed(const rob_cut *c, const rob_node *n)
{
    if (n->ins == 0 || (n->op->kind & ROB_OP_VIEW) != 0) return true;
    if ((n->op->kind & ROB_OP_CHEAP) == 0) return false;
    for (int32_t i = 0; i < n->ins; i++)
        if (!is_at_hand(c, n->in[i])) return false;
    return true;
}

static rob_id copy_node(rob_cut *c, const rob_node *n)
{
    rob_id in[64];
    if (n->scan != NULL || n->ins > 64)
        return rob_priv_graph_fail(c->g, ROB_EUNSUPPORTED,
                                   "a derivative through a scan inside a scan");
    for (int32_t i = 0; i < n->ins; i++) {
        in[i] = rob_priv_cut_import(c, n->in[i]);
        if (in[i] == ROB_NONE) return ROB_NONE;
    }
    if (n->tensor != NULL) return rob_priv_constant(c->body, n->tensor);
    return rob_priv_apply(c->body, n->op, in, n->ins, n->attr);
}

static rob_id bring(rob_cut *c, rob_id v)
{
    rob_node n = rob_priv_node(c->scratch, v);
    if (v >= c->forward) return copy_node(c, &n);
    int32_t position = input_position(c->of, v);
    if (position >= 0) return import_input(c, v, position);
    return is_recomputed(c, &n) ? copy_node(c, &n) : stash(c, v);
}

rob_id rob_priv_cut_import(rob_cut *c, rob_id v)
{
    if (v == ROB_NONE || rob_priv_graph_failed(c->g)) return ROB_NONE;
    if (c->map[v] == ROB_NONE) c->map[v] = bring(c, v);
    return c->map[v];
}

void rob_priv_cut_output(rob_cut *c, rob_id inner)
{
    if ((c->outs & (c->outs - 1)) == 0) {
        rob_id *more = rob_priv_grow(rob_priv_graph_memory(c->g), c->out, c->outs,
                                     c->outs > 0 ? 2 * c->outs : 1, (int64_t)sizeof *more);
        if (more == NULL) {
            out_of_memory(c);
            return;
        }
        c->out = more;
    }
    c->out[c->outs++] = inner;
}

/* ---- the new scan ----------------------------------------------------------------- */

static void list_feeds(const rob_feed *list, int32_t n, rob_id *inner, rob_id *outer)
{
    for (int32_t i = 0; i < n; i++) {
        inner[i] = list[i].inner;
        outer[i] = list[i].outer;
    }
}

rob_id rob_priv_cut_finish(rob_cut *c, int32_t reverse)
{
    enum { MOST = 512 };
    rob_id inner[MOST], outer[MOST], scan;
    int32_t a = c->carries, b = a + c->sequences, n = b + c->constants;
    rob_ctx plain = {.memory = *rob_priv_graph_memory(c->g)};
    rob_status status = rob_priv_graph_status(&plain, c->body);
    if (status < ROB_OK) rob_priv_graph_fail(c->g, status, "%s", plain.error);
    if (n > MOST) rob_priv_graph_fail(c->g, ROB_EUNSUPPORTED, "a scan with %d inputs", (int)n);
    if (rob_priv_graph_failed(c->g)) return ROB_NONE;
    list_feeds(c->carry, c->carries, inner, outer);
    list_feeds(c->sequence, c->sequences, inner + a, outer + a);
    list_feeds(c->constant, c->constants, inner + b, outer + b);
    rob_graph *body = c->body;
    c->body = NULL;
    scan = rob_priv_scan(c->g, body, c->carries, c->sequences, c->constants,
                         c->outs - c->carries, inner, c->out, c->of->steps, reverse, outer);
    return scan;
}
