/* branch.h -- branch and bound: margin.c asks, branch.c keeps the tree, leaf.c bounds a
 * part, split.c says where it is cut in two. */
#ifndef ROB_BRANCH_H
#define ROB_BRANCH_H

#include "bound/alpha.h"
#include "bound/branch/half.h"

enum { ROB_SPLITS_MOST = 16 };

/* A part of the ball: what half-spaces and splits leave of it, with ranges proved there.
 * Points at which a row of the group exceeds what is sought may be missing. */
typedef struct rob_leaf {
    double value;                 /* some row of the group is at least this */
    int32_t group;
    bool stuck, ranged;           /* nothing more is to be had; ranges were made on it */
    int64_t n, rows, splits;      /* numbers of x; half-spaces of the rows, of splits */
    int64_t fresh;                /* splits since ranges were made */
    double *lo, *up;              /* (range_size) */
    double *half;                 /* (rows + splits, n + 1): a, h */
    rob_turn turn[ROB_SPLITS_MOST];              /* (splits) cell -1: no number */
    double number[];
} rob_leaf;

/* Where a leaf may be cut: a number of a cell, or (cell < 0) along the row. */
typedef struct rob_split { double score, where; int32_t cell; int64_t at; } rob_split;

typedef struct rob_branch {
    rob_work *w;
    rob_halves *halves;
    const rob_demand *demand;
    double sought;                /* a row above this is what a group needs */
    double upper;                 /* a group's rows at a point seen, least over groups */
    rob_work *probe;              /* values at points; ranges are those of a point */
    rob_leaf **leaf;
    int64_t leaves, capacity, numbers;
    int64_t nodes, branches;      /* parts bounded, at most */
    int64_t tried, won;           /* cuts at numbers of x: how often, how often better */
    double *group;                /* (groups) proved */
    double *gain;                 /* split.c: (2, range_size) */
    double **mix;                 /* (groups) mixtures of the first leaf; NULL: none yet */
    double *kept;                 /* mixtures of a leaf while its halves are tried */
    rob_split *candidate;         /* (range_size) scratch */
    double *lo, *up, *plane;      /* (range_size), (plane_size) on the ball */
    double *half;                 /* (2, n + 1) the half-spaces of a split */
    bool gates_only;              /* for tests: no cuts at numbers of x */
    void (*fault)(rob_leaf *leaf);/* for tests: a leaf about to be looked at is spoilt */
} rob_branch;

rob_status rob_priv_branch_open(rob_work *w, int64_t branches, rob_branch **out);
void rob_priv_branch_close(rob_branch *b);
/* What refine left open; row and out become better or stay. */
rob_status rob_priv_branch(rob_branch *b, const rob_demand *d, rob_proof *row,
                           rob_outcome *out);

/* leaf.c. splits: room for so many. */
int64_t rob_priv_leaf_rows(const rob_branch *b, int32_t group);
rob_leaf *rob_priv_leaf_open(rob_branch *b, int32_t group, int64_t splits);
void rob_priv_leaf_close(rob_branch *b, rob_leaf *p);
/* The side of a split, half-space and turn included. */
rob_leaf *rob_priv_leaf_side(rob_branch *b, const rob_leaf *p, const rob_split *s, int side);
/* Ranges, rows, their half-spaces, as often as that pays. */
rob_status rob_priv_leaf_bound(rob_branch *b, rob_leaf *p);
/* The leaf's ranges and planes back into the work; rows bounded once. */
rob_status rob_priv_leaf_recall(rob_branch *b, rob_leaf *p);
/* A side whose parent is in the work, b->kept its mixtures: planes that hang on the split,
 * rows. */
rob_status rob_priv_leaf_glance(rob_branch *b, rob_leaf *p, const rob_split *s, int side,
                                int64_t steps);
/* A group's rows at alpha's point: no bound will exceed the largest. */
void rob_priv_leaf_see(rob_branch *b, int32_t group);
/* Does a half-space of the rows leave out much of the ball? */
bool rob_priv_leaf_is_cut(rob_branch *b, const rob_leaf *p);

/* Mixtures, (2, planes, range_size): bytes of them. */
size_t rob_priv_mix_bytes(const rob_branch *b);

/* split.c: after a row was searched for on the leaf in the work; b->kept, b->half are the
 * split's. *found false: nowhere. */
rob_status rob_priv_split_choose(rob_branch *b, const rob_leaf *leaf, rob_split *s,
                                 bool *found);
/* The half-spaces of its sides; a number of x to cut at. */
rob_status rob_priv_split_halves(rob_branch *b, const rob_split *s);
bool rob_priv_split_input(const rob_branch *b, const rob_leaf *p, rob_split *s);

#endif
