/* derivative.c -- derivatives of graphs: identities that need no reference.
 *
 * For y = f(x), weights w and directions v, u, p, with phi = <w, f>:
 *     <w, J v> = <J' w, v>            jvp against vjp
 *     <u, H v> = <v, H u>             H v by jvp of a vjp; H symmetric
 *     grad <grad phi, v> = H v        reverse over reverse against forward over reverse
 *     T(v, u, p) = T(p, u, v)         third order, T(v, u, .) = d/du (H v)
 *     d/dt <w, f(x + t v)> and d/dt <u, grad phi(x + t v)> by differences.
 */
#include "program.h"

enum { XS = 3 };

typedef struct program {
    rob_ctx *ctx;
    rob_graph *g;
    rob_id x[XS], y;
    int32_t xs;
    const double *at[XS]; /* values of x; owned by the test */
    const char *name;
} program;

/* ---- contraction of lists of tensors --------------------------------------------- */

static rob_id contract(rob_graph *g, const rob_id *a, const rob_id *b, int32_t n)
{
    rob_id sum = g_sum(g, g_mul(g, a[0], b[0]));
    for (int32_t i = 1; i < n; i++) sum = g_add(g, sum, g_sum(g, g_mul(g, a[i], b[i])));
    return sum;
}

/* sum |a| |b|: what rounding errors of the contraction are relative to */
static rob_id scale_of(rob_graph *g, const rob_id *a, const rob_id *b, int32_t n)
{
    rob_id c[XS], d[XS];
    for (int32_t i = 0; i < n; i++) {
        c[i] = g_unary(g, "abs", a[i]);
        d[i] = g_unary(g, "abs", b[i]);
    }
    return contract(g, c, d, n);
}

static void tangents(program *p, const rob_id *v, const rob_id *of, rob_id *out,
                     int32_t n)
{
    rob_priv_jvp(p->g, p->x, v, p->xs, of, n, out);
    for (int32_t i = 0; i < n; i++) out[i] = or_zeros(p->g, out[i], of[i]);
}

static void adjoints(program *p, rob_id y, rob_id w, rob_id *out)
{
    rob_priv_vjp(p->g, &y, &w, 1, p->x, p->xs, out);
    for (int32_t i = 0; i < p->xs; i++) out[i] = or_zeros(p->g, out[i], p->x[i]);
}

/* Scalars that must be equal in pairs, with the scale of their rounding. */
enum {
    JVP,
    VJP,
    HVU,
    HUV,
    RVU,
    T_VUP,
    T_PUV,
    SCALE1,
    SCALE2,
    SCALE3,
    PHI,
    GRAD_U,
    HESS_UQ, /* their derivatives along v are JVP, HVU, T_VUP */
    SCALARS
};

typedef struct identities {
    rob_id w, dir[3][XS]; /* v, u, p */
    rob_id scalar[SCALARS];
} identities;

static void write_identities(program *p, identities *s)
{
    rob_graph *g = p->g;
    rob_id jv, grad[XS], hv[XS], hu[XS], hp[XS], back[XS], tv[XS], tp[XS];
    s->w = rob_priv_input(g, rob_priv_shape(g, p->y));
    for (int32_t k = 0; k < 3; k++)
        for (int32_t i = 0; i < p->xs; i++)
            s->dir[k][i] = rob_priv_input(g, rob_priv_shape(g, p->x[i]));
    const rob_id *v = s->dir[0], *u = s->dir[1], *q = s->dir[2];
    tangents(p, v, &p->y, &jv, 1);
    adjoints(p, p->y, s->w, grad);
    tangents(p, v, grad, hv, p->xs);
    tangents(p, u, grad, hu, p->xs);
    tangents(p, q, grad, hp, p->xs);
    rob_id along = contract(g, grad, v, p->xs);
    adjoints(p, along, rob_priv_fill(g, rob_priv_shape(g, along), 1), back);
    tangents(p, u, hv, tv, p->xs);
    tangents(p, u, hp, tp, p->xs);
    s->scalar[JVP] = contract(g, &s->w, &jv, 1);
    s->scalar[VJP] = contract(g, grad, v, p->xs);
    s->scalar[HVU] = contract(g, hv, u, p->xs);
    s->scalar[HUV] = contract(g, hu, v, p->xs);
    s->scalar[RVU] = contract(g, back, u, p->xs);
    s->scalar[T_VUP] = contract(g, tv, q, p->xs);
    s->scalar[T_PUV] = contract(g, tp, v, p->xs);
    s->scalar[PHI] = contract(g, &s->w, &p->y, 1);
    s->scalar[GRAD_U] = contract(g, grad, u, p->xs);
    s->scalar[HESS_UQ] = contract(g, hu, q, p->xs);
    s->scalar[SCALE1] =
        g_add(g, scale_of(g, &s->w, &jv, 1), scale_of(g, grad, v, p->xs));
    s->scalar[SCALE2] = g_add(g, scale_of(g, hv, u, p->xs), scale_of(g, hu, v, p->xs));
    s->scalar[SCALE3] = g_add(g, scale_of(g, tv, q, p->xs), scale_of(g, tp, v, p->xs));
}

