/* dump.c - what a plan does, as text: a line a step, with sizes, offsets and costs once they are known. Who does a step
   and what it costs stand in columns in front of it. */
#include "../plan.h"

#include "../../graph/text.h"

#include <inttypes.h>
#include <stdio.h>

static void print_value(rgi_text *t, const rg_plan *p, int32_t v)
{
    const rgi_program *prog = p->program;
    const rgi_special *s = p->current;
    char label[RGI_LABEL];
    if (v == RGI_NONE) {
        rgi_text_printf(t, "_");
        return;
    }
    const rgi_value *value = &prog->values[v];
    const int32_t owner = rgi_owner(prog, v);
    const rgi_value *o = &prog->values[owner];
    rgi_text_printf(t, "%%%u", value->node->id);
    if (*rg_name(value->node))
        rgi_text_printf(t, " '%s'", rg_name(value->node));
    bool piece = false;
    for (int32_t w = v; w != RGI_NONE; w = prog->values[w].part_of) {
        if (prog->values[w].step_loop != RGI_NONE)
            rgi_text_printf(t, "[t%d]", prog->loops[prog->values[w].step_loop].depth);
        piece = piece || prog->values[w].piece;
    }
    rgi_text_printf(t, " %s",
                    rgi_format_type(prog->graph, value->dtype,
                                    s ? s->shapes[value->shape] : prog->shapes[value->shape]->a, label, sizeof label));
    if (o->place == RGI_SLAB && s)
        rgi_text_printf(t, " @%zu", s->offsets[owner] + rgi_begin(prog, s, v));
    else if (o->place == RGI_VOID)
        rgi_text_printf(t, " (block)");
    if (value->again)
        rgi_text_printf(t, " (again)");
    if (value->window)
        rgi_text_printf(t, " (window)");
    if (piece)
        rgi_text_printf(t, " (piece)");
    if (value->packed)
        rgi_text_printf(t, o->place == RGI_KEPT ? " (packed, kept)" : " (packed)");
}

static void print_use(rgi_text *t, const rg_plan *p, const rgi_use *use)
{
    for (uint32_t i = 0; i < use->n_out; i++) {
        rgi_text_printf(t, i ? ", " : "");
        print_value(t, p, use->out[i]);
    }
    rgi_text_printf(t, " = %s(", use->node->op->name);
    for (uint32_t i = 0; i < use->n_in; i++) {
        const int32_t packed = use->packed ? use->packed[i] : RGI_NONE;
        const bool made = packed != RGI_NONE && p->current && rgi_bytes(p->program, p->current, packed);
        rgi_text_printf(t, i ? ", " : "");
        print_value(t, p, made ? packed : use->in[i]);
    }
    rgi_text_printf(t, ")\n");
}

#define RGI_AMOUNT 48

/* A count in units that leave three digits. */
static const char *format_amount(double x, const char *unit, char text[RGI_AMOUNT])
{
    static const char *const prefix[] = {"", "k", "M", "G", "T"};
    int i = 0;
    for (; x >= 1000 && i < 4; i++)
        x /= 1000;
    /* in whole numbers: with a point, whatever the host's locale says */
    const int places = !i || x >= 100 ? 0 : x < 10 ? 2 : 1;
    const int64_t scale = places == 2 ? 100 : places == 1 ? 10 : 1, n = (int64_t)(x * (double)scale + 0.5);
    if (places)
        snprintf(text, RGI_AMOUNT, "%" PRId64 ".%0*" PRId64 " %s%s", n / scale, places, n % scale, prefix[i], unit);
    else
        snprintf(text, RGI_AMOUNT, "%" PRId64 " %s%s", n, prefix[i], unit);
    return text;
}

/* Whether step i is of a loop that is cut by rows. */
static bool is_by_rows(const rg_plan *p, size_t i)
{
    const int32_t loop = p->program->items[i].loop;
    return loop != RGI_NONE && p->current->steps[p->program->loops[loop].begin].rows;
}

/* Of a section: who does what. */
static void print_section(rgi_text *t, const rgi_section *x)
{
    rgi_text_printf(t, "       side by side up to %u:", x->end - 1);
    for (uint32_t k = 0; k < x->n; k++) {
        const rgi_branch *b = &x->branches[k];
        rgi_text_printf(t, "%s branch %u on thread%s %u", k ? "," : "", k + 1, b->threads > 1 ? "s" : "", b->first);
        if (b->threads > 1)
            rgi_text_printf(t, " to %u", b->first + b->threads - 1);
        if (b->leader)
            rgi_text_printf(t, " %zu steps behind branch %d", b->chunk, (int)(b->leader - x->branches) + 1);
    }
    rgi_text_printf(t, "; then the others\n");
}

