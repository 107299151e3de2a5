/* failure.c - an op that fails in a run, or refuses the sizes bound, says what is wrong with its operands, not where in
   the program it was written: for all ops the node and its place are added here. */
#include "exec.h"

#include <string.h>

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

void rgi_tell_node(const rgi_program *prog, size_t i, rg_status status)
{
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

void rgi_tell_call(const rgi_program *prog, const rgi_special *s, size_t i, const rg_step *step, rg_status status)
{
    const size_t after = s->steps[i].after;
    while (i < after && !is_of(&s->steps[i], step))
        i++;
    if (i < after)
        rgi_tell_node(prog, i, status);
}
