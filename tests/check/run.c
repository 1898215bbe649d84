/* run.c -- plans and workspaces against evaluation by the definitions.
 *
 * Graphs are drawn at random from operators that keep integers integers, with
 * magnitudes kept below 2^20: every result is exact in float32 and float64 in any
 * order, so run must agree with dense.h to the bit. No tolerance is needed anywhere in
 * the first part. */
#include "dense.h"
#include "harness.h"
#include "run/run.h"

enum { MAX_VALUES = 400 };

/* an allocator that counts */
static int64_t allocations;
static void *counted(void *user, int64_t bytes)
{
    (void)user;
    allocations++;
    return malloc((size_t)bytes);
}
static void uncounted(void *user, void *p)
{
    (void)user;
    free(p);
}

static rob_ctx *make_ctx(void)
{
    rob_ctx *ctx;
    ck_assert_int_eq(rob_ctx_create_with(counted, uncounted, NULL, &ctx), ROB_OK);
    return ctx;
}

/* ---- random graphs
 * ------------------------------------------------------------------ */

/* values that may be operands, with a bound on their magnitude */
typedef struct pool {
    rob_graph *g;
    rob_random *r;
    rob_id id[MAX_VALUES];
    double most[MAX_VALUES];
    int count;
} pool;

static void put(pool *p, rob_id id, double most)
{
    ck_assert_int_ge(id, 0);
    ck_assert_int_lt(p->count, MAX_VALUES);
    p->id[p->count] = id;
    p->most[p->count++] = most;
}

static int64_t draw(pool *p, int64_t n) { return rob_priv_below(p->r, n); }

/* an operand below `most`: its sign when it could be larger */
static rob_id operand(pool *p, int k, double most, double *bound)
{
    *bound = p->most[k];
    if (*bound <= most) return p->id[k];
    *bound = 1;
    return g_unary(p->g, "sign", p->id[k]);
}

static int with_shape(pool *p, const rob_shape *s)
{
    int start = (int)draw(p, p->count);
    for (int i = 0; i < p->count; i++) {
        int k = (start + i) % p->count;
        rob_shape t = rob_priv_shape(p->g, p->id[k]);
        if (rob_priv_shape_equal(s, &t)) return k;
    }
    return -1;
}

static const double LARGE = 1 << 20;

static void grow_elementwise(pool *p)
{
    static const char *const unary[] = { "relu", "step", "sign", "abs" };
    int k = (int)draw(p, p->count);
    rob_shape s = rob_priv_shape(p->g, p->id[k]);
    int l = with_shape(p, &s), m = with_shape(p, &s);
    double a, b, c;
    rob_id x = operand(p, k, 500, &a), y = operand(p, l, 500, &b),
           z = operand(p, m, 500, &c);
    switch (draw(p, 7)) {
    case 0:
        put(p, g_add(p->g, x, y), a + b);
        break;
    case 1:
        put(p, g_sub(p->g, x, y), a + b);
        break;
    case 2:
        put(p, g_mul(p->g, x, y), a * b);
        break;
    case 3:
        put(p, g_affine(p->g, x, (double)draw(p, 5) - 2, (double)draw(p, 3) - 1),
            2 * a + 1);
        break;
    case 4:
        put(p, g_where(p->g, x, y, z), b > c ? b : c);
        break;
    case 5:
        put(p, g_unary(p->g, "square", x), a * a);
        break;
    default:
        put(p, g_unary(p->g, unary[draw(p, 4)], x), a > 1 ? a : 1);
    }
}

/* drop the value's rows or columns to one, then let it broadcast against it */
static void grow_broadcast(pool *p)
{
    double a, b;
    int k = (int)draw(p, p->count);
    rob_id x = operand(p, k, 500, &a);
    rob_shape s = rob_priv_shape(p->g, x), t = s;
    for (int d = 0; d < t.rank; d++)
        if (draw(p, 2)) t.dim[d] = 1;
    double times = (double)rob_priv_shape_size(&s) / (double)rob_priv_shape_size(&t);
    rob_id sum = g_sum_to(p->g, x, t);
    put(p, sum, a * times);
    rob_id y = operand(p, p->count - 1, 1000, &b);
    put(p, g_expand(p->g, y, s), b);
    put(p, g_sub(p->g, y, x), a + b);
}

