/* scan.c -- derivatives of a recurrence are recurrences.
 *
 * Let (c_{t+1}, y_t) = body(c_t, x_t, w). With adjoints a of carries, b of ys:
 *     a_t  = (d c_{t+1}/d c_t)' a_{t+1} + (d y_t/d c_t)' b_t         (scan, reversed)
 *     dx_t = (d c_{t+1}/d x_t)' a_{t+1} + (d y_t/d x_t)' b_t         (stacked)
 *     dw   = sum_t (...)                                            (after the scan)
 * Tangents run in the scan's own direction. Both read forward values from stashes
 * (extract.c). dw is linear in the step's terms, so the sum over t is moved inside:
 * sum_t A_t' B_t is one product of the stacks with K = T*B, and so on (reduce below).
 * A carry whose derivative vanishes identically gets none: the set of live carries is the
 * least fixed point of the step's dependencies. */
#include "diff/extract.h"
#include "diff/reach.h"

enum { MOST = 256 };          /* carries, sequences, constants, ys of a differentiated scan */

typedef struct job {
    rob_cut cut;
    rob_node node;
    const rob_scan *s;
    bool live[MOST];          /* carry has a derivative */
    rob_id seed[2 * MOST];    /* vjp: adjoints of outputs; jvp: tangents of inputs */
    rob_id result[2 * MOST];  /* vjp: adjoints of inputs; jvp: tangents of outputs */
    int32_t slot[2 * MOST];   /* output of the new scan that holds a result; -1 none */
} job;

static bool is_small_enough(rob_graph *g, const rob_scan *s)
{
    bool small = s->carries + s->sequences + s->constants <= MOST && s->carries + s->ys <= MOST;
    if (!small) rob_priv_graph_fail(g, ROB_EUNSUPPORTED, "a scan with over %d values", MOST);
    return small;
}

static job *make_job(rob_graph *g, rob_id scan)
{
    rob_node n = rob_priv_node(g, scan);
    if (rob_priv_graph_failed(g) || !is_small_enough(g, n.scan)) return NULL;
    job *j = rob_priv_allocate(rob_priv_graph_memory(g), 1, (int64_t)sizeof *j);
    if (j == NULL) {
        rob_priv_graph_fail(g, ROB_EMEMORY, "out of memory for a derivative");
        return NULL;
    }
    j->node = n;
    j->s = n.scan;
    return j;
}

static void free_job(rob_graph *g, job *j)
{
    if (j->cut.g != NULL) rob_priv_cut_free(&j->cut);
    rob_priv_release(rob_priv_graph_memory(g), j);
}

static rob_shape body_shape(const job *j, rob_id id) { return rob_priv_shape(j->s->body, id); }

/* ---- reverse: one attempt with the carries now thought live ------------------------- */

static void seed_adjoints(job *j, const rob_id *dy)
{
    for (int32_t k = 0; k < j->s->carries + j->s->ys; k++) {
        rob_shape shape = body_shape(j, j->s->out[k]);
        j->seed[k] = ROB_NONE;
        if (k < j->s->carries && j->live[k])
            j->seed[k] = rob_priv_cut_carry(&j->cut, shape, dy[k]);
        else if (k >= j->s->carries && dy[k] != ROB_NONE)
            j->seed[k] = rob_priv_cut_sequence(&j->cut, shape, dy[k]);
    }
}

/* true when a further carry came alive */
static bool sweep_back(rob_graph *g, rob_id scan, job *j, const rob_id *dy, const uint8_t *wanted)
{
    int32_t ins = j->s->carries + j->s->sequences + j->s->constants;
    rob_id x[MOST];
    if (j->cut.g != NULL) rob_priv_cut_free(&j->cut);
    if (!rob_priv_cut_make(&j->cut, g, scan)) return false;
    seed_adjoints(j, dy);
    for (int32_t i = 0; i < ins; i++)
        x[i] = i < j->s->carries || wanted[i] ? j->s->in[i] : ROB_NONE;
    rob_priv_vjp(j->cut.scratch, j->s->out, j->seed, j->s->carries + j->s->ys, x, ins,
                 j->result);
    bool grew = false;
    for (int32_t i = 0; i < j->s->carries; i++) {
        if (j->result[i] == ROB_NONE || j->live[i]) continue;
        j->live[i] = grew = true;
    }
    return grew;
}

/* ---- sums over steps, moved inside --------------------------------------------------- */

/* Visit the leaves of r = sum of reducers; when `scan` is ROB_NONE only import what will
 * have to be stacked, else answer the value in the outer graph of sum_t r_t. */
