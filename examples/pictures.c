/* pictures.c - planes of numbers as pictures. */
#include "pictures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { GAP = 2, DARK = 24 };

static int extent(int tiles, int size)
{
    return tiles * (size + GAP) + GAP;
}

bool picture_new(picture *p, int rows, int columns, int size)
{
    *p = (picture){.rows = rows, .columns = columns, .size = size};
    if (rg_tensor_alloc(&p->pixels, RG_U8, RG_SHAPE(extent(rows, size), extent(columns, size), 3))) {
        fprintf(stderr, "%s\n", rg_last_error());
        return false;
    }
    memset(p->pixels.data, DARK, rg_tensor_bytes(&p->pixels));
    return true;
}

void picture_free(picture *p)
{
    rg_tensor_free(&p->pixels);
}

typedef struct range {
    float least, greatest, magnitude;
} range;

static range range_of(const float *plane, int n)
{
    range r = {plane[0], plane[0], fabsf(plane[0])};
    for (int i = 1; i < n; i++) {
        r.least = fminf(r.least, plane[i]);
        r.greatest = fmaxf(r.greatest, plane[i]);
        r.magnitude = fmaxf(r.magnitude, fabsf(plane[i]));
    }
    return r;
}

static uint8_t byte(float v)
{
    return (uint8_t)lrintf(255 * fminf(fmaxf(v, 0), 1));
}

/* Colour of a number as three bytes. */
static void colour(float v, const range *r, tile_scale scale, uint8_t to[3])
{
    const float span = r->greatest - r->least, heat = r->magnitude > 0 ? fabsf(v) / r->magnitude : 0;
    switch (scale) {
    case TILE_UNIT:
        to[0] = to[1] = to[2] = byte(v);
        break;
    case TILE_RANGE:
        to[0] = to[1] = to[2] = byte(span > 0 ? (v - r->least) / span : 0);
        break;
    case TILE_SIGNED:
        to[0] = to[1] = to[2] = byte(r->magnitude > 0 ? 0.5f + 0.5f * v / r->magnitude : 0.5f);
        break;
    case TILE_HEAT:
        to[0] = byte(heat * 2), to[1] = byte(heat * 2 - 0.7f), to[2] = byte(heat * 3 - 2);
        break;
    }
}

/* The pixel (y, x) of a tile. */
static uint8_t *pixel(picture *p, int row, int column, int y, int x)
{
    const int width = extent(p->columns, p->size);
    return (uint8_t *)p->pixels.data +
           3 * ((size_t)(extent(row, p->size) + y) * (size_t)width + (size_t)(extent(column, p->size) + x));
}

void picture_tile(picture *p, int row, int column, const float *plane, int height, int width, tile_scale scale)
{
    const range r = range_of(plane, height * width);
    for (int y = 0; y < p->size; y++)
        for (int x = 0; x < p->size; x++)
            colour(plane[y * height / p->size * width + x * width / p->size], &r, scale, pixel(p, row, column, y, x));
}

void picture_overlay(picture *p, int row, int column, const float *plane, const float *heat, int height, int width)
{
    const range grey = range_of(plane, height * width), hot = range_of(heat, height * width);
    for (int y = 0; y < p->size; y++)
        for (int x = 0; x < p->size; x++) {
            const int at = y * height / p->size * width + x * width / p->size;
            uint8_t *to = pixel(p, row, column, y, x);
            colour(plane[at], &grey, TILE_RANGE, to);
            const float share = hot.magnitude > 0 ? fminf(1.5f * fabsf(heat[at]) / hot.magnitude, 1) : 0;
            to[0] = byte((1 - share) * 0.6f * (float)to[0] / 255 + share);
            to[1] = to[2] = byte((1 - share) * 0.6f * (float)to[1] / 255);
        }
}

bool picture_write(const picture *p, const char *name, const char *what)
{
    char path[256];
    snprintf(path, sizeof path, "%s.png", name);
    rg_status status = rg_write_png(path, &p->pixels);
    if (status == RG_ERR_ARGUMENT) {
        snprintf(path, sizeof path, "%s.ppm", name);
        status = rg_write_pnm(path, &p->pixels);
    }
    if (status)
        fprintf(stderr, "%s\n", rg_last_error());
    else
        printf("  %-28s %s\n", path, what);
    return status == RG_OK;
}
