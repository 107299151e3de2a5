/* check.c - what the tests share. */
#include "check.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const sample_sizes sizes_small = {3, 4, 5, false}, sizes_other = {5, 2, 1, false}, sizes_large = {1031, 33, 9, false},
                   sizes_empty = {0, 4, 5, false};

void complain(complaints *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    c->count++;
    if (c->used + 2 < sizeof c->text) {
        const int n = vsnprintf(c->text + c->used, sizeof c->text - c->used - 1, format, args);
        c->used += (size_t)(n < 0 ? 0 : n);
        if (c->used > sizeof c->text - 2)
            c->used = sizeof c->text - 2;
        c->text[c->used++] = '\n';
        c->text[c->used] = 0;
    }
    va_end(args);
}

/* ---- typed values ---- */

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

void *typed_from_doubles(const double *x, size_t n, rg_dtype dtype)
{
    const size_t size = rg_dtype_size(dtype);
    char *out = must(calloc(n + 1, size));
    for (size_t i = 0; i < n; i++) {
        void *at = out + i * size;
        switch (dtype) {
        case RG_F32:
            *(float *)at = (float)x[i];
            break;
        case RG_F64:
            *(double *)at = x[i];
            break;
        case RG_I32:
            *(int32_t *)at = (int32_t)x[i];
            break;
        case RG_I64:
            *(int64_t *)at = (int64_t)x[i];
            break;
        default:
            *(uint8_t *)at = (uint8_t)x[i];
            break;
        }
    }
    return out;
}

double *doubles_from_typed(const void *x, size_t n, rg_dtype dtype)
{
    const size_t size = rg_dtype_size(dtype);
    double *out = must(calloc(n + 1, sizeof *out));
    for (size_t i = 0; i < n; i++) {
        const void *at = (const char *)x + i * size;
        switch (dtype) {
        case RG_F32:
            out[i] = *(const float *)at;
            break;
        case RG_F64:
            out[i] = *(const double *)at;
            break;
        case RG_I32:
            out[i] = *(const int32_t *)at;
            break;
        case RG_I64:
            out[i] = (double)*(const int64_t *)at;
            break;
        default:
            out[i] = *(const uint8_t *)at;
            break;
        }
    }
    return out;
}

bool fetched(rg_plan *p, rg_node *node, ref_tensor *out)
{
    rg_tensor t;
    memset(out, 0, sizeof *out);
    if (rg_result(p, node, &t))
        return false;
    out->shape = t.shape;
    out->at = doubles_from_typed(t.data, ref_count(t.shape), t.dtype);
    return true;
}

bool same_bytes(rg_plan *p, rg_nodes a, rg_plan *q, rg_nodes b)
{
    for (size_t i = 0; i < a.n; i++) {
        rg_tensor x, y;
        if (rg_result(p, a.at[i], &x) || rg_result(q, b.at[i], &y))
            return false;
        if (x.dtype != y.dtype || !rg_shape_equal(x.shape, y.shape))
            return false;
        const size_t bytes = rg_tensor_bytes(&x);
        if (bytes && memcmp(x.data, y.data, bytes) != 0)
            return false;
    }
    return a.n == b.n;
}

/* ---- trials ---- */

static rg_dtype input_dtype(const sample_row *row, size_t i, rg_dtype under_test)
{
    return row->domain[i].dtype ? row->domain[i].dtype : under_test;
}

static void draw(trial *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const rg_shape shape = sample_shape(NULL, &t->context.sizes, t->c->shape[i]);
        ref_free(&t->value[i]);
        free(t->data[i]);
        ref_new(&t->value[i], shape, false);
        sample_fill(&t->row->domain[i], t->dtype[i], shape, (int)i, (uint64_t)(t->c - t->row->cases) + 1,
                    t->value[i].at);
        t->data[i] = typed_from_doubles(t->value[i].at, ref_count(shape), t->dtype[i]);
    }
}

