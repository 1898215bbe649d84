/* onnx_run.c -- the nodes of a file, one after the other, written into a graph.
 *
 * A node whose inputs are all numbers is folded: written into a graph of its own, which is
 * run in float64, and its outputs are numbers again. So shapes and axes that a file
 * computes are known when they are needed, and every other node is a node of the graph.
 * What comes from the file alone (weights rearranged) is folded once, when it is loaded.
 *
 * ONNX demands that nodes stand in the order of their computation; a value that nothing
 * before gives is an error, so a graph with a cycle is refused without looking for it.
 */
#include "model/onnx.h"
#include "run/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FOLDS = 64, NODES = 1 << 21 };

/* ---- failing --------------------------------------------------------------------- */

bool o_failed(const rob_machine *m) { return rob_priv_graph_failed(m->g); }

static void fail_as(rob_machine *m, rob_graph *g, rob_status code, const char *text)
{
    const rob_onnx_node *n = m->node;
    if (n == NULL) {
        rob_priv_graph_fail(g, code, "%s", text);
        return;
    }
    const char *name = n->name[0]                     ? n->name
                       : n->outs > 0 && n->out[0] >= 0 ? m->file->value[n->out[0]]
                                                       : "";
    rob_priv_graph_fail(g, code, "node '%.60s' (%.40s, opset %lld): %s", name, n->op,
                        (long long)m->file->opset, text);
}

void o_fail(rob_machine *m, rob_status code, const char *format, ...)
{
    char text[200];
    va_list list;
    if (o_failed(m)) return;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    fail_as(m, m->g, code, text);
}

/* A failure that a builder of the graph latched gets the node's name. */
static void name_failure(rob_machine *m)
{
    if (!o_failed(m)) return;
    rob_status code = rob_priv_graph_status(&m->ctx, m->g);
    if (strncmp(m->ctx.error, "node '", 6) == 0) return;
    rob_priv_graph_forgive(m->g);
    if (code == ROB_ESHAPE || code == ROB_EARGUMENT) code = ROB_EFORMAT;
    fail_as(m, m->g, code, m->ctx.error);
}

/* ---- tensors that live as long as the machine, or the file ----------------------- */

static bool keep_in(const rob_memory *memory, rob_tensor ***list, int64_t *count,
                    int64_t *room, rob_tensor *t)
{
    if (*count == *room) {
        int64_t more = *room > 0 ? 2 * *room : 64;
        void *grown = rob_priv_grow(memory, *list, *count, more, (int64_t)sizeof **list);
        if (grown == NULL) {
            rob_priv_tensor_free(t);
            return false;
        }
        *list = grown;
        *room = more;
    }
    (*list)[(*count)++] = t;
    return true;
}

bool o_keep(rob_machine *m, rob_tensor *t)
{
    rob_onnx_made *made = m->made;
    if (m->learn)
        return keep_in(&m->ctx.memory, &made->kept, &made->keeps, &made->keep_room, t);
    return keep_in(&m->ctx.memory, &m->kept, &m->keeps, &m->keep_room, t);
}

/* ---- attributes ------------------------------------------------------------------ */

int64_t o_opset(const rob_machine *m) { return m->file->opset; }

int64_t o_int(const rob_machine *m, const char *name, int64_t otherwise)
{
    const rob_onnx_attr *a = rob_priv_onnx_attr(m->node, name);
    return a != NULL && a->type == ROB_ONNX_ATTR_INT ? a->i : otherwise;
}

double o_float(const rob_machine *m, const char *name, double otherwise)
{
    const rob_onnx_attr *a = rob_priv_onnx_attr(m->node, name);
    return a != NULL && a->type == ROB_ONNX_ATTR_FLOAT ? a->f : otherwise;
}

const char *o_text(const rob_machine *m, const char *name, const char *otherwise)
{
    const rob_onnx_attr *a = rob_priv_onnx_attr(m->node, name);
    return a != NULL && a->type == ROB_ONNX_ATTR_STRING ? a->s : otherwise;
}

int64_t o_ints(rob_machine *m, const char *name, const rob_value *v, int64_t *out,
               int64_t capacity)
{
    const rob_onnx_attr *a = rob_priv_onnx_attr(m->node, name);
    bool given = v != NULL && v->there;
    if (!given && (a == NULL || a->type != ROB_ONNX_ATTR_INTS)) return -1;
    int64_t count = given ? v->size : a->count;
    if (given && !o_known(v)) {
        o_fail(m, ROB_EUNSUPPORTED, "%s depends on the model's input; it must be a "
                                    "constant",
               name);
        return 0;
    }
    if (count > capacity) {
        o_fail(m, ROB_EFORMAT, "%s has %lld numbers, %lld at most", name,
               (long long)count, (long long)capacity);
        return 0;
    }
    for (int64_t k = 0; k < count; k++) out[k] = given ? o_integer(v, k) : a->ints[k];
    return count;
}

