/* random.c - draws that are pure functions: element i of a draw is Philox4x32-10 (Salmon et al., SC 2011) of
   (key, step, index, i). The key is the hash of the scope's path and of how many draws were made in that scope before;
   the step is the buffer "random.step", raised once in a run with effects; the index numbers the steps of the enclosing
   scans. So a draw that is recomputed, hoisted out of its scan or made on another thread has the same bits.

     random(step, index?) {shape}:          y = index's axes, then `shape`
     random_like(like, step, index?):       y = index's axes, then those of `like` from axis `skip` on
   The index has axes, and skip is not 0, after batching alone: each element of the index names a draw of its own. */
#include "rules.h"
#include "table_ops.h"

#include <retrograde/op.h>

#include <string.h>
#include <xxhash.h>

#define TASK_ELEMENTS ((size_t)4096)

enum { UNIFORM, NORMAL };

typedef struct random_attr {
    int64_t kind, key;
    rg_dtype dtype;
    rg_shape shape;
} random_attr;

static const rg_attr_field random_attrs[] = {
    {"kind", offsetof(random_attr, kind), RG_ATTR_I64},
    {"key", offsetof(random_attr, key), RG_ATTR_I64},
    {"dtype", offsetof(random_attr, dtype), RG_ATTR_DTYPE},
    {"shape", offsetof(random_attr, shape), RG_ATTR_SHAPE},
    {0},
};

typedef struct like_attr {
    int64_t kind, key; /* as in random_attr */
    int64_t skip;
} like_attr;

static const rg_attr_field like_attrs[] = {
    {"kind", offsetof(like_attr, kind), RG_ATTR_I64},
    {"key", offsetof(like_attr, key), RG_ATTR_I64},
    {"skip", offsetof(like_attr, skip), RG_ATTR_I64},
    {0},
};

/* ---- shape rules ---- */

/* in[first] is the step, in[first + 1] the index, if any; y is the index's axes, then those of `shape`. */
static rg_status draw(rg_infer *call, size_t first, rg_dtype dtype, const rg_shape *shape, int32_t skip)
{
    if (dtype != RG_F32 && dtype != RG_F64)
        return rg_infer_fail(call, RG_ERR_DTYPE, "draws are f32 or f64, not %s", rg_dtype_name(dtype));
    if (call->n_in != first + 1 && call->n_in != first + 2)
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "%zu inputs", call->n_in);
    if (call->in[first].dtype != RG_I64 || call->in[first].shape.rank != 0)
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "the step count is no i64 scalar");
    rg_shape y = RG_SCALAR;
    if (call->n_in == first + 2) {
        if (call->in[first + 1].dtype != RG_I64)
            return rg_infer_fail(call, RG_ERR_DTYPE, "the index is %s, not i64",
                                 rg_dtype_name(call->in[first + 1].dtype));
        y = call->in[first + 1].shape;
    }
    if (y.rank + shape->rank - skip > RG_MAX_RANK)
        return rg_infer_fail(call, RG_ERR_SHAPE, "the result would have more than %d axes", RG_MAX_RANK);
    for (int32_t i = skip; i < shape->rank; i++)
        y.dim[y.rank++] = shape->dim[i];
    call->out[0] = (rg_type){dtype, y};
    return RG_OK;
}

static rg_status infer_random(rg_infer *call)
{
    const random_attr *a = call->attr;
    const rg_shape shape = rg_infer_shape(call, a->shape);
    return draw(call, 0, a->dtype, &shape, 0);
}

static rg_status infer_like(rg_infer *call)
{
    const like_attr *a = call->attr;
    if (call->n_in < 1)
        return rg_infer_fail(call, RG_ERR_ARGUMENT, "no inputs");
    return draw(call, 1, call->in[0].dtype, &call->in[0].shape, (int32_t)a->skip);
}

/* ---- batching ---- */

static void batch_random(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    (void)batched;
    out[0] = rg_apply(&rgi_op_random, (rg_nodes){in, rg_arg_count(self)}, rg_attr(self));
}

