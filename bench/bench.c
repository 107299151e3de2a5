/* bench.c - what is asked for is measured, ours beside the rivals', in turns in one run; the limits of the machine
   too. */
#include "gbench.h"
#include "groups.h"
#include "memory.h"
#include "report.h"

#include "../examples/arguments.h"

#include <stdlib.h>
#include <string.h>

#define LARGE ((double)(4 << 20)) /* bytes that a row must move for its share of the bandwidth to be of interest */

static const bench_group *const groups[] = {
#define X(name) &cases_##name,
    BENCH_GROUPS
#undef X
};
enum { N_GROUPS = sizeof groups / sizeof *groups, MAX_RESULTS = 1024 };

typedef struct options {
    const char *json, *svg, *only;
    const char *alone;   /* the one row, of whose contestants one is run: memory.h */
    int rounds, threads; /* threads: 0: one, then two */
    int who;
    double seconds;
    bool list, memory;
} options;

/* Texts, each once. */
typedef struct notes {
    const char *text[32];
    int n;
} notes;

static void note(notes *all, const char *text)
{
    for (int i = 0; i < all->n; i++)
        if (strcmp(all->text[i], text) == 0)
            return;
    if (*text && all->n < 32)
        all->text[all->n++] = text;
}

static const char *row_name(const void *row)
{
    const char *name;
    memcpy(&name, row, sizeof name);
    return name;
}

static const void *row_of(const bench_group *g, size_t i)
{
    return (const char *)g->rows + i * g->row_size;
}

static bool wanted(const options *o, const bench_group *g, const void *row)
{
    char name[128];
    snprintf(name, sizeof name, "%s/%s", g->name, row_name(row));
    if (!o->only)
        return true;
    for (const char *text = o->only; *text;) {
        char part[64];
        const size_t n = strcspn(text, ",");
        snprintf(part, sizeof part, "%.*s", (int)n, text);
        if (n && strstr(name, part))
            return true;
        text += n + (text[n] == ',');
    }
    return false;
}

/* Who takes turns: ours, the rivals, and the limits that the row is compared with. */
enum { OURS, FIRST_RIVAL, PEAK = FIRST_RIVAL + BENCH_RIVALS, COPY, STREAM, CONTESTANTS };

static void set_up(contestant who[CONTESTANTS], const result *r, const void *row, int *threads, notes *skipped)
{
    const bench_group *g = r->group;
    for (int i = 0; i < BENCH_RIVALS && g->rivals[i].name; i++) {
        const char *why = g->rivals[i].start(row, *threads, &who[FIRST_RIVAL + i]);
        if (why)
            note(skipped, why);
    }
    if (r->flops > 1e6) /* a smaller step is all overhead */
        who[PEAK] = (contestant){.run = peak_run, .state = threads};
    if (r->bytes >= LARGE) {
        const char *why = memory_start(r->bytes, *threads, 0, &who[COPY]);
        why = why ? why : memory_start(r->bytes, *threads, 1, &who[STREAM]);
        if (why)
            note(skipped, why);
    }
}

static double rate(const figure *f, double work)
{
    return f->present && f->median > 0 ? work / f->median : 0;
}

/* One row: everybody in turns. Returns false if ours could not be measured. */
static bool measure(result *r, const void *row, const options *o, notes *skipped)
{
    const bench_group *g = r->group;
    contestant who[CONTESTANTS] = {{NULL, NULL, NULL}};
    int threads = r->threads;
    const char *why = g->ours(row, threads, &who[OURS]);
    if (why) {
        note(skipped, why);
        return !*why;
    }
    set_up(who, r, row, &threads, skipped);

    gbench_case cases[CONTESTANTS];
    char names[CONTESTANTS][4];
    size_t n = 0;
    for (int i = 0; i < CONTESTANTS; i++)
        if (who[i].run) {
            snprintf(names[i], sizeof names[i], "%d", i);
            cases[n++] = (gbench_case){.name = names[i], .run = who[i].run, .state = who[i].state};
        }
    gbench_measure(cases, n, o->rounds, o->seconds);
    figure of[CONTESTANTS] = {{0, 0, false}};
    for (size_t i = 0; i < n; i++)
        of[atoi(cases[i].name)] = (figure){cases[i].seconds, cases[i].lowest, true};
    for (int i = 0; i < CONTESTANTS; i++)
        if (who[i].finish)
            who[i].finish(who[i].state);

    r->ours = of[OURS];
    memcpy(r->rival, of + FIRST_RIVAL, sizeof r->rival);
    r->peak = rate(&of[PEAK], threads * peak_flops());
    const double copy = rate(&of[COPY], r->bytes), stream = rate(&of[STREAM], r->bytes);
    r->memory = copy > stream ? copy : stream;
    return r->ours.median > 0;
}

static bool measure_group(const bench_group *g, int threads, const options *o, result *results, size_t *n,
                          notes *skipped)
{
    bool complete = true, headed = false;
    for (size_t i = 0; i < g->n_rows && *n < MAX_RESULTS; i++) {
        const void *row = row_of(g, i);
        if (!wanted(o, g, row))
            continue;
        if (!headed)
            table_head(g, threads);
        headed = true;
        result r = {.group = g, .name = row_name(row), .threads = threads, .rounds = o->rounds};
        r.flops = g->flops ? g->flops(row) : 0;
        r.bytes = g->bytes ? g->bytes(row) : 0;
        complete = measure(&r, row, o, skipped) && complete;
        if (r.ours.present) {
            table_row(&r);
            results[(*n)++] = r;
        }
    }
    return complete;
}

