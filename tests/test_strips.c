/* test_strips.c - long sequences: what leads to a loop, and what is behind it, is made for some of its turns at a time,
   in memory for those alone, and every bit is that of the loop as it was written. */
#include "must.h"

#include "../runtime/plan.h"

#include <stdio.h>
#include <stdlib.h>

enum { LONG = 1607, B = 8, I = 6, H = 32, FETCHED = 24 };

typedef rg_node *layer(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);

/* A weight a gate: several products lead to the loop. */
static rg_node *apart(rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts)
{
    rg_graph *g = rg_graph_of(xs);
    const int64_t in = rg_shape_of(xs).dim[2];
    rg_node *w[3], *u[3], *gate[3];
    for (int k = 0; k < 3; k++) {
        char of[16];
        snprintf(of, sizeof of, "%s.w%d", name, k);
        w[k] = rg_param(g, of, RG_F32, RG_SHAPE(in, hidden), NULL);
        snprintf(of, sizeof of, "%s.u%d", name, k);
        u[k] = rg_param(g, of, RG_F32, RG_SHAPE(hidden, hidden), NULL);
    }
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.reverse = true, .lengths = opts ? opts->lengths : NULL});
    rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, rg_zeros(g, RG_F32, RG_SHAPE(B, hidden)));
    for (int k = 0; k < 3; k++)
        gate[k] = rg_add(rg_matmul(x, w[k]), rg_matmul(h, u[k]));
    rg_node *z = rg_sigmoid(gate[0]);
    rg_node *next = rg_add(rg_mul(z, h), rg_mul(rg_one_minus(z), rg_mul(rg_sigmoid(gate[1]), rg_tanh(gate[2]))));
    rg_scan_next(s, h, next);
    rg_node *ys = rg_scan_stack(s, next);
    rg_scan_end(s);
    return ys;
}

typedef struct network {
    rg_graph *g;
    rg_node *xs, *lengths, *ys, *loss, *fetch[FETCHED];
    size_t n;
} network;

static network network_new(layer *of, bool ragged, bool both, bool grads)
{
    network m = {.g = rg_graph_new(&(rg_graph_opts){.seed = 3})};
    m.xs = rg_input(m.g, "xs", RG_F32, RG_SHAPE(rg_dim(m.g, "time"), B, I));
    m.lengths = rg_input(m.g, "lengths", RG_I64, RG_SHAPE(B));
    m.ys = of(rg_tanh(m.xs), "layer", H, /* of which the plan holds the sequence itself */
              &(rg_rnn_opts){.lengths = ragged ? m.lengths : NULL, .bidirectional = both});
    m.loss = rg_sum(rg_square(m.ys), RG_ALL_AXES, false);
    m.fetch[m.n++] = m.ys;
    const rg_nodes params = rg_params(m.g);
    rg_node *wrt[FETCHED] = {m.xs};
    cr_assert(params.n + 2 <= FETCHED);
    memcpy(wrt + 1, params.at, params.n * sizeof *wrt);
    const rg_nodes d = grads ? rg_grad(m.loss, (rg_nodes){wrt, params.n + 1}) : (rg_nodes){0};
    for (size_t k = 0; k < d.n; k++)
        m.fetch[m.n++] = d.at[k];
    return m;
}

static float data[4 * LONG * B * I];
static int64_t ends[B];

static void bind(const network *m, rg_plan *p, int64_t steps)
{
    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        data[i] = (float)(i * 37 % 101) / 50 - 1;
    for (int64_t i = 0; i < B; i++)
        ends[i] = i * steps / (B - 1);
    must(rg_bind_shape(p, m->xs, data, RG_SHAPE(steps, B, I)));
    must(rg_bind(p, m->lengths, ends));
}

static rg_plan *plan_of(const network *m, int64_t steps, const rg_plan_opts *opts)
{
    rg_plan *p = must_compile(m->g, (rg_nodes){m->fetch, m->n}, opts);
    bind(m, p, steps);
    return p;
}

/* Loops of a plan that has been run, to which something leads in strips, or from which. */
static size_t loops_in_strips(const rg_plan *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->current->n_steps; i++)
        n += p->current->steps[i].strips != NULL;
    return n;
}

static layer *const layers[] = {rg_nn_lstm, rg_nn_gru_cho, rg_nn_lstm_peephole, apart};
enum { LAYERS = sizeof layers / sizeof *layers };

