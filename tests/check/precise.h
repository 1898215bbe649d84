/* precise.h -- any graph evaluated by the definitions at 200 bits, one index loop an
 * operator, scans stepped as written. The real function of a graph, so a bound that
 * exceeds it is wrong. Shares nothing with src/run or src/bound. */
#ifndef ROB_TEST_PRECISE_H
#define ROB_TEST_PRECISE_H

#include "check/multiple.h"
#include "op/op.h"

typedef struct precise {
    const rob_graph *graph;
    int32_t count;
    mpfr_t **value;
    mpfr_t ***outs;               /* of scans: carries, then stacks */
} precise;

static inline int64_t precise_size(const rob_graph *g, rob_id id)
{
    rob_shape s = rob_priv_shape(g, id);
    return rob_priv_shape_size(&s);
}

/* multi-index of position e, ones in front */
static inline void precise_index(const rob_shape *s, int64_t e, int64_t at[4])
{
    for (int d = 3; d >= 0; d--) {
        int64_t dim = d >= 4 - s->rank ? s->dim[d - 4 + s->rank] : 1;
        at[d] = e % dim;
        e /= dim;
    }
}

static inline int64_t precise_flat(const rob_shape *s, const int64_t at[4])
{
    int64_t e = 0;
    for (int d = 4 - s->rank; d < 4; d++) {
        int64_t dim = s->dim[d - 4 + s->rank];
        e = e * dim + (dim == 1 ? 0 : at[d]);
    }
    return e;
}

static inline void precise_gelu(bool by_tanh, mpfr_t y, mpfr_t x)
{
    mpfr_t t;
    mpfr_init2(t, EXACT_BITS);
    if (by_tanh) { /* x sigmoid(a x (1 + c x^2)) */
        mpfr_sqr(t, x, MPFR_RNDN);
        mpfr_mul_d(t, t, 0.044715, MPFR_RNDN);
        mpfr_add_ui(t, t, 1, MPFR_RNDN);
        mpfr_mul(t, t, x, MPFR_RNDN);
        mpfr_mul_d(t, t, 0x1.9884533d43651p+0, MPFR_RNDN);
        exact_sigmoid(y, t);
    } else {
        mpfr_sqrt_ui(t, 2, MPFR_RNDN);
        mpfr_div(t, x, t, MPFR_RNDN);
        mpfr_erf(y, t, MPFR_RNDN);
        mpfr_add_ui(y, y, 1, MPFR_RNDN);
        mpfr_div_ui(y, y, 2, MPFR_RNDN);
    }
    mpfr_mul(y, y, x, MPFR_RNDN);
    mpfr_clear(t);
}

static inline void precise_one(int32_t id, const rob_attr *a, mpfr_t y, mpfr_t *x)
{
    switch (id) {
    case ROB_OP_affine:
        mpfr_mul_d(y, x[0], a->x[0], MPFR_RNDN);
        mpfr_add_d(y, y, a->x[1], MPFR_RNDN);
        break;
    case ROB_OP_reciprocal: mpfr_ui_div(y, 1, x[0], MPFR_RNDN); break;
    case ROB_OP_exp: mpfr_exp(y, x[0], MPFR_RNDN); break;
    case ROB_OP_log: mpfr_log(y, x[0], MPFR_RNDN); break;
    case ROB_OP_tanh: mpfr_tanh(y, x[0], MPFR_RNDN); break;
    case ROB_OP_sigmoid: exact_sigmoid(y, x[0]); break;
    case ROB_OP_softplus:
        mpfr_exp(y, x[0], MPFR_RNDN);
        mpfr_log1p(y, y, MPFR_RNDN);
        break;
    case ROB_OP_relu: mpfr_max(y, x[0], y, MPFR_RNDN); break;   /* y starts as 0 */
    case ROB_OP_step: mpfr_set_si(y, mpfr_sgn(x[0]) > 0, MPFR_RNDN); break;
    case ROB_OP_sign: mpfr_set_si(y, (mpfr_sgn(x[0]) > 0) - (mpfr_sgn(x[0]) < 0),
                                  MPFR_RNDN); break;
    case ROB_OP_abs: mpfr_abs(y, x[0], MPFR_RNDN); break;
    case ROB_OP_square: mpfr_sqr(y, x[0], MPFR_RNDN); break;
    case ROB_OP_sqrt: mpfr_sqrt(y, x[0], MPFR_RNDN); break;
    case ROB_OP_rsqrt: mpfr_rec_sqrt(y, x[0], MPFR_RNDN); break;
    case ROB_OP_erf: mpfr_erf(y, x[0], MPFR_RNDN); break;
    case ROB_OP_gelu: precise_gelu(a->i[0] != 0, y, x[0]); break;
    default: abort();
    }
}

