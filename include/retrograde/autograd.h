/* autograd.h - derivatives: more nodes of the same graph, hence differentiable again. */
#ifndef RETROGRADE_AUTOGRAD_H
#define RETROGRADE_AUTOGRAD_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reverse mode of a scalar: d loss / d wrt[i], each of the shape of wrt[i]; zeros where the loss does not depend
   on it. Errors: a loss that is not a float scalar, a wrt that is not float. */
RG_API rg_nodes rg_grad(rg_node *loss, rg_nodes wrt);
/* Reverse mode: sum_k cotangents[k]^T d ys[k] / d xs[i]. Cotangents have the types of the ys; NULL means zero. */
RG_API rg_nodes rg_vjp(rg_nodes ys, rg_nodes cotangents, rg_nodes xs);
/* Forward mode: sum_k d ys[i] / d xs[k] tangents[k]. Tangents have the types of the xs; NULL means zero. */
RG_API rg_nodes rg_jvp(rg_nodes ys, rg_nodes xs, rg_nodes tangents);
/* Hessian times vector, forward over reverse: sum_k d^2 loss / (d xs[i] d xs[k]) vs[k]. */
RG_API rg_nodes rg_hvp(rg_node *loss, rg_nodes xs, rg_nodes vs);
/* All derivatives: [y..., x...], element (i, j) is d y[i] / d x[j]. One run of the derivative on all unit vectors at
   once: reverse mode where y has at most as many elements as x, forward mode otherwise; memory is that of the
   derivative times the number of unit vectors. Zeros where y does not depend on x. An op without a batching rule is
   done for one unit vector after the other, in a loop that rg_plan_dump names. Errors: y or x not float, more than 8
   axes together. */
RG_API rg_node *rg_jacobian(rg_node *y, rg_node *x);
/* [x..., x...]: the Jacobian of the gradient of a scalar. Errors: those of rg_grad and rg_jacobian. */
RG_API rg_node *rg_hessian(rg_node *loss, rg_node *x);
/* ---- sparse derivatives ---- */

/* A matrix with zeros left out, row after row (CSR). Where they are is known when it is made, from what the ops on the
   way read: never too few places, at whatever point. Rows and columns count elements in row-major order. Lives as long
   as the graph. */
typedef struct rg_sparse {
    int64_t rows, columns;
    const int64_t *row_start; /* rows + 1: places of row i are [row_start[i], row_start[i + 1]) ... */
    const int64_t *column;    /* ... with these columns, ascending */
    rg_node *values;          /* [row_start[rows]]: a node like any other, to be fetched, used and differentiated */
    int64_t colours; /* directions that one evaluation takes, all at once; rg_jacobian takes as many as there are
                                 columns, or rows */
    bool reverse;    /* rows were put together and found by reverse mode, not columns by forward mode */
} rg_sparse;

/* d y[i] / d x[j] where it may differ from zero. Columns that no row has two of get one colour; one sweep with one
   tangent a colour, batched, gives all elements, and where rows need fewer colours the same is done with cotangents
   (Curtis, Powell and Reid 1974). Everything but the sweep is done once, here: compile values once, and run it for as
   many points as wanted. Elementwise ops, moves (slices, joins, gathers and scatters by constant numbers, paddings),
   reductions and products along axes, and the steps of recurrences are followed element by element; ops that say
   nothing of what they read (rg_op.reads), and loops whose steps come with the data, count as reading all of their
   inputs. NULL on error: those of rg_jacobian; a size on the way that is known only when data is bound; y or x in a
   body, or of 8 axes. */
RG_API const rg_sparse *rg_sparse_jacobian(rg_node *y, rg_node *x);
/* The Hessian of a scalar by x, both triangles. Of each pair of equal elements one is enough, so an arrow takes two
   directions, a band of three diagonals three (star colouring: Coleman and More 1984). A Hessian that is not symmetric,
   as derivatives of your own or stopped ones can make it: ask for rg_sparse_jacobian of rg_grad. Errors: those of
   rg_grad and rg_sparse_jacobian. */
RG_API const rg_sparse *rg_sparse_hessian(rg_node *loss, rg_node *x);

/* The value of x, through which no derivative flows. */
RG_API rg_node *rg_stop_gradient(rg_node *x);

