/* attack.c -- a whole attack: blocks of series, one after the other, and their answers.
 *
 * Distance: U_i = ||p_i - x_i||_p of the nearest point p_i seen to fail (finish.c), 0
 * when x_i itself fails, infinite when nothing failed. Margin: the least F seen in the
 * ball, F(x_i) included. dist(x_i) <= U_i always. (docs/theory/attack.md, section 1.)
 */
#include "attack/bend.h"

#include <math.h>
#include <string.h>

enum { QUERIES_A_CALL = 16 };
enum { PUSHES = 12 }; /* trials that take 1e-6 beyond x to 8 times as far */

static void free_found(const rob_memory *m, rob_found *found, int64_t count)
{
    for (int64_t i = 0; found && i < count; i++) {
        rob_priv_release(m, found[i].point);
        rob_priv_release(m, found[i].warp);
    }
    rob_priv_release(m, found);
}

void rob_priv_attack_forget(rob_attack *a)
{
    free_found(&a->memory, a->found, a->count);
    rob_priv_release(&a->memory, a->x);
    rob_priv_release(&a->memory, a->offset);
    a->found = NULL;
    a->x = NULL;
    a->offset = NULL;
    a->count = 0;
}

/* Room for the answers; all say "not attacked": nothing found at x. */
rob_status rob_priv_attack_answers(rob_ctx *ctx, const rob_query *q, rob_attack *to)
{
    int64_t features = q->model->recipe.features, total = 0;
    to->found = rob_priv_allocate(&to->memory, q->count, sizeof *to->found);
    to->offset = rob_priv_allocate(&to->memory, q->count + 1, sizeof *to->offset);
    if (!to->found || !to->offset) return rob_priv_no_memory(ctx);
    to->count = q->count;
    for (int64_t i = 0; i < q->count; i++) {
        rob_found *f = &to->found[i];
        const rob_case *c = &q->cases[i];
        f->size = c->steps * features;
        f->steps = c->steps;
        f->distance = c->wrong ? 0 : INFINITY;
        f->margin = c->margin;
        f->residual = f->factor = NAN;
        f->found = c->wrong;
        f->point = rob_priv_allocate(&to->memory, f->size, sizeof *f->point);
        if (!f->point) return rob_priv_no_memory(ctx);
        memcpy(f->point, c->x, (size_t)f->size * sizeof *f->point);
        total += f->size;
        to->offset[i + 1] = total;
    }
    to->x = rob_priv_allocate(&to->memory, total, sizeof *to->x);
    if (!to->x) return rob_priv_no_memory(ctx);
    for (int64_t i = 0; i < q->count; i++)
        memcpy(to->x + to->offset[i], q->cases[i].x,
               (size_t)to->found[i].size * sizeof *to->x);
    return ROB_OK;
}

static bool warps(const rob_attack *a)
{
    return a->method->distance == rob_priv_warp_distance;
}

static rob_status attack_block(rob_hunt *h, rob_attack *to, int64_t first)
{
    rob_status status = ROB_OK, stopped;
    int64_t rounds = (int64_t)rob_priv_attack_option(h->attack, "search");
    rob_priv_hunt_begin(h, first);
    h->found = to->found + first;
    if (warps(h->attack)) {
        status = h->at_radius ? rob_priv_warp_margin(h) : rob_priv_warp_distance(h);
        goto done;
    }
    status =
        h->at_radius ? h->attack->method->margin(h) : h->attack->method->distance(h);
    if (status < ROB_OK) goto done;
    stopped = status;
    /* what a stopped block has is pushed across and checked, no more */
    TRY(rob_priv_hunt_finish(h, stopped && rounds > PUSHES ? PUSHES : rounds));
    if (!stopped && rob_priv_attack_option(h->attack, "second") > 0)
        TRY(rob_priv_hunt_factors(h));
    status = stopped ? stopped : status;
done:
    return status;
}

static rob_status keep_best(rob_ctx *ctx, rob_query *q, const rob_attack *a)
{
    rob_status status = ROB_OK;
    for (int64_t i = 0; i < a->count; i++)
        if (a->found[i].found) TRY(rob_priv_query_best_room(ctx, q, i));
    for (int64_t i = 0; i < a->count; i++)
        if (a->found[i].found)
            rob_priv_query_keep_best(q, i, a->found[i].distance, a->found[i].point);
done:
    return status;
}

/* What runs: the attack itself, or, where "auto" meets a callback that gives no
 * gradients, the method that needs none, with the options both have. */
static void stand_in(const rob_attack *a, const rob_model *model, rob_attack *to)
{
    *to = *a;
    bool blind = model->callback.logits && !model->callback.pullback;
    if (!blind || strcmp(a->method->name, "auto") != 0) return;
    to->method = rob_priv_attack_method("hopskipjump");
    for (int64_t k = 0; k < to->method->options; k++) {
        const rob_option *o = &to->method->option[k];
        to->option[k] = o->value;
        for (int64_t j = 0; j < a->method->options; j++)
            if (strcmp(o->name, a->method->option[j].name) == 0)
                to->option[k] = a->option[j];
        if (strcmp(o->name, "queries") == 0)
            to->option[k] =
                fmax(o->min, QUERIES_A_CALL * rob_priv_attack_option(a, "calls"));
    }
}

rob_status rob_priv_attack_run(rob_ctx *ctx, rob_attack *a, rob_query *q,
                               bool at_radius)
{
    rob_status status = ROB_OK;
    rob_attack fresh = *a, used;
    rob_hunt h = { .at_radius = at_radius };
    fresh.found = NULL;
    fresh.x = NULL;
    fresh.offset = NULL;
    fresh.count = 0;
    TRY(rob_priv_query_prepare(ctx, q));
    TRY(rob_priv_attack_answers(ctx, q, &fresh));
    fresh.unit = warps(a) ? 1 : rob_priv_query_unit(q);
    fresh.tolerance = q->tolerance;
    stand_in(a, q->model, &used);
    if (q->count > 0) TRY(rob_priv_hunt_create(ctx, &used, q, &h));
    for (int64_t first = 0; first < q->count && status == ROB_OK; first += h.series)
        TRY(attack_block(&h, &fresh, first));
    if (status == ROB_OK) TRY(rob_priv_progress(ctx, "attack", q->count, q->count));
    rob_status stopped = status;
    if (!warps(a)) TRY(keep_best(ctx, q, &fresh));
    status = stopped;
    rob_priv_attack_forget(a);
    *a = fresh;
done:
    if (status < ROB_OK) rob_priv_attack_forget(&fresh);
    rob_priv_hunt_free(&h);
    return status;
}
