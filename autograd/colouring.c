/* colouring.c - greedy colourings, of a Jacobian's columns (Curtis, Powell, Reid 1974) and of a Hessian's.

   A Hessian's elements come in pairs, so one of each pair is enough: a star colouring does (Coleman, More 1984;
   Gebremedhin, Manne, Pothen 2005): neighbours differ, and no path of four has but two colours. An arrow has two
   colours so, where columns by themselves have as many as there are. */
#include "colouring.h"

#include <string.h>

bool rgi_pattern_transpose(rgi_arena *arena, const rgi_pattern *a, rgi_pattern *out)
{
    const int64_t n = a->start[a->rows];
    *out = (rgi_pattern){.rows = a->columns, .columns = a->rows};
    out->start = rgi_arena_alloc(arena, (size_t)(a->columns + 2) * sizeof *out->start);
    out->column = rgi_arena_alloc(arena, (size_t)(n + 1) * sizeof *out->column);
    if (!out->start || !out->column)
        return false;
    int64_t *at = out->start + 1; /* where the next element of a row goes; its end once all are there */
    for (int64_t k = 0; k < n; k++)
        at[a->column[k] + 1]++;
    for (int64_t j = 0; j < a->columns; j++)
        at[j + 1] += at[j];
    for (int64_t i = 0; i < a->rows; i++)
        for (int64_t k = a->start[i]; k < a->start[i + 1]; k++)
            out->column[at[a->column[k]]++] = i;
    return true;
}

/* Where place (i, j) is in the list of columns, or -1. */
static int64_t find(const rgi_pattern *a, int64_t i, int64_t j)
{
    int64_t lo = a->start[i], hi = a->start[i + 1];
    while (lo < hi) {
        const int64_t middle = lo + (hi - lo) / 2;
        if (a->column[middle] < j)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo < a->start[i + 1] && a->column[lo] == j ? lo : -1;
}

bool rgi_pattern_mirrored(rgi_arena *arena, const rgi_pattern *a, const rgi_pattern *t, rgi_pattern *out)
{
    *out = (rgi_pattern){.rows = a->rows, .columns = a->columns};
    out->start = rgi_arena_alloc(arena, (size_t)(a->rows + 1) * sizeof *out->start);
    out->column = rgi_arena_alloc(arena, (size_t)(a->start[a->rows] + 1) * sizeof *out->column);
    if (!out->start || !out->column)
        return false;
    int64_t n = 0;
    for (int64_t i = 0; i < a->rows; i++) {
        for (int64_t k = a->start[i]; k < a->start[i + 1]; k++)
            if (find(t, i, a->column[k]) >= 0)
                out->column[n++] = a->column[k];
        out->start[i + 1] = n;
    }
    return true;
}

/* The least colour that column `j` was not forbidden. */
static int64_t least_free(const int64_t *forbidden, int64_t j)
{
    int64_t c = 0;
    while (forbidden[c] == j)
        c++;
    return c;
}

int64_t rgi_colour_columns(const rg_allocator *allocator, const rgi_pattern *a, const rgi_pattern *t, int64_t *colour)
{
    const size_t room = (size_t)(a->columns + 2) * sizeof(int64_t);
    int64_t *forbidden = rgi_alloc(allocator, room), colours = 0;
    if (!forbidden)
        return -1;
    memset(forbidden, -1, room);
    for (int64_t j = 0; j < a->columns; j++) {
        for (int64_t k = t->start[j]; k < t->start[j + 1]; k++) {
            const int64_t i = t->column[k];
            for (int64_t l = a->start[i]; l < a->start[i + 1] && a->column[l] < j; l++)
                forbidden[colour[a->column[l]]] = j;
        }
        colour[j] = least_free(forbidden, j);
        colours = colour[j] >= colours ? colour[j] + 1 : colours;
    }
    rgi_free(allocator, forbidden, room);
    return colours;
}

/* What v may not be for its neighbour w: the colour of w, and that of an x behind w with which v - w - x could be a
   part of a path of two colours. */
static void forbid(const rgi_pattern *a, const int64_t *colour, const bool *shared, int64_t v, int64_t w,
                   int64_t *forbidden)
{
    if (colour[w] >= 0)
        forbidden[colour[w]] = v;
    for (int64_t l = a->start[w]; l < a->start[w + 1]; l++) {
        const int64_t x = a->column[l];
        if (x != v && x != w && colour[x] >= 0 && (colour[w] < 0 || shared[l]))
            forbidden[colour[x]] = v;
    }
}

/* After v has its colour: notes the elements (w, x) whose x has two neighbours of the colour of w. Of several such w
   the others were noted when the second came. */
static void note_shared(const rgi_pattern *a, const int64_t *colour, bool *shared, int64_t v)
{
    for (int64_t k = a->start[v]; k < a->start[v + 1]; k++) {
        const int64_t x = a->column[k];
        for (int64_t l = a->start[x]; x != v && l < a->start[x + 1]; l++) {
            const int64_t w = a->column[l];
            if (w == x || w == v || colour[w] != colour[v])
                continue;
            shared[find(a, w, x)] = shared[k] = true;
            break;
        }
    }
}

/* Those with many neighbours first: while they have no colour, all of their neighbours must differ. */
static void sort_by_degree(const rgi_pattern *a, int64_t *order, int64_t *count)
{
    for (int64_t v = 0; v < a->rows; v++)
        count[a->rows - (a->start[v + 1] - a->start[v]) + 1]++;
    for (int64_t d = 0; d <= a->rows; d++)
        count[d + 1] += count[d];
    for (int64_t v = 0; v < a->rows; v++)
        order[count[a->rows - (a->start[v + 1] - a->start[v])]++] = v;
}

int64_t rgi_colour_symmetric(const rg_allocator *allocator, const rgi_pattern *a, int64_t *colour)
{
    const size_t n = (size_t)a->rows + 2, room = 3 * n * sizeof(int64_t), places = (size_t)a->start[a->rows] + 1;
    int64_t *forbidden = rgi_alloc(allocator, room), colours = 0;
    bool *shared = rgi_alloc(allocator, places); /* by element (w, x) */
    const bool ok = forbidden && shared;
    if (ok) {
        int64_t *order = forbidden + n;
        memset(forbidden, -1, n * sizeof *forbidden);
        memset(colour, -1, (size_t)a->rows * sizeof *colour);
        sort_by_degree(a, order, order + n);
        for (int64_t k = 0; k < a->rows; k++) {
            const int64_t v = order[k];
            for (int64_t l = a->start[v]; l < a->start[v + 1]; l++)
                if (a->column[l] != v)
                    forbid(a, colour, shared, v, a->column[l], forbidden);
            colour[v] = least_free(forbidden, v);
            colours = colour[v] >= colours ? colour[v] + 1 : colours;
            note_shared(a, colour, shared, v);
        }
    }
    rgi_free(allocator, forbidden, room);
    rgi_free(allocator, shared, places);
    return ok ? colours : -1;
}
