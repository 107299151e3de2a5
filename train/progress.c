/* progress.c - a bar on a terminal, lines elsewhere. */
#define _POSIX_C_SOURCE 200809L

#include "progress.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BAR = 24, LINE = 1024 };

double rgi_progress_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void rgi_progress_begin(rgi_progress *p, FILE *to, const char *const *names, size_t n_metrics)
{
    *p = (rgi_progress){.to = to, .names = names, .n_metrics = n_metrics};
    p->terminal = to && fileno(to) >= 0 && isatty(fileno(to));
}

/* Appends loss and metrics; returns the new length. */
static size_t put_numbers(const rgi_progress *p, char line[LINE], size_t n, const char *prefix, double loss,
                          const double *metric)
{
    n += (size_t)snprintf(line + n, LINE - n, "  %sloss %.4g", prefix, loss);
    for (size_t i = 0; i < p->n_metrics && n < LINE - 64; i++)
        n += (size_t)snprintf(line + n, LINE - n, "  %s%.24s %.4g", prefix, p->names[i], metric[i]);
    return n;
}

void rgi_progress_batch(rgi_progress *p, const rg_fit_state *s, double left)
{
    char line[LINE], bar[BAR + 1];
    const double now = p->terminal ? rgi_progress_clock() : 0;
    if (!p->terminal || (now - p->drawn < 0.1 && s->batch < s->batches))
        return;
    p->drawn = now;
    memset(bar, '-', BAR);
    memset(bar, '#', (size_t)(s->batch * BAR / s->batches));
    bar[BAR] = '\0';
    size_t n = (size_t)snprintf(line, LINE, "\repoch %2lld/%lld [%s] %3lld%%", (long long)s->epoch + 1,
                                (long long)s->epochs, bar, (long long)(100 * s->batch / s->batches));
    n = put_numbers(p, line, n, "", s->loss, s->metric);
    n += (size_t)snprintf(line + n, LINE - n, "  %.4g/s  %lld:%02lld left\033[K", s->rate, (long long)left / 60,
                          (long long)left % 60);
    fwrite(line, 1, n, p->to);
    fflush(p->to);
}

void rgi_progress_epoch(rgi_progress *p, const rg_fit_state *s, double seconds)
{
    char line[LINE];
    if (!p->to)
        return;
    size_t n = (size_t)snprintf(line, LINE, "%sepoch %2lld/%lld", p->terminal ? "\r\033[K" : "",
                                (long long)s->epoch + 1, (long long)s->epochs);
    n = put_numbers(p, line, n, "", s->loss, s->metric);
    if (s->validated)
        n = put_numbers(p, line, n, "valid ", s->valid_loss, s->valid_metric);
    n += (size_t)snprintf(line + n, LINE - n, "  %.3g s, %.4g/s\n", seconds, s->rate);
    fwrite(line, 1, n, p->to);
    fflush(p->to);
}
