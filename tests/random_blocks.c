/* random_blocks.c - layers, attention, what moves elements, loops within loops, branches, buffers: each block takes
   nodes that there are and adds some. */
#include "random_blocks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 3 << 12, DEEPEST = 2 };

static size_t below(random_maker *m, size_t n)
{
    return random_below(&m->pool, n);
}

int64_t random_size(random_maker *m)
{
    static const int64_t sizes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 24, 32, 33, 40};
    return sizes[below(m, below(m, 3) ? 9 : sizeof sizes / sizeof *sizes)];
}

static rg_node *any(random_maker *m)
{
    return random_any(&m->pool);
}

static int rank_of(const rg_node *v)
{
    return rg_shape_of(v).rank;
}

/* Size of an axis that counts from the end. */
static int64_t last(const rg_node *v, int k)
{
    const rg_shape s = rg_shape_of(v);
    return s.dim[s.rank - k];
}

/* Elements, names taken for the largest sizes. */
static double elements(const random_maker *m, const rg_node *v)
{
    const rg_shape s = rg_shape_of(v);
    const int64_t larger = m->batch > m->time ? m->batch : m->time;
    double n = 1;
    for (int k = 0; k < s.rank; k++)
        n *= random_named(s.dim[k]) ? (double)s.dim[k] / 28000 * (double)larger : (double)s.dim[k];
    return n;
}

static const char *name(random_maker *m, const char *what)
{
    static char text[32];
    snprintf(text, sizeof text, "%s%d", what, m->names++);
    return text;
}

static bool set(random_maker *m, rg_node *v, double scale)
{
    rg_tensor t;
    if (!v || rg_tensor_alloc(&t, rg_dtype_of(v), rg_shape_of(v)))
        return false;
    const int64_t n = rg_shape_count(t.shape);
    for (int64_t i = 0; i < n; i++) {
        const double x = scale * sin(1.7 * (double)i + m->names);
        if (t.dtype == RG_F64)
            ((double *)t.data)[i] = x;
        else
            ((float *)t.data)[i] = (float)x;
    }
    const bool ok = !rg_set(v, &t);
    rg_tensor_free(&t);
    return ok;
}

rg_node *random_param(random_maker *m, rg_shape shape)
{
    rg_node *p = rg_param(m->pool.g, name(m, "p"), m->pool.dtype, shape, NULL);
    return set(m, p, 1.2 / sqrt(shape.rank ? (double)shape.dim[shape.rank - 1] : 1)) ? p : NULL;
}

/* Of the shape of h, from x. */
static rg_node *like(random_maker *m, rg_node *h, rg_node *x)
{
    const rg_shape s = rg_shape_of(h), t = rg_shape_of(x);
    if (random_broadcasts(h, x) && rg_shape_equal(rg_shape_of(rg_add(h, x)), s))
        return below(m, 2) ? rg_add(h, x) : rg_mul(rg_sin(h), x);
    bool rows = s.rank == t.rank && s.rank > 0 && !random_named(last(h, 1)) && !random_named(last(x, 1));
    for (int k = 0; rows && k < s.rank - 1; k++)
        rows = s.dim[k] == t.dim[k];
    if (rows)
        return rg_add(h, rg_matmul(x, random_param(m, RG_SHAPE(last(x, 1), last(h, 1)))));
    if (s.rank > 0 && s.rank == t.rank && below(m, 2))
        return rg_add(h, rg_mean(x, RG_ALL_AXES, true));
    return rg_add(h, rg_mean(x, RG_ALL_AXES, false));
}

static rg_node *activation(random_maker *m, rg_node *x)
{
    switch (below(m, 5)) {
    case 0:
        return rg_relu(x);
    case 1:
        return rg_tanh(x);
    case 2:
        return rg_gelu(x);
    case 3:
        return rg_sigmoid(x);
    default:
        return x;
    }
}

/* One with as many axes, the last of a plain size; or x. */
rg_node *random_of_rank(random_maker *m, int rank, rg_node *x)
{
    for (int tries = 0; tries < 8; tries++) {
        rg_node *v = any(m);
        if (rank_of(v) == rank && !random_named(last(v, 1)) && elements(m, v) > 0)
            return v;
    }
    return x;
}

