/* head.c -- from the states of a net to its outputs.
 *
 * Read-out z of states h_t (S = H, or both directions side by side, 2H):
 *     last   h at the row's last step       state  the ends of both directions
 *     mean   (1/T) sum_t h_t                max    element by element, over the steps
 *     every  h_t, for every step
 * then a norm, hidden layers phi(W z + b), and W z + b. Of `every` the outputs are
 * (T L): those of the first step first.
 */
#include "model/net.h"

bool rob_priv_net_reads_end(const rob_recipe *r)
{
    return r->readout == ROB_READOUT_STATE
           || (r->readout == ROB_READOUT_LAST && !r->both);
}

/* only a last layer W z + b stands behind the read-out */
static bool is_plain(const rob_recipe *r)
{
    return r->mlps == 0 && r->norm[ROB_BEFORE_HEAD].kind == 0;
}

static rob_id one_layer(const rob_net *net, int32_t i, rob_id z)
{
    int32_t each = net->r->head_bias_free ? 1 : 2;
    int32_t k = rob_priv_model_first(net->r, ROB_OF_THE_HEAD, 0) + i * each;
    return rob_priv_block_linear(net->g, z, rob_priv_net_tensor(net, k),
                                 each == 2 ? rob_priv_net_tensor(net, k + 1)
                                           : ROB_NONE);
}

rob_id rob_priv_net_answer(const rob_net *net, rob_id z)
{
    if (rob_priv_graph_failed(net->g)) return ROB_NONE;
    z = rob_priv_net_norm(net, ROB_BEFORE_HEAD, z);
    for (int32_t i = 0; i < net->r->mlps; i++)
        z = rob_priv_net_activate(net->g, net->r->activation, one_layer(net, i, z));
    return one_layer(net, net->r->mlps, z);
}

/* (1, B, S) -> (B, S) */
static rob_id flat(rob_graph *g, rob_id v)
{
    rob_shape s = rob_priv_shape(g, v);
    return g_reshape(g, v, rob_priv_shape2(s.dim[1], s.dim[2]));
}

/* W (sum_t h_t) / T + b: divided behind the product, in batches of rows of different
 * length as in a row alone, so that a row has the bits it has alone */
static rob_id plain_mean(const rob_net *net, rob_id all)
{
    rob_graph *g = net->g;
    const rob_recipe *r = net->r;
    rob_shape s = rob_priv_shape(g, all);
    int64_t steps = s.dim[0], rows = s.dim[1];
    int32_t k = rob_priv_model_first(r, ROB_OF_THE_HEAD, 0);
    if (net->mask != ROB_NONE) all = g_mul(g, all, net->mask);
    rob_id sum = flat(g, g_sum_to(g, all, rob_priv_shape3(1, rows, s.dim[2])));
    rob_id z = g_matmul(g, sum, rob_priv_net_tensor(net, k), 0, 1);
    if (net->mask == ROB_NONE) z = g_affine(g, z, 1.0 / (double)steps, 0.0);
    else {
        rob_id length = g_sum_to(g, net->mask, rob_priv_shape3(1, rows, 1));
        z = g_div(g, z, g_reshape(g, length, rob_priv_shape2(rows, 1)));
    }
    return r->head_bias_free ? z : g_add(g, z, rob_priv_net_tensor(net, k + 1));
}

/* (T, B, L) -> (B, T L) */
static rob_id side_by_side(rob_graph *g, rob_id z)
{
    static const int32_t order[3] = { 1, 0, 2 };
    rob_shape s = rob_priv_shape(g, z);
    return g_reshape(g, g_permute(g, z, order),
                     rob_priv_shape2(s.dim[1], s.dim[0] * s.dim[2]));
}

static rob_id read_out(const rob_net *net, rob_id all, rob_id end)
{
    rob_graph *g = net->g;
    int32_t readout = net->r->readout;
    if (rob_priv_net_reads_end(net->r)) return end;
    if (readout == ROB_READOUT_MEAN) return flat(g, rob_priv_block_mean(g, all, net->mask));
    if (readout == ROB_READOUT_MAX)
        return flat(g, rob_priv_block_largest(g, all, net->mask));
    return readout == ROB_READOUT_LAST ? flat(g, rob_priv_block_last(g, all, net->mask))
                                       : all;
}

rob_id rob_priv_net_head(const rob_net *net, rob_id all, rob_id end)
{
    if (rob_priv_graph_failed(net->g)) return ROB_NONE;
    if (net->r->readout == ROB_READOUT_MEAN && is_plain(net->r))
        return plain_mean(net, all);
    rob_id z = rob_priv_net_answer(net, read_out(net, all, end));
    if (rob_priv_graph_failed(net->g)) return ROB_NONE;
    return net->r->readout == ROB_READOUT_EVERY ? side_by_side(net->g, z) : z;
}
