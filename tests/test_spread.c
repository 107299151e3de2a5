/* test_spread.c - operands that are smaller than what they meet, as a scale and a bias of each channel: the same bits
   as operands that were repeated beforehand, whichever way blocks see them. */
#include "must.h"

#include <stdlib.h>

enum { MANY = 20 }; /* operands: more than a group looks at one by one */

/* Shapes of the image and of what meets it, aligned at the last axis. */
typedef struct problem {
    rg_shape image, small;
} problem;

static const problem problems[] = {
    {{4, {3, 5, 40, 40}}, {3, {5, 1, 1}}},
    {{4, {3, 5, 7, 7}}, {3, {5, 1, 1}}},
    {{4, {2, 9, 14, 14}}, {4, {1, 9, 1, 1}}},
    {{4, {3, 5, 16, 8}}, {4, {3, 5, 1, 1}}},
    {{4, {7, 2, 20, 33}}, {4, {7, 1, 1, 1}}},
    {{4, {2, 3, 31, 40}}, {1, {1}}},
    {{4, {2, 3, 31, 40}}, {4, {2, 1, 31, 1}}},
    {{4, {2, 3, 31, 40}}, {4, {1, 3, 1, 40}}},
    {{4, {2, 3, 31, 400}}, {4, {2, 3, 31, 1}}},
    {{4, {2, 3, 31, 40}}, {2, {31, 40}}},
    {{2, {300, 200}}, {2, {300, 1}}},
    {{2, {300, 200}}, {1, {200}}},
    {{1, {5000}}, {1, {1}}},
    {{4, {1, 1, 40, 40}}, {3, {1, 1, 1}}},
};

static size_t count(const rg_shape *s)
{
    size_t n = 1;
    for (int32_t i = 0; i < s->rank; i++)
        n *= (size_t)s->dim[i];
    return n;
}

/* Numbers of a type, all of them different, some NaN, infinite or zero. */
static void *numbers(rg_dtype dtype, size_t n, size_t seed)
{
    char *out = calloc(n, rg_dtype_size(dtype));
    cr_assert(out);
    for (size_t i = 0; i < n; i++) {
        const size_t k = (i * 7919 + seed * 104729) % 10007;
        const double x = k % 211 == 0 ? NAN : k % 223 == 0 ? -INFINITY : k % 97 == 0 ? -0.0 : (double)k / 5000 - 1;
        if (dtype == RG_F32)
            ((float *)out)[i] = (float)x;
        else if (dtype == RG_F64)
            ((double *)out)[i] = x;
        else
            ((int32_t *)out)[i] = (int32_t)k - 5000;
    }
    return out;
}

/* The small tensor as large as the image. */
static void *repeated(const problem *q, const void *x, size_t size)
{
    char *out = calloc(count(&q->image), size);
    cr_assert(out);
    for (size_t i = 0; i < count(&q->image); i++) {
        size_t rest = i, from = 0, step = 1;
        for (int32_t a = q->image.rank - 1, b = q->small.rank - 1; b >= 0; a--, b--) {
            from += q->small.dim[b] == 1 ? 0 : rest % (size_t)q->image.dim[a] * step;
            step *= (size_t)q->small.dim[b];
            rest /= (size_t)q->image.dim[a];
        }
        memcpy(out + i * size, (const char *)x + from * size, size);
    }
    return out;
}

/* Operands: small[k], or small[k] repeated. Each op that takes one element as it is, on either side; one that does
   not. */
static rg_node *formula(rg_node *x, rg_node *const small[], rg_dtype dtype)
{
    if (dtype == RG_I32)
        return rg_maximum(rg_sub(rg_mul(x, small[0]), small[1]), rg_add(small[2], x));
    rg_node *y = rg_relu(rg_add(rg_mul(x, small[0]), small[1]));
    y = rg_fma(rg_fma(small[2], x, small[3]), y, rg_fma(x, small[3], y));
    y = rg_where(rg_greater(x, small[4]), rg_sub(small[4], y), rg_div(y, small[5]));
    for (size_t k = 6; k < MANY; k++)
        y = k % 2 ? rg_minimum(rg_mul(y, small[k]), x) : rg_fma(small[k], x, y);
    return y;
}

static void *compute(const problem *q, rg_dtype dtype, bool large, int threads)
{
    rg_graph *g = rg_graph_new(NULL);
    const size_t n = count(&q->image), size = rg_dtype_size(dtype);
    rg_node *x = rg_input(g, "x", dtype, q->image), *small[MANY];
    for (int k = 0; k < MANY; k++) {
        char name[16];
        snprintf(name, sizeof name, "small%d", k);
        small[k] = rg_input(g, name, dtype, large ? q->image : q->small);
    }
    rg_node *y = formula(x, small, dtype);
    rg_plan *p = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = threads});
    void *data[MANY + 1] = {numbers(dtype, n, 0)};
    must(rg_bind(p, x, data[0]));
    for (size_t k = 0; k < (dtype == RG_I32 ? 3 : MANY); k++) {
        data[k + 1] = numbers(dtype, count(&q->small), k + 1);
        if (large) {
            void *all = repeated(q, data[k + 1], size);
            free(data[k + 1]);
            data[k + 1] = all;
        }
        must(rg_bind(p, small[k], data[k + 1]));
    }
    must(rg_run(p));
    void *out = malloc(n * size);
    cr_assert(out);
    memcpy(out, rg_data(p, y), n * size);
    for (int k = 0; k <= MANY; k++)
        free(data[k]);
    rg_plan_free(p);
    rg_graph_free(g);
    return out;
}

