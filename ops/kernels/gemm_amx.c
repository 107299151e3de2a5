/* gemm_amx.c - the product of matrices of pairs of bf16 on the tiles of AMX: an instruction multiplies 16 rows of 16
   pairs of S by 16 rows of 16 columns of pairs of V and adds that to 16 x 16 sums.

   An element is summed in blocks of 16 pairs, counted from the beginning of the sum, with zeros behind its end: the
   first numbers of the pairs are a chain of multiply-adds, the second ones another, both are added, and the result is
   added to the element. Subnormal numbers and sums count as zero. So bits depend on the length of the sum alone.

   S has pairs along the sum side by side, V has its columns so; either may be A: then the transposed product is
   computed. Parts of both are brought into the order of tiles, V once, S for every block of V, or is read where it
   lies. */
#include "gemm.h"
#include "gemm_block.h"

#define SIDE ((size_t)16)      /* of a tile */
#define TILE (SIDE * SIDE)     /* its elements */
#define V_STRIPES ((size_t)16) /* of V at a time: in L2, with ... */
#define SUM ((size_t)256)      /* ... pairs along the sum; two stripes of S stay in L1 */
#define THIN ((size_t)2)       /* stripes of V: then S passes once, and ... */
#define THIN_SUM ((size_t)2048)
#define DENSE ((size_t)256) /* columns of V whose tiles need not be brought together */

typedef struct __attribute__((aligned(64))) tile_shapes {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} tile_shapes;

static const tile_shapes shapes = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};

/* An operand by its lines, rows of A or columns of B: element l of line i at i line + l sum. */
typedef struct lines {
    const real *at;
    ptrdiff_t line, sum;
    size_t n;
} lines;

/* 16 lines along a part of the sum as tiles: whole ones `step` elements apart, their rows `row`, and one that was
   filled up with zeros or NULL. */
typedef struct stripe {
    const real *at, *tail;
    size_t row, step;
} stripe;

/* rows x cols elements, at most 16 each, as a tile; the rest zeros. */
static void bring_tile(const real *x, ptrdiff_t row, ptrdiff_t col, size_t rows, size_t cols, real *out)
{
    if (rows < SIDE || cols < SIDE)
        memset(out, 0, TILE * sizeof(real));
    if (col == 1) {
        for (size_t i = 0; i < rows; i++)
            store_some(out + i * SIDE, cols, load_some(x + (ptrdiff_t)i * row, cols));
    } else if (row == 1) {
        turn_matrix(false, cols, rows, x, col, out, (ptrdiff_t)SIDE);
    } else {
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < cols; j++)
                out[i * SIDE + j] = x[(ptrdiff_t)i * row + (ptrdiff_t)j * col];
    }
}

/* Lines from i on, k elements from l on, with lines as rows of tiles (S) or columns (V). */
static stripe make_stripe(const lines *x, bool columns, size_t i, size_t l, size_t k, bool in_place, real *room)
{
    const real *at = x->at + (ptrdiff_t)i * x->line + (ptrdiff_t)l * x->sum;
    const ptrdiff_t row = columns ? x->sum : x->line, col = columns ? x->line : x->sum;
    const size_t n = least(SIDE, x->n - i), whole = k / SIDE;
    stripe s = {room, NULL, SIDE, TILE};
    if (in_place && n == SIDE && col == 1 && row > 0)
        s = (stripe){at, NULL, (size_t)row, SIDE * (size_t)x->sum};
    for (size_t q = 0; q * SIDE < k; q++) {
        const real *from = at + (ptrdiff_t)(q * SIDE) * x->sum;
        const size_t length = least(SIDE, k - q * SIDE);
        if (q < whole && s.at != room)
            continue;
        bring_tile(from, row, col, columns ? length : n, columns ? n : length, room + q * TILE);
        if (q == whole)
            s.tail = room + q * TILE;
    }
    return s;
}

/* Tiles 0 to 3 are sums, 4 and 5 of S, 6 and 7 of V. */
RGK_INLINE void steps(const bool two_s, const bool two_v, size_t n, const stripe s[2], const stripe v[2])
{
    const real *s0 = s[0].at, *s1 = two_s ? s[1].at : NULL, *v0 = v[0].at, *v1 = two_v ? v[1].at : NULL;
    const size_t s0_row = s[0].row * sizeof(real), s1_row = two_s ? s[1].row * sizeof(real) : 0,
                 v0_row = v[0].row * sizeof(real), v1_row = two_v ? v[1].row * sizeof(real) : 0;
    for (size_t q = 0; q < n; q++) {
        _tile_loadd(4, s0, s0_row);
        _tile_loadd(6, v0, v0_row);
        _tile_dpbf16ps(0, 4, 6);
        s0 += s[0].step;
        v0 += v[0].step;
        if (two_v) {
            _tile_loadd(7, v1, v1_row);
            _tile_dpbf16ps(1, 4, 7);
            v1 += v[1].step;
        }
        if (two_s) {
            _tile_loadd(5, s1, s1_row);
            _tile_dpbf16ps(2, 5, 6);
            s1 += s[1].step;
        }
        if (two_s && two_v)
            _tile_dpbf16ps(3, 5, 7);
    }
}

