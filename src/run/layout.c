/* layout.c -- where roots lie: memory is shared by values that do not live together.
 *
 * A root lives from the first to the last step of its program that touches it (a step
 * of a scan's body touches what lies outside when the scan runs). First fit over the
 * roots by first use. Inputs and values wanted live always; to the end lives what a
 * prologue leaves and what one stage leaves to another, so a stage may be run again
 * without the earlier ones. An element-wise result takes over the memory of an operand
 * of its size that dies there. A body's arena is one block in its parent, alive while
 * the scan runs.
 */
#include "run/plan.h"

enum { FOREVER = INT32_MAX };

typedef struct block {
    int64_t offset, bytes;
    int32_t end, root;
} block;

/* blocks in use, by offset */
typedef struct arena {
    block *block;
    int32_t count;
    int64_t top;
} arena;

static void touch(rob_plan *plan, int32_t root, int32_t program, int32_t list,
                  int32_t step)
{
    if (root < 0 || plan->root[root].kind != RUN_ARENA) return;
    run_root *r = &plan->root[root];
    while (program != r->program) {
        step = plan->program[program].parent_step;
        program = plan->program[program].parent;
        list = 1;
    }
    const run_program *p = &plan->program[program];
    const int32_t at = list ? p->list[0].count + step : step;
    if (r->first < 0 || at < r->first) r->first = at;
    if (at > r->last) r->last = at;
}

static void touch_list(rob_plan *plan, int32_t program, int32_t list)
{
    const run_list *l = &plan->program[program].list[list];
    for (int32_t i = 0; i < l->count; i++)
        for (int32_t o = 0; o < RUN_OPERANDS; o++)
            touch(plan, l->step[i].ref[o].root, program, list, i);
}

static void touch_all(rob_plan *plan)
{
    for (int32_t k = 0; k < plan->programs; k++) {
        const run_program *p = &plan->program[k];
        touch_list(plan, k, 0);
        touch_list(plan, k, 1);
        for (int32_t i = 0; k > 0 && i < p->moves; i++)
            touch(plan, p->move[i].base.root, p->parent, 1, p->parent_step);
        if (k > 0) touch(plan, p->block, p->parent, 1, p->parent_step);
    }
}

static const run_step *step_at(const run_program *p, int32_t at)
{
    const int32_t first = p->list[0].count;
    return at < first ? &p->list[0].step[at] : &p->list[1].step[at - first];
}

static void see_what_persists(rob_plan *plan)
{
    for (int32_t i = 0; i < plan->roots; i++) {
        run_root *r = &plan->root[i];
        if (r->kind != RUN_ARENA) continue;
        const run_program *p = &plan->program[r->program];
        const int32_t proper = p->list[0].count;
        if (r->first >= 0 && r->last >= proper
            && (r->first < proper
                || step_at(p, r->first)->stage != step_at(p, r->last)->stage))
            r->persists = true;
        if (r->persists) r->last = FOREVER;
        if (r->always) r->first = 0;
    }
}

/* ---- in place ----------------------------------------------------------------------
 */

static bool covers(const run_root *r, const run_ref *ref, const rob_view *v,
                   int64_t element)
{
    return ref->offset == 0 && (v->rows == 1 || v->ld == v->cols)
           && v->rows * v->cols * element == r->bytes;
}

/* no other operand reads memory `root` at another place */
static bool is_read_once(const run_step *s, int32_t operand)
{
    const int32_t root = s->ref[operand].root;
    for (int32_t o = 0; o < s->ins; o++) {
        if (o == operand || s->ref[o].root != root) continue;
        if (s->kind != RUN_KERNEL || s->ref[o].offset != 0
            || s->in[o].ld != s->in[operand].ld)
            return false;
    }
    return true;
}

/* the operand whose memory the result may take, -1: none */
static int32_t donor(rob_plan *plan, int32_t result, const run_step *s, int32_t at)
{
    const run_root *r = &plan->root[result];
    if (s->ref[RUN_OUT].root != result || s->batch != 1
        || !covers(r, &s->ref[RUN_OUT], &s->out, plan->element))
        return -1;
    const bool each = s->kind == RUN_KERNEL && (s->node.op->kind & ROB_OP_ELEMENTWISE);
    for (int32_t o = each ? 0 : 2; o < (each || s->kind == RUN_PRODUCT ? s->ins : 0);
         o++) {
        if (s->ref[o].root < 0) continue;
        const run_root *q = &plan->root[s->ref[o].root];
        if (q->kind == RUN_ARENA && q->program == r->program && q->last == at
            && !q->donated && q->bytes == r->bytes && is_read_once(s, o)
            && covers(q, &s->ref[o], &s->in[o], plan->element))
            return s->ref[o].root;
    }
    return -1;
}

/* ---- first fit ---------------------------------------------------------------------
 */

static void expire(arena *a, int32_t at)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < a->count; i++)
        if (a->block[i].end >= at) a->block[kept++] = a->block[i];
    a->count = kept;
}

