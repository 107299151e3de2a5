/* progress.c - a bar on a terminal, lines elsewhere. */
#define _POSIX_C_SOURCE 200809L

#include "progress.h"

#include <string.h>
#include <sys/ioctl.h>
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

/* How much fits on a line of the terminal. */
static size_t width(const rgi_progress *p)
{
    struct winsize size;
    const bool known = ioctl(fileno(p->to), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known && size.ws_col < LINE - 16 ? size.ws_col : LINE - 16;
}

static size_t put_rate(char line[LINE], size_t n, double rate)
{
    return n + (size_t)snprintf(line + n, LINE - n, rate < 100 ? "  %.3g/s" : "  %.0f/s", rate);
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
    n = put_rate(line, n, s->rate);
    n += (size_t)snprintf(line + n, LINE - n, "  %lld:%02lld left", (long long)left / 60, (long long)left % 60);
    n = n > width(p) + 1 ? width(p) + 1 : n; /* "\r" takes no room */
    n += (size_t)snprintf(line + n, LINE - n, "\033[K");
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
    n += (size_t)snprintf(line + n, LINE - n, "  %.3g s,", seconds);
    n = put_rate(line, n, s->rate);
    line[n++] = '\n';
    fwrite(line, 1, n, p->to);
    fflush(p->to);
}