static void grow_matmul(pool *p)
{
    double a, b;
    int k = (int)draw(p, p->count), l = (int)draw(p, p->count);
    rob_shape s = rob_priv_shape(p->g, p->id[k]), t = rob_priv_shape(p->g, p->id[l]);
    int ta = (int)draw(p, 2), tb = (int)draw(p, 2), r = s.rank;
    if (r < 2 || t.rank != r) return;
    for (int d = 0; d < r - 2; d++)
        if (s.dim[d] != t.dim[d]) return;
    if (s.dim[ta ? r - 2 : r - 1] != t.dim[tb ? r - 1 : r - 2]) return;
    rob_id x = operand(p, k, 100, &a), y = operand(p, l, 100, &b);
    rob_id product = g_matmul(p->g, x, y, ta, tb);
    put(p, product, a * b * (double)s.dim[ta ? r - 2 : r - 1]);
    rob_shape o = rob_priv_shape(p->g, product);
    int m = with_shape(p, &o);
    if (draw(p, 2))
        put(p, g_add(p->g, p->id[m], product), p->most[p->count - 1] + p->most[m]);
}

static void grow_structure(pool *p)
{
    int k = (int)draw(p, p->count);
    rob_shape s = rob_priv_shape(p->g, p->id[k]);
    int32_t order[4] = { 0, 1, 2, 3 }, axis = s.rank ? (int32_t)draw(p, s.rank) : 0;
    if (s.rank < 2) return;
    rob_id part[3], x = p->id[k];
    int64_t sizes[3] = { 1, s.dim[axis] - 1, 0 };
    switch (draw(p, 5)) {
    case 0:
        for (int32_t i = s.rank - 1; i > 0; i--) {
            int32_t j = (int32_t)draw(p, i + 1), o = order[i];
            order[i] = order[j];
            order[j] = o;
        }
        put(p, g_permute(p->g, x, order), p->most[k]);
        break;
    case 1:
        put(p,
            g_reshape(p->g, x,
                      rob_priv_shape2(s.dim[0], rob_priv_shape_size(&s) / s.dim[0])),
            p->most[k]);
        break;
    case 2:
        if (s.dim[axis] < 2) return;
        g_split(p->g, x, axis, sizes, 2, part);
        put(p, part[0], p->most[k]);
        put(p, part[1], p->most[k]);
        break;
    case 3: {
        int l = with_shape(p, &s), m = with_shape(p, &s);
        part[0] = x, part[1] = p->id[l], part[2] = p->id[m];
        double most = p->most[k] > p->most[l] ? p->most[k] : p->most[l];
        if (s.dim[axis] > 12) return;
        put(p, g_concat(p->g, part, 3, axis), most > p->most[m] ? most : p->most[m]);
        break;
    }
    default:
        put(p, rob_priv_fill(p->g, s, (double)draw(p, 3)), 2);
    }
}

static void put_constant(pool *p, rob_ctx *ctx, rob_shape s, int32_t dtype)
{
    rob_tensor *t;
    ck_assert_int_eq(rob_priv_tensor_create(&ctx->memory, dtype, s, &t), ROB_OK);
    for (int64_t i = 0; i < rob_priv_shape_size(&s); i++) {
        double v = (double)draw(p, 7) - 3;
        if (dtype == ROB_F64) ((double *)t->data)[i] = v;
        else ((float *)t->data)[i] = (float)v;
    }
    put(p, rob_priv_constant(p->g, t), 3);
    rob_priv_tensor_free(t);
}

static void grow_scan(pool *p, rob_ctx *ctx, int depth);

static void grow(pool *p, rob_ctx *ctx, int nodes, int depth)
{
    for (int i = 0; i < nodes; i++) {
        int64_t what = draw(p, depth > 0 ? 11 : 10);
        if (what < 4) grow_elementwise(p);
        else if (what < 5) grow_broadcast(p);
        else if (what < 7) grow_matmul(p);
        else if (what < 10) grow_structure(p);
        else grow_scan(p, ctx, depth - 1);
        for (int k = 0; k < p->count; k++)
            if (p->most[k] > LARGE) p->id[k] = operand(p, k, LARGE, &p->most[k]);
    }
}

