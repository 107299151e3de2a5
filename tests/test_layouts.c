/* test_layouts.c - images in blocks of channels between the steps of a plan: the same bits as planes, over random
   networks of convolutions, and told in the plan; where turning would cost more than it saves, planes stay. */
#include "must.h"

#include "../ops/blocks.h"

#include <retrograde/autograd.h>
#include <retrograde/nn.h>

#include <stdlib.h>
#include <time.h>

enum { NETWORKS = 60, DEPTH = 7, BATCH = 3, SIDE = 17 };

/* A generator of its own: the same networks everywhere. */
static uint32_t draw(uint32_t *state, uint32_t n)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 16) % n;
}

typedef struct network {
    rg_graph *g;
    rg_node *x, *fetch[4];
    size_t n;
    uint32_t state;
    int params;
} network;

static rg_node *param(network *m, rg_dtype dtype, rg_shape shape, double scale)
{
    char name[16];
    snprintf(name, sizeof name, "p%d", m->params++);
    return rg_param(m->g, name, dtype, shape, &(rg_param_opts){.init = RG_UNIFORM, .scale = scale});
}

/* Of channels some are whole blocks for every instruction set, some are not. */
static rg_node *convolution(network *m, rg_node *x)
{
    static const int64_t channels[] = {64, 128, 64, 24}, kernels[] = {3, 1, 3, 5, 2, 3};
    const int64_t in = rg_shape_of(x).dim[1], out = channels[draw(&m->state, 4)], k = kernels[draw(&m->state, 6)];
    const int64_t across = draw(&m->state, 4) ? k : 1, stride = 1 + draw(&m->state, 2);
    const int64_t side = rg_shape_of(x).dim[2] < rg_shape_of(x).dim[3] ? rg_shape_of(x).dim[2] : rg_shape_of(x).dim[3];
    const int64_t dilation = k == 3 && side > 8 && draw(&m->state, 4) == 0 ? 2 : 1;
    const rg_conv_opts o = {.stride = {stride, draw(&m->state, 2) ? stride : 1},
                            .pad = {dilation * (k / 2), across == 1 ? 0 : dilation * (k / 2)},
                            .dilation = {dilation, dilation}};
    rg_node *w = param(m, rg_dtype_of(x), RG_SHAPE(out, in, k, across), 0.1);
    return rg_conv2d(x, w, draw(&m->state, 2) ? param(m, rg_dtype_of(x), RG_SHAPE(out), 1) : NULL, &o);
}

static rg_node *per_channel(network *m, rg_node *x)
{
    const int64_t channels = rg_shape_of(x).dim[1];
    rg_node *c = param(m, rg_dtype_of(x), RG_SHAPE(channels), 1);
    c = rg_unsqueeze(rg_unsqueeze(c, -1), -1);
    c = draw(&m->state, 2) ? rg_unsqueeze(c, 0) : c;
    return draw(&m->state, 2) ? rg_mul(x, c) : rg_sub(c, x);
}

static rg_node *pool(network *m, rg_node *x)
{
    static const rg_pool_opts kinds[] = {{.window = {2, 2}},
                                         {.window = {3, 3}, .stride = {2, 2}, .pad = {1, 1}},
                                         {.window = {3, 3}, .stride = {2, 2}},
                                         {.window = {3, 2}, .stride = {1, 1}, .pad = {1, 1}},
                                         {.window = {2, 2}, .stride = {1, 2}, .dilation = {2, 1}},
                                         {.window = {2, 2}, .ceil_mode = true}};
    const rg_pool_opts *o = &kinds[draw(&m->state, 6)];
    if (rg_shape_of(x).dim[2] < 4 || rg_shape_of(x).dim[3] < 4)
        return x;
    return draw(&m->state, 4) || o->dilation[0] ? rg_max_pool2d(x, o) : rg_avg_pool2d(x, o);
}

static rg_node *layer(network *m, rg_node *x, rg_node *skip)
{
    switch (draw(&m->state, 8)) {
    case 0:
        return rg_relu(x);
    case 1:
        return per_channel(m, x);
    case 2:
        return pool(m, x);
    case 3:
        return rg_shape_equal(rg_shape_of(x), rg_shape_of(skip)) ? rg_add(x, skip) : rg_relu(x);
    case 4:
        return rg_maximum(rg_scale(x, 0.5), rg_neg(x));
    default:
        return convolution(m, x);
    }
}

