/* init.c - initial values of parameters: pure functions of the seed, the full name, the type and the shape.

   The key is XXH3 of the name, seeded; the words are Philox blocks. Element i of a uniform or normal draw takes the
   words of block i / (elements a block), so no draw depends on the order in which parameters are made or used.
   Transforms are computed in double and rounded once. */
#include "bf16.h"
#include "graph.h"
#include "philox.h"

#include <math.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define RGI_PI 3.14159265358979323846

/* A stream of words: block `block` of substream `stream`. */
typedef struct draw {
    uint64_t key;
    uint32_t stream;
    bool wide; /* 53 bits a uniform (two words), else 24 (one word) */
} draw;

/* Two uniforms (four for 24 bits) of a block, in [0, 1); returns how many. */
static int uniforms(const draw *d, uint64_t block, double u[4])
{
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), d->stream, 0};
    uint32_t w[4];
    rgi_philox(counter, d->key, w);
    if (!d->wide) {
        for (int i = 0; i < 4; i++)
            u[i] = (w[i] >> 8) * 0x1p-24;
        return 4;
    }
    for (int i = 0; i < 2; i++)
        u[i] = (double)(((uint64_t)w[2 * i + 1] << 32 | w[2 * i]) >> 11) * 0x1p-53;
    return 2;
}

/* As many normals: Box and Muller 1958, r = sqrt(-2 log(1 - u)), z = r cos(2 pi v), r sin(2 pi v). */
static int normals(const draw *d, uint64_t block, double z[4])
{
    double u[4];
    const int n = uniforms(d, block, u);
    for (int i = 0; i < n; i += 2) {
        const double r = sqrt(-2.0 * log1p(-u[i])), angle = 2.0 * RGI_PI * u[i + 1];
        z[i] = r * cos(angle);
        z[i + 1] = r * sin(angle);
    }
    return n;
}

static void put(void *out, rg_dtype dtype, size_t i, double value)
{
    switch (dtype) {
    case RG_F32:
        ((float *)out)[i] = (float)value;
        break;
    case RG_F64:
        ((double *)out)[i] = value;
        break;
    case RG_I32:
        ((int32_t *)out)[i] = (int32_t)value;
        break;
    case RG_I64:
        ((int64_t *)out)[i] = (int64_t)value;
        break;
    case RG_U8:
        ((uint8_t *)out)[i] = (uint8_t)value;
        break;
    case RG_BOOL:
        ((uint8_t *)out)[i] = value != 0;
        break;
    case RG_BF16:
        ((uint16_t *)out)[i] = rgi_bf16_of_f64(value);
        break;
    case RG_DTYPE_COUNT:
        break;
    }
}

static void fill(const rgi_entry *e, size_t count, double value, void *out)
{
    for (size_t i = 0; i < count; i++)
        put(out, e->dtype, i, value);
}

static void fill_uniform(const rgi_entry *e, const draw *d, size_t count, double bound, void *out)
{
    double u[4];
    for (size_t i = 0, block = 0; i < count; block++) {
        const int n = uniforms(d, block, u);
        for (int k = 0; k < n && i < count; k++, i++)
            put(out, e->dtype, i, bound * (2.0 * u[k] - 1.0));
    }
}

static void fill_normal(const rgi_entry *e, const draw *d, size_t count, double deviation, void *out)
{
    double z[4];
    for (size_t i = 0, block = 0; i < count; block++) {
        const int n = normals(d, block, z);
        for (int k = 0; k < n && i < count; k++, i++)
            put(out, e->dtype, i, deviation * z[k]);
    }
}

/* Element i takes the first of its own draws that lies within two deviations; attempt t reads substream t. One draw in
   22 falls outside, so the limit on attempts is never met. */
static void fill_truncated(const rgi_entry *e, const draw *d, size_t count, double deviation, void *out)
{
    for (size_t i = 0; i < count; i++) {
        double z[4] = {3.0};
        draw attempt = *d;
        for (; fabs(z[0]) > 2.0 && attempt.stream < 256; attempt.stream++)
            (void)normals(&attempt, i, z);
        put(out, e->dtype, i, deviation * z[0]);
    }
}

/* The larger side of a normal [rows, cols] matrix orthonormalised by Gram and Schmidt, twice for full precision: the
   distribution is Haar's (Saxe, McClelland, Ganguli 2014; Mezzadri 2007). */
