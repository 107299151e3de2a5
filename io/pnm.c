/* pnm.c - portable grey and pixel maps, the formats of eight bits that need no library: P2 and P5 (grey), P3 and P6
   (red green blue); P2 and P3 are text. (J. Poskanzer, https://netpbm.sourceforge.net/doc/pgm.html, ppm.html) */
#include <retrograde/io.h>

#include "../graph/arena.h"
#include "../graph/error.h"
#include "picture.h"
#include "source.h"
#include "writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

rg_status rgi_picture_of(const char *caller, const char *path, const rg_tensor *image, int64_t most, rgi_picture *out)
{
    if (!path || !image || !image->data)
        return rgi_fail(RG_ERR_ARGUMENT, "%s: %s", caller,
                        !path ? "path is NULL" : "the image is NULL or has no elements");
    const rg_shape *s = &image->shape;
    char text[RGI_LABEL];
    const int64_t channels = s->rank == 3 ? s->dim[2] : 1;
    if (image->dtype != RG_U8)
        return rgi_fail(RG_ERR_DTYPE, "%s: %s: a picture is u8, not %s", caller, path, rg_dtype_name(image->dtype));
    if (s->rank < 2 || s->rank > 3 || channels < 1 || channels > most || (most == 3 && channels == 2))
        return rgi_fail(RG_ERR_SHAPE, "%s: %s: a picture is [height, width] or [height, width, %s], not %s", caller,
                        path, most == 3 ? "1 or 3" : "1 to 4",
                        rgi_format_type(NULL, image->dtype, *s, text, sizeof text));
    if (s->dim[0] < 1 || s->dim[1] < 1 || s->dim[0] > INT32_MAX || s->dim[1] > INT32_MAX)
        return rgi_fail(RG_ERR_SHAPE, "%s: %s: %s pixels", caller, path,
                        rgi_format_type(NULL, image->dtype, *s, text, sizeof text));
    *out = (rgi_picture){(size_t)s->dim[1], (size_t)s->dim[0], (size_t)channels};
    return RG_OK;
}

/* ---- reading ---- */

typedef struct reader {
    rgi_source *source;
    size_t at;
} reader;

/* The next number of the text, after white space and comments; at most `most`. */
static rg_status number(reader *r, const char *field, uint32_t most, uint32_t *out)
{
    const rgi_source *s = r->source;
    while (r->at < s->n && strchr(" \t\r\n\v\f#", s->bytes[r->at]) && s->bytes[r->at]) {
        const bool comment = s->bytes[r->at] == '#';
        while (comment && r->at < s->n && s->bytes[r->at] != '\n')
            r->at++;
        r->at += r->at < s->n;
    }
    const size_t first = r->at;
    uint64_t value = 0;
    for (; r->at < s->n && s->bytes[r->at] >= '0' && s->bytes[r->at] <= '9'; r->at++) {
        value = 10 * value + (uint64_t)(s->bytes[r->at] - '0');
        if (value > most)
            return rgi_source_fail(s, first, field, "it is more than %" PRIu32, most);
    }
    if (r->at == first)
        return rgi_source_fail(s, first, field, r->at < s->n ? "no number stands here" : "the file ends here");
    *out = (uint32_t)value;
    return RG_OK;
}

static rg_status pixels(reader *r, bool text, uint32_t most, size_t n, unsigned char *to)
{
    const rgi_source *s = r->source;
    if (!text)
        memcpy(to, s->bytes + r->at, n);
    for (size_t i = 0; i < n; i++) {
        uint32_t value = to[i];
        const rg_status status = text ? number(r, "pixels", most, &value) : RG_OK;
        if (status)
            return status;
        if (value > most)
            return rgi_source_fail(s, r->at + i, "pixels", "%" PRIu32 " is above the maximum, %" PRIu32, value, most);
        to[i] = (unsigned char)((value * 255 + most / 2) / most);
    }
    return RG_OK;
}

static rg_status read_picture(reader *r, rg_tensor *out)
{
    const rgi_source *s = r->source;
    uint32_t width = 0, height = 0, most = 0;
    rg_status status;
    const char kind = s->n > 1 && s->bytes[0] == 'P' ? (char)s->bytes[1] : '?';
    if (!strchr("2356", kind))
        return rgi_source_fail(s, 0, "magic", "neither of P2, P3, P5, P6: no grey or pixel map");
    const size_t channels = kind == '3' || kind == '6' ? 3 : 1;
    const bool text = kind < '5';
    r->at = 2;
    if ((status = number(r, "width", INT32_MAX, &width)) || (status = number(r, "height", INT32_MAX, &height)))
        return status;
    const size_t at = r->at;
    if ((status = number(r, "maximum", 65535, &most)))
        return status;
    if (most < 1 || most > 255)
        return rgi_source_fail(s, at, "maximum", "%" PRIu32 " is not in 1..255", most);
    if (width < 1 || height < 1)
        return rgi_source_fail(s, 2, "size", "%" PRIu32 " x %" PRIu32 " pixels", width, height);
    r->at += !text; /* one white space */
    const size_t left = s->n > r->at ? s->n - r->at : 0;
    size_t n;
    if (!rgi_size_mul((size_t)width * channels, height, &n) || n > (text ? left / 2 + 1 : left))
        return rgi_source_fail(s, r->at, "pixels", "the file ends before %" PRIu32 " x %" PRIu32 " of them", width,
                               height);
    rg_shape shape = {.rank = channels > 1 ? 3 : 2, .dim = {height, width, (int64_t)channels}};
    if ((status = rgi_file_tensor(s->caller, s->path, out, RG_U8, shape)))
        return status;
    if ((status = pixels(r, text, most, n, out->data)))
        return status;
    if (!text && r->at + n < s->n)
        return rgi_source_fail(s, r->at + n, "end of file", "bytes follow the last pixel");
    return RG_OK;
}

rg_status rg_read_pnm(const char *path, rg_tensor *out)
{
    if (!path || !out)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_read_pnm: %s is NULL", path ? "out" : "path");
    *out = (rg_tensor){0};
    rgi_source source;
    rg_status status = rgi_source_open(&source, "rg_read_pnm", path);
    if (status)
        return status;
    status = read_picture(&(reader){.source = &source}, out);
    rgi_source_close(&source);
    if (status)
        rg_tensor_free(out);
    return status;
}

/* ---- writing ---- */

rg_status rg_write_pnm(const char *path, const rg_tensor *image)
{
    rgi_picture p = {0, 0, 0};
    rg_status status = rgi_picture_of("rg_write_pnm", path, image, 3, &p);
    if (status)
        return status;
    char header[64];
    const int length =
        snprintf(header, sizeof header, "P%c\n%zu %zu\n255\n", p.channels == 3 ? '6' : '5', p.width, p.height);
    rgi_writer w;
    const rg_allocator allocator = rgi_default_allocator();
    status = rgi_writer_open(&w, &allocator, "rg_write_pnm", path);
    if (!status)
        status = rgi_writer_put(&w, header, (size_t)length);
    if (!status)
        status = rgi_writer_put(&w, image->data, p.width * p.height * p.channels);
    if (!status)
        status = rgi_writer_commit(&w, NULL);
    rgi_writer_finish(&w);
    return status;
}
