/* option.c -- the methods of bounds and their options, by name.
 *
 * One table says each option's name, default, least and largest value, unit and meaning; it
 * checks what is set and words the error. The header robust/bound.h is the manual.
 */
#include "bound/solve.h"

const char *const rob_priv_bound_method[ROB_BOUND_METHODS] = {
    "interval", "zonotope", "crown", "alpha", "branch", "auto"
};

const rob_option rob_priv_bound_option[ROB_BOUND_OPTIONS] = {
    {"steps", 0, 0, 1e9, "steps",
     "time steps back-substituted before known ranges are used; 0: all, and the method "
     "auto chooses"},
    {"symbols", 0, 0, 1e9, "noises",
     "most noises of affine forms; 0: six steps' and a thousand"},
    {"tolerance", 1e-3, 1e-9, 1, "", "relative width of the last bracket of a radius"},
    {"calls", 60, 2, 1e6, "", "most bounds computed for one radius"},
    {"choices", 40, 1, 1e6, "", "alpha: substitutions that choose planes for one row"},
    {"rounds", 1, 0, 1e6, "", "alpha: times that ranges are chosen for and made again"},
    {"chosen", 100, 0, 1e9, "numbers", "alpha: ranges chosen for in a round"},
    {"enough", 0, -1e300, 1e300, "", "alpha: a margin above which nothing is improved"},
    {"seconds", 1e9, 0, 1e9, "s", "alpha: time for one series"},
    {"branches", 200, 0, 1e9, "nodes", "branch: parts of the ball looked at for one bound"},
    {"cost", 2e11, 1, 1e300, "multiply-adds",
     "what the method auto may spend on one bound"},
    {"float32", 0, 0, 2, "",
     "1: also prove the margin of evaluation in float32; 2: nothing but that"},
    {"ulps", 4, 0, 1e6, "",
     "what elementary functions in float32 may be off, in units in the last place"},
    {"rings", 8, 1, 1e6, "", "balls that gradients are bounded on, for \"smooth\""},
    {"curvature", 0, 0, 1, "", "1: rob_bound_lipschitz also bounds the margin's Hessian"},
    {"order", 0, 0, 2, "",
     "2: crown, alpha: quadratic bounds of gates, for rows and for `chosen` ranges; 1: "
     "none; 0: 2 with alpha, branch, and auto on small Elman nets, 1 with others"},
    {"joint", 1, 0, 1, "",
     "1: planes of gates on the joint domain of their inputs, 0: on their box"},
    {"gain", 1e-4, 0, 1, "",
     "crown, alpha: least share that sweeps of a step's ranges are to win on affine forms"},
    {"cuts", 400, 0, 1e5, "", "rob_bound_universal: times that the ball is cut"},
    {"parts", 64, 0, 1e5, "",
     "rob_bound_universal, at most 8 coordinates: parts of the ball bounded anew"},
};
