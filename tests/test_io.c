/* test_io.c - files: what is written comes back; what is wrong is named; what fails changes nothing. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE

#include <retrograde/graph.h>
#include <retrograde/io.h>

#include "../io/json.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* ---- a directory of its own for each test ---- */

static char directory[64], path[128];

static void begin(void)
{
    strcpy(directory, "/tmp/test_io_XXXXXX");
    cr_assert(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/file", directory);
}

/* How many files the directory holds; removes them if `clean`. */
static int files(bool clean)
{
    int n = 0;
    DIR *d = opendir(directory);
    for (struct dirent *e; d && (e = readdir(d));) {
        char name[512];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        n++;
        snprintf(name, sizeof name, "%s/%s", directory, e->d_name);
        if (clean)
            remove(name);
    }
    closedir(d);
    return n;
}

static void end(void)
{
    files(true);
    rmdir(directory);
}

static void write_bytes(const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(bytes, 1, n, f) == n);
    cr_assert_eq(fclose(f), 0);
}

static size_t read_bytes(unsigned char *bytes, size_t size)
{
    FILE *f = fopen(path, "rb");
    cr_assert(f);
    const size_t n = fread(bytes, 1, size, f);
    fclose(f);
    return n;
}

static void write_gzip(const void *bytes, size_t n)
{
    gzFile f = gzopen(path, "wb9");
    cr_assert(f && gzwrite(f, bytes, (unsigned)n) == (int)n);
    cr_assert_eq(gzclose(f), Z_OK);
}

/* The last error has all parts of `message`, which '|' separates. */
static bool says(const char *message)
{
    char parts[512];
    snprintf(parts, sizeof parts, "%s", message);
    for (char *part = strtok(parts, "|"); part; part = strtok(NULL, "|"))
        if (!strstr(rg_last_error(), part))
            return false;
    return true;
}

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

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
        {0x0E, RG_F64, 32, {0, 0, 0, 0, 0, 0, 0, 0, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0, 0xC0, 0x04, 0, 0, 0, 0, 0, 0, 0x7F, 0xF0}},
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
    static const char *const bad[] = {
        "\"a",         "\"\\\"",      "\"\\x\"",       "\"\\u12\"",          "\"\\u12G4\"",         "\"\\u0000\"",     "\"\\uD800\"",
        "\"\\uDC00\"", "\"a\nb\"",    "\"\x80\"",      "\"\xC0\x80\"",       "\"\xE0\x80\x80\"",    "\"\xED\xA0\x80\"", "\"\xF5\x80\x80\x80\"",
        "\"\xC3\"",    "\"\xE2\x82\"", "\"\\uD83Dx\"", "\"\\uD83D\\u0041\"", "\"\xF4\x90\x80\x80\"", "\"a\" b",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(json_error(bad[i]), "row %zu passes", i);
}

Test(io_json, numbers)
{
    static const char *const bad[] = {"", "-1", "+1", "01", "1.0", "1e3", "9223372036854775808", "99999999999999999999", "0x1", "1 2", "NaN"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(json_error(bad[i]), "'%s' passes", bad[i]);
    cr_assert(!json_error("0") && !json_error(" 120 ") && !json_error("9223372036854775807"));
}

/* ---- safetensors ---- */

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
    static const rg_dtype dtypes[] = {RG_F32, RG_F64, RG_I32, RG_I64, RG_U8, RG_BOOL};
    rg_graph *a = rg_graph_new(&(rg_graph_opts){.seed = 1}), *b = rg_graph_new(&(rg_graph_opts){.seed = 2});
    rg_node *from[16], *to[16];
    uint64_t seed = 5;
    int n = 0;
    for (int d = 0; d < 6; d++)
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
    from[n] = rg_param(a, "drawn", RG_F32, RG_SHAPE(17, 5), NULL), to[n++] = rg_param(b, "drawn", RG_F32, RG_SHAPE(17, 5), NULL);
    from[n] = rg_param(a, "none", RG_F64, RG_SHAPE(0, 5), NULL), to[n++] = rg_param(b, "none", RG_F64, RG_SHAPE(0, 5), NULL);
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
    write_tensors(" { \"__metadata__\" : { \"format\" : \"pt\" , \"x\":\"\" } , \"flags\" : { \"shape\" : [ 3 ] , \"data_offsets\":[0,3],"
                  "\"dtype\":\"BOOL\"},\n\"w\":{\"data_offsets\":[11,35],\"dtype\":\"F32\",\"shape\":[2,3]},"
                  "\"\\u0073teps\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[3,11]}} \t",
                  (const unsigned char[]){1, 0, 1, 41, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 192, 0, 0, 96, 64, 0, 0, 0, 0, 0, 0, 160, 64, 0,
                                          0, 192, 64}, 35);
    cr_assert_eq(rg_load(g, path, NULL), RG_OK, "%s", rg_last_error());
    expect_small(g);
    rg_graph_free(g);
    end();
}

