/* pointwise.c - derivative rules, cost and run functions shared by the elementwise ops. */
#include "pointwise.h"
#include "widen.h"

void rgi_pointwise_vjp(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const rgi_pointwise *op = rg_op_of(self)->data;
    for (size_t i = 0; i < rg_arg_count(self); i++)
        if (rg_wants(self, i))
            grad[i] = op->partial(self, i, ct[0]);
}

void rgi_pointwise_jvp(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    const rgi_pointwise *op = rg_op_of(self)->data;
    for (size_t i = 0; i < rg_arg_count(self); i++) {
        rg_node *part = tangent[i] ? op->partial(self, i, tangent[i]) : NULL;
        if (part)
            out[0] = out[0] ? rg_add(out[0], part) : part;
    }
}

void rgi_pointwise_cost(const rg_step *s, rg_cost *cost)
{
    const rgi_pointwise *op = s->op->data;
    const size_t n = rgi_count(&s->out_type[0]);
    size_t bytes = rg_dtype_size(s->out_type[0].dtype);
    for (uint32_t i = 0; i < s->n_in; i++)
        bytes += rg_dtype_size(s->in_type[i].dtype);
    cost->tasks[0] = n;
    cost->flops = (double)n * op->flops;
    cost->bytes = (double)n * (double)bytes;
}

static void integer_unary(int kernel, size_t n, const int64_t *x, int64_t *y)
{
    for (size_t i = 0; i < n; i++)
        switch (kernel) {
        case RGK_NEG:
            y[i] = rgi_sub_wrap(0, x[i]);
            break;
        case RGK_ABS:
            y[i] = x[i] < 0 ? rgi_sub_wrap(0, x[i]) : x[i];
            break;
        case RGK_SIGN:
            y[i] = (x[i] > 0) - (x[i] < 0);
            break;
        default: /* RGK_SQUARE */
            y[i] = rgi_mul_wrap(x[i], x[i]);
            break;
        }
}

static void integer_binary(int kernel, size_t n, const int64_t *a, const int64_t *b, int64_t *y)
{
    for (size_t i = 0; i < n; i++)
        switch (kernel) {
        case RGK_ADD:
            y[i] = rgi_add_wrap(a[i], b[i]);
            break;
        case RGK_SUB:
            y[i] = rgi_sub_wrap(a[i], b[i]);
            break;
        case RGK_MUL:
            y[i] = rgi_mul_wrap(a[i], b[i]);
            break;
        case RGK_MINIMUM:
            y[i] = a[i] < b[i] ? a[i] : b[i];
            break;
        default: /* RGK_MAXIMUM */
            y[i] = a[i] > b[i] ? a[i] : b[i];
            break;
        }
}

/* Elements [lo, lo + n) of input i, or so often the one that it is. */
static void widen_integer(const rg_step *s, uint32_t i, size_t lo, size_t n, int64_t *to)
{
    const rg_dtype dtype = s->in_type[0].dtype;
    if (!(s->once >> i & 1)) {
        rgi_to_i64(dtype, s->in[i], lo, n, to);
        return;
    }
    rgi_to_i64(dtype, s->in[i], 0, 1, to);
    for (size_t k = 1; k < n; k++)
        to[k] = to[0];
}

/* One or two integer inputs, widened a block at a time. */
static void run_integer(const rg_step *s, int kernel, size_t lo, size_t hi)
{
    const rg_dtype dtype = s->in_type[0].dtype;
    int64_t a[RGI_BLOCK], b[RGI_BLOCK];
    for (size_t n; lo < hi; lo += n) {
        n = hi - lo < RGI_BLOCK ? hi - lo : RGI_BLOCK;
        widen_integer(s, 0, lo, n, a);
        if (s->n_in == 1) {
            integer_unary(kernel, n, a, a);
        } else {
            widen_integer(s, 1, lo, n, b);
            integer_binary(kernel, n, a, b, a);
        }
        rgi_from_i64(dtype, a, lo, n, s->out[0]);
    }
}

/* Input i from `bytes` bytes on, or the one element that it is. */
static inline const void *from(const rg_step *s, uint32_t i, size_t bytes)
{
    return (const char *)s->in[i] + (s->once >> i & 1 ? 0 : bytes);
}

/* Inline, and no question to another file: of one element it would be a part of the time. */
static inline bool is_float(rg_dtype dtype)
{
    return dtype == RG_F32 || dtype == RG_F64;
}

static inline size_t float_bytes(rg_dtype dtype, size_t n)
{
    return n * (dtype == RG_F64 ? sizeof(double) : sizeof(float));
}

rg_status rgi_run_unary(const rg_step *s, size_t lo, size_t hi)
{
    const rgi_pointwise *op = s->op->data;
    const rg_dtype dtype = s->in_type[0].dtype;
    const size_t at = float_bytes(dtype, lo);
    if (is_float(dtype))
        rgi_kernels(dtype)->unary[op->kernel](hi - lo, from(s, 0, at), (char *)s->out[0] + at, s->attr);
    else
        run_integer(s, op->kernel, lo, hi);
    return RG_OK;
}

rg_status rgi_run_binary(const rg_step *s, size_t lo, size_t hi)
{
    const rgi_pointwise *op = s->op->data;
    const rg_dtype dtype = s->in_type[0].dtype;
    const size_t at = float_bytes(dtype, lo);
    if (is_float(dtype))
        rgi_kernels(dtype)->binary[op->kernel](hi - lo, from(s, 0, at), from(s, 1, at), (char *)s->out[0] + at, s->attr,
                                               s->once);
    else
        run_integer(s, op->kernel, lo, hi);
    return RG_OK;
}

rg_status rgi_run_ternary(const rg_step *s, size_t lo, size_t hi)
{
    const rgi_pointwise *op = s->op->data;
    const rg_dtype dtype = s->in_type[0].dtype;
    const size_t at = float_bytes(dtype, lo);
    rgi_kernels(dtype)->ternary[op->kernel](hi - lo, from(s, 0, at), from(s, 1, at), from(s, 2, at),
                                            (char *)s->out[0] + at, s->once);
    return RG_OK;
}
