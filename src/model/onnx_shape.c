/* onnx_shape.c -- ONNX's operators of structure: which number stands where.
 *
 * None computes. Shapes, axes and indices must be numbers when the graph is written; axes
 * count from behind when negative, indices too, and slices are clamped to the axis.
 * Reference: ONNX operators, opset 6 to 25.
 */
#include "model/onnx.h"

#include <math.h>
#include <string.h>

enum { INDICES = 1 << 20 };

/* ---- dims ------------------------------------------------------------------------ */

static void op_reshape(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                       int32_t outs)
{
    (void)ins, (void)outs;
    int64_t dim[ROB_ONNX_RANK], known = 1;
    bool zero = o_int(m, "allowzero", 0) != 0;
    int64_t rank = o_ints(m, "shape", &in[1], dim, ROB_ONNX_RANK), open = -1;
    if (rank < 0) o_fail(m, ROB_EFORMAT, "it has no shape");
    for (int64_t k = 0; k < rank && !o_failed(m); k++) {
        if (dim[k] == 0 && !zero) dim[k] = k < in[0].rank ? in[0].dim[k] : 0;
        if (dim[k] == -1 && open < 0) open = k;
        else if (dim[k] < 0 || __builtin_mul_overflow(known, dim[k], &known))
            o_fail(m, ROB_EFORMAT, "dimension %lld of the new shape is %lld",
                   (long long)k, (long long)dim[k]);
    }
    if (o_failed(m)) return;
    if (open >= 0) dim[open] = known > 0 ? in[0].size / known : 0;
    out[0] = o_reshape(m, &in[0], (int32_t)rank, dim);
}

static void op_flatten(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                       int32_t outs)
{
    (void)ins, (void)outs;
    int64_t axis = o_int(m, "axis", 1), dim[2] = { 1, 1 };
    if (axis < 0) axis += in[0].rank;
    for (int32_t k = 0; k < in[0].rank; k++) dim[k >= axis] *= in[0].dim[k];
    out[0] = o_reshape(m, &in[0], 2, dim);
}

/* Marks of the axes in use[0..rank); how many; -1: none are given. */
static int64_t marked_axes(rob_machine *m, const rob_value *v, int32_t rank,
                           uint8_t *use)
{
    int64_t axis[ROB_ONNX_RANK];
    int64_t count = o_ints(m, "axes", v, axis, ROB_ONNX_RANK);
    memset(use, 0, ROB_ONNX_RANK);
    for (int64_t k = 0; k < count && !o_failed(m); k++) {
        int32_t at;
        if (!o_axis(m, axis[k], rank, &at)) return count;
        if (use[at]++) o_fail(m, ROB_EFORMAT, "axis %d stands twice", (int)at);
    }
    return count;
}

static void op_squeeze(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                       int32_t outs)
{
    (void)ins, (void)outs;
    uint8_t use[ROB_ONNX_RANK];
    int64_t dim[ROB_ONNX_RANK];
    int32_t rank = 0;
    int64_t count = marked_axes(m, &in[1], in[0].rank, use);
    for (int32_t k = 0; k < in[0].rank; k++) {
        bool goes = count < 0 ? in[0].dim[k] == 1 : use[k];
        if (goes && in[0].dim[k] != 1)
            o_fail(m, ROB_EFORMAT, "axis %d has %lld elements, not 1", (int)k,
                   (long long)in[0].dim[k]);
        if (!goes) dim[rank++] = in[0].dim[k];
    }
    out[0] = o_reshape(m, &in[0], rank, dim);
}

static void op_unsqueeze(rob_machine *m, const rob_value *in, int32_t ins,
                         rob_value *out, int32_t outs)
{
    (void)ins, (void)outs;
    int64_t axis[ROB_ONNX_RANK], dim[ROB_ONNX_RANK];
    int64_t count = o_ints(m, "axes", &in[1], axis, ROB_ONNX_RANK);
    uint8_t use[ROB_ONNX_RANK];
    int64_t rank = in[0].rank + (count > 0 ? count : 0);
    if (rank > ROB_ONNX_RANK) {
        o_fail(m, ROB_EUNSUPPORTED, "more than 8 dimensions");
        return;
    }
    marked_axes(m, &in[1], (int32_t)rank, use);
    for (int32_t k = 0, from = 0; k < rank && !o_failed(m); k++)
        dim[k] = use[k] ? 1 : in[0].dim[from++];
    out[0] = o_reshape(m, &in[0], (int32_t)rank, dim);
}

