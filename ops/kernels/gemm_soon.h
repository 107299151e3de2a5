/* gemm_soon.h - what the caller of a product will read: its tiles ask for it while they compute. */
#ifndef RGK_GEMM_SOON_H
#define RGK_GEMM_SOON_H

#include "gemm_tile.h"
#include "kernels.h"

/* How far that is: bytes of a piece that were asked for. */
typedef struct soon_place {
    size_t piece, at;
} soon_place;

/* A tile asks for as many lines as its sum is long. False: all is on its way. */
RGK_INLINE bool ask_soon(const rgk_gemm *g, soon_place *x, tile *t)
{
    const size_t line = 64 / sizeof(real);
    if (x->piece >= g->n_soon)
        return false;
    t->ahead = (const real *)((const char *)g->soon[x->piece] + x->at);
    t->ahead_row = (ptrdiff_t)line;
    x->at += t->k * 64;
    if (x->at >= g->soon_bytes[x->piece])
        *x = (soon_place){x->piece + 1, 0};
    return true;
}

#endif
