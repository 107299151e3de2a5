/* test_alloc.c - memory runs out at the k-th allocation, for every k: no crash, no leak, a clear error, and the graph
   goes on. */
#include "must.h"

#include "count_malloc.h"
#include "files.h"
#include "readers.h"

#include <stdlib.h>

/* An allocator that refuses its k-th call and, unless `once`, those after it, until healed. */
typedef struct failing {
    size_t calls, fail_at, live, bytes;
    bool once, failed;
} failing;

static void *failing_alloc(void *user, size_t bytes)
{
    failing *f = user;
    f->calls++;
    if (f->fail_at && (f->once ? f->calls == f->fail_at : f->calls >= f->fail_at)) {
        f->failed = true;
        return NULL;
    }
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
    if (memory) {
        memset(memory, 0xa5, bytes); /* nothing may rely on zeros */
        f->live++;
        f->bytes += bytes;
    }
    return memory;
}

static void failing_free(void *user, void *memory, size_t bytes)
{
    failing *f = user;
    if (memory) {
        f->live--;
        f->bytes -= bytes;
        memset(memory, 0x5a, bytes); /* nor on what was freed */
    }
    free(memory);
}

static float data[16 * 8];
static int64_t labels[16];

/* A training step of an MLP. */
static bool mlp(rg_graph *g)
{
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "batch"), 8));
    rg_node *t = rg_input(g, "t", RG_I64, RG_SHAPE(rg_dim(g, "batch")));
    rg_node *h = rg_nn_dropout(rg_relu(rg_nn_linear(x, "fc1", 16, NULL)), 0.1);
    rg_node *loss = rg_cross_entropy(rg_nn_linear(h, "fc2", 5, NULL), t, NULL);
    rg_node *step = rg_adam(loss, &(rg_adam_opts){.lr = 0.01, .clip_norm = 1});
    rg_plan *p = rg_compile(g, RG_NODES(loss, step), &(rg_plan_opts){.threads = 1});
    bool ok = p != NULL;
    for (int64_t n = 4; n <= 16 && ok; n += 12)
        ok = !rg_bind_shape(p, x, data, RG_SHAPE(n, 8)) && !rg_bind_shape(p, t, labels, RG_SHAPE(n)) && !rg_run(p);
    rg_plan *fork = ok ? rg_plan_fork(p) : NULL;
    ok = fork != NULL;
    char *text = ok ? rg_graph_dump(g) : NULL;
    ok = text != NULL;
    rg_text_free(text);
    rg_plan_free(fork);
    rg_plan_free(p);
    return ok;
}

/* A recurrence and its reverse, which keeps so many bytes of it if that is not 0. */
static bool recurrence_keeping(rg_graph *g, size_t keep_bytes)
{
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(rg_dim(g, "time"), 2, 4));
    rg_node *u = rg_param(g, "u", RG_F32, RG_SHAPE(4, 4), NULL);
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.keep_bytes = keep_bytes});
    rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, rg_zeros(g, RG_F32, RG_SHAPE(2, 4)));
    rg_node *next = rg_tanh(rg_add(x, rg_matmul(h, u)));
    rg_scan_next(s, h, next);
    rg_node *states = rg_scan_stack(s, next);
    rg_scan_end(s);
    rg_node *loss = rg_sum(rg_square(states), RG_ALL_AXES, false),
            *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.1, .params = RG_NODES(u)});
    rg_plan *p = rg_compile(g, RG_NODES(loss, step), &(rg_plan_opts){.threads = 1});
    const bool ok = p && !rg_bind_shape(p, xs, data, RG_SHAPE(3, 2, 4)) && !rg_run(p) &&
                    !rg_bind_shape(p, xs, data, RG_SHAPE(9, 2, 4)) && !rg_run(p);
    rg_plan_free(p);
    return ok;
}

static bool recurrence(rg_graph *g)
{
    return recurrence_keeping(g, 0);
}

static bool recurrence_in_few_bytes(rg_graph *g)
{
    return recurrence_keeping(g, 1);
}