static void op_transpose(rob_machine *m, const rob_value *in, int32_t ins,
                         rob_value *out, int32_t outs)
{
    (void)ins, (void)outs;
    int64_t perm[ROB_ONNX_RANK];
    int32_t order[ROB_ONNX_RANK];
    uint8_t seen[ROB_ONNX_RANK] = { 0 };
    int64_t count = o_ints(m, "perm", NULL, perm, ROB_ONNX_RANK);
    if (count >= 0 && count != in[0].rank)
        o_fail(m, ROB_EFORMAT, "perm has %lld axes, the value %d", (long long)count,
               (int)in[0].rank);
    for (int32_t k = 0; k < in[0].rank && !o_failed(m); k++) {
        if (!o_axis(m, count < 0 ? in[0].rank - 1 - k : perm[k], in[0].rank, &order[k]))
            return;
        if (seen[order[k]]++) o_fail(m, ROB_EFORMAT, "perm names an axis twice");
    }
    if (!o_failed(m)) out[0] = o_permute(m, &in[0], order);
}

static void op_expand(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                      int32_t outs)
{
    (void)ins, (void)outs;
    rob_value want = { .there = true };
    int64_t dim[ROB_ONNX_RANK];
    int32_t rank;
    int64_t count = o_ints(m, "shape", &in[1], want.dim, ROB_ONNX_RANK);
    want.rank = (int32_t)count;
    if (o_failed(m) || !o_broadcast(m, &in[0], &want, &rank, dim)) return;
    out[0] = o_expand(m, &in[0], rank, dim);
}

/* (before, n behind) r times in between: (before, r, n behind) */
static rob_value repeated(rob_machine *m, const rob_value *v, int32_t axis,
                          int64_t times)
{
    int64_t dim[3] = { 1, 1, 1 };
    rob_value y = *v;
    for (int32_t k = 0; k < v->rank; k++) dim[k < axis ? 0 : 2] *= v->dim[k];
    y = o_reshape(m, v, 3, dim);
    dim[1] = times;
    y = o_expand(m, &y, 3, dim);
    int64_t full[ROB_ONNX_RANK];
    memcpy(full, v->dim, sizeof full);
    if (__builtin_mul_overflow(full[axis], times, &full[axis])) full[axis] = -1;
    return o_reshape(m, &y, v->rank, full);
}

static void op_tile(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                    int32_t outs)
{
    (void)ins, (void)outs;
    int64_t times[ROB_ONNX_RANK];
    rob_value y = in[0];
    int64_t count = o_ints(m, "repeats", &in[1], times, ROB_ONNX_RANK);
    if (count != in[0].rank)
        o_fail(m, ROB_EFORMAT, "repeats has %lld numbers for %d axes", (long long)count,
               (int)in[0].rank);
    for (int32_t k = 0; k < in[0].rank && !o_failed(m); k++)
        if (times[k] != 1) y = repeated(m, &y, k, times[k]);
    out[0] = y;
}

/* ---- numbers --------------------------------------------------------------------- */

static void op_shape(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                     int32_t outs)
{
    (void)ins, (void)outs;
    double number[ROB_ONNX_RANK];
    int64_t first = o_int(m, "start", 0), end = o_int(m, "end", in[0].rank);
    int64_t rank = in[0].rank;
    first = first < 0 ? first + rank : first;
    end = end < 0 ? end + rank : end > rank ? rank : end;
    first = first < 0 ? 0 : first;
    int64_t count = end > first ? end - first : 0;
    for (int64_t k = 0; k < count; k++) number[k] = (double)in[0].dim[first + k];
    out[0] = o_numbers(m, ROB_ONNX_INT64, 1, &count, number);
}

