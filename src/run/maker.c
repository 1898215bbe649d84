/* maker.c -- the parts a plan is made of: roots, steps, programs, constants.
 *
 * Failures are latched in maker.status and everything still answers something harmless
 * (root 0, a step nobody runs), so that lowering reads like the formulas it implements.
 */
#include "run/plan.h"

#include <string.h>

static void fail_memory(run_maker *m)
{
    if (m->status == ROB_OK) m->status = rob_priv_no_memory(m->ctx);
}

/* room for one more item; false after a failure */
static bool has_room(run_maker *m, void **items, int32_t count, int32_t *capacity,
                     int64_t size)
{
    if (m->status != ROB_OK) return false;
    if (count < *capacity) return true;
    int32_t more = *capacity ? 2 * *capacity : 16;
    void *grown = rob_priv_grow(&m->plan->memory, *items, count, more, size);
    if (!grown) {
        fail_memory(m);
        return false;
    }
    *items = grown;
    *capacity = more;
    return true;
}

#define ROOM(m, items, count, capacity)                                                \
    has_room(m, (void **)&(items), count, &(capacity), (int64_t)sizeof *(items))

void *rob_priv_run_scratch(run_maker *m, int64_t count, int64_t size)
{
    if (!ROOM(m, m->scratch, m->scratches, m->scratch_capacity)) return NULL;
    void *p = rob_priv_allocate(&m->plan->memory, count > 0 ? count : 1, size);
    if (!p) fail_memory(m);
    else m->scratch[m->scratches++] = p;
    return p;
}

void *rob_priv_run_own_memory(run_maker *m, int64_t bytes)
{
    rob_plan *plan = m->plan;
    if (!ROOM(m, plan->owned, plan->owned_count, plan->owned_capacity)) return NULL;
    void *p = rob_priv_allocate(&plan->memory, bytes > 0 ? bytes : 1, 1);
    if (!p) {
        fail_memory(m);
        return NULL;
    }
    plan->owned[plan->owned_count++] = p;
    plan->constant_bytes += bytes;
    return p;
}

int32_t rob_priv_run_root(run_maker *m, int32_t kind, int32_t program, int64_t elements)
{
    rob_plan *plan = m->plan;
    if (!ROOM(m, plan->root, plan->roots, plan->root_capacity)) return 0;
    plan->root[plan->roots] = (run_root){
        .kind = kind, .program = program, .bytes = elements * plan->element, .first = -1
    };
    return plan->roots++;
}

int32_t rob_priv_run_constant_root(run_maker *m, const void *data)
{
    int32_t r = rob_priv_run_root(m, RUN_CONST, -1, 0);
    if (m->status == ROB_OK) m->plan->root[r].data = data;
    return r;
}

const void *rob_priv_run_converted(run_maker *m, const rob_tensor *t)
{
    const int64_t n = rob_priv_shape_size(&t->shape);
    if (t->dtype == (m->plan->dtype ? ROB_F64 : ROB_F32)) return t->data;
    void *to = rob_priv_run_own_memory(m, n * m->plan->element);
    for (int64_t i = 0; to && i < n; i++) {
        if (m->plan->dtype) ((double *)to)[i] = rob_priv_tensor_at(t, i);
        else ((float *)to)[i] = (float)rob_priv_tensor_at(t, i);
    }
    return to;
}

int32_t rob_priv_run_tensor_root(run_maker *m, rob_tensor *t)
{
    rob_plan *plan = m->plan;
    for (int32_t k = 0; k < plan->tensors; k++)
        if (plan->tensor[k] == t) return m->tensor_root[k];
    if (!ROOM(m, m->tensor_root, plan->tensors, m->tensor_root_capacity)
        || !ROOM(m, plan->tensor, plan->tensors, plan->tensor_capacity))
        return 0;
    enum { LARGE = 1 << 16 };
    bool raw = m->lean && rob_priv_shape_size(&t->shape) >= LARGE / 8;
    int32_t r = rob_priv_run_constant_root(
        m, raw ? NULL : rob_priv_run_converted(m, t));
    if (m->status != ROB_OK) return 0;
    plan->root[r].raw = raw ? t : NULL;
    m->tensor_root[plan->tensors] = r;
    plan->tensor[plan->tensors++] = rob_priv_tensor_keep(t);
    return r;
}

int32_t rob_priv_run_moving_root(run_maker *m, int32_t program, run_move move)
{
    int32_t r = rob_priv_run_root(m, RUN_MOVING, program, 0);
    if (m->status != ROB_OK) return 0;
    run_program *p = &m->plan->program[program];
    if (!ROOM(m, p->move, p->moves, p->move_capacity)) return 0;
    m->plan->root[r].move = p->moves;
    p->move[p->moves++] = move;
    return r;
}

int32_t rob_priv_run_program(run_maker *m, int32_t parent)
{
    rob_plan *plan = m->plan;
    if (!ROOM(m, plan->program, plan->programs, plan->program_capacity)) return 0;
    plan->program[plan->programs] =
        (run_program){ .parent = parent, .block = -1, .steps = 1 };
    return plan->programs++;
}

run_step *rob_priv_run_step(run_build *b, bool prologue, int32_t kind)
{
    run_maker *m = b->maker;
    run_step *s = &m->nothing;
    if (m->status == ROB_OK) {
        run_list *list = &m->plan->program[b->program].list[prologue ? 0 : 1];
        if (ROOM(m, list->step, list->count, list->capacity))
            s = &list->step[list->count++];
    }
    *s = (run_step){ .kind = kind, .stage = b->now, .batch = 1 };
    for (int32_t i = 0; i < RUN_OPERANDS; i++) s->ref[i].root = -1;
    return s;
}

bool rob_priv_run_is_invariant(const run_build *b, int32_t root)
{
    const run_root *r = &b->maker->plan->root[root];
    return r->program != b->program || r->invariant;
}
