/* test_hoist.c - what leaves the loop of a recurrence: seen in the plan, and equal to the last bit to the loop as it
   was written. */
#include "must.h"

#include <stdlib.h>

enum { T = 7, B = 3, I = 5, H = 4 };

static double *numbers(size_t n)
{
    double *x = malloc((n + 1) * sizeof *x);
    for (size_t i = 0; x && i < n; i++)
        x[i] = sin((double)(i * i) + 0.3);
    return x;
}

typedef struct case_of {
    rg_graph *g;
    rg_node *xs, *fetch[8];
    size_t n;
} case_of;

/* How many steps named `what` a plan has between its first loop and the end of it, and how many before that. */
static void count_steps(rg_plan *p, const char *what, int *inside, int *outside)
{
    char *text = rg_plan_dump(p);
    cr_assert(text, "%s", rg_last_error());
    int depth = 0;
    *inside = *outside = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        if (strstr(line, " = ") && strstr(line, what))
            ++*(depth ? inside : outside);
        else if (strstr(line, " loop '"))
            depth++;
        else if (strstr(line, " next"))
            depth--;
    }
    rg_text_free(text);
}

/* Fetched values of the plan, and of the one that does as it was told, bit for bit, on one thread and on two. */
static void expect_same(case_of *c, int64_t steps)
{
    cr_assert(!rg_graph_error(c->g), "%s", rg_graph_error(c->g));
    double *data = numbers(64 * B * I);
    rg_plan *plain = must_compile(c->g, (rg_nodes){c->fetch, c->n}, &(rg_plan_opts){.threads = 1, .no_fuse = true});
    must(rg_bind_shape(plain, c->xs, data, RG_SHAPE(steps, B, I)));
    must(rg_run(plain));
    for (int threads = 1; threads <= 2; threads++) {
        rg_plan *p = must_compile(c->g, (rg_nodes){c->fetch, c->n}, &(rg_plan_opts){.threads = threads});
        must(rg_bind_shape(p, c->xs, data, RG_SHAPE(steps, B, I)));
        must(rg_run(p));
        char how[64];
        snprintf(how, sizeof how, "%d steps, %d threads", (int)steps, threads);
        expect_equal_results(p, plain, (rg_nodes){c->fetch, c->n}, "hoisted", how);
        rg_plan_free(p);
    }
    rg_plan_free(plain);
    free(data);
}

/* A gated cell with weights apart; all its derivatives. */
static void gated(case_of *c, bool reverse)
{
    rg_graph *g = c->g = rg_graph_new(&(rg_graph_opts){.seed = 3});
    c->xs = rg_input(g, "xs", RG_F64, RG_SHAPE(rg_dim(g, "time"), B, I));
    rg_node *wz = rg_param(g, "wz", RG_F64, RG_SHAPE(I, H), NULL),
            *uz = rg_param(g, "uz", RG_F64, RG_SHAPE(H, H), NULL);
    rg_node *wn = rg_param(g, "wn", RG_F64, RG_SHAPE(H, I), NULL),
            *un = rg_param(g, "un", RG_F64, RG_SHAPE(H, H), NULL);
    rg_node *bz = rg_param(g, "bz", RG_F64, RG_SHAPE(H), &(rg_param_opts){.init = RG_ONES});
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.reverse = reverse});
    rg_node *x = rg_scan_slice(s, c->xs), *h = rg_scan_carry(s, rg_zeros(g, RG_F64, RG_SHAPE(B, H)));
    rg_node *xz = rg_matmul(x, wz), *z = rg_sigmoid(rg_add(rg_add(xz, bz), rg_matmul(h, uz)));
    rg_node *n = rg_tanh(rg_add(rg_linear(x, wn, bz), rg_matmul(rg_mul(z, h), un)));
    rg_node *next = rg_add(rg_mul(z, h), rg_mul(rg_one_minus(z), n));
    rg_scan_next(s, h, next);
    rg_node *states = rg_scan_stack(s, next), *last = rg_scan_last(s, h);
    rg_scan_end(s);
    rg_node *loss = rg_add(rg_sum(rg_square(states), RG_ALL_AXES, false), rg_sum(rg_sin(last), RG_ALL_AXES, false));
    const rg_nodes d = rg_grad(loss, RG_NODES(c->xs, wz, uz, wn, bz));
    c->fetch[c->n++] = states;
    c->fetch[c->n++] = last;
    c->fetch[c->n++] = rg_scan_stack(s, xz); /* all of it outside */
    for (size_t i = 0; i < d.n; i++)
        c->fetch[c->n++] = d.at[i];
}

