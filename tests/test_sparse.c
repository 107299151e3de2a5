/* test_sparse.c - sparse Jacobians and Hessians: how many directions they take, where they are not zero, and their
   numbers against formulas and dense ones. What each op is followed through by itself is a column of the table in
   test_transforms. */
#include "must.h"

#include <stdlib.h>

static double random_number(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) * 0x1p-53;
}

static int64_t random_below(uint64_t *state, int64_t n)
{
    return (int64_t)(random_number(state) * (double)n);
}

static rg_node *filled(rg_graph *g, const char *name, rg_shape shape)
{
    rg_node *p = rg_param(g, name, RG_F64, shape, NULL);
    const size_t n = (size_t)rg_shape_count(shape);
    double *values = calloc(n + 1, sizeof *values);
    uint64_t state = (uint64_t)(unsigned char)*name + n;
    for (size_t i = 0; i < n; i++)
        values[i] = 2 * random_number(&state) - 1;
    must(rg_set(p, &(rg_tensor){RG_F64, shape, values, NULL}));
    free(values);
    return p;
}

static rg_node *total(rg_node *x)
{
    return rg_sum(x, RG_ALL_AXES, false);
}

/* Every element of the dense matrix is that of the sparse one, which is zero at other places. */
static void expect_dense(rg_graph *g, const rg_sparse *s, rg_node *dense)
{
    cr_assert(s && dense, "%s", rg_graph_error(g));
    rg_plan *p = must_compile(g, RG_NODES(s->values, dense), NULL);
    must(rg_run(p));
    for (int64_t i = 0; i < s->rows; i++)
        for (int64_t j = 0, k = s->row_start[i]; j < s->columns; j++) {
            const bool there = k < s->row_start[i + 1] && s->column[k] == j;
            const double got = there ? value_at(p, s->values, (size_t)k) : 0;
            const double want = value_at(p, dense, (size_t)(i * s->columns + j));
            cr_expect(close_to(got, want, 1e-12), "(%d, %d) is %.17g, not %.17g", (int)i, (int)j, got, want);
            k += there;
        }
    rg_plan_free(p);
}

/* ---- structures of the textbooks ---- */

static rg_node *rosenbrock(rg_node *x, int64_t n)
{
    rg_node *lo = rg_slice(x, 0, 0, n - 1), *hi = rg_slice(x, 0, 1, n);
    return total(rg_add(rg_scale(rg_square(rg_sub(hi, rg_square(lo))), 100), rg_square(rg_one_minus(lo))));
}