static inline void precise_more(int32_t id, mpfr_t y, mpfr_t a, mpfr_t b, mpfr_t c)
{
    mpfr_t t;
    mpfr_init2(t, EXACT_BITS);
    switch (id) {
    case ROB_OP_add: mpfr_add(y, a, b, MPFR_RNDN); break;
    case ROB_OP_sub: mpfr_sub(y, a, b, MPFR_RNDN); break;
    case ROB_OP_max: mpfr_max(y, a, b, MPFR_RNDN); break;
    case ROB_OP_mul: mpfr_mul(y, a, b, MPFR_RNDN); break;
    case ROB_OP_where: mpfr_set(y, mpfr_sgn(a) != 0 ? b : c, MPFR_RNDN); break;
    case ROB_OP_sigtanh:
    case ROB_OP_sigmul:
        exact_sigmoid(y, a);
        if (id == ROB_OP_sigtanh) mpfr_tanh(t, b, MPFR_RNDN);
        else mpfr_set(t, b, MPFR_RNDN);
        mpfr_mul(y, y, t, MPFR_RNDN);
        break;
    case ROB_OP_blend:
        exact_sigmoid(y, a);
        mpfr_sub(t, c, b, MPFR_RNDN);
        mpfr_mul(y, y, t, MPFR_RNDN);
        mpfr_add(y, y, b, MPFR_RNDN);
        break;
    default: abort();
    }
    mpfr_clear(t);
}

static inline void precise_matmul(const rob_graph *g, const rob_node *n, mpfr_t *a,
                                  mpfr_t *b, mpfr_t *y)
{
    rob_shape sa = rob_priv_shape(g, n->in[0]);
    int r = n->shape.rank;
    int64_t M = n->shape.dim[r - 2], N = n->shape.dim[r - 1];
    int64_t K = sa.dim[r - (n->attr.i[0] ? 2 : 1)];
    mpfr_t p;
    mpfr_init2(p, EXACT_BITS);
    for (int64_t e = 0; e < rob_priv_shape_size(&n->shape); e++) {
        int64_t j = e % N, i = e / N % M, q = e / N / M;
        for (int64_t k = 0; k < K; k++) {
            int64_t u = q * M * K + (n->attr.i[0] ? k * M + i : i * K + k);
            int64_t v = q * K * N + (n->attr.i[1] ? j * K + k : k * N + j);
            mpfr_mul(p, a[u], b[v], MPFR_RNDN);
            mpfr_add(y[e], y[e], p, MPFR_RNDN);
        }
    }
    mpfr_clear(p);
}

/* softmax or log sum exp of rows of C */
static inline void precise_rows(int32_t id, int64_t size, int64_t C, mpfr_t *x,
                                mpfr_t *y)
{
    mpfr_t s, t;
    mpfr_inits2(EXACT_BITS, s, t, (mpfr_ptr)0);
    for (int64_t r = 0; r < size / C; r++, x += C) {
        mpfr_set_zero(s, 1);
        for (int64_t j = 0; j < C; j++) {
            mpfr_exp(t, x[j], MPFR_RNDN);
            mpfr_add(s, s, t, MPFR_RNDN);
        }
        if (id == ROB_OP_logsumexp) mpfr_log(y[r], s, MPFR_RNDN);
        for (int64_t j = 0; id == ROB_OP_softmax && j < C; j++) {
            mpfr_exp(t, x[j], MPFR_RNDN);
            mpfr_div(y[r * C + j], t, s, MPFR_RNDN);
        }
    }
    mpfr_clears(s, t, (mpfr_ptr)0);
}

