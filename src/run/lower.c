/* lower.c -- nodes of a program to places and steps.
 *
 * Structure (split, pick, reshape, expand, permute) only moves offsets and strides.
 * An element-wise node becomes one kernel call on rows x cols: the fewest loops that
 * walk all operands (place.c), at most two of them; an operand in the way is copied
 * plainly.
 */
#include "run/plan.h"

run_place rob_priv_run_value(run_build *b, rob_id id)
{
    run_place p = b->at[id];
    if (p.root < 0) {
        if (b->maker->status == ROB_OK)
            b->maker->status =
                rob_priv_fail(b->maker->ctx, ROB_EINTERNAL,
                              "plan: value %d is read before it is made", (int)id);
        p.root = 0;
    }
    return p;
}

/* memory for the value of node id: where it was asked to go, or of its own */
run_place rob_priv_run_own(run_build *b, rob_id id, bool invariant)
{
    const rob_shape s = rob_priv_shape(b->g, id);
    run_place p = b->preset[id];
    if (p.root >= 0) return p;
    p = (run_place){ .root = rob_priv_run_root(b->maker, RUN_ARENA, b->program,
                                               rob_priv_shape_size(&s)) };
    rob_priv_run_strides(&s, p.stride);
    if (b->maker->status == ROB_OK) b->maker->plan->root[p.root].invariant = invariant;
    return p;
}

/* ---- copies ------------------------------------------------------------------------
 */

void rob_priv_run_copy(run_build *b, bool prologue, const rob_shape *s,
                       const run_place *from, const run_place *to)
{
    const run_place *const both[2] = { from, to };
    int64_t dim[ROB_MAX_RANK] = { 0 }, step[2][ROB_MAX_RANK] = { { 0 } };
    const int32_t loops = rob_priv_run_loops(s, both, 2, dim, step);
    run_step *c = rob_priv_run_step(b, prologue, RUN_COPY);
    c->ins = 1;
    c->ref[0] = (run_ref){ from->root, from->offset };
    c->ref[RUN_OUT] = (run_ref){ to->root, to->offset };
    for (int32_t d = 0; d < ROB_MAX_RANK; d++) {
        const int32_t source = d - (ROB_MAX_RANK - loops);
        c->dim[d] = source < 0 ? 1 : dim[source];
        c->from[d] = source < 0 ? 0 : step[0][source];
        c->to[d] = source < 0 ? 0 : step[1][source];
    }
    if (loops == 0) c->from[ROB_MAX_RANK - 1] = c->to[ROB_MAX_RANK - 1] = 1;
}

/* the builder whose program holds a root, so that a copy is made as rarely as possible
 */
run_build *rob_priv_run_home(run_build *b, int32_t root, bool *prologue)
{
    const run_root *r = &b->maker->plan->root[root];
    while (b->parent && b->program != r->program) b = b->parent;
    *prologue = r->kind == RUN_CONST || r->invariant;
    return b;
}

run_place rob_priv_run_plain(run_build *b, rob_id id, bool whole)
{
    const rob_shape s = rob_priv_shape(b->g, id);
    const run_place from = rob_priv_run_value(b, id);
    const uint8_t level = whole ? 2 : 1;
    bool prologue;
    run_build *home = rob_priv_run_home(b, from.root, &prologue);
    rob_shape part = s;
    int32_t d = 0;

    if (b->plainness[id] >= level || rob_priv_run_is_plain(&s, &from))
        return b->plainness[id] >= level ? b->plain[id] : from;
    for (; !whole && d < s.rank - 1 && (s.dim[d] == 1 || from.stride[d] == 0); d++)
        part.dim[d] = 1;
    run_place to = { .root = rob_priv_run_root(b->maker, RUN_ARENA, home->program,
                                               rob_priv_shape_size(&part)) };
    rob_priv_run_strides(&part, to.stride);
    for (int32_t k = 0; k < d; k++) to.stride[k] = 0;
    if (b->maker->status == ROB_OK) b->maker->plan->root[to.root].invariant = prologue;
    rob_priv_run_copy(home, prologue, &part, &from, &to);
    b->plain[id] = to;
    b->plainness[id] = level;
    return to;
}

/* ---- structure ---------------------------------------------------------------------
 */

static void lower_input(run_build *b, rob_id id)
{
    (void)b;
    (void)id;
}

static void lower_constant(run_build *b, rob_id id)
{
    const rob_node n = rob_priv_node(b->g, id);
    run_place p = { .root = rob_priv_run_tensor_root(b->maker, n.tensor) };
    rob_priv_run_strides(&n.shape, p.stride);
    b->at[id] = p;
}

/* one row of the number, seen by all rows */
static void lower_fill(run_build *b, rob_id id)
{
    const rob_node n = rob_priv_node(b->g, id);
    const int64_t cols = rob_priv_shape_cols(&n.shape);
    void *row = rob_priv_run_own_memory(b->maker, cols * b->maker->plan->element);
    for (int64_t i = 0; row && i < cols; i++) {
        if (b->maker->plan->dtype) ((double *)row)[i] = n.attr.x[0];
        else ((float *)row)[i] = (float)n.attr.x[0];
    }
    run_place p = { .root = rob_priv_run_constant_root(b->maker, row) };
    if (n.shape.rank > 0) p.stride[n.shape.rank - 1] = 1;
    b->at[id] = p;
}

