/* test_picture.c - PNG and portable maps: what is written is read again; files made by hand; every byte that is wrong
   is named. */
#define _DEFAULT_SOURCE

#include <retrograde/io.h>

#include "files.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

typedef rg_status read_fn(const char *path, rg_tensor *out);
typedef rg_status write_fn(const char *path, const rg_tensor *image);

static void expect_picture(read_fn *read, rg_shape shape, const void *pixels)
{
    rg_tensor t;
    cr_assert_eq(read(path, &t), RG_OK, "%s", rg_last_error());
    cr_assert_eq(t.dtype, RG_U8);
    cr_assert(rg_shape_equal(t.shape, shape));
    cr_assert_arr_eq(t.data, pixels, rg_tensor_bytes(&t));
    rg_tensor_free(&t);
}

static void expect_error(read_fn *read, const void *bytes, size_t n, rg_status status, const char *message)
{
    rg_tensor t = {.dtype = RG_F64};
    write_bytes(bytes, n);
    const rg_status got = read(path, &t);
    cr_assert_eq(got, status, "%s: %s", rg_status_name(got), rg_last_error());
    cr_assert(says(message) && says(path), "'%s' lacks '%s'", rg_last_error(), message);
    cr_assert(!t.data && !t.owner && t.dtype == 0 && t.shape.rank == 0, "the tensor is not empty");
}

static void round_trip(write_fn *write, read_fn *read, int most)
{
    unsigned char pixels[7 * 5 * 4];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (unsigned char)(i * 37 + i / 9);
    for (int channels = 1; channels <= most; channels++) {
        if (most == 3 && channels == 2)
            continue;
        const rg_shape shape = {.rank = channels > 1 ? 3 : 2, .dim = {7, 5, channels}};
        cr_assert_eq(write(path, &(rg_tensor){.dtype = RG_U8, .shape = shape, .data = pixels}), RG_OK, "%s",
                     rg_last_error());
        expect_picture(read, shape, pixels);
        cr_assert_eq(files(false), 1);
    }
    const rg_shape one = RG_SHAPE(1, 1, 1); /* a single grey pixel; the axis of one channel goes */
    cr_assert_eq(write(path, &(rg_tensor){.dtype = RG_U8, .shape = one, .data = pixels}), RG_OK);
    expect_picture(read, RG_SHAPE(1, 1), pixels);
}

