/* enclose.c -- intervals through a graph, emitting nodes: differentiable, no proof.
 *
 * From x_j in [lo_j, up_j]: in increasing id, [lo, up](n) = enclose_n([lo, up](inputs)),
 * each operator's own rule, in the evaluation's arithmetic. Ends that are one node stand
 * for a value that does not depend on x; such nodes are left as they are.
 *
 * A scan becomes a scan whose carries have two ends each: the body is enclosed instead of
 * evaluated. A carry starts exact and stays so, or is one of the least set closed under
 * the step's dependencies. Training of interval bounds differentiates the result.
 * (Gowal et al., On the effectiveness of interval bound propagation, 2018.) */
#include "diff/extract.h"
#include "diff/reach.h"

enum { MAX_NODE_INS = 1024, MOST = 128 };

typedef struct ends { rob_slots lo, up; } ends;

/* ---- recurrence ------------------------------------------------------------------------ */

typedef struct job {
    rob_cut cut;
    rob_node node;
    const rob_scan *s;
    bool live[MOST];                            /* carry has two ends */
    rob_id x[MOST], low[MOST], high[MOST];      /* of the step's inputs; low NONE: exact */
    rob_id ylow[MOST], yhigh[MOST];             /* of its outputs */
    int32_t slot[MOST];                         /* output of the new scan; -1: exact */
} job;

static rob_id seed(job *j, int32_t i, rob_id outer)
{
    rob_shape shape = rob_priv_shape(j->s->body, j->s->in[i]);
    if (i < j->s->carries) return rob_priv_cut_carry(&j->cut, shape, outer);
    if (i < j->s->carries + j->s->sequences)
        return rob_priv_cut_sequence(&j->cut, shape, outer);
    return rob_priv_cut_constant(&j->cut, shape, outer);
}

/* A live carry that starts exact has its start at both ends. */
static void seed_ends(job *j, const rob_id *lo, const rob_id *up)
{
    for (int32_t i = 0; i < j->node.ins; i++) {
        bool start = lo[i] == ROB_NONE;
        j->x[i] = j->low[i] = j->high[i] = ROB_NONE;
        if (i < j->s->carries ? !j->live[i] : start) continue;
        j->x[i] = j->s->in[i];
        j->low[i] = seed(j, i, start ? j->node.in[i] : lo[i]);
        j->high[i] = seed(j, i, start ? j->node.in[i] : up[i]);
    }
}

/* One attempt with the carries now thought live; true when a further one came alive. */
static bool sweep(rob_graph *g, rob_id scan, job *j, const rob_id *lo, const rob_id *up)
{
    if (j->cut.g != NULL) rob_priv_cut_free(&j->cut);
    if (!rob_priv_cut_make(&j->cut, g, scan)) return false;
    seed_ends(j, lo, up);
    rob_priv_enclose(j->cut.scratch, j->x, j->low, j->high, j->node.ins, j->s->out,
                     j->node.outs, j->ylow, j->yhigh);
    bool grew = false;
    for (int32_t i = 0; i < j->s->carries; i++) {
        if (j->ylow[i] == ROB_NONE || j->live[i]) continue;
        j->live[i] = grew = true;
    }
    return grew;
}

static void cut_body(job *j)
{
    for (int32_t k = 0; k < j->node.outs; k++) {
        bool exact = j->ylow[k] == ROB_NONE;
        j->slot[k] = -1;
        if (k < j->s->carries ? !j->live[k] : exact) continue;
        j->slot[k] = j->cut.outs;
        rob_priv_cut_output(
            &j->cut, rob_priv_cut_import(&j->cut, exact ? j->s->out[k] : j->ylow[k]));
        rob_priv_cut_output(
            &j->cut, rob_priv_cut_import(&j->cut, exact ? j->s->out[k] : j->yhigh[k]));
    }
}

static job *make_job(rob_graph *g, rob_id scan)
{
    rob_node n = rob_priv_node(g, scan);
    if (n.ins > MOST || n.outs > MOST) {
        rob_priv_graph_fail(g, ROB_EUNSUPPORTED, "intervals through a scan with over %d values",
                            MOST);
        return NULL;
    }
    job *j = rob_priv_allocate(rob_priv_graph_memory(g), 1, (int64_t)sizeof *j);
    if (j == NULL) {
        rob_priv_graph_fail(g, ROB_EMEMORY, "out of memory for intervals");
        return NULL;
    }
    j->node = n;
    j->s = n.scan;
    return j;
}

