/* entry.c -- what stands before the layers.
 *
 *     scale        x_t <- (x_t - mean) / std, feature by feature, as stored
 *     convolution  y_j = phi(sum_k W_k x_{j s - p + k d} + b),  0 outside the series,
 *                  j = 0 .. floor((T + 2 p - d (K - 1) - 1) / s)
 *     batch norm   (v - m) / sqrt(var + eps) w + b,  with the stored statistics
 *     layer norm   over the last axis (blocks.h), of a transformer as its own
 * as torch.nn.Conv1d, BatchNorm1d in evaluation, LayerNorm. A row that has ended counts
 * as zeros behind its end, as it would alone; step j of the convolution is there when the
 * last step it needs, padding aside, is.
 */
#include "model/net.h"

#include <math.h>

rob_id rob_priv_net_tensor(const rob_net *net, int32_t k)
{
    bool given = net->parameter != NULL && !rob_priv_model_frozen(net->r, k);
    return given ? net->parameter[k]
                 : rob_priv_constant(net->g, net->model->parameter[k].tensor);
}

rob_id rob_priv_net_activate(rob_graph *g, int32_t activation, rob_id v)
{
    if (activation == ROB_ACT_RELU) return g_unary(g, "relu", v);
    if (activation == ROB_ACT_TANH) return g_unary(g, "tanh", v);
    return activation == ROB_ACT_GELU ? g_gelu(g, v, 0) : v;
}

static rob_id scaled(const rob_net *net, rob_id x)
{
    int32_t first = rob_priv_model_first(net->r, ROB_OF_THE_SCALE, 0);
    if (!net->r->scale[0]) return x;
    return g_div(net->g, g_sub(net->g, x, rob_priv_net_tensor(net, first)),
                 rob_priv_net_tensor(net, first + 1));
}

/* ---- norms ----------------------------------------------------------------------- */

static rob_id batch_norm(const rob_net *net, int32_t first, double eps, rob_id v)
{
    rob_graph *g = net->g;
    rob_id var = g_affine(g, rob_priv_net_tensor(net, first + 3), 1, eps);
    rob_id w = g_mul(g, rob_priv_net_tensor(net, first), g_unary(g, "rsqrt", var));
    v = g_sub(g, v, rob_priv_net_tensor(net, first + 2));
    return g_add(g, g_mul(g, v, w), rob_priv_net_tensor(net, first + 1));
}

rob_id rob_priv_net_norm(const rob_net *net, int32_t place, rob_id v)
{
    int32_t kind = net->r->norm[place].kind;
    int32_t first = rob_priv_model_first(net->r, ROB_OF_THE_NORM, place);
    double eps = net->r->eps > 0 ? net->r->eps : 1e-5;
    if (kind == 0 || rob_priv_graph_failed(net->g)) return v;
    if (kind == ROB_BATCH_NORM) return batch_norm(net, first, eps, v);
    bool divide = net->r->kind != ROB_KIND_TRANSFORMER || net->r->transformer.e.divide;
    return rob_priv_block_layer_norm(net->g, v, rob_priv_net_tensor(net, first),
                                     rob_priv_net_tensor(net, first + 1), eps, divide);
}

/* ---- convolution ----------------------------------------------------------------- */

typedef struct window {
    int64_t stride, padding, dilation, kernel, steps; /* steps: of the output */
} window;

/* steps first, first + stride, ... of v (T, B, F): `count` of them, T long enough */
static rob_id every(rob_graph *g, rob_id v, int64_t first, int64_t stride, int64_t count)
{
    rob_shape s = rob_priv_shape(g, v), four = { 4, { count, stride, 0, 0 } };
    if (stride == 1) return g_slice(g, v, 0, first, count);
    four.dim[2] = s.dim[1], four.dim[3] = s.dim[2];
    v = g_reshape(g, g_slice(g, v, 0, first, count * stride), four);
    s.dim[0] = count;
    return g_reshape(g, g_slice(g, v, 1, 0, 1), s);
}

/* v (T, B, F) with zeros before and behind */
static rob_id padded(rob_graph *g, rob_id v, int64_t before, int64_t behind)
{
    rob_shape s = rob_priv_shape(g, v);
    rob_id part[3];
    int32_t n = 0;
    if (rob_priv_graph_failed(g)) return ROB_NONE;
    s.dim[0] = before;
    if (before > 0) part[n++] = rob_priv_fill(g, s, 0);
    part[n++] = v;
    s.dim[0] = behind;
    if (behind > 0) part[n++] = rob_priv_fill(g, s, 0);
    return n == 1 ? v : g_concat(g, part, n, 0);
}