Test(spread, the_same_bits_as_repeated_beforehand)
{
    const rg_dtype dtypes[] = {RG_F32, RG_F64, RG_I32};
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        for (int d = 0; d < 3; d++) {
            const problem *q = &problems[i];
            void *plain = compute(q, dtypes[d], true, 1);
            for (int threads = 1; threads <= 2; threads++) {
                void *y = compute(q, dtypes[d], false, threads);
                cr_expect(memcmp(plain, y, count(&q->image) * rg_dtype_size(dtypes[d])) == 0,
                          "problem %zu, %s, %d threads", i, rg_dtype_name(dtypes[d]), threads);
                free(y);
            }
            free(plain);
        }
}

/* In front of blocks that a convolution delivers: of images as large as blocks, smaller, and not whole. */
static float *behind_convolution(int64_t side, bool large)
{
    enum { IMAGES = 2, IN = 6, OUT = 33 };
    const problem q = {RG_SHAPE(IMAGES, OUT, side, side), RG_SHAPE(OUT, 1, 1)};
    const size_t n = count(&q.image);
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(IMAGES, IN, side, side));
    rg_node *w = rg_input(g, "w", RG_F32, RG_SHAPE(OUT, IN, 3, 3));
    rg_node *scale = rg_input(g, "scale", RG_F32, large ? q.image : q.small);
    rg_node *bias = rg_input(g, "bias", RG_F32, large ? q.image : q.small);
    rg_node *y = rg_relu(rg_fma(rg_conv2d(x, w, NULL, &(rg_conv_opts){.pad = {1, 1}}), scale, bias));
    rg_plan *p = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1});
    float *data[4];
    const size_t counts[] = {IMAGES * IN * (size_t)(side * side), (size_t)OUT * IN * 9, OUT, OUT};
    rg_node *const inputs[] = {x, w, scale, bias};
    for (int k = 0; k < 4; k++) {
        data[k] = malloc((n * IN + 4096) * sizeof(float));
        cr_assert(data[k]);
        for (size_t i = 0; i < counts[k]; i++)
            data[k][i] = (float)((i * 37 + (size_t)k * 11) % 101) / 50 - 1;
        if (k > 1 && large) {
            void *all = repeated(&q, data[k], sizeof(float));
            free(data[k]);
            data[k] = all;
        }
        must(rg_bind(p, inputs[k], data[k]));
    }
    must(rg_run(p));
    float *out = malloc(n * sizeof(float));
    cr_assert(out);
    memcpy(out, rg_data(p, y), n * sizeof(float));
    for (int k = 0; k < 4; k++)
        free(data[k]);
    rg_plan_free(p);
    rg_graph_free(g);
    return out;
}

Test(spread, of_channels_behind_a_convolution)
{
    static const int64_t sides[] = {1, 3, 7, 13, 14, 28, 40};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        float *plain = behind_convolution(sides[i], true), *y = behind_convolution(sides[i], false);
        cr_expect(memcmp(plain, y, (size_t)(2 * 33 * sides[i] * sides[i]) * sizeof(float)) == 0, "images of %d",
                  (int)sides[i]);
        free(plain);
        free(y);
    }
}

/* ---- an op of a program's own ---- */

static size_t alone, together; /* runs that saw one element of input 1 for all, and others */

static rg_status run_difference(const rg_step *s, size_t lo, size_t hi)
{
    const float *a = s->in[0], *b = s->in[1];
    float *y = s->out[0];
    const bool once = s->once >> 1 & 1;
    alone += once;
    together += !once;
    for (size_t i = lo; i < hi; i++)
        y[i] = a[i] - b[once ? 0 : i];
    return RG_OK;
}

static void cost_difference(const rg_step *s, rg_cost *cost)
{
    cost->tasks[0] = (size_t)rg_shape_count(s->out_type[0].shape);
}

static const rg_op difference_op = {
    .name = "difference",
    .n_in = 2,
    .n_out = 1,
    .traits = RG_ELEMENTWISE | RG_ONCE,
    .dtypes = RG_DT(RG_F32),
    .infer = rg_infer_broadcast,
    .cost = cost_difference,
    .run = run_difference,
};

/* A block ends where the channel does, so that its number is taken as it is, unless planes are small. */
Test(spread, one_element_is_given_as_it_is)
{
    enum { CHANNELS = 5, SIDE = 40 };
    static float data[2 * CHANNELS * SIDE * SIDE], small[CHANNELS] = {1, 2, 3, 4, 5};
    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        data[i] = (float)i;
    for (int64_t side = 7; side <= SIDE; side += SIDE - 7) {
        rg_graph *g = rg_graph_new(NULL);
        rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(2, CHANNELS, side, side)),
                *c = rg_input(g, "c", RG_F32, RG_SHAPE(CHANNELS, 1, 1)),
                *y = rg_apply(&difference_op, RG_NODES(x, c), NULL);
        rg_plan *p = must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1});
        must(rg_bind(p, x, data));
        must(rg_bind(p, c, small));
        alone = together = 0;
        must(rg_run(p));
        cr_expect_eq(side == SIDE ? together : alone, 0u, "side %d: %zu runs with one element, %zu with more",
                     (int)side, alone, together);
        const float *have = rg_data(p, y);
        for (size_t i = 0; i < 2 * CHANNELS * (size_t)(side * side); i++)
            cr_assert_eq(have[i], data[i] - small[i / (size_t)(side * side) % CHANNELS], "side %d, element %zu",
                         (int)side, i);
        rg_plan_free(p);
        rg_graph_free(g);
    }
}
