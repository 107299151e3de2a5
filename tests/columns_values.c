/* columns_values.c - what is checked of an op's values: against the reference, fused, on several threads, empty, with
   NaN and infinity. */
#include "check.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

static bool takes(const sample_row *row, const sample_case *c, rg_dtype dtype)
{
    if (c->only && c->only != dtype)
        return false;
    return rg_dtype_is_float(dtype) || (row->also & RG_DT(dtype));
}

static void shape_text(rg_shape s, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < s.rank; i++)
        used += (size_t)snprintf(out + used, size - used, i ? ", %lld" : "%lld", (long long)s.dim[i]);
    snprintf(out + used, size - used, "]");
}

/* |y - reference| <= ulps * ulp(1) * scale; both infinite with one sign, or both NaN, are equal too. */
static bool near(double y, double reference, double scale, double ulps, rg_dtype dtype)
{
    if (isnan(reference) || isnan(y))
        return isnan(reference) && isnan(y);
    if (dtype == RG_F32 && isfinite(reference))
        reference = fabs(reference) > FLT_MAX ? copysign(INFINITY, reference) : reference;
    if (isinf(reference) || isinf(y))
        return reference == y;
    const double unit = dtype == RG_F32 ? (double)FLT_EPSILON : DBL_EPSILON;
    const double floor_ = dtype == RG_F32 ? (double)FLT_MIN : DBL_MIN;
    return fabs(y - reference) <= ulps * unit * scale + (ulps > 0 ? floor_ : 0);
}

static mark compare_with_reference(trial *t, rg_plan *p, complaints *why)
{
    ref_tensor got, want;
    const sample_row *row = t->row;
    if (!fetched(p, t->y, &got)) {
        complain(why, "%s: no result: %s", t->label, rg_last_error());
        return MARK_FAIL;
    }
    sample_context plain = t->context;
    plain.graph = NULL;
    sample_refer(row, &plain, t->value, &want);
    const rg_dtype dtype = t->context.dtype, out = t->c->out ? t->c->out : row->out ? row->out : dtype;
    mark m = MARK_PASS;
    if (rg_dtype_of(t->y) != out) {
        complain(why, "%s: result is %s, not %s", t->label, rg_dtype_name(rg_dtype_of(t->y)), rg_dtype_name(out));
        m = MARK_FAIL;
    }
    if (!rg_shape_equal(got.shape, want.shape)) {
        char a[96], b[96];
        shape_text(got.shape, a, sizeof a);
        shape_text(want.shape, b, sizeof b);
        complain(why, "%s: shape %s, not %s", t->label, a, b);
        m = MARK_FAIL;
    }
    const double ulps = dtype == RG_F32 ? row->ulps32 : dtype == RG_F64 ? row->ulps64 : 0;
    double worst = -1;
    size_t at = 0;
    for (size_t i = 0; m == MARK_PASS && i < ref_count(want.shape); i++) {
        const double scale = want.scale ? want.scale[i] : fabs(want.at[i]);
        if (near(got.at[i], want.at[i], scale, ulps, dtype))
            continue;
        const double error = fabs(got.at[i] - want.at[i]) / (scale > 0 ? scale : 1);
        if (!(error <= worst)) {
            worst = error;
            at = i;
        }
    }
    if (worst >= 0) {
        complain(why, "%s: element %zu is %.17g, not %.17g (error %.3g of its scale, %.1f ulp allowed)", t->label, at,
                 got.at[at], want.at[at], worst, ulps);
        m = MARK_FAIL;
    }
    ref_free(&got);
    ref_free(&want);
    return m;
}

static mark forward_at(const sample_row *row, const sample_case *c, rg_dtype dtype, sample_sizes sizes, complaints *why)
{
    trial t;
    mark m = MARK_FAIL;
    if (trial_begin(&t, row, c, dtype, sizes, why)) {
        rg_plan *p = trial_run(&t, RG_NODES(t.y), &(rg_plan_opts){.threads = 1}, NULL, 0, why);
        if (p)
            m = compare_with_reference(&t, p, why);
        rg_plan_free(p);
    }
    trial_end(&t);
    return m;
}

static bool has_reference(const sample_row *row)
{
    return !(row->flags & (SAMPLE_STRUCTURAL | SAMPLE_RANDOM));
}

