/* where.c - a choice for each element: y = c ? a : b. da = c ? u : 0, db = c ? 0 : u. */
#include "pointwise.h"
#include "table_ops.h"

static rg_status infer(rg_infer *call)
{
    if (call->in[0].dtype != RG_BOOL)
        return rg_infer_fail(call, RG_ERR_DTYPE, "the condition is %s, it must be bool",
                             rg_dtype_name(call->in[0].dtype));
    if (call->in[1].dtype != call->in[2].dtype)
        return rg_infer_fail(call, RG_ERR_DTYPE, "cannot choose between %s and %s", rg_dtype_name(call->in[1].dtype),
                             rg_dtype_name(call->in[2].dtype));
    /* The shapes of all three broadcast; the condition's dtype is no part of it. */
    const rg_type in[3] = {{call->in[1].dtype, call->in[0].shape}, call->in[1], call->in[2]};
    rg_infer values = *call;
    values.in = in;
    return rg_infer_broadcast(&values);
}

/* What the mode rules out gives -0, which adds nothing to any number, not even to -0: plans drop such sums. */
static rg_node *d_where(rg_node *self, size_t i, rg_node *u)
{
    rg_node *zero = rg_full_like(u, self->in[0]->op == &rgi_op_training ? -0.0 : 0.0);
    return i == 0 ? NULL : rg_where(rg_arg(self, 0), i == 1 ? u : zero, i == 1 ? zero : u);
}

static void choose_32(size_t n, const uint8_t *c, const int32_t *a, const int32_t *b, int32_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = c[i] ? a[i] : b[i];
}

static void choose_64(size_t n, const uint8_t *c, const int64_t *a, const int64_t *b, int64_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = c[i] ? a[i] : b[i];
}

static void choose_8(size_t n, const uint8_t *c, const uint8_t *a, const uint8_t *b, uint8_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = c[i] ? a[i] : b[i];
}

static rg_status run(const rg_step *s, size_t lo, size_t hi)
{
    const rg_dtype dtype = s->out_type[0].dtype;
    const size_t size = rg_dtype_size(dtype), n = hi - lo;
    const uint8_t *c = (const uint8_t *)s->in[0] + lo;
    const void *a = (const char *)s->in[1] + lo * size, *b = (const char *)s->in[2] + lo * size;
    void *y = (char *)s->out[0] + lo * size;
    if (rg_dtype_is_float(dtype))
        rgi_kernels(dtype)->where(n, c, a, b, y);
    else if (size == sizeof(int32_t))
        choose_32(n, c, a, b, y);
    else if (size == sizeof(int64_t))
        choose_64(n, c, a, b, y);
    else
        choose_8(n, c, a, b, y);
    return RG_OK;
}

static int alias(const void *attr, const double *const uniform[])
{
    (void)attr;
    return !uniform[0] ? -1 : *uniform[0] != 0 ? 1 : 2;
}

const rg_op rgi_op_where = {
    .name = "where",
    .n_in = 3,
    .n_out = 1,
    .traits = RG_ELEMENTWISE | RG_INPLACE,
    .dtypes = RG_DT_ALL,
    .infer = infer,
    RGI_DERIVATIVES,
    .cost = rgi_pointwise_cost,
    .run = run,
    .alias = alias,
    .data = &(const rgi_pointwise){0, 1, d_where},
};

rg_node *rg_where(rg_node *condition, rg_node *a, rg_node *b)
{
    return rg_apply(&rgi_op_where, RG_NODES(condition, a, b), NULL);
}
