/* retrograde.h - everything: build a graph, differentiate it, compile it, run it, train it. */
#ifndef RETROGRADE_RETROGRADE_H
#define RETROGRADE_RETROGRADE_H

#include <retrograde/autograd.h>
#include <retrograde/base.h>
#include <retrograde/graph.h>
#include <retrograde/io.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>
#include <retrograde/plan.h>
#include <retrograde/train.h>

#ifndef RG_NO_LOCATION
#include <retrograde/here.h>
#endif

#endif
