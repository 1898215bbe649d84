/* method.c -- the attacks by name, and their options.
 */
#include "attack/nearest.h"

#include <math.h>
#include <string.h>

/* clang-format off */
/* Every method has these. */
#define COMMON                                                                         \
    { "search", 40, 1, 1000, "evaluations", "line search to the boundary, at most" },  \
    { "overshoot", 1e-4, 0, 1, "share", "how much beyond the boundary to report" },    \
    { "precision", 32, 32, 64, "bits", "of gradients: 32, or 64 for any above 32" },   \
    { "seed", 0, 0, 9007199254740992.0, "", "added to the context's seed" }
/* clang-format on */

static const rob_option fgsm_options[] = {
    { "steps", 60, 1, 1000, "evaluations",
      "sizes tried along the direction, x 1.5 each" },
    COMMON
};
static const rob_option pgd_options[] = {
    { "steps", 40, 1, 1e6, "gradients", "of one descent" },
    { "step", 0, 0, 10, "radius", "length of a step; 0: falling from 1/2 to 1/50" },
    { "restarts", 1, 1, 64, "",
      "descents a series; all but the first start at random" },
    { "momentum", 0, 0, 1, "share", "of the slopes before, kept in a step's direction" },
    { "radii", 12, 1, 100, "", "radii tried for a distance" },
    { "stop", 0, 0, 1, "", "1: leave a series at the first failing point (margins)" },
    COMMON
};
static const rob_option apgd_options[] = {
    { "steps", 100, 1, 1e6, "gradients", "of one descent" },
    { "restarts", 1, 1, 64, "",
      "descents a series and target; all but the first start at random" },
    { "targets", 1, 1, 64, "", "classes gone for, nearest first; 1: whichever is" },
    { "radii", 12, 1, 100, "", "radii tried for a distance" },
    { "stop", 0, 0, 1, "", "1: leave a series at the first failing point (margins)" },
    COMMON
};
static const rob_option square_options[] = {
    { "queries", 5000, 1, 1e8, "evaluations", "of one search, for a distance over `radii`" },
    { "restarts", 1, 1, 64, "", "searches a series" },
    { "radii", 12, 1, 100, "", "radii tried for a distance" },
    { "stop", 0, 0, 1, "", "1: leave a series at the first failing point (margins)" },
    COMMON
};
static const rob_option deepfool_options[] = {
    { "steps", 50, 1, 1e6, "gradients", "of one search" },
    { "candidates", 10, 1, 64, "", "groups (classes) tried, most promising first" },
    COMMON
};
static const rob_option auto_options[] = {
    { "second", 0, 0, 1, "", "1: the factor of second order of every answer" },
    { "calls", 300, 4, 1e9, "gradients", "a series, all searches together" },
    { "searches", 0, 0, 64, "", "started a series; 0: by the groups, one for 150 calls" },
    { "others", 64, 0, 1e6, "series", "of the query looked at for a start; 0: none" },
    COMMON
};

static const rob_option hopskipjump_options[] = {
    { "queries", 5000, 64, 1e9, "evaluations", "a series, the line search not counted" },
    { "directions", 100, 4, 1e6, "", "of the first estimate; times sqrt(k) in round k" },
    COMMON
};
static const rob_option boundary_options[] = {
    { "queries", 5000, 64, 1e9, "evaluations", "a series, the line search not counted" },
    COMMON
};
static const rob_option warp_options[] = {
    { "width", 3, 0, 1e6, "steps", "largest move in time" },
    { "steps", 40, 1, 1e6, "gradients", "of one descent" },
    { "restarts", 3, 1, 64, "", "descents a series; all but two start at random" },
    { "rounds", 10, 1, 100, "", "widths tried for a distance" },
    { "precision", 32, 32, 64, "bits", "of gradients: 32, or 64 for any above 32" }
};
static const rob_option universal_options[] = {
    { "passes", 30, 1, 1e6, "", "over the series, in one descent" },
    { "batch", 16, 1, 1e6, "series", "of one step" },
    { "restarts", 12, 1, 64, "",
      "descents: from zero, from minimum-norm steps, then from random points" },
    { "minimum", 8, 0, 1000, "", "passes of minimum-norm steps before the second" },
    { "shift", 0, 0, 1, "", "1: wherever in its period the perturbation starts" },
    { "stride", 0, 0, 1e9, "steps", "between windows of one recording; 0: not so" },
    { "confidence", 0.95, 1e-9, 0.999999999, "", "of the interval of \"fooled\"" },
    { "precision", 32, 32, 64, "bits", "of gradients: 32, or 64 for any above 32" },
    { "seed", 0, 0, 9007199254740992.0, "", "added to the context's seed" }
};

