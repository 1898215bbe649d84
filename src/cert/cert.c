/* cert.c -- certificates as bytes: words of eight bytes, least significant first.
 *
 *     "robcert2", the network's digest (4 words),
 *     steps, features, outputs, norm, parts, eps,
 *     x, and as parts say: 1 scale, 2 low and high, 4 budget,
 *     rows, groups, c, b, group, margin,
 *     cuts, each: at, where (robcert1: none), depth of each row in each part,
 *     claims, each: part (robcert1: none), kind, row, loop, step, node, ins, depth, first, count, numbers,
 *     SHA-256 of all bytes before (4 words).
 *
 * Integers in two's complement, numbers as IEEE 754 binary64. The digest at the end
 * tells damage from lies; lies are for src/check. docs/theory/certificate.md.
 */
#include "cert/cert.h"

#include <math.h>
#include <string.h>

/* The first knew claims of the first two kinds only. */
static const char MAGIC[8] = "robcert2", FIRST[8] = "robcert1";
enum { SCALE = 1, WALLS = 2, BUDGET = 4, PARTS = 7, CLAIM_WORDS = 10, WORD = 8 };
enum { DIGEST_WORDS = ROB_CERT_DIGEST / WORD };

bool rob_priv_cert_knows(const char *op)
{
    static const char *const names[] = { "tanh", "sigmoid", "relu", "sigtanh",
                                         "sigmul", "blend", "mul", "gelu", "max" };
    for (int64_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(names[i], op) == 0) return true;
    return false;
}

int64_t rob_priv_claim_size(const rob_claim *c)
{
    const int64_t each[ROB_CLAIM_KINDS] = { 0, 2, 2 * ((int64_t)c->ins + 1),
                                            2 * ((int64_t)c->ins + 3), 2 + (int64_t)c->ins, 3 };
    return c->count * each[c->kind];
}

/* ---- in memory ------------------------------------------------------------------- */

rob_claim *rob_priv_cert_add(rob_cert *c, const rob_claim *claim)
{
    if (c->claims == c->capacity) {
        int64_t capacity = 2 * c->capacity + 64;
        rob_claim *more = rob_priv_grow(&c->memory, c->claim, c->claims, capacity,
                                        (int64_t)sizeof *more);
        if (more == NULL) return NULL;
        c->claim = more;
        c->capacity = capacity;
    }
    rob_claim *to = &c->claim[c->claims];
    *to = *claim;
    to->at = rob_priv_allocate(&c->memory, rob_priv_claim_size(claim) + 1,
                               (int64_t)sizeof *to->at);
    if (to->at == NULL) return NULL;
    c->claims++;
    return to;
}

void rob_priv_cert_forget(rob_cert *c, int64_t claims)
{
    while (c->claims > claims) rob_priv_release(&c->memory, c->claim[--c->claims].at);
}

bool rob_priv_cert_cut(rob_cert *c, int64_t at, double where)
{
    if (c->cuts == c->cut_capacity) {
        int64_t capacity = 2 * c->cut_capacity + 16;
        rob_cut *more = rob_priv_grow(&c->memory, c->cut, c->cuts, capacity,
                                      (int64_t)sizeof *more);
        if (more == NULL) return false;
        c->cut = more;
        c->cut_capacity = capacity;
    }
    c->cut[c->cuts++] = (rob_cut){ at, where };
    c->parts += at < 0;
    return true;
}

bool rob_priv_cert_depths(rob_cert *c, int64_t parts)
{
    int64_t *more = rob_priv_grow(&c->memory, c->depth, c->parts * c->rows,
                                  parts * c->rows + 1, (int64_t)sizeof *more);
    if (more == NULL) return false;
    c->depth = more;
    return true;
}

static bool reserve(const rob_memory *m, double **p, int64_t count)
{
    *p = rob_priv_allocate(m, count + 1, (int64_t)sizeof **p);
    return *p != NULL;
}

bool rob_priv_cert_room(rob_cert *c, bool scale, bool walls, bool budget)
{
    const rob_memory *m = &c->memory;
    const int64_t n = c->steps * c->features;
    c->group = rob_priv_allocate(m, c->rows + 1, (int64_t)sizeof *c->group);
    return c->group != NULL && reserve(m, &c->x, n)
           && (!scale || reserve(m, &c->scale, n))
           && (!walls || (reserve(m, &c->low, n) && reserve(m, &c->high, n)))
           && (!budget || reserve(m, &c->budget, c->steps))
           && reserve(m, &c->c, c->rows * c->outputs) && reserve(m, &c->b, c->rows);
}

