/* test_graph.c - nodes, interning, errors, names, regions, effects. */
#include "graph/graph.h"
#include "own_ops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* ---- base ---- */

Test(base, shapes_and_axes)
{
    cr_expect_eq(rg_shape_count(RG_SCALAR), 1);
    cr_expect_eq(rg_shape_count(RG_SHAPE(3, 0, 5)), 0);
    cr_expect_eq(rg_shape_count(RG_SHAPE(3, -1)), -1);
    cr_expect_eq(rg_shape_count(RG_SHAPE(INT64_MAX, 2)), -1);
    cr_expect_eq(rg_shape_count(RG_SHAPE(INT64_MAX, 2, 0)), 0);
    cr_expect_eq(RG_SHAPE(1, 2, 3, 4, 5, 6, 7, 8, 9).rank, 9);
    cr_expect_eq(rg_shape_count(RG_SHAPE(1, 2, 3, 4, 5, 6, 7, 8, 9)), -1);
    uint32_t mask;
    cr_expect(rg_axes_mask(RG_AXES(0, -1), 3, &mask) && mask == 5);
    cr_expect(rg_axes_mask(RG_ALL_AXES, 3, &mask) && mask == 7);
    cr_expect_not(rg_axes_mask(RG_AXES(2, -1), 3, &mask), "an axis twice");
    cr_expect_not(rg_axes_mask(RG_AXES(3), 3, &mask));
    int32_t axis;
    cr_expect(rg_axis_normalise(-3, 3, &axis) && axis == 0);
    cr_expect_not(rg_axis_normalise(-4, 3, &axis));
    cr_expect_not(rg_axis_normalise(INT64_MIN, 3, &axis));
    cr_expect_str_eq(rg_dtype_name(RG_BOOL), "bool");
    cr_expect_eq(rg_dtype_size((rg_dtype)99), 0);
    cr_expect_str_eq(rg_status_name(RG_ERR_REGION), "region");
}

Test(base, tensors)
{
    rg_tensor t;
    cr_assert_eq(rg_tensor_alloc(&t, RG_I32, RG_SHAPE(3, 5)), RG_OK);
    cr_expect_eq((uintptr_t)t.data % 64, 0);
    cr_expect_eq(rg_tensor_bytes(&t), 60);
    cr_expect_eq(((const int32_t *)t.data)[14], 0);
    rg_tensor_free(&t);
    cr_expect_null(t.data);
    rg_tensor_free(&t);
    rg_tensor_free(NULL);
    cr_expect_eq(rg_tensor_alloc(&t, RG_F32, RG_SHAPE(-1)), RG_ERR_SHAPE);
    cr_expect_eq(rg_tensor_alloc(&t, (rg_dtype)0, RG_SHAPE(1)), RG_ERR_DTYPE);
    cr_expect_eq(rg_tensor_alloc(&t, RG_F64, RG_SHAPE(INT64_MAX / 2)), RG_ERR_SHAPE);
    cr_expect_null(t.data);
}

/* ---- interning ---- */

Test(interning, equal_nodes_stand_once)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = rg_input(g, "a", RG_F32, RG_SHAPE(4)), *b = rg_input(g, "b", RG_F32, RG_SHAPE(4));
    cr_expect_eq(sum2(a, b), sum2(a, b));
    cr_expect_eq(sum2(a, b), sum2(b, a), "it commutes");
    cr_expect_neq(rg_apply(&minus_op, RG_NODES(a, b), NULL), rg_apply(&minus_op, RG_NODES(b, a), NULL));
    cr_expect_eq(rg_scalar(g, RG_F32, 0.1), rg_full(g, RG_F32, RG_SCALAR, (double)0.1f));
    cr_expect_neq(rg_scalar(g, RG_F32, 0.0), rg_scalar(g, RG_F64, 0.0));
    cr_expect_neq(rg_scalar(g, RG_F32, 0.0), rg_scalar(g, RG_F32, -0.0));
    cr_expect_eq(rg_scalar(g, RG_F32, (double)NAN), rg_scalar(g, RG_F32, (double)NAN));
    cr_expect_eq(rg_training(g), rg_training(g));
    const size_t before = rg_graph_size(g);
    sum2(sum2(a, b), a);
    sum2(a, sum2(b, a));
    cr_expect_eq(rg_graph_size(g), before + 1);
    expect_sound(g);
    rg_graph_free(g);
}

