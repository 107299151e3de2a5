/* binomial.c - where checkpoints stand, from binomial coefficients: nothing is remembered but where a walk is. */
#include "binomial.h"

/* Times a block of n is walked at most with s slots: the least r for which C(s + r, s) >= n; that into *range. */
static int64_t repeats(double n, double s, double *range)
{
    int64_t r = 0;
    for (*range = 1; *range < n; *range = *range * (s + (double)r) / (double)r)
        r++;
    return r;
}

double rgi_binomial_walked(int64_t n, int64_t slots)
{
    const double s = (double)slots;
    double range;
    const int64_t r = repeats((double)n, s, &range);
    /* r n - C(s + r, s + 1) */
    return n > 1 ? (double)r * (double)n - range * (double)r / (s + 1) : 0;
}

int64_t rgi_binomial_least(int64_t n)
{
    double range = 1; /* C(2 s, s) */
    int64_t s = 0;
    while (range < (double)n && s < 31) {
        s++;
        range *= (double)(2 * (2 * s - 1)) / (double)s;
    }
    return s > 0 ? s : 1;
}

/* From a checkpoint to the next: n blocks are left, s slots from that of the checkpoint on. With r the repeats needed,
   the part in front may have up to C(s + r - 1, s) blocks, which are walked once less, with s slots again; that behind
   up to C(s + r - 1, s - 1), with one slot less. Any cut for which both are at least as large as they would be with
   r - 1 is as good. */
static int64_t part_in_front(int64_t n, int64_t slots)
{
    const double s = (double)slots;
    double range;
    const double r = (double)repeats((double)n, s, &range);
    const double most = range * r / (s + r);           /* C(s + r - 1, s) */
    const double least = most * (r - 1) / (s + r - 1); /* C(s + r - 2, s) */
    const double behind = most * s / (s + r - 1);      /* C(s + r - 2, s - 1) */
    double front = (double)n - (range - most);         /* that behind is full */
    front = front < least ? least : front;
    front = front > (double)n - behind ? (double)n - behind : front;
    front = front < 1 ? 1 : front > most ? most : front;
    return (int64_t)(front + 0.5);
}

bool rgi_revolve_next(rgi_revolve *w, int64_t slots)
{
    if (w->end - w->at <= 1 || w->slot + 1 >= slots)
        return false;
    w->at += part_in_front(w->end - w->at, slots - w->slot);
    w->slot++;
    return true;
}

rgi_revolve rgi_revolve_to(int64_t n, int64_t slots, int64_t k)
{
    rgi_revolve w = rgi_revolve_first(n), next = w;
    while (rgi_revolve_next(&next, slots)) {
        if (next.at <= k) {
            w = next;
            continue;
        }
        w.end = next.at;
        if (next.at == k + 1)
            break; /* what comes behind `w` is kept on this walk */
        next = w;
    }
    return w;
}