static void lower_reshape(run_build *b, rob_id id)
{
    const rob_node n = rob_priv_node(b->g, id);
    const rob_shape from = rob_priv_shape(b->g, n.in[0]);
    run_place p = rob_priv_run_value(b, n.in[0]);
    if (rob_priv_run_reshaped(&from, &p, &n.shape, &b->at[id])) return;
    p = rob_priv_run_plain(b, n.in[0], true);
    rob_priv_run_reshaped(&from, &p, &n.shape, &b->at[id]);
}

static void lower_expand(run_build *b, rob_id id)
{
    const rob_node n = rob_priv_node(b->g, id);
    const rob_shape from = rob_priv_shape(b->g, n.in[0]);
    const run_place p = rob_priv_run_value(b, n.in[0]);
    const int32_t front = n.shape.rank - from.rank;
    b->at[id] = (run_place){ .root = p.root, .offset = p.offset };
    for (int32_t d = 0; d < from.rank; d++)
        if (from.dim[d] == n.shape.dim[front + d])
            b->at[id].stride[front + d] = p.stride[d];
}

static void lower_permute(run_build *b, rob_id id)
{
    const rob_node n = rob_priv_node(b->g, id);
    const run_place p = rob_priv_run_value(b, n.in[0]);
    b->at[id] = (run_place){ .root = p.root, .offset = p.offset };
    for (int32_t d = 0; d < n.shape.rank; d++)
        b->at[id].stride[d] = p.stride[n.attr.i[1 + d]];
}

static void lower_split(run_build *b, rob_id id)
{
    b->at[id] = rob_priv_run_value(b, rob_priv_node(b->g, id).in[0]);
}

static void lower_pick(run_build *b, rob_id id)
{
    const rob_node n = rob_priv_node(b->g, id), from = rob_priv_node(b->g, n.in[0]);
    if (from.scan) {
        if (b->maker->status == ROB_OK) b->at[id] = b->outs[n.in[0]][n.attr.i[0]];
        return;
    }
    const int64_t axis = from.attr.i[0];
    run_place p = rob_priv_run_value(b, n.in[0]);
    for (int32_t k = 0; k < n.attr.i[0]; k++)
        p.offset +=
            rob_priv_shape_of_output(b->g, n.in[0], k).dim[axis] * p.stride[axis];
    b->at[id] = p;
}

/* whatever operand could not be computed in place is copied */
static void lower_concat(run_build *b, rob_id id)
{
    const rob_node n = rob_priv_node(b->g, id);
    run_place part = b->preset[id];
    b->at[id] = part;
    for (int32_t i = 0; i < n.ins; i++) {
        const rob_shape s = rob_priv_shape(b->g, n.in[i]);
        const run_place p = rob_priv_run_value(b, n.in[i]);
        if (p.root != part.root || p.offset != part.offset)
            rob_priv_run_copy(b, false, &s, &p, &part);
        part.offset += s.dim[n.attr.i[0]] * part.stride[n.attr.i[0]];
    }
}

/* ---- kernels -----------------------------------------------------------------------
 */

typedef struct fitting {
    int64_t rows, cols, ld[RUN_OPERANDS];
    bool still[RUN_OPERANDS]; /* one number along a row */
} fitting;

/* rows x cols for all n places (the last is the output); else the operand in the way */
static int32_t misfit(const rob_shape *s, const run_place *const *p, int32_t n,
                      fitting *f)
{
    int64_t dim[ROB_MAX_RANK], step[RUN_OPERANDS][ROB_MAX_RANK];
    int32_t loops = rob_priv_run_loops(s, p, n, dim, step);
    *f = (fitting){ .rows = 1, .cols = loops ? dim[loops - 1] : 1 };
    if (loops == 1 && step[n - 1][0] != 1) {
        f->rows = dim[0];
        f->cols = 1;
    }
    if (loops == 2) f->rows = dim[0];
    for (int32_t i = 0; i < n; i++)
        f->ld[i] = loops == 2 || f->rows > 1 ? step[i][0] : f->cols;
    for (int32_t i = 0; i < n - 1; i++) {
        f->still[i] = f->cols > 1 && step[i][loops - 1] == 0;
        const bool columns = f->cols == 1 || f->still[i] || step[i][loops - 1] == 1;
        if (!columns || (loops > 2 && !rob_priv_run_is_plain(s, p[i]))) return i;
    }
    return -1;
}

