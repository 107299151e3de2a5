/* test_ops.c - the values of every op: the table of samples against the reference, and the same bits however it
   runs. */
#include "check.h"

#include <criterion/criterion.h>
#include <string.h>

#include "graph/infer.h"

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
Test(ops, pieces_are_read_as_what_lies_by_itself)
{
    run_column("pieces");
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

/* A shape at concrete sizes; false: there are none. */
static bool shape_at(const rg_graph *g, const rgi_shape *shape, const int64_t *sizes, rg_shape *out)
{
    *out = shape->a;
    for (int32_t k = 0; k < shape->a.rank; k++) {
        rgi_formula f;
        if (shape->a.dim[k] != shape->b.dim[k] && (!rgi_formula_find(g, shape->a.dim[k], shape->b.dim[k], &f) ||
                                                   !rgi_formula_value(&f, sizes, &out->dim[k]) || out->dim[k] < 0))
            return false;
    }
    return true;
}

/* Whether the rule of a node with named sizes gives at others, equal and different ones, what follows from its
   shape. */
static bool holds_for_any_sizes(const rg_node *node)
{
    static const int64_t choices[][4] = {{1, 1, 1, 1}, {0, 0, 0, 0}, {2, 2, 2, 2},
                                         {1, 7, 3, 2}, {0, 5, 1, 1}, {6, 1, 0, 9}};
    for (size_t c = 0; c < sizeof choices / sizeof *choices; c++) {
        int64_t sizes[64];
        rg_type in[16], out[RGI_RESULTS];
        rg_shape want;
        for (size_t d = 0; d < sizeof sizes / sizeof *sizes; d++)
            sizes[d] = choices[c][d % 4];
        bool there = node->n_in <= 16 && shape_at(node->graph, node->shape, sizes, &want);
        for (uint32_t i = 0; there && i < node->n_in; i++) {
            in[i].dtype = node->in[i]->dtype;
            there = shape_at(node->graph, node->in[i]->shape, sizes, &in[i].shape);
        }
        if (there && (rgi_infer_concrete(node, sizes, in, out) || !rg_shape_equal(out[0].shape, want)))
            return false;
    }
    return true;
}

/* A plan does not ask these rules again when it meets new sizes. */
Test(ops, rules_said_to_hold_for_any_sizes_do)
{
    static complaints unused;
    sample_sizes named = sizes_small;
    named.named = true;
    for (const rg_op *const *op = rg_op_table(); *op; op++) {
        size_t seen = 0;
        const sample_row *row = (*op)->traits & RG_ANY_SIZES ? sample_row_find((*op)->name) : NULL;
        for (size_t i = 0; row && i < row->n_cases; i++) {
            trial t;
            if (!sample_case_named(&row->cases[i]))
                continue;
            const rg_dtype only = row->cases[i].only;
            const bool built = trial_begin(&t, row, &row->cases[i], only ? only : RG_F64, named, &unused);
            for (size_t id = 0; built && id < rg_graph_size(t.g); id++) {
                const rg_node *node = rgi_node(t.g, id);
                bool some = node->op == *op && node->shape->named;
                for (uint32_t k = 0; node->op == *op && k < node->n_in; k++)
                    some = some || node->in[k]->shape->named;
                seen += some;
                cr_expect(!some || holds_for_any_sizes(node), "%s, %s", (*op)->name, t.label);
            }
            trial_end(&t);
        }
        cr_expect(seen || !((*op)->traits & RG_ANY_SIZES), "%s: no case has named sizes", (*op)->name);
    }
}
