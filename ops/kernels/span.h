/* span.h - walks operands of any length in whole vectors.

   What is left at the end goes through the same loop in padded copies, so that its code exists once. Two copies would
   compute the same numbers, but a compiler may order their operands differently, which shows in the NaN they pass on.

       real edge[RGK_OPERANDS][RGK_LANES];
       span s = span_begin(n, a, b, NULL, y);
       do
           for (size_t i = 0; i < s.n; i += RGK_LANES)
               v_store(s.y + i, f(v_load(s.x[0] + i), v_load(s.x[1] + i)));
       while (span_next(&s, edge)); */
#ifndef RGK_SPAN_H
#define RGK_SPAN_H

#include "isa.h"

#include <stdbool.h>

#define RGK_OPERANDS 3

typedef struct span {
    const real *x[RGK_OPERANDS]; /* NULL behind the last one */
    real *y;
    size_t n;      /* elements of this pass, whole vectors */
    size_t part;   /* elements left behind them */
    size_t passes; /* this and those to come */
    real *end;     /* where those elements go */
} span;

/* The same number, unknown to the optimiser: it would copy the body of a loop that runs at most twice. */
RGK_INLINE size_t span_opaque(size_t n)
{
    __asm__("" : "+r"(n));
    return n;
}

RGK_INLINE span span_begin(size_t n, const void *a, const void *b, const void *c, void *y)
{
    const size_t part = n % RGK_LANES;
    return (span){.x = {a, b, c}, .y = y, .n = n - part, .part = part, .passes = span_opaque(part ? 2 : 1)};
}

RGK_INLINE bool span_next(span *s, real edge[RGK_OPERANDS][RGK_LANES])
{
    if (--s->passes > 0) {
        for (int i = 0; i < RGK_OPERANDS && s->x[i]; i++) {
            v_store(edge[i], v_load_part(s->x[i] + s->n, s->part));
            s->x[i] = edge[i];
        }
        s->end = s->y + s->n;
        s->y = edge[0];
        s->n = span_opaque(RGK_LANES);
        return true;
    }
    if (s->part)
        v_store_part(s->end, s->part, v_load(edge[0]));
    return false;
}

#endif