/* Without an index of its own each of the new axis sees the same draw. */
static void batch_random_like(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    const size_t n = rg_arg_count(self);
    like_attr a = *(const like_attr *)rg_attr(self);
    a.skip += batched[0];
    out[0] = rg_apply(&rgi_op_random_like, (rg_nodes){in, n}, &a);
    if (n < 3 || !batched[2])
        out[0] = rgi_expand(out[0], 0, in[0], 0, 1);
}

/* ---- running ---- */

static void cost(const rg_step *step, rg_cost *c)
{
    const int64_t kind = *(const int64_t *)step->attr;
    const size_t n = rgi_count(&step->out_type[0]);
    c->tasks[0] = (n + TASK_ELEMENTS - 1) / TASK_ELEMENTS;
    c->flops = (double)n * (kind == NORMAL ? 60 : 20);
    c->bytes = (double)(n * rg_dtype_size(step->out_type[0].dtype));
}

static rg_status run_draw(const rg_step *step, size_t first, size_t lo, size_t hi)
{
    const int64_t *const attr = step->attr; /* kind, key */
    const rg_type *y = &step->out_type[0];
    const rgk_table *k = rgi_kernels(y->dtype);
    const int32_t axes = step->n_in > first + 1 ? step->in_type[first + 1].shape.rank : 0;
    const uint64_t *const count = step->in[first];
    const uint64_t *const index = step->n_in > first + 1 ? step->in[first + 1] : NULL;
    const size_t total = rgi_count(y), each = rgi_count_range(&y->shape, axes, y->shape.rank);
    const size_t end = hi * TASK_ELEMENTS < total ? hi * TASK_ELEMENTS : total;
    for (size_t i = lo * TASK_ELEMENTS, n; i < end; i += n) {
        const size_t which = i / each, at = i % each;
        n = each - at < end - i ? each - at : end - i;
        (attr[0] == NORMAL ? k->normal : k->uniform)((uint64_t)attr[1], *count, index ? index[which] : 0, at, n,
                                                     (char *)step->out[0] + i * rg_dtype_size(y->dtype));
    }
    return RG_OK;
}

static rg_status run_random(const rg_step *step, size_t lo, size_t hi)
{
    return run_draw(step, 0, lo, hi);
}

static rg_status run_like(const rg_step *step, size_t lo, size_t hi)
{
    return run_draw(step, 1, lo, hi);
}

/* The finaliser of splitmix64: a bijection whose bits all depend on all bits. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static rg_status run_mix(const rg_step *step, size_t lo, size_t hi)
{
    const uint64_t *outer = step->in[0], *inner = step->in[1];
    uint64_t *y = step->out[0];
    for (size_t i = lo; i < hi; i++)
        y[i] = mix(outer[i] + UINT64_C(0x9E3779B97F4A7C15)) + inner[i];
    return RG_OK;
}

const rg_op rgi_op_random = {
    .name = "random",
    .n_in = -1,
    .n_out = 1,
    .traits = RG_ZERO_GRAD,
    .dtypes = RG_DT(RG_I64),
    .attr_size = sizeof(random_attr),
    .attrs = random_attrs,
    .infer = infer_random,
    .batch = batch_random,
    .cost = cost,
    .run = run_random,
};

const rg_op rgi_op_random_like = {
    .name = "random_like",
    .n_in = -1,
    .n_out = 1,
    .traits = RG_ZERO_GRAD,
    .dtypes = RG_DT(RG_I64),
    .shape_only = 1 << 0,
    .attr_size = sizeof(like_attr),
    .attrs = like_attrs,
    .infer = infer_like,
    .batch = batch_random_like,
    .cost = cost,
    .run = run_like,
};

/* One index from those of an outer and an inner scan. */
const rg_op rgi_op_mix_index = {
    .name = "mix_index",
    .n_in = 2,
    .n_out = 1,
    .traits = RG_ELEMENTWISE | RG_INPLACE | RG_ZERO_GRAD,
    .dtypes = RG_DT(RG_I64),
    .infer = rg_infer_broadcast,
    .run = run_mix,
};

