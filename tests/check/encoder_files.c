/* encoder_files.c -- files of transformers that lie, and memory that runs out.
 *
 * Every tensor of a good file taken out, given another shape or type, one more put in, and
 * every word of its recipe contradicted: all of it is refused with one line, most of it by
 * what it says, what remains possible (another number of heads, another norm) by the
 * witness. Then every allocation of loading, running and saving fails in turn.
 */
#include "check/poor.h"
#include "model/parts.h"

#include <robust.h>

static const char *const NAMES[] = { "patches", "mlp", "conv", "free", "vit" };
enum { FILES = COUNT_OF(NAMES), MOST = 64 };

static rob_ctx *ctx;

#define GOOD(call) ck_assert_msg((call) == ROB_OK, "%s", rob_ctx_error(ctx))

static void start(void) { ck_assert_int_eq(rob_ctx_create(&ctx), ROB_OK); }
static void stop(void) { rob_ctx_free(ctx); }

static void path_of(int k, char path[160])
{
    snprintf(path, 160, "tests/data/model_encoder_%s.safetensors", NAMES[k]);
}

/* ---- a file in pieces ------------------------------------------------------------ */

typedef struct pieces {
    int64_t count;
    char name[MOST][96], recipe[512];
    rob_tensor *tensor[MOST];
} pieces;

static void take_apart(int k, pieces *p)
{
    char path[160];
    rob_safetensors s;
    path_of(k, path);
    GOOD(rob_priv_safetensors_open(ctx, path, &s));
    ck_assert_int_le(s.entries, MOST);
    p->count = s.entries;
    for (int64_t i = 0; i < s.entries; i++) {
        snprintf(p->name[i], sizeof p->name[i], "%s", s.entry[i].name);
        GOOD(rob_priv_safetensors_tensor(ctx, &s, &s.entry[i], &p->tensor[i]));
    }
    snprintf(p->recipe, sizeof p->recipe, "%s",
             rob_priv_safetensors_note(&s, "robust.recipe"));
    rob_priv_safetensors_clear(&s);
}

static void drop(pieces *p)
{
    for (int64_t i = 0; i < p->count; i++) rob_priv_tensor_free(p->tensor[i]);
}

/* what loading the pieces, without number `without` (-1: all), says */
static rob_status put_together(const pieces *p, int64_t without, const char *recipe)
{
    char path[64];
    const char *name[MOST];
    rob_tensor *tensor[MOST];
    int64_t n = 0;
    const rob_note note = { "robust.recipe", recipe };
    rob_model *model = (rob_model *)path;
    snprintf(path, sizeof path, "lies_%d.safetensors", (int)getpid());
    for (int64_t i = 0; i < p->count; i++) {
        if (i == without) continue;
        name[n] = p->name[i];
        tensor[n++] = p->tensor[i];
    }
    GOOD(rob_priv_safetensors_write(ctx, path, name, tensor, n, &note, 1));
    rob_status status = rob_model_load(ctx, path, NULL, &model);
    remove(path);
    ck_assert((model != NULL) == (status == ROB_OK));
    ck_assert(status == ROB_OK || rob_ctx_error(ctx)[0]);
    rob_model_free(model);
    return status;
}

static void refused(rob_status status, const char *what, const char *of)
{
    ck_assert_msg(status == ROB_EFORMAT || status == ROB_ESHAPE || status == ROB_EARGUMENT,
                  "%s %s: %d %s", what, of, (int)status,
                  status < 0 ? rob_ctx_error(ctx) : "loaded");
}

static rob_tensor *zeros(int32_t dtype, rob_shape shape)
{
    rob_tensor *t;
    GOOD(rob_priv_tensor_create(&ctx->memory, dtype, shape, &t));
    return t;
}

static bool is_witness(const char *name) { return strncmp(name, "robust.", 7) == 0; }

START_TEST(every_tensor_is_needed)
{
    pieces p;
    take_apart(_i, &p);
    ck_assert_int_eq(put_together(&p, -1, p.recipe), ROB_OK);
    for (int64_t k = 0; k < p.count; k++)
        refused(put_together(&p, k, p.recipe), "without", p.name[k]);
    rob_shape one = rob_priv_shape1(1);
    snprintf(p.name[p.count], sizeof *p.name, "encoder.layers.9.more");
    p.tensor[p.count++] = zeros(ROB_F64, one);
    refused(put_together(&p, -1, p.recipe), "with", "one more");
    drop(&p);
}
END_TEST

/* One row more, a column less, an axis more, another type. A table of positions may have
 * rows that are not used: those are the same function, and the only thing let through. */
START_TEST(shapes_and_types_are_looked_at)
{
    pieces p;
    take_apart(_i, &p);
    for (int64_t k = 0; k < p.count; k++) {
        rob_tensor *good = p.tensor[k];
        rob_shape s[4] = { good->shape, good->shape, good->shape, good->shape };
        bool table = strstr(p.name[k], "pos_embedding") != NULL;
        s[0].dim[0]++;
        s[1].dim[s[1].rank - 1] += 1;
        if (s[2].rank < ROB_MAX_RANK) s[2].dim[s[2].rank++] = 2;
        else s[2].dim[0] += 2;
        for (int e = 0; e < 4; e++) {
            int32_t dtype = e == 3 ? ROB_F32 : ROB_F64;
            if (e == 3 && is_witness(p.name[k])) continue; /* may have a type of its own */
            p.tensor[k] = zeros(dtype, s[e]);
            rob_status status = put_together(&p, -1, p.recipe);
            if (!(table && status == ROB_OK)) refused(status, "bent", p.name[k]);
            rob_priv_tensor_free(p.tensor[k]);
        }
        p.tensor[k] = good;
    }
    drop(&p);
}
END_TEST

