/* sizes.c - the named sizes of what is bound, and the concrete shapes that follow from them. */
#include "steps.h"

#include <stdio.h>

bool rgi_special_shape(const rg_plan *p, const rgi_special *s, const rgi_shape *shape, rg_shape *out)
{
    *out = shape->a;
    for (int32_t k = 0; shape->named && k < shape->a.rank; k++) {
        rgi_formula f;
        if (shape->a.dim[k] != shape->b.dim[k] &&
            !rgi_dim_value(p->program->graph, shape->a.dim[k], s->sizes, &out->dim[k]) &&
            (!rgi_formula_find(p->program->graph, shape->a.dim[k], shape->b.dim[k], &f) ||
             !rgi_formula_value(&f, s->sizes, &out->dim[k])))
            return false;
    }
    return true;
}

/* "'x' f32[batch, 784]", for messages. */
static const char *format_input(const rg_node *node, char *text, size_t size)
{
    char type[RGI_LABEL];
    snprintf(text, size, "'%s' %s", rg_name(node),
             rgi_format_type(node->graph, node->dtype, node->shape->a, type, sizeof type));
    return text;
}

/* A name stands for the size of one axis of input i. */
static rg_status set_size(const rgi_program *prog, rgi_special *s, int32_t name, size_t i, int32_t axis, int32_t *from)
{
    const rgi_dim *d = &prog->graph->dims.at[name];
    const int64_t bound = s->inputs[i].dim[axis];
    char label[2 * RGI_LABEL];
    if (s->sizes[name] >= 0 && s->sizes[name] != bound)
        return rgi_fail(RG_ERR_SHAPE, "rg_run: '%s' is %lld in input '%s' and %lld in input %s axis %d", d->name,
                        (long long)s->sizes[name], rg_name(prog->inputs[from[name]]), (long long)bound,
                        format_input(prog->inputs[i], label, sizeof label), axis);
    if (d->multiple_of > 1 && bound % d->multiple_of)
        return rgi_fail(RG_ERR_SHAPE, "rg_run: '%s' is %lld in input '%s', it must be a multiple of %lld", d->name,
                        (long long)bound, rg_name(prog->inputs[i]), (long long)d->multiple_of);
    s->sizes[name] = bound;
    from[name] = (int32_t)i;
    return RG_OK;
}

/* The named sizes, from the bound shapes; in the second round every other size of the inputs must agree with them. */
static rg_status solve_axis(const rgi_program *prog, rgi_special *s, int round, size_t i, int32_t axis, int32_t *from)
{
    const rgi_shape *shape = prog->inputs[i]->shape;
    rgi_formula f;
    if (shape->a.dim[axis] == shape->b.dim[axis] ||
        !rgi_formula_find(prog->graph, shape->a.dim[axis], shape->b.dim[axis], &f))
        return RG_OK;
    const int32_t name = rgi_formula_name(&f);
    char label[2 * RGI_LABEL];
    int64_t value;
    if (name >= 0)
        return round == 0 ? set_size(prog, s, name, i, axis, from) : RG_OK;
    if (round == 0 || (rgi_formula_value(&f, s->sizes, &value) && value == s->inputs[i].dim[axis]))
        return RG_OK;
    return rgi_fail(RG_ERR_SHAPE,
                    "rg_run: input %s has size %lld at axis %d, which does not follow from the other inputs",
                    format_input(prog->inputs[i], label, sizeof label), (long long)s->inputs[i].dim[axis], axis);
}

static rg_status solve_sizes(const rg_plan *p, rgi_special *s)
{
    const rgi_program *prog = p->program;
    const size_t n_dims = prog->graph->dims.n;
    int32_t *from = rgi_arena_alloc(&s->arena, (n_dims + 1) * sizeof *from);
    rg_status status = from ? RG_OK : rgi_fail(RG_ERR_MEMORY, "rg_run: out of memory");
    for (size_t d = 0; from && d < n_dims; d++)
        s->sizes[d] = from[d] = -1;
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < prog->n_inputs; i++) {
            const rgi_shape *shape = prog->inputs[i]->shape;
            for (int32_t k = 0; !status && shape->named && p->bindings[i].sized && k < shape->a.rank; k++)
                status = solve_axis(prog, s, round, i, k, from);
        }
    return status;
}

static bool known(const rgi_formula *f, const int64_t *sizes, int32_t *missing)
{
    for (int32_t i = 0; i < f->n; i++)
        if (sizes[f->name[i]] < 0) {
            *missing = f->name[i];
            return false;
        }
    *missing = f->affine;
    return f->affine < 0 || sizes[f->affine] >= 0;
}

/* What makes axis k of a shape impossible at the sizes bound. */
static rg_status refuse_axis(const rgi_program *prog, const rgi_special *s, const rgi_shape *shape, int32_t k,
                             const rgi_formula *f)
{
    char label[RGI_LABEL];
    int32_t missing = -1;
    rgi_format_shape(prog->graph, shape->a, label, sizeof label);
    if (!known(f, s->sizes, &missing))
        return rgi_fail(RG_ERR_SHAPE, "rg_run: no input says how large '%s' is, a value of shape %s needs it",
                        prog->graph->dims.at[missing].name, label);
    return rgi_fail(RG_ERR_SHAPE,
                    "rg_run: with the sizes bound, axis %d of a value of shape %s is negative or no integer", k, label);
}

static rg_status find_shapes(const rg_plan *p, rgi_special *s)
{
    const rgi_program *prog = p->program;
    for (size_t i = 0; i < prog->n_shapes; i++) {
        const rgi_shape *shape = prog->shapes[i];
        s->shapes[i] = shape->a;
        for (int32_t k = 0; shape->named && k < shape->a.rank; k++) {
            const rgi_formula *f = &prog->formulas[i * RG_MAX_RANK + (size_t)k];
            int32_t missing;
            if (shape->a.dim[k] != shape->b.dim[k] &&
                (!known(f, s->sizes, &missing) || !rgi_formula_value(f, s->sizes, &s->shapes[i].dim[k])))
                return refuse_axis(prog, s, shape, k, f);
        }
        const int64_t n = rg_shape_count(s->shapes[i]);
        if (n < 0 || n > INT64_MAX / 16) {
            char label[RGI_LABEL];
            rgi_format_shape(prog->graph, shape->a, label, sizeof label);
            return rgi_fail(RG_ERR_SHAPE, "rg_run: with the sizes bound, a value of shape %s is too large", label);
        }
        s->counts[i] = (size_t)n;
    }
    return RG_OK;
}

rg_status rgi_sizes_find(const rg_plan *p, rgi_special *s)
{
    const rg_status status = solve_sizes(p, s);
    return status ? status : find_shapes(p, s);
}