/* At small and odd sizes, and at sizes beyond the blocks of the kernels. */
static mark forward(const sample_row *row, const sample_case *c, rg_dtype dtype, complaints *why)
{
    if (!has_reference(row) || !takes(row, c, dtype))
        return MARK_NONE;
    mark m = forward_at(row, c, dtype, sizes_small, why);
    if (m == MARK_PASS && sample_case_named(c))
        m = forward_at(row, c, dtype, sizes_large, why);
    return m;
}

static mark forward_f32(const sample_row *row, const sample_case *c, complaints *why)
{
    return forward(row, c, RG_F32, why);
}

static mark forward_f64(const sample_row *row, const sample_case *c, complaints *why)
{
    return forward(row, c, RG_F64, why);
}

static mark forward_others(const sample_row *row, const sample_case *c, complaints *why)
{
    mark m = MARK_NONE;
    for (rg_dtype d = RG_F32; d < RG_DTYPE_COUNT && m != MARK_FAIL; d++)
        if (!rg_dtype_is_float(d) && (row->also & RG_DT(d)))
            m = forward(row, c, d, why);
    return m;
}

/* ---- the same bits however it runs ---- */

/* The value, and the gradients for a cotangent equal to the value. */
static size_t with_gradients(trial *t, rg_node *y, rg_node *fetch[1 + SAMPLE_INPUTS])
{
    rg_node *xs[SAMPLE_INPUTS];
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        if (trial_differentiable(t, i))
            xs[n++] = t->x[i];
    fetch[0] = y;
    if (!rg_dtype_is_float(rg_dtype_of(y)) || !n)
        return 1;
    const rg_nodes grads = rg_vjp(RG_NODES(y), RG_NODES(y), (rg_nodes){xs, n});
    for (size_t i = 0; i < n; i++)
        fetch[1 + i] = rg_at(grads, i);
    return 1 + n;
}

static mark compare_plans(trial *t, rg_nodes fetch, const rg_plan_opts *a, const rg_plan_opts *b, const bound *extra,
                          size_t n_extra, complaints *why)
{
    rg_plan *p = trial_run(t, fetch, a, extra, n_extra, why), *q = trial_run(t, fetch, b, extra, n_extra, why);
    mark m = MARK_FAIL;
    if (p && q) {
        m = same_bytes(p, fetch, q, fetch) ? MARK_PASS : MARK_FAIL;
        if (m == MARK_FAIL)
            complain(why, "%s: bits differ between %d threads%s and %d threads%s", t->label, a->threads,
                     a->no_fuse ? " unfused" : "", b->threads, b->no_fuse ? " unfused" : "");
    }
    rg_plan_free(p);
    rg_plan_free(q);
    return m;
}

/* The op between elementwise neighbours, so that it is fused with them where it can be. */
static rg_node *in_a_chain(trial *t, rg_node *factor)
{
    rg_node *x[SAMPLE_INPUTS];
    for (size_t i = 0; i < t->n; i++)
        x[i] = t->dtype[i] == t->context.dtype && !t->row->domain[i].dtype ? rg_mul(t->x[i], factor) : t->x[i];
    rg_node *y = sample_build(t->row, &t->context, x);
    if (y && rg_dtype_of(y) == t->context.dtype)
        y = rg_tanh(rg_add(rg_mul(y, factor), rg_sigmoid(y)));
    return y;
}

static mark fused_at(const sample_row *row, const sample_case *c, rg_dtype dtype, sample_sizes sizes, complaints *why)
{
    trial t;
    mark m = MARK_FAIL;
    if (trial_begin(&t, row, c, dtype, sizes, why)) {
        const double one = 1;
        void *data = typed_from_doubles(&one, 1, dtype);
        rg_node *factor = rg_input(t.g, "factor", dtype, RG_SCALAR), *fetch[1 + SAMPLE_INPUTS];
        rg_node *y = in_a_chain(&t, factor);
        const size_t n = y ? with_gradients(&t, y, fetch) : 0;
        const bound extra[] = {{factor, data, RG_SCALAR}};
        if (n)
            m = compare_plans(&t, (rg_nodes){fetch, n}, &(rg_plan_opts){.threads = 1},
                              &(rg_plan_opts){.threads = 1, .no_fuse = true}, extra, 1, why);
        else
            complain(why, "%s: chain does not build: %s", t.label, rg_graph_error(t.g));
        free(data);
    }
    trial_end(&t);
    return m;
}

