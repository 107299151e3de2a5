/* kernels.h - the table of numeric kernels: plain loops over pointers and sizes, one table per instruction set and
   floating type. A kernel allocates nothing, knows no graph, and its bits depend on its logical problem and the
   instruction set alone: not on alignment, on how a range is cut, or on the number of threads. */
#ifndef RGK_KERNELS_H
#define RGK_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Those behind RGK_AVX512 have its kernels in all places but the products of bf16. */
typedef enum rgk_isa { RGK_GENERIC, RGK_AVX2, RGK_AVX512, RGK_AVX512_BF16, RGK_AMX, RGK_ISA_COUNT } rgk_isa;
typedef enum rgk_type { RGK_F32, RGK_F64, RGK_TYPE_COUNT } rgk_type;

/* y[i] = f(x[i]); p holds the attribute(s) of those that have any. Error bounds: see vmath.h. */
typedef enum rgk_unary {
    RGK_NEG,
    RGK_ABS,
    RGK_SIGN,
    RGK_SQUARE,
    RGK_SQRT,
    RGK_RSQRT,
    RGK_RECIPROCAL,
    RGK_ONE_MINUS,
    RGK_SCALE,      /* p[0] x */
    RGK_ADD_SCALAR, /* x + p[0] */
    RGK_POW_SCALAR, /* x^p[0] */
    RGK_CLAMP,      /* into [p[0], p[1]] ; NaN stays */
    RGK_EXP,
    RGK_EXP2,
    RGK_EXPM1,
    RGK_LOG,
    RGK_LOG1P,
    RGK_SIN,
    RGK_COS,
    RGK_TAN,
    RGK_ASIN,
    RGK_ACOS,
    RGK_ATAN,
    RGK_SINH,
    RGK_COSH,
    RGK_ASINH,
    RGK_ACOSH,
    RGK_ATANH,
    RGK_ERF,
    RGK_FLOOR,
    RGK_CEIL,
    RGK_ROUND,
    RGK_RELU,       /* max(x, 0) ; NaN stays */
    RGK_LEAKY_RELU, /* x > 0 ? x : p[0] x */
    RGK_ELU,        /* x > 0 ? x : p[0] expm1(x) */
    RGK_GELU,
    RGK_GELU_TANH,
    RGK_SILU,
    RGK_SOFTPLUS,
    RGK_SIGMOID,
    RGK_LOG_SIGMOID,
    RGK_TANH,
    RGK_UNARY_COUNT
} rgk_unary;

/* y[i] = f(a[i], b[i]). In the gradients a is the cotangent. */
typedef enum rgk_binary {
    RGK_ADD,
    RGK_SUB,
    RGK_MUL,
    RGK_DIV,
    RGK_MINIMUM,
    RGK_MAXIMUM, /* NaN if either is */
    RGK_POW,
    RGK_AXPY,               /* b + p[0] a, one rounding where the instruction set has fma */
    RGK_LERP,               /* a + p[0] (b - a) */
    RGK_TANH_GRAD,          /* a (1 - b^2) */
    RGK_SIGMOID_GRAD,       /* a b (1 - b) */
    RGK_RELU_GRAD,          /* b > 0 ? a : 0 */
    RGK_LEAKY_RELU_GRAD,    /* b > 0 ? a : p[0] a */
    RGK_CLAMP_GRAD,         /* p[0] <= b <= p[1] ? a : 0 */
    RGK_SQUARED_DIFFERENCE, /* (a - b)^2 */
    RGK_BINARY_COUNT
} rgk_binary;

typedef enum rgk_ternary {
    RGK_FMA, /* a b + c */
    RGK_TERNARY_COUNT
} rgk_ternary;

/* y[i] (0 or 1) = a[i] op b[i] */
typedef enum rgk_compare { RGK_EQ, RGK_NE, RGK_LT, RGK_LE, RGK_GT, RGK_GE, RGK_COMPARE_COUNT } rgk_compare;

typedef enum rgk_reduce {
    RGK_SUM,
    RGK_PROD,
    RGK_MAX,
    RGK_MIN, /* NaN if any is */
    RGK_SUM_SQUARES,
    RGK_REDUCE_COUNT
} rgk_reduce;

/* C = A B (+ C if accumulate): A is m x k with element (i, l) at a[i * a_row + l * a_col], B is k x n likewise, C is
   m x n with rows c_row apart and dense columns. Strides in elements, any sign or size, at least one of each operand's
   two usually 1. The sum over k of one element runs in an order that depends on k and the instruction set alone. */
