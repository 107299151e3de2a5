/* test_branches.c - loops side by side: directions, and layers of which one follows the other a chunk of steps behind.
   Every bit is that of one thread, in whatever order what does not wait for each other is done; and what may not follow
   does not. */
#include "must.h"

#include "interpreter.h"

#include "../runtime/run/exec.h"
#include "../runtime/schedule/rows.h"

#include <stdlib.h>

enum { T = 19, B = 3, I = 5, H = 24, MOST = 60 }; /* chunks of 4 steps, the last has 3 */

/* Whatever can be shared out is; or loops are not, since meeting in every step is dear. */
static const rg_machine eager = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 500, .share_ns = 1e-3},
                        dear = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 5000, .share_ns = 1e-3};

typedef struct fetched {
    rg_graph *g;
    rg_node *xs, *at[MOST];
    size_t n;
} fetched;

static fetched *fetched_new(int64_t steps, rg_dtype dtype)
{
    fetched *f = calloc(1, sizeof *f);
    float data[T * B * I];
    for (size_t i = 0; i < T * B * I; i++)
        data[i] = sinf((float)(i * i) + 0.3f);
    cr_assert(f && steps <= T);
    f->g = rg_graph_new(&(rg_graph_opts){.seed = 3});
    f->xs = rg_param(f->g, "xs", RG_F32, RG_SHAPE(steps, B, I), NULL);
    must(rg_set(f->xs, &(rg_tensor){.dtype = RG_F32, .shape = RG_SHAPE(steps, B, I), .data = data}));
    f->xs = rg_cast(f->xs, dtype);
    return f;
}

/* Adds results, and their derivatives by everything. */
static void fetch(fetched *f, rg_node *ys)
{
    f->at[f->n++] = ys;
    rg_node *loss = rg_sum(rg_square(ys), RG_ALL_AXES, false);
    const rg_nodes d = rg_grad(loss, rg_params(f->g));
    for (size_t i = 0; i < d.n; i++)
        f->at[f->n++] = d.at[i];
    cr_assert_leq(f->n, MOST);
}

static void fetched_free(fetched *f)
{
    rg_graph_free(f->g);
    free(f);
}

static rg_plan *plan_of(fetched *f, int threads, const rg_machine *machine)
{
    rg_plan *p = must_compile(f->g, (rg_nodes){f->at, f->n}, &(rg_plan_opts){.threads = threads, .machine = machine});
    must(rg_plan_prepare(p));
    return p;
}

static void expect_interpreted(fetched *f, rg_plan *p, const char *what)
{
    for (size_t k = 0; k < f->n; k++) {
        rg_tensor a;
        must(rg_result(p, f->at[k], &a));
        void *want = interpret(f->at[k]);
        cr_assert(want, "%s: result %zu is not understood", what, k);
        cr_expect(memcmp(a.data, want, (size_t)rg_shape_count(a.shape) * rg_dtype_size(a.dtype)) == 0,
                  "%s: result %zu is not the interpreter's", what, k);
        free(want);
    }
}

/* Branches of all sections, and those that follow another. */
static size_t branches_of(const rg_plan *p, size_t *following)
{
    size_t n = 0;
    *following = 0;
    for (const rgi_section *x = p->current->sections; x; x = x->next)
        for (uint32_t k = 0; k < x->n; k++, n++)
            *following += x->branches[k].leader != NULL;
    return n;
}

static uint32_t draw(uint64_t *random, uint32_t below)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33) % below;
}

/* ---- any order ---- */

/* Where one branch of a section is. */
typedef struct place {
    size_t i, done[RGI_MAX_LOOPS];
    int64_t t[RGI_COUNTERS];
} place;

static void do_step(const rgi_exec *e, char *scratch, const int64_t *t)
{
    for (uint32_t phase = 0; phase < RG_MAX_PHASES && (phase == 0 || e->tasks[phase]); phase++)
        must(rgi_run_tasks(e, phase, 0, e->tasks[phase], scratch, t));
}