/* ---- folding --------------------------------------------------------------------- */

rob_folding o_fold(rob_machine *m)
{
    rob_folding fold = { m->g };
    rob_graph *inner = NULL;
    if (o_failed(m)) return fold;
    if (rob_priv_graph_create(&m->ctx, &inner) < ROB_OK)
        rob_priv_graph_fail(m->g, ROB_EMEMORY, "out of memory");
    else m->g = inner;
    return fold;
}

static bool fits_budget(rob_machine *m)
{
    for (rob_id id = 0; id < rob_priv_graph_count(m->g); id++) {
        rob_node n = rob_priv_node(m->g, id);
        for (int32_t k = 0; k < n.outs; k++) {
            rob_shape s = rob_priv_shape_of_output(m->g, id, k);
            m->budget -= rob_priv_shape_size(&s);
        }
    }
    return m->budget >= 0;
}

static bool is_float(const double *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (x[i] == x[i] && (double)(float)x[i] != x[i]) return false;
    return true;
}

/* In float32 where that says the same numbers. */
static void store(rob_machine *m, rob_work *work, rob_value *v)
{
    const double *x = rob_priv_work_at(work, v->id);
    rob_tensor *t = NULL;
    bool small = is_float(x, v->size);
    if (rob_priv_tensor_create(&m->ctx.memory, small ? ROB_F32 : ROB_F64, o_shape(v), &t)
            < ROB_OK
        || !o_keep(m, t)) {
        rob_priv_graph_fail(m->g, ROB_EMEMORY, "out of memory");
        return;
    }
    if (!small) memcpy(t->data, x, (size_t)v->size * sizeof *x);
    for (int64_t i = 0; small && i < v->size; i++) ((float *)t->data)[i] = (float)x[i];
    v->id = ROB_NONE;
    v->number = t;
}

static rob_status compute(rob_machine *m, rob_value *value, int32_t count)
{
    rob_status status = ROB_OK;
    rob_id want[FOLDS];
    int32_t wants = 0;
    rob_plan *plan = NULL;
    rob_work *work = NULL;
    for (int32_t k = 0; k < count; k++) {
        int32_t same = 0;
        if (!value[k].there || value[k].id == ROB_NONE) continue;
        while (same < wants && want[same] != value[k].id) same++;
        want[same] = value[k].id;
        wants += same == wants;
    }
    TRY(rob_priv_graph_status(&m->ctx, m->g));
    if (wants == 0) return ROB_OK;
    CHECK(fits_budget(m), &m->ctx, ROB_EFORMAT,
          "constants of the file unfold to too many numbers");
    TRY(rob_priv_plan_create(&m->ctx, m->g, ROB_F64, want, NULL, wants, &plan));
    TRY(rob_priv_work_create(&m->ctx, plan, &work));
    rob_priv_run(work, 0);
    for (int32_t k = 0; k < count; k++)
        if (value[k].there && value[k].id != ROB_NONE) store(m, work, &value[k]);
    status = rob_priv_graph_status(&m->ctx, m->g);
done:
    rob_priv_work_free(work);
    rob_priv_plan_free(plan);
    return status;
}

void o_unfold(rob_machine *m, rob_folding fold, rob_value *value, int32_t count)
{
    if (m->g == fold.outer) return;
    rob_status status = compute(m, value, count < FOLDS ? count : FOLDS);
    rob_priv_graph_free(m->g);
    m->g = fold.outer;
    if (status >= ROB_OK) return;
    if (strncmp(m->ctx.error, "node '", 6) == 0)
        rob_priv_graph_fail(m->g, status, "%s", m->ctx.error);
    else o_fail(m, status, "%s", m->ctx.error);
}

/* ---- one node -------------------------------------------------------------------- */

static const rob_onnx_entry *find(const char *op)
{
    const rob_onnx_entry *const tables[] = {
        rob_priv_onnx_each,     rob_priv_onnx_shape,     rob_priv_onnx_rows,
        rob_priv_onnx_products, rob_priv_onnx_windows,   rob_priv_onnx_recurrent,
        rob_priv_onnx_attention,
    };
    for (int64_t t = 0; t < COUNT_OF(tables); t++)
        for (const rob_onnx_entry *e = tables[t]; e->name != NULL; e++)
            if (strcmp(e->name, op) == 0) return e;
    return NULL;
}

