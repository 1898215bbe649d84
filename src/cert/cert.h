/* cert.h -- what a certificate says, as it stands in memory and in a file.
 *
 * Nothing in here is believed: src/bound writes it, src/check proves it. A value of the
 * network is named by (loop, step, node): node is its id in the model's graph (loop -1,
 * step -1) or in the body of the scan `loop` at its step-th turn; numbers of it count in
 * row-major order. docs/theory/certificate.md has the file format.
 */
#ifndef ROB_CERT_H
#define ROB_CERT_H

#include "io/io.h"
#include <robust/query.h>

enum { ROB_CERT_DIGEST = 32 };

/* RANGE: lo (count), up (count); depth: turns of loops a row goes back (0: all).
 * PLANES: below, then above: slopes (ins, count), offsets (count); ins counts operands
 * that depend on x. row -1: planes for all; else for that row of the specification.
 * ROWS: of softmax and the like, with rows of ins numbers for each of count: below, then
 * above: slopes, lefts, offsets (count), right (ins, count).
 * STRIP: lo <= y - m x <= up of a gate's inputs x, y (the blend's: z, h - n): m, lo, up (count);
 * row tells two apart, 2: of h - n itself, m 0.
 * SQUARES: mean square of count rows: lo, up (count), rho (count, ins); depth as of a range. */
enum { ROB_CLAIM_RANGE = 1, ROB_CLAIM_PLANES = 2, ROB_CLAIM_ROWS = 3, ROB_CLAIM_SQUARES = 4,
       ROB_CLAIM_STRIP = 5, ROB_CLAIM_KINDS = 6 };
typedef struct rob_claim {
    int32_t part, kind, row, loop, step, node, ins;
    int64_t depth, first, count;
    double *at;
} rob_claim;

/* A node of the tree of parts, in preorder: x_at <= where, then x_at >= where; at -1: no
 * further, a part of which claims speak, numbered as they come. */
typedef struct rob_cut { int64_t at; double where; } rob_cut;

/* On the region {x + d}: d_k = s_k u_k, ||u||_norm <= eps, ||u_t||_norm <= budget_t for
 * each step, low <= x + d <= high, every group has a row with c f + b >= margin > 0. */
typedef struct rob_cert {
    rob_memory memory;
    uint8_t digest[ROB_CERT_DIGEST]; /* of the network */
    int64_t steps, features, outputs;
    int32_t norm;
    double eps, *x;               /* (steps features) */
    double *scale, *low, *high;   /* the same; NULL: 1, none, none */
    double *budget;               /* (steps); NULL: none */
    int64_t rows, groups;
    double *c, *b;                /* (rows, outputs), (rows) */
    int32_t *group;               /* (rows) */
    int64_t *depth;               /* (parts, rows) as of a range */
    double margin;
    rob_cut *cut;                 /* (cuts) nodes; one that goes no further: no tree */
    int64_t cuts, cut_capacity, parts;
    rob_claim *claim;
    int64_t claims, capacity;
} rob_cert;

/* One more node; room for depths of so many parts, those there are kept. */
bool rob_priv_cert_cut(rob_cert *c, int64_t at, double where);
bool rob_priv_cert_depths(rob_cert *c, int64_t parts);
/* Numbers a claim has. */
int64_t rob_priv_claim_size(const rob_claim *c);
/* Room for one more claim and its numbers; NULL: no memory. */
rob_claim *rob_priv_cert_add(rob_cert *c, const rob_claim *claim);
/* Claims from number `claims` on are forgotten. */
void rob_priv_cert_forget(rob_cert *c, int64_t claims);
/* Room for the region and the rows of a certificate whose sizes are set. */
bool rob_priv_cert_room(rob_cert *c, bool scale, bool walls, bool budget);
void rob_priv_cert_clear(rob_cert *c);

/* May planes of this operator stand in a certificate? Others count as constants. */
bool rob_priv_cert_knows(const char *op);

/* The network: operators, shapes, attributes and numbers of a graph and its bodies. */
void rob_priv_cert_network(const rob_graph *g, rob_id x, rob_id output,
                           uint8_t digest[ROB_CERT_DIGEST]);

/* Bytes of a file and back; parse refuses what is damaged, cut or no certificate. */
rob_status rob_priv_cert_print(rob_ctx *ctx, const rob_cert *c, rob_bytes *out);
rob_status rob_priv_cert_parse(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                               const char *path, rob_cert *out);

/* FIPS 180-4, in pieces */
typedef struct rob_sha256 {
    uint32_t h[8];
    uint8_t block[64];
    int64_t count;
} rob_sha256;
void rob_priv_sha256_begin(rob_sha256 *s);
void rob_priv_sha256_add(rob_sha256 *s, const void *bytes, int64_t count);
void rob_priv_sha256_end(rob_sha256 *s, uint8_t digest[ROB_CERT_DIGEST]);

#endif