/* operands of an element-wise kernel on common rows and columns */
static void fit_elements(run_build *b, const rob_node *n, run_place *place, fitting *f)
{
    const run_place *all[RUN_OPERANDS];
    int32_t bad;
    for (int32_t i = 0; i <= n->ins; i++) all[i] = &place[i];
    while ((bad = misfit(&n->shape, all, n->ins + 1, f)) >= 0
           && b->maker->status == ROB_OK) {
        const run_place before = place[bad];
        place[bad] = rob_priv_run_plain(b, n->in[bad], false);
        if (place[bad].root == before.root)
            place[bad] = rob_priv_run_plain(b, n->in[bad], true);
    }
}

/* one operand of a kernel over rows: its own rows and columns */
static void fit_rows(run_build *b, rob_id id, rob_id in, run_place *p, rob_view *v)
{
    const rob_shape s = rob_priv_shape(b->g, in);
    rob_shape lead = s;
    int64_t dim[ROB_MAX_RANK], step[1][ROB_MAX_RANK];
    const run_place *one = p;
    v->cols = rob_priv_shape_cols(&s);
    v->rows = rob_priv_shape_rows(&s);
    v->ld = v->cols;
    if (rob_priv_run_is_plain(&s, p)) return;
    lead.dim[s.rank - 1] = 1;
    if (rob_priv_run_loops(&lead, &one, 1, dim, step) <= 1
        && (p->stride[s.rank - 1] == 1 || v->cols == 1)) {
        v->ld = v->rows > 1 ? step[0][0] : v->cols;
        return;
    }
    if (in != id) *p = rob_priv_run_plain(b, in, true);
}

static bool all_invariant(const run_build *b, const rob_node *n, const run_place *place)
{
    bool invariant = true;
    for (int32_t i = 0; i < n->ins; i++)
        invariant = invariant && rob_priv_run_is_invariant(b, place[i].root);
    return invariant;
}

static bool is_moving(const run_build *b, const run_place *p)
{
    return p->root >= 0 && b->maker->plan->root[p->root].kind == RUN_MOVING;
}

static void lower_kernel(run_build *b, rob_id id)
{
    const rob_node n = rob_priv_node(b->g, id);
    run_place place[RUN_OPERANDS] = { { 0 } };
    rob_view view[RUN_OPERANDS] = { { 0 } };
    fitting f;

    for (int32_t i = 0; i < n.ins; i++) place[i] = rob_priv_run_value(b, n.in[i]);
    const bool prologue = !is_moving(b, &b->preset[id]) && all_invariant(b, &n, place);
    place[n.ins] = rob_priv_run_own(b, id, prologue && b->preset[id].root < 0);
    if (n.op->kind & ROB_OP_ELEMENTWISE) {
        fit_elements(b, &n, place, &f);
        for (int32_t i = 0; i <= n.ins; i++)
            view[i] = (rob_view){ .rows = f.rows, .cols = f.cols, .ld = f.ld[i],
                                  .still = f.still[i] };
    } else {
        for (int32_t i = 0; i <= n.ins; i++)
            fit_rows(b, id, i < n.ins ? n.in[i] : id, &place[i], &view[i]);
    }
    run_step *s = rob_priv_run_step(b, prologue, RUN_KERNEL);
    s->ins = n.ins;
    s->node = n;
    s->eval = rob_priv_kernel(b->maker->plan->dtype, b->maker->isa, n.op->id);
    for (int32_t i = 0; i < n.ins; i++) {
        s->shape[i] = rob_priv_shape(b->g, n.in[i]);
        s->in[i] = view[i];
        s->ref[i] = (run_ref){ place[i].root, place[i].offset };
    }
    s->out = view[n.ins];
    s->ref[RUN_OUT] = (run_ref){ place[n.ins].root, place[n.ins].offset };
    b->at[id] = place[n.ins];
    if (!s->eval && b->maker->status == ROB_OK)
        b->maker->status = rob_priv_fail(b->maker->ctx, ROB_EUNSUPPORTED,
                                         "operator %s has no kernel", n.op->name);
}

static void lower_add(run_build *b, rob_id id)
{
    if (!rob_priv_run_lower_sum(b, id)) lower_kernel(b, id);
}

typedef void lowering(run_build *b, rob_id id);
static lowering *const lowerings[ROB_OP_COUNT] = {
    [ROB_OP_input] = lower_input,
    [ROB_OP_constant] = lower_constant,
    [ROB_OP_fill] = lower_fill,
    [ROB_OP_reshape] = lower_reshape,
    [ROB_OP_expand] = lower_expand,
    [ROB_OP_permute] = lower_permute,
    [ROB_OP_split] = lower_split,
    [ROB_OP_pick] = lower_pick,
    [ROB_OP_concat] = lower_concat,
    [ROB_OP_matmul] = rob_priv_run_lower_matmul,
    [ROB_OP_scan] = rob_priv_run_lower_scan,
    [ROB_OP_add] = lower_add,
};

void rob_priv_run_lower(run_build *b, int32_t stage)
{
    b->now = stage;
    for (rob_id id = 0; id < b->count && b->maker->status == ROB_OK; id++) {
        if (b->stage[id] != stage || b->fused[id] >= 0) continue;
        lowering *how = lowerings[rob_priv_node(b->g, id).op->id];
        (how ? how : lower_kernel)(b, id);
    }
}