/* ---- numbers --------------------------------------------------------------------- */

typedef struct numbers {
    double *w, *dir[3][XS], *x[XS];
} numbers;

static numbers numbers_make(const program *p)
{
    numbers n = { .w = random_numbers(3, 100, size_of(p->g, p->y)) };
    for (int32_t i = 0; i < p->xs; i++) {
        int64_t size = size_of(p->g, p->x[i]);
        n.x[i] = calloc((size_t)size, sizeof(double));
        for (int32_t k = 0; k < 3; k++)
            n.dir[k][i] = random_numbers(3, (uint64_t)(10 * k + i), size);
    }
    return n;
}

static void numbers_free(numbers *n)
{
    free(n->w);
    for (int32_t i = 0; i < XS; i++) free(n->x[i]);
    for (int32_t i = 0; i < 3 * XS; i++) free(n->dir[i / XS][i % XS]);
}

/* The scalars at x + t v. */
static void scalars_at(const program *p, const identities *s, const numbers *n,
                       double t, double *out)
{
    given in[1 + 4 * XS] = { { s->w, n->w } };
    double *to[SCALARS];
    int32_t ins = 1;
    for (int32_t i = 0; i < p->xs; i++) {
        for (int64_t e = 0; e < size_of(p->g, p->x[i]); e++)
            n->x[i][e] = p->at[i][e] + t * n->dir[0][i][e];
        in[ins++] = (given){ p->x[i], n->x[i] };
        for (int32_t k = 0; k < 3; k++)
            in[ins++] = (given){ s->dir[k][i], n->dir[k][i] };
    }
    for (int32_t k = 0; k < SCALARS; k++) to[k] = out + k;
    evaluate(p->ctx, p->g, ROB_F64, in, ins, s->scalar, SCALARS, to);
}

/* Each scalar is a sum over a few hundred terms at the end of a chain of a few dozen
 * operations of a few units: 4096 eps of the sum of the terms' sizes. Intermediate
 * terms of a derivative may be larger than it and cancel; 1 + scale allows for that,
 * since the values of all programs here are of the order of one. */
static void agree(const program *p, const double *s, int a, int b, int scale)
{
    double most = 4096 * 0x1p-52 * (1 + s[scale]);
    ck_assert_msg(fabs(s[a] - s[b]) <= most, "%s: scalars %d and %d: %.17g and %.17g",
                  p->name, a, b, s[a], s[b]);
}

/* Central differences D(h) err by c h^2 + O(h^4) and by rounding, a few eps of the
 * terms' sizes over h. c h^2 = (D(h) - D(h/2)) 4/3 is known from the two, so D(h/2)
 * errs by a third of their difference; the whole of it leaves room for the h^4. */
static void difference_agrees(const program *p, double d1, double d2, double h,
                              double exact, double scale)
{
    double most = fabs(d1 - d2) + 64 * 0x1p-52 * (1 + scale) / h;
    ck_assert_msg(fabs(d2 - exact) <= most,
                  "%s: derivative %.12g, differences %.12g (+- %.2g)", p->name, exact,
                  d2, most);
    ck_assert_msg(most <= 1e-3 * (1 + scale), "%s: differences say nothing: %g",
                  p->name, most);
}

static void check_program(program *p)
{
    identities s;
    double at[SCALARS], plus[SCALARS], minus[SCALARS], plus2[SCALARS], minus2[SCALARS];
    const double h = 0x1p-13;
    must(p->ctx, rob_priv_graph_status(p->ctx, p->g));
    write_identities(p, &s);
    numbers n = numbers_make(p);
    scalars_at(p, &s, &n, 0, at);
    agree(p, at, JVP, VJP, SCALE1);
    agree(p, at, HVU, HUV, SCALE2);
    agree(p, at, HVU, RVU, SCALE2);
    agree(p, at, T_VUP, T_PUV, SCALE3);
    scalars_at(p, &s, &n, h, plus);
    scalars_at(p, &s, &n, -h, minus);
    scalars_at(p, &s, &n, h / 2, plus2);
    scalars_at(p, &s, &n, -h / 2, minus2);
    for (int k = 0; k < 3; k++) {
        const int derivative[3] = { JVP, HVU, T_VUP };
        double d1 = (plus[PHI + k] - minus[PHI + k]) / (2 * h);
        double d2 = (plus2[PHI + k] - minus2[PHI + k]) / h;
        difference_agrees(p, d1, d2, h, at[derivative[k]], at[SCALE1 + k]);
    }
    numbers_free(&n);
}

