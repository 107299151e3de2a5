/* png.c - portable network graphics (ISO/IEC 15948). The chunks and their checksums are walked here, so that an error
   can say where it is; libpng, where the library was built with it, unpacks and packs the pixels. */
#include <retrograde/io.h>

#include "../graph/arena.h"
#include "../graph/error.h"
#include "picture.h"
#include "source.h"
#include "writer.h"

#include <inttypes.h>
#include <string.h>

#ifdef RGI_HAVE_PNG

#include <png.h>
#include <zlib.h>

#define MOST_RATIO 1040 /* pixels' bytes that a byte of deflated data can stand for, rounded up */

static uint32_t big_endian(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* What a walk over the chunks finds. */
typedef struct outline {
    size_t pixels_at;   /* the first chunk of pixels */
    size_t pixel_bytes; /* deflated */
} outline;

static rg_status check_header(const rgi_source *s, const unsigned char *at)
{
    static const unsigned char names[7] = {[0] = 1, [2] = 3, [3] = 1, [4] = 2, [6] = 4}; /* channels of colour types */
    const uint32_t width = big_endian(at), height = big_endian(at + 4);
    const unsigned depth = at[8], colour = at[9];
    const bool few = depth == 1 || depth == 2 || depth == 4;
    if (width < 1 || width > INT32_MAX)
        return rgi_source_fail(s, 16, "width", "%" PRIu32 " pixels", width);
    if (height < 1 || height > INT32_MAX)
        return rgi_source_fail(s, 20, "height", "%" PRIu32 " pixels", height);
    if (colour > 6 || !names[colour])
        return rgi_source_fail(s, 25, "colour type", "%u is none", colour);
    if (!(depth == 8 || (depth == 16 && colour != 3) || (few && (colour == 0 || colour == 3))))
        return rgi_source_fail(s, 24, "bit depth", "%u bits of colour type %u", depth, colour);
    for (int i = 10; i < 13; i++)
        if (at[i] > (i == 12))
            return rgi_source_fail(s, 16 + (size_t)i,
                                   i == 10   ? "compression"
                                   : i == 11 ? "filter"
                                             : "interlacing",
                                   "method %u is unknown", at[i]);
    return RG_OK;
}

/* Whether the file could hold that many pixels, so that a header that lies costs no memory. */
static rg_status check_size(const rgi_source *s, const outline *o)
{
    static const unsigned char channels[7] = {1, 0, 3, 1, 2, 0, 4};
    const unsigned char *at = s->bytes + 16;
    const uint64_t bits = (uint64_t)channels[at[9]] * at[8] * big_endian(at);
    const uint64_t row = (bits + 7) / 8, most = ((uint64_t)o->pixel_bytes + 1) * MOST_RATIO;
    if (row > most / big_endian(at + 4))
        return rgi_source_fail(s, 16, "size",
                               "%" PRIu32 " x %" PRIu32 " pixels are more than %zu bytes of packed pixels can hold",
                               big_endian(at), big_endian(at + 4), o->pixel_bytes);
    return RG_OK;
}

static rg_status walk(const rgi_source *s, outline *o)
{
    static const unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    *o = (outline){0, 0};
    if (s->n < 8 || memcmp(s->bytes, signature, 8) != 0)
        return rgi_source_fail(s, 0, "signature", "this is no PNG file");
    for (size_t at = 8, first = 1;; first = 0) {
        char name[5] = "";
        if (s->n - at < 12)
            return rgi_source_fail(s, at, "chunk", "the file ends here, before its chunk IEND");
        const uint32_t length = big_endian(s->bytes + at);
        for (int i = 0; i < 4; i++)
            name[i] = s->bytes[at + 4 + (size_t)i] < 127 && s->bytes[at + 4 + (size_t)i] > 32
                          ? (char)s->bytes[at + 4 + (size_t)i]
                          : '?';
        if (length > s->n - at - 12)
            return rgi_source_fail(s, at, name, "a chunk of %" PRIu32 " bytes, of which the file has %zu", length,
                                   s->n - at - 12);
        const uint32_t stored = big_endian(s->bytes + at + 8 + length);
        const uint32_t sum = (uint32_t)crc32(0, s->bytes + at + 4, length + 4);
        if (stored != sum)
            return rgi_source_fail(s, at + 8 + length, name, "the checksum is %08" PRIx32 ", the bytes have %08" PRIx32,
                                   stored, sum);
        if (first ? length != 13 || strcmp(name, "IHDR") != 0 : !strcmp(name, "IHDR"))
            return rgi_source_fail(s, at, name, first ? "the first chunk is no IHDR of 13 bytes" : "a second header");
        const rg_status status = first ? check_header(s, s->bytes + at + 8) : RG_OK;
        if (status)
            return status;
        if (!strcmp(name, "IDAT")) {
            o->pixels_at = o->pixel_bytes ? o->pixels_at : at;
            o->pixel_bytes += length;
        }
        at += 12 + (size_t)length;
        if (strcmp(name, "IEND") != 0)
            continue;
        if (at != s->n)
            return rgi_source_fail(s, at, "end of file", "bytes follow the chunk IEND");
        return o->pixel_bytes ? check_size(s, o) : rgi_source_fail(s, at - 12, name, "there are no pixels before it");
    }
}

/* Whether libpng, which says it in words alone, was short of memory. */
static bool short_of_memory(const png_image *image)
{
    return strstr(image->message, "emory") != NULL;
}

static rg_status read_picture(const rgi_source *s, rg_tensor *out)
{
    outline o;
    rg_status status = walk(s, &o);
    if (status)
        return status;
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (png_image_begin_read_from_memory(&image, s->bytes, s->n)) {
        image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB; /* without a gamma, of 16 bits as of 8 */
        image.format &= PNG_FORMAT_FLAG_COLOR | PNG_FORMAT_FLAG_ALPHA;
        const int64_t channels = (int64_t)PNG_IMAGE_PIXEL_CHANNELS(image.format);
        const rg_shape shape = {.rank = channels > 1 ? 3 : 2, .dim = {image.height, image.width, channels}};
        status = rgi_file_tensor(s->caller, s->path, out, RG_U8, shape);
        if (!status && png_image_finish_read(&image, NULL, out->data, 0, NULL) && !PNG_IMAGE_FAILED(image))
            return RG_OK;
    }
    if (!status && short_of_memory(&image))
        status = rgi_fail(RG_ERR_MEMORY, "%s: %s: out of memory for the pixels", s->caller, s->path);
    else if (!status)
        status = rgi_source_fail(s, o.pixels_at, "pixels", "%s", image.message);
    png_image_free(&image);
    return status;
}

rg_status rg_read_png(const char *path, rg_tensor *out)
{
    if (!path || !out)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_read_png: %s is NULL", path ? "out" : "path");
    *out = (rg_tensor){0};
    rgi_source source;
    rg_status status = rgi_source_open(&source, "rg_read_png", path);
    if (status)
        return status;
    status = read_picture(&source, out);
    rgi_source_close(&source);
    if (status)
        rg_tensor_free(out);
    return status;
}

static rg_status pack_fail(const char *path, const png_image *image)
{
    return rgi_fail(short_of_memory(image) ? RG_ERR_MEMORY : RG_ERR_ARGUMENT, "rg_write_png: %s: %s", path,
                    image->message);
}

/* The whole file into memory: libpng is asked twice, for its size and for its bytes. */
static rg_status pack(const char *path, const rg_tensor *picture, const rgi_picture *p, const rg_allocator *a,
                      void **bytes, size_t *room, size_t *n)
{
    static const png_uint_32 formats[] = {0, PNG_FORMAT_GRAY, PNG_FORMAT_GA, PNG_FORMAT_RGB, PNG_FORMAT_RGBA};
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)p->width,
                       .height = (png_uint_32)p->height,
                       .format = formats[p->channels]};
    png_alloc_size_t size = 0;
    if (!png_image_write_to_memory(&image, NULL, &size, 0, picture->data, 0, NULL))
        return pack_fail(path, &image);
    *room = size;
    *bytes = rgi_alloc(a, size);
    if (!*bytes)
        return rgi_fail(RG_ERR_MEMORY, "rg_write_png: %s: out of memory", path);
    if (!png_image_write_to_memory(&image, *bytes, &size, 0, picture->data, 0, NULL))
        return pack_fail(path, &image);
    *n = size;
    return RG_OK;
}