/* centre or rmsnorm of rows of C */
static inline void precise_norm(int32_t id, double eps, int64_t size, int64_t C,
                                mpfr_t *x, mpfr_t *y)
{
    mpfr_t s, t;
    mpfr_inits2(EXACT_BITS, s, t, (mpfr_ptr)0);
    for (int64_t r = 0; r < size / C; r++, x += C, y += C) {
        mpfr_set_zero(s, 1);
        for (int64_t j = 0; j < C; j++) {
            if (id == ROB_OP_centre) mpfr_set(t, x[j], MPFR_RNDN);
            else mpfr_sqr(t, x[j], MPFR_RNDN);
            mpfr_add(s, s, t, MPFR_RNDN);
        }
        mpfr_div_ui(s, s, (unsigned long)C, MPFR_RNDN);
        if (id == ROB_OP_rmsnorm) mpfr_add_d(s, s, eps, MPFR_RNDN);
        if (id == ROB_OP_rmsnorm) mpfr_sqrt(s, s, MPFR_RNDN);
        for (int64_t j = 0; j < C; j++) {
            if (id == ROB_OP_centre) mpfr_sub(y[j], x[j], s, MPFR_RNDN);
            else mpfr_div(y[j], x[j], s, MPFR_RNDN);
        }
    }
    mpfr_clears(s, t, (mpfr_ptr)0);
}

/* expand, sum_to, permute, reshape */
static inline void precise_move(const rob_graph *g, const rob_node *n, mpfr_t *a,
                                mpfr_t *y)
{
    rob_shape from = rob_priv_shape(g, n->in[0]);
    bool sum = n->op->id == ROB_OP_sum_to;
    const rob_shape *over = sum ? &from : &n->shape;
    int64_t at[4], to[4] = {0};
    for (int64_t e = 0; e < rob_priv_shape_size(over); e++) {
        precise_index(over, e, at);
        for (int d = 0; n->op->id == ROB_OP_permute && d < from.rank; d++)
            to[4 - from.rank + n->attr.i[1 + d]] = at[4 - from.rank + d];
        if (sum) {
            int64_t j = precise_flat(&n->shape, at);
            mpfr_add(y[j], y[j], a[e], MPFR_RNDN);
        } else {
            int64_t j = n->op->id == ROB_OP_reshape ? e
                : precise_flat(&from, n->op->id == ROB_OP_permute ? to : at);
            mpfr_set(y[e], a[j], MPFR_RNDN);
        }
    }
}

/* copy between a whole and the part of it that starts at `first` on the axis */
static inline void precise_part(rob_shape whole, rob_shape part, int64_t axis,
                                int64_t first, mpfr_t *w, mpfr_t *p, bool into_whole)
{
    int64_t at[4];
    for (int64_t e = 0; e < rob_priv_shape_size(&part); e++) {
        precise_index(&part, e, at);
        at[4 - part.rank + axis] += first;
        int64_t j = 0;
        for (int d = 0; d < whole.rank; d++)
            j = j * whole.dim[d] + at[4 - whole.rank + d];
        if (into_whole) mpfr_set(w[j], p[e], MPFR_RNDN);
        else mpfr_set(p[e], w[j], MPFR_RNDN);
    }
}

static inline precise precise_eval(const rob_graph *g, mpfr_t *const *input);

static inline void precise_free(precise *p)
{
    for (rob_id id = 0; id < p->count; id++) {
        rob_node n = rob_priv_node(p->graph, id);
        if (p->value[id]) exact_free(p->value[id], precise_size(p->graph, id));
        for (int32_t k = 0; p->outs[id] && k < n.scan->carries + n.scan->ys; k++) {
            rob_shape s = rob_priv_shape_of_output(p->graph, id, k);
            exact_free(p->outs[id][k], rob_priv_shape_size(&s));
        }
        free(p->outs[id]);
    }
    free(p->value);
    free(p->outs);
}

static inline void precise_copy(mpfr_t *to, mpfr_t *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) mpfr_set(to[i], from[i], MPFR_RNDN);
}

static inline void precise_scan(precise *p, rob_id id, const rob_node *n)
{
    const rob_scan *s = n->scan;
    int32_t outs = s->carries + s->ys;
    mpfr_t **in = calloc((size_t)rob_priv_graph_count(s->body) + 1, sizeof *in);
    p->outs[id] = calloc((size_t)outs + 1, sizeof **p->outs);
    for (int32_t k = 0; k < outs; k++) {
        rob_shape shape = rob_priv_shape_of_output(p->graph, id, k);
        int64_t size = rob_priv_shape_size(&shape);
        p->outs[id][k] = exact_vector(size);
        if (k < s->carries) precise_copy(p->outs[id][k], p->value[n->in[k]], size);
    }
    for (int64_t tau = 0; tau < s->steps; tau++) {
        int64_t t = s->reverse ? s->steps - 1 - tau : tau;
        for (int32_t i = 0; i < n->ins; i++) {
            mpfr_t *v = i < s->carries ? p->outs[id][i] : p->value[n->in[i]];
            if (i >= s->carries && i < s->carries + s->sequences)
                v += t * precise_size(s->body, s->in[i]);
            in[s->in[i]] = v;
        }
        precise step = precise_eval(s->body, in);
        for (int32_t k = 0; k < outs; k++) {
            int64_t size = precise_size(s->body, s->out[k]);
            precise_copy(p->outs[id][k] + (k < s->carries ? 0 : t * size),
                         step.value[s->out[k]], size);
        }
        precise_free(&step);
    }
    free(in);
}

