/* onnx.h -- from the nodes of an ONNX file to a graph: values and what makes them.
 *
 * A value has the dims ONNX gives it, up to 8, and either numbers (known when the graph is
 * written: weights, shapes, axes) or a node of the graph, whose own shape is those dims
 * while they are four at most, else the same numbers with leading dims drawn together.
 * Builders (o_...) take and give values, latch the first failure in the graph, and answer
 * a value that is not there from then on.
 */
#ifndef ROB_MODEL_ONNX_H
#define ROB_MODEL_ONNX_H

#include "io/onnx.h"
#include "model/model.h"

typedef struct rob_value {
    bool there; /* false: left out, or failed */
    bool fixed; /* numbers that come from the file alone */
    int32_t dtype, rank;
    int64_t dim[ROB_ONNX_RANK], size;
    rob_id id;          /* ROB_NONE when the numbers are known, or size is 0 */
    rob_tensor *number; /* borrowed: the machine or the file keeps it */
} rob_value;

enum { ROB_ONNX_INS = 16, ROB_ONNX_READY = 16 };

/* What is made of the file once, when it is loaded. */
typedef struct rob_onnx_made {
    rob_value *fixed; /* by value number */
    uint8_t *needed;  /* by node */
    rob_value **ready; /* by node: prepared weights, ROB_ONNX_READY of them, or NULL */
    rob_tensor **kept;
    int64_t keeps, keep_room;
} rob_onnx_made;

/* One interpretation of the file, into one graph. */
typedef struct rob_machine {
    rob_ctx ctx; /* the allocator and an error line; no threads */
    rob_graph *g;
    const rob_onnx *file;
    const rob_onnx_node *node;
    rob_onnx_made *made;
    bool learn;      /* loading: what is fixed is put into `made` */
    rob_value *env;  /* by value number */
    rob_tensor **kept;
    int64_t keeps, keep_room;
    int64_t budget; /* numbers that folding may still make */
} rob_machine;

/* ---- running --------------------------------------------------------------------- */

/* Which nodes the value numbers in want[] need; room for made->needed is there. */
void rob_priv_onnx_need(const rob_onnx *file, const int32_t *want, int32_t count,
                        uint8_t *needed);
rob_status rob_priv_onnx_open(rob_machine *m, const rob_memory *memory,
                              const rob_onnx *file, rob_onnx_made *made, rob_graph *g,
                              bool learn);
/* Every needed node in order; env holds the inputs. Failures are latched in m->g. */
void rob_priv_onnx_walk(rob_machine *m);
void rob_priv_onnx_close(rob_machine *m);
rob_status rob_priv_onnx_make(rob_ctx *ctx, const rob_onnx *file, rob_onnx_made *made);
void rob_priv_onnx_unmake(const rob_memory *memory, const rob_onnx *file,
                          rob_onnx_made *made);
/* One operator: in[0..ROB_ONNX_INS), those left out not there. */
typedef void rob_onnx_op(rob_machine *m, const rob_value *in, int32_t ins,
                         rob_value *out, int32_t outs);