Test(hoist, products_of_slices_leave_a_gated_cell)
{
    for (int reverse = 0; reverse < 2; reverse++) {
        case_of c = {0};
        gated(&c, reverse);
        double *data = numbers(T * B * I);
        rg_plan *p = must_compile(c.g, RG_NODES(c.fetch[0]), NULL);
        must(rg_bind_shape(p, c.xs, data, RG_SHAPE(T, B, I)));
        must(rg_run(p));
        int inside, outside;
        count_steps(p, " = contract(", &inside, &outside);
        cr_expect(inside == 2 && outside == 2, "%d products in the loop, %d outside", inside, outside);
        rg_plan_free(p);
        free(data);
        expect_same(&c, T);
        expect_same(&c, 1);
        expect_same(&c, 0);
        rg_graph_free(c.g);
    }
}

/* The gradient of the input is a sum of products with several weights: behind the loop, too. */
Test(hoist, gradients_of_slices_leave)
{
    case_of c = {0};
    gated(&c, false);
    double *data = numbers(T * B * I);
    rg_plan *p = must_compile(c.g, RG_NODES(c.fetch[3], c.fetch[4], c.fetch[5], c.fetch[6]), NULL);
    must(rg_bind_shape(p, c.xs, data, RG_SHAPE(T, B, I)));
    must(rg_run(p));
    int inside, outside;
    count_steps(p, " = contract(", &inside, &outside);
    cr_expect_eq(inside, 4, "two products with the state forward, two backward, not %d", inside);
    rg_plan_free(p);
    free(data);
    rg_graph_free(c.g);
}

/* Gates that one function makes of one product: their parts are read where they lie, backwards too, and their gradients
   are written side by side, those of the parts of the sequence included. */
Test(hoist, parts_are_neither_copied_nor_kept_twice)
{
    case_of c = {.g = rg_graph_new(&(rg_graph_opts){.seed = 3})};
    rg_graph *g = c.g;
    c.xs = rg_input(g, "xs", RG_F64, RG_SHAPE(rg_dim(g, "time"), B, I));
    rg_node *w = rg_param(g, "w", RG_F64, RG_SHAPE(3 * H, I), NULL),
            *u = rg_param(g, "u", RG_F64, RG_SHAPE(2 * H, H), NULL),
            *un = rg_param(g, "un", RG_F64, RG_SHAPE(H, H), NULL);
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(s, rg_linear(c.xs, w, NULL)), *h = rg_scan_carry(s, rg_zeros(g, RG_F64, RG_SHAPE(B, H)));
    rg_node *gates = rg_sigmoid(rg_add(rg_slice(x, 1, 0, 2 * H), rg_linear(h, u, NULL)));
    rg_node *z = rg_slice(gates, 1, 0, H), *r = rg_slice(gates, 1, H, 2 * H);
    rg_node *n = rg_tanh(rg_add(rg_slice(x, 1, 2 * H, 3 * H), rg_linear(rg_mul(r, h), un, NULL)));
    rg_node *next = rg_add(rg_mul(z, h), rg_mul(rg_one_minus(z), n));
    rg_scan_next(s, h, next);
    rg_node *states = rg_scan_stack(s, next);
    rg_scan_end(s);
    const rg_nodes d = rg_grad(rg_sum(rg_square(states), RG_ALL_AXES, false), RG_NODES(c.xs, w, u, un));
    c.fetch[c.n++] = states;
    for (size_t i = 0; i < d.n; i++)
        c.fetch[c.n++] = d.at[i];
    double *data = numbers(T * B * I);
    rg_plan *p = must_compile(g, (rg_nodes){c.fetch, c.n}, NULL);
    must(rg_bind_shape(p, c.xs, data, RG_SHAPE(T, B, I)));
    must(rg_run(p));
    int inside, outside;
    count_steps(p, " = slice", &inside, &outside);
    cr_expect(inside == 0 && outside == 0, "%d copies of parts or zeros around parts in the loops", inside);
    rg_plan_free(p);
    free(data);
    expect_same(&c, T);
    expect_same(&c, 1);
    expect_same(&c, 0);
    rg_graph_free(g);
}

