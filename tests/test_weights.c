/* test_weights.c - safetensors: what is saved comes back; what is wrong is named; what fails changes nothing. */
#define _DEFAULT_SOURCE

#include <retrograde/graph.h>
#include <retrograde/io.h>

#include "files.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* u64 length, header text, elements. */
static void write_tensors(const char *header, const void *data, size_t n)
{
    unsigned char bytes[4096];
    const size_t length = strlen(header);
    cr_assert(length + n + 8 <= sizeof bytes);
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)length >> 8 * i);
    memcpy(bytes + 8, header, length);
    if (n)
        memcpy(bytes + 8 + length, data, n);
    write_bytes(bytes, 8 + length + n);
}

/* w f32[2, 3], steps i64[], flags bool[3] */
static rg_graph *small_graph(const rg_allocator *allocator)
{
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.allocator = allocator});
    rg_param(g, "w", RG_F32, RG_SHAPE(2, 3), NULL);
    rg_buffer(g, "steps", RG_I64, RG_SCALAR, NULL);
    rg_buffer(g, "flags", RG_BOOL, RG_SHAPE(3), NULL);
    return g;
}

static const char small_header[] = "{\"steps\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                                   "\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]},"
                                   "\"flags\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[32,35]}}";
static const struct __attribute__((packed)) {
    int64_t steps;
    float w[6];
    unsigned char flags[3];
} small_data = {41, {1, -2, 3.5f, 0, 5, 6}, {1, 0, 1}};

static void expect_small(rg_graph *g)
{
    cr_assert_eq(*(const int64_t *)rg_value(rg_find(g, "steps")).data, 41);
    cr_assert_eq(memcmp(rg_value(rg_find(g, "w")).data, small_data.w, sizeof small_data.w), 0);
    cr_assert_eq(memcmp(rg_value(rg_find(g, "flags")).data, small_data.flags, 3), 0);
}

static void expect_load_error(const char *header, const void *data, size_t n, rg_status status, const char *message)
{
    rg_graph *g = small_graph(NULL);
    float before[6];
    memcpy(before, rg_value(rg_find(g, "w")).data, sizeof before);
    rg_load_report report = {.loaded = 9};
    write_tensors(header, data, n);
    const rg_status got = rg_load(g, path, &report);
    cr_assert_eq(got, status, "%s: %s", rg_status_name(got), rg_last_error());
    cr_assert(says(message) && says(path), "'%s' lacks '%s'", rg_last_error(), message);
    cr_assert(report.loaded == 0 && report.missing == 0 && report.text[0] == '\0');
    cr_assert_eq(memcmp(rg_value(rg_find(g, "w")).data, before, sizeof before), 0, "the graph has changed");
    cr_assert_eq(*(const int64_t *)rg_value(rg_find(g, "steps")).data, 0);
    rg_graph_free(g);
}