/* One step of the list; false where the loop must wait: `turns` of those that it follows are over. */
static bool go_on(const rgi_special *s, place *at, const rgi_branch *b, size_t turns, char *scratch)
{
    const rgi_exec *e = &s->steps[at->i];
    const bool own = b && (at->i == b->loop || (e->kind == RGI_NEXT && e->jump == b->loop + 1));
    const size_t done = e->kind == RGI_LOOP ? 0 : at->done[e->depth] + 1;
    if (own && b->leader && done % b->chunk == 0 && done < s->steps[b->loop].trips) {
        const size_t trips = s->steps[b->loop].trips, need = done + b->chunk < trips ? done + b->chunk : trips;
        if (turns < need)
            return false;
        for (uint32_t j = 0; j < b->n_bridges; j++)
            for (size_t part = 0; part < 2; part++)
                must(rgi_rows_part(&s->steps[b->bridges[j]], &b->parts[done / b->chunk * b->n_bridges + j], part, 2,
                                   scratch, at->t));
    }
    if (e->kind == RGI_LOOP) {
        at->done[e->depth] = 0;
        at->t[e->depth] = e->reverse ? (int64_t)e->trips - 1 : 0;
        at->i = e->trips ? at->i + 1 : e->jump;
    } else if (e->kind == RGI_NEXT) {
        at->t[e->depth] += e->reverse ? -1 : 1;
        at->i = ++at->done[e->depth] == e->trips ? at->i + 1 : e->jump;
    } else {
        do_step(e, scratch, at->t);
        at->i++;
    }
    return true;
}

/* From here to the next step of a branch. */
static void skip_others(const rgi_special *s, const rgi_section *x, place *at, uint32_t branch)
{
    while (at->i < x->end && (s->steps[at->i].branch != branch || s->steps[at->i].bridge))
        at->i = s->steps[at->i].kind == RGI_LOOP ? s->steps[at->i].jump : at->i + 1;
}

static size_t turns_over(const rgi_special *s, const rgi_branch *b, const place *at)
{
    const rgi_exec *loop = &s->steps[b->loop];
    return at->i >= loop->jump ? loop->trips : at->i <= b->loop ? 0 : at->done[loop->depth];
}

/* Branches step by step in any order in which those who follow are as far behind as they say, then what is of none. */
static void run_section(const rgi_special *s, const rgi_section *x, const place *before, char *scratch,
                        uint64_t *random)
{
    place at[8];
    for (uint32_t k = 0; k <= x->n; k++) {
        at[k] = *before;
        at[k].i = x->begin;
        skip_others(s, x, &at[k], k);
    }
    for (bool going = true; going;) {
        const uint32_t k = draw(random, x->n);
        const rgi_branch *b = &x->branches[k];
        for (uint32_t n = draw(random, 40); n-- > 0 && at[k + 1].i < x->end;) {
            const size_t leader = b->leader ? (size_t)(b->leader - x->branches) : 0;
            if (!go_on(s, &at[k + 1], b, b->leader ? turns_over(s, b->leader, &at[leader + 1]) : 0, scratch))
                break;
            skip_others(s, x, &at[k + 1], k + 1);
        }
        going = false;
        for (uint32_t j = 1; j <= x->n; j++)
            going = going || at[j].i < x->end;
    }
    while (at[0].i < x->end) {
        cr_assert(go_on(s, &at[0], NULL, 0, scratch));
        skip_others(s, x, &at[0], 0);
    }
}

static void run_shuffled(rg_plan *p, uint64_t *random)
{
    must(rgi_special_choose(p, true));
    const rgi_special *s = p->current;
    char *scratch = aligned_alloc(64, (s->scratch / 64 + 1) * 64);
    place at = {0};
    while (at.i < s->n_steps) {
        const rgi_section *x = s->steps[at.i].section;
        if (x)
            run_section(s, x, &at, scratch, random);
        if (x)
            at.i = x->end;
        else
            cr_assert(go_on(s, &at, NULL, 0, scratch));
    }
    free(scratch);
    p->ran = true;
}

/* ---- */

