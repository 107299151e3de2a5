/* progress.h - what a training tells while it runs, on a stream that the caller gave. */
#ifndef RGI_TRAIN_PROGRESS_H
#define RGI_TRAIN_PROGRESS_H

#include <retrograde/train.h>

typedef struct rgi_progress {
    FILE *to;      /* NULL: silent */
    bool terminal; /* then a bar is drawn over and over */
    double drawn;  /* when it was last */
    size_t n_metrics;
    const char *const *names; /* of metrics */
} rgi_progress;

/* Seconds of a clock that only goes forward. */
double rgi_progress_clock(void);
void rgi_progress_begin(rgi_progress *p, FILE *to, const char *const *names, size_t n_metrics);
/* The bar, at most ten times a second: "epoch  3/10 [####----]  52%  loss 0.7012  accuracy 0.81  41000/s  0:17
   left". */
void rgi_progress_batch(rgi_progress *p, const rg_fit_state *s, double left);
/* A line that stays: the epoch's numbers and how long it took. */
void rgi_progress_epoch(rgi_progress *p, const rg_fit_state *s, double seconds);

#endif
