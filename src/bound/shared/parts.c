/* parts.c -- one perturbation for many series, on parts of the set of u.
 *
 * d = E u with few coordinates u (m <= 8): a subspace, a band, or few numbers that
 * move. The box |u_j| <= eps is cut into boxes  Q = {c + W v : |v_j| <= 1},  W
 * diagonal; those that do not meet the ball are dropped. On Q every series that is not
 * yet proved is bounded anew, its ranges and rows made on
 *
 *     x_i + E c + (E W) v,   |v_j| <= 1,
 *
 * a ball of the largest norm in a subspace, around a moved series. What is positive
 * there does not fail on Q, and of the half-spaces of the others shared.c bounds how
 * many one v can meet. At most so many fail in Q; over the parts the largest number
 * counts, so the dearest part is cut next, along the coordinate that moves its rows
 * most, and the search may end at any time. It also ends when at some centre as many
 * are seen to fail.
 *
 * Rounding: x_i + E c and E W are computed, each off by at most
 * (m + 3) u (|x_k| + sum_j |E_kj| (|c_j| + W_jj)) in number k; the region carries four
 * times that as `off` (query/region.h), which ranges and rows pay for.
 * docs/theory/bound.md 12.
 */
#include "bound/joint.h"
#include "bound/shared/universal.h"

#include <string.h>

enum { M = ROB_WAYS_MOST, INNER_CUTS = 40 };

typedef struct part {
    double lo[M], up[M], share[M]; /* share: of what moves rows, by coordinate */
    int64_t most;
    bool *open; /* (count) series that may fail here */
} part;

/* What one worker needs. */
typedef struct hand {
    rob_work *w;
    double *x, *off, *affine, *value;
    rob_proof *row;
    rob_fp_state host;
    int32_t index;
    struct search *s;
} hand;

typedef struct search {
    rob_hunt *h;
    rob_network *net;
    hand *hand; /* (threads) */
    part *part;
    int64_t parts, room, numbers; /* numbers: groups of all series */
    int64_t *first;               /* (count) its half-spaces */
    rob_half *found;              /* (numbers) of the part at work; series -1: proved */
    rob_half *half;               /* (numbers) sorted, without those */
    double *at;                   /* (numbers, m) */
    double *shift, *basis, *size; /* (n), (n, m), (n) of the part at work */
    double width[M];
    part *now;
    int64_t *list, listed;   /* series of the part at work */
    int64_t seen;            /* most that were seen to fail at one point */
    double *points, *logits; /* (count, n), (count, L) */
    const double **point;
    int64_t *steps;
    atomic_int status; /* of the jobs: 0, stopped, or an error */
    bool crown, sweeps, forms;
    int64_t depth;
} search;

/* ---- one series on one part ------------------------------------------------------ */

static bool hand_stops(void *user)
{
    hand *a = user;
    const rob_query *q = a->s->h->query;
    if (a->index != 0) return rob_priv_cancelled(a->s->h->ctx);
    rob_priv_fp_leave(a->host);
    bool stop = rob_priv_progress(a->s->h->ctx, "bound", q->count, q->count) != ROB_OK;
    a->host = rob_priv_fp_enter();
    return stop;
}

static rob_status open_hand(search *s, int32_t index)
{
    hand *a = &s->hand[index];
    const double *option = s->h->bound->option;
    if (a->w != NULL) return ROB_OK;
    rob_status status = rob_priv_work_open(s->net, &a->w);
    if (status == ROB_OK && s->forms) status = rob_priv_forward_open(a->w);
    if (status == ROB_OK && s->forms && option[ROB_BOUND_JOINT] != 0)
        status = rob_priv_joint_open(a->w);
    if (status != ROB_OK) return status;
    a->s = s;
    a->index = index;
    a->w->depth = s->depth;
    a->w->sweeps = s->sweeps;
    a->w->gain = option[ROB_BOUND_GAIN];
    if (option[ROB_BOUND_SYMBOLS] > 0)
        a->w->symbols_most = (int64_t)option[ROB_BOUND_SYMBOLS];
    a->w->stop = hand_stops;
    a->w->stop_user = a;
    a->w->fault = s->h->bound->fault;
    a->w->fault_strip = s->h->bound->fault_strip;
    return status;
}

