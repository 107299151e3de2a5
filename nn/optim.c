/* optim.c - what all optimisers share. */
#include "optim.h"

#include <retrograde/autograd.h>
#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL 160

static bool fail(const rgi_optim *o, rg_status status, const char *what)
{
    rg_build_fail(o->graph, status, "%s: %s", o->name, what);
    return false;
}

/* A number that must be finite and not negative. */
static bool check_amount(const rgi_optim *o, const char *field, double value)
{
    if (isfinite(value) && value >= 0)
        return true;
    rg_build_fail(o->graph, RG_ERR_ARGUMENT, "%s: %s is %g: it must be a number from 0 up", o->name, field, value);
    return false;
}

static bool check_opts(const rgi_optim *o)
{
    const rgi_optim_opts *c = &o->opts;
    char label[LABEL];
    if (!c->lr_node && c->lr == 0)
        return fail(o, RG_ERR_ARGUMENT, "lr is 0: give a rate or lr_node");
    if (c->lr_node && c->lr != 0)
        return fail(o, RG_ERR_ARGUMENT, "both lr and lr_node are given");
    if (c->lr_node && (rg_shape_of(c->lr_node).rank != 0 || !rg_dtype_is_float(rg_dtype_of(c->lr_node)))) {
        rg_build_fail(o->graph, RG_ERR_SHAPE, "%s: lr_node must be a float scalar, it is %s", o->name,
                      rg_describe(c->lr_node, label, sizeof label));
        return false;
    }
    if (c->lr_node && rg_graph_of(c->lr_node) != o->graph) {
        rg_build_fail(o->graph, RG_ERR_ARGUMENT, "%s: lr_node, %s, belongs to another graph", o->name,
                      rg_describe(c->lr_node, label, sizeof label));
        return false;
    }
    if (c->accumulate < 0)
        return fail(o, RG_ERR_ARGUMENT, "accumulate is negative");
    if (c->grads.n && !c->params.n)
        return fail(o, RG_ERR_ARGUMENT, "grads are given without the params they belong to");
    return check_amount(o, "lr", c->lr) && check_amount(o, "weight_decay", c->weight_decay) &&
           check_amount(o, "clip_norm", c->clip_norm) && check_amount(o, "clip_value", c->clip_value);
}

/* Each parameter and its gradient are floats of one type. */
static bool check_pairs(const rgi_optim *o)
{
    if (o->grads.n != o->params.n) {
        rg_build_fail(o->graph, RG_ERR_ARGUMENT, "%s: %zu params, but %zu grads", o->name, o->params.n, o->grads.n);
        return false;
    }
    for (size_t i = 0; i < o->params.n; i++) {
        rg_node *p = o->params.at[i], *g = rg_at(o->grads, i);
        char a[LABEL], b[LABEL];
        if (!p || !g) {
            rg_build_fail(o->graph, RG_ERR_ARGUMENT, "%s: %s %zu is NULL", o->name, p ? "grad" : "param", i);
            return false;
        }
        if (rg_dtype_of(p) != rg_dtype_of(g) || !rg_dtype_is_float(rg_dtype_of(p)) ||
            !rg_shape_equal(rg_shape_of(p), rg_shape_of(g))) {
            rg_build_fail(o->graph, rg_dtype_of(p) == rg_dtype_of(g) ? RG_ERR_SHAPE : RG_ERR_DTYPE,
                          "%s: grad %zu is %s, its param is %s: they must be floats of one type", o->name, i,
                          rg_describe(g, b, sizeof b), rg_describe(p, a, sizeof a));
            return false;
        }
    }
    return true;
}

static bool add_effect(rgi_optim *o, rg_node *effect)
{
    o->broken = o->broken || !effect;
    if (!effect)
        return false;
    if (o->n == o->capacity) {
        const size_t grown = o->capacity ? 2 * o->capacity : 32;
        rg_node **at = realloc(o->effects, grown * sizeof *at);
        o->broken = o->broken || !at;
        if (!at)
            return fail(o, RG_ERR_MEMORY, "out of memory");
        o->effects = at;
        o->capacity = grown;
    }
    o->effects[o->n++] = effect;
    return true;
}

