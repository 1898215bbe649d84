/* onnx_value.c -- values: numbers or nodes under ONNX's dims, and their rearrangement.
 *
 * The graph has four dims at most, ONNX eight. An axis operation needs three: what is
 * before the axis, the axis, what is behind it. A permutation needs as many as there are
 * runs of axes that stay together, dims of 1 left out; a broadcast as many as there are
 * runs of axes on which the same operands are repeated.
 */
#include "model/onnx.h"

#include <math.h>
#include <string.h>

static const int64_t ELEMENTS = (int64_t)1 << 28;

/* ---- making ---------------------------------------------------------------------- */

rob_value o_none(void) { return (rob_value){ .id = ROB_NONE }; }

bool o_known(const rob_value *v)
{
    return v->there && (v->number != NULL || v->size == 0);
}

bool o_whole(const rob_value *v)
{
    return v->dtype != ROB_ONNX_FLOAT && v->dtype != ROB_ONNX_DOUBLE
           && v->dtype != ROB_ONNX_HALF && v->dtype != ROB_ONNX_BFLOAT;
}

static bool set_dims(rob_machine *m, rob_value *v, int32_t rank, const int64_t *dim)
{
    if (rank > ROB_ONNX_RANK) {
        o_fail(m, ROB_EUNSUPPORTED, "a value has %d dimensions; 8 are read", (int)rank);
        return false;
    }
    v->rank = rank;
    v->size = 1;
    for (int32_t k = 0; k < rank; k++) {
        v->dim[k] = dim[k];
        if (dim[k] < 0 || __builtin_mul_overflow(v->size, dim[k], &v->size)
            || v->size > ELEMENTS) {
            o_fail(m, ROB_EFORMAT, "a value has a negative dimension or more than 2^28 "
                                   "elements");
            return false;
        }
    }
    return true;
}

rob_value o_of(rob_machine *m, rob_id id, int32_t dtype, int32_t rank,
               const int64_t *dim)
{
    rob_value v = { .there = true, .dtype = dtype, .id = id };
    if (id == ROB_NONE || !set_dims(m, &v, rank, dim)) return o_none();
    rob_shape have = rob_priv_shape(m->g, id);
    if (rob_priv_shape_size(&have) == v.size) {
        v.id = g_reshape(m->g, id, o_shape(&v));
        return v;
    }
    o_fail(m, ROB_EINTERNAL, "a node has %lld elements, its value %lld",
           (long long)rob_priv_shape_size(&have), (long long)v.size);
    return o_none();
}

rob_value o_like(rob_machine *m, rob_id id, const rob_value *like)
{
    return o_of(m, id, like->dtype, like->rank, like->dim);
}

static rob_value room_for_numbers(rob_machine *m, int32_t dtype, int32_t rank,
                                  const int64_t *dim)
{
    rob_value v = { .there = true, .dtype = dtype, .id = ROB_NONE };
    if (o_failed(m) || !set_dims(m, &v, rank, dim)) return o_none();
    if (v.size == 0) return v;
    m->budget -= v.size;
    if (m->budget < 0) {
        o_fail(m, ROB_EFORMAT, "constants of the file unfold to too many numbers");
        return o_none();
    }
    if (rob_priv_tensor_create(&m->ctx.memory, ROB_F64, o_shape(&v), &v.number) < ROB_OK
        || !o_keep(m, v.number)) {
        o_fail(m, ROB_EMEMORY, "out of memory");
        return o_none();
    }
    return v;
}

rob_value o_numbers(rob_machine *m, int32_t dtype, int32_t rank, const int64_t *dim,
                    const double *number)
{
    rob_value v = room_for_numbers(m, dtype, rank, dim);
    if (v.number != NULL) memcpy(v.number->data, number, (size_t)v.size * sizeof *number);
    return v;
}

rob_value o_scalar(rob_machine *m, int32_t dtype, double number)
{
    return o_numbers(m, dtype, 0, NULL, &number);
}

rob_value o_fill(rob_machine *m, int32_t dtype, int32_t rank, const int64_t *dim,
                 double number)
{
    rob_value v = room_for_numbers(m, dtype, rank, dim);
    for (int64_t i = 0; v.number != NULL && i < v.size; i++)
        ((double *)v.number->data)[i] = number;
    return v;
}

/* ---- reading --------------------------------------------------------------------- */

double o_at(const rob_value *v, int64_t i) { return rob_priv_tensor_at(v->number, i); }

int64_t o_integer(const rob_value *v, int64_t i)
{
    double x = o_at(v, i);
    if (isnan(x)) return 0;
    return x >= 0x1p62 ? (int64_t)1 << 62 : x <= -0x1p62 ? -((int64_t)1 << 62) : (int64_t)x;
}