/* A scan over outer values: carries any value, sequences of rank 2 or 3, constants
 * any. */
static void grow_scan(pool *p, rob_ctx *ctx, int depth)
{
    enum { C = 2, S = 2, W = 2, Y = 5 };
    rob_id outer[C + S + W], in[C + S + W], out[C + Y];
    double most[C + S + W];
    int64_t steps = 0;
    pool q = { .r = p->r };
    ck_assert_int_eq(rob_priv_graph_create(ctx, &q.g), ROB_OK);
    for (int i = 0; i < C + S + W; i++) {
        int k = (int)draw(p, p->count);
        rob_shape s = rob_priv_shape(p->g, p->id[k]);
        bool stepped = i >= C && i < C + S;
        for (int tries = 0; stepped && (s.rank < 2 || (steps && s.dim[0] != steps));
             tries++) {
            if (tries == 60) {
                rob_priv_graph_free(q.g);
                return;
            }
            k = (int)draw(p, p->count);
            s = rob_priv_shape(p->g, p->id[k]);
        }
        outer[i] = operand(p, k, 50, &most[i]);
        if (stepped) {
            steps = s.dim[0];
            memmove(s.dim, s.dim + 1, sizeof s.dim - sizeof *s.dim);
            s.rank--;
        }
        in[i] = rob_priv_input(q.g, s);
        put(&q, in[i], most[i] > 1 ? most[i] : 1);
    }
    put_constant(&q, ctx, rob_priv_shape(q.g, in[C]), ROB_F32);
    grow(&q, ctx, 12, depth);
    for (int c = 0; c < C; c++) {
        rob_shape s = rob_priv_shape(q.g, in[c]);
        int k = with_shape(&q, &s);
        double b;
        out[c] = draw(p, 4) ? g_unary(q.g, "sign", q.id[k])
                            : operand(&q, k, most[c] > 1 ? most[c] : 1, &b);
    }
    int ys = 0;
    double y_most[Y];
    for (int k = 0; k < Y; k++) {
        int v = (int)draw(&q, q.count);
        if (rob_priv_shape(q.g, q.id[v]).rank > 3) continue;
        y_most[ys] = q.most[v];
        out[C + ys++] = q.id[v];
    }
    rob_id scan = rob_priv_scan(p->g, q.g, C, S, W, ys, in, out, steps,
                                (int32_t)draw(p, 2), outer);
    ck_assert_int_ge(scan, 0);
    for (int k = 0; k < C + ys; k++)
        if (draw(p, 4))
            put(p, g_pick(p->g, scan, k),
                k < C ? (most[k] > 1 ? most[k] : 1) : y_most[k - C]);
    if (rob_priv_shape(q.g, in[0]).rank <= 3) {
        int32_t k =
            rob_priv_scan_stack(p->g, scan, in[0]); /* a carry before its step */
        put(p, g_pick(p->g, scan, k), most[0] > 1 ? most[0] : 1);
    }
}

typedef struct drawn {
    rob_graph *g;
    rob_id input[3];
    rob_id want[12];
    int32_t stage[12];
    int32_t wants;
} drawn;

static drawn draw_graph(rob_ctx *ctx, uint64_t seed, int nodes, int depth)
{
    rob_random r = rob_priv_random(seed, 7);
    drawn d = { .wants = 12 };
    pool p = { .r = &r };
    ck_assert_int_eq(rob_priv_graph_create(ctx, &d.g), ROB_OK);
    p.g = d.g;
    int64_t a = 1 + draw(&p, 5), b = 1 + draw(&p, 4), c = 1 + draw(&p, 18);
    rob_shape shapes[3] = { rob_priv_shape3(a, b, c), rob_priv_shape2(b, c),
                            rob_priv_shape2(c, c) };
    for (int i = 0; i < 3; i++) put(&p, d.input[i] = rob_priv_input(d.g, shapes[i]), 3);
    put_constant(&p, ctx, rob_priv_shape2(c, b), ROB_F32);
    put_constant(&p, ctx, rob_priv_shape2(a, c), ROB_F64);
    grow(&p, ctx, nodes, depth);
    for (int k = 0; k < 12; k++) {
        d.want[k] = p.id[draw(&p, p.count)];
        d.stage[k] = k / 4;
    }
    ck_assert_int_eq(rob_priv_graph_status(ctx, d.g), ROB_OK);
    return d;
}

