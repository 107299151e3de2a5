/* curves.c - series of numbers as an SVG picture: a panel for each name, training and validation together. */
#include <retrograde/train.h>

#include "fault.h"
#include "sheet.h"

#include <math.h>
#include <string.h>

enum { LEFT = 62, TOP = 44, WIDTH = 420, HEIGHT = 200, GAP = 58, RIGHT = 20 };

static const char *const colours[] = {"#1f6fb4", "#d1582b"}; /* training, validation */
static const char prefix[] = "valid ";

static bool is_valid(const char *name)
{
    return strncmp(name, prefix, sizeof prefix - 1) == 0;
}

static const char *stem(const char *name)
{
    return is_valid(name) ? name + sizeof prefix - 1 : name;
}

static void put_text(rgi_sheet *s, const char *text)
{
    for (; *text; text++)
        if (*text == '<' || *text == '&')
            rgi_sheet_put(s, *text == '<' ? "&lt;" : "&amp;");
        else
            rgi_sheet_put(s, "%c", *text);
}

/* What a panel shows: its range, in steps of 1, 2 or 5 times a power of ten. */
struct panel {
    const char *name;
    double low, high, step, x0, x1;
    int top;
};

static void set_range(struct panel *p, const rg_curve *curves, size_t n, size_t count)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t c = 0; c < n; c++)
        for (size_t i = 0; i < count && strcmp(stem(curves[c].name), p->name) == 0; i++)
            if (isfinite(curves[c].values[i])) {
                low = fmin(low, curves[c].values[i]);
                high = fmax(high, curves[c].values[i]);
            }
    if (!(low <= high))
        low = 0, high = 1;
    const double span = high - low, room = fabs(high) * 1e-6 + 1e-30;
    const double wanted = (span > room ? span : room) / 4, power = pow(10, floor(log10(wanted)));
    p->step = power * (wanted <= power ? 1 : wanted <= 2 * power ? 2 : wanted <= 5 * power ? 5 : 10);
    p->low = floor(low / p->step) * p->step;
    p->high = fmax(ceil(high / p->step) * p->step, p->low + p->step);
}

static double place_x(const struct panel *p, double x)
{
    return LEFT + (p->x1 > p->x0 ? (x - p->x0) / (p->x1 - p->x0) : 0.5) * WIDTH;
}

static double place_y(const struct panel *p, double y)
{
    return p->top + HEIGHT * (1 - (y - p->low) / (p->high - p->low));
}

static void put_axes(rgi_sheet *s, const struct panel *p)
{
    rgi_sheet_put(s, "<text x='%d' y='%d' font-weight='bold'>", LEFT, p->top - 10);
    put_text(s, p->name);
    rgi_sheet_put(s, "</text>\n");
    for (double y = p->low; y < p->high + p->step / 2; y += p->step) {
        const double at = place_y(p, y);
        rgi_sheet_put(s, "<path d='M%d %.1fh%d' stroke='#ddd'/><text x='%d' y='%.1f' text-anchor='end'>%.5g</text>\n",
                      LEFT, at, WIDTH, LEFT - 6, at + 4, fabs(y) < p->step / 2 ? 0 : y);
    }
    rgi_sheet_put(s, "<text x='%d' y='%d' text-anchor='middle'>%g</text>", LEFT, p->top + HEIGHT + 18, p->x0);
    rgi_sheet_put(s, "<text x='%d' y='%d' text-anchor='middle'>%g</text>\n", LEFT + WIDTH, p->top + HEIGHT + 18, p->x1);
}

/* Dots too where there are few, so that a single epoch is seen. */
static void put_curve(rgi_sheet *s, const struct panel *p, const double *x, size_t count, const rg_curve *curve)
{
    const char *colour = colours[is_valid(curve->name)];
    bool pen = false;
    rgi_sheet_put(s, "<path fill='none' stroke='%s' stroke-width='1.8' d='", colour);
    for (size_t i = 0; i < count; i++) {
        const bool there = isfinite(curve->values[i]);
        if (there)
            rgi_sheet_put(s, "%c%.1f %.1f", pen ? 'L' : 'M', place_x(p, x[i]), place_y(p, curve->values[i]));
        pen = there;
    }
    rgi_sheet_put(s, "'/>\n");
    for (size_t i = 0; i < count && count <= 30; i++)
        if (isfinite(curve->values[i]))
            rgi_sheet_put(s, "<circle cx='%.1f' cy='%.1f' r='2.6' fill='%s'/>", place_x(p, x[i]),
                          place_y(p, curve->values[i]), colour);
    rgi_sheet_put(s, "<text x='%d' y='%d' fill='%s' text-anchor='end'>%s</text>\n",
                  LEFT + WIDTH - 80 * !is_valid(curve->name), p->top - 10, colour,
                  is_valid(curve->name) ? "validation" : "training");
}

rg_status rg_write_curves(const char *path, const char *title, const double *x, size_t count, const rg_curve *curves,
                          size_t n)
{
    if (!path || (count && !x) || (n && !curves))
        return rgi_fault(RG_ERR_ARGUMENT, "rg_write_curves: %s is NULL", !path ? "path" : curves ? "x" : "curves");
    for (size_t c = 0; c < n; c++)
        if (!curves[c].name || (count && !curves[c].values))
            return rgi_fault(RG_ERR_ARGUMENT, "rg_write_curves: %s: curve %zu has no %s", path, c,
                             curves[c].name ? "values" : "name");
    rgi_sheet s = {0}, body = {0};
    int top = TOP;
    for (size_t c = 0; c < n; c++) {
        bool first = true;
        for (size_t k = 0; k < c && first; k++)
            first = strcmp(stem(curves[k].name), stem(curves[c].name)) != 0;
        if (!first)
            continue;
        struct panel p = {.name = stem(curves[c].name), .top = top};
        p.x0 = count ? x[0] : 0;
        p.x1 = count ? x[count - 1] : 1;
        set_range(&p, curves, n, count);
        put_axes(&body, &p);
        for (size_t k = c; k < n; k++)
            if (strcmp(stem(curves[k].name), p.name) == 0)
                put_curve(&body, &p, x, count, &curves[k]);
        top += HEIGHT + GAP;
    }
    rgi_sheet_put(&s,
                  "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' font-family='sans-serif' "
                  "font-size='11' fill='#333'>\n<rect width='100%%' height='100%%' fill='white'/>\n<text x='%d' y='18' "
                  "font-size='13'>",
                  LEFT + WIDTH + RIGHT, top, LEFT);
    put_text(&s, title ? title : "");
    rgi_sheet_put(&s, "</text>\n%s</svg>\n", body.at ? body.at : "");
    s.failed = s.failed || body.failed;
    rgi_sheet_free(&body);
    return rgi_sheet_write(&s, "rg_write_curves", path);
}
