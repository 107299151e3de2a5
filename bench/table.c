/* table.c - results as a table to read and as JSON. */
#include "report.h"

int result_fastest(const result *r)
{
    int best = -1;
    for (int i = 0; i < BENCH_RIVALS && r->group->rivals[i].name; i++)
        if (r->rival[i].present && r->rival[i].median > 0 && (best < 0 || r->rival[i].median < r->rival[best].median))
            best = i;
    return best;
}

void table_head(const bench_group *g, int threads)
{
    printf("\n%s, %d thread%s\n%-24s %11s %8s %8s", g->title, threads, threads > 1 ? "s" : "", g->name, "ours, ms",
           "of peak", "of copy");
    for (int i = 0; i < BENCH_RIVALS && g->rivals[i].name; i++)
        printf("  %18s", g->rivals[i].name);
    printf("  %8s\n", "ours/best");
    fflush(stdout);
}

static void print_share(double share)
{
    share > 0 ? printf(" %6.1f %%", 100 * share) : printf(" %8s", "-");
}

void table_row(const result *r)
{
    printf("%-24s", r->name);
    r->ours.median > 0 ? printf(" %11.6f", 1e3 * r->ours.median) : printf(" %11s", "failed");
    print_share(r->peak > 0 ? r->flops / r->ours.median / r->peak : 0);
    print_share(r->memory > 0 ? r->bytes / r->ours.median / r->memory : 0);
    for (int i = 0; i < BENCH_RIVALS && r->group->rivals[i].name; i++) {
        const figure *f = &r->rival[i];
        if (!f->present)
            printf("  %18s", "-");
        else if (f->median < 0)
            printf("  %18s", "failed");
        else
            printf("  %11.6f (%4.2f)", 1e3 * f->median, r->ours.median / f->median);
    }
    const int best = result_fastest(r);
    best < 0 ? printf("  %8s\n", "-") : printf("  %8.2f\n", r->ours.median / r->rival[best].median);
    fflush(stdout);
}

static void json_figure(FILE *f, const result *r, const char *who, const figure *time, bool *first)
{
    if (!time->present)
        return;
    fprintf(f,
            "%s\n  {\"group\": \"%s\", \"case\": \"%s\", \"threads\": %d, \"name\": \"%s\", \"median_ms\": %.6f, "
            "\"min_ms\": %.6f, \"rounds\": %d, \"flops\": %.0f, \"bytes\": %.0f, \"peak_gflops\": %.1f, "
            "\"copy_gbs\": %.1f}",
            *first ? "" : ",", r->group->name, r->name, r->threads, who, 1e3 * time->median, 1e3 * time->lowest,
            r->rounds, r->flops, r->bytes, 1e-9 * r->peak, 1e-9 * r->memory);
    *first = false;
}

void json_write(FILE *f, const result *results, size_t n)
{
    bool first = true;
    fputs("[", f);
    for (const result *r = results; r < results + n; r++) {
        json_figure(f, r, "retrograde", &r->ours, &first);
        for (int i = 0; i < BENCH_RIVALS && r->group->rivals[i].name; i++)
            json_figure(f, r, r->group->rivals[i].name, &r->rival[i], &first);
    }
    fputs("\n]\n", f);
}
