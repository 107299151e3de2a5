/* random_step.c - blocks one after the other, each with draws of its own, so that a graph without some of them is much
   the same otherwise; the loss, what is fetched, the step. */
#include "random_step.h"

#include "samples.h"

#include <stdlib.h>
#include <string.h>

static size_t below(random_maker *m, size_t n)
{
    return random_below(&m->pool, n);
}

static int rank_of(const rg_node *v)
{
    return rg_shape_of(v).rank;
}

static void make_inputs(random_maker *m, random_step *r)
{
    rg_graph *g = r->g;
    const int64_t batch = r->named ? rg_dim(g, "batch") : r->batch, time = r->named ? rg_dim(g, "time") : r->time,
                  side = 4 + (int64_t)below(m, 4);
    m->inputs[RANDOM_X] = rg_input(g, "x", m->pool.dtype, RG_SHAPE(batch, random_size(m)));
    m->inputs[RANDOM_SEQUENCE] = rg_input(g, "sequence", m->pool.dtype, RG_SHAPE(time, batch, random_size(m)));
    m->inputs[RANDOM_IMAGES] =
        rg_input(g, "images", m->pool.dtype, RG_SHAPE(batch, below(m, 2) ? 8 : 1 + (int64_t)below(m, 9), side, side));
    m->inputs[RANDOM_INDEX] = rg_input(g, "index", RG_I64, RG_SHAPE(batch));
    m->inputs[RANDOM_LENGTHS] = rg_input(g, "lengths", RG_I64, RG_SHAPE(batch));
    m->inputs[RANDOM_TRIPS] = rg_input(g, "trips", RG_I64, RG_SCALAR);
    memcpy(r->inputs, m->inputs, sizeof r->inputs);
    random_add(&m->pool, m->inputs[RANDOM_X]);
    random_add(&m->pool, m->inputs[RANDOM_SEQUENCE]);
    random_add(&m->pool, random_param(m, RG_SHAPE(random_size(m), random_size(m))));
    random_add(&m->pool, random_param(m, RG_SHAPE(random_size(m))));
}

static void fetch(random_step *r, rg_node *v)
{
    if (v && r->n_fetched < RANDOM_FETCHED)
        r->fetch[r->n_fetched++] = v;
}

/* The mean of functions of the newest nodes, or a cross entropy. */
static rg_node *make_loss(random_maker *m)
{
    rg_node *sum = NULL;
    for (size_t k = 0; k < 3 && k < m->pool.n; k++) {
        rg_node *v = m->pool.nodes[m->pool.n - 1 - k];
        v = rg_mean(below(m, 2) ? rg_square(v) : rg_sin(v), RG_ALL_AXES, false);
        sum = sum ? rg_add(sum, v) : v;
    }
    rg_node *x = random_of_rank(m, 2, m->inputs[RANDOM_X]);
    if (below(m, 3) == 0 && rank_of(x) == 2 && rg_shape_of(x).dim[0] == rg_shape_of(m->inputs[RANDOM_INDEX]).dim[0])
        sum = rg_add(
            sum, rg_cross_entropy(rg_linear(x, random_param(m, RG_SHAPE(RANDOM_CLASSES, rg_shape_of(x).dim[1])), NULL),
                                  m->inputs[RANDOM_INDEX], NULL));
    return sum;
}

static rg_node *optimizer(random_maker *m, rg_node *loss)
{
    const double clip = below(m, 3) ? 0 : 0.5;
    const int64_t accumulate = below(m, 4) ? 0 : 2;
    switch (below(m, 7)) {
    case 0:
        return rg_sgd(loss, &(rg_sgd_opts){.lr = 0.05, .clip_norm = clip, .accumulate = accumulate});
    case 1:
        return rg_sgd(loss, &(rg_sgd_opts){.lr = 0.05, .momentum = 0.9, .nesterov = below(m, 2), .weight_decay = 0.01});
    case 2:
        return rg_adam(loss, &(rg_adam_opts){.lr = 1e-2, .clip_norm = clip, .accumulate = accumulate});
    case 3:
        return rg_adamw(loss, &(rg_adam_opts){.lr = 1e-2, .clip_value = clip});
    case 4:
        return rg_rmsprop(loss, &(rg_rmsprop_opts){.lr = 1e-2, .momentum = 0.5, .centered = below(m, 2)});
    case 5:
        return rg_lion(loss, &(rg_lion_opts){.lr = 1e-2, .weight_decay = 0.01});
    default:
        return rg_ema(rg_sgd(loss, &(rg_sgd_opts){.lr = 0.1}), 0.9, (rg_nodes){NULL, 0});
    }
}

