/* test_rearrange.c - flips, rolls, tiles, padding, triangles and sums by letters: values by index formulas, gradients
   by differences, sizes that come with the data, bad input. */
#include "must.h"

#include <stdio.h>

static rg_node *numbers(rg_graph *g, const char *name, rg_shape shape)
{
    rg_node *p = rg_param(g, name, RG_F64, shape, &(rg_param_opts){.init = RG_UNIFORM, .scale = 1});
    cr_assert(p, "%s", rg_graph_error(g));
    return p;
}

/* y has the shape, its element i is x[from(i)] (0 where negative), and its gradient is that of the differences. */
static void check(rg_node *y, rg_node *x, rg_shape shape, int64_t (*from)(int64_t))
{
    rg_graph *g = rg_graph_of(x);
    cr_assert(y, "%s", rg_graph_error(g));
    cr_assert(rg_shape_equal(rg_shape_of(y), shape));
    rg_plan *p = must_compile(g, RG_NODES(y), NULL);
    must(rg_run(p));
    for (int64_t i = 0; i < rg_shape_count(shape); i++)
        cr_expect_eq(value_at(p, y, (size_t)i), from(i) < 0 ? 0 : stored_at(x, (size_t)from(i)), "element %d", (int)i);
    rg_plan_free(p);
    rg_grad_check_report report;
    must(rg_grad_check(rg_sum(rg_sin(rg_mul(y, y)), RG_ALL_AXES, false), RG_NODES(x), NULL, &report));
    cr_expect(report.passed && report.worst < 1e-7, "%s", report.text);
    rg_graph_free(g);
}

static int64_t flipped_columns(int64_t i)
{
    return i / 4 * 4 + 3 - i % 4;
}
static int64_t flipped_all(int64_t i)
{
    return 11 - i;
}
static int64_t rolled(int64_t i) /* by 3 along axis 1 of [3, 4] */
{
    return i / 4 * 4 + (i % 4 + 1) % 4;
}
static int64_t tiled(int64_t i) /* [3, 4] to [6, 12] */
{
    return i / 12 % 3 * 4 + i % 12 % 4;
}
static int64_t padded(int64_t i) /* [3, 4] to [3, 7], two zeros before and one after */
{
    const int64_t column = i % 7 - 2;
    return column < 0 || column > 3 ? -1 : i / 7 * 4 + column;
}
static int64_t reflected(int64_t i)
{
    const int64_t column = i % 7 - 2, inside = column < 0 ? -column : column > 3 ? 6 - column : column;
    return i / 7 * 4 + inside;
}
static int64_t replicated(int64_t i)
{
    const int64_t column = i % 7 - 2, inside = column < 0 ? 0 : column > 3 ? 3 : column;
    return i / 7 * 4 + inside;
}
static int64_t lower(int64_t i)
{
    return i % 4 <= i / 4 - 1 ? i : -1;
}
static int64_t upper(int64_t i)
{
    return i % 4 >= i / 4 + 1 ? i : -1;
}
static int64_t on_diagonal(int64_t i)
{
    return i / 5 == i % 5 ? i % 5 : -1;
}
static int64_t the_diagonal(int64_t i)
{
    return 6 * i;
}
static int64_t second_part(int64_t i) /* columns 2 and 3 of [3, 4] */
{
    return i / 2 * 4 + 2 + i % 2;
}

static rg_node *matrix(void)
{
    return numbers(rg_graph_new(NULL), "x", RG_SHAPE(3, 4));
}

Test(rearrange, orders)
{
    rg_node *x = matrix();
    check(rg_flip(x, RG_AXES(-1)), x, RG_SHAPE(3, 4), flipped_columns);
    x = matrix();
    check(rg_flip(x, RG_ALL_AXES), x, RG_SHAPE(3, 4), flipped_all);
    x = matrix();
    check(rg_roll(x, 1, 3), x, RG_SHAPE(3, 4), rolled);
    x = matrix();
    check(rg_roll(x, 1, -5), x, RG_SHAPE(3, 4), rolled);
    x = matrix();
    check(rg_tile(x, RG_SHAPE(2, 3)), x, RG_SHAPE(6, 12), tiled);
    x = matrix();
    const rg_nodes parts = rg_split(x, 1, 2);
    cr_assert_eq(parts.n, 2);
    check(parts.at[1], x, RG_SHAPE(3, 2), second_part);
}

