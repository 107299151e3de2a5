/* plan_dot.c - a plan as a Graphviz digraph: what runs in one step stands in one frame. */
#include "sight.h"

#include <stdio.h>

/* By value: the op (number of its use) or the copying step that made it last. */
typedef struct maker {
    int32_t use, step;
} maker;

typedef struct drawing {
    const rg_plan *p;
    const rgi_program *prog;
    rgi_text out;
    maker *made; /* by value */
    bool *drawn; /* by value: the box of a leaf stands already */
    int indent;
} drawing;

static const rg_shape *shape_of(const drawing *d, const rgi_value *v)
{
    return d->p->current ? &d->p->current->shapes[v->shape] : &d->prog->shapes[v->shape]->a;
}

static void begin_frame(drawing *d, const char *kind, size_t number, const char *label, const char *style)
{
    rgi_text_printf(&d->out, "%*ssubgraph cluster_%s%zu {\n", d->indent, "", kind, number);
    d->indent += 4;
    rgi_text_printf(&d->out, "%*s%s; fontname=\"Helvetica\"; fontsize=10; label=\"", d->indent, "", style);
    rgi_print_escaped(&d->out, label);
    rgi_text_printf(&d->out, "\";\n");
}

static void end_frame(drawing *d)
{
    d->indent -= 4;
    rgi_text_printf(&d->out, "%*s}\n", d->indent, "");
}

static void draw_use(drawing *d, uint32_t u, size_t step)
{
    char type[RGI_LABEL];
    const rgi_use *use = &d->prog->uses[u];
    const rgi_value *v = &d->prog->values[use->out[0]];
    rgi_text_printf(&d->out, "%*su%u [label=\"", d->indent, "", u);
    rgi_print_escaped(&d->out, use->node->op->name);
    rgi_text_printf(&d->out, "\\n");
    rgi_print_escaped(&d->out, rgi_format_type(d->prog->graph, v->dtype, *shape_of(d, v), type, sizeof type));
    const rgi_exec *e = d->p->current ? &d->p->current->steps[step] : NULL;
    if (d->prog->items[step].count == 1)
        rgi_text_printf(&d->out, e && e->parallel ? "\\nstep %zu, %zu tasks" : "\\nstep %zu", step,
                        e ? rgi_most_tasks(e) : 0);
    rgi_text_printf(&d->out, "\", fillcolor=\"%s\"];\n", v->place == RGI_VOID ? "#ffffff" : "#dcebd9");
}

static void draw_step(drawing *d, size_t i)
{
    const rgi_item *item = &d->prog->items[i];
    char title[RGI_TITLE + 64];
    if (item->kind == RGI_LOOP) {
        const rgi_loop *loop = &d->prog->loops[item->loop];
        begin_frame(d, "loop", (size_t)item->loop, rgi_scan_name(loop->scan), "style=\"rounded\"; color=\"#4a78b0\"");
    } else if (item->kind == RGI_NEXT) {
        end_frame(d);
    } else if (item->count == 0) {
        rgi_text_printf(&d->out, "%*ss%zu [label=\"%s\", shape=plaintext];\n", d->indent, "", i,
                        rgi_step_title(d->prog, i, title, sizeof title));
    } else if (item->count == 1) {
        draw_use(d, item->first, i);
    } else {
        const rgi_exec *e = d->p->current ? &d->p->current->steps[i] : NULL;
        char label[64];
        snprintf(label, sizeof label, e && e->parallel ? "step %zu, %zu tasks" : "step %zu", i,
                 e ? rgi_most_tasks(e) : 0);
        begin_frame(d, "step", i, label, "style=\"filled,rounded\"; color=\"#f4ead2\"");
        for (uint32_t k = 0; k < item->count; k++)
            draw_use(d, item->first + k, i);
        end_frame(d);
    }
}

/* A value, and all that it is a part of, comes from there. */
static void note_maker(drawing *d, int32_t v, maker from)
{
    for (; v != RGI_NONE; v = d->prog->values[v].part_of)
        d->made[v] = from;
}