static const rob_onnx_entry *entry_of(rob_machine *m)
{
    const rob_onnx_node *n = m->node;
    const rob_onnx_entry *e = find(n->op);
    if (n->domain[0] && strcmp(n->domain, "ai.onnx") != 0)
        o_fail(m, ROB_EUNSUPPORTED, "operators of domain '%.60s' are not read", n->domain);
    else if (e == NULL) o_fail(m, ROB_EUNSUPPORTED, "this operator is not read");
    else if (n->ins < e->least || n->outs < 1)
        o_fail(m, ROB_EFORMAT, "%d inputs and %d outputs; at least %d and 1 are needed",
               (int)n->ins, (int)n->outs, (int)e->least);
    else if (n->ins > e->most)
        o_fail(m, ROB_EFORMAT, "%d inputs; at most %d are read", (int)n->ins,
               (int)e->most);
    return e;
}

typedef struct operands {
    rob_value *in;
    bool known, fixed;
} operands;

static bool gather(rob_machine *m, operands *o)
{
    const rob_onnx_node *n = m->node;
    o->known = o->fixed = true;
    for (int32_t k = 0; k < n->ins; k++) {
        o->in[k] = n->in[k] >= 0 ? m->env[n->in[k]] : o_none();
        if (n->in[k] < 0) continue;
        if (!o->in[k].there) {
            o_fail(m, ROB_EFORMAT, "value '%.80s' is used before anything gives it",
                   m->file->value[n->in[k]]);
            return false;
        }
        o->known = o->known && o_known(&o->in[k]);
        o->fixed = o->fixed && o->in[k].fixed;
    }
    return true;
}

static void give(rob_machine *m, rob_value *out, bool fixed)
{
    const rob_onnx_node *n = m->node;
    for (int32_t k = 0; k < n->outs && !o_failed(m); k++) {
        if (n->out[k] < 0) continue;
        out[k].fixed = fixed && o_known(&out[k]);
        m->env[n->out[k]] = out[k];
        if (m->learn && out[k].fixed) m->made->fixed[n->out[k]] = out[k];
    }
}

static bool has_outputs(const rob_machine *m)
{
    for (int32_t k = 0; k < m->node->outs; k++)
        if (m->node->out[k] >= 0 && !m->env[m->node->out[k]].there) return false;
    return true;
}

static void run_node(rob_machine *m)
{
    const rob_onnx_node *n = m->node;
    rob_value small[ROB_ONNX_INS + FOLDS], *out = small + ROB_ONNX_INS;
    operands o = { .in = small };
    if (has_outputs(m)) return;
    const rob_onnx_entry *e = entry_of(m);
    if (o_failed(m)) return;
    if (n->outs > FOLDS) {
        o_fail(m, ROB_EUNSUPPORTED, "more than %d outputs", FOLDS);
        return;
    }
    if (n->ins > ROB_ONNX_INS)
        o.in = rob_priv_allocate(&m->ctx.memory, n->ins, (int64_t)sizeof *o.in);
    if (o.in == NULL) {
        o_fail(m, ROB_EMEMORY, "out of memory");
        return;
    }
    for (int32_t k = 0; k < ROB_ONNX_INS; k++) small[k] = o_none();
    for (int32_t k = 0; k < FOLDS; k++) out[k] = o_none();
    if (gather(m, &o)) {
        rob_folding fold = { m->g };
        if (o.known) fold = o_fold(m);
        e->op(m, o.in, n->ins, out, n->outs);
        o_unfold(m, fold, out, n->outs);
        give(m, out, o.fixed);
    }
    if (o.in != small) rob_priv_release(&m->ctx.memory, o.in);
}

/* ---- the walk -------------------------------------------------------------------- */

void rob_priv_onnx_need(const rob_onnx *file, const int32_t *want, int32_t count,
                        uint8_t *needed)
{
    uint8_t *value = needed + file->nodes;
    for (int32_t k = 0; k < count; k++) value[want[k]] = 1;
    for (int32_t n = file->nodes - 1; n >= 0; n--) {
        const rob_onnx_node *node = &file->node[n];
        for (int32_t k = 0; k < node->outs; k++)
            if (node->out[k] >= 0 && value[node->out[k]]) needed[n] = 1;
        for (int32_t k = 0; needed[n] && k < node->ins; k++)
            if (node->in[k] >= 0) value[node->in[k]] = 1;
    }
}

void rob_priv_onnx_walk(rob_machine *m)
{
    for (int32_t n = 0; n < m->file->nodes && !o_failed(m); n++) {
        if (!m->made->needed[n]) continue;
        m->node = &m->file->node[n];
        run_node(m);
        if (rob_priv_graph_count(m->g) > NODES)
            o_fail(m, ROB_EFORMAT, "the model unfolds to more than 2^21 nodes");
        name_failure(m);
    }
    m->node = NULL;
}

