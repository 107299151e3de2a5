/* op.h - the extension interface: an operator is one const struct, yours the same as the built-in ones. */
#ifndef RETROGRADE_OP_H
#define RETROGRADE_OP_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rg_op rg_op;

/* What a tensor is made of, without its values. */
typedef struct rg_type {
    rg_dtype dtype;
    rg_shape shape;
} rg_type;

/* ---- traits ----------------------------------------------------------------------------------- */

enum {
    RG_ELEMENTWISE = 1 << 0, /* each output element depends on the same element of every (broadcast) input */
    RG_INPLACE = 1 << 1,     /* an output may share the memory of an input of its type and size */
    RG_EFFECT = 1 << 2,      /* changes storage; never removed when fetched */
    RG_ZERO_GRAD = 1 << 3,   /* the derivative is zero: the sweep stops here */
    RG_COMMUTES = 1 << 4,    /* the two inputs may be exchanged: interned in one order */
    RG_VIEW = 1 << 5,        /* the output is input 0's memory under another shape; run is not called */
    RG_LEAF = 1 << 6,        /* bound, stored or constant; run is not called */
    RG_UNIQUE = 1 << 7,      /* never interned: two calls make two nodes */
    RG_CONTROL = 1 << 8,     /* a region op or a projection of one: lowered by the plan, not run */
    RG_CAN_FAIL = 1 << 9,    /* run may return an error: no parameter is written before it has succeeded */
    RG_DELIVERS = 1 << 10,   /* run gives output 0 to step->tail, where there is one, instead of writing it */
    RG_LIGHT = 1 << 11,      /* of such an op: writing and reading its output would cost as much as computing it */
    RG_JOINS = 1 << 12, /* the inputs are windows of the output; of others with windows the output is one of input 0 */
    RG_MOVES = 1 << 13, /* each output element is one of a float input, or a constant: which, the shapes, the attributes
                           and the integer inputs say */
    RG_SUMS =
        1 << 14, /* the same of the reverse rule: each element of input 0 is added to one output element, or none */
    RG_FOLLOWED = 1 << 15, /* of an RG_DELIVERS op: its tail may be whatever elementwise ops alone read its output */
    RG_ROWS = 1 << 16, /* a row of output 0, along its first axis, comes from the rows of inputs that `reads` says go
                          along with it, and has the same bits whatever other rows there are, if any. Where no input
                          goes along, rows are not computed apart: a row may depend on its number */
    RG_ANY_SIZES = 1 << 17, /* the shape rule asks which sizes are equal and passes them on: what holds for stand-ins of
                               named sizes holds for all, and is not asked again */
    RG_ONCE = 1 << 18,      /* of an elementwise op: run takes inputs that are one element for all, see step->once */
};

/* Bit of a dtype in rg_op.dtypes. */
#define RG_DT(dtype) (1u << (dtype))
#define RG_DT_FLOATS (RG_DT(RG_F32) | RG_DT(RG_F64))
#define RG_DT_INTS (RG_DT(RG_I32) | RG_DT(RG_I64))
#define RG_DT_NUMBERS (RG_DT_FLOATS | RG_DT_INTS)
#define RG_DT_ALL (RG_DT_NUMBERS | RG_DT(RG_U8) | RG_DT(RG_BOOL))

/* ---- attributes --------------------------------------------------------------------------------- */

typedef enum rg_attr_kind {
    RG_ATTR_END = 0,
    RG_ATTR_I64,
    RG_ATTR_F64,
    RG_ATTR_BOOL,
    RG_ATTR_DTYPE,
    RG_ATTR_AXES,  /* rg_axes */
    RG_ATTR_SHAPE, /* rg_shape, may hold named sizes */
    RG_ATTR_SIZE,  /* int64_t, may be a named size */
    RG_ATTR_BYTES, /* rg_bytes, copied into the graph */
    RG_ATTR_NODE   /* rg_node *, a reference that is not an input (projections) */
} rg_attr_kind;

typedef struct rg_bytes {
    const void *at;
    size_t n;
} rg_bytes;

/* One field of an attribute struct. A table ends with a zero row. Hashing, equality, dumps and the checks on
   sizes go field by field through it. An op with attributes and no table is legal: its nodes are not interned,
   and its attributes must hold no size. */
typedef struct rg_attr_field {
    const char *name;
    size_t offset;
    rg_attr_kind kind;
} rg_attr_field;

