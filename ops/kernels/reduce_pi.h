/* reduce_pi.h - huge angles modulo pi / 2. */
#ifndef RGK_REDUCE_PI_H
#define RGK_REDUCE_PI_H

/* For x >= 0: x = n pi / 2 + r with |r| <= pi / 4, returns n modulo 4. NaN if x is not finite. For what vectors cannot
   reduce; exact for every double but for the last rounding of r. */
int rgk_reduce_pi(double x, double *r);

#endif
