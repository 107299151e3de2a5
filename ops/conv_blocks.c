/* conv_blocks.c - convolution of planes or of blocks of channels into planes or blocks: its rules, and which
   convolutions can. How it runs: conv_wide.c.

       conv_blocks(x, w) = into(conv(out_of(x), w)),   each turning left out where x, or the result, is planes */
#include "blocks.h"
#include "conv.h"
#include "table_ops.h"

#include <retrograde/graph.h>

#define BLOCKED_RANK 5

static rg_status infer(rg_infer *call)
{
    const rgi_conv_blocks *a = call->attr;
    rg_shape y;
    if (a->in && (call->in[0].shape.rank != BLOCKED_RANK || call->in[0].shape.dim[BLOCKED_RANK - 1] != a->in))
        return rg_infer_fail(call, RG_ERR_SHAPE, "input 0 is not in blocks of %lld", (long long)a->in);
    const rg_shape x = rgi_conv_planes(&call->in[0].shape, a->in);
    const rg_status status = rgi_conv_infer_outputs(call, &x, &call->in[1].shape, &y);
    if (status)
        return status;
    call->out[0] = (rg_type){call->in[0].dtype, y};
    if (!a->out)
        return RG_OK;
    if (y.rank != BLOCKED_RANK - 1 || y.dim[1] % a->out)
        return rg_infer_fail(call, RG_ERR_SHAPE, "the result is not divided by blocks of %lld", (long long)a->out);
    call->out[0].shape = RG_SHAPE(y.dim[0], y.dim[1] / a->out, y.dim[2], y.dim[3], a->out);
    return RG_OK;
}

static void reads_images(const rg_step *step, size_t i, int32_t from[])
{
    (void)step;
    if (i == 0)
        from[0] = 0;
}

static const rg_attr_field fields[] = {
    RGI_CONV_FIELDS,
    {"in", offsetof(rgi_conv_blocks, in), RG_ATTR_I64},
    {"out", offsetof(rgi_conv_blocks, out), RG_ATTR_I64},
    {0},
};

const rg_op rgi_op_conv_blocks = {
    .name = "conv_blocks",
    .n_in = 2,
    .n_out = 1,
    .dtypes = RG_DT_FLOATS,
    .traits = RG_DELIVERS | RG_FOLLOWED,
    .attr_size = sizeof(rgi_conv_blocks),
    .attrs = fields,
    .infer = infer,
    .geometry_size = sizeof(rgi_conv_layout),
    .geometry = rgi_conv_lay_out,
    .cost = rgi_conv_cost,
    .packed = rgi_conv_packed,
    .pack = rgi_conv_pack,
    .run = rgi_conv_run,
    .reads = reads_images,
};

/* Whether padding is added to the sums as zeros somewhere; in blocks there is none to be added. */
static bool adds_zeros(const rgi_conv_layout *l)
{
    bool zeros = false;
    for (int i = 1; i < 3; i++) {
        const size_t reach = (l->out[i] - 1) * l->stride[i] + (l->kernel[i] - 1) * l->dilation[i] + 1;
        zeros = zeros || (!l->wide.divided[i] && (l->before[i] || reach > l->in[i]));
    }
    return zeros;
}

bool rgi_conv_blocking_of(const rg_node *conv, rgi_conv_blocking *out)
{
    const rgi_conv *a = conv->attr;
    if (conv->op != &rgi_op_conv || a->rank != 2)
        return false;
    const rg_type in[2] = {{conv->in[0]->dtype, conv->in[0]->shape->a}, {conv->in[1]->dtype, conv->in[1]->shape->a}};
    const rg_type y = {conv->dtype, conv->shape->a};
    const rg_step step = {.op = conv->op, .attr = a, .n_in = 2, .n_out = 1, .in_type = in, .out_type = &y};
    for (int i = 1; i < 4; i++) /* the batch alone may have any size */
        if (in[0].shape.dim[i] != conv->in[0]->shape->b.dim[i] || in[1].shape.dim[i] != conv->in[1]->shape->b.dim[i])
            return false;
    if (in[1].shape.dim[0] != conv->in[1]->shape->b.dim[0])
        return false;
    rgi_conv_layout l;
    rgi_conv_lay_out(&step, &l);
    const size_t columns = rgi_kernels(conv->dtype)->conv_columns;
    if (!l.wide.used || l.groups != 1)
        return false;
    *out = (rgi_conv_blocking){.writes = l.wide.outputs % columns == 0, .copies = !l.wide.direct};
    out->reads = l.wide.channels % columns == 0 && (l.wide.direct ? l.kernel[2] == 3 : !adds_zeros(&l));
    return out->reads || out->writes;
}

rg_node *rgi_conv_in_blocks(const rg_node *conv, rg_node *x, rg_node *w, int64_t in, int64_t out)
{
    const rgi_conv_blocks a = {*(const rgi_conv *)conv->attr, in, out};
    return rg_apply(&rgi_op_conv_blocks, RG_NODES(x, w), &a);
}

/* ---- turning ---- */

int64_t rgi_block_columns(rg_dtype dtype)
{
    return (int64_t)rgi_kernels(dtype)->conv_columns;
}

bool rgi_blocks_pay(void)
{
    const rgk_table *k = rgi_kernels(RG_F32);
    return k->conv_direct_fits(3, k->conv_columns, k->conv_columns);
}

rg_node *rgi_into_blocks(rg_node *x, int64_t columns)
{
    if (!x)
        return NULL;
    rg_node *like = rg_zeros(x->graph, x->dtype, RG_SHAPE(x->shape->a.dim[1] / columns, columns));
    return rg_transpose(rgi_unflatten(x, 1, like, 0, 2), RG_AXES(0, 1, 3, 4, 2));
}

rg_node *rgi_out_of_blocks(rg_node *x)
{
    return rgi_flatten(rg_transpose(x, RG_AXES(0, 1, 4, 2, 3)), 1, 2);
}

bool rgi_fits_channels(const rg_node *x, int64_t channels)
{
    const rg_shape *a = &x->shape->a, *b = &x->shape->b;
    int64_t all = 1;
    for (int32_t i = 0; i < a->rank; i++) {
        if (a->dim[i] != b->dim[i])
            return false;
        all *= a->dim[i];
    }
    const int32_t axis = a->rank - 3; /* of the channels, which two others follow */
    return a->rank < BLOCKED_RANK && (all == 1 || (axis >= 0 && a->dim[axis] == channels && all == channels));
}

rg_node *rgi_channels_in_blocks(rg_node *x, int64_t channels, int64_t columns)
{
    return rg_shape_count(x->shape->a) == 1 ? x : rg_reshape(x, RG_SHAPE(channels / columns, 1, 1, columns));
}
