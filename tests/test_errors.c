/* test_errors.c - bad input: each is refused, and the message says what, where, and in which numbers. */
#include "refused.h"

static rg_node *f32(rg_graph *g, const char *name, rg_shape shape)
{
    return rg_input(g, name, RG_F32, shape);
}

static rg_node *scalar_sum(rg_node *x)
{
    return rg_sum(x, RG_ALL_AXES, false);
}

Test(errors, shapes_that_do_not_fit)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = f32(g, "first", RG_SHAPE(2, 3)), *b = f32(g, "second", RG_SHAPE(4, 5));
    rg_node *named = f32(g, "named", RG_SHAPE(rg_dim(g, "batch"), 3)),
            *other = f32(g, "other", RG_SHAPE(rg_dim(g, "time"), 3));
    REFUSED(RG_ERR_SHAPE, rg_add(a, b), "add", "first", "second", "[2, 3]", "[4, 5]");
    REFUSED(RG_ERR_SHAPE, rg_matmul(a, b), "matmul", "first", "second", "[2, 3]", "[4, 5]");
    REFUSED(RG_ERR_SHAPE, rg_matmul_t(a, true, b, false), "matmul", "[2, 3]", "[4, 5]");
    REFUSED(RG_ERR_SHAPE, rg_linear(a, b, NULL), "linear", "[2, 3]", "[4, 5]");
    REFUSED(RG_ERR_SHAPE, rg_linear(a, rg_zeros(g, RG_F32, RG_SHAPE(5, 3)), rg_zeros(g, RG_F32, RG_SHAPE(4))), "[4]",
            "[5, 3]");
    REFUSED(RG_ERR_SHAPE, rg_dot(a, a), "dot", "[2, 3]");
    REFUSED(RG_ERR_SHAPE, rg_add(named, other), "add", "batch", "time");
    rg_node *many = f32(g, "many", RG_SHAPE(32749, 3));
    REFUSED(RG_ERR_SHAPE, rg_add(named, many), "batch", "32749");
    REFUSED(RG_ERR_SHAPE, rg_contract(a, b, &(rg_contract_opts){.a_contract = RG_AXES(1), .b_contract = RG_AXES(0)}),
            "contract", "[2, 3]", "[4, 5]");
    REFUSED(RG_ERR_SHAPE, rg_reshape(a, RG_SHAPE(4)), "reshape", "first", "[2, 3]", "[4]");
    REFUSED(RG_ERR_SHAPE, rg_reshape(a, RG_SHAPE(-1, 4)), "reshape", "[2, 3]");
    REFUSED(RG_ERR_SHAPE, rg_reshape_like(a, b), "reshape", "[2, 3]", "[4, 5]");
    REFUSED(RG_ERR_SHAPE, rg_broadcast_to(a, RG_SHAPE(2, 4)), "broadcast", "[2, 3]", "[2, 4]");
    REFUSED(RG_ERR_SHAPE, rg_concat(RG_NODES(a, b), 0), "concat", "[2, 3]", "[4, 5]", "0");
    REFUSED(RG_ERR_SHAPE, rg_stack(RG_NODES(a, b), 0), "[2, 3]", "[4, 5]");
    REFUSED(RG_ERR_SHAPE, rg_squeeze(a, 1), "squeeze", "[2, 3]", "1");
    REFUSED(RG_ERR_SHAPE, rg_sum_like(a, b), "sum_like", "[2, 3]", "[4, 5]");
    REFUSED(RG_ERR_SHAPE, rg_where(rg_zeros(g, RG_BOOL, RG_SHAPE(7)), a, a), "where", "[7]", "[2, 3]");
    REFUSED(RG_ERR_SHAPE, rg_cross_entropy(a, rg_zeros(g, RG_I64, RG_SHAPE(5)), NULL), "cross_entropy", "[2, 3]",
            "[5]");
    REFUSED(RG_ERR_SHAPE, rg_mse_loss(a, b, NULL), "[2, 3]", "[4, 5]");
    rg_graph_free(g);
}