static void op_size(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                    int32_t outs)
{
    (void)ins, (void)outs;
    out[0] = o_scalar(m, ROB_ONNX_INT64, (double)in[0].size);
}

static rob_value of_tensor(const rob_onnx_tensor *t)
{
    rob_value v = { .there = true,
                    .dtype = t->dtype,
                    .rank = t->rank,
                    .size = t->size,
                    .id = ROB_NONE,
                    .number = t->number };
    memcpy(v.dim, t->dim, sizeof v.dim);
    return v;
}

static void op_constant(rob_machine *m, const rob_value *in, int32_t ins,
                        rob_value *out, int32_t outs)
{
    (void)in, (void)ins, (void)outs;
    const rob_onnx_node *n = m->node;
    const rob_onnx_attr *a = rob_priv_onnx_attr(n, "value");
    if (a != NULL && a->type == ROB_ONNX_ATTR_TENSOR) {
        out[0] = of_tensor(&a->t);
        return;
    }
    if ((a = rob_priv_onnx_attr(n, "value_float")) != NULL)
        out[0] = o_scalar(m, ROB_ONNX_FLOAT, a->f);
    else if ((a = rob_priv_onnx_attr(n, "value_int")) != NULL)
        out[0] = o_scalar(m, ROB_ONNX_INT64, (double)a->i);
    else if ((a = rob_priv_onnx_attr(n, "value_floats")) != NULL && a->floats != NULL)
        out[0] = o_numbers(m, ROB_ONNX_FLOAT, 1, &a->count, a->floats);
    else if ((a = rob_priv_onnx_attr(n, "value_ints")) != NULL && a->ints != NULL) {
        out[0] = o_fill(m, ROB_ONNX_INT64, 1, &a->count, 0);
        for (int64_t k = 0; out[0].number != NULL && k < a->count; k++)
            ((double *)out[0].number->data)[k] = (double)a->ints[k];
    } else o_fail(m, ROB_EUNSUPPORTED, "a constant that is neither numbers nor bool");
}

static void op_constant_of_shape(rob_machine *m, const rob_value *in, int32_t ins,
                                 rob_value *out, int32_t outs)
{
    (void)ins, (void)outs;
    int64_t dim[ROB_ONNX_RANK];
    const rob_onnx_attr *a = rob_priv_onnx_attr(m->node, "value");
    int64_t rank = o_ints(m, "shape", &in[0], dim, ROB_ONNX_RANK);
    bool given = a != NULL && a->type == ROB_ONNX_ATTR_TENSOR && a->t.size == 1;
    if (o_failed(m)) return;
    out[0] = o_fill(m, given ? a->t.dtype : ROB_ONNX_FLOAT, (int32_t)rank, dim,
                    given ? rob_priv_tensor_at(a->t.number, 0) : 0);
}

static void op_range(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                     int32_t outs)
{
    (void)ins, (void)outs;
    for (int32_t k = 0; k < 3; k++)
        if (!o_known(&in[k]) || in[k].size != 1) {
            o_fail(m, ROB_EUNSUPPORTED, "start, limit and delta must be constants");
            return;
        }
    double first = o_at(&in[0], 0), step = o_at(&in[2], 0);
    double count = ceil((o_at(&in[1], 0) - first) / step);
    if (!(count >= 0)) count = 0;
    if (count > INDICES || step == 0) {
        o_fail(m, ROB_EFORMAT, "a range of %g numbers", count);
        return;
    }
    int64_t n = (int64_t)count;
    out[0] = o_fill(m, in[0].dtype, 1, &n, 0);
    for (int64_t k = 0; out[0].number != NULL && k < n; k++)
        ((double *)out[0].number->data)[k] = first + (double)k * step;
}

/* ---- parts ----------------------------------------------------------------------- */