/* A column's check in f32 and f64, at small and odd sizes and at sizes beyond the blocks of the kernels. */
static mark at_all_sizes(mark (*check)(const sample_row *, const sample_case *, rg_dtype, sample_sizes, complaints *),
                         const sample_row *row, const sample_case *c, complaints *why)
{
    mark m = MARK_NONE;
    for (rg_dtype d = RG_F32; d <= RG_F64 && m != MARK_FAIL; d++) {
        if (!takes(row, c, d))
            continue;
        m = check(row, c, d, sizes_small, why);
        if (m == MARK_PASS && sample_case_named(c))
            m = check(row, c, d, sizes_large, why);
    }
    return m;
}

static mark fused(const sample_row *row, const sample_case *c, complaints *why)
{
    return row->flags & SAMPLE_STRUCTURAL ? MARK_NONE : at_all_sizes(fused_at, row, c, why);
}

/* The op of operands that lie one element behind the beginning of others: pieces of them, whatever is a multiple of
   what. */
static rg_node *of_pieces(trial *t)
{
    rg_node *x[SAMPLE_INPUTS];
    for (size_t i = 0; i < t->n; i++) {
        rg_node *flat = rg_reshape(t->x[i], RG_SHAPE(-1));
        rg_node *longer = rg_concat(RG_NODES(rg_zeros(t->g, t->dtype[i], RG_SHAPE(1)), flat), 0);
        x[i] = rg_reshape(rg_slice(longer, 0, 1, RG_END), rg_shape_of(t->x[i]));
    }
    return sample_build(t->row, &t->context, x);
}

static mark pieces_at(const sample_row *row, const sample_case *c, rg_dtype dtype, sample_sizes sizes, complaints *why)
{
    const uint64_t none = ~UINT64_C(0); /* a piece of what is joined would be what is joined */
    trial t;
    mark m = MARK_FAIL;
    if (trial_begin(&t, row, c, dtype, sizes, why)) {
        rg_node *fetch[1 + SAMPLE_INPUTS], *y = of_pieces(&t);
        if (y)
            m = compare_plans(&t, (rg_nodes){fetch, with_gradients(&t, y, fetch)},
                              &(rg_plan_opts){.threads = 1, .without_rewrites = none},
                              &(rg_plan_opts){.threads = 1, .without_rewrites = none, .no_fuse = true}, NULL, 0, why);
        else
            complain(why, "%s: does not build of pieces: %s", t.label, rg_graph_error(t.g));
    }
    trial_end(&t);
    return m;
}

static mark pieces(const sample_row *row, const sample_case *c, complaints *why)
{
    return row->flags & SAMPLE_STRUCTURAL || !sample_inputs(c) ? MARK_NONE : at_all_sizes(pieces_at, row, c, why);
}

static mark threads(const sample_row *row, const sample_case *c, complaints *why)
{
    if ((row->flags & SAMPLE_STRUCTURAL) || !sample_case_named(c))
        return MARK_NONE;
    mark m = MARK_NONE;
    for (rg_dtype d = RG_F32; d <= RG_F64 && m != MARK_FAIL; d++) {
        trial t;
        if (!takes(row, c, d))
            continue;
        m = MARK_FAIL;
        if (trial_begin(&t, row, c, d, sizes_large, why)) {
            rg_node *fetch[1 + SAMPLE_INPUTS];
            const rg_nodes list = {fetch, with_gradients(&t, t.y, fetch)};
            m = MARK_PASS;
            for (int n = 2; n <= 4 && m == MARK_PASS; n++)
                m = compare_plans(&t, list, &(rg_plan_opts){.threads = 1}, &(rg_plan_opts){.threads = n}, NULL, 0, why);
        }
        trial_end(&t);
    }
    return m;
}

/* ---- size 0 ---- */

