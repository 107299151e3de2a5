/* test_arrays.c - NumPy's files and tables of text: what NumPy writes arrives, what is written NumPy would read, what
   is wrong is named. */
#define _DEFAULT_SOURCE

#include <retrograde/io.h>

#include "files.h"
#include "numpy_files.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void expect(const rg_tensor *t, rg_dtype dtype, rg_shape shape, const void *values)
{
    cr_assert_eq(t->dtype, dtype);
    cr_assert(rg_shape_equal(t->shape, shape));
    cr_assert(rg_tensor_bytes(t) == 0 || memcmp(t->data, values, rg_tensor_bytes(t)) == 0);
}

static void must(rg_status status)
{
    cr_assert_eq(status, RG_OK, "%s", rg_last_error());
}

/* ---- npy ---- */

/* np.save of arange(6) as big-endian i2 [2, 3] in Fortran's order; of halves; of f8 in format version 2. */
Test(io_npy, files_of_numpy)
{
    begin();
    static const int32_t counted[] = {0, 1, 2, 3, 4, 5};
    static const float halves[] = {0, 1, -2.5f, 65504, 0x1p-24f, INFINITY};
    static const double four[] = {0, 1, 2, 3};
    rg_tensor t;
    write_bytes(npy_big_fortran, sizeof npy_big_fortran);
    must(rg_read_npy(path, &t));
    expect(&t, RG_I32, RG_SHAPE(2, 3), counted);
    rg_tensor_free(&t);
    write_bytes(npy_half, sizeof npy_half);
    must(rg_read_npy(path, &t));
    expect(&t, RG_F32, RG_SHAPE(6), halves);
    rg_tensor_free(&t);
    write_bytes(npy_version2, sizeof npy_version2);
    must(rg_read_npy(path, &t));
    expect(&t, RG_F64, RG_SHAPE(4), four);
    rg_tensor_free(&t);
    end();
}

/* The bytes that numpy.save writes for the same array. */
Test(io_npy, bytes_of_a_file)
{
    begin();
    unsigned char bytes[256];
    double values[] = {1, 2, 3, 4};
    const char header[] = "{'descr': '<f8', 'fortran_order': False, 'shape': (4,), }";
    must(rg_write_npy(path, &(rg_tensor){RG_F64, RG_SHAPE(4), values, NULL}));
    cr_assert_eq(read_bytes(bytes, sizeof bytes), 128 + 32);
    cr_assert_eq(memcmp(bytes, "\x93NUMPY\1\0\x76\0", 10), 0);
    cr_assert_eq(memcmp(bytes + 10, header, sizeof header - 1), 0);
    cr_assert_eq(bytes[127], '\n');
    cr_assert_eq(memcmp(bytes + 128, values, 32), 0);
    end();
}

Test(io_npy, every_type_and_shape_comes_back)
{
    begin();
    static const rg_dtype types[] = {RG_F32, RG_F64, RG_I32, RG_I64, RG_U8, RG_BOOL};
    const rg_shape shapes[] = {RG_SCALAR,      RG_SHAPE(1),       RG_SHAPE(5),
                               RG_SHAPE(0, 3), RG_SHAPE(2, 3, 4), RG_SHAPE(1, 2, 1, 2, 1, 2, 1, 3)};
    for (size_t d = 0; d < sizeof types / sizeof *types; d++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            rg_tensor t, back;
            must(rg_tensor_alloc(&t, types[d], shapes[s]));
            for (size_t i = 0; i < rg_tensor_bytes(&t); i++)
                ((unsigned char *)t.data)[i] = (unsigned char)(types[d] == RG_BOOL ? i % 2 : i * 37 + 1);
            must(rg_write_npy(path, &t));
            must(rg_read_npy(path, &back));
            expect(&back, types[d], shapes[s], t.data);
            rg_tensor_free(&t);
            rg_tensor_free(&back);
        }
    cr_assert_eq(rg_write_npy(path, &(rg_tensor){.dtype = RG_BF16}), RG_ERR_DTYPE);
    end();
}

/* Beyond a megabyte the file is mapped: aligned, writable, and the file stays as it was. */
Test(io_npy, large_files_are_mapped)
{
    begin();
    enum { N = 1 << 19 };
    rg_tensor t, back;
    must(rg_tensor_alloc(&t, RG_F32, RG_SHAPE(N)));
    for (int i = 0; i < N; i++)
        ((float *)t.data)[i] = (float)i;
    must(rg_write_npy(path, &t));
    for (int round = 0; round < 2; round++) {
        must(rg_read_npy(path, &back));
        cr_assert_eq((uintptr_t)back.data % 64, 0);
        cr_assert_neq((uintptr_t)back.data % 4096, 64, "memory of its own begins so");
        expect(&back, RG_F32, RG_SHAPE(N), t.data);
        memset(back.data, 0x55, rg_tensor_bytes(&back));
        rg_tensor_free(&back);
    }
    rg_tensor_free(&t);
    end();
}

