/* product.c - derivatives of a product along axes, of any order, sound where elements are 0.

   With numbers e_1, .., e_m that square to 0, the coefficient of e_1 .. e_m in prod_j (x_j + e_1 u1_j + .. + e_m um_j)
   is the m-th derivative of prod x in the directions u1, .., um:
       prod_tangent(x, u1, .., um)     that coefficient, one a column
       prod_grad(c, x, u1, .., um)     c times its derivative with respect to every x_j: the coefficient in the product
                                       of the others, which is a product of what lies before j and what lies after it
   Both are linear in c and in each u, and symmetric in the directions, so their derivatives are the same two ops:
       of prod_tangent, cotangent w:   dx = prod_grad(w, x, u..)      dua = prod_grad(w, x, u.. without ua)
       of prod_grad, cotangent w:      dc = prod_tangent(x, u.., w)   dx = prod_grad(c, x, u.., w)
                                       dua = prod_grad(c, x, u.. with w for ua)                                */
#include "along.h"
#include "table_ops.h"

#define DIRECTIONS 4
#define TERMS (1 << DIRECTIONS)

/* Inputs in front of x: c or nothing. */
static size_t lead(const rg_op *op)
{
    return op == &rgi_op_prod_grad;
}

static rg_status infer(rg_infer *call)
{
    const size_t x = lead(call->op);
    rg_shape reduced;
    if (call->n_in < x + 1 || call->n_in > x + 1 + DIRECTIONS)
        return rg_infer_fail(call, RG_ERR_GRADIENT, "derivatives of a product are possible up to order %d",
                             DIRECTIONS + 1);
    const rg_status status = rgi_along_infer(call, &call->in[x].shape, call->attr, &reduced);
    if (status != RG_OK)
        return status;
    for (size_t i = 0; i < call->n_in; i++)
        if (call->in[i].dtype != call->in[x].dtype ||
            !rg_shape_equal(call->in[i].shape, i < x ? reduced : call->in[x].shape))
            return rg_infer_fail(call, RG_ERR_SHAPE, "input %zu does not fit input %zu", i, x);
    call->out[0] = (rg_type){call->in[x].dtype, x ? call->in[x].shape : reduced};
    return RG_OK;
}

/* ---- derivatives ---- */

/* The inputs of one of the two ops, changed one by one into those of another. */
typedef struct operands {
    rg_node *at[2 + DIRECTIONS + 1];
    size_t n;
} operands;

static void push(operands *list, rg_node *node)
{
    list->at[list->n++] = node;
}

static rg_node *apply(const rg_op *op, rg_node *self, const operands *list)
{
    return rg_apply(op, (rg_nodes){list->at, list->n}, rg_attr(self));
}

/* c (or nothing where it is NULL), x and the directions of self, `by` in place of input `replaced`; without it where by
   is NULL. */
static operands directions(rg_node *self, rg_node *c, size_t replaced, rg_node *by)
{
    operands list = {.n = 0};
    if (c)
        push(&list, c);
    for (size_t i = lead(rg_op_of(self)); i < rg_arg_count(self); i++)
        if (i != replaced)
            push(&list, rg_arg(self, i));
        else if (by)
            push(&list, by);
    return list;
}

#define NO_INPUT SIZE_MAX

static void vjp_tangent(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    for (size_t i = 0; i < rg_arg_count(self); i++)
        if (rg_wants(self, i)) {
            const operands list = directions(self, ct[0], i ? i : NO_INPUT, NULL);
            grad[i] = apply(&rgi_op_prod_grad, self, &list);
        }
}

static void vjp_grad(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    for (size_t i = 0; i < rg_arg_count(self); i++) {
        if (!rg_wants(self, i))
            continue;
        operands list = directions(self, i ? rg_arg(self, 0) : NULL, i > 1 ? i : NO_INPUT, ct[0]);
        if (i <= 1)
            push(&list, ct[0]);
        grad[i] = apply(i ? &rgi_op_prod_grad : &rgi_op_prod_tangent, self, &list);
    }
}

/* Along x the op with one direction more; along anything else, in which it is linear, the op with that replaced. */
static void jvp(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    const size_t x = lead(rg_op_of(self));
    for (size_t i = 0; i < rg_arg_count(self); i++) {
        if (!tangent[i])
            continue;
        rg_node *c = x == 0 ? NULL : i == 0 ? tangent[0] : rg_arg(self, 0);
        operands list = directions(self, c, i > x ? i : NO_INPUT, tangent[i]);
        if (i == x)
            push(&list, tangent[i]);
        rg_node *part = apply(rg_op_of(self), self, &list);
        out[0] = out[0] ? rg_add(out[0], part) : part;
    }
}

static void batch(rg_node *self, rg_node *const in[], const bool batched[], rg_node *out[])
{
    operands full = {.n = rg_arg_count(self)};
    rgi_batch_all(in, batched, full.n, full.at);
    const rgi_along attr = rgi_along_batched(rg_attr(self));
    out[0] = rg_apply(rg_op_of(self), (rg_nodes){full.at, full.n}, &attr);
}

