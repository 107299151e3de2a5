/* anomaly.c - the first node that makes a NaN or an infinity, for plans with opts.check: which element, and what the
   inputs hold. Such plans run on one thread and fuse nothing, so that every op's result is there to be looked at. */
#include "exec.h"

#include "../graph/bf16.h"

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

rg_status rgi_find_anomaly(const rg_node *node, const rg_step *step)
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