/* What the loss, the rate and the gradients bring along: running statistics, step counters. */
static bool add_attached(rgi_optim *o, rg_node *loss)
{
    const size_t n = o->grads.n;
    rg_node **roots = malloc((n + 2) * sizeof *roots);
    if (!roots)
        return fail(o, RG_ERR_MEMORY, "out of memory");
    memcpy(roots, o->grads.at, n * sizeof *roots);
    roots[n] = loss;
    roots[n + 1] = o->opts.lr_node;
    const rg_nodes attached = rg_attached((rg_nodes){roots, o->opts.lr_node ? n + 2 : n + 1});
    free(roots);
    for (size_t i = 0; i < attached.n; i++)
        if (!add_effect(o, attached.at[i]))
            return false;
    return true;
}

/* Opens the scope of the state: "optim", or "optim2", .. where the present scope holds such names already. */
static void open_scope(rgi_optim *o)
{
    const char *outer = rg_scope_name(o->graph);
    const rg_nodes stored = rg_stored(o->graph);
    const size_t outer_length = strlen(outer);
    char name[32] = "optim";
    for (unsigned k = 2, taken = 1; taken; k++) {
        const size_t length = strlen(name);
        taken = 0;
        for (size_t i = 0; i < stored.n && !taken; i++) {
            const char *full = rg_name(stored.at[i]);
            taken = strncmp(full, outer, outer_length) == 0 && strncmp(full + outer_length, name, length) == 0 &&
                    full[outer_length + length] == '.';
        }
        if (taken)
            snprintf(name, sizeof name, "optim%u", k);
    }
    rg_scope_push(o->graph, name);
    o->scoped = true;
}

/* Sums gradients in buffers. Every `accumulate`-th run is due: it updates with their average and empties them. */
static bool accumulate(rgi_optim *o, rg_node **grads)
{
    const int64_t runs = o->opts.accumulate;
    rg_node *count = rg_buffer(o->graph, "accumulated", RG_I64, RG_SCALAR, NULL);
    rg_node *next = rg_add(count, rg_scalar(o->graph, RG_I64, 1));
    o->due = rg_equal(next, rg_scalar(o->graph, RG_I64, (double)runs));
    if (!add_effect(o, rg_assign(count, rg_where(o->due, rg_scalar(o->graph, RG_I64, 0), next))))
        return false;
    for (size_t i = 0; i < o->params.n; i++) {
        rg_node *sum = rgi_optim_state(o, i, "grad_sum"), *total = rg_add(sum, grads[i]);
        if (!add_effect(o, rg_assign(sum, rg_where(o->due, rg_zeros_like(total), total))))
            return false;
        grads[i] = rg_scale(total, 1.0 / (double)runs);
    }
    return true;
}

static bool shape_gradients(rgi_optim *o)
{
    const rgi_optim_opts *c = &o->opts;
    rg_node **grads = malloc(o->grads.n * sizeof *grads);
    if (!grads)
        return fail(o, RG_ERR_MEMORY, "out of memory");
    memcpy(grads, o->grads.at, o->grads.n * sizeof *grads);
    bool ok = c->accumulate < 2 || accumulate(o, grads);
    for (size_t i = 0; i < o->grads.n && ok && c->clip_value > 0; i++)
        ok = (grads[i] = rg_clamp(grads[i], -c->clip_value, c->clip_value)) != NULL;
    const rg_nodes list = {grads, o->grads.n};
    if (ok)
        o->grads = c->clip_norm > 0 ? rg_clip_by_global_norm(list, c->clip_norm) : rg_nodes_copy(o->graph, list);
    free(grads);
    return ok && o->grads.n;
}