/* Without carries nothing of a body remains, draws included. */
Test(hoist, a_map_has_no_loop)
{
    case_of c = {.g = rg_graph_new(&(rg_graph_opts){.seed = 5})};
    c.xs = rg_input(c.g, "xs", RG_F64, RG_SHAPE(rg_dim(c.g, "time"), B, I));
    rg_node *w = rg_param(c.g, "w", RG_F64, RG_SHAPE(I), NULL);
    rg_scan *s = rg_scan_begin(c.g, NULL);
    rg_node *x = rg_scan_slice(s, c.xs), *noise = rg_uniform(c.g, RG_F64, RG_SHAPE(B, I));
    rg_node *y = rg_tanh(rg_mul(rg_add(x, noise), w)), *loss = rg_sum(rg_square(y), RG_ALL_AXES, false);
    c.fetch[c.n++] = rg_scan_stack(s, y);
    c.fetch[c.n++] = rg_scan_stack(s, rg_at(rg_grad(loss, RG_NODES(w)), 0));
    c.fetch[c.n++] = rg_scan_stack(s, noise);
    rg_scan_end(s);
    rg_plan *p = must_compile(c.g, (rg_nodes){c.fetch, c.n}, NULL);
    char *text = rg_plan_dump(p);
    cr_expect(text && !strstr(text, "loop"), "%s", text);
    rg_text_free(text);
    rg_plan_free(p);
    expect_same(&c, T);
    expect_same(&c, 1);
    expect_same(&c, 0);
    rg_graph_free(c.g);
}

/* From an inner loop through an outer one: the product of slices leaves both, that with the outer state only the
   inner. */
/* An op of several results leaves with what leads from it to a product; of a map all of it does. */
Test(hoist, several_results)
{
    for (int carries = 0; carries < 2; carries++) {
        rg_graph *g = rg_graph_new(NULL);
        case_of c = {.g = g, .xs = rg_input(g, "xs", RG_F64, RG_SHAPE(rg_dim(g, "time"), B, I))};
        double *data = numbers(I * H);
        rg_node *w = rg_const(g, RG_F64, RG_SHAPE(I, H), data), *scale = rg_full(g, RG_F64, RG_SHAPE(B), 1.5),
                *shift = rg_full(g, RG_F64, RG_SHAPE(B), 0.25), *mean, *variance;
        rg_scan *s = rg_scan_begin(g, NULL);
        rg_node *x = rg_reshape(rg_scan_slice(s, c.xs), RG_SHAPE(1, B, I)),
                *y = rg_batch_norm_moments(x, scale, shift, 1e-5, &mean, &variance),
                *z = rg_tanh(rg_matmul(rg_reshape(y, RG_SHAPE(B, I)), w));
        if (carries) {
            rg_node *h = rg_scan_carry(s, rg_zeros(g, RG_F64, RG_SHAPE(B, H)));
            rg_scan_next(s, h, z = rg_tanh(rg_add(h, z)));
        }
        c.fetch[c.n++] = rg_scan_stack(s, z);
        c.fetch[c.n++] = rg_scan_stack(s, mean);
        rg_scan_end(s);
        rg_node *loss = rg_sum(rg_mul(c.fetch[0], c.fetch[0]), RG_ALL_AXES, false);
        c.fetch[c.n++] = rg_grad(loss, RG_NODES(c.xs)).at[0];
        expect_same(&c, T);
        int inside, outside;
        rg_plan *p = must_compile(g, (rg_nodes){c.fetch, 2}, &(rg_plan_opts){.threads = 1});
        must(rg_bind_shape(p, c.xs, NULL, RG_SHAPE(T, B, I)));
        must(rg_plan_prepare(p));
        count_steps(p, "batch_norm(", &inside, &outside);
        cr_expect(inside == 0 && outside == 1, "%d inside, %d outside", inside, outside);
        count_steps(p, "contract(", &inside, &outside);
        cr_expect(inside == 0 && outside == 1, "%d inside, %d outside", inside, outside);
        rg_plan_free(p);
        free(data);
        rg_graph_free(g);
    }
}

