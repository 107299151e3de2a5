/* idx.c - the IDX format of MNIST, gzip-compressed or not.

   Two zero bytes, a type code, the rank, then one big-endian u32 a size and the elements, big-endian, row-major
   (Y. LeCun, http://yann.lecun.com/exdb/mnist). */
#define _POSIX_C_SOURCE 200809L

#include <retrograde/io.h>

#include "../graph/arena.h"
#include "../graph/error.h"
#include "bytes.h"
#include "source.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#define FIRST_STEP ((size_t)1 << 20) /* memory taken before the file has shown that it holds as much */
#define CHUNK ((size_t)1 << 26)      /* largest single gzread, whose length is an unsigned int */

/* How elements of a type code are stored, and as what they arrive. */
struct code {
    unsigned char code;
    unsigned char width; /* bytes an element in the file */
    rg_dtype dtype;
};

static const struct code codes[] = {
    {0x08, 1, RG_U8}, {0x09, 1, RG_I32}, {0x0B, 2, RG_I32}, {0x0C, 4, RG_I32}, {0x0D, 4, RG_F32}, {0x0E, 8, RG_F64},
};

struct reader {
    gzFile file;
    const char *path;
    uint64_t offset; /* in the decompressed bytes */
};

/* What zlib or the system says is wrong, or that the file ends too early. */
static rg_status read_fail(const struct reader *r, const char *field)
{
    int code = Z_OK;
    const int system = errno;
    const char *text = gzerror(r->file, &code);
    if (code == Z_ERRNO)
        return rgi_fail(RG_ERR_IO, "rg_read_idx: %s: offset %" PRIu64 ": %s: %s", r->path, r->offset, field,
                        strerror(system));
    if (code == Z_MEM_ERROR)
        return rgi_fail(RG_ERR_MEMORY, "rg_read_idx: %s: out of memory while decompressing", r->path);
    if (code == Z_OK || code == Z_STREAM_END)
        return rgi_fail(RG_ERR_FORMAT, "rg_read_idx: %s: offset %" PRIu64 ": %s: the file ends here", r->path,
                        r->offset, field);
    const size_t prefix = strlen(r->path); /* zlib writes "path: what" */
    if (strncmp(text, r->path, prefix) == 0 && strncmp(text + prefix, ": ", 2) == 0)
        text += prefix + 2;
    return rgi_fail(RG_ERR_FORMAT,
                    "rg_read_idx: %s: offset %" PRIu64 " of the decompressed data: %s: corrupt gzip data (%s)", r->path,
                    r->offset, field, text);
}

static rg_status read_bytes(struct reader *r, void *out, size_t n, const char *field)
{
    unsigned char *to = out;
    while (n) {
        const size_t want = n < CHUNK ? n : CHUNK;
        const int got = gzread(r->file, to, (unsigned)want);
        if (got > 0) {
            r->offset += (uint64_t)got;
            to += got;
            n -= (size_t)got;
        }
        if (got < 0 || (size_t)got < want)
            return read_fail(r, field);
    }
    return RG_OK;
}

/* The header: magic, type code, rank, sizes. */
static rg_status read_header(struct reader *r, const struct code **code, rg_shape *shape)
{
    unsigned char magic[4];
    rg_status status = read_bytes(r, magic, sizeof magic, "magic number");
    if (status)
        return status;
    if (magic[0] || magic[1])
        return rgi_fail(RG_ERR_FORMAT,
                        "rg_read_idx: %s: offset 0: magic number: an IDX file starts with two zero bytes, this one "
                        "with 0x%02x 0x%02x",
                        r->path, magic[0], magic[1]);
    *code = NULL;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].code == magic[2])
            *code = &codes[i];
    if (!*code)
        return rgi_fail(
            RG_ERR_FORMAT,
            "rg_read_idx: %s: offset 2: type code: 0x%02x is none of 0x08 (u8), 0x09 (i8), 0x0b (i16), 0x0c (i32), "
            "0x0d (f32), 0x0e (f64)",
            r->path, magic[2]);
    if (magic[3] < 1 || magic[3] > RG_MAX_RANK)
        return rgi_fail(RG_ERR_FORMAT, "rg_read_idx: %s: offset 3: rank: %d is not in 1..%d", r->path, magic[3],
                        RG_MAX_RANK);
    *shape = (rg_shape){.rank = magic[3]};
    for (int32_t i = 0; i < shape->rank; i++) {
        unsigned char size[4];
        if ((status = read_bytes(r, size, sizeof size, "size of a dimension")))
            return status;
        shape->dim[i] = (int64_t)size[0] << 24 | size[1] << 16 | size[2] << 8 | size[3];
    }
    return RG_OK;
}

