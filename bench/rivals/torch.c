/* torch.c - PyTorch as a contestant: a process of its own that times batches of steps when asked, so that it can take
   turns with the others. torch_steps.py is the other end. */
#define _POSIX_C_SOURCE 200809L

#include "../bench.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The process for one number of threads. */
static struct {
    pid_t pid;
    int threads;
    FILE *to, *from;
} torch;

static struct model {
    int handle;
} models[64];
static int n_models;

const char *torch_directory = "bench/rivals";

void torch_stop(void)
{
    if (torch.to)
        fclose(torch.to); /* the end of its input ends it */
    if (torch.from)
        fclose(torch.from);
    if (torch.pid > 0)
        waitpid(torch.pid, NULL, 0);
    memset(&torch, 0, sizeof torch);
    n_models = 0;
}

long torch_process(void)
{
    return (long)torch.pid;
}

/* Sends what `to` holds and reads the number of the answer; false if there is none. */
static int answer(double *number)
{
    char line[64];
    return fflush(torch.to) == 0 && fgets(line, sizeof line, torch.from) && sscanf(line, "%lf", number) == 1;
}

static bool start(int threads)
{
    int to[2], from[2];
    if (pipe(to) || pipe(from))
        return false;
    signal(SIGPIPE, SIG_IGN);
    torch.pid = fork();
    if (torch.pid == 0) {
        char script[1024], count[16];
        snprintf(script, sizeof script, "%s/torch.sh", torch_directory);
        snprintf(count, sizeof count, "%d", threads);
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        close(to[0]), close(to[1]), close(from[0]), close(from[1]);
        execl("/bin/sh", "sh", script, count, (char *)NULL);
        _exit(127);
    }
    close(to[0]), close(from[1]);
    torch.threads = threads;
    torch.to = fdopen(to[1], "w");
    torch.from = fdopen(from[0], "r");
    double ready;
    return torch.pid > 0 && torch.to && torch.from && answer(&ready);
}

static double run(void *state, int64_t steps)
{
    const struct model *m = state;
    double seconds;
    fprintf(torch.to, "run %d %lld\n", m->handle, (long long)steps);
    return answer(&seconds) ? seconds : -1;
}

static void finish(void *state)
{
    const struct model *m = state;
    double done;
    fprintf(torch.to, "drop %d\n", m->handle);
    answer(&done);
}

const char *torch_start(int threads, const char *request, contestant *out)
{
    static bool absent;
    if (absent)
        return "PyTorch: /usr/bin/python3 has no torch (Debian: python3-torch)";
    if (torch.threads != threads) {
        torch_stop();
        if (!start(threads)) {
            torch_stop();
            absent = true;
            return torch_start(threads, request, out);
        }
    }
    if (n_models == (int)(sizeof models / sizeof *models))
        n_models = 0; /* those were dropped long ago */
    struct model *m = &models[n_models];
    fprintf(torch.to, "load %s\n", request);
    double handle;
    if (!answer(&handle) || handle < 0)
        return "PyTorch: it failed at something, see above";
    m->handle = (int)handle;
    n_models++;
    *out = (contestant){run, finish, m};
    return NULL;
}
