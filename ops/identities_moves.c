/* identities_moves.c - exact identities of ops that only move elements, and of products that read what was moved.

       view back               x under another shape, and under its own again, is x
       transpositions          two in a row are one or none; one that moves axes of a single element alone is a view
       transposed operand      a product reads its operand as it lies, where its groups of axes stay runs
       transposed product      (a b)^T = b^T a^T: the same sums, their rows exchanged with their columns
       pooled mask             relu's mask behind the transpose of a pool is applied to what goes in: where a window has
       its
                               maximum, x > 0 says what the maximum says; elsewhere both sides are +0
       part of a join          a slice of a concatenation that is one of what was joined
       join of parts           the concatenation of all slices of x is x                                              */
#include "rewrite.h"
#include "rules.h"
#include "table_ops.h"

#include <string.h>

/* ---- views ---- */

static rg_node *view_back(rg_node *node, const rgi_facts *f)
{
    if (!(node->op->traits & RG_VIEW) || (node->op->traits & RG_EFFECT) || node->op == &rgi_op_again)
        return NULL;
    rg_node *x = f->in[0];
    if (x->shape == node->shape)
        return x;
    for (bool made = f->made[0]; made && (x->op->traits & RG_VIEW) && x->op != &rgi_op_again; x = x->in[0])
        if (x->in[0]->shape == node->shape)
            return x->op->traits & RG_EFFECT ? NULL : x->in[0];
    return NULL;
}

const rgi_rewrite rgi_rewrite_view_back = {"view back", view_back};

/* ---- transpositions ---- */

static bool is_one(const rgi_shape *shape, int32_t axis)
{
    return shape->a.dim[axis] == 1 && shape->b.dim[axis] == 1;
}

/* Whether the axes that hold more than one element stay in order. */
static bool keeps_order(const rgi_shape *from, const rg_axes *axes)
{
    int32_t last = -1;
    for (int32_t i = 0; i < axes->n; i++) {
        if (is_one(from, axes->axis[i]))
            continue;
        if (axes->axis[i] < last)
            return false;
        last = axes->axis[i];
    }
    return true;
}

static rg_node *transpositions(rg_node *node, const rgi_facts *f)
{
    if (node->op != &rgi_op_transpose)
        return NULL;
    const rg_axes *const outer = rgi_transpose_axes(node);
    if (rgi_made_by(f, 0, &rgi_op_transpose)) {
        const rg_axes *const inner = rgi_transpose_axes(f->in[0]);
        rg_axes both = {.n = outer->n};
        for (int32_t i = 0; i < both.n; i++)
            both.axis[i] = inner->axis[outer->axis[i]];
        return rg_transpose(f->in[0]->in[0], both);
    }
    return keeps_order(f->in[0]->shape, outer) ? rg_reshape(f->in[0], node->shape->a) : NULL;
}

const rgi_rewrite rgi_rewrite_transpositions = {"transpositions", transpositions};

/* ---- products ---- */

static bool is_product(const rg_op *op)
{
    return op == &rgi_op_contract || op == &rgi_op_accumulate;
}

static bool is_run(const rg_axes *axes)
{
    for (int32_t k = 1; k < axes->n; k++)
        if (axes->axis[k] != axes->axis[k - 1] + 1)
            return false;
    return true;
}

/* Axes of a transposed tensor as axes of what was transposed. */
static rg_axes before(const rg_axes *turn, const rg_axes *axes)
{
    rg_axes out = {.n = axes->n};
    for (int32_t k = 0; k < axes->n; k++)
        out.axis[k] = turn->axis[axes->axis[k]];
    return out;
}

/* The axes that are neither in a nor in b, ascending. */
static rg_axes others(int32_t rank, const rg_axes *a, const rg_axes *b)
{
    bool used[RG_MAX_RANK] = {false};
    rg_axes out = {.n = 0};
    for (int32_t k = 0; k < a->n + b->n; k++)
        used[k < a->n ? a->axis[k] : b->axis[k - a->n]] = true;
    for (int32_t i = 0; i < rank; i++)
        if (!used[i])
            out.axis[out.n++] = i;
    return out;
}

/* Reads batch and contracted axes of a transposed operand as those of what was transposed; false where they, or the
   free ones in their order, would no longer be runs. */
static bool read_through(const rg_node *transpose, rg_axes *batch, rg_axes *contracted)
{
    const rg_axes *const turn = rgi_transpose_axes(transpose);
    const rg_axes free = others(turn->n, batch, contracted), free_before = before(turn, &free),
                  batch_before = before(turn, batch), contracted_before = before(turn, contracted);
    if (!is_run(&batch_before) || !is_run(&contracted_before) || !is_run(&free_before))
        return false;
    *batch = batch_before;
    *contracted = contracted_before;
    return true;
}

/* The same product of other operands; what else it has of attributes and inputs stays. */
static rg_node *product_of(const rg_node *node, rg_node *a, rg_node *b, const rg_contract_opts *axes)
{
    union {
        rg_contract_opts axes;
        char bytes[2 * sizeof(rg_contract_opts)];
    } attr;
    if (node->op->attr_size > sizeof attr)
        return NULL;
    memcpy(attr.bytes, node->attr, node->op->attr_size);
    attr.axes = *axes;
    return rg_apply(node->op, node->n_in == 3 ? RG_NODES(a, b, node->in[2]) : RG_NODES(a, b), attr.bytes);
}

