/* ema.c - an exponential moving average of weights (Polyak and Juditsky 1992; Tarvainen and Valpola 2017):
   e' = d e + (1-d) p', e starting as the weights before the first step. */
#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

#include <stdlib.h>
#include <string.h>

static const char scope[] = "ema";

static rg_node *average(rg_graph *g, rg_node *param, rg_node *begun, double decay)
{
    if (rg_graph_of(param) != g)
        return rg_build_fail(g, RG_ERR_ARGUMENT, "rg_ema: a param is %s", param ? "of another graph" : "NULL");
    rg_node *mean = rg_buffer(g, rg_name(param), rg_dtype_of(param), rg_shape_of(param), NULL);
    return rg_assign(mean, rg_lerp(rg_where(begun, mean, param), rg_latest(param), 1 - decay));
}

rg_node *rg_ema(rg_node *step, double decay, rg_nodes params)
{
    rg_graph *g = rg_graph_of(step);
    if (!step)
        return rg_build_fail(g, RG_ERR_ARGUMENT, "rg_ema: step is NULL");
    if (!(decay > 0 && decay < 1))
        return rg_build_fail(g, RG_ERR_ARGUMENT, "rg_ema: decay is %g: it must be between 0 and 1", decay);
    if (!params.n)
        params = rg_params(g);
    if (!params.n)
        return rg_build_fail(g, RG_ERR_ARGUMENT, "rg_ema: the graph has no trainable parameter");
    rg_node **effects = malloc((params.n + 2) * sizeof *effects);
    if (!effects)
        return rg_build_fail(g, RG_ERR_MEMORY, "rg_ema: out of memory");
    rg_scope_push(g, scope);
    rg_node *begun = rg_buffer(g, "begun", RG_BOOL, RG_SCALAR, NULL);
    effects[0] = step;
    effects[1] = rg_assign(begun, rg_logical_not(rg_zeros_like(begun)));
    bool ok = effects[1] != NULL;
    for (size_t i = 0; ok && i < params.n; i++)
        ok = (effects[i + 2] = average(g, rg_at(params, i), begun, decay)) != NULL;
    rg_scope_pop(g);
    rg_node *both = ok ? rg_group(g, (rg_nodes){effects, params.n + 2}) : NULL;
    free(effects);
    return both;
}

/* The weight that a buffer averages: "ema.fc1.weight" or "scope.ema.fc1.weight", that of "fc1.weight". */
static rg_node *averaged(rg_graph *g, const char *name)
{
    const size_t n = strlen(scope);
    for (const char *at = name; at; at = strchr(at, '.')) {
        at += *at == '.';
        if (strncmp(at, scope, n) == 0 && at[n] == '.')
            return rg_find(g, at + n + 1);
    }
    return NULL;
}

static rg_status exchange(rg_node *a, rg_node *b)
{
    const rg_tensor x = rg_value(a), y = rg_value(b);
    rg_tensor kept;
    rg_status status = x.data && y.data ? rg_tensor_alloc(&kept, x.dtype, x.shape) : RG_ERR_MEMORY;
    if (status)
        return status;
    memcpy(kept.data, x.data, rg_tensor_bytes(&x));
    status = rg_set(a, &y);
    if (!status)
        status = rg_set(b, &kept);
    rg_tensor_free(&kept);
    return status;
}

rg_status rg_ema_swap(rg_graph *g)
{
    const rg_nodes stored = rg_stored(g);
    for (size_t i = 0; i < stored.n; i++) {
        rg_node *mean = stored.at[i], *param = averaged(g, rg_name(mean));
        if (!param || rg_dtype_of(param) != rg_dtype_of(mean) || !rg_shape_equal(rg_shape_of(param), rg_shape_of(mean)))
            continue;
        const rg_status status = exchange(param, mean);
        if (status)
            return status;
    }
    return RG_OK;
}
