/* failure.c - an op that fails in a run, or refuses the sizes bound, says what is wrong with its operands, not where in
   the program it was written: for all ops the node and its place are added here. */
#include "exec.h"

#include <stdio.h>
#include <string.h>

static bool is_built_in(const rg_op *op)
{
    for (const rg_op *const *b = rg_op_table(); *b; b++)
        if (*b == op)
            return true;
    return false;
}

/* The text that an op of the program's own owed: which of one item's it was, as far as that can be told. */
static void tell_for(const rgi_program *prog, const rgi_item *item, rg_status status)
{
    char names[RGI_LABEL] = "";
    size_t n = 0;
    for (uint32_t k = 0; k < item->count && n < sizeof names; k++) {
        const rg_op *const op = prog->uses[item->first + k].node->op;
        if (!is_built_in(op))
            n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", n ? " or " : "", op->name);
    }
    rgi_fail(status, "%s: the op failed with status %d (%s) and no text: see rg_step_fail", n ? names : "rg_run",
             (int)status, rg_status_name(status));
}

/* The node whose op the thread's last error is of, among those of one item: errors begin with the op's name. NULL: it
   cannot be told. */
static const rg_node *failed_node(const rgi_program *prog, const rgi_item *item)
{
    const rgi_use *const uses = prog->uses + item->first;
    const rg_node *found = NULL;
    if (item->count == 1)
        return uses->node;
    for (uint32_t k = 0; k < item->count; k++) {
        const size_t n = strlen(uses[k].node->op->name);
        if (strncmp(rg_last_error(), uses[k].node->op->name, n) != 0 || rg_last_error()[n] != ':')
            continue;
        if (found)
            return NULL;
        found = uses[k].node;
    }
    return found;
}

void rgi_tell_of(const rg_node *node, rg_status status)
{
    char label[RGI_LABEL];
    rgi_compile_fail(NULL, status, node, "%s; node: %s", rg_last_error(), rgi_format_node(node, label, sizeof label));
}

void rgi_tell_node(const rgi_program *prog, size_t i, uint64_t failures, rg_status status)
{
    if (failures == rgi_failures())
        tell_for(prog, &prog->items[i], status);
    const rg_node *node = failed_node(prog, &prog->items[i]);
    if (node)
        rgi_tell_of(node, status);
}

static bool is_of(const rgi_exec *e, const rg_step *step)
{
    if (e->kind == RGI_RUN)
        return step == &e->step;
    for (size_t m = 0; e->kind == RGI_FUSED && m < e->group->n_members; m++)
        if (step == &e->group->members[m].step)
            return true;
    return false;
}

void rgi_tell_call(const rgi_program *prog, const rgi_special *s, size_t i, const rg_step *step, uint64_t failures,
                   rg_status status)
{
    const size_t after = s->steps[i].after;
    while (i < after && !is_of(&s->steps[i], step))
        i++;
    if (i < after)
        rgi_tell_node(prog, i, failures, status);
}