Test(rearrange, edges)
{
    rg_node *x = matrix();
    check(rg_pad(x, 1, 2, 1, RG_PAD_CONSTANT, 0), x, RG_SHAPE(3, 7), padded);
    x = matrix();
    check(rg_pad(x, -1, 2, 1, RG_PAD_REFLECT, 0), x, RG_SHAPE(3, 7), reflected);
    x = matrix();
    check(rg_pad(x, 1, 2, 1, RG_PAD_REPLICATE, 0), x, RG_SHAPE(3, 7), replicated);
}

Test(rearrange, triangles)
{
    rg_node *x = matrix();
    check(rg_tril(x, -1), x, RG_SHAPE(3, 4), lower);
    x = matrix();
    check(rg_triu(x, 1), x, RG_SHAPE(3, 4), upper);
    x = numbers(rg_graph_new(NULL), "x", RG_SHAPE(5));
    check(rg_diag(x), x, RG_SHAPE(5, 5), on_diagonal);
    x = numbers(rg_graph_new(NULL), "x", RG_SHAPE(5, 5));
    check(rg_diag(x), x, RG_SHAPE(5), the_diagonal);
}

/* Flips, rolls and reflections of an axis whose size comes with the data. */
Test(rearrange, named_sizes)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F64, RG_SHAPE(rg_dim(g, "n")));
    rg_node *flip = rg_flip(x, RG_AXES(0)), *roll = rg_roll(x, 0, 2), *tile = rg_tile(x, RG_SHAPE(2)),
            *pad = rg_pad(x, 0, 2, 1, RG_PAD_REFLECT, 0), *lower_half = rg_tril(rg_outer(x, x), 0);
    rg_plan *p = must_compile(g, RG_NODES(flip, roll, tile, pad, lower_half), NULL);
    const double data[7] = {1, 2, 3, 4, 5, 6, 7};
    for (int64_t n = 3; n <= 7; n += 2) {
        must(rg_bind_shape(p, x, data, RG_SHAPE(n)));
        must(rg_run(p));
        for (int64_t i = 0; i < n; i++) {
            cr_expect_eq(value_at(p, flip, (size_t)i), data[n - 1 - i]);
            cr_expect_eq(value_at(p, roll, (size_t)i), data[(i + n - 2) % n]);
            cr_expect_eq(value_at(p, tile, (size_t)(n + i)), data[i]);
            cr_expect_eq(value_at(p, pad, (size_t)(i + 2)), data[i]);
            for (int64_t j = 0; j < n; j++)
                cr_expect_eq(value_at(p, lower_half, (size_t)(i * n + j)), j <= i ? data[i] * data[j] : 0);
        }
        cr_expect_eq(value_at(p, pad, 0), 3);
        cr_expect_eq(value_at(p, pad, (size_t)(n + 2)), data[n - 2]);
    }
    must(rg_bind_shape(p, x, data, RG_SHAPE(2)));
    cr_expect_eq(rg_run(p), RG_ERR_SHAPE, "two elements have no reflection of two");
    rg_plan_free(p);
    rg_graph_free(g);
}

/* The sum over all letters by loops: sizes i 2, j 3, k 4, l 2. */
static double by_loops(const char *terms[2], const char *out, const size_t place[4], rg_node *const x[2])
{
    static const char letters[] = "ijkl";
    static const size_t size[] = {2, 3, 4, 2};
    double sum = 0;
    for (size_t n = 0; n < 48; n++) {
        const size_t index[4] = {n / 24, n / 8 % 3, n / 2 % 4, n % 2};
        bool counts = true;
        double product = 1;
        for (size_t t = 0; t < 2; t++) {
            size_t at = 0;
            for (const char *c = terms[t]; *c; c++) {
                const size_t q = (size_t)(strchr(letters, *c) - letters);
                at = at * size[q] + index[q];
            }
            product *= stored_at(x[t], at);
        }
        for (size_t q = 0; q < 4; q++) {
            const char letter[2] = {letters[q], 0};
            const bool used = strchr(terms[0], letters[q]) || strchr(terms[1], letters[q]);
            counts = counts && (strstr(out, letter) ? index[q] == place[q] : used || index[q] == 0);
        }
        sum += counts ? product : 0;
    }
    return sum;
}

