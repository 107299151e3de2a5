/* move.c - copies between strided layouts. Where the input is contiguous along another axis than the output, that axis
   and the output's last one span a plane that is transposed tile by tile; else rows are copied along the last axis. */
#include "move.h"
#include "fill.h"
#include "rules.h"

#include <string.h>

#define TASK_BYTES ((size_t)32 << 10)
#define PLANE_ROWS ((size_t)64) /* rows of the output in one unit of a plane */
#define TILE_ROWS ((size_t)16)  /* of those, what one cache line of 4-byte elements of the input gives */
#define TILE_RUN ((size_t)64)   /* elements of each such row at a time */

typedef uint16_t word2 __attribute__((may_alias));
typedef uint32_t word4 __attribute__((may_alias));
typedef uint64_t word8 __attribute__((may_alias));
typedef uint32_t lanes __attribute__((vector_size(16)));

void rgi_move_axis(rgi_move *m, size_t n, ptrdiff_t in, ptrdiff_t out)
{
    if (n == 1)
        return;
    const int32_t k = m->rank - 1;
    if (k >= 0 && m->in[k] == in * (ptrdiff_t)n && m->out[k] == out * (ptrdiff_t)n) {
        m->n[k] *= n;
        m->in[k] = in;
        m->out[k] = out;
        return;
    }
    m->n[m->rank] = n;
    m->in[m->rank] = in;
    m->out[m->rank++] = out;
}

void rgi_move_cut(rgi_move *m)
{
    size_t unit;
    m->last = m->rank - 1;
    m->plane = -1;
    m->length = m->rank ? m->n[m->last] : 1;
    m->units = 1;
    if (m->last > 0 && m->out[m->last] == 1 && m->in[m->last] != 0 && m->in[m->last] != 1)
        for (int32_t i = 0; i < m->last; i++)
            if (m->in[i] == 1)
                m->plane = i;
    for (int32_t i = 0; i < m->last; i++)
        m->units *= i == m->plane ? 1 : m->n[i];
    if (m->plane >= 0) {
        const size_t n = m->n[m->plane];
        m->pieces = (n + PLANE_ROWS - 1) / PLANE_ROWS;
        m->stride = PLANE_ROWS;
        unit = (n < PLANE_ROWS ? n : PLANE_ROWS) * m->length * m->size;
    } else {
        m->stride = TASK_BYTES / m->size;
        m->pieces = (m->length + m->stride - 1) / m->stride;
        unit = (m->length < m->stride ? m->length : m->stride) * m->size;
    }
    m->units *= m->pieces;
    m->group = unit == 0 || unit >= TASK_BYTES ? 1 : TASK_BYTES / unit;
    m->tasks = (m->units + m->group - 1) / m->group;
}

static void row_1(size_t n, const uint8_t *x, ptrdiff_t in, uint8_t *y, ptrdiff_t out)
{
    for (size_t i = 0; i < n; i++)
        y[(ptrdiff_t)i * out] = x[(ptrdiff_t)i * in];
}

static void row_2(size_t n, const word2 *x, ptrdiff_t in, word2 *y, ptrdiff_t out)
{
    for (size_t i = 0; i < n; i++)
        y[(ptrdiff_t)i * out] = x[(ptrdiff_t)i * in];
}

static void row_4(size_t n, const word4 *x, ptrdiff_t in, word4 *y, ptrdiff_t out)
{
    for (size_t i = 0; i < n; i++)
        y[(ptrdiff_t)i * out] = x[(ptrdiff_t)i * in];
}

static void row_8(size_t n, const word8 *x, ptrdiff_t in, word8 *y, ptrdiff_t out)
{
    for (size_t i = 0; i < n; i++)
        y[(ptrdiff_t)i * out] = x[(ptrdiff_t)i * in];
}

