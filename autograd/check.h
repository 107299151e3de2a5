/* check.h - the certificate of a gradient: what its parts share. */
#ifndef RGI_CHECK_H
#define RGI_CHECK_H

#include "shadow.h"
#include "slope.h"

#include <retrograde/autograd.h>

/* What has been compared so far; the worst comparison of all. */
typedef struct rgi_tally {
    double tolerance, step;
    uint64_t seed;
    size_t compared, rough; /* numbers compared; of them where the function is not smooth */
    double worst;           /* relative error of the worst that is smooth */
    bool failed;
} rgi_tally;

/* Two ways to one number: what they may differ by is rounding, of the largest of the two and of the terms that
   they are sums of. */
#define RGI_EXACT(t) (1e-3 * (t)->tolerance + 1e-11)
bool rgi_equal(const rgi_tally *t, double a, double b, double size);
/* The same, counted. True where they fail. */
bool rgi_tally_equal(rgi_tally *t, double a, double b, double size);

/* check_node.c: the rules of one node of the shadow at the values its inputs have, which are those of `at`, one
   tensor an input. *what names the rule that fails, or is NULL. */
rg_status rgi_check_node(const rg_node *v, const rg_tensor *at, bool second, rgi_tally *t, const char **what);

/* check_nodes.c: the same for all nodes between the variables and the loss; *node is the worst that fails, *rough
   one that is not smooth where it stands, or NULL. */
rg_status rgi_check_nodes(const rgi_shadow *s, rg_nodes variables, bool second, rgi_tally *t, rg_node **node,
                          const char **what, rg_node **rough, size_t *n_nodes);

#endif
