/* tensor.c -- the numbers of a constant: float32 or float64 as stored, shared by count. */
#include "graph/graph.h"

static bool size_fits(const rob_shape *shape)
{
    int64_t size = 1;
    for (int32_t i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 0) return false;
        if (__builtin_mul_overflow(size, shape->dim[i], &size)) return false;
    }
    return size <= INT64_MAX / (int64_t)sizeof(double);
}

rob_status rob_priv_tensor_create(const rob_memory *m, int32_t dtype, rob_shape shape,
                                  rob_tensor **out)
{
    *out = NULL;
    if (!size_fits(&shape)) return ROB_ESHAPE;
    int64_t size = rob_priv_shape_size(&shape);
    rob_tensor *t = rob_priv_allocate(m, 1, (int64_t)sizeof *t);
    if (t == NULL) return ROB_EMEMORY;
    t->data = rob_priv_allocate(m, size > 0 ? size : 1, dtype == ROB_F32 ? 4 : 8);
    if (t->data == NULL) {
        rob_priv_release(m, t);
        return ROB_EMEMORY;
    }
    atomic_init(&t->references, 1);
    t->memory = *m;
    t->dtype = dtype;
    t->shape = shape;
    *out = t;
    return ROB_OK;
}

rob_tensor *rob_priv_tensor_keep(rob_tensor *t)
{
    if (t != NULL) atomic_fetch_add_explicit(&t->references, 1, memory_order_relaxed);
    return t;
}

void rob_priv_tensor_free(rob_tensor *t)
{
    if (t == NULL) return;
    if (atomic_fetch_sub_explicit(&t->references, 1, memory_order_acq_rel) != 1) return;
    rob_memory m = t->memory;
    rob_priv_release(&m, t->data);
    rob_priv_release(&m, t);
}

double rob_priv_tensor_at(const rob_tensor *t, int64_t i)
{
    return t->dtype == ROB_F32 ? (double)((const float *)t->data)[i]
                               : ((const double *)t->data)[i];
}
