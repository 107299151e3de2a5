/* samples.c - the table of sample inputs: finding rows, shapes from text, values, building and referring. */
#include "samples.h"

#include <stdlib.h>
#include <string.h>

const sample_row *sample_row_at(size_t i)
{
    static const sample_row *const families[] = {
        samples_structural, samples_arithmetic, samples_functions, samples_activations, samples_gradients,
        samples_reduce,     samples_order,      samples_shape,     samples_linalg,      samples_loss,
        samples_norm,       samples_pool,       samples_conv,      samples_window,      samples_random,
    };
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const sample_row *row = families[f]; row->name; row++)
            if (i-- == 0)
                return row;
    return NULL;
}

const sample_row *sample_row_find(const char *name)
{
    const sample_row *row;
    for (size_t i = 0; (row = sample_row_at(i)); i++)
        if (!strcmp(row->name, name))
            return row;
    return NULL;
}

size_t sample_inputs(const sample_case *c)
{
    size_t n = 0;
    while (n < SAMPLE_INPUTS && c->shape[n])
        n++;
    return n;
}

static bool text_named(const char *text)
{
    return text && strpbrk(text, "BTN");
}

bool sample_case_named(const sample_case *c)
{
    for (size_t i = 0; i < sample_inputs(c); i++)
        if (text_named(c->shape[i]))
            return true;
    return text_named(c->args.shape);
}

rg_shape sample_shape(rg_graph *g, const sample_sizes *sizes, const char *text)
{
    rg_shape shape = {0, {0}};
    while (*text) {
        int64_t *d = &shape.dim[shape.rank++];
        if (strchr("BTN", *text)) {
            const char name[2] = {*text, 0};
            *d = *text == 'B' ? sizes->B : *text == 'T' ? sizes->T : sizes->N;
            if (g && sizes->named)
                *d = rg_dim(g, name);
            text++;
        } else {
            char *end;
            *d = strtoll(text, &end, 10);
            text = end;
        }
        if (*text == ',')
            text++;
    }
    return shape;
}

rg_node *sample_build(const sample_row *row, const sample_context *c, rg_node *const x[])
{
    return row->unary     ? row->unary(x[0])
           : row->binary  ? row->binary(x[0], x[1])
           : row->ternary ? row->ternary(x[0], x[1], x[2])
                          : row->build(c, x);
}

void sample_refer(const sample_row *row, const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    if (row->reference) {
        row->reference(c, x, y);
        return;
    }
    rg_shape shape = x[0].shape;
    for (size_t k = 1; k < c->n_in; k++)
        shape = ref_broadcast(shape, x[k].shape);
    ref_new(y, shape, false);
    for (size_t i = 0; i < ref_count(shape); i++) {
        double v[SAMPLE_INPUTS] = {0};
        for (size_t k = 0; k < c->n_in; k++)
            v[k] = x[k].at[ref_index(shape, i, x[k].shape)];
        y->at[i] = row->ref1 ? row->ref1(v[0]) : row->ref2 ? row->ref2(v[0], v[1]) : row->ref_each(c, v);
    }
}

double sample_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static double rounded(double v, rg_dtype dtype)
{
    switch (dtype) {
    case RG_F64:
        return v;
    case RG_F32:
        return (float)v;
    case RG_BOOL:
        return v >= 0.5;
    case RG_U8:
        return fmin(fabs(nearbyint(v)), 255);
    default:
        return nearbyint(v);
    }
}

/* n of the distinct values lo + (k + offset) * step, shuffled. The offset tells inputs apart: the step is the same for
   all up to LADDER values, so that no two inputs come closer than a fifth of it. */
static void ladder(double lo, double hi, int input, uint64_t *state, size_t n, double *out)
{
    enum { LADDER = 64 };
    const size_t steps = n > LADDER ? n : LADDER;
    double *all = calloc(steps, sizeof *all);
    for (size_t i = 0; i < steps; i++)
        all[i] = lo + (hi - lo) * ((double)i + 0.1 + 0.2 * input) / (double)steps;
    for (size_t i = steps; i > 1; i--) {
        const size_t j = (size_t)(sample_random(state) * (double)i);
        const double v = all[i - 1];
        all[i - 1] = all[j];
        all[j] = v;
    }
    memcpy(out, all, n * sizeof *out);
    free(all);
}

static double away_from_kinks(const sample_domain *d, double lo, double hi, uint64_t *state)
{
    for (;;) {
        const double v = lo + (hi - lo) * sample_random(state);
        bool near = false;
        for (int k = 0; k < d->kinks; k++)
            near |= fabs(v - d->kink[k]) < 0.05;
        if (!near)
            return v;
    }
}

void sample_fill(const sample_domain *d, rg_dtype dtype, rg_shape shape, int input, uint64_t seed, double *out)
{
    const size_t n = ref_count(shape);
    const double lo = d->lo == d->hi ? -2 : d->lo, hi = d->lo == d->hi ? 2 : d->hi;
    uint64_t state = seed * 1000003u + (uint64_t)input;
    if (d->kind == SAMPLE_LADDER)
        ladder(lo, hi, input, &state, n, out);
    for (size_t i = 0; i < n; i++) {
        if (d->kind == SAMPLE_UNIFORM)
            out[i] = away_from_kinks(d, lo, hi, &state);
        else if (d->kind == SAMPLE_WHOLE)
            out[i] = floor(lo + (hi - lo + 1) * sample_random(&state));
        else if (d->kind == SAMPLE_ROWS)
            out[i] = 0.1 + sample_random(&state);
    }
    const size_t width = shape.rank ? (size_t)shape.dim[shape.rank - 1] : 1;
    for (size_t r = 0; d->kind == SAMPLE_ROWS && r < n; r += width) {
        double sum = 0;
        for (size_t j = 0; j < width; j++)
            sum += out[r + j];
        for (size_t j = 0; j < width; j++)
            out[r + j] /= sum;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = rounded(out[i], dtype);
}
