/* check.c -- a certificate's claims, one after the other.
 *
 * 1. The network is the model's: digests of both graphs.
 * 2. Operands first, each value gets the range of the operator's rule; a claimed range
 *    is taken where it holds that range, or where rows +e_i, -e_i prove it; claimed
 *    planes are taken when they hold on the operands' ranges.
 * 3. Each row of the specification is bounded on the region; every group must have one
 *    at least at the claimed margin, which must be positive.
 * 4. If the region is cut, x_k <= w and x_k >= w and so on, 2 and 3 for each part.
 * So what is claimed follows from the model and the rules of src/op and src/fp alone.
 * docs/theory/certificate.md has the argument.
 */
#include "check/claims.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const rob_claim *a, const rob_claim *b)
{
    const int64_t key[][2] = { { a->part, b->part }, { a->loop, b->loop }, { a->step, b->step },
                               { a->node, b->node }, { a->kind, b->kind },
                               { a->row, b->row },   { a->first, b->first },
                               { a->count, b->count } };
    for (int64_t i = 0; i < COUNT_OF(key); i++)
        if (key[i][0] != key[i][1]) return key[i][0] < key[i][1] ? -1 : 1;
    return 0;
}

static int by_name_at(const void *a, const void *b)
{
    return by_name(*(const rob_claim *const *)a, *(const rob_claim *const *)b);
}

/* The first claim not before `name`. */
static int64_t find(const rob_check_work *w, const rob_claim *name)
{
    int64_t lo = 0, up = w->cert->claims;
    while (lo < up) {
        int64_t middle = lo + (up - lo) / 2;
        if (by_name(w->order[middle], name) < 0) lo = middle + 1;
        else up = middle;
    }
    return lo;
}

static const rob_claim *claim_of(const rob_check_work *w, const rob_check_value *v,
                                 int32_t kind, int32_t row, int64_t count)
{
    rob_claim name = { .part = w->part, .kind = kind, .row = row, .loop = v->loop,
                       .step = v->step, .node = v->node, .first = v->part,
                       .count = count };
    int64_t at = find(w, &name);
    if (at == w->cert->claims || by_name(w->order[at], &name) != 0) return NULL;
    return w->order[at];
}

/* ---- ranges ---------------------------------------------------------------------- */

rob_range rob_priv_check_range(const rob_check_work *w, int32_t value, rob_shape shape)
{
    const rob_check_value *v = &w->net->value[value], *root = v;
    int64_t first = 0;
    if (v->kind == ROB_CHECK_WINDOW) {
        root = &w->net->value[v->root];
        first = v->first;
    }
    return (rob_range){ shape, root->lo + first, root->up + first };
}

const rob_range *rob_priv_check_operands(rob_check_work *w, const rob_check_value *v)
{
    const rob_check_link *in = &w->net->link[v->link];
    for (int32_t i = 0; i < v->ins; i++)
        w->range[i] = rob_priv_check_range(w, in[i].value, in[i].shape);
    return w->range;
}

static void image_of_join(rob_check_work *w, const rob_check_value *v)
{
    const rob_range *in = rob_priv_check_operands(w, v);
    for (int64_t i = 0, at = 0; i < v->ins; i++) {
        int64_t size = w->net->value[w->net->link[v->link + i].value].size;
        memcpy(v->lo + at, in[i].lo, (size_t)size * sizeof *v->lo);
        memcpy(v->up + at, in[i].up, (size_t)size * sizeof *v->up);
        at += size;
    }
}

static void image_of(rob_check_work *w, const rob_check_value *v)
{
    rob_range out = { v->of.shape, v->lo, v->up };
    if (v->kind == ROB_CHECK_JOIN) {
        image_of_join(w, v);
    } else if (v->kind == ROB_CHECK_X) {
        for (int64_t e = 0; e < v->size; e++)
            rob_priv_check_x(w->cert, v->first + e, &v->lo[e], &v->up[e]);
    } else {
        v->of.op->interval(&v->of, rob_priv_check_operands(w, v), v->output, &out);
    }
}

