/* columns_sparse.c - sparse Jacobians of every op and of its gradients, against dense ones: the same numbers, and
   nothing outside of the places that were found. */
#include "check.h"

#include <math.h>
#include <stdlib.h>

/* The dense matrix of what is fetched, and the sparse one written into zeros. */
static bool equal(trial *t, rg_plan *p, const rg_sparse *sparse, rg_node *dense, const char *what, complaints *why)
{
    ref_tensor want = {.at = NULL}, values = {.at = NULL};
    bool ok = fetched(p, dense, &want) && fetched(p, sparse->values, &values);
    const int64_t n = sparse->columns;
    double *got = calloc((size_t)(sparse->rows * n) + 1, sizeof *got);
    for (int64_t i = 0; ok && i < sparse->rows; i++)
        for (int64_t k = sparse->row_start[i]; k < sparse->row_start[i + 1]; k++)
            got[i * n + sparse->column[k]] = values.at[k];
    for (int64_t e = 0; ok && e < sparse->rows * n; e++) {
        const double a = got[e], b = want.at[e];
        ok = fabs(a - b) <= 1e-12 * (1 + fabs(b)) || (isnan(a) && isnan(b)) || a == b;
        if (!ok)
            complain(why, "%s: %s: element (%d, %d) is %.17g, not %.17g", t->label, what, (int)(e / n), (int)(e % n), a,
                     b);
    }
    free(got);
    ref_free(&want);
    ref_free(&values);
    return ok;
}

static bool compare(trial *t, rg_node *y, rg_node *x, const char *what, complaints *why)
{
    rg_node *dense = rg_jacobian(y, x);
    const rg_sparse *sparse = dense ? rg_sparse_jacobian(y, x) : NULL;
    if (!sparse) {
        complain(why, "%s: %s: %s", t->label, what, rg_graph_error(t->g));
        return false;
    }
    rg_plan *p = trial_run(t, RG_NODES(dense, sparse->values), &(rg_plan_opts){.threads = 1}, NULL, 0, why);
    const bool ok = p && equal(t, p, sparse, dense, what, why);
    rg_plan_free(p);
    return ok;
}

mark column_sparse(const sample_row *row, const sample_case *c, complaints *why)
{
    if ((row->flags & (SAMPLE_STRUCTURAL | SAMPLE_RANDOM | SAMPLE_SIZED | SAMPLE_FIXED)) ||
        (c->only && c->only != RG_F64))
        return MARK_NONE;
    trial t;
    mark m = row->flags & SAMPLE_ZERO_GRAD ? MARK_ZERO : MARK_NONE;
    if (!trial_begin(&t, row, c, RG_F64, sizes_small, why)) {
        trial_end(&t);
        return MARK_FAIL;
    }
    bool any = false;
    for (size_t i = 0; i < t.n && m != MARK_FAIL && rg_dtype_is_float(rg_dtype_of(t.y)); i++) {
        const int rank = rg_shape_of(t.x[i]).rank;
        any = any || trial_differentiable(&t, i);
        if (!trial_differentiable(&t, i) || rg_shape_of(t.y).rank + rank > RG_MAX_RANK || 2 * rank > RG_MAX_RANK)
            continue;
        rg_node *loss = rg_sum(rg_sin(t.y), RG_ALL_AXES, false), *gradient = rg_at(rg_grad(loss, RG_NODES(t.x[i])), 0);
        const bool ok = compare(&t, t.y, t.x[i], "Jacobian", why) && compare(&t, gradient, t.x[i], "Hessian", why);
        m = !ok ? MARK_FAIL : row->flags & SAMPLE_ZERO_GRAD ? MARK_ZERO : MARK_PASS;
    }
    if (!any) /* nothing of it has a derivative */
        m = MARK_ZERO;
    trial_end(&t);
    return m;
}