static void row(size_t size, size_t n, const void *x, ptrdiff_t in, void *y, ptrdiff_t out)
{
    if (in == 1 && out == 1)
        memcpy(y, x, n * size);
    else if (in == 0 && out == 1)
        rgi_fill_with(size, n, x, y);
    else if (size == 1)
        row_1(n, x, in, y, out);
    else if (size == 2)
        row_2(n, x, in, y, out);
    else if (size == 4)
        row_4(n, x, in, y, out);
    else
        row_8(n, x, in, y, out);
}

/* y(i, j) = x(i, j): x is contiguous along i, y along j; i < n, at most PLANE_ROWS of them, j < length. */
static void plane_1(size_t n, size_t length, const uint8_t *x, ptrdiff_t in, uint8_t *y, ptrdiff_t out)
{
    for (size_t j0 = 0; j0 < length; j0 += 64)
        for (size_t i = 0; i < n; i++)
            for (size_t j = j0; j < length && j < j0 + 64; j++)
                y[(ptrdiff_t)i * out + (ptrdiff_t)j] = x[(ptrdiff_t)i + (ptrdiff_t)j * in];
}

static void plane_2(size_t n, size_t length, const word2 *x, ptrdiff_t in, word2 *y, ptrdiff_t out)
{
    for (size_t j0 = 0; j0 < length; j0 += 32)
        for (size_t i = 0; i < n; i++)
            for (size_t j = j0; j < length && j < j0 + 32; j++)
                y[(ptrdiff_t)i * out + (ptrdiff_t)j] = x[(ptrdiff_t)i + (ptrdiff_t)j * in];
}

static void plane_8(size_t n, size_t length, const word8 *x, ptrdiff_t in, word8 *y, ptrdiff_t out)
{
    for (size_t j0 = 0; j0 < length; j0 += 8)
        for (size_t i = 0; i < n; i++)
            for (size_t j = j0; j < length && j < j0 + 8; j++)
                y[(ptrdiff_t)i * out + (ptrdiff_t)j] = x[(ptrdiff_t)i + (ptrdiff_t)j * in];
}

static inline lanes load(const word4 *x)
{
    lanes v;
    memcpy(&v, x, sizeof v);
    return v;
}

static inline void store(word4 *y, lanes v)
{
    memcpy(y, &v, sizeof v);
}

/* Four columns of four become four rows of four. */
static inline void square(const word4 *x, ptrdiff_t in, word4 *y, ptrdiff_t out)
{
    const lanes a = load(x), b = load(x + in), c = load(x + 2 * in), d = load(x + 3 * in);
    const lanes ab0 = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab1 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const lanes cd0 = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd1 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    store(y, __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5));
    store(y + out, __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7));
    store(y + 2 * out, __builtin_shufflevector(ab1, cd1, 0, 1, 4, 5));
    store(y + 3 * out, __builtin_shufflevector(ab1, cd1, 2, 3, 6, 7));
}

