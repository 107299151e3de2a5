/* npz.c - reading archives of arrays as numpy.savez and savez_compressed write them: ZIP files whose members are npy
   files, stored or deflated, with the 64-bit extension. */
#include <retrograde/io.h>

#include "../graph/error.h"
#include "npy.h"
#include "zip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define DEFLATE_MOST 1032 /* no byte of deflated data stands for more */

static uint64_t little(const unsigned char *p, size_t n)
{
    uint64_t value = 0;
    while (n-- > 0)
        value = value << 8 | p[n];
    return value;
}

/* An entry of the central directory. */
struct member {
    uint64_t packed, size, local;
    uint32_t crc, method, flags;
    const unsigned char *name;
    size_t name_bytes, at;
};

/* Where the central directory lies and how many entries it has. */
static rg_status find_directory(const rgi_source *s, uint64_t *at, uint64_t *n, uint64_t *bytes)
{
    if (s->n < END_BYTES)
        return rgi_source_fail(s, 0, "end record", "%zu bytes are no ZIP archive", s->n);
    size_t end = s->n - END_BYTES; /* a comment of at most 65535 bytes may follow it */
    const size_t lowest = end > 65535 ? end - 65535 : 0;
    while (little(s->bytes + end, 4) != END_SIGNATURE || little(s->bytes + end + 20, 2) != s->n - end - END_BYTES)
        if (end-- == lowest)
            return rgi_source_fail(s, s->n, "end record", "it is missing: this is no ZIP archive, or it is cut off");
    const unsigned char *p = s->bytes + end;
    *n = little(p + 10, 2);
    *bytes = little(p + 12, 4);
    *at = little(p + 16, 4);
    if (little(p + 4, 2) || little(p + 6, 2) || little(p + 8, 2) != *n)
        return rgi_source_fail(s, end + 4, "end record", "archives in several parts are not supported");
    if (end >= LOCATOR64_BYTES && little(p - LOCATOR64_BYTES, 4) == LOCATOR64_SIGNATURE) {
        const uint64_t end64 = little(p - LOCATOR64_BYTES + 8, 8);
        if (end64 > s->n || s->n - end64 < END64_BYTES || little(s->bytes + end64, 4) != END64_SIGNATURE)
            return rgi_source_fail(s, end - LOCATOR64_BYTES, "64-bit end record", "is not where it should be");
        *n = little(s->bytes + end64 + 32, 8);
        *bytes = little(s->bytes + end64 + 40, 8);
        *at = little(s->bytes + end64 + 48, 8);
    }
    if (*at > end || *bytes > end - *at || *n > *bytes / CENTRAL_BYTES)
        return rgi_source_fail(s, end, "end record", "the directory lies outside of the file");
    return RG_OK;
}

/* Sizes and the offset that did not fit 32 bits stand in an extra field, in this order. */
static bool read_extra(struct member *m, const unsigned char *p, size_t n)
{
    uint64_t *const wide[] = {&m->size, &m->packed, &m->local};
    while (n >= 4) {
        const size_t id = little(p, 2), length = little(p + 2, 2);
        if (length > n - 4)
            return false;
        size_t used = 0;
        for (size_t i = 0; id == 1 && i < 3; i++)
            if (*wide[i] == UINT32_MAX) {
                if (used + 8 > length)
                    return false;
                *wide[i] = little(p + 4 + used, 8);
                used += 8;
            }
        p += 4 + length;
        n -= 4 + length;
    }
    return true;
}

