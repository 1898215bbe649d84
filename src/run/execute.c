/* execute.c -- a workspace: one thread's memory for a plan, and the loop over its
 * steps.
 *
 * The workspace holds its own copy of the steps with addresses filled in, so a run is
 * "call the kernel" step after step; a scan moves, before each of its steps, the
 * addresses that follow t:  base + t stride.
 */
#include "run/plan.h"

#include <string.h>

typedef struct live_patch {
    void **where;
    int64_t offset;
    int32_t move;
} live_patch;

typedef struct live_program {
    run_step *step; /* prologue, then the steps proper */
    run_move *move;
    char **now; /* where each move is */
    live_patch *patch;
    int32_t prologue, count, moves, patches, reverse;
    int64_t steps;
    char *base;
} live_program;

struct rob_work {
    rob_memory memory;
    const rob_plan *plan;
    char *arena;
    live_program *program;
};

/* ---- the kinds of steps ------------------------------------------------------------
 */

static void do_kernel(rob_work *w, run_step *s)
{
    (void)w;
    s->eval(&s->node, s->shape, s->in, &s->out);
}

static void do_product(rob_work *w, run_step *s)
{
    const char *a = s->in[0].at, *b = s->in[1].at, *start = s->in[2].at;
    char *y = s->out.at;
    for (int64_t i = 0; i < s->batch; i++)
        w->plan->la->product_from(s->m, s->n, s->k, a + i * s->jump[0], s->ra, s->ca,
                                  b + i * s->jump[1], start, s->lds,
                                  y + i * s->jump[RUN_OUT], s->out.ld);
}

static void do_pack(rob_work *w, run_step *s)
{
    const char *from = s->in[0].at;
    char *to = s->out.at;
    for (int64_t i = 0; i < s->batch; i++)
        w->plan->la->pack(s->k, s->n, from + i * s->jump[0], s->ra, s->ca,
                          to + i * s->jump[RUN_OUT]);
}

#define COPY_ROW(type)                                                                 \
    static void copy_row_##type(const void *from, int64_t step, void *to, int64_t go,  \
                                int64_t n)                                             \
    {                                                                                  \
        const type *x = from;                                                          \
        type *y = to;                                                                  \
        for (int64_t i = 0; i < n; i++) y[i * go] = x[i * step];                       \
    }
COPY_ROW(uint32_t)
COPY_ROW(uint64_t)

static void copy_row(int64_t element, const char *from, int64_t step, char *to,
                     int64_t go, int64_t n)
{
    if (step == 1 && go == 1) memcpy(to, from, (size_t)(n * element));
    else if (element == 4) copy_row_uint32_t(from, step, to, go, n);
    else copy_row_uint64_t(from, step, to, go, n);
}

static void do_copy(rob_work *w, run_step *s)
{
    const int64_t e = w->plan->element, *dim = s->dim, *f = s->from, *t = s->to;
    const char *from = s->in[0].at;
    char *to = s->out.at;
    for (int64_t i = 0; i < dim[0] * dim[1] * dim[2]; i++) {
        const int64_t k = i % dim[2], j = i / dim[2] % dim[1], h = i / dim[2] / dim[1];
        copy_row(e, from + (h * f[0] + j * f[1] + k * f[2]) * e, f[3],
                 to + (h * t[0] + j * t[1] + k * t[2]) * e, t[3], dim[3]);
    }
}

static void do_lean(rob_work *w, run_step *s)
{
    (void)w;
    rob_priv_run_lean_product(s);
}

static void do_scan(rob_work *w, run_step *s);

typedef void doing(rob_work *w, run_step *s);
static doing *const doings[RUN_KINDS] = {
    [RUN_KERNEL] = do_kernel, [RUN_PRODUCT] = do_product, [RUN_PACK] = do_pack,
    [RUN_COPY] = do_copy,     [RUN_SCAN] = do_scan,       [RUN_LEAN] = do_lean,
};

static void do_steps(rob_work *w, run_step *s, int32_t first, int32_t end)
{
    for (int32_t i = first; i < end; i++) {
        if (s[i].kind == RUN_KERNEL)
            s[i].eval(&s[i].node, s[i].shape, s[i].in, &s[i].out);
        else doings[s[i].kind](w, &s[i]);
    }
}