rob_status rob_priv_onnx_open(rob_machine *m, const rob_memory *memory,
                              const rob_onnx *file, rob_onnx_made *made, rob_graph *g,
                              bool learn)
{
    *m = (rob_machine){ .ctx = { .memory = *memory, .threads = 1 },
                        .g = g,
                        .file = file,
                        .made = made,
                        .learn = learn,
                        .budget = (int64_t)1 << 22 };
    for (int32_t k = 0; k < file->tensors; k++) m->budget += 8 * file->tensor[k].size;
    m->env = rob_priv_allocate(memory, file->values + 1, (int64_t)sizeof *m->env);
    if (m->env == NULL) {
        rob_priv_graph_fail(g, ROB_EMEMORY, "out of memory");
        return ROB_EMEMORY;
    }
    memcpy(m->env, made->fixed, (size_t)file->values * sizeof *m->env);
    return ROB_OK;
}

void rob_priv_onnx_close(rob_machine *m)
{
    for (int64_t k = 0; k < m->keeps; k++) rob_priv_tensor_free(m->kept[k]);
    rob_priv_release(&m->ctx.memory, m->kept);
    rob_priv_release(&m->ctx.memory, m->env);
    m->kept = NULL;
    m->env = NULL;
}

/* ---- what is made of the file once ----------------------------------------------- */

static void put_tensor(rob_onnx_made *made, const rob_onnx_tensor *t, int32_t value)
{
    rob_value *v = &made->fixed[value];
    *v = (rob_value){ .there = true,
                      .fixed = true,
                      .dtype = t->dtype,
                      .rank = t->rank,
                      .size = t->size,
                      .id = ROB_NONE,
                      .number = t->number };
    memcpy(v->dim, t->dim, sizeof v->dim);
}

static rob_status twice(rob_ctx *ctx, const rob_onnx *file, int32_t value)
{
    return rob_priv_fail(ctx, ROB_EFORMAT, "value '%.80s' is given twice",
                         file->value[value]);
}

/* Every value is given once: an input, an initializer or an output of a node. */
static rob_status given_once(rob_ctx *ctx, const rob_onnx *file, uint8_t *seen)
{
    for (int32_t k = 0; k < file->tensors; k++)
        if (seen[file->tensor_value[k]]++) return twice(ctx, file, file->tensor_value[k]);
    for (int32_t k = 0; k < file->inputs; k++)
        if (file->input[k].value >= 0) seen[file->input[k].value] = 1;
    for (int32_t n = 0; n < file->nodes; n++)
        for (int32_t k = 0; k < file->node[n].outs; k++) {
            int32_t v = file->node[n].out[k];
            if (v >= 0 && seen[v]) return twice(ctx, file, v);
            if (v >= 0) seen[v] = 1;
        }
    memset(seen, 0, (size_t)file->values);
    return ROB_OK;
}

rob_status rob_priv_onnx_make(rob_ctx *ctx, const rob_onnx *file, rob_onnx_made *made)
{
    const rob_memory *m = &ctx->memory;
    *made = (rob_onnx_made){ 0 };
    made->fixed = rob_priv_allocate(m, file->values + 1, (int64_t)sizeof *made->fixed);
    made->needed = rob_priv_allocate(m, (int64_t)file->nodes + file->values + 1, 1);
    made->ready = rob_priv_allocate(m, file->nodes + 1, (int64_t)sizeof *made->ready);
    if (made->fixed == NULL || made->needed == NULL || made->ready == NULL)
        return rob_priv_no_memory(ctx);
    for (int32_t k = 0; k < file->values; k++) made->fixed[k] = o_none();
    for (int32_t k = 0; k < file->tensors; k++)
        put_tensor(made, &file->tensor[k], file->tensor_value[k]);
    return given_once(ctx, file, made->needed + file->nodes);
}

void rob_priv_onnx_unmake(const rob_memory *memory, const rob_onnx *file,
                          rob_onnx_made *made)
{
    for (int64_t k = 0; k < made->keeps; k++) rob_priv_tensor_free(made->kept[k]);
    for (int32_t n = 0; made->ready != NULL && n < file->nodes; n++)
        rob_priv_release(memory, made->ready[n]);
    rob_priv_release(memory, made->kept);
    rob_priv_release(memory, made->ready);
    rob_priv_release(memory, made->needed);
    rob_priv_release(memory, made->fixed);
    *made = (rob_onnx_made){ 0 };
}