static rg_node *transposed_operand(rg_node *node, const rgi_facts *f)
{
    if (!is_product(node->op))
        return NULL;
    rg_contract_opts axes = *(const rg_contract_opts *)node->attr;
    rg_node *in[2] = {f->in[0], f->in[1]};
    bool any = false;
    for (size_t i = 0; i < 2; i++)
        if (rgi_made_by(f, i, &rgi_op_transpose) &&
            read_through(f->in[i], i ? &axes.b_batch : &axes.a_batch, i ? &axes.b_contract : &axes.a_contract)) {
            in[i] = f->in[i]->in[0];
            any = true;
        }
    return any ? product_of(node, in[0], in[1], &axes) : NULL;
}

const rgi_rewrite rgi_rewrite_transposed_operand = {"transposed operand", transposed_operand};

static rg_node *transposed_product(rg_node *node, const rgi_facts *f)
{
    if (node->op != &rgi_op_transpose || !rgi_made_by(f, 0, &rgi_op_contract))
        return NULL;
    const rg_node *const product = f->in[0];
    const rg_contract_opts *const o = product->attr;
    const rg_axes *const turn = rgi_transpose_axes(node);
    const int32_t batch = o->a_batch.n, rows = product->in[0]->shape->a.rank - batch - o->a_contract.n,
                  columns = product->in[1]->shape->a.rank - batch - o->b_contract.n;
    for (int32_t k = 0; k < turn->n; k++)
        if (turn->axis[k] != (k < batch ? k : k < batch + columns ? k + rows : k - columns))
            return NULL;
    const rg_contract_opts exchanged = {o->b_batch, o->a_batch, o->b_contract, o->a_contract};
    return product_of(product, product->in[1], product->in[0], &exchanged);
}

const rgi_rewrite rgi_rewrite_transposed_product = {"transposed product", transposed_product};

/* ---- joins and their parts ---- */

static rg_type type_of(const rg_node *node, int assignment)
{
    return (rg_type){node->dtype, assignment ? node->shape->b : node->shape->a};
}

/* Where a slice lies in its input, or input i in a join, under one assignment of the named sizes. */
static bool window_of(const rg_node *node, size_t i, int assignment, rg_window *out)
{
    rg_type type[RGI_FACTS + 1];
    if (!node->op->window || node->n_in > RGI_FACTS)
        return false;
    for (uint32_t k = 0; k < node->n_in; k++)
        type[k] = type_of(node->in[k], assignment);
    type[node->n_in] = type_of(node, assignment);
    const rg_step step = rgi_typed_step(node, type);
    return node->op->window(&step, i, out);
}

/* Whether the slice lies in its input where input i lies in the join, whatever the sizes. */
static bool same_place(const rg_node *slice, const rg_node *join, size_t i)
{
    for (int assignment = 0; assignment < 2; assignment++) {
        rg_window a, b;
        if (!window_of(slice, 0, assignment, &a) || !window_of(join, i, assignment, &b) || a.offset != b.offset ||
            a.length != b.length || a.pitch != b.pitch)
            return false;
    }
    return true;
}

static bool is_join(const rg_node *node)
{
    return (node->op->traits & RG_JOINS) && node->op->window;
}

static bool is_slice(const rg_node *node)
{
    return !(node->op->traits & RG_JOINS) && node->op->window;
}

static rg_node *part_of_join(rg_node *node, const rgi_facts *f)
{
    if (!is_slice(node) || !f->made[0] || !is_join(f->in[0]))
        return NULL;
    for (uint32_t i = 0; i < f->in[0]->n_in; i++)
        if (f->in[0]->in[i]->shape == node->shape && same_place(node, f->in[0], i))
            return f->in[0]->in[i];
    return NULL;
}

const rgi_rewrite rgi_rewrite_part_of_join = {"part of a join", part_of_join};

static rg_node *join_of_parts(rg_node *node, const rgi_facts *f)
{
    if (!is_join(node) || node->n_in == 0 || node->n_in > RGI_FACTS)
        return NULL;
    for (uint32_t i = 0; i < node->n_in; i++)
        if (!f->made[i] || !is_slice(f->in[i]) || f->in[i]->in[0] != f->in[0]->in[0] ||
            f->in[i]->shape != node->in[i]->shape || !same_place(f->in[i], node, i))
            return NULL;
    rg_node *const x = f->in[0]->in[0];
    return x->shape == node->shape ? x : NULL;
}

const rgi_rewrite rgi_rewrite_join_of_parts = {"join of parts", join_of_parts};

/* ---- pools ---- */

static rg_node *pooled_mask(rg_node *node, const rgi_facts *f)
{
    if (node->op != &rgi_op_relu_grad || !rgi_made_by(f, 0, &rgi_op_max_pool_put))
        return NULL;
    const rg_node *const put = f->in[0];
    rg_node *const x = node->in[1];
    if (put->in[1] != x || node->shape != x->shape)
        return NULL;
    rg_node *const maxima = rg_apply(&rgi_op_max_pool, RG_NODES(x), put->attr); /* there already: the pool itself */
    rg_node *const masked = rg_apply(&rgi_op_relu_grad, RG_NODES(put->in[0], maxima), NULL);
    return rg_apply(&rgi_op_max_pool_put, RG_NODES(masked, x), put->attr);
}

const rgi_rewrite rgi_rewrite_pooled_mask = {"pooled mask", pooled_mask};