static void all_steps(const bool two_s, const bool two_v, size_t n, const stripe s[2], const stripe v[2])
{
    stripe s_tail[2], v_tail[2];
    steps(two_s, two_v, n, s, v);
    if (!s[0].tail)
        return;
    for (int q = 0; q < 2; q++) {
        s_tail[q] = (stripe){s[q].tail, NULL, SIDE, 0};
        v_tail[q] = (stripe){v[q].tail, NULL, SIDE, 0};
    }
    steps(two_s, two_v, 1, s_tail, v_tail);
}

/* The number of a tile is a part of the instruction. */
static void load_sums(int number, const real *at, size_t row)
{
    switch (number) {
    case 0:
        _tile_loadd(0, at, row * sizeof(real));
        break;
    case 1:
        _tile_loadd(1, at, row * sizeof(real));
        break;
    case 2:
        _tile_loadd(2, at, row * sizeof(real));
        break;
    default:
        _tile_loadd(3, at, row * sizeof(real));
        break;
    }
}

static void store_sums(int number, real *at, size_t row)
{
    switch (number) {
    case 0:
        _tile_stored(0, at, row * sizeof(real));
        break;
    case 1:
        _tile_stored(1, at, row * sizeof(real));
        break;
    case 2:
        _tile_stored(2, at, row * sizeof(real));
        break;
    default:
        _tile_stored(3, at, row * sizeof(real));
        break;
    }
}

/* C, or its transpose: element (i, j) of what is computed is at i row + j col. */
typedef struct target {
    real *at;
    ptrdiff_t row, col;
    size_t rows, cols;
    bool accumulate;
} target;

static real *target_at(const target *c, size_t i, size_t j)
{
    return c->at + (ptrdiff_t)i * c->row + (ptrdiff_t)j * c->col;
}

/* Whether the tile at (i, j) lies in C as tiles do. */
static bool is_tile(const target *c, size_t i, size_t j)
{
    return c->col == 1 && i + SIDE <= c->rows && j + SIDE <= c->cols;
}

static void begin_sums(int number, const target *c, size_t i, size_t j)
{
    real buffer[TILE];
    if (is_tile(c, i, j)) {
        load_sums(number, target_at(c, i, j), (size_t)c->row);
        return;
    }
    bring_tile(target_at(c, i, j), c->row, c->col, least(SIDE, c->rows - i), least(SIDE, c->cols - j), buffer);
    __asm__ volatile("" ::: "memory"); /* for compilers that do not see what a tile reads */
    load_sums(number, buffer, SIDE);
}

static void end_sums(int number, const target *c, size_t i, size_t j)
{
    real buffer[TILE];
    if (is_tile(c, i, j)) {
        store_sums(number, target_at(c, i, j), (size_t)c->row);
        return;
    }
    store_sums(number, buffer, SIDE);
    const size_t rows = least(SIDE, c->rows - i), cols = least(SIDE, c->cols - j);
    if (c->col != 1) {
        turn_matrix(false, rows, cols, buffer, (ptrdiff_t)SIDE, target_at(c, i, j), c->col);
        return;
    }
    for (size_t q = 0; q < rows; q++)
        store_some(target_at(c, i + q, j), cols, load_some(buffer + q * SIDE, cols));
}

/* One or two stripes of S from line i by one or two of V from line j. */
static void run_tiles(const target *c, size_t i, bool two_s, const stripe s[2], size_t j, bool two_v, const stripe v[2],
                      size_t whole)
{
    for (int q = 0; q < 4; q++) {
        if ((q / 2 && !two_s) || (q % 2 && !two_v))
            continue;
        if (c->accumulate)
            begin_sums(q, c, i + (size_t)(q / 2) * SIDE, j + (size_t)(q % 2) * SIDE);
    }
    if (!c->accumulate) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    if (two_s && two_v)
        all_steps(true, true, whole, s, v);
    else if (two_s)
        all_steps(true, false, whole, s, v);
    else if (two_v)
        all_steps(false, true, whole, s, v);
    else
        all_steps(false, false, whole, s, v);
    for (int q = 0; q < 4; q++)
        if ((q / 2 == 0 || two_s) && (q % 2 == 0 || two_v))
            end_sums(q, c, i + (size_t)(q / 2) * SIDE, j + (size_t)(q % 2) * SIDE);
}

