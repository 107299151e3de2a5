/* graph.h - the DAG: leaves, names, sizes known later, effects, recurrences, and a look inside. */
#ifndef RETROGRADE_GRAPH_H
#define RETROGRADE_GRAPH_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the graph ------------------------------------------------------------------------------- */

typedef enum rg_log_level { RG_LOG_WARNING = 1, RG_LOG_INFO } rg_log_level;

typedef struct rg_graph_opts {
    const rg_allocator *allocator;                                 /* copied; NULL: malloc */
    void (*log)(void *user, rg_log_level level, const char *text); /* NULL: silent */
    void *log_user;
    uint64_t seed; /* of initial values and random draws; see rg_graph_seed */
} rg_graph_opts;

/* A new empty graph, or NULL when memory is short. A graph and its nodes are used by one thread at a
   time; plans made from it may run on other threads meanwhile. */
RG_API rg_graph *rg_graph_new(const rg_graph_opts *opts);
/* Gives up the caller's reference; NULL is fine. Plans keep what they need: any order of freeing is valid. Nodes and
   lists of the graph are not to be used after the last of it and its plans is freed. */
RG_API void rg_graph_free(rg_graph *g);
/* The first error made while building, else the last error of a compilation, else NULL. The text
   names the operation, the nodes, their shapes, the scope and the caller's file and line. For a NULL
   graph, a text that says so. Valid until the next call on the graph. */
RG_API const char *rg_graph_error(const rg_graph *g);
/* The code that belongs to rg_graph_error; RG_OK without an error. */
RG_API rg_status rg_graph_status(const rg_graph *g);
/* Forgets the error, so that building can go on. */
RG_API void rg_graph_clear_error(rg_graph *g);
/* Seed of the initial values drawn from now on and of the random nodes built from now on. Default 0. Draws depend on
   the seed, on names and on the step count, never on threads or build order. */
RG_API void rg_graph_seed(rg_graph *g, uint64_t seed);
/* The graph a node belongs to; NULL for NULL. */
RG_API rg_graph *rg_graph_of(const rg_node *node);
/* How many nodes the graph holds. */
RG_API size_t rg_graph_size(const rg_graph *g);

/* ---- scopes: dotted name prefixes ------------------------------------------------------------- */

/* Parameters, buffers and inputs made until the matching pop get `name.` in front. */
RG_API void rg_scope_push(rg_graph *g, const char *name);
/* As push, but parameters asked for must exist already and are shared. */
RG_API void rg_scope_reuse(rg_graph *g, const char *name);
RG_API void rg_scope_pop(rg_graph *g);

/* ---- leaves ---------------------------------------------------------------------------------- */

/* A value bound at run time (rg_bind), of any dtype, bf16 too. Sizes may be named dimensions. Errors: RG_ERR_NAME for a
   name that is taken or none, RG_ERR_DTYPE, RG_ERR_SHAPE. */
RG_API rg_node *rg_input(rg_graph *g, const char *name, rg_dtype dtype, rg_shape shape);

typedef enum rg_init {
    RG_INIT_DEFAULT, /* uniform within 1/sqrt(fan_in); zeros for rank 1 and 0 */
    RG_ZEROS,
    RG_ONES,
    RG_CONSTANT,         /* scale */
    RG_UNIFORM,          /* within [-scale, scale] */
    RG_NORMAL,           /* standard deviation scale */
    RG_TRUNCATED_NORMAL, /* standard deviation scale, cut at two of them */
    RG_XAVIER_UNIFORM,   /* Glorot and Bengio 2010: within gain * sqrt(6 / (fan_in + fan_out)) */
    RG_XAVIER_NORMAL,    /* standard deviation gain * sqrt(2 / (fan_in + fan_out)) */
    RG_KAIMING_UNIFORM,  /* He et al. 2015: within gain * sqrt(3 / fan_in) */
    RG_KAIMING_NORMAL,   /* standard deviation gain / sqrt(fan_in) */
    RG_ORTHOGONAL        /* Saxe et al. 2014: rows or columns orthonormal, times gain */
} rg_init;