/* the slices of the next step on their way into the cache while this one is computed */
static void fetch_ahead(const rob_work *w, const live_program *p, int64_t next)
{
    enum { LINE = 64, MOST = 1 << 16 };
    for (int32_t i = 0; i < p->moves; i++) {
        const run_move *m = &p->move[i];
        const int64_t bytes = m->stride * w->plan->element;
        if (m->alternates || bytes > MOST) continue;
        for (int64_t at = 0; at < bytes; at += LINE)
            __builtin_prefetch(m->at + next * bytes + at, 0, 2);
    }
}

/* addresses of step t, the tau-th to be done */
static void move_to(const rob_work *w, live_program *p, int64_t t, int64_t tau)
{
    const int64_t e = w->plan->element;
    for (int32_t i = 0; i < p->moves; i++) {
        const run_move *m = &p->move[i];
        p->now[i] = m->at + (m->alternates ? (tau + m->turn) % 2 : t) * m->stride * e;
    }
    for (int32_t i = 0; i < p->patches; i++)
        *p->patch[i].where = p->now[p->patch[i].move] + p->patch[i].offset;
}

static void do_scan(rob_work *w, run_step *s)
{
    live_program *p = &w->program[s->program];
    do_steps(w, p->step, 0, p->prologue);
    for (int64_t tau = 0; tau < p->steps; tau++) {
        const int64_t t = p->reverse ? p->steps - 1 - tau : tau;
        move_to(w, p, t, tau);
        if (tau + 1 < p->steps) fetch_ahead(w, p, p->reverse ? t - 1 : t + 1);
        do_steps(w, p->step, p->prologue, p->count);
    }
}

void rob_priv_run(rob_work *w, int32_t stage)
{
    const rob_plan *plan = w->plan;
    live_program *p = &w->program[0];
    if (stage < 0 || stage >= plan->stages) return;
    do_steps(w, p->step, p->prologue + (stage ? plan->stage_end[stage - 1] : 0),
             p->prologue + plan->stage_end[stage]);
}

/* ---- making ------------------------------------------------------------------------
 */

/* fixed address of a reference; NULL where a move will tell */
static void *address(const rob_work *w, run_ref ref)
{
    if (ref.root < 0) return NULL;
    const run_root *r = &w->plan->root[ref.root];
    const int64_t skip = ref.offset * w->plan->element;
    if (r->kind == RUN_CONST) return (char *)(uintptr_t)r->data + skip;
    if (r->kind == RUN_MOVING) return NULL;
    return w->program[r->program].base + r->offset + skip;
}

static void set_addresses(rob_work *w, live_program *p)
{
    for (int32_t i = 0; i < p->count; i++) {
        run_step *s = &p->step[i];
        for (int32_t o = 0; o < ROB_MAX_INS; o++) s->in[o].at = address(w, s->ref[o]);
        s->out.at = address(w, s->ref[RUN_OUT]);
    }
    for (int32_t i = 0; i < p->moves; i++) p->move[i].at = address(w, p->move[i].base);
}

static void **operand_address(run_step *s, int32_t operand)
{
    return operand == RUN_OUT ? &s->out.at : &s->in[operand].at;
}

static void set_patches(rob_work *w, live_program *p, const run_program *from)
{
    for (int32_t i = 0; i < p->patches; i++) {
        const run_patch *f = &from->patch[i];
        live_program *of = &w->program[f->program];
        void **where = f->operand < 0 ? (void **)&of->move[f->step].at
                                      : operand_address(&of->step[f->step], f->operand);
        p->patch[i] = (live_patch){ where, f->offset, f->move };
    }
}

