/* test_dims.c - named dimensions: what stands for them, how sizes depend on them, and arithmetic that is refused. */
#include "graph/graph.h"

#include <retrograde/retrograde.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *size_text(const rg_graph *g, int64_t size)
{
    static char text[256];
    return rgi_format_size(g, size, text, sizeof text);
}

static void expect_error(rg_graph *g, rg_status status, const char *part)
{
    const char *text = rg_graph_error(g);
    cr_assert(text, "no error; wanted: %s", part);
    cr_expect(strstr(text, part), "wanted: %s\ngot: %s", part, text);
    cr_expect_eq(rg_graph_status(g), status);
    rg_graph_clear_error(g);
}

Test(dims, same_name_same_size)
{
    rg_graph *g = rg_graph_new(NULL);
    const int64_t batch = rg_dim(g, "batch"), time = rg_dim(g, "time");
    cr_expect(batch > 4096 && time > 4096);
    cr_expect_neq(batch, time);
    cr_expect_eq(rg_dim(g, "batch"), batch);
    cr_expect_eq(rg_dim_multiple(g, "heads", 64), rg_dim(g, "heads"));
    cr_expect_eq(rg_dim_multiple(g, "heads", 16), rg_dim(g, "heads"));
    cr_expect_null(rg_graph_error(g));
    rg_graph_free(g);
}

Test(dims, faulty_names)
{
    rg_graph *g = rg_graph_new(NULL);
    cr_expect_eq(rg_dim(NULL, "batch"), -1);
    cr_expect_eq(rg_dim(g, NULL), -1);
    expect_error(g, RG_ERR_NAME, "rg_dim: 'NULL' is no name of a dimension");
    cr_expect_eq(rg_dim(g, "a*b"), -1);
    expect_error(g, RG_ERR_NAME, "'a*b' is no name of a dimension");
    cr_expect_eq(rg_dim_multiple(g, "n", 0), -1);
    expect_error(g, RG_ERR_ARGUMENT, "'n' cannot be a multiple of 0");
    rg_dim_multiple(g, "n", 4);
    cr_expect_eq(rg_dim_multiple(g, "n", 6), -1);
    expect_error(g, RG_ERR_NAME, "'n' was made as a multiple of 4, not of 6");
    char name[8];
    int made = 1;
    for (int i = 0; rg_graph_error(g) == NULL && i < 100; i++) {
        snprintf(name, sizeof name, "d%d", i);
        made += rg_dim(g, name) > 0;
    }
    cr_expect(made >= 16, "only %d names", made);
    expect_error(g, RG_ERR_NAME, "named dimension, a graph has at most");
    rg_graph_free(g);
}

Test(dims, names_are_pairwise_distinct_under_both_assignments)
{
    rg_graph *g = rg_graph_new(NULL);
    char name[8];
    for (int i = 0; i < 24; i++) {
        snprintf(name, sizeof name, "d%d", i);
        cr_assert(rg_dim(g, name) > 0);
    }
    for (size_t i = 0; i < g->dims.n; i++) {
        const rgi_dim *d = &g->dims.at[i];
        for (int64_t f = 2; f * f <= d->a || f * f <= d->b; f++)
            cr_expect(d->a % f && d->b % f, "%s is %ld, %ld: not prime", d->name, (long)d->a, (long)d->b);
        for (size_t j = 0; j < g->dims.n; j++) {
            cr_expect_neq(d->a, g->dims.at[j].b);
            if (j != i)
                cr_expect(d->a != g->dims.at[j].a && d->b != g->dims.at[j].b);
        }
    }
    rg_graph_free(g);
}

Test(dims, different_names_never_match)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "batch"), 8));
    rg_node *y = rg_input(g, "y", RG_F32, RG_SHAPE(rg_dim(g, "time"), 8));
    cr_expect_null(rg_add(x, y));
    expect_error(g, RG_ERR_SHAPE,
                 "add: cannot broadcast f32[batch, 8] 'x' with f32[time, 8] 'y' at axis 0 (batch against time)");
    /* a number that happens to be what stands for the name */
    rg_graph *h = rg_graph_new(NULL);
    const int64_t stand_in = rg_dim(g, "batch");
    rg_node *number = rg_input(h, "number", RG_F32, RG_SHAPE(stand_in));
    rg_node *named = rg_input(h, "named", RG_F32, RG_SHAPE(rg_dim(h, "batch")));
    cr_assert_eq(number->shape->a.dim[0], named->shape->a.dim[0]);
    cr_expect_null(rg_add(number, named));
    cr_expect_eq(rg_graph_status(h), RG_ERR_SHAPE);
    rg_graph_free(h);
    rg_graph_free(g);
}

