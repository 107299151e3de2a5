/* npz.c - archives of arrays as numpy.savez and savez_compressed write them: ZIP files (PKWARE's APPNOTE 6.3.10) whose
   members are npy files, stored or deflated, with the 64-bit extension. */
#define _POSIX_C_SOURCE 200809L

#include <retrograde/io.h>

#include "../graph/arena.h"
#include "../graph/error.h"
#include "bytes.h"
#include "json.h"
#include "npy.h"
#include "writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define LOCAL_SIGNATURE 0x04034b50u
#define CENTRAL_SIGNATURE 0x02014b50u
#define END_SIGNATURE 0x06054b50u
#define END64_SIGNATURE 0x06064b50u
#define LOCATOR64_SIGNATURE 0x07064b50u
#define LOCAL_BYTES 30
#define CENTRAL_BYTES 46
#define END_BYTES 22
#define END64_BYTES 56
#define LOCATOR64_BYTES 20
#define DEFLATE_MOST 1032 /* no byte of deflated data stands for more */

static uint64_t little(const unsigned char *p, size_t n)
{
    uint64_t value = 0;
    while (n-- > 0)
        value = value << 8 | p[n];
    return value;
}

/* ---- reading ---- */

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

/* A name that is there twice, NULL if there is none. False: out of memory. */
static bool find_twice(const char *const *names, size_t n, const char **twice)
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
    if (!find_twice((const char *const *)a->names, a->n, &twice))
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

/* ---- writing: members are stored, so that their elements can be read in place ---- */

/* Bytes of a record. */
struct record {
    unsigned char at[160];
    size_t n;
};

static void put(struct record *r, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        r->at[r->n++] = (unsigned char)(value >> 8 * i);
}

