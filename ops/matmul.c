/* matmul.c - matrix products as contractions. */
#include "contract.h"

#include <retrograde/op.h>

#include <string.h>

/* Checks the pair of axes that is summed over; named sizes must agree under both assignments. */
static bool inner_agree(const char *who, const rg_node *a, int32_t axis_a, const rg_node *b, int32_t axis_b)
{
    if (a->shape->a.dim[axis_a] == b->shape->a.dim[axis_b] && a->shape->b.dim[axis_a] == b->shape->b.dim[axis_b])
        return true;
    char la[2 * RGI_LABEL], lb[2 * RGI_LABEL], sa[64], sb[64];
    rg_build_fail(a->graph, RG_ERR_SHAPE, "%s: inner sizes differ: a %s axis %d (%s) against b %s axis %d (%s)", who,
                  rgi_format_operand(a, la, sizeof la), axis_a,
                  rgi_format_size(a->graph, a->shape->a.dim[axis_a], sa, sizeof sa),
                  rgi_format_operand(b, lb, sizeof lb), axis_b,
                  rgi_format_size(b->graph, b->shape->a.dim[axis_b], sb, sizeof sb));
    return false;
}

/* NULL is reported with the builder's name; scalars have no axes to multiply. */
static bool operands_fit(const char *who, rg_node *a, rg_node *b, int32_t least_rank)
{
    char label[2 * RGI_LABEL];
    rg_graph *g = a ? a->graph : b ? b->graph : NULL;
    if (a && b && a->shape->a.rank >= least_rank && b->shape->a.rank >= least_rank)
        return true;
    if (!a || !b) {
        if (!g || rg_graph_status(g) == RG_OK)
            rg_build_fail(g, RG_ERR_ARGUMENT, "%s: input %d is NULL", who, a ? 1 : 0);
    } else {
        rg_build_fail(g, RG_ERR_SHAPE, "%s: %s has too few axes, at least %d", who,
                      rgi_format_operand(a->shape->a.rank < least_rank ? a : b, label, sizeof label), least_rank);
    }
    return false;
}

static rg_axes one_axis(int32_t axis)
{
    return (rg_axes){1, {axis}};
}

/* The two last axes exchanged. */
static rg_node *swap_last(rg_node *x)
{
    const int32_t rank = x ? x->shape->a.rank : 0;
    rg_axes axes = rg_axes_of_rank(rank);
    if (rank >= 2) {
        axes.axis[rank - 1] = rank - 2;
        axes.axis[rank - 2] = rank - 1;
    }
    return rg_transpose(x, axes);
}

static bool is_one(const rg_node *x, int32_t axis)
{
    return x->shape->a.dim[axis] == 1 && x->shape->b.dim[axis] == 1;
}

/* Leading axes of both operands, broadcast against each other: NULL where they do not agree. */
static rg_node *broadcast_leading(rg_node *x, const rg_node *other)
{
    const int32_t rank = x->shape->a.rank, other_rank = other->shape->a.rank,
                  most = rank > other_rank ? rank : other_rank;
    rg_shape to = {.rank = most};
    bool same = rank == most;
    for (int32_t k = 0; k < most; k++) {
        const int32_t i = k - (most - rank), j = k - (most - other_rank);
        const bool mine = i >= 0 && (k >= most - 2 || j < 0 || !is_one(x, i) || is_one(other, j));
        to.dim[k] = mine ? x->shape->a.dim[i] : other->shape->a.dim[j];
        same = same && (mine || i < 0);
    }
    return same ? x : rg_broadcast_to(rgi_widened(x), to);
}

static rg_node *both_batched(rg_node *a, bool ta, rg_node *b, bool tb)
{
    a = broadcast_leading(a, b);
    b = a ? broadcast_leading(b, a) : NULL;
    if (!a || !b)
        return NULL;
    const int32_t rank = a->shape->a.rank;
    const rg_axes leading = rg_axes_of_rank(rank - 2);
    return rg_contract(
        a, b,
        &(rg_contract_opts){leading, leading, one_axis(ta ? rank - 2 : rank - 1), one_axis(tb ? rank - 1 : rank - 2)});
}

