/* slope.c - derivatives by differences.

   Two five-point estimates, with steps h and h / 2, have errors h^4 f5 / 30 and
   a sixteenth of it; what they differ by is what the better one is to be
   trusted by. Both are blind to a kink at 0 itself, whose slopes they average.
   The slopes of the two sides differ by J(h) = (f(h) - 2 f(0) + f(-h)) / h,
   which is h f'' where f is smooth, so 2 J(h/2) - J(h) is of order h^3 there,
   and the jump of the slope at a kink. */
#include "slope.h"

#include "../graph/philox.h"

#include <float.h>
#include <math.h>

double rgi_draw(uint64_t stream, uint64_t i)
{
    const uint32_t counter[4] = {(uint32_t)i, (uint32_t)(i >> 32), 0, 0};
    uint32_t word[4];
    rgi_philox(counter, stream, word);
    return (double)word[0] / 2147483648.0 - 1;
}

rg_status rgi_slope_find(rgi_curve f, void *user, double step, rgi_slope *out)
{
    static const double at[7] = {0, 0.5, -0.5, 1, -1, 2, -2};
    *out = (rgi_slope){.doubt = INFINITY};
    for (int round = 0; round < 3; round++, step /= 8) {
        double y[7] = {0}, most = 0;
        for (int k = 0; k < 7; k++) {
            const rg_status status = f(user, at[k] * step, &y[k]);
            if (status)
                return status;
            most = fmax(most, fabs(y[k]));
        }
        const double coarse = (8 * (y[3] - y[4]) - (y[5] - y[6])) / (12 * step);
        const double fine = (8 * (y[1] - y[2]) - (y[3] - y[4])) / (6 * step);
        const double jump = 4 * (y[1] - 2 * y[0] + y[2]) / step - (y[3] - 2 * y[0] + y[4]) / step;
        const double doubt = fabs(coarse - fine) + fabs(jump), least = 64 * DBL_EPSILON * most / step;
        if (doubt < out->doubt)
            *out = (rgi_slope){fine, doubt, least};
        if (out->doubt <= 1e-7 * fabs(out->value) + out->least)
            break;
    }
    return RG_OK;
}

rgi_verdict rgi_slope_judge(const rgi_slope *s, double derivative, double size, double tolerance, double *error)
{
    const double noise = s->least / tolerance;
    const double scale = fmax(fmax(fabs(derivative), fabs(s->value)), fmax(1e-3 * size, noise)) + 1e-300;
    const double doubt = s->doubt / scale;
    *error = fabs(derivative - s->value) / scale;
    if (!(doubt < 1e-3))
        return RGI_NOT_SMOOTH;
    if (isnan(derivative))
        *error = INFINITY;
    if (*error <= tolerance)
        return RGI_AGREES;
    return *error <= 8 * doubt ? RGI_NOT_SMOOTH : RGI_DIFFERS;
}
