/* tile_size.h - how many sums the registers hold beside their operands. */
#ifndef RGK_TILE_SIZE_H
#define RGK_TILE_SIZE_H

#include "isa.h"

/* Six rows, since rows of S that are a multiple of 4 KiB apart share the 8 ways of an L1 set; as many vectors as the
   registers hold beside one vector of V each and a broadcast. */
#define TILE_ROWS 6
#if RGK_VECTOR_BYTES == 64 || defined(__aarch64__)
#define TILE_VECTORS 4
#else
#define TILE_VECTORS 2
#endif
#define TILE_COLS (TILE_VECTORS * RGK_LANES)

#endif
