/* plan.c -- from a graph and the values wanted of it to an immutable plan.
 *
 * Mark what is needed (mark.c), lower it stage by stage to steps (lower.c, product.c,
 * scan.c), give memory by liveness (layout.c). Liveness is the interval of first to
 * last use; sharing by first fit is the linear scan of Poletto and Sarkar, ACM TOPLAS
 * 21 (1999), with sizes in the place of registers.
 */
#include "run/plan.h"

static rob_status check_wants(rob_ctx *ctx, const rob_graph *g, int32_t dtype,
                              const rob_id *want, const int32_t *stage, int32_t count)
{
    rob_status status = ROB_OK;
    CHECK(dtype == ROB_F32 || dtype == ROB_F64, ctx, ROB_EARGUMENT,
          "dtype = %d: ROB_F32 (32) or ROB_F64 (64)", (int)dtype);
    CHECK(count > 0, ctx, ROB_EARGUMENT, "count = %d values wanted: at least 1",
          (int)count);
    for (int32_t k = 0; k < count; k++) {
        CHECK(want[k] >= 0 && want[k] < rob_priv_graph_count(g), ctx, ROB_EARGUMENT,
              "want[%d] = %d: a value of the graph, 0 to %d", (int)k, (int)want[k],
              (int)rob_priv_graph_count(g) - 1);
        const int32_t op = rob_priv_node(g, want[k]).op->id;
        CHECK(op != ROB_OP_scan && op != ROB_OP_split, ctx, ROB_EARGUMENT,
              "want[%d]: read a scan or split through pick", (int)k);
        CHECK(!stage || stage[k] >= (k ? stage[k - 1] : 0), ctx, ROB_EARGUMENT,
              "stage[%d] = %d: not below the one before", (int)k, (int)stage[k]);
    }
done:
    return status;
}

/* every input has memory, used or not */
static void place_inputs(run_build *b)
{
    rob_plan *plan = b->maker->plan;
    for (rob_id id = 0; id < b->count; id++) {
        if (rob_priv_node(b->g, id).op->id != ROB_OP_input) continue;
        const rob_shape s = rob_priv_shape(b->g, id);
        const int64_t size = rob_priv_shape_size(&s);
        run_place p = { .root = rob_priv_run_root(b->maker, RUN_ARENA, 0, size) };
        if (b->maker->status != ROB_OK) return;
        rob_priv_run_strides(&s, p.stride);
        plan->root[p.root].always = plan->root[p.root].persists = true;
        b->at[id] = p;
        plan->slot[id] = (run_slot){ p.root, 0, size };
    }
}

/* a wanted value keeps contiguous memory: its own or a copy */
static void keep(run_build *b, rob_id id)
{
    rob_plan *plan = b->maker->plan;
    const rob_shape s = rob_priv_shape(b->g, id);
    run_place p = rob_priv_run_value(b, id);
    bool prologue;

    if (b->maker->status != ROB_OK || plan->slot[id].root >= 0) return;
    if (plan->root[p.root].kind != RUN_ARENA || !rob_priv_run_is_plain(&s, &p)) {
        const run_place from = p;
        rob_priv_run_home(b, from.root, &prologue);
        p = (run_place){ .root = rob_priv_run_root(b->maker, RUN_ARENA, 0,
                                                   rob_priv_shape_size(&s)) };
        rob_priv_run_strides(&s, p.stride);
        rob_priv_run_copy(b, prologue, &s, &from, &p);
    }
    if (b->maker->status != ROB_OK) return;
    plan->root[p.root].always = plan->root[p.root].persists = true;
    plan->slot[id] = (run_slot){ p.root, p.offset, rob_priv_shape_size(&s) };
}

static void lower_stages(run_build *b, const rob_id *want, const int32_t *stage,
                         int32_t count)
{
    rob_plan *plan = b->maker->plan;
    for (int32_t s = 0; s < plan->stages && b->maker->status == ROB_OK; s++) {
        rob_priv_run_lower(b, s);
        for (int32_t k = 0; k < count && b->maker->status == ROB_OK; k++)
            if ((stage ? stage[k] : 0) == s) keep(b, want[k]);
        if (b->maker->status == ROB_OK)
            plan->stage_end[s] = plan->program[0].list[1].count;
    }
}