/* ---- derivatives of your own ---- */

/* Rules for y as a function of the xs. `user` is that of the options; nodes are those that the rule may use where it is
   applied (inside a reverse scan: residuals). */
typedef struct rg_custom_opts {
    const char *name; /* for errors */
    /* One gradient for each of xs, of its type; NULL: zero. */
    rg_nodes (*vjp)(void *user, rg_node *cotangent, rg_node *y, rg_nodes xs);
    /* The tangent of y; tangents.at[i] is NULL where that of xs[i] is zero. Linear in the tangents. */
    rg_node *(*jvp)(void *user, rg_nodes tangents, rg_node *y, rg_nodes xs);
    void *user; /* must live as long as the graph */
} rg_custom_opts;

/* The value of y, with these derivatives with respect to xs in place of those of what computes y: a straight-through
   estimator, an implicit derivative, a formula that is more exact than what the chain rule gives. One rule is enough,
   the other is its transpose. Derivatives reach nothing but the xs. The rules emit nodes, so they are differentiable
   again. Errors: neither rule, no x. rg_grad_check compares the loss as a whole with them, not the node by itself. */
RG_API rg_node *rg_custom(rg_node *y, rg_nodes xs, const rg_custom_opts *opts);

/* ---- memory for time ---- */

/* What is built between push and pop is not kept for the reverse pass but computed once more there, from what it takes
   from before the push: same bits, less memory. Pairs may nest; the outermost counts. Bodies of scans opened outside of
   the pair are not affected. */
RG_API void rg_checkpoint_push(rg_graph *g);
RG_API void rg_checkpoint_pop(rg_graph *g);

/* ---- certificates ---- */

typedef struct rg_grad_check_opts {
    double step;      /* of the differences; default 1e-3, scaled by max(1, largest value); smaller where needed */
    double tolerance; /* relative error that passes; default 1e-6 */
    int directions;   /* random directions; default 4 */
    int elements;     /* of each wrt, looked at one by one; default 256 */
    uint64_t seed;    /* of the directions */
    rg_nodes inputs;  /* the inputs that the loss depends on ... */
    const rg_tensor *values; /* ... and a value for each */
    bool training;           /* what rg_training is; default: evaluation */
    bool first_order;        /* leave out second derivatives */
} rg_grad_check_opts;

typedef struct rg_grad_check_report {
    bool passed;
    double worst;             /* largest relative error found where the function is smooth */
    rg_node *worst_wrt;       /* where: the wrt ... */
    int64_t worst_element;    /* ... and its element with the largest error of its own, -1: none by itself */
    double analytic, numeric; /* the two numbers there */
    rg_node *worst_node;      /* the node whose own rule is wrong, NULL: none by itself ... */
    const char *worst_rule;   /* ... and which: "reverse rule (vjp)", "forward rule (jvp)", .. */
    size_t compared, nodes;   /* numbers compared; nodes whose rules were looked at by themselves */
    size_t rough;        /* comparisons at kinks and jumps, and of what is rounding alone: nothing to compare with */
    rg_node *rough_node; /* a node that has one */
    char fault[160];     /* the first comparison of the whole loss that failed, in words, or "" */
    char text[1024];     /* all of it in words */
} rg_grad_check_report;

/* A certificate of rg_grad for this loss at these values. The loss is written once more in f64, whatever its own type,
   with a constant for every stopped gradient. There, along random directions d and e: reverse mode against differences
   (element by element too), forward against reverse mode, and H d, forward over reverse, against differences of the
   gradient; then the same for each op by itself, so that a wrong rule is named, and one that the loss forgives is
   found. Where a function is not smooth (a kink at 0, a maximum of equals) the comparison is counted and does not fail.
   `wrt`: f32 or f64 parameters and buffers, and inputs that opts.inputs gives values; nothing of theirs is changed.
   Bodies within bodies are checked as a part of the loss alone. Returns an error only if it could not check (an input
   without a value, an op that does not take f64); the verdict is in the report. */
RG_API RG_CHECKED rg_status rg_grad_check(rg_node *loss, rg_nodes wrt, const rg_grad_check_opts *opts,
                                          rg_grad_check_report *report);

#ifdef __cplusplus
}
#endif

#endif
