/* groups.h - what there is to measure; BENCH_GROUPS is X(name) for each cases_NAME.c, see meson.build. */
#ifndef BENCH_GROUPS_H
#define BENCH_GROUPS_H

#include "bench.h"

#define X(name) extern const bench_group cases_##name;
BENCH_GROUPS
#undef X

#endif