static void make(run_maker *m, const rob_graph *g, const rob_id *want,
                 const int32_t *stage, int32_t count)
{
    rob_plan *plan = m->plan;
    plan->stages = stage ? stage[count - 1] + 1 : 1;
    plan->stage_end =
        rob_priv_run_own_memory(m, plan->stages * (int64_t)sizeof(int32_t));
    plan->values = rob_priv_graph_count(g);
    plan->slot = rob_priv_run_own_memory(m, plan->values * (int64_t)sizeof(run_slot));
    run_build *b = rob_priv_run_build(m, NULL, g);
    rob_priv_run_program(m, -1);
    if (m->status != ROB_OK) return;
    for (int32_t i = 0; i < plan->values; i++) plan->slot[i].root = -1;
    for (int32_t k = 0; k < count; k++)
        rob_priv_run_need(b, want[k], stage ? stage[k] : 0);
    rob_priv_run_mark(b);
    place_inputs(b);
    rob_priv_run_fuse_sums(b);
    rob_priv_run_sink(b);
    rob_priv_run_place_concats(b);
    lower_stages(b, want, stage, count);
    if (m->status == ROB_OK) rob_priv_run_settle(m);
    if (m->status == ROB_OK) rob_priv_run_layout(m);
    if (m->status == ROB_OK) rob_priv_run_patches(m);
}

static void drop_scratch(run_maker *m)
{
    const rob_memory *memory = &m->plan->memory;
    for (int32_t i = 0; i < m->scratches; i++) rob_priv_release(memory, m->scratch[i]);
    rob_priv_release(memory, m->scratch);
    rob_priv_release(memory, m->packed);
    rob_priv_release(memory, m->tensor_root);
}

static rob_status check_cap(rob_ctx *ctx, const rob_plan *plan)
{
    rob_status status = ROB_OK;
    const int64_t need = plan->constant_bytes + rob_priv_plan_bytes(plan);
    CHECK(ctx->memory_cap <= 0 || need <= ctx->memory_cap, ctx, ROB_EMEMORY,
          "memory cap = %lld bytes: this plan needs %lld", (long long)ctx->memory_cap,
          (long long)need);
done:
    return status;
}

static rob_status create(rob_ctx *ctx, const rob_graph *g, int32_t dtype,
                         const rob_id *want, const int32_t *stage, int32_t count,
                         bool lean, rob_plan **out)
{
    run_maker m = { .ctx = ctx, .isa = ctx->isa, .lean = lean };
    rob_status status = ROB_OK;

    *out = NULL;
    TRY(rob_priv_graph_status(ctx, g));
    TRY(check_wants(ctx, g, dtype, want, stage, count));
    m.plan = rob_priv_allocate(&ctx->memory, 1, sizeof *m.plan);
    CHECK(m.plan, ctx, ROB_EMEMORY, "out of memory for a plan");
    m.plan->memory = ctx->memory;
    m.plan->g = g;
    m.plan->dtype = dtype == ROB_F64;
    m.plan->element = dtype == ROB_F64 ? 8 : 4;
    m.plan->la = rob_priv_la(m.plan->dtype, ctx->isa);
    make(&m, g, want, stage, count);
    drop_scratch(&m);
    TRY(m.status);
    TRY(check_cap(ctx, m.plan));
    *out = m.plan;
    m.plan = NULL;
done:
    rob_priv_plan_free(m.plan);
    return status;
}

rob_status rob_priv_plan_create(rob_ctx *ctx, const rob_graph *g, int32_t dtype,
                                const rob_id *want, const int32_t *stage, int32_t count,
                                rob_plan **out)
{
    return create(ctx, g, dtype, want, stage, count, false, out);
}

rob_status rob_priv_plan_create_lean(rob_ctx *ctx, const rob_graph *g,
                                     const rob_id *want, int32_t count, rob_plan **out)
{
    return create(ctx, g, ROB_F64, want, NULL, count, true, out);
}

void rob_priv_plan_free(rob_plan *p)
{
    if (!p) return;
    const rob_memory memory = p->memory;
    for (int32_t k = 0; k < p->programs; k++) {
        rob_priv_release(&memory, p->program[k].list[0].step);
        rob_priv_release(&memory, p->program[k].list[1].step);
        rob_priv_release(&memory, p->program[k].move);
        rob_priv_release(&memory, p->program[k].patch);
    }
    for (int32_t k = 0; k < p->tensors; k++) rob_priv_tensor_free(p->tensor[k]);
    for (int32_t k = 0; k < p->owned_count; k++) rob_priv_release(&memory, p->owned[k]);
    rob_priv_release(&memory, p->owned);
    rob_priv_release(&memory, p->tensor);
    rob_priv_release(&memory, p->program);
    rob_priv_release(&memory, p->root);
    rob_priv_release(&memory, p);
}
