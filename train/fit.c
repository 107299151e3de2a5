/* fit.c - epochs over a data set.

   Where a training stands is (epoch, batches done, sums so far); all else that has state lies in buffers of the graph.
   The order of an epoch follows from the seed and its number. So a checkpoint of the buffers with that position is
   enough to go on bit for bit. */
#define _POSIX_C_SOURCE 200809L

#include <retrograde/graph.h>
#include <retrograde/io.h>
#include <retrograde/op.h>
#include <retrograde/train.h>

#include "fault.h"
#include "feed.h"
#include "history.h"
#include "progress.h"
#include "sheet.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fit {
    const char *who; /* for errors: "rg_fit" or "rg_evaluate" */
    rg_fit_opts opts;
    rg_graph *graph;
    rg_plan *train, *valid;
    rgi_feed feed, valid_feed;
    const char *names[RG_FIT_METRICS];
    char numbered[RG_FIT_METRICS][16];
    rgi_history history;
    rgi_progress progress;
    rgi_position at;
    rg_events *events;
    rg_fit_state state;
    rg_fit_report report;
    double started; /* when, minus the seconds of the parts before a break */
};

/* ---- before the first epoch ---- */

static rg_status check_scalar(const struct fit *f, rg_node *node, const char *what)
{
    if (!node)
        return rgi_fault(RG_ERR_ARGUMENT, "%s: %s is NULL", f->who, what);
    const rg_dtype dtype = rg_dtype_of(node);
    char label[160];
    if (rg_shape_of(node).rank != 0 || (dtype != RG_F32 && dtype != RG_F64))
        return rgi_fault(RG_ERR_SHAPE, "%s: %s is no f32 or f64 scalar, it is %s", f->who, what,
                         rg_describe(node, label, sizeof label));
    return RG_OK;
}

static rg_status check_opts(struct fit *f, bool trains)
{
    rg_fit_opts *o = &f->opts;
    rg_status status = check_scalar(f, o->loss, "loss");
    for (size_t i = 0; i < o->metrics.n && !status && i < RG_FIT_METRICS; i++)
        status = check_scalar(f, rg_at(o->metrics, i), "a metric");
    if (status)
        return status;
    if (o->metrics.n > RG_FIT_METRICS)
        return rgi_fault(RG_ERR_ARGUMENT, "%s: %zu metrics, more than %d", f->who, o->metrics.n, RG_FIT_METRICS);
    if (trains && !o->step)
        return rgi_fault(RG_ERR_ARGUMENT, "%s: step is NULL", f->who);
    if (o->epochs < 0 || o->batch < 0 || o->valid_batch < 0 || o->patience < 0 || o->checkpoint_every < 0)
        return rgi_fault(RG_ERR_ARGUMENT, "%s: a negative number of epochs, examples or batches", f->who);
    if (o->watch_metric < 0 || (size_t)o->watch_metric > o->metrics.n || !(o->min_delta >= 0))
        return rgi_fault(RG_ERR_ARGUMENT, "%s: watch_metric is %d of %zu metrics, min_delta is %g", f->who,
                         o->watch_metric, o->metrics.n, o->min_delta);
    o->epochs = o->epochs ? o->epochs : 1;
    o->batch = o->batch ? o->batch : 32;
    o->valid_batch = o->valid_batch ? o->valid_batch : o->batch;
    for (size_t i = 0; i < o->metrics.n; i++) {
        snprintf(f->numbered[i], sizeof f->numbered[i], "metric%zu", i + 1);
        f->names[i] = o->names && o->names[i] ? o->names[i] : f->numbered[i];
    }
    f->graph = rg_graph_of(o->loss);
    return RG_OK;
}

/* A plan that fetches loss, metrics and, to train, the step. */
static rg_status compile(struct fit *f, rg_mode mode, rg_plan **out)
{
    rg_node *fetch[RG_FIT_METRICS + 2] = {f->opts.loss};
    size_t n = 1;
    for (size_t i = 0; i < f->opts.metrics.n; i++)
        fetch[n++] = f->opts.metrics.at[i];
    if (mode == RG_TRAIN)
        fetch[n++] = f->opts.step;
    rg_plan_opts plan = f->opts.plan ? *f->opts.plan : (rg_plan_opts){0};
    plan.mode = mode;
    *out = rg_compile(f->graph, (rg_nodes){fetch, n}, &plan);
    return *out ? RG_OK : rgi_fault(rg_graph_status(f->graph), "%s: %s", f->who, rg_graph_error(f->graph));
}