Test(io_weights, round_trip)
{
    begin();
    static const rg_dtype dtypes[] = {RG_F32, RG_F64, RG_I32, RG_I64, RG_U8, RG_BOOL, RG_BF16};
    rg_graph *a = rg_graph_new(&(rg_graph_opts){.seed = 1}), *b = rg_graph_new(&(rg_graph_opts){.seed = 2});
    rg_node *from[16], *to[16];
    uint64_t seed = 5;
    int n = 0;
    for (int d = 0; d < 7; d++)
        for (int s = 0; s < 2; s++, n++) {
            char name[32];
            const rg_shape shape = s ? RG_SHAPE(d + 1, 3) : RG_SCALAR;
            snprintf(name, sizeof name, s ? "layer.%s" : "%s \"\\\xC3\xA9", rg_dtype_name(dtypes[d]));
            from[n] = rg_buffer(a, name, dtypes[d], shape, NULL);
            to[n] = rg_buffer(b, name, dtypes[d], shape, NULL);
            rg_tensor t;
            cr_assert_eq(rg_tensor_alloc(&t, dtypes[d], shape), RG_OK);
            for (size_t i = 0; i < rg_tensor_bytes(&t); i++)
                ((unsigned char *)t.data)[i] = (unsigned char)(random_next(&seed) & (dtypes[d] == RG_BOOL ? 1 : 0x3F));
            cr_assert_eq(rg_set(from[n], &t), RG_OK, "%s", rg_last_error());
            rg_tensor_free(&t);
        }
    from[n] = rg_param(a, "drawn", RG_F32, RG_SHAPE(17, 5), NULL),
    to[n++] = rg_param(b, "drawn", RG_F32, RG_SHAPE(17, 5), NULL);
    from[n] = rg_param(a, "none", RG_F64, RG_SHAPE(0, 5), NULL),
    to[n++] = rg_param(b, "none", RG_F64, RG_SHAPE(0, 5), NULL);
    cr_assert_eq(rg_save(a, path), RG_OK, "%s", rg_last_error());
    cr_assert_eq(rg_load(b, path, NULL), RG_OK, "%s", rg_last_error());
    for (int i = 0; i < n; i++) {
        const rg_tensor x = rg_value(from[i]), y = rg_value(to[i]);
        cr_assert_eq(rg_tensor_bytes(&x), rg_tensor_bytes(&y));
        cr_assert_eq(memcmp(x.data, y.data, rg_tensor_bytes(&x)), 0, "%s", rg_name(from[i]));
    }
    cr_assert_eq(files(false), 1, "a temporary file is left");
    rg_graph_free(a);
    rg_graph_free(b);
    end();
}

/* The bytes themselves, so that a mistake made both when reading and when writing is seen. */
Test(io_weights, bytes_of_a_file)
{
    begin();
    unsigned char bytes[1024];
    rg_graph *g = small_graph(NULL);
    write_tensors(small_header, &small_data, sizeof small_data);
    cr_assert_eq(rg_load(g, path, NULL), RG_OK, "%s", rg_last_error());
    expect_small(g);
    cr_assert_eq(rg_save(g, path), RG_OK, "%s", rg_last_error());
    const size_t n = read_bytes(bytes, sizeof bytes), header = (sizeof small_header - 1 + 7) / 8 * 8;
    cr_assert_eq(n, 8 + header + sizeof small_data);
    cr_assert_eq(bytes[0] | bytes[1] << 8, (int)header);
    cr_assert_eq(memcmp(bytes + 8, small_header, sizeof small_header - 1), 0, "%.*s", (int)header, bytes + 8);
    for (size_t i = sizeof small_header - 1; i < header; i++)
        cr_assert_eq(bytes[8 + i], ' ');
    cr_assert_eq(memcmp(bytes + 8 + header, &small_data, sizeof small_data), 0);
    rg_graph_free(g);
    g = rg_graph_new(NULL);
    cr_assert_eq(rg_save(g, path), RG_OK);
    cr_assert_eq(read_bytes(bytes, sizeof bytes), 16);
    cr_assert_eq(memcmp(bytes, "\10\0\0\0\0\0\0\0{}      ", 16), 0);
    cr_assert_eq(rg_load(g, path, NULL), RG_OK, "%s", rg_last_error());
    rg_graph_free(g);
    end();
}

Test(io_weights, any_order_spaces_and_metadata)
{
    begin();
    rg_graph *g = small_graph(NULL);
    write_tensors(" { \"__metadata__\" : { \"format\" : \"pt\" , \"x\":\"\" } , \"flags\" : { \"shape\" : [ 3 ] , "
                  "\"data_offsets\":[0,3],"
                  "\"dtype\":\"BOOL\"},\n\"w\":{\"data_offsets\":[11,35],\"dtype\":\"F32\",\"shape\":[2,3]},"
                  "\"\\u0073teps\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[3,11]}} \t",
                  (const unsigned char[]){1,   0, 1, 41, 0,  0, 0, 0, 0, 0, 0, 0,   0,  128, 63, 0,   0, 0,
                                          192, 0, 0, 96, 64, 0, 0, 0, 0, 0, 0, 160, 64, 0,   0,  192, 64},
                  35);
    cr_assert_eq(rg_load(g, path, NULL), RG_OK, "%s", rg_last_error());
    expect_small(g);
    rg_graph_free(g);
    end();
}