typedef struct rgk_gemm {
    size_t m, n, k;
    const void *a;
    ptrdiff_t a_row, a_col;
    const void *b;
    ptrdiff_t b_row, b_col;
    void *c;
    ptrdiff_t c_row;
    bool accumulate;
    double factor; /* not 0: C += factor A B instead, each sum rounded and then added as axpy does; see gemm_updates */
    /* Of gemm_bf16. in_order: though both operands are bf16, products are added one after the other. */
    bool a_bf16, b_bf16, in_order;
    /* Not NULL: packed has an n' x k' matrix as gemm_pack made it, B is its part from row packed_l and column packed_j,
       a multiple of the table's lanes, and b is not read. */
    const void *packed;
    size_t packed_n, packed_k, packed_l, packed_j;
    /* What the caller will read next, in n_soon pieces, and what it will write: asked for meanwhile, if it fits. */
    const void *const *soon;
    const size_t *soon_bytes;
    size_t n_soon;
    const void *written;
    size_t written_bytes;
} rgk_gemm;

/* Windows of planes of three axes; sizes in elements. Along each axis output o sees the inputs o stride + k dilation -
   pad of k = 0 .. window - 1 that lie inside. Below 2^31 elements in a window. */
typedef struct rgk_pool {
    size_t in[3], out[3], window[3], stride[3], pad[3], dilation[3];
    bool include_pad; /* means: the padding counts */
} rgk_pool;

/* Dense rows; eps goes to their variances. */
typedef struct rgk_rows {
    size_t rows, cols;
    double eps;
} rgk_rows;

/* A channel of several images: so many dense pieces, `segment_step` elements apart. */
typedef struct rgk_channel {
    size_t segments, segment_step, cols;
} rgk_channel;

/* Mean and variance of x; sums of u and of u (x - mean), 0 without a u. Of no elements the first two are NaN. */
typedef struct rgk_channel_sums {
    double mean, var, u, u_deviation;
} rgk_channel_sums;

/* (x - from) factor + offset */
typedef struct rgk_line {
    double from, factor, offset;
} rgk_line;

/* factor (u - mean_u) - (x - mean) slope */
typedef struct rgk_slope {
    double mean_u, factor, mean, slope;
} rgk_slope;

/* A term of the sums of a convolution: elements from the place of an output to the source it sees, and from the weights
   of a row to the weight. */
typedef struct rgk_term {
    int32_t source, weight;
} rgk_term;

/* y[i, h, w] = sum over terms of weights[i * weights_row + weight] source[h * pitch + w + source] for i < rows,
   h < height, w < width, in the order of the terms; h, w >= 1. Elements of y are (y_row, y_down, y_right) apart. Up to
   the last output every element of the source within a row of `pitch` is read, though not all count. */
typedef struct rgk_conv {
    size_t rows, k;
    const rgk_term *terms; /* k */
    const void *source, *weights;
    ptrdiff_t weights_row;
    size_t height, width, pitch;
    void *y;
    ptrdiff_t y_row, y_down, y_right;
} rgk_conv;

/* Part of planes of three axes, with zeros where they end, its elements sorted by remainder: element (p0, p1, p2, i, j,
   k) of the copy of a plane is the one at first + p + (i, j, k) step. */
typedef struct rgk_source {
    size_t planes, in[3];
    size_t phases[3], n[3], step[3]; /* phases <= step */
    ptrdiff_t first[3];
} rgk_source;

/* sum += over images, h, w of dy[i * dy_row + h * dy_down + w] source[h * pitch + w * step + source] for rows i and
   terms; images are dy_image and source_image elements apart. */
typedef struct rgk_conv_grad {
    size_t rows, k, taps; /* so many terms each have sources that follow one another */
    const rgk_term *terms;
    const void *source, *dy;
    size_t height, width, pitch, step; /* step: 1, unless conv_grad_steps */
    ptrdiff_t dy_row, dy_down;
    size_t images, dy_image, source_image;
    /* Where conv_grad_direct allows it the source may have edges, beyond which nothing is read: terms go by rows of the
       kernel, so many a channel, the first of which meets row `first_row` of `seen_rows` in the first row of pixels; of
       the width + taps - 1 elements that a row of pixels meets, so many on the left and on the right do not exist. */
    bool direct;
    size_t height_taps, seen_rows, left, right;
    ptrdiff_t first_row;
    void *sum;  /* conv_grad_room elements in an order of its own */
    bool fresh; /* it is begun, from zero */
} rgk_conv_grad;

