/* test_rows.c - loops that are cut by rows: each piece walks all its steps alone, whatever the others do, and every bit
   is that of one thread; and bodies in which rows meet, which are not cut. */
#include "must.h"

#include "../runtime/run/exec.h"
#include "../runtime/schedule/rows.h"

#include <stdlib.h>

enum { T = 5, B = 13, I = 6, H = 13, MOST = 40 }; /* B = H: sizes do not tell rows from columns */

/* Whatever can be shared out is. */
static const rg_machine eager = {.flop_ns = 1, .byte_ns = 1, .meeting_ns = 2000, .share_ns = 1e-3};

typedef struct fetched {
    rg_graph *g;
    rg_node *xs, *lengths, *at[MOST];
    size_t n;
    float data[T * B * I];
    int64_t ends[B];
} fetched;

static fetched *fetched_new(rg_dtype dtype)
{
    fetched *f = calloc(1, sizeof *f);
    cr_assert(f);
    f->g = rg_graph_new(&(rg_graph_opts){.seed = 3});
    f->xs = rg_input(f->g, "xs", RG_F32, RG_SHAPE(T, B, I));
    f->lengths = rg_input(f->g, "lengths", RG_I64, RG_SHAPE(B));
    f->at[f->n++] = rg_cast(f->xs, dtype);
    f->at[f->n++] = rg_cast(f->lengths, dtype);
    for (size_t i = 0; i < T * B * I; i++)
        f->data[i] = sinf((float)(i * i) + 0.3f);
    for (size_t i = 0; i < B; i++)
        f->ends[i] = (int64_t)(i * 7 % (T + 1));
    return f;
}

/* Adds results, and their derivatives by everything. */
static void fetch(fetched *f, rg_node *ys)
{
    f->at[f->n++] = ys;
    rg_node *loss = rg_sum(rg_square(ys), RG_ALL_AXES, false);
    const rg_nodes params = rg_params(f->g), d = params.n ? rg_grad(loss, params) : params;
    for (size_t i = 0; i < d.n; i++)
        f->at[f->n++] = d.at[i];
    f->at[f->n++] = rg_at(rg_grad(loss, RG_NODES(f->xs)), 0);
}

static void fetched_free(fetched *f)
{
    rg_graph_free(f->g);
    free(f);
}

static rg_plan *plan_of(fetched *f, int threads)
{
    rg_plan *p = must_compile(f->g, (rg_nodes){f->at, f->n},
                              &(rg_plan_opts){.threads = threads, .machine = &eager, .mode = RG_TRAIN});
    must(rg_bind(p, f->xs, f->data));
    must(rg_bind(p, f->lengths, f->ends));
    must(rg_plan_prepare(p));
    return p;
}

/* Loops of a plan, and those that are cut into so many pieces, or as many as there are threads for them if those are
   fewer. */
static size_t loops_of(const rg_plan *p, size_t pieces, size_t *cut)
{
    *cut = 0;
    for (size_t i = 0; i < p->program->n_loops; i++) {
        const size_t begin = p->program->loops[i].begin;
        const rgi_rows *rows = p->current->steps[begin].rows;
        const rgi_branch *b = rgi_branch_of(p->current, begin);
        *cut += rows && rows->pieces > 1 && rows->pieces == (b && b->threads < pieces ? b->threads : pieces);
    }
    return p->program->n_loops;
}

static uint32_t draw(uint64_t *random, uint32_t below)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33) % below;
}

/* The steps of all pieces of a loop, those of a piece in their order, else in any. */
static void run_pieces(const rgi_exec *loop, char *scratch, int64_t *t, uint64_t *random)
{
    const rgi_rows *rows = loop->rows;
    size_t done[8] = {0}, left = rows->pieces * rows->n_steps * loop->trips;
    cr_assert_leq(rows->pieces, 8);
    while (left) {
        const size_t piece = draw(random, (uint32_t)rows->pieces), turn = done[piece] / rows->n_steps;
        for (size_t i = draw(random, 12); i-- > 0 && turn < loop->trips && done[piece] / rows->n_steps == turn;
             left--) {
            t[loop->depth] = (int64_t)(loop->reverse ? loop->trips - 1 - turn : turn);
            must(rgi_rows_run(loop, piece, done[piece]++ % rows->n_steps, scratch, t));
        }
    }
}