static void expect_npy_error(const char *header, size_t elements, rg_status status, const char *message)
{
    unsigned char bytes[512] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
    const size_t length = strlen(header);
    rg_tensor t;
    bytes[8] = (unsigned char)length;
    memcpy(bytes + 10, header, length);
    write_bytes(bytes, 10 + length + elements);
    cr_assert_eq(rg_read_npy(path, &t), status, "'%s' passes", header);
    cr_assert(says(message) && says(path) && says("offset"), "'%s' lacks '%s'", rg_last_error(), message);
    cr_assert(!t.data && !t.owner);
}

Test(io_npy, wrong_headers)
{
    begin();
    static const struct {
        const char *header;
        size_t elements;
        const char *message;
    } rows[] = {
        {"", 0, "'{' expected"},
        {"{'descr': '<f4', 'shape': (1,)}", 4, "'fortran_order' is missing"},
        {"{'descr': '<f4', 'descr': '<f4'}", 4, "there twice"},
        {"{'descr': '<f4', 'order': 1}", 4, "'order' is unknown"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': ()}", 8, "descr|'<c8'"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': ()}", 8, "descr|'|O'"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", 4, "descr|records"},
        {"{'descr': '<f4', 'fortran_order': 1, 'shape': ()}", 4, "fortran_order|True or False"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 4}", 4, "shape|tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 4, "shape|size"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}", 8, "shape|size"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 8, "shape|too large"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 8, "address space"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4, "more than 8"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 8, "8 bytes follow|need 12"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 13, "13 bytes follow|need 12"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': ()} x", 4, "text after"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': ()", 4, "expected"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_npy_error(rows[i].header, rows[i].elements, RG_ERR_FORMAT, rows[i].message);
    rg_tensor t;
    write_bytes("\x93NUMPY\1\0\xff\xff{", 11);
    cr_assert(rg_read_npy(path, &t) == RG_ERR_FORMAT && says("header length|65535"), "%s", rg_last_error());
    write_bytes("\x93NUMPY\4\0\1\0\0\0{", 13);
    cr_assert(rg_read_npy(path, &t) == RG_ERR_FORMAT && says("version|4.0"), "%s", rg_last_error());
    cr_assert_eq(rg_read_npy(directory, &t), RG_ERR_IO);
    cr_assert_eq(rg_read_npy(NULL, &t), RG_ERR_ARGUMENT);
    cr_assert_eq(rg_read_npy(path, NULL), RG_ERR_ARGUMENT);
    end();
}

/* ---- npz ---- */

Test(io_npz, files_of_numpy)
{
    begin();
    static const float x[] = {0, 1, 2};
    static const int64_t count = 7;
    rg_archive a;
    write_bytes(npz_stored, sizeof npz_stored);
    must(rg_read_npz(path, &a));
    cr_assert_eq(a.n, 2);
    expect(rg_archive_find(&a, "x"), RG_F32, RG_SHAPE(3), x);
    expect(rg_archive_find(&a, "y"), RG_BOOL, RG_SHAPE(2, 1), "\1\0");
    cr_assert_null(rg_archive_find(&a, "z"));
    rg_archive_free(&a);
    write_bytes(npz_deflated, sizeof npz_deflated);
    must(rg_read_npz(path, &a));
    expect(rg_archive_find(&a, "x"), RG_F32, RG_SHAPE(3), x);
    expect(rg_archive_find(&a, "count"), RG_I64, RG_SCALAR, &count);
    rg_archive_free(&a);
    rg_archive_free(&a);
    rg_archive_free(NULL);
    end();
}

Test(io_npz, what_is_written_comes_back)
{
    begin();
    static unsigned char first[4096], second[4096];
    float x[] = {1, 2, 3, 4, 5, 6};
    int64_t n = -5;
    const char *const names[] = {"encoder.weight", "n", "nothing"};
    const rg_tensor tensors[] = {
        {RG_F32, RG_SHAPE(2, 3), x, NULL}, {RG_I64, RG_SCALAR, &n, NULL}, {RG_F64, RG_SHAPE(0), NULL, NULL}};
    rg_archive a;
    must(rg_write_npz(path, names, tensors, 3));
    const size_t bytes = read_bytes(first, sizeof first);
    must(rg_read_npz(path, &a));
    cr_assert_eq(a.n, 3);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_str_eq(a.names[i], names[i]);
        expect(&a.tensors[i], tensors[i].dtype, tensors[i].shape, tensors[i].data);
    }
    rg_archive_free(&a);
    must(rg_write_npz(path, names, tensors, 3));
    cr_assert_eq(read_bytes(second, sizeof second), bytes);
    cr_assert_eq(memcmp(first, second, bytes), 0, "equal tensors make equal files");
    must(rg_write_npz(path, NULL, NULL, 0));
    must(rg_read_npz(path, &a));
    cr_assert_eq(a.n, 0);
    rg_archive_free(&a);
    cr_assert_eq(files(false), 1);
    end();
}