Test(io_weights, wrong_headers)
{
    begin();
#define T(name, dtype, shape, from, to) "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"
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
        {"{" T("w", "F32", "[9223372036854775807]", 0, 24) "}", 24, RG_ERR_FORMAT, "tensor 'w': data_offsets: 24 bytes"},
        {"{" T("w", "F32", "[2,3]", 24, 0) "}", 24, RG_ERR_FORMAT, "tensor 'w': data_offsets: the end is before the begin"},
        {"{" T("w", "F32", "[2,3]", 0, 28) "}", 24, RG_ERR_FORMAT, "tensor 'w': data_offsets: the end 28|24 bytes"},
        {"{" T("w", "F32", "[2,3]", 0, 20) "}", 20, RG_ERR_FORMAT, "tensor 'w': data_offsets: 20 bytes|6 elements of 4"},
        {"{" T("w", "F32", "[2,3]", 4, 28) "}", 28, RG_ERR_FORMAT, "tensor 'w': data_offsets: begins at 4, leaving a hole after 0"},
        {"{" T("w", "F32", "[2,3]", 0, 24) "," T("v", "U8", "[4]", 20, 24) "}", 24, RG_ERR_FORMAT,
         "tensor 'v': data_offsets: begins at 20, inside another tensor that ends at 24"},
        {"{" T("w", "F32", "[2,3]", 0, 24) "}", 30, RG_ERR_FORMAT, "6 bytes after the last tensor belong to none"},
        {"{" T("w", "F32", "[2,3]", 0, 24) "," T("w", "F32", "[2,3]", 24, 48) "}", 48, RG_ERR_FORMAT, "tensor 'w': the name is there twice"},
        {"{" T("w", "F32", "[2,3]", 0, 24) ",}", 24, RG_ERR_FORMAT, "a string expected"},
        {"{" T("w", "F32", "[2,3]", 0, 24) " " T("v", "U8", "[0]", 24, 24) "}", 24, RG_ERR_FORMAT, "',' or '}' expected"},
        {"{\"__metadata__\":{\"a\":1}}", 0, RG_ERR_FORMAT, "tensor '__metadata__': a string expected"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, RG_ERR_FORMAT, "'__metadata__': is there twice"},
        {"{\"w\\q\":1}", 0, RG_ERR_FORMAT, "offset 11: header: a bad escape"},
        {"{" T("w", "F64", "[2,3]", 0, 48) "}", 48, RG_ERR_DTYPE, "tensor 'w': dtype: F64 in the file, f32 in the graph"},
        {"{" T("w", "F16", "[2,3]", 0, 12) "}", 12, RG_ERR_DTYPE, "tensor 'w': dtype: F16 in the file, f32 in the graph"},
        {"{" T("w", "F32", "[3,2]", 0, 24) "}", 24, RG_ERR_SHAPE, "tensor 'w': shape: [3, 2] in the file, [2, 3] in the graph"},
        {"{" T("w", "F32", "[6]", 0, 24) "}", 24, RG_ERR_SHAPE, "tensor 'w': shape: [6] in the file, [2, 3] in the graph"},
        {"{" T("w", "F32", "[1,1,1,1,1,1,1,2,3]", 0, 24) "}", 24, RG_ERR_SHAPE, "tensor 'w': shape: 9 dimensions in the file"},
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
    static const unsigned char huge[16] = {0, 0, 0, 0, 0, 0, 0, 128, '{', '}'}, large[16] = {0, 0, 0, 64, 0, 0, 0, 0, '{', '}'},
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
            changed[at] = i % 3 ? changed[at] ^ (unsigned char)(1u << random_next(&seed) % 8) : (unsigned char)random_next(&seed);
        }
        rg_load_report report;
        write_bytes(changed, n);
        const rg_status status = rg_load(g, path, i % 5 ? &report : NULL);
        loaded += status == RG_OK;
        cr_assert(status == RG_OK || says(path), "%s", rg_last_error());
        cr_assert(status == RG_OK || status == RG_ERR_FORMAT || status == RG_ERR_NAME || status == RG_ERR_SHAPE || status == RG_ERR_DTYPE,
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
    write_tensors("{" T("w", "F32", "[2,3]", 0, 24) "," T("other", "F16", "[1]", 24, 26) "," T("more", "U8", "[]", 26, 27) "}", small_data.w, 27);
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
