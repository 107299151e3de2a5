/* conv.c - convolution: sums over windows of a padded source, pixels along the vectors.

   Rows of outputs lie `pitch` apart in the source, so one run of source elements serves several rows of outputs, and
   what is computed between the end of one and the begin of the next is dropped. */
#include "conv_single.h"
#include "conv_tile.h"
#include "list.h"

/* Of sums of so few terms more is written than read: planes are written one after the other, which memory sees
   coming. */
#define FEW_TERMS 32

/* A stretch of a panel's columns that are pixels: `n` from column `from` on, at element `to` of a plane of y. */
typedef struct stretch {
    size_t from, n;
    ptrdiff_t to;
} stretch;

/* The stretches of columns [j, j + cols) of the run. Returns how many there are. */
static size_t find_pixels(const rgk_conv *c, size_t j, size_t cols, stretch *out)
{
    size_t n = 0, down = j / c->pitch, right = j % c->pitch;
    for (size_t at = 0; at < cols; down++, right = 0) {
        const size_t row = least(c->pitch - right, cols - at);
        if (right < c->width)
            out[n++] = (stretch){at, least(c->width - right, row),
                                 (ptrdiff_t)down * c->y_down + (ptrdiff_t)right * c->y_right};
        at += row;
    }
    return n;
}

/* A row of a panel to its pixels. */
RGK_INLINE void put(const stretch *s, size_t n, ptrdiff_t right, const real *from, real *y)
{
    for (size_t i = 0; i < n; i++) {
        real *to = y + s[i].to;
        const real *x = from + s[i].from;
        const size_t count = s[i].n;
        if (right == 1)
            for (size_t q = 0; q < count; q += RGK_LANES) /* whole vectors are there to be read */
                store_some(to + q, count - q, v_load(x + q));
        else
            for (size_t q = 0; q < count; q++)
                to[(ptrdiff_t)q * right] = x[q];
    }
}

/* Whether tiles should end with the rows of pixels: that loses lanes at the end of each, one long run those between
   rows, and the time to sort its pixels out. */
static bool by_rows(const rgk_conv *c)
{
    const size_t lanes = (c->width + RGK_LANES - 1) / RGK_LANES * RGK_LANES;
    return c->y_right == 1 && 4 * c->pitch >= 3 * lanes;
}

static void run_rows(const rgk_conv *c)
{
    const size_t tiles = (c->rows + TILE_ROWS - 1) / TILE_ROWS, all = (c->width + RGK_LANES - 1) / RGK_LANES,
                 panels = (all + TILE_VECTORS - 1) / TILE_VECTORS;
    conv_tile t = {.k = c->k, .terms = c->terms, .weights_row = c->weights_row, .y_row = c->y_row};
    for (size_t h = 0; h < c->height; h++)
        for (size_t p = 0; p < panels; p++) {
            const size_t first = all * p / panels, vectors = all * (p + 1) / panels - first, j = first * RGK_LANES;
            t.last = least(vectors * RGK_LANES, c->width - j) - (vectors - 1) * RGK_LANES;
            t.source = (const real *)c->source + h * c->pitch + j;
            for (size_t q = 0; q < tiles; q++) {
                const size_t row = c->rows * q / tiles, rows = c->rows * (q + 1) / tiles - row;
                t.weights = (const real *)c->weights + (ptrdiff_t)row * c->weights_row;
                t.y = (real *)c->y + (ptrdiff_t)row * c->y_row + (ptrdiff_t)h * c->y_down + j;
                conv_tile_across((int)rows, (int)vectors, &t);
            }
        }
}

/* Rows of few vectors: tiles of several rows, for a tile of one would have too few sums on their way. */
static void run_rows_down(const rgk_conv *c)
{
    const size_t tiles = (c->rows + TILE_ROWS - 1) / TILE_ROWS, panels = (c->height + TILE_VECTORS - 1) / TILE_VECTORS;
    conv_tile t = {.k = c->k,
                   .terms = c->terms,
                   .weights_row = c->weights_row,
                   .y_row = c->y_row,
                   .source_down = (ptrdiff_t)c->pitch,
                   .y_down = c->y_down};
    const bool few = c->k <= FEW_TERMS;
    for (size_t i = 0; i < panels * tiles; i++) {
        const size_t p = few ? i % panels : i / tiles, q = few ? i / panels : i % tiles;
        const size_t h = c->height * p / panels, height = c->height * (p + 1) / panels - h;
        const size_t row = c->rows * q / tiles, rows = c->rows * (q + 1) / tiles - row;
        t.weights = (const real *)c->weights + (ptrdiff_t)row * c->weights_row;
        for (size_t j = 0; j < c->width; j += RGK_LANES) {
            t.last = least(RGK_LANES, c->width - j);
            t.source = (const real *)c->source + h * c->pitch + j;
            t.y = (real *)c->y + (ptrdiff_t)row * c->y_row + (ptrdiff_t)h * c->y_down + j;
            conv_tile_down((int)rows, (int)height, &t);
        }
    }
}