/* ---- programs: every operator ---------------------------------------------------- */

typedef enum domain { ANY, POSITIVE, APART } domain;

typedef struct op_case {
    const char *name;
    int32_t xs;
    rob_shape shape[XS];
    domain domain;
    rob_id (*build)(rob_graph *g, const rob_id *x);
} op_case;

#define BUILD(name, expression)                                                        \
    static rob_id build_##name(rob_graph *g, const rob_id *x) { return expression; }
#define UNARY(name) BUILD(name, g_unary(g, #name, x[0]))

UNARY(reciprocal)
UNARY(exp) UNARY(log) UNARY(tanh) UNARY(sigmoid) UNARY(softplus) UNARY(relu) UNARY(step)
    UNARY(sign) UNARY(abs) UNARY(square) UNARY(sqrt) UNARY(rsqrt) UNARY(erf) BUILD(
        add, g_add(g, x[0], x[1])) BUILD(sub, g_sub(g, x[0], x[1])) BUILD(mul,
                                                                          g_mul(g, x[0],
                                                                                x[1]))
        BUILD(div, g_div(g, x[0], x[1])) BUILD(affine, g_affine(g, x[0], -1.5, 0.25))
            BUILD(where, g_where(g, x[0], g_mul(g, x[1], x[2]), x[2])) BUILD(
                where_step,
                g_where(g, g_unary(g, "step", x[0]), g_mul(g, x[1], x[2]),
                        x[2])) BUILD(sigtanh, g_sigtanh(g, x[0], x[1]))
                BUILD(sigmul, g_sigmul(g, x[0], x[1])) BUILD(
                    blend, g_blend(g, x[0], x[1],
                                   x[2])) BUILD(matmul, g_matmul(g, x[0], x[1], 0, 0))
                    BUILD(matmul_t, g_matmul(g, x[0], x[1], 1, 0)) BUILD(
                        matmul_nt,
                        g_matmul(g, x[0], x[1], 0,
                                 1)) BUILD(matmul_tt, g_matmul(g, x[0], x[1], 1, 1))
                        BUILD(gram, g_matmul(g, x[0], x[0], 1, 0)) BUILD(
                            reshape,
                            g_mul(g, x[0],
                                  g_reshape(g, x[1], rob_priv_shape3(2, 3, 5))))
                            BUILD(expand,
                                  g_mul(g, x[0],
                                        g_expand(g, x[1], rob_priv_shape3(2, 3, 5))))
                                BUILD(sum_to,
                                      g_mul(g, x[1],
                                            g_sum_to(g, g_unary(g, "square", x[0]),
                                                     rob_priv_shape2(3, 1))))
                                    BUILD(permute, g_mul(g, x[1],
                                                         g_permute(g, x[0],
                                                                   (const int32_t[]){
                                                                       2, 0, 1 })))
                                        BUILD(softmax,
                                              g_mul(g, x[0], g_softmax(g, x[1])))
                                            BUILD(logsumexp,
                                                  g_mul(g, x[0], g_logsumexp(g, x[1])))

                                                static rob_id
    build_split(rob_graph *g, const rob_id *x)
{
    const int64_t sizes[3] = { 2, 1, 2 };
    rob_id part[3], back[3];
    g_split(g, x[0], 2, sizes, 3, part);
    back[0] = g_mul(g, part[0], part[2]);
    back[1] = g_unary(g, "tanh", part[1]);
    back[2] = g_mul(g, part[1], part[2]);
    return g_concat(g, back, 3, 2);
}

static rob_id build_max(rob_graph *g, const rob_id *x)
{
    return g_max(g, x[0], g_affine(g, g_unary(g, "square", x[1]), 0.5, -0.3));
}

static rob_id build_centre(rob_graph *g, const rob_id *x)
{
    return g_mul(g, x[0], g_centre(g, g_unary(g, "square", x[1])));
}

