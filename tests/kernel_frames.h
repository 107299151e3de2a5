/* kernel_frames.h - what the tests of kernels share: every table, arrays of either type, and outputs between
   canaries. */
#ifndef KERNEL_FRAMES_H
#define KERNEL_FRAMES_H

#include "ops/kernels/kernels.h"

#define NAME(t) rgk_isa_name((t)->isa), (t)->type == RGK_F32 ? "f32" : "f64"

enum { MARK = 0xa5 }; /* every byte of a canary, and of what nobody has written yet */

/* n elements, `offset` of them from an aligned address, between two canaries. */
typedef struct frame {
    unsigned char *memory;
    size_t bytes;
    void *p;
} frame;

/* Calls f for every table present that has kernels of its own beside the products of bf16. */
void each_table(void (*f)(const rgk_table *t));
size_t width(const rgk_table *t);
double get(const rgk_table *t, const void *p, size_t i);
void put(const rgk_table *t, void *p, size_t i, double x);
/* x rounded to the type. */
double rounded(const rgk_table *t, double x);
double epsilon(const rgk_table *t);
void *at(const rgk_table *t, void *p, size_t i);
frame frame_new(size_t n, size_t bytes, size_t offset);
void frame_free(frame *f, const char *what);
/* So many bytes between two canaries, of memory that all scratch is in, one after the other: it holds what was left
   there. */
frame scratch_begin(size_t bytes);
void scratch_end(const frame *f, const char *what);
/* Sizes around the vector's, and a few blocks. */
size_t size_at(const rgk_table *t, size_t i);
double random_unit(void);
/* Values of moderate size, with zeros, repetitions and, if asked for, what is not finite. */
void fill_values(const rgk_table *t, void *p, size_t n, bool wild);

#endif
