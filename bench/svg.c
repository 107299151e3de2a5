/* svg.c - the results as a picture: a bar a row, as long as ours is fast, the fastest rival being 1. */
#include "report.h"

#define LEFT 250
#define UNIT 300 /* pixels of the rival's speed */
#define MOST 2.0 /* longer bars are cut, their number stays */
#define LINE 17

static bool compares(const result *r)
{
    return r->ours.median > 0 && result_fastest(r) >= 0;
}

static double speed(const result *r)
{
    return r->rival[result_fastest(r)].median / r->ours.median;
}

void svg_write(FILE *f, const result *results, size_t n)
{
    int lines = 2;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || results[i].group != results[i - 1].group || results[i].threads != results[i - 1].threads)
            lines += 2;
        lines += compares(&results[i]);
    }
    const int width = LEFT + (int)(UNIT * MOST) + 190, height = (lines + 1) * LINE;
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
            "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
            "<text x=\"8\" y=\"%d\">How fast Retrograde is; the fastest rival installed is 1 (line). "
            "Blue: as fast or faster. Medians of one run.</text>\n",
            width, height, LINE);
    int y = 2 * LINE;
    for (const result *r = results; r < results + n; r++) {
        if (r == results || r->group != r[-1].group || r->threads != r[-1].threads) {
            y += 2 * LINE;
            fprintf(f, "<text x=\"8\" y=\"%d\" font-weight=\"bold\">%s, %d thread%s</text>\n", y - 4, r->group->title,
                    r->threads, r->threads > 1 ? "s" : "");
        }
        if (!compares(r))
            continue;
        const double s = speed(r), bar = UNIT * (s < MOST ? s : MOST);
        fprintf(f,
                "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>"
                "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>"
                "<text x=\"%.1f\" y=\"%d\">%.2f of %s</text>\n",
                LEFT - 8, y + LINE - 5, r->name, LEFT, y + 2, bar, LINE - 4, s >= 0.995 ? "#3b6fb6" : "#c8743c",
                LEFT + bar + 6, y + LINE - 5, s, r->group->rivals[result_fastest(r)].name);
        y += LINE;
    }
    fprintf(f, "<path d=\"M%d %d V%d\" stroke=\"black\" stroke-dasharray=\"3 3\"/>\n</svg>\n", LEFT + UNIT, 2 * LINE,
            height - LINE / 2);
}
