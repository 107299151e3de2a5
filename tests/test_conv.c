/* test_conv.c - convolution where strips, chunks and tiles matter: every combination of sizes against the definition,
   the same bits for any number of threads, transposed convolution, errors. test_conv_axes.c has those of one and three
   axes. */
#include "must.h"
#include "naive.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct problem {
    int64_t n, c, h, w, o, kh, kw, stride[2], pad[2], dilation[2], groups;
} problem;

static int64_t outputs(const problem *q, int axis)
{
    const int64_t in = axis ? q->w : q->h, k = axis ? q->kw : q->kh;
    return (in + 2 * q->pad[axis] - q->dilation[axis] * (k - 1) - 1) / q->stride[axis] + 1;
}

static NAIVE double *numbers(size_t n, uint64_t seed)
{
    double *x = malloc((n + 1) * sizeof *x);
    cr_assert(x);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        x[i] = (double)(int64_t)(seed >> 40) / (1 << 23) - 1;
    }
    return x;
}

/* All three factors of the sums, and what the definition makes of two of them for the third. */
typedef struct values {
    size_t n[3]; /* x, w, y */
    double *at[3], *want[3], *scale[3];
} values;

static NAIVE values make(const problem *q)
{
    const int64_t oh = outputs(q, 0), ow = outputs(q, 1), cg = q->c / q->groups, og = q->o / q->groups;
    values v = {.n = {(size_t)(q->n * q->c * q->h * q->w), (size_t)(q->o * cg * q->kh * q->kw),
                      (size_t)(q->n * q->o * oh * ow)}};
    for (int i = 0; i < 3; i++) {
        v.at[i] = numbers(v.n[i], (uint64_t)i + 1);
        v.want[i] = calloc(v.n[i] + 1, sizeof(double));
        v.scale[i] = calloc(v.n[i] + 1, sizeof(double));
        cr_assert(v.want[i] && v.scale[i]);
    }
    for (int64_t n = 0; n < q->n; n++)
        for (int64_t o = 0; o < q->o; o++)
            for (int64_t c = 0; c < cg; c++)
                for (int64_t y = 0; y < oh; y++)
                    for (int64_t i = 0; i < q->kh; i++) {
                        const int64_t h = y * q->stride[0] + i * q->dilation[0] - q->pad[0];
                        if (h < 0 || h >= q->h)
                            continue;
                        for (int64_t x = 0; x < ow; x++)
                            for (int64_t j = 0; j < q->kw; j++) {
                                const int64_t w = x * q->stride[1] + j * q->dilation[1] - q->pad[1];
                                if (w < 0 || w >= q->w)
                                    continue;
                                const size_t at[3] = {
                                    (size_t)(((n * q->c + o / og * cg + c) * q->h + h) * q->w + w),
                                    (size_t)(((o * cg + c) * q->kh + i) * q->kw + j),
                                    (size_t)(((n * q->o + o) * oh + y) * ow + x),
                                };
                                for (int k = 0; k < 3; k++) {
                                    const int a = k == 0 ? 1 : 0, b = k == 2 ? 1 : 2;
                                    const double p = v.at[a][at[a]] * v.at[b][at[b]];
                                    v.want[k][at[k]] += p;
                                    v.scale[k][at[k]] += fabs(p);
                                }
                            }
                    }
    return v;
}

static void release(values *v)
{
    for (int i = 0; i < 3; i++) {
        free(v->at[i]);
        free(v->want[i]);
        free(v->scale[i]);
    }
}

static NAIVE void *typed(rg_dtype dtype, const double *x, size_t n)
{
    double *d = malloc((n + 1) * sizeof *d);
    float *f = (float *)(void *)d;
    cr_assert(d);
    for (size_t i = 0; i < n; i++)
        if (dtype == RG_F64)
            d[i] = x[i];
        else
            f[i] = (float)x[i];
    return d;
}

static NAIVE double element(rg_dtype dtype, const void *x, size_t i)
{
    return dtype == RG_F64 ? ((const double *)x)[i] : (double)((const float *)x)[i];
}

