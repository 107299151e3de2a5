/* contract_run.c - a contraction as products of matrices: cut into tiles, or along its sum where the result is
   small. */
#include "contract.h"
#include "table_ops.h"
#include "window.h"

#include <string.h>

#define RGI_SPLIT_K 4096      /* length of a part of the sum where it is split ... */
#define RGI_SPLIT_RESULT 4096 /* ... which it is for results of at most so many elements */
#define RGI_TASKS 64          /* of a product whose strips are cut across */
#define RGI_TASK_ROWS 4       /* of a piece of a strip at least */
#define RGI_TAIL_ROWS 96      /* of a block for the tail, a multiple of it where rows are short ... */
#define RGI_TAIL_COLUMNS 2048
#define RGI_TAIL_BYTES ((size_t)256 * 1024) /* ... which stays in L2 with what the tail reads */

/* Size and stride of a run of axes, of a window or of what is dense. False: there is no one stride. */
static bool collapse(const rg_shape *shape, const rg_window *w, const int32_t *axis, int32_t n, size_t *size,
                     size_t *stride)
{
    *size = 1;
    *stride = n ? rgi_count_range(shape, axis[n - 1] + 1, shape->rank) : 0;
    bool one = true;
    for (int32_t k = n; k-- > 0;) {
        const size_t dim = (size_t)shape->dim[axis[k]];
        size_t at = 0;
        if (w && w->length && dim > 1) {
            one = one && rgi_window_stride(shape, w, axis[k], &at) && (*size <= 1 || at == *size * *stride);
            *stride = *size == 1 ? at : *stride;
        }
        *size *= dim;
    }
    return one;
}

/* The axes of input 0 or 1, as sizes and strides. False: they have none. */
static bool operand(const rg_step *s, size_t i, const rg_window *w, rgi_product *p)
{
    const rg_contract_opts *o = s->attr;
    const rg_shape *shape = &s->in_type[i].shape;
    rgi_operand_axes x;
    size_t same;
    if (!rgi_contract_axes(shape->rank, i ? &o->b_batch : &o->a_batch, i ? &o->b_contract : &o->a_contract, &x))
        return false;
    const int32_t *const free = x.axis + x.batch, *const contracted = free + x.free;
    const bool batch = collapse(shape, w, x.axis, x.batch, i ? &same : &p->batch, i ? &p->b_batch : &p->a_batch);
    const bool rows = collapse(shape, w, free, x.free, i ? &p->n : &p->m, i ? &p->b_col : &p->a_row);
    return collapse(shape, w, contracted, x.contracted, i ? &same : &p->k, i ? &p->b_row : &p->a_col) && rows && batch;
}

/* The same of the output: false also where its rows are not dense. */
static bool result(const rg_step *s, const rg_window *w, rgi_product *p)
{
    const rg_contract_opts *o = s->attr;
    const rg_shape *shape = &s->out_type->shape;
    const int32_t batch = o->a_batch.n, rows = s->in_type[0].shape.rank - o->a_contract.n, rank = shape->rank;
    int32_t axis[RG_MAX_RANK];
    size_t size, columns;
    for (int32_t k = 0; k < rank; k++)
        axis[k] = k;
    const bool batched = collapse(shape, w, axis, batch, &size, &p->c_batch),
               by_rows = collapse(shape, w, axis + batch, rows - batch, &size, &p->c_row);
    return collapse(shape, w, axis + rows, rank - rows, &size, &columns) && (size <= 1 || columns == 1) && by_rows &&
           batched;
}

bool rgi_contract_takes(const rg_step *s, size_t i, const rg_window *w)
{
    rgi_product p;
    return i < 2 ? operand(s, i, w, &p) : i == s->n_in && s->op == &rgi_op_contract && result(s, w, &p);
}

static bool is_bf16(const rg_step *s, size_t i)
{
    return s->in_type[i].dtype == RG_BF16;
}

/* Only products of pairs want what a processor may have to be asked for. */
static const rgk_table *choose_kernels(const rg_step *s)
{
    return is_bf16(s, 0) && is_bf16(s, 1) ? rgk_of_pairs() : rgi_kernels(s->out_type->dtype);
}

/* Whether the rows of the output have gaps between them. */
static bool is_apart(const rg_step *s)
{
    return s->windows && s->windows[s->n_in];
}

/* Strips of columns go over all rows, and those of rows over all columns. Narrow ones make slow products, and there may
   be few of them: they are cut across as well, those of columns into what is as wide as a tile of registers, if that
   leaves enough tasks; those of rows into shorter ones, or lower ones for a tail, which wants whole rows. Tasks that
   follow each other are those of one strip: together they are one product, so that fewer threads lose nothing by it.
   Products of pairs have tiles of many rows. */
