/* pictures.h - planes of numbers as pictures: tiles of a grid, written as PNG, or as a portable map where the library has no
   libpng. */
#ifndef EXAMPLES_PICTURES_H
#define EXAMPLES_PICTURES_H

#include <retrograde/retrograde.h>

typedef enum tile_scale {
    TILE_UNIT,   /* 0 black, 1 white */
    TILE_RANGE,  /* the least number of a tile black, the greatest white */
    TILE_SIGNED, /* zero grey, the largest magnitude of a tile white if positive, black if negative */
    TILE_HEAT    /* zero black, the largest magnitude of a tile red to yellow to white */
} tile_scale;

/* A picture of rows x columns tiles, each `size` pixels square and three channels deep, with dark lines between. */
typedef struct picture {
    rg_tensor pixels;
    int rows, columns, size;
} picture;

bool picture_new(picture *p, int rows, int columns, int size);
void picture_free(picture *p);
/* Fills a tile with a plane of height x width numbers, each a square of pixels. */
void picture_tile(picture *p, int row, int column, const float *plane, int height, int width, tile_scale scale);
/* The same for a plane drawn over another, grey one: red where `heat` is large. */
void picture_overlay(picture *p, int row, int column, const float *plane, const float *heat, int height, int width);
/* To `name`.png, or .ppm; prints where, or why not. */
bool picture_write(const picture *p, const char *name, const char *what);

#endif
