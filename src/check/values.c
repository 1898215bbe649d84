/* values.c -- one value of an unrolled graph after the other.
 *
 * What does not depend on x is known at once by the operators' rules. Sums, joins,
 * windows and products with exact numbers are told apart, since rows move through them
 * directly; other affine operators have their pull, everything else planes or a range.
 */
#include "check/unroll.h"

#include <string.h>

/* ---- room ------------------------------------------------------------------------ */

void *rob_priv_check_own(rob_check_net *net, int64_t count, int64_t size)
{
    if (net->owns == net->own_capacity) {
        int64_t capacity = 2 * net->own_capacity + 256;
        void **more = rob_priv_grow(&net->memory, net->owned, net->owns, capacity,
                                    (int64_t)sizeof *more);
        if (more == NULL) return NULL;
        net->owned = more;
        net->own_capacity = capacity;
    }
    void *p = rob_priv_allocate(&net->memory, count, size);
    if (p != NULL) net->owned[net->owns++] = p;
    return p;
}

void rob_priv_check_let_go(rob_check_net *net, int64_t owns)
{
    while (net->owns > owns) rob_priv_release(&net->memory, net->owned[--net->owns]);
}

static bool has_room(rob_check_net *net, int32_t links)
{
    if (net->values == net->capacity) {
        int32_t capacity = 2 * net->capacity + 256;
        rob_check_value *v = rob_priv_grow(&net->memory, net->value, net->values,
                                           capacity, (int64_t)sizeof *v);
        if (v == NULL) return false;
        net->value = v;
        net->capacity = capacity;
    }
    if (net->links + links <= net->link_capacity) return true;
    int64_t capacity = 2 * (net->links + links) + 256;
    rob_check_link *l = rob_priv_grow(&net->memory, net->link, net->links, capacity,
                                      (int64_t)sizeof *l);
    if (l == NULL) return false;
    net->link = l;
    net->link_capacity = capacity;
    return true;
}

static bool take_numbers(rob_check_net *net, rob_check_value *v)
{
    v->lo = rob_priv_check_own(net, 3 * v->size + 1, (int64_t)sizeof *v->lo);
    if (v->lo == NULL) return false;
    v->up = v->lo + v->size;
    v->big = v->up + v->size;
    return true;
}

int32_t rob_priv_check_add(rob_check_frame *f, rob_check_value v, const rob_check_link *in)
{
    rob_check_net *net = f->net;
    if (net->values == INT32_MAX || !has_room(net, v.ins)) return ROB_NONE;
    v.root = v.kind == ROB_CHECK_WINDOW ? v.root : net->values;
    v.time = v.age = f->turn;
    v.step = f->turn;
    v.loop = f->number;
    v.link = net->links;
    for (int32_t i = 0; i < v.ins; i++) {
        net->link[net->links++] = in[i];
        if (net->value[in[i].value].age > v.age) v.age = net->value[in[i].value].age;
    }
    if (v.kind == ROB_CHECK_WINDOW) v.age = net->value[v.root].age;
    else if (v.lo == NULL && !take_numbers(net, &v)) return ROB_NONE;
    if (v.live && v.size > net->widest) net->widest = v.size;
    net->value[net->values] = v;
    return net->values++;
}

/* ---- known, windows, joins ------------------------------------------------------- */

int32_t rob_priv_check_known(rob_check_frame *f, int64_t size, double *lo, double *up, double *big)
{
    rob_check_value v = { .kind = ROB_CHECK_KNOWN, .size = size, .lo = lo, .up = up,
                          .big = big, .node = -1 };
    for (int64_t e = 0; e < size; e++) big[e] = fp_max(fabs(lo[e]), fabs(up[e]));
    return rob_priv_check_add(f, v, NULL);
}

int32_t rob_priv_check_window(rob_check_frame *f, int32_t of, int64_t first, int64_t size)
{
    rob_check_value v = f->net->value[of];
    if (first == 0 && size == v.size) return of;
    if (!v.live) return rob_priv_check_known(f, size, v.lo + first, v.up + first, v.big + first);
    if (v.kind == ROB_CHECK_WINDOW) first += v.first;
    rob_check_value to = { .kind = ROB_CHECK_WINDOW, .root = v.root, .first = first,
                           .size = size, .live = true, .node = -1 };
    return rob_priv_check_add(f, to, NULL);
}

bool rob_priv_check_numbers(rob_check_frame *f, int64_t size, double **lo, double **up, double **big)
{
    *lo = rob_priv_check_own(f->net, 3 * size + 1, (int64_t)sizeof **lo);
    if (*lo == NULL) return false;
    *up = *lo + size;
    *big = *up + size;
    return true;
}

static int32_t join_known(rob_check_frame *f, const rob_check_link *in, int32_t ins, int64_t size)
{
    double *lo, *up, *big;
    if (!rob_priv_check_numbers(f, size, &lo, &up, &big)) return ROB_NONE;
    for (int64_t i = 0, at = 0; i < ins; i++) {
        const rob_check_value *v = &f->net->value[in[i].value];
        memcpy(lo + at, v->lo, (size_t)v->size * sizeof *lo);
        memcpy(up + at, v->up, (size_t)v->size * sizeof *up);
        at += v->size;
    }
    return rob_priv_check_known(f, size, lo, up, big);
}

