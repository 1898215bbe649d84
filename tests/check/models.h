/* models.h -- small models for tests of queries, attacks and training, and an allocator
 * that counts and fails.
 *
 * The affine classifier: an Elman network with relu, W_hh = 0.5 I and biases so large
 * that no unit is ever clipped for |x| <= 30. Then h_T = sum_t 0.5^(T-1-t) (W x_t + b),
 * and f = V h_T + v: exactly affine, with coefficients 0.5^(T-1-t) (V W)_{k,j} on
 * x_{t,j}.
 */
#ifndef ROB_TEST_MODELS_H
#define ROB_TEST_MODELS_H

#include "model/model.h"

#include <stdlib.h>

static inline rob_model *test_model(rob_ctx *ctx, int32_t kind, int64_t features,
                                    int64_t hidden, int64_t outputs, int32_t readout,
                                    int32_t dtype, double size)
{
    rob_recipe r = { .kind = kind,
                     .layers = 1,
                     .readout = readout,
                     .features = features,
                     .hidden = hidden,
                     .outputs = outputs,
                     .input_scale = 1,
                     .dtype = dtype,
                     .head = "fc" };
    strcpy(r.body, kind == ROB_KIND_LSTM ? "lstm" : "rnn");
    rob_model *m;
    ck_assert_int_eq(rob_priv_model_make(ctx, &r, &m), ROB_OK);
    rob_random random = rob_priv_random(17, 3);
    for (int32_t k = 0; k < m->parameters; k++) {
        rob_tensor *t = m->parameter[k].tensor;
        for (int64_t i = 0; i < rob_priv_shape_size(&t->shape); i++) {
            double v = size * (2 * rob_priv_uniform(&random) - 1);
            if (t->dtype == ROB_F64) ((double *)t->data)[i] = v;
            else ((float *)t->data)[i] = (float)v;
        }
    }
    return m;
}

/* all weights of a model, one after the other */
static inline void weights_of(const rob_model *m, double *out,
                              int64_t *count)
{
    *count = 0;
    for (int32_t k = 0; k < m->parameters; k++)
        for (int64_t i = 0; i < rob_priv_shape_size(&m->parameter[k].tensor->shape); i++)
            out[(*count)++] = rob_priv_tensor_at(m->parameter[k].tensor, i);
}

enum { W_IH, W_HH, B_IH, B_HH, HEAD_W, HEAD_B };

static inline rob_model *affine_model(rob_ctx *ctx, int64_t features, int64_t outputs)
{
    int64_t hidden = 4;
    rob_model *m = test_model(ctx, ROB_KIND_RNN_RELU, features, hidden, outputs,
                              ROB_READOUT_LAST, ROB_F64, 0.5);
    double *recurrent = m->parameter[W_HH].tensor->data;
    for (int64_t i = 0; i < hidden * hidden; i++)
        recurrent[i] = i % (hidden + 1) == 0 ? 0.5 : 0;
    double *bias = m->parameter[B_IH].tensor->data;
    for (int64_t i = 0; i < hidden; i++) bias[i] += 20;
    /* the share of the biases in f is about 40 V: bring f back to order one */
    double *head = m->parameter[HEAD_W].tensor->data,
           *shift = m->parameter[HEAD_B].tensor->data;
    for (int64_t k = 0; k < outputs; k++)
        for (int64_t i = 0; i < hidden; i++) {
            double both = bias[i] + ((double *)m->parameter[B_HH].tensor->data)[i];
            shift[k] -= head[k * hidden + i] * both * 2;
        }
    return m;
}

/* coefficients of f_a - f_b on x (steps, features) */
static inline void affine_row(const rob_model *m, int64_t a, int64_t b, int64_t steps,
                              double *w)
{
    int64_t d = m->recipe.features, hidden = m->recipe.hidden;
    const double *in = m->parameter[W_IH].tensor->data,
                 *head = m->parameter[HEAD_W].tensor->data;
    for (int64_t t = 0; t < steps; t++)
        for (int64_t j = 0; j < d; j++) {
            double sum = 0;
            for (int64_t i = 0; i < hidden; i++)
                sum += (head[a * hidden + i] - head[b * hidden + i]) * in[i * d + j];
            w[t * d + j] = sum / (double)((int64_t)1 << (steps - 1 - t));
        }
}

static inline void test_series(double *x, int64_t n, uint64_t stream)
{
    rob_random random = rob_priv_random(5, stream);
    for (int64_t i = 0; i < n; i++) x[i] = 2 * rob_priv_uniform(&random) - 1;
}

/* ---- an allocator that counts, and fails from the n-th request on ---------------- */

typedef struct counting {
    int64_t live, asked, left;
} counting; /* left < 0: never fails */

static inline void *counting_take(void *user, int64_t bytes)
{
    counting *c = user;
    if (c->left == 0) return NULL;
    if (c->left > 0) c->left--;
    void *p = malloc((size_t)bytes);
    c->live += p != NULL;
    c->asked++;
    return p;
}

static inline void counting_drop(void *user, void *p)
{
    counting *c = user;
    c->live -= p != NULL;
    free(p);
}

#endif
