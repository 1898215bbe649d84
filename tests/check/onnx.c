/* onnx.c -- ONNX files as models: torch's exports against torch's logits and against the
 * same weights from safetensors, certificates included; what is refused and in which words;
 * lies in files; failing allocators.
 */
#include "harness.h"

#include "model/onnx.h"

#include <math.h>
#include <robust.h>

enum { SERIES = 3, NUMBERS = 512, LOGITS = 8 };

static void must(rob_ctx *ctx, rob_status status)
{
    ck_assert_msg(status == ROB_OK, "%s", rob_ctx_error(ctx));
}

/* ---- torch's exports ------------------------------------------------------------- */

typedef struct fixture {
    char path[128], recipe[64];
    int64_t steps, features, outputs;
    double x[SERIES * NUMBERS], y[SERIES * LOGITS];
} fixture;

static void read_fixture(const char *name, fixture *f)
{
    char path[128];
    long long n, size[3];
    snprintf(f->path, sizeof f->path, "tests/data/onnx_%s.onnx", name);
    snprintf(path, sizeof path, "tests/data/onnx_%s.txt", name);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s", path);
    ck_assert(fgets(f->recipe, sizeof f->recipe, file) != NULL);
    f->recipe[strcspn(f->recipe, "\n")] = '\0';
    ck_assert_int_eq(fscanf(file, "%lld %lld %lld %lld", &n, &size[0], &size[1], &size[2]), 4);
    f->steps = size[0];
    f->features = size[1];
    f->outputs = size[2];
    ck_assert(n == SERIES && size[0] * size[1] <= NUMBERS && size[2] <= LOGITS);
    for (int64_t i = 0; i < n * size[0] * size[1]; i++)
        ck_assert_int_eq(fscanf(file, "%lf", &f->x[i]), 1);
    for (int64_t i = 0; i < n * size[2]; i++)
        ck_assert_int_eq(fscanf(file, "%lf", &f->y[i]), 1);
    fclose(file);
}

/* error: recurrent networks hold float32 weights exactly, so only float64 rounding is left
 * (200 operations of 2^-53); the others hold constants of torch's as float32 (the square
 * root of 2, epsilon, batch norm folded into weights): 2^-24 each, a dozen of them. */
static const struct {
    const char *name;
    double error;
} EXPORTS[] = {
    { "lstm", 1e-13 },      { "lstm_two", 1e-13 }, { "gru_mean", 1e-13 },
    { "rnn_state", 1e-13 }, { "lstm_max", 1e-13 }, { "conv", 1e-6 },
    { "encoder", 1e-6 },    { "encoder_first", 1e-6 },
};
enum { EXPORT_COUNT = sizeof EXPORTS / sizeof *EXPORTS };

START_TEST(logits_of_torch)
{
    rob_ctx *ctx;
    rob_model *model;
    fixture f;
    double y[LOGITS], size = 0, error = 0;
    must(NULL, rob_ctx_create(&ctx));
    read_fixture(EXPORTS[_i].name, &f);
    must(ctx, rob_model_load(ctx, f.path, f.recipe, &model));
    for (int64_t i = 0; i < SERIES; i++) {
        must(ctx, rob_model_predict(ctx, model, f.x + i * f.steps * f.features, f.steps, y,
                                    LOGITS));
        for (int64_t k = 0; k < f.outputs; k++) {
            size = fmax(size, fabs(f.y[i * f.outputs + k]));
            error = fmax(error, fabs(y[k] - f.y[i * f.outputs + k]));
        }
    }
    ck_assert_msg(error <= EXPORTS[_i].error * size, "%s: %g of %g", f.path, error, size);
    rob_model_free(model);
    rob_ctx_free(ctx);
}
END_TEST

static void ask(rob_ctx *ctx, const rob_model *model, const fixture *f, double *lower,
                double *upper)
{
    rob_query *query;
    rob_bound *bound;
    rob_attack *attack;
    must(ctx, rob_query_create(ctx, model, &query));
    for (int64_t i = 0; i < SERIES; i++)
        must(ctx, rob_query_add(ctx, query, f->x + i * f->steps * f->features, f->steps,
                                -1));
    must(ctx, rob_query_set_ball(ctx, query, ROB_NORM_L2, INFINITY));
    must(ctx, rob_bound_create(ctx, "crown", &bound));
    must(ctx, rob_bound_radius(ctx, bound, query, lower, SERIES));
    must(ctx, rob_attack_create(ctx, "auto", &attack));
    must(ctx, rob_attack_set(ctx, attack, "calls", 60));
    must(ctx, rob_attack_distance(ctx, attack, query, upper, SERIES));
    rob_attack_free(attack);
    rob_bound_free(bound);
    rob_query_free(query);
}

