/* list.h - the names behind the rows of rgk_table: X(row, function). Each expands to one declaration or one entry. */
#ifndef RGK_LIST_H
#define RGK_LIST_H

#include "isa.h"
#include "kernels.h"

/* Without parameters, with one, with two. */
/* clang-format off */
#define RGK_UNARY_PLAIN(X) \
    X(NEG, neg) X(ABS, abs) X(SIGN, sign) X(SQUARE, square) X(SQRT, sqrt) X(RSQRT, rsqrt) \
    X(RECIPROCAL, reciprocal) X(ONE_MINUS, one_minus) X(EXP, exp) X(EXP2, exp2) X(EXPM1, expm1) X(LOG, log) \
    X(LOG1P, log1p) X(SIN, sin) X(COS, cos) X(TAN, tan) X(ASIN, asin) X(ACOS, acos) X(ATAN, atan) \
    X(SINH, sinh) X(COSH, cosh) X(ASINH, asinh) X(ACOSH, acosh) X(ATANH, atanh) X(ERF, erf) \
    X(FLOOR, floor) X(CEIL, ceil) X(ROUND, round) X(RELU, relu) X(GELU, gelu) X(GELU_TANH, gelu_tanh) \
    X(SILU, silu) X(SOFTPLUS, softplus) X(SIGMOID, sigmoid) X(LOG_SIGMOID, log_sigmoid) X(TANH, tanh)
#define RGK_UNARY_ONE(X) \
    X(SCALE, scale) X(ADD_SCALAR, add_scalar) X(POW_SCALAR, pow_scalar) X(LEAKY_RELU, leaky_relu) X(ELU, elu)
#define RGK_UNARY_TWO(X) X(CLAMP, clamp)
#define RGK_UNARY_ROWS(X) RGK_UNARY_PLAIN(X) RGK_UNARY_ONE(X) RGK_UNARY_TWO(X)

#define RGK_BINARY_PLAIN(X) \
    X(ADD, add) X(SUB, sub) X(MUL, mul) X(DIV, div) X(MINIMUM, minimum) X(MAXIMUM, maximum) X(POW, pow) \
    X(TANH_GRAD, tanh_grad) X(SIGMOID_GRAD, sigmoid_grad) X(RELU_GRAD, relu_grad) \
    X(SQUARED_DIFFERENCE, squared_difference)
#define RGK_BINARY_ONE(X) X(AXPY, axpy) X(LERP, lerp) X(LEAKY_RELU_GRAD, leaky_relu_grad)
#define RGK_BINARY_TWO(X) X(CLAMP_GRAD, clamp_grad)
#define RGK_BINARY_ROWS(X) RGK_BINARY_PLAIN(X) RGK_BINARY_ONE(X) RGK_BINARY_TWO(X)

#define RGK_COMPARE_ROWS(X) X(EQ, eq) X(NE, ne) X(LT, lt) X(LE, le) X(GT, gt) X(GE, ge)

#define RGK_REDUCE_ROWS(X) X(SUM, sum) X(PROD, prod) X(MAX, max) X(MIN, min) X(SUM_SQUARES, sum_squares)

#define RGK_DECLARE_UNARY(row, f) \
    void RGK_NAME(f)(size_t n, const void *x, void *y, const double *p);
#define RGK_DECLARE_BINARY(row, f) \
    void RGK_NAME(f)(size_t n, const void *a, const void *b, void *y, const double *p, unsigned once);
#define RGK_DECLARE_COMPARE(row, f) \
    void RGK_NAME(f)(size_t n, const void *a, const void *b, uint8_t *y);