/* The dims themselves, or with leading ones drawn together. */
rob_shape o_shape(const rob_value *v)
{
    rob_shape s = { .rank = v->rank };
    if (v->rank <= ROB_MAX_RANK) return rob_priv_shape_make(v->rank, v->dim);
    s.rank = ROB_MAX_RANK;
    s.dim[0] = 1;
    for (int32_t k = 0; k < v->rank; k++) {
        int32_t at = k - (v->rank - ROB_MAX_RANK);
        if (at <= 0) s.dim[0] *= v->dim[k];
        else s.dim[at] = v->dim[k];
    }
    return s;
}

rob_id o_id(rob_machine *m, const rob_value *v)
{
    if (o_failed(m) || !v->there) return ROB_NONE;
    if (v->id != ROB_NONE) return v->id;
    if (v->number == NULL) {
        o_fail(m, ROB_EUNSUPPORTED, "a value without elements");
        return ROB_NONE;
    }
    return g_reshape(m->g, rob_priv_constant(m->g, v->number), o_shape(v));
}

bool o_axis(rob_machine *m, int64_t axis, int32_t rank, int32_t *out)
{
    *out = (int32_t)(axis < 0 ? axis + rank : axis);
    if (axis >= -rank && axis < rank) return true;
    o_fail(m, ROB_EFORMAT, "axis %lld of a value of %d dimensions", (long long)axis,
           (int)rank);
    *out = 0;
    return false;
}

/* ---- shape ----------------------------------------------------------------------- */

rob_value o_reshape(rob_machine *m, const rob_value *v, int32_t rank,
                    const int64_t *dim)
{
    rob_value y = *v;
    if (o_failed(m) || !set_dims(m, &y, rank, dim)) return o_none();
    if (y.size != v->size) {
        o_fail(m, ROB_EFORMAT, "%lld elements do not make %lld", (long long)v->size,
               (long long)y.size);
        return o_none();
    }
    if (v->id != ROB_NONE) y.id = g_reshape(m->g, v->id, o_shape(&y));
    return y;
}

/* Runs of axes that stay together, without dims of 1: their sizes in the order of v, and
 * the order they go to. Returns how many, or -1: too many for a graph. */
static int32_t runs_of(const rob_value *v, const int32_t *order, int64_t *size,
                       int32_t *to)
{
    int32_t axis[ROB_ONNX_RANK], head[ROB_ONNX_RANK], n = 0, runs = 0, last = -1;
    for (int32_t k = 0; k < v->rank; k++)
        if (v->dim[order[k]] != 1) axis[n++] = order[k];
    for (int32_t k = 0; k < n; k++) {
        int32_t next = last + 1;
        while (next < v->rank && v->dim[next] == 1) next++;
        if (k > 0 && axis[k] == next) size[runs - 1] *= v->dim[axis[k]];
        else {
            head[runs] = axis[k];
            size[runs++] = v->dim[axis[k]];
        }
        last = axis[k];
    }
    if (runs > ROB_MAX_RANK) return -1;
    int64_t sorted[ROB_ONNX_RANK];
    for (int32_t k = 0; k < runs; k++) {
        to[k] = 0;
        for (int32_t i = 0; i < runs; i++) to[k] += head[i] < head[k];
        sorted[to[k]] = size[k];
    }
    memcpy(size, sorted, (size_t)runs * sizeof *size);
    return runs;
}

rob_value o_permute(rob_machine *m, const rob_value *v, const int32_t *order)
{
    int64_t dim[ROB_ONNX_RANK], size[ROB_ONNX_RANK];
    int32_t to[ROB_ONNX_RANK], wide[ROB_MAX_RANK] = { 0 };
    if (!v->there) return o_none();
    for (int32_t k = 0; k < v->rank; k++) dim[k] = v->dim[order[k]];
    if (v->size == 0) return o_reshape(m, v, v->rank, dim);
    int32_t runs = runs_of(v, order, size, to);
    if (runs < 0) {
        o_fail(m, ROB_EUNSUPPORTED, "a transposition that keeps more than 4 axes apart");
        return o_none();
    }
    if (runs <= 1) return o_reshape(m, v, v->rank, dim);
    memcpy(wide, to, (size_t)runs * sizeof *to);
    rob_id x = g_reshape(m->g, o_id(m, v), rob_priv_shape_make(runs, size));
    return o_of(m, g_permute(m->g, x, wide), v->dtype, v->rank, dim);
}

/* ---- broadcasting ---------------------------------------------------------------- */

