/* robust.h -- what the files of the command line share. */
#ifndef ROBUST_COMMAND_H
#define ROBUST_COMMAND_H

#include <robust.h>

#include <stdbool.h>
#include <stdint.h>

#define TRY(call) do { if ((status = (call)) < ROB_OK) goto done; } while (0)
enum { MOST_SETS = 32, MOST_FILES = 8, MOST_LABELS = 127, EXIT_BAD = 2 };
#define COMMANDS                                                                         \
    "simulate train predict attack certify check-certificate probability geometry "       \
    "condition report study"

typedef struct arguments {
    const char *command, *file[MOST_FILES], *set[MOST_SETS], *data[MOST_SETS];
    int files, sets, datas;
    const char *what, *out, *recipe, *norm, *method, *attack, *classes, *valid, *reference, *units;
    const char *title, *plot, *radii, *certificates;
    const char *output, *direction;
    double radius, seed, threads, count, first, steps, share, tolerance, lipschitz;
    bool json, quiet, diagnose, universal;
} arguments;

extern rob_ctx *ctx;                      /* the one context of the program */

/* arguments.c */
int read_arguments(arguments *a, int argc, char **argv);   /* 0, or the exit code */
int help(const char *command);
int complain(const char *format, ...);    /* one line on stderr; EXIT_BAD */

/* common.c */
typedef rob_status set_number(void *handle, const char *name, double value);
int32_t show_progress(void *user, const char *stage, int64_t done, int64_t total);
double seconds(void);
/* Give every --set to a handle; a prefix "attack." or "bound." names one of two. */
rob_status apply_sets(const arguments *a, const char *prefix, set_number *set, void *handle);
/* The series of a file, read as --data and --classes say. */
rob_status open_data(const arguments *a, const char *path, rob_data **out);
rob_status apply_data(const arguments *a, rob_data *data);  /* the options alone */
/* The same for a model: labels as its recipe's classes= say, where --classes does not; refused
 * where the file shows too few labels to know which output each is. */
rob_status open_data_for(const arguments *a, const char *path, const rob_model *model,
                         rob_data **out);
/* Held out for choosing: the latest fifth of dated series, else a fifth of every class. */
rob_status hold_out(rob_data *data, rob_data **out);

/* What one unit of series i's values is in the data's own units, such as ppm of flux; false:
 * the same, or the features differ in it. */
bool own_unit(const rob_data *data, int64_t i, double *scale, char unit[32]);

/* score.c */
double majority_share(const rob_data *data);
rob_status predict_all(const rob_model *model, const rob_data *data, int64_t *right);
/* One line: accuracy or error, beside the simplest alternatives. */
rob_status print_score(const char *what, const rob_model *model, const rob_data *data);
/* The same of a forecast as members of a JSON object; nothing where no series has targets. */
rob_status json_errors(const rob_model *model, const rob_data *data);

/* learn.c */
rob_status simulate(const arguments *a);
rob_status train(const arguments *a);
rob_status predict(const arguments *a);

/* deviation.c */
/* A model of values, not of classes: asked about its deviation. */
bool is_forecast(const rob_model *model);
rob_status print_forecasts(const rob_model *model, const rob_data *data, bool json);
/* by --output, --direction and --tolerance */
rob_status ask_deviation(const arguments *a, rob_query *q);

/* diagnose.c */
/* After an attack: may it be believed? Signs and warnings are printed. */
rob_status diagnose(const arguments *a, rob_query *q);

/* sandwich.c */
/* The query the options describe: --first, --count, --norm, --units, --reference. */
rob_status ask(const arguments *a, const rob_model *model, const rob_data *data,
               rob_query **query);
rob_status attack_or_certify(const arguments *a);

/* certificate.c */
/* Certificates of series of a query that are proved within lower; `given`: a ball's radius. */
/* gradients.c: certify --lipschitz, after the results */
rob_status certify_gradients(const arguments *a, rob_query *q);
/* The ball of --norm with another radius. */
rob_status ask_radius(const arguments *a, rob_query *q, double radius);
rob_status write_certificates(const arguments *a, const rob_bound *bound, rob_query *q,
                              const double *lower, int64_t n);
rob_status check_certificate(const arguments *a);

/* table.c */
rob_status table(const arguments *a); /* probability, geometry, condition */

/* report.c */
rob_status report(const arguments *a);

/* study.c */
rob_status run_study(const arguments *a);

#endif