Test(interning, constants_by_content)
{
    rg_graph *g = rg_graph_new(NULL);
    float values[2] = {1, 2};
    rg_node *c = rg_const(g, RG_F32, RG_SHAPE(2), values);
    cr_expect_eq(rg_const(g, RG_F32, RG_SHAPE(2), (float[]){1, 2}), c);
    values[1] = 3; /* the graph has its own copy */
    cr_expect_eq(rg_const(g, RG_F32, RG_SHAPE(2), (float[]){1, 2}), c);
    cr_expect_neq(rg_const(g, RG_F32, RG_SHAPE(2), values), c);
    cr_expect_neq(rg_const(g, RG_F32, RG_SHAPE(1, 2), (float[]){1, 2}), c);
    cr_expect_neq(rg_const(g, RG_I32, RG_SHAPE(2), (float[]){1, 2}), c);
    cr_expect_eq((uintptr_t)((const rg_bytes *)c->attr)->at % 64, 0);
    cr_expect(rg_const(g, RG_F32, RG_SHAPE(0), NULL));
    expect_sound(g);
    cr_expect_null(rg_const(g, RG_F32, RG_SHAPE(2), NULL));
    expect_error(g, RG_ERR_ARGUMENT, "const: values is NULL");
    rg_graph_free(g);
}

Test(interning, every_attribute_field_counts)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(4));
    const knobs base = {1, 2.0, false, RG_F32, RG_AXES(0, 1), RG_SHAPE(2, 3), {"abc", 3}};
    knobs k[9];
    for (int i = 0; i < 9; i++)
        k[i] = base;
    k[1].i = 2;
    k[2].f = 3;
    k[3].b = true;
    k[4].dtype = RG_F64;
    k[5].axes = RG_AXES(0, 2);
    k[6].shape = RG_SHAPE(2, 4);
    k[7].bytes = (rg_bytes){"abd", 3};
    k[8].axes = RG_ALL_AXES;
    rg_node *made[9];
    for (int i = 0; i < 9; i++) {
        made[i] = rg_apply(&knob_op, RG_NODES(x), &k[i]);
        cr_assert(made[i], "%s", rg_graph_error(g));
        for (int j = 0; j < i; j++)
            cr_expect_neq(made[i], made[j], "%d and %d", i, j);
    }
    knobs same = base;
    char text[] = "abc";
    same.bytes.at = text;
    same.axes.axis[7] = 99; /* beyond the list */
    same.shape.dim[5] = 99;
    cr_expect_eq(rg_apply(&knob_op, RG_NODES(x), &same), made[0]);
    cr_expect_neq(rg_apply(&opaque_op, RG_NODES(x), &(double){1}), rg_apply(&opaque_op, RG_NODES(x), &(double){1}));
    expect_sound(g);
    same.shape.rank = 9;
    cr_expect_null(rg_apply(&knob_op, RG_NODES(x), &same));
    expect_error(g, RG_ERR_SHAPE, "knob: shape has 9 axes");
    cr_expect_null(rg_apply(&knob_op, RG_NODES(x), NULL));
    expect_error(g, RG_ERR_ARGUMENT, "knob: the attributes are NULL");
    rg_graph_free(g);
}

Test(interning, several_results)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(4));
    rg_node *two = rg_apply(&two_op, RG_NODES(x), NULL);
    cr_assert(two, "%s", rg_graph_error(g));
    rg_node *first = rg_output(two, 0), *second = rg_output(two, 1);
    cr_expect(first && rg_dtype_of(first) == RG_F32);
    cr_expect(second && rg_dtype_of(second) == RG_I64);
    cr_expect_neq(first, second);
    cr_expect_eq(rg_apply(&two_op, RG_NODES(x), NULL), two);
    cr_expect(floaty(first));
    expect_sound(g);
    cr_expect_null(floaty(two));
    expect_error(g, RG_ERR_ARGUMENT, "has several results: use rg_output");
    rg_graph_free(g);
}

