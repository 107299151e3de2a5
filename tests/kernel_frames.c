/* kernel_frames.c - every table of kernels, arrays of either type, outputs between canaries. */
#include "kernel_frames.h"
#include "naive.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void each_table(void (*f)(const rgk_table *t))
{
    for (int isa = 0; isa <= RGK_AVX512; isa++)
        for (int type = 0; type < RGK_TYPE_COUNT; type++)
            if (rgk_of((rgk_isa)isa, (rgk_type)type))
                f(rgk_of((rgk_isa)isa, (rgk_type)type));
}

/* ---- arrays of either type ---- */

NAIVE size_t width(const rgk_table *t)
{
    return t->type == RGK_F32 ? sizeof(float) : sizeof(double);
}

NAIVE double get(const rgk_table *t, const void *p, size_t i)
{
    return t->type == RGK_F32 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}

NAIVE void put(const rgk_table *t, void *p, size_t i, double x)
{
    if (t->type == RGK_F32)
        ((float *)p)[i] = (float)x;
    else
        ((double *)p)[i] = x;
}

NAIVE double rounded(const rgk_table *t, double x)
{
    return t->type == RGK_F32 ? (double)(float)x : x;
}

double epsilon(const rgk_table *t)
{
    return t->type == RGK_F32 ? 0x1p-23 : 0x1p-52;
}

NAIVE void *at(const rgk_table *t, void *p, size_t i)
{
    return (char *)p + i * width(t);
}

enum { CANARY = 256 };

frame frame_new(size_t n, size_t bytes, size_t offset)
{
    frame f = {.bytes = n * bytes};
    f.memory = aligned_alloc(64, (f.bytes + 2 * CANARY + 127) / 64 * 64);
    cr_assert(f.memory);
    memset(f.memory, MARK, f.bytes + 2 * CANARY);
    f.p = f.memory + CANARY + offset * bytes;
    return f;
}

static NAIVE void check(const frame *f, const char *what)
{
    const size_t before = (size_t)((unsigned char *)f->p - f->memory);
    for (size_t i = 0; i < before; i++)
        cr_assert(f->memory[i] == MARK, "%s: byte %zu before the output is written", what, before - i);
    for (size_t i = 0; i < 2 * CANARY - before; i++)
        cr_assert(f->memory[before + f->bytes + i] == MARK, "%s: byte %zu behind the output is written", what, i);
}

void frame_free(frame *f, const char *what)
{
    check(f, what);
    free(f->memory);
}

/* ---- scratch ---- */

frame scratch_begin(size_t bytes)
{
    static unsigned char *memory;
    static size_t most;
    if (bytes > most || !memory) {
        free(memory);
        most = bytes;
        memory = aligned_alloc(64, (most + 2 * CANARY + 63) / 64 * 64);
        cr_assert(memory);
        memset(memory, MARK, most + 2 * CANARY);
    }
    memset(memory, MARK, CANARY);
    memset(memory + CANARY + bytes, MARK, CANARY);
    return (frame){.memory = memory, .bytes = bytes, .p = memory + CANARY};
}

void scratch_end(const frame *f, const char *what)
{
    check(f, what);
}

size_t size_at(const rgk_table *t, size_t i)
{
    const size_t l = t->lanes;
    const size_t sizes[] = {0, 1, 2, 3, l - 1, l, l + 1, 2 * l - 1, 2 * l, 3 * l + 2, 4 * l + 1, 97};
    return i < sizeof sizes / sizeof *sizes ? sizes[i] : SIZE_MAX;
}

static uint64_t state = 88172645463325252u;

NAIVE double random_unit(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(int64_t)state * 0x1p-63;
}

void fill_values(const rgk_table *t, void *p, size_t n, bool wild)
{
    for (size_t i = 0; i < n; i++) {
        const double u = random_unit();
        double x = 4 * u;
        if (u > 0.9)
            x = rint(10 * u);
        if (wild && u < -0.8)
            x = u < -0.95 ? NAN : u < -0.9 ? INFINITY : u < -0.85 ? -INFINITY : -1e-310;
        if (u > -0.1 && u < 0.1)
            x = u < 0 ? -0.0 : 0.0;
        put(t, p, i, x);
    }
}