static void enclose_scan(rob_graph *g, rob_id scan, const rob_id *lo, const rob_id *up,
                         rob_id *ylo, rob_id *yup)
{
    job *j = make_job(g, scan);
    if (j == NULL) return;
    for (int32_t i = 0; i < j->s->carries; i++) j->live[i] = lo[i] != ROB_NONE;
    while (sweep(g, scan, j, lo, up))
        ;
    if (!rob_priv_graph_failed(g) && rob_priv_cut_begin(&j->cut)) {
        cut_body(j);
        rob_id pair = rob_priv_cut_finish(&j->cut, j->s->reverse);
        for (int32_t k = 0; k < j->node.outs && pair != ROB_NONE; k++) {
            if (j->slot[k] < 0) continue;
            ylo[k] = g_pick(g, pair, j->slot[k]);
            yup[k] = g_pick(g, pair, j->slot[k] + 1);
        }
    }
    if (j->cut.g != NULL) rob_priv_cut_free(&j->cut);
    rob_priv_release(rob_priv_graph_memory(g), j);
}

/* ---- one node -------------------------------------------------------------------------- */

static void emit(rob_graph *g, rob_id id, const rob_node *n, const ends *e)
{
    rob_id lo[MAX_NODE_INS], up[MAX_NODE_INS];
    for (int32_t i = 0; i < n->ins; i++) {
        lo[i] = *rob_priv_slot(&e->lo, n->in[i]);
        up[i] = *rob_priv_slot(&e->up, n->in[i]);
        if (lo[i] == ROB_NONE && n->scan == NULL) lo[i] = up[i] = n->in[i];
    }
    rob_id *ylo = rob_priv_slot(&e->lo, id), *yup = rob_priv_slot(&e->up, id);
    if (n->scan != NULL) enclose_scan(g, id, lo, up, ylo, yup);
    else if (n->op->enclose != NULL) n->op->enclose(g, id, lo, up, ylo, yup);
    else rob_priv_graph_fail(g, ROB_EUNSUPPORTED, "operator %s has no interval", n->op->name);
}

static void step(rob_graph *g, rob_id id, const ends *e, const uint8_t *reach)
{
    rob_node n = rob_priv_node(g, id);
    if (*rob_priv_slot(&e->lo, id) != ROB_NONE) return;     /* one of x itself */
    if (n.ins == 0 || !rob_priv_diff_reaches(reach, &n)) return;
    if (n.op == &rob_priv_op_pick) {
        *rob_priv_slot(&e->lo, id) = rob_priv_slot(&e->lo, n.in[0])[n.attr.i[0]];
        *rob_priv_slot(&e->up, id) = rob_priv_slot(&e->up, n.in[0])[n.attr.i[0]];
    } else if (n.ins > MAX_NODE_INS)
        rob_priv_graph_fail(g, ROB_EUNSUPPORTED, "a node with %d inputs", (int)n.ins);
    else
        emit(g, id, &n, e);
}

void rob_priv_enclose(rob_graph *g, const rob_id *x, const rob_id *lo, const rob_id *up,
                      int32_t xs, const rob_id *y, int32_t ys, rob_id *ylo, rob_id *yup)
{
    int32_t count = rob_priv_graph_count(g);
    ends e = {0};
    for (int32_t i = 0; i < ys; i++) ylo[i] = yup[i] = ROB_NONE;
    if (rob_priv_graph_failed(g)) return;
    uint8_t *reach = rob_priv_diff_reach(g, x, xs, count);
    if (reach != NULL && rob_priv_slots_make(g, count, &e.lo)
        && rob_priv_slots_make(g, count, &e.up)) {
        for (int32_t j = 0; j < xs; j++) {
            if (x[j] == ROB_NONE) continue;
            *rob_priv_slot(&e.lo, x[j]) = lo[j];
            *rob_priv_slot(&e.up, x[j]) = up[j];
        }
        for (rob_id id = 0; id < count && !rob_priv_graph_failed(g); id++)
            step(g, id, &e, reach);
        for (int32_t i = 0; i < ys && !rob_priv_graph_failed(g); i++) {
            if (y[i] == ROB_NONE) continue;
            ylo[i] = *rob_priv_slot(&e.lo, y[i]);
            yup[i] = *rob_priv_slot(&e.up, y[i]);
        }
    }
    rob_priv_slots_free(g, &e.lo);
    rob_priv_slots_free(g, &e.up);
    rob_priv_release(rob_priv_graph_memory(g), reach);
}