/* Nodes on the way, leaves and views of them, derivatives, the step. */
static void make_results(random_maker *m, random_step *r)
{
    rg_node *loss = make_loss(m);
    fetch(r, loss);
    const rg_nodes params = rg_params_of(loss);
    const bool steps = params.n > 0 && below(m, 3);
    rg_node *step = steps ? optimizer(m, loss) : NULL;
    for (size_t k = below(m, 6); k > 0; k--)
        fetch(r, random_any(&m->pool));
    if (below(m, 3) == 0)
        fetch(r, rg_flatten(random_any(&m->pool), 0));
    if (below(m, 3) == 0 && params.n)
        fetch(r, below(m, 2) ? rg_at(params, below(m, params.n)) : rg_flatten(rg_at(params, below(m, params.n)), 0));
    if (below(m, 3) == 0)
        fetch(r, rg_slice(random_any(&m->pool), 0, 0, 1));
    rg_graph_clear_error(r->g); /* of a scalar, which has no axis */
    if (below(m, 2) && params.n) {
        const rg_nodes d = rg_grad(loss, params);
        for (size_t k = 0; k < d.n && k < 8; k++)
            fetch(r, rg_at(d, (k + below(m, 2)) % d.n));
    }
    if (below(m, 3) == 0)
        fetch(r, rg_at(rg_grad(loss, RG_NODES(m->inputs[RANDOM_X])), 0));
    if (below(m, 8) == 0 && params.n)
        fetch(r, rg_at(rg_hvp(loss, RG_NODES(rg_at(params, 0)), RG_NODES(rg_at(params, 0))), 0));
    if (step)
        m->updates[m->n_updates++] = step;
    r->effects = m->n_updates > 0;
    r->trains = r->effects || below(m, 2);
    if (r->effects)
        fetch(r, rg_group(r->g, (rg_nodes){m->updates, m->n_updates}));
}

static void leave_out(random_step *r, uint64_t which)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_fetched; i++)
        if (!(which >> i & 1))
            r->fetch[n++] = r->fetch[i];
    r->n_fetched = n;
}

static unsigned char garbage;

void random_step_garbage(unsigned char byte)
{
    garbage = byte;
}

static void *take(void *user, size_t bytes)
{
    const size_t room = (bytes + 64) / 64 * 64;
    void *at = aligned_alloc(64, room);
    (void)user;
    return at ? memset(at, garbage, room) : NULL;
}

static void give_back(void *user, void *memory, size_t bytes)
{
    (void)user;
    (void)bytes;
    free(memory);
}

bool random_step_make(random_step *r, const random_choice *choice)
{
    *r = (random_step){.g = rg_graph_new(&(rg_graph_opts){.allocator = &(rg_allocator){take, give_back, NULL}}),
                       .choice = *choice};
    random_maker m = {.pool = {.g = r->g, .state = choice->seed * 0x9e3779b97f4a7c15u + 7}};
    m.pool.dtype = below(&m, 8) ? RG_F32 : RG_F64;
    r->named = below(&m, 2);
    r->batch = m.batch = random_size(&m);
    r->time = m.time = 1 + (int64_t)below(&m, below(&m, 5) ? 7 : 24);
    make_inputs(&m, r);
    r->n_blocks = 2 + below(&m, RANDOM_BLOCKS - 2);
    for (size_t i = 0; i < r->n_blocks && !rg_graph_error(r->g); i++) {
        m.pool.state = (choice->seed * (RANDOM_BLOCKS + 1) + i + 1) * 0x9e3779b97f4a7c15u + 7;
        m.names = 100 * (int)(i + 1);
        if (choice->without >> i & 1)
            continue;
        const bool again = below(&m, 12) == 0;
        if (again)
            rg_checkpoint_push(r->g);
        random_grow(&m, 1);
        if (again)
            rg_checkpoint_pop(r->g);
    }
    m.pool.state = choice->seed * 0xbf58476d1ce4e5b9u + 11;
    m.names = 100 * (int)(r->n_blocks + 1);
    if (!rg_graph_error(r->g))
        make_results(&m, r);
    r->of_data = m.of_data;
    leave_out(r, choice->without_fetched);
    return !rg_graph_error(r->g);
}

/* ---- what is bound ---- */

void random_step_sizes(const random_step *r, int run, int64_t *batch, int64_t *time)
{
    static const int64_t at_once[][2] = {{-1, -1}, {-1, -1}, {1, 1}, {-2, -1}, {-1, -1}, {0, -1}, {-1, 0}, {-1, -2}};
    const int64_t *at = at_once[r->named ? run % 8 : 0], b = r->batch, t = r->time;
    *batch = at[0] == -1 ? b : at[0] == -2 ? (b + 1) / 2 : at[0];
    *time = at[1] == -1 ? t : at[1] == -2 ? (t + 1) / 2 : at[1];
}

rg_status random_step_values(const random_step *r, size_t i, int run, rg_tensor *out)
{
    int64_t batch, time;
    random_step_sizes(r, run, &batch, &time);
    rg_shape s = rg_shape_of(r->inputs[i]);
    if (i != RANDOM_TRIPS)
        s.dim[i == RANDOM_SEQUENCE] = batch;
    if (i == RANDOM_SEQUENCE)
        s.dim[0] = time;
    const rg_status status = rg_tensor_alloc(out, rg_dtype_of(r->inputs[i]), s);
    uint64_t state = r->choice.seed * 31 + (uint64_t)run * 7 + i;
    for (int64_t k = 0; !status && k < rg_shape_count(s); k++) {
        const double x = sample_random(&state);
        if (out->dtype == RG_F32)
            ((float *)out->data)[k] = (float)(3 * x - 1.5);
        else if (out->dtype == RG_F64)
            ((double *)out->data)[k] = 3 * x - 1.5;
        else
            ((int64_t *)out->data)[k] = (int64_t)(x * (double)(i == RANDOM_INDEX   ? RANDOM_CLASSES
                                                               : i == RANDOM_TRIPS ? 4
                                                                                   : time + 1));
    }
    return status;
}
