/* reference_shape.c - moving elements, index by index. */
#include "reference_ops.h"

static void copy(const ref_tensor *x, rg_shape shape, ref_tensor *y)
{
    ref_new(y, shape, false);
    for (size_t i = 0; i < ref_count(shape); i++)
        y->at[i] = x->at[i];
}

void ref_reshape(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    rg_shape shape = sample_shape(NULL, &c->sizes, c->args->shape);
    int free_axis = -1;
    int64_t known = 1;
    for (int k = 0; k < shape.rank; k++)
        if (shape.dim[k] == -1)
            free_axis = k;
        else
            known *= shape.dim[k];
    if (free_axis >= 0)
        shape.dim[free_axis] = (int64_t)ref_count(x->shape) / (known ? known : 1);
    copy(x, shape, y);
}

void ref_reshape_like(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    (void)c;
    copy(x, x[1].shape, y);
}

void ref_flatten(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    rg_shape shape = {0, {0}};
    const int from = ref_axis(c->args->i[0], x->shape.rank);
    int64_t rest = 1;
    for (int k = 0; k < x->shape.rank; k++)
        if (k < from)
            shape.dim[shape.rank++] = x->shape.dim[k];
        else
            rest *= x->shape.dim[k];
    shape.dim[shape.rank++] = rest;
    copy(x, shape, y);
}

void ref_squeeze(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    copy(x, ref_reduced(x->shape, 1u << ref_axis(c->args->i[0], x->shape.rank), false), y);
}

static rg_shape with_axis(rg_shape s, int axis, int64_t size)
{
    rg_shape shape = {s.rank + 1, {0}};
    for (int k = 0; k <= s.rank; k++)
        shape.dim[k] = k < axis ? s.dim[k] : k == axis ? size : s.dim[k - 1];
    return shape;
}

void ref_unflatten(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const int64_t *a = c->args->i;
    rg_shape shape = x[0].shape;
    if (c->args->flag) { /* there and back */
        copy(x, shape, y);
        return;
    }
    shape.rank = 0;
    for (int i = 0; i < x[0].shape.rank; i++)
        for (int64_t k = 0; k < (i == a[0] ? a[2] : 1); k++)
            shape.dim[shape.rank++] = i == a[0] ? x[1].shape.dim[a[1] + k] : x[0].shape.dim[i];
    copy(x, shape, y);
}

void ref_unsqueeze(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    copy(x, with_axis(x->shape, ref_axis(c->args->i[0], x->shape.rank + 1), 1), y);
}

void ref_transpose(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const int rank = x->shape.rank;
    rg_shape shape = {rank, {0}};
    for (int k = 0; k < rank; k++)
        shape.dim[k] = x->shape.dim[ref_axis(c->args->axes[0].axis[k], rank)];
    ref_new(y, shape, false);
    for (size_t i = 0; i < ref_count(shape); i++) {
        int64_t at[RG_MAX_RANK], from[RG_MAX_RANK];
        ref_coordinates(shape, i, at);
        for (int k = 0; k < rank; k++)
            from[ref_axis(c->args->axes[0].axis[k], rank)] = at[k];
        y->at[i] = x->at[ref_offset(x->shape, from)];
    }
}

static void broadcast(const ref_tensor *x, rg_shape shape, ref_tensor *y)
{
    ref_new(y, shape, false);
    for (size_t i = 0; i < ref_count(shape); i++)
        y->at[i] = x->at[ref_index(shape, i, x->shape)];
}

void ref_broadcast_to(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    broadcast(x, sample_shape(NULL, &c->sizes, c->args->shape), y);
}

void ref_broadcast_like(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    (void)c;
    broadcast(x, x[1].shape, y);
}

void ref_full_like(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    ref_new(y, x->shape, false);
    for (size_t i = 0; i < ref_count(x->shape); i++)
        y->at[i] = c->dtype == RG_F32 ? (float)c->args->f[0] : c->args->f[0];
}

/* Python's rule: negative positions from the end, then clipped. The position of the first element and their number. */
static int64_t slice_range(const sample_args *a, int64_t size, int64_t *first)
{
    const int64_t step = a->i[3] ? a->i[3] : 1;
    int64_t start = a->i[1], stop = a->i[2];
    if (stop == RG_END)
        stop = step > 0 ? size : -1;
    else if (stop < 0)
        stop += size;
    if (start == RG_END)
        start = step > 0 ? size : size - 1;
    else if (start < 0)
        start += size;
    int64_t n = 0;
    const int64_t least = step > 0 ? 0 : -1, most = step > 0 ? size : size - 1;
    start = start < least ? least : start > most ? most : start;
    stop = stop < least ? least : stop > most ? most : stop;
    for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step)
        n++;
    *first = start;
    return n;
}

static void slice(const sample_args *a, const ref_tensor *part, const ref_tensor *whole, ref_tensor *y)
{
    const int axis = ref_axis(a->i[0], whole->shape.rank);
    int64_t first;
    rg_shape shape = whole->shape;
    shape.dim[axis] = slice_range(a, whole->shape.dim[axis], &first);
    ref_new(y, part ? whole->shape : shape, false);
    for (size_t i = 0; i < ref_count(shape); i++) {
        int64_t at[RG_MAX_RANK];
        ref_coordinates(shape, i, at);
        at[axis] = first + at[axis] * (a->i[3] ? a->i[3] : 1);
        const size_t j = ref_offset(whole->shape, at);
        if (part)
            y->at[j] = part->at[i];
        else
            y->at[i] = whole->at[j];
    }
}

