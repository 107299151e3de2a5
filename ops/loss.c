/* loss.c - losses: an elementwise term or a row op, then the weights and the reduction. */
#include "labels.h"
#include "loss_terms.h"
#include "pointwise.h"
#include "table_ops.h"

#include <retrograde/autograd.h>

static bool reduction_ok(rg_graph *g, const char *who, rg_reduction reduction)
{
    if ((int)reduction >= 0 && reduction <= RG_NONE)
        return true;
    rg_build_fail(g, RG_ERR_ARGUMENT, "%s: there is no reduction %d", who, (int)reduction);
    return false;
}

static bool given(const char *who, const rg_node *a, const rg_node *b)
{
    rg_graph *g = rg_graph_of(a ? a : b);
    if (a && b)
        return true;
    if (!g || g->error.status == RG_OK)
        rg_build_fail(g, RG_ERR_ARGUMENT, "%s: input %d is NULL", who, a ? 1 : 0);
    return false;
}

static rg_node *reduce(rg_node *terms, rg_reduction reduction)
{
    if (reduction == RG_NONE)
        return terms;
    return reduction == RG_SUM ? rg_sum(terms, RG_ALL_AXES, false) : rg_mean(terms, RG_ALL_AXES, false);
}

/* ---- elementwise terms ---- */

/* Whether `other` broadcasts to the shape of y, which `terms` must have. */
static bool fits(const char *who, const char *what, const rg_node *terms, const rg_node *y, const rg_node *other)
{
    char a[2 * RGI_LABEL], b[2 * RGI_LABEL];
    if (terms->shape == y->shape)
        return true;
    rg_build_fail(y->graph, RG_ERR_SHAPE, "%s: the %s %s does not broadcast to the shape of %s", who, what,
                  rgi_format_operand(other, a, sizeof a), rgi_format_operand(y, b, sizeof b));
    return false;
}

static rg_node *finish(const char *who, rg_node *terms, rg_node *y, rg_node *target, const rg_loss_opts *opts)
{
    const rg_loss_opts o = opts ? *opts : (rg_loss_opts){0};
    if (!terms || !fits(who, "target", terms, y, target) || !reduction_ok(y->graph, who, o.reduction))
        return NULL;
    if (o.weight) {
        terms = rg_mul(terms, o.weight);
        if (!terms || !fits(who, "weight", terms, y, o.weight))
            return NULL;
    }
    return reduce(terms, o.reduction);
}

rg_node *rg_mse_loss(rg_node *y, rg_node *target, const rg_loss_opts *opts)
{
    static const char who[] = "rg_mse_loss";
    if (!given(who, y, target))
        return NULL;
    rg_node *loss = finish(who, rgi_squared_difference(y, target), y, target, opts);
    return loss && opts && opts->half ? rg_scale(loss, 0.5) : loss;
}

rg_node *rg_l1_loss(rg_node *y, rg_node *target, const rg_loss_opts *opts)
{
    static const char who[] = "rg_l1_loss";
    return given(who, y, target) ? finish(who, rg_abs(rg_sub(y, target)), y, target, opts) : NULL;
}

rg_node *rg_huber_loss(rg_node *y, rg_node *target, const rg_loss_opts *opts)
{
    static const char who[] = "rg_huber_loss";
    const double delta = opts && opts->delta != 0 ? opts->delta : 1;
    if (!given(who, y, target))
        return NULL;
    if (!(delta > 0))
        return rg_build_fail(y->graph, RG_ERR_ARGUMENT, "%s: delta %g is not positive", who, delta);
    return finish(who, rgi_huber(rg_sub(y, target), delta), y, target, opts);
}

rg_node *rg_smooth_l1_loss(rg_node *y, rg_node *target, const rg_loss_opts *opts)
{
    rg_node *loss = rg_huber_loss(y, target, opts);
    return loss && opts && opts->delta != 0 && opts->delta != 1 ? rg_scale(loss, 1 / opts->delta) : loss;
}

rg_node *rg_bce_loss(rg_node *p, rg_node *target, const rg_loss_opts *opts)
{
    static const char who[] = "rg_bce_loss";
    return given(who, p, target) ? finish(who, rgi_bce(p, target), p, target, opts) : NULL;
}

rg_node *rg_bce_with_logits(rg_node *x, rg_node *target, const rg_loss_opts *opts)
{
    static const char who[] = "rg_bce_with_logits";
    return given(who, x, target) ? finish(who, rgi_bce_logits(x, target), x, target, opts) : NULL;
}

rg_node *rg_kl_div(rg_node *log_p, rg_node *target, const rg_loss_opts *opts)
{
    static const char who[] = "rg_kl_div";
    return given(who, log_p, target) ? finish(who, rgi_kl_term(log_p, target), log_p, target, opts) : NULL;
}

rg_node *rg_hinge_loss(rg_node *y, rg_node *target, const rg_loss_opts *opts)
{
    static const char who[] = "rg_hinge_loss";
    return given(who, y, target) ? finish(who, rg_relu(rg_one_minus(rg_mul(y, target))), y, target, opts) : NULL;
}

rg_node *rg_cosine_embedding_loss(rg_node *a, rg_node *b, rg_node *target, double margin, const rg_loss_opts *opts)
{
    static const char who[] = "rg_cosine_embedding_loss";
    if (!given(who, a, b) || !given(who, a, target))
        return NULL;
    rg_node *cosine = rg_cosine_similarity(a, b, -1, 1e-8), *t = rg_stop_gradient(target);
    if (!cosine || !t)
        return NULL;
    rg_node *alike = rg_equal(t, rg_ones_like(t));
    rg_node *terms = rg_where(alike, rg_one_minus(cosine), rg_relu(rg_add_scalar(cosine, -margin)));
    return finish(who, terms, cosine, target, opts);
}

