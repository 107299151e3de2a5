/* test_ops.c - the values of every op: the table of samples against the reference, and the same bits however it
   runs. */
#include "check.h"

#include <criterion/criterion.h>
#include <string.h>

#include "graph/graph.h"

/* Runs one column over all rows; prints and fails on complaints. */
static void run_column(const char *name)
{
    static complaints why;
    const column *col = columns_values;
    while (col->name && strcmp(col->name, name) != 0)
        col++;
    cr_assert(col->name, "no column %s", name);
    size_t rows = 0;
    const sample_row *row;
    for (size_t i = 0; (row = sample_row_at(i)); i++)
        rows += column_of_row(col, row, &why) != MARK_NONE;
    cr_assert(rows > 0, "no row has the column %s", name);
    cr_assert(why.count == 0, "%zu complaints:\n%s", why.count, why.text);
}

Test(ops, values_in_f32)
{
    run_column("f32");
}
Test(ops, values_in_f64)
{
    run_column("f64");
}
Test(ops, values_in_other_types)
{
    run_column("others");
}
Test(ops, fused_is_unfused_bit_for_bit)
{
    run_column("fused");
}
Test(ops, threads_make_no_difference)
{
    run_column("threads");
}
Test(ops, nothing_in_gives_nothing_or_the_neutral)
{
    run_column("empty");
}
Test(ops, nan_and_infinity)
{
    run_column("special");
}

/* Whether a node of that op stands in the graph that a case of the row builds. */
static bool appears(const sample_row *row, const rg_op *op)
{
    static complaints unused;
    bool found = false;
    for (size_t i = 0; i < row->n_cases && !found; i++) {
        trial t;
        if (trial_begin(&t, row, &row->cases[i], RG_F64, sizes_small, &unused))
            for (size_t id = 0; id < rg_graph_size(t.g); id++)
                found |= rgi_node(t.g, id)->op == op;
        trial_end(&t);
    }
    return found;
}

Test(ops, every_op_has_samples)
{
    static complaints why;
    for (const rg_op *const *op = rg_op_table(); *op; op++) {
        const sample_row *row = sample_row_find((*op)->name);
        if (!row)
            complain(&why, "op '%s' has no row in the table of samples", (*op)->name);
        else if (row->flags & SAMPLE_STRUCTURAL)
            continue;
        else if (!row->n_cases)
            complain(&why, "op '%s': its row has no cases", (*op)->name);
        else if (!appears(row, *op))
            complain(&why, "op '%s': no case of its row builds it", (*op)->name);
    }
    cr_assert(why.count == 0, "%s", why.text);
}

Test(ops, every_row_has_a_named_dimension)
{
    const sample_row *row;
    for (size_t i = 0; (row = sample_row_at(i)); i++) {
        bool any = false;
        for (size_t k = 0; k < row->n_cases; k++)
            any |= sample_case_named(&row->cases[k]);
        cr_expect(any || (row->flags & (SAMPLE_STRUCTURAL | SAMPLE_FIXED)), "%s", row->name);
    }
}