/* A run in which nobody waits for another's rows. */
static void run_shuffled(rg_plan *p, uint64_t *random)
{
    const rgi_special *s = p->current;
    size_t done[RGI_MAX_LOOPS] = {0};
    int64_t t[RGI_MAX_LOOPS] = {0};
    must(rgi_special_choose(p, true));
    char *scratch = aligned_alloc(64, (s->scratch / 64 + 1) * 64);
    for (size_t i = 0; i < s->n_steps;) {
        const rgi_exec *e = &s->steps[i];
        if (e->rows) {
            run_pieces(e, scratch, t, random);
            i = e->jump;
        } else if (e->kind == RGI_LOOP) {
            done[e->depth] = 0;
            t[e->depth] = e->reverse ? (int64_t)e->trips - 1 : 0;
            i++;
        } else if (e->kind == RGI_NEXT) {
            t[e->depth] += e->reverse ? -1 : 1;
            i = ++done[e->depth] == e->trips ? i + 1 : e->jump;
        } else {
            for (uint32_t phase = 0; phase < RG_MAX_PHASES && (phase == 0 || e->tasks[phase]); phase++)
                must(rgi_run_tasks(e, phase, 0, e->tasks[phase], scratch, t));
            i++;
        }
    }
    free(scratch);
    p->ran = true;
}

/* All loops must be cut but so many. */
static void check_all_but(fetched *f, const char *what, size_t whole)
{
    uint64_t random = 1;
    rg_plan *alone = plan_of(f, 1);
    must(rg_run(alone));
    for (int threads = 2; threads <= 8; threads += threads == 3 ? 5 : 1) {
        const size_t most = B / 4, pieces = (size_t)threads < most ? (size_t)threads : most;
        rg_plan *p = plan_of(f, threads);
        size_t cut;
        const size_t loops = loops_of(p, pieces, &cut);
        cr_expect(loops > 0 && cut == (whole < loops ? loops - whole : 0), "%s: %zu of %zu loops cut", what, cut,
                  loops);
        must(rg_run(p));
        expect_equal_results(p, alone, (rg_nodes){f->at, f->n}, what, "run");
        for (int k = 0; k < 5; k++) {
            run_shuffled(p, &random);
            expect_equal_results(p, alone, (rg_nodes){f->at, f->n}, what, "shuffled");
        }
        rg_plan_free(p);
    }
    rg_plan_free(alone);
    fetched_free(f);
}

/* `every`: all loops must be cut; else none may. */
static void check(fetched *f, const char *what, bool every)
{
    check_all_but(f, what, every ? 0 : SIZE_MAX);
}

/* ---- layers ---- */

typedef rg_node *layer_fn(rg_node *, const char *, int64_t, const rg_rnn_opts *);

static const struct {
    const char *name;
    layer_fn *layer;
} layers[] = {
    {"rnn", rg_nn_rnn},     {"lstm", rg_nn_lstm},         {"peephole", rg_nn_lstm_peephole},
    {"cifg", rg_nn_cifg},   {"lean", rg_nn_lstm_lean},    {"gru", rg_nn_gru},
    {"cho", rg_nn_gru_cho}, {"mixing", rg_nn_gru_mixing}, {"mgu", rg_nn_mgu},
};

Test(rows, every_cell)
{
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++)
        for (int ragged = 0; ragged < 2; ragged++)
            for (int wide = 0; wide < 2; wide++) {
                fetched *f = fetched_new(wide ? RG_F64 : RG_F32);
                fetch(f, layers[k].layer(f->at[0], "net", layers[k].layer == rg_nn_gru_mixing ? I : H,
                                         &(rg_rnn_opts){.lengths = ragged ? f->lengths : NULL}));
                check(f, layers[k].name, true);
            }
}

Test(rows, layers_and_directions)
{
    fetched *f = fetched_new(RG_F32);
    fetch(f, rg_nn_lstm(f->at[0], "net", H, &(rg_rnn_opts){.layers = 2, .bidirectional = true, .projection = 5}));
    check(f, "two layers, two directions, projected", true);
}

Test(rows, second_order)
{
    fetched *f = fetched_new(RG_F32);
    rg_node *ys = rg_nn_gru(f->at[0], "net", H, NULL);
    fetch(f, rg_at(rg_grad(rg_sum(rg_square(ys), RG_ALL_AXES, false), RG_NODES(f->xs)), 0));
    check(f, "gradient of gradient", true);
}