static void cut_strips(const rg_step *s, rgi_product *p, bool by_rows)
{
    const size_t lanes = p->kernels->lanes, wide = 4 * lanes, strips = p->batch * p->rows * p->columns;
    p->by_columns = false;
    if (!strips || (is_bf16(s, 0) && is_bf16(s, 1)))
        return;
    if (by_rows && 2 * strips <= RGI_TASKS)
        p->tm = rgi_parts(rgi_parts(p->m, RGI_TASKS), RGI_TASK_ROWS) * RGI_TASK_ROWS;
    p->by_columns = !by_rows && p->rows == 1 && p->m > RGI_TASK_ROWS && p->tn < wide && p->batch < RGI_TASKS;
    if (p->by_columns) {
        p->tn = rgi_smaller(rgi_parts(p->n, lanes) * lanes, wide);
        const size_t pieces = rgi_parts(RGI_TASKS, p->batch * rgi_parts(p->n, p->tn));
        p->tm = rgi_parts(rgi_parts(p->m, pieces), RGI_TASK_ROWS) * RGI_TASK_ROWS;
        if (2 * p->batch * rgi_parts(p->n, p->tn) * rgi_parts(p->m, p->tm) < RGI_TASKS)
            p->tn = 2 * lanes;
    } else if (p->columns == 1 && 2 * strips <= RGI_TASKS && !by_rows) {
        p->tn = rgi_parts(rgi_parts(p->n, RGI_TASKS / strips), lanes) * lanes;
    }
    p->rows = rgi_parts(p->m, p->tm);
    p->columns = rgi_parts(p->n, p->tn);
}

void rgi_contract_geometry(const rg_step *s, void *out)
{
    rgi_product *const p = out; /* in its place: one that is copied waits for itself */
    p->kernels = choose_kernels(s);
    for (size_t i = 0; i < 2; i++)
        operand(s, i, s->windows ? s->windows[i] : NULL, p);
    p->apart = is_apart(s);
    p->c_row = p->n;
    p->c_batch = p->m * p->n;
    if (p->apart)
        result(s, s->windows[s->n_in], p);
    /* a tail wants whole rows: few and long pieces */
    const bool by_rows = s->tail && p->m >= RGI_TAIL_ROWS;
    p->kernels->gemm_tile(p->m, by_rows ? 1 : p->n, p->k, &p->tm, &p->tn);
    p->tn = by_rows ? p->n : p->tn;
    p->rows = p->m ? (p->m + p->tm - 1) / p->tm : 0;
    p->columns = p->n ? (p->n + p->tn - 1) / p->tn : 0;
    cut_strips(s, p, by_rows);
    p->parts = s->op != &rgi_op_accumulate && p->k > 2 * RGI_SPLIT_K && p->batch * p->m * p->n <= RGI_SPLIT_RESULT
                   ? (p->k + RGI_SPLIT_K - 1) / RGI_SPLIT_K
                   : 1;
    const size_t row = rgi_smaller(p->n + !p->n, RGI_TAIL_COLUMNS) * rg_dtype_size(s->out_type->dtype);
    p->tail_rows = RGI_TAIL_ROWS * (1 + rgi_smaller(3, RGI_TAIL_BYTES / (2 * RGI_TAIL_ROWS * row)));
    p->adds =
        s->tail && s->n_in == 2 && p->k > 0 && !is_bf16(s, 0) && !is_bf16(s, 1) &&
        p->kernels->gemm_updates(&(rgk_gemm){
            .m = p->m, .n = p->n, .k = p->k, .a_row = (ptrdiff_t)p->a_row, .b_col = (ptrdiff_t)p->b_col, .factor = 1});
}

static size_t gemm_scratch(const rg_step *s, const rgi_product *p)
{
    return (is_bf16(s, 0) || is_bf16(s, 1) ? p->kernels->gemm_bf16_scratch : p->kernels->gemm_scratch)(p->m, p->n,
                                                                                                       p->k);
}

/* The product as far as packing its second operand is concerned. */
static rgk_gemm packing(const rg_step *s, const rgi_product *p, const void *b)
{
    return (rgk_gemm){.m = p->m,
                      .n = p->n,
                      .k = p->k,
                      .b = b,
                      .b_row = (ptrdiff_t)p->b_row,
                      .b_col = (ptrdiff_t)p->b_col,
                      .a_bf16 = is_bf16(s, 0),
                      .b_bf16 = is_bf16(s, 1)};
}