static rg_status read_entry(const rgi_source *s, size_t *at, uint64_t end, struct member *m)
{
    const unsigned char *p = s->bytes + *at;
    if (end - *at < CENTRAL_BYTES || little(p, 4) != CENTRAL_SIGNATURE)
        return rgi_source_fail(s, *at, "directory", "an entry expected");
    const size_t name = little(p + 28, 2), extra = little(p + 30, 2), comment = little(p + 32, 2);
    if (end - *at - CENTRAL_BYTES < name + extra + comment)
        return rgi_source_fail(s, *at + 28, "directory", "an entry is longer than the directory");
    *m = (struct member){.packed = little(p + 20, 4),
                         .size = little(p + 24, 4),
                         .local = little(p + 42, 4),
                         .crc = (uint32_t)little(p + 16, 4),
                         .method = (uint32_t)little(p + 10, 2),
                         .flags = (uint32_t)little(p + 8, 2),
                         .name = p + CENTRAL_BYTES,
                         .name_bytes = name,
                         .at = *at};
    if (!read_extra(m, p + CENTRAL_BYTES + name, extra))
        return rgi_source_fail(s, *at + CENTRAL_BYTES + name, "directory", "a broken extra field");
    if (name < 5 || memcmp(m->name + name - 4, ".npy", 4) != 0 || memchr(m->name, '\0', name))
        return rgi_source_fail(s, *at + CENTRAL_BYTES, "directory", "a member is not called something.npy");
    if (m->flags & 1)
        return rgi_source_fail(s, *at + 8, "directory", "'%.*s' is encrypted", (int)(name < 100 ? name : 100),
                               (const char *)m->name);
    if (m->method != 0 && m->method != 8)
        return rgi_source_fail(s, *at + 10, "directory", "'%.*s' is packed by method %" PRIu32 ", not 0 or 8",
                               (int)(name < 100 ? name : 100), (const char *)m->name, m->method);
    *at += CENTRAL_BYTES + name + extra + comment;
    return RG_OK;
}

/* Inflates the member into new memory. */
static rg_status unpack(const rgi_source *part, const struct member *m, unsigned char **out)
{
    if (m->size / DEFLATE_MOST > m->packed)
        return rgi_source_fail(part, 0, "size", "%" PRIu64 " packed bytes cannot hold %" PRIu64, m->packed, m->size);
    unsigned char *bytes = malloc(m->size ? m->size : 1);
    if (!bytes)
        return rgi_fail(RG_ERR_MEMORY, "%s: %s: out of memory for %" PRIu64 " bytes", part->caller, part->path,
                        m->size);
    z_stream z = {.next_in = part->bytes, .next_out = bytes};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) {
        free(bytes);
        return rgi_fail(RG_ERR_MEMORY, "%s: %s: out of memory while decompressing", part->caller, part->path);
    }
    uint64_t in = m->packed, room = m->size;
    int code = Z_OK;
    while (code == Z_OK) { /* zlib counts in unsigned ints */
        const unsigned step_in = in < (1u << 30) ? (unsigned)in : 1u << 30;
        const unsigned step_out = room < (1u << 30) ? (unsigned)room : 1u << 30;
        z.avail_in = step_in;
        z.avail_out = step_out;
        code = inflate(&z, Z_NO_FLUSH);
        in -= step_in - z.avail_in;
        room -= step_out - z.avail_out;
    }
    rg_status status = RG_OK;
    if (code == Z_MEM_ERROR)
        status = rgi_fail(RG_ERR_MEMORY, "%s: %s: out of memory while decompressing", part->caller, part->path);
    else if (code != Z_STREAM_END || in || room)
        status = rgi_source_fail(part, (size_t)(m->packed - in), "deflated data", "%s",
                                 z.msg ? z.msg : "its size is not what the directory says");
    inflateEnd(&z);
    if (status)
        free(bytes);
    else
        *out = bytes;
    return status;
}

static rg_status read_array(const rgi_source *part, const struct member *m, rg_tensor *out)
{
    uLong crc = 0;
    for (size_t at = 0; at < part->n; at += 1u << 30)
        crc = crc32(crc, part->bytes + at, part->n - at < (1u << 30) ? (uInt)(part->n - at) : 1u << 30);
    if (crc != m->crc)
        return rgi_source_fail(part, 0, "checksum", "is %08lx, the directory says %08" PRIx32, crc, m->crc);
    rgi_npy npy;
    const rg_status status = rgi_npy_parse(part, &npy);
    return status ? status : rgi_npy_copy(part, &npy, out);
}

