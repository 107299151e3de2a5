/* conv_wide.c - convolution with outputs along the vectors: the source lies by pixels, its channels together, and its
   elements are broadcast; weights are packed by vectors of outputs in the order of the terms. No lane is lost at the
   end of a row of pixels, whatever its width, and strides cost nothing. */
#include "gemm_turn.h"
#include "list.h"
#include "tile_size.h"

/* Fewer vectors of outputs take more pixels, so that enough sums are on their way at once. */
#define WIDE_ROWS 8
/* Bytes that are asked for ahead with every term: half a line, or the lines on their way would be too many. */
#define NEXT_STEP 32

static size_t padded(size_t n)
{
    return (n + RGK_LANES - 1) / RGK_LANES * RGK_LANES;
}

/* ---- tiles ---- */

/* rows pixels x vectors of outputs. A row of sums is `vectors` vectors. With every term memory at `next` is asked for,
   on by `step` each time. */
RGK_INLINE void wide_run(const int rows, const int vectors, const rgk_conv_wide *c, const rgk_pixel *p,
                         const char *next, size_t step)
{
    vreal sum[WIDE_ROWS][TILE_VECTORS];
    RGK_UNROLL
    for (int i = 0; i < rows; i++) {
        const real *from = (const real *)c->sum + (size_t)p[i].to * (size_t)(vectors * RGK_LANES);
        RGK_UNROLL
        for (int j = 0; j < vectors; j++)
            sum[i][j] = c->fresh ? v_set(0) : v_load(from + j * RGK_LANES);
    }
    for (size_t r = 0; r < c->runs; r++) {
        const real *w = (const real *)c->weights + (size_t)c->run[r].weights * (size_t)(vectors * RGK_LANES);
        if (c->ahead) /* of the planes that get this tile, a share with every run */
            for (size_t o = c->width * r / c->runs; o < c->width * (r + 1) / c->runs; o++)
                __builtin_prefetch((const real *)c->ahead + o * c->plane + p[0].to, 1);
        const real *s[WIDE_ROWS];
        const size_t k = (size_t)c->run[r].k;
        RGK_UNROLL
        for (int i = 0; i < rows; i++)
            s[i] = (const real *)c->source + p[i].from + c->run[r].source;
        for (size_t l = 0; l < k; l++, w += vectors * RGK_LANES, next += step) {
            __builtin_prefetch(next, 0, 2);
            vreal b[TILE_VECTORS];
            RGK_UNROLL
            for (int j = 0; j < vectors; j++)
                b[j] = v_loaded(v_load(w + j * RGK_LANES));
            RGK_UNROLL
            for (int i = 0; i < rows; i++) {
                const vreal a = v_set(s[i][l]);
                RGK_UNROLL
                for (int j = 0; j < vectors; j++)
                    sum[i][j] = v_fma(a, b[j], sum[i][j]);
            }
        }
    }
    RGK_UNROLL
    for (int i = 0; i < rows; i++) {
        real *to = (real *)c->sum + (size_t)p[i].to * (size_t)(vectors * RGK_LANES);
        RGK_UNROLL
        for (int j = 0; j < vectors; j++)
            v_store(to + j * RGK_LANES, sum[i][j]);
    }
}

RGK_INLINE void wide_rows(size_t rows, const int vectors, const rgk_conv_wide *c, const rgk_pixel *p, const char *next,
                          size_t step)
{
    switch (rows) {
    case 1:
        wide_run(1, vectors, c, p, next, step);
        break;
    case 2:
        wide_run(2, vectors, c, p, next, step);
        break;
    case 3:
        wide_run(3, vectors, c, p, next, step);
        break;
    case 4:
        wide_run(4, vectors, c, p, next, step);
        break;
    case 5:
        wide_run(5, vectors, c, p, next, step);
        break;
    case 6:
        wide_run(6, vectors, c, p, next, step);
        break;
    case 7:
        wide_run(7, vectors, c, p, next, step);
        break;
    case 8:
        wide_run(8, vectors, c, p, next, step);
        break;
    default:
        break;
    }
}

/* All pixels, in tiles as equal as they can be. */
RGK_INLINE void wide_all(const int vectors, const rgk_conv_wide *c)
{
    const size_t most = vectors > TILE_VECTORS / 2 ? TILE_ROWS : WIDE_ROWS, tiles = (c->pixels + most - 1) / most;
    size_t terms = 0;
    for (size_t r = 0; r < c->runs; r++)
        terms += (size_t)c->run[r].k;
    for (size_t q = 0; q < tiles; q++) {
        const size_t first = c->pixels * q / tiles, rows = c->pixels * (q + 1) / tiles - first,
                     ahead = q * terms * NEXT_STEP;
        const bool more = ahead + terms * NEXT_STEP <= c->next_bytes;
        wide_rows(rows, vectors, c, c->pixel + first, more ? (const char *)c->next + ahead : c->source,
                  more ? NEXT_STEP : 0);
    }
}

void RGK_NAME(conv_wide)(const rgk_conv_wide *c)
{
    switch (padded(c->width) / RGK_LANES) {
    case 1:
        wide_all(1, c);
        break;
    case 2:
        wide_all(2, c);
        break;
#if TILE_VECTORS == 4
    case 3:
        wide_all(3, c);
        break;
    case 4:
        wide_all(4, c);
        break;
#endif
    default:
        break;
    }
}