void ref_slice(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    slice(c->args, NULL, x, y);
}
void ref_slice_grad(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    slice(c->args, x, x + 1, y);
}

void ref_concat(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const int axis = ref_axis(c->args->i[0], x->shape.rank);
    rg_shape shape = x->shape;
    shape.dim[axis] = 0;
    for (size_t k = 0; k < c->n_in; k++)
        shape.dim[axis] += x[k].shape.dim[axis];
    ref_new(y, shape, false);
    int64_t before = 0;
    for (size_t k = 0; k < c->n_in; before += x[k++].shape.dim[axis])
        for (size_t i = 0; i < ref_count(x[k].shape); i++) {
            int64_t at[RG_MAX_RANK];
            ref_coordinates(x[k].shape, i, at);
            at[axis] += before;
            y->at[ref_offset(shape, at)] = x[k].at[i];
        }
}

/* The part of x[0] that lies where input i[1] lay in the concatenation of x[1], x[2], ... */
void ref_concat_part(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const int axis = ref_axis(c->args->i[0], x->shape.rank);
    int64_t before = 0;
    for (int64_t k = 0; k < c->args->i[1]; k++)
        before += x[1 + k].shape.dim[axis];
    ref_new(y, x[1 + c->args->i[1]].shape, false);
    for (size_t i = 0; i < ref_count(y->shape); i++) {
        int64_t at[RG_MAX_RANK];
        ref_coordinates(y->shape, i, at);
        at[axis] += before;
        y->at[i] = x[0].at[ref_offset(x[0].shape, at)];
    }
}

void ref_stack(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const int axis = ref_axis(c->args->i[0], x->shape.rank + 1);
    const rg_shape shape = with_axis(x->shape, axis, (int64_t)c->n_in);
    ref_new(y, shape, false);
    for (size_t i = 0; i < ref_count(shape); i++) {
        int64_t at[RG_MAX_RANK], from[RG_MAX_RANK];
        ref_coordinates(shape, i, at);
        for (int k = 0; k < x->shape.rank; k++)
            from[k] = at[k < axis ? k : k + 1];
        y->at[i] = x[at[axis]].at[ref_offset(x->shape, from)];
    }
}

/* Calls f for each element of x[.., index, ..]: its place there, and in x. */
static void indexed(const ref_tensor *index, rg_shape of, int axis, rg_shape *shape, ref_tensor *y, const ref_tensor *x,
                    const ref_tensor *updates)
{
    shape->rank = 0;
    for (int k = 0; k < axis; k++)
        shape->dim[shape->rank++] = of.dim[k];
    for (int k = 0; k < index->shape.rank; k++)
        shape->dim[shape->rank++] = index->shape.dim[k];
    for (int k = axis + 1; k < of.rank; k++)
        shape->dim[shape->rank++] = of.dim[k];
    ref_new(y, updates ? of : *shape, updates != NULL);
    for (size_t i = 0; i < ref_count(*shape); i++) {
        int64_t at[RG_MAX_RANK], from[RG_MAX_RANK];
        ref_coordinates(*shape, i, at);
        for (int k = 0; k < of.rank; k++)
            from[k] = k < axis ? at[k] : k > axis ? at[k + index->shape.rank - 1] : 0;
        from[axis] = (int64_t)index->at[ref_offset(index->shape, at + axis)];
        const size_t j = ref_offset(of, from);
        if (updates) {
            y->at[j] += updates->at[i];
            y->scale[j] += fabs(updates->at[i]);
        } else {
            y->at[i] = x->at[j];
        }
    }
}

void ref_gather(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    rg_shape shape;
    indexed(&x[1], x->shape, ref_axis(c->args->i[0], x->shape.rank), &shape, y, x, NULL);
}

/* x: updates, index, like. */
void ref_scatter_add(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    rg_shape shape;
    indexed(&x[1], x[2].shape, ref_axis(c->args->i[0], x[2].shape.rank), &shape, y, NULL, x);
}

void ref_one_hot(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    const int64_t classes = c->args->i[0];
    ref_new(y, with_axis(x->shape, x->shape.rank, classes), false);
    for (size_t i = 0; i < ref_count(x->shape); i++)
        if (x->at[i] >= 0 && x->at[i] < (double)classes)
            y->at[i * (size_t)classes + (size_t)x->at[i]] = 1;
}

/* x: lengths, like. */
void ref_sequence_mask(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    (void)c;
    ref_new(y, with_axis(x[0].shape, 0, x[1].shape.dim[0]), false);
    for (size_t i = 0; i < ref_count(y->shape); i++) {
        const size_t n = ref_count(x[0].shape);
        y->at[i] = (double)(i / n) < x[0].at[i % n];
    }
}

/* args.f: start, step; args.shape: the size. */
void ref_arange(const sample_context *c, const ref_tensor x[], ref_tensor *y)
{
    (void)x;
    ref_new(y, sample_shape(NULL, &c->sizes, c->args->shape), false);
    for (size_t i = 0; i < ref_count(y->shape); i++)
        y->at[i] = c->args->f[0] + (double)i * c->args->f[1];
}
