/* memory.c - what a step takes of memory: every contestant of a row in a process of its own, which says how large it
   became and, if it is ours, what the plan takes and could not do without. Where /proc tells nothing, nothing is
   told. */
#define _POSIX_C_SOURCE 200809L

#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEPS 3 /* the first two settle what is allocated */
#define MB 1e-6

typedef struct footprint {
    double plan, values, alive, parameters; /* bytes; of ours */
    double rest, peak;                      /* of the process before it did anything, and at most; 0: unknown */
} footprint;

/* The most that a process ever had in memory, in bytes. */
static double high_water(long pid)
{
    char path[48], line[128];
    double kilobytes = 0;
    snprintf(path, sizeof path, "/proc/%ld/status", pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lf", &kilobytes) == 1)
            break;
    if (f)
        fclose(f);
    return 1024 * kilobytes;
}

int memory_alone(const bench_group *g, const void *row, int threads, int who)
{
    footprint p = {.rest = high_water((long)getpid())};
    contestant c = {NULL, NULL, NULL};
    const char *why = (who < 0 ? g->ours : g->rivals[who].start)(row, threads, &c);
    const long other = why ? 0 : torch_process();
    p.rest = other ? high_water(other) : p.rest;
    if (why || !c.run || c.run(c.state, STEPS) < 0)
        return 1;
    p.peak = high_water(other ? other : (long)getpid());
    rg_estimate e;
    if (bench_plan_estimate(&c, &e)) {
        p.plan = (double)e.memory;
        p.values = (double)e.values;
        p.alive = (double)e.peak;
        p.parameters = (double)e.parameters;
    }
    printf("%.0f %.0f %.0f %.0f %.0f %.0f\n", p.plan, p.values, p.alive, p.parameters, p.rest, p.peak);
    if (c.finish)
        c.finish(c.state);
    torch_stop();
    return 0;
}

/* Runs this program again for one contestant. False: it has no such work, or failed. */
static bool ask(const char *program, const char *name, int threads, int who, footprint *out)
{
    int answer[2];
    char count[16], number[16];
    snprintf(count, sizeof count, "%d", threads);
    snprintf(number, sizeof number, "%d", who);
    if (pipe(answer))
        return false;
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(answer[1], STDOUT_FILENO);
        close(answer[0]), close(answer[1]);
        execl(program, program, "--alone", name, "--who", number, "--threads", count, (char *)NULL);
        _exit(127);
    }
    close(answer[1]);
    FILE *f = fdopen(answer[0], "r");
    *out = (footprint){0};
    const bool told = f && fscanf(f, "%lf %lf %lf %lf %lf %lf", &out->plan, &out->values, &out->alive, &out->parameters,
                                  &out->rest, &out->peak) == 6;
    if (f)
        fclose(f);
    int status = 1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 && told;
}

void memory_head(const bench_group *g, int threads)
{
    printf("\n%s: memory, MB, %d thread%s\n%-24s %9s %9s %9s %10s %9s %9s", g->title, threads, threads > 1 ? "s" : "",
           g->name, "plan", "values", "alive", "parameters", "at rest", "process");
    for (int i = 0; i < BENCH_RIVALS && g->rivals[i].name; i++)
        printf("  %22s", g->rivals[i].name);
    printf("\n");
}

void memory_row(const bench_group *g, const char *program, const char *row_name, int threads)
{
    char name[160];
    footprint p;
    snprintf(name, sizeof name, "%s/%s", g->name, row_name);
    printf("%-24s", row_name);
    if (ask(program, name, threads, -1, &p))
        printf(" %9.3f %9.3f %9.3f %10.3f %9.1f %9.1f", MB * p.plan, MB * p.values, MB * p.alive, MB * p.parameters,
               MB * p.rest, MB * p.peak);
    else
        printf(" %9s", "failed");
    for (int i = 0; i < BENCH_RIVALS && g->rivals[i].name; i++)
        if (ask(program, name, threads, i, &p) && p.peak > 0)
            printf("  %8.1f (at rest %3.0f)", MB * p.peak, MB * p.rest);
        else
            printf("  %22s", "-");
    printf("\n");
    fflush(stdout);
}