int32_t rob_priv_check_join(rob_check_frame *f, rob_id id, const rob_check_link *in, int32_t ins)
{
    rob_check_value v = { .kind = ROB_CHECK_JOIN, .ins = ins, .node = id };
    if (ins == 1) return in[0].value;
    for (int32_t i = 0; i < ins; i++) {
        v.size += f->net->value[in[i].value].size;
        v.live = v.live || f->net->value[in[i].value].live;
    }
    return v.live ? rob_priv_check_add(f, v, in) : join_known(f, in, ins, v.size);
}

/* ---- operators ------------------------------------------------------------------- */

static bool is_exact(const rob_check_value *v)
{
    return !v->live && memcmp(v->lo, v->up, (size_t)v->size * sizeof *v->lo) == 0;
}

static int32_t apply_known(rob_check_frame *f, const rob_node *n, int32_t k, int64_t size,
                           const rob_check_link *in)
{
    double *lo, *up, *big;
    int32_t value = ROB_NONE;
    rob_range *range =
        rob_priv_allocate(&f->net->memory, n->ins + 1, (int64_t)sizeof *range);
    if (range != NULL && rob_priv_check_numbers(f, size, &lo, &up, &big)) {
        for (int32_t i = 0; i < n->ins; i++) {
            const rob_check_value *v = &f->net->value[in[i].value];
            range[i] = (rob_range){ in[i].shape, v->lo, v->up };
        }
        rob_range out = { n->shape, lo, up };
        n->op->interval(n, range, k, &out);
        value = rob_priv_check_known(f, size, lo, up, big);
    }
    rob_priv_release(&f->net->memory, range);
    return value;
}

/* op(W)' (N, K) of exact numbers, once for all steps */
static const double *turned_weights(rob_check_frame *f, const rob_check_link *w, bool tb,
                                    int64_t pad)
{
    rob_check_net *net = f->net;
    const double *at = net->value[w->value].lo;
    for (int32_t i = net->values - 1; i >= 0; i--) {
        const rob_check_value *v = &net->value[i];
        if (v->kind != ROB_CHECK_PRODUCT || (v->of.attr.i[1] != 0) != tb) continue;
        const rob_check_link *l = &net->link[v->link + 1];
        if (net->value[l->value].lo == at && rob_priv_shape_equal(&l->shape, &w->shape))
            return v->turned;
    }
    int64_t k = w->shape.dim[tb], n = w->shape.dim[!tb];
    double *to = rob_priv_check_own(net, n * pad, (int64_t)sizeof *to);
    for (int64_t i = 0; to != NULL && i < n; i++)
        for (int64_t j = 0; j < k; j++) to[i * pad + j] = at[tb ? i * k + j : j * n + i];
    return to;
}

static bool is_affine(const rob_check_frame *f, const rob_node *n, const rob_check_link *in)
{
    if (n->op->pull == NULL) return false;
    if (n->op->kind & ROB_OP_AFFINE) return true;
    if (n->op->id != ROB_OP_matmul && n->op->id != ROB_OP_mul) return false;
    return is_exact(&f->net->value[in[0].value]) || is_exact(&f->net->value[in[1].value]);
}

static bool is_product(const rob_check_frame *f, const rob_node *n, const rob_check_link *in)
{
    return n->op->id == ROB_OP_matmul && n->attr.i[0] == 0 && in[0].shape.rank == 2
           && in[1].shape.rank == 2 && is_exact(&f->net->value[in[1].value]);
}

static bool is_pair(const rob_check_frame *f, const rob_node *n, const rob_check_link *in)
{
    return n->op->id == ROB_OP_matmul && f->net->value[in[0].value].live
           && f->net->value[in[1].value].live;
}

static bool is_row(const rob_node *n)
{
    return n->op->relax != NULL && (n->op->kind & ROB_OP_ELEMENTWISE) == 0;
}

int32_t rob_priv_check_apply(rob_check_frame *f, rob_id id, int64_t part, const rob_node *n, int32_t k,
                     const rob_check_link *in)
{
    const int64_t size = rob_priv_shape_size(&n->shape);
    rob_check_value v = { .kind = ROB_CHECK_CURVE, .size = size, .ins = n->ins,
                          .output = k, .live = true, .node = id, .part = part, .of = *n };
    bool live = false;
    if (n->op->interval == NULL) {
        f->net->refused = n->op->name;
        return ROB_NONE;
    }
    for (int32_t i = 0; i < n->ins; i++) live = live || f->net->value[in[i].value].live;
    if (!live) return apply_known(f, n, k, size, in);
    if (n->op->id == ROB_OP_add || n->op->id == ROB_OP_sub) {
        v.kind = ROB_CHECK_SUM;
        v.sign = n->op->id == ROB_OP_add ? 1 : -1;
    } else if (is_product(f, n, in)) {
        v.kind = ROB_CHECK_PRODUCT;
        const bool tb = n->attr.i[1] != 0;
        v.pad = (in[1].shape.dim[tb] + ROB_CHECK_PAD - 1) / ROB_CHECK_PAD * ROB_CHECK_PAD;
        v.turned = turned_weights(f, &in[1], tb, v.pad);
        if (v.turned == NULL) return ROB_NONE;
    } else if (is_affine(f, n, in)) {
        v.kind = ROB_CHECK_AFFINE;
    } else if (is_pair(f, n, in)) {
        v.kind = ROB_CHECK_PAIR;
    } else if (is_row(n)) {
        v.kind = ROB_CHECK_ROW;
    }
    return rob_priv_check_add(f, v, in);
}