static rg_shape shape_of(const char *term)
{
    rg_shape s = {.rank = 0};
    for (const char *c = term; *c; c++)
        s.dim[s.rank++] = *c == 'j' ? 3 : *c == 'k' ? 4 : 2;
    return s;
}

Test(rearrange, einsum_of_two)
{
    static const char *const cases[][3] = {
        {"ij", "jk", "ik"}, {"ij", "jk", "ki"}, {"ij", "kj", "ik"}, {"lij", "ljk", "lik"}, {"ijk", "k", "ij"},
        {"ij", "ij", ""},   {"ij", "ij", "ij"}, {"i", "j", "ij"},   {"i", "j", "ji"},      {"ijk", "jl", "il"},
        {"ijl", "kl", "j"}, {"ii", "j", "ij"},  {"ii", "ij", "j"},  {"kjk", "l", "jl"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        rg_graph *g = rg_graph_new(NULL);
        const char *terms[2] = {cases[c][0], cases[c][1]}, *out = cases[c][2];
        rg_node *const x[2] = {numbers(g, "a", shape_of(terms[0])), numbers(g, "b", shape_of(terms[1]))};
        char text[32];
        snprintf(text, sizeof text, "%s, %s -> %s", terms[0], terms[1], out);
        rg_node *y = rg_einsum(text, RG_NODES(x[0], x[1]));
        cr_assert(y, "%s: %s", text, rg_graph_error(g));
        const rg_shape shape = shape_of(out);
        cr_assert(rg_shape_equal(rg_shape_of(y), shape), "%s", text);
        rg_plan *p = must_compile(g, RG_NODES(y), NULL);
        must(rg_run(p));
        for (int64_t n = 0; n < rg_shape_count(shape); n++) {
            size_t place[4] = {0};
            int64_t rest = n;
            for (int32_t k = shape.rank; k-- > 0; rest /= shape.dim[k])
                place[strchr("ijkl", out[k]) - "ijkl"] = (size_t)(rest % shape.dim[k]);
            const double want = by_loops(terms, out, place, x), got = value_at(p, y, (size_t)n);
            cr_expect(fabs(got - want) < 1e-14 * 48, "%s element %d: %.17g, not %.17g", text, (int)n, got, want);
        }
        rg_plan_free(p);
        rg_grad_check_report report;
        must(rg_grad_check(rg_sum(rg_sin(y), RG_ALL_AXES, false), RG_NODES(x[0], x[1]), NULL, &report));
        cr_expect(report.passed && report.worst < 1e-7, "%s: %s", text, report.text);
        rg_graph_free(g);
    }
}

Test(rearrange, einsum_of_others)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = numbers(g, "a", RG_SHAPE(2, 3)), *b = numbers(g, "b", RG_SHAPE(3, 3)),
            *c = numbers(g, "c", RG_SHAPE(3));
    rg_node *trace = rg_einsum("ii", RG_NODES(b)), *turned = rg_einsum("ba", RG_NODES(a)),
            *form = rg_einsum("ij,jk,k->i", RG_NODES(a, b, c)), *plain = rg_matmul(a, rg_matmul(b, c));
    cr_assert(trace && turned && form, "%s", rg_graph_error(g));
    rg_plan *p = must_compile(g, RG_NODES(trace, turned, form, plain), NULL);
    must(rg_run(p));
    cr_expect_float_eq(value_at(p, trace, 0), stored_at(b, 0) + stored_at(b, 4) + stored_at(b, 8), 1e-15);
    cr_expect(rg_shape_equal(rg_shape_of(turned), RG_SHAPE(3, 2)));
    for (size_t i = 0; i < 6; i++)
        cr_expect_eq(value_at(p, turned, i), stored_at(a, i % 2 * 3 + i / 2));
    for (size_t i = 0; i < 2; i++)
        cr_expect_float_eq(value_at(p, form, i), value_at(p, plain, i), 1e-14);
    rg_plan_free(p);
    rg_graph_free(g);
}

static void refused(rg_graph *g, bool built, rg_status status, const char *const words[])
{
    cr_assert(!built && rg_graph_error(g));
    cr_expect_eq(rg_graph_status(g), status, "%s", rg_graph_error(g));
    for (size_t i = 0; words[i]; i++)
        cr_expect(strstr(rg_graph_error(g), words[i]), "\"%s\" is missing in: %s", words[i], rg_graph_error(g));
    rg_graph_clear_error(g);
}
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