static int64_t dim_from_right(const rob_value *v, int32_t k)
{
    return k < v->rank ? v->dim[v->rank - 1 - k] : 1;
}

bool o_broadcast(rob_machine *m, const rob_value *a, const rob_value *b, int32_t *rank,
                 int64_t *dim)
{
    *rank = a->rank > b->rank ? a->rank : b->rank;
    if (!a->there || !b->there) return false;
    for (int32_t k = 0; k < *rank; k++) {
        int64_t x = dim_from_right(a, k), y = dim_from_right(b, k);
        if (x != y && x != 1 && y != 1) {
            o_fail(m, ROB_EFORMAT, "dims %lld and %lld do not broadcast", (long long)x,
                   (long long)y);
            return false;
        }
        dim[*rank - 1 - k] = x == 1 ? y : x;
    }
    return true;
}

/* Shapes of rank 4 at most under which a broadcasts to dim. */
static bool draw_together(const rob_value *a, int32_t rank, const int64_t *dim,
                          rob_shape *from, rob_shape *to)
{
    int32_t n = 0, last = -1;
    for (int32_t k = 0; k < rank; k++) {
        int64_t have = dim_from_right(a, rank - 1 - k);
        int32_t kind = have == dim[k] ? 0 : 1;
        if (dim[k] == 1) continue;
        if (kind == last) {
            from->dim[n - 1] *= have;
            to->dim[n - 1] *= dim[k];
            continue;
        }
        if (n == ROB_MAX_RANK) return false;
        from->dim[n] = have;
        to->dim[n++] = dim[k];
        last = kind;
    }
    from->rank = to->rank = n;
    return true;
}

rob_value o_expand(rob_machine *m, const rob_value *v, int32_t rank, const int64_t *dim)
{
    rob_shape from = { 0 }, to = { 0 };
    rob_value y = { .there = true };
    if (!v->there || !set_dims(m, &y, rank, dim)) return o_none();
    if (y.size == v->size) return o_reshape(m, v, rank, dim);
    if (!draw_together(v, rank, dim, &from, &to)) {
        o_fail(m, ROB_EUNSUPPORTED, "a broadcast over more than 4 runs of axes");
        return o_none();
    }
    rob_id x = g_reshape(m->g, o_id(m, v), from);
    return o_of(m, g_expand(m->g, x, to), v->dtype, rank, dim);
}

rob_value o_both(rob_machine *m, rob_binary *build, const rob_value *a,
                 const rob_value *b)
{
    int64_t dim[ROB_ONNX_RANK];
    int32_t rank;
    rob_value x = *a, y = *b;
    if (!o_broadcast(m, a, b, &rank, dim)) return o_none();
    if (rank > ROB_MAX_RANK) {
        x = o_expand(m, a, rank, dim);
        y = o_expand(m, b, rank, dim);
    }
    return o_of(m, build(m->g, o_id(m, &x), o_id(m, &y)), a->dtype, rank, dim);
}

rob_value o_add(rob_machine *m, const rob_value *a, const rob_value *b)
{
    return o_both(m, g_add, a, b);
}

rob_value o_mul(rob_machine *m, const rob_value *a, const rob_value *b)
{
    return o_both(m, g_mul, a, b);
}

rob_value o_affine(rob_machine *m, const rob_value *v, double scale, double shift)
{
    if (!v->there) return o_none();
    return o_like(m, g_affine(m->g, o_id(m, v), scale, shift), v);
}

rob_value o_apply(rob_machine *m, const char *op, const rob_value *v)
{
    if (!v->there) return o_none();
    return o_like(m, g_unary(m->g, op, o_id(m, v)), v);
}

rob_value o_each(rob_machine *m, double (*number)(double, double), int32_t dtype,
                 const rob_value *a, const rob_value *b)
{
    int64_t dim[ROB_ONNX_RANK];
    int32_t rank;
    if (!o_broadcast(m, a, b, &rank, dim)) return o_none();
    rob_value y = room_for_numbers(m, dtype, rank, dim);
    for (int64_t i = 0; y.number != NULL && i < y.size; i++) {
        int64_t rest = i, at[2] = { 0, 0 }, step[2] = { 1, 1 };
        for (int32_t k = 0; k < rank; k++) {
            int64_t index = rest % dim[rank - 1 - k];
            rest /= dim[rank - 1 - k];
            for (int32_t s = 0; s < 2; s++) {
                int64_t d = dim_from_right(s ? b : a, k);
                at[s] += d > 1 ? index * step[s] : 0;
                step[s] *= d;
            }
        }
        ((double *)y.number->data)[i] = number(o_at(a, at[0]), o_at(b, at[1]));
    }
    y.fixed = a->fixed && b->fixed;
    return y;
}