START_TEST(attacked_and_certified)
{
    rob_ctx *ctx;
    rob_model *model;
    fixture f;
    double lower[SERIES], upper[SERIES];
    must(NULL, rob_ctx_create(&ctx));
    read_fixture(EXPORTS[_i].name, &f);
    must(ctx, rob_model_load(ctx, f.path, f.recipe, &model));
    ask(ctx, model, &f, lower, upper);
    for (int k = 0; k < SERIES; k++)
        ck_assert_msg(lower[k] > 0 && lower[k] <= upper[k], "%s: %g %g", f.path, lower[k],
                      upper[k]);
    rob_model_free(model);
    rob_ctx_free(ctx);
}
END_TEST

/* The same weights by both ways: the same gates, so the same radius, up to the order in
 * which two sums of biases are rounded and the resolution of the search, 1 %. */
START_TEST(certificate_of_the_recipe)
{
    rob_ctx *ctx;
    rob_model *a, *b;
    fixture f;
    double lower[2][SERIES], upper[2][SERIES];
    must(NULL, rob_ctx_create(&ctx));
    read_fixture("lstm", &f);
    must(ctx, rob_model_load(ctx, f.path, f.recipe, &a));
    must(ctx, rob_model_load(ctx, "tests/data/model_lstm.safetensors", NULL, &b));
    ask(ctx, a, &f, lower[0], upper[0]);
    ask(ctx, b, &f, lower[1], upper[1]);
    for (int k = 0; k < SERIES; k++)
        ck_assert_msg(fabs(lower[0][k] - lower[1][k]) <= 0.01 * lower[1][k],
                      "series %d: %.9g from ONNX, %.9g from safetensors", k, lower[0][k],
                      lower[1][k]);
    rob_model_free(a);
    rob_model_free(b);
    rob_ctx_free(ctx);
}
END_TEST

/* ---- files made by hand ---------------------------------------------------------- */

typedef struct made {
    rob_text graph, file;
} made;

static const rob_memory *memory_of(rob_ctx *ctx) { return &ctx->memory; }

static void add_slot(rob_ctx *ctx, made *f, uint64_t field, const char *name, int rank,
                     const int64_t *dim)
{
    const rob_memory *m = memory_of(ctx);
    rob_text slot = { 0 }, type = { 0 }, tensor = { 0 }, shape = { 0 };
    for (int k = 0; k < rank; k++) {
        rob_text d = { 0 };
        if (dim[k] < 0) rob_priv_wire_put_text(m, &d, 2, "open");
        else rob_priv_wire_put_word(m, &d, 1, (uint64_t)dim[k]);
        rob_priv_wire_put_message(m, &shape, 1, &d);
    }
    rob_priv_wire_put_word(m, &tensor, 1, ROB_ONNX_FLOAT);
    rob_priv_wire_put_message(m, &tensor, 2, &shape);
    rob_priv_wire_put_message(m, &type, 1, &tensor);
    rob_priv_wire_put_text(m, &slot, 1, name);
    rob_priv_wire_put_message(m, &slot, 2, &type);
    rob_priv_wire_put_message(m, &f->graph, field, &slot);
}

static void add_node(rob_ctx *ctx, made *f, const char *op, const char *a, const char *b,
                     const char *out)
{
    const rob_memory *m = memory_of(ctx);
    rob_text node = { 0 };
    rob_priv_wire_put_text(m, &node, 1, a);
    if (b != NULL) rob_priv_wire_put_text(m, &node, 1, b);
    rob_priv_wire_put_text(m, &node, 2, out);
    rob_priv_wire_put_text(m, &node, 3, "here");
    rob_priv_wire_put_text(m, &node, 4, op);
    rob_priv_wire_put_message(m, &f->graph, 1, &node);
}

/* x (b, 3, 2) by default */
static void begin(rob_ctx *ctx, made *f)
{
    *f = (made){ 0 };
    add_slot(ctx, f, 11, "x", 3, (int64_t[]){ -1, 3, 2 });
    add_slot(ctx, f, 12, "y", 0, NULL);
}

static void end(rob_ctx *ctx, made *f, uint64_t opset)
{
    const rob_memory *m = memory_of(ctx);
    rob_text imports = { 0 };
    rob_priv_wire_put_word(m, &f->file, 1, 8);
    rob_priv_wire_put_word(m, &imports, 2, opset);
    rob_priv_wire_put_message(m, &f->file, 8, &imports);
    rob_priv_wire_put_message(m, &f->file, 7, &f->graph);
}