static rob_id reduce(job *j, rob_id r, rob_id scan);

/* (T, ...) stack of the step's value v */
static rob_id stack_of(job *j, rob_id v, rob_id scan)
{
    rob_cut *c = &j->cut;
    bool is_forward = v < c->forward;
    if (scan == ROB_NONE) {
        if (!is_forward) rob_priv_cut_import(c, v);
        return ROB_NONE;
    }
    rob_id from = is_forward ? c->scan : scan;
    int32_t k = rob_priv_scan_stack(c->g, from, is_forward ? v : c->map[v]);
    return k < 0 ? ROB_NONE : g_pick(c->g, from, k);
}

static rob_id sum_of_stack(job *j, rob_id v, rob_shape shape, rob_id scan)
{
    rob_id stack = stack_of(j, v, scan);
    return stack == ROB_NONE ? ROB_NONE : g_sum_to(j->cut.g, stack, shape);
}

/* (T, B, N) -> (T*B, N) */
static rob_id rows_of_steps(rob_graph *g, rob_id stack)
{
    rob_shape s = rob_priv_shape(g, stack);
    return g_reshape(g, stack, rob_priv_shape2(s.dim[0] * s.dim[1], s.dim[2]));
}

/* sum_t A_t' B_t = (stack A)' (stack B) */
static rob_id reduce_product(job *j, const rob_node *n, rob_id scan)
{
    rob_id a = stack_of(j, n->in[0], scan), b = stack_of(j, n->in[1], scan);
    if (a == ROB_NONE || b == ROB_NONE) return ROB_NONE;
    rob_graph *g = j->cut.g;
    return g_matmul(g, rows_of_steps(g, a), rows_of_steps(g, b), 1, 0);
}

static bool is_outer_product(const rob_graph *g, const rob_node *n)
{
    return n->op == &rob_priv_op_matmul && n->attr.i[0] == 1 && n->attr.i[1] == 0
           && rob_priv_shape(g, n->in[0]).rank == 2;
}

static rob_id reduce_sum(job *j, const rob_node *n, rob_id scan)
{
    rob_id a = reduce(j, n->in[0], scan), b = reduce(j, n->in[1], scan);
    if (a == ROB_NONE || b == ROB_NONE) return ROB_NONE;
    return n->op == &rob_priv_op_add ? g_add(j->cut.g, a, b) : g_sub(j->cut.g, a, b);
}

static rob_id reduce(job *j, rob_id r, rob_id scan)
{
    rob_node n = rob_priv_node(j->cut.scratch, r);
    if (rob_priv_graph_failed(j->cut.g)) return ROB_NONE;
    if (n.op == &rob_priv_op_add || n.op == &rob_priv_op_sub) return reduce_sum(j, &n, scan);
    if (is_outer_product(j->cut.scratch, &n)) return reduce_product(j, &n, scan);
    if (n.op == &rob_priv_op_sum_to) return sum_of_stack(j, n.in[0], n.shape, scan);
    if (n.op == &rob_priv_op_affine && n.attr.x[1] == 0) {
        rob_id a = reduce(j, n.in[0], scan);
        return a == ROB_NONE ? ROB_NONE : g_affine(j->cut.g, a, n.attr.x[0], 0);
    }
    return sum_of_stack(j, r, n.shape, scan);
}

/* ---- reverse: the new scan ------------------------------------------------------------ */

static rob_id imported_or_zero(job *j, rob_id v, rob_shape shape)
{
    return v == ROB_NONE ? rob_priv_fill(j->cut.body, shape, 0)
                         : rob_priv_cut_import(&j->cut, v);
}

static void cut_reverse_body(job *j, const uint8_t *wanted)
{
    const rob_scan *s = j->s;
    for (int32_t i = 0; i < s->carries; i++) {
        j->slot[i] = -1;
        if (!j->live[i]) continue;
        j->slot[i] = j->cut.outs;
        rob_priv_cut_output(&j->cut, imported_or_zero(j, j->result[i], body_shape(j, s->in[i])));
    }
    for (int32_t i = s->carries; i < s->carries + s->sequences; i++) {
        j->slot[i] = -1;
        if (!wanted[i] || j->result[i] == ROB_NONE) continue;
        j->slot[i] = j->cut.outs;
        rob_priv_cut_output(&j->cut, rob_priv_cut_import(&j->cut, j->result[i]));
    }
    for (int32_t i = s->carries + s->sequences; i < j->node.ins; i++)
        if (wanted[i] && j->result[i] != ROB_NONE) reduce(j, j->result[i], ROB_NONE);
}

