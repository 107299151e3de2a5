/* test_transforms.c - the rules of every op in f64, and the table of ops x checks, without a hole. */
#include "check.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* In which columns a row must have a mark; the others may be empty for it. */
static bool must_have(const sample_row *row, const char *column_name)
{
    if (row->flags & SAMPLE_STRUCTURAL)
        return false;
    if (!strcmp(column_name, "others") || !strcmp(column_name, "special"))
        return false;
    if (row->flags & SAMPLE_RANDOM) /* values are tested as distributions, and there is nothing to batch */
        return strcmp(column_name, "f32") && strcmp(column_name, "f64") && strcmp(column_name, "batch") &&
               strcmp(column_name, "sparse") && strcmp(column_name, "empty");
    if (row->flags & SAMPLE_FIXED) /* values alone */
        return !strcmp(column_name, "f32") || !strcmp(column_name, "f64") || !strcmp(column_name, "fused");
    if (!strcmp(column_name, "batch") || !strcmp(column_name, "sparse"))
        return !(row->flags & SAMPLE_SIZED);
    return true;
}

static const char *sign(mark m)
{
    return m == MARK_PASS ? "+" : m == MARK_ZERO ? "0" : m == MARK_FAIL ? "FAIL" : "";
}

/* The table as docs/transforms.md has it, growing as it is found. */
typedef struct page {
    char *text;
    size_t n, room;
} page;

static void put(page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(page *p, const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (p->n + (size_t)n + 1 > p->room) {
        p->room = 2 * p->room + 1024;
        p->text = realloc(p->text, p->room);
        cr_assert(p->text);
    }
    memcpy(p->text + p->n, line, (size_t)n + 1);
    p->n += (size_t)n;
}

/* The page that is kept must say the same; RETROGRADE_WRITE=1 writes it. */
static void compare_with_docs(const page *p)
{
    const char *root = getenv("RETROGRADE_SOURCE");
    char path[4096];
    snprintf(path, sizeof path, "%s/docs/transforms.md", root ? root : ".");
    if (getenv("RETROGRADE_WRITE")) {
        FILE *out = fopen(path, "w");
        cr_assert(out, "%s cannot be written", path);
        fputs(p->text, out);
        fclose(out);
        return;
    }
    FILE *kept = fopen(path, "r");
    cr_assert(kept, "%s cannot be read: RETROGRADE_SOURCE names the tree", path);
    char *text = calloc(p->n + 2, 1);
    const size_t n = fread(text, 1, p->n + 1, kept);
    fclose(kept);
    cr_expect(n == p->n && !memcmp(text, p->text, n),
              "docs/transforms.md is not what the tests found: run this test with RETROGRADE_WRITE=1");
    free(text);
}

static const column *column_named(const column *of, const char *name)
{
    while (of->name && strcmp(of->name, name) != 0)
        of++;
    return of->name ? of : NULL;
}

/* Derivatives are tried in all cases; of values, all of which test_ops tries, one case shows that there are some.
   + holds, 0 zero by definition and found zero, FAIL, HOLE: not tried although it should be, blank: nothing to try. */
Test(transforms, table_without_holes)
{
    static complaints why;
    static const char *const shown[] = {"f32",    "f64",    "vjp",   "jvp",   "batch",
                                        "second", "sparse", "fused", "empty", "named"};
    enum { SHOWN = sizeof shown / sizeof *shown };
    size_t holes = 0;
    page p = {.text = NULL};
    put(&p, "# Ops and what is tested of each\n\nWritten by `tests/test_transforms.c`, which fails when it is not up "
            "to date "
            "(`RETROGRADE_WRITE=1` writes it).\n\n");
    put(&p, "`+` holds, `0` the derivative is zero by definition and was found zero, blank: there is nothing to try. "
            "Columns: "
            "values against\na double-precision reference");
    put(&p, " in f32 and f64; reverse mode against differences; forward mode against reverse mode; the\nbatching rule "
            "against a loop over examples; ");
    put(&p, "second order against differences;\nsparse Jacobians, of the gradient too, against dense ones; fused "
            "plans against unfused ones, bit for bit; size 0; sizes\nknown only when data is bound.\n\n| op |");
    for (size_t k = 0; k < SHOWN; k++)
        put(&p, " %s |", shown[k]);
    put(&p, "\n|---|");
    for (size_t k = 0; k < SHOWN; k++)
        put(&p, "---|");
    put(&p, "\n");
    const sample_row *row;
    for (size_t i = 0; (row = sample_row_at(i)); i++) {
        if (row->flags & SAMPLE_STRUCTURAL)
            continue;
        put(&p, "| %s |", row->name);
        for (size_t k = 0; k < SHOWN; k++) {
            const column *values = column_named(columns_values, shown[k]);
            const mark m = values ? column_of_first(values, row, &why)
                                  : column_of_row(column_named(columns_transforms, shown[k]), row, &why);
            const bool hole = m == MARK_NONE && must_have(row, shown[k]);
            holes += hole;
            put(&p, " %s |", hole ? "HOLE" : sign(m));
        }
        put(&p, "\n");
    }
    put(&p, "\nLeaves, effects and the ops of recurrences have no inputs to sample; the tests named cover them.\n\n");
    for (size_t i = 0; (row = sample_row_at(i)); i++)
        if (row->flags & SAMPLE_STRUCTURAL)
            put(&p, "- %s: `%s`\n", row->name, row->see);
    fputs(p.text, stderr);
    cr_expect(holes == 0, "%zu holes", holes);
    cr_expect(why.count == 0, "%zu complaints:\n%s", why.count, why.text);
    if (!holes && !why.count)
        compare_with_docs(&p);
    free(p.text);
}