void rob_priv_cert_clear(rob_cert *c)
{
    void *const all[] = { c->x, c->scale, c->low, c->high, c->budget, c->c, c->b,
                          c->group, c->depth, c->cut };
    for (int64_t i = 0; i < COUNT_OF(all); i++) rob_priv_release(&c->memory, all[i]);
    for (int64_t i = 0; i < c->claims; i++) rob_priv_release(&c->memory, c->claim[i].at);
    rob_priv_release(&c->memory, c->claim);
    *c = (rob_cert){ .memory = c->memory };
}

/* ---- printing -------------------------------------------------------------------- */

typedef struct pen { uint8_t *at; } pen;

static void put_integer(pen *p, int64_t v)
{
    for (int i = 0; i < WORD; i++) *p->at++ = (uint8_t)((uint64_t)v >> 8 * i);
}

static void put_numbers(pen *p, const double *v, int64_t count)
{
    for (int64_t i = 0; v != NULL && i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &v[i], sizeof bits);
        put_integer(p, (int64_t)bits);
    }
}

static int64_t words_of(const rob_cert *c)
{
    int64_t n = c->steps * c->features;
    int64_t words = 1 + 2 * DIGEST_WORDS + 6 + n * (1 + (c->scale != NULL))
                    + (c->low != NULL ? 2 * n : 0) + (c->budget ? c->steps : 0) + 2
                    + c->rows * (c->outputs + 2 + c->parts) + 3 + 2 * c->cuts;
    for (int64_t i = 0; i < c->claims; i++)
        words += CLAIM_WORDS + rob_priv_claim_size(&c->claim[i]);
    return words;
}

static void put_claim(pen *p, const rob_claim *c)
{
    const int64_t head[CLAIM_WORDS] = { c->part, c->kind, c->row, c->loop, c->step, c->node,
                                        c->ins, c->depth, c->first, c->count };
    for (int i = 0; i < CLAIM_WORDS; i++) put_integer(p, head[i]);
    put_numbers(p, c->at, rob_priv_claim_size(c));
}

rob_status rob_priv_cert_print(rob_ctx *ctx, const rob_cert *c, rob_bytes *out)
{
    const int64_t n = c->steps * c->features, count = words_of(c) * WORD;
    const int64_t parts = (c->scale ? SCALE : 0) | (c->low ? WALLS : 0)
                          | (c->budget ? BUDGET : 0);
    const int64_t head[] = { c->steps, c->features, c->outputs, c->norm, parts };
    uint8_t *bytes = rob_priv_allocate(&ctx->memory, count, 1);
    if (bytes == NULL) return rob_priv_no_memory(ctx);
    pen p = { bytes };
    memcpy(p.at, MAGIC, sizeof MAGIC);
    memcpy(p.at + sizeof MAGIC, c->digest, ROB_CERT_DIGEST);
    p.at += sizeof MAGIC + ROB_CERT_DIGEST;
    for (int64_t i = 0; i < COUNT_OF(head); i++) put_integer(&p, head[i]);
    put_numbers(&p, &c->eps, 1);
    put_numbers(&p, c->x, n);
    put_numbers(&p, c->scale, n);
    put_numbers(&p, c->low, n);
    put_numbers(&p, c->high, n);
    put_numbers(&p, c->budget, c->steps);
    put_integer(&p, c->rows);
    put_integer(&p, c->groups);
    put_numbers(&p, c->c, c->rows * c->outputs);
    put_numbers(&p, c->b, c->rows);
    for (int64_t r = 0; r < c->rows; r++) put_integer(&p, c->group[r]);
    put_numbers(&p, &c->margin, 1);
    put_integer(&p, c->cuts);
    for (int64_t i = 0; i < c->cuts; i++) {
        put_integer(&p, c->cut[i].at);
        put_numbers(&p, &c->cut[i].where, 1);
    }
    for (int64_t i = 0; i < c->parts * c->rows; i++) put_integer(&p, c->depth[i]);
    put_integer(&p, c->claims);
    for (int64_t i = 0; i < c->claims; i++) put_claim(&p, &c->claim[i]);
    rob_sha256 s;
    rob_priv_sha256_begin(&s);
    rob_priv_sha256_add(&s, bytes, p.at - bytes);
    rob_priv_sha256_end(&s, p.at);
    *out = (rob_bytes){ bytes, count };
    return ROB_OK;
}

/* ---- parsing --------------------------------------------------------------------- */

typedef struct reader {
    const uint8_t *at, *end;
    int32_t kinds;                /* of claims, that the format has */
    bool bad;                     /* read behind the end, or a number out of place */
} reader;

static int64_t left_in(const reader *r) { return (r->end - r->at) / WORD; }