/* ---- running: columns, in double ---- */

static void cost(const rg_step *s, rg_cost *cost)
{
    const size_t x = lead(s->op), terms = (size_t)1 << (s->n_in - x - 1);
    const rgi_collapse c = rgi_collapse_axes(&s->in_type[x].shape, ((const rgi_along *)s->attr)->axes);
    const double n = (double)rgi_count(&s->in_type[x]);
    cost->tasks[0] = c.outer * rgi_column_blocks(c.inner);
    cost->flops = n * (double)(terms * (2 + x * 4));
    cost->bytes = rgi_bytes(s);
    cost->scratch = x ? c.k * terms * sizeof(double) : 0;
}

/* A product under way: the coefficient of every set of the numbers e, as a bit mask. */
typedef struct partial {
    double at[TERMS];
} partial;

/* Times (x_i + e_1 u1_i + ..), the inputs from `x` on. */
static void multiply(partial *p, const rg_step *s, size_t x, size_t i)
{
    const size_t m = s->n_in - x - 1;
    const rg_dtype dtype = s->in_type[x].dtype;
    double v[1 + DIRECTIONS];
    for (size_t a = 0; a <= m; a++)
        v[a] = rgi_get(dtype, s->in[x + a], i);
    for (size_t set = (size_t)1 << m; set-- > 0;) {
        double sum = p->at[set] * v[0];
        for (size_t a = 0; a < m; a++)
            if (set >> a & 1)
                sum += p->at[set ^ (size_t)1 << a] * v[1 + a];
        p->at[set] = sum;
    }
}

static void column_tangent(const rg_step *s, rgi_collapse c, size_t column, size_t first)
{
    const size_t full = ((size_t)1 << (s->n_in - 1)) - 1;
    partial p = {{1}};
    for (size_t j = 0; j < c.k; j++)
        multiply(&p, s, 0, first + j * c.inner);
    rgi_put(s->out_type[0].dtype, s->out[0], column, p.at[full]);
}

static void column_grad(const rg_step *s, rgi_collapse c, size_t column, size_t first)
{
    const size_t terms = (size_t)1 << (s->n_in - 2);
    const rg_dtype dtype = s->out_type[0].dtype;
    const double factor = rgi_get(dtype, s->in[0], column);
    double *before = s->scratch; /* what lies before each element */
    partial p = {{1}};
    for (size_t j = 0; j < c.k; j++) {
        for (size_t set = 0; set < terms; set++)
            before[j * terms + set] = p.at[set];
        multiply(&p, s, 1, first + j * c.inner);
    }
    p = (partial){{1}};
    for (size_t j = c.k; j-- > 0;) {
        double sum = 0;
        for (size_t set = 0; set < terms; set++)
            sum += before[j * terms + set] * p.at[terms - 1 - set];
        rgi_put(dtype, s->out[0], first + j * c.inner, factor * sum);
        multiply(&p, s, 1, first + j * c.inner);
    }
}

static rg_status run(const rg_step *s, size_t lo, size_t hi)
{
    const size_t x = lead(s->op);
    const rgi_collapse c = rgi_collapse_axes(&s->in_type[x].shape, ((const rgi_along *)s->attr)->axes);
    if (c.outer * c.inner == 0)
        return RG_OK;
    rgi_span span;
    for (; lo < hi; lo += span.tasks) {
        span = rgi_span_at(c.inner, lo, hi);
        for (size_t j = span.first; j < span.first + span.n; j++)
            (x ? column_grad : column_tangent)(s, c, span.row * c.inner + j, span.row * c.k * c.inner + j);
    }
    return RG_OK;
}

/* ---- descriptors and builders ---- */

const rg_op rgi_op_prod_tangent = {
    .name = "prod_tangent",
    .n_in = -1,
    .n_out = 1,
    .dtypes = RG_DT_FLOATS,
    .attr_size = sizeof(rgi_along),
    .attrs = rgi_along_fields,
    .infer = infer,
    .vjp = vjp_tangent,
    .jvp = jvp,
    .batch = batch,
    .cost = cost,
    .run = run,
    .reads = rgi_along_reads,
};

const rg_op rgi_op_prod_grad = {
    .name = "prod_grad",
    .n_in = -1,
    .n_out = 1,
    .dtypes = RG_DT_FLOATS,
    .attr_size = sizeof(rgi_along),
    .attrs = rgi_along_fields,
    .infer = infer,
    .vjp = vjp_grad,
    .jvp = jvp,
    .batch = batch,
    .cost = cost,
    .run = run,
    .reads = rgi_along_reads,
};

rg_node *rgi_prod_tangent(rg_node *x, rg_node *t, const rgi_along *along)
{
    return rg_apply(&rgi_op_prod_tangent, RG_NODES(x, t), along);
}

rg_node *rgi_prod_grad(rg_node *u, rg_node *x, const rgi_along *along)
{
    return rg_apply(&rgi_op_prod_grad, RG_NODES(u, x), along);
}
