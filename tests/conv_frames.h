/* conv_frames.h - what the tests of the kernels of convolution share: operands and results between canaries. */
#ifndef CONV_FRAMES_H
#define CONV_FRAMES_H

#include "kernel_frames.h"

/* One of the numbers below. */
size_t draw(size_t below);
/* n elements, an odd number of them from an aligned address. */
frame blank(const rgk_table *t, size_t n);
/* The same from -1 to 1. */
frame numbers(const rgk_table *t, size_t n);
/* Fails if a sum is not `want`, up to errors of terms whose sizes add up to `scale`. */
void close_to(const rgk_table *t, double have, double want, double scale, const char *what);

#endif
