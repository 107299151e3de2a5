/* cast.c - the same values as another dtype. Between floats: rounded to nearest. To bool: not zero. To integers:
   towards zero, cut to the range of the type, NaN becomes 0. dx = u cast back between floats, else zero. */
#include "pointwise.h"
#include "table_ops.h"
#include "widen.h"

#include "../graph/bf16.h"

#include <math.h>

typedef struct target {
    rg_dtype dtype;
} target;

static rg_status infer(rg_infer *call)
{
    const rg_dtype dtype = ((const target *)call->attr)->dtype;
    if (dtype <= 0 || dtype >= RG_DTYPE_COUNT)
        return rg_infer_fail(call, RG_ERR_DTYPE, "there is no element type %d to cast to", (int)dtype);
    call->out[0] = (rg_type){dtype, call->in[0].shape};
    return RG_OK;
}

static void vjp(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    const rg_node *x = rg_arg(self, 0);
    if (x && rg_dtype_is_float(x->dtype))
        grad[0] = rg_cast(ct[0], x->dtype);
}

static void jvp(rg_node *self, rg_node *const tangent[], rg_node *out[])
{
    if (rg_dtype_is_float(self->dtype))
        out[0] = rg_cast(tangent[0], self->dtype);
}

/* ---- a block at a time: into f64 or i64, whichever holds the values exactly, and out again ---- */

static int64_t saturated(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static int64_t truncated(double v)
{
    const double limit = 0x1p63;
    return isnan(v) ? 0 : v >= limit ? INT64_MAX : v < -limit ? INT64_MIN : (int64_t)v;
}

static void store_integers(rg_dtype dtype, int64_t *x, size_t first, size_t n, void *out)
{
    for (size_t i = 0; i < n && dtype == RG_I32; i++)
        x[i] = saturated(x[i], INT32_MIN, INT32_MAX);
    for (size_t i = 0; i < n && dtype == RG_U8; i++)
        x[i] = saturated(x[i], 0, UINT8_MAX);
    for (size_t i = 0; i < n && dtype == RG_BOOL; i++)
        x[i] = x[i] != 0;
    rgi_from_i64(dtype, x, first, n, out);
}

static void store_floats(rg_dtype dtype, const double *x, size_t first, size_t n, void *out)
{
    int64_t v[RGI_BLOCK];
    if (dtype == RG_F32) {
        for (size_t i = 0; i < n; i++)
            ((float *)out)[first + i] = (float)x[i];
    } else if (dtype == RG_F64) {
        for (size_t i = 0; i < n; i++)
            ((double *)out)[first + i] = x[i];
    } else if (dtype == RG_BF16) {
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)out)[first + i] = rgi_bf16_of_f64(x[i]);
    } else {
        for (size_t i = 0; i < n; i++)
            v[i] = dtype == RG_BOOL ? x[i] != 0 : truncated(x[i]);
        store_integers(dtype, v, first, n, out);
    }
}

static rg_status run(const rg_step *s, size_t lo, size_t hi)
{
    if (s->in_type[0].dtype == RG_F32 && s->out_type[0].dtype == RG_BF16) {
        rgk(RGK_F32)->narrow(hi - lo, (const float *)s->in[0] + lo, (uint16_t *)s->out[0] + lo);
        return RG_OK;
    }
    if (s->in_type[0].dtype == RG_BF16 && s->out_type[0].dtype == RG_F32) {
        rgk(RGK_F32)->widen(hi - lo, (const uint16_t *)s->in[0] + lo, (float *)s->out[0] + lo);
        return RG_OK;
    }
    const rg_dtype from = s->in_type[0].dtype, to = s->out_type[0].dtype;
    double f[RGI_BLOCK];
    int64_t v[RGI_BLOCK];
    for (size_t n; lo < hi; lo += n) {
        n = hi - lo < RGI_BLOCK ? hi - lo : RGI_BLOCK;
        if (rg_dtype_is_float(from)) {
            rgi_to_f64(from, s->in[0], lo, n, f);
            store_floats(to, f, lo, n, s->out[0]);
            continue;
        }
        rgi_to_i64(from, s->in[0], lo, n, v);
        if (to == RG_F32)
            for (size_t i = 0; i < n; i++)
                ((float *)s->out[0])[lo + i] = (float)v[i];
        else if (to == RG_F64)
            for (size_t i = 0; i < n; i++)
                ((double *)s->out[0])[lo + i] = (double)v[i];
        else if (to == RG_BF16)
            for (size_t i = 0; i < n; i++)
                ((uint16_t *)s->out[0])[lo + i] = rgi_bf16_of_f64((double)v[i]);
        else
            store_integers(to, v, lo, n, s->out[0]);
    }
    return RG_OK;
}

static const rg_attr_field target_field[] = {{"dtype", offsetof(target, dtype), RG_ATTR_DTYPE}, {0}};

const rg_op rgi_op_cast = {
    .name = "cast",
    .n_in = 1,
    .n_out = 1,
    .traits = RG_ELEMENTWISE,
    .dtypes = RG_DT_ALL | RG_DT(RG_BF16),
    .attr_size = sizeof(target),
    .attrs = target_field,
    .infer = infer,
    .vjp = vjp,
    .jvp = jvp,
    .cost = rgi_pointwise_cost,
    .run = run,
    .data = &(const rgi_pointwise){0, 2, NULL},
};

rg_node *rg_cast(rg_node *x, rg_dtype dtype)
{
    return x && x->dtype == dtype ? x : rg_apply(&rgi_op_cast, RG_NODES(x), &(target){dtype});
}
