/* slope.c - derivatives by differences.

   Two five-point estimates, with steps h and h / 2, have errors h^4 f5 / 30 and a sixteenth of it; what they differ by
   is what the better one is to be trusted by. Both are blind to a kink at 0 itself, whose slopes they average. The
   slopes of the two sides differ by J(h) = (f(h) - 2 f(0) + f(-h)) / h, which is h f'' where f is smooth, so 2 J(h/2) -
   J(h) is of order h^3 there, and the jump of the slope at a kink. */
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
    const double widest = step;
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
            *out = (rgi_slope){fine, doubt, least, widest, step};
        if (out->doubt <= 1e-7 * fabs(out->value) + out->least)
            break;
    }
    return RG_OK;
}

/* Of nine values the fifth differences: h^5 f5 of a smooth f, with h an eighth of the step; of noise, sums that are
   sqrt(252) times as large as each. */
rg_status rgi_noise_find(rgi_curve f, void *user, double step, double *out)
{
    enum { VALUES = 9, MIDDLE = 4, ORDER = 5 };
    double y[VALUES], most = 0;
    for (int k = 0; k < VALUES; k++) {
        const rg_status status = f(user, (k - MIDDLE) * step / 8, &y[k]);
        if (status)
            return status;
    }
    for (int order = 0; order < ORDER; order++)
        for (int k = 0; k < VALUES - 1 - order; k++)
            y[k] = y[k + 1] - y[k];
    for (int k = 0; k < VALUES - ORDER; k++)
        most = fmax(most, fabs(y[k]));
    *out = most / sqrt(252);
    return RG_OK;
}

/* The differences of rgi_slope_find make at most 3 / step of an error of the values, and errors are a few times what
   is found of noise. Where values stand still for all of a small step, being rounded, they do not for a wide one.
   Where they stand still for all of that too, as of 1 - tanh(x)^2 far out, what is left is the rounding of numbers
   of size `unit`. */
rg_status rgi_slope_doubt(rgi_curve f, void *user, double unit, rgi_slope *s)
{
    double near = 0, wide = 0;
    rg_status status = rgi_noise_find(f, user, s->step, &near);
    status = status ? status : rgi_noise_find(f, user, s->widest, &wide);
    s->least = fmax(s->least, 10 * fmax(DBL_EPSILON * unit, fmax(near, wide)) / s->step);
    return status;
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
