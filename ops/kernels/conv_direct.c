/* conv_direct.c - convolution with outputs along the vectors, without stride and dilation, of planes where they lie.

   An element of the source is broadcast once and meets the weights of all taps of a row of the kernel, which wait in
   registers, so that the sums of several pixels of a row get it: there are far fewer loads than multiply-adds. What
   lies beyond the edges of the source is neither read nor multiplied. */
#include "list.h"
#include "tile_size.h"

/* Without sixteen registers for sums and as many for the rest, tiles of pixels by vectors, conv_wide.c, are faster. */
#if TILE_VECTORS == 4

/* Pixels x vectors of sums beside the weights of a row of the kernel, of which there are as many vectors as taps. */
#define DIRECT_VECTORS 2
#define MOST_THREE 12 /* pixels, of a kernel of three columns */
#define MOST_FIVE 10
#define MOST_ALONE 16 /* of three columns and one vector */
/* Columns x pixels of a tile, below which too few multiply-adds wait for one another. */
#define LEAST_ONE 21 /* of a vector of outputs */
#define LEAST_TWO 24
/* How many channels ahead memory is asked for the first rows of an image. */
#define CHANNELS_AHEAD 8
#define LINE 64 /* bytes that are asked for at a time */

/* Pixels of a row of the result: where what they see begins, how many rows of the kernel and which columns of the
   source [lo, hi), counted from there, exist. */
typedef struct direct_tile {
    const rgk_conv_direct *c;
    const real *source, *weights;
    size_t rows;
    ptrdiff_t lo, hi;
    real *sum;
    ptrdiff_t below; /* what will be seen soon, from the source on */
    const char *next;
    size_t step;
    const real *ahead; /* or NULL: planes that get the sums, of which there are so many */
    size_t planes;
} direct_tile;

RGK_INLINE void direct_run(const int pixels, const int vectors, const int taps, const int apart, const direct_tile *t)
{
    const rgk_conv_direct *c = t->c;
    const size_t row = c->row, planes_each = t->ahead ? (t->planes + c->channels - 1) / c->channels : 0;
    vreal sum[MOST_ALONE][DIRECT_VECTORS];
    RGK_UNROLL
    for (int i = 0; i < pixels; i++) {
        RGK_UNROLL
        for (int j = 0; j < vectors; j++)
            sum[i][j] = c->fresh ? v_set(0) : v_load(t->sum + (size_t)i * row + j * RGK_LANES);
    }
    const real *source = t->source, *weights = t->weights;
    const char *next = t->next;
    const ptrdiff_t lo = t->lo, hi = t->hi;
    for (size_t l = 0, o = 0; l < c->channels;
         l++, source += c->plane, weights += c->height_taps * (size_t)taps * row) {
        __builtin_prefetch(next, 0, 2);
        next += t->step;
        for (size_t end = o + planes_each; o < end && o < t->planes; o++)
            __builtin_prefetch(t->ahead + o * c->ahead_plane, 1);
        const real *s = source, *w = weights;
        for (size_t y = 0; y < t->rows; y++, s += c->pitch, w += (size_t)taps * row) {
            __builtin_prefetch(s + t->below, 0, 2);
            vreal b[5][DIRECT_VECTORS];
            RGK_UNROLL
            for (int k = 0; k < taps; k++) {
                RGK_UNROLL
                for (int j = 0; j < vectors; j++)
                    b[k][j] = v_loaded(v_load(w + (size_t)k * row + j * RGK_LANES));
            }
            RGK_UNROLL
            for (int x = 0; x < pixels + taps - 1; x++) {
                if ((x < taps - 1 && x < lo) || (x >= pixels && x >= hi))
                    continue;
                const vreal a = v_set(s[x * apart]);
                RGK_UNROLL
                for (int k = 0; k < taps; k++) {
                    RGK_UNROLL
                    for (int j = 0; j < vectors; j++)
                        if (x - k >= 0 && x - k < pixels)
                            sum[x - k][j] = v_fma(a, b[k][j], sum[x - k][j]);
                }
            }
        }
    }
    RGK_UNROLL
    for (int i = 0; i < pixels; i++) {
        RGK_UNROLL
        for (int j = 0; j < vectors; j++)
            v_store(t->sum + (size_t)i * row + j * RGK_LANES, sum[i][j]);
    }
}

RGK_INLINE void direct_pixels(size_t pixels, const int vectors, const int taps, const int apart, const direct_tile *t)
{
    switch (pixels) {
    case 1:
        direct_run(1, vectors, taps, apart, t);
        break;
    case 2:
        direct_run(2, vectors, taps, apart, t);
        break;
    case 3:
        direct_run(3, vectors, taps, apart, t);
        break;
    case 4:
        direct_run(4, vectors, taps, apart, t);
        break;
    case 5:
        direct_run(5, vectors, taps, apart, t);
        break;
    case 6:
        direct_run(6, vectors, taps, apart, t);
        break;
    case 7:
        direct_run(7, vectors, taps, apart, t);
        break;
    case 8:
        direct_run(8, vectors, taps, apart, t);
        break;
    case 9:
        direct_run(9, vectors, taps, apart, t);
        break;
    case 10:
        direct_run(10, vectors, taps, apart, t);
        break;
    case 11:
        if (taps == 3)
            direct_run(11, vectors, taps, apart, t);
        break;
    case 12:
        if (taps == 3)
            direct_run(12, vectors, taps, apart, t);
        break;
    case 13:
        if (taps == 3 && vectors == 1)
            direct_run(13, vectors, taps, apart, t);
        break;
    case 14:
        if (taps == 3 && vectors == 1)
            direct_run(14, vectors, taps, apart, t);
        break;
    case 15:
        if (taps == 3 && vectors == 1)
            direct_run(15, vectors, taps, apart, t);
        break;
    case 16:
        if (taps == 3 && vectors == 1)
            direct_run(16, vectors, taps, apart, t);
        break;
    default:
        break;
    }
}