/* Magnitudes; an empty or infinite range is nothing to go on from. */
static bool seal(const rob_check_value *v)
{
    bool fine = true;
    for (int64_t e = 0; e < v->size; e++) {
        v->big[e] = fp_max(fabs(v->lo[e]), fabs(v->up[e]));
        fine = fine && v->lo[e] <= v->up[e] && isfinite(v->lo[e]) && isfinite(v->up[e]);
    }
    return fine;
}

/* ---- values in order ------------------------------------------------------------- */

/* Planes of a value whose operands have their ranges. */
static rob_status shape_of(rob_check_work *w, int32_t i)
{
    rob_status status = ROB_OK;
    rob_check_value *v = &w->net->value[i];
    const rob_claim *planes = claim_of(w, v, ROB_CLAIM_PLANES, -1, v->size);
    const rob_claim *rows = claim_of(w, v, ROB_CLAIM_ROWS, -1, v->size);
    if (planes != NULL && v->kind != ROB_CHECK_CURVE)
        return rob_priv_check_refuse(w, planes, "planes of what has none");
    if (rows != NULL && v->kind != ROB_CHECK_ROW)
        return rob_priv_check_refuse(w, rows, "planes of a row of what is none");
    const rob_claim *strip[ROB_CHECK_STRIPS + 1];
    for (int32_t k = 0; k <= ROB_CHECK_STRIPS; k++)
        strip[k] = claim_of(w, v, ROB_CLAIM_STRIP, k, v->size);
    TRY(rob_priv_check_prove_strips(w, i, strip));
    if (planes != NULL) TRY(rob_priv_check_prove_planes(w, i, planes, &v->plane));
    if (v->kind == ROB_CHECK_ROW) {
        int64_t groups = v->size / rob_priv_shape_cols(&v->of.shape);
        const rob_claim *mean = claim_of(w, v, ROB_CLAIM_SQUARES, -1, groups);
        if (rows != NULL) TRY(rob_priv_check_prove_rows(w, i, rows, mean));
    }
    if (v->kind == ROB_CHECK_PAIR && !rob_priv_check_couple(w, i))
        return rob_priv_no_memory(w->ctx);
done:
    return status;
}

static rob_status visit(rob_check_work *w, int32_t i)
{
    rob_status status = ROB_OK;
    rob_check_value *v = &w->net->value[i];
    const rob_claim name = { .loop = v->loop, .step = v->step, .node = v->node };
    if (!v->live || v->kind == ROB_CHECK_WINDOW) return ROB_OK;
    image_of(w, v);
    if (!seal(v)) return rob_priv_check_refuse(w, &name, "no finite range");
    if (v->kind == ROB_CHECK_PRODUCT && !rob_priv_check_weigh(w, i, &v->plane))
        return rob_priv_no_memory(w->ctx);
    TRY(shape_of(w, i));
    const rob_claim *range = claim_of(w, v, ROB_CLAIM_RANGE, -1, v->size);
    if (range != NULL) TRY(rob_priv_check_prove_range(w, i, range));
    if (!seal(v)) return rob_priv_check_refuse(w, &name, "an empty range");
done:
    return status;
}

static rob_status tell(rob_check_work *w, rob_fp_state *host, int32_t i)
{
    rob_priv_fp_leave(*host);
    rob_status status = rob_priv_progress(w->ctx, "check", i, w->net->values);
    *host = rob_priv_fp_enter();
    return status;
}

/* The least of the groups' best rows. */
static rob_status prove_rows(rob_check_work *w, double *margin)
{
    const rob_cert *c = w->cert;
    const int64_t *depth = c->depth + w->part * c->rows;
    double best = -INFINITY;
    for (int64_t r = 0; r < c->rows; r++) {
        if (!rob_priv_check_row(w, c->c + r * c->outputs, c->b[r], depth[r]))
            return rob_priv_no_memory(w->ctx);
        best = fp_max(w->value[0], best);
        if (r + 1 < c->rows && c->group[r + 1] == c->group[r]) continue;
        *margin = fp_min(best, *margin);
        best = -INFINITY;
    }
    if (*margin > 0 && *margin >= c->margin && c->margin > 0) return ROB_OK;
    return rob_priv_fail(w->ctx, ROB_EDOMAIN,
                         "%s: refused: a margin of %.17g is claimed, %.17g follows",
                         w->path, c->margin, *margin);
}