/* Bytes of the elements in the file and in memory; sizes whose product cannot be are an error. */
static rg_status count_bytes(const struct reader *r, const struct code *code, rg_shape shape, size_t *n, size_t *raw)
{
    const int64_t count = rg_shape_count(shape);
    size_t bytes;
    if (count < 0 || (uint64_t)count > SIZE_MAX || !rgi_size_mul((size_t)count, rg_dtype_size(code->dtype), &bytes) ||
        bytes > (size_t)INT64_MAX)
        return rgi_fail(RG_ERR_FORMAT, "rg_read_idx: %s: offset 4: sizes: their product does not fit the address space",
                        r->path);
    *n = (size_t)count;
    *raw = *n * code->width;
    return RG_OK;
}

/* The elements as they lie in the file. Memory grows with what the file has shown to hold, so a header that lies
   costs at most twice the file. */
static rg_status read_raw(struct reader *r, size_t raw, rg_tensor *out)
{
    size_t have = 0;
    rg_status status = RG_OK;
    do {
        const size_t left = raw - have, step = have > FIRST_STEP ? have : FIRST_STEP;
        const size_t n = left < step ? left : step;
        rg_tensor larger = {0};
        if ((status = rgi_file_tensor("rg_read_idx", r->path, &larger, RG_U8, RG_SHAPE((int64_t)(have + n)))))
            break;
        if (have)
            memcpy(larger.data, out->data, have);
        rg_tensor_free(out);
        *out = larger;
        if ((status = read_bytes(r, (unsigned char *)out->data + have, n, "elements")))
            break;
        have += n;
    } while (have < raw);
    return status;
}

/* No byte may follow. Reading on also makes zlib verify the checksum. */
static rg_status expect_end(struct reader *r)
{
    unsigned char extra;
    const int got = gzread(r->file, &extra, 1);
    if (got > 0)
        return rgi_fail(RG_ERR_FORMAT, "rg_read_idx: %s: offset %" PRIu64 ": bytes follow the last element", r->path,
                        r->offset);
    int code = Z_OK;
    gzerror(r->file, &code);
    return got < 0 || code == Z_BUF_ERROR ? read_fail(r, "end of file") : RG_OK;
}

/* i8 and i16 become i32: `raw` is replaced. */
static rg_status widen(const char *path, rg_tensor *raw, size_t width, size_t n, rg_shape shape)
{
    rg_tensor wide = {0};
    const rg_status status = rgi_file_tensor("rg_read_idx", path, &wide, RG_I32, shape);
    if (status)
        return status;
    int32_t *to = wide.data;
    const unsigned char *from = raw->data;
    for (size_t i = 0; i < n; i++)
        to[i] = width == 1 ? (int8_t)from[i] : (int16_t)(from[2 * i] << 8 | from[2 * i + 1]);
    rg_tensor_free(raw);
    *raw = wide;
    return RG_OK;
}

static rg_status read_tensor(struct reader *r, rg_tensor *out)
{
    const struct code *code = NULL;
    rg_shape shape = {0};
    size_t n = 0, raw = 0;
    rg_status status;
    if ((status = read_header(r, &code, &shape)) || (status = count_bytes(r, code, shape, &n, &raw)) ||
        (status = read_raw(r, raw, out)) || (status = expect_end(r)))
        return status;
    if (code->width < rg_dtype_size(code->dtype))
        return widen(r->path, out, code->width, n, shape);
    rgi_from_big_endian(out->data, n, code->width);
    out->dtype = code->dtype; /* the same bytes under another name */
    out->shape = shape;
    return RG_OK;
}

rg_status rg_read_idx(const char *path, rg_tensor *out)
{
    if (!out)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_read_idx: out is NULL");
    *out = (rg_tensor){0};
    if (!path)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_read_idx: path is NULL");
    errno = 0;
    struct reader r = {.file = gzopen(path, "rbe"), .path = path};
    if (!r.file)
        return errno && errno != ENOMEM ? rgi_fail(RG_ERR_IO, "rg_read_idx: %s: %s", path, strerror(errno))
                                        : rgi_fail(RG_ERR_MEMORY, "rg_read_idx: %s: out of memory", path);
    gzbuffer(r.file, 1 << 17);
    const rg_status status = read_tensor(&r, out);
    gzclose_r(r.file);
    if (status)
        rg_tensor_free(out);
    return status;
}
