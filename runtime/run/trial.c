/* trial.c - a short plan is tried on one thread and on its team. */
#include "trial.h"

#include <math.h>

#define RGI_BETTER 0.97 /* of the time: what takes more is not taken instead */

static void decide(rgi_trial *t)
{
    const int middle = RGI_TRIED / 2;
    const bool changes = (double)t->ns[1][middle] < RGI_BETTER * (double)t->ns[0][middle];
    t->alone = t->alone != changes;
    if (changes || !t->rest)
        t->rest = RGI_FIRST_REST;
    else if (t->rest < RGI_LAST_REST)
        t->rest *= 2;
}

void rgi_trial_note(rgi_trial *t, uint64_t ns)
{
    if (rgi_trial_times(t)) {
        uint64_t *const times = t->ns[t->at / RGI_TRIED];
        uint32_t k = t->at % RGI_TRIED;
        for (; k > 0 && times[k - 1] > ns; k--)
            times[k] = times[k - 1];
        times[k] = ns;
    }
    t->at++;
    if (t->at == 2 * RGI_TRIED)
        decide(t);
    else if (t->at >= 2 * RGI_TRIED + t->rest)
        t->at = 0;
}

/* ---- of sizes ---- */

static rgi_trial *alike(rgi_trials *all, double work)
{
    int k;
    (void)frexp(work, &k);
    return &all->alike[k < 0 ? 0 : k < RGI_ALIKE ? k : RGI_ALIKE - 1];
}

rgi_trial *rgi_trial_of(rgi_trials *all, rgi_own_trial *own)
{
    return own->runs < RGI_STRANGE ? alike(all, own->work) : &own->trial;
}

void rgi_trials_note(rgi_trials *all, rgi_own_trial *own, uint64_t ns)
{
    if (own->runs == RGI_STRANGE) {
        rgi_trial_note(&own->trial, ns);
        return;
    }
    rgi_trial *t = alike(all, own->work);
    rgi_trial_note(t, (uint64_t)((double)ns / own->work * (1 << 20)));
    if (++own->runs == RGI_STRANGE)
        own->trial = (rgi_trial){.alone = t->alone};
}
