/* onnx.c -- a model out of an ONNX file.
 *
 * The file is kept as lists of nodes and written anew into every graph that is asked for, at
 * that graph's number of steps and series; so dims that the file leaves open take any value.
 * A file says what it computes, not which axis of its input is time: that is the word
 * layout= of the recipe, a letter an axis (b series, t steps, d features, 1 nothing).
 * Where the file fixes the number of series, or has no axis for them, the graph holds one
 * copy a series; R series fixed are one series R times.
 *
 * At load every needed node is written once, so an operator that is not read is refused
 * then; and one series alone must have the outputs it has beside another.
 */
#include "model/onnx.h"
#include "model/graph.h"
#include "run/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct imported {
    rob_onnx file;
    rob_onnx_made made;
    const rob_onnx_slot *input;
    int32_t output; /* value number */
    char layout[ROB_ONNX_RANK + 1], name[128];
    int64_t steps, features, outputs; /* steps 0: any */
    int64_t series; /* 0: any; else what the file fixes, 1 without an axis */
    double shift, scale;
} imported;

/* ---- writing the graph ----------------------------------------------------------- */

/* (T, R, D) in the file's layout */
static rob_value given(rob_machine *m, const imported *f, rob_id x)
{
    rob_shape s = rob_priv_shape(m->g, x);
    const int64_t size[3] = { s.dim[0], s.dim[1], s.dim[2] };
    int64_t dim[ROB_ONNX_RANK];
    int32_t order[3], n = 0, rank = (int32_t)strlen(f->layout);
    bool used[3] = { false, false, false };
    for (int32_t k = 0; k < rank; k++) {
        const char *at = strchr("tbd", f->layout[k]);
        dim[k] = at == NULL ? 1 : size[at - "tbd"];
    }
    for (int32_t k = 0; k < rank; k++)
        for (int32_t i = 0; i < 3; i++)
            if (f->layout[k] == "tbd"[i]) {
                order[n++] = i;
                used[i] = true;
            }
    for (int32_t i = 0; i < 3; i++)
        if (!used[i]) order[n++] = i;
    rob_value v = o_of(m, x, f->input->dtype, 3, size);
    v = o_permute(m, &v, order);
    return o_reshape(m, &v, rank, dim);
}

/* Dims of 1 in front, then the series, then L numbers. */
static rob_id taken(rob_machine *m, const imported *f, int64_t rows)
{
    const rob_value *v = &m->env[f->output];
    int32_t k = 0;
    if (o_failed(m)) return ROB_NONE;
    if (!v->there || v->size == 0 || v->size % rows != 0) {
        o_fail(m, ROB_EFORMAT, "the output has %lld numbers for %lld series",
               v->there ? (long long)v->size : 0LL, (long long)rows);
        return ROB_NONE;
    }
    while (k < v->rank && v->dim[k] == 1 && rows > 1) k++;
    if (rows > 1 && (k == v->rank || v->dim[k] != rows)) {
        o_fail(m, ROB_EFORMAT,
               "the first axis of the output has %lld elements for %lld series; it must "
               "be the series'",
               k < v->rank ? (long long)v->dim[k] : 1LL, (long long)rows);
        return ROB_NONE;
    }
    return g_reshape(m->g, o_id(m, v), rob_priv_shape2(rows, v->size / rows));
}

static rob_id write_graph(imported *f, rob_graph *g, rob_id x, bool learn)
{
    rob_machine m;
    rob_id y = ROB_NONE;
    if (rob_priv_graph_failed(g)) return ROB_NONE;
    int64_t rows = rob_priv_shape(g, x).dim[1];
    if (rob_priv_onnx_open(&m, rob_priv_graph_memory(g), &f->file, &f->made, g, learn)
        == ROB_OK) {
        m.env[f->input->value] = given(&m, f, x);
        rob_priv_onnx_walk(&m);
        y = taken(&m, f, rows);
    }
    rob_priv_onnx_close(&m);
    return y;
}

/* One series, or as many as there are when the file leaves that open. */
static rob_id emit_some(const void *user, rob_graph *g, rob_id x)
{
    imported *f = (imported *)user;
    rob_shape s = rob_priv_shape(g, x);
    if (f->series > 1) {
        s.dim[1] = f->series;
        x = g_expand(g, x, s);
    }
    rob_id y = write_graph(f, g, x, false);
    return f->series > 1 && y != ROB_NONE ? g_slice(g, y, 0, 0, 1) : y;
}

