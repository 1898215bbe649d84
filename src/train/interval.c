/* interval.c -- the loss of certified training: cross-entropy of what intervals leave.
 *
 * Every number of the series moves by at most rho. Interval arithmetic through the network,
 * as a graph (diff/enclose.c), gives the last layer's input h in [c - r, c + r]; there the
 * margins themselves are bounded, not the outputs one by one:
 *
 *     f_k - f_y <= u_k = (W c + b)_k - (W c + b)_y + sum_h |W_kh - W_yh| r_h,   u_y = 0,
 *     loss_r = log sum_k exp u_k  >=  cross-entropy at every point of the ball,
 *
 * and a series with all u_k < 0, k != y, is proved. Where the last layer is none, u_k is
 * the upper end of f_k less the lower end of f_y. A forecast has the largest square:
 * 1/L sum_k max((up_k - y_k)^2, (lo_k - y_k)^2). Around an adversarial point instead of
 * the series (disturb.c) boxes may be small: what they cover is no longer the ball, what
 * they cost in accuracy is less. The weight gradient is exact, rounding is the evaluation's:
 * this trains, the proof is bound's.
 * Gowal, Dvijotham, Stanforth, Bunel, Qin, Uesato, Arandjelovic, Mann & Kohli 2018; Zhang et
 * al., ICLR 2020 (margins); Mueller, Eckert, Fischer & Vechev, ICLR 2023 (small boxes).
 * (docs/theory/train.md, section 6.)
 */
#include "train/train.h"

#include "diff/diff.h"
#include "op/op.h"

#include <math.h>

typedef struct interval_job {
    rob_interval_term *e;
    const rob_batch *batch;
    double radius;
    bool gradient;
} interval_job;

/* ---- one tile -------------------------------------------------------------------- */

static bool is_proved(const rob_tile *t, const void *upper, int64_t r, int64_t label)
{
    for (int64_t k = 0; k < t->outputs; k++)
        if (k != label
            && !(rob_priv_get_number(upper, t->dtype, r * t->outputs + k) < 0))
            return false;
    return true;
}

static void run_tile(void *user, int64_t first, int64_t slot, int32_t worker)
{
    const interval_job *j = user;
    rob_tile *t = &j->e->tile;
    rob_work *w = t->work[worker];
    int64_t left = j->batch->count - first;
    int64_t rows = left < ROB_TRAIN_TILE ? left : ROB_TRAIN_TILE;
    rob_priv_tile_load(t, w, j->batch, NULL, first, rows, j->batch->weight * j->e->weight);
    rob_priv_put_number(rob_priv_work_at(w, j->e->reach), t->dtype, 0, j->radius);
    rob_priv_run(w, 0);
    t->slot_value[slot] =
        rob_priv_get_number(rob_priv_work_at(w, j->e->loss), t->dtype, 0);
    t->slot_count[slot] = 0;
    for (int64_t r = 0; !t->forecast && r < rows; r++)
        t->slot_count[slot] += is_proved(
            t, rob_priv_work_at(w, j->e->upper), r,
            j->batch->data->series[j->batch->index[first + r]].label);
    if (!j->gradient) return;
    rob_priv_run(w, 1);
    rob_priv_tile_take(t, w, t->slot_grad + slot * t->size);
}

double rob_priv_interval_add(rob_ctx *ctx, rob_interval_term *e, const rob_batch *b,
                             double share, double *grad, int64_t *proved)
{
    interval_job j = { .e = e,
                       .batch = b,
                       .radius = e->radius * e->tile.unit * share,
                       .gradient = grad != NULL };
    *proved = 0;
    return rob_priv_tile_sum(ctx, &e->tile, run_tile, &j, b->count, grad, proved);
}

/* ---- the program ----------------------------------------------------------------- */

/* logits = scale factor h W' + b: the last layer, if that is what they are */
typedef struct last_layer {
    rob_id h, weight, bias, factor; /* bias, factor (of rows) ROB_NONE: none */
    double scale;
} last_layer;

static bool last_layer_of(const rob_graph *g, rob_id logits, last_layer *out)
{
    *out = (last_layer){ .bias = ROB_NONE, .factor = ROB_NONE, .scale = 1 };
    if (rob_priv_graph_failed(g)) return false;
    rob_node n = rob_priv_node(g, logits);
    if (n.op == &rob_priv_op_add) {
        out->bias = n.in[1];
        n = rob_priv_node(g, n.in[0]);
    }
    if (n.op == &rob_priv_op_affine && n.attr.x[1] == 0) {
        out->scale = n.attr.x[0];
        n = rob_priv_node(g, n.in[0]);
    } else if (n.op == &rob_priv_op_mul) {
        out->factor = n.in[1];
        n = rob_priv_node(g, n.in[0]);
    }
    if (n.op != &rob_priv_op_matmul || n.attr.i[0] != 0 || n.attr.i[1] != 1) return false;
    out->h = n.in[0];
    out->weight = n.in[1];
    return rob_priv_shape(g, out->h).rank == 2 && rob_priv_shape(g, out->weight).rank == 2;
}

