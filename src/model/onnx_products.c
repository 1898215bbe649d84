/* onnx_products.c -- ONNX's products: MatMul, Gemm, Einsum.
 *
 * Einsum of two operands: letters are shared and kept (a), of the left alone (b), of the
 * right alone (c), shared and summed (d); then it is one product of matrices for each a,
 *     (a, b, d) times (a, d, c) -> (a, b, c),
 * after diagonals of letters that stand twice and sums of those that stand alone.
 * Reference: ONNX operators, opset 25.
 */
#include "model/onnx.h"

#include <string.h>

enum { TAPS = 1024 }; /* of a diagonal */

/* ---- products -------------------------------------------------------------------- */

static void op_matmul(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                      int32_t outs)
{
    (void)ins, (void)outs;
    rob_value a = in[0], b = in[1];
    if (a.rank == 0 || b.rank == 0 || a.size == 0 || b.size == 0) {
        o_fail(m, ROB_EFORMAT, "of a number, or of a value without elements");
        return;
    }
    if (a.rank == 1) a = o_reshape(m, &a, 2, (int64_t[]){ 1, a.dim[0] });
    if (b.rank == 1) b = o_reshape(m, &b, 2, (int64_t[]){ b.dim[0], 1 });
    rob_value y = o_matmul(m, &a, &b);
    if (!y.there) return;
    int64_t dim[ROB_ONNX_RANK];
    int32_t rank = 0;
    for (int32_t k = 0; k < y.rank; k++)
        if (!(k == y.rank - 2 && in[0].rank == 1)
            && !(k == y.rank - 1 && in[1].rank == 1))
            dim[rank++] = y.dim[k];
    out[0] = o_reshape(m, &y, rank, dim);
}

static void op_gemm(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                    int32_t outs)
{
    (void)ins, (void)outs;
    double alpha = o_float(m, "alpha", 1), beta = o_float(m, "beta", 1);
    int ta = o_int(m, "transA", 0) != 0, tb = o_int(m, "transB", 0) != 0;
    if (in[0].rank != 2 || in[1].rank != 2) {
        o_fail(m, ROB_EFORMAT, "of values that are no matrices");
        return;
    }
    rob_id a = o_id(m, &in[0]), b = o_id(m, &in[1]);
    if (o_failed(m)) return;
    rob_value y = o_of(m, g_matmul(m->g, a, b, ta, tb), in[0].dtype, 2,
                       (int64_t[]){ in[0].dim[ta ? 1 : 0], in[1].dim[tb ? 0 : 1] });
    if (alpha != 1) y = o_affine(m, &y, alpha, 0);
    if (in[2].there && in[2].size > 0 && beta != 0) {
        rob_value c = beta == 1 ? in[2] : o_affine(m, &in[2], beta, 0);
        y = o_add(m, &y, &c);
    }
    out[0] = y;
}

/* ---- Einsum of one or two operands ----------------------------------------------- */

typedef struct term {
    char letter[ROB_ONNX_RANK + 1];
    int32_t count;
} term;

/* Letters of one operand; "..." stands for as many capitals from 'A' on as are left. */
static bool read_term(const char **at, int32_t rank, term *t)
{
    int32_t dots = -1;
    t->count = 0;
    for (; **at && **at != ',' && **at != '-'; ++*at) {
        if (**at == ' ') continue;
        if (strncmp(*at, "...", 3) == 0 && dots < 0) {
            dots = t->count;
            *at += 2;
        } else if (**at < 'a' || **at > 'z' || t->count == ROB_ONNX_RANK) return false;
        else t->letter[t->count++] = **at;
    }
    int32_t more = rank - t->count;
    if (dots < 0) return rank < 0 || more == 0;
    if (more < 0 || t->count + more > ROB_ONNX_RANK) return false;
    memmove(t->letter + dots + more, t->letter + dots, (size_t)(t->count - dots));
    for (int32_t k = 0; k < more; k++) t->letter[dots + k] = (char)('Z' - more + 1 + k);
    t->count += more;
    return true;
}

static int32_t place_of(const term *t, char letter)
{
    for (int32_t k = 0; k < t->count; k++)
        if (t->letter[k] == letter) return k;
    return -1;
}