/* Three diagonals, three directions; one plan serves as many points as there are. */
Test(sparse, hessian_of_rosenbrock)
{
    enum { N = 1000 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SHAPE(N));
    const rg_sparse *h = rg_sparse_hessian(rosenbrock(x, N), x);
    cr_assert(h, "%s", rg_graph_error(g));
    cr_expect_eq(h->colours, 3);
    cr_expect_eq(h->row_start[N], 3 * N - 2);
    rg_plan *p = must_compile(g, RG_NODES(h->values), NULL);
    static double at[N];
    uint64_t state = 3;
    for (int point = 0; point < 3; point++) {
        for (int i = 0; i < N; i++)
            at[i] = 4 * random_number(&state) - 2;
        must(rg_bind(p, x, at));
        must(rg_run(p));
        for (int64_t i = 0; i < N; i++)
            for (int64_t k = h->row_start[i]; k < h->row_start[i + 1]; k++) {
                const int64_t j = h->column[k], below = i < j ? i : j;
                const double middle = (i < N - 1 ? 1200 * at[i] * at[i] - 400 * at[i + 1] + 2 : 0) + (i > 0 ? 200 : 0);
                const double want = i == j ? middle : -400 * at[below];
                cr_assert(labs((long)(i - j)) <= 1);
                cr_expect(close_to(value_at(p, h->values, (size_t)k), want, 1e-12), "(%d, %d)", (int)i, (int)j);
            }
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

/* A row, a column and a diagonal: two directions, since of each pair of elements one is enough; by columns alone all
   rows would meet in the first one. */
static void arrow(int64_t n, int64_t hub)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = filled(g, "x", RG_SHAPE(n)), *centre = rg_slice(x, 0, hub, hub + 1);
    rg_node *loss = total(rg_add(rg_mul(rg_sin(x), centre), rg_exp(x)));
    const rg_sparse *h = rg_sparse_hessian(loss, x);
    expect_dense(g, h, rg_hessian(loss, x));
    cr_expect_eq(h->colours, 2);
    cr_expect_eq(h->row_start[n], 3 * n - 2);
    rg_node *gradient = rg_at(rg_grad(loss, RG_NODES(x)), 0);
    const rg_sparse *j = rg_sparse_jacobian(gradient, x);
    cr_expect_eq(j->colours, n);
    rg_graph_free(g);
}

Test(sparse, an_arrow_has_two_colours)
{
    arrow(30, 0);
    arrow(30, 29);
    arrow(31, 17);
}

/* Wide rows apart from each other: one direction a row of them is not needed, but one a column; so reverse mode. */
Test(sparse, rows_where_they_are_fewer)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = filled(g, "x", RG_SHAPE(6, 10)), *y = rg_sum(rg_sin(x), RG_AXES(1), false);
    const rg_sparse *j = rg_sparse_jacobian(y, x);
    expect_dense(g, j, rg_jacobian(y, x));
    cr_expect(j->reverse && j->colours == 1 && j->row_start[6] == 60);
    rg_node *z = rg_mul(rg_unsqueeze(rg_slice(x, 1, 0, 1), -1), rg_const(g, RG_F64, RG_SHAPE(3), (double[]){1, 2, 3}));
    const rg_sparse *k = rg_sparse_jacobian(z, x);
    expect_dense(g, k, rg_jacobian(z, x));
    cr_expect(!k->reverse && k->colours == 1 && k->row_start[k->rows] == 18);
    rg_graph_free(g);
}

/* ---- least squares of bundles: each error knows one camera and one point ---- */

Test(sparse, bundle_adjustment)
{
    enum { CAMERAS = 5, POINTS = 12, SEEN = 30, N = 7 * CAMERAS + 3 * POINTS };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *all = filled(g, "all", RG_SHAPE(N));
    rg_node *cameras = rg_reshape(rg_slice(all, 0, 0, 7 * CAMERAS), RG_SHAPE(CAMERAS, 7));
    rg_node *points = rg_reshape(rg_slice(all, 0, 7 * CAMERAS, N), RG_SHAPE(POINTS, 3));
    int64_t camera[SEEN], point[SEEN];
    uint64_t state = 7;
    for (int i = 0; i < SEEN; i++) {
        camera[i] = random_below(&state, CAMERAS);
        point[i] = random_below(&state, POINTS);
    }
    rg_node *c = rg_gather(cameras, rg_const(g, RG_I64, RG_SHAPE(SEEN), camera), 0);
    rg_node *x = rg_gather(points, rg_const(g, RG_I64, RG_SHAPE(SEEN), point), 0);
    rg_node *axis = rg_slice(c, 1, 0, 3), *theta = rg_norm(axis, RG_AXES(1), true);
    rg_node *moved = rg_sub(rg_mul(x, rg_cos(theta)), rg_mul(axis, rg_sum(rg_mul(axis, x), RG_AXES(1), true)));
    moved = rg_add(moved, rg_slice(c, 1, 3, 6));
    rg_node *flat = rg_div(rg_slice(moved, 1, 0, 2), rg_add_scalar(rg_square(rg_slice(moved, 1, 2, 3)), 2));
    rg_node *error = rg_mul(flat, rg_slice(c, 1, 6, 7)); /* [SEEN, 2] */
    const rg_sparse *j = rg_sparse_jacobian(error, all);
    expect_dense(g, j, rg_jacobian(error, all));
    for (int64_t row = 0; row < 2 * SEEN; row++) { /* not the shift along the other axis of the image */
        const int64_t of_camera[6] = {0, 1, 2, 3 + row % 2, 5, 6}, i = row / 2;
        cr_assert_eq(j->row_start[row + 1] - j->row_start[row], 9);
        for (int64_t k = 0; k < 9; k++)
            cr_assert_eq(j->column[j->row_start[row] + k],
                         k < 6 ? 7 * camera[i] + of_camera[k] : 7 * CAMERAS + 3 * point[i] + k - 6);
    }
    cr_expect(!j->reverse && j->colours >= 9 && j->colours <= 14, "%d colours", (int)j->colours);
    /* of the squares: cameras and points by themselves, and with whom they meet; scatters are followed too */
    const rg_sparse *h = rg_sparse_hessian(total(rg_square(error)), all);
    expect_dense(g, h, rg_hessian(total(rg_square(error)), all));
    cr_expect_lt(h->row_start[N], N * N * 2 / 3);
    rg_graph_free(g);
}