static rob_status prove_values(rob_check_work *w, rob_fp_state *host, double *margin)
{
    rob_status status = ROB_OK;
    int32_t time = -1;
    for (int32_t i = 0; i < w->net->values && status == ROB_OK; i++) {
        if (w->net->value[i].time != time || i == 0) status = tell(w, host, i);
        time = w->net->value[i].time;
        if (status == ROB_OK) status = visit(w, i);
    }
    return status == ROB_OK ? prove_rows(w, margin) : status;
}

/* ---- parts of the region --------------------------------------------------------- */

enum { DEEPEST = 256 };

/* A part is the region's, within walls; all are of the work's certificate otherwise. */
typedef struct tree {
    rob_check_work *w;
    const rob_cert *whole;
    rob_cert part;
    rob_fp_state host;
    int64_t next, owns;           /* node; owned before any part */
    double margin;
} tree;

/* Nothing of another part is left. */
static void forget(tree *t)
{
    rob_check_net *net = t->w->net;
    rob_priv_check_let_go(net, t->owns);
    for (int32_t i = 0; i < net->values; i++) {
        net->value[i].plane = (rob_check_plane){ .weight = NULL };
        net->value[i].joint = NULL;
    }
    t->w->spares = 0;
}

/* The part lies in the ball of the same radius about the point of its box that is nearest to
 * x: number by number that is nearer to each of its points than x is. */
static rob_status prove_part(tree *t)
{
    rob_check_work *w = t->w;
    const int64_t n = t->whole->steps * t->whole->features;
    bool none = false;
    for (int64_t k = 0; t->whole->cuts > 1 && k < n; k++) {
        none = none || t->part.low[k] > t->part.high[k];
        t->part.x[k] = fp_min(fp_max(t->whole->x[k], t->part.low[k]), t->part.high[k]);
    }
    rob_status status = none ? ROB_OK : prove_values(w, &t->host, &t->margin);
    if (w->part + 1 < t->whole->parts) forget(t);
    w->part++;
    return status;
}

static rob_status prove_node(tree *t, int depth)
{
    const rob_cut *cut = &t->whole->cut[t->next++];
    if (cut->at < 0) return prove_part(t);
    if (depth > DEEPEST)
        return rob_priv_fail(t->w->ctx, ROB_EDOMAIN, "%s: refused: parts are cut more than %d "
                             "times", t->w->path, DEEPEST);
    double *low = &t->part.low[cut->at], *high = &t->part.high[cut->at];
    const double was_low = *low, was_high = *high;
    *high = fp_min(cut->where, was_high);
    rob_status status = prove_node(t, depth + 1);
    *high = was_high;
    *low = fp_max(cut->where, was_low);
    if (status == ROB_OK) status = prove_node(t, depth + 1);
    *low = was_low;
    return status;
}

/* Walls of its own, if there is anything to cut. */
static bool open_tree(tree *t)
{
    rob_check_net *net = t->w->net;
    const int64_t n = t->whole->steps * t->whole->features;
    t->part = *t->whole;
    if (t->whole->cuts > 1) {
        double *room = rob_priv_check_own(net, 3 * n, (int64_t)sizeof *room);
        if (room == NULL) return false;
        t->part.x = room;
        t->part.low = room + n;
        t->part.high = room + 2 * n;
        for (int64_t k = 0; k < n; k++) {
            t->part.low[k] = t->whole->low != NULL ? t->whole->low[k] : -INFINITY;
            t->part.high[k] = t->whole->high != NULL ? t->whole->high[k] : INFINITY;
        }
    }
    t->owns = net->owns;
    t->w->cert = &t->part;
    return true;
}

static rob_status prove_all(rob_check_work *w, double *margin)
{
    tree t = { .w = w, .whole = w->cert, .margin = INFINITY };
    if (!open_tree(&t)) return rob_priv_no_memory(w->ctx);
    t.host = rob_priv_fp_enter();
    rob_status status = prove_node(&t, 0);
    rob_priv_fp_leave(t.host);
    if (status == ROB_OK && t.margin == INFINITY)
        return rob_priv_fail(w->ctx, ROB_EDOMAIN, "%s: refused: its walls leave nothing to prove",
                             w->path);
    *margin = t.margin;
    return status;
}

/* ---- the work -------------------------------------------------------------------- */

