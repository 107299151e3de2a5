/* test_conv_axes.c - convolutions of one, two and three axes: transposed ones against their definition, padding that
   keeps the size, planes of nothing but padding. */
#include "must.h"
#include "waves.h"

#include <stdio.h>
#include <stdlib.h>

enum { IMAGES = 2, IN = 4, OUT = 6, GROUPS = 2 };

typedef struct cube {
    int64_t in[3], kernel[3], stride[3], pad[3], dilation[3], extra[3];
} cube;

static int64_t transposed_outputs(const cube *q, int rank, int axis)
{
    return axis >= rank ? 1
                        : (q->in[axis] - 1) * q->stride[axis] - 2 * q->pad[axis] +
                              q->dilation[axis] * (q->kernel[axis] - 1) + 1 + q->extra[axis];
}

/* x [IMAGES, IN, in..] adds the kernel, w [IN, OUT / GROUPS, kernel..], times itself, to y wherever it stands. */
static void scatter(const cube *q, int rank, const double *x, const double *w, double *y)
{
    int64_t in[3] = {1, 1, 1}, kernel[3] = {1, 1, 1}, out[3];
    for (int i = 0; i < 3; i++) {
        out[i] = transposed_outputs(q, rank, i);
        in[i] = i < rank ? q->in[i] : 1;
        kernel[i] = i < rank ? q->kernel[i] : 1;
    }
    const int64_t inputs = in[0] * in[1] * in[2], taps = kernel[0] * kernel[1] * kernel[2],
                  outputs = out[0] * out[1] * out[2], each = OUT / GROUPS;
    for (int64_t n = 0; n < IMAGES; n++)
        for (int64_t c = 0; c < IN; c++)
            for (int64_t o = 0; o < each; o++)
                for (int64_t p = 0; p < inputs; p++)
                    for (int64_t k = 0; k < taps; k++) {
                        const int64_t at[3] = {p / (in[1] * in[2]), p / in[2] % in[1], p % in[2]},
                                      tap[3] = {k / (kernel[1] * kernel[2]), k / kernel[2] % kernel[1], k % kernel[2]};
                        int64_t to = 0;
                        bool inside = true;
                        for (int i = 0; i < 3; i++) {
                            const int64_t z = i < rank ? at[i] * q->stride[i] - q->pad[i] + tap[i] * q->dilation[i] : 0;
                            inside = inside && z >= 0 && z < out[i];
                            to = to * out[i] + z;
                        }
                        const int64_t channel = c / (IN / GROUPS) * each + o;
                        if (inside)
                            y[(n * OUT + channel) * outputs + to] +=
                                x[(n * IN + c) * inputs + p] * w[(c * each + o) * taps + k];
                    }
}

static rg_node *transposed(const cube *q, int rank, rg_node *x, rg_node *w, rg_node *bias)
{
    rg_conv1d_opts one = {.groups = GROUPS};
    rg_conv_opts two = {.groups = GROUPS};
    rg_conv3d_opts three = {.groups = GROUPS};
    const size_t bytes = (size_t)rank * sizeof(int64_t);
    int64_t *const to[3][4] = {{one.stride, one.pad, one.dilation, one.pad_extra},
                               {two.stride, two.pad, two.dilation, two.pad_extra},
                               {three.stride, three.pad, three.dilation, three.pad_extra}};
    const int64_t *const from[4] = {q->stride, q->pad, q->dilation, q->extra};
    for (int i = 0; i < 4; i++)
        memcpy(to[rank - 1][i], from[i], bytes);
    return rank == 1   ? rg_conv_transpose1d(x, w, bias, &one)
           : rank == 2 ? rg_conv_transpose2d(x, w, bias, &two)
                       : rg_conv_transpose3d(x, w, bias, &three);
}

Test(conv_axes, transposed_by_their_definition)
{
    static const cube all[] = {
        {{5, 3, 4}, {3, 2, 4}, {2, 3, 1}, {1, 0, 2}, {2, 1, 1}, {1, 2, 0}},
        {{4, 7, 3}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {1, 1, 1}, {0, 1, 0}},
        {{3, 2, 6}, {4, 5, 2}, {4, 1, 1}, {0, 2, 1}, {1, 1, 3}, {3, 0, 2}},
    };
    for (size_t k = 0; k < 3; k++)
        for (int rank = 1; rank <= 3; rank++) {
            const cube *q = &all[k];
            rg_graph *g = rg_graph_new(NULL);
            rg_shape xs = {rank + 2, {IMAGES, IN}}, ws = {rank + 2, {IN, OUT / GROUPS}}, ys = {rank + 2, {IMAGES, OUT}};
            for (int i = 0; i < rank; i++) {
                xs.dim[2 + i] = q->in[i];
                ws.dim[2 + i] = q->kernel[i];
                ys.dim[2 + i] = transposed_outputs(q, rank, i);
            }
            rg_node *x = rg_input(g, "x", RG_F64, xs), *w = rg_input(g, "w", RG_F64, ws),
                    *bias = rg_input(g, "bias", RG_F64, RG_SHAPE(OUT)), *y = transposed(q, rank, x, w, bias);
            cr_assert(y && rg_shape_equal(rg_shape_of(y), ys), "%zu, %d axes: %s", k, rank, rg_graph_error(g));
            const size_t n = (size_t)rg_shape_count(ys);
            rg_tensor data[3] = {wave(RG_F64, xs, 0.7, 1), wave(RG_F64, ws, 1.9, 2),
                                 wave(RG_F64, RG_SHAPE(OUT), 2.3, 3)};
            double *const want = calloc(n, sizeof *want);
            cr_assert(want);
            scatter(q, rank, data[0].data, data[1].data, want);
            rg_plan *p = must_compile(g, RG_NODES(y), NULL);
            must(rg_bind_tensor(p, x, &data[0]));
            must(rg_bind_tensor(p, w, &data[1]));
            must(rg_bind_tensor(p, bias, &data[2]));
            must(rg_run(p));
            for (size_t i = 0; i < n; i++)
                cr_assert(close_to(value_at(p, y, i), want[i] + ((double *)data[2].data)[i / (n / IMAGES / OUT) % OUT],
                                   1e-12),
                          "%zu, %d axes, element %zu", k, rank, i);
            for (int i = 0; i < 3; i++)
                rg_tensor_free(&data[i]);
            free(want);
            rg_plan_free(p);
            rg_graph_free(g);
        }
}