/* The walk over segments is not cut, the loops within it are. */
Test(rows, segments)
{
    fetched *f = fetched_new(RG_F32);
    fetch(f, rg_nn_lstm(f->at[0], "net", H, &(rg_rnn_opts){.keep_every = 2}));
    rg_plan *p = plan_of(f, 3), *alone = plan_of(f, 1);
    size_t cut, inner = 0;
    loops_of(p, 3, &cut);
    for (size_t i = 0; i < p->program->n_loops; i++)
        inner += p->program->loops[i].parent != RGI_NONE;
    cr_expect(inner > 0 && cut > inner, "%zu loops cut, %zu inner ones", cut, inner);
    must(rg_run(p));
    must(rg_run(alone));
    expect_equal_results(p, alone, (rg_nodes){f->at, f->n}, "segments", "run");
    uint64_t random = 5;
    run_shuffled(p, &random);
    expect_equal_results(p, alone, (rg_nodes){f->at, f->n}, "segments", "shuffled");
    rg_plan_free(p);
    rg_plan_free(alone);
    fetched_free(f);
}

/* ---- bodies ---- */

typedef rg_node *body_fn(rg_graph *g, rg_node *x, rg_node *h);

static rg_node *weight(rg_graph *g, const char *name, int64_t rows, int64_t columns)
{
    return rg_param(g, name, RG_F32, RG_SHAPE(rows, columns), NULL);
}

/* A walk with states [B, H] that all begin from one row. */
static rg_node *walk(fetched *f, body_fn *body)
{
    rg_scan *s = rg_scan_begin(f->g, NULL);
    rg_node *x = rg_scan_slice(s, f->at[0]);
    rg_node *h = rg_scan_carry(s, rg_broadcast_to(weight(f->g, "first", 1, H), RG_SHAPE(B, H)));
    rg_node *next = body(f->g, x, h);
    rg_scan_next(s, h, next);
    rg_node *ys = rg_scan_stack(s, next);
    rg_scan_end(s);
    return ys;
}

static rg_node *normed(rg_graph *g, rg_node *x, rg_node *h)
{
    rg_node *z = rg_add(rg_linear(x, weight(g, "w", H, I), NULL), rg_linear(h, weight(g, "u", H, H), NULL));
    return rg_tanh(rg_nn_layer_norm(z, "norm", NULL));
}

/* Looks at 4 things of its own, with softmax. */
static rg_node *attending(rg_graph *g, rg_node *x, rg_node *h)
{
    rg_node *keys = rg_reshape(weight(g, "keys", B, 4 * H), RG_SHAPE(B, 4, H));
    rg_node *scores = rg_sum(rg_mul(keys, rg_unsqueeze(h, 1)), RG_AXES(2), false);
    rg_node *seen = rg_matmul(rg_unsqueeze(rg_softmax(scores, 1), 1), keys); /* [B, 1, H] */
    return rg_tanh(rg_add(rg_squeeze(seen, 1), rg_linear(x, weight(g, "w", H, I), NULL)));
}

/* Parts of the state go through products of their own and are joined. */
static rg_node *in_parts(rg_graph *g, rg_node *x, rg_node *h)
{
    rg_node *a = rg_linear(rg_slice(h, 1, 0, 7), weight(g, "a", 5, 7), NULL);
    rg_node *b = rg_linear(rg_slice(h, 1, 7, H), weight(g, "b", 8, 6), NULL);
    rg_node *joined = rg_linear(rg_concat(RG_NODES(a, b), 1), weight(g, "u", H, H), NULL);
    return rg_tanh(rg_add(joined, rg_linear(x, weight(g, "w", H, I), NULL)));
}

/* Gates are columns of one product, which further products read where they lie: along the rows, and turned round; what
   two of these make is joined where the next one reads it. */
static rg_node *gates_through_products(rg_graph *g, rg_node *x, rg_node *h)
{
    rg_node *z = rg_matmul(h, weight(g, "z", H, 3 * H + 2)), *u = weight(g, "u", H, H);
    rg_node *a = rg_slice(z, 1, 0, H), *b = rg_slice(z, 1, H, 2 * H), *c = rg_slice(z, 1, 2 * H + 1, 3 * H + 1);
    rg_node *both = rg_concat(RG_NODES(rg_matmul(b, u), rg_matmul(c, weight(g, "v", H, 5))), 1);
    rg_node *next = rg_add(rg_matmul(both, weight(g, "w", H + 5, H)), rg_matmul(x, weight(g, "in", I, H)));
    return rg_tanh(rg_add(next, rg_mul(rg_sigmoid(a), rg_matmul(c, u))));
}