static bool write_to(const char *path, void (*write)(FILE *f, const result *results, size_t n), const result *results,
                     size_t n)
{
    if (!path)
        return true;
    FILE *f = fopen(path, "w");
    if (!f) {
        perror(path);
        return false;
    }
    write(f, results, n);
    return fclose(f) == 0;
}

/* Runs one contestant of the row that is named in full. */
static int run_alone(const options *o)
{
    char name[160];
    for (int i = 0; i < N_GROUPS; i++)
        for (size_t j = 0; j < groups[i]->n_rows; j++) {
            const void *row = row_of(groups[i], j);
            snprintf(name, sizeof name, "%s/%s", groups[i]->name, row_name(row));
            if (strcmp(name, o->alone) == 0)
                return memory_alone(groups[i], row, o->threads, o->who);
        }
    return 1;
}

static int show_memory(const options *o, const char *program)
{
    for (int t = o->threads ? o->threads : 1; t <= (o->threads ? o->threads : 2); t++)
        for (int i = 0; i < N_GROUPS; i++) {
            bool headed = false;
            for (size_t j = 0; j < groups[i]->n_rows; j++) {
                const void *row = row_of(groups[i], j);
                if (!wanted(o, groups[i], row))
                    continue;
                if (!headed)
                    memory_head(groups[i], t);
                headed = true;
                memory_row(groups[i], program, row_name(row), t);
            }
        }
    puts("\nPlan: working memory beside parameters, of it values; the rest is scratch of each thread. Alive: the "
         "largest sum of\n"
         "values that are needed at once, which no placement can do without. Process: all of it at most, its program "
         "and\n"
         "libraries included.");
    return 0;
}

int main(int argc, char **argv)
{
    options o = {.rounds = 9, .seconds = 0.05};
    const argument all[] = {
        {.name = "--only",
         .value = "TEXT",
         .what = "groups and cases whose GROUP/CASE has it in it; several with commas between them",
         .text = &o.only},
        {.name = "--json", .value = "FILE", .what = "writes the figures", .text = &o.json},
        {.name = "--svg",
         .value = "FILE",
         .what = "draws the speed of ours beside the fastest rival of each case",
         .text = &o.svg},
        {.name = "--threads",
         .value = "N",
         .what = "without it: 1, then 2",
         .number = &o.threads,
         .least = 1,
         .most = 1024},
        {.name = "--rounds",
         .value = "N",
         .what = "turns that each contestant gets; the median counts",
         .number = &o.rounds,
         .least = 7,
         .most = 10000},
        {.name = "--seconds", .value = "S", .what = "the least that one turn lasts", .real = &o.seconds},
        {.name = "--memory",
         .what = "instead of times, what steps take of memory: every contestant in a process of its own",
         .flag = &o.memory},
        {.name = "--alone",
         .value = "GROUP/CASE",
         .what = "such a process: runs one contestant of the case",
         .text = &o.alone},
        {.name = "--who",
         .value = "N",
         .what = "with --alone: which rival; ours is -1",
         .number = &o.who,
         .least = -1,
         .most = BENCH_RIVALS - 1},
        {.name = "--list", .what = "says what there is", .flag = &o.list},
    };
    const command self = {"retrograde_bench",
                          "Times kernels and training steps beside those of other libraries (./dev bench).", all,
                          sizeof all / sizeof *all};
    const int code = arguments_read(&self, argc, argv);
    if (code >= 0)
        return code;
    if (o.list) {
        for (int i = 0; i < N_GROUPS; i++)
            for (size_t j = 0; j < groups[i]->n_rows; j++)
                printf("%s/%s\n", groups[i]->name, row_name(row_of(groups[i], j)));
        return 0;
    }
    if (o.alone)
        return run_alone(&o);
    if (o.memory)
        return show_memory(&o, argv[0]);
    const char *policy = getenv("OMP_WAIT_POLICY");
    if (policy && strcmp(policy, "passive") == 0)
        fputs("bench: warning: OMP_WAIT_POLICY=passive makes every meeting of two threads slow, for all\n", stderr);
    static result results[MAX_RESULTS];
    size_t n = 0;
    notes skipped = {{NULL}, 0};
    bool complete = true;
    for (int t = o.threads ? o.threads : 1; t <= (o.threads ? o.threads : 2); t++)
        for (int i = 0; i < N_GROUPS; i++)
            complete = measure_group(groups[i], t, &o, results, &n, &skipped) && complete;
    torch_stop();
    for (int i = 0; i < skipped.n; i++)
        printf("skipped: %s\n", skipped.text[i]);
    printf("\nMedians of %d turns of at least %g s, ms; in brackets ours / the rival's. Of peak: of what fused "
           "multiply-adds\n"
           "on registers reached in the same turns. Of copy: of the faster of two ways to copy as many bytes.\n",
           o.rounds, o.seconds);
    complete = write_to(o.json, json_write, results, n) && complete;
    complete = write_to(o.svg, svg_write, results, n) && complete;
    return n > 0 && complete ? 0 : 1;
}
