/* dense.h -- a graph evaluated by the definitions: dense double arrays, one index loop
 * an operator, scans stepped as written. Slow, and shares nothing with src/run. Knows
 * the operators that keep integers integers, so that results can be compared bit for
 * bit. */
#ifndef ROB_TEST_DENSE_H
#define ROB_TEST_DENSE_H

#include "op/op.h"

#include <stdlib.h>
#include <string.h>

typedef struct dense {
    double **value;
    double ***outs;
    int32_t count;
} dense;

static inline int64_t dense_size(const rob_graph *g, rob_id id)
{
    rob_shape s = rob_priv_shape(g, id);
    return rob_priv_shape_size(&s);
}

/* multi-index of flat position e, ones in front: always 4 indices */
static inline void dense_index(const rob_shape *s, int64_t e, int64_t at[4])
{
    for (int d = 3; d >= 0; d--) {
        int own = d - (4 - s->rank);
        int64_t dim = own >= 0 ? s->dim[own] : 1;
        at[d] = e % dim;
        e /= dim;
    }
}

static inline int64_t dense_flat(const rob_shape *s, const int64_t at[4])
{
    int64_t e = 0;
    for (int d = 0; d < s->rank; d++) {
        int64_t i = at[4 - s->rank + d];
        e = e * s->dim[d] + (s->dim[d] == 1 ? 0 : i);
    }
    return e;
}

static inline double dense_scalar(const rob_node *n, double a, double b, double c)
{
    switch (n->op->id) {
    case ROB_OP_add:
        return a + b;
    case ROB_OP_sub:
        return a - b;
    case ROB_OP_mul:
        return a * b;
    case ROB_OP_affine:
        return n->attr.x[0] * a + n->attr.x[1];
    case ROB_OP_relu:
        return a > 0 ? a : 0;
    case ROB_OP_step:
        return a > 0 ? 1 : 0;
    case ROB_OP_sign:
        return a > 0 ? 1 : a < 0 ? -1 : 0;
    case ROB_OP_abs:
        return a < 0 ? -a : a;
    case ROB_OP_square:
        return a * a;
    case ROB_OP_where:
        return a != 0 ? b : c;
    default:
        abort();
    }
}

static inline void dense_matmul(const rob_graph *g, const rob_node *n, const double *a,
                                const double *b, double *y)
{
    rob_shape sa = rob_priv_shape(g, n->in[0]);
    int ta = n->attr.i[0] != 0, tb = n->attr.i[1] != 0, r = n->shape.rank;
    int64_t M = n->shape.dim[r - 2], N = n->shape.dim[r - 1];
    int64_t K = sa.dim[ta ? r - 2 : r - 1];
    int64_t batch = rob_priv_shape_size(&n->shape) / (M * N);
    for (int64_t q = 0; q < batch; q++, a += M * K, b += K * N)
        for (int64_t i = 0; i < M; i++)
            for (int64_t j = 0; j < N; j++) {
                double sum = 0;
                for (int64_t k = 0; k < K; k++)
                    sum +=
                        a[ta ? k * M + i : i * K + k] * b[tb ? j * K + k : k * N + j];
                *y++ = sum;
            }
}

static inline void dense_move(const rob_graph *g, const rob_node *n, const double *a,
                              double *y)
{
    rob_shape from = rob_priv_shape(g, n->in[0]);
    int64_t size = rob_priv_shape_size(&n->shape), all = rob_priv_shape_size(&from);
    int64_t at[4], to[4];
    if (n->op->id == ROB_OP_sum_to) memset(y, 0, (size_t)size * sizeof *y);
    for (int64_t e = 0; e < (n->op->id == ROB_OP_sum_to ? all : size); e++) {
        switch (n->op->id) {
        case ROB_OP_reshape:
            y[e] = a[e];
            break;
        case ROB_OP_expand:
            dense_index(&n->shape, e, at);
            y[e] = a[dense_flat(&from, at)];
            break;
        case ROB_OP_sum_to:
            dense_index(&from, e, at);
            y[dense_flat(&n->shape, at)] += a[e];
            break;
        default:
            dense_index(&n->shape, e, at);
            memcpy(to, at, sizeof to);
            for (int d = 0; d < from.rank; d++)
                to[4 - from.rank + n->attr.i[1 + d]] = at[4 - from.rank + d];
            y[e] = a[dense_flat(&from, to)];
        }
    }
}

/* copy between a whole and its part that starts at `first` on the axis */
static inline void dense_part(const rob_shape *whole, const rob_shape *part,
                              int64_t axis, int64_t first, double *w, double *p,
                              bool into_whole)
{
    int64_t at[4];
    for (int64_t e = 0; e < rob_priv_shape_size(part); e++) {
        dense_index(part, e, at);
        at[4 - part->rank + axis] += first;
        double *q = &w[dense_flat(whole, at)];
        if (into_whole) *q = p[e];
        else p[e] = *q;
    }
}

static inline dense dense_eval(const rob_graph *g, double *const *input);