/* clang-format off */
/* Minimum-norm searches by a rule (nearest.c). */
#define SEARCH(most)                                                                   \
    { "steps", most, 1, 1e6, "gradients", "of one search" },                           \
    { "restarts", 1, 1, 64, "", "searches a series; all but the first start at random" }, \
    { "start", 0, 0, 1, "", "of restarts: 0 random, 1 along the largest curvature" },  \
    { "patience", 0, 0, 1e6, "gradients", "without a nearer point; 0: to the end" }
/* clang-format on */

static const rob_option ddn_options[] = {
    SEARCH(200),
    { "rate", 1, 1e-6, 10, "eps", "first step, over the length" },
    { "shrink", 0.05, 1e-6, 0.9, "share", "of the length a step may change it at first" },
    COMMON
};
static const rob_option fmn_options[] = {
    SEARCH(200),
    { "rate", 1, 1e-6, 10, "eps", "first step, over the radius" },
    { "shrink", 0.05, 1e-6, 0.9, "share", "of the radius a step may change it at first" },
    COMMON
};

static const rob_option cw_options[] = {
    SEARCH(300),
    { "rounds", 6, 1, 100, "", "weights tried, in equal shares of the steps" },
    { "rate", 0.5, 1e-6, 10, "distance", "length of the first step of a round" },
    COMMON
};
static const rob_option ead_options[] = {
    SEARCH(300),
    { "rounds", 6, 1, 100, "", "weights tried, in equal shares of the steps" },
    { "rate", 0.1, 1e-6, 1, "", "first step of a round" },
    { "sparse", 0.1, 0, 1e6, "", "weight of the L1 norm" },
    COMMON
};
static const rob_option fab_options[] = {
    SEARCH(100),
    { "candidates", 10, 1, 64, "", "groups (classes) tried, most promising first" },
    COMMON
};

double rob_priv_attack_option(const rob_attack *a, const char *name)
{
    return rob_priv_option_get(a->method->option, a->method->options, a->option, name);
}

static int64_t count_option(const rob_attack *a, const char *name)
{
    return (int64_t)rob_priv_attack_option(a, name);
}

static int64_t most_groups(const rob_query *q)
{
    int64_t most = 1;
    for (int64_t i = 0; i < q->count; i++)
        if (q->cases[i].spec.groups > most) most = q->cases[i].spec.groups;
    return most;
}

static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- single methods -------------------------------------------------------------- */

static int32_t one(const rob_attack *a, const rob_query *q)
{
    (void)a;
    (void)q;
    return 1;
}

static int32_t restarts(const rob_attack *a, const rob_query *q)
{
    (void)q;
    return (int32_t)count_option(a, "restarts");
}

static int32_t candidates(const rob_attack *a, const rob_query *q)
{
    return (int32_t)at_most(count_option(a, "candidates"), most_groups(q));
}

static int32_t candidates_and_restarts(const rob_attack *a, const rob_query *q)
{
    return candidates(a, q) * restarts(a, q);
}

/* restarts of each target */
static int32_t each_target(const rob_attack *a, const rob_query *q)
{
    int64_t targets = at_most(count_option(a, "targets"), most_groups(q));
    return (int32_t)(count_option(a, "restarts") * targets);
}

static rob_status deepfool_distance(rob_hunt *h)
{
    return rob_priv_linear_search(h, count_option(h->attack, "steps"));
}

rob_status rob_priv_draw_into_ball(rob_hunt *h)
{
    rob_status status = ROB_OK;
    for (int64_t k = 0; k < h->lanes; k++) {
        rob_lane *l = &h->lane[k];
        if (l->best_norm < INFINITY)
            memcpy(l->delta, l->best,
                   (size_t)rob_priv_lane_size(h, l) * sizeof *l->best);
        rob_priv_lane_project(h, l, h->cap, l->delta);
        l->best_margin = INFINITY;
        l->active = true;
    }
    TRY(rob_priv_hunt_values(h));
    for (int64_t r = 0; r < h->rows && status == ROB_OK; r++) {
        rob_lane *l = h->row[r];
        l->best_margin = l->margin;
        memcpy(l->best, l->delta, (size_t)rob_priv_lane_size(h, l) * sizeof *l->best);
    }
done:
    return status;
}