/* ---- products, recurrences, branches ---- */

Test(sparse, batched_products_are_blocks)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = filled(g, "x", RG_SHAPE(8, 3)), *w = filled(g, "w", RG_SHAPE(4, 3));
    rg_node *y = rg_softmax(rg_tanh(rg_matmul_t(x, false, w, true)), 1); /* [8, 4]: rows by themselves */
    const rg_sparse *j = rg_sparse_jacobian(y, x);
    expect_dense(g, j, rg_jacobian(y, x));
    cr_expect_eq(j->row_start[32], 32 * 3);
    cr_expect_eq(j->colours, 3);
    const rg_sparse *h = rg_sparse_hessian(total(rg_square(y)), x);
    expect_dense(g, h, rg_hessian(total(rg_square(y)), x));
    cr_expect_eq(h->row_start[24], 24 * 3);
    rg_graph_free(g);
}

/* h' = sin(h) x: what is stacked at step t depends on x up to t. Backwards: from t on. */
static void recurrence(bool reverse)
{
    enum { T = 9 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = filled(g, "x", RG_SHAPE(T, 2));
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.reverse = reverse});
    rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, rg_ones(g, RG_F64, RG_SHAPE(2)));
    rg_node *next = rg_mul(rg_sin(h), x);
    rg_scan_next(s, h, next);
    rg_node *ys = rg_scan_stack(s, next), *last = rg_scan_last(s, h);
    rg_scan_end(s);
    const rg_sparse *j = rg_sparse_jacobian(ys, xs);
    expect_dense(g, j, rg_jacobian(ys, xs));
    cr_expect_eq(j->row_start[2 * T], 2 * T * (T + 1) / 2);
    cr_expect_eq(j->colours, T); /* the two columns of a step never meet */
    const rg_sparse *k = rg_sparse_jacobian(last, xs);
    expect_dense(g, k, rg_jacobian(last, xs));
    cr_expect(k->reverse && k->colours == 1);
    const rg_sparse *h2 = rg_sparse_hessian(total(rg_square(ys)), xs); /* through the reverse scan */
    expect_dense(g, h2, rg_hessian(total(rg_square(ys)), xs));
    cr_expect_leq(h2->row_start[2 * T], 2 * T * T);
    rg_graph_free(g);
}

Test(sparse, steps_of_recurrences)
{
    recurrence(false);
    recurrence(true);
}

/* A scan whose steps are apart, as a map: a block for each. */
Test(sparse, maps_are_diagonal)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = filled(g, "x", RG_SHAPE(7, 2));
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(s, xs), *y = rg_mul(x, total(rg_exp(x)));
    rg_node *ys = rg_scan_stack(s, y);
    rg_scan_end(s);
    const rg_sparse *j = rg_sparse_jacobian(ys, xs);
    expect_dense(g, j, rg_jacobian(ys, xs));
    cr_expect_eq(j->row_start[14], 28);
    cr_expect_eq(j->colours, 2);
    rg_graph_free(g);
}

Test(sparse, loops_that_depend_on_data_read_everything)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = filled(g, "x", RG_SHAPE(4));
    rg_scan *s = rg_while_begin(g, &(rg_while_opts){.max_iter = 50});
    rg_node *h = rg_scan_carry(s, x), *c = rg_scan_carry(s, rg_scalar(g, RG_F64, 0));
    rg_while_test(s, rg_less(c, rg_scalar(g, RG_F64, 3)));
    rg_scan_next(s, h, rg_sin(h));
    rg_scan_next(s, c, rg_add_scalar(c, 1));
    rg_node *last = rg_scan_last(s, h);
    rg_scan_end(s);
    const rg_sparse *j = rg_sparse_jacobian(last, x);
    expect_dense(g, j, rg_jacobian(last, x));
    cr_expect_eq(j->row_start[4], 16);
    rg_graph_free(g);
}

