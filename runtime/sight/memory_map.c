/* memory_map.c - a plan's memory as a picture: steps to the right, addresses upwards. */
#include "sight.h"

#include <string.h>

#define WIDTH 1200.0
#define HEIGHT 560.0
#define LEFT 90.0
#define TOP 40.0

#define LEGEND 9   /* ops with a colour of their own: those that take most */
#define OPS 64     /* that are told apart */
#define LETTER 6.4 /* width of one, about */
#define LINE 13.0  /* height of one */
#define LABELS 3   /* of a value: with type and size, with the size, without */

/* The ops whose results take most, bytes times steps. */
typedef struct legend {
    const rg_op *op[LEGEND];
    size_t n;
} legend;

static bool is_drawn(const rgi_value *value)
{
    return value->place == RGI_SLAB && value->part_of == RGI_NONE && value->first != RGI_NONE;
}

/* Fetched values live beyond the last step. */
static size_t last_step(const rgi_special *s, const rgi_value *value)
{
    return (size_t)value->last < s->n_steps ? (size_t)value->last : s->n_steps - 1;
}

static bool has_colour(const legend *l, const rg_op *op, size_t *which)
{
    for (*which = 0; *which < l->n; ++*which)
        if (l->op[*which] == op)
            return true;
    return false;
}

static legend find_legend(const rg_plan *p)
{
    const rgi_program *prog = p->program;
    struct {
        const rg_op *op;
        double area;
    } taken[OPS];
    size_t n = 0;
    legend l = {.n = 0};
    for (size_t v = 0; v < prog->n_values; v++) {
        const rgi_value *value = &prog->values[v];
        size_t k = 0;
        while (k < n && taken[k].op != value->node->op)
            k++;
        if (!is_drawn(value) || k == OPS)
            continue;
        if (k == n) {
            taken[n].op = value->node->op;
            taken[n++].area = 0;
        }
        taken[k].area += (double)rgi_bytes(prog, p->current, (int32_t)v) *
                         (double)(last_step(p->current, value) - (size_t)value->first + 1);
    }
    while (l.n < LEGEND && l.n < n) {
        size_t most = 0;
        for (size_t k = 1; k < n; k++)
            most = taken[k].area > taken[most].area ? k : most;
        l.op[l.n++] = taken[most].op;
        taken[most].area = -1;
    }
    return l;
}

static const char *colour(const legend *l, const rg_op *op)
{
    static const char *const palette[LEGEND + 1] = {"#7aa6c2", "#e0a458", "#8fb996", "#c98ca7", "#b3a2d0",
                                                    "#d9c77e", "#86c5c0", "#d98f7c", "#9ab873", "#bbbbbb"};
    size_t which;
    return palette[has_colour(l, op, &which) ? which : LEGEND];
}

static void print_bytes(rgi_text *out, double bytes)
{
    if (bytes >= 1048576)
        rgi_text_printf(out, "%.1f MiB", bytes / 1048576);
    else if (bytes >= 1024)
        rgi_text_printf(out, "%.1f KiB", bytes / 1024);
    else
        rgi_text_printf(out, "%.0f bytes", bytes);
}

/* An XML text; names may hold anything. */
static void print_xml(rgi_text *out, const char *text)
{
    for (; *text; text++) {
        const char *const entity = *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : *text == '&' ? "&amp;" : NULL;
        if (entity)
            rgi_text_printf(out, "%s", entity);
        else
            rgi_text_printf(out, "%c", *text);
    }
}

/* The node whose name says most of a value: of what a loop has stacked, the one in its body. */
static const rg_node *telling(const rgi_value *value)
{
    const rg_node *node = value->node;
    return rgi_is_projection(node) && rgi_is_scan(node->in[0]) ? rgi_projection_of(node)->of : node;
}