/* The linear search, with every lane's end drawn into the ball. */
static rob_status deepfool_margin(rob_hunt *h)
{
    rob_status status = ROB_OK;
    TRY(rob_priv_linear_search(h, count_option(h->attack, "steps")));
    if (status == ROB_OK) TRY(rob_priv_draw_into_ball(h));
done:
    return status;
}

static const rob_method methods[] = {
    { "fgsm", fgsm_options, COUNT_OF(fgsm_options), true, one, rob_priv_fast_distance,
      rob_priv_fast_margin, ROB_TAKES_LENGTHS },
    { "pgd", pgd_options, COUNT_OF(pgd_options), true, restarts, rob_priv_pgd_distance,
      rob_priv_pgd_margin,
      ROB_TAKES_ALL },
    { "apgd", apgd_options, COUNT_OF(apgd_options), true, each_target,
      rob_priv_apgd_distance, rob_priv_apgd_margin, ROB_TAKES_LENGTHS },
    { "square", square_options, COUNT_OF(square_options), false, restarts,
      rob_priv_square_distance, rob_priv_square_margin, ROB_TAKES_LENGTHS },
    { "deepfool", deepfool_options, COUNT_OF(deepfool_options), false, candidates,
      deepfool_distance, deepfool_margin, ROB_TAKES_LENGTHS },
    { "ddn", ddn_options, COUNT_OF(ddn_options), true, restarts, rob_priv_ddn_distance,
      rob_priv_ddn_margin, ROB_TAKES_L2 },
    { "fmn", fmn_options, COUNT_OF(fmn_options), true, restarts, rob_priv_fmn_distance,
      rob_priv_fmn_margin,
      ROB_TAKES_ALL },
    { "cw", cw_options, COUNT_OF(cw_options), false, restarts, rob_priv_cw_distance,
      rob_priv_cw_margin, ROB_TAKES_L2 },
    { "ead", ead_options, COUNT_OF(ead_options), false, restarts, rob_priv_ead_distance,
      rob_priv_ead_margin, ROB_TAKES_L1 },
    { "fab", fab_options, COUNT_OF(fab_options), false, candidates_and_restarts,
      rob_priv_fab_distance, rob_priv_fab_margin, ROB_TAKES_LENGTHS },
    { "auto", auto_options, COUNT_OF(auto_options), false, rob_priv_auto_searches,
      rob_priv_auto_distance, rob_priv_auto_margin, ROB_TAKES_LENGTHS },
    { "hopskipjump", hopskipjump_options, COUNT_OF(hopskipjump_options), false, one,
      rob_priv_hopskipjump_distance, rob_priv_hopskipjump_margin, ROB_TAKES_LENGTHS },
    { "boundary", boundary_options, COUNT_OF(boundary_options), false, one,
      rob_priv_boundary_distance, rob_priv_boundary_margin, ROB_TAKES_LENGTHS },
    { "warp", warp_options, COUNT_OF(warp_options), false, restarts,
      rob_priv_warp_distance, rob_priv_warp_margin, ROB_TAKES_ALL },
    { "universal", universal_options, COUNT_OF(universal_options), false, one, NULL,
      NULL, ROB_TAKES_LENGTHS },
};

const rob_method *rob_priv_attack_method(const char *name)
{
    for (int64_t k = 0; k < COUNT_OF(methods); k++)
        if (strcmp(methods[k].name, name) == 0) return &methods[k];
    return NULL;
}

const rob_method *rob_priv_attack_methods(int64_t *count)
{
    *count = COUNT_OF(methods);
    return methods;
}

bool rob_priv_method_takes(const rob_method *m, int32_t norm)
{
    int32_t bit = norm == ROB_NORM_L0   ? ROB_TAKES_L0
                  : norm == ROB_NORM_L1 ? ROB_TAKES_L1
                  : norm == ROB_NORM_L2 ? ROB_TAKES_L2
                                        : ROB_TAKES_LINF;
    return (m->norms & bit) != 0;
}
