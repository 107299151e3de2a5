/* dump.c - a graph as text: one line a node,
     %4 = matmul(%0, %1) {transpose_b: true} : f32[batch, 512]  // encoder.fc1
   and the bodies of recurrences indented, each before the scan node it belongs to. */
#include "dump.h"

#include "outline.h"
#include "scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void rgi_dump_field(rgi_text *out, const rg_graph *g, const rg_attr_field *field, const void *at)
{
    char text[2 * RGI_LABEL];
    switch (field->kind) {
    case RG_ATTR_I64:
        rgi_text_printf(out, "%" PRId64, *(const int64_t *)at);
        break;
    case RG_ATTR_F64:
        rgi_text_printf(out, "%.9g", *(const double *)at);
        break;
    case RG_ATTR_BOOL:
        rgi_text_printf(out, "%s", *(const bool *)at ? "true" : "false");
        break;
    case RG_ATTR_DTYPE:
        rgi_text_printf(out, "%s", rg_dtype_name(*(const rg_dtype *)at));
        break;
    case RG_ATTR_AXES: {
        const rg_axes *const axes = at;
        if (axes->n < 0)
            rgi_text_printf(out, "all");
        for (int32_t i = 0; i < axes->n; i++)
            rgi_text_printf(out, "%s%" PRId32, i ? " " : "(", axes->axis[i]);
        if (axes->n >= 0)
            rgi_text_printf(out, axes->n ? ")" : "()");
        break;
    }
    case RG_ATTR_SHAPE:
        rgi_text_printf(out, "%s", rgi_format_shape(g, *(const rg_shape *)at, text, sizeof text));
        break;
    case RG_ATTR_SIZE:
        rgi_text_printf(out, "%s", rgi_format_size(g, *(const int64_t *)at, text, sizeof text));
        break;
    case RG_ATTR_BYTES:
        rgi_text_printf(out, "%zu bytes", ((const rg_bytes *)at)->n);
        break;
    case RG_ATTR_NODE: {
        const rg_node *const node = *(rg_node *const *)at;
        if (node)
            rgi_text_printf(out, "%%%" PRIu32, node->id);
        break;
    }
    case RG_ATTR_END:
        break;
    }
}

bool rgi_dump_telling(const rg_node *node, const rg_attr_field *field)
{
    const void *const at = (const char *)node->attr + field->offset;
    if (field->kind == RG_ATTR_BOOL)
        return *(const bool *)at;
    /* what the type of a leaf says already */
    if (node->n_in == 0 && field->kind == RG_ATTR_DTYPE)
        return *(const rg_dtype *)at != node->dtype;
    if (node->n_in == 0 && field->kind == RG_ATTR_SHAPE)
        return !rg_shape_equal(*(const rg_shape *)at, node->shape->a);
    return true;
}

/* " {stack of %7}", " {last of %5}" for results of a recurrence, " {1}" for those of another op. */
static void print_projection(rgi_text *out, const rg_node *node)
{
    const rgi_projection *const p = rgi_projection_of(node);
    if (rgi_is_scan(node->in[0]))
        if (p->bytes)
            rgi_text_printf(out, " {every %" PRId64 " of %%%" PRIu32 ", kept in %" PRId64 " bytes}", p->every,
                            p->of->id, p->bytes);
        else if (p->every)
            rgi_text_printf(out, " {every %" PRId64 " of %%%" PRIu32 "}", p->every, p->of->id);
        else
            rgi_text_printf(out, " {%s of %%%" PRIu32 "}", p->last ? "last" : "stack", p->of->id);
    else
        rgi_text_printf(out, " {%" PRIu32 "}", node->result);
}

static void print_attributes(rgi_text *out, const rg_node *node)
{
    const char *before = " {";
    for (const rg_attr_field *f = node->attr ? node->op->attrs : NULL; f && f->kind != RG_ATTR_END; f++) {
        if (!rgi_dump_telling(node, f))
            continue;
        rgi_text_printf(out, "%s%s: ", before, f->name);
        rgi_dump_field(out, node->graph, f, (const char *)node->attr + f->offset);
        before = ", ";
    }
    if (*before == ',')
        rgi_text_printf(out, "}");
}

static void print_node(rgi_text *out, const rg_node *node, int indent)
{
    char type[2 * RGI_LABEL];
    rgi_text_printf(out, "%*s%%%" PRIu32 " = %s", indent, "", node->id, node->op->name);
    if (node->n_in || node->op->n_in)
        rgi_text_printf(out, "(");
    for (uint32_t i = 0; i < node->n_in; i++)
        rgi_text_printf(out, "%s%%%" PRIu32, i ? ", " : "", node->in[i]->id);
    if (node->n_in || node->op->n_in)
        rgi_text_printf(out, ")");
    if (rgi_is_projection(node))
        print_projection(out, node);
    else
        print_attributes(out, node);
    if (rgi_is_scan(node))
        rgi_text_printf(out, " of '%s'", rgi_scan_name(rgi_scan_of(node)));
    else
        rgi_text_printf(out, " : %s", rgi_format_type(node->graph, node->dtype, node->shape->a, type, sizeof type));
    const size_t scope = strlen(node->scope);
    if (node->name)
        rgi_text_printf(out, "  // %s", node->name);
    else if (scope)
        rgi_text_printf(out, "  // %.*s", (int)scope - 1, node->scope);
    rgi_text_printf(out, "\n");
}

char *(rg_graph_dump)(rg_graph *g)
{
    if (!g) {
        rgi_fail(RG_ERR_ARGUMENT, "rg_graph_dump: the graph is NULL");
        return NULL;
    }
    rgi_outline outline;
    rgi_text out;
    if (!rgi_outline_init(&outline, g))
        return NULL;
    rgi_text_init(&out, &g->allocator);
    rgi_text_printf(&out, "graph of %zu nodes, %zu of them stored\n", g->nodes.n, g->stored.n);
    int indent = 0;
    for (size_t i = 0; i < outline.n; i++) {
        const rgi_outline_entry *const e = &outline.at[i];
        if (e->kind == RGI_OUTLINE_NODE) {
            print_node(&out, rgi_node(g, e->id), indent);
        } else if (e->kind == RGI_OUTLINE_ENTER) {
            const rgi_region *const body = g->regions.at[e->id];
            rgi_text_printf(&out, "%*sbody of '%s'%s {\n", indent, "", rgi_scan_name(body->scan),
                            body->open ? ", open" : "");
            indent += 4;
        } else {
            indent -= 4;
            rgi_text_printf(&out, "%*s}\n", indent, "");
        }
    }
    rgi_outline_finish(&outline, g);
    return rgi_text_take(&out);
}