Test(errors, axes_outside)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = f32(g, "first", RG_SHAPE(2, 3)), *i = rg_input(g, "index", RG_I64, RG_SHAPE(4));
    REFUSED(RG_ERR_ARGUMENT, rg_sum(a, RG_AXES(2), false), "sum", "2", "[2, 3]", "first");
    REFUSED(RG_ERR_ARGUMENT, rg_sum(a, RG_AXES(0, -2), false), "sum", "twice", "first");
    REFUSED(RG_ERR_ARGUMENT, rg_softmax(a, 5), "softmax", "5", "[2, 3]");
    REFUSED(RG_ERR_ARGUMENT, rg_argmax(a, -3), "argmax", "-3", "[2, 3]");
    REFUSED(RG_ERR_ARGUMENT, rg_concat(RG_NODES(a, a), 2), "concat", "2");
    REFUSED(RG_ERR_ARGUMENT, rg_slice(a, 4, 0, 1), "slice", "4");
    REFUSED(RG_ERR_ARGUMENT, rg_slice_step(a, 0, 0, 1, 0), "slice", "step");
    REFUSED(RG_ERR_ARGUMENT, rg_transpose(a, RG_AXES(0)), "transpose", "[2, 3]");
    REFUSED(RG_ERR_ARGUMENT, rg_transpose(a, RG_AXES(0, 0)), "transpose", "first");
    REFUSED(RG_ERR_ARGUMENT, rg_unsqueeze(a, 4), "unsqueeze", "4");
    REFUSED(RG_ERR_ARGUMENT, rg_flatten(a, 3), "flatten", "3");
    REFUSED(RG_ERR_ARGUMENT, rg_gather(a, i, 2), "gather", "2");
    rg_graph_free(g);
}

Test(errors, element_types)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = f32(g, "single", RG_SHAPE(3)), *d = rg_input(g, "twice", RG_F64, RG_SHAPE(3)),
            *i = rg_input(g, "whole", RG_I64, RG_SHAPE(3));
    REFUSED(RG_ERR_DTYPE, rg_add(a, d), "add", "single", "twice", "f32", "f64");
    REFUSED(RG_ERR_DTYPE, rg_matmul(a, d), "f32", "f64");
    REFUSED(RG_ERR_DTYPE, rg_exp(i), "exp", "whole", "i64");
    REFUSED(RG_ERR_DTYPE, rg_div(i, i), "div", "i64");
    REFUSED(RG_ERR_DTYPE, rg_where(a, a, a), "where", "single", "f32");
    REFUSED(RG_ERR_DTYPE, rg_gather(a, a, 0), "gather", "f32");
    REFUSED(RG_ERR_DTYPE, rg_softmax(i, 0), "softmax", "i64");
    REFUSED(RG_ERR_DTYPE, rg_mean(i, RG_ALL_AXES, false), "mean", "i64");
    REFUSED(RG_ERR_DTYPE, rg_logical_and(a, a), "logical_and", "f32");
    REFUSED(RG_ERR_DTYPE, rg_concat(RG_NODES(a, d), 0), "concat", "f32", "f64");
    REFUSED(RG_ERR_SHAPE, rg_cross_entropy(rg_zeros(g, RG_F32, RG_SHAPE(3, 4)), d, NULL), "f64", "f32");
    rg_node *bf = rg_input(g, "bf", RG_BF16, RG_SHAPE(3));
    REFUSED(RG_ERR_DTYPE, rg_add(bf, bf), "add", "bf", "bf16");
    REFUSED(RG_ERR_DTYPE, rg_param(g, "trained", RG_BF16, RG_SHAPE(3), NULL), "trained", "bf16", "frozen");
    REFUSED(RG_ERR_DTYPE, rg_one_hot(a, 3, RG_F32), "one_hot", "f32");
    rg_graph_free(g);
}