static void set_inputs(const drawn *d, rob_work *w, double **number, uint64_t seed)
{
    rob_random r = rob_priv_random(seed, 9);
    for (int i = 0; i < 3; i++) {
        int64_t n = dense_size(d->g, d->input[i]);
        for (int64_t e = 0; e < n; e++)
            number[d->input[i]][e] = (double)rob_priv_below(&r, 7) - 3;
        rob_priv_work_set(w, d->input[i], number[d->input[i]]);
    }
}

static void compare(const drawn *d, const rob_work *w, double *const *number,
                    int32_t stage, uint64_t seed)
{
    dense truth = dense_eval(d->g, number);
    for (int32_t k = 0; k < d->wants; k++) {
        if (d->stage[k] > stage) continue;
        int64_t n = dense_size(d->g, d->want[k]);
        double *got = malloc((size_t)(n + 1) * sizeof *got);
        rob_priv_work_get(w, d->want[k], got);
        for (int64_t e = 0; e < n; e++)
            ck_assert_msg(got[e] == truth.value[d->want[k]][e],
                          "seed %d want %d (value %d) element %d: %g, not %g",
                          (int)seed, k, (int)d->want[k], (int)e, got[e],
                          truth.value[d->want[k]][e]);
        free(got);
    }
    dense_free(&truth);
}

static void check_graph(uint64_t seed, int nodes, int depth, int32_t dtype)
{
    rob_ctx *ctx = make_ctx();
    drawn d = draw_graph(ctx, seed, nodes, depth);
    double **number = calloc((size_t)rob_priv_graph_count(d.g), sizeof *number);
    rob_plan *plan;
    rob_work *work;
    for (int i = 0; i < 3; i++)
        number[d.input[i]] =
            calloc((size_t)dense_size(d.g, d.input[i]), sizeof(double));
    ck_assert_msg(rob_priv_plan_create(ctx, d.g, dtype, d.want, d.stage, d.wants, &plan)
                      == ROB_OK,
                  "seed %d: %s", (int)seed, rob_ctx_error(ctx));
    ck_assert_int_eq(rob_priv_work_create(ctx, plan, &work), ROB_OK);
    int64_t before = allocations;
    for (uint64_t round = 0; round < 2; round++) {
        set_inputs(&d, work, number, 100 * seed + round);
        for (int32_t s = 0; s < 3; s++) {
            rob_priv_run(work, s);
            compare(&d, work, number, s, seed);
        }
        for (int32_t s = 2; s >= 1; s--) rob_priv_run(work, s); /* stages again */
        compare(&d, work, number, 2, seed);
    }
    ck_assert_int_eq(allocations, before);
    rob_priv_work_free(work);
    rob_priv_plan_free(plan);
    for (int i = 0; i < 3; i++) free(number[d.input[i]]);
    free(number);
    rob_priv_graph_free(d.g);
    rob_ctx_free(ctx);
}

START_TEST(random_graphs_are_exact)
{
    for (uint64_t seed = 0; seed < 400; seed++)
        check_graph(seed, 25, 0, seed % 2 ? ROB_F32 : ROB_F64);
}
END_TEST

START_TEST(random_scans_are_exact)
{
    for (uint64_t seed = 1000; seed < 1400; seed++)
        check_graph(seed, 20, 1, seed % 2 ? ROB_F32 : ROB_F64);
}
END_TEST

START_TEST(scans_in_scans_are_exact)
{
    for (uint64_t seed = 2000; seed < 2200; seed++)
        check_graph(seed, 15, 2, seed % 2 ? ROB_F32 : ROB_F64);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("run");
    TCase *c = tcase_create("exact");
    tcase_add_test(c, random_graphs_are_exact);
    tcase_add_test(c, random_scans_are_exact);
    tcase_add_test(c, scans_in_scans_are_exact);
    suite_add_tcase(s, c);
    return rob_run_suite(s);
}