/* mask of the output: the last step a window needs, less the padding behind */
static rob_id mask_of(const rob_net *net, const window *w)
{
    rob_graph *g = net->g;
    int64_t reach = w->dilation * (w->kernel - 1) - 2 * w->padding;
    int64_t steps = rob_priv_shape(g, net->mask).dim[0];
    int64_t sure = reach >= 0 ? 0 : (-reach + w->stride - 1) / w->stride;
    if (sure > w->steps) sure = w->steps;
    rob_shape s = rob_priv_shape(g, net->mask);
    s.dim[0] = sure;
    rob_id part[2] = { sure > 0 ? rob_priv_fill(g, s, 1) : ROB_NONE, ROB_NONE };
    if (sure == w->steps) return part[0];
    int64_t first = reach + sure * w->stride, count = w->steps - sure;
    int64_t need = first + count * w->stride;
    rob_id m = need > steps ? padded(g, net->mask, 0, need - steps) : net->mask;
    part[1] = every(g, m, first, w->stride, count);
    return sure > 0 ? g_concat(g, part, 2, 0) : part[1];
}

/* W (C, D, K) -> (C, K D), in the order the windows are laid side by side */
static rob_id flat_weights(const rob_net *net, int32_t k)
{
    static const int32_t order[3] = { 0, 2, 1 };
    const rob_recipe *r = net->r;
    rob_id w = g_permute(net->g, rob_priv_net_tensor(net, k), order);
    return g_reshape(net->g, w, rob_priv_shape2(r->channels, r->kernel * r->features));
}

static rob_id convolve(const rob_net *net, const window *w, rob_id x)
{
    rob_graph *g = net->g;
    int32_t first = rob_priv_model_first(net->r, ROB_OF_THE_CONV, 0);
    int64_t steps = rob_priv_shape(g, x).dim[0], last = w->dilation * (w->kernel - 1);
    int64_t need = last + w->steps * w->stride, behind = need - steps - w->padding;
    rob_id wide = ROB_NONE;
    x = padded(g, x, w->padding, behind > 0 ? behind : 0);
    for (int64_t k = 0; k < w->kernel && !rob_priv_graph_failed(g); k++) {
        rob_id tap = every(g, x, k * w->dilation, w->stride, w->steps);
        wide = k == 0 ? tap : g_concat(g, (rob_id[]){ wide, tap }, 2, 2);
    }
    return rob_priv_block_linear(g, wide, flat_weights(net, first),
                                 rob_priv_net_tensor(net, first + 1));
}

static rob_id front_convolution(rob_net *net, rob_id x)
{
    rob_graph *g = net->g;
    const rob_recipe *r = net->r;
    int64_t steps = rob_priv_shape(g, x).dim[0];
    window w = { .stride = r->stride ? r->stride : 1,
                 .dilation = r->dilation ? r->dilation : 1,
                 .padding = r->padding,
                 .kernel = r->kernel };
    int64_t room = steps + 2 * w.padding - w.dilation * (w.kernel - 1) - 1;
    if (room < 0)
        return rob_priv_graph_fail(
            g, ROB_ESHAPE, "%lld steps are too few for a convolution over %lld",
            (long long)steps, (long long)(w.dilation * (w.kernel - 1) + 1));
    w.steps = room / w.stride + 1;
    if (net->mask != ROB_NONE)
        x = g_where(g, net->mask, x, rob_priv_fill(g, rob_priv_shape(g, x), 0));
    rob_id y = convolve(net, &w, x);
    if (net->mask != ROB_NONE && !rob_priv_graph_failed(g)) net->mask = mask_of(net, &w);
    return y;
}

rob_id rob_priv_net_front(rob_net *net, rob_id x)
{
    x = scaled(net, x);
    if (rob_priv_graph_failed(net->g)) return ROB_NONE;
    if (net->r->conv[0]) {
        x = front_convolution(net, x);
        if (rob_priv_graph_failed(net->g)) return ROB_NONE;
        x = rob_priv_net_norm(net, ROB_AFTER_CONV, x);
        x = rob_priv_net_activate(net->g, net->r->conv_activation, x);
    }
    return rob_priv_net_norm(net, ROB_BEFORE_BODY, x);
}