bool trial_begin(trial *t, const sample_row *row, const sample_case *c, rg_dtype dtype, sample_sizes sizes,
                 complaints *why)
{
    memset(t, 0, sizeof *t);
    t->row = row;
    t->c = c;
    t->n = sample_inputs(c);
    int used =
        snprintf(t->label, sizeof t->label, "%s case %d %s", row->name, (int)(c - row->cases), rg_dtype_name(dtype));
    for (size_t i = 0; i < t->n; i++)
        used += snprintf(t->label + used, sizeof t->label - (size_t)used, " [%s]", c->shape[i]);
    t->g = rg_graph_new(NULL);
    t->context = (sample_context){t->g, dtype, sizes, &c->args, t->n};
    for (size_t i = 0; i < t->n; i++) {
        const char name[3] = {'x', (char)('0' + i), 0};
        t->dtype[i] = input_dtype(row, i, dtype);
        t->x[i] = rg_input(t->g, name, t->dtype[i], sample_shape(t->g, &sizes, c->shape[i]));
    }
    draw(t);
    t->y = sample_build(row, &t->context, t->x);
    if (!t->y) {
        const char *error = rg_graph_error(t->g);
        complain(why, "%s: does not build: %s", t->label, error ? error : "(no error is set)");
    }
    return t->y != NULL;
}

void trial_resize(trial *t, sample_sizes sizes)
{
    sizes.named = true;
    t->context.sizes = sizes;
    draw(t);
}

void trial_end(trial *t)
{
    for (size_t i = 0; i < t->n; i++) {
        ref_free(&t->value[i]);
        free(t->data[i]);
    }
    rg_graph_free(t->g);
}

bool trial_differentiable(const trial *t, size_t i)
{
    return rg_dtype_is_float(t->dtype[i]) && !t->row->domain[i].constant;
}

/* A binding that fails need not matter: the derivative of a sum has no use for the summands. If it does, the run says
   that an input is not bound. */
bool trial_rebind(trial *t, rg_plan *p, const bound *extra, size_t n_extra, complaints *why)
{
    char refused[512] = "";
    for (size_t i = 0; i < t->n + n_extra; i++) {
        rg_node *node = i < t->n ? t->x[i] : extra[i - t->n].node;
        const void *data = i < t->n ? t->data[i] : extra[i - t->n].data;
        const rg_shape shape = i < t->n ? t->value[i].shape : extra[i - t->n].shape;
        if (node && rg_bind_shape(p, node, data, shape))
            snprintf(refused, sizeof refused, " (bind: %s)", rg_last_error());
    }
    if (rg_run(p)) {
        complain(why, "%s: run: %s%s", t->label, rg_last_error(), refused);
        return false;
    }
    return true;
}

rg_plan *trial_run(trial *t, rg_nodes fetch, const rg_plan_opts *opts, const bound *extra, size_t n_extra,
                   complaints *why)
{
    for (size_t i = 0; i < fetch.n; i++)
        if (!fetch.at[i]) {
            const char *error = rg_graph_error(t->g);
            complain(why, "%s: node %zu does not build: %s", t->label, i, error ? error : "(no error is set)");
            return NULL;
        }
    rg_plan *p = rg_compile(t->g, fetch, opts);
    if (!p) {
        complain(why, "%s: compile: %s", t->label, rg_graph_error(t->g));
        return NULL;
    }
    if (!trial_rebind(t, p, extra, n_extra, why)) {
        rg_plan_free(p);
        return NULL;
    }
    return p;
}

/* ---- columns ---- */

static mark column_of_case(const column *col, const sample_row *row, size_t i, complaints *why)
{
    const size_t before = why->count;
    const mark m = col->check(row, &row->cases[i], why);
    if (m == MARK_FAIL && why->count == before)
        complain(why, "%s case %zu: %s failed", row->name, i, col->name);
    return m;
}

mark column_of_row(const column *col, const sample_row *row, complaints *why)
{
    mark best = MARK_NONE;
    for (size_t i = 0; i < row->n_cases; i++) {
        const mark m = column_of_case(col, row, i, why);
        best = m > best ? m : best;
    }
    return best;
}

mark column_of_first(const column *col, const sample_row *row, complaints *why)
{
    mark m = MARK_NONE;
    for (size_t i = 0; i < row->n_cases && m == MARK_NONE; i++)
        m = column_of_case(col, row, i, why);
    return m;
}