/* ---- errors ---- */

Test(errors, shapes_and_types_are_named)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = rg_input(g, "a", RG_F32, RG_SHAPE(32, 10)), *b = rg_input(g, "b", RG_F32, RG_SHAPE(7));
    rg_node *i = rg_input(g, "i", RG_I32, RG_SHAPE(10)), *t = rg_input(g, "t", RG_BOOL, RG_SHAPE(10));
    cr_expect_null(sum2(a, b));
    expect_error(g, RG_ERR_SHAPE, "sum2: cannot broadcast f32[32, 10] 'a' with f32[7] 'b' at axis 1 (10 against 7)");
    cr_expect_null(sum2(b, floaty(a)));
    expect_error(g, RG_ERR_SHAPE, "cannot broadcast f32[7] 'b' with f32[32, 10] floaty#4 at axis 1 (7 against 10)");
    cr_expect_null(sum2(a, i));
    expect_error(g, RG_ERR_DTYPE, "sum2: cannot combine f32[32, 10] 'a' with i32[10] 'i': different element types");
    cr_expect_null(sum2(a, t));
    expect_error(g, RG_ERR_DTYPE, "sum2: input 1, bool[10] 't', is bool; possible are f32, f64, i32, i64");
    cr_expect_null(rg_apply(&refuse_op, RG_NODES(a, b), NULL));
    expect_error(g, RG_ERR_SHAPE, "refuse: wants 3 axes; inputs: f32[32, 10] 'a', f32[7] 'b'");
    cr_expect_null(rg_input(g, "x", RG_F32, RG_SHAPE(2, -3)));
    expect_error(g, RG_ERR_SHAPE, "size -3 at axis 1 of [2, -3] is negative");
    cr_expect_null(rg_input(g, "x", RG_F32, RG_SHAPE(1, 1, 1, 1, 1, 1, 1, 1, 1)));
    expect_error(g, RG_ERR_SHAPE, "9 axes, at most 8");
    cr_expect_null(rg_input(g, "x", RG_DTYPE_COUNT, RG_SHAPE(1)));
    expect_error(g, RG_ERR_DTYPE, "'x' cannot be ?");
    cr_expect_null(rg_scalar(g, RG_I32, 1.5));
    expect_error(g, RG_ERR_ARGUMENT, "1.5 is no i32");
    cr_expect_null(rg_scalar(g, RG_U8, 256));
    expect_error(g, RG_ERR_ARGUMENT, "256 is no u8");
    cr_expect_null(rg_apply(&sum_op, RG_NODES(a), NULL));
    expect_error(g, RG_ERR_ARGUMENT, "sum2: 1 inputs, it takes 2");
    expect_sound(g);
    rg_graph_free(g);
}

Test(errors, the_first_stands)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = rg_input(g, "a", RG_F32, RG_SHAPE(2)), *b = rg_input(g, "b", RG_F32, RG_SHAPE(3));
    cr_expect_null(rg_graph_error(g));
    cr_expect_eq(rg_graph_status(g), RG_OK);
    rg_node *bad = sum2(a, b);
    cr_expect_null(sum2(bad, a), "what a failed builder gives is passed on");
    cr_expect_null(rg_apply(&sum_op, RG_NODES(bad, bad), NULL));
    cr_expect(sum2(a, a), "others go on");
    cr_expect(strstr(rg_graph_error(g), "cannot broadcast"));
    rg_graph_clear_error(g);
    cr_expect_null(rg_graph_error(g));
    cr_expect_null(rg_assign(NULL, a));
    expect_error(g, RG_ERR_ARGUMENT, "rg_assign: input 0 is NULL");
    cr_expect_null(rg_apply(&sum_op, RG_NODES(NULL, NULL), NULL));
    cr_expect(strstr(rg_last_error(), "sum2: input 0 is NULL"));
    cr_expect(strstr(rg_graph_error(NULL), "NULL"));
    cr_expect_eq(rg_graph_status(NULL), RG_ERR_ARGUMENT);
    rg_graph_free(g);
    rg_graph_free(NULL);
}