Test(errors, shapes_that_are_none)
{
    rg_graph *g = rg_graph_new(NULL);
    const int64_t huge = (int64_t)1 << 40;
    REFUSED(RG_ERR_SHAPE, rg_input(g, "x", RG_F32, RG_SHAPE(1, 2, 3, 4, 5, 6, 7, 8, 9)), "9");
    rg_node *deep = f32(g, "deep", RG_SHAPE(1, 1, 1, 1, 1, 1, 1, 1));
    REFUSED(RG_ERR_SHAPE, rg_unsqueeze(deep, 0), "8");
    REFUSED(RG_ERR_SHAPE, rg_input(g, "y", RG_F32, RG_SHAPE(2, -3)), "-3");
    /* a product of named sizes is not known yet, so that only running can tell */
    rg_node *wide = f32(g, "wide", RG_SHAPE(rg_dim(g, "columns"), 1)),
            *tall = f32(g, "tall", RG_SHAPE(1, rg_dim(g, "rows")));
    rg_node *product = rg_add(wide, tall), *literal = rg_zeros(g, RG_F32, RG_SHAPE(huge, huge));
    rg_plan *p = must_compile(g, RG_NODES(product), &(rg_plan_opts){.threads = 1});
    static float data[4];
    must(rg_bind_shape(p, wide, data, RG_SHAPE(huge, 1)));
    must(rg_bind_shape(p, tall, data, RG_SHAPE(1, huge)));
    cr_expect_neq(rg_run(p), RG_OK);
    cr_expect(strstr(rg_last_error(), "large") || strstr(rg_last_error(), "memory"), "%s", rg_last_error());
    rg_plan_free(p);
    p = literal ? rg_compile(g, RG_NODES(literal), &(rg_plan_opts){.threads = 1}) : NULL;
    cr_expect(!p || rg_run(p) != RG_OK);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(errors, null_and_the_first_error_stands)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = f32(g, "a", RG_SHAPE(2)), *b = f32(g, "b", RG_SHAPE(3));
    REFUSED(RG_ERR_ARGUMENT, rg_add(a, NULL), "rg_add", "input 1 is NULL");
    REFUSED(RG_ERR_ARGUMENT, rg_concat(RG_NODES(a, NULL, a), 0), "concat", "input 1 is NULL");
    const int line = __LINE__ + 1;
    rg_node *wrong = rg_add(a, b);
    cr_expect_str_eq(rg_graph_error(g), rg_last_error());
    cr_expect_null(rg_exp(rg_mul(wrong, a)));
    cr_expect_null(rg_at(rg_grad(scalar_sum(rg_exp(wrong)), RG_NODES(a)), 0));
    cr_expect_null(rg_compile(g, RG_NODES(wrong), NULL));
    refused_at(g, false, RG_ERR_SHAPE, __FILE__, line, (const char *const[]){"add", "[2]", "[3]", NULL});
    cr_expect_null(rg_exp(NULL));
    cr_expect(rg_graph_error(NULL) && *rg_graph_error(NULL), "a text for no graph");
    rg_graph_clear_error(g);
    cr_expect(rg_exp(a), "usable afterwards");
    rg_graph_free(g);
}

Test(errors, names)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_scope_push(g, "net");
    rg_node *w = rg_param(g, "w", RG_F32, RG_SHAPE(2), NULL);
    REFUSED(RG_ERR_NAME, rg_param(g, "w", RG_F32, RG_SHAPE(2), NULL), "net.w");
    REFUSED(RG_ERR_NAME, rg_buffer(g, "w", RG_F32, RG_SHAPE(2), NULL), "net.w");
    REFUSED(RG_ERR_NAME, rg_param(g, "", RG_F32, RG_SHAPE(2), NULL), "name");
    rg_scope_pop(g);
    rg_scope_reuse(g, "net");
    cr_expect_eq(rg_param(g, "w", RG_F32, RG_SHAPE(2), NULL), w);
    REFUSED(RG_ERR_NAME, rg_param(g, "unknown", RG_F32, RG_SHAPE(2), NULL), "net.unknown");
    REFUSED(RG_ERR_SHAPE, rg_param(g, "w", RG_F32, RG_SHAPE(3), NULL), "net.w", "[2]", "[3]");
    rg_scope_pop(g);
    cr_expect_null(rg_find(g, "net.unknown"));
    cr_expect_eq(rg_find(g, "net.w"), w);
    REFUSED(RG_ERR_NAME, rg_input(g, "net.w", RG_F32, RG_SHAPE(2)), "net.w");
    rg_graph_free(g);
}

Test(errors, derivatives_that_do_not_exist)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = f32(g, "x", RG_SHAPE(3)), *i = rg_input(g, "whole", RG_I64, RG_SHAPE(3)),
            *loss = scalar_sum(rg_square(x));
    rg_node *u = f32(g, "u", RG_SHAPE(4)), *v = f32(g, "v", RG_SHAPE(5));
    REFUSED_LIST(RG_ERR_GRADIENT, rg_grad(x, RG_NODES(x)), "x", "[3]", "scalar");
    REFUSED_LIST(RG_ERR_GRADIENT, rg_grad(rg_sum(i, RG_ALL_AXES, false), RG_NODES(x)), "i64");
    REFUSED_LIST(RG_ERR_DTYPE, rg_grad(loss, RG_NODES(x, i)), "whole", "i64");
    REFUSED_LIST(RG_ERR_SHAPE, rg_vjp(RG_NODES(x), RG_NODES(u), RG_NODES(x)), "[3]", "[4]");
    REFUSED_LIST(RG_ERR_SHAPE, rg_jvp(RG_NODES(loss), RG_NODES(x), RG_NODES(v)), "[3]", "[5]");
    REFUSED_LIST(RG_ERR_DTYPE, rg_vjp(RG_NODES(loss), RG_NODES(rg_scalar(g, RG_F64, 1)), RG_NODES(x)), "f32", "f64");
    rg_graph_free(g);
}

