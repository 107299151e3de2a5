/* dot.c - a graph as a Graphviz digraph: bodies of recurrences as clusters, leaves and effects in colours. */
#include "dump.h"
#include "outline.h"
#include "scan.h"

#include <inttypes.h>
#include <stdio.h>

/* A quoted string may hold neither quotes nor backslashes as they are; '\n' is a line break. */
static void print_quoted(rgi_text *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            rgi_text_printf(out, "\\n");
        else
            rgi_text_printf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    }
}

/* Inputs green, parameters orange, buffers yellow, constants grey, effects red, what enters and leaves a body blue, the
   rest white. */
static const char *colour(const rg_node *node)
{
    if (node->op->traits & RG_EFFECT)
        return "#f4b6b6";
    if (node->entry)
        return node->entry->trainable ? "#f9cf9c" : "#fbf0b0";
    if (node->op->traits & RG_CONTROL)
        return "#b9d3f0";
    if (node->region->parent && node->n_in == 0)
        return "#dbe8f7";
    if (node->n_in == 0)
        return node->name ? "#bfe3bf" : "#e2e2e2";
    return "#ffffff";
}

/* "stack" and "last" for the results of a recurrence, else the op. */
static const char *title(const rg_node *node)
{
    if (rgi_is_projection(node) && rgi_is_scan(node->in[0]))
        return rgi_projection_of(node)->last ? "last" : rgi_projection_of(node)->every ? "every" : "stack";
    return node->op->name;
}

static void print_node(rgi_text *out, const rg_node *node, int indent)
{
    char type[2 * RGI_LABEL];
    if (rgi_is_scan(node))
        return; /* its cluster shows it */
    rgi_text_printf(out, "%*sn%" PRIu32 " [label=\"", indent, "", node->id);
    print_quoted(out, title(node));
    if (node->name) {
        rgi_text_printf(out, " ");
        print_quoted(out, node->name);
    }
    if (rgi_is_projection(node) && !rgi_is_scan(node->in[0]))
        rgi_text_printf(out, " %" PRIu32, node->result);
    for (const rg_attr_field *f = node->attr ? node->op->attrs : NULL; f && f->kind != RG_ATTR_END; f++)
        if (!rgi_is_projection(node) && rgi_dump_telling(node, f)) {
            rgi_text_printf(out, "\\n%s: ", f->name);
            rgi_dump_field(out, node->graph, f, (const char *)node->attr + f->offset);
        }
    rgi_text_printf(out, "\\n");
    print_quoted(out, rgi_format_type(node->graph, node->dtype, node->shape->a, type, sizeof type));
    rgi_text_printf(out, "\", fillcolor=\"%s\"%s];\n", colour(node), node->n_in ? "" : ", shape=ellipse");
}

static void print_edge(rgi_text *out, const rg_node *from, const rg_node *to, const char *style)
{
    rgi_text_printf(out, "    n%" PRIu32 " -> n%" PRIu32 "%s;\n", from->id, to->id, style);
}

/* Sequences and initial values enter a body at its leaves; the next values go round it, dashed. */
static void print_scan_edges(rgi_text *out, const rg_scan *s)
{
    for (size_t i = 0; i < s->xs.n; i++)
        if (s->slices.at[i])
            print_edge(out, s->xs.at[i], s->slices.at[i], " [color=\"#4a78b0\"]");
    for (size_t j = 0; j < s->carries.n; j++) {
        print_edge(out, s->inits.at[j], s->carries.at[j], " [color=\"#4a78b0\"]");
        if (s->nexts.at[j])
            print_edge(out, s->nexts.at[j], s->carries.at[j], " [color=\"#4a78b0\", style=dashed, constraint=false]");
    }
}

/* Inputs of which only the shape counts are dotted. */
static void print_edges(rgi_text *out, const rg_node *node)
{
    if (rgi_is_scan(node)) {
        print_scan_edges(out, rgi_scan_of(node));
        return;
    }
    if (rgi_is_projection(node) && rgi_is_scan(node->in[0])) {
        print_edge(out, rgi_projection_of(node)->of, node, " [color=\"#4a78b0\"]");
        return;
    }
    for (uint32_t i = 0; i < node->n_in; i++) {
        const bool shape_only = (i < 32 && (node->op->shape_only >> i & 1)) && !(node->op->traits & RG_EFFECT);
        print_edge(out, node->in[i], node, shape_only ? " [style=dotted]" : "");
    }
}

char *(rg_graph_dot)(rg_graph *g)
{
    if (!g) {
        rgi_fail(RG_ERR_ARGUMENT, "rg_graph_dot: the graph is NULL");
        return NULL;
    }
    rgi_outline outline;
    rgi_text out;
    if (!rgi_outline_init(&outline, g))
        return NULL;
    rgi_text_init(&out, &g->allocator);
    rgi_text_printf(
        &out,
        "digraph retrograde {\n"
        "    node [shape=box, style=\"filled,rounded\", fontname=\"Helvetica\", fontsize=10, color=\"#555555\"];\n"
        "    edge [color=\"#555555\", arrowsize=0.7];\n");
    int indent = 4;
    for (size_t i = 0; i < outline.n; i++) {
        const rgi_outline_entry *const e = &outline.at[i];
        if (e->kind == RGI_OUTLINE_NODE) {
            print_node(&out, rgi_node(g, e->id), indent);
        } else if (e->kind == RGI_OUTLINE_ENTER) {
            rgi_text_printf(&out, "%*ssubgraph cluster_%" PRIu32 " {\n", indent, "", e->id);
            indent += 4;
            rgi_text_printf(&out, "%*sstyle=\"rounded\"; color=\"#4a78b0\"; fontname=\"Helvetica\"; label=\"", indent,
                            "");
            print_quoted(&out, rgi_scan_name(((const rgi_region *)g->regions.at[e->id])->scan));
            rgi_text_printf(&out, "\";\n");
        } else {
            indent -= 4;
            rgi_text_printf(&out, "%*s}\n", indent, "");
        }
    }
    for (size_t id = 0; id < g->nodes.n; id++)
        print_edges(&out, rgi_node(g, id));
    rgi_text_printf(&out, "}\n");
    rgi_outline_finish(&outline, g);
    return rgi_text_take(&out);
}