static void refused(rob_ctx *ctx, made *f, const char *recipe, rob_status code,
                    const char *words)
{
    rob_model *model = (rob_model *)f;
    rob_status status =
        rob_model_load_bytes(ctx, f->file.at, f->file.count, recipe, &model);
    ck_assert_msg(status == code, "%d, not %d (%s): %s", (int)status, (int)code, words,
                  status < 0 ? rob_ctx_error(ctx) : "loaded");
    ck_assert(model == NULL);
    ck_assert_msg(strstr(rob_ctx_error(ctx), words) != NULL, "%s", rob_ctx_error(ctx));
    rob_priv_release(memory_of(ctx), f->file.at);
}

/* One node op(x, b) -> y and one tensor b of int64. */
static void node_with(rob_ctx *ctx, made *f, const char *op, int64_t count,
                      const double *number)
{
    begin(ctx, f);
    rob_priv_wire_put_tensor(memory_of(ctx), &f->graph, 5, "b", ROB_ONNX_INT64, 1, &count,
                             number);
    add_node(ctx, f, op, "x", "b", "y");
    end(ctx, f, 17);
}

START_TEST(refused_in_words)
{
    rob_ctx *ctx;
    made f;
    must(NULL, rob_ctx_create(&ctx));
    begin(ctx, &f), add_node(ctx, &f, "Relu", "x", NULL, "y"), end(ctx, &f, 26);
    refused(ctx, &f, "onnx layout=btd", ROB_EUNSUPPORTED, "opset 26; 6 to 25");
    begin(ctx, &f), add_node(ctx, &f, "Relu", "x", NULL, "y"), end(ctx, &f, 5);
    refused(ctx, &f, "onnx layout=btd", ROB_EUNSUPPORTED, "opset 5; 6 to 25");
    begin(ctx, &f), add_node(ctx, &f, "Loop", "x", NULL, "y"), end(ctx, &f, 17);
    refused(ctx, &f, "onnx layout=btd", ROB_EUNSUPPORTED, "'here' (Loop, opset 17)");
    begin(ctx, &f), add_node(ctx, &f, "Floor", "x", NULL, "y"), end(ctx, &f, 17);
    refused(ctx, &f, "onnx layout=btd", ROB_EUNSUPPORTED, "'here' (Floor, opset 17)");
    begin(ctx, &f), add_node(ctx, &f, "Relu", "x", NULL, "y"), end(ctx, &f, 17);
    refused(ctx, &f, NULL, ROB_EFORMAT, "'x' (open, 3, 2); write which axis");
    begin(ctx, &f), add_node(ctx, &f, "Relu", "x", NULL, "y"), end(ctx, &f, 17);
    refused(ctx, &f, "onnx", ROB_EARGUMENT, "does not say layout=");
    begin(ctx, &f), add_node(ctx, &f, "Relu", "x", NULL, "y"), end(ctx, &f, 17);
    refused(ctx, &f, "lstm readout=last", ROB_EARGUMENT, "begins with onnx");
    begin(ctx, &f), add_node(ctx, &f, "Relu", "x", NULL, "y"), end(ctx, &f, 17);
    refused(ctx, &f, "onnx layout=bt", ROB_EFORMAT, "has 2 axes");
    begin(ctx, &f), add_node(ctx, &f, "Relu", "x", NULL, "y"), end(ctx, &f, 17);
    refused(ctx, &f, "onnx layout=bxd", ROB_EARGUMENT, "a letter an axis");
    begin(ctx, &f), add_node(ctx, &f, "Relu", "x", NULL, "y"), end(ctx, &f, 17);
    refused(ctx, &f, "onnx layout=btd layout=btd", ROB_EARGUMENT, "stands twice");
    begin(ctx, &f), add_node(ctx, &f, "Relu", "x", NULL, "y"), end(ctx, &f, 17);
    refused(ctx, &f, "onnx layout=btd classes=a,b", ROB_ESHAPE, "names 2 classes");
    begin(ctx, &f), add_node(ctx, &f, "Relu", "x", NULL, "y"), end(ctx, &f, 17);
    refused(ctx, &f, "onnx layout=btd output=z", ROB_EARGUMENT, "has no output 'z'");
    begin(ctx, &f), add_node(ctx, &f, "Softmax", "x", NULL, "y"), end(ctx, &f, 17);
    refused(ctx, &f, "onnx layout=btd outputs=7", ROB_EFORMAT, "has 6 outputs");
    begin(ctx, &f), add_slot(ctx, &f, 11, "z", 1, (int64_t[]){ 3 });
    add_node(ctx, &f, "Add", "x", "z", "y"), end(ctx, &f, 17);
    refused(ctx, &f, "onnx layout=btd", ROB_EUNSUPPORTED, "inputs 'x' and 'z'");
    begin(ctx, &f), add_node(ctx, &f, "Relu", "x", NULL, "y"), end(ctx, &f, 17);
    f.file.count -= 3;
    refused(ctx, &f, "onnx layout=btd", ROB_EFORMAT, "cut short");
    rob_ctx_free(ctx);
}
END_TEST