static rg_status run_plain(const rg_step *s, size_t lo, size_t hi)
{
    memcpy((float *)s->out[0] + lo, (const float *)s->in[0] + lo, (hi - lo) * sizeof(float));
    return RG_OK;
}

static const rg_op no_rule = {
    .name = "no_rule", .n_in = 1, .n_out = 1, .traits = RG_ELEMENTWISE, .infer = rg_infer_same, .run = run_plain};

Test(errors, an_op_without_a_rule_only_fails_when_a_cotangent_reaches_it)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = f32(g, "x", RG_SHAPE(3)), *y = f32(g, "y", RG_SHAPE(3)), *odd = rg_apply(&no_rule, RG_NODES(x), NULL);
    rg_node *loss = scalar_sum(rg_mul(odd, y));
    cr_expect_eq(rg_grad(loss, RG_NODES(y)).n, 1, "%s", rg_graph_error(g) ? rg_graph_error(g) : "");
    cr_expect_eq(rg_grad(scalar_sum(rg_mul(rg_stop_gradient(odd), y)), RG_NODES(x)).n, 1);
    cr_expect_eq(rg_grad(loss, RG_NODES(x)).n, 0);
    cr_assert(rg_graph_error(g));
    cr_expect_eq(rg_graph_status(g), RG_ERR_GRADIENT);
    cr_expect(strstr(rg_graph_error(g), "no_rule"), "%s", rg_graph_error(g));
    rg_graph_clear_error(g);
    rg_node *ones = rg_ones_like(x), *apart = scalar_sum(rg_sin(x));
    cr_expect_eq(rg_jvp(RG_NODES(apart), RG_NODES(x), RG_NODES(ones)).n, 1, "%s", rg_graph_error(g));
    cr_expect_eq(rg_jvp(RG_NODES(loss), RG_NODES(x), RG_NODES(ones)).n, 0);
    cr_expect_eq(rg_graph_status(g), RG_ERR_GRADIENT);
    rg_graph_free(g);
}

static void one_number(rg_node *self, rg_node *const ct[], rg_node *grad[])
{
    (void)self;
    grad[0] = scalar_sum(ct[0]);
}

static rg_status refuses(const rg_step *s, size_t lo, size_t hi)
{
    (void)lo, (void)hi;
    return rg_step_fail(s, RG_ERR_NUMERIC, "nothing suits it");
}