Test(errors, place)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = rg_input(g, "a", RG_F32, RG_SHAPE(2)), *b = rg_input(g, "b", RG_F32, RG_SHAPE(3));
    rg_scope_push(g, "encoder");
    rg_scope_push(g, "fc1");
    rg_here("model.c", 12);
    rgi_origin_set(g, NULL);
    cr_expect_null((rg_apply)(&sum_op, RG_NODES(a, b), NULL));
    expect_error(g, RG_ERR_SHAPE, "(in encoder.fc1, at model.c:12)");
    rg_node *forward = (rg_apply)(&float_op, RG_NODES(a), NULL);
    rg_scope_pop(g);
    rg_scope_pop(g);
    rg_here("elsewhere.c", 99);
    cr_expect_null(rgi_origin_set(g, forward));
    rg_node *derived = (rg_apply)(&sum_op, RG_NODES(forward, a), NULL);
    cr_expect_eq(derived->origin, forward);
    cr_expect_null((rg_apply)(&sum_op, RG_NODES(forward, b), NULL));
    expect_error(g, RG_ERR_SHAPE, "(in encoder.fc1, at model.c:12)");
    cr_expect_eq(rgi_origin_set(g, NULL), forward);
    cr_expect_null(rg_apply(&sum_op, RG_NODES(a, b), NULL));
    expect_error(g, RG_ERR_SHAPE, __FILE__);
    rg_graph_free(g);
}

Test(errors, another_graph)
{
    rg_graph *g = rg_graph_new(NULL), *h = rg_graph_new(NULL);
    rg_node *a = rg_input(g, "a", RG_F32, RG_SHAPE(2)), *b = rg_input(h, "b", RG_F32, RG_SHAPE(2));
    cr_expect_null(sum2(a, b));
    expect_error(g, RG_ERR_ARGUMENT, "sum2: input 1, input#0 'b', belongs to another graph");
    rg_graph_free(g);
    rg_graph_free(h);
}

static void *other_thread(void *text)
{
    rg_tensor t;
    (void)!rg_tensor_alloc(&t, (rg_dtype)42, RG_SCALAR);
    snprintf(text, 64, "%s", rg_last_error());
    return NULL;
}

Test(errors, last_error_is_per_thread)
{
    rg_tensor t;
    pthread_t thread;
    char text[64];
    cr_assert_eq(rg_tensor_alloc(&t, (rg_dtype)41, RG_SCALAR), RG_ERR_DTYPE);
    cr_assert_eq(pthread_create(&thread, NULL, other_thread, text), 0);
    pthread_join(thread, NULL);
    cr_expect(strstr(text, "42"));
    cr_expect(strstr(rg_last_error(), "41"));
}

Test(errors, long_names_keep_the_place)
{
    rg_graph *g = rg_graph_new(NULL);
    char name[3001];
    memset(name, 'n', 3000);
    name[3000] = 0;
    cr_assert(rg_input(g, name, RG_F32, RG_SHAPE(2)));
    rg_here("model.c", 7);
    cr_expect_null((rg_input)(g, name, RG_F32, RG_SHAPE(2)));
    cr_expect(strlen(rg_graph_error(g)) < RGI_ERROR_TEXT);
    expect_error(g, RG_ERR_NAME, "(at model.c:7)");
    rg_graph_free(g);
}

/* ---- names ---- */

