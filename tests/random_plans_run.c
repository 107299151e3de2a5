/* random_plans_run.c - random graphs, planned in many ways, for some seconds: each in a process of its own, so that one
   that crashes or hangs is found too. What fails is made smaller and written to a file. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */

#include "random_plans.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE = 100000 }; /* milliseconds in which this process and that of a graph are awake */

static random_difference *found; /* shared with the children */

/* Whether some way differs, crashes or hangs. */
static bool fails(const random_choice *c, uint64_t ways)
{
    *found = (random_difference){.way = -1};
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        random_difference d;
        const bool built = random_plans_compare(c, ways, &d);
        *found = d;
        _exit(built ? d.way >= 0 : 2);
    }
    int status = 0, waited = 0;
    pid_t over = 0;
    while (child > 0 && over == 0) {
        over = waitpid(child, &status, WNOHANG);
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
        if (over == 0 && ++waited == PATIENCE)
            kill(child, SIGKILL);
    }
    if (over != child)
        exit(2);
    if (WIFSIGNALED(status)) {
        found->way = -1;
        snprintf(found->text, sizeof found->text, "seed %llu: %s", (unsigned long long)c->seed,
                 waited >= PATIENCE ? "hangs" : strsignal(WTERMSIG(status)));
    }
    return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}

/* Leaves out results and blocks for as long as it fails. */
static random_choice shrink(random_choice c, uint64_t *ways)
{
    for (int way = 1; way < RANDOM_WAYS; way++)
        if (fails(&c, (uint64_t)1 << way)) {
            *ways = (uint64_t)1 << way;
            break;
        }
    for (int again = 0; again < 2; again++) {
        for (int i = RANDOM_FETCHED - 1; i >= 0; i--) {
            random_choice less = c;
            less.without_fetched |= (uint64_t)1 << i;
            if (less.without_fetched != c.without_fetched && fails(&less, *ways))
                c = less;
        }
        for (int i = RANDOM_BLOCKS - 1; i >= 0; i--) {
            random_choice less = c;
            less.without |= (uint64_t)1 << i;
            if (less.without != c.without && fails(&less, *ways))
                c = less;
        }
    }
    return c;
}

static void report(uint64_t seed, const char *directory)
{
    uint64_t ways = ~(uint64_t)0;
    printf("%s\n", found->text);
    const random_choice c = shrink((random_choice){.seed = seed}, &ways);
    int way = 1;
    while (way < RANDOM_WAYS - 1 && !(ways >> way & 1))
        way++;
    if (!fails(&c, ways))
        printf("seed %llu: not always\n", (unsigned long long)seed);
    char path[1024];
    snprintf(path, sizeof path, "%s/graph-%llu.txt", directory, (unsigned long long)seed);
    printf("  smaller (%llu %#llx %#llx): %s: %s\n", (unsigned long long)seed, (unsigned long long)c.without,
           (unsigned long long)c.without_fetched, random_way(way), found->text);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0)
        _exit(!random_plans_dump(&c, way, path));
    int status;
    if (child > 0 && waitpid(child, &status, 0) == child && !status)
        printf("  %s\n", path);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        printf("usage: random_plans SECONDS DIRECTORY [FIRST SEED [WITHOUT BLOCKS, WITHOUT RESULTS]]\n");
        return argc > 1 && strcmp(argv[1], "--help") != 0 ? 2 : 0;
    }
    const double seconds = strtod(argv[1], NULL);
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : (uint64_t)time(NULL) * 1000;
    found = mmap(NULL, sizeof *found, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED)
        return 2;
    if (argc > 5) {
        const random_choice c = {seed, strtoull(argv[4], NULL, 0), strtoull(argv[5], NULL, 0)};
        const bool bad = fails(&c, ~(uint64_t)0);
        printf("%s\n", bad ? found->text : "holds");
        return bad;
    }
    const time_t until = time(NULL) + (time_t)seconds;
    size_t graphs = 0, bad = 0;
    do {
        if (fails(&(random_choice){.seed = seed}, ~(uint64_t)0)) {
            report(seed, argv[2]);
            bad++;
        }
        graphs++;
        seed++;
    } while (time(NULL) < until);
    printf("Done %zu graphs, %zu of them differ\n", graphs, bad);
    return bad > 0;
}
