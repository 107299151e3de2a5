/* amx.c - whether there are tiles, and the permission to use them. */
#define _GNU_SOURCE

#include "amx.h"
#include "kernels.h"

#include <stdatomic.h>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_REQ_XCOMP_PERM 0x1023
#define STATE_TILES 18 /* in the extended state of a thread; 17 is their configuration */

bool rgk_has_amx(void)
{
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return false;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    const unsigned bf16 = 1u << 22, tiles = 1u << 24, saved = 3u << (STATE_TILES - 1);
    return (d & bf16) && (d & tiles) && (low & saved) == saved;
}

static bool ask(void)
{
    return rgk_has_amx() && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, STATE_TILES) == 0;
}
#else
bool rgk_has_amx(void)
{
    return false;
}

static bool ask(void)
{
    return false;
}
#endif

/* 1: it may not, 2: it may. Threads that race agree on whose answer came first. */
static atomic_int answer;

bool rgk_amx_permitted(void)
{
    int none = 0;
    if (atomic_load_explicit(&answer, memory_order_relaxed) == 0)
        atomic_compare_exchange_strong(&answer, &none, ask() ? 2 : 1);
    return atomic_load_explicit(&answer, memory_order_relaxed) == 2;
}
