/* npy.c - NumPy's array files (format versions 1 to 3, numpy.lib.format): magic "\x93NUMPY", version, length of the
   header, a Python dictionary of descr, fortran_order and shape, padding, elements. */
#define _POSIX_C_SOURCE 200809L

#include "npy.h"

#include <retrograde/io.h>

#include "../graph/arena.h"
#include "../graph/error.h"
#include "../graph/tensor.h"
#include "bytes.h"
#include "writer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

/* How elements arrive: as they are, or in the next wider type that this library has. */
static const struct {
    char kind;
    size_t width;
    rg_dtype dtype;
} kinds[] = {
    {'f', 4, RG_F32}, {'f', 8, RG_F64}, {'f', 2, RG_F32}, {'i', 4, RG_I32}, {'i', 8, RG_I64},  {'i', 1, RG_I32},
    {'i', 2, RG_I32}, {'u', 1, RG_U8},  {'u', 2, RG_I32}, {'u', 4, RG_I64}, {'b', 1, RG_BOOL},
};

/* ---- the dictionary ---- */

/* A cursor over the header's text. */
struct text {
    const rgi_source *s;
    size_t at, end;
};

static void skip_spaces(struct text *t)
{
    while (t->at < t->end && (t->s->bytes[t->at] == ' ' || t->s->bytes[t->at] == '\t'))
        t->at++;
}

static bool take(struct text *t, char c)
{
    skip_spaces(t);
    if (t->at >= t->end || t->s->bytes[t->at] != (unsigned char)c)
        return false;
    t->at++;
    return true;
}

static bool take_word(struct text *t, const char *word)
{
    const size_t n = strlen(word);
    skip_spaces(t);
    if (t->end - t->at < n || memcmp(t->s->bytes + t->at, word, n) != 0)
        return false;
    t->at += n;
    return true;
}

/* A quoted string of at most 15 bytes without escapes: all that may stand here. */
static bool take_string(struct text *t, char out[16])
{
    size_t n = 0;
    skip_spaces(t);
    const char quote = t->at < t->end && t->s->bytes[t->at] == '"' ? '"' : '\'';
    if (!take(t, quote))
        return false;
    while (t->at < t->end && t->s->bytes[t->at] != (unsigned char)quote && n < 15)
        out[n++] = (char)t->s->bytes[t->at++];
    out[n] = '\0';
    return t->at < t->end && t->s->bytes[t->at++] == (unsigned char)quote;
}

static rg_status parse_descr(struct text *t, rgi_npy *npy)
{
    char descr[16];
    const size_t at = t->at;
    if (!take_string(t, descr))
        return rgi_source_fail(t->s, at, "descr", "a short string expected (records are not supported)");
    const char order = descr[0], kind = order ? descr[1] : '\0', *digits = kind ? descr + 2 : "";
    if (order && strchr("<>|=", order) && strlen(digits) == 1 && digits[0] >= '1' && digits[0] <= '8')
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            if (kinds[i].kind == kind && kinds[i].width == (size_t)(digits[0] - '0')) {
                npy->kind = kind;
                npy->width = kinds[i].width;
                npy->dtype = kinds[i].dtype;
                npy->swapped = npy->width > 1 && order == (rgi_host_is_little() ? '>' : '<');
                return RG_OK;
            }
    return rgi_source_fail(t->s, at, "descr", "'%s' is none of f2, f4, f8, i1, i2, i4, i8, u1, u2, u4, b1", descr);
}

static rg_status parse_shape(struct text *t, rgi_npy *npy)
{
    const size_t at = t->at;
    bool comma = true;
    if (!take(t, '('))
        return rgi_source_fail(t->s, at, "shape", "a tuple expected");
    for (npy->shape.rank = 0; !take(t, ')');) {
        int64_t size = 0;
        skip_spaces(t);
        const size_t start = t->at;
        for (; t->at < t->end && t->s->bytes[t->at] >= '0' && t->s->bytes[t->at] <= '9'; t->at++)
            if (__builtin_mul_overflow(size, 10, &size) ||
                __builtin_add_overflow(size, t->s->bytes[t->at] - '0', &size))
                return rgi_source_fail(t->s, start, "shape", "a size is too large");
        if (t->at == start || !comma)
            return rgi_source_fail(t->s, t->at, "shape", "a size, ',' or ')' expected");
        if (npy->shape.rank == RG_MAX_RANK)
            return rgi_source_fail(t->s, at, "shape", "more than %d dimensions", RG_MAX_RANK);
        npy->shape.dim[npy->shape.rank++] = size;
        comma = take(t, ',');
    }
    return RG_OK;
}

static rg_status parse_fortran(struct text *t, rgi_npy *npy)
{
    const size_t at = t->at;
    npy->fortran = take_word(t, "True");
    return npy->fortran || take_word(t, "False") ? RG_OK
                                                 : rgi_source_fail(t->s, at, "fortran_order", "True or False expected");
}