static rob_id scaled(rob_graph *g, const last_layer *l, rob_id z)
{
    z = g_affine(g, z, l->scale, 0);
    return l->factor == ROB_NONE ? z : g_mul(g, z, l->factor);
}

/* (B,1) sum_k z_k [k = y] */
static rob_id own_of(rob_tile *t, rob_id z)
{
    return g_sum_to(t->graph, g_mul(t->graph, z, t->wanted),
                    rob_priv_shape2(ROB_TRAIN_TILE, 1));
}

/* (B,L) sum_h |W_kh - W_yh| r_h */
static rob_id spread_of(rob_tile *t, rob_id weight, rob_id radius)
{
    rob_graph *g = t->graph;
    const int64_t B = ROB_TRAIN_TILE, L = t->outputs;
    const int64_t H = rob_priv_shape(g, radius).dim[1];
    rob_shape own = rob_priv_shape3(B, 1, H), all = rob_priv_shape3(1, L, H);
    rob_id apart = g_sub(g, g_reshape(g, weight, all),
                         g_reshape(g, g_matmul(g, t->wanted, weight, 0, 0), own));
    rob_id part = g_mul(g, g_unary(g, "abs", apart), g_reshape(g, radius, own));
    return g_reshape(g, g_sum_to(g, part, rob_priv_shape3(B, L, 1)), rob_priv_shape2(B, L));
}

/* ends of value v for all series within reach of x */
static void ends_of(rob_interval_term *e, rob_id v, rob_id *lo, rob_id *up)
{
    rob_tile *t = &e->tile;
    rob_graph *g = t->graph;
    rob_id low = g_sub(g, t->x, e->reach), high = g_add(g, t->x, e->reach);
    rob_priv_enclose(g, &t->x, &low, &high, 1, &v, 1, lo, up);
    if (*lo == ROB_NONE) *lo = *up = v;
}

/* (B,L) u */
static rob_id upper_margins(rob_interval_term *e)
{
    rob_tile *t = &e->tile;
    rob_graph *g = t->graph;
    last_layer l;
    rob_id lo, up;
    if (!last_layer_of(g, t->logits, &l)) {
        ends_of(e, t->logits, &lo, &up);
        return g_mul(g, g_sub(g, up, own_of(t, lo)), g_affine(g, t->wanted, -1, 1));
    }
    ends_of(e, l.h, &lo, &up);
    rob_id centre = g_affine(g, g_add(g, lo, up), 0.5, 0);
    rob_id radius = g_affine(g, g_sub(g, up, lo), 0.5 * fabs(l.scale), 0);
    rob_id z = scaled(g, &l, g_matmul(g, centre, l.weight, 0, 1));
    rob_id spread = spread_of(t, l.weight, radius);
    if (l.factor != ROB_NONE) spread = g_mul(g, spread, g_unary(g, "abs", l.factor));
    if (l.bias != ROB_NONE) z = g_add(g, z, l.bias);
    return g_add(g, g_sub(g, z, own_of(t, z)), spread);
}

/* (B,1) 1/L sum_k of the larger square at the two ends */
static rob_id worst_square(rob_interval_term *e)
{
    rob_tile *t = &e->tile;
    rob_graph *g = t->graph;
    rob_id lo, up;
    ends_of(e, t->logits, &lo, &up);
    rob_id far = g_max(g, g_sub(g, up, t->wanted), g_sub(g, t->wanted, lo));
    rob_id sum = g_sum_to(g, g_unary(g, "square", far), rob_priv_shape2(ROB_TRAIN_TILE, 1));
    return g_affine(g, sum, 1 / (double)t->outputs, 0);
}

static void emit_loss(rob_interval_term *e)
{
    rob_tile *t = &e->tile;
    rob_graph *g = t->graph;
    e->upper = ROB_NONE;
    e->reach = rob_priv_input(g, rob_priv_shape_make(0, NULL));
    t->wanted = rob_priv_input(g, rob_priv_shape2(ROB_TRAIN_TILE, t->outputs));
    if (!t->forecast) e->upper = upper_margins(e);
    rob_id each = t->forecast ? worst_square(e) : g_logsumexp(g, e->upper);
    e->loss = rob_priv_tile_weighted(t, each);
    rob_priv_tile_want(t, e->upper, 0);
    rob_priv_tile_want(t, e->loss, 0);
    rob_priv_tile_slopes(t, e->loss, 1);
}

rob_status rob_priv_interval_create(rob_ctx *ctx, const rob_model *model, int64_t steps,
                                    bool lengths_differ, int64_t rows,
                                    rob_interval_term *e)
{
    rob_status status = ROB_OK;
    TRY(rob_priv_tile_create(ctx, model, steps, lengths_differ,
                             (rows + ROB_TRAIN_TILE - 1) / ROB_TRAIN_TILE, &e->tile));
    emit_loss(e);
    TRY(rob_priv_tile_plan(ctx, &e->tile));
done:
    return status;
}

void rob_priv_interval_free(rob_interval_term *e) { rob_priv_tile_free(&e->tile); }
