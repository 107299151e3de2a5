/* test_io.c - data sets: what is wrong with a file is named, at the byte where it is wrong. */
#define _DEFAULT_SOURCE

#include <retrograde/io.h>

#include "../io/json.h"
#include "files.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* ---- IDX ---- */

static size_t idx_header(unsigned char *to, int code, int rank, const uint32_t *sizes)
{
    const unsigned char magic[4] = {0, 0, (unsigned char)code, (unsigned char)rank};
    memcpy(to, magic, 4);
    for (int i = 0; i < rank; i++)
        for (int b = 0; b < 4; b++)
            to[4 + 4 * i + b] = (unsigned char)(sizes[i] >> (24 - 8 * b));
    return 4 + 4 * (size_t)rank;
}

static void expect_idx_error(const void *bytes, size_t n, rg_status status, const char *message)
{
    rg_tensor t = {.dtype = RG_F64};
    write_bytes(bytes, n);
    const rg_status got = rg_read_idx(path, &t);
    cr_assert_eq(got, status, "%s: %s", rg_status_name(got), rg_last_error());
    cr_assert(says(message) && says(path), "'%s' lacks '%s'", rg_last_error(), message);
    cr_assert(!t.data && !t.owner && t.dtype == 0 && t.shape.rank == 0, "the tensor is not empty");
}

static void expect_idx_values(rg_dtype dtype, rg_shape shape, const void *values)
{
    rg_tensor t;
    cr_assert_eq(rg_read_idx(path, &t), RG_OK, "%s", rg_last_error());
    cr_assert_eq(t.dtype, dtype);
    cr_assert(rg_shape_equal(t.shape, shape));
    cr_assert(rg_tensor_bytes(&t) == 0 || memcmp(t.data, values, rg_tensor_bytes(&t)) == 0);
    rg_tensor_free(&t);
}

Test(io_idx, every_type)
{
    begin();
    static const struct {
        int code;
        rg_dtype dtype;
        size_t bytes;
        unsigned char raw[32];
    } rows[] = {
        {0x08, RG_U8, 4, {0, 1, 128, 255}},
        {0x09, RG_I32, 4, {0, 1, 128, 255}},
        {0x0B, RG_I32, 8, {0, 0, 0, 1, 0x80, 0, 0xFF, 0xFE}},
        {0x0C, RG_I32, 16, {0, 0, 0, 0, 0, 0, 0, 1, 0x80, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFE}},
        {0x0D, RG_F32, 16, {0, 0, 0, 0, 0x3F, 0x80, 0, 0, 0xC0, 0x20, 0, 0, 0x7F, 0x80, 0, 0}},
        {0x0E, RG_F64, 32, {0, 0, 0, 0,    0,    0, 0, 0, 0x3F, 0xF0, 0, 0,    0,
                            0, 0, 0, 0xC0, 0x04, 0, 0, 0, 0,    0,    0, 0x7F, 0xF0}},
    };
    static const uint8_t u8[] = {0, 1, 128, 255};
    static const int32_t i8[] = {0, 1, -128, -1}, i16[] = {0, 1, -32768, -2}, i32[] = {0, 1, INT32_MIN, -2};
    static const float f32[] = {0, 1, -2.5f, 1e300 * 1e300};
    static const double f64[] = {0, 1, -2.5, 1e300 * 1e300};
    const void *const values[] = {u8, i8, i16, i32, f32, f64};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        unsigned char bytes[64];
        const size_t n = idx_header(bytes, rows[r].code, 2, (const uint32_t[]){2, 2});
        memcpy(bytes + n, rows[r].raw, rows[r].bytes);
        write_bytes(bytes, n + rows[r].bytes);
        expect_idx_values(rows[r].dtype, RG_SHAPE(2, 2), values[r]);
        write_gzip(bytes, n + rows[r].bytes);
        expect_idx_values(rows[r].dtype, RG_SHAPE(2, 2), values[r]);
    }
    end();
}