/* Heads of one product, views of its columns: each row looks at what it has in two of them. */
static rg_node *heads_of_rows(rg_graph *g, rg_node *x, rg_node *h)
{
    rg_node *z = rg_matmul(h, weight(g, "z", H, 36)), *part[3];
    for (int k = 0; k < 3; k++)
        part[k] = rg_reshape(rg_slice(z, 1, 12 * k, 12 * (k + 1)), RG_SHAPE(B, 3, 4));
    rg_node *s = rg_softmax(rg_matmul_t(part[0], false, part[1], true), -1);
    rg_node *seen = rg_reshape(rg_matmul(s, part[2]), RG_SHAPE(B, 12));
    return rg_tanh(rg_add(rg_matmul(seen, weight(g, "u", 12, H)), rg_matmul(x, weight(g, "in", I, H))));
}

/* Weights stored as bf16 times a state in f32, and times one rounded. */
static rg_node *stored_short(rg_graph *g, rg_node *x, rg_node *h)
{
    uint16_t bits[H * H];
    for (size_t i = 0; i < H * H; i++)
        bits[i] = (uint16_t)(0x3d00 + i * 7 % 100 + (i % 3 ? 0x8000 : 0));
    rg_node *u = rg_const(g, RG_BF16, RG_SHAPE(H, H), bits);
    rg_node *rounded = rg_matmul(rg_cast(rg_stop_gradient(h), RG_BF16), u);
    return rg_tanh(rg_add(rg_add(rounded, rg_matmul(h, u)), rg_linear(x, weight(g, "w", H, I), NULL)));
}

static const struct {
    const char *name;
    body_fn *body;
} apart[] = {{"layer norm", normed},   {"attention", attending}, {"parts", in_parts}, {"gates", gates_through_products},
             {"heads", heads_of_rows}, {"bf16", stored_short}};

Test(rows, bodies_of_the_users)
{
    for (size_t k = 0; k < sizeof apart / sizeof *apart; k++) {
        fetched *f = fetched_new(RG_F32);
        fetch(f, walk(f, apart[k].body));
        check(f, apart[k].name, true);
    }
}

/* ---- bodies in which rows meet ---- */

static rg_node *mean_of_all(rg_graph *g, rg_node *x, rg_node *h)
{
    (void)g, (void)x;
    return rg_tanh(rg_add(h, rg_mean(h, RG_AXES(0), true)));
}

static rg_node *product_from_the_left(rg_graph *g, rg_node *x, rg_node *h)
{
    (void)x;
    return rg_tanh(rg_matmul(weight(g, "m", B, B), h));
}

static rg_node *turned(rg_graph *g, rg_node *x, rg_node *h)
{
    (void)g, (void)x;
    return rg_tanh(rg_scale(rg_transpose(h, RG_AXES(1, 0)), 0.7));
}

static rg_node *moved_on(rg_graph *g, rg_node *x, rg_node *h)
{
    (void)g, (void)x;
    return rg_tanh(rg_concat(RG_NODES(rg_slice(h, 0, 1, B), rg_slice(h, 0, 0, 1)), 0));
}

static rg_node *softmax_across(rg_graph *g, rg_node *x, rg_node *h)
{
    (void)g, (void)x;
    return rg_softmax(rg_scale(h, 3), 0);
}

static rg_node *with_its_products(rg_graph *g, rg_node *x, rg_node *h)
{
    (void)g, (void)x;
    return rg_tanh(rg_matmul(rg_transpose(h, RG_AXES(1, 0)), h));
}

static rg_node *upside_down(rg_graph *g, rg_node *x, rg_node *h)
{
    (void)g, (void)x;
    return rg_tanh(rg_add(h, rg_flip(h, RG_AXES(0))));
}

/* What a row comes to stands in a column of all. */
static rg_node *across(rg_graph *g, rg_node *x, rg_node *h)
{
    (void)g, (void)x;
    return rg_tanh(rg_add(h, rg_sum(h, RG_AXES(1), false)));
}

/* Two tensors of rows, one behind the other. */
static rg_node *in_halves(rg_graph *g, rg_node *x, rg_node *h)
{
    (void)g, (void)x;
    rg_node *both = rg_sin(rg_concat(RG_NODES(rg_exp(h), rg_cos(h)), 0));
    return rg_tanh(rg_sub(rg_slice(both, 0, 0, B), rg_slice(both, 0, B, 2 * B)));
}

static const struct {
    const char *name;
    body_fn *body;
} meeting[] = {
    {"mean of all", mean_of_all},
    {"product from the left", product_from_the_left},
    {"turned", turned},
    {"moved on", moved_on},
    {"softmax across", softmax_across},
    {"with its products", with_its_products},
    {"upside down", upside_down},
    {"across", across},
    {"in halves", in_halves},
};

