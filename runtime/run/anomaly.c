/* anomaly.c - the first node that makes a NaN or an infinity, for plans with opts.check: which element, and what the
   inputs hold. Such plans run on one thread and fuse nothing, so that every op's result is there to be looked at. */
#include "walker.h"

#include "../../graph/bf16.h"

#include <math.h>
#include <stdio.h>

/* The first element that is no finite number, or n. */
static size_t first_bad(rg_dtype dtype, const void *at, size_t n)
{
    for (size_t i = 0; at && i < n; i++) {
        const double x = rgi_float_at(dtype, at, i);
        if (!(x - x == 0))
            return i;
    }
    return n;
}

/* " [1, 3]", nothing for a scalar. */
static void print_place(char *text, size_t size, const rg_shape *shape, size_t i)
{
    int64_t at[RG_MAX_RANK];
    size_t used = 0;
    for (int32_t k = shape->rank; k-- > 0;) {
        at[k] = (int64_t)(i % (size_t)shape->dim[k]);
        i /= (size_t)shape->dim[k];
    }
    text[0] = '\0';
    for (int32_t k = 0; k < shape->rank && used + 24 < size; k++)
        used += (size_t)snprintf(text + used, size - used, k ? ", %lld" : " [%lld", (long long)at[k]);
    if (shape->rank)
        snprintf(text + used, size - used, "]");
}

/* What an input holds: that element, where the op is elementwise; else whether all is finite and how large. */
static void print_input(char *text, size_t size, const rg_node *in, const rg_type *type, const void *at, size_t place,
                        bool elementwise)
{
    char label[2 * RGI_LABEL];
    const size_t n = (size_t)rg_shape_count(type->shape);
    const size_t bad = rg_dtype_is_float(type->dtype) ? first_bad(type->dtype, at, n) : n;
    rgi_format_operand(in, label, sizeof label);
    if (!at || !rg_dtype_is_float(type->dtype)) {
        snprintf(text, size, "; %s", label);
    } else if (bad < n) {
        char where[96];
        print_place(where, sizeof where, &type->shape, bad);
        snprintf(text, size, "; %s holds %s at element %zu%s", label,
                 isnan(rgi_float_at(type->dtype, at, bad)) ? "NaN" : "an infinity", bad, where);
    } else if (elementwise && (n == 1 || place < n)) {
        snprintf(text, size, "; %s is %.9g there", label, rgi_float_at(type->dtype, at, n == 1 ? 0 : place));
    } else {
        double least = INFINITY, most = -INFINITY;
        for (size_t i = 0; i < n; i++) {
            least = fmin(least, rgi_float_at(type->dtype, at, i));
            most = fmax(most, rgi_float_at(type->dtype, at, i));
        }
        snprintf(text, size, "; %s lies in [%.6g, %.6g]", label, least, most);
    }
}

/* The error that names a NaN or an infinity among the outputs of a step that has run, RG_OK without one. */
static rg_status find_anomaly(const rg_node *node, const rg_step *step)
{
    for (uint32_t k = 0; k < step->n_out; k++) {
        const rg_type *type = &step->out_type[k];
        const size_t n = (size_t)rg_shape_count(type->shape);
        const size_t bad = rg_dtype_is_float(type->dtype) ? first_bad(type->dtype, step->out[k], n) : n;
        if (bad == n)
            continue;
        char label[2 * RGI_LABEL], where[96], inputs[RGI_ERROR_TEXT / 2] = "", at[RGI_LABEL] = "";
        size_t used = 0;
        print_place(where, sizeof where, &type->shape, bad);
        for (uint32_t i = 0; i < step->n_in && i < 4; i++) {
            char one[3 * RGI_LABEL];
            print_input(one, sizeof one, node->in[i], &step->in_type[i], step->in[i], bad,
                        node->op->traits & RG_ELEMENTWISE);
            used += (size_t)snprintf(inputs + used, sizeof inputs - used, "%s", one);
            used = used < sizeof inputs ? used : sizeof inputs - 1;
        }
        if (node->file)
            snprintf(at, sizeof at, " (%.100s:%d)", node->file, (int)node->line);
        return rgi_fail(
            RG_ERR_NUMERIC, "rg_run: %s%s made %s at element %zu%s%s", rgi_format_operand(node, label, sizeof label),
            at, isnan(rgi_float_at(type->dtype, step->out[k], bad)) ? "NaN" : "an infinity", bad, where, inputs);
    }
    return RG_OK;
}

/* Where an operand of a fused op is, as it came: before it was spread over the group. */
static const void *operand_at(const rgi_walker *w, const rgi_group *g, const rgi_operand *o)
{
    for (size_t k = 0; o->mode == RGI_BLOCK && k < g->n_spreads; k++)
        if (g->spreads[k].slot == o->slot)
            o = &g->spreads[k].from;
    return o->at ? rgi_at(o->at, o->terms, w->t) : NULL;
}

static const void *single_operand_at(const rgi_walker *w, const rgi_group *g, const rgi_member *m, uint32_t k)
{
    return m->in[k].mode == RGI_BLOCK ? operand_at(w, g, &m->in[k]) : m->step.in[k];
}

rg_status rgi_check_values(const rgi_walker *w, size_t i)
{
    enum { MOST = 64 };
    const rgi_program *prog = w->p->program;
    const rgi_item *item = &prog->items[i];
    const rgi_exec *e = &w->s->steps[i];
    if (item->count != 1)
        return RG_OK;
    const rgi_use *use = &prog->uses[item->first];
    const rgi_member *m = e->kind == RGI_FUSED ? &e->group->members[0] : NULL;
    const uint32_t n_in = use->n_in < MOST ? use->n_in : MOST, n_out = use->n_out < MOST ? use->n_out : MOST;
    const void *in[MOST];
    void *out[MOST] = {NULL};
    rg_type type[2 * MOST];
    for (uint32_t k = 0; k < n_in + n_out; k++) {
        const bool output = k >= n_in;
        const int32_t v = output ? use->out[k - n_in] : use->in[k];
        const void *at = NULL;
        type[k] = v == RGI_NONE ? (rg_type){.dtype = use->node->in[k]->dtype}
                                : (rg_type){prog->values[v].dtype, w->s->shapes[prog->values[v].shape]};
        if (v == RGI_NONE)
            at = NULL;
        else if (m && e->group->single)
            at = output ? m->step.out[0] : single_operand_at(w, e->group, m, k);
        else if (m)
            at = operand_at(w, e->group, output ? &m->out : &m->in[k]);
        else if ((at = output ? e->step.out[k - n_in] : e->step.in[k]))
            at = rgi_at(at, e->terms ? e->terms[output ? use->n_in + k - n_in : k] : NULL, w->t);
        if (output)
            out[k - n_in] = (void *)(uintptr_t)at;
        else
            in[k] = at;
    }
    return find_anomaly(
        use->node,
        &(rg_step){.n_in = n_in, .n_out = n_out, .in = in, .out = out, .in_type = type, .out_type = type + n_in});
}
