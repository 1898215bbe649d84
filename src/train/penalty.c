/* penalty.c -- penalties on the derivatives of the outputs in the series.
 *
 * With u the series in model units, n = T D its numbers, J (L x n) the Jacobian of the
 * outputs in u, and mean over the rows r of a batch:
 *     order 1:  lambda/2 mean ||J||_F^2               = lambda/2 mean E ||J' v||^2,
 *     order 2:  lambda/2 mean sum_c ||Hess f_c||_F^2  = lambda/2 mean E
 * ||Hess(v.f)e||^2, v = sqrt(L) and e = sqrt(n) times directions uniform on their
 * spheres, for then E v v' = 1 and E e e' = 1. J'v is one vjp; Hess(v.f) e is the vjp
 * of v . (J e), so one Hessian-vector product and no n x n matrix. `exact` runs over v
 * = e_c (and e = e_i) instead: L, or L n, products. The graph has one product; it is
 * run once per projection with other v, e, and the values and weight gradients are
 * added. A share p of the rows, drawn independently and weighted 1/p, leaves the mean.
 * Hoffman, Roberts & Yaida 2019 for order 1. (docs/theory/train.md, section 3.)
 */
#include "train/train.h"

#include "diff/diff.h"

#include <math.h>
#include <string.h>

typedef struct penalty_job {
    rob_penalty *p;
    const rob_batch *batch;
    int64_t rows; /* of p->pick */
    double weight;
    bool gradient;
} penalty_job;

/* ---- directions ------------------------------------------------------------------ */

static void put_row(const rob_tile *t, rob_work *w, rob_id id, int64_t r, int64_t steps,
                    int64_t width, const double *v)
{
    void *to = rob_priv_work_at(w, id);
    for (int64_t k = 0; k < steps * width; k++) {
        int64_t at = (k / width * ROB_TRAIN_TILE + r) * width + k % width;
        if (to) rob_priv_put_number(to, t->dtype, at, v ? v[k] : 0);
    }
}

static void put_direction(const rob_penalty *p, rob_work *w, int64_t r, int64_t n,
                          rob_random *random, double *v)
{
    const rob_tile *t = &p->tile;
    int64_t size = t->steps * t->features;
    rob_priv_direction(random, sqrt((double)t->outputs) * t->unit, v, t->outputs);
    put_row(t, w, p->v, r, 1, t->outputs, v);
    if (p->order < 2) return;
    rob_priv_direction(random, sqrt((double)n) * t->unit, v, n);
    memset(v + n, 0, (size_t)(size - n) * sizeof *v);
    put_row(t, w, p->e, r, t->steps, t->features, v);
}

/* Product number k of all: v = e_c, and e = e_i of series that have the number i. */
static void put_basis(const rob_penalty *p, rob_work *w, int64_t r, int64_t n,
                      int64_t k, double *v)
{
    const rob_tile *t = &p->tile;
    int64_t size = t->steps * t->features, c = k % t->outputs, i = k / t->outputs;
    for (int64_t l = 0; l < t->outputs; l++) v[l] = l == c ? t->unit : 0;
    put_row(t, w, p->v, r, 1, t->outputs, v);
    if (p->order < 2) return;
    for (int64_t l = 0; l < size; l++) v[l] = l == i && i < n ? t->unit : 0;
    put_row(t, w, p->e, r, t->steps, t->features, v);
}

/* ---- one tile -------------------------------------------------------------------- */

static void add_product(const rob_penalty *p, rob_work *w, const penalty_job *j,
                        double *scratch, int64_t slot)
{
    rob_tile *t = (rob_tile *)&p->tile;
    double *grad = t->slot_grad + slot * t->size;
    rob_priv_run(w, 1);
    t->slot_value[slot] +=
        rob_priv_get_number(rob_priv_work_at(w, p->value), t->dtype, 0);
    if (!j->gradient) return;
    rob_priv_run(w, 2);
    rob_priv_tile_take(t, w, scratch);
    for (int64_t i = 0; i < t->size; i++) grad[i] += scratch[i];
}

static void run_tile(void *user, int64_t first, int64_t slot, int32_t worker)
{
    const penalty_job *j = user;
    rob_penalty *p = j->p;
    rob_tile *t = &p->tile;
    rob_work *w = t->work[worker];
    rob_random random[ROB_TRAIN_TILE];
    double *scratch = p->scratch + worker * p->scratch_size;
    int64_t n[ROB_TRAIN_TILE] = { 0 };
    int64_t rows = j->rows - first < ROB_TRAIN_TILE ? j->rows - first : ROB_TRAIN_TILE;
    rob_priv_tile_load(t, w, j->batch, p->pick + first, 0, rows, j->weight);
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = p->pick[first + r];
        n[r] = j->batch->data->series[j->batch->index[at]].steps * t->features;
        random[r] = rob_priv_batch_random(j->batch, ROB_DRAW_PENALTY + p->order, at);
    }
    t->slot_value[slot] = 0;
    t->slot_count[slot] = 0;
    memset(t->slot_grad + slot * t->size, 0, (size_t)t->size * sizeof *t->slot_grad);
    rob_priv_run(w, 0);
    for (int64_t k = 0; k < p->products; k++) {
        for (int64_t r = 0; r < rows; r++) {
            if (p->exact) put_basis(p, w, r, n[r], k, scratch);
            else put_direction(p, w, r, n[r], &random[r], scratch);
        }
        add_product(p, w, j, scratch, slot);
    }
}