/* The result, a value in between, and with `gradients` those of a loss. */
static network build(uint32_t seed, rg_dtype dtype, bool gradients)
{
    network m = {.g = rg_graph_new(&(rg_graph_opts){.seed = seed}), .state = seed};
    m.x = rg_input(m.g, "x", dtype, RG_SHAPE(rg_dim(m.g, "batch"), draw(&m.state, 2) ? 64 : 3, SIDE, SIDE + 3));
    rg_node *all[DEPTH + 1] = {m.x};
    for (int i = 0; i < DEPTH; i++)
        all[i + 1] = layer(&m, all[i], all[draw(&m.state, (uint32_t)i + 1)]);
    m.fetch[m.n++] = all[DEPTH];
    m.fetch[m.n++] = all[1 + draw(&m.state, DEPTH)];
    if (gradients && m.params) {
        rg_node *loss = rg_mean(rg_square(all[DEPTH]), RG_ALL_AXES, false);
        const rg_nodes d = rg_grad(loss, RG_NODES(rg_find(m.g, "p0"), m.x));
        m.fetch[m.n++] = d.at[0];
        m.fetch[m.n++] = d.at[1];
    }
    return m;
}

/* Small numbers, among them zeros of both signs, so that windows have equals; and what is no number, if asked for. */
static void *values(uint32_t seed, rg_dtype dtype, size_t n, bool strange)
{
    static const double some[] = {-1, -0.0, 0.0, 0.5, -0.25, 2, 0.0, -0.0};
    uint32_t state = seed;
    void *data = malloc(n * rg_dtype_size(dtype));
    for (size_t i = 0; i < n; i++) {
        const double v = strange && draw(&state, 401) == 0 ? (draw(&state, 2) ? (double)NAN : -(double)INFINITY)
                                                           : some[draw(&state, 8)];
        if (dtype == RG_F32)
            ((float *)data)[i] = (float)v;
        else
            ((double *)data)[i] = v;
    }
    return data;
}

static rg_plan *run(const network *m, const void *data, const rg_plan_opts *opts)
{
    rg_plan *p = must_compile(m->g, (rg_nodes){(rg_node **)(uintptr_t)m->fetch, m->n}, opts);
    rg_shape shape = rg_shape_of(m->x);
    shape.dim[0] = BATCH;
    must(rg_bind_shape(p, m->x, data, shape));
    must(rg_run(p));
    return p;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (; (text = strstr(text, what)) != NULL; text++)
        n++;
    return n;
}

/* Returns how many convolutions of the network read or wrote blocks. */
static size_t compare(uint32_t seed, rg_dtype dtype, bool gradients, bool strange)
{
    network m = build(seed, dtype, gradients);
    void *data = values(seed, dtype, (size_t)BATCH * 64 * SIDE * (SIDE + 3), strange);
    const rg_nodes fetched = {m.fetch, m.n};
    char what[32];
    snprintf(what, sizeof what, "network %u", seed);
    rg_plan *planes = run(&m, data, &(rg_plan_opts){.threads = 1, .layout = RG_LAYOUT_PLANES});
    const rg_plan_opts others[] = {{.threads = 1, .layout = RG_LAYOUT_BLOCKS},
                                   {.threads = 3, .layout = RG_LAYOUT_BLOCKS},
                                   {.threads = 2},
                                   {.threads = 1, .layout = RG_LAYOUT_BLOCKS, .no_fuse = true},
                                   {.threads = 2, .layout = RG_LAYOUT_BLOCKS, .budget = 2 * rg_plan_bytes(planes)}};
    size_t blocks = 0;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char how[8];
        snprintf(how, sizeof how, "way %zu", i);
        rg_plan *p = run(&m, data, &others[i]);
        char *dump = i == 0 ? rg_plan_dump(p) : NULL;
        blocks = dump ? count(dump, "conv_blocks(") : blocks;
        rg_text_free(dump);
        expect_equal_results(planes, p, fetched, what, how);
        rg_plan_free(p);
    }
    rg_plan_free(planes);
    free(data);
    rg_graph_free(m.g);
    return blocks;
}

Test(layouts, forward)
{
    size_t blocks = 0;
    for (uint32_t seed = 1; seed <= NETWORKS; seed++)
        blocks += compare(seed, RG_F32, false, false);
    cr_expect_gt(blocks, (size_t)NETWORKS);
}

