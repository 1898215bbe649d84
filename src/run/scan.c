/* scan.c -- a recurrence to a program of its own whose memory moves with the step t.
 *
 *     (c_{t+1}, y_t) = body(c_t, x_t, w),   t = 0 .. T-1, or down
 *
 * x_t is a slice of the outer sequence: an address that moves by its stride. A carry
 * walks over two slots in turn, or, when its values are stacked too, over a history of
 * T + 1 slots in time order,
 *
 *     forward  c_0 c_1 ... c_T       before step t: slot t,      after it: slot t + 1
 *     reverse  c_0 ... c_{T-1} c_T   before step t: slot t + 1,  after it: slot t
 *
 * and the stacks before and after the step, the last carry and the next step's operand
 * are all views of it. A stacked value is computed in its slice; the stack of a part
 * of a value is the part of its stack; the stack of what does not change is a stride
 * of 0.
 */
#include "run/plan.h"

typedef struct carry {
    bool lives, in_history, placed; /* placed: the body writes the slot itself */
    int64_t slice;
    run_place before, after; /* moving places in the body */
    int32_t memory;          /* root outside */
    int64_t first, last;     /* offsets of the first and the last value */
} carry;

typedef struct job {
    run_build *b, *body;
    rob_node n;
    const rob_scan *s;
    const uint8_t *wanted;
    const rob_id *sunk; /* NULL: none */
    rob_id id;
    carry *carry;
    int64_t steps;
} job;

static rob_shape body_shape(const job *j, rob_id v)
{
    return rob_priv_shape(j->s->body, v);
}

/* the value whose memory v shows: through views of it */
static rob_id seen_through(const job *j, rob_id v)
{
    for (;;) {
        const rob_node n = rob_priv_node(j->s->body, v);
        if (!(n.op->id == ROB_OP_reshape || n.op->id == ROB_OP_permute
              || n.op->id == ROB_OP_expand || n.op->id == ROB_OP_pick
              || n.op->id == ROB_OP_split))
            return v;
        v = n.in[0];
    }
}

static run_place moving_place(job *j, const rob_shape *s, run_move move)
{
    run_place p = { .root =
                        rob_priv_run_moving_root(j->b->maker, j->body->program, move) };
    rob_priv_run_strides(s, p.stride);
    return p;
}

/* ---- inputs of the body ------------------------------------------------------------
 */

static bool reads_well(const rob_shape *step, const int64_t *stride)
{
    int32_t last = step->rank - 1;
    while (last >= 0 && step->dim[last] == 1) last--;
    return last < 0 || stride[last] == 1;
}

static void place_sequence(job *j, int32_t i)
{
    const rob_id in = j->s->in[i];
    const rob_shape step = body_shape(j, in);
    if (j->b->fused[j->n.in[i]] == j->id) {
        const run_place rows = rob_priv_run_sunk_slice(
            j->b, j->body, rob_priv_node(j->b->g, j->n.in[i]).in[0], j->steps);
        j->body->at[in] = rows;
        return;
    }
    run_place outer = rob_priv_run_value(j->b, j->n.in[i]);
    if (!reads_well(&step, outer.stride + 1))
        outer = rob_priv_run_plain(j->b, j->n.in[i], true);
    run_place p = { .root = outer.root, .offset = outer.offset };
    if (outer.stride[0] != 0)
        p = moving_place(j, &step,
                         (run_move){ .base = { outer.root, outer.offset },
                                     .stride = outer.stride[0] });
    for (int32_t d = 0; d < step.rank; d++) p.stride[d] = outer.stride[d + 1];
    j->body->at[in] = p;
}

static void place_inputs(job *j)
{
    const rob_scan *s = j->s;
    for (int32_t i = s->carries; i < j->n.ins; i++) {
        if (j->body->stage[s->in[i]] < 0) continue;
        if (i < s->carries + s->sequences) place_sequence(j, i);
        else j->body->at[s->in[i]] = rob_priv_run_value(j->b, j->n.in[i]);
    }
}

/* ---- carries -----------------------------------------------------------------------
 */

/* the next carry is computed straight into its slot when it has memory of its own */
static bool can_be_placed(const job *j, int32_t i)
{
    const rob_id next = j->s->out[i];
    for (int32_t k = 0; k < i; k++)
        if (j->wanted[k] && j->s->out[k] == next) return false;
    return rob_priv_run_owns(j->body, next);
}