static void drop_letter(term *t, int32_t at)
{
    t->count--;
    memmove(t->letter + at, t->letter + at + 1, (size_t)(t->count - at));
}

/* A letter that stands twice in an operand: its diagonal. */
static rob_value diagonal(rob_machine *m, rob_value v, term *t)
{
    for (int32_t k = 0; k < t->count && !o_failed(m); k++) {
        int32_t first = place_of(t, t->letter[k]);
        if (first == k) continue;
        int64_t n = v.dim[k], dim[ROB_ONNX_RANK], index[TAPS];
        int32_t order[ROB_ONNX_RANK], c = 0;
        if (n != v.dim[first] || n > TAPS) {
            o_fail(m, ROB_EUNSUPPORTED, "a diagonal of more than %d, or of no square",
                   TAPS);
            return o_none();
        }
        for (int32_t i = 0; i < v.rank; i++)
            if (i != first && i != k) order[c++] = i;
        order[c++] = first;
        order[c] = k;
        rob_value y = o_permute(m, &v, order);
        memcpy(dim, y.dim, sizeof dim);
        dim[v.rank - 2] = n * n;
        y = o_reshape(m, &y, v.rank - 1, dim);
        for (int64_t i = 0; i < n; i++) index[i] = i * (n + 1);
        v = o_take(m, &y, v.rank - 2, index, n);
        char letter = t->letter[k];
        drop_letter(t, k);
        drop_letter(t, first);
        t->letter[t->count++] = letter;
        k = -1;
    }
    return v;
}

/* Sum over letters that stand neither in `other` nor in `out`. */
static rob_value sum_alone(rob_machine *m, rob_value v, term *t, const term *other,
                           const term *out)
{
    for (int32_t k = t->count - 1; k >= 0 && !o_failed(m); k--) {
        int64_t dim[ROB_ONNX_RANK];
        int32_t n = 0;
        if (place_of(other, t->letter[k]) >= 0 || place_of(out, t->letter[k]) >= 0)
            continue;
        v = o_sum(m, &v, k);
        for (int32_t i = 0; i < v.rank; i++)
            if (i != k) dim[n++] = v.dim[i];
        v = o_reshape(m, &v, n, dim);
        drop_letter(t, k);
    }
    return v;
}

static rob_value arranged(rob_machine *m, const rob_value *v, const term *t,
                          const term *want)
{
    int32_t order[ROB_ONNX_RANK];
    for (int32_t k = 0; k < want->count; k++) order[k] = place_of(t, want->letter[k]);
    return o_permute(m, v, order);
}

/* kind 0: in a, b and out; 1: only a and out; 2: only b and out; 3: a and b, summed */
static void letters_of(const term *a, const term *b, const term *out, int32_t kind,
                       term *add)
{
    const term *from = kind == 2 ? b : a;
    for (int32_t k = 0; k < from->count; k++) {
        char c = from->letter[k];
        bool both = place_of(kind == 2 ? a : b, c) >= 0, kept = place_of(out, c) >= 0;
        bool fits = kind == 0 ? both && kept : kind == 3 ? both && !kept : !both && kept;
        if (fits && add->count < ROB_ONNX_RANK) add->letter[add->count++] = c;
    }
}

static int64_t size_of(const rob_value *v, const term *t, const term *letters)
{
    int64_t n = 1;
    for (int32_t k = 0; k < letters->count; k++)
        n *= v->dim[place_of(t, letters->letter[k])];
    return n;
}