static inline void dense_free(dense *d)
{
    for (int32_t i = 0; i < d->count; i++) {
        free(d->value[i]);
        for (int32_t k = 0; d->outs[i] && d->outs[i][k]; k++) free(d->outs[i][k]);
        free(d->outs[i]);
    }
    free(d->value);
    free(d->outs);
}

static inline void dense_scan(const rob_graph *g, dense *d, rob_id id,
                              const rob_node *n)
{
    const rob_scan *s = n->scan;
    int32_t outs = s->carries + s->ys;
    double **in = calloc((size_t)rob_priv_graph_count(s->body) + 1, sizeof *in);
    d->outs[id] = calloc((size_t)outs + 1, sizeof **d->outs);
    for (int32_t k = 0; k < outs; k++) {
        rob_shape shape = rob_priv_shape_of_output(g, id, k);
        d->outs[id][k] = calloc((size_t)rob_priv_shape_size(&shape), sizeof(double));
        if (k < s->carries)
            memcpy(d->outs[id][k], d->value[n->in[k]],
                   (size_t)rob_priv_shape_size(&shape) * sizeof(double));
    }
    for (int64_t tau = 0; tau < s->steps; tau++) {
        int64_t t = s->reverse ? s->steps - 1 - tau : tau;
        for (int32_t i = 0; i < n->ins; i++) {
            double *v = i < s->carries ? d->outs[id][i] : d->value[n->in[i]];
            if (i >= s->carries && i < s->carries + s->sequences)
                v += t * dense_size(s->body, s->in[i]);
            in[s->in[i]] = v;
        }
        dense step = dense_eval(s->body, in);
        for (int32_t k = 0; k < outs; k++) {
            int64_t size = dense_size(s->body, s->out[k]);
            memcpy(d->outs[id][k] + (k < s->carries ? 0 : t * size),
                   step.value[s->out[k]], (size_t)size * sizeof(double));
        }
        dense_free(&step);
    }
    free(in);
}

static inline void dense_node(const rob_graph *g, dense *d, rob_id id,
                              double *const *input)
{
    rob_node n = rob_priv_node(g, id);
    int64_t size = rob_priv_shape_size(&n.shape), first = 0;
    double *y = NULL;
    if (n.op->id == ROB_OP_scan) {
        dense_scan(g, d, id, &n);
        return;
    }
    y = d->value[id] = calloc((size_t)size + 1, sizeof *y);
    const double *a = n.ins > 0 ? d->value[n.in[0]] : NULL;
    switch (n.op->id) {
    case ROB_OP_input:
        memcpy(y, input[id], (size_t)size * sizeof *y);
        break;
    case ROB_OP_constant:
        for (int64_t e = 0; e < size; e++) y[e] = rob_priv_tensor_at(n.tensor, e);
        break;
    case ROB_OP_fill:
        for (int64_t e = 0; e < size; e++) y[e] = n.attr.x[0];
        break;
    case ROB_OP_matmul:
        dense_matmul(g, &n, a, d->value[n.in[1]], y);
        break;
    case ROB_OP_reshape:
    case ROB_OP_expand:
    case ROB_OP_sum_to:
    case ROB_OP_permute:
        dense_move(g, &n, a, y);
        break;
    case ROB_OP_split:
        break;
    case ROB_OP_concat:
        for (int32_t k = 0; k < n.ins; k++) {
            rob_shape s = rob_priv_shape(g, n.in[k]);
            dense_part(&n.shape, &s, n.attr.i[0], first, y, d->value[n.in[k]], true);
            first += s.dim[n.attr.i[0]];
        }
        break;
    case ROB_OP_pick: {
        rob_node from = rob_priv_node(g, n.in[0]);
        if (from.scan) {
            memcpy(y, d->outs[n.in[0]][n.attr.i[0]], (size_t)size * sizeof *y);
            break;
        }
        rob_shape whole = rob_priv_shape(g, from.in[0]);
        for (int32_t k = 0; k < n.attr.i[0]; k++)
            first += rob_priv_shape_of_output(g, n.in[0], k).dim[from.attr.i[0]];
        dense_part(&whole, &n.shape, from.attr.i[0], first, d->value[from.in[0]], y,
                   false);
        break;
    }
    default:
        for (int64_t e = 0; e < size; e++)
            y[e] = dense_scalar(&n, a[e], n.ins > 1 ? d->value[n.in[1]][e] : 0,
                                n.ins > 2 ? d->value[n.in[2]][e] : 0);
    }
}

/* input[id]: numbers of input id */
static inline dense dense_eval(const rob_graph *g, double *const *input)
{
    dense d = { .count = rob_priv_graph_count(g) };
    d.value = calloc((size_t)d.count + 1, sizeof *d.value);
    d.outs = calloc((size_t)d.count + 1, sizeof *d.outs);
    for (rob_id id = 0; id < d.count; id++) dense_node(g, &d, id, input);
    return d;
}

#endif