static rg_status parse_dictionary(struct text *t, rgi_npy *npy)
{
    static const char *const fields[] = {"descr", "fortran_order", "shape"};
    unsigned seen = 0;
    bool comma = true;
    if (!take(t, '{'))
        return rgi_source_fail(t->s, t->at, "header", "'{' expected");
    while (!take(t, '}')) {
        char key[16];
        skip_spaces(t);
        const size_t at = t->at;
        if (!comma || !take_string(t, key) || !take(t, ':'))
            return rgi_source_fail(t->s, at, "header", "a field expected: descr, fortran_order or shape");
        size_t f = 0;
        while (f < 3 && strcmp(key, fields[f]) != 0)
            f++;
        if (f == 3 || (seen & 1u << f))
            return rgi_source_fail(t->s, at, "header", "field '%s' is %s", key, f == 3 ? "unknown" : "there twice");
        seen |= 1u << f;
        skip_spaces(t);
        const rg_status status = f == 0 ? parse_descr(t, npy) : f == 1 ? parse_fortran(t, npy) : parse_shape(t, npy);
        if (status)
            return status;
        comma = take(t, ',');
    }
    for (size_t f = 0; f < 3; f++)
        if (!(seen & 1u << f))
            return rgi_source_fail(t->s, t->at, "header", "field '%s' is missing", fields[f]);
    skip_spaces(t);
    if (t->at < t->end && t->s->bytes[t->at] == '\n')
        t->at++;
    return t->at == t->end ? RG_OK : rgi_source_fail(t->s, t->at, "header", "text after its end");
}

rg_status rgi_npy_parse(const rgi_source *s, rgi_npy *npy)
{
    *npy = (rgi_npy){0};
    if (s->n < 10 || memcmp(s->bytes, magic, sizeof magic) != 0)
        return rgi_source_fail(s, 0, "magic number", "this is no npy file%s", s->n < 10 ? ": it ends too early" : "");
    const unsigned version = s->bytes[6];
    const size_t start = version == 1 ? 10 : 12;
    if (version < 1 || version > 3 || s->bytes[7] != 0)
        return rgi_source_fail(s, 6, "version", "%u.%u is none of 1.0, 2.0, 3.0", version, s->bytes[7]);
    size_t length = 0;
    for (size_t i = start; i-- > 8 && i < s->n;)
        length = length << 8 | s->bytes[i];
    if (s->n < start || length > s->n - start)
        return rgi_source_fail(s, 8, "header length", "%zu bytes, but the file ends before", length);
    struct text t = {s, start, start + length};
    rg_status status = parse_dictionary(&t, npy);
    if (status)
        return status;
    npy->data = t.end;
    const int64_t count = rg_shape_count(npy->shape);
    size_t bytes, arrives;
    if (count < 0 || !rgi_size_mul((size_t)count, npy->width, &bytes) ||
        !rgi_size_mul((size_t)count, rg_dtype_size(npy->dtype), &arrives))
        return rgi_source_fail(s, start, "shape", "the product of the sizes does not fit the address space");
    if (bytes != s->n - npy->data)
        return rgi_source_fail(s, npy->data, "elements", "%zu bytes follow, but shape and descr need %zu",
                               s->n - npy->data, bytes);
    for (size_t i = npy->data; npy->kind == 'b' && i < s->n; i++)
        if (s->bytes[i] > 1)
            return rgi_source_fail(s, i, "elements", "a bool is %d, neither 0 nor 1", s->bytes[i]);
    return RG_OK;
}

/* ---- elements ---- */

/* IEEE 754 binary16. */
static float from_half(uint16_t h)
{
    const int exponent = h >> 10 & 31, fraction = h & 1023;
    const float sign = h >> 15 ? -1.0f : 1.0f;
    if (exponent == 31)
        return fraction ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexpf((float)(1024 + fraction), exponent - 25) : ldexpf((float)fraction, -24));
}

/* One element that is not stored as it arrives. */
static void widen(const rgi_npy *npy, const unsigned char *from, void *out, size_t i)
{
    int16_t i16;
    uint16_t u16;
    uint32_t u32;
    if (npy->kind == 'f') {
        memcpy(&u16, from, 2);
        ((float *)out)[i] = from_half(u16);
    } else if (npy->kind == 'i' && npy->width == 1) {
        ((int32_t *)out)[i] = from[0] < 128 ? from[0] : from[0] - 256;
    } else if (npy->kind == 'i') {
        memcpy(&i16, from, 2);
        ((int32_t *)out)[i] = i16;
    } else if (npy->width == 2) {
        memcpy(&u16, from, 2);
        ((int32_t *)out)[i] = u16;
    } else {
        memcpy(&u32, from, 4);
        ((int64_t *)out)[i] = u32;
    }
}

