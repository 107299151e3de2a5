/* npz_write.c - writing archives of arrays as numpy.savez does: members are stored, so that their elements can be read
   in place. */
#include <retrograde/io.h>

#include "../graph/arena.h"
#include "../graph/error.h"
#include "bytes.h"
#include "json.h"
#include "npy.h"
#include "writer.h"
#include "zip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

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
    if (!rgi_zip_find_twice(names, n, &twice))
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