/* Bytes of the second operand packed. */
static size_t packed_bytes(const rg_step *s, const rgi_product *p, size_t *tasks)
{
    const rgk_gemm g = packing(s, p, NULL);
    if (g.b_bf16)
        return p->kernels->gemm_bf16_packed(&g, tasks);
    return g.a_bf16 ? 0 : p->kernels->gemm_packed(p->n, p->k, tasks);
}

size_t rgi_contract_packed(const rg_step *s, size_t i, size_t *tasks)
{
    const rgi_product *p = s->geometry;
    return i == 1 && p->batch == 1 ? packed_bytes(s, p, tasks) : 0;
}

void rgi_contract_pack(const rg_step *s, size_t i, const void *from, void *to, size_t lo, size_t hi)
{
    const rgi_product *p = s->geometry;
    const rgk_gemm g = packing(s, p, from);
    if (is_bf16(s, i))
        p->kernels->gemm_bf16_pack(&g, lo, hi, to);
    else
        p->kernels->gemm_pack(p->n, p->k, from, g.b_row, g.b_col, lo, hi, to);
}

/* Bytes of the second operand packed, which is done first where a tail takes many blocks of rows: each would pack it
   anew. */
static size_t packed_first(const rg_step *s, const rgi_product *p, size_t *tasks)
{
    const bool often = s->tail && !s->packed && p->m > p->tail_rows && p->columns == 1 && p->b_col != 1;
    return often && p->batch == 1 && p->parts == 1 && s->op == &rgi_op_contract ? packed_bytes(s, p, tasks) : 0;
}

void rgi_contract_cost(const rg_step *s, rg_cost *cost)
{
    const rgi_product p = *(const rgi_product *)s->geometry;
    size_t panels;
    const double size = (double)rg_dtype_size(s->out_type->dtype), a_size = (double)rg_dtype_size(s->in_type[0].dtype),
                 b_size = (double)rg_dtype_size(s->in_type[1].dtype);
    cost->tasks[0] = p.batch * p.rows * p.columns;
    cost->flops = 2.0 * (double)p.batch * (double)p.m * (double)p.n * (double)p.k;
    cost->bytes = (double)p.batch * (a_size * (double)p.m * (double)p.k + b_size * (double)p.k * (double)p.n +
                                     size * (double)p.m * (double)p.n);
    cost->scratch = gemm_scratch(s, &p);
    cost->shared = packed_first(s, &p, &panels);
    if (cost->shared) {
        cost->tasks[1] = cost->tasks[0];
        cost->tasks[0] = panels;
    }
    if (p.parts > 1) {
        cost->tasks[0] = p.parts;
        cost->tasks[1] = 1;
        cost->shared = (p.parts + (s->tail || p.apart)) * p.batch * p.m * p.n * rg_dtype_size(s->out_type->dtype);
    } else if (s->tail) {
        cost->scratch = rgi_rounded(cost->scratch) + rgi_smaller(p.m, p.tail_rows) *
                                                         rgi_smaller(p.n, RGI_TAIL_COLUMNS) *
                                                         rg_dtype_size(s->out_type->dtype);
    }
}

/* Copies those rows and columns of the third operand, if there is one, to c. */
static void begin_from(const rg_step *s, const rgi_product *p, size_t element, const size_t rows[2],
                       const size_t columns[2], char *c, size_t pitch)
{
    const size_t size = rg_dtype_size(s->out_type->dtype);
    for (size_t i = rows[0]; s->n_in == 3 && i < rows[1]; i++) {
        const char *from = (const char *)s->in[2] + ((element * p->m + i) * p->n + columns[0]) * size;
        char *to = c + (i - rows[0]) * pitch * size;
        if (to != from) /* the sum goes on where it lies */
            memcpy(to, from, (columns[1] - columns[0]) * size);
    }
}

/* Rows and columns of one batch element, over a part of the sum, to c, whose rows are `pitch` elements apart. */
static rgk_gemm part_of(const rg_step *s, const rgi_product *p, size_t element, const size_t rows[2],
                        const size_t columns[2], const size_t sum[2], void *c, size_t pitch)
{
    const size_t a_size = rg_dtype_size(s->in_type[0].dtype), b_size = rg_dtype_size(s->in_type[1].dtype);
    const char *a = s->in[0], *b = s->in[1];
    return (rgk_gemm){
        .m = rows[1] - rows[0],
        .n = columns[1] - columns[0],
        .k = sum[1] - sum[0],
        .a = a + (element * p->a_batch + rows[0] * p->a_row + sum[0] * p->a_col) * a_size,
        .a_row = (ptrdiff_t)p->a_row,
        .a_col = (ptrdiff_t)p->a_col,
        .b = b + (element * p->b_batch + sum[0] * p->b_row + columns[0] * p->b_col) * b_size,
        .b_row = (ptrdiff_t)p->b_row,
        .b_col = (ptrdiff_t)p->b_col,
        .c = c,
        .c_row = (ptrdiff_t)pitch,
        .a_bf16 = is_bf16(s, 0),
        .b_bf16 = is_bf16(s, 1),
        .in_order = s->op == &rgi_op_accumulate,
    };
}

