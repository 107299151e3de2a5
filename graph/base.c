/* base.c - element types, shapes, axes, lists. */
#include <retrograde/graph.h>
#include <retrograde/op.h>

#define RGI_STRING_OF(x) #x
#define RGI_STRING(x) RGI_STRING_OF(x)

const char *rg_version(void)
{
    return RGI_STRING(RG_VERSION_MAJOR) "." RGI_STRING(RG_VERSION_MINOR) "." RGI_STRING(RG_VERSION_PATCH);
}

static const struct {
    const char *name;
    size_t size;
} dtypes[RG_DTYPE_COUNT] = {
    [RG_F32] = {"f32", 4}, [RG_F64] = {"f64", 8},   [RG_I32] = {"i32", 4},   [RG_I64] = {"i64", 8},
    [RG_U8] = {"u8", 1},   [RG_BOOL] = {"bool", 1}, [RG_BF16] = {"bf16", 2},
};

static bool known(rg_dtype dtype)
{
    return (unsigned)dtype < RG_DTYPE_COUNT && dtypes[dtype].size;
}

size_t rg_dtype_size(rg_dtype dtype)
{
    return known(dtype) ? dtypes[dtype].size : 0;
}

const char *rg_dtype_name(rg_dtype dtype)
{
    return known(dtype) ? dtypes[dtype].name : "?";
}

bool rg_dtype_is_float(rg_dtype dtype)
{
    return dtype == RG_F32 || dtype == RG_F64 || dtype == RG_BF16;
}

rg_shape rg_shape_make(const int64_t *dim, size_t rank)
{
    rg_shape shape = {.rank = rank > INT32_MAX ? INT32_MAX : (int32_t)rank};
    for (size_t i = 0; i < rank && i < RG_MAX_RANK; i++)
        shape.dim[i] = dim[i];
    return shape;
}

bool rg_shape_equal(rg_shape a, rg_shape b)
{
    if (a.rank != b.rank)
        return false;
    for (int32_t i = 0; i < a.rank && i < RG_MAX_RANK; i++)
        if (a.dim[i] != b.dim[i])
            return false;
    return true;
}

int64_t rg_shape_count(rg_shape shape)
{
    if (shape.rank < 0 || shape.rank > RG_MAX_RANK)
        return -1;
    int64_t count = 1;
    bool empty = false, fits = true;
    for (int32_t i = 0; i < shape.rank; i++) {
        if (shape.dim[i] < 0)
            return -1;
        empty = empty || shape.dim[i] == 0;
        fits = fits && !__builtin_mul_overflow(count, shape.dim[i], &count);
    }
    return empty ? 0 : fits ? count : -1;
}

rg_axes rg_axes_make(const int32_t *axis, size_t n)
{
    rg_axes axes = {.n = n > INT32_MAX ? INT32_MAX : (int32_t)n};
    for (size_t i = 0; i < n && i < RG_MAX_RANK; i++)
        axes.axis[i] = axis[i];
    return axes;
}

rg_axes rg_axes_all(void)
{
    return (rg_axes){.n = -1};
}

rg_axes rg_axes_of_rank(int32_t rank)
{
    rg_axes axes = {.n = rank < 0 ? 0 : rank};
    for (int32_t i = 0; i < axes.n && i < RG_MAX_RANK; i++)
        axes.axis[i] = i;
    return axes;
}

bool rg_axis_normalise(int64_t axis, int32_t rank, int32_t *out)
{
    if (axis < -(int64_t)rank || axis >= rank)
        return false;
    *out = (int32_t)(axis < 0 ? axis + rank : axis);
    return true;
}

bool rg_axes_mask(rg_axes axes, int32_t rank, uint32_t *mask)
{
    uint32_t bits = 0;
    if (rank < 0 || rank > RG_MAX_RANK || axes.n > RG_MAX_RANK)
        return false;
    if (axes.n < 0)
        bits = (1u << rank) - 1;
    for (int32_t i = 0; i < axes.n; i++) {
        int32_t axis;
        if (!rg_axis_normalise(axes.axis[i], rank, &axis) || (bits >> axis & 1))
            return false;
        bits |= 1u << axis;
    }
    *mask = bits;
    return true;
}

rg_node *rg_at(rg_nodes list, size_t i)
{
    return list.at && i < list.n ? list.at[i] : NULL;
}
