/* gemm_task.c - how a product is cut into tasks: strips along the longer side of C, a grid where both sides are long. Bits
   do not depend on the cut, so this is a matter of speed alone. */
#include "gemm.h"

#define STRIPS 16 /* along one side */
#define GRID 1024 /* both sides at least this long: a grid of STRIPS / 2 each way */

static size_t strip(size_t n, size_t strips, size_t unit)
{
    const size_t each = (n + strips - 1) / strips;
    return each ? (each + unit - 1) / unit * unit : unit;
}

void RGK_NAME(gemm_tile)(size_t m, size_t n, size_t k, size_t *tm, size_t *tn)
{
    const size_t unit = 2 * RGK_LANES;
    (void)k;
    *tm = m ? m : 1;
    *tn = n ? n : 1;
    if (m >= GRID && n >= GRID) {
        *tm = strip(m, STRIPS / 2, unit);
        *tn = strip(n, STRIPS / 2, unit);
    } else if (m > n) {
        *tm = strip(m, STRIPS, unit);
    } else {
        *tn = strip(n, STRIPS, unit);
    }
}