/* Values and gradients of long sequences, for any number of threads. */
Test(strips, have_the_bits_of_the_whole)
{
    for (size_t k = 0; k < LAYERS; k++)
        for (int ragged = k == 2; ragged < (k == 1 ? 1 : 2); ragged++) {
            const network m = network_new(layers[k], ragged, ragged && layers[k] != apart, true);
            rg_plan *whole = plan_of(&m, LONG, &(rg_plan_opts){.threads = 1, .no_fuse = true, .mode = RG_TRAIN});
            must(rg_run(whole));
            cr_assert_eq(loops_in_strips(whole), 0);
            for (int threads = 1; threads <= 8; threads += threads < 3 ? 1 : 5) {
                rg_plan *p = plan_of(&m, LONG, &(rg_plan_opts){.threads = threads, .mode = RG_TRAIN});
                char what[64];
                snprintf(what, sizeof what, "layer %zu, %s, %d threads", k, ragged ? "ragged" : "full", threads);
                must(rg_run(p));
                must(rg_run(p)); /* nothing is left over from the run before */
                expect_equal_results(p, whole, (rg_nodes){m.fetch, m.n}, what, "in strips");
                cr_expect(threads > 1 || loops_in_strips(p) >= (ragged && layers[k] != apart ? 4 : 2), "%s: %zu loops",
                          what, loops_in_strips(p));
                rg_plan_free(p);
            }
            rg_plan_free(whole);
            rg_graph_free(m.g);
        }
}

/* Loops go side by side although what leads to the first of them is made in strips. */
Test(strips, go_side_by_side)
{
    static const rg_machine eager = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 0, .share_ns = 1e-3};
    const network m = network_new(rg_nn_lstm, false, true, false);
    rg_plan *whole = plan_of(&m, LONG, &(rg_plan_opts){.threads = 1, .no_fuse = true, .mode = RG_EVAL});
    rg_plan *p = plan_of(&m, LONG, &(rg_plan_opts){.threads = 4, .machine = &eager, .mode = RG_EVAL});
    must(rg_run(whole));
    must(rg_run(p));
    const rgi_section *x = p->current->sections;
    cr_assert(x && x->n == 2 && loops_in_strips(p) == 2 && p->current->steps[x->begin].in_strips);
#ifdef _OPENMP
    for (uint32_t k = 0; k < x->n; k++)
        cr_expect(x->branches[k].threads == 1 || x->branches[k].meeting.all_here.rung, "branch %u met never", k);
#endif
    cr_expect(x->branches[0].threads == 2);
    expect_equal_results(p, whole, (rg_nodes){m.fetch, m.n}, "both directions", "in strips");
    rg_plan_free(p);
    rg_plan_free(whole);
    rg_graph_free(m.g);
}

/* Where memory is short sequences need not be long. */
Test(strips, within_a_budget)
{
    static const int64_t steps[] = {0, 1, 8, 9, 33, 40, 63, 64, 65};
    for (size_t k = 0; k < LAYERS; k++)
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            const network m = network_new(layers[k], i % 2, false, i % 3 == 0);
            rg_plan *whole = plan_of(&m, steps[i], &(rg_plan_opts){.threads = 1, .no_fuse = true, .mode = RG_EVAL}),
                    *plain = plan_of(&m, steps[i], &(rg_plan_opts){.threads = 1, .mode = RG_EVAL});
            must(rg_run(whole));
            must(rg_run(plain));
            cr_expect_eq(loops_in_strips(plain), 0, "little is saved by it");
            const size_t saved = (size_t)steps[i] * B * H * sizeof(float);
            rg_plan *p = plan_of(&m, steps[i],
                                 &(rg_plan_opts){.threads = 1,
                                                 .mode = RG_EVAL,
                                                 .budget = rg_plan_bytes(plain) - (steps[i] > 32 ? saved : 0)});
            must(rg_run(p));
            cr_expect((loops_in_strips(p) > 0) == (steps[i] > 32), "layer %zu, %d steps", k, (int)steps[i]);
            expect_equal_results(p, whole, (rg_nodes){m.fetch, m.n}, "budget", "in strips");
            rg_plan_free(p);
            rg_plan_free(plain);
            rg_plan_free(whole);
            rg_graph_free(m.g);
        }
}

/* Memory grows with the sequence by the sequence and the outputs, not by what lies between. */
Test(strips, memory_does_not_grow_with_the_sequence)
{
    for (size_t k = 0; k < LAYERS; k++)
        for (int threads = 1; threads <= 2; threads++) {
            const network m = network_new(layers[k], false, false, false);
            rg_plan *p = plan_of(&m, 2 * LONG, &(rg_plan_opts){.threads = threads, .mode = RG_EVAL});
            must(rg_run(p));
            const size_t once = rg_plan_bytes(p);
            bind(&m, p, 4 * LONG);
            must(rg_run(p));
            cr_expect_eq(loops_in_strips(p), 1);
            const size_t ends_of_it = (size_t)2 * LONG * B * (I + H) * sizeof(float);
            cr_expect_leq(rg_plan_bytes(p), once + ends_of_it + 65536, "layer %zu, %d threads: %zu, then %zu", k,
                          threads, once, rg_plan_bytes(p));
            cr_expect_leq(once, ends_of_it + (size_t)5 * 1024 * 1024, "layer %zu: %zu", k, once);
            rg_plan_free(p);
            rg_graph_free(m.g);
        }
}