#define RGK_DECLARE_REDUCE(row, f) \
    void RGK_NAME(reduce_##f)(size_t k, size_t n, size_t stride, const void *x, void *y);

RGK_UNARY_ROWS(RGK_DECLARE_UNARY)
RGK_BINARY_ROWS(RGK_DECLARE_BINARY)
RGK_COMPARE_ROWS(RGK_DECLARE_COMPARE)
RGK_REDUCE_ROWS(RGK_DECLARE_REDUCE)

void RGK_NAME(fma)(size_t n, const void *a, const void *b, const void *c, void *y, unsigned once);
void RGK_NAME(where)(size_t n, const uint8_t *condition, const void *a, const void *b, void *y);
void RGK_NAME(fill)(size_t n, double value, void *y);
void RGK_NAME(repeat)(size_t n, const void *x, void *y);
void RGK_NAME(argmax)(size_t k, size_t n, size_t stride, const void *x, int64_t *y);
void RGK_NAME(argmin)(size_t k, size_t n, size_t stride, const void *x, int64_t *y);
void RGK_NAME(softmax)(size_t rows, size_t cols, const void *x, void *y);
void RGK_NAME(log_softmax)(size_t rows, size_t cols, const void *x, void *y);
void RGK_NAME(logsumexp)(size_t rows, size_t cols, const void *x, void *y);
void RGK_NAME(softmax_grad)(size_t rows, size_t cols, const void *dy, const void *y, void *dx);
void RGK_NAME(log_softmax_grad)(size_t rows, size_t cols, const void *dy, const void *y, void *dx);
void RGK_NAME(standardise)(const rgk_rows *r, const void *x, void *y);
void RGK_NAME(standardise_grad)(const rgk_rows *r, const void *u, const void *x, void *dx);
void RGK_NAME(channel_sums)(const rgk_channel *c, const void *u, const void *x, rgk_channel_sums *out);
void RGK_NAME(channel_line)(size_t n, const rgk_line *line, const void *x, void *y);
void RGK_NAME(channel_slope)(const rgk_channel *c, const rgk_slope *slope, const void *u, const void *x, void *dx);
void RGK_NAME(max_pool)(const rgk_pool *p, size_t planes, const void *x, void *y);
size_t RGK_NAME(max_pool_scratch)(const rgk_pool *p);
void RGK_NAME(max_pool_take)(const rgk_pool *p, size_t planes, const void *t, const void *x, void *y, void *scratch);
void RGK_NAME(max_pool_put)(const rgk_pool *p, size_t planes, const void *u, const void *x, void *dx, void *scratch);
void RGK_NAME(avg_pool)(const rgk_pool *p, size_t planes, const void *x, void *y);
void RGK_NAME(avg_pool_grad)(const rgk_pool *p, size_t planes, const void *u, void *dx, void *scratch);
void RGK_NAME(conv)(const rgk_conv *c);
void RGK_NAME(conv_source)(const rgk_source *s, const void *x, void *y);
void RGK_NAME(conv_wide)(const rgk_conv_wide *c);
bool RGK_NAME(conv_direct_fits)(size_t taps, size_t width, size_t outputs);
void RGK_NAME(conv_direct)(const rgk_conv_direct *c);
void RGK_NAME(conv_wide_pack)(const rgk_conv_pack *p, size_t width, const void *w, void *packed);
void RGK_NAME(conv_wide_source)(size_t channels, size_t n, const void *x, size_t plane, void *y);
void RGK_NAME(conv_wide_put)(size_t pixels, size_t width, const void *sum, void *y, size_t plane);
size_t RGK_NAME(conv_grad_room)(size_t rows, size_t k);
bool RGK_NAME(conv_grad_steps)(size_t rows, size_t k);
size_t RGK_NAME(conv_grad_unit)(size_t rows, size_t k);
size_t RGK_NAME(conv_grad_scratch)(size_t rows, size_t k, size_t pixels);
bool RGK_NAME(conv_grad_direct)(size_t rows, size_t k, size_t taps);
void RGK_NAME(conv_grad)(const rgk_conv_grad *g, size_t from, size_t to, void *scratch);
void RGK_NAME(depthwise)(const rgk_depthwise *d, const void *weights, void *y);
void RGK_NAME(depthwise_grad)(const rgk_depthwise *d, const void *u, bool fresh, void *sum);
void RGK_NAME(conv_grad_put)(size_t rows, size_t k, size_t from, size_t to, const void *sum, void *dw);
void RGK_NAME(widen)(size_t n, const uint16_t *x, void *y);
void RGK_NAME(narrow)(size_t n, const void *x, uint16_t *y);
void RGK_NAME(uniform)(uint64_t key, uint64_t step, uint64_t index, uint64_t first, size_t n, void *y);
void RGK_NAME(normal)(uint64_t key, uint64_t step, uint64_t index, uint64_t first, size_t n, void *y);

/* clang-format on */

#endif
