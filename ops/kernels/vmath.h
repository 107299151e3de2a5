/* vmath.h - functions of vectors: every lane by the same arithmetic, whatever its place. */
#ifndef RGK_VMATH_H
#define RGK_VMATH_H

#include "vmath_erf.h"
#include "vmath_exp.h"
#include "vmath_log.h"
#include "vmath_pow.h"
#include "vmath_trig.h"

#endif
