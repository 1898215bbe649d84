/* digest.c -- SHA-256, and a network's digest.
 *
 * H_{i+1} = H_i + compress(H_i, block i) on 512-bit blocks, the last padded with a one,
 * zeros and the length. A network is hashed as its graph is built: for every node the
 * operator's name, shape, attributes, operands and numbers, scans with their bodies.
 *
 * Reference: FIPS PUB 180-4, Secure Hash Standard, 2015.
 */
#include "cert/cert.h"
#include "graph/operator.h"

#include <string.h>

static const uint32_t ROUND[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
    0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
    0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
    0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
    0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
    0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
    0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2,
};

static uint32_t turned(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void compress(uint32_t h[8], const uint8_t block[64])
{
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)rob_priv_io_word(block + 4 * i, 4, true);
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (turned(a, 7) ^ turned(a, 18) ^ a >> 3)
               + (turned(b, 17) ^ turned(b, 19) ^ b >> 10);
    }
    memcpy(v, h, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t e = v[4], a = v[0];
        uint32_t t = v[7] + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25))
                     + ((e & v[5]) ^ (~e & v[6])) + ROUND[i] + w[i];
        uint32_t u = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22))
                     + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t;
        v[0] = t + u;
    }
    for (int i = 0; i < 8; i++) h[i] += v[i];
}

void rob_priv_sha256_begin(rob_sha256 *s)
{
    static const uint32_t first[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    memcpy(s->h, first, sizeof first);
    s->count = 0;
}

void rob_priv_sha256_add(rob_sha256 *s, const void *bytes, int64_t count)
{
    const uint8_t *p = bytes;
    while (count > 0) {
        int64_t at = s->count % 64, piece = count < 64 - at ? count : 64 - at;
        memcpy(s->block + at, p, (size_t)piece);
        s->count += piece;
        p += piece;
        count -= piece;
        if (s->count % 64 == 0) compress(s->h, s->block);
    }
}

void rob_priv_sha256_end(rob_sha256 *s, uint8_t digest[ROB_CERT_DIGEST])
{
    uint64_t bits = (uint64_t)s->count * 8;
    uint8_t length[8], one = 0x80, zero = 0;
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)(bits >> (56 - 8 * i));
    rob_priv_sha256_add(s, &one, 1);
    while (s->count % 64 != 56) rob_priv_sha256_add(s, &zero, 1);
    rob_priv_sha256_add(s, length, 8);
    for (int i = 0; i < ROB_CERT_DIGEST; i++)
        digest[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

/* ---- networks -------------------------------------------------------------------- */

static void add_integer(rob_sha256 *s, int64_t v)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)((uint64_t)v >> 8 * i);
    rob_priv_sha256_add(s, bytes, 8);
}

static void add_number(rob_sha256 *s, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    add_integer(s, (int64_t)bits);
}

static void add_graph(rob_sha256 *s, const rob_graph *g);

static void add_scan(rob_sha256 *s, const rob_scan *scan)
{
    const int64_t of[] = { scan->carries, scan->sequences, scan->constants,
                           scan->ys,      scan->reverse,   scan->steps };
    for (int64_t i = 0; i < COUNT_OF(of); i++) add_integer(s, of[i]);
    for (int32_t i = 0; i < scan->carries + scan->sequences + scan->constants; i++)
        add_integer(s, scan->in[i]);
    for (int32_t i = 0; i < scan->carries + scan->ys; i++) add_integer(s, scan->out[i]);
    add_graph(s, scan->body);
}

static void add_node(rob_sha256 *s, const rob_node *n)
{
    rob_priv_sha256_add(s, n->op->name, (int64_t)strlen(n->op->name) + 1);
    add_integer(s, n->shape.rank);
    for (int32_t d = 0; d < n->shape.rank; d++) add_integer(s, n->shape.dim[d]);
    for (int i = 0; i < 6; i++) add_integer(s, n->attr.i[i]);
    for (int i = 0; i < 2; i++) add_number(s, n->attr.x[i]);
    add_integer(s, n->ins);
    for (int32_t i = 0; i < n->ins; i++) add_integer(s, n->in[i]);
    for (int64_t e = 0; n->tensor != NULL && e < rob_priv_shape_size(&n->shape); e++)
        add_number(s, rob_priv_tensor_at(n->tensor, e));
    if (n->scan != NULL) add_scan(s, n->scan);
}

static void add_graph(rob_sha256 *s, const rob_graph *g)
{
    add_integer(s, rob_priv_graph_count(g));
    for (rob_id id = 0; id < rob_priv_graph_count(g); id++) {
        rob_node n = rob_priv_node(g, id);
        add_node(s, &n);
    }
}

void rob_priv_cert_network(const rob_graph *g, rob_id x, rob_id output,
                           uint8_t digest[ROB_CERT_DIGEST])
{
    rob_sha256 s;
    rob_priv_sha256_begin(&s);
    add_integer(&s, x);
    add_integer(&s, output);
    add_graph(&s, g);
    rob_priv_sha256_end(&s, digest);
}
