/* ops.h - every operator, by family. */
#ifndef RETROGRADE_OPS_H
#define RETROGRADE_OPS_H

#include <retrograde/ops/conv.h>
#include <retrograde/ops/elementwise.h>
#include <retrograde/ops/linalg.h>
#include <retrograde/ops/loss.h>
#include <retrograde/ops/norm.h>
#include <retrograde/ops/order.h>
#include <retrograde/ops/pool.h>
#include <retrograde/ops/random.h>
#include <retrograde/ops/reduce.h>
#include <retrograde/ops/shape.h>

#endif
