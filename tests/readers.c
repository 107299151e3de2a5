/* readers.c - the readers of io/, and files for each that are in order. */
#include "readers.h"

#include "numpy_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void put_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f))
        abort();
}

static void must(rg_status status)
{
    if (status)
        abort();
}

/* ---- IDX ---- */

static rg_status read_idx(const char *path)
{
    rg_tensor t;
    const rg_status status = rg_read_idx(path, &t);
    rg_tensor_free(&t);
    return status;
}

static void idx_sample(const char *path, unsigned which)
{
    unsigned char bytes[40] = {0, 0, 0x0B, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8};
    if (which % 2 == 0) {
        put_file(path, bytes, sizeof bytes);
        return;
    }
    gzFile f = gzopen(path, "wb");
    if (!f || gzwrite(f, bytes, sizeof bytes) != sizeof bytes || gzclose(f))
        abort();
}

/* ---- npy, npz, CSV ---- */

static rg_status read_npy(const char *path)
{
    rg_tensor t;
    const rg_status status = rg_read_npy(path, &t);
    rg_tensor_free(&t);
    return status;
}

static void npy_sample(const char *path, unsigned which)
{
    float values[6] = {1, 2, 3, 4, 5, 6};
    if (which % 3 == 0)
        put_file(path, npy_big_fortran, sizeof npy_big_fortran);
    else if (which % 3 == 1)
        put_file(path, npy_half, sizeof npy_half);
    else
        must(rg_write_npy(path, &(rg_tensor){RG_F32, RG_SHAPE(2, 3), values, NULL}));
}

static rg_status read_npz(const char *path)
{
    rg_archive a;
    const rg_status status = rg_read_npz(path, &a);
    rg_archive_free(&a);
    return status;
}

static void npz_sample(const char *path, unsigned which)
{
    if (which % 2)
        put_file(path, npz_deflated, sizeof npz_deflated);
    else
        put_file(path, npz_stored, sizeof npz_stored);
}

static rg_status read_csv(const char *path)
{
    rg_tensor t;
    const rg_status status = rg_read_csv(path, NULL, &t);
    rg_tensor_free(&t);
    return status;
}

static void csv_sample(const char *path, unsigned which)
{
    static const char *const texts[] = {"1,2,3\n4,5.5,-6e3\n\n7,8,9\n", "\"1\", 2\r\n\"3.25\" ,4\r\n", "0.5\n"};
    const char *text = texts[which % 3];
    put_file(path, text, strlen(text));
}

/* ---- safetensors ---- */

static rg_graph *small_graph(void)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_param(g, "w", RG_F32, RG_SHAPE(2, 3), NULL);
    rg_buffer(g, "steps", RG_I64, RG_SCALAR, NULL);
    rg_buffer(g, "flags", RG_BOOL, RG_SHAPE(3), NULL);
    return g;
}

static rg_status read_safetensors(const char *path)
{
    rg_graph *g = small_graph();
    rg_load_report report;
    const rg_status status = rg_load(g, path, &report);
    rg_graph_free(g);
    return status;
}

static void safetensors_sample(const char *path, unsigned which)
{
    rg_graph *g = small_graph();
    if (which % 2)
        rg_param(g, "more.\xC3\xA9", RG_F64, RG_SHAPE(1, 0, 2), NULL);
    must(rg_save(g, path));
    rg_graph_free(g);
}

/* ---- checkpoints ---- */

static rg_status read_checkpoint(const char *path)
{
    rg_graph *g = small_graph();
    rg_checkpoint found;
    const rg_status status = rg_checkpoint_load(g, path, &found);
    rg_text_free(found.note);
    rg_graph_free(g);
    return status;
}

static void checkpoint_sample(const char *path, unsigned which)
{
    rg_graph *g = small_graph();
    remove(path); /* so that none before it is kept */
    must(rg_checkpoint_save(g, path, which % 2 ? "epoch=3 \"quoted\"\n" : NULL));
    rg_graph_free(g);
}

const reader readers[] = {
    {"idx", read_idx, idx_sample, false},
    {"npy", read_npy, npy_sample, false},
    {"npz", read_npz, npz_sample, false},
    {"csv", read_csv, csv_sample, false},
    {"safetensors", read_safetensors, safetensors_sample, false},
    {"checkpoint", read_checkpoint, checkpoint_sample, true},
};
const size_t n_readers = sizeof readers / sizeof *readers;
