/* bf16.c - bf16 to f32 and back. */
#include "bf16.h"
#include "list.h"

void RGK_NAME(widen)(size_t n, const uint16_t *x, void *y)
{
    bf16_widen(n, x, y);
}

void RGK_NAME(narrow)(size_t n, const void *x, uint16_t *y)
{
    bf16_narrow(n, x, y);
}