static rob_id emit_file(const rob_model *model, rob_graph *g, rob_id x, rob_id mask)
{
    const imported *f = model->user;
    if (mask != ROB_NONE)
        return rob_priv_graph_fail(g, ROB_EUNSUPPORTED,
                                   "series of different lengths in one query; a model "
                                   "from ONNX takes one length at a time");
    if (f->shift != 0.0 || f->scale != 1.0)
        x = g_affine(g, x, 1.0 / f->scale, -f->shift / f->scale);
    if (f->series == 0) return emit_some(f, g, x);
    return rob_priv_graph_rows(g, x, 1, emit_some, f);
}

static void free_imported(const rob_memory *m, void *user)
{
    imported *f = user;
    if (f == NULL) return;
    rob_priv_onnx_unmake(m, &f->file, &f->made);
    rob_priv_onnx_clear(&f->file);
    rob_priv_release(m, f);
}

/* ---- input, output, layout ------------------------------------------------------- */

static bool has_initializer(const rob_onnx *file, int32_t value)
{
    for (int32_t k = 0; k < file->tensors; k++)
        if (file->tensor_value[k] == value) return true;
    return false;
}

static void tell_input(const rob_onnx *file, const rob_onnx_slot *s, char *out,
                       size_t capacity)
{
    size_t n = (size_t)snprintf(out, capacity, "'%.40s' (", file->value[s->value]);
    for (int32_t k = 0; k < s->rank && n < capacity; k++) {
        const char *comma = k > 0 ? ", " : "";
        int more = s->dim[k] >= 0
                       ? snprintf(out + n, capacity - n, "%s%lld", comma,
                                  (long long)s->dim[k])
                       : snprintf(out + n, capacity - n, "%s%.20s", comma,
                                  s->symbol[k][0] ? s->symbol[k] : "?");
        n += more > 0 ? (size_t)more : 0;
    }
    if (n < capacity) snprintf(out + n, capacity - n, ")");
}

static rob_status find_input(rob_ctx *ctx, const char *path, imported *f)
{
    rob_status status = ROB_OK;
    const rob_onnx *file = &f->file;
    for (int32_t k = 0; k < file->inputs; k++) {
        const rob_onnx_slot *s = &file->input[k];
        if (s->value < 0 || has_initializer(file, s->value)) continue;
        CHECK(f->input == NULL, ctx, ROB_EUNSUPPORTED,
              "'%.150s' has inputs '%.60s' and '%.60s'; a model of one is read", path,
              file->value[f->input->value], file->value[s->value]);
        f->input = s;
    }
    CHECK(f->input != NULL, ctx, ROB_EFORMAT, "'%.150s' has no input", path);
    int32_t dtype = f->input->dtype;
    CHECK(dtype == ROB_ONNX_FLOAT || dtype == ROB_ONNX_DOUBLE || dtype == ROB_ONNX_HALF
              || dtype == ROB_ONNX_BFLOAT,
          ctx, ROB_EUNSUPPORTED,
          "'%.150s': input '%.60s' has element type %d; floating types are read", path,
          file->value[f->input->value], (int)dtype);
done:
    return status;
}

static rob_status find_output(rob_ctx *ctx, const char *path, const char *name,
                              imported *f)
{
    const rob_onnx *file = &f->file;
    const char *first = "";
    for (int32_t k = 0; k < file->outputs; k++) {
        int32_t v = file->output[k].value;
        if (v < 0) continue;
        if (!first[0]) first = file->value[v];
        if (name[0] && strcmp(file->value[v], name) != 0) continue;
        f->output = v;
        return ROB_OK;
    }
    return rob_priv_fail(ctx, name[0] ? ROB_EARGUMENT : ROB_EFORMAT,
                         "'%.150s' has no output '%.60s'; its first is '%.60s'", path,
                         name, first);
}

static rob_status no_recipe(rob_ctx *ctx, const char *path, const imported *f)
{
    char input[256];
    tell_input(&f->file, f->input, input, sizeof input);
    return rob_priv_fail(ctx, ROB_EFORMAT,
                         "'%.100s' carries no recipe. Its input is %s; write which axis "
                         "is which, such as \"onnx layout=btd\": b series, t steps, d "
                         "features, 1 nothing",
                         path, input);
}

