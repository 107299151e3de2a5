/* readers.c - the readers of io/, and files for each that are in order. */
#include "readers.h"

#include "numpy_files.h"
#include "png_files.h"

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

static rg_status dropped(rg_status status, rg_tensor *t)
{
    rg_tensor_free(t);
    return status;
}

/* ---- IDX ---- */

static rg_status read_idx(const char *path)
{
    rg_tensor t;
    return dropped(rg_read_idx(path, &t), &t);
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
    return dropped(rg_read_npy(path, &t), &t);
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
    return dropped(rg_read_csv(path, NULL, &t), &t);
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

/* ---- pictures ---- */

static rg_status read_png(const char *path)
{
    rg_tensor t;
    return dropped(rg_read_png(path, &t), &t);
}

/* Grey, grey with alpha, red green blue, and with alpha. */
static void png_sample(const char *path, unsigned which)
{
    uint8_t pixels[2 * 3 * 4];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(37 * i);
    if (which % 6 == 4)
        put_file(path, png_palette, sizeof png_palette);
    else if (which % 6 == 5)
        put_file(path, png_deep, sizeof png_deep);
    else
        must(rg_write_png(path, &(rg_tensor){RG_U8, RG_SHAPE(2, 3, which % 6 + 1), pixels, NULL}));
}

/* The checksum of each chunk, as far as the lengths lead. */
static void png_repair(unsigned char *bytes, size_t n)
{
    for (size_t at = 8; n >= 12 && at <= n - 12;) {
        const size_t length =
            (size_t)bytes[at] << 24 | (size_t)bytes[at + 1] << 16 | (size_t)bytes[at + 2] << 8 | bytes[at + 3];
        if (length > n - at - 12)
            return;
        const uint32_t sum = (uint32_t)crc32(0, bytes + at + 4, (uInt)length + 4);
        for (size_t i = 0; i < 4; i++)
            bytes[at + 8 + length + i] = (unsigned char)(sum >> (24 - 8 * i));
        at += 12 + length;
    }
}

static rg_status read_pnm(const char *path)
{
    rg_tensor t;
    return dropped(rg_read_pnm(path, &t), &t);
}

static void pnm_sample(const char *path, unsigned which)
{
    static const char *const texts[] = {"P2 # grey\n3 2\n15\n0 1 2\n13 14 15\n", "P3\n2 1 255\n255 0 0  0 0 255\n",
                                        "P5 3 2 255\nabcdef", "P6\n# colours\n1 2\n255\nabcdef"};
    put_file(path, texts[which % 4], strlen(texts[which % 4]));
}

const reader readers[] = {
    {"idx", read_idx, idx_sample, false, NULL},
    {"npy", read_npy, npy_sample, false, NULL},
    {"npz", read_npz, npz_sample, false, NULL},
    {"csv", read_csv, csv_sample, false, NULL},
    {"safetensors", read_safetensors, safetensors_sample, false, NULL},
    {"checkpoint", read_checkpoint, checkpoint_sample, true, NULL},
    {"png", read_png, png_sample, false, png_repair},
    {"pnm", read_pnm, pnm_sample, false, NULL},
};
const size_t n_readers = sizeof readers / sizeof *readers;

bool reader_present(const reader *r)
{
    return r->read("/nowhere/at/all") == RG_ERR_IO;
}
