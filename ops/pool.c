/* pool.c - maxima and means over windows of the last one, two or three axes; all axes before them count planes.

       y                                               vjp                        jvp
       max_pool(x)          maximum of a window        max_pool_put(u, x)         max_pool_take(t, x)
       max_pool_take(t, x)  t where x has the maximum  dt = max_pool_put(u, x)    linear in t
       max_pool_put(u, x)   its transpose              du = max_pool_take(ct, x)  linear in u
       avg_pool(x)          mean of a window           avg_pool_grad(u, x)        linear
       avg_pool_grad(u, x)  its transpose              du = avg_pool(ct)          linear in u

   Positions of maxima are found again rather than kept: a window is a few comparisons, a tensor of positions is memory
   traffic. All are flat in the x that only chooses. */
#include "blocks.h"
#include "rules.h"
#include "table_ops.h"

#include <retrograde/ops/pool.h>

/* Sizes of the last `rank` of three axes; those before are 1, their padding 0. */
typedef struct pool {
    int64_t rank, window[3], stride[3], pad[3], dilation[3];
    bool ceil_mode, exclude_pad;
} pool;

/* ---- shape rules ---- */

/* Outputs along an axis, PyTorch's rule: in ceil mode a last window may stand out, but must start inside or in the
   left padding. */
static int64_t outputs(const pool *p, int axis, int64_t in)
{
    const int64_t room = in + 2 * p->pad[axis] - p->dilation[axis] * (p->window[axis] - 1) - 1,
                  stride = p->stride[axis];
    const int64_t n = (room + (p->ceil_mode ? stride - 1 : 0)) / stride + 1;
    return p->ceil_mode && (n - 1) * stride >= in + p->pad[axis] ? n - 1 : n;
}

static rg_status infer_pooled(const rg_infer *call, const rg_shape *x, rg_shape *y)
{
    const pool *p = call->attr;
    *y = *x;
    if (x->rank < p->rank)
        return rg_infer_fail(call, RG_ERR_SHAPE, "a window of %d axes needs a tensor of as many at least",
                             (int)p->rank);
    for (int axis = 3 - (int)p->rank; axis < 3; axis++) {
        const int at = x->rank - 3 + axis;
        const int64_t window = p->window[axis], pad = p->pad[axis], padded = x->dim[at] + 2 * pad;
        const int64_t span = p->dilation[axis] * (window - 1) + 1;
        if (x->dim[at] < 1 || span > padded)
            return rg_infer_fail(call, RG_ERR_SHAPE,
                                 "axis %d: a window of %lld with dilation %lld spans %lld, the input with its padding "
                                 "%lld + 2 * %lld = %lld",
                                 at, (long long)window, (long long)p->dilation[axis], (long long)span,
                                 (long long)x->dim[at], (long long)pad, (long long)padded);
        y->dim[at] = outputs(p, axis, x->dim[at]);
    }
    return RG_OK;
}

static rg_status infer_pool(rg_infer *call)
{
    call->out[0].dtype = call->in[0].dtype;
    return infer_pooled(call, &call->in[0].shape, &call->out[0].shape);
}

static rg_status infer_transpose(rg_infer *call)
{
    rg_shape pooled;
    const bool take = call->op == &rgi_op_max_pool_take;
    const rg_shape *x = &call->in[1].shape;
    const rg_status status = infer_pooled(call, x, &pooled);
    if (status != RG_OK)
        return status;
    if (call->in[0].dtype != call->in[1].dtype || !rg_shape_equal(call->in[0].shape, take ? *x : pooled))
        return rg_infer_fail(call, RG_ERR_SHAPE, "input 0 does not fit input 1");
    call->out[0] = (rg_type){call->in[0].dtype, take ? pooled : *x};
    return RG_OK;
}

/* ---- derivatives and batching ---- */

static rg_node *with(const rg_op *op, rg_node *self, rg_node *a, rg_node *x)
{
    return rg_apply(op, RG_NODES(a, x), rg_attr(self));
}

static void vjp_max(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    grad[0] = with(&rgi_op_max_pool_put, self, ct[0], rg_arg(self, 0));
}

