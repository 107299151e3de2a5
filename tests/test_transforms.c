/* test_transforms.c - the rules of every op in f64, and the table of ops x checks, without a hole. */
#include "check.h"

#include <criterion/criterion.h>
#include <string.h>

static void run_column(const char *name)
{
    static complaints why;
    const column *col = columns_transforms;
    while (col->name && strcmp(col->name, name) != 0)
        col++;
    cr_assert(col->name, "no column %s", name);
    const sample_row *row;
    for (size_t i = 0; (row = sample_row_at(i)); i++)
        (void)column_of_row(col, row, &why);
    cr_assert(why.count == 0, "%zu complaints:\n%s", why.count, why.text);
}

Test(transforms, reverse_against_differences)
{
    run_column("vjp");
}
Test(transforms, forward_is_the_transpose_of_reverse)
{
    run_column("jvp");
}
Test(transforms, second_order_against_differences)
{
    run_column("second");
}
Test(transforms, batched_is_a_loop_over_examples)
{
    run_column("batch");
}
Test(transforms, named_dimensions_at_two_sizes)
{
    run_column("named");
}

/* ---- the table ---- */

/* In which columns a row must have a mark; the others may be empty for it. */
static bool must_have(const sample_row *row, const char *column_name)
{
    if (row->flags & SAMPLE_STRUCTURAL)
        return false;
    if (!strcmp(column_name, "others") || !strcmp(column_name, "special"))
        return false;
    if (row->flags & SAMPLE_RANDOM) /* values are tested as distributions, and there is nothing to batch */
        return strcmp(column_name, "f32") && strcmp(column_name, "f64") && strcmp(column_name, "batch") &&
               strcmp(column_name, "empty");
    if (row->flags & SAMPLE_FIXED) /* values alone */
        return !strcmp(column_name, "f32") || !strcmp(column_name, "f64") || !strcmp(column_name, "fused");
    if (!strcmp(column_name, "batch"))
        return !(row->flags & SAMPLE_SIZED);
    return true;
}

static const char *sign(mark m)
{
    return m == MARK_PASS ? "+" : m == MARK_ZERO ? "0" : m == MARK_FAIL ? "FAIL" : "";
}

/* + holds, 0 zero by definition and found zero, FAIL, HOLE: not tried although it should be, blank: nothing to try. */
Test(transforms, table_without_holes)
{
    static complaints why;
    static const char *const shown[] = {"f32", "f64", "vjp", "jvp", "batch", "second", "fused", "empty", "named"};
    size_t holes = 0;
    fprintf(stderr, "%-36s", "op");
    for (size_t k = 0; k < sizeof shown / sizeof *shown; k++)
        fprintf(stderr, "%7s", shown[k]);
    fprintf(stderr, "\n");
    const sample_row *row;
    for (size_t i = 0; (row = sample_row_at(i)); i++) {
        if (row->flags & SAMPLE_STRUCTURAL) {
            fprintf(stderr, "%-36s   see %s\n", row->name, row->see);
            continue;
        }
        fprintf(stderr, "%-36s", row->name);
        for (size_t k = 0; k < sizeof shown / sizeof *shown; k++) {
            const column *col = columns_values;
            while (col->name && strcmp(col->name, shown[k]) != 0)
                col++;
            if (!col->name)
                for (col = columns_transforms; strcmp(col->name, shown[k]) != 0;)
                    col++;
            const mark m = column_of_row(col, row, &why);
            const bool hole = m == MARK_NONE && must_have(row, shown[k]);
            holes += hole;
            fprintf(stderr, "%7s", hole ? "HOLE" : sign(m));
        }
        fprintf(stderr, "\n");
    }
    cr_expect(holes == 0, "%zu holes", holes);
    cr_expect(why.count == 0, "%zu complaints:\n%s", why.count, why.text);
}