rg_status rg_write_png(const char *path, const rg_tensor *image)
{
    rgi_picture p = {0, 0, 0};
    rg_status status = rgi_picture_of("rg_write_png", path, image, 4, &p);
    if (status)
        return status;
    const rg_allocator allocator = rgi_default_allocator();
    void *bytes = NULL;
    size_t room = 0, n = 0;
    rgi_writer w;
    status = pack(path, image, &p, &allocator, &bytes, &room, &n);
    if (!status) {
        status = rgi_writer_open(&w, &allocator, "rg_write_png", path);
        if (!status)
            status = rgi_writer_put(&w, bytes, n);
        if (!status)
            status = rgi_writer_commit(&w, NULL);
        rgi_writer_finish(&w);
    }
    rgi_free(&allocator, bytes, room);
    return status;
}

#else

static rg_status without(const char *caller, const char *path)
{
    return rgi_fail(RG_ERR_ARGUMENT, "%s: %s: this library was built without libpng; rg_%s_pnm needs none", caller,
                    path ? path : "(no path)", caller[3] == 'r' ? "read" : "write");
}

rg_status rg_read_png(const char *path, rg_tensor *out)
{
    if (out)
        *out = (rg_tensor){0};
    return without("rg_read_png", path);
}

rg_status rg_write_png(const char *path, const rg_tensor *image)
{
    (void)image;
    return without("rg_write_png", path);
}

#endif
