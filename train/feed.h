/* feed.h - batches out of a data set, the next one gathered while the present one is used. */
#ifndef RGI_TRAIN_FEED_H
#define RGI_TRAIN_FEED_H

#include <retrograde/train.h>

#include <pthread.h>

#define RGI_FEED_COLUMNS 12

typedef struct rgi_slot {
    void *data[RGI_FEED_COLUMNS]; /* of the batch it holds */
    void *own[RGI_FEED_COLUMNS];  /* memory to gather in; NULL where the data set's own serves */
    int64_t *examples;            /* which they are */
    int64_t batch, n;             /* number of the batch, or -1; examples in it */
} rgi_slot;

typedef struct rgi_feed {
    const char *who, *name; /* for errors: "rg_fit" or "rg_evaluate"; "train" or "valid" */
    rg_dataset set;
    int64_t n, batch, batches; /* examples; of a batch; batches of an epoch */
    bool shuffled;
    uint64_t seed;
    int64_t epoch;
    int64_t *order;
    void (*prepare)(void *user, int64_t epoch, const int64_t *examples, int64_t n, void *const *data);
    void *user;
    rgi_slot slot[2];
    /* Between the two threads: `wanted` is asked for and not gathered yet, or -1. */
    bool threaded, leaving;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t wanted;
} rgi_feed;

/* Checks the data set; with `threaded`, starts the other thread (without one if it cannot be had). After a failure,
   too, rgi_feed_finish must follow. */
rg_status rgi_feed_begin(rgi_feed *f, bool threaded);
/* Opens an epoch. No batch of the one before is in use. */
void rgi_feed_epoch(rgi_feed *f, int64_t epoch);
/* Batch number `batch` of the epoch, valid until the next call. Those in order come without waiting. */
const rgi_slot *rgi_feed_batch(rgi_feed *f, int64_t batch);
/* Binds it. */
rg_status rgi_feed_bind(const rgi_feed *f, const rgi_slot *slot, rg_plan *plan);
void rgi_feed_finish(rgi_feed *f);

#endif