/* `scale` is the amount or the gain of the initialiser; 0 means its default (1 for gains, 0.02 for
   normals, 1/sqrt(fan_in) for uniform). fan_in is the product of all sizes but the first (weights are
   stored [out, in, ...], as PyTorch does); fan_out is size 0 times the product of those beyond the second. */
typedef struct rg_param_opts {
    rg_init init;
    double scale;
    bool frozen; /* exists and is saved, but is not trainable */
} rg_param_opts;

/* A trainable leaf with storage, f32 or f64; a frozen one may have any dtype, bf16 too. Its name must be new (see
   rg_scope_reuse); its sizes are plain numbers. Values are drawn at first use, from the seed and the full name. Errors:
   RG_ERR_NAME for a name that is taken or none, RG_ERR_SHAPE for a named size, RG_ERR_DTYPE. */
RG_API rg_node *rg_param(rg_graph *g, const char *name, rg_dtype dtype, rg_shape shape, const rg_param_opts *opts);
/* As rg_param, of any dtype, but not trainable and zero at first: running statistics, moments, counters, state. */
RG_API rg_node *rg_buffer(rg_graph *g, const char *name, rg_dtype dtype, rg_shape shape, const rg_param_opts *opts);
/* A copy of the values given now, row-major, of any dtype, bf16 too; then one value everywhere, rounded to the dtype.
   Sizes of a full one may be named. Errors: a value that the dtype cannot hold (1.5 as i32). */
RG_API rg_node *rg_const(rg_graph *g, rg_dtype dtype, rg_shape shape, const void *data);
RG_API rg_node *rg_scalar(rg_graph *g, rg_dtype dtype, double value);
RG_API rg_node *rg_full(rg_graph *g, rg_dtype dtype, rg_shape shape, double value);
RG_API rg_node *rg_zeros(rg_graph *g, rg_dtype dtype, rg_shape shape);
RG_API rg_node *rg_ones(rg_graph *g, rg_dtype dtype, rg_shape shape);
/* Whether the plan trains: a boolean scalar, folded when compiling. */
RG_API rg_node *rg_training(rg_graph *g);

/* ---- sizes known only when data is bound ------------------------------------------------------- */

/* A named size, to be used where a number is: RG_SHAPE(rg_dim(g, "batch"), 784). The same name gives the
   same size; sizes of different names never match. -1 on error and for a NULL graph. Do no arithmetic
   with the result: use -1, RG_END, negative indices, rg_dim_add or rg_dim_mul. */
RG_API int64_t rg_dim(rg_graph *g, const char *name);
/* As rg_dim, and the size bound later is a multiple of `multiple_of`. */
RG_API int64_t rg_dim_multiple(rg_graph *g, const char *name, int64_t multiple_of);
RG_API int64_t rg_dim_add(rg_graph *g, int64_t dim, int64_t addend);
RG_API int64_t rg_dim_mul(rg_graph *g, int64_t dim, int64_t factor); /* factor: a number or a named size */

/* ---- effects --------------------------------------------------------------------------------- */

/* Stores `value` into a parameter or buffer when a plan that fetches the result runs. Reads in that run
   see the value from before it. Type and shape must agree. */
RG_API rg_node *rg_assign(rg_node *param, rg_node *value);
/* The value of the last assign made to `param` so far, or `param` itself: for chaining assigns. */
RG_API rg_node *rg_latest(rg_node *param);
/* Ties an effect to a node: an optimiser step fetches the effects attached to the ancestors of its loss. */
RG_API void rg_attach(rg_node *node, rg_node *assign);
/* Bundles effects (and other nodes) into one node; fetching it performs all of them. */
RG_API rg_node *rg_group(rg_graph *g, rg_nodes effects);