/* Of three axes, the only plane of results standing where there is nothing but padding. */
static void only_padding(int64_t outputs)
{
    enum { OUTPUTS = 20, TAPS = 9, SIZE = 6 };
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(1, 1, 1, SIZE, SIZE)),
            *w = rg_input(g, "w", RG_F32, RG_SHAPE(outputs, 1, 1, 3, 3)),
            *u = rg_input(g, "u", RG_F32, RG_SHAPE(1, outputs, 1, SIZE, SIZE));
    rg_node *y = rg_conv3d(x, w, NULL, &(rg_conv3d_opts){.stride = {3, 1, 1}, .pad = {1, 1, 1}});
    const rg_nodes d = rg_vjp(RG_NODES(y), RG_NODES(u), RG_NODES(x, w));
    rg_node *const fetch[3] = {y, rg_at(d, 0), rg_at(d, 1)};
    rg_plan *p = must_compile(g, (rg_nodes){fetch, 3}, NULL);
    float data[OUTPUTS * SIZE * SIZE];
    for (size_t i = 0; i < OUTPUTS * SIZE * SIZE; i++)
        data[i] = 1;
    must(rg_bind(p, x, data));
    must(rg_bind(p, w, data));
    must(rg_bind(p, u, data));
    must(rg_run(p));
    const size_t n[3] = {(size_t)outputs * SIZE * SIZE, SIZE * SIZE, (size_t)outputs * TAPS};
    for (size_t k = 0; k < 3; k++) {
        const float *have = rg_data(p, fetch[k]);
        for (size_t i = 0; i < n[k]; i++)
            cr_assert_eq(have[i], 0, "element %zu of result %zu is %g", i, k, (double)have[i]);
    }
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(conv_axes, planes_of_padding_are_zeros)
{
    only_padding(20);
    only_padding(1);
}

/* `same` is a padding, its larger part behind the end. */
Test(conv_axes, same_keeps_the_size)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *row = rg_input(g, "row", RG_F32, RG_SHAPE(2, 1, 9)),
            *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "batch"), 1, 7, 8)),
            *deep = rg_input(g, "deep", RG_F32, RG_SHAPE(2, 1, 5, 7, 8));
    for (int64_t k = 1; k <= 4; k++) {
        const int64_t all = k - 1;
        rg_node *w[3];
        for (int i = 0; i < 3; i++) {
            char name[16];
            snprintf(name, sizeof name, "w%d.%d", (int)k, i + 1);
            w[i] = rg_param(g, name, RG_F32, (rg_shape){i + 3, {2, 1, k, 3, k}}, NULL);
        }
        rg_node *y = rg_conv2d(x, w[1], NULL, &(rg_conv_opts){.same = true, .dilation = {2, 1}}),
                *y1 = rg_conv1d(row, w[0], NULL, &(rg_conv1d_opts){.same = true}),
                *y3 = rg_conv3d(deep, w[2], NULL, &(rg_conv3d_opts){.same = true});
        cr_assert(y && y1 && y3, "%s", rg_graph_error(g));
        cr_expect(rg_shape_of(y).dim[2] == 7 && rg_shape_of(y).dim[3] == 8);
        cr_expect_eq(rg_shape_of(y1).dim[2], 9);
        cr_expect(rg_shape_equal(rg_shape_of(y3), RG_SHAPE(2, 2, 5, 7, 8)));
        cr_expect_eq(y, rg_conv2d(x, w[1], NULL, &(rg_conv_opts){.pad = {all, 1}, .dilation = {2, 1}}));
        cr_expect_eq(y1, rg_conv1d(row, w[0], NULL, &(rg_conv1d_opts){.pad = {all / 2}, .pad_extra = {all % 2}}));
        cr_expect_eq(y3,
                     rg_conv3d(deep, w[2], NULL,
                               &(rg_conv3d_opts){.pad = {all / 2, 1, all / 2}, .pad_extra = {all % 2, 0, all % 2}}));
    }
    rg_graph_free(g);
}
