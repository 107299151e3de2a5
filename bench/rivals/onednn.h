/* onednn.h - ONEDNN(start) in a group's table is `start` where the build found oneDNN, else who says that it did
   not. */
#ifndef BENCH_ONEDNN_H
#define BENCH_ONEDNN_H

#include "../bench.h"

#ifdef BENCH_HAVE_ONEDNN
#define ONEDNN(start) start
#else
#define ONEDNN(start) onednn_absent
#endif

bench_start onednn_absent;

#endif