static void direct_three(size_t pixels, size_t vectors, const direct_tile *t)
{
    if (vectors == 1)
        direct_pixels(pixels, 1, 3, 1, t);
    else
        direct_pixels(pixels, DIRECT_VECTORS, 3, 1, t);
}

static void direct_five(size_t pixels, size_t vectors, const direct_tile *t)
{
    if (vectors == 1)
        direct_pixels(pixels, 1, 5, 1, t);
    else
        direct_pixels(pixels, DIRECT_VECTORS, 5, 1, t);
}

/* The channels of a pixel lie together, TILE_COLS of them. */
static void direct_three_in_blocks(size_t pixels, size_t vectors, const direct_tile *t)
{
    if (vectors == 1)
        direct_pixels(pixels, 1, 3, TILE_COLS, t);
    else
        direct_pixels(pixels, DIRECT_VECTORS, 3, TILE_COLS, t);
}

static size_t tiles_of(size_t taps, size_t width, size_t vectors)
{
    const size_t most = taps == 5 ? MOST_FIVE : vectors == 1 ? MOST_ALONE : MOST_THREE;
    return (width + most - 1) / most;
}

bool RGK_NAME(conv_direct_fits)(size_t taps, size_t width, size_t outputs)
{
    const size_t vectors = outputs > RGK_LANES ? DIRECT_VECTORS : 1,
                 pixels = taps == 3 || taps == 5 ? width / tiles_of(taps, width, vectors) : 0;
    return taps * pixels >= (vectors > 1 ? LEAST_TWO : LEAST_ONE);
}

/* The weights that are needed next are asked for by all tiles, a line with every channel. */
typedef struct walk {
    const char *next;
    size_t left;
} walk;

/* A row of the result, `vectors` vectors of outputs from `first` on, at pixel `at` of those of the call. */
static void direct_row(const rgk_conv_direct *c, size_t image, size_t h, size_t first, size_t vectors, walk *w)
{
    const size_t tiles = tiles_of(c->taps, c->width, vectors), at = (image * c->height + h) * c->width,
                 asked = c->channels * LINE;
    const bool blocks = c->plane == 1;
    const ptrdiff_t row = c->first_row + (ptrdiff_t)h, below = (ptrdiff_t)c->seen_rows - row;
    const size_t above = row < 0 ? (size_t)-row : 0, seen = below < 0 ? 0 : (size_t)below,
                 end = seen < c->height_taps ? seen : c->height_taps, outputs = c->outputs - first;
    direct_tile t = {.c = c, .rows = end > above ? end - above : 0};
    t.weights = (const real *)c->weights + above * c->taps * c->row + first;
    t.below = c->begins && h == 0 && !blocks ? (ptrdiff_t)(CHANNELS_AHEAD * c->plane) : (ptrdiff_t)c->pitch;
    t.planes = outputs < vectors * RGK_LANES ? outputs : vectors * RGK_LANES;
    for (size_t q = 0; q < tiles; q++) {
        const size_t j = c->width * q / tiles, pixels = c->width * (q + 1) / tiles - j;
        const ptrdiff_t column = c->first_column + (ptrdiff_t)j;
        const bool more = asked <= w->left;
        t.source = (const real *)c->source + (ptrdiff_t)(image * c->source_image) +
                   (row + (ptrdiff_t)above) * (ptrdiff_t)c->pitch + column * (blocks ? TILE_COLS : 1);
        t.lo = -column;
        t.hi = (ptrdiff_t)c->seen_width - column;
        t.sum = (real *)c->sum + (at + j) * c->row + first;
        t.next = more ? w->next : (const char *)t.weights;
        t.step = more ? LINE : 0;
        t.ahead = c->ahead ? (const real *)c->ahead + first * c->ahead_plane + at + j : NULL;
        if (blocks)
            direct_three_in_blocks(pixels, vectors, &t);
        else if (c->taps == 3)
            direct_three(pixels, vectors, &t);
        else
            direct_five(pixels, vectors, &t);
        w->next += more ? asked : 0;
        w->left -= more ? asked : 0;
    }
}

void RGK_NAME(conv_direct)(const rgk_conv_direct *c)
{
    const size_t all = (c->outputs + RGK_LANES - 1) / RGK_LANES;
    walk w = {c->next, c->next_bytes};
    for (size_t v = 0; v < all; v += DIRECT_VECTORS)
        for (size_t image = 0; image < c->images; image++)
            for (size_t h = 0; h < c->height; h++)
                direct_row(c, image, h, v * RGK_LANES, all - v < DIRECT_VECTORS ? all - v : DIRECT_VECTORS, &w);
}

#else

bool RGK_NAME(conv_direct_fits)(size_t taps, size_t width, size_t outputs)
{
    (void)taps, (void)width, (void)outputs;
    return false;
}

void RGK_NAME(conv_direct)(const rgk_conv_direct *c)
{
    (void)c;
}

#endif