Test(dims, arithmetic_is_refused)
{
    rg_graph *g = rg_graph_new(NULL);
    const int64_t batch = rg_dim(g, "batch");
    const int64_t wrong[] = {batch + 1, batch - 1, batch - 256, 2 * batch,    2 * batch + 1,
                             batch / 2, 3 * batch, 784 * batch, batch / 4 + 2};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_expect_null(rg_zeros(g, RG_F32, RG_SHAPE(wrong[i], 8)), "%ld was taken", (long)wrong[i]);
        expect_error(
            g, RG_ERR_ARGUMENT,
            "'batch': arithmetic on a named dimension: use -1, RG_END, negative indices or rg_dim_add / rg_dim_mul");
    }
    cr_expect(rg_zeros(g, RG_F32, RG_SHAPE(batch, 8)));
    cr_expect_null(rg_param(g, "w", RG_F32, RG_SHAPE(8, batch), NULL));
    expect_error(g, RG_ERR_SHAPE, "'w' has the named size batch at axis 1");
    rg_graph_free(g);
}

Test(dims, sizes_that_people_use_are_taken)
{
    rg_graph *g = rg_graph_new(NULL);
    static const char *const names[] = {"batch", "time", "height", "width", "channels", "tokens"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        rg_dim(g, names[i]);
    for (int64_t n = 0; n <= 4096; n++)
        cr_expect(rg_zeros(g, RG_F32, RG_SHAPE(n)), "%ld: %s", (long)n, rg_graph_error(g));
    for (int64_t n = 5000; n <= 1000000; n += 1000)
        cr_expect(rg_zeros(g, RG_F32, RG_SHAPE(n)), "%ld: %s", (long)n, rg_graph_error(g));
    for (int64_t n = 1024; n <= 256 * 1024; n += 1024)
        cr_expect(rg_zeros(g, RG_F32, RG_SHAPE(n)), "%ld: %s", (long)n, rg_graph_error(g));
    const int64_t others[] = {30522, 50257, 32128, 50304, 151936, 1 << 20, 12544, 9216, 25088, 150528};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_expect(rg_zeros(g, RG_F32, RG_SHAPE(others[i])), "%s", rg_graph_error(g));
    rg_graph_free(g);
}

Test(dims, derived_sizes_are_written_by_name)
{
    rg_graph *g = rg_graph_new(NULL);
    const int64_t batch = rg_dim(g, "batch"), time = rg_dim(g, "time"), heads = rg_dim_multiple(g, "heads", 64);
    cr_expect_str_eq(size_text(g, batch), "batch");
    cr_expect_str_eq(size_text(g, rg_dim_mul(g, batch, 784)), "batch*784");
    cr_expect_str_eq(size_text(g, rg_dim_mul(g, batch, time)), "batch*time");
    cr_expect_str_eq(size_text(g, rg_dim_mul(g, batch, batch)), "batch*batch");
    cr_expect_str_eq(size_text(g, rg_dim_add(g, time, -1)), "time-1");
    cr_expect_str_eq(size_text(g, rg_dim_mul(g, rg_dim_add(g, time, -1), batch)), "(time-1)*batch");
    cr_expect_str_eq(size_text(g, rg_dim_add(g, rg_dim_mul(g, time, 2), 1)), "time*2+1");
    cr_expect_str_eq(size_text(g, heads), "heads");
    cr_expect_str_eq(size_text(g, rg_dim_add(g, heads, 3)), "heads+3");
    cr_expect_str_eq(size_text(g, 1234567), "1234567");
    cr_expect_eq(rg_dim_add(g, 5, 2), 7);
    cr_expect_eq(rg_dim_mul(g, 5, 2), 10);
    cr_expect(rg_zeros(g, RG_F32, RG_SHAPE(rg_dim_add(g, time, -1), rg_dim_mul(g, batch, 784))));
    cr_expect_null(rg_graph_error(g));
    cr_expect_eq(rg_dim_add(g, rg_dim_mul(g, time, batch), 1), -1);
    expect_error(g, RG_ERR_SHAPE, "rg_dim_add: a size would depend on named dimensions otherwise");
    cr_expect_eq(rg_dim_add(g, 3, -4), -1);
    expect_error(g, RG_ERR_ARGUMENT, "rg_dim_add: the result is negative or too large");
    cr_expect_eq(rg_dim_mul(g, time, INT64_MAX), -1);
    expect_error(g, RG_ERR_ARGUMENT, "rg_dim_mul: the result is negative or too large");
    cr_expect_eq(rg_dim_mul(g, 3 * time, 2), -1);
    expect_error(g, RG_ERR_ARGUMENT, "arithmetic on a named dimension");
    rg_graph_free(g);
}

/* Every size that shape rules make of names is found again, and its value follows the sizes bound later. */
Test(dims, formulas)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_dim(g, "batch");
    rg_dim_multiple(g, "heads", 12);
    rg_dim(g, "time");
    const rgi_dim *const d = g->dims.at;
    enum { BATCH, HEADS, TIME };
    const int64_t sizes[] = {7, 60, 11};
    struct {
        int64_t a, b, value;
        const char *text;
    } cases[] = {
        {5, 5, 5, "5"},
        {d[0].a, d[0].b, 7, "batch"},
        {d[0].a * 784, d[0].b * 784, 7 * 784, "batch*784"},
        {d[0].a * d[2].a, d[0].b * d[2].b, 77, "batch*time"},
        {d[0].a * d[0].a * d[2].a * 3, d[0].b * d[0].b * d[2].b * 3, 49 * 11 * 3, "batch*batch*time*3"},
        {d[1].a / 12, d[1].b / 12, 5, "heads/12"},
        {d[1].a / 4 * 3, d[1].b / 4 * 3, 45, "heads*3/4"},
        {d[1].a / 12 * d[0].a, d[1].b / 12 * d[0].b, 35, "batch*heads/12"},
        {d[1].a / 2 + 1, d[1].b / 2 + 1, 31, "(heads+2)/2"},
        {d[2].a - 10, d[2].b - 10, 1, "time-10"},
        {d[2].a * 2 + 3, d[2].b * 2 + 3, 25, "time*2+3"},
        {(d[2].a - 2) * d[0].a * 16, (d[2].b - 2) * d[0].b * 16, 9 * 7 * 16, "(time-2)*batch*16"},
        {100000 - d[2].a, 100000 - d[2].b, 100000 - 11, "time*-1+100000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rgi_formula f;
        char text[200];
        int64_t value = -1;
        cr_assert(rgi_formula_find(g, cases[i].a, cases[i].b, &f), "no formula for %s", cases[i].text);
        cr_expect(rgi_formula_value(&f, sizes, &value));
        cr_expect_eq(value, cases[i].value, "%s: %ld, not %ld", cases[i].text, (long)value, (long)cases[i].value);
        cr_expect_str_eq(rgi_formula_format(g, &f, text, sizeof text), cases[i].text);
        const int64_t first[] = {d[0].a, d[1].a, d[2].a}, second[] = {d[0].b, d[1].b, d[2].b};
        cr_expect(rgi_formula_value(&f, first, &value) && value == cases[i].a);
        cr_expect(rgi_formula_value(&f, second, &value) && value == cases[i].b);
    }
    rg_graph_free(g);
}

Test(dims, values_that_are_no_sizes)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_dim(g, "time");
    rg_dim_multiple(g, "heads", 4);
    const rgi_dim *const d = g->dims.at;
    rgi_formula f;
    int64_t value, sizes[] = {1, 6};
    cr_assert(rgi_formula_find(g, d[0].a - 2, d[0].b - 2, &f));
    cr_expect_not(rgi_formula_value(&f, sizes, &value), "time-2 of 1 is negative");
    cr_assert(rgi_formula_find(g, d[1].a / 4, d[1].b / 4, &f));
    cr_expect_not(rgi_formula_value(&f, sizes, &value), "6 is no multiple of 4");
    cr_assert(rgi_formula_find(g, d[0].a * d[0].a * d[0].a, d[0].b * d[0].b * d[0].b, &f));
    sizes[0] = 1 << 30;
    cr_expect_not(rgi_formula_value(&f, sizes, &value), "2^90 is too large");
    cr_expect_not(rgi_formula_find(g, d[0].a / 2, d[0].b / 2, &f), "nobody promised that time is even");
    cr_expect_not(rgi_formula_find(g, d[0].a + d[1].a, d[0].b + d[1].b, &f), "a sum of two names");
    rg_graph_free(g);
}

