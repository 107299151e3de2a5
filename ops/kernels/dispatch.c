/* dispatch.c - which table of kernels this machine uses. */
#include "amx.h"
#include "kernels.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[RGK_ISA_COUNT] = {"generic", "avx2", "avx512", "avx512_bf16", "amx"};

#if defined(__x86_64__)
static const rgk_table *const tables[RGK_ISA_COUNT][RGK_TYPE_COUNT] = {
    [RGK_GENERIC] = {&rgk_generic_f32, &rgk_generic_f64},
#if defined(RGK_HAVE_AVX2)
    [RGK_AVX2] = {&rgk_avx2_f32, &rgk_avx2_f64},
#endif
#if defined(RGK_HAVE_AVX512)
    [RGK_AVX512] = {&rgk_avx512_f32, &rgk_avx512_f64},
#endif
#if defined(RGK_HAVE_PAIRS)
    [RGK_AVX512_BF16] = {&rgk_avx512_bf16_f32, &rgk_avx512_f64},
    [RGK_AMX] = {&rgk_amx_f32, &rgk_avx512_f64},
#endif
};

/* Whether it was compiled and the machine has it. __builtin_cpu_supports also asks whether the operating system saves
   the wide registers. */
static bool supported(rgk_isa isa)
{
    if (!tables[isa][RGK_F32])
        return false;
    __builtin_cpu_init();
    switch (isa) {
    case RGK_GENERIC:
        return true;
    case RGK_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case RGK_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case RGK_AVX512_BF16:
        return supported(RGK_AVX512) && __builtin_cpu_supports("avx512bf16");
    case RGK_AMX:
        return supported(RGK_AVX512) && rgk_has_amx();
    case RGK_ISA_COUNT:
        break;
    }
    return false;
}
#else
static const rgk_table *const tables[RGK_ISA_COUNT][RGK_TYPE_COUNT] = {
    {&rgk_generic_f32, &rgk_generic_f64},
};

static bool supported(rgk_isa isa)
{
    return isa == RGK_GENERIC;
}
#endif

/* Intel's cores add a vector of pairs of bf16 products in the time of four of multiply-adds: widened numbers, which
   give half as many products each, are done in half the time. */
static bool worth_it(rgk_isa isa)
{
#if defined(__x86_64__)
    return isa != RGK_AVX512_BF16 || !__builtin_cpu_is("intel");
#else
    return isa == RGK_GENERIC;
#endif
}

/* The best supported one, not above what RETROGRADE_ISA names. */
static rgk_isa choose(void)
{
    rgk_isa limit = RGK_ISA_COUNT - 1;
    const char *wanted = getenv("RETROGRADE_ISA");
    bool named = false;
    for (int i = 0; wanted && i < RGK_ISA_COUNT; i++)
        if (strcmp(wanted, names[i]) == 0) {
            limit = (rgk_isa)i;
            named = true;
        }
    while (!supported(limit) || !(named || worth_it(limit)))
        limit = (rgk_isa)(limit - 1);
    return limit;
}

/* The choice plus one; 0 before it is made. Threads that race make the same choice. */
static atomic_int chosen;

__attribute__((constructor)) static void choose_at_load(void)
{
    atomic_store_explicit(&chosen, (int)choose() + 1, memory_order_relaxed);
}

const rgk_table *rgk(rgk_type type)
{
    /* Another library's constructor may run before ours. */
    if (atomic_load_explicit(&chosen, memory_order_relaxed) == 0)
        choose_at_load();
    return tables[atomic_load_explicit(&chosen, memory_order_relaxed) - 1][type];
}

const rgk_table *rgk_of(rgk_isa isa, rgk_type type)
{
    return supported(isa) ? tables[isa][type] : NULL;
}

const rgk_table *rgk_of_pairs(void)
{
    const rgk_table *const t = rgk(RGK_F32);
    return t->isa == RGK_AMX && !rgk_amx_permitted() ? rgk_of(RGK_AVX512, RGK_F32) : t;
}

const char *rgk_isa_name(rgk_isa isa)
{
    return names[isa];
}