static void read_reverse(rob_graph *g, job *j, rob_id scan, const uint8_t *wanted, rob_id *dx)
{
    int32_t weights = j->s->carries + j->s->sequences;
    for (int32_t i = 0; i < j->node.ins; i++) {
        if (!wanted[i] || scan == ROB_NONE) continue;
        if (i < weights && j->slot[i] >= 0) dx[i] = g_pick(g, scan, j->slot[i]);
        if (i >= weights && j->result[i] != ROB_NONE) dx[i] = reduce(j, j->result[i], scan);
    }
}

void rob_priv_scan_vjp(rob_graph *g, rob_id scan, const rob_id *dy, const uint8_t *wanted,
                       rob_id *dx)
{
    job *j = make_job(g, scan);
    if (j == NULL) return;
    for (int32_t i = 0; i < j->s->carries; i++) j->live[i] = dy[i] != ROB_NONE;
    while (sweep_back(g, scan, j, dy, wanted))
        ;
    if (!rob_priv_graph_failed(g) && rob_priv_cut_begin(&j->cut)) {
        cut_reverse_body(j, wanted);
        read_reverse(g, j, rob_priv_cut_finish(&j->cut, !j->s->reverse), wanted, dx);
    }
    free_job(g, j);
}

/* ---- forward -------------------------------------------------------------------------- */

static void seed_tangents(job *j, const rob_id *dx)
{
    int32_t a = j->s->carries, b = a + j->s->sequences;
    for (int32_t i = 0; i < j->node.ins; i++) {
        rob_shape shape = body_shape(j, j->s->in[i]);
        j->seed[i] = ROB_NONE;
        if (i < a && j->live[i]) j->seed[i] = rob_priv_cut_carry(&j->cut, shape, dx[i]);
        else if (i >= b && dx[i] != ROB_NONE)
            j->seed[i] = rob_priv_cut_constant(&j->cut, shape, dx[i]);
        else if (i >= a && dx[i] != ROB_NONE)
            j->seed[i] = rob_priv_cut_sequence(&j->cut, shape, dx[i]);
    }
}

/* The step's inputs that have a tangent, side by side with their seeds. */
static bool sweep_on(rob_graph *g, rob_id scan, job *j, const rob_id *dx, int32_t outs)
{
    rob_id x[MOST], v[MOST];
    int32_t n = 0;
    if (j->cut.g != NULL) rob_priv_cut_free(&j->cut);
    if (!rob_priv_cut_make(&j->cut, g, scan)) return false;
    seed_tangents(j, dx);
    for (int32_t i = 0; i < j->node.ins; i++) {
        if (j->seed[i] == ROB_NONE) continue;
        x[n] = j->s->in[i];
        v[n++] = j->seed[i];
    }
    rob_priv_jvp(j->cut.scratch, x, v, n, j->s->out, outs, j->result);
    bool grew = false;
    for (int32_t i = 0; i < j->s->carries; i++) {
        if (j->result[i] == ROB_NONE || j->live[i]) continue;
        j->live[i] = grew = true;
    }
    return grew;
}

static void cut_forward_body(job *j, int32_t outs)
{
    const rob_scan *s = j->s;
    for (int32_t k = 0; k < outs; k++) {
        j->slot[k] = -1;
        if (k < s->carries ? !j->live[k] : j->result[k] == ROB_NONE) continue;
        j->slot[k] = j->cut.outs;
        rob_priv_cut_output(&j->cut, imported_or_zero(j, j->result[k], body_shape(j, s->out[k])));
    }
}

void rob_priv_scan_jvp(rob_graph *g, rob_id scan, const rob_id *dx, rob_id *dy)
{
    job *j = make_job(g, scan);
    if (j == NULL) return;
    int32_t outs = j->node.outs;
    for (int32_t i = 0; i < j->s->carries; i++) j->live[i] = dx[i] != ROB_NONE;
    while (sweep_on(g, scan, j, dx, outs))
        ;
    if (!rob_priv_graph_failed(g) && rob_priv_cut_begin(&j->cut)) {
        cut_forward_body(j, outs);
        rob_id tangent = rob_priv_cut_finish(&j->cut, j->s->reverse);
        for (int32_t k = 0; k < outs && tangent != ROB_NONE; k++)
            if (j->slot[k] >= 0) dy[k] = g_pick(g, tangent, j->slot[k]);
    }
    free_job(g, j);
}