/* A name that is there twice is refused by both sides; other tools must read the names that are written. */
Test(io_npz, names)
{
    begin();
    static unsigned char bytes[4096];
    int64_t n = -5;
    const rg_tensor number = {RG_I64, RG_SCALAR, &n, NULL}, both[] = {number, number};
    rg_archive a;
    must(rg_write_npz(path, (const char *const[]){"n", "m"}, both, 2));
    const size_t length = read_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i + 5 <= length; i++)
        if (memcmp(bytes + i, "m.npy", 5) == 0)
            bytes[i] = 'n';
    write_bytes(bytes, length);
    cr_assert_eq(rg_read_npz(path, &a), RG_ERR_FORMAT);
    cr_assert(says("'n.npy' is there twice") && says(path), "%s", rg_last_error());
    cr_assert_eq(rg_write_npz(path, (const char *const[]){"n", "n"}, both, 2), RG_ERR_NAME);
    cr_assert(says("'n' is there twice") && says(path), "%s", rg_last_error());
    cr_assert_eq(rg_write_npz(path, (const char *const[]){"\xff"}, &number, 1), RG_ERR_NAME);
    cr_assert(says("not UTF-8"), "%s", rg_last_error());
    must(rg_write_npz(path,
                      (const char *const[]){"gr\xc3\xb6\xc3\x9f"
                                            "e"},
                      &number, 1));
    read_bytes(bytes, sizeof bytes);
    cr_assert_eq(bytes[7], 1 << 3, "the flag for UTF-8, else the names are read as those of DOS");
    must(rg_read_npz(path, &a));
    cr_assert_str_eq(a.names[0], "gr\xc3\xb6\xc3\x9f"
                                 "e");
    rg_archive_free(&a);
    end();
}

Test(io_npz, tensors_without_values_are_refused)
{
    begin();
    const rg_tensor none = {RG_F32, RG_SHAPE(3), NULL, NULL};
    cr_assert_eq(rg_write_npz(path, (const char *const[]){"x"}, &none, 1), RG_ERR_ARGUMENT);
    cr_assert(says("'x' has no values"), "%s", rg_last_error());
    cr_assert_eq(rg_write_npy(path, &none), RG_ERR_ARGUMENT);
    cr_assert(says("has no values"), "%s", rg_last_error());
    end();
}

/* Nobody writes into the pipe: to wait for it were to wait forever. */
Test(io_npy, pipes_are_refused, .timeout = 20)
{
    begin();
    rg_tensor t;
    rg_archive a;
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(rg_read_npy(path, &t), RG_ERR_IO);
    cr_assert(says(path), "%s", rg_last_error());
    cr_assert_eq(rg_read_npz(path, &a), RG_ERR_IO);
    end();
}

Test(io_npz, truncated_and_damaged_anywhere)
{
    begin();
    const struct {
        const unsigned char *bytes;
        size_t n;
    } rows[] = {{npz_stored, sizeof npz_stored}, {npz_deflated, sizeof npz_deflated}};
    static unsigned char changed[1024];
    rg_archive a;
    for (size_t r = 0; r < 2; r++) {
        for (size_t k = 0; k < rows[r].n; k++) {
            write_bytes(rows[r].bytes, k);
            cr_assert_eq(rg_read_npz(path, &a), RG_ERR_FORMAT, "%zu of %zu bytes", k, rows[r].n);
            cr_assert(says(path) && says("offset") && !a.names && !a.tensors && !a.n);
        }
        /* Bytes that matter are those of the members: name, header and elements stand under the checksum. */
        for (size_t k = 30; k < 70; k++) {
            memcpy(changed, rows[r].bytes, rows[r].n);
            changed[k] ^= 0x10;
            write_bytes(changed, rows[r].n);
            const rg_status status = rg_read_npz(path, &a);
            cr_assert(status == RG_ERR_FORMAT || (k >= 35 && k < 55), "byte %zu", k); /* the local extra field */
            rg_archive_free(&a);
        }
    }
    write_bytes("PK\5\6\0\0\0\0\1\0\1\0\xff\xff\0\0\0\0\0\0\0\0", 22);
    cr_assert_eq(rg_read_npz(path, &a), RG_ERR_FORMAT);
    cr_assert(says("outside of the file"), "%s", rg_last_error());
    cr_assert_eq(rg_read_npz(path, NULL), RG_ERR_ARGUMENT);
    cr_assert_eq(rg_read_npz(NULL, &a), RG_ERR_ARGUMENT);
    end();
}

