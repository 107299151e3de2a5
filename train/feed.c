/* feed.c - order, gathering, and the thread that prepares the next batch. */
#define _POSIX_C_SOURCE 200809L

#include "feed.h"

#include <retrograde/graph.h>

#include "fault.h"

#include <stdlib.h>
#include <string.h>

/* ---- checks ---- */

static rg_status check_column(const rgi_feed *f, size_t i)
{
    const rg_column *c = &f->set.at[i];
    if (!c->input || !c->values || !c->values->data)
        return rgi_fault(RG_ERR_ARGUMENT, "%s: %s: column %zu has no %s", f->who, f->name, i,
                         c->input ? "values" : "input");
    const char *input = rg_name(c->input);
    if (c->axis < 0 || c->axis >= c->values->shape.rank)
        return rgi_fault(RG_ERR_SHAPE, "%s: %s: column '%s': axis %d of values with %d dimensions", f->who, f->name,
                         input, c->axis, (int)c->values->shape.rank);
    if (c->values->dtype != rg_dtype_of(c->input))
        return rgi_fault(RG_ERR_DTYPE, "%s: %s: column '%s': the values are %s, the input is %s", f->who, f->name,
                         input, rg_dtype_name(c->values->dtype), rg_dtype_name(rg_dtype_of(c->input)));
    if (c->values->shape.rank != rg_shape_of(c->input).rank)
        return rgi_fault(RG_ERR_SHAPE, "%s: %s: column '%s': the values have %d dimensions, the input has %d", f->who,
                         f->name, input, (int)c->values->shape.rank, (int)rg_shape_of(c->input).rank);
    if (rg_shape_count(c->values->shape) < 0)
        return rgi_fault(RG_ERR_SHAPE, "%s: %s: column '%s': its values have a negative size, or too many elements",
                         f->who, f->name, input);
    const int64_t n = c->values->shape.dim[c->axis];
    if (i && n != f->n)
        return rgi_fault(RG_ERR_SHAPE, "%s: %s: column '%s' has %lld examples, those before it have %lld", f->who,
                         f->name, input, (long long)n, (long long)f->n);
    return RG_OK;
}

static rg_status check(rgi_feed *f)
{
    if (!f->set.at || f->set.n < 1 || f->set.n > RGI_FEED_COLUMNS)
        return rgi_fault(RG_ERR_ARGUMENT, "%s: %s: %zu columns: it takes 1 to %d", f->who, f->name, f->set.n,
                         RGI_FEED_COLUMNS);
    if (f->batch < 1)
        return rgi_fault(RG_ERR_ARGUMENT, "%s: %s: a batch of %lld examples", f->who, f->name, (long long)f->batch);
    for (size_t i = 0; i < f->set.n; i++) {
        const rg_status status = check_column(f, i);
        if (status)
            return status;
        f->n = f->set.at[i].values->shape.dim[f->set.at[i].axis];
    }
    if (f->n < 1)
        return rgi_fault(RG_ERR_SHAPE, "%s: %s: there is no example", f->who, f->name);
    f->batch = f->batch < f->n ? f->batch : f->n;
    f->batches = (f->n + f->batch - 1) / f->batch;
    return RG_OK;
}

/* ---- order ---- */

static uint64_t next_random(uint64_t *state) /* splitmix64: Steele, Lea, Flood 2014 */
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* Fisher and Yates, from the seed and the epoch alone: an epoch can be repeated without those before it. */
static void shuffle(rgi_feed *f)
{
    uint64_t key = f->seed, state = next_random(&key) ^ (uint64_t)f->epoch * 0xD1342543DE82EF95u;
    for (int64_t i = 0; i < f->n; i++)
        f->order[i] = i;
    for (int64_t i = f->n - 1; i > 0 && f->shuffled; i--) {
        const int64_t k = (int64_t)(next_random(&state) % (uint64_t)(i + 1)), kept = f->order[i];
        f->order[i] = f->order[k];
        f->order[k] = kept;
    }
}

/* ---- gathering ---- */

static size_t product(rg_shape s, int32_t from, int32_t to)
{
    size_t n = 1;
    for (int32_t i = from; i < to; i++)
        n *= (size_t)s.dim[i];
    return n;
}

static void gather_column(const rg_column *c, const int64_t *examples, int64_t n, void *out)
{
    const rg_shape s = c->values->shape;
    const size_t outer = product(s, 0, c->axis), all = (size_t)s.dim[c->axis],
                 bytes = product(s, c->axis + 1, s.rank) * rg_dtype_size(c->values->dtype);
    unsigned char *to = out;
    for (size_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < n; i++, to += bytes)
            memcpy(to, (const unsigned char *)c->values->data + (o * all + (size_t)examples[i]) * bytes, bytes);
}

static void gather(rgi_feed *f, rgi_slot *slot, int64_t batch)
{
    const int64_t first = batch * f->batch, left = f->n - first;
    slot->n = left < f->batch ? left : f->batch;
    memcpy(slot->examples, f->order + first, (size_t)slot->n * sizeof *slot->examples);
    for (size_t i = 0; i < f->set.n; i++) {
        const rg_tensor *v = f->set.at[i].values;
        if (slot->own[i]) {
            gather_column(&f->set.at[i], slot->examples, slot->n, slot->own[i]);
            slot->data[i] = slot->own[i];
        } else {
            slot->data[i] = (unsigned char *)v->data +
                            (size_t)first * product(v->shape, 1, v->shape.rank) * rg_dtype_size(v->dtype);
        }
    }
    if (f->prepare)
        f->prepare(f->user, f->epoch, slot->examples, slot->n, slot->data);
}