/* Random sizes of every admitted form are explained as what they are, with all 24 names in play. */
Test(dims, formulas_are_unique)
{
    rg_graph *g = rg_graph_new(NULL);
    char name[8];
    static const int64_t multiple[] = {1, 1, 2, 8, 12, 64};
    for (int i = 0; i < 24; i++) {
        snprintf(name, sizeof name, "d%d", i);
        rg_dim_multiple(g, name, multiple[i % 6]);
    }
    const rgi_dim *const d = g->dims.at;
    uint64_t state = 1;
    for (int trial = 0; trial < 20000; trial++) {
        int64_t r[6];
        for (int i = 0; i < 6; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            r[i] = (int64_t)(state >> 40);
        }
        const int x = (int)(r[0] % 24), y = (int)(r[1] % 24);
        const int64_t k = 1 + r[2] % 32, t = r[3] % 4000 - 2000, c = 1 + r[4] % 1000;
        const bool product = r[5] % 2;
        const int64_t a = (d[x].a * k + t) * c * (product ? d[y].a : 1),
                      b = (d[x].b * k + t) * c * (product ? d[y].b : 1);
        int64_t sizes[24], value, want;
        for (int i = 0; i < 24; i++)
            sizes[i] = (100 + 7 * i) * d[i].multiple_of;
        want = (sizes[x] * k + t) * c * (product ? sizes[y] : 1);
        rgi_formula f;
        cr_assert(rgi_formula_find(g, a, b, &f));
        const bool fits = rgi_formula_value(&f, sizes, &value);
        cr_assert(want < 0 ? !fits : fits && value == want, "(d%d*%ld%+ld)*%ld", x, (long)k, (long)t, (long)c);
    }
    rg_graph_free(g);
}

