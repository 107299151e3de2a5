/* slope.h - the derivative of a function of one number by differences, and how far it is to be trusted. */
#ifndef RGI_SLOPE_H
#define RGI_SLOPE_H

#include <retrograde/base.h>

/* f(h) for the caller's own f. */
typedef rg_status (*rgi_curve)(void *user, double h, double *f);

typedef struct rgi_slope {
    double value;        /* f'(0) */
    double doubt;        /* what two estimates differ by, and by how much the slopes of both sides differ beyond
                            curvature */
    double least;        /* sizes below are rounding */
    double widest, step; /* of the differences tried first, and of those it is from */
} rgi_slope;

/* Differences with steps of about `step`, smaller ones where those do not agree. */
rg_status rgi_slope_find(rgi_curve f, void *user, double step, rgi_slope *out);

/* How far values of f near 0, `step` / 8 apart, lie off any smooth curve: what rounding makes of them. */
rg_status rgi_noise_find(rgi_curve f, void *user, double step, double *out);
/* Where a slope and a derivative differ: takes into account how rough the values are that the slope is from.
   `unit`: of the numbers they are computed from. */
rg_status rgi_slope_doubt(rgi_curve f, void *user, double unit, rgi_slope *s);

/* A number in [-1, 1) from a stream. */
double rgi_draw(uint64_t stream, uint64_t i);

/* How a derivative compares with a slope. */
typedef enum rgi_verdict {
    RGI_AGREES,
    RGI_DIFFERS,
    RGI_NOT_SMOOTH /* the slope is no derivative: a kink, a jump, the edge of where f is defined, values that are all
                      rounding */
} rgi_verdict;

/* `size`: of the terms that the derivative is a sum of. *error: relative to the largest of these numbers. */
rgi_verdict rgi_slope_judge(const rgi_slope *s, double derivative, double size, double tolerance, double *error);

#endif
