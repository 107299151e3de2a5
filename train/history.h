/* history.h - the numbers of the epochs, and where a training stands, as text for its checkpoint. */
#ifndef RGI_TRAIN_HISTORY_H
#define RGI_TRAIN_HISTORY_H

#include <retrograde/train.h>

#define RGI_HISTORY_COLUMNS (3 + 1 + 2 * RG_FIT_METRICS)

/* A row an epoch: its number, seconds, loss, metrics, then those of the validation if there is one. */
typedef struct rgi_history {
    size_t columns, rows, capacity;
    double *at;
    char names[RGI_HISTORY_COLUMNS][64];
} rgi_history;

/* Where a training stands: what a checkpoint's note says beside the history. */
typedef struct rgi_position {
    /* What must be the same in the training that goes on. */
    int64_t examples, batch;
    uint64_t seed;
    /* The next batch to be done. */
    int64_t epoch, done;
    double sums[1 + RG_FIT_METRICS]; /* of the epoch so far, weighted by examples */
    double best, seconds;
    int64_t best_epoch, stale; /* epochs since the best */
} rgi_position;

void rgi_history_begin(rgi_history *h, const char *const *names, size_t n_metrics, bool validated);
rg_status rgi_history_add(rgi_history *h, const rg_fit_state *s, size_t n_metrics);
rg_status rgi_history_write_csv(const rgi_history *h, const char *path);
rg_status rgi_history_write_svg(const rgi_history *h, const char *path);
void rgi_history_free(rgi_history *h);

/* As text, to be freed; NULL when memory is short. */
char *rgi_note_write(const rgi_position *p, const rgi_history *h);
/* Back; p's first three fields are compared with what is said. */
rg_status rgi_note_read(const char *note, const char *path, rgi_position *p, rgi_history *h);

#endif