/* dx, dw, y by the library. */
static void compute(const problem *q, const values *v, rg_dtype dtype, int threads, void *out[3])
{
    rg_graph *g = rg_graph_new(NULL);
    const int64_t oh = outputs(q, 0), ow = outputs(q, 1);
    rg_node *x = rg_input(g, "x", dtype, RG_SHAPE(rg_dim(g, "batch"), q->c, q->h, q->w)),
            *w = rg_input(g, "w", dtype, RG_SHAPE(q->o, q->c / q->groups, q->kh, q->kw)),
            *u = rg_input(g, "u", dtype, RG_SHAPE(rg_dim(g, "batch"), q->o, oh, ow));
    rg_node *y = rg_conv2d(x, w, NULL,
                           &(rg_conv_opts){.stride = {q->stride[0], q->stride[1]},
                                           .pad = {q->pad[0], q->pad[1]},
                                           .dilation = {q->dilation[0], q->dilation[1]},
                                           .groups = q->groups});
    const rg_nodes d = rg_vjp(RG_NODES(y), RG_NODES(u), RG_NODES(x, w));
    rg_node *const fetch[3] = {rg_at(d, 0), rg_at(d, 1), y};
    rg_plan *p = must_compile(g, (rg_nodes){fetch, 3}, &(rg_plan_opts){.threads = threads});
    void *data[3];
    for (int i = 0; i < 3; i++)
        data[i] = typed(dtype, v->at[i], v->n[i]);
    must(rg_bind_shape(p, x, data[0], RG_SHAPE(q->n, q->c, q->h, q->w)));
    must(rg_bind(p, w, data[1]));
    must(rg_bind_shape(p, u, data[2], RG_SHAPE(q->n, q->o, oh, ow)));
    must(rg_run(p));
    for (int i = 0; i < 3; i++) {
        const size_t bytes = v->n[i] * rg_dtype_size(dtype);
        out[i] = malloc(bytes + 1);
        cr_assert(out[i]);
        memcpy(out[i], rg_data(p, fetch[i]), bytes);
        free(data[i]);
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

static void check(const problem *q, rg_dtype dtype)
{
    static const char *const names[3] = {"dx", "dw", "y"};
    const double epsilon = dtype == RG_F64 ? 0x1p-52 : 0x1p-23;
    char text[160];
    snprintf(text, sizeof text,
             "%s x [%d, %d, %d, %d], w [%d, %d, %d], stride %d %d, pad %d %d, dilation %d %d, %d groups",
             rg_dtype_name(dtype), (int)q->n, (int)q->c, (int)q->h, (int)q->w, (int)q->o, (int)q->kh, (int)q->kw,
             (int)q->stride[0], (int)q->stride[1], (int)q->pad[0], (int)q->pad[1], (int)q->dilation[0],
             (int)q->dilation[1], (int)q->groups);
    values v = make(q);
    void *out[3];
    compute(q, &v, dtype, 1, out);
    for (int k = 0; k < 3; k++) {
        double worst = 0;
        for (size_t i = 0; i < v.n[k]; i++) {
            const double error = fabs(element(dtype, out[k], i) - v.want[k][i]) / (v.scale[k][i] * epsilon + 1e-300);
            worst = error > worst || isnan(error) ? error : worst;
        }
        cr_expect(worst < 12, "%s of %s: %g ulps of the terms' sum", names[k], text, worst);
    }
    for (int threads = 2; threads <= 3; threads++) {
        void *again[3];
        compute(q, &v, dtype, threads, again);
        for (int k = 0; k < 3; k++) {
            cr_expect(memcmp(out[k], again[k], v.n[k] * rg_dtype_size(dtype)) == 0,
                      "%s of %s: other bits with %d threads", names[k], text, threads);
            free(again[k]);
        }
    }
    for (int k = 0; k < 3; k++)
        free(out[k]);
    release(&v);
}

/* Shapes of real networks, cut down; strips, several chunks of images, many and few outputs. */
static const problem problems[] = {
    {3, 3, 40, 44, 8, 7, 7, {2, 2}, {3, 3}, {1, 1}, 1},    {2, 3, 67, 67, 48, 11, 11, {4, 4}, {2, 2}, {1, 1}, 1},
    {9, 16, 19, 17, 40, 3, 3, {1, 1}, {1, 1}, {1, 1}, 1},  {2, 70, 9, 9, 33, 3, 3, {1, 1}, {1, 1}, {1, 1}, 1},
    {2, 64, 14, 14, 70, 3, 3, {2, 2}, {1, 1}, {1, 1}, 1},  {70, 2, 7, 7, 3, 3, 3, {1, 1}, {0, 0}, {1, 1}, 1},
    {2, 50, 12, 12, 65, 1, 1, {1, 1}, {0, 0}, {1, 1}, 1},  {2, 50, 13, 12, 34, 1, 1, {2, 2}, {0, 0}, {1, 1}, 1},
    {2, 24, 20, 21, 24, 3, 3, {1, 1}, {1, 1}, {1, 1}, 24}, {1, 12, 20, 21, 24, 5, 3, {2, 1}, {2, 1}, {1, 1}, 12},
    {2, 12, 23, 18, 66, 3, 5, {1, 1}, {2, 4}, {2, 2}, 2},  {1, 1, 300, 130, 2, 3, 3, {1, 1}, {1, 1}, {1, 1}, 1},
    {1, 40, 64, 64, 36, 3, 3, {1, 1}, {1, 1}, {1, 1}, 1},  {5, 6, 14, 14, 16, 5, 5, {1, 1}, {0, 0}, {1, 1}, 1},
    {1, 4, 9, 200, 5, 2, 9, {3, 2}, {1, 3}, {2, 3}, 1},    {0, 4, 9, 9, 40, 4, 4, {1, 1}, {0, 0}, {1, 1}, 1},
    {3, 5, 17, 40, 5, 3, 3, {1, 1}, {0, 2}, {1, 1}, 5},    {2, 7, 9, 6, 7, 3, 3, {1, 1}, {3, 4}, {1, 1}, 7},
    {2, 7, 9, 26, 7, 3, 3, {2, 1}, {1, 1}, {1, 2}, 7},     {1, 1, 61, 33, 1, 3, 3, {1, 1}, {1, 1}, {1, 1}, 1},
    {2, 3, 3, 2, 3, 3, 3, {1, 1}, {1, 1}, {1, 1}, 3},      {2, 5, 30, 19, 5, 5, 5, {1, 1}, {2, 2}, {1, 1}, 5},
    {1, 128, 3, 3, 64, 3, 3, {1, 1}, {1, 1}, {1, 1}, 1},   {2, 6, 5, 5, 6, 5, 5, {1, 1}, {4, 4}, {1, 1}, 3},
    {3, 1, 22, 19, 20, 3, 3, {1, 1}, {0, 0}, {1, 1}, 1},   {2, 2, 90, 100, 36, 3, 3, {2, 1}, {1, 2}, {1, 3}, 2},
    {2, 40, 60, 50, 33, 3, 3, {3, 2}, {2, 1}, {2, 3}, 1},  {3, 33, 50, 41, 24, 1, 1, {2, 3}, {0, 0}, {1, 1}, 1},
    {3, 5, 6, 40, 48, 5, 5, {1, 1}, {4, 3}, {1, 1}, 1},    {2, 4, 33, 27, 62, 5, 5, {1, 1}, {2, 2}, {1, 1}, 1},
    {7, 6, 3, 4, 32, 3, 3, {1, 1}, {1, 2}, {1, 1}, 2},     {2, 4, 30, 13, 28, 3, 3, {1, 1}, {2, 0}, {1, 1}, 1},
    {70, 1, 8, 9, 33, 3, 3, {1, 1}, {1, 1}, {1, 1}, 1},    {3, 1, 40, 37, 17, 3, 3, {2, 2}, {1, 0}, {1, 1}, 1},
    {2, 9, 21, 34, 1, 3, 3, {1, 1}, {1, 1}, {1, 1}, 1},    {2, 6, 13, 20, 2, 3, 3, {1, 1}, {0, 2}, {1, 1}, 2},
    {2, 32, 14, 15, 32, 3, 3, {1, 1}, {1, 1}, {1, 1}, 2},  {5, 2, 70, 23, 50, 2, 2, {2, 3}, {1, 1}, {1, 1}, 1},
};

/* Steps, or taps, of which one at most, or none, is not beyond the edges. */
static const problem far[] = {
    {1, 16, 2, 2, 32, 1, 1, {20000, 20000}, {20000, 20000}, {1, 1}, 1},
    {2, 5, 3, 4, 18, 3, 3, {20000, 20000}, {20000, 20001}, {1, 1}, 1},
    {2, 3, 5, 4, 2, 3, 2, {9000, 20000}, {18001, 0}, {1, 1}, 1},
    {2, 6, 5, 4, 6, 3, 3, {20000, 20000}, {20002, 20003}, {1, 1}, 6},
    {1, 4, 3, 3, 20, 3, 3, {20000, 20000}, {25000, 20000}, {1, 1}, 1},
    {2, 4, 5, 6, 20, 3, 3, {1, 1}, {20000, 20000}, {20000, 20000}, 1},
    {2, 4, 5, 6, 3, 2, 3, {2, 1}, {2000, 900}, {2003, 900}, 1},
    {1, 8, 4, 5, 24, 3, 3, {7, 30}, {7, 29}, {2, 1}, 2},
    {1, 1, 3, 3, 40, 3, 3, {20000, 20000}, {19999, 20002}, {1, 1}, 1},
};

Test(conv, steps_and_taps_far_beyond_the_edges)
{
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        check(&far[i], RG_F32);
        check(&far[i], RG_F64);
    }
}

Test(conv, of_networks_in_single_precision)
{
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        check(&problems[i], RG_F32);
}

/* What steps pass over beyond the edges takes no memory. */
Test(conv, long_steps_over_padding)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(1, 16, 2, 2)), *w = rg_input(g, "w", RG_F32, RG_SHAPE(32, 16, 1, 1));
    rg_node *y = rg_conv2d(x, w, NULL, &(rg_conv_opts){.stride = {20000, 20000}, .pad = {20000, 20000}});
    const rg_nodes d = rg_grad(rg_sum(y, RG_ALL_AXES, false), RG_NODES(w));
    rg_node *fetch[1] = {rg_at(d, 0)};
    rg_plan *p = must_compile(g, (rg_nodes){fetch, 1}, NULL);
    float data[32 * 16];
    for (size_t i = 0; i < 32 * 16; i++)
        data[i] = 1;
    must(rg_bind(p, x, data));
    must(rg_bind(p, w, data));
    must(rg_run(p));
    cr_expect_eq(value_at(p, fetch[0], 0), 1);
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(conv, of_networks_in_double_precision)
{
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        check(&problems[i], RG_F64);
}