/* ---- CSV ---- */

static rg_tensor read_table(const char *text, const rg_csv_opts *opts)
{
    rg_tensor t;
    write_bytes(text, strlen(text));
    must(rg_read_csv(path, opts, &t));
    return t;
}

Test(io_csv, tables)
{
    begin();
    const rg_csv_opts titles = {.skip_lines = 1, .dtype = RG_F64}, tabs = {.separator = '\t'},
                      holes = {.missing_is_nan = true};
    rg_tensor t = read_table("1,2,3\n4,-5.5,6e2\n", NULL);
    expect(&t, RG_F32, RG_SHAPE(2, 3), (const float[]){1, 2, 3, 4, -5.5f, 600});
    rg_tensor_free(&t);
    t = read_table("\xEF\xBB\xBF\"a\",b\r\n\"1.25\" , 0.1\r\n\r\n-0,1e300", &titles);
    expect(&t, RG_F64, RG_SHAPE(2, 2), (const double[]){1.25, 0.1, -0.0, 1e300});
    rg_tensor_free(&t);
    t = read_table("1\t2\r3\t4\r", &tabs);
    expect(&t, RG_F32, RG_SHAPE(2, 2), (const float[]){1, 2, 3, 4});
    rg_tensor_free(&t);
    t = read_table("1,,3\n", &holes);
    cr_assert(((float *)t.data)[0] == 1 && isnan(((float *)t.data)[1]) && ((float *)t.data)[2] == 3);
    rg_tensor_free(&t);
    t = read_table("7", NULL);
    expect(&t, RG_F32, RG_SHAPE(1, 1), (const float[]){7});
    rg_tensor_free(&t);
    end();
}

Test(io_csv, large_tables)
{
    begin();
    enum { ROWS = 60000 };
    FILE *f = fopen(path, "w");
    cr_assert(f);
    for (int i = 0; i < ROWS; i++)
        fprintf(f, "%d.5,%d,%d\n", i, 2 * i, -i);
    fclose(f);
    rg_tensor t;
    must(rg_read_csv(path, NULL, &t));
    cr_assert(rg_shape_equal(t.shape, RG_SHAPE(ROWS, 3)));
    const float *row = (float *)t.data + 3 * (ROWS - 1);
    cr_assert(row[0] == ROWS - 0.5f && row[1] == 2 * (ROWS - 1) && row[2] == 1 - ROWS);
    rg_tensor_free(&t);
    end();
}

Test(io_csv, what_is_wrong_is_named)
{
    begin();
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "no row of numbers"},
        {"\n\n", "no row of numbers"},
        {"1,2\n3\n", "offset 4|line 2 has 1 columns|have 2"},
        {"1,2\n3,4,5\n", "line 2 has 3 columns"},
        {"1,two\n", "offset 2|line 1, column 2|'two'"},
        {"1,,2\n", "line 1, column 2|empty"},
        {"1,2,\n", "line 1, column 3|empty"},
        {"1\n\"2\n", "line 2, column 1|closing quote is missing"},
        {"\"1\"2\n", "text after the closing quote"},
        {"1 2\n", "'1 2'"},
        {"1,0x\n", "'0x'"},
        {"11111111111111111111111111111111111111111111111111111111111111111\n", "so many characters"},
    };
    rg_tensor t;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_bytes(rows[i].text, strlen(rows[i].text));
        cr_assert_eq(rg_read_csv(path, NULL, &t), RG_ERR_FORMAT, "row %zu passes", i);
        cr_assert(says(rows[i].message) && says(path) && !t.data, "'%s' lacks '%s'", rg_last_error(), rows[i].message);
    }
    write_bytes("1\n", 2);
    cr_assert_eq(rg_read_csv(path, &(rg_csv_opts){.dtype = RG_I32}, &t), RG_ERR_DTYPE);
    cr_assert_eq(rg_read_csv(path, &(rg_csv_opts){.separator = '5'}, &t), RG_ERR_ARGUMENT);
    cr_assert_eq(rg_read_csv(path, &(rg_csv_opts){.skip_lines = -1}, &t), RG_ERR_ARGUMENT);
    cr_assert_eq(rg_read_csv(path, NULL, NULL), RG_ERR_ARGUMENT);
    cr_assert_eq(rg_read_csv(NULL, NULL, &t), RG_ERR_ARGUMENT);
    end();
}