/* Pixels without gaps, of few terms. */
static void run_planes(const rgk_conv *c, size_t columns)
{
    const size_t tiles = (c->rows + TILE_ROWS - 1) / TILE_ROWS;
    conv_tile t = {.k = c->k, .terms = c->terms, .weights_row = c->weights_row, .y_row = c->y_row};
    for (size_t q = 0; q < tiles; q++) {
        const size_t row = c->rows * q / tiles, rows = c->rows * (q + 1) / tiles - row;
        t.weights = (const real *)c->weights + (ptrdiff_t)row * c->weights_row;
        for (size_t j = 0; j < columns; j += TILE_COLS) {
            const size_t cols = least(TILE_COLS, columns - j), vectors = (cols + RGK_LANES - 1) / RGK_LANES;
            t.source = (const real *)c->source + j;
            t.last = cols - (vectors - 1) * RGK_LANES;
            t.y = (real *)c->y + (ptrdiff_t)row * c->y_row + j;
            conv_tile_across((int)rows, (int)vectors, &t);
        }
    }
}

void RGK_NAME(conv)(const rgk_conv *c)
{
    const size_t columns = (c->height - 1) * c->pitch + c->width;
    const bool dense =
        c->y_right == 1 && (c->height == 1 || (c->pitch == c->width && c->y_down == (ptrdiff_t)c->width));
    if (c->rows == 1 && c->height > 1) {
        conv_single(c);
        return;
    }
    if (!dense && by_rows(c)) {
        if (c->height > 1 && c->width <= (TILE_VECTORS - 1) * RGK_LANES)
            run_rows_down(c);
        else
            run_rows(c);
        return;
    }
    if (dense && c->k <= FEW_TERMS) {
        run_planes(c, columns);
        return;
    }
    const size_t tiles = (c->rows + TILE_ROWS - 1) / TILE_ROWS;
    real block[TILE_ROWS * TILE_COLS + RGK_LANES];
    stretch pixels[TILE_COLS];
    conv_tile t = {.k = c->k, .terms = c->terms, .weights_row = c->weights_row};
    for (size_t j = 0; j < columns; j += TILE_COLS) {
        const size_t cols = least(TILE_COLS, columns - j), n = dense ? 0 : find_pixels(c, j, cols, pixels);
        const int vectors = (int)((cols + RGK_LANES - 1) / RGK_LANES);
        t.source = (const real *)c->source + j;
        t.last = cols - (size_t)(vectors - 1) * RGK_LANES;
        if (!dense && n == 0)
            continue;
        for (size_t q = 0; q < tiles; q++) {
            const size_t row = c->rows * q / tiles, rows = c->rows * (q + 1) / tiles - row;
            real *y = (real *)c->y + (ptrdiff_t)row * c->y_row;
            t.weights = (const real *)c->weights + (ptrdiff_t)row * c->weights_row;
            t.y = dense ? y + j : block;
            t.y_row = dense ? c->y_row : TILE_COLS;
            conv_tile_across((int)rows, vectors, &t);
            for (size_t i = 0; !dense && i < rows; i++)
                put(pixels, n, c->y_right, block + i * TILE_COLS, y + (ptrdiff_t)i * c->y_row);
        }
    }
}

/* ---- the source ---- */

#define ROWS_AHEAD 12 /* of a plane, in steps of more than one */

/* Elements 0, 2, 4 ... of the n that are there. */
RGK_INLINE vreal every_other(const real *x, size_t n)
{
    const vreal a = load_some(x, n), b = n > RGK_LANES ? load_some(x + RGK_LANES, n - RGK_LANES) : v_set(0);
#if RGK_LANES == 16
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
#elif RGK_LANES == 8
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
#elif RGK_LANES == 4
    return __builtin_shufflevector(a, b, 0, 2, 4, 6);
#else
    return __builtin_shufflevector(a, b, 0, 2);
#endif
}

/* n elements of which those before `lo` and from `hi` on are outside of x; x[0] is element lo, further ones `step`
   apart. Room for a vector is behind them: what it gets is overwritten, or not looked at. */
RGK_INLINE void copy_row(size_t n, size_t lo, size_t hi, const real *x, size_t step, real *y)
{
    for (size_t i = 0; i < lo; i += RGK_LANES)
        v_store(y + i, v_set(0));
    if (step == 1) {
        for (size_t i = lo; i < hi; i += RGK_LANES)
            v_store(y + i, load_some(x + (i - lo), hi - i));
    } else if (step == 2) {
        for (size_t i = lo; i < hi; i += RGK_LANES)
            v_store(y + i, every_other(x + 2 * (i - lo), 2 * (hi - i) - 1));
    } else {
        for (size_t i = lo; i < hi; i++)
            y[i] = x[(i - lo) * step];
    }
    for (size_t i = hi; i < n; i += RGK_LANES)
        v_store(y + i, v_set(0));
}