Test(io_idx, ranks_and_empty)
{
    begin();
    unsigned char bytes[64];
    for (int rank = 1; rank <= RG_MAX_RANK; rank++) {
        const uint32_t ones[RG_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
        const int64_t dims[RG_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
        const size_t n = idx_header(bytes, 0x08, rank, ones);
        bytes[n] = 7;
        write_bytes(bytes, n + 1);
        expect_idx_values(RG_U8, rg_shape_make(dims, (size_t)rank), "\7");
    }
    write_bytes(bytes, idx_header(bytes, 0x0C, 2, (const uint32_t[]){0, UINT32_MAX}));
    expect_idx_values(RG_I32, RG_SHAPE(0, UINT32_MAX), NULL);
    end();
}

Test(io_idx, more_than_one_step_of_memory)
{
    begin();
    const size_t n = 5000001;
    unsigned char *bytes = malloc(n + 8);
    cr_assert(bytes);
    for (size_t i = 0; i < n; i++)
        bytes[8 + i] = (unsigned char)(i * i >> 3);
    idx_header(bytes, 0x08, 1, (const uint32_t[]){5000001});
    write_bytes(bytes, n + 8);
    expect_idx_values(RG_U8, RG_SHAPE(5000001), bytes + 8);
    write_gzip(bytes, n + 8);
    expect_idx_values(RG_U8, RG_SHAPE(5000001), bytes + 8);
    free(bytes);
    end();
}

Test(io_idx, arguments_and_the_system)
{
    begin();
    rg_tensor t;
    cr_assert_eq(rg_read_idx(NULL, &t), RG_ERR_ARGUMENT);
    cr_assert_eq(rg_read_idx(path, NULL), RG_ERR_ARGUMENT);
    cr_assert_eq(rg_read_idx(path, &t), RG_ERR_IO);
    cr_assert(says(path) && says(strerror(ENOENT)), "%s", rg_last_error());
    cr_assert_eq(rg_read_idx(directory, &t), RG_ERR_IO);
    cr_assert(says(directory) && says(strerror(EISDIR)), "%s", rg_last_error());
    end();
}

Test(io_idx, wrong_headers)
{
    begin();
    static const struct {
        unsigned char bytes[24];
        size_t n;
        const char *message;
    } rows[] = {
        {{0}, 0, "offset 0: magic number: the file ends here"},
        {{0, 0, 8}, 3, "magic number: the file ends here"},
        {{1, 0, 8, 1, 0, 0, 0, 0}, 8, "offset 0: magic number|0x01 0x00"},
        {{'P', 'K', 8, 1, 0, 0, 0, 0}, 8, "offset 0: magic number|0x50 0x4b"},
        {{0, 0, 7, 1, 0, 0, 0, 0}, 8, "offset 2: type code: 0x07"},
        {{0, 0, 8, 0}, 4, "offset 3: rank: 0"},
        {{0, 0, 8, 9, 0, 0, 0, 0}, 8, "offset 3: rank: 9"},
        {{0, 0, 8, 2, 0, 0, 0, 1, 0, 0}, 10, "size of a dimension: the file ends here"},
        {{0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2}, 18, "offset 4: sizes"},
        {{0, 0, 14, 2, 255, 255, 255, 255, 127, 255, 255, 255, 1, 2}, 14, "offset 4: sizes"},
        {{0, 0, 8, 1, 0, 0, 0, 2, 5, 6, 7}, 11, "offset 10: bytes follow the last element"},
        {{0, 0, 8, 1, 0, 0, 0, 0, 5}, 9, "offset 8: bytes follow the last element"},
        {{0, 0, 8, 1, 0, 0, 0, 3, 5, 6}, 10, "offset 10: elements: the file ends here"},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        expect_idx_error(rows[r].bytes, rows[r].n, RG_ERR_FORMAT, rows[r].message);
    end();
}

/* A header may promise much; memory for it must not be taken before it is there. */
Test(io_idx, lying_sizes_take_no_memory)
{
    begin();
    unsigned char bytes[64] = {0};
    rg_tensor t;
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    const size_t n = idx_header(bytes, 0x08, 3, (const uint32_t[]){600, 1000, 1000});
    expect_idx_error(bytes, n + 10, RG_ERR_FORMAT, "offset 26: elements: the file ends here");
    write_gzip(bytes, n + 10);
    cr_assert_eq(rg_read_idx(path, &t), RG_ERR_FORMAT);
    cr_assert(says("offset 26: elements: the file ends here"), "%s", rg_last_error());
    getrusage(RUSAGE_SELF, &after);
    cr_assert(after.ru_maxrss - before.ru_maxrss < 100000, "%ld kB more", after.ru_maxrss - before.ru_maxrss);
    end();
}

Test(io_idx, truncated_anywhere)
{
    begin();
    unsigned char bytes[256];
    rg_tensor t;
    const size_t n = idx_header(bytes, 0x0D, 2, (const uint32_t[]){3, 4}) + 48;
    memset(bytes + 12, 0x3F, 48);
    for (size_t k = 0; k < n; k++)
        expect_idx_error(bytes, k, RG_ERR_FORMAT, "the file ends here");
    for (size_t i = 12; i < n; i++)
        bytes[i] = (unsigned char)(i * 37);
    write_gzip(bytes, n);
    const size_t packed = read_bytes(bytes, sizeof bytes);
    for (size_t k = 1; k < packed; k++) {
        write_bytes(bytes, k);
        cr_assert_eq(rg_read_idx(path, &t), RG_ERR_FORMAT, "cut to %zu of %zu bytes", k, packed);
        cr_assert(says(path), "%s", rg_last_error());
    }
    cr_assert(says("offset|corrupt gzip"), "%s", rg_last_error());
    end();
}

Test(io_idx, corrupt_gzip)
{
    begin();
    unsigned char bytes[4096], packed[4096];
    uint64_t seed = 3;
    const size_t n = idx_header(bytes, 0x08, 2, (const uint32_t[]){10, 40}) + 400;
    for (size_t i = 12; i < n; i++)
        bytes[i] = (unsigned char)(i * i / 7);
    write_gzip(bytes, n);
    const size_t size = read_bytes(packed, sizeof packed);
    int wrong = 0;
    for (size_t i = 10; i < size; i++) { /* behind the gzip header, whose time and system fields are free */
        const unsigned char kept = packed[i];
        rg_tensor t;
        packed[i] ^= (unsigned char)(1u << random_next(&seed) % 8);
        write_bytes(packed, size);
        packed[i] = kept;
        const rg_status status = rg_read_idx(path, &t);
        if (status == RG_OK) /* a bit of padding */
            cr_assert_eq(memcmp(t.data, bytes + 12, 400), 0, "byte %zu", i);
        else
            cr_assert(status == RG_ERR_FORMAT && says(path) && says("offset"), "byte %zu: %s", i, rg_last_error());
        wrong += status != RG_OK;
        rg_tensor_free(&t);
    }
    cr_assert(wrong > (int)size / 2);
    end();
}

Test(io_idx, mutations)
{
    begin();
    unsigned char bytes[64], changed[64];
    uint64_t seed = 7;
    const size_t n = idx_header(bytes, 0x0B, 3, (const uint32_t[]){2, 3, 2}) + 24;
    memset(bytes + 16, 0x55, 24);
    for (int i = 0; i < 4000; i++) {
        memcpy(changed, bytes, sizeof bytes);
        for (uint64_t k = 0; k <= random_next(&seed) % 3; k++)
            changed[random_next(&seed) % 16] = (unsigned char)random_next(&seed);
        rg_tensor t;
        write_bytes(changed, n);
        const rg_status status = rg_read_idx(path, &t);
        cr_assert(status == RG_OK || status == RG_ERR_FORMAT, "%s", rg_last_error());
        cr_assert(status == RG_OK || !t.data);
        rg_tensor_free(&t);
    }
    end();
}

/* ---- JSON ---- */

static const char *json_error(const char *text)
{
    static char copy[256];
    snprintf(copy, sizeof copy, "%s", text);
    rgi_json j = {.text = copy, .n = strlen(copy)};
    int64_t number;
    if (text[0] == '"')
        rgi_json_string(&j);
    else
        rgi_json_integer(&j, &number);
    rgi_json_end(&j);
    return j.error;
}

static bool json_decodes(const char *text, const char *expected)
{
    char copy[256];
    snprintf(copy, sizeof copy, "%s", text);
    rgi_json j = {.text = copy, .n = strlen(copy)};
    const char *got = rgi_json_string(&j);
    return got && rgi_json_end(&j) && strcmp(got, expected) == 0;
}

Test(io_json, strings)
{
    cr_assert(json_decodes("\"\"", ""));
    cr_assert(json_decodes("  \"a b\" \n", "a b"));
    cr_assert(json_decodes("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"));
    cr_assert(json_decodes("\"\\u0041\\u00e9\\u20AC\\uD83D\\uDE00\"", "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"));
    cr_assert(json_decodes("\"\xC3\xA9\xF4\x8F\xBF\xBF\"", "\xC3\xA9\xF4\x8F\xBF\xBF"));
    cr_assert(rgi_utf8_valid("a\xC3\xA9", 3) && !rgi_utf8_valid("a\xC3\xA9", 2)); /* what follows is not the text's */
    static const char *const bad[] = {
        "\"a",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12G4\"",
        "\"\\u0000\"",
        "\"\\uD800\"",
        "\"\\uDC00\"",
        "\"a\nb\"",
        "\"\x80\"",
        "\"\xC0\x80\"",
        "\"\xE0\x80\x80\"",
        "\"\xED\xA0\x80\"",
        "\"\xF5\x80\x80\x80\"",
        "\"\xC3\"",
        "\"\xE2\x82\"",
        "\"\\uD83Dx\"",
        "\"\\uD83D\\u0041\"",
        "\"\xF4\x90\x80\x80\"",
        "\"a\" b",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(json_error(bad[i]), "row %zu passes", i);
}

Test(io_json, numbers)
{
    static const char *const bad[] = {
        "", "-1", "+1", "01", "1.0", "1e3", "9223372036854775808", "99999999999999999999", "0x1", "1 2", "NaN"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(json_error(bad[i]), "'%s' passes", bad[i]);
    cr_assert(!json_error("0") && !json_error(" 120 ") && !json_error("9223372036854775807"));
}