/* ---- classes ---- */

static bool options_ok(rg_graph *g, const char *who, const rg_cross_entropy_opts *o)
{
    if (!(o->label_smoothing >= 0 && o->label_smoothing < 1)) {
        rg_build_fail(g, RG_ERR_ARGUMENT, "%s: label_smoothing %g is outside [0, 1)", who, o->label_smoothing);
        return false;
    }
    return reduction_ok(g, who, o->reduction);
}

/* Labels given as probabilities t: -sum_c w_c t_c log p_c with t smoothed; the mean is over rows. `values`: what log p
   was given as. */
static rg_node *soft(const char *who, const rg_node *values, rg_node *log_p, rg_node *t, const rg_cross_entropy_opts *o)
{
    if (!log_p)
        return NULL;
    char a[2 * RGI_LABEL], b[2 * RGI_LABEL];
    const double e = o->label_smoothing;
    if (t->shape != log_p->shape || t->dtype != log_p->dtype)
        return rg_build_fail(log_p->graph, RG_ERR_SHAPE,
                             "%s: the labels %s are floats, hence probabilities, but not of the type and shape of %s; "
                             "numbers of classes are u8, i32 or i64",
                             who, rgi_format_operand(t, a, sizeof a), rgi_format_operand(values, b, sizeof b));
    if (o->has_ignore)
        return rg_build_fail(log_p->graph, RG_ERR_ARGUMENT,
                             "%s: ignore_index goes with integer labels, %s are probabilities", who,
                             rgi_format_operand(t, a, sizeof a));
    if (e != 0)
        t = rg_add(rg_scale(t, 1 - e),
                   rg_div(rg_scalar(log_p->graph, log_p->dtype, e), rg_size_of(log_p, RG_AXES(-1))));
    if (o->weight)
        t = rg_mul(t, rg_stop_gradient(o->weight));
    rg_node *terms = rg_mul(t, log_p);
    if (!terms || !fits(who, "weight", terms, log_p, o->weight))
        return NULL;
    return reduce(rg_neg(rg_sum(terms, RG_AXES(-1), false)), o->reduction);
}

/* The mean goes over the rows that count, each as much as the weight of its label. */
static rg_node *reduce_rows(rg_node *rows, rg_node *values, rg_node *labels, const rg_cross_entropy_opts *o)
{
    const bool mean = o->reduction != RG_NONE && o->reduction != RG_SUM;
    if (!mean || (!o->has_ignore && !o->weight))
        return reduce(rows, o->reduction);
    const rgi_label_attr a = {0, o->has_ignore, o->has_ignore ? o->ignore_index : 0};
    return rg_div(reduce(rows, RG_SUM), reduce(rgi_label_weight(values, labels, o->weight, &a), RG_SUM));
}

rg_node *rg_cross_entropy(rg_node *logits, rg_node *labels, const rg_cross_entropy_opts *opts)
{
    static const char who[] = "rg_cross_entropy";
    const rg_cross_entropy_opts o = opts ? *opts : (rg_cross_entropy_opts){0};
    if (!given(who, logits, labels) || !options_ok(logits->graph, who, &o))
        return NULL;
    if (rg_dtype_is_float(labels->dtype))
        return soft(who, logits, rg_log_softmax(logits, -1), labels, &o);
    rg_node *const in[3] = {logits, labels, o.weight};
    const rgi_label_attr a = {o.label_smoothing, o.has_ignore, o.has_ignore ? o.ignore_index : 0};
    rg_node *rows = rg_apply(&rgi_op_cross_entropy, (rg_nodes){in, o.weight ? 3 : 2}, &a);
    return rows ? reduce_rows(rows, logits, labels, &o) : NULL;
}

/* -(1/C) sum_c w_c l_c, 0 in ignored rows. */
static rg_node *smooth_rows(rg_node *log_p, rg_node *labels, const rg_cross_entropy_opts *o)
{
    rg_node *weighted = o->weight ? rg_mul(log_p, rg_stop_gradient(o->weight)) : log_p;
    rg_node *rows = rg_neg(rg_mean(weighted, RG_AXES(-1), false));
    if (!o->has_ignore)
        return rows;
    const rgi_label_attr a = {0, true, o->ignore_index};
    rg_node *counts = rg_cast(rgi_label_weight(log_p, labels, NULL, &a), RG_BOOL);
    return rg_where(counts, rows, rg_zeros_like(rows));
}

rg_node *rg_nll_loss(rg_node *log_p, rg_node *labels, const rg_cross_entropy_opts *opts)
{
    static const char who[] = "rg_nll_loss";
    const rg_cross_entropy_opts o = opts ? *opts : (rg_cross_entropy_opts){0};
    if (!given(who, log_p, labels) || !options_ok(log_p->graph, who, &o))
        return NULL;
    if (rg_dtype_is_float(labels->dtype))
        return soft(who, log_p, log_p, labels, &o);
    rg_node *const in[3] = {log_p, labels, o.weight};
    const rgi_label_attr a = {0, o.has_ignore, o.has_ignore ? o.ignore_index : 0};
    rg_node *rows = rg_apply(&rgi_op_nll, (rg_nodes){in, o.weight ? 3 : 2}, &a);
    if (rows && o.label_smoothing != 0)
        rows = rg_lerp(rows, smooth_rows(log_p, labels, &o), o.label_smoothing);
    return rows ? reduce_rows(rows, log_p, labels, &o) : NULL;
}