/* relu(y + bias) + a residual: behind the convolution, or of its blocks while it goes on. */
static void follow(const problem *q, rg_dtype dtype, const rg_plan_opts *opts, bool together, void *out)
{
    rg_graph *g = rg_graph_new(NULL);
    const rg_param_opts spread = {.init = RG_UNIFORM, .scale = 1};
    const rg_shape ys = RG_SHAPE(q->n, q->o, outputs(q, 0), outputs(q, 1));
    rg_node *x = rg_param(g, "x", dtype, RG_SHAPE(q->n, q->c, q->h, q->w), &spread),
            *w = rg_param(g, "w", dtype, RG_SHAPE(q->o, q->c / q->groups, q->kh, q->kw), &spread),
            *bias = rg_param(g, "bias", dtype, RG_SHAPE(q->o), &spread),
            *residual = rg_param(g, "residual", dtype, ys, &spread);
    const rg_conv_opts o = {.stride = {q->stride[0], q->stride[1]},
                            .pad = {q->pad[0], q->pad[1]},
                            .dilation = {q->dilation[0], q->dilation[1]},
                            .groups = q->groups};
    rg_node *y = rg_add(rg_relu(rg_conv2d(x, w, bias, &o)), residual);
    rg_plan *p = must_compile(g, RG_NODES(y), opts);
    must(rg_run(p));
    char *dump = rg_plan_dump(p);
    cr_expect_eq(strstr(dump, "plan: 1 steps") != NULL, together, "%s", dump);
    rg_text_free(dump);
    memcpy(out, rg_data(p, y), (size_t)rg_shape_count(ys) * rg_dtype_size(dtype));
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(conv, what_follows_has_the_same_bits_in_its_blocks)
{
    for (size_t i = 0; i < 2 * sizeof problems / sizeof *problems; i++) {
        const problem *q = &problems[i / 2];
        const rg_dtype dtype = i % 2 ? RG_F64 : RG_F32;
        const size_t bytes = (size_t)(q->n * q->o * outputs(q, 0) * outputs(q, 1)) * rg_dtype_size(dtype);
        char *apart = malloc(bytes + 1), *together = malloc(bytes + 1);
        cr_assert(apart && together);
        follow(q, dtype, &(rg_plan_opts){.threads = 1, .no_fuse = true}, false, apart);
        for (int threads = 1; threads <= 3; threads++) {
            follow(q, dtype, &(rg_plan_opts){.threads = threads}, true, together);
            cr_expect(memcmp(apart, together, bytes) == 0, "problem %zu, %d threads: other bits", i / 2, threads);
        }
        free(apart);
        free(together);
    }
}

/* The same of a gradient by the input, behind which comes the mask of what made that input, and another cotangent of
   it. */
static void follow_back(const problem *q, rg_dtype dtype, const rg_plan_opts *opts, bool together, void *out)
{
    rg_graph *g = rg_graph_new(NULL);
    const rg_param_opts spread = {.init = RG_UNIFORM, .scale = 1};
    const rg_shape xs = RG_SHAPE(q->n, q->c, q->h, q->w);
    rg_node *x = rg_param(g, "x", dtype, xs, &spread), *other = rg_param(g, "other", dtype, xs, &spread),
            *w = rg_param(g, "w", dtype, RG_SHAPE(q->o, q->c / q->groups, q->kh, q->kw), &spread),
            *u = rg_param(g, "u", dtype, RG_SHAPE(q->n, q->o, outputs(q, 0), outputs(q, 1)), &spread);
    const rg_conv_opts o = {.stride = {q->stride[0], q->stride[1]},
                            .pad = {q->pad[0], q->pad[1]},
                            .dilation = {q->dilation[0], q->dilation[1]},
                            .groups = q->groups};
    rg_node *h = rg_relu(x), *y = rg_conv2d(h, w, NULL, &o);
    rg_node *dx = rg_at(rg_vjp(RG_NODES(y, h), RG_NODES(u, other), RG_NODES(x)), 0);
    rg_plan *p = must_compile(g, RG_NODES(dx), opts);
    must(rg_run(p));
    char *dump = rg_plan_dump(p);
    cr_expect_eq(strstr(dump, "(block) = conv_data_grad") != NULL, together, "%s", dump);
    rg_text_free(dump);
    memcpy(out, rg_data(p, dx), (size_t)rg_shape_count(xs) * rg_dtype_size(dtype));
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(conv, what_follows_a_gradient_has_the_same_bits_in_its_blocks)
{
    for (size_t i = 0; i < 2 * sizeof problems / sizeof *problems; i++) {
        const problem *q = &problems[i / 2];
        const rg_dtype dtype = i % 2 ? RG_F64 : RG_F32;
        const size_t bytes = (size_t)(q->n * q->c * q->h * q->w) * rg_dtype_size(dtype);
        char *apart = malloc(bytes + 1), *together = malloc(bytes + 1);
        cr_assert(apart && together);
        follow_back(q, dtype, &(rg_plan_opts){.threads = 1, .no_fuse = true}, false, apart);
        for (int threads = 1; threads <= 3; threads++) {
            follow_back(q, dtype, &(rg_plan_opts){.threads = threads}, true, together);
            cr_expect(memcmp(apart, together, bytes) == 0, "problem %zu, %d threads: other bits", i / 2, threads);
        }
        free(apart);
        free(together);
    }
}

/* Weights that the plan does not change are packed once, until somebody changes them: the bits are those of weights
   that are bound and packed in every run, forwards and for the gradient by the image. */
Test(conv, packed_weights_follow_their_parameter)
{
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        const problem *q = &problems[i];
        values v = make(q);
        void *want[3], *x = typed(RG_F32, v.at[0], v.n[0]), *w = typed(RG_F32, v.at[1], v.n[1]),
                       *u = typed(RG_F32, v.at[2], v.n[2]);
        const rg_shape ws = RG_SHAPE(q->o, q->c / q->groups, q->kh, q->kw);
        compute(q, &v, RG_F32, 1, want);
        rg_graph *g = rg_graph_new(NULL);
        rg_node *image = rg_input(g, "x", RG_F32, RG_SHAPE(q->n, q->c, q->h, q->w)),
                *kernel = rg_param(g, "w", RG_F32, ws, NULL),
                *up = rg_input(g, "u", RG_F32, RG_SHAPE(q->n, q->o, outputs(q, 0), outputs(q, 1)));
        rg_node *y = rg_conv2d(image, kernel, NULL,
                               &(rg_conv_opts){.stride = {q->stride[0], q->stride[1]},
                                               .pad = {q->pad[0], q->pad[1]},
                                               .dilation = {q->dilation[0], q->dilation[1]},
                                               .groups = q->groups});
        rg_node *dx = rg_at(rg_vjp(RG_NODES(y), RG_NODES(up), RG_NODES(image)), 0);
        rg_plan *p = must_compile(g, RG_NODES(y, dx), &(rg_plan_opts){.threads = 1});
        must(rg_bind(p, image, x));
        must(rg_bind(p, up, u));
        must(rg_run(p)); /* the weights it began with */
        must(rg_set(kernel, &(rg_tensor){.dtype = RG_F32, .shape = ws, .data = w}));
        for (int again = 0; again < 2; again++) {
            must(rg_run(p));
            cr_expect(memcmp(rg_data(p, y), want[2], v.n[2] * sizeof(float)) == 0, "problem %zu, outputs", i);
            cr_expect(memcmp(rg_data(p, dx), want[0], v.n[0] * sizeof(float)) == 0, "problem %zu, gradient", i);
        }
        rg_plan_free(p);
        rg_graph_free(g);
        for (int k = 0; k < 3; k++)
            free(want[k]);
        free(x), free(w), free(u);
        release(&v);
    }
}

/* What is kept in an order of its own follows the sizes of images, too, of which some are read where they lie. */
Test(conv, packed_weights_follow_the_size_of_images)
{
    static const int64_t widths[] = {24, 7, 24, 9, 7};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(2, 5, rg_dim(g, "height"), rg_dim(g, "width"))),
            *w = rg_param(g, "w", RG_F32, RG_SHAPE(32, 5, 3, 3), NULL);
    rg_node *loose = rg_input(g, "loose", RG_F32, RG_SHAPE(32, 5, 3, 3));
    const rg_conv_opts how = {.pad = {1, 1}};
    rg_node *kept = rg_conv2d(x, w, NULL, &how), *fresh = rg_conv2d(x, loose, NULL, &how);
    rg_plan *p = must_compile(g, RG_NODES(kept, fresh, w), &(rg_plan_opts){.threads = 1});
    float image[2 * 5 * 24 * 24], weights[32 * 5 * 9];
    for (size_t i = 0; i < sizeof image / sizeof *image; i++)
        image[i] = (float)(i % 13) - 6;
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        weights[i] = (float)(i % 7) - 3;
    must(rg_set(w, &(rg_tensor){.dtype = RG_F32, .shape = RG_SHAPE(32, 5, 3, 3), .data = weights}));
    must(rg_bind(p, loose, weights));
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        must(rg_bind_shape(p, x, image, RG_SHAPE(2, 5, widths[i], widths[i])));
        must(rg_run(p));
        cr_expect(memcmp(rg_data(p, kept), rg_data(p, fresh), (size_t)(2 * 32 * widths[i] * widths[i]) * 4) == 0,
                  "%d wide, run %zu", (int)widths[i], i);
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

/* Kernels from 1 to 11, strides, paddings and dilations in all combinations, odd sizes. */
Test(conv, every_combination)
{
    static const int64_t kernels[] = {1, 2, 3, 5, 7, 11};
    for (size_t k = 0; k < 6; k++)
        for (int64_t stride = 1; stride <= 4; stride++)
            for (int64_t pad = 0; pad <= 3; pad++)
                for (int64_t dilation = 1; dilation <= 3; dilation++) {
                    const int64_t kernel = kernels[k], span = dilation * (kernel - 1) + 1,
                                  groups = 1 + (stride + pad) % 2;
                    const bool small = kernel <= 5; /* many channels, many outputs: other kernels */
                    const problem q = {1 + pad % 2,
                                       (small && pad > 1 ? 13 : 2) * groups,
                                       span + 5,
                                       span + 12,
                                       (small && dilation == 2 ? 14 : 3) * groups,
                                       kernel,
                                       kernel,
                                       {stride, 1 + pad % 3},
                                       {pad, 3 - pad},
                                       {dilation, 1 + (dilation + stride) % 2},
                                       groups};
                    if (q.dilation[1] * (kernel - 1) + 1 <= q.w + 2 * q.pad[1])
                        check(&q, (stride + pad + dilation) % 2 ? RG_F32 : RG_F64);
                }
}

/* One group, two, one a channel, with one output each or two, of no image and of one, odd sizes. */
Test(conv, every_kind_of_groups)
{
    static const int64_t kernels[] = {1, 3, 5, 11};
    enum { CHANNELS = 6 };
    for (int i = 0; i < 4 * 2 * 2 * 2 * 4 * 2; i++) {
        const int64_t kernel = kernels[i % 4], stride = 1 + i / 4 % 2, pad = i / 8 % 2 * 2, dilation = 1 + i / 16 % 2,
                      kind = i / 32 % 4, images = i / 128, span = dilation * (kernel - 1) + 1;
        const problem q = {images,
                           CHANNELS,
                           span + 4,
                           span + 8,
                           kind == 3   ? 2 * CHANNELS
                           : kind == 2 ? CHANNELS
                                       : 10,
                           kernel,
                           kernel,
                           {stride, stride},
                           {pad, pad},
                           {dilation, dilation},
                           kind > 1 ? CHANNELS : 1 + kind};
        check(&q, i % 3 ? RG_F32 : RG_F64);
    }
}

/* What the convolution of y's shape would give back as the gradient of its input, PyTorch's sizes. */
Test(conv, transposed)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_param(g, "x", RG_F64, RG_SHAPE(2, 4, 5, 6), &(rg_param_opts){.init = RG_UNIFORM, .scale = 1});
    rg_node *w = rg_param(g, "w", RG_F64, RG_SHAPE(4, 3, 3, 2), &(rg_param_opts){.init = RG_UNIFORM, .scale = 1});
    const rg_conv_opts o = {.stride = {2, 3}, .pad = {1, 0}, .dilation = {1, 2}, .groups = 2, .pad_extra = {1, 2}};
    rg_node *y = rg_conv_transpose2d(x, w, NULL, &o);
    cr_assert(y, "%s", rg_graph_error(g));
    cr_expect(rg_shape_equal(rg_shape_of(y), RG_SHAPE(2, 6, 10, 20)), "4 * 2 - 2 + 2 + 1 + 1 and 5 * 3 + 2 + 1 + 2");
    rg_node *like = rg_param(g, "like", RG_F64, rg_shape_of(y), &(rg_param_opts){.init = RG_UNIFORM, .scale = 1});
    rg_node *back =
        rg_conv2d(like, w, NULL, &(rg_conv_opts){.stride = {2, 3}, .pad = {1, 0}, .dilation = {1, 2}, .groups = 2});
    rg_node *sums[2] = {rg_sum(rg_mul(y, like), RG_ALL_AXES, false), rg_sum(rg_mul(back, x), RG_ALL_AXES, false)};
    rg_plan *p = must_compile(g, (rg_nodes){sums, 2}, NULL);
    must(rg_run(p));
    cr_expect_float_eq(value_at(p, sums[0], 0), value_at(p, sums[1], 0), 1e-10, "<y, like> = <x, conv(like)>");
    rg_grad_check_report report;
    must(rg_grad_check(rg_sum(rg_square(y), RG_ALL_AXES, false), RG_NODES(x, w), NULL, &report));
    cr_expect(report.passed, "%s", report.text);
    rg_plan_free(p);
    rg_graph_free(g);
}