static inline void precise_pick(precise *p, const rob_node *n, mpfr_t *y)
{
    rob_id source = n->in[0];
    rob_node from = rob_priv_node(p->graph, source);
    int64_t first = 0;
    if (from.scan) {
        precise_copy(y, p->outs[source][n->attr.i[0]], rob_priv_shape_size(&n->shape));
        return;
    }
    for (int32_t k = 0; k < n->attr.i[0]; k++)
        first += rob_priv_shape_of_output(p->graph, source, k).dim[from.attr.i[0]];
    precise_part(rob_priv_shape(p->graph, from.in[0]), n->shape, from.attr.i[0], first,
                 p->value[from.in[0]], y, false);
}

static inline void precise_node(precise *p, rob_id id, mpfr_t *const *input)
{
    rob_node n = rob_priv_node(p->graph, id);
    if (n.scan) {
        precise_scan(p, id, &n);
        return;
    }
    int64_t size = rob_priv_shape_size(&n.shape), first = 0;
    mpfr_t *y = p->value[id] = exact_vector(size);
    mpfr_t *a = n.ins > 0 ? p->value[n.in[0]] : NULL;
    mpfr_t *b = n.ins > 1 ? p->value[n.in[1]] : NULL;
    mpfr_t *c = n.ins > 2 ? p->value[n.in[2]] : NULL;
    switch (n.op->id) {
    case ROB_OP_input: precise_copy(y, input[id], size); break;
    case ROB_OP_constant:
        for (int64_t e = 0; e < size; e++)
            mpfr_set_d(y[e], rob_priv_tensor_at(n.tensor, e), MPFR_RNDN);
        break;
    case ROB_OP_fill:
        for (int64_t e = 0; e < size; e++) mpfr_set_d(y[e], n.attr.x[0], MPFR_RNDN);
        break;
    case ROB_OP_matmul: precise_matmul(p->graph, &n, a, b, y); break;
    case ROB_OP_softmax:
    case ROB_OP_logsumexp: {
        rob_shape s = rob_priv_shape(p->graph, n.in[0]);
        precise_rows(n.op->id, rob_priv_shape_size(&s), rob_priv_shape_cols(&s), a, y);
        break;
    }
    case ROB_OP_centre:
    case ROB_OP_rmsnorm:
        precise_norm(n.op->id, n.attr.x[0], size, rob_priv_shape_cols(&n.shape), a, y);
        break;
    case ROB_OP_reshape:
    case ROB_OP_expand:
    case ROB_OP_sum_to:
    case ROB_OP_permute: precise_move(p->graph, &n, a, y); break;
    case ROB_OP_split: break;
    case ROB_OP_concat:
        for (int32_t k = 0; k < n.ins; k++) {
            rob_shape s = rob_priv_shape(p->graph, n.in[k]);
            precise_part(n.shape, s, n.attr.i[0], first, y, p->value[n.in[k]], true);
            first += s.dim[n.attr.i[0]];
        }
        break;
    case ROB_OP_pick: precise_pick(p, &n, y); break;
    default:
        for (int64_t e = 0; e < size; e++) {
            if (n.ins == 1) precise_one(n.op->id, &n.attr, y[e], &a[e]);
            else precise_more(n.op->id, y[e], a[e], b[e], c ? c[e] : b[e]);
        }
    }
}

/* input[id]: numbers of input id; free with precise_free */
static inline precise precise_eval(const rob_graph *g, mpfr_t *const *input)
{
    precise p = {.graph = g, .count = rob_priv_graph_count(g)};
    p.value = calloc((size_t)p.count + 1, sizeof *p.value);
    p.outs = calloc((size_t)p.count + 1, sizeof *p.outs);
    for (rob_id id = 0; id < p.count; id++) precise_node(&p, id, input);
    return p;
}

#endif