Test(hoist, nested_loops)
{
    case_of c = {.g = rg_graph_new(NULL)};
    c.xs = rg_input(c.g, "xs", RG_F64, RG_SHAPE(rg_dim(c.g, "time"), B, I));
    rg_node *w = rg_param(c.g, "w", RG_F64, RG_SHAPE(I, I), NULL),
            *u = rg_param(c.g, "u", RG_F64, RG_SHAPE(I, I), NULL);
    rg_scan *outer = rg_scan_begin(c.g, NULL);
    rg_node *rows = rg_scan_slice(outer, c.xs), *sum = rg_scan_carry(outer, rg_zeros(c.g, RG_F64, RG_SHAPE(I)));
    rg_scan *inner = rg_scan_begin(c.g, NULL);
    rg_node *x = rg_scan_slice(inner, rows), *h = rg_scan_carry(inner, sum);
    rg_node *next = rg_tanh(rg_add(rg_add(rg_matmul(x, w), rg_matmul(sum, u)), h));
    rg_scan_next(inner, h, next);
    rg_node *last = rg_scan_last(inner, h), *same = rg_matmul(rows, w);
    rg_node *copies = rg_scan_stack(inner, same); /* what leaves the outer loop, stacked by the inner one */
    rg_scan_end(inner);
    rg_scan_next(outer, sum, last);
    c.fetch[c.n++] = rg_scan_stack(outer, rg_sum(copies, RG_AXES(0), false));
    rg_node *ys = rg_scan_stack(outer, last);
    rg_scan_end(outer);
    const rg_nodes d = rg_grad(rg_sum(rg_square(ys), RG_ALL_AXES, false), RG_NODES(w, u, c.xs));
    c.fetch[c.n++] = ys;
    for (size_t i = 0; i < d.n; i++)
        c.fetch[c.n++] = d.at[i];
    rg_plan *p = must_compile(c.g, RG_NODES(ys), NULL);
    int inside, outside;
    count_steps(p, " = contract(", &inside, &outside);
    cr_expect(inside == 1 && outside == 1, "%d products in loops, %d outside", inside, outside);
    rg_plan_free(p);
    expect_same(&c, T);
    expect_same(&c, 0);
    rg_graph_free(c.g);
}

/* Draws that leave the inner of two loops are still told the numbers of the steps; a plan that folds nothing makes them
   in front of both. */