/* The failure names node, operator and opset. */
void o_fail(rob_machine *m, rob_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool o_failed(const rob_machine *m);

/* Between these two, builders write a graph of their own; its value comes back as
 * numbers. For values made of numbers only. */
typedef struct rob_folding {
    rob_graph *outer;
} rob_folding;
rob_folding o_fold(rob_machine *m);
void o_unfold(rob_machine *m, rob_folding fold, rob_value *value, int32_t count);
bool o_keep(rob_machine *m, rob_tensor *t); /* takes it; false: no memory */

/* ---- attributes of m->node ------------------------------------------------------- */

int64_t o_int(const rob_machine *m, const char *name, int64_t otherwise);
double o_float(const rob_machine *m, const char *name, double otherwise);
const char *o_text(const rob_machine *m, const char *name, const char *otherwise);
/* Integers of attribute `name`, or of `v` where it is there; -1: neither. More than
 * `capacity`, or not known: failed. */
int64_t o_ints(rob_machine *m, const char *name, const rob_value *v, int64_t *out,
               int64_t capacity);
int64_t o_opset(const rob_machine *m);

/* ---- values ---------------------------------------------------------------------- */

bool o_known(const rob_value *v); /* numbers, or no element at all */
bool o_whole(const rob_value *v); /* an integer or bool type */
rob_value o_none(void);
rob_value o_of(rob_machine *m, rob_id id, int32_t dtype, int32_t rank,
               const int64_t *dim);
/* In the shape of `like`, of its type */
rob_value o_like(rob_machine *m, rob_id id, const rob_value *like);
rob_value o_numbers(rob_machine *m, int32_t dtype, int32_t rank, const int64_t *dim,
                    const double *number);
rob_value o_scalar(rob_machine *m, int32_t dtype, double number);
rob_value o_fill(rob_machine *m, int32_t dtype, int32_t rank, const int64_t *dim,
                 double number);
double o_at(const rob_value *v, int64_t i);
int64_t o_integer(const rob_value *v, int64_t i);
rob_shape o_shape(const rob_value *v);
rob_id o_id(rob_machine *m, const rob_value *v);
/* -rank ... rank - 1 to 0 ... rank - 1; false: failed */
bool o_axis(rob_machine *m, int64_t axis, int32_t rank, int32_t *out);

rob_value o_reshape(rob_machine *m, const rob_value *v, int32_t rank,
                    const int64_t *dim);
rob_value o_permute(rob_machine *m, const rob_value *v, const int32_t *order);
rob_value o_expand(rob_machine *m, const rob_value *v, int32_t rank,
                   const int64_t *dim);
rob_value o_slice(rob_machine *m, const rob_value *v, int32_t axis, int64_t first,
                  int64_t count);
/* Elements index[0..count) along an axis, in that order. */
rob_value o_take(rob_machine *m, const rob_value *v, int32_t axis, const int64_t *index,
                 int64_t count);
rob_value o_concat(rob_machine *m, const rob_value *part, int32_t count, int32_t axis);
rob_value o_pad(rob_machine *m, const rob_value *v, int32_t axis, int64_t before,
                int64_t after, double number);
rob_value o_sum(rob_machine *m, const rob_value *v, int32_t axis);    /* keeps it as 1 */
rob_value o_most(rob_machine *m, const rob_value *v, int32_t axis);   /* max, the same */
/* last axis in front of or behind the others */
rob_value o_axis_last(rob_machine *m, const rob_value *v, int32_t axis);
rob_value o_axis_back(rob_machine *m, const rob_value *v, int32_t axis);
rob_value o_matmul(rob_machine *m, const rob_value *a, const rob_value *b);

typedef rob_id rob_binary(rob_graph *g, rob_id a, rob_id b);
rob_value o_both(rob_machine *m, rob_binary *build, const rob_value *a,
                 const rob_value *b);
rob_value o_affine(rob_machine *m, const rob_value *v, double scale, double shift);
rob_value o_add(rob_machine *m, const rob_value *a, const rob_value *b);
rob_value o_mul(rob_machine *m, const rob_value *a, const rob_value *b);
rob_value o_apply(rob_machine *m, const char *op, const rob_value *v);
bool o_broadcast(rob_machine *m, const rob_value *a, const rob_value *b, int32_t *rank,
                 int64_t *dim);
/* number by number, for known values */
rob_value o_each(rob_machine *m, double (*number)(double, double), int32_t dtype,
                 const rob_value *a, const rob_value *b);
/* max(a, b), min(a, b) */
rob_id o_larger(rob_graph *g, rob_id a, rob_id b);
rob_id o_smaller(rob_graph *g, rob_id a, rob_id b);
/* an activation by the name a recurrent node gives it; false: no such name */
typedef struct rob_activation {
    const char *name;
    double alpha, beta;
} rob_activation;
bool o_activation_known(rob_activation *a);
rob_id o_activate(rob_graph *g, const rob_activation *a, rob_id x);

/* ---- the operators, by file ------------------------------------------------------ */

typedef struct rob_onnx_entry {
    const char *name;
    int32_t least, most; /* inputs */
    rob_onnx_op *op;
} rob_onnx_entry;

extern const rob_onnx_entry rob_priv_onnx_each[];      /* element-wise */
extern const rob_onnx_entry rob_priv_onnx_shape[];     /* structure */
extern const rob_onnx_entry rob_priv_onnx_rows[];      /* reductions, norms, softmax */
extern const rob_onnx_entry rob_priv_onnx_products[];
extern const rob_onnx_entry rob_priv_onnx_windows[];   /* Conv, pools */
extern const rob_onnx_entry rob_priv_onnx_recurrent[]; /* RNN, LSTM, GRU */
extern const rob_onnx_entry rob_priv_onnx_attention[]; /* Attention, RotaryEmbedding */

/* Words of a recipe that begins with onnx. */
rob_status rob_priv_onnx_words(rob_ctx *ctx, const char *text, rob_recipe *r);

/* ---- a model --------------------------------------------------------------------- */

rob_status rob_priv_onnx_load(rob_ctx *ctx, const uint8_t *bytes, int64_t count,
                              const char *path, const char *recipe, rob_model **out);
rob_status rob_priv_onnx_save(rob_ctx *ctx, const rob_model *model, const char *path);

/* All outputs of a file at given inputs, in double; inputs of floating type are
 * variables of the graph unless `known`. Tensors of out[] are the caller's. */
rob_status rob_priv_onnx_evaluate(rob_ctx *ctx, const rob_onnx *file,
                                  const rob_onnx_tensor *in, int32_t ins, bool known,
                                  rob_onnx_tensor *out, int32_t outs);

#endif