static bool wants_stack(const job *j, int32_t k)
{
    return j->wanted[k] && (!j->sunk || j->sunk[k] == ROB_NONE);
}

static bool is_stacked(const job *j, int32_t i)
{
    const rob_scan *s = j->s;
    for (int32_t k = s->carries; k < s->carries + s->ys; k++) {
        if (!wants_stack(j, k)) continue;
        const rob_id v = seen_through(j, s->out[k]);
        if (v == s->in[i] || (j->carry[i].placed && v == s->out[i])) return true;
    }
    return false;
}

static void walk_in_history(job *j, int32_t i, const rob_shape *s, bool reverse)
{
    carry *c = &j->carry[i];
    const int64_t before = reverse ? c->slice : 0, after = reverse ? 0 : c->slice;
    c->before = moving_place(
        j, s, (run_move){ .base = { c->memory, before }, .stride = c->slice });
    c->after = moving_place(
        j, s, (run_move){ .base = { c->memory, after }, .stride = c->slice });
    c->first = reverse ? j->steps * c->slice : 0;
    c->last = reverse ? 0 : j->steps * c->slice;
}

static void walk_in_turn(job *j, int32_t i, const rob_shape *s)
{
    carry *c = &j->carry[i];
    run_move move = { .base = { c->memory, 0 },
                      .stride = c->slice,
                      .alternates = true };
    c->before = moving_place(j, s, move);
    move.turn = 1;
    c->after = moving_place(j, s, move);
    c->first = 0;
    c->last = j->steps % 2 * c->slice;
}

static void place_carry(job *j, int32_t i)
{
    carry *c = &j->carry[i];
    const rob_id in = j->s->in[i], next = j->s->out[i];
    const rob_shape s = body_shape(j, in);

    c->lives = j->wanted[i];
    if (!c->lives) return;
    c->slice = rob_priv_shape_size(&s);
    c->placed = can_be_placed(j, i);
    c->in_history = is_stacked(j, i);
    c->memory = rob_priv_run_root(j->b->maker, RUN_ARENA, j->b->program,
                                  c->slice * (c->in_history ? j->steps + 1 : 2));
    if (c->in_history) walk_in_history(j, i, &s, j->s->reverse != 0);
    else walk_in_turn(j, i, &s);
    if (c->placed) j->body->preset[next] = c->after;
    if (j->body->stage[in] < 0) return;
    j->body->at[in] = c->before;
    run_place slot = { .root = c->memory, .offset = c->first };
    rob_priv_run_strides(&s, slot.stride);
    const run_place begin = rob_priv_run_value(j->b, j->n.in[i]);
    rob_priv_run_copy(j->b, false, &s, &begin, &slot);
}

/* after the body: next carries that were not computed in their slot */
static void copy_carries(job *j)
{
    for (int32_t i = 0; i < j->s->carries; i++) {
        if (!j->carry[i].lives || j->carry[i].placed) continue;
        const rob_shape s = body_shape(j, j->s->in[i]);
        const run_place next = rob_priv_run_value(j->body, j->s->out[i]);
        rob_priv_run_copy(j->body, false, &s, &next, &j->carry[i].after);
    }
}

/* ---- stacks ------------------------------------------------------------------------
 */

/* memory (T, size of v) outside and a slice of it inside */
static run_place new_stack(job *j, rob_id v)
{
    const rob_shape s = body_shape(j, v);
    const int64_t slice = rob_priv_shape_size(&s);
    const int32_t memory =
        rob_priv_run_root(j->b->maker, RUN_ARENA, j->b->program, slice * j->steps);
    return moving_place(j, &s, (run_move){ .base = { memory, 0 }, .stride = slice });
}

static void preset_stacks(job *j)
{
    const rob_scan *s = j->s;
    for (int32_t k = s->carries; k < s->carries + s->ys; k++) {
        if (!wants_stack(j, k)) continue;
        const rob_id v = seen_through(j, s->out[k]);
        if (rob_priv_run_owns(j->body, v) && j->body->preset[v].root < 0)
            j->body->preset[v] = new_stack(j, v);
    }
}

/* is the address of root known outside the step: by a move of this body, or fixed */
static bool is_seen_outside(const job *j, int32_t root)
{
    const run_root *r = &j->b->maker->plan->root[root];
    if (r->program != j->body->program) return true;
    return r->kind == RUN_MOVING
           && !j->b->maker->plan->program[r->program].move[r->move].alternates;
}

