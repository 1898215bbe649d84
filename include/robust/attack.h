/* attack.h -- upper bounds on the adversarial distance. */
#ifndef ROBUST_ATTACK_H
#define ROBUST_ATTACK_H
#include <robust/query.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef struct rob_attack rob_attack;
/* method: "fgsm", "pgd", "deepfool", "auto" */
ROB_API rob_status rob_attack_create(rob_ctx *ctx, const char *method, rob_attack **out);
ROB_API rob_status rob_attack_set(rob_ctx *ctx, rob_attack *a, const char *name, double value);
ROB_API rob_status rob_attack_set_text(rob_ctx *ctx, rob_attack *a, const char *name, const char *value);
ROB_API rob_status rob_attack_distance(rob_ctx *ctx, rob_attack *a, rob_query *q, double *upper, int64_t capacity);
/* attack at the query's fixed radius: found[i] 1 when a point inside fails the specification */
ROB_API rob_status rob_attack_margin(rob_ctx *ctx, rob_attack *a, rob_query *q, double *margin, int64_t capacity);
ROB_API rob_status rob_attack_get(rob_ctx *ctx, const rob_attack *a, const char *what, int64_t i, double *out, int64_t capacity, int64_t *count);
ROB_API void rob_attack_free(rob_attack *a);
#ifdef __cplusplus
}
#endif
#endif