/* ---- layers ---- */

static rg_node *dense(random_maker *m)
{
    rg_node *x = any(m);
    if (rank_of(x) == 0 || random_named(last(x, 1)))
        x = random_of_rank(m, 2, m->inputs[RANDOM_X]);
    const int64_t in = last(x, 1), out = below(m, 3) ? random_size(m) : in;
    rg_node *y = below(m, 2) ? rg_linear(x, random_param(m, RG_SHAPE(out, in)),
                                         below(m, 2) ? random_param(m, RG_SHAPE(out)) : NULL)
                             : rg_matmul(x, random_param(m, RG_SHAPE(in, out)));
    if (below(m, 4) == 0)
        y = rg_nn_layer_norm(y, name(m, "norm"), NULL);
    y = activation(m, y);
    if (below(m, 6) == 0)
        y = rg_nn_dropout(y, 0.2);
    return in == out && below(m, 2) ? rg_add(x, y) : y;
}

static rg_node *image_layer(random_maker *m, rg_node *x)
{
    const rg_shape s = rg_shape_of(x);
    const int64_t c = s.dim[1], out = below(m, 3) ? 4 * (1 + (int64_t)below(m, 4)) : c;
    switch (below(m, 8)) {
    case 0:
        return s.dim[2] > 1 && s.dim[3] > 1 ? rg_max_pool2d(x, &(rg_pool_opts){.window = {2, 2}}) : rg_relu(x);
    case 1:
        return rg_avg_pool2d(x, &(rg_pool_opts){.window = {3, 3}, .stride = {1, 1}, .pad = {1, 1}});
    case 2:
        return rg_nn_batch_norm(x, name(m, "norm"), NULL);
    case 3:
        return below(m, 2) ? rg_concat(RG_NODES(x, rg_tanh(x)), 1) : rg_slice(x, 1, c / 2, c);
    case 4:
        return rg_add(x, rg_nn_conv2d(x, name(m, "conv"), c, &(rg_conv_opts){.kernel = {3, 3}, .pad = {1, 1}}));
    case 5:
        return rg_nn_conv2d(x, name(m, "conv"), c, &(rg_conv_opts){.kernel = {3, 3}, .groups = c, .same = true});
    default:
        return rg_nn_conv2d(x, name(m, "conv"), out,
                            &(rg_conv_opts){.kernel = {1, 3}, .pad = {0, 1}, .stride = {1 + (int64_t)below(m, 2), 1}});
    }
}

static rg_node *images(random_maker *m)
{
    rg_node *x = random_of_rank(m, 4, m->inputs[RANDOM_IMAGES]);
    rg_shape s = rg_shape_of(x);
    if (random_named(s.dim[1]) || random_named(s.dim[2]))
        x = m->inputs[RANDOM_IMAGES];
    for (size_t layers = 1 + below(m, 4); x && layers > 0; layers--)
        x = activation(m, image_layer(m, x));
    switch (below(m, 4)) {
    case 0:
        return rg_flatten(x, 1);
    case 1:
        return rg_flatten(rg_global_avg_pool(x), 1);
    case 2:
        return rg_mean(x, RG_AXES(0, 2, 3), false);
    default:
        return x;
    }
}