Test(hoist, draws_in_nested_loops)
{
    static const rg_plan_opts how[] = {{.threads = 1}, {.threads = 1, .check_rewrites = true}};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = rg_param(g, "xs", RG_F64, RG_SHAPE(T, B, I), NULL),
            *w = rg_param(g, "w", RG_F64, RG_SHAPE(I, I), NULL);
    rg_scan *outer = rg_scan_begin(g, NULL);
    rg_node *rows = rg_scan_slice(outer, xs), *sum = rg_scan_carry(outer, rg_zeros(g, RG_F64, RG_SHAPE(I)));
    rg_scan *inner = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(inner, rg_add(rows, sum)), *h = rg_scan_carry(inner, sum);
    rg_scan_next(inner, h, rg_tanh(rg_add(h, rg_matmul(rg_mul(x, rg_uniform_like(x)), w))));
    rg_scan_end(inner);
    rg_scan_next(outer, sum, rg_scan_last(inner, h));
    rg_node *y = rg_scan_stack(outer, rg_scan_last(inner, h));
    rg_scan_end(outer);
    rg_plan *plain = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1, .no_fuse = true});
    must(rg_run(plain));
    for (int k = 0; k < 2; k++) {
        rg_plan *p = must_compile(g, RG_NODES(y), &how[k]);
        must(rg_run(p));
        expect_equal_results(p, plain, RG_NODES(y), "draws", k ? "checked" : "fused");
        int inside, outside;
        count_steps(p, "arange(", &inside, &outside);
        cr_expect(inside == 0 && outside == k, "%d numbers inside, %d outside", inside, outside);
        rg_plan_free(p);
    }
    rg_plan_free(plain);
    rg_graph_free(g);
}

static rg_status halve(const rg_step *step, size_t lo, size_t hi)
{
    const double *x = step->in[0];
    double *y = step->out[0];
    for (size_t i = 0; lo < hi && i < (size_t)rg_shape_count(step->in_type[0].shape); i++)
        y[i] = x[i] / 2;
    return RG_OK;
}

static const rg_op halve_op = {
    .name = "halve", .n_in = 1, .n_out = 1, .dtypes = RG_DT_FLOATS, .infer = rg_infer_same, .run = halve};

/* An op without a batching rule stays where it is, with what comes of it, and the plan says so. */
Test(hoist, an_op_without_a_rule_stays)
{
    case_of c = {.g = rg_graph_new(NULL)};
    c.xs = rg_input(c.g, "xs", RG_F64, RG_SHAPE(rg_dim(c.g, "time"), B, I));
    rg_node *w = rg_param(c.g, "w", RG_F64, RG_SHAPE(I, I), NULL);
    rg_scan *s = rg_scan_begin(c.g, NULL);
    rg_node *x = rg_scan_slice(s, c.xs), *h = rg_scan_carry(s, rg_zeros(c.g, RG_F64, RG_SHAPE(B, I)));
    rg_node *half = rg_apply(&halve_op, RG_NODES(rg_matmul(x, w)), NULL), *y = rg_add(rg_matmul(half, w), h);
    rg_scan_next(s, h, y);
    c.fetch[c.n++] = rg_scan_stack(s, y);
    rg_scan_end(s);
    rg_plan *p = must_compile(c.g, RG_NODES(c.fetch[0]), NULL);
    int inside, outside;
    count_steps(p, " = contract(", &inside, &outside);
    cr_expect(inside == 1 && outside == 1, "%d products in the loop, %d outside", inside, outside);
    char *text = rg_plan_dump(p);
    cr_expect(text && strstr(text, "for want of a batching rule") && strstr(text, "= halve"), "%s", text);
    rg_text_free(text);
    rg_plan_free(p);
    expect_same(&c, T);
    rg_graph_free(c.g);
}

/* Compiling again finds the nodes of the first time, and derivatives taken afterwards do not see them. */
Test(hoist, compiling_twice)
{
    case_of c = {0};
    gated(&c, false);
    rg_plan *p = must_compile(c.g, RG_NODES(c.fetch[0]), NULL);
    const size_t size = rg_graph_size(c.g);
    rg_plan *q = must_compile(c.g, RG_NODES(c.fetch[0]), NULL);
    cr_expect_eq(rg_graph_size(c.g), size);
    must(rg_graph_check(c.g));
    rg_plan_free(p);
    rg_plan_free(q);
    rg_node *again = rg_at(rg_grad(rg_sum(rg_square(c.fetch[0]), RG_ALL_AXES, false), RG_NODES(c.xs)), 0);
    c.fetch[c.n - 1] = again;
    expect_same(&c, T);
    rg_graph_free(c.g);
}