static void op_concat(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                      int32_t outs)
{
    (void)outs;
    int32_t axis;
    if (!o_axis(m, o_int(m, "axis", 1), in[0].rank, &axis)) return;
    for (int32_t k = 0; k < ins; k++) {
        bool fits = in[k].rank == in[0].rank;
        for (int32_t d = 0; fits && d < in[k].rank; d++)
            fits = d == axis || in[k].dim[d] == in[0].dim[d];
        if (fits) continue;
        o_fail(m, ROB_EFORMAT, "input %d does not fit input 0", (int)k);
        return;
    }
    out[0] = o_concat(m, in, ins, axis);
}

static void op_split(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                     int32_t outs)
{
    (void)ins;
    int64_t size[ROB_ONNX_EDGES], first = 0;
    int32_t axis;
    if (!o_axis(m, o_int(m, "axis", 0), in[0].rank, &axis)) return;
    int64_t count = o_ints(m, "split", &in[1], size, ROB_ONNX_EDGES), n = in[0].dim[axis];
    int64_t each = (n + outs - 1) / outs;
    for (int32_t k = 0; k < outs && count < 0; k++) {
        int64_t left = n - k * each;
        size[k] = left < 0 ? 0 : left < each ? left : each;
    }
    if (count >= 0 && count != outs)
        o_fail(m, ROB_EFORMAT, "%lld sizes for %d outputs", (long long)count, (int)outs);
    for (int32_t k = 0; k < outs && !o_failed(m); k++) {
        if (size[k] < 0 || size[k] > n - first)
            o_fail(m, ROB_EFORMAT, "the parts do not fit %lld", (long long)n);
        else out[k] = o_slice(m, &in[0], axis, first, size[k]);
        first += size[k];
    }
}

/* first, first + step, ... of an axis of n, as ONNX clamps them */
static int64_t slice_of(int64_t n, int64_t start, int64_t end, int64_t step,
                        int64_t *first)
{
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    start = start < 0 ? start + n : start;
    end = end < 0 ? end + n : end;
    start = start < low ? low : start > high ? high : start;
    end = end < low ? low : end > high ? high : end;
    if (step < 0 && start < 0) start = -1;
    *first = start;
    int64_t span = step > 0 ? end - start : start - end, pace = step > 0 ? step : -step;
    return span <= 0 ? 0 : 1 + (span - 1) / pace;
}

static rob_value sliced(rob_machine *m, const rob_value *v, int32_t axis, int64_t start,
                        int64_t end, int64_t step)
{
    int64_t first;
    int64_t count = slice_of(v->dim[axis], start, end, step, &first);
    if (step == 1) return o_slice(m, v, axis, first, count);
    int64_t *index = rob_priv_allocate(&m->ctx.memory, count + 1, (int64_t)sizeof *index);
    if (index == NULL) {
        o_fail(m, ROB_EMEMORY, "out of memory");
        return o_none();
    }
    for (int64_t k = 0; k < count; k++) index[k] = first + k * step;
    rob_value y = o_take(m, v, axis, index, count);
    rob_priv_release(&m->ctx.memory, index);
    return y;
}

static void op_slice(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                     int32_t outs)
{
    (void)ins, (void)outs;
    int64_t start[ROB_ONNX_RANK], end[ROB_ONNX_RANK], axes[ROB_ONNX_RANK];
    int64_t step[ROB_ONNX_RANK];
    int64_t count = o_ints(m, "starts", &in[1], start, ROB_ONNX_RANK);
    int64_t ends = o_ints(m, "ends", &in[2], end, ROB_ONNX_RANK);
    int64_t named = o_ints(m, "axes", &in[3], axes, ROB_ONNX_RANK);
    int64_t stepped = o_ints(m, "steps", &in[4], step, ROB_ONNX_RANK);
    rob_value y = in[0];
    if (count != ends || (named >= 0 && named != count)
        || (stepped >= 0 && stepped != count))
        o_fail(m, ROB_EFORMAT, "starts, ends, axes and steps differ in length");
    for (int64_t k = 0; k < count && !o_failed(m); k++) {
        int32_t axis;
        int64_t s = stepped < 0 ? 1 : step[k];
        if (s == 0) o_fail(m, ROB_EFORMAT, "a step is 0");
        else if (o_axis(m, named < 0 ? k : axes[k], y.rank, &axis))
            y = sliced(m, &y, axis, start[k], end[k], s);
    }
    out[0] = y;
}

