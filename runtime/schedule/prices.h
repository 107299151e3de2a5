/* prices.h - what it is taken to cost to do loops in one way or another. */
#ifndef RGI_PRICES_H
#define RGI_PRICES_H

#include "../plan.h"

#define RGI_GAIN 0.9 /* of the time otherwise: more than that is not worth a team, or a branch */

/* Nanoseconds of a loop: on one thread; with its steps shared out one by one; in pieces of its rows. */
typedef struct rgi_prices {
    double alone, stepwise, by_rows;
} rgi_prices;

/* Nanoseconds that a step takes less than it seems to: what a loop reads in every step anew, as weights, is near by
   then. More than it seems to, a negative number, where of so many threads each reads a part of it that is larger than
   its cache. */
double rgi_read_again(const rg_plan *p, const rgi_special *s, size_t step, uint32_t threads);
/* rows: how it is cut, or NULL: by_rows is infinite then. */
rgi_prices rgi_loop_prices(const rg_plan *p, const rgi_special *s, int32_t loop, const rgi_rows *rows, uint32_t lanes);
/* The same for a loop beside others, as near as it is known: weights that stay in a cache, and what one thread has made
   in that of another. */
rgi_prices rgi_loop_times(const rg_plan *p, const rgi_special *s, int32_t loop, const rgi_rows *rows, uint32_t threads);
/* What is known of loops that can be cut by rows, by loop. */
typedef struct rgi_cuts {
    size_t *touched; /* see rgi_rows_find; zeros but while it is used, as is ... */
    uint8_t *done;   /* ... this, of branches.c */
    rgi_rows *rows;  /* without pieces; batch 0: cannot be cut */
    bool *known;
} rgi_cuts;

/* Room for it; false: out of memory. */
bool rgi_cuts_make(rg_plan *p, rgi_cuts *out);
/* Whether a loop is worth cutting by rows for so many threads, and into how many pieces. */
bool rgi_rows_worth(const rg_plan *p, rgi_special *s, int32_t loop, uint32_t lanes, const rgi_cuts *cuts,
                    rgi_rows *out);
/* Which loops go side by side; s->sections, and the steps say so. False: out of memory. */
bool rgi_sections_find(rg_plan *p, rgi_special *s, uint32_t lanes, const rgi_cuts *cuts);

#endif