START_TEST(lies_are_found)
{
    rob_ctx *ctx;
    made f;
    const double most = 0x1p40, index = 3, shape[3] = { 1 << 20, 1 << 20, 1 };
    const double few[2] = { 5, -1 }, size[2] = { 1, 1 };
    must(NULL, rob_ctx_create(&ctx));
    begin(ctx, &f), add_node(ctx, &f, "Add", "z", "x", "y");
    add_node(ctx, &f, "Relu", "y", NULL, "z"), end(ctx, &f, 17);
    refused(ctx, &f, "onnx layout=btd", ROB_EFORMAT, "'z' is used before");
    begin(ctx, &f), add_node(ctx, &f, "Relu", "x", NULL, "y");
    add_node(ctx, &f, "Relu", "x", NULL, "y"), end(ctx, &f, 17);
    refused(ctx, &f, "onnx layout=btd", ROB_EFORMAT, "'y' is given twice");
    node_with(ctx, &f, "Expand", 3, shape);
    refused(ctx, &f, "onnx layout=btd", ROB_EFORMAT, "do not broadcast");
    node_with(ctx, &f, "Reshape", 2, few);
    refused(ctx, &f, "onnx layout=btd", ROB_EFORMAT, "do not make");
    node_with(ctx, &f, "Gather", 1, &index);
    refused(ctx, &f, "onnx layout=btd", ROB_EFORMAT, "index 3 of an axis of 2");
    node_with(ctx, &f, "Tile", 1, &most);
    refused(ctx, &f, "onnx layout=btd", ROB_EFORMAT, "repeats");
    node_with(ctx, &f, "Squeeze", 2, size);
    refused(ctx, &f, "onnx layout=btd", ROB_EFORMAT, "stands twice");
    begin(ctx, &f);
    rob_priv_wire_put_tensor(memory_of(ctx), &f.graph, 5, "n", ROB_ONNX_INT64, 1,
                             (int64_t[]){ 1 }, &most);
    add_node(ctx, &f, "ConstantOfShape", "n", NULL, "c");
    add_node(ctx, &f, "Add", "x", "c", "y"), end(ctx, &f, 17);
    refused(ctx, &f, "onnx layout=btd", ROB_EFORMAT, "2^28");
    rob_ctx_free(ctx);
}
END_TEST

/* A tensor whose dims promise 2^40 elements or more than there are; one whose numbers are
 * in another file. */
START_TEST(lies_of_tensors)
{
    rob_ctx *ctx;
    made f;
    must(NULL, rob_ctx_create(&ctx));
    const rob_memory *m = memory_of(ctx);
    for (int k = 0; k < 4; k++) {
        rob_text t = { 0 };
        const uint64_t dims[4] = { (uint64_t)1 << 40, 3, (uint64_t)1 << 62, 1 };
        const char *words[4] = { "too many elements", "by its data", "too many elements",
                                 "another file" };
        begin(ctx, &f);
        rob_priv_wire_put_word(m, &t, 1, dims[k]);
        if (k == 2) rob_priv_wire_put_word(m, &t, 1, 8);
        rob_priv_wire_put_word(m, &t, 2, ROB_ONNX_FLOAT);
        rob_priv_wire_put_text(m, &t, 8, "b");
        rob_priv_wire_put_bytes(m, &t, 9, "1234", 4);
        if (k == 3) rob_priv_wire_put_word(m, &t, 14, 1);
        rob_priv_wire_put_message(m, &f.graph, 5, &t);
        add_node(ctx, &f, "Add", "x", "b", "y"), end(ctx, &f, 17);
        refused(ctx, &f, "onnx layout=btd", ROB_EFORMAT, words[k]);
    }
    rob_ctx_free(ctx);
}
END_TEST

