/* onnx_axis.c -- values along one axis: slices, selections, concatenations, sums, maxima,
 * and products of the last two axes.
 *
 * Every one needs three dims of the graph: before the axis, the axis, behind it.
 * A selection is cut into runs of neighbours; an even one (a stride s) is column 0 of
 * rows of s.
 */
#include "model/onnx.h"

#include <string.h>

enum { PARTS = 512 }; /* of one concatenation */

/* ---- along an axis --------------------------------------------------------------- */

/* v as (before, n, behind), or (n, behind) when nothing is before. */
static rob_id around(rob_machine *m, const rob_value *v, int32_t axis, int32_t *at,
                     rob_shape *shape)
{
    int64_t dim[3] = { 1, v->dim[axis], 1 };
    for (int32_t k = 0; k < v->rank; k++)
        if (k != axis) dim[k < axis ? 0 : 2] *= v->dim[k];
    *at = dim[0] == 1 ? 0 : 1;
    *shape = rob_priv_shape_make(*at + 2, dim + 1 - *at);
    return g_reshape(m->g, o_id(m, v), *shape);
}

static rob_value with_axis(rob_machine *m, rob_id id, const rob_value *v, int32_t axis,
                           int64_t size)
{
    rob_value y = *v;
    y.dim[axis] = size;
    return o_of(m, id, v->dtype, v->rank, y.dim);
}

rob_value o_slice(rob_machine *m, const rob_value *v, int32_t axis, int64_t first,
                  int64_t count)
{
    rob_shape s;
    int32_t at;
    if (!v->there || (first == 0 && count == v->dim[axis])) return *v;
    if (count == 0) {
        rob_value y = *v;
        y.dim[axis] = 0;
        return o_numbers(m, v->dtype, v->rank, y.dim, NULL);
    }
    rob_id x = around(m, v, axis, &at, &s);
    return with_axis(m, g_slice(m->g, x, at, first, count), v, axis, count);
}

static int64_t run_length(const int64_t *index, int64_t count)
{
    int64_t n = 1;
    while (n < count && index[n] == index[0] + n) n++;
    return n;
}

/* index = first + step k for k < count, step > 1: rows of (count, step), column 0 */
static bool even_steps(const int64_t *index, int64_t count, int64_t *step)
{
    if (count < 4) return false;
    *step = index[1] - index[0];
    for (int64_t k = 1; k < count; k++)
        if (index[k] - index[k - 1] != *step) return false;
    return *step > 1;
}

static rob_value take_evenly(rob_machine *m, const rob_value *v, int32_t axis,
                             int64_t first, int64_t step, int64_t count)
{
    int64_t have = v->dim[axis] - first;
    rob_value x = o_slice(m, v, axis, first, have < count * step ? have : count * step);
    if (have < count * step) x = o_pad(m, &x, axis, 0, count * step - have, 0.0);
    rob_value wide = x;
    int64_t dim[3] = { 1, count, step };
    for (int32_t k = 0; k < axis; k++) dim[0] *= v->dim[k];
    int64_t behind = 1;
    for (int32_t k = axis + 1; k < v->rank; k++) behind *= v->dim[k];
    wide = o_reshape(m, &x, 4, (int64_t[]){ dim[0], count, step, behind });
    rob_value column = o_slice(m, &wide, 2, 0, 1);
    return with_axis(m, o_id(m, &column), v, axis, count);
}

rob_value o_take(rob_machine *m, const rob_value *v, int32_t axis, const int64_t *index,
                 int64_t count)
{
    rob_value part[PARTS];
    int64_t step;
    int32_t n = 0;
    if (!v->there || o_failed(m)) return o_none();
    if (count == 0) return o_slice(m, v, axis, 0, 0);
    if (even_steps(index, count, &step))
        return take_evenly(m, v, axis, index[0], step, count);
    for (int64_t k = 0, run; k < count; k += run) {
        run = run_length(index + k, count - k);
        part[n++] = o_slice(m, v, axis, index[k], run);
        if (n < PARTS) continue;
        part[0] = o_concat(m, part, n, axis);
        n = 1;
    }
    return o_concat(m, part, n, axis);
}

rob_value o_concat(rob_machine *m, const rob_value *part, int32_t count, int32_t axis)
{
    rob_id id[ROB_ONNX_EDGES];
    int32_t n = 0, at = 0;
    int64_t size = 0;
    rob_shape s;
    const rob_value *some = &part[0];
    for (int32_t k = 0; k < count && !o_failed(m); k++) {
        size += part[k].dim[axis];
        if (part[k].size == 0) continue;
        some = &part[k];
        id[n++] = around(m, some, axis, &at, &s);
    }
    if (o_failed(m)) return o_none();
    if (n == 0) return *some;
    rob_id y = n == 1 ? id[0] : g_concat(m->g, id, n, at);
    return with_axis(m, y, some, axis, size);
}