/* Of planes, one after the other, under 3 x 3 weights each: output (i, j) of `rows` rows from `row` on sees x[i + down
   - above][j + right - left] for down, right < 3, of what lies beyond a plane zeros. */
typedef struct rgk_depthwise {
    const void *x;
    size_t planes; /* whose results are added up; of the gradient one */
    bool turned;   /* by half a circle: the weights of outputs */
    size_t in_rows, in_width;
    ptrdiff_t above, left;
    size_t row, rows, width;
} rgk_depthwise;

/* An output pixel: what it sees begins `from` elements into the source, its sums are row `to`. */
typedef struct rgk_pixel {
    int32_t from, to;
} rgk_pixel;

/* Terms whose source elements, `source` on from what a pixel sees, follow one another, as their weights do, rows of
   them from `weights` on. */
typedef struct rgk_run {
    int32_t source, k, weights;
} rgk_run;

/* sum[to][o] (+)= sum over runs, l of source[from + run.source + l] weights[run.weights + l][o], for all pixels and o <
   width. Rows of sums and weights are `width` outputs, filled up to whole vectors; width <= conv_columns. Where
   sums go to planes next, [o * plane + to] elements on from `ahead`, memory is asked for these. */
typedef struct rgk_conv_wide {
    size_t pixels, runs, width;
    const rgk_pixel *pixel;
    const rgk_run *run;
    const void *source, *weights;
    void *sum;
    const void *ahead; /* or NULL */
    size_t plane;
    const void *next; /* weights that will be read next: brought near meanwhile */
    size_t next_bytes;
    bool fresh; /* begun, from zero */
} rgk_conv_wide;

/* sum[(m height + h) width + j][o] (+)= sum over channels c, y < height_taps, x < taps of
       source[m source_image + c plane + (first_row + h + y) pitch + first_column + j + x] weights[(c height_taps + y)
       taps + x][o],
   in this order, over what lies within the rows [0, seen_rows) and columns [0, seen_width) of the source; plane 1:
   pixels lie conv_columns apart. first_column > -taps, first_column + width <= seen_width. Rows of sums, weights:
   `row`, whole vectors. */
typedef struct rgk_conv_direct {
    size_t channels, height_taps, taps, outputs, row;
    const void *source, *weights;
    size_t plane, pitch, seen_rows, seen_width;
    ptrdiff_t first_row, first_column;
    size_t images, source_image, height, width;
    void *sum;
    const void *ahead; /* or NULL: where sums go next, [o * ahead_plane + pixel] on: memory is asked for it */
    size_t ahead_plane;
    const void *next; /* weights that will be read next: brought near meanwhile */
    size_t next_bytes;
    bool fresh, begins; /* sums, from zero; what is seen was not seen by a strip before */
} rgk_conv_direct;

/* Where weights go: the weight of output o, channel c and tap t, at o output_step + c channel_step + t, to row at[t] +
   c channel_rows. */
typedef struct rgk_conv_pack {
    size_t channels, taps, output_step, channel_step, channel_rows;
    const int32_t *at; /* taps */
} rgk_conv_pack;