/* What stands in the box of a value: the name it has, or else its op; less with every `k`. */
static void print_label(rgi_text *out, const rg_plan *p, size_t v, int k)
{
    const rgi_value *value = &p->program->values[v];
    char type[RGI_LABEL];
    const rg_node *node = telling(value);
    rgi_text_printf(out, value->packed ? "packed " : node != value->node ? "steps of " : "");
    print_xml(out, *rg_name(node) ? rg_name(node) : node->op->name);
    if (k == 0)
        rgi_text_printf(
            out, " %s",
            rgi_format_type(p->program->graph, value->dtype, p->current->shapes[value->shape], type, sizeof type));
    if (k < 2) {
        rgi_text_printf(out, ", ");
        print_bytes(out, (double)rgi_bytes(p->program, p->current, (int32_t)v));
    }
}

static double label_width(const rg_plan *p, size_t v, int k)
{
    rgi_text t;
    rgi_text_init(&t, &p->program->graph->allocator);
    print_label(&t, p, v, k);
    char *text = rgi_text_take(&t);
    const double width = text ? LETTER * (double)strlen(text) + 6 : WIDTH + HEIGHT;
    rg_text_free(text);
    return width;
}

/* The longest label that has room in a box, upright where it is narrow; or none. */
static void draw_label(rgi_text *out, const rg_plan *p, size_t v, double x, double y, double width, double height)
{
    for (int k = 0; k < LABELS; k++) {
        const double need = width < LINE && height < LINE ? WIDTH + HEIGHT : label_width(p, v, k);
        const bool across = need <= width && height >= LINE, up = need <= height && width >= LINE;
        if (!across && !up)
            continue;
        rgi_text_printf(out, "<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"middle\" stroke=\"none\"", x + width / 2,
                        y + height / 2 + 4);
        if (!across)
            rgi_text_printf(out, " transform=\"rotate(-90 %.2f %.2f)\"", x + width / 2, y + height / 2);
        rgi_text_printf(out, ">");
        print_label(out, p, v, k);
        rgi_text_printf(out, "</text>\n");
        return;
    }
}

static void draw_value(rgi_text *out, const rg_plan *p, const legend *l, size_t v, double step_width,
                       double byte_height)
{
    const rgi_program *prog = p->program;
    const rgi_special *s = p->current;
    const rgi_value *value = &prog->values[v];
    const size_t bytes = rgi_bytes(prog, s, (int32_t)v), last = last_step(s, value);
    char label[RGI_LABEL];
    if (bytes == 0)
        return;
    const double x = LEFT + step_width * value->first, y = TOP + HEIGHT - byte_height * (double)(s->offsets[v] + bytes),
                 width = step_width * ((double)(last - (size_t)value->first) + 1), height = byte_height * (double)bytes;
    rgi_text_printf(out, "<g><title>");
    print_xml(out, rgi_format_node(value->node, label, sizeof label));
    rgi_text_printf(out, ", ");
    print_bytes(out, (double)bytes);
    rgi_text_printf(out, " at %zu, steps %d to %zu</title>", s->offsets[v], value->first, last);
    rgi_text_printf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>", x, y, width,
                    height, colour(l, value->node->op));
    draw_label(out, p, v, x, y, width, height);
    rgi_text_printf(out, "</g>\n");
}

/* What a step has for itself while it runs. */
static void draw_own(rgi_text *out, const rg_plan *p, size_t i, double step_width, double byte_height)
{
    const rgi_exec *e = &p->current->steps[i];
    const char *at = e->kind == RGI_FUSED && e->group ? e->group->own : e->step.shared;
    if (!e->own || !at || !p->slab)
        return;
    const size_t offset = (size_t)(at - p->slab);
    rgi_text_printf(out,
                    "<g><title>memory of step %zu itself, %zu bytes at %zu</title>"
                    "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"#444444\"/></g>\n",
                    i, e->own, offset, LEFT + step_width * (double)i,
                    TOP + HEIGHT - byte_height * (double)(offset + e->own), step_width, byte_height * (double)e->own);
}

