/* plane_pull.c -- rows of coefficients moved through maps of elements.
 *
 * A row says  sum_e L_e y_e + base. With y_e = scale x_{from(e)} it becomes
 * sum_j L'_j x_j + base, L'_j = sum of scale L_e over from(e) = j, in floating point.
 * The coefficients are whatever came out; a product costs |c| u max|x_j|, an addition
 * to a coefficient that is there already |sum| u max|x_j| (nothing when one of the two
 * terms is zero). Reference: docs/theory/relax.md 4.
 */
#include "op/plane.h"

void rob_priv_pull_map(const rob_rows *out, rob_rows *in, const rob_range *value,
                       double scale, double *loss, const rob_node *n, rob_source *from,
                       const void *user)
{
    bool exact = fabs(scale) == 1;
    for (int64_t r = 0; r < out->rows; r++) {
        double cost = 0;
        for (int64_t e = 0; e < out->cols; e++) {
            int64_t j = from ? from(n, user, e) : e;
            double c = out->at[r * out->cols + e] * scale;
            if (out->at[r * out->cols + e] != 0)
                cost += rob_priv_row_add(&in->at[r * in->cols + j], c, exact,
                                         rob_priv_range_most(value, j))
                        + (c == 0 ? ROB_TINY * rob_priv_range_most(value, j) : 0);
        }
        rob_priv_row_charge(&loss[r], cost, 2 * out->cols);
    }
}

void rob_priv_pull_gather(const rob_rows *out, rob_rows *in, const rob_range *value,
                          double *loss, const rob_node *n, rob_source *from,
                          const void *user)
{
    for (int64_t r = 0; r < out->rows; r++) {
        double cost = 0;
        for (int64_t j = 0; j < in->cols; j++)
            cost += rob_priv_row_add(&in->at[r * in->cols + j],
                                     out->at[r * out->cols + from(n, user, j)], true,
                                     rob_priv_range_most(value, j));
        rob_priv_row_charge(&loss[r], cost, in->cols);
    }
}

void rob_priv_pull_shift(const rob_rows *out, double shift, double *base, double *loss)
{
    for (int64_t r = 0; r < out->rows && shift != 0; r++) {
        double sum = 0, size = 0;
        for (int64_t e = 0; e < out->cols; e++) {
            double c = out->at[r * out->cols + e] * shift;
            sum += c;
            size += fabs(c);
        }
        base[r] += sum;
        rob_priv_row_charge(&loss[r], size * fp_gamma(out->cols + 1)
                            + fabs(base[r]) * ROB_U, out->cols + 4);
    }
}

int64_t rob_priv_broadcast_source(const rob_shape *large, const rob_shape *small,
                                  int64_t e)
{
    int64_t index = 0, stride = 1;
    for (int32_t k = 0; k < large->rank; k++) {
        int64_t dim = large->dim[large->rank - 1 - k], at = e % dim;
        int64_t own = k < small->rank ? small->dim[small->rank - 1 - k] : 1;
        e /= dim;
        index += own > 1 ? at * stride : 0;
        stride *= own;
    }
    return index;
}
