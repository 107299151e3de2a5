/* span.h - walks operands of any length in whole vectors.

   What is left at the end goes through the same loop in padded copies, so that its code exists once. Two copies would
   compute the same numbers, but a compiler may order their operands differently, which shows in the NaN they pass on.

       real edge[RGK_OPERANDS][RGK_LANES];
       span s = span_begin(2, n, a, b, NULL, y, once, edge);
       do
           for (size_t i = 0; i < s.n; i += RGK_LANES)
               v_store(s.y + i, f(span_load(&s, 0, i), span_load(&s, 1, i)));
       while (span_next(2, &s, edge));

   An operand that is one element, bit k of `once`, is a vector in the same loop, for the same reason. */
#ifndef RGK_SPAN_H
#define RGK_SPAN_H

#include "isa.h"

#include <stdbool.h>

#define RGK_OPERANDS 3

typedef struct span {
    const real *x[RGK_OPERANDS];
    size_t walks[RGK_OPERANDS]; /* all bits, or none of an operand that is one element */
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

/* Loops over operands are unrolled: what they index is then kept in registers. */
RGK_INLINE span span_begin(const int operands, size_t n, const void *a, const void *b, const void *c, void *y,
                           unsigned once, real edge[RGK_OPERANDS][RGK_LANES])
{
    const size_t part = n % RGK_LANES;
    span s = {.x = {a, b, c}, .y = y, .n = n - part, .part = part, .passes = span_opaque(part ? 2 : 1)};
    RGK_UNROLL
    for (int k = 0; k < operands; k++) {
        s.walks[k] = SIZE_MAX;
        if (once >> k & 1) {
            v_store(edge[k], v_set(*s.x[k]));
            s.x[k] = edge[k];
            s.walks[k] = 0;
        }
    }
    return s;
}

RGK_INLINE vreal span_load(const span *s, int k, size_t i)
{
    return v_load(s->x[k] + (i & s->walks[k]));
}

RGK_INLINE bool span_next(const int operands, span *s, real edge[RGK_OPERANDS][RGK_LANES])
{
    if (--s->passes > 0) {
        RGK_UNROLL
        for (int k = 0; k < operands; k++)
            if (s->walks[k]) {
                v_store(edge[k], v_load_part(s->x[k] + s->n, s->part));
                s->x[k] = edge[k];
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