static rg_node *product(const char *who, rg_node *a, bool ta, rg_node *b, bool tb)
{
    if (!operands_fit(who, a, b, 1))
        return NULL;
    const int32_t ra = a->shape->a.rank, rb = b->shape->a.rank;
    const int32_t inner_a = ra == 1 ? 0 : ta ? ra - 2 : ra - 1, inner_b = rb == 1 ? 0 : tb ? rb - 1 : rb - 2;
    if (!inner_agree(who, a, inner_a, b, inner_b))
        return NULL;
    if (ra > 2 && rb > 2)
        return both_batched(a, ta, b, tb);
    const rg_contract_opts plain = {{0, {0}}, {0, {0}}, one_axis(inner_a), one_axis(inner_b)};
    const rg_contract_opts exchanged = {{0, {0}}, {0, {0}}, one_axis(inner_b), one_axis(inner_a)};
    if (rb <= 2 || ra == 1) /* the free axes of a, or of b alone, are in order */
        return rg_contract(a, b, &plain);
    return swap_last(rg_contract(b, a, &exchanged)); /* [.., n] x [m]: the rows of a come last */
}

rg_node *rg_matmul(rg_node *a, rg_node *b)
{
    return product("rg_matmul", a, false, b, false);
}

rg_node *rg_matmul_t(rg_node *a, bool transpose_a, rg_node *b, bool transpose_b)
{
    return product("rg_matmul_t", a, transpose_a, b, transpose_b);
}

rg_node *rg_linear(rg_node *x, rg_node *weight, rg_node *bias)
{
    char label[2 * RGI_LABEL];
    if (!operands_fit("rg_linear", x, weight, 1))
        return NULL;
    if (weight->shape->a.rank != 2)
        return rg_build_fail(x->graph, RG_ERR_SHAPE, "rg_linear: the weight %s must have the two axes [out, in]",
                             rgi_format_operand(weight, label, sizeof label));
    const int32_t last = x->shape->a.rank - 1;
    if (!inner_agree("rg_linear", x, last, weight, 1))
        return NULL;
    if (bias && (bias->shape->a.rank != 1 || bias->shape->a.dim[0] != weight->shape->a.dim[0])) {
        char of[2 * RGI_LABEL];
        return rg_build_fail(x->graph, RG_ERR_SHAPE,
                             "rg_linear: the bias %s must be one number for each row of the weight %s",
                             rgi_format_operand(bias, label, sizeof label), rgi_format_operand(weight, of, sizeof of));
    }
    rg_node *y = rg_contract(x, weight, &(rg_contract_opts){{0, {0}}, {0, {0}}, one_axis(last), one_axis(1)});
    return bias ? rg_add(y, rgi_widened(bias)) : y;
}

rg_node *rg_outer(rg_node *a, rg_node *b)
{
    char label[2 * RGI_LABEL];
    if (!operands_fit("rg_outer", a, b, 0))
        return NULL;
    if (a->shape->a.rank != 1 || b->shape->a.rank != 1)
        return rg_build_fail(a->graph, RG_ERR_SHAPE, "rg_outer: %s is no vector",
                             rgi_format_operand(a->shape->a.rank == 1 ? b : a, label, sizeof label));
    return rg_contract(a, b, &(rg_contract_opts){{0, {0}}, {0, {0}}, {0, {0}}, {0, {0}}});
}

rg_node *rg_dot(rg_node *a, rg_node *b)
{
    char label[2 * RGI_LABEL];
    if (!operands_fit("rg_dot", a, b, 0))
        return NULL;
    if (a->shape->a.rank != 1 || b->shape->a.rank != 1)
        return rg_build_fail(a->graph, RG_ERR_SHAPE, "rg_dot: %s is no vector",
                             rgi_format_operand(a->shape->a.rank == 1 ? b : a, label, sizeof label));
    if (!inner_agree("rg_dot", a, 0, b, 0))
        return NULL;
    return rg_contract(a, b, &(rg_contract_opts){{0, {0}}, {0, {0}}, one_axis(0), one_axis(0)});
}