static rob_id build_rmsnorm(rob_graph *g, const rob_id *x)
{
    return g_mul(g, x[0], g_rmsnorm(g, x[1], 0.1));
}

static rob_id build_layer_norm(rob_graph *g, const rob_id *x)
{
    return g_mul(g, x[0], g_rmsnorm(g, g_centre(g, x[1]), 1e-2));
}

static rob_id build_gelu(rob_graph *g, const rob_id *x) { return g_gelu(g, x[0], 0); }

static rob_id build_gelu_tanh(rob_graph *g, const rob_id *x)
{
    return g_gelu(g, x[0], 1);
}

static rob_id build_slice(rob_graph *g, const rob_id *x)
{
    return g_mul(g, g_slice(g, x[0], 1, 1, 2), g_slice(g, x[0], 1, 0, 2));
}

#define S235                                                                           \
    {                                                                                  \
        .rank = 3, .dim = { 2, 3, 5 }                                                  \
    }
#define S34                                                                            \
    {                                                                                  \
        .rank = 2, .dim = { 3, 4 }                                                     \
    }
static const op_case op_cases[] = {
    { "reciprocal", 1, { S235 }, POSITIVE, build_reciprocal },
    { "exp", 1, { S235 }, ANY, build_exp },
    { "log", 1, { S235 }, POSITIVE, build_log },
    { "tanh", 1, { S235 }, ANY, build_tanh },
    { "sigmoid", 1, { S235 }, ANY, build_sigmoid },
    { "softplus", 1, { S235 }, ANY, build_softplus },
    { "relu", 1, { S235 }, APART, build_relu },
    { "step", 1, { S235 }, APART, build_step },
    { "sign", 1, { S235 }, APART, build_sign },
    { "abs", 1, { S235 }, APART, build_abs },
    { "square", 1, { S235 }, ANY, build_square },
    { "sqrt", 1, { S235 }, POSITIVE, build_sqrt },
    { "rsqrt", 1, { S235 }, POSITIVE, build_rsqrt },
    { "erf", 1, { S235 }, ANY, build_erf },
    { "add", 2, { S235, { 2, { 3, 1 } } }, ANY, build_add },
    { "sub", 2, { S235, { 1, { 5 } } }, ANY, build_sub },
    { "mul", 2, { S235, { 2, { 1, 5 } } }, ANY, build_mul },
    { "div", 2, { S235, { 0 } }, POSITIVE, build_div },
    { "affine", 1, { S235 }, ANY, build_affine },
    { "where", 3, { S235, S235, S235 }, APART, build_where },
    { "where step", 3, { { 1, { 5 } }, S235, S235 }, APART, build_where_step },
    { "sigtanh", 2, { S235, S235 }, ANY, build_sigtanh },
    { "sigmul", 2, { S235, S235 }, ANY, build_sigmul },
    { "blend", 3, { S235, S235, S235 }, ANY, build_blend },
    { "matmul", 2, { S34, { 2, { 4, 2 } } }, ANY, build_matmul },
    { "matmul", 2, { { 3, { 2, 3, 4 } }, { 3, { 2, 4, 5 } } }, ANY, build_matmul },
    { "matmul t", 2, { S34, { 2, { 3, 2 } } }, ANY, build_matmul_t },
    { "matmul nt", 2, { S34, { 2, { 2, 4 } } }, ANY, build_matmul_nt },
    { "matmul tt", 2, { S34, { 2, { 2, 3 } } }, ANY, build_matmul_tt },
    { "gram", 1, { S34 }, ANY, build_gram },
    { "reshape", 2, { S235, { 2, { 6, 5 } } }, ANY, build_reshape },
    { "expand", 2, { S235, { 2, { 3, 1 } } }, ANY, build_expand },
    { "sum_to", 2, { S235, { 1, { 1 } } }, ANY, build_sum_to },
    { "permute", 2, { S235, { 3, { 5, 2, 3 } } }, ANY, build_permute },
    { "softmax", 2, { S235, S235 }, ANY, build_softmax },
    { "logsumexp", 2, { S235, S235 }, ANY, build_logsumexp },
    { "max", 2, { S235, S235 }, ANY, build_max },
    { "centre", 2, { S235, S235 }, ANY, build_centre },
    { "rmsnorm", 2, { S235, S235 }, ANY, build_rmsnorm },
    { "layer norm", 2, { S235, S235 }, ANY, build_layer_norm },
    { "gelu", 1, { S235 }, ANY, build_gelu },
    { "gelu tanh", 1, { S235 }, ANY, build_gelu_tanh },
    { "split", 1, { S235 }, ANY, build_split },
    { "slice", 1, { S235 }, ANY, build_slice },
};