/* ---- looking things up ------------------------------------------------------------------------- */

RG_API rg_nodes rg_params(rg_graph *g);                        /* all trainable parameters, in creation order */
RG_API rg_nodes rg_params_in(rg_graph *g, const char *prefix); /* trainable ones whose name starts so */
/* The trainable parameters that a node depends on, in creation order. */
RG_API rg_nodes rg_params_of(rg_node *node);
/* The effects attached (rg_attach) to the roots and to all that they and those effects depend on, in the order they
   were attached. */
RG_API rg_nodes rg_attached(rg_nodes roots);
RG_API rg_nodes rg_stored(rg_graph *g);                 /* every parameter and buffer */
RG_API rg_node *rg_find(rg_graph *g, const char *name); /* a leaf by its full name, or NULL */
RG_API const char *rg_name(const rg_node *node);        /* full name of a leaf, "" without one */
RG_API rg_shape rg_shape_of(const rg_node *node);       /* named sizes appear as rg_dim returned them */
RG_API rg_dtype rg_dtype_of(const rg_node *node);
RG_API rg_axes rg_axes_of_rank(int32_t rank); /* 0, 1, ..., rank - 1 */

/* A copy of a list that lives as long as the graph; empty when memory is short (error recorded). */
RG_API rg_nodes rg_nodes_copy(rg_graph *g, rg_nodes list);
/* The names pushed and not popped: "encoder.fc1.", "" outside of scopes and for NULL. Lives as long as the graph. */
RG_API const char *rg_scope_name(const rg_graph *g);

/* ---- values of parameters and buffers ---------------------------------------------------------- */

/* A read-only view of the present value (drawn now if it never was). Valid until the graph and its plans
   are freed; contents change when a plan with effects runs. An empty tensor on error. */
RG_API rg_tensor rg_value(rg_node *param);
/* Replaces the value. Type and shape must agree. Not while a plan of the graph runs. */
RG_API RG_CHECKED rg_status rg_set(rg_node *param, const rg_tensor *value);

/* ---- recurrences ------------------------------------------------------------------------------- */

typedef struct rg_scan_opts {
    const char *name; /* for dumps and errors */
    bool reverse;     /* walk the leading axis from its end to its start */
    /* i32 or i64 [B], or NULL: steps of each of B sequences, of which every carry and stacked value has the first axis.
       A sequence keeps its state in the steps t >= its length (with `reverse`: its initial state until t < length),
       what is stacked for them is 0, and they give no gradient; the values bound for them must be finite. A length
       outside [0, T] is an error of rg_run. */
    rg_node *lengths;
    /* What the reverse pass may keep of the forward one. With both 0: whatever derivatives read, of every step.
       Otherwise the carries alone, at the beginning of each segment of steps, whose forward pass is repeated, one
       segment at a time; gradients have the same bits, unless the body has products that sum up more than 8192 numbers:
       rg_contract.
       A budget that is too small for all of these carries keeps some of them, and repeats forward steps from the
       nearest to come to the others, by the binomial schedule (Griewank and Walther's revolve, ACM TOMS 26, 2000),
       which repeats the fewest; the last segment is come to once more than there. Where segments of several steps are
       better, they are taken. Of 10,000 steps, each with values of four times the bytes of the carries, forward steps
       are made 2.0 times in all with a budget of 126 steps' values, 3.0 times with 22, 3.9 times with 9.5, 7.9 times
       with 3. Named sizes are no obstacle: how many carries are kept is decided when data is bound. */
    int64_t keep_every; /* steps of a segment, or RG_KEEP_SQRT: about the square root of their number */
    size_t keep_bytes;  /* bytes for carries and for values of steps; what some log4(T) carries and one step take is
                           the least. All carries of segments are kept where more than one reverse pass reads them,
                           as second derivatives do, and of a scan in the body of another */
} rg_scan_opts;
#define RG_KEEP_SQRT (-1)

