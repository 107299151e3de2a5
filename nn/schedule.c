/* schedule.c - learning rates as nodes of a step counter, whose value is n. Computed in f64, delivered in f32. */
#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

#include <math.h>

static const double pi = 3.14159265358979323846;

rg_node *rg_step_counter(rg_graph *g, const char *name)
{
    rg_node *counter = rg_buffer(g, name, RG_I64, RG_SCALAR, NULL);
    rg_node *raise = rg_assign(counter, rg_add(counter, rg_scalar(g, RG_I64, 1)));
    if (!raise)
        return NULL;
    rg_attach(counter, raise);
    return counter;
}

/* The counter as an f64 scalar, after the checks that all schedules share. */
static rg_node *begin(rg_node *counter, const char *name, double lr, int64_t steps)
{
    rg_graph *g = rg_graph_of(counter);
    char label[160];
    if (!counter)
        return rg_build_fail(g, RG_ERR_ARGUMENT, "%s: counter is NULL", name);
    if (rg_shape_of(counter).rank != 0 || (rg_dtype_of(counter) != RG_I64 && rg_dtype_of(counter) != RG_I32))
        return rg_build_fail(g, RG_ERR_DTYPE, "%s: the counter must be an integer scalar, it is %s", name,
                             rg_describe(counter, label, sizeof label));
    if (!(lr >= 0 && isfinite(lr)))
        return rg_build_fail(g, RG_ERR_ARGUMENT, "%s: lr is %g: it must be a number from 0 up", name, lr);
    if (steps < 1)
        return rg_build_fail(g, RG_ERR_ARGUMENT, "%s: %lld steps: it takes one at least", name, (long long)steps);
    return rg_cast(counter, RG_F64);
}

/* lr, whatever is counted */
rg_node *rg_schedule_constant(rg_node *counter, double lr)
{
    rg_node *n = begin(counter, "rg_schedule_constant", lr, 1);
    return n ? rg_scalar(rg_graph_of(n), RG_F32, lr) : NULL;
}

/* lr + (lr_end - lr) n / steps, then lr_end */
rg_node *rg_schedule_linear(rg_node *counter, double lr, double lr_end, int64_t steps)
{
    rg_node *n = begin(counter, "rg_schedule_linear", lr, steps);
    if (n && !(lr_end >= 0 && isfinite(lr_end)))
        return rg_build_fail(rg_graph_of(n), RG_ERR_ARGUMENT,
                             "rg_schedule_linear: lr_end is %g: it must be a number from 0 up", lr_end);
    rg_node *share = n ? rg_clamp(rg_scale(n, 1 / (double)steps), 0, 1) : NULL;
    return n ? rg_cast(rg_add_scalar(rg_scale(share, lr_end - lr), lr), RG_F32) : NULL;
}

static rg_node *power(rg_node *n, const char *name, double lr, double factor)
{
    if (n && !(factor > 0 && isfinite(factor)))
        return rg_build_fail(rg_graph_of(n), RG_ERR_ARGUMENT, "%s: factor is %g: it must be above 0", name, factor);
    return n ? rg_cast(rg_scale(rg_exp(rg_scale(n, log(factor))), lr), RG_F32) : NULL;
}

/* lr factor^floor(n / every) */
rg_node *rg_schedule_step(rg_node *counter, double lr, int64_t every, double factor)
{
    rg_node *n = begin(counter, "rg_schedule_step", lr, every);
    if (!n)
        return NULL;
    rg_node *k = rg_floor(rg_div(n, rg_scalar(rg_graph_of(n), RG_F64, (double)every)));
    return power(k, "rg_schedule_step", lr, factor);
}

/* lr factor^n */
rg_node *rg_schedule_exponential(rg_node *counter, double lr, double factor)
{
    return power(begin(counter, "rg_schedule_exponential", lr, 1), "rg_schedule_exponential", lr, factor);
}

/* (1 - cos(pi x)) / 2 with x = clamp((n - first) / (last - first), 0, 1): from 0 to 1 in half a wave. */
static rg_node *half_wave(rg_node *n, double first, double last)
{
    rg_node *x = rg_clamp(rg_scale(rg_add_scalar(n, -first), 1 / (last - first)), 0, 1);
    return rg_scale(rg_one_minus(rg_cos(rg_scale(x, pi))), 0.5);
}

/* lr + (lr_end - lr) (1 - cos(pi n / steps)) / 2, then lr_end */
rg_node *rg_schedule_cosine(rg_node *counter, double lr, double lr_end, int64_t steps)
{
    rg_node *n = begin(counter, "rg_schedule_cosine", lr, steps);
    if (!n)
        return NULL;
    if (!(lr_end >= 0 && isfinite(lr_end)))
        return rg_build_fail(rg_graph_of(n), RG_ERR_ARGUMENT,
                             "rg_schedule_cosine: lr_end is %g: it must be a number from 0 up", lr_end);
    return rg_cast(rg_add_scalar(rg_scale(half_wave(n, 0, (double)steps), lr_end - lr), lr), RG_F32);
}

/* lr (n + 1) / steps, then `after` */
rg_node *rg_schedule_warmup(rg_node *counter, double lr, int64_t steps, rg_node *after)
{
    rg_node *n = begin(counter, "rg_schedule_warmup", lr, steps);
    rg_graph *g = rg_graph_of(n);
    char label[160];
    if (!n)
        return NULL;
    if (after && (rg_shape_of(after).rank != 0 || rg_dtype_of(after) != RG_F32))
        return rg_build_fail(g, RG_ERR_SHAPE, "rg_schedule_warmup: `after` must be an f32 scalar, it is %s",
                             rg_describe(after, label, sizeof label));
    rg_node *share = rg_scale(rg_add_scalar(n, 1), 1 / (double)steps);
    rg_node *ramp = rg_cast(rg_scale(rg_clamp(share, 0, 1), lr), RG_F32);
    return after ? rg_where(rg_less(n, rg_scalar(g, RG_F64, (double)steps)), ramp, after) : ramp;
}

/* Half a wave from lr_max / 25 up to lr_max over the first 30 % of the steps, then one down to lr_max / 250000. */
rg_node *rg_schedule_one_cycle(rg_node *counter, double lr_max, int64_t steps)
{
    rg_node *n = begin(counter, "rg_schedule_one_cycle", lr_max, steps);
    if (!n)
        return NULL;
    const double first = lr_max / 25, end = first / 1e4, peak = 0.3 * (double)steps - 1, last = (double)steps - 1;
    rg_node *rate = rg_add_scalar(rg_scale(half_wave(n, peak, last), end - lr_max), peak > 0 ? first : lr_max);
    if (peak > 0)
        rate = rg_axpy(lr_max - first, half_wave(n, 0, peak), rate);
    return rg_cast(rate, RG_F32);
}