/* memory of one program: steps, moves, patches */
static bool make_program(rob_work *w, int32_t k)
{
    const run_program *from = &w->plan->program[k];
    live_program *p = &w->program[k];
    const run_list *l = from->list;

    *p = (live_program){ .prologue = l[0].count,
                         .count = l[0].count + l[1].count,
                         .moves = from->moves,
                         .patches = from->patches,
                         .reverse = from->reverse,
                         .steps = from->steps };
    p->step = rob_priv_allocate(&w->memory, p->count + 1, sizeof *p->step);
    p->move = rob_priv_allocate(&w->memory, p->moves + 1, sizeof *p->move);
    p->now = rob_priv_allocate(&w->memory, p->moves + 1, sizeof *p->now);
    p->patch = rob_priv_allocate(&w->memory, p->patches + 1, sizeof *p->patch);
    if (!p->step || !p->move || !p->now || !p->patch) return false;
    for (int32_t i = 0; i < p->count; i++)
        p->step[i] = i < l[0].count ? l[0].step[i] : l[1].step[i - l[0].count];
    for (int32_t i = 0; i < p->moves; i++) p->move[i] = from->move[i];
    p->base = from->block < 0 ? w->arena : address(w, (run_ref){ from->block, 0 });
    return true;
}

rob_status rob_priv_work_create(rob_ctx *ctx, const rob_plan *plan, rob_work **out)
{
    rob_status status = ROB_OK;
    rob_work *w = rob_priv_allocate(&ctx->memory, 1, sizeof *w);

    *out = NULL;
    CHECK(w, ctx, ROB_EMEMORY, "out of memory for a workspace");
    w->memory = ctx->memory;
    w->plan = plan;
    w->program = rob_priv_allocate(&w->memory, plan->programs, sizeof *w->program);
    w->arena = rob_priv_allocate(&w->memory, plan->program[0].bytes + 64, 1);
    CHECK(w->program && w->arena, ctx, ROB_EMEMORY,
          "out of memory: a workspace of %lld bytes",
          (long long)rob_priv_plan_bytes(plan));
    for (int32_t k = 0; k < plan->programs; k++)
        CHECK(make_program(w, k), ctx, ROB_EMEMORY,
              "out of memory for a workspace's steps");
    for (int32_t k = 0; k < plan->programs; k++) {
        set_addresses(w, &w->program[k]);
        set_patches(w, &w->program[k], &plan->program[k]);
    }
    do_steps(w, w->program[0].step, 0, w->program[0].prologue);
    *out = w;
    w = NULL;
done:
    rob_priv_work_free(w);
    return status;
}

void rob_priv_work_free(rob_work *w)
{
    if (!w) return;
    const rob_memory memory = w->memory;
    for (int32_t k = 0; w->program && k < w->plan->programs; k++) {
        rob_priv_release(&memory, w->program[k].step);
        rob_priv_release(&memory, w->program[k].move);
        rob_priv_release(&memory, w->program[k].now);
        rob_priv_release(&memory, w->program[k].patch);
    }
    rob_priv_release(&memory, w->program);
    rob_priv_release(&memory, w->arena);
    rob_priv_release(&memory, w);
}

int64_t rob_priv_plan_bytes(const rob_plan *p)
{
    int64_t bytes = p->program[0].bytes + 64 + (int64_t)sizeof(rob_work);
    for (int32_t k = 0; k < p->programs; k++) {
        const run_program *q = &p->program[k];
        bytes += (q->list[0].count + q->list[1].count) * (int64_t)sizeof(run_step)
                 + q->moves * (int64_t)(sizeof(run_move) + sizeof(char *))
                 + q->patches * (int64_t)sizeof(live_patch)
                 + (int64_t)sizeof(live_program);
    }
    return bytes;
}

/* ---- values in and out -------------------------------------------------------------
 */

void *rob_priv_work_at(rob_work *w, rob_id id)
{
    if (id < 0 || id >= w->plan->values || w->plan->slot[id].root < 0) return NULL;
    const run_slot *s = &w->plan->slot[id];
    return address(w, (run_ref){ s->root, s->offset });
}

void rob_priv_work_set(rob_work *w, rob_id input, const double *values)
{
    void *at = rob_priv_work_at(w, input);
    for (int64_t i = 0; at && i < w->plan->slot[input].size; i++) {
        if (w->plan->dtype) ((double *)at)[i] = values[i];
        else ((float *)at)[i] = (float)values[i];
    }
}

void rob_priv_work_get(const rob_work *w, rob_id value, double *out)
{
    const void *at = rob_priv_work_at((rob_work *)(uintptr_t)w, value);
    for (int64_t i = 0; at && i < w->plan->slot[value].size; i++)
        out[i] =
            w->plan->dtype ? ((const double *)at)[i] : (double)((const float *)at)[i];
}
