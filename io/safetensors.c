/* safetensors.c - the header of a safetensors file: read strictly, verified completely. */
#include "safetensors.h"

#include "../graph/arena.h"
#include "../graph/error.h"
#include "json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const rgi_st_dtype dtypes[] = {
    {"F32", 4, RG_F32},   {"F64", 8, RG_F64},   {"I32", 4, RG_I32}, {"I64", 8, RG_I64}, {"U8", 1, RG_U8},
    {"BOOL", 1, RG_BOOL}, {"BF16", 2, RG_BF16}, {"F16", 2, 0},      {"I8", 1, 0},       {"I16", 2, 0},
    {"U16", 2, 0},        {"U32", 4, 0},        {"U64", 8, 0},      {"C64", 8, 0},      {"F8_E5M2", 1, 0},
    {"F8_E4M3", 1, 0},    {"F8_E8M0", 1, 0},
};

const rgi_st_dtype *rgi_st_dtype_of(rg_dtype dtype)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (dtypes[i].dtype == dtype)
            return &dtypes[i];
    return NULL;
}

/* Where in the file a position of the header text is. */
static uint64_t offset_of(size_t at)
{
    return sizeof(uint64_t) + at;
}

static rg_status syntax_fail(const rgi_st *st, const rgi_json *j, const char *tensor)
{
    return tensor ? rgi_fail(RG_ERR_FORMAT, "%s: %s: offset %" PRIu64 ": header, tensor '%s': %s", st->caller, st->path,
                             offset_of(j->at), tensor, j->error)
                  : rgi_fail(RG_ERR_FORMAT, "%s: %s: offset %" PRIu64 ": header: %s", st->caller, st->path,
                             offset_of(j->at), j->error);
}

static rg_status field_fail(const rgi_st *st, uint64_t at, const char *tensor, const char *text)
{
    return rgi_fail(RG_ERR_FORMAT, "%s: %s: offset %" PRIu64 ": tensor '%s': %s", st->caller, st->path, at, tensor,
                    text);
}

/* "[784, 512]" and how many elements that makes. */
static rg_status parse_shape(const rgi_st *st, rgi_json *j, rgi_st_tensor *t, uint64_t *count)
{
    const uint64_t at = offset_of(rgi_json_at(j));
    int64_t size = 0;
    *count = 1;
    t->shape.rank = 0;
    rgi_json_take(j, '[');
    if (rgi_json_try(j, ']'))
        return RG_OK;
    do {
        if (!rgi_json_integer(j, &size))
            break;
        if (size && *count > INT64_MAX / (uint64_t)size)
            return field_fail(st, at, t->name, "shape: the product of the sizes is too large");
        *count *= (uint64_t)size;
        if (t->shape.rank < RG_MAX_RANK)
            t->shape.dim[t->shape.rank] = size;
        t->shape.rank++;
    } while (rgi_json_try(j, ','));
    return rgi_json_take(j, ']') ? RG_OK : syntax_fail(st, j, t->name);
}

static rg_status parse_dtype(const rgi_st *st, rgi_json *j, rgi_st_tensor *t)
{
    const uint64_t at = offset_of(rgi_json_at(j));
    const char *name = rgi_json_string(j);
    if (!name)
        return syntax_fail(st, j, t->name);
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            t->type = &dtypes[i];
    return t->type ? RG_OK
                   : rgi_fail(RG_ERR_FORMAT, "%s: %s: offset %" PRIu64 ": tensor '%s': dtype: '%.40s' is unknown",
                              st->caller, st->path, at, t->name, name);
}

static rg_status parse_offsets(const rgi_st *st, rgi_json *j, rgi_st_tensor *t)
{
    const uint64_t at = offset_of(rgi_json_at(j));
    int64_t begin = 0, end = 0;
    if (!rgi_json_take(j, '[') || !rgi_json_integer(j, &begin) || !rgi_json_take(j, ',') ||
        !rgi_json_integer(j, &end) || !rgi_json_take(j, ']'))
        return syntax_fail(st, j, t->name);
    t->begin = (uint64_t)begin;
    t->end = (uint64_t)end;
    if (t->begin > t->end)
        return field_fail(st, at, t->name, "data_offsets: the end is before the begin");
    if (t->end > st->data_bytes)
        return rgi_fail(RG_ERR_FORMAT,
                        "%s: %s: offset %" PRIu64 ": tensor '%s': data_offsets: the end %" PRIu64
                        " is beyond the %" PRIu64 " bytes of elements that the file holds (truncated?)",
                        st->caller, st->path, at, t->name, t->end, st->data_bytes);
    return RG_OK;
}

/* {"dtype": .., "shape": .., "data_offsets": ..}, each once, in any order. */
static rg_status parse_tensor(const rgi_st *st, rgi_json *j, rgi_st_tensor *t)
{
    static const char *const fields[] = {"dtype", "shape", "data_offsets"};
    unsigned seen = 0;
    uint64_t count = 0;
    rgi_json_take(j, '{');
    do {
        const uint64_t at = offset_of(rgi_json_at(j));
        const char *key = rgi_json_string(j);
        if (!key || !rgi_json_take(j, ':'))
            return syntax_fail(st, j, t->name);
        size_t f = 0;
        while (f < 3 && strcmp(fields[f], key) != 0)
            f++;
        if (f == 3 || (seen & 1u << f))
            return rgi_fail(RG_ERR_FORMAT, "%s: %s: offset %" PRIu64 ": tensor '%s': field '%.40s' is %s", st->caller,
                            st->path, at, t->name, key, f == 3 ? "unknown" : "there twice");
        seen |= 1u << f;
        const rg_status status = f == 0   ? parse_dtype(st, j, t)
                                 : f == 1 ? parse_shape(st, j, t, &count)
                                          : parse_offsets(st, j, t);
        if (status)
            return status;
    } while (rgi_json_try(j, ','));
    if (!rgi_json_take(j, '}'))
        return syntax_fail(st, j, t->name);
    for (size_t f = 0; f < 3; f++)
        if (!(seen & 1u << f))
            return rgi_fail(RG_ERR_FORMAT, "%s: %s: offset %" PRIu64 ": tensor '%s': field '%s' is missing", st->caller,
                            st->path, t->at, t->name, fields[f]);
    if (count > INT64_MAX / t->type->bytes || count * t->type->bytes != t->end - t->begin)
        return rgi_fail(RG_ERR_FORMAT,
                        "%s: %s: offset %" PRIu64 ": tensor '%s': data_offsets: %" PRIu64
                        " bytes, but shape and dtype need %" PRIu64 " elements of %" PRIu32,
                        st->caller, st->path, t->at, t->name, t->end - t->begin, count, t->type->bytes);
    return RG_OK;
}

