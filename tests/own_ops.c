/* own_ops.c - ops of the tests' own. */
#include "own_ops.h"

#include "graph/graph.h"

#include <criterion/criterion.h>
#include <string.h>

const rg_op sum_op = {
    .name = "sum2",
    .n_in = 2,
    .n_out = 1,
    .traits = RG_ELEMENTWISE | RG_COMMUTES,
    .dtypes = RG_DT_NUMBERS,
    .infer = rg_infer_broadcast,
};
const rg_op minus_op = {
    .name = "minus",
    .n_in = 2,
    .n_out = 1,
    .traits = RG_ELEMENTWISE,
    .dtypes = RG_DT_NUMBERS,
    .infer = rg_infer_broadcast,
};
const rg_op float_op = {.name = "floaty", .n_in = 1, .n_out = 1, .dtypes = RG_DT_FLOATS, .infer = rg_infer_same};

static const rg_attr_field knob_fields[] = {
    {"i", offsetof(knobs, i), RG_ATTR_I64},           {"f", offsetof(knobs, f), RG_ATTR_F64},
    {"b", offsetof(knobs, b), RG_ATTR_BOOL},          {"dtype", offsetof(knobs, dtype), RG_ATTR_DTYPE},
    {"axes", offsetof(knobs, axes), RG_ATTR_AXES},    {"shape", offsetof(knobs, shape), RG_ATTR_SHAPE},
    {"bytes", offsetof(knobs, bytes), RG_ATTR_BYTES}, {0},
};
const rg_op knob_op = {
    .name = "knob",
    .n_in = 1,
    .n_out = 1,
    .attr_size = sizeof(knobs),
    .attrs = knob_fields,
    .infer = rg_infer_same,
};
const rg_op opaque_op = {.name = "opaque", .n_in = 1, .n_out = 1, .attr_size = sizeof(double), .infer = rg_infer_same};

static rg_status infer_two(rg_infer *call)
{
    call->out[0] = call->out[1] = call->in[0];
    call->out[1].dtype = RG_I64;
    return RG_OK;
}
const rg_op two_op = {.name = "two", .n_in = 1, .n_out = 2, .infer = infer_two};

static rg_status infer_refuse(rg_infer *call)
{
    return rg_infer_fail(call, RG_ERR_SHAPE, "wants %d axes", 3);
}
const rg_op refuse_op = {.name = "refuse", .n_in = -1, .n_out = 1, .dtypes = ~0u, .infer = infer_refuse};

rg_node *sum2(rg_node *a, rg_node *b)
{
    return rg_apply(&sum_op, RG_NODES(a, b), NULL);
}

rg_node *floaty(rg_node *x)
{
    return rg_apply(&float_op, RG_NODES(x), NULL);
}

void expect_error(rg_graph *g, rg_status status, const char *part)
{
    const char *text = rg_graph_error(g);
    cr_assert(text, "no error; wanted: %s", part);
    cr_expect(strstr(text, part), "wanted: %s\ngot: %s", part, text);
    cr_expect_str_eq(rg_last_error(), text);
    cr_expect_eq(rg_graph_status(g), status, "status %s: %s", rg_status_name(rg_graph_status(g)), text);
    rg_graph_clear_error(g);
}

void expect_sound(rg_graph *g)
{
    cr_expect_eq(rg_graph_check(g), RG_OK, "%s", rg_last_error());
    cr_expect_null(rg_graph_error(g));
}