/* ---- weights, source and results ---- */

/* Columns [0, n) of rows `row` apart, column j to row at[j] of the packed weights; beyond the last output zeros. */
static void pack_columns(size_t width, size_t n, const real *w, size_t row, const int32_t *at, real *out)
{
    const size_t all = padded(width);
    for (size_t i = 0; i < width; i += RGK_LANES)
        for (size_t j = 0; j < n; j += RGK_LANES) {
            vreal r[RGK_LANES];
            RGK_UNROLL
            for (size_t q = 0; q < RGK_LANES; q++)
                r[q] = i + q < width ? load_some(w + (i + q) * row + j, n - j) : v_set(0);
            turn_square(r);
            RGK_UNROLL
            for (size_t q = 0; q < RGK_LANES; q++) {
                if (j + q < n)
                    v_store(out + (size_t)at[j + q] * all + i, r[q]);
            }
        }
}

void RGK_NAME(conv_wide_pack)(const rgk_conv_pack *p, size_t width, const void *w, void *packed)
{
    const size_t all = padded(width);
    for (size_t c = 0; c < p->channels; c++)
        pack_columns(width, p->taps, (const real *)w + c * p->channel_step, p->output_step, p->at,
                     (real *)packed + c * p->channel_rows * all);
}

/* n elements of each of 2 to 4 planes as n pixels: element i of these is lane i / channels of plane i % channels. */
#if RGK_VECTOR_BYTES == 64
#define FEW_CHANNELS 4
#define MIX_AHEAD 768 /* elements of a plane that memory is asked for early: the rows that follow */

typedef struct mixing {
    vint pick[FEW_CHANNELS];     /* out of planes 0 and 1, or out of 2 and 3 ... */
    vlanes behind[FEW_CHANNELS]; /* ... which these lanes are */
} mixing;

RGK_INLINE mixing mixing_of(const size_t channels)
{
    mixing m;
    RGK_UNROLL
    for (size_t v = 0; v < channels; v++) {
        m.behind[v] = 0;
        RGK_UNROLL
        for (size_t i = 0; i < RGK_LANES; i++) {
            const size_t lane = (v * RGK_LANES + i) / channels, plane = (v * RGK_LANES + i) % channels;
            m.pick[v][i] = (lane_int)(lane + plane % 2 * RGK_LANES);
            m.behind[v] |= (vlanes)((plane / 2) << i);
        }
    }
    return m;
}

RGK_INLINE void mix_planes(const size_t channels, size_t n, const real *x, size_t plane, real *out)
{
    const mixing m = mixing_of(channels);
    for (size_t i = 0; i < n; i += RGK_LANES, out += channels * RGK_LANES) {
        const size_t left = n - i;
        vreal a[FEW_CHANNELS];
        RGK_UNROLL
        for (size_t c = 0; c < FEW_CHANNELS; c++) {
            if (c < channels)
                __builtin_prefetch(x + c * plane + i + MIX_AHEAD);
            a[c] = c < channels ? load_some(x + c * plane + i, left) : v_set(0);
        }
        RGK_UNROLL
        for (size_t v = 0; v < channels; v++) {
            vreal r = RGK_X86(permutex2var)(a[0], (__m512i)m.pick[v], a[1]);
            if (channels > 2)
                r = RGK_X86(mask_mov)(r, m.behind[v], RGK_X86(permutex2var)(a[2], (__m512i)m.pick[v], a[3]));
            if (left * channels > v * RGK_LANES)
                store_some(out + v * RGK_LANES, left * channels - v * RGK_LANES, r);
        }
    }
}
#else
RGK_INLINE void mix_planes(const size_t channels, size_t n, const real *x, size_t plane, real *out)
{
    for (size_t i = 0; i < n; i++) {
        RGK_UNROLL
        for (size_t c = 0; c < channels; c++)
            out[i * channels + c] = x[c * plane + i];
    }
}
#endif

void RGK_NAME(conv_wide_source)(size_t channels, size_t n, const void *x, size_t plane, void *y)
{
    switch (channels) {
    case 1:
        memcpy(y, x, n * sizeof(real));
        break;
    case 2:
        mix_planes(2, n, x, plane, y);
        break;
    case 3:
        mix_planes(3, n, x, plane, y);
        break;
    case 4:
        mix_planes(4, n, x, plane, y);
        break;
    default:
        turn_matrix(false, channels, n, x, (ptrdiff_t)plane, y, (ptrdiff_t)channels);
        break;
    }
}

/* Sixteen planes or so at a time, each written from its begin to its end: memory sees that coming. */
void RGK_NAME(conv_wide_put)(size_t pixels, size_t width, const void *sum, void *y, size_t plane)
{
    const size_t row = padded(width);
    for (size_t o = 0; o < width; o += RGK_LANES)
        turn_matrix(false, pixels, least(RGK_LANES, width - o), (const real *)sum + o, (ptrdiff_t)row,
                    (real *)y + o * plane, (ptrdiff_t)plane);
}