static rg_plan *plan_of_long(rg_graph *g, rg_nodes fetch, rg_node *xs, size_t budget)
{
    static float sequence[64 * 2 * 3];
    rg_plan *p = rg_compile(g, fetch, &(rg_plan_opts){.threads = 1, .budget = budget});
    const bool ok = p && !rg_bind_shape(p, xs, sequence, RG_SHAPE(3, 2, 3)) && !rg_run(p) &&
                    !rg_bind_shape(p, xs, sequence, RG_SHAPE(64, 2, 3)) && !rg_run(p);
    if (!ok)
        rg_plan_free(p);
    return ok ? p : NULL;
}

/* One that makes products, and sums of the reverse pass, in strips, since it would not fit into its budget
   otherwise. */
static bool recurrence_in_strips(rg_graph *g)
{
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(rg_dim(g, "time"), 2, 3));
    rg_node *ys = rg_nn_lstm(rg_tanh(xs), "layer", 4, NULL), *loss = rg_sum(rg_square(ys), RG_ALL_AXES, false);
    rg_node *step = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.1});
    rg_plan *whole = plan_of_long(g, RG_NODES(loss, step), xs, 0);
    rg_plan *p = whole ? plan_of_long(g, RG_NODES(loss, step), xs, rg_plan_bytes(whole) - 1) : NULL;
    char *text = p ? rg_plan_dump(p) : NULL;
    const bool ok = text != NULL;
    cr_expect(!text || strstr(text, "from it in strips of"), "%s", text);
    rg_text_free(text);
    rg_plan_free(p);
    rg_plan_free(whole);
    return ok;
}

/* Everything a plan says about itself. */
static bool sights(rg_graph *g)
{
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(16, 8));
    rg_node *y = rg_softmax(rg_tanh(rg_nn_linear(x, "fc", 5, NULL)), -1);
    rg_plan *p = rg_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1, .profile = true});
    rg_estimate estimate;
    bool ok = p && !rg_bind(p, x, data) && !rg_plan_estimate(p, NULL, &estimate) && !rg_run(p);
    for (int i = 0; ok && i < 5; i++) {
        char *text = i == 0   ? rg_plan_profile(p, NULL)
                     : i == 1 ? rg_plan_trace(p)
                     : i == 2 ? rg_plan_dot(p)
                     : i == 3 ? rg_plan_memory_map(p)
                              : rg_plan_dump(p);
        ok = text != NULL;
        rg_text_free(text);
    }
    rg_plan_free(p);
    return ok;
}

/* A plan that has to make values again, and one in the caller's memory. */
static bool budgeted(rg_graph *g)
{
    static _Alignas(64) char memory[75008];
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "batch"), 8)), *h = x;
    for (int i = 0; i < 8; i++)
        h = rg_softmax(rg_tanh(rg_scale(h, 1 + i)), -1);
    rg_node *loss = rg_sum(rg_square(h), RG_ALL_AXES, false), *d = rg_at(rg_grad(loss, RG_NODES(x)), 0);
    rg_plan *p = rg_compile(g, RG_NODES(loss, d), &(rg_plan_opts){.threads = 1, .budget = 75000});
    bool ok = p && !rg_bind_shape(p, x, data, RG_SHAPE(16, 8)) && !rg_run(p);
    ok = ok && rg_plan_bytes(p) <= 75000 && !rg_plan_memory(p, memory, sizeof memory) && !rg_run(p);
    rg_plan_free(p);
    return ok;
}

/* Convolutions, a window and a skip in blocks, turned at the end. */
static bool in_blocks(rg_graph *g)
{
    rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(rg_dim(g, "batch"), 1, 4, 6));
    const rg_param_opts uniform = {.init = RG_UNIFORM, .scale = 1};
    const rg_conv_opts o = {.pad = {1, 1}};
    rg_node *h =
        rg_conv2d(x, rg_param(g, "a", RG_F32, RG_SHAPE(64, 1, 5, 5), &uniform), NULL, &(rg_conv_opts){.pad = {2, 2}});
    rg_node *c = rg_conv2d(h, rg_param(g, "b", RG_F32, RG_SHAPE(64, 64, 3, 3), &uniform), NULL, &o);
    rg_node *y = rg_max_pool2d(rg_add(rg_relu(c), h), &(rg_pool_opts){.window = {2, 2}});
    rg_plan *p = rg_compile(g, RG_NODES(y), &(rg_plan_opts){.threads = 1, .layout = RG_LAYOUT_BLOCKS});
    const bool ok = p && !rg_bind_shape(p, x, data, RG_SHAPE(2, 1, 4, 6)) && !rg_run(p);
    rg_plan_free(p);
    return ok;
}