/* the stack, seen outside, of a place in the body */
static run_place stack_of(const job *j, const rob_shape *s, const run_place *p)
{
    const rob_plan *plan = j->b->maker->plan;
    const run_root *r = &plan->root[p->root];
    run_place out = { .root = p->root, .offset = p->offset };
    if (r->kind == RUN_MOVING && r->program == j->body->program) {
        const run_move *m = &plan->program[r->program].move[r->move];
        out.root = m->base.root;
        out.offset += m->base.offset;
        out.stride[0] = m->stride;
    }
    for (int32_t d = 0; d < s->rank; d++) out.stride[d + 1] = p->stride[d];
    return out;
}

static run_place output_of(job *j, int32_t k)
{
    const rob_id v = j->s->out[k];
    const rob_shape s = body_shape(j, v);
    if (k < j->s->carries) {
        run_place p = { .root = j->carry[k].memory, .offset = j->carry[k].last };
        rob_priv_run_strides(&s, p.stride);
        return p;
    }
    run_place p = rob_priv_run_value(j->body, v);
    if (!is_seen_outside(j, p.root)) {
        const run_place slot = new_stack(j, v);
        rob_priv_run_copy(j->body, false, &s, &p, &slot);
        p = slot;
    }
    return stack_of(j, &s, &p);
}

/* step by step, the product that alone reads output k */
static void multiply_output(job *j, int32_t k)
{
    const rob_id v = j->s->out[k];
    const rob_shape s = body_shape(j, v), all = rob_priv_shape(j->b->g, j->sunk[k]);
    const rob_shape narrow = rob_priv_shape2(s.dim[0], all.dim[1]);
    const int64_t slice = rob_priv_shape_size(&narrow);
    const int32_t memory =
        rob_priv_run_root(j->b->maker, RUN_ARENA, j->b->program, slice * j->steps);
    const run_place from = rob_priv_run_value(j->body, v);
    const run_place slot =
        moving_place(j, &narrow, (run_move){ .base = { memory, 0 }, .stride = slice });
    rob_priv_run_sunk_product(j->b, j->body, j->sunk[k], j->steps, &from, &slot);
    j->b->at[j->sunk[k]] = (run_place){ .root = memory, .stride = { all.dim[1], 1 } };
}

/* ---- the node ----------------------------------------------------------------------
 */

static void set_program(job *j)
{
    run_maker *m = j->b->maker;
    run_program *p = &m->plan->program[j->body->program];
    p->steps = j->steps;
    p->reverse = j->s->reverse;
    p->block = rob_priv_run_root(m, RUN_ARENA, j->b->program, 0);
    p->parent_step = m->plan->program[j->b->program].list[1].count;
    run_step *step = rob_priv_run_step(j->b, false, RUN_SCAN);
    step->program = j->body->program;
}

void rob_priv_run_lower_scan(run_build *b, rob_id id)
{
    const rob_node n = rob_priv_node(b->g, id);
    job j = { .b = b,
              .body = b->body[id],
              .n = n,
              .s = n.scan,
              .wanted = b->wanted[id],
              .sunk = b->sunk[id],
              .id = id,
              .steps = n.scan->steps };
    j.carry = rob_priv_run_scratch(b->maker, j.s->carries, sizeof *j.carry);
    b->outs[id] = rob_priv_run_scratch(b->maker, n.scan->carries + n.scan->ys,
                                       sizeof *b->outs[id]);
    j.body->program = rob_priv_run_program(b->maker, b->program);
    if (b->maker->status != ROB_OK) return;
    rob_priv_run_fuse_sums(j.body);
    rob_priv_run_sink(j.body);
    place_inputs(&j);
    for (int32_t i = 0; i < j.s->carries; i++) place_carry(&j, i);
    preset_stacks(&j);
    rob_priv_run_place_concats(j.body);
    rob_priv_run_lower(j.body, 0);
    if (b->maker->status == ROB_OK) copy_carries(&j);
    for (int32_t k = 0; k < j.s->carries + j.s->ys && b->maker->status == ROB_OK; k++)
        if (k < j.s->carries ? j.wanted[k] : wants_stack(&j, k))
            b->outs[id][k] = output_of(&j, k);
        else if (j.wanted[k] && k >= j.s->carries) multiply_output(&j, k);
    if (b->maker->status == ROB_OK) set_program(&j);
}