/* ---- shape rule --------------------------------------------------------------------------------- */

/* What a shape rule sees and fills in. Rules run twice, under two assignments of the named sizes; they must be
   pure functions of what they see. */
typedef struct rg_infer {
    const rg_op *op;
    const void *attr;
    size_t n_in;
    const rg_type *in;
    rg_type *out; /* op->n_out of them, to be filled */
    struct rgi_infer_context *context;
} rg_infer;

/* A size or shape attribute under the present assignment. */
RG_API int64_t rg_infer_size(const rg_infer *call, int64_t attribute);
RG_API rg_shape rg_infer_shape(const rg_infer *call, rg_shape attribute);
/* Records the error "<op>: <text>" with the inputs' names, shapes, the scope and the location; returns `status`. */
RG_API rg_status rg_infer_fail(const rg_infer *call, rg_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Ready-made rules: out = in[0]; out = the broadcast of all inputs' shapes with the (common) dtype of the inputs. */
RG_API rg_status rg_infer_same(rg_infer *call);
RG_API rg_status rg_infer_broadcast(rg_infer *call);
/* Makes `axis` (negative counts from the end) a number in [0, rank); false when it is outside. */
RG_API bool rg_axis_normalise(int64_t axis, int32_t rank, int32_t *out);
/* A bit per axis of `axes` for a tensor of `rank`; false when an axis is outside or named twice. */
RG_API bool rg_axes_mask(rg_axes axes, int32_t rank, uint32_t *mask);

/* ---- running ------------------------------------------------------------------------------------ */

/* What happens to the output of an RG_DELIVERS op block by block, while it is in cache: an update of a parameter by its
   gradient, which then is never written; the bias, activation and residual behind a convolution. Every element is given
   once; where tasks meet and in which order is the op's own. */
typedef struct rg_tail rg_tail;
typedef struct rg_block {
    const void *data;    /* rows x columns elements ... */
    size_t stride;       /* ... rows this many elements apart: */
    size_t first, pitch; /* element (i, j) is element first + i pitch + j of output 0 */
    size_t rows, columns;
} rg_block;

/* Where the input of an op that draws comes from, where it is not written anywhere: elementwise ops that nobody else
   reads. */
typedef struct rg_source rg_source;

#define RG_SOON 16

/* Memory that will be read after an op has run, n pieces of so many bytes: for who can ask for it while it computes. */
typedef struct rg_soon {
    size_t n;
    const void *at[RG_SOON];
    size_t bytes[RG_SOON];
} rg_soon;

/* Where the elements of a tensor lie in a larger one: row r, `length` elements, begins at element offset + r pitch. */
typedef struct rg_window {
    size_t offset, length, pitch;
} rg_window;

/* One execution of an op: concrete sizes and resolved pointers. */
typedef struct rg_step {
    const rg_op *op;
    const void *attr;
    uint32_t n_in, n_out;
    const void *const *in; /* NULL entry: an input in op->shape_only */
    void *const *out;
    const rg_type *in_type, *out_type;
    void *scratch;             /* this thread's own, cost.scratch bytes, aligned to 64; undefined contents */
    void *shared;              /* this step's, cost.shared bytes, aligned to 64; survives from phase to phase */
    const void *geometry;      /* what op->geometry worked out, or NULL */
    const rg_tail *tail;       /* RG_DELIVERS: out[0] is NULL and the tail takes its blocks; or NULL */
    const rg_source *source;   /* of an op that draws: in[0] is NULL and the source gives its elements; or NULL */
    const void *const *packed; /* of an op that packs: [i] is input i as op->pack made it, or NULL; or NULL */
    uint32_t phase;
    uint32_t once; /* of an RG_ONCE op: where bit i is set, in[i] is one element, which all elements of others meet */
    const rg_soon *soon;             /* of an op that takes long, in a loop: what will be read after it; or NULL */
    const rg_window *const *windows; /* of an op that takes them: [i] says how the rows of input i lie, the first one at
                                        in[i], and [n_in] those of output 0, or NULL: it is dense; or NULL: all are */
} rg_step;

/* For `run`: records the error "<op>: <text>" of this thread and returns `status`. rg_run gives it back with the node
   and where it was built. A failure without a text is reported by op and status alone. Allocates nothing. */
RG_API rg_status rg_step_fail(const rg_step *step, rg_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define RG_TAIL_READS 3

struct rg_tail {
    rg_status (*take)(const rg_step *step, const rg_block *block);
    /* Where the tail will read, beside the block, tensors like output 0: their elements from `first` on. Returns how
       many there are. For who can ask memory for them while it computes. */
    size_t (*reads)(const rg_step *step, size_t first, const void *at[RG_TAIL_READS]);
    /* Where it will write, likewise. Memory that another core has read takes long to get back: who asks for it while it
       computes has it by then. */
    size_t (*writes)(const rg_step *step, size_t first, const void *at[RG_TAIL_READS]);
    /* Where all that it does is to add output 0, *factor times, to what lies in memory, in one rounding: these
       elements, from `first` on, for who does so itself and hands nothing over. NULL: it does something else. */
    void *(*adds_to)(const rg_step *step, size_t first, double *factor);
};

struct rg_source {
    /* Writes elements [first, first + n) of input 0 to `to`. In one run every element is to be asked for once. */
    rg_status (*give)(const rg_step *step, size_t first, size_t n, void *to);
};

#define RG_MAX_PHASES 3

/* What a step costs at concrete sizes; decided from shapes only (never from the number of threads), since the
   split into tasks must not change bits. Zeros mean: one task, no scratch. */
typedef struct rg_cost {
    size_t tasks[RG_MAX_PHASES]; /* tasks of each phase; a barrier stands between phases; 0 ends the list */
    double flops, bytes;         /* of all phases together */
    size_t scratch, shared;
} rg_cost;

/* ---- the descriptor ------------------------------------------------------------------------------ */

struct rg_op {
    const char *name;
    int n_in;  /* -1: any number */
    int n_out; /* results; above 1 rg_output(node, i) gives them */
    unsigned traits;
    unsigned dtypes;     /* RG_DT bits that the float/number inputs may have; 0: f32 alone */
    unsigned shape_only; /* bit i: only the shape of input i is used, never its values */
    size_t attr_size;
    const rg_attr_field *attrs;
    const void *data; /* anything the op's own functions want to find here (a kernel's number) */

    rg_status (*infer)(rg_infer *call); /* required */
    /* Reverse rule. ct[i]: cotangent of output i, NULL means zero (never NULL when n_out is 1). Store into grad[i]
       a node of the broadcast output shape or of input i's shape; left NULL means zero. */
    void (*vjp)(rg_node *self, rg_node *const ct[], rg_node *grad[]);
    /* Forward rule. tangent[i] NULL means zero; at least one is not. Store into out[i]. Absent: derived from vjp. */
    void (*jvp)(rg_node *self, rg_node *const tangent[], rg_node *out[]);
    /* The op with one more leading axis on the inputs whose batched[i] is set. Every out[i] has that axis.
       Absent on an elementwise op: derived. */
    void (*batch)(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[]);
    /* Optional: what cost and run derive from the sizes (strides, tiles), worked out once for a set of sizes into
       geometry_size bytes, found by both as step->geometry. Sees types, not pointers. */
    size_t geometry_size;
    void (*geometry)(const rg_step *step, void *out);
    /* Absent on an elementwise op: one task an element. */
    void (*cost)(const rg_step *step, rg_cost *cost);
    /* Of an op that first brings input i into an order of its own: the bytes that this takes, aligned to 64, and in how
       many tasks it is made; 0: not worth it. Other inputs may decide whether it is worth it, and what
       is made only if that then has another size, by which a plan knows what it keeps. A plan makes it once where the
       input stays as it is - a parameter that the plan does not change, until others do; a constant; in a loop, what
       comes from outside - and step->packed then has it. Bits must not depend on that. */
    size_t (*packed)(const rg_step *step, size_t i, size_t *tasks);
    /* Tasks [lo, hi) of making it, from the elements of input i. Sees types and geometry of the step, no pointers. */
    void (*pack)(const rg_step *step, size_t i, const void *from, void *to, size_t lo, size_t hi);
    /* Computes tasks [lo, hi) of step->phase. Elementwise: elements [lo, hi) of dense operands of one shape.
       No allocation, no locks, no global state, no dependence of the bits on how tasks are grouped. Returns RG_OK, or
       what rg_step_fail returns: the run then ends with that error. */
    rg_status (*run)(const rg_step *step, size_t lo, size_t hi);
    /* Whether run, for such an input, can take it from step->source instead of in[0]: ops of one input that read each
       of its elements once, in runs. Used when compiling. */
    bool (*draws)(const void *attr, const rg_type *in);
    /* Given the inputs known to be one value everywhere (uniform[i], NULL where unknown), the input this op's
       output equals exactly, or -1. Used when compiling. */
    int (*alias)(const void *attr, const double *const uniform[]);
    /* Of an elementwise op, whether the output is the last input plus *factor times input 0, in one rounding. Inputs
       between them may be one element (step->once). Those two are not looked at. */
    bool (*adds)(const rg_step *step, double *factor);
    /* Of an op that only moves: where input `i` lies in the output (RG_JOINS), or the output in input 0. False:
       nowhere, which must not depend on sizes. The window may then be read or written in its place and the op not run
       at all. */
    bool (*window)(const rg_step *step, size_t i, rg_window *out);
    /* Whether input i, or output 0 (i = n_in), may be such a window of another tensor, for geometry, cost, pack and run
       to find in step->windows: what steps through memory by strides anyway then needs no copy of columns, nor has its
       result copied to where it is joined. Asked when compiling, with sizes that stand for the named ones, on which the
       answer must not depend. Where a loop is cut by rows, step->windows is that of all rows. Absent: inputs and
       outputs are dense. Not for elementwise ops, which are given dense blocks; an op with a tail is given no window
       for its output. */
    bool (*takes)(const rg_step *step, size_t i, const rg_window *window);
    /* Optional, for sparse derivatives: what an output element may depend on. from[a], set to -1 before: the axis of
       the output that axis a of input i goes along with, index by index (an input's axis of size 1 goes along with
       any); -1: all of the axis is read. Absent: elementwise ops, views and those that move read what their traits say,
       others everything. */
    void (*reads)(const rg_step *step, size_t i, int32_t from[]);
    /* Optional, of an op that sums over the first axis, of one size, of inputs 0 and 1, perhaps over further ones too:
       each element is one chain of additions that goes through that axis upwards, or downwards (*descending), begun
       from input 2, of the output's type, if there is one; so from the result over some of the indices it goes on over
       the next ones to the bits of the sum over all. Input 2 may lie where the output does. False: not so. */
    bool (*chain)(const rg_step *step, bool *descending);
    /* The one number that every element of the output is, whatever the inputs hold; false: none. Used when
       compiling. */
    bool (*uniform)(const void *attr, double *value);
    /* RG_CAN_FAIL: whether the op cannot fail where `earlier`, a node that reads one of its inputs, has succeeded: both
       look at the same indices, in the same bounds. Parameters need not wait for it then. */
    bool (*settled)(const rg_node *self, const rg_node *earlier);
};

/* Checks, infers, interns and returns the node, or NULL with the graph's error set. `attr` is copied. */
RG_API rg_node *rg_apply(const rg_op *op, rg_nodes in, const void *attr);
/* The same for an op that may have no input. */
RG_API rg_node *rg_apply_in(rg_graph *g, const rg_op *op, rg_nodes in, const void *attr);

/* Records a builder's error with `node`'s graph and returns NULL: for checks before rg_apply. */
RG_API rg_node *rg_build_fail(rg_graph *g, rg_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes what a node is into the caller's buffer, "f32[batch, 784] add#12", for the texts of rg_build_fail.
   Returns the buffer. */
RG_API const char *rg_describe(const rg_node *node, char *buffer, size_t size);

/* ---- inside a rule ------------------------------------------------------------------------------- */

RG_API const rg_op *rg_op_of(const rg_node *self);
RG_API const void *rg_attr(const rg_node *self);
RG_API size_t rg_arg_count(const rg_node *self);
/* Input i of the forward node, as the rule may use it (inside a reverse scan: its residual). */
RG_API rg_node *rg_arg(rg_node *self, size_t i);
/* Output i of the forward node, likewise. */
RG_API rg_node *rg_output(rg_node *self, size_t i);
/* Whether anybody needs grad[i]. */
RG_API bool rg_wants(const rg_node *self, size_t i);

/* The built-in ops: a NULL-ended table. */
RG_API const rg_op *const *rg_op_table(void);

/* Where the caller of the next builders stands: reported in errors. `file` must outlive the graph. */
RG_API void rg_here(const char *file, int line);
#ifndef RG_NO_LOCATION
#define rg_apply(...) (rg_here(__FILE__, __LINE__), rg_apply(__VA_ARGS__))
#endif

#ifdef __cplusplus
}
#endif

#endif