/* Through a buffer, so that each line of input and output is touched once, whatever the strides do to the cache. */
static void plane_4(size_t n, size_t length, const word4 *x, ptrdiff_t in, word4 *y, ptrdiff_t out)
{
    word4 tile[TILE_ROWS * TILE_RUN];
    const size_t n16 = n & ~(TILE_ROWS - 1), length4 = length & ~(size_t)3;
    for (size_t j0 = 0; j0 < length4; j0 += TILE_RUN) {
        const size_t m = length4 - j0 < TILE_RUN ? length4 - j0 : TILE_RUN;
        for (size_t i0 = 0; i0 < n16; i0 += TILE_ROWS) {
            const word4 *from = x + (ptrdiff_t)i0 + (ptrdiff_t)j0 * in;
            for (size_t j = 0; j < m; j++)
                memcpy(tile + j * TILE_ROWS, from + (ptrdiff_t)j * in, TILE_ROWS * sizeof *tile);
            for (size_t i = 0; i < TILE_ROWS; i += 4)
                for (size_t j = 0; j < m; j += 4)
                    square(tile + j * TILE_ROWS + i, TILE_ROWS, y + (ptrdiff_t)(i0 + i) * out + (ptrdiff_t)(j0 + j),
                           out);
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = i < n16 ? length4 : 0; j < length; j++)
            y[(ptrdiff_t)i * out + (ptrdiff_t)j] = x[(ptrdiff_t)i + (ptrdiff_t)j * in];
}

static void plane(const rgi_move *m, size_t first, const void *x, void *y)
{
    const size_t rest = m->n[m->plane] - first, n = rest < PLANE_ROWS ? rest : PLANE_ROWS;
    const ptrdiff_t in = m->in[m->last], out = m->out[m->plane];
    if (m->size == 1)
        plane_1(n, m->length, x, in, y, out);
    else if (m->size == 2)
        plane_2(n, m->length, x, in, y, out);
    else if (m->size == 4)
        plane_4(n, m->length, x, in, y, out);
    else
        plane_8(n, m->length, x, in, y, out);
}

/* One unit: piece `number` of the row or plane that starts at x and y. */
static void unit(const rgi_move *m, size_t number, const void *in, ptrdiff_t x, void *out, ptrdiff_t y)
{
    const size_t first = number * m->stride;
    const int32_t along = m->plane >= 0 ? m->plane : m->last;
    if (along >= 0) {
        x += (ptrdiff_t)first * m->in[along];
        y += (ptrdiff_t)first * m->out[along];
    }
    const void *from = rgi_at(in, x, m->size);
    void *to = rgi_at_out(out, y, m->size);
    if (m->plane >= 0) {
        plane(m, first, from, to);
    } else {
        const size_t n = m->length - first < m->stride ? m->length - first : m->stride;
        row(m->size, n, from, m->last >= 0 ? m->in[m->last] : 1, to, m->last >= 0 ? m->out[m->last] : 1);
    }
}

/* The indices of the outer axes are counted like an odometer. */
void rgi_move_run(const rgi_move *m, const void *in, void *out, size_t lo, size_t hi)
{
    const size_t end = hi >= m->tasks ? m->units : hi * m->group;
    size_t u = lo * m->group, index[RG_MAX_RANK] = {0};
    if (u >= end)
        return;
    size_t piece = u % m->pieces, rest = u / m->pieces;
    ptrdiff_t x = 0, y = 0;
    for (int32_t i = m->last - 1; i >= 0; i--) {
        if (i == m->plane)
            continue;
        index[i] = rest % m->n[i];
        rest /= m->n[i];
        x += (ptrdiff_t)index[i] * m->in[i];
        y += (ptrdiff_t)index[i] * m->out[i];
    }
    for (;;) {
        unit(m, piece, in, x, out, y);
        if (++u == end)
            return;
        if (++piece < m->pieces)
            continue;
        piece = 0;
        for (int32_t i = m->last - 1; i >= 0; i--) {
            if (i == m->plane)
                continue;
            x += m->in[i];
            y += m->out[i];
            if (++index[i] < m->n[i])
                break;
            x -= (ptrdiff_t)m->n[i] * m->in[i];
            y -= (ptrdiff_t)m->n[i] * m->out[i];
            index[i] = 0;
        }
    }
}

size_t rgi_move_part(const rgi_move *m, const void *in, void *out, size_t first, size_t lo, size_t hi)
{
    const size_t end = first + m->tasks;
    const size_t from = lo > first ? lo : first, to = hi < end ? hi : end;
    if (from < to)
        rgi_move_run(m, in, out, from - first, to - first);
    return end;
}

void rgi_move_cost(const rg_step *step, rg_cost *cost)
{
    cost->tasks[0] = ((const rgi_move *)step->geometry)->tasks;
    cost->bytes = rgi_bytes(step);
}

rg_status rgi_move_step(const rg_step *step, size_t lo, size_t hi)
{
    rgi_move_run(step->geometry, step->in[0], step->out[0], lo, hi);
    return RG_OK;
}
