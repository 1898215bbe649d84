/* shape.c -- how the boundary { g = 0 } curves at the nearest point z.
 *
 * With n the unit normal and Q a basis of its orthogonal complement,
 *     S = Q' Hess g(z) Q / |grad g(z)|
 * has the principal curvatures k_i as eigenvalues. Where z + w + s n with w tangential
 * meets the surface, s = w'Sw/2 + ...: k > 0 bends away from x, since g > 0 on the side
 * of x and n = -grad g/|grad g|. The condition of the projection x -> z is
 *     max_i 1/|1 + r k_i|,   r = |z - x|
 * (Breiding & Vannieuwenhoven, SIAM J. Optim. 31, 2021; docs/theory/boundary.md,
 * section 4). Q is what a Householder reflection makes of the other coordinates. Above
 * `dense` free coordinates both ends of P Hess g P by Lanczos's method; there the value
 * along n, 0 otherwise, is put between them.
 */
#include "boundary/boundary.h"

#include <math.h>
#include <string.h>

/* The tangent space in free coordinates. */
typedef struct tangent {
    rob_site *s;
    int64_t m;
    double *u;            /* (m) reflection 1 - 2uu' takes e_0 to +-normal */
    double *full, *image; /* (n) */
    double middle;        /* a value inside the range of curvatures */
} tangent;

/* u with (1 - 2uu') e_0 = +-normal, the sign that loses nothing */
static void make_reflection(tangent *t)
{
    for (int64_t c = 0; c < t->m; c++) t->u[c] = t->s->edge->normal[t->s->free[c]];
    t->u[0] += t->u[0] >= 0 ? 1 : -1;
    double norm = sqrt(rob_priv_dot(t->m, t->u, t->u));
    for (int64_t c = 0; c < t->m; c++) t->u[c] /= norm;
}

/* h (m, m) <- (1 - 2uu') h (1 - 2uu') */
static void reflect(const tangent *t, double *h, double *hu)
{
    int64_t m = t->m;
    for (int64_t i = 0; i < m; i++) hu[i] = rob_priv_dot(m, h + i * m, t->u);
    double uhu = rob_priv_dot(m, t->u, hu);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < m; j++)
            h[i * m + j] +=
                4 * uhu * t->u[i] * t->u[j] - 2 * t->u[i] * hu[j] - 2 * hu[i] * t->u[j];
}

/* direction (n) <- (1 - 2uu') (0, v) */
static void to_series(const tangent *t, const double *v, double *direction)
{
    double share = 2 * rob_priv_dot(t->m - 1, t->u + 1, v);
    memset(direction, 0, (size_t)t->s->n * sizeof *direction);
    for (int64_t c = 0; c < t->m; c++)
        direction[t->s->free[c]] = (c > 0 ? v[c - 1] : 0) - share * t->u[c];
}

static rob_status dense_shape(tangent *t)
{
    rob_status status = ROB_OK;
    rob_site *s = t->s;
    rob_edge *e = s->edge;
    int64_t m = t->m, k = m - 1;
    double *h = rob_priv_allocate(&s->memory, m * m, sizeof *h), *v = NULL, *hu;
    hu = rob_priv_allocate(&s->memory, m, sizeof *hu);
    if (s->option[ROB_BOUNDARY_SLICE] > 0)
        v = rob_priv_allocate(&s->memory, k * k, sizeof *v);
    CHECK(h && hu && (v || !(s->option[ROB_BOUNDARY_SLICE] > 0)), s->ctx, ROB_EMEMORY,
          "out of memory for a Hessian of %lld", (long long)m);
    status = rob_priv_site_hessian(s, e->row, e->point, h);
    if (status != ROB_OK) goto done;
    reflect(t, h, hu);
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++)
            h[i * k + j] = h[(i + 1) * m + j + 1] / e->gradient_norm;
    status = rob_priv_la_eigen(&s->memory, k, h, e->curvature, v);
    CHECK(status == ROB_OK, s->ctx, status, "the Hessian at the nearest point");
    e->curvatures = k;
    e->mean = 0;
    for (int64_t i = 0; i < k; i++) e->mean += e->curvature[i] / (double)k;
    if (v) to_series(t, v, e->direction);
