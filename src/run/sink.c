/* sink.c -- products at the edge of a recurrence move into its steps.
 *
 * A sequence made by one product,  p = A W + b  with rows (T B), is read slice by
 * slice by one scan: slice t is rows t B .. of the product, computed when the step
 * needs it. A stack read by one product only,  (T B, F) W, F wide and the result
 * narrow, is multiplied step by step and never written. Both trade a stack of the size
 * of all steps, which falls out of the cache, for one step's values; the numbers are
 * the same bits, because an element of a product does not depend on how many rows are
 * taken at once (la.h).
 */
#include "run/plan.h"

enum { FEWEST_ROWS = 8, SMALL_BYTES = 1 << 18 }; /* a stack that stays in the cache */

/* `n` rows a step are a matrix of their own: (T n, N) seen as (T, n, N) */
static bool are_rows_of_steps(const rob_shape *rows, const rob_shape *steps)
{
    return rows->rank == 2 && steps->rank == 3 && steps->dim[2] == rows->dim[1]
           && steps->dim[0] * steps->dim[1] == rows->dim[0];
}

static bool is_large(const run_build *b, const rob_shape *s)
{
    return s->dim[1] >= FEWEST_ROWS
           && rob_priv_shape_size(s) * b->maker->plan->element > SMALL_BYTES;
}

/* the product at the root of a sequence (perhaps plus a row), or ROB_NONE */
static rob_id product_of(const run_build *b, rob_id rows, rob_id *start)
{
    const rob_node n = rob_priv_node(b->g, rows);
    *start = ROB_NONE;
    if (n.op->id == ROB_OP_matmul) return rows;
    for (int32_t i = 0; n.op->id == ROB_OP_add && i < 2; i++)
        if (b->fused[n.in[i]] == rows) {
            *start = n.in[1 - i];
            return n.in[i];
        }
    return ROB_NONE;
}

/* one row for all: an expand of (N), or of (1, N) */
static bool is_one_row(const run_build *b, rob_id id)
{
    const rob_node n = rob_priv_node(b->g, id);
    if (n.op->id != ROB_OP_expand) return false;
    const rob_shape s = rob_priv_shape(b->g, n.in[0]);
    return rob_priv_shape_rows(&s) == 1 && rob_priv_shape_cols(&s) == n.shape.dim[1];
}

static void sink_producer(run_build *b, rob_id scan, rob_id sequence)
{
    const rob_node n = rob_priv_node(b->g, sequence);
    rob_id start;
    if (n.op->id != ROB_OP_reshape || b->uses[sequence] != 1 || b->uses[n.in[0]] != 1
        || b->fused[sequence] >= 0 || b->fused[n.in[0]] >= 0)
        return;
    const rob_shape rows = rob_priv_shape(b->g, n.in[0]);
    const rob_id product = product_of(b, n.in[0], &start);
    if (product == ROB_NONE || !are_rows_of_steps(&rows, &n.shape)
        || !is_large(b, &n.shape) || (start != ROB_NONE && !is_one_row(b, start)))
        return;
    b->fused[sequence] = b->fused[n.in[0]] = scan;
}

/* product = reshape(pick k of a scan) W, the only reader of the stack */
static void sink_consumer(run_build *b, rob_id product)
{
    const rob_node n = rob_priv_node(b->g, product);
    const rob_node rows = rob_priv_node(b->g, n.in[0]);
    if (n.shape.rank != 2 || n.attr.i[0] != 0 || b->fused[product] >= 0
        || rows.op->id != ROB_OP_reshape || b->uses[n.in[0]] != 1
        || b->uses[rows.in[0]] != 1)
        return;
    const rob_node pick = rob_priv_node(b->g, rows.in[0]);
    if (pick.op->id != ROB_OP_pick) return;
    const rob_node from = rob_priv_node(b->g, pick.in[0]);
    if (!from.scan || pick.attr.i[0] < from.scan->carries || n.in[1] > pick.in[0]
        || b->stage[n.in[1]] > b->stage[pick.in[0]]
        || !are_rows_of_steps(&rows.shape, &pick.shape) || !is_large(b, &pick.shape)
        || n.shape.dim[1] * 2 > rows.shape.dim[1])
        return;
    rob_id *sunk = b->sunk[pick.in[0]];
    if (!sunk) {
        const int32_t outs = from.scan->carries + from.scan->ys;
        sunk = b->sunk[pick.in[0]] = rob_priv_run_scratch(b->maker, outs, sizeof *sunk);
        for (int32_t k = 0; sunk && k < outs; k++) sunk[k] = ROB_NONE;
    }
    if (!sunk) return;
    sunk[pick.attr.i[0]] = product;
    b->fused[product] = b->fused[n.in[0]] = b->fused[rows.in[0]] = pick.in[0];
}

/* the slice of a sunk sequence: a product of the body; `rows` names the whole product
 */
run_place rob_priv_run_sunk_slice(run_build *b, run_build *body, rob_id rows,
                                  int64_t steps)
{
    rob_id start;
    const rob_id product = product_of(b, rows, &start);
    const rob_node n = rob_priv_node(b->g, product);
    const rob_shape a = rob_priv_shape(b->g, n.in[0]);
    run_factors f = { .a = rob_priv_run_value(b, n.in[0]),
                      .b = rob_priv_run_value(b, n.in[1]) };
    run_place from = { .root = -1 };

    f.y =
        (run_place){ .root = rob_priv_run_root(b->maker, RUN_ARENA, body->program,
                                               n.shape.dim[0] / steps * n.shape.dim[1]),
                     .stride = { n.shape.dim[1], 1 } };
    rob_priv_run_read_strides(&n, &a, &f);
    f.m /= steps;
    f.batch = 1;
    f.a.root = rob_priv_run_moving_root(
        b->maker, body->program,
        (run_move){ .base = { f.a.root, f.a.offset }, .stride = f.m * f.ra });
    f.a.offset = 0;
    if (start != ROB_NONE) from = rob_priv_run_value(b, start);
    rob_priv_run_emit_product(body, false, &f, &from);
    return f.y;
}

/* the product that reads value v of the body's step, written to `slot` */
void rob_priv_run_sunk_product(run_build *b, run_build *body, rob_id product,
                               int64_t steps, const run_place *v, const run_place *slot)
{
    const rob_node n = rob_priv_node(b->g, product);
    const rob_shape a = rob_priv_shape(b->g, n.in[0]);
    run_factors f = { .a = *v, .b = rob_priv_run_value(b, n.in[1]), .y = *slot };
    const run_place nothing = { .root = -1 };
    rob_priv_run_read_strides(&n, &a, &f);
    f.m /= steps;
    f.batch = 1;
    rob_priv_run_emit_product(body, false, &f, &nothing);
}

void rob_priv_run_sink(run_build *b)
{
    for (rob_id id = 0; id < b->count && b->maker->status == ROB_OK; id++) {
        if (b->stage[id] < 0) continue;
        const rob_node n = rob_priv_node(b->g, id);
        if (n.op->id == ROB_OP_matmul) sink_consumer(b, id);
        for (int32_t i = 0; n.scan && i < n.scan->sequences; i++)
            if (b->stage[n.in[n.scan->carries + i]] >= 0)
                sink_producer(b, id, n.in[n.scan->carries + i]);
    }
}
