/* cases_gemm.c - matrix products: square, skinny as in networks, tiny, with weights larger than caches. Names end in
   nn, nt, tn, tt: which operand is stored transposed; in weight: as nt, B a
   parameter that stays as it is. */
#include "gemm.h"
#include "rivals/blas.h"
#include "rivals/onednn.h"

#include <stdlib.h>

static const gemm_row rows[] = {
    {"128^3 nn", 128, 128, 128, false, false, false},         {"256^3 nn", 256, 256, 256, false, false, false},
    {"512^3 nn", 512, 512, 512, false, false, false},         {"1024^3 nn", 1024, 1024, 1024, false, false, false},
    {"1024^3 nt", 1024, 1024, 1024, false, true, false},      {"1024^3 tn", 1024, 1024, 1024, true, false, false},
    {"1024^3 tt", 1024, 1024, 1024, true, true, false},       {"2048^3 nn", 2048, 2048, 2048, false, false, false},
    {"64x512x784 nn", 64, 512, 784, false, false, false},     {"64x512x784 nt", 64, 512, 784, false, true, false},
    {"64x784x512 nt", 64, 784, 512, false, true, false},      {"64x784x512 nn", 64, 784, 512, false, false, false},
    {"784x512x64 tn", 784, 512, 64, true, false, false},      {"256x512x784 nt", 256, 512, 784, false, true, false},
    {"784x512x256 tn", 784, 512, 256, true, false, false},    {"32x1024x256 nt", 32, 1024, 256, false, true, false},
    {"32x1024x256 nn", 32, 1024, 256, false, false, false},   {"32x256x1024 nn", 32, 256, 1024, false, false, false},
    {"1024x256x32 tn", 1024, 256, 32, true, false, false},    {"32x2048x512 nt", 32, 2048, 512, false, true, false},
    {"32x2048x512 nn", 32, 2048, 512, false, false, false},   {"32x512x2048 nn", 32, 512, 2048, false, false, false},
    {"2048x512x32 tn", 2048, 512, 32, true, false, false},    {"64^3 nn", 64, 64, 64, false, false, false},
    {"64x10x512 nn", 64, 10, 512, false, false, false},       {"64x10x512 nt", 64, 10, 512, false, true, false},
    {"16x100x150 nn", 16, 100, 150, false, false, false},     {"1x4096x4096 nn", 1, 4096, 4096, false, false, false},
    {"1x4096x4096 nt", 1, 4096, 4096, false, true, false},    {"65536x32x32 nn", 65536, 32, 32, false, false, false},
    {"32x32x65536 tn", 32, 32, 65536, true, false, false},    {"32x4096x9216 nt", 32, 4096, 9216, false, true, false},
    {"32x9216x4096 nn", 32, 9216, 4096, false, false, false}, {"4096x9216x32 tn", 4096, 9216, 32, true, false, false},
    {"32x1024x256 weight", 32, 1024, 256, false, true, true}, {"32x2048x512 weight", 32, 2048, 512, false, true, true},
    {"64x512x784 weight", 64, 512, 784, false, true, true},   {"256x512x784 weight", 256, 512, 784, false, true, true},
    {"1x1024x1024 weight", 1, 1024, 1024, false, true, true}, {"64x10x512 weight", 64, 10, 512, false, true, true},
};

static double flops(const void *row)
{
    const gemm_row *r = row;
    return 2.0 * r->m * r->n * r->k;
}

static double bytes(const void *row)
{
    const gemm_row *r = row;
    return 4.0 * ((double)r->m * r->k + (double)r->k * r->n + (double)r->m * r->n);
}

static rg_node *operand(rg_graph *g, const char *name, int height, int width, bool transposed)
{
    return rg_input(g, name, RG_F32, transposed ? RG_SHAPE(width, height) : RG_SHAPE(height, width));
}

static const char *ours(const void *row, int threads, contestant *out)
{
    const gemm_row *r = row;
    rg_graph *g = rg_graph_new(NULL);
    rg_node *a = operand(g, "a", r->m, r->k, r->ta);
    rg_node *b = r->weight ? rg_param(g, "b", RG_F32, r->tb ? RG_SHAPE(r->n, r->k) : RG_SHAPE(r->k, r->n), NULL)
                           : operand(g, "b", r->k, r->n, r->tb);
    rg_node *c = rg_matmul_t(a, r->ta, b, r->tb);
    bench_plan *p = bench_plan_new(g, RG_NODES(c), c, threads);
    bench_plan_bind(p, a, bench_floats((int64_t)r->m * r->k, -0.5f, 0.5f));
    if (!r->weight)
        bench_plan_bind(p, b, bench_floats((int64_t)r->k * r->n, -0.5f, 0.5f));
    return bench_plan_start(p, out);
}

/* ---- libraries with cblas_sgemm ---- */

struct product {
    const gemm_row *row;
    const blas *blas;
    int threads;
    float *a, *b, *c;
};

static void finish(void *state)
{
    struct product *p = state;
    free(p->a);
    free(p->b);
    free(p->c);
    free(p);
}

static double run(void *state, int64_t steps)
{
    enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112 };
    const struct product *p = state;
    const gemm_row *r = p->row;
    p->blas->set_threads(p->threads);
    const double start = seconds_now();
    for (int64_t i = 0; i < steps; i++)
        p->blas->sgemm(ROW_MAJOR, r->ta ? TRANSPOSED : PLAIN, r->tb ? TRANSPOSED : PLAIN, r->m, r->n, r->k, 1, p->a,
                       r->ta ? r->m : r->k, p->b, r->tb ? r->k : r->n, 0, p->c, r->n);
    return seconds_now() - start;
}

static const char *start_blas(const blas *library, const gemm_row *r, int threads, contestant *out)
{
    if (library->skipped)
        return library->skipped;
    struct product *p = calloc(1, sizeof *p);
    if (!p)
        return "BLAS: out of memory";
    *p = (struct product){.row = r, .blas = library, .threads = threads};
    p->a = bench_floats((int64_t)r->m * r->k, -0.5f, 0.5f);
    p->b = bench_floats((int64_t)r->k * r->n, -0.5f, 0.5f);
    p->c = bench_floats((int64_t)r->m * r->n, 0, 0);
    if (!p->a || !p->b || !p->c) {
        finish(p);
        return "BLAS: out of memory";
    }
    *out = (contestant){run, finish, p};
    return NULL;
}

static const char *openblas(const void *row, int threads, contestant *out)
{
    return start_blas(blas_openblas(), row, threads, out);
}

static const char *blis(const void *row, int threads, contestant *out)
{
    return start_blas(blas_blis(), row, threads, out);
}

const bench_group cases_gemm = {
    .name = "gemm",
    .title = "Matrix products m x n x k, f32, operands as they come",
    BENCH_ROWS(rows),
    .ours = ours,
    .rivals = {{"oneDNN", ONEDNN(gemm_onednn)},
               {"oneDNN packed", ONEDNN(gemm_onednn_packed)},
               {"OpenBLAS", openblas},
               {"BLIS", blis}},
    .flops = flops,
    .bytes = bytes,
};
