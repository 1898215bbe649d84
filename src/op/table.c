/* table.c -- the operators by name and number, and their kernels by precision,
 * instruction set and number. An operator that run executes itself has no kernel: NULL.
 * */
#include "op/op.h"

#include <string.h>

#define OP(name) &rob_priv_op_##name,
static const rob_op *const operators[ROB_OP_COUNT] = {
#include "op/list.h"
};
#undef OP

const rob_op *rob_priv_op_by_name(const char *name)
{
    for (int32_t i = 0; i < ROB_OP_COUNT; i++)
        if (strcmp(operators[i]->name, name) == 0) return operators[i];
    return NULL;
}

const rob_op *rob_priv_op_by_id(int32_t id)
{
    return id >= 0 && id < ROB_OP_COUNT ? operators[id] : NULL;
}

#define KERNELS(K)                                                                     \
    K(add)                                                                             \
    K(sub) K(mul) K(affine) K(reciprocal) K(exp) K(log) K(tanh) K(sigmoid) K(softplus) \
        K(relu) K(step) K(sign) K(abs) K(square) K(sqrt) K(rsqrt) K(erf) K(max) K(where)      \
            K(sigtanh) K(sigmul) K(blend) K(sum_to) K(softmax) K(logsumexp)  \
                K(centre) K(rmsnorm) K(gelu)

#define DECLARE(name)                                                                  \
    rob_eval rob_priv_op_##name##_f32_generic, rob_priv_op_##name##_f64_generic,       \
        rob_priv_op_##name##_f32_avx2, rob_priv_op_##name##_f64_avx2,                  \
        rob_priv_op_##name##_f32_avx512, rob_priv_op_##name##_f64_avx512;
KERNELS(DECLARE)

#define ROW(name)                                                                      \
    [ROB_OP_##                                                                         \
        name] = { { rob_priv_op_##name##_f32_generic, rob_priv_op_##name##_f32_avx2,   \
                    rob_priv_op_##name##_f32_avx512 },                                 \
                  { rob_priv_op_##name##_f64_generic, rob_priv_op_##name##_f64_avx2,   \
                    rob_priv_op_##name##_f64_avx512 } },
static rob_eval *const kernels[ROB_OP_COUNT][2][ROB_ISA_COUNT] = { KERNELS(ROW) };

rob_eval *rob_priv_kernel(int32_t dtype, int32_t isa, int32_t op)
{
    return kernels[op][dtype][isa];
}
