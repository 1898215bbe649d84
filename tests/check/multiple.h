/* multiple.h -- recurrent classifiers evaluated at 200 bits, independent of the
 * library's graphs, and small random ones to evaluate. Rounding here is 2^-200 a step
 * and is far below every difference the tests look at. */
#ifndef ROB_TEST_MULTIPLE_H
#define ROB_TEST_MULTIPLE_H

#include "model/model.h"

#include <mpfr.h>
#include <stdlib.h>
#include <string.h>

enum { EXACT_BITS = 200 };

/* A model with weights size * uniform(-1, 1); tied: all rows of the head equal. */
static inline rob_model *random_model(rob_ctx *ctx, int32_t kind, int32_t layers,
                                      int32_t readout, int64_t features, int64_t hidden,
                                      int64_t outputs, double size, uint64_t seed,
                                      bool tied)
{
    rob_recipe r = {.kind = kind, .layers = layers, .readout = readout,
                    .features = features, .hidden = hidden, .outputs = outputs,
                    .input_scale = 1, .dtype = ROB_F32, .head = "fc"};
    strcpy(r.body, kind == ROB_KIND_LSTM  ? "lstm"
                   : kind == ROB_KIND_GRU ? "gru"
                                          : "rnn");
    rob_model *m;
    if (rob_priv_model_make(ctx, &r, &m) != ROB_OK) abort();
    rob_random random = rob_priv_random(seed, 3);
    for (int32_t k = 0; k < m->parameters; k++) {
        rob_tensor *t = m->parameter[k].tensor;
        float *v = t->data;
        int64_t n = rob_priv_shape_size(&t->shape);
        for (int64_t i = 0; i < n; i++)
            v[i] = (float)(size * (2 * rob_priv_uniform(&random) - 1));
        if (!tied || k < m->parameters - 2) continue;
        int64_t row = n / outputs;
        for (int64_t i = row; i < n; i++) v[i] = v[i - row];
    }
    return m;
}

static inline mpfr_t *exact_vector(int64_t n)
{
    mpfr_t *v = malloc((size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; i++) {
        mpfr_init2(v[i], EXACT_BITS);
        mpfr_set_zero(v[i], 1);
    }
    return v;
}

static inline void exact_free(mpfr_t *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++) mpfr_clear(v[i]);
    free(v);
}

static inline void exact_sigmoid(mpfr_t y, const mpfr_t x)
{
    mpfr_neg(y, x, MPFR_RNDN);
    mpfr_exp(y, y, MPFR_RNDN);
    mpfr_add_ui(y, y, 1, MPFR_RNDN);
    mpfr_ui_div(y, 1, y, MPFR_RNDN);
}

/* y (n) += W (n, k) x (k) + b (n); x or b may be NULL */
static inline void exact_affine(const rob_tensor *w, const rob_tensor *b, int64_t n,
                                int64_t k, mpfr_t *x, mpfr_t *y)
{
    mpfr_t p;
    mpfr_init2(p, EXACT_BITS);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; w != NULL && j < k; j++) {
            mpfr_mul_d(p, x[j], rob_priv_tensor_at(w, i * k + j), MPFR_RNDN);
            mpfr_add(y[i], y[i], p, MPFR_RNDN);
        }
        if (b != NULL) mpfr_add_d(y[i], y[i], rob_priv_tensor_at(b, i), MPFR_RNDN);
    }
    mpfr_clear(p);
}

static inline void exact_lstm_gates(int64_t H, mpfr_t *z, mpfr_t *h, mpfr_t *c)
{
    mpfr_t s, t;
    mpfr_inits2(EXACT_BITS, s, t, (mpfr_ptr)0);
    for (int64_t j = 0; j < H; j++) {
        exact_sigmoid(s, z[H + j]);
        mpfr_mul(c[j], c[j], s, MPFR_RNDN);
        exact_sigmoid(s, z[j]);
        mpfr_tanh(t, z[2 * H + j], MPFR_RNDN);
        mpfr_mul(s, s, t, MPFR_RNDN);
        mpfr_add(c[j], c[j], s, MPFR_RNDN);
        exact_sigmoid(s, z[3 * H + j]);
        mpfr_tanh(t, c[j], MPFR_RNDN);
        mpfr_mul(h[j], s, t, MPFR_RNDN);
    }
    mpfr_clears(s, t, (mpfr_ptr)0);
}