/* The same sum of a product that adds up, from its last term on where that comes first. */
static void descend(const rg_step *s, const rgi_product *p, rgk_gemm *g)
{
    if (s->op != &rgi_op_accumulate || !((const rgi_accumulate_attr *)s->attr)->descending)
        return;
    g->a = (const char *)g->a + (g->k - 1) * p->a_col * rg_dtype_size(s->in_type[0].dtype);
    g->b = (const char *)g->b + (g->k - 1) * p->b_row * rg_dtype_size(s->in_type[1].dtype);
    g->a_col = -g->a_col;
    g->b_row = -g->b_row;
}

static void multiply(const rg_step *s, const rgi_product *p, size_t element, const size_t rows[2],
                     const size_t columns[2], const size_t sum[2], char *c, size_t pitch)
{
    const size_t size = rg_dtype_size(s->out_type->dtype);
    if (p->k == 0) { /* an empty sum */
        for (size_t i = 0; i < rows[1] - rows[0]; i++)
            p->kernels->fill(columns[1] - columns[0], 0, c + i * pitch * size);
        if (s->op == &rgi_op_accumulate)
            begin_from(s, p, element, rows, columns, c, pitch);
        return;
    }
    rgk_gemm g = part_of(s, p, element, rows, columns, sum, c, pitch);
    if (s->op == &rgi_op_accumulate) {
        begin_from(s, p, element, rows, columns, c, pitch);
        g.accumulate = s->n_in == 3;
        descend(s, p, &g);
    }
    size_t panels;
    g.packed = s->packed ? s->packed[1] : packed_first(s, p, &panels) ? s->shared : NULL;
    if (g.packed && columns[0] % p->kernels->lanes != 0)
        g.packed = NULL;
    if (g.packed) {
        g.packed_n = p->n;
        g.packed_k = p->k;
        g.packed_l = sum[0];
        g.packed_j = columns[0];
    }
    const void *read[RG_TAIL_READS], *written[RG_TAIL_READS] = {NULL};
    const size_t piece = g.m * g.n * size, pieces[RG_TAIL_READS] = {piece, piece, piece};
    if (s->tail && g.n == p->n) { /* whole rows: what the tail reads and writes beside them lies in one piece */
        g.soon = read;
        g.soon_bytes = pieces;
        g.n_soon = s->tail->reads(s, (element * p->m + rows[0]) * p->n, read);
        s->tail->writes(s, (element * p->m + rows[0]) * p->n, written);
        g.written = written[0];
        g.written_bytes = g.written ? piece : 0;
    } else if (s->soon) {
        g.soon = s->soon->at;
        g.soon_bytes = s->soon->bytes;
        g.n_soon = s->soon->n;
    }
    (g.a_bf16 || g.b_bf16 ? p->kernels->gemm_bf16 : p->kernels->gemm)(&g, s->scratch);
}

/* Adds a product to what its tail would: a gradient to its parameter. False if the tail has to do it. */
static bool update(const rg_step *s, const rgi_product *p, size_t element, const size_t rows[2],
                   const size_t columns[2])
{
    const size_t all[2] = {0, p->k};
    double factor;
    const size_t first = (element * p->m + rows[0]) * p->n + columns[0];
    void *const to = p->adds && !s->packed ? s->tail->adds_to(s, first, &factor) : NULL;
    if (!to)
        return false;
    rgk_gemm g = part_of(s, p, element, rows, columns, all, to, p->n);
    g.factor = factor;
    descend(s, p, &g);
    const bool can = p->kernels->gemm_updates(&g);
    if (can)
        p->kernels->gemm(&g, s->scratch);
    return can;
}