Test(rearrange, bad_input)
{
    rg_node *x = matrix();
    rg_graph *g = rg_graph_of(x);
    refused(g, rg_flip(x, RG_AXES(2)), RG_ERR_ARGUMENT, WORDS("rg_flip", "axis 2", "[3, 4]", "x"));
    refused(g, rg_tile(x, RG_SHAPE(2)), RG_ERR_SHAPE, WORDS("rg_tile", "1 ", "[3, 4]"));
    refused(g, rg_pad(x, 1, 4, 0, RG_PAD_REFLECT, 0), RG_ERR_SHAPE,
            WORDS("rg_pad", "axis 1", "[3, 4]", "reflect", "4"));
    refused(g, rg_pad(x, 1, -1, 0, RG_PAD_CONSTANT, 0), RG_ERR_ARGUMENT, WORDS("rg_pad", "-1 before"));
    refused(g, rg_split(x, 1, 3).n, RG_ERR_SHAPE, WORDS("rg_split", "axis 1", "[3, 4]", "3 equal"));
    refused(g, rg_diag(x), RG_ERR_SHAPE, WORDS("rg_diag", "[3, 4]"));
    refused(g, rg_einsum("ij,jk->ik", RG_NODES(x)), RG_ERR_ARGUMENT, WORDS("ij,jk->ik", "number of terms"));
    refused(g, rg_einsum("ijk->i", RG_NODES(x)), RG_ERR_SHAPE, WORDS("3 letters", "[3, 4]"));
    refused(g, rg_einsum("ij->k", RG_NODES(x)), RG_ERR_ARGUMENT, WORDS("ij->k", "stands in no term"));
    refused(g, rg_einsum("i1", RG_NODES(x)), RG_ERR_ARGUMENT, WORDS("letters"));
    refused(g, rg_einsum("ij,ij->i", RG_NODES(x, numbers(g, "y", RG_SHAPE(3, 5)))), RG_ERR_SHAPE,
            WORDS("[3, 4]", "[3, 5]"));
    rg_graph_free(g);
}

/* Whether the plan of the gradient of sum(sin(y * weights)) has an op; the gradient is checked by differences. */
static bool gradient_uses(rg_node *y, rg_node *x, const char *op)
{
    rg_graph *g = rg_graph_of(x);
    rg_node *loss = rg_sum(rg_sin(rg_mul(y, y)), RG_ALL_AXES, false);
    rg_grad_check_report report;
    must(rg_grad_check(loss, RG_NODES(x), NULL, &report));
    cr_expect(report.passed && report.worst < 1e-7, "%s", report.text);
    rg_plan *p = must_compile(g, rg_grad(loss, RG_NODES(x)), NULL);
    char *dump = rg_plan_dump(p);
    cr_assert(dump);
    const bool found = strstr(dump, op);
    rg_text_free(dump);
    rg_plan_free(p);
    return found;
}

/* As the gates of a recurrent cell are cut from one product. */
Test(slices, that_fill_an_axis_give_their_gradients_back_as_one)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_tanh(numbers(g, "x", RG_SHAPE(3, 7)));
    rg_node *a = rg_slice(x, 1, 0, 2), *b = rg_slice(x, 1, 2, -1), *c = rg_slice(x, -1, 6, RG_END);
    rg_node *whole = rg_concat(RG_NODES(rg_exp(b), rg_sin(a), c), 1), *w = rg_params(g).at[0];
    cr_expect_not(gradient_uses(whole, w, "slice_grad"));
    rg_node *gap = rg_concat(RG_NODES(rg_exp(a), rg_sin(c)), 1);
    cr_expect(gradient_uses(gap, w, "slice_grad"), "columns between them have no gradient");
    rg_node *overlap = rg_concat(RG_NODES(rg_exp(b), a, rg_square(rg_slice(x, 1, 5, 7))), 1);
    cr_expect(gradient_uses(overlap, w, "slice_grad"), "column 5 is in two of them");
    rg_node *also = rg_add(whole, rg_concat(RG_NODES(b, a, c), 1));
    cr_expect_not(gradient_uses(rg_mul(also, rg_concat(RG_NODES(c, b, a), 1)), w, "slice_grad("));
    rg_graph_free(g);
}