typedef struct rgk_table {
    rgk_isa isa;
    rgk_type type;
    size_t lanes; /* elements of a vector */

    /* Elementwise over n dense elements; y may be the same memory as any input, never overlap it otherwise. Where bit k
       of `once` is set, operand k is one element, which all meet. */
    void (*unary[RGK_UNARY_COUNT])(size_t n, const void *x, void *y, const double *p);
    void (*binary[RGK_BINARY_COUNT])(size_t n, const void *a, const void *b, void *y, const double *p, unsigned once);
    void (*ternary[RGK_TERNARY_COUNT])(size_t n, const void *a, const void *b, const void *c, void *y, unsigned once);
    void (*compare[RGK_COMPARE_COUNT])(size_t n, const void *a, const void *b, uint8_t *y);
    void (*where)(size_t n, const uint8_t *condition, const void *a, const void *b, void *y);
    void (*fill)(size_t n, double value, void *y);
    void (*repeat)(size_t n, const void *x, void *y); /* n times the bits of the one element at x */

    /* x is k rows of n columns, rows `stride` elements apart: y[j] = reduction over rows of column j. With n = 1 and
       stride = 1 it reduces a contiguous vector (vectorised, blocked pairwise). The order within a column depends on k
       (and on whether stride is 1) alone, so columns may be cut anywhere. */
    void (*reduce[RGK_REDUCE_COUNT])(size_t k, size_t n, size_t stride, const void *x, void *y);
    /* The same for the index (0 .. k-1) of the first maximum / minimum; a NaN counts as the extremum. k >= 1. */
    void (*argmax)(size_t k, size_t n, size_t stride, const void *x, int64_t *y);
    void (*argmin)(size_t k, size_t n, size_t stride, const void *x, int64_t *y);

    /* Rows of `cols` dense elements. y may be x (for the gradients dx may be dy). */
    void (*softmax)(size_t rows, size_t cols, const void *x, void *y);
    void (*log_softmax)(size_t rows, size_t cols, const void *x, void *y);
    void (*logsumexp)(size_t rows, size_t cols, const void *x, void *y);                     /* y: one element a row */
    void (*softmax_grad)(size_t rows, size_t cols, const void *dy, const void *y, void *dx); /* y (dy - sum(dy y)) */
    void (*log_softmax_grad)(size_t rows, size_t cols, const void *dy, const void *y,
                             void *dx); /* dy - exp(y) sum(dy) */

    /* Each row to mean 0 and variance 1: y = (x - mean) r with r = 1 / sqrt(var + eps); the gradient is
       r (u - mean(u) - y mean(u y)). y may be x, dx may be u. */
    void (*standardise)(const rgk_rows *r, const void *x, void *y);
    void (*standardise_grad)(const rgk_rows *r, const void *u, const void *x, void *dx);
    /* Channels: their sums in one pass, u or NULL, and what is made of them. y may be x, dx may be u. */
    void (*channel_sums)(const rgk_channel *c, const void *u, const void *x, rgk_channel_sums *out);
    void (*channel_line)(size_t n, const rgk_line *line, const void *x, void *y);
    void (*channel_slope)(const rgk_channel *c, const rgk_slope *slope, const void *u, const void *x, void *dx);

    /* Whole planes, one after the other, each on its own. Maxima: NaN if any is, -infinity of nothing; take and put
       move between an element's place and that of the window whose first maximum (or NaN) it is, putting sums.
       avg_pool_grad's scratch is one row of outputs. */
    void (*max_pool)(const rgk_pool *p, size_t planes, const void *x, void *y);
    size_t (*max_pool_scratch)(const rgk_pool *p);
    void (*max_pool_take)(const rgk_pool *p, size_t planes, const void *t, const void *x, void *y, void *scratch);
    void (*max_pool_put)(const rgk_pool *p, size_t planes, const void *u, const void *x, void *dx, void *scratch);
    void (*avg_pool)(const rgk_pool *p, size_t planes, const void *x, void *y);
    void (*avg_pool_grad)(const rgk_pool *p, size_t planes, const void *u, void *dx, void *scratch);

    /* Convolution. conv_source fills a copy of product of planes, phases and n elements, and
       may write a vector beyond. conv_grad does rows [from, to), which
       begin at multiples of conv_grad_unit, of a strip of images * height * width pixels; conv_grad_put brings those
       rows of a finished sum into (to - from) x k. */
    void (*conv)(const rgk_conv *c);
    void (*conv_source)(const rgk_source *s, const void *x, void *y);
    /* The same with outputs along the vectors: packing the weights of up to conv_columns outputs; n elements of each of
       `channels` planes as n pixels; rows of sums into planes. */
    size_t conv_columns;
    void (*conv_wide)(const rgk_conv_wide *c);
    bool (*conv_direct_fits)(size_t taps, size_t width, size_t outputs); /* whether it is there, and faster */
    void (*conv_direct)(const rgk_conv_direct *c);
    void (*conv_wide_pack)(const rgk_conv_pack *p, size_t width, const void *w, void *packed);
    void (*conv_wide_source)(size_t channels, size_t n, const void *x, size_t plane, void *y);
    void (*conv_wide_put)(size_t pixels, size_t width, const void *sum, void *y, size_t plane);
    size_t (*conv_grad_room)(size_t rows, size_t k);
    bool (*conv_grad_steps)(size_t rows, size_t k);
    size_t (*conv_grad_unit)(size_t rows, size_t k);
    size_t (*conv_grad_scratch)(size_t rows, size_t k, size_t pixels);
    bool (*conv_grad_direct)(size_t rows, size_t k, size_t taps);
    void (*conv_grad)(const rgk_conv_grad *g, size_t from, size_t to, void *scratch);
    /* 3 x 3: rows of outputs; sums over all outputs (from row 0 on) of u times what each sees, 9 of them, begun if
       `fresh`. */
    void (*depthwise)(const rgk_depthwise *d, const void *weights, void *y);
    void (*depthwise_grad)(const rgk_depthwise *d, const void *u, bool fresh, void *sum);
    void (*conv_grad_put)(size_t rows, size_t k, size_t from, size_t to, const void *sum, void *dw);

    /* Elements [first, first + n) of the stream of draws named (key, step, index): Philox4x32-10. Bits do not depend on
       how a range is cut; uniform draws are equal on all instruction sets. */
    void (*uniform)(uint64_t key, uint64_t step, uint64_t index, uint64_t first, size_t n, void *y); /* [0, 1) */
    void (*normal)(uint64_t key, uint64_t step, uint64_t index, uint64_t first, size_t n, void *y);

    /* Scratch bytes that one call of gemm with at most these sizes (of a packed B: its own) needs (0 possible), and the
       product. */
    size_t (*gemm_scratch)(size_t m, size_t n, size_t k);
    void (*gemm)(const rgk_gemm *g, void *scratch);
    /* Whether gemm can do with this factor: for gradients by weights, A by columns and B by rows, whose sums are not
       long. */
    bool (*gemm_updates)(const rgk_gemm *g);
    /* Bytes of a k x n matrix B in the order in which tiles read it, 0 where there is nothing to gain, in how many
       panels; and packing panels [lo, hi). */
    size_t (*gemm_packed)(size_t n, size_t k, size_t *panels);
    void (*gemm_pack)(size_t n, size_t k, const void *b, ptrdiff_t b_row, ptrdiff_t b_col, size_t lo, size_t hi,
                      void *packed);
    /* f32 alone: the product where a_bf16 or b_bf16 says that an operand holds bf16, aligned as such; C and the sums
       are f32. An element has the bits of the product of f32 that hold the same numbers; but where both are bf16 and
       the instruction set adds products in pairs (RGK_AVX512_BF16, unless in_order), numbers 2 l and 2 l + 1 along the
       sum are a pair, the second's product is added first, each sum is rounded, and subnormal numbers and sums count as
       zero. A B of bf16 is packed as for gemm, as pairs or as f32, by what g says of its types: packed gives the bytes
       for such sizes of g, 0 where nothing is gained. RGK_AMX's multiply pairs where that is permitted, see below. */
    size_t (*gemm_bf16_scratch)(size_t m, size_t n, size_t k);
    void (*gemm_bf16)(const rgk_gemm *g, void *scratch);
    size_t (*gemm_bf16_packed)(const rgk_gemm *g, size_t *panels);
    void (*gemm_bf16_pack)(const rgk_gemm *g, size_t lo, size_t hi, void *packed);
    /* f32 alone: y[i] = x[i] from bf16, and to the nearest bf16, ties to even, NaN to NaN. */
    void (*widen)(size_t n, const uint16_t *x, void *y);
    void (*narrow)(size_t n, const void *x, uint16_t *y);
    /* Good task tile for a product: cutting C into tm x tn blocks costs little. Multiples of the micro-tile. */
    void (*gemm_tile)(size_t m, size_t n, size_t k, size_t *tm, size_t *tn);
} rgk_table;

/* The table in use: best instruction set of this machine, or what RETROGRADE_ISA (generic, avx2, avx512,
   avx512_bf16, amx) masks it to.
   Chosen once, at load. */
const rgk_table *rgk(rgk_type type);
/* A particular table, NULL where this machine cannot run it. For tests. */
const rgk_table *rgk_of(rgk_isa isa, rgk_type type);
const char *rgk_isa_name(rgk_isa isa);
/* Whether the operating system lets this process use the tiles of AMX: asked for when first wanted, for it makes the
   frames of signals larger, and then settled. Before it is known to, RGK_AMX's must not multiply two operands of
   bf16. */
bool rgk_amx_permitted(void);
/* rgk(RGK_F32), or RGK_AVX512's where that wants tiles which are not permitted: for who is going to multiply bf16. */
const rgk_table *rgk_of_pairs(void);

/* One constant table per build of the kernel sources. */
extern const rgk_table rgk_generic_f32, rgk_generic_f64;
extern const rgk_table rgk_avx2_f32, rgk_avx2_f64;
extern const rgk_table rgk_avx512_f32, rgk_avx512_f64;
extern const rgk_table rgk_avx512_bf16_f32, rgk_amx_f32;

#endif
