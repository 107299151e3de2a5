/* samples_shape.c - samples of the ops that move elements: any dtype, exact. */
#include "reference_ops.h"

#include <string.h>

#define TO(text) .args = {.shape = text}
static const sample_case reshapes[] = {
    {.shape = {"2,6"}, TO("3,4")}, {.shape = {"B,4"}, TO("-1")},  {.shape = {"B,T"}, TO("T,-1")},
    {.shape = {""}, TO("1,1")},    {.shape = {"0,3"}, TO("5,0")}, {.shape = {"B,2,6"}, TO("B,3,4")},
    {.shape = {"1"}, TO("")},
};
static const sample_case like[] = {
    {.shape = {"2,6", "3,4"}}, {.shape = {"B,4", "2,B,2"}}, {.shape = {"", "1"}},
    {.shape = {"0", "3,0"}},   {.shape = {"B,T", "T,B"}},
};
static const sample_case broadcasts[] = {
    {.shape = {"3,1"}, TO("3,4")},     {.shape = {""}, TO("2,3")}, {.shape = {"4"}, TO("B,4")},
    {.shape = {"B,1"}, TO("2,B,T")},   {.shape = {"1"}, TO("0")},  {.shape = {"B,T"}, TO("B,T")},
    {.shape = {"2,1,3"}, TO("2,5,3")},
};
static const sample_case broadcast_likes[] = {
    {.shape = {"3,1", "3,4"}},   {.shape = {"", "2,3"}}, {.shape = {"4", "B,4"}},
    {.shape = {"B,1", "2,B,T"}}, {.shape = {"1", "0"}},
};
#define AT(a) .args = {.i = {a}}
static const sample_case flattens[] = {
    {.shape = {"2,3,4"}, AT(1)}, {.shape = {"B,3,4"}, AT(1)}, {.shape = {"3,B,T"}, AT(-2)},
    {.shape = {"2,3"}, AT(0)},   {.shape = {"B,0,2"}, AT(1)},
};
static const sample_case squeezes[] = {
    {.shape = {"3,1,4"}, AT(1)},
    {.shape = {"B,1"}, AT(-1)},
    {.shape = {"1"}, AT(0)},
    {.shape = {"1,B,T"}, AT(0)},
};
static const sample_case unsqueezes[] = {
    {.shape = {"3,4"}, AT(1)}, {.shape = {"B"}, AT(-1)},   {.shape = {""}, AT(0)},
    {.shape = {"B,T"}, AT(0)}, {.shape = {"2,3"}, AT(-3)},
};
/* Axis i[0] becomes i[2] axes of the second input from i[1] on; flag: after all axes were made one. */
static const sample_case unflattens[] = {
    {.shape = {"6,4", "2,3"}, .args = {.i = {0, 0, 2}}},
    {.shape = {"B,6,4", "5,2,3"}, .args = {.i = {1, 1, 2}}},
    {.shape = {"B,T", "1,B"}, .args = {.i = {0, 0, 2}}},
    {.shape = {"B,T,3", "B,T,3"}, .args = {.i = {0, 0, 3}, .flag = true}},
    {.shape = {"4", "4"}, .args = {.i = {0, 0, 1}}},
};
#define ORDER(...) .args = {.axes = {SAMPLE_AXES(__VA_ARGS__)}}
static const sample_case orders[] = {
    {.shape = {"3,5"}, ORDER(1, 0)},      {.shape = {"B,T"}, ORDER(1, 0)},
    {.shape = {"2,3,4"}, ORDER(2, 0, 1)}, {.shape = {"B,2,T,3"}, ORDER(0, 2, 1, 3)},
    {.shape = {"3,5"}, ORDER(-1, -2)},    {.shape = {"4"}, ORDER(0)},
    {.shape = {"0,3"}, ORDER(1, 0)},      {.shape = {"2,1,2,3,1,2"}, ORDER(5, 3, 1, 0, 4, 2)},
    {.shape = {"17,33"}, ORDER(1, 0)},
};
#define FILL(v) .args = {.f = {v}}
static const sample_case fills[] = {
    {.shape = {"3,5"}, FILL(2)},
    {.shape = {"B,T"}, FILL(1)},
    {.shape = {""}, FILL(0)},
    {.shape = {"0"}, FILL(3)},
};
static const sample_case zeros[] = {{.shape = {"3,5"}}, {.shape = {"B,T"}}, {.shape = {""}}, {.shape = {"0"}}};
static const sample_case ones[] = {{.shape = {"3,5"}, FILL(1)}, {.shape = {"B,T"}, FILL(1)}, {.shape = {""}, FILL(1)}};
#define RANGE(axis, start, stop, step) .args = {.i = {axis, start, stop, step}}
static const sample_case ranges[] = {
    {.shape = {"5,3"}, RANGE(0, 1, 3, 1)},      {.shape = {"5,3"}, RANGE(-1, 0, RG_END, 1)},
    {.shape = {"7"}, RANGE(0, -3, RG_END, 1)},  {.shape = {"7"}, RANGE(0, 0, 100, 3)},
    {.shape = {"7"}, RANGE(0, 5, 0, -2)},       {.shape = {"7"}, RANGE(0, -1, -8, -1)},
    {.shape = {"7"}, RANGE(0, 4, 2, 1)},        {.shape = {"B,T"}, RANGE(1, -2, RG_END, 1)},
    {.shape = {"B,9"}, RANGE(1, 1, 8, 2)},      {.shape = {"T,B"}, RANGE(0, 1, RG_END, 1)},
    {.shape = {"B,6"}, RANGE(0, 0, RG_END, 1)}, {.shape = {"3,0"}, RANGE(0, 1, 2, 1)},
};
static const sample_case joins[] = {
    {.shape = {"2,3", "4,3"}, AT(0)},     {.shape = {"2,3", "2,1", "2,5"}, AT(1)}, {.shape = {"B,3", "B,4"}, AT(-1)},
    {.shape = {"B,3", "2,3"}, AT(0)},     {.shape = {"3", "0", "2"}, AT(0)},       {.shape = {"5"}, AT(0)},
    {.shape = {"2,3,4", "2,2,4"}, AT(1)}, {.shape = {"B,T", "B,T", "B,T"}, AT(0)},
};
static const sample_case stacks[] = {
    {.shape = {"2,3", "2,3"}, AT(0)}, {.shape = {"3", "3", "3"}, AT(1)}, {.shape = {"B,4", "B,4"}, AT(-1)},
    {.shape = {"", ""}, AT(0)},       {.shape = {"B,T", "B,T"}, AT(1)},  {.shape = {"0", "0"}, AT(0)},
};
/* the indexed axis has 5 rows, the index values 0 .. 4 */
static const sample_case picks[] = {
    {.shape = {"5,3", "4"}, AT(0)}, {.shape = {"5,3", ""}, AT(0)},     {.shape = {"2,5", "3,2"}, AT(1)},
    {.shape = {"5,T", "B"}, AT(0)}, {.shape = {"B,5,2", "T"}, AT(-2)}, {.shape = {"5,3", "0"}, AT(0)},
    {.shape = {"5", "2,B"}, AT(0)},
};
static const sample_case picks_from_named[] = {{.shape = {"T,3", "B"}, AT(0)}, {.shape = {"2,T", "4"}, AT(1)}};
static const sample_case scatters[] = {
    {.shape = {"4,3", "4", "5,3"}, AT(0)},      {.shape = {"3", "", "5,3"}, AT(0)},
    {.shape = {"2,3,2", "3,2", "2,5"}, AT(1)},  {.shape = {"B,T", "B", "5,T"}, AT(0)},
    {.shape = {"B,T,2", "T", "B,5,2"}, AT(-2)}, {.shape = {"0,3", "0", "5,3"}, AT(0)},
};
#define CLASSES(n) .args = {.i = {n}}
static const sample_case classes[] = {
    {.shape = {"7"}, CLASSES(4)},   {.shape = {"B"}, CLASSES(3)}, {.shape = {""}, CLASSES(5)},
    {.shape = {"B,T"}, CLASSES(2)}, {.shape = {"0"}, CLASSES(4)},
};
static const sample_case ragged[] = {
    {.shape = {"7", "5,2"}},
    {.shape = {"B,3", "4"}},
    {.shape = {"", "3,B"}},
    {.shape = {"0", "3"}},
};
static const sample_case ragged_named[] = {{.shape = {"B", "T,2"}}, {.shape = {"B,T", "T"}}};
static const sample_case steps[] = {
    {.shape = {NULL}, .args = {.f = {0, 1}, .shape = "37"}},
    {.shape = {"B"}, .args = {.f = {-2, 0.5}, .shape = "B"}},
    {.shape = {NULL}, .args = {.f = {3, -1}, .shape = "1"}},
    {.shape = {NULL}, .args = {.f = {0, 1}, .shape = "0"}},
};
static const sample_case blocked[] = {{.shape = {"37"}}, {.shape = {"B,T"}}, {.shape = {""}}};
static const sample_case expansions[] = {{.shape = {"3", "3,4"}}, {.shape = {"B", "B,T"}}, {.shape = {"", "0"}}};