/* Structures through moves, sums, products and the steps of a recurrence; both kinds of colours. */
static bool sparse(rg_graph *g)
{
    static const int64_t rows[4] = {2, 0, 2, 1};
    rg_node *x = rg_input(g, "x", RG_F64, RG_SHAPE(3, 2)), *at = rg_const(g, RG_I64, RG_SHAPE(4), rows);
    rg_node *y = rg_scatter_add(rg_sin(rg_gather(x, at, 0)), at, x, 0);
    rg_scan *s = rg_scan_begin(g, NULL);
    rg_node *each = rg_scan_slice(s, y), *h = rg_scan_carry(s, rg_zeros(g, RG_F64, RG_SHAPE(2)));
    rg_scan_next(s, h, rg_mul(rg_add(h, each), rg_sum(each, RG_ALL_AXES, false)));
    rg_node *last = rg_scan_last(s, h);
    rg_scan_end(s);
    const rg_sparse *j = rg_sparse_jacobian(last, x);
    const rg_sparse *k =
        rg_sparse_hessian(rg_sum(rg_square(rg_matmul(x, rg_ones(g, RG_F64, RG_SHAPE(2, 2)))), RG_ALL_AXES, false), x);
    rg_plan *p = j && k ? rg_compile(g, RG_NODES(j->values, k->values), &(rg_plan_opts){.threads = 1}) : NULL;
    const double values[6] = {1, 2, 3, 4, 5, 6};
    const bool ok = p && !rg_bind(p, x, values) && !rg_run(p);
    rg_plan_free(p);
    return ok;
}

/* Something small and new in the same graph. */
static bool still_works(rg_graph *g)
{
    rg_node *x = rg_input(g, "afterwards", RG_F64, RG_SHAPE(3)), *y = rg_sum(rg_square(x), RG_ALL_AXES, false);
    rg_node *d = rg_at(rg_grad(y, RG_NODES(x)), 0);
    rg_plan *p = rg_compile(g, RG_NODES(y, d), &(rg_plan_opts){.threads = 1});
    const double at[3] = {1, 2, 3};
    const bool ok = p && !rg_bind(p, x, at) && !rg_run(p) && *(const double *)rg_data(p, y) == 14 &&
                    ((const double *)rg_data(p, d))[2] == 6;
    rg_plan_free(p);
    return ok;
}

/* `open_scan`: the failure may leave a recurrence open, in which nothing can be compiled. */
static void for_every_k(bool (*work)(rg_graph *), bool open_scan, bool once)
{
    size_t k = 0;
    bool failed = true;
    while (failed && k < 100000) {
        failing f = {.fail_at = ++k, .once = once};
        const rg_allocator allocator = {failing_alloc, failing_free, &f};
        rg_graph *g = rg_graph_new(&(rg_graph_opts){.allocator = &allocator});
        const bool ok = g && work(g);
        failed = f.failed;
        cr_assert(ok != failed, "k = %zu: %s", k, ok ? "a failure went unnoticed" : rg_last_error());
        if (failed) {
            const char *text = g && rg_graph_error(g) ? rg_graph_error(g) : rg_last_error();
            cr_expect(strstr(text, "memory"), "k = %zu: %s", k, text);
            cr_expect(!g || !rg_graph_error(g) || rg_graph_status(g) == RG_ERR_MEMORY, "k = %zu: status %d", k,
                      rg_graph_status(g));
        }
        f.fail_at = 0;
        if (g && failed) {
            rg_graph_clear_error(g);
            if (!open_scan)
                cr_expect(still_works(g), "k = %zu: the graph is not usable afterwards: %s / %s", k, rg_last_error(),
                          rg_graph_error(g) ? rg_graph_error(g) : "-");
            const rg_status checked = rg_graph_check(g);
            cr_expect(checked == RG_OK || open_scan, "k = %zu: %s", k, rg_last_error());
        }
        rg_graph_free(g);
        cr_expect_eq(f.live, 0, "k = %zu: %zu blocks leak", k, f.live);
        cr_expect_eq(f.bytes, 0, "k = %zu: the sizes given to free are not those of alloc", k);
    }
    cr_expect(k > 5, "only %zu allocations seen", k);
}