/* What the author of an op forgets, or gets wrong. */
Test(errors, faulty_ops_of_ones_own)
{
    static const rg_op nameless = {.n_in = 1, .n_out = 1, .infer = rg_infer_same},
                       idle = {.name = "idle", .n_in = 1, .n_out = 1, .infer = rg_infer_same},
                       narrow = {.name = "narrow",
                                 .n_in = 1,
                                 .n_out = 1,
                                 .traits = RG_ELEMENTWISE,
                                 .infer = rg_infer_same,
                                 .vjp = one_number,
                                 .run = run_plain},
                       picky = {.name = "picky", .n_in = 1, .n_out = 1, .infer = rg_infer_same, .run = refuses};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = f32(g, "x", RG_SHAPE(3)), *lazy = rg_apply(&idle, RG_NODES(x), NULL);
    REFUSED(RG_ERR_ARGUMENT, rg_apply(&nameless, RG_NODES(x), NULL), "name of the op is NULL");
    rg_node *sum = scalar_sum(rg_apply(&narrow, RG_NODES(x), NULL));
    cr_expect_eq(rg_grad(sum, RG_NODES(x)).n, 0);
    cr_expect_eq(rg_graph_status(g), RG_ERR_GRADIENT);
    cr_expect(
        strstr(rg_graph_error(g), "narrow: its rule gives the gradient of input 0 the shape [], the input has [3]"),
        "%s", rg_graph_error(g));
    rg_graph_clear_error(g);
    cr_expect_null(rg_compile(g, RG_NODES(lazy), NULL));
    cr_assert(rg_graph_error(g));
    cr_expect(strstr(rg_graph_error(g), "op 'idle' has no function that computes it"), "%s", rg_graph_error(g));
    rg_graph_clear_error(g);
    /* of a constant it would be computed when compiling */
    rg_plan *p = must_compile(g, RG_NODES(rg_apply(&picky, RG_NODES(rg_ones(g, RG_F32, RG_SHAPE(3))), NULL)), NULL);
    FAILED(RG_ERR_NUMERIC, rg_run(p), "picky: nothing suits it", "node: picky#");
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(errors, arithmetic_on_a_named_dimension)
{
    rg_graph *g = rg_graph_new(NULL);
    const int64_t batch = rg_dim(g, "batch");
    rg_node *x = f32(g, "x", RG_SHAPE(batch, 6));
    REFUSED(RG_ERR_ARGUMENT, rg_reshape(x, RG_SHAPE(batch * 6)), "named dimension", "rg_dim_mul");
    REFUSED(RG_ERR_ARGUMENT, rg_zeros(g, RG_F32, RG_SHAPE(batch + 1)), "named dimension", "rg_dim_add");
    REFUSED(RG_ERR_ARGUMENT, rg_zeros(g, RG_F32, RG_SHAPE(batch / 2)), "named dimension");
    cr_expect(rg_reshape(x, RG_SHAPE(rg_dim_mul(g, batch, 6))), "%s", rg_graph_error(g));
    cr_expect(rg_reshape(x, RG_SHAPE(-1)), "%s", rg_graph_error(g));
    cr_expect(rg_zeros(g, RG_F32, RG_SHAPE(rg_dim_add(g, batch, 1))), "%s", rg_graph_error(g));
    REFUSED(RG_ERR_SHAPE, rg_param(g, "w", RG_F32, RG_SHAPE(batch), NULL), "w", "batch");
    REFUSED(RG_ERR_SHAPE, rg_reshape(x, RG_SHAPE(4, -1)), "reshape", "batch");
    cr_expect_eq(rg_dim(NULL, "batch"), -1);
    rg_graph_free(g);
}

/* ---- recurrences ---- */

Test(errors, regions)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = f32(g, "xs", RG_SHAPE(4, 3)), *h0 = rg_zeros(g, RG_F32, RG_SHAPE(3)),
            *w = rg_param(g, "w", RG_F32, RG_SHAPE(3), NULL);
    rg_scan *first = rg_scan_begin(g, &(rg_scan_opts){.name = "first"});
    rg_node *x = rg_scan_slice(first, xs), *h = rg_scan_carry(first, h0);
    REFUSED(RG_ERR_REGION, rg_assign(w, x), "assign", "first");
    rg_scan_next(first, h, x);
    rg_scan_end(first);
    cr_assert(!rg_graph_error(g), "%s", rg_graph_error(g));
    rg_scan *second = rg_scan_begin(g, &(rg_scan_opts){.name = "second"});
    rg_node *y = rg_scan_slice(second, xs);
    REFUSED(RG_ERR_REGION, rg_add(x, y), "add", "first");
    rg_scan_end(second);
    REFUSED(RG_ERR_REGION, rg_exp(x), "first");
    rg_graph_free(g);
}

/* The last call of a scan reports; nothing after it works. */
static void scan_fails(rg_graph *g, rg_status status, const char *const words[])
{
    cr_assert(rg_graph_error(g), "no error: %s", words[0]);
    cr_expect_eq(rg_graph_status(g), status, "status %s: %s", rg_status_name(rg_graph_status(g)), rg_graph_error(g));
    for (size_t i = 0; words[i]; i++)
        cr_expect(strstr(rg_graph_error(g), words[i]), "\"%s\" is missing in: %s", words[i], rg_graph_error(g));
    rg_graph_free(g);
}

Test(errors, a_carry_without_its_next)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.name = "rnn"});
    (void)rg_scan_slice(s, f32(g, "xs", RG_SHAPE(4, 3)));
    (void)rg_scan_carry(s, rg_zeros(g, RG_F32, RG_SHAPE(3)));
    rg_scan_end(s);
    scan_fails(g, RG_ERR_STATE, (const char *const[]){"rnn", "next", "test_errors.c", NULL});
}

Test(errors, a_carry_that_changes_its_type)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.name = "rnn"});
    rg_node *x = rg_scan_slice(s, f32(g, "xs", RG_SHAPE(4, 3))),
            *h = rg_scan_carry(s, rg_zeros(g, RG_F32, RG_SHAPE(2)));
    rg_scan_next(s, h, x);
    scan_fails(g, RG_ERR_SHAPE, (const char *const[]){"rnn", "[2]", "[3]", "test_errors.c", NULL});
}