/* A team that is smaller than the plan is for goes through the branches one after the other. */
static void run_with(rg_plan *p, int threads)
{
    rgi_program *prog = p->program;
    const int planned = prog->opts.threads;
    prog->opts.threads = threads;
    must(rg_run(p));
    prog->opts.threads = planned;
}

static void check_plan(fetched *f, rg_plan *alone, int threads, const rg_machine *machine, const char *what,
                       size_t branches, size_t following)
{
    uint64_t random = (uint64_t)threads;
    rg_plan *p = plan_of(f, threads, machine);
    size_t follow;
    const size_t n = branches_of(p, &follow);
    cr_expect(n >= branches, "%s, %d threads: %zu branches", what, threads, n);
    cr_expect(follow >= following, "%s, %d threads: %zu follow", what, threads, follow);
    for (int k = 0; k < 2; k++) {
        must(rg_run(p));
        expect_equal_results(p, alone, (rg_nodes){f->at, f->n}, what, "run");
        run_shuffled(p, &random);
        expect_equal_results(p, alone, (rg_nodes){f->at, f->n}, what, "shuffled");
    }
    if (threads > 2)
        run_with(p, threads - 1);
    expect_equal_results(p, alone, (rg_nodes){f->at, f->n}, what, "smaller team");
    rg_plan_free(p);
}

/* At least so many branches, and of them so many that follow; `more`: for many threads too, and with loops shared out
   among those of a branch. */
static void check(fetched *f, const char *what, size_t branches, size_t following, bool more)
{
    rg_plan *alone = plan_of(f, 1, &dear);
    must(rg_run(alone));
    expect_interpreted(f, alone, what);
    for (int threads = 2; threads <= (more ? 8 : 3); threads += threads == 4 ? 4 : 1) {
        check_plan(f, alone, threads, &dear, what, branches, following);
        if (more)
            check_plan(f, alone, threads, &eager, what, 0, 0);
    }
    rg_plan_free(alone);
    fetched_free(f);
}

typedef rg_node *layer_fn(rg_node *, const char *, int64_t, const rg_rnn_opts *);

static const struct {
    const char *name;
    layer_fn *layer;
} layers[] = {
    {"rnn", rg_nn_rnn},   {"lstm", rg_nn_lstm}, {"peephole", rg_nn_lstm_peephole},
    {"cifg", rg_nn_cifg}, {"gru", rg_nn_gru},   {"cho", rg_nn_gru_cho},
    {"mgu", rg_nn_mgu},
};

Test(branches, layers_follow_each_other)
{
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++) {
        fetched *f = fetched_new(T, RG_F32);
        fetch(f, layers[k].layer(f->xs, "net", H, &(rg_rnn_opts){.layers = 2}));
        check(f, layers[k].name, 4, 2, k == 1);
    }
}

Test(branches, four_layers_in_f64)
{
    fetched *f = fetched_new(T, RG_F64);
    fetch(f, rg_nn_lstm(f->xs, "net", H, &(rg_rnn_opts){.layers = 4}));
    check(f, "four layers", 4, 2, true);
}

Test(branches, directions_side_by_side)
{
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++) {
        fetched *f = fetched_new(T, RG_F32);
        fetch(f, layers[k].layer(f->xs, "net", H, &(rg_rnn_opts){.layers = 2, .bidirectional = true}));
        check(f, layers[k].name, 8, 0, k == 1);
    }
}