/* The series moved to the centre, and by how much that may be off. */
static void move_series(const search *s, hand *a, const double *x)
{
    const double unit = 4 * (double)(s->h->m + 4) * ROB_U;
    for (int64_t k = 0; k < s->h->n; k++) {
        bool moves = s->h->moves[k];
        a->x[k] = moves ? x[k] + s->shift[k] : x[k];
        a->off[k] = moves ? fp_up(fp_mul_up(unit, fabs(x[k]) + s->size[k])
                                  + 8 * (double)(s->h->m + 4) * ROB_TINY)
                          : 0;
    }
}

static void keep_rows(search *s, hand *a, int64_t i, const rob_spec *spec)
{
    const int64_t n = s->h->n, m = s->h->m;
    for (int64_t r = 0; r < spec->rows; r++) a->value[r] = a->row[r].value;
    for (int64_t g = 0; g < spec->groups; g++) {
        const int64_t to = s->first[i] + g;
        int64_t r = rob_priv_hunt_row(spec, a->value, a->affine, n, g);
        s->found[to] = (rob_half){ r == -1 ? -1 : i, -INFINITY, s->at + to * m };
        if (r < 0) continue;
        double loss =
            rob_priv_hunt_pull(s->h, a->affine + r * n, s->width, 1, s->at + to * m);
        s->found[to].fixed = fp_or_lo(fp_add_lo(a->affine[spec->rows * n + r], -loss));
    }
}

static void bound_series(void *user, int64_t task, int32_t worker)
{
    search *s = user;
    hand *a = &s->hand[worker];
    const int64_t i = s->list[task];
    const rob_case *c = &s->h->query->cases[i];
    const rob_spec *p = &c->spec;
    const rob_demand d = { p->rows, p->groups, p->outputs, p->c, p->b, p->group };
    const rob_region region = { .x = a->x,
                                .mask = s->h->moves,
                                .steps = s->net->steps,
                                .features = s->net->features,
                                .n = s->h->n,
                                .m = s->h->m,
                                .norm = ROB_NORM_LINF,
                                .radius = 1,
                                .unit = 1,
                                .basis = s->basis,
                                .variation = INFINITY,
                                .difference = INFINITY,
                                .off = a->off };
    const rob_ball ball = { a->x, s->h->moves, ROB_NORM_LINF, 1, &region };
    rob_outcome out;
    if (atomic_load(&s->status) != ROB_OK) return;
    a->host = rob_priv_fp_enter();
    rob_status status = open_hand(s, worker);
    if (status == ROB_OK) {
        move_series(s, a, c->x);
        status =
            rob_priv_bound_affine(a->w, &ball, &d, s->crown, a->row, a->affine, &out);
    }
    if (status == ROB_OK) {
        keep_rows(s, a, i, p);
        s->now->open[i] = !(out.margin > 0);
    }
    rob_priv_fp_leave(a->host);
    if (status != ROB_OK) atomic_store(&s->status, status);
}

/* ---- a part ---------------------------------------------------------------------- */

static void place(search *s, const part *p)
{
    const rob_hunt *h = s->h;
    double centre[M];
    for (int64_t j = 0; j < h->m; j++) {
        centre[j] = 0.5 * p->lo[j] + 0.5 * p->up[j];
        s->width[j] =
            fp_max(fp_add_up(p->up[j], -centre[j]), fp_add_up(centre[j], -p->lo[j]));
    }
    for (int64_t j = 0; j < h->m; j++) s->width[j] *= 1 - h->bound->fault_part;
    for (int64_t k = 0; k < h->n; k++) {
        s->shift[k] = s->size[k] = 0;
        for (int64_t j = 0; j < h->m; j++) {
            double e = h->moves[k] ? h->basis[k * h->m + j] : 0;
            s->shift[k] += e * centre[j];
            s->size[k] += fabs(e) * (fabs(centre[j]) + s->width[j]);
            s->basis[k * h->m + j] = e * s->width[j];
        }
    }
}