Test(layouts, double_precision)
{
    for (uint32_t seed = 1; seed <= NETWORKS / 4; seed++)
        compare(seed, RG_F64, false, false);
}

Test(layouts, gradients)
{
    for (uint32_t seed = 1; seed <= NETWORKS / 4; seed++)
        compare(seed, RG_F32, true, false);
}

Test(layouts, what_is_no_number)
{
    for (uint32_t seed = 1; seed <= NETWORKS / 4; seed++)
        compare(seed, RG_F32, false, true);
}

/* How often the plan of `fetch` says `what`. */
static size_t told(rg_graph *g, rg_node *x, rg_node *fetch, rg_layout layout, const char *what)
{
    rg_plan *p = must_compile(g, RG_NODES(fetch), &(rg_plan_opts){.threads = 1, .layout = layout});
    const rg_shape shape = rg_shape_of(x);
    float *data = calloc((size_t)rg_shape_count(shape), sizeof *data);
    must(rg_bind(p, x, data));
    must(rg_plan_prepare(p));
    char *dump = rg_plan_dump(p);
    const size_t n = count(dump, what);
    rg_text_free(dump);
    rg_plan_free(p);
    free(data);
    return n;
}

static rg_node *conv(rg_node *x, const char *name, int64_t out, int64_t stride)
{
    rg_node *w = rg_param(rg_graph_of(x), name, RG_F32, RG_SHAPE(out, rg_shape_of(x).dim[1], 3, 3),
                          &(rg_param_opts){.init = RG_UNIFORM, .scale = 0.1});
    return rg_conv2d(x, w, NULL, &(rg_conv_opts){.stride = {stride, stride}, .pad = {1, 1}});
}

/* A residual network: from the first convolution on blocks, turned into planes where means are taken. */
Test(layouts, a_region)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(2, 3, 32, 32));
    rg_node *h = rg_relu(conv(x, "a", 64, 1)), *y = rg_relu(conv(h, "b", 64, 1));
    y = rg_relu(rg_add(conv(y, "c", 64, 1), h));
    y = rg_relu(conv(y, "d", 128, 2));
    y = rg_global_avg_pool(y);
    cr_expect_eq(told(g, x, y, RG_LAYOUT_PLANES, "conv_blocks("), 0u);
    cr_expect_eq(told(g, x, y, RG_LAYOUT_PLANES, "transpose("), 0u);
    for (int forced = 0; forced < 2; forced++) {
        const bool blocks = forced || rgi_blocks_pay();
        const rg_layout layout = forced ? RG_LAYOUT_BLOCKS : RG_LAYOUT_CHOSEN;
        cr_expect_eq(told(g, x, y, layout, "conv_blocks("), blocks ? 4u : 0u);
        cr_expect_eq(told(g, x, y, layout, "transpose("), (size_t)forced); /* else the last one writes planes */
        cr_expect_eq(told(g, x, y, layout, " conv("), blocks ? 0u : 4u);
    }
    rg_graph_free(g);
}

/* Padding that planes add as zeros makes NaN of an infinite weight: so does it with blocks, however few zeros there
   are. */
Test(layouts, infinite_weights_meet_padding)
{
    enum { CHANNELS = 64, SIDE_LARGEST = 140 };
    static const int64_t sides[] = {20, 72, SIDE_LARGEST};
    static float data[3 * SIDE_LARGEST * SIDE_LARGEST], w[CHANNELS * CHANNELS * 9];
    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        data[i] = (float)(i % 7) - 3;
    for (size_t i = 0; i < sizeof w / sizeof *w; i++)
        w[i] = i % 1009 == 0 ? INFINITY : (float)(i % 5) - 2;
    for (size_t k = 0; k < sizeof sides / sizeof *sides; k++)
        for (int64_t stride = 1; stride <= 2; stride++) {
            rg_graph *g = rg_graph_new(NULL);
            rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(1, 3, sides[k], sides[k]));
            rg_node *y = rg_relu(conv(rg_relu(conv(x, "a", CHANNELS, 1)), "b", CHANNELS, stride));
            must(rg_set(rg_find(g, "b"),
                        &(rg_tensor){.dtype = RG_F32, .shape = RG_SHAPE(CHANNELS, CHANNELS, 3, 3), .data = w}));
            rg_plan *p[2];
            for (int i = 0; i < 2; i++) {
                p[i] = must_compile(g, RG_NODES(y),
                                    &(rg_plan_opts){.threads = 1, .layout = i ? RG_LAYOUT_BLOCKS : RG_LAYOUT_PLANES});
                must(rg_bind(p[i], x, data));
                must(rg_run(p[i]));
            }
            expect_equal_results(p[0], p[1], RG_NODES(y), "padding", "blocks");
            for (int i = 0; i < 2; i++)
                rg_plan_free(p[i]);
            rg_graph_free(g);
        }
}