/* From the checkpoint, if there is one. */
static rg_status resume(struct fit *f)
{
    const char *path = f->opts.checkpoint;
    const size_t bytes = strlen(path) + sizeof ".previous";
    char *previous = malloc(bytes);
    if (!previous)
        return rgi_fault(RG_ERR_MEMORY, "rg_fit: out of memory");
    snprintf(previous, bytes, "%s.previous", path);
    const bool there = access(path, F_OK) == 0 || access(previous, F_OK) == 0;
    free(previous);
    rg_checkpoint found;
    if (!there)
        return RG_OK;
    rg_status status = rg_checkpoint_load(f->graph, path, &found);
    if (status)
        return status;
    status = rgi_note_read(found.note, path, &f->at, &f->history);
    f->report.resumed = !status;
    f->report.previous = !status && found.previous;
    rg_text_free(found.note);
    return status;
}

/* A file that cannot be written is told of now, not when there is something to lose. */
static rg_status try_files(const struct fit *f)
{
    const char *const paths[] = {f->opts.checkpoint, f->opts.best, f->opts.csv, f->opts.svg};
    rg_status status = RG_OK;
    for (size_t i = 0; i < sizeof paths / sizeof *paths && !status; i++)
        status = paths[i] ? rgi_sheet_try("rg_fit", paths[i]) : RG_OK;
    return status;
}

static rg_status begin(struct fit *f)
{
    const rg_fit_opts *o = &f->opts;
    rg_status status;
    f->feed = (rgi_feed){.who = f->who,
                         .name = "train",
                         .set = o->train,
                         .batch = o->batch,
                         .shuffled = !o->in_order,
                         .seed = o->seed,
                         .prepare = o->prepare,
                         .user = o->user};
    if ((status = rgi_feed_begin(&f->feed, !o->no_prefetch)) || (status = compile(f, RG_TRAIN, &f->train)))
        return status;
    if (o->valid.n) {
        f->valid_feed = (rgi_feed){.who = f->who, .name = "valid", .set = o->valid, .batch = o->valid_batch};
        if ((status = rgi_feed_begin(&f->valid_feed, false)) || (status = compile(f, RG_EVAL, &f->valid)))
            return status;
    }
    rgi_history_begin(&f->history, f->names, o->metrics.n, o->valid.n != 0);
    rgi_progress_begin(&f->progress, o->progress, f->names, o->metrics.n);
    f->at = (rgi_position){.examples = f->feed.n,
                           .batch = o->batch,
                           .seed = o->seed,
                           .best = o->watch_metric ? -INFINITY : INFINITY,
                           .best_epoch = -1};
    if ((status = try_files(f)) || (o->checkpoint && (status = resume(f))))
        return status;
    if (o->tensorboard && !(f->events = rg_events_open(o->tensorboard)))
        return RG_ERR_IO;
    f->started = rgi_progress_clock() - f->at.seconds;
    f->state = (rg_fit_state){.epochs = o->epochs, .batches = f->feed.batches, .epoch = f->at.epoch};
    return RG_OK;
}

/* ---- batches ---- */

static double scalar(rg_plan *plan, rg_node *node)
{
    const void *data = rg_data(plan, node);
    return rg_dtype_of(node) == RG_F64 ? *(const double *)data : *(const float *)data;
}

static rg_status run_batch(struct fit *f, rgi_feed *feed, rg_plan *plan, int64_t batch, double *sums)
{
    const rgi_slot *slot = rgi_feed_batch(feed, batch);
    rg_status status;
    if ((status = rgi_feed_bind(feed, slot, plan)))
        return status;
    if ((status = rg_run(plan))) {
        char epoch[40] = "";
        if (f->train)
            snprintf(epoch, sizeof epoch, "epoch %" PRId64 ", ", f->at.epoch + 1);
        return rgi_fault(status, "%s: %s: %sbatch %" PRId64 ": %s%s", f->who, feed->name, epoch, batch + 1,
                         rg_last_error(), rg_plan_unbound(plan) ? ": has each input a column?" : "");
    }
    const double weight = (double)slot->n, loss = scalar(plan, f->opts.loss);
    sums[0] += weight * loss;
    for (size_t i = 0; i < f->opts.metrics.n; i++)
        sums[1 + i] += weight * scalar(plan, f->opts.metrics.at[i]);
    if (plan == f->train && !isfinite(loss))
        return rgi_fault(RG_ERR_NUMERIC, "rg_fit: epoch %" PRId64 ", batch %" PRId64 ": the loss is %g",
                         f->at.epoch + 1, batch + 1, loss);
    return RG_OK;
}

