/* check.c -- a certificate's claims, one after the other.
 *
 * 1. The network is the model's: digests of both graphs.
 * 2. Operands first, each value gets the range of the operator's rule; a claimed range
 *    is taken where it holds that range, or where rows +e_i, -e_i prove it; claimed
 *    planes are taken when they hold on the operands' ranges.
 * 3. Each row of the specification is bounded on the region; every group must have one
 *    at least at the claimed margin, which must be positive.
 * So what is claimed follows from the model and the rules of src/op and src/fp alone.
 * docs/theory/certificate.md has the argument.
 */
#include "check/check.h"
#include "core/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 64 };

static int by_name(const rob_claim *a, const rob_claim *b)
{
    const int64_t key[][2] = { { a->loop, b->loop }, { a->step, b->step },
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
                                 int32_t kind, int32_t row)
{
    rob_claim name = { .kind = kind, .row = row, .loop = v->loop,
                       .step = v->step, .node = v->node, .first = v->part,
                       .count = v->size };
    int64_t at = find(w, &name);
    if (at == w->cert->claims || by_name(w->order[at], &name) != 0) return NULL;
    return w->order[at];
}

__attribute__((format(printf, 3, 4))) static rob_status
refuse(const rob_check_work *w, const rob_claim *c, const char *format, ...)
{
    char what[256];
    va_list list;
    va_start(list, format);
    rob_priv_format(what, sizeof what, format, list);
    va_end(list);
    if (c->loop < 0)
        return rob_priv_fail(w->ctx, ROB_EDOMAIN, "%s: refused: %s, node %d", w->path,
                             what, (int)c->node);
    return rob_priv_fail(w->ctx, ROB_EDOMAIN,
                         "%s: refused: %s, node %d in turn %d of loop %d", w->path, what,
                         (int)c->node, (int)c->step, (int)c->loop);
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

/* The rows a claim needs, up to a tile of them, from number *next on. */
static int64_t some_units(const rob_check_value *v, const rob_claim *c, int64_t *next,
                          int64_t most, rob_check_unit *unit)
{
    int64_t count = 0;
    for (; *next < c->count && count + 2 <= most; (*next)++) {
        if (c->at[*next] > v->lo[*next]) unit[count++] = (rob_check_unit){ *next, 1 };
        if (c->at[c->count + *next] < v->up[*next])
            unit[count++] = (rob_check_unit){ *next, -1 };
    }
    return count;
}

static rob_status prove_range(rob_check_work *w, int32_t value, const rob_claim *c)
{
    rob_check_value *v = &w->net->value[value];
    rob_check_unit unit[MOST_ROWS];
    for (int64_t next = 0; next < c->count;) {
        int64_t count = some_units(v, c, &next, w->tile, unit);
        if (count == 0) continue;
        if (!rob_priv_check_units(w, value, unit, count, c->depth))
            return rob_priv_no_memory(w->ctx);
        for (int64_t r = 0; r < count; r++) {
            bool low = unit[r].sign > 0;
            double claimed = c->at[(low ? 0 : c->count) + unit[r].e];
            double found = low ? w->value[r] : -w->value[r];
            if (low ? found >= claimed : found <= claimed) continue;
            return refuse(w, c, "%s %.17g is claimed, %.17g follows: number %lld",
                          low ? "at least" : "at most", claimed, found,
                          (long long)unit[r].e);
        }
    }
    for (int64_t e = 0; e < c->count; e++) {
        v->lo[e] = fp_max(c->at[e], v->lo[e]);
        v->up[e] = fp_min(c->at[c->count + e], v->up[e]);
    }
    w->ranges += c->count;
    return ROB_OK;
}

/* ---- planes ---------------------------------------------------------------------- */

static int32_t live_operands(const rob_check_work *w, const rob_check_value *v)
{
    int32_t live = 0;
    for (int32_t i = 0; i < v->ins; i++)
        live += w->net->value[w->net->link[v->link + i].value].live;
    return live;
}

static bool element_holds(const rob_check_work *w, const rob_check_value *v,
                          const rob_range *in, const rob_check_plane *p, int64_t e)
{
    rob_check_box box[ROB_MAX_INS];
    for (int side = 0; side < 2; side++) {
        double slope[ROB_MAX_INS] = { 0 };
        for (int32_t i = 0, k = 0; i < v->ins; i++) {
            box[i] = (rob_check_box){ in[i].lo[e], in[i].up[e] };
            if (w->net->value[w->net->link[v->link + i].value].live)
                slope[i] = p->slope[side][k++][e];
        }
        if (!rob_priv_check_plane(&v->of, box, slope, p->offset[side][e], side == 1))
            return false;
    }
    return true;
}

static rob_status prove_planes(rob_check_work *w, int32_t value, const rob_claim *c,
                               rob_check_plane *p)
{
    rob_check_value *v = &w->net->value[value];
    const rob_range *in = rob_priv_check_operands(w, v);
    const double *at = c->at;
    if (c->ins != live_operands(w, v))
        return refuse(w, c, "%d slopes are claimed", (int)c->ins);
    for (int side = 0; side < 2; side++) {
        for (int32_t k = 0; k < c->ins; k++, at += c->count) p->slope[side][k] = at;
        p->offset[side] = at;
        at += c->count;
    }
    for (int64_t e = 0; e < v->size; e++) {
        if (element_holds(w, v, in, p, e)) continue;
        return refuse(w, c, "a plane of %s does not hold: number %lld", v->of.op->name,
                      (long long)e);
    }
    w->planes += 2 * v->size;
    return rob_priv_check_weigh(w, value, p) ? ROB_OK : rob_priv_no_memory(w->ctx);
}

/* ---- values in order ------------------------------------------------------------- */

static rob_status visit(rob_check_work *w, int32_t i)
{
    rob_status status = ROB_OK;
    rob_check_value *v = &w->net->value[i];
    const rob_claim name = { .loop = v->loop, .step = v->step, .node = v->node };
    if (!v->live || v->kind == ROB_CHECK_WINDOW) return ROB_OK;
    image_of(w, v);
    if (!seal(v)) return refuse(w, &name, "no finite range");
    if (v->kind == ROB_CHECK_PRODUCT && !rob_priv_check_weigh(w, i, &v->plane))
        return rob_priv_no_memory(w->ctx);
    const rob_claim *planes = claim_of(w, v, ROB_CLAIM_PLANES, -1);
    const rob_claim *range = claim_of(w, v, ROB_CLAIM_RANGE, -1);
    if (planes != NULL && v->kind != ROB_CHECK_CURVE)
        return refuse(w, planes, "planes of what has none");
    if (planes != NULL) TRY(prove_planes(w, i, planes, &v->plane));
    if (range != NULL) TRY(prove_range(w, i, range));
    if (!seal(v)) return refuse(w, &name, "an empty range");
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

static rob_status prove_rows(rob_check_work *w, double *margin)
{
    const rob_cert *c = w->cert;
    double best = -INFINITY;
    *margin = INFINITY;
    for (int64_t r = 0; r < c->rows; r++) {
        w->row = r;
        if (!rob_priv_check_row(w, c->c + r * c->outputs, c->b[r], c->depth[r]))
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

static rob_status prove_all(rob_check_work *w, double *margin)
{
    rob_fp_state host = rob_priv_fp_enter();
    rob_status status = ROB_OK;
    int32_t time = -1;
    for (int32_t i = 0; i < w->net->values && status == ROB_OK; i++) {
        if (w->net->value[i].time != time) status = tell(w, &host, i);
        time = w->net->value[i].time;
        if (status == ROB_OK) status = visit(w, i);
    }
    if (status == ROB_OK) status = prove_rows(w, margin);
    rob_priv_fp_leave(host);
    return status;
}

/* ---- the work -------------------------------------------------------------------- */

static int64_t rows_at_a_time(const rob_check_net *net)
{
    int64_t rows = (1 << 15) / net->widest / 8 * 8;
    return rows < 8 ? 8 : rows > MOST_ROWS ? MOST_ROWS : rows;
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
    if (!w->order || !w->range || !w->block || !w->spare || !w->base) return false;
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
    rob_check_work w = { .ctx = ctx, .cert = cert, .path = path, .row = -1 };
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
