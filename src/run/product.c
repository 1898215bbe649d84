/* product.c -- matmul nodes to steps: pack the right operand, multiply, add.
 *
 *     Y (.., M, N) = S + op(A) (.., M, K) op(B) (.., K, N)
 *
 * B is packed where its memory lives: at plan creation when it is a constant of the
 * graph, once per run (not once per step) when a scan sees it as a constant. An
 * addition whose one operand is a product read nowhere else is the product's start S.
 */
#include "run/plan.h"

/* strides of the leading dims as one; false: they are not one loop */
static bool batches(const rob_shape *s, run_factors *f)
{
    const run_place *const all[3] = { &f->a, &f->b, &f->y };
    int64_t dim[ROB_MAX_RANK], step[3][ROB_MAX_RANK];
    rob_shape lead = *s;
    lead.rank -= 2;
    const int32_t loops = rob_priv_run_loops(&lead, all, 3, dim, step);
    f->batch = loops ? dim[0] : 1;
    f->ja = loops ? step[0][0] : 0;
    f->jb = loops ? step[1][0] : 0;
    f->jy = loops ? step[2][0] : 0;
    return loops <= 1;
}

void rob_priv_run_read_strides(const rob_node *n, const rob_shape *a, run_factors *f)
{
    const int32_t r = n->shape.rank - 2;
    const int ta = n->attr.i[0] != 0, tb = n->attr.i[1] != 0;
    f->m = n->shape.dim[r];
    f->n = n->shape.dim[r + 1];
    f->k = a->dim[r + !ta];
    f->ra = f->a.stride[r + ta];
    f->ca = f->a.stride[r + !ta];
    f->rb = f->b.stride[r + tb];
    f->cb = f->b.stride[r + !tb];
    f->ry = f->m > 1 ? f->y.stride[r] : f->n;
}

/* one B for all batches and rows that go on: a single tall product */
static void merge_batches(run_factors *f)
{
    if (f->batch == 1 || f->jb != 0 || f->ja != f->m * f->ra || f->jy != f->m * f->ry)
        return;
    f->m *= f->batch;
    f->batch = 1;
}

static int32_t packed_before(const run_maker *m, const run_packed *want)
{
    for (int32_t i = m->packs - 1; i >= 0; i--) {
        const run_packed *p = &m->packed[i];
        if (p->from.root == want->from.root && p->from.offset == want->from.offset
            && p->k == want->k && p->n == want->n && p->row == want->row
            && p->col == want->col && p->batch == want->batch && p->jump == want->jump)
            return p->root;
    }
    return -1;
}

static void remember(run_maker *m, const run_packed *p)
{
    if (m->packs == m->pack_capacity) {
        const int32_t more = m->packs ? 2 * m->packs : 16;
        run_packed *grown =
            rob_priv_grow(&m->plan->memory, m->packed, m->packs, more, sizeof *grown);
        if (!grown) return; /* it will be packed again */
        m->packed = grown;
        m->pack_capacity = more;
    }
    m->packed[m->packs++] = *p;
}

/* constants of the graph are packed here and now */
static int32_t pack_constant(run_maker *m, const run_packed *p, int64_t bytes)
{
    char *to = rob_priv_run_own_memory(m, bytes * p->batch);
    const int64_t e = m->plan->element;
    const char *from =
        (const char *)m->plan->root[p->from.root].data + p->from.offset * e;
    for (int64_t i = 0; to && i < p->batch; i++)
        m->plan->la->pack(p->k, p->n, from + i * p->jump * e, p->row, p->col,
                          to + i * bytes);
    return rob_priv_run_constant_root(m, to);
}

static int32_t pack_step(run_build *b, const run_packed *p, int64_t bytes)
{
    run_maker *m = b->maker;
    const int64_t e = m->plan->element;
    bool prologue;
    run_build *home = rob_priv_run_home(b, p->from.root, &prologue);
    const int32_t root =
        rob_priv_run_root(m, RUN_ARENA, home->program, bytes * p->batch / e);
    if (m->status == ROB_OK) m->plan->root[root].invariant = prologue;
    run_step *s = rob_priv_run_step(home, prologue, RUN_PACK);
    s->ins = 1;
    s->k = p->k, s->n = p->n, s->ra = p->row, s->ca = p->col;
    s->batch = p->batch;
    s->jump[0] = p->jump * e;
    s->jump[RUN_OUT] = bytes;
    s->ref[0] = p->from;
    s->ref[RUN_OUT] = (run_ref){ root, 0 };
    return root;
}