/* No u of the ball lies in the box: its nearest corner is further than eps. */
static bool is_outside(const rob_hunt *h, const part *p)
{
    double near = 0;
    for (int64_t j = 0; j < h->m; j++) {
        double u = fp_max(fp_max(p->lo[j], -p->up[j]), 0);
        if (h->query->norm == ROB_NORM_LINF) near = fp_max(near, u);
        else
            near = fp_add_lo(near, h->query->norm == ROB_NORM_L2 ? fp_mul_lo(u, u) : u);
    }
    if (h->query->norm != ROB_NORM_L2) return near > h->eps;
    return near > fp_mul_up(h->eps, h->eps);
}

static void weigh(search *s, part *p, const rob_half *half)
{
    const int64_t m = s->h->m;
    double sum = 0;
    for (int64_t j = 0; j < m; j++) sum += fabs(half->at[j]);
    for (int64_t j = 0; j < m && sum > 0; j++) p->share[j] += fabs(half->at[j]) / sum;
}

/* How many of the series left one v can make fail: shared.c on their half-spaces. */
static rob_status count_part(search *s, part *p)
{
    int64_t halves = 0, always = 0;
    for (int64_t k = 0; k < s->listed; k++) {
        const int64_t i = s->list[k], groups = s->h->query->cases[i].spec.groups;
        const int64_t before = halves;
        if (!p->open[i]) continue;
        for (int64_t g = s->first[i]; g < s->first[i] + groups; g++)
            if (s->found[g].series >= 0) s->half[halves++] = s->found[g];
        bool affine = halves > before;
        for (int64_t r = before; r < halves; r++)
            affine = affine && isfinite(s->half[r].fixed);
        for (int64_t r = before; r < halves && affine; r++) weigh(s, p, &s->half[r]);
        if (affine) continue;
        halves = before;
        always++;
    }
    rob_shared inner = { .half = s->half,
                         .halves = halves,
                         .n = s->h->m,
                         .norm = ROB_NORM_LINF,
                         .cuts = INNER_CUTS,
                         .eps = 1 };
    rob_fp_state host = rob_priv_fp_enter();
    rob_status status = rob_priv_shared_most(&s->h->bound->memory, &inner);
    rob_priv_fp_leave(host);
    if (always + inner.most < p->most) p->most = always + inner.most;
    return status;
}

/* Series that fail at the centre, drawn into the ball: no bound can be below. */
static rob_status look(search *s, const part *p)
{
    rob_status status = ROB_OK;
    rob_hunt *h = s->h;
    rob_query *q = h->query;
    rob_evaluator *e = NULL;
    double u[M], size;
    int64_t count = 0;
    if (p->most <= s->seen) return ROB_OK;
    for (int64_t j = 0; j < h->m; j++) u[j] = 0.5 * p->lo[j] + 0.5 * p->up[j];
    size = rob_priv_norm(q->norm, u, h->m);
    for (int64_t k = 0; k < h->n; k++) {
        double d = s->shift[k] * (size > h->eps ? h->eps / size : 1);
        for (int64_t i = 0; i < q->count; i++)
            s->points[i * h->n + k] = q->cases[i].x[k] + d;
    }
    TRY(rob_priv_query_evaluator(h->ctx, q, ROB_F64, false, &e));
    TRY(rob_priv_evaluate(h->ctx, e, q->count, s->point, s->steps, s->logits));
    if (status == ROB_STOPPED) goto done;
    for (int64_t i = 0; i < q->count; i++) {
        const rob_case *c = &q->cases[i];
        if (c->wrong) continue;
        count +=
            rob_priv_spec_margin(&c->spec, s->logits + i * c->spec.outputs, NULL) <= 0;
    }
    if (count > s->seen) s->seen = count;
done:
    return status;
}