/* ---- the other thread ---- */

static void *work(void *user)
{
    rgi_feed *f = user;
    pthread_mutex_lock(&f->lock);
    while (!f->leaving) {
        if (f->wanted < 0) {
            pthread_cond_wait(&f->changed, &f->lock);
            continue;
        }
        const int64_t batch = f->wanted;
        rgi_slot *slot = &f->slot[batch % 2];
        pthread_mutex_unlock(&f->lock); /* nobody else looks at this slot until `wanted` is -1 */
        gather(f, slot, batch);
        pthread_mutex_lock(&f->lock);
        slot->batch = batch;
        f->wanted = -1;
        pthread_cond_broadcast(&f->changed);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* Waits until the other thread is idle. The lock is held. */
static void settle(rgi_feed *f)
{
    while (f->wanted >= 0)
        pthread_cond_wait(&f->changed, &f->lock);
}

rg_status rgi_feed_begin(rgi_feed *f, bool threaded)
{
    const rg_status status = check(f);
    f->wanted = f->slot[0].batch = f->slot[1].batch = -1;
    if (status)
        return status;
    f->order = malloc((size_t)f->n * sizeof *f->order);
    bool ok = f->order != NULL;
    for (size_t s = 0; s < 2 && ok; s++) {
        f->slot[s].examples = malloc((size_t)f->batch * sizeof(int64_t));
        ok = f->slot[s].examples != NULL;
        for (size_t i = 0; i < f->set.n && ok; i++) {
            const rg_column *c = &f->set.at[i];
            if (!f->shuffled && !f->prepare && c->axis == 0)
                continue; /* batches lie in the data set as they are wanted */
            const size_t bytes = rg_tensor_bytes(c->values) / (size_t)f->n * (size_t)f->batch;
            f->slot[s].own[i] = malloc(bytes ? bytes : 1);
            ok = f->slot[s].own[i] != NULL;
        }
    }
    if (!ok)
        return rgi_fault(RG_ERR_MEMORY, "%s: %s: out of memory for batches of %lld", f->who, f->name,
                         (long long)f->batch);
    if (threaded && (f->slot[0].own[0] || f->prepare) && pthread_mutex_init(&f->lock, NULL) == 0) {
        if (pthread_cond_init(&f->changed, NULL) == 0) {
            f->threaded = pthread_create(&f->thread, NULL, work, f) == 0;
            if (!f->threaded)
                pthread_cond_destroy(&f->changed);
        }
        if (!f->threaded)
            pthread_mutex_destroy(&f->lock);
    }
    return RG_OK;
}

void rgi_feed_epoch(rgi_feed *f, int64_t epoch)
{
    if (f->threaded) {
        pthread_mutex_lock(&f->lock);
        settle(f);
        pthread_mutex_unlock(&f->lock);
    }
    f->epoch = epoch;
    f->slot[0].batch = f->slot[1].batch = -1;
    shuffle(f);
}

const rgi_slot *rgi_feed_batch(rgi_feed *f, int64_t batch)
{
    rgi_slot *slot = &f->slot[batch % 2];
    if (!f->threaded) {
        gather(f, slot, batch);
        return slot;
    }
    pthread_mutex_lock(&f->lock);
    settle(f);
    if (slot->batch != batch) {
        f->wanted = batch;
        pthread_cond_broadcast(&f->changed);
        settle(f);
    }
    if (batch + 1 < f->batches) { /* into the other slot, whose batch is done with */
        f->wanted = batch + 1;
        pthread_cond_broadcast(&f->changed);
    }
    pthread_mutex_unlock(&f->lock);
    return slot;
}

rg_status rgi_feed_bind(const rgi_feed *f, const rgi_slot *slot, rg_plan *plan)
{
    for (size_t i = 0; i < f->set.n; i++) {
        const rg_column *c = &f->set.at[i];
        rg_shape shape = c->values->shape;
        shape.dim[c->axis] = slot->n;
        const rg_status status = rg_bind_shape(plan, c->input, slot->data[i], shape);
        if (status)
            return status;
    }
    return RG_OK;
}

void rgi_feed_finish(rgi_feed *f)
{
    if (f->threaded) {
        pthread_mutex_lock(&f->lock);
        f->leaving = true;
        pthread_cond_broadcast(&f->changed);
        pthread_mutex_unlock(&f->lock);
        pthread_join(f->thread, NULL);
        pthread_cond_destroy(&f->changed);
        pthread_mutex_destroy(&f->lock);
        f->threaded = false;
    }
    for (size_t s = 0; s < 2; s++) {
        for (size_t i = 0; i < RGI_FEED_COLUMNS; i++)
            free(f->slot[s].own[i]);
        free(f->slot[s].examples);
    }
    free(f->order);
    *f = (rgi_feed){0};
}