static void op_gather(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                      int32_t outs)
{
    (void)ins, (void)outs;
    int32_t axis, rank = in[0].rank - 1 + in[1].rank, n = 0;
    int64_t dim[2 * ROB_ONNX_RANK];
    if (!o_axis(m, o_int(m, "axis", 0), in[0].rank, &axis)) return;
    if (!o_known(&in[1]) || in[1].size > INDICES || rank > ROB_ONNX_RANK) {
        o_fail(m, ROB_EUNSUPPORTED, "indices must be constants, 2^20 at most, and the "
                                    "result have 8 dimensions at most");
        return;
    }
    int64_t count = in[1].size;
    int64_t *index = rob_priv_allocate(&m->ctx.memory, count + 1, (int64_t)sizeof *index);
    if (index == NULL) o_fail(m, ROB_EMEMORY, "out of memory");
    for (int64_t k = 0; k < count && !o_failed(m); k++) {
        int64_t at = o_integer(&in[1], k);
        index[k] = at < 0 ? at + in[0].dim[axis] : at;
        if (index[k] < 0 || index[k] >= in[0].dim[axis])
            o_fail(m, ROB_EFORMAT, "index %lld of an axis of %lld", (long long)at,
                   (long long)in[0].dim[axis]);
    }
    for (int32_t k = 0; k < axis; k++) dim[n++] = in[0].dim[k];
    for (int32_t k = 0; k < in[1].rank; k++) dim[n++] = in[1].dim[k];
    for (int32_t k = axis + 1; k < in[0].rank; k++) dim[n++] = in[0].dim[k];
    if (!o_failed(m)) {
        rob_value y = o_take(m, &in[0], axis, index, count);
        if (!o_failed(m)) out[0] = o_reshape(m, &y, rank, dim);
    }
    rob_priv_release(&m->ctx.memory, index);
}

/* ---- edges ----------------------------------------------------------------------- */

static int64_t mirrored(int64_t at, int64_t n, bool edge)
{
    if (edge || n == 1) return at < 0 ? 0 : at >= n ? n - 1 : at;
    int64_t period = 2 * (n - 1);
    at = (at % period + period) % period;
    return at < n ? at : period - at;
}

static rob_value pad_by_copies(rob_machine *m, const rob_value *v, int32_t axis,
                               int64_t before, int64_t after, bool edge)
{
    int64_t n = v->dim[axis], count = before + n + after;
    int64_t *index = rob_priv_allocate(&m->ctx.memory, count + 1, (int64_t)sizeof *index);
    if (index == NULL || n == 0) {
        o_fail(m, ROB_EMEMORY, "out of memory, or an axis without elements");
        rob_priv_release(&m->ctx.memory, index);
        return o_none();
    }
    for (int64_t k = 0; k < count; k++) index[k] = mirrored(k - before, n, edge);
    rob_value y = o_take(m, v, axis, index, count);
    rob_priv_release(&m->ctx.memory, index);
    return y;
}

static rob_value padded(rob_machine *m, const rob_value *v, int32_t axis, int64_t before,
                        int64_t after, const char *mode, double number)
{
    int64_t cut[2] = { before < 0 ? -before : 0, after < 0 ? -after : 0 };
    rob_value y = *v;
    if (before > INDICES || after > INDICES || cut[0] + cut[1] > v->dim[axis]) {
        o_fail(m, ROB_EFORMAT, "padding by %lld and %lld of an axis of %lld",
               (long long)before, (long long)after, (long long)v->dim[axis]);
        return o_none();
    }
    if (cut[0] + cut[1] > 0)
        y = o_slice(m, v, axis, cut[0], v->dim[axis] - cut[0] - cut[1]);
    before = before > 0 ? before : 0;
    after = after > 0 ? after : 0;
    if (strcmp(mode, "constant") == 0) return o_pad(m, &y, axis, before, after, number);
    if (strcmp(mode, "reflect") != 0 && strcmp(mode, "edge") != 0) {
        o_fail(m, ROB_EUNSUPPORTED, "mode %.20s", mode);
        return o_none();
    }
    return pad_by_copies(m, &y, axis, before, after, mode[0] == 'e');
}