/* An edge from what made value v to a box named by `kind` and `number`. */
static void draw_edge(drawing *d, int32_t v, const char *kind, size_t number)
{
    if (v == RGI_NONE)
        return;
    while (d->made[v].use == RGI_NONE && d->made[v].step == RGI_NONE && d->prog->values[v].part_of != RGI_NONE)
        v = d->prog->values[v].part_of;
    const maker from = d->made[v];
    if (from.use != RGI_NONE) {
        rgi_text_printf(&d->out, "    u%d -> %s%zu;\n", from.use, kind, number);
    } else if (from.step != RGI_NONE) {
        rgi_text_printf(&d->out, "    s%d -> %s%zu;\n", from.step, kind, number);
    } else {
        const rgi_value *value = &d->prog->values[v];
        if (!d->drawn[v]) {
            char type[RGI_LABEL];
            rgi_text_printf(&d->out, "    v%d [shape=ellipse, fillcolor=\"%s\", label=\"", v,
                            value->place == RGI_STORE   ? "#f9cf9c"
                            : value->place == RGI_BOUND ? "#bfe3bf"
                                                        : "#e2e2e2");
            rgi_print_escaped(&d->out, *rg_name(value->node) ? rg_name(value->node) : value->node->op->name);
            rgi_text_printf(&d->out, "\\n");
            rgi_print_escaped(&d->out,
                              rgi_format_type(d->prog->graph, value->dtype, *shape_of(d, value), type, sizeof type));
            rgi_text_printf(&d->out, "\"];\n");
            d->drawn[v] = true;
        }
        rgi_text_printf(&d->out, "    v%d -> %s%zu;\n", v, kind, number);
    }
}

static void draw_edges(drawing *d, size_t i)
{
    const rgi_item *item = &d->prog->items[i];
    for (uint32_t k = 0; k < item->count; k++) {
        const rgi_use *use = &d->prog->uses[item->first + k];
        for (uint32_t j = 0; j < use->n_in; j++) {
            const int32_t packed = use->packed ? use->packed[j] : RGI_NONE;
            const bool made = packed != RGI_NONE && d->prog->values[packed].place == RGI_SLAB;
            draw_edge(d, made ? packed : use->in[j], "u", item->first + k);
        }
        for (uint32_t j = 0; j < use->n_out; j++) /* the next member of a group may read it */
            note_maker(d, use->out[j], (maker){(int32_t)(item->first + k), RGI_NONE});
    }
    if (item->count == 0) {
        draw_edge(d, item->from, "s", i);
        note_maker(d, item->to, (maker){RGI_NONE, (int32_t)i});
    }
}

char *rg_plan_dot(rg_plan *p)
{
    if (!p) {
        rgi_fail(RG_ERR_ARGUMENT, "rg_plan_dot: the plan is NULL");
        return NULL;
    }
    const rgi_program *prog = p->program;
    rgi_arena arena;
    rgi_arena_init(&arena, prog->graph->allocator);
    drawing d = {.p = p, .prog = prog, .indent = 4};
    d.made = rgi_arena_alloc(&arena, (prog->n_values + 1) * sizeof *d.made);
    d.drawn = rgi_arena_alloc(&arena, prog->n_values + 1);
    if (!d.made || !d.drawn) {
        rgi_arena_finish(&arena);
        rgi_fail(RG_ERR_MEMORY, "rg_plan_dot: out of memory");
        return NULL;
    }
    rgi_text_init(&d.out, &prog->graph->allocator);
    rgi_text_printf(&d.out,
                    "digraph plan {\n"
                    "    node [shape=box, style=\"filled,rounded\", fontname=\"Helvetica\", fontsize=10, "
                    "color=\"#555555\", fillcolor=\"#ffffff\"];\n"
                    "    edge [color=\"#555555\", arrowsize=0.7];\n"
                    "    label=\"steps of rg_plan_dump; green: results in memory, white: in cache alone; orange: "
                    "parameters, grey: constants\"; labelloc=t; fontname=\"Helvetica\"; fontsize=12;\n");
    for (size_t v = 0; v < prog->n_values; v++)
        d.made[v] = (maker){RGI_NONE, RGI_NONE};
    for (size_t i = 0; i < prog->n_items; i++)
        draw_step(&d, i);
    for (size_t i = 0; i < prog->n_items; i++)
        draw_edges(&d, i);
    for (size_t k = 0; k < prog->n_fetches; k++)
        if (prog->fetches[k].value != RGI_NONE) {
            rgi_text_printf(&d.out, "    f%zu [shape=ellipse, fillcolor=\"#ffffff\", label=\"fetched %%%u\"];\n", k,
                            prog->fetches[k].node->id);
            draw_edge(&d, prog->fetches[k].value, "f", k);
        }
    rgi_text_printf(&d.out, "}\n");
    rgi_arena_finish(&arena);
    return rgi_text_take(&d.out);
}