Test(errors, a_scan_without_slices)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.name = "rnn"});
    rg_node *h = rg_scan_carry(s, rg_zeros(g, RG_F32, RG_SHAPE(2)));
    rg_scan_next(s, h, rg_exp(h));
    rg_scan_end(s);
    scan_fails(g, RG_ERR_STATE, (const char *const[]){"rnn", "slice", "test_errors.c", NULL});
}

Test(errors, slices_of_different_lengths)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.name = "rnn"});
    (void)rg_scan_slice(s, f32(g, "xs", RG_SHAPE(4, 3)));
    (void)rg_scan_slice(s, f32(g, "ys", RG_SHAPE(5, 3)));
    scan_fails(g, RG_ERR_SHAPE, (const char *const[]){"rnn", "[4, 3]", "[5, 3]", "test_errors.c", NULL});
}

/* What a scan with lengths refuses: lengths of another kind, states and results without the axis of the sequences. */
Test(errors, ragged_scans)
{
    for (int k = 0; k < 5; k++) {
        rg_graph *g = rg_graph_new(NULL);
        rg_node *xs = f32(g, "xs", RG_SHAPE(4, 3)),
                *l = rg_input(g, "l", RG_I32, k == 1 ? RG_SHAPE(3, 1) : RG_SHAPE(3));
        const rg_scan_opts opts = {.name = "rnn", .lengths = k == 0 ? f32(g, "f", RG_SHAPE(3)) : l};
        rg_scan *s = rg_scan_begin(g, &opts);
        if (k < 2) {
            cr_expect_null(s);
            scan_fails(g, k ? RG_ERR_SHAPE : RG_ERR_DTYPE,
                       (const char *const[]){"rg_scan_begin", "rnn", "i32 or i64 [batch]", k ? "[3, 1]" : "f32", NULL});
            continue;
        }
        rg_node *x = k == 4 ? NULL : rg_scan_slice(s, xs);
        rg_node *h = rg_scan_carry(s, rg_zeros(g, RG_F32, k == 2 ? RG_SHAPE(2) : RG_SHAPE(3)));
        if (k == 3)
            (void)rg_scan_stack(s, scalar_sum(x));
        if (k == 4)
            rg_scan_next(s, h, rg_exp(h));
        if (k == 2)
            scan_fails(g, RG_ERR_SHAPE, (const char *const[]){"rg_scan_carry", "i32[3]", "f32[2]", "first axis", NULL});
        else if (k == 3)
            scan_fails(g, RG_ERR_SHAPE, (const char *const[]){"rg_scan_stack", "i32[3]", "first axis", NULL});
        else
            scan_fails(g, RG_ERR_STATE, (const char *const[]){"rnn", "lengths", "no slice", NULL});
    }
}

Test(errors, compiling_with_a_scan_open)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = f32(g, "xs", RG_SHAPE(4, 3));
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.name = "rnn"});
    (void)rg_scan_slice(s, xs);
    cr_expect_null(rg_compile(g, RG_NODES(rg_exp(xs)), NULL));
    scan_fails(g, RG_ERR_REGION, (const char *const[]){"rnn", "ended", NULL});
}

/* ---- effects and compiling ---- */

Test(errors, assigns)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *w = rg_param(g, "w", RG_F32, RG_SHAPE(2), NULL), *x = f32(g, "x", RG_SHAPE(3));
    REFUSED(RG_ERR_SHAPE, rg_assign(w, x), "assign", "w", "[2]", "[3]");
    REFUSED(RG_ERR_DTYPE, rg_assign(w, rg_zeros(g, RG_F64, RG_SHAPE(2))), "assign", "w", "f32", "f64");
    REFUSED(RG_ERR_ARGUMENT, rg_assign(x, x), "assign", "x");
    const int one_line = __LINE__ + 1;
    rg_node *one = rg_assign(w, rg_neg(w)), *two = rg_assign(w, rg_exp(w));
    cr_expect_null(rg_compile(g, RG_NODES(one, two), NULL));
    char where[64];
    snprintf(where, sizeof where, "test_errors.c:%d", one_line);
    cr_assert(rg_graph_error(g));
    cr_expect_eq(rg_graph_status(g), RG_ERR_STATE);
    cr_expect(strstr(rg_graph_error(g), "'w'") && strstr(rg_graph_error(g), where), "%s", rg_graph_error(g));
    rg_graph_free(g);
}

