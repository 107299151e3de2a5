/* conv_frames.c - operands and results of the kernels of convolution between canaries. */
#include "conv_frames.h"

#include <criterion/criterion.h>
#include <math.h>

static uint64_t state = 1;

size_t draw(size_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)((state >> 33) % below);
}

frame blank(const rgk_table *t, size_t n)
{
    return frame_new(n, width(t), 1);
}

frame numbers(const rgk_table *t, size_t n)
{
    frame f = blank(t, n);
    for (size_t i = 0; i < n; i++)
        put(t, f.p, i, (double)draw(2001) / 1000 - 1);
    return f;
}

void close_to(const rgk_table *t, double have, double want, double scale, const char *what)
{
    cr_assert(fabs(have - want) <= 16 * epsilon(t) * (scale + 1), "%s %s: %s is %.9g, not %.9g", NAME(t), what, have,
              want);
}