static rob_value contract(rob_machine *m, rob_value a, const term *ta, rob_value b,
                          const term *tb, const term *out)
{
    term part[4] = { 0 }, left = { 0 }, right = { 0 }, have = { 0 };
    int64_t dim[ROB_ONNX_RANK], size[4];
    for (int32_t k = 0; k < 4; k++) {
        letters_of(ta, tb, out, k, &part[k]);
        size[k] = size_of(k == 2 ? &b : &a, k == 2 ? tb : ta, &part[k]);
    }
    for (int32_t k = 0; k < 4; k++) {
        if (k != 2) letters_of(ta, tb, out, k, &left);
        if (k < 3) letters_of(ta, tb, out, k, &have);
    }
    letters_of(ta, tb, out, 0, &right);
    letters_of(ta, tb, out, 3, &right);
    letters_of(ta, tb, out, 2, &right);
    for (int32_t k = 0; k < ta->count; k++) {
        int32_t there = place_of(tb, ta->letter[k]);
        if (there >= 0 && a.dim[k] != b.dim[there]) {
            o_fail(m, ROB_EFORMAT, "index '%c' has two sizes", ta->letter[k]);
            return o_none();
        }
    }
    for (int32_t k = 0; k < have.count; k++) {
        int32_t at = place_of(ta, have.letter[k]);
        dim[k] = at >= 0 ? a.dim[at] : b.dim[place_of(tb, have.letter[k])];
    }
    a = arranged(m, &a, ta, &left);
    b = arranged(m, &b, tb, &right);
    a = o_reshape(m, &a, 3, (int64_t[]){ size[0], size[1], size[3] });
    b = o_reshape(m, &b, 3, (int64_t[]){ size[0], size[3], size[2] });
    rob_value y = o_matmul(m, &a, &b);
    if (y.there) y = o_reshape(m, &y, have.count, dim);
    return y.there ? arranged(m, &y, &have, out) : y;
}

/* Without an arrow: letters that stand once, in the order of the alphabet. */
static void implied(const term *t, int32_t count, term *out)
{
    for (char c = 'A'; c <= 'z'; c++) {
        int32_t times = 0;
        for (int32_t i = 0; i < count; i++)
            for (int32_t k = 0; k < t[i].count; k++) times += t[i].letter[k] == c;
        bool kept = times == 1 || (times > 0 && c <= 'Z');
        if (kept && out->count < ROB_ONNX_RANK) out->letter[out->count++] = c;
    }
}

static int32_t capitals(const term *t)
{
    int32_t n = 0;
    for (int32_t i = 0; i < t->count; i++) n += t->letter[i] <= 'Z';
    return n;
}

/* The letters of the result: behind the arrow, or implied. */
static bool read_result(const char *at, const term *t, int32_t ins, term *to)
{
    int32_t most = 0, named = 0;
    if (strncmp(at, "->", 2) != 0) {
        implied(t, ins, to);
        return *at == '\0';
    }
    at += 2;
    for (int32_t k = 0; k < ins; k++)
        most = capitals(&t[k]) > most ? capitals(&t[k]) : most;
    for (const char *p = at; *p; p++) named += *p >= 'a' && *p <= 'z';
    return read_term(&at, strstr(at, "...") ? named + most : named, to) && *at == '\0';
}

static bool read_equation(const char *at, const rob_value *in, int32_t ins, term *t,
                          term *to)
{
    for (int32_t k = 0; k < ins; k++)
        if (!read_term(&at, in[k].rank, &t[k]) || (k + 1 < ins && *at++ != ','))
            return false;
    if (!read_result(at, t, ins, to)) return false;
    for (int32_t k = 0; k < to->count; k++)
        if (place_of(to, to->letter[k]) != k
            || (place_of(&t[0], to->letter[k]) < 0 && place_of(&t[1], to->letter[k]) < 0))
            return false;
    return true;
}

static void op_einsum(rob_machine *m, const rob_value *in, int32_t ins, rob_value *out,
                      int32_t outs)
{
    (void)outs;
    term t[2] = { 0 }, to = { 0 };
    if (!read_equation(o_text(m, "equation", ""), in, ins, t, &to)) {
        o_fail(m, ROB_EUNSUPPORTED, "equation '%.60s'", o_text(m, "equation", ""));
        return;
    }
    rob_value part[2] = { in[0], in[1] };
    for (int32_t k = 0; k < ins && !o_failed(m); k++) {
        part[k] = diagonal(m, part[k], &t[k]);
        if (!o_failed(m)) part[k] = sum_alone(m, part[k], &t[k], &t[1 - k], &to);
    }
    if (o_failed(m)) return;
    out[0] = ins == 1 ? arranged(m, &part[0], &t[0], &to)
                      : contract(m, part[0], &t[0], part[1], &t[1], &to);
}

const rob_onnx_entry rob_priv_onnx_products[] = {
    { "MatMul", 2, 2, op_matmul },
    { "Gemm", 2, 3, op_gemm },
    { "Einsum", 1, 2, op_einsum },
    { NULL, 0, 0, NULL },
};
