/* scan_keeping.c - how much of the forward steps of a recurrence is kept for its reverse: how long segments are. */
#include "scan_reverse.h"

#include "rule.h"

#include "../graph/binomial.h"

#include <inttypes.h>
#include <math.h>

#define GUESS 32         /* what a named size is taken for where segments are chosen */
#define GUESS_STEPS 1000 /* the same of the number of steps */
#define SLACK 0.02       /* forward steps, as a part of all, that better segments may cost */

/* A length of segments near `every` that leaves no steps over, if there is one: steps left over are one more copy of
   the body, and sequences are copied where their segments do not fill them. */
static int64_t dividing(int64_t steps, int64_t every)
{
    for (int64_t off = 0; every > 0 && off <= every / 3; off++) {
        if (steps % (every + off) == 0)
            return every + off;
        if (off <= every / 4 && steps % (every - off) == 0)
            return every - off;
    }
    return every;
}

/* ---- within a budget of bytes ---------------------------------------------------------------------- */

typedef struct budget {
    double most, carries, step; /* bytes: there are; of the carries; of all values of a step, its carries among them */
    double copies;              /* bytes of sequences that are copied where segments leave steps over */
    int64_t steps;
    int64_t a, b; /* the number of steps as the graph has it */
    bool named;   /* bytes, or the number of steps, are known when data is bound */
} budget;

static double guessed_bytes(const rg_node *v)
{
    double bytes = (double)rg_dtype_size(v->dtype);
    for (int32_t k = 0; k < v->shape->a.rank; k++)
        bytes *= v->shape->a.dim[k] == v->shape->b.dim[k] ? (double)v->shape->a.dim[k] : GUESS;
    return bytes;
}

/* Bytes of a step's values in the body, `carries` those of the carries alone. */
static double step_bytes(const rg_scan *f, bool carries)
{
    double bytes = 0;
    for (size_t id = f->first_id; id < f->node->id; id++) {
        const rg_node *v = rgi_node(f->graph, id);
        if (v->region == f->region && (v->op == &rgi_op_scan_carry || (!carries && v->n_in && !rgi_is_scan(v))))
            bytes += guessed_bytes(v);
    }
    return bytes;
}

/* Whether a carry has a size that is named. */
static bool has_names(const rg_scan *f)
{
    for (size_t j = 0; j < f->carries.n; j++)
        if (((rg_node *)f->carries.at[j])->shape->named)
            return true;
    return false;
}

/* Bytes of the sequences that the loop over segments copies, and of their gradients. */
static double sequence_bytes(const rg_scan *f)
{
    double bytes = 0;
    for (size_t i = 0; i < f->xs.n; i++)
        bytes += 2 * guessed_bytes(f->xs.at[i]);
    for (size_t k = 0; k < f->results.n; k++)
        if (!rgi_projection_of(f->results.at[k])->last)
            bytes += guessed_bytes(f->results.at[k]);
    return bytes;
}

/* Bytes of what is there beside the starts of segments. */
static double block_bytes(const budget *b, int64_t every)
{
    return b->step * (double)every + (b->steps % every ? b->copies : 0);
}

/* Starts of segments of so many steps that fit beside that. */
static int64_t slots_of(const budget *b, int64_t every)
{
    const double slots = b->carries > 0 ? (b->most - block_bytes(b, every)) / b->carries : (double)b->steps;
    return slots < 0 ? 0 : slots < (double)b->steps ? (int64_t)slots : b->steps;
}

/* Forward steps that are made with segments of `every` beside those that always are, once for the results and once in
   the segment; INFINITY where the budget does not allow them. */
static double steps_again(const budget *b, int64_t every)
{
    const int64_t parts = b->steps / every, slots = slots_of(b, every);
    const double copy = b->steps % every ? 0.01 * (double)b->steps : 0; /* worth as much: what is left over */
    if (slots < rgi_binomial_least(parts))
        return INFINITY;
    return slots >= parts ? copy : (rgi_binomial_walked(parts, slots) - (double)(parts - 1)) * (double)every + copy;
}