/* On the machine that is assumed where nobody says: forwards and backwards, each direction on a thread of its own. */
Test(branches, directions_of_one_sequence)
{
    enum { STEPS = 40 };
    for (int64_t hidden = 32; hidden <= 128; hidden *= 2) {
        rg_graph *g = rg_graph_new(NULL);
        static const float data[STEPS * 16];
        rg_node *xs = rg_const(g, RG_F32, RG_SHAPE(STEPS, 1, 16), data);
        rg_node *ys = rg_nn_lstm(xs, "net", hidden, &(rg_rnn_opts){.bidirectional = true});
        rg_plan *p =
            must_compile(g, rg_grad(rg_sum(ys, RG_ALL_AXES, false), rg_params(g)), &(rg_plan_opts){.threads = 2});
        must(rg_plan_prepare(p));
        cr_assert_eq(p->program->n_loops, 4);
        for (size_t k = 0; k < 4; k++) {
            const rgi_branch *b = rgi_branch_of(p->current, p->program->loops[k].begin);
            cr_assert(b, "H %d: loop %zu", (int)hidden, k);
            cr_expect_eq(b->threads, 1);
            cr_expect_eq(b->first, k % 2, "H %d: loop %zu", (int)hidden, k);
            cr_expect(!b->leader);
        }
        must(rg_run(p));
        rg_plan_free(p);
        rg_graph_free(g);
    }
}

Test(branches, few_steps)
{
    static const int64_t lengths[] = {1, 2, 7, 8, 9, 12, 13};
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        const bool worth = lengths[k] >= 12; /* three chunks */
        fetched *f = fetched_new(lengths[k], RG_F32);
        fetch(f, rg_nn_lstm(f->xs, "net", H, &(rg_rnn_opts){.layers = 2}));
        check(f, "few steps", worth ? 4 : 0, worth ? 2 : 0, false);
    }
}

/* ---- what may follow, and what may not ---- */

typedef struct walk_opts {
    rg_node *first; /* [B, H] */
    bool reverse;
    const rg_op *body; /* what each step begins with, or NULL */
} walk_opts;

/* h' = tanh(W x + U h); *last, if wanted: the state at the end. */
static rg_node *walk(rg_node *xs, const char *name, walk_opts o, rg_node **last)
{
    rg_graph *g = rg_graph_of(xs);
    char w[16], u[16];
    snprintf(w, sizeof w, "%s.w", name);
    snprintf(u, sizeof u, "%s.u", name);
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.name = name, .reverse = o.reverse});
    rg_node *x = rg_scan_slice(s, xs);
    x = o.body ? rg_apply(o.body, RG_NODES(x), NULL) : x;
    rg_node *h = rg_scan_carry(s, o.first ? o.first : rg_zeros(g, RG_F32, RG_SHAPE(B, H)));
    rg_node *z = rg_add(rg_linear(x, rg_param(g, w, RG_F32, RG_SHAPE(H, rg_shape_of(xs).dim[2]), NULL), NULL),
                        rg_linear(h, rg_param(g, u, RG_F32, RG_SHAPE(H, H), NULL), NULL));
    rg_node *next = rg_tanh(z);
    rg_scan_next(s, h, next);
    rg_node *ys = rg_scan_stack(s, next);
    if (last)
        *last = rg_scan_last(s, h);
    rg_scan_end(s);
    return ys;
}

/* Without derivatives: whether the second loop follows the first. */
static void expect_following(fetched *f, rg_node *ys, const char *what, size_t following)
{
    f->at[f->n++] = ys;
    rg_plan *p = plan_of(f, 2, &dear);
    size_t n;
    branches_of(p, &n);
    cr_expect_eq(n, following, "%s: %zu follow", what, n);
    rg_plan_free(p);
    check(f, what, 0, following, false);
}

Test(branches, the_next_layer_follows)
{
    fetched *f = fetched_new(T, RG_F32);
    rg_node *ys = walk(walk(f->xs, "a", (walk_opts){0}, NULL), "b", (walk_opts){0}, NULL);
    expect_following(f, ys, "next layer", 1);
}

Test(branches, backwards_after_backwards_follows)
{
    fetched *f = fetched_new(T, RG_F32);
    rg_node *ys = walk(walk(f->xs, "a", (walk_opts){.reverse = true}, NULL), "b", (walk_opts){.reverse = true}, NULL);
    expect_following(f, ys, "both backwards", 1);
}

static rg_node *through_functions(fetched *f)
{
    rg_node *ys = walk(f->xs, "a", (walk_opts){0}, NULL);
    ys = rg_mul(rg_tanh(ys), rg_param(f->g, "scale", RG_F32, RG_SHAPE(H), NULL));
    return walk(ys, "b", (walk_opts){0}, NULL);
}

