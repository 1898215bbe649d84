/* joint.h -- octagons of the inputs of gates, from affine forms (joint.c). */
#ifndef ROB_BOUND_JOINT_H
#define ROB_BOUND_JOINT_H

#include "bound/bound.h"

/* Of the gates of one cell, per element: strips lo <= phi - slope.z <= up; the range of
 * the second input; y - m x in rest. */
typedef struct rob_pairs {
    int32_t cell, block;
    double *room, *slope[ROB_MAX_INS], *lo, *up, *second_lo, *second_up;
    double *m[2], *rest_lo[2], *rest_up[2], *base, *rad, *other;
} rob_pairs;

rob_status rob_priv_joint_open(rob_work *w);
void rob_priv_joint_close(rob_work *w);
/* Strips of a curved cell whose planes are made; thinner ones become its planes. False: no
 * memory. */
bool rob_priv_joint_prepare(rob_work *w, int32_t cell);
/* The same from octagons that are there: m, rest_lo, rest_up, second_lo, second_up; strips
 * with less than `share` of the planes' height become planes. */
void rob_priv_joint_replace(rob_work *w, int32_t cell, double share);
/* The strip of element e, if there is one that the joint domain made thinner. */
bool rob_priv_joint_strip(const rob_work *w, int32_t cell, int64_t e, rob_strip *s);

#endif