static rg_node *reshape(const sample_context *c, rg_node *const x[])
{
    return rg_reshape(x[0], sample_shape(c->graph, &c->sizes, c->args->shape));
}
static rg_node *broadcast_to(const sample_context *c, rg_node *const x[])
{
    return rg_broadcast_to(x[0], sample_shape(c->graph, &c->sizes, c->args->shape));
}
static rg_node *flatten(const sample_context *c, rg_node *const x[])
{
    return rg_flatten(x[0], (int)c->args->i[0]);
}
static rg_node *squeeze(const sample_context *c, rg_node *const x[])
{
    return rg_squeeze(x[0], (int)c->args->i[0]);
}
static rg_node *unsqueeze(const sample_context *c, rg_node *const x[])
{
    return rg_unsqueeze(x[0], (int)c->args->i[0]);
}
/* The op has no builder: convolutions of a mapped axis use it. */
static rg_node *unflatten(const sample_context *c, rg_node *const x[])
{
    const struct {
        int64_t axis, first, n;
    } attr = {c->args->i[0], c->args->i[1], c->args->i[2]};
    const rg_op *const *op = rg_op_table();
    while (*op && strcmp((*op)->name, "unflatten") != 0)
        op++;
    return rg_apply(*op, RG_NODES(c->args->flag ? rg_flatten(x[0], 0) : x[0], x[1]), &attr);
}
static rg_node *transpose(const sample_context *c, rg_node *const x[])
{
    return rg_transpose(x[0], c->args->axes[0]);
}
static rg_node *full_like(const sample_context *c, rg_node *const x[])
{
    return rg_full_like(x[0], c->args->f[0]);
}
static rg_node *slice(const sample_context *c, rg_node *const x[])
{
    const int64_t *i = c->args->i;
    return i[3] == 1 ? rg_slice(x[0], (int)i[0], i[1], i[2]) : rg_slice_step(x[0], (int)i[0], i[1], i[2], i[3]);
}
static rg_node *concat(const sample_context *c, rg_node *const x[])
{
    return rg_concat((rg_nodes){x, c->n_in}, (int)c->args->i[0]);
}
static rg_node *stack(const sample_context *c, rg_node *const x[])
{
    return rg_stack((rg_nodes){x, c->n_in}, (int)c->args->i[0]);
}
static rg_node *gather(const sample_context *c, rg_node *const x[])
{
    return rg_gather(x[0], x[1], (int)c->args->i[0]);
}
static rg_node *scatter_add(const sample_context *c, rg_node *const x[])
{
    return rg_scatter_add(x[0], x[1], x[2], (int)c->args->i[0]);
}
static rg_node *one_hot(const sample_context *c, rg_node *const x[])
{
    return rg_one_hot(x[0], c->args->i[0], c->dtype);
}
static rg_node *sequence_mask(const sample_context *c, rg_node *const x[])
{
    (void)c;
    return rg_sequence_mask(x[0], x[1]);
}
static rg_node *arange(const sample_context *c, rg_node *const x[])
{
    (void)x;
    const rg_shape n = sample_shape(c->graph, &c->sizes, c->args->shape);
    return rg_arange(c->graph, c->dtype, c->args->f[0], c->args->f[1], n.dim[0]);
}
/* The derivative of a sum puts back the axis that is gone. */
static rg_node *expand(const sample_context *c, rg_node *const x[])
{
    (void)c;
    rg_node *y = rg_sum(x[1], RG_AXES(-1), false);
    return rg_at(rg_vjp(RG_NODES(y), RG_NODES(x[0]), RG_NODES(x[1])), 0);
}
static void ref_expand(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    (void)c;
    ref_new(y, x[1].shape, false);
    const size_t width = (size_t)x[1].shape.dim[x[1].shape.rank - 1];
    for (size_t i = 0; i < ref_count(x[1].shape); i++)
        y->at[i] = x[0].at[i / width];
}
static void ref_identity(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    (void)c;
    ref_new(y, x->shape, false);
    for (size_t i = 0; i < ref_count(x->shape); i++)
        y->at[i] = x->at[i];
}