/* ---- builders ---- */

/* The step count and its increment, made at first use as if outside of all scopes. */
static rg_node *step_of(rg_graph *g)
{
    if (g->random_step && g->random_advance)
        return g->random_step;
    const char *const scope = g->scope, *const root = rgi_string(g, "");
    const bool reuse = g->reuse;
    if (!root)
        return rg_build_fail(g, RG_ERR_MEMORY, "random: out of memory");
    g->scope = root;
    g->reuse = false;
    if (!g->random_step)
        g->random_step = rg_buffer(g, "random.step", RG_I64, RG_SCALAR, NULL);
    if (g->random_step)
        g->random_advance = rg_assign(g->random_step, rg_add(g->random_step, rg_scalar(g, RG_I64, 1)));
    g->scope = scope;
    g->reuse = reuse;
    return g->random_advance ? g->random_step : NULL;
}

/* The steps of all open scans in one number, NULL outside of scans. */
static rg_node *index_of(rg_graph *g)
{
    rg_node *index = NULL;
    const size_t depth = g->open.n;
    for (size_t i = 1; i <= depth; i++) {
        g->open.n = i; /* the index of the i-th one, outermost first */
        rg_node *of = rgi_scan_index(g);
        g->open.n = depth;
        index = index ? rg_apply(&rgi_op_mix_index, RG_NODES(index, of), NULL) : of;
        if (!index)
            break;
    }
    return index;
}

static int64_t next_key(rg_graph *g)
{
    const uint64_t scope = XXH3_64bits_withSeed(g->scope, strlen(g->scope), g->seed);
    const uint64_t key = mix(scope + UINT64_C(0x9E3779B97F4A7C15) * (rgi_scope_ordinal(g) + 1));
    return (int64_t)key;
}

static rg_node *random_of(rg_graph *g, const char *who, int64_t kind, rg_dtype dtype, rg_shape shape)
{
    if (!g)
        return rg_build_fail(NULL, RG_ERR_ARGUMENT, "%s: the graph is NULL", who);
    rg_node *const in[2] = {step_of(g), index_of(g)};
    if (!in[0] || (g->open.n && !in[1]))
        return NULL;
    const random_attr a = {kind, next_key(g), dtype, shape};
    return rg_apply(&rgi_op_random, (rg_nodes){in, in[1] ? 2 : 1}, &a);
}

static rg_node *random_like(rg_node *like, const char *who, int64_t kind)
{
    rg_graph *const g = rg_graph_of(like);
    if (!g)
        return rg_build_fail(NULL, RG_ERR_ARGUMENT, "%s: input 0 is NULL", who);
    rg_node *const in[3] = {like, step_of(g), index_of(g)};
    if (!in[1] || (g->open.n && !in[2]))
        return NULL;
    const like_attr a = {kind, next_key(g), 0};
    return rg_apply(&rgi_op_random_like, (rg_nodes){in, in[2] ? 3 : 2}, &a);
}

rg_node *rg_uniform(rg_graph *g, rg_dtype dtype, rg_shape shape)
{
    return random_of(g, "rg_uniform", UNIFORM, dtype, shape);
}

rg_node *rg_normal(rg_graph *g, rg_dtype dtype, rg_shape shape)
{
    return random_of(g, "rg_normal", NORMAL, dtype, shape);
}

rg_node *rg_bernoulli(rg_graph *g, double p, rg_shape shape)
{
    if (g && !(p >= 0 && p <= 1))
        return rg_build_fail(g, RG_ERR_ARGUMENT, "rg_bernoulli: the probability %g is outside [0, 1]", p);
    rg_node *const u = random_of(g, "rg_bernoulli", UNIFORM, RG_F32, shape);
    return u ? rg_less(u, rg_scalar(g, RG_F32, p)) : NULL;
}

rg_node *rg_uniform_like(rg_node *like)
{
    return random_like(like, "rg_uniform_like", UNIFORM);
}

rg_node *rg_normal_like(rg_node *like)
{
    return random_like(like, "rg_normal_like", NORMAL);
}