/* Forwards they are written over what the first loop has made; backwards the gradients go through theirs. */
Test(branches, through_functions_follows)
{
    fetched *f = fetched_new(T, RG_F32);
    expect_following(f, through_functions(f), "functions", 1);
    f = fetched_new(T, RG_F32);
    fetch(f, through_functions(f));
    check(f, "functions and back", 4, 2, true);
}

/* What one step makes of weights is written over them, behind the product between the layers: that is done chunk by
   chunk, and reads them to the end. */
Test(branches, over_what_is_read_to_the_end_does_not)
{
    fetched *f = fetched_new(T, RG_F32);
    rg_node *w = rg_cumsum(rg_param(f->g, "w", RG_F32, RG_SHAPE(H, H), NULL), 0, false),
            *q = rg_param(f->g, "q", RG_F32, RG_SHAPE(H, H), NULL);
    rg_node *between = rg_linear(walk(f->xs, "a", (walk_opts){0}, NULL), w, NULL), *u = rg_tanh(rg_mul(w, q));
    rg_scan *s = rg_scan_begin(f->g, &(rg_scan_opts){.name = "b"});
    rg_node *x = rg_scan_slice(s, between), *h = rg_scan_carry(s, rg_zeros(f->g, RG_F32, RG_SHAPE(B, H)));
    rg_node *next = rg_tanh(rg_add(x, rg_linear(h, u, NULL)));
    rg_scan_next(s, h, next);
    rg_node *ys = rg_scan_stack(s, next);
    rg_scan_end(s);
    expect_following(f, ys, "over weights", 0);
}

Test(branches, against_each_other_does_not)
{
    fetched *f = fetched_new(T, RG_F32);
    rg_node *ys = walk(walk(f->xs, "a", (walk_opts){0}, NULL), "b", (walk_opts){.reverse = true}, NULL);
    expect_following(f, ys, "against each other", 0);
}

Test(branches, from_the_last_state_does_not)
{
    fetched *f = fetched_new(T, RG_F32);
    rg_node *last;
    rg_node *ys = walk(f->xs, "a", (walk_opts){0}, &last);
    expect_following(f, rg_add(walk(f->xs, "b", (walk_opts){.first = last}, NULL), ys), "decoder", 0);
}

Test(branches, of_both_does_not)
{
    fetched *f = fetched_new(T, RG_F32);
    rg_node *last;
    rg_node *ys = walk(f->xs, "a", (walk_opts){0}, &last);
    expect_following(f, walk(ys, "b", (walk_opts){.first = last}, NULL), "steps and last state", 0);
}

Test(branches, a_step_later_does_not)
{
    fetched *f = fetched_new(T, RG_F32);
    rg_node *ys = walk(f->xs, "a", (walk_opts){0}, NULL);
    rg_node *late = rg_concat(RG_NODES(rg_slice(ys, 0, 1, T), rg_slice(ys, 0, 0, 1)), 0);
    expect_following(f, walk(late, "b", (walk_opts){0}, NULL), "moved by a step", 0);
}

Test(branches, of_all_steps_does_not)
{
    fetched *f = fetched_new(T, RG_F32);
    rg_node *ys = walk(f->xs, "a", (walk_opts){0}, NULL);
    rg_node *centred = rg_sub(ys, rg_mean(ys, RG_AXES(0), true));
    expect_following(f, walk(centred, "b", (walk_opts){0}, NULL), "centred over time", 0);
}

/* A decoder that looks at all steps of the encoder in each of its own. */
Test(branches, attending_to_all_steps_does_not)
{
    fetched *f = fetched_new(T, RG_F32);
    rg_node *ys = walk(f->xs, "a", (walk_opts){0}, NULL);
    rg_scan *s = rg_scan_begin(f->g, &(rg_scan_opts){.name = "b"});
    rg_node *y = rg_scan_slice(s, ys), *h = rg_scan_carry(s, rg_zeros(f->g, RG_F32, RG_SHAPE(B, H)));
    rg_node *scores = rg_sum(rg_mul(ys, h), RG_AXES(2), true);
    rg_node *seen = rg_sum(rg_mul(ys, scores), RG_AXES(0), false);
    rg_node *next = rg_tanh(rg_add(rg_scale(seen, 0.1), y));
    rg_scan_next(s, h, next);
    rg_node *out = rg_scan_stack(s, next);
    rg_scan_end(s);
    expect_following(f, out, "attention", 0);
}