static rob_status check_layout(rob_ctx *ctx, const char *path, imported *f,
                               int64_t features)
{
    rob_status status = ROB_OK;
    char input[256];
    const rob_onnx_slot *s = f->input;
    int32_t seen[3] = { 0 };
    f->features = 1;
    f->series = 1;
    f->steps = 1;
    tell_input(&f->file, s, input, sizeof input);
    CHECK((size_t)s->rank == strlen(f->layout), ctx, ROB_EFORMAT,
          "'%.100s': layout=%s has %d axes, the input %s %d", path, f->layout,
          (int)strlen(f->layout), input, (int)s->rank);
    for (int32_t k = 0; k < s->rank; k++) {
        const char *at = strchr("tbd", f->layout[k]);
        int64_t open = s->dim[k] < 0 ? 0 : s->dim[k];
        if (at == NULL)
            CHECK(open <= 1, ctx, ROB_EFORMAT,
                  "'%.100s': layout=%s, but axis %d of %s is not 1", path, f->layout,
                  (int)k, input);
        else {
            seen[at - "tbd"]++;
            *(at[0] == 't' ? &f->steps : at[0] == 'b' ? &f->series : &f->features) =
                open;
        }
        CHECK(s->dim[k] != 0, ctx, ROB_EFORMAT, "'%.100s': an axis of %s is 0", path,
              input);
    }
    if (f->features == 0) f->features = features;
    CHECK(f->features > 0, ctx, ROB_EFORMAT,
          "'%.100s': the input %s does not say how many features; write features=", path,
          input);
    CHECK(features == 0 || features == f->features, ctx, ROB_EFORMAT,
          "'%.100s': the recipe says features=%lld, the input is %s", path,
          (long long)features, input);
    CHECK(seen[0] <= 1 && seen[1] <= 1 && seen[2] <= 1, ctx, ROB_EARGUMENT,
          "layout=%s names an axis twice", f->layout);
done:
    return status;
}

/* ---- trying it ------------------------------------------------------------------- */

static rob_status try_steps(rob_ctx *ctx, imported *f, int64_t steps, int64_t rows)
{
    rob_status status = ROB_OK;
    rob_graph *g = NULL;
    TRY(rob_priv_graph_create(ctx, &g));
    rob_id x = rob_priv_input(g, rob_priv_shape3(steps, rows, f->features));
    rob_id y = write_graph(f, g, x, true);
    TRY(rob_priv_graph_status(ctx, g));
    f->outputs = rob_priv_shape(g, y).dim[1];
done:
    rob_priv_graph_free(g);
    return status;
}

/* A number of steps that the file takes; learns the number of outputs. */
static rob_status try_file(rob_ctx *ctx, imported *f, int64_t *steps)
{
    /* more for windows that are long, fewer for tables of positions that are short */
    static const int64_t lengths[] = { 16, 256, 8, 4, 2, 1 };
    rob_status status = ROB_OK;
    int64_t rows = f->series == 0 ? 2 : f->series;
    *steps = f->steps;
    if (f->steps > 0) return try_steps(ctx, f, f->steps, rows);
    char first[sizeof ctx->error] = "";
    for (int64_t k = 0; k < COUNT_OF(lengths); k++) {
        *steps = lengths[k];
        rob_status again = try_steps(ctx, f, *steps, rows);
        if (again != ROB_EFORMAT) return again;
        if (k == 0) {
            status = again;
            memcpy(first, ctx->error, sizeof first);
        }
    }
    memcpy(ctx->error, first, sizeof first);
    return status;
}

/* One series alone and beside another: the same outputs, to rounding. */
static rob_status check_rows(rob_ctx *ctx, const char *path, const rob_model *model,
                             int64_t steps)
{
    rob_status status = ROB_OK;
    const imported *f = model->user;
    rob_graph *g = NULL;
    rob_plan *plan = NULL;
    rob_work *work = NULL;
    int64_t n = steps * f->features, outputs = f->outputs;
    rob_random random = rob_priv_random(1, 0);
    double *x = rob_priv_allocate(&ctx->memory, 3 * n + 3 * outputs, 8), size = 0;
    if (x == NULL) return rob_priv_no_memory(ctx);
    double *pair = x + n, *alone = x + 3 * n, *beside = alone + outputs;
    for (int64_t i = 0; i < n; i++) x[i] = f->shift + f->scale * rob_priv_normal(&random);
    for (int64_t i = 0; i < n; i++) {
        pair[i / f->features * 2 * f->features + i % f->features] = x[i];
        pair[(i / f->features * 2 + 1) * f->features + i % f->features] = 1 - x[i];
    }
    TRY(rob_priv_graph_create(ctx, &g));
    rob_id in = rob_priv_input(g, rob_priv_shape3(steps, 2, f->features));
    rob_id out = rob_priv_model_emit(model, g, in, ROB_NONE, NULL);
    TRY(rob_priv_graph_status(ctx, g));
    TRY(rob_priv_plan_create(ctx, g, ROB_F64, &out, NULL, 1, &plan));
    TRY(rob_priv_work_create(ctx, plan, &work));
    rob_priv_work_set(work, in, pair);
    rob_priv_run(work, 0);
    rob_priv_work_get(work, out, beside);
    rob_priv_graph_free(g);
    g = NULL;
    rob_priv_work_free(work);
    rob_priv_plan_free(plan);
    work = NULL;
    plan = NULL;
    TRY(rob_priv_graph_create(ctx, &g));
    in = rob_priv_input(g, rob_priv_shape3(steps, 1, f->features));
    out = rob_priv_model_emit(model, g, in, ROB_NONE, NULL);
    TRY(rob_priv_graph_status(ctx, g));
    TRY(rob_priv_plan_create(ctx, g, ROB_F64, &out, NULL, 1, &plan));
    TRY(rob_priv_work_create(ctx, plan, &work));
    rob_priv_work_set(work, in, x);
    rob_priv_run(work, 0);
    rob_priv_work_get(work, out, alone);
    for (int64_t k = 0; k < outputs; k++) size = fmax(size, fabs(alone[k]));
    for (int64_t k = 0; k < outputs; k++)
        CHECK(fabs(alone[k] - beside[k]) <= 1e-6 * size || isnan(alone[k]), ctx,
              ROB_EFORMAT,
              "'%.150s': output %lld of a series changes with the series beside it: %g, "
              "alone %g",
              path, (long long)k, beside[k], alone[k]);
done:
    rob_priv_work_free(work);
    rob_priv_plan_free(plan);
    rob_priv_graph_free(g);
    rob_priv_release(&ctx->memory, x);
    return status;
}

