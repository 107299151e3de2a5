/* bench.c - whole training steps, ours beside the rivals', measured in turns in one run; the peak of the machine too. */
#include "gbench.h"
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const workload workloads[] = {
    {"xor", 2, {2, 4, 1}, 4, TANH, SQUARED_ERROR},
    {"mlp64", 3, {784, 512, 512, 10}, 64, RELU, CROSS_ENTROPY},
    {"mlp256", 3, {784, 512, 512, 10}, 256, RELU, CROSS_ENTROPY},
    {"autoencoder", 8, {784, 1000, 500, 250, 30, 250, 500, 1000, 784}, 128, SIGMOID, RECONSTRUCTION},
};
enum { N_WORKLOADS = sizeof workloads / sizeof *workloads, MAX_CONTESTANTS = 4 };

typedef struct options {
    const char *json, *only, *rivals;
    int rounds, threads; /* threads: 0: one, then two */
    double seconds;
} options;

/* Texts, each once. */
typedef struct notes {
    const char *text[16];
    int n;
} notes;

static void note(notes *all, const char *text)
{
    for (int i = 0; i < all->n; i++)
        if (strcmp(all->text[i], text) == 0)
            return;
    if (all->n < 16)
        all->text[all->n++] = text;
}

static int usage(void)
{
    fputs("usage: ./dev bench [--json FILE] [--only WORKLOAD] [--threads N] [--rounds N] [--seconds S]\n"
          "  --rounds   turns that each contestant gets, at least 7; the median counts (default 9)\n"
          "  --seconds  the least that one turn lasts (default 0.15)\n"
          "workloads:",
          stderr);
    for (int i = 0; i < N_WORKLOADS; i++)
        fprintf(stderr, " %s", workloads[i].name);
    fputs("\n", stderr);
    return 2;
}

static int parse(int argc, char **argv, options *o)
{
    *o = (options){.rounds = 9, .seconds = 0.15, .rivals = "bench/rivals"};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!value)
            return 0;
        if (strcmp(argv[i], "--json") == 0)
            o->json = value;
        else if (strcmp(argv[i], "--only") == 0)
            o->only = value;
        else if (strcmp(argv[i], "--rivals") == 0)
            o->rivals = value;
        else if (strcmp(argv[i], "--threads") == 0)
            o->threads = (int)strtol(value, NULL, 10);
        else if (strcmp(argv[i], "--rounds") == 0)
            o->rounds = (int)strtol(value, NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            o->seconds = strtod(value, NULL);
        else
            return 0;
        i++;
    }
    return o->rounds >= 7 && o->threads >= 0 && o->seconds > 0;
}

/* The contestants of a row; ours is the first, or there are none. */
static int gather(const workload *w, int threads, const options *o, contestant *out, notes *skipped)
{
    const char *why = retrograde_start(w, threads, out);
    if (why)
        return 0;
    int n = 1;
    const char *const modes[] = {"eager", "script"};
    for (int i = 0; i < 2; i++) {
        why = torch_start(w, threads, o->rivals, modes[i], &out[n]);
        why ? note(skipped, why) : (void)n++;
    }
    why = onednn_start(w, threads, &out[n]);
    why ? note(skipped, why) : (void)n++;
    return n;
}

/* What the team could do at most, in operations a second; 0 where it is unknown. */
static double limit(const gbench_case *peak, int threads)
{
    return peak->seconds > 0 ? threads * peak_flops() / peak->seconds : 0;
}

static void print_row(const workload *w, int threads, const gbench_case *cases, int n, const gbench_case *peak)
{
    const double ours = cases[0].seconds;
    char share[16] = "-";
    if (ours > 0 && limit(peak, threads) > 0 && workload_flops(w) > 1e6) /* a smaller step is all overhead */
        snprintf(share, sizeof share, "%.0f %%", 100 * workload_flops(w) / ours / limit(peak, threads));
    for (int i = n > 1 ? 1 : 0; i < n; i++) {
        printf("%-12s %7d  %12.6f %8s", w->name, threads, 1e3 * ours, share);
        if (i > 0)
            printf("  %-15s %12.6f %7.2f", cases[i].name, 1e3 * cases[i].seconds, ours / cases[i].seconds);
        printf("%s\n", ours < 0 || cases[i].seconds < 0 ? "  failed" : "");
    }
    fflush(stdout);
}

static void write_json(FILE *json, const workload *w, int threads, const gbench_case *cases, int n,
                       const gbench_case *peak, int rounds)
{
    static int rows;
    for (int i = 0; i < n; i++)
        fprintf(
            json,
            "%s\n  {\"workload\": \"%s\", \"threads\": %d, \"name\": \"%s\", \"median_ms\": %.6f, \"min_ms\": %.6f, "
            "\"rounds\": %d, \"flops\": %.0f, \"peak_gflops\": %.1f}",
            rows++ ? "," : "", w->name, threads, cases[i].name, 1e3 * cases[i].seconds, 1e3 * cases[i].lowest, rounds,
            workload_flops(w), 1e-9 * limit(peak, threads));
}

/* One row of the table: everybody in turns. Returns false if ours could not be measured. */
static bool measure(const workload *w, int threads, const options *o, FILE *json, notes *skipped)
{
    contestant who[MAX_CONTESTANTS];
    gbench_case cases[MAX_CONTESTANTS + 1];
    const int n = gather(w, threads, o, who, skipped);
    for (int i = 0; i < n; i++)
        cases[i] = (gbench_case){.name = who[i].name, .run = who[i].run, .state = who[i].state};
    if (n > 0) {
        cases[n] = (gbench_case){.name = "peak", .run = peak_run, .state = &threads};
        gbench_measure(cases, (size_t)n + 1, o->rounds, o->seconds);
        print_row(w, threads, cases, n, &cases[n]);
        if (json)
            write_json(json, w, threads, cases, n, &cases[n], o->rounds);
    }
    for (int i = 0; i < n; i++)
        if (who[i].finish)
            who[i].finish(who[i].state);
    return n > 0 && cases[0].seconds > 0;
}

int main(int argc, char **argv)
{
    options o;
    if (!parse(argc, argv, &o))
        return usage();
    const char *policy = getenv("OMP_WAIT_POLICY");
    if (policy && strcmp(policy, "passive") == 0)
        fputs("bench: warning: OMP_WAIT_POLICY=passive makes every meeting of two threads slow, for all\n", stderr);
    FILE *json = o.json ? fopen(o.json, "w") : NULL;
    if (o.json && !json) {
        perror(o.json);
        return 1;
    }
    if (json)
        fputs("[", json);
    notes skipped = {{NULL}, 0};
    bool complete = true;
    printf("%-12s %7s  %12s %8s  %-15s %12s %7s\n", "step", "threads", "ours, ms", "of peak", "rival", "ms", "ours/");
    for (int t = o.threads ? o.threads : 1; t <= (o.threads ? o.threads : 2); t++)
        for (int i = 0; i < N_WORKLOADS; i++)
            if (!o.only || strcmp(o.only, workloads[i].name) == 0)
                complete = measure(&workloads[i], t, &o, json, &skipped) && complete;
    torch_stop();
    for (int i = 0; i < skipped.n; i++)
        printf("skipped: %s\n", skipped.text[i]);
    printf("Medians of %d turns of at least %g s. Of peak: matrix products, of what fused multiply-adds on registers\n"
           "reached in the same turns.\n",
           o.rounds, o.seconds);
    if (json) {
        fputs("\n]\n", json);
        fclose(json);
    }
    return complete ? 0 : 1;
}