static rg_status save(struct fit *f)
{
    f->at.seconds = rgi_progress_clock() - f->started;
    char *note = rgi_note_write(&f->at, &f->history);
    if (!note)
        return rgi_fault(RG_ERR_MEMORY, "rg_fit: out of memory for a checkpoint");
    const rg_status status = rg_checkpoint_save(f->graph, f->opts.checkpoint, note);
    free(note);
    return status;
}

/* The means so far into the state; `since` is when this part of the epoch began, after `skipped` batches. */
static void measure(struct fit *f, double since, int64_t skipped)
{
    rg_fit_state *s = &f->state;
    const double now = rgi_progress_clock(), size = (double)f->feed.batch, n = (double)f->feed.n;
    const double seen = fmin((double)f->at.done * size, n), here = seen - (double)skipped * size;
    s->batch = f->at.done;
    s->seconds = now - f->started;
    s->rate = here > 0 && now > since ? here / (now - since) : 0;
    s->loss = f->at.sums[0] / seen;
    for (size_t i = 0; i < f->opts.metrics.n; i++)
        s->metric[i] = f->at.sums[1 + i] / seen;
}

/* Of the whole training, validations included. */
static double seconds_left(const struct fit *f)
{
    const rg_fit_state *s = &f->state;
    const double done = (double)s->epoch + (double)s->batch / (double)s->batches;
    return done > 0 ? s->seconds / done * ((double)s->epochs - done) : 0;
}

static rg_status train_epoch(struct fit *f)
{
    const int64_t skipped = f->at.done;
    const double since = rgi_progress_clock();
    rgi_feed_epoch(&f->feed, f->at.epoch);
    while (f->at.done < f->feed.batches && !f->report.stopped) {
        const rg_status status = run_batch(f, &f->feed, f->train, f->at.done, f->at.sums);
        if (status)
            return status;
        f->at.done++;
        measure(f, since, skipped);
        rgi_progress_batch(&f->progress, &f->state, f->progress.terminal ? seconds_left(f) : 0);
        if (f->opts.on_batch && !f->opts.on_batch(f->opts.user, &f->state))
            f->report.stopped = true;
        const bool due = f->opts.checkpoint_every && f->at.done % f->opts.checkpoint_every == 0;
        if (f->opts.checkpoint && (due || f->report.stopped) && f->at.done < f->feed.batches) {
            const rg_status saved = save(f);
            if (saved)
                return saved;
        }
    }
    return RG_OK;
}

static rg_status validate(struct fit *f)
{
    double sums[1 + RG_FIT_METRICS] = {0};
    rgi_feed_epoch(&f->valid_feed, 0);
    for (int64_t b = 0; b < f->valid_feed.batches; b++) {
        const rg_status status = run_batch(f, &f->valid_feed, f->valid, b, sums);
        if (status)
            return status;
    }
    f->state.validated = true;
    f->state.valid_loss = sums[0] / (double)f->valid_feed.n;
    for (size_t i = 0; i < f->opts.metrics.n; i++)
        f->state.valid_metric[i] = sums[1 + i] / (double)f->valid_feed.n;
    return RG_OK;
}

/* ---- the end of an epoch ---- */

static rg_status watch(struct fit *f)
{
    const rg_fit_state *s = &f->state;
    const int metric = f->opts.watch_metric;
    const double *values = s->validated ? s->valid_metric : s->metric;
    const double now = metric ? values[metric - 1] : s->validated ? s->valid_loss : s->loss;
    const double gain = metric ? now - f->at.best : f->at.best - now;
    if (f->at.best_epoch >= 0 && !(gain > f->opts.min_delta)) {
        f->at.stale++;
        return RG_OK;
    }
    f->at.best = now;
    f->at.best_epoch = s->epoch;
    f->at.stale = 0;
    return f->opts.best ? rg_save(f->graph, f->opts.best) : RG_OK;
}

