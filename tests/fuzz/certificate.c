/* certificate.c -- any bytes as a certificate, and as one of small models: its two
 * digests, of the network and of the file, are made right, so that the claims are read.
 * The corpus was written by rob_certificate_save for these models (weights 1/8, 2/8, ...
 * by turns), on balls with and without scales, walls and budgets.
 */
#include "fuzz/replay.h"
#include "check/check.h"

#include <robust/model.h>

#include <stdlib.h>
#include <string.h>

static const char *const FUZZ_RECIPES[] = {
    "rnn nonlinearity=tanh hidden=2 outputs=2 features=1 readout=last",
    "lstm hidden=2 outputs=2 features=1 readout=mean",
    "gru hidden=2 outputs=2 features=1 readout=last",
    "transformer heads=1 hidden=2 outputs=2 features=1 readout=mean activation=gelu norm=first",
};
enum { FUZZ_RECIPE_COUNT = 4 };

static inline rob_status fuzz_model(rob_ctx *ctx, const char *recipe, rob_model **out)
{
    rob_status status = rob_model_create(ctx, recipe, out);
    for (int32_t k = 0; status == ROB_OK && k < (*out)->parameters; k++) {
        rob_tensor *t = (*out)->parameter[k].tensor;
        for (int64_t i = 0; i < rob_priv_shape_size(&t->shape); i++)
            ((float *)t->data)[i] = (float)((i + k) % 7 - 3) / 8;
    }
    return status;
}

static void fuzz_claims(rob_ctx *ctx, rob_cert *c, const char *recipe)
{
    rob_model *m;
    rob_graph *g;
    rob_check_result result;
    if (c->features != 1 || c->steps > 64 || fuzz_model(ctx, recipe, &m) != ROB_OK) return;
    if (rob_priv_graph_create(ctx, &g) == ROB_OK) {
        rob_id x = rob_priv_input(g, rob_priv_shape3(c->steps, 1, 1));
        rob_priv_cert_network(g, x, rob_priv_model_emit(m, g, x, ROB_NONE, NULL), c->digest);
        rob_priv_graph_free(g);
        if (rob_priv_check(ctx, m, c, "fuzz", &result) == ROB_OK && !(result.margin > 0))
            abort();
    }
    rob_model_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rob_ctx *ctx;
    rob_cert c;
    if (rob_ctx_create(&ctx) < ROB_OK) return 0;
    if (rob_priv_cert_parse(ctx, bytes, (int64_t)count, "fuzz", &c) == ROB_OK)
        rob_priv_cert_clear(&c);
    uint8_t *right = malloc(count + 1);
    if (count > ROB_CERT_DIGEST && right != NULL) {
        rob_sha256 s;
        memcpy(right, bytes, count);
        rob_priv_sha256_begin(&s);
        rob_priv_sha256_add(&s, right, (int64_t)count - ROB_CERT_DIGEST);
        rob_priv_sha256_end(&s, right + count - ROB_CERT_DIGEST);
        if (rob_priv_cert_parse(ctx, right, (int64_t)count, "fuzz", &c) == ROB_OK) {
            for (int k = 0; k < FUZZ_RECIPE_COUNT; k++) fuzz_claims(ctx, &c, FUZZ_RECIPES[k]);
            rob_priv_cert_clear(&c);
        }
    }
    free(right);
    rob_ctx_free(ctx);
    return 0;
}