/* One plan for sequences of any length. */
Test(strips, one_plan_for_all_lengths)
{
    static const int64_t steps[] = {LONG, 3, 0, 2 * LONG, 1, LONG + 7, LONG};
    const network m = network_new(rg_nn_lstm, true, false, true);
    rg_plan *p = must_compile(m.g, (rg_nodes){m.fetch, m.n}, &(rg_plan_opts){.threads = 2, .mode = RG_TRAIN}),
            *whole = must_compile(m.g, (rg_nodes){m.fetch, m.n},
                                  &(rg_plan_opts){.threads = 1, .no_fuse = true, .mode = RG_TRAIN});
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        bind(&m, p, steps[i]);
        bind(&m, whole, steps[i]);
        must(rg_run(p));
        must(rg_run(whole));
        cr_expect_eq(loops_in_strips(p) > 0, steps[i] >= LONG, "%d steps", (int)steps[i]);
        expect_equal_results(p, whole, (rg_nodes){m.fetch, m.n}, "lengths", "in strips");
    }
    rg_plan_free(p);
    rg_plan_free(whole);
    rg_graph_free(m.g);
}

static rg_node *optimiser(rg_node *loss, int which)
{
    return which == 0   ? rg_sgd(loss, &(rg_sgd_opts){.lr = 1e-6, .momentum = 0.9})
           : which == 1 ? rg_adam(loss, &(rg_adam_opts){.lr = 1e-3})
                        : rg_adam(loss, &(rg_adam_opts){.lr = 1e-3, .clip_norm = 1});
}

/* Weights that a step changes are read before that; sums that end in an update are all there then. */
Test(strips, updates_come_after_the_loop)
{
    static const int64_t steps[] = {LONG + 5, 3, LONG, 6 * 512};
    for (int which = 0; which < 3; which++)
        for (int threads = 1; threads <= 2; threads++) {
            double loss[2][4];
            for (int plain = 0; plain < 2; plain++) {
                const network m = network_new(layers[which], threads == 2, false, false);
                rg_node *step = optimiser(m.loss, which);
                rg_plan *p = must_compile(m.g, RG_NODES(m.loss, step),
                                          &(rg_plan_opts){.threads = plain ? 1 : threads, .no_fuse = plain});
                for (int i = 0; i < 4; i++) {
                    bind(&m, p, steps[i]);
                    must(rg_run(p));
                    loss[plain][i] = value_at(p, m.loss, 0);
                    cr_expect_eq(loops_in_strips(p), plain || i == 1 ? 0 : 2, "optimiser %d, %d threads", which,
                                 threads);
                }
                rg_plan_free(p);
                rg_graph_free(m.g);
            }
            for (int i = 0; i < 4; i++)
                cr_expect_eq(loss[0][i], loss[1][i], "optimiser %d, run %d: %g, %g", which, i, loss[0][i], loss[1][i]);
        }
}

/* What the turns of a reverse pass leave for the gradients of weights has memory for one strip. */
Test(strips, gradients_hold_no_more_than_what_is_kept)
{
    for (int threads = 1; threads <= 2; threads++) {
        const network m = network_new(rg_nn_lstm, false, false, false);
        rg_node *step = optimiser(m.loss, 1);
        rg_plan *p = must_compile(m.g, RG_NODES(m.loss, step), &(rg_plan_opts){.threads = threads});
        bind(&m, p, LONG);
        must(rg_run(p));
        /* i, f, g, o, c, tanh(c), h of each step, the outputs' cotangents, the sequence */
        cr_expect_leq(rg_plan_bytes(p), (size_t)LONG * B * (9 * H + 2 * I) * sizeof(float) + (size_t)6 * 1024 * 1024);
        rg_plan_free(p);
        rg_graph_free(m.g);
    }
}

/* The plan says what it does. */
Test(strips, are_seen_in_a_dump_and_a_profile)
{
    const network m = network_new(rg_nn_lstm, false, false, false);
    rg_plan *p = plan_of(&m, LONG, &(rg_plan_opts){.threads = 1, .mode = RG_EVAL, .profile = true});
    must(rg_run(p));
    char *text = rg_plan_dump(p), *table = rg_plan_profile(p, NULL);
    cr_assert(text && table);
    cr_expect(strstr(text, "run in strips") && strstr(text, "what leads to it and from it in strips of 512 steps"),
              "%s", text);
    cr_expect(strstr(table, "contract"), "%s", table);
    rg_text_free(text);
    rg_text_free(table);
    rg_plan_free(p);
    rg_graph_free(m.g);
}