/* Which of the n positions first, first + step ... lie in [0, size): [*lo, *hi). */
static void inside(ptrdiff_t first, size_t step, size_t n, size_t size, size_t *lo, size_t *hi)
{
    *lo = first < 0 ? least(((size_t)-first + step - 1) / step, n) : 0;
    const ptrdiff_t end = (ptrdiff_t)size - first;
    *hi = end > 0 ? least(((size_t)end - 1) / step + 1, n) : 0;
    *hi = *hi > *lo ? *hi : *lo;
}

/* Rows of so few vectors are loaded with zeros in the lanes that are outside, and stored whole. */
#if RGK_VECTOR_BYTES >= 32
#define FEW_VECTORS 4
#else
#define FEW_VECTORS 0 /* where a part of a vector is loaded element by element */
#endif

#if FEW_VECTORS > 0
/* n elements of each of `rows` rows that are `width` apart, x being where the first would begin. */
RGK_INLINE void copy_vectors(const size_t vectors, size_t rows, size_t n, size_t lo, size_t hi, const real *x,
                             size_t width, real *y)
{
    vlanes lanes[FEW_VECTORS];
    RGK_UNROLL
    for (size_t v = 0; v < vectors; v++) {
        const size_t first = v * RGK_LANES, from = least(lo > first ? lo - first : 0, RGK_LANES),
                     to = least(hi > first ? hi - first : 0, RGK_LANES);
        lanes[v] = v_lanes(from < to ? from : to, to);
    }
    for (size_t j = 0; j < rows; j++, x += width, y += n) {
        RGK_UNROLL
        for (size_t v = 0; v < vectors; v++)
            v_store(y + v * RGK_LANES, v_load_lanes(x + v * RGK_LANES, lanes[v]));
    }
}
#endif

static void copy_rows(size_t rows, size_t n, size_t lo, size_t hi, const real *x, size_t width, real *y)
{
    switch (n <= FEW_VECTORS * RGK_LANES ? (n + RGK_LANES - 1) / RGK_LANES : 0) {
#if FEW_VECTORS > 0
    case 1:
        copy_vectors(1, rows, n, lo, hi, x, width, y);
        break;
    case 2:
        copy_vectors(2, rows, n, lo, hi, x, width, y);
        break;
    case 3:
        copy_vectors(3, rows, n, lo, hi, x, width, y);
        break;
    case 4:
        copy_vectors(4, rows, n, lo, hi, x, width, y);
        break;
#endif
    default:
        for (size_t j = 0; j < rows; j++, x += width, y += n)
            copy_row(n, lo, hi, x + lo, 1, y);
        break;
    }
}

/* One plane of two axes, elements as they come. */
static void copy_plane(const rgk_source *s, const real *x, real *y)
{
    size_t lo, hi, above, below;
    inside(s->first[2], 1, s->n[2], s->in[2], &lo, &hi);
    inside(s->first[1], 1, s->n[1], s->in[1], &above, &below);
    const size_t n = s->n[2], zeros = above * n, more = (s->n[1] - below) * n;
    const ptrdiff_t at = (s->first[1] + (ptrdiff_t)above) * (ptrdiff_t)s->in[2] + s->first[2];
    copy_row(zeros, zeros, zeros, x, 1, y);
    copy_rows(below - above, n, lo, hi, x + at, s->in[2], y + zeros);
    copy_row(more, more, more, x, 1, y + below * n);
}

/* Memory does not see rows coming where others between are left out: beside row j, of this plane or of the next one. */
static void ask_for_row(const rgk_source *s, const real *row, size_t j)
{
    const size_t step = s->step[1] * s->in[2], end = s->n[1];
    const real *at = row + ROWS_AHEAD * step;
    if (j + ROWS_AHEAD >= end)
        at += (ptrdiff_t)(s->in[0] * s->in[1] * s->in[2]) - (ptrdiff_t)(end * step);
    for (size_t q = 0; q < s->in[2]; q += 64 / sizeof(real))
        __builtin_prefetch(at + q);
}

void RGK_NAME(conv_source)(const rgk_source *s, const void *vx, void *vy)
{
    const bool plain = s->phases[0] * s->phases[1] * s->phases[2] == 1 && s->step[1] == 1 && s->step[2] == 1;
    if (plain && s->n[0] == 1 && s->in[0] == 1 && s->first[0] == 0) {
        for (size_t c = 0; c < s->planes; c++)
            copy_plane(s, (const real *)vx + c * s->in[1] * s->in[2], (real *)vy + c * s->n[1] * s->n[2]);
        return;
    }
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
                    if (row && s->step[1] > 1)
                        ask_for_row(s, row, j);
                    copy_row(s->n[2], there ? lo : s->n[2], there ? hi : s->n[2], row ? row : x, s->step[2], y);
                }
        }
    }
}