/* The mean over the batch: a series' output depends on its neighbour. */
START_TEST(mixed_series_are_refused)
{
    rob_ctx *ctx;
    made f;
    rob_model *model;
    const double axis = 0;
    must(NULL, rob_ctx_create(&ctx));
    begin(ctx, &f);
    rob_priv_wire_put_tensor(memory_of(ctx), &f.graph, 5, "a", ROB_ONNX_INT64, 1,
                             (int64_t[]){ 1 }, &axis);
    add_node(ctx, &f, "ReduceSum", "x", "a", "s");
    add_node(ctx, &f, "Add", "x", "s", "y"), end(ctx, &f, 17);
    refused(ctx, &f, "onnx layout=btd", ROB_EFORMAT, "changes with the series beside it");
    begin(ctx, &f), add_node(ctx, &f, "Relu", "x", NULL, "y"), end(ctx, &f, 17);
    must(ctx, rob_model_load_bytes(ctx, f.file.at, f.file.count, "onnx layout=btd", &model));
    rob_priv_release(memory_of(ctx), f.file.at);
    rob_model_free(model);
    rob_ctx_free(ctx);
}
END_TEST

/* ---- lengths, memory ------------------------------------------------------------- */

START_TEST(open_and_fixed_steps)
{
    rob_ctx *ctx;
    rob_model *open, *fixed;
    fixture f;
    double x[40 * 2] = { 0.5 }, y[LOGITS];
    int64_t steps;
    must(NULL, rob_ctx_create(&ctx));
    read_fixture("lstm_two", &f);
    must(ctx, rob_model_load(ctx, f.path, f.recipe, &open));
    must(ctx, rob_model_shape(ctx, open, &steps, NULL, NULL));
    ck_assert_int_eq(steps, 0);
    must(ctx, rob_model_predict(ctx, open, x, 40, y, LOGITS));
    must(ctx, rob_model_predict(ctx, open, x, 1, y, LOGITS));
    read_fixture("rnn_state", &f);
    must(ctx, rob_model_load(ctx, f.path, f.recipe, &fixed));
    must(ctx, rob_model_shape(ctx, fixed, &steps, NULL, NULL));
    ck_assert_int_eq(steps, 9);
    ck_assert_int_eq(rob_model_predict(ctx, fixed, x, 40, y, LOGITS), ROB_ESHAPE);
    rob_model_free(open);
    rob_model_free(fixed);
    rob_ctx_free(ctx);
}
END_TEST

typedef struct budget {
    int64_t left, in_use;
} budget;

static void *allocate(void *user, int64_t bytes)
{
    budget *b = user;
    if (b->left-- <= 0) return NULL;
    b->in_use++;
    return malloc((size_t)bytes);
}

static void release(void *user, void *p)
{
    if (p != NULL) ((budget *)user)->in_use--;
    free(p);
}

/* Every `stride`-th allocation fails in turn, from the first on. */
START_TEST(any_allocation_may_fail)
{
    static const char *const NAMES[] = { "lstm", "conv", "encoder_first" };
    rob_ctx *ctx;
    rob_model *model = NULL;
    fixture f;
    budget b = { INT64_MAX, 0 };
    rob_status status = ROB_EMEMORY;
    read_fixture(NAMES[_i], &f);
    must(NULL, rob_ctx_create_with(allocate, release, &b, &ctx));
    int64_t before = b.in_use;
    for (int64_t k = 0; status == ROB_EMEMORY; k += 1 + k / 40) {
        b.left = k;
        status = rob_model_load(ctx, f.path, f.recipe, &model);
        ck_assert_msg(status == ROB_EMEMORY || status == ROB_OK, "%lld: %s", (long long)k,
                      rob_ctx_error(ctx));
        ck_assert((model == NULL) == (status < ROB_OK));
        if (status < ROB_OK) ck_assert_int_eq(b.in_use, before);
    }
    b.left = INT64_MAX;
    rob_model_free(model);
    rob_ctx_free(ctx);
    ck_assert_int_eq(b.in_use, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("onnx");
    TCase *c = tcase_create("onnx");
    tcase_add_loop_test(c, logits_of_torch, 0, EXPORT_COUNT);
    tcase_add_loop_test(c, attacked_and_certified, 0, EXPORT_COUNT);
    tcase_add_test(c, certificate_of_the_recipe);
    tcase_add_test(c, refused_in_words);
    tcase_add_test(c, lies_are_found);
    tcase_add_test(c, lies_of_tensors);
    tcase_add_test(c, mixed_series_are_refused);
    tcase_add_test(c, open_and_fixed_steps);
    tcase_add_loop_test(c, any_allocation_may_fail, 0, 3);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
