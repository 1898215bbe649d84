/* each.h -- loops of element-wise kernels.
 *
 * A kernel file defines `static inline vec value(const rob_node *n, vec a, ...)` and
 * then says ROB_EACH1(tanh) (or 2, 3 operands). Rows that follow each other without
 * gaps are one run. The last incomplete vector goes through the same code on a padded
 * copy, so the bits of an element depend neither on its place nor on the row stride. An
 * operand that stands still along a row is read from a vector of its number.
 */
#ifndef ROB_EACH_H
#define ROB_EACH_H

#include "la/vec.h"
#include "op/op.h"
#include "op/vmath.h"

/* The first `count` lanes (0 < count < LANES) from memory, `rest` in the others. */
static inline vec each_load_or(const real *p, int64_t count, vec rest)
{
#if defined(ROB_KERNEL_avx512) && defined(ROB_KERNEL_f32)
    return (vec)_mm512_mask_loadu_ps((__m512)rest, (__mmask16)((1u << count) - 1), p);
#elif defined(ROB_KERNEL_avx512)
    return (vec)_mm512_mask_loadu_pd((__m512d)rest, (__mmask8)((1u << count) - 1), p);
#else
    vec v = rest;
    memcpy(&v, p, (size_t)count * sizeof *p);
    return v;
#endif
}

static inline vec each_load_part(const real *p, int64_t count)
{
    return each_load_or(p, count, (vec){0});
}

static inline void each_store_part(real *p, vec v, int64_t count)
{
#if defined(ROB_KERNEL_avx512) && defined(ROB_KERNEL_f32)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), (__m512)v);
#elif defined(ROB_KERNEL_avx512)
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << count) - 1), (__m512d)v);
#else
    memcpy(p, &v, (size_t)count * sizeof *p);
#endif
}

/* Row r of an operand; `wide` holds one that stands still. */
static inline const real *each_operand(const rob_view *v, int64_t r, real *wide)
{
    const real *p = (const real *)v->at + r * v->ld;
    if (!v->still) return p;
    vec_store(wide, vec_all(p[0]));
    return wide;
}

/* All operands without gaps: rows * cols elements in a row. */
static inline int each_is_flat(const rob_view *in, int32_t ins, const rob_view *out)
{
    int flat = out->ld == out->cols;
    for (int32_t i = 0; i < ins; i++) flat &= in[i].ld == in[i].cols && !in[i].still;
    return flat || out->rows == 1;
}

/* y[0..count) = VALUE, LOAD(p) reading one vector of operand p */
#define ROB_EACH_RUN_(VALUE)                                                          \
    int64_t i = 0;                                                                    \
    for (; i + LANES <= count; i += LANES) vec_store(y + i, VALUE(ROB_WHOLE_));       \
    if (i < count) each_store_part(y + i, VALUE(ROB_PART_), count - i)
#define ROB_WHOLE_(p) vec_load((p) + i * p##_moves)
#define ROB_PART_(p) each_load_part((p) + i * p##_moves, count - i)
#define ROB_VALUE1_(LOAD) value(n, LOAD(a))
#define ROB_VALUE2_(LOAD) value(n, LOAD(a), LOAD(b))
#define ROB_VALUE3_(LOAD) value(n, LOAD(a), LOAD(b), LOAD(c))

#define ROB_EACH_KERNEL_(name, INS)                                                   \
    void R(op_##name)(const rob_node *n, const rob_shape *shape, const rob_view *in,  \
                      const rob_view *out);                                           \
    void R(op_##name)(const rob_node *n, const rob_shape *shape, const rob_view *in,  \
                      const rob_view *out)                                            \
    {                                                                                 \
        (void)shape;                                                                  \
        int64_t rows = out->rows, cols = out->cols;                                   \
        if (each_is_flat(in, INS, out)) cols *= rows, rows = 1;                       \
        for (int64_t r = 0; r < rows; r++) each_row(n, in, out, r, cols);             \
    }

#define ROB_ROW_(p, k)                                                                \
    real p##_wide[LANES];                                                             \
    const real *p = each_operand(&in[k], r, p##_wide);                                \
    const int64_t p##_moves = !in[k].still
#define ROB_EACH_ROW_                                                                 \
    static void each_row(const rob_node *n, const rob_view *in, const rob_view *out,  \
                         int64_t r, int64_t count)

#define ROB_EACH1(name)                                                               \
    ROB_EACH_ROW_                                                                     \
    {                                                                                 \
        ROB_ROW_(a, 0);                                                               \
        real *y = (real *)out->at + r * out->ld;                                      \
        ROB_EACH_RUN_(ROB_VALUE1_);                                                   \
    }                                                                                 \
    ROB_EACH_KERNEL_(name, 1)

#define ROB_EACH2(name)                                                               \
    ROB_EACH_ROW_                                                                     \
    {                                                                                 \
        ROB_ROW_(a, 0);                                                               \
        ROB_ROW_(b, 1);                                                               \
        real *y = (real *)out->at + r * out->ld;                                      \
        ROB_EACH_RUN_(ROB_VALUE2_);                                                   \
    }                                                                                 \
    ROB_EACH_KERNEL_(name, 2)

#define ROB_EACH3(name)                                                               \
    ROB_EACH_ROW_                                                                     \
    {                                                                                 \
        ROB_ROW_(a, 0);                                                               \
        ROB_ROW_(b, 1);                                                               \
        ROB_ROW_(c, 2);                                                               \
        real *y = (real *)out->at + r * out->ld;                                      \
        ROB_EACH_RUN_(ROB_VALUE3_);                                                   \
    }                                                                                 \
    ROB_EACH_KERNEL_(name, 3)

#endif
