/* identities.c - exact identities of arithmetic.

       identity                x 1 = x, x + (-0) = x, x - 0 = x, x / 1 = x, ...: what the op's own `alias` says
       twice                   -(-x) = x, not not x = x
       idempotent              f(f(x)) = f(x) for relu, abs, sign, floor, ceil, round; |x^2| = x^2; min(x, x) = x, ...
       even                    f(-x) = f(x) for abs, square
       negated term            a + (-b) = a - b, (-a) + b = b - a, a - (-b) = a + b
       negated factor          (-a) (-b) = a b, -((-a) b) = a b, p (-x) = -(p x) = (-p) x, likewise quotients
       power of two            x / 2^k = 2^-k x; p (q x) = (p q) x where p and q are powers of two from 1 on         */
#include "rewrite.h"
#include "table_ops.h"

#include <float.h>
#include <math.h>

/* ---- one operand is the result ---- */

static rg_node *identity(rg_node *node, const rgi_facts *f)
{
    if (!node->op->alias || node->n_in > RGI_FACTS)
        return NULL;
    const int i = node->op->alias(node->attr, f->number);
    return i < 0 ? NULL : f->in[i];
}

const rgi_rewrite rgi_rewrite_identity = {"identity", identity};

static rg_node *twice(rg_node *node, const rgi_facts *f)
{
    const bool undoes_itself = node->op == &rgi_op_neg || node->op == &rgi_op_logical_not;
    return undoes_itself && rgi_made_by(f, 0, node->op) ? f->in[0]->in[0] : NULL;
}

const rgi_rewrite rgi_rewrite_twice = {"twice", twice};

static bool is_whole(const rg_op *op)
{
    return op == &rgi_op_floor || op == &rgi_op_ceil || op == &rgi_op_round;
}

static rg_node *idempotent(rg_node *node, const rgi_facts *f)
{
    const rg_op *const op = node->op;
    if (op == &rgi_op_minimum || op == &rgi_op_maximum || op == &rgi_op_logical_and || op == &rgi_op_logical_or)
        return f->in[0] == f->in[1] ? f->in[0] : NULL;
    if (op == &rgi_op_where)
        return f->in[1] == f->in[2] ? f->in[1] : NULL;
    const bool again = op == &rgi_op_relu || op == &rgi_op_abs || op == &rgi_op_sign;
    if ((again && rgi_made_by(f, 0, op)) || (op == &rgi_op_abs && rgi_made_by(f, 0, &rgi_op_square)) ||
        (is_whole(op) && f->made[0] && is_whole(f->in[0]->op)))
        return f->in[0];
    return NULL;
}

const rgi_rewrite rgi_rewrite_idempotent = {"idempotent", idempotent};

/* ---- signs ---- */

static rg_node *even(rg_node *node, const rgi_facts *f)
{
    const bool is_even = node->op == &rgi_op_abs || node->op == &rgi_op_square;
    return is_even && rgi_made_by(f, 0, &rgi_op_neg) ? rg_apply(node->op, RG_NODES(f->in[0]->in[0]), NULL) : NULL;
}

const rgi_rewrite rgi_rewrite_even = {"even", even};

static rg_node *negated_term(rg_node *node, const rgi_facts *f)
{
    if (node->op != &rgi_op_add && node->op != &rgi_op_sub)
        return NULL;
    if (rgi_made_by(f, 1, &rgi_op_neg))
        return (node->op == &rgi_op_add ? rg_sub : rg_add)(f->in[0], f->in[1]->in[0]);
    return node->op == &rgi_op_add && rgi_made_by(f, 0, &rgi_op_neg) ? rg_sub(f->in[1], f->in[0]->in[0]) : NULL;
}

const rgi_rewrite rgi_rewrite_negated_term = {"negated term", negated_term};

/* -(x op y), where one of x and y is negated itself, and every input is of the result's shape or spread over it. */
static rg_node *negated_quotient(const rg_node *x)
{
    for (uint32_t i = 0; i < 2; i++)
        if (x->in[i]->op == &rgi_op_neg) {
            rg_node *const in[2] = {i == 0 ? x->in[0]->in[0] : x->in[0], i == 1 ? x->in[1]->in[0] : x->in[1]};
            return rg_apply(x->op, RG_NODES(in[0], in[1]), NULL);
        }
    return NULL;
}

static rg_node *negated_factor(rg_node *node, const rgi_facts *f)
{
    const rg_op *const op = node->op;
    if (op == &rgi_op_mul || op == &rgi_op_div)
        return rgi_made_by(f, 0, &rgi_op_neg) && rgi_made_by(f, 1, &rgi_op_neg)
                   ? rg_apply(op, RG_NODES(f->in[0]->in[0], f->in[1]->in[0]), NULL)
                   : NULL;
    if (op == &rgi_op_scale && rgi_made_by(f, 0, &rgi_op_neg))
        return rg_scale(f->in[0]->in[0], -rgi_scale_factor(node));
    if (op == &rgi_op_neg && rgi_made_by(f, 0, &rgi_op_scale))
        return rg_scale(f->in[0]->in[0], -rgi_scale_factor(f->in[0]));
    if (op == &rgi_op_neg && f->made[0] && (f->in[0]->op == &rgi_op_mul || f->in[0]->op == &rgi_op_div))
        return negated_quotient(f->in[0]);
    return NULL;
}

const rgi_rewrite rgi_rewrite_negated_factor = {"negated factor", negated_factor};

/* ---- powers of two ---- */

/* Whether |p| is a power of two that, like its inverse, is a normal number of the dtype. */
static bool is_power(double p, rg_dtype dtype)
{
    int exponent;
    const int most = dtype == RG_F64 ? DBL_MAX_EXP - 2 : FLT_MAX_EXP - 2;
    return isfinite(p) && fabs(frexp(p, &exponent)) == 0.5 && exponent - 1 <= most && exponent - 1 >= -most;
}

static rg_node *power_of_two(rg_node *node, const rgi_facts *f)
{
    if (node->op == &rgi_op_div)
        return f->number[1] && is_power(*f->number[1], node->dtype) ? rg_scale(f->in[0], 1 / *f->number[1]) : NULL;
    if (node->op != &rgi_op_scale || !rgi_made_by(f, 0, &rgi_op_scale))
        return NULL;
    const double p = rgi_scale_factor(node), q = rgi_scale_factor(f->in[0]);
    const bool grows = is_power(p, node->dtype) && is_power(q, node->dtype) && fabs(p) >= 1 && fabs(q) >= 1;
    return grows && is_power(p * q, node->dtype) ? rg_scale(f->in[0]->in[0], p * q) : NULL;
}

const rgi_rewrite rgi_rewrite_power_of_two = {"power of two", power_of_two};