static void jvp_max(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    out[0] = with(&rgi_op_max_pool_take, self, tangent[0], rg_arg(self, 0));
}

static void vjp_take(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    if (rg_wants(self, 0))
        grad[0] = with(&rgi_op_max_pool_put, self, ct[0], rg_arg(self, 1));
}

static void vjp_put(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    if (rg_wants(self, 0))
        grad[0] = with(&rgi_op_max_pool_take, self, ct[0], rg_arg(self, 1));
}

static void vjp_avg(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    grad[0] = with(&rgi_op_avg_pool_grad, self, ct[0], rg_arg(self, 0));
}

static void vjp_avg_grad(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    if (rg_wants(self, 0))
        grad[0] = rg_apply(&rgi_op_avg_pool, RG_NODES(ct[0]), rg_attr(self));
}

/* Leading axes are planes, one more or less. */
static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    rg_node *full[2];
    const size_t n = rg_arg_count(self);
    rgi_batch_all(in, batched, n, full);
    out[0] = rg_apply(rg_op_of(self), (rg_nodes){full, n}, rg_attr(self));
}

/* ---- running: tasks are planes ---- */

typedef struct geometry {
    rgk_pool p;
    size_t planes, in, out; /* elements of a plane */
} geometry;

static void lay_out(const rg_step *s, void *out)
{
    const pool *p = s->attr;
    const rg_type *x = &s->in_type[s->n_in - 1];
    const rg_shape *shape = &x->shape;
    const int before = shape->rank - (int)p->rank;
    geometry g = {.p.include_pad = !p->exclude_pad, .planes = rgi_count_range(shape, 0, before), .in = 1, .out = 1};
    for (int axis = 0; axis < 3; axis++) {
        const bool used = axis >= 3 - p->rank;
        const int64_t in = used ? shape->dim[shape->rank - 3 + axis] : 1;
        g.p.in[axis] = (size_t)in;
        g.p.out[axis] = used ? (size_t)outputs(p, axis, in) : 1;
        g.p.window[axis] = (size_t)p->window[axis];
        g.p.stride[axis] = (size_t)p->stride[axis];
        g.p.pad[axis] = (size_t)p->pad[axis];
        g.p.dilation[axis] = (size_t)p->dilation[axis];
        g.in *= g.p.in[axis];
        g.out *= g.p.out[axis];
    }
    *(geometry *)out = g;
}

static void cost(const rg_step *s, rg_cost *cost)
{
    const geometry *g = s->geometry;
    const size_t *w = g->p.window;
    cost->tasks[0] = g->planes;
    cost->flops = (double)g->planes * (double)g->out * (double)w[0] * (double)w[1] * (double)w[2];
    cost->bytes = rgi_bytes(s);
    if (s->op == &rgi_op_max_pool_take || s->op == &rgi_op_max_pool_put)
        cost->scratch = rgi_kernels(s->out_type[0].dtype)->max_pool_scratch(&g->p);
    else if (s->op == &rgi_op_avg_pool_grad)
        cost->scratch = g->p.out[2] * rg_dtype_size(s->out_type[0].dtype);
}

static rg_status run(const rg_step *s, size_t lo, size_t hi)
{
    const geometry *g = s->geometry;
    const rgk_table *k = rgi_kernels(s->out_type[0].dtype);
    const size_t size = rg_dtype_size(s->out_type[0].dtype), large = lo * g->in * size, small = lo * g->out * size;
    const size_t n = hi - lo;
    const char *a = s->in[0], *x = s->n_in > 1 ? s->in[1] : NULL;
    char *y = s->out[0];
    if (g->planes == 0)
        return RG_OK;
    if (s->op == &rgi_op_max_pool)
        k->max_pool(&g->p, n, a + large, y + small);
    else if (s->op == &rgi_op_max_pool_take)
        k->max_pool_take(&g->p, n, a + large, x + large, y + small, s->scratch);
    else if (s->op == &rgi_op_max_pool_put)
        k->max_pool_put(&g->p, n, a + small, x + large, y + large, s->scratch);
    else if (s->op == &rgi_op_avg_pool)
        k->avg_pool(&g->p, n, a + large, y + small);
    else
        k->avg_pool_grad(&g->p, n, a + small, y + large, s->scratch);
    return RG_OK;
}

