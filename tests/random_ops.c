/* random_ops.c - nodes take their inputs from those there are, newer ones more often. Values are kept within a few
   units, so that derivatives and differences are of ordinary size; kinks are as likely as elsewhere. */
#include "random_ops.h"
#include "samples.h"

size_t random_below(random_pool *m, size_t n)
{
    return (size_t)(sample_random(&m->state) * (double)n);
}

rg_node *random_any(random_pool *m)
{
    const size_t n = m->n, back = random_below(m, 2) ? random_below(m, n < 6 ? n : 6) : random_below(m, n);
    return m->nodes[n - 1 - back];
}

void random_add(random_pool *m, rg_node *v)
{
    if (v && m->n < sizeof m->nodes / sizeof *m->nodes)
        m->nodes[m->n++] = v;
}

bool random_named(int64_t size)
{
    return size > 4096; /* names stand for larger ones while the graph is built */
}

static int rank_of(const rg_node *v)
{
    return rg_shape_of(v).rank;
}

static rg_node *with_axis(rg_node *v)
{
    return rank_of(v) ? v : rg_reshape(v, RG_SHAPE(1));
}

rg_node *random_unary(random_pool *m, rg_node *x)
{
    switch (random_below(m, 30)) {
    case 0:
        return rg_sin(x);
    case 1:
        return rg_cos(x);
    case 2:
        return rg_tanh(x);
    case 3:
        return rg_sigmoid(x);
    case 4:
        return rg_softplus(x);
    case 5:
        return rg_gelu(x);
    case 6:
        return rg_silu(x);
    case 7:
        return rg_erf(x);
    case 8:
        return rg_atan(x);
    case 9:
        return rg_exp(rg_tanh(x));
    case 10:
        return rg_log(rg_add_scalar(rg_square(x), 1));
    case 11:
        return rg_sqrt(rg_add_scalar(rg_square(x), 0.5));
    case 12:
        return rg_rsqrt(rg_add_scalar(rg_square(x), 0.5));
    case 13:
        return rg_reciprocal(rg_add_scalar(rg_square(x), 1));
    case 14:
        return rg_relu(x);
    case 15:
        return rg_abs(x);
    case 16:
        return rg_clamp(x, -0.7, 0.9);
    case 17:
        return rg_elu(x, 1.3);
    case 18:
        return rg_leaky_relu(x, 0.1);
    case 19:
        return rg_neg(x);
    case 20:
        return rg_scale(x, -0.7);
    case 21:
        return rg_add_scalar(x, 0.3);
    case 22:
        return rg_one_minus(x);
    case 23:
        return rg_square(rg_tanh(x));
    case 24:
        return rg_pow_scalar(rg_add_scalar(rg_square(x), 0.3), 1.5);
    case 25:
        return rg_mish(x);
    case 26:
        return rg_asinh(x);
    case 27:
        return rg_log_sigmoid(x);
    case 28:
        return rg_gelu_tanh(x);
    default:
        return rg_expm1(rg_sin(x));
    }
}

bool random_broadcasts(const rg_node *a, const rg_node *b)
{
    const rg_shape s = rg_shape_of(a), t = rg_shape_of(b);
    for (int k = 1; k <= s.rank && k <= t.rank; k++) {
        const int64_t p = s.dim[s.rank - k], q = t.dim[t.rank - k];
        if (p != q && p != 1 && q != 1)
            return false;
    }
    return true;
}

rg_node *random_binary(random_pool *m, rg_node *a)
{
    rg_node *b = random_any(m);
    if (!random_broadcasts(a, b))
        b = rg_mean(b, RG_ALL_AXES, false);
    switch (random_below(m, 12)) {
    case 0:
        return rg_add(a, b);
    case 1:
        return rg_sub(b, a);
    case 2:
        return rg_mul(a, rg_tanh(b));
    case 3:
        return rg_div(a, rg_add_scalar(rg_square(b), 1));
    case 4:
        return rg_maximum(a, b);
    case 5:
        return rg_minimum(a, b);
    case 6:
        return rg_lerp(a, rg_add(b, rg_zeros_like(a)), 0.3);
    case 7:
        return rg_fma(rg_sin(a), b, a);
    case 8:
        return rg_where(rg_less(a, b), rg_sin(a), rg_cos(b));
    case 9:
        return rg_atan2(a, rg_add_scalar(rg_square(b), 0.5));
    case 10:
        return rg_axpy(0.4, rg_sigmoid(a), b);
    default:
        return rg_pow(rg_add_scalar(rg_sigmoid(a), 0.5), rg_tanh(b));
    }
}