static void op_pad(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                   int32_t outs)
{
    (void)ins, (void)outs;
    int64_t pad[2 * ROB_ONNX_RANK], axes[ROB_ONNX_RANK];
    int64_t count = o_ints(m, "pads", &in[1], pad, 2 * ROB_ONNX_RANK);
    int64_t named = o_ints(m, "axes", &in[3], axes, ROB_ONNX_RANK);
    bool given = in[2].there && in[2].size == 1 && o_known(&in[2]);
    double number = given ? o_at(&in[2], 0) : o_float(m, "value", 0);
    rob_value y = in[0];
    int64_t n = named < 0 ? in[0].rank : named;
    if (count != 2 * n)
        o_fail(m, ROB_EFORMAT, "%lld pads for %lld axes", (long long)count, (long long)n);
    for (int64_t k = 0; k < n && !o_failed(m); k++) {
        int32_t axis;
        if (o_axis(m, named < 0 ? k : axes[k], in[0].rank, &axis)
            && (pad[k] != 0 || pad[n + k] != 0))
            y = padded(m, &y, axis, pad[k], pad[n + k], o_text(m, "mode", "constant"),
                       number);
    }
    out[0] = y;
}

/* Ones at or below (above) diagonal k of the last two axes, times v. */
static void op_trilu(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                     int32_t outs)
{
    (void)ins, (void)outs;
    bool upper = o_int(m, "upper", 1) != 0;
    int64_t k = in[1].there && in[1].size == 1 && o_known(&in[1]) ? o_integer(&in[1], 0)
                                                                  : 0;
    if (in[0].rank < 2) {
        o_fail(m, ROB_EFORMAT, "of a value of %d dimensions", (int)in[0].rank);
        return;
    }
    const int64_t *dim = in[0].dim + in[0].rank - 2;
    rob_value mask = o_fill(m, in[0].dtype, 2, dim, 0);
    for (int64_t i = 0; mask.number != NULL && i < mask.size; i++) {
        int64_t row = i / dim[1], column = i % dim[1];
        ((double *)mask.number->data)[i] = upper ? column >= row + k : column <= row + k;
    }
    rob_value zero = o_fill(m, in[0].dtype, in[0].rank, in[0].dim, 0);
    rob_value c = o_expand(m, &mask, in[0].rank, in[0].dim);
    rob_id id[3] = { o_id(m, &c), o_id(m, &in[0]), o_id(m, &zero) };
    if (!o_failed(m)) out[0] = o_like(m, g_where(m->g, id[0], id[1], id[2]), &in[0]);
}

const rob_onnx_entry rob_priv_onnx_shape[] = {
    { "Constant", 0, 0, op_constant },
    { "ConstantOfShape", 1, 1, op_constant_of_shape },
    { "Shape", 1, 1, op_shape },
    { "Size", 1, 1, op_size },
    { "Range", 3, 3, op_range },
    { "Reshape", 1, 2, op_reshape },
    { "Flatten", 1, 1, op_flatten },
    { "Squeeze", 1, 2, op_squeeze },
    { "Unsqueeze", 1, 2, op_unsqueeze },
    { "Transpose", 1, 1, op_transpose },
    { "Expand", 2, 2, op_expand },
    { "Tile", 2, 2, op_tile },
    { "Concat", 1, ROB_ONNX_EDGES, op_concat },
    { "Split", 1, 2, op_split },
    { "Slice", 1, 5, op_slice },
    { "Gather", 2, 2, op_gather },
    { "Pad", 1, 4, op_pad },
    { "Trilu", 1, 2, op_trilu },
    { NULL, 0, 0, NULL },
};