Test(names, scopes)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_scope_push(g, "encoder.layer");
    rg_scope_push(g, "fc1");
    rg_node *w = rg_param(g, "weight", RG_F32, RG_SHAPE(2, 2), NULL);
    cr_expect_str_eq(rg_name(w), "encoder.layer.fc1.weight");
    cr_expect_eq(rg_find(g, "encoder.layer.fc1.weight"), w);
    cr_expect_null(rg_find(g, "weight"));
    rg_scope_pop(g);
    rg_scope_pop(g);
    cr_expect_str_eq(rg_name(rg_input(g, "x", RG_F32, RG_SCALAR)), "x");
    cr_expect_str_eq(rg_name(NULL), "");
    cr_expect_str_eq(rg_name(rg_scalar(g, RG_F32, 1)), "");
    rg_scope_pop(g);
    expect_error(g, RG_ERR_STATE, "rg_scope_pop: no scope is open");
    static const char *const faulty[] = {"", ".", "a.", ".a", "a..b", "a\n", NULL};
    for (int i = 0; i < 7; i++) {
        rg_scope_push(g, faulty[i]);
        expect_error(g, RG_ERR_NAME, "is no name of a scope");
        rg_scope_pop(g); /* still balanced */
        cr_expect_null(rg_input(g, faulty[i], RG_F32, RG_SCALAR));
        expect_error(g, RG_ERR_NAME, "is no name");
    }
    for (int i = 0; i < 100; i++)
        rg_scope_push(g, "s");
    expect_error(g, RG_ERR_NAME, "nested more than 64 deep");
    for (int i = 0; i < 100; i++)
        rg_scope_pop(g);
    cr_expect_str_eq(rg_name(rg_input(g, "y", RG_F32, RG_SCALAR)), "y");
    expect_sound(g);
    rg_graph_free(g);
}

Test(names, taken_names_tell_both_places)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_here("first.c", 1);
    (rg_param)(g, "w", RG_F32, RG_SHAPE(2, 2), NULL);
    rg_here("second.c", 2);
    cr_expect_null((rg_param)(g, "w", RG_F32, RG_SHAPE(2, 2), NULL));
    cr_expect(strstr(rg_graph_error(g), "first.c:1") && strstr(rg_graph_error(g), "second.c:2"), "%s",
              rg_graph_error(g));
    expect_error(g, RG_ERR_NAME, "the name is taken by param f32[2, 2] 'w'");
    cr_expect_null(rg_input(g, "w", RG_F32, RG_SHAPE(2, 2)));
    expect_error(g, RG_ERR_NAME, "the name is taken");
    cr_expect_null(rg_buffer(g, "w", RG_F32, RG_SHAPE(2, 2), NULL));
    expect_error(g, RG_ERR_NAME, "the name is taken");
    rg_graph_free(g);
}

Test(names, sharing)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_scope_push(g, "critic");
    rg_scope_push(g, "fc1");
    rg_node *w = rg_param(g, "weight", RG_F32, RG_SHAPE(2, 2), NULL);
    rg_scope_pop(g);
    rg_scope_pop(g);
    rg_scope_reuse(g, "critic");
    rg_scope_push(g, "fc1"); /* sharing reaches inwards */
    cr_expect_eq(rg_param(g, "weight", RG_F32, RG_SHAPE(2, 2), NULL), w);
    cr_expect_null(rg_param(g, "weight", RG_F32, RG_SHAPE(2, 3), NULL));
    expect_error(g, RG_ERR_SHAPE, "'critic.fc1.weight' is shared as f32[2, 2], but asked for as f32[2, 3]");
    cr_expect_null(rg_param(g, "weight", RG_F64, RG_SHAPE(2, 2), NULL));
    expect_error(g, RG_ERR_DTYPE, "but asked for as f64[2, 2]");
    cr_expect_null(rg_param(g, "bias", RG_F32, RG_SHAPE(2), NULL));
    expect_error(g, RG_ERR_NAME, "'critic.fc1.bias' is to be shared (rg_scope_reuse), but does not exist");
    rg_scope_pop(g);
    rg_scope_pop(g);
    cr_expect(rg_param(g, "fresh", RG_F32, RG_SHAPE(2), NULL), "sharing ended");
    rg_graph_free(g);
}