static int64_t get_integer(reader *r, int64_t least, int64_t most)
{
    if (r->bad || left_in(r) < 1) {
        r->bad = true;
        return least;
    }
    int64_t v = (int64_t)rob_priv_io_word(r->at, WORD, false);
    r->at += WORD;
    if (v >= least && v <= most) return v;
    r->bad = true;
    return least;
}

/* Finite ones, but where `infinite` is set. */
static void get_numbers(reader *r, double *v, int64_t count, bool infinite)
{
    if (v == NULL) return;
    if (r->bad || left_in(r) < count) r->bad = true;
    for (int64_t i = 0; !r->bad && i < count; i++, r->at += WORD) {
        v[i] = rob_priv_io_f64(rob_priv_io_word(r->at, WORD, false));
        if (infinite ? isnan(v[i]) : !isfinite(v[i])) r->bad = true;
    }
}

static void get_sizes(reader *r, rob_cert *c, int64_t *parts)
{
    const int64_t most = left_in(r);
    c->steps = get_integer(r, 1, most);
    c->features = get_integer(r, 1, most / c->steps);
    c->outputs = get_integer(r, 1, most);
    c->norm = (int32_t)get_integer(r, 0, INT32_MAX);
    *parts = get_integer(r, 0, PARTS);
    get_numbers(r, &c->eps, 1, false);
    if (c->norm != ROB_NORM_L1 && c->norm != ROB_NORM_L2 && c->norm != ROB_NORM_LINF)
        r->bad = true;
    if (!(c->eps >= 0)) r->bad = true;
}

/* Rows and groups stand behind the region. */
static void get_rows(reader *r, rob_cert *c, int64_t parts)
{
    const int64_t n = c->steps * c->features;
    reader ahead = *r;
    int64_t numbers = n * (1 + (parts & SCALE ? 1 : 0) + (parts & WALLS ? 2 : 0))
                      + (parts & BUDGET ? c->steps : 0);
    if (r->bad || left_in(r) < numbers + 2) {
        r->bad = true;
        return;
    }
    ahead.at += numbers * WORD;
    c->rows = get_integer(&ahead, 1, left_in(&ahead) / c->outputs);
    c->groups = get_integer(&ahead, 1, c->rows);
    r->bad = ahead.bad;
}

static void get_statement(reader *r, rob_cert *c)
{
    const int64_t n = c->steps * c->features;
    get_numbers(r, c->x, n, false);
    get_numbers(r, c->scale, n, false);
    get_numbers(r, c->low, n, true);
    get_numbers(r, c->high, n, true);
    get_numbers(r, c->budget, c->steps, true);
    get_integer(r, c->rows, c->rows);
    get_integer(r, c->groups, c->groups);
    get_numbers(r, c->c, c->rows * c->outputs, false);
    get_numbers(r, c->b, c->rows, false);
    for (int64_t i = 0; i < c->rows; i++)
        c->group[i] = (int32_t)get_integer(r, 0, c->groups - 1);
    if (r->kinds > ROB_CLAIM_PLANES) get_numbers(r, &c->margin, 1, false);
    for (int64_t i = 0; c->scale != NULL && i < n; i++)
        if (c->scale[i] < 0) r->bad = true;
    for (int64_t i = 0; c->budget != NULL && i < c->steps; i++)
        if (c->budget[i] < 0) r->bad = true;
}

/* Nodes in preorder: as many parts are wanted, after each, as cuts had two of; none is left
 * at the end, and not before. False: no memory. */
static bool get_tree(reader *r, rob_cert *c)
{
    const bool first = r->kinds == ROB_CLAIM_PLANES;
    const int64_t cuts = first ? 1 : get_integer(r, 1, left_in(r) / 2);
    int64_t open = 1;
    for (int64_t i = 0; i < cuts && !r->bad; i++) {
        int64_t at = first ? -1 : get_integer(r, -1, c->steps * c->features - 1);
        double where = 0;
        if (!first) get_numbers(r, &where, 1, false);
        if (!rob_priv_cert_cut(c, at, where)) return false;
        open += at < 0 ? -1 : 1;
        if ((open == 0) != (i + 1 == cuts)) r->bad = true;
    }
    if (r->bad || c->parts > left_in(r) / c->rows) {
        r->bad = true;
        return true;
    }
    if (!rob_priv_cert_depths(c, c->parts)) return false;
    for (int64_t i = 0; i < c->parts * c->rows; i++) c->depth[i] = get_integer(r, 0, INT32_MAX);
    if (first) get_numbers(r, &c->margin, 1, false);
    return true;
}

