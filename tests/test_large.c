/* test_large.c - results larger than the caches are written past them: the same bits, wherever they go; large blocks of
   memory lie on huge pages. */
#include "must.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNT (((size_t)9 << 20) + 37) /* f32 elements: above what a last-level cache holds */

static float *filled(size_t n)
{
    float *x = malloc(n * sizeof *x);
    cr_assert(x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(i * 37 % 1009) / 500 - 1;
    return x;
}

/* Two results of one group, of which one reads the other. */
static void compute(const float *x, float *first, float *second, const rg_plan_opts *opts)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *in = rg_input(g, "x", RG_F32, RG_SHAPE((int64_t)COUNT));
    rg_node *a = rg_add_scalar(rg_scale(in, 2), 0.25), *b = rg_mul(rg_square(a), in);
    rg_plan *p = must_compile(g, RG_NODES(a, b), opts);
    must(rg_bind(p, in, x));
    must(rg_bind_out(p, a, first));
    must(rg_bind_out(p, b, second));
    must(rg_run(p));
    must(rg_run(p));
    rg_plan_free(p);
    rg_graph_free(g);
}

Test(large, same_bits_as_through_the_caches)
{
    float *x = filled(COUNT), *want[2], *got[2];
    for (int i = 0; i < 2; i++) {
        want[i] = filled(COUNT);
        got[i] = filled(COUNT);
    }
    compute(x, want[0], want[1], &(rg_plan_opts){.threads = 1, .no_fuse = true});
    for (int threads = 1; threads <= 2; threads++) {
        compute(x, got[0], got[1], &(rg_plan_opts){.threads = threads});
        for (int i = 0; i < 2; i++) {
            cr_expect(memcmp(want[i], got[i], COUNT * sizeof(float)) == 0, "%d threads, result %d", threads, i);
            memset(got[i], 0, COUNT * sizeof(float));
        }
    }
    for (int i = 0; i < 2; i++) {
        free(want[i]);
        free(got[i]);
    }
    free(x);
}

/* Whether the kernel has been told to put the mapping that `address` lies in on huge pages. */
static bool on_huge_pages(const void *address)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    cr_assert(maps);
    char line[512];
    bool within = false, huge = false;
    while (fgets(line, sizeof line, maps)) {
        unsigned long long first, last;
        if (sscanf(line, "%llx-%llx ", &first, &last) == 2)
            within = first <= (uintptr_t)address && (uintptr_t)address < last;
        else if (within && strncmp(line, "VmFlags:", 8) == 0)
            huge = strstr(line, " hg") != NULL;
    }
    fclose(maps);
    return huge;
}

Test(large, parameters_and_values_on_huge_pages)
{
    if (access("/proc/self/smaps", R_OK) || access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK))
        cr_skip_test("no huge pages to ask for here");
    rg_graph *g = rg_graph_new(NULL);
    rg_node *w = rg_param(g, "w", RG_F32, RG_SHAPE(1024, 1024), NULL);
    rg_node *square = rg_matmul(w, w);
    rg_plan *p = must_compile(g, RG_NODES(square), NULL);
    rg_tensor result;
    must(rg_run(p));
    must(rg_result(p, square, &result));
    cr_expect(on_huge_pages(rg_value(w).data));
    cr_expect((uintptr_t)rg_value(w).data % ((uintptr_t)2 << 20) == 0);
    cr_expect(on_huge_pages((const char *)result.data + ((size_t)2 << 20)));
    rg_plan_free(p);
    rg_graph_free(g);
}