/* ---- descriptors ---- */

static const rg_attr_field fields[] = {
    {"rank", offsetof(pool, rank), RG_ATTR_I64},
    {"window0", offsetof(pool, window[0]), RG_ATTR_I64},
    {"window1", offsetof(pool, window[1]), RG_ATTR_I64},
    {"window2", offsetof(pool, window[2]), RG_ATTR_I64},
    {"stride0", offsetof(pool, stride[0]), RG_ATTR_I64},
    {"stride1", offsetof(pool, stride[1]), RG_ATTR_I64},
    {"stride2", offsetof(pool, stride[2]), RG_ATTR_I64},
    {"pad0", offsetof(pool, pad[0]), RG_ATTR_I64},
    {"pad1", offsetof(pool, pad[1]), RG_ATTR_I64},
    {"pad2", offsetof(pool, pad[2]), RG_ATTR_I64},
    {"dilation0", offsetof(pool, dilation[0]), RG_ATTR_I64},
    {"dilation1", offsetof(pool, dilation[1]), RG_ATTR_I64},
    {"dilation2", offsetof(pool, dilation[2]), RG_ATTR_I64},
    {"ceil_mode", offsetof(pool, ceil_mode), RG_ATTR_BOOL},
    {"exclude_pad", offsetof(pool, exclude_pad), RG_ATTR_BOOL},
    {0},
};

/* Every channel of every image by itself. */
static void reads(const rg_step *step, size_t i, int32_t from[])
{
    for (int32_t a = 0; a < step->in_type[i].shape.rank - (int32_t)((const pool *)step->attr)->rank; a++)
        from[a] = a;
}

#define POOL                                                                                        \
    .n_out = 1, .dtypes = RG_DT_FLOATS, .attr_size = sizeof(pool), .attrs = fields, .batch = batch, \
    .geometry_size = sizeof(geometry), .geometry = lay_out, .cost = cost, .run = run, .reads = reads

const rg_op rgi_op_max_pool = {POOL,           .name = "max_pool", .n_in = 1, .infer = infer_pool,
                               .vjp = vjp_max, .jvp = jvp_max};

const rg_op rgi_op_max_pool_take = {
    POOL, .name = "max_pool_take", .n_in = 2, .infer = infer_transpose, .vjp = vjp_take, .jvp = rgi_jvp_linear};

const rg_op rgi_op_max_pool_put = {POOL,           .name = "max_pool_put", .n_in = 2, .infer = infer_transpose,
                                   .vjp = vjp_put, .jvp = rgi_jvp_linear};

const rg_op rgi_op_avg_pool = {POOL,           .name = "avg_pool",   .n_in = 1, .infer = infer_pool,
                               .vjp = vjp_avg, .jvp = rgi_jvp_linear};

const rg_op rgi_op_avg_pool_grad = {POOL,
                                    .name = "avg_pool_grad",
                                    .n_in = 2,
                                    .shape_only = 1u << 1,
                                    .infer = infer_transpose,
                                    .vjp = vjp_avg_grad,
                                    .jvp = rgi_jvp_linear};

/* ---- builders ---- */

/* What a user's options say, n numbers each. */
typedef struct options {
    const int64_t *window, *stride, *pad, *dilation;
    bool ceil_mode, exclude_pad;
} options;

static rg_node *refuse(const rg_op *op, rg_node *x, int axis, const char *what, int64_t value)
{
    char text[2 * RGI_LABEL];
    return rg_build_fail(x->graph, RG_ERR_ARGUMENT, "%s: axis %d of the window: %s (it is %lld); inputs: %s", op->name,
                         axis, what, (long long)value, rgi_format_operand(x, text, sizeof text));
}

