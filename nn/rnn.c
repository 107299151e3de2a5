/* rnn.c - layers and directions of recurrent cells, and the plain cell of Elman. */
#include "rnn.h"

#include "layer.h"

#include <math.h>
#include <stdio.h>

rg_node *rgi_gates(const rgi_cell_step *s, rg_node *z, int first, int end)
{
    return rg_slice(z, 1, first * s->width, end * s->width);
}

rg_node *rgi_gate_rows(const rgi_cell_step *s, rg_node *w, int first, int end)
{
    return w ? rg_slice(w, 0, first * s->width, end * s->width) : NULL;
}

rg_node *rgi_preactivation(const rgi_cell_step *s)
{
    return rg_add(rg_linear(s->x, s->weight_ih, s->bias_ih), rg_linear(s->state[0], s->weight_hh, s->bias_hh));
}

/* What is built at present: one direction of one layer. */
typedef struct direction {
    rg_graph *g;
    const rgi_cell *cell;
    const rg_rnn_opts *opts;
    int64_t width, out;
    int layer;
    bool reverse;
} direction;

static rg_node *param(const direction *d, const char *what, rg_dtype dtype, rg_shape shape)
{
    char name[64];
    snprintf(name, sizeof name, "%s_l%d%s", what, d->layer, d->reverse ? "_reverse" : "");
    const rg_param_opts init = {.init = RG_UNIFORM, .scale = 1.0 / sqrt((double)d->width)};
    return rg_param(d->g, name, dtype, shape, &init);
}

static void make_params(const direction *d, rg_node *xs, rgi_cell_step *s)
{
    const rg_dtype dtype = rg_dtype_of(xs);
    const int64_t in = rg_shape_of(xs).dim[2], h = d->width, rows = d->cell->gates * h;
    const bool bias = !d->opts->no_bias;
    s->weight_ih = param(d, "weight_ih", dtype, RG_SHAPE(rows, in));
    s->weight_hh = param(d, "weight_hh", dtype, RG_SHAPE(rows, d->out));
    if (bias) {
        s->bias_ih = param(d, "bias_ih", dtype, RG_SHAPE(rows));
        s->bias_hh = param(d, "bias_hh", dtype, RG_SHAPE(rows));
    }
    if (d->cell->peepholes)
        s->weight_ch = param(d, "weight_ch", dtype, RG_SHAPE(3 * h));
    if (d->opts->projection)
        s->weight_hr = param(d, "weight_hr", dtype, RG_SHAPE(d->out, h));
    if (d->cell->mixes) {
        s->weight_mix = param(d, "weight_mix", dtype, RG_SHAPE(2 * h, h));
        s->bias_mix = bias ? param(d, "bias_mix", dtype, RG_SHAPE(2 * h)) : NULL;
    }
}

/* State i of direction `at` (counted over all layers) before the first step, [B, its width]. */
static rg_node *first_state(const direction *d, rg_node *xs, int i, int at)
{
    rg_node *given = d->opts->initial[i];
    if (given)
        return rg_squeeze(rg_slice(given, 0, at, at + 1), 0);
    return rg_zeros(d->g, rg_dtype_of(xs), RG_SHAPE(rg_shape_of(xs).dim[1], i ? d->width : d->out));
}

/* xs [T, B, in] -> [T, B, out]; last[i] becomes state i after the last step. */
static rg_node *run_direction(const direction *d, rg_node *xs, int at, rg_node *last[RGI_CELL_STATES])
{
    rgi_cell_step step = {.width = d->width};
    rg_node *init[RGI_CELL_STATES] = {NULL}, *carry[RGI_CELL_STATES] = {NULL};
    make_params(d, xs, &step);
    for (int i = 0; i < d->cell->states; i++)
        init[i] = first_state(d, xs, i, at);
    rg_scan *scan = rg_scan_begin(d->g, &(rg_scan_opts){.name = d->cell->name,
                                                        .reverse = d->reverse,
                                                        .lengths = d->opts->lengths,
                                                        .keep_every = d->opts->keep_every,
                                                        .keep_bytes = d->opts->keep_bytes});
    step.x = rg_scan_slice(scan, xs);
    for (int i = 0; i < d->cell->states; i++)
        step.state[i] = carry[i] = rg_scan_carry(scan, init[i]);
    rg_node *y = d->cell->step(&step), *ys = rg_scan_stack(scan, y);
    for (int i = 0; i < d->cell->states; i++) {
        rg_scan_next(scan, carry[i], step.next[i]);
        last[i] = rg_scan_last(scan, carry[i]);
    }
    rg_scan_end(scan);
    return rg_scan_last(scan, carry[0]) ? ys : NULL; /* a scan that could not end has no results */
}