/* A part not looked at yet, its open series and number those of the whole. */
static rob_status bound_part(search *s, part *p)
{
    const rob_query *q = s->h->query;
    if (is_outside(s->h, p)) {
        p->most = 0;
        return ROB_OK;
    }
    s->now = p;
    s->listed = 0;
    for (int64_t i = 0; i < q->count; i++)
        if (p->open[i]) s->list[s->listed++] = i;
    place(s, p);
    memset(p->share, 0, sizeof p->share);
    rob_priv_parallel(s->h->ctx, bound_series, s, s->listed);
    rob_status status = atomic_load(&s->status);
    if (status == ROB_OK) status = count_part(s, p);
    if (status == ROB_OK) status = look(s, p);
    return status;
}

/* ---- the search ------------------------------------------------------------------ */

static int64_t dearest(const search *s)
{
    int64_t best = 0;
    for (int64_t k = 1; k < s->parts; k++)
        if (s->part[k].most > s->part[best].most) best = k;
    return best;
}

/* Where to cut: a wide coordinate that moves rows. */
static int64_t way_of(const search *s, const part *p)
{
    const int64_t m = s->h->m;
    double widest = 0, shares = 0, most = -1;
    int64_t best = 0;
    for (int64_t j = 0; j < m; j++) {
        widest = fp_max(widest, p->up[j] - p->lo[j]);
        shares += p->share[j];
    }
    for (int64_t j = 0; j < m; j++) {
        double score = 0.3 * (p->up[j] - p->lo[j]) / widest;
        if (shares > 0) score += p->share[j] / shares;
        if (score > most) best = j, most = score;
    }
    return best;
}

static rob_status cut(search *s, int64_t at)
{
    const size_t bytes = (size_t)s->h->query->count * sizeof(bool);
    part *left = &s->part[at], *right = &s->part[s->parts];
    const int64_t way = way_of(s, left);
    const double middle = 0.5 * left->lo[way] + 0.5 * left->up[way];
    bool *open = right->open;
    *right = *left;
    right->open = open;
    memcpy(open, left->open, bytes);
    left->up[way] = right->lo[way] = middle;
    s->parts++;
    rob_status status = bound_part(s, left);
    return status == ROB_OK ? bound_part(s, right) : status;
}

static rob_status run(search *s)
{
    rob_status status = ROB_OK;
    rob_hunt *h = s->h;
    const double deadline = h->begun + h->bound->option[ROB_BOUND_SECONDS];
    part *root = &s->part[0];
    for (int64_t j = 0; j < h->m; j++) root->lo[j] = -h->eps, root->up[j] = h->eps;
    memcpy(root->open, h->lost, (size_t)h->query->count * sizeof(bool));
    root->most = h->most;
    s->parts = 1;
    for (int64_t r = 0; r < h->halves; r++) weigh(s, root, &h->half[r]);
    while (status == ROB_OK && s->parts < s->room && h->most > s->seen
           && rob_priv_clock() < deadline) {
        status = cut(s, dearest(s));
        h->most = s->part[dearest(s)].most;
    }
    return status;
}

static bool reserve(const rob_memory *m, void *to, int64_t count, int64_t size)
{
    void *p = rob_priv_allocate(m, count + 1, size);
    memcpy(to, &p, sizeof p);
    return p != NULL;
}

static bool open_hands(search *s, const rob_memory *m)
{
    const rob_query *q = s->h->query;
    const int64_t n = s->h->n;
    int64_t rows = 0;
    bool fine = true;
    for (int64_t i = 0; i < q->count; i++)
        rows = q->cases[i].spec.rows > rows ? q->cases[i].spec.rows : rows;
    for (int32_t k = 0; fine && k < s->h->ctx->threads; k++) {
        hand *a = &s->hand[k];
        fine = reserve(m, &a->x, n, sizeof(double))
               && reserve(m, &a->off, n, sizeof(double))
               && reserve(m, &a->affine, rows * (n + 2), sizeof(double))
               && reserve(m, &a->value, rows, sizeof(double))
               && reserve(m, &a->row, rows, sizeof *a->row);
    }
    return fine;
}