/* `name` is the member's, as a string. */
static rg_status read_member(const rgi_source *s, const struct member *m, const char *name, rg_tensor *out)
{
    const unsigned char *p = s->bytes + m->local;
    if (m->local > s->n || s->n - m->local < LOCAL_BYTES || little(p, 4) != LOCAL_SIGNATURE)
        return rgi_source_fail(s, m->at + 42, "directory", "member '%.100s' is not where it should be", name);
    const uint64_t skip = LOCAL_BYTES + little(p + 26, 2) + little(p + 28, 2), room = s->n - m->local;
    if (little(p + 26, 2) != m->name_bytes || room < skip || memcmp(p + LOCAL_BYTES, m->name, m->name_bytes) != 0)
        return rgi_source_fail(s, m->local + 26, "local header", "member '%.100s' has another name here", name);
    if (room - skip < m->packed || (m->method == 0 && m->packed != m->size))
        return rgi_source_fail(s, m->at + 20, "directory", "member '%.100s' has an impossible size", name);
    rgi_source part = *s;
    part.part = name;
    part.base = m->local + skip;
    part.bytes = s->bytes + part.base;
    part.n = (size_t)m->packed;
    if (m->method == 0)
        return read_array(&part, m, out);
    unsigned char *bytes = NULL;
    rg_status status = unpack(&part, m, &bytes);
    if (status)
        return status;
    part.bytes = bytes;
    part.base = 0;
    part.n = (size_t)m->size;
    part.unpacked = true;
    status = read_array(&part, m, out);
    free(bytes);
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool rgi_zip_find_twice(const char *const *names, size_t n, const char **twice)
{
    const char **sorted = calloc(n + 1, sizeof *sorted);
    *twice = NULL;
    if (!sorted)
        return false;
    if (n)
        memcpy(sorted, names, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_name);
    for (size_t i = 1; i < n && !*twice; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            *twice = sorted[i];
    free(sorted);
    return true;
}

static rg_status verify_names(const rgi_source *s, const rg_archive *a)
{
    const char *twice;
    if (!rgi_zip_find_twice((const char *const *)a->names, a->n, &twice))
        return rgi_fail(RG_ERR_MEMORY, "rg_read_npz: %s: out of memory", s->path);
    return twice ? rgi_source_fail(s, s->n, "directory", "member '%.100s.npy' is there twice", twice) : RG_OK;
}

static rg_status read_members(const rgi_source *s, rg_archive *out)
{
    uint64_t at64 = 0, n = 0, bytes = 0, packed = 0;
    rg_status status = find_directory(s, &at64, &n, &bytes);
    if (status)
        return status;
    size_t at = (size_t)at64;
    const uint64_t end = at64 + bytes;
    out->names = calloc((size_t)n + 1, sizeof *out->names);
    out->tensors = calloc((size_t)n + 1, sizeof *out->tensors);
    if (!out->names || !out->tensors)
        return rgi_fail(RG_ERR_MEMORY, "rg_read_npz: %s: out of memory for %" PRIu64 " members", s->path, n);
    for (; out->n < n; out->n++) {
        struct member m = {.name = (const unsigned char *)""};
        if ((status = read_entry(s, &at, end, &m)))
            return status;
        char *name = calloc(m.name_bytes + 1, 1);
        if (!name)
            return rgi_fail(RG_ERR_MEMORY, "rg_read_npz: %s: out of memory", s->path);
        out->names[out->n] = name;
        memcpy(name, m.name, m.name_bytes); /* as the file calls it, while it is read */
        packed += m.packed + LOCAL_BYTES;   /* members that share bytes would let a small file take much memory */
        if (m.packed > s->n || packed > s->n)
            status = rgi_source_fail(s, m.at, "directory", "the members up to '%.100s' are larger than the file", name);
        else
            status = read_member(s, &m, name, &out->tensors[out->n]);
        name[m.name_bytes - 4] = '\0';
        if (status) {
            free(name);
            return status;
        }
    }
    return at == end ? verify_names(s, out) : rgi_source_fail(s, at, "directory", "bytes after its last entry");
}

rg_status rg_read_npz(const char *path, rg_archive *out)
{
    if (!out)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_read_npz: out is NULL");
    *out = (rg_archive){0};
    rgi_source s;
    rg_status status = rgi_source_open(&s, "rg_read_npz", path);
    if (status)
        return status;
    status = read_members(&s, out);
    rgi_source_close(&s);
    if (status)
        rg_archive_free(out);
    return status;
}

const rg_tensor *rg_archive_find(const rg_archive *a, const char *name)
{
    for (size_t i = 0; a && name && i < a->n; i++)
        if (strcmp(a->names[i], name) == 0)
            return &a->tensors[i];
    return NULL;
}

void rg_archive_free(rg_archive *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->n; i++) {
        free(a->names[i]);
        rg_tensor_free(&a->tensors[i]);
    }
    free(a->names);
    free(a->tensors);
    *a = (rg_archive){0};
}
