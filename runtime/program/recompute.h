/* recompute.h - programs that make values again instead of keeping them. */
#ifndef RGI_RECOMPUTE_H
#define RGI_RECOMPUTE_H

#include "../plan.h"

/* What is dropped of the values that are kept only for later. */
typedef struct rgi_policy {
    bool cheap;      /* those that elementwise ops make from what is there anyway; otherwise: */
    double segments; /* but for checkpoints that cut them into so many parts of equal size; 1: none */
    double part;     /* of all of them, those made first, by size: 1 is all */
} rgi_policy;

/* Notes a program before settling; kept where its plan has a budget. */
bool rgi_draft_keep(rgi_program *p);
/* The program with what the policy drops made again, for the sizes of a specialisation; NULL: out of memory. */
rgi_program *rgi_recompute(const rgi_program *base, const rgi_special *s, const rgi_policy *policy);
void rgi_recompute_free(rgi_program *p);

#endif
