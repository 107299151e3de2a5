/* gemm_block.h - how products are cut to what caches hold. */
#ifndef RGK_GEMM_BLOCK_H
#define RGK_GEMM_BLOCK_H

#include "gemm_turn.h"
#include "tile_size.h"

/* A panel of V, K_BLOCK x TILE_COLS, stays in L2 while the tiles of ROW_BLOCK rows of S pass; those rows stay there for
   all panels of V_BYTES. */
#define K_BLOCK ((size_t)768)
#define ROW_BLOCK ((size_t)96)
/* The same where rows of S are packed. They are so once for each piece of V, which shorter sums make wider; and columns
   of S that are a multiple of 4 KiB apart share a few sets of L2, which more of them would overflow. */
#define K_PACKED ((size_t)256)
#define V_BYTES ((size_t)640 * 1024)
RGK_INLINE size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* The size of the parts when n is cut into equal parts of at most `most`. */
RGK_INLINE size_t even_part(size_t n, size_t most, size_t unit)
{
    const size_t parts = (n + most - 1) / most;
    return parts ? round_up((n + parts - 1) / parts, unit) : unit;
}

/* Rows of a block are cut into tiles that differ by one row at most: how many there are, and where one begins. */
RGK_INLINE size_t tile_count(size_t rows)
{
    return (rows + TILE_ROWS - 1) / TILE_ROWS;
}

RGK_INLINE size_t tile_begin(size_t rows, size_t q)
{
    return rows * q / tile_count(rows);
}

/* Whether S is read where it lies. Where it lies by columns that pays if few panels pass, and not if columns begin at
   few distances from one another modulo 4 KiB: they share sets of L1, and what one tile has read of a line is gone when
   the next one wants the rest. */
RGK_INLINE bool reads_directly(const rgk_gemm *g)
{
    const size_t pitch = (size_t)(g->a_col < 0 ? -g->a_col : g->a_col) * sizeof(real);
    return g->a_col == 1 || (g->a_row == 1 && g->n <= 2 * TILE_COLS && pitch % 1024 != 0);
}

/* Asks for a tile of C that will be read. */
RGK_INLINE void expect(const real *c, ptrdiff_t c_row, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++, c += c_row) {
        for (size_t j = 0; j < cols; j += 64 / sizeof(real))
            __builtin_prefetch(c + j, 1, 3);
    }
}

#endif