/* What stands in front of a step of a specialisation: who does it, and what it costs. */
static void print_columns(rgi_text *t, const rg_plan *p, size_t i)
{
    const rgi_kind kind = p->program->items[i].kind;
    const rgi_exec *e = &p->current->steps[i];
    const rgi_branch *branch = rgi_branch_of(p->current, i);
    const bool work = kind == RGI_RUN || kind == RGI_FUSED || kind == RGI_PACK;
    char who[RGI_AMOUNT] = "", flops[RGI_AMOUNT] = "", bytes[RGI_AMOUNT] = "";
    if (work && e->parallel)
        snprintf(who, sizeof who, "%zu task%s", rgi_most_tasks(e), rgi_most_tasks(e) == 1 ? "" : "s");
    else if (work && p->current->parallel && !e->bridge && !is_by_rows(p, i))
        snprintf(who, sizeof who, "thread %u", (branch ? branch->first : 0) + e->lane);
    if (work) {
        format_amount(e->flops, "flop", flops);
        format_amount(e->traffic, "B", bytes);
    }
    if (p->current->parallel)
        rgi_text_printf(t, " %-10s", who);
    rgi_text_printf(t, " %11s %8s ", flops, bytes);
}

/* What the columns and signs are, for those who read a plan for the first time. */
static void print_legend(rgi_text *t, const rg_plan *p)
{
    if (p->program->n_items == 0)
        return;
    rgi_text_printf(t, "%%7 'name' f32[..]: a node of the graph, as rg_graph_dump numbers them");
    if (!p->current) {
        rgi_text_printf(t, "\n");
        return;
    }
    rgi_text_printf(t, "; @64: where in the plan's memory; (block): in cache alone\n");
    rgi_text_printf(t, p->current->parallel ? "step   by         " : "step  ");
    rgi_text_printf(t, "%11s %8s  what%s\n", "work", "moved",
                    p->current->parallel ? "; |: after all threads have met" : "");
}

static void print_step(rgi_text *t, const rg_plan *p, size_t i, int *indent)
{
    static const char *const names[] = {"run", "fused", "copy", "index", "clear", "pack", "test", "loop", "next"};
    const rgi_program *prog = p->program;
    const rgi_item *item = &prog->items[i];
    const rgi_exec *e = p->current ? &p->current->steps[i] : NULL;
    const rgi_branch *branch = e ? rgi_branch_of(p->current, i) : NULL;
    if (e && e->section)
        print_section(t, e->section);
    *indent -= item->kind == RGI_NEXT;
    rgi_text_printf(t, "%4zu %c", i, e && e->barrier ? '|' : ' ');
    if (e)
        print_columns(t, p, i);
    rgi_text_printf(t, " %*s%s", 2 * *indent, "", names[item->kind]);
    if (e && e->bridge)
        rgi_text_printf(t, " in branch %u, for %zu steps at a time", e->branch, branch->chunk);
    if (e && (e->in_strips || e->goes_on))
        rgi_text_printf(t, " in strips");
    if (e && item->kind == RGI_FUSED)
        rgi_text_printf(t, " in blocks of %zu", e->group->block);
    if (item->kind == RGI_LOOP) {
        rgi_text_printf(t, " '%s'%s", rgi_scan_name(prog->loops[item->loop].scan),
                        prog->loops[item->loop].reverse ? " backwards" : "");
        if (item->from != RGI_NONE) {
            rgi_text_printf(t, " as many steps as ");
            print_value(t, p, item->from);
        } else if (e && e->schedule && e->schedule->as == RGI_AGAIN) {
            rgi_text_printf(t, " some %zu steps from the nearest of %" PRId64 " states kept", e->trips,
                            e->schedule->slots);
        } else if (e && e->trips != SIZE_MAX) {
            rgi_text_printf(t, " %zu steps", e->trips);
        }
        if (branch && item->loop != RGI_NONE && branch->loop == i)
            rgi_text_printf(t, ", branch %u", e->branch);
        if (e && e->rows)
            rgi_text_printf(t, ", %zu pieces of %zu rows", e->rows->pieces, (size_t)e->rows->batch / e->rows->pieces);
        if (e && e->strips)
            rgi_text_printf(t, ", what leads to it and from it in strips of %zu steps", e->strips->turns);
        const rg_node *held = prog->loops[item->loop].held;
        if (held)
            rgi_text_printf(t, ", stays in it for want of a batching rule: %%%u = %s", held->id, held->op->name);
    }
    if (item->kind == RGI_TEST || item->kind == RGI_CLEAR) {
        rgi_text_printf(t, " ");
        print_value(t, p, item->kind == RGI_TEST ? item->from : item->to);
    }
    if (item->kind == RGI_COPY || item->kind == RGI_INDEX || item->kind == RGI_PACK) {
        rgi_text_printf(t, " ");
        print_value(t, p, item->to);
        rgi_text_printf(t, " <- ");
        if (item->kind == RGI_INDEX)
            rgi_text_printf(t, "t%d", prog->loops[item->loop].depth);
        else
            print_value(t, p, item->from);
    }
    if (item->count == 1) {
        rgi_text_printf(t, "  ");
        print_use(t, p, &prog->uses[item->first]);
    } else {
        rgi_text_printf(t, "\n");
        for (uint32_t k = 0; k < item->count; k++) {
            rgi_text_printf(t, "%*s", (e ? p->current->parallel ? 42 : 31 : 9) + 2 * *indent, "");
            print_use(t, p, &prog->uses[item->first + k]);
        }
    }
    *indent += item->kind == RGI_LOOP;
}