rob_value o_pad(rob_machine *m, const rob_value *v, int32_t axis, int64_t before,
                int64_t after, double number)
{
    rob_value part[3];
    int32_t n = 0;
    if (!v->there || (before == 0 && after == 0)) return *v;
    for (int32_t k = 0; k < 3; k++) {
        rob_value edge = *v;
        if (k == 1) part[n++] = *v;
        edge.dim[axis] = k == 0 ? before : k == 2 ? after : 0;
        if (edge.dim[axis] == 0) continue;
        part[n++] = o_of(m, rob_priv_fill(m->g, o_shape(&edge), number), v->dtype,
                         v->rank, edge.dim);
    }
    return o_concat(m, part, n, axis);
}

rob_value o_sum(rob_machine *m, const rob_value *v, int32_t axis)
{
    rob_shape s;
    int32_t at;
    if (!v->there) return o_none();
    rob_id x = around(m, v, axis, &at, &s);
    s.dim[at] = 1;
    return with_axis(m, g_sum_to(m->g, x, s), v, axis, 1);
}

/* Halves are compared, then halves of those: ceil(log2 n) comparisons deep. */
rob_value o_most(rob_machine *m, const rob_value *v, int32_t axis)
{
    rob_shape s;
    int32_t at;
    if (!v->there) return o_none();
    rob_id x = around(m, v, axis, &at, &s);
    for (int64_t n = v->dim[axis]; n > 1 && !o_failed(m); n = n / 2 + n % 2) {
        rob_id a = g_slice(m->g, x, at, 0, n / 2), b = g_slice(m->g, x, at, n / 2, n / 2);
        rob_id odd = n % 2 ? g_slice(m->g, x, at, n - 1, 1) : ROB_NONE;
        x = o_larger(m->g, a, b);
        if (n % 2) x = g_concat(m->g, (rob_id[]){ x, odd }, 2, at);
    }
    return with_axis(m, x, v, axis, 1);
}

rob_value o_axis_last(rob_machine *m, const rob_value *v, int32_t axis)
{
    int32_t order[ROB_ONNX_RANK], n = 0;
    for (int32_t k = 0; k < v->rank; k++)
        if (k != axis) order[n++] = k;
    order[n] = axis;
    return o_permute(m, v, order);
}

rob_value o_axis_back(rob_machine *m, const rob_value *v, int32_t axis)
{
    int32_t order[ROB_ONNX_RANK], n = 0;
    for (int32_t k = 0; k < v->rank; k++)
        order[k] = k == axis ? v->rank - 1 : n++;
    return o_permute(m, v, order);
}

/* ---- products -------------------------------------------------------------------- */

/* Leading dims of both, broadcast, as one; then each operand as (P, rows, cols). */
static rob_value matmul_many(rob_machine *m, const rob_value *a, const rob_value *b)
{
    rob_value x = *a, y = *b;
    int64_t dim[ROB_ONNX_RANK], wide[ROB_ONNX_RANK], lead = 1;
    int32_t rank;
    x.rank -= 2;
    y.rank -= 2;
    if (!o_broadcast(m, &x, &y, &rank, dim)) return o_none();
    for (int32_t k = 0; k < rank; k++) lead *= dim[k];
    memcpy(wide, dim, sizeof wide);
    memcpy(wide + rank, a->dim + a->rank - 2, 2 * sizeof *wide);
    x = o_expand(m, a, rank + 2, wide);
    memcpy(wide + rank, b->dim + b->rank - 2, 2 * sizeof *wide);
    y = o_expand(m, b, rank + 2, wide);
    const int64_t *p = a->dim + a->rank - 2, *q = b->dim + b->rank - 2;
    rob_id left = g_reshape(m->g, o_id(m, &x), rob_priv_shape3(lead, p[0], p[1]));
    rob_id right = g_reshape(m->g, o_id(m, &y), rob_priv_shape3(lead, q[0], q[1]));
    dim[rank] = p[0];
    dim[rank + 1] = q[1];
    return o_of(m, g_matmul(m->g, left, right, 0, 0), a->dtype, rank + 2, dim);
}

rob_value o_matmul(rob_machine *m, const rob_value *a, const rob_value *b)
{
    if (!a->there || !b->there) return o_none();
    int64_t inner = a->dim[a->rank - 1], rows = inner > 0 ? a->size / inner : 0;
    int64_t columns = b->dim[b->rank - 1], dim[ROB_ONNX_RANK];
    if (inner != b->dim[b->rank - 2]) {
        o_fail(m, ROB_EFORMAT, "a product of %lld columns with %lld rows",
               (long long)inner, (long long)b->dim[b->rank - 2]);
        return o_none();
    }
    if (b->size != inner * columns) return matmul_many(m, a, b);
    rob_id x = g_reshape(m->g, o_id(m, a), rob_priv_shape2(rows, inner));
    rob_id y = g_reshape(m->g, o_id(m, b), rob_priv_shape2(inner, columns));
    int32_t rank = a->rank > b->rank ? a->rank : b->rank;
    for (int32_t k = 0; k < rank; k++) dim[k] = 1;
    memcpy(dim + rank - a->rank, a->dim, (size_t)a->rank * sizeof *dim);
    dim[rank - 1] = columns;
    return o_of(m, g_matmul(m->g, x, y, 0, 0), a->dtype, rank, dim);
}
