/* test_packed.c - operands that a plan packs once: kept from run to run while the parameter stays, or made in front of
   a loop. The same bits as without, which a plan with a budget goes; nothing stale, nothing allocated in a run. */
#include "count_malloc.h"
#include "must.h"
#include "tasks.h"

#include "../runtime/plan.h"

#include <stdlib.h>

enum { IN = 70, HIDDEN = 90, OUT = 75, MOST = 40 };

static const rg_machine eager = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 0, .share_ns = 1e-3};
static const rg_plan_opts plainly = {.threads = 1,
                                     .budget = (size_t)1 << 40}; /* enough for everything: nothing is packed */

/* Two layers: weights that lie by columns, and by rows. */
typedef struct network {
    rg_graph *g;
    rg_node *x, *w, *v, *y, *step;
    float data[MOST * IN];
} network;

static network *network_new(void)
{
    network *n = calloc(1, sizeof *n);
    cr_assert(n);
    n->g = rg_graph_new(NULL);
    n->x = rg_input(n->g, "x", RG_F32, RG_SHAPE(rg_dim(n->g, "batch"), IN));
    n->w = rg_param(n->g, "w", RG_F32, RG_SHAPE(HIDDEN, IN), NULL);
    n->v = rg_param(n->g, "v", RG_F32, RG_SHAPE(HIDDEN, OUT), NULL);
    n->y = rg_matmul(rg_tanh(rg_linear(n->x, n->w, NULL)), n->v);
    n->step = rg_sgd(rg_sum(rg_square(n->y), RG_ALL_AXES, false), &(rg_sgd_opts){.lr = 1e-3});
    for (size_t i = 0; i < MOST * IN; i++)
        n->data[i] = (float)(i * 37 % 101) / 101 - 0.5f;
    return n;
}

static void network_free(network *n)
{
    rg_graph_free(n->g);
    free(n);
}

static const float *result(network *n, rg_plan *p, int64_t batch)
{
    must(rg_bind_shape(p, n->x, n->data, RG_SHAPE(batch, IN)));
    must(rg_run(p));
    return rg_data(p, n->y);
}

/* The same bits as a new plan without packed operands. */
static void expect_right(network *n, rg_plan *p, int64_t batch, const char *when)
{
    rg_plan *q = must_compile(n->g, RG_NODES(n->y), &plainly);
    const float *want = result(n, q, batch), *have = result(n, p, batch);
    cr_assert(want && have);
    cr_expect_eq(q->program->n_packed, 0);
    cr_expect(memcmp(want, have, (size_t)(batch * OUT) * sizeof *want) == 0, "%s, batch %d", when, (int)batch);
    rg_plan_free(q);
}

static void set_ramp(rg_node *param, size_t n, int64_t rows, int64_t columns)
{
    float *value = calloc(n, sizeof *value);
    cr_assert(value);
    for (size_t i = 0; i < n; i++)
        value[i] = (float)(i * 53 % 89) / 89 - 0.5f;
    must(rg_set(param, &(rg_tensor){.dtype = RG_F32, .shape = RG_SHAPE(rows, columns), .data = value}));
    free(value);
}

Test(packed, kept_weights_give_the_same_bits)
{
    network *n = network_new();
    for (int threads = 1; threads <= 3; threads++) {
        rg_plan *p = must_compile(n->g, RG_NODES(n->y), &(rg_plan_opts){.threads = threads, .machine = &eager});
        cr_assert_eq(p->program->n_packed, 2);
        for (int64_t batch = 1; batch <= MOST; batch += 13)
            expect_right(n, p, batch, "kept");
        const size_t weights = (IN * HIDDEN + HIDDEN * OUT) * sizeof(float);
        cr_expect_geq(p->kept_bytes, weights);
        cr_expect_eq(rg_plan_bytes(p), p->current->total + p->kept_bytes, "what is kept is counted");
        rg_plan_free(p);
    }
    network_free(n);
}

Test(packed, again_when_a_parameter_has_changed)
{
    network *n = network_new();
    rg_plan *p = must_compile(n->g, RG_NODES(n->y), NULL), *train = must_compile(n->g, RG_NODES(n->step), NULL);
    expect_right(n, p, 8, "at first");
    set_ramp(n->w, HIDDEN * IN, HIDDEN, IN);
    expect_right(n, p, 8, "after rg_set");
    expect_right(n, p, 9, "at another size");
    must(rg_bind_shape(train, n->x, n->data, RG_SHAPE(8, IN)));
    for (int i = 0; i < 3; i++) {
        must(rg_run(train));
        expect_right(n, p, 8, "after a step of another plan");
    }
    cr_expect_eq(train->program->n_packed, 0, "a plan that changes its weights keeps none");
    rg_plan_free(p);
    rg_plan_free(train);
    network_free(n);
}

Test(packed, copies_of_parameters_are_packed_as_they_are)
{
    network *n = network_new();
    rg_plan *p = must_compile(n->g, RG_NODES(n->y), &(rg_plan_opts){.snapshot = true});
    float before[8 * OUT];
    memcpy(before, result(n, p, 8), sizeof before);
    set_ramp(n->v, HIDDEN * OUT, HIDDEN, OUT);
    cr_expect(memcmp(before, result(n, p, 8), sizeof before) == 0, "a snapshot stays");
    rg_plan *fork = rg_plan_fork(p);
    cr_assert(fork);
    cr_expect(memcmp(before, result(n, fork, 8), sizeof before) == 0, "so does its fork");
    must(rg_plan_refresh(p));
    expect_right(n, p, 8, "refreshed");
    must(rg_plan_refresh(fork));
    expect_right(n, fork, 8, "fork refreshed");
    rg_plan_free(fork);
    rg_plan_free(p);
    network_free(n);
}