static int64_t first_fit(arena *a, int64_t bytes, int32_t end, int32_t root)
{
    int64_t offset = 0;
    int32_t i = 0;
    for (; i < a->count && a->block[i].offset - offset < bytes; i++)
        offset = a->block[i].offset + a->block[i].bytes;
    for (int32_t k = a->count++; k > i; k--) a->block[k] = a->block[k - 1];
    a->block[i] = (block){ offset, bytes, end, root };
    if (offset + bytes > a->top) a->top = offset + bytes;
    return offset;
}

static void hand_over(arena *a, rob_plan *plan, int32_t from, int32_t to)
{
    for (int32_t i = 0; i < a->count; i++)
        if (a->block[i].root == from) {
            a->block[i].root = to;
            a->block[i].end = plan->root[to].last;
        }
    plan->root[from].donated = true;
    plan->root[to].offset = plan->root[from].offset;
}

static void place_root(rob_plan *plan, arena *a, const run_program *p, int32_t root,
                       int32_t at)
{
    run_root *r = &plan->root[root];
    const int32_t steps = p->list[0].count + p->list[1].count;
    const int32_t from = at < steps && at >= p->list[0].count && !r->always
                             ? donor(plan, root, step_at(p, at), at)
                             : -1;
    if (from >= 0) hand_over(a, plan, from, root);
    else r->offset = first_fit(a, (r->bytes + 63) / 64 * 64, r->last, root);
}

/* roots of a program by first use: chains begin[at] -> next[root] -> ... */
static void chain(const rob_plan *plan, int32_t program, int32_t *begin,
                  int32_t positions, int32_t *next)
{
    for (int32_t i = 0; i < positions; i++) begin[i] = -1;
    for (int32_t i = plan->roots - 1; i >= 0; i--) {
        const run_root *r = &plan->root[i];
        if (r->kind != RUN_ARENA || r->program != program || r->first < 0) continue;
        next[i] = begin[r->first];
        begin[r->first] = i;
    }
}

static void lay_out(run_maker *m, int32_t program, int32_t *begin, int32_t *next,
                    arena *a)
{
    rob_plan *plan = m->plan;
    run_program *p = &plan->program[program];
    const int32_t positions = p->list[0].count + p->list[1].count + 1;
    a->count = 0;
    a->top = 0;
    chain(plan, program, begin, positions, next);
    for (int32_t at = 0; at < positions; at++) {
        if (begin[at] >= 0) expire(a, at);
        for (int32_t i = begin[at]; i >= 0; i = next[i]) place_root(plan, a, p, i, at);
    }
    p->bytes = a->top;
    if (p->block >= 0) plan->root[p->block].bytes = a->top;
}

void rob_priv_run_layout(run_maker *m)
{
    rob_plan *plan = m->plan;
    int32_t longest = 0;
    for (int32_t k = 0; k < plan->programs; k++) {
        const run_program *p = &plan->program[k];
        const int32_t positions = p->list[0].count + p->list[1].count + 1;
        longest = positions > longest ? positions : longest;
    }
    int32_t *begin = rob_priv_run_scratch(m, longest, sizeof *begin);
    int32_t *next = rob_priv_run_scratch(m, plan->roots, sizeof *next);
    arena a = { .block = rob_priv_run_scratch(m, plan->roots + 1, sizeof *a.block) };
    if (m->status != ROB_OK) return;
    touch_all(plan);
    see_what_persists(plan);
    for (int32_t k = plan->programs - 1; k >= 0; k--) lay_out(m, k, begin, next, &a);
}

/* ---- patches -----------------------------------------------------------------------
 */

static void patch(rob_plan *plan, run_ref ref, int32_t program, int32_t step,
                  int32_t operand)
{
    if (ref.root < 0 || plan->root[ref.root].kind != RUN_MOVING) return;
    const run_root *r = &plan->root[ref.root];
    run_program *owner = &plan->program[r->program];
    if (owner->patch)
        owner->patch[owner->patches] =
            (run_patch){ r->move, program, step, operand, ref.offset * plan->element };
    owner->patches++;
}

static void patch_all(rob_plan *plan)
{
    for (int32_t k = 0; k < plan->programs; k++) plan->program[k].patches = 0;
    for (int32_t k = 0; k < plan->programs; k++) {
        const run_program *p = &plan->program[k];
        const int32_t proper = p->list[0].count;
        for (int32_t i = 0; i < proper + p->list[1].count; i++)
            for (int32_t o = 0; o < RUN_OPERANDS; o++)
                patch(plan, step_at(p, i)->ref[o], k, i, o);
        for (int32_t i = 0; i < p->moves; i++) patch(plan, p->move[i].base, k, i, -1);
    }
}

void rob_priv_run_patches(run_maker *m)
{
    rob_plan *plan = m->plan;
    patch_all(plan);
    for (int32_t k = 0; k < plan->programs; k++) {
        run_program *p = &plan->program[k];
        if (p->patches > 0)
            p->patch = rob_priv_allocate(&plan->memory, p->patches, sizeof *p->patch);
        if (p->patches > 0 && !p->patch) m->status = rob_priv_no_memory(m->ctx);
    }
    if (m->status == ROB_OK) patch_all(plan);
}