Test(io_weights, wrong_headers)
{
    begin();
#define T(name, dtype, shape, from, to) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"
    static const struct {
        const char *header;
        size_t data;
        rg_status status;
        const char *message;
    } rows[] = {
        {"{", 0, RG_ERR_FORMAT, "offset 0: header length: 1"},
        {"[]", 0, RG_ERR_FORMAT, "offset 8: header: '{' expected"},
        {"{]", 0, RG_ERR_FORMAT, "offset 9: header: a string expected"},
        {"{} x", 0, RG_ERR_FORMAT, "offset 11: header: text after the end"},
        {"{\"w\"}", 0, RG_ERR_FORMAT, "offset 12: header: ':' expected"},
        {"{\"w\":7}", 0, RG_ERR_FORMAT, "offset 13: header, tensor 'w': '{' expected"},
        {"{\"w\":{}}", 0, RG_ERR_FORMAT, "tensor 'w': a string expected"},
        {"{\"w\":{\"dtype\":\"F32\"}}", 0, RG_ERR_FORMAT, "tensor 'w': field 'shape' is missing"},
        {"{\"w\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, RG_ERR_FORMAT, "tensor 'w': field 'dtype' is missing"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, RG_ERR_FORMAT, "tensor 'w': field 'data_offsets' is missing"},
        {"{\"w\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0, RG_ERR_FORMAT, "tensor 'w': field 'dtype' is there twice"},
        {"{\"w\":{\"strides\":[1]}}", 0, RG_ERR_FORMAT, "offset 14: tensor 'w': field 'strides' is unknown"},
        {"{" T("w", "F33", "[2,3]", 0, 24) "}", 24, RG_ERR_FORMAT, "tensor 'w': dtype: 'F33' is unknown"},
        {"{" T("w", "F32", "[2,-3]", 0, 24) "}", 24, RG_ERR_FORMAT, "tensor 'w': a whole number expected"},
        {"{" T("w", "F32", "[2,3.0]", 0, 24) "}", 24, RG_ERR_FORMAT, "tensor 'w': a whole number expected"},
        {"{" T("w", "F32", "[2,3", 0, 24) "}", 24, RG_ERR_FORMAT, "tensor 'w'"},
        {"{" T("w", "F32", "[2,]", 0, 24) "}", 24, RG_ERR_FORMAT, "tensor 'w': a whole number expected"},
        {"{" T("w", "F32", "[[2],3]", 0, 24) "}", 24, RG_ERR_FORMAT, "tensor 'w': a whole number expected"},
        {"{" T("w", "F32", "[4294967296,4294967296]", 0, 24) "}", 24, RG_ERR_FORMAT, "tensor 'w': shape: the product"},
        {"{" T("w", "F32", "[9223372036854775807]", 0, 24) "}", 24, RG_ERR_FORMAT,
         "tensor 'w': data_offsets: 24 bytes"},
        {"{" T("w", "F32", "[2,3]", 24, 0) "}", 24, RG_ERR_FORMAT,
         "tensor 'w': data_offsets: the end is before the begin"},
        {"{" T("w", "F32", "[2,3]", 0, 28) "}", 24, RG_ERR_FORMAT, "tensor 'w': data_offsets: the end 28|24 bytes"},
        {"{" T("w", "F32", "[2,3]", 0, 20) "}", 20, RG_ERR_FORMAT,
         "tensor 'w': data_offsets: 20 bytes|6 elements of 4"},
        {"{" T("w", "F32", "[2,3]", 4, 28) "}", 28, RG_ERR_FORMAT,
         "tensor 'w': data_offsets: begins at 4, leaving a hole after 0"},
        {"{" T("w", "F32", "[2,3]", 0, 24) "," T("v", "U8", "[4]", 20, 24) "}", 24, RG_ERR_FORMAT,
         "tensor 'v': data_offsets: begins at 20, inside another tensor that ends at 24"},
        {"{" T("w", "F32", "[2,3]", 0, 24) "}", 30, RG_ERR_FORMAT, "6 bytes after the last tensor belong to none"},
        {"{" T("w", "F32", "[2,3]", 0, 24) "," T("w", "F32", "[2,3]", 24, 48) "}", 48, RG_ERR_FORMAT,
         "tensor 'w': the name is there twice"},
        {"{" T("w", "F32", "[2,3]", 0, 24) ",}", 24, RG_ERR_FORMAT, "a string expected"},
        {"{" T("w", "F32", "[2,3]", 0, 24) " " T("v", "U8", "[0]", 24, 24) "}", 24, RG_ERR_FORMAT,
         "',' or '}' expected"},
        {"{\"__metadata__\":{\"a\":1}}", 0, RG_ERR_FORMAT, "tensor '__metadata__': a string expected"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, RG_ERR_FORMAT, "'__metadata__': is there twice"},
        {"{\"w\\q\":1}", 0, RG_ERR_FORMAT, "offset 11: header: a bad escape"},
        {"{" T("w", "F64", "[2,3]", 0, 48) "}", 48, RG_ERR_DTYPE,
         "tensor 'w': dtype: F64 in the file, f32 in the graph"},
        {"{" T("w", "F16", "[2,3]", 0, 12) "}", 12, RG_ERR_DTYPE,
         "tensor 'w': dtype: F16 in the file, f32 in the graph"},
        {"{" T("w", "F32", "[3,2]", 0, 24) "}", 24, RG_ERR_SHAPE,
         "tensor 'w': shape: [3, 2] in the file, [2, 3] in the graph"},
        {"{" T("w", "F32", "[6]", 0, 24) "}", 24, RG_ERR_SHAPE,
         "tensor 'w': shape: [6] in the file, [2, 3] in the graph"},
        {"{" T("w", "F32", "[1,1,1,1,1,1,1,2,3]", 0, 24) "}", 24, RG_ERR_SHAPE,
         "tensor 'w': shape: 9 dimensions in the file"},
    };
    static const unsigned char zeros[64];
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        expect_load_error(rows[r].header, zeros, rows[r].data, rows[r].status, rows[r].message);
    unsigned char flags[sizeof small_data];
    memcpy(flags, &small_data, sizeof flags);
    flags[33] = 2; /* all other tensors are fine, and must not be loaded either */
    expect_load_error(small_header, flags, sizeof flags, RG_ERR_FORMAT, "tensor 'flags': a bool is 2");
    end();
}

Test(io_weights, header_length_that_lies)
{
    begin();
    rg_graph *g = small_graph(NULL);
    static const unsigned char huge[16] = {0, 0, 0, 0, 0, 0, 0, 128, '{', '}'},
                               large[16] = {0, 0, 0, 64, 0, 0, 0, 0, '{', '}'},
                               beyond[10] = {3, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    write_bytes(huge, sizeof huge);
    cr_assert_eq(rg_load(g, path, NULL), RG_ERR_FORMAT);
    cr_assert(says("offset 0: header length|9223372036854775808|the format allows"), "%s", rg_last_error());
    write_bytes(large, sizeof large);
    cr_assert_eq(rg_load(g, path, NULL), RG_ERR_FORMAT);
    write_bytes(beyond, sizeof beyond);
    cr_assert_eq(rg_load(g, path, NULL), RG_ERR_FORMAT);
    cr_assert(says("offset 0: header length: 3 bytes, but the file has 2"), "%s", rg_last_error());
    rg_graph_free(g);
    end();
}

Test(io_weights, truncated_anywhere)
{
    begin();
    unsigned char bytes[1024];
    rg_graph *g = small_graph(NULL);
    write_tensors(small_header, &small_data, sizeof small_data);
    const size_t n = read_bytes(bytes, sizeof bytes);
    for (size_t k = 0; k < n; k++) {
        rg_load_report report;
        write_bytes(bytes, k);
        cr_assert_eq(rg_load(g, path, &report), RG_ERR_FORMAT, "cut to %zu of %zu bytes", k, n);
        cr_assert(says(path) && says("offset"), "%s", rg_last_error());
    }
    write_bytes(bytes, n);
    cr_assert_eq(rg_load(g, path, NULL), RG_OK, "%s", rg_last_error());
    expect_small(g);
    rg_graph_free(g);
    end();
}

Test(io_weights, mutations)
{
    begin();
    unsigned char bytes[1024], changed[1024];
    rg_graph *g = small_graph(NULL);
    uint64_t seed = 11;
    int loaded = 0;
    write_tensors(small_header, &small_data, sizeof small_data);
    const size_t n = read_bytes(bytes, sizeof bytes);
    for (int i = 0; i < 6000; i++) {
        memcpy(changed, bytes, n);
        for (uint64_t k = 0; k <= random_next(&seed) % 3; k++) {
            const size_t at = random_next(&seed) % (i % 2 ? n : 16 + sizeof small_header);
            changed[at] =
                i % 3 ? changed[at] ^ (unsigned char)(1u << random_next(&seed) % 8) : (unsigned char)random_next(&seed);
        }
        rg_load_report report;
        write_bytes(changed, n);
        const rg_status status = rg_load(g, path, i % 5 ? &report : NULL);
        loaded += status == RG_OK;
        cr_assert(status == RG_OK || says(path), "%s", rg_last_error());
        cr_assert(status == RG_OK || status == RG_ERR_FORMAT || status == RG_ERR_NAME || status == RG_ERR_SHAPE ||
                      status == RG_ERR_DTYPE,
                  "%s", rg_last_error());
    }
    cr_assert(loaded > 0 && loaded < 6000); /* changes of values alone are valid */
    rg_graph_free(g);
    end();
}

Test(io_weights, missing_and_unexpected)
{
    begin();
    rg_graph *g = small_graph(NULL);
    rg_load_report report;
    write_tensors(
        "{" T("w", "F32", "[2,3]", 0, 24) "," T("other", "F16", "[1]", 24, 26) "," T("more", "U8", "[]", 26, 27) "}",
        small_data.w, 27);
    cr_assert_eq(rg_load(g, path, NULL), RG_ERR_NAME);
    cr_assert(says(path) && says("2 of the graph's 3|flags, steps"), "%s", rg_last_error());
    cr_assert(memcmp(rg_value(rg_find(g, "w")).data, small_data.w, sizeof small_data.w) != 0, "the graph has changed");
    cr_assert_eq(rg_load(g, path, &report), RG_OK, "%s", rg_last_error());
    cr_assert(report.loaded == 1 && report.missing == 2 && report.unexpected == 2);
    cr_assert_str_eq(report.text, "missing: flags, steps; unexpected: more, other");
    cr_assert_eq(memcmp(rg_value(rg_find(g, "w")).data, small_data.w, sizeof small_data.w), 0);
    write_tensors("{}", NULL, 0);
    cr_assert_eq(rg_load(g, path, &report), RG_OK);
    cr_assert(report.loaded == 0 && report.missing == 3 && report.unexpected == 0);
    rg_graph_free(g);

    g = rg_graph_new(NULL); /* more names than the text holds */
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "layer%03d.weight", i);
        rg_param(g, name, RG_F32, RG_SHAPE(1), NULL);
    }
    cr_assert_eq(rg_load(g, path, &report), RG_OK);
    cr_assert_eq(report.missing, 200);
    cr_assert(strlen(report.text) < sizeof report.text && strcmp(report.text + strlen(report.text) - 3, "...") == 0);
    rg_graph_free(g);
    end();
}

Test(io_weights, arguments_and_the_system)
{
    begin();
    rg_graph *g = small_graph(NULL);
    cr_assert_eq(rg_load(NULL, path, NULL), RG_ERR_ARGUMENT);
    cr_assert_eq(rg_load(g, NULL, NULL), RG_ERR_ARGUMENT);
    cr_assert_eq(rg_save(NULL, path), RG_ERR_ARGUMENT);
    cr_assert_eq(rg_save(g, NULL), RG_ERR_ARGUMENT);
    cr_assert_eq(rg_load(g, path, NULL), RG_ERR_IO);
    cr_assert(says(path) && says(strerror(ENOENT)), "%s", rg_last_error());
    cr_assert_eq(rg_load(g, directory, NULL), RG_ERR_IO);
    cr_assert_eq(rg_save(g, directory), RG_ERR_IO);
    cr_assert(says("not a regular file"), "%s", rg_last_error());
    cr_assert_eq(rg_save(g, "/dev/null"), RG_ERR_IO);
    cr_assert_eq(rg_save(g, "/nowhere/at/all"), RG_ERR_IO);
    cr_assert(says("/nowhere/at/all") && says(strerror(ENOENT)), "%s", rg_last_error());
    rg_graph_free(g);
    g = rg_graph_new(NULL);
    rg_param(g, "\xFF", RG_F32, RG_SHAPE(1), NULL);
    cr_assert_eq(rg_save(g, path), RG_ERR_NAME);
    cr_assert_eq(files(false), 0);
    rg_graph_free(g);
    end();
}

/* A disk that is full: the old file stays, and nothing is left beside it. */
Test(io_weights, failed_save_keeps_the_old_file)
{
    begin();
    unsigned char before[1024], after[1024];
    rg_graph *g = small_graph(NULL);
    cr_assert_eq(rg_save(g, path), RG_OK);
    cr_assert_eq(chmod(path, 0600), 0);
    const size_t n = read_bytes(before, sizeof before);
    rg_param(g, "large", RG_F64, RG_SHAPE(4096), NULL);
    struct rlimit old, small = {.rlim_cur = 8192, .rlim_max = RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    cr_assert_eq(rg_save(g, path), RG_ERR_IO);
    cr_assert(says(path) && says("cannot write") && says(strerror(EFBIG)), "%s", rg_last_error());
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    cr_assert_eq(read_bytes(after, sizeof after), n);
    cr_assert_eq(memcmp(before, after, n), 0);
    cr_assert_eq(files(false), 1, "a temporary file is left");
    cr_assert_eq(rg_save(g, path), RG_OK, "%s", rg_last_error());
    struct stat info;
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0600, "permissions are not those of the old file");
    cr_assert(info.st_size > 4096 * 8);
    rg_graph_free(g);
    end();
}

/* ---- memory ---- */

/* Counts what is held, and fails the k-th request from `fail_at` on. */
struct counter {
    int64_t held, calls, fail_at;
};

static void *counting_alloc(void *user, size_t bytes)
{
    struct counter *c = user;
    if (c->fail_at && ++c->calls >= c->fail_at)
        return NULL;
    c->held++;
    return aligned_alloc(64, (bytes + 64) / 64 * 64);
}

static void counting_free(void *user, void *memory, size_t bytes)
{
    (void)bytes;
    ((struct counter *)user)->held--;
    free(memory);
}

Test(io_weights, every_allocation_fails_once)
{
    begin();
    write_tensors(small_header, &small_data, sizeof small_data);
    for (int save = 0; save < 2; save++)
        for (int64_t k = 1, done = 0; !done; k++) {
            struct counter c = {0};
            const rg_allocator allocator = {counting_alloc, counting_free, &c};
            rg_graph *g = small_graph(&allocator);
            cr_assert_null(rg_graph_error(g));
            c.calls = 0;
            c.fail_at = k;
            const rg_status status = save ? rg_save(g, path) : rg_load(g, path, NULL);
            c.fail_at = 0;
            cr_assert(status == RG_OK || status == RG_ERR_MEMORY, "%s", rg_last_error());
            cr_assert_eq(files(false), 1);
            done = status == RG_OK;
            cr_assert(k < 100 && (k > 1 || !done));
            if (!done && !save)
                cr_assert_eq(rg_load(g, path, NULL), RG_OK, "%s", rg_last_error());
            if (!save)
                expect_small(g);
            rg_graph_free(g);
            cr_assert_eq(c.held, 0, "%lld blocks leak", (long long)c.held);
        }
    end();
}
