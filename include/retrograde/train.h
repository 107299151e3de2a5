/* train.h - the training loop: epochs over a data set, validation, checkpoints, progress, curves. */
#ifndef RETROGRADE_TRAIN_H
#define RETROGRADE_TRAIN_H

#include <retrograde/base.h>
#include <retrograde/plan.h>

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RG_FIT_METRICS 8 /* so many can be watched */

/* An input of the graph and its values for every example of a data set. */
typedef struct rg_column {
    rg_node *input;
    const rg_tensor
        *values; /* of the input's dtype and sizes, but for `axis`, along which the examples lie; borrowed */
    int axis;    /* 0, or 1 for sequences [time, example, ..] */
} rg_column;

/* Up to a dozen columns with equally many examples; n = 0: no data set. */
typedef struct rg_dataset {
    const rg_column *at;
    size_t n;
} rg_dataset;

/* Where a training stands. */
typedef struct rg_fit_state {
    int64_t epoch, epochs;         /* the present one, counted from 0; how many are wanted */
    int64_t batch, batches;        /* batches done in this epoch; how many it has */
    double loss;                   /* mean over the epoch's examples so far */
    double metric[RG_FIT_METRICS]; /* likewise */
    bool validated;                /* the next two are those of this epoch */
    double valid_loss, valid_metric[RG_FIT_METRICS];
    double seconds, rate; /* since the training began, breaks left out; examples a second */
} rg_fit_state;

typedef struct rg_fit_opts {
    rg_node *loss, *step;     /* a float scalar, the mean over a batch; an optimiser's step */
    rg_nodes metrics;         /* further float scalars, means too: rg_nn_accuracy, a learning rate. In C++ the list
                                 needs a name, see RG_NODES */
    const char *const *names; /* one a metric; NULL: "metric1" and so on */
    rg_dataset train, valid;  /* `valid` may be left out */
    int64_t epochs, batch;    /* default 1 and 32; the last batch of an epoch may be smaller */
    int64_t valid_batch;      /* default: batch */
    bool in_order;            /* do not shuffle */
    uint64_t seed;            /* of the order, which depends on it and the epoch alone */
    const rg_plan_opts *plan; /* threads and the like; the mode is set here */
    bool no_prefetch;         /* gather batches on the calling thread */
    /* Changes a training batch after it was gathered (augmentation), in place: `data` has one pointer a column. It runs
       on the thread that gathers, and to go on bit for bit it must depend on nothing but its arguments. */
    void (*prepare)(void *user, int64_t epoch, const int64_t *examples, int64_t n, void *const *data);

    /* Stopping early: after `patience` epochs in which the watched number has not become better by min_delta. Watched
       is the validation's (without one, the training's) loss, or metric number watch_metric - 1, of which more is
       better. */
    int64_t patience; /* 0: never */
    double min_delta;
    int watch_metric;
    const char *best; /* rg_save goes here at every epoch that is the best so far */

    /* Goes on from the checkpoint here if there is one, and saves one every `checkpoint_every` batches and at the end
       of each epoch. The results are those of a training without a break, to the last bit. */
    const char *checkpoint;
    int64_t checkpoint_every; /* 0: at the end of epochs only */

    FILE *progress;          /* the caller's; a bar on a terminal, else a line an epoch; NULL: silent */
    const char *csv;         /* a table of the epochs, rewritten after each */
    const char *svg;         /* the curves of loss and metrics, rewritten after each epoch */
    const char *tensorboard; /* a directory, made if it is missing, for an event file that TensorBoard reads */
    /* Called after each batch, each epoch (validation included); false ends the training after the present epoch's
       bookkeeping (on_batch: at once). */
    bool (*on_batch)(void *user, const rg_fit_state *state);
    bool (*on_epoch)(void *user, const rg_fit_state *state);
    void *user;
} rg_fit_opts;

typedef struct rg_fit_report {
    rg_fit_state last;  /* as after the last epoch */
    int64_t best_epoch; /* of the watched number; -1 before the first epoch's end */
    double best;        /* its value then */
    bool resumed;       /* went on from a checkpoint */
    bool previous;      /* from the one before it, since the latest was refused */
    bool stopped_early; /* by patience */
    bool stopped;       /* by a callback */
} rg_fit_report;

/* Trains: compiles a plan that fetches loss, metrics and step, and one for the validation, and walks the epochs.
   `report` may be NULL. Gradient accumulation is an option of the optimiser, the rate's schedule its lr_node: both go
   on over batches as they come. The next batch is gathered on another thread while the present one is computed. A loss
   or a metric counts with its batch's number of examples. Errors: RG_ERR_ARGUMENT, RG_ERR_SHAPE, RG_ERR_DTYPE for
   options and data, RG_ERR_STATE for a checkpoint of another training, RG_ERR_NUMERIC for a loss that is NaN or
   infinite (the epoch and batch are named; the checkpoint on disk is older), RG_ERR_IO before the first batch for a
   file that cannot be written, and whatever compiling, running and writing give. What was trained so far stands in the
   parameters. */
RG_API RG_CHECKED rg_status rg_fit(const rg_fit_opts *opts, rg_fit_report *report);

/* One pass over a data set in evaluation mode: means of loss and metrics into *result (valid_loss, valid_metric).
   `opts` as for rg_fit, of which loss, metrics, valid, valid_batch and plan are used. */
RG_API RG_CHECKED rg_status rg_evaluate(const rg_fit_opts *opts, rg_fit_state *result);

/* A writer of the event files that TensorBoard reads: scalars over steps, into a new file in `directory`, which is made
   if it is missing. NULL with rg_last_error set when the file could not be made. A scalar is in the file when the call
   returns, whole; after an error (RG_ERR_IO, say a full disk) nothing of it is, and the writer is usable. RG_ERR_NAME
   for a tag of more than 256 bytes. One thread at a time; rg_events_close frees the writer in any case. */
typedef struct rg_events rg_events;
RG_API rg_events *rg_events_open(const char *directory);
RG_API RG_CHECKED rg_status rg_events_scalar(rg_events *e, const char *tag, int64_t step, double value);
RG_API RG_CHECKED rg_status rg_events_close(rg_events *e); /* NULL is fine */

/* Curves as a picture: n series of `count` numbers each (NaN: a gap) over x. Series whose names are equal but for a
   prefix "valid " share a panel. Replaces the file whole. Errors: RG_ERR_ARGUMENT, RG_ERR_IO, RG_ERR_MEMORY. */
typedef struct rg_curve {
    const char *name;
    const double *values;
} rg_curve;
RG_API RG_CHECKED rg_status rg_write_curves(const char *path, const char *title, const double *x, size_t count,
                                            const rg_curve *curves, size_t n);

#ifdef __cplusplus
}
#endif

#endif
