/* evaluate.c - one op on concrete values; broadcasting of elementwise operands. */
#include "evaluate.h"

#include "../../ops/fill.h"

#include <string.h>

void rgi_broadcast_copy(const void *x, const rg_shape *from, const rg_shape *to, size_t size, size_t first, size_t n,
                        void *y)
{
    if (n == 0)
        return;
    /* The axes of `to`, innermost last, merged where the operand walks on evenly: extent and step in elements. */
    size_t extent[RG_MAX_RANK + 1], step[RG_MAX_RANK + 1], at[RG_MAX_RANK + 1];
    int axes = 0;
    size_t stride = 1;
    for (int32_t i = to->rank - 1, j = from->rank - 1; i >= 0; i--, j--) {
        const size_t e = (size_t)to->dim[i], own = j >= 0 ? (size_t)from->dim[j] : 1;
        const size_t s = own == 1 ? 0 : stride;
        stride *= own;
        if (e <= 1)
            continue;
        if (axes && step[axes - 1] * extent[axes - 1] == s) {
            extent[axes - 1] *= e;
        } else {
            extent[axes] = e;
            step[axes++] = s;
        }
    }
    if (!axes) {
        extent[0] = 1;
        step[0] = 0;
        axes = 1;
    }
    size_t rest = first, offset = 0;
    for (int k = 0; k < axes; k++) {
        const size_t e = extent[k] ? extent[k] : 1;
        at[k] = rest % e;
        rest /= e;
        offset += at[k] * step[k];
    }
    const char *source = x;
    char *out = y;
    while (n) {
        const size_t run = extent[0] - at[0] < n ? extent[0] - at[0] : n;
        if (step[0])
            memcpy(out, source + offset * size, run * size);
        else
            rgi_fill_with(size, run, source + offset * size, out);
        out += run * size;
        n -= run;
        at[0] += run;
        offset += run * step[0];
        for (int k = 0; k < axes - 1 && at[k] == extent[k]; k++) {
            offset += step[k + 1] - extent[k] * step[k];
            at[k] = 0;
            at[k + 1]++;
        }
    }
}

static size_t count(const rg_type *t)
{
    return (size_t)rg_shape_count(t->shape);
}

/* Dense copies of the operands that broadcast. */
static rg_status dense_operands(const rg_allocator *a, const rg_node *node, const void *in[], rg_type type[],
                                const rg_type *out)
{
    const size_t n = count(out);
    for (size_t i = 0; i < node->n_in; i++) {
        if (!in[i] || rg_shape_equal(type[i].shape, out->shape))
            continue;
        const size_t size = rg_dtype_size(type[i].dtype);
        void *dense = rgi_alloc(a, n * size + 1);
        if (!dense)
            return rgi_fail(RG_ERR_MEMORY, "%s: out of memory", node->op->name);
        rgi_broadcast_copy(in[i], &type[i].shape, &out->shape, size, 0, n, dense);
        in[i] = dense;
        type[i].shape = out->shape;
    }
    return RG_OK;
}

static rg_status run_phases(const rg_allocator *a, rg_step *s, const rg_cost *cost)
{
    const size_t scratch = cost->scratch + 1, shared = cost->shared + 1;
    s->scratch = rgi_alloc(a, scratch);
    s->shared = rgi_alloc(a, shared);
    rg_status status = s->scratch && s->shared ? RG_OK : rgi_fail(RG_ERR_MEMORY, "%s: out of memory", s->op->name);
    for (s->phase = 0; !status && s->phase < RG_MAX_PHASES && cost->tasks[s->phase]; s->phase++)
        status = s->op->run(s, 0, cost->tasks[s->phase]);
    rgi_free(a, s->scratch, scratch);
    rgi_free(a, s->shared, shared);
    return status;
}

rg_status rgi_evaluate(const rg_allocator *allocator, const rg_node *node, const void *const in[],
                       const rg_type in_type[], void *const out[], const rg_type out_type[])
{
    const size_t n = node->n_in, room = n + 1;
    const bool elementwise = node->op->traits & RG_ELEMENTWISE;
    const void **operand = rgi_alloc(allocator, room * sizeof *operand);
    rg_type *type = rgi_alloc(allocator, room * sizeof *type);
    void *geometry = rgi_alloc(allocator, node->op->geometry_size + 1);
    rg_status status =
        operand && type && geometry ? RG_OK : rgi_fail(RG_ERR_MEMORY, "%s: out of memory", node->op->name);
    if (!status) {
        memcpy(operand, in, n * sizeof *operand);
        memcpy(type, in_type, n * sizeof *type);
        if (elementwise)
            status = dense_operands(allocator, node, operand, type, out_type);
    }
    if (!status) {
        rg_step s = {.op = node->op,
                     .attr = node->attr,
                     .n_in = node->n_in,
                     .n_out = (uint32_t)node->op->n_out,
                     .in = operand,
                     .out = out,
                     .in_type = type,
                     .out_type = out_type};
        if (node->op->geometry) {
            node->op->geometry(&s, geometry);
            s.geometry = geometry;
        }
        rg_cost cost = {.tasks = {elementwise ? count(out_type) : 1}};
        if (node->op->cost) {
            cost.tasks[0] = 0;
            node->op->cost(&s, &cost);
        }
        status = run_phases(allocator, &s, &cost);
    }
    for (size_t i = 0; operand && type && elementwise && i < n; i++)
        if (operand[i] && operand[i] != in[i])
            rgi_free(allocator, (void *)(uintptr_t)operand[i], count(out_type) * rg_dtype_size(type[i].dtype) + 1);
    rgi_free(allocator, geometry, node->op->geometry_size + 1);
    rgi_free(allocator, operand, room * sizeof *operand);
    rgi_free(allocator, type, room * sizeof *type);
    return status;
}