static mark empty(const sample_row *row, const sample_case *c, complaints *why)
{
    if (!has_reference(row) || c->no_empty || !sample_case_named(c))
        return MARK_NONE;
    mark m = MARK_NONE;
    for (rg_dtype d = RG_F32; d <= RG_F64 && m != MARK_FAIL; d++) {
        trial t;
        if (!takes(row, c, d))
            continue;
        m = MARK_FAIL;
        if (trial_begin(&t, row, c, d, sizes_empty, why)) {
            rg_node *fetch[1 + SAMPLE_INPUTS];
            const rg_nodes list = {fetch, with_gradients(&t, t.y, fetch)};
            rg_plan *p = trial_run(&t, list, &(rg_plan_opts){.threads = 1}, NULL, 0, why);
            if (p)
                m = compare_with_reference(&t, p, why);
            rg_plan_free(p);
        }
        trial_end(&t);
    }
    return m;
}

/* ---- NaN and infinity ---- */

static mark special_of(const sample_row *row, const sample_case *c, rg_dtype dtype, complaints *why)
{
    static const double specials[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0, 1.5, -1.5, 100, -100};
    enum { N = sizeof specials / sizeof *specials };
    const size_t n_in = sample_inputs(c);
    int64_t count = 1;
    for (size_t i = 0; i < n_in; i++)
        count *= N;
    const rg_shape shape = RG_SHAPE(count);
    rg_graph *g = rg_graph_new(NULL);
    sample_context context = {g, dtype, sizes_small, &c->args, n_in};
    rg_node *x[SAMPLE_INPUTS];
    ref_tensor value[SAMPLE_INPUTS], want = {.at = NULL}, got = {.at = NULL};
    void *data[SAMPLE_INPUTS];
    int64_t period = 1;
    for (size_t i = 0; i < n_in; i++, period *= N) {
        const rg_dtype d = row->domain[i].dtype ? row->domain[i].dtype : dtype;
        const char name[3] = {'x', (char)('0' + i), 0};
        x[i] = rg_input(g, name, d, shape);
        ref_new(&value[i], shape, false);
        for (int64_t k = 0; k < count; k++) {
            const double v = specials[k / period % N];
            value[i].at[k] = d == RG_BOOL ? v > 0 : v;
        }
        data[i] = typed_from_doubles(value[i].at, (size_t)count, d);
    }
    rg_node *y = sample_build(row, &context, x);
    rg_plan *p = y ? rg_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1}) : NULL;
    bool ok = p != NULL;
    for (size_t i = 0; i < n_in; i++)
        ok = ok && !rg_bind(p, x[i], data[i]);
    ok = ok && !rg_run(p) && fetched(p, y, &got);
    if (!ok)
        complain(why, "%s: NaN and infinity do not run: %s", row->name, rg_last_error());
    context.graph = NULL;
    sample_refer(row, &context, value, &want);
    const double ulps = dtype == RG_F32 ? row->ulps32 : row->ulps64;
    for (int64_t k = 0; ok && k < count; k++) {
        bool infinite = false;
        for (size_t i = 0; i < n_in; i++)
            infinite |= isinf(value[i].at[k]) || fabs(value[i].at[k]) == 100;
        if (near(got.at[k], want.at[k], want.scale ? want.scale[k] : fabs(want.at[k]), ulps, dtype))
            continue;
        if ((row->flags & SAMPLE_LIMITS) && infinite && (isnan(got.at[k]) || isnan(want.at[k])))
            continue;
        complain(why, "%s %s of (%g, %g, %g) is %.9g, not %.9g", row->name, rg_dtype_name(dtype), value[0].at[k],
                 n_in > 1 ? value[1].at[k] : 0, n_in > 2 ? value[2].at[k] : 0, got.at[k], want.at[k]);
        ok = false;
    }
    rg_plan_free(p);
    rg_graph_free(g);
    for (size_t i = 0; i < n_in; i++) {
        ref_free(&value[i]);
        free(data[i]);
    }
    ref_free(&want);
    ref_free(&got);
    return ok ? MARK_PASS : MARK_FAIL;
}

static mark special(const sample_row *row, const sample_case *c, complaints *why)
{
    if (!(row->flags & SAMPLE_ELEMENTWISE) || c != row->cases)
        return MARK_NONE;
    const mark m = special_of(row, c, RG_F32, why);
    return m == MARK_PASS ? special_of(row, c, RG_F64, why) : m;
}

const column columns_values[] = {
    {"f32", forward_f32}, {"f64", forward_f64}, {"others", forward_others}, {"fused", fused}, {"pieces", pieces},
    {"threads", threads}, {"empty", empty},     {"special", special},       {NULL, NULL},
};
