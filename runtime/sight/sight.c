/* sight.c - names of steps. */
#include "sight.h"

#include <stdio.h>
#include <string.h>

/* Appends, shortened where it does not fit. */
static void append(char *text, size_t size, const char *more)
{
    const size_t n = strlen(text);
    if (n + strlen(more) + 1 > size)
        more = n + 4 <= size ? "..." : "";
    snprintf(text + n, size - n, "%s", more);
}

static void append_fused(const rgi_program *prog, uint32_t first, uint32_t end, char *text, size_t size)
{
    append(text, size, "fused(");
    for (uint32_t k = first; k < end; k++) {
        append(text, size, k > first ? ", " : "");
        append(text, size, prog->uses[k].node->op->name);
    }
    append(text, size, ")");
}

const char *rgi_step_title(const rgi_program *prog, size_t step, char *text, size_t size)
{
    static const char *const names[] = {"run", "fused", "copy", "index", "clear", "pack", "test", "loop", "next"};
    const rgi_item *item = &prog->items[step];
    const uint32_t first = item->first, end = item->first + item->count;
    text[0] = '\0';
    if (item->count == 0) {
        append(text, size, names[item->kind]);
    } else if (item->count == 1) {
        append(text, size, prog->uses[first].node->op->name);
    } else if (item->headed) {
        append(text, size, prog->uses[first].node->op->name);
        append(text, size, " + ");
        append_fused(prog, first + 1, end, text, size);
    } else if (item->footed) {
        append_fused(prog, first, end - 1, text, size);
        append(text, size, " + ");
        append(text, size, prog->uses[end - 1].node->op->name);
    } else {
        append_fused(prog, first, end, text, size);
    }
    return text;
}

const char *rgi_step_scope(const rgi_program *prog, size_t step)
{
    const rgi_item *item = &prog->items[step];
    const rg_node *node = item->count ? prog->uses[item->first].node : NULL;
    while (node && node->origin)
        node = node->origin;
    return node && node->scope ? node->scope : "";
}

void rgi_print_escaped(rgi_text *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            rgi_text_printf(out, "\\%c", *text);
        else if ((unsigned char)*text >= ' ')
            rgi_text_printf(out, "%c", *text);
    }
}
