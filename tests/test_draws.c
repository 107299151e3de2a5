/* test_draws.c - reductions and softmax draw their input from the elementwise ops in front of them: the same bits as
   when it is written first, without its memory. */
#include "must.h"

#include <stdlib.h>

typedef enum foot { SUM, MEAN, NORM, MAX, SOFTMAX, LOG_SOFTMAX, SEEN_OTHERWISE, FEET } foot;

static const char *const names[FEET] = {
    "sum", "mean", "norm", "max", "softmax", "log_softmax", "softmax, seen otherwise"};

static rg_node *put_foot(foot kind, rg_node *x)
{
    switch (kind) {
    case SUM:
        return rg_sum(x, RG_AXES(-1), false);
    case MEAN:
        return rg_mean(x, RG_ALL_AXES, false);
    case NORM:
        return rg_norm(x, RG_AXES(-1), true);
    case MAX:
        return rg_max(x, RG_AXES(-1), false);
    case SOFTMAX:
        return rg_softmax(x, -1);
    case SEEN_OTHERWISE: /* a view of what the foot makes */
        return rg_square(rg_unsqueeze(rg_softmax(x, -1), 0));
    default:
        return rg_log_softmax(x, -1);
    }
}

/* Rows of one element and of a few, of odd sizes, longer than a chunk, just one; rows that come to nothing at run
   time. */
static const int64_t sizes[][2] = {{9000, 1},  {3001, 7},  {257, 129}, {5, 40001},
                                   {1, 70000}, {16384, 2}, {40, 0},    {0, 900}};

typedef struct result {
    size_t bytes, n; /* of the plan; of `values` */
    char *values;
} result;

typedef struct variant {
    rg_dtype dtype;
    bool no_fuse, fetch_part; /* fetch_part: a value inside the group is wanted as well */
    int threads;
} variant;

static result compute(foot kind, const int64_t size[2], const variant *v)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_input(g, "x", v->dtype, RG_SHAPE(rg_dim(g, "rows"), rg_dim(g, "columns")));
    rg_node *row = rg_input(g, "row", v->dtype, RG_SHAPE(rg_dim(g, "columns")));
    rg_node *part = rg_mul(rg_scale(x, 0.5), row), *y = put_foot(kind, rg_add(rg_tanh(part), x));
    rg_plan *p = must_compile(g, v->fetch_part ? RG_NODES(y, part) : RG_NODES(y),
                              &(rg_plan_opts){.threads = v->threads, .no_fuse = v->no_fuse});
    const size_t each = rg_dtype_size(v->dtype), n = (size_t)(size[0] * size[1]);
    char *data = calloc(n + (size_t)size[1] + 1, each);
    cr_assert(data);
    for (size_t i = 0; i < n + (size_t)size[1]; i++) {
        const double value = (double)(i * 37 % 101) / 25 - 2;
        if (v->dtype == RG_F64)
            ((double *)(void *)data)[i] = value;
        else
            ((float *)(void *)data)[i] = (float)value;
    }
    must(rg_bind_shape(p, x, data, RG_SHAPE(size[0], size[1])));
    must(rg_bind_shape(p, row, data + n * each, RG_SHAPE(size[1])));
    must(rg_run(p));
    result r = {.bytes = rg_plan_bytes(p)};
    for (int pass = 0; pass < 2; pass++) {
        rg_tensor out, inner = {0};
        must(rg_result(p, y, &out));
        if (v->fetch_part)
            must(rg_result(p, part, &inner));
        const size_t bytes = rg_tensor_bytes(&out), more = v->fetch_part ? rg_tensor_bytes(&inner) : 0;
        if (pass == 0) {
            r.n = bytes + more;
            r.values = malloc(r.n + 1);
            cr_assert(r.values);
        } else {
            memcpy(r.values, out.data, bytes);
            if (more)
                memcpy(r.values + bytes, inner.data, more);
        }
    }
    free(data);
    rg_plan_free(p);
    rg_graph_free(g);
    return r;
}

static void expect_same_bits(rg_dtype dtype, bool fetch_part)
{
    for (int kind = 0; kind < FEET; kind++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            const result plain = compute((foot)kind, sizes[i], &(variant){dtype, true, fetch_part, 1});
            for (int threads = 1; threads <= 3; threads++) {
                const result r = compute((foot)kind, sizes[i], &(variant){dtype, false, fetch_part, threads});
                cr_expect(r.n == plain.n && memcmp(r.values, plain.values, r.n) == 0, "%s of %lld x %lld, %d threads",
                          names[kind], (long long)sizes[i][0], (long long)sizes[i][1], threads);
                free(r.values);
            }
            free(plain.values);
        }
}

Test(draws, same_bits_as_from_memory_in_single_precision)
{
    expect_same_bits(RG_F32, false);
}

Test(draws, same_bits_as_from_memory_in_double_precision)
{
    expect_same_bits(RG_F64, false);
}

Test(draws, other_values_of_the_group_are_written_all_the_same)
{
    expect_same_bits(RG_F32, true);
}

Test(draws, what_is_drawn_takes_no_memory)
{
    const int64_t size[2] = {1000, 1000};
    const size_t bytes = 1000 * 1000 * sizeof(float);
    for (int kind = 0; kind < FEET; kind++) {
        const bool rows = kind >= SOFTMAX;
        const result r = compute((foot)kind, size, &(variant){RG_F32, false, false, 1});
        const result plain = compute((foot)kind, size, &(variant){RG_F32, true, false, 1});
        cr_expect(r.bytes < rows * bytes + bytes / 4, "%s: %zu", names[kind], r.bytes);
        cr_expect(plain.bytes > rows * bytes + bytes / 2, "%s, not fused: %zu", names[kind], plain.bytes);
        free(r.values);
        free(plain.values);
    }
}
