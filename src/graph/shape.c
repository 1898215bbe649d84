/* shape.c -- shapes: rank 0 to 4, row-major; a value is rows x cols with cols the last
 * dimension. Broadcasting is numpy's: dimensions are aligned from the last one, a missing
 * or unit dimension stretches. */
#include "graph/graph.h"

rob_shape rob_priv_shape_make(int32_t rank, const int64_t *dim)
{
    rob_shape s = {.rank = rank};
    for (int32_t i = 0; i < rank && i < ROB_MAX_RANK; i++) s.dim[i] = dim[i];
    return s;
}

rob_shape rob_priv_shape1(int64_t a) { return (rob_shape){1, {a}}; }
rob_shape rob_priv_shape2(int64_t a, int64_t b) { return (rob_shape){2, {a, b}}; }
rob_shape rob_priv_shape3(int64_t a, int64_t b, int64_t c)
{
    return (rob_shape){3, {a, b, c}};
}

int64_t rob_priv_shape_size(const rob_shape *s)
{
    int64_t size = 1;
    for (int32_t i = 0; i < s->rank; i++) size *= s->dim[i];
    return size;
}

int64_t rob_priv_shape_cols(const rob_shape *s)
{
    return s->rank > 0 ? s->dim[s->rank - 1] : 1;
}

int64_t rob_priv_shape_rows(const rob_shape *s)
{
    int64_t rows = 1;
    for (int32_t i = 0; i + 1 < s->rank; i++) rows *= s->dim[i];
    return rows;
}

bool rob_priv_shape_equal(const rob_shape *a, const rob_shape *b)
{
    if (a->rank != b->rank) return false;
    for (int32_t i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

/* Dimension `i` counted from the last one; 1 where the shape has none. */
static int64_t dim_from_end(const rob_shape *s, int32_t i)
{
    return i < s->rank ? s->dim[s->rank - 1 - i] : 1;
}

bool rob_priv_shape_broadcast(const rob_shape *a, const rob_shape *b, rob_shape *out)
{
    rob_shape s = {.rank = a->rank > b->rank ? a->rank : b->rank};
    for (int32_t i = 0; i < s.rank; i++) {
        int64_t x = dim_from_end(a, i), y = dim_from_end(b, i);
        if (x != y && x != 1 && y != 1) return false;
        s.dim[s.rank - 1 - i] = x == 1 ? y : x;
    }
    *out = s;
    return true;
}