Test(names, lists)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = rg_param(g, "a.w", RG_F32, RG_SHAPE(2), NULL);
    rg_node *frozen = rg_param(g, "a.frozen", RG_F32, RG_SHAPE(2), &(rg_param_opts){.frozen = true});
    rg_node *state = rg_buffer(g, "a.state", RG_I64, RG_SCALAR, NULL);
    rg_node *b = rg_param(g, "b.w", RG_F64, RG_SHAPE(2), NULL);
    const rg_nodes params = rg_params(g), in_a = rg_params_in(g, "a."), all = rg_stored(g);
    cr_expect(params.n == 2 && rg_at(params, 0) == a && rg_at(params, 1) == b);
    cr_expect(in_a.n == 1 && rg_at(in_a, 0) == a && rg_at(in_a, 1) == NULL);
    cr_expect(all.n == 4 && rg_at(all, 1) == frozen && rg_at(all, 2) == state);
    cr_expect_null(rg_param(g, "count", RG_I64, RG_SCALAR, NULL));
    expect_error(g, RG_ERR_DTYPE, "'count' is i64, what is trained is f32 or f64");
    cr_expect_null(rg_buffer(g, "noise", RG_I64, RG_SCALAR, &(rg_param_opts){.init = RG_NORMAL}));
    expect_error(g, RG_ERR_ARGUMENT, "'noise' has a random start, which needs f32 or f64");
    cr_expect_null(rg_param(g, "huge", RG_F32, RG_SHAPE(INT64_MAX, 4), NULL));
    expect_error(g, RG_ERR_SHAPE, "'huge' cannot be");
    rg_graph_free(g);
}

Test(names, draws_are_counted_per_scope)
{
    rg_graph *g = rg_graph_new(NULL);
    cr_expect_eq(rgi_scope_ordinal(g), 0);
    cr_expect_eq(rgi_scope_ordinal(g), 1);
    rg_scope_push(g, "a");
    cr_expect_eq(rgi_scope_ordinal(g), 0);
    rg_scope_pop(g);
    cr_expect_eq(rgi_scope_ordinal(g), 2);
    rg_scope_push(g, "a");
    cr_expect_eq(rgi_scope_ordinal(g), 1);
    rg_scope_pop(g);
    rg_graph_free(g);
}

/* ---- regions ---- */

Test(regions, a_node_is_where_its_deepest_input_is)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(5, 4));
    rg_scan *outer = rg_scan_begin(g, &(rg_scan_opts){.name = "outer"});
    rg_node *x = rg_scan_slice(outer, xs);
    rg_node *w = rg_param(g, "w", RG_F32, RG_SHAPE(4), NULL);
    cr_expect_eq(w->region->id, 0, "parameters are outermost wherever they are made");
    cr_expect_eq(floaty(w)->region->id, 0);
    cr_expect_eq(sum2(x, w)->region, x->region);
    rg_scan *inner = rg_scan_begin(g, &(rg_scan_opts){.name = "inner"});
    rg_node *y = rg_scan_slice(inner, xs);
    cr_expect_eq(y->region->parent->id, 0, "nothing of the outer body is used yet");
    rg_node *both = sum2(y, x);
    cr_expect_eq(both->region, y->region);
    cr_expect_eq(y->region->parent, x->region, "now it is");
    cr_expect_eq(y->region->depth, 2);
    rg_node *stack = rg_scan_stack(inner, both);
    cr_expect_null(floaty(stack));
    expect_error(g, RG_ERR_REGION, "has not ended");
    rg_scan_end(inner);
    cr_expect_eq(stack->region, x->region);
    rg_node *result = rg_scan_stack(outer, rg_sum(stack, RG_ALL_AXES, false));
    rg_scan_end(outer);
    cr_assert(result, "%s", rg_graph_error(g));
    cr_expect_eq(result->region->id, 0);
    expect_sound(g);
    rg_graph_free(g);
}

