/* emit.c -- the graph of a model: its input map, then what its kind says.
 *
 * Input map:  u_t = (x_t - shift) / scale, as  a x_t + b  with  a = 1/scale, b =
 * -shift/scale. Then the front end (entry.c); of a recurrent net layer by layer the loops of
 * one or two directions (recur.c), or the encoder (transformer.c); read-out and head (head.c).
 */
#include "model/encoder.h"
#include "model/net.h"

static rob_id map_input(const rob_recipe *r, rob_graph *g, rob_id x)
{
    if (r->input_shift == 0.0 && r->input_scale == 1.0) return x;
    return g_affine(g, x, 1.0 / r->input_scale, -r->input_shift / r->input_scale);
}

/* States of layer k: of all steps (T, B, S), of the ends (B, S), or both. */
static void run_layer(const rob_net *net, int32_t k, rob_id u, rob_id *all, rob_id *end)
{
    rob_graph *g = net->g;
    rob_id way[2], last[2];
    int32_t ways = net->r->both ? 2 : 1;
    for (int32_t i = 0; i < ways; i++)
        rob_priv_net_recur(net, k * ways + i, i == 1, u, all ? &way[i] : NULL,
                           end ? &last[i] : NULL);
    if (rob_priv_graph_failed(g)) return;
    if (all) *all = ways == 2 ? g_concat(g, way, 2, 2) : way[0];
    if (end) *end = ways == 2 ? g_concat(g, last, 2, 1) : last[0];
}

static rob_id emit_net(const rob_model *model, rob_graph *g, rob_id x, rob_id mask,
                       const rob_id *parameter)
{
    const rob_recipe *r = &model->recipe;
    rob_net net = { model, r, g, parameter, mask };
    rob_id all = rob_priv_net_front(&net, map_input(r, g, x)), end = ROB_NONE;
    if (rob_priv_graph_failed(g)) return ROB_NONE;
    if (r->kind == ROB_KIND_TRANSFORMER)
        return rob_priv_net_answer(&net, rob_priv_transformer_emit(&net, all));
    for (int32_t k = 0; k < r->layers && !rob_priv_graph_failed(g); k++) {
        bool last = k + 1 == r->layers, ends = last && rob_priv_net_reads_end(r);
        rob_id u = all;
        run_layer(&net, k, u, ends ? NULL : &all, ends ? &end : NULL);
    }
    return rob_priv_net_head(&net, all, end);
}

rob_id rob_priv_model_emit(const rob_model *model, rob_graph *g, rob_id x, rob_id mask,
                           const rob_id *parameter)
{
    const rob_recipe *r = &model->recipe;
    rob_shape shape = rob_priv_shape(g, x);
    if (rob_priv_graph_failed(g)) return ROB_NONE;
    if (shape.rank != 3 || shape.dim[2] != r->features)
        return rob_priv_graph_fail(g, ROB_ESHAPE,
                                   "a model with %lld features got another "
                                   "input",
                                   (long long)r->features);
    if (model->steps != 0 && shape.dim[0] != model->steps)
        return rob_priv_graph_fail(g, ROB_ESHAPE,
                                   "a series of %lld steps; the model takes %lld",
                                   (long long)shape.dim[0], (long long)model->steps);
    if (r->kind == ROB_KIND_GRAPH) return model->emit(model, g, x, mask);
    return emit_net(model, g, x, mask, parameter);
}
