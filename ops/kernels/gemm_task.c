/* gemm_task.c - how a product is cut into tasks: strips along the longer side of C, a grid where both sides are long.
   Bits do not depend on the cut, and neighbouring tasks of one thread are done as one product, so this is a matter of
   balance alone: strips are narrow, but whole vectors. */
#include "gemm.h"

#define STRIPS 64 /* along one side */
#define GRID 1024 /* both sides at least this long: a grid of SQUARES each way */
#define SQUARES 8

static size_t strip(size_t n, size_t strips)
{
    const size_t each = (n + strips - 1) / strips;
    return each ? (each + RGK_LANES - 1) / RGK_LANES * RGK_LANES : 1;
}

void RGK_NAME(gemm_tile)(size_t m, size_t n, size_t k, size_t *tm, size_t *tn)
{
    (void)k;
    *tm = m ? m : 1;
    *tn = n ? n : 1;
    if (m >= GRID && n >= GRID) {
        *tm = strip(m, SQUARES);
        *tn = strip(n, SQUARES);
    } else if (m > n) {
        *tm = strip(m, STRIPS);
    } else {
        *tn = strip(n, STRIPS);
    }
}
