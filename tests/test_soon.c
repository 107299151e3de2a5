/* test_soon.c - what a loop reads after a product, which the product asks memory for: rows of this turn where the
   reader stands behind it, of the next one where it stands in front; none after the last. */
#include "must.h"

#include "../runtime/schedule/soon.h"

#include <stdlib.h>

enum { T = 5, B = 64, N = 128, ROW = B * N }; /* products of two million operations, groups of several blocks */

static const rg_machine eager = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 2000, .share_ns = 1e-3};
static float data[T * ROW];

static bool asks(const rg_soon *x, const float *from, size_t n)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->at[i] == from && x->bytes[i] == n * sizeof *from)
            return true;
    return false;
}

/* The product of a loop, whose groups read row t + `later` of `rows` after it. */
static void expect_product(const rgi_special *s, const rgi_loop *l, int later, const float *rows)
{
    const rgi_exec *loop = &s->steps[l->begin];
    size_t products = 0;
    for (size_t i = l->begin + 1; i < l->end; i++) {
        const rgi_exec *e = &s->steps[i];
        if (!e->packed)
            continue;
        products++;
        cr_assert(e->soon);
        for (int64_t t = 0; t < T; t++)
            for (size_t piece = 0; piece < (loop->rows ? loop->rows->pieces : 1); piece++) {
                const int64_t counters[RGI_COUNTERS] = {[RGI_TURN] = t, [0] = t};
                const bool there = t + later >= 0 && t + later < T;
                const rgi_row_step *r =
                    loop->rows ? &loop->rows->steps[piece * loop->rows->n_steps + e->soon->read[0].step] : NULL;
                const float *from = rows + (there ? t + later : t) * ROW + (r ? r->first : 0);
                rg_soon now;
                rgi_soon_now(e->soon, loop->rows ? loop : NULL, piece, counters, &now);
                cr_expect_eq(asks(&now, from, r ? r->count : ROW), there, "turn %d, piece %zu", (int)t, piece);
            }
    }
    cr_expect_eq(products, 1);
}

/* h = tanh(h w + x); in its reverse the product is behind the group that reads h. */
Test(soon, is_what_groups_read)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(T, B, N)), *w = rg_param(g, "w", RG_F32, RG_SHAPE(N, N), NULL);
    rg_scan *scan = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(scan, xs), *h = rg_scan_carry(scan, rg_zeros(g, RG_F32, RG_SHAPE(B, N)));
    rg_node *next = rg_tanh(rg_add(rg_matmul(h, w), x));
    rg_scan_next(scan, h, next);
    rg_node *states = rg_scan_stack(scan, next);
    rg_scan_end(scan);
    rg_node *by_w = rg_at(rg_grad(rg_sum(rg_square(states), RG_ALL_AXES, false), RG_NODES(w)), 0);
    for (int threads = 1; threads <= 2; threads++) {
        rg_plan *p = must_compile(g, RG_NODES(states, by_w), &(rg_plan_opts){.threads = threads, .machine = &eager});
        must(rg_bind(p, xs, data));
        must(rg_run(p));
        const rgi_special *s = p->current;
        const rgi_loop *l = p->program->loops;
        cr_assert_eq(p->program->n_loops, 2);
        cr_expect_eq(s->steps[l[0].begin].rows && s->steps[l[0].begin].rows->pieces == 2, threads == 2);
        cr_assert(!l[0].reverse && l[1].reverse);
        expect_product(s, &l[0], 0, data);
        expect_product(s, &l[1], -1, rg_data(p, states));
        rg_plan_free(p);
    }
    rg_graph_free(g);
}
