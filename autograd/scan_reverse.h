/* scan_reverse.h - the reverse of a recurrence, whole or a segment of it. */
#ifndef RGI_SCAN_REVERSE_H
#define RGI_SCAN_REVERSE_H

#include "sink.h"

/* What goes in is filled by the caller, arrays included; what comes out, into arrays of the caller's. */
typedef struct rgi_reversal {
    rg_scan *forward;
    rg_node *const *of, *const *ct; /* n_ct values of the body and the cotangents of their stacks */
    size_t n_ct;
    rg_node *const *last; /* by carry: cotangent after the last step, NULL: 0 */
    const bool *wants;    /* one an input of the scan */
    rgi_sums *sums;       /* of the gradients of captures */

    rg_node **grad; /* one an input: those of xs and initial carries */
    /* Of the scan whose steps the sums were taken over (the forward one, or a copy of it): */
    rg_scan *summed, *backward;
    rg_node **addend; /* by capture of `summed`: what is summed, NULL: nothing */
    bool *sunk;       /* by capture of `summed`: behind the steps */
} rgi_reversal;

/* Into `needed`, by carry: whether its cotangent is needed in any step. False: out of memory, error recorded. */
bool rgi_scan_needs(rg_scan *forward, const bool wants[], bool needed[]);
/* In one scan backwards, over residuals of the whole forward one. */
bool rgi_scan_reverse_whole(rgi_reversal *r);
/* What is kept of the forward steps: everything where `every` is 0, else the carries before each segment of so many
   steps; of these no more than rgi_projection says of `bytes` and `block`. */
typedef struct rgi_keeping {
    int64_t every, bytes;
    double block;
} rgi_keeping;
/* By segments, whose forward passes are repeated. (scan_segments.c) */
bool rgi_scan_reverse_segments(rgi_reversal *r, const rgi_keeping *keeping);
/* What the scan is to keep. False: it does not work out, error recorded. (scan_keeping.c) */
bool rgi_scan_keeping(const rg_scan *forward, rgi_keeping *keeping);
/* The cotangents of the starts p as those of the carry at every step: zero at the others. */
rg_node *rgi_scan_spread(rg_scan *forward, rg_node *ct, const rgi_projection *p);
/* Whichever the scan asks for. */
bool rgi_scan_reverse_steps(rgi_reversal *r);

#endif