rg_node *random_along(random_pool *m, rg_node *v)
{
    rg_node *x = with_axis(v);
    const int axis = (int)random_below(m, (size_t)rank_of(x));
    const bool keep = random_below(m, 2);
    switch (random_below(m, 16)) {
    case 0:
        return rg_mean(x, RG_AXES(axis), keep);
    case 1:
        return rg_tanh(rg_sum(x, RG_AXES(axis), keep));
    case 2:
        return rg_max(x, RG_AXES(axis), keep);
    case 3:
        return rg_min(x, RG_AXES(axis), keep);
    case 4:
        return rg_logsumexp(x, axis, keep);
    case 5:
        return rg_softmax(x, axis);
    case 6:
        return rg_log_softmax(x, axis);
    case 7:
        return rg_var(x, RG_AXES(axis), 0, keep);
    case 8:
        return rg_norm(rg_add_scalar(rg_tanh(x), 2), RG_AXES(axis), keep);
    case 9:
        return rg_cumsum(rg_scale(x, 0.3), axis, keep);
    case 10:
        return rg_prod(rg_add_scalar(rg_scale(rg_tanh(x), 0.4), 1), RG_AXES(axis), keep);
    case 11:
        return rg_cumprod(rg_add_scalar(rg_scale(rg_tanh(x), 0.4), 0.9), axis);
    case 12:
        return rg_sort(x, axis, keep);
    case 13:
        return rg_linear_recurrence(rg_scale(rg_tanh(x), 0.7), x, axis, keep);
    case 14:
        return random_named(rg_shape_of(x).dim[axis]) ? rg_softmax(x, axis) : rg_topk(x, 1, axis, NULL);
    default:
        return rg_layer_norm(x, NULL, NULL, 0.1);
    }
}

rg_node *random_moved(random_pool *m, rg_node *v)
{
    rg_node *x = with_axis(v);
    const rg_shape s = rg_shape_of(x);
    const int axis = (int)random_below(m, (size_t)s.rank);
    const bool named = random_named(s.dim[axis]); /* then it may be 0 or 1 */
    const size_t n = named ? 1 : (size_t)s.dim[axis];
    const int64_t index[2] = {(int64_t)random_below(m, n), (int64_t)random_below(m, n)};
    switch (random_below(m, 12)) {
    case 0:
        return rg_transpose(x, RG_ALL_AXES);
    case 1:
        return rg_reshape(x, RG_SHAPE(-1));
    case 2:
        return named ? rg_slice(x, axis, 1, RG_END) : rg_slice(x, axis, 0, (s.dim[axis] + 1) / 2);
    case 3:
        return rg_concat(RG_NODES(x, rg_sin(x)), axis);
    case 4:
        return rg_pad(x, axis, 1, 0, RG_PAD_CONSTANT, 0.5);
    case 5:
        return s.rank < 3 ? rg_unsqueeze(x, axis) : x;
    case 6:
        return named ? rg_flip(x, RG_AXES(axis)) : rg_gather(x, rg_const(m->g, RG_I64, RG_SHAPE(2), index), axis);
    case 7:
        return rg_flip(x, RG_AXES(axis));
    case 8:
        return named ? rg_flip(x, RG_AXES(axis)) : rg_roll(x, axis, 1);
    case 9:
        return s.rank < 3 ? rg_stack(RG_NODES(x, rg_tanh(x)), 0) : rg_tril(x, 0);
    case 10:
        return rg_sum_like(rg_broadcast_to(rg_scale(x, 0.5), s), x);
    default:
        return rg_pad(x, axis, 1, 1, named ? RG_PAD_CONSTANT : RG_PAD_REPLICATE, 0);
    }
}

rg_node *random_matrix(rg_node *v)
{
    rg_node *x = with_axis(v);
    while (x && rank_of(x) > 2)
        x = rg_mean(x, RG_AXES(0), false);
    return x && rank_of(x) < 2 ? rg_unsqueeze(x, 0) : x;
}

rg_node *random_product(random_pool *m, rg_node *v)
{
    rg_node *a = rg_tanh(random_matrix(v)), *b = rg_sin(random_matrix(random_any(m)));
    if (!a || !b)
        return NULL;
    const int64_t k = rg_shape_of(a).dim[1], n = rg_shape_of(b).dim[0];
    if (k == n)
        return rg_scale(rg_matmul(a, b), 0.5);
    if (k == rg_shape_of(b).dim[1])
        return rg_scale(rg_matmul_t(a, false, b, true), 0.5);
    return rg_scale(rg_matmul_t(a, false, a, true), 0.5);
}
