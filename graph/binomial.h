/* binomial.h - the schedule by which a long walk is gone through backwards with few checkpoints (Griewank and Walther,
   Algorithm 799: revolve, ACM TOMS 26, 2000).

   A walk of n blocks is walked forwards once, then its blocks are asked for from the last one to the first. To enter a
   block one walks to it from the nearest checkpoint before it. With s checkpoints, that of block 0 counted, and no
   block walked more than r times, n = C(s + r, s) blocks are the most that can be done; the schedule walks the fewest
   blocks altogether. A checkpoint's slot is free again once its block has been entered. */
#ifndef RGI_BINOMIAL_H
#define RGI_BINOMIAL_H

#include <stdbool.h>
#include <stdint.h>

/* A walk from the checkpoint of block `at`, kept in slot `slot`, over blocks in front of `end`. */
typedef struct rgi_revolve {
    int64_t at, end, slot;
} rgi_revolve;

/* How many blocks are walked altogether, the first time counted, until each of n has been entered. */
double rgi_binomial_walked(int64_t n, int64_t slots);
/* The least slots with which no block is walked more often than there are slots: with fewer, what is walked grows
   faster than memory shrinks. */
int64_t rgi_binomial_least(int64_t n);

/* The walk that comes first: block 0 is kept in slot 0. */
static inline rgi_revolve rgi_revolve_first(int64_t n)
{
    return (rgi_revolve){0, n, 0};
}
/* How block k is entered, those behind it being done: the walk from the nearest checkpoint there is. */
rgi_revolve rgi_revolve_to(int64_t n, int64_t slots, int64_t k);
/* Goes on to the next block that is kept on the way; false if there is none. */
bool rgi_revolve_next(rgi_revolve *w, int64_t slots);

#endif