static void print_rewrites(rgi_text *t, const rgi_program *prog)
{
    const char *before = prog->opts.check_rewrites ? "rewrites compared:" : "rewrites:", *name;
    for (size_t i = 0; (name = rg_rewrite_name(i)); i++)
        if (prog->rewritten[i]) {
            rgi_text_printf(t, "%s %s %u", before, name, prog->rewritten[i]);
            before = ",";
        }
    if (prog->folded) {
        rgi_text_printf(t, "%s folding %u", before, prog->folded);
        before = ",";
    }
    rgi_text_printf(t, *before == ',' ? "\n" : "");
}

/* What is made again where it is read, and how much need not be kept for that. */
static void print_repeats(rgi_text *t, const rg_plan *p)
{
    const rgi_program *prog = p->program;
    const rgi_special *s = p->current;
    double bytes = 0;
    char label[RGI_LABEL];
    for (size_t i = 0; i < prog->n_repeats; i++) {
        const rgi_repeat *r = &prog->repeats[i];
        rgi_format_type(prog->graph, r->node->dtype, s ? s->shapes[r->shape] : prog->shapes[r->shape]->a, label,
                        sizeof label);
        rgi_text_printf(t, "%s %%%u %s %s", i ? "," : "made again, not kept:", r->node->id, r->node->op->name, label);
        bytes += s ? (double)s->counts[r->shape] * (double)rg_dtype_size(r->node->dtype) : 0;
    }
    char amount[RGI_AMOUNT];
    if (prog->n_repeats && s)
        rgi_text_printf(t, ": %s", format_amount(bytes, "B", amount));
    rgi_text_printf(t, prog->n_repeats ? "\n" : "");
}

char *rg_plan_dump(rg_plan *p)
{
    if (!p) {
        rgi_fail(RG_ERR_ARGUMENT, "rg_plan_dump: the plan is NULL");
        return NULL;
    }
    const rgi_program *prog = p->program;
    rgi_text t;
    rgi_text_init(&t, &prog->graph->allocator);
    const bool alone = p->current && p->current->tried && rgi_trial_of(&p->trials, &p->current->trial)->alone;
    rgi_text_printf(&t, "plan: %zu steps, %zu inputs, %zu fetched, %zu parameters written, %d threads%s, %s\n",
                    prog->n_items, prog->n_inputs, prog->n_fetches, prog->n_writes,
                    p->current ? p->current->threads : prog->opts.threads, alone ? " (one alone is faster)" : "",
                    prog->opts.mode == RG_TRAIN ? "training" : "evaluating");
    if (p->current)
        rgi_text_printf(&t, "memory: %zu bytes, of them %zu for values (%zu alive at once), %zu scratch a thread\n",
                        p->current->total, p->current->bytes, p->current->peak, p->current->scratch);
    else
        rgi_text_printf(&t, "memory: unknown until the sizes are bound\n");
    print_rewrites(&t, prog);
    print_repeats(&t, p);
    print_legend(&t, p);
    int indent = 0;
    for (size_t i = 0; i < prog->n_items; i++)
        print_step(&t, p, i, &indent);
    for (size_t i = 0; i < prog->n_writes; i++)
        rgi_text_printf(&t, "writes '%s'%s\n", prog->writes[i].entry->name,
                        prog->writes[i].in_place ? " in place" : "");
    return rgi_text_take(&t);
}