/* What a gradient by the weights needs beside its operands, parts of its sums among it, is far from the columns of all
   images: no batch is unfolded as a whole. */
Test(conv, gradients_by_weights_unfold_no_batch)
{
    static const problem all[] = {
        {64, 32, 28, 28, 32, 3, 3, {1, 1}, {1, 1}, {1, 1}, 1},  {64, 16, 28, 28, 32, 5, 5, {1, 1}, {2, 2}, {1, 1}, 1},
        {64, 32, 28, 28, 64, 3, 3, {2, 2}, {1, 1}, {1, 1}, 1},  {64, 3, 56, 56, 64, 7, 7, {2, 2}, {3, 3}, {1, 1}, 1},
        {64, 64, 14, 14, 64, 3, 3, {1, 1}, {1, 1}, {1, 1}, 64}, {64, 6, 14, 14, 16, 5, 5, {1, 1}, {0, 0}, {1, 1}, 1},
        {64, 48, 27, 27, 64, 5, 5, {1, 1}, {2, 2}, {1, 1}, 2},  {64, 32, 20, 20, 32, 3, 3, {1, 1}, {2, 2}, {2, 2}, 1},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const problem *q = &all[i];
        const int64_t oh = outputs(q, 0), ow = outputs(q, 1);
        const size_t columns = (size_t)(q->n * q->c * q->kh * q->kw * oh * ow) * sizeof(float);
        rg_graph *g = rg_graph_new(NULL);
        rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(q->n, q->c, q->h, q->w)),
                *w = rg_input(g, "w", RG_F32, RG_SHAPE(q->o, q->c / q->groups, q->kh, q->kw)),
                *u = rg_input(g, "u", RG_F32, RG_SHAPE(q->n, q->o, oh, ow));
        rg_node *y = rg_conv2d(x, w, NULL,
                               &(rg_conv_opts){.stride = {q->stride[0], q->stride[1]},
                                               .pad = {q->pad[0], q->pad[1]},
                                               .dilation = {q->dilation[0], q->dilation[1]},
                                               .groups = q->groups});
        rg_plan *p = must_compile(g, rg_vjp(RG_NODES(y), RG_NODES(u), RG_NODES(w)), &(rg_plan_opts){.threads = 1});
        must(rg_plan_prepare(p));
        cr_expect(rg_plan_bytes(p) < columns / 4, "problem %zu: %zu bytes, columns are %zu", i, rg_plan_bytes(p),
                  columns);
        rg_plan_free(p);
        rg_graph_free(g);
    }
}