Test(errors, compile_wants_nodes_of_its_graph)
{
    rg_graph *g = rg_graph_new(NULL), *other = rg_graph_new(NULL);
    rg_node *x = f32(g, "x", RG_SHAPE(3)), *y = f32(other, "y", RG_SHAPE(3));
    cr_expect_null(rg_compile(g, (rg_nodes){NULL, 0}, NULL));
    cr_expect(rg_graph_error(g));
    rg_graph_clear_error(g);
    cr_expect_null(rg_compile(g, RG_NODES(x, NULL), NULL));
    cr_expect(rg_graph_error(g));
    rg_graph_clear_error(g);
    cr_expect_null(rg_compile(g, RG_NODES(y), NULL));
    cr_expect(rg_graph_error(g));
    rg_graph_clear_error(g);
    cr_expect_null(rg_add(x, y), "nodes of two graphs");
    cr_expect(rg_graph_error(g) && strstr(rg_graph_error(g), "graph"), "%s",
              rg_graph_error(g) ? rg_graph_error(g) : "(none)");
    cr_expect_null(rg_compile(NULL, RG_NODES(x), NULL));
    rg_graph_free(g);
    rg_graph_free(other);
}

/* ---- binding and running ---- */

#define FAILS(status, expression, ...) \
    fails_at((expression), status, __LINE__, (const char *const[]){__VA_ARGS__, NULL})

static void fails_at(rg_status got, rg_status status, int line, const char *const words[])
{
    cr_expect_eq(got, status, "line %d: %s: %s", line, rg_status_name(got), rg_last_error());
    for (size_t i = 0; words[i]; i++)
        cr_expect(strstr(rg_last_error(), words[i]), "line %d: \"%s\" is missing in: %s", line, words[i],
                  rg_last_error());
}

Test(errors, binding)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = f32(g, "x", RG_SHAPE(rg_dim(g, "batch"), 3)), *t = f32(g, "target", RG_SHAPE(rg_dim(g, "batch"), 1)),
            *y = rg_add(x, t);
    rg_node *fixed = f32(g, "fixed", RG_SHAPE(2, 2)), *unused = f32(g, "unused", RG_SHAPE(2)), *s = scalar_sum(fixed);
    rg_plan *p = must_compile(g, RG_NODES(y, s), &(rg_plan_opts){.threads = 1});
    static float data[64];
    FAILS(RG_ERR_STATE, rg_run(p), "x", "bound");
    FAILS(RG_ERR_SHAPE, rg_bind(p, x, data), "x", "batch");
    FAILS(RG_ERR_SHAPE, rg_bind_shape(p, x, data, RG_SHAPE(4, 2)), "x", "[batch, 3]", "[4, 2]");
    FAILS(RG_ERR_SHAPE, rg_bind_shape(p, x, data, RG_SHAPE(4)), "x", "[4]");
    FAILS(RG_ERR_SHAPE, rg_bind_shape(p, x, data, RG_SHAPE(-1, 3)), "x");
    FAILS(RG_ERR_SHAPE, rg_bind_shape(p, fixed, data, RG_SHAPE(4)), "fixed", "[2, 2]", "[4]");
    must(rg_bind(p, unused, data)); /* an input of the graph that this plan has no use for */
    rg_node *late = f32(g, "late", RG_SHAPE(2));
    must(rg_bind(p, late, data));
    FAILS(RG_ERR_ARGUMENT, rg_bind(p, y, data), "input");
    FAILS(RG_ERR_ARGUMENT, rg_bind(p, NULL, data), "NULL");
    must(rg_bind(p, fixed, NULL)); /* not bound any more */
    must(rg_bind_shape(p, x, data, RG_SHAPE(4, 3)));
    must(rg_bind_shape(p, t, data, RG_SHAPE(4, 1)));
    FAILS(RG_ERR_STATE, rg_run(p), "fixed", "bound");
    must(rg_bind(p, t, NULL));
    rg_tensor wrong = {.dtype = RG_F64, .shape = RG_SHAPE(2, 2), .data = data};
    FAILS(RG_ERR_DTYPE, rg_bind_tensor(p, fixed, &wrong), "fixed", "f32", "f64");
    FAILS(RG_ERR_ARGUMENT, rg_bind_out(p, x, data), "x");
    must(rg_bind(p, fixed, data));
    must(rg_bind_shape(p, x, data, RG_SHAPE(4, 3)));
    FAILS(RG_ERR_STATE, rg_run(p), "target", "bound");
    must(rg_bind_shape(p, t, data, RG_SHAPE(5, 1)));
    FAILS(RG_ERR_SHAPE, rg_run(p), "batch", "x", "target", "4", "5");
    must(rg_bind_shape(p, t, data, RG_SHAPE(4, 1)));
    must(rg_run(p));
    const void *own = rg_data(p, y);
    cr_assert(own);
    FAILS(RG_ERR_ARGUMENT, rg_bind_shape(p, x, own, RG_SHAPE(4, 3)), "x", "plan");
    must(rg_run(p));
    rg_plan_free(p);
    FAILS(RG_ERR_ARGUMENT, rg_run(NULL), "NULL");
    rg_graph_free(g);
}