/* Numbers that are not finite in any tensor are never a model. */
START_TEST(numbers_are_finite)
{
    pieces p;
    take_apart(_i, &p);
    for (int64_t k = 0; k < p.count; k++) {
        double *at = p.tensor[k]->data, old = *at;
        *at = k % 2 ? NAN : INFINITY;
        ck_assert_int_lt(put_together(&p, -1, p.recipe), 0);
        *at = old;
    }
    drop(&p);
}
END_TEST

static const char *const CONTRADICTED[] = {
    "heads=1", "heads=3", "heads=4", "heads=999999999", "layers=1", "layers=3",
    "layers=16", "layers=17", "hidden=7", "hidden=16", "feedforward=11",
    "feedforward=999999999", "features=2", "features=4", "features=999999999",
    "outputs=2", "outputs=4", "activation=tanh", "norm=both", "readout=every",
    "readout=state", "head=nothing", "body=nothing", "embed=nothing", "conv=nothing",
    "scale=nothing", "state=nothing", "mlp=3", "mlp=9,5", "mlp=0", "patch=3", "patch=0x1",
    "patch=999999999x999999999", "longest=2", "longest=999999999", "dtype=f32",
    "classes=a,b", "classes=a,b,c,d", "eps=0", "eps=-1", "eps=nan", "names=keras",
    "positions=random", "input_norm=layer:nothing", "conv_norm=batch:nothing",
    "head_norm=batch:nothing", "head_norm=layer:nothing", "steps=7", "bidirectional=yes",
    "layernorm=none", "last_norm=maybe", "kernel=9", "channels=9", "stride=0",
    "heads=2 heads=2", "unheard=of", "input=(x-1)/0", "input=(x-1)/3", "position=nothing",
    "",
};

/* Each word in the place of its own, or behind the recipe. */
START_TEST(recipes_that_contradict_are_refused)
{
    pieces p;
    char recipe[1024], word[64];
    take_apart(_i, &p);
    for (int64_t k = 0; k < COUNT_OF(CONTRADICTED); k++) {
        const char *said = CONTRADICTED[k], *equal = strchr(said, '=');
        int n = equal != NULL ? (int)(equal - said) + 1 : 0;
        snprintf(word, sizeof word, " %.*s", n, said);
        char *at = n > 0 ? strstr(p.recipe, word) : NULL;
        const char *end = at != NULL ? at + 1 + strcspn(at + 1, " ") : "";
        if (n == 0) snprintf(recipe, sizeof recipe, "%s", "transformer");
        else if (at == NULL) snprintf(recipe, sizeof recipe, "%s %s", p.recipe, said);
        else
            snprintf(recipe, sizeof recipe, "%.*s %s%s", (int)(at - p.recipe), p.recipe,
                     said, end);
        rob_status status = put_together(&p, -1, recipe);
        bool same = status == ROB_OK && strcmp(said, "position=nothing") == 0;
        if (!same) refused(status, NAMES[_i], said);
    }
    drop(&p);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------- */

static int chosen;

static rob_status load_run_save(rob_ctx *own)
{
    rob_status status = ROB_OK;
    char path[160], copy[64];
    rob_model *model = NULL;
    double x[7 * 3], y[3];
    path_of(chosen, path);
    for (int i = 0; i < 7 * 3; i++) x[i] = 0.1 * i - 1;
    snprintf(copy, sizeof copy, "poor_%d.safetensors", (int)getpid());
    status = rob_model_load(own, path, NULL, &model);
    if (status == ROB_OK) status = rob_model_predict(own, model, x, 7, y, 3);
    if (status == ROB_OK) status = rob_model_save(own, model, copy);
    remove(copy);
    rob_model_free(model);
    return status;
}

START_TEST(any_allocation_may_fail)
{
    static const int FEW[] = { 2, 4 };
    chosen = FEW[_i];
    rob_live_poorly(load_run_save);
}
END_TEST

static rob_status create_one(rob_ctx *own)
{
    rob_model *model;
    rob_status status = rob_model_create(
        own, "transformer heads=2 hidden=4 features=2 outputs=2 activation=gelu norm=first "
             "readout=cls positions=learned longest=9 scale=scale mlp=3 "
             "head_activation=relu conv=conv channels=3 kernel=2 conv_activation=tanh",
        &model);
    if (status == ROB_OK) rob_model_free(model);
    return status;
}

START_TEST(any_allocation_of_a_new_model_may_fail)
{
    rob_live_poorly(create_one);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("encoder_files");
    TCase *c = tcase_create("encoder_files");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_loop_test(c, every_tensor_is_needed, 0, FILES);
    tcase_add_loop_test(c, shapes_and_types_are_looked_at, 0, FILES);
    tcase_add_loop_test(c, numbers_are_finite, 0, FILES);
    tcase_add_loop_test(c, recipes_that_contradict_are_refused, 0, FILES);
    tcase_add_loop_test(c, any_allocation_may_fail, 0, 2);
    tcase_add_test(c, any_allocation_of_a_new_model_may_fail);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
