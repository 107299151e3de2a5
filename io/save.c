/* save.c - all parameters and buffers into a safetensors file, atomically. */
#include <retrograde/io.h>

#include "../graph/graph.h"
#include "json.h"
#include "safetensors.h"
#include "writer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Text that is only measured where it does not fit. */
struct text {
    char *at;
    size_t size, n;
};

static void put(struct text *text, const char *bytes, size_t n)
{
    if (n <= text->size && text->n <= text->size - n)
        memcpy(text->at + text->n, bytes, n);
    text->n += n;
}

static void put_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put_format(struct text *text, const char *format, ...)
{
    char buffer[64];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(buffer, sizeof buffer, format, args);
    va_end(args);
    put(text, buffer, (size_t)n);
}

static void put_name(struct text *text, const char *name)
{
    put(text, "\"", 1);
    for (const char *c = name; *c; c++) {
        char escaped[RGI_JSON_ESCAPE];
        put(text, escaped, rgi_json_escape(*c, escaped));
    }
    put(text, "\"", 1);
}

/* Wide elements first, so that each tensor is aligned to its elements; then by name. */
static int by_width_and_name(const void *a, const void *b)
{
    const rgi_entry *x = *(rgi_entry *const *)a, *y = *(rgi_entry *const *)b;
    const size_t wx = rg_dtype_size(x->dtype), wy = rg_dtype_size(y->dtype);
    return wx != wy ? (wx > wy ? -1 : 1) : strcmp(x->name, y->name);
}

/* The header's length and text, padded so that the elements start at a multiple of 8. */
static void put_header(struct text *text, const char *metadata, rgi_entry *const *entries, size_t n, uint64_t length)
{
    uint64_t at = 0;
    for (int i = 0; i < 8; i++)
        put(text, &(char){(char)(length >> 8 * i & 0xFF)}, 1);
    put(text, "{", 1);
    if (metadata)
        put(text, metadata, strlen(metadata));
    for (size_t i = 0; i < n; i++) {
        const rgi_entry *e = entries[i];
        if (i || metadata)
            put(text, ",", 1);
        put_name(text, e->name);
        put_format(text, ":{\"dtype\":\"%s\",\"shape\":[", rgi_st_dtype_of(e->dtype)->name);
        for (int32_t d = 0; d < e->shape.rank; d++)
            put_format(text, d ? ",%" PRId64 : "%" PRId64, e->shape.dim[d]);
        put_format(text, "],\"data_offsets\":[%" PRIu64 ",", at);
        at += e->bytes;
        put_format(text, "%" PRIu64 "]}", at);
    }
    put(text, "}", 1);
    while (text->n % 8)
        put(text, " ", 1);
}

static void add_to_digest(void *user, const void *bytes, size_t n)
{
    XXH3_128bits_update(user, bytes, n);
}

/* The header and the elements; then the digest of all that into its place, which held zeros. */
static rg_status write_file(rgi_writer *w, const struct text *header, rgi_entry *const *entries, size_t n,
                            const rgi_st_extra *extra)
{
    XXH3_state_t hash;
    if (extra->digest) {
        XXH3_128bits_reset(&hash);
        w->tap = add_to_digest;
        w->user = &hash;
    }
    rg_status status = rgi_writer_put(w, header->at, header->n);
    for (size_t i = 0; i < n && !status; i++) {
        const size_t width = rg_dtype_size(entries[i]->dtype);
        status = rgi_writer_put_values(w, entries[i]->data, entries[i]->bytes / width, width);
    }
    if (!status && extra->digest) {
        char digits[33];
        const XXH128_hash_t sum = XXH3_128bits_digest(&hash);
        snprintf(digits, sizeof digits, "%016" PRIx64 "%016" PRIx64, (uint64_t)sum.high64, (uint64_t)sum.low64);
        status = rgi_writer_patch(w, extra->digest, digits, 32);
    }
    return status ? status : rgi_writer_commit(w, extra->previous);
}

/* Values drawn, names in UTF-8, in the order of the file. */
static rg_status collect(rg_graph *g, const char *caller, const char *path, rgi_entry **entries)
{
    for (size_t i = 0; i < g->store->n; i++) {
        rgi_entry *e = g->store->at[i];
        const rg_status status = rgi_entry_ready(g->store, e);
        if (status)
            return status;
        if (!rgi_utf8_valid(e->name, strlen(e->name)) || strcmp(e->name, "__metadata__") == 0)
            return rgi_fail(RG_ERR_NAME, "%s: %s: '%s' cannot be a name in a safetensors file", caller, path, e->name);
        entries[i] = e;
    }
    qsort(entries, g->store->n, sizeof *entries, by_width_and_name);
    return RG_OK;
}

static rg_status out_of_memory(const char *caller, const char *path)
{
    return rgi_fail(RG_ERR_MEMORY, "%s: %s: out of memory", caller, path);
}

/* Measured, then written. */
static rg_status make_header(const rg_graph *g, const char *caller, const char *path, const char *metadata,
                             rgi_entry *const *entries, struct text *header)
{
    put_header(header, metadata, entries, g->store->n, 0);
    const size_t bytes = header->n, length = bytes - 8;
    if (length > RGI_ST_HEADER_MAX)
        return rgi_fail(RG_ERR_FORMAT, "%s: %s: a header of %zu bytes is larger than the format allows", caller, path,
                        length);
    *header = (struct text){.at = rgi_alloc(&g->allocator, bytes), .size = bytes};
    if (!header->at)
        return out_of_memory(caller, path);
    put_header(header, metadata, entries, g->store->n, length);
    return RG_OK;
}

rg_status rgi_st_save(rg_graph *g, const char *caller, const char *path, const rgi_st_extra *extra)
{
    if (!g || !path)
        return rgi_fail(RG_ERR_ARGUMENT, "%s: %s is NULL", caller, g ? "path" : "graph");
    const rg_allocator *a = &g->allocator;
    const size_t list_bytes = (g->store->n + 1) * sizeof(rgi_entry *);
    struct text header = {0};
    rgi_writer w = {.fd = -1};
    rgi_entry **entries = rgi_alloc(a, list_bytes);
    rg_status status = entries ? collect(g, caller, path, entries) : out_of_memory(caller, path);
    if (!status)
        status = make_header(g, caller, path, extra->metadata, entries, &header);
    if (!status) {
        status = rgi_writer_open(&w, a, caller, path);
        if (!status)
            status = write_file(&w, &header, entries, g->store->n, extra);
        rgi_writer_finish(&w);
    }
    rgi_free(a, header.at, header.size);
    rgi_free(a, entries, list_bytes);
    return status;
}

rg_status rg_save(rg_graph *g, const char *path)
{
    return rgi_st_save(g, "rg_save", path, &(rgi_st_extra){0});
}