Test(dims, through_shape_rules)
{
    rg_graph *g = rg_graph_new(NULL);
    const int64_t batch = rg_dim(g, "batch"), even = rg_dim_multiple(g, "even", 2);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(batch, 28, 28));
    rg_node *flat = rg_reshape(x, RG_SHAPE(-1, 784));
    cr_assert(flat, "%s", rg_graph_error(g));
    cr_expect(rg_shape_equal(rg_shape_of(flat), RG_SHAPE(batch, 784)));
    rg_node *line = rg_flatten(x, 0), *back;
    cr_assert(line, "%s", rg_graph_error(g));
    cr_expect_str_eq(size_text(g, rg_shape_of(line).dim[0]), "batch*784");
    back = rg_zeros(g, RG_F32, rg_shape_of(line)); /* what rg_shape_of says can be used again */
    cr_expect(rg_add(back, line));
    rg_node *tail = rg_slice(x, 0, 1, RG_END);
    cr_assert(tail, "%s", rg_graph_error(g));
    cr_expect_str_eq(size_text(g, rg_shape_of(tail).dim[0]), "batch-1");
    rg_node *y = rg_input(g, "y", RG_F32, RG_SHAPE(even));
    rg_node *half = rg_slice_step(y, 0, 0, RG_END, 2);
    cr_assert(half, "%s", rg_graph_error(g));
    cr_expect_str_eq(size_text(g, rg_shape_of(half).dim[0]), "even/2");
    cr_expect_null(rg_slice_step(x, 0, 0, RG_END, 2));
    expect_error(g, RG_ERR_SHAPE, "promise divisibility with rg_dim_multiple");
    cr_expect_eq(rg_graph_check(g), RG_OK, "%s", rg_last_error());
    rg_graph_free(g);
}
