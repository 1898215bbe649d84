/* onnx_windows.c -- ONNX's windows along one or two axes: Conv, AveragePool, MaxPool.
 *
 * A convolution is one product: channels go last, the taps of a window side by side,
 *     X (N, C, S) -> (N, out, taps C),  times W (taps C, M),
 * each tap an (evenly stepped) slice of the padded input. A pool is the sum or maximum of
 * its taps; padding of a maximum repeats the edge, which every window that meets the
 * padding holds already (dilation 1, padding less than the window).
 * Reference: ONNX operators, opset 25.
 */
#include "model/onnx.h"

#include <string.h>

enum { AXES = 2, TAPS = 1024 };

/* ---- windows --------------------------------------------------------------------- */

/* Along each of one or two axes: window, step, dilation, padding, and positions. */
typedef struct window {
    int32_t axes;
    int64_t kernel[AXES], stride[AXES], dilation[AXES], before[AXES], after[AXES];
    int64_t out[AXES], taps;
} window;

static void same_padding(const rob_value *x, bool upper, window *w, int32_t k)
{
    int64_t n = x->dim[k + 2], span = (w->kernel[k] - 1) * w->dilation[k] + 1;
    int64_t out = (n + w->stride[k] - 1) / w->stride[k];
    int64_t pad = (out - 1) * w->stride[k] + span - n;
    pad = pad > 0 ? pad : 0;
    w->before[k] = upper ? pad / 2 : pad - pad / 2;
    w->after[k] = pad - w->before[k];
}

static bool count_positions(rob_machine *m, const rob_value *x, window *w, int32_t k)
{
    int64_t n = x->dim[k + 2], span = (w->kernel[k] - 1) * w->dilation[k] + 1;
    int64_t room = n + w->before[k] + w->after[k] - span;
    bool up = o_int(m, "ceil_mode", 0) != 0;
    if (w->kernel[k] < 1 || w->kernel[k] > TAPS || w->stride[k] < 1 || w->dilation[k] < 1
        || w->dilation[k] > TAPS || w->before[k] < 0 || w->after[k] < 0
        || w->before[k] > TAPS || w->after[k] > TAPS || room < 0) {
        o_fail(m, ROB_EFORMAT, "a window of %lld on an axis of %lld, or its padding, "
                               "stride or dilation",
               (long long)w->kernel[k], (long long)n);
        return false;
    }
    w->out[k] = (up ? (room + w->stride[k] - 1) / w->stride[k] : room / w->stride[k]) + 1;
    if (up && (w->out[k] - 1) * w->stride[k] >= n + w->before[k]) w->out[k]--;
    int64_t needed = (w->out[k] - 1) * w->stride[k] + span - n - w->before[k];
    if (needed > w->after[k]) w->after[k] = needed;
    w->taps *= w->kernel[k];
    return true;
}

static bool read_window(rob_machine *m, const rob_value *x, const int64_t *kernel,
                        window *w)
{
    const char *pad = o_text(m, "auto_pad", "NOTSET");
    int64_t pads[2 * AXES] = { 0 };
    w->axes = x->rank - 2;
    w->taps = 1;
    if (x->rank < 3 || w->axes > AXES || x->size == 0) {
        o_fail(m, ROB_EUNSUPPORTED, "windows of %d dimensions; 1 and 2 are read",
               (int)x->rank - 2);
        return false;
    }
    for (int32_t k = 0; k < AXES; k++) w->kernel[k] = w->stride[k] = w->dilation[k] = 1;
    if (kernel != NULL) memcpy(w->kernel, kernel, (size_t)w->axes * sizeof *kernel);
    if (o_ints(m, "kernel_shape", NULL, w->kernel, AXES) < 0 && kernel == NULL)
        o_fail(m, ROB_EFORMAT, "it has no kernel_shape");
    o_ints(m, "strides", NULL, w->stride, AXES);
    o_ints(m, "dilations", NULL, w->dilation, AXES);
    o_ints(m, "pads", NULL, pads, 2 * AXES);
    for (int32_t k = 0; k < w->axes && !o_failed(m); k++) {
        w->before[k] = pads[k];
        w->after[k] = pads[w->axes + k];
        if (w->kernel[k] >= 1 && w->stride[k] >= 1 && strncmp(pad, "SAME", 4) == 0)
            same_padding(x, strcmp(pad, "SAME_UPPER") == 0, w, k);
        if (!count_positions(m, x, w, k)) return false;
    }
    if (w->taps > TAPS) o_fail(m, ROB_EUNSUPPORTED, "a window of more than %d", TAPS);
    return !o_failed(m);
}