rg_status rgi_npy_copy(const rgi_source *s, const rgi_npy *npy, rg_tensor *out)
{
    const rg_status status = rgi_file_tensor(s->caller, s->path, out, npy->dtype, npy->shape);
    if (status)
        return status;
    const size_t n = (size_t)rg_shape_count(npy->shape), w = npy->width;
    const bool same = rg_dtype_size(npy->dtype) == w, turned = npy->fortran && npy->shape.rank > 1;
    const unsigned char *from = s->bytes + npy->data;
    if (same && !npy->swapped && !turned) {
        memcpy(out->data, from, n * w);
        return RG_OK;
    }
    int64_t index[RG_MAX_RANK] = {0};
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        if (turned) { /* the last index counts on, the first lies closest */
            at = 0;
            for (int32_t d = npy->shape.rank; d-- > 0;)
                at = at * (size_t)npy->shape.dim[d] + (size_t)index[d];
            for (int32_t d = npy->shape.rank; d-- > 0 && ++index[d] == npy->shape.dim[d];)
                index[d] = 0;
        }
        unsigned char element[8];
        memcpy(element, from + at * w, w);
        if (npy->swapped)
            rgi_swap_bytes(element, 1, w);
        if (same)
            memcpy((unsigned char *)out->data + i * w, element, w);
        else
            widen(npy, element, out->data, i);
    }
    return RG_OK;
}

rg_status rg_read_npy(const char *path, rg_tensor *out)
{
    if (!out)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_read_npy: out is NULL");
    *out = (rg_tensor){0};
    rgi_source s;
    rgi_npy npy;
    rg_status status = rgi_source_open(&s, "rg_read_npy", path);
    if (status)
        return status;
    status = rgi_npy_parse(&s, &npy);
    const bool as_it_is = !npy.swapped && rg_dtype_size(npy.dtype) == npy.width &&
                          (!npy.fortran || npy.shape.rank < 2) && npy.data % 8 == 0;
    if (!status && s.mapped && as_it_is) {
        status = rgi_tensor_map(out, npy.dtype, npy.shape, s.bytes + npy.data, s.bytes, s.n);
        if (status)
            rgi_fail(status, "rg_read_npy: %s: out of memory for a mapped tensor", path);
        else
            s.bytes = NULL; /* the tensor's now */
    } else if (!status) {
        status = rgi_npy_copy(&s, &npy, out);
    }
    rgi_source_close(&s);
    return status;
}

/* ---- writing ---- */

bool rgi_npy_header(const rg_tensor *t, char header[RGI_NPY_HEADER], size_t *n)
{
    static const char *const descr[RG_DTYPE_COUNT] = {
        [RG_F32] = "<f4", [RG_F64] = "<f8", [RG_I32] = "<i4", [RG_I64] = "<i8", [RG_U8] = "|u1", [RG_BOOL] = "|b1",
    };
    if ((unsigned)t->dtype >= RG_DTYPE_COUNT || !descr[t->dtype] || rg_shape_count(t->shape) < 0)
        return false;
    int at = snprintf(header + 10, RGI_NPY_HEADER - 10, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                      descr[t->dtype]);
    at += 10;
    for (int32_t i = 0; i < t->shape.rank; i++)
        at += snprintf(header + at, RGI_NPY_HEADER - (size_t)at, i ? ", %" PRId64 : "%" PRId64, t->shape.dim[i]);
    at += snprintf(header + at, RGI_NPY_HEADER - (size_t)at, t->shape.rank == 1 ? ",), }" : "), }");
    size_t length = (size_t)at;
    while ((length + 1) % 64)
        header[length++] = ' ';
    header[length++] = '\n';
    memcpy(header, magic, sizeof magic);
    header[6] = 1;
    header[7] = 0;
    header[8] = (char)((length - 10) & 0xFF);
    header[9] = (char)((length - 10) >> 8);
    *n = length;
    return true;
}

rg_status rg_write_npy(const char *path, const rg_tensor *t)
{
    char header[RGI_NPY_HEADER];
    size_t n;
    if (!path || !t)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_write_npy: %s is NULL", path ? "the tensor" : "path");
    if (!rgi_npy_header(t, header, &n))
        return rgi_fail(RG_ERR_DTYPE, "rg_write_npy: %s: the format has no %s of rank %d", path,
                        rg_dtype_name(t->dtype), (int)t->shape.rank);
    if (!t->data && rg_shape_count(t->shape))
        return rgi_fail(RG_ERR_ARGUMENT, "rg_write_npy: %s: the tensor has no values", path);
    const rg_allocator memory = rgi_default_allocator();
    rgi_writer w;
    rg_status status = rgi_writer_open(&w, &memory, "rg_write_npy", path);
    if (!status)
        status = rgi_writer_put(&w, header, n);
    if (!status)
        status = rgi_writer_put_values(&w, t->data, (size_t)rg_shape_count(t->shape), rg_dtype_size(t->dtype));
    if (!status)
        status = rgi_writer_commit(&w, NULL);
    rgi_writer_finish(&w);
    return status;
}
