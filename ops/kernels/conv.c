/* conv.c - convolution: sums over windows of a padded source, pixels along the vectors.

   Rows of outputs lie `pitch` apart in the source, so one run of source elements serves several rows of outputs, and what
   is computed between the end of one and the begin of the next is dropped. */
#include "conv_tile.h"
#include "list.h"

/* Columns [j, j + cols) of the run, `rows` rows of them, to their pixels. */
static void put(const rgk_conv *c, size_t row, size_t rows, size_t j, size_t cols, const real *from)
{
    for (size_t i = 0; i < rows; i++, from += TILE_COLS) {
        real *y = (real *)c->y + (ptrdiff_t)(row + i) * c->y_row;
        for (size_t done = 0; done < cols;) {
            const size_t at = j + done, down = at / c->pitch, right = at % c->pitch;
            const size_t left = least(c->pitch - right, cols - done);
            real *to = y + (ptrdiff_t)down * c->y_down + (ptrdiff_t)right * c->y_right;
            const size_t n = right < c->width ? least(c->width - right, left) : 0;
            if (c->y_right == 1)
                for (size_t q = 0; q < n; q += RGK_LANES)
                    store_some(to + q, n - q, load_some(from + done + q, n - q));
            else
                for (size_t q = 0; q < n; q++)
                    to[(ptrdiff_t)q * c->y_right] = from[done + q];
            done += left;
        }
    }
}

void RGK_NAME(conv)(const rgk_conv *c)
{
    const size_t columns = (c->height - 1) * c->pitch + c->width;
    const bool dense =
        c->y_right == 1 && (c->height == 1 || (c->pitch == c->width && c->y_down == (ptrdiff_t)c->width));
    const size_t tiles = (c->rows + TILE_ROWS - 1) / TILE_ROWS;
    real block[TILE_ROWS * TILE_COLS];
    conv_tile t = {.k = c->k, .terms = c->terms, .weights_row = c->weights_row};
    for (size_t j = 0; j < columns; j += TILE_COLS) {
        const size_t cols = least(TILE_COLS, columns - j);
        const int vectors = (int)((cols + RGK_LANES - 1) / RGK_LANES);
        t.source = (const real *)c->source + j;
        t.last = cols - (size_t)(vectors - 1) * RGK_LANES;
        for (size_t q = 0; q < tiles; q++) {
            const size_t row = c->rows * q / tiles, rows = c->rows * (q + 1) / tiles - row;
            t.weights = (const real *)c->weights + (ptrdiff_t)row * c->weights_row;
            t.y = dense ? (real *)c->y + (ptrdiff_t)row * c->y_row + j : block;
            t.y_row = dense ? c->y_row : TILE_COLS;
            conv_tile_any((int)rows, vectors, &t);
            if (!dense)
                put(c, row, rows, j, cols, block);
        }
    }
}

/* ---- the source ---- */

/* n elements of which those before `lo` and from `hi` on are outside of x; x[0] is element lo, further ones `step` apart. */
static void copy_row(size_t n, size_t lo, size_t hi, const real *x, size_t step, real *y)
{
    for (size_t i = 0; i < lo; i++)
        y[i] = 0;
    if (step == 1)
        memcpy(y + lo, x, (hi - lo) * sizeof *y);
    else if (step == 2)
        for (size_t i = lo; i < hi; i++)
            y[i] = x[2 * (i - lo)];
    else
        for (size_t i = lo; i < hi; i++)
            y[i] = x[(i - lo) * step];
    for (size_t i = hi; i < n; i++)
        y[i] = 0;
}

/* Which of the n positions first, first + step ... lie in [0, size): [*lo, *hi). */
static void inside(ptrdiff_t first, size_t step, size_t n, size_t size, size_t *lo, size_t *hi)
{
    *lo = first < 0 ? least(((size_t)-first + step - 1) / step, n) : 0;
    const ptrdiff_t end = (ptrdiff_t)size - first;
    *hi = end > 0 ? least(((size_t)end - 1) / step + 1, n) : 0;
    *hi = *hi > *lo ? *hi : *lo;
}

void RGK_NAME(conv_source)(const rgk_source *s, const void *vx, void *vy)
{
    const size_t area = s->in[1] * s->in[2], plane = s->in[0] * area;
    real *y = vy;
    for (size_t c = 0; c < s->planes; c++) {
        const real *x = (const real *)vx + c * plane;
        for (size_t phase = 0; phase < s->phases[0] * s->phases[1] * s->phases[2]; phase++) {
            const size_t p2 = phase % s->phases[2], p1 = phase / s->phases[2] % s->phases[1],
                         p0 = phase / s->phases[2] / s->phases[1];
            size_t lo, hi;
            inside(s->first[2] + (ptrdiff_t)p2, s->step[2], s->n[2], s->in[2], &lo, &hi);
            for (size_t i = 0; i < s->n[0]; i++)
                for (size_t j = 0; j < s->n[1]; j++, y += s->n[2]) {
                    const ptrdiff_t d = s->first[0] + (ptrdiff_t)(p0 + i * s->step[0]);
                    const ptrdiff_t h = s->first[1] + (ptrdiff_t)(p1 + j * s->step[1]);
                    const bool there =
                        d >= 0 && d < (ptrdiff_t)s->in[0] && h >= 0 && h < (ptrdiff_t)s->in[1] && lo < hi;
                    const real *row = there ? x + (size_t)d * area + (size_t)h * s->in[2] +
                                                  (s->first[2] + (ptrdiff_t)(p2 + lo * s->step[2]))
                                            : NULL;
                    copy_row(s->n[2], there ? lo : s->n[2], there ? hi : s->n[2], row ? row : x, s->step[2], y);
                }
        }
    }
}