static bool open_parts(search *s, const rob_memory *m)
{
    bool fine = reserve(m, &s->part, s->room, sizeof *s->part);
    for (int64_t k = 0; fine && k < s->room; k++)
        fine = reserve(m, &s->part[k].open, s->h->query->count, sizeof(bool));
    return fine;
}

static bool open_room(search *s)
{
    rob_hunt *h = s->h;
    const rob_memory *m = &h->bound->memory;
    const int64_t n = h->n, count = h->query->count,
                  outputs = h->query->cases[0].spec.outputs;
    bool fine = reserve(m, &s->hand, h->ctx->threads, sizeof *s->hand)
                && reserve(m, &s->first, count, sizeof *s->first)
                && reserve(m, &s->list, count, sizeof *s->list)
                && reserve(m, &s->shift, n, sizeof(double))
                && reserve(m, &s->size, n, sizeof(double))
                && reserve(m, &s->basis, n * h->m, sizeof(double))
                && reserve(m, &s->points, count * n, sizeof(double))
                && reserve(m, &s->logits, count * outputs, sizeof(double))
                && reserve(m, &s->point, count, sizeof *s->point)
                && reserve(m, &s->steps, count, sizeof *s->steps);
    for (int64_t i = 0; fine && i < count; i++) {
        s->first[i] = s->numbers;
        s->numbers += h->query->cases[i].spec.groups;
        s->point[i] = s->points + i * n;
        s->steps[i] = h->query->cases[i].steps;
    }
    return fine && open_hands(s, m) && open_parts(s, m)
           && reserve(m, &s->found, s->numbers, sizeof *s->found)
           && reserve(m, &s->half, s->numbers, sizeof *s->half)
           && reserve(m, &s->at, s->numbers * h->m, sizeof(double));
}

static void close_hand(const rob_memory *m, hand *a)
{
    void *const all[] = { a->x, a->off, a->affine, a->value, a->row };
    rob_priv_work_close(a->w);
    for (int64_t k = 0; k < COUNT_OF(all); k++) rob_priv_release(m, all[k]);
}

static void close_room(search *s)
{
    const rob_memory *m = &s->h->bound->memory;
    for (int32_t k = 0; s->hand != NULL && k < s->h->ctx->threads; k++)
        close_hand(m, &s->hand[k]);
    for (int64_t k = 0; s->part != NULL && k < s->room; k++)
        rob_priv_release(m, s->part[k].open);
    void *const all[] = { s->hand,  s->first,  s->list,   s->shift,         s->size,
                          s->basis, s->points, s->logits, (void *)s->point, s->steps,
                          s->found, s->half,   s->at,     s->part };
    for (int64_t k = 0; k < COUNT_OF(all); k++) rob_priv_release(m, all[k]);
    rob_priv_network_free(s->net);
}

/* Ranges by forms, which on small parts are as good as sweeps for a tenth of the time, and
 * planes that are not chosen: cuts do more. Networks without forms are swept. */
static void choose(search *s)
{
    const rob_bound *b = s->h->bound;
    bool coupled = false;
    for (int32_t i = 0; i < s->net->cells; i++)
        coupled = coupled || s->net->cell[i].kind == ROB_CELL_COUPLED;
    s->depth = (int64_t)b->option[ROB_BOUND_STEPS];
    s->crown = b->method != ROB_BOUND_INTERVAL;
    s->sweeps = coupled && b->method >= ROB_BOUND_CROWN;
    s->forms = s->crown && !s->sweeps;
}

rob_status rob_priv_hunt_parts(rob_hunt *h)
{
    const double parts = h->bound->option[ROB_BOUND_PARTS];
    rob_status status = ROB_OK;
    search s = { .h = h, .room = (int64_t)parts + 1 };
    if (h->basis == NULL || h->m > M || parts < 1 || h->most == 0 || !(h->eps > 0))
        return ROB_OK;
    TRY(rob_priv_bound_network(h->ctx, h->query->model, h->query->cases[0].steps,
                               &s.net));
    choose(&s);
    status = open_room(&s) ? run(&s) : ROB_EMEMORY;
done:
    close_room(&s);
    return status;
}