static uint32_t narrow(uint64_t value)
{
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

/* What is known of a member when its local header is written. */
struct stored {
    uint64_t size, local;
    uint32_t crc;
    size_t name_bytes;
    bool utf8; /* the name is more than ASCII */
};

/* The fields that local header and directory share, from the version needed to the length of the extra field. The date
   is the earliest that the format has, so that equal arrays make equal files. */
static void put_common(struct record *r, const struct stored *m, size_t extra)
{
    put(r, m->size >= UINT32_MAX || m->local >= UINT32_MAX ? 45 : 20, 2);
    put(r, m->utf8 ? 1 << 11 : 0, 2); /* flags */
    put(r, 0, 2);                     /* method: stored */
    put(r, 0, 2);
    put(r, 1 << 5 | 1, 2); /* 1 January 1980 */
    put(r, m->crc, 4);
    put(r, narrow(m->size), 4);
    put(r, narrow(m->size), 4);
    put(r, m->name_bytes, 2);
    put(r, extra, 2);
}

/* The elements of a tensor as they stand in the file count into the checksum, so on a big-endian machine they are
   turned first. */
static uint32_t checksum(const char *header, size_t header_bytes, const rg_tensor *t)
{
    const size_t width = rg_dtype_size(t->dtype), bytes = rg_tensor_bytes(t);
    unsigned char block[1 << 12];
    uLong crc = crc32(0, (const Bytef *)header, (uInt)header_bytes);
    for (size_t at = 0; at < bytes; at += sizeof block) {
        const size_t n = bytes - at < sizeof block ? bytes - at : sizeof block;
        memcpy(block, (const unsigned char *)t->data + at, n);
        rgi_little_endian(block, n / width, width);
        crc = crc32(crc, block, (uInt)n);
    }
    return (uint32_t)crc;
}

static bool is_ascii(const char *text)
{
    while (*text && (unsigned char)*text < 0x80)
        text++;
    return !*text;
}

static rg_status write_member(rgi_writer *w, const char *name, const rg_tensor *t, struct stored *m)
{
    char header[RGI_NPY_HEADER];
    size_t n;
    if (!rgi_npy_header(t, header, &n))
        return rgi_fail(RG_ERR_DTYPE, "rg_write_npz: %s: '%.100s': the format has no %s of rank %d", w->path, name,
                        rg_dtype_name(t->dtype), (int)t->shape.rank);
    *m = (struct stored){.size = n + rg_tensor_bytes(t),
                         .local = w->written,
                         .crc = checksum(header, n, t),
                         .name_bytes = strlen(name) + 4,
                         .utf8 = !is_ascii(name)};
    if (m->name_bytes > 60000)
        return rgi_fail(RG_ERR_NAME, "rg_write_npz: %s: a name of %zu bytes is too long", w->path, m->name_bytes - 4);
    /* Padding (an extra field that nobody reads) puts the elements at a multiple of 64. */
    const size_t wide = m->size >= UINT32_MAX ? 20 : 0, start = LOCAL_BYTES + m->name_bytes + wide + 4;
    const size_t padding = (64 - (m->local + start) % 64) % 64;
    struct record r = {.n = 0}, extra = {.n = 0};
    put(&r, LOCAL_SIGNATURE, 4);
    put_common(&r, m, wide + 4 + padding);
    if (wide) {
        put(&extra, 1, 2);
        put(&extra, 16, 2);
        put(&extra, m->size, 8);
        put(&extra, m->size, 8);
    }
    put(&extra, 0x4752, 2);
    put(&extra, padding, 2);
    for (size_t i = 0; i < padding; i++)
        put(&extra, 0, 1);
    rg_status status = rgi_writer_put(w, r.at, r.n);
    if (!status)
        status = rgi_writer_put(w, name, m->name_bytes - 4);
    if (!status)
        status = rgi_writer_put(w, ".npy", 4);
    if (!status)
        status = rgi_writer_put(w, extra.at, extra.n);
    if (!status)
        status = rgi_writer_put(w, header, n);
    return status ? status
                  : rgi_writer_put_values(w, t->data, (size_t)rg_shape_count(t->shape), rg_dtype_size(t->dtype));
}

static rg_status write_entry(rgi_writer *w, const char *name, const struct stored *m)
{
    struct record r = {.n = 0}, extra = {.n = 0};
    if (m->size >= UINT32_MAX) {
        put(&extra, m->size, 8);
        put(&extra, m->size, 8);
    }
    if (m->local >= UINT32_MAX)
        put(&extra, m->local, 8);
    put(&r, CENTRAL_SIGNATURE, 4);
    put(&r, 3 << 8 | 45, 2); /* made on Unix */
    put_common(&r, m, extra.n ? extra.n + 4 : 0);
    put(&r, 0, 2); /* comment */
    put(&r, 0, 2);
    put(&r, 0, 2);
    put(&r, (uint64_t)0100644 << 16, 4);
    put(&r, narrow(m->local), 4);
    rg_status status = rgi_writer_put(w, r.at, r.n);
    if (!status)
        status = rgi_writer_put(w, name, m->name_bytes - 4);
    if (!status)
        status = rgi_writer_put(w, ".npy", 4);
    if (!status && extra.n) {
        struct record head = {.n = 0};
        put(&head, 1, 2);
        put(&head, extra.n, 2);
        status = rgi_writer_put(w, head.at, head.n);
    }
    return status ? status : rgi_writer_put(w, extra.at, extra.n);
}

static rg_status write_directory(rgi_writer *w, const char *const *names, const struct stored *members, size_t n)
{
    const uint64_t at = w->written;
    rg_status status = RG_OK;
    for (size_t i = 0; i < n && !status; i++)
        status = write_entry(w, names[i], &members[i]);
    const uint64_t end = w->written, bytes = end - at;
    struct record r = {.n = 0};
    if (n >= UINT16_MAX || at >= UINT32_MAX || bytes >= UINT32_MAX) {
        put(&r, END64_SIGNATURE, 4);
        put(&r, END64_BYTES - 12, 8);
        put(&r, 3 << 8 | 45, 2);
        put(&r, 45, 2);
        put(&r, 0, 8); /* disks */
        put(&r, n, 8);
        put(&r, n, 8);
        put(&r, bytes, 8);
        put(&r, at, 8);
        put(&r, LOCATOR64_SIGNATURE, 4);
        put(&r, 0, 4);
        put(&r, end, 8);
        put(&r, 1, 4);
    }
    put(&r, END_SIGNATURE, 4);
    put(&r, 0, 4);
    put(&r, n < UINT16_MAX ? n : UINT16_MAX, 2);
    put(&r, n < UINT16_MAX ? n : UINT16_MAX, 2);
    put(&r, narrow(bytes), 4);
    put(&r, narrow(at), 4);
    put(&r, 0, 2);
    return status ? status : rgi_writer_put(w, r.at, r.n);
}

/* Names are there, once each and in UTF-8; so are the values. */
static rg_status check_members(const char *path, const char *const *names, const rg_tensor *tensors, size_t n)
{
    const char *twice;
    for (size_t i = 0; i < n; i++) {
        if (!names[i] || !*names[i])
            return rgi_fail(RG_ERR_NAME, "rg_write_npz: %s: tensor %zu has no name", path, i);
        if (!rgi_utf8_valid(names[i], strlen(names[i])))
            return rgi_fail(RG_ERR_NAME, "rg_write_npz: %s: the name of tensor %zu is not UTF-8", path, i);
        if (!tensors[i].data && rg_shape_count(tensors[i].shape))
            return rgi_fail(RG_ERR_ARGUMENT, "rg_write_npz: %s: '%.100s' has no values", path, names[i]);
    }
    if (!find_twice(names, n, &twice))
        return rgi_fail(RG_ERR_MEMORY, "rg_write_npz: %s: out of memory", path);
    return twice ? rgi_fail(RG_ERR_NAME, "rg_write_npz: %s: '%.100s' is there twice", path, twice) : RG_OK;
}

rg_status rg_write_npz(const char *path, const char *const *names, const rg_tensor *tensors, size_t n)
{
    if (!path || (n && (!names || !tensors)))
        return rgi_fail(RG_ERR_ARGUMENT, "rg_write_npz: %s is NULL", !path ? "path" : names ? "tensors" : "names");
    rg_status status = check_members(path, names, tensors, n);
    if (status)
        return status;
    const rg_allocator memory = rgi_default_allocator();
    struct stored *members = calloc(n + 1, sizeof *members);
    rgi_writer w = {.fd = -1};
    if (!members)
        return rgi_fail(RG_ERR_MEMORY, "rg_write_npz: %s: out of memory", path);
    status = rgi_writer_open(&w, &memory, "rg_write_npz", path);
    for (size_t i = 0; i < n && !status; i++)
        status = write_member(&w, names[i], &tensors[i], &members[i]);
    if (!status)
        status = write_directory(&w, names, members, n);
    if (!status)
        status = rgi_writer_commit(&w, NULL);
    rgi_writer_finish(&w);
    free(members);
    return status;
}
