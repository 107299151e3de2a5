/* meter.c - how far a loop has come. */
#define _POSIX_C_SOURCE 200809L

#include "meter.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WIDTH = 24 };

double meter_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

meter meter_begin(void)
{
    return (meter){.start = meter_now(), .terminal = isatty(STDOUT_FILENO)};
}

void meter_show(meter *m, int done, int steps, const char *text)
{
    const double now = m->terminal ? meter_now() : 0;
    if (!m->terminal || now - m->drawn < 0.1)
        return;
    m->drawn = now;
    char bar[WIDTH + 1] = {0};
    memset(bar, '-', WIDTH);
    memset(bar, '#', (size_t)(done * (double)WIDTH / steps));
    const int left = (int)((now - m->start) * (steps - done) / done);
    printf("\r[%s] %3d%%  %s  %d:%02d left \033[K", bar, (int)(100.0 * done / steps), text, left / 60, left % 60);
    fflush(stdout);
}

void meter_clear(const meter *m)
{
    if (m->terminal)
        printf("\r\033[K");
}