/* Queries, keys and values are columns of one product, in one or two heads. */
static rg_node *attention(random_maker *m)
{
    rg_node *x = random_of_rank(m, 3, m->inputs[RANDOM_SEQUENCE]);
    const int64_t in = last(x, 1), heads = 1 + (int64_t)below(m, 2), d = heads * random_size(m);
    if (rank_of(x) != 3)
        return NULL;
    const rg_shape s = rg_shape_of(x);
    const bool cut = heads > 1 || below(m, 2);
    rg_node *qkv = rg_linear(x, random_param(m, RG_SHAPE(3 * d, in)),
                             below(m, 2) ? random_param(m, RG_SHAPE(3 * d)) : NULL),
            *part[3];
    for (int k = 0; k < 3; k++) {
        part[k] = rg_slice(qkv, 2, k * d, (k + 1) * d);
        if (cut)
            part[k] =
                rg_transpose(rg_reshape(part[k], RG_SHAPE(s.dim[0], s.dim[1], heads, d / heads)), RG_AXES(0, 2, 1, 3));
    }
    rg_node *scores = rg_scale(rg_matmul_t(part[0], false, part[1], true), 1 / sqrt((double)d));
    rg_node *y = rg_matmul(rg_softmax(scores, -1), part[2]);
    return cut && below(m, 2) ? rg_reshape(rg_transpose(y, RG_AXES(0, 2, 1, 3)), RG_SHAPE(s.dim[0], s.dim[1], d)) : y;
}

static rg_node *recurrent(random_maker *m)
{
    static rg_node *(*const layers[])(rg_node *, const char *, int64_t, const rg_rnn_opts *) = {
        rg_nn_rnn, rg_nn_lstm, rg_nn_lstm_peephole, rg_nn_gru, rg_nn_gru_cho, rg_nn_mgu};
    rg_node *xs = random_of_rank(m, 3, m->inputs[RANDOM_SEQUENCE]);
    const int64_t hidden = random_size(m);
    rg_rnn_opts opts = {.layers = 1 + (int)below(m, 2), .bidirectional = below(m, 2)};
    opts.keep_bytes = below(m, 3) ? 0 : 200 + 40 * below(m, 100);
    if (xs == m->inputs[RANDOM_SEQUENCE] && below(m, 2))
        opts.lengths = m->inputs[RANDOM_LENGTHS];
    if (rank_of(xs) != 3)
        return NULL;
    return layers[below(m, sizeof layers / sizeof *layers)](xs, name(m, "cell"), hidden, &opts);
}

/* ---- by index ---- */

static rg_node *indexed(random_maker *m)
{
    rg_node *index = m->inputs[RANDOM_INDEX], *x = any(m);
    switch (below(m, 4)) {
    case 0:
        return rg_embedding(random_param(m, RG_SHAPE(RANDOM_CLASSES, random_size(m))), index);
    case 1:
        return rg_scatter_add(m->inputs[RANDOM_X], index,
                              random_param(m, RG_SHAPE(RANDOM_CLASSES, last(m->inputs[RANDOM_X], 1))), 0);
    case 2:
        return rg_matmul(rg_one_hot(index, RANDOM_CLASSES, m->pool.dtype),
                         random_param(m, RG_SHAPE(RANDOM_CLASSES, random_size(m))));
    default:
        for (int k = 0; k < rank_of(x); k++)
            if (!random_named(rg_shape_of(x).dim[k]) && rg_shape_of(x).dim[k] >= RANDOM_CLASSES && rank_of(x) < 5)
                return rg_gather(x, index, k);
        return rg_embedding(random_param(m, RG_SHAPE(RANDOM_CLASSES, 3)), index);
    }
}

/* Parts along an axis, changed and put together in another order. */
static rg_node *parts(random_maker *m)
{
    rg_node *x = any(m), *part[4];
    const int rank = rank_of(x), axis = rank ? (int)below(m, (size_t)rank) : 0;
    const int64_t n = rank ? rg_shape_of(x).dim[axis] : 0;
    if (n < 2 || random_named(n))
        return random_moved(&m->pool, x);
    const int64_t cut = 1 + (int64_t)below(m, (size_t)n - 1), from = (int64_t)below(m, (size_t)cut);
    part[0] = rg_slice(x, axis, cut, n);
    part[1] = rg_slice(x, axis, 0, cut);
    part[2] = rg_slice(x, axis, from, cut);
    part[3] = below(m, 2) ? rg_slice_step(x, axis, RG_END, RG_END, -1) : x;
    for (int k = 0; k < 4; k++)
        if (below(m, 3) == 0)
            part[k] = random_unary(&m->pool, part[k]);
    switch (below(m, 5)) {
    case 0:
        return rg_concat(RG_NODES(part[0], part[1]), axis);
    case 1:
        return rg_concat((rg_nodes){part, 4}, axis);
    case 2:
        return rank < 5 ? rg_stack(RG_NODES(x, part[3]), (int)below(m, (size_t)rank + 1)) : part[3];
    case 3:
        random_add(&m->pool, part[1]);
        return part[below(m, 4)];
    default:
        return rg_slice(rg_concat(RG_NODES(part[1], x, part[0]), axis), axis, from, from + n);
    }
}