/* z = W_ih u + b_ih, q = W_hh h + b_hh, gates (r, z, n) */
static inline void exact_gru_gates(int64_t H, mpfr_t *z, mpfr_t *q, mpfr_t *h)
{
    mpfr_t s, t;
    mpfr_inits2(EXACT_BITS, s, t, (mpfr_ptr)0);
    for (int64_t j = 0; j < H; j++) {
        mpfr_add(t, z[j], q[j], MPFR_RNDN);
        exact_sigmoid(s, t);
        mpfr_mul(s, s, q[2 * H + j], MPFR_RNDN);
        mpfr_add(s, s, z[2 * H + j], MPFR_RNDN);
        mpfr_tanh(t, s, MPFR_RNDN);
        mpfr_add(z[j], z[H + j], q[H + j], MPFR_RNDN);
        exact_sigmoid(s, z[j]);
        mpfr_sub(h[j], h[j], t, MPFR_RNDN);
        mpfr_mul(h[j], h[j], s, MPFR_RNDN);
        mpfr_add(h[j], h[j], t, MPFR_RNDN);
    }
    mpfr_clears(s, t, (mpfr_ptr)0);
}

static inline void exact_step(const rob_model *m, int32_t layer, mpfr_t *u,
                              int64_t width, mpfr_t *h, mpfr_t *c)
{
    const rob_parameter *p = &m->parameter[4 * layer];
    int32_t kind = m->recipe.kind;
    int64_t H = m->recipe.hidden;
    int64_t G = kind == ROB_KIND_LSTM ? 4 : kind == ROB_KIND_GRU ? 3 : 1;
    mpfr_t *z = exact_vector(G * H), *q = exact_vector(G * H);
    exact_affine(p[0].tensor, p[2].tensor, G * H, width, u, z);
    exact_affine(p[1].tensor, p[3].tensor, G * H, H, h, G == 3 ? q : z);
    if (G == 4) exact_lstm_gates(H, z, h, c);
    if (G == 3) exact_gru_gates(H, z, q, h);
    for (int64_t j = 0; G == 1 && j < H; j++) {
        if (kind == ROB_KIND_RNN_TANH) mpfr_tanh(h[j], z[j], MPFR_RNDN);
        else if (mpfr_sgn(z[j]) > 0) mpfr_set(h[j], z[j], MPFR_RNDN);
        else mpfr_set_zero(h[j], 1);
    }
    exact_free(z, G * H), exact_free(q, G * H);
}

/* f (L) of x (T, D); the input map is a x + b with a = fl(1/scale), b =
 * fl(-shift/scale), the mean is taken by the factor fl(1/T), as the graph has them */
static inline void exact_logits(const rob_model *m, const double *x, int64_t T,
                                mpfr_t *f)
{
    const rob_recipe *r = &m->recipe;
    int64_t H = r->hidden, D = r->features;
    mpfr_t *u = exact_vector(T * (D > H ? D : H)), *s = exact_vector(H);
    for (int64_t i = 0; i < T * D; i++) {
        mpfr_set_d(u[i], x[i], MPFR_RNDN);
        mpfr_mul_d(u[i], u[i], 1.0 / r->input_scale, MPFR_RNDN);
        mpfr_add_d(u[i], u[i], -r->input_shift / r->input_scale, MPFR_RNDN);
    }
    for (int32_t k = 0; k < r->layers; k++) {
        int64_t width = k == 0 ? D : H;
        mpfr_t *h = exact_vector(H), *c = exact_vector(H),
               *in = exact_vector(T * width);
        for (int64_t i = 0; i < T * width; i++) mpfr_set(in[i], u[i], MPFR_RNDN);
        for (int64_t t = 0; t < T; t++) {
            exact_step(m, k, in + t * width, width, h, c);
            for (int64_t j = 0; j < H; j++) mpfr_set(u[t * H + j], h[j], MPFR_RNDN);
        }
        exact_free(h, H), exact_free(c, H), exact_free(in, T * width);
    }
    for (int64_t t = r->readout == ROB_READOUT_LAST ? T - 1 : 0; t < T; t++)
        for (int64_t j = 0; j < H; j++) mpfr_add(s[j], s[j], u[t * H + j], MPFR_RNDN);
    for (int64_t j = 0; r->readout == ROB_READOUT_MEAN && j < H; j++)
        mpfr_mul_d(s[j], s[j], 1.0 / (double)T, MPFR_RNDN);
    for (int64_t j = 0; j < r->outputs; j++) mpfr_set_zero(f[j], 1);
    exact_affine(m->parameter[m->parameters - 2].tensor,
                 m->parameter[m->parameters - 1].tensor, r->outputs, H, s, f);
    exact_free(u, T * (D > H ? D : H)), exact_free(s, H);
}

/* min over k != c of f_c - f_k, rounded up to double: if a bound exceeds it, it is
 * wrong */
static inline double exact_margin(const rob_model *m, const double *x, int64_t T,
                                  int64_t c)
{
    int64_t L = m->recipe.outputs;
    mpfr_t *f = exact_vector(L);
    double least = INFINITY;
    exact_logits(m, x, T, f);
    for (int64_t k = 0; k < L; k++) {
        if (k == c) continue;
        mpfr_sub(f[k], f[c], f[k], MPFR_RNDU);
        double g = mpfr_get_d(f[k], MPFR_RNDU);
        if (g < least) least = g;
    }
    exact_free(f, L);
    return least;
}

#endif
