/* cases_bf16.c - matrix products whose operands are stored as bf16: large, skinny, and a vector times weights larger
   than caches. Names end in nn, nt (B stored transposed), weight (as nt, B a parameter that stays as it is), and f32 x
   weight (A is f32, which oneDNN has not). */
#include "bf16.h"
#include "rivals/onednn.h"

#include <stdlib.h>
#include <string.h>

static const bf16_row rows[] = {
    {"256^3 nn", 256, 256, 256, false, false, false},
    {"1024^3 nn", 1024, 1024, 1024, false, false, false},
    {"1024^3 nt", 1024, 1024, 1024, true, false, false},
    {"64x512x784 nt", 64, 512, 784, true, false, false},
    {"64x512x784 weight", 64, 512, 784, true, true, false},
    {"32x2048x512 weight", 32, 2048, 512, true, true, false},
    {"32x4096x9216 nt", 32, 4096, 9216, true, false, false},
    {"1x4096x4096 nn", 1, 4096, 4096, false, false, false},
    {"1x4096x4096 nt", 1, 4096, 4096, true, false, false},
    {"1x4096x4096 weight", 1, 4096, 4096, true, true, false},
    {"1x4096x4096 f32 x weight", 1, 4096, 4096, true, true, true},
    {"8x4096x4096 f32 x weight", 8, 4096, 4096, true, true, true},
    {"64x512x784 f32 x weight", 64, 512, 784, true, true, true},
};

static double flops(const void *row)
{
    const bf16_row *r = row;
    return 2.0 * r->m * r->n * r->k;
}

static double bytes(const void *row)
{
    const bf16_row *r = row;
    return (r->f32_rows ? 4.0 : 2.0) * r->m * r->k + 2.0 * r->k * r->n + 4.0 * r->m * r->n;
}

/* bench_floats cut to bf16, in the memory of as many floats. */
static void *halves(int64_t n)
{
    float *x = bench_floats(n, -0.5f, 0.5f);
    for (int64_t i = 0; x && i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        ((uint16_t *)(void *)x)[i] = (uint16_t)(bits >> 16);
    }
    return x;
}

static const char *start(const bf16_row *r, bool f32, int threads, contestant *out)
{
    const rg_dtype a_type = f32 || r->f32_rows ? RG_F32 : RG_BF16, b_type = f32 ? RG_F32 : RG_BF16;
    const int64_t n = (int64_t)r->k * r->n, m = (int64_t)r->m * r->k;
    rg_graph *g = rg_graph_new(NULL);
    const rg_shape shape = r->tb ? RG_SHAPE(r->n, r->k) : RG_SHAPE(r->k, r->n);
    rg_node *a = rg_input(g, "a", a_type, RG_SHAPE(r->m, r->k));
    rg_node *b =
        r->weight ? rg_param(g, "b", b_type, shape, &(rg_param_opts){.frozen = true}) : rg_input(g, "b", b_type, shape);
    rg_node *c = rg_matmul_t(a, false, b, r->tb);
    bench_plan *p = bench_plan_new(g, RG_NODES(c), c, threads);
    bench_plan_bind(p, a, a_type == RG_F32 ? (void *)bench_floats(m, -0.5f, 0.5f) : halves(m));
    void *data = f32 ? (void *)bench_floats(n, -0.5f, 0.5f) : halves(n);
    if (!r->weight) {
        bench_plan_bind(p, b, data);
        return bench_plan_start(p, out);
    }
    if (p && (!data || rg_set(b, &(rg_tensor){.dtype = b_type, .shape = shape, .data = data})))
        bench_plan_bind(p, b, NULL); /* told when it starts */
    free(data);
    return bench_plan_start(p, out);
}

static const char *ours(const void *row, int threads, contestant *out)
{
    return start(row, false, threads, out);
}

static const char *ours_f32(const void *row, int threads, contestant *out)
{
    return start(row, true, threads, out);
}

const bench_group cases_bf16 = {
    .name = "bf16",
    .title = "Matrix products m x n x k of operands stored as bf16",
    BENCH_ROWS(rows),
    .ours = ours,
    .rivals = {{"oneDNN", ONEDNN(bf16_onednn)},
               {"oneDNN packed", ONEDNN(bf16_onednn_packed)},
               {"ours in f32", ours_f32}},
    .flops = flops,
    .bytes = bytes,
};