/* {"key": "value", ..}: verified; the first few are kept. */
static rg_status parse_metadata(rgi_st *st, rgi_json *j)
{
    rgi_json_take(j, '{');
    if (rgi_json_try(j, '}'))
        return RG_OK;
    do {
        const char *key = rgi_json_string(j);
        if (!key || !rgi_json_take(j, ':'))
            break;
        const char *value = rgi_json_string(j);
        if (!value)
            break;
        if (st->n_metadata < RGI_ST_METADATA)
            st->metadata[st->n_metadata++] = (rgi_st_pair){key, value};
    } while (rgi_json_try(j, ','));
    return rgi_json_take(j, '}') ? RG_OK : syntax_fail(st, j, "__metadata__");
}

static rgi_st_tensor *add_tensor(rgi_st *st)
{
    if (st->n == st->capacity) {
        const size_t old = st->capacity, grown = old ? 2 * old : 16;
        rgi_st_tensor *at = rgi_grow(&st->allocator, st->at, old * sizeof *at, grown * sizeof *at);
        if (!at) {
            rgi_fail(RG_ERR_MEMORY, "%s: %s: out of memory for %zu tensors", st->caller, st->path, grown);
            return NULL;
        }
        st->at = at;
        st->capacity = grown;
    }
    st->at[st->n] = (rgi_st_tensor){0};
    return &st->at[st->n++];
}

static int by_begin(const void *a, const void *b)
{
    const rgi_st_tensor *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end != y->end ? (x->end < y->end ? -1 : 1) : strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    const rgi_st_tensor *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* Every byte of the elements belongs to exactly one tensor. */
static rg_status verify_cover(rgi_st *st)
{
    uint64_t covered = 0;
    if (st->n)
        qsort(st->at, st->n, sizeof *st->at, by_begin);
    for (size_t i = 0; i < st->n; i++) {
        const rgi_st_tensor *t = &st->at[i];
        if (t->begin != covered)
            return rgi_fail(RG_ERR_FORMAT,
                            "%s: %s: offset %" PRIu64 ": tensor '%s': data_offsets: begins at %" PRIu64 ", %s %" PRIu64,
                            st->caller, st->path, t->at, t->name, t->begin,
                            t->begin < covered ? "inside another tensor that ends at" : "leaving a hole after",
                            covered);
        covered = t->end;
    }
    if (covered != st->data_bytes)
        return rgi_fail(RG_ERR_FORMAT,
                        "%s: %s: offset %" PRIu64 ": %" PRIu64 " bytes after the last tensor belong to none",
                        st->caller, st->path, st->data + covered, st->data_bytes - covered);
    return RG_OK;
}

static rg_status verify_names(rgi_st *st)
{
    if (st->n)
        qsort(st->at, st->n, sizeof *st->at, by_name);
    for (size_t i = 1; i < st->n; i++)
        if (strcmp(st->at[i - 1].name, st->at[i].name) == 0)
            return field_fail(st, st->at[i].at, st->at[i].name, "the name is there twice");
    return RG_OK;
}

rg_status rgi_st_parse(rgi_st *st)
{
    rgi_json j = {.text = st->header, .n = st->header_bytes};
    bool metadata = false;
    rgi_json_take(&j, '{');
    if (!rgi_json_try(&j, '}')) {
        do {
            const uint64_t at = offset_of(rgi_json_at(&j));
            const char *name = rgi_json_string(&j);
            if (!name || !rgi_json_take(&j, ':'))
                return syntax_fail(st, &j, NULL);
            rg_status status;
            if (strcmp(name, "__metadata__") == 0) {
                if (metadata)
                    return field_fail(st, at, name, "is there twice");
                metadata = true;
                status = parse_metadata(st, &j);
            } else {
                rgi_st_tensor *t = add_tensor(st);
                if (!t)
                    return RG_ERR_MEMORY;
                t->name = name;
                t->at = at;
                status = parse_tensor(st, &j, t);
            }
            if (status)
                return status;
        } while (rgi_json_try(&j, ','));
        if (!rgi_json_take(&j, '}'))
            return syntax_fail(st, &j, NULL);
    }
    if (!rgi_json_end(&j))
        return syntax_fail(st, &j, NULL);
    const rg_status status = verify_cover(st);
    return status ? status : verify_names(st);
}

const char *rgi_st_metadata(const rgi_st *st, const char *key)
{
    for (size_t i = 0; i < st->n_metadata; i++)
        if (strcmp(st->metadata[i].key, key) == 0)
            return st->metadata[i].value;
    return NULL;
}

void rgi_st_finish(rgi_st *st)
{
    rgi_free(&st->allocator, st->at, st->capacity * sizeof *st->at);
    rgi_free(&st->allocator, st->header, st->header_bytes);
    st->at = NULL;
    st->header = NULL;
}