static int64_t rows_at_a_time(const rob_check_net *net)
{
    int64_t rows = (1 << 15) / net->widest / 8 * 8;
    return rows < 8 ? 8 : rows > ROB_CHECK_MOST_ROWS ? ROB_CHECK_MOST_ROWS : rows;
}

static bool open_work(rob_check_work *w)
{
    rob_check_net *net = w->net;
    int64_t claims = w->cert->claims, ins = 1;
    for (int32_t i = 0; i < net->values; i++)
        if (net->value[i].ins > ins) ins = net->value[i].ins;
    w->tile = rows_at_a_time(net);
    w->order = rob_priv_check_own(net, claims + 1, (int64_t)sizeof *w->order);
    w->range = rob_priv_check_own(net, ins, (int64_t)sizeof *w->range);
    w->block = rob_priv_check_own(net, net->values, (int64_t)sizeof *w->block);
    w->spare = rob_priv_check_own(net, net->values + 4, (int64_t)sizeof *w->spare);
    w->base = rob_priv_check_own(net, 7 * w->tile, (int64_t)sizeof *w->base);
    w->fresh = rob_priv_check_own(net, net->widest + 1, (int64_t)sizeof *w->fresh);
    if (!w->fresh || !w->order || !w->range || !w->block || !w->spare || !w->base) return false;
    w->loss = w->base + w->tile;
    w->value = w->loss + w->tile;
    w->cost = w->value + w->tile;
    w->measure = w->cost + w->tile;
    w->kernel = rob_priv_check_kernel(w->ctx->isa);
    for (int64_t i = 0; i < claims; i++) w->order[i] = &w->cert->claim[i];
    qsort(w->order, (size_t)claims, sizeof *w->order, by_name_at);
    return true;
}

/* The graph of the model for series of this length, if it is the certificate's. */
static rob_status network_of(rob_ctx *ctx, const rob_model *model, const rob_cert *c,
                             const char *path, rob_check_net **out)
{
    rob_status status = ROB_OK;
    rob_graph *g = NULL;
    uint8_t digest[ROB_CERT_DIGEST];
    CHECK(model->recipe.features == c->features && model->recipe.outputs == c->outputs,
          ctx, ROB_EDOMAIN,
          "%s: refused: it speaks of %lld features and %lld outputs, the model has %lld "
          "and %lld", path, (long long)c->features, (long long)c->outputs,
          (long long)model->recipe.features, (long long)model->recipe.outputs);
    CHECK(model->steps == 0 || model->steps == c->steps, ctx, ROB_EDOMAIN,
          "%s: refused: it speaks of %lld steps, the model takes %lld", path,
          (long long)c->steps, (long long)model->steps);
    TRY(rob_priv_graph_create(ctx, &g));
    rob_id x = rob_priv_input(g, rob_priv_shape3(c->steps, 1, c->features));
    rob_id y = rob_priv_model_emit(model, g, x, ROB_NONE, NULL);
    TRY(rob_priv_graph_status(ctx, g));
    rob_priv_cert_network(g, x, y, digest);
    CHECK(memcmp(digest, c->digest, sizeof digest) == 0, ctx, ROB_EDOMAIN,
          "%s: refused: it was written for another network", path);
    status = rob_priv_check_unroll(ctx, g, x, y, out);
    g = NULL;
done:
    rob_priv_graph_free(g);
    return status;
}

rob_status rob_priv_check(rob_ctx *ctx, const rob_model *model, const rob_cert *cert,
                          const char *path, rob_check_result *out)
{
    rob_status status = ROB_OK;
    double begun = rob_priv_clock(), margin = -INFINITY;
    rob_check_work w = { .ctx = ctx, .cert = cert, .path = path };
    TRY(network_of(ctx, model, cert, path, &w.net));
    CHECK(w.net->value[w.net->output].size == cert->outputs, ctx, ROB_EDOMAIN,
          "%s: refused: the model has other outputs", path);
    if (!open_work(&w)) TRY(rob_priv_no_memory(ctx));
    status = prove_all(&w, &margin);
    if (status == ROB_OK)
        *out = (rob_check_result){ margin, rob_priv_clock() - begun, w.planes, w.ranges,
                                   w.rows };
done:
    rob_priv_check_net_free(w.net);
    return status;
}
