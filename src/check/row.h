/* row.h -- planes of numbers in a row (row.c). */
#ifndef ROB_CHECK_ROW_H
#define ROB_CHECK_ROW_H

#include "check/check.h"

/* One row and one side: n numbers in a box, `per` of the operator with their planes and the
 * ends of their ranges. mean: of the squares, eps: added to it (rmsnorm). room: (6 n). */
typedef struct rob_check_row {
    int64_t n, per;
    const double *lo, *up, *slope, *left, *offset, *right, *limit;
    rob_check_box mean;
    double eps, *room;
    bool above;
} rob_check_row;

/* The first plane that does not follow; -1: all do. */
int64_t rob_priv_check_row_fault(int32_t op, const rob_check_row *r);
/* Of n numbers in a box: the range of the mean square, and of it less <right, x>. */
rob_check_box rob_priv_check_squares(int64_t n, const double *lo, const double *up);
rob_check_box rob_priv_check_squares_rest(int64_t n, const double *lo, const double *up,
                                          const double *right);

#endif