/* ---- a batch --------------------------------------------------------------------- */

static int64_t pick_rows(rob_penalty *p, const rob_batch *b)
{
    int64_t rows = 0;
    for (int64_t r = 0; r < b->count; r++) {
        rob_random random = rob_priv_batch_random(b, ROB_DRAW_SHARE, r);
        if (p->share >= 1 || rob_priv_uniform(&random) < p->share) p->pick[rows++] = r;
    }
    return rows;
}

double rob_priv_penalty_add(rob_ctx *ctx, rob_penalty *p, const rob_batch *b,
                            double *grad)
{
    penalty_job j = { .p = p, .batch = b, .gradient = grad != NULL };
    if (p->value == ROB_NONE) return 0;
    j.rows = pick_rows(p, b);
    j.weight = p->strength / 2 * b->weight / (p->share < 1 ? p->share : 1);
    if (!p->exact) j.weight /= (double)p->products;
    return rob_priv_tile_sum(ctx, &p->tile, run_tile, &j, j.rows, grad, NULL);
}

/* ---- the program ----------------------------------------------------------------- */

/* (B,L) the product's right side: v for J'v, and v with v . (J e) for Hess(v.f) e */
static void emit_penalty(rob_penalty *p)
{
    rob_tile *t = &p->tile;
    rob_graph *g = t->graph;
    rob_id of = t->logits, product = ROB_NONE;
    p->value = p->e = ROB_NONE;
    p->v = rob_priv_input(g, rob_priv_shape2(ROB_TRAIN_TILE, t->outputs));
    if (p->order == 2) {
        p->e =
            rob_priv_input(g, rob_priv_shape3(t->steps, ROB_TRAIN_TILE, t->features));
        rob_priv_jvp(g, &t->x, &p->e, 1, &t->logits, 1, &of);
    }
    if (of != ROB_NONE) rob_priv_vjp(g, &of, &p->v, 1, &t->x, 1, &product);
    rob_priv_tile_want(t, t->logits, 0);
    if (product == ROB_NONE) return;
    rob_id each = g_sum_to(g, g_unary(g, "square", product),
                           rob_priv_shape3(1, ROB_TRAIN_TILE, 1));
    p->value = rob_priv_tile_weighted(
        t, g_reshape(g, each, rob_priv_shape2(ROB_TRAIN_TILE, 1)));
    rob_priv_tile_want(t, p->value, 1);
    rob_priv_tile_slopes(t, p->value, 2);
}

static int64_t products_of(const rob_penalty *p, int64_t projections)
{
    const rob_tile *t = &p->tile;
    if (!p->exact) return projections;
    return p->order == 1 ? t->outputs : t->outputs * t->steps * t->features;
}

rob_status rob_priv_penalty_create(rob_ctx *ctx, const rob_model *model, int64_t steps,
                                   bool lengths_differ, int64_t rows, int32_t order,
                                   int64_t projections, rob_penalty *p)
{
    rob_status status = ROB_OK;
    rob_tile *t = &p->tile;
    int64_t tiles = (rows + ROB_TRAIN_TILE - 1) / ROB_TRAIN_TILE;
    p->order = order;
    p->exact = projections == 0;
    p->share = 1;
    p->pick = NULL;
    p->scratch = NULL;
    TRY(rob_priv_tile_create(ctx, model, steps, lengths_differ, tiles, t));
    emit_penalty(p);
    TRY(rob_priv_tile_plan(ctx, t));
    p->products = products_of(p, projections);
    p->scratch_size = t->size + t->outputs + t->steps * t->features;
    p->pick = rob_priv_allocate(&t->memory, rows, sizeof *p->pick);
    p->scratch =
        rob_priv_allocate(&t->memory, t->works * p->scratch_size, sizeof *p->scratch);
    if (!p->pick || !p->scratch) return rob_priv_no_memory(ctx);
done:
    return status;
}

void rob_priv_penalty_free(rob_penalty *p)
{
    if (!p->tile.memory.release) return;
    rob_priv_release(&p->tile.memory, p->pick);
    rob_priv_release(&p->tile.memory, p->scratch);
    rob_priv_tile_free(&p->tile);
}