static void draw_legend(rgi_text *out, const legend *l)
{
    double x = LEFT;
    for (size_t i = 0; i < l->n + 2; i++) {
        const unsigned traits = i < l->n ? l->op[i]->traits : 0;
        const char *name = traits & RG_CONTROL ? "steps of loops"
                           : i < l->n          ? l->op[i]->name
                           : i == l->n         ? "others"
                                               : "of a step itself";
        rgi_text_printf(
            out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\" fill=\"%s\"/><text x=\"%.1f\" y=\"%.1f\">", x,
            TOP + HEIGHT + 46, i <= l->n ? colour(l, i < l->n ? l->op[i] : NULL) : "#444444", x + 16,
            TOP + HEIGHT + 56);
        print_xml(out, name);
        rgi_text_printf(out, "</text>\n");
        x += 34 + LETTER * (double)strlen(name);
    }
}

static void draw_axes(rgi_text *out, const rgi_special *s, double byte_height)
{
    double between = 64; /* a power of two, for four to eight lines */
    while (between * 8 < (double)s->bytes)
        between *= 2;
    for (double bytes = 0; bytes <= (double)s->bytes; bytes += between) {
        const double y = TOP + HEIGHT - byte_height * bytes;
        rgi_text_printf(out, "<line x1=\"%.1f\" y1=\"%.2f\" x2=\"%.1f\" y2=\"%.2f\" stroke=\"#cccccc\"/>", LEFT, y,
                        LEFT + WIDTH, y);
        rgi_text_printf(out, "<text x=\"%.1f\" y=\"%.2f\" text-anchor=\"end\">", LEFT - 6, y + 4);
        print_bytes(out, bytes);
        rgi_text_printf(out, "</text>\n");
    }
    const size_t apart = s->n_steps / 10 + 1;
    for (size_t i = 0; i < s->n_steps; i += apart)
        rgi_text_printf(out, "<text x=\"%.2f\" y=\"%.1f\" text-anchor=\"middle\">%zu</text>\n",
                        LEFT + WIDTH * ((double)i + 0.5) / (double)s->n_steps, TOP + HEIGHT + 18, i);
    rgi_text_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">step</text>\n", LEFT + WIDTH / 2,
                    TOP + HEIGHT + 36);
}

char *rg_plan_memory_map(rg_plan *p)
{
    if (!p) {
        rgi_fail(RG_ERR_ARGUMENT, "rg_plan_memory_map: the plan is NULL");
        return NULL;
    }
    if (rgi_special_choose(p, false))
        return NULL;
    const rgi_program *prog = p->program;
    const rgi_special *s = p->current;
    const double step_width = WIDTH / (double)(s->n_steps ? s->n_steps : 1),
                 byte_height = HEIGHT / (double)(s->bytes ? s->bytes : 1);
    const legend l = find_legend(p);
    rgi_text out;
    rgi_text_init(&out, &prog->graph->allocator);
    rgi_text_printf(&out,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" font-family=\"Helvetica, "
                    "sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
                    LEFT + WIDTH + 20, TOP + HEIGHT + 70);
    rgi_text_printf(&out, "<text x=\"%.1f\" y=\"24\">", LEFT);
    print_bytes(&out, (double)s->bytes);
    rgi_text_printf(&out, " for values, of which ");
    print_bytes(&out, (double)s->peak);
    rgi_text_printf(&out, " are alive at once</text>\n");
    draw_axes(&out, s, byte_height);
    rgi_text_printf(&out, "<g stroke=\"#ffffff\" stroke-width=\"0.4\">\n");
    for (size_t v = 0; v < prog->n_values; v++)
        if (is_drawn(&prog->values[v]))
            draw_value(&out, p, &l, v, step_width, byte_height);
    for (size_t i = 0; i < s->n_steps; i++)
        draw_own(&out, p, i, step_width, byte_height);
    rgi_text_printf(&out, "</g>\n");
    draw_legend(&out, &l);
    rgi_text_printf(&out, "</svg>\n");
    return rgi_text_take(&out);
}