static rg_status fill_orthogonal(const rgi_store *store, const rgi_entry *e, const draw *d, size_t rows, size_t cols,
                                 double gain, void *out)
{
    const size_t n = rows < cols ? rows : cols, length = rows < cols ? cols : rows;
    size_t count, bytes;
    if (!rgi_size_mul(n, length, &count) || !rgi_size_mul(count, sizeof(double), &bytes))
        return rgi_fail(RG_ERR_MEMORY, "'%s' is too large for an orthogonal start", e->name);
    double *const q = rgi_alloc(&store->allocator, bytes);
    if (!q)
        return rgi_fail(RG_ERR_MEMORY, "out of memory for the orthogonal start of '%s'", e->name);
    double z[2];
    const draw wide = {d->key, d->stream, true};
    for (size_t i = 0; i < count; i++) {
        double pair[4];
        if (i % 2 == 0) {
            (void)normals(&wide, i / 2, pair);
            z[0] = pair[0];
            z[1] = pair[1];
        }
        q[i] = z[i % 2];
    }
    for (size_t i = 0; i < n; i++) {
        double *const v = q + i * length, square = 0;
        for (size_t j = 0; j < 2 * i; j++) {
            const double *const w = q + j % i * length;
            double dot = 0;
            for (size_t k = 0; k < length; k++)
                dot += v[k] * w[k];
            for (size_t k = 0; k < length; k++)
                v[k] -= dot * w[k];
        }
        for (size_t k = 0; k < length; k++)
            square += v[k] * v[k];
        for (size_t k = 0; k < length; k++)
            v[k] /= sqrt(square);
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++)
            put(out, e->dtype, r * cols + c, gain * (rows < cols ? q[r * length + c] : q[c * length + r]));
    rgi_free(&store->allocator, q, bytes);
    return RG_OK;
}

/* Product of sizes [from, rank), at least 1. */
static double fan(const rg_shape *shape, int32_t from)
{
    double product = 1;
    for (int32_t i = from; i < shape->rank; i++)
        product *= (double)shape->dim[i];
    return product > 1 ? product : 1;
}

rg_status rgi_init_draw(const rgi_store *store, const rgi_entry *e, void *out)
{
    const size_t count = (size_t)rg_shape_count(e->shape);
    const int32_t rank = e->shape.rank;
    const double fan_in = fan(&e->shape, 1), fan_out = (rank > 0 ? (double)e->shape.dim[0] : 1) * fan(&e->shape, 2);
    const double amount = e->init.scale, gain = amount != 0 ? amount : 1, deviation = amount != 0 ? amount : 0.02;
    const draw d = {XXH3_64bits_withSeed(e->name, strlen(e->name), store->seed), 0, e->dtype == RG_F64};
    if (count == 0)
        return RG_OK;
    switch (e->init.init) {
    case RG_INIT_DEFAULT:
        if (rank > 1)
            fill_uniform(e, &d, count, 1 / sqrt(fan_in), out);
        else
            fill(e, count, 0, out);
        break;
    case RG_ZEROS:
        fill(e, count, 0, out);
        break;
    case RG_ONES:
        fill(e, count, 1, out);
        break;
    case RG_CONSTANT:
        fill(e, count, amount, out);
        break;
    case RG_UNIFORM:
        fill_uniform(e, &d, count, amount != 0 ? amount : 1 / sqrt(fan_in), out);
        break;
    case RG_NORMAL:
        fill_normal(e, &d, count, deviation, out);
        break;
    case RG_TRUNCATED_NORMAL:
        fill_truncated(e, &d, count, deviation, out);
        break;
    case RG_XAVIER_UNIFORM:
        fill_uniform(e, &d, count, gain * sqrt(6 / (fan_in + fan_out)), out);
        break;
    case RG_XAVIER_NORMAL:
        fill_normal(e, &d, count, gain * sqrt(2 / (fan_in + fan_out)), out);
        break;
    case RG_KAIMING_UNIFORM:
        fill_uniform(e, &d, count, gain * sqrt(3 / fan_in), out);
        break;
    case RG_KAIMING_NORMAL:
        fill_normal(e, &d, count, gain / sqrt(fan_in), out);
        break;
    case RG_ORTHOGONAL: {
        const size_t rows = rank > 0 ? (size_t)e->shape.dim[0] : 1;
        return fill_orthogonal(store, e, &d, rows, count / rows, gain, out);
    }
    default:
        return rgi_fail(RG_ERR_ARGUMENT, "'%s' has an unknown initialiser, %d", e->name, (int)e->init.init);
    }
    return RG_OK;
}
