/* parts.h -- the pieces of a data set shared by the files of this module. */
#ifndef ROB_DATA_PARTS_H
#define ROB_DATA_PARTS_H

#include "data/data.h"
#include "io/io.h"

enum { ROB_CLASSES_CAP = 4096 };

rob_status rob_priv_data_make(rob_ctx *ctx, rob_data **out);
/* Forget the series from `count` on. */
void rob_priv_data_cut(rob_data *d, int64_t count);

rob_status rob_priv_data_option(rob_ctx *ctx, rob_data *d, const char *name,
                                double value);
rob_status rob_priv_data_option_text(rob_ctx *ctx, rob_data *d, const char *name,
                                     const char *value);
double rob_priv_data_value(const rob_data *d, const char *name);
int64_t rob_priv_data_options(void);
void rob_priv_data_defaults(double *values);

/* Labels of the series from `first` on become classes: value[k] is the file's label of
 * series first + k (NaN: none). The table grows or is the one of option "labels";
 * labels of earlier series are mapped along. On failure nothing has changed. */
rob_status rob_priv_data_classify(rob_ctx *ctx, rob_data *d, int64_t first,
                                  const double *value, const char *path);

rob_status rob_priv_data_read(rob_ctx *ctx, rob_data *d, const uint8_t *bytes,
                              int64_t count, const char *path);
rob_status rob_priv_data_write(rob_ctx *ctx, const rob_data *d, const char *path);
rob_status rob_priv_data_part(rob_ctx *ctx, rob_data *d, double share, rob_data **out);

/* Relative flux of a limb-darkened star behind an opaque disc. */
double rob_priv_transit_flux(double z, double p, double u1, double u2);
rob_status rob_priv_data_transits(rob_ctx *ctx, rob_data *d, int64_t count);

#endif