Test(alloc, training_step)
{
    for_every_k(mlp, false, false);
}
Test(alloc, training_step_failing_once)
{
    for_every_k(mlp, false, true);
}
Test(alloc, sights)
{
    for_every_k(sights, false, false);
}
Test(alloc, budget)
{
    for_every_k(budgeted, false, false);
}
Test(alloc, layouts)
{
    for_every_k(in_blocks, false, false);
    for_every_k(in_blocks, false, true);
}

Test(alloc, sparse_derivatives)
{
    for_every_k(sparse, true, false);
}
Test(alloc, recurrence)
{
    for_every_k(recurrence, true, false);
}
Test(alloc, recurrence_failing_once)
{
    for_every_k(recurrence, true, true);
}

Test(alloc, recurrence_in_strips)
{
    for_every_k(recurrence_in_strips, true, false);
}

Test(alloc, recurrence_in_few_bytes)
{
    for_every_k(recurrence_in_few_bytes, true, false);
}

/* The same with malloc itself, which also feeds what the graph's allocator does not. */
static void for_every_malloc(bool (*work)(rg_graph *))
{
    if (!count_malloc_works())
        cr_skip_test("malloc cannot be interposed here");
    bool failed = true;
    size_t k = 0;
    while (failed && k < 100000) {
        count_malloc_fail(++k);
        rg_graph *g = rg_graph_new(NULL);
        const bool ok = g && work(g);
        failed = count_malloc_fail(0);
        cr_assert(ok != failed, "k = %zu: %s", k, ok ? "a failure went unnoticed" : rg_last_error());
        rg_graph_free(g);
    }
    cr_expect(k > 5, "only %zu allocations seen", k);
}

Test(alloc, training_step_by_malloc)
{
    for_every_malloc(mlp);
}
Test(alloc, recurrence_by_malloc)
{
    for_every_malloc(recurrence);
}

/* Where memory is short, a reader says of which file. */
static void read_for_every_malloc(const reader *r, unsigned sample)
{
    bool failed = true;
    size_t k = 0;
    r->sample(path, sample);
    while (failed && k < 1000) {
        count_malloc_fail(++k);
        const rg_status status = r->read(path);
        failed = count_malloc_fail(0);
        cr_assert(failed || status == RG_OK, "%s: %s", r->name, rg_last_error());
        /* libpng, short of memory for a chunk of text, loses its place and calls the next one invalid */
        const bool lost = strcmp(r->name, "png") == 0 && says("invalid chunk type");
        cr_expect(!failed || status == RG_ERR_MEMORY || lost, "%s: k = %zu: %s: %s", r->name, k, rg_status_name(status),
                  rg_last_error());
        cr_expect(!failed || says(path), "%s: k = %zu: the file is not named: %s", r->name, k, rg_last_error());
    }
    cr_expect(k > 1 && !failed, "%s: %zu allocations seen", r->name, k);
}

Test(alloc, readers_of_files)
{
    enum { SAMPLES = 6 };
    if (!count_malloc_works())
        cr_skip_test("malloc cannot be interposed here");
    begin();
    for (size_t i = 0; i < n_readers; i++) {
        const reader *r = &readers[i];
        const bool into_a_graph = strcmp(r->name, "safetensors") == 0 || strcmp(r->name, "checkpoint") == 0;
        for (unsigned k = 0; k < SAMPLES && !into_a_graph && reader_present(r); k++)
            read_for_every_malloc(r, k);
    }
    end();
}