/* A convolution, a pool and the gradient by the weights, of pictures whose sizes may be known when they are bound. */
static rg_plan *pictures_plan(rg_graph *g, rg_shape shape, rg_node **x, rg_node *fetch[2])
{
    *x = rg_input(g, "x", RG_F32, shape);
    rg_node *w = rg_param(g, "w", RG_F32, RG_SHAPE(2, 3, 2, 2), &(rg_param_opts){RG_UNIFORM, .scale = 1});
    rg_node *y = rg_conv2d(*x, w, NULL, &(rg_conv_opts){.pad = {1, 0}});
    y = rg_max_pool2d(y, &(rg_pool_opts){.window = {2, 2}, .stride = {1, 1}});
    fetch[0] = rg_sum(rg_square(y), RG_ALL_AXES, false);
    fetch[1] = rg_grad(fetch[0], RG_NODES(w)).at[0];
    return must_compile(g, RG_NODES(fetch[0], fetch[1]), NULL);
}

Test(conv, heights_and_widths_may_be_named)
{
    static const int64_t sizes[][2] = {{5, 9}, {40, 3}, {12, 12}};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x, *of[2];
    rg_plan *p = pictures_plan(g, RG_SHAPE(1, 3, rg_dim(g, "height"), rg_dim(g, "width")), &x, of);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const rg_shape shape = RG_SHAPE(1, 3, sizes[i][0], sizes[i][1]);
        float data[3 * 12 * 12];
        for (size_t k = 0; k < sizeof data / sizeof *data; k++)
            data[k] = (float)(k * 37 % 23) - 11;
        rg_graph *known = rg_graph_new(NULL);
        rg_node *kx, *kof[2];
        rg_plan *kp = pictures_plan(known, shape, &kx, kof);
        must(rg_bind_shape(p, x, data, shape));
        must(rg_run(p));
        must(rg_bind(kp, kx, data));
        must(rg_run(kp));
        cr_expect(!memcmp(rg_data(p, of[0]), rg_data(kp, kof[0]), sizeof(float)));
        cr_expect(!memcmp(rg_data(p, of[1]), rg_data(kp, kof[1]), 24 * sizeof(float)));
        rg_plan_free(kp);
        rg_graph_free(known);
    }
    cr_expect_eq(rg_bind_shape(p, x, sizes, RG_SHAPE(1, 3, 1 << 15, 1 << 15)) || rg_run(p), true);
    cr_expect(strstr(rg_last_error(), "2^31 elements or more; node: ") && strstr(rg_last_error(), "test_conv.c:"), "%s",
              rg_last_error());
    rg_plan_free(p);
    rg_graph_free(g);
}