/* ---- by chance ---- */

/* Ops of a few elements each, of a long vector: sums of gathered ones, by constant and by computed numbers, scattered
   again, cut, joined, turned. */
static rg_node *by_chance(rg_graph *g, rg_node *x, int64_t n, uint64_t *state)
{
    rg_node *v = x;
    for (int k = 0; k < 6; k++) {
        int64_t index[64];
        for (int64_t i = 0; i < n; i++)
            index[i] = random_below(state, n);
        rg_node *at = rg_const(g, RG_I64, RG_SHAPE(n), index), *w = NULL;
        switch (random_below(state, 8)) {
        case 0:
            w = rg_mul(v, rg_gather(v, at, 0));
            break;
        case 1:
            w = rg_scatter_add(rg_sin(v), at, v, 0);
            break;
        case 2:
            w = rg_concat(RG_NODES(rg_slice(v, 0, n / 2, n), rg_slice(v, 0, 0, n / 2)), 0);
            break;
        case 3:
            w = rg_flip(rg_tanh(v), RG_AXES(0));
            break;
        case 4:
            w = rg_reshape(rg_transpose(rg_reshape(v, RG_SHAPE(4, -1)), RG_AXES(1, 0)), RG_SHAPE(-1));
            break;
        case 5:
            w = rg_slice(rg_pad(rg_square(v), 0, 3, 0, RG_PAD_CONSTANT, 0.5), 0, 0, n);
            break;
        case 6:
            w = rg_where(rg_greater(v, rg_scalar(g, RG_F64, 0)), rg_roll(v, 0, 1), rg_exp(v));
            break;
        default:
            w = rg_reshape(rg_softmax(rg_reshape(v, RG_SHAPE(-1, 2)), 1), RG_SHAPE(-1));
            break;
        }
        v = random_below(state, 3) ? w : rg_add(v, w);
    }
    return v;
}

Test(sparse, graphs_by_chance)
{
    const int64_t n = 24;
    int64_t least = n;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        rg_graph *g = rg_graph_new(NULL);
        uint64_t state = seed * 7919;
        rg_node *x = filled(g, "x", RG_SHAPE(n)), *y = by_chance(g, x, n, &state);
        const rg_sparse *j = rg_sparse_jacobian(y, x);
        expect_dense(g, j, rg_jacobian(y, x));
        rg_node *loss = total(rg_sin(y));
        const rg_sparse *h = rg_sparse_hessian(loss, x);
        expect_dense(g, h, rg_hessian(loss, x));
        least = j->colours < least ? j->colours : least;
        rg_graph_free(g);
    }
    cr_expect_lt(least, 4);
}

/* Two values a place of a random symmetric matrix: the loss is x^T A x / 2 and a fourth power, so H = A + 12 x^2. */
Test(sparse, symmetric_matrices_by_chance)
{
    enum { N = 60 };
    for (uint64_t seed = 1; seed <= 10; seed++) {
        rg_graph *g = rg_graph_new(NULL);
        uint64_t state = seed;
        int64_t i[3 * N], j[3 * N];
        for (int k = 0; k < 3 * N; k++) {
            i[k] = random_below(&state, N);
            j[k] = random_below(&state, k % 3 ? N : 1 + N / 10);
        }
        rg_node *x = filled(g, "x", RG_SHAPE(N));
        rg_node *a = rg_gather(x, rg_const(g, RG_I64, RG_SHAPE(3 * N), i), 0);
        rg_node *b = rg_gather(x, rg_const(g, RG_I64, RG_SHAPE(3 * N), j), 0);
        rg_node *loss = rg_add(total(rg_mul(a, rg_sin(b))), total(rg_square(rg_square(x))));
        const rg_sparse *h = rg_sparse_hessian(loss, x);
        expect_dense(g, h, rg_hessian(loss, x));
        const rg_sparse *plain = rg_sparse_jacobian(rg_at(rg_grad(loss, RG_NODES(x)), 0), x);
        cr_expect_leq(h->colours, plain->colours);
        rg_graph_free(g);
    }
}

