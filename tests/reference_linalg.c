/* reference_linalg.c - the contraction by its definition, and what is made of it. */
#include "reference_ops.h"

static bool listed(rg_axes axes, int rank, int k)
{
    return ref_axes(axes, rank) >> k & 1u;
}

/* y[batch, free a, free b] = sum over the contracted axes of a * b. */
static void contract(const ref_tensor *a, const ref_tensor *b, const rg_axes axes[4], ref_tensor *y)
{
    rg_shape out = {0, {0}}, inner = {0, {0}};
    /* joint index: the result's axes, then the contracted ones; per operand, which joint axis each of its axes is */
    int of_a[RG_MAX_RANK] = {0}, of_b[RG_MAX_RANK] = {0};
    const int rank_a = a->shape.rank, rank_b = b->shape.rank;
    for (int i = 0; i < axes[0].n; i++) {
        const int p = ref_axis(axes[0].axis[i], rank_a), q = ref_axis(axes[1].axis[i], rank_b);
        of_a[p] = of_b[q] = out.rank;
        out.dim[out.rank++] = a->shape.dim[p];
    }
    for (int k = 0; k < rank_a; k++)
        if (!listed(axes[0], rank_a, k) && !listed(axes[2], rank_a, k)) {
            of_a[k] = out.rank;
            out.dim[out.rank++] = a->shape.dim[k];
        }
    for (int k = 0; k < rank_b; k++)
        if (!listed(axes[1], rank_b, k) && !listed(axes[3], rank_b, k)) {
            of_b[k] = out.rank;
            out.dim[out.rank++] = b->shape.dim[k];
        }
    for (int i = 0; i < axes[2].n; i++) {
        const int p = ref_axis(axes[2].axis[i], rank_a), q = ref_axis(axes[3].axis[i], rank_b);
        of_a[p] = of_b[q] = RG_MAX_RANK + inner.rank;
        inner.dim[inner.rank++] = a->shape.dim[p];
    }
    ref_new(y, out, true);
    for (size_t o = 0; o < ref_count(out); o++) {
        int64_t joint[2 * RG_MAX_RANK];
        ref_coordinates(out, o, joint);
        double sum = 0, size = 0;
        for (size_t i = 0; i < ref_count(inner); i++) {
            int64_t in_a[RG_MAX_RANK], in_b[RG_MAX_RANK];
            ref_coordinates(inner, i, joint + RG_MAX_RANK);
            for (int k = 0; k < rank_a; k++)
                in_a[k] = joint[of_a[k]];
            for (int k = 0; k < rank_b; k++)
                in_b[k] = joint[of_b[k]];
            const double term = a->at[ref_offset(a->shape, in_a)] * b->at[ref_offset(b->shape, in_b)];
            sum += term;
            size += fabs(term);
        }
        y->at[o] = sum;
        y->scale[o] = size;
    }
}

void ref_contract(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    contract(&x[0], &x[1], c->args->axes, y);
}

void ref_accumulate(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    contract(&x[0], &x[1], c->args->axes, y);
    for (size_t i = 0; c->n_in == 3 && i < ref_count(y->shape); i++) {
        y->at[i] += x[2].at[i];
        y->scale[i] += fabs(x[2].at[i]);
    }
}

/* Where (row, column) of a matrix stands, in memory exchanged if transposed. */
static size_t element(size_t matrix, bool transposed, int64_t row, int64_t column, int64_t rows, int64_t columns)
{
    return matrix * (size_t)(rows * columns) + (size_t)(transposed ? column * rows + row : row * columns + column);
}

/* NumPy's matmul: a vector gets an axis of size 1, which disappears again. */
void ref_matmul(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    rg_shape a = x[0].shape, b = x[1].shape;
    const bool vector_a = a.rank == 1, vector_b = b.rank == 1;
    if (vector_a)
        a = RG_SHAPE(1, a.dim[0]);
    if (vector_b)
        b = RG_SHAPE(b.dim[0], 1);
    const bool ta = c->args->flag && !vector_a, tb = c->args->flag2 && !vector_b;
    const int64_t m = a.dim[a.rank - (ta ? 1 : 2)], k = a.dim[a.rank - (ta ? 2 : 1)], n = b.dim[b.rank - (tb ? 2 : 1)];
    rg_shape lead_a = a, lead_b = b;
    lead_a.rank -= 2;
    lead_b.rank -= 2;
    const rg_shape lead = ref_broadcast(lead_a, lead_b);
    rg_shape out = lead;
    if (!vector_a)
        out.dim[out.rank++] = m;
    if (!vector_b)
        out.dim[out.rank++] = n;
    ref_new(y, out, true);
    for (size_t l = 0; l < ref_count(lead); l++)
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++) {
                const size_t o = (l * (size_t)m + (size_t)i) * (size_t)n + (size_t)j;
                for (int64_t r = 0; r < k; r++) {
                    const double term = x[0].at[element(ref_index(lead, l, lead_a), ta, i, r, m, k)] *
                                        x[1].at[element(ref_index(lead, l, lead_b), tb, r, j, k, n)];
                    y->at[o] += term;
                    y->scale[o] += fabs(term);
                }
            }
}

/* x W^T + bias. */
void ref_linear(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const int64_t in = x[1].shape.dim[1], out = x[1].shape.dim[0];
    rg_shape shape = x[0].shape;
    shape.dim[shape.rank - 1] = out;
    ref_new(y, shape, true);
    for (size_t o = 0; o < ref_count(shape); o++) {
        const size_t row = o / (size_t)out, column = o % (size_t)out;
        if (c->n_in > 2) {
            y->at[o] = x[2].at[column];
            y->scale[o] = fabs(x[2].at[column]);
        }
        for (int64_t r = 0; r < in; r++) {
            const double term = x[0].at[row * (size_t)in + (size_t)r] * x[1].at[column * (size_t)in + (size_t)r];
            y->at[o] += term;
            y->scale[o] += fabs(term);
        }
    }
}

void ref_outer(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    (void)c;
    const rg_axes none[4] = {{0, {0}}, {0, {0}}, {0, {0}}, {0, {0}}};
    contract(&x[0], &x[1], none, y);
}

void ref_dot(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    (void)c;
    const rg_axes first[4] = {{0, {0}}, {0, {0}}, {1, {0}}, {1, {0}}};
    contract(&x[0], &x[1], first, y);
}