Test(branches, longer_ones_do_not)
{
    fetched *f = fetched_new(T, RG_F32);
    rg_node *ys = walk(f->xs, "a", (walk_opts){0}, NULL);
    expect_following(f, walk(rg_slice(ys, 0, 0, T - 1), "b", (walk_opts){0}, NULL), "shorter", 0);
}

/* ---- failures ---- */

static int runs, fails_at;

static rg_status run_or_fail(const rg_step *s, size_t lo, size_t hi)
{
    (void)lo, (void)hi;
    if (__atomic_fetch_add(&runs, 1, __ATOMIC_RELAXED) == fails_at)
        return RG_ERR_NUMERIC;
    memcpy(s->out[0], s->in[0], (size_t)rg_shape_count(s->in_type[0].shape) * rg_dtype_size(s->in_type[0].dtype));
    return RG_OK;
}

static const rg_op moody = {.name = "moody", .n_in = 1, .n_out = 1, .infer = rg_infer_same, .run = run_or_fail};

/* Whichever branch fails, at whatever step: nobody waits for it for ever, and the next run is as if nothing had
   been. */
Test(branches, one_that_fails, .timeout = 60)
{
    for (int both = 0; both < 2; both++)
        for (int threads = 2; threads <= 5; threads += 3) {
            fetched *f = fetched_new(T, RG_F32);
            rg_node *first = walk(f->xs, "a", (walk_opts){.body = both ? &moody : NULL}, NULL);
            f->at[f->n++] = walk(first, "b", (walk_opts){.body = &moody}, NULL);
            rg_plan *p = plan_of(f, threads, &dear), *alone = plan_of(f, 1, &dear);
            size_t following;
            branches_of(p, &following);
            cr_expect_eq(following, 1);
            fails_at = -1;
            must(rg_run(alone));
            for (int at = 0; at < (both ? 2 * T : T); at += 3) {
                runs = 0;
                fails_at = at;
                cr_expect_eq(rg_run(p), RG_ERR_NUMERIC);
                cr_expect(strstr(rg_last_error(), "moody"), "%s", rg_last_error());
            }
            fails_at = -1;
            must(rg_run(p));
            expect_equal_results(p, alone, (rg_nodes){f->at, f->n}, "after failures", "run");
            rg_plan_free(p);
            rg_plan_free(alone);
            fetched_free(f);
        }
}

/* ---- sight ---- */

Test(branches, dumps_and_profiles_tell)
{
    fetched *f = fetched_new(T, RG_F32);
    f->at[f->n++] = rg_nn_lstm(f->xs, "net", H, &(rg_rnn_opts){.layers = 2});
    rg_plan *p =
        must_compile(f->g, (rg_nodes){f->at, f->n}, &(rg_plan_opts){.threads = 2, .machine = &dear, .profile = true});
    must(rg_run(p));
    char *text = rg_plan_dump(p), *profile = rg_plan_profile(p, NULL);
    cr_assert(text && profile);
    cr_expect(strstr(text, "branch 1 on thread 0, branch 2 on thread 1 4 steps behind branch 1; then the others"), "%s",
              text);
    cr_expect(strstr(text, "in branch 2, for 4 steps at a time"), "%s", text);
#ifdef _OPENMP
    cr_expect(strstr(profile, "on 2 threads"), "%s", profile);
#else
    cr_expect(strstr(profile, "on 1 thread,"), "%s", profile);
#endif
    rg_text_free(text);
    rg_text_free(profile);
    rg_plan_free(p);
    fetched_free(f);
}