typedef struct product {
    lines s, v;
    size_t k;
    target c;
    const rgk_gemm *packed; /* whose B, packed, is V; or NULL */
} product;

/* Of a V that was packed before: a stripe lies within one panel. */
static stripe packed_stripe(const rgk_gemm *g, size_t j, size_t l, size_t k, real *room)
{
    const size_t column = g->packed_j + j, panel = column / TILE_COLS;
    const size_t width = round_up(least(TILE_COLS, g->packed_n - panel * TILE_COLS), RGK_LANES);
    const lines x = {(const real *)g->packed + panel * TILE_COLS * g->packed_k + g->packed_l * width +
                         column % TILE_COLS,
                     1, (ptrdiff_t)width, SIDE};
    return make_stripe(&x, true, 0, l, k, true, room);
}

/* Stripes that S and V are made of at a time have `room` elements each. */
static void run(const product *p, real *scratch)
{
    const bool once = p->v.n <= THIN * SIDE;
    const size_t part = least(once ? THIN_SUM : SUM, round_up(p->k, SIDE)), room = part * SIDE;
    real *const s_room = scratch + (once ? THIN : V_STRIPES) * room;
    /* as a caller brought it: dense; rows far apart would share the few lines of a set */
    const bool v_in_place = p->s.n <= 2 * SIDE || p->v.sum <= (ptrdiff_t)DENSE;
    target c = p->c;
    for (size_t l = 0; l < p->k; l += part) {
        const size_t k = least(part, p->k - l), whole = k / SIDE;
        c.accumulate = p->c.accumulate || l;
        for (size_t j = 0; j < p->v.n; j += V_STRIPES * SIDE) {
            stripe v[V_STRIPES];
            const size_t stripes = (least(V_STRIPES * SIDE, p->v.n - j) + SIDE - 1) / SIDE;
            for (size_t q = 0; q < stripes; q++)
                v[q] = p->packed ? packed_stripe(p->packed, j + q * SIDE, l, k, scratch + q * room)
                                 : make_stripe(&p->v, true, j + q * SIDE, l, k, v_in_place, scratch + q * room);
            for (size_t i = 0; i < p->s.n; i += 2 * SIDE) {
                const bool two = i + SIDE < p->s.n;
                stripe s[2] = {make_stripe(&p->s, false, i, l, k, once, s_room)};
                if (two)
                    s[1] = make_stripe(&p->s, false, i + SIDE, l, k, once, s_room + room);
                __asm__ volatile("" ::: "memory");
                for (size_t q = 0; q < stripes; q += 2)
                    run_tiles(&c, i, two, s, j + q * SIDE, q + 1 < stripes, v + q, whole);
            }
        }
    }
}

size_t RGK_NAME(gemm_scratch)(size_t m, size_t n, size_t k)
{
    const size_t thin = 2 * THIN * SIDE * least(THIN_SUM, round_up(k, SIDE)),
                 wide = (V_STRIPES + 2) * SIDE * least(SUM, round_up(k, SIDE));
    (void)m;
    (void)n;
    return (thin > wide ? thin : wide) * sizeof(real);
}

/* About what bringing takes, in cycles for each tile: rows, and turned. */
static double bringing(const lines *x, bool turned, size_t k, size_t times)
{
    return (double)(x->n * k) / (double)TILE * (double)times * (turned ? 80 : 16);
}

static double estimate(const lines *s, const lines *v, size_t k, bool turned)
{
    const size_t blocks = (v->n + V_STRIPES * SIDE - 1) / (V_STRIPES * SIDE);
    const double sums = (double)(s->n * v->n) / (double)TILE * (double)((k + SUM - 1) / SUM) * (turned ? 160 : 0);
    const bool in_place = v->n <= THIN * SIDE && s->sum == 1;
    return (in_place ? 0 : bringing(s, s->sum != 1, k, blocks)) + bringing(v, v->line != 1, k, 1) + sums;
}

void RGK_NAME(gemm)(const rgk_gemm *g, void *scratch)
{
    const lines a = {g->a, g->a_row, g->a_col, g->m}, b = {g->b, g->b_col, g->b_row, g->n};
    product p = {.s = a, .v = b, .k = g->k, .c = {g->c, g->c_row, 1, g->m, g->n, g->accumulate}};
    if (g->packed) {
        p.packed = g;
    } else if (estimate(&b, &a, g->k, true) < estimate(&a, &b, g->k, false)) {
        p.s = b;
        p.v = a;
        p.c = (target){g->c, 1, g->c_row, g->n, g->m, g->accumulate};
    }
    _tile_loadconfig(&shapes);
    run(&p, scratch);
    _tile_release();
}