/* ---- loops and branches ---- */

static rg_node *any_block(random_maker *m);

void random_add_moderate(random_maker *m, rg_node *v)
{
    if (v && elements(m, v) <= MOST)
        random_add(&m->pool, v);
}

void random_grow(random_maker *m, size_t more)
{
    for (; more > 0; more--)
        random_add_moderate(m, any_block(m));
}

static rg_nodes branch(random_maker *m, rg_nodes in)
{
    const size_t mark = m->pool.n;
    m->depth++;
    for (size_t i = 0; i < in.n; i++)
        random_add(&m->pool, in.at[i]);
    random_grow(m, below(m, 4));
    rg_node *const a = below(m, 4) ? like(m, in.at[0], any(m)) : in.at[0], *b = like(m, in.at[1], any(m));
    m->pool.n = mark;
    m->depth--;
    m->branch[0] = a;
    m->branch[1] = b;
    return (rg_nodes){m->branch, 2};
}

static rg_nodes then_branch(void *user, rg_nodes in)
{
    return branch(user, in);
}

static rg_nodes else_branch(void *user, rg_nodes in)
{
    return branch(user, in);
}

static rg_node *condition(random_maker *m)
{
    rg_node *in[2] = {any(m), any(m)}, *of = rg_mean(any(m), RG_ALL_AXES, false);
    if (rank_of(in[0]) > 5 || rank_of(in[1]) > 5)
        return NULL;
    rg_node *p = below(m, 6) ? rg_greater(of, rg_scalar(m->pool.g, m->pool.dtype, 0.05)) : rg_training(m->pool.g);
    m->of_data = true;
    const rg_nodes y = rg_cond(p, then_branch, else_branch, m, (rg_nodes){in, 2});
    random_add(&m->pool, rg_at(y, 1));
    return rg_at(y, 0);
}

/* Steps of data's number, at most five. */
static rg_node *while_loop(random_maker *m)
{
    rg_node *init = any(m);
    if (elements(m, init) > 512)
        return NULL;
    m->of_data = true;
    rg_scan *s = rg_while_begin(m->pool.g, &(rg_while_opts){.max_iter = 5});
    rg_node *i = rg_scan_carry(s, rg_scalar(m->pool.g, RG_I64, 0)), *h = rg_scan_carry(s, init);
    const size_t mark = m->pool.n;
    m->depth++;
    random_add(&m->pool, h);
    rg_while_test(s, rg_less(i, m->inputs[RANDOM_TRIPS]));
    random_grow(m, 1 + below(m, 3));
    rg_node *next = rg_tanh(like(m, h, any(m)));
    rg_scan_next(s, i, rg_add(i, rg_scalar(m->pool.g, RG_I64, 1)));
    rg_scan_next(s, h, next);
    m->pool.n = mark;
    m->depth--;
    rg_node *y = rg_scan_last(s, h);
    rg_scan_end(s);
    return y;
}