static bool get_claim(reader *r, rob_cert *c)
{
    const bool first = r->kinds == ROB_CLAIM_PLANES;
    rob_claim k = { .part = first ? 0 : (int32_t)get_integer(r, 0, c->parts - 1) };
    k.kind = (int32_t)get_integer(r, 1, r->kinds);
    k.row = (int32_t)get_integer(r, -1, INT32_MAX);
    k.loop = (int32_t)get_integer(r, -1, INT32_MAX);
    k.step = (int32_t)get_integer(r, -1, INT32_MAX);
    k.node = (int32_t)get_integer(r, 0, INT32_MAX);
    k.ins = (int32_t)get_integer(r, 0, k.kind == ROB_CLAIM_PLANES ? 3 : INT32_MAX);
    k.depth = get_integer(r, 0, INT32_MAX);
    k.first = get_integer(r, 0, INT32_MAX);
    k.count = get_integer(r, 1, left_in(r));
    if (r->bad || k.count > left_in(r) / (k.ins + 1) || rob_priv_claim_size(&k) > left_in(r)) {
        r->bad = true;
        return true;
    }
    rob_claim *to = rob_priv_cert_add(c, &k);
    if (to == NULL) return false;
    get_numbers(r, to->at, rob_priv_claim_size(&k), false);
    return true;
}

/* A group without a row would be safe by saying nothing: they stand in order, none is
 * left out. */
static bool every_group_has_a_row(const rob_cert *c)
{
    int32_t last = -1;
    for (int64_t r = 0; r < c->rows; r++) {
        if (c->group[r] != last && c->group[r] != last + 1) return false;
        last = c->group[r];
    }
    return last == c->groups - 1;
}

static bool is_whole(const uint8_t *bytes, int64_t count)
{
    rob_sha256 s;
    uint8_t digest[ROB_CERT_DIGEST];
    rob_priv_sha256_begin(&s);
    rob_priv_sha256_add(&s, bytes, count - ROB_CERT_DIGEST);
    rob_priv_sha256_end(&s, digest);
    return memcmp(digest, bytes + count - ROB_CERT_DIGEST, ROB_CERT_DIGEST) == 0;
}

static rob_status read_all(rob_ctx *ctx, reader *r, const char *path, rob_cert *c)
{
    rob_status status = ROB_OK;
    int64_t parts = 0;
    get_sizes(r, c, &parts);
    if (!r->bad) get_rows(r, c, parts);
    CHECK(!r->bad, ctx, ROB_EFORMAT, "%s: sizes or radius of the certificate make no sense",
          path);
    CHECK(rob_priv_cert_room(c, parts & SCALE, parts & WALLS, parts & BUDGET), ctx,
          ROB_EMEMORY, "%s: out of memory for the certificate", path);
    get_statement(r, c);
    CHECK(r->bad || get_tree(r, c), ctx, ROB_EMEMORY, "%s: out of memory for the parts", path);
    int64_t claims = get_integer(r, 0, left_in(r));
    for (int64_t i = 0; i < claims && !r->bad; i++)
        CHECK(get_claim(r, c), ctx, ROB_EMEMORY, "%s: out of memory for claim %lld", path,
              (long long)i);
    CHECK(!r->bad, ctx, ROB_EFORMAT,
          "%s: claim %lld of the certificate, or what stands before it, is out of place",
          path, (long long)c->claims);
    CHECK(r->at == r->end && every_group_has_a_row(c), ctx, ROB_EFORMAT,
          "%s: %s", path, r->at == r->end ? "groups of the certificate are not in order, or one has no row"
                                          : "something follows the last claim");
done:
    return status;
}

rob_status rob_priv_cert_parse(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                               const char *path, rob_cert *out)
{
    rob_status status = ROB_OK;
    const int64_t head = (int64_t)sizeof MAGIC + ROB_CERT_DIGEST;
    *out = (rob_cert){ .memory = ctx->memory };
    const bool now = count >= WORD && memcmp(bytes, MAGIC, sizeof MAGIC) == 0;
    CHECK(now || (count >= WORD && memcmp(bytes, FIRST, sizeof FIRST) == 0), ctx, ROB_EFORMAT,
          "%s is no certificate: it begins neither with robcert2 nor with robcert1", path);
    CHECK(count % WORD == 0 && count >= head + ROB_CERT_DIGEST && is_whole(bytes, count),
          ctx, ROB_EFORMAT, "%s is damaged or cut: its digest does not fit its %lld bytes",
          path, (long long)count);
    memcpy(out->digest, bytes + sizeof MAGIC, ROB_CERT_DIGEST);
    reader r = { bytes + head, bytes + count - ROB_CERT_DIGEST,
                 now ? ROB_CLAIM_KINDS - 1 : ROB_CLAIM_PLANES, false };
    TRY(read_all(ctx, &r, path, out));
done:
    if (status < ROB_OK) rob_priv_cert_clear(out);
    return status;
}
