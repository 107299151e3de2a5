/* move.h - copies between strided layouts: the one loop nest under transpose, broadcast, slice and concat. */
#ifndef RGI_MOVE_H
#define RGI_MOVE_H

#include <retrograde/op.h>

/* Element (i_0, ..) goes from in[sum i_k in_k] to out[sum i_k out_k]. Axes run from the outermost of the output to the
   innermost; strides count elements, a zero input stride repeats. Begun as {.size = bytes of an element}. */
typedef struct rgi_move {
    int32_t rank;
    int32_t plane,
        last;    /* set by rgi_move_cut: an axis along which the input is contiguous, or -1; the innermost axis */
    size_t size; /* bytes of an element: 1, 4 or 8 */
    size_t n[RG_MAX_RANK];
    ptrdiff_t in[RG_MAX_RANK], out[RG_MAX_RANK];
    size_t length, stride; /* of the innermost axis; how much of it, or of the plane's axis, a unit of work takes */
    size_t pieces;         /* units of one row, or of one plane */
    size_t units, group;   /* of all; of a task */
    size_t tasks;          /* of a fixed amount of bytes, a function of the layout alone; 0: there is nothing to move */
} rgi_move;

/* Adds an axis inside those there are, merged with the last one where both layouts allow it. */
void rgi_move_axis(rgi_move *m, size_t n, ptrdiff_t in, ptrdiff_t out);
/* After the last axis: cuts the work into tasks. */
void rgi_move_cut(rgi_move *m);
void rgi_move_run(const rgi_move *m, const void *in, void *out, size_t lo, size_t hi);
/* The move as tasks [first, first + tasks) of a larger step: does what lies in [lo, hi), returns first + tasks. */
size_t rgi_move_part(const rgi_move *m, const void *in, void *out, size_t first, size_t lo, size_t hi);

/* cost and run of an op whose geometry is the move from input 0 to output 0. */
void rgi_move_cost(const rg_step *step, rg_cost *cost);
rg_status rgi_move_step(const rg_step *step, size_t lo, size_t hi);

/* in + offset elements of `size` bytes. */
static inline const void *rgi_at(const void *base, ptrdiff_t offset, size_t size)
{
    return (const char *)base + offset * (ptrdiff_t)size;
}
static inline void *rgi_at_out(void *base, ptrdiff_t offset, size_t size)
{
    return (char *)base + offset * (ptrdiff_t)size;
}

#endif