/* Ten thousand variables are no trouble: a chain of neighbours of neighbours. */
Test(sparse, large_structures_take_little)
{
    enum { N = 10000 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = filled(g, "x", RG_SHAPE(N));
    rg_node *a = rg_slice(x, 0, 0, N - 2), *b = rg_slice(x, 0, 1, N - 1), *c = rg_slice(x, 0, 2, N);
    rg_node *loss = total(rg_mul(rg_mul(a, b), rg_sin(c)));
    const rg_sparse *h = rg_sparse_hessian(loss, x);
    cr_assert(h, "%s", rg_graph_error(g));
    cr_expect(h->colours >= 3 && h->colours <= 6, "%d colours", (int)h->colours);
    cr_expect_leq(h->row_start[N], 5 * N - 6);
    rg_plan *p = must_compile(g, RG_NODES(h->values), NULL);
    must(rg_run(p));
    for (int64_t k = h->row_start[5000]; k < h->row_start[5001]; k++)
        if (h->column[k] == 5001) {
            const double want = sin(stored_at(x, 5002)) + stored_at(x, 4999) * cos(stored_at(x, 5001));
            cr_expect(close_to(value_at(p, h->values, (size_t)k), want, 1e-12));
        }
    rg_plan_free(p);
    rg_graph_free(g);
}

/* ---- edges ---- */

Test(sparse, what_does_not_depend_is_empty)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = filled(g, "x", RG_SHAPE(3)), *z = filled(g, "z", RG_SHAPE(2));
    const rg_sparse *j = rg_sparse_jacobian(rg_floor(z), x), *h = rg_sparse_hessian(total(x), x);
    cr_assert(j && h, "%s", rg_graph_error(g));
    cr_expect(j->row_start[2] == 0 && j->colours == 0 && rg_shape_of(j->values).dim[0] == 0);
    cr_expect(h->row_start[3] == 0 && h->colours == 0);
    rg_plan *p = must_compile(g, RG_NODES(j->values, h->values), NULL);
    must(rg_run(p));
    rg_plan_free(p);
    rg_graph_free(g);
}

/* Values are nodes: the derivative of the sum of a Hessian's elements. */
Test(sparse, values_are_differentiable)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = filled(g, "x", RG_SHAPE(5));
    const rg_sparse *h = rg_sparse_hessian(total(rg_pow_scalar(x, 4)), x);
    rg_node *third = rg_at(rg_grad(total(h->values), RG_NODES(x)), 0);
    rg_plan *p = must_compile(g, RG_NODES(third), NULL);
    must(rg_run(p));
    for (size_t i = 0; i < 5; i++)
        cr_expect(close_to(value_at(p, third, i), 24 * stored_at(x, i), 1e-12));
    rg_plan_free(p);
    rg_graph_free(g);
}

static void refused(rg_graph *g, const void *made, const char *what)
{
    cr_expect_null(made);
    cr_expect(rg_graph_error(g) && strstr(rg_graph_error(g), what), "%s", rg_graph_error(g));
    rg_graph_free(g);
}

Test(sparse, what_cannot_be_is_said)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SHAPE(rg_dim(g, "batch")));
    refused(g, rg_sparse_jacobian(rg_sin(x), x), "known only when data is bound");
    g = rg_graph_new(NULL);
    rg_node *w = filled(g, "w", RG_SHAPE(3)), *many = rg_input(g, "x", RG_F64, RG_SHAPE(rg_dim(g, "batch"), 3));
    refused(g, rg_sparse_hessian(total(rg_sin(rg_mul(many, w))), w), "known only when data is bound");
    g = rg_graph_new(NULL);
    refused(g, rg_sparse_jacobian(rg_arange(g, RG_I64, 0, 1, 3), filled(g, "w", RG_SHAPE(3))), "must be floats");
    g = rg_graph_new(NULL);
    w = filled(g, "w", RG_SHAPE(3));
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *e = rg_scan_slice(s, w);
    refused(g, rg_sparse_jacobian(rg_sin(e), e), "body of a scan");
    g = rg_graph_new(NULL);
    w = filled(g, "w", RG_SHAPE(3));
    refused(g, rg_sparse_hessian(rg_sin(w), w), "scalar");
}