static void refused(rg_shape x, rg_shape w, const rg_conv_opts *o, rg_status status, const char *part)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = rg_input(g, "image", RG_F32, x), *b = rg_param(g, "kernel", RG_F32, w, NULL);
    cr_assert(a && b);
    cr_expect_null(rg_conv2d(a, b, NULL, o));
    cr_assert(rg_graph_error(g));
    cr_expect_eq(rg_graph_status(g), status, "%s", rg_graph_error(g));
    cr_expect(strstr(rg_graph_error(g), part) && strstr(rg_graph_error(g), "image"), "'%s' is not in: %s", part,
              rg_graph_error(g));
    rg_graph_free(g);
}

Test(conv, errors)
{
    const rg_shape x = RG_SHAPE(2, 6, 5, 5);
    refused(x, RG_SHAPE(4, 6, 7, 3), NULL, RG_ERR_SHAPE,
            "axis 2: a kernel of 7 with dilation 1 spans 7, the input with its "
            "padding 5 + 0 + 0 = 5");
    refused(x, RG_SHAPE(4, 6, 3, 3), &(rg_conv_opts){.dilation = {1, 3}}, RG_ERR_SHAPE, "axis 3");
    refused(
        x, RG_SHAPE(4, 5, 3, 3), NULL, RG_ERR_ARGUMENT,
        "axis 1: the input has 6 channels, the kernel 5 for each of 1 groups; kernel: f32[4, 5, 3, 3] 'kernel'; input: "
        "f32[2, 6, 5, 5] 'image'");
    refused(x, RG_SHAPE(4, 2, 3, 3), &(rg_conv_opts){.groups = 3}, RG_ERR_SHAPE,
            "4 outputs are not divided by 3 groups");
    refused(x, RG_SHAPE(4, 2, 3, 3), &(rg_conv_opts){.groups = 2}, RG_ERR_ARGUMENT, "2 groups");
    refused(x, RG_SHAPE(4, 6, 3, 3), &(rg_conv_opts){.pad = {0, -1}}, RG_ERR_ARGUMENT, "padding must not be negative");
    refused(x, RG_SHAPE(4, 6, 3, 3), &(rg_conv_opts){.stride = {-2, 0}}, RG_ERR_ARGUMENT, "stride -2");
    refused(x, RG_SHAPE(4, 6, 3, 3), &(rg_conv_opts){.kernel = {3, 5}}, RG_ERR_ARGUMENT, "the options say 5");
    refused(x, RG_SHAPE(4, 6, 3, 3), &(rg_conv_opts){.same = true, .stride = {2, 2}}, RG_ERR_ARGUMENT, "stride of 1");
    refused(x, RG_SHAPE(4, 6, 3), NULL, RG_ERR_SHAPE, "needs 4 axes, it has 3");
    refused(RG_SHAPE(2, 6, 5), RG_SHAPE(4, 6, 3, 3), NULL, RG_ERR_SHAPE, "needs 4 axes, it has 3");
    refused(x, RG_SHAPE(4, 6, 0, 3), NULL, RG_ERR_SHAPE, "axis 2: the kernel is empty");
    rg_graph *g = rg_graph_new(NULL);
    rg_node *image = rg_input(g, "image", RG_F32, x),
            *kernel = rg_param(g, "kernel", RG_F32, RG_SHAPE(4, 6, 3, 3), NULL);
    cr_expect_null(rg_conv2d(image, kernel, rg_param(g, "bias", RG_F32, RG_SHAPE(5), NULL), NULL));
    cr_expect(strstr(rg_graph_error(g), "the bias must be [4]"), "%s", rg_graph_error(g));
    rg_graph_clear_error(g);
    cr_expect_null(rg_conv_transpose2d(image, kernel, NULL, NULL));
    cr_expect(strstr(rg_graph_error(g), "axis 1: the input has 6 channels") &&
                  strstr(rg_graph_error(g), "f32[4, 6, 3, 3] 'kernel'") &&
                  strstr(rg_graph_error(g), "f32[2, 6, 5, 5] 'image'"),
              "%s", rg_graph_error(g));
    rg_graph_free(g);
}