done:
    rob_priv_release(&s->memory, h);
    rob_priv_release(&s->memory, hu);
    rob_priv_release(&s->memory, v);
    return status;
}

/* sv = S v + middle (n.v) n, in free coordinates */
static rob_status shape_product(void *user, const double *v, double *sv)
{
    tangent *t = user;
    const rob_site *s = t->s;
    const double *normal = s->edge->normal;
    double share = 0, along = 0;
    memset(t->full, 0, (size_t)s->n * sizeof *t->full);
    for (int64_t c = 0; c < t->m; c++) share += normal[s->free[c]] * v[c];
    for (int64_t c = 0; c < t->m; c++)
        t->full[s->free[c]] = v[c] - share * normal[s->free[c]];
    rob_priv_site_product(t->s, t->full, t->image);
    along = rob_priv_dot(s->n, t->image, normal);
    for (int64_t c = 0; c < t->m; c++) {
        double n = normal[s->free[c]];
        sv[c] = (t->image[s->free[c]] - along * n) / s->edge->gradient_norm
                + t->middle * share * n;
    }
    return rob_priv_cancelled(s->ctx) ? ROB_STOPPED : ROB_OK;
}

static rob_status ends_of_shape(tangent *t)
{
    rob_status status = ROB_OK;
    rob_site *s = t->s;
    rob_edge *e = s->edge;
    rob_lanczos l = { .n = t->m,
                      .most = 80,
                      .tolerance = 1e-8,
                      .product = shape_product,
                      .user = t,
                      .seed = s->ctx->seed + (uint64_t)s->option[ROB_BOUNDARY_SEED],
                      .stream = (uint64_t)s->series };
    /* a tangent vector's own curvature lies between the ends */
    double *v = rob_priv_allocate(&s->memory, 2 * t->m, sizeof *v);
    if (!v) return rob_priv_no_memory(s->ctx);
    rob_priv_site_place(s, e->point);
    rob_priv_site_gradient(s, e->row, t->image);
    v[t->m] = 1;
    to_series(t, v + t->m, t->full);
    for (int64_t c = 0; c < t->m; c++) v[c] = t->full[s->free[c]];
    status = shape_product(t, v, v + t->m);
    if (status != ROB_OK) goto done;
    t->middle = rob_priv_dot(t->m, v, v + t->m);
    status = rob_priv_la_lanczos(&s->memory, &l);
    if (status < ROB_OK) rob_priv_fail(s->ctx, status, "curvatures");
    if (status != ROB_OK) goto done;
    e->curvatures = 2;
    e->curvature[0] = l.low;
    e->curvature[1] = l.high;
    e->mean = NAN;
done:
    rob_priv_release(&s->memory, v);
    return status;
}

static void condition_of(rob_edge *e)
{
    e->projection = 0;
    for (int64_t i = 0; i < e->curvatures; i++)
        e->projection =
            fmax(e->projection, 1 / fabs(1 + e->distance * e->curvature[i]));
}

rob_status rob_priv_shape_at(rob_site *s)
{
    rob_status status = ROB_OK;
    rob_edge *e = s->edge;
    tangent t = { .s = s, .m = s->m };
    e->curvatures = 0;
    e->mean = e->projection = NAN;
    if (!e->converged || e->rows != 1 || !(e->gradient_norm > 0)) return ROB_OK;
    e->projection = 0;
    if (s->m < 2) return ROB_OK;
    bool dense = s->m <= (int64_t)s->option[ROB_BOUNDARY_DENSE];
    e->curvature =
        rob_priv_allocate(&s->memory, dense ? s->m - 1 : 2, sizeof *e->curvature);
    t.u = rob_priv_allocate(&s->memory, s->m, sizeof *t.u);
    t.full = rob_priv_allocate(&s->memory, 2 * s->n, sizeof *t.full);
    CHECK(e->curvature && t.u && t.full, s->ctx, ROB_EMEMORY, "out of memory");
    t.image = t.full + s->n;
    make_reflection(&t);
    status = dense ? dense_shape(&t) : ends_of_shape(&t);
    if (status == ROB_OK) condition_of(e);
done:
    rob_priv_release(&s->memory, t.u);
    rob_priv_release(&s->memory, t.full);
    return status;
}