/* Tap number t of every position; the window's axes begin at `first`. */
static rob_value tap(rob_machine *m, rob_value x, int32_t first, const window *w,
                     int64_t t)
{
    for (int32_t k = w->axes - 1; k >= 0 && !o_failed(m); k--) {
        int64_t at = t % w->kernel[k] * w->dilation[k];
        t /= w->kernel[k];
        if (w->stride[k] == 1) {
            x = o_slice(m, &x, first + k, at, w->out[k]);
            continue;
        }
        int64_t *index =
            rob_priv_allocate(&m->ctx.memory, w->out[k], (int64_t)sizeof *index);
        if (index == NULL) o_fail(m, ROB_EMEMORY, "out of memory");
        for (int64_t i = 0; index != NULL && i < w->out[k]; i++)
            index[i] = at + i * w->stride[k];
        if (index != NULL) x = o_take(m, &x, first + k, index, w->out[k]);
        rob_priv_release(&m->ctx.memory, index);
    }
    return x;
}

static rob_value pad_zeros(rob_machine *m, rob_value x, const window *w)
{
    for (int32_t k = 0; k < w->axes; k++)
        x = o_pad(m, &x, k + 2, w->before[k], w->after[k], 0);
    return x;
}

/* ---- Conv ------------------------------------------------------------------------ */

/* (N, C, S) to (N, S, C) and back */
static rob_value channels(rob_machine *m, const rob_value *v, bool last)
{
    int32_t order[ROB_ONNX_RANK] = { 0 };
    for (int32_t k = 1; k < v->rank; k++)
        order[k] = last ? (k + 1 < v->rank ? k + 1 : 1) : (k == 1 ? v->rank - 1 : k - 1);
    return o_permute(m, v, order);
}

/* W (M, C, K) -> (K C, M) */
static rob_value taps_by_filters(rob_machine *m, const rob_value *w)
{
    int32_t order[ROB_ONNX_RANK] = { 0 };
    rob_folding fold = { m->g };
    if (o_known(w)) fold = o_fold(m);
    for (int32_t k = 2; k < w->rank; k++) order[k - 2] = k;
    order[w->rank - 2] = 1;
    order[w->rank - 1] = 0;
    rob_value y = o_permute(m, w, order);
    if (y.there)
        y = o_reshape(m, &y, 2, (int64_t[]){ w->size / w->dim[0], w->dim[0] });
    o_unfold(m, fold, &y, 1);
    return y;
}

/* x (N, S, C) padded, filters (M, C, K) -> (N, out, M) */
static rob_value convolve(rob_machine *m, const rob_value *x, const rob_value *filters,
                          const window *w)
{
    rob_value part[TAPS];
    for (int64_t t = 0; t < w->taps && !o_failed(m); t++) part[t] = tap(m, *x, 1, w, t);
    if (o_failed(m)) return o_none();
    rob_value side = o_concat(m, part, (int32_t)w->taps, x->rank - 1);
    rob_value by = taps_by_filters(m, filters);
    return o_matmul(m, &side, &by);
}

static void op_conv(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                    int32_t outs)
{
    (void)ins, (void)outs;
    window w = { 0 };
    rob_value part[256];
    int64_t groups = o_int(m, "group", 1);
    if (in[1].rank != in[0].rank || in[1].size == 0) {
        o_fail(m, ROB_EFORMAT, "input and filters have different ranks");
        return;
    }
    if (!read_window(m, &in[0], in[1].dim + 2, &w)) return;
    int64_t c = in[1].dim[1], filters = in[1].dim[0];
    if (groups < 1 || groups > 256 || in[0].dim[1] != groups * c || filters % groups) {
        o_fail(m, ROB_EFORMAT, "%lld channels, filters (%lld, %lld), %lld groups",
               (long long)in[0].dim[1], (long long)filters, (long long)c,
               (long long)groups);
        return;
    }
    rob_value x = pad_zeros(m, in[0], &w);
    x = x.there ? channels(m, &x, true) : x;
    for (int64_t k = 0; k < groups && !o_failed(m); k++) {
        rob_value some = o_slice(m, &x, x.rank - 1, k * c, c);
        rob_value own = o_slice(m, &in[1], 0, k * (filters / groups), filters / groups);
        part[k] = convolve(m, &some, &own, &w);
    }
    if (o_failed(m)) return;
    rob_value y = o_concat(m, part, (int32_t)groups, x.rank - 1);
    if (in[2].there) y = o_add(m, &y, &in[2]);
    out[0] = y.there ? channels(m, &y, false) : y;
}