/* The same, to the step's output or, in blocks, to its tail. */
static rg_status deliver(const rg_step *s, const rgi_product *p, size_t element, const size_t rows[2],
                         const size_t columns[2])
{
    const size_t all[2] = {0, p->k}, size = rg_dtype_size(s->out_type->dtype);
    if (!s->tail) {
        char *c = (char *)s->out[0] + (element * p->c_batch + rows[0] * p->c_row + columns[0]) * size;
        multiply(s, p, element, rows, columns, all, c, p->c_row);
        return RG_OK;
    }
    if (update(s, p, element, rows, columns))
        return RG_OK;
    char *const c = (char *)s->scratch + rgi_rounded(gemm_scratch(s, p));
    rg_status status = RG_OK;
    for (size_t j = columns[0]; j < columns[1] && !status; j += RGI_TAIL_COLUMNS)
        for (size_t i = rows[0]; i < rows[1] && !status; i += p->tail_rows) {
            const size_t r[2] = {i, rgi_smaller(i + p->tail_rows, rows[1])},
                         q[2] = {j, rgi_smaller(j + RGI_TAIL_COLUMNS, columns[1])};
            const rg_block block = {c, q[1] - j, (element * p->m + i) * p->n + j, p->n, r[1] - i, q[1] - j};
            multiply(s, p, element, r, q, all, c, block.stride);
            status = s->tail->take(s, &block);
        }
    return status;
}

/* Tiles [lo, hi), strip by strip within each batch element; those that make a rectangle are done in one product. A
   strip is a row of tiles, or a column of them. */
static rg_status run_tiles(const rg_step *s, const rgi_product *p, size_t lo, size_t hi)
{
    const size_t tiles = p->rows * p->columns, length = p->by_columns ? p->rows : p->columns;
    if (lo == 0 && hi == tiles && p->batch == 1) { /* all of it */
        const size_t rows[2] = {0, p->m}, columns[2] = {0, p->n};
        return tiles ? deliver(s, p, 0, rows, columns) : RG_OK;
    }
    rg_status status = RG_OK;
    while (lo < hi && !status) {
        const size_t element = lo / tiles, strip = lo % tiles / length, at = lo % length;
        const size_t end =
            rgi_smaller(hi - element * tiles, tiles); /* tiles of this element to do, counted from its first */
        size_t last_strip = strip + 1, last = length;
        if (at == 0 && end / length > strip)
            last_strip = end / length;
        else
            last = rgi_smaller(length, end - strip * length);
        const size_t strips[2] = {strip, last_strip}, across[2] = {at, last};
        const size_t *const r = p->by_columns ? across : strips, *const q = p->by_columns ? strips : across;
        const size_t rows[2] = {r[0] * p->tm, rgi_smaller(r[1] * p->tm, p->m)};
        const size_t columns[2] = {q[0] * p->tn, rgi_smaller(q[1] * p->tn, p->n)};
        status = deliver(s, p, element, rows, columns);
        lo += (last_strip - strip) * (last - at);
    }
    return status;
}

/* A sum in parts: each on its own, then their sum. Not inlined: small products need few registers. */
static __attribute__((noinline)) rg_status run_parts(const rg_step *s, const rgi_product *p, size_t lo, size_t hi)
{
    const size_t rows[2] = {0, p->m}, columns[2] = {0, p->n}, elements = p->batch * p->m * p->n,
                 size = rg_dtype_size(s->out_type->dtype);
    if (s->phase == 0) { /* parts of the sum, each on its own */
        for (size_t part = lo; part < hi; part++)
            for (size_t e = 0; e < p->batch; e++) {
                const size_t sum[2] = {part * RGI_SPLIT_K, rgi_smaller((part + 1) * RGI_SPLIT_K, p->k)};
                char *c = (char *)s->shared + (part * elements + e * p->m * p->n) * size;
                multiply(s, p, e, rows, columns, sum, c, p->n);
            }
        return RG_OK;
    }
    char *const sums = s->tail || p->apart ? (char *)s->shared + p->parts * elements * size : s->out[0];
    p->kernels->reduce[RGK_SUM](p->parts, elements, elements, s->shared, sums);
    for (size_t i = 0; p->apart && i < p->batch * p->m; i++)
        memcpy((char *)s->out[0] + (i / p->m * p->c_batch + i % p->m * p->c_row) * size, sums + i * p->n * size,
               p->n * size);
    const rg_block all = {sums, elements, 0, elements, 1, elements};
    return s->tail ? s->tail->take(s, &all) : RG_OK;
}

rg_status rgi_contract_run(const rg_step *s, size_t lo, size_t hi)
{
    const rgi_product *p = s->geometry;
    size_t panels;
    if (s->phase == 0 && packed_first(s, p, &panels)) {
        rgi_contract_pack(s, 1, s->in[1], s->shared, lo, hi);
        return RG_OK;
    }
    return p->parts == 1 ? run_tiles(s, p, lo, hi) : run_parts(s, p, lo, hi);
}