static rg_node *build(const rg_op *op, rg_node *x, int rank, const options *o)
{
    pool p = {.rank = rank,
              .window = {1, 1, 1},
              .stride = {1, 1, 1},
              .dilation = {1, 1, 1},
              .ceil_mode = o->ceil_mode,
              .exclude_pad = o->exclude_pad};
    int64_t volume = 1;
    for (int i = 0; x && i < rank; i++) {
        const int axis = 3 - rank + i;
        const int64_t window = o->window[i], stride = o->stride[i] ? o->stride[i] : window;
        const int64_t dilation = o->dilation[i] ? o->dilation[i] : 1;
        if (window < 1 || window > INT32_MAX / volume)
            return refuse(op, x, i, "its size must be at least 1, and all of it below 2^31 elements", window);
        if (stride < 1 || stride > INT32_MAX)
            return refuse(op, x, i, "the stride must lie in [1, 2^31)", stride);
        if (dilation < 1 || dilation > INT32_MAX)
            return refuse(op, x, i, "the dilation must lie in [1, 2^31)", dilation);
        if (op == &rgi_op_avg_pool && dilation != 1)
            return refuse(op, x, i, "a mean takes no dilation", dilation);
        if (o->pad[i] < 0 || o->pad[i] > window / 2)
            return refuse(op, x, i, "the padding must lie between 0 and half the window", o->pad[i]);
        volume *= window;
        p.window[axis] = window;
        p.stride[axis] = stride;
        p.pad[axis] = o->pad[i];
        p.dilation[axis] = dilation;
    }
    return rg_apply(op, RG_NODES(x), &p);
}

bool rgi_max_pool_of_images(const rg_node *node)
{
    return ((const pool *)node->attr)->rank == 2;
}

rg_node *rgi_max_pool_in_blocks(const rg_node *node, rg_node *x)
{
    const pool *p = node->attr;
    const pool blocks = {.rank = 3,
                         .window = {p->window[1], p->window[2], 1},
                         .stride = {p->stride[1], p->stride[2], 1},
                         .pad = {p->pad[1], p->pad[2], 0},
                         .dilation = {p->dilation[1], p->dilation[2], 1},
                         .ceil_mode = p->ceil_mode,
                         .exclude_pad = p->exclude_pad};
    return rg_apply(&rgi_op_max_pool, RG_NODES(x), &blocks);
}

#define OPTIONS(o) (&(options){(o)->window, (o)->stride, (o)->pad, (o)->dilation, (o)->ceil_mode, (o)->exclude_pad})

rg_node *rg_max_pool1d(rg_node *x, const rg_pool1d_opts *opts)
{
    const rg_pool1d_opts o = opts ? *opts : (rg_pool1d_opts){.window = {0}};
    return build(&rgi_op_max_pool, x, 1, OPTIONS(&o));
}

rg_node *rg_max_pool2d(rg_node *x, const rg_pool_opts *opts)
{
    const rg_pool_opts o = opts ? *opts : (rg_pool_opts){.window = {0}};
    return build(&rgi_op_max_pool, x, 2, OPTIONS(&o));
}

rg_node *rg_max_pool3d(rg_node *x, const rg_pool3d_opts *opts)
{
    const rg_pool3d_opts o = opts ? *opts : (rg_pool3d_opts){.window = {0}};
    return build(&rgi_op_max_pool, x, 3, OPTIONS(&o));
}

rg_node *rg_avg_pool1d(rg_node *x, const rg_pool1d_opts *opts)
{
    const rg_pool1d_opts o = opts ? *opts : (rg_pool1d_opts){.window = {0}};
    return build(&rgi_op_avg_pool, x, 1, OPTIONS(&o));
}

rg_node *rg_avg_pool2d(rg_node *x, const rg_pool_opts *opts)
{
    const rg_pool_opts o = opts ? *opts : (rg_pool_opts){.window = {0}};
    return build(&rgi_op_avg_pool, x, 2, OPTIONS(&o));
}

rg_node *rg_avg_pool3d(rg_node *x, const rg_pool3d_opts *opts)
{
    const rg_pool3d_opts o = opts ? *opts : (rg_pool3d_opts){.window = {0}};
    return build(&rgi_op_avg_pool, x, 3, OPTIONS(&o));
}