Test(errors, multiples_are_promises)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = f32(g, "x", RG_SHAPE(rg_dim_multiple(g, "pairs", 2))),
            *y = rg_sum(rg_reshape(x, RG_SHAPE(-1, 2)), RG_AXES(1), false);
    rg_plan *p = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1});
    const float data[6] = {1, 2, 3, 4, 5, 6};
    rg_status status = rg_bind_shape(p, x, data, RG_SHAPE(5));
    if (!status)
        status = rg_run(p);
    fails_at(status, RG_ERR_SHAPE, __LINE__, (const char *const[]){"pairs", "5", "2", NULL});
    must(rg_bind_shape(p, x, data, RG_SHAPE(6)));
    must(rg_run(p));
    cr_expect_eq(value_at(p, y, 2), 11);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(errors, values_of_parameters)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *w = rg_param(g, "w", RG_F32, RG_SHAPE(2), NULL), *x = f32(g, "x", RG_SHAPE(2));
    float data[4] = {0};
    FAILS(RG_ERR_SHAPE, rg_set(w, &(rg_tensor){.dtype = RG_F32, .shape = RG_SHAPE(3), .data = data}), "w", "[2]",
          "[3]");
    FAILS(RG_ERR_DTYPE, rg_set(w, &(rg_tensor){.dtype = RG_F64, .shape = RG_SHAPE(2), .data = data}), "w", "f32",
          "f64");
    FAILS(RG_ERR_ARGUMENT, rg_set(x, &(rg_tensor){.dtype = RG_F32, .shape = RG_SHAPE(2), .data = data}), "x");
    cr_expect_null(rg_value(x).data);
    rg_graph_free(g);
}

/* The scope is part of the message, and a derivative reports the line of what it derives. */
Test(errors, messages_name_the_scope)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = f32(g, "x", RG_SHAPE(2, 3));
    rg_scope_push(g, "encoder");
    rg_scope_push(g, "block");
    REFUSED(RG_ERR_SHAPE, rg_matmul(x, x), "encoder.block");
    rg_scope_pop(g);
    rg_scope_pop(g);
    rg_scope_pop(g);
    cr_expect(rg_graph_error(g), "one pop too many");
    rg_graph_free(g);
}

Test(errors, what_a_layer_or_a_loss_is_given_by_mistake)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *bytes = rg_input(g, "bytes", RG_U8, RG_SHAPE(2, 1, 8, 8)), *rows = rg_flatten(bytes, 1);
    rg_node *steps = rg_input(g, "steps", RG_I32, RG_SHAPE(5, 2, 3)), *logits = f32(g, "logits", RG_SHAPE(2, 3));
    rg_node *wrong = f32(g, "wrong", RG_SHAPE(2));
    const rg_conv_opts o = {.kernel = {3, 3}};
    REFUSED(RG_ERR_DTYPE, rg_nn_conv2d(bytes, "c1", 4, &o), "rg_nn_conv2d: 'c1': x is no float", "rg_cast", "'bytes'");
    REFUSED(RG_ERR_DTYPE, rg_nn_linear(rows, "fc1", 4, NULL), "rg_nn_linear: 'fc1': x is no float", "u8[2, 64]");
    REFUSED(RG_ERR_DTYPE, rg_nn_batch_norm(rows, "bn", NULL), "rg_nn_batch_norm: 'bn': x is no float", "rg_cast");
    REFUSED(RG_ERR_DTYPE, rg_nn_lstm(steps, "rnn", 4, NULL), "rg_nn_lstm: 'rnn': xs is no float", "'steps'");
    REFUSED(RG_ERR_DTYPE, rg_add(rg_cast(rows, RG_F64), rg_cast(rows, RG_F32)), "different element types", "rg_cast");
    REFUSED(RG_ERR_SHAPE, rg_cross_entropy(logits, wrong, NULL), "'wrong' are floats, hence probabilities",
            "f32[2, 3] 'logits'", "numbers of classes are u8, i32 or i64");
    rg_graph_free(g);
}