static void refusals(write_fn *write)
{
    unsigned char pixels[64] = {0};
    static const struct {
        rg_dtype dtype;
        rg_shape shape;
        rg_status status;
        const char *message;
    } rows[] = {
        {RG_F32, {.rank = 2, .dim = {2, 2}}, RG_ERR_DTYPE, "f32"},
        {RG_U8, {.rank = 1, .dim = {4}}, RG_ERR_SHAPE, "[4]|height"},
        {RG_U8, {.rank = 3, .dim = {2, 2, 5}}, RG_ERR_SHAPE, "[2, 2, 5]"},
        {RG_U8, {.rank = 4, .dim = {1, 2, 2, 3}}, RG_ERR_SHAPE, "[1, 2, 2, 3]"},
        {RG_U8, {.rank = 2, .dim = {0, 2}}, RG_ERR_SHAPE, "[0, 2]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const rg_tensor t = {.dtype = rows[i].dtype, .shape = rows[i].shape, .data = pixels};
        cr_expect_eq(write(path, &t), rows[i].status, "%zu: %s", i, rg_last_error());
        cr_expect(says(rows[i].message) && says(path), "%s", rg_last_error());
    }
    const rg_tensor good = {.dtype = RG_U8, .shape = RG_SHAPE(2, 2), .data = pixels};
    cr_expect_eq(write(NULL, &good), RG_ERR_ARGUMENT);
    cr_expect_eq(write(path, NULL), RG_ERR_ARGUMENT);
    cr_expect_eq(write("/nowhere/at/all.png", &good), RG_ERR_IO);
    cr_expect(says("/nowhere/at/all.png"), "%s", rg_last_error());
    cr_expect_eq(files(false), 0);
}

/* ---- portable maps ---- */

Test(picture_pnm, what_is_written_is_read_again)
{
    begin();
    round_trip(rg_write_pnm, rg_read_pnm, 3);
    end();
}

Test(picture_pnm, no_picture_is_not_written)
{
    begin();
    refusals(rg_write_pnm);
    end();
}

Test(picture_pnm, text_comments_and_other_maxima)
{
    begin();
    static const char text[] = "P2 # grey\n# two lines\n3 2\t15\n0 1 2\n# and here\n13 14 15\n";
    static const unsigned char grey[] = {0, 17, 34, 221, 238, 255};
    write_bytes(text, sizeof text - 1);
    expect_picture(rg_read_pnm, RG_SHAPE(2, 3), grey);
    static const char colour[] = "P3\n1 2\n255\n1 2 3 250 251 252";
    static const unsigned char pixels[] = {1, 2, 3, 250, 251, 252};
    write_bytes(colour, sizeof colour - 1);
    expect_picture(rg_read_pnm, RG_SHAPE(2, 1, 3), pixels);
    static const char binary[] = "P5 2 1 100 \x32\x64"; /* 50 and 100 of 100 */
    static const unsigned char half[] = {128, 255};
    write_bytes(binary, 13);
    expect_picture(rg_read_pnm, RG_SHAPE(1, 2), half);
    end();
}

Test(picture_pnm, what_is_wrong_is_named)
{
    begin();
    static const struct {
        const char *bytes;
        size_t n;
        const char *message;
    } rows[] = {
        {"", 0, "offset 0|magic"},
        {"P4\n1 1\n1", 8, "offset 0|magic"},
        {"P5\nx 1\n255\n1", 12, "offset 3|width|no number"},
        {"P5\n3", 4, "offset 4|height|ends here"},
        {"P5\n0 1\n255\n", 11, "size|0 x 1"},
        {"P5\n99999999999 1\n255\n1", 22, "offset 3|width|more than"},
        {"P5\n1 1\n0\n1", 10, "offset 6|maximum|0"},
        {"P5\n1 1\n65535\n11", 15, "offset 6|maximum|65535"},
        {"P5\n2 2\n255\n123", 14, "offset 11|pixels|2 x 2"},
        {"P6\n1 1\n255\n12", 13, "offset 11|pixels"},
        {"P5\n1 1\n255\n12", 13, "offset 12|end of file"},
        {"P5\n1 1\n9\n\x0a", 10, "offset 9|pixels|10 is above"},
        {"P2\n2 1\n9\n1 a", 12, "offset 11|pixels|no number"},
        {"P5\n2147483647 2147483647\n255\n1", 30, "offset 29|pixels"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_error(rg_read_pnm, rows[i].bytes, rows[i].n, RG_ERR_FORMAT, rows[i].message);
    rg_tensor t;
    cr_expect_eq(rg_read_pnm("/nowhere/at/all.pgm", &t), RG_ERR_IO);
    cr_expect_eq(rg_read_pnm(NULL, &t), RG_ERR_ARGUMENT);
    cr_expect_eq(rg_read_pnm(path, NULL), RG_ERR_ARGUMENT);
    end();
}

/* ---- PNG ---- */

static bool have_png(void)
{
    rg_tensor t;
    return rg_read_png("/nowhere/at/all.png", &t) == RG_ERR_IO;
}

/* A PNG file put together by hand: its chunks, with lengths and checksums. */
typedef struct file {
    unsigned char at[4096];
    size_t n;
} file;

static void put_number(unsigned char *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(v >> (24 - 8 * i));
}

static void put_chunk(file *f, const char *name, const void *data, size_t n)
{
    unsigned char *to = f->at + f->n;
    put_number(to, (uint32_t)n);
    memcpy(to + 4, name, 4);
    if (n)
        memcpy(to + 8, data, n);
    put_number(to + 8 + n, (uint32_t)crc32(0, to + 4, (uInt)n + 4));
    f->n += 12 + n;
}

static file new_file(uint32_t width, uint32_t height, int depth, int colour, int interlaced)
{
    static const unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    unsigned char header[13] = {
        [8] = (unsigned char)depth, [9] = (unsigned char)colour, [12] = (unsigned char)interlaced};
    file f = {.n = 8};
    memcpy(f.at, signature, 8);
    put_number(header, width);
    put_number(header + 4, height);
    put_chunk(&f, "IHDR", header, 13);
    return f;
}

static void put_pixels(file *f, const void *rows, size_t n)
{
    unsigned char packed[1024];
    uLongf size = sizeof packed;
    cr_assert_eq(compress2(packed, &size, rows, n, 9), Z_OK);
    put_chunk(f, "IDAT", packed, size);
}

static file small_file(void)
{
    file f = new_file(2, 2, 8, 0, 0);
    put_pixels(&f, "\0\x01\x02\0\x03\x04", 6);
    put_chunk(&f, "IEND", NULL, 0);
    return f;
}

Test(picture_png, what_is_written_is_read_again)
{
    if (!have_png())
        cr_skip_test("without libpng");
    begin();
    round_trip(rg_write_png, rg_read_png, 4);
    end();
}

Test(picture_png, no_picture_is_not_written)
{
    if (!have_png())
        cr_skip_test("without libpng");
    begin();
    refusals(rg_write_png);
    end();
}

Test(picture_png, other_kinds_become_eight_bits)
{
    if (!have_png())
        cr_skip_test("without libpng");
    begin();
    file f = new_file(4, 1, 2, 0, 0); /* two bits a pixel */
    put_pixels(&f, "\0\x1b", 2);
    put_chunk(&f, "IEND", NULL, 0);
    write_bytes(f.at, f.n);
    expect_picture(rg_read_png, RG_SHAPE(1, 4), "\0\x55\xaa\xff");
    f = new_file(2, 1, 8, 3, 0); /* a palette */
    put_chunk(&f, "PLTE", "\x01\x02\x03\xf1\xf2\xf3", 6);
    put_pixels(&f, "\0\x01\0", 3);
    put_chunk(&f, "IEND", NULL, 0);
    write_bytes(f.at, f.n);
    expect_picture(rg_read_png, RG_SHAPE(1, 2, 3), "\xf1\xf2\xf3\x01\x02\x03");
    f = new_file(1, 2, 16, 0, 0); /* sixteen bits, rounded */
    put_pixels(&f, "\0\x80\x80\0\xff\xff", 6);
    put_chunk(&f, "IEND", NULL, 0);
    write_bytes(f.at, f.n);
    expect_picture(rg_read_png, RG_SHAPE(2, 1), "\x80\xff");
    f = new_file(1, 1, 8, 0, 1); /* interlaced, with text and the pixels in two parts */
    put_chunk(&f, "tEXt", "Comment\0none", 12);
    unsigned char packed[64];
    uLongf size = sizeof packed;
    cr_assert_eq(compress2(packed, &size, (const unsigned char *)"\0\x2a", 2, 9), Z_OK);
    put_chunk(&f, "IDAT", packed, 3);
    put_chunk(&f, "IDAT", packed + 3, size - 3);
    put_chunk(&f, "IEND", NULL, 0);
    write_bytes(f.at, f.n);
    expect_picture(rg_read_png, RG_SHAPE(1, 1), "\x2a");
    end();
}

Test(picture_png, what_is_wrong_is_named)
{
    if (!have_png())
        cr_skip_test("without libpng");
    begin();
    file f = small_file();
    write_bytes(f.at, f.n);
    expect_picture(rg_read_png, RG_SHAPE(2, 2), "\x01\x02\x03\x04");
    expect_error(rg_read_png, "", 0, RG_ERR_FORMAT, "offset 0|signature");
    expect_error(rg_read_png, "GIF89a..", 8, RG_ERR_FORMAT, "offset 0|signature");
    expect_error(rg_read_png, f.at, 8, RG_ERR_FORMAT, "offset 8|chunk|ends here");
    expect_error(rg_read_png, f.at, 40, RG_ERR_FORMAT, "offset 33|chunk|ends here");
    expect_error(rg_read_png, f.at, f.n - 12, RG_ERR_FORMAT, "chunk|IEND");
    f.at[20] ^= 1; /* height */
    expect_error(rg_read_png, f.at, f.n, RG_ERR_FORMAT, "offset 29|IHDR|checksum");
    f = small_file();
    f.at[f.n++] = 0;
    expect_error(rg_read_png, f.at, f.n, RG_ERR_FORMAT, "end of file|bytes follow");
    f = small_file();
    put_number(f.at + 33, 4000);
    expect_error(rg_read_png, f.at, f.n, RG_ERR_FORMAT, "offset 33|IDAT|4000 bytes");
    static const struct {
        uint32_t width, height;
        int depth, colour, interlaced;
        const char *message;
    } headers[] = {
        {0, 1, 8, 0, 0, "offset 16|width|0 pixels"},
        {1, 0x80000000u, 8, 0, 0, "offset 20|height"},
        {1, 1, 8, 5, 0, "offset 25|colour type|5"},
        {1, 1, 3, 0, 0, "offset 24|bit depth|3 bits"},
        {1, 1, 16, 3, 0, "offset 24|bit depth|16 bits"},
        {1, 1, 8, 0, 2, "offset 28|interlacing|2"},
        {0x7fffffff, 0x7fffffff, 16, 6, 0, "offset 16|size|can hold"},
        {100000, 100000, 8, 0, 0, "offset 16|size|100000 x 100000"},
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        f = new_file(headers[i].width, headers[i].height, headers[i].depth, headers[i].colour, headers[i].interlaced);
        put_pixels(&f, "\0\x01", 2);
        put_chunk(&f, "IEND", NULL, 0);
        expect_error(rg_read_png, f.at, f.n, RG_ERR_FORMAT, headers[i].message);
    }
    f = new_file(2, 2, 8, 0, 0);
    put_chunk(&f, "IEND", NULL, 0);
    expect_error(rg_read_png, f.at, f.n, RG_ERR_FORMAT, "offset 33|IEND|no pixels");
    f = new_file(2, 2, 8, 0, 0);
    put_chunk(&f, "IDAT", "no deflated data", 16);
    put_chunk(&f, "IEND", NULL, 0);
    expect_error(rg_read_png, f.at, f.n, RG_ERR_FORMAT, "offset 33|pixels");
    f = new_file(2, 2, 8, 0, 0); /* a row is missing */
    put_pixels(&f, "\0\x01\x02", 3);
    put_chunk(&f, "IEND", NULL, 0);
    expect_error(rg_read_png, f.at, f.n, RG_ERR_FORMAT, "offset 33|pixels");
    f = new_file(1, 1, 8, 3, 0); /* no palette */
    put_pixels(&f, "\0\0", 2);
    put_chunk(&f, "IEND", NULL, 0);
    expect_error(rg_read_png, f.at, f.n, RG_ERR_FORMAT, "offset 33|pixels");
    end();
}