/* ---- pooling --------------------------------------------------------------------- */

/* Taps of a position that lie on the axis, or (all) on its padding as written too. */
static double inside(const window *w, int32_t k, int64_t at, int64_t n, int64_t after,
                     bool all)
{
    double count = 0;
    for (int64_t t = 0; t < w->kernel[k]; t++) {
        int64_t x = at * w->stride[k] + t * w->dilation[k] - w->before[k];
        count += all ? x < n + after : x >= 0 && x < n;
    }
    return count;
}

/* 1 / taps counted, by position */
static rob_value weights(rob_machine *m, const rob_value *x, const window *w)
{
    int64_t dim[ROB_ONNX_RANK] = { 1, 1, w->out[0], w->out[1] }, pads[2 * AXES] = { 0 };
    bool all = o_int(m, "count_include_pad", 0) != 0;
    o_ints(m, "pads", NULL, pads, 2 * AXES);
    rob_value v = o_fill(m, x->dtype, x->rank, dim, 0);
    for (int64_t i = 0; v.number != NULL && i < v.size; i++) {
        int64_t across = w->axes == 2 ? w->out[1] : 1, at[AXES] = { i / across, i % across };
        double count = 1;
        for (int32_t k = 0; k < w->axes; k++)
            count *= inside(w, k, at[k], x->dim[k + 2], pads[w->axes + k], all);
        ((double *)v.number->data)[i] = count > 0 ? 1 / count : 0;
    }
    return v;
}

static void op_average_pool(rob_machine *m, const rob_value *in, int32_t ins,
                            rob_value *out, int32_t outs)
{
    (void)ins, (void)outs;
    window w = { 0 };
    if (!read_window(m, &in[0], NULL, &w)) return;
    rob_value x = pad_zeros(m, in[0], &w), y = tap(m, x, 2, &w, 0);
    for (int64_t t = 1; t < w.taps && !o_failed(m); t++) {
        rob_value next = tap(m, x, 2, &w, t);
        y = o_add(m, &y, &next);
    }
    rob_value share = weights(m, &in[0], &w);
    out[0] = o_mul(m, &y, &share);
}

static rob_value pad_edges(rob_machine *m, rob_value x, const window *w)
{
    for (int32_t k = 0; k < w->axes && !o_failed(m); k++) {
        rob_value part[2 * TAPS + 1];
        int32_t n = 0;
        for (int64_t i = 0; i < w->before[k]; i++)
            part[n++] = o_slice(m, &x, k + 2, 0, 1);
        part[n++] = x;
        for (int64_t i = 0; i < w->after[k] && i < TAPS; i++)
            part[n++] = o_slice(m, &x, k + 2, x.dim[k + 2] - 1, 1);
        if (n > ROB_ONNX_EDGES) o_fail(m, ROB_EUNSUPPORTED, "padding of more than 1023");
        else if (n > 1) x = o_concat(m, part, n, k + 2);
    }
    return x;
}

static void op_max_pool(rob_machine *m, const rob_value *in, int32_t ins,
                        rob_value *out, int32_t outs)
{
    (void)ins;
    window w = { 0 };
    rob_value part[TAPS];
    if (!read_window(m, &in[0], NULL, &w)) return;
    for (int32_t k = 0; k < w.axes; k++) {
        bool padded = w.before[k] > 0 || w.after[k] > 0;
        if (padded && (w.dilation[k] > 1 || w.before[k] >= w.kernel[k]))
            o_fail(m, ROB_EUNSUPPORTED, "padding with dilation, or as wide as the window");
    }
    if (outs > 1 && m->node->out[1] >= 0)
        o_fail(m, ROB_EUNSUPPORTED, "the output Indices");
    if (o_failed(m)) return;
    rob_value x = pad_edges(m, in[0], &w);
    for (int64_t t = 0; t < w.taps && !o_failed(m); t++) part[t] = tap(m, x, 2, &w, t);
    for (int64_t n = w.taps; n > 1 && !o_failed(m); n = (n + 1) / 2)
        for (int64_t k = 0; k < n / 2; k++)
            part[k] = o_both(m, o_larger, &part[k], &part[n - 1 - k]);
    if (!o_failed(m)) out[0] = part[0];
}

const rob_onnx_entry rob_priv_onnx_windows[] = {
    { "Conv", 2, 3, op_conv },
    { "AveragePool", 1, 1, op_average_pool },
    { "MaxPool", 1, 1, op_max_pool },
    { NULL, 0, 0, NULL },
};