/* root of the packed B (all batches) */
static int32_t pack(run_build *b, const run_factors *f, int64_t bytes)
{
    run_maker *m = b->maker;
    run_packed p = { .from = { f->b.root, f->b.offset },
                     .k = f->k,
                     .n = f->n,
                     .row = f->rb,
                     .col = f->cb,
                     .batch = f->jb ? f->batch : 1,
                     .jump = f->jb };
    const int32_t found = packed_before(m, &p);
    if (found >= 0 || m->status != ROB_OK) return found < 0 ? 0 : found;
    p.root = m->plan->root[f->b.root].kind == RUN_CONST ? pack_constant(m, &p, bytes)
                                                        : pack_step(b, &p, bytes);
    remember(m, &p);
    return p.root;
}

/* S on the output's rows: a place whose columns follow each other */
static run_place start_of(run_build *b, rob_id id, const run_factors *f)
{
    const run_place p = rob_priv_run_value(b, id);
    return p.stride[1] == 1 || f->n == 1 ? p : rob_priv_run_plain(b, id, false);
}

void rob_priv_run_emit_product(run_build *b, bool once, const run_factors *f,
                               const run_place *start)
{
    const int64_t e = b->maker->plan->element;
    if (rob_priv_run_is_raw(b->maker, f->b.root)) {
        rob_priv_run_emit_lean(b, once, f, start);
        return;
    }
    const int64_t bytes = (b->maker->plan->la->packed_bytes(f->k, f->n) + 63) / 64 * 64;
    const int32_t packed = pack(b, f, bytes);
    run_step *s = rob_priv_run_step(b, once, RUN_PRODUCT);
    s->ins = 3;
    s->m = f->m, s->n = f->n, s->k = f->k, s->ra = f->ra, s->ca = f->ca;
    s->lds = start->root >= 0 ? start->stride[0] : 0;
    s->batch = f->batch;
    s->jump[0] = f->ja * e;
    s->jump[1] = f->jb ? bytes : 0;
    s->jump[RUN_OUT] = f->jy * e;
    s->ref[0] = (run_ref){ f->a.root, f->a.offset };
    s->ref[1] = (run_ref){ packed, 0 };
    s->ref[2] = (run_ref){ start->root, start->offset };
    s->ref[RUN_OUT] = (run_ref){ f->y.root, f->y.offset };
    s->in[2] = (rob_view){ .rows = f->m, .cols = f->n, .ld = s->lds };
    s->out = (rob_view){ .rows = f->m, .cols = f->n, .ld = f->ry };
}

static void lower_product(run_build *b, rob_id id, rob_id to, rob_id start)
{
    const rob_node n = rob_priv_node(b->g, id);
    const rob_shape a = rob_priv_shape(b->g, n.in[0]);
    run_factors f = { .a = rob_priv_run_value(b, n.in[0]),
                      .b = rob_priv_run_value(b, n.in[1]) };
    const bool once = start < 0 && b->preset[to].root < 0
                      && rob_priv_run_is_invariant(b, f.a.root)
                      && rob_priv_run_is_invariant(b, f.b.root);
    run_place from = { .root = -1 };

    f.y = rob_priv_run_own(b, to, once);
    if (!batches(&n.shape, &f)) {
        f.a = rob_priv_run_plain(b, n.in[0], true);
        f.b = rob_priv_run_plain(b, n.in[1], true);
        batches(&n.shape, &f);
    }
    rob_priv_run_read_strides(&n, &a, &f);
    merge_batches(&f);
    if (start >= 0) from = start_of(b, start, &f);
    rob_priv_run_emit_product(b, once, &f, &from);
    b->at[to] = f.y;
}

void rob_priv_run_lower_matmul(run_build *b, rob_id id)
{
    lower_product(b, id, id, ROB_NONE);
}

bool rob_priv_run_lower_sum(run_build *b, rob_id id)
{
    const rob_node n = rob_priv_node(b->g, id);
    for (int32_t i = 0; i < n.ins; i++)
        if (b->fused[n.in[i]] == id) {
            lower_product(b, n.in[i], id, n.in[1 - i]);
            return true;
        }
    return false;
}

/* products of rank 2 read only by one addition of the same stage */
void rob_priv_run_fuse_sums(run_build *b)
{
    for (rob_id id = 0; id < b->count; id++) {
        const rob_node n = rob_priv_node(b->g, id);
        if (b->stage[id] < 0 || n.op->id != ROB_OP_add || n.shape.rank != 2) continue;
        for (int32_t i = 0; i < 2; i++) {
            const rob_id p = n.in[i];
            if (rob_priv_node(b->g, p).op->id != ROB_OP_matmul || b->uses[p] != 1
                || b->stage[p] != b->stage[id])
                continue;
            b->fused[p] = id;
            break;
        }
    }
}