/* ---- loading --------------------------------------------------------------------- */

static int64_t classes_named(const char *classes)
{
    int64_t count = classes[0] ? 1 : 0;
    for (; *classes; classes++) count += *classes == ',';
    return count;
}

static rob_status read_recipe(rob_ctx *ctx, const char *path, const char *words,
                              imported *f, rob_recipe *r)
{
    rob_status status = ROB_OK;
    *r = (rob_recipe){ .kind = ROB_KIND_GRAPH, .input_scale = 1.0 };
    TRY(rob_priv_onnx_words(ctx, words, r));
    strcpy(f->layout, r->layout);
    f->shift = r->input_shift;
    f->scale = r->input_scale;
    TRY(find_output(ctx, path, r->head, f));
    TRY(check_layout(ctx, path, f, r->features));
done:
    return status;
}

static rob_status finish(rob_ctx *ctx, const char *path, const rob_recipe *r,
                         imported *f, int64_t steps, rob_model **out)
{
    rob_status status = ROB_OK;
    rob_model *model = NULL;
    int64_t named = classes_named(r->classes);
    CHECK(r->outputs == 0 || r->outputs == f->outputs, ctx, ROB_EFORMAT,
          "'%.150s' has %lld outputs, the recipe says %lld", path,
          (long long)f->outputs, (long long)r->outputs);
    CHECK(named == 0 || named == f->outputs, ctx, ROB_ESHAPE,
          "'%.150s' has %lld outputs, the recipe names %lld classes", path,
          (long long)f->outputs, (long long)named);
    TRY(rob_priv_model_custom(ctx, f->features, f->outputs, emit_file, f, &model));
    model->recipe.input_shift = f->shift;
    model->recipe.input_scale = f->scale;
    model->recipe.dtype = f->input->dtype == ROB_ONNX_DOUBLE ? ROB_F64 : ROB_F32;
    model->recipe.forecast = r->forecast;
    strcpy(model->recipe.classes, r->classes);
    strcpy(model->recipe.head, r->head);
    strcpy(model->recipe.layout, f->layout);
    model->steps = f->steps;
    if (f->series == 0) TRY(check_rows(ctx, path, model, steps));
    model->release = free_imported;
    *out = model;
    model = NULL;
done:
    rob_model_free(model);
    return status;
}

rob_status rob_priv_onnx_load(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                              const char *path, const char *recipe, rob_model **out)
{
    rob_status status = ROB_OK;
    rob_recipe r;
    int64_t steps;
    imported *f = rob_priv_allocate(&ctx->memory, 1, (int64_t)sizeof *f);
    *out = NULL;
    if (f == NULL) return rob_priv_no_memory(ctx);
    TRY(rob_priv_onnx_parse(ctx, bytes, count, path, &f->file));
    TRY(find_input(ctx, path, f));
    if (recipe == NULL) recipe = rob_priv_onnx_note(&f->file, "robust.recipe");
    if (recipe == NULL) {
        status = no_recipe(ctx, path, f);
        goto done;
    }
    TRY(read_recipe(ctx, path, recipe, f, &r));
    TRY(rob_priv_onnx_make(ctx, &f->file, &f->made));
    rob_priv_onnx_need(&f->file, &f->output, 1, f->made.needed);
    TRY(try_file(ctx, f, &steps));
    TRY(finish(ctx, path, &r, f, steps, out));
    f = NULL;
done:
    free_imported(&ctx->memory, f);
    return status;
}
