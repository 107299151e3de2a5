/* memory_map.c - a plan's memory as a picture: steps to the right, addresses upwards. */
#include "sight.h"

#include <string.h>

#define WIDTH 1200.0
#define HEIGHT 560.0
#define LEFT 90.0
#define TOP 40.0

static const char *colour(const char *name)
{
    static const char *const palette[] = {"#7aa6c2", "#e0a458", "#8fb996", "#c98ca7", "#b3a2d0",
                                          "#d9c77e", "#86c5c0", "#d98f7c", "#a3a3a3", "#9ab873"};
    unsigned sum = 0;
    for (; *name; name++)
        sum = sum * 31 + (unsigned char)*name;
    return palette[sum % (sizeof palette / sizeof *palette)];
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

static void draw_value(rgi_text *out, const rg_plan *p, size_t v, double step_width, double byte_height)
{
    const rgi_program *prog = p->program;
    const rgi_special *s = p->current;
    const rgi_value *value = &prog->values[v];
    const size_t bytes = rgi_bytes(prog, s, (int32_t)v);
    char label[RGI_LABEL];
    const size_t last =
        (size_t)value->last < s->n_steps ? (size_t)value->last : s->n_steps - 1; /* fetched: to the end */
    if (bytes == 0)
        return;
    rgi_text_printf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"><title>",
                    LEFT + step_width * value->first, TOP + HEIGHT - byte_height * (double)(s->offsets[v] + bytes),
                    step_width * ((double)(last - (size_t)value->first) + 1), byte_height * (double)bytes,
                    colour(value->node->op->name));
    print_xml(out, rgi_format_node(value->node, label, sizeof label));
    rgi_text_printf(out, ", ");
    print_bytes(out, (double)bytes);
    rgi_text_printf(out, " at %zu, steps %d to %zu</title></rect>\n", s->offsets[v], value->first, last);
}

static void draw_axes(rgi_text *out, const rgi_special *s, double byte_height)
{
    for (int i = 0; i <= 4; i++) {
        const double bytes = (double)s->bytes * i / 4, y = TOP + HEIGHT - byte_height * bytes;
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
    rgi_text out;
    rgi_text_init(&out, &prog->graph->allocator);
    rgi_text_printf(&out,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" font-family=\"Helvetica, "
                    "sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
                    LEFT + WIDTH + 20, TOP + HEIGHT + 50);
    rgi_text_printf(&out, "<text x=\"%.1f\" y=\"24\">", LEFT);
    print_bytes(&out, (double)s->bytes);
    rgi_text_printf(&out, " for values, of which ");
    print_bytes(&out, (double)s->peak);
    rgi_text_printf(&out, " are alive at once</text>\n");
    draw_axes(&out, s, byte_height);
    rgi_text_printf(&out, "<g stroke=\"#ffffff\" stroke-width=\"0.4\">\n");
    for (size_t v = 0; v < prog->n_values; v++) {
        const rgi_value *value = &prog->values[v];
        if (value->place == RGI_SLAB && value->part_of == RGI_NONE && value->first != RGI_NONE)
            draw_value(&out, p, v, step_width, byte_height);
    }
    rgi_text_printf(&out, "</g>\n</svg>\n");
    return rgi_text_take(&out);
}