#define ANY RG_DT_INTS | RG_DT(RG_U8) | RG_DT(RG_BOOL)
#define BUILT(op, list) .name = #op, .build = op, .reference = ref_##op, SAMPLE_CASES(list), .also = ANY
#define BINARY(op, list) .name = #op, .binary = rg_##op, .reference = ref_##op, SAMPLE_CASES(list), .also = ANY
#define INDEX(type, most)                                        \
    {                                                            \
        .dtype = type, .kind = SAMPLE_WHOLE, .lo = 0, .hi = most \
    }

const sample_row samples_shape[] = {
    {BUILT(reshape, reshapes)},
    {BINARY(reshape_like, like)},
    {BUILT(flatten, flattens)},
    {BUILT(unflatten, unflattens), .domain = {{0}, {.constant = true}}},
    {BUILT(squeeze, squeezes)},
    {BUILT(unsqueeze, unsqueezes)},
    {BUILT(transpose, orders)},
    {BUILT(broadcast_to, broadcasts)},
    {BINARY(broadcast_like, broadcast_likes)},
    {.name = "expand", .build = expand, .reference = ref_expand, SAMPLE_CASES(expansions)},
    {.name = "full_like",
     .build = full_like,
     .reference = ref_full_like,
     SAMPLE_CASES(fills),
     .also = RG_DT_INTS | RG_DT(RG_U8),
     .flags = SAMPLE_ZERO_GRAD},
    {.name = "zeros_like",
     .unary = rg_zeros_like,
     .reference = ref_full_like,
     SAMPLE_CASES(zeros),
     .also = ANY,
     .flags = SAMPLE_ZERO_GRAD},
    {.name = "ones_like",
     .unary = rg_ones_like,
     .reference = ref_full_like,
     SAMPLE_CASES(ones),
     .also = ANY,
     .flags = SAMPLE_ZERO_GRAD},
    {.name = "stop_gradient",
     .unary = rg_stop_gradient,
     .reference = ref_identity,
     SAMPLE_CASES(blocked),
     .flags = SAMPLE_ZERO_GRAD},
    {BUILT(slice, ranges)},
    {BUILT(concat, joins)},
    {BUILT(stack, stacks)},
    {BUILT(gather, picks), .domain = {{.lo = -2, .hi = 2}, INDEX(RG_I64, 4)}},
    {.name = "gather (i32, named axis)",
     .build = gather,
     .reference = ref_gather,
     SAMPLE_CASES(picks_from_named),
     .domain = {{.lo = -2, .hi = 2}, INDEX(RG_I32, 1)}},
    /* duplicates add up: at most 1031 of them at the large sizes, in order */
    {.name = "scatter_add",
     .build = scatter_add,
     .reference = ref_scatter_add,
     SAMPLE_CASES(scatters),
     .ulps32 = 32,
     .ulps64 = 32,
     .domain = {{.lo = -2, .hi = 2}, INDEX(RG_I64, 4)}},
    {.name = "one_hot",
     .build = one_hot,
     .reference = ref_one_hot,
     SAMPLE_CASES(classes),
     .domain = {{.dtype = RG_I64, .kind = SAMPLE_WHOLE, .lo = -1, .hi = 4}}},
    {.name = "one_hot (u8)",
     .build = one_hot,
     .reference = ref_one_hot,
     SAMPLE_CASES(classes),
     .domain = {INDEX(RG_U8, 4)}},
    {.name = "sequence_mask",
     .build = sequence_mask,
     .reference = ref_sequence_mask,
     SAMPLE_CASES(ragged),
     .domain = {INDEX(RG_I64, 3)},
     .out = RG_BOOL,
     .flags = SAMPLE_ZERO_GRAD},
    {.name = "sequence_mask (i32, named steps)",
     .build = sequence_mask,
     .reference = ref_sequence_mask,
     SAMPLE_CASES(ragged_named),
     .domain = {INDEX(RG_I32, 1)},
     .out = RG_BOOL,
     .flags = SAMPLE_ZERO_GRAD},
    {.name = "arange",
     .build = arange,
     .reference = ref_arange,
     SAMPLE_CASES(steps),
     .flags = SAMPLE_SIZED | SAMPLE_ZERO_GRAD},
    {.name = NULL},
};