static bool good_initial(const rgi_cell *cell, rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *o)
{
    rg_graph *g = rg_graph_of(xs);
    const int64_t n = (int64_t)o->layers * (o->bidirectional ? 2 : 1);
    for (int i = 0; i < RGI_CELL_STATES; i++) {
        if (!o->initial[i])
            continue;
        if (i >= cell->states) {
            rg_build_fail(g, RG_ERR_ARGUMENT, "%s: '%s': initial state %d is given, the cell has %d", cell->name, name,
                          i, cell->states);
            return false;
        }
        const rg_shape have = rg_shape_of(o->initial[i]);
        const int64_t width = i == 0 && o->projection ? o->projection : hidden;
        if (have.rank != 3 || have.dim[0] != n || have.dim[1] != rg_shape_of(xs).dim[1] || have.dim[2] != width) {
            char a[128], b[128];
            rg_build_fail(g, RG_ERR_SHAPE,
                          "%s: '%s': initial state %d is %s; with xs %s it must be [%lld (layers * directions), the "
                          "batch of xs, %lld]",
                          cell->name, name, i, rg_describe(o->initial[i], a, sizeof a), rg_describe(xs, b, sizeof b),
                          (long long)n, (long long)width);
            return false;
        }
    }
    return true;
}

static bool good_arguments(const rgi_cell *cell, rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *o)
{
    rg_graph *g = rg_graph_of(xs);
    const rg_shape shape = rg_shape_of(xs);
    if (!rgi_layer_takes(cell->name, "xs", xs, name))
        return false;
    if (shape.rank != 3)
        rg_build_fail(g, RG_ERR_SHAPE, "%s: '%s': xs must be [time, batch, features], it has %d axes", cell->name, name,
                      (int)shape.rank);
    else if (hidden < 1 || hidden > INT32_MAX)
        rg_build_fail(g, RG_ERR_ARGUMENT, "%s: '%s': hidden is %lld", cell->name, name, (long long)hidden);
    else if (o->layers < 1)
        rg_build_fail(g, RG_ERR_ARGUMENT, "%s: '%s': %d layers", cell->name, name, o->layers);
    else if (o->projection && !cell->projects)
        rg_build_fail(g, RG_ERR_ARGUMENT, "%s: '%s': this cell has no projection", cell->name, name);
    else if (o->projection < 0 || o->projection >= hidden)
        rg_build_fail(g, RG_ERR_ARGUMENT, "%s: '%s': the projection is %lld, it must be below hidden = %lld",
                      cell->name, name, (long long)o->projection, (long long)hidden);
    else if (cell->mixes && (shape.dim[2] != hidden || (o->bidirectional && o->layers > 1)))
        rg_build_fail(g, RG_ERR_SHAPE,
                      "%s: '%s': the input of each layer must be as wide as its state, %lld: xs has %lld features%s",
                      cell->name, name, (long long)hidden, (long long)shape.dim[2],
                      o->bidirectional ? ", and two directions double them" : "");
    else
        return good_initial(cell, xs, name, hidden, o);
    return false;
}

rg_node *rgi_rnn(const rgi_cell *cell, rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts)
{
    rg_rnn_opts o = opts ? *opts : (rg_rnn_opts){0};
    if (o.layers == 0)
        o.layers = 1;
    if (o.last)
        for (int i = 0; i < cell->states; i++)
            o.last[i] = NULL;
    if (!good_arguments(cell, xs, name, hidden, &o))
        return NULL;
    rg_graph *g = rg_graph_of(xs);
    direction d = {.g = g, .cell = cell, .opts = &o, .width = hidden, .out = o.projection ? o.projection : hidden};
    const int directions = o.bidirectional ? 2 : 1;
    rg_node *all[RGI_CELL_STATES] = {NULL}; /* last states of the layers so far, [layers * directions, B, width] */
    if (o.lengths)                          /* what stands beyond the ends may be anything */
        xs = rg_where(rg_unsqueeze(rg_sequence_mask(o.lengths, xs), -1), xs, rg_zeros_like(xs));
    rg_scope_push(g, name);
    for (d.layer = 0; xs && d.layer < o.layers; d.layer++) {
        rg_node *ys[2] = {NULL};
        if (d.layer && o.dropout != 0)
            xs = rg_nn_dropout(xs, o.dropout);
        for (int k = 0; xs && k < directions; k++) {
            rg_node *last[RGI_CELL_STATES] = {NULL};
            d.reverse = k == 1;
            ys[k] = run_direction(&d, xs, d.layer * directions + k, last);
            for (int i = 0; o.last && i < cell->states; i++) {
                rg_node *one = rg_unsqueeze(last[i], 0);
                all[i] = all[i] ? rg_concat(RG_NODES(all[i], one), 0) : one;
            }
        }
        xs = directions == 1 ? ys[0] : rg_concat(RG_NODES(ys[0], ys[1]), 2);
    }
    rg_scope_pop(g);
    for (int i = 0; o.last && i < cell->states; i++)
        o.last[i] = xs ? all[i] : NULL;
    return xs;
}

static rg_node *tanh_step(rgi_cell_step *s)
{
    return s->next[0] = rg_tanh(rgi_preactivation(s));
}

static rg_node *relu_step(rgi_cell_step *s)
{
    return s->next[0] = rg_relu(rgi_preactivation(s));
}

rg_node *rg_nn_rnn(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts)
{
    const rgi_cell cell = {
        .name = "rg_nn_rnn", .gates = 1, .states = 1, .step = opts && opts->relu ? relu_step : tanh_step};
    return rgi_rnn(&cell, xs, name, hidden, opts);
}
