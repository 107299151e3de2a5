/* trial.h - whether a short plan is over sooner on one thread than on its team.

   How long one core waits for what another one has made differs by a factor of ten between machines, and between one
   minute and the next on a virtual one; prices cannot know it. So a few runs in a row are timed in the way that is
   taken, and as many in the other one, and the faster way is taken for the runs to come, until the next trial.

   Sizes that are new count in a trial of all sizes with about as much work, by the time a unit of work takes: where
   sizes hardly ever come again, it is these trials that decide. Sizes that come often have trials of their own. */
#ifndef RGI_TRIAL_H
#define RGI_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#define RGI_TRIED 5        /* runs of each way in a trial: their median counts */
#define RGI_FIRST_REST 64  /* runs between the first two trials ... */
#define RGI_LAST_REST 8192 /* ... doubled after each that changes nothing, up to so many */

typedef struct rgi_trial {
    bool alone;                /* the way that is taken: by one thread, or, as at first, by the team */
    uint32_t at;               /* runs since the present trial began */
    uint32_t rest;             /* runs behind it until the next one; 0: there was none yet */
    uint64_t ns[2][RGI_TRIED]; /* in the way that is taken, in the other one; sorted */
} rgi_trial;

/* Whether the next run is timed. */
static inline bool rgi_trial_times(const rgi_trial *t)
{
    return t->at < 2 * RGI_TRIED;
}

/* Whether one thread does the next run. */
static inline bool rgi_trial_alone(const rgi_trial *t)
{
    const bool other = t->at >= RGI_TRIED && t->at < 2 * RGI_TRIED;
    return t->alone != other;
}

/* The run is over; `ns`: how long it took, if it was timed. */
void rgi_trial_note(rgi_trial *t, uint64_t ns);

/* ---- of sizes ---- */

#define RGI_ALIKE 24    /* kinds of work, each up to twice the one before it */
#define RGI_STRANGE 128 /* runs after which sizes have trials of their own */

/* Of a plan: of all sizes of one kind. */
typedef struct rgi_trials {
    rgi_trial alike[RGI_ALIKE];
} rgi_trials;

/* Of a set of sizes. */
typedef struct rgi_own_trial {
    double work;   /* nanoseconds of one thread, as estimated */
    uint32_t runs; /* at most RGI_STRANGE are counted */
    rgi_trial trial;
} rgi_own_trial;

/* The trial that the next run of such sizes is a part of. */
rgi_trial *rgi_trial_of(rgi_trials *all, rgi_own_trial *own);
/* That run is over. */
void rgi_trials_note(rgi_trials *all, rgi_own_trial *own, uint64_t ns);

#endif
