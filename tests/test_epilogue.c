/* test_epilogue.c - bias, activation, scale and residual applied to a product's blocks while they are in cache: the
   same bits as passed on whole. */
#include "must.h"

#include <stdlib.h>

typedef struct problem {
    int64_t rows, columns, sum;
    rg_dtype dtype;
    bool transposed; /* the second operand lies by columns */
    bool weight;     /* it is a parameter, packed once */
    bool column;     /* the bias is one of rows */
} problem;

/* Many blocks of rows; of columns; wide rows that blocks cut; no sum; a sum in parts would be too small for this. */
static const problem problems[] = {
    {1100, 1000, 9, RG_F32, true, false, false}, {1100, 1000, 9, RG_F32, false, false, true},
    {1100, 1000, 9, RG_F32, true, true, false},  {7, 150000, 5, RG_F32, false, false, false},
    {60, 18001, 3, RG_F64, true, false, true},   {300, 4100, 6, RG_F64, true, false, false},
    {250, 4100, 6, RG_F32, false, true, true},   {1000, 1001, 0, RG_F32, true, false, false},
    {40000, 31, 12, RG_F32, true, true, false},
};

static void *numbers(rg_dtype dtype, int64_t n)
{
    char *out = calloc((size_t)n + 1, rg_dtype_size(dtype));
    cr_assert(out);
    for (int64_t i = 0; i < n; i++) {
        const double x = (double)(i * 37 % 101) / 101 - 0.5;
        if (dtype == RG_F32)
            ((float *)out)[i] = (float)x;
        else
            ((double *)out)[i] = x;
    }
    return out;
}

typedef struct computed {
    void *y;
    bool fused;
} computed;

/* y = gelu(a b + bias) * 0.5 + residual, and tanh of the same sum. */
static computed compute(const problem *q, int threads, bool no_fuse)
{
    rg_graph *g = rg_graph_new(NULL);
    const rg_shape shape = q->transposed ? RG_SHAPE(q->columns, q->sum) : RG_SHAPE(q->sum, q->columns);
    rg_node *a = rg_input(g, "a", q->dtype, RG_SHAPE(q->rows, q->sum));
    rg_node *b = q->weight ? rg_param(g, "b", q->dtype, shape, &(rg_param_opts){.init = RG_UNIFORM, .scale = 1})
                           : rg_input(g, "b", q->dtype, shape);
    rg_node *bias = rg_input(g, "bias", q->dtype, q->column ? RG_SHAPE(q->rows, 1) : RG_SHAPE(q->columns));
    rg_node *residual = rg_input(g, "residual", q->dtype, RG_SHAPE(q->rows, q->columns));
    rg_node *z = rg_add(rg_matmul_t(a, false, b, q->transposed), bias);
    rg_node *y = rg_add(rg_scale(rg_gelu(z), 0.5), residual), *t = rg_tanh(z);
    rg_plan *p = must_compile(g, RG_NODES(y, t), &(rg_plan_opts){.threads = threads, .no_fuse = no_fuse});
    const int64_t n = q->rows * q->columns;
    void *data[] = {numbers(q->dtype, q->rows * q->sum), numbers(q->dtype, q->sum * q->columns),
                    numbers(q->dtype, q->rows + q->columns), numbers(q->dtype, n)};
    must(rg_bind(p, a, data[0]));
    if (!q->weight)
        must(rg_bind(p, b, data[1]));
    must(rg_bind(p, bias, data[2]));
    must(rg_bind(p, residual, data[3]));
    must(rg_run(p));
    must(rg_run(p));
    const size_t size = rg_dtype_size(q->dtype) * (size_t)n;
    char *dump = rg_plan_dump(p);
    computed out = {malloc(2 * size), dump && strstr(dump, "(block) = contract(")};
    cr_assert(out.y);
    memcpy(out.y, rg_data(p, y), size);
    memcpy((char *)out.y + size, rg_data(p, t), size);
    rg_text_free(dump);
    for (int i = 0; i < 4; i++)
        free(data[i]);
    rg_plan_free(p);
    rg_graph_free(g);
    return out;
}

Test(epilogue, the_same_bits_as_passed_on_whole)
{
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        const problem *q = &problems[i];
        const size_t size = rg_dtype_size(q->dtype) * (size_t)(q->rows * q->columns);
        const computed plain = compute(q, 1, true);
        cr_expect(!plain.fused);
        for (int threads = 1; threads <= 3; threads++) {
            const computed fused = compute(q, threads, false);
            cr_expect(fused.fused, "problem %zu", i);
            cr_expect(memcmp(plain.y, fused.y, 2 * size) == 0, "problem %zu, %d threads", i, threads);
            free(fused.y);
        }
        free(plain.y);
    }
}

Test(epilogue, small_products_are_passed_on_whole)
{
    const problem small = {64, 512, 20, RG_F32, true, false, false};
    const computed c = compute(&small, 1, false);
    cr_expect(!c.fused);
    free(c.y);
}