static double in_domain(double x, domain d)
{
    if (d == POSITIVE) return 0.5 + 2 / (1 + exp(-x));
    if (d == APART) return x < 0 ? x - 0.25 : x + 0.25;
    return x;
}

START_TEST(operators_satisfy_the_identities)
{
    const op_case *c = &op_cases[_i];
    program p = { .xs = c->xs, .name = c->name };
    double *at[XS] = { 0 };
    must(NULL, rob_ctx_create(&p.ctx));
    must(p.ctx, rob_priv_graph_create(p.ctx, &p.g));
    for (int32_t i = 0; i < c->xs; i++) {
        int64_t n = rob_priv_shape_size(&c->shape[i]);
        p.x[i] = rob_priv_input(p.g, c->shape[i]);
        p.at[i] = at[i] = random_numbers(1, (uint64_t)i, n);
        for (int64_t e = 0; e < n; e++) at[i][e] = in_domain(at[i][e], c->domain);
    }
    p.y = c->build(p.g, p.x);
    check_program(&p);
    for (int32_t i = 0; i < XS; i++) free(at[i]);
    rob_priv_graph_free(p.g);
    rob_ctx_free(p.ctx);
}
END_TEST

/* ---- random compositions --------------------------------------------------------- */

/* One operator on values a, b, c of shape (3, 4) and order of one, and so the result.
 * */
static rob_id random_step(rob_graph *g, int64_t which, rob_id a, rob_id b, rob_id c)
{
    switch (which) {
    case 0:
        return g_add(g, a, g_affine(g, b, 0.5, 0.1));
    case 1:
        return g_sub(g, g_unary(g, "tanh", a), b);
    case 2:
        return g_mul(g, g_unary(g, "sigmoid", a), g_unary(g, "erf", b));
    case 3:
        return g_sigtanh(g, a, b);
    case 4:
        return g_sigmul(g, a, g_unary(g, "tanh", b));
    case 5:
        return g_blend(g, a, b, c);
    case 6:
        return g_matmul(g, g_softmax(g, g_matmul(g, a, b, 0, 1)), c, 0, 0);
    case 7:
        return g_affine(g, g_unary(g, "softplus", a), 0.7, -0.4);
    case 8:
        return g_mul(g, g_unary(g, "tanh", a), g_logsumexp(g, b));
    case 9:
        return g_unary(g, "exp", g_affine(g, g_unary(g, "tanh", a), 0.5, 0));
    case 10:
        return g_mul(g, a,
                     g_unary(g, "rsqrt", g_affine(g, g_unary(g, "square", a), 1, 1)));
    case 11:
        return g_unary(g, "log", g_affine(g, g_unary(g, "square", b), 1, 1));
    default:
        return g_div(g, a, g_affine(g, g_unary(g, "square", c), 1, 2));
    }
}

START_TEST(compositions_satisfy_the_identities)
{
    char name[32];
    program p = { .xs = XS, .name = name };
    double *at[XS];
    rob_id pool[12];
    rob_random r = rob_priv_random(7, (uint64_t)_i);
    snprintf(name, sizeof name, "composition %d", _i);
    must(NULL, rob_ctx_create(&p.ctx));
    must(p.ctx, rob_priv_graph_create(p.ctx, &p.g));
    for (int32_t i = 0; i < XS; i++) {
        p.x[i] = pool[i] = rob_priv_input(p.g, rob_priv_shape2(3, 4));
        p.at[i] = at[i] = random_numbers(2, (uint64_t)(XS * _i + i), 12);
    }
    for (int64_t k = XS; k < COUNT_OF(pool); k++) {
        rob_id a = pool[rob_priv_below(&r, k)], b = pool[rob_priv_below(&r, k)];
        rob_id c = pool[k - 1];
        pool[k] = random_step(p.g, rob_priv_below(&r, 13), c, a, b);
    }
    p.y = pool[COUNT_OF(pool) - 1];
    check_program(&p);
    for (int32_t i = 0; i < XS; i++) free(at[i]);
    rob_priv_graph_free(p.g);
    rob_ctx_free(p.ctx);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("derivative");
    TCase *t = tcase_create("identities");
    tcase_add_loop_test(t, operators_satisfy_the_identities, 0,
                        (int)COUNT_OF(op_cases));
    tcase_add_loop_test(t, compositions_satisfy_the_identities, 0, 40);
    suite_add_tcase(s, t);
    return rob_run_suite(s);
}