Test(regions, siblings_do_not_mix)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(5, 4)), *state = rg_buffer(g, "state", RG_F32, RG_SHAPE(4), NULL);
    rg_scan *one = rg_scan_begin(g, &(rg_scan_opts){.name = "one"});
    rg_node *a = rg_scan_slice(one, xs);
    cr_expect_null(rg_assign(state, a));
    expect_error(g, RG_ERR_REGION, "is inside the body of scan 'one': assign to 'state' after it");
    rg_scan_stack(one, floaty(a));
    rg_scan_end(one);
    cr_expect_null(floaty(a));
    expect_error(g, RG_ERR_REGION, "is inside the body of scan 'one', which has ended");
    rg_scan *two = rg_scan_begin(g, &(rg_scan_opts){.name = "two"});
    rg_node *b = rg_scan_slice(two, xs);
    cr_expect_null(sum2(a, b));
    expect_error(g, RG_ERR_REGION, "'one'");
    cr_expect_null(rgi_region_join(g, "sum2", a->region, b->region));
    expect_error(g, RG_ERR_REGION,
                 "sum2: combines nodes of scan 'one' and scan 'two', and neither lies inside the other");
    rg_scan_stack(two, b);
    rg_scan_end(two);
    expect_sound(g);
    rg_graph_free(g);
}

/* Three open bodies are put on one path whatever the order in which they are combined. */
Test(regions, paths_are_found_in_any_order)
{
    for (int order = 0; order < 6; order++) {
        rg_graph *g = rg_graph_new(NULL);
        rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(5, 4)), *x[3];
        rg_scan *s[3];
        for (int i = 0; i < 3; i++) {
            s[i] = rg_scan_begin(g, NULL);
            x[i] = rg_scan_slice(s[i], xs);
        }
        static const int pairs[6][3][2] = {
            {{0, 1}, {1, 2}, {0, 2}}, {{0, 2}, {1, 2}, {0, 1}}, {{1, 2}, {0, 2}, {0, 1}},
            {{2, 0}, {1, 0}, {2, 1}}, {{2, 1}, {2, 0}, {1, 0}}, {{1, 0}, {0, 2}, {1, 2}},
        };
        for (int k = 0; k < 3; k++) {
            const int i = pairs[order][k][0], j = pairs[order][k][1];
            rg_node *n = sum2(x[i], x[j]);
            cr_assert(n, "order %d: %s", order, rg_graph_error(g));
            cr_expect_eq(n->region, x[i > j ? i : j]->region);
        }
        cr_expect_eq(x[2]->region->parent, x[1]->region);
        cr_expect_eq(x[1]->region->parent, x[0]->region);
        cr_expect_eq(x[2]->region->depth, 3);
        expect_sound(g);
        rg_graph_free(g);
    }
}

/* ---- effects ---- */

Test(effects, latest_and_attached)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *state = rg_buffer(g, "state", RG_F32, RG_SHAPE(4), NULL), *x = rg_input(g, "x", RG_F32, RG_SHAPE(4));
    cr_expect_eq(rg_latest(state), state);
    rg_node *value = sum2(state, x), *assign = rg_assign(state, value);
    cr_expect_eq(rg_latest(state), value);
    cr_expect_neq(rg_assign(state, value), assign, "assigns stand for themselves");
    rg_node *again = sum2(rg_latest(state), x);
    rg_assign(state, again);
    cr_expect_eq(rg_latest(state), again);
    rg_attach(x, assign);
    cr_expect_eq(g->attached.n, 2);
    cr_expect(rg_group(g, RG_NODES(assign, x)));
    cr_expect(rg_group(g, (rg_nodes){NULL, 0}));
    expect_sound(g);
    rg_attach(x, x);
    expect_error(g, RG_ERR_ARGUMENT, "rg_attach: f32[4] 'x' is no effect");
    cr_expect_null(rg_assign(x, state));
    expect_error(g, RG_ERR_ARGUMENT, "rg_assign: f32[4] 'x' is no parameter or buffer");
    cr_expect_null(rg_assign(state, rg_scalar(g, RG_F32, 1)));
    expect_error(g, RG_ERR_SHAPE,
                 "assign: a value of another shape than what it is stored into; inputs: f32[4] 'state', f32[]");
    cr_expect_null(rg_assign(state, rg_zeros(g, RG_F64, RG_SHAPE(4))));
    expect_error(g, RG_ERR_DTYPE, "assign: a value of another element type");
    cr_expect_null(rg_latest(x));
    expect_error(g, RG_ERR_ARGUMENT, "rg_latest");
    rg_graph_free(g);
}
