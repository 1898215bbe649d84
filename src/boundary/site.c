/* site.c -- the rows of a specification near a point of one series.
 *
 * Row r:  g_r(z) = c_r . f(z) + b_r,  its gradient, and products with the Hessian of a
 * combination sum_k w_k g_{r_k}, all restricted to the coordinates that may move.
 */
#include "boundary/boundary.h"

#include <string.h>

static rob_status make_room(rob_site *s, int64_t n, int64_t outputs)
{
    if (n > s->capacity) {
        rob_priv_release(&s->memory, s->free);
        s->capacity = 0;
        s->free = rob_priv_allocate(&s->memory, n, sizeof *s->free);
        if (!s->free) return rob_priv_no_memory(s->ctx);
        s->capacity = n;
    }
    if (!s->f) s->f = rob_priv_allocate(&s->memory, outputs, sizeof *s->f);
    if (!s->combined)
        s->combined = rob_priv_allocate(&s->memory, outputs, sizeof *s->combined);
    return s->f && s->combined ? ROB_OK : rob_priv_no_memory(s->ctx);
}

rob_status rob_priv_site_open(rob_site *s, int64_t i)
{
    rob_status status = ROB_OK;
    const rob_model *model = s->q->model;
    const uint8_t *mask = rob_priv_query_mask_of(s->q, i);
    s->series = i;
    s->c = &s->q->cases[i];
    s->n = s->c->steps * model->recipe.features;
    TRY(make_room(s, s->n, model->recipe.outputs));
    if (s->local && !rob_priv_local_fits(s->local, s->ctx, model, s->c->steps, false)) {
        rob_priv_local_free(s->local);
        s->local = NULL;
    }
    if (!s->local)
        TRY(rob_priv_local_create(s->ctx, model, s->c->steps, false, &s->local));
    s->m = 0;
    for (int64_t k = 0; k < s->n; k++)
        if (!mask || mask[k]) s->free[s->m++] = k;
done:
    return status;
}

void rob_priv_site_close(rob_site *s)
{
    rob_priv_local_free(s->local);
    rob_priv_release(&s->memory, s->free);
    rob_priv_release(&s->memory, s->f);
    rob_priv_release(&s->memory, s->combined);
    s->local = NULL;
    s->free = NULL;
    s->f = s->combined = NULL;
}

/* v (n) <- v where it may move, 0 elsewhere; free is ascending */
static void keep_free(const rob_site *s, double *v)
{
    int64_t next = 0;
    if (s->m == s->n) return;
    for (int64_t k = 0; k < s->n; k++) {
        if (next < s->m && s->free[next] == k) next++;
        else v[k] = 0;
    }
}

void rob_priv_site_spread(const rob_site *s, const double *v, double *to)
{
    memset(to, 0, (size_t)s->n * sizeof *to);
    for (int64_t c = 0; c < s->m; c++) to[s->free[c]] = v[c];
}

void rob_priv_site_place(rob_site *s, const double *z)
{
    rob_priv_local_place(s->local, z, s->f);
}

double rob_priv_site_row(const rob_site *s, int64_t r)
{
    const rob_spec *spec = &s->c->spec;
    double value = spec->b[r];
    for (int64_t k = 0; k < spec->outputs; k++)
        value += spec->c[r * spec->outputs + k] * s->f[k];
    return value;
}

void rob_priv_site_gradient(rob_site *s, int64_t r, double *grad)
{
    rob_priv_local_gradient(s->local, s->c->spec.c + r * s->c->spec.outputs, grad);
    keep_free(s, grad);
}

void rob_priv_site_combine(rob_site *s, const int64_t *rows, const double *weights,
                           int64_t count, double *grad)
{
    const rob_spec *spec = &s->c->spec;
    for (int64_t k = 0; k < spec->outputs; k++) {
        s->combined[k] = 0;
        for (int64_t r = 0; r < count; r++)
            s->combined[k] += weights[r] * spec->c[rows[r] * spec->outputs + k];
    }
    rob_priv_local_gradient(s->local, s->combined, grad);
    keep_free(s, grad);
}

void rob_priv_site_product(rob_site *s, const double *v, double *hv)
{
    rob_priv_local_product(s->local, v, hv);
    keep_free(s, hv);
}

rob_status rob_priv_site_third(rob_site *s, int64_t r)
{
    rob_status status = rob_priv_local_third(s->ctx, s->local);
    if (status == ROB_OK)
        rob_priv_local_third_place(s->local, s->c->x,
                                   s->c->spec.c + r * s->c->spec.outputs);
    return status;
}

void rob_priv_site_third_product(rob_site *s, const double *v, double *hv, double *tv)
{
    rob_priv_local_third_product(s->local, v, hv, tv);
    keep_free(s, hv);
    keep_free(s, tv);
}

rob_status rob_priv_site_hessian(rob_site *s, int64_t r, const double *z, double *h)
{
    int64_t m = s->m;
    const double *c = s->c->spec.c + r * s->c->spec.outputs;
    rob_status status = rob_priv_local_hessian(s->ctx, s->local, z, c, s->free, m, h);
    for (int64_t i = 0; status == ROB_OK && i < m; i++)
        for (int64_t j = 0; j < i; j++)
            h[i * m + j] = h[j * m + i] = (h[i * m + j] + h[j * m + i]) / 2;
    return status;
}