/* Opens a recurrence. Between begin and end, nodes made from its slices and carries form its body; nodes from outside
   that the body uses are captured by themselves. Bodies nest. Errors: lengths of another type; keep_every below -1, or
   beside keep_bytes; a slice of a scalar, or of another length than those before it (RG_ERR_SHAPE); a next of another
   type or shape than its carry, a second one, or none (RG_ERR_STATE, at rg_scan_end). When derivatives are asked for:
   with RG_KEEP_SQRT a number of steps that is named; with keep_every one that is not promised to be its multiple
   (rg_dim_multiple). */
RG_API rg_scan *rg_scan_begin(rg_graph *g, const rg_scan_opts *opts);
RG_API rg_node *rg_scan_slice(rg_scan *s, rg_node *xs);              /* [T, ...] -> [...], the present step's part */
RG_API rg_node *rg_scan_carry(rg_scan *s, rg_node *init);            /* state: `init` at first, then what next said */
RG_API void rg_scan_next(rg_scan *s, rg_node *carry, rg_node *next); /* same type and shape as the carry */
RG_API rg_node *rg_scan_stack(rg_scan *s, rg_node *y);               /* [...] in the body -> [T, ...] outside */
RG_API rg_node *rg_scan_last(rg_scan *s, rg_node *carry);            /* the carry after the last step */
/* Closes the body. The results asked for with stack and last are usable from here on. After it `s` only
   serves further stack and last calls. Without slices the number of steps is unknown: an error. */
RG_API void rg_scan_end(rg_scan *s);

/* ---- loops and branches that depend on data ------------------------------------------------------ */

typedef struct rg_while_opts {
    const char *name; /* for dumps and errors */
    int64_t max_iter; /* steps at most: reverse mode needs it, and memory for so many. One step more is an error of
                         rg_run, which then stores nothing. 0: any number */
} rg_while_opts;

/* Opens a loop: a recurrence without slices, of as many steps as its test says. In its body stand carries
   (rg_scan_carry, rg_scan_next), and rg_while_test says whether to do another step: it is looked at before each one, as
   in C, so the loop may do none. Results are rg_scan_last of the carries and rg_while_count; rg_scan_end closes the
   body. Forward mode has no limit. */
RG_API rg_scan *rg_while_begin(rg_graph *g, const rg_while_opts *opts);
/* `go`: a bool scalar, of carries and of values from outside. What else the body computes is not computed when it is
   false. */
RG_API void rg_while_test(rg_scan *s, rg_node *go);
/* How many steps the loop has done: an i64 scalar outside. */
RG_API rg_node *rg_while_count(rg_scan *s);

/* Writes one branch: from `in` as the branch sees it (and from anything outside) to its results. The list it returns is
   copied at once. */
typedef rg_nodes (*rg_branch)(void *user, rg_nodes in);
/* then_(in) where the bool scalar is true, else_(in) where it is not; only that branch is computed. Both return lists
   of equal types and shapes. Derivatives of any order, both modes, flow through the branch that was taken; what reverse
   mode keeps of one branch lies where that of the other would. Errors: a predicate
   that is no bool scalar, results that differ, an input of 8 axes. */
RG_API rg_nodes rg_cond(rg_node *predicate, rg_branch then_, rg_branch else_, void *user, rg_nodes in);

/* ---- a look inside ------------------------------------------------------------------------------ */

/* One line a node, with types, named sizes, scopes and bodies indented. The text is the caller's: release it
   with rg_text_free. NULL when memory is short. */
RG_API char *rg_graph_dump(rg_graph *g);
/* The same as a Graphviz digraph, bodies as clusters. */
RG_API char *rg_graph_dot(rg_graph *g);
RG_API void rg_text_free(char *text);
/* Verifies every invariant of the graph (order, types, regions, interning); for tests and bug reports. */
RG_API RG_CHECKED rg_status rg_graph_check(rg_graph *g);

#ifdef __cplusplus
}
#endif

#endif