bool rgi_optim_begin(rgi_optim *o, const char *name, rg_node *loss, const rgi_optim_opts *opts)
{
    *o = (rgi_optim){.name = name, .graph = rg_graph_of(loss), .opts = *opts};
    if (!loss)
        return fail(o, RG_ERR_ARGUMENT, "loss is NULL");
    if (o->opts.weight_decay == RG_OFF)
        o->opts.weight_decay = 0;
    if (!check_opts(o))
        return false;
    o->params = opts->params.n ? rg_nodes_copy(o->graph, opts->params) : rg_params_of(loss);
    if (!o->params.n)
        return fail(o, RG_ERR_ARGUMENT, "the loss depends on no trainable parameter");
    o->grads = opts->grads.n ? opts->grads : rg_grad(loss, o->params);
    if (!opts->grads.n && !o->grads.n)
        return false;
    if (!check_pairs(o) || !add_attached(o, loss))
        return false;
    open_scope(o);
    return (o->opts.accumulate < 2 && o->opts.clip_norm == 0 && o->opts.clip_value == 0) || shape_gradients(o);
}

rg_node *rgi_optim_gradient(const rgi_optim *o, size_t i)
{
    const double decay = o->opts.weight_decay;
    return decay > 0 ? rg_axpy(decay, o->params.at[i], o->grads.at[i]) : o->grads.at[i];
}

rg_node *rgi_optim_state(rgi_optim *o, size_t i, const char *what)
{
    rg_node *p = o->params.at[i];
    const size_t size = strlen(rg_name(p)) + strlen(what) + 2;
    char *name = malloc(size);
    if (!name) {
        fail(o, RG_ERR_MEMORY, "out of memory");
        return NULL;
    }
    snprintf(name, size, "%s.%s", rg_name(p), what);
    rg_node *state = rg_buffer(o->graph, name, rg_dtype_of(p), rg_shape_of(p), NULL);
    free(name);
    return state;
}

rg_node *rgi_optim_count(rgi_optim *o)
{
    rg_node *step = rg_buffer(o->graph, "step", RG_I64, RG_SCALAR, NULL);
    rg_node *now = rg_add(step, rg_scalar(o->graph, RG_I64, 1));
    rgi_optim_set(o, step, now);
    return rg_cast(now, RG_F64);
}

rg_node *rgi_optim_rate(rgi_optim *o, rg_dtype dtype)
{
    rg_node *rate = o->opts.lr_node;
    if (!rate)
        return rg_scalar(o->graph, dtype, o->opts.lr);
    return rg_dtype_of(rate) == dtype ? rate : rg_cast(rate, dtype);
}

bool rgi_optim_share(const rgi_optim *o, const char *field, double given, double otherwise, double *out)
{
    *out = given == 0 ? otherwise : given == RG_OFF ? 0 : given;
    if (*out >= 0 && *out < 1)
        return true;
    rg_build_fail(o->graph, RG_ERR_ARGUMENT, "%s: %s is %g: it must be in [0, 1)", o->name, field, given);
    return false;
}

bool rgi_optim_amount(const rgi_optim *o, const char *field, double given, double otherwise, double *out)
{
    *out = given == 0 ? otherwise : given == RG_OFF ? 0 : given;
    return check_amount(o, field, *out);
}

void rgi_optim_set(rgi_optim *o, rg_node *target, rg_node *value)
{
    add_effect(o, rg_assign(target, o->due ? rg_where(o->due, value, target) : value));
}

void rgi_optim_descend(rgi_optim *o, rg_node *p, rg_node *d)
{
    if (o->opts.lr_node)
        rgi_optim_set(o, p, rg_fma(d, rg_neg(rgi_optim_rate(o, rg_dtype_of(p))), p));
    else
        rgi_optim_set(o, p, rg_axpy(-o->opts.lr, d, p));
}

rg_node *rgi_optim_finish(rgi_optim *o, bool ok)
{
    rg_node *step = ok && !o->broken ? rg_group(o->graph, (rg_nodes){o->effects, o->n}) : NULL;
    if (o->scoped)
        rg_scope_pop(o->graph);
    free(o->effects);
    return step;
}