static rg_status write_events(struct fit *f)
{
    char tag[96];
    rg_status status = RG_OK;
    for (size_t c = 2; c < f->history.columns && !status; c++) {
        const char *name = f->history.names[c];
        const bool valid = strncmp(name, "valid ", 6) == 0;
        snprintf(tag, sizeof tag, "%s/%s", valid ? name + 6 : name, valid ? "valid" : "train");
        status = rg_events_scalar(f->events, tag, f->state.epoch + 1,
                                  f->history.at[(f->history.rows - 1) * f->history.columns + c]);
    }
    return status;
}

static rg_status finish_epoch(struct fit *f, double seconds)
{
    const rg_fit_opts *o = &f->opts;
    rg_status status;
    f->state.seconds = rgi_progress_clock() - f->started;
    if ((status = watch(f)) || (status = rgi_history_add(&f->history, &f->state, o->metrics.n)) ||
        (o->csv && (status = rgi_history_write_csv(&f->history, o->csv))) ||
        (o->svg && (status = rgi_history_write_svg(&f->history, o->svg))) || (f->events && (status = write_events(f))))
        return status;
    rgi_progress_epoch(&f->progress, &f->state, seconds);
    if (o->on_epoch && !o->on_epoch(o->user, &f->state))
        f->report.stopped = true;
    f->at.epoch++;
    f->at.done = 0;
    memset(f->at.sums, 0, sizeof f->at.sums);
    return o->checkpoint ? save(f) : RG_OK;
}

static rg_status train(struct fit *f)
{
    rg_status status = begin(f);
    while (!status && f->at.epoch < f->opts.epochs && !f->report.stopped) {
        if (f->opts.patience && f->at.stale >= f->opts.patience) {
            f->report.stopped_early = true;
            break;
        }
        const double start = rgi_progress_clock();
        f->state.epoch = f->at.epoch;
        f->state.validated = false;
        if ((status = train_epoch(f)) || f->at.done < f->feed.batches)
            break;
        if (f->valid)
            status = validate(f);
        if (!status)
            status = finish_epoch(f, rgi_progress_clock() - start);
    }
    if (!status && f->opts.patience && f->at.stale >= f->opts.patience)
        f->report.stopped_early = true;
    return status;
}

static rg_status finish(struct fit *f, rg_status status)
{
    char why[1024];
    snprintf(why, sizeof why, "%s", rg_last_error());
    const rg_status closed = rg_events_close(f->events);
    if (status) /* the first error is the one to tell */
        rgi_fault(status, "%s", why);
    rgi_feed_finish(&f->feed);
    rgi_feed_finish(&f->valid_feed);
    rgi_history_free(&f->history);
    rg_plan_free(f->train);
    rg_plan_free(f->valid);
    return status ? status : closed;
}

rg_status rg_fit(const rg_fit_opts *opts, rg_fit_report *report)
{
    if (report)
        *report = (rg_fit_report){.best_epoch = -1};
    if (!opts)
        return rgi_fault(RG_ERR_ARGUMENT, "rg_fit: opts is NULL");
    struct fit f = {.who = "rg_fit", .opts = *opts};
    rg_status status = check_opts(&f, true);
    if (!status)
        status = train(&f);
    f.report.last = f.state;
    f.report.best = f.at.best;
    f.report.best_epoch = f.at.best_epoch;
    status = finish(&f, status);
    if (report)
        *report = f.report;
    return status;
}

rg_status rg_evaluate(const rg_fit_opts *opts, rg_fit_state *result)
{
    if (!opts || !result)
        return rgi_fault(RG_ERR_ARGUMENT, "rg_evaluate: %s is NULL", opts ? "result" : "opts");
    struct fit f = {.who = "rg_evaluate", .opts = *opts};
    rg_status status = check_opts(&f, false);
    if (!status) {
        f.valid_feed = (rgi_feed){.who = f.who, .name = "valid", .set = opts->valid, .batch = f.opts.valid_batch};
        if (!(status = rgi_feed_begin(&f.valid_feed, false)) && !(status = compile(&f, RG_EVAL, &f.valid)))
            status = validate(&f);
    }
    *result = f.state;
    return finish(&f, status);
}