/* What segments cost beside that, in forward steps: products over the steps of a segment begin anew in each, values of
   long ones leave the caches. */
static double overhead(const budget *b, int64_t every)
{
    return 2 * ((double)b->steps / (double)every + (double)every);
}

/* The segments of about m steps there can be; 0: none. */
static int64_t segments_near(const budget *b, int64_t m)
{
    if (b->a == b->b)
        return dividing(b->steps, m);
    return b->a % m || b->b % m ? 0 : m;
}

/* The segments with the least overhead of those with which hardly more steps are made than must be. So small a budget
   that nothing fits is taken for what single steps need. */
static int64_t best_segments(const budget *b)
{
    double fewest = INFINITY, least = INFINITY;
    int64_t best = 1;
    for (int round = 0; round < 2; round++) {
        const double most = fewest + SLACK * (2 * (double)b->steps + fewest);
        for (int64_t m = 1; m < b->steps && b->step * (double)m <= b->most; m += 1 + m / 16) {
            const int64_t every = segments_near(b, m);
            if (!every)
                continue;
            const double again = steps_again(b, every);
            if (round == 0) {
                fewest = again < fewest ? again : fewest;
            } else if (again <= most && again < INFINITY && again + overhead(b, every) < least) {
                least = again + overhead(b, every);
                best = every;
            }
        }
    }
    return best;
}

/* Whether the scan stands in the body of another one whose reverse is being made: what it keeps is stacked there. */
static bool is_stacked(const rg_scan *f)
{
    for (const rgi_substitution *s = f->graph->substitution; s; s = s->outer)
        if (s->from == f->region->parent)
            return true;
    return false;
}

static void keep_bytes(const rg_scan *f, int64_t a, int64_t b, rgi_keeping *k)
{
    budget x = {.most = (double)f->keep_bytes,
                .carries = step_bytes(f, true),
                .step = step_bytes(f, false),
                .copies = a == b ? sequence_bytes(f) : 0,
                .steps = a == b ? a : GUESS_STEPS,
                .a = a,
                .b = b,
                .named = a != b || has_names(f)};
    if (!x.named && x.step * (double)a <= x.most)
        return;
    if (is_stacked(f)) /* all starts are there at once: */
        x.most = 2.2 * sqrt(x.carries * x.step * (double)x.steps);
    k->every = best_segments(&x);
    if (!is_stacked(f) && x.carries > 0 && (x.named || slots_of(&x, k->every) < a / k->every)) {
        k->bytes = (int64_t)(x.most < 0x1p62 ? x.most : 0x1p62);
        k->block = block_bytes(&x, k->every) / x.carries;
    }
}

/* ---- any scan ---------------------------------------------------------------------------------------- */

bool rgi_scan_keeping(const rg_scan *f, rgi_keeping *k)
{
    const rgi_shape *shape = ((rg_node *)f->xs.at[0])->shape;
    const int64_t a = shape->a.dim[0], b = shape->b.dim[0];
    *k = (rgi_keeping){.every = f->keep_every};
    if (a != b && f->keep_every == RG_KEEP_SQRT) {
        rgi_graph_fail(f->graph, RG_ERR_GRADIENT, f->node,
                       "reverse of scan '%s': RG_KEEP_SQRT needs a number of steps that is known when the graph is "
                       "built; keep_bytes, or keep_every with rg_dim_multiple, does not",
                       rgi_scan_name(f));
        return false;
    }
    if (f->keep_every == RG_KEEP_SQRT)
        k->every = dividing(a, (int64_t)ceil(sqrt((double)a)));
    else if (f->keep_bytes)
        keep_bytes(f, a, b, k);
    if (k->every && a != b && (a % k->every || b % k->every)) {
        rgi_graph_fail(
            f->graph, RG_ERR_GRADIENT, f->node,
            "reverse of scan '%s': the number of steps is a named size that is not promised to be a multiple "
            "of keep_every = %" PRId64 " (rg_dim_multiple)",
            rgi_scan_name(f), k->every);
        return false;
    }
    if (a == b && k->every >= a)
        *k = (rgi_keeping){0};
    return true;
}