/* A convolution between borders alone would be turned back: twice what it saves. */
Test(layouts, not_worth_turning)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(2, 64, 32, 32));
    rg_node *y = rg_relu(conv(x, "a", 64, 1));
    cr_expect_eq(told(g, x, y, RG_LAYOUT_CHOSEN, "conv_blocks("), 0u);
    cr_expect_eq(told(g, x, y, RG_LAYOUT_BLOCKS, "conv_blocks("), 1u);
    cr_expect_eq(told(g, x, y, RG_LAYOUT_BLOCKS, "transpose("), 1u);
    rg_graph_free(g);
}

/* In a training step gradients read what the convolutions make as planes. */
Test(layouts, training_stays_planes)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(2, 3, 32, 32));
    rg_node *y = rg_relu(conv(rg_relu(conv(x, "a", 64, 1)), "b", 64, 1));
    rg_node *d = rg_grad(rg_sum(rg_square(y), RG_ALL_AXES, false), RG_NODES(rg_find(g, "a"))).at[0];
    cr_expect_eq(told(g, x, d, RG_LAYOUT_CHOSEN, "conv_blocks("), 0u);
    rg_graph_free(g);
}

/* Of one pixel and one batch, what is put together of a number for each channel and one for all is an image as well. */
Test(layouts, an_image_of_channels_alone)
{
    static const float data[27] = {1, -2, 3, 0.5f};
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(1, 3, 3, 3));
    const rg_param_opts uniform = {.init = RG_UNIFORM, .scale = 1};
    rg_node *c = rg_add(rg_param(g, "c", RG_F32, RG_SHAPE(64, 1, 1), &uniform),
                        rg_param(g, "d", RG_F32, RG_SHAPE(1, 1, 1, 1), &uniform));
    rg_node *h = rg_conv2d(x, rg_param(g, "w", RG_F32, RG_SHAPE(64, 3, 3, 3), &uniform), NULL, NULL);
    rg_node *y = rg_mul(h, c);
    rg_plan *p[2];
    for (int i = 0; i < 2; i++) {
        p[i] = must_compile(g, RG_NODES(y, c),
                            &(rg_plan_opts){.threads = 1, .layout = i ? RG_LAYOUT_BLOCKS : RG_LAYOUT_PLANES});
        must(rg_bind(p[i], x, data));
        must(rg_run(p[i]));
    }
    expect_equal_results(p[0], p[1], RG_NODES(y, c), "one pixel", "blocks");
    cr_expect_eq(told(g, x, y, RG_LAYOUT_BLOCKS, "conv_blocks("), 1u);
    for (int i = 0; i < 2; i++)
        rg_plan_free(p[i]);
    rg_graph_free(g);
}

/* The least of three, of processor time. */
static double seconds_to_compile(rg_graph *g, rg_node *y, rg_layout layout)
{
    double least = 1e9;
    for (int i = 0; i < 3; i++) {
        const clock_t start = clock();
        rg_plan_free(must_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1, .layout = layout}));
        const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        least = seconds < least ? seconds : least;
    }
    return least;
}

/* A region of many elementwise ops takes little more time than planes: a quadratic part would show as 40 times. */
Test(layouts, long_regions_are_found_fast)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *y = conv(rg_input(g, "x", RG_F32, RG_SHAPE(1, 3, 4, 4)), "w", 64, 1);
    for (int i = 0; i < 32000; i++)
        y = rg_add_scalar(y, i * 1e-7);
    const double planes = seconds_to_compile(g, y, RG_LAYOUT_PLANES),
                 blocks = seconds_to_compile(g, y, RG_LAYOUT_BLOCKS);
    cr_expect_lt(blocks / planes, 10, "planes %.3f s, blocks %.3f s", planes, blocks);
    rg_graph_free(g);
}