Test(packed, nothing_is_kept_in_lent_memory)
{
    static char memory[1 << 20] __attribute__((aligned(64)));
    network *n = network_new();
    rg_plan *p = must_compile(n->g, RG_NODES(n->y), NULL);
    expect_right(n, p, 8, "in memory of its own");
    cr_expect(p->kept_bytes > 0);
    must(rg_plan_memory(p, memory, sizeof memory));
    expect_right(n, p, 8, "in lent memory");
    cr_expect_eq(p->kept_bytes, 0);
    must(rg_plan_memory(p, NULL, 0));
    expect_right(n, p, 8, "in its own again");
    cr_expect(p->kept_bytes > 0);
    rg_plan_free(p);
    network_free(n);
}

Test(packed, a_run_allocates_nothing)
{
    network *n = network_new();
    rg_plan *p = must_compile(n->g, RG_NODES(n->y), NULL);
    (void)result(n, p, 8);
    set_ramp(n->w, HIDDEN * IN, HIDDEN, IN);
    const size_t before = count_malloc();
    (void)result(n, p, 8);
    cr_expect_eq(count_malloc(), before, "packing again allocated");
    rg_plan_free(p);
    network_free(n);
}

/* ---- loops ---- */

enum { T = 6, B = 5, H = 52, S = 4 };

/* h' = tanh(h U + x), and in each step an inner loop over k' = tanh(k M_t), where M_t is a slice of the outer one: U is
   packed once, M_t in each step. */
typedef struct nested {
    rg_graph *g;
    rg_node *xs, *ms, *turns, *loss, *step, *u;
    float data[T * B * H], matrices[T * H * H], none[S];
} nested;

static nested *nested_new(bool train)
{
    nested *n = calloc(1, sizeof *n);
    cr_assert(n);
    rg_graph *g = n->g = rg_graph_new(NULL);
    n->xs = rg_input(g, "xs", RG_F32, RG_SHAPE(T, B, H));
    n->ms = rg_input(g, "ms", RG_F32, RG_SHAPE(T, H, H));
    n->turns = rg_input(g, "turns", RG_F32, RG_SHAPE(S));
    n->u = rg_param(g, "u", RG_F32, RG_SHAPE(H, H), NULL);
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(s, n->xs), *m = rg_scan_slice(s, n->ms);
    rg_node *h = rg_scan_carry(s, rg_zeros(g, RG_F32, RG_SHAPE(B, H)));
    rg_node *z = rg_tanh(rg_add(rg_matmul(h, n->u), x));
    rg_scan *inner = rg_scan_begin(g, NULL);
    rg_node *turn = rg_scan_slice(inner, n->turns);
    rg_node *k = rg_scan_carry(inner, z);
    rg_scan_next(inner, k, rg_tanh(rg_add(rg_matmul(k, m), turn)));
    rg_node *last = rg_scan_last(inner, k);
    rg_scan_end(inner);
    rg_scan_next(s, h, last);
    rg_node *end = rg_scan_last(s, h);
    rg_scan_end(s);
    n->loss = rg_sum(rg_square(end), RG_ALL_AXES, false);
    n->step = train ? rg_sgd(n->loss, &(rg_sgd_opts){.lr = 1e-2}) : n->loss;
    for (size_t i = 0; i < T * B * H; i++)
        n->data[i] = (float)(i * 37 % 101) / 101 - 0.5f;
    for (size_t i = 0; i < T * H * H; i++)
        n->matrices[i] = (float)(i * 41 % 103) / 400 - 0.12f;
    return n;
}

static rg_plan *nested_plan(nested *n, const rg_plan_opts *opts)
{
    rg_plan *p = must_compile(n->g, RG_NODES(n->loss, n->step), opts);
    must(rg_bind(p, n->xs, n->data));
    must(rg_bind(p, n->ms, n->matrices));
    must(rg_bind(p, n->turns, n->none));
    return p;
}

static size_t packing_steps(const rg_plan *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->current->n_steps; i++)
        n += p->current->steps[i].kind == RGI_PACK && p->current->steps[i].tasks[0];
    return n;
}

static void nested_free(nested *n, rg_plan *p)
{
    rg_plan_free(p);
    rg_graph_free(n->g);
    free(n);
}

static void check_loops(bool train)
{
    nested *a = nested_new(train);
    rg_plan *p = nested_plan(a, &plainly);
    for (int i = 0; i < 3; i++)
        must(rg_run(p));
    cr_expect_eq(packing_steps(p), 0);
    for (int threads = 1; threads <= 3; threads++) {
        nested *b = nested_new(train);
        rg_plan *q = nested_plan(b, &(rg_plan_opts){.threads = threads, .machine = &eager});
        uint64_t random = (uint64_t)threads;
        must(rg_run(q));
        must(rg_run(q));
        task_graph tasks;
        cr_assert(task_graph_make(q, &tasks) && task_graph_run_shuffled(&tasks, &random), "%s", rg_last_error());
        task_graph_free(&tasks);
        cr_expect(packing_steps(q) >= (train ? 2u : 1u), "%zu packed", packing_steps(q));
        cr_expect_eq(value_at(q, b->loss, 0), value_at(p, a->loss, 0), "%d threads", threads);
        cr_expect(memcmp(rg_value(a->u).data, rg_value(b->u).data, H * H * sizeof(float)) == 0, "%d threads", threads);
        nested_free(b, q);
    }
    nested_free(a, p);
}

Test(packed, what_loops_read_from_outside)
{
    check_loops(false);
    check_loops(true);
}