Test(rows, rows_that_meet_stay_together)
{
    for (size_t k = 0; k < sizeof meeting / sizeof *meeting; k++) {
        fetched *f = fetched_new(RG_F32);
        fetch(f, walk(f, meeting[k].body));
        check(f, meeting[k].name, false);
    }
}

static rg_node *some_rows(rg_node *h)
{
    return rg_slice(h, 0, 2, B - 3);
}

static rg_node *rows_twice(rg_node *h)
{
    return rg_concat(RG_NODES(h, rg_sin(h)), 0);
}

/* The reverse pass makes rows of what other rows of a cotangent from outside of its loop are. Those of a join are
   pieces of it, of which each row is read where it lies: loops that read them may be cut, the one that joins may not.
 */
Test(rows, rows_that_have_other_numbers_outside)
{
    rg_node *(*const stacked[])(rg_node *) = {some_rows, rows_twice};
    static const char *const names[] = {"some rows", "rows twice"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        fetched *f = fetched_new(RG_F32);
        rg_scan *s = rg_scan_begin(f->g, NULL);
        rg_node *x = rg_scan_slice(s, f->at[0]), *h = rg_scan_carry(s, rg_zeros(f->g, RG_F32, RG_SHAPE(B, H)));
        rg_node *next = rg_tanh(rg_add(rg_linear(x, weight(f->g, "w", H, I), NULL), h));
        rg_scan_next(s, h, next);
        rg_node *ys = rg_scan_stack(s, stacked[k](next));
        rg_scan_end(s);
        fetch(f, ys);
        check_all_but(f, names[k], stacked[k] == rows_twice ? 1 : SIZE_MAX);
    }
}

/* A few rows are not worth a piece, and where weights are larger than a cache each thread reads its own part of
   them. */
Test(rows, only_where_it_pays)
{
    static const struct {
        int64_t batch, hidden;
        size_t cut;
    } sizes[] = {{7, 64, 0}, {8, 64, 2}, {8, 600, 0}, {32, 256, 2}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        rg_graph *g = rg_graph_new(NULL);
        const rg_shape shape = RG_SHAPE(3, sizes[k].batch, 8);
        rg_node *xs = rg_input(g, "xs", RG_F32, shape), *ys = rg_nn_lstm(xs, "net", sizes[k].hidden, NULL);
        rg_node *dx = rg_at(rg_grad(rg_sum(ys, RG_ALL_AXES, false), RG_NODES(xs)), 0);
        float *data = calloc((size_t)rg_shape_count(shape), sizeof *data);
        rg_plan *p = must_compile(g, RG_NODES(dx), &(rg_plan_opts){.threads = 2});
        must(rg_bind(p, xs, data));
        must(rg_plan_prepare(p));
        size_t cut;
        loops_of(p, 2, &cut);
        cr_expect_eq(cut, sizes[k].cut, "B %d, H %d: %zu", (int)sizes[k].batch, (int)sizes[k].hidden, cut);
        must(rg_run(p));
        rg_plan_free(p);
        rg_graph_free(g);
        free(data);
    }
}

/* Of as many rows as a piece has, products of long sums are computed in another way, for which the loop stays whole. */
Test(rows, pieces_that_are_computed_otherwise)
{
    enum { STEPS = 2, ROWS = 512, FEW = 12, LONG = 8200 };
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.seed = 3});
    rg_node *up = rg_param(g, "up", RG_F32, RG_SHAPE(LONG, FEW), NULL),
            *down = rg_param(g, "down", RG_F32, RG_SHAPE(FEW, LONG), NULL);
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *x = rg_scan_slice(s, rg_param(g, "xs", RG_F32, RG_SHAPE(STEPS, ROWS, FEW), NULL));
    rg_node *h = rg_scan_carry(s, rg_zeros(g, RG_F32, RG_SHAPE(ROWS, FEW)));
    rg_node *next = rg_tanh(rg_add(x, rg_linear(rg_linear(h, up, NULL), down, NULL)));
    rg_scan_next(s, h, next);
    rg_node *ys = rg_scan_stack(s, next);
    rg_scan_end(s);
    rg_plan *alone = must_compile(g, RG_NODES(ys), &(rg_plan_opts){.threads = 1}),
            *p = must_compile(g, RG_NODES(ys), &(rg_plan_opts){.threads = 2});
    must(rg_run(alone));
    must(rg_run(p));
    cr_expect(memcmp(rg_data(p, ys), rg_data(alone, ys), STEPS * ROWS * FEW * sizeof(float)) == 0);
    rg_plan_free(p);
    rg_plan_free(alone);
    rg_graph_free(g);
}