static rg_node *scan(random_maker *m)
{
    rg_node *xs = any(m), *init = any(m), *other = any(m);
    if (rank_of(xs) == 0 || elements(m, init) > 1024 || elements(m, other) > 1024)
        return NULL;
    const rg_shape s = rg_shape_of(xs);
    if (!random_named(s.dim[0]) && s.dim[0] > (m->depth ? 8 : 40))
        return NULL;
    rg_scan_opts opts = {.reverse = below(m, 2)};
    if (below(m, 4) == 0)
        opts.keep_bytes = 64 + 97 * below(m, 40);
    else if (below(m, 4) == 0 && !random_named(s.dim[0]))
        opts.keep_every = 1 + (int64_t)below(m, 3);
    rg_scan *loop = rg_scan_begin(m->pool.g, &opts);
    const size_t mark = m->pool.n;
    m->depth++;
    rg_node *x = rg_scan_slice(loop, xs), *h = rg_scan_carry(loop, init), *k = rg_scan_carry(loop, other);
    random_add(&m->pool, h);
    random_add(&m->pool, x);
    random_add(&m->pool, k);
    random_grow(m, 1 + below(m, 6));
    rg_scan_next(loop, h, rg_tanh(like(m, h, any(m))));
    rg_scan_next(loop, k, below(m, 3) ? rg_tanh(like(m, k, any(m))) : k);
    rg_node *stacked = any(m);
    if (stacked && (rank_of(stacked) > 5 || elements(m, stacked) > 1024))
        stacked = x;
    m->pool.n = mark;
    m->depth--;
    rg_node *stack = rg_scan_stack(loop, below(m, 2) ? stacked : h), *end = rg_scan_last(loop, below(m, 3) ? h : k);
    rg_scan_end(loop);
    random_add(&m->pool, end);
    return stack;
}

/* ---- updates of one's own ---- */

static rg_node *moved_like(random_maker *m, rg_node *p)
{
    const rg_shape s = rg_shape_of(p);
    const int64_t n = s.dim[0], cut = n > 1 ? 1 + (int64_t)below(m, (size_t)n - 1) : 0;
    switch (below(m, 5)) {
    case 0:
        return rg_concat(RG_NODES(rg_slice(p, 0, cut, n), rg_slice(p, 0, 0, cut)), 0);
    case 1:
        return s.dim[0] == s.dim[1] ? rg_transpose(p, RG_ALL_AXES) : rg_flip(p, RG_AXES(0));
    case 2:
        return rg_flip(p, RG_AXES(1));
    case 3:
        return s.dim[0] == s.dim[1] ? rg_tanh(rg_matmul(p, p)) : rg_tanh(p);
    default:
        return p;
    }
}

/* A buffer that is read, and changed by something that may read it too. */
static rg_node *buffer(random_maker *m)
{
    if (m->n_updates == RANDOM_UPDATES)
        return NULL;
    const int64_t rows = random_size(m), columns = below(m, 2) ? rows : random_size(m);
    rg_node *b = rg_buffer(m->pool.g, name(m, "b"), m->pool.dtype, RG_SHAPE(rows, columns), NULL);
    if (!set(m, b, 0.8))
        return NULL;
    rg_node *read = moved_like(m, b), *x = any(m);
    rg_node *u = rg_assign(b, below(m, 3) ? rg_scale(like(m, moved_like(m, b), x), 0.5) : moved_like(m, b));
    if (below(m, 4) == 0)
        u = rg_assign(b, rg_scale(like(m, moved_like(m, rg_latest(b)), any(m)), 0.5));
    m->updates[m->n_updates++] = u;
    random_add(&m->pool, b);
    return read;
}

/* ---- the whole ---- */

static rg_node *any_block(random_maker *m)
{
    typedef rg_node *block(random_maker *);
    static block *const blocks[] = {dense, dense, attention, images,         recurrent,     indexed,
                                    parts, parts, buffer,    random_windows, random_windows};
    static block *const loops[] = {scan, scan, condition, while_loop};
    rg_node *x = any(m);
    const size_t kind = below(m, m->depth >= DEEPEST ? 24 : 28);
    if (kind < 4)
        return random_unary(&m->pool, x);
    if (kind < 7)
        return random_binary(&m->pool, x);
    if (kind < 9)
        return random_along(&m->pool, x);
    if (kind < 12)
        return random_moved(&m->pool, x);
    if (kind < 13)
        return random_product(&m->pool, x);
    if (kind < 24)
        return m->depth ? (kind < 16 ? dense : kind < 20 ? random_windows : parts)(m) : blocks[kind - 13](m);
    return loops[kind - 24](m);
}
